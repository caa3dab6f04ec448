package source

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	stdhash "hash"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/outbound"
)

// websub is a subscription to a feed at its hub, after W3C's WebSub: the hub
// pushes the feed to our address whenever it changes. The feed is polled all
// the same, though seldom.
type websub struct {
	deps     Deps
	callback string // our address; empty: no subscription

	mu    sync.Mutex
	state websubState
}

// websubState is kept between runs: a hub goes on pushing.
type websubState struct {
	Callback string    `json:"callback"`
	Hub      string    `json:"hub"`
	Topic    string    `json:"topic"`
	Secret   string    `json:"secret"`
	Asked    time.Time `json:"asked"`
	Began    time.Time `json:"began"` // when the hub last agreed
	Until    time.Time `json:"until"` // when its lease ends
}

const (
	websubLease = 10 * 24 * time.Hour // what we ask for; the default that section 8 of WebSub recommends
	websubAgain = time.Hour           // before a hub that has not answered is asked again
	websubPoll  = time.Hour           // the pause between fetches of a feed that is pushed
)

// poll is the pause between fetches, given the configured one.
func (w *websub) poll(configured time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deps.Now().Before(w.state.Until) {
		return max(configured, websubPoll)
	}
	return configured
}

// keep changes the kept state.
func (w *websub) keep(ctx context.Context, change func(s *websubState) bool) error {
	var s websubState
	err := w.deps.Keep.Update(ctx, "websub", &s, func() (bool, error) { return change(&s), nil })
	if err == nil {
		w.mu.Lock()
		w.state = s
		w.mu.Unlock()
	}
	return err
}

// offered subscribes to topic at hub, as the feed offers, or renews a
// subscription that ends soon. Both may be empty when nothing was told this
// time. A hub that fails is no failure of the feed.
func (w *websub) offered(ctx context.Context, hub, topic string) {
	if w.callback == "" || w.deps.Keep == nil {
		return
	}
	now := w.deps.Now()
	ask := false
	err := w.keep(ctx, func(s *websubState) bool {
		ask = false
		hub, topic := cmp.Or(hub, s.Hub), cmp.Or(topic, s.Topic)
		if hub == "" || topic == "" {
			return false
		}
		if s.Hub != hub || s.Topic != topic || s.Callback != w.callback {
			*s = websubState{Callback: w.callback, Hub: hub, Topic: topic, Secret: rand.Text()}
		}
		// A tenth of the lease is left for hubs that are away for a while.
		if soon := s.Until.Add(-s.Until.Sub(s.Began) / 10); now.Before(soon) || now.Sub(s.Asked) < websubAgain {
			return false
		}
		s.Asked, ask = now, true
		return true
	})
	if err == nil && ask {
		err = w.subscribe(ctx)
	}
	if err != nil && ctx.Err() == nil {
		w.deps.Log.Warn("no subscription at the feed's hub; it is polled", "kind", "feed", "error", err)
	}
}

func (w *websub) subscribe(ctx context.Context) error {
	w.mu.Lock()
	s := w.state
	w.mu.Unlock()
	form := url.Values{
		"hub.mode": {"subscribe"}, "hub.callback": {s.Callback}, "hub.topic": {s.Topic}, "hub.secret": {s.Secret},
		"hub.lease_seconds": {strconv.Itoa(int(websubLease.Seconds()))},
	}
	// A hub may send us to another one (section 5.1 of WebSub).
	hub := s.Hub
	for range 3 {
		req, err := http.NewRequest(http.MethodPost, hub, strings.NewReader(form.Encode()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		_, err = w.deps.HTTP.Do(ctx, req)
		e, ok := errors.AsType[*outbound.Error](err)
		if !ok || e.Status != http.StatusTemporaryRedirect && e.Status != http.StatusPermanentRedirect {
			return err
		}
		if hub = sentTo(req.URL, e.Header.Get("Location")); hub == "" {
			return err
		}
	}
	return errors.New("the hub sends from one to another")
}

// sentTo is the hub that the one at from sends to; empty for none to follow: the
// secret stands in a subscription, and does not leave encryption.
func sentTo(from *url.URL, location string) string {
	to := resolve(from, location)
	if from.Scheme == "https" && !strings.HasPrefix(to, "https:") {
		return ""
	}
	return to
}

// receive answers a hub's question whether we want the topic, or returns the
// content it pushed, nil if that isn't ours.
func (w *websub) receive(ctx context.Context, p Push) (body []byte, from *url.URL, out Pushed, err error) {
	refused := Pushed{Status: http.StatusNotFound}
	if w.callback == "" || w.deps.Keep == nil {
		return nil, nil, refused, nil
	}
	at, err := url.Parse(p.URL)
	if err != nil {
		return nil, nil, refused, nil
	}
	if err := w.keep(ctx, func(*websubState) bool { return false }); err != nil {
		return nil, nil, out, err
	}
	w.mu.Lock()
	s := w.state
	w.mu.Unlock()
	if s.Topic == "" {
		return nil, nil, refused, nil
	}
	if p.Method == http.MethodPost {
		if !signed(p.Header.Get("X-Hub-Signature"), s.Secret, p.Body) {
			// The hub is told nothing: only who knows the secret could mend it.
			w.deps.Log.Warn("a push to the feed is not signed by its hub; ignored", "kind", "feed")
			return nil, nil, Pushed{Status: http.StatusAccepted}, nil
		}
		from, err := url.Parse(s.Topic)
		return p.Body, from, Pushed{Status: http.StatusAccepted}, err
	}
	q := at.Query()
	if q.Get("hub.topic") != s.Topic {
		return nil, nil, refused, nil
	}
	now := w.deps.Now()
	switch q.Get("hub.mode") {
	case "subscribe":
		lease, err := strconv.ParseInt(q.Get("hub.lease_seconds"), 10, 64)
		if err != nil || lease <= 0 {
			lease = int64(websubLease.Seconds())
		}
		until := now.Add(time.Duration(min(lease, 365*24*3600)) * time.Second)
		if err := w.keep(ctx, func(s *websubState) bool { s.Began, s.Until = now, until; return true }); err != nil {
			return nil, nil, out, err
		}
		return nil, nil, Pushed{Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}}, Body: []byte(q.Get("hub.challenge"))}, nil
	case "denied":
		w.deps.Log.Warn("the feed's hub refuses the subscription; it is polled", "kind", "feed", "reason", clip(line(q.Get("hub.reason")), 200))
		return nil, nil, out, w.keep(ctx, func(s *websubState) bool { s.Until = time.Time{}; return true })
	}
	return nil, nil, refused, nil // we never unsubscribe
}

