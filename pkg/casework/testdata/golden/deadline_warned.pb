
EVENTdeadline_warnedà¬Å¢Œ4ann"deadline_warned