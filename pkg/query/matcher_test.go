package query

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/pkg/mention"
)

func mustParse(t testing.TB, s string) *Query {
	t.Helper()
	q, err := Parse(s)
	if err != nil {
		t.Fatalf("Parse(%q): %v", s, err)
	}
	return q
}

// both matches by the query alone and by a Matcher, and demands that they
// agree.
func both(t *testing.T, q *Query, p *mention.Post) ([]Span, bool) {
	t.Helper()
	spans, ok := q.Match(p)
	hits := NewMatcher(map[string]*Query{"b": q}).Match(p, nil)
	if ok != (len(hits) == 1) {
		t.Fatalf("query %s alone says %v of %+q, matcher says %v", q, ok, p.Content(), hits)
	}
	if ok {
		if diff := cmp.Diff(spans, hits[0].Spans); diff != "" {
			t.Fatalf("spans of %s in %+q (-query +matcher):\n%s", q, p.Content(), diff)
		}
	}
	return spans, ok
}

func TestMatchOnText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, query, text string
		want              string // what is highlighted, by "|"; "-" if there is no match
	}{
		{"a word", "acme", "my Acme broke", "Acme"},
		{"not within a word", "acme", "off to acmetown", "-"},
		{"not before an underscore", "acme", "acme_jp", "-"},
		{"a possessive", "acme", "Acme's best", "Acme"},
		{"a hashtag holds the word", "acme", "#Acme!", "Acme"},
		{"full-width Latin", "acme", "ＡＣＭＥ最高", "ＡＣＭＥ"},
		{"Latin beside Japanese", "acme", "「Acmeの」新製品", "Acme"},
		{"half-width kana brand in the text", "アグメ", "新しいｱｸﾞﾒの靴", "ｱｸﾞﾒ"},
		{"half-width kana brand in the query", "ｱｸﾞﾒ", "アグメの靴", "アグメ"},
		{"hiragana for katakana", "アクメ", "あくめの靴", "あくめ"},
		{"katakana for hiragana", "あくめ", "アクメの靴", "アクメ"},
		{"voiced is not unvoiced", "アクメ", "アグメ", "-"},
		{"decomposed kana", "バッグ", "ハ\u3099ック\u3099です", "ハ\u3099ック\u3099"},
		{"kanji within a compound", "新製品", "弊社新製品発表", "新製品"},
		{"two kanji", "靴屋", "駅前の靴屋さん", "靴屋"},
		{"one kanji", "靴", "靴が壊れた", "靴"},
		{"kanji, kana and Latin in one term", "Acme株式会社", "あのacme株式会社で", "acme株式会社"},
		{"a phrase", `"acme shoes"`, "ACME  \n Shoes are", "ACME  \n Shoes"},
		{"a phrase in other order", `"acme shoes"`, "shoes acme", "-"},
		{"a Japanese phrase with a space", `"アクメ 渋谷"`, "アクメ　渋谷店", "アクメ　渋谷"},
		{"accents", "café", "the CAFE\u0301 is", "CAFE\u0301"},
		{"accents in the text alone", "cafe", "le café", "café"},
		{"an emoji", "👟", "new 👟👟!", "👟|👟"},
		{"an emoji with a skin tone", "👍", "acme👍🏽", "👍"},
		{"Cyrillic", "йога", "Йога дома", "Йога"},
		{"not within Cyrillic", "йог", "йога", "-"},
		{"hangul with a particle", "애플", "애플은 좋다", "애플"},
		{"signs within", "AT&T", "ＡＴ＆Ｔ is down", "ＡＴ＆Ｔ"},
		{"signs at the end", "c++", "I like C++.", "C++"},
		{"curly apostrophes", `"acme's"`, "Acme’s shoes", "Acme’s"},
		{"invisible characters", "acme", "ac\u200bme!", "ac\u200bme"},
		{"a hashtag", "#acme", "x #ACME, y", "#ACME"},
		{"not a longer hashtag", "#acme", "#acmefail", "-"},
		{"not the word alone", "#acme", "acme", "-"},
		{"a Japanese hashtag", "#アクメ", "見て＃アクメ", "＃アクメ"},
		{"not a longer Japanese hashtag", "#アクメ", "#アクメ最高", "-"},
		{"not the fragment of an address", "#acme", "https://x.example/#acme", "-"},
		{"a handle", "@acme_jp", "@Acme_JPさん", "@Acme_JP"},
		{"not a longer handle", "@acme", "@acme_jp", "-"},
		{"not a handle elsewhere", "@acme", "@acme.bsky.social", "-"},
		{"a handle at the end of a sentence", "@acme", "thanks @acme.", "@acme"},
		{"not an address of mail", "@acme", "me@acme", "-"},
		{"a full handle", "@acme@mastodon.example", "hi @acme@mastodon.example", "@acme@mastodon.example"},
		{"AND", "acme shoes", "acme makes hats", "-"},
		{"AND highlights both", "acme shoes", "shoes by acme", "shoes|acme"},
		{"NOT", `acme NOT "acme dynamite"`, "acme dynamite", "-"},
		{"NOT elsewhere", `acme NOT "acme dynamite"`, "dynamite by acme", "acme"},
		{"OR", "acme OR アクメ", "アクメ acme", "アクメ|acme"},
		{"excluded words are not highlighted", "acme NOT (beta gamma)", "beta acme", "acme"},
		{"nested terms are both found", `acme OR "acme shoes"`, "acme shoes", "acme shoes|acme"},
		{"the same term twice is found once", "acme OR ACME", "acme", "acme"},
		{"overlapping places", "ああ", "あああ", "ああ|ああ"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			spans, ok := both(t, mustParse(t, c.query), &mention.Post{Text: c.text})
			got := "-"
			if ok {
				var parts []string
				for _, s := range spans {
					parts = append(parts, string([]rune(c.text)[s.Start:s.End]))
				}
				got = strings.Join(parts, "|")
			}
			if got != c.want {
				t.Errorf("%s in %+q = %+q, want %+q", c.query, c.text, got, c.want)
			}
		})
	}
}

