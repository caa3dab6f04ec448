package indexer

import (
	"context"
	"time"

	"github.com/earshot/earshot/pkg/search"
)

// PublishedRequest asks for a page of what was published in a period, oldest
// first.
type PublishedRequest struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Brand  string    `json:"brand,omitempty"` // empty: all
	Cursor string    `json:"cursor,omitempty"`
}

// PublishedPage is one page. Its documents lack what was said and by whom.
type PublishedPage struct {
	Documents []search.Document `json:"documents"`
	Next      string            `json:"next,omitempty"`
}

// published answers with a page.
func (x *indexer) published(ctx context.Context, r PublishedRequest) (PublishedPage, error) {
	q := search.Query{
		Viewer: search.SeesAllBrands(), Published: search.Period{From: r.From, To: r.To}, Sort: search.Oldest, Limit: search.MaxLimit, Cursor: r.Cursor,
	}
	if r.Brand != "" {
		q.Viewer = search.Sees(r.Brand)
	}
	page, err := x.index.Search(ctx, q)
	if err != nil {
		return PublishedPage{}, err
	}
	out := PublishedPage{Documents: make([]search.Document, len(page.Hits)), Next: page.Next}
	for i := range page.Hits {
		d := page.Hits[i].Document
		d.Title, d.Text, d.URL, d.Media, d.AuthorID, d.AuthorHandle, d.AuthorName = "", "", "", "", "", "", ""
		out.Documents[i] = d
	}
	return out, nil
}
