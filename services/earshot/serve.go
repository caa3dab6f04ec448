package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/query"
	"github.com/earshot/earshot/services/classifier"
	"github.com/earshot/earshot/services/desk"
	"github.com/earshot/earshot/services/fetcher"
	"github.com/earshot/earshot/services/indexer"
	"github.com/earshot/earshot/services/pager"
	"github.com/earshot/earshot/services/replier"
)

// services are all there are, in the order of the line.
var services = []app.Service{
	fetcher.Service, classifier.Service, indexer.Service, pager.Service, replier.Service, desk.Service,
}

type serveOptions struct {
	brands   brandFlags
	listen   string
	appStore list
	demo     bool
	speed    float64
}

// brandFlags collects --brand and the --query that may follow it.
type brandFlags []struct{ name, query string }

var serveCommand = command{
	name: "serve", usage: "[SERVICE…]",
	short: "Run Earshot: all services, or those that are named",
	long: `Without a configuration everything runs in this process, with an embedded bus and
index in the data folder, and the desk on http://127.0.0.1:8080. The first start
prints a link that creates the first administrator.

Services: fetcher, classifier, indexer, pager, replier, desk. Several processes
meet on a bus of their own: set bus.url and, unless indexer and desk run together,
search.engine: meilisearch. --listen is then where health and metrics are answered.

--brand sets a brand up unless it is there already, and turns on every source
that needs no credentials: a news search, Hacker News, Bluesky and Mastodon.

  earshot serve --brand Acme
  earshot serve --brand Acme --query '("acme" OR #acme) AND NOT "acme dynamite"'
  earshot serve --demo --speed 60

It runs until it is interrupted (Ctrl-C); started again it goes on where it was.`,
	flags: func(c *call) {
		o := &serveOptions{}
		c.opts = o
		c.fs.StringVar(&o.listen, "listen", "", "`ADDRESS` of the desk; default 127.0.0.1:8080, port 0 picks a free one")
		c.fs.Func("brand", "`NAME` of a brand to listen for; may be repeated", func(s string) error {
			if strings.TrimSpace(s) == "" {
				return errors.New("the name is empty")
			}
			o.brands = append(o.brands, struct{ name, query string }{name: strings.TrimSpace(s)})
			return nil
		})
		c.fs.Func("query", "`EXPRESSION` that finds the brand named before it; default its name", func(s string) error {
			if len(o.brands) == 0 {
				return errors.New("--query follows the --brand it belongs to")
			}
			if _, err := query.Parse(s); err != nil {
				return errors.New(strings.TrimPrefix(err.Error(), "query: "))
			}
			o.brands[len(o.brands)-1].query = s
			return nil
		})
		c.fs.Var(&o.appStore, "app-store", "`NUMBER` of an app whose reviews belong to the first brand; may be repeated")
		c.fs.BoolVar(&o.demo, "demo", false, "replay a made-up day; data in ./data-demo")
		c.fs.Float64Var(&o.speed, "speed", 1, "how many seconds of the demo pass in one (`N`)")
	},
	run: func(ctx context.Context, c *call) error { return serve(ctx, c, c.opts.(*serveOptions)) },
}

func serve(ctx context.Context, c *call, o *serveOptions) error {
	cfg, err := c.file()
	if err != nil {
		return err
	}
	if o.listen != "" {
		cfg.Listen = o.listen
	}
	if o.demo && c.data == "" {
		cfg.Data = "./data-demo"
	}
	chosen, err := choose(c.args, cfg)
	if err != nil {
		return err
	}
	a, err := app.Start(ctx, app.Options{Config: cfg, Services: chosen, Version: version, Log: app.NewLog(c.err, cfg.Log), Sandbox: o.demo})
	if err != nil {
		return err
	}
	if err := prepare(ctx, c, a, cfg, o); err != nil {
		return errors.Join(err, a.Stop())
	}
	return a.Wait()
}

