package replier

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/source"
)

// shown is a platform that shows posts as the test has them.
type shown struct {
	platform
	mu    sync.Mutex
	posts map[string]mention.Post // by native id
	err   error
	asked int
}

func (p *shown) show(post mention.Post) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.posts[post.NativeID] = post
}

func (p *shown) Reread(_ context.Context, posts []mention.Post) ([]mention.Post, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	var out []mention.Post
	for _, q := range posts {
		if now, ok := p.posts[q.NativeID]; ok {
			out = append(out, now)
		}
	}
	return out, p.err
}

// publish sends a reply and returns its id on the platform.
func (b *bench) publish(text string) string {
	b.t.Helper()
	m := b.ask("box", text)
	b.clock.Pass(time.Second)
	b.deliver(m)
	s := b.state()
	if len(s.Replies) == 0 {
		b.t.Fatalf("not sent: %s", b.last())
	}
	return s.Replies[len(s.Replies)-1].Native
}

// wake lets d pass, and returns the event by which it is time to look.
func (b *bench) wake(d time.Duration) *bus.Msg[casework.Event] {
	b.t.Helper()
	b.clock.Pass(d)
	s, err := b.cases.Tick(b.t.Context(), b.id)
	if err != nil {
		b.t.Fatal(err)
	}
	i := slices.IndexFunc(s.History, func(e casework.Event) bool {
		return e.Kind == casework.LookDue && e.At.Equal(b.clock.Now().UTC().Truncate(time.Millisecond))
	})
	if i < 0 {
		b.t.Fatalf("it is not time to look: %s", b.last())
	}
	return &bus.Msg[casework.Event]{Key: string(b.id), Value: s.History[i]}
}

// looked delivers m to the follower.
func (b *bench) looked(m *bus.Msg[casework.Event]) (again bool, in time.Duration) {
	b.t.Helper()
	err := b.look(b.t.Context(), m)
	in, asked := bus.RetryAfter(err)
	if err != nil && !asked {
		b.t.Fatal(err)
	}
	return err != nil, in
}

func TestOurReplyIsNoLongerThere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	native := b.publish("ごめんなさい")
	first := b.wake(10 * time.Minute)
	before := b.state()
	for range 2 {
		if again, _ := b.looked(first); again {
			t.Error("wanted again")
		}
	}
	if s := b.state(); s.Last != before.Last || s.Replies[0].Gone {
		t.Fatalf("nothing has changed, but %s", b.last())
	}
	timeline := filepath.Join(b.data, "box", "timeline.jsonl")
	raw, err := os.ReadFile(timeline)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(timeline, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m := b.wake(time.Hour)
	for range 2 {
		b.looked(m)
	}
	s := b.state()
	events := 0
	for _, e := range s.History {
		if e.Kind == casework.Looked {
			events++
		}
	}
	if !s.Replies[0].Gone || s.Replies[0].Native != native || events != 1 || s.Status != casework.WaitingCustomer {
		t.Errorf("gone %v, %d events, %s", s.Replies[0].Gone, events, s.Status)
	}
	// An older wish to look, delivered late, changes nothing.
	if err := os.WriteFile(timeline, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	b.looked(first)
	if !b.state().Replies[0].Gone {
		t.Error("an old wish to look was heeded")
	}
}

func TestThePostIsReadAgainWithTheReply(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := &shown{posts: map[string]mention.Post{}}
	b.behindShown(p)
	native := b.publish("ごめんなさい")
	now := b.state().Mention.Post
	now.Metrics.Likes = mention.Count(7)
	now.Comments = []mention.Comment{{NativeID: "c1", Author: "taro", Text: "私も"}}
	p.show(now)
	p.show(mention.Post{NativeID: native, Text: "@hanako ごめんなさい", Metrics: mention.Metrics{Replies: mention.Count(2)}})
	b.looked(b.wake(10 * time.Minute))
	s := b.state()
	if l := s.Mention.Metrics.Likes; l == nil || *l != 7 || len(s.Mention.Comments) != 1 {
		t.Errorf("the post has %+v and %+v", s.Mention.Metrics, s.Mention.Comments)
	}
	if n := s.Replies[0].Metrics.Replies; n == nil || *n != 2 || s.Replies[0].Reads != "" {
		t.Errorf("the reply has %+v and reads %q", s.Replies[0].Metrics, s.Replies[0].Reads)
	}
	if got := b.mentions(); len(got) != 0 {
		t.Errorf("what did not change was handed over: %+v", got)
	}
	// The post is edited, then deleted: that goes the way of every post.
	now.Text, now.EditedAt = "やっぱりいいです", b.clock.Now()
	p.show(now)
	b.looked(b.wake(time.Hour))
	p.show(mention.Post{NativeID: now.NativeID, Deleted: true})
	b.looked(b.wake(6 * time.Hour))
	got := b.mentions()
	if len(got) != 2 || got[0].Text != "やっぱりいいです" || got[0].ID != b.id || got[0].Source != "box" || !got[1].Deleted || got[1].Text != "" || got[1].Author.ID != "" {
		t.Errorf("handed over: %+v", got)
	}
}

// behindShown puts p between the replier and the sandbox.
func (b *bench) behindShown(p *shown) {
	b.t.Helper()
	b.behind(&p.platform)
	b.conns["box"] = opened{b.conns["box"].of, p}
}

// mentions are what was handed over to be tagged, so far.
func (b *bench) mentions() []mention.Mention {
	b.t.Helper()
	last, err := bus.Mentions.Last(b.t.Context(), b.bus)
	if err != nil {
		b.t.Fatal(err)
	}
	var out []mention.Mention
	for seq := uint64(1); seq <= last; seq++ {
		e, err := bus.Mentions.Get(b.t.Context(), b.bus, seq)
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, e.Value)
	}
	return out
}

