
EVENTfalse_alarmoneà¬Å¢Œ4"lea*false_alarm‚linkŠè¨“ç·´