// Package fetcher is the service that listens: it runs every configured source,
// finds the brands in what they bring, hands mentions to MENTIONS and keeps the
// sources' cursors. It takes what platforms push, and tries sources out for the
// desk: it alone opens connectors with their secrets.
package fetcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/app"
	"golang.org/x/sync/errgroup"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

// Service is the fetcher as a process runs it. Of several, one works.
var Service = app.Service{Name: "fetcher", Run: run, Sealed: true}

func run(ctx context.Context, env *app.Env) error {
	f := &fetcher{
		bus: env.Bus(), settings: env.Settings(), http: env.HTTP(), log: env.Log, now: env.Now,
		data: env.Config().Data, opener: env.Opener(), met: newMetrics(), canary: env.Config().Canary, runners: map[string]*runner{},
	}
	if err := f.met.register(env.Metrics()); err != nil {
		return err
	}
	env.Ready()
	return f.bus.RunOnce(ctx, "fetcher", env.Instance(), f.work)
}

type fetcher struct {
	bus      *bus.Conn
	settings *settings.Store
	http     *outbound.Client
	log      *slog.Logger
	now      func() time.Time
	data     string
	opener   *settings.Opener
	met      metrics
	canary   config.Canary
	looks    looks

	mu      sync.Mutex
	runners map[string]*runner // by source
}

// work answers the desk and runs all sources while it is this process's turn.
func (f *fetcher) work(ctx context.Context) error {
	if err := f.answer(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.watch(ctx) })
	g.Go(func() error { return f.all(ctx) })
	return g.Wait()
}

// all keeps one runner per source that is switched on, and replaces it when the
// source's settings change.
func (f *fetcher) all(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for ctx.Err() == nil {
		changed := f.settings.Changed()
		want := settings.Sources.All(f.settings)
		for id, r := range f.running() {
			if s, ok := want[id]; !ok || !reflect.DeepEqual(s, r.of) {
				f.end(id, r)
				f.met.forget(id)
			}
		}
		for id, s := range want {
			if s.Off {
				f.switchedOff(ctx, id)
			}
			if f.runner(id) != nil || s.Off {
				continue
			}
			runCtx, stop := context.WithCancel(ctx)
			r := &runner{
				fetcher: f, id: id, of: s, log: f.log.With("source", id),
				stop: stop, done: make(chan struct{}), again: make(chan struct{}, 1),
			}
			f.mu.Lock()
			f.runners[id] = r
			f.mu.Unlock()
			wg.Go(func() {
				defer close(r.done)
				r.run(runCtx)
			})
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
	for id, r := range f.running() {
		f.end(id, r)
	}
	return nil
}

func (f *fetcher) end(id string, r *runner) {
	r.stop()
	<-r.done
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.runners, id)
}

// switchedOff notes in the ledger of a source that people don't want it run.
func (f *fetcher) switchedOff(ctx context.Context, id string) {
	var c source.Coverage
	_, err := bus.Cursors.Get(ctx, f.bus, source.CoverageKey(id), &c)
	if errors.Is(err, bus.ErrNotFound) {
		return // it has never been run
	}
	if err == nil && c.SwitchedOff(f.now()) {
		err = bus.Cursors.Put(ctx, f.bus, source.CoverageKey(id), c)
	}
	if err != nil {
		f.log.Warn("it is not written down that a source was switched off", "source", id, "error", err)
	}
}

// running are the runners by source.
func (f *fetcher) running() map[string]*runner {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make(map[string]*runner, len(f.runners))
	for id, r := range f.runners {
		all[id] = r
	}
	return all
}

// runner is the one of a source, or nil.
func (f *fetcher) runner(id string) *runner {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.runners[id]
}

// deps is what the connector of a source gets.
func (f *fetcher) deps(id string, keep source.Keeper) source.Deps {
	return source.Deps{
		HTTP: f.http, Log: f.log.With("source", id), Now: f.now, Data: f.data, Keep: keep,
		Terms: func() source.Terms {
			words, tags := f.settings.Words()
			return source.Terms{Words: words, Hashtags: tags}
		},
	}
}

// open opens the connector of a source as its settings have it.
func (f *fetcher) open(id string, s settings.Source) (source.Source, source.Deps, error) {
	deps := f.deps(id, f.opener.Keeper(f.settings, id))
	conn, err := f.openWith(s, deps)
	return conn, deps, err
}

func (f *fetcher) openWith(s settings.Source, deps source.Deps) (source.Source, error) {
	kind, ok := source.Named(s.Kind)
	if !ok {
		return nil, outbound.Settings.Of(fmt.Errorf("there is no connector %q in this version", s.Kind))
	}
	cfg, err := f.opener.Open(s.Config)
	if err != nil {
		return nil, outbound.Settings.Of(err)
	}
	conn, err := kind.Open(cfg, deps)
	if err != nil {
		return nil, outbound.Settings.Of(err)
	}
	return conn, nil
}
