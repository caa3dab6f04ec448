package fetcher

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

const (
	// belowTime bounds a look at what stands below a post: somebody waits for it.
	belowTime = 8 * time.Second
	// Whoever looks may do so lookBurst times at once and then every lookEvery;
	// all together look lookMany times as often by one source.
	lookBurst = 10
	lookEvery = 6 * time.Second
	lookMany  = 3
	// lookAgain is for how long what was seen is shown without asking again, and
	// lookBytes the most text that is held for that, in memory alone.
	lookAgain = 2 * time.Minute
	lookBytes = 8 << 20
)

// looks paces the looks at what stands below posts, and remembers them for a
// moment. The zero value is ready, and safe for concurrent use.
type looks struct {
	flights singleflight.Group

	mu     sync.Mutex
	seen   []look // oldest first
	bytes  int
	people map[string]*rate.Limiter // by staff id
	paces  map[string]*rate.Limiter // by source
}

type look struct {
	of    lookOf
	at    time.Time
	bytes int
	shown source.Shown
}

type lookOf struct{ source, platform, id string }

func (f *fetcher) below(ctx context.Context, q source.Below) (source.Shown, error) {
	of := lookOf{q.Source, q.Post.Platform, q.Post.NativeID}
	// Whoever clicks twice looks once; who looks at the same in that moment is
	// paced by what they themselves did.
	shown, err, _ := f.looks.flights.Do(fmt.Sprintf("%q %q", of, q.By), func() (any, error) {
		if s, ok := f.looks.recent(of, f.now()); ok {
			return s, nil
		}
		s := f.askBelow(ctx, q)
		if s.Error == "" {
			f.looks.keep(of, s, f.now)
		}
		return s, nil
	})
	return shown.(source.Shown), err
}

// askBelow asks the platform, where the pace allows it.
func (f *fetcher) askBelow(ctx context.Context, q source.Below) source.Shown {
	ctx, cancel := context.WithTimeout(ctx, belowTime)
	defer cancel()
	failed := func(err error) source.Shown {
		return source.Shown{Error: err.Error(), Trouble: outbound.Explain(err, f.now())}
	}
	s, ok := settings.Sources.Get(f.settings, q.Source)
	if !ok {
		return failed(outbound.Absent.Of(fmt.Errorf("there is no source %q", q.Source)))
	}
	conn, err := f.opened(q.Source, s)
	if err != nil {
		return failed(err)
	}
	t, ok := conn.(source.Threader)
	if !ok {
		return source.Shown{}
	}
	now := f.now()
	if until := scarce(conn, now); !until.IsZero() {
		return source.Shown{Error: "what is left of the platform's limit is for fetching and replying", Trouble: outbound.Trouble{Reason: outbound.Spent, Until: until}}
	}
	if wait := f.looks.wait(q.Source, q.By, now); wait > 0 {
		return source.Shown{Paced: true, Error: "too many looks", Trouble: outbound.Trouble{Reason: outbound.Limited, Until: now.Add(wait)}}
	}
	below, err := t.Below(ctx, q.Post)
	if err != nil {
		return failed(err)
	}
	return source.Shown{Comments: below}
}

// opened is the connector that fetches, which knows what is left of the
// platform's limit and is signed in, or one opened for this.
func (f *fetcher) opened(id string, s settings.Source) (source.Source, error) {
	if r := f.runner(id); r != nil {
		r.mu.Lock()
		conn := r.conn
		r.mu.Unlock()
		if conn != nil {
			return conn, nil
		}
	}
	conn, _, err := f.open(id, s)
	return conn, err
}

// scarce is until when less than a quarter of the platform's limit is left; zero
// where there is more, or nobody knows.
func scarce(conn source.Source, now time.Time) time.Time {
	if q, ok := conn.(source.Quoter); ok {
		if quota, known := q.Quota(); known && quota.Remaining < quota.Limit/4 && quota.Reset.After(now) {
			return quota.Reset
		}
	}
	return time.Time{}
}

// wait is how long by has to wait for a look by source; 0 where it may be now,
// and then counts.
func (l *looks) wait(source, by string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine, all := pace(&l.people, by, 1, now), pace(&l.paces, source, lookMany, now)
	wait := mine.DelayFrom(now)
	if w := all.DelayFrom(now); w > wait {
		wait = w
	}
	if wait > 0 {
		mine.CancelAt(now)
		all.CancelAt(now)
	}
	return wait
}

// pace takes a turn of who; who has all turns again is forgotten.
func pace(all *map[string]*rate.Limiter, who string, times int, now time.Time) *rate.Reservation {
	if *all == nil {
		*all = map[string]*rate.Limiter{}
	}
	for k, l := range *all {
		if l.TokensAt(now) >= float64(l.Burst()) {
			delete(*all, k)
		}
	}
	l := (*all)[who]
	if l == nil {
		l = rate.NewLimiter(rate.Every(lookEvery/time.Duration(times)), lookBurst*times)
		(*all)[who] = l
	}
	return l.ReserveN(now, 1)
}

// recent is what was seen of of a moment ago.
func (l *looks) recent(of lookOf, now time.Time) (source.Shown, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(now)
	if i := slices.IndexFunc(l.seen, func(k look) bool { return k.of == of }); i >= 0 {
		return l.seen[i].shown, true
	}
	return source.Shown{}, false
}

// keep remembers s for lookAgain, and no longer even if nobody looks again.
func (l *looks) keep(of lookOf, s source.Shown, now func() time.Time) {
	n := 1 << 10
	for _, c := range s.Comments {
		n += len(c.Text)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, look{of, now(), n, s})
	l.bytes += n
	l.drop(now())
	time.AfterFunc(lookAgain+time.Second, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.drop(now())
	})
}

// drop forgets what was seen long ago, and the oldest of too much.
func (l *looks) drop(now time.Time) {
	for len(l.seen) > 0 && (now.Sub(l.seen[0].at) >= lookAgain || l.bytes > lookBytes) {
		l.bytes -= l.seen[0].bytes
		l.seen = slices.Delete(l.seen, 0, 1)
	}
}
