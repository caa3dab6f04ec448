package fetcher

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/source"
)

// canaries sends a mention of no brand the whole way again and again, and notes
// which come through. The indexer tells, and takes them away.
type canaries struct {
	*fetcher

	mu   sync.Mutex
	sent map[mention.ID]time.Time // on their way, or lost within a day
	c    source.Canary
}

// watch works until ctx ends.
func (f *fetcher) watch(ctx context.Context) error {
	y := &canaries{fetcher: f, sent: map[mention.ID]time.Time{}}
	if _, err := bus.Cursors.Get(ctx, f.bus, source.CanaryKey, &y.c); err != nil && !errors.Is(err, bus.ErrNotFound) {
		f.log.Warn("how canaries fared is not known", "error", err)
	}
	y.c.Every, y.c.Late, y.c.Since = f.canary.Every, f.canary.Late, f.now()
	y.save(ctx)
	if f.canary.Every <= 0 {
		<-ctx.Done()
		return nil
	}
	if err := bus.Hear(ctx, f.bus, "canary", func(_ string, ids []mention.ID) { y.arrived(ctx, ids) }); err != nil {
		return err
	}
	tick := time.NewTicker(f.canary.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			y.send(ctx)
		}
	}
}

func (y *canaries) send(ctx context.Context) {
	now := y.now()
	m := mention.Of(mention.CanaryBrand, mention.Post{
		Platform: "canary", NativeID: strings.ToLower(rand.Text()), Source: "canary", Kind: mention.KindPost, Intake: mention.Live,
		Text: "canary", PublishedAt: now, SeenAt: now,
	})
	y.mu.Lock()
	for id, at := range y.sent {
		if now.Sub(at) > 24*time.Hour {
			delete(y.sent, id)
		}
	}
	y.sent[m.ID] = now
	y.c.Sends(now)
	y.mu.Unlock()
	if err := bus.Mentions.Publish(ctx, y.bus, &m); err != nil && ctx.Err() == nil {
		y.log.Warn("a canary was not sent", "error", err)
	}
	y.save(ctx)
}

func (y *canaries) arrived(ctx context.Context, ids []mention.ID) {
	now := y.now()
	y.mu.Lock()
	for _, id := range ids {
		at, ours := y.sent[id]
		if !ours {
			continue
		}
		delete(y.sent, id)
		y.c.Arrives(at, now)
		y.met.canary.Observe(now.Sub(at).Seconds())
		y.met.canaryBack.Set(float64(now.Unix()))
	}
	y.mu.Unlock()
	y.save(ctx)
}

func (y *canaries) save(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	y.mu.Lock()
	defer y.mu.Unlock()
	if err := bus.Cursors.Put(ctx, y.bus, source.CanaryKey, y.c); err != nil {
		y.log.Warn("it is not written down how canaries fare", "error", err)
	}
}
