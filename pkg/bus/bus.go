// Package bus is JetStream as Earshot uses it: its streams and subjects, typed
// publishing and consuming, journals of events with an expected last sequence,
// outcomes, dead letters, leases and control requests.
//
// Nothing outside this package acknowledges a message, and nothing outside it
// knows a subject. A [Conn] is safe for concurrent use.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

// Options say how to reach the bus.
type Options struct {
	// URL of a NATS server, or several separated by commas. Empty with Dialer
	// set.
	URL string
	// Dialer connects to a server in the same process or behind a unix socket.
	Dialer nats.CustomDialer
	// InProcess connects to an embedded server.
	InProcess nats.InProcessConnProvider
	// Credentials is a NATS credentials file, or empty.
	Credentials string
	// User and Password sign in where credentials files are not used.
	User, Password string
	// Name is shown in the server's list of connections; the service's name.
	Name string
	// Replicas of every stream; default 1. Production uses 3.
	Replicas int
	// MaxBytes bounds MENTIONS, the hand-over between fetcher and classifier;
	// default 1 GiB. When it is full, publishing fails at once.
	MaxBytes int64
	// Retention is the age at which TAGGED forgets; default 400 days.
	Retention time.Duration
	Log       *slog.Logger
	// Metrics receives the bus's counters; nil for none.
	Metrics prometheus.Registerer
}

// Conn is a connection to the bus.
type Conn struct {
	nc   *nats.Conn
	js   jetstream.JetStream
	opts Options
	log  *slog.Logger
	met  metrics
	full func() bool // the embedded server can't write; nil on a server elsewhere
}

// Connect reaches the bus. It returns once connected or with an error; a
// connection lost later is re-established without end.
func Connect(ctx context.Context, o Options) (*Conn, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Replicas = max(o.Replicas, 1)
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 30
	}
	if o.Retention == 0 {
		o.Retention = 400 * 24 * time.Hour
	}
	opts := []nats.Option{
		nats.Name("earshot " + o.Name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(500 * time.Millisecond),
		nats.RetryOnFailedConnect(false),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				o.Log.Warn("bus connection lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { o.Log.Info("bus connection back") }),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			o.Log.Warn("bus error", "error", err)
		}),
	}
	switch {
	case o.InProcess != nil:
		opts = append(opts, nats.InProcessServer(o.InProcess))
	case o.Dialer != nil:
		opts = append(opts, nats.SetCustomDialer(o.Dialer))
	}
	if o.Credentials != "" {
		opts = append(opts, nats.UserCredentials(o.Credentials))
	}
	if o.User != "" {
		opts = append(opts, nats.UserInfo(o.User, o.Password))
	}
	nc, err := nats.Connect(o.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("bus: connect to %s: %w%s", o.where(), err, o.mend())
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096), jetstream.WithDefaultTimeout(5*time.Second))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("bus: %w", err)
	}
	c := &Conn{nc: nc, js: js, opts: o, log: o.Log, met: newMetrics(o.Metrics)}
	if s, ok := o.InProcess.(interface{ Full() bool }); ok {
		c.full = s.Full
	}
	if err := ctx.Err(); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// mend is what to look at when there is no connection.
func (o Options) mend() string {
	if o.URL == "" {
		return ""
	}
	return "; is the server running, and are bus.url and the sign-in right?"
}

func (o Options) where() string {
	if o.InProcess != nil {
		return "the embedded server"
	}
	if o.Dialer != nil {
		return "the running instance"
	}
	return redactURL(o.URL)
}

// Close lets pending publishes finish, for at most two seconds, and closes the
// connection. Calling it twice is fine.
func (c *Conn) Close() {
	select {
	case <-c.js.PublishAsyncComplete():
	case <-time.After(2 * time.Second):
	}
	c.nc.Close()
}

// Connected tells whether the server can be reached right now.
func (c *Conn) Connected() bool { return c.nc.IsConnected() }

// Errors that callers branch on.
var (
	// ErrConflict says that somebody else appended to the journal first.
	ErrConflict = errors.New("somebody else changed it first")
	// ErrFull says that a stream takes nothing more for now, because it or the
	// disk is full: slow down and try again. A message that a handler could not
	// pass on for this is not given up.
	ErrFull = errors.New("the stream is full")
	// ErrNotFound says that there is no such message, key or value.
	ErrNotFound = errors.New("not found")
)

func translate(err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode {
		case jetstream.JSErrCodeStreamWrongLastSequence, 10164:
			return fmt.Errorf("%w (%w)", ErrConflict, err)
		case 10077, 10047, 10023: // limits reached, no resources, insufficient resources
			return full(err)
		}
	}
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		return full(err)
	}
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("%w (%w)", ErrNotFound, err)
	}
	return err
}

// full marks err as an [ErrFull], to be tried again soon.
func full(err error) error { return After(fmt.Errorf("%w (%w)", ErrFull, err), 2*time.Second) }

type metrics struct {
	messages *prometheus.CounterVec
	age      *prometheus.HistogramVec
	dead     *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "earshot_messages_total",
			Help: "Messages handled, by durable consumer, stream and outcome (done, again, dead).",
		}, []string{"service", "stream", "outcome"}),
		age: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "earshot_age_seconds",
			Help:    "Time since first intake when a mention reached a stage.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 3600},
		}, []string{"stage"}),
		dead: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "earshot_dead_letters_total",
			Help: "Messages given up, by service.",
		}, []string{"service"}),
	}
	if r != nil {
		m.messages = register(r, m.messages)
		m.age = register(r, m.age)
		m.dead = register(r, m.dead)
	}
	return m
}

// register returns the collector in force, so that several connections of one
// process share it.
func register[C prometheus.Collector](r prometheus.Registerer, c C) C {
	if err := r.Register(c); err != nil {
		var was prometheus.AlreadyRegisteredError
		if errors.As(err, &was) {
			return was.ExistingCollector.(C)
		}
	}
	return c
}

// Age records how long after its first intake a mention reached stage.
func (c *Conn) Age(stage string, seen, now time.Time) {
	if !seen.IsZero() {
		c.met.age.WithLabelValues(stage).Observe(now.Sub(seen).Seconds())
	}
}
