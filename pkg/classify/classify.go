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
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/earshot/earshot/pkg/mention"
)

// codeVersion rises whenever the code changes what verdicts come out.
const codeVersion = "5"

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
	model   *model
	version string
	scratch sync.Pool
}

// New returns a classifier with the embedded rules and those of o. The error
// names every mistake in the files of o.
func New(o Options) (*Classifier, error) {
	if o.Model == nil {
		o.Model = embeddedModel
	}
	m, modelErr := readModel(o.Model)
	c, sum, err := untrained(o.Rules)
	if err = errors.Join(modelErr, err); err != nil {
		return nil, err
	}
	if err := m.set(&o); err != nil {
		return nil, err
	}
	all := sha256.New()
	fmt.Fprint(all, codeVersion, sum, m.id, o.Tell, o.Page) // maps are printed in order
	c.model, c.version = m, codeVersion+"-"+hex.EncodeToString(all.Sum(nil)[:5])
	return c, nil
}

// untrained returns a classifier without a model, with the embedded rules and
// own, and a hash of them.
func untrained(own []RuleFile) (*Classifier, []byte, error) {
	rules, sum, err := rulesWith(own)
	if err != nil {
		return nil, nil, err
	}
	c := &Classifier{rules: rules}
	c.scratch.New = func() any { return c.newDocument() }
	return c, sum, nil
}

func (c *Classifier) newDocument() *document {
	d := &document{chain: make([]chain, c.rules.n), state: make([]state, c.rules.n), ruled: make([]float64, labels)}
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
	d.read(content, c.rules)
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
