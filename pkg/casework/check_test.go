package casework

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func TestShippedChecksHoldTheirExamples(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range Checks() {
		if seen[r.ID] {
			t.Errorf("%s: twice", r.ID)
		}
		seen[r.ID] = true
		if r.Name["ja"] == "" || r.Name["en"] == "" || r.Why["ja"] == "" || r.Why["en"] == "" {
			t.Errorf("%s: want its name and why in Japanese and English", r.ID)
		}
		if err := r.Validate(); err != nil {
			t.Errorf("%s: %v", r.ID, err)
		}
	}
}

// TestCheckFindsWhatAnEditorWouldMark holds the shipped rules to labelled
// replies, and prints how each rule does (-v).
func TestCheckFindsWhatAnEditorWouldMark(t *testing.T) {
	t.Parallel()
	c, err := NewChecker(Checks())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		lang              string
		precision, recall float64
	}{{"ja", 0.95, 0.9}, {"en", 0.95, 0.9}} {
		raw, err := os.ReadFile("testdata/check/" + tt.lang + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		var file map[string][]string
		if err := yaml.Unmarshal(raw, &file); err != nil {
			t.Fatal(err)
		}
		labels := map[string][]string{}
		for rule, texts := range file {
			if rule != "clean" && !slices.ContainsFunc(c.rules, func(r checker) bool { return r.ID == rule }) {
				t.Errorf("%s: there is no rule %s", tt.lang, rule)
			}
			for _, text := range texts {
				if labels[text] == nil {
					labels[text] = []string{}
				}
				if rule != "clean" {
					labels[text] = append(labels[text], rule)
				}
			}
		}
		if len(labels) < 200 {
			t.Errorf("%s: %d labelled replies, want 200", tt.lang, len(labels))
		}
		hits, wrong, missed := map[string]int{}, map[string]int{}, map[string]int{}
		var h, w, m int
		for text, want := range labels {
			var got []string
			for _, f := range c.Check(tt.lang, text, Voice{Packs: Packs}) {
				if !slices.Contains(got, f.Rule) {
					got = append(got, f.Rule)
				}
			}
			for _, rule := range got {
				if slices.Contains(want, rule) {
					hits[rule]++
					h++
				} else {
					wrong[rule]++
					w++
					t.Logf("%s: %s found in %q", tt.lang, rule, text)
				}
			}
			for _, rule := range want {
				if !slices.Contains(got, rule) {
					missed[rule]++
					m++
					t.Logf("%s: %s missed in %q", tt.lang, rule, text)
				}
			}
		}
		for _, r := range c.rules {
			if n := hits[r.ID] + wrong[r.ID] + missed[r.ID]; n > 0 {
				t.Logf("%s %-28s right %2d, wrong %d, missed %d", tt.lang, r.ID, hits[r.ID], wrong[r.ID], missed[r.ID])
			}
		}
		precision, recall := float64(h)/float64(h+w), float64(h)/float64(h+m)
		t.Logf("%s: %d replies, precision %.3f, recall %.3f", tt.lang, len(labels), precision, recall)
		if precision < tt.precision || recall < tt.recall {
			t.Errorf("%s: precision %.3f, recall %.3f; want %.2f and %.2f", tt.lang, precision, recall, tt.precision, tt.recall)
		}
	}
}

func TestCheckMarksTheWords(t *testing.T) {
	t.Parallel()
	c, err := NewChecker(Checks())
	if err != nil {
		t.Fatal(err)
	}
	v := Voice{Contacts: []string{"03-1234-5678", "care@acme.example"}, Words: []Wording{{Avoid: "ユーザー", Prefer: "お客様"}, {Avoid: "guys"}}}
	for _, tt := range []struct{ name, lang, text, want string }{
		{"nothing", "ja", "お知らせくださり、ありがとうございます。", ""},
		{"empty", "ja", "", ""},
		{"width and kana are folded, and the words stay as written", "ja", "ｼｽﾃﾑの都合で遅れました。", "ja-blames-system:ｼｽﾃﾑの都合"},
		{"the brand's own telephone", "ja", "03-1234-5678でうかがいます。", ""},
		{"another telephone", "ja", "03-9999-5678でうかがいます。", "personal-phone:03-9999-5678"},
		{"the brand's own address", "en", "Write to CARE@acme.example any time.", ""},
		{"the brand's words", "ja", "ユーザー様のお声です。", "voice:ユーザー"},
		{"whole words only", "en", "The disguise fits you guys.", "voice:guys"},
		{"a reply in English on a Japanese post", "ja", "It's company policy.", "en-policy:It's company policy"},
		{"two of them in order", "ja", "規定ですので、できません。", "ja-policy:規定ですので ja-cannot:できません"},
		{"in a second line", "ja", "佐久間です。\n弁護士と相談します。", "ja-legal:弁護士"},
		{"a number with a stop is no end of a sentence", "en", "No. 12 is ready. We don't know why.", "en-dont-know:We don't know"},
		{"packs only when chosen", "ja", "了解しました。", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range c.Check(tt.lang, tt.text, v) {
				got = append(got, f.Rule+":"+f.Words)
				if r := []rune(tt.text); string(r[f.Start:f.End]) != f.Words {
					t.Errorf("%d to %d is %q, not %q", f.Start, f.End, string(r[f.Start:f.End]), f.Words)
				}
			}
			if g := strings.Join(got, " "); g != tt.want {
				t.Errorf("%s, want %s", g, tt.want)
			}
		})
	}
	if got := c.Check("ja", "了解しました。", Voice{Packs: []string{"keigo"}}); len(got) != 1 || got[0].Block {
		t.Errorf("with the pack: %v", got)
	}
}

