package classify

import (
	"strings"
	"testing"

	"github.com/jonreiter/govader"

	"github.com/earshot/earshot/pkg/mention"
)

// BenchmarkVerdict classifies posts of about 240 bytes: ordinary texts joined,
// and single texts of the corpus, most of which carry a risk.
func BenchmarkVerdict(b *testing.B) {
	for _, lang := range languages {
		items := corpusOf(b, TestPart, lang)
		var ordinary, all []mention.Mention
		joined := ""
		for i := range items {
			all = append(all, items[i].Mention())
			if len(items[i].Risk) > 0 {
				continue
			}
			if joined += items[i].Text + " "; len(joined) >= 220 {
				r := Record{ID: items[i].ID, Text: joined}
				ordinary = append(ordinary, r.Mention())
				joined = ""
			}
		}
		b.Run(lang+"/ordinary", func(b *testing.B) { benchmark(b, ordinary) })
		b.Run(lang+"/corpus", func(b *testing.B) { benchmark(b, all) })
	}
}

// BenchmarkShortPosts reads the test part's posts of 60 to 200 bytes, one by one:
// everything that a verdict says, beside what govader takes for the sentiment of
// the English ones alone.
func BenchmarkShortPosts(b *testing.B) {
	for _, lang := range languages {
		var short []mention.Mention
		for _, l := range corpusOf(b, TestPart, lang) {
			if n := len(l.Text); l.Channel == "post" && n >= 60 && n <= 200 {
				short = append(short, l.Mention())
			}
		}
		b.Run(lang, func(b *testing.B) { benchmark(b, short) })
		if lang != english {
			continue
		}
		vader := govader.NewSentimentIntensityAnalyzer()
		b.Run("en/govader", func(b *testing.B) {
			i := 0
			for b.Loop() {
				vader.PolarityScores(short[i%len(short)].Text)
				i++
			}
		})
	}
}

// BenchmarkWorst reads texts that are as long as any that is read, and made to
// be dear.
func BenchmarkWorst(b *testing.B) {
	for name, unit := range map[string]string{
		"letter": "a", "kana": "ん", "emoji": "😡", "zalgo": "e\u0301\u0301\u0301", "threats": "I'll post this on Twitter unless you refund me. ", "脅し": "返金しないならSNSで晒すぞ。",
	} {
		m := mention.Mention{Post: mention.Post{Text: strings.Repeat(unit, 1<<20/len(unit))}}
		b.Run(name, func(b *testing.B) { benchmark(b, []mention.Mention{m}) })
	}
}

func benchmark(b *testing.B, all []mention.Mention) {
	b.Helper()
	bytes := 0
	for i := range all {
		bytes += len(all[i].Content())
	}
	b.ReportAllocs()
	b.SetBytes(int64(bytes / len(all)))
	i := 0
	for b.Loop() {
		shared.Verdict(&all[i%len(all)])
		i++
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := New(Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
