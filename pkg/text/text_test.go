package text

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestIsBoundary(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		text string // "|" marks the place
		want bool
	}{
		{"the beginning is a boundary", "|acme", true},
		{"the end is a boundary", "acme|", true},
		{"letters join", "acme|town", false},
		{"a digit joins", "acme|2", false},
		{"an underscore joins", "acme|_jp", false},
		{"an accented letter joins", "caf|é", false},
		{"a combining accent joins", "cafe|\u0301", false},
		{"a hyphen parts", "acme|-town", true},
		{"an apostrophe parts", "acme|'s", true},
		{"Latin and kana part", "Acme|の", true},
		{"kanji and Latin part", "株式会社|Acme", true},
		{"kana always part", "アク|メ", true},
		{"hangul always part", "애플|은", true},
		{"Cyrillic letters join", "йо|га", false},
		{"an emoji parts", "acme|👍", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			i := strings.Index(c.text, "|")
			if got := IsBoundary(strings.Replace(c.text, "|", "", 1), i); got != c.want {
				t.Errorf("boundary at %q = %v, want %v", c.text, got, c.want)
			}
		})
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"words without what parts them", "the acme_jp's 2nd, shoe-box", "w:the w:acme_jp w:s w:2nd w:shoe w:box"},
		{"Japanese and Latin mixed", "acmeの新製品、最高", "w:acme c:の新製品 c:最高"},
		{"long vowels and iteration marks stay in the run", "さーばー々", "c:さーばー々"},
		{"emoji are tokens with their modifiers", "good👍🏽👨‍👩‍👧 ❤", "w:good e:👍🏽 e:👨‍👩‍👧 e:❤"},
		{"flags are one token", "🇯🇵🇺🇸", "e:🇯🇵 e:🇺🇸"},
		{"the middle dot parts", "あ・い", "c:あ c:い"},
		{"hangul", "애플은 good", "c:애플은 w:good"},
		{"nothing to find", " …!? ", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for tok := range Tokens(c.in) {
				got = append(got, string("wce"[tok.Kind])+":"+tok.Text)
			}
			if g := strings.Join(got, " "); g != c.want {
				t.Errorf("tokens of %q = %q, want %q", c.in, g, c.want)
			}
		})
	}
}

func TestBigrams(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "新": "新", "新製": "新製", "新製品だ": "新製 製品 品だ"} {
		var got []string
		for i, b := range Bigrams(in) {
			if in[i:i+len(b)] != b {
				t.Errorf("bigram %q of %q is not at %d", b, in, i)
			}
			got = append(got, b)
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("bigrams of %q = %q, want %q", in, g, want)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   string
		n    int
		want string
	}{
		{"short text stays", "acme", 10, "acme"},
		{"text of just the length stays", "acme", 4, "acme"},
		{"one line from many", "a\n\n b", 10, "a b"},
		{"Latin is cut at a word", "the quick brown fox jumps", 18, "the quick brown…"},
		{"a very long word is cut where it must", "thequickbrownfoxjumps", 10, "thequickb…"},
		{"Japanese is cut anywhere", "新製品が届きました", 6, "新製品が届…"},
		{"no long vowel is left over", "新しいサーバー", 5, "新しい…"},
		{"no small kana is left over", "最高のチャンス", 5, "最高の…"},
		{"no opening bracket stays at the end", "それは「最高」", 5, "それは…"},
		{"a comma before the cut goes", "hello, world", 8, "hello…"},
		{"emoji are not broken", "👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧", 2, "👨‍👩‍👧…"},
		{"room for one", "hello", 1, "…"},
		{"room for none", "hello", 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := Cut(c.in, c.n); got != c.want {
				t.Errorf("Cut(%q, %d) = %q, want %q", c.in, c.n, got, c.want)
			}
		})
	}
}

func TestValid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"clean text stays", "Acme\tの\n新製品 👍", "Acme\tの\n新製品 👍"},
		{"each bad byte is replaced", "a\xff\xfeb", "a\ufffd\ufffdb"},
		{"line ends become newlines", "a\r\nb\rc\u2028d\u0085e", "a\nb\nc\nd\ne"},
		{"control characters go", "a\x00\x1b[31mb\u009bc\x7f", "a[31mbc"},
		{"direction overrides go", "a\u202eb", "ab"},
		{"embedded and isolated directions go, marks stay", "a\u202bb\u2067c\u2069\u200fd", "abc\u200fd"},
		{"noncharacters go", "a\uffffb\ufdd0", "ab"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := Valid(c.in); got != c.want {
				t.Errorf("Valid(%+q) = %+q, want %+q", c.in, got, c.want)
			}
		})
	}
}

func TestSeen(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		"": false, " \u3000\n": false, "\u200b\u2060\u200f\u00ad": false, "\u2800\u3164\u115f": false, "\ufe0f\u034f": false,
		"a": true, "。": true, "👩‍👧": true, " \u200bあ": true, "\u0301": true,
	} {
		if got := IsSeen(in); got != want {
			t.Errorf("IsSeen(%+q) = %v", in, got)
		}
	}
}

func TestGraphemes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int{"": 0, "acme": 4, "a\r\nb": 3, "がぎ": 2, "か\u3099": 1, "👨‍👩‍👧": 1, "🇯🇵x": 2, "e\u0301": 1} {
		if got := Graphemes(in); got != want {
			t.Errorf("Graphemes(%+q) = %d, want %d", in, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "the quick、brown", "サーバー「新」", "a\r\r\nb\xff", "👍🏽🇯🇵", "ภาษาไทย か\u3099"} {
		f.Add(s, 5)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		clean := Valid(s)
		if !utf8.ValidString(clean) || Valid(clean) != clean {
			t.Fatalf("Valid(%+q) = %+q", s, clean)
		}
		if cut := Cut(clean, n); Graphemes(cut) > max(n, 0) {
			t.Fatalf("Cut(%+q, %d) = %+q of %d characters", clean, n, cut, Graphemes(cut))
		}
		end := 0
		for tok := range Tokens(clean) {
			if tok.Start < end || tok.Text != clean[tok.Start:tok.End] || tok.Text == "" {
				t.Fatalf("token %+v of %+q after %d", tok, clean, end)
			}
			end = tok.End
			if tok.Kind == CJK {
				for i, b := range Bigrams(tok.Text) {
					if n := utf8.RuneCountInString(b); tok.Text[i:i+len(b)] != b || n != 2 && b != tok.Text {
						t.Fatalf("bigram %+q of %+q", b, tok.Text)
					}
				}
			}
		}
	})
}
