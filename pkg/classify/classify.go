// Package classify says what a mention is: its language, the feeling towards
// the brand, what the author wants, what it wants of us, which escalation risks
// it carries and whether PR must see it now. It reads Japanese and English, with
// embedded rules and lexicons and a small linear model, and needs no network.
//
// Every verdict can be explained: each risk names its rule and the words that
// show it. A company adds rule files of its own; rules/README.md has the
// notation.
package classify

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"sync"

	"github.com/earshot/earshot/pkg/mention"
)

//go:embed rules/*.yaml
var ruleFS embed.FS

//go:embed lexicon/*.txt
var lexiconFS embed.FS

// codeVersion rises whenever the code changes what verdicts come out.
const codeVersion = "2"

// Options says what a classifier goes by.
type Options struct {
	// Rules are a company's own rule files, in addition to the embedded ones,
	// whose lists and guards they may use.
	Rules []RuleFile
	// Model is what [Classifier.Train] returned; nil is the embedded one.
	Model []byte
}

// Classifier gives verdicts. It is safe for concurrent use.
type Classifier struct {
	rules   *ruleSet
	cues    cues
	model   *model
	version string
	scratch sync.Pool
}

// cues are the lists of the rule files that the code itself asks for.
type cues struct {
	grievance, extortion     set
	permission               set
	selfBefore, selfAfter    set
	condition                set
	negateBefore             set
	negateAfter              set
	boostBefore, dampBefore  set
	irony, request, gratuity set
}

// New returns a classifier with the embedded rules and those of o. The error
// names every mistake in the files of o.
func New(o Options) (*Classifier, error) {
	sum := sha256.New()
	sum.Write([]byte(codeVersion))
	files, err := embedded(ruleFS, "rules")
	if err != nil {
		return nil, err
	}
	files = append(files, o.Rules...)
	lexicons, err := embedded(lexiconFS, "lexicon")
	if err != nil {
		return nil, err
	}
	for _, all := range [][]RuleFile{files, lexicons} {
		for _, f := range all {
			fmt.Fprintf(sum, "%s %d\n", f.Name, len(f.Data))
			sum.Write(f.Data)
		}
	}
	if o.Model == nil {
		o.Model = embeddedModel
	}
	sum.Write(o.Model)
	weights, err := readModel(o.Model)
	if err != nil {
		return nil, err
	}
	c := &Classifier{rules: newRuleSet(), model: weights, version: "rules-" + codeVersion + "-" + hex.EncodeToString(sum.Sum(nil)[:5])}
	if err := c.rules.load(files); err != nil {
		return nil, err
	}
	if err := c.bindCues(); err != nil {
		return nil, err
	}
	for _, f := range lexicons {
		if err := addLexicon(c.rules.sets.weaver, f); err != nil {
			return nil, err
		}
	}
	c.rules.index()
	c.scratch.New = func() any { return c.newDocument() }
	return c, nil
}

func embedded(from embed.FS, dir string) ([]RuleFile, error) {
	entries, err := fs.ReadDir(from, dir) // sorted by name
	if err != nil {
		return nil, err
	}
	var files []RuleFile
	for _, e := range entries {
		data, err := from.ReadFile(path.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		files = append(files, RuleFile{Name: e.Name(), Data: data})
	}
	return files, nil
}

func (c *Classifier) bindCues() error {
	s := c.rules.sets
	for _, b := range []struct {
		to   *set
		name string
	}{
		{&c.cues.grievance, "grievance"}, {&c.cues.extortion, "extortion"}, {&c.cues.permission, "permission"},
		{&c.cues.selfBefore, "self_before"}, {&c.cues.selfAfter, "self_after"}, {&c.cues.condition, "condition"},
		{&c.cues.negateBefore, "negate_before"}, {&c.cues.negateAfter, "negate_after"},
		{&c.cues.boostBefore, "boost_before"}, {&c.cues.dampBefore, "damp_before"}, {&c.cues.irony, "irony"},
		{&c.cues.request, "request"}, {&c.cues.gratuity, "gratuity"},
	} {
		id, err := s.group([]string{"<" + b.name + ">"})
		if err != nil {
			return err
		}
		*b.to = id
	}
	return nil
}

func (c *Classifier) newDocument() *document {
	d := &document{chain: make([]chain, c.rules.n), sums: make([]float64, labels)}
	for i := range d.chain {
		d.chain[i] = chain{-1, -1}
	}
	return d
}

// Version names the rules and code that verdicts come from: verdicts of the
// same version and mention are the same.
func (c *Classifier) Version() string { return c.version }

// Verdict says what m is: a pure function of m's post and thread and of
// [Classifier.Version]. Risk spans are positions in m.Content, in code points. At
// most [MaxRead] bytes of the content are read. A deadline without a time of day
// is the last second of its day, in Asia/Tokyo for Japanese text and UTC
// otherwise, reckoned from PublishedAt, or from SeenAt where that is zero.
func (c *Classifier) Verdict(m *mention.Mention) mention.Verdict {
	d := c.scratch.Get().(*document)
	defer c.scratch.Put(d)
	v := mention.Verdict{Model: c.version}
	mood := c.findings(d, m, &v)
	p := c.model.judge(d, c.signals(d, m, mood, &v))
	v.Intent, v.IntentScore = best(mention.Intents, p[:intents])
	v.Sentiment, v.SentimentScore = best(mention.Sentiments, p[intents:tempers])
	v.Disposition = c.disposition(d, m, &v, p[tempers:])
	v.Page, v.PageReason = c.page(d, m, mood, &v)
	v.Story = d.storyKey(m)
	// A post that is only a picture needs eyes.
	v.Unread = m.Content() == "" && m.Rating == 0 && !m.Deleted
	return v
}

// findings reads m into d and enters language and risks into v. It returns the
// mood.
func (c *Classifier) findings(d *document, m *mention.Mention, v *mention.Verdict) int32 {
	content := m.Content()
	d.note = m.Kind == mention.KindNote
	d.read(content, c.rules.trie)
	v.Lang = detectLanguage(content, d.fold.Text, m.Lang)
	mood := c.mood(d, m.Rating)
	c.match(d, mood)
	v.Risks = c.risks(d, m, v.Lang)
	return mood
}

// best returns the likeliest of names and its probability.
func best[T any](names []T, p []float64) (T, float64) {
	i := likeliest(p)
	return names[i], round(min(p[i], maxProbability))
}

func likeliest(p []float64) int {
	top := 0
	for i := range p {
		if p[i] > p[top] {
			top = i
		}
	}
	return top
}
