package casework

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

func TestTagsAreKeptOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(complaint("a"))
	run(t, d, does(ann, Retag{Add: []string{"返金", "Store 12", "store 12"}}), does(bob, Retag{Add: []string{"later"}, Remove: []string{"STORE 12"}}))
	s := d.fold()
	if !slices.Equal(s.Tags, []string{"返金", "later"}) {
		t.Errorf("tags %q", s.Tags)
	}
	if got := s.IndexTags(); !slices.Equal(got, []string{"#返金", "#later"}) {
		t.Errorf("in the index %q", got)
	}
	run(t, d, does(bob, Undo{}))
	if s = d.fold(); !slices.Equal(s.Tags, []string{"返金", "Store 12"}) {
		t.Errorf("taken back: %q", s.Tags)
	}
	for n := range MaxTags {
		_, err := d.do(ann, Retag{Add: []string{strings.Repeat("x", n+1)}})
		if refused := codeOf(err) == CodeInput; refused != (n+3 > MaxTags) {
			t.Fatalf("tag %d: %v", n+3, err)
		}
	}
}

func TestLinksAreTakenBack(t *testing.T) {
	t.Parallel()
	other := mention.NewID("acme", "mastodon", "9")
	d := newDesk(complaint("a"))
	run(t, d, does(ann, LinkAuthor{Case: other, Basis: " said so on the phone "}))
	s := d.fold()
	if len(s.Links) != 1 || s.Links[0].Basis != "said so on the phone" || s.Links[0].By != "ann" || !slices.Contains(s.IndexTags(), TagLinked) {
		t.Errorf("links %+v, tags %q", s.Links, s.IndexTags())
	}
	run(t, d, does(bob, UnlinkAuthor{Case: other}))
	if s = d.fold(); len(s.Links) > 0 || slices.Contains(s.IndexTags(), TagLinked) {
		t.Errorf("links %+v, tags %q", s.Links, s.IndexTags())
	}
}

func TestASnoozeCanWaitForTheAuthor(t *testing.T) {
	t.Parallel()
	d := newDesk(complaint("a"))
	run(t, d, does(ann, Snooze{Until: noon.Add(48 * time.Hour), OnPost: true}))
	if s := d.fold(); !slices.Contains(s.IndexTags(), TagWakes) || s.Open(noon) {
		t.Errorf("%q, open %v", s.IndexTags(), s.Open(noon))
	}
	run(t, d, happens(Event{Kind: Woke, Level: OnPost}))
	if s := d.fold(); len(s.IndexTags()) > 0 || !s.Open(noon) || s.WakeOnPost {
		t.Errorf("awake: %q, open %v", s.IndexTags(), s.Open(noon))
	}
}

// nights is a clock that stands still from 18:00 to 10:00 UTC.
type nights struct{}

func (nights) After(from time.Time, d time.Duration) time.Time {
	for d > 0 {
		if h := from.Hour(); h >= 10 && h < 18 {
			d -= time.Minute
		}
		from = from.Add(time.Minute)
	}
	return from
}

func (nights) Between(from, to time.Time) (d time.Duration) {
	for ; from.Before(to); from = from.Add(time.Minute) {
		if h := from.Hour(); h >= 10 && h < 18 {
			d += time.Minute
		}
	}
	return d
}

