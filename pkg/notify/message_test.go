package notify

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/mention"
)

func TestEveryPageHasWordsInBothLanguages(t *testing.T) {
	for _, w := range []*words{&japanese, &english} {
		seen := map[string]string{}
		for _, c := range mention.Categories {
			check(t, seen, string(c), w.categories[c])
		}
		for _, o := range escalation.Origins {
			check(t, seen, string(o), w.origins[o])
			check(t, seen, "reason "+string(o), w.reasons[o])
		}
		for _, p := range []string{"x", "bluesky", "mastodon", "appstore", "hackernews", "web", "note"} {
			check(t, seen, p, w.platforms[p])
		}
	}
	for c := range japanese.care {
		if english.care[c] == "" {
			t.Errorf("%s: what to mind is told in Japanese alone", c)
		}
	}
}

func check(t *testing.T, seen map[string]string, what, words string) {
	t.Helper()
	if words == "" {
		t.Errorf("no words for %s", what)
	} else if other := seen[words]; other != "" {
		t.Errorf("%s and %s are both %q", what, other, words)
	}
	seen[words] = what
}

func TestCompose(t *testing.T) {
	t.Run("a note asks for nothing but a look", func(t *testing.T) {
		p := samplePage("en")
		p.Urgency = escalation.Notify
		got := compose(p, true)
		if text := got.plain(); strings.Contains(text, p.AckURL) || strings.Contains(text, "Until somebody") {
			t.Errorf("%s", text)
		}
	})
	t.Run("a headline that opens the excerpt is told once", func(t *testing.T) {
		p := samplePage("en")
		p.Title, p.Excerpt = "Burnt", "Burnt My hand is red"
		if text := compose(p, true).plain(); strings.Count(text, "Burnt") != 1 {
			t.Errorf("%s", text)
		}
	})
	t.Run("an unknown platform is named as it is", func(t *testing.T) {
		p := samplePage("en")
		p.Platform = "kumo-forum"
		if text := compose(p, true).plain(); !strings.Contains(text, "Posted on kumo-forum by aoi_x") {
			t.Errorf("%s", text)
		}
	})
	t.Run("an acknowledgement names who has it and no author", func(t *testing.T) {
		p := ended(samplePage("ja"), escalation.Acknowledge)
		if text := compose(p, true).plain(); !strings.Contains(text, "田中さんが") || strings.Contains(text, p.Author) {
			t.Errorf("%s", text)
		}
	})
	t.Run("a colleague's note is told only where posts are quoted", func(t *testing.T) {
		p := samplePage("ja")
		p.Origin, p.Reason = escalation.ByHand, "「訴える」と言われました"
		if text := compose(p, true).plain(); !strings.Contains(text, "担当者から：「訴える」") {
			t.Errorf("%s", text)
		}
		if text := compose(p, false).plain(); strings.Contains(text, "訴える") {
			t.Errorf("%s", text)
		}
	})
	t.Run("nobody known is a colleague", func(t *testing.T) {
		p := ended(samplePage("ja"), escalation.Resolve)
		p.By = ""
		if text := compose(p, true).plain(); !strings.Contains(text, "担当者がこの件を") {
			t.Errorf("%s", text)
		}
	})
}

func TestCutRunes(t *testing.T) {
	for _, tt := range []struct {
		s    string
		n    int
		want string
	}{{"", 3, ""}, {"あいう", 3, "あいう"}, {"あいうえ", 3, "あい…"}, {"abc", 1, "…"}} {
		if got := cutRunes(tt.s, tt.n); got != tt.want {
			t.Errorf("cut %q to %d: %q, want %q", tt.s, tt.n, got, tt.want)
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// FuzzMessages holds every outgoing form to its limits, whatever the post says.
func FuzzMessages(f *testing.F) {
	f.Add("Kumo", "title", "<!channel> <@U1> & all", "aoi", "x", "ja")
	f.Add("Kumo\r\nBcc: a@b", "\u202egnp", strings.Repeat("&<>", 2000), "\x00", "web", "en")
	f.Add(strings.Repeat("雲", 2000), "", strings.Repeat("😀", 3000), "", "", "ja")
	f.Fuzz(func(t *testing.T, brand, title, excerpt, author, platform, lang string) {
		p := samplePage(lang)
		p.Brand, p.Title, p.Excerpt, p.Author, p.Platform = brand, title, excerpt, author, platform
		m := compose(p, true)
		if text := m.Subject + m.plain(); !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\r\u202e\u2066") || strings.Contains(m.Subject, "\n") {
			t.Fatalf("unclean: %q", text)
		}
		s := slackSet(m, p.Action)
		for _, b := range s.Blocks {
			if b.Text == nil {
				continue
			}
			limit := slackSection
			if b.Type == "header" {
				limit = slackHeader
			}
			if n := utf8.RuneCountInString(b.Text.Text); n > limit {
				t.Fatalf("%s of %d characters", b.Type, n)
			}
			if b.Text.Type != "mrkdwn" {
				continue
			}
			if n := len(utf16.Encode([]rune(b.Text.Text))); n > limit {
				t.Fatalf("%s of %d UTF-16 units", b.Type, n)
			}
			rest := b.Text.Text
			for _, e := range []string{"&amp;", "&lt;", "&gt;"} {
				rest = strings.ReplaceAll(rest, e, "")
			}
			if strings.ContainsAny(rest, "<>&") {
				t.Fatalf("not escaped: %q", rest)
			}
		}
		if _, err := json.Marshal(s); err != nil {
			t.Fatal(err)
		}
	})
}
