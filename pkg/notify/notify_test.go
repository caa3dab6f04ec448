package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// theSecret stands in every place of a configuration that holds a secret; it
// has no digits, so that nothing finds it by its looks.
const theSecret = "unmistakablysecret"

// configs says how each kind is pointed at a fake far side: the address for
// HTTP, host and port for mail. A kind without an entry fails the tests.
var configs = map[string]func(addr string) map[string]any{
	"pagerduty": func(addr string) map[string]any {
		return map[string]any{"routing_key": theSecret, "url": "http://" + addr + "/v2/enqueue/" + theSecret}
	},
	"webhook": func(addr string) map[string]any {
		return map[string]any{"url": "http://" + addr + "/hook/" + theSecret + "?k=" + theSecret, "secret": theSecret, "next_secret": theSecret + "too"}
	},
	"slack": func(addr string) map[string]any {
		return map[string]any{"url": "http://" + addr + "/services/TTTT/BBBB/" + theSecret}
	},
	"teams": func(addr string) map[string]any {
		return map[string]any{"url": "http://" + addr + "/workflows/" + theSecret + "/triggers/manual/paths/invoke?sig=" + theSecret}
	},
	"lineworks": func(addr string) map[string]any {
		return map[string]any{
			"bot_id": "2000001", "channel_id": "room-1", "client_id": "client", "client_secret": theSecret, "service_account": "a.serviceaccount@kumo",
			"private_key": serviceKey, "api": "http://" + addr + "/v1.0", "auth": "http://" + addr + "/oauth2/v2.0/token",
		}
	},
	"line": func(addr string) map[string]any {
		return map[string]any{"token": theSecret, "to": "C0123", "api": "http://" + addr}
	},
	"goalert": func(addr string) map[string]any {
		return map[string]any{"url": "http://" + addr + "/api/v2/generic/incoming?token=" + theSecret}
	},
	"alertmanager": func(addr string) map[string]any {
		return map[string]any{"url": "http://" + addr, "token": theSecret, "labels": map[string]any{"team": "pr"}}
	},
	"shoutrrr": func(addr string) map[string]any {
		return map[string]any{"url": "ntfy://" + addr + "/" + theSecret + "?scheme=http"}
	},
	"sandbox": func(string) map[string]any { return map[string]any{} },
	"email": func(addr string) map[string]any {
		host, port, _ := net.SplitHostPort(addr)
		return map[string]any{"host": host, "port": json.Number(port), "security": "none", "from": "Earshot <pager@earshot.example>"}
	},
}

// answer is what a far side does with a page.
type answer int

const (
	take    answer = iota // 2xx, 250
	refuse4               // 4xx, 550
	later                 // 429 with Retry-After, 451
	broken                // 5xx, 421
	hang
)

// far is a fake far side of any kind.
type far struct {
	addr string
	mu   sync.Mutex
	says answer
	got  []string // requests or mails, as text
	done chan struct{}
}

func (f *far) take(request string) answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, request)
	return f.says
}

func (f *far) answer(a answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.says, f.got = a, nil
	os.Remove(filepath.Join(f.addr, sandboxDefaults.File))
}

func (f *far) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b, err := os.ReadFile(filepath.Join(f.addr, sandboxDefaults.File)); err == nil {
		return []string{string(b)}
	}
	return slices.Clone(f.got)
}

func startFar(t *testing.T, kind string) *far {
	f := &far{done: make(chan struct{})}
	switch kind {
	case "email":
		f.startMail(t, nil)
	case "sandbox":
		f.addr = t.TempDir()
	default:
		srv := httptest.NewServer(http.HandlerFunc(f.serveHTTP))
		t.Cleanup(srv.Close)
		f.addr = strings.TrimPrefix(srv.URL, "http://")
	}
	t.Cleanup(func() { close(f.done) }) // before the server closes
	return f
}

