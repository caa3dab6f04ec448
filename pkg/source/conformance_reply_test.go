package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// eachWith walks the kinds whose sources have an ability, each on its platform,
// with the posts of the recording.
func eachWith[A any](t *testing.T, test func(t *testing.T, k Kind, p *platform, posts []mention.Post, open func() (A, bench))) {
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		src := p.open(t, k)
		if _, ok := src.Source.(A); !ok {
			t.Skip("has no such ability")
		}
		remote(t, p)
		items, err := src.fetch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		posts := slices.DeleteFunc(postsOf(items), func(p mention.Post) bool { return p.Deleted || p.NoReply != "" })
		if len(posts) == 0 {
			t.Fatal("the recording has no post that can be answered")
		}
		test(t, k, p, posts, func() (A, bench) {
			src := p.open(t, k)
			return src.Source.(A), src
		})
	})
}

// wrote returns how many requests could have changed something since the first n.
func (p *platform) wrote(n int) int {
	writes := 0
	for _, r := range p.asked()[n:] {
		token := slices.ContainsFunc(p.exchanges, func(e exchange) bool { return e.Token && e.Request == r.Method+" "+r.URL.Path })
		if r.Method != http.MethodGet && r.Method != http.MethodHead && !token && !strings.Contains(r.URL.Path, "createSession") && !strings.Contains(r.URL.Path, "refreshSession") {
			writes++
		}
	}
	return writes
}

func answers(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// faults are what may be wrong with a platform that is asked to publish, or for
// what it published.
var faults = map[string]http.HandlerFunc{
	"too many requests": answers(429, "", "Retry-After", "120"),
	"server error":      answers(500, ""),
	"token expired":     answers(401, "{}"),
	"forbidden":         answers(403, "{}"),
	"garbage":           answers(200, "\x00<<<{[not what you think"),
	"empty":             answers(200, ""),
	"hung":              func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
}

// patience is how long each is waited for.
var patience = func() map[string]time.Duration {
	out := map[string]time.Duration{}
	for name := range faults {
		out[name] = 20 * time.Second
	}
	out["hung"] = 300 * time.Millisecond
	return out
}()

// onWrites breaks only what changes something: what is read before is as
// recorded.
func (p *platform) onWrites(fault http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			fault(w, r)
			return
		}
		p.recorded(w, r)
	}
}

// A reply is published at most once, whatever the platform does: it is never
// written twice, and what may be out is not called refused.
func TestRepliesAreWrittenAtMostOnce(t *testing.T) {
	eachWith(t, func(t *testing.T, k Kind, p *platform, posts []mention.Post, open func() (Replier, bench)) {
		for name, fault := range faults {
			for where, f := range map[string]http.HandlerFunc{"everywhere": fault, "on writing": p.onWrites(fault)} {
				p.set(f)
				rep, src := open()
				ctx, cancel := context.WithTimeout(t.Context(), patience[name])
				n := len(p.asked())
				sent, err := rep.Reply(ctx, Reply{To: posts[0], Text: "ありがとうございます。", Lang: "ja", Key: "key-1"})
				cancel()
				writes := p.wrote(n)
				// An expired token is renewed: what it was refused for is not out.
				if most := map[bool]int{true: 2, false: 1}[name == "token expired"]; writes > most {
					t.Errorf("%s %s: written %d times", name, where, writes)
				}
				if err == nil && writes == 1 && (name == "garbage" || name == "empty") {
					continue // the status says that it is out, and there is no more to say
				}
				if err == nil {
					t.Errorf("%s %s: published as %+v", name, where, sent)
					continue
				}
				r, refused := Refused(err, testNow)
				switch name {
				case "too many requests":
					if !refused || r.Reason != Limited && r.Reason != Unreachable || r.Reason == Limited && (r.Until.Sub(testNow)-2*time.Minute).Abs() > time.Second {
						t.Errorf("%s %s: %+v, %v", name, where, r, err)
					}
				case "token expired":
					if !refused || writes > 0 && r.Reason != Revoked {
						t.Errorf("%s %s: refused %v for %q: %v", name, where, refused, r.Reason, err)
					}
				case "forbidden":
					if !refused {
						t.Errorf("%s %s: not refused: %v", name, where, err)
					}
				default:
					if refused && writes > 0 {
						t.Errorf("%s %s: it may be out, but is called refused: %v", name, where, err)
					}
				}
				if strings.Contains(fmt.Sprint(err, src.log), "hunter2") {
					t.Errorf("%s %s: a secret in %v", name, where, err)
				}
			}
		}
	})
}

func TestRepliesThatAreTooLongStayHere(t *testing.T) {
	eachWith(t, func(t *testing.T, k Kind, p *platform, posts []mention.Post, open func() (Replier, bench)) {
		rep, _ := open()
		n := len(p.asked())
		_, err := rep.Reply(t.Context(), Reply{To: posts[0], Text: strings.Repeat("長い返答", 2*k.Limit.Max), Key: "key-1"})
		if r, ok := Refused(err, testNow); !ok || r.Reason != TooLong || p.wrote(n) > 0 {
			t.Errorf("refused %v for %q, written %d times: %v", ok, r.Reason, p.wrote(n), err)
		}
	})
}

