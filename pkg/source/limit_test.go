package source

import (
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

func TestLimitsCountAsThePlatformsDo(t *testing.T) {
	t.Parallel()
	x := Limit{Max: 280, Unit: Weighted, URL: 23}
	for _, c := range []struct {
		name, text string
		limit      Limit
		want       int
	}{
		{"Latin counts one on X", "Hello, world", x, 12},
		{"Japanese counts two on X", "こんにちは", x, 10},
		{"half-width kana count two on X", "ｱｸﾒ", x, 6},
		{"a composed letter counts once on X", "e\u0301", x, 1},
		{"an emoji counts two on X however it is joined", "👨‍👩‍👧‍👦", x, 2},
		{"a link counts 23 on X", "see https://example.com/a/very/long/path?with=things", x, 4 + 23},
		{"a domain without a scheme is a link to X", "see example.com/a", x, 4 + 23},
		{"so is one between Japanese", "詳しくはexample.co.jpへ", x, 8 + 23 + 2},
		{"several domains in one run", "example.comとexample.jp", x, 23 + 2 + 23},
		{"a name in another script needs a scheme", "例え.jp", x, 2 + 2 + 3},
		{"with a scheme it is a link", "http://例え.jp/", x, 23},
		{"an e-mail address is none", "help@example.com", x, 16},
		{"an unknown ending is none", "setup.exe and readme.txt", x, 24},
		{"a full stop after a link stays outside", "https://example.com/a.", x, 24},
		{"parentheses in pairs belong to a link", "(https://example.com/a_(b))", x, 25},
		{"a query belongs to a link", "https://example.com?a=b&c=d end", x, 27},
		{"a port belongs to a link", "https://example.com:8080/a", x, 23},
		{"a label over 63 characters is none", "https://" + strings.Repeat("a", 64) + ".com", x, 8 + 68},
		{"X's own links end with their key", "https://t.co/abc、", x, 25},
		{"an emoji with a colour counts two on X", "👍🏽", x, 2},
		{"a flag counts two on X", "🇯🇵", x, 2},
		{"a keycap counts two on X", "1️⃣", x, 2},
		{"a text sign shown as an emoji counts two on X", "©️", x, 2},
		{"a text sign counts one on X", "©", x, 1},
		{"a heart on fire counts two on X", "❤️‍🔥", x, 2},
		{"typographic quotes count one on X", "“it’s”", x, 6},
		{"140 Japanese characters fill a post on X", strings.Repeat("語", 140), x, 280},
		{"a family is one grapheme", "👨‍👩‍👧‍👦", Limit{Unit: Graphemes}, 1},
		{"Japanese takes three bytes", "語", Limit{Unit: UTF8Bytes}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.limit.Count(c.text); got != c.want {
				t.Errorf("%q counts %d, want %d", c.text, got, c.want)
			}
		})
	}
	if !x.Fits(strings.Repeat("語", 140)) || x.Fits(strings.Repeat("語", 140)+"a") {
		t.Error("X takes 280, no more")
	}
}

func TestWeightedCountsAddUp(t *testing.T) {
	x := Limit{Max: 280, Unit: Weighted, URL: 23}
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`([a-zぁ-ん]{1,8}[ .。/]){0,6}`))
	rapid.Check(t, func(t *rapid.T) {
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		if got, want := x.Count(a+" "+b), x.Count(a)+1+x.Count(b); got != want {
			t.Errorf("%q and %q count %d, together %d", a, b, want-1, got)
		}
		if got, want := x.Count(norm.NFD.String(a)), x.Count(a); got != want {
			t.Errorf("%q counts %d, taken apart %d", a, want, got)
		}
		if n := x.Count(a); n < 0 || a != "" && n == 0 {
			t.Errorf("%q counts %d", a, n)
		}
	})
}

func TestEveryLinkCountsTheSame(t *testing.T) {
	x := Limit{Max: 280, Unit: Weighted, URL: 23}
	link := rapid.StringMatching(`(https?://)?([a-z][a-z0-9]{0,9}\.){1,3}(com|jp|co\.jp|shop)(/[a-zA-Z0-9_=]{1,20}){0,3}`)
	rapid.Check(t, func(t *rapid.T) {
		l := link.Draw(t, "link")
		if got := x.Count("見て " + l + "。"); got != 5+23+2 {
			t.Errorf("%q counts %d", l, got-7)
		}
	})
}
