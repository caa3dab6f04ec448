package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/embedded"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/search"
)

const (
	aimPage   = 50 * time.Millisecond
	aimShared = 100 * time.Millisecond
	aimStart  = time.Second
	aimMemory = 100 << 20
)

// benchStart is a first start on an empty folder, as a process of its own.
func (b *bench) benchStart(ctx context.Context) error {
	p, err := b.launch(ctx, "empty")
	if err != nil {
		return err
	}
	b.row("start to first page, empty", short(p.first), p.first < aimStart, fmt.Sprintf("< %v", aimStart))
	rss, err := p.idle(ctx, b.o.quick)
	if err == nil {
		b.row("memory idle, empty", megabytes(rss), rss < aimMemory, fmt.Sprintf("< %s", megabytes(aimMemory)))
	}
	return errors.Join(err, p.stop())
}

// benchQueue takes the first page of the queue, as the index answers it and as
// a browser gets it.
func (b *bench) benchQueue(ctx context.Context) error {
	a, err := b.fill(ctx, false)
	if err != nil {
		return err
	}
	index, err := a.Env("bench").Index(ctx)
	if err != nil {
		return err
	}
	rounds := 300
	if b.o.quick {
		rounds = 50
	}
	open := map[search.Field][]string{search.FieldOpen: {search.Yes}}
	for _, view := range []struct {
		name string
		q    search.Query
		path string
		aim  time.Duration
	}{
		{"queue", search.Query{Where: open}, "/queue", aimPage},
		{"queue, newest first", search.Query{Where: open, Sort: search.Newest}, "/queue?sort=newest", aimPage},
		{"queue, searched for 返金", search.Query{Where: open, Text: "返金"}, "/queue?q=返金", 0},
	} {
		q := view.q
		q.Viewer, q.Collapse, q.Limit = search.SeesAll(), true, 50
		var asked, shown []time.Duration
		for range rounds {
			began := time.Now()
			if _, err := index.Search(ctx, q); err != nil {
				return err
			}
			asked = append(asked, time.Since(began))
			began = time.Now()
			if err := page(ctx, a.Addr(), view.path, b.session); err != nil {
				return err
			}
			shown = append(shown, time.Since(began))
		}
		b.spread(view.name+": index", asked, view.aim)
		b.spread(view.name+": page", shown, view.aim)
	}
	return b.shared(ctx, a, index, rounds)
}

// A room at work: so many people have the desk open, so many cases are in hand,
// and something happens to one of these every changeEvery.
const (
	people      = 50
	casesInHand = 200
	changeEvery = 200 * time.Millisecond
)

// shared takes pages while a room of people is at work.
func (b *bench) shared(ctx context.Context, a *app.App, index search.Engine, rounds int) error {
	env := a.Env("bench")
	found, err := index.Search(ctx, search.Query{Viewer: search.SeesAll(), Where: map[search.Field][]string{search.FieldOpen: {search.Yes}}, Limit: casesInHand})
	if err != nil {
		return err
	}
	cases, who := env.Cases(index), benchStaff.Viewer()
	for i := range found.Hits {
		if _, err := cases.Do(ctx, who, found.Hits[i].ID, casework.Claim{}); err != nil {
			return err
		}
	}
	work, stop := context.WithCancel(ctx)
	defer stop()
	var room sync.WaitGroup
	defer room.Wait()
	defer stop()
	heard := make(chan error, people)
	for range people {
		room.Go(func() { heard <- listen(work, a.Addr(), b.session) })
	}
	room.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-work.Done():
				return
			case <-time.After(changeEvery):
			}
			_, _ = cases.Do(work, who, found.Hits[i%len(found.Hits)].ID, casework.AddNote{Text: "x"})
		}
	})
	// All of them hear something before pages are taken.
	for range people {
		select {
		case err := <-heard:
			if err != nil {
				return err
			}
		case <-time.After(time.Minute):
			return errors.New("not everybody hears of changes")
		}
	}
	with := fmt.Sprintf(", %d people, %d cases", people, len(found.Hits))
	for _, view := range []struct{ name, path string }{
		{"queue page" + with, "/queue"},
		{"case page" + with, "/cases/"},
		{"board" + with, "/board"},
		{"search page" + with, "/queue?view=all&q=返金"},
		{"outbox" + with, "/outbox"},
		{"escalations" + with, "/escalations"},
		{"hand-over" + with, "/shift"},
		{"figures" + with, "/figures"},
	} {
		var shown []time.Duration
		for i := range rounds {
			path := view.path
			if path == "/cases/" {
				path += string(found.Hits[i%len(found.Hits)].ID)
			}
			began := time.Now()
			if err := page(ctx, a.Addr(), path, b.session); err != nil {
				return err
			}
			shown = append(shown, time.Since(began))
		}
		b.spread(view.name, shown, aimShared)
	}
	return nil
}

