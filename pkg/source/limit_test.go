package source

import (
	"strings"
	"testing"
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
