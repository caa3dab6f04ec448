
EVENTunticked�Ţ�4ann"unticked�safety-hazard�お怪我はありませんか�
0a1b2c3d4e