package source

import (
	"context"
	"fmt"
	"time"

	"github.com/earshot/earshot/pkg/outbound"
)

// budget is how often a platform lets us ask, counted by all processes that run
// the source.
type budget struct {
	name string // it is kept under
	what string // is counted, for people
	most int    // at least 2
	per  time.Duration
	// spare is what must be left for others of what may be spent at once.
	spare int
}

// spend takes n from b, or refuses with the time to wait. Half of b may be
// spent at once; it grows back by half of b in b.per, so that in no stretch of
// b.per more than b.most are spent. For nothing it says whether there is more
// than b.spare.
func (d Deps) spend(ctx context.Context, b budget, n int) error {
	var kept struct {
		Full time.Time `json:"full"` // when nothing is spent any more
	}
	of := func(n int) time.Duration { return time.Duration(n) * b.per / time.Duration(b.most/2) }
	takes := of(n)
	return d.Keep.Update(ctx, b.name, &kept, func() (bool, error) {
		now := d.Now().UTC()
		if kept.Full.Before(now) {
			kept.Full = now
		}
		if wait := kept.Full.Add(takes + of(b.spare)).Sub(now.Add(b.per)); wait > 0 {
			return false, &Refusal{Reason: Limited, Until: now.Add(wait), Err: spentError{b, wait}, trouble: outbound.Trouble{Reason: outbound.Spent}}
		}
		kept.Full = kept.Full.Add(takes)
		return n > 0, nil
	})
}

type spentError struct {
	budget
	wait time.Duration
}

func (e spentError) Error() string {
	return fmt.Sprintf("the platform allows %d %s in %s: again in %s", e.most, e.what, e.per, e.wait.Round(time.Second))
}

func (e spentError) RetryAfter() time.Duration { return e.wait }
