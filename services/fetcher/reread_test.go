package fetcher

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

// archive is an indexer with posts, as far as reading again asks it.
type archive struct {
	mu    sync.Mutex
	posts []source.StoredPost
	asked []source.Stored
}

func (a *archive) stored(_ context.Context, q source.Stored) (source.StoredPosts, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, q)
	from, _ := strconv.Atoi(q.Cursor)
	to := min(from+source.RereadAtOnce, len(a.posts))
	out := source.StoredPosts{Mentions: a.posts[from:to], Total: len(a.posts)}
	if to < len(a.posts) {
		out.Next = strconv.Itoa(to)
	}
	return out, nil
}

// network shows posts as the test has them.
type network struct {
	mu    sync.Mutex
	now   map[string]mention.Post
	asked int
	most  int
	err   error
}

func (n *network) Reread(_ context.Context, posts []mention.Post) ([]mention.Post, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked += len(posts)
	n.most = max(n.most, len(posts))
	var out []mention.Post
	for _, p := range posts {
		if now, ok := n.now[p.NativeID]; ok {
			out = append(out, now)
		}
	}
	return out, n.err
}

func newRereader(t *testing.T, a *archive, n *network) (*rereader, *bustest.Clock) {
	t.Helper()
	c, _ := bustest.Open(t)
	set, err := settings.Open(t.Context(), c, bustest.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := bus.Answer(t.Context(), c, "indexer", "stored", a.stored); err != nil {
		t.Fatal(err)
	}
	clock := bustest.NewClock(time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC))
	return &rereader{
		bus: c, settings: set, log: bustest.Log(t), now: clock.Now, id: "acme-x", conn: n,
		kind: source.Kind{Platform: "x", Duties: source.Duties{Reread: 24 * time.Hour}},
	}, clock
}

func handed(t *testing.T, c *bus.Conn) []mention.Mention {
	t.Helper()
	last, err := bus.Mentions.Last(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var out []mention.Mention
	for seq := uint64(1); seq <= last; seq++ {
		e, err := bus.Mentions.Get(t.Context(), c, seq)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e.Value)
	}
	return out
}

func TestAllThatIsStoredIsReadAgainInADay(t *testing.T) {
	t.Parallel()
	a, n := &archive{}, &network{now: map[string]mention.Post{}}
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for i := range 250 {
		p := mention.Post{Platform: "x", NativeID: fmt.Sprint(i), Source: "acme-x", Kind: mention.KindPost, Intake: mention.Live, PublishedAt: at}
		if i == 248 {
			p.Intake = mention.Bulked
		}
		for _, brand := range []string{"acme", "beta"}[:1+i/249] { // the last is of two brands
			full := p
			full.Text = "text " + p.NativeID
			n.now[p.NativeID] = full
			full.SeenAt = at
			a.posts = append(a.posts, source.StoredPost{Brand: brand, Hash: mention.Of(brand, full).Revision.Hash, Post: p})
		}
	}
	gone := func(id string) { n.now[id] = mention.Post{Platform: "x", NativeID: id, Deleted: true} }
	gone("3")
	gone("248")
	gone("249")
	edited := n.now["120"]
	edited.Text, edited.Author = "edited", mention.Author{ID: "u1", Handle: "hana"}
	n.now["120"] = edited
	delete(n.now, "7") // the platform says nothing of it

	r, clock := newRereader(t, a, n)
	began, batches := clock.Now(), 0
	for clock.Now().Sub(began) < 23*time.Hour {
		if !clock.Now().Before(r.state.Next) {
			r.step(t.Context())
			batches++
			// The process is killed and starts anew.
			fresh := source.Rereading{}
			if _, err := bus.Cursors.Get(t.Context(), r.bus, source.RereadKey("acme-x"), &fresh); err != nil {
				t.Fatal(err)
			}
			r.state = fresh
		}
		clock.Pass(10 * time.Minute)
	}
	if batches != 3 || n.most > source.RereadAtOnce || n.asked != 250 {
		t.Errorf("%d batches, %d posts asked for, at most %d at once", batches, n.asked, n.most)
	}
	if s := r.state; s.Done != 251 || s.Total != 251 || s.Gone != 4 || s.Edited != 1 || s.Cursor != "" || !s.Next.Equal(began.Add(24*time.Hour)) {
		t.Errorf("%+v", s)
	}
	got := map[string]int{}
	for _, m := range handed(t, r.bus) {
		got[m.NativeID]++
		switch {
		case m.NativeID == "120":
			if m.Deleted || m.Text != "edited" || m.Author.Handle != "hana" || m.Source != "acme-x" || m.ID != mention.NewID("acme", "x", "120") {
				t.Errorf("edited: %+v", m)
			}
		case !m.Deleted || m.Text != "" || !m.Revision.Time.After(at):
			t.Errorf("gone: %+v", m)
		}
	}
	if len(got) != 4 || got["3"] != 1 || got["248"] != 1 || got["249"] != 2 || got["120"] != 1 {
		t.Errorf("handed over: %v", got)
	}
	// The next pass begins when the day is over.
	clock.Pass(2 * time.Hour)
	r.step(t.Context())
	if s := r.state; !s.Began.After(began) || s.Done != 100 || s.Gone != 1 {
		t.Errorf("the next pass: %+v", s)
	}
}

