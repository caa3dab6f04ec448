
EVENTacknowledgedoneà¬Å¢Œ4"lea*acknowledged‚linkŠè¨“ç·´