package query

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/earshot/earshot/pkg/text"
)

// Limits of a query.
const (
	maxQuery = 20_000 // code points
	maxTerms = 1_000
	maxDepth = 50
	maxTerm  = 200 // code points
)

// Parse reads a query. Its errors are of type *[Error]. Besides mistakes of
// writing it refuses a query that could match posts in which nothing it names
// occurs, unless it is bound to a source or place: such a query would match
// nearly everything.
func Parse(s string) (q *Query, err error) {
	p := &parser{src: []rune(s), q: &Query{}}
	defer func() {
		// Errors unwind the descent as panics of their own type.
		if r := recover(); r != nil {
			e, ok := r.(*Error)
			if !ok {
				panic(r)
			}
			q, err = nil, e
		}
	}()
	if len(p.src) > maxQuery {
		p.fail(maxQuery, "too-long", "", fmt.Sprintf("the query is longer than %d characters", maxQuery), "split it over two brands or drop terms")
	}
	p.next()
	if p.tok.kind == tokEnd {
		p.fail(0, "empty", "", "the query is empty", `write what to look for, such as "acme" OR #acme`)
	}
	p.q.root = p.or(0)
	if p.tok.kind == tokClose {
		p.fail(p.tok.at, "stray-paren", ")", `")" closes nothing`, `remove it, or add the "(" it belongs to`)
	}
	a, blame := p.q.root.findAnchors(false)
	if blame != nil {
		p.refuse(blame)
	}
	p.q.anchors = a
	return p.q, nil
}

// refuse reports a query without an anchor.
func (p *parser) refuse(blame *node) {
	near := clip((&Query{root: blame}).String())
	positive := false
	for _, n := range p.q.terms {
		positive = positive || n.positive
	}
	switch {
	case blame.op == opNot && !positive:
		p.fail(blame.at, "not-only", near, "the query only says what not to look for", "add the brand's name, a hashtag or a handle in front")
	case positive:
		p.fail(blame.at, "open-branch", near, "this side of OR matches without any of the words looked for", "join it to a word by AND, or use source: or place:")
	}
	p.fail(blame.at, "no-words", near, "the query names no word, hashtag or handle to look for", "add the brand's name, or bind it with source: or place:")
}

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokOpen
	tokClose
	tokAnd
	tokOr
	tokNot
	tokTerm
)

type token struct {
	kind tokenKind
	at   int
	text string // as written
	node *node  // tokTerm
}

type parser struct {
	src   []rune
	pos   int
	tok   token
	count int
	q     *Query
}

// fail leaves Parse with an error at a code point.
func (p *parser) fail(at int, code, near, message, hint string) {
	line := 1
	for _, r := range p.src[:min(at, len(p.src))] {
		if r == '\n' {
			line++
		}
	}
	panic(&Error{Offset: at, Line: line, Code: code, Near: near, Message: message, Hint: hint})
}

func (p *parser) or(depth int) *node {
	return p.chain(opOr, func() *node {
		return p.chain(opAnd, func() *node { return p.not(depth) }, func() bool {
			if p.tok.kind == tokAnd {
				p.operator()
				return true
			}
			return p.tok.kind == tokTerm || p.tok.kind == tokNot || p.tok.kind == tokOpen
		})
	}, func() bool {
		if p.tok.kind == tokOr {
			p.operator()
			return true
		}
		return false
	})
}

// chain reads one part, and another as long as more says so, into one flat
// node.
func (p *parser) chain(o op, part func() *node, more func() bool) *node {
	n := &node{op: o, at: p.tok.at}
	for {
		if k := part(); k.op == o {
			n.kids = append(n.kids, k.kids...)
		} else {
			n.kids = append(n.kids, k)
		}
		if !more() {
			break
		}
	}
	if len(n.kids) == 1 {
		return n.kids[0]
	}
	return n
}

// operator steps over AND, OR or NOT and demands that a term follows.
func (p *parser) operator() {
	o := p.tok
	p.next()
	if p.tok.kind == tokEnd || p.tok.kind == tokClose {
		p.fail(o.at, "missing-term", o.text, o.text+" has nothing after it", "add a term or remove "+o.text)
	}
}

