
EVENTclaimedà¬Å¢Œ4ann"claimedp ›³£Œ4