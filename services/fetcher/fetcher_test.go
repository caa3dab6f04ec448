package fetcher

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

// The platform of these tests is scripted: a test says what each fetch and each
// push gives.

type script struct {
	mu      sync.Mutex
	fetches []string // the cursors it was asked from
	give    func(cursor string) ([]source.Item, error)
	receive func(source.Push) (source.Pushed, error)
	poll    time.Duration
	consent *oauth2.Config
	looks   []string // posts whose answers it was asked for
	quota   *outbound.Quota
}

type scriptConfig struct {
	Name   string        `yaml:"name" required:"true" doc:"Name of the script."`
	Secret config.Secret `yaml:"secret" doc:"A secret."`
}

var scripts sync.Map // by name

func init() {
	source.Kinds = append(source.Kinds, source.Kind{
		Kind: config.NewKind("scripted", "A platform by a script.", scriptConfig{}, func(c scriptConfig, d source.Deps) (source.Source, error) {
			s, ok := scripts.Load(c.Name)
			if !ok {
				return nil, errors.New("the platform knows no such script")
			}
			return &scripted{s.(*script), d}, nil
		}),
		Platform: "scripted",
	})
}

type scripted struct {
	*script
	deps source.Deps
}

// Below shows one answer to whatever it is asked of.
func (s *scripted) Below(_ context.Context, p mention.Post) ([]mention.Comment, error) {
	s.mu.Lock()
	s.looks = append(s.looks, p.NativeID)
	s.mu.Unlock()
	if p.NativeID == "" {
		return nil, errors.New("the platform is on fire")
	}
	return []mention.Comment{{NativeID: "below-" + p.NativeID, Text: "me too"}}, nil
}

func (s *scripted) Quota() (outbound.Quota, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.quota == nil {
		return outbound.Quota{}, false
	}
	return *s.quota, true
}

func (s *scripted) Poll() time.Duration { return s.poll }

func (s *scripted) Fetch(ctx context.Context, cursor string) iter.Seq2[source.Item, error] {
	return func(yield func(source.Item, error) bool) {
		s.mu.Lock()
		s.fetches = append(s.fetches, cursor)
		give := s.give
		s.mu.Unlock()
		if give == nil {
			return
		}
		items, err := give(cursor)
		for _, it := range items {
			if !yield(it, nil) {
				return
			}
		}
		if err != nil {
			yield(source.Item{}, err)
			return
		}
		if s.poll == 0 {
			<-ctx.Done()
		}
	}
}

func (s *scripted) Receive(_ context.Context, p source.Push) (source.Pushed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.receive == nil {
		return source.Pushed{}, bus.Permanent(errors.New("nothing is taken"))
	}
	return s.receive(p)
}

func (s *scripted) Consent() oauth2.Config { return *s.consent }

func (s *script) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.fetches)
}

func (s *script) set(give func(string) ([]source.Item, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.give = give
}

// bench is a fetcher on a bus of the test's own.
type bench struct {
	*fetcher
	t     *testing.T
	clock *bustest.Clock
	stop  func()
}

var began = time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)

func newBench(t *testing.T, change ...func(*bus.Options)) *bench {
	t.Helper()
	c, _ := bustest.Open(t, change...)
	ctx, log := t.Context(), bustest.Log(t)
	set, err := settings.Open(ctx, c, log)
	must(t, err)
	must(t, settings.Brands.Put(ctx, set, "cli", "kumo", 0, settings.Brand{ID: "kumo", Name: "Kumo", Query: "kumo"}))
	dir := t.TempDir()
	opener, err := set.OpenKey(ctx, dir, "fetcher")
	must(t, err)
	_, err = set.OpenKey(ctx, dir, "replier")
	must(t, err)
	client, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.1"}, Rate: 1000, Burst: 1000})
	must(t, err)
	b := &bench{t: t, clock: bustest.NewClock(began)}
	b.fetcher = &fetcher{
		bus: c, settings: set, http: client, log: log, now: b.clock.Now, data: t.TempDir(), opener: opener,
		met: newMetrics(), runners: map[string]*runner{},
	}
	return b
}

