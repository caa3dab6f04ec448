
EVENThanded_overà¬Å¢Œ4ann"handed_over’factoryš	èª¿ã¹ã¦