package text

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPrivate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"電話は090-1234-5678です", "電話は■です"},
		{"０９０−１２３４−５６７８まで", "■まで"},
		{"03(1234)5678 に何度も", "■ に何度も"},
		{"call me on +81 90 1234 5678 today", "call me on ■ today"},
		{"mika.b@example.co.jp に返事を", "■ に返事を"},
		{"〒150-0002 東京都渋谷区渋谷1-2-3", "〒■ ■"},
		{"注文番号は12345です", "注文番号は■です"},
		{"Order #48213 never came", "Order #■ never came"},
		{"my booking reference is AB12C345X", "my booking reference is ■"},
		{"会員番号：００１２３４５", "会員番号：■"},
		{"I live at 12 Baker Street and waited", "I live at ■ and waited"},
		// What says something and names nobody stays.
		{"2026-11-28に行きました", "2026-11-28に行きました"},
		{"2026年11月28日 10:30に", "2026年11月28日 10:30に"},
		{"20261128発売", "20261128発売"},
		{"返金は12800円です", "返金は12800円です"},
		{"¥128000 gone", "¥128000 gone"},
		{"フォロワー54321人", "フォロワー54321人"},
		{"@mika_b さん", "@mika_b さん"},
		{"https://x.example/status/1234567890123", "https://x.example/status/1234567890123"},
		{"Error 50012 after the update", "Error 50012 after the update"},
		{"", ""},
	} {
		got := tt.in
		found := Private(tt.in)
		for i := len(found) - 1; i >= 0; i-- {
			got = got[:found[i].Start] + "■" + got[found[i].End:]
		}
		if got != tt.want {
			t.Errorf("%q becomes %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestMaskKeepsPlaces(t *testing.T) {
	t.Parallel()
	in := "電話は090-1234-5678、mika@example.jpへ"
	if got, want := Mask(in), "電話は•••-••••-••••、••••@•••••••.••へ"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Mask("なにもない"); got != "なにもない" {
		t.Errorf("%q", got)
	}
}

func FuzzPrivate(f *testing.F) {
	f.Add("電話は090-1234-5678、注文番号12345、mika@example.jp")
	f.Add("＠＠..@a.b 1-1-1-1 〒")
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			s = strings.ToValidUTF8(s, "?")
		}
		if m := Mask(s); utf8.RuneCountInString(m) != utf8.RuneCountInString(s) {
			t.Fatalf("%q has another length than %q", m, s)
		}
		at := 0
		for _, p := range Private(s) {
			if p.Start < at || p.End <= p.Start || p.End > len(s) || !utf8.ValidString(s[p.Start:p.End]) {
				t.Fatalf("%+v after %d in %q", p, at, s)
			}
			at = p.End
		}
	})
}
