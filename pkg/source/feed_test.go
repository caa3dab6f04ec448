package source

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

func testDeps(t testing.TB) Deps {
	t.Helper()
	client, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.1"}, Rate: 10000, Burst: 10000, Concurrency: 16})
	if err != nil {
		t.Fatal(err)
	}
	return Deps{
		HTTP: client, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return testNow },
		Terms: func() Terms { return Terms{} }, Data: t.TempDir(), Keep: Memory(),
	}
}

func openKind(t testing.TB, kind, cfg string, d Deps) bench {
	t.Helper()
	k, ok := Named(kind)
	if !ok {
		t.Fatal(kind)
	}
	src, err := k.Open([]byte(cfg), d)
	if err != nil {
		t.Fatal(err)
	}
	return bench{src, nil}
}

func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// last returns the cursor after the last item, or the one before.
func last(items []Item, before string) string {
	if len(items) == 0 {
		return before
	}
	return items[len(items)-1].Cursor
}

func TestFeedsOfEveryFormatAndEncoding(t *testing.T) {
	for _, c := range []struct {
		file, contentType string
		want              mention.Post
	}{
		{"shift_jis.xml", "text/xml", mention.Post{NativeID: "https://a.example/1", Title: "炊飯器①の髙い評価", Text: "表示が美しい。ソ十予能", Author: mention.Author{Name: "新聞"}, PublishedAt: testNow}},
		{"euc-jp.xml", "application/rdf+xml", mention.Post{NativeID: "https://b.example/1", Title: "電気ケトルの感想", Text: "すぐ沸く", Author: mention.Author{Name: "太郎"}, PublishedAt: time.Date(2026, 11, 19, 1, 0, 0, 0, time.UTC)}},
		{"header-charset.xml", "text/xml; charset=Shift_JIS", mention.Post{NativeID: "https://c.example/1", Title: "宣言のない文字", Author: mention.Author{Name: "新聞"}, PublishedAt: testNow}},
		{"atom.xml", "application/atom+xml", mention.Post{NativeID: "tag:d.example,2026:1", URL: "https://d.example/blog/one", Title: "Kettles & pots", Text: "First\n\nSecond", Author: mention.Author{Name: "Kim"}, PublishedAt: time.Date(2026, 11, 18, 10, 0, 0, 0, time.UTC), EditedAt: time.Date(2026, 11, 19, 10, 0, 0, 0, time.UTC)}},
		{"feed.json", "application/feed+json", mention.Post{NativeID: "https://e.example/1", Title: "見出し", Text: "本文です。", Lang: "ja", Author: mention.Author{Name: "編集部"}, PublishedAt: time.Date(2026, 11, 19, 3, 0, 0, 0, time.UTC), Media: []mention.Media{{Type: mention.Video}}}},
	} {
		t.Run(c.file, func(t *testing.T) {
			base := serve(t, func(w http.ResponseWriter, r *http.Request) {
				raw, err := os.ReadFile("testdata/formats/" + c.file)
				if err != nil {
					t.Error(err)
				}
				w.Header().Set("Content-Type", c.contentType)
				w.Write(raw)
			})
			items, err := openKind(t, "feed", "url: "+base+"/feed", testDeps(t)).fetch(t.Context(), "")
			if err != nil || len(items) != 1 {
				t.Fatalf("%d items, %v", len(items), err)
			}
			p, w := items[0].Post, c.want
			if w.URL == "" {
				w.URL = w.NativeID
			}
			if p.NativeID != w.NativeID || p.Title != w.Title || p.Text != w.Text || p.Author.Name != w.Author.Name || p.URL != w.URL ||
				!p.PublishedAt.Equal(w.PublishedAt) || !p.EditedAt.Equal(w.EditedAt) || w.Lang != "" && p.Lang != w.Lang || len(p.Media) != len(w.Media) {
				t.Errorf("got  %+v\nwant %+v", p, w)
			}
		})
	}
}

// fakeFeed serves whatever items say, with an ETag.
type fakeFeed struct {
	items    []string
	tag      string
	requests []*http.Request
}

