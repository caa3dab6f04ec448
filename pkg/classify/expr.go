package classify

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/earshot/earshot/pkg/text"
)

// expr is a segment of a phrase, parsed: items that follow each other.
type expr []item

// item is a run of folded text, or alternatives, of which one stands there.
type item struct {
	text string
	open bool // text is the start of a word: any ending is accepted
	alt  []expr
	list string // the list that alt is, if it is one
}

// parser reads segments. Lists are parsed once.
type parser struct {
	sources map[string][]string
	lists   map[string]*item // nil while being parsed
	in      string
	at      int
}

// parse reads one segment.
func (p *parser) parse(in string) (expr, error) {
	outerIn, outerAt := p.in, p.at
	defer func() { p.in, p.at = outerIn, outerAt }()
	p.in, p.at = in, 0
	all, err := p.alternatives(0, 0)
	if err == nil && p.at < len(p.in) {
		err = fmt.Errorf("unexpected %q", p.in[p.at:])
	}
	if err != nil {
		return nil, err
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return expr{{alt: all}}, nil
}

const maxDepth = 8

func (p *parser) alternatives(closer byte, depth int) ([]expr, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested too deeply")
	}
	var all []expr
	for {
		branch, err := p.branch(depth)
		if err != nil {
			return nil, err
		}
		all = append(all, branch)
		switch {
		case p.at < len(p.in) && p.in[p.at] == '|':
			p.at++
		case closer == 0:
			return all, nil
		case p.at < len(p.in) && p.in[p.at] == closer:
			p.at++
			return all, nil
		default:
			return nil, fmt.Errorf("missing %q", string(closer))
		}
	}
}

func (p *parser) branch(depth int) (expr, error) {
	var out expr
	for p.at < len(p.in) {
		switch p.in[p.at] {
		case '|', ')':
			return out, nil
		case '(':
			p.at++
			inner, err := p.alternatives(')', depth+1)
			if err != nil {
				return nil, err
			}
			if p.at < len(p.in) && p.in[p.at] == '?' {
				inner = append(inner, nil)
				p.at++
			}
			out = append(out, item{alt: inner})
		case '<':
			it, err := p.list()
			if err != nil {
				return nil, err
			}
			out = append(out, *it)
		default:
			end := p.at + 1
			for end < len(p.in) && strings.IndexByte("|()<", p.in[end]) < 0 {
				end++
			}
			it, err := leaf(p.in[p.at:end])
			if err != nil {
				return nil, err
			}
			out = append(out, it)
			p.at = end
		}
	}
	return out, nil
}

// leaf folds a run of text, keeping the spaces at its ends, which may separate
// words.
func leaf(s string) (item, error) {
	word, open := strings.CutSuffix(s, "*")
	folded := text.Fold(word)
	if strings.Contains(folded, "*") {
		return item{}, fmt.Errorf("%q has a * before its end", s)
	}
	if strings.Contains(s, "~") {
		return item{}, fmt.Errorf("%q: ~ joins the parts of a pattern, and has no meaning in brackets or lists", s)
	}
	if strings.TrimLeftFunc(word, unicode.IsSpace) != word {
		folded = " " + folded
	}
	if folded != " " && strings.TrimRightFunc(word, unicode.IsSpace) != word {
		folded += " "
	}
	return item{text: folded, open: open}, nil
}

func (p *parser) list() (*item, error) {
	name, _, ok := strings.Cut(p.in[p.at+1:], ">")
	if !ok {
		return nil, fmt.Errorf("missing \">\"")
	}
	p.at += len(name) + 2
	if it, ok := p.lists[name]; ok {
		if it == nil {
			return nil, fmt.Errorf("list <%s> is part of itself", name)
		}
		return it, nil
	}
	entries, ok := p.sources[name]
	if !ok {
		return nil, fmt.Errorf("no list <%s>", name)
	}
	p.lists[name] = nil
	it := &item{list: name}
	for _, e := range entries {
		parsed, err := p.parse(e)
		if err != nil {
			delete(p.lists, name)
			return nil, fmt.Errorf("list <%s>: %w", name, err)
		}
		it.alt = append(it.alt, parsed)
	}
	p.lists[name] = it
	return it, nil
}

// count returns how many literals e stands for, at most limit+1.
func (e expr) count(limit int) int {
	n := 1
	for i := range e {
		if e[i].alt == nil {
			continue
		}
		sum := 0
		for _, b := range e[i].alt {
			if sum += b.count(limit); sum > limit {
				return limit + 1
			}
		}
		if n *= sum; n > limit {
			return limit + 1
		}
	}
	return n
}

// empty tells whether e may stand for nothing, or for spaces alone.
func (e expr) empty() bool {
	for i := range e {
		if e[i].alt == nil && strings.TrimSpace(e[i].text) != "" || e[i].alt != nil && !slices.ContainsFunc(e[i].alt, expr.empty) {
			return false
		}
	}
	return true
}

// branches returns the alternatives e consists of, those of groups within groups
// as well, but lists whole.
func (e expr) branches() []expr {
	if len(e) != 1 || e[0].alt == nil || e[0].list != "" {
		return []expr{e}
	}
	var all []expr
	for _, b := range e[0].alt {
		all = append(all, b.branches()...)
	}
	return all
}
