package classify

import (
	"slices"
	"unicode/utf8"
	"unsafe"

	"github.com/earshot/earshot/pkg/text"
)

// MaxRead is how many bytes of a mention's content are read; what follows them
// does not take part in the verdict.
const MaxRead = 32 << 10

// document is a text while it is read, with everything found in it. Its memory
// is reused from text to text.
type document struct {
	fold   text.Folded
	lined  []byte // source with line ends as full stops
	runes  []rune
	at     []int32 // byte offset in fold.Text of each rune, and of the end
	sents  []sentence
	quotes []quote

	note  bool    // a contact note: staff report what a customer said
	live  []int32 // nodes of the trie
	next  []int32
	hits  []hit
	chain []chain // by set
	state []state // by set
	sets  []set   // that were seen, in order

	feelings   []feeling
	glad, sore int32 // sums of feelings, in hundredths
	matches    []match
	ruled      []float64 // by label, what the rules say

	features []feature
	told     [toldSize]uint32 // features of the sentence
	tokens   []token          // of one sentence
	sums     []sums           // by sentence
	signals  [signalCount]float64
	inputsOf [inputs]float64
	loud     []float32 // by rune of a window
	reading  reading
	story    storyScratch
}

type sentence struct {
	start, end int32
	features   int32 // its first
	question   bool
}

type quote struct{ start, end int32 }

// hit is a literal found: runes start to end in a sentence, linked to the next
// hit of the same set.
type hit struct {
	start, end, sent, next int32
	set                    set
}

type chain struct{ first, last int32 }

type feeling struct {
	start, end, sent int32
	value            int32 // hundredths
}

// stop is the code point that stands for a line end; it folds to itself.
const stop = '。'

// read folds src and finds sentences, quotations and all literals of rs.
func (d *document) read(src string, rs *ruleSet) {
	d.reset()
	copy(d.state, rs.asleep)
	if len(src) > MaxRead {
		cut := MaxRead
		for cut > 0 && !utf8.RuneStart(src[cut]) {
			cut--
		}
		src = src[:cut]
	}
	d.fold.Reset(d.stops(src))
	d.runes, d.at = d.runes[:0], d.at[:0]
	for i, r := range d.fold.Text {
		d.runes = append(d.runes, r)
		d.at = append(d.at, int32(i))
	}
	d.at = append(d.at, int32(len(d.fold.Text)))
	d.split()
	d.quotations()
	d.scan(rs)
}

func (d *document) reset() {
	for _, s := range d.sets {
		d.chain[s] = chain{-1, -1}
	}
	d.sets, d.hits, d.feelings = d.sets[:0], d.hits[:0], d.feelings[:0]
	d.sents, d.quotes, d.matches = d.sents[:0], d.quotes[:0], d.matches[:0]
	clear(d.ruled)
}

// stops replaces each line end that ends a sentence, one code point for one, so
// that positions stay. Wrapped lines are joined: after a comma, or before a
// lower-case letter.
func (d *document) stops(src string) string {
	lines := false
	for i := range len(src) {
		if src[i] == '\n' {
			lines = true
			break
		}
	}
	if !lines {
		return src
	}
	d.lined = d.lined[:0]
	for i, last := 0, rune(0); i < len(src); {
		r, size := utf8.DecodeRuneInString(src[i:])
		if r == '\n' && last != '、' && last != ',' && !(i+1 < len(src) && src[i+1] >= 'a' && src[i+1] <= 'z') {
			r = stop
			d.lined = utf8.AppendRune(d.lined, stop)
		} else {
			d.lined = append(d.lined, src[i:i+size]...)
		}
		i += size
		last = r
	}
	return unsafe.String(unsafe.SliceData(d.lined), len(d.lined))
}

// split finds the sentences.
func (d *document) split() {
	start := int32(0)
	n := int32(len(d.runes))
	for i := int32(0); i < n; i++ {
		r := d.runes[i]
		switch r {
		case stop, '!', '?', '｡':
		case '.':
			if i+1 < n && d.runes[i+1] != ' ' {
				continue
			}
		default:
			continue
		}
		// Marks that follow each other end one sentence.
		question := r == '?'
		for i+1 < n && (d.runes[i+1] == '!' || d.runes[i+1] == '?' || d.runes[i+1] == stop) {
			i++
			question = question || d.runes[i] == '?'
		}
		if !question && r == stop && i > start {
			question = d.runes[i-1] == 'か'
		}
		d.sents = append(d.sents, sentence{start: start, end: i + 1, question: question})
		start = i + 1
	}
	if start < n || len(d.sents) == 0 {
		d.sents = append(d.sents, sentence{start: start, end: n, question: n > start && d.runes[n-1] == 'か'})
	}
}

// maxQuote is the longest quotation, in code points, that is taken for one.
const maxQuote = 240

func (d *document) quotations() {
	open, kind := int32(-1), rune(0)
	for i, r := range d.runes {
		switch {
		case open < 0 && (r == '「' || r == '『'):
			open, kind = int32(i), r+1
		case open < 0 && r == '"':
			open, kind = int32(i), r
		case open >= 0 && r == kind:
			if int32(i)-open <= maxQuote {
				d.quotes = append(d.quotes, quote{open, int32(i)})
			}
			open = -1
		case open >= 0 && int32(i)-open > maxQuote:
			open = -1
		}
	}
}

