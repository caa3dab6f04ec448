
EVENTunlinked�Ţ�4ann"unlinked�talh2ewcvaa63use2ayuolxwh2�電話で本人が話した