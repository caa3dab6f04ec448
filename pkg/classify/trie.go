package classify

import "unicode"

// trie holds every literal of rules, guards and lexicons, so that a text is
// read once for all of them. It is several trees: a literal that begins in the
// first may go on in others, see [weaver].
type trie struct {
	nodes   []node // one more than there are, so that each one's kids have an end
	words   []word
	outputs []output
	forks   []int32
	root    [1 << 16]uint16 // the first tree's edges in the basic plane, from its first kid, counted from 1
}

// node: its kids are nodes[kids] up to the kids of the next node.
type node struct {
	label rune
	kids  int32
	word  int32  // what ends there; 0 for nothing
	may   uint32 // a bit for the label of each kid
}

// bit is the bit of may that stands for r. Most steps lead nowhere, and are told
// by it from the node alone.
func bit(r rune) uint32 { return 1 << (uint32(r) * 0x9e3779b1 >> 27) }

// word is what ends at a node: spans of outputs and of forks.
type word struct {
	outputs, forks [2]int32
	feeling        int16 // hundredths; 0 where the lexicon has no such entry
}

// output says that a literal of a set ends at a node: twice the set, and one more
// where any ending of the word is accepted.
type output int32

func outputOf(s set, open bool) output {
	if open {
		return output(s<<1 | 1)
	}
	return output(s << 1)
}

func (o output) set() set   { return set(o >> 1) }
func (o output) open() bool { return o&1 != 0 }

func (t *trie) index() {
	for i := range t.nodes[:len(t.nodes)-1] {
		n := &t.nodes[i]
		n.may = 0
		for _, kid := range t.nodes[n.kids:t.nodes[i+1].kids] {
			n.may |= bit(kid.label)
		}
	}
	first := t.nodes[0].kids
	for i := first; i < t.nodes[1].kids; i++ {
		if r := t.nodes[i].label; r < 1<<16 {
			t.root[r] = uint16(i - first + 1)
		}
	}
}

// step returns the node reached from n by r, 0 if there is none.
func (t *trie) step(n int32, r rune) int32 {
	if t.nodes[n].may&bit(r) == 0 {
		return 0
	}
	lo, hi := t.nodes[n].kids, t.nodes[n+1].kids
	for hi-lo > 6 {
		if mid := lo + (hi-lo)/2; t.nodes[mid].label <= r {
			lo = mid
		} else {
			hi = mid
		}
	}
	for i, kid := range t.nodes[lo:hi] {
		if kid.label == r {
			return lo + int32(i)
		}
	}
	return 0
}

// first is step from the root.
func (t *trie) first(r rune) int32 {
	if r >= 1<<16 {
		return t.step(0, r)
	}
	if i := t.root[r]; i > 0 {
		return t.nodes[0].kids + int32(i) - 1
	}
	return 0
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
