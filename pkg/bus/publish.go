package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers of Earshot's messages.
const (
	headerSeen = "Earshot-Seen" // first intake, UTC milliseconds
)

// Publish stores the messages in order and returns once all of them are stored,
// or with the error of the first that is not. A message that was stored before,
// within ten minutes, is not stored again and is no error. Fetchers keep their
// cursor when they see [ErrFull].
func (t Topic[T]) Publish(ctx context.Context, c *Conn, msgs ...*T) error {
	_, err := t.publish(ctx, c, msgs)
	return err
}

// PublishNew is like Publish and tells of each message whether it was new to
// the stream's window.
func (t Topic[T]) PublishNew(ctx context.Context, c *Conn, msgs ...*T) ([]bool, error) {
	acks, err := t.publish(ctx, c, msgs)
	if err != nil {
		return nil, err
	}
	fresh := make([]bool, len(acks))
	for i, a := range acks {
		fresh[i] = !a.Duplicate
	}
	return fresh, nil
}

// unwritable is the error of an embedded server that answers nothing while its
// disk is full.
func unwritable() error {
	return After(fmt.Errorf("%w (the data folder can't be written)", ErrFull), 15*time.Second)
}

// untilWritable waits while the embedded server can't write.
func (c *Conn) untilWritable(ctx context.Context) {
	for c.full != nil && c.full() && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (t Topic[T]) publish(ctx context.Context, c *Conn, msgs []*T) ([]*jetstream.PubAck, error) {
	if c.full != nil && c.full() {
		return nil, fmt.Errorf("bus: publish to %s: %w", t.stream, unwritable())
	}
	futures := make([]jetstream.PubAckFuture, 0, len(msgs))
	for _, m := range msgs {
		msg, err := t.message(m)
		if err != nil {
			return nil, err
		}
		f, err := c.js.PublishMsgAsync(msg)
		for errors.Is(err, jetstream.ErrTooManyStalledMsgs) && ctx.Err() == nil {
			f, err = c.js.PublishMsgAsync(msg)
		}
		if err != nil {
			return nil, fmt.Errorf("bus: publish to %s: %w", t.stream, translate(err))
		}
		futures = append(futures, f)
	}
	acks := make([]*jetstream.PubAck, len(futures))
	timeout := time.NewTimer(15 * time.Second)
	defer timeout.Stop()
	look := time.NewTicker(250 * time.Millisecond)
	defer look.Stop()
	for i := 0; i < len(futures); {
		f := futures[i]
		select {
		case a := <-f.Ok():
			acks[i] = a
			i++
		case <-look.C:
			if c.full != nil && c.full() {
				return nil, fmt.Errorf("bus: publish to %s: %w", t.stream, unwritable())
			}
		case err := <-f.Err():
			return nil, fmt.Errorf("bus: publish to %s: %w", t.stream, translate(err))
		case <-ctx.Done():
			return nil, fmt.Errorf("bus: publish to %s: %w", t.stream, ctx.Err())
		case <-timeout.C:
			return nil, fmt.Errorf("bus: publish to %s: %w", t.stream, full(errors.New("no answer within 15 s")))
		}
	}
	return acks, nil
}

func (t Topic[T]) message(v *T) (*nats.Msg, error) {
	data, err := t.codec.Encode(nil, v)
	if err != nil {
		return nil, Permanent(fmt.Errorf("bus: encode for %s: %w", t.stream, err))
	}
	msg := &nats.Msg{Subject: t.subject(v), Data: data, Header: make(nats.Header, 2)}
	if t.id != nil {
		msg.Header[jetstream.MsgIDHeader] = []string{t.id(v)}
	}
	if t.seen != nil {
		msg.Header[headerSeen] = []string{strconv.FormatInt(t.seen(v).UnixMilli(), 10)}
	}
	return msg, nil
}

// Get returns the message of sequence seq, or [ErrNotFound].
func (t Topic[T]) Get(ctx context.Context, c *Conn, seq uint64) (Entry[T], error) {
	e := Entry[T]{Seq: seq}
	s, err := c.js.Stream(ctx, t.stream)
	if err != nil {
		return e, fmt.Errorf("bus: %s: %w", t.stream, err)
	}
	raw, err := s.GetMsg(ctx, seq)
	if err != nil {
		return e, fmt.Errorf("bus: %s message %d: %w", t.stream, seq, translate(err))
	}
	e.Key = strings.TrimPrefix(raw.Subject, t.prefix)
	if err := t.codec.Decode(raw.Data, &e.Value); err != nil {
		return e, fmt.Errorf("bus: %s message %d: %w", t.stream, seq, err)
	}
	if t.stored != nil {
		t.stored(&e.Value, seq)
	}
	return e, nil
}

// Erase removes the messages of these sequences and overwrites their bytes on
// disk. A sequence that is gone already is no error.
func (t Topic[T]) Erase(ctx context.Context, c *Conn, seqs ...uint64) error {
	return c.eraseMessages(ctx, t.stream, seqs...)
}

func (c *Conn) eraseMessages(ctx context.Context, stream string, seqs ...uint64) error {
	s, err := c.js.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("bus: %s: %w", stream, err)
	}
	for _, seq := range seqs {
		err := s.SecureDeleteMsg(ctx, seq)
		var api *jetstream.APIError
		if errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeMessageNotFound || api.ErrorCode == 10043 || api.ErrorCode == 10057) {
			continue
		}
		if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
			if _, err := s.GetMsg(ctx, seq); errors.Is(err, jetstream.ErrMsgNotFound) {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("bus: erase %s message %d: %w", stream, seq, err)
		}
	}
	return nil
}

// Last returns the stream's last sequence.
func (t Topic[T]) Last(ctx context.Context, c *Conn) (uint64, error) {
	return c.last(ctx, t.stream)
}

func (c *Conn) last(ctx context.Context, stream string) (uint64, error) {
	s, err := c.js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("bus: %s: %w", stream, err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

func itoa(n int) string { return strconv.Itoa(n) }
