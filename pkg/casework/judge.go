package casework

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/text"
)

// Judgement is what a person said of a mention's labels. It counts for the
// figures as it was given, and for the queue until the post's text changes.
type Judgement struct {
	By string
	At time.Time
	// Labels are what the person says: sentiment, intent, disposition, all
	// risks there are, and whether PR must see it.
	Labels mention.Verdict
	// Told is the verdict that stood then.
	Told mention.Verdict
	// Sample is set when the person judged blind, without sight of Told.
	Sample Sample
	// Revision is the hash of the text that was judged.
	Revision string

	was Triage // before it, for whoever takes it back
}

// PersonRule stands as the rule of a risk that no rule told but a person.
const PersonRule = "person"

// over is v with the labels of j in the place of its own. What v knows of a risk
// that stays is kept, but for the words.
func (j *Judgement) over(v *mention.Verdict) mention.Verdict {
	out, l := *v, &j.Labels
	if out.Sentiment != l.Sentiment {
		out.SentimentScore = 1
	}
	if out.Intent != l.Intent {
		out.IntentScore = 1
	}
	out.Sentiment, out.Intent, out.Disposition, out.Unread = l.Sentiment, l.Intent, l.Disposition, false
	out.Risks = nil
	for _, r := range l.Risks {
		risk := mention.Risk{Score: 1, Rule: PersonRule}
		if i := slices.IndexFunc(v.Risks, func(o mention.Risk) bool { return o.Category == r.Category }); i >= 0 {
			risk = v.Risks[i]
		}
		risk.Category, risk.Start, risk.End, risk.Rung = r.Category, r.Start, r.End, r.Rung
		out.Risks = append(out.Risks, risk)
	}
	if out.Page != l.Page {
		out.Page, out.PageReason = l.Page, ""
		if l.Page {
			out.PageReason = PersonRule
		}
	}
	return out
}

// Judged returns the judgement in force, or nil: nobody judged the labels, or
// the text has changed since.
func (s *State) Judged() *Judgement {
	n := len(s.Judgements)
	if n == 0 || s.Judgements[n-1].Revision != s.Mention.Revision.Hash {
		return nil
	}
	return &s.Judgements[n-1]
}

// InForce is the verdict with what a person corrected. Verdict stays as it was
// given.
func (s *State) InForce() mention.Verdict {
	if j := s.Judged(); j != nil {
		return j.over(&s.Verdict)
	}
	return s.Verdict
}

// Correct returns v, a new verdict on m, with the corrections in force, which
// hold for the text that they were given for.
func (s *State) Correct(m *mention.Mention, v *mention.Verdict) mention.Verdict {
	if j := s.Judged(); j != nil && j.Revision == m.Revision.Hash {
		return j.over(v)
	}
	return *v
}

// judge takes a judgement in, or the last one back.
func (s *State) judge(e *Event) {
	was := s.Triage
	s.Triage = e.Triage
	if n := len(s.Judgements); e.Kind == Unjudged && n > 0 {
		if s.Decided {
			s.Triage.Disposition = s.Judgements[n-1].was.Disposition
		}
		s.Judgements = s.Judgements[: n-1 : n-1]
	}
	if e.Kind == Judged && e.Labels != nil {
		j := Judgement{By: e.Actor, At: e.At, Labels: *e.Labels, Sample: Sample(e.Sample), Revision: s.Mention.Revision.Hash, was: was}
		if e.Verdict != nil {
			j.Told = *e.Verdict
		}
		s.Judgements = append(slices.Clip(s.Judgements), j)
	}
	if s.Status == New || s.Status == Watching {
		s.Status = s.untouched()
	}
}

// labelsOf keeps of v the labels alone: nothing of it tells what was said.
func labelsOf(v *mention.Verdict) *mention.Verdict {
	if v == nil {
		return nil
	}
	out := &mention.Verdict{
		Model: v.Model, Pass: v.Pass, Lang: v.Lang, Sentiment: v.Sentiment, SentimentScore: v.SentimentScore,
		Intent: v.Intent, IntentScore: v.IntentScore, Disposition: v.Disposition, Page: v.Page, Unread: v.Unread, Partly: v.Partly,
	}
	for _, r := range v.Risks {
		out.Risks = append(out.Risks, mention.Risk{Category: r.Category, Score: r.Score, Rung: r.Rung})
	}
	return out
}

