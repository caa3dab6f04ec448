
EVENTpromisedà¬Å¢Œ4ann"promisedp€€4x€¨Ì{