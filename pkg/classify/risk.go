package classify

import (
	"math"

	"github.com/earshot/earshot/pkg/mention"
)

// riskFloor is the probability from which a risk is reported.
const riskFloor = 0.5

// maxProbability bounds what rules may claim: no phrase is proof.
const maxProbability = 0.98

// risks returns the categories found, gravest first, each with the words of its
// strongest rule.
func (c *Classifier) risks(d *document, m *mention.Mention, lang string) []mention.Risk {
	var out []mention.Risk
	for l := range firstIntent {
		score := d.sums[l]
		if score < riskFloor {
			continue
		}
		best := c.strongest(d, l)
		start, end := d.span(best.start, best.end)
		risk := mention.Risk{
			Category: mention.Categories[l],
			Score:    round(min(score, maxProbability)),
			Start:    start, End: end,
			Rule: c.rules.rules[best.rule].name,
		}
		if risk.Category == mention.PublicityThreat {
			risk.Rung, risk.Deadline = c.rung(d, m, lang, best)
		}
		out = append(out, risk)
	}
	return out
}

// strongest returns the match of label l with the greatest weight, an explicit
// one before others, the first of equals.
func (c *Classifier) strongest(d *document, l label) match {
	var best match
	rank := -1.0
	for _, m := range d.matches {
		r := &c.rules.rules[m.rule]
		if r.label != l {
			continue
		}
		w := r.weight
		if r.explicit || r.harm {
			w++
		}
		if w > rank || w == rank && m.start < best.start {
			best, rank = m, w
		}
	}
	return best
}

// rung says how far the publicity threat at m has gone, and by when.
func (c *Classifier) rung(d *document, p *mention.Mention, lang string, m match) (rung mention.Rung, deadline deadlineTime) {
	r := &c.rules.rules[m.rule]
	deadline = c.deadline(d, p, lang, m.sent)
	switch {
	case r.rung == mention.Hint || r.rung == mention.Posted:
		return r.rung, deadline
	case !deadline.IsZero():
		return mention.Deadline, deadline
	case r.rung == mention.Conditional:
		return r.rung, deadline
	}
	s := &d.sents[m.sent]
	if d.hasIn(c.cues.condition, s.start, s.end) {
		return mention.Conditional, deadline
	}
	return mention.Announced, deadline
}

// page decides whether PR must see the mention, and why.
func (c *Classifier) page(d *document, m *mention.Mention, mood int32, v *mention.Verdict) (bool, string) {
	if v.Disposition == mention.NotForUs && !grave(v.Risks) {
		return false, ""
	}
	for i := range v.Risks {
		risk := &v.Risks[i]
		switch risk.Category {
		case mention.ViolentThreat, mention.PrivacyBreach, mention.MediaInquiry, mention.AuthorityInquiry, mention.PersonAtRisk:
		case mention.SafetyHazard:
			if !c.any(d, risk.Category, func(r *rule) bool { return r.harm }) {
				continue
			}
		case mention.PublicityThreat, mention.LegalThreat:
			if !c.any(d, risk.Category, func(r *rule) bool { return r.explicit }) || !c.aggrieved(d, m, mood, risk.Category, v) {
				continue
			}
		default:
			continue
		}
		return true, string(risk.Category) + ": " + risk.Rule
	}
	return false, ""
}

func grave(risks []mention.Risk) bool {
	for i := range risks {
		switch risks[i].Category {
		case mention.ViolentThreat, mention.PersonAtRisk, mention.PrivacyBreach, mention.SafetyHazard:
			return true
		}
	}
	return false
}

func (c *Classifier) any(d *document, category mention.Category, is func(*rule) bool) bool {
	for _, m := range d.matches {
		r := &c.rules.rules[m.rule]
		if r.label < firstIntent && mention.Categories[r.label] == category && is(r) {
			return true
		}
	}
	return false
}

// aggrieved tells whether the author has a real grievance, for a threat of
// category. Who asks for a present with a threat, or does it for fun, has none
// unless one is named.
func (c *Classifier) aggrieved(d *document, m *mention.Mention, mood int32, category mention.Category, v *mention.Verdict) bool {
	if d.has(c.cues.grievance) {
		return true
	}
	if d.has(c.cues.extortion) {
		return false
	}
	if category == mention.LegalThreat || len(v.Risks) > 1 {
		return true
	}
	return mood < 0 || d.has(c.cues.condition) || m.Rating == 1 || m.Rating == 2
}

// round keeps probabilities to four digits, so that they read and compare well.
func round(p float64) float64 { return math.Round(p*1e4) / 1e4 }
