package replier

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

// bench is a replier with the sandbox platform, on a bus and by a clock of the
// test's own.
type bench struct {
	*replier
	t     *testing.T
	id    mention.ID
	clock *bustest.Clock
	seqs  map[mention.ID][]uint64 // of what was tagged
}

var staff = identity.Staff{ID: "ann", Name: "Ann", Grants: []identity.Grant{{Role: identity.PRLead, Brands: []string{"acme"}}}}

func newBench(t *testing.T) *bench {
	t.Helper()
	c, _ := bustest.Open(t)
	ctx := t.Context()
	set, err := settings.Open(ctx, c, bustest.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, clock: bustest.NewClock(time.Now())}
	b.replier = &replier{bus: c, settings: set, log: bustest.Log(t), now: b.clock.Now, data: t.TempDir(), conns: map[string]opened{}}
	for id, v := range map[string]settings.Source{
		"box":  {ID: "box", Kind: "sandbox", Config: []byte(`{"dir":"box"}`)},
		"news": {ID: "news", Kind: "hackernews"},
	} {
		if err := settings.Sources.Put(ctx, set, "ann", id, 0, v); err != nil {
			t.Fatal(err)
		}
	}
	b.seqs = map[mention.ID][]uint64{}
	b.id = b.tag("p1", "返事がない")
	b.cases = casework.NewStore(c, casework.Source{
		Tagged: func(_ context.Context, id mention.ID) ([]uint64, error) { return b.seqs[id], nil },
		Triage: func(*mention.Mention, *mention.Verdict) casework.Triage {
			return casework.Triage{Disposition: mention.Answer}
		},
		Template: func(string) (casework.Template, bool) { return casework.Template{}, false },
		Rules:    casework.DefaultRules,
		Check:    func(*casework.State, *casework.Draft) error { return nil },
		Hold:     func(string, string) time.Duration { return time.Second },
	}, b.clock.Now, bustest.Log(t))
	return b
}

// tag stores a mention as the classifier does and returns its id.
func (b *bench) tag(native, text string) mention.ID {
	b.t.Helper()
	m := mention.Of("acme", mention.Post{
		Platform: "sandbox", NativeID: native, Source: "box", Kind: mention.KindPost, Intake: mention.Live,
		Text: text, ReplyRef: native, SeenAt: b.clock.Now(), PublishedAt: b.clock.Now(),
	})
	tagged := &mention.Tagged{Mention: m, Verdict: mention.Verdict{Intent: mention.Question, Disposition: mention.Answer}}
	if err := bus.Tagged.Publish(b.t.Context(), b.bus, tagged); err != nil {
		b.t.Fatal(err)
	}
	seq, err := bus.Tagged.Last(b.t.Context(), b.bus)
	if err != nil {
		b.t.Fatal(err)
	}
	b.seqs[m.ID] = append(b.seqs[m.ID], seq)
	return m.ID
}

func (b *bench) do(c casework.Command) casework.State {
	b.t.Helper()
	s, err := b.cases.Do(b.t.Context(), staff.Viewer(), b.id, c)
	if err != nil {
		b.t.Fatalf("%T: %v", c, err)
	}
	return s
}

// ask writes a reply through account and presses send. It returns the event
// that asks the replier.
func (b *bench) ask(account, text string) *bus.Msg[casework.Event] {
	b.t.Helper()
	s := b.do(casework.Write{Text: text, Account: account})
	s = b.do(casework.Send{Hash: s.Hash(s.Draft)})
	return &bus.Msg[casework.Event]{Key: string(b.id), Value: s.History[len(s.History)-1]}
}

