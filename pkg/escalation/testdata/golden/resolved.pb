
EVENTresolvedoneà¬Å¢Œ4"lea*resolvedŠæ¸ˆã¿