package indexer

import (
	"context"
	"errors"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/source"
)

// longContext is how much of the post answered to goes along with one that is to
// be read again: a hundred of them fit into a message.
const longContext = 4 << 10

// stored gives mentions to whoever reads them again, without what they say. What
// was erased or withdrawn is left out.
func (x *indexer) stored(ctx context.Context, q source.Stored) (source.StoredPosts, error) {
	find := search.Query{Viewer: search.SeesAll(), Sort: search.Oldest, Limit: source.RereadAtOnce, Cursor: q.Cursor}
	switch {
	case q.AllOf != "":
		find.Where = map[search.Field][]string{search.FieldPlatform: {q.AllOf}}
		others := make([]string, 0, len(q.Sources))
		for _, id := range q.Sources {
			if id != q.Source {
				others = append(others, id)
			}
		}
		if len(others) > 0 {
			find.Except = map[search.Field][]string{search.FieldSource: others}
		}
	case q.Source != "":
		find.Where = map[search.Field][]string{search.FieldSource: {q.Source}}
	default:
		return source.StoredPosts{}, errors.New("say which source")
	}
	page, err := x.index.Search(ctx, find)
	if err != nil {
		return source.StoredPosts{}, err
	}
	out := source.StoredPosts{Total: page.Total, Next: page.Next}
	if page.TotalCapped {
		n, err := x.index.Counts(ctx, search.Query{Viewer: find.Viewer, Where: find.Where, Except: find.Except})
		if err != nil {
			return source.StoredPosts{}, err
		}
		out.Total = int(n[0])
	}
	for i := range page.Hits {
		s, err := x.cases.Get(ctx, identity.System(), page.Hits[i].ID)
		if errors.Is(err, casework.ErrUnknown) {
			continue
		}
		if err != nil {
			return source.StoredPosts{}, err
		}
		m := &s.Mention
		if s.Redacted || m.Deleted || m.NativeID == "" {
			continue
		}
		p := mention.Post{
			Platform: m.Platform, NativeID: m.NativeID, Source: m.Source, Kind: m.Kind, Intake: m.Intake, URL: m.URL, Lang: m.Lang,
			Place: m.Place, Thread: m.Thread, ReplyRef: m.ReplyRef, PublishedAt: m.PublishedAt,
		}
		if len(p.Thread.ParentText) > longContext {
			p.Thread.ParentText = ""
		}
		out.Mentions = append(out.Mentions, source.StoredPost{Brand: m.Brand, Hash: m.Revision.Hash, Post: p})
	}
	return out, nil
}