func (b *bench) state() casework.State {
	b.t.Helper()
	s, _, err := b.cases.Touched(b.t.Context(), b.id)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// last is what happened last, with its words.
func (b *bench) last() string {
	s := b.state()
	e := s.History[len(s.History)-1]
	return fmt.Sprint(e.Kind, " ", e.Text)
}

// posts counts the replies that the public sees.
func (b *bench) posts() int {
	b.t.Helper()
	entries, err := source.Timeline(filepath.Join(b.data, "box"))
	if err != nil {
		b.t.Fatal(err)
	}
	return len(entries)
}

// deliver hands m over and tells whether it is wanted again, and when.
func (b *bench) deliver(m *bus.Msg[casework.Event]) (again bool, in time.Duration) {
	b.t.Helper()
	err := b.handle(b.t.Context(), m)
	in, asked := bus.RetryAfter(err)
	if err != nil && !asked {
		b.t.Fatal(err)
	}
	return err != nil, in
}

// dies writes down that the platform is called, as a replier does that then
// is no more.
func (b *bench) dies() casework.State {
	b.t.Helper()
	s, err := b.cases.Record(b.t.Context(), b.id, func(s *casework.State) (casework.Event, bool) {
		return casework.Event{Kind: casework.Sending, Attempt: s.Outgoing.Attempt, Until: b.clock.Now().Add(casework.SendingTerm)}, true
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// platform is the sandbox as the line to it may be.
type platform struct {
	source.Source
	source.Replier
	dedupes time.Duration
	lost    error // what Reply returns after it has published
	refuses error // what Reply returns instead of publishing
	silent  error // what Find returns
	sent    []source.Reply
}

func (p *platform) Dedupes() time.Duration { return p.dedupes }

func (p *platform) Reply(ctx context.Context, r source.Reply) (source.Sent, error) {
	if p.refuses != nil {
		return source.Sent{}, p.refuses
	}
	p.sent = append(p.sent, r)
	sent, err := p.Replier.Reply(ctx, r)
	if p.lost != nil {
		return source.Sent{}, p.lost
	}
	return sent, err
}

func (p *platform) Find(ctx context.Context, r source.Reply) (source.Sent, error) {
	if p.silent != nil {
		return source.Sent{}, p.silent
	}
	return p.Replier.Find(ctx, r)
}

// behind puts p between the replier and the sandbox.
func (b *bench) behind(p *platform) {
	b.t.Helper()
	conn, err := b.replierOf("box")
	if err != nil {
		b.t.Fatal(err)
	}
	p.Source, p.Replier = conn.(source.Source), conn
	b.conns["box"] = opened{b.conns["box"].of, p}
}

// permanent is a refusal by the platform.
type permanent struct{ error }

func (permanent) Permanent() bool { return true }

func TestSent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := b.ask("box", "ごめんなさい")
	if again, in := b.deliver(m); !again || in > 1010*time.Millisecond || b.posts() != 0 {
		t.Fatalf("held: again %v in %v, %d posts", again, in, b.posts())
	}
	b.clock.Pass(time.Second)
	for range 3 { // and twice more, as the bus may
		if again, _ := b.deliver(m); again {
			t.Error("wanted again")
		}
	}
	s := b.state()
	if b.posts() != 1 || len(s.Replies) != 1 || s.Replies[0].URL == "" || s.Replies[0].By != "ann" || s.Status != casework.WaitingCustomer {
		t.Errorf("%d posts, replies %+v, %s", b.posts(), s.Replies, s.Status)
	}
}

func TestStopped(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := b.ask("box", "ごめんなさい")
	b.do(casework.StopSend{})
	b.clock.Pass(time.Minute)
	if again, _ := b.deliver(m); again || b.posts() != 0 {
		t.Errorf("again %v, %d posts", again, b.posts())
	}
	// Pressed again: another attempt, and the first one's event changes nothing.
	second := b.again()
	b.clock.Pass(time.Minute)
	b.deliver(m)
	b.deliver(second)
	if b.posts() != 1 {
		t.Errorf("%d posts, want one", b.posts())
	}
}

// again presses send on the draft that is there.
func (b *bench) again() *bus.Msg[casework.Event] {
	s := b.state()
	s = b.do(casework.Send{Hash: s.Hash(s.Draft)})
	return &bus.Msg[casework.Event]{Key: string(b.id), Value: s.History[len(s.History)-1]}
}

// What waits when replies of the brand or the story are stopped does not leave,
// then or later; what is sent after the release does.
func TestStoppedForTheWholeBrand(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := b.ask("box", "ごめんなさい")
	stop := settings.Stop{ID: "acme", Brand: "acme", Why: "嵐"}
	if err := settings.Stops.Put(t.Context(), b.settings, "lea", stop.ID, 0, stop); err != nil {
		t.Fatal(err)
	}
	b.clock.Pass(time.Minute)
	if again, _ := b.deliver(m); again || b.posts() != 0 || b.last() != "send_stopped 嵐" {
		t.Fatalf("again %v, %d posts, %s", again, b.posts(), b.last())
	}
	if err := settings.Stops.Delete(t.Context(), b.settings, "lea", stop.ID, settings.Stops.Version(b.settings, stop.ID)); err != nil {
		t.Fatal(err)
	}
	b.deliver(m)
	if b.posts() != 0 {
		t.Fatal("left by itself after the release")
	}
	second := b.again()
	b.clock.Pass(time.Minute)
	if b.deliver(second); b.posts() != 1 {
		t.Errorf("%d posts, want one", b.posts())
	}
}

func TestHastened(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := b.ask("box", "ごめんなさい")
	if again, _ := b.deliver(m); !again {
		t.Fatal("sent while it could be taken back")
	}
	s := b.do(casework.Hasten{})
	now := &bus.Msg[casework.Event]{Key: string(b.id), Value: s.History[len(s.History)-1]}
	b.deliver(now)
	b.deliver(m)
	if b.posts() != 1 {
		t.Errorf("%d posts, want one", b.posts())
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		account  string
		platform *platform
		last     string
		posts    int
	}{
		{"a source that can't reply", "news", nil, "send_failed replies can't be published through this source", 0},
		{"a source that is gone", "gone", nil, `send_failed there is no source "gone" any more`, 0},
		{"the platform refuses", "box", &platform{refuses: permanent{errors.New("banned")}}, "send_failed banned", 0},
		{"no answer, but it is there", "box", &platform{lost: errors.New("reset")}, "sent ", 1},
		{"no answer, and it isn't there", "box", &platform{refuses: errors.New("reset")}, "send_unsure reset", 0},
		{"no answer, and it can't be seen yet", "box", &platform{lost: errors.New("reset"), silent: source.ErrNotFound}, "send_unsure reset", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if tt.platform != nil {
				b.behind(tt.platform)
			}
			m := b.ask(tt.account, "ごめんなさい")
			b.clock.Pass(time.Second)
			for range 3 {
				if again, _ := b.deliver(m); again {
					t.Error("wanted again")
				}
			}
			if b.last() != tt.last || b.posts() != tt.posts {
				t.Errorf("%q with %d posts, want %q with %d", b.last(), b.posts(), tt.last, tt.posts)
			}
		})
	}
}

// A replier died somewhere around the call. Whoever comes next must find out
// without ever posting twice.
func TestAfterACrash(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		called   bool // the reply went out before the crash
		platform platform
		last     string
		posts    int
	}{
		{"before the call, the platform drops repeats", false, platform{dedupes: time.Hour}, "sent ", 1},
		{"after the call, the platform drops repeats", true, platform{dedupes: time.Hour}, "sent ", 1},
		{"after the call, it drops repeats and refuses", true, platform{dedupes: time.Hour, refuses: permanent{errors.New("banned")}}, "sent ", 1},
		{"after the call, it no longer drops repeats", true, platform{dedupes: time.Minute}, "sent ", 1},
		{"after the call, it can be asked", true, platform{}, "sent ", 1},
		{"before the call, it can be asked", false, platform{}, "send_unsure the call was cut short", 0},
		{"after the call, it doesn't show it yet", true, platform{silent: source.ErrNotFound}, "send_unsure the call was cut short", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			p := tt.platform
			b.behind(&p)
			m := b.ask("box", "ごめんなさい")
			b.clock.Pass(time.Second)
			s := b.dies()
			if tt.called {
				if _, err := p.Replier.Reply(t.Context(), replyOf(&s)); err != nil {
					t.Fatal(err)
				}
			}
			if again, in := b.deliver(m); !again || in < casework.SendingTerm {
				t.Errorf("while the call may be under way: again %v in %v", again, in)
			}
			b.clock.Pass(casework.SendingTerm + time.Second)
			for range 3 {
				if again, _ := b.deliver(m); again {
					t.Error("wanted again")
				}
			}
			if b.last() != tt.last || b.posts() != tt.posts {
				t.Errorf("%q with %d posts, want %q with %d", b.last(), b.posts(), tt.last, tt.posts)
			}
			if s := b.state(); len(s.Replies) > 1 {
				t.Errorf("replies %+v", s.Replies)
			}
		})
	}
}