// Label says what the labels of a mention are: all of them, also those that the
// verdict has right. It calls nobody; who wants PR to see it gives [Escalate].
type Label struct {
	Sentiment   mention.Sentiment
	Intent      mention.Intent
	Disposition mention.Disposition
	// Risks are all there are, one of each category, with the words that show
	// it in Content, in code points; End is 0 where that is not known.
	Risks []mention.Risk
	Page  bool
	// Sample is the sample that it was judged for, by somebody who had not
	// seen the verdict.
	Sample Sample
}

func (c Label) decide(d *decision) (Event, error) {
	if err := d.mayJudge(); err != nil {
		return Event{}, err
	}
	if err := c.check(d.state.Mention.Content()); err != nil {
		return Event{}, err
	}
	labels := &mention.Verdict{Sentiment: c.Sentiment, Intent: c.Intent, Disposition: c.Disposition, Page: c.Page}
	for _, r := range c.Risks {
		labels.Risks = append(labels.Risks, mention.Risk{Category: r.Category, Start: r.Start, End: r.End, Rung: r.Rung})
	}
	told := d.state.Verdict
	j := Judgement{Labels: *labels}
	v := j.over(&told)
	return Event{Kind: Judged, Labels: labels, Verdict: &told, Sample: string(c.Sample), Triage: d.triage(&d.state.Mention, &v)}, nil
}

// mayJudge wants a person: what a program says is no judgement.
func (d *decision) mayJudge() error {
	if err := d.may(identity.Handle); err != nil {
		return err
	}
	if !d.by.Person() {
		return refuse(CodeForbidden, "labels are judged by people; sign in to the desk")
	}
	return nil
}

func (c *Label) check(content string) error {
	n := utf8.RuneCountInString(content)
	switch {
	case content == "":
		return refuse(CodeState, "there is no text to judge")
	case !slices.Contains(mention.Sentiments, c.Sentiment):
		return refuse(CodeInput, "sentiment: say how the author feels")
	case !slices.Contains(mention.Intents, c.Intent):
		return refuse(CodeInput, "intent: say what the author mainly wants")
	case !slices.Contains(mention.Dispositions, c.Disposition):
		return refuse(CodeInput, "disposition: say what it wants of us")
	case c.Sample != "" && !c.Sample.valid():
		return refuse(CodeInput, "sample: there is no %q", c.Sample)
	}
	for i, r := range c.Risks {
		switch {
		case !slices.Contains(mention.Categories, r.Category):
			return refuse(CodeInput, "risk: there is no category %q", r.Category)
		case slices.ContainsFunc(c.Risks[:i], func(o mention.Risk) bool { return o.Category == r.Category }):
			return refuse(CodeInput, "risk: %s is there twice", r.Category)
		case r.Start < 0 || r.End > n || r.End < 0 || r.End > 0 && r.Start >= r.End:
			return refuse(CodeInput, "risk: %d to %d is no place in a text of %d characters", r.Start, r.End, n)
		case r.Rung != "" && !slices.Contains(mention.Rungs, r.Rung):
			return refuse(CodeInput, "risk: there is no rung %q", r.Rung)
		}
	}
	return nil
}

// Unlabel takes the last judgement back.
type Unlabel struct{}

func (Unlabel) decide(d *decision) (Event, error) {
	if err := d.mayJudge(); err != nil {
		return Event{}, err
	}
	n := len(d.state.Judgements)
	if n == 0 {
		return Event{}, refuse(CodeState, "nobody has judged the labels")
	}
	before := d.state
	before.Judgements = before.Judgements[:n-1]
	v := before.InForce()
	return Event{Kind: Unjudged, Triage: d.triage(&before.Mention, &v)}, nil
}

