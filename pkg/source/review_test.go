package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
	"pgregory.net/rapid"
)

// shelf is a platform with reviews, newest first.
type shelf struct {
	now   time.Time
	still bool // times stay when a review is edited
	posts []mention.Post
	fails int // the page that fails; 0 for none
}

func (s *shelf) reader(t interface{ Helper() }, size, pages int, back time.Duration) *reviewReader {
	t.Helper()
	list := reviewList{name: "list", pages: pages, page: func(_ context.Context, token string) ([]mention.Post, string, error) {
		n := 0
		if token != "" {
			fmt.Sscan(token, &n)
		}
		if s.fails == n+1 {
			return nil, "", errors.New("down")
		}
		from, to := min(n*size, len(s.posts)), min((n+1)*size, len(s.posts))
		page := slices.Clone(s.posts[from:to])
		for i := range page {
			page[i].SeenAt = s.now
		}
		next := ""
		if to < len(s.posts) {
			next = fmt.Sprint(n + 1)
		}
		return page, next, nil
	}}
	return &reviewReader{
		kind: "test", of: "a", back: back, still: s.still, deps: Deps{Now: func() time.Time { return s.now }},
		lists: func(context.Context) ([]reviewList, error) { return []reviewList{list}, nil },
	}
}

// sort puts the newest first, as a platform does.
func (s *shelf) sort() {
	slices.SortStableFunc(s.posts, func(a, b mention.Post) int { return b.PublishedAt.Compare(a.PublishedAt) })
}

// TestReviewsComeAsTheyAre lets reviews come, late ones too, and be edited,
// while fetches fail and break off. In the end the last of what was told of
// each is what stands on the platform, and a revision is later than the one
// before it.
func TestReviewsComeAsTheyAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &shelf{now: testNow, still: rapid.Bool().Draw(t, "still")}
		size := rapid.IntRange(1, 5).Draw(t, "page")
		r := s.reader(t, size, 1000, 24*time.Hour)
		told := map[string]mention.Mention{}
		cursor := ""
		fetch := func(stop int) {
			s.now = s.now.Add(time.Second)
			for it, err := range r.fetch(t.Context(), cursor) {
				if err != nil {
					return
				}
				cursor = it.Cursor
				if p := it.Post; p.NativeID != "" {
					m := mention.Of("acme", p)
					if was, ok := told[p.NativeID]; ok && m.Revision.Hash != was.Revision.Hash && m.Revision.Compare(was.Revision) <= 0 {
						t.Fatalf("%s: the revision %v is not after %v", p.NativeID, m.Revision, was.Revision)
					}
					told[p.NativeID] = m
				}
				if stop--; stop == 0 {
					return
				}
			}
		}
		id := 0
		t.Repeat(map[string]func(*rapid.T){
			"review": func(t *rapid.T) {
				for range rapid.IntRange(1, 12).Draw(t, "n") {
					id++
					at := s.now.Add(-time.Duration(rapid.IntRange(0, 3000).Draw(t, "late")) * time.Second)
					s.posts = append(s.posts, mention.Post{NativeID: fmt.Sprint(id), Text: "text", Rating: 3, PublishedAt: at})
				}
				s.sort()
			},
			"edit": func(t *rapid.T) {
				// What platforms show first is what was edited last, or where the
				// time stays, only the first page is looked at.
				n := len(s.posts)
				if s.still {
					n = min(n, size)
				}
				if n == 0 {
					t.Skip("none")
				}
				p := &s.posts[rapid.IntRange(0, n-1).Draw(t, "which")]
				p.Text = rapid.StringMatching(`[a-c]{1,3}`).Draw(t, "text")
				if !s.still {
					p.PublishedAt = s.now
				}
				s.sort()
			},
			"fetch":  func(t *rapid.T) { fetch(rapid.IntRange(0, 20).Draw(t, "stop")) },
			"failed": func(t *rapid.T) { s.fails = rapid.IntRange(1, 3).Draw(t, "page"); fetch(0); s.fails = 0 },
			"time":   func(t *rapid.T) { s.now = s.now.Add(time.Duration(rapid.IntRange(1, 600).Draw(t, "s")) * time.Second) },
		})
		fetch(0)
		for i, p := range s.posts {
			got, ok := told[p.NativeID]
			if !ok && i >= size {
				continue // it turned up late, below a page of what was known
			}
			if !ok || !s.still && got.Text != p.Text {
				t.Fatalf("%s is %q, told %q (%t)", p.NativeID, p.Text, got.Text, ok)
			}
		}
	})
}

func fetchAll(t *testing.T, r *reviewReader, cursor string) (items []Item, next string) {
	t.Helper()
	for it, err := range r.fetch(t.Context(), cursor) {
		if err != nil {
			t.Fatal(err)
		}
		items, cursor = append(items, it), it.Cursor
	}
	return items, cursor
}

