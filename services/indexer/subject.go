package indexer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
)

// SubjectRequest asks for what is held about a person: the author of a mention,
// or an author on a platform by the platform's id or the handle.
type SubjectRequest struct {
	Mention  mention.ID `json:"mention,omitempty"`
	Platform string     `json:"platform,omitempty"`
	Author   string     `json:"author,omitempty"`
}

// Subject is who a person is on a platform, and the mentions of theirs.
type Subject struct {
	Platform string   `json:"platform"`
	IDs      []string `json:"ids"`     // the platform's, of the account
	Handles  []string `json:"handles"` // that were seen
	Names    []string `json:"names"`
	Mentions []Held   `json:"mentions"`
}

// Held is where a mention is kept.
type Held struct {
	ID       mention.ID `json:"id"`
	Brand    string     `json:"brand"`
	Tagged   []uint64   `json:"tagged"`   // sequences in TAGGED that hold its texts
	Archived uint64     `json:"archived"` // sequence in ARCHIVE; 0 for none
	Touched  bool       `json:"touched"`  // it has a case
}

// subject says who somebody is and where their mentions are kept.
func (x *indexer) subject(ctx context.Context, r SubjectRequest) (Subject, error) {
	if r.Mention != "" {
		docs, err := x.documents(ctx, []mention.ID{r.Mention})
		if err != nil {
			return Subject{}, err
		}
		d := docs[r.Mention]
		if d == nil {
			return Subject{}, fmt.Errorf("mention %s: %w", r.Mention, casework.ErrUnknown)
		}
		r.Platform, r.Author = d.Platform, d.AuthorID
		if r.Author == "" {
			r.Author = d.AuthorHandle
		}
		if r.Author == "" {
			return Subject{}, fmt.Errorf("mention %s names no author; ask for the mention alone", r.Mention)
		}
	}
	if r.Platform == "" || r.Author == "" {
		return Subject{}, errors.New("say who: a mention, or an author with its platform")
	}
	docs, err := x.ofAuthor(ctx, r.Platform, r.Author)
	if err != nil {
		return Subject{}, err
	}
	out := Subject{Platform: r.Platform}
	add := func(list *[]string, v string) {
		if v != "" && !slices.Contains(*list, v) {
			*list = append(*list, v)
		}
	}
	for _, d := range docs {
		add(&out.IDs, d.AuthorID)
		add(&out.Handles, d.AuthorHandle)
		add(&out.Names, d.AuthorName)
		out.Mentions = append(out.Mentions, Held{ID: d.ID, Brand: d.Brand, Tagged: d.Tagged, Archived: d.Archived, Touched: d.Owner != search.OwnerTagged})
	}
	return out, nil
}

// ofAuthor returns the mentions of an author on platform, who is named by the
// platform's id or by a handle. A handle leads to the account that has it, and so
// to what that account said under others.
func (x *indexer) ofAuthor(ctx context.Context, platform, author string) ([]*search.Document, error) {
	author = strings.TrimPrefix(author, "@")
	on := map[search.Field][]string{search.FieldPlatform: {platform}}
	found := map[mention.ID]*search.Document{}
	ids := []string{author}
	q := search.Query{Viewer: search.SeesAll(), Sort: search.Oldest, Limit: search.MaxLimit, Where: on, Text: `"` + strings.ReplaceAll(author, `"`, " ") + `"`}
	for len([]rune(q.Text)) <= search.MaxText {
		page, err := x.index.Search(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range page.Hits {
			d := &page.Hits[i].Document
			if !strings.EqualFold(d.AuthorHandle, author) {
				continue
			}
			found[d.ID] = d
			if d.AuthorID != "" && !slices.Contains(ids, d.AuthorID) {
				ids = append(ids, d.AuthorID)
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	for part := range slices.Chunk(ids, search.MaxValues) {
		docs, err := x.all(ctx, map[search.Field][]string{search.FieldPlatform: {platform}, search.FieldAuthor: part})
		if err != nil {
			return nil, err
		}
		for i := range docs {
			found[docs[i].ID] = &docs[i]
		}
	}
	out := make([]*search.Document, 0, len(found))
	for _, d := range found {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b *search.Document) int { return a.PublishedAt.Compare(b.PublishedAt) })
	return out, nil
}
