
	EVENTsentà¬Å¢Œ4ann"sentja1‚https://s.example/r1Šr1