

EVENTnotedà¬Å¢Œ4ann"notedšé›»è©±ã‚ã‚Š¢
f1ç…™.jpg
image/jpeg Ò	