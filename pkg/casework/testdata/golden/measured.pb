
EVENTmeasured�Ţ�4ann"measured�K
m1確認の手順がなかった二人で確かめる*factory0���4