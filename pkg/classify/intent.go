package classify

import (
	"math"

	"github.com/earshot/earshot/pkg/mention"
)

// intent weighs what the rules found with the sentiment and returns what the
// author mainly wants.
func (c *Classifier) intent(d *document, v *mention.Verdict) (mention.Intent, float64) {
	var score [len(intentOrder)]float64
	copy(score[:], d.sums[firstIntent:firstDisposition])
	score[iOther] += otherPrior + d.sums[int(firstDisposition)+2]
	for i := range d.sents {
		if d.sents[i].question {
			score[iQuestion] += 0.7
			break
		}
	}
	switch v.Sentiment {
	case mention.Negative:
		score[iComplaint] += 1.2 * v.SentimentScore
	case mention.Positive:
		score[iPraise] += 1.3 * v.SentimentScore
	}
	for i := range v.Risks {
		switch v.Risks[i].Category {
		case mention.MediaInquiry, mention.AuthorityInquiry:
			score[iOther] += 2 // no customer's wish
		case mention.PersonAtRisk:
			score[iOther]++
		default:
			score[iComplaint] += 0.9
		}
	}
	best, total := 0, 0.0
	for i, s := range score {
		if s > score[best] {
			best = i
		}
		total += math.Exp(2 * s)
	}
	return intentOrder[best], round(min(math.Exp(2*score[best])/total, maxProbability))
}

// The order of mention.Intents, as indexes.
const (
	iComplaint = iota
	iQuestion
	iPraise
	iFeature
	iBug
	iOther
)

var intentOrder = [...]mention.Intent{
	mention.Complaint, mention.Question, mention.Praise, mention.FeatureRequest, mention.BugReport, mention.OtherIntent,
}

// otherPrior is what an intent must exceed to be named at all.
const otherPrior = 0.62

// disposition says what the mention wants of us. Rules name what is not for us;
// otherwise what somebody wants decides.
func (c *Classifier) disposition(d *document, m *mention.Mention, v *mention.Verdict) mention.Disposition {
	at := d.sums[firstDisposition:]
	answer, watch, not := at[0], at[1], at[2]
	if not >= 0.7 && not > answer && (len(v.Risks) == 0 || not >= 1.2) {
		return mention.NotForUs
	}
	switch v.Intent {
	case mention.Complaint, mention.BugReport, mention.FeatureRequest:
		answer += 0.8
	case mention.Question:
		answer += 0.6
	case mention.Praise:
		answer += 0.55
	case mention.OtherIntent:
		watch += 0.6
	}
	if len(v.Risks) > 0 {
		answer++
	}
	if m.Kind == mention.KindArticle {
		watch += 0.9 // news is read, not answered, unless it asks
	}
	if m.Kind == mention.KindNote || m.Kind == mention.KindReview {
		answer += 0.3
	}
	if answer > watch {
		return mention.Answer
	}
	return mention.Watch
}
