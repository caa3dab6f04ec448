
EVENTlookedà¬Å¢Œ4system"looked*C
qjmcvlkjseuuy6khjmibmi57e5acmesandbox"r1Zç›´ã—ã¾ã—ãŸŠr1