func TestWhatIsNotReadAgainIsReadLater(t *testing.T) {
	t.Parallel()
	a := &archive{posts: []source.StoredPost{{Brand: "acme", Post: mention.Post{Platform: "x", NativeID: "1"}}}}
	n := &network{now: map[string]mention.Post{"1": {Platform: "x", NativeID: "1", Deleted: true}}, err: bus.After(errors.New("429"), time.Hour)}
	r, clock := newRereader(t, a, n)
	r.step(t.Context())
	if s := r.state; s.Error != "429" || s.Trouble.Said != "429" || !s.Next.Equal(clock.Now().Add(time.Hour)) || len(handed(t, r.bus)) != 0 {
		t.Errorf("%+v", s)
	}
	n.err = nil
	clock.Pass(time.Hour)
	r.step(t.Context())
	if s := r.state; s.Error != "" || s.Gone != 1 || len(handed(t, r.bus)) != 1 {
		t.Errorf("%+v", s)
	}
}

// Of several sources of a platform that shows any post to any, one takes what
// came in other ways.
func TestWhoReadsWhatAgain(t *testing.T) {
	t.Parallel()
	a := &archive{}
	r, _ := newRereader(t, a, &network{})
	if got := r.wanted(); got.Source != "acme-x" || got.AllOf != "" {
		t.Errorf("%+v", got)
	}
	if f := (&fetcher{}); f.rereads("a", settings.Source{Kind: "hackernews"}, nil) != nil {
		t.Error("a kind that doesn't ask for it reads again")
	}
}

// auditor is a network that goes through posts by itself.
type auditor struct {
	network
	jobs  [][]string
	named map[string]bool // nil while the job runs
	lost  bool
}

func (a *auditor) Audits() bool { return true }

func (a *auditor) Audit(_ context.Context, posts []mention.Post) (string, error) {
	var ids []string
	for _, p := range posts {
		ids = append(ids, p.NativeID)
	}
	a.jobs = append(a.jobs, ids)
	return fmt.Sprint("job-", len(a.jobs)), nil
}

func (a *auditor) Audited(_ context.Context, job string) (func(*mention.Post) bool, error) {
	switch {
	case job != fmt.Sprint("job-", len(a.jobs)):
		return nil, fmt.Errorf("asked for %q", job)
	case a.lost:
		return nil, bus.Permanent(errors.New("the job has expired"))
	case a.named == nil:
		return nil, nil
	}
	return func(p *mention.Post) bool { return a.named[p.NativeID] }, nil
}

// TestThePlatformGoesThroughWhatIsStored: only what it names is read again, only
// what that shows gone goes, and neither a lost job nor a process that dies on
// the way leaves anything out.
func TestThePlatformGoesThroughWhatIsStored(t *testing.T) {
	t.Parallel()
	a, n := &archive{}, &auditor{network: network{now: map[string]mention.Post{}}}
	for i := range 250 {
		p := mention.Post{Platform: "x", NativeID: fmt.Sprint(i), Kind: mention.KindPost, Intake: mention.Live}
		full := p
		full.Text = "text"
		n.now[p.NativeID] = full
		a.posts = append(a.posts, source.StoredPost{Brand: "acme", Hash: mention.Of("acme", full).Revision.Hash, Post: p})
	}
	for _, id := range []string{"3", "120", "249"} {
		n.now[id] = mention.Post{Platform: "x", NativeID: id, Deleted: true}
	}
	r, clock := newRereader(t, a, &n.network)
	r.conn = n
	began := clock.Now()
	step := func(pass time.Duration) {
		t.Helper()
		clock.Pass(pass)
		if clock.Now().Before(r.state.Next) {
			t.Fatalf("not yet: %+v", r.state)
		}
		r.step(t.Context())
		kept := source.Rereading{} // the process is killed and starts anew
		if _, err := bus.Cursors.Get(t.Context(), r.bus, source.RereadKey("acme-x"), &kept); err != nil {
			t.Fatal(err)
		}
		r.state = kept
	}
	step(0)
	if len(n.jobs) != 1 || len(n.jobs[0]) != 250 || r.state.Job != "job-1" || r.state.Total != 250 {
		t.Fatalf("%d jobs, %+v", len(n.jobs), r.state)
	}
	step(auditPause)
	n.lost = true
	step(auditPause)
	if r.state.Job != "" || r.state.Error == "" {
		t.Errorf("a lost job: %+v", r.state)
	}
	n.lost = false
	step(rereadFailed)
	if len(n.jobs) != 2 || r.state.Job != "job-2" || n.asked != 0 {
		t.Fatalf("%d jobs, %d posts read, %+v", len(n.jobs), n.asked, r.state)
	}
	n.named = map[string]bool{"3": true, "5": true, "249": true} // 5 is there all the same
	n.err = errors.New("503")
	step(auditPause)
	if r.state.Job != "job-2" || r.state.Error != "503" {
		t.Errorf("during trouble: %+v", r.state)
	}
	n.err, n.asked = nil, 0
	step(rereadFailed)
	if s := r.state; n.asked != 3 || s.Job != "" || s.Error != "" || s.Done != 250 || s.Gone != 2 || s.Edited != 0 || s.Next.Before(began.Add(24*time.Hour)) {
		t.Errorf("%d posts read, %+v", n.asked, s)
	}
	gone := map[string]int{}
	for _, m := range handed(t, r.bus) {
		if gone[m.NativeID]++; !m.Deleted {
			t.Errorf("%+v", m)
		}
	}
	if len(gone) != 2 || gone["3"] != 1 || gone["249"] != 1 {
		t.Errorf("handed over: %v", gone)
	}
	a.posts = nil
	step(25 * time.Hour)
	if len(n.jobs) != 2 || r.state.Job != "" || !r.state.Next.After(clock.Now()) {
		t.Errorf("nothing stored: %+v", r.state)
	}
}