// run lets it work until the test ends, or until stop.
func (b *bench) run() {
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- b.work(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(func() { b.stop() })
}

// source sets a source of a script of the same name.
func (b *bench) source(id string, s *script) {
	b.t.Helper()
	name := b.t.Name() + " " + id
	scripts.Store(name, s)
	must(b.t, settings.Sources.Put(b.t.Context(), b.settings, "cli", id, settings.Sources.Version(b.settings, id),
		settings.Source{ID: id, Name: id, Kind: "scripted", Config: fmt.Appendf(nil, `{"name":%q}`, name)}))
}

func (b *bench) progress(id string) (p source.Progress) {
	b.t.Helper()
	if _, err := bus.Cursors.Get(b.t.Context(), b.bus, source.ProgressKey(id), &p); err != nil && !errors.Is(err, bus.ErrNotFound) {
		b.t.Fatal(err)
	}
	return p
}

// mentions are those that wait for the classifier, by native id, after n came.
func (b *bench) mentions(n int) []string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	var ids []string
	err := bus.Mentions.Consume(ctx, b.bus, bus.Consumer{Durable: "test-v1", Filter: bus.LiveMentions, Workers: 1},
		bus.Each(func(_ context.Context, m *bus.Msg[mention.Mention]) error {
			id := m.Value.NativeID
			if m.Value.Deleted {
				id = "-" + id
			}
			if ids = append(ids, id); len(ids) >= n {
				time.AfterFunc(300*time.Millisecond, cancel)
			}
			return nil
		}))
	must(b.t, err)
	slices.Sort(ids)
	return ids
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: ", what)
		}
	}
}

func post(id, text string) source.Item {
	return source.Item{Cursor: id, Post: mention.Post{Platform: "scripted", NativeID: id, Kind: mention.KindPost, Text: text, PublishedAt: began}}
}

func TestCursorIsKeptAfterWhatItStandsFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := &script{poll: time.Hour, give: func(cursor string) ([]source.Item, error) {
		if cursor != "" {
			return nil, nil
		}
		return []source.Item{post("1", "kumo tea"), post("2", "another shop"), post("3", "Kumo cake")}, nil
	}}
	b.source("a", s)
	b.run()
	if got := b.mentions(2); !slices.Equal(got, []string{"1", "3"}) {
		t.Errorf("mentions %v", got)
	}
	eventually(t, "the cursor is kept", func() bool { return b.progress("a").Cursor == "3" })
	p := b.progress("a")
	if p.Items != 3 || p.Mentions != 2 || p.Error != "" || !p.Item.Equal(began) || !p.Next.Equal(began.Add(time.Hour)) {
		t.Errorf("%+v", p)
	}
	// Another process goes on from there.
	b.stop()
	b.run()
	eventually(t, "it goes on from the cursor", func() bool { return slices.Contains(s.asked(), "3") })
}

func TestBackPressureKeepsTheCursor(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *bus.Options) { o.MaxBytes = 64 << 10 })
	many := make([]source.Item, 400)
	for i := range many {
		many[i] = post(fmt.Sprintf("%04d", i), "kumo "+strings.Repeat("x", 400))
	}
	b.source("a", &script{poll: time.Hour, give: func(cursor string) ([]source.Item, error) {
		i, _ := slices.BinarySearchFunc(many, cursor, func(it source.Item, c string) int { return strings.Compare(it.Cursor, c) })
		if cursor != "" {
			i++
		}
		return many[i:], nil
	}})
	b.run()
	// The bus takes only some; the cursor may not be ahead of what it took.
	time.Sleep(2 * time.Second)
	if c := b.progress("a").Cursor; c == "0399" {
		t.Error("the cursor is at the end, and the bus can't have it all")
	}
	// Once there is room everything comes.
	seen := map[string]bool{}
	for len(seen) < len(many) {
		for _, id := range b.mentions(1) {
			seen[id] = true
		}
	}
	eventually(t, "the cursor is at the end", func() bool { return b.progress("a").Cursor == "0399" })
}

type pauseError struct{ d time.Duration }

func (e pauseError) Error() string             { return "slow down" }
func (e pauseError) RetryAfter() time.Duration { return e.d }

func TestFailuresAreToldAndTriedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := &script{poll: time.Hour, give: func(string) ([]source.Item, error) {
		return []source.Item{post("1", "kumo")}, fmt.Errorf("platform: %w", pauseError{1500 * time.Millisecond})
	}}
	b.source("a", s)
	b.run()
	eventually(t, "the failure is told", func() bool { return b.progress("a").Error != "" })
	p := b.progress("a")
	if w := (outbound.Trouble{Reason: outbound.Limited, Until: p.Next, Said: "platform: slow down"}); p.Trouble != w {
		t.Errorf("%+v, want %+v", p.Trouble, w)
	}
	if p.Error != "platform: slow down" || !p.Since.Equal(began) || !p.Next.Equal(began.Add(1500*time.Millisecond)) || p.Cursor != "1" {
		t.Errorf("%+v", p)
	}
	s.set(func(cursor string) ([]source.Item, error) { return []source.Item{post("2", "kumo again")}, nil })
	eventually(t, "it is tried again", func() bool {
		p := b.progress("a")
		return p.Error == "" && p.Trouble == outbound.Trouble{} && p.Cursor == "2" && p.Since.IsZero()
	})
	if asked := s.asked(); !slices.Equal(asked, []string{"", "1"}) {
		t.Errorf("asked from %q", asked)
	}
	r := &runner{fetcher: b.fetcher}
	var waits []string
	for range 10 {
		waits = append(waits, r.pause(errors.New("no")).String())
	}
	if got := strings.Join(waits, " "); got != "5s 10s 20s 40s 1m20s 2m40s 5m20s 10m40s 15m0s 15m0s" {
		t.Errorf("waits %s", got)
	}
}

// TestAServerThatDripsHoldsBackNoOther: its answer ends with the time a whole one
// may take, which its state names, and other sources bring posts meanwhile.
func TestAServerThatDripsHoldsBackNoOther(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	client, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.1"}, Timeout: 3 * time.Second})
	must(t, err)
	b.http = client
	drips, ended := make(chan struct{}, 100), make(chan struct{}, 100)
	feed := func(id string, h http.HandlerFunc) {
		srv := httptest.NewServer(h)
		t.Cleanup(srv.Close)
		must(t, settings.Sources.Put(t.Context(), b.settings, "cli", id, 0,
			settings.Source{ID: id, Name: id, Kind: "feed", Config: fmt.Appendf(nil, `{"url":%q}`, srv.URL)}))
	}
	feed("slow", func(w http.ResponseWriter, r *http.Request) {
		drips <- struct{}{}
		for r.Context().Err() == nil {
			fmt.Fprint(w, " ")
			w.(http.Flusher).Flush()
			time.Sleep(50 * time.Millisecond)
		}
		ended <- struct{}{}
	})
	feed("good", func(w http.ResponseWriter, r *http.Request) {
		<-drips // the other is asked first
		fmt.Fprint(w, `<rss version="2.0"><channel><title>News</title><item><guid>urn:1</guid><title>kumo opens</title></item></channel></rss>`)
	})
	b.run()
	if got := b.mentions(1); !slices.Equal(got, []string{"urn:1"}) {
		t.Errorf("%q came", got)
	}
	if len(ended) > 0 {
		t.Error("it came only after the slow one had ended")
	}
	eventually(t, "the slow one's failure is told", func() bool { return b.progress("slow").Error != "" })
	if p := b.progress("slow"); p.Trouble.Reason != outbound.TimedOut || !strings.Contains(p.Error, "no complete answer for 3s") || p.Trouble.Host == "" || len(drips) > 0 {
		t.Errorf("%+v after %d requests more", p, len(drips))
	}
}

func TestOnlyDeletionsOfWhatWeHaveGoOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	known := func(_ context.Context, ids []mention.ID) ([]bool, error) {
		have := make([]bool, len(ids))
		for i, id := range ids {
			m := mention.Of("kumo", mention.Post{Platform: "scripted", NativeID: "ours"})
			have[i] = id == m.ID
		}
		return have, nil
	}
	gone := func(id string) source.Item {
		return source.Item{Cursor: id, Post: mention.Post{Platform: "scripted", NativeID: id, Kind: mention.KindPost, Deleted: true, PublishedAt: began}}
	}
	b.source("a", &script{poll: time.Hour, give: func(string) ([]source.Item, error) {
		return []source.Item{gone("theirs"), gone("ours")}, nil
	}})
	b.run()
	// While nobody can tell, nothing is lost: it waits.
	eventually(t, "it waits for the indexer", func() bool { return strings.Contains(b.progress("a").Error, "not known") })
	must(t, bus.Answer(t.Context(), b.bus, "indexer", "known", known))
	if got := b.mentions(1); !slices.Equal(got, []string{"-ours"}) {
		t.Errorf("handed over %v", got)
	}
}

