package outbound

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestExplain makes real trouble at real listeners.
func TestExplain(t *testing.T) {
	now := time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC)
	served := func(f http.HandlerFunc) string {
		s := httptest.NewServer(f)
		t.Cleanup(s.Close)
		return s.URL
	}
	answer := func(status int, body string, header ...string) string {
		return served(func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		})
	}
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	done := make(chan struct{})
	slow := served(func(w http.ResponseWriter, r *http.Request) { <-done })
	t.Cleanup(func() { close(done) })
	loop := served(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) })

	for name, c := range map[string]struct {
		address string
		open    bool // 127.0.0.1 is allowed
		want    Trouble
	}{
		"closed port":   {"http://" + closed.Addr().String(), true, Trouble{Reason: Unreachable}},
		"no such name":  {"http://" + strings.Repeat("x", 64) + ".invalid/", true, Trouble{Reason: NameNotFound}},
		"slow":          {slow, true, Trouble{Reason: TimedOut}},
		"certificate":   {secure.URL, true, Trouble{Reason: Certificate}},
		"plain as tls":  {strings.Replace(slow, "http:", "https:", 1), true, Trouble{Reason: Certificate}},
		"blocked":       {answer(200, "{}"), false, Trouble{Reason: Blocked}},
		"redirects":     {loop, true, Trouble{Reason: Redirected}},
		"401":           {answer(401, `{"error":{"message":"token=s3cret-of-ours is wrong, see https://u:p@api.example/x?key=hidden"}}`), true, Trouble{Reason: Credentials, Status: 401, Said: "token=… is wrong, see https://api.example/x?…"}},
		"403":           {answer(403, `{"errors":[{"detail":"Bearer abcDEF123 may not"}]}`), true, Trouble{Reason: Forbidden, Status: 403, Said: "Bearer … may not"}},
		"404":           {answer(404, "<html>lost</html>"), true, Trouble{Reason: NotFound, Status: 404}},
		"410":           {answer(410, "gone\nfor good"), true, Trouble{Reason: NotFound, Status: 410, Said: "gone for good"}},
		"429":           {answer(429, "", "Retry-After", "90"), true, Trouble{Reason: Limited, Status: 429, Until: now.Add(90 * time.Second)}},
		"503 and pause": {answer(503, "down", "Retry-After", "60"), true, Trouble{Reason: ServerError, Status: 503, Said: "down", Until: now.Add(time.Minute)}},
		"500":           {answer(500, `{"title":"xoxb12345678901234 failed"}`), true, Trouble{Reason: ServerError, Status: 500, Said: "xox… failed"}},
		"422":           {answer(422, `{"message":"`+strings.Repeat("長い", 400)+`"}`), true, Trouble{Reason: Other, Status: 422, Said: strings.Repeat("長い", 149) + "長…"}},
		"html":          {answer(200, "<html>"), true, Trouble{Reason: Unreadable}},
		"too large":     {answer(200, strings.Repeat(" ", 3000)), true, Trouble{Reason: TooLarge, Status: 200}},
		"scheme":        {"ftp://files.example/", true, Trouble{Reason: Settings, Said: "GET ftp://files.example/: only http and https addresses are fetched"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Options{MaxBody: 2000}
			if c.open {
				o.Allow = []string{"127.0.0.1"}
			}
			if name == "slow" {
				o.Timeout = 200 * time.Millisecond
			}
			client, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Get(t.Context(), c.address, nil)
			if err == nil {
				err = json.Unmarshal(resp.Body, &struct{}{})
			}
			got := Explain(fmt.Errorf("source: %w", err), now)
			if name != "html" && !strings.Contains(c.address, got.Host) || name != "html" && got.Host == "" {
				t.Errorf("host %q of %s", got.Host, c.address)
			}
			if got.Said != "" && name == "scheme" {
				got.Said = strings.TrimPrefix(got.Said, "source: ")
			}
			got.Host = ""
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("%v\n%s", err, d)
			}
		})
	}
	if got := Explain(nil, now); got != (Trouble{}) {
		t.Errorf("no error: %+v", got)
	}
	if got := Explain(Unreadable.Of(errors.New("a web page, not a feed")), now); got != (Trouble{Reason: Unreadable}) {
		t.Errorf("a reason of its own: %+v", got)
	}
	if got := Explain(context.DeadlineExceeded, now); got.Reason != TimedOut {
		t.Errorf("the end of the time: %+v", got)
	}
}

func TestMasked(t *testing.T) {
	for text, want := range map[string]string{
		"api_key: required; secret: is too short":                      "api_key: required; secret: is too short",
		"password: hunter2 is wrong":                                   "password: … is wrong",
		`{"access_token":"abcdef","x":1}`:                              `{"access_token":"…","x":1}`,
		"client_secret=abcdef&x=1":                                     "client_secret=…&x=1",
		"Authorization: Basic dXNlcjpodW50ZXI= refused":                "Authorization: Basic … refused",
		"invalid bearer abc":                                           "invalid bearer …",
		"error code: 32, insufficient_authentication_scopes":           "error code: 32, insufficient_authentication_scopes",
		"at https://u:p@h.example/hooks/T0123456789ABCDEFG?key=x, see": "at https://h.example/hooks/T01…?…, see",
		"key sk-proj-0123456789abcdef is revoked":                      "key sk-… is revoked",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlMTIz":    "eyJ….eyJ….c2l…",
		"a\x00b\u202ec\r\nd":                                           "a b c d",
		"無効なトークンです":                                                    "無効なトークンです",
	} {
		if got := masked(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
