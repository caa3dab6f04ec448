package classify

import (
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

var shared *Classifier

func init() {
	if len(embeddedModel) > 0 {
		shared = mustNew()
	}
}

func mustNew() *Classifier {
	c, err := New(Options{})
	if err != nil {
		panic(err)
	}
	return c
}

// fires tells whether the named rule holds for text.
func fires(c *Classifier, name, text string) bool {
	d := c.newDocument()
	var v mention.Verdict
	c.findings(d, &mention.Mention{Post: mention.Post{Text: text}}, &v)
	for _, m := range d.matches {
		if c.rules.rules[m.rule].name == name {
			return true
		}
	}
	return false
}

func TestEveryRuleHoldsForItsExamplesOnly(t *testing.T) {
	t.Parallel()
	rules, err := compile(embedded(ruleFS, "rules"), embedded(lexiconFS, "lexicon"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules.rules {
		for _, text := range r.examples {
			if !fires(shared, r.name, text) {
				t.Errorf("%s does not hold for its example %q", r.name, text)
			}
		}
		for _, text := range r.counter {
			if fires(shared, r.name, text) {
				t.Errorf("%s holds for its counter-example %q", r.name, text)
			}
		}
	}
}

func verdict(text string) mention.Verdict {
	return shared.Verdict(&mention.Mention{Post: mention.Post{Text: text, PublishedAt: published}})
}

// published is a Wednesday, 12:00 in Tokyo.
var published = time.Date(2026, 11, 18, 3, 0, 0, 0, time.UTC)
