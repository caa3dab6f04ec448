package classify

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/mention"
)

func FuzzVerdict(f *testing.F) {
	for _, seed := range []string{
		"", "返金しないならSNSで晒すぞ", "\xff\xfe晒す\x80", "é́́́́", "👨‍👩‍👧‍👦😡😡", "ﾊﾟﾋﾟﾌﾟ晒すぞ", strings.Repeat("w", 5000),
		"「晒す」「晒す", "Refund me by 99/99 or I'll post this on Twitter", "RT @", "#", "@a http://", "\n\n\n", "以内に999日",
	} {
		f.Add("", seed, 0)
	}
	f.Add("title", "text\nnext line", 3)
	f.Fuzz(func(t *testing.T, title, text string, rating int) {
		m := mention.Mention{Post: mention.Post{Title: title, Text: text, Rating: max(0, min(rating, 5)), PublishedAt: published}}
		v := shared.Verdict(&m)
		if again := shared.Verdict(&m); !reflect.DeepEqual(v, again) {
			t.Fatalf("two verdicts: %+v and %+v", v, again)
		}
		check(t, &m, &v)
	})
}

func check(t *testing.T, m *mention.Mention, v *mention.Verdict) {
	t.Helper()
	points := utf8.RuneCountInString(m.Content())
	for _, r := range v.Risks {
		if r.Start < 0 || r.Start >= r.End || r.End > points {
			t.Errorf("span %d to %d in %d code points: %+v", r.Start, r.End, points, r)
		}
		if !(r.Score >= 0 && r.Score <= 1) {
			t.Errorf("score %v", r.Score)
		}
	}
	if !(v.SentimentScore >= 0 && v.SentimentScore <= 1) || !(v.IntentScore >= 0 && v.IntentScore <= 1) {
		t.Errorf("scores %v and %v", v.SentimentScore, v.IntentScore)
	}
	if !slices.Contains(mention.Sentiments, v.Sentiment) || !slices.Contains(mention.Intents, v.Intent) ||
		!slices.Contains(mention.Dispositions, v.Disposition) || v.Story == "" || v.Page != (v.PageReason != "") {
		t.Errorf("incomplete verdict %+v", v)
	}
}

func FuzzRuleFile(f *testing.F) {
	f.Add("label: churn\nrules: [{name: a, patterns: ['x (a|b)? ~ <l> & y && z*'], weight: 0.5, examples: [x], counter_examples: [y]}]\nlists: {l: [a]}")
	f.Add("rules: [{name: a, patterns: ['((((((((((((a'], weight: .nan}]")
	f.Add("lists: {a: [<b>], b: [<a>]}\nrules: [{name: a, patterns: [<a>]}]")
	f.Add("\xff\x00: [")
	f.Fuzz(func(t *testing.T, data string) {
		c := newCompiler()
		if err := c.load([]RuleFile{{Name: "fuzz.yaml", Data: []byte(data)}}); err == nil {
			c.finish()
		}
	})
}

// TestHostileTextIsCheap compares with as much prose, in turns, so that a busy
// machine is no finding.
func TestHostileTextIsCheap(t *testing.T) {
	var prose strings.Builder
	for _, lang := range languages {
		for _, l := range corpusOf(t, TrainPart, lang)[:400] {
			prose.WriteString(l.Text + "\n")
		}
	}
	took := func(text string) time.Duration {
		start := time.Now()
		verdict(text)
		return time.Since(start)
	}
	for name, text := range map[string]string{
		"one letter":           strings.Repeat("a", 1<<20),
		"one kana":             strings.Repeat("ん", 1<<19),
		"the same threat":      strings.Repeat("SNSに晒すぞ返金しろ", 1<<15),
		"the same word":        strings.Repeat("post this everywhere refund ", 1<<15),
		"quotation marks":      strings.Repeat("「\"", 1<<18),
		"marks on one letter":  "a" + strings.Repeat("\u0301", 1<<18),
		"emoji":                strings.Repeat("👨‍👩‍👧", 1<<16),
		"invalid bytes":        strings.Repeat("\xff\xc0", 1<<18),
		"hashtags and handles": strings.Repeat("#a @b ", 1<<16),
		"sentences":            strings.Repeat("晒す。", 1<<16),
	} {
		best, ordinary := time.Hour, time.Hour
		for range 5 {
			ordinary = min(ordinary, took(prose.String()))
			best = min(best, took(text))
		}
		t.Logf("%s: %v, %.1f times as long as prose", name, best, float64(best)/float64(ordinary))
		if best > 4*ordinary {
			t.Errorf("%s: %v, prose %v", name, best, ordinary)
		}
	}
}
