
EVENTsubmittedà¬Å¢Œ4ann"	submittedbh1