
EVENTwished�Ţ�4ann"wished�mute�通知を夜だけ止めたい