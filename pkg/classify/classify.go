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
	"errors"
	"fmt"
	gohash "hash"
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
const codeVersion = "3"

// Options says what a classifier goes by.
type Options struct {
	// Rules are a company's own rule files, in addition to the embedded ones,
	// whose lists and guards they may use.
	Rules []RuleFile
	// Model is what [Train] returned; nil is the embedded one.
	Model []byte
	// Tell and Page replace probabilities of the model from which a risk is
	// told, and from which a pageable one pages: see [Pageable].
	Tell, Page map[mention.Category]float64
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
	if o.Model == nil {
		o.Model = embeddedModel
	}
	var m *model
	var modelErr error
	var wg sync.WaitGroup
	wg.Go(func() { m, modelErr = readModel(o.Model) })
	c, sum, err := untrained(o.Rules)
	wg.Wait()
	if err = errors.Join(modelErr, err); err != nil {
		return nil, err
	}
	sum.Write(o.Model)
	if err := m.set(&o); err != nil {
		return nil, err
	}
	fmt.Fprint(sum, o.Tell, o.Page) // maps are printed in order
	c.model, c.version = m, codeVersion+"-"+hex.EncodeToString(sum.Sum(nil)[:5])
	return c, nil
}

// untrained returns a classifier without a model, with the embedded rules and
// own, and a hash over all that it goes by.
func untrained(own []RuleFile) (*Classifier, gohash.Hash, error) {
	sum := sha256.New()
	sum.Write([]byte(codeVersion))
	files, err := embedded(ruleFS, "rules")
	if err != nil {
		return nil, nil, err
	}
	for _, f := range own {
		f.own = true
		files = append(files, f)
	}
	lexicons, err := embedded(lexiconFS, "lexicon")
	if err != nil {
		return nil, nil, err
	}
	for _, all := range [][]RuleFile{files, lexicons} {
		for _, f := range all {
			fmt.Fprintf(sum, "%s %d\n", f.Name, len(f.Data))
			sum.Write(f.Data)
		}
	}
	c := &Classifier{rules: newRuleSet()}
	if err := c.rules.load(files); err != nil {
		return nil, nil, err
	}
	if err := c.bindCues(); err != nil {
		return nil, nil, err
	}
	for _, f := range lexicons {
		if err := addLexicon(c.rules.sets.weaver, f); err != nil {
			return nil, nil, err
		}
	}
	c.rules.index()
	c.scratch.New = func() any { return c.newDocument() }
	return c, sum, nil
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
	d := &document{chain: make([]chain, c.rules.n), ruled: make([]float64, labels)}
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
	c.findings(d, m, &v)
	c.model.read(d)
	j := c.model.judge(v.Lang)
	p := j.probabilities(d)
	v.Intent, v.IntentScore = best(mention.Intents, p[intents:tempers])
	v.Sentiment, v.SentimentScore = best(mention.Sentiments, p[tempers:wishes])
	v.Disposition, _ = best(mention.Dispositions, p[wishes:rungs])
	v.Risks = c.risks(d, m, j, &p, v.Lang)
	v.Page, v.PageReason = c.page(d, j, &p, &v)
	v.Story = d.storyKey(m)
	v.Partly = len(m.Content()) > MaxRead
	// A post that is only a picture needs eyes.
	v.Unread = m.Content() == "" && m.Rating == 0 && !m.Deleted
	return v
}

// findings reads m into d, with everything that the model goes by.
func (c *Classifier) findings(d *document, m *mention.Mention, v *mention.Verdict) {
	content := m.Content()
	d.note = m.Kind == mention.KindNote
	d.read(content, c.rules.trie)
	v.Lang = detectLanguage(content, d.fold.Text, m.Lang)
	mood := c.mood(d, m.Rating)
	c.match(d, mood)
	c.signals(d, m, mood, v.Lang)
	c.readFeatures(d, m)
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
