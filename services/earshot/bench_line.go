package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/services/classifier"
)

// How fast the two halves of the line should be, as shares of U, and how soon
// a mention should be seen.
const (
	aimTagged  = 0.10
	aimVisible = 0.03
	aimLatency = 500 * time.Millisecond
)

// against measures how fast do gets through mentions, as a share of U. Both are
// taken in turns, so that what else the machine does meets both alike.
func (b *bench) against(ctx context.Context, what string, aim float64, c *bus.Conn, mentions []*mention.Mention, do func([]*mention.Mention) error) error {
	const rounds = 5
	size := 0
	for _, m := range mentions {
		n, err := bus.Mentions.Size(m)
		if err != nil {
			return err
		}
		size += n
	}
	size /= len(mentions)
	n := 20_000
	if _, err := c.Yardstick(ctx, n, size); err != nil { // to warm up
		return err
	}
	var plain, took time.Duration
	var plainCPU, tookCPU float64
	for part := range slices.Chunk(mentions, (len(mentions)+rounds-1)/rounds) {
		start := b.processor()
		d, err := c.Yardstick(ctx, n, size)
		if err != nil {
			return err
		}
		plain += d
		middle, began := b.processor(), time.Now()
		if err := do(part); err != nil {
			return err
		}
		took += time.Since(began)
		plainCPU, tookCPU = plainCPU+middle-start, tookCPU+b.processor()-middle
	}
	each := func(n float64, took time.Duration, cpu float64) (perSecond float64, figure string) {
		return n / took.Seconds(), fmt.Sprintf("%.0f /s  %.0f µs cpu", n/took.Seconds(), cpu/n*1e6)
	}
	u, figure := each(rounds*float64(n), plain, plainCPU)
	b.row("U: asynchronous publish, no message ids", figure, true, "")
	rate, figure := each(float64(len(mentions)), took, tookCPU)
	b.row(what, fmt.Sprintf("%s  %.3f U", figure, rate/u), rate/u >= aim, fmt.Sprintf("≥ %.2f U", aim))
	return nil
}

// hand publishes mentions as fast as they are taken, two batches at a time.
func hand(ctx context.Context, c *bus.Conn, mentions []*mention.Mention) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2)
	for batch := range slices.Chunk(mentions, 500) {
		g.Go(func() error { return bus.Mentions.Publish(ctx, c, batch...) })
	}
	return g.Wait()
}

// reach waits until TAGGED holds sequence seq.
func reach(ctx context.Context, c *bus.Conn, seq uint64) error {
	for {
		last, err := bus.Tagged.Last(ctx, c)
		if err != nil || last >= seq {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// benchTagged is the first half of the line by itself, as a process that only
// classifies runs it.
func (b *bench) benchTagged(ctx context.Context) (err error) {
	a, err := b.open(ctx, "tagged", classifier.Service)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Stop()) }()
	c := a.Env("bench").Bus()
	through := func(mentions []*mention.Mention) error {
		last, err := bus.Tagged.Last(ctx, c)
		if err != nil {
			return err
		}
		return errors.Join(hand(ctx, c, mentions), reach(ctx, c, last+uint64(len(mentions))))
	}
	// Some first, so that the classifier is up and warm.
	if err := through(b.corpus.take(1000)); err != nil {
		return err
	}
	return b.against(ctx, "intake to tagged", aimTagged, c, b.corpus.take(b.o.mentions/2), through)
}

// benchVisible is the whole line, with every service running.
func (b *bench) benchVisible(ctx context.Context) error {
	_, err := b.fill(ctx, true)
	return err
}

// fill returns the instance with all mentions, and measures how fast they get
// into it if told to.
func (b *bench) fill(ctx context.Context, measure bool) (*app.App, error) {
	if b.app != nil {
		return b.app, nil
	}
	a, err := b.open(ctx, "full", services...)
	if err != nil {
		return nil, err
	}
	b.app = a
	env := a.Env("bench")
	index, err := env.Index(ctx)
	if err != nil {
		return nil, err
	}
	if b.session, err = env.Gate().Begin(ctx, benchStaff.ID, identity.Entry{}); err != nil {
		return nil, err
	}
	into := func(mentions []*mention.Mention) error {
		last, err := bus.Tagged.Last(ctx, env.Bus())
		if err != nil {
			return err
		}
		if err := hand(ctx, env.Bus(), mentions); err != nil {
			return err
		}
		return index.Wait(ctx, bus.Tagged.Stream(), last+uint64(len(mentions)))
	}
	if err := into(b.corpus.take(1000)); err != nil {
		return nil, err
	}
	mentions := b.corpus.take(b.o.mentions - 1000)
	if !measure {
		return a, into(mentions)
	}
	return a, b.against(ctx, "intake to visible, all services", aimVisible, env.Bus(), mentions, into)
}

// benchLatency lets mentions come in at a steady pace and takes for each the
// time until the index shows it.
func (b *bench) benchLatency(ctx context.Context) error {
	const perSecond = 200
	a, err := b.fill(ctx, false)
	if err != nil {
		return err
	}
	env := a.Env("bench")
	index, err := env.Index(ctx)
	if err != nil {
		return err
	}
	seconds := 20
	if b.o.quick {
		seconds = 5
	}
	n := perSecond * seconds
	last, err := bus.Tagged.Last(ctx, env.Bus())
	if err != nil {
		return err
	}
	var (
		mu    sync.Mutex
		given = make(map[mention.ID]time.Time, n)
		took  []time.Duration
		done  = errors.New("all seen")
	)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		err := bus.Tagged.Follow(ctx, env.Bus(), last+1, 1, func(ctx context.Context, batch []bus.Entry[mention.Tagged]) error {
			if err := index.Wait(ctx, bus.Tagged.Stream(), batch[0].Seq); err != nil {
				return err
			}
			mu.Lock()
			took = append(took, time.Since(given[batch[0].Value.Mention.ID]))
			mu.Unlock()
			if len(took) == n {
				return done
			}
			return nil
		})
		if errors.Is(err, done) {
			return nil
		}
		return err
	})
	g.Go(func() error {
		mentions := b.corpus.take(n)
		tick := time.NewTicker(time.Second / perSecond)
		defer tick.Stop()
		for _, m := range mentions {
			<-tick.C
			mu.Lock()
			given[m.ID] = time.Now()
			mu.Unlock()
			if err := bus.Mentions.Publish(ctx, env.Bus(), m); err != nil {
				return err
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	b.spread(fmt.Sprintf("intake to visible at %d /s", perSecond), took, aimLatency)
	return nil
}