func TestMatchOnFields(t *testing.T) {
	t.Parallel()
	post := func(change func(*mention.Post)) *mention.Post {
		p := &mention.Post{Platform: "mastodon", Source: "Mastodon-1", Kind: mention.KindReview, Text: "acme", Rating: 2, Lang: "ja-JP",
			URL:    "https://social.acme.com/@x/1",
			Author: mention.Author{Handle: "Weather_Bot@example.social", Name: "Acme Ｂot"},
			Place:  mention.Place{ID: "shibuya", Name: "渋谷店"}}
		if change != nil {
			change(p)
		}
		return p
	}
	unclaimed := func(s string) func(*mention.Post) {
		return func(p *mention.Post) { p.Lang, p.Text = "", "acme "+s }
	}
	link := func(s string) func(*mention.Post) {
		return func(p *mention.Post) { p.URL, p.Text = "", "acme "+s }
	}
	for _, c := range []struct {
		query  string
		change func(*mention.Post)
		want   bool
	}{
		{"acme platform:Mastodon", nil, true},
		{"acme platform:x", nil, false},
		{"acme kind:review", nil, true},
		{"acme kind:post", nil, false},
		{"acme source:mastodon-1", nil, true},
		{"source:mastodon-1", nil, true},
		{"source:mastodon", nil, false},
		{"place:Shibuya", nil, true},
		{"place:渋谷店", nil, true},
		{"place:渋谷", nil, false},
		{"beta OR place:渋谷店", nil, true},
		{"acme rating:2", nil, true},
		{"acme rating:<2", nil, false},
		{"acme rating:1..2", nil, true},
		{"acme rating:<=5", func(p *mention.Post) { p.Rating = 0 }, false},
		{"acme author:weather_bot", nil, true},
		{"acme author:@weather_bot@example.social", nil, true},
		{"acme author:bot", nil, false},
		{"acme author:*bot", nil, true},
		{"acme author:weather*", nil, true},
		{"acme author:*ther*", nil, true},
		{`acme author:"acme bot"`, nil, true},
		{"acme lang:ja", nil, true},
		{"acme lang:ja-jp", nil, true},
		{"acme lang:en", nil, false},
		{"acme lang:ja", unclaimed("の新しい靴"), true},
		{"acme lang:en", unclaimed("の新しい靴"), false},
		{"acme lang:ja", unclaimed("shoes are great"), false},
		{"acme lang:en", unclaimed("shoes are great"), true},
		{"acme lang:zh", unclaimed("新产品发布"), true},
		{"acme lang:ko", unclaimed("신제품 발표"), true},
		{"acme lang:ja", unclaimed("신제품 발표"), false},
		{"acme url:acme.com", nil, true},
		{"acme url:https://acme.com/", nil, true},
		{"acme url:cme.com", nil, false},
		{"acme url:acme.com/@x", nil, true},
		{"acme url:social", nil, true},
		{"acme url:acme.com", link("see https://www.Acme.com/sale。"), true},
		{"acme url:acme.com", link("see https://evil.example/acme.com"), false},
		{"acme url:acme.com", link("see https://acme.com.evil.example"), false},
		{"acme url:acme.com", link("(http://user@acme.com:8080/x)"), true},
		{"acme url:acme.com", link("acme.com"), false},
	} {
		t.Run(c.query, func(t *testing.T) {
			t.Parallel()
			if _, ok := both(t, mustParse(t, c.query), post(c.change)); ok != c.want {
				t.Errorf("%s matches %v, want %v", c.query, ok, c.want)
			}
		})
	}
}