func TestAPersonSettlesWhatNobodyKnows(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.behind(&platform{lost: errors.New("reset"), silent: source.ErrNotFound})
	m := b.ask("box", "ごめんなさい")
	b.clock.Pass(time.Second)
	b.deliver(m)
	b.do(casework.Settle{Outcome: casework.Published, URL: "https://sandbox.example/r1"})
	b.deliver(m)
	if s := b.state(); b.posts() != 1 || len(s.Replies) != 1 || s.Replies[0].URL != "https://sandbox.example/r1" || s.Outgoing != nil {
		t.Errorf("%d posts, replies %+v", b.posts(), s.Replies)
	}
}

// The platform is down: it is asked again until it answers, and a person is
// told meanwhile.
func TestAPlatformThatIsDownIsAskedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := &platform{lost: errors.New("reset"), silent: errors.New("502")}
	b.behind(p)
	m := b.ask("box", "ごめんなさい")
	b.clock.Pass(time.Second)
	for range 3 {
		if again, in := b.deliver(m); !again || in != time.Minute || b.last() != "send_unsure 502" {
			t.Fatalf("again %v in %v, %q", again, in, b.last())
		}
		b.clock.Pass(time.Minute)
	}
	p.lost, p.silent = nil, nil
	if again, _ := b.deliver(m); again || b.last() != "sent " || b.posts() != 1 {
		t.Errorf("again %v, %q, %d posts", again, b.last(), b.posts())
	}
	// Not for ever, though.
	p.lost, p.silent = errors.New("reset"), errors.New("502")
	b.do(casework.Reopen{})
	m = b.ask("box", "もう一度")
	b.clock.Pass(time.Second)
	b.deliver(m)
	b.clock.Pass(askFor + time.Second)
	if again, _ := b.deliver(m); again || b.last() != "send_unsure 502" {
		t.Errorf("again %v, %q", again, b.last())
	}
}

