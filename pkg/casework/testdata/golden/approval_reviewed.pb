
EVENTapproval_reviewedà¬Å¢Œ4ann"approval_reviewedšä¸‰åº¦ã®æ«å–ªyes