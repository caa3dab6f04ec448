package source

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
)

var update = flag.Bool("update", false, "rewrite the expected posts")

var testNow = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// platform answers requests from a folder of recorded exchanges:
//
//	config.yaml      configuration, with {{server}} and {{ws}} for addresses,
//	                 {{p8}} and {{rsa}} for private keys in a quoted text; every
//	                 secret must be set, and contain "hunter2"
//	exchanges.json   requests and their answers; must hold a malformed item.
//	                 {{server}} in a file is the address
//	empty.*          an answer without items
//	want.json        the posts they give, written by -update
type platform struct {
	dir       string
	exchanges []exchange
	server    *httptest.Server
	timeout   time.Duration // of a request; 0 for that of the program

	mu       sync.Mutex
	fault    http.HandlerFunc // answers instead, if set
	whole    bool             // fault answers requests for tokens as well
	requests []*http.Request
}

type exchange struct {
	Request string // "GET /path?query"; without query any
	Status  int
	Header  map[string]string
	File    string
	Body    json.RawMessage
	Stream  string // file of messages sent over a WebSocket
	// Token marks the answer to a request for a token, which comes also when the
	// platform itself is at fault.
	Token bool
}

func newPlatform(t *testing.T, kind string) *platform {
	t.Helper()
	p := &platform{dir: filepath.Join("testdata", kind)}
	raw, err := os.ReadFile(filepath.Join(p.dir, "exchanges.json"))
	if err == nil {
		if err := json.Unmarshal(raw, &p.exchanges); err != nil {
			t.Fatal(err)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	p.server = httptest.NewServer(p)
	t.Cleanup(func() {
		p.server.CloseClientConnections()
		p.server.Close()
	})
	return p
}

func (p *platform) set(fault http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.whole = fault, false
}

// setAll is set for requests for tokens as well.
func (p *platform) setAll(fault http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.whole = fault, true
}

func (p *platform) asked() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	fault, whole := p.fault, p.whole
	kept := r.Clone(context.Background())
	kept.Form, _ = url.ParseQuery(string(body))
	p.requests = append(p.requests, kept)
	p.mu.Unlock()
	i := slices.IndexFunc(p.exchanges, func(e exchange) bool { return e.Request == r.Method+" "+r.URL.RequestURI() })
	if i < 0 {
		i = slices.IndexFunc(p.exchanges, func(e exchange) bool { return e.Request == r.Method+" "+r.URL.Path })
	}
	if fault != nil && (whole || i < 0 || !p.exchanges[i].Token) {
		r.Body = io.NopCloser(bytes.NewReader(body))
		fault(w, r)
		return
	}
	p.recorded(w, r)
}

// recorded answers r from the recording.
func (p *platform) recorded(w http.ResponseWriter, r *http.Request) {
	i := slices.IndexFunc(p.exchanges, func(e exchange) bool { return e.Request == r.Method+" "+r.URL.RequestURI() })
	if i < 0 {
		i = slices.IndexFunc(p.exchanges, func(e exchange) bool { return e.Request == r.Method+" "+r.URL.Path })
	}
	if i < 0 {
		http.Error(w, "no exchange for "+r.Method+" "+r.URL.RequestURI(), http.StatusTeapot)
		return
	}
	e := p.exchanges[i]
	if e.Stream != "" {
		p.stream(w, r, e.Stream)
		return
	}
	for k, v := range e.Header {
		w.Header().Set(k, v)
	}
	if tag := e.Header["ETag"]; tag != "" && r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.WriteHeader(e.Status)
	if e.File != "" {
		raw, err := os.ReadFile(filepath.Join(p.dir, e.File))
		if err != nil {
			panic(err)
		}
		e.Body = bytes.ReplaceAll(raw, []byte("{{server}}"), []byte(p.server.URL))
	}
	w.Write(e.Body)
}

// stream sends the messages from the asked time on, then closes.
func (p *platform) stream(w http.ResponseWriter, r *http.Request, file string) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	raw, err := os.ReadFile(filepath.Join(p.dir, file))
	if err != nil {
		panic(err)
	}
	var since, at struct {
		TimeUS int64 `json:"time_us"`
	}
	fmt.Sscan(r.URL.Query().Get("cursor"), &since.TimeUS)
	for row := range bytes.Lines(raw) {
		json.Unmarshal(row, &at)
		if at.TimeUS >= since.TimeUS {
			conn.Write(r.Context(), websocket.MessageText, bytes.TrimSpace(row))
		}
	}
	conn.Close(websocket.StatusGoingAway, "end of recording")
}

