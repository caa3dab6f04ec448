package classify

import (
	"fmt"

	"github.com/earshot/earshot/pkg/mention"
)

// An Example is a mention with what people say of it. What is left out teaches
// nothing.
type Example struct {
	Mention mention.Mention
	// Set is hand/thing: texts of one hand are alike, and are never divided
	// between learning and judging what was learned. Texts without a set are
	// each by a hand of their own.
	Set         string
	Intent      mention.Intent
	Sentiment   mention.Sentiment
	Disposition mention.Disposition
	// Risks are the categories that hold, with their span in Content and, for
	// publicity threats, their rung. A span that ends at 0 is unknown.
	Risks []mention.Risk
	// Judged: Risks are all there are, and Page says whether it pages.
	// Otherwise only Risks and Not are known.
	Judged bool
	Page   bool
	Not    []mention.Category
	// Weight is how much the example counts; 0 counts as 1.
	Weight float64
}

// Train returns a model for [Options.Model] that has learned examples, with the
// embedded rules and lists as part of what it goes by. It takes over what prior,
// another model, knows of how English sounds; without one it learns that from
// the examples. The same examples give the same bytes on machines of one
// architecture. Ninety thousand examples take one to four minutes of two cores.
//
// What the first step says of a text it has learned says nothing of others; so
// the second step learns from what first steps that had not seen the text say.
func Train(examples []Example, prior []byte) ([]byte, error) {
	c, _, err := untrained(nil)
	if err != nil {
		return nil, err
	}
	var before *model
	if prior != nil {
		if before, err = readModel(prior); err != nil {
			return nil, fmt.Errorf("prior: %w", err)
		}
	}
	t := c.prepare(examples, before)
	if _, err := t.judgeUnseen(); err != nil {
		return nil, err
	}
	every := func(*lesson) bool { return true }
	m, rows := t.learn(passes, every)
	m.Judge = t.decide(every)
	return m.bytes(rows)
}
