package outbound

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// open returns a client that may reach the machine itself.
func open(t *testing.T, o Options) *Client {
	t.Helper()
	if o.Allow == nil {
		o.Allow = []string{"127.0.0.1"}
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestAnAnswerArrivesWhole(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"1"`)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.UserAgent(), r.Header.Get("X-A"))
	})
	r, err := open(t, Options{UserAgent: "Earshot/1.2"}).Get(t.Context(), s.URL, http.Header{"X-A": {"b"}})
	if err != nil {
		t.Fatal(err)
	}
	if string(r.Body) != "GET Earshot/1.2 b" || r.Status != 200 || r.Header.Get("Etag") != `"1"` || r.Moved != "" {
		t.Errorf("%s %+v", r.Body, r)
	}
}

func TestFailuresAreJudged(t *testing.T) {
	at := time.Now().Add(90 * time.Second)
	for _, c := range []struct {
		name      string
		status    int
		header    map[string]string
		permanent bool
		after     time.Duration
	}{
		{"not found", 404, nil, true, 0},
		{"unauthorized", 401, nil, true, 0},
		{"gone", 410, nil, true, 0},
		{"unprocessable", 422, nil, true, 0},
		{"request timeout", 408, nil, false, 0},
		{"too early", 425, nil, false, 0},
		{"server error", 500, nil, false, 0},
		{"bad gateway", 502, nil, false, 0},
		{"unavailable", 503, nil, false, 0},
		{"unavailable with seconds", 503, map[string]string{"Retry-After": "7"}, false, 7 * time.Second},
		{"too many", 429, nil, false, 0},
		{"too many with seconds", 429, map[string]string{"Retry-After": "120"}, false, 2 * time.Minute},
		{"too many with a date", 429, map[string]string{"Retry-After": at.UTC().Format(http.TimeFormat)}, false, 90 * time.Second},
		{"too many with a date of yesterday", 429, map[string]string{"Retry-After": at.Add(-24 * time.Hour).UTC().Format(http.TimeFormat)}, false, 0},
		{"too many with nonsense", 429, map[string]string{"Retry-After": "soon"}, false, 0},
		{"too many with a negative number", 429, map[string]string{"Retry-After": "-5"}, false, 0},
		{"too many for a year", 429, map[string]string{"Retry-After": "31536000"}, false, 24 * time.Hour},
		{"too many with X's epoch", 429, map[string]string{"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": fmt.Sprint(at.Unix())}, false, 90 * time.Second},
		{"too many with Mastodon's time", 429, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": at.UTC().Format("2006-01-02T15:04:05.000000Z")}, false, 90 * time.Second},
		{"too many with Bluesky's epoch", 429, map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": fmt.Sprint(at.Unix())}, false, 90 * time.Second},
		{"too many with Reddit's seconds", 429, map[string]string{"X-Ratelimit-Remaining": "0.0", "X-Ratelimit-Reset": "90.5"}, false, 90 * time.Second},
		{"too many for App Store Connect", 429, map[string]string{"X-Rate-Limit": "user-hour-lim:3500;user-hour-rem:0;"}, false, 0},
		{"an odd status", 399, nil, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				for k, v := range c.header {
					w.Header().Set(k, v)
				}
				w.Header().Set("Set-Cookie", "a=b")
				w.WriteHeader(c.status)
				io.WriteString(w, "the reason")
			})
			_, err := open(t, Options{}).Get(t.Context(), s.URL, nil)
			wrapped := fmt.Errorf("source: %w", err)
			after, _ := errors.AsType[interface {
				error
				RetryAfter() time.Duration
			}](wrapped)
			never, _ := errors.AsType[interface {
				error
				Permanent() bool
			}](wrapped)
			if after == nil || never == nil {
				t.Fatalf("%v has no class", err)
			}
			if never.Permanent() != c.permanent || (after.RetryAfter()-c.after).Abs() > 2*time.Second {
				t.Errorf("%v: permanent %t, after %v", err, never.Permanent(), after.RetryAfter())
			}
			e, _ := errors.AsType[*Error](wrapped)
			if e.Status != c.status || string(e.Body) != "the reason" || !e.Reached || e.Header.Get("Set-Cookie") != "" {
				t.Errorf("%+v", e)
			}
			for k, v := range c.header {
				if e.Header.Get(k) != v {
					t.Errorf("%s is %q", k, e.Header.Get(k))
				}
			}
		})
	}
}

func TestAppStoreConnectTellsItsLimitInOneHeader(t *testing.T) {
	for v, want := range map[string]Quota{
		"user-hour-lim:3500;user-hour-rem:500;": {Limit: 3500, Remaining: 500}, " user-hour-rem: 7 ; other:1": {Remaining: 7},
		"user-hour-lim:3500;": {}, "nonsense": {}, "user-hour-rem:many": {},
	} {
		q, ok := QuotaOf(http.Header{"X-Rate-Limit": {v}}, time.Now())
		if ok != (want.Remaining > 0) || ok && q != want {
			t.Errorf("%q: %+v, %t", v, q, ok)
		}
	}
}

func TestAHostThatAsksForAPauseGetsIt(t *testing.T) {
	var calls atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if r.URL.Path == "/busy" {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(429)
		}
	})
	c := open(t, Options{})
	c.Get(t.Context(), s.URL+"/busy", nil)
	_, err := c.Get(t.Context(), s.URL+"/other", nil)
	e, ok := errors.AsType[*Error](err)
	if !ok || e.RetryAfter() <= 0 || e.RetryAfter() > time.Second || e.Permanent() || e.Reached || calls.Load() != 1 {
		t.Fatalf("%v after %d calls", err, calls.Load())
	}
	if _, err := c.Get(t.Context(), s.URL+"/other", http.Header{"Authorization": {"Bearer x"}}); err != nil {
		t.Errorf("another token waits too: %v", err)
	}
	req, _ := http.NewRequest("POST", s.URL+"/hook", strings.NewReader("x"))
	if _, err := c.Do(t.Context(), req); err != nil {
		t.Errorf("a write waits too: %v", err)
	}
	time.Sleep(e.RetryAfter())
	if _, err := c.Get(t.Context(), s.URL+"/other", nil); err != nil {
		t.Errorf("after the pause: %v", err)
	}
}

func TestPrivateAddressesAreRefused(t *testing.T) {
	reached := false
	s := serve(t, func(http.ResponseWriter, *http.Request) { reached = true })
	port := s.URL[strings.LastIndex(s.URL, ":"):]
	c := open(t, Options{Allow: []string{"nothing.example"}})
	for _, host := range []string{
		"127.0.0.1", "localhost", "127.1", "0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
		"169.254.169.254", "[fe80::1]", "10.0.0.1", "100.100.100.200", "192.168.0.1", "[fd00:ec2::254]", "255.255.255.255", "168.63.129.16",
	} {
		for _, do := range []func(string) error{
			func(u string) error { _, err := c.Get(t.Context(), u, nil); return err },
			func(u string) error { _, err := c.HTTPClient().Get(u); return err },
			func(u string) error {
				conn, err := c.DialContext(t.Context(), "tcp", strings.TrimPrefix(u, "http://"))
				if err == nil {
					conn.Close()
				}
				return err
			},
		} {
			err := do("http://" + host + port)
			if host == "127.1" || host == "localhost" {
				// Names: what they resolve to depends on the machine.
				if err == nil {
					t.Errorf("%s was reached", host)
				}
				continue
			}
			if !errors.Is(err, ErrPrivate) {
				t.Errorf("%s: %v", host, err)
			}
		}
	}
	if reached {
		t.Error("the server was reached")
	}
	_, err := c.Get(t.Context(), s.URL, nil)
	if e, ok := errors.AsType[*Error](err); !ok || !e.Permanent() || e.Reached {
		t.Errorf("%v", err)
	}
}

func TestPublicAddressesAreToldFromSpecialOnes(t *testing.T) {
	for addr, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "172.15.0.1": true, "172.32.0.1": true, "100.63.255.255": true, "223.255.255.255": true,
		"2606:4700::1111": true, "64:ff9b::808:808": true, "::ffff:8.8.8.8": true, "2002:808:808::1": true,
		"172.16.0.1": false, "100.64.0.1": false, "224.0.0.1": false, "240.0.0.1": false, "0.1.2.3": false, "198.19.0.1": false,
		"64:ff9b::a00:1": false, "64:ff9b:1::808:808": false, "::8.8.8.8": false, "fc00::1": false, "fe80::1%eth0": false, "ff02::1": false,
		"2001::1": false, "2001:db8::1": false, "::ffff:10.0.0.1": false, "::": false, "2002:a00:1::": false, "fec0::1": false,
	} {
		g := guard{}
		if got := g.check(netip.MustParseAddr(addr)) == nil; got != want {
			t.Errorf("%s: public is %t", addr, got)
		}
	}
}

func TestAllowedPrivateHosts(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	u, _ := url.Parse(s.URL)
	for _, allow := range []string{"127.0.0.1", "127.0.0.0/8", u.Host} {
		if _, err := open(t, Options{Allow: []string{allow}}).Get(t.Context(), s.URL, nil); err != nil {
			t.Errorf("%s: %v", allow, err)
		}
	}
	if _, err := open(t, Options{Allow: []string{"127.0.0.1:1"}}).Get(t.Context(), s.URL, nil); !errors.Is(err, ErrPrivate) {
		t.Errorf("another port: %v", err)
	}
	for _, bad := range []string{"", "http://x", "10.0.0.0/99"} {
		if _, err := New(Options{Allow: []string{bad}}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestRedirects(t *testing.T) {
	var last string
	private := serve(t, func(w http.ResponseWriter, r *http.Request) { last = "private" })
	mux := http.NewServeMux()
	mux.HandleFunc("/end", func(w http.ResponseWriter, r *http.Request) { last = r.Method + " end" })
	for from, to := range map[string]string{"/moved": "301 /end", "/moved2": "308 /moved", "/found": "302 /moved", "/loop": "302 /loop", "/private": "302 " + strings.Replace(private.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1), "/file": "302 file:///etc/passwd"} {
		mux.HandleFunc(from, func(w http.ResponseWriter, r *http.Request) {
			var status int
			var target string
			fmt.Sscan(to, &status, &target)
			w.Header().Set("Location", target)
			w.WriteHeader(status)
		})
	}
	s := serve(t, mux.ServeHTTP)
	u, _ := url.Parse(s.URL)
	c := open(t, Options{Allow: []string{u.Host}})
	for _, x := range []struct {
		name, path, moved string
		ok                bool
	}{
		{"a permanent one gives the new address", "/moved", "/end", true},
		{"two permanent ones give the last", "/moved2", "/end", true},
		{"a temporary one gives none", "/found", "", true},
		{"a loop ends", "/loop", "", false},
		{"into a private network is refused", "/private", "", false},
		{"to a file is refused", "/file", "", false},
	} {
		t.Run(x.name, func(t *testing.T) {
			last = ""
			r, err := c.Get(t.Context(), s.URL+x.path, nil)
			if (err == nil) != x.ok {
				t.Fatal(err)
			}
			if err != nil {
				if e, ok := errors.AsType[*Error](err); !ok || !e.Permanent() || last != "" {
					t.Errorf("%v, reached %q", err, last)
				}
				return
			}
			if moved := strings.TrimPrefix(r.Moved, s.URL); moved != x.moved || r.URL.Path != "/end" {
				t.Errorf("moved %q, from %s", moved, r.URL)
			}
		})
	}
	last = ""
	req, _ := http.NewRequest("POST", s.URL+"/moved", strings.NewReader("x"))
	_, err := c.Do(t.Context(), req)
	if e, ok := errors.AsType[*Error](err); !ok || !e.Permanent() || e.Status != 301 || last != "" {
		t.Errorf("a POST followed: %v, %q", err, last)
	}
}

func TestNotModifiedIsAnAnswer(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(304) })
	if r, err := open(t, Options{}).Get(t.Context(), s.URL, nil); err != nil || r.Status != 304 || len(r.Body) != 0 {
		t.Errorf("%v %v", r, err)
	}
}

func TestLargeAnswersAreRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
		gzip bool
		ok   bool
	}{
		{"as large as allowed", 1 << 20, false, true},
		{"one byte more", 1<<20 + 1, false, false},
		{"a bomb", 200 << 20, true, false},
		{"compressed, as large as allowed", 1 << 20, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				var out io.Writer = w
				if c.gzip {
					w.Header().Set("Content-Encoding", "gzip")
					z := gzip.NewWriter(w)
					defer z.Close()
					out = z
				}
				chunk := make([]byte, 64<<10)
				for left := c.size; left > 0; left -= len(chunk) {
					if _, err := out.Write(chunk[:min(left, len(chunk))]); err != nil {
						return
					}
				}
			})
			r, err := open(t, Options{MaxBody: 1 << 20}).Get(t.Context(), s.URL, nil)
			if (err == nil) != c.ok || err == nil && len(r.Body) != c.size || err != nil && !errors.Is(err, ErrTooLarge) {
				t.Error(err)
			}
		})
	}
}

func TestTimeLimits(t *testing.T) {
	slow := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hung":
			<-r.Context().Done()
		case "/stalls":
			w.Write(bytes.Repeat([]byte("x"), 100))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case "/drips":
			for r.Context().Err() == nil {
				w.Write([]byte("x"))
				w.(http.Flusher).Flush()
				time.Sleep(5 * time.Millisecond)
			}
		}
	}
	s := serve(t, slow)
	// The limit that isn't meant is out of reach, also of a busy machine.
	silence := Options{IdleTimeout: 50 * time.Millisecond, Timeout: time.Minute}
	whole := Options{IdleTimeout: time.Minute, Timeout: 150 * time.Millisecond}
	for path, c := range map[string]struct {
		limits Options
		want   string
	}{
		"/hung": {silence, "silence for 50ms"}, "/stalls": {silence, "silence for 50ms"}, "/drips": {whole, "no complete answer for 150ms"},
	} {
		_, err := open(t, c.limits).Get(t.Context(), s.URL+path, nil)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Permanent() || !e.Reached || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	_, err := open(t, Options{}).Within(50*time.Millisecond, 10).Get(t.Context(), s.URL+"/hung", nil)
	if err == nil || !strings.Contains(err.Error(), "50ms") {
		t.Errorf("a client that is told to wait no longer: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = open(t, Options{}).Get(ctx, s.URL+"/hung", nil)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the caller's own deadline: %v", err)
	}
}

// TestAPauseIsNoLongerThanWanted: nobody is silenced for a day by one answer.
func TestAPauseIsNoLongerThanWanted(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "86400")
		w.WriteHeader(429)
	}))
	t.Cleanup(s.Close)
	c := open(t, Options{}).Pausing(time.Minute)
	for range 2 { // asked, then held back
		_, err := c.Get(t.Context(), s.URL, nil)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.RetryAfter() > time.Minute || e.RetryAfter() < 50*time.Second {
			t.Errorf("%v", err)
		}
	}
}

func TestARefusedConnectionIsWorthAnotherTry(t *testing.T) {
	s := httptest.NewServer(nil)
	s.Close()
	_, err := open(t, Options{}).Get(t.Context(), s.URL, nil)
	if e, ok := errors.AsType[*Error](err); !ok || e.Permanent() || e.Reached {
		t.Errorf("%v", err)
	}
}

func TestAWriteIsSentOnce(t *testing.T) {
	var writes atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			io.Copy(io.Discard, r.Body)
			writes.Add(1)
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close() // taken, but not answered
		}
	})
	c := open(t, Options{})
	if _, err := c.Get(t.Context(), s.URL, nil); err != nil { // leaves a connection open
		t.Fatal(err)
	}
	req, _ := http.NewRequest("POST", s.URL, strings.NewReader("x"))
	req.Header.Set("Idempotency-Key", "k") // net/http itself would send it again
	_, err := c.Do(t.Context(), req)
	if e, ok := errors.AsType[*Error](err); !ok || e.Permanent() || !e.Reached || writes.Load() != 1 {
		t.Errorf("%d writes, %v", writes.Load(), err)
	}
}

func TestHostsAreNotOverrun(t *testing.T) {
	var now, most atomic.Int32
	s := serve(t, func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(10 * time.Millisecond)
		now.Add(-1)
	})
	c := open(t, Options{Concurrency: 2, Rate: 100, Burst: 4})
	start := time.Now()
	var wg sync.WaitGroup
	for range 14 {
		wg.Go(func() {
			if _, err := c.Get(t.Context(), s.URL, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most.Load() != 2 {
		t.Errorf("%d at a time", most.Load())
	}
	if took := time.Since(start); took < 90*time.Millisecond {
		t.Errorf("14 requests in %v, at 100 a second after 4", took)
	}
}

func TestErrorsHideSecrets(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) })
	c := open(t, Options{})
	base := strings.Replace(s.URL, "http://", "http://user:hunter2@", 1)
	for _, u := range []string{base + "/a?token=hunter2", base + "/services/T0123/B0123/hunter2aB3dE5fG7hJ9k", base + "/bot1:hunter2xxxxxxxxx/send",
		strings.Replace(base, "127.0.0.1", "127.0.0.2", 1) + "/?k=hunter2", "http://user:hunter2@\x7f/"} {
		_, err := c.Get(t.Context(), u, nil)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
	u, _ := url.Parse("https://u:p@news.example.com/2026/11/some-long-title-of-a-post?q=1#f")
	if got := Redact(u); got != "https://news.example.com/2026/11/some-long-title-of-a-post?…" {
		t.Error(got)
	}
}

func TestBehindAProxyPrivateTargetsAreStillRefused(t *testing.T) {
	var asked []string
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) { asked = append(asked, r.URL.Host) })
	u, _ := url.Parse(proxy.URL)
	c, err := New(Options{Proxy: u})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(t.Context(), "http://news.example.com/feed", nil); err != nil {
		t.Error(err)
	}
	for _, target := range []string{"http://169.254.169.254/latest", "http://localhost/", "http://[::1]/", "http://x.localhost./"} {
		if _, err := c.Get(t.Context(), target, nil); !errors.Is(err, ErrPrivate) {
			t.Errorf("%s: %v", target, err)
		}
	}
	if len(asked) != 1 || asked[0] != "news.example.com" {
		t.Errorf("the proxy was asked for %v", asked)
	}
}

func TestIdleHostsAreForgotten(t *testing.T) {
	hs := newHosts(Options{Rate: 1, Burst: 1, Concurrency: 1})
	for i := range maxHosts {
		hs.of(fmt.Sprint(i)).used = time.Now().Add(-time.Hour)
	}
	req, _ := http.NewRequest("GET", "http://x", nil)
	hs.m["7"].hold(req, time.Hour)
	hs.of("new")
	if len(hs.m) != 2 || hs.m["7"] == nil {
		t.Errorf("%d hosts left", len(hs.m))
	}
}
