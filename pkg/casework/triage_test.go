package casework

import (
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	seen := noon.Add(-time.Hour)
	risk := func(c mention.Category, score float64) func(*mention.Verdict) {
		return func(v *mention.Verdict) { v.Risks = append(v.Risks, mention.Risk{Category: c, Score: score}) }
	}
	base := func(change ...func(*mention.Verdict)) Triage {
		m := complaint("a")
		for _, c := range change {
			c(&m.Verdict)
		}
		return Judge(Response{Urgent: 30 * time.Minute}, &m.Mention, &m.Verdict, Signals{})
	}
	if plain := base(); plain.Disposition != mention.Answer || !plain.DueAt.Equal(seen.Add(8*time.Hour)) {
		t.Errorf("a plain complaint: %+v", plain)
	}
	if danger := base(risk(mention.SafetyHazard, 1)); !danger.DueAt.Equal(seen.Add(30 * time.Minute)) {
		t.Errorf("danger: %+v", danger)
	}
	praise := base(func(v *mention.Verdict) { v.Intent, v.Sentiment = mention.Praise, mention.Positive })
	if !praise.DueAt.Equal(seen.Add(24 * time.Hour)) {
		t.Errorf("praise: %+v", praise)
	}
	watched := base(func(v *mention.Verdict) { v.Disposition = mention.Watch })
	if !watched.DueAt.IsZero() {
		t.Errorf("watched, with a deadline: %+v", watched)
	}
	// What hurts people comes before what spreads, before what costs.
	order := []func(*mention.Verdict){
		func(v *mention.Verdict) { v.Disposition = mention.NotForUs }, nil,
		risk(mention.Churn, 1), risk(mention.UnreasonableDemand, 1), risk(mention.PublicityThreat, 1), risk(mention.SafetyHazard, 1), risk(mention.PersonAtRisk, 1),
	}
	last := -1
	for n, c := range order {
		if c == nil {
			c = func(*mention.Verdict) {}
		}
		if p := base(c).Priority; p <= last {
			t.Errorf("%d has priority %d, the one below %d", n, p, last)
		} else {
			last = p
		}
	}
	m := complaint("a")
	m.Verdict.Unread = true
	m.Verdict.Disposition = mention.Watch
	if got := Judge(Response{}, &m.Mention, &m.Verdict, Signals{}); got.Disposition != mention.Answer {
		t.Errorf("what nobody could read is %s, want answer", got.Disposition)
	}
	high := Judge(Response{}, &m.Mention, &mention.Verdict{Page: true, Risks: []mention.Risk{{Category: mention.PersonAtRisk, Score: 1}}}, Signals{1e9, 1e9, 1e9})
	if high.Priority != 1000 {
		t.Errorf("priority %d, want 1000", high.Priority)
	}
}

func TestTick(t *testing.T) {
	t.Parallel()
	claim := does(ann, Claim{})
	for _, tt := range []struct {
		name string
		when []deed
		at   time.Duration // after noon, the next thing
		want Kind
		text string
	}{
		{"the deadline is near", nil, 5 * time.Hour, DeadlineNear, ""}, // a quarter of 8 h before 19:00
		{"a claim lapses", []deed{claim}, ClaimTerm, ClaimLapsed, ""},
		{"a snooze ends", []deed{does(ann, Snooze{Until: noon.Add(time.Hour)})}, time.Hour, Woke, ""},
		{"half of a promise", []deed{does(ann, MakePromise{Due: noon.Add(4 * time.Hour)})}, 2 * time.Hour, PromiseDue, "half"},
		{"its end", []deed{does(ann, MakePromise{Due: noon.Add(4 * time.Hour)}), happens(Event{Kind: PromiseDue, Level: "half"}), happens(Event{Kind: PromiseDue, Level: "near"})}, 4 * time.Hour, PromiseDue, "due"},
		{"shortly before its end", []deed{does(ann, MakePromise{Due: noon.Add(4 * time.Hour)}), happens(Event{Kind: PromiseDue, Level: "half"})}, 3*time.Hour + 30*time.Minute, PromiseDue, "near"},
		{"an approval expires", []deed{
			does(ann, free), does(ann, Submit{}), approves(pia), happens(Event{Kind: DeadlineNear}), happens(Event{Kind: ClaimLapsed}),
		}, ApprovalTerm, ApprovalLost, "expired"},
		{"nobody answers for a reply", []deed{does(ann, fixed), sends(ann), calls()}, SendingTerm + time.Minute, SendUnsure, "no word from the platform or the replier"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(complaint("a"))
			run(t, d, tt.when...)
			s := d.fold()
			at := noon.Add(tt.at)
			if !s.NextAt().Equal(at) {
				t.Errorf("next at %v, want %v", s.NextAt(), at)
			}
			if e, ok := Tick(&s, at.Add(-time.Millisecond)); ok {
				t.Errorf("%s before its time", e.Kind)
			}
			e, ok := Tick(&s, at)
			if !ok || e.Kind != tt.want || e.Text+e.Level != tt.text {
				t.Errorf("%+v, want %s %s", e, tt.want, tt.text)
			}
			d.now = at
			d.add("system", e)
			if s = d.fold(); !s.NextAt().IsZero() && !s.NextAt().After(at) {
				t.Errorf("next at %v again after %s", s.NextAt(), e.Kind)
			}
		})
	}
}

func TestNothingWakesWhatIsOver(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string][]deed{
		"closed":   {does(ann, MakePromise{Due: noon.Add(time.Hour)}), does(ann, Close{})},
		"watched":  {does(ann, LookOn{})},
		"answered": {does(ann, fixed), sends(ann), calls(Event{Kind: Sent})},
		"erased":   {does(ann, Claim{}), happens(Event{Kind: Redacted, History: []Event{{Kind: Claimed, Actor: "ann", At: noon}}})},
	} {
		d := newDesk(complaint("a"))
		run(t, d, steps...)
		if s := d.fold(); !s.NextAt().IsZero() || !s.DueAt().IsZero() && !s.Redacted {
			t.Errorf("%s: next at %v, due %v", name, s.NextAt(), s.DueAt())
		}
	}
}

func TestARepeatedPromiseGoesOn(t *testing.T) {
	t.Parallel()
	d := newDesk(complaint("a"))
	run(t, d, does(ann, MakePromise{Due: noon.Add(24 * time.Hour), Every: 24 * time.Hour}))
	d.now = noon.Add(100 * time.Hour) // four times unseen
	for s := d.fold(); ; s = d.fold() {
		e, ok := Tick(&s, d.now)
		if !ok {
			break
		}
		d.add("system", e)
	}
	if p := d.fold().Promise; !p.Due.Equal(noon.Add(120*time.Hour)) || p.DueTold {
		t.Errorf("promise %+v, want the next at 120 h", p)
	}
	interim := fixed
	interim.Kind = Interim
	run(t, d, does(ann, interim), sends(ann), calls(Event{Kind: Sent}))
	if p := d.fold().Promise; !p.Due.Equal(noon.Add(124*time.Hour)) || p.HalfTold {
		t.Errorf("after a report: %+v, want a day from then", p)
	}
	final := fixed
	final.Kind = Final
	run(t, d, does(ann, final), sends(ann), calls(Event{Kind: Sent}))
	if p := d.fold().Promise; p != nil {
		t.Errorf("after the answer: %+v", p)
	}
}
