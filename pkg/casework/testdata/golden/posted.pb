
EVENTpostedà¬Å¢Œ4ann"postedZc$ã”å¿ƒé…ã‚’ãŠã‹ã‘ã—ã¾ã—ãŸã€‚ja"interim*box2smoke8B
authorèŠ±å­HRannX€ØÁ¢Œ4‚https://s.example/r1Šr1