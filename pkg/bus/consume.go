package bus

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

// Consumer describes a durable reader of a topic. All processes that use the
// same Durable share the work.
type Consumer struct {
	// Durable is the reader's name; it ends in -vN, and N rises when the
	// reader's meaning changes.
	Durable string
	// Filter narrows the subjects; empty for all.
	Filter string
	// New starts with messages published after the durable was created,
	// instead of with the oldest there is.
	New bool
	// Batch is the most messages handed over at once; default 256.
	Batch int
	// Workers handle batches side by side; default 1, which keeps the order.
	Workers int
	// Attempts before a message is given up and goes to DEAD; default 8. A
	// wait asked for by After does not count.
	Attempts int
	// Timeout is how soon others get a batch when the process that has it dies;
	// default 30 s. A batch that takes longer is kept.
	Timeout time.Duration
}

// Msg is one delivery.
type Msg[T any] struct {
	Value T
	// Seq is the message's sequence in its stream.
	Seq uint64
	// Key is, in a journal, the thing the event happened to.
	Key string
	// Attempt counts deliveries, from 1. Those that ended in a wait asked for
	// by After do not count, as far as this process knows of them.
	Attempt uint64
	// Seen is the first intake of what the message is about.
	Seen time.Time
	// Err is the outcome of this message, set by the handler.
	Err error

	raw  jetstream.Msg
	done bool // handled, without an error
}

// Each makes a batch handler out of one for single messages.
func Each[T any](h func(context.Context, *Msg[T]) error) func(context.Context, []*Msg[T]) error {
	return func(ctx context.Context, batch []*Msg[T]) error {
		for _, m := range batch {
			m.Err = h(ctx, m)
		}
		return nil
	}
}

// Subscribe creates the durable reader if there is none, so that messages
// published from now on are kept for it, and updates its settings.
func (t Topic[T]) Subscribe(ctx context.Context, c *Conn, cfg Consumer) (jetstream.Consumer, error) {
	cfg = cfg.complete()
	policy := jetstream.DeliverAllPolicy
	if cfg.New {
		policy = jetstream.DeliverNewPolicy
	}
	cons, err := c.js.CreateOrUpdateConsumer(ctx, t.stream, jetstream.ConsumerConfig{
		Durable: cfg.Durable, FilterSubject: cfg.Filter, DeliverPolicy: policy,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: cfg.Timeout,
		// The server never gives up: this package counts, so that what is
		// given up is in DEAD and not merely skipped.
		MaxDeliver: -1, MaxAckPending: max(8192, 4*cfg.Batch*cfg.Workers),
	})
	if err != nil {
		return nil, fmt.Errorf("bus: consumer %s: %w", cfg.Durable, err)
	}
	return cons, nil
}

func (cfg Consumer) complete() Consumer {
	if cfg.Batch == 0 {
		cfg.Batch = 256
	}
	cfg.Workers = max(cfg.Workers, 1)
	if cfg.Attempts == 0 {
		cfg.Attempts = 8
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	return cfg
}

// Consume hands the topic's messages to handle in batches until ctx ends, and
// then returns nil. The handler sets each message's Err; an error it returns
// holds for every message of the batch that has none. A panic in it is an
// error that no retry mends.
func (t Topic[T]) Consume(ctx context.Context, c *Conn, cfg Consumer, handle func(context.Context, []*Msg[T]) error) error {
	cfg = cfg.complete()
	r := &reader[T]{
		topic: t, c: c, cfg: cfg, handle: handle, waits: map[uint64]uint64{},
		done: c.met.messages.WithLabelValues(cfg.Durable, t.stream, "done"),
	}
	if err := AnswerRetries(ctx, c, cfg.Durable, r.again); err != nil {
		return err
	}
	for ctx.Err() == nil {
		cons, err := t.Subscribe(ctx, c, cfg)
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			return err
		}
		var wg sync.WaitGroup
		for range cfg.Workers {
			wg.Go(func() { r.run(ctx, cons) })
		}
		wg.Wait()
	}
	return nil
}

