
EVENTauthor_wroteà¬Å¢Œ4system"author_wrote’talh2ewcvaa63use2ayuolxwh2²thanked