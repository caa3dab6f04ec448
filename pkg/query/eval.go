package query

import (
	"cmp"
	"slices"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/text"
)

// Span is where a term of a query stands in [mention.Post.Content], in Unicode
// code points, End exclusive.
type Span struct {
	Term       Term
	Start, End int
}

// maxSpans bounds the spans reported for one query and post.
const maxSpans = 64

// view is a post as the nodes of a query see it.
type view struct {
	post    *mention.Post
	content string // folded
	// found tells by stamp which literals occur; ids says which literal each
	// term is. Without them the content is searched.
	found []uint32
	stamp uint32
	ids   []int32
}

func (v *view) has(n *node) bool {
	if v.found != nil {
		return v.found[v.ids[n.id]] == v.stamp
	}
	return n.lit.next(v.content, 0) >= 0
}

// eval tells whether n holds for the post.
func (n *node) eval(v *view) bool {
	switch n.op {
	case opTerm:
		return v.has(n)
	case opField:
		return n.field.match(v.post, v.content)
	case opNot:
		return !n.kids[0].eval(v)
	case opAnd:
		for _, k := range n.kids {
			if !k.eval(v) {
				return false
			}
		}
		return true
	}
	for _, k := range n.kids {
		if k.eval(v) {
			return true
		}
	}
	return false
}

// Match tells whether the query matches p, and where the terms it looks for
// stand, at most 64 places. It serves previews; many queries against many posts
// are for a [Matcher].
func (q *Query) Match(p *mention.Post) ([]Span, bool) {
	f := text.FoldMap(p.Content())
	if !q.root.eval(&view{post: p, content: f.Text}) {
		return nil, false
	}
	var found []place
	for _, n := range q.terms {
		if !n.positive {
			continue
		}
		i := n.lit.next(f.Text, 0)
		for k := 0; i >= 0 && k < maxSpans; k++ {
			found = append(found, place{i, i + len(n.lit.text), n})
			i = n.lit.next(f.Text, i+1)
		}
	}
	return spans(found, &f), true
}

// place is where a term stands in the folded content.
type place struct {
	start, end int
	node       *node
}

// spans brings places into order and into terms of the source. A term written
// twice in a query is reported once.
func spans(found []place, f *text.Folded) []Span {
	slices.SortFunc(found, func(a, b place) int {
		return cmp.Or(a.start-b.start, b.end-a.end, a.node.id-b.node.id)
	})
	found = slices.CompactFunc(found, func(a, b place) bool {
		return a.start == b.start && a.end == b.end && a.node.lit == b.node.lit
	})
	var out []Span
	for _, p := range found[:min(len(found), maxSpans)] {
		start, end := f.Span(p.start, p.end)
		out = append(out, Span{p.node.term, start, end})
	}
	return out
}
