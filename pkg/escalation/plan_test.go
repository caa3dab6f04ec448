package escalation

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/google/go-cmp/cmp"
)

// night is 02:00 on a Tuesday in Tokyo.
var night = time.Date(2026, 10, 5, 17, 0, 0, 0, time.UTC)

// desk stands in for the pager: it carries out what is planned and keeps the
// events, on a clock of its own.
type desk struct {
	t      testing.TB
	policy Policy
	now    time.Time
	events []Event
	state  State // of events
	// fail gives the outcome of a call; the zero Outcome loses it.
	fail func(Send) Outcome
	sent []string // "minute action channel/target", in order
}

func newDesk(t *testing.T, urgency Urgency) *desk {
	d := &desk{t: t, policy: testPolicy(), now: night}
	d.add(Event{Kind: Opened, Actor: System, Brand: "kumo", Category: mention.SafetyHazard, Urgency: urgency})
	return d
}

func testPolicy() Policy {
	p := DefaultPolicy()
	p.Ladders = []Ladder{{
		Rungs: []Rung{
			{Who: []string{"staff:aoi"}, WaitMinutes: 5},
			{Who: []string{"team:pr"}, WaitMinutes: 10},
		},
		RepeatMinutes: 15,
	}}
	p.Roster = Roster{
		Groups:   map[string][]string{"team:pr": {"ben", "chika"}},
		Channels: []Channel{{ID: "mail"}, {ID: "room", Shared: true}},
	}
	return p
}

func (d *desk) add(e Event) {
	e.Escalation, e.Seq, e.At = "esc", uint64(len(d.events)+1), d.now
	d.events = append(d.events, e)
	d.state.Apply(&e)
}

func (d *desk) plan() Actions { return Plan(d.state, d.policy, d.now) }

// act carries out what is due now and returns when to look again.
func (d *desk) act() time.Time {
	for range 100 {
		a := d.plan()
		if len(a.Send) == 0 {
			return a.Next
		}
		for _, s := range a.Send {
			outcome := Sent
			if d.fail != nil {
				outcome = d.fail(s)
			}
			d.sent = append(d.sent, fmt.Sprintf("%v %s %s/%s", d.now.Sub(night), s.Action, s.Channel, s.Target))
			d.add(s.Event(Sending))
			if outcome != "" {
				d.add(s.Event(outcome))
			}
		}
	}
	d.t.Fatal("planning does not come to rest")
	return time.Time{}
}

// run lets time pass until end, waking when the plan asks for it.
func (d *desk) run(end time.Duration) {
	d.t.Helper()
	for range 10_000 {
		next := d.act()
		if next.IsZero() || next.After(night.Add(end)) {
			d.now = night.Add(end)
			return
		}
		if !next.After(d.now) {
			d.t.Fatalf("at %v the plan asks to be woken at %v", d.now, next)
		}
		d.now = next
	}
	d.t.Fatal("time does not pass")
}

func (d *desk) expect(want ...string) {
	d.t.Helper()
	if diff := cmp.Diff(want, d.sent); diff != "" {
		d.t.Errorf("pages (-want +got):\n%s", diff)
	}
	d.sent = nil
}

