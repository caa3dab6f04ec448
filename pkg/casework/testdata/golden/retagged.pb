
EVENTretaggedà¬Å¢Œ4ann"retaggedÂè¿”é‡‘Âstore 12Êlater