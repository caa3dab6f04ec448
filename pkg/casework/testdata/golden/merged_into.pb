
EVENTmerged_intoà¬Å¢Œ4ann"merged_into’talh2ewcvaa63use2ayuolxwh2