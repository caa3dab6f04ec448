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

// A RuleFile is one YAML file of rules. Name appears in errors. The notation
// of its phrases is described in rules/README.md.
type RuleFile struct {
	Name string
	Data []byte
	own  bool // of a company
}

// fileSpec is the form of a rule file. A file serves one label: a risk
// category, intents or dispositions; or it only holds lists and guards.
type fileSpec struct {
	Lang  string               `yaml:"lang"`
	Label string               `yaml:"label"`
	Guard []string             `yaml:"guards"`
	Lists map[string][]string  `yaml:"lists"`
	Defs  map[string]guardSpec `yaml:"define_guards"`
	Rules []ruleSpec           `yaml:"rules"`

	own bool // of a company
}

// guardSpec describes circumstances in which a match does not count. Distances
// are in code points.
type guardSpec struct {
	Before   *cueSpec `yaml:"before"`
	After    *cueSpec `yaml:"after"`
	Sentence []string `yaml:"sentence"`
	Text     []string `yaml:"text"`
	// Reported: the guard finds words of somebody else. It is silent on
	// contact notes, which report what a customer said.
	Reported bool `yaml:"reported"`
}

type cueSpec struct {
	Within int      `yaml:"within"`
	Any    []string `yaml:"any"`
}

type ruleSpec struct {
	Name     string   `yaml:"name"`
	Label    string   `yaml:"label"`
	Patterns []string `yaml:"patterns"`
	Weight   float64  `yaml:"weight"`
	Rung     string   `yaml:"rung"`
	// Explicit: the threat is stated, so that it may page.
	Explicit bool `yaml:"explicit"`
	// Harm: injury or fire, so that it may page.
	Harm bool `yaml:"harm"`
	// Guards replaces the guards of the file.
	Guards []string `yaml:"guards"`
	// Unless and UnlessText are phrases in the sentence or the text with which
	// the rule does not hold.
	Unless     []string `yaml:"unless"`
	UnlessText []string `yaml:"unless_text"`
	Examples   []string `yaml:"examples"`
	Counter    []string `yaml:"counter_examples"`
}

type rule struct {
	name       string
	hash       uint32 // of the name
	own        bool   // of a company: the model has not learned it
	label      label
	weight     float64
	rung       mention.Rung
	explicit   bool
	harm       bool
	guards     []*guard
	unless     set
	unlessText set
	patterns   []pattern
	examples   []string
	counter    []string
}

// label is what a rule speaks for: one of mention's categories, intents or
// dispositions, as one range of small numbers.
type label int

var (
	firstIntent      = label(len(mention.Categories))
	firstDisposition = firstIntent + label(len(mention.Intents))
	labels           = int(firstDisposition) + len(mention.Dispositions)
)

func labelOf(name string) (label, bool) {
	if i := slices.Index(mention.Categories, mention.Category(name)); i >= 0 {
		return label(i), true
	}
	if i := slices.Index(mention.Intents, mention.Intent(name)); i >= 0 {
		return firstIntent + label(i), true
	}
	if i := slices.Index(mention.Dispositions, mention.Disposition(name)); i >= 0 {
		return firstDisposition + label(i), true
	}
	return 0, false
}

// maxWeight: risks have probabilities, intents and dispositions amounts.
func maxWeight(l label) float64 {
	if l < firstIntent {
		return 1
	}
	return 2
}

// guard is a compiled guardSpec. A nil-set field is noSet.
type guard struct {
	before, after             set
	beforeWithin, afterWithin int32
	sentence, text            set
	builtin                   builtin
	reported                  bool
}

// builtin guards need more than words.
type builtin int

const (
	noBuiltin builtin = iota
	quoted            // inside quotation marks and not the author's own words
	asked             // the sentence is a question
	pleased           // the text is glad and names no grievance
)

var builtins = map[string]builtin{"quoted": quoted, "asked": asked, "pleased": pleased}

// ruleSet is everything that rule files say, compiled.
type ruleSet struct {
	sets *sets // nil once indexed
	trie *trie
	n    int // sets
	// listNames has, by set, the hash of a list's name, 0 for sets that are no
	// list.
	listNames []uint32
	guards    map[string][]*guard // several files may add to one name
	rules     []rule
	names     map[string]bool
	byKey     [][]trigger // for each set, the patterns that end with it
}

