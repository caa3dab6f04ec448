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

// Dead is a message that a service gave up, as it was, with its error.
type Dead struct {
	// ID is the letter's sequence in DEAD.
	ID       uint64
	Service  string
	Stream   string
	Subject  string
	Sequence uint64
	Error    string
	At       time.Time
	Attempts uint64
	Body     []byte
	Headers  map[string]string
}

// Cause is why a message was given up, for people of any language.
type Cause string

const (
	CauseUnreadable Cause = "unreadable" // it can't be decoded
	CauseUnended    Cause = "unended"    // nobody who took it lived to say what became of it
	CauseCrashed    Cause = "crashed"    // its handler panicked
	CauseRefused    Cause = "refused"    // its handler knows that no retry mends it
	CauseFailing    Cause = "failing"    // it failed as often as it is tried
)

// Causes lists all causes.
var Causes = []Cause{CauseUnreadable, CauseUnended, CauseCrashed, CauseRefused, CauseFailing}

// What this package's own errors begin with, by which [Dead.Cause] knows them also
// in letters of long ago.
const (
	saidUnreadable = "message cannot be decoded"
	saidUnended    = "given up after"
	saidCrashed    = "handler panicked"
)

// Cause tells why d was given up. [Dead.Error] has the words of the program.
func (d *Dead) Cause() Cause {
	switch {
	case strings.HasPrefix(d.Error, saidUnreadable):
		return CauseUnreadable
	case strings.HasPrefix(d.Error, saidUnended):
		return CauseUnended
	case strings.HasPrefix(d.Error, saidCrashed):
		return CauseCrashed
	case d.Attempts > 1:
		return CauseFailing
	}
	return CauseRefused
}

var deadTopic = Topic[Dead]{
	stream: streamDead, codec: deadCodec,
	subject: func(d *Dead) string { return "dead." + token(d.Service) },
	id:      func(d *Dead) string { return fmt.Sprintf("%s:%s:%d", d.Stream, d.Service, d.Sequence) },
	stored:  func(d *Dead, seq uint64) { d.ID = seq },
}

// Bury stores what could not be handled, for services that follow a stream
// instead of consuming it.
func Bury[T any](ctx context.Context, c *Conn, service string, t Topic[T], seq uint64, cause error) error {
	s, err := c.js.Stream(ctx, t.stream)
	if err != nil {
		return fmt.Errorf("bus: %s: %w", t.stream, err)
	}
	raw, err := s.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("bus: %s message %d: %w", t.stream, seq, err)
	}
	return c.storeDead(ctx, &Dead{
		Service: service, Stream: t.stream, Subject: raw.Subject, Sequence: seq, Error: cause.Error(),
		At: time.Now().UTC(), Attempts: 1, Body: raw.Data, Headers: flatten(raw.Header),
	})
}

func (c *Conn) storeDead(ctx context.Context, d *Dead) error {
	if err := deadTopic.Publish(ctx, c, d); err != nil {
		return err
	}
	c.met.dead.WithLabelValues(d.Service).Inc()
	c.log.Error("message given up; see dead letters", "service", d.Service, "stream", d.Stream, "seq", d.Sequence, "error", d.Error)
	return nil
}

// bury is generic only in name: it needs nothing of the value.
func (c *Conn) bury(ctx context.Context, service, stream string, m interface{ letter() *Dead }) error {
	d := m.letter()
	d.Service, d.Stream, d.At = service, stream, time.Now().UTC()
	return c.storeDead(ctx, d)
}

func (m *Msg[T]) letter() *Dead {
	return &Dead{
		Subject: m.raw.Subject(), Sequence: m.Seq, Error: m.Err.Error(), Attempts: m.Attempt,
		Body: m.raw.Data(), Headers: flatten(m.raw.Headers()),
	}
}

func flatten(h nats.Header) map[string]string {
	out := make(map[string]string, len(h))
	for k := range h {
		out[k] = h.Get(k)
	}
	return out
}

// DeadLetters lists what was given up, oldest first.
func (c *Conn) DeadLetters(ctx context.Context) ([]Dead, error) {
	var all []Dead
	err := deadTopic.Replay(ctx, c, 1, 256, func(_ context.Context, batch []Entry[Dead]) error {
		for _, e := range batch {
			if e.Err == nil {
				all = append(all, e.Value)
			}
		}
		return nil
	})
	return all, err
}

// retryRequest asks a reader to handle one stored message again.
type retryRequest struct {
	Seq uint64 `json:"seq"`
}

// AnswerRetries serves requests to handle a stored message again, for services
// that follow a stream. Consume does it by itself.
func AnswerRetries(ctx context.Context, c *Conn, service string, h func(ctx context.Context, seq uint64) error) error {
	return Answer(ctx, c, service, "retry", func(ctx context.Context, r retryRequest) (struct{}, error) {
		return struct{}{}, h(ctx, r.Seq)
	})
}

// RetryDead has a dead letter's message handled again and drops the letter. A
// message that its stream still holds is handled by the service that gave it
// up, and by no other; one that is gone is published again.
func (c *Conn) RetryDead(ctx context.Context, id uint64) error {
	e, err := deadTopic.Get(ctx, c, id)
	if err != nil {
		return fmt.Errorf("dead letter %d: %w", id, err)
	}
	d := &e.Value
	s, err := c.js.Stream(ctx, d.Stream)
	if err != nil {
		return fmt.Errorf("dead letter %d: %w", id, err)
	}
	if s.CachedInfo().Config.Retention == jetstream.WorkQueuePolicy {
		err = c.republish(ctx, d)
	} else {
		_, err = Ask[retryRequest, struct{}](ctx, c, d.Service, "retry", retryRequest{d.Sequence})
	}
	if err != nil {
		return fmt.Errorf("dead letter %d: %w", id, err)
	}
	return c.DropDead(ctx, id)
}

func (c *Conn) republish(ctx context.Context, d *Dead) error {
	msg := &nats.Msg{Subject: d.Subject, Data: d.Body, Header: nats.Header{}}
	for k, v := range d.Headers {
		msg.Header.Set(k, v)
	}
	// The letter's own id makes a retry that was cut short harmless, and gets
	// past the message's own.
	msg.Header.Set(jetstream.MsgIDHeader, fmt.Sprintf("dead:%d", d.ID))
	_, err := c.js.PublishMsg(ctx, msg)
	return translate(err)
}

// DropDead erases a dead letter.
func (c *Conn) DropDead(ctx context.Context, id uint64) error {
	if _, err := deadTopic.Get(ctx, c, id); err != nil {
		return fmt.Errorf("dead letter %d: %w", id, err)
	}
	return deadTopic.Erase(ctx, c, id)
}