// Not finding a reply counts only when the platform has answered.
func TestRepliesAreNotMissedBecauseOfAFault(t *testing.T) {
	eachWith(t, func(t *testing.T, k Kind, p *platform, posts []mention.Post, open func() (Replier, bench)) {
		for name, fault := range faults {
			p.set(fault)
			rep, _ := open()
			ctx, cancel := context.WithTimeout(t.Context(), patience[name])
			sent, err := rep.Find(ctx, Reply{To: posts[0], Text: "ありがとうございます。", Key: "key-1"})
			cancel()
			if err == nil || errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %+v, %v", name, sent, err)
			}
		}
	})
}

// An access that has ended, or a platform that is down, erases nothing.
func TestRereadingIsNotFooledByAFault(t *testing.T) {
	eachWith(t, func(t *testing.T, k Kind, p *platform, posts []mention.Post, open func() (Rereader, bench)) {
		for name, fault := range faults {
			p.set(fault)
			again, _ := open()
			ctx, cancel := context.WithTimeout(t.Context(), patience[name])
			got, err := again.Reread(ctx, posts[:min(len(posts), RereadAtOnce)])
			cancel()
			if err == nil {
				t.Errorf("%s: no error", name)
			}
			if i := slices.IndexFunc(got, func(p mention.Post) bool { return p.Deleted }); i >= 0 {
				t.Errorf("%s: %s is called deleted", name, got[i].NativeID)
			}
		}
		p.set(nil)
		again, _ := open()
		if got, err := again.Reread(t.Context(), nil); err != nil || len(got) > 0 {
			t.Errorf("of nothing: %d posts, %v", len(got), err)
		}
	})
}

func TestTimelinesPassFailuresOn(t *testing.T) {
	eachWith(t, func(t *testing.T, k Kind, p *platform, _ []mention.Post, open func() (Timeliner, bench)) {
		for name, fault := range faults {
			p.set(fault)
			own, _ := open()
			ctx, cancel := context.WithTimeout(t.Context(), patience[name])
			got, err := own.Timeline(ctx, testNow.Add(-time.Hour))
			cancel()
			if err == nil {
				t.Errorf("%s: %d posts and no error", name, len(got))
			}
		}
	})
}

// Whoever can't show that they are the platform brings nothing.
func TestPushesFromStrangersAreRefused(t *testing.T) {
	eachWith(t, func(t *testing.T, k Kind, p *platform, _ []mention.Post, open func() (Receiver, bench)) {
		for name, push := range map[string]Push{
			"nothing":        {Method: http.MethodPost, URL: "https://earshot.example/hooks/s", Header: http.Header{}},
			"no signature":   {Method: http.MethodPost, URL: "https://earshot.example/hooks/s", Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"tweet_create_events":[{"id_str":"1","text":"acme"}]}`)},
			"a false one":    {Method: http.MethodPost, URL: "https://earshot.example/hooks/s?token=guess&crc_token=1", Header: http.Header{"X-Twitter-Webhooks-Signature": {"sha256=AAAA"}, "X-Hub-Signature": {"sha256=00"}, "Authorization": {"Bearer guess"}}, Body: []byte(`{}`)},
			"garbage":        {Method: http.MethodPost, URL: "\x00", Header: http.Header{}, Body: []byte("\x00<<<{[")},
			"another method": {Method: http.MethodDelete, URL: "https://earshot.example/hooks/s", Header: http.Header{}},
		} {
			rec, src := open()
			got, err := rec.Receive(t.Context(), push)
			if len(got.Items) > 0 || err == nil && got.Status < 400 && got.Status != 0 || err == nil && got.Status == 0 {
				t.Errorf("%s: %d items, status %d, %v", name, len(got.Items), got.Status, err)
			}
			if strings.Contains(fmt.Sprint(err, src.log, string(got.Body)), "hunter2") {
				t.Errorf("%s: a secret in %v", name, err)
			}
		}
	})
}

// The recording answers a reply, and what shows it afterwards.
func TestRepliesArePublishedOnce(t *testing.T) {
	eachWith(t, func(t *testing.T, k Kind, p *platform, posts []mention.Post, open func() (Replier, bench)) {
		rep, _ := open()
		n := len(p.asked())
		sent, err := rep.Reply(t.Context(), Reply{To: posts[0], Text: "ありがとうございます。", Lang: "ja", Key: "key-1"})
		if err != nil {
			t.Fatal(err)
		}
		if writes := p.wrote(n); writes != 1 || sent.NativeID == "" || sent.URL != "" && webURL(sent.URL) == "" {
			t.Errorf("written %d times: %+v", writes, sent)
		}
	})
}