func TestLadder(t *testing.T) {
	t.Run("the first page is planned with the opening", func(t *testing.T) {
		d := newDesk(t, Wake)
		if n := len(d.plan().Send); n != 2 {
			t.Fatalf("%d pages at the opening, want mail and room", n)
		}
	})
	t.Run("climbs, then starts again until somebody acknowledges", func(t *testing.T) {
		d := newDesk(t, Wake)
		d.run(21 * time.Minute)
		d.expect(
			"0s trigger mail/aoi", "0s trigger room/",
			"5m0s trigger mail/ben", "5m0s trigger mail/chika", "5m0s trigger room/",
			"20m0s trigger mail/aoi", "20m0s trigger room/",
		)
		d.add(Event{Kind: Acknowledged, Actor: "ben", Via: "link"})
		d.run(24 * time.Hour)
		d.expect("21m0s acknowledge mail/aoi", "21m0s acknowledge room/", "21m0s acknowledge mail/ben", "21m0s acknowledge mail/chika")
		d.add(Event{Kind: Resolved, Actor: "ben"})
		if n := len(d.plan().Send); n != 4 {
			t.Errorf("%d told that it is over, want all 4", n)
		}
	})
	t.Run("an attempt without outcome is made again with the same key", func(t *testing.T) {
		d := newDesk(t, Wake)
		first := d.plan()
		d.add(first.Send[0].Event(Sending))
		d.now = d.now.Add(SendTimeout - time.Millisecond)
		if a := d.plan(); len(a.Send) != 1 || a.Send[0].Channel != "room" {
			t.Fatalf("before the time-out: %+v", a)
		}
		d.now = d.now.Add(time.Millisecond)
		a := d.plan()
		if len(a.Send) != 2 || a.Send[0].Key != first.Send[0].Key || a.Send[0].Attempt != 2 {
			t.Fatalf("after the time-out: %+v, want key %s again", a, first.Send[0].Key)
		}
	})
	t.Run("what failed is tried again with growing waits", func(t *testing.T) {
		d := newDesk(t, Wake)
		d.policy.Ladders[0].Rungs = d.policy.Ladders[0].Rungs[:1]
		d.policy.Ladders[0].RepeatMinutes = 0
		d.policy.Roster.Channels = []Channel{{ID: "mail"}}
		d.fail = func(s Send) Outcome {
			if s.Attempt < 4 {
				return Failed
			}
			return Sent
		}
		d.run(time.Hour)
		d.expect("0s trigger mail/aoi", "10s trigger mail/aoi", "30s trigger mail/aoi", "1m10s trigger mail/aoi")
	})
	t.Run("the far side's Retry-After is kept", func(t *testing.T) {
		d := newDesk(t, Wake)
		d.policy.Roster.Channels = []Channel{{ID: "mail"}}
		e := d.plan().Send[0].Event(Failed)
		e.RetryAt = night.Add(2 * time.Minute)
		d.add(e)
		if a := d.plan(); len(a.Send) != 0 || !a.Next.Equal(e.RetryAt) {
			t.Fatalf("%+v, want nothing before %v", a, e.RetryAt)
		}
	})
	t.Run("when every page of a rung is refused the next is paged at once", func(t *testing.T) {
		d := newDesk(t, Wake)
		d.fail = func(s Send) Outcome {
			if s.Target == "aoi" || s.Channel == "room" {
				return Refused
			}
			return Sent
		}
		d.run(time.Minute)
		d.expect("0s trigger mail/aoi", "0s trigger room/", "0s trigger mail/ben", "0s trigger mail/chika", "0s trigger room/")
	})
	t.Run("refusals everywhere don't spin", func(t *testing.T) {
		d := newDesk(t, Wake)
		d.fail = func(Send) Outcome { return Refused }
		d.run(14 * time.Minute)
		if len(d.sent) != 5 {
			t.Errorf("%d pages in the first round, want 5: %q", len(d.sent), d.sent)
		}
	})
	t.Run("rungs without anybody are passed over", func(t *testing.T) {
		d := newDesk(t, Wake)
		d.policy.Ladders[0].Rungs = append([]Rung{{Who: []string{"team:gone"}, WaitMinutes: 5}}, d.policy.Ladders[0].Rungs...)
		d.policy.Roster.Channels = []Channel{{ID: "mail"}}
		d.run(time.Minute)
		d.expect("0s trigger mail/aoi")
	})
	t.Run("a ladder with nobody on it is said to be so", func(t *testing.T) {
		d := newDesk(t, Wake)
		d.policy.Ladders[0].Rungs = []Rung{{Who: []string{"team:gone"}}}
		if a := d.plan(); !a.Nobody || a.Next.IsZero() {
			t.Errorf("%+v, want Nobody and another look", a)
		}
	})
	t.Run("it climbs no more rounds than allowed", func(t *testing.T) {
		d := newDesk(t, Wake)
		d.policy.Ladders[0].MaxRounds = 2
		d.run(100 * time.Hour)
		if len(d.sent) != 10 {
			t.Errorf("%d pages, want 2 rounds of 5", len(d.sent))
		}
	})
}

