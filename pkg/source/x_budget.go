package source

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/outbound"
)

// Spender is the ability to say what the use of the platform has cost.
type Spender interface {
	Spent(ctx context.Context) (Spending, error)
}

// Spending is what was used of a platform that takes money, in its own days and
// months, as counted here. The platform's bill may differ.
type Spending struct {
	Day   Spent `json:"day"`
	Month Spent `json:"month"`
}

// Spent is the use in one period. Limits are 0 where there is none.
type Spent struct {
	Posts    int       `json:"posts"`  // read
	Writes   int       `json:"writes"` // published
	USD      float64   `json:"usd"`
	MaxPosts int       `json:"max_posts,omitempty"`
	MaxUSD   float64   `json:"max_usd,omitempty"`
	Ends     time.Time `json:"ends"`
}

// over tells whether one of the limits is reached.
func (s Spent) over() bool {
	return s.MaxPosts > 0 && s.Posts >= s.MaxPosts || s.MaxUSD > 0 && s.USD >= s.MaxUSD-1e-9
}

// xUse is what one period has used so far, as it is kept.
type xUse struct {
	Period string `json:"period"` // the day it began
	Posts  int    `json:"posts"`
	Writes int    `json:"writes"`
	Micros int64  `json:"micros"` // millionths of a US dollar
}

type xUses struct {
	Day   xUse `json:"day"`
	Month xUse `json:"month"`
}

// xCharge is something that X takes money for.
type xCharge struct {
	posts, users []uint64 // read; X bills each once a day
	owned        bool     // the posts are ours to read
	writes       int
	price        float64 // of each write
}

// xLedger counts what is used and keeps it over restarts, together with the
// other processes that use the same source.
type xLedger struct {
	cfg  *xConfig
	deps Deps

	mu      sync.Mutex
	uses    xUses // as last kept, by anybody
	pending xUses // not kept yet; Period empty
	day     string
	billed  map[uint64]bool // read today
}

const (
	spentName = "spent"
	// maxBilled bounds the ids remembered for a day; after that posts read
	// twice count twice.
	maxBilled = 500_000
	// userBit sets accounts apart from posts among the ids: no id is so large.
	userBit = 1 << 63
)

// periods are the days on which the day and the month of now began, and when
// they end.
func (l *xLedger) periods(now time.Time) (day, month string, dayEnds, monthEnds time.Time) {
	now = now.UTC()
	begin := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
	first := time.Date(now.Year(), now.Month(), l.cfg.MonthBegins, 0, 0, 0, 0, time.UTC)
	if first.After(now) {
		first = first.AddDate(0, -1, 0)
	}
	return begin.Format(time.DateOnly), first.Format(time.DateOnly), begin.AddDate(0, 0, 1), first.AddDate(0, 1, 0)
}

// note adds c to what is to be kept and returns how much there is of it.
func (l *xLedger) note(c xCharge) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	day, _, _, _ := l.periods(l.deps.Now())
	if l.day != day || l.billed == nil || len(l.billed) >= maxBilled {
		l.day, l.billed = day, map[uint64]bool{}
	}
	price := l.cfg.PricePost
	if c.owned {
		price = l.cfg.PriceOwned
	}
	usd, posts := float64(c.writes)*c.price, 0
	for _, id := range c.posts {
		if !l.billed[id] {
			l.billed[id] = true
			posts++
			usd += price
		}
	}
	for _, id := range c.users {
		if !l.billed[id|userBit] {
			l.billed[id|userBit] = true
			usd += l.cfg.PriceUser
		}
	}
	for _, u := range []*xUse{&l.pending.Day, &l.pending.Month} {
		u.Posts += posts
		u.Writes += c.writes
		u.Micros += int64(math.Round(usd * 1e6))
	}
	return l.pending.Day.Posts + l.pending.Day.Writes
}

// keep writes down what was noted.
func (l *xLedger) keep(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.update(ctx)
}

