package indexer

import (
	"context"
	"errors"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
)

// restAfter is how long nothing must have happened to a case that is done before
// it is archived.
const restAfter = 90 * 24 * time.Hour

// sweepAtMost bounds how many cases one sweep archives, give or take a page: to
// overwrite an event the server writes the block of up to 8 MB it is in, 1 to 10 ms.
const sweepAtMost = 1000

// takeArchive writes the cases that were archived, unless somebody has worked on
// them since, and erases the snapshots that others replace.
func (x *indexer) takeArchive(ctx context.Context, batch []bus.Entry[casework.Event]) error {
	ids := make([]mention.ID, 0, len(batch))
	for i := range batch {
		e := &batch[i]
		if e.Err == nil && e.Value.Mention == nil {
			e.Err = bus.Permanent(errors.New("a snapshot that names no case"))
		}
		if e.Err == nil {
			ids = append(ids, e.Value.Mention.ID)
		} else if err := bus.Bury(ctx, x.bus, "indexer-archive", casework.Snapshots(), e.Seq, e.Err); err != nil {
			return err
		}
	}
	docs, err := x.documents(ctx, ids)
	if err != nil {
		return err
	}
	for i := range batch {
		e := &batch[i]
		if e.Err != nil {
			continue
		}
		id := e.Value.Mention.ID
		if old := archivedAt(docs[id]); old > 0 && old < e.Seq {
			if err := casework.Snapshots().Erase(ctx, x.bus, old); err != nil {
				return err
			}
		}
		d, err := x.fold(ctx, id, docs[id], max(archivedAt(docs[id]), e.Seq))
		if bus.IsPermanent(err) {
			err = bus.Bury(ctx, x.bus, "indexer-archive", casework.Snapshots(), e.Seq, err)
		}
		if err != nil {
			return err
		}
		if d != nil {
			docs[id] = d
		}
	}
	return x.store(ctx, docs, casework.Snapshots().Stream(), batch[len(batch)-1].Seq)
}

// settle says what holds of a case and its snapshot with sequence seq. Where
// something has happened since, the snapshot is erased, and the answer is 0; by
// the sequences alone, since s may be read from a server that lags. Without
// events, s becomes what the snapshot says.
func (x *indexer) settle(ctx context.Context, id mention.ID, s *casework.State, touched bool, seq uint64) (uint64, error) {
	snap, err := casework.Snapshots().Get(ctx, x.bus, seq)
	switch {
	case errors.Is(err, bus.ErrNotFound):
		return 0, nil
	case err != nil:
		return 0, err
	case !touched:
		*s = casework.Fold(id, []casework.Event{snap.Value})
	case s.Last > snap.Value.Seq:
		return 0, casework.Snapshots().Erase(ctx, x.bus, seq)
	}
	return seq, nil
}

func archivedAt(d *search.Document) uint64 {
	if d == nil {
		return 0
	}
	return d.Archived
}

// archive puts away cases that were closed long ago. What is left, or cut short,
// is taken up again by the next sweep.
func (x *indexer) archive(ctx context.Context) error {
	before := x.now().Add(-restAfter)
	q := search.Query{
		Viewer: search.SeesAll(), Sort: search.Oldest, Limit: search.MaxLimit, Seen: search.Period{To: before},
		Where: map[search.Field][]string{
			search.FieldOwner: {string(search.OwnerCase)}, search.FieldStatus: {string(casework.Done)},
		},
	}
	for n := 0; n < sweepAtMost; {
		page, err := x.index.Search(ctx, q)
		if err != nil {
			return err
		}
		ids := make([]mention.ID, len(page.Hits))
		for i := range page.Hits {
			ids[i] = page.Hits[i].ID
		}
		done, err := x.putAway(ctx, ids, before)
		if err != nil {
			return err
		}
		n += done
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	return nil
}

// putAway archives those of ids that nothing has happened to since before: their
// snapshots are stored, then named by the index, then their events go. It
// returns how many they are.
func (x *indexer) putAway(ctx context.Context, ids []mention.ID, before time.Time) (int, error) {
	var last casework.Kept
	for _, id := range ids {
		kept, err := x.cases.PutAway(ctx, id, before)
		if err != nil {
			if ctx.Err() != nil {
				return 0, err
			}
			x.log.Warn("case not archived; trying again in an hour", "case", id, "error", err)
		}
		last.Snapshot, last.Event = max(last.Snapshot, kept.Snapshot), max(last.Event, kept.Event)
	}
	if err := x.has(ctx, last); err != nil {
		return 0, err
	}
	docs, err := x.documents(ctx, ids)
	if err != nil {
		return 0, err
	}
	var done []mention.ID
	for id, d := range docs {
		if d.Archived == 0 {
			continue
		}
		if err := x.cases.Forget(ctx, id, d.Archived); err != nil {
			return 0, err
		}
		done = append(done, id)
	}
	if len(done) == 0 {
		return 0, nil
	}
	return len(done), x.inOrder(ctx, func(ctx context.Context) error { return x.renew(ctx, done...) })
}

// has waits until the index has what was kept. It has to have the events as
// well: a stream's last message that is erased unread would be waited for.
func (x *indexer) has(ctx context.Context, k casework.Kept) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := x.index.Wait(ctx, casework.Events().Stream(), k.Event); err != nil {
		return err
	}
	return x.index.Wait(ctx, casework.Snapshots().Stream(), k.Snapshot)
}

// renew writes the rows of cases anew, from what the bus has of them. The writer
// does it.
func (x *indexer) renew(ctx context.Context, ids ...mention.ID) error {
	docs, err := x.documents(ctx, ids)
	if err != nil {
		return err
	}
	var b search.Batch
	for _, id := range ids {
		d, err := x.fold(ctx, id, docs[id], archivedAt(docs[id]))
		if err != nil {
			return err
		}
		if d != nil {
			b.Upserts = append(b.Upserts, *d)
		}
	}
	if len(b.Upserts) == 0 {
		return nil
	}
	return x.index.Write(ctx, b)
}

// retryArchive takes a snapshot that was given up.
func (x *indexer) retryArchive(ctx context.Context, seq uint64) error {
	e, err := casework.Snapshots().Get(ctx, x.bus, seq)
	if errors.Is(err, bus.ErrNotFound) {
		return nil
	}
	if err != nil || e.Value.Mention == nil {
		return err
	}
	return x.inOrder(ctx, func(ctx context.Context) error {
		id := e.Value.Mention.ID
		docs, err := x.documents(ctx, []mention.ID{id})
		if err != nil {
			return err
		}
		d, err := x.fold(ctx, id, docs[id], max(archivedAt(docs[id]), seq))
		if err != nil || d == nil {
			return err
		}
		return x.index.Write(ctx, search.Batch{Upserts: []search.Document{*d}})
	})
}
