package demo

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
)

// sample fills the slots that a case fills by itself, with long values.
var sample = map[string]map[string]string{
	"ja": {"author": "むぎのこ", "brand": "ミルファーネ", "staff": "佐久間", "date": "11月24日（火）18時", "case": "20481"},
	"en": {"author": "Frances Amadi", "brand": "Milfarne", "staff": "Sakuma", "date": "Tuesday 24 November, 6 pm", "case": "20481"},
}

func templates(t *testing.T) []casework.Template {
	t.Helper()
	all, err := Templates()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// filled renders t with sample values and, for other slots, value.
func filled(tmpl *casework.Template, value string) string {
	v := tmpl.InForce()
	values := map[string]string{}
	for _, s := range v.Slots {
		if s.Default == "" {
			values[s.Name] = value
		}
	}
	for name, s := range sample[tmpl.Lang] {
		values[name] = s
	}
	text, _ := v.Render(values)
	return text
}

func TestTemplatesAreReadyForUse(t *testing.T) {
	ids := map[string]casework.Template{}
	count := map[string]int{}
	for _, tmpl := range templates(t) {
		if err := tmpl.Validate(); err != nil {
			t.Errorf("%s: %v", tmpl.ID, err)
		}
		if _, ok := ids[tmpl.ID]; ok {
			t.Errorf("%s: twice", tmpl.ID)
		}
		ids[tmpl.ID] = tmpl
		count[tmpl.Lang]++
		v := tmpl.InForce()
		if v == nil || v.N != 1 || tmpl.When == "" || v.Kind == "" {
			t.Errorf("%s: want an approved first version, its kind, and when to use it", tmpl.ID)
			continue
		}
		for _, s := range v.Slots {
			if !strings.Contains(v.Body, "{{"+s.Name+"}}") {
				t.Errorf("%s: slot %s is not in the body", tmpl.ID, s.Name)
			}
			// What a customer has to stop at once, and what was found out, is never
			// said unless somebody chose it.
			byHand := s.Name == "stop" || s.Name == "verdict"
			switch {
			case s.Type == "choice" && byHand && (s.Default != "" || !s.Required):
				t.Errorf("%s: slot %s is not left to whoever writes", tmpl.ID, s.Name)
			case s.Type == "choice" && !byHand && !slices.Contains(s.Choices, s.Default):
				t.Errorf("%s: slot %s has no default among its choices", tmpl.ID, s.Name)
			}
			if !s.Required && s.Default == "" {
				t.Errorf("%s: slot %s may be left empty but has no default", tmpl.ID, s.Name)
			}
		}
		for _, name := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(v.Body, -1) {
			if !slices.ContainsFunc(v.Slots, func(s casework.Slot) bool { return s.Name == name[1] }) {
				t.Errorf("%s: slot %s is not described", tmpl.ID, name[1])
			}
		}
		if text := filled(&tmpl, "…"); strings.Contains(text, "{{") || strings.Contains(text, "  ") {
			t.Errorf("%s: reads %q", tmpl.ID, text)
		}
	}
	for lang, n := range count {
		if n < 12 {
			t.Errorf("%d templates in %s", n, lang)
		}
	}
	for id, tmpl := range ids {
		twin, ok := ids[swapLang(id)]
		if !ok {
			t.Errorf("%s has no twin in the other language", id)
			continue
		}
		a, b := tmpl.InForce(), twin.InForce()
		if a.Apology != b.Apology || a.Kind != b.Kind || !slices.Equal(tmpl.Risks, twin.Risks) || !slices.Equal(tmpl.Intents, twin.Intents) {
			t.Errorf("%s and its twin differ in more than words", id)
		}
	}
}

func swapLang(id string) string {
	base, short := strings.CutSuffix(id, "-x")
	if stem, ok := strings.CutSuffix(base, "-ja"); ok {
		base = stem + "-en"
	} else {
		base = strings.TrimSuffix(base, "-en") + "-ja"
	}
	if short {
		base += "-x"
	}
	return base
}

func TestEveryRiskHasATemplate(t *testing.T) {
	// A threat of violence is never answered in public; an authority is
	// answered by PR, and abuse of staff as an unreasonable demand or not at all.
	without := []mention.Category{
		mention.ViolentThreat, mention.AuthorityInquiry, mention.StaffAbuse, mention.LegalThreat,
	}
	for _, lang := range []string{"ja", "en"} {
		for _, c := range mention.Categories {
			has := slices.ContainsFunc(templates(t), func(x casework.Template) bool {
				return x.Lang == lang && slices.Contains(x.Risks, c)
			})
			if has == slices.Contains(without, c) {
				t.Errorf("%s in %s: template %v", c, lang, has)
			}
		}
	}
}

func TestShortTemplatesFitX(t *testing.T) {
	short := 0
	for _, tmpl := range templates(t) {
		if strings.HasSuffix(tmpl.ID, "-x") != slices.Contains(tmpl.Platforms, "x") {
			t.Errorf("%s: the name and the platforms %v disagree", tmpl.ID, tmpl.Platforms)
		}
		if !strings.HasSuffix(tmpl.ID, "-x") {
			continue
		}
		short++
		value := strings.Repeat("あ", 40)
		if tmpl.Lang == "en" {
			value = strings.Repeat("a", 100)
		}
		if text := filled(&tmpl, value); xLength(text) > 280 {
			t.Errorf("%s: %d of 280: %s", tmpl.ID, xLength(text), text)
		}
	}
	if short < 16 {
		t.Errorf("%d short templates", short)
	}
}

// What a public reply never says.
var forbidden = []string{
	"弁護士", "顧問", "法的", "訴え", "警察", "lawyer", "counsel", "solicitor", "legal", "police",
	"慰謝料", "賠償", "返金いたします", "お支払い", "compensat", "we will pay", "refund you",
	"できません", "出来ません", "いたしかねます", "致しかねます", "わかりかねます", "we cannot", "we can't", "unable to",
	"規定により", "社内規定", "ポリシー", "company policy", "システムの都合", "the system",
	"注文番号を", "電話番号を", "your order number", "your phone number",
	"お客様のせい", "誤解", "とんでもございません", "させていただ", "おっしゃられ", "ご覧になられ", "お見えになられ",
	"拝見させて", "ご連絡させて", "うかがわさせ", "なるほどですね", "unfortunately", "as per", "valued customer", "inconvenience",
}

func TestTemplatesKeepTheTone(t *testing.T) {
	sorry := regexp.MustCompile(`申し訳|おわび|すみません|I'm sorry|apolog`)
	for _, tmpl := range templates(t) {
		v := tmpl.InForce()
		text := filled(&tmpl, "…")
		for _, w := range forbidden {
			if strings.Contains(strings.ToLower(text), w) {
				t.Errorf("%s: says %q", tmpl.ID, w)
			}
		}
		n := len(sorry.FindAllString(text, -1))
		if n > 1 || (n == 0) != (v.Apology == casework.NoApology) {
			t.Errorf("%s: apologises %d times, apology is %s", tmpl.ID, n, v.Apology)
		}
		if !strings.Contains(text, sample[tmpl.Lang]["staff"]) {
			t.Errorf("%s: nobody speaks", tmpl.ID)
		}
		if v.Kind == casework.Interim && !strings.Contains(v.Body, "{{date}}") {
			t.Errorf("%s: an interim reply says by when", tmpl.ID)
		}
		if strings.ContainsAny(text, "!！") {
			t.Errorf("%s: shouts", tmpl.ID)
		}
	}
}

func TestPlaybooksCoverWhatPages(t *testing.T) {
	books, err := Playbooks()
	if err != nil {
		t.Fatal(err)
	}
	roles := []string{"agent", "approver", "pr_lead", "product", "admin"}
	teams, err := Teams()
	if err != nil {
		t.Fatal(err)
	}
	for _, team := range teams {
		roles = append(roles, team.ID)
	}
	phases := []string{"hear", "empathise", "apologise", "resolve", "diagnose"}
	covered := map[mention.Category]bool{}
	for _, b := range books {
		if err := b.Validate(); err != nil {
			t.Errorf("%s: %v", b.ID, err)
		}
		for _, r := range b.Risks {
			covered[r] = true
		}
		last := 0
		for _, s := range b.Steps {
			phase := slices.Index(phases, s.Phase)
			if phase < last {
				t.Errorf("%s: %q comes too late or is no phase", b.ID, s.Phase)
			}
			last = phase
			if !slices.Contains(roles, s.Who) || s.Text["ja"] == "" || s.Text["en"] == "" {
				t.Errorf("%s: step %q lacks somebody or a language", b.ID, s.Phase)
			}
		}
		if last != len(phases)-1 || b.Never["ja"] == "" || b.Never["en"] == "" || b.Name["ja"] == "" || b.Name["en"] == "" {
			t.Errorf("%s: incomplete", b.ID)
		}
		if (len(b.Law) > 0) != (b.ID == "unreasonable-demand") {
			t.Errorf("%s: law %v", b.ID, b.Law)
		}
		if len(b.Law) > 0 && (!strings.Contains(b.Law["ja"], "法的助言ではありません") || !strings.Contains(b.Law["en"], "not legal advice")) {
			t.Errorf("%s: the law text doesn't say what it is not", b.ID)
		}
	}
	for _, c := range mention.Categories {
		if !covered[c] && c != mention.Churn && c != mention.RepeatContact {
			t.Errorf("no playbook for %s", c)
		}
	}
}

func TestStaffAndTeamsAreValid(t *testing.T) {
	staff, err := Staff()
	if err != nil {
		t.Fatal(err)
	}
	teams, err := Teams()
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, p := range staff {
		account := p.Account()
		if err := account.Validate(); err != nil {
			t.Errorf("%s: %v", p.ID, err)
		}
		if account.PublicName == "" || account.PublicName == account.Name || p.Name["en"] == "" || p.PublicName["en"] == "" {
			t.Errorf("%s: wants a public name apart from the own one, in both languages", p.ID)
		}
		ids = append(ids, p.ID)
	}
	for _, team := range teams {
		for _, m := range team.Members {
			if !slices.Contains(ids, m) {
				t.Errorf("team %s: nobody is called %s", team.ID, m)
			}
		}
	}
}

// What newcomers begin with passes the check that their own words have to pass.
func TestTemplatesAndAnswersPassTheReplyCheck(t *testing.T) {
	check, err := casework.NewChecker(casework.Checks())
	if err != nil {
		t.Fatal(err)
	}
	all := casework.Voice{Packs: casework.Packs}
	for _, tmpl := range templates(t) {
		for _, f := range check.Check(tmpl.Lang, filled(&tmpl, "…"), all) {
			t.Errorf("%s: %s finds %q in %s", tmpl.ID, f.Rule, f.Words, filled(&tmpl, "…"))
		}
	}
	answers, err := Answers()
	if err != nil {
		t.Fatal(err)
	}
	brands, err := Brands()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		if err := a.Validate(); err != nil {
			t.Errorf("%s: %v", a.ID, err)
		}
		for _, f := range check.Check(a.Lang, a.Text, all) {
			t.Errorf("%s: %s finds %q", a.ID, f.Rule, f.Words)
		}
		for _, b := range a.Brands {
			if !slices.ContainsFunc(brands, func(x Brand) bool { return x.ID == b }) {
				t.Errorf("%s: there is no brand %s", a.ID, b)
			}
		}
	}
}

func TestPlaybooksNameTemplatesThatAreThere(t *testing.T) {
	books, err := Playbooks()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range books {
		for _, texts := range []map[string]string{b.Name, b.Offer, b.Hints, b.Never} {
			if texts["ja"] == "" || texts["en"] == "" {
				t.Errorf("%s: want everything in Japanese and English", b.ID)
			}
		}
		for _, id := range b.Templates {
			if !slices.ContainsFunc(templates(t), func(x casework.Template) bool { return x.ID == id }) {
				t.Errorf("%s: there is no template %s", b.ID, id)
			}
		}
		for _, c := range b.Clocks {
			if c.Text["ja"] == "" || c.Text["en"] == "" {
				t.Errorf("%s: a clock wants both languages", b.ID)
			}
		}
	}
}
