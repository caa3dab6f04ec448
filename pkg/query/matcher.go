package query

import (
	"cmp"
	"maps"
	"math/bits"
	"slices"
	"sync"
	"unicode/utf8"
	"unsafe"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/text"
)

// Hit is a brand whose query matches a post.
type Hit struct {
	Brand string
	Spans []Span // what the query looks for and where, for highlighting; at most 64
}

// Matcher holds posts against the queries of all brands at once. It is
// immutable and safe for concurrent use; a changed query wants a new Matcher,
// which takes a few microseconds a term.
//
// The text of a post is walked once. At each word and each few characters of
// Japanese a small table tells which terms might stand there. Queries of which
// such a term is the rarest are then evaluated, on what was found in the walk.
type Matcher struct {
	rules   []rule
	lits    []filed
	sources map[string][]int32 // rules bound to a source, by its folded id
	places  map[string][]int32 // rules bound to a place, by its folded id or name

	filter []uint64 // bit set of the keys; most probes end here
	shift  uint
	slots  []slot // open addressing by hash
	refs   []ref  // what the slots refer to
	grams  [4]bool

	scratch sync.Pool
}

// rule is the query of one brand.
type rule struct {
	brand string
	query *Query
	ids   []int32 // for each term of query, its literal
	wants []want  // positive terms in order of their literal, each literal once
}

type want struct {
	lit  int32
	node *node
}

// filed is a literal with the rules that hang on it.
type filed struct {
	literal
	rules []int32
}

type slot struct {
	hash     uint64
	from, to uint32 // refs; equal if the slot is free
}

// ref is a literal to compare with, whose key begins at byte off of it.
type ref struct {
	lit int32
	off int32
}

// NewMatcher returns a Matcher for the queries of brands, by brand id.
func NewMatcher(brands map[string]*Query) *Matcher {
	m := &Matcher{sources: make(map[string][]int32), places: make(map[string][]int32)}
	ids := make(map[literal]int32)
	for _, brand := range slices.Sorted(maps.Keys(brands)) {
		m.add(brand, brands[brand], ids)
	}
	m.index()
	m.scratch.New = func() any {
		return &scratch{found: make([]uint32, len(m.lits)), queued: make([]uint32, len(m.rules))}
	}
	return m
}

func (m *Matcher) add(brand string, q *Query, ids map[literal]int32) {
	at := int32(len(m.rules))
	r := rule{brand: brand, query: q, ids: make([]int32, len(q.terms))}
	for i, n := range q.terms {
		id, ok := ids[n.lit]
		if !ok {
			id = int32(len(m.lits))
			ids[n.lit] = id
			m.lits = append(m.lits, filed{literal: n.lit})
		}
		r.ids[i] = id
		if n.positive {
			r.wants = append(r.wants, want{id, n})
		}
	}
	slices.SortStableFunc(r.wants, func(a, b want) int { return int(a.lit - b.lit) })
	r.wants = slices.CompactFunc(r.wants, func(a, b want) bool { return a.lit == b.lit })
	for _, n := range q.anchors.terms {
		l := &m.lits[r.ids[n.id]]
		l.rules = append(l.rules, at)
	}
	for _, s := range q.anchors.sources {
		m.sources[s] = append(m.sources[s], at)
	}
	for _, p := range q.anchors.places {
		m.places[p] = append(m.places[p], at)
	}
	m.rules = append(m.rules, r)
}

// index files each literal under the one of its keys that fewest others have.
func (m *Matcher) index() {
	shared := make(map[uint64]int, 2*len(m.lits))
	all := make([][]key, len(m.lits))
	for i := range m.lits {
		all[i] = m.lits[i].keys()
		for _, k := range all[i] {
			shared[k.hash]++
		}
	}
	type entry struct {
		hash uint64
		ref
	}
	entries := make([]entry, len(m.lits))
	for i, keys := range all {
		best, least := keys[0], 1<<30
		for _, k := range keys {
			// Short words and single characters occur in every other text.
			if c := shared[k.hash] + 64/k.size; c < least {
				best, least = k, c
			}
		}
		entries[i] = entry{best.hash, ref{int32(i), int32(best.off)}}
		if r, _ := utf8.DecodeRuneInString(m.lits[i].text[best.off:]); !text.IsWord(r) {
			m.grams[best.size/3] = true
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.lit, b.lit))
	})

	// 64 bits a key keep the filter's errors under two in a hundred; above 512
	// KiB it would fall out of the processor's cache.
	log := min(max(bits.Len(uint(64*len(entries))), 12), 22)
	m.filter, m.shift = make([]uint64, 1<<log/64), uint(64-log)
	m.slots = make([]slot, 1<<bits.Len(uint(2*len(entries))))
	m.refs = make([]ref, len(entries))
	for i := 0; i < len(entries); {
		hash, from := entries[i].hash, i
		for ; i < len(entries) && entries[i].hash == hash; i++ {
			m.refs[i] = entries[i].ref
		}
		bit := hash >> m.shift
		m.filter[bit/64] |= 1 << (bit % 64)
		at := hash & uint64(len(m.slots)-1)
		for m.slots[at].to != 0 {
			at = (at + 1) & uint64(len(m.slots)-1)
		}
		m.slots[at] = slot{hash, uint32(from), uint32(i)}
	}
}

