package text

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestFold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"empty text stays empty", "", ""},
		{"upper case becomes lower case", "ACME Corp", "acme corp"},
		{"full-width Latin becomes ASCII", "ＡＣＭＥ　１２３", "acme 123"},
		{"katakana becomes hiragana", "アクメ", "あくめ"},
		{"half-width kana become hiragana with voiced marks", "ｱｸﾞﾒﾊﾟｰｸ", "あぐめぱーく"},
		{"vu and small kana fold as well", "ヴァイオリン ヵヶッャ", "ゔぁいおりん ゕゖっゃ"},
		{"half-width vu composes", "ｳﾞｧ", "ゔぁ"},
		{"spacing voiced marks voice the kana before", "か゛は゜", "がぱ"},
		{"decomposed voiced marks compose", "ハ\u3099ッグ", "ばっぐ"},
		{"the long-vowel mark stays", "サーバー", "さーばー"},
		{"voiced and unvoiced stay apart", "ハバパ", "はばぱ"},
		{"Latin accents go", "Café Crème Ångström Ñandú", "cafe creme angstrom nandu"},
		{"combining accents go", "Cafe\u0301", "cafe"},
		{"stacked marks on Latin letters go", "a\u0337c\u0337m\u0337e\u0337", "acme"},
		{"undecomposed Latin letters become plain", "Straße Ørsted Łódź Æon ıĞ", "strasse orsted lodz aeon ig"},
		{"other scripts keep their marks", "Йога ά", "йога ά"},
		{"final sigma is sigma", "ΟΔΟΣ ος", "οδοσ οσ"},
		{"quotes become plain", "“Acme’s” ‘x’", `"acme's" 'x'`},
		{"dashes become plain", "a–b—c−d‐e", "a-b-c-d-e"},
		{"wave dashes become tildes", "〜～∼", "~~~"},
		{"invisible characters go", "a\u200bc\u00adm\ufe0fe\u202e\ufeff", "acme"},
		{"an invisible character does not part a kana from its mark", "は\u200b\u3099", "ば"},
		{"white space runs become one space and none at the ends", " \t a \n\u3000 b  ", "a b"},
		{"control characters go", "a\x00b\x1bc\u0090", "abc"},
		{"invalid bytes become the replacement character", "a\xffb", "a\ufffdb"},
		{"square words open up", "㍿アクメ㌔", "株式会社あくめきろ"},
		{"emoji stay", "👍🏽 最高", "👍🏽 最高"},
		{"emoji presentation does not matter", "❤️", "❤"},
		{"compatibility kanji unify", "⼀神", "一神"},
		{"hangul letters join into syllables", "ㄱㅡ ｱ", "그 あ"},
		{"long runs of hangul vowels stay", "ㅠㅠㅠㅠㅠㅠㅠㅠㅠㅠㅠㅠㅠㅠ", "\u1172\u1172\u1172\u1172\u1172\u1172\u1172\u1172\u1172\u1172\u1172\u1172\u1172\u1172"},
		{"no more than ten marks stay on a letter", "й" + strings.Repeat("\u0301", 50), "й" + strings.Repeat("\u0301", 9)},
		{"a lone diaeresis is a mark on nothing", "a ¨b", "a \u0308b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := Fold(c.in); got != c.want {
				t.Errorf("Fold(%+q) = %+q, want %+q", c.in, got, c.want)
			}
		})
	}
}

func TestFoldOfEveryRuneIsStable(t *testing.T) {
	t.Parallel()
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) || unicode.In(r, unicode.Unified_Ideograph, unicode.Hangul, unicode.Co, unicode.Cn) {
			continue
		}
		c := string(r)
		checkFold(t, c+" a"+c+"b カ"+c+"\u3099 Ρ"+c+"\u0313 "+c)
		if t.Failed() {
			return
		}
	}
}

func checkFold(t *testing.T, s string) {
	t.Helper()
	once := Fold(s)
	if twice := Fold(once); twice != once {
		t.Errorf("Fold(Fold(%+q)) = %+q, want %+q", s, twice, once)
	}
	if !utf8.ValidString(once) {
		t.Errorf("Fold(%+q) = %+q is not UTF-8", s, once)
	}
	if got := string(AppendFold([]byte("x"), s)); got != "x"+once {
		t.Errorf("AppendFold(x, %+q) = %+q, want x and %+q", s, got, once)
	}
}

