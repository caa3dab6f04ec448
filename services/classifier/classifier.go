// Package classifier is the service that gives mentions their verdicts: it
// takes them from MENTIONS and hands them, tagged, to TAGGED.
package classifier

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/classify"
	"github.com/earshot/earshot/pkg/mention"
)

// Service is the classifier as a process runs it. Any number may run.
var Service = app.Service{Name: "classifier", Run: run}

// Timeout is short because a batch takes milliseconds: after a crash its
// mentions must not wait long for another process.
const timeout = 5 * time.Second

func run(ctx context.Context, env *app.Env) error {
	judge, err := classify.New(classify.Options{})
	if err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	c := &classifier{judge: judge, bus: env.Bus(), log: env.Log, now: env.Now}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return bus.Mentions.Consume(ctx, c.bus, bus.Consumer{
			Durable: "classifier-live-v1", Filter: bus.LiveMentions, Workers: 2, Timeout: timeout,
		}, c.handle)
	})
	g.Go(func() error {
		return bus.Mentions.Consume(ctx, c.bus, bus.Consumer{
			Durable: "classifier-bulk-v1", Filter: bus.BulkMentions, Timeout: timeout,
		}, c.handle)
	})
	env.Ready()
	return g.Wait()
}

type classifier struct {
	judge *classify.Classifier
	bus   *bus.Conn
	log   *slog.Logger
	now   func() time.Time
}

// handle tags a batch. The mentions are acknowledged after all their verdicts
// are stored; what is stored twice has the same message id.
func (c *classifier) handle(ctx context.Context, batch []*bus.Msg[mention.Mention]) error {
	tagged := make([]*mention.Tagged, len(batch))
	for i, m := range batch {
		tagged[i] = &mention.Tagged{Mention: m.Value, Verdict: c.verdict(&m.Value)}
	}
	if err := bus.Tagged.Publish(ctx, c.bus, tagged...); err != nil {
		return err
	}
	now := c.now()
	for _, m := range batch {
		c.bus.Age("tagged", m.Seen, now)
	}
	return nil
}

// verdict never fails: a mention that the rules can't read is for a person.
func (c *classifier) verdict(m *mention.Mention) (v mention.Verdict) {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("a mention could not be read; a person must", "mention_id", m.ID, "panic", p, "stack", string(debug.Stack()))
			v = mention.Verdict{
				Model: c.judge.Version(), Lang: "other", Sentiment: mention.Neutral, Intent: mention.OtherIntent,
				Disposition: mention.Answer, Story: string(m.ID), Unread: true,
			}
		}
	}()
	if m.Deleted {
		return mention.Verdict{
			Model: c.judge.Version(), Lang: "other", Sentiment: mention.Neutral, Intent: mention.OtherIntent,
			Disposition: mention.NotForUs, Story: string(m.ID),
		}
	}
	return c.judge.Verdict(m)
}