func (f *fakeFeed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.requests = append(f.requests, r)
	if f.tag != "" {
		w.Header().Set("ETag", f.tag)
		w.Header().Set("Last-Modified", "yesterday, verbatim")
		if r.Header.Get("If-None-Match") == f.tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	io.WriteString(w, `<rss version="2.0"><channel><title>T</title>`+strings.Join(f.items, "")+`</channel></rss>`)
}

func rssItem(id int, text string) string {
	return fmt.Sprintf(`<item><guid>https://x.example/%d</guid><title>%d</title><description>%s</description><pubDate>%s</pubDate></item>`,
		id, id, text, testNow.Add(time.Duration(id-100000)*time.Minute).Format(time.RFC1123Z))
}

func TestFeedsAreAskedConditionally(t *testing.T) {
	f := &fakeFeed{items: []string{rssItem(1, "a")}, tag: `W/"x y"`}
	src := openKind(t, "feed", "url: "+serve(t, f.ServeHTTP), testDeps(t))
	items, err := src.fetch(t.Context(), "")
	if err != nil || len(items) != 1 {
		t.Fatal(items, err)
	}
	again, err := src.fetch(t.Context(), items[0].Cursor)
	if err != nil || len(again) != 0 {
		t.Errorf("%v %v", again, err)
	}
	h := f.requests[1].Header
	if h.Get("If-None-Match") != `W/"x y"` || h.Get("If-Modified-Since") != "yesterday, verbatim" {
		t.Errorf("%v", h)
	}
}

func TestAnEditedItemComesAgainAndNoOtherDoes(t *testing.T) {
	f := &fakeFeed{items: []string{rssItem(3, "c"), rssItem(2, "b"), rssItem(1, "a")}}
	src := openKind(t, "feed", "url: "+serve(t, f.ServeHTTP), testDeps(t))
	items, err := src.fetch(t.Context(), "")
	if err != nil || len(items) != 3 {
		t.Fatal(items, err)
	}
	f.items[1] = rssItem(2, "b, corrected")
	edited, err := src.fetch(t.Context(), last(items, ""))
	if err != nil || len(postsOf(edited)) != 1 || edited[0].Post.Text != "b, corrected" {
		t.Fatal(edited, err)
	}
	if was, is := mention.Of("acme", items[1].Post), mention.Of("acme", edited[0].Post); was.ID != is.ID || was.MessageID() == is.MessageID() {
		t.Errorf("%s became %s", was.MessageID(), is.MessageID())
	}
	if again, err := src.fetch(t.Context(), last(edited, "")); err != nil || len(postsOf(again)) != 0 {
		t.Errorf("%v %v", again, err)
	}
	f.items = f.items[:1] // others leave the feed
	if again, err := src.fetch(t.Context(), last(edited, "")); err != nil || len(postsOf(again)) != 0 {
		t.Errorf("%v %v", again, err)
	}
}

func TestFeedsOfThousandsOfItems(t *testing.T) {
	f := &fakeFeed{tag: `"big"`}
	for i := range 8000 {
		f.items = append(f.items, rssItem(8000-i, "text"))
	}
	src := openKind(t, "feed", "url: "+serve(t, f.ServeHTTP), testDeps(t))
	start := time.Now()
	items, err := src.fetch(t.Context(), "")
	if err != nil || len(items) != 8000 {
		t.Fatal(len(items), err)
	}
	t.Logf("8000 items in %v, cursor %d bytes", time.Since(start), len(last(items, "")))
	rest, err := src.fetch(t.Context(), items[3999].Cursor)
	if err != nil || len(rest) != 4000 || rest[0].Post.Title != "4001" {
		t.Fatal(len(rest), err)
	}
	f.tag = ""
	if again, err := src.fetch(t.Context(), last(rest, "")); err != nil || len(postsOf(again)) != 0 {
		t.Errorf("%d again, %v", len(again), err)
	}
	if n := len(last(rest, "")); n > 200<<10 {
		t.Errorf("the cursor has %d bytes", n)
	}
}

func TestWhatIsNotAFeedSaysSo(t *testing.T) {
	bomb := `<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]><rss version="2.0"><channel><item><title>&lol2;</title></item></channel></rss>`
	for _, c := range []struct{ name, body, want string }{
		{"nothing", "", "the answer is empty"},
		{"a web page", "<!DOCTYPE html><html><head><title>x</title></head></html>", "a web page, not a feed"},
		{"a web page that names its feed", `<!DOCTYPE html><html><head><link rel="alternate" type="application/rss+xml" href="/news.rss"></head></html>`, "/news.rss"},
		{"JSON of another kind", `{"a": 1}`, "not an RSS, Atom or JSON feed"},
		{"an entity bomb", bomb, "XML entities"},
		{"a feed cut short", `<rss version="2.0"><channel><item><title>x`, "broken feed"},
		{"binary", "\x89PNG\r\n\x1a\n\x00\x00", "not an RSS, Atom or JSON feed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, c.body) })
			items, err := openKind(t, "feed", "url: "+base, testDeps(t)).fetch(t.Context(), "")
			if err == nil || !strings.Contains(err.Error(), c.want) || len(items) > 0 {
				t.Errorf("%d items, %v", len(items), err)
			}
		})
	}
}