type reader[T any] struct {
	topic  Topic[T]
	c      *Conn
	cfg    Consumer
	handle func(context.Context, []*Msg[T]) error
	done   prometheus.Counter // of messages

	mu    sync.Mutex
	waits map[uint64]uint64 // by sequence, how often After was asked for
}

// run reads and handles until ctx ends or the consumer is gone.
func (r *reader[T]) run(ctx context.Context, cons jetstream.Consumer) {
	it, err := cons.Messages(jetstream.PullMaxMessages(2 * r.cfg.Batch))
	if err != nil {
		r.pause(ctx, err)
		return
	}
	// What was prefetched when ctx ends still comes out of the iterator, and
	// settle gives it back at once.
	stop := context.AfterFunc(ctx, it.Drain)
	defer stop()
	defer it.Stop()
	batch := make([]*Msg[T], 0, r.cfg.Batch)
	for {
		if len(batch) == 0 {
			r.c.untilWritable(ctx) // or deliveries would count up for nothing
		}
		var wait time.Duration
		if len(batch) > 0 {
			wait = collect
		}
		raw, err := next(it, wait)
		switch {
		case err == nil:
			md := meta(raw)
			batch = append(batch, r.open(raw, md))
			// What is there is handled at once: a batch is only as large as
			// the backlog.
			if len(batch) < r.cfg.Batch && md.NumPending > 0 {
				continue
			}
		case errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		default:
			r.settle(ctx, batch)
			if !errors.Is(err, jetstream.ErrMsgIteratorClosed) {
				r.pause(ctx, err)
			}
			return
		}
		r.settle(ctx, batch)
		batch = batch[:0]
	}
}

const (
	// collect bounds the wait for the rest of a batch that has begun.
	collect = 20 * time.Millisecond
	// askAgain is how soon the client is called again while nothing comes.
	askAgain = 250 * time.Millisecond
)

// next returns the next message, or after wait nats.ErrTimeout; with wait 0 it
// waits for ever. The client asks the server for more only when it is called,
// and not while it takes its last request for not quite out. When that request
// is answered in full before the client has noted that it is out, which happens
// on a busy machine, nothing is asked of the server any more until missing
// heartbeats tell, 10 or 30 s later; calling once more mends it.
func next(it jetstream.MessagesContext, wait time.Duration) (jetstream.Msg, error) {
	if wait > 0 {
		return it.Next(jetstream.NextMaxWait(wait))
	}
	msg, err := it.Next(jetstream.NextMaxWait(askAgain))
	if errors.Is(err, nats.ErrTimeout) {
		msg, err = it.Next() // without end, or heartbeats would not be missed
	}
	return msg, err
}

// again handles a message that was given up, once.
func (r *reader[T]) again(ctx context.Context, seq uint64) error {
	e, err := r.topic.Get(ctx, r.c, seq)
	if errors.Is(err, ErrNotFound) {
		return nil // erased since
	}
	if err != nil {
		return err
	}
	m := &Msg[T]{Value: e.Value, Seq: seq, Key: e.Key, Attempt: 1}
	if err := r.call(ctx, []*Msg[T]{m}); err != nil {
		return err
	}
	return m.Err
}

func (r *reader[T]) pause(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	r.c.log.Warn("bus read failed", "durable", r.cfg.Durable, "error", err)
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
}

func meta(raw jetstream.Msg) *jetstream.MsgMetadata {
	if m, err := raw.Metadata(); err == nil {
		return m
	}
	return &jetstream.MsgMetadata{NumDelivered: 1}
}

