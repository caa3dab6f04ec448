package source

import (
	"encoding/json"
	"fmt"
	"github.com/earshot/earshot/pkg/mention"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// fakeHN is a search over items that appear in it some time after they were
// written.
type fakeHN struct {
	now   *time.Time
	items []fakeHNItem
	calls int
}

type fakeHNItem struct {
	id      int
	at      time.Time
	indexed time.Time
}

func (f *fakeHN) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.calls++
	var from, until int64
	fmt.Sscanf(r.URL.Query().Get("numericFilters"), "created_at_i>=%d,created_at_i<%d", &from, &until)
	type hit map[string]any
	hits, total := []hit{}, 0
	for _, it := range slices.Backward(f.items) {
		if at := it.at.Unix(); at < from || at >= until || it.indexed.After(*f.now) {
			continue
		}
		if total++; total <= hnPage {
			hits = append(hits, hit{"objectID": fmt.Sprint(it.id), "created_at_i": it.at.Unix(), "author": "a", "comment_text": "text"})
		}
	}
	json.NewEncoder(w).Encode(map[string]any{"hits": hits, "nbHits": total})
}

func TestHackerNewsMissesNothingAndRepeatsNothing(t *testing.T) {
	now := testNow
	f := &fakeHN{now: &now}
	d := testDeps(t)
	d.Now = func() time.Time { return now }
	cfg := "backfill: 3h\nserver: " + serve(t, f.ServeHTTP)
	id := 0
	write := func(n int, at time.Time, late time.Duration) {
		for i := range n {
			id++
			f.items = append(f.items, fakeHNItem{id, at.Add(time.Duration(i) * time.Second), at.Add(late)})
		}
	}
	write(2500, now.Add(-2*time.Hour), 0) // more than a page within an hour
	write(10, now.Add(-5*time.Minute), 0)
	got := map[string]int{}
	cursor := ""
	for round := range 40 {
		items, err := openKind(t, "hackernews", cfg, d).fetch(t.Context(), cursor)
		if err != nil {
			t.Fatal(err)
		}
		for i, it := range items {
			if it.Post.NativeID != "" {
				got[it.Post.NativeID]++
			}
			if cursor = it.Cursor; round%3 == 0 && i > len(items)/2 {
				break // the process dies here
			}
		}
		now = now.Add(time.Minute)
		write(3, now.Add(-30*time.Second), 30*time.Second)
		write(2, now.Add(-30*time.Second), 8*time.Minute) // indexed late
	}
	now = now.Add(10 * time.Minute)
	items, err := openKind(t, "hackernews", cfg, d).fetch(t.Context(), cursor)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range postsOf(items) {
		got[p.NativeID]++
	}
	for i := 1; i <= id; i++ {
		if n := got[fmt.Sprint(i)]; n != 1 {
			t.Errorf("item %d came %d times", i, n)
		}
	}
	if len(cursor) > 8000 {
		t.Errorf("the cursor has %d bytes", len(cursor))
	}
}

func TestHackerNewsSearchAsksForEachTerm(t *testing.T) {
	var asked []string
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("query"))
		fmt.Fprintf(w, `{"hits":[{"objectID":"1","created_at_i":1795170000,"author":"a","title":"Acme"},{"objectID":"%d","created_at_i":1795170%03d,"author":"a","title":"Acme"}],"nbHits":2}`, len(asked)+1, len(asked))
	})
	posts, err := openKind(t, "hackernews", "server: "+base, testDeps(t)).Source.(Searcher).Search(t.Context(), []string{"acme kettle", `"x"`}, 2)
	if err != nil || len(posts) != 2 || posts[0].NativeID != "3" || posts[1].NativeID != "2" {
		t.Errorf("%+v, %v", posts, err)
	}
	if got := strings.Join(asked, " "); got != `"acme kettle" "x"` {
		t.Error(got)
	}
}

func TestHackerNewsReadsWhatStandsAround(t *testing.T) {
	src := openKind(t, "hackernews", "server: "+serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/items/1":
			fmt.Fprint(w, `{"id": 1, "author": "fay", "title": "Acme", "children": [{"id": 3, "author": "eli", "text": "Good &amp; fast.", "created_at_i": 1795174800, "children": [{"id": 4, "author": "x", "text": "No."}]}, {"id": 5, "author": "gone", "text": null, "created_at_i": 1795174900}]}`)
		case "/items/3":
			fmt.Fprint(w, `{"id": 3, "author": "eli", "text": "Good &amp; fast.", "children": []}`)
		default:
			w.WriteHeader(404)
		}
	}), testDeps(t)).Source.(*hackerNews)
	story := mention.Post{NativeID: "1", Metrics: mention.Metrics{Replies: mention.Count(3)}}
	if c, err := src.Below(t.Context(), story); err != nil || len(c) != 1 || c[0].Text != "Good & fast." || c[0].URL != "https://news.ycombinator.com/item?id=3" {
		t.Errorf("%+v, %v", c, err)
	}
	comment := mention.Post{NativeID: "4", Thread: mention.Thread{ID: "1", Parent: "3"}}
	if err := src.Complete(t.Context(), &comment); err != nil || comment.Thread.ParentText != "Good & fast." || comment.Thread.ParentAuthor != "eli" {
		t.Errorf("%+v, %v", comment.Thread, err)
	}
	for _, quiet := range []mention.Post{{NativeID: "9"}, {NativeID: "3", Thread: mention.Thread{ID: "1", Parent: "1", ParentText: "Acme"}}} {
		if err := src.Complete(t.Context(), &quiet); err != nil {
			t.Errorf("nothing to ask for: %v", err)
		}
	}
}
