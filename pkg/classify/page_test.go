package classify

import (
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

func TestWhatPages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		page bool
	}{
		"threat with a grievance":              {"壊れた商品の返金がなければSNSに公開します", true},
		"the same in English":                  {"Refund my broken order or I'll post this all over Twitter", true},
		"bare hint":                            {"口コミって怖いですよね。対応、考え直したほうがいいんじゃないですか", false},
		"bare hint in English":                 {"Funny how quickly reviews can change a restaurant's fortunes.", false},
		"extortion without a grievance":        {"タダで食わせてくれないなら低評価つけるぞ", false},
		"extortion in English":                 {"Comp us a free dessert or it's one star from me", false},
		"review bombing for fun":               {"lets all 1 star this app for fun", false},
		"posting denied":                       {"I will not post this anywhere, I just want a refund", false},
		"asking whether posting is allowed":    {"店内の写真をSNSに載せてもいいですか？", false},
		"asking in English":                    {"Am I allowed to post this on Twitter?", false},
		"something nice":                       {"美味しすぎてSNSで拡散します！", false},
		"another company's storm":              {"他社さんがSNSで炎上してる。晒されたらしい", false},
		"hot food":                             {"火が出るほど辛いけど最高", false},
		"killer burger":                        {"That killer burger is amazing", false},
		"fire in a product":                    {"充電中に本体から火が出て床が焦げました", true},
		"mould without injury":                 {"パンにカビが生えてた", false},
		"news of the brand's own leak":         {"〇〇社、顧客情報12万件が流出　不正アクセスか", true},
		"always: violence":                     {"お前んとこの店、火つけたろか", true},
		"always: data":                         {"I can see somebody else's orders and home address", true},
		"always: press":                        {"新聞社の者です。取材をお願いできますでしょうか", true},
		"always: authority":                    {"This is the city health department. Please contact us.", true},
		"always: a person at risk":             {"I want to die. This was my last savings.", true},
		"legal threat":                         {"弁護士に相談しています。返金してください", true},
		"an advert":                            {"【拡散希望】フォロー＆リポストで10名様にプレゼント", false},
		"complaint without a threat":           {"30分並んで売り切れと言われた。最悪", false},
		"lyrics":                               {"歌詞の「世界に晒せ」ってところが好き", false},
		"threat that somebody else was told":   {"クレーマーに「SNSに晒すぞ」と言われたバイトの子がかわいそう", false},
		"threat in the customer's mouth, post": {"客に「ネットに書くぞ」って言われた", false},
	} {
		v := verdict(c.text)
		if v.Page != c.page {
			t.Errorf("%s: %q pages %v (%s), want %v; %+v", name, c.text, v.Page, v.PageReason, c.page, v.Risks)
		}
	}
}

// TestSayingItOftenSaysNoMore: what is harmless once is harmless fifty times, or a
// cheer would wake people.
func TestSayingItOftenSaysNoMore(t *testing.T) {
	t.Parallel()
	for _, once := range []string{"あ", "ありがとう", "!", "w", "草", "happy ", "おめでとう！", "no ", "🔥", "ha"} {
		for _, n := range []int{50, 500, 10_000} {
			for _, brand := range []string{"", "くもカフェ ", "Kumo Café "} {
				if v := verdict(brand + strings.Repeat(once, n)); v.Page {
					t.Errorf("%s%q %d times pages: %s, %+v", brand, once, n, v.PageReason, v.Risks)
				}
			}
		}
	}
}

func TestContactNotesReportThreats(t *testing.T) {
	t.Parallel()
	text := "電話。交換が遅いとご立腹で「明日までに連絡がなければネットに書く」とのこと。"
	note := mention.Mention{Post: mention.Post{Kind: mention.KindNote, Text: text, PublishedAt: published}}
	v := shared.Verdict(&note)
	if !v.Page || !v.Has(mention.PublicityThreat) {
		t.Errorf("a note that reports a threat does not page: %+v", v)
	}
}

