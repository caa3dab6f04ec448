package search

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/earshot/earshot/pkg/mention"
)

func TestSQLiteConforms(t *testing.T) {
	conform(t, func(t *testing.T) Engine { return openTestSQLite(t, filepath.Join(t.TempDir(), "index.db")) })
}

func openTestSQLite(t testing.TB, path string) *SQLite {
	t.Helper()
	e, err := OpenSQLite(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	if _, err := e.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

// golden is the corpus that both engines answer from, by a short name.
var golden = []struct{ name, title, text string }{
	{"kanji", "", "東京都庁前店 接客最悪 返金要求中"},
	{"kanji2", "", "京都本店限定品完売"},
	{"mixed", "", "東京駅のAcmeカフェで新製品の抹茶ラテを飲んだ。おいしい！"},
	{"two", "", "解約したいのに電話がつながらない"},
	{"katakana", "", "アクメのイヤホン、左だけ音が出ない"},
	{"halfkana", "", "ｱｸﾒのﾏｸﾞｶｯﾌﾟが割れて届いた"},
	{"fullwidth", "", "ＡＣＭＥ　Ｐｒｏ２を買いました"},
	{"lawyer", "", "弁護士に相談してSNSに全部書きます"},
	{"one", "", "犬が好きなCM"},
	{"one2", "", "愛犬にも安全？"},
	{"emoji", "", "この店員さん最高🎉🎉 ありがとう"},
	{"delivery", "", "My delivery is late again, third time this month"},
	{"refund", "Refund refused", "They refused my refund. Posting this everywhere."},
	{"acme", "", "Acme support never answers, absolutely ridiculous"},
	{"cafe", "", "Visited the café on 5th avenue, résumé of my day"},
	{"android", "", "App crashes on Android 14 after the update"},
	{"error", "", "Error E1234 when I log in with user_name"},
	{"story1", "", "拡散希望 アクメの弁当から虫が出た"},
	{"story2", "", "拡散希望 アクメの弁当から虫が出た！"},
	{"story3", "", "RT 拡散希望 アクメの弁当から虫が出た"},
}

var epoch = time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)

func goldenID(name string) mention.ID { return mention.NewID("acme", "x", name) }

// goldenDocs are the corpus with states, priorities and deadlines spread over
// it so that most orders have ties.
func goldenDocs() []Document {
	statuses := []string{"new", "in_hand", "done"}
	sentiments := []mention.Sentiment{mention.Negative, mention.Neutral, mention.Positive}
	var docs []Document
	for i, g := range golden {
		d := Document{
			ID: goldenID(g.name), Seq: uint64(i + 1), Brand: "acme", Platform: "x", Source: "x-search", Kind: mention.KindPost,
			Intake: mention.Live, Lang: "ja", Title: g.title, Text: g.text, URL: "https://x.example/" + g.name,
			AuthorID: fmt.Sprintf("author-%d", i%4), AuthorHandle: fmt.Sprintf("handle_%d", i), AuthorName: "名無し",
			Status: statuses[i%3], Open: i%3 != 2, Sentiment: sentiments[i%2], Intent: mention.Complaint,
			Disposition: mention.Answer, Priority: i % 4 * 100, PublishedAt: epoch.Add(time.Duration(i/2) * time.Hour),
			SeenAt: epoch.Add(time.Duration(i) * time.Hour), Owner: OwnerTagged, Tagged: []uint64{uint64(i + 1)},
			Revision: mention.Revision{Time: epoch, Hash: "0123456789abcdef"},
		}
		if i%5 == 0 {
			d.Brand, d.Rating, d.Kind = "beta", i%5+1, mention.KindReview
		}
		if i%4 == 1 {
			d.DueAt = epoch.Add(time.Duration(30-i) * time.Hour)
			d.NextAt = d.DueAt
			d.Holder = "tanaka"
			d.Tags = []string{"vip", "store"}
			d.Risks = []mention.Category{mention.LegalThreat, mention.Churn}
			d.Page = true
		}
		if g.name == "cafe" {
			d.Tags = append(d.Tags, "#しるし")
		}
		switch i {
		case 2:
			d.Sent = []string{"reply-2b", "reply-2a"}
		case 7:
			d.Sent = []string{"reply-1"}
		case 9:
			d.Parent = "reply-1"
		}
		if strings.HasPrefix(g.name, "story") {
			d.Story, d.Brand = "bento", "acme"
		}
		if i >= 11 && i <= 16 {
			d.Lang = "en"
		}
		docs = append(docs, d)
	}
	return docs
}

func nameAll(hits []Hit) []string {
	var out []string
	for _, h := range hits {
		for _, g := range golden {
			if goldenID(g.name) == h.ID {
				out = append(out, g.name)
			}
		}
	}
	return out
}

// conform is what every engine must do alike.
func conform(t *testing.T, open func(*testing.T) Engine) {
	e := open(t)
	docs := goldenDocs()
	if err := e.Write(t.Context(), Batch{Upserts: docs, Positions: map[string]uint64{"TAGGED": 20}}); err != nil {
		t.Fatal(err)
	}
	t.Run("text", func(t *testing.T) { conformText(t, e) })
	t.Run("filters", func(t *testing.T) { conformFilters(t, e) })
	t.Run("orders and pages", func(t *testing.T) { conformOrders(t, e) })
	t.Run("stories", func(t *testing.T) { conformStories(t, e) })
	t.Run("counts", func(t *testing.T) { conformCounts(t, e) })
	t.Run("refusals", func(t *testing.T) { conformRefusals(t, e) })
	t.Run("documents come back as they were", func(t *testing.T) { conformGet(t, e) })
	t.Run("writes", func(t *testing.T) { conformWrites(t, open(t)) })
	t.Run("figures", func(t *testing.T) { conformFigures(t, open(t)) })
	t.Run("canaries", func(t *testing.T) { conformCanaries(t, open(t)) })
	t.Run("everybody counts", func(t *testing.T) { conformHolders(t, open(t)) })
}

// conformHolders: of people who hold something none is left out, of other values
// all but the most frequent.
func conformHolders(t *testing.T, e Engine) {
	base := goldenDocs()[0]
	base.Open = true
	var docs []Document
	var want []Bucket
	for i := range 5*MaxFacet + 7 {
		who := fmt.Sprintf("s-%03d", i)
		n := 1 + i%3
		for j := range n {
			d := base
			d.ID, d.Seq = mention.Of("acme", mention.Post{NativeID: fmt.Sprint(who, j)}).ID, uint64(len(docs)+1)
			d.Holder, d.Place, d.Tags = who, who, []string{who, "all"}
			docs = append(docs, d)
		}
		want = append(want, Bucket{who, int64(n)})
	}
	slices.SortStableFunc(want, func(a, b Bucket) int { return int(b.Count - a.Count) })
	if err := e.Write(t.Context(), Batch{Upserts: docs}); err != nil {
		t.Fatal(err)
	}
	for what, q := range map[string]Query{
		"counted":  {Viewer: SeesAll(), Where: map[Field][]string{FieldOpen: {Yes}}},
		"chosen":   {Viewer: SeesAll(), Where: map[Field][]string{FieldOpen: {Yes}, FieldHolder: {"s-000"}}},
		"by place": {Viewer: SeesAll(), Where: map[Field][]string{FieldOpen: {Yes}}, Except: map[Field][]string{FieldPlace: {"nowhere"}}},
	} {
		f, err := e.Facets(t.Context(), q, FieldHolder, FieldPlace, FieldTag)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, f[FieldHolder]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		// Who holds it is chosen by the one query, and places and tags follow it.
		some := want
		if len(q.Where[FieldHolder]) > 0 {
			some = []Bucket{{"s-000", 1}}
		}
		if diff := cmp.Diff(some[:min(len(some), MaxFacet)], f[FieldPlace]); diff != "" {
			t.Errorf("%s, places (-want +got):\n%s", what, diff)
		}
		var all int64
		for _, b := range some {
			all += b.Count
		}
		some = append([]Bucket{{"all", all}}, some...)
		if all == 1 {
			slices.SortFunc(some, func(a, b Bucket) int { return strings.Compare(a.Value, b.Value) })
		}
		if diff := cmp.Diff(some[:min(len(some), MaxFacet)], f[FieldTag]); diff != "" {
			t.Errorf("%s, tags (-want +got):\n%s", what, diff)
		}
	}
}

// conformCanaries: whoever sees every brand sees no canary, and a service does.
func conformCanaries(t *testing.T, e Engine) {
	docs := goldenDocs()[:3]
	canary := docs[0]
	canary.ID, canary.Seq, canary.Brand = mention.Of(mention.CanaryBrand, mention.Post{NativeID: "1"}).ID, 99, mention.CanaryBrand
	for _, with := range []bool{false, true} {
		if with {
			docs = append(docs, canary)
		}
		if err := e.Write(t.Context(), Batch{Upserts: docs}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			v    Viewer
			want int
		}{{SeesAllBrands(), 3}, {SeesAll(), len(docs)}, {Sees(mention.CanaryBrand), len(docs) - 3}} {
			q := Query{Viewer: c.v, Except: map[Field][]string{FieldBrand: {"nonsense"}}}
			res, err := e.Search(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			n, err := e.Counts(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			f, err := e.Facets(t.Context(), Query{Viewer: c.v}, FieldBrand)
			if err != nil {
				t.Fatal(err)
			}
			shown := slices.ContainsFunc(f[FieldBrand], func(b Bucket) bool { return b.Value == mention.CanaryBrand })
			if len(res.Hits) != c.want || n[0] != int64(c.want) || shown != (c.want != 3 && c.want > 0) {
				t.Errorf("with a canary %v: %d hits, %d counted, facets %v, want %d", with, len(res.Hits), n[0], f[FieldBrand], c.want)
			}
			if len(q.Except[FieldBrand]) != 1 {
				t.Error("the caller's filter was changed")
			}
		}
	}
}

func conformText(t *testing.T, e Engine) {
	for _, c := range []struct {
		what, text string
		want       []string // in any order
		not        []string // where other hits are allowed
	}{
		{what: "a two-character word in kanji-only and mixed text", text: "東京", want: []string{"kanji", "mixed"}},
		{what: "what people tagged", text: "しるし", want: []string{"cafe"}},
		{what: "but no mark of Earshot's own", text: "vip", want: nil},
		{what: "a word that runs over the border of two words", text: "京都", want: []string{"kanji", "kanji2"}},
		{what: "one kanji anywhere", text: "犬", want: []string{"one", "one2"}},
		{what: "one kanji at the end of a run", text: "店", want: []string{"kanji", "kanji2", "emoji"}},
		{what: "a longer run stands as it is", text: "電話がつながらない", want: []string{"two"}},
		{what: "pairs in another order are not the run", text: "都東京", want: nil},
		{what: "katakana finds half-width and hiragana", text: "アクメ", want: []string{"katakana", "halfkana", "story1", "story2", "story3"}},
		{what: "hiragana finds katakana", text: "いやほん", want: []string{"katakana"}},
		{what: "half-width kana finds full-width", text: "ﾏｸﾞｶｯﾌﾟ", want: []string{"halfkana"}},
		{what: "Latin in full width", text: "acme pro2", want: []string{"fullwidth"}},
		{what: "Japanese and Latin together", text: "acme 新製品", want: []string{"mixed"}},
		{what: "Japanese and Latin without a space", text: "Acmeカフェ", want: []string{"mixed"}},
		{what: "all words must be found", text: "東京 解約", want: nil},
		{what: "emoji", text: "🎉", want: []string{"emoji"}},
		{what: "the last word may go on", text: "support ridic", want: []string{"acme"}},
		{what: "words before it may not", text: "supp ridiculous", want: nil},
		{what: "one error in five letters", text: "delvery late", want: []string{"delivery"}},
		{what: "swapped letters are one error", text: "refudn ", want: []string{"refund"}},
		{what: "two errors in nine letters", text: "ridiculos absolutly", want: []string{"acme"}},
		{what: "no errors in four letters", text: "latr again", want: nil},
		{what: "an error in the first letter counts twice", text: "xefund", want: nil},
		{what: "numbers are never misspelt", text: "E1235", want: nil},
		{what: "numbers are found", text: "e1234", want: []string{"error"}},
		{what: "accents do not matter", text: "cafe resume", want: []string{"cafe"}},
		{what: "a quoted phrase stands as it is", text: `"refused my refund"`, want: []string{"refund"}},
		{what: "in quotes order matters", text: `"refund my refused"`, want: nil},
		{what: "in quotes nothing is misspelt", text: `"delvery"`, want: nil},
		{what: "a quoted phrase across scripts", text: `"のAcmeカ"`, want: []string{"mixed"}},
		{what: "the title counts", text: "refund refused posting", want: []string{"refund"}},
		{what: "a handle", text: "handle_3", want: []string{"two"}},
		{what: "a word with an underscore", text: "user_name", want: []string{"error"}},
		{what: "an open quote", text: `"弁当から虫`, want: []string{"story1", "story2", "story3"}},
		{what: "operators of engines are plain words", text: `late" OR NOT (acme* -`, want: nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			res, err := e.Search(t.Context(), Query{Viewer: SeesAll(), Text: c.text})
			if err != nil {
				t.Fatal(err)
			}
			got := nameAll(res.Hits)
			slices.Sort(got)
			want := slices.Sorted(slices.Values(c.want))
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%q finds (-want +got):\n%s", c.text, diff)
			}
			if res.Total != len(want) {
				t.Errorf("%q has a total of %d, want %d", c.text, res.Total, len(want))
			}
		})
	}
	t.Run("what is found is marked", func(t *testing.T) {
		for text, want := range map[string]string{"カフェ 抹茶": "カフェ|抹茶", "RIDIC": "ridic", "ﾏｸﾞ": "ﾏｸﾞ", "pro2 acme": "ＡＣＭＥ|Ｐｒｏ２", `"my refund"`: "my refund"} {
			res, err := e.Search(t.Context(), Query{Viewer: SeesAll(), Text: text, Sort: Relevance})
			if err != nil || len(res.Hits) == 0 {
				t.Fatal(text, err, len(res.Hits))
			}
			var got []string
			content := []rune(res.Hits[0].Content())
			for _, m := range res.Hits[0].Marks {
				got = append(got, string(content[m.Start:m.End]))
			}
			if s := strings.Join(got, "|"); s != want {
				t.Errorf("%q marks %q, want %q", text, s, want)
			}
		}
	})
}

func conformFilters(t *testing.T, e Engine) {
	docs := goldenDocs()
	for _, c := range []struct {
		what string
		q    Query
		keep func(*Document) bool
	}{
		{"a viewer of one brand", Query{Viewer: Sees("beta")}, func(d *Document) bool { return d.Brand == "beta" }},
		{"a brand the viewer does not see", Query{Viewer: Sees("beta"), Where: map[Field][]string{FieldBrand: {"acme"}}}, func(*Document) bool { return false }},
		{"any of two values", Query{Where: map[Field][]string{FieldStatus: {"new", "done"}}}, func(d *Document) bool { return d.Status != "in_hand" }},
		{"a value nobody has", Query{Where: map[Field][]string{FieldStatus: {"nonsense"}}}, func(*Document) bool { return false }},
		{"all but a value nobody has", Query{Except: map[Field][]string{FieldStatus: {"nonsense"}}}, func(*Document) bool { return true }},
		{"all but two values", Query{Except: map[Field][]string{FieldStatus: {"new", "done"}}}, func(d *Document) bool { return d.Status == "in_hand" }},
		{"several fields", Query{Where: map[Field][]string{FieldOpen: {Yes}, FieldSentiment: {"negative"}}}, func(d *Document) bool { return d.Open && d.Sentiment == mention.Negative }},
		{"unassigned", Query{Where: map[Field][]string{FieldHolder: {Unassigned}}}, func(d *Document) bool { return d.Holder == "" }},
		{"held or unassigned", Query{Where: map[Field][]string{FieldHolder: {Unassigned, "tanaka"}}}, func(*Document) bool { return true }},
		{"one of many risks", Query{Where: map[Field][]string{FieldRisk: {"churn"}}}, func(d *Document) bool { return len(d.Risks) > 0 }},
		{"no risk", Query{Where: map[Field][]string{FieldRisk: {None}}}, func(d *Document) bool { return len(d.Risks) == 0 }},
		{"all but a risk", Query{Except: map[Field][]string{FieldRisk: {"legal_threat"}}}, func(d *Document) bool { return len(d.Risks) == 0 }},
		{"a tag", Query{Where: map[Field][]string{FieldTag: {"store"}}}, func(d *Document) bool { return slices.Contains(d.Tags, "store") }},
		{"a tag in another case and width", Query{Where: map[Field][]string{FieldTag: {"ＶIP "}}}, func(d *Document) bool { return slices.Contains(d.Tags, "vip") }},
		{"a page", Query{Where: map[Field][]string{FieldPage: {Yes}}}, func(d *Document) bool { return d.Page }},
		{"both values of a flag", Query{Where: map[Field][]string{FieldOpen: {Yes, No}}}, func(*Document) bool { return true }},
		{"a rating", Query{Where: map[Field][]string{FieldRating: {"1"}}}, func(d *Document) bool { return d.Rating == 1 }},
		{"an author", Query{Where: map[Field][]string{FieldAuthor: {"author-2"}, FieldPlatform: {"x"}}}, func(d *Document) bool { return d.AuthorID == "author-2" }},
		{"a reply of ours", Query{Where: map[Field][]string{FieldSent: {"reply-2b"}, FieldPlatform: {"x"}}}, func(d *Document) bool { return slices.Contains(d.Sent, "reply-2b") }},
		{"one of our replies", Query{Where: map[Field][]string{FieldSent: {"reply-1", "reply-2a", "nobody's"}}}, func(d *Document) bool { return len(d.Sent) > 0 }},
		{"all but those with a reply of ours", Query{Except: map[Field][]string{FieldSent: {"reply-1", "reply-2a"}}}, func(d *Document) bool { return len(d.Sent) == 0 }},
		{"answers to a reply of ours", Query{Where: map[Field][]string{FieldParent: {"reply-1", "reply-2a"}, FieldPlatform: {"x"}}}, func(d *Document) bool { return d.Parent == "reply-1" }},
		{"nobody's reply", Query{Where: map[Field][]string{FieldSent: {"reply-9"}}}, func(*Document) bool { return false }},
		{"a story", Query{Where: map[Field][]string{FieldStory: {"bento"}}}, func(d *Document) bool { return d.Story == "bento" }},
		{"a half-open period", Query{Seen: Period{epoch.Add(3 * time.Hour), epoch.Add(7 * time.Hour)}}, func(d *Document) bool { h := d.SeenAt.Sub(epoch).Hours(); return h >= 3 && h < 7 }},
		{"due before", Query{Due: Period{To: epoch.Add(20 * time.Hour)}}, func(d *Document) bool { return !d.DueAt.IsZero() && d.DueAt.Before(epoch.Add(20*time.Hour)) }},
		{"published after", Query{Published: Period{From: epoch.Add(5 * time.Hour)}}, func(d *Document) bool { return !d.PublishedAt.Before(epoch.Add(5 * time.Hour)) }},
		{"text and filters", Query{Text: "拡散希望", Where: map[Field][]string{FieldStatus: {"done", "new"}}}, func(d *Document) bool { return d.Story == "bento" && d.Status != "in_hand" }},
	} {
		t.Run(c.what, func(t *testing.T) {
			if c.q.Viewer.brands == nil {
				c.q.Viewer = SeesAll()
			}
			var want []mention.ID
			for i := range docs {
				if c.keep(&docs[i]) {
					want = append(want, docs[i].ID)
				}
			}
			for _, order := range []Sort{Queue, Newest, Oldest, Relevance} {
				c.q.Sort = order
				res, err := e.Search(t.Context(), c.q)
				if err != nil {
					t.Fatal(err)
				}
				var got []mention.ID
				for _, h := range res.Hits {
					got = append(got, h.ID)
				}
				slices.Sort(got)
				slices.Sort(want)
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("by %s (-want +got):\n%s", order, diff)
				}
				if res.Total != len(want) || res.TotalCapped {
					t.Errorf("by %s: total %d (capped: %t), want %d", order, res.Total, res.TotalCapped, len(want))
				}
			}
			n, err := e.Counts(t.Context(), c.q)
			if err != nil || n[0] != int64(len(want)) {
				t.Errorf("counted %v, %v, want %d", n, err, len(want))
			}
		})
	}
}

