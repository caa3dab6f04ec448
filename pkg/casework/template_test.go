package casework

import (
	"slices"
	"strings"
	"testing"

	"github.com/earshot/earshot/pkg/mention"
)

func TestRender(t *testing.T) {
	t.Parallel()
	v := TemplateVersion{
		Body: "{{author}}様、{{ what }}の件、{{ what }}。{{extra}}{{must}}",
		Slots: []Slot{
			{Name: "what", Default: "お問い合わせ", Required: true}, {Name: "extra"}, {Name: "must", Required: true},
		},
	}
	for _, tt := range []struct {
		name    string
		values  map[string]string
		want    string
		missing string
	}{
		{"nothing given", nil, "{{author}}様、お問い合わせの件、お問い合わせ。{{must}}", "author must"},
		{"everything given", map[string]string{"author": "花子", "what": "返品", "extra": "また。", "must": "では。"}, "花子様、返品の件、返品。また。では。", ""},
		{"spaces are nothing", map[string]string{"author": " \u3000", "must": "では。"}, "{{author}}様、お問い合わせの件、お問い合わせ。では。", "author"},
		{"a value is no template", map[string]string{"author": "{{what}}", "must": "$1"}, "{{what}}様、お問い合わせの件、お問い合わせ。$1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text, missing := v.Render(tt.values)
			if text != tt.want || strings.Join(missing, " ") != tt.missing {
				t.Errorf("%q, missing %v\nwant %q, missing %s", text, missing, tt.want, tt.missing)
			}
		})
	}
}

func TestTheGravestRiskLeads(t *testing.T) {
	t.Parallel()
	m := complaint("煙が出た。投稿する")
	m.Verdict.Risks = []mention.Risk{{Category: mention.PublicityThreat}, {Category: mention.SafetyHazard}}
	s := newDesk(m).fold()
	in := func(id, lang string, risks ...mention.Category) Template {
		return Template{ID: id, Name: id, Lang: lang, Risks: risks, Versions: []TemplateVersion{{N: 1, Body: "x", Apology: NoApology, Status: TemplateApproved}}}
	}
	got := Ranked([]Template{in("post", "ja", mention.PublicityThreat), in("other", "ja"), in("safe-en", "en", mention.SafetyHazard), in("safe", "ja", mention.SafetyHazard, mention.PublicityThreat)}, &s)
	var order []string
	for _, r := range got {
		order = append(order, r.ID)
	}
	if strings.Join(order, " ") != "safe post other safe-en" {
		t.Errorf("order %v", order)
	}
	if r := got[0].Reasons; len(r) != 2 || r[0] != (Reason{"risk", string(mention.SafetyHazard)}) || r[1].What != "lang" {
		t.Errorf("because %v", got[0].Reasons)
	}
}

func TestTemplateValidate(t *testing.T) {
	t.Parallel()
	good := func() Template {
		return Template{ID: "t", Name: "T", Lang: "ja", Versions: []TemplateVersion{{
			N: 1, Body: "{{author}} {{x}}", Apology: NoApology, Status: TemplateApproved, Slots: []Slot{{Name: "x"}}, By: "ann", ApprovedBy: "pia",
		}}}
	}
	for _, tt := range []struct {
		name   string
		change func(*Template, *TemplateVersion)
		want   string // named by the error; empty for none
	}{
		{"good", func(*Template, *TemplateVersion) {}, ""},
		{"no name", func(t *Template, _ *TemplateVersion) { t.Name = "" }, "name"},
		{"no language of ours", func(t *Template, _ *TemplateVersion) { t.Lang = "de" }, "lang"},
		{"no version", func(t *Template, _ *TemplateVersion) { t.Versions = nil }, "versions"},
		{"versions that don't rise", func(t *Template, v *TemplateVersion) { t.Versions = append(t.Versions, *v) }, "versions[1]: n"},
		{"no such risk", func(t *Template, _ *TemplateVersion) { t.Risks = []mention.Category{"fire"} }, "risks[0]"},
		{"no such intent", func(t *Template, _ *TemplateVersion) { t.Intents = []mention.Intent{"joy"} }, "intents[0]"},
		{"no date", func(t *Template, _ *TemplateVersion) { t.ReviewBy = "soon" }, "review_by"},
		{"no body", func(_ *Template, v *TemplateVersion) { v.Body = " " }, "versions[0]: body: required"},
		{"no body and no status", func(_ *Template, v *TemplateVersion) { v.Body, v.Status = "", "" }, "versions[0]: body: required\nversions[0]: status: "},
		{"no such status", func(_ *Template, v *TemplateVersion) { v.Status = "ok" }, "status"},
		{"no such apology", func(_ *Template, v *TemplateVersion) { v.Apology = "" }, "apology"},
		{"no such kind", func(_ *Template, v *TemplateVersion) { v.Kind = "last" }, "kind"},
		{"approved by its author", func(_ *Template, v *TemplateVersion) { v.ApprovedBy = v.By }, "approved_by"},
		{"approved by who changed it", func(_ *Template, v *TemplateVersion) { v.With = []string{"bob", v.ApprovedBy} }, "approved_by"},
		{"approved by who asked for it", func(_ *Template, v *TemplateVersion) { v.SubmittedBy = v.ApprovedBy }, "approved_by"},
		{"a slot nobody describes", func(_ *Template, v *TemplateVersion) { v.Body = "{{y}}" }, "{{y}}"},
		{"a slot that would be published as it is", func(_ *Template, v *TemplateVersion) { v.Body = "{{お名前}}" }, "{{お名前}}"},
		{"a slot of no name", func(_ *Template, v *TemplateVersion) { v.Slots[0].Name = "X" }, "slots[0].name"},
		{"two slots of one name", func(_ *Template, v *TemplateVersion) { v.Slots = append(v.Slots, Slot{Name: "x"}) }, "slots[1].name"},
		{"no such type", func(_ *Template, v *TemplateVersion) { v.Slots[0].Type = "number" }, "slots[0].type"},
		{"a choice of nothing", func(_ *Template, v *TemplateVersion) { v.Slots[0].Type = "choice" }, "slots[0].choices"},
		{"a default that is no choice", func(_ *Template, v *TemplateVersion) {
			v.Slots[0] = Slot{Name: "x", Type: "choice", Choices: []string{"a"}, Default: "b"}
		}, "slots[0].choices"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tmpl := good()
			tt.change(&tmpl, &tmpl.Versions[0])
			err := tmpl.Validate()
			if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want an error that names %q", err, tt.want)
			}
		})
	}
}