func (p *platform) config(t *testing.T) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(p.dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	if strings.Contains(text, "{{imap}}") {
		text = strings.ReplaceAll(text, "{{imap}}", recordedMails(t, p.dir).port)
	}
	return []byte(strings.NewReplacer(
		"{{server}}", p.server.URL, "{{ws}}", strings.Replace(p.server.URL, "http", "ws", 1),
		"{{p8}}", escaped(testKeys().ec), "{{rsa}}", escaped(testKeys().rsa),
	).Replace(text))
}

// testKeys are private keys as PEM files, made for this run.
var testKeys = sync.OnceValue(func() (keys struct{ ec, rsa string }) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	keys.ec, keys.rsa = pemFile(ec), pemFile(big)
	return keys
})

func pemFile(key any) string {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// escaped is text as it stands between quotes.
func escaped(text string) string { return strings.ReplaceAll(text, "\n", `\n`) }

// bench is a fresh source of a kind with what it logs.
type bench struct {
	Source
	log *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (p *platform) open(t *testing.T, k Kind) bench {
	t.Helper()
	client, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.1"}, MaxBody: 1 << 20, Rate: 1000, Burst: 1000, Timeout: p.timeout})
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	if len(p.exchanges) == 0 {
		if err := os.CopyFS(filepath.Join(data, "replay"), os.DirFS(p.dir)); err != nil {
			t.Fatal(err)
		}
	}
	log := &syncBuffer{}
	deps := Deps{
		HTTP: client, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:   func() time.Time { return testNow },
		Terms: func() Terms { return Terms{Words: []string{"acme", "アクメ"}, Hashtags: []string{"acme"}} },
		Data:  data,
		Keep:  Memory(),
	}
	src, err := k.Open(p.config(t), deps)
	if err != nil {
		t.Fatal(err)
	}
	letIn(t, src, deps)
	return bench{src, log}
}

// letIn keeps a person's consent for src, if it wants one.
func letIn(t *testing.T, src Source, d Deps) {
	t.Helper()
	c, ok := src.(Consenter)
	if !ok {
		return
	}
	var g Grant
	if err := d.Keep.Update(t.Context(), tokenName, &g, func() (bool, error) {
		g = Grant{Client: c.Consent().ClientID, Token: oauth2.Token{AccessToken: "hunter2-consented", Expiry: d.Now().Add(time.Hour)}}
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
}

// fetch collects what a source yields. A stream's end is no error here: the
// recording is over.
func (b bench) fetch(ctx context.Context, cursor string) (items []Item, err error) {
	for it, e := range b.Fetch(ctx, cursor) {
		if e != nil {
			err = e
			break
		}
		items = append(items, it)
	}
	if b.Poll() == 0 && err != nil && (strings.Contains(err.Error(), "end of recording") || strings.Contains(err.Error(), errMailClosed.Error())) {
		err = nil
	}
	return items, err
}

// golden writes posts for reading: only what is set.
func golden(t *testing.T, posts []mention.Post) []byte {
	t.Helper()
	raw, err := json.Marshal(posts)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	json.Unmarshal(raw, &v)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(compact(v)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func compact(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			// A count of none is not one that nobody knows.
			if x = compact(x); x == nil || k == "Rating" && x == 0.0 {
				delete(v, k)
			} else {
				v[k] = x
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			v[i] = compact(v[i])
		}
	case string:
		if v == "" || v == "0001-01-01T00:00:00Z" {
			return nil
		}
	case bool:
		if !v {
			return nil
		}
	}
	return v
}

func postsOf(items []Item) []mention.Post {
	var out []mention.Post
	for _, it := range items {
		if it.Post.NativeID != "" {
			out = append(out, it.Post)
		}
	}
	return out
}

func eachKind(t *testing.T, test func(t *testing.T, k Kind, p *platform)) {
	for _, k := range Kinds {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			test(t, k, newPlatform(t, k.Name))
		})
	}
}

// remote skips kinds that ask nobody.
func remote(t *testing.T, p *platform) {
	t.Helper()
	if len(p.exchanges) == 0 {
		t.Skip("asks nobody")
	}
}

func TestSourcesGiveTheRecordedPosts(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		src := p.open(t, k)
		items, err := src.fetch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		got := postsOf(items)
		for i := range got {
			if strange := len(p.exchanges) > 0 && (got[i].SeenAt != testNow || got[i].Intake != mention.Live); strange || got[i].SeenAt.IsZero() || got[i].Platform == "" || got[i].PublishedAt.IsZero() || got[i].Source != "" {
				t.Errorf("%s: seen %v, intake %q, platform %q, published %v, source %q", got[i].NativeID, got[i].SeenAt, got[i].Intake, got[i].Platform, got[i].PublishedAt, got[i].Source)
			}
		}
		if !strings.Contains(src.log.String(), `msg="item skipped"`) {
			t.Errorf("the recording has no malformed item that was skipped:\n%s", src.log)
		}
		raw := golden(t, got)
		raw = bytes.ReplaceAll(raw, []byte(strings.TrimPrefix(p.server.URL, "http://")), []byte("server.example"))
		raw = bytes.ReplaceAll(raw, []byte("127.0.0.1"), []byte("server.example"))
		name := filepath.Join(p.dir, "want.json")
		if *update {
			if err := os.WriteFile(name, raw, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(raw)); d != "" {
			t.Error(d)
		}
	})
}

func TestSourcesResumeWithoutLossOrRepeat(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		items, err := p.open(t, k).fetch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if len(postsOf(items)) < 2 {
			t.Fatalf("only %d posts recorded", len(postsOf(items)))
		}
		for i, it := range items {
			rest, err := p.open(t, k).fetch(t.Context(), it.Cursor)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(postsOf(items[i+1:]), postsOf(rest)); d != "" {
				t.Errorf("after item %d (%s), cursor %s:\n%s", i, it.Post.NativeID, it.Cursor, d)
			}
		}
	})
}