// inOrder sorts documents as the query must.
func inOrder(docs []Document, by Sort) []mention.ID {
	docs = slices.Clone(docs)
	if by == Soonest {
		docs = slices.DeleteFunc(docs, func(d Document) bool { return d.DueAt.IsZero() })
	}
	slices.SortFunc(docs, func(a, b Document) int {
		tie := int(a.Seq) - int(b.Seq)
		when := a.PublishedAt.Compare(b.PublishedAt)
		switch {
		case by == Newest && when != 0:
			return -when
		case by == Newest:
			return -tie
		case by == Oldest && when != 0:
			return when
		case by == Oldest:
			return tie
		case by == Soonest && !a.DueAt.Equal(b.DueAt):
			return a.DueAt.Compare(b.DueAt)
		case by == Soonest:
			return tie
		case a.Open != b.Open:
			return int(bit(b.Open) - bit(a.Open))
		case a.Priority != b.Priority:
			return b.Priority - a.Priority
		case a.DueAt.IsZero() != b.DueAt.IsZero():
			return int(bit(a.DueAt.IsZero()) - bit(b.DueAt.IsZero()))
		case !a.DueAt.Equal(b.DueAt):
			return a.DueAt.Compare(b.DueAt)
		}
		return tie
	})
	var ids []mention.ID
	for _, d := range docs {
		ids = append(ids, d.ID)
	}
	return ids
}

