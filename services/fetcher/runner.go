package fetcher

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

// runner runs one source.
type runner struct {
	*fetcher
	id    string
	of    settings.Source
	log   *slog.Logger
	stop  context.CancelFunc
	done  chan struct{}
	again chan struct{} // wakes it from its pause

	failures int // in a row; the fetching goroutine's alone

	mu       sync.Mutex // guards what follows; pushes come beside fetches
	conn     source.Source
	progress source.Progress
	coverage source.Coverage
	noted    bool // coverage has changed since it was kept
	whose    bool // progress.Account is that of these settings
	told     bool // this fetch has told of a gap
}

// run fetches from the source until ctx ends.
func (r *runner) run(ctx context.Context) {
	if !r.load(ctx) {
		return
	}
	defer r.save(ctx)
	stop := r.beat(ctx)
	defer stop()
	for began := false; ; {
		conn, _, err := r.open(r.id, r.of)
		r.mu.Lock()
		if r.conn = conn; !began {
			r.coverage.Began(r.progress.Alive, r.now(), r.replays())
			began, r.noted = true, true
		}
		r.mu.Unlock()
		if err == nil {
			break
		}
		// What it refers to may come yet, such as the file of a secret.
		if !r.rest(ctx, r.fail(ctx, err, r.pause(err))) {
			return
		}
	}
	if again := r.rereads(r.id, r.of, r.conn); again != nil {
		done := make(chan struct{})
		defer func() { <-done }()
		go func() { defer close(done); again.run(ctx) }()
	}
	for ctx.Err() == nil {
		r.acquaint(ctx)
		r.rest(ctx, r.fetch(ctx))
	}
}

// acquaint asks whose account the source acts for, until that is known.
func (r *runner) acquaint(ctx context.Context) {
	r.mu.Lock()
	whose := r.whose
	r.mu.Unlock()
	if whose {
		return
	}
	name, err := source.AccountOf(ctx, r.conn)
	if err != nil && name == "" {
		r.log.Debug("whose account it is is not known", "error", err)
		return // what fetching says of it is shown
	}
	r.actsFor(name)
}

// actsFor notes whose account the source acts for.
func (r *runner) actsFor(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress.Account, r.whose = name, true
}

// rest waits, until it is woken. It returns false when ctx has ended.
func (r *runner) rest(ctx context.Context, wait time.Duration) bool {
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	case <-r.again:
	}
	return ctx.Err() == nil
}

// wake makes the source fetch now, if it pauses.
func (r *runner) wake() {
	select {
	case r.again <- struct{}{}:
	default:
	}
}

// fetch runs one fetch to its end and returns the pause before the next.
func (r *runner) fetch(ctx context.Context) time.Duration {
	items := make(chan source.Item, 512)
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var fetchErr error
	r.mu.Lock()
	cursor := r.progress.Cursor
	r.told = false
	r.mu.Unlock()
	go func() {
		defer close(items)
		for item, err := range r.conn.Fetch(inner, cursor) {
			if err != nil {
				fetchErr = err
				return
			}
			select {
			case items <- item:
			case <-inner.Done():
				return
			}
		}
	}()
	if err := r.handOver(ctx, items); err != nil {
		cancel(err)
		for range items { //nolint:revive // let the connector end
		}
		if ctx.Err() != nil {
			return 0
		}
		return r.fail(ctx, err, r.pause(err))
	}
	if ctx.Err() != nil {
		return 0
	}
	if fetchErr != nil {
		return r.fail(ctx, fetchErr, r.pause(fetchErr))
	}
	wait := max(r.conn.Poll(), time.Second)
	r.succeed()
	r.heard(r.conn.Poll() > 0)
	r.mu.Lock()
	r.progress.Next = r.now().Add(wait)
	r.mu.Unlock()
	r.hush()
	r.save(ctx)
	return wait
}

// batchItems bounds what is handed over at once; saveEvery how often a stream's
// cursor is kept.
const (
	batchItems = 256
	saveEvery  = time.Second
)

// steady is after how long without an error a stream that sends nothing is
// heard, and caughtUp after how long it has sent all that was missed.
const (
	steady   = 30 * time.Second
	caughtUp = 10 * time.Minute
)

// handOver publishes what comes, and keeps the cursor after what is stored. It
// returns when items is closed.
func (r *runner) handOver(ctx context.Context, items <-chan source.Item) error {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	stream := r.conn.Poll() == 0
	since, quiet := r.now(), stream
	dirty := false
	for {
		var batch []source.Item
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if stream {
				connected := r.now().Sub(since)
				if quiet && connected >= steady {
					quiet, dirty = false, true
					r.succeed()
					r.heard(false)
				}
				dirty = connected >= caughtUp && r.reached(r.now()) || dirty
			}
			if r.hush() || dirty {
				r.save(ctx)
				dirty = false
			}
			continue
		case item, ok := <-items:
			if !ok {
				if dirty {
					r.save(ctx)
				}
				return nil
			}
			batch = append(batch, item)
		}
	more:
		for len(batch) < batchItems {
			select {
			case item, ok := <-items:
				if !ok {
					break more
				}
				batch = append(batch, item)
			default:
				break more
			}
		}
		if err := r.publish(ctx, batch); err != nil {
			return err
		}
		r.succeed()
		if stream {
			quiet = false
			r.heard(false)
			r.reached(newest(batch))
		}
		dirty = true
	}
}

