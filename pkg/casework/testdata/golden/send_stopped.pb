
EVENTsend_stoppedà¬Å¢Œ4ann"send_stoppedja1