func TestFoldAllocatesNothingForFoldedText(t *testing.T) {
	for _, s := range []string{"acme broke again, #fail 2024", "あくめの新製品が届いた。最高"} {
		if n := testing.AllocsPerRun(10, func() { Fold(s) }); n != 0 {
			t.Errorf("Fold(%q) allocated %v times, want none", s, n)
		}
	}
	var f Folded
	text := "アクメの Café ＡＣＭＥ " + strings.Repeat("x", 300)
	f.Reset(text)
	if n := testing.AllocsPerRun(10, func() { f.Reset(text) }); n != 0 {
		t.Errorf("Reset allocated %v times, want none", n)
	}
}

func TestSpanPointsBackToTheSource(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, find, want string }{
		{"plain text", "I like acme shoes", "acme", "acme"},
		{"upper case", "I like ACME shoes", "acme", "ACME"},
		{"half-width kana are two characters for one", "新しいｱｸﾞﾒだよ", "あぐめ", "ｱｸﾞﾒ"},
		{"after an opened square word", "㍿アクメだ", "あくめ", "アクメ"},
		{"a part of a square word stands for the whole", "㍿アクメだ", "会社", "㍿"},
		{"across white space", "big  \n acme", "big acme", "big  \n acme"},
		{"leading white space is not part", "   acme", "acme", "acme"},
		{"combining accents belong to their letter", "le cafe\u0301 noir", "cafe", "cafe\u0301"},
		{"invisible characters within are covered", "ac\u200bme!", "acme", "ac\u200bme"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := FoldMap(c.in)
			i := strings.Index(f.Text, c.find)
			if i < 0 {
				t.Fatalf("%q is not in %q", c.find, f.Text)
			}
			from, to := f.Span(i, i+len(c.find))
			if got := string([]rune(c.in)[from:to]); got != c.want {
				t.Errorf("span of %q in %+q = %+q, want %+q", c.find, c.in, got, c.want)
			}
		})
	}
}

func FuzzFold(f *testing.F) {
	for _, s := range []string{"", "ACME", "ｱｸﾞﾒ", "は\u200b\u3099", " a  b ", "e\u0301\u3099", "\xff\xfe", "㍿", "ᄀ\u1161\u11a8", "Ρ\u0313", "¨ ゛", "\u0344\u0344"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		checkFold(t, s)
		m := FoldMap(s)
		if m.Text != Fold(s) {
			t.Fatalf("FoldMap(%+q).Text = %+q, want %+q", s, m.Text, Fold(s))
		}
		total := utf8.RuneCountInString(s)
		lastFrom, lastTo := 0, 0
		for i := range m.Text {
			_, size := utf8.DecodeRuneInString(m.Text[i:])
			from, to := m.Span(i, i+size)
			if from < lastFrom || to < lastTo || from >= to || to > total {
				t.Fatalf("Span(%d, %d) of %+q = %d, %d after %d, %d of %d", i, i+size, s, from, to, lastFrom, lastTo, total)
			}
			lastFrom, lastTo = from, to
		}
		if from, to := m.Span(-1, len(m.Text)+1); from < 0 || to > total {
			t.Fatalf("Span of all of %+q = %d, %d of %d", s, from, to, total)
		}
	})
}

func BenchmarkFold(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"folded ASCII", strings.Repeat("the new acme shoes broke after two days. ", 6)},
		{"mixed-case ASCII", strings.Repeat("The new Acme shoes broke after two days. ", 6)},
		{"Japanese", strings.Repeat("アクメの新しい靴が二日で壊れました。", 5)},
		{"half-width kana", strings.Repeat("ｱｸﾞﾒﾊﾟｰｸ", 12)},
		{"accented Latin", strings.Repeat("Le café était très cassé après deux jours. ", 6)},
	} {
		b.Run(c.name, func(b *testing.B) {
			var f Folded
			b.SetBytes(int64(len(c.text)))
			b.ReportAllocs()
			for b.Loop() {
				f.Reset(c.text)
			}
		})
	}
}
