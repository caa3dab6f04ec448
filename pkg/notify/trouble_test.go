package notify

import (
	"errors"
	"net/textproto"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/outbound"
)

func TestTrouble(t *testing.T) {
	for _, c := range []struct {
		err  error
		want outbound.Reason
	}{
		{refuse("the configured address is not an http address"), outbound.Settings},
		{refusal{slackReasons["invalid_auth"].Of(errors.New("chat.postMessage: invalid_auth"))}, outbound.Credentials},
		{refusal{outbound.ErrPrivate}, outbound.Blocked},
		{judgeMail(t.Context(), &textproto.Error{Code: 535, Msg: "5.7.8 wrong"}), outbound.Credentials},
		{judgeMail(t.Context(), &textproto.Error{Code: 421, Msg: "busy"}), outbound.ServerError},
		{judgeMail(t.Context(), &textproto.Error{Code: 554, Msg: "no"}), outbound.Other},
	} {
		if got := outbound.Explain(c.err, time.Time{}); got.Reason != c.want {
			t.Errorf("%v: %+v, want %s", c.err, got, c.want)
		}
	}
}