func (f *far) serveHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var pretty bytes.Buffer
	if json.Indent(&pretty, body, "", "  ") != nil {
		pretty.Write(body)
	}
	head := fmt.Sprintf("%s %s\n", r.Method, r.URL.Path)
	if r.URL.Path == "/oauth2/v2.0/token" { // of LINE WORKS; see TestLineWorksToken
		io.WriteString(w, `{"access_token":"`+theSecret+`","token_type":"Bearer","expires_in":"86400"}`)
		return
	}
	for _, k := range []string{"Authorization", "Content-Type", "X-Line-Retry-Key", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"} {
		if v := r.Header.Get(k); v != "" {
			head += k + ": " + v + "\n"
		}
	}
	switch f.take(head + "\n" + pretty.String() + "\n") {
	case take:
		w.WriteHeader(http.StatusAccepted)
	case refuse4:
		http.Error(w, "no such thing as "+theSecret, http.StatusForbidden)
	case later:
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
	case broken:
		w.WriteHeader(http.StatusBadGateway)
	case hang:
		select {
		case <-f.done:
		case <-r.Context().Done():
		}
	}
}

// startMail starts a real SMTP server.
func (f *far) startMail(t *testing.T, with func(*smtp.Server)) {
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailSession{far: f}, nil }))
	srv.Domain = "mail.example"
	srv.ErrorLog = quiet{}
	if with != nil {
		with(srv)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.addr = l.Addr().String()
	var wg sync.WaitGroup
	wg.Go(func() { srv.Serve(l) })
	t.Cleanup(func() { srv.Close(); wg.Wait() })
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

type mailSession struct {
	far      *far
	from, to string
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error { s.from = from; return nil }
func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error   { s.to += to + " "; return nil }
func (s *mailSession) Reset()                                      { s.from, s.to = "", "" }
func (s *mailSession) Logout() error                               { return nil }
func (s *mailSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	switch s.far.take(readable(raw)) {
	case refuse4:
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "no such thing as " + theSecret}
	case later:
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "later"}
	case broken:
		return &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "going down"}
	case hang:
		<-s.far.done
	}
	return nil
}

// readable decodes a mail for the golden files.
func readable(raw []byte) string {
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return "unreadable mail: " + err.Error()
	}
	var b strings.Builder
	for _, k := range []string{"From", "To", "Subject", "Date", "Message-Id", "In-Reply-To", "References", "Auto-Submitted", "Importance", "Content-Type"} {
		v, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get(k))
		if err != nil {
			v = "undecodable: " + m.Header.Get(k)
		}
		if v != "" {
			b.WriteString(k + ": " + v + "\n")
		}
	}
	body, err := io.ReadAll(decoded(m))
	if err != nil {
		return "unreadable body: " + err.Error()
	}
	return b.String() + "\n" + strings.ReplaceAll(string(body), "\r\n", "\n")
}

