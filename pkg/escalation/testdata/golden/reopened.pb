
EVENTreopenedoneà¬Å¢Œ4"lea*reopenedJviolent_threatRkillZwakeøÀÉ¢Œ4