package classify

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/text"
)

// addLexicon reads a lexicon: a line "= -2.5" sets the valence, -4 to 4, of the
// entries on the lines after it, which are separated by white space; a line
// "entry<TAB>valence" gives one entry with its own. Lines with # are comments.
func addLexicon(w *weaver, f RuleFile) error {
	valence, line := 0.0, 0
	for raw := range bytes.Lines(f.Data) {
		line++
		s := strings.TrimSpace(string(raw))
		entry, value, own := strings.Cut(s, "\t")
		var err error
		switch {
		case s == "" || strings.HasPrefix(s, "# "):
			continue
		case strings.HasPrefix(s, "= "):
			valence, err = parseValence(s[2:])
		case own:
			var v float64
			if v, err = parseValence(value); err == nil {
				feel(w, entry, v)
			}
		default:
			for entry := range strings.FieldsSeq(s) {
				feel(w, strings.ReplaceAll(entry, "_", " "), valence)
			}
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", f.Name, line, err)
		}
	}
	return nil
}

func parseValence(s string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(v >= -4 && v <= 4) {
		return 0, fmt.Errorf("valence %q is not a number from -4 to 4", s)
	}
	return v, nil
}

func feel(w *weaver, entry string, valence float64) {
	if entry = text.Fold(entry); entry != "" {
		v := int16(math.Round(valence * 100))
		if v == 0 {
			v = 1 // known to say nothing, whatever a later lexicon says
		}
		w.feel(entry, v)
	}
}

// How far, in code points, words act on a word of the lexicon.
const (
	negateBeforeReach = 20 // "is not at all that good"
	negateAfterReach  = 9  // 「良くはありません」
	boostReach        = 14
)

// mood sums the feelings of the text, in hundredths, each turned by negation
// and scaled by what stands before it, with the rating as a prior.
func (c *Classifier) mood(d *document, rating int) int32 {
	sum := int32(0)
	for i := range d.feelings {
		f := &d.feelings[i]
		s := &d.sents[f.sent]
		v := f.value
		latin := isWord(d.runes[f.start])
		from := max(s.start, f.start-boostReach)
		switch {
		case d.hasIn(c.cues.boostBefore, from, f.start):
			v = v * 13 / 10
		case d.hasIn(c.cues.dampBefore, from, f.start):
			v = v * 7 / 10
		}
		if latin && d.hasIn(c.cues.negateBefore, max(s.start, f.start-negateBeforeReach), f.start) ||
			!latin && d.hasIn(c.cues.negateAfter, f.end, min(s.end, f.end+negateAfterReach)) {
			v = -v * 3 / 4
		}
		sum += v
	}
	if rating > 0 {
		sum += int32(rating-3) * 160
	}
	return sum
}

// sentiment turns mood, risks and the complaint found into probabilities of the
// three sentiments and returns the greatest.
func (c *Classifier) sentiment(d *document, mood int32, risks []mention.Risk) (mention.Sentiment, float64) {
	x := float64(mood) / 100
	for i := range risks {
		switch risks[i].Category {
		case mention.MediaInquiry, mention.AuthorityInquiry:
			x /= 4 // said by those who are not customers
		case mention.PersonAtRisk, mention.SafetyHazard, mention.Churn, mention.RepeatContact:
			x -= 1.4
		default:
			x -= 2.2
		}
	}
	x -= min(d.sumOf(mention.Complaint), 2) + min(d.sumOf(mention.BugReport), 2)*0.6
	x += min(d.sumOf(mention.Praise), 2)
	if x > 0 && d.has(c.cues.irony) && d.sumOf(mention.Complaint)+d.sumOf(mention.BugReport) > 0 {
		x = -x // praise of a failure is irony
	}
	if d.sumOf(mention.FeatureRequest) > 0 || d.sums[int(firstDisposition)+2] > 0 {
		x /= 3 // a wish or an advert speaks warmly of something else
	}
	x /= math.Sqrt(x*x + 12)
	pos, neg, neutral := math.Exp(6*x-1.4), math.Exp(-6*x-1.5), 1.0
	total := pos + neg + neutral
	switch {
	case neg >= pos && neg > neutral:
		return mention.Negative, round(min(neg/total, maxProbability))
	case pos > neutral:
		return mention.Positive, round(min(pos/total, maxProbability))
	}
	return mention.Neutral, round(min(neutral/total, maxProbability))
}

func (d *document) sumOf(intent mention.Intent) float64 {
	for i, it := range mention.Intents {
		if it == intent {
			return d.sums[int(firstIntent)+i]
		}
	}
	return 0
}
