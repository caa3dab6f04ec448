
EVENTpromise_ended�Ţ�4ann"promise_ended�電話で伝えた