// open decodes a delivery. One that can't be decoded, or that took the process
// down too often, carries its error already.
func (r *reader[T]) open(raw jetstream.Msg, md *jetstream.MsgMetadata) *Msg[T] {
	m := &Msg[T]{raw: raw, Seq: md.Sequence.Stream, Attempt: md.NumDelivered,
		Key: strings.TrimPrefix(raw.Subject(), r.topic.prefix)}
	if md.NumDelivered > 1 {
		r.mu.Lock()
		m.Attempt -= min(r.waits[m.Seq], m.Attempt-1)
		r.mu.Unlock()
	}
	if ms, err := strconv.ParseInt(raw.Headers().Get(headerSeen), 10, 64); err == nil {
		m.Seen = time.UnixMilli(ms).UTC()
	}
	if err := r.topic.codec.Decode(raw.Data(), &m.Value); err != nil {
		m.Err = Permanent(fmt.Errorf(saidUnreadable+": %w", err))
	} else if m.Attempt > uint64(32*r.cfg.Attempts) {
		// Far beyond what waits that a process before asked for bring it to.
		m.Err = Permanent(fmt.Errorf(saidUnended+" %d deliveries without an outcome", m.Attempt-1))
	} else if r.topic.stored != nil {
		r.topic.stored(&m.Value, m.Seq)
	}
	return m
}

func (r *reader[T]) settle(ctx context.Context, batch []*Msg[T]) {
	live := make([]*Msg[T], 0, len(batch))
	for _, m := range batch {
		if m.Err == nil {
			live = append(live, m)
		}
	}
	if len(live) > 0 && ctx.Err() == nil {
		stop := r.keep(live)
		err := r.call(ctx, live)
		stop()
		for _, m := range live {
			if m.Err == nil {
				m.Err = err
			}
			m.done = m.Err == nil
		}
	}
	for _, m := range batch {
		r.outcome(ctx, m)
	}
}

// keep tells the server that a batch is in work, for as long as it is.
func (r *reader[T]) keep(batch []*Msg[T]) (stop func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(r.cfg.Timeout / 2)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				for _, m := range batch {
					_ = m.raw.InProgress() // if it is lost, the batch is handled twice
				}
			}
		}
	}()
	return func() { close(done) }
}

func (r *reader[T]) call(ctx context.Context, batch []*Msg[T]) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.c.log.Error("handler panicked", "durable", r.cfg.Durable, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf(saidCrashed+": %v", p)
			if len(batch) == 1 {
				err = Permanent(err)
			}
		}
	}()
	return r.handle(ctx, batch)
}

// outcome is the only place where a message is acknowledged.
func (r *reader[T]) outcome(ctx context.Context, m *Msg[T]) {
	if m.done {
		r.settled(m.Seq)
		r.done.Inc()
		if err := m.raw.Ack(); err != nil {
			r.c.log.Warn("ack failed; the message will come again", "durable", r.cfg.Durable, "error", err)
		}
		return
	}
	if ctx.Err() != nil {
		_ = m.raw.NakWithDelay(0) // stopping: another process takes it at once
		return
	}
	count := func(o string) { r.c.met.messages.WithLabelValues(r.cfg.Durable, r.topic.stream, o).Inc() }
	wait, asked := RetryAfter(m.Err)
	if IsPermanent(m.Err) || !asked && m.Attempt >= uint64(r.cfg.Attempts) {
		if err := r.c.bury(ctx, r.cfg.Durable, r.topic.stream, m); err == nil {
			count("dead")
			r.settled(m.Seq)
			_ = m.raw.TermWithReason("dead letter")
			return
		}
		// DEAD itself can't be reached: keep the message where it is.
		wait = backoff(m.Attempt)
	} else if !asked {
		wait = backoff(m.Attempt)
	}
	if asked {
		r.waited(m.Seq)
	}
	count("again")
	r.c.log.Warn("message will be tried again", "durable", r.cfg.Durable, "seq", m.Seq, "attempt", m.Attempt, "in", wait, "error", m.Err)
	_ = m.raw.NakWithDelay(wait)
}

// maxWaits bounds of how many messages waits are counted; of more than the
// server has under way at once there is none.
const maxWaits = 1 << 14

// waited notes that a message is to wait because its handler asked for it.
func (r *reader[T]) waited(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waits) >= maxWaits {
		clear(r.waits) // others have handled these
	}
	r.waits[seq]++
}

// settled forgets a message that is done with.
func (r *reader[T]) settled(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waits, seq)
}
