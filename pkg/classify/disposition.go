package classify

import "github.com/earshot/earshot/pkg/mention"

// How much the rules must find for a mention to be not for us: without a risk,
// and beside one.
const (
	notForUs     = 0.7
	notForUsRisk = 1.2
)

// disposition says what the mention wants of us; p are the model's
// probabilities. A risk is answered, unless it is plainly not for us or news.
// Who wants nothing is not answered.
func (c *Classifier) disposition(d *document, m *mention.Mention, v *mention.Verdict, p []float64) mention.Disposition {
	rules := d.sums[firstDisposition:]
	answer, not := rules[0], rules[2]
	switch {
	case not > answer && (not >= notForUsRisk || not >= notForUs && len(v.Risks) == 0):
		return mention.NotForUs
	case len(v.Risks) > 0 && m.Kind == mention.KindArticle && !v.Has(mention.MediaInquiry) && !v.Has(mention.AuthorityInquiry):
		return mention.Watch
	case len(v.Risks) > 0:
		return mention.Answer
	case v.Intent == mention.OtherIntent:
		p = p[1:] // watch and not for us
		return mention.Dispositions[1+likeliest(p)]
	}
	return mention.Dispositions[likeliest(p)]
}
