
EVENTfacts_confirmed�Ţ�4ann"facts_confirmed�工場の記録で確かめた