package classify

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path"
)

//go:embed rules/*.yaml
var ruleFS embed.FS

//go:embed lexicon/*.txt
var lexiconFS embed.FS

// packed is the rule set of the embedded files, behind the hash of those that it
// was made from: reading it takes a twentieth of the time that compiling takes.
//
//go:embed rules.bin
var packed []byte

// rulesWith returns the rules of the embedded files and own, and a hash of all of
// them.
func rulesWith(own []RuleFile) (*ruleSet, []byte, error) {
	files, lexicons := embedded(ruleFS, "rules"), embedded(lexiconFS, "lexicon")
	sum := sumOf(files, lexicons)
	if data, current := bytes.CutPrefix(packed, sum); current && len(own) == 0 {
		rs, err := unpack(data)
		return rs, sum, err
	}
	for _, f := range own {
		f.own = true
		files = append(files, f)
	}
	rs, err := compile(files, lexicons)
	return rs, sumOf(files, lexicons), err
}

// embedded returns the files of a folder, sorted by name.
func embedded(from embed.FS, dir string) (files []RuleFile) {
	entries, err := from.ReadDir(dir)
	for _, e := range entries {
		var data []byte
		if data, err = from.ReadFile(path.Join(dir, e.Name())); err != nil {
			break
		}
		files = append(files, RuleFile{Name: e.Name(), Data: data})
	}
	if err != nil {
		panic(err) // they are part of the program
	}
	return files
}

func sumOf(all ...[]RuleFile) []byte {
	sum := sha256.New()
	for _, files := range all {
		for _, f := range files {
			fmt.Fprintf(sum, "%s %d\n", f.Name, len(f.Data))
			sum.Write(f.Data)
		}
	}
	return sum.Sum(nil)
}

// pack returns the bytes of rs, which unpack reads. The examples of rules are left
// out.
func (rs *ruleSet) pack() []byte {
	p := &packer{writing: true}
	p.rules(rs)
	return p.data
}

func unpack(data []byte) (*ruleSet, error) {
	p, rs := &packer{data: data}, &ruleSet{trie: &trie{}}
	p.rules(rs)
	if p.cut || len(p.data) > 0 {
		return nil, errors.New("rules.bin is damaged")
	}
	rs.trie.index()
	rs.index()
	return rs, nil
}

// packer writes or reads: what there is, and in which order, is said once for
// both.
type packer struct {
	data    []byte // what was written, or what is left to read
	writing bool
	cut     bool // there was less to read than expected
}

func (p *packer) rules(rs *ruleSet) {
	p.trie(rs.trie)
	integer(p, &rs.n)
	list(p, &rs.listNames, integer)
	list(p, &rs.guards, (*packer).guard)
	list(p, &rs.rules, (*packer).rule)
	c := &rs.cues
	for _, s := range []*set{
		&c.grievance, &c.extortion, &c.permission, &c.selfBefore, &c.selfAfter,
		&c.negateBefore, &c.negateAfter, &c.boostBefore, &c.dampBefore, &c.irony, &c.request,
	} {
		integer(p, s)
	}
}

func (p *packer) trie(t *trie) {
	last := int32(0)
	list(p, &t.nodes, func(p *packer, n *node) {
		integer(p, &n.label)
		integer(p, &n.word)
		more := n.kids - last // kids stand in the order of their parents
		integer(p, &more)
		n.kids = last + more
		last = n.kids
	})
	list(p, &t.words, func(p *packer, w *word) {
		span(p, &w.outputs)
		span(p, &w.forks)
		integer(p, &w.feeling)
	})
	list(p, &t.outputs, integer)
	list(p, &t.forks, integer)
}

func (p *packer) guard(g *guard) {
	for _, s := range []*set{&g.before, &g.after, &g.sentence, &g.text} {
		integer(p, s)
	}
	integer(p, &g.beforeWithin)
	integer(p, &g.afterWithin)
	integer(p, &g.builtin)
	p.bool(&g.reported)
}

func (p *packer) rule(r *rule) {
	letters(p, &r.name)
	r.hash = hashOf(r.name)
	integer(p, &r.label)
	p.float(&r.weight)
	letters(p, &r.rung)
	p.bool(&r.explicit)
	p.bool(&r.harm)
	list(p, &r.guards, integer)
	integer(p, &r.unless)
	integer(p, &r.unlessText)
	list(p, &r.patterns, func(p *packer, x *pattern) {
		p.sequence(&x.main)
		list(p, &x.near, (*packer).sequence)
		list(p, &x.also, (*packer).sequence)
	})
}

func (p *packer) sequence(s *sequence) {
	list(p, (*[]segment)(s), func(p *packer, x *segment) {
		integer(p, &x.set)
		integer(p, &x.gap)
	})
}

// integer takes what fits 32 bits.
func integer[T ~int | ~int16 | ~int32 | ~uint32](p *packer, x *T) {
	if p.writing {
		p.data = binary.AppendUvarint(p.data, uint64(uint32(*x)))
		return
	}
	v, n := binary.Uvarint(p.data)
	if n <= 0 {
		p.cut, n = true, 0
	}
	*x, p.data = T(int32(uint32(v))), p.data[n:]
}

func span(p *packer, s *[2]int32) {
	integer(p, &s[0])
	integer(p, &s[1])
}

func (p *packer) bool(x *bool) {
	n := 0
	if *x {
		n = 1
	}
	integer(p, &n)
	*x = n == 1
}

func (p *packer) float(x *float64) {
	bits := math.Float64bits(*x)
	high, low := uint32(bits>>32), uint32(bits)
	integer(p, &high)
	integer(p, &low)
	*x = math.Float64frombits(uint64(high)<<32 | uint64(low))
}

func letters[T ~string](p *packer, x *T) {
	b := []byte(*x)
	n := len(b)
	integer(p, &n)
	if p.writing {
		p.data = append(p.data, b...)
		return
	}
	if n < 0 || n > len(p.data) {
		p.cut, n = true, 0
	}
	*x, p.data = T(p.data[:n]), p.data[n:]
}

func list[T any](p *packer, all *[]T, each func(*packer, *T)) {
	n := len(*all)
	integer(p, &n)
	if !p.writing {
		if n < 0 || n > len(p.data) { // an element has at least a byte
			p.cut, n = true, 0
		}
		if *all = nil; n > 0 {
			*all = make([]T, n)
		}
	}
	for i := range *all {
		each(p, &(*all)[i])
	}
}
