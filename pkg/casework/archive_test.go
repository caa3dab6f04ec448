package casework

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
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

// shelf is a bench whose index can name a snapshot.
type shelf struct {
	*bench
	mu    sync.Mutex
	named map[mention.ID]uint64
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{bench: newBench(t), named: map[mention.ID]uint64{}}
	s.src.Archived = func(_ context.Context, id mention.ID) (uint64, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.named[id], nil
	}
	return s
}

func (s *shelf) name(id mention.ID, k Kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.named[id] = max(s.named[id], k.Snapshot)
}

// solved is a case with a bit of everything that is done.
func (s *shelf) solved(n int, text string) (mention.ID, State) {
	s.t.Helper()
	id := s.tag(post(n, text))
	s.must(ann, id, fixed)
	s.must(ann, id, AddNote{Text: "電話で花子様", Files: []File{{Key: "k", Name: "花子.jpg"}}})
	s.must(ann, id, Close{})
	return id, s.get(id)
}

func (s *shelf) get(id mention.ID) State {
	s.t.Helper()
	st, err := s.Get(s.t.Context(), ann, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

var later = noon.AddDate(0, 4, 0)

func (s *shelf) putAway(id mention.ID) Kept {
	s.t.Helper()
	k, err := s.PutAway(s.t.Context(), id, later)
	if err != nil {
		s.t.Fatal(err)
	}
	return k
}

func (s *shelf) forget(id mention.ID, seq uint64) {
	s.t.Helper()
	if err := s.Forget(s.t.Context(), id, seq); err != nil {
		s.t.Fatal(err)
	}
}

// alike compares two states of a case but for where its last event stands.
var alike = cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreFields(State{}, "Last")}

// TestArchivingAtEveryStep stops after each step of archiving, as a crash does.
// There the case must look as before; a command must find it whole and leave it
// whole, also when the steps that were missing are made up for afterwards; and
// archiving again must come to its end.
func TestArchivingAtEveryStep(t *testing.T) {
	t.Parallel()
	all := func(s *shelf, id mention.ID) []uint64 {
		events, _, err := journal.Read(s.t.Context(), s.bus, string(id))
		if err != nil {
			s.t.Fatal(err)
		}
		var seqs []uint64
		for _, e := range events {
			seqs = append(seqs, e.Seq)
		}
		return seqs
	}
	steps := []struct {
		name string
		do   func(s *shelf, id mention.ID)
	}{
		{"the case says that it is put away", func(s *shelf, id mention.ID) {
			st := s.get(id)
			e := st.whole(Archived)
			e.ID, e.At = "T", s.now()
			if _, err := journal.Append(s.t.Context(), s.bus, string(id), st.Last, &e); err != nil {
				s.t.Fatal(err)
			}
		}},
		{"the snapshot is stored", func(s *shelf, id mention.ID) { s.putAway(id) }},
		{"the index names it", func(s *shelf, id mention.ID) { s.name(id, s.putAway(id)) }},
		{"some events are gone", func(s *shelf, id mention.ID) {
			if err := journal.Erase(s.t.Context(), s.bus, all(s, id)[:3]...); err != nil {
				s.t.Fatal(err)
			}
		}},
		{"all but the last event are gone", func(s *shelf, id mention.ID) {
			seqs := all(s, id)
			if err := journal.Erase(s.t.Context(), s.bus, seqs[:len(seqs)-1]...); err != nil {
				s.t.Fatal(err)
			}
		}},
		{"all are gone", func(s *shelf, id mention.ID) { s.forget(id, s.named[id]) }},
	}
	for n, at := range steps {
		t.Run(at.name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			id, before := s.solved(1, "ひみつの苦情")
			other, kept := s.solved(2, "残る言葉")
			for _, step := range steps[:n+1] {
				step.do(s, id)
			}
			if diff := cmp.Diff(before, s.get(id), alike); diff != "" {
				t.Errorf("another case than before:\n%s", diff)
			}
			if folded, ok, err := s.Touched(t.Context(), id); err != nil || ok && !cmp.Equal(before, folded.At(s.now()), alike) {
				t.Errorf("what is left of it does not fold by itself: %v\n%s", err, cmp.Diff(before, folded.At(s.now()), alike))
			}

			done := s.must(bob, id, AddNote{Text: "まだある"})
			want := before
			want.Notes = append(slices.Clone(before.Notes), Note{By: "bob", At: s.now(), Text: "まだある"})
			want.History = append(slices.Clone(before.History), done.History[len(done.History)-1])
			whole := func(when string) {
				t.Helper()
				for how, read := range map[string]func() State{
					"with the index": func() State { return s.get(id) },
					"without": func() State {
						st, ok, err := s.Touched(t.Context(), id)
						if err != nil || !ok {
							t.Errorf("%s it has no events: %v", when, err)
						}
						return st.At(s.now())
					},
				} {
					if diff := cmp.Diff(want, read(), alike); diff != "" {
						t.Errorf("%s, read %s:\n%s", when, how, diff)
					}
				}
			}
			whole("after the command")
			if seq := s.named[id]; seq > 0 {
				s.forget(id, seq) // the one who archived had not got that far
				whole("after events went late")
			}

			again := s.putAway(id)
			s.name(id, again)
			s.forget(id, again.Snapshot)
			if left := all(s, id); again.Snapshot == 0 || len(left) > 0 {
				t.Errorf("archived at %d, left %v", again.Snapshot, left)
			}
			if diff := cmp.Diff(want, s.get(id), alike); diff != "" {
				t.Errorf("archived once more:\n%s", diff)
			}
			if diff := cmp.Diff(kept, s.get(other)); diff != "" {
				t.Errorf("another case has changed:\n%s", diff)
			}
		})
	}
}

