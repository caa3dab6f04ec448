package escalation

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/mention"
)

func openBoard(t *testing.T, c *bus.Conn) *Board {
	t.Helper()
	b, err := OpenBoard(t.Context(), c, bustest.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// record appends e to id and fails the test if that can't be.
func record(t *testing.T, b *Board, id string, e Event) State {
	t.Helper()
	s, err := b.Record(t.Context(), id, "lea", night, func(*State) (Event, bool) { return e, true })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var opened = Event{
	Kind: Opened, Brand: "kumo", Mention: mention.NewID("kumo", "x", "1"), Subjects: []string{"story:1"}, Origin: ByVerdict, Urgency: Wake,
	Title: "ひみつの題", Excerpt: "ひみつの言葉", Author: "hanako",
}

func TestBoard(t *testing.T) {
	t.Parallel()
	c, _ := bustest.Open(t)
	a, b := openBoard(t, c), openBoard(t, c)
	if _, err := a.Record(t.Context(), "nix", "lea", night, func(*State) (Event, bool) { return Event{Kind: Noted}, true }); err != ErrUnknown {
		t.Errorf("a note on nothing: %v, want ErrUnknown", err)
	}
	s := record(t, a, "one", opened)
	if got, ok := a.Get("one"); !ok || !cmp.Equal(got, s) || s.Key != "one" || !s.OpenedAt.Equal(night) {
		t.Errorf("the board has not what Record returned: %s", cmp.Diff(s, got))
	}
	bustest.Eventually(t, b.Changed, "b hears of it", func() bool { _, ok := b.Get("one"); return ok })
	record(t, b, "one", Event{Kind: Acknowledged, Via: "desk"})
	bustest.Eventually(t, a.Changed, "a hears of the acknowledgement", func() bool { s, _ := a.Get("one"); return s.Acked != nil })
	again := openBoard(t, c)
	now, _ := a.Get("one")
	if got, _ := again.Get("one"); !cmp.Equal(got, now) {
		t.Errorf("read again: %s", cmp.Diff(now, got))
	}
	if n := len(a.All(func(s *State) bool { return s.Acked == nil })); n != 0 {
		t.Errorf("%d wait for somebody", n)
	}
}

// What others wrote just before one's own event must not be skipped: it may be
// the acknowledgement that stops the paging.
func TestRecordBringsWhatOthersWrote(t *testing.T) {
	t.Parallel()
	c, _ := bustest.Open(t)
	desk := openBoard(t, c)
	record(t, desk, "one", opened)
	blind := &Board{bus: c, log: bustest.Log(t), states: map[string]*State{}, about: map[subjectKey][]string{}, open: map[string][]string{}, changed: make(chan struct{})} // has read nothing yet
	record(t, blind, "two", opened)
	record(t, desk, "one", Event{Kind: Acknowledged})
	record(t, blind, "one", Event{Kind: Paged, Page: "p", Action: Trigger, Outcome: Sent})
	if s, _ := blind.Get("one"); s.Acked == nil || len(s.Pages) != 1 || s.Brand != "kumo" {
		t.Errorf("on the board: %+v", s)
	}
}

func TestManyRecordAtOnce(t *testing.T) {
	t.Parallel()
	c, _ := bustest.Open(t)
	a, b := openBoard(t, c), openBoard(t, c)
	record(t, a, "one", opened)
	var wg sync.WaitGroup
	acked := make(chan string, 8)
	for n := range 8 {
		wg.Go(func() {
			board, who := []*Board{a, b}[n%2], fmt.Sprint("p", n)
			for i := range 5 {
				_, err := board.Record(t.Context(), "one", who, night, func(*State) (Event, bool) {
					return Event{Kind: Noted, Text: fmt.Sprint(n, "/", i)}, true
				})
				if err != nil {
					t.Error(err)
				}
			}
			won := false
			_, err := board.Record(t.Context(), "one", who, night, func(s *State) (Event, bool) {
				won = s.Acked == nil
				return Event{Kind: Acknowledged}, won
			})
			if err != nil {
				t.Error(err)
			}
			if won {
				acked <- who
			}
		})
	}
	wg.Wait()
	close(acked)
	var who []string
	for w := range acked {
		who = append(who, w)
	}
	if len(who) != 1 {
		t.Fatalf("acknowledged by %v, want one", who)
	}
	for _, board := range []*Board{a, b} {
		bustest.Eventually(t, board.Changed, "all events are there", func() bool {
			s, _ := board.Get("one")
			return len(s.Notes) == 40 && s.Acked != nil && s.Acked.By == who[0]
		})
	}
	one, _ := a.Get("one")
	if two, _ := b.Get("one"); !cmp.Equal(one, two) {
		t.Errorf("the boards differ: %s", cmp.Diff(one, two))
	}
}

func TestErase(t *testing.T) {
	t.Parallel()
	c, dir := bustest.Open(t)
	b := openBoard(t, c)
	joiner := mention.NewID("kumo", "x", "2")
	record(t, b, "one", opened)
	record(t, b, "one", Event{Kind: Joined, Mention: joiner, Count: 2})
	record(t, b, "one", Event{Kind: Noted, Text: "ひみつの電話"})
	record(t, b, "one", Event{Kind: Paged, Page: "p", Action: Trigger, Outcome: Sent})
	byHand := opened
	byHand.Origin, byHand.Rule, byHand.Mention = ByHand, "ひみつの訴え", joiner
	record(t, b, "hand", byHand)
	kept := opened
	kept.Mention, kept.Excerpt, kept.Title, kept.Author = mention.NewID("kumo", "x", "3"), "残る言葉", "", ""
	record(t, b, "kept", kept)
	secret := []string{"ひみつ", "hanako"}
	if len(bustest.Lying(t, dir, secret...)) == 0 {
		t.Fatal("the search finds nothing before the erasure either")
	}
	for range 2 { // again after a failure
		if err := Erase(t.Context(), c, "ada", joiner, night.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if found := bustest.Lying(t, dir, secret...); len(found) > 0 {
			t.Errorf("still on disk: %v", found)
		}
	}
	bustest.Eventually(t, b.Changed, "the board forgets", func() bool {
		one, _ := b.Get("one")
		hand, _ := b.Get("hand")
		return one.Redacted && hand.Redacted
	})
	s, _ := b.Get("one")
	if s.Excerpt+s.Title+s.Author != "" || s.Count != 2 || len(s.Pages) != 1 || s.Brand != "kumo" || !s.OpenedAt.Equal(night) || len(s.Notes) != 1 {
		t.Errorf("left: %+v", s)
	}
	if s, _ := b.Get("kept"); s.Redacted || s.Excerpt != "残る言葉" {
		t.Errorf("another's words went too: %+v", s)
	}
}

// An erasure that broke off after its first event was gone is found again.
func TestErasureGoesOnWhereItBrokeOff(t *testing.T) {
	t.Parallel()
	c, dir := bustest.Open(t)
	b := openBoard(t, c)
	record(t, b, "one", opened)
	record(t, b, "one", Event{Kind: Noted, Text: "ひみつの電話"})
	events, _, err := read(t.Context(), c, "one")
	if err != nil {
		t.Fatal(err)
	}
	record(t, b, "one", Redact(events))
	if err := journal.Erase(t.Context(), c, events[0].Seq); err != nil {
		t.Fatal(err)
	}
	if err := Erase(t.Context(), c, "ada", opened.Mention, night); err != nil {
		t.Fatal(err)
	}
	if found := bustest.Lying(t, dir, "ひみつ"); len(found) > 0 {
		t.Errorf("still on disk: %v", found)
	}
}
