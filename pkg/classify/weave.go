package classify

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// weaver builds a trie. A product of alternatives is not multiplied out: what
// follows the alternatives is woven once, as a tree of its own, and the ends of
// the alternatives fork to it.
type weaver struct {
	edges  []edge  // open-addressed
	label  []rune  // by node, of the edge that leads to it
	parent []int32 // by node
	ends   []int32 // by node, its place in endings, 0 for none
	roots  []int32 // the first is that of the trie, the others are forked to
	wider  [][]set // by set, the sets that contain it

	endings []ending
}

// edge leads to a node; key is that of a node and a code point, never 0.
type edge struct {
	key uint64
	to  int32
}

// ending is what ends at a node.
type ending struct {
	outputs []output
	forks   []int32 // roots
	feeling int16   // hundredths; 0 where the lexicon has no such entry
}

func newWeaver() *weaver {
	const nodes = 190_000 // a little above what the embedded rules need
	w := &weaver{
		edges: make([]edge, 1<<18), label: make([]rune, 0, nodes), parent: make([]int32, 0, nodes), ends: make([]int32, 0, nodes),
		endings: make([]ending, 1, nodes*2/5),
	}
	w.roots = append(w.roots, w.node(-1, 0))
	return w
}

func (w *weaver) node(parent int32, r rune) int32 {
	n := int32(len(w.label))
	w.label, w.parent, w.ends = append(w.label, r), append(w.parent, parent), append(w.ends, 0)
	return n
}

func (w *weaver) ending(n int32) *ending {
	if w.ends[n] == 0 {
		w.ends[n] = int32(len(w.endings))
		w.endings = append(w.endings, ending{})
	}
	return &w.endings[w.ends[n]]
}

// step returns the node reached from n by r, making it where needed.
func (w *weaver) step(n int32, r rune) int32 {
	e := w.edge(uint64(n)<<21 | uint64(r) + 1)
	if e.to == 0 {
		if len(w.label)*4 > len(w.edges)*3 {
			w.grow()
			return w.step(n, r)
		}
		e.key = uint64(n)<<21 | uint64(r) + 1
		e.to = w.node(n, r)
	}
	return e.to
}

func (w *weaver) edge(key uint64) *edge {
	mask := uint64(len(w.edges) - 1)
	i := key * 0x9E3779B97F4A7C15 >> 32 & mask
	for w.edges[i].key != key && w.edges[i].key != 0 {
		i = (i + 1) & mask
	}
	return &w.edges[i]
}

func (w *weaver) grow() {
	old := w.edges
	w.edges = make([]edge, 2*len(old))
	for _, e := range old {
		if e.key != 0 {
			*w.edge(e.key) = e
		}
	}
}

// cursor is a place in the trie at which a literal is being entered.
type cursor struct {
	at    int32
	space bool  // a space was entered last, or nothing yet
	open  bool  // nothing may follow
	trim  int32 // where space, the node before it
}

func (w *weaver) walk(c cursor, text string) cursor {
	for _, r := range text {
		if r == ' ' {
			if c.space {
				continue
			}
			c.trim = c.at
		}
		c.space = r == ' '
		c.at = w.step(c.at, r)
	}
	return c
}

// rest is what follows alternatives. Equal ones are the same pointer.
type rest struct {
	then expr
	next *rest
	// fork: then is woven as trees of their own, by whether a space precedes.
	fork  bool
	roots [2]int32
}

// restKey identifies a rest by its first item, which belongs to the parsed
// phrase or list, and by what follows it.
type restKey struct {
	first *item
	next  *rest
	fork  bool
}

// weaving is the entering of one set.
type weaving struct {
	*weaver
	set   set
	rests map[restKey]*rest
}

// weave enters all literals that e stands for as set s.
func (w *weaver) weave(s set, e expr) error {
	v := weaving{weaver: w, set: s, rests: map[restKey]*rest{}}
	return v.add(cursor{space: true}, e, nil)
}

func (w *weaving) add(c cursor, e expr, after *rest) error {
	for len(e) > 0 && e[0].alt == nil {
		if c.open && e[0].text != "" {
			return fmt.Errorf("%q follows a *", e[0].text)
		}
		c = w.walk(c, e[0].text)
		c.open = c.open || e[0].open
		e = e[1:]
	}
	if len(e) == 0 {
		switch {
		case after == nil:
			w.end(c)
			return nil
		case after.fork:
			return w.fork(c, after)
		}
		return w.add(c, after.then, after.next)
	}
	alt, follow := e[0].alt, after
	if e = e[1:]; len(e) > 0 {
		follow = w.rest(e, after, len(alt) > 1)
	}
	for _, b := range alt {
		if err := w.add(c, b, follow); err != nil {
			return err
		}
	}
	return nil
}

func (w *weaving) rest(e expr, next *rest, several bool) *rest {
	key := restKey{&e[0], next, several && varies(e, next)}
	r := w.rests[key]
	if r == nil {
		r = &rest{then: e, next: next, fork: key.fork}
		w.rests[key] = r
	}
	return r
}

// varies tells whether e and what follows it stand for more than one literal.
func varies(e expr, next *rest) bool {
	return e.count(1) > 1 || next != nil && varies(next.then, next.next)
}

// end notes that a literal of the set ends at c, or before the space there.
func (w *weaving) end(c cursor) {
	n := c.at
	if c.space {
		n = c.trim
	}
	if w.parent[n] < 0 {
		return // noted where the fork is
	}
	e := w.ending(n)
	o := outputOf(w.set, c.open)
	if !slices.Contains(e.outputs, o) {
		e.outputs = append(e.outputs, o)
	}
}

