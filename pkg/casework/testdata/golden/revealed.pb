
EVENTrevealedà¬Å¢Œ4ann"revealed