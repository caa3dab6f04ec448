package classify

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/pkg/mention"
)

// doubt is one with these probabilities of risks, and of Pageable ones that they
// page; everything tells from 0.5.
func doubt(p map[mention.Category]float64, pages map[mention.Category]float64) Doubt {
	d := Doubt{j: &judgement{}, rung: mention.Conditional, deadline: time.Unix(1000, 0)}
	for k, c := range mention.Categories {
		d.p[k], d.j.Tell[k] = p[c], 0.5
	}
	for k, c := range Pageable {
		d.p[firstPage+k], d.j.Page[k] = pages[c], 0.5
	}
	copy(d.p[intents:], []float64{0.4, 0.35, 0.25}) // complaint, question, praise
	copy(d.p[tempers:], []float64{0.95, 0.03, 0.02})
	copy(d.p[wishes:], []float64{0.5, 0.3, 0.2})
	return d
}

// local is the verdict that d stands behind.
func local(d *Doubt) mention.Verdict {
	v := mention.Verdict{Model: "1", Intent: mention.Complaint, Sentiment: mention.Negative, Disposition: mention.Answer}
	for k, c := range mention.Categories {
		if d.p[k] >= float64(d.j.Tell[k]) {
			v.Risks = append(v.Risks, mention.Risk{Category: c, Score: d.p[k], End: 3, Rule: "rule"})
			if !v.Page && d.pages(c, d.pageProbability(c)) {
				v.Page, v.PageReason = true, string(c)+": rule"
			}
		}
	}
	return v
}

type probabilities = map[mention.Category]float64

func opinion(risks ...OpinionRisk) Opinion {
	return Opinion{By: "them", Sentiment: mention.Negative, Intent: mention.Complaint, Disposition: mention.Answer, Risks: risks}
}

func TestAnOpinionDecidesWhatIsInDoubtAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		p, pages probabilities
		said     Opinion
		told     string // categories, and a ! where it pages
		same     bool
	}{
		"a risk nearly told is told":                    {p: probabilities{mention.Churn: 0.3}, said: opinion(OpinionRisk{Category: mention.Churn}), told: "[churn]"},
		"one scarcely told is not":                      {p: probabilities{mention.Churn: 0.7}, said: opinion(), told: "[]"},
		"one far from it stays untold":                  {p: probabilities{mention.Churn: 0.1}, said: opinion(OpinionRisk{Category: mention.Churn}), told: "[]", same: true},
		"a sure one stays told":                         {p: probabilities{mention.Churn: 0.95}, said: opinion(), told: "[churn]", same: true},
		"whoever agrees changes nothing":                {p: probabilities{mention.Churn: 0.7}, said: opinion(OpinionRisk{Category: mention.Churn}), told: "[churn]", same: true},
		"an added risk that always pages does":          {p: probabilities{mention.ViolentThreat: 0.4}, said: opinion(OpinionRisk{Category: mention.ViolentThreat}), told: "[violent_threat]!"},
		"but not one that the text is far from":         {p: probabilities{mention.ViolentThreat: 0.05}, said: opinion(OpinionRisk{Category: mention.ViolentThreat, Grave: true}), told: "[]", same: true},
		"what pages goes on, and with its risk":         {p: probabilities{mention.ViolentThreat: 0.6}, said: opinion(), told: "[violent_threat]!", same: true},
		"so does a threat with its reason":              {p: probabilities{mention.LegalThreat: 0.6}, pages: probabilities{mention.LegalThreat: 0.6}, said: opinion(), told: "[legal_threat]!", same: true},
		"a threat is found to be stated":                {p: probabilities{mention.LegalThreat: 0.9}, pages: probabilities{mention.LegalThreat: 0.4}, said: opinion(OpinionRisk{Category: mention.LegalThreat, Grave: true}), told: "[legal_threat]!"},
		"a bare one is not":                             {p: probabilities{mention.LegalThreat: 0.9}, pages: probabilities{mention.LegalThreat: 0.4}, said: opinion(OpinionRisk{Category: mention.LegalThreat}), told: "[legal_threat]", same: true},
		"stated, says one, but by no means":             {p: probabilities{mention.LegalThreat: 0.9}, pages: probabilities{mention.LegalThreat: 0.05}, said: opinion(OpinionRisk{Category: mention.LegalThreat, Grave: true}), told: "[legal_threat]", same: true},
		"an intent is weighed":                          {said: Opinion{Intent: mention.Question}, told: "[]"},
		"a feeling that is sure stays":                  {said: Opinion{Sentiment: mention.Positive}, told: "[]", same: true},
		"labels that are none are nothing":              {said: Opinion{Intent: "scold", Sentiment: "?", Disposition: "page", Risks: []OpinionRisk{{Category: "page", Grave: true}}}, told: "[]", same: true},
		"other risks come and go beside one that pages": {p: probabilities{mention.MediaInquiry: 0.9, mention.Churn: 0.6}, said: opinion(), told: "[media_inquiry]!"},
	} {
		d := doubt(c.p, c.pages)
		was := local(&d)
		v, changed := d.Settle(was, c.said)
		var told []mention.Category
		for _, r := range v.Risks {
			told = append(told, r.Category)
		}
		got := fmt.Sprint(told)
		if v.Page {
			got += "!"
		}
		if got != c.told || changed == c.same {
			t.Errorf("%s: %s, changed %v; want %s, %v", name, got, changed, c.told, !c.same)
		}
		if !changed && !cmp.Equal(v, was) {
			t.Errorf("%s: a verdict that is not changed differs:\n%s", name, cmp.Diff(was, v))
		}
		if changed && (v.Pass != was.Pass+1 || v.Model != "1+"+c.said.By) {
			t.Errorf("%s: pass %d of %q", name, v.Pass, v.Model)
		}
	}
}

