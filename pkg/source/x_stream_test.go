package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/outbound"
)

// follower collects from a stream in the background.
type follower struct {
	t      *testing.T
	items  chan Item
	done   chan error
	cancel context.CancelFunc
	cursor string
}

func follow(t *testing.T, x *xSource, cursor string) *follower {
	ctx, cancel := context.WithCancel(t.Context())
	f := &follower{t: t, items: make(chan Item, 10000), done: make(chan error, 1), cancel: cancel, cursor: cursor}
	go func() {
		var last error
		for it, err := range x.Fetch(ctx, cursor) {
			if err != nil {
				last = err
				break
			}
			f.items <- it
		}
		f.done <- last
		close(f.items)
	}()
	t.Cleanup(cancel)
	return f
}

// next is the next item with a post or a gap.
func (f *follower) next() Item {
	f.t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case it, ok := <-f.items:
			if !ok {
				f.t.Fatalf("the stream has ended: %v", <-f.done)
			}
			f.cursor = it.Cursor
			if it.Post.NativeID != "" || it.Gap != nil {
				return it
			}
		case <-timeout:
			f.t.Fatal("nothing came")
		}
	}
}

// end is how it ended.
func (f *follower) end() error {
	f.t.Helper()
	select {
	case err := <-f.done:
		return err
	case <-time.After(time.Minute):
		f.t.Fatal("it did not end")
	}
	return nil
}

func TestXStreamBringsWhatItsRulesSay(t *testing.T) {
	x := newXServer(t)
	x.rules["7"] = xRule{ID: "7", Value: "somebody else's", Tag: "theirs"}
	x.rules["8"] = xRule{ID: "8", Value: `"old word" -is:retweet -from:acme_jp`, Tag: xRuleTag}
	words := []string{"kettle"}
	d := x.deps()
	d.Terms = func() Terms {
		x.mu.Lock()
		defer x.mu.Unlock()
		return Terms{Words: words, Hashtags: []string{"Acme"}}
	}
	src := x.open("bearer: app-token\naccount: acme_jp\nlisten: stream\nhistory: 0s\n", d)
	src.look = 20 * time.Millisecond
	f := follow(t, src, "")
	x.listening(1)
	want := []string{
		"earshot: (\"kettle\" OR #acme OR @acme_jp) -is:retweet -from:acme_jp",
		"theirs: somebody else's",
	}
	if got := x.ruleValues(); !slices.Equal(got, want) {
		t.Errorf("rules %q, want %q", got, want)
	}
	a := x.say("2", "my kettle", 0)
	x.send("\r\n")
	x.say("2", "nothing", 0)
	x.send(`{"data":{"id":5}}` + "\r\n" + "not json\r\n" + `{"newfangled":{}}` + "\r\n")
	b := x.say("3", "hello @acme_jp", 0)
	if p, q := f.next().Post, f.next().Post; p.NativeID != a || q.NativeID != b || p.NoReply == "" || q.NoReply != "" {
		t.Errorf("%+v\n%+v", p, q)
	}
	// X may send a post twice.
	x.mu.Lock()
	again := x.find(a)
	x.mu.Unlock()
	x.send(fmt.Sprintf(`{"data":{"id":"%d","text":"my kettle","author_id":"2"}}`+"\r\n", again.id))
	// New words come into force while the stream goes on.
	x.mu.Lock()
	words = []string{"toaster"}
	x.mu.Unlock()
	for n := 0; !strings.Contains(strings.Join(x.ruleValues(), " "), "toaster") || strings.Contains(strings.Join(x.ruleValues(), " "), "kettle"); n++ {
		if n > 6000 {
			t.Fatalf("rules %q", x.ruleValues())
		}
		time.Sleep(10 * time.Millisecond)
	}
	c := x.say("2", "my toaster", 0)
	if p := f.next().Post; p.NativeID != c {
		t.Errorf("%+v", p)
	}
	f.cancel()
	if err := f.end(); !errors.Is(err, context.Canceled) && err != nil {
		t.Error(err)
	}
}