func (s *shelf) add(n int, at time.Time) {
	for range n {
		s.posts = append(s.posts, mention.Post{NativeID: fmt.Sprint(len(s.posts) + 1), Text: "text", PublishedAt: at})
		at = at.Add(time.Second)
	}
	s.sort()
}

func TestWhatAPlatformDoesNotListIsAGap(t *testing.T) {
	s := &shelf{now: testNow}
	r := s.reader(t, 5, 2, time.Hour)
	s.add(30, testNow.Add(-30*time.Minute))
	items, cursor := fetchAll(t, r, "")
	if len(postsOf(items)) != 10 || items[0].Gap != nil {
		t.Errorf("a first fetch has no gap: %d, %+v", len(items), items[0].Gap)
	}
	s.now = s.now.Add(time.Hour)
	s.add(9, s.now.Add(-time.Minute))
	if items, cursor = fetchAll(t, r, cursor); len(postsOf(items)) != 9 || items[0].Gap != nil {
		t.Errorf("all are listed: %d, %+v", len(items), items[0].Gap)
	}
	was := s.now
	s.now = s.now.Add(time.Hour)
	s.add(12, s.now.Add(-time.Minute))
	items, _ = fetchAll(t, r, cursor)
	if g := items[0].Gap; len(postsOf(items)) != 10 || g == nil || !g.From.Equal(was) || !g.To.Equal(items[0].Post.PublishedAt) || !strings.Contains(g.Why.Error(), "list") {
		t.Errorf("twelve are new and ten are listed: %+v", g)
	}
	for _, it := range items[1:] {
		if it.Gap != nil {
			t.Error("told twice")
		}
	}
}

func TestAnAbsenceLongerThanThePlatformRemembersIsAGap(t *testing.T) {
	s := &shelf{now: testNow}
	r := s.reader(t, 5, 2, time.Hour)
	r.reach = 7 * 24 * time.Hour
	_, cursor := fetchAll(t, r, "")
	s.now = s.now.Add(6 * 24 * time.Hour)
	items, next := fetchAll(t, r, cursor)
	if items[0].Gap != nil {
		t.Errorf("six days: %+v", items[0].Gap)
	}
	was := s.now
	s.now = s.now.Add(8 * 24 * time.Hour)
	items, _ = fetchAll(t, r, next)
	if g := items[0].Gap; len(items) != 1 || g == nil || !g.From.Equal(was) || !g.To.Equal(s.now.Add(-r.reach)) {
		t.Errorf("eight days, and nothing new: %+v", g)
	}
}

func TestOldReviewsDoNotCome(t *testing.T) {
	for _, still := range []bool{false, true} {
		s := &shelf{now: testNow, still: still}
		r := s.reader(t, 5, 100, time.Hour)
		s.add(3, testNow.Add(-2*time.Hour))
		items, cursor := fetchAll(t, r, "")
		if len(postsOf(items)) != 0 {
			t.Errorf("still %t: %+v", still, items)
		}
		s.now = s.now.Add(time.Minute)
		s.posts[0].Text = "edited"
		if !still {
			s.posts[0].PublishedAt = s.now
		}
		items, _ = fetchAll(t, r, cursor)
		if got := postsOf(items); len(got) != 1 || got[0].Text != "edited" {
			t.Errorf("still %t: an old one that is edited comes: %+v", still, got)
		}
	}
}

// board is a platform with one answer per review.
type board struct {
	has    *mention.Comment
	down   error
	writes int
}

func (b *board) standing(context.Context) (*mention.Comment, error) { return b.has, b.down }

func (b *board) write(text string) func(context.Context) (Sent, error) {
	return func(context.Context) (Sent, error) {
		b.writes++
		b.has = &mention.Comment{NativeID: "a1", Text: text, At: testNow, Ours: true}
		return sentComment(*b.has), nil
	}
}

