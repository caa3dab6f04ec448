package classify

import (
	"math"
	"slices"

	"github.com/earshot/earshot/pkg/mention"
)

// maxProbability bounds what may be claimed: no wording is proof.
const maxProbability = 0.98

// ownFloor is the weight from which a company's own rules tell a risk.
const ownFloor = 0.5

// publicity is the place of publicity threats among the risks.
var publicity = slices.Index(mention.Categories, mention.PublicityThreat)

// risks returns the risks that are told, gravest first, each with the words that
// show it. The model decides. A company's own rules, which it has not learned,
// count as independent evidence.
func (c *Classifier) risks(d *document, m *mention.Mention, j *judgement, p *[decisions]float64, lang string) []mention.Risk {
	var out []mention.Risk
	for k, category := range mention.Categories {
		score := 1 - (1-p[k])*(1-c.ownWeight(d, k, nil))
		if score < float64(j.Tell[k]) {
			continue
		}
		at := c.shown(d, k)
		start, end := d.span(at.start, at.end)
		risk := mention.Risk{Category: category, Score: round(min(score, maxProbability)), Start: start, End: end, Rule: modelRule}
		if at.rule >= 0 {
			risk.Rule = c.rules.rules[at.rule].name
		}
		if k == publicity {
			risk.Rung, risk.Deadline = c.rung(d, m, lang, at)
		}
		out = append(out, risk)
	}
	return out
}

// modelRule is the name of what has no rule: the words as the model weighs them.
const modelRule = "model"

// ownWeight is the weight of a company's own rules for risk k that hold and of
// which is, if given, is true.
func (c *Classifier) ownWeight(d *document, k int, is func(*rule) bool) float64 {
	none := 1.0
	for i, m := range d.matches {
		if r := &c.rules.rules[m.rule]; r.own && int(r.label) == k && (is == nil || is(r)) && !repeated(d.matches[:i], m.rule) {
			none *= 1 - r.weight
		}
	}
	return 1 - none
}

// shown returns the words that show risk k: those of its strongest rule in the
// window where the model heard it loudest, else those that spoke for it there.
func (c *Classifier) shown(d *document, k int) match {
	w := d.reading.window[k]
	best, rank := match{rule: -1}, 0.0
	for _, m := range d.matches {
		r := &c.rules.rules[m.rule]
		if int(r.label) != k || !r.own && (m.sent < w.first || m.sent >= w.end) {
			continue
		}
		weight := r.weight
		if r.explicit || r.harm || r.own {
			weight++
		}
		if weight > rank || weight == rank && m.start < best.start {
			best, rank = m, weight
		}
	}
	if best.rule < 0 {
		best.start, best.end, best.sent = c.model.spoke(d, w, k)
	}
	return best
}

// spoke returns the runes in w that speak loudest for output k: the run of
// letters over which the weights of its features have the greatest sum.
func (m *model) spoke(d *document, w window, k int) (start, end, sent int32) {
	first, last := d.sents[w.first].start, d.sents[w.end-1].end
	d.loud = d.loud[:0]
	for range last - first {
		d.loud = append(d.loud, -spanCost)
	}
	for i := w.first; i < w.end; i++ {
		for _, f := range d.sentenceFeatures(i) {
			if r := m.table.find(f.hash); r != nil && f.end > f.start {
				share := float32(weightOf(r, k)) / float32(f.end-f.start)
				for at := f.start; at < f.end; at++ {
					d.loud[at-first] += share
				}
			}
		}
	}
	best, sum, from := float32(0), float32(0), int32(0)
	for i, x := range d.loud {
		if sum <= 0 {
			sum, from = 0, int32(i)
		}
		if sum += x; sum > best {
			best, start, end = sum, first+from, first+int32(i)+1
		}
	}
	if best == 0 {
		start, end = first, last
	}
	start, end = d.trim(start, end)
	for sent = w.first; sent+1 < w.end && d.sents[sent].end <= start; sent++ {
	}
	return start, end, sent
}

// spanCost is what a letter must bring to belong to a span, in steps of a row.
const spanCost = 4

// trim widens runes start to end to whole words and leaves out what is blank or
// a stop at the ends.
func (d *document) trim(start, end int32) (int32, int32) {
	for start > 0 && isWord(d.runes[start]) && isWord(d.runes[start-1]) {
		start--
	}
	for int(end) < len(d.runes) && isWord(d.runes[end]) && isWord(d.runes[end-1]) {
		end++
	}
	blank := func(r rune) bool { return r == ' ' || r == stop || r == '.' || r == '!' || r == ',' || r == '、' }
	for start+1 < end && blank(d.runes[start]) {
		start++
	}
	for end-1 > start && blank(d.runes[end-1]) {
		end--
	}
	return start, end
}

// rung says how far the publicity threat shown at m has gone, and by when.
func (c *Classifier) rung(d *document, p *mention.Mention, lang string, m match) (rung mention.Rung, deadline deadlineTime) {
	rung = mention.Rungs[likeliest(d.reading.outputs[rungs:tones])]
	if m.rule >= 0 {
		if r := &c.rules.rules[m.rule]; r.own && r.rung != "" {
			rung = r.rung
		}
	}
	if rung == mention.Hint || rung == mention.Posted {
		return rung, deadline
	}
	if deadline = c.deadline(d, p, lang, m.sent); !deadline.IsZero() {
		rung = mention.Deadline
	}
	return rung, deadline
}

// alwaysPage are the risks that page wherever they are told.
var alwaysPage = []mention.Category{
	mention.ViolentThreat, mention.PrivacyBreach, mention.MediaInquiry, mention.AuthorityInquiry, mention.PersonAtRisk,
}

// page decides whether PR must see the mention, and why.
func (c *Classifier) page(d *document, j *judgement, p *[decisions]float64, v *mention.Verdict) (bool, string) {
	for i := range v.Risks {
		risk := &v.Risks[i]
		if slices.Contains(alwaysPage, risk.Category) {
			return true, string(risk.Category) + ": " + risk.Rule
		}
		k := slices.Index(Pageable[:], risk.Category)
		if k < 0 {
			continue
		}
		grave := func(r *rule) bool { return r.harm || r.explicit }
		label := slices.Index(mention.Categories, risk.Category)
		if p[firstPage+k] >= float64(j.Page[k]) || c.ownWeight(d, label, grave) >= ownFloor {
			return true, string(risk.Category) + ": " + risk.Rule
		}
	}
	return false, ""
}

// round keeps probabilities to four digits, so that they read and compare well.
func round(p float64) float64 { return math.Round(p*1e4) / 1e4 }
