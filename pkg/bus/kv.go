package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// buckets are the key-value buckets: cursors, sessions, leases, what connectors
// keep, what people were told, and answers that need not be asked for again; nothing that history
// depends on.
var buckets = []jetstream.KeyValueConfig{
	{Bucket: string(Cursors), Description: "where each source goes on"},
	{Bucket: string(Sessions), Description: "who is signed in"},
	{Bucket: string(Leases), Description: "which process runs what runs once"},
	{Bucket: string(Kept), Description: "what connectors keep between runs, sealed"},
	{Bucket: string(Notices), Description: "what people were told on the desk", TTL: 7 * 24 * time.Hour},
	{Bucket: string(Opinions), Description: "answers to questions for a second opinion", TTL: 7 * 24 * time.Hour},
}

// Bucket is a set of keys with one JSON value each.
type Bucket string

// The buckets.
const (
	Cursors  Bucket = "CURSORS"
	Sessions Bucket = "SESSIONS"
	Leases   Bucket = "LEASES"
	Kept     Bucket = "KEPT"     // values sealed by their keepers
	Notices  Bucket = "NOTICES"  // by staff id; forgets after seven days without a change
	Opinions Bucket = "OPINIONS" // forgets after seven days
)

func (c *Conn) bucket(ctx context.Context, cfg jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	kv, err := c.js.KeyValue(ctx, cfg.Bucket)
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return kv, err
	}
	cfg.Replicas, cfg.Storage, cfg.History = c.opts.Replicas, jetstream.FileStorage, 1
	kv, err = c.js.CreateKeyValue(ctx, cfg)
	if err == nil {
		return kv, nil
	}
	if kv, there := c.js.KeyValue(ctx, cfg.Bucket); there == nil {
		return kv, nil // another process was first
	}
	return nil, err
}

// Get reads the value of key into v and returns its revision, or [ErrNotFound].
func (b Bucket) Get(ctx context.Context, c *Conn, key string, v any) (uint64, error) {
	kv, err := c.js.KeyValue(ctx, string(b))
	if err != nil {
		return 0, fmt.Errorf("bus: bucket %s: %w", b, err)
	}
	e, err := kv.Get(ctx, key)
	if err != nil {
		return 0, fmt.Errorf("bus: %s %s: %w", b, key, translate(err))
	}
	if err := json.Unmarshal(e.Value(), v); err != nil {
		return 0, fmt.Errorf("bus: %s %s: %w", b, key, err)
	}
	return e.Revision(), nil
}

// Put stores v under key.
func (b Bucket) Put(ctx context.Context, c *Conn, key string, v any) error {
	kv, err := c.js.KeyValue(ctx, string(b))
	if err != nil {
		return fmt.Errorf("bus: bucket %s: %w", b, err)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err = kv.Put(ctx, key, data); err != nil {
		return fmt.Errorf("bus: %s %s: %w", b, key, translate(err))
	}
	return nil
}

// Update stores v under key if the value still has this revision; 0 means that
// there must be none. It returns the new revision or [ErrConflict].
func (b Bucket) Update(ctx context.Context, c *Conn, key string, v any, revision uint64) (uint64, error) {
	kv, err := c.js.KeyValue(ctx, string(b))
	if err != nil {
		return 0, fmt.Errorf("bus: bucket %s: %w", b, err)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return 0, err
	}
	if revision == 0 {
		revision, err = kv.Create(ctx, key, data)
	} else {
		revision, err = kv.Update(ctx, key, data, revision)
	}
	if errors.Is(err, jetstream.ErrKeyExists) {
		return 0, ErrConflict
	}
	if err != nil {
		return 0, fmt.Errorf("bus: %s %s: %w", b, key, translate(err))
	}
	return revision, nil
}

// Delete removes key for good, without leaving its value on the bus.
func (b Bucket) Delete(ctx context.Context, c *Conn, key string) error {
	kv, err := c.js.KeyValue(ctx, string(b))
	if err != nil {
		return fmt.Errorf("bus: bucket %s: %w", b, err)
	}
	if err := kv.Purge(ctx, key); err != nil {
		return fmt.Errorf("bus: %s %s: %w", b, key, translate(err))
	}
	return nil
}

// Keys lists the keys; nil when there are none.
func (b Bucket) Keys(ctx context.Context, c *Conn) ([]string, error) {
	kv, err := c.js.KeyValue(ctx, string(b))
	if err != nil {
		return nil, fmt.Errorf("bus: bucket %s: %w", b, err)
	}
	keys, err := kv.Keys(ctx)
	if errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, nil
	}
	return keys, err
}

// leaseTerm is how long a lease holds without renewal: the longest that a
// service which runs once stands still after its process died.
const leaseTerm = 10 * time.Second

// lease is kept in the value, so that it needs no clock but the holders'. Clocks
// may differ by less than the term.
type lease struct {
	Holder string    `json:"holder"`
	Until  time.Time `json:"until"`
}

// RunOnce runs f in one process at a time, wherever it is called with the same
// name. It waits for its turn, cancels f's context when the turn is lost, and
// waits again. It returns nil when ctx ends and f's error when f fails.
func (c *Conn) RunOnce(ctx context.Context, name, holder string, f func(context.Context) error) error {
	for {
		rev, err := c.takeLease(ctx, name, holder)
		if err != nil {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(leaseTerm / 5):
				continue
			}
		}
		turn, lost := context.WithCancelCause(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.keepLease(turn, name, holder, rev, lost)
		}()
		err = f(turn)
		lost(nil)
		<-done
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(context.Cause(turn), errLeaseLost) {
			return err
		}
	}
}

var errLeaseLost = errors.New("another process runs it now")

func (c *Conn) takeLease(ctx context.Context, name, holder string) (uint64, error) {
	var l lease
	rev, err := Leases.Get(ctx, c, name, &l)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return 0, err
	}
	now := time.Now()
	if err == nil && l.Holder != holder && now.Before(l.Until) {
		return 0, ErrConflict
	}
	if errors.Is(err, ErrNotFound) {
		rev = 0
	}
	return Leases.Update(ctx, c, name, lease{holder, now.Add(leaseTerm)}, rev)
}

// keepLease renews until turn ends, and then gives the lease back.
func (c *Conn) keepLease(turn context.Context, name, holder string, rev uint64, lost context.CancelCauseFunc) {
	good := time.Now()
	tick := time.NewTicker(leaseTerm / 4)
	defer tick.Stop()
	for {
		select {
		case <-turn.Done():
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_, _ = Leases.Update(ctx, c, name, lease{holder, time.Time{}}, rev)
			return
		case <-tick.C:
			ctx, cancel := context.WithTimeout(turn, leaseTerm/4)
			r, err := Leases.Update(ctx, c, name, lease{holder, time.Now().Add(leaseTerm)}, rev)
			cancel()
			switch {
			case err == nil:
				rev, good = r, time.Now()
			case errors.Is(err, ErrConflict) || time.Since(good) > leaseTerm*3/4:
				c.log.Warn("lease lost", "lease", name, "error", err)
				lost(errLeaseLost)
				return
			}
		}
	}
}