func TestInForce(t *testing.T) {
	t.Parallel()
	tmpl := Template{Versions: []TemplateVersion{{N: 1, Status: TemplateRetired}, {N: 2, Status: TemplateApproved}, {N: 3, Status: TemplateDraft}}}
	if v := tmpl.InForce(); v == nil || v.N != 2 {
		t.Errorf("in force: %+v, want 2", v)
	}
	if tmpl.Version(3) == nil || tmpl.Version(4) != nil {
		t.Error("versions are not found by their number")
	}
	tmpl.Versions = tmpl.Versions[:1]
	if v := tmpl.InForce(); v != nil {
		t.Errorf("retired, and in force: %+v", v)
	}
}

func TestSuggest(t *testing.T) {
	t.Parallel()
	tmpl := func(id, lang string, change func(*Template)) Template {
		t := Template{ID: id, Lang: lang, Versions: []TemplateVersion{{N: 1, Status: TemplateApproved}}}
		if change != nil {
			change(&t)
		}
		return t
	}
	all := []Template{
		tmpl("plain-en", "en", nil),
		tmpl("plain", "ja", nil),
		tmpl("again", "ja", nil),
		tmpl("praise", "ja", func(t *Template) { t.Intents = []mention.Intent{mention.Praise} }),
		tmpl("legal", "ja", func(t *Template) { t.Risks = []mention.Category{mention.LegalThreat} }),
		tmpl("hazard", "ja", func(t *Template) { t.Risks = []mention.Category{mention.SafetyHazard} }),
		tmpl("complaint", "ja", func(t *Template) { t.Intents = []mention.Intent{mention.Complaint} }),
		tmpl("complaint-here", "ja", func(t *Template) {
			t.Intents, t.Platforms = []mention.Intent{mention.Complaint}, []string{"sandbox"}
		}),
		tmpl("elsewhere", "ja", func(t *Template) { t.Platforms = []string{"x"} }),
		tmpl("not-ours", "ja", func(t *Template) { t.Brands = []string{"zenith"} }),
		tmpl("draft", "ja", func(t *Template) { t.Versions[0].Status = TemplateDraft }),
	}
	m := complaint("煙")
	m.Verdict.Risks = []mention.Risk{{Category: mention.SafetyHazard}}
	s := newDesk(m).fold()
	var got []string
	for _, t := range Suggest(all, &s) {
		got = append(got, t.ID)
	}
	want := []string{"hazard", "complaint-here", "complaint", "plain", "again", "praise", "legal", "plain-en"}
	if !slices.Equal(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
}

func TestPlaybookValidate(t *testing.T) {
	t.Parallel()
	p := Playbook{Name: map[string]string{"ja": "火"}, Steps: []Step{{Phase: "hear", Text: map[string]string{"ja": "聞く"}}}, Risks: []mention.Category{mention.SafetyHazard}}
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
	p.Name, p.Risks = nil, []mention.Category{"fire"}
	p.Steps = append(p.Steps, Step{Phase: "shout", Text: map[string]string{"ja": " "}})
	err := p.Validate()
	for _, field := range []string{"name", "risks[0]", "steps[1].phase", "steps[1].text"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v, want an error that names %s", err, field)
		}
	}
}
