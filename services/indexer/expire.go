package indexer

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/source"
)

// expire drops what is older than the installation keeps it, and what is older
// than its platform allows.
func (x *indexer) expire(ctx context.Context) error {
	untouched := map[search.Field][]string{search.FieldOwner: {string(search.OwnerTagged)}}
	errs := x.older(ctx, x.retention, untouched, x.dropRows)
	for _, platform := range platforms() {
		d := source.DutiesOf(platform)
		if keep := least(d.Expire, d.Retention); keep > 0 {
			where := map[search.Field][]string{search.FieldOwner: {string(search.OwnerTagged)}, search.FieldPlatform: {platform}}
			errs = errors.Join(errs, x.older(ctx, keep, where, x.dropMentions))
		}
		if d.Retention > 0 {
			where := map[search.Field][]string{
				search.FieldOwner: {string(search.OwnerCase), string(search.OwnerArchive)}, search.FieldPlatform: {platform},
			}
			errs = errors.Join(errs, x.older(ctx, d.Retention, where, x.dropTexts))
		}
	}
	return errs
}

// platforms are those of the kinds.
func platforms() []string {
	var out []string
	for _, k := range source.Kinds {
		out = append(out, k.Platform)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// least is the shorter of two times, of which zero is none.
func least(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// older hands the documents that were seen longer than keep ago to drop, until
// there are none. Drop makes them be found no more.
func (x *indexer) older(ctx context.Context, keep time.Duration, where map[search.Field][]string, drop func(context.Context, []search.Hit) error) error {
	for ctx.Err() == nil {
		old, err := x.index.Search(ctx, search.Query{
			Viewer: search.SeesAll(), Sort: search.Oldest, Limit: search.MaxLimit, Seen: search.Period{To: x.now().Add(-keep)}, Where: where,
		})
		if err != nil || len(old.Hits) == 0 {
			return err
		}
		if err := drop(ctx, old.Hits); err != nil {
			return err
		}
	}
	return nil
}

// dropRows takes mentions out of the index; the bus drops them by their age.
func (x *indexer) dropRows(ctx context.Context, hits []search.Hit) error {
	ids := make([]mention.ID, len(hits))
	for i := range hits {
		ids[i] = hits[i].ID
	}
	return x.inOrder(ctx, func(ctx context.Context) error { return x.index.Write(ctx, search.Batch{Deletes: ids}) })
}

// dropMentions takes mentions that nobody has touched off the bus and out of the
// index, with what escalations quote of them. If somebody touches one just now,
// its case has the text, and writes the row again.
func (x *indexer) dropMentions(ctx context.Context, hits []search.Hit) error {
	x.scrub.Store(true)
	for i := range hits {
		d := &hits[i]
		if err := x.cases.Expire(ctx, d.ID, d.Tagged); err != nil {
			return err
		}
		if d.Page {
			if err := escalation.Erase(ctx, x.bus, identity.ActorSystem, d.ID, x.now()); err != nil {
				return err
			}
		}
	}
	return x.dropRows(ctx, hits)
}

// dropTexts erases what outsiders said in cases. Who did what stays.
func (x *indexer) dropTexts(ctx context.Context, hits []search.Hit) error {
	docs := make([]search.Document, len(hits))
	for i := range hits {
		docs[i] = hits[i].Document
	}
	return x.eraseAll(ctx, identity.System(), pointers(docs), "older than the platform allows")
}