// fork continues with after in a tree of its own.
func (w *weaving) fork(c cursor, after *rest) error {
	if c.open {
		return fmt.Errorf("%q has a * before its end", w.literal(c.at)+"*")
	}
	if c.at == 0 {
		return w.add(c, after.then, after.next)
	}
	vanishes := true
	for r := after; r != nil && vanishes; r = r.next {
		vanishes = r.then.empty()
	}
	if vanishes {
		w.end(c)
	}
	i := 0
	if c.space {
		i = 1
	}
	if after.roots[i] == 0 {
		root := w.node(-1, 0)
		w.roots = append(w.roots, root)
		after.roots[i] = root
		if err := w.add(cursor{at: root, space: c.space, trim: root}, after.then, after.next); err != nil {
			return err
		}
	}
	if e := w.ending(c.at); !slices.Contains(e.forks, after.roots[i]) {
		e.forks = append(e.forks, after.roots[i])
	}
	return nil
}

func (w *weaver) literal(n int32) string {
	var s []rune
	for ; w.parent[n] >= 0; n = w.parent[n] {
		s = append(s, w.label[n])
	}
	slices.Reverse(s)
	return string(s)
}

// contain says that whatever is in inner is in outer.
func (w *weaver) contain(outer, inner set) {
	for int(inner) >= len(w.wider) {
		w.wider = append(w.wider, nil)
	}
	if !slices.Contains(w.wider[inner], outer) {
		w.wider[inner] = append(w.wider[inner], outer)
	}
}

// feel enters literal into the lexicon. The first entry of a literal wins.
func (w *weaver) feel(literal string, hundredths int16) {
	e := w.ending(w.walk(cursor{space: true}, literal).at)
	if e.feeling == 0 {
		e.feeling = hundredths
	}
}

// trie returns what was woven. Nodes are numbered breadth first, so that the
// children of a node stand together, by code point.
func (w *weaver) trie() *trie {
	n := len(w.label)
	from := make([]int32, n+1) // children of node i are kids[from[i]:from[i+1]]
	for _, p := range w.parent {
		if p >= 0 {
			from[p+1]++
		}
	}
	for i := range n {
		from[i+1] += from[i]
	}
	kids := make([]int32, n)
	fill := slices.Clone(from)
	for i, p := range w.parent {
		if p >= 0 {
			kids[fill[p]] = int32(i)
			fill[p]++
		}
	}
	order := slices.Grow(slices.Clone(w.roots), n-len(w.roots))
	place := make([]int32, n)
	t := &trie{nodes: make([]node, n+1), words: make([]word, 1)}
	for i := 0; i < n; i++ {
		old := order[i]
		place[old] = int32(i)
		t.nodes[i].label, t.nodes[i].kids = w.label[old], int32(len(order))
		own := kids[from[old]:from[old+1]]
		slices.SortFunc(own, func(a, b int32) int { return cmp.Compare(w.label[a], w.label[b]) })
		order = append(order, own...)
	}
	t.nodes[n].kids = int32(n)
	w.close(t, order, place)
	t.index()
	return t
}

// close enters the words: with every set that contains one of theirs, and every
// root that is forked to from a root they fork to. What is alike is entered once.
func (w *weaver) close(t *trie, order, place []int32) {
	known := map[string]int32{} // words
	var key []byte
	for i, old := range order {
		if w.ends[old] == 0 || w.parent[old] < 0 {
			continue
		}
		e := w.ending(old)
		w.widen(e)
		key = binary.AppendVarint(key[:0], int64(e.feeling))
		for _, root := range e.forks {
			key = binary.AppendVarint(key, int64(root))
		}
		for _, o := range e.outputs {
			key = binary.AppendVarint(key, -int64(o)-1)
		}
		n, ok := known[string(key)]
		if !ok {
			n = int32(len(t.words))
			known[string(key)] = n
			wd := word{feeling: e.feeling}
			wd.outputs[0] = int32(len(t.outputs))
			t.outputs = append(t.outputs, e.outputs...)
			wd.outputs[1] = int32(len(t.outputs))
			wd.forks[0] = int32(len(t.forks))
			for _, root := range e.forks {
				t.forks = append(t.forks, place[root])
			}
			wd.forks[1] = int32(len(t.forks))
			t.words = append(t.words, wd)
		}
		t.nodes[i].word = n
	}
	t.words, t.outputs, t.forks = slices.Clip(t.words), slices.Clip(t.outputs), slices.Clip(t.forks)
}

func (w *weaver) widen(e *ending) {
	for k := 0; k < len(e.outputs); k++ {
		if o := e.outputs[k]; int(o.set()) < len(w.wider) {
			for _, s := range w.wider[o.set()] {
				if wide := outputOf(s, o.open()); !slices.Contains(e.outputs, wide) {
					e.outputs = append(e.outputs, wide)
				}
			}
		}
	}
	slices.SortFunc(e.outputs, func(a, b output) int { return cmp.Compare(a.set(), b.set()) })
	for k := 0; k < len(e.forks); k++ {
		if n := w.ends[e.forks[k]]; n != 0 {
			for _, root := range w.endings[n].forks {
				if !slices.Contains(e.forks, root) {
					e.forks = append(e.forks, root)
				}
			}
		}
	}
}
