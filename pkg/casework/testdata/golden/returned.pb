
EVENTreturnedà¬Å¢Œ4ann"returnedja1šãªãœãªã‚‰