
EVENTexcludedà¬Å¢Œ4ann"excludedja1šãªãœãªã‚‰