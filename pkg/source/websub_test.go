package source

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/outbound"
)

// publisher is a feed and its hub, after W3C's WebSub.
type publisher struct {
	url   string
	subs  []url.Values
	items string
	moved string // where the hub sends to; empty: it takes subscriptions itself
}

func newPublisher(t *testing.T) *publisher {
	p := &publisher{}
	p.url = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hub" && p.moved != "" {
			w.Header().Set("Location", p.moved)
			w.WriteHeader(http.StatusPermanentRedirect)
			return
		}
		if r.URL.Path == "/hub" || r.URL.Path == "/elsewhere" {
			r.ParseForm()
			p.subs = append(p.subs, r.PostForm)
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Write([]byte(p.feed()))
	})
	return p
}

func (p *publisher) feed() string {
	return `<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom"><title>Shop news</title><id>urn:f</id><updated>2026-11-20T10:00:00Z</updated>
<link rel="hub" href="/hub"/><link rel="self" href="` + p.url + `/feed"/>` + p.items + `</feed>`
}

func entry(id, title string) string {
	return "<entry><id>urn:" + id + "</id><title>" + title + "</title><updated>2026-11-20T10:00:00Z</updated></entry>"
}

const ourHook = "https://earshot.example/hooks/feed-1"

// asks is the question of a hub.
func asks(mode, topic string) Push {
	return Push{Method: "GET", URL: ourHook + "?" + url.Values{"hub.mode": {mode}, "hub.topic": {topic}, "hub.challenge": {"c0ffee"}, "hub.lease_seconds": {"864000"}}.Encode()}
}

func pushed(secret, body string) Push {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return Push{Method: "POST", URL: ourHook, Body: []byte(body), Header: http.Header{"X-Hub-Signature": {"sha256=" + hex.EncodeToString(mac.Sum(nil))}, "Content-Type": {"application/atom+xml"}}}
}

func TestFeedsArePushed(t *testing.T) {
	p := newPublisher(t)
	p.items = entry("1", "an old one")
	now := testNow
	d := testDeps(t)
	d.Keep, d.Now = Memory(), func() time.Time { return now }
	cfg := fmt.Sprintf("{url: %s/feed, hook: %s}", p.url, ourHook)
	src := openKind(t, "feed", cfg, d).Source.(*feed)

	if got, err := src.Receive(t.Context(), asks("subscribe", p.url+"/feed")); err != nil || got.Status != http.StatusNotFound {
		t.Errorf("before anything was asked for: %+v, %v", got, err)
	}
	if _, err := (bench{src, nil}).fetch(t.Context(), ""); err != nil || len(p.subs) != 1 {
		t.Fatal(len(p.subs), err)
	}
	sub := p.subs[0]
	if sub.Get("hub.mode") != "subscribe" || sub.Get("hub.callback") != ourHook || sub.Get("hub.topic") != p.url+"/feed" || len(sub.Get("hub.secret")) < 20 {
		t.Errorf("%v", sub)
	}
	if src.Poll() != 5*time.Minute {
		t.Error("the hub has not agreed yet", src.Poll())
	}
	if got, err := src.Receive(t.Context(), asks("subscribe", "https://elsewhere.example/")); err != nil || got.Status != http.StatusNotFound {
		t.Errorf("for another topic: %+v, %v", got, err)
	}
	if got, err := src.Receive(t.Context(), asks("subscribe", p.url+"/feed")); err != nil || got.Status != 0 || string(got.Body) != "c0ffee" || src.Poll() != time.Hour {
		t.Errorf("%+v, %v, poll %v", got, err, src.Poll())
	}

	// Another process takes the push; it knows the secret from what is kept.
	other := openKind(t, "feed", cfg, d).Source.(*feed)
	p.items = entry("2", "返金について")
	got, err := other.Receive(t.Context(), pushed(sub.Get("hub.secret"), p.feed()))
	if err != nil || got.Status != http.StatusAccepted || len(got.Items) != 1 || got.Items[0].Post.Title != "返金について" || got.Items[0].Post.NativeID != "urn:2" {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = other.Receive(t.Context(), pushed("a guess", p.feed()))
	if err != nil || got.Status != http.StatusAccepted || len(got.Items) != 0 {
		t.Errorf("with another's signature: %+v, %v", got, err)
	}
	if _, err = other.Receive(t.Context(), pushed(sub.Get("hub.secret"), "not a feed")); err == nil {
		t.Error("what is no feed was taken")
	}

	// It is renewed before it ends, and not before.
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{8 * 24 * time.Hour, 1}, {9*24*time.Hour + time.Minute, 2}, {9*24*time.Hour + 2*time.Minute, 2}} {
		now = testNow.Add(c.after)
		if _, err := (bench{src, nil}).fetch(t.Context(), ""); err != nil || len(p.subs) != c.want {
			t.Errorf("after %v: %d subscriptions, %v", c.after, len(p.subs), err)
		}
	}
	if p.subs[1].Get("hub.secret") != sub.Get("hub.secret") {
		t.Error("a renewal has another secret: what is under way would be lost")
	}
	if _, err := src.Receive(t.Context(), asks("denied", p.url+"/feed")); err != nil || src.Poll() != 5*time.Minute {
		t.Error(err, src.Poll())
	}
}

