
EVENTassignedà¬Å¢Œ4system"assigned’annšcoffee