// scan walks the trie from every place where a literal may begin.
func (d *document) scan(rs *ruleSet) {
	t := rs.trie
	n := len(d.runes)
	sent := int32(0)
	before := false // whether the rune before is part of a word
	for i := range n {
		for int(sent)+1 < len(d.sents) && d.sents[sent].end <= int32(i) {
			sent++
		}
		r := d.runes[i]
		word := isWord(r)
		inside := word && before
		before = word
		if inside {
			continue
		}
		if at := t.first(r); at != 0 {
			d.follow(rs, at, int32(i), sent)
		}
	}
}

// follow walks from node at, reached by the rune at start.
func (d *document) follow(rs *ruleSet, at, start, sent int32) {
	t := rs.trie
	for end := start + 1; ; end++ {
		if i := t.nodes[at].word; i != 0 {
			w := &t.words[i]
			if w.forks[0] < w.forks[1] {
				if at, end = d.spread(rs, at, start, end, sent); at == 0 {
					return
				}
				continue
			}
			d.found(rs, w, start, end, sent)
		}
		if int(end) >= len(d.runes) {
			return
		}
		if at = t.step(at, d.runes[end]); at == 0 {
			return
		}
	}
}

// spread walks from node at, reached before the rune at end, and from every root
// forked to, as long as there are several ways. It returns the node reached by the
// one that is left, and by which rune; 0 if there is none.
func (d *document) spread(rs *ruleSet, at, start, end, sent int32) (int32, int32) {
	t := rs.trie
	live, next := append(d.live[:0], at), d.next[:0]
	for n := int32(len(d.runes)); ; end++ {
		for _, from := range live {
			i := t.nodes[from].word
			if i != 0 {
				d.found(rs, &t.words[i], start, end, sent)
			}
			if end == n {
				continue
			}
			r := d.runes[end]
			if to := t.step(from, r); to != 0 && !slices.Contains(next, to) {
				next = append(next, to)
			}
			if i == 0 {
				continue
			}
			for _, root := range t.forks[t.words[i].forks[0]:t.words[i].forks[1]] {
				if to := t.step(root, r); to != 0 && !slices.Contains(next, to) {
					next = append(next, to)
				}
			}
		}
		live, next = next, live[:0]
		d.live, d.next = live, next
		switch len(live) {
		case 0:
			return 0, end
		case 1:
			return live[0], end
		}
	}
}

// found takes in the literals that end with w, from rune start to end. A literal
// that breaks off within a word counts only where any ending is accepted.
func (d *document) found(rs *ruleSet, w *word, start, end, sent int32) {
	broken := int(end) < len(d.runes) && isWord(d.runes[end-1]) && isWord(d.runes[end])
	for _, o := range rs.trie.outputs[w.outputs[0]:w.outputs[1]] {
		if broken && !o.open() {
			continue
		}
		s := o.set()
		if d.state[s]&seen == 0 {
			d.state[s] |= seen
			d.sets = append(d.sets, s)
		}
		if d.state[s]&asleep != 0 {
			continue
		}
		if d.chain[s].first < 0 {
			for _, next := range rs.wakes[s] {
				d.state[next] &^= asleep
			}
		}
		d.hit(s, start, end, sent)
	}
	if w.feeling != 0 && !broken {
		d.feel(start, end, sent, w.feeling)
	}
}

// hit notes a literal of s; the same one found in two ways counts once.
func (d *document) hit(s set, start, end, sent int32) {
	i := int32(len(d.hits))
	c := &d.chain[s]
	if c.first < 0 {
		c.first = i
	} else {
		if last := &d.hits[c.last]; last.start == start && last.end == end {
			return
		}
		d.hits[c.last].next = i
	}
	d.hits = append(d.hits, hit{start, end, sent, -1, s})
	c.last = i
}

// feel notes a word of the lexicon; of those that overlap the longest stands.
func (d *document) feel(start, end, sent int32, value int16) {
	f := feeling{start, end, sent, int32(value)}
	if n := len(d.feelings); n > 0 && d.feelings[n-1].end > start {
		last := &d.feelings[n-1]
		if end-start > last.end-last.start {
			*last = f
		}
		return
	}
	d.feelings = append(d.feelings, f)
}

// has tells whether a literal of s is in the text.
func (d *document) has(s set) bool { return s >= 0 && d.chain[s].first >= 0 }

// hasIn tells whether a literal of s lies within runes from to to.
func (d *document) hasIn(s set, from, to int32) bool {
	if s < 0 {
		return false
	}
	for i := d.chain[s].first; i >= 0; i = d.hits[i].next {
		h := &d.hits[i]
		if h.start >= from && h.end <= to {
			return true
		}
		if h.start > to {
			return false
		}
	}
	return false
}

// span returns where runes start to end stand in the content, in code points.
func (d *document) span(start, end int32) (int, int) {
	return d.fold.Span(int(d.at[start]), int(d.at[end]))
}

// slice returns the folded text of runes start to end.
func (d *document) slice(start, end int32) string { return d.fold.Text[d.at[start]:d.at[end]] }