// choose returns the named services, if they can run as configured.
func choose(names []string, cfg config.File) ([]app.Service, error) {
	if len(names) == 0 {
		return services, nil
	}
	var chosen []app.Service
	for _, n := range names {
		i := slices.IndexFunc(services, func(s app.Service) bool { return s.Name == n })
		if i < 0 {
			return nil, usageError(fmt.Sprintf("there is no service %q; want one of %s", n, serviceNames()))
		}
		chosen = append(chosen, services[i])
	}
	if len(chosen) < len(services) && cfg.Bus.URL == "" {
		return nil, errors.New("some services alone need a bus that the others reach: set bus.url in the configuration")
	}
	has := func(n string) bool { return slices.Contains(names, n) }
	if has("pager") && !has("desk") && cfg.URL == "" {
		return nil, errors.New("url: pages link to the desk, which runs elsewhere: set its address in the configuration (EARSHOT_URL)")
	}
	if cfg.Search.Engine == "embedded" && has("indexer") != has("desk") {
		return nil, errors.New("the embedded index lives in one process: run indexer and desk together (earshot serve indexer desk), or set search.engine: meilisearch")
	}
	return chosen, nil
}

func serviceNames() string {
	names := make([]string, len(services))
	for i, s := range services {
		names[i] = s.Name
	}
	return strings.Join(names, ", ")
}

// prepare sets up what was asked for, and says where to go.
func prepare(ctx context.Context, c *call, a *app.App, cfg config.File, o *serveOptions) error {
	if !slices.ContainsFunc(a.Services(), func(s app.Service) bool { return s.Name == "desk" }) {
		return nil // settings are the desk's to write
	}
	env := a.Env("earshot")
	if err := seed(ctx, env.Settings()); err != nil {
		return err
	}
	if o.demo {
		if err := seedDemo(ctx, env, o.speed); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	if err := addBrands(ctx, env.Settings(), o); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "Earshot %s\n  desk        %s\n  data        %s\n", version, env.URL(), cfg.Data)
	if o.demo {
		fmt.Fprintf(c.out, "  sandbox     %s/sandbox  (where replies go)\n  sign in     %s\n", env.URL(), demoSignIn)
		return nil
	}
	return nil
}

var versionCommand = command{
	name: "version", alone: true, short: "Print the version",
	run: func(_ context.Context, c *call) error {
		fmt.Fprintln(c.out, "earshot", version)
		return nil
	},
}

var docsCommand = command{
	name: "docs", alone: true, short: "Print the reference of the configuration as Markdown",
	long: "All keys of the configuration file with type, default and meaning, and the keys of\nevery kind of source and notifier, as earshot apply and the desk take them.",
	run:  func(_ context.Context, c *call) error { return reference(c.out) },
}

var healthCommand = command{
	name: "health", usage: "[URL]", short: "Ask a running instance whether it is ready; for container health checks",
	long: `Asks URL, or /readyz at the address in the configuration (listen). Prints ok, or what
it waits for; the exit status is 0 when it is ready and 1 when it is not.`,
	run: func(ctx context.Context, c *call) error { return health(ctx, c) },
}

var checkCommand = command{
	name: "check", usage: "[FILE]", short: "Check the configuration and print what is in force",
	long: `Reads FILE, or the file given by --config, else the defaults; the environment goes over
all of them (bus.url is EARSHOT_BUS_URL, and so on). Mistakes are named with their
lines, all at once, and the exit status is then 1. Secrets are not printed. What can be
configured: earshot docs.`,
	run: func(_ context.Context, c *call) error {
		switch len(c.args) {
		case 0:
		case 1:
			c.configPath = c.args[0]
		default:
			return usageError("want one file")
		}
		f, err := c.file()
		if err != nil {
			return err
		}
		raw, err := dump(f)
		if err != nil {
			return err
		}
		_, err = c.out.Write(raw)
		return err
	},
}

// commands are the program's, in the order people meet them.
var commands = []command{
	serveCommand, checkCommand, applyCommand, importCommand, classifyCommand, correctionsCommand, trainCommand, qualityCommand, backtestCommand,
	staffCommand, tokenCommand, exportCommand, reindexCommand, eraseCommand, subjectCommand, deadCommand, benchCommand, healthCommand, docsCommand, versionCommand,
}

// terminal tells whether f shows progress well.
func terminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
