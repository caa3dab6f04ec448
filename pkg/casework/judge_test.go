package casework

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/mention"
)

// labels are those of a complaint as its verdict has them, changed by with.
func labels(with ...func(*Label)) Label {
	l := Label{Sentiment: mention.Negative, Intent: mention.Complaint, Disposition: mention.Answer}
	for _, f := range with {
		f(&l)
	}
	return l
}

// burning is a complaint whose verdict tells of smoke, and pages.
func burning(n int, text string) *mention.Tagged {
	t := post(n, text)
	t.Verdict.Risks = []mention.Risk{{Category: mention.SafetyHazard, Score: .9, Start: 0, End: 2, Rule: "smoke"}}
	t.Verdict.Page, t.Verdict.PageReason = true, "safety_hazard: smoke"
	return t
}

func TestWhatAPersonSaysIsInForceAndTheVerdictStays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.tag(burning(1, "煙が出るほど辛い、もう行かない"))
	before, err := b.Get(t.Context(), ann, id)
	if err != nil {
		t.Fatal(err)
	}
	churn := labels(func(l *Label) {
		l.Disposition, l.Risks = mention.Watch, []mention.Risk{{Category: mention.Churn, Start: 9, End: 15}}
	})
	s := b.must(ann, id, churn)
	v := s.InForce()
	if !s.Verdict.Has(mention.SafetyHazard) || !s.Verdict.Page || v.Has(mention.SafetyHazard) || !v.Has(mention.Churn) || v.Page || v.PageReason != "" {
		t.Errorf("stored %+v, in force %+v", s.Verdict, v)
	}
	if r := v.Risks[0]; r.Rule != PersonRule || r.Score != 1 || r.Start != 9 || r.End != 15 {
		t.Errorf("the added risk is %+v", r)
	}
	if s.Status != Watching || s.Triage.Disposition != mention.Watch || s.Triage.Priority >= before.Triage.Priority || !s.DueAt().IsZero() {
		t.Errorf("%s, %+v after %+v", s.Status, s.Triage, before.Triage)
	}
	if !s.Has(mention.SafetyHazard) || !s.Has(mention.Churn) {
		t.Error("a correction loosened what the verdict asks for")
	}
	j := s.Judged()
	if j == nil || j.By != "ann" || j.Same() || j.On(mention.SafetyHazard) != Wrong || j.On(mention.Churn) != Missed || j.OnPage() != Wrong || j.On(mention.LegalThreat) != "" {
		t.Fatalf("judgement %+v", j)
	}

	// Somebody else knows better, and is wrong about that.
	s = b.must(bob, id, labels())
	if v := s.InForce(); v.Has(mention.Churn) || s.Status != New || len(s.Judgements) != 2 {
		t.Errorf("the later word does not count: %+v, %s", v, s.Status)
	}
	s = b.must(bob, id, Unlabel{})
	if v := s.InForce(); !v.Has(mention.Churn) || s.Status != Watching {
		t.Errorf("taking it back does not bring the earlier word back: %+v, %s", v, s.Status)
	}
	s = b.must(ann, id, Unlabel{})
	if diff := cmp.Diff(before.Triage, s.Triage); diff != "" || s.Judged() != nil || s.Status != New || !s.InForce().Page {
		t.Errorf("%s; not as before:\n%s", s.Status, diff)
	}
	if n := len(s.History); n != 5 || s.History[1].Kind != Judged || s.History[4].Kind != Unjudged {
		t.Errorf("history %+v", s.History)
	}
}

func TestACorrectionHoldsForItsText(t *testing.T) {
	t.Parallel()
	was := burning(1, "煙が出るほど辛い")
	d := newDesk(was)
	if _, err := d.do(ann, labels()); err != nil {
		t.Fatal(err)
	}
	again := *was
	again.Verdict.Pass, again.Verdict.Intent = 1, mention.BugReport
	revise := func(to *mention.Tagged) State {
		s := d.fold()
		v := s.Correct(&to.Mention, &to.Verdict)
		d.add("system", Event{Kind: Revised, Mention: &to.Mention, Verdict: &to.Verdict, Triage: Judge(Response{}, &to.Mention, &v, Signals{})})
		return d.fold()
	}
	s := revise(&again)
	if v := s.InForce(); v.Page || v.Intent != mention.Complaint || s.Verdict.Intent != mention.BugReport || s.Triage.Priority > 500 {
		t.Errorf("judged again, in force is %+v, priority %d", v, s.Triage.Priority)
	}
	other := burning(1, "煙が出ています、本当に")
	s = revise(other)
	if v := s.InForce(); s.Judged() != nil || !v.Page || s.Triage.Priority < 850 || len(s.Judgements) != 1 {
		t.Errorf("the correction holds for other words: %+v, %+v", v, s.Triage)
	}
}

