package classify

import "testing"

// TestOrdinaryMentionsCarryNoRisk reads wishes, faults, dry complaints, quiet
// praise and chatter: nobody is to be woken by them.
func TestOrdinaryMentionsCarryNoRisk(t *testing.T) {
	t.Parallel()
	all, risks := corpus(t, "plain"), 0
	for _, item := range all {
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
	if risks*50 > len(all) {
		t.Errorf("%d of %d ordinary mentions carry a risk", risks, len(all))
	}
}
