
EVENTsent_backà¬Å¢Œ4ann"	sent_backja1šãªãœãªã‚‰