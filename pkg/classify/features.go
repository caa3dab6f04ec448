package classify

import (
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/text"
)

// feature is something the model may have a weight for: a run of letters, a
// word, words that stand near each other, a list or a rule that was found. It is
// told by a hash, and by the runes it stands on.
type feature struct {
	hash       uint32
	start, end int32
}

// token is a word, or in Japanese a run of kanji.
type token struct {
	hash       uint32
	start, end int32
}

// Bounds of what is taken in, so that hostile text stays cheap.
const (
	maxFeatures = 48 << 10 // of one text: about what MaxRead bytes have
	longWord    = 20       // letters of a word that count
	shortStem   = 4        // letters that stand for a longer word
	longStem    = 6
	japaneseRun = 4 // longest run of Japanese letters
	skipped     = 3 // how far apart two words of a pair stand, in words
	listsNear   = 3 // how far apart two lists of a pair stand, in lists
	longToken   = 4 // kanji of a run that count
)

// What a hash begins with, so that a word is not taken for a run of the same
// letters.
const (
	seedRun uint32 = 0x1c9dc5 + iota*0x9e3779b
	seedWord
	seedStem
	seedPair
	seedSkip
	seedMark
	seedList
	seedListPair
	seedListQuoted
	seedRule
	seedKind
	seedStars
	seedQuestion
	seedEnd
	seedToken
	seedMood
	seedWhole
)

// readFeatures finds the features of every sentence. Those of d.features from
// sentence.features on, up to those of the next one, are a sentence's own.
func (c *Classifier) readFeatures(d *document, m *mention.Mention) {
	d.features = d.features[:0]
	kind := mix(seedKind, hashOf(string(m.Kind)))
	whole := c.whole(d)
	h, r, f := 0, 0, 0 // the next hit, match and feeling
	for i := range d.sents {
		s := &d.sents[i]
		s.features = int32(len(d.features))
		clear(d.told[:])
		d.add(kind, s.start, s.start)
		if m.Rating > 0 {
			d.add(mix(seedStars, uint32(m.Rating)), s.start, s.start)
		}
		if s.question {
			d.add(seedQuestion, s.start, s.start)
		}
		d.add(whole, s.start, s.start)
		sum := int32(0)
		for ; f < len(d.feelings) && d.feelings[f].sent <= int32(i); f++ {
			sum += d.feelings[f].value
		}
		d.add(mix(seedMood, level(sum)), s.start, s.start)
		d.words(s)
		h = c.lists(d, s, h, kind)
		r = c.held(d, int32(i), r, kind)
	}
}

// whole is a feature of the whole text, for each of its sentences: how it feels
// and whether it names a grievance.
func (c *Classifier) whole(d *document) uint32 {
	h := mix(seedWhole, level(d.glad-d.sore))
	if d.has(c.rules.cues.grievance) {
		h = mix(h, 1)
	}
	return h
}

// level rounds hundredths of feeling to one of five.
func level(hundredths int32) uint32 {
	switch {
	case hundredths < -300:
		return 0
	case hundredths < -60:
		return 1
	case hundredths <= 60:
		return 2
	case hundredths <= 300:
		return 3
	}
	return 4
}

// add takes in a feature once for each sentence: what is said fifty times is not
// meant fifty times as much.
func (d *document) add(hash uint32, start, end int32) {
	hash = scramble(hash)
	told := &d.told[hash%toldSize]
	if *told == hash || len(d.features) >= maxFeatures {
		return
	}
	*told = hash
	d.features = append(d.features, feature{hash, start, end})
}

// toldSize is how many features of a sentence are remembered; one that another
// has pushed out may count again.
const toldSize = 1 << 9

// scramble spreads a hash over all bits; 0 is left out, since it marks an empty
// place in tables.
func scramble(h uint32) uint32 {
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	h ^= h >> 16
	return max(h, 1)
}

func mix(h, with uint32) uint32 { return (h ^ with) * 16777619 }

func hashOf(s string) uint32 {
	h := seedMark
	for i := range len(s) {
		h = mix(h, uint32(s[i]))
	}
	return h
}

// words finds the features of a sentence's letters.
func (d *document) words(s *sentence) {
	d.tokens = d.tokens[:0]
	for i := s.start; i < s.end; {
		r := d.runes[i]
		switch {
		case isWord(r) || r == '@' && i+1 < s.end && isWord(d.runes[i+1]):
			i = d.word(i, s.end)
		case text.IsCJK(r):
			i = d.run(i, s.end)
		default:
			if r != ' ' && r != '.' && r != ',' && r != stop {
				d.add(mix(seedMark, uint32(r)), i, i+1)
			}
			i++
		}
	}
	for i, t := range d.tokens {
		for back := 1; back <= skipped && back <= i; back++ {
			before := &d.tokens[i-back]
			pair := mix(before.hash, t.hash)
			if back == 1 {
				d.add(mix(seedPair, pair), before.start, t.end)
			}
			d.add(mix(seedSkip, pair), before.start, t.end)
		}
	}
}

