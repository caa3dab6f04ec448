package source

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

type fakeReview struct {
	id, rating int
	text       string
	at         time.Time
}

// fakeStore serves reviews, newest first, in pages of two.
type fakeStore struct {
	reviews []fakeReview
	asked   []string
	down    string // path fragment that fails
}

func (f *fakeStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.asked = append(f.asked, r.URL.Path)
	if f.down != "" && strings.Contains(r.URL.Path, f.down) {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	var page int
	fmt.Sscanf(r.URL.Path[strings.Index(r.URL.Path, "page="):], "page=%d", &page)
	label := func(v any) map[string]string { return map[string]string{"label": fmt.Sprint(v)} }
	entries := []any{}
	for _, v := range f.reviews[min((page-1)*2, len(f.reviews)):min(page*2, len(f.reviews))] {
		entries = append(entries, map[string]any{
			"id": label(v.id), "im:rating": label(v.rating), "title": label("t"), "content": label(v.text), "updated": label(v.at.Format(time.RFC3339)),
			"author": map[string]any{"name": label("n"), "uri": label("https://itunes.apple.com/jp/reviews/id9")},
		})
	}
	json.NewEncoder(w).Encode(map[string]any{"feed": map[string]any{"entry": entries}})
}

func TestAppStoreReviews(t *testing.T) {
	f := &fakeStore{}
	cfg := "app: '1'\ncountries: [jp]\nserver: " + serve(t, f.ServeHTTP)
	add := func(id int) {
		f.reviews = append([]fakeReview{{id, 3, "text", testNow.Add(time.Duration(id-31) * time.Hour)}}, f.reviews...)
	}
	for i := range 30 {
		add(i + 1)
	}
	cursor := ""
	fetch := func() []mention.Post {
		t.Helper()
		items, err := openKind(t, "appstore", cfg, testDeps(t)).fetch(t.Context(), cursor)
		if err != nil {
			t.Fatal(err)
		}
		cursor = last(items, cursor)
		return postsOf(items)
	}
	if got := fetch(); len(got) != 20 || got[0].NativeID != "11" || len(f.asked) != 10 {
		t.Fatalf("%d reviews from %d pages", len(got), len(f.asked))
	}
	f.asked = nil
	add(31)
	if got := fetch(); len(got) != 1 || got[0].NativeID != "31" || len(f.asked) != 2 {
		t.Errorf("a new one: %d, %v", len(got), f.asked)
	}
	f.reviews[1].rating, f.reviews[1].at = 1, testNow.Add(time.Hour)
	if got := fetch(); len(got) != 1 || got[0].NativeID != "30" || got[0].Rating != 1 || got[0].EditedAt.IsZero() {
		t.Errorf("an edited one: %+v", got)
	}
	all := f.reviews
	f.reviews = nil
	if got := fetch(); len(got) != 0 {
		t.Errorf("an empty feed: %+v", got)
	}
	f.reviews = all
	if got := fetch(); len(got) != 0 {
		t.Errorf("the feed is back: %+v", got)
	}
}

func TestAFailingPageLosesNoReview(t *testing.T) {
	f := &fakeStore{down: "page=2"}
	for i := range 5 {
		f.reviews = append(f.reviews, fakeReview{i, 3, "text", testNow.Add(-time.Duration(i) * time.Minute)})
	}
	cfg := "app: '1'\ncountries: [jp]\nserver: " + serve(t, f.ServeHTTP)
	items, err := openKind(t, "appstore", cfg, testDeps(t)).fetch(t.Context(), "")
	if err == nil || !strings.Contains(err.Error(), "jp") {
		t.Fatal(err)
	}
	f.down = ""
	rest, err := openKind(t, "appstore", cfg, testDeps(t)).fetch(t.Context(), last(items, ""))
	if err != nil || len(postsOf(items))+len(postsOf(rest)) != 5 {
		t.Errorf("%d and %d reviews, %v", len(items), len(rest), err)
	}
}
