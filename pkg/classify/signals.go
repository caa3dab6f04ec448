package classify

import (
	"math"
	"slices"

	"github.com/earshot/earshot/pkg/mention"
)

// Signals are what the lexicons, the rules and the mention itself say of the
// whole text, beside its features.
const (
	sMood      = iota // the sum of the lexicon, from -1 to 1
	sFeeling          // how much of it, either way
	sGlad             // the glad words alone, from 0 to 1
	sSore             // the sore words alone
	sEnd              // the last feeling, which often decides
	sIntents          // the rules' scores of the intents
	sNotForUs  = sIntents + 6
	sAsks      = sNotForUs + iota - 5 // a sentence is a question
	sStars                            // the rating from -1 to 1
	sRated                            // there is one
	sNote                             // a contact note
	sArticle                          // news
	sLength                           // logarithm
	sIrony                            // words that irony likes
	sRequest                          // words of asking
	sGrievance                        // words of a grievance
	sExtortion                        // words of asking for presents
	sJapanese                         // the language
	sMoodInJa                         // the mood in Japanese
	signalCount
)

// signals reads d, of which the rules and feelings are known.
func (c *Classifier) signals(d *document, m *mention.Mention, mood int32, lang string) {
	f := &d.signals
	clear(f[:])
	f[sMood] = squash(mood)
	f[sFeeling] = math.Abs(f[sMood])
	f[sGlad], f[sSore] = squash(d.glad), squash(d.sore)
	if n := len(d.feelings); n > 0 {
		f[sEnd] = squash(d.feelings[n-1].value)
	}
	for i := range mention.Intents {
		f[sIntents+i] = min(d.ruled[int(firstIntent)+i], 1.5)
	}
	f[sNotForUs] = min(d.ruled[int(firstDisposition)+2], 1.2)
	if m.Rating > 0 {
		f[sStars], f[sRated] = float64(m.Rating-3)/2, 1
	}
	f[sLength] = math.Log(float64(len(d.runes)+1)) / 4
	set := func(i int, is bool) {
		if is {
			f[i] = 1
		}
	}
	set(sAsks, slices.ContainsFunc(d.sents, func(s sentence) bool { return s.question }))
	set(sNote, m.Kind == mention.KindNote)
	set(sArticle, m.Kind == mention.KindArticle)
	set(sIrony, d.has(c.rules.cues.irony))
	set(sRequest, d.has(c.rules.cues.request))
	set(sGrievance, d.has(c.rules.cues.grievance))
	set(sExtortion, d.has(c.rules.cues.extortion))
	if lang == japanese {
		f[sJapanese], f[sMoodInJa] = 1, f[sMood]
	}
}

// squash brings hundredths of feeling between -1 and 1.
func squash(hundredths int32) float64 {
	x := float64(hundredths) / 100
	return x / math.Sqrt(x*x+6)
}
