package indexer

import (
	"context"
	"time"
)

// forget deletes former passwords' hashes as soon as there is a new one. It is
// the indexer's work because nobody else may delete.
func (x *indexer) forget(ctx context.Context) error {
	for {
		changed := x.settings.Changed()
		var again <-chan time.Time
		if err := x.settings.Forget(ctx); err != nil && ctx.Err() == nil {
			x.log.Warn("former passwords not forgotten; trying again", "error", err)
			again = time.After(time.Minute)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-again:
		}
	}
}
