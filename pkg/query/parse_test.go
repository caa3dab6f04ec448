package query

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParseGivesTheCanonicalForm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"a word", "acme", "acme"},
		{"a phrase", `"acme  shoes"`, `"acme shoes"`},
		{"needless quotes go", `"acme"`, "acme"},
		{"terms side by side are joined by AND", "acme shoes", "acme AND shoes"},
		{"AND binds tighter than OR", "a OR b c", "a OR b AND c"},
		{"needless parentheses go", "((a) OR (b OR c))", "a OR b OR c"},
		{"needed parentheses stay", "(a OR b) AND c", "(a OR b) AND c"},
		{"NOT of a group", "x NOT (a OR b)", "x AND NOT (a OR b)"},
		{"double NOT goes", "x NOT NOT a", "x AND a"},
		{"the whole syntax", `("acme" OR #acme OR @acme_jp) AND NOT ("acme dynamite" OR author:bot) AND lang:ja`,
			`(acme OR #acme OR @acme_jp) AND NOT ("acme dynamite" OR author:bot) AND lang:ja`},
		{"what Japanese input types", "（アクメ　ＯＲ　＃アクメ）　ＮＯＴ　“アクメ 靴”　ｌａｎｇ：ja", `(アクメ OR #アクメ) AND NOT "アクメ 靴" AND lang:ja`},
		{"words keep their form", "ｱｸﾒ OR ACME", "ｱｸﾒ OR ACME"},
		{"operators as words stay quoted", `"and" OR "Not"`, `"and" OR "Not"`},
		{"escaped quotes", `"say \"acme\""`, `"say \"acme\""`},
		{"punctuation is quoted", "AT&T OR 7-eleven OR c++", `"AT&T" OR "7-eleven" OR "c++"`},
		{"ratings as ranges", "acme rating:<=2 rating:>3 rating:5 rating:1..2", "acme AND rating:1..2 AND rating:4..5 AND rating:5 AND rating:1..2"},
		{"quoted values", `acme author:"Acme Bot"`, `acme AND author:"Acme Bot"`},
		{"field names in any case", "acme LANG:ja", "acme AND lang:ja"},
		{"a source alone is enough", "source:g2-acme NOT rating:5", "source:g2-acme AND NOT rating:5"},
		{"a place alone is enough", `place:"渋谷店"`, "place:渋谷店"},
		{"NOT NOT through De Morgan", "NOT (NOT acme OR NOT shoes)", "NOT (NOT acme OR NOT shoes)"},
		{"emoji", "acme OR 👟", `acme OR "👟"`},
		{"a handle on another server", "@acme@mastodon.example", "@acme@mastodon.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			q, err := Parse(c.in)
			if err != nil {
				t.Fatalf("Parse(%q): %v", c.in, err)
			}
			if got := q.String(); got != c.want {
				t.Errorf("Parse(%q) = %s, want %s", c.in, got, c.want)
			}
			again, err := Parse(q.String())
			if err != nil || again.String() != q.String() {
				t.Errorf("Parse(%s) = %v, %v, want the same", q, again, err)
			}
		})
	}
}

func TestParseTellsWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in, code string
		offset, line   int
		hint           string // must be contained
	}{
		{"an empty query", "  ", "empty", 0, 1, "such as"},
		{"an unclosed quote", `acme OR "shoes`, "unclosed-quote", 8, 1, `add "`},
		{"an unclosed quote counted in characters", "アクメ OR “靴", "unclosed-quote", 7, 1, `add "`},
		{"an unclosed parenthesis", "acme (shoes OR hats", "unclosed-paren", 5, 1, `add ")"`},
		{"a stray parenthesis", "acme)", "stray-paren", 4, 1, "remove it"},
		{"empty parentheses", "acme ()", "empty-parens", 5, 1, "put terms in"},
		{"empty quotes", `acme ""`, "empty-quotes", 5, 1, "put a word in"},
		{"a lower-case operator", "acme and shoes", "lower-case-operator", 5, 1, "write AND in capitals"},
		{"a mixed-case operator", "acme\nOr shoes", "lower-case-operator", 5, 2, "write OR in capitals"},
		{"a symbol", "acme && shoes", "symbol-operator", 5, 1, "write AND"},
		{"a minus", "acme -shoes", "symbol-operator", 5, 1, "write NOT"},
		{"a wildcard", "acme*", "wildcard", 0, 1, "OR"},
		{"a list with commas", "acme, shoes", "list", 0, 1, "OR"},
		{"an operator at the end", "acme AND", "missing-term", 5, 1, "remove AND"},
		{"an operator in front", "OR acme", "missing-term", 0, 1, "quotes"},
		{"two operators in a row", "acme AND OR shoes", "missing-term", 9, 1, ""},
		{"an unknown field", "acme foobar:x", "unknown-field", 5, 1, "quotes"},
		{"a misspelt field", "acme auther:x", "unknown-field", 5, 1, "did you mean author:x"},
		{"another tool's field", "acme from:x", "unknown-field", 5, 1, "did you mean author:x"},
		{"an address", "acme https://acme.com", "unknown-field", 5, 1, "url:"},
		{"a field without a value", "acme lang: ja", "empty-value", 5, 1, "lang:ja"},
		{"a language by name", "acme lang:Japanese", "bad-value", 5, 1, "lang:ja"},
		{"a rating out of range", "acme rating:6", "bad-value", 5, 1, "1 to 5"},
		{"no possible rating", "acme rating:<1", "bad-value", 5, 1, "1 to 5"},
		{"a rating that is no number", "acme rating:good", "bad-value", 5, 1, "1 to 5"},
		{"an unknown kind", "acme kind:reveiw", "bad-value", 5, 1, "kind:review"},
		{"an empty hashtag", "# acme", "bad-tag", 0, 1, "#acme"},
		{"a hashtag with a hyphen", "#acme-town", "bad-tag", 0, 1, "quotes"},
		{"only NOT", "NOT acme", "not-only", 0, 1, "brand's name"},
		{"only NOT, in two parts", "NOT (acme OR beta) NOT gamma", "not-only", 0, 1, "brand's name"},
		{"nothing to look for", "lang:ja rating:1", "no-words", 0, 1, "source:"},
		{"a branch that matches everything", "acme OR lang:ja", "open-branch", 8, 1, "AND"},
		{"a branch that excludes only", "acme OR NOT beta", "open-branch", 8, 1, "AND"},
		{"no letters", `"!!" OR acme`, "no-letters", 0, 1, "letter"},
		{"parentheses too deep", strings.Repeat("(", 60) + "a" + strings.Repeat(")", 60), "too-deep", 50, 1, ""},
		{"too many terms", strings.Repeat("a ", 1001), "too-many", 2000, 1, "split"},
		{"a term too long", "acme OR " + strings.Repeat("a", 201), "long-term", 8, 1, "shorter"},
		{"a query too long", strings.Repeat("a", 20001), "too-long", 20000, 1, "split"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			q, err := Parse(c.in)
			e, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("Parse(%q) = %v, %v, want an error", c.in, q, err)
			}
			if e.Code != c.code || e.Offset != c.offset || e.Line != c.line || !strings.Contains(e.Hint, c.hint) || e.Message == "" {
				t.Errorf("Parse(%q) = %q at %d, line %d, hint %q; want %q at %d, line %d, hint with %q",
					c.in, e.Code, e.Offset, e.Line, e.Hint, c.code, c.offset, c.line, c.hint)
			}
		})
	}
}

func TestErrorReadsAsASentence(t *testing.T) {
	t.Parallel()
	_, err := Parse("acme\nand shoes")
	want := `query: line 2, at 6: "and" is not an operator in this form; write AND in capitals, or "and" in quotes to look for the word`
	if err == nil || err.Error() != want {
		t.Errorf("error = %v\nwant    %s", err, want)
	}
}

func TestTermsCoverTheQuery(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		want     []Term
	}{
		{"every side of OR", "acme OR #acme OR @acme_jp", []Term{{Words, "acme"}, {Hashtag, "acme"}, {Handle, "acme_jp"}}},
		{"the rarest of AND", "it AND acmecorporation", []Term{{Words, "acmecorporation"}}},
		{"nothing excluded", "acme NOT dynamite", []Term{{Words, "acme"}}},
		{"as typed", "ｱｸﾒ OR アクメ OR アクメ", []Term{{Words, "ｱｸﾒ"}, {Words, "アクメ"}}},
		{"none for a source alone", "source:x", []Term{}},
		{"through a double NOT", "NOT (NOT acme OR beta)", []Term{{Words, "acme"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			q, err := Parse(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, q.Terms()); diff != "" {
				t.Errorf("terms of %q (-want +got):\n%s", c.in, diff)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`("acme" OR #acme OR @acme_jp) AND NOT ("acme dynamite" OR author:bot) AND lang:ja`,
		"（アクメ　ＯＲ　＃アクメ）", `"a\"b" url:acme.com/x`, "rating:<=2 a", `place:"渋谷 店"`, "NOT NOT a", `a "`, "\xff#", "a:b", `author:"*x"`, "kind:post ﾊﾞ",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := Parse(s)
		if err != nil {
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Offset < 0 || e.Offset > utf8.RuneCountInString(s) || e.Line < 1 || e.Message == "" || e.Code == "" {
				t.Fatalf("Parse(%q): %#v", s, err)
			}
			return
		}
		again, err := Parse(q.String())
		if err != nil {
			t.Fatalf("Parse(%q) = %q, which is refused: %v", s, q, err)
		}
		if again.String() != q.String() {
			t.Fatalf("Parse(%q) = %q, read back as %q", s, q, again)
		}
		if diff := cmp.Diff(q.Terms(), again.Terms()); diff != "" {
			t.Fatalf("terms of %q read back (-first +again):\n%s", q, diff)
		}
	})
}
