
EVENTundoneà¬Å¢Œ4ann"undone’OLD