package classify

import (
	"testing"

	"github.com/earshot/earshot/pkg/mention"
)

// BenchmarkVerdict classifies posts of about 240 bytes: ordinary texts joined,
// and single texts of the corpus, most of which carry a risk.
func BenchmarkVerdict(b *testing.B) {
	for _, lang := range []string{"ja", "en"} {
		items := corpus(b, lang)
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
