package casework

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

// bench is a store on a bus of the test's own. Its index knows what was tagged
// through it.
type bench struct {
	*Store
	t      *testing.T
	bus    *bus.Conn
	dir    string
	mu     sync.Mutex
	tagged map[mention.ID][]uint64
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, tagged: map[mention.ID][]uint64{}}
	b.bus, b.dir = bustest.Open(t)
	b.Store = NewStore(b.bus, Source{
		Tagged: func(_ context.Context, id mention.ID) ([]uint64, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.tagged[id], nil
		},
		Triage:   func(m *mention.Mention, v *mention.Verdict) Triage { return Judge(Response{}, m, v, Signals{}) },
		Template: func(id string) (Template, bool) { return thanks, id == thanks.ID },
		Rules:    func() Rules { return Rules{Rows: []Rule{{Edited: yes(), Needs: true, Why: "edited"}}} },
		Check:    func(*State, *Draft) error { return nil },
		Hold:     func(string, string) time.Duration { return 10 * time.Second },
	}, func() time.Time { return noon.Add(123456) }, bustest.Log(t))
	return b
}

// tag stores a mention as the classifier does and returns its id.
func (b *bench) tag(t *mention.Tagged) mention.ID {
	b.t.Helper()
	if err := bus.Tagged.Publish(b.t.Context(), b.bus, t); err != nil {
		b.t.Fatal(err)
	}
	seq, err := bus.Tagged.Last(b.t.Context(), b.bus)
	if err != nil {
		b.t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tagged[t.Mention.ID] = append(b.tagged[t.Mention.ID], seq)
	return t.Mention.ID
}

// post is a mention of acme by its number.
func post(n int, text string) *mention.Tagged {
	t := complaint(text)
	t.Mention.NativeID = fmt.Sprint("p", n)
	t.Mention = mention.Of("acme", t.Mention.Post)
	return t
}

func (b *bench) must(by identity.Viewer, id mention.ID, c Command) State {
	b.t.Helper()
	s, err := b.Do(b.t.Context(), by, id, c)
	if err != nil {
		b.t.Fatalf("%s %T: %v", by.Actor(), c, err)
	}
	return s
}

func TestTheFirstCommandOpensTheCase(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.tag(post(1, "返事がない"))
	s, err := b.Get(t.Context(), ann, id)
	if err != nil || s.Number != 0 || len(s.History) != 0 || s.Mention.Text != "返事がない" || s.DueAt().IsZero() {
		t.Fatalf("untouched: %+v, %v", s, err)
	}
	if _, ok, err := b.Touched(t.Context(), id); ok || err != nil {
		t.Fatalf("looking touches: %v, %v", ok, err)
	}
	if _, err := b.Do(t.Context(), pat, id, Claim{}); codeOf(err) != CodeForbidden {
		t.Errorf("%v", err)
	}
	if _, ok, _ := b.Touched(t.Context(), id); ok {
		t.Error("a refusal opened the case")
	}
	done := b.must(ann, id, Claim{})
	read, err := b.Get(t.Context(), ann, id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(done, read, cmpopts.EquateEmpty()); diff != "" || done.Number == 0 || done.Last != done.Number+1 {
		t.Errorf("number %d, last %d; what Do returned is not what is there:\n%s", done.Number, done.Last, diff)
	}
	if k := []Kind{read.History[0].Kind, read.History[1].Kind}; !slices.Equal(k, []Kind{Opened, Claimed}) || read.History[1].Actor != "ann" {
		t.Errorf("history %v", k)
	}
}

func TestAnUnknownMention(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	known := b.tag(post(1, "a"))
	b.must(ann, known, Claim{})
	for _, id := range []mention.ID{"", "*", ">", mention.ID("case." + known), post(2, "").Mention.ID} {
		_, err1 := b.Get(t.Context(), lea, id)
		_, err2 := b.Do(t.Context(), lea, id, Claim{})
		_, err3 := b.Merge(t.Context(), lea, id, known)
		if !errors.Is(err1, ErrUnknown) || !errors.Is(err2, ErrUnknown) || !errors.Is(err3, ErrUnknown) {
			t.Errorf("%q: %v, %v, %v", id, err1, err2, err3)
		}
	}
	for _, v := range []identity.Viewer{zoe, {}} {
		s1, err1 := b.Get(t.Context(), v, known)
		s2, err2 := b.Do(t.Context(), v, known, Release{})
		if !errors.Is(err1, ErrUnknown) || !errors.Is(err2, ErrUnknown) || s1.Mention.Text != "" || s2.Mention.Text != "" {
			t.Errorf("%q sees %q, %q; %v, %v", v.Actor(), s1.Mention.Text, s2.Mention.Text, err1, err2)
		}
	}
}

// TestOfManyOneWins has ten people claim an untouched case at once.
func TestOfManyOneWins(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.tag(post(1, "a"))
	var (
		wg   sync.WaitGroup
		errs [10]error
	)
	for n := range errs {
		wg.Go(func() {
			_, errs[n] = b.Do(t.Context(), viewer(fmt.Sprint("agent-", n), identity.Agent, "acme"), id, Claim{})
		})
	}
	wg.Wait()
	s, err := b.Get(t.Context(), ann, id)
	if err != nil {
		t.Fatal(err)
	}
	for n, err := range errs {
		won := s.Holder == fmt.Sprint("agent-", n)
		if r, _ := errors.AsType[*Refused](err); won != (err == nil) || !won && (r == nil || r.Code != CodeHeld || r.Who != s.Holder) {
			t.Errorf("agent-%d: %v, held by %s", n, err, s.Holder)
		}
	}
	if len(s.History) != 2 {
		t.Errorf("%d events, want two", len(s.History))
	}
}

// TestNoEventIsLost has five people write notes at once; each must be there
// once.
func TestNoEventIsLost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.tag(post(1, "a"))
	var wg sync.WaitGroup
	for n := range 5 {
		wg.Go(func() {
			for i := range 20 {
				cmd := AddNote{Text: fmt.Sprint(n, "/", i)}
				_, err := b.Do(t.Context(), ann, id, cmd)
				for errors.Is(err, bus.ErrConflict) {
					_, err = b.Do(t.Context(), ann, id, cmd)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s, err := b.Get(t.Context(), ann, id)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, n := range s.Notes {
		seen[n.Text]++
	}
	if len(seen) != 100 || len(s.Notes) != 100 {
		t.Errorf("%d notes, %d of them different; want 100", len(s.Notes), len(seen))
	}
}

func TestRecordDecidesAnew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.tag(post(1, "a"))
	b.must(ann, id, Claim{})
	calls := 0
	s, err := b.Record(t.Context(), id, func(s *State) (Event, bool) {
		if calls++; calls == 1 {
			b.must(ann, id, AddNote{Text: "meanwhile"})
		}
		return Event{Kind: Noted, Text: fmt.Sprint(len(s.Notes), " before")}, true
	})
	if err != nil || calls != 2 || s.Notes[1].Text != "1 before" || s.Notes[1].By != identity.ActorSystem {
		t.Errorf("%d calls, notes %+v, %v", calls, s.Notes, err)
	}
	if s, err = b.Record(t.Context(), id, func(*State) (Event, bool) { return Event{}, false }); err != nil || len(s.Notes) != 2 {
		t.Errorf("nothing to record: %v, %v", s.Notes, err)
	}
}

func TestTickCatchesUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.tag(post(1, "a"))
	b.must(ann, id, Claim{})
	b.must(ann, id, MakePromise{Due: noon.Add(2 * time.Hour), Every: time.Hour})
	b.now = func() time.Time { return noon.AddDate(0, 1, 0) } // a month without an indexer
	s, err := b.Tick(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []Kind
	for _, e := range s.History[3:] {
		kinds = append(kinds, e.Kind)
	}
	if s.Holder != "" || len(kinds) > 6 || !s.Promise.Due.After(b.now()) || !s.NextAt().After(b.now()) {
		t.Errorf("held by %q, due %v, next %v after %v", s.Holder, s.Promise.Due, s.NextAt(), kinds)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	from, into, third := b.tag(post(1, "a")), b.tag(post(2, "a a")), b.tag(post(3, "b"))
	other := complaint("z")
	other.Mention = mention.Of("zenith", other.Mention.Post)
	b.tag(other)
	for _, tt := range []struct {
		name string
		by   identity.Viewer
		with mention.ID
		want string
	}{
		{"itself", ann, from, CodeInput},
		{"another brand's", lea, other.Mention.ID, CodeInput},
		{"without the right", pat, into, CodeForbidden},
	} {
		if _, err := b.Merge(t.Context(), tt.by, from, tt.with); codeOf(err) != tt.want {
			t.Errorf("with %s: %v, want %s", tt.name, err, tt.want)
		}
	}
	if _, ok, _ := b.Touched(t.Context(), from); ok {
		t.Error("a refusal opened the case")
	}
	s, err := b.Merge(t.Context(), ann, from, into)
	if err != nil || !slices.Equal(s.Absorbed, []mention.ID{from}) {
		t.Fatalf("%+v, %v", s.Absorbed, err)
	}
	if s, _ := b.Get(t.Context(), ann, from); s.Status != Done || s.Merged != into || s.Outcome != "merged" {
		t.Errorf("the merged one is %s", stands(&s))
	}
	if _, err := b.Merge(t.Context(), ann, third, from); codeOf(err) != CodeState {
		t.Errorf("into one that is merged: %v", err)
	}
}

// TestMergeIsOneStep has two people merge the same case into different ones.
func TestMergeIsOneStep(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	from, into := b.tag(post(0, "a")), [2]mention.ID{b.tag(post(1, "b")), b.tag(post(2, "c"))}
	var (
		wg   sync.WaitGroup
		errs [2]error
	)
	for n := range 2 {
		wg.Go(func() { _, errs[n] = b.Merge(t.Context(), []identity.Viewer{ann, bob}[n], from, into[n]) })
	}
	wg.Wait()
	s, err := b.Get(t.Context(), ann, from)
	if err != nil {
		t.Fatal(err)
	}
	absorbed := 0
	for n, id := range into {
		to, err := b.Get(t.Context(), ann, id)
		if err != nil {
			t.Fatal(err)
		}
		absorbed += len(to.Absorbed)
		if (s.Merged == id) != (errs[n] == nil) || (len(to.Absorbed) == 1) != (errs[n] == nil) {
			t.Errorf("merged into %s; %d: %v, absorbed %v", s.Merged, n, errs[n], to.Absorbed)
		}
	}
	if absorbed != 1 {
		t.Errorf("absorbed %d times, want once", absorbed)
	}
}

// A thread that must not be answered isn't at any of its posts.
func TestAThreadIsMuted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := complaint("遅い")
	root := b.tag(first)
	next := complaint("まだか")
	next.Mention = mention.Of("acme", next.Mention.Post)
	next.Mention.NativeID, next.Mention.Thread = "p2", mention.Thread{ID: "p1", Parent: "p9"}
	next.Mention = mention.Of("acme", next.Mention.Post)
	id := b.tag(next)
	if _, err := b.Do(t.Context(), bob, root, Retag{Add: []string{NoAnswer}}); err != nil {
		t.Fatal(err)
	}
	s, err := b.Do(t.Context(), pia, id, Write{Text: "お待ちください。", Template: ""})
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Do(t.Context(), pia, id, Send{Hash: s.Hash(s.Draft)})
	if r, ok := errors.AsType[*Refused](err); !ok || r.Code != CodeNoAnswer || r.Who != "bob" {
		t.Fatalf("sent in a thread that must not be answered: %v", err)
	}
	if _, err := b.Do(t.Context(), lea, root, Retag{Remove: []string{NoAnswer}}); err != nil {
		t.Fatal(err)
	}
	if _, err = b.Do(t.Context(), pia, id, Send{Hash: s.Hash(s.Draft)}); err != nil {
		t.Error(err)
	}
}

// TestAReplyAnswersAPostThatJoined has a customer's second post joined to the
// first: a reply may answer either, and is bound to the one it answers.
func TestAReplyAnswersAPostThatJoined(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	own, second, third, other := b.tag(post(1, "返事がない")), b.tag(post(2, "まだ返事がない")), b.tag(post(3, "いつですか")), b.tag(post(4, "関係ない"))
	for _, m := range [][2]mention.ID{{third, second}, {second, own}} {
		if _, err := b.Merge(t.Context(), lea, m[0], m[1]); err != nil {
			t.Fatal(err)
		}
	}
	s := b.must(lea, own, Claim{})
	joined, err := b.Joined(t.Context(), &s)
	if err != nil || len(joined) != 2 || joined[0].ID != second || joined[1].ID != third {
		t.Fatalf("joined %v, %v", joined, err)
	}
	if _, err := b.Do(t.Context(), lea, own, Write{Text: "お待たせしました", To: other}); codeOf(err) != CodePost {
		t.Errorf("a post of another case: %v", err)
	}
	s = b.must(lea, own, Write{Text: "お待たせしました", To: third})
	facing, err := b.Toward(t.Context(), &s, s.Draft.To)
	if err != nil || facing.Mention.NativeID != "p3" {
		t.Fatalf("faces %q, %v", facing.Mention.NativeID, err)
	}
	if s.Hash(s.Draft) == facing.Hash(s.Draft) {
		t.Error("the hash doesn't tell what is answered")
	}
	if _, err := b.Do(t.Context(), lea, own, Send{Hash: s.Hash(s.Draft)}); codeOf(err) != CodeStale {
		t.Errorf("a hash of another post: %v", err)
	}
	// It is marked as not to be answered: nothing of the case may leave for it.
	b.must(lea, third, Retag{Add: []string{NoAnswer}})
	hash := facing.Hash(s.Draft)
	b.must(lea, third, Retag{Remove: []string{NoAnswer}})
	s = b.must(lea, own, Send{Hash: hash})
	if s.Outgoing == nil || s.Outgoing.Draft.To != third || s.Outgoing.Hash != hash {
		t.Fatalf("on its way: %+v", s.Outgoing)
	}
	b.must(lea, own, StopSend{})
	// It stands for itself again: what was written for it there can't leave here.
	b.must(lea, third, Reopen{})
	if _, err := b.Do(t.Context(), lea, own, Send{Hash: hash}); codeOf(err) != CodePost {
		t.Errorf("after it was taken out: %v", err)
	}
	// The case's own post by its id is the same as none.
	if s = b.must(lea, own, Write{Version: 1, Text: "お待たせしました", To: own}); s.Draft.To != "" {
		t.Errorf("its own post is told as %q", s.Draft.To)
	}
}

func TestWhatPeopleSayIsCapped(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.tag(post(1, "返事がない"))
	for _, c := range []Command{AddNote{Text: strings.Repeat("あ", maxText+1)}, HandOver{To: strings.Repeat("い", maxTo)}, Escalate{Why: strings.Repeat("う", maxText+1)}} {
		if _, err := b.Do(t.Context(), ann, id, c); codeOf(err) != CodeInput {
			t.Errorf("%T: %v", c, err)
		}
	}
	b.must(ann, id, AddNote{Text: strings.Repeat("あ", maxText)})
}
