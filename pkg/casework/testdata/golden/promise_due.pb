
EVENTpromise_dueà¬Å¢Œ4ann"promise_due²half