// maxOccurrences bounds what is remembered of one post for highlighting.
const maxOccurrences = 4096

// scratch is the working memory of one Match.
type scratch struct {
	content []byte // title and text, where both are there
	folded  text.Folded
	stamp   uint32
	found   []uint32 // by literal: the stamp of the post it was last found in
	queued  []uint32 // by rule: the stamp of the post it was last queued for
	queue   []int32
	occurs  []occurrence
	places  []place
	view    view
}

type occurrence struct {
	lit   int32
	start int32
}

// Match appends to dst a Hit for each brand whose query matches p, ordered by
// brand, and returns it. A post that matches none costs no allocation.
func (m *Matcher) Match(p *mention.Post, dst []Hit) []Hit {
	s := m.scratch.Get().(*scratch)
	defer m.scratch.Put(s)
	return m.match(s, p, dst)
}

func (m *Matcher) match(s *scratch, p *mention.Post, dst []Hit) []Hit {
	s.reset(p)
	m.walk(s)
	if len(m.sources) > 0 {
		s.enqueue(m.sources[text.Fold(p.Source)])
	}
	if len(m.places) > 0 {
		s.enqueue(m.places[text.Fold(p.Place.ID)])
		s.enqueue(m.places[text.Fold(p.Place.Name)])
	}
	slices.Sort(s.queue)
	for _, at := range s.queue {
		r := &m.rules[at]
		s.view = view{post: p, content: s.folded.Text, found: s.found, stamp: s.stamp, ids: r.ids}
		if r.query.root.eval(&s.view) {
			dst = append(dst, Hit{r.brand, m.spans(s, r)})
		}
	}
	s.view = view{}
	return dst
}

// reset prepares s for p.
func (s *scratch) reset(p *mention.Post) {
	s.queue, s.occurs = s.queue[:0], s.occurs[:0]
	if s.stamp++; s.stamp == 0 {
		clear(s.found)
		clear(s.queued)
		s.stamp = 1
	}
	if p.Title == "" || p.Text == "" {
		s.folded.Reset(p.Content())
		return
	}
	// This is p.Content() without its allocation. The string lives no longer
	// than the memory: spans are numbers, and their terms are the query's.
	s.content = append(append(append(s.content[:0], p.Title...), '\n'), p.Text...)
	s.folded.Reset(unsafe.String(unsafe.SliceData(s.content), len(s.content)))
}

func (s *scratch) enqueue(rules []int32) {
	for _, r := range rules {
		if s.queued[r] != s.stamp {
			s.queued[r] = s.stamp
			s.queue = append(s.queue, r)
		}
	}
}

// walk finds all literals in the folded content.
func (m *Matcher) walk(s *scratch) {
	content := s.folded.Text
	var window uint64 // the last characters of a dense run, 21 bits each
	var last, before int
	run := 0
	for i := 0; i < len(content); {
		c := content[i]
		if c < utf8.RuneSelf {
			run = 0
			if !isWordByte[c] {
				i++
				continue
			}
			hash, end := hashWord(content, i)
			m.probe(s, hash, i)
			i = end
			continue
		}
		r, size := utf8.DecodeRuneInString(content[i:])
		if text.IsWord(r) {
			run = 0
			hash, end := hashWord(content, i)
			m.probe(s, hash, i)
			i = end
			continue
		}
		run++
		window = window<<21 | uint64(r)
		if m.grams[1] {
			m.probe(s, denseKey(window, 1), i)
		}
		if m.grams[2] && run >= 2 {
			m.probe(s, denseKey(window, 2), last)
		}
		if m.grams[3] && run >= 3 {
			m.probe(s, denseKey(window, 3), before)
		}
		before, last = last, i
		i += size
	}
}

// probe looks for literals whose key of this hash stands at byte at.
func (m *Matcher) probe(s *scratch, hash uint64, at int) {
	bit := hash >> m.shift
	if m.filter[bit/64]&(1<<(bit%64)) == 0 {
		return
	}
	for i := hash & uint64(len(m.slots)-1); m.slots[i].to != 0; i = (i + 1) & uint64(len(m.slots)-1) {
		if m.slots[i].hash == hash {
			m.compare(s, m.refs[m.slots[i].from:m.slots[i].to], at)
			return
		}
	}
}

func (m *Matcher) compare(s *scratch, refs []ref, at int) {
	content := s.folded.Text
	for _, r := range refs {
		l := &m.lits[r.lit]
		start := at - int(r.off)
		if start < 0 || len(content)-start < len(l.text) || content[start:start+len(l.text)] != l.text || !l.fits(content, start) {
			continue
		}
		if s.found[r.lit] != s.stamp {
			s.found[r.lit] = s.stamp
			s.enqueue(l.rules)
		}
		if len(s.occurs) < maxOccurrences {
			s.occurs = append(s.occurs, occurrence{r.lit, int32(start)})
		}
	}
}

// spans collects where the positive terms of r were found.
func (m *Matcher) spans(s *scratch, r *rule) []Span {
	s.places = s.places[:0]
	for _, o := range s.occurs {
		i, ok := slices.BinarySearchFunc(r.wants, o.lit, func(w want, lit int32) int { return int(w.lit - lit) })
		if ok {
			n := r.wants[i].node
			s.places = append(s.places, place{int(o.start), int(o.start) + len(n.lit.text), n})
		}
	}
	return spans(s.places, &s.folded)
}
