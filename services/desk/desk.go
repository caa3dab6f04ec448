// Package desk is the web desk and its HTTP API: pages made on the server with
// html/template, a few hundred lines of plain JavaScript for what is live, and
// one table of routes that says who may use which.
package desk

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// Service is the desk as a process runs it. Any number may run.
var Service = app.Service{Name: "desk", Run: run}

// setupLife is how long the first administrator's link is good.
const setupLife = 24 * time.Hour

func run(ctx context.Context, env *app.Env) error {
	index, err := env.Index(ctx)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	signer, err := env.Signer(ctx)
	if err != nil {
		return fmt.Errorf("signing key: %w", err)
	}
	board, err := escalation.OpenBoard(ctx, env.Bus(), env.Log)
	if err != nil {
		return err
	}
	vault, err := settings.OpenVault(filepath.Join(env.Config().Data, "keys"), "desk")
	if err == nil {
		err = env.Gate().UseVault(vault)
	}
	if err != nil {
		return err
	}
	d, err := New(Options{
		Bus: env.Bus(), Index: index, Cases: env.Cases(index), Board: board, Settings: env.Settings(), Gate: env.Gate(), Signer: signer,
		HTTP: env.HTTP(), Log: env.Log, Now: env.Now, URL: env.URL(), Public: strings.TrimSuffix(env.Config().URL, "/"), Version: env.Version(),
		Data: env.Config().Data, Sandbox: env.Sandbox(), MaxBody: int64(env.Config().Limits.IntakeBody), IntakeRate: env.Config().Limits.IntakeRate,
		SignIn: env.Config().SignIn, Templates: os.Getenv("EARSHOT_DEV_TEMPLATES"),
	})
	if err != nil {
		return err
	}
	if err := d.Listen(ctx); err != nil {
		return err
	}
	d.checkEmergency()
	env.Serve(d.Handler())
	if err := d.Welcome(ctx, os.Stderr); err != nil {
		return err
	}
	env.Ready()
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { // the first pages don't wait for it: it reads the whole index
		start := time.Now()
		if err := search.Warm(ctx, index); err != nil && ctx.Err() == nil {
			env.Log.Warn("the first figures will take longer", "error", err)
			return
		}
		env.Log.Debug("figures are ready", "took", time.Since(start))
	})
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := env.Gate().Sweep(ctx); err != nil {
				env.Log.Warn("old sessions not removed; trying again in an hour", "error", err)
			}
		}
	}
}

// Options are what a desk stands on.
type Options struct {
	Bus      *bus.Conn
	Index    search.Engine
	Cases    *casework.Store
	Board    *escalation.Board
	Settings *settings.Store
	Gate     *identity.Gate
	Signer   *identity.Signer
	HTTP     *outbound.Client
	Log      *slog.Logger
	Now      func() time.Time
	// URL is where people reach the desk, without a slash at the end.
	URL string
	// Public is URL if it was configured, and empty if it is only what the
	// process makes of the address it listens on.
	Public  string
	Version string
	Data    string // folder of the process, for the sandbox's timeline
	Sandbox bool
	MaxBody int64 // largest request without attachments, in bytes
	// IntakeRate is how many posts a minute the intake takes from each token;
	// 0 for any number.
	IntakeRate int
	SignIn     config.SignIn
	// Templates is a folder to read templates from at every request, for
	// those who work on them; empty for the ones built in.
	Templates string
}

// Desk answers requests. It is safe for concurrent use.
type Desk struct {
	Options
	pages *renderer
	live  *hub
	table []route

	provider *provider // nil without one

	hooks   hooks
	senders senders
	weekly  weekly
	viewed  viewCounts
	figures judgedCache
}

// New makes a desk.
func New(o Options) (*Desk, error) {
	pages, err := newRenderer(o.Templates)
	if err != nil {
		return nil, err
	}
	provider, err := newProvider(&o)
	if err != nil {
		return nil, err
	}
	d := &Desk{Options: o, pages: pages, provider: provider}
	d.live, d.table = newHub(d), d.routes()
	return d, nil
}

// Listen follows what the other services tell, until ctx ends.
func (d *Desk) Listen(ctx context.Context) error { return d.live.listen(ctx) }

// Welcome prints the link by which the first administrator is made, if there
// is nobody yet.
func (d *Desk) Welcome(ctx context.Context, out io.Writer) error {
	if d.Sandbox || len(settings.Staff.All(d.Settings)) > 0 { // the demo brings its own staff
		return nil
	}
	secret, err := d.Gate.IssueLink(ctx, identity.Setup, identity.SetupSubject, setupLife)
	if err != nil {
		return fmt.Errorf("first administrator: %w", err)
	}
	_, err = fmt.Fprintf(out, "\n  Nobody can sign in yet. Make the first administrator here (good once, for 24 hours):\n\n    %s/setup/%s\n\n", d.URL, secret)
	return err
}

// secure tells whether people reach the desk over TLS.
func (d *Desk) secure() bool { return strings.HasPrefix(d.URL, "https://") }

// sandboxFolder is where the sandbox platform keeps its timeline.
func (d *Desk) sandboxFolder() string { return filepath.Join(d.Data, "sandbox") }

// newID is a random id for things that people make.
func newID() string {
	var raw [10]byte
	_, _ = rand.Read(raw[:])
	return strings.ToLower(base32.StdEncoding.EncodeToString(raw[:]))
}

// Handler serves all pages and the API.
func (d *Desk) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range d.table {
		mux.Handle(r.pattern, d.adapt(r))
	}
	for pattern, h := range d.bare() {
		mux.Handle(pattern, h)
	}
	guard := http.NewCrossOriginProtection()
	guard.AddInsecureBypassPattern(hookPattern) // no cookie counts there
	guard.SetDenyHandler(d.adapt(route{need: identity.Anyone, handle: func(*call) error { return errCrossSite }}))
	return guard.Handler(mux)
}
