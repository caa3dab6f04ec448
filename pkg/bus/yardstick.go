package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Yardstick stores n messages of size bytes asynchronously and without message
// ids, in a stream of its own that it removes again, and returns how long that
// took. Rates of the line are compared with it.
func (c *Conn) Yardstick(ctx context.Context, n, size int) (took time.Duration, err error) {
	const name, subject = "YARDSTICK", "yardstick"
	stream, err := c.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: name, Subjects: []string{subject}, Storage: jetstream.FileStorage, Replicas: c.opts.Replicas,
		Duplicates: 10 * time.Minute, AllowDirect: true,
	})
	if err != nil {
		return 0, fmt.Errorf("bus: yardstick: %w", err)
	}
	defer func() {
		// What is left would be counted by the next call. Files of many megabytes
		// take a busy disk longer than other requests may.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if gone := c.js.DeleteStream(ctx, name); gone != nil {
			err = errors.Join(err, fmt.Errorf("bus: yardstick: its stream is left: %w", gone))
		}
	}()
	body := make([]byte, size)
	began := time.Now()
	for range n {
		// The client holds back when too many are under way, for a while.
		_, err := c.js.PublishMsgAsync(&nats.Msg{Subject: subject, Data: body})
		for errors.Is(err, jetstream.ErrTooManyStalledMsgs) && ctx.Err() == nil {
			_, err = c.js.PublishMsgAsync(&nats.Msg{Subject: subject, Data: body})
		}
		if err != nil {
			return 0, fmt.Errorf("bus: yardstick: %w", err)
		}
	}
	select {
	case <-c.js.PublishAsyncComplete():
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	took = time.Since(began)
	info, err := stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("bus: yardstick: %w", err)
	}
	if got := info.State.Msgs; got != uint64(n) {
		return 0, fmt.Errorf("bus: yardstick: %d of %d messages were stored", got, n)
	}
	return took, nil
}

// Size returns the bytes that v takes as a message's body.
func (t Topic[T]) Size(v *T) (int, error) {
	data, err := t.codec.Encode(nil, v)
	return len(data), err
}
