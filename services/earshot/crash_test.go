package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/embedded"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
	"github.com/earshot/earshot/services/earshot/demo"
	"github.com/earshot/earshot/services/indexer"
)

// asProgram makes the test binary the program, for tests that need it as a
// process of its own.
const asProgram = "EARSHOT_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

const (
	crashKills    = 50
	crashMentions = 5000
	crashReplies  = 120
	crashBrand    = "kill"
)

// TestE2EKill kills the whole program again and again while mentions come in
// and replies go out, and then looks whether what it had promised is true:
// each mention that was acknowledged is in the index once and with a verdict,
// no reply is out twice, none is lost, and the histories of cases are whole.
func TestE2EKill(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("EARSHOT_TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("EARSHOT_TEST_SEED=%d kills at the same moments", seed)
	c := newCrash(t)
	c.start()
	c.connect()
	c.furnish()

	flow, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { c.follow(flow) })
	wg.Go(func() { c.publish(flow) })
	wg.Go(func() { c.answer(flow) })

	moments := rand.New(rand.NewPCG(seed, 0))
	for range crashKills {
		// Every fourth kill hits the program while it starts.
		span := 2000 * time.Millisecond
		if moments.IntN(4) == 0 {
			span = 400 * time.Millisecond
		}
		time.Sleep(time.Duration(moments.Int64N(int64(span))))
		c.kill()
		c.start()
	}
	t.Logf("%d kills; %d mentions acknowledged, %d replies asked for", crashKills, c.acknowledged.Load(), c.asked.Load())

	c.settle()
	stop()
	wg.Wait()
	c.checkTagged()
	c.checkCases()
	c.stopGently()
	c.checkTimeline()
	c.checkIndex()
}

// crash is a program that is killed, and what its surroundings know of it.
type crash struct {
	t    *testing.T
	data string
	cmd  *exec.Cmd
	log  *bytes.Buffer

	bus      *bus.Conn
	settings *settings.Store
	cases    *casework.Store
	agent    identity.Viewer

	mentions     []*mention.Mention
	acknowledged atomic.Int64
	asked        atomic.Int64

	mu     sync.Mutex
	tagged map[mention.ID][]uint64
	sends  map[mention.ID]bool // send was acknowledged
}

func newCrash(t *testing.T) *crash {
	c := &crash{t: t, data: t.TempDir(), log: &bytes.Buffer{}, tagged: map[mention.ID][]uint64{}, sends: map[mention.ID]bool{}}
	var posts []mention.Post
	for p, err := range demo.Posts() {
		if err != nil {
			t.Fatal(err)
		}
		posts = append(posts, p.Post)
	}
	now := time.Now().UTC()
	for i := range crashMentions {
		p := posts[i%len(posts)]
		p.Platform, p.Source, p.Intake = "sandbox", "sandbox", mention.Live
		p.NativeID = fmt.Sprintf("%s-%d", p.NativeID, i)
		p.PublishedAt, p.SeenAt, p.EditedAt = now, now, time.Time{}
		m := mention.Of(crashBrand, p)
		c.mentions = append(c.mentions, &m)
	}
	t.Cleanup(func() {
		c.kill()
		if c.bus != nil {
			c.bus.Close()
		}
		if t.Failed() {
			t.Logf("the end of the program's log:\n%s", c.log.Bytes()[max(0, c.log.Len()-8000):])
		}
	})
	return c
}

func (c *crash) start() {
	exe, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	c.cmd = exec.Command(exe, "serve", "--data", c.data, "--listen", "127.0.0.1:0")
	c.cmd.Env = append(os.Environ(), asProgram+"=1", "EARSHOT_LOG_LEVEL=warn")
	c.cmd.Stdout, c.cmd.Stderr = io.Discard, c.log
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
}

// kill ends the program as a crash would, and waits until it is gone. One that
// had ended by itself is a failure.
func (c *crash) kill() {
	if c.cmd == nil {
		return
	}
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
	if st, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !st.Signaled() {
		c.t.Errorf("the program ended by itself: %v", c.cmd.ProcessState)
	}
	c.cmd = nil
}

