package classify

import (
	"slices"
	"strings"
	"testing"
)

// TestEarlierTextsStayWellJudged holds the texts that the first rules were
// written with to what those rules were held to.
func TestEarlierTextsStayWellJudged(t *testing.T) {
	t.Parallel()
	for _, lang := range languages {
		texts := Filter(corpusOf(t, TrainPart, lang), func(l *Labelled) bool {
			hand, _, _ := strings.Cut(l.Set, "/")
			return slices.Contains([]string{lang, "another"}, hand)
		})
		q := shared.Assess(texts)
		if len(texts) < 400 {
			t.Errorf("%s: %d texts", lang, len(texts))
		}
		hold := func(y *Tally, precision, recall float64) {
			if y.Precision() < precision || y.Recall() < recall {
				t.Errorf("%s %s: precision %.2f and recall %.2f, want at least %.2f and %.2f", lang, y.Label, y.Precision(), y.Recall(), precision, recall)
			}
		}
		hold(&q.Page, 0.90, 0.85)
		for i := range q.Risks {
			if i == publicity {
				hold(&q.Risks[i], 0.90, 0.85)
			} else {
				hold(&q.Risks[i], 0.80, 0.75)
			}
		}
	}
}
