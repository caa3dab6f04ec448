
EVENTsend_unsureà¬Å¢Œ4ann"send_unsureja1šãªãœãªã‚‰