func TestSpansCountCodePointsOfTitleAndText(t *testing.T) {
	t.Parallel()
	m := mention.Mention{Post: mention.Post{Title: "ｸﾚｰﾑです👨‍👩‍👧", Text: "返金しないなら\nＳＮＳで晒すぞ！"}}
	v := shared.Verdict(&m)
	if len(v.Risks) == 0 {
		t.Fatal("no risk")
	}
	r := v.Risks[0]
	got := string([]rune(m.Content())[r.Start:r.End])
	if !strings.Contains(got, "晒す") || strings.Contains(got, "！") {
		t.Errorf("span is %q", got)
	}
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"配送が遅い": "ja", "至急連絡求": "ja", "Windowsが重い": "ja", "iPhone 15 Pro Max case カバー": "ja",
		"The parcel never came": "en", "refund pls": "en", "lol": "en",
		"El pedido no ha llegado y nadie contesta": "other", "Das Paket ist nicht angekommen": "other",
		"这个东西太贵了，我们不会再买": "other", "배송이 너무 늦어요": "other", "Посылка не пришла": "other", "😂😂": "other", "": "other",
	} {
		if v := verdict(text); v.Lang != want {
			t.Errorf("%q is %s, want %s", text, v.Lang, want)
		}
	}
}

func TestCompanyRulesUseTheBuiltInListsAndGuards(t *testing.T) {
	t.Parallel()
	own := RuleFile{Name: "acme.yaml", Data: []byte(`
lang: en
label: safety_hazard
rules:
  - name: acme.wobbly_ladder
    patterns: ["(skyline|acme) ladder* ~ wobbl*"]
    weight: 0.8
    harm: true
    guards: [negated, fiction]
    examples: [My Skyline ladder wobbles]
    counter_examples: [My Skyline ladder is solid]
`)}
	c, err := New(Options{Rules: []RuleFile{own}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Version() == shared.Version() {
		t.Error("other rules, same version")
	}
	v := c.Verdict(&mention.Mention{Post: mention.Post{Text: "My Skyline ladder wobbles, it scares me"}})
	if !v.Page || v.PageReason != "safety_hazard: acme.wobbly_ladder" {
		t.Errorf("%+v", v)
	}
}

func TestEveryMistakeInRuleFilesIsNamed(t *testing.T) {
	t.Parallel()
	_, err := New(Options{Rules: []RuleFile{
		{Name: "a.yaml", Data: []byte("label: churn\nunknown: 1\n")},
		{Name: "b.yaml", Data: []byte("label: churn\nrules: [{name: x, patterns: ['(a'], weight: 1, examples: [a], counter_examples: [b]}, {name: y, patterns: [a], weight: 7, examples: [a], counter_examples: [b]}]")},
		{Name: "c.yaml", Data: []byte("label: churn\nrules: [{name: z, patterns: ['<nolist>'], weight: 1, examples: [a], counter_examples: [b]}, {name: w, patterns: [a], weight: 1}]")},
	}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"a.yaml", "unknown", `rule "x"`, `missing ")"`, `rule "y"`, "weight 7", "no list <nolist>", "needs examples"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in the error:\n%v", want, err)
		}
	}
}

func TestVerdictsAreSafeAtTheSameTime(t *testing.T) {
	t.Parallel()
	want := verdict("返金しないならSNSで晒すぞ")
	done := make(chan bool)
	for range 8 {
		go func() {
			same := true
			for range 200 {
				v := verdict("返金しないならSNSで晒すぞ")
				same = same && v.Story == want.Story && v.Page == want.Page && len(v.Risks) == len(want.Risks)
				verdict("Best coffee in town")
			}
			done <- same
		}()
	}
	for range 8 {
		select {
		case same := <-done:
			if !same {
				t.Error("verdicts differ")
			}
		case <-time.After(time.Minute):
			t.Fatal("no answer")
		}
	}
}