// The bounds are the code's own: no clock is asked whether a parser was slow.
func TestDeepAndManyNamespacesDontStopTheFetcher(t *testing.T) {
	var many strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&many, `<a%d xmlns:n%d="u">`, i, i)
	}
	for name, c := range map[string]struct{ body, want string }{
		"deep":       {`<rss version="2.0"><channel><item>` + strings.Repeat("<a>", 500_000), "more than 256 deep"},
		"namespaces": {`<rss version="2.0"><channel><item>` + many.String(), "more than 256 deep"},
		"attributes": {`<rss version="2.0"><channel><item><a ` + strings.Repeat(`b="c" `, 300_000) + `/></item></channel></rss>`, "300000 attributes"},
	} {
		t.Run(name, func(t *testing.T) {
			base := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, c.body) })
			_, err := openKind(t, "feed", "url: "+base, testDeps(t)).fetch(t.Context(), "")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestAMovedFeedIsAskedAtItsNewAddress(t *testing.T) {
	var paths []string
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		switch r.URL.Path {
		case "/old":
			http.Redirect(w, r, "/new", http.StatusMovedPermanently)
		case "/gone":
			w.WriteHeader(http.StatusGone)
		default:
			(&fakeFeed{items: []string{rssItem(1, "a")}}).ServeHTTP(w, r)
		}
	})
	src := openKind(t, "feed", "url: "+base+"/old", testDeps(t))
	items, err := src.fetch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := src.fetch(t.Context(), last(items, "")); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(paths, " "); got != "/old /new /new" {
		t.Error(got)
	}
	other := openKind(t, "feed", "url: "+base+"/other", testDeps(t))
	if again, err := other.fetch(t.Context(), last(items, "")); err != nil || len(postsOf(again)) != 0 || paths[len(paths)-1] != "/other" {
		t.Errorf("after the address was changed: %v, %v, %v", again, err, paths)
	}
	if _, err := openKind(t, "feed", "url: "+base+"/gone", testDeps(t)).fetch(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "gone for good") {
		t.Error(err)
	}
}