// A person's word by another key stands until they say something else.
func TestLabelsAndDispositionsByKey(t *testing.T) {
	t.Parallel()
	d := newDesk(complaint("もう行かない"))
	for _, c := range []Command{LookOn{}, labels(func(l *Label) { l.Disposition = mention.NotForUs }), Unlabel{}} {
		if _, err := d.do(ann, c); err != nil {
			t.Fatal(err)
		}
	}
	if s := d.fold(); s.Triage.Disposition != mention.Watch || s.Status != Watching {
		t.Errorf("%s, %s", s.Triage.Disposition, s.Status)
	}
}

func TestAnErasedJudgementKeepsItsLabels(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.tag(burning(1, "ひみつの煙"))
	sample := SampleOf(noon, SampleTold)
	b.must(ann, id, labels(func(l *Label) {
		l.Sample, l.Risks = sample, []mention.Risk{{Category: mention.Churn, Start: 0, End: 3}}
	}))
	if err := b.Erase(t.Context(), ada, "acme", id, b.tagged[id], "asked"); err != nil {
		t.Fatal(err)
	}
	if found := bustest.Lying(t, b.dir, "ひみつの煙", "smoke"); len(found) > 0 {
		t.Errorf("still on disk: %v", found)
	}
	n := 0
	err := EachJudged(t.Context(), b.bus, func(s *State) error {
		n++
		j := s.Judgements[0]
		if s.ID != id || !s.Redacted || s.Mention.Brand != "acme" || j.By != "ann" || j.Sample != sample || j.On(mention.SafetyHazard) != Wrong || j.On(mention.Churn) != Missed || j.Told.Lang != "ja" {
			t.Errorf("left: %+v", s)
		}
		return nil
	})
	if err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestEachJudgedFindsArchivedOnesToo(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	want := map[mention.ID]int{}
	for n := range 4 {
		id, _ := s.solved(n, "苦情")
		if n == 3 {
			continue // nobody judges it
		}
		s.must(ann, id, labels())
		want[id] = 1
		if n == 0 {
			continue
		}
		k := s.putAway(id)
		s.name(id, k)
		s.forget(id, k.Snapshot)
		if n == 2 { // somebody has another look
			s.must(bob, id, labels(func(l *Label) { l.Intent = mention.Question }))
			want[id] = 2
		}
	}
	taken := s.tag(post(9, "x"))
	s.must(ann, taken, labels())
	s.must(ann, taken, Unlabel{})
	got := map[mention.ID]int{}
	if err := EachJudged(t.Context(), s.bus, func(st *State) error { got[st.ID] = len(st.Judgements); return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	const content = "返金して。Refund  me now\nor I post.　返金して。"
	for _, tt := range []struct {
		words      string
		from       int
		start, end int
		ok         bool
	}{
		{"返金して", 0, 0, 4, true},
		{"返金して", 30, 31, 35, true},
		{" Refund  me ", 0, 5, 15, true},
		{"refund ME now or i POST", 0, 5, 29, true},
		{"ＲＥＦＵＮＤ", 0, 5, 11, true},
		{"返金しろ", 0, 0, 0, false},
		{" ", 0, 0, 0, false},
	} {
		start, end, ok := Find(content, tt.words, tt.from)
		if start != tt.start || end != tt.end || ok != tt.ok {
			t.Errorf("%q from %d: %d to %d, %v; want %d to %d, %v", tt.words, tt.from, start, end, ok, tt.start, tt.end, tt.ok)
		}
	}
}

func TestWordsMoved(t *testing.T) {
	t.Parallel()
	at := func(start, end int) mention.Verdict {
		return mention.Verdict{Risks: []mention.Risk{{Category: mention.Churn, Start: start, End: end}}}
	}
	for _, tt := range []struct {
		told, is mention.Verdict
		want     bool
	}{
		{at(0, 5), at(3, 9), false}, {at(0, 5), at(5, 9), true}, {at(6, 9), at(1, 4), true}, {at(0, 5), at(0, 0), false}, {at(0, 5), mention.Verdict{}, false},
	} {
		if j := (Judgement{Told: tt.told, Labels: tt.is}); j.WordsMoved(mention.Churn) != tt.want {
			t.Errorf("%+v, %+v: want %v", tt.told, tt.is, tt.want)
		}
	}
}

func TestTheSampleIsTheSameEveryTime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	told := map[mention.ID]bool{}
	for n := range 120 {
		p := post(n, "ふつうの話")
		if n%4 == 0 {
			p = burning(n, "煙")
			told[p.Mention.ID] = true
		}
		b.tag(p)
	}
	b.tag(func() *mention.Tagged { p := post(1, "ふつうの話"); p.Verdict.Pass = 1; return p }()) // judged again
	week := time.Now()
	draw := func(seed string, week time.Time) []Drawn {
		t.Helper()
		d, err := DrawSample(t.Context(), b.bus, []byte(seed), week)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	first := draw("a", week)
	parts := map[string]int{}
	seen := map[mention.ID]bool{}
	for _, d := range first {
		parts[d.Sample.Part()]++
		if seen[d.ID] || d.Brand != "acme" || !d.Sample.valid() || d.Sample.Part() == SampleTold && !told[d.ID] {
			t.Errorf("drawn %+v", d)
		}
		seen[d.ID] = true
	}
	if len(first) != SampleSize || parts[SampleAny] != 15 || parts[SampleTold] != 15 {
		t.Errorf("drawn %v", parts)
	}
	if diff := cmp.Diff(first, draw("a", week)); diff != "" {
		t.Errorf("another one the second time:\n%s", diff)
	}
	if other := draw("b", week); slices.Equal(first, other) {
		t.Error("another installation draws the same")
	}
	if none := draw("a", week.AddDate(0, 0, -7)); len(none) != 0 {
		t.Errorf("the week before has %d", len(none))
	}
	if none := draw("a", week.AddDate(0, 0, 7)); len(none) != 0 {
		t.Errorf("the week after has %d", len(none))
	}
	// What is erased is left out, and the rest stays.
	gone := first[3].ID
	if err := bus.Tagged.Erase(t.Context(), b.bus, b.tagged[gone]...); err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, d := range draw("a", week) {
		if d.ID == gone {
			t.Error("an erased mention is drawn")
		}
		if seen[d.ID] {
			kept++
		}
	}
	if kept != SampleSize-1 {
		t.Errorf("%d of the others are still drawn", kept)
	}
}

func TestShuffledIsAPermutationOrDraws(t *testing.T) {
	t.Parallel()
	got := shuffled([]byte("x"), 5, 105)
	if slices.IsSorted(got) {
		t.Error("in order")
	}
	slices.Sort(got)
	for i, seq := range got {
		if seq != uint64(5+i) {
			t.Fatalf("sequence %d is %d", i, seq)
		}
	}
	many := shuffled([]byte("x"), 1000, 10_000_000)
	low, high := slices.Min(many), slices.Max(many)
	if len(many) != drawAtMost || low < 1000 || low > 50_000 || high >= 10_000_000 || high < 9_900_000 {
		t.Errorf("%d drawn from %d to %d", len(many), low, high)
	}
	if shuffled(nil, 7, 7) != nil || shuffled(nil, 9, 7) != nil {
		t.Error("an empty week has mentions")
	}
}

func TestMonday(t *testing.T) {
	t.Parallel()
	for _, day := range []string{"2026-11-23T00:00:00Z", "2026-11-29T23:59:59Z", "2026-11-26T12:00:00Z", "2026-11-30T08:00:00+09:00"} {
		at, err := time.Parse(time.RFC3339, day)
		if err != nil {
			t.Fatal(err)
		}
		if m := Monday(at); m.Format(time.RFC3339) != "2026-11-23T00:00:00Z" {
			t.Errorf("%s: %s", day, m)
		}
	}
}