func TestAnAddedRiskShowsWhatTheOpinionShows(t *testing.T) {
	t.Parallel()
	d := doubt(probabilities{mention.PublicityThreat: 0.4}, probabilities{mention.PublicityThreat: 0.4})
	v, _ := d.Settle(local(&d), opinion(OpinionRisk{Category: mention.PublicityThreat, Start: 4, End: 9, Grave: true}))
	want := []mention.Risk{{
		Category: mention.PublicityThreat, Score: 0.7273, Start: 4, End: 9, Rule: OpinionRule, Rung: d.rung, Deadline: d.deadline,
	}}
	if diff := cmp.Diff(want, v.Risks); diff != "" || v.PageReason != "publicity_threat: opinion" {
		t.Errorf("page reason %q, risks:\n%s", v.PageReason, diff)
	}
}

func TestWhatIsInDoubt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		p, pages probabilities
		risks    []mention.Category
		page     bool
	}{
		"nothing":                                {p: probabilities{mention.ViolentThreat: 0.1, mention.Churn: 0.95}},
		"a risk":                                 {p: probabilities{mention.Churn: 0.25}, risks: []mention.Category{mention.Churn}},
		"one that would page":                    {p: probabilities{mention.PrivacyBreach: 0.25}, risks: []mention.Category{mention.PrivacyBreach}, page: true},
		"one that pages":                         {p: probabilities{mention.PrivacyBreach: 0.75}, risks: []mention.Category{mention.PrivacyBreach}},
		"whether a sure threat pages":            {p: probabilities{mention.LegalThreat: 0.95}, pages: probabilities{mention.LegalThreat: 0.3}, page: true},
		"a threat and whether it pages":          {p: probabilities{mention.LegalThreat: 0.3}, pages: probabilities{mention.LegalThreat: 0.3}, risks: []mention.Category{mention.LegalThreat}, page: true},
		"a threat that surely wouldn't page":     {p: probabilities{mention.LegalThreat: 0.3}, risks: []mention.Category{mention.LegalThreat}},
		"something, beside one that pages":       {p: probabilities{mention.ViolentThreat: 0.95, mention.PrivacyBreach: 0.4}, risks: []mention.Category{mention.PrivacyBreach}},
		"whether it pages, but there is no risk": {pages: probabilities{mention.SafetyHazard: 0.5}},
	} {
		d := doubt(c.p, c.pages)
		if got := d.Risks(); !slices.Equal(got, c.risks) || d.Page() != c.page {
			t.Errorf("%s: risks %v, page %v; want %v, %v", name, got, d.Page(), c.risks, c.page)
		}
	}
}

// TestADoubtIsThatOfTheVerdict: what is told is told with the probabilities that
// a doubt has.
func TestADoubtIsThatOfTheVerdict(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", " ", "🍔", "Best coffee in town", "壊れた商品の返金がなければSNSに公開します", "お前んとこの店、火つけたろか",
		"I am done with this bank, closing my account and telling everyone", "口コミって怖いですよね",
	} {
		m := mention.Mention{Post: mention.Post{Text: text, PublishedAt: published}}
		v, d := shared.Verdict(&m), shared.Doubt(&m)
		for k, c := range mention.Categories {
			i := slices.IndexFunc(v.Risks, func(r mention.Risk) bool { return r.Category == c })
			if told := d.p[k] >= float64(d.j.Tell[k]); told != (i >= 0) || told && round(min(d.p[k], maxProbability)) != v.Risks[i].Score {
				t.Errorf("%q: %s has probability %v, verdict %+v", text, c, d.p[k], v.Risks)
			}
		}
		if v.Page && d.Page() {
			t.Errorf("%q pages, and yet that is said to be open", text)
		}
	}
}
