package classify

import "unicode"

// trie holds every literal of rules, guards and lexicons, so that a text is
// read once for all of them. Edges live in one open-addressed table keyed by
// node and code point: building is linear, memory is 12 bytes an edge.
type trie struct {
	keys  []uint64
	next  []int32
	edges int
	nodes []node
	root  []int32 // edges of the root for the basic plane
}

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
	return &trie{
		keys:  make([]uint64, 1<<17),
		next:  make([]int32, 1<<17),
		nodes: make([]node, 1, 1<<16),
		root:  make([]int32, 1<<16),
	}
}

func edgeKey(n int32, r rune) uint64 { return uint64(n)<<21 | uint64(r) + 1 }

func slot(key uint64, mask int) int { return int(key*0x9E3779B97F4A7C15>>32) & mask }

// step returns the node reached from n by r, 0 if there is none.
func (t *trie) step(n int32, r rune) int32 {
	if n == 0 && r < 1<<16 {
		return t.root[r]
	}
	key, mask := edgeKey(n, r), len(t.keys)-1
	for i := slot(key, mask); ; i = (i + 1) & mask {
		switch t.keys[i] {
		case key:
			return t.next[i]
		case 0:
			return 0
		}
	}
}

func (t *trie) put(key uint64, to int32) {
	mask := len(t.keys) - 1
	i := slot(key, mask)
	for t.keys[i] != 0 {
		i = (i + 1) & mask
	}
	t.keys[i], t.next[i] = key, to
}

func (t *trie) connect(n int32, r rune, to int32) {
	if n == 0 && r < 1<<16 {
		t.root[r] = to
		return
	}
	if t.edges++; t.edges*2 > len(t.keys) {
		keys, next := t.keys, t.next
		t.keys, t.next = make([]uint64, 2*len(keys)), make([]int32, 2*len(keys))
		for i, k := range keys {
			if k != 0 {
				t.put(k, next[i])
			}
		}
	}
	t.put(edgeKey(n, r), to)
}

func (t *trie) path(literal string) *node {
	at := int32(0)
	for _, r := range literal {
		to := t.step(at, r)
		if to == 0 {
			to = int32(len(t.nodes))
			t.nodes = append(t.nodes, node{})
			t.connect(at, r, to)
		}
		at = to
	}
	return &t.nodes[at]
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
