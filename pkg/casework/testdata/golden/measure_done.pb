
EVENTmeasure_done�Ţ�4ann"measure_done�m1�手順書を替えた