package classify

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/goccy/go-yaml"
)

// Short gaps of ~ in code points.
const (
	gapJapanese = 12
	gapLatin    = 28
)

// compiler makes a rule set.
type compiler struct {
	ruleSet
	sets  *sets
	named map[string][]int32 // guards; several files may add to one name
	names map[string]bool    // of rules
}

func newCompiler() *compiler {
	c := &compiler{sets: newSets(), named: map[string][]int32{}, names: map[string]bool{}}
	for _, name := range slices.Sorted(maps.Keys(builtins)) {
		g := emptyGuard()
		g.builtin, g.reported = builtins[name], builtins[name] == quoted
		c.guard(name, g)
	}
	return c
}

// compile turns rule files and lexicons into a rule set.
func compile(files, lexicons []RuleFile) (*ruleSet, error) {
	c := newCompiler()
	if err := c.load(files); err != nil {
		return nil, err
	}
	if err := c.bindCues(); err != nil {
		return nil, err
	}
	for _, f := range lexicons {
		if err := addLexicon(c.sets.weaver, f); err != nil {
			return nil, err
		}
	}
	return c.finish(), nil
}

// finish returns the rule set, without what it was made from.
func (c *compiler) finish() *ruleSet {
	c.trie, c.n = c.sets.weaver.trie(), int32(c.sets.n)
	c.listNames = make([]uint32, c.n)
	for name := range c.sets.parser.sources {
		if id, ok := c.sets.bySource["<"+name+">"]; ok {
			c.listNames[id] = hashOf(name)
		}
	}
	rs := c.ruleSet
	rs.index()
	return &rs
}

func (c *compiler) guard(name string, g guard) {
	c.named[name] = append(c.named[name], int32(len(c.guards)))
	c.guards = append(c.guards, g)
}

func emptyGuard() guard { return guard{before: noSet, after: noSet, sentence: noSet, text: noSet} }