func (c *crash) stopGently() {
	c.bus.Close()
	c.bus = nil
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	if err := c.cmd.Wait(); err != nil {
		c.t.Errorf("the program did not stop cleanly: %v", err)
	}
	c.cmd = nil
}

// connect reaches the program through its socket, as the command line does. The
// connection comes back by itself after a kill.
func (c *crash) connect() {
	folder := filepath.Join(c.data, "bus")
	began := time.Now()
	for !embedded.Running(folder) {
		if time.Since(began) > 30*time.Second {
			c.t.Fatal("the program does not start")
		}
		time.Sleep(5 * time.Millisecond)
	}
	c.t.Logf("bus up after %v", time.Since(began))
	ctx, log := c.t.Context(), slog.New(slog.DiscardHandler)
	conn, err := bus.Connect(ctx, bus.Options{Dialer: embedded.Dialer(folder), Name: "test", Log: log})
	if err != nil {
		c.t.Fatal(err)
	}
	c.bus = conn
	c.again("declare", func() error { return conn.Declare(ctx) })
	c.again("settings", func() (err error) {
		c.settings, err = settings.Open(ctx, conn, log)
		return err
	})
	src := casework.Source{
		Tagged: func(_ context.Context, id mention.ID) ([]uint64, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			return slices.Clone(c.tagged[id]), nil
		},
		Triage: func(m *mention.Mention, v *mention.Verdict) casework.Triage {
			return c.settings.Triage(m, v, casework.Signals{})
		},
		Template: func(string) (casework.Template, bool) { return casework.Template{}, false },
		Rules:    func() casework.Rules { return casework.Rules{Rows: []casework.Rule{{Needs: false}}} },
		Check:    func(*casework.State, *casework.Draft) error { return nil },
		Hold:     func(string, string) time.Duration { return 0 },
	}
	c.cases = casework.NewStore(conn, src, nil, log)
}

