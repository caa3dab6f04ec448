package desk

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/services/pager"
)

// withNotifier signs in an administrator who has set up one notifier.
func withNotifier(t *testing.T, b *bench, form ...string) (*visitor, string) {
	t.Helper()
	v := b.as("aya", everywhere, identity.Admin)
	v.want(v.post("/notifiers/new", form...), 303)
	list := settings.Notifiers.List(b.Settings)
	if len(list) != 1 {
		t.Fatalf("%d notifiers", len(list))
	}
	return v, "/notifiers/" + list[0].ID
}

func TestANotifierIsTried(t *testing.T) {
	bodies := make(chan string, 10)
	answer := http.StatusForbidden
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		bodies <- string(body)
		w.WriteHeader(answer)
	}))
	defer far.Close()
	b := newBench(t, pager.Service)
	v, page := withNotifier(t, b, "kind", "webhook", "name", "Call tree", "off", "yes", "config.url", far.URL+"/hook?key=hush", "config.secret", "0123456789abcdef0123")
	v.want(v.get("/notifiers/new?kind=webhook"), 200, "!/test")
	v.want(v.get(page), 200, page+"/test", "Send a test")

	v.want(v.post(page+"/test"), 422, "The test was not accepted", "403", "Call tree", "!hush", "!0123456789abcdef0123")
	if s := <-bodies; !strings.Contains(s, `"test":true`) {
		t.Errorf("sent %s", s)
	}
	answer = http.StatusOK
	v.want(v.post(page+"/test"), 200, "The test was accepted", "!hush")
	if s := <-bodies; !strings.Contains(s, `"test":true`) {
		t.Errorf("sent %s", s)
	}

	n := b.as("ken", everywhere, identity.Agent)
	n.want(n.post(page+"/test"), 403)
	v.want(v.post("/notifiers/new/test"), 404)
	v.want(v.post("/notifiers/none/test"), 404)
}

func TestATestByMailGoesToWhoeverAsks(t *testing.T) {
	b := newBench(t, pager.Service)
	v, page := withNotifier(t, b, "kind", "sandbox", "name", "Drill", "config.file", "drill.jsonl")
	v.want(v.post(page+"/test"), 200, "It went to you", "aya@")
}

func TestATestWithoutAPager(t *testing.T) {
	b := newBench(t)
	v, page := withNotifier(t, b, "kind", "sandbox", "name", "Drill", "config.file", "drill.jsonl")
	v.want(v.post(page+"/test"), 422, "The pager does not answer", "nothing was changed")
}
