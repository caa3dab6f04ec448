

EVENTpagedoneà¬Å¢Œ4"lea*pagedªone.0123²triggerºmailÂleaÈĞØâsentø ÖÌ¢Œ4