package casework

import (
	"testing"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

func TestDefaultRules(t *testing.T) {
	t.Parallel()
	edited, plain := Draft{Edited: true}, Draft{Template: "t"}
	risk := func(c mention.Category) func(*mention.Tagged) {
		return func(t *mention.Tagged) { t.Verdict.Risks = []mention.Risk{{Category: c}} }
	}
	intent := func(i mention.Intent) func(*mention.Tagged) { return func(t *mention.Tagged) { t.Verdict.Intent = i } }
	reach := func(n int64) func(*mention.Tagged) {
		return func(t *mention.Tagged) { t.Mention.Author.Followers = &n }
	}
	for _, tt := range []struct {
		name  string
		of    func(*mention.Tagged)
		draft Draft
		by    identity.Viewer
		why   string // empty: nobody else has to look
	}{
		{"a template on a complaint", nil, plain, ann, ""},
		{"own words on a complaint", nil, edited, ann, "edited"},
		{"an approver's own words on a complaint", nil, edited, pia, ""},
		{"own words on praise", intent(mention.Praise), edited, trained, ""},
		{"own words on a question", intent(mention.Question), edited, trained, ""},
		{"own words on praise, by somebody new", intent(mention.Praise), edited, ann, "edited"},
		{"a template on praise, by somebody new", intent(mention.Praise), plain, ann, ""},
		{"own words on a complaint, by somebody trained", nil, edited, trained, "edited"},
		{"own words on a bug report", intent(mention.BugReport), edited, ann, "edited"},
		{"words without a template count as edited", nil, Draft{}, ann, "edited"},
		{"a template on danger", risk(mention.SafetyHazard), plain, ann, "risk"},
		{"an approver's template on danger", risk(mention.SafetyHazard), plain, pia, "risk"},
		{"a PR lead's template on danger", risk(mention.SafetyHazard), plain, lea, "risk"},
		{"a template on a threat to post", risk(mention.PublicityThreat), plain, ann, "risk"},
		{"a template on one who leaves", risk(mention.Churn), plain, ann, ""},
		{"a template on one who asks again", risk(mention.RepeatContact), plain, ann, ""},
		{"own words on one who asks again", risk(mention.RepeatContact), edited, ann, "edited"},
		{"a question with danger in it", func(t *mention.Tagged) { intent(mention.Question)(t); risk(mention.SafetyHazard)(t) }, plain, ann, "risk"},
		{"before a large public", reach(100_000), plain, pia, "reach"},
		{"before a public not so large", reach(99_999), plain, ann, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := complaint("a")
			if tt.of != nil {
				tt.of(m)
			}
			s := newDesk(m).fold()
			for _, rules := range []Rules{DefaultRules(), {}} { // they hold where there are none
				if needs, why := rules.Needs(&s, &tt.draft, tt.by); needs != (tt.why != "") || why != tt.why {
					t.Errorf("needs %v, why %q; want %q", needs, why, tt.why)
				}
			}
		})
	}
	rules := DefaultRules()
	if err := rules.Validate(); err != nil {
		t.Error(err)
	}
}

func TestTheFirstRowThatFitsDecides(t *testing.T) {
	t.Parallel()
	s := newDesk(complaint("a")).fold()
	rules := Rules{Rows: []Rule{
		{Brands: []string{"zenith"}, Needs: true, Why: "brand"},
		{Intents: []mention.Intent{mention.Complaint}, Needs: false},
		{Needs: true, Why: "all"},
	}}
	if needs, why := rules.Needs(&s, &Draft{}, ann); needs {
		t.Errorf("needs approval: %s", why)
	}
	s.Verdict.Intent = mention.Praise
	if _, why := rules.Needs(&s, &Draft{}, ann); why != "all" {
		t.Errorf("why %q, want all", why)
	}
}
