package classify

import (
	"slices"

	"github.com/earshot/earshot/pkg/mention"
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
	guards     []int32 // of the rule set
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

// ruleSet is everything that rule files and lexicons say, compiled.
type ruleSet struct {
	trie *trie
	n    int32 // sets
	// listNames has, by set, the hash of a list's name, 0 for sets that are no
	// list.
	listNames []uint32
	guards    []guard
	rules     []rule
	cues      cues

	// The patterns that end with set s are triggers[ending[s]:ending[s+1]].
	triggers []trigger
	ending   []int32
	// A set that counts only behind others is asleep until one of them is found.
	// asleep has a state for each set, wakes[s] is those that s wakes.
	asleep []state
	wakes  [][]set
}

// state is how far a set has got in a text.
type state uint8

const (
	asleep state = 1 << iota // it does not count yet
	seen                     // a literal of it was found, whether it counted or not
)

// cues are the lists of the rule files that the code itself asks for.
type cues struct {
	grievance, extortion, permission set
	selfBefore, selfAfter            set
	negateBefore, negateAfter        set
	boostBefore, dampBefore          set
	irony, request                   set
}

// trigger is a pattern of a rule, tried when its last segment was found. Needs is
// a set without which it can't hold.
type trigger struct {
	rule    int32
	pattern int32
	needs   set
}

// index makes the triggers and tells the sets that sleep, once everything else is
// in.
func (rs *ruleSet) index() {
	rs.tellAsleep()
	rs.ending = make([]int32, rs.n+1)
	each := func(do func(last set, t trigger)) {
		for i := range rs.rules {
			for k := range rs.rules[i].patterns {
				last, needs := rs.rules[i].patterns[k].ends()
				do(last, trigger{int32(i), int32(k), needs})
			}
		}
	}
	each(func(last set, _ trigger) { rs.ending[last+1]++ })
	for s := range rs.n {
		rs.ending[s+1] += rs.ending[s]
	}
	rs.triggers = make([]trigger, rs.ending[rs.n])
	next := slices.Clone(rs.ending)
	each(func(last set, t trigger) {
		rs.triggers[next[last]] = t
		next[last]++
	})
}

func (rs *ruleSet) tellAsleep() {
	rs.asleep, rs.wakes = make([]state, rs.n), make([][]set, rs.n)
	for s, name := range rs.listNames {
		if name == 0 {
			rs.asleep[s] = asleep
		}
	}
	counts := func(sets ...set) {
		for _, s := range sets {
			if s >= 0 {
				rs.asleep[s] = 0
			}
		}
	}
	for i := range rs.guards {
		g := &rs.guards[i]
		counts(g.before, g.after, g.sentence, g.text)
	}
	follow := func(sequences ...sequence) {
		for _, seq := range sequences {
			counts(seq[0].set)
			for i, next := range seq[1:] {
				if before := seq[i].set; !slices.Contains(rs.wakes[before], next.set) {
					rs.wakes[before] = append(rs.wakes[before], next.set)
				}
			}
		}
	}
	for i := range rs.rules {
		r := &rs.rules[i]
		counts(r.unless, r.unlessText)
		for k := range r.patterns {
			p := &r.patterns[k]
			follow(p.main)
			follow(p.near...)
			follow(p.also...)
		}
	}
}