func TestAPlatformThatDoesNotTellIsAskedLater(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := &shown{posts: map[string]mention.Post{}, err: errors.New("502")}
	b.behindShown(p)
	native := b.publish("ごめんなさい")
	m := b.wake(10 * time.Minute)
	if again, in := b.looked(m); !again || in != lookAgain {
		t.Errorf("again %v in %v", again, in)
	}
	// The replier is killed, and the wish comes again: to whoever is there.
	p.err = nil
	p.show(mention.Post{NativeID: native, Deleted: true})
	b.clock.Pass(lookAgain)
	if again, _ := b.looked(m); again || !b.state().Replies[0].Gone {
		t.Errorf("again %v, %s", again, b.last())
	}
	// Refused for good: it is not asked again and again.
	p.err = permanent{errors.New("not ours to see")}
	if again, _ := b.looked(b.wake(time.Hour)); again {
		t.Error("wanted again")
	}
	asked := p.asked
	p.err = errors.New("502")
	last := b.wake(6 * time.Hour)
	b.clock.Pass(lookFor + time.Minute)
	if again, _ := b.looked(last); again || p.asked != asked {
		t.Errorf("a day later: again %v, asked %d times", again, p.asked-asked)
	}
}

// A review that holds one answer was answered by somebody else meanwhile.
func TestWhatStandsThereIsSeenBeforeItIsOverwritten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := &shown{posts: map[string]mention.Post{}}
	b.behindShown(p)
	p.refuses = &source.Refusal{Reason: source.Closed, Err: errors.New("another answer stands there")}
	now := b.untouched()
	now.Comments = []mention.Comment{{NativeID: "theirs", Text: "担当者です", Ours: true}}
	p.show(now)
	m := b.ask("box", "ごめんなさい")
	b.clock.Pass(time.Second)
	b.deliver(m)
	s := b.state()
	if s.Outgoing != nil || len(s.Mention.Comments) != 1 {
		t.Fatalf("%s, comments %+v", b.last(), s.Mention.Comments)
	}
	// What is sent now has been seen, and then what we sent is.
	p.refuses = nil
	second := b.again()
	b.clock.Pass(time.Second)
	b.deliver(second)
	b.publish("もう一度")
	got := p.sent
	if len(got) != 2 || len(got[0].To.Comments) != 1 || got[0].To.Comments[0].Text != "担当者です" {
		t.Fatalf("sent %+v", got)
	}
	if c := got[1].To.Comments; len(c) != 2 || c[1].Text != "ごめんなさい" || !c[1].Ours || c[1].NativeID == "" {
		t.Errorf("our own answer is not among %+v", c)
	}
}

// untouched is the post of the bench's mention.
func (b *bench) untouched() mention.Post {
	b.t.Helper()
	s, err := b.cases.Get(b.t.Context(), staff.Viewer(), b.id)
	if err != nil {
		b.t.Fatal(err)
	}
	return s.Mention.Post
}