// load compiles files together: lists and guards of all of them first, since
// they may name each other's. It reports every mistake, not only the first.
func (c *compiler) load(files []RuleFile) error {
	specs := make([]fileSpec, len(files))
	errs := make([]error, len(files))
	var wg sync.WaitGroup
	for i, f := range files {
		wg.Go(func() {
			if err := yaml.NewDecoder(bytes.NewReader(f.Data), yaml.Strict()).Decode(&specs[i]); err != nil {
				specs[i], errs[i] = fileSpec{}, fmt.Errorf("%s: %w", f.Name, err)
			}
		})
	}
	wg.Wait()
	for i := range specs {
		specs[i].own = files[i].own
	}
	for i := range specs {
		for name, entries := range specs[i].Lists {
			c.sets.parser.sources[name] = append(c.sets.parser.sources[name], entries...)
		}
	}
	if err := c.bindLists(); err != nil {
		return err
	}
	for i := range specs {
		if err := c.define(&specs[i]); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", files[i].Name, err))
		}
	}
	for i := range specs {
		for k := range specs[i].Rules {
			if err := c.add(&specs[i], &specs[i].Rules[k]); err != nil {
				errs = append(errs, fmt.Errorf("%s: rule %q: %w", files[i].Name, specs[i].Rules[k].Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// bindLists gives every list a set of its own, in a fixed order: lists are
// features of the model.
func (c *compiler) bindLists() error {
	for _, name := range slices.Sorted(maps.Keys(c.sets.parser.sources)) {
		if _, err := c.sets.group([]string{"<" + name + ">"}); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) define(f *fileSpec) error {
	names := make([]string, 0, len(f.Defs))
	for name := range f.Defs {
		names = append(names, name)
	}
	slices.Sort(names) // sets are numbered in a fixed order
	for _, name := range names {
		if builtins[name] != noBuiltin {
			return fmt.Errorf("guard %q is built in", name)
		}
		spec, g := f.Defs[name], emptyGuard()
		g.reported = spec.Reported
		var err error
		bind := func(to *set, phrases []string) {
			if err == nil && len(phrases) > 0 {
				*to, err = c.sets.group(phrases)
			}
		}
		if spec.Before != nil {
			bind(&g.before, spec.Before.Any)
			g.beforeWithin = int32(min(spec.Before.Within, 200))
		}
		if spec.After != nil {
			bind(&g.after, spec.After.Any)
			g.afterWithin = int32(min(spec.After.Within, 200))
		}
		bind(&g.sentence, spec.Sentence)
		bind(&g.text, spec.Text)
		if err != nil {
			return fmt.Errorf("guard %q: %w", name, err)
		}
		c.guard(name, g)
	}
	return nil
}

func (c *compiler) add(f *fileSpec, spec *ruleSpec) error {
	r := rule{
		name: spec.Name, hash: hashOf(spec.Name), own: f.own, weight: spec.Weight, rung: mention.Rung(spec.Rung), explicit: spec.Explicit, harm: spec.Harm,
		unless: noSet, unlessText: noSet, examples: spec.Examples, counter: spec.Counter,
	}
	name := spec.Label
	if name == "" {
		name = f.Label
	}
	l, known := labelOf(name)
	r.label = l
	switch {
	case spec.Name == "":
		return errors.New("has no name")
	case c.names[spec.Name]:
		return errors.New("the name is taken")
	case !known:
		return fmt.Errorf("unknown label %q", name)
	case len(spec.Patterns) == 0:
		return errors.New("has no patterns")
	case !(spec.Weight > 0 && spec.Weight <= maxWeight(l)): // NaN too
		return fmt.Errorf("weight %v is not above 0 and at most %v", spec.Weight, maxWeight(l))
	case spec.Rung != "" && !slices.Contains(mention.Rungs, r.rung):
		return fmt.Errorf("unknown rung %q", spec.Rung)
	case r.rung != "" && mention.Category(name) != mention.PublicityThreat:
		return errors.New("only publicity_threat has rungs")
	case len(spec.Examples) == 0 || len(spec.Counter) == 0:
		return errors.New("needs examples and counter_examples")
	}
	guards := spec.Guards
	if guards == nil {
		guards = f.Guard
	}
	for _, g := range guards {
		if c.named[g] == nil {
			return fmt.Errorf("unknown guard %q", g)
		}
		r.guards = append(r.guards, c.named[g]...)
	}
	var err error
	if len(spec.Unless) > 0 {
		if r.unless, err = c.sets.group(spec.Unless); err != nil {
			return fmt.Errorf("unless: %w", err)
		}
	}
	if len(spec.UnlessText) > 0 {
		if r.unlessText, err = c.sets.group(spec.UnlessText); err != nil {
			return fmt.Errorf("unless_text: %w", err)
		}
	}
	gap := int32(gapLatin)
	if f.Lang == "ja" {
		gap = gapJapanese
	}
	for _, phrase := range spec.Patterns {
		p, err := c.sets.compile(phrase, gap)
		if err != nil {
			return err
		}
		r.patterns = append(r.patterns, p)
	}
	c.names[spec.Name] = true
	c.rules = append(c.rules, r)
	return nil
}

func (c *compiler) bindCues() error {
	for _, b := range []struct {
		to   *set
		name string
	}{
		{&c.cues.grievance, "grievance"}, {&c.cues.extortion, "extortion"}, {&c.cues.permission, "permission"},
		{&c.cues.selfBefore, "self_before"}, {&c.cues.selfAfter, "self_after"},
		{&c.cues.negateBefore, "negate_before"}, {&c.cues.negateAfter, "negate_after"},
		{&c.cues.boostBefore, "boost_before"}, {&c.cues.dampBefore, "damp_before"},
		{&c.cues.irony, "irony"}, {&c.cues.request, "request"},
	} {
		id, err := c.sets.group([]string{"<" + b.name + ">"})
		if err != nil {
			return err
		}
		*b.to = id
	}
	return nil
}
