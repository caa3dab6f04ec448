
EVENTabsorbedà¬Å¢Œ4ann"absorbed’talh2ewcvaa63use2ayuolxwh2