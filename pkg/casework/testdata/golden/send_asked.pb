
EVENTsend_askedà¬Å¢Œ4ann"
send_askedZc$ã”å¿ƒé…ã‚’ãŠã‹ã‘ã—ã¾ã—ãŸã€‚ja"interim*box2smoke8B
authorèŠ±å­HRannX€ØÁ¢Œ4bh1ja1pÀÉ¢Œ4