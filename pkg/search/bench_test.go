package search

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// synthetic yields documents whose words, brands and states are as uneven as
// real ones: a few of each are frequent. Text is 200 bytes or so, six of ten
// Japanese.
func synthetic(n int) []Document {
	r := rand.New(rand.NewPCG(1, 2))
	word := func(latin bool) string {
		var b strings.Builder
		for range 2 + r.IntN(3) {
			switch {
			case latin:
				b.WriteByte("etaoinshrdlcumwfgypbvk"[r.IntN(22)])
				b.WriteByte("aeiou"[r.IntN(5)])
			default:
				b.WriteRune(rune(0x4e00 + r.IntN(1500)))
			}
		}
		return b.String()
	}
	words := [2][]string{make([]string, 14000), make([]string, 14000)}
	for i := range words[0] {
		words[0][i], words[1][i] = word(false), word(true)
	}
	zipf := rand.NewZipf(r, 1.1, 5, 13999)
	of := func(values ...string) string { return values[min(r.IntN(len(values)), r.IntN(len(values)))] }
	numbered := func(name string, n int) string { return fmt.Sprintf("%s-%d", name, min(r.IntN(n), r.IntN(n))) }
	docs := make([]Document, n)
	for i := range docs {
		var b strings.Builder
		latin := r.IntN(10) >= 6
		for b.Len() < 200 {
			if latin {
				b.WriteString(words[1][zipf.Uint64()] + " ")
			} else {
				b.WriteString(words[0][zipf.Uint64()])
			}
		}
		d := Document{
			ID: mention.NewID("b", "x", fmt.Sprint(i)), Seq: uint64(i + 1), Brand: numbered("brand", 12),
			Source: numbered("source", 10), Kind: mention.KindPost,
			Intake: mention.Live, Lang: map[bool]string{true: "en", false: "ja"}[latin], Text: b.String(), URL: fmt.Sprintf("https://x.example/status/%d", i),
			AuthorID: numbered("author", 20000), AuthorHandle: numbered("handle", 20000), AuthorName: "名前",
			Status: of("new", "new", "new", "done", "in_hand", "waiting", "watching"), Sentiment: mention.Sentiment(of("neutral", "negative", "positive")),
			Intent: mention.Intent(of("other", "complaint", "question", "praise")), Disposition: mention.Disposition(of("watch", "answer", "not_for_us")),
			Priority: r.IntN(1001), Owner: OwnerTagged, Tagged: []uint64{uint64(i + 1)},
			PublishedAt: epoch.Add(time.Duration(i) * time.Second), SeenAt: epoch.Add(time.Duration(i)*time.Second + time.Minute),
			Revision: mention.Revision{Time: epoch, Hash: "0123456789abcdef"},
		}
		d.Platform = "platform-" + d.Source // a source brings posts of one platform
		if d.Open = d.Status != "done" && d.Status != "watching" && d.Disposition == mention.Answer; d.Open {
			d.DueAt = d.SeenAt.Add(time.Duration(r.IntN(86400)) * time.Second)
			d.NextAt = d.DueAt
		}
		if d.Status != "new" {
			d.Holder = numbered("staff", 31)
		}
		if r.IntN(20) == 0 {
			d.Risks = []mention.Category{mention.Category(of("churn", "legal_threat", "publicity_threat", "safety_hazard"))}
			d.Page = r.IntN(4) == 0
		}
		if r.IntN(5) == 0 {
			d.Story = numbered("story", 3000)
		}
		docs[i] = d
	}
	return docs
}

