package demo

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/query"
)

// day loads all posts.
func day(t *testing.T) []Post {
	t.Helper()
	var all []Post
	for p, err := range Posts() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

type key struct{ platform, native string }

func byKey(t *testing.T, all []Post) map[key]Post {
	t.Helper()
	m := make(map[key]Post, len(all))
	for _, p := range all {
		k := key{p.Post.Platform, p.Post.NativeID}
		if _, ok := m[k]; ok || k.native == "" {
			t.Errorf("%v is not unique", k)
		}
		m[k] = p
	}
	return m
}

func TestDayIsWholeAndInOrder(t *testing.T) {
	all := day(t)
	if len(all) < 620 {
		t.Errorf("%d posts, want at least 620", len(all))
	}
	byKey(t, all)
	hours := map[int]int{}
	last := 24 * time.Hour
	for _, p := range all {
		if p.Offset < 0 || p.Offset > last {
			t.Errorf("%s: offset %v after one of %v", p.Post.NativeID, p.Offset, last)
		}
		last = p.Offset
		hours[int(p.Offset.Hours())]++
	}
	for h := range 24 {
		if hours[h] < 8 {
			t.Errorf("only %d posts %d hours ago", hours[h], h)
		}
	}
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	if got := all[0].At(now); !got.PublishedAt.Equal(now.Add(-all[0].Offset)) {
		t.Errorf("published %v, want %v before %v", got.PublishedAt, all[0].Offset, now)
	}
}

func TestPostsAreWellFormed(t *testing.T) {
	kinds := []mention.Kind{mention.KindPost, mention.KindReview, mention.KindArticle, mention.KindNote}
	for _, p := range day(t) {
		post := p.Post
		fault := func(format string, args ...any) {
			t.Helper()
			t.Errorf(post.Platform+" "+post.NativeID+": "+format, args...)
		}
		if !slices.Contains(kinds, post.Kind) {
			fault("kind %q", post.Kind)
		}
		if strings.TrimSpace(post.Content()) == "" || !utf8.ValidString(post.Content()) {
			fault("text is empty or not UTF-8")
		}
		if strings.ContainsRune(post.Content(), utf8.RuneError) {
			fault("text was damaged")
		}
		if post.Rating < 0 || post.Rating > 5 || post.Rating > 0 && post.Kind != mention.KindReview {
			fault("rating %d of a %s", post.Rating, post.Kind)
		}
		if post.Author.ID == "" || post.Author.Name == "" {
			fault("author without id or name")
		}
		if (post.Intake == mention.Noted) != (post.Kind == mention.KindNote) {
			fault("a %s came as %s", post.Kind, post.Intake)
		}
		for _, m := range post.Media {
			name, ok := strings.CutPrefix(m.URL, MediaPath)
			if _, err := fs.Stat(Media(), name); !ok || err != nil {
				fault("picture %s: %v", m.URL, err)
			}
		}
		if post.URL != "" && !strings.Contains(post.URL, ".example/") {
			fault("address %s may belong to somebody", post.URL)
		}
		if post.Platform == "x" && xLength(post.Text) > 280 {
			fault("%d is too long for X", xLength(post.Text))
		}
	}
}

func TestCopiesAreMarked(t *testing.T) {
	all := day(t)
	natives := map[string]Post{}
	texts := map[string]Post{}
	for _, p := range all {
		natives[p.Post.NativeID] = p
	}
	for _, p := range all {
		if p.CopyOf != "" {
			original, ok := natives[p.CopyOf]
			if !ok || original.Offset <= p.Offset {
				t.Errorf("%s copies %q, which is not an earlier post", p.Post.NativeID, p.CopyOf)
			}
		}
		if other, ok := texts[p.Post.Content()]; ok && p.CopyOf == "" {
			t.Errorf("%s has the text of %s", p.Post.NativeID, other.Post.NativeID)
		}
		texts[p.Post.Content()] = p
	}
}

func TestThreadsLeadToEarlierPosts(t *testing.T) {
	all := day(t)
	posts := byKey(t, all)
	inside := 0
	for _, p := range all {
		th := p.Post.Thread
		if th.Parent == "" {
			continue
		}
		if th.ID == "" || th.ParentText == "" {
			t.Errorf("%s answers something without root or text", p.Post.NativeID)
		}
		if parent, ok := posts[key{p.Post.Platform, th.Parent}]; ok {
			inside++
			if parent.Offset < p.Offset || parent.Post.Text != th.ParentText {
				t.Errorf("%s does not answer what it says", p.Post.NativeID)
			}
		}
	}
	if inside < 15 {
		t.Errorf("%d replies within the day", inside)
	}
}

func TestEveryLabelOccursInBothLanguages(t *testing.T) {
	type tag struct{ lang, label string }
	seen := map[tag]int{}
	for _, p := range day(t) {
		e := p.Expect
		add := func(label string) { seen[tag{e.Lang, label}]++ }
		for _, b := range e.Brands {
			add("brand " + b)
		}
		if len(e.Brands) == 0 {
			add("no brand")
		}
		if e.Intent == "" {
			continue
		}
		add("intent " + string(e.Intent))
		add("disposition " + string(e.Disposition))
		for _, r := range e.Risk {
			add("risk " + string(r))
		}
		if e.Rung != "" {
			add("rung " + string(e.Rung))
		}
		if len(e.Risk) > 0 && !e.Page {
			add("risk without a page")
		}
	}
	for _, lang := range []string{"ja", "en"} {
		want := func(least int, label string) {
			if n := seen[tag{lang, label}]; n < least {
				t.Errorf("%s in %s: %d, want at least %d", label, lang, n, least)
			}
		}
		for _, b := range []string{"milfarne", "pellwick", "ryoppi"} {
			want(60, "brand "+b)
		}
		for _, i := range mention.Intents {
			want(10, "intent "+string(i))
		}
		for _, d := range mention.Dispositions {
			want(8, "disposition "+string(d))
		}
		for _, c := range mention.Categories {
			want(1, "risk "+string(c))
		}
		for _, r := range mention.Rungs {
			want(1, "rung "+string(r))
		}
		want(5, "no brand")
		want(10, "risk without a page")
	}
	ja, en := 0, 0
	for _, p := range day(t) {
		if p.Expect.Lang == "ja" {
			ja++
		} else {
			en++
		}
	}
	if share := float64(ja) / float64(ja+en); share < 0.5 || share > 0.6 {
		t.Errorf("%.0f %% are Japanese, want about 55", 100*share)
	}
}

func TestLabelsFollowTheRules(t *testing.T) {
	always := []mention.Category{
		mention.ViolentThreat, mention.PrivacyBreach, mention.MediaInquiry,
		mention.AuthorityInquiry, mention.PersonAtRisk,
	}
	for _, p := range day(t) {
		e, id := p.Expect, p.Post.NativeID
		if e.Intent == "" {
			continue
		}
		for _, r := range e.Risk {
			if !slices.Contains(mention.Categories, r) {
				t.Errorf("%s: risk %q", id, r)
			}
			if slices.Contains(always, r) && !e.Page {
				t.Errorf("%s: %s always pages", id, r)
			}
		}
		if (e.Rung != "") != slices.Contains(e.Risk, mention.PublicityThreat) {
			t.Errorf("%s: rung %q with %v", id, e.Rung, e.Risk)
		}
		if e.Page && (len(e.Risk) == 0 || e.Disposition == mention.NotForUs) {
			t.Errorf("%s: pages without a reason", id)
		}
		if e.Rung == mention.Hint && e.Page && len(e.Risk) == 1 {
			t.Errorf("%s: a bare hint doesn't page", id)
		}
	}
}

func TestQueriesFindTheirPosts(t *testing.T) {
	brands, err := Brands()
	if err != nil {
		t.Fatal(err)
	}
	queries := map[string]*query.Query{}
	for _, b := range brands {
		if queries[b.ID], err = query.Parse(b.Query); err != nil {
			t.Fatalf("%s: %v", b.ID, err)
		}
	}
	m := query.NewMatcher(queries)
	for _, p := range day(t) {
		var got []string
		for _, h := range m.Match(&p.Post, nil) {
			got = append(got, h.Brand)
		}
		if p.Brand != "" && !slices.Contains(got, p.Brand) {
			got = append(got, p.Brand)
		}
		slices.Sort(got)
		want := slices.Sorted(slices.Values(p.Expect.Brands))
		if !slices.Equal(got, want) {
			t.Errorf("%s: matched %v, want %v: %.60s", p.Post.NativeID, got, want, p.Post.Content())
		}
	}
}

func TestStormBuildsUpAndEndsBeforeNow(t *testing.T) {
	var spread [9]int // posts about the kettle's maker, by ten minutes
	for _, p := range day(t) {
		if p.Offset < 90*time.Minute && slices.Contains(p.Expect.Brands, "pellwick") {
			spread[int(p.Offset.Minutes())/10]++
		}
	}
	for i := 7; i > 2; i-- {
		if spread[i-1] < spread[i] {
			t.Errorf("it ebbs between %d and %d minutes ago", 10*i, 10*(i-1))
		}
	}
	if spread[8] > 5 || spread[2] < 15 || spread[1]+spread[0] > 10 {
		t.Errorf("posts per ten minutes, latest first: %v; want a storm from 80 to 20 minutes ago", spread)
	}
}

// xLength counts as X does: 280 in all, and 2 for what is not Latin.
func xLength(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case r <= 4351, r >= 8192 && r <= 8205, r >= 8208 && r <= 8223, r >= 8242 && r <= 8247:
			n++
		default:
			n += 2
		}
	}
	return n
}