func (p *parser) not(depth int) *node {
	negate, at := false, p.tok.at
	for p.tok.kind == tokNot {
		negate = !negate
		p.operator()
	}
	n := p.primary(depth)
	switch {
	case !negate:
		return n
	case n.op == opNot:
		return n.kids[0]
	}
	return &node{op: opNot, at: at, kids: []*node{n}}
}

func (p *parser) primary(depth int) *node {
	t := p.tok
	switch t.kind {
	case tokTerm:
		p.next()
		return t.node
	case tokOpen:
		if depth >= maxDepth {
			p.fail(t.at, "too-deep", "", fmt.Sprintf("parentheses are nested more than %d deep", maxDepth), "")
		}
		p.next()
		if p.tok.kind == tokClose {
			p.fail(t.at, "empty-parens", "()", "there is nothing between the parentheses", "remove them or put terms in")
		}
		n := p.or(depth + 1)
		if p.tok.kind != tokClose {
			p.fail(t.at, "unclosed-paren", "(", `"(" is never closed`, `add ")"`)
		}
		p.next()
		return n
	case tokAnd, tokOr:
		p.fail(t.at, "missing-term", t.text, t.text+" has nothing before it", `add a term or remove it; to look for the word itself put it in quotes`)
	case tokClose:
		p.fail(t.at, "stray-paren", ")", `")" closes nothing`, `remove it, or add the "(" it belongs to`)
	}
	p.fail(t.at, "missing-term", "", "a term is missing here", "")
	return nil
}

// next reads the next token.
func (p *parser) next() {
	for p.pos < len(p.src) && unicode.IsSpace(p.src[p.pos]) {
		p.pos++
	}
	p.tok = token{at: p.pos}
	if p.pos == len(p.src) {
		return
	}
	switch r := narrow(p.src[p.pos]); {
	case r == '(':
		p.tok.kind = tokOpen
		p.pos++
	case r == ')':
		p.tok.kind = tokClose
		p.pos++
	case isQuote(r):
		p.term(Words, p.phrase())
	case r == '#' || r == '@':
		p.pos++
		p.tag(r)
	default:
		p.word()
	}
	if p.tok.node != nil {
		p.tok.kind = tokTerm
		if p.count++; p.count > maxTerms {
			p.fail(p.tok.at, "too-many", "", fmt.Sprintf("the query has more than %d terms", maxTerms), "split it over two brands or drop terms")
		}
	}
}

// narrow gives the ASCII form of a full-width character, so that queries can
// be typed without leaving Japanese input.
func narrow(r rune) rune {
	if r >= 0xFF01 && r <= 0xFF5E {
		return r - 0xFEE0
	}
	return r
}

func isQuote(r rune) bool {
	return r == '"' || r == '“' || r == '”' || r == '„' || r == '‟' || r == '＂'
}

// phrase reads what stands in quotes; a backslash takes the next character as
// it is.
func (p *parser) phrase() string {
	at := p.pos
	var b strings.Builder
	for p.pos++; p.pos < len(p.src); p.pos++ {
		r := p.src[p.pos]
		switch {
		case isQuote(r):
			p.pos++
			s := strings.Join(strings.Fields(b.String()), " ")
			if s == "" {
				p.fail(at, "empty-quotes", `""`, "there is nothing between the quotes", "remove them or put a word in")
			}
			return s
		case r == '\\' && p.pos+1 < len(p.src):
			p.pos++
			r = p.src[p.pos]
		}
		b.WriteRune(r)
	}
	p.fail(at, "unclosed-quote", clip(string(p.src[at:])), "a quote is opened here and never closed", `add " at the end of the phrase`)
	return ""
}

// bare reads up to white space, a parenthesis or a quote.
func (p *parser) bare() string {
	from := p.pos
	for p.pos < len(p.src) {
		if r := narrow(p.src[p.pos]); unicode.IsSpace(r) || r == '(' || r == ')' || isQuote(r) {
			break
		}
		p.pos++
	}
	return string(p.src[from:p.pos])
}