func TestUrgencies(t *testing.T) {
	t.Run("opening waits for business hours and stops climbing after them", func(t *testing.T) {
		d := newDesk(t, Opening)
		d.policy.Hours[0].Week["tue"] = []string{"09:00-09:03"}
		d.run(31*time.Hour + time.Minute)
		d.expect(
			"7h0m0s trigger mail/aoi", "7h0m0s trigger room/",
			"31h0m0s trigger mail/ben", "31h0m0s trigger mail/chika", "31h0m0s trigger room/",
		)
	})
	t.Run("notify tells the first rung once", func(t *testing.T) {
		d := newDesk(t, Notify)
		d.run(1000 * time.Hour)
		d.expect("0s trigger mail/aoi", "0s trigger room/")
	})
	t.Run("ignore sends nothing", func(t *testing.T) {
		d := newDesk(t, Ignore)
		if a := d.plan(); len(a.Send) != 0 || !a.Next.IsZero() {
			t.Errorf("%+v", a)
		}
	})
	t.Run("a stronger reason that joins starts the ladder", func(t *testing.T) {
		d := newDesk(t, Notify)
		d.run(time.Hour)
		d.sent = nil
		d.add(Event{Kind: Joined, Actor: System, Urgency: Wake, Category: mention.ViolentThreat, Count: 2})
		d.run(time.Hour + 5*time.Minute)
		d.expect("1h0m0s trigger mail/aoi", "1h0m0s trigger room/", "1h5m0s trigger mail/ben", "1h5m0s trigger mail/chika", "1h5m0s trigger room/")
	})
	t.Run("planned quiet holds pages back and forgets none", func(t *testing.T) {
		d := newDesk(t, Wake)
		d.policy.Quiet = []Quiet{
			{From: night.Add(time.Minute), To: night.Add(2 * time.Hour)},
			{Brands: []string{"other"}, From: night, To: night.Add(9 * time.Hour)},
			{From: night.Add(2 * time.Hour), To: night.Add(3 * time.Hour)},
		}
		d.run(3*time.Hour + time.Minute)
		d.expect("0s trigger mail/aoi", "0s trigger room/", "3h0m0s trigger mail/ben", "3h0m0s trigger mail/chika", "3h0m0s trigger room/")
	})
}

func TestHandingOn(t *testing.T) {
	t.Run("a new owner is paged until acknowledging", func(t *testing.T) {
		d := newDesk(t, Wake)
		d.run(time.Minute)
		d.add(Event{Kind: Acknowledged, Actor: "aoi"})
		d.act()
		d.sent = nil
		d.add(Event{Kind: Reassigned, Actor: "aoi", Target: "dai"})
		d.run(2 * time.Minute)
		d.expect("1m0s trigger mail/dai", "1m0s trigger room/")
		if s := Fold(d.events); s.Owner != "dai" || s.Acked != nil {
			t.Errorf("owner %q, acknowledged %v", s.Owner, s.Acked)
		}
	})
	t.Run("taking it oneself acknowledges", func(t *testing.T) {
		d := newDesk(t, Wake)
		d.add(Event{Kind: Reassigned, Actor: "dai", Target: "dai"})
		if s := Fold(d.events); s.Owner != "dai" || s.Acked == nil {
			t.Errorf("owner %q, acknowledged %v", s.Owner, s.Acked)
		}
	})
	t.Run("should not have woken me stops the pages", func(t *testing.T) {
		d := newDesk(t, Wake)
		d.run(time.Minute)
		d.add(Event{Kind: FalseAlarm, Actor: "aoi", Via: "link", Text: "an advert"})
		d.sent = nil
		d.run(time.Hour)
		d.expect("1m0s acknowledge mail/aoi", "1m0s acknowledge room/")
		if s := Fold(d.events); s.FalseAlarm == nil || s.FalseAlarm.By != "aoi" || s.FalseAlarm.Text != "an advert" {
			t.Errorf("false alarm %+v", s.FalseAlarm)
		}
	})
	t.Run("reopening pages again with new keys", func(t *testing.T) {
		d := newDesk(t, Wake)
		before := d.plan().Send[0].Key
		d.run(time.Minute)
		d.add(Event{Kind: Resolved, Actor: "aoi"})
		d.act()
		d.add(Event{Kind: Reopened, Actor: "aoi"})
		a := d.plan()
		if len(a.Send) != 2 || a.Send[0].Key == before {
			t.Errorf("after reopening: %+v", a)
		}
	})
}