func TestTheNewsSearchAsksForTheBrandsWords(t *testing.T) {
	var asked []url.Values
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query())
		io.WriteString(w, `<rss version="2.0"><channel><title>"acme" - Google News</title><item><title>アクメ、炊飯器を回収 - 毎日電子新聞</title><link>https://news.google.com/rss/articles/CBMi?oc=5</link><guid isPermaLink="false">CBMi</guid><pubDate>Fri, 20 Nov 2026 01:00:00 GMT</pubDate><description>&lt;a href="https://news.google.com/x"&gt;アクメ、炊飯器を回収&lt;/a&gt;</description><source url="https://mainichi.example">毎日電子新聞</source></item></channel></rss>`)
	})
	d := testDeps(t)
	d.Terms = func() Terms { return Terms{Words: []string{"アクメ", `say "acme"`}} }
	src := openKind(t, "feed", "search: google-news\nserver: "+base, d)
	items, err := src.fetch(t.Context(), "")
	if err != nil || len(postsOf(items)) != 1 {
		t.Fatal(items, err)
	}
	p := items[0].Post
	if p.Title != "アクメ、炊飯器を回収" || p.Author.Name != "毎日電子新聞" || p.Text != "" {
		t.Errorf("%+v", p)
	}
	if len(asked) != 2 || asked[0].Get("q") != `"アクメ" OR "say acme"` || asked[0].Get("ceid") != "JP:ja" || asked[0].Get("hl") != "ja" || asked[1].Get("hl") != "en-US" || asked[1].Get("ceid") != "US:en" {
		t.Errorf("%v", asked)
	}
	found, err := src.Source.(Searcher).Search(t.Context(), []string{"x"}, 5)
	if err != nil || len(found) != 1 {
		t.Errorf("%v %v", found, err)
	}
	d.Terms = func() Terms { return Terms{} }
	asked = nil
	if items, err := openKind(t, "feed", "search: google-news\nserver: "+base, d).fetch(t.Context(), ""); err != nil || len(asked) != 0 || len(items) != 0 {
		t.Errorf("without words: %v, %v, asked %v", items, err, asked)
	}
}

func FuzzFeed(f *testing.F) {
	for _, name := range []string{"shift_jis.xml", "euc-jp.xml", "header-charset.xml", "atom.xml", "feed.json"} {
		raw, err := os.ReadFile("testdata/formats/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, "text/xml; charset=utf-8")
	}
	raw, err := os.ReadFile("testdata/feed/feed.xml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, "text/xml; charset=Shift_JIS")
	from, _ := url.Parse("https://x.example/feed")
	src := &feed{cfg: feedConfig{Kind: "article"}, deps: Deps{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return testNow }}}
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		posts, err := src.parse(&outbound.Response{Body: body, URL: from, Header: http.Header{"Content-Type": {contentType}}})
		if err != nil {
			return
		}
		for _, p := range posts {
			wellFormed(t, p)
		}
	})
}

// TestATurnedOverFeedHasAGap: a feed of which nothing was seen before may have
// dropped what came in between.
func TestATurnedOverFeedHasAGap(t *testing.T) {
	t.Parallel()
	var first atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<rss version="2.0"><channel><title>t</title>`)
		for i := range int64(12) {
			n := first.Load() + i
			fmt.Fprintf(w, `<item><guid>%d</guid><title>n %d</title><pubDate>%s</pubDate></item>`, n, n, testNow.Add(time.Duration(n-100)*time.Minute).Format(time.RFC1123Z))
		}
		fmt.Fprint(w, `</channel></rss>`)
	}))
	defer srv.Close()
	k, _ := Named("feed")
	src, err := k.Open([]byte(`url: "`+srv.URL+`"`), testDeps(t))
	if err != nil {
		t.Fatal(err)
	}
	cursor := ""
	for _, step := range []struct {
		first int64
		items int
		gap   bool
	}{{0, 12, false}, {5, 5, false}, {17, 12, true}, {17, 0, false}} {
		first.Store(step.first)
		var gaps []Gap
		items := 0
		for it, err := range src.Fetch(t.Context(), cursor) {
			if err != nil {
				t.Fatal(err)
			}
			if cursor = it.Cursor; it.Gap != nil {
				gaps = append(gaps, *it.Gap)
			}
			if it.Post.NativeID != "" {
				items++
			}
		}
		if items != step.items || len(gaps) > 0 != step.gap {
			t.Errorf("from %d: %d items, gaps %v; want %d, %v", step.first, items, gaps, step.items, step.gap)
		}
		if step.gap && (!gaps[0].From.IsZero() || !gaps[0].To.Equal(testNow.Add(time.Duration(step.first-100)*time.Minute))) {
			t.Errorf("%+v", gaps[0])
		}
	}
}
