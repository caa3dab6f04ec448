
EVENTsnoozedà¬Å¢Œ4ann"snoozedp ›³£Œ4