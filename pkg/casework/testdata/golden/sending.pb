
EVENTsending‡¨≈¢å4ann"sendingja1p†÷Ã¢å4