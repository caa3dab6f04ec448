
EVENTunjudgedà¬Å¢Œ4ann"unjudgedBanswerHðP à™¤Œ4