func TestXStreamFillsWhatACutMissed(t *testing.T) {
	x := newXServer(t)
	src := x.open("bearer: app-token\nlisten: stream\n", x.deps("kettle"))
	src.look = 20 * time.Millisecond
	old := x.say("2", "kettle, before anybody listened", time.Hour)
	f := follow(t, src, "")
	x.listening(1)
	if p := f.next().Post; p.NativeID != old {
		t.Errorf("%+v", p)
	}
	a := x.say("2", "kettle one", 0)
	if p := f.next().Post; p.NativeID != a {
		t.Errorf("%+v", p)
	}
	// What is posted just before the stream connects is known to search only
	// later.
	hidden := x.say("2", "kettle, nearly missed", 10*time.Second, late(40*time.Second), func(p *xPosted) { p.unheard = true })
	x.pass(3 * time.Minute)
	if p := f.next().Post; p.NativeID != hidden {
		t.Errorf("%+v", p)
	}
	f.cancel()
	f.end()
	x.cut()
	x.pass(time.Minute)
	missed := x.say("2", "kettle, while nobody listened", 0)
	x.pass(20 * time.Minute)
	f = follow(t, src, f.cursor)
	x.listening(2)
	if p := f.next().Post; p.NativeID != missed {
		t.Errorf("%+v", p)
	}
	b := x.say("2", "kettle two", 0)
	if p := f.next().Post; p.NativeID != b {
		t.Errorf("%+v", p)
	}
}

func TestXStreamWithoutSearchTellsTheGap(t *testing.T) {
	x := newXServer(t)
	src := x.open("bearer: app-token\nlisten: stream\n", x.deps("kettle"))
	x.set(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/2/tweets/search/recent" {
			problem(w, 403, "client-forbidden", "Your app may not search.")
			return
		}
		x.answer(w, r, nil)
	})
	x.rules["1"] = xRule{ID: "1", Value: `"kettle" -is:retweet`, Tag: xRuleTag}
	since := testNow.Add(-time.Hour)
	f := follow(t, src, (&xCursor{Since: xIDAt(since)}).String())
	g := f.next().Gap
	if g == nil || !g.From.Equal(since) || !g.To.Equal(testNow) || !strings.Contains(g.Why.Error(), "may not search") {
		t.Errorf("%+v", g)
	}
	a := x.say("2", "kettle", 0)
	if p := f.next().Post; p.NativeID != a {
		t.Errorf("%+v", p)
	}
}

func TestXStreamAsksEnterpriseToSendAgain(t *testing.T) {
	x := newXServer(t)
	src := x.open("bearer: app-token\nlisten: stream\nenterprise: true\n", x.deps("kettle"))
	f := follow(t, src, (&xCursor{Since: xIDAt(testNow.Add(-150 * time.Second))}).String())
	x.listening(1)
	if got := x.connects[0].Get("backfill_minutes"); got != "3" {
		t.Errorf("backfill_minutes %q", got)
	}
	f.cancel()
	f.end()
	if n := x.count("GET /2/tweets/search/recent"); n > 0 {
		t.Error("searched as well")
	}
}

func TestXStreamGivesUpOnSilence(t *testing.T) {
	x := newXServer(t)
	x.mute = true
	src := x.open("bearer: app-token\nlisten: stream\nhistory: 0s\n", x.deps("kettle"))
	src.cfg.Silence = 300 * time.Millisecond
	f := follow(t, src, "")
	err := f.end()
	p, ok := errors.AsType[pausedError](err)
	if !ok || !strings.Contains(err.Error(), "no sign of life") || p.RetryAfter() != 250*time.Millisecond {
		t.Fatalf("no answer at all: %v", err)
	}
	x.mu.Lock()
	x.mute = false
	x.mu.Unlock()
	f = follow(t, src, "")
	err = f.end()
	p, ok = errors.AsType[pausedError](err)
	if !ok || !strings.Contains(err.Error(), "no sign of life") || p.RetryAfter() != 500*time.Millisecond {
		t.Fatalf("%v", err)
	}
	// X's blank lines are signs of life.
	x.cut()
	x.keepalive = 20 * time.Millisecond
	src.cfg.Silence = 10 * time.Second
	f = follow(t, src, "")
	x.listening(2)
	time.Sleep(100 * time.Millisecond)
	a := x.say("2", "kettle", 0)
	if got := f.next().Post; got.NativeID != a {
		t.Errorf("%+v", got)
	}
}

func TestXStreamPausesAsXAsks(t *testing.T) {
	limited, refused, network := error(&outbound.Error{Status: 429}), error(&outbound.Error{Status: 503}), errors.New("connection reset")
	var f xFailures
	pause := func(err error) time.Duration { return f.pause(err).(pausedError).RetryAfter() }
	for i, want := range []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond} {
		if got := pause(network); got != want {
			t.Errorf("network trouble %d: %s", i, got)
		}
	}
	for range 100 {
		pause(network)
	}
	if got := pause(network); got != 16*time.Second {
		t.Errorf("network trouble at most 16s: %s", got)
	}
	for i, want := range []int{5, 10, 20, 40, 80, 160, 320, 320} {
		if got := pause(refused); got != time.Duration(want)*time.Second {
			t.Errorf("refusal %d: %s", i, got)
		}
	}
	for i, want := range []int{1, 2, 4, 8, 15, 15} {
		if got := pause(limited); got != time.Duration(want)*time.Minute {
			t.Errorf("limit %d: %s", i, got)
		}
	}
}

