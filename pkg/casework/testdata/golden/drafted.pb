
EVENTdrafted�Ţ�4ann"draftedZc$ご心配をおかけしました。ja"interim*box2smoke8B
author花子HRannX�����4