func TestCheckRuleValidate(t *testing.T) {
	t.Parallel()
	good := func() CheckRule {
		return CheckRule{
			ID: "x", Lang: "en", Name: map[string]string{"en": "X"}, Why: map[string]string{"en": "Because."},
			Phrases: []string{"no (way|chance)"}, Examples: []string{"No way!"}, Counter: []string{"A way, no less."},
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*CheckRule)
		want   string
	}{
		{"good", func(*CheckRule) {}, ""},
		{"no such language", func(r *CheckRule) { r.Lang = "de" }, "lang"},
		{"no such pack", func(r *CheckRule) { r.Pack = "law" }, "pack"},
		{"a pack that blocks", func(r *CheckRule) { r.Pack, r.Block = "keigo", true }, "block"},
		{"no reason", func(r *CheckRule) { r.Why = nil }, "why"},
		{"nothing to find", func(r *CheckRule) { r.Phrases = nil }, "phrases"},
		{"a bracket left open", func(r *CheckRule) { r.Phrases = []string{"no (way"} }, "phrases[0]"},
		{"everything", func(r *CheckRule) { r.Phrases = []string{"(a)?"} }, "phrases[0]"},
		{"a regular expression with a group", func(r *CheckRule) { r.Phrases = []string{"/n(o)/"} }, "phrases[0]"},
		{"no such list", func(r *CheckRule) { r.Unless = []string{"<never>"} }, "unless[0]"},
		{"too long", func(r *CheckRule) { r.UnlessText = []string{strings.Repeat("a", 2001)} }, "unless_text[0]"},
		{"an example it does not find", func(r *CheckRule) { r.Examples = append(r.Examples, "Nope.") }, "examples[1]"},
		{"a counter-example it finds", func(r *CheckRule) { r.Counter = append(r.Counter, "No chance.") }, "counter_examples[1]"},
		{"no counter-example", func(r *CheckRule) { r.Counter = nil }, "counter_examples"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := good()
			tt.change(&r)
			err := r.Validate()
			if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one about %q", err, tt.want)
			}
		})
	}
}

func TestWhatMustNotBePublicDoesNotLeave(t *testing.T) {
	t.Parallel()
	c, err := NewChecker(Checks())
	if err != nil {
		t.Fatal(err)
	}
	d := newDesk(complaint("遅い"))
	d.checker, d.rules = c, Rules{Rows: []Rule{{Needs: false}}}
	write := func(text string) {
		v := 0
		if s := d.fold(); s.Draft != nil {
			v = s.Draft.Version
		}
		if _, err := d.do(ann, Write{Version: v, Text: text, Lang: "ja"}); err != nil {
			t.Fatal(err)
		}
	}
	write("弁護士に相談します。")
	for _, cmd := range []Command{Submit{}, Send{Hash: d.hash()}, MarkPosted{Hash: d.hash(), URL: "https://x.example/1"}} {
		_, err := d.do(ann, cmd)
		if r, ok := errors.AsType[*Refused](err); !ok || r.Code != CodeCheck || len(r.Findings) != 1 || r.Findings[0].Words != "弁護士" {
			t.Errorf("%T: %v", cmd, err)
		}
	}
	write("規定ですので、お待ちください。") // only warned of
	if _, err := d.do(ann, Send{Hash: d.hash()}); err != nil {
		t.Error(err)
	}
}

func FuzzCheck(f *testing.F) {
	c, err := NewChecker(Checks())
	if err != nil {
		f.Fatal(err)
	}
	f.Add("ja", "規定ですので、090-1234-5678へ。できません！\n申し訳ありません", "ユーザー(")
	f.Add("en", "No. 12. We can't—sorry, sorry\x00\xff", "/a*/")
	f.Fuzz(func(t *testing.T, lang, text, word string) {
		for _, x := range c.Check(lang, text, Voice{Packs: Packs, Words: []Wording{{Avoid: word}}}) {
			if r := []rune(text); x.Start < 0 || x.End > len(r) || x.Start >= x.End || string(r[x.Start:x.End]) != x.Words {
				t.Fatalf("%+v", x)
			}
		}
	})
}
