
EVENTlook_dueà¬Å¢Œ4ann"look_due