func newClient(t *testing.T) *outbound.Client {
	c, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.1"}, Rate: 1000, Burst: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func open(t *testing.T, name, addr string, extra map[string]any) Notifier {
	t.Helper()
	conf := configs[name]
	if conf == nil {
		t.Fatalf("no configuration for %q in this test: add one, and its folder under testdata", name)
	}
	c := conf(addr)
	for k, v := range extra {
		c[k] = v
	}
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(Kinds, func(k Kind) bool { return k.Name == name })
	n, err := Kinds[i].Open(raw, Deps{Client: newClient(t), Now: func() time.Time { return noon }, Data: addr})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var (
	noon  = time.Date(2026, 10, 6, 3, 0, 0, 0, time.UTC)
	tokyo = time.FixedZone("JST", 9*3600)
)

func samplePage(lang string) Page {
	p := Page{
		Key: "esc234.0123456789abcdef", Action: escalation.Trigger, Stands: escalation.Trigger, Escalation: "esc234", Brand: "Kumo Café",
		Category: mention.SafetyHazard, Origin: escalation.ByVerdict, Urgency: escalation.Wake, Reason: "burn.hot_drink",
		Excerpt: "The lid came off and my hand is burnt <b>badly</b> & nobody helped", Author: "aoi_x", Platform: "x",
		Count: 3, Reach: 12345, URL: "https://desk.example/cases/m1", AckURL: "https://desk.example/ack/esc234",
		To: Recipient{Name: "Tanaka Ben", Email: "ben@kumo.example"}, At: noon.In(tokyo), Lang: lang,
	}
	if lang == "ja" {
		p.Brand, p.To.Name = "くもカフェ", "田中 勉"
		p.Excerpt = "ふたが外れて手をやけどした<b>のに</b>店員は笑って見ていた & 最悪"
	}
	return p
}

// pageFor is a sample that notifiers of kind take.
func pageFor(kind, lang string) Page {
	p := samplePage(lang)
	if kind == "shoutrrr" {
		p.Urgency = escalation.Notify
	}
	return p
}

func ended(p Page, a escalation.Action) Page {
	p.Action, p.Stands, p.By, p.Key = a, a, "田中", "esc234.fedcba9876543210"
	if p.Lang == "en" {
		p.By = "Tanaka"
	}
	return p
}

func TestConformance(t *testing.T) {
	for _, k := range Kinds {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			if k.Name == "sandbox" {
				t.Skip("it has no far side; see TestSandbox")
			}
			f := startFar(t, k.Name)
			n := open(t, k.Name, f.addr, nil)
			for _, tt := range []struct {
				name      string
				says      answer
				fails     bool
				permanent bool
				after     time.Duration
			}{
				{"taken", take, false, false, 0},
				{"refused for good", refuse4, true, true, 0},
				{"broken for now", broken, true, false, 0},
				{"too many for now", later, true, false, 7 * time.Second},
			} {
				t.Run(tt.name, func(t *testing.T) {
					f.answer(tt.says)
					err := tell(t.Context(), n, pageFor(k.Name, "en"))
					if (err != nil) != tt.fails || permanent(err) != tt.permanent {
						t.Errorf("%v, permanent %v, want failure %v, permanent %v", err, permanent(err), tt.fails, tt.permanent)
					}
					if k.Name != "email" && retryAfter(err).Round(time.Second) != tt.after {
						t.Errorf("pause of %v, want %v", retryAfter(err), tt.after)
					}
					if len(f.requests()) != 1 {
						t.Errorf("%d requests, want 1: retries are the ladder's", len(f.requests()))
					}
					holdsNoSecret(t, err)
				})
			}
			t.Run("a far side that hangs is given up with the context", func(t *testing.T) {
				f := startFar(t, k.Name)
				n := open(t, k.Name, f.addr, nil)
				f.answer(hang)
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				start := time.Now()
				err := tell(ctx, n, pageFor(k.Name, "en"))
				if err == nil || permanent(err) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v, want a deadline that was exceeded", err)
				}
				if took := time.Since(start); took > 5*time.Second {
					t.Errorf("gave up after %v", took)
				}
				holdsNoSecret(t, err)
			})
			t.Run("nobody there may pass", func(t *testing.T) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				l.Close()
				err = tell(t.Context(), open(t, k.Name, l.Addr().String(), nil), pageFor(k.Name, "en"))
				if err == nil || permanent(err) {
					t.Errorf("%v, want an error that may pass", err)
				}
				holdsNoSecret(t, err)
			})
			t.Run("an address that may not be reached is refused for good", func(t *testing.T) {
				raw, _ := json.Marshal(configs[k.Name](f.addr))
				guarded, err := outbound.New(outbound.Options{})
				if err != nil {
					t.Fatal(err)
				}
				n, err := k.Open(raw, Deps{Client: guarded})
				if err != nil {
					t.Fatal(err)
				}
				if err := tell(t.Context(), n, pageFor(k.Name, "en")); !permanent(err) || !errors.Is(err, outbound.ErrPrivate) {
					t.Errorf("%v, want a private address refused", err)
				}
			})
			t.Run("a retry is the same message", func(t *testing.T) {
				f := startFar(t, k.Name)
				n := open(t, k.Name, f.addr, nil)
				f.answer(broken)
				p := pageFor(k.Name, "ja")
				if err := tell(t.Context(), n, p); err == nil {
					t.Fatal("no failure to retry")
				}
				first := f.requests()
				f.answer(take)
				if err := tell(t.Context(), n, p); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(first, f.requests()); diff != "" {
					t.Error(diff)
				}
			})
			t.Run("it doesn't print its secret", func(t *testing.T) {
				if text := fmt.Sprintf("%v %+v %#v", n, n, n); strings.Contains(text, theSecret) {
					t.Errorf("printed %s", text)
				}
			})
			t.Run("unset references to secrets are refused by name", func(t *testing.T) {
				secrets := map[string]any{}
				for _, field := range k.Fields() {
					if field.Secret {
						secrets[field.Key] = "env:EARSHOT_SECRET_UNSET"
					}
				}
				if k.Name == "email" {
					secrets["username"], secrets["security"] = "earshot", "starttls"
				}
				if k.Name == "slack" {
					delete(secrets, "token") // one or the other
				}
				err := tell(t.Context(), open(t, k.Name, f.addr, secrets), pageFor(k.Name, "en"))
				if !permanent(err) || !strings.Contains(err.Error(), "EARSHOT_SECRET_UNSET") {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// TestMessages compares what every kind sends with the files of its folder.
// Run with -update after a change of words, and read the difference.
func TestMessages(t *testing.T) {
	for _, k := range Kinds {
		f := startFar(t, k.Name)
		n := open(t, k.Name, f.addr, nil)
		for _, lang := range []string{"ja", "en"} {
			p := pageFor(k.Name, lang)
			storm := p
			storm.Origin, storm.Category, storm.Urgency, storm.Reason = escalation.ByVolume, "", escalation.Notify, "42 / 6.5"
			storm.Excerpt, storm.Author, storm.Platform, storm.Count, storm.Reach = "", "", "", 42, 0
			for name, p := range map[string]Page{
				"trigger": p, "volume": storm,
				"acknowledge": ended(p, escalation.Acknowledge), "resolve": ended(p, escalation.Resolve),
			} {
				t.Run(k.Name+"/"+lang+"-"+name, func(t *testing.T) {
					f.answer(take)
					if err := tell(t.Context(), n, p); err != nil {
						t.Fatal(err)
					}
					golden(t, filepath.Join("testdata", k.Name, lang+"-"+name+".golden"), strings.Join(f.requests(), "\n"))
				})
			}
			t.Run(k.Name+"/"+lang+"-test", func(t *testing.T) {
				f.answer(take)
				if _, err := Test(t.Context(), n, "test.1", lang, p.To, noon); err != nil {
					t.Fatal(err)
				}
				golden(t, filepath.Join("testdata", k.Name, lang+"-test.golden"), strings.Join(f.requests(), "\n"))
			})
		}
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	got = strings.ReplaceAll(got, theSecret, "SECRET")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run with -update", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestWithoutQuoteTheAuthorStaysInTheDesk(t *testing.T) {
	for _, k := range Kinds {
		t.Run(k.Name, func(t *testing.T) {
			f := startFar(t, k.Name)
			quote := map[string]any{"quote": false}
			if k.Name == "sandbox" {
				quote = nil // it never quotes
			}
			n := open(t, k.Name, f.addr, quote)
			p := pageFor(k.Name, "en")
			p.Title = "The lid of my cup"
			if err := tell(t.Context(), n, p); err != nil {
				t.Fatal(err)
			}
			got := f.requests()[0]
			for _, word := range []string{p.Author, "burnt", "The lid"} {
				if strings.Contains(got, word) {
					t.Errorf("%q is told:\n%s", word, got)
				}
			}
			if !strings.Contains(got, p.URL) {
				t.Errorf("no link to the case:\n%s", got)
			}
		})
	}
}

// tell is an attempt of which only the error matters.
func tell(ctx context.Context, n Notifier, p Page) error {
	_, err := n.Notify(ctx, p)
	return err
}

func permanent(err error) bool {
	p, ok := errors.AsType[interface {
		error
		Permanent() bool
	}](err)
	return ok && p.Permanent()
}

func retryAfter(err error) time.Duration {
	r, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err)
	if !ok {
		return 0
	}
	return r.RetryAfter()
}

func holdsNoSecret(t *testing.T, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		if strings.Contains(e.Error(), theSecret) {
			t.Errorf("the error tells the secret: %v", e)
		}
	}
}
