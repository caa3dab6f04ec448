package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
)

type hackerNewsConfig struct {
	Server   string        `yaml:"server" doc:"Address of the Algolia search of Hacker News, or of a mirror."`
	Backfill time.Duration `yaml:"backfill" doc:"How far the first fetch looks back, at most 30d."`
	Poll     time.Duration `yaml:"poll" doc:"Pause between two fetches, at least 30s."`
}

func (c *hackerNewsConfig) Validate() error {
	var errs []error
	if webURL(c.Server) == "" {
		errs = append(errs, config.Invalid("server", "must start with http:// or https://"))
	}
	if c.Backfill > 30*24*time.Hour {
		errs = append(errs, config.Invalid("backfill", "must be at most 30d"))
	}
	return errors.Join(append(errs, atLeast("poll", c.Poll, 30*time.Second))...)
}

func hackerNewsKind() Kind {
	return Kind{
		Kind: config.NewKind("hackernews", "Stories and comments of Hacker News. Answers are written by hand there.",
			hackerNewsConfig{Server: "https://hn.algolia.com/api/v1", Backfill: 6 * time.Hour, Poll: time.Minute},
			func(c hackerNewsConfig, d Deps) (Source, error) {
				c.Server = strings.TrimSuffix(c.Server, "/")
				return &hackerNews{c, d}, nil
			}),
		Platform: "hackernews",
		Duties:   Duties{MayTrain: true, MayLeave: true, Deletions: "Deleted items lose their text in the search later; nothing tells of it. Erased on request."},
		Threads:  true,
	}
}

// hackerNews reads everything that is posted, some hundreds of items an hour,
// and leaves the matching to others: one request a minute, whatever the number
// of brands.
type hackerNews struct {
	cfg  hackerNewsConfig
	deps Deps
}

const (
	// hnOverlap is how long the search may take to index an item.
	hnOverlap = 10 * time.Minute
	// hnPage is the most hits a query gives; more need a shorter slice of time.
	hnPage = 1000
)

func (h *hackerNews) Poll() time.Duration { return h.cfg.Poll }

// hnCursor is the time up to which everything is read, except what was indexed
// late, and the items since that time less the overlap.
type hnCursor struct {
	At   int64            `json:"at"`
	Seen map[string]int64 `json:"seen,omitempty"` // id to time
}

func (c hnCursor) String() string {
	b, _ := json.Marshal(c)
	return string(b)
}

func (c *hnCursor) forget() {
	limit := c.At - int64(hnOverlap.Seconds())
	for id, at := range c.Seen {
		if at < limit {
			delete(c.Seen, id)
		}
	}
}

type hnHit struct {
	ID          string `json:"objectID"`
	CreatedAt   int64  `json:"created_at_i"`
	Author      string `json:"author"`
	Title       string `json:"title"`
	URL         string `json:"url"`
	StoryText   string `json:"story_text"`
	CommentText string `json:"comment_text"`
	StoryID     int64  `json:"story_id"`
	StoryTitle  string `json:"story_title"`
	ParentID    int64  `json:"parent_id"`
	Points      *int64 `json:"points"`
	Comments    *int64 `json:"num_comments"`
}

func (h *hackerNews) Fetch(ctx context.Context, cursor string) iter.Seq2[Item, error] {
	now := h.deps.Now()
	cur := hnCursor{At: now.Add(-h.cfg.Backfill).Unix()}
	if cursor != "" {
		if err := json.Unmarshal([]byte(cursor), &cur); err != nil {
			return failed(fmt.Errorf("hackernews: cursor: %w", err))
		}
	}
	if cur.Seen == nil {
		cur.Seen = map[string]int64{}
	}
	return func(yield func(Item, error) bool) {
		from, to, slice := cur.At-int64(hnOverlap.Seconds()), now.Unix()+1, int64(3600)
		if cursor == "" {
			from = cur.At
		}
		for from < to {
			until := min(from+slice, to)
			hits, total, err := h.page(ctx, from, until)
			if err != nil {
				yield(Item{}, fmt.Errorf("hackernews: %w", err))
				return
			}
			if total > hnPage && until-from > 1 {
				slice = max((until-from)/2, 1)
				continue
			}
			if !h.hand(hits, &cur, yield) {
				return
			}
			from = until
			cur.At = max(cur.At, min(until, now.Unix()))
		}
		cur.forget()
		if next := cur.String(); next != cursor {
			yield(Item{Cursor: next}, nil)
		}
	}
}

// page returns the items created from from and before until, oldest first, and
// how many there are in all.
func (h *hackerNews) page(ctx context.Context, from, until int64) ([]hnHit, int, error) {
	q := url.Values{
		"tags": {"(story,comment)"}, "hitsPerPage": {strconv.Itoa(hnPage)},
		"numericFilters": {fmt.Sprintf("created_at_i>=%d,created_at_i<%d", from, until)},
	}
	hits, total, err := h.ask(ctx, q)
	hits = slices.DeleteFunc(hits, func(x hnHit) bool { return x.CreatedAt < from || x.CreatedAt >= until })
	slices.SortStableFunc(hits, func(a, b hnHit) int {
		if a.CreatedAt != b.CreatedAt {
			return int(a.CreatedAt - b.CreatedAt)
		}
		return compareIDs(a.ID, b.ID)
	})
	return hits, total, err
}

