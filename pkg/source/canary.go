package source

import (
	"slices"
	"time"
)

// CanaryKey is where the fetcher keeps how its canaries fare, among the
// cursors. No source can be called so.
var CanaryKey = ProgressKey("_canary")

// A canary is a mention of no brand that goes the whole way again and again,
// from the fetcher into the index and out of it, so that a standstill is not
// taken for a quiet day.

// Canary is how the canaries fare. The fetcher keeps it, the desk shows it.
type Canary struct {
	// Every is how often one is sent; 0 when none are. Late is after how long
	// one is taken for lost, and the line for broken.
	Every time.Duration `json:"every"`
	Late  time.Duration `json:"late"`
	// Since is from when on this process has sent them.
	Since time.Time `json:"since"`
	Sent  time.Time `json:"sent,omitzero"`
	// Back is when the last one that came through was there, and Took how long
	// that one was on its way.
	Back time.Time     `json:"back,omitzero"`
	Took time.Duration `json:"took,omitzero"`
	// Runs are those of the last 24 hours, oldest first.
	Runs []CanaryRun `json:"runs,omitempty"`
}

// CanaryRun is one canary's way.
type CanaryRun struct {
	At   time.Time     `json:"at"`
	Took time.Duration `json:"took,omitzero"` // 0 for one that has not come
}

// Sends notes that one was sent at now.
func (c *Canary) Sends(now time.Time) {
	c.Sent = now
	c.Runs = append(c.Runs, CanaryRun{At: now})
	c.Runs = slices.DeleteFunc(c.Runs, func(r CanaryRun) bool { return now.Sub(r.At) > 24*time.Hour })
}

// Arrives notes that the one that was sent at sent has come through at now.
func (c *Canary) Arrives(sent, now time.Time) {
	took := max(now.Sub(sent), time.Microsecond)
	if now.After(c.Back) {
		c.Back, c.Took = now, took
	}
	for i := range c.Runs {
		if r := &c.Runs[i]; r.At.Equal(sent) && r.Took == 0 {
			r.Took = took
		}
	}
}

// Lost counts those of the last 24 hours that did not come in time.
func (c *Canary) Lost(now time.Time) (n int) {
	for _, r := range c.Runs {
		if r.Took > c.Late || r.Took == 0 && now.Sub(r.At) > c.Late {
			n++
		}
	}
	return n
}

// Quantile is the time within which a share of those of the last 24 hours that
// came had come; ok is false when none did.
func (c *Canary) Quantile(share float64) (d time.Duration, ok bool) {
	var took []time.Duration
	for _, r := range c.Runs {
		if r.Took > 0 {
			took = append(took, r.Took)
		}
	}
	if len(took) == 0 {
		return 0, false
	}
	slices.Sort(took)
	return took[min(int(share*float64(len(took))), len(took)-1)], true
}

// Overdue tells whether the line stands still at now: for longer than Late none
// has come through. Whoever has watched only from begun on can't know of
// before.
func (c *Canary) Overdue(begun, now time.Time) bool {
	if c.Every <= 0 {
		return false
	}
	from := begun
	for _, t := range []time.Time{c.Since, c.Back} {
		if t.After(from) {
			from = t
		}
	}
	return now.Sub(from) > c.Late
}
