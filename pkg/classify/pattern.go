package classify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/earshot/earshot/pkg/text"
)

// The notation of phrases, as rule files use it:
//
//	(a|b|c)   one of them; an empty one is allowed: post(|s|ed|ing)
//	(a|b)?    one of them or nothing
//	<name>    one entry of the list of that name
//	a ~ b     b follows a in the same sentence, a short gap between
//	a ~~ b    b follows a in the same sentence
//	a & b     b stands anywhere in the same sentence
//	a && b    b stands anywhere in the text
//	word*     any ending of the word is accepted
//
// Latin words match as whole words, Japanese anywhere. Everything is compared
// after folding, so width, case and kana do not matter. The span of a match is
// that of the part before the first & or &&.
const (
	maxExpansion = 12000 // literals one segment may expand to
	maxPattern   = 2000  // bytes of one phrase in a rule file
)

// set is the index of a group of literals that are found as one.
type set int32

const noSet set = -1

// sequence is segments that follow each other within a sentence.
type sequence []segment

type segment struct {
	set set
	gap int32 // most code points before it, -1 for any within the sentence
}

// pattern is a compiled phrase.
type pattern struct {
	main sequence
	near []sequence // must stand in the same sentence
	also []sequence // must stand in the text
}

// sets collects literals into groups while rules are compiled, and builds the
// trie from them. A group of the same literals is kept once.
type sets struct {
	lists map[string][]string
	byKey map[string]set
	bySrc map[string]set // the same, by notation: most are asked for often
	trie  *trie
	n     int
}

func newSets() *sets {
	return &sets{lists: map[string][]string{}, byKey: map[string]set{}, bySrc: map[string]set{}, trie: newTrie()}
}

// compile turns one phrase into a pattern; gap is the length of ~.
func (s *sets) compile(phrase string, gap int32) (pattern, error) {
	var p pattern
	if len(phrase) > maxPattern {
		return p, fmt.Errorf("phrase longer than %d bytes", maxPattern)
	}
	rest, sep := phrase, ""
	for first := true; ; first = false {
		part, next, nextSep := cutClause(rest)
		seq, err := s.sequence(part, gap)
		if err != nil {
			return p, fmt.Errorf("phrase %q: %w", phrase, err)
		}
		switch {
		case first:
			p.main = seq
		case sep == "&":
			p.near = append(p.near, seq)
		default:
			p.also = append(p.also, seq)
		}
		if nextSep == "" {
			return p, nil
		}
		rest, sep = next, nextSep
	}
}

// cutClause splits off what stands before the first & or &&, if any.
func cutClause(s string) (part, rest, sep string) {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
		case ')':
			depth--
		case '&':
			if depth > 0 {
				continue
			}
			if strings.HasPrefix(s[i+1:], "&") {
				return s[:i], s[i+2:], "&&"
			}
			return s[:i], s[i+1:], "&"
		}
	}
	return s, "", ""
}

func (s *sets) sequence(part string, gap int32) (sequence, error) {
	var seq sequence
	width, from, depth := int32(0), 0, 0
	for i := 0; i <= len(part); i++ {
		if i < len(part) {
			switch part[i] {
			case '(':
				depth++
			case ')':
				depth--
			}
			if part[i] != '~' || depth > 0 {
				continue
			}
		}
		set, err := s.group([]string{strings.TrimSpace(part[from:i])})
		if err != nil {
			return nil, err
		}
		seq = append(seq, segment{set: set, gap: width})
		width = gap
		if strings.HasPrefix(part[min(i+1, len(part)):], "~") {
			width = -1
			i++
		}
		from = i + 1
	}
	return seq, nil
}

// group returns the set of all literals that the given alternatives stand for.
func (s *sets) group(alternatives []string) (set, error) {
	source := strings.Join(alternatives, "|")
	if id, ok := s.bySrc[source]; ok {
		return id, nil
	}
	id, err := s.expand(alternatives)
	if err == nil {
		s.bySrc[source] = id
	}
	return id, err
}

