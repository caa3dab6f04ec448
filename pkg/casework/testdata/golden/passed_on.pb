
EVENTpassed_onà¬Å¢Œ4ann"	passed_on