// update brings what is kept up to date and loads it. The lock is held.
func (l *xLedger) update(ctx context.Context) error {
	var kept xUses
	err := l.deps.Keep.Update(ctx, spentName, &kept, func() (bool, error) {
		day, month, _, _ := l.periods(l.deps.Now())
		if kept.Day.Period != day {
			kept.Day = xUse{Period: day}
		}
		if kept.Month.Period != month {
			kept.Month = xUse{Period: month}
		}
		kept.Day.add(l.pending.Day)
		kept.Month.add(l.pending.Month)
		return l.pending != xUses{}, nil
	})
	if err != nil {
		return fmt.Errorf("x: what was spent is not kept: %w", err)
	}
	l.uses, l.pending = kept, xUses{}
	return nil
}

func (u *xUse) add(o xUse) {
	u.Posts += o.Posts
	u.Writes += o.Writes
	u.Micros += o.Micros
}

// spent is the use of today and of this month.
func (l *xLedger) spent(ctx context.Context) (Spending, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.update(ctx); err != nil {
		return Spending{}, err
	}
	_, _, dayEnds, monthEnds := l.periods(l.deps.Now())
	of := func(u xUse, posts int, usd float64, ends time.Time) Spent {
		return Spent{Posts: u.Posts, Writes: u.Writes, USD: float64(u.Micros) / 1e6, MaxPosts: posts, MaxUSD: usd, Ends: ends}
	}
	return Spending{
		Day:   of(l.uses.Day, l.cfg.DailyPosts, l.cfg.DailyUSD, dayEnds),
		Month: of(l.uses.Month, l.cfg.MonthlyPosts, l.cfg.MonthlyUSD, monthEnds),
	}, nil
}

// budgetError says that nothing more is read until the budget is renewed.
type budgetError struct {
	of    Spent
	name  string // day or month
	after time.Duration
}

func (e *budgetError) Error() string {
	limit := fmt.Sprintf("$%.2f", e.of.MaxUSD)
	if e.of.MaxPosts > 0 && e.of.Posts >= e.of.MaxPosts {
		limit = fmt.Sprintf("%d posts", e.of.MaxPosts)
	}
	return fmt.Sprintf("x: the budget of %s a %s is used up (%d posts read, $%.2f); nothing more is read before %s",
		limit, e.name, e.of.Posts, e.of.USD, e.of.Ends.Format("2006-01-02 15:04 MST"))
}

func (e *budgetError) RetryAfter() time.Duration { return e.after }

func (e *budgetError) Trouble() outbound.Trouble { return outbound.Trouble{Reason: outbound.Spent} }

// allow is a [*budgetError] when a budget is used up.
func (l *xLedger) allow(ctx context.Context) error {
	s, err := l.spent(ctx)
	if err != nil {
		return err
	}
	for _, p := range []budgetError{{of: s.Month, name: "month"}, {of: s.Day, name: "day"}} {
		if p.of.over() {
			p.after = cmp.Or(max(p.of.Ends.Sub(l.deps.Now()), 0), time.Second)
			return &p
		}
	}
	return nil
}

// room is how many more posts may be read, as far as that can be told, or a
// [*budgetError]. What comes with posts may cost as much again.
func (l *xLedger) room(ctx context.Context) (int, error) {
	if err := l.allow(ctx); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n := math.MaxInt32
	for _, p := range []struct {
		use   xUse
		posts int
		usd   float64
	}{{l.uses.Day, l.cfg.DailyPosts, l.cfg.DailyUSD}, {l.uses.Month, l.cfg.MonthlyPosts, l.cfg.MonthlyUSD}} {
		if p.posts > 0 {
			n = min(n, p.posts-p.use.Posts)
		}
		if each := l.cfg.PricePost + l.cfg.PriceUser; p.usd > 0 && each > 0 {
			n = min(n, int((p.usd-float64(p.use.Micros)/1e6)/each))
		}
	}
	return n, nil
}

// Spent tells what X has cost.
func (x *xSource) Spent(ctx context.Context) (Spending, error) { return x.ledger.spent(ctx) }
