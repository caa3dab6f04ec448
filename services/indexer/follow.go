package indexer

import (
	"context"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/search"
)

// batchSize bounds what is written in one step: larger ones are cheaper for each
// mention, smaller ones let others have their turn sooner.
const batchSize = 2000

// follow hands a stream's messages to the writer, from where the index stands,
// and goes on after whatever interrupts it. It calls there when it has come to
// the stream's end, perhaps more than once.
func follow[T any](ctx context.Context, x *indexer, t bus.Topic[T], take func(context.Context, []bus.Entry[T]) error, there func()) error {
	pause := time.Second
	hand := func(ctx context.Context, batch []bus.Entry[T]) error {
		err := x.inOrder(ctx, func(ctx context.Context) error { return take(ctx, batch) })
		if err == nil {
			pause = time.Second
		}
		return err
	}
	for ctx.Err() == nil {
		from, err := catchUp(ctx, x, t, hand)
		if err == nil {
			there()
			err = t.Follow(ctx, x.bus, from+1, batchSize, hand)
		}
		if err != nil && ctx.Err() == nil {
			wait, asked := bus.RetryAfter(err)
			if !asked {
				wait, pause = pause, min(2*pause, longestPause)
			}
			x.log.Warn("indexing stands still; trying again", "stream", t.Stream(), "again_in", wait, "error", err)
			x.lookAfter(ctx, err)
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
		}
	}
	return nil
}

// catchUp reads to the present end of a stream and returns where the index
// stands then. Where the last messages were erased, the index has them too.
func catchUp[T any](ctx context.Context, x *indexer, t bus.Topic[T], hand func(context.Context, []bus.Entry[T]) error) (uint64, error) {
	from, err := x.index.Position(ctx, t.Stream())
	if err != nil {
		return 0, err
	}
	last, err := t.Last(ctx, x.bus)
	if err != nil || last <= from {
		return from, err
	}
	if err := t.Replay(ctx, x.bus, from+1, batchSize, hand); err != nil {
		return 0, err
	}
	at, err := x.index.Position(ctx, t.Stream())
	if err != nil || at >= last {
		return at, err
	}
	return last, x.inOrder(ctx, func(ctx context.Context) error {
		return x.index.Write(ctx, search.Batch{Positions: map[string]uint64{t.Stream(): last}})
	})
}

// step is a piece of work for the writer.
type step struct {
	do   func(context.Context) error
	done chan error
}

// inOrder has do done by the writer and returns its error.
func (x *indexer) inOrder(ctx context.Context, do func(context.Context) error) error {
	s := step{do, make(chan error, 1)}
	select {
	case x.work <- s:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-s.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (x *indexer) write(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-x.work:
			s.done <- s.do(ctx)
		}
	}
}