func TestOurClockStandsWhileWeWaitForTheCustomer(t *testing.T) {
	t.Parallel()
	m := complaint("a")
	m.Mention.SeenAt = noon
	first := Judge(Response{Normal: time.Hour, ResolveNormal: 8 * time.Hour, Clock: nights{}}, &m.Mention, &m.Verdict, Signals{})
	tomorrow := noon.Add(24 * time.Hour)
	if !first.DueAt.Equal(noon.Add(time.Hour)) || !first.WarnAt.Equal(noon.Add(45*time.Minute)) || !first.ResolveAt.Equal(tomorrow) {
		t.Fatalf("triage %+v", first)
	}
	d := newDesk(m)
	d.events[0].Triage = first
	run(t, d, after(2*time.Hour), does(ann, fixed), sends(ann), calls(Event{Kind: Sent})) // at 14:00, 6 h are left
	s := d.fold()
	if s.Status != WaitingCustomer || !s.DueAt().IsZero() || !s.PausedAt.Equal(noon.Add(2*time.Hour)) {
		t.Fatalf("%s, due %v, since %v", s.Status, s.DueAt(), s.PausedAt)
	}
	back := time.Date(noon.Year(), noon.Month(), noon.Day()+3, 11, 0, 0, 0, time.UTC)
	d.now = back
	d.add("ann", Event{Kind: Reopened, Triage: Triage{ResolveAt: s.resumed(nights{}, back)}})
	if s = d.fold(); !s.DueAt().Equal(back.Add(6*time.Hour)) || !s.PausedAt.IsZero() {
		t.Errorf("due %v, want 6 h after %v", s.DueAt(), back)
	}
	e, ok := Tick(&s, s.NextAt())
	if !ok || e.Kind != DeadlineNear || e.Level != ToResolve {
		t.Errorf("next is %+v", e)
	}
	// On our clock the end took what was left of the first day, from noon to when we
	// began to wait, and an hour after the author was back; the reply two hours.
	if reply, done := s.Took(nights{}); reply != 2*time.Hour || done != 0 {
		t.Errorf("took %v to the reply, %v to the end, which is not yet", reply, done)
	}
	d.now = back.Add(time.Hour)
	d.add("ann", Event{Kind: Closed, Outcome: "solved"})
	s = d.fold()
	if reply, done := s.Took(nights{}); reply != 2*time.Hour || done != 3*time.Hour || !s.DoneAt.Equal(d.now) {
		t.Errorf("took %v to the reply, %v to the end at %v", reply, done, s.DoneAt)
	}
	s.Verdict.Page = true
	if _, done := s.Took(nights{}); done != 3*time.Hour {
		t.Errorf("around the clock it took %v", done)
	}
	d.now = d.now.Add(time.Hour)
	d.add("ann", Event{Kind: Reopened})
	if s = d.fold(); !s.DoneAt.IsZero() {
		t.Errorf("reopened, it was done at %v", s.DoneAt)
	}
}

// What must not be answered isn't: what waits is taken back, and only who runs
// escalations lifts it, but for a slip that is undone at once.
func TestWhatMustNotBeAnswered(t *testing.T) {
	t.Parallel()
	d := newDesk(complaint("a"))
	mark, lift := Retag{Add: []string{NoAnswer}}, Retag{Remove: []string{NoAnswer}}
	run(t, d, does(ann, mark), does(ann, Undo{}))
	d.write(t, pia, Write{Text: "お調べします。"})
	run(t, d, does(pia, Send{Hash: d.hash()}), does(bob, mark))
	if s := d.fold(); s.Outgoing != nil || s.Draft == nil || s.Muted() != "bob" {
		t.Errorf("on its way %+v, draft %+v, said by %q", s.Outgoing, s.Draft, s.Muted())
	}
	for _, c := range []Command{Send{Hash: d.hash()}, TakeByHand{Hash: d.hash()}, MarkPosted{Hash: d.hash(), URL: "https://x.example/1"}} {
		_, err := d.do(pia, c)
		refusedAs(t, "what must not be answered", err, CodeNoAnswer)
	}
	_, err := d.do(pia, lift)
	refusedAs(t, "an approver lifts it", err, CodeNoAnswer)
	_, err = d.do(lea, lift)
	refusedAs(t, "a PR lead lifts it", err, "")
	_, err = d.do(pia, Send{Hash: d.hash()})
	refusedAs(t, "what may be answered again", err, "")

	// Of before it took back what waits, an event leaves that alone.
	d = newDesk(complaint("a"))
	d.write(t, pia, Write{Text: "お調べします。"})
	run(t, d, does(pia, Send{Hash: d.hash()}), happens(Event{Kind: Retagged, Actor: "bob", Tags: []string{NoAnswer}}))
	if s := d.fold(); s.Outgoing == nil {
		t.Error("an event of before took a reply back")
	}
}