// word takes in the word at i and returns where it ends. All figures are alike,
// and so are all handles and all links; of a letter that is drawn out two count;
// an apostrophe is nothing.
func (d *document) word(i, end int32) int32 {
	start, h, n := i, seedWord, 0
	if d.runes[i] == '@' {
		for i++; i < end && (isWord(d.runes[i]) || d.runes[i] == '_'); i++ {
		}
		d.token(mix(seedWord, '@'), start, i)
		return i
	}
	var last, second rune
	for ; i < end; i++ {
		r := d.runes[i]
		switch {
		case r == '\'':
			continue
		case !isWord(r):
			if r == ':' && i+2 < end && d.runes[i+1] == '/' && d.runes[i+2] == '/' { // a link
				for i++; i < end && d.runes[i] != ' ' && d.runes[i] != stop; i++ {
				}
				d.token(mix(seedWord, '/'), start, i)
				return i
			}
		case '0' <= r && r <= '9':
			if last == '0' {
				continue
			}
			r = '0'
			fallthrough
		default:
			if r == last && r == second {
				continue
			}
			last, second = r, last
			if n++; n <= longWord {
				h = mix(h, uint32(r))
			}
			if n == shortStem || n == longStem {
				d.add(mix(seedStem, h), start, i+1)
			}
			continue
		}
		break
	}
	d.token(h, start, i)
	return i
}

func (d *document) token(h uint32, start, end int32) {
	d.add(h, start, end)
	d.tokens = append(d.tokens, token{h, start, end})
}

// run takes in the run of Japanese letters at i and returns where it ends.
func (d *document) run(i, end int32) int32 {
	last := i
	for last < end && text.IsCJK(d.runes[last]) {
		last++
	}
	for ; i < last; i++ {
		h := seedRun
		for n := i; n < last && n < i+japaneseRun; n++ {
			h = mix(h, uint32(d.runes[n]))
			d.add(h, i, n+1)
		}
		if h, n := seedToken, i; text.IsHan(d.runes[i]) && (i == 0 || !text.IsHan(d.runes[i-1])) {
			for ; n < last && n < i+longToken && text.IsHan(d.runes[n]); n++ {
				h = mix(h, uint32(d.runes[n]))
			}
			d.tokens = append(d.tokens, token{h, i, n})
		}
	}
	return last
}

// lists finds the features of the rule files' lists in a sentence: each, and
// those that follow each other. h is the first hit that may lie in it.
func (c *Classifier) lists(d *document, s *sentence, h int, kind uint32) int {
	d.tokens = d.tokens[:0]
	for ; h < len(d.hits) && d.hits[h].start < s.end; h++ {
		hit := &d.hits[h]
		name := c.rules.listNames[hit.set]
		if name == 0 || hit.start < s.start {
			continue
		}
		if n := len(d.tokens); n > 0 && d.tokens[n-1].hash == name && hit.start < d.tokens[n-1].end {
			d.tokens[n-1].end = max(d.tokens[n-1].end, hit.end)
			continue
		}
		d.tokens = append(d.tokens, token{name, hit.start, hit.end})
	}
	for i, t := range d.tokens {
		d.add(mix(seedList, t.hash), t.start, t.end)
		if d.inQuote(t.start, t.end) {
			d.add(mix(seedListQuoted, t.hash), t.start, t.end)
		}
		for back := 1; back <= listsNear && back <= i; back++ {
			before := &d.tokens[i-back]
			if before.end > t.start {
				continue
			}
			pair := mix(mix(seedListPair, before.hash), t.hash)
			d.add(pair, before.start, t.end)
			if d.note {
				d.add(mix(kind, pair), before.start, t.end)
			}
		}
	}
	return h
}

func (d *document) inQuote(start, end int32) bool {
	for _, q := range d.quotes {
		if q.start < start && end <= q.end {
			return true
		}
	}
	return false
}

// held finds the features of the rules that hold in sentence s; r is the first
// match that may.
func (c *Classifier) held(d *document, s int32, r int, kind uint32) int {
	for ; r < len(d.matches) && d.matches[r].sent <= s; r++ {
		m := &d.matches[r]
		name := c.rules.rules[m.rule].hash
		d.add(mix(seedRule, name), m.start, m.end)
		if d.note {
			d.add(mix(kind, name), m.start, m.end)
		}
	}
	return r
}