// TestAnyInterleaving holds the two promises under random events, losses and
// failures: no trigger after an acknowledgement, and every rung is reached
// while there is none.
func TestAnyInterleaving(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		d := newDesk(t, Wake)
		d.fail = func(Send) Outcome {
			return []Outcome{"", Sent, Sent, Failed, Refused}[rnd.IntN(5)]
		}
		rungs := map[int]bool{}
		for range 120 {
			d.now = d.now.Add(time.Duration(rnd.Int64N(int64(3 * time.Minute))))
			switch rnd.IntN(30) {
			case 0:
				d.add(Event{Kind: Joined, Actor: System, Count: 2 + rnd.IntN(9), Urgency: Urgencies[rnd.IntN(len(Urgencies))]})
			case 1:
				d.add(Event{Kind: Noted, Actor: "aoi", Text: "calling the shop"})
			case 2:
				d.add(Event{Kind: "from_the_future", Actor: "aoi"})
			}
			for _, s := range d.plan().Send {
				if s.Action != Trigger {
					t.Fatalf("seed %d: %s before anybody acknowledged", seed, s.Action)
				}
				rungs[s.Rung] = true
			}
			d.act()
		}
		if len(rungs) != 2 {
			t.Fatalf("seed %d: rungs paged %v, want both", seed, rungs)
		}
		d.add(Event{Kind: []Kind{Acknowledged, FalseAlarm, Resolved}[rnd.IntN(3)], Actor: "ben"})
		for range 60 {
			d.now = d.now.Add(time.Duration(rnd.Int64N(int64(30 * time.Minute))))
			switch rnd.IntN(10) {
			case 0:
				d.add(Event{Kind: Joined, Actor: System, Urgency: Wake, Count: 64})
			case 1:
				d.add(Event{Kind: Resolved, Actor: "aoi"})
			case 2: // a late word about an attempt that was under way
				p := d.state.Pages[0]
				d.add(Event{Kind: PageFailed, Page: p.Key, Action: p.Action, Channel: p.Channel, Target: p.Target, Outcome: Failed, Attempt: 1})
			}
			for _, s := range d.plan().Send {
				if s.Action == Trigger {
					t.Fatalf("seed %d: paged after an acknowledgement: %+v", seed, s)
				}
			}
			d.act()
		}
		if a := d.plan(); len(a.Send) != 0 {
			t.Fatalf("seed %d: still sending %+v", seed, a.Send)
		}
		if diff := cmp.Diff(Fold(d.events), d.state); diff != "" {
			t.Fatalf("seed %d: the fold differs from its steps: %s", seed, diff)
		}
	}
}