func TestAnAnswerOverwritesOnlyTheOneThatWasSeen(t *testing.T) {
	ours := func(text string) []mention.Comment {
		return []mention.Comment{{Text: "a customer", At: testNow}, {Text: text, Ours: true, At: testNow}}
	}
	limit := Limit{Max: 20, Unit: Characters}
	for _, c := range []struct {
		name   string
		has    string // stands on the platform
		seen   []mention.Comment
		text   string
		down   error
		reason Reason
		writes int
	}{
		{"none stands", "", nil, "ours", nil, "", 1},
		{"none stands any more", "", ours("before"), "ours", nil, "", 1},
		{"the one that was seen", "before", ours("before"), "ours", nil, "", 1},
		{"the one that was seen, its spaces changed", "be  fore \n", ours("be fore"), "ours", nil, "", 1},
		{"an earlier one that was seen", "before", append(ours("before"), mention.Comment{Text: "after", Ours: true}), "ours", nil, "", 1},
		{"it stands already", "ours", nil, "ours", nil, "", 0},
		{"it stands already, its spaces changed", "our s\n", nil, "our  s", nil, "", 0},
		{"one that nobody has seen", "theirs", nil, "ours", nil, Answered, 0},
		{"one that was changed", "after", ours("before"), "ours", nil, Answered, 0},
		{"too long", "", nil, strings.Repeat("あ", 21), nil, TooLong, 0},
		{"as long as may be", "", nil, strings.Repeat("あ", 20), nil, "", 1},
		{"empty", "", nil, " \n", nil, "", 0},
		{"the platform can't be asked", "", nil, "ours", errors.New("502"), Unreachable, 0},
		{"the review is gone", "", nil, "ours", PostGone.refuse("gone"), PostGone, 0},
	} {
		b := &board{down: c.down}
		if c.has != "" {
			b.has = &mention.Comment{Text: c.has, Ours: true}
		}
		r := Reply{To: mention.Post{Comments: c.seen}, Text: c.text}
		_, err := oneAnswer(t.Context(), r, limit, testNow, b.standing, b.write(c.text))
		refusal, refused := Refused(err, testNow)
		if wrong := err != nil && !refused; wrong || refusal.Reason != c.reason || b.writes != c.writes || (err == nil) != (c.reason == "" && c.name != "empty") {
			t.Errorf("%s: %d writes, %v", c.name, b.writes, err)
		}
	}
}

// However often an answer is asked for, it is written once.
func TestAnAnswerIsWrittenOnce(t *testing.T) {
	b := &board{}
	r := Reply{Text: "ours"}
	for range 3 {
		if _, err := oneAnswer(t.Context(), r, Limit{}, testNow, b.standing, b.write("ours")); err != nil {
			t.Fatal(err)
		}
	}
	if sent, err := findAnswer(t.Context(), r, b.standing); b.writes != 1 || err != nil || sent.NativeID != "a1" {
		t.Errorf("%d writes, %+v, %v", b.writes, sent, err)
	}
	b.has.Text = "another"
	if _, err := findAnswer(t.Context(), r, b.standing); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

func TestLimitsOfReviewsCountWhatTheySay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		if got := (Limit{Unit: Characters}).Count(text); got != len([]rune(text)) {
			t.Errorf("%d characters", got)
		}
		if got := (Limit{Unit: UTF8Bytes}).Count(text); got != len(text) {
			t.Errorf("%d bytes", got)
		}
		n := rapid.IntRange(1, 400).Draw(t, "n")
		for _, l := range []Limit{{Max: n, Unit: Characters}, {Max: n, Unit: UTF8Bytes}} {
			if l.Fits(text) != (l.Count(text) <= n) {
				t.Errorf("%+v", l)
			}
		}
	})
}

// TestManyReviewsAreReadWithFewCursors: what carries none comes again after a
// stop, and nothing is lost; once all were given, none comes again, even where
// another list could not be read.
func TestManyReviewsAreReadWithFewCursors(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	s := shelf{now: now}
	const many = 3*reviewPlaces + 500
	for i := range many {
		s.posts = append(s.posts, mention.Post{NativeID: fmt.Sprint(i), Text: "a", PublishedAt: now.Add(-time.Duration(i) * time.Second)})
	}
	r := s.reader(t, 100, many, 24*time.Hour)
	whole, _ := r.lists(t.Context())
	r.lists = func(context.Context) ([]reviewList, error) {
		return append(whole, reviewList{name: "away", page: func(context.Context, string) ([]mention.Post, string, error) { return nil, "", errors.New("down") }}), nil
	}
	read := func(cursor string, most int) (ids map[string]bool, at string, cursors int) {
		ids, at = map[string]bool{}, cursor
		for it, err := range r.fetch(t.Context(), cursor) {
			if err != nil {
				break
			}
			if it.Post.NativeID != "" {
				ids[it.Post.NativeID] = true
			}
			if it.Cursor != "" {
				at = it.Cursor
				cursors++
			}
			if len(ids) == most {
				break
			}
		}
		return ids, at, cursors
	}
	first, at, _ := read("", 1501)
	rest, _, _ := read(at, many)
	for id := range first {
		rest[id] = true
	}
	if len(rest) != many {
		t.Errorf("%d of %d came", len(rest), many)
	}
	all, at, cursors := read("", many+1)
	if again, _, _ := read(at, many+1); len(all) != many || cursors > reviewPlaces+1 || len(again) != 0 {
		t.Errorf("%d of %d came with %d cursors, then %d again", len(all), many, cursors, len(again))
	}
}
