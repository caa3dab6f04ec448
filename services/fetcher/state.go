package fetcher

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/source"
)

// How far a source has come, how it fares, and when it was not heard: what is
// known is kept on the bus and told to the desk.

// aliveEvery is how often it is written down that the source is run.
const aliveEvery = time.Minute

// load reads how far the source has come. Without knowing that nothing is
// fetched: a cursor that can't be read is not one that isn't there.
func (r *runner) load(ctx context.Context) bool {
	for {
		r.mu.Lock()
		_, err := bus.Cursors.Get(ctx, r.bus, source.ProgressKey(r.id), &r.progress)
		r.progress.Began, r.progress.Account = r.now(), "" // the settings may be others now
		if err == nil || errors.Is(err, bus.ErrNotFound) {
			_, err = bus.Cursors.Get(ctx, r.bus, source.CoverageKey(r.id), &r.coverage)
		}
		r.mu.Unlock()
		if err == nil || errors.Is(err, bus.ErrNotFound) {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		r.log.Warn("cursor not read; waiting", "error", err)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(time.Second):
		}
	}
}

// beat writes down again and again that the source is run.
func (r *runner) beat(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(aliveEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				r.save(ctx)
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

// replays tells whether the source goes on where it was: a poll does, and a
// stream that has a cursor.
func (r *runner) replays() bool {
	return r.progress.Cursor != "" || r.conn != nil && r.conn.Poll() > 0
}

// heard notes in the ledger that the source is heard again; whole that nothing
// more is to come of what was before.
func (r *runner) heard(whole bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noted = r.coverage.Heard(r.now(), r.replays(), whole, r.told) || r.noted
}

// reached notes how far a stream has come. It returns whether that ends an
// outage.
func (r *runner) reached(t time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := r.coverage.Reached(t)
	r.noted = changed || r.noted
	return changed
}

func (r *runner) succeed() {
	now := r.now()
	r.failures = 0
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress.Trouble = outbound.Trouble{}
	r.progress.Success, r.progress.Error, r.progress.Since, r.progress.Next = now, "", time.Time{}, time.Time{}
	r.met.success.WithLabelValues(r.id).Set(float64(now.Unix()))
	r.met.listening.WithLabelValues(r.id).Set(1)
	if q, ok := r.conn.(source.Quoter); ok {
		if quota, known := q.Quota(); known {
			r.progress.Quota, r.progress.Left, r.progress.Reset = quota.Limit, quota.Remaining, quota.Reset
		}
	}
}

func (r *runner) fail(ctx context.Context, err error, wait time.Duration) time.Duration {
	now := r.now()
	r.mu.Lock()
	if r.progress.Error == "" {
		r.progress.Since = now
		r.log.Warn("source failed", "error", err, "next", wait.String())
	}
	r.progress.Error, r.progress.Trouble = err.Error(), outbound.Explain(err, now)
	r.progress.Next = time.Time{}
	from := r.progress.Since
	if r.conn != nil && r.conn.Poll() > 0 && !r.progress.Success.IsZero() {
		from = r.progress.Success // of what came since, nothing is known
	}
	r.noted = r.coverage.Failed(from, now, r.progress.Error, r.progress.Trouble) || r.noted
	r.met.listening.WithLabelValues(r.id).Set(0)
	if wait > 0 {
		r.progress.Next = now.Add(wait)
	}
	r.mu.Unlock()
	r.hush()
	r.save(ctx)
	return wait
}

// hush notes when the source has just fallen silent; the pager tells people.
func (r *runner) hush() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.progress.Hush(r.now()) {
		return false
	}
	r.log.Warn("source is silent against its habit", "last", r.progress.Taken, "usual_gap", r.progress.Gap.String())
	return true
}

// spent is what the source has cost, nil where nothing is known of that.
func (r *runner) spent(ctx context.Context) *source.Spending {
	spender, ok := r.conn.(source.Spender)
	if !ok {
		return nil
	}
	s, err := spender.Spent(ctx)
	if err != nil {
		r.log.Warn("what the source has cost is not known", "error", err)
		return nil
	}
	return &s
}

// missedOver is the time for which a metric tells what was missed.
const missedOver = 7 * 24 * time.Hour

// save keeps ledger, cursor and state, and tells the desk. The ledger comes
// first: a gap is not forgotten for a cursor that has moved past it.
func (r *runner) save(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	spending := r.spent(ctx)
	r.mu.Lock()
	defer r.mu.Unlock() // of two writes the later one is the newer
	now := r.now()
	if spending != nil {
		r.progress.Spending = spending
	}
	if r.noted {
		if err := bus.Cursors.Put(ctx, r.bus, source.CoverageKey(r.id), r.coverage); err != nil {
			r.log.Warn("coverage not kept; trying again", "error", err)
			return
		}
		r.noted = false
	}
	r.progress.Alive = now
	if err := bus.Cursors.Put(ctx, r.bus, source.ProgressKey(r.id), r.progress); err != nil {
		r.log.Warn("cursor not kept; the last posts will come again", "error", err)
		return
	}
	missed := time.Duration(0)
	for _, s := range r.coverage.Over(now.Add(-missedOver), now) {
		if s.Way == source.Missed {
			missed += s.To.Sub(s.From)
		}
	}
	r.met.missed.WithLabelValues(r.id).Set(missed.Seconds())
	raw, _ := json.Marshal(r.progress)
	_ = r.bus.Tell("source", struct {
		ID       string          `json:"id"`
		Progress json.RawMessage `json:"progress"`
	}{r.id, raw})
}