// walk reads all pages of q.
func walk(t *testing.T, e Engine, q Query, each func(page int)) []mention.ID {
	t.Helper()
	var ids []mention.ID
	for page := 0; ; page++ {
		res, err := e.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range res.Hits {
			ids = append(ids, h.ID)
		}
		if res.Next == "" {
			return ids
		}
		if len(res.Hits) != q.Limit {
			t.Fatalf("page %d has %d hits and a next page", page, len(res.Hits))
		}
		q.Cursor = res.Next
		if each != nil {
			each(page)
		}
	}
}

func conformOrders(t *testing.T, e Engine) {
	for _, by := range []Sort{Queue, Newest, Oldest, Soonest} {
		for _, limit := range []int{1, 3, 7, 20, 200} {
			got := walk(t, e, Query{Viewer: SeesAll(), Sort: by, Limit: limit}, nil)
			if diff := cmp.Diff(inOrder(goldenDocs(), by), got); diff != "" {
				t.Fatalf("by %s in pages of %d (-want +got):\n%s", by, limit, diff)
			}
		}
	}
	t.Run("the soonest within a time, uncounted", func(t *testing.T) {
		until := epoch.Add(28 * time.Hour)
		var some []Document
		for _, d := range goldenDocs() {
			if d.Open && !d.DueAt.IsZero() && d.DueAt.Before(until) {
				some = append(some, d)
			}
		}
		if len(some) < 2 {
			t.Fatal("too few to have an order")
		}
		q := Query{Viewer: SeesAll(), Where: map[Field][]string{FieldOpen: {Yes}}, Due: Period{To: until}, Sort: Soonest, Limit: 1, Uncounted: true}
		if diff := cmp.Diff(inOrder(some, Soonest), walk(t, e, q, nil)); diff != "" {
			t.Error(diff)
		}
		if res, err := e.Search(t.Context(), q); err != nil || res.Total != 0 {
			t.Errorf("counted %d, %v", res.Total, err)
		}
	})
	t.Run("with text", func(t *testing.T) {
		var some []Document
		for _, d := range goldenDocs() {
			if d.Story != "" {
				some = append(some, d)
			}
		}
		got := walk(t, e, Query{Viewer: SeesAll(), Text: "弁当", Limit: 2}, nil)
		if diff := cmp.Diff(inOrder(some, Queue), got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("by relevance every hit comes once", func(t *testing.T) {
		got := walk(t, e, Query{Viewer: SeesAll(), Text: "アクメ", Sort: Relevance, Limit: 2}, nil)
		slices.Sort(got)
		if len(got) != 5 || len(slices.Compact(got)) != 5 {
			t.Errorf("got %v", got)
		}
	})
	t.Run("an insert in the middle moves nothing", func(t *testing.T) {
		extra := goldenDocs()[0]
		extra.ID, extra.Seq, extra.Priority, extra.Open = goldenID("extra"), 1000, 1000, true
		want := inOrder(goldenDocs(), Queue)
		got := walk(t, e, Query{Viewer: SeesAll(), Limit: 3}, func(page int) {
			if page == 2 {
				if err := e.Write(t.Context(), Batch{Upserts: []Document{extra}}); err != nil {
					t.Fatal(err)
				}
			}
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if err := e.Write(t.Context(), Batch{Deletes: []mention.ID{extra.ID}}); err != nil {
			t.Fatal(err)
		}
	})
}

func conformStories(t *testing.T, e Engine) {
	all := goldenDocs()
	for _, by := range []Sort{Queue, Newest, Oldest} {
		var want []mention.ID
		seen := false
		for _, id := range inOrder(all, by) {
			at := slices.IndexFunc(all, func(d Document) bool { return d.ID == id })
			if all[at].Story != "" {
				if seen {
					continue
				}
				seen = true
			}
			want = append(want, id)
		}
		for _, limit := range []int{1, 4, 200} {
			got := walk(t, e, Query{Viewer: SeesAll(), Sort: by, Collapse: true, Limit: limit}, nil)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("by %s in pages of %d (-want +got):\n%s", by, limit, diff)
			}
		}
	}
	got := walk(t, e, Query{Viewer: SeesAll(), Sort: Relevance, Text: "アクメ", Collapse: true, Limit: 1}, nil)
	if len(got) != 3 {
		t.Errorf("by relevance there are %d rows, want 3", len(got))
	}
	stories, err := e.Stories(t.Context(), "acme", epoch.Add(9*time.Hour), "bento", "nothing")
	want := map[string]Story{"bento": {Count: 3, Recent: 2, First: epoch.Add(8 * time.Hour)}}
	if diff := cmp.Diff(want, stories); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if stories, err := e.Stories(t.Context(), "beta", epoch, "bento"); len(stories) != 0 || err != nil {
		t.Errorf("another brand has the story: %v, %v", stories, err)
	}
}

func conformCounts(t *testing.T, e Engine) {
	f, err := e.Facets(t.Context(), Query{Viewer: SeesAll(), Where: map[Field][]string{FieldStatus: {"new"}}},
		FieldStatus, FieldBrand, FieldRisk, FieldHolder, FieldPage, FieldRating, FieldTag)
	if err != nil {
		t.Fatal(err)
	}
	want := Facets{
		FieldStatus: {{"in_hand", 7}, {"new", 7}, {"done", 6}},
		FieldBrand:  {{"acme", 5}, {"beta", 2}},
		FieldRisk:   {{None, 6}, {"churn", 1}, {"legal_threat", 1}},
		FieldHolder: {{Unassigned, 6}, {"tanaka", 1}},
		FieldPage:   {{No, 6}, {Yes, 1}},
		FieldRating: {{"0", 5}, {"1", 2}},
		FieldTag:    {{None, 6}, {"store", 1}, {"vip", 1}},
	}
	count := func(keep func(*Document) bool) (n int64) {
		for _, d := range goldenDocs() {
			if d.Status == "new" && keep(&d) {
				n++
			}
		}
		return n
	}
	want[FieldBrand][0].Count = count(func(d *Document) bool { return d.Brand == "acme" })
	want[FieldBrand][1].Count = count(func(d *Document) bool { return d.Brand == "beta" })
	risky := count(func(d *Document) bool { return len(d.Risks) > 0 })
	rated := count(func(d *Document) bool { return d.Rating == 1 })
	for _, f := range []Field{FieldRisk, FieldHolder, FieldPage, FieldTag} {
		want[f][0].Count, want[f][1].Count = 7-risky, risky
		if len(want[f]) > 2 {
			want[f][2].Count = risky
		}
	}
	want[FieldRating][0].Count, want[FieldRating][1].Count = 7-rated, rated
	if diff := cmp.Diff(want, f); diff != "" {
		t.Errorf("facets (-want +got):\n%s", diff)
	}
	f, err = e.Facets(t.Context(), Query{Viewer: Sees("acme"), Text: "拡散希望"}, FieldStatus, FieldBrand)
	want = Facets{FieldStatus: {{"done", 1}, {"in_hand", 1}, {"new", 1}}, FieldBrand: {{"acme", 3}}}
	if diff := cmp.Diff(want, f); diff != "" || err != nil {
		t.Errorf("facets of a text: %v\n%s", err, diff)
	}
	n, err := e.Counts(t.Context(), Query{Viewer: SeesAll()}, Query{Viewer: SeesAll(), Where: map[Field][]string{FieldHolder: {"tanaka"}}}, Query{Viewer: SeesAll(), Text: "東京"})
	if diff := cmp.Diff([]int64{20, 5, 2}, n); diff != "" || err != nil {
		t.Errorf("counts: %v\n%s", err, diff)
	}
	due, err := e.Due(t.Context(), epoch.Add(21*time.Hour), 2)
	if diff := cmp.Diff([]mention.ID{goldenID("story1"), goldenID("cafe")}[:len(due)], due); err != nil || len(due) != 2 {
		t.Errorf("due: %v\n%s", err, diff)
	}
}

func conformRefusals(t *testing.T, e Engine) {
	many := make([]string, MaxValues+1)
	other, err := e.Search(t.Context(), Query{Viewer: SeesAll(), Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for what, q := range map[string]Query{
		"an unknown field":           {Viewer: SeesAll(), Where: map[Field][]string{"evil": {"1"}}},
		"an unknown field excluded":  {Viewer: SeesAll(), Except: map[Field][]string{"brand = 'x' OR": {"1"}}},
		"an unknown sort":            {Viewer: SeesAll(), Sort: "price"},
		"too large a page":           {Viewer: SeesAll(), Limit: MaxLimit + 1},
		"a page below zero":          {Viewer: SeesAll(), Limit: -1},
		"a text too long":            {Viewer: SeesAll(), Text: strings.Repeat("あ", MaxText+1)},
		"a text that is no text":     {Viewer: SeesAll(), Text: "\xff"},
		"too many values":            {Viewer: SeesAll(), Where: map[Field][]string{FieldTag: many}},
		"a flag that is neither":     {Viewer: SeesAll(), Where: map[Field][]string{FieldPage: {"maybe"}}},
		"a rating that is no number": {Viewer: SeesAll(), Where: map[Field][]string{FieldRating: {"5 OR 1=1"}}},
		"a cursor that is none":      {Viewer: SeesAll(), Cursor: "hello"},
		"another query's cursor":     {Viewer: Sees("beta"), Cursor: other.Next},
	} {
		_, err := e.Search(t.Context(), q)
		if _, ok := errors.AsType[*QueryError](err); !ok {
			t.Errorf("%s: %v, want a QueryError", what, err)
		}
	}
	for what, v := range map[string]Viewer{"no viewer": {}, "a viewer of nothing": Sees()} {
		_, search := e.Search(t.Context(), Query{Viewer: v})
		_, facets := e.Facets(t.Context(), Query{Viewer: v}, FieldBrand)
		_, counts := e.Counts(t.Context(), Query{Viewer: v})
		_, get := e.Get(t.Context(), v, goldenID("one"))
		for _, err := range []error{search, facets, counts, get} {
			if !errors.Is(err, ErrNoViewer) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	if _, err := e.Facets(t.Context(), Query{Viewer: SeesAll()}, FieldAuthor); err == nil {
		t.Error("authors can be counted")
	}
	gone, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, err := e.Search(gone, Query{Viewer: SeesAll()}); !errors.Is(err, ErrTimeout) {
		t.Errorf("after the deadline: %v, want ErrTimeout", err)
	}
}

func conformGet(t *testing.T, e Engine) {
	want := goldenDocs()[1]
	want.normal()
	got, err := e.Get(t.Context(), Sees("acme"), goldenID("none"), goldenID("kanji2"), "not an id", goldenID("kanji"), goldenID("two"))
	if err != nil || len(got) != 2 || got[1].ID != goldenID("two") {
		t.Fatalf("got %d documents, %v; want 2, for the first is of another brand", len(got), err)
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func conformWrites(t *testing.T, e Engine) {
	ctx := t.Context()
	docs := goldenDocs()
	write := func(b Batch) {
		t.Helper()
		if err := e.Write(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	find := func(text string) []string {
		t.Helper()
		res, err := e.Search(ctx, Query{Viewer: SeesAll(), Text: text})
		if err != nil {
			t.Fatal(err)
		}
		return nameAll(res.Hits)
	}
	write(Batch{Upserts: docs[:10], Positions: map[string]uint64{"TAGGED": 10, "CASES": 3}})
	if at, err := e.Position(ctx, "TAGGED"); at != 10 || err != nil {
		t.Errorf("position %d, %v", at, err)
	}
	if at, err := e.Position(ctx, "OTHER"); at != 0 || err != nil {
		t.Errorf("position of a stream never read: %d, %v", at, err)
	}
	waited := make(chan error)
	go func() { waited <- e.Wait(ctx, "TAGGED", 20) }()
	// The same again, out of batches of another cut, ends in the same state.
	write(Batch{Upserts: docs[5:], Positions: map[string]uint64{"TAGGED": 20}})
	if err := <-waited; err != nil {
		t.Error(err)
	}
	write(Batch{Upserts: docs[:20], Positions: map[string]uint64{"TAGGED": 20}})
	got := walk(t, e, Query{Viewer: SeesAll(), Limit: 7}, nil)
	if diff := cmp.Diff(inOrder(docs, Queue), got); diff != "" {
		t.Errorf("after a replay (-want +got):\n%s", diff)
	}
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if err := e.Wait(short, "TAGGED", 21); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for what never comes: %v", err)
	}

	edited := docs[2]
	edited.Text, edited.Status, edited.Holder, edited.Sent = "大阪で飲んだ", "done", "suzuki", []string{"reply-2b", "reply-2c"}
	twice := edited
	twice.Status = "in_hand"
	write(Batch{Upserts: []Document{edited, twice}})
	if got := find("新製品"); len(got) != 0 {
		t.Errorf("the old text still finds %v", got)
	}
	if got := find("大阪"); !slices.Equal(got, []string{"mixed"}) {
		t.Errorf("the new text finds %v", got)
	}
	n, err := e.Counts(ctx, Query{Viewer: SeesAll()}, Query{Viewer: SeesAll(), Where: map[Field][]string{FieldHolder: {"suzuki"}, FieldStatus: {"in_hand"}}})
	if diff := cmp.Diff([]int64{20, 1}, n); diff != "" || err != nil {
		t.Error(err, diff)
	}

	answered := func(native string, want int64) {
		t.Helper()
		n, err := e.Counts(ctx, Query{Viewer: SeesAll(), Where: map[Field][]string{FieldSent: {native}}})
		if err != nil || n[0] != want {
			t.Errorf("%d documents have the reply %s, want %d (%v)", n[0], native, want, err)
		}
	}
	answered("reply-2a", 0)
	answered("reply-2b", 1)
	answered("reply-2c", 1)
	answered("reply-1", 1)
	write(Batch{Deletes: []mention.ID{docs[7].ID}})
	answered("reply-1", 0)
	write(Batch{Upserts: docs[7:8]})
	answered("reply-1", 1)
	write(Batch{Deletes: []mention.ID{docs[3].ID, goldenID("never there"), "nonsense"}})
	if got := find("解約"); len(got) != 0 {
		t.Errorf("what was deleted is found: %v", got)
	}
	if err := e.Scrub(ctx); err != nil {
		t.Error(err)
	}
	if s, err := e.Stats(ctx); err != nil || s.Documents != 19 || s.Positions["TAGGED"] != 20 || s.Engine == "" {
		t.Errorf("stats %+v, %v", s, err)
	}

	bad := docs[4]
	bad.ID = "malformed"
	err = e.Write(ctx, Batch{Upserts: []Document{docs[3], bad}, Positions: map[string]uint64{"TAGGED": 30}})
	if r, ok := errors.AsType[*RejectedError](err); !ok || !slices.Equal(r.IDs, []mention.ID{"malformed"}) {
		t.Errorf("a malformed id: %v", err)
	}
	if at, _ := e.Position(ctx, "TAGGED"); at != 20 {
		t.Errorf("a refused batch moved the position to %d", at)
	}

	clash := docs[6]
	clash.ID, clash.Text = goldenID("clash"), "同じ番号"
	write(Batch{Upserts: []Document{clash}})
	res, err := e.Search(ctx, Query{Viewer: SeesAll(), Text: "同じ番号"})
	if err != nil || res.Total != 1 {
		t.Errorf("a document with another's Seq is lost: %d, %v", res.Total, err)
	}

	if err := e.Clear(ctx); err != nil {
		t.Fatal(err)
	}
	if at, err := e.Position(ctx, "TAGGED"); at != 0 || err != nil {
		t.Errorf("after Clear the position is %d, %v", at, err)
	}
	if got := walk(t, e, Query{Viewer: SeesAll(), Limit: 7}, nil); len(got) != 0 {
		t.Errorf("after Clear there are %v", got)
	}
	write(Batch{Upserts: docs, Positions: map[string]uint64{"TAGGED": 20}})
	if got := find("東京"); len(got) != 2 {
		t.Errorf("after Clear and a rebuild there are %v", got)
	}
	if fresh, err := e.Ensure(ctx); fresh || err != nil {
		t.Errorf("Ensure again: %t, %v", fresh, err)
	}
	if at, err := e.Position(ctx, "TAGGED"); at != 20 || err != nil {
		t.Errorf("Ensure again moves the position to %d, %v", at, err)
	}
}
