package notify

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
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
		for _, r := range outbound.Reasons {
			check(t, seen, "trouble "+string(r), w.troubles[r])
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

func TestFiguresAreSaidInTheReadersLanguage(t *testing.T) {
	last := time.Date(2026, 11, 2, 3, 0, 0, 0, time.UTC)
	tokyo := time.FixedZone("JST", 9*3600)
	for _, c := range []struct {
		origin escalation.Origin
		ground escalation.Ground
		ja, en string
	}{
		{escalation.BySilence, escalation.Ground{Last: last, Usual: 3 * 3600}, "判定の根拠：最後の投稿は2026年11月2日 12:00（普段は約3時間ごと）", "the last post is of 2 November 2026 12:00 JST; usually one comes about every 3 h"},
		{escalation.BySilence, escalation.Ground{Last: last, Usual: 20}, "普段は約1分ごと", "every 1 min"},
		{escalation.BySilence, escalation.Ground{Last: last, Usual: 60 * 3600}, "普段は約3日ごと", "every 3 days"},
		{escalation.ByVolume, escalation.Ground{Count: 24, Usual: 2.5}, "10分間に24件（普段は約2.5件）", "24 within ten minutes; usually about 2.5"},
		{escalation.ByQuota, escalation.Ground{Count: 160, Limit: 200}, "今月160通を送信（上限200通）", "160 of 200 messages sent this month"},
		{escalation.ByCanary, escalation.Ground{Last: last, Usual: 300}, "最後に届いたのは2026年11月2日 12:00", "the last one came on 2 November 2026 12:00 JST"},
		{escalation.ByCanary, escalation.Ground{Usual: 300}, "まだ一度も届いていません", "none has come through yet"},
		{escalation.ByCanary, escalation.Ground{}, "as it was kept", "as it was kept"},
	} {
		for lang, want := range map[string]string{"ja": c.ja, "en": c.en} {
			p := Page{Origin: c.origin, Ground: c.ground, Reason: "as it was kept", Lang: lang, At: last.In(tokyo), Trouble: outbound.Trouble{Reason: outbound.Credentials}}
			got := strings.Join(wordsOf(lang).because(p), "\n")
			if !strings.Contains(got, want) || c.ground != (escalation.Ground{}) && strings.Contains(got, p.Reason) {
				t.Errorf("%s %s: %s", c.origin, lang, got)
			}
			if why := map[string]string{"ja": "取得の状況：認証が通りません", "en": "What stops it: it does not let us in"}[lang]; !strings.Contains(got, why) {
				t.Errorf("%s: no %q in %s", lang, why, got)
			}
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
