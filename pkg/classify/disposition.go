package classify

import "github.com/earshot/earshot/pkg/mention"

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