// trigger is a pattern of a rule, tried when its last segment was found.
type trigger struct {
	rule    int32
	pattern int32
}

// Short gaps of ~ in code points.
const (
	gapJapanese = 12
	gapLatin    = 28
)

func newRuleSet() *ruleSet {
	rs := &ruleSet{sets: newSets(), guards: map[string][]*guard{}, names: map[string]bool{}}
	for name, b := range builtins {
		g := emptyGuard()
		g.builtin, g.reported = b, b == quoted
		rs.guards[name] = []*guard{&g}
	}
	return rs
}

func emptyGuard() guard { return guard{before: noSet, after: noSet, sentence: noSet, text: noSet} }

// load compiles files together: lists and guards of all of them first, since
// they may name each other's. It reports every mistake, not only the first.
func (rs *ruleSet) load(files []RuleFile) error {
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
			rs.sets.parser.sources[name] = append(rs.sets.parser.sources[name], entries...)
		}
	}
	if err := rs.bindLists(); err != nil {
		return err
	}
	for i := range specs {
		if err := rs.define(&specs[i]); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", files[i].Name, err))
		}
	}
	for i := range specs {
		for k := range specs[i].Rules {
			if err := rs.add(&specs[i], &specs[i].Rules[k]); err != nil {
				errs = append(errs, fmt.Errorf("%s: rule %q: %w", files[i].Name, specs[i].Rules[k].Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// bindLists gives every list a set of its own, in a fixed order: lists are
// features of the model.
func (rs *ruleSet) bindLists() error {
	for _, name := range slices.Sorted(maps.Keys(rs.sets.parser.sources)) {
		if _, err := rs.sets.group([]string{"<" + name + ">"}); err != nil {
			return err
		}
	}
	return nil
}

func (rs *ruleSet) define(f *fileSpec) error {
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
				*to, err = rs.sets.group(phrases)
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
		rs.guards[name] = append(rs.guards[name], &g)
	}
	return nil
}

func (rs *ruleSet) add(f *fileSpec, spec *ruleSpec) error {
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
	case rs.names[spec.Name]:
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
		if rs.guards[g] == nil {
			return fmt.Errorf("unknown guard %q", g)
		}
		r.guards = append(r.guards, rs.guards[g]...)
	}
	var err error
	if len(spec.Unless) > 0 {
		if r.unless, err = rs.sets.group(spec.Unless); err != nil {
			return fmt.Errorf("unless: %w", err)
		}
	}
	if len(spec.UnlessText) > 0 {
		if r.unlessText, err = rs.sets.group(spec.UnlessText); err != nil {
			return fmt.Errorf("unless_text: %w", err)
		}
	}
	gap := int32(gapLatin)
	if f.Lang == "ja" {
		gap = gapJapanese
	}
	for _, phrase := range spec.Patterns {
		p, err := rs.sets.compile(phrase, gap)
		if err != nil {
			return err
		}
		r.patterns = append(r.patterns, p)
	}
	rs.names[spec.Name] = true
	rs.rules = append(rs.rules, r)
	return nil
}

// index makes the trie and the triggers once all rules are in, and lets go of
// what they were made from.
func (rs *ruleSet) index() {
	rs.trie, rs.n = rs.sets.weaver.trie(), rs.sets.n
	rs.listNames = make([]uint32, rs.n)
	for name := range rs.sets.parser.sources {
		if id, ok := rs.sets.bySource["<"+name+">"]; ok {
			rs.listNames[id] = hashOf(name)
		}
	}
	rs.sets, rs.guards, rs.names = nil, nil, nil
	rs.byKey = make([][]trigger, rs.n)
	for i := range rs.rules {
		for k := range rs.rules[i].patterns {
			main := rs.rules[i].patterns[k].main
			last := main[len(main)-1].set
			rs.byKey[last] = append(rs.byKey[last], trigger{int32(i), int32(k)})
		}
	}
}