// What answers our reply is about the brand, though its query doesn't find it.
func TestAnswersToOurRepliesAreHeard(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	must(t, bus.Answer(t.Context(), b.bus, "indexer", "replied", func(_ context.Context, posts []source.ParentPost) ([][]string, error) {
		out := make([][]string, len(posts))
		for i, p := range posts {
			if p == (source.ParentPost{Platform: "scripted", NativeID: "our-reply"}) {
				out[i] = []string{"kumo"}
			}
		}
		return out, nil
	}))
	under := func(id, parent, text string) source.Item {
		it := post(id, text)
		it.Post.Thread.Parent = parent
		return it
	}
	b.source("a", &script{poll: time.Hour, give: func(string) ([]source.Item, error) {
		return []source.Item{
			post("1", "about something else"), under("2", "our-reply", "still broken"), under("3", "theirs", "still broken"), under("4", "our-reply", "kumo, still broken"),
		}, nil
	}})
	b.run()
	if got := b.mentions(2); !slices.Equal(got, []string{"2", "4"}) {
		t.Errorf("heard %v", got)
	}
}

func TestSettingsThatChangeReplaceTheRunner(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first, second := &script{}, &script{poll: time.Hour}
	first.give = func(cursor string) ([]source.Item, error) { return []source.Item{post("1", "kumo")}, nil } // a stream that stays open
	b.source("a", first)
	b.run()
	eventually(t, "the stream's cursor is kept", func() bool { return b.progress("a").Cursor == "1" })
	b.source("a", second)
	must(t, settings.Sources.Put(t.Context(), b.settings, "cli", "a", settings.Sources.Version(b.settings, "a"),
		settings.Source{ID: "a", Name: "renamed", Kind: "scripted", Config: fmt.Appendf(nil, `{"name":%q}`, t.Name()+" a")}))
	eventually(t, "the other goes on from it", func() bool { return slices.Contains(second.asked(), "1") })
	s, _ := settings.Sources.Get(b.settings, "a")
	s.Off = true
	must(t, settings.Sources.Put(t.Context(), b.settings, "cli", "a", settings.Sources.Version(b.settings, "a"), s))
	eventually(t, "nobody runs it", func() bool { return b.runner("a") == nil })
	s.Off, s.Config = false, []byte(`{"name":"not yet there"}`)
	must(t, settings.Sources.Put(t.Context(), b.settings, "cli", "a", settings.Sources.Version(b.settings, "a"), s))
	eventually(t, "what can't be opened says so", func() bool { return strings.Contains(b.progress("a").Error, "no such script") })
	if c := b.progress("a").Cursor; c != "1" {
		t.Errorf("cursor %q after a failed opening", c)
	}
	// What it refers to comes later, as the file of a secret does.
	scripts.Store("not yet there", second)
	b.runner("a").wake()
	eventually(t, "it is opened after all", func() bool { return b.progress("a").Error == "" })
}

func (b *bench) push(id string, body string) source.Answer {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 15*time.Second)
	defer cancel()
	a, err := bus.Ask[source.Pushing, source.Answer](ctx, b.bus, "fetcher", "push", source.Pushing{
		Source: id, Push: source.Push{Method: "POST", URL: "https://desk.example/hooks/" + id, Header: http.Header{"X-Sign": {"ok"}}, Body: []byte(body)},
	})
	must(b.t, err)
	return a
}

