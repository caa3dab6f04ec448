package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Journal is a stream of events, one subject for each thing that events happen
// to. What a thing is, is the fold of its events.
type Journal[E any] struct {
	Topic[E]
	prefix string
	fields func(*E) (id string, seq *uint64)
}

// NewJournal binds the event type of the package that owns it to its stream.
// Fields returns an event's random id and the place for its sequence.
func NewJournal[E any](of JournalOf, codec Codec[E], fields func(*E) (id string, seq *uint64)) Journal[E] {
	return Journal[E]{
		Topic: Topic[E]{
			stream: of.stream, prefix: of.prefix, codec: codec,
			stored: func(e *E, seq uint64) { _, at := fields(e); *at = seq },
		},
		prefix: of.prefix,
		fields: fields,
	}
}

// JournalOf names one of the journals.
type JournalOf struct{ stream, prefix string }

// The journals and the keys of their subjects.
var (
	Cases       = JournalOf{streamCases, "case."}             // mention id
	Escalations = JournalOf{streamEscalations, "escalation."} // escalation id
	Settings    = JournalOf{streamSettings, "setting."}       // kind.id
)

// Read returns the events of key in order, and the sequence of the last one; 0
// when there are none. That one can't be decoded is a [Permanent] error.
func (j Journal[E]) Read(ctx context.Context, c *Conn, key string) ([]E, uint64, error) {
	const batch = 512
	var (
		events []E
		last   uint64
	)
	for from := uint64(1); ; from = last + 1 {
		n, more, err := j.readBatch(ctx, c, key, from, batch, func(e E, seq uint64) {
			events, last = append(events, e), seq
		})
		if err != nil {
			return nil, 0, fmt.Errorf("bus: read %s%s: %w", j.prefix, key, err)
		}
		if n == 0 || !more {
			return events, last, nil
		}
	}
}

// readBatch is one batched direct get (ADR-31 of the NATS architecture notes):
// the server answers with one message per event and ends with status 204.
func (j Journal[E]) readBatch(ctx context.Context, c *Conn, key string, from uint64, batch int, yield func(E, uint64)) (n int, more bool, err error) {
	req, err := json.Marshal(map[string]any{"seq": from, "batch": batch, "next_by_subj": j.prefix + key})
	if err != nil {
		return 0, false, err
	}
	inbox := c.nc.NewInbox()
	// Room for one answer and its end; a subscription that makes its own queue
	// makes one of half a megabyte.
	answers := make(chan *nats.Msg, batch+1)
	sub, err := c.nc.ChanSubscribe(inbox, answers)
	if err != nil {
		return 0, false, err
	}
	defer sub.Unsubscribe() //nolint:errcheck // the connection cleans up as well
	if err := c.nc.PublishRequest("$JS.API.DIRECT.GET."+j.stream, inbox, req); err != nil {
		return 0, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		var msg *nats.Msg
		select {
		case msg = <-answers:
		case <-ctx.Done():
			return n, false, ctx.Err()
		}
		switch status := msg.Header.Get("Status"); status {
		case "":
		case "204":
			return n, msg.Header.Get("Nats-Num-Pending") != "0", nil
		case "404":
			return n, false, nil
		case "503":
			return n, false, full(nats.ErrNoResponders)
		default:
			return n, false, fmt.Errorf("status %s %s", status, msg.Header.Get("Description"))
		}
		seq, err := strconv.ParseUint(msg.Header.Get("Nats-Sequence"), 10, 64)
		if err != nil {
			return n, false, fmt.Errorf("answer without a sequence: %w", err)
		}
		var e E
		if err := j.codec.Decode(msg.Data, &e); err != nil {
			return n, false, Permanent(fmt.Errorf("event %d: %w", seq, err))
		}
		j.stored(&e, seq)
		yield(e, seq)
		n++
	}
}

