package classify

import "unicode"

// trie holds every literal of rules, guards and lexicons, so that a text is
// read once for all of them. Edges live in one open-addressed table keyed by
// node and code point: building is linear, memory is 16 to 36 bytes an edge.
type trie struct {
	edges []edge
	used  int
	marks []int32 // for each node its place in words, 0 if nothing ends there
	words []node
	root  []int32 // edges of the root for the basic plane
	// last is the literal that was entered last, trail the nodes along it.
	last  []rune
	trail []int32
}

// edge leads to a node. Once the trie is sealed the target carries a flag that
// says whether anything ends there, so that most nodes are never looked at.
type edge struct {
	key uint64
	to  int32
}

const (
	ends   = 1 << 30
	nodeOf = ends - 1
)

// node is what ends at a node of the trie.
type node struct {
	outputs []output
	feeling int16 // hundredths; 0 where the lexicon has no such entry
}

// output says that a literal of a set ends at a node.
type output struct {
	set  set
	open bool // any ending of the word is accepted
}

func newTrie() *trie {
	return &trie{edges: make([]edge, 1<<19), marks: make([]int32, 1, 1<<19), words: make([]node, 1, 1<<16), root: make([]int32, 1<<16)}
}

func edgeKey(n int32, r rune) uint64 { return uint64(n)<<21 | uint64(r) + 1 }

func slot(key uint64, mask int) int { return int(key*0x9E3779B97F4A7C15>>32) & mask }

// step returns the node reached from n by r, 0 if there is none.
func (t *trie) step(n int32, r rune) int32 {
	key, mask := edgeKey(n, r), len(t.edges)-1
	for i := slot(key, mask); ; i = (i + 1) & mask {
		switch e := &t.edges[i]; e.key {
		case key:
			return e.to
		case 0:
			return 0
		}
	}
}

// first is step from the root.
func (t *trie) first(r rune) int32 {
	if r < 1<<16 {
		return t.root[r]
	}
	return t.step(0, r)
}

func (t *trie) put(e edge) {
	mask := len(t.edges) - 1
	i := slot(e.key, mask)
	for t.edges[i].key != 0 {
		i = (i + 1) & mask
	}
	t.edges[i] = e
}

func (t *trie) connect(n int32, r rune, to int32) {
	if n == 0 && r < 1<<16 {
		t.root[r] = to
		return
	}
	if t.used++; t.used*4 > len(t.edges)*3 {
		old := t.edges
		t.edges = make([]edge, 2*len(old))
		for _, e := range old {
			if e.key != 0 {
				t.put(e)
			}
		}
	}
	t.put(edge{edgeKey(n, r), to})
}

// seal marks the edges to nodes at which something ends. Nothing may be added
// afterwards.
func (t *trie) seal() {
	mark := func(to *int32) {
		if t.marks[*to] != 0 {
			*to |= ends
		}
	}
	for i := range t.edges {
		mark(&t.edges[i].to)
	}
	for i := range t.root {
		mark(&t.root[i])
	}
}

// path returns the node of literal, making it where needed. Literals come
// mostly sorted, so what is shared with the one before is not walked again.
func (t *trie) path(literal string) *node {
	n, at := 0, int32(0)
	same := true
	for _, r := range literal {
		if same = same && n < len(t.last) && t.last[n] == r; same {
			at = t.trail[n]
			n++
			continue
		}
		var to int32
		if at == 0 {
			to = t.first(r)
		} else {
			to = t.step(at, r)
		}
		if to == 0 {
			to = int32(len(t.marks))
			t.marks = append(t.marks, 0)
			t.connect(at, r, to)
		}
		at = to
		t.last, t.trail = append(t.last[:n], r), append(t.trail[:n], at)
		n++
	}
	if t.marks[at] == 0 {
		t.marks[at] = int32(len(t.words))
		t.words = append(t.words, node{})
	}
	return &t.words[t.marks[at]]
}

func (t *trie) add(literal string, o output) {
	n := t.path(literal)
	n.outputs = append(n.outputs, o)
}

// feel enters literal into the lexicon. The first entry of a literal wins.
func (t *trie) feel(literal string, hundredths int16) {
	if n := t.path(literal); n.feeling == 0 {
		n.feeling = hundredths
	}
}

// isWord tells whether r belongs to a word of a script that separates words.
func isWord(r rune) bool {
	switch {
	case r < 0x80:
		return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z'
	case r < 0x530:
		return unicode.IsLetter(r)
	}
	return false
}