func newest(items []source.Item) (t time.Time) {
	for _, it := range items {
		if it.Post.PublishedAt.After(t) {
			t = it.Post.PublishedAt
		}
	}
	return t
}

// publish finds the brands in a batch, stores its mentions and moves the
// cursor. While the bus is full it waits: the source's cursor stays where it is.
func (r *runner) publish(ctx context.Context, batch []source.Item) error {
	now := r.now()
	var (
		mentions []*mention.Mention
		newest   time.Time
		posts    int
		cursor   string
	)
	ours := r.answersUs(ctx, batch)
	for i, item := range batch {
		if item.Cursor != "" {
			cursor = item.Cursor
		}
		p := item.Post
		if p.NativeID == "" {
			continue
		}
		posts++
		p.Source = r.id
		if p.SeenAt.IsZero() {
			p.SeenAt = now
		}
		if p.Intake == "" {
			p.Intake = mention.Live
		}
		if p.PublishedAt.After(newest) {
			newest = p.PublishedAt
		}
		found, err := r.mentions(ctx, &p, item.Brands, ours[i])
		if err != nil {
			return err
		}
		mentions = append(mentions, found...)
	}
	for n := 0; ; n++ {
		err := bus.Mentions.Publish(ctx, r.bus, mentions...)
		if err == nil {
			break
		}
		if n > 5 || ctx.Err() != nil {
			return err
		}
		r.log.Warn("the bus takes nothing; waiting", "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(n+1) * time.Second):
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if cursor != "" {
		r.progress.Cursor = cursor
	}
	for _, item := range batch {
		if item.Gap != nil {
			g := *item.Gap
			if g.From.IsZero() {
				g.From = r.progress.Success
			}
			r.coverage.Told(g, now)
			r.told, r.noted = true, true
		}
	}
	r.progress.Took(posts, len(mentions), newest, now)
	return nil
}

// completeTime bounds what a connector may take to complete one post.
const completeTime = 5 * time.Second

func (r *runner) mentions(ctx context.Context, p *mention.Post, named, answered []string) ([]*mention.Mention, error) {
	if r.of.Brand != "" {
		named = []string{r.of.Brand}
	}
	found := r.settings.Mentions(p, named...)
	for _, brand := range answered {
		if !slices.ContainsFunc(found, func(m *mention.Mention) bool { return m.Brand == brand }) {
			found = append(found, r.settings.Mentions(p, brand)...)
		}
	}
	if p.Deleted {
		return r.known(ctx, found)
	}
	c, ok := r.conn.(source.Completer)
	if !ok || len(found) == 0 {
		return found, nil
	}
	ctx, cancel := context.WithTimeout(ctx, completeTime)
	defer cancel()
	if err := c.Complete(ctx, p); err != nil {
		r.log.Debug("post not completed", "error", err)
	}
	for i, m := range found {
		complete := mention.Of(m.Brand, *p)
		found[i] = &complete
	}
	return found, nil
}

// answersUs says of each item whose reply it answers: such a post is about that
// brand, whatever the queries say. While the indexer is away that is not known,
// and nothing waits for it.
func (r *runner) answersUs(ctx context.Context, batch []source.Item) map[int][]string {
	var (
		asked []source.ParentPost
		items []int
	)
	for i := range batch {
		if p := &batch[i].Post; p.Thread.Parent != "" && !p.Deleted {
			asked, items = append(asked, source.ParentPost{Platform: p.Platform, NativeID: p.Thread.Parent}), append(items, i)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	brands, err := bus.Ask[[]source.ParentPost, [][]string](ctx, r.bus, "indexer", "replied", asked)
	if err != nil {
		r.log.Debug("which posts answer our replies is not known", "error", err)
		return nil
	}
	out := map[int][]string{}
	for j, i := range items {
		if j < len(brands) && len(brands[j]) > 0 {
			out[i] = brands[j]
		}
	}
	return out
}

// known keeps the deletions of posts that we have: a platform's stream tells of
// all others as well.
func (r *runner) known(ctx context.Context, deletions []*mention.Mention) ([]*mention.Mention, error) {
	if len(deletions) == 0 {
		return nil, nil
	}
	ids := make([]mention.ID, len(deletions))
	for i, m := range deletions {
		ids[i] = m.ID
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	have, err := bus.Ask[[]mention.ID, []bool](ctx, r.bus, "indexer", "known", ids)
	if err != nil {
		return nil, bus.After(fmt.Errorf("which deletions concern us is not known: %w", err), 5*time.Second)
	}
	kept := deletions[:0]
	for i, m := range deletions {
		if i < len(have) && have[i] {
			kept = append(kept, m)
		}
	}
	return kept, nil
}

// pause is how long to wait after an error: as long as the platform asks, or
// longer and longer.
func (r *runner) pause(err error) time.Duration {
	r.failures++
	if after, ok := bus.RetryAfter(err); ok {
		return max(after, time.Second)
	}
	wait := 5 * time.Second << min(r.failures-1, 8)
	return min(wait, 15*time.Minute)
}
