package indexer

import (
	"cmp"
	"context"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
)

// news is how old a post may be to tell a case that its author wrote again: a
// reindex and an import bring up what everybody knows.
const news = 24 * time.Hour

// wroteAgain tells the cases of a post's author that they wrote once more.
func (x *indexer) wroteAgain(ctx context.Context, t *mention.Tagged) error {
	m := &t.Mention
	author := cmp.Or(m.Author.ID, m.Author.Handle)
	if author == "" || m.Thread.Parent == "" || m.Intake != mention.Live || x.now().Sub(m.SeenAt) > news {
		return nil
	}
	res, err := x.index.Search(ctx, search.Query{
		Viewer: search.Sees(m.Brand), Sort: search.Newest, Limit: 5,
		Where: map[search.Field][]string{
			search.FieldAuthor: {author}, search.FieldPlatform: {m.Platform}, search.FieldBrand: {m.Brand}, search.FieldOwner: {string(search.OwnerCase)},
		},
	})
	if err != nil {
		return err
	}
	for i := range res.Hits {
		_, err := x.cases.Record(ctx, res.Hits[i].ID, func(s *casework.State) (casework.Event, bool) { return s.WroteAgain(t) })
		if err != nil {
			return err
		}
	}
	return nil
}
