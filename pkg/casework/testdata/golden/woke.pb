
	EVENTwokeà¬Å¢Œ4ann"woke