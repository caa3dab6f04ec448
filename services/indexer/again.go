package indexer

import (
	"cmp"
	"context"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
)

// fresh is how old a post may be to tell a case that its author wrote again: a
// reindex and an import bring up what everybody knows.
const fresh = 24 * time.Hour

// wroteAgain tells the cases of a post's author that they wrote once more in their
// thread.
func (x *indexer) wroteAgain(ctx context.Context, t *mention.Tagged) error {
	m := &t.Mention
	author := cmp.Or(m.Author.ID, m.Author.Handle)
	if author == "" || m.Thread.Parent == "" || m.Intake != mention.Live || x.now().Sub(m.SeenAt) > fresh {
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
		if err := x.authorWrote(ctx, res.Hits[i].ID, t); err != nil {
			return err
		}
	}
	return nil
}

// authorWrote tells case id that its author wrote t, and what that wants of us if
// it belongs to the case.
func (x *indexer) authorWrote(ctx context.Context, id mention.ID, t *mention.Tagged) error {
	_, err := x.toward(ctx, id, &t.Mention, func(s *casework.State) (casework.Event, bool) {
		e, ok := s.WroteAgain(t)
		if ok && e.Native != "" {
			e.Triage = x.settings.Triage(&t.Mention, &t.Verdict, casework.Signals{})
		}
		return e, ok
	})
	return err
}