// lister is a platform on which our own timeline can be read, and nothing else.
type lister struct {
	source.Source
	mu    sync.Mutex
	posts []mention.Post
	err   error
	reads int
}

func (l *lister) Timeline(_ context.Context, since time.Time) ([]mention.Post, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	return slices.DeleteFunc(slices.Clone(l.posts), func(p mention.Post) bool { return p.PublishedAt.Before(since) }), l.err
}

// take writes a reply and takes it to be posted by hand.
func (b *bench) take(text string) *bus.Msg[casework.Event] {
	b.t.Helper()
	s := b.do(casework.Write{Text: text, Account: "box"})
	s = b.do(casework.TakeByHand{Hash: s.Hash(s.Draft)})
	return &bus.Msg[casework.Event]{Key: string(b.id), Value: s.History[len(s.History)-1]}
}

func (b *bench) hand(m *bus.Msg[casework.Event]) (again bool, in time.Duration) {
	b.t.Helper()
	err := b.lookForPosted(b.t.Context(), m)
	in, asked := bus.RetryAfter(err)
	if err != nil && !asked {
		b.t.Fatal(err)
	}
	return err != nil, in
}

func TestPostedByHandIsFound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, posted, reads string
	}{
		{"as approved", "@hanako ごめんなさい。", ""},
		{"otherwise", "すみません", "すみません"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			l := &lister{}
			if _, err := b.connOf("box"); err != nil {
				t.Fatal(err)
			}
			b.conns["box"] = opened{b.conns["box"].of, l}
			l.posts = []mention.Post{{NativeID: "old", Thread: mention.Thread{Parent: "p1"}, Text: "ごめんなさい。", PublishedAt: b.clock.Now().Add(-time.Hour)}}
			m := b.take("ごめんなさい。")
			if again, in := b.hand(m); !again || in != handEvery {
				t.Fatalf("not posted yet: again %v in %v", again, in)
			}
			b.clock.Pass(handEvery)
			at := b.clock.Now()
			l.posts = append(l.posts,
				mention.Post{NativeID: "other", Thread: mention.Thread{Parent: "p2"}, Text: "ごめんなさい。", PublishedAt: at},
				mention.Post{NativeID: "r1", URL: "https://x.example/r1", Thread: mention.Thread{Parent: "p1"}, Text: tt.posted, PublishedAt: at})
			for range 2 { // killed after it was written down, before that was acknowledged
				if again, _ := b.hand(m); again {
					t.Error("wanted again")
				}
			}
			s := b.state()
			if len(s.Replies) != 1 || s.ByHand != nil || s.Status != casework.WaitingCustomer {
				t.Fatalf("replies %+v, %s", s.Replies, s.Status)
			}
			r := s.Replies[0]
			if r.Native != "r1" || r.URL != "https://x.example/r1" || r.By != "ann" || !r.ByHand || !r.Follow || r.Reads != tt.reads || r.Draft.Text != "ごめんなさい。" {
				t.Errorf("%+v", r)
			}
			// It is gone from the timeline, which reaches back beyond it.
			l.posts = l.posts[:1]
			b.looked(b.wake(10 * time.Minute))
			if !b.state().Replies[0].Gone {
				t.Errorf("not gone: %s", b.last())
			}
		})
	}
}

func TestWhoeverPostsByHandIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l := &lister{err: errors.New("502")}
	if _, err := b.connOf("box"); err != nil {
		t.Fatal(err)
	}
	b.conns["box"] = opened{b.conns["box"].of, l}
	m := b.take("ごめんなさい。")
	if again, in := b.hand(m); !again || in != handEvery {
		t.Errorf("again %v in %v", again, in)
	}
	// Written anew: what was taken is not waited for any more.
	s := b.state()
	b.do(casework.Write{Version: s.Draft.Version, Text: "別の言葉", Account: "box"})
	if again, _ := b.hand(m); again {
		t.Error("wanted again after another draft")
	}
	l.err = nil
	s = b.state()
	s = b.do(casework.TakeByHand{Hash: s.Hash(s.Draft)})
	m = &bus.Msg[casework.Event]{Key: string(b.id), Value: s.History[len(s.History)-1]}
	b.clock.Pass(24 * time.Hour)
	reads := l.reads
	if again, _ := b.hand(m); again || l.reads != reads {
		t.Error("looked for after a day")
	}
	// One read serves all that wait.
	for range 3 {
		if _, err := b.timelines.read(t.Context(), "box", l, b.clock.Now().Add(-time.Hour), b.clock.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if l.reads != reads+1 {
		t.Errorf("read %d times", l.reads-reads)
	}
}

func TestRefusalsAreToldApart(t *testing.T) {
	t.Parallel()
	until := time.Now().Add(20 * time.Minute).UTC().Truncate(time.Millisecond)
	for _, tt := range []struct {
		err  error
		want source.Reason
	}{
		{&source.Refusal{Reason: source.NotSummoned, Err: errors.New("403")}, source.NotSummoned},
		{&source.Refusal{Reason: source.Limited, Until: until, Err: errors.New("429")}, source.Limited},
		{permanent{errors.New("banned")}, ""},
	} {
		b := newBench(t)
		b.behind(&platform{refuses: tt.err})
		m := b.ask("box", "ごめんなさい")
		b.clock.Pass(time.Second)
		b.deliver(m)
		s := b.state()
		e := s.History[len(s.History)-1]
		if e.Kind != casework.SendFailed || e.Reason != string(tt.want) || e.Text != tt.err.Error() || (tt.want == source.Limited) != e.Until.Equal(until) {
			t.Errorf("%v: %+v", tt.err, e)
		}
	}
}

// joins has another customer's post join the case, and returns its case's id.
func (b *bench) joins(native, text string) mention.ID {
	b.t.Helper()
	id := b.tag(native, text)
	if _, err := b.cases.Merge(b.t.Context(), staff.Viewer(), id, b.id); err != nil {
		b.t.Fatal(err)
	}
	return id
}

// toward is the hash of the case's draft for the joined post to.
func (b *bench) toward(to mention.ID) string {
	b.t.Helper()
	s := b.state()
	facing, err := b.cases.Toward(b.t.Context(), &s, to)
	if err != nil {
		b.t.Fatal(err)
	}
	return facing.Hash(s.Draft)
}

// takenOut has a post that joined the case stand for itself again.
func (b *bench) takenOut(id mention.ID) {
	b.t.Helper()
	if _, err := b.cases.Do(b.t.Context(), staff.Viewer(), id, casework.Reopen{}); err != nil {
		b.t.Fatal(err)
	}
}

// seeing is shown, and remembers what it was asked for.
type seeing struct {
	shown
	sought []mention.Post
}

func (p *seeing) Reread(ctx context.Context, posts []mention.Post) ([]mention.Post, error) {
	p.sought = append(p.sought, posts...)
	return p.shown.Reread(ctx, posts)
}

// TestAReplyToAPostThatJoinedIsLookedAt: each reply is asked for with the post below
// which it stands, and what is new of that post belongs to its own case.
func TestAReplyToAPostThatJoinedIsLookedAt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := &seeing{shown: shown{posts: map[string]mention.Post{}}}
	b.behindShown(&p.shown)
	b.conns["box"] = opened{b.conns["box"].of, p}
	second := b.joins("p2", "まだ返事がない")
	own := b.publish("ごめんなさい")
	b.do(casework.Write{Text: "お待たせしました", Account: "box", To: second})
	s := b.do(casework.Send{Hash: b.toward(second)})
	b.clock.Pass(time.Second)
	b.deliver(&bus.Msg[casework.Event]{Key: string(b.id), Value: s.History[len(s.History)-1]})
	if s = b.state(); len(s.Replies) != 2 || s.Replies[1].Draft.To != second {
		t.Fatalf("%s; replies %+v", b.last(), s.Replies)
	}
	joined := s.Replies[1].Native

	post, _, err := b.cases.Touched(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	now := post.Mention.Post
	now.Comments = []mention.Comment{{NativeID: "c1", Author: "taro", Text: "私も"}}
	p.show(now)
	p.show(mention.Post{NativeID: own, Text: "ごめんなさい", Metrics: mention.Metrics{Likes: mention.Count(1)}})
	p.show(mention.Post{NativeID: joined, Text: "お待たせしました", Metrics: mention.Metrics{Likes: mention.Count(2)}})
	if again, in := b.looked(b.wake(10 * time.Minute)); again {
		t.Fatalf("wanted again in %v", in)
	}
	for _, q := range p.sought {
		if want, ours := map[string]string{own: "p1", joined: "p2"}[q.NativeID]; ours && q.Thread.Parent != want {
			t.Errorf("%s was asked for below %q, want %s", q.NativeID, q.Thread.Parent, want)
		}
	}
	s = b.state()
	for i, likes := range []int64{1, 2} {
		if n := s.Replies[i].Metrics.Likes; n == nil || *n != likes {
			t.Errorf("reply %d has %+v", i, s.Replies[i].Metrics)
		}
	}
	if post, _, err = b.cases.Touched(t.Context(), second); err != nil || len(post.Mention.Comments) != 1 || len(s.Mention.Comments) != 0 {
		t.Errorf("below the joined post stands %+v, below the case's %+v, %v", post.Mention.Comments, s.Mention.Comments, err)
	}
	// What it says is a revision of its own mention.
	now.Text, now.EditedAt = "やっぱりいいです", b.clock.Now()
	p.show(now)
	p.show(mention.Post{NativeID: joined, Deleted: true})
	b.looked(b.wake(time.Hour))
	if got := b.mentions(); len(got) != 1 || got[0].ID != second || got[0].Text != "やっぱりいいです" {
		t.Errorf("handed over: %+v", got)
	}
	if s = b.state(); s.Replies[0].Gone || !s.Replies[1].Gone {
		t.Errorf("gone: %v, %v", s.Replies[0].Gone, s.Replies[1].Gone)
	}
	// It goes on elsewhere: nobody asks for it here, and the other one is asked for.
	b.takenOut(second)
	p.sought = nil
	if again, in := b.looked(b.wake(6 * time.Hour)); again {
		t.Errorf("wanted again in %v", in)
	}
	asked := map[string]bool{}
	for _, q := range p.sought {
		asked[q.NativeID] = true
	}
	if !asked[own] || asked[joined] || asked["p2"] {
		t.Errorf("asked for %v", asked)
	}
}

// TestAReplyToAPostThatJoinedIsFoundWhenPostedByHand: below the post that it answers,
// not below the case's own.
func TestAReplyToAPostThatJoinedIsFoundWhenPostedByHand(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l := &lister{}
	if _, err := b.connOf("box"); err != nil {
		t.Fatal(err)
	}
	b.conns["box"] = opened{b.conns["box"].of, l}
	second := b.joins("p2", "まだ返事がない")
	b.do(casework.Write{Text: "お待たせしました", Account: "box", To: second})
	s := b.do(casework.TakeByHand{Hash: b.toward(second)})
	m := &bus.Msg[casework.Event]{Key: string(b.id), Value: s.History[len(s.History)-1]}
	l.posts = []mention.Post{{NativeID: "r1", Thread: mention.Thread{Parent: "p1"}, Text: "お待たせしました", PublishedAt: b.clock.Now()}}
	if again, in := b.hand(m); !again || in != handEvery {
		t.Fatalf("below another post: again %v in %v, %s", again, in, b.last())
	}
	b.clock.Pass(handEvery)
	l.posts = append(l.posts, mention.Post{NativeID: "r2", URL: "https://x.example/r2", Thread: mention.Thread{Parent: "p2"}, Text: "お待たせしました", PublishedAt: b.clock.Now()})
	for range 2 {
		if again, _ := b.hand(m); again {
			t.Error("wanted again")
		}
	}
	s = b.state()
	if len(s.Replies) != 1 || s.Replies[0].Native != "r2" || s.Replies[0].Draft.To != second || !s.Replies[0].Follow || s.ByHand != nil {
		t.Fatalf("%s; replies %+v", b.last(), s.Replies)
	}
	if other, _, err := b.cases.Touched(t.Context(), second); err != nil || len(other.Replies) != 0 {
		t.Errorf("the joined case has %+v, %v", other.Replies, err)
	}
	// Taken by hand once more, and the post is taken out meanwhile: whoever posts it
	// says where it is.
	b.clock.Pass(time.Minute)
	b.do(casework.Write{Text: "もう少しお待ちください", Account: "box", To: second})
	s = b.do(casework.TakeByHand{Hash: b.toward(second)})
	m = &bus.Msg[casework.Event]{Key: string(b.id), Value: s.History[len(s.History)-1]}
	b.takenOut(second)
	l.reads = 0
	if again, in := b.hand(m); again || l.reads != 0 {
		t.Errorf("again %v in %v, %d reads", again, in, l.reads)
	}
}