func TestSourcesStopWhenTheirReaderStops(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		n := 0
		for range p.open(t, k).Fetch(t.Context(), "") {
			n++
			break
		}
		if n != 1 {
			t.Errorf("%d items", n)
		}
	})
}

func TestSourcesRefuseAForeignCursor(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		items, err := p.open(t, k).fetch(t.Context(), "}nonsense{")
		if err == nil || len(items) > 0 {
			t.Errorf("%d items, %v", len(items), err)
		}
	})
}

func TestSourcesSurviveAnEmptyPage(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		remote(t, p)
		first, err := p.open(t, k).fetch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		files, _ := filepath.Glob(filepath.Join(p.dir, "empty.*"))
		if len(files) != 1 {
			t.Fatalf("%d files empty.* in %s", len(files), p.dir)
		}
		p.set(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") != "" {
				p.stream(w, r, filepath.Base(files[0]))
				return
			}
			http.ServeFile(w, r, files[0])
		})
		cursor := first[len(first)-1].Cursor
		for range 2 {
			items, err := p.open(t, k).fetch(t.Context(), cursor)
			if err != nil || len(postsOf(items)) > 0 {
				t.Fatalf("%d posts, %v", len(postsOf(items)), err)
			}
			for _, it := range items {
				cursor = it.Cursor
			}
		}
		p.set(nil)
		items, err := p.open(t, k).fetch(t.Context(), cursor)
		if err != nil || len(postsOf(items)) > 0 {
			t.Errorf("after the empty page: %d repeats, %v", len(postsOf(items)), err)
		}
	})
}

func TestSourcesPassFailuresOn(t *testing.T) {
	status := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
		}
	}
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		remote(t, p)
		for _, c := range []struct {
			name      string
			fault     http.HandlerFunc
			permanent bool
			after     time.Duration
		}{
			{"too many requests", status(429, "Retry-After", "120"), false, 2 * time.Minute},
			{"server error", status(500), false, 0},
			{"forbidden", status(403), true, 0},
			{"redirect into the void", status(302, "Location", "http://169.254.169.254/"), true, 0},
		} {
			p.set(c.fault)
			src := p.open(t, k)
			items, err := src.fetch(t.Context(), "")
			e, ok := errors.AsType[*outbound.Error](err)
			if !ok || e.Permanent() != c.permanent || (e.RetryAfter()-c.after).Abs() > time.Second || len(items) > 0 {
				t.Errorf("%s: %d items, %v", c.name, len(items), err)
			}
		}
	})
}

func TestSourcesGiveUpOnAHungServer(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		remote(t, p)
		p.set(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		if _, err := p.open(t, k).fetch(ctx, ""); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestSourcesRefuseAnOversizedBody(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		remote(t, p)
		p.set(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") != "" {
				if conn, err := websocket.Accept(w, r, nil); err == nil {
					conn.Write(r.Context(), websocket.MessageText, bytes.Repeat([]byte(" "), 3<<20))
					conn.CloseNow()
				}
				return
			}
			w.Write(bytes.Repeat([]byte(" "), 3<<20))
		})
		if items, err := p.open(t, k).fetch(t.Context(), ""); err == nil || len(items) > 0 {
			t.Errorf("%d items, %v", len(items), err)
		}
	})
}

