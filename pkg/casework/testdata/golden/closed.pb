
EVENTclosedเฌลข4ann"closedใใใใชended