package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Entry is one stored message as a follower reads it. Err is set, and Value
// empty, when it can't be decoded.
type Entry[T any] struct {
	Seq uint64
	// Key is the subject's last part; for a journal the thing it happened to.
	Key   string
	Value T
	Err   error
}

// Follow reads the topic's messages in order, from sequence from on, without
// acknowledging anything: the caller keeps its own position. It hands over what
// is there, at most batch messages at once, and waits for more until ctx ends.
// It returns ctx's end as nil and the handler's error as it is.
func (t Topic[T]) Follow(ctx context.Context, c *Conn, from uint64, batch int, handle func(context.Context, []Entry[T]) error) error {
	cons, err := t.ordered(ctx, c, from)
	if err == nil {
		err = t.read(ctx, cons, 0, batch, handle)
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Replay is Follow that ends at the stream's present end.
func (t Topic[T]) Replay(ctx context.Context, c *Conn, from uint64, batch int, handle func(context.Context, []Entry[T]) error) error {
	last, err := t.Last(ctx, c)
	if err != nil || last < from {
		return err
	}
	return t.replay(ctx, c, from, last, batch, handle)
}

// Tail hands over everything there is, returns, and goes on handing over what
// comes until ctx ends, after whatever interrupts it too. Handle runs in one
// goroutine at a time; an error of it is one of those interruptions.
func (t Topic[T]) Tail(ctx context.Context, c *Conn, batch int, handle func(context.Context, []Entry[T]) error) error {
	var last uint64
	keep := func(ctx context.Context, entries []Entry[T]) error {
		if err := handle(ctx, entries); err != nil {
			return err
		}
		last = entries[len(entries)-1].Seq
		return nil
	}
	if err := t.Replay(ctx, c, 1, batch, keep); err != nil {
		return err
	}
	go func() {
		for ctx.Err() == nil {
			if err := t.Follow(ctx, c, last+1, batch, keep); err != nil {
				c.log.Warn("a stream is not followed; trying again", "stream", t.stream, "error", err)
				select {
				case <-ctx.Done():
				case <-time.After(time.Second):
				}
			}
		}
	}()
	return nil
}

// Since is Replay of what was stored at or after start.
func (t Topic[T]) Since(ctx context.Context, c *Conn, start time.Time, batch int, handle func(context.Context, []Entry[T]) error) error {
	cons, err := c.js.OrderedConsumer(ctx, t.stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &start,
	})
	if err != nil {
		return fmt.Errorf("bus: replay %s: %w", t.stream, err)
	}
	info, err := cons.Info(ctx)
	if err != nil || info.NumPending == 0 {
		return err
	}
	last, err := t.Last(ctx, c)
	if err != nil {
		return err
	}
	return t.read(ctx, cons, last, batch, handle)
}

func (t Topic[T]) replay(ctx context.Context, c *Conn, from, last uint64, batch int, handle func(context.Context, []Entry[T]) error) error {
	cons, err := t.ordered(ctx, c, from)
	if err != nil {
		return err
	}
	if info, err := cons.Info(ctx); err != nil || info.NumPending == 0 {
		return err
	}
	return t.read(ctx, cons, last, batch, handle)
}

func (t Topic[T]) ordered(ctx context.Context, c *Conn, from uint64) (jetstream.Consumer, error) {
	cons, err := c.js.OrderedConsumer(ctx, t.stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(from, 1),
	})
	if err != nil {
		return nil, fmt.Errorf("bus: follow %s: %w", t.stream, err)
	}
	return cons, nil
}

// gather bounds how long a batch waits for more messages.
const gather = 50 * time.Millisecond

// read hands on messages until sequence last (0: for ever). What is there is
// handed on at once, but in a steady stream no sooner than twice as long after
// the batch before as that one took: or what is dear about a batch would be
// done for every few messages.
func (t Topic[T]) read(ctx context.Context, cons jetstream.Consumer, last uint64, batch int, handle func(context.Context, []Entry[T]) error) error {
	it, err := cons.Messages(jetstream.PullMaxMessages(max(2*batch, 256)))
	if err != nil {
		return fmt.Errorf("bus: follow: %w", err)
	}
	stop := context.AfterFunc(ctx, it.Stop)
	defer stop()
	defer it.Stop()
	var (
		entries []Entry[T]
		rest    time.Time // until when a batch may wait for more
	)
	hand := func() error {
		began := time.Now()
		err := handle(ctx, entries)
		entries, rest = nil, time.Now().Add(min(2*time.Since(began), gather))
		return err
	}
	for pending := false; ; {
		var wait time.Duration
		if len(entries) > 0 && !pending {
			wait = max(time.Until(rest), 1)
		}
		raw, err := next(it, wait)
		if errors.Is(err, nats.ErrTimeout) {
			if err := hand(); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("bus: follow: %w", err)
		}
		md := meta(raw)
		e := Entry[T]{Seq: md.Sequence.Stream, Key: strings.TrimPrefix(raw.Subject(), t.prefix)}
		if err := t.codec.Decode(raw.Data(), &e.Value); err != nil {
			e.Err = Permanent(fmt.Errorf(saidUnreadable+": %w", err))
		} else if t.stored != nil {
			t.stored(&e.Value, e.Seq)
		}
		if entries == nil { // as many as are there: they may be large
			entries = make([]Entry[T], 0, min(uint64(batch), md.NumPending+1))
		}
		entries = append(entries, e)
		pending = md.NumPending > 0
		end := last > 0 && (e.Seq >= last || !pending)
		if !end && len(entries) < batch && (pending || time.Now().Before(rest)) {
			continue
		}
		if err := hand(); err != nil {
			return err
		}
		if end {
			return nil
		}
	}
}
