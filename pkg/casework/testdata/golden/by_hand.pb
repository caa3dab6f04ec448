
EVENTby_handà¬Å¢Œ4ann"by_handZc$ã”å¿ƒé…ã‚’ãŠã‹ã‘ã—ã¾ã—ãŸã€‚ja"interim*box2smoke8B
authorèŠ±å­HRannX€ØÁ¢Œ4bh1p€ÛËŒ4