func load(tb testing.TB, e Engine, docs []Document, batch int) {
	for part := range slices.Chunk(docs, batch) {
		err := e.Write(tb.Context(), Batch{Upserts: part, Positions: map[string]uint64{"TAGGED": part[len(part)-1].Seq}})
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkIndex writes 50,000 new documents, then changes the state of each.
func BenchmarkIndex(b *testing.B) {
	docs := synthetic(50_000)
	for _, size := range []int{10, 100, 500, 1000} {
		b.Run(fmt.Sprintf("new in batches of %d", size), func(b *testing.B) {
			for b.Loop() {
				e := openTestSQLite(b, filepath.Join(b.TempDir(), "index.db"))
				start := time.Now()
				load(b, e, docs, size)
				b.ReportMetric(float64(len(docs))/time.Since(start).Seconds(), "docs/s")
				s, _ := e.Stats(b.Context())
				b.ReportMetric(float64(s.Bytes)/float64(len(docs)), "B/doc")
				if size != 1000 {
					continue
				}
				for i := range docs {
					docs[i].Status, docs[i].Priority = "in_hand", i%1000
				}
				start = time.Now()
				load(b, e, docs, size)
				b.ReportMetric(float64(len(docs))/time.Since(start).Seconds(), "changes/s")
			}
		})
	}
}

// measured reports the middle and the worst in a hundred of f's times.
func measured(b *testing.B, f func(i int)) {
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		f(i)
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

func loaded(b *testing.B) Engine {
	e := openTestSQLite(b, filepath.Join(b.TempDir(), "index.db"))
	load(b, e, synthetic(100_000), 1000)
	return e
}

// BenchmarkQueuePage reads pages of 50 from 100,000 documents.
func BenchmarkQueuePage(b *testing.B) {
	e := loaded(b)
	where := func(kv ...string) map[Field][]string {
		m := map[Field][]string{}
		for i := 0; i < len(kv); i += 2 {
			m[Field(kv[i])] = strings.Split(kv[i+1], "|")
		}
		return m
	}
	for _, c := range []struct {
		name string
		q    Query
	}{
		{"everything", Query{Viewer: SeesAll()}},
		{"open", Query{Viewer: SeesAll(), Where: where("open", "yes")}},
		{"open of one brand", Query{Viewer: Sees("brand-3"), Where: where("open", "yes")}},
		{"open of a rare brand, collapsed", Query{Viewer: Sees("brand-11"), Where: where("open", "yes"), Collapse: true}},
		{"mine", Query{Viewer: Sees("brand-1", "brand-2"), Where: where("open", "yes", "holder", "staff-30")}},
		{"no index fits", Query{Viewer: SeesAll(), Where: where("sentiment", "positive", "source", "source-9", "lang", "en")}},
		{"next to nothing", Query{Viewer: Sees("brand-11"), Where: where("holder", "staff-30", "risk", "safety_hazard", "page", "yes")}},
		{"newest of a rare source", Query{Viewer: SeesAll(), Sort: Newest, Where: where("source", "source-9")}},
		{"a day, negative", Query{Viewer: SeesAll(), Sort: Newest, Where: where("sentiment", "negative"), Published: Period{epoch, epoch.Add(24 * time.Hour)}}},
		{"not counted: media", Query{Viewer: SeesAll(), Where: where("media", "yes")}},
	} {
		b.Run(c.name, func(b *testing.B) {
			measured(b, func(int) {
				if _, err := e.Search(b.Context(), c.q); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// BenchmarkSearchJa looks in 100,000 documents for two characters, frequent
// and rare, and for a misspelt English word.
func BenchmarkSearchJa(b *testing.B) {
	e := loaded(b)
	docs := synthetic(2000)
	two := func(i int) string {
		for ; ; i++ {
			if r := []rune(docs[i%2000].Text); r[0] > 0x3000 {
				return string(r[i%40 : i%40+2])
			}
		}
	}
	for name, q := range map[string]func(i int) Query{
		"two characters": func(i int) Query { return Query{Viewer: SeesAll(), Text: two(i)} },
		"two characters, open": func(i int) Query {
			return Query{Viewer: SeesAll(), Text: two(i), Where: map[Field][]string{FieldOpen: {Yes}}}
		},
		"one character":           func(i int) Query { return Query{Viewer: SeesAll(), Text: string([]rune(two(i))[:1])} },
		"two words, by relevance": func(i int) Query { return Query{Viewer: SeesAll(), Text: two(i) + " " + two(i), Sort: Relevance} },
		"misspelt": func(i int) Query {
			for ; docs[i%2000].Lang != "en"; i++ {
			}
			w := strings.Fields(docs[i%2000].Text)[i%10]
			return Query{Viewer: SeesAll(), Text: w[:len(w)-1] + "x"}
		},
	} {
		b.Run(name, func(b *testing.B) {
			measured(b, func(i int) {
				if _, err := e.Search(b.Context(), q(i)); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// BenchmarkFacets counts six fields over 100,000 documents.
func BenchmarkFacets(b *testing.B) {
	e := loaded(b)
	list := []Field{FieldStatus, FieldSentiment, FieldIntent, FieldRisk, FieldSource, FieldHolder}
	for name, q := range map[string]Query{
		"everything":        {Viewer: SeesAll()},
		"open of one brand": {Viewer: Sees("brand-3"), Where: map[Field][]string{FieldOpen: {Yes}, FieldStatus: {"new"}}},
		"a month":           {Viewer: SeesAll(), Published: Period{epoch, epoch.Add(12 * time.Hour)}},
		"a text":            {Viewer: SeesAll(), Text: "一"},
	} {
		b.Run(name, func(b *testing.B) {
			measured(b, func(int) {
				if _, err := e.Facets(b.Context(), q, list...); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}
