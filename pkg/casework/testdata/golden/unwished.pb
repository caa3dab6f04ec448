
EVENTunwished�Ţ�4ann"unwished�mute�通知を夜だけ止めたい