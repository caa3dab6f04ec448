package classify

import (
	"fmt"
	"strings"
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
	maxLiterals = 12000 // that one segment may stand for
	maxPattern  = 2000  // bytes of one phrase in a rule file
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

// ends returns the set that p is tried at, and another without which it can't
// hold, noSet if there is none.
func (p *pattern) ends() (last, needs set) {
	n := len(p.main) - 1
	if last = p.main[n].set; n > 0 {
		return last, p.main[n-1].set
	}
	for _, more := range [][]sequence{p.near, p.also} {
		if len(more) > 0 {
			return last, more[0][0].set
		}
	}
	return last, noSet
}

// sets gives each group of literals its number while rules are compiled, and
// enters them into the trie. A group of the same notation is kept once.
type sets struct {
	parser   parser
	weaver   *weaver
	bySource map[string]set
	n        int
}

func newSets() *sets {
	return &sets{
		parser: parser{sources: map[string][]string{}, lists: map[string]*item{}}, weaver: newWeaver(), bySource: map[string]set{},
	}
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
	if id, ok := s.bySource[source]; ok {
		return id, nil
	}
	var branches []expr
	count := 0
	for _, a := range alternatives {
		e, err := s.parser.parse(a)
		switch {
		case err != nil:
			return noSet, err
		case e.empty():
			return noSet, fmt.Errorf("%q matches the empty text", a)
		}
		if count += e.count(maxLiterals); count > maxLiterals {
			return noSet, fmt.Errorf("stands for more than %d literals", maxLiterals)
		}
		branches = append(branches, e.branches()...)
	}
	id := set(s.n)
	s.n++
	s.bySource[source] = id
	for _, b := range branches {
		if err := s.enter(id, b, len(branches) > 1); err != nil {
			return noSet, err
		}
	}
	return id, nil
}

// enter adds the literals of e to set id. A list among several alternatives is
// a set of its own that is contained.
func (s *sets) enter(id set, e expr, among bool) error {
	if among && len(e) == 1 && e[0].list != "" {
		inner, err := s.group([]string{"<" + e[0].list + ">"})
		if err == nil {
			s.weaver.contain(id, inner)
		}
		return err
	}
	return s.weaver.weave(id, e)
}
