package classify

import (
	"testing"

	"github.com/earshot/earshot/pkg/mention"
)

func BenchmarkVerdict(b *testing.B) {
	for _, lang := range []string{"ja", "en"} {
		b.Run(lang, func(b *testing.B) {
			items := corpus(b, lang)
			all := make([]mention.Mention, len(items))
			bytes := 0
			for i := range items {
				all[i] = items[i].Mention()
				bytes += len(all[i].Content())
			}
			b.ReportAllocs()
			b.SetBytes(int64(bytes / len(all)))
			i := 0
			for b.Loop() {
				shared.Verdict(&all[i%len(all)])
				i++
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := New(Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
