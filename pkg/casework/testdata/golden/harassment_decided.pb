
EVENTharassment_decidedà¬Å¢Œ4ann"harassment_decidedšä¸‰åº¦ã®æ«å–ªyes