// signed tells whether signature, "method=hex", is that of body.
func signed(signature, secret string, body []byte) bool {
	method, text, _ := strings.Cut(signature, "=")
	made := map[string]func() stdhash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New}[strings.ToLower(method)]
	got, err := hex.DecodeString(text)
	if made == nil || err != nil || secret == "" {
		return false
	}
	mac := hmac.New(made, []byte(secret))
	mac.Write(body)
	return hmac.Equal(got, mac.Sum(nil))
}

// hubOf finds where a feed can be subscribed to, and under which address: in
// the headers, else in the feed. Both are empty where it can't.
func hubOf(resp *outbound.Response) (hub, topic string) {
	see := func(rel, href string) {
		address := resolve(resp.URL, href)
		rels := strings.Fields(strings.ToLower(rel))
		if hub == "" && slices.Contains(rels, "hub") {
			hub = address
		}
		if topic == "" && slices.Contains(rels, "self") {
			topic = address
		}
	}
	for _, value := range resp.Header.Values("Link") {
		for part := range strings.SplitSeq(value, ",") {
			target, params, _ := strings.Cut(part, ";")
			for param := range strings.SplitSeq(params, ";") {
				if name, rel, _ := strings.Cut(strings.TrimSpace(param), "="); strings.EqualFold(name, "rel") {
					see(strings.Trim(rel, `"`), strings.Trim(strings.TrimSpace(target), "<>"))
				}
			}
		}
	}
	if hub == "" {
		inFeed(resp.Body, see)
	}
	if hub == "" || topic == "" {
		return "", ""
	}
	return hub, topic
}

// maxFeedHead bounds what is read of a feed before its first item.
const maxFeedHead = 64 << 10

// inFeed shows the links in the head of a feed.
func inFeed(body []byte, see func(rel, href string)) {
	if body = bytes.TrimSpace(body); bytes.HasPrefix(body, []byte("{")) {
		var f struct {
			FeedURL string `json:"feed_url"`
			Hubs    []struct{ Type, URL string }
		}
		if json.Unmarshal(body, &f) == nil {
			for _, h := range f.Hubs {
				if strings.EqualFold(h.Type, "WebSub") {
					see("hub", h.URL)
				}
			}
			see("self", f.FeedURL)
		}
		return
	}
	d := xml.NewDecoder(bytes.NewReader(body[:min(len(body), maxFeedHead)]))
	d.Strict = false
	// The names and addresses looked for are ASCII in every encoding of feeds.
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	for {
		t, err := d.RawToken()
		if err != nil {
			return
		}
		e, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		switch e.Name.Local {
		case "item", "entry":
			return
		case "link":
			var rel, href string
			for _, a := range e.Attr {
				switch a.Name.Local {
				case "rel":
					rel = a.Value
				case "href":
					href = a.Value
				}
			}
			see(rel, href)
		}
	}
}

// Receive takes what the feed's hub pushes.
func (f *feed) Receive(ctx context.Context, p Push) (Pushed, error) {
	body, from, out, err := f.hub.receive(ctx, p)
	if err != nil || body == nil {
		return out, err
	}
	posts, err := f.parse(&outbound.Response{Header: p.Header, Body: body, URL: from})
	if err != nil {
		return Pushed{}, refuse("feed: pushed by the hub: %w", err)
	}
	for _, post := range posts {
		out.Items = append(out.Items, Item{Post: post})
	}
	return out, nil
}
