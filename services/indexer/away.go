package indexer

import (
	"context"
	"errors"
	"time"

	"github.com/earshot/earshot/pkg/search"
)

// longestPause bounds the wait for an index that is away.
const longestPause = 15 * time.Second

// patiently does what must be done before anything else, and again while the
// index is away.
func (x *indexer) patiently(ctx context.Context, do func(context.Context) error) error {
	for wait := time.Second; ; wait = min(2*wait, longestPause) {
		err := do(ctx)
		if ctx.Err() != nil || err == nil {
			return nil
		}
		if !errors.Is(err, search.ErrUnavailable) {
			return err
		}
		x.log.Warn("the index is away; mentions wait on the bus", "again_in", wait, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// lookAfter sees after an error whether the index came back empty, as from a
// server that has lost its disk; then it is filled anew.
func (x *indexer) lookAfter(ctx context.Context, err error) {
	if !errors.Is(err, search.ErrUnavailable) {
		return
	}
	if fresh, err := x.index.Ensure(ctx); err != nil || !fresh {
		return
	}
	x.log.Warn("the index was gone; it is filled from the bus")
	select {
	case x.again <- struct{}{}:
	default:
	}
}
