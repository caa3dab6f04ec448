package classify

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"

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
	d.glad, d.sore = 0, 0
	for i := range d.feelings {
		f := &d.feelings[i]
		s := &d.sents[f.sent]
		v := f.value
		latin := isWord(d.runes[f.start])
		from := max(s.start, f.start-boostReach)
		switch {
		case d.hasIn(c.rules.cues.boostBefore, from, f.start):
			v = v * 13 / 10
		case d.hasIn(c.rules.cues.dampBefore, from, f.start):
			v = v * 7 / 10
		}
		if latin && d.hasIn(c.rules.cues.negateBefore, max(s.start, f.start-negateBeforeReach), f.start) ||
			!latin && d.hasIn(c.rules.cues.negateAfter, f.end, min(s.end, f.end+negateAfterReach)) {
			v = -v * 3 / 4
		}
		if f.value = v; v > 0 {
			d.glad += v
		} else {
			d.sore -= v
		}
	}
	sum := d.glad - d.sore
	if rating > 0 {
		sum += int32(rating-3) * 160
	}
	return sum
}
