
EVENTreopenedà¬Å¢Œ4ann"reopened