// Append stores e as the next event of key, if the last one still has sequence
// after (0: there is none yet), and returns its sequence. [ErrConflict] says
// that somebody else was first. When the answer is lost, Append looks for the
// event's id before it judges: an event that is there has won.
func (j Journal[E]) Append(ctx context.Context, c *Conn, key string, after uint64, e *E) (uint64, error) {
	data, err := j.codec.Encode(nil, e)
	if err != nil {
		return 0, Permanent(fmt.Errorf("bus: encode event: %w", err))
	}
	if c.full != nil && c.full() {
		return 0, fmt.Errorf("bus: append to %s%s: %w", j.prefix, key, unwritable())
	}
	msg := &nats.Msg{Subject: j.prefix + key, Data: data}
	ack, err := c.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(after))
	if err == nil {
		j.stored(e, ack.Sequence)
		return ack.Sequence, nil
	}
	err = translate(err)
	if !errors.Is(err, ErrConflict) && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) &&
		!errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, jetstream.ErrNoStreamResponse) {
		return 0, fmt.Errorf("bus: append to %s%s: %w", j.prefix, key, err)
	}
	check, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	events, _, readErr := j.Read(check, c, key)
	if readErr != nil {
		return 0, fmt.Errorf("bus: append to %s%s: %w", j.prefix, key, errors.Join(err, readErr))
	}
	id, _ := j.fields(e)
	for i := range events {
		if was, seq := j.fields(&events[i]); was == id {
			*e = events[i]
			return *seq, nil
		}
	}
	if ctx.Err() == nil && !errors.Is(err, ErrConflict) {
		err = full(err)
	}
	return 0, fmt.Errorf("bus: append to %s%s: %w", j.prefix, key, err)
}

// Keyed is an event that is to be appended to Key, whose last event still has
// sequence After.
type Keyed[E any] struct {
	Key   string
	After uint64
	Event *E
}

// AppendAll appends one event to each of several keys, all or none of them.
func (j Journal[E]) AppendAll(ctx context.Context, c *Conn, all ...Keyed[E]) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	batch := c.nc.NewInbox()[len("_INBOX."):]
	for i, k := range all {
		data, err := j.codec.Encode(nil, k.Event)
		if err != nil {
			return Permanent(fmt.Errorf("bus: encode event: %w", err))
		}
		msg := &nats.Msg{Subject: j.prefix + k.Key, Data: data, Header: nats.Header{
			"Nats-Batch-Id":                     {batch},
			"Nats-Batch-Sequence":               {strconv.Itoa(i + 1)},
			jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(k.After, 10)},
		}}
		if i < len(all)-1 {
			if _, err := c.nc.RequestMsgWithContext(ctx, msg); err != nil && i == 0 {
				return fmt.Errorf("bus: append batch: %w", err)
			}
			continue
		}
		msg.Header["Nats-Batch-Commit"] = []string{"1"}
		reply, err := c.nc.RequestMsgWithContext(ctx, msg)
		if err != nil {
			return fmt.Errorf("bus: append batch: %w", err)
		}
		var ack struct {
			Seq   uint64              `json:"seq"`
			Error *jetstream.APIError `json:"error"`
		}
		if err := json.Unmarshal(reply.Data, &ack); err != nil {
			return fmt.Errorf("bus: append batch: %w", err)
		}
		if ack.Error != nil {
			return fmt.Errorf("bus: append batch: %w", translate(ack.Error))
		}
		for n := range all {
			j.stored(all[n].Event, ack.Seq-uint64(len(all)-1-n))
		}
	}
	return nil
}

// Keys returns how many events each key has. It is for listing settings and
// open escalations, not for streams with a subject per mention.
func (j Journal[E]) Keys(ctx context.Context, c *Conn, filter string) (map[string]uint64, error) {
	s, err := c.js.Stream(ctx, j.stream)
	if err != nil {
		return nil, fmt.Errorf("bus: %s: %w", j.stream, err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(j.prefix+filter))
	if err != nil {
		return nil, fmt.Errorf("bus: %s: %w", j.stream, err)
	}
	keys := make(map[string]uint64, len(info.State.Subjects))
	for subject, n := range info.State.Subjects {
		keys[strings.TrimPrefix(subject, j.prefix)] = n
	}
	return keys, nil
}