// Find returns where words stand in content, in code points: as they are
// written, else without regard to case, width and white space. Of several places
// it is the one nearest to from. ok is false where there is none.
func Find(content, words string, from int) (start, end int, ok bool) {
	words = strings.TrimSpace(words)
	if words == "" {
		return 0, 0, false
	}
	best := func(in, what string, place func(from, to int) (int, int)) {
		for at := 0; ; {
			i := strings.Index(in[at:], what)
			if i < 0 {
				return
			}
			a, b := place(at+i, at+i+len(what))
			if !ok || abs(a-from) < abs(start-from) {
				start, end, ok = a, b, true
			}
			_, size := utf8.DecodeRuneInString(in[at+i:])
			at += i + size
		}
	}
	best(content, words, func(a, b int) (int, int) {
		first := utf8.RuneCountInString(content[:a])
		return first, first + utf8.RuneCountInString(content[a:b])
	})
	if !ok {
		folded := text.FoldMap(content)
		best(folded.Text, strings.TrimSpace(text.Fold(words)), folded.Span)
	}
	return start, end, ok
}

func abs(n int) int { return max(n, -n) }

// Sample is the place of a judgement in a weekly blind sample: the week and the
// part of the sample, as "2026-w47 told".
type Sample string

// Parts of a sample.
const (
	SampleAny  = "any"  // drawn from everything that was heard
	SampleTold = "told" // drawn from what was told to carry a risk, or paged
)

// SampleOf is the place in the sample of the ISO week in which week lies.
func SampleOf(week time.Time, part string) Sample {
	y, w := week.UTC().ISOWeek()
	return Sample(fmt.Sprintf("%d-w%02d %s", y, w, part))
}

// Week is the week of s, as "2026-w47".
func (s Sample) Week() string { week, _, _ := strings.Cut(string(s), " "); return week }

// Part is the part of the sample.
func (s Sample) Part() string { _, part, _ := strings.Cut(string(s), " "); return part }

func (s Sample) valid() bool {
	var y, w int
	n, err := fmt.Sscanf(s.Week(), "%d-w%d", &y, &w)
	return n == 2 && err == nil && (s.Part() == SampleAny || s.Part() == SampleTold)
}

// TagJudged marks in the index what somebody judged; [Sample.Tag] what was judged
// for a sample.
const TagJudged = "judged"

// Tag marks in the index what was judged for the sample of that week.
func (s Sample) Tag() string { return "sample." + s.Week() }

// How is how a verdict did on one label, by a person's judgement.
type How string

const (
	Right  How = "right"  // told, and so it is
	Wrong  How = "wrong"  // told, and not so
	Missed How = "missed" // not told, and so it is
)

func how(told, is bool) How {
	switch {
	case told && is:
		return Right
	case told:
		return Wrong
	case is:
		return Missed
	}
	return ""
}

// On tells how the verdict did on a risk; empty when neither told it nor is it
// there.
func (j *Judgement) On(c mention.Category) How { return how(j.Told.Has(c), j.Labels.Has(c)) }

// OnPage tells how the verdict did on whether PR must see it.
func (j *Judgement) OnPage() How { return how(j.Told.Page, j.Labels.Page) }

// WordsMoved tells whether the verdict has the risk right, and shows it by words
// of which the person's have none.
func (j *Judgement) WordsMoved(c mention.Category) bool {
	var told, is *mention.Risk
	for _, in := range []struct {
		risks []mention.Risk
		at    **mention.Risk
	}{{j.Told.Risks, &told}, {j.Labels.Risks, &is}} {
		if i := slices.IndexFunc(in.risks, func(r mention.Risk) bool { return r.Category == c }); i >= 0 {
			*in.at = &in.risks[i]
		}
	}
	return told != nil && is != nil && told.End > 0 && is.End > 0 && (is.Start >= told.End || told.Start >= is.End)
}

// Same tells whether the person found the verdict right as it is.
func (j *Judgement) Same() bool {
	t, l := &j.Told, &j.Labels
	if t.Sentiment != l.Sentiment || t.Intent != l.Intent || t.Disposition != l.Disposition || t.Page != l.Page {
		return false
	}
	for _, c := range mention.Categories {
		if t.Has(c) != l.Has(c) || j.WordsMoved(c) {
			return false
		}
	}
	return true
}
