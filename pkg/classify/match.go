package classify

import "slices"

// match is a rule that holds for runes start to end of a sentence.
type match struct {
	rule       int32
	start, end int32
	sent       int32
}

// maxTries bounds how many places are tried for one pattern, so that hostile
// text stays cheap.
const maxTries = 48

// match finds every rule that holds, each at its first place, in order of
// sentences.
func (c *Classifier) match(d *document, mood int32) {
	for _, s := range d.sets {
		if d.chain[s].first < 0 {
			continue
		}
		last := int32(-1) // rules with many patterns on one set match once
		for _, t := range c.rules.triggers[c.rules.ending[s]:c.rules.ending[s+1]] {
			if t.rule == last || t.needs >= 0 && d.chain[t.needs].first < 0 {
				continue
			}
			r := &c.rules.rules[t.rule]
			if m, ok := c.place(d, r, &r.patterns[t.pattern], mood); ok {
				m.rule = t.rule
				d.matches = append(d.matches, m)
				last = t.rule
			}
		}
	}
	slices.SortStableFunc(d.matches, func(a, b match) int { return int(a.sent - b.sent) })
	c.sum(d)
}

// sum adds up the weights by label: risks as independent evidence, intents and
// dispositions as scores. A rule counts once.
func (c *Classifier) sum(d *document) {
	for i, m := range d.matches {
		if repeated(d.matches[:i], m.rule) {
			continue
		}
		r := &c.rules.rules[m.rule]
		if r.label < firstIntent {
			d.ruled[r.label] = 1 - (1-d.ruled[r.label])*(1-r.weight)
		} else {
			d.ruled[r.label] += r.weight
		}
	}
}

func repeated(before []match, rule int32) bool {
	for _, m := range before {
		if m.rule == rule {
			return true
		}
	}
	return false
}

// place returns the first place at which p holds and no guard objects.
func (c *Classifier) place(d *document, r *rule, p *pattern, mood int32) (match, bool) {
	for _, seq := range p.also {
		if !d.contains(seq, -1) {
			return match{}, false
		}
	}
	if d.has(r.unlessText) {
		return match{}, false
	}
	last := len(p.main) - 1
	tries := 0
	for i := d.chain[p.main[last].set].first; i >= 0; i = d.hits[i].next {
		if tries++; tries > maxTries {
			break
		}
		h := &d.hits[i]
		start, ok := d.back(p.main, last, h)
		if !ok {
			continue
		}
		m := match{start: start, end: h.end, sent: h.sent}
		if c.holds(d, r, p, m, mood) {
			return m, true
		}
	}
	return match{}, false
}

func (c *Classifier) holds(d *document, r *rule, p *pattern, m match, mood int32) bool {
	for _, seq := range p.near {
		if !d.contains(seq, m.sent) {
			return false
		}
	}
	s := &d.sents[m.sent]
	if d.hasIn(r.unless, s.start, s.end) {
		return false
	}
	for _, g := range r.guards {
		if c.objects(d, &c.rules.guards[g], m, mood) {
			return false
		}
	}
	return true
}

// back looks for the segments before h, nearest first, and returns where the
// first of them starts.
func (d *document) back(seq sequence, k int, h *hit) (int32, bool) {
	if k == 0 {
		return h.start, true
	}
	gap := seq[k].gap
	best, found, tries := int32(0), false, 0
	for i := d.chain[seq[k-1].set].first; i >= 0; i = d.hits[i].next {
		before := &d.hits[i]
		if before.start >= h.start {
			break
		}
		if before.sent != h.sent || before.end > h.start || gap >= 0 && h.start-before.end > gap {
			continue
		}
		if tries++; tries > maxTries {
			break
		}
		if start, ok := d.back(seq, k-1, before); ok {
			best, found = start, true
		}
	}
	return best, found
}

// contains tells whether seq stands in sentence sent, -1 for any.
func (d *document) contains(seq sequence, sent int32) bool {
	last := len(seq) - 1
	tries := 0
	for i := d.chain[seq[last].set].first; i >= 0; i = d.hits[i].next {
		h := &d.hits[i]
		if sent >= 0 && h.sent != sent {
			continue
		}
		if tries++; tries > maxTries {
			return false
		}
		if _, ok := d.back(seq, last, h); ok {
			return true
		}
	}
	return false
}

// objects tells whether g says that m does not count.
func (c *Classifier) objects(d *document, g *guard, m match, mood int32) bool {
	if g.reported && d.note {
		return false
	}
	s := &d.sents[m.sent]
	switch g.builtin {
	case quoted:
		return c.isQuoted(d, m)
	case asked:
		return s.question && d.hasIn(c.rules.cues.permission, s.start, s.end)
	case pleased:
		return mood >= 150 && !d.has(c.rules.cues.grievance)
	}
	return d.has(g.text) ||
		d.hasIn(g.sentence, s.start, s.end) ||
		g.before >= 0 && d.hasIn(g.before, max(s.start, m.start-g.beforeWithin), min(m.end, m.start+2*overlap)) ||
		g.after >= 0 && d.hasIn(g.after, max(m.start, m.end-overlap), min(s.end, m.end+g.afterWithin))
}

// overlap is how far a cue before or after a match may reach into it, twice as
// far before: what a rule takes for an announcement may be part of its denial.
const overlap = 8

// selfReach is how far from a quotation the words may stand that make it the
// author's own.
const selfReach = 24

// isQuoted tells whether m lies in a quotation that is not the author's own.
func (c *Classifier) isQuoted(d *document, m match) bool {
	for _, q := range d.quotes {
		if q.start < m.start && m.end <= q.end {
			return !d.hasIn(c.rules.cues.selfBefore, max(0, q.start-selfReach), q.start) &&
				!d.hasIn(c.rules.cues.selfAfter, q.end, min(int32(len(d.runes)), q.end+selfReach))
		}
	}
	return false
}