func TestMatcherFindsAllBrandsInOrder(t *testing.T) {
	t.Parallel()
	m := NewMatcher(map[string]*Query{
		"zeta":  mustParse(t, "acme"),
		"alpha": mustParse(t, "shoes OR hats"),
		"beta":  mustParse(t, "acme NOT shoes"),
		"gamma": mustParse(t, "source:s1"),
	})
	p := &mention.Post{Source: "s1", Title: "Acme", Text: "Shoes, hats"}
	want := []Hit{
		{"first", nil},
		{"alpha", []Span{{Term{Words, "shoes"}, 5, 10}, {Term{Words, "hats"}, 12, 16}}},
		{"gamma", nil},
		{"zeta", []Span{{Term{Words, "acme"}, 0, 4}}},
	}
	if diff := cmp.Diff(want, m.Match(p, []Hit{{Brand: "first"}})); diff != "" {
		t.Errorf("hits (-want +got):\n%s", diff)
	}
	if got := NewMatcher(nil).Match(p, nil); got != nil {
		t.Errorf("a matcher without brands gives %v", got)
	}
}

func TestMatcherServesManyAtOnce(t *testing.T) {
	t.Parallel()
	m := NewMatcher(map[string]*Query{"a": mustParse(t, "acme"), "b": mustParse(t, "アクメ NOT 靴")})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 300 {
				text, want := "Acme "+fmt.Sprint(i, j), 1
				if j%2 == 0 {
					text, want = text+" アクメ", 2
				}
				if got := m.Match(&mention.Post{Text: text, Title: "x"}, nil); len(got) != want {
					t.Errorf("%q hits %v, want %d", text, got, want)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestMatcherAllocatesNothingWithoutAHit(t *testing.T) {
	m := NewMatcher(map[string]*Query{"a": mustParse(t, `acme NOT "acme dynamite"`), "b": mustParse(t, "アクメ lang:ja"), "c": mustParse(t, "source:other")})
	for _, p := range []*mention.Post{
		{Text: "nothing of interest here, just a plain sentence"},
		{Title: "Ein Café", Text: "新しいサーバーが届いた。ｱｸﾞﾒ"},
		{Title: "Acme", Text: "acme dynamite"},
	} {
		// With memory of its own, for the pool keeps nothing under the race detector.
		s := m.scratch.New().(*scratch)
		m.match(s, p, nil)
		if n := testing.AllocsPerRun(100, func() { m.match(s, p, nil) }); n != 0 {
			t.Errorf("%q costs %v allocations, want none", p.Content(), n)
		}
	}
}

// pieces are what generated posts and queries are made of: few, so that they
// meet, and touching in ways that matter.
var pieces = []string{
	"acme", "ACME", "acme_jp", "acmetown", "shoes", "the", "café", "cafe\u0301", "アクメ", "ｱｸﾒ", "あくめ", "アグメ", "ア", "メ", "靴", "新製品", "新製",
	"株式会社", "👟", "👍🏽", "애플", "йога", "c++", "AT&T", "7-eleven", "ＡＣＭＥ", "サーバー", "ไทย", "\u3099", "\u0301", "\u200b", "ß", "㍿",
}

var joints = []string{"", "", " ", "、", "-", "#", "@", "_", ".", "\n", "「", " #", " @"}

func randomText(r *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(pieces[r.IntN(len(pieces))])
		b.WriteString(joints[r.IntN(len(joints))])
	}
	return b.String()
}

func randomQuery(r *rand.Rand, depth int) string {
	if depth == 0 || r.IntN(3) == 0 {
		switch r.IntN(8) {
		case 0:
			return "#" + pieces[r.IntN(22)]
		case 1:
			return "@" + pieces[r.IntN(4)]
		case 2:
			return []string{"lang:ja", "rating:1..2", "source:s1", "place:p1", "author:bot", "kind:post"}[r.IntN(6)]
		}
		return quote(randomText(r, 1+r.IntN(2)))
	}
	a, b := randomQuery(r, depth-1), randomQuery(r, depth-1)
	return []string{"(" + a + " OR " + b + ")", "(" + a + " AND " + b + ")", "(" + a + " NOT " + b + ")", "NOT " + a}[r.IntN(4)]
}

func checkAgreement(t *testing.T, r *rand.Rand) (hits int) {
	t.Helper()
	queries := make(map[string]*Query)
	for i := range 40 {
		if q, err := Parse(randomQuery(r, 3)); err == nil {
			queries[fmt.Sprintf("b%02d", i)] = q
		}
	}
	m := NewMatcher(queries)
	for range 20 {
		p := &mention.Post{Text: randomText(r, r.IntN(12)), Rating: r.IntN(4), Kind: mention.KindPost}
		if r.IntN(2) == 0 {
			p.Title = randomText(r, 2)
		}
		if r.IntN(3) == 0 {
			p.Source, p.Place.ID, p.Author.Handle = "s1", "p1", "bot"
		}
		got := make(map[string][]Span)
		for _, h := range m.Match(p, nil) {
			got[h.Brand] = h.Spans
		}
		want := make(map[string][]Span)
		for brand, q := range queries {
			if spans, ok := q.Match(p); ok {
				want[brand] = spans
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			for brand := range queries {
				t.Logf("%s: %s", brand, queries[brand])
			}
			t.Fatalf("%+q (-each query +matcher):\n%s", p.Content(), diff)
		}
		hits += len(got)
	}
	return hits
}

func TestMatcherAgreesWithEachQueryAlone(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	hits := 0
	for range 100 {
		hits += checkAgreement(t, r)
	}
	if hits < 1000 {
		t.Errorf("only %d hits, too few to tell", hits)
	}
}

func FuzzMatcher(f *testing.F) {
	f.Add("acme OR #アクメ NOT 靴", "見て #アクメ ＡＣＭＥ", "title", uint64(1))
	f.Add(`"c++" 👟 OR @a.b`, "C++👟 @a.b.c\xff", "", uint64(2))
	f.Fuzz(func(t *testing.T, query, text, title string, seed uint64) {
		checkAgreement(t, rand.New(rand.NewPCG(seed, 0)))
		if q, err := Parse(query); err == nil {
			both(t, q, &mention.Post{Text: text, Title: title})
		}
	})
}