func (h *hackerNews) ask(ctx context.Context, q url.Values) ([]hnHit, int, error) {
	var answer struct {
		Hits  []json.RawMessage `json:"hits"`
		Total int               `json:"nbHits"`
	}
	if err := getJSON(ctx, h.deps.HTTP, h.cfg.Server+"/search_by_date?"+q.Encode(), nil, &answer); err != nil {
		return nil, 0, err
	}
	if answer.Hits == nil {
		return nil, 0, without("hits")
	}
	hits := make([]hnHit, 0, len(answer.Hits))
	for _, raw := range answer.Hits {
		var x hnHit
		if err := json.Unmarshal(raw, &x); err != nil {
			h.deps.skip("hackernews", x.ID, err)
			continue
		}
		hits = append(hits, x)
	}
	return hits, answer.Total, nil
}

func (h *hackerNews) hand(hits []hnHit, cur *hnCursor, yield func(Item, error) bool) bool {
	for _, x := range hits {
		if _, done := cur.Seen[x.ID]; done {
			continue
		}
		p, err := h.post(x)
		if err != nil {
			h.deps.skip("hackernews", x.ID, err)
			continue
		}
		cur.Seen[x.ID] = x.CreatedAt
		cur.At = max(cur.At, x.CreatedAt)
		cur.forget()
		if !yield(Item{Post: p, Cursor: cur.String()}, nil) {
			return false
		}
	}
	return true
}

func (h *hackerNews) post(x hnHit) (mention.Post, error) {
	if x.ID == "" || x.CreatedAt <= 0 {
		return mention.Post{}, errors.New("no id or time")
	}
	p := mention.Post{
		Platform: "hackernews", NativeID: x.ID, Kind: mention.KindPost, Intake: mention.Live,
		URL:    "https://news.ycombinator.com/item?id=" + url.QueryEscape(x.ID),
		Author: mention.Author{ID: x.Author, Handle: x.Author, Name: x.Author, URL: "https://news.ycombinator.com/user?id=" + url.QueryEscape(x.Author)},
		Title:  line(x.Title), Lang: "en",
		Metrics:     mention.Metrics{Likes: x.Points, Replies: x.Comments},
		PublishedAt: time.Unix(x.CreatedAt, 0).UTC(), SeenAt: h.deps.Now(),
	}
	p.Text, _ = htmlText(x.StoryText + x.CommentText)
	if u := webURL(x.URL); u != "" {
		p.Media = []mention.Media{{Type: mention.Other, URL: u}}
	}
	if x.ParentID != 0 {
		p.Thread = mention.Thread{ID: strconv.FormatInt(x.StoryID, 10), Parent: strconv.FormatInt(x.ParentID, 10)}
		if x.ParentID == x.StoryID {
			p.Thread.ParentText = line(x.StoryTitle)
		}
	}
	if p.Title == "" && p.Text == "" {
		return p, errors.New("neither title nor text")
	}
	return p, nil
}

// hnItem is an item with all that is below it.
type hnItem struct {
	ID       int64    `json:"id"`
	Author   string   `json:"author"`
	Text     string   `json:"text"`
	At       int64    `json:"created_at_i"`
	Children []hnItem `json:"children"`
}

func (h *hackerNews) item(ctx context.Context, id string) (it hnItem, err error) {
	err = getJSON(ctx, h.deps.HTTP, h.cfg.Server+"/items/"+url.PathEscape(id), nil, &it)
	if err != nil {
		err = fmt.Errorf("hackernews: item: %w", err)
	}
	return it, err
}

// Complete fetches the comment that a comment answers.
func (h *hackerNews) Complete(ctx context.Context, p *mention.Post) error {
	if p.Thread.Parent == "" || p.Thread.ParentText != "" {
		return nil
	}
	it, err := h.item(ctx, p.Thread.Parent)
	if err == nil {
		p.Thread.ParentAuthor = line(it.Author)
		p.Thread.ParentText, _ = htmlText(it.Text)
	}
	return err
}

// Below reads the item with what is below it.
func (h *hackerNews) Below(ctx context.Context, p mention.Post) ([]mention.Comment, error) {
	it, err := h.item(ctx, p.NativeID)
	if err != nil {
		return nil, err
	}
	var below []mention.Post
	for _, c := range it.Children {
		if a, err := h.post(hnHit{ID: strconv.FormatInt(c.ID, 10), CreatedAt: c.At, Author: c.Author, CommentText: c.Text}); err == nil {
			below = append(below, a)
		}
	}
	return commentsOf(below, func(*mention.Post) bool { return false }), nil
}

// Search asks for each term.
func (h *hackerNews) Search(ctx context.Context, terms []string, limit int) ([]mention.Post, error) {
	var out []mention.Post
	for _, t := range terms {
		hits, _, err := h.ask(ctx, url.Values{"query": {`"` + strings.ReplaceAll(t, `"`, "") + `"`}, "tags": {"(story,comment)"}, "hitsPerPage": {strconv.Itoa(limit)}})
		if err != nil {
			return nil, fmt.Errorf("hackernews: %w", err)
		}
		for _, x := range hits {
			if p, err := h.post(x); err == nil {
				out = append(out, p)
			}
		}
	}
	return newest(out, limit), nil
}
