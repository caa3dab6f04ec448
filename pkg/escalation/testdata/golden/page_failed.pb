
EVENTpage_failedoneà¬Å¢Œ4"lea*page_failedªone.0123²triggerºmailÂleaÈĞØâfailedê503ğÀÉ¢Œ4ø ÖÌ¢Œ4