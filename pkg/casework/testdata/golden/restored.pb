
EVENTrestoredà¬Å¢Œ4ann"restored*"
qjmcvlkjseuuy6khjmibmi57e5acmešãŠç”³ã—å‡ºã«ã‚ˆã‚Šº$
OLD€ØÁ¢Œ4bob"claimedpÀÆ¯£Œ4ÈÀ