func (s *sets) expand(alternatives []string) (set, error) {
	var literals []string
	for _, a := range alternatives {
		p := expander{lists: s.lists, in: a}
		all, err := p.alternatives(0)
		if err == nil && p.at < len(p.in) {
			err = fmt.Errorf("unexpected %q", p.in[p.at:])
		}
		if err != nil {
			return noSet, err
		}
		literals = append(literals, all...)
	}
	for i, l := range literals {
		open := strings.HasSuffix(l, "*")
		l = text.Fold(strings.TrimSuffix(l, "*"))
		if strings.Contains(l, "*") {
			return noSet, fmt.Errorf("%q has a * before its end", l)
		}
		if l == "" {
			return noSet, fmt.Errorf("%q matches the empty text", alternatives)
		}
		if open {
			l += "*"
		}
		literals[i] = l
	}
	slices.Sort(literals)
	literals = slices.Compact(literals)
	if len(literals) > maxExpansion {
		return noSet, fmt.Errorf("stands for %d literals, at most %d are allowed", len(literals), maxExpansion)
	}
	key := strings.Join(literals, "|")
	if id, ok := s.byKey[key]; ok {
		return id, nil
	}
	id := set(s.n)
	s.n++
	s.byKey[key] = id
	for _, l := range literals {
		word, open := strings.CutSuffix(l, "*")
		s.trie.add(word, output{set: id, open: open})
	}
	return id, nil
}

// expander lists the literals a segment stands for.
type expander struct {
	lists map[string][]string
	in    string
	at    int
	depth int
}

func (p *expander) alternatives(closer byte) ([]string, error) {
	if p.depth++; p.depth > 8 {
		return nil, fmt.Errorf("nested too deeply")
	}
	defer func() { p.depth-- }()
	var all []string
	for {
		branch, err := p.branch()
		if err != nil {
			return nil, err
		}
		if all = append(all, branch...); len(all) > maxExpansion {
			return nil, fmt.Errorf("stands for more than %d literals", maxExpansion)
		}
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

func (p *expander) branch() ([]string, error) {
	out := []string{""}
	for p.at < len(p.in) {
		var parts []string
		switch c := p.in[p.at]; c {
		case '|', ')':
			return out, nil
		case '(':
			p.at++
			inner, err := p.alternatives(')')
			if err != nil {
				return nil, err
			}
			if parts = inner; p.at < len(p.in) && p.in[p.at] == '?' {
				parts = append(parts, "")
				p.at++
			}
		case '<':
			inner, err := p.list()
			if err != nil {
				return nil, err
			}
			parts = inner
		default:
			end := p.at + 1
			for end < len(p.in) && !strings.ContainsRune("|()<", rune(p.in[end])) {
				end++
			}
			parts = []string{p.in[p.at:end]}
			p.at = end
		}
		if len(out)*len(parts) > maxExpansion {
			return nil, fmt.Errorf("stands for more than %d literals", maxExpansion)
		}
		next := make([]string, 0, len(out)*len(parts))
		for _, a := range out {
			for _, b := range parts {
				next = append(next, a+b)
			}
		}
		out = next
	}
	return out, nil
}

func (p *expander) list() ([]string, error) {
	name, _, ok := strings.Cut(p.in[p.at+1:], ">")
	if !ok {
		return nil, fmt.Errorf("missing \">\"")
	}
	entries, ok := p.lists[name]
	if !ok {
		return nil, fmt.Errorf("no list <%s>", name)
	}
	p.at += len(name) + 2
	var all []string
	for _, e := range entries {
		inner := expander{lists: p.lists, in: e, depth: p.depth + 1}
		got, err := inner.alternatives(0)
		if err != nil {
			return nil, fmt.Errorf("list <%s>: %w", name, err)
		}
		if all = append(all, got...); len(all) > maxExpansion {
			return nil, fmt.Errorf("list <%s> stands for more than %d literals", name, maxExpansion)
		}
	}
	return all, nil
}
