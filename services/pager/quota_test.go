package pager

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/settings"
)

// TestANotifierThatRunsOutIsToldOnce has LINE count its messages.
func TestANotifierThatRunsOutIsToldOnce(t *testing.T) {
	t.Parallel()
	b := listener(t)
	var used, status atomic.Int64
	line := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case status.Load() != 0:
			w.WriteHeader(int(status.Load()))
		case r.URL.Path == "/v2/bot/message/quota":
			io.WriteString(w, `{"type":"limited","value":200}`)
		case r.URL.Path == "/v2/bot/message/quota/consumption":
			fmt.Fprintf(w, `{"totalUsage":%d}`, used.Load())
		}
	}))
	defer line.Close()
	must(t, settings.Notifiers.Put(t.Context(), b.settings, "ada", "family", 0, settings.Notifier{
		ID: "family", Name: "Shop owners", Kind: "line", Config: fmt.Appendf(nil, `{"token":"t","to":"C1","api":%q,"follow":false}`, line.URL),
	}))
	look := func(wanted string, escalations int) {
		t.Helper()
		for range 2 {
			_ = b.quotas(t.Context()) // its error is logged
		}
		b.settled()
		if got := b.got(); got != wanted || len(b.all()) != escalations {
			t.Errorf("pages %q, %d escalations, want %q, %d", got, len(b.all()), wanted, escalations)
		}
	}
	used.Store(100)
	look("", 0)
	used.Store(160)
	look("trigger", 1)
	s := b.all()[0]
	if s.Urgency != escalation.Notify || s.Title != "Shop owners" || !strings.Contains(s.Rule, "160 of 200") {
		t.Errorf("%+v", s)
	}
	status.Store(500) // not known is not filled up
	look("trigger", 1)
	status.Store(0)
	b.says(escalation.Event{Kind: escalation.Resolved})
	used.Store(190)
	look("trigger resolve", 1) // whoever closed it is not told again
	b.clock.Pass(31 * 24 * 3600e9)
	look("trigger resolve trigger", 2) // of the next month, which is as bad
	used.Store(3)
	look("trigger resolve trigger resolve", 2)
}
