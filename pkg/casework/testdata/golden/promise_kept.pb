
EVENTpromise_kept�Ţ�4ann"promise_kept�電話で伝えた