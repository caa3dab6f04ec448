// Package app is a process: it reads configuration, opens the bus and the
// index, runs services until it is told to stop, and answers for their health.
// All services in one process and one service in each differ only in which
// services are given and in where bus and index are.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/embedded"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// Service is a part of Earshot that a process can run.
type Service struct {
	Name string
	// Run works until ctx ends and then returns nil. Any other return stops
	// the process.
	Run func(ctx context.Context, env *Env) error
	// Sealed tells that the service uses secrets sealed to it.
	Sealed bool
}

// Options say what a process is.
type Options struct {
	Config   config.File
	Services []Service
	Version  string
	Log      *slog.Logger // default: by Config.Log, to standard error
	Now      func() time.Time
	// Sandbox offers connectors that only make sense for a demonstration.
	Sandbox bool
}

// App is a running process.
type App struct {
	opts     Options
	log      *slog.Logger
	reg      *prometheus.Registry
	server   *embedded.Server
	bus      *bus.Conn
	settings *settings.Store
	http     *outbound.Client
	listener net.Listener
	front    atomic.Pointer[http.Handler]

	gate      *identity.Gate
	indexOnce sync.Once
	index     search.Engine
	indexErr  error

	openers map[string]*settings.Opener // by service
	ready   sync.Map                    // service name → struct{}
	cancel  context.CancelCauseFunc
	done    chan struct{}
	err     error
}

// Start opens what the services need, binds the address and starts them. When
// it returns, requests are accepted; /readyz tells when all services are up.
func Start(ctx context.Context, o Options) (*App, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = NewLog(os.Stderr, o.Config.Log)
	}
	a := &App{opts: o, log: o.Log, reg: prometheus.NewRegistry(), done: make(chan struct{})}
	a.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := a.open(ctx); err != nil {
		a.close()
		return nil, err
	}
	run, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	a.cancel = cancel
	store, err := settings.Open(run, a.bus, a.log)
	if err != nil {
		cancel(nil)
		a.close()
		return nil, err
	}
	a.settings = store
	a.gate = Gate(a.bus, store, o.Now, a.log)
	if err := a.openKeys(run); err != nil {
		cancel(nil)
		a.close()
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { cancel(nil) })
	go func() {
		defer close(a.done)
		defer stop()
		a.err = a.run(run)
		a.close()
	}()
	return a, nil
}

// open does what may fail before anything runs.
func (a *App) open(ctx context.Context) error {
	cfg := a.opts.Config
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return fmt.Errorf("data folder: %w; name one that can be written with --data", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; choose another address with --listen (port 0 picks a free one)", cfg.Listen, err)
	}
	a.listener = l
	if cfg.Bus.URL == "" {
		if a.server, err = embedded.Start(filepath.Join(cfg.Data, "bus"), a.log, embedded.Sync(cfg.Bus.Sync)); err != nil {
			return err
		}
	}
	if a.bus, err = a.connect(ctx, "earshot"); err != nil {
		return err
	}
	if err := a.bus.Declare(ctx); err != nil {
		return err
	}
	var proxy *url.URL
	if cfg.Limits.Proxy != "" {
		if proxy, err = url.Parse(cfg.Limits.Proxy); err != nil {
			return fmt.Errorf("limits.proxy: %w", err)
		}
	}
	a.http, err = outbound.New(outbound.Options{
		UserAgent: "Earshot/" + a.opts.Version, MaxBody: int64(cfg.Limits.FetchBody), Timeout: cfg.Limits.FetchTimeout,
		Allow: cfg.Limits.AllowPrivate, Proxy: proxy,
	})
	return err
}

func (a *App) connect(ctx context.Context, name string) (*bus.Conn, error) {
	cfg := a.opts.Config
	o := bus.Options{
		URL: cfg.Bus.URL, Credentials: cfg.Bus.Credentials, Name: name, Replicas: cfg.Bus.Replicas,
		MaxBytes: int64(cfg.Limits.Backlog), Retention: cfg.Limits.Retention, Log: a.log, Metrics: a.reg,
	}
	password, err := cfg.Bus.Password.Reveal()
	if err != nil {
		return nil, fmt.Errorf("bus.password: %w", err)
	}
	o.User, o.Password = cfg.Bus.User, password
	if a.server != nil {
		o.InProcess = a.server
	}
	return bus.Connect(ctx, o)
}

