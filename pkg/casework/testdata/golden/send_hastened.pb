
EVENTsend_hastenedà¬Å¢Œ4ann"send_hastenedja1