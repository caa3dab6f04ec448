
EVENTwatchedà¬Å¢Œ4ann"watched