// listen follows the desk's live events until ctx ends. It returns once a change
// was heard, and reads on.
func listen(ctx context.Context, addr, session string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/events", nil)
	if err != nil {
		return err
	}
	req.AddCookie(&http.Cookie{Name: "earshot", Value: session})
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if lines.Text() == "event: changed" {
			go func() {
				defer res.Body.Close()
				for lines.Scan() {
					continue
				}
			}()
			return nil
		}
	}
	return errors.Join(lines.Err(), res.Body.Close(), errors.New("the live events ended"))
}

// benchMemory starts a process on the folder with all mentions, and then loads
// it.
func (b *bench) benchMemory(ctx context.Context) error {
	if _, err := b.fill(ctx, false); err != nil {
		return err
	}
	if err := b.stop(); err != nil {
		return err
	}
	p, err := b.launch(ctx, "full")
	if err != nil {
		return err
	}
	with := fmt.Sprintf(", %d mentions", b.o.mentions)
	b.row("start to first page"+with, short(p.first), p.first < aimStart, fmt.Sprintf("< %v", aimStart))
	rss, err := p.idle(ctx, b.o.quick)
	if err == nil {
		b.row("memory idle"+with, megabytes(rss), true, "")
		rss, err = b.load(ctx, p)
	}
	if err == nil {
		b.row("memory under load"+with, megabytes(rss), true, "")
	}
	return errors.Join(err, p.stop())
}

// load brings mentions into p as fast as it takes them while pages are read, and
// returns the most memory seen.
func (b *bench) load(ctx context.Context, p *process) (most int64, err error) {
	conn, err := bus.Connect(ctx, bus.Options{Dialer: embedded.Dialer(filepath.Join(b.dir, "full", "bus")), Name: "bench", Log: b.log})
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	watch, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for watch.Err() == nil {
			if rss, err := p.memory(); err == nil {
				most = max(most, rss)
			}
			_ = page(watch, p.addr, "/queue", b.session)
			select {
			case <-watch.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	mentions := b.corpus.take(b.o.mentions / 5)
	last, err := bus.Tagged.Last(ctx, conn)
	if err == nil {
		err = hand(ctx, conn, mentions)
	}
	if err == nil {
		err = reach(ctx, conn, last+uint64(len(mentions)))
	}
	stop()
	wg.Wait()
	return most, err
}

// page reads a page of the desk to its end.
func page(ctx context.Context, addr, path, session string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return err
	}
	if session != "" {
		req.AddCookie(&http.Cookie{Name: "earshot", Value: session})
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", path, res.Status)
	case session != "" && strings.HasSuffix(res.Request.URL.Path, "/sign-in"):
		return fmt.Errorf("%s: the session is not taken", path)
	case !bytes.Contains(body, []byte("</html>")):
		return fmt.Errorf("%s: the page is cut off", path)
	}
	return nil
}

// process is the program, started as one of its own.
type process struct {
	cmd   *exec.Cmd
	addr  string
	errs  bytes.Buffer  // what it wrote to standard error; read once it has ended
	first time.Duration // until a page was there
}

// launch starts the program on the folder name and waits for its first page.
func (b *bench) launch(ctx context.Context, name string) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	// Nobody else takes the port in between: it is ours until we let it go.
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &process{addr: l.Addr().String()}
	if err := l.Close(); err != nil {
		return nil, err
	}
	p.cmd = exec.CommandContext(ctx, exe, "serve", "--data", filepath.Join(b.dir, name), "--listen", p.addr)
	p.cmd.Env = append(os.Environ(), "EARSHOT_LOG_LEVEL=warn")
	p.cmd.Stderr = &p.errs
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	for {
		if err = page(ctx, p.addr, "/queue", ""); err == nil {
			p.first = time.Since(began)
			return p, nil
		}
		if ctx.Err() != nil || time.Since(began) > time.Minute {
			return nil, errors.Join(fmt.Errorf("no page within %v: %w", time.Since(began), err), p.stop(), errors.New(p.errs.String()))
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// idle lets the process come to rest, and returns its memory then.
func (p *process) idle(ctx context.Context, quick bool) (int64, error) {
	rest := 15 * time.Second
	if quick {
		rest = 3 * time.Second
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(rest):
	}
	return p.memory()
}

// memory is the process's resident set; 0 where the system does not tell.
func (p *process) memory() (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			return kb << 10, nil
		}
	}
	return 0, errors.New("the system does not tell the process's memory")
}

func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	return p.cmd.Wait()
}

func megabytes(n int64) string { return fmt.Sprintf("%d MB", n>>20) }
