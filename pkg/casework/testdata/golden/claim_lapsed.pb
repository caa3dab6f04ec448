
EVENTclaim_lapsedà¬Å¢Œ4ann"claim_lapsed