func TestPushesAreStoredBeforeTheyAreAnswered(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *bus.Options) { o.MaxBytes = 16 << 10 })
	s := &script{poll: time.Hour, receive: func(p source.Push) (source.Pushed, error) {
		switch id := string(p.Body); {
		case p.Header.Get("X-Sign") != "ok" || id == "forged":
			return source.Pushed{}, bus.Permanent(errors.New("wrong signature"))
		case id == "trouble":
			return source.Pushed{}, errors.New("for now")
		case id == "challenge":
			return source.Pushed{Body: []byte("token"), Header: http.Header{"Content-Type": {"text/html"}}}, nil
		case id == "big":
			return source.Pushed{Items: []source.Item{{Post: post("big", "kumo "+strings.Repeat("x", 20<<10)).Post}}}, nil
		case id == "moves":
			return source.Pushed{Items: []source.Item{post("m1", "kumo moves")}, Status: http.StatusAccepted}, nil
		default:
			return source.Pushed{Items: []source.Item{{Post: post(id, "kumo pushed").Post}}}, nil
		}
	}, give: func(string) ([]source.Item, error) { return []source.Item{{Cursor: "fetched"}}, nil }}
	b.source("a", s)
	b.run()
	eventually(t, "it has fetched", func() bool { return b.progress("a").Cursor == "fetched" })
	for _, c := range []struct {
		source, body string
		status       int
	}{
		{"a", "p1", 200}, {"a", "p1", 200}, {"a", "challenge", 200}, {"a", "forged", 400}, {"a", "trouble", 503}, {"nobody", "p1", 404}, {"a", "moves", 202},
	} {
		a := b.push(c.source, c.body)
		if a.Status != c.status {
			t.Errorf("%s %s is answered with %d, want %d", c.source, c.body, a.Status, c.status)
		}
		if c.body == "challenge" && (string(a.Body) != "token" || a.Header.Get("Content-Type") != "text/html") {
			t.Errorf("challenge: %q %v", a.Body, a.Header)
		}
		want := "fetched"
		if c.body == "moves" {
			want = "m1"
		}
		if got := b.progress("a").Cursor; got != want {
			t.Errorf("after %s the cursor is %q, want %q", c.body, got, want)
		}
	}
	if got := b.mentions(2); !slices.Equal(got, []string{"m1", "p1"}) {
		t.Errorf("stored %v", got)
	}
	if p := b.progress("a"); p.Items != 3 || p.Mentions != 3 {
		t.Errorf("%+v", p)
	}
	if a := b.push("a", "big"); a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("what the bus doesn't take is answered with %d %v", a.Status, a.Header)
	}
}

func TestTryingStoresNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := &script{poll: time.Hour, give: func(cursor string) ([]source.Item, error) {
		if cursor != "" {
			return nil, nil
		}
		return []source.Item{post("1", "rain"), post("2", "kumo one"), post("3", "snow")}, nil
	}}
	b.source("a", s)
	b.run()
	eventually(t, "it has fetched", func() bool { return b.progress("a").Cursor == "3" })
	before := b.progress("a")
	try := func(q source.Trying) source.Tried {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		q.Kind = "scripted"
		got, err := bus.Ask[source.Trying, source.Tried](ctx, b.bus, "fetcher", "try", q)
		must(t, err)
		return got
	}
	set, _ := settings.Sources.Get(b.settings, "a")
	got := try(source.Trying{Source: "a", Config: set.Config})
	if got.Read != 3 || got.Matched != 1 || got.Error != "" || len(got.Posts) != 3 || got.Posts[0].Post.NativeID != "2" || !slices.Equal(got.Posts[0].Brands, []string{"kumo"}) || got.Posts[1].Brands != nil {
		t.Errorf("%+v", got)
	}
	if got := try(source.Trying{Brand: "kumo", Config: set.Config}); got.Matched != 3 {
		t.Errorf("bound to a brand: %+v", got)
	}
	if got := try(source.Trying{Config: []byte(`{"name":"nothing"}`)}); !strings.Contains(got.Error, "no such script") || got.Trouble.Reason != outbound.Settings {
		t.Errorf("what can't be opened: %+v", got)
	}
	below := func(q source.Below) source.Shown {
		got, err := bus.Ask[source.Below, source.Shown](t.Context(), b.bus, "fetcher", "below", q)
		must(t, err)
		return got
	}
	if got := below(source.Below{Source: "a", Post: mention.Post{NativeID: "2"}}); got.Error != "" || len(got.Comments) != 1 || got.Comments[0].NativeID != "below-2" {
		t.Errorf("what stands below a post: %+v", got)
	}
	if got := below(source.Below{Source: "a"}); got.Error != "the platform is on fire" || got.Trouble.Reason != outbound.Other {
		t.Errorf("what stands below a post, in vain: %+v", got)
	}
	if got := below(source.Below{Source: "gone"}); got.Trouble.Reason != outbound.Absent {
		t.Errorf("of a source that is gone: %+v", got)
	}
	s.set(func(string) ([]source.Item, error) { return nil, errors.New("the platform is on fire") })
	if got := try(source.Trying{Config: set.Config}); got.Error != "the platform is on fire" || got.Read != 0 {
		t.Errorf("a failure: %+v", got)
	}
	if after := b.progress("a"); after.Cursor != before.Cursor || after.Items != before.Items {
		t.Errorf("trying changed %+v to %+v", before, after)
	}
	if got := b.mentions(1); !slices.Equal(got, []string{"2"}) {
		t.Errorf("stored %v", got)
	}
}