// openKeys loads the keys of the services here that use secrets.
func (a *App) openKeys(ctx context.Context) error {
	a.openers = map[string]*settings.Opener{}
	for _, s := range a.opts.Services {
		if !s.Sealed {
			continue
		}
		o, err := a.settings.OpenKey(ctx, filepath.Join(a.opts.Config.Data, "keys"), s.Name)
		if err != nil {
			return err
		}
		a.openers[s.Name] = o
	}
	return nil
}

// drainTime bounds how long services may take to stop.
const drainTime = 15 * time.Second

// run serves and runs the services until one fails or ctx ends.
func (a *App) run(ctx context.Context) error {
	srv := &http.Server{
		Handler: a.routes(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	go func() {
		if err := srv.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			a.cancel(fmt.Errorf("http: %w", err))
		}
	}()
	var wg sync.WaitGroup
	for _, s := range a.opts.Services {
		wg.Go(func() {
			env := &Env{app: a, Name: s.Name, Log: a.log.With("service", s.Name)}
			if err := s.Run(ctx, env); err != nil && ctx.Err() == nil {
				a.cancel(fmt.Errorf("%s: %w", s.Name, err))
			} else if ctx.Err() == nil {
				a.cancel(fmt.Errorf("%s: ended by itself", s.Name))
			}
		})
	}
	<-ctx.Done()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	_ = srv.Shutdown(stopping)
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-stopping.Done():
		a.log.Warn("services took too long to stop")
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// close undoes open; what was never opened is skipped.
func (a *App) close() {
	if a.index != nil {
		if err := a.index.Close(); err != nil {
			a.log.Warn("index did not close cleanly", "error", err)
		}
	}
	if a.bus != nil {
		a.bus.Close()
	}
	if a.server != nil {
		a.server.Stop()
	}
	if a.listener != nil {
		_ = a.listener.Close()
	}
}

// Addr is the address the process listens on.
func (a *App) Addr() string { return a.listener.Addr().String() }

// Stop ends the process and waits for it. Calling it twice is fine.
func (a *App) Stop() error {
	a.cancel(nil)
	return a.Wait()
}

// Wait blocks until the process has ended and returns why, or nil when it was
// told to.
func (a *App) Wait() error {
	<-a.done
	return a.err
}

// routes has the fixed paths; everything else is the desk's.
func (a *App) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if h := a.front.Load(); h != nil {
			(*h).ServeHTTP(w, r)
			return
		}
		if slices.ContainsFunc(a.opts.Services, func(s Service) bool { _, up := a.ready.Load(s.Name); return !up }) {
			starting(w, r) // what answers here may be among what is not up yet
			return
		}
		http.NotFound(w, r)
	})
	return mux
}

// startingPage asks again by itself until something answers.
const startingPage = `<!doctype html>
<html lang="ja"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="2"><title>Earshot</title>
<style>:root{color-scheme:light dark}body{font:16px/1.7 system-ui,sans-serif;max-width:32em;margin:20vh auto;padding:0 1em}</style>
<main role="status"><p>Earshotを起動しています。このページは自動で切り替わります。</p>
<p lang="en">Earshot is starting. This page goes on by itself.</p></main>
</html>
`

// starting says that a request came too early: to a browser by a page.
func starting(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Retry-After", "2")
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Error(w, "Earshot is starting; try again in a moment. / 起動中です。少し待ってから、もう一度お試しください。", http.StatusServiceUnavailable)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, startingPage)
}

func (a *App) readyz(w http.ResponseWriter, _ *http.Request) {
	var missing []string
	if !a.bus.Connected() {
		missing = append(missing, "bus")
	}
	for _, s := range a.opts.Services {
		if _, ok := a.ready.Load(s.Name); !ok {
			missing = append(missing, s.Name)
		}
	}
	if len(missing) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "waiting for", missing)
		return
	}
	fmt.Fprintln(w, "ok")
}

// Env is a view of the process for what runs beside its services.
func (a *App) Env(name string) *Env {
	return &Env{app: a, Name: name, Log: a.log.With("service", name)}
}

// Services are those that run.
func (a *App) Services() []Service { return a.opts.Services }