// The answer came after a person had given the reply up.
func TestALateAnswerIsNoted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ask("box", "ごめんなさい")
	s := b.dies()
	b.clock.Pass(time.Hour)
	if _, err := b.cases.Tick(t.Context(), b.id); err != nil {
		t.Fatal(err)
	}
	b.do(casework.Settle{Outcome: casework.NotPublished})
	late := casework.Event{Kind: casework.Sent, URL: "https://x.example/1"}
	if err := b.record(t.Context(), b.id, s.Outgoing.Attempt, late); err != nil || b.last() != "noted published after all: https://x.example/1" {
		t.Errorf("%q, %v", b.last(), err)
	}
}

func TestWhatANewerProgramWroteWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := b.ask("box", "ごめんなさい")
	if _, err := b.cases.Record(t.Context(), b.id, func(*casework.State) (casework.Event, bool) {
		return casework.Event{Kind: "recalled"}, true
	}); err != nil {
		t.Fatal(err)
	}
	b.clock.Pass(time.Hour)
	if again, in := b.deliver(m); !again || in != time.Minute || b.posts() != 0 {
		t.Errorf("again %v in %v, %d posts", again, in, b.posts())
	}
}

// TestFourAtOnce delivers the same event to several repliers at once, as after
// a lost acknowledgement.
func TestFourAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.behind(&platform{})
	m := b.ask("box", "ごめんなさい")
	b.clock.Pass(time.Second)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { _ = b.handle(t.Context(), m) })
	}
	wg.Wait()
	if s := b.state(); b.posts() != 1 || len(s.Replies) != 1 {
		t.Errorf("%d posts, %d replies", b.posts(), len(s.Replies))
	}
}

// TestOnTheBus runs the service's own loop, by the real clock.
func TestOnTheBus(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.now = time.Now
	b.settle = 10 * time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- casework.Events().Consume(ctx, b.bus, bus.Consumer{Durable: "replier-v1", Batch: 1, Workers: 4}, bus.Each(b.handle))
	}()
	b.ask("box", "ごめんなさい")
	limit := time.Now().Add(10 * time.Second)
	for s := b.state(); len(s.Replies) == 0; s = b.state() {
		if time.Now().After(limit) {
			t.Fatalf("not sent: %s", b.last())
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	if err := <-done; err != nil || b.posts() != 1 {
		t.Errorf("%v, %d posts", err, b.posts())
	}
}

// TestAReplyToAPostThatJoined publishes below the joined post; one that was edited
// after somebody pressed send is not answered.
func TestAReplyToAPostThatJoined(t *testing.T) {
	b := newBench(t)
	second := b.tag("p2", "まだ返事がない")
	if _, err := b.cases.Merge(t.Context(), staff.Viewer(), second, b.id); err != nil {
		t.Fatal(err)
	}
	ask := func() *bus.Msg[casework.Event] {
		s := b.do(casework.Write{Text: "お待たせしました", Account: "box", To: second})
		facing, err := b.cases.Toward(t.Context(), &s, second)
		if err != nil {
			t.Fatal(err)
		}
		s = b.do(casework.Send{Hash: facing.Hash(s.Draft)})
		b.clock.Pass(2 * time.Second)
		return &bus.Msg[casework.Event]{Key: string(b.id), Value: s.History[len(s.History)-1]}
	}
	if err := b.handle(t.Context(), ask()); err != nil {
		t.Fatal(err)
	}
	out, err := source.Timeline(filepath.Join(b.data, "box"))
	if err != nil || len(out) != 1 || out[0].To != "p2" || out[0].ToText != "まだ返事がない" {
		t.Fatalf("published %+v, %v", out, err)
	}
	if s := b.state(); len(s.Replies) != 1 || s.Replies[0].Draft.To != second {
		t.Fatalf("replies %+v", s.Replies)
	}
	again := ask()
	if _, err := b.cases.Record(t.Context(), second, func(s *casework.State) (casework.Event, bool) {
		m := s.Mention
		m.Text, m.Revision.Hash = "もう結構です", "edited"
		return casework.Event{Kind: casework.Revised, Mention: &m}, true
	}); err != nil {
		t.Fatal(err)
	}
	if err := b.handle(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if s := b.state(); b.posts() != 1 || s.Outgoing != nil || s.Draft == nil {
		t.Errorf("%d published; %s; draft %v", b.posts(), b.last(), s.Draft)
	}
}
