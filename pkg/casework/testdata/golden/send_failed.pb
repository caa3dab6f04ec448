
EVENTsend_failedà¬Å¢Œ4ann"send_failedja1šãªãœãªã‚‰