// word reads an operator, a field or a word.
func (p *parser) word() {
	from := p.pos
	s := p.bare()
	narrowed := strings.Map(narrow, s)
	p.tok.text = narrowed
	switch narrowed {
	case "AND":
		p.tok.kind = tokAnd
		return
	case "OR":
		p.tok.kind = tokOr
		return
	case "NOT":
		p.tok.kind = tokNot
		return
	}
	if name, _, ok := strings.Cut(narrowed, ":"); ok && isFieldName(name) {
		p.pos = from + len(name) + 1 // the name is ASCII
		p.tok.node = p.readField(from, name)
		return
	}
	p.checkWord(from, s, narrowed)
	p.term(Words, s)
}

// checkWord refuses words that were meant as something else.
func (p *parser) checkWord(at int, s, narrowed string) {
	upper := strings.ToUpper(narrowed)
	trimmed := strings.TrimRight(narrowed, ",;、，；")
	switch {
	case upper == "AND" || upper == "OR" || upper == "NOT":
		p.fail(at, "lower-case-operator", s, fmt.Sprintf("%q is not an operator in this form", s),
			fmt.Sprintf(`write %s in capitals, or "%s" in quotes to look for the word`, upper, s))
	case narrowed == "&" || narrowed == "&&" || narrowed == "+":
		p.fail(at, "symbol-operator", s, fmt.Sprintf("%q is not an operator", s), "write AND")
	case narrowed == "|" || narrowed == "||":
		p.fail(at, "symbol-operator", s, fmt.Sprintf("%q is not an operator", s), "write OR")
	case narrowed == "-" || narrowed == "!" || len(narrowed) > 1 && (narrowed[0] == '-' || narrowed[0] == '!'):
		p.fail(at, "symbol-operator", s, fmt.Sprintf("%q is not an operator", narrowed[:1]), "write NOT, or put the term in quotes")
	case strings.Contains(narrowed, "*"):
		p.fail(at, "wildcard", s, "words cannot have wildcards", "list the forms with OR; Japanese is found within words without one")
	case trimmed != narrowed:
		p.fail(at, "list", s, "terms are not listed with commas", "write OR between them, or put the punctuation in quotes")
	}
}

// tag reads the rest of a hashtag or handle.
func (p *parser) tag(sigil rune) {
	s := p.bare()
	kind, what := Hashtag, "hashtag"
	if sigil == '@' {
		kind, what = Handle, "handle"
	}
	written := string(sigil) + s
	if s == "" {
		p.fail(p.tok.at, "bad-tag", written, fmt.Sprintf("a %s is missing after %q", what, string(sigil)), fmt.Sprintf("write it without spaces, such as %cacme", sigil))
	}
	for i, r := range []rune(text.Fold(s)) {
		if isTag(r) || kind == Handle && i > 0 && (r == '.' || r == '-' || r == '@') {
			continue
		}
		p.fail(p.tok.at, "bad-tag", written, fmt.Sprintf("a %s cannot contain %q", what, string(r)), "leave it out, or put the whole in quotes to look for it as text")
	}
	if kind == Handle && strings.ContainsAny(s[len(s)-1:], ".-@") {
		p.fail(p.tok.at, "bad-tag", written, fmt.Sprintf("a handle cannot end in %q", s[len(s)-1:]), "leave it out")
	}
	p.term(kind, s)
}

// term makes the token a term to look for in the text.
func (p *parser) term(kind TermKind, s string) {
	at := p.tok.at
	folded := text.Fold(s)
	if n := len([]rune(s)); n > maxTerm {
		p.fail(at, "long-term", clip(s), fmt.Sprintf("the term is longer than %d characters", maxTerm), "use a shorter part of it")
	}
	n := &node{op: opTerm, at: at, id: len(p.q.terms), term: Term{kind, s}, lit: newLiteral(kind, folded)}
	if len(n.lit.keys()) == 0 {
		p.fail(at, "no-letters", clip(s), fmt.Sprintf("%q has no letter to look for", clip(s)), "add a letter, digit or emoji")
	}
	p.q.terms = append(p.q.terms, n)
	p.tok.node = n
}
