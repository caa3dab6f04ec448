package classify

import (
	"strings"
	"testing"
)

// TestOrdinaryMentionsCarryNoRisk reads wishes, faults, dry complaints, quiet
// praise and chatter: nobody is to be woken by them.
func TestOrdinaryMentionsCarryNoRisk(t *testing.T) {
	t.Parallel()
	texts, risks := 0, 0
	for _, lang := range languages {
		for _, item := range corpusOf(t, TrainPart, lang) {
			if !strings.HasPrefix(item.Set, "plain/") {
				continue
			}
			texts++
			m := item.Mention()
			v := shared.Verdict(&m)
			if v.Page {
				t.Errorf("pages (%s): %s", v.PageReason, item.Text)
			}
			if len(v.Risks) > 0 {
				risks++
				t.Logf("%s: %s", v.Risks[0].Rule, item.Text)
			}
		}
	}
	if texts < 200 || risks*50 > texts {
		t.Errorf("%d of %d ordinary mentions carry a risk", risks, texts)
	}
}
