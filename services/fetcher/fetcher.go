// Package fetcher is the service that listens: it runs every configured source,
// finds the brands in what they bring, hands mentions to MENTIONS and keeps the
// sources' cursors.
package fetcher

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

// Service is the fetcher as a process runs it. Of several, one works.
var Service = app.Service{Name: "fetcher", Run: run, Sealed: true}

func run(ctx context.Context, env *app.Env) error {
	f := &fetcher{
		bus: env.Bus(), settings: env.Settings(), http: env.HTTP(), log: env.Log, now: env.Now,
		data: env.Config().Data, opener: env.Opener(),
		success: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "earshot_source_last_success_timestamp_seconds",
			Help: "When a source was last read without an error.",
		}, []string{"source"}),
	}
	if err := env.Metrics().Register(f.success); err != nil {
		return err
	}
	env.Ready()
	return f.bus.RunOnce(ctx, "fetcher", env.Instance(), f.all)
}

type fetcher struct {
	bus      *bus.Conn
	settings *settings.Store
	http     *outbound.Client
	log      *slog.Logger
	now      func() time.Time
	data     string
	opener   *settings.Opener
	success  *prometheus.GaugeVec
}

// all keeps one runner per source that is switched on, and replaces it when the
// source's settings change.
func (f *fetcher) all(ctx context.Context) error {
	type running struct {
		of   settings.Source
		stop context.CancelFunc
		done chan struct{}
	}
	runners := map[string]running{}
	end := func(id string) {
		r := runners[id]
		r.stop()
		<-r.done
		delete(runners, id)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for ctx.Err() == nil {
		changed := f.settings.Changed()
		want := settings.Sources.All(f.settings)
		for id, r := range runners {
			if s, ok := want[id]; !ok || !reflect.DeepEqual(s, r.of) {
				end(id)
			}
		}
		for id, s := range want {
			if _, ok := runners[id]; ok || s.Off {
				continue
			}
			runCtx, stop := context.WithCancel(ctx)
			r := running{s, stop, make(chan struct{})}
			runners[id] = r
			wg.Go(func() {
				defer close(r.done)
				f.keep(runCtx, id, s)
			})
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
	for id := range runners {
		end(id)
	}
	return nil
}

// keep fetches from one source until ctx ends.
func (f *fetcher) keep(ctx context.Context, id string, s settings.Source) {
	r := &runner{fetcher: f, id: id, of: s, log: f.log.With("source", id)}
	if _, err := bus.Cursors.Get(ctx, f.bus, source.ProgressKey(id), &r.progress); err != nil && ctx.Err() != nil {
		return
	}
	r.progress.Began = f.now()
	kind, ok := source.Named(s.Kind)
	if !ok {
		r.fail(ctx, fmt.Errorf("there is no connector %q in this version", s.Kind), 0)
		return
	}
	cfg, err := f.opener.Open(s.Config)
	if err != nil {
		r.fail(ctx, err, 0)
		return
	}
	conn, err := kind.Open(cfg, source.Deps{
		HTTP: f.http, Log: r.log, Now: f.now, Data: f.data, Keep: f.opener.Keeper(f.settings, id),
		Terms: func() source.Terms {
			words, tags := f.settings.Words()
			return source.Terms{Words: words, Hashtags: tags}
		},
	})
	if err != nil {
		r.fail(ctx, err, 0)
		return
	}
	r.conn = conn
	for ctx.Err() == nil {
		wait := r.fetch(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// runner runs one source.
type runner struct {
	*fetcher
	id       string
	of       settings.Source
	conn     source.Source
	log      *slog.Logger
	progress source.Progress
	failures int
}

// fetch runs one fetch to its end and returns the pause before the next.
func (r *runner) fetch(ctx context.Context) time.Duration {
	items := make(chan source.Item, 512)
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var fetchErr error
	go func() {
		defer close(items)
		for item, err := range r.conn.Fetch(inner, r.progress.Cursor) {
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
	r.failures = 0
	wait := max(r.conn.Poll(), time.Second)
	r.succeed()
	r.progress.Next = r.now().Add(wait)
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

// handOver publishes what comes, and keeps the cursor after what is stored. It
// returns when items is closed.
func (r *runner) handOver(ctx context.Context, items <-chan source.Item) error {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	dirty := false
	for {
		var batch []source.Item
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
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
		dirty = true
	}
}

// publish finds the brands in a batch, stores its mentions and moves the
// cursor. While the bus is full it waits: the source's cursor stays where it is.
func (r *runner) publish(ctx context.Context, batch []source.Item) error {
	now := r.now()
	var (
		mentions []*mention.Mention
		newest   time.Time
		posts    int
	)
	for _, item := range batch {
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
		found, err := r.mentions(ctx, &p, item.Brands)
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
	r.progress.Cursor = batch[len(batch)-1].Cursor
	r.progress.Took(posts, len(mentions), newest, now)
	return nil
}

// completeTime bounds what a connector may take to complete one post.
const completeTime = 5 * time.Second

func (r *runner) mentions(ctx context.Context, p *mention.Post, named []string) ([]*mention.Mention, error) {
	if r.of.Brand != "" {
		named = []string{r.of.Brand}
	}
	found := r.settings.Mentions(p, named...)
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

func (r *runner) succeed() {
	now := r.now()
	r.progress.Success, r.progress.Error, r.progress.Since, r.progress.Next = now, "", time.Time{}, time.Time{}
	r.fetcher.success.WithLabelValues(r.id).Set(float64(now.Unix()))
	if q, ok := r.conn.(source.Quoter); ok {
		if quota, known := q.Quota(); known {
			r.progress.Quota, r.progress.Left, r.progress.Reset = quota.Limit, quota.Remaining, quota.Reset
		}
	}
}

func (r *runner) fail(ctx context.Context, err error, wait time.Duration) time.Duration {
	now := r.now()
	if r.progress.Error == "" {
		r.progress.Since = now
		r.log.Warn("source failed", "error", err, "next", wait.String())
	}
	r.progress.Error = err.Error()
	r.progress.Next = time.Time{}
	if wait > 0 {
		r.progress.Next = now.Add(wait)
	}
	r.hush()
	r.save(ctx)
	return wait
}

// hush notes when the source has just fallen silent; the pager tells people.
func (r *runner) hush() bool {
	if !r.progress.Hush(r.now()) {
		return false
	}
	r.log.Warn("source is silent against its habit", "last", r.progress.Taken, "usual_gap", r.progress.Gap.String())
	return true
}

// save keeps cursor and state in one write, and tells the desk.
func (r *runner) save(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := bus.Cursors.Put(ctx, r.bus, source.ProgressKey(r.id), r.progress); err != nil {
		r.log.Warn("cursor not kept; the last posts will come again", "error", err)
		return
	}
	raw, _ := json.Marshal(r.progress)
	_ = r.bus.Tell("source", struct {
		ID       string          `json:"id"`
		Progress json.RawMessage `json:"progress"`
	}{r.id, raw})
}
