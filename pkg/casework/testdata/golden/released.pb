
EVENTreleasedà¬Å¢Œ4ann"released