func TestSourcesSurviveGarbage(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		remote(t, p)
		p.set(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "\x00<<<{[not what you think") })
		if items, err := p.open(t, k).fetch(t.Context(), ""); err == nil || len(items) > 0 {
			t.Errorf("%d items, %v", len(items), err)
		}
	})
}

func TestSourcesNeverPrintTheirSecrets(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		raw := string(p.config(t))
		secrets := 0
		for _, f := range k.Fields() {
			if f.Secret {
				secrets++
				if !regexp.MustCompile(`(?m)^ *` + f.Key + `: .*hunter2`).MatchString(raw) {
					t.Errorf("config.yaml does not set %s to something with hunter2", f.Key)
				}
			}
		}
		if secrets == 0 {
			t.Skip("has no secrets")
		}
		for _, fault := range []http.HandlerFunc{nil, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(401)
			fmt.Fprintf(w, `{"error": "bad token %s"}`, r.Header.Get("Authorization"))
		}} {
			p.set(fault)
			src := p.open(t, k)
			items, err := src.fetch(t.Context(), "")
			if printed := fmt.Sprintf("%v %+v %#v %s %v", items, src.Source, src.Source, src.log, err); fault == nil && strings.Contains(printed, "hunter2") {
				t.Errorf("found in %s", printed)
			} else if fault != nil && strings.Contains(printed, "hunter2") {
				t.Errorf("an echo of the platform brings it back: %v", err)
			}
		}
	})
}

func TestEveryKindDeclaresItsDuties(t *testing.T) {
	names := map[string]bool{}
	for _, k := range Kinds {
		if k.Duties.Deletions == "" || k.Platform == "" || k.Doc == "" || names[k.Name] {
			t.Errorf("%s: %+v", k.Name, k.Duties)
		}
		names[k.Name] = true
		if got, ok := Named(k.Name); !ok || got.Name != k.Name {
			t.Errorf("%s is not found by its name", k.Name)
		}
		p := newPlatform(t, k.Name)
		if _, replies := p.open(t, k).Source.(Replier); replies != (k.Limit.Max > 0) {
			t.Errorf("%s: replies %t, limit %+v", k.Name, replies, k.Limit)
		}
	}
	for _, p := range []string{"x", "elsewhere"} {
		if d := DutiesOf(p); d.MayTrain || d.MayLeave || d.Deletions == "" {
			t.Errorf("%s: %+v", p, d)
		}
	}
}

// given is what each platform gives with the posts it lists: all else is empty,
// not zero, until somebody completes the post. See [Completer].
var given = map[string]string{
	"appstore":        "likes rating", // found helpful
	"appstoreconnect": "answers rating",
	"bluesky":         "media parent",
	"blueskyaccount":  "likes media parent replies reposts",
	"email":           "media parent",
	"feed":            "media replies",
	"googlebusiness":  "answers media rating",
	"googleplay":      "answers likes rating",
	"hackernews":      "likes media parent replies",
	"mastodon":        "likes media parent reach replies reposts",
	"reddit":          "likes media parent replies reposts",
	"sandbox":         "rating", // and what else its file says
	"trustpilot":      "answers likes rating",
	"x":               "likes media parent reach replies reposts",
	"youtube":         "answers likes parent replies",
}

func TestSourcesFillWhatTheirPlatformsGive(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		items, err := p.open(t, k).fetch(t.Context(), "")
		if streams := k.Name == "bluesky"; err != nil && !streams {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, p := range postsOf(items) {
			for name, is := range map[string]bool{
				"reach": p.Author.Followers != nil, "likes": p.Metrics.Likes != nil, "reposts": p.Metrics.Reposts != nil, "replies": p.Metrics.Replies != nil,
				"rating": p.Rating > 0, "media": len(p.Media) > 0, "parent": p.Thread.Parent != "", "answers": len(p.Comments) > 0,
			} {
				if is {
					seen[name] = true
				}
			}
		}
		if got := strings.Join(slices.Sorted(maps.Keys(seen)), " "); got != given[k.Name] {
			t.Errorf("gives %q, want %q", got, given[k.Name])
		}
	})
}
