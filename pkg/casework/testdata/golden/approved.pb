
EVENTapprovedเฌลข4ann"approvedbh1p€ตค4