// TestArchivingWhilePeopleWork archives a case over and over while people write
// notes on it. No note may be lost, and none be there twice.
func TestArchivingWhilePeopleWork(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	id, before := s.solved(1, "a")
	stop := make(chan struct{})
	var people, sweeper sync.WaitGroup
	times := 0
	sweeper.Go(func() {
		for {
			k, err := s.PutAway(t.Context(), id, later)
			if err != nil {
				t.Error(err)
			}
			if k.Snapshot > 0 {
				s.name(id, k)
				times++
				if err := s.Forget(t.Context(), id, k.Snapshot); err != nil {
					t.Error(err)
				}
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for n := range 3 {
		people.Go(func() {
			for i := range 20 {
				cmd := AddNote{Text: fmt.Sprint(n, "/", i)}
				_, err := s.Do(t.Context(), ann, id, cmd)
				for errors.Is(err, bus.ErrConflict) {
					_, err = s.Do(t.Context(), ann, id, cmd)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	people.Wait()
	close(stop)
	sweeper.Wait()
	after := s.get(id)
	seen := map[string]bool{}
	for _, n := range after.Notes {
		seen[n.Text] = true
	}
	if len(seen) != 61 || len(after.Notes) != 61 || after.Number != before.Number || times < 2 {
		t.Errorf("%d notes, %d of them different, want 61; number %d, was %d; archived %d times", len(after.Notes), len(seen), after.Number, before.Number, times)
	}
}

func TestWhatIsNotArchived(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	open := s.tag(post(1, "a"))
	s.must(ann, open, Claim{})
	erased, _ := s.solved(2, "b")
	if err := s.Erase(t.Context(), ada, "acme", erased, nil, "asked"); err != nil {
		t.Fatal(err)
	}
	fresh, _ := s.solved(3, "c")
	for name, id := range map[string]mention.ID{"an open case": open, "an erased one": erased, "an untouched mention": s.tag(post(4, "d"))} {
		if k := s.putAway(id); k != (Kept{}) {
			t.Errorf("%s was archived: %+v", name, k)
		}
	}
	if k, err := s.PutAway(t.Context(), fresh, s.now()); err != nil || k != (Kept{}) {
		t.Errorf("one that was just closed was archived: %+v, %v", k, err)
	}
}

// What has an archived case merged, or recorded by a service, is written back
// first as well.
func TestOthersFindAnArchivedCase(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	id, before := s.solved(1, "a")
	into := s.tag(post(2, "a a"))
	archive := func() {
		k := s.putAway(id)
		s.name(id, k)
		s.forget(id, k.Snapshot)
	}
	archive()
	if st, err := s.Tick(t.Context(), id); err != nil || !cmp.Equal(before, st, alike) {
		t.Errorf("time has changed it: %v", err)
	}
	if _, ok, _ := s.Touched(t.Context(), id); ok {
		t.Error("looking at it wrote it back")
	}
	_, err := s.Record(t.Context(), id, func(st *State) (Event, bool) {
		return Event{Kind: Noted, Text: fmt.Sprint(len(st.Notes), " before")}, true
	})
	if st := s.get(id); err != nil || st.Notes[1].Text != "1 before" || st.Number != before.Number {
		t.Errorf("recorded: %+v, %v", st.Notes, err)
	}
	archive()
	if _, err := s.Merge(t.Context(), ann, id, into); err != nil {
		t.Fatal(err)
	}
	if st, ok, err := s.Touched(t.Context(), id); err != nil || !ok || st.Merged != into || len(st.Notes) != 2 || st.Number != before.Number {
		t.Errorf("merged: %+v, %v", st, err)
	}
}

// A row of the index may say that a case has events just before they can be read.
func TestACaseWrittenBackJustNowIsReadAgain(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	id, before := s.solved(1, "a")
	k := s.putAway(id)
	s.name(id, k)
	s.forget(id, k.Snapshot)
	look, asked := s.src.Archived, 0
	s.src.Archived = func(ctx context.Context, id mention.ID) (uint64, error) {
		if asked++; asked == 1 {
			other := *s.Store
			other.src.Archived = look
			if _, err := other.Do(ctx, bob, id, AddNote{Text: "first"}); err != nil {
				t.Error(err)
			}
			return 0, bus.ErrNotFound
		}
		return look(ctx, id)
	}
	if st := s.get(id); asked != 1 || len(st.Notes) != 2 || st.Number != before.Number {
		t.Errorf("asked %d times, notes %+v", asked, st.Notes)
	}
	s.src.Archived = func(context.Context, mention.ID) (uint64, error) { return 0, bus.ErrNotFound }
	lost := s.tag(post(2, "b"))
	if _, err := s.Do(t.Context(), ann, lost, Claim{}); err == nil {
		t.Error("a case whose events are lost was opened anew")
	}
}

// While the index fills, a row may appear between two looks at it.
func TestARowThatAppearsMeanwhile(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	id, before := s.solved(1, "a")
	k := s.putAway(id)
	s.name(id, k)
	s.forget(id, k.Snapshot)
	looks, tagged, archived := 0, s.src.Tagged, s.src.Archived
	s.src.Tagged = func(ctx context.Context, id mention.ID) ([]uint64, error) {
		if looks++; looks == 1 {
			return nil, nil
		}
		return tagged(ctx, id)
	}
	s.src.Archived = func(ctx context.Context, id mention.ID) (uint64, error) {
		if looks++; looks == 1 {
			return 0, nil
		}
		return archived(ctx, id)
	}
	st, err := s.Do(t.Context(), bob, id, AddNote{Text: "b"})
	if !errors.Is(err, ErrUnknown) && (err != nil || st.Number != before.Number || len(st.Notes) != 2) {
		t.Errorf("number %d with %d notes, %v", st.Number, len(st.Notes), err)
	}
}

func TestEraseAnArchivedCase(t *testing.T) {
	t.Parallel()
	secret := []string{"ひみつの苦情", "hanako", "花子", "電話で花子様", "花子様、ありがとうございます", "ひみつの続き"}
	for name, prepare := range map[string]func(s *shelf, id mention.ID, k Kept){
		"archived":                   func(s *shelf, id mention.ID, k Kept) { s.forget(id, k.Snapshot) },
		"being archived":             func(*shelf, mention.ID, Kept) {},
		"restored, and not yet gone": func(s *shelf, id mention.ID, k Kept) { s.must(ann, id, Claim{}); s.must(ann, id, Close{}) },
		"written back by an erasure that was cut short": func(s *shelf, id mention.ID, k Kept) {
			s.forget(id, k.Snapshot)
			st, first, err := s.read(s.t.Context(), id)
			if err == nil {
				_, err = s.open(s.t.Context(), id, &st, first)
			}
			if err != nil {
				s.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			id, _ := s.solved(1, "ひみつの苦情")
			s.revise(post(1, "ひみつの続き"))
			k := s.putAway(id)
			s.name(id, k)
			prepare(s, id, k)
			before := s.get(id)
			if len(bustest.Lying(t, s.dir, secret[0])) == 0 {
				t.Fatal("the search finds nothing before the erasure either")
			}
			// Of the mention's texts in TAGGED the case itself has to know.
			if err := s.Erase(t.Context(), ada, "acme", id, nil, "asked"); err != nil {
				t.Fatal(err)
			}
			s.gone(id, before, 1, secret)
			if err := s.Erase(t.Context(), identity.System(), "acme", id, nil, "again"); err != nil {
				t.Errorf("nothing left to erase: %v", err)
			}
		})
	}
}

// TestAnArchivedCaseIsTheSame has anything happen to cases, before they are
// archived and after they are written back, with those left alone beside them.
func TestAnArchivedCaseIsTheSame(t *testing.T) {
	t.Parallel()
	through := func(e Event, seq uint64) Event {
		b, err := codec.Encode(nil, &e)
		if err == nil {
			err = codec.Decode(b, &e)
		}
		if err != nil {
			t.Fatal(err)
		}
		e.Seq = seq
		return e
	}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		d := newDesk([]*mention.Tagged{complaint("a"), quiet()}[seed%2])
		d.events[0] = through(d.events[0], 1)
		for range r.IntN(40) {
			anything(r, d)
		}
		before := d.fold()
		n := len(d.events)
		kept := Fold(d.id, []Event{through(before.whole(Archived), uint64(n)+1)})
		if diff := cmp.Diff(before, kept, alike); diff != "" {
			t.Fatalf("seed %d, archived:\n%s", seed, diff)
		}
		back := through(kept.whole(Restored), uint64(n))
		for range r.IntN(20) {
			anything(r, d)
		}
		want, got := d.fold(), Fold(d.id, append([]Event{back}, d.events[n:]...))
		if diff := cmp.Diff(want, got, alike); diff != "" {
			t.Fatalf("seed %d, written back and worked on:\n%s", seed, diff)
		}
		if want.At(d.now.Add(time.Hour)).Holder != got.At(d.now.Add(time.Hour)).Holder {
			t.Fatalf("seed %d: time does not pass alike", seed)
		}
	}
}
