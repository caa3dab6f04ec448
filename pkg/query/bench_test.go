package query

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/earshot/earshot/pkg/mention"
)

// vocabulary makes words that are read like words of either language.
func vocabulary(r *rand.Rand, n int) (latin, japanese []string) {
	const letters = "etaoinshrdlucmfwypvbgkjqxz"
	kana := []rune("あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわんー")
	for range n {
		var b strings.Builder
		for range 3 + r.IntN(8) {
			b.WriteByte(letters[int(float64(len(letters))*math.Pow(r.Float64(), 1.7))])
		}
		latin = append(latin, b.String())
		b.Reset()
		for range 2 + r.IntN(4) {
			if r.IntN(2) == 0 {
				b.WriteRune(0x4E00 + rune(2500*math.Pow(r.Float64(), 2)))
			} else {
				b.WriteRune(kana[r.IntN(len(kana))])
			}
		}
		japanese = append(japanese, b.String())
	}
	return latin, japanese
}

// workload makes n queries of one keyword, half Latin words and phrases, half
// Japanese of 3 to 7 characters, and posts of about 240 bytes, half English and
// half Japanese, with words distributed by Zipf's law.
func workload(tb testing.TB, n int) (map[string]*Query, []mention.Post) {
	tb.Helper()
	r := rand.New(rand.NewPCG(7, 7))
	latin, japanese := vocabulary(r, 20_000)
	keysLatin, keysJapanese := vocabulary(r, n)
	zipf := rand.NewZipf(r, 1.1, 4, uint64(len(latin)-1))
	queries := make(map[string]*Query, n)
	for i := range n {
		k := keysLatin[i]
		switch i % 4 {
		case 1:
			k = quote(k + " " + latin[zipf.Uint64()])
		case 2, 3:
			k = keysJapanese[i] + japanese[len(japanese)/2+r.IntN(len(japanese)/2)]
			k = string([]rune(k)[:min(len([]rune(k)), 3+r.IntN(5))])
		}
		if isOperator(k) {
			k += "x"
		}
		queries[fmt.Sprintf("brand-%06d", i)] = mustParse(tb, k)
	}
	posts := make([]mention.Post, 4096)
	for i := range posts {
		var b strings.Builder
		for b.Len() < 225 {
			if i%2 == 0 {
				b.WriteString(latin[zipf.Uint64()])
				b.WriteByte(' ')
			} else {
				b.WriteString(japanese[zipf.Uint64()])
			}
		}
		posts[i].Text = b.String()
	}
	return queries, posts
}

// BenchmarkMatcher measures Match on whole posts, folding included, and the
// walk over text that is folded already.
func BenchmarkMatcher(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		queries, posts := workload(b, n)
		m := NewMatcher(queries)
		b.Run(fmt.Sprintf("match/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			var hits []Hit
			total, i := 0, 0
			for b.Loop() {
				hits = m.Match(&posts[i%len(posts)], hits[:0])
				total += len(hits)
				i++
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
			b.ReportMetric(float64(total)/float64(b.N), "hits/op")
		})
		b.Run(fmt.Sprintf("walk/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			found, queued := make([]uint32, len(m.lits)), make([]uint32, len(m.rules))
			folded := make([]*scratch, len(posts))
			for i := range posts {
				folded[i] = &scratch{found: found, queued: queued}
				folded[i].reset(&posts[i])
			}
			i := 0
			for b.Loop() {
				s := folded[i%len(folded)]
				s.queue, s.occurs = s.queue[:0], s.occurs[:0]
				m.walk(s)
				i++
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
		})
		b.Run(fmt.Sprintf("build/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				NewMatcher(queries)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		mustParse(b, `("acme" OR #acme OR @acme_jp) AND NOT ("acme dynamite" OR author:bot) AND lang:ja`)
	}
}
