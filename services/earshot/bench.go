package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/classify"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/services/earshot/demo"
)

type benchOptions struct {
	quick    bool
	mentions int
	only     string
}

// benches are the parts of the bench, in their order.
var benches = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"start", (*bench).benchStart},
	{"listen", (*bench).benchListen},
	{"tagged", (*bench).benchTagged},
	{"visible", (*bench).benchVisible},
	{"latency", (*bench).benchLatency},
	{"queue", (*bench).benchQueue},
	{"memory", (*bench).benchMemory},
}

var benchCommand = command{
	name:  "bench",
	alone: true,
	short: "Measure throughput, latency, start and memory on this machine",
	long: `Runs on folders of its own in the system's place for temporary files and removes
them. Rates are also given as shares of U, the rate of asynchronous JetStream
publishing without message ids: same server, same size of message, same run.
docs/run/performance.md says how each figure is taken and what to expect.

Parts: start, listen, tagged, visible, latency, queue, memory.`,
	flags: func(c *call) {
		o := &benchOptions{}
		c.opts = o
		c.fs.BoolVar(&o.quick, "quick", false, "a tenth of the mentions, shorter measurements")
		c.fs.IntVar(&o.mentions, "mentions", 0, "`N` mentions in the index; default 100000")
		c.fs.StringVar(&o.only, "only", "", "`PART` to measure alone")
	},
	run: func(ctx context.Context, c *call) error { return runBench(ctx, c, c.opts.(*benchOptions)) },
}

func runBench(ctx context.Context, c *call, o *benchOptions) (err error) {
	if len(c.args) > 0 {
		return usageError("wants no arguments")
	}
	if o.mentions == 0 {
		if o.mentions = 100_000; o.quick {
			o.mentions /= 10
		}
	}
	if o.mentions < 1000 {
		return usageError("--mentions: want at least 1000")
	}
	dir, err := os.MkdirTemp("", "earshot-bench-")
	if err != nil {
		return err
	}
	b := &bench{o: o, out: c.out, dir: dir, log: slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	b.usage = prometheus.NewRegistry()
	b.usage.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer func() { err = errors.Join(err, b.stop(), os.RemoveAll(dir)) }()
	if b.corpus, err = newCorpus(); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "earshot %s, %s %s/%s, %d processors, %d mentions\n\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), o.mentions)
	found := false
	for _, part := range benches {
		if o.only != "" && o.only != part.name {
			continue
		}
		found = true
		if err := part.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	if !found {
		return usageError(fmt.Sprintf("there is no part %q", o.only))
	}
	return nil
}

// bench is one run of the command.
type bench struct {
	o      *benchOptions
	out    io.Writer
	dir    string
	log    *slog.Logger
	corpus *corpus
	usage  *prometheus.Registry

	// app is the instance with all mentions, once something asked for it;
	// session opens its desk.
	app     *app.App
	session string
}

// row prints a line of the table. Aim is empty where there is none.
func (b *bench) row(what, figure string, good bool, aim string) {
	verdict := ""
	switch {
	case aim == "":
	case good:
		verdict = "ok"
	default:
		verdict = "missed"
	}
	fmt.Fprintf(b.out, "%-40s %32s   %-12s %s\n", what, figure, aim, verdict)
}

// processor returns the seconds of processor time that the process has used, or
// 0 where the system does not tell.
func (b *bench) processor() float64 {
	all, err := b.usage.Gather()
	if err != nil {
		return 0
	}
	for _, f := range all {
		if f.GetName() == "process_cpu_seconds_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return 0
}

// spread prints a median and a 99th percentile, of which the latter has an aim
// unless that is 0.
func (b *bench) spread(what string, took []time.Duration, aim time.Duration) {
	slices.Sort(took)
	p50, p99 := took[len(took)/2], took[len(took)*99/100]
	want := ""
	if aim > 0 {
		want = fmt.Sprintf("p99 < %v", aim)
	}
	b.row(what, fmt.Sprintf("p50 %s  p99 %s", short(p50), short(p99)), p99 < aim, want)
}

func short(d time.Duration) string { return fmt.Sprintf("%.3g ms", float64(d.Microseconds())/1000) }

// config is that of an instance whose data lies in the folder name.
func (b *bench) config(name string) config.File {
	f := config.Default()
	f.Data, f.Listen = filepath.Join(b.dir, name), "127.0.0.1:0"
	return f
}

// open starts an instance with a brand and somebody who may do everything.
func (b *bench) open(ctx context.Context, name string, run ...app.Service) (*app.App, error) {
	a, err := app.Start(ctx, app.Options{Config: b.config(name), Services: run, Version: version, Log: b.log})
	if err != nil {
		return nil, err
	}
	s := a.Env("bench").Settings()
	err = errors.Join(
		create(ctx, s, settings.Brands, benchBrand, settings.Brand{ID: benchBrand, Name: "Bench", Query: `"bench"`}),
		create(ctx, s, settings.Staff, benchStaff.ID, benchStaff),
		create(ctx, s, settings.Notifiers, "drill", settings.Notifier{ID: "drill", Name: "Drill", Kind: "sandbox"}))
	if err != nil {
		return nil, errors.Join(err, a.Stop())
	}
	return a, nil
}

const benchBrand = "bench"

var benchStaff = identity.Staff{
	ID: "bench", Email: "bench@example.com", Name: "Bench",
	Grants: []identity.Grant{{Role: identity.PRLead, Brands: []string{identity.AllBrands}}},
}

// stop ends the instance with all mentions, if it runs.
func (b *bench) stop() error {
	if b.app == nil {
		return nil
	}
	err := b.app.Stop()
	b.app = nil
	return err
}

// corpus makes as many different mentions as are wanted of the posts of the
// demo: each is one of them and another, short one. It leaves out what would
// page somebody, for an ordinary day, on which pages are rare.
type corpus struct {
	judge *classify.Classifier
	posts []mention.Post
	tails []string
	next  int
}

func newCorpus() (*corpus, error) {
	judge, err := classify.New(classify.Options{})
	if err != nil {
		return nil, err
	}
	c := &corpus{judge: judge}
	for p, err := range demo.Posts() {
		if err != nil {
			return nil, err
		}
		c.posts = append(c.posts, p.Post)
		if n := utf8.RuneCountInString(p.Post.Text); n > 0 && n < 60 {
			c.tails = append(c.tails, p.Post.Text)
		}
	}
	return c, nil
}

// take returns n mentions that were never taken before, seen now and published
// in the hour before.
func (c *corpus) take(n int) []*mention.Mention {
	now := time.Now().UTC()
	out := make([]*mention.Mention, 0, n)
	for ; len(out) < n; c.next++ {
		k := c.next
		p := c.posts[k%len(c.posts)]
		p.Text += "\n" + c.tails[(k/len(c.posts)*7+k)%len(c.tails)]
		p.NativeID = fmt.Sprintf("%s.%d", p.NativeID, k)
		p.Author.ID = fmt.Sprintf("%s.%d", p.Author.ID, k%5000)
		p.Source, p.Intake = "bench", mention.Live
		p.PublishedAt, p.SeenAt = now.Add(-time.Duration(k%3600)*time.Second), now
		m := mention.Of(benchBrand, p)
		if !c.judge.Verdict(&m).Page {
			out = append(out, &m)
		}
	}
	return out
}