// again does until it works.
func (c *crash) again(what string, do func() error) {
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := do()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (c *crash) furnish() {
	ctx := c.t.Context()
	person := identity.Staff{
		ID: "agent", Email: "agent@example.com", Name: "Agent",
		Grants: []identity.Grant{{Role: identity.Agent, Brands: []string{crashBrand}}},
	}
	c.agent = person.Viewer()
	brand := settings.Brand{ID: crashBrand, Name: "Kill", Query: `"kill"`, HoldSeconds: -1}
	from := settings.Source{ID: "sandbox", Name: "Sandbox", Kind: "sandbox", Config: json.RawMessage(`{"dir":"sandbox"}`)}
	for _, err := range []error{
		settings.Brands.Put(ctx, c.settings, identity.ActorConsole, brand.ID, 0, brand),
		settings.Staff.Put(ctx, c.settings, identity.ActorConsole, person.ID, 0, person),
		settings.Sources.Put(ctx, c.settings, identity.ActorConsole, from.ID, 0, from),
	} {
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

// publish hands all mentions over, each again until it is acknowledged.
func (c *crash) publish(ctx context.Context) {
	const batch = 10
	for at := range slices.Chunk(c.mentions, batch) {
		for ctx.Err() == nil {
			try, cancel := context.WithTimeout(ctx, 3*time.Second)
			err := bus.Mentions.Publish(try, c.bus, at...)
			cancel()
			if err == nil {
				break
			}
			pause(ctx, 20*time.Millisecond)
		}
		c.acknowledged.Add(int64(len(at)))
		pause(ctx, 80*time.Millisecond)
	}
}

// follow notes where in TAGGED each mention is.
func (c *crash) follow(ctx context.Context) {
	next := uint64(1)
	for ctx.Err() == nil {
		_ = bus.Tagged.Follow(ctx, c.bus, next, 100, func(_ context.Context, batch []bus.Entry[mention.Tagged]) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, e := range batch {
				id := e.Value.Mention.ID
				c.tagged[id] = append(c.tagged[id], e.Seq)
				next = e.Seq + 1
			}
			return nil
		})
		pause(ctx, 100*time.Millisecond)
	}
}

// answer replies to some of the mentions as a person at the desk would.
func (c *crash) answer(ctx context.Context) {
	step := len(c.mentions) * 9 / 10 / crashReplies
	for i := range crashReplies {
		id := c.mentions[i*step].ID
		for ctx.Err() == nil {
			try, cancel := context.WithTimeout(ctx, 5*time.Second)
			done, err := c.reply(try, id)
			cancel()
			if done {
				c.asked.Add(1)
				break
			}
			if r, ok := errors.AsType[*casework.Refused](err); ok {
				c.t.Errorf("case %s: %s: %v", id, r.Code, r)
				return
			}
			pause(ctx, 50*time.Millisecond)
		}
	}
}

// reply takes the next step on a case, and tells when the reply has been asked
// for: a command whose answer was lost may have been taken.
func (c *crash) reply(ctx context.Context, id mention.ID) (done bool, err error) {
	s, err := c.cases.Get(ctx, c.agent, id)
	if err != nil {
		return false, err
	}
	var cmd casework.Command
	switch {
	case s.Outgoing != nil || len(s.Replies) > 0:
		c.mu.Lock()
		c.sends[id] = true
		c.mu.Unlock()
		return true, nil
	case s.Holder == "":
		cmd = casework.Claim{}
	case s.Draft == nil:
		cmd = casework.Write{Text: "ご不便をおかけしております。We are looking into it.", Account: "sandbox"}
	default:
		cmd = casework.Send{Hash: s.Hash(s.Draft)}
	}
	_, err = c.cases.Do(ctx, c.agent, id, cmd)
	return false, err
}

// settle waits until nothing is under way any more.
func (c *crash) settle() {
	began := time.Now()
	deadline := began.Add(5 * time.Minute)
	indexed := time.Duration(0)
	for waiting := "publishing"; waiting != ""; {
		if time.Now().After(deadline) {
			c.t.Errorf("still %s after %v", waiting, time.Since(began))
			return
		}
		time.Sleep(200 * time.Millisecond)
		ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
		waiting = c.waiting(ctx)
		cancel()
		if indexed == 0 && waiting == "waiting for replies" {
			indexed = time.Since(began)
		}
	}
	c.t.Logf("after the last kill: all indexed after %v, all replies settled after %v", indexed, time.Since(began))
}

func (c *crash) waiting(ctx context.Context) string {
	if c.acknowledged.Load() < crashMentions || c.asked.Load() < crashReplies {
		return "publishing"
	}
	st, err := bus.Ask[struct{}, indexer.Status](ctx, c.bus, "indexer", "status", struct{}{})
	if err != nil {
		return "asking the indexer: " + err.Error()
	}
	if st.Documents < crashMentions {
		return fmt.Sprintf("indexing: %d documents", st.Documents)
	}
	for stream, last := range st.Last {
		if st.Positions[stream] < last {
			return "indexing " + stream
		}
	}
	for id := range c.sends {
		s, ok, err := c.cases.Touched(ctx, id)
		if err != nil || !ok || s.Outgoing != nil && !s.Outgoing.Unsure {
			return "waiting for replies"
		}
	}
	return ""
}

// checkTagged: one message for each mention, revision and pass.
func (c *crash) checkTagged() {
	seen := map[string]int{}
	err := bus.Tagged.Replay(c.t.Context(), c.bus, 1, 500, func(_ context.Context, batch []bus.Entry[mention.Tagged]) error {
		for _, e := range batch {
			if e.Err != nil {
				c.t.Errorf("TAGGED %d: %v", e.Seq, e.Err)
			}
			seen[fmt.Sprintf("%s.%d", e.Value.Mention.MessageID(), e.Value.Verdict.Pass)]++
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, m := range c.mentions {
		if n := seen[m.MessageID()+".0"]; n != 1 {
			c.t.Errorf("mention %s is %d times in TAGGED, want once", m.ID, n)
		}
	}
	if len(seen) != len(c.mentions) {
		c.t.Errorf("TAGGED holds %d mentions, want %d", len(seen), len(c.mentions))
	}
	if dead, err := c.bus.DeadLetters(c.t.Context()); err != nil || len(dead) > 0 {
		c.t.Errorf("%d dead letters, want none; error %v", len(dead), err)
	}
}

// checkCases: whole histories, and exactly one reply wherever one was asked for.
func (c *crash) checkCases() {
	events := map[string]bool{}
	cases := map[mention.ID]bool{}
	err := casework.Events().Replay(c.t.Context(), c.bus, 1, 500, func(_ context.Context, batch []bus.Entry[casework.Event]) error {
		for _, e := range batch {
			if e.Err != nil || events[e.Value.ID] {
				c.t.Errorf("CASES %d: twice or unreadable: %v", e.Seq, e.Err)
			}
			events[e.Value.ID] = true
			cases[mention.ID(e.Key)] = true
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	unsure := 0
	for id := range cases {
		s, _, err := c.cases.Touched(c.t.Context(), id)
		switch {
		case err != nil:
			c.t.Fatal(err)
		case s.ReadOnly != "" || s.History[0].Kind != casework.Opened || !slices.IsSortedFunc(s.History, func(a, b casework.Event) int { return int(a.Seq) - int(b.Seq) }):
			c.t.Errorf("case %s: its history is not whole: %+v", id, s.History)
		case s.Outgoing != nil && s.Outgoing.Unsure:
			unsure++
		case c.sends[id] && len(s.Replies) != 1:
			c.t.Errorf("case %s has %d replies, want 1", id, len(s.Replies))
		}
	}
	if unsure > 0 {
		c.t.Errorf("%d replies are unsure, on a platform that knows our keys", unsure)
	}
	c.t.Logf("%d cases, %d events", len(cases), len(events))
}

// checkTimeline: no reply is out twice, and each that was asked for is.
func (c *crash) checkTimeline() {
	entries, err := source.Timeline(filepath.Join(c.data, "sandbox"))
	if err != nil {
		c.t.Fatal(err)
	}
	keys, targets := map[string]int{}, map[string]int{}
	for _, e := range entries {
		keys[e.Key]++
		targets[e.To]++
		if keys[e.Key] > 1 || targets[e.To] > 1 {
			c.t.Errorf("reply to %s is out %d times, its key %d times", e.To, targets[e.To], keys[e.Key])
		}
	}
	if len(entries) != len(c.sends) {
		c.t.Errorf("%d replies are out, want the %d that were sent", len(entries), len(c.sends))
	}
}

// checkIndex: each mention once, with its verdict.
func (c *crash) checkIndex() {
	index, err := search.OpenSQLite(filepath.Join(c.data, "index"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer index.Close()
	if fresh, err := index.Ensure(c.t.Context()); err != nil || fresh {
		c.t.Fatalf("the index is gone: fresh %t, error %v", fresh, err)
	}
	stats, err := index.Stats(c.t.Context())
	if err != nil || stats.Documents != crashMentions {
		c.t.Errorf("the index holds %d documents, want %d; error %v", stats.Documents, crashMentions, err)
	}
	for at := range slices.Chunk(c.mentions, 500) {
		ids := make([]mention.ID, len(at))
		for i, m := range at {
			ids[i] = m.ID
		}
		docs, err := index.Get(c.t.Context(), search.SeesAll(), ids...)
		if err != nil {
			c.t.Fatal(err)
		}
		if len(docs) != len(ids) {
			c.t.Errorf("%d of %d mentions are in the index", len(docs), len(ids))
		}
		for _, d := range docs {
			if d.Sentiment == search.None || d.Disposition == search.None || d.Text == "" {
				c.t.Errorf("mention %s is without a verdict or text: %+v", d.ID, d)
			}
			if want := len(c.tagged[d.ID]); len(d.Tagged) != want {
				c.t.Errorf("mention %s: sequences %v in the index, want %v", d.ID, d.Tagged, c.tagged[d.ID])
			}
			if c.sends[d.ID] && d.Status != string(casework.WaitingCustomer) {
				c.t.Errorf("mention %s was answered and is shown as %s", d.ID, d.Status)
			}
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
