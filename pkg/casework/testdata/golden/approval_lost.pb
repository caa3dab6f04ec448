
EVENTapproval_lostà¬Å¢Œ4ann"approval_lostja1šãªãœãªã‚‰