// TestXStreamTellsThatItIsCutOff: a pause of ours before the next attempt doesn't
// make a limit of X's of it.
func TestXStreamTellsThatItIsCutOff(t *testing.T) {
	x := newXServer(t)
	x.set(func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	err := follow(t, x.open("bearer: app-token\nlisten: stream\nhistory: 0s\n", x.deps("kettle")), "").end()
	if got := outbound.Explain(err, testNow); got.Reason != outbound.Unreachable || got.Host == "" || got.Until.IsZero() {
		t.Errorf("%+v: %v", got, err)
	}
}

func TestXStreamIsHeldOnce(t *testing.T) {
	x := newXServer(t)
	first := follow(t, x.open("bearer: app-token\nlisten: stream\n", x.deps("kettle")), "")
	x.listening(1)
	second := follow(t, x.open("bearer: app-token\nlisten: stream\n", x.deps("kettle")), "")
	err := second.end()
	p, ok := errors.AsType[pausedError](err)
	if !ok || p.RetryAfter() != time.Minute || !strings.Contains(err.Error(), "maximum allowed connection limit") {
		t.Errorf("%v", err)
	}
	first.cancel()
	first.end()
}

func TestXStreamEndsWithItsMessages(t *testing.T) {
	x := newXServer(t)
	for _, c := range []struct {
		raw, want string
		reason    outbound.Reason
	}{
		{`{"errors":[{"title":"operational-disconnect","disconnect_type":"UpstreamOperationalDisconnect","detail":"This stream has been disconnected upstream for operational reasons.","type":"https://api.x.com/2/problems/operational-disconnect"}]}` + "\r\n", "operational-disconnect", outbound.ServerError},
		{strings.Repeat(" ", maxXMessage+10) + "\r\n", "too long", outbound.TooLarge},
		{"", "the stream has ended", outbound.Unreachable},
	} {
		x.mu.Lock()
		x.connects = nil
		x.mu.Unlock()
		f := follow(t, x.open("bearer: app-token\nlisten: stream\nhistory: 0s\n", x.deps("kettle")), "")
		x.listening(1)
		if c.raw == "" {
			x.cut()
		}
		x.send(c.raw)
		if err := f.end(); err == nil || !strings.Contains(err.Error(), c.want) || outbound.Explain(err, testNow).Reason != c.reason {
			t.Errorf("%v, want %q, told as %q", err, c.want, c.reason)
		}
		x.cut()
	}
}

func TestXStreamStopsWithTheBudget(t *testing.T) {
	x := newXServer(t)
	d := x.deps("kettle")
	src := x.open("bearer: app-token\nlisten: stream\nhistory: 0s\ndaily_posts: 5\n", d)
	src.look = 20 * time.Millisecond
	f := follow(t, src, "")
	x.listening(1)
	for range 6 {
		x.say("2", "kettle", 0)
	}
	// It looks at the budget now and then, so a post too many may come.
	got, it := 0, f.next()
	for ; it.Gap == nil; it = f.next() {
		got++
	}
	if got < 5 || got > 6 || !it.Gap.To.IsZero() {
		t.Errorf("%d posts, %+v", got, it)
	}
	if _, ok := errors.AsType[*budgetError](f.end()); !ok {
		t.Error("it goes on")
	}
	x.cut()
	x.pass(13 * time.Hour)
	f = follow(t, x.open("bearer: app-token\nlisten: stream\nhistory: 0s\ndaily_posts: 5\n", d), f.cursor)
	if it := f.next(); it.Gap == nil || !it.Gap.To.Equal(x.clock()) {
		t.Errorf("%+v", it)
	}
}

func TestXStreamWaitsForWords(t *testing.T) {
	x := newXServer(t)
	src := x.open("bearer: app-token\nlisten: stream\n", x.deps())
	src.look = 10 * time.Millisecond
	f := follow(t, src, "")
	for n := 0; x.count("GET /2/tweets/search/stream/rules") < 2; n++ {
		if n > 6000 {
			t.Fatal("it does not look")
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.cancel()
	f.end()
	if len(x.connects) > 0 {
		t.Error("connected without a rule")
	}
}

func TestXNamesARuleThatXDoesNotTake(t *testing.T) {
	x := newXServer(t)
	x.badQuery = "kettle"
	f := follow(t, x.open("bearer: app-token\nlisten: stream\n", x.deps("kettle")), "")
	if err := f.end(); err == nil || !strings.Contains(err.Error(), `\"kettle\"`) {
		t.Errorf("%v", err)
	}
}