// TestPolicyEditedWhileClimbing holds planning together under any ladder,
// exchanged at any moment.
func TestPolicyEditedWhileClimbing(t *testing.T) {
	pick := func(rnd *rand.Rand, from ...string) []string {
		var out []string
		for _, s := range from {
			if rnd.IntN(2) == 0 {
				out = append(out, s)
			}
		}
		return out
	}
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		d := newDesk(t, Urgencies[rnd.IntN(3)])
		d.fail = func(Send) Outcome { return []Outcome{"", Sent, Failed, Refused}[rnd.IntN(4)] }
		for range 40 {
			d.now = d.now.Add(time.Duration(rnd.Int64N(int64(20 * time.Minute))))
			if rnd.IntN(4) == 0 {
				l := Ladder{RepeatMinutes: rnd.IntN(3) * 5, MaxRounds: rnd.IntN(3)}
				for range rnd.IntN(4) {
					l.Rungs = append(l.Rungs, Rung{
						Who: pick(rnd, "staff:aoi", "team:pr", "team:gone", "oncall:none"), Channels: pick(rnd, "mail", "room", "gone"), WaitMinutes: rnd.IntN(10),
					})
				}
				d.policy.Ladders = []Ladder{l}
			}
			a := d.plan()
			keys := map[string]bool{}
			for _, s := range a.Send {
				if keys[s.Key] {
					t.Fatalf("seed %d: planned twice at once: %+v", seed, s)
				}
				keys[s.Key] = true
			}
			if again := d.plan(); !cmp.Equal(a, again) {
				t.Fatalf("seed %d: planned anew: %s", seed, cmp.Diff(a, again))
			}
			if len(a.Send) > 0 && a.Next.IsZero() || !a.Next.IsZero() && !a.Next.After(d.now) {
				t.Fatalf("seed %d: at %v sends %d and looks again at %v", seed, d.now, len(a.Send), a.Next)
			}
			d.act()
		}
	}
}

// TestWhatJoinsIsTold follows a channel whose messages can be added to.
func TestWhatJoinsIsTold(t *testing.T) {
	d := newDesk(t, Wake)
	d.policy.Roster.Channels = []Channel{{ID: "room", Shared: true}, {ID: "siren", Shared: true}}
	d.fail = func(s Send) Outcome {
		if s.Channel == "room" && s.Action == Trigger && s.Round == 0 && s.Rung == 0 {
			e := s.Event(Delivered)
			e.Ref = "m1"
			d.add(e)
			return ""
		}
		return Sent
	}
	d.act()
	d.expect("0s trigger room/", "0s trigger siren/")
	join := func(n int) {
		d.now = d.now.Add(time.Minute)
		d.add(Event{Kind: Joined, Actor: System, Count: n})
	}
	join(2)
	d.act()
	d.act()
	d.expect("1m0s update room/")
	t.Run("what is sent anyway tells of it", func(t *testing.T) {
		join(4)
		d.now = night.Add(5 * time.Minute)
		d.act()
		d.expect("5m0s trigger room/", "5m0s trigger siren/")
	})
	t.Run("also after somebody has it", func(t *testing.T) {
		d.add(Event{Kind: Acknowledged, Actor: "aoi"})
		d.act()
		join(8)
		d.act()
		d.expect("5m0s acknowledge room/", "5m0s acknowledge siren/", "6m0s update room/")
	})
	t.Run("an update that fails is tried again", func(t *testing.T) {
		failed := false
		d.fail = func(Send) Outcome {
			if failed {
				return Sent
			}
			failed = true
			return Failed
		}
		join(16)
		d.run(30 * time.Minute)
		d.expect("7m0s update room/", "7m10s update room/")
	})
	t.Run("what is erased goes from the message", func(t *testing.T) {
		d.now = d.now.Add(time.Hour)
		redacted := Redact(d.events)
		redacted.Actor = System
		d.add(redacted)
		d.act()
		d.act()
		d.expect("1h30m0s update room/")
		if !d.state.Redacted || d.state.Pages[0].Ref != "m1" {
			t.Errorf("%+v", d.state)
		}
	})
}

func TestALateWordDoesNotUndoADelivery(t *testing.T) {
	d := newDesk(t, Wake)
	s := d.plan().Send[0]
	for _, o := range []Outcome{Sending, Delivered, Sent, Failed} {
		d.add(s.Event(o))
	}
	if got := d.state.Pages[0].Outcome; got != Delivered {
		t.Errorf("outcome %q", got)
	}
}
