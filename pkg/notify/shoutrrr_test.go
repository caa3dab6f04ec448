package notify

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/earshot/earshot/pkg/outbound"
)

func TestShoutrrrIsNotForWaking(t *testing.T) {
	f := startFar(t, "shoutrrr")
	if err := tell(t.Context(), open(t, "shoutrrr", f.addr, nil), samplePage("ja")); !permanent(err) || len(f.requests()) != 0 {
		t.Errorf("%v, %d requests", err, len(f.requests()))
	}
}

// TestShoutrrrServices has each service of the library speak through our
// client: to where the address says, and not past the guard.
func TestShoutrrrServices(t *testing.T) {
	var asked atomic.Int32
	status := http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.WriteHeader(status)
		w.Write([]byte(`{"id":1}`))
	}))
	defer srv.Close()
	addr := strings.TrimPrefix(srv.URL, "http://")
	here := map[string]string{
		"gotify":     "gotify://" + addr + "/Aaa.bbb.ccc.ddd?disabletls=yes",
		"mattermost": "mattermost://" + addr + "/" + theSecret + "?disabletls=yes",
		"ntfy":       "ntfy://" + addr + "/" + theSecret + "?scheme=http",
	}
	away := map[string]string{ // to fixed hosts, or by https alone
		"discord":    "discord://" + theSecret + "@123456",
		"pushover":   "pushover://shoutrrr:" + theSecret + "@user",
		"rocketchat": "rocketchat://localhost/" + theSecret + "/token",
	}
	for name := range shoutrrrServices {
		if here[name]+away[name] == "" {
			t.Errorf("%s is not tested", name)
		}
	}
	for name, address := range here {
		t.Run(name, func(t *testing.T) {
			asked.Store(0)
			if err := tell(t.Context(), open(t, "shoutrrr", "", map[string]any{"url": address}), pageFor("shoutrrr", "ja")); err != nil || asked.Load() != 1 {
				t.Errorf("%v, %d requests", err, asked.Load())
			}
			guarded, err := outbound.New(outbound.Options{})
			if err != nil {
				t.Fatal(err)
			}
			n := open(t, "shoutrrr", "", map[string]any{"url": address}).(*shoutrrr)
			n.client = guarded
			if err := tell(t.Context(), n, pageFor("shoutrrr", "ja")); !permanent(err) || asked.Load() != 1 {
				t.Errorf("%v, %d requests: it got around the guard", err, asked.Load())
			}
		})
	}
	for name, address := range away {
		t.Run(name, func(t *testing.T) {
			asked.Store(0)
			// Everything goes to a proxy of the test's own, so that nothing leaves.
			guarded, err := outbound.New(outbound.Options{Proxy: mustURL(t, srv.URL), Allow: []string{"localhost"}})
			if err != nil {
				t.Fatal(err)
			}
			n := open(t, "shoutrrr", "", map[string]any{"url": address}).(*shoutrrr)
			n.client = guarded
			err = tell(t.Context(), n, pageFor("shoutrrr", "ja"))
			if err == nil || permanent(err) || asked.Load() != 1 { // the proxy refuses to connect
				t.Errorf("%v, %d requests, want one to the proxy", err, asked.Load())
			}
			holdsNoSecret(t, err)
		})
	}
	for _, address := range []string{"slack://" + theSecret, "ntfy://", theSecret, "discord://" + theSecret, "generic+http://127.0.0.1/" + theSecret} {
		err := tell(t.Context(), open(t, "shoutrrr", "", map[string]any{"url": address}), pageFor("shoutrrr", "ja"))
		if !permanent(err) {
			t.Errorf("%s: %v", address, err)
		}
		holdsNoSecret(t, err)
	}
}

func mustURL(t *testing.T, address string) *url.URL {
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
