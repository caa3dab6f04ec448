// Package classifier is the service that gives mentions their verdicts: it
// takes them from MENTIONS and hands them, tagged, to TAGGED. Where that is
// configured it asks for a second opinion on what it is not sure of, and tags it
// again.
package classifier

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/classify"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
)

// Service is the classifier as a process runs it. Any number may run.
var Service = app.Service{Name: "classifier", Run: run}

// Timeout is short because a batch takes milliseconds: after a crash its
// mentions must not wait long for another process.
const timeout = 5 * time.Second

func run(ctx context.Context, env *app.Env) error {
	judge, err := Open(env.Config().Classifier)
	if err != nil {
		return err
	}
	c := &classifier{judge: judge, bus: env.Bus(), log: env.Log, now: env.Now}
	judged := func(_ context.Context, m mention.Mention) (mention.Verdict, error) { return c.verdict(&m), nil }
	if err := bus.Answer(ctx, c.bus, "classifier", "judge", judged); err != nil {
		return err
	}
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
	if cfg := env.Config().Classifier.Opinion; cfg.URL != "" {
		o, err := newOpinions(judge, env, cfg)
		if err != nil {
			return err
		}
		// What is tagged from here on is not missed.
		if _, err := bus.Tagged.Subscribe(ctx, c.bus, opinionConsumer); err != nil {
			c.log.Error("no opinions are asked for yet", "error", err)
		}
		g.Go(func() error { o.run(ctx); return nil })
	} else {
		g.Go(func() error { forget(ctx, c.bus, c.log); return nil })
	}
	env.Ready()
	return g.Wait()
}

// Open returns the classifier that cfg describes.
func Open(cfg config.Classifier) (*classify.Classifier, error) {
	var o classify.Options
	for _, name := range cfg.Rules {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("classifier.rules: %w", err)
		}
		o.Rules = append(o.Rules, classify.RuleFile{Name: name, Data: data})
	}
	if cfg.Model != "" {
		var err error
		if o.Model, err = os.ReadFile(cfg.Model); err != nil {
			return nil, fmt.Errorf("classifier.model: %w", err)
		}
	}
	var err error
	if o.Tell, err = thresholds("classifier.tell", cfg.Tell); err != nil {
		return nil, err
	}
	if o.Page, err = thresholds("classifier.page", cfg.Page); err != nil {
		return nil, err
	}
	c, err := classify.New(o)
	if err != nil {
		return nil, fmt.Errorf("classifier: %w", err)
	}
	return c, nil
}

// thresholds reads entries of the form category=probability.
func thresholds(field string, entries []string) (map[mention.Category]float64, error) {
	all := map[mention.Category]float64{}
	for _, e := range entries {
		name, value, _ := strings.Cut(e, "=")
		p, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: want a risk and a probability, as churn=0.7", field, e)
		}
		all[mention.Category(name)] = p
	}
	return all, nil
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
