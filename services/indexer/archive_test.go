package indexer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// bench is an indexer on a bus and an index of the test's own, that can be
// stopped and started.
type bench struct {
	*indexer
	t     *testing.T
	dir   string // of the bus
	files string // of the index
	clock *bustest.Clock
	stop  func()
}

var (
	start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	ann   = (&identity.Staff{ID: "ann", Name: "Ann", Grants: []identity.Grant{{Role: identity.Agent, Brands: []string{"acme"}}}}).Viewer()
)

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, clock: bustest.NewClock(start), files: t.TempDir(), stop: func() {}}
	conn, dir := bustest.Open(t)
	b.dir = dir
	index, err := search.OpenSQLite(filepath.Join(b.files, "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { index.Close() })
	set, err := settings.Open(t.Context(), conn, bustest.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	row := func(ctx context.Context, id mention.ID) (search.Document, error) {
		docs, err := index.Get(ctx, search.SeesAll(), id)
		if err != nil || len(docs) == 0 {
			return search.Document{}, err
		}
		return docs[0], nil
	}
	cases := casework.NewStore(conn, casework.Source{
		Tagged: func(ctx context.Context, id mention.ID) ([]uint64, error) {
			d, err := row(ctx, id)
			return d.Tagged, err
		},
		Archived: func(ctx context.Context, id mention.ID) (uint64, error) {
			d, err := row(ctx, id)
			if err == nil && d.Archived == 0 && d.Owner == search.OwnerCase {
				err = bus.ErrNotFound
			}
			return d.Archived, err
		},
		Triage: func(m *mention.Mention, v *mention.Verdict) casework.Triage {
			return set.Triage(m, v, casework.Signals{})
		},
		Template: func(string) (casework.Template, bool) { return casework.Template{}, false },
		Rules:    func() casework.Rules { return casework.Rules{} },
		Check:    func(*casework.State, *casework.Draft) error { return nil },
		Hold:     func(string, string) time.Duration { return 0 },
	}, b.clock.Now, bustest.Log(t))
	b.indexer = &indexer{
		bus: conn, index: index, cases: cases, settings: set, log: bustest.Log(t), now: b.clock.Now,
		stories: &escalation.Stories{}, retention: 400 * 24 * time.Hour, work: make(chan step), again: make(chan struct{}, 1),
	}
	if _, err := index.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// run starts the indexer. It ends with the test, or by stop.
func (b *bench) run() {
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- b.lead(ctx) }()
	b.stop = func() {
		cancel()
		if err, ok := <-done; ok && err != nil {
			b.t.Errorf("the indexer ended: %v", err)
		}
		close(done)
		b.stop = func() {}
	}
	b.t.Cleanup(func() { b.stop() })
}

// indexed waits until the index has everything that is on the bus.
func (b *bench) indexed() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Second)
	defer cancel()
	st, err := b.status(ctx)
	for stream, last := range st.Last {
		if err == nil {
			err = b.index.Wait(ctx, stream, last)
		}
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// cleared is sent to whenever the index has been emptied to be filled anew. It is
// to be called before run.
func (b *bench) cleared() <-chan struct{} {
	c := clearing{b.index, make(chan struct{}, 1)}
	b.index = c
	return c.done
}

type clearing struct {
	search.Engine
	done chan struct{}
}

func (c clearing) Clear(ctx context.Context) error {
	err := c.Engine.Clear(ctx)
	c.done <- struct{}{}
	return err
}

func (b *bench) tag(n int, text string) mention.ID {
	b.t.Helper()
	m := mention.Of("acme", mention.Post{
		Platform: "sandbox", NativeID: fmt.Sprint("p", n), Source: "box", Kind: mention.KindPost, Intake: mention.Live,
		Text: text, SeenAt: b.clock.Now(), PublishedAt: b.clock.Now(), Author: mention.Author{ID: fmt.Sprint("u", n), Handle: "hanako", Name: "花子"},
	})
	v := mention.Verdict{Model: "test", Lang: "ja", Sentiment: mention.Negative, Intent: mention.Complaint, Disposition: mention.Answer}
	if err := bus.Tagged.Publish(b.t.Context(), b.bus, &mention.Tagged{Mention: m, Verdict: v}); err != nil {
		b.t.Fatal(err)
	}
	return m.ID
}

func (b *bench) do(id mention.ID, cmds ...casework.Command) casework.State {
	b.t.Helper()
	var st casework.State
	for _, c := range cmds {
		var err error
		if st, err = b.cases.Do(b.t.Context(), ann, id, c); err != nil {
			b.t.Fatalf("%T: %v", c, err)
		}
	}
	return st
}

var ended = []casework.Command{casework.AddNote{Text: "電話で花子様"}, casework.Close{}}

func (b *bench) doc(id mention.ID) search.Document {
	b.t.Helper()
	docs, err := b.documents(b.t.Context(), []mention.ID{id})
	if err != nil || docs[id] == nil {
		b.t.Fatalf("no document of %s: %v", id, err)
	}
	return *docs[id]
}

func (b *bench) get(id mention.ID) casework.State {
	b.t.Helper()
	st, err := b.cases.Get(b.t.Context(), ann, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return st
}

// kept returns the sequences of the snapshots there are of a case.
func (b *bench) kept(id mention.ID) []uint64 {
	b.t.Helper()
	var seqs []uint64
	err := casework.Snapshots().Replay(b.t.Context(), b.bus, 1, 10, func(_ context.Context, batch []bus.Entry[casework.Event]) error {
		for _, e := range batch {
			if e.Err != nil {
				return e.Err
			}
			if e.Value.Mention.ID == id {
				seqs = append(seqs, e.Seq)
			}
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return seqs
}

// isArchived waits until a case is archived, whole.
func (b *bench) isArchived(id mention.ID, before casework.State) {
	b.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); b.doc(id).Owner != search.OwnerArchive; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("never archived: %+v", b.doc(id))
		}
	}
	d := b.doc(id)
	if seqs := b.kept(id); !slices.Equal(seqs, []uint64{d.Archived}) {
		b.t.Errorf("the row names the snapshot %d, there are %v", d.Archived, seqs)
	}
	if _, ok, err := b.cases.Touched(b.t.Context(), id); ok || err != nil {
		b.t.Errorf("it still has events, or %v", err)
	}
	if diff := cmp.Diff(before, b.get(id), alike); diff != "" {
		b.t.Errorf("another case than before:\n%s", diff)
	}
	if d.Status != string(casework.Done) || d.Number != before.Number || d.Text != before.Mention.Text {
		b.t.Errorf("row %+v", d)
	}
}

// isAtWork waits until the index shows a case as one with events, and holds it to
// the notes it must have.
func (b *bench) isAtWork(id mention.ID, number uint64, notes int) {
	b.t.Helper()
	b.indexed()
	d, st := b.doc(id), b.get(id)
	if seqs := b.kept(id); d.Owner != search.OwnerCase || d.Archived != 0 || len(seqs) > 0 || d.CaseSeq != st.Last {
		b.t.Errorf("row %s, archived at %d, %d of %d; snapshots %v", d.Owner, d.Archived, d.CaseSeq, st.Last, seqs)
	}
	if st.Number != number || len(st.Notes) != notes {
		b.t.Errorf("number %d with %d notes, want %d with %d", st.Number, len(st.Notes), number, notes)
	}
}

var alike = cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreFields(casework.State{}, "Last")}

const day = 24 * time.Hour

func TestArchiveAndBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run()
	old, fresh, open := b.tag(1, "古い苦情"), b.tag(2, "新しい苦情"), b.tag(3, "まだ")
	b.indexed()
	before := b.do(old, ended...)
	b.do(open, casework.AddNote{Text: "a"})
	b.clock.Pass(60 * day)
	b.do(fresh, ended...)
	b.clock.Pass(31 * day)
	b.indexed()
	sweep := func() {
		t.Helper()
		if err := b.archive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	sweep()
	b.isArchived(old, before)
	for name, id := range map[string]mention.ID{"a case closed lately": fresh, "an open case": open} {
		if d := b.doc(id); d.Owner != search.OwnerCase || d.Archived != 0 || len(b.kept(id)) > 0 {
			t.Errorf("%s was archived: %+v", name, d)
		}
	}
	st, err := b.status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sweep()
	if again, err := b.status(t.Context()); err != nil || !cmp.Equal(st.Last, again.Last) {
		t.Errorf("nothing was left to do, and yet %v is %v; %v", st.Last, again.Last, err)
	}

	b.do(old, casework.Reopen{})
	b.isAtWork(old, before.Number, 1)
	before = b.do(old, ended...)
	b.clock.Pass(91 * day)
	b.indexed()
	sweep()
	b.isArchived(old, before)
	if found := bustest.Lying(t, filepath.Join(b.dir, "jetstream", "$G", "streams", "CASES"), "古い苦情"); len(found) > 0 {
		t.Errorf("out of an erasure's reach: %v", found)
	}
}

// TestArchivingResumes stops the indexer within each step of archiving. Started
// again, it comes to the end; and if somebody works on the case meanwhile, to
// that of a case that is not archived.
func TestArchivingResumes(t *testing.T) {
	t.Parallel()
	follow := func(b *bench) error {
		if err := casework.Events().Replay(b.t.Context(), b.bus, 1, 100, b.takeCases); err != nil {
			return err
		}
		return casework.Snapshots().Replay(b.t.Context(), b.bus, 1, 100, b.takeArchive)
	}
	steps := []struct {
		name string
		do   func(b *bench, id mention.ID) error
	}{
		{"nothing is done", func(*bench, mention.ID) error { return nil }},
		{"the snapshot is stored", func(b *bench, id mention.ID) error {
			k, err := b.cases.PutAway(b.t.Context(), id, b.now())
			if k.Snapshot == 0 {
				err = errors.New("nothing to archive")
			}
			return err
		}},
		{"the index names it", func(b *bench, _ mention.ID) error { return follow(b) }},
		{"an event is gone", func(b *bench, id mention.ID) error {
			return casework.Events().Erase(b.t.Context(), b.bus, b.get(id).Number)
		}},
		{"all events are gone", func(b *bench, id mention.ID) error {
			return b.cases.Forget(b.t.Context(), id, b.doc(id).Archived)
		}},
	}
	for n, at := range steps {
		for _, worked := range []bool{false, true} {
			t.Run(fmt.Sprint(at.name, map[bool]string{true: ", and somebody works on it"}[worked]), func(t *testing.T) {
				t.Parallel()
				b := newBench(t)
				b.run()
				b.tag(1, "another")
				id := b.tag(2, "苦情")
				b.indexed()
				before := b.do(id, ended...)
				b.indexed()
				b.stop()
				b.clock.Pass(100 * day)
				for _, s := range steps[:n+1] {
					if err := s.do(b, id); err != nil {
						t.Fatalf("%s: %v", s.name, err)
					}
				}
				if !worked {
					b.run()
					b.isArchived(id, before)
					return
				}
				b.do(id, casework.AddNote{Text: "doch noch"})
				b.run()
				b.isAtWork(id, before.Number, 2)
				before = b.get(id)
				b.stop()
				b.clock.Pass(100 * day)
				b.run()
				b.isArchived(id, before)
			})
		}
	}
}

// Snapshots that were stored while no indexer ran: the last one counts, and is
// the only one that stays.
func TestAnOlderSnapshotIsErased(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run()
	id := b.tag(1, "苦情")
	b.indexed()
	before := b.do(id, ended...)
	b.indexed()
	b.stop()
	for range 3 {
		b.clock.Pass(100 * day)
		if k, err := b.cases.PutAway(t.Context(), id, b.now()); err != nil || k.Snapshot == 0 {
			t.Fatal(k, err)
		}
		before = b.do(id, casework.AddNote{Text: "n"})
	}
	b.clock.Pass(100 * day)
	b.run()
	b.isArchived(id, before)
}

func TestReindexFromNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run()
	ids := map[string]mention.ID{}
	for n, name := range []string{"untouched", "open", "archived", "written back", "archived twice", "erased"} {
		ids[name] = b.tag(n, name)
	}
	b.indexed()
	b.do(ids["open"], casework.AddNote{Text: "n"})
	for _, name := range []string{"archived", "written back", "archived twice", "erased"} {
		b.do(ids[name], ended...)
	}
	sweep := func() {
		t.Helper()
		b.clock.Pass(100 * day)
		b.indexed()
		if err := b.archive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	sweep()
	b.do(ids["written back"], casework.AddNote{Text: "n"}, casework.Reopen{})
	b.do(ids["archived twice"], casework.AddNote{Text: "n"})
	sweep()
	if _, err := b.erase(t.Context(), EraseRequest{Mention: ids["erased"]}); err != nil {
		t.Fatal(err)
	}
	b.indexed()
	erased := ids["erased"]
	delete(ids, "erased")
	before, cases := map[string]search.Document{}, map[string]casework.State{}
	for name, id := range ids {
		before[name], cases[name] = b.doc(id), b.get(id)
	}

	b.stop()
	if err := b.index.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.cases.Do(t.Context(), ann, ids["archived"], casework.AddNote{Text: "n"}); !errors.Is(err, casework.ErrUnknown) {
		t.Errorf("without an index: %v", err)
	}
	for range 2 {
		b.run()
		b.indexed()
		for name, id := range ids {
			if diff := cmp.Diff(before[name], b.doc(id)); diff != "" {
				t.Errorf("the row of the mention that is %s:\n%s", name, diff)
			}
			if diff := cmp.Diff(cases[name], b.get(id), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("the case that is %s:\n%s", name, diff)
			}
		}
		if d := b.doc(erased); d.Owner != search.OwnerCase || d.Text != "" || d.Archived != 0 || len(b.kept(erased)) > 0 {
			t.Errorf("what was erased: %+v", d)
		}
		b.stop()
		if err := b.index.Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	// While the index fills, somebody presses a button again and again.
	b.run()
	id := ids["archived"]
	for {
		st, err := b.cases.Do(t.Context(), ann, id, casework.AddNote{Text: "while it fills"})
		if errors.Is(err, casework.ErrUnknown) {
			continue
		}
		if err != nil || st.Number != cases["archived"].Number || len(st.Notes) != 2 {
			t.Errorf("number %d with %d notes; %v", st.Number, len(st.Notes), err)
		}
		break
	}
}

func TestEraseAnArchivedMention(t *testing.T) {
	t.Parallel()
	words := []string{"ひみつの苦情", "hanako", "花子", "電話で花子様"}
	for _, tt := range []struct {
		name string
		do   func(b *bench, id mention.ID) error
	}{
		{"archived", func(b *bench, _ mention.ID) error { return b.archive(b.t.Context()) }},
		{"just being archived", func(b *bench, id mention.ID) error {
			_, err := b.cases.PutAway(b.t.Context(), id, b.now())
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.run()
			id := b.tag(1, "ひみつの苦情")
			b.indexed()
			before := b.do(id, ended...)
			b.indexed()
			b.clock.Pass(100 * day)
			if err := tt.do(b, id); err != nil {
				t.Fatal(err)
			}
			if len(bustest.Lying(t, b.dir, words[0])) == 0 || len(b.kept(id)) != 1 {
				t.Fatal("there is nothing to erase")
			}
			if n, err := b.erase(t.Context(), EraseRequest{Mention: id, Why: "asked"}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			for _, dir := range []string{b.dir, b.files} {
				if found := bustest.Lying(t, dir, words...); len(found) > 0 {
					t.Errorf("still on disk: %v", found)
				}
			}
			d, st := b.doc(id), b.get(id)
			if d.Archived != 0 || d.Text != "" || d.Owner != search.OwnerCase || !st.Redacted || st.Number != before.Number || len(st.History) != len(before.History)+1 {
				t.Errorf("row %+v, case %d of %d events", d, st.Number, len(st.History))
			}
		})
	}
}