func TestAHubMaySendToAnother(t *testing.T) {
	for moved, want := range map[string]int{"/elsewhere": 1, "/hub": 0, "": 1} {
		p := newPublisher(t)
		p.moved = moved
		d := testDeps(t)
		d.Keep = Memory()
		src := openKind(t, "feed", fmt.Sprintf("{url: %s/feed, hook: %s}", p.url, ourHook), d)
		if _, err := src.fetch(t.Context(), ""); err != nil || len(p.subs) != want {
			t.Errorf("%q: %d subscriptions, %v", moved, len(p.subs), err)
		}
		if want > 0 && p.subs[0].Get("hub.callback") != ourHook {
			t.Errorf("%q: %v", moved, p.subs[0])
		}
	}
}

func TestASubscriptionDoesNotLeaveEncryption(t *testing.T) {
	for _, c := range [][3]string{
		{"https://hub.example/a", "https://other.example/b", "https://other.example/b"}, {"https://hub.example/a", "/b", "https://hub.example/b"},
		{"https://hub.example/a", "http://hub.example/b", ""}, {"http://hub.example/a", "http://other.example/b", "http://other.example/b"},
		{"https://hub.example/a", "", ""}, {"http://hub.example/a", "file:///etc/passwd", ""},
	} {
		from, _ := url.Parse(c[0])
		if got := sentTo(from, c[1]); got != c[2] {
			t.Errorf("%s sends to %q: %q", c[0], c[1], got)
		}
	}
}

func TestHubsAreFound(t *testing.T) {
	at, _ := url.Parse("https://shop.example/feed")
	for _, c := range []struct{ name, link, body, hub, topic string }{
		{"in headers", `<https://hub.example/>; rel="hub", <https://shop.example/self>; rel=self`, "", "https://hub.example/", "https://shop.example/self"},
		{"in RSS", "", `<rss xmlns:atom="http://www.w3.org/2005/Atom"><channel><link>https://shop.example/</link><atom:link rel="hub" href="https://hub.example/"/><atom:link href="https://shop.example/feed" rel="self" type="application/rss+xml"/><item/></channel></rss>`, "https://hub.example/", "https://shop.example/feed"},
		{"in a JSON feed", "", `{"version":"https://jsonfeed.org/version/1.1","feed_url":"https://shop.example/feed.json","hubs":[{"type":"WebSub","url":"https://hub.example/"}]}`, "https://hub.example/", "https://shop.example/feed.json"},
		{"without self", `<https://hub.example/>; rel="hub"`, "", "", ""},
		{"in an item it is another's", "", `<feed><entry><link rel="hub" href="https://hub.example/"/><link rel="self" href="/x"/></entry></feed>`, "", ""},
		{"not an address", `<javascript:alert(1)>; rel="hub", <x:y>; rel=self`, "<<<", "", ""},
	} {
		h := http.Header{}
		if c.link != "" {
			h.Set("Link", c.link)
		}
		if hub, topic := hubOf(&outbound.Response{URL: at, Header: h, Body: []byte(c.body)}); hub != c.hub || topic != c.topic {
			t.Errorf("%s: %q and %q", c.name, hub, topic)
		}
	}
}

func FuzzHubOf(f *testing.F) {
	f.Add(`<https://hub.example/>; rel="hub", <self>; rel=self`, `<feed><link rel="hub" href="/hub"/></feed>`)
	f.Add("", `{"hubs":[{"type":"WebSub","url":"x"}],"feed_url":"y"}`)
	at, _ := url.Parse("https://shop.example/feed")
	f.Fuzz(func(t *testing.T, link, body string) {
		hub, topic := hubOf(&outbound.Response{URL: at, Header: http.Header{"Link": {link}}, Body: []byte(body)})
		for _, u := range []string{hub, topic} {
			if u != "" && !strings.HasPrefix(u, "http") {
				t.Error(u)
			}
		}
	})
}
