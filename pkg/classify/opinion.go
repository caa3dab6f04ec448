package classify

import (
	"slices"
	"strings"

	"github.com/earshot/earshot/pkg/mention"
)

// trust is what an opinion weighs: it is taken to be given so many times as
// often where it holds as where it doesn't. A verdict is in doubt where this
// much evidence decides, and nowhere else: for a threshold of 0.5 that is
// between 0.2 and 0.8.
const trust = 4

// OpinionRule is the name of the rule behind a risk that an opinion added.
const OpinionRule = "opinion"

// Opinion is what somebody else makes of a mention: a second opinion. Of labels
// that are not valid ones nothing is made.
type Opinion struct {
	By          string // who gave it, for [mention.Verdict.Model]
	Sentiment   mention.Sentiment
	Intent      mention.Intent
	Disposition mention.Disposition
	Risks       []OpinionRisk // at most one for each category
}

// OpinionRisk is a risk that an opinion sees.
type OpinionRisk struct {
	Category   mention.Category
	Start, End int // the words that show it, as in [mention.Risk]
	// Grave tells of a [Pageable] risk that more than it is there: what makes it
	// page.
	Grave bool
}

// Doubt is how sure a verdict is: the probabilities behind it, beside those from
// which something is told.
type Doubt struct {
	p        [decisions]float64
	j        *judgement
	ruled    [len(Pageable)]bool // a company's own rule says that it pages
	rung     mention.Rung
	deadline deadlineTime
}

// Doubt returns how sure [Classifier.Verdict] is about m. It takes as long as a
// verdict does.
func (c *Classifier) Doubt(m *mention.Mention) Doubt {
	d := c.scratch.Get().(*document)
	defer c.scratch.Put(d)
	var v mention.Verdict
	c.findings(d, m, &v)
	c.model.read(d)
	out := Doubt{j: c.model.judge(v.Lang)}
	out.p = out.j.probabilities(d)
	for k := range mention.Categories {
		out.p[k] = 1 - (1-out.p[k])*(1-c.ownWeight(d, k, nil))
	}
	for k, category := range Pageable {
		grave := func(r *rule) bool { return r.harm || r.explicit }
		out.ruled[k] = c.ownWeight(d, slices.Index(mention.Categories, category), grave) >= ownFloor
	}
	if out.doubts(publicity) {
		out.rung, out.deadline = c.rung(d, m, v.Lang, c.shown(d, publicity))
	}
	return out
}

// Risks are the risks in doubt, gravest first: an opinion decides whether they
// are told.
func (d *Doubt) Risks() []mention.Category {
	var out []mention.Category
	for k, category := range mention.Categories {
		if d.doubts(k) {
			out = append(out, category)
		}
	}
	return out
}

// Page tells whether an opinion decides that the mention pages.
func (d *Doubt) Page() bool {
	could := false
	for k, category := range mention.Categories {
		told := d.p[k] >= float64(d.j.Tell[k])
		if told && d.pages(category, d.pageProbability(category)) {
			return false // it does already
		}
		if told || d.doubts(k) {
			could = could || d.pages(category, moved(d.pageProbability(category), true))
		}
	}
	return could
}

// Settle returns v, the verdict on the mention of which d was asked, as it is
// with o, and whether any label is another. Then its pass is the next one, and
// its model names who gave the opinion.
//
// What is not in doubt stays, whatever o says. A risk in doubt is told if o sees
// it, and not told if o doesn't. Feeling, intent and disposition are the likeliest
// after o was weighed. A verdict that pages goes on paging, and keeps the risks
// for which it does.
func (d *Doubt) Settle(v mention.Verdict, o Opinion) (mention.Verdict, bool) {
	was := v
	v.Intent, v.IntentScore = weighed(mention.Intents, d.p[intents:tempers], o.Intent)
	v.Sentiment, v.SentimentScore = weighed(mention.Sentiments, d.p[tempers:wishes], o.Sentiment)
	v.Disposition, _ = weighed(mention.Dispositions, d.p[wishes:rungs], o.Disposition)
	changed := v.Intent != was.Intent || v.Sentiment != was.Sentiment || v.Disposition != was.Disposition
	v.Risks = nil
	for k, category := range mention.Categories {
		seen := slices.IndexFunc(o.Risks, func(r OpinionRisk) bool { return r.Category == category })
		told := slices.IndexFunc(was.Risks, func(r mention.Risk) bool { return r.Category == category })
		open := d.doubts(k) && !behindPage(&was, category)
		score := round(min(moved(d.p[k], seen >= 0), maxProbability))
		switch {
		case told >= 0 && open && seen < 0:
			changed = true
		case told >= 0:
			r := was.Risks[told]
			if open {
				r.Score = score
			}
			v.Risks = append(v.Risks, r)
		case open && seen >= 0:
			r := mention.Risk{Category: category, Score: score, Start: o.Risks[seen].Start, End: o.Risks[seen].End, Rule: OpinionRule}
			if category == mention.PublicityThreat {
				r.Rung, r.Deadline = d.rung, d.deadline
			}
			v.Risks, changed = append(v.Risks, r), true
		}
	}
	for i := range v.Risks {
		category := v.Risks[i].Category
		seen := slices.IndexFunc(o.Risks, func(r OpinionRisk) bool { return r.Category == category })
		if !v.Page && seen >= 0 && d.pages(category, moved(d.pageProbability(category), o.Risks[seen].Grave)) {
			v.Page, v.PageReason, changed = true, string(category)+": "+OpinionRule, true
		}
	}
	if !changed {
		return was, false
	}
	v.Pass++
	v.Model += "+" + o.By
	return v, true
}

// doubts tells whether an opinion decides about risk k.
func (d *Doubt) doubts(k int) bool {
	tell := float64(d.j.Tell[k])
	return moved(d.p[k], true) >= tell && moved(d.p[k], false) < tell
}

// pageProbability is the probability that a risk pages if it is there.
func (d *Doubt) pageProbability(category mention.Category) float64 {
	if k := slices.Index(Pageable[:], category); k >= 0 {
		return d.p[firstPage+k]
	}
	return 0
}

// pages tells whether a risk that is told pages with probability p.
func (d *Doubt) pages(category mention.Category, p float64) bool {
	k := slices.Index(Pageable[:], category)
	return k >= 0 && (d.ruled[k] || p >= float64(d.j.Page[k])) || slices.Contains(alwaysPage, category)
}

// behindPage tells whether v pages for the sake of category.
func behindPage(v *mention.Verdict, category mention.Category) bool {
	return v.Page && (slices.Contains(alwaysPage, category) || strings.HasPrefix(v.PageReason, string(category)+":"))
}

// moved is the probability p after an opinion.
func moved(p float64, yes bool) float64 {
	if yes {
		return trust * p / (trust*p + 1 - p)
	}
	return p / (p + trust*(1-p))
}

// weighed returns the likeliest of names after an opinion for said, and its
// probability.
func weighed[T comparable](names []T, p []float64, said T) (T, float64) {
	p = slices.Clone(p)
	if i := slices.Index(names, said); i >= 0 {
		rest := 1 + (trust-1)*p[i]
		p[i] *= trust
		for k := range p {
			p[k] /= rest
		}
	}
	return best(names, p)
}
