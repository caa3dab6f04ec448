
EVENTescalatedà¬Å¢Œ4ann"	escalatedja1šãªãœãªã‚‰