// Package query holds brand queries: the boolean expressions that say which
// posts are about a brand, and the [Matcher] that holds a post against all of
// them in one pass.
//
//	("acme" OR #acme OR @acme_jp) AND NOT ("acme dynamite" OR author:bot) AND lang:ja
//
// Operators are AND, OR and NOT in capitals; terms side by side are joined by
// AND; NOT binds tightest, then AND, then OR. A term is one of
//
//	acme, "acme shoes"     a word or phrase in title or text
//	#acme                  the whole hashtag
//	@acme_jp               the whole handle, named in the text
//	author:acme_jp         the author's handle or full name; * at either end for the rest
//	lang:ja                the language claimed, else any that the script allows
//	platform:x kind:review what the post's platform and kind are
//	place:shibuya          id or name of the place
//	source:g2              id of the configured source
//	url:acme.com           permalink or a link in the text: domain, or part of it
//	rating:1..2            also rating:1, rating:<=2, rating:>3
//
// All comparison is on the form that [text.Fold] gives, so case, width, kana and
// accents do not matter. Words in scripts with spaces match whole words;
// Japanese matches anywhere. Full-width parentheses, quotes and operators are
// accepted.
package query

import (
	"strings"
	"unicode"

	"github.com/earshot/earshot/pkg/text"
)

// TermKind says what a term looks for.
type TermKind uint8

const (
	Words   TermKind = iota // a word or phrase
	Hashtag                 // a whole hashtag
	Handle                  // a whole handle that the text names
)

// Term is something to look for in a text.
type Term struct {
	Kind TermKind
	Text string // as typed, without "#" or "@"
}

// String returns the term as a query writes it.
func (t Term) String() string {
	switch t.Kind {
	case Hashtag:
		return "#" + t.Text
	case Handle:
		return "@" + t.Text
	}
	return quoteIfNeeded(t.Text)
}

// Query is a parsed brand query. It is immutable and safe for concurrent use.
type Query struct {
	root    *node
	terms   []*node // all text terms; a node's id is its place here
	anchors anchors
}

type op uint8

const (
	opAnd op = iota
	opOr
	opNot
	opTerm
	opField
)

type node struct {
	op   op
	kids []*node
	at   int // offset in code points
	// opTerm
	id       int
	term     Term
	lit      literal
	positive bool
	// opField
	field field
}

// anchors are what a query hangs on: unless one of them holds for a post, the
// query does not match it.
type anchors struct {
	terms   []*node
	sources []string // folded
	places  []string // folded
	cost    int      // how many posts they let through, roughly
}

// Terms returns what to search for to find every post the query could match:
// a post that contains none of them does not match. It is empty for a query
// bound to a source or place alone.
func (q *Query) Terms() []Term {
	out := make([]Term, 0, len(q.anchors.terms))
	seen := make(map[Term]bool)
	for _, n := range q.anchors.terms {
		if !seen[n.term] {
			seen[n.term] = true
			out = append(out, n.term)
		}
	}
	return out
}

// String returns the query in canonical form: every operator written, no
// parentheses but needed ones. Parse gives the same query for it.
func (q *Query) String() string {
	var b strings.Builder
	q.root.write(&b)
	return b.String()
}

func (n *node) write(b *strings.Builder) {
	switch n.op {
	case opTerm:
		b.WriteString(n.term.String())
	case opField:
		b.WriteString(n.field.String())
	case opNot:
		b.WriteString("NOT ")
		n.kids[0].writeWithin(b, opNot)
	default:
		for i, k := range n.kids {
			if i > 0 {
				b.WriteString(map[op]string{opAnd: " AND ", opOr: " OR "}[n.op])
			}
			k.writeWithin(b, n.op)
		}
	}
}

// writeWithin writes n as a part of an outer operator.
func (n *node) writeWithin(b *strings.Builder, outer op) {
	if n.op == opOr && outer != opOr || n.op == opAnd && outer == opNot {
		b.WriteByte('(')
		defer b.WriteByte(')')
	}
	n.write(b)
}

// quoteIfNeeded quotes what would not be read back as one word.
func quoteIfNeeded(s string) string {
	bare := s != "" && !isOperator(text.Fold(s))
	for _, r := range s {
		bare = bare && (text.IsWord(r) || text.IsCJK(r)) && !unicode.IsMark(r)
	}
	if bare {
		return s
	}
	return quote(s)
}

func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if r == '\\' || isQuote(r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}

func isOperator(folded string) bool {
	return folded == "and" || folded == "or" || folded == "not"
}

// findAnchors computes what n hangs on; negated tells that n stands under an
// odd number of NOTs. Where there is nothing, it returns the part to blame.
func (n *node) findAnchors(negated bool) (anchors, *node) {
	switch {
	case n.op == opNot:
		a, bad := n.kids[0].findAnchors(!negated)
		if bad != nil && !negated {
			bad = n
		}
		return a, bad
	case n.op == opTerm && !negated:
		n.positive = true
		return anchors{terms: []*node{n}, cost: n.lit.cost()}, nil
	case n.op == opField && !negated && n.field.name == "source":
		return anchors{sources: []string{n.field.folded}, cost: 50}, nil
	case n.op == opField && !negated && n.field.name == "place":
		return anchors{places: []string{n.field.folded}, cost: 50}, nil
	case n.op == opTerm, n.op == opField:
		return anchors{}, n
	}
	all := (n.op == opAnd) != negated // by De Morgan
	var sum anchors
	var best *anchors
	var blame *node
	for _, k := range n.kids {
		a, bad := k.findAnchors(negated)
		if bad != nil {
			if blame == nil {
				blame = bad
			}
			continue
		}
		if best == nil || a.cost < best.cost {
			best = &a
		}
		sum.terms = append(sum.terms, a.terms...)
		sum.sources = append(sum.sources, a.sources...)
		sum.places = append(sum.places, a.places...)
		sum.cost += a.cost
	}
	switch {
	case all && best != nil:
		return *best, nil
	case blame != nil:
		return anchors{}, blame
	}
	return sum, nil
}
