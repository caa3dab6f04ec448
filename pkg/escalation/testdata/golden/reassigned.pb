
EVENTreassignedoneà¬Å¢Œ4"lea*
reassignedÂpiaŠé ¼ã‚€