package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// Env is what a service gets from its process. Only a service's Run sees it;
// it takes out what its parts need.
type Env struct {
	app  *App
	Name string
	Log  *slog.Logger
}

// Config is the process's configuration.
func (e *Env) Config() config.File { return e.app.opts.Config }

// Version is the program's.
func (e *Env) Version() string { return e.app.opts.Version }

// Bus is the process's connection.
func (e *Env) Bus() *bus.Conn { return e.app.bus }

// Settings are the installation's.
func (e *Env) Settings() *settings.Store { return e.app.settings }

// Opener opens the secrets sealed to this service.
func (e *Env) Opener() *settings.Opener { return e.app.openers[e.Name] }

// HTTP is the process's outbound client.
func (e *Env) HTTP() *outbound.Client { return e.app.http }

// Metrics is the process's registry.
func (e *Env) Metrics() prometheus.Registerer { return e.app.reg }

// Now is the process's clock.
func (e *Env) Now() time.Time { return e.app.opts.Now().UTC() }

// Sandbox tells whether the process runs a demonstration.
func (e *Env) Sandbox() bool { return e.app.opts.Sandbox }

// Addr is where the process listens.
func (e *Env) Addr() string { return e.app.Addr() }

// URL is the address under which people reach the desk.
func (e *Env) URL() string {
	if u := e.app.opts.Config.URL; u != "" {
		return u
	}
	return "http://" + e.app.Addr()
}

// Instance names this process among those that run the same service. On an
// embedded bus there are no others, by the lock on its folder: what a process
// held that was killed is taken over at once.
func (e *Env) Instance() string {
	if e.app.server != nil {
		return "embedded"
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), instance)
}

// instance tells processes apart that share a name and a number, as containers
// do.
var instance = rand.Text()[:8]

// settled is how long after the last service is up the things that starting
// took are no longer in use.
const settled = 5 * time.Second

// Ready tells the process that the service is up. Soon after all are, what
// starting them took goes back to the system.
func (e *Env) Ready() {
	e.app.ready.Store(e.Name, struct{}{})
	for _, s := range e.app.opts.Services {
		if _, ok := e.app.ready.Load(s.Name); !ok {
			return
		}
	}
	time.AfterFunc(settled, debug.FreeOSMemory)
}

// Serve hands every request but health and metrics to h.
func (e *Env) Serve(h http.Handler) { e.app.front.Store(&h) }

// Index opens the index at its first call in the process; the engine is shared
// and closed with the process. One on a server is set up by the indexer, and may
// be away: then it says so when it is asked.
func (e *Env) Index(ctx context.Context) (search.Engine, error) {
	a := e.app
	a.indexOnce.Do(func() {
		cfg := a.opts.Config
		if cfg.Search.Engine == "meilisearch" {
			key, err := cfg.Search.Key.Reveal()
			if err != nil {
				a.indexErr = fmt.Errorf("search.key: %w", err)
				return
			}
			a.index, a.indexErr = search.OpenMeili(search.MeiliConfig{URL: cfg.Search.URL, Key: key, Index: cfg.Search.Prefix + "_mentions"})
			return
		}
		a.index, a.indexErr = search.OpenSQLite(filepath.Join(cfg.Data, "index"))
		if a.indexErr != nil {
			return
		}
		var fresh bool
		if fresh, a.indexErr = a.index.Ensure(ctx); fresh {
			a.log.Info("the index is empty; it is filled from the bus")
		}
	})
	return a.index, a.indexErr
}

// Gate is where viewers come from, one for the process: it counts attempts.
func (e *Env) Gate() *identity.Gate { return e.app.gate }

// Gate is [Env.Gate] for whoever has only a connection.
func Gate(c *bus.Conn, store *settings.Store, now func() time.Time, log *slog.Logger) *identity.Gate {
	return identity.NewGate(settings.Directory{Store: store}, sessions{c}, now, log)
}

// sessions keeps what identity remembers in its bucket.
type sessions struct{ c *bus.Conn }

func (s sessions) Get(ctx context.Context, key string, v any) (uint64, error) {
	rev, err := bus.Sessions.Get(ctx, s.c, key, v)
	if errors.Is(err, bus.ErrNotFound) {
		return 0, nil
	}
	return rev, err
}

func (s sessions) Put(ctx context.Context, key string, v any) error {
	return bus.Sessions.Put(ctx, s.c, key, v)
}

func (s sessions) Update(ctx context.Context, key string, v any, revision uint64) (bool, error) {
	_, err := bus.Sessions.Update(ctx, s.c, key, v, revision)
	if errors.Is(err, bus.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

func (s sessions) Delete(ctx context.Context, key string) error {
	return bus.Sessions.Delete(ctx, s.c, key)
}

func (s sessions) Keys(ctx context.Context) ([]string, error) { return bus.Sessions.Keys(ctx, s.c) }

// Signer signs and opens the links that pages carry. Its key is made once for
// the installation and lies on the bus.
func (e *Env) Signer(ctx context.Context) (*identity.Signer, error) { return Signer(ctx, e.app.bus) }

// Signer is [Env.Signer] for whoever has only a connection.
func Signer(ctx context.Context, c *bus.Conn) (*identity.Signer, error) {
	const key = "signing-key"
	for {
		var k []byte
		rev, err := bus.Sessions.Get(ctx, c, key, &k)
		if err == nil && rev > 0 {
			return identity.NewSigner(k)
		}
		if !errors.Is(err, bus.ErrNotFound) {
			return nil, err
		}
		k = make([]byte, 32)
		_, _ = rand.Read(k)
		if _, err := bus.Sessions.Update(ctx, c, key, k, 0); err != nil && !errors.Is(err, bus.ErrConflict) {
			return nil, err
		}
	}
}
