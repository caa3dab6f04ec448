
EVENTredactedoneà¬Å¢Œ4"lea*redacted’;
OLDone€ØÁ¢Œ4"system*opened2kumoZnotifybverdict˜