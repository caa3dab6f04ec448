package bus_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/embedded"
	"github.com/earshot/earshot/pkg/mention"
)

// setup starts a real server of the test's own.
func setup(t *testing.T, change func(*bus.Options)) *bus.Conn {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	srv, err := embedded.Start(t.TempDir(), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	o := bus.Options{InProcess: srv, Name: "test", Log: log}
	if change != nil {
		change(&o)
	}
	c, err := bus.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Declare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func sample(n int) *mention.Mention {
	m := mention.Of("acme", mention.Post{
		Platform: "mastodon", NativeID: fmt.Sprint("post/", n), Kind: mention.KindPost, Intake: mention.Live,
		Text: fmt.Sprintf("アクメのケトルから煙が出た %d", n), SeenAt: time.UnixMilli(1_790_000_000_000 + int64(n)),
		Metrics: mention.Metrics{Likes: mention.Count(3)},
	})
	return &m
}

func TestPublishDropsARetryAndKeepsAnEdit(t *testing.T) {
	t.Parallel()
	c := setup(t, nil)
	edited := *sample(1)
	edited.Text += "!"
	edit := mention.Of("acme", edited.Post)
	fresh, err := bus.Mentions.PublishNew(t.Context(), c, sample(1), sample(1), &edit)
	if err != nil {
		t.Fatal(err)
	}
	if want := []bool{true, false, true}; fmt.Sprint(fresh) != fmt.Sprint(want) {
		t.Errorf("new = %v, want %v", fresh, want)
	}
}

func TestPublishToAFullStreamSaysSo(t *testing.T) {
	t.Parallel()
	c := setup(t, func(o *bus.Options) { o.MaxBytes = 4096 })
	for n := range 100 {
		if err := bus.Mentions.Publish(t.Context(), c, sample(n)); err != nil {
			if !errors.Is(err, bus.ErrFull) {
				t.Fatalf("error %v, want ErrFull", err)
			}
			return
		}
	}
	t.Error("100 mentions fit into 4 KiB")
}

// However often a handler asks for a wait, the message is not given up for it,
// and errors after that are counted from one.
func TestWaitsDoNotCount(t *testing.T) {
	t.Parallel()
	c := setup(t, nil)
	if err := bus.Mentions.Publish(t.Context(), c, sample(0)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	const waits = 80 // more than 32 times the attempts
	tries := 0
	err := bus.Mentions.Consume(ctx, c, bus.Consumer{Durable: "test-v1", Filter: bus.LiveMentions, Attempts: 2},
		bus.Each(func(_ context.Context, m *bus.Msg[mention.Mention]) error {
			switch tries++; {
			case tries <= waits:
				return bus.After(nil, time.Millisecond)
			case tries == waits+1:
				return errors.New("not yet")
			}
			time.AfterFunc(200*time.Millisecond, cancel)
			return nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	letters, err := c.DeadLetters(t.Context())
	if err != nil || len(letters) != 0 || tries != waits+2 {
		t.Errorf("%d tries, dead letters %+v, %v", tries, letters, err)
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	c := setup(t, nil)
	var msgs []*mention.Mention
	for n := range 5 {
		msgs = append(msgs, sample(n))
	}
	if err := bus.Mentions.Publish(t.Context(), c, msgs...); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var (
		mu    sync.Mutex
		tries = map[string]int{}
	)
	err := bus.Mentions.Consume(ctx, c, bus.Consumer{Durable: "test-v1", Filter: bus.LiveMentions, Attempts: 2},
		bus.Each(func(_ context.Context, m *bus.Msg[mention.Mention]) error {
			mu.Lock()
			defer mu.Unlock()
			id := m.Value.NativeID
			tries[id]++
			if tries["post/0"] >= 1 && tries["post/1"] >= 2 && tries["post/2"] >= 2 && tries["post/3"] >= 1 && tries["post/4"] >= 2 {
				time.AfterFunc(200*time.Millisecond, cancel)
			}
			switch id {
			case "post/1":
				if tries[id] == 1 {
					return errors.New("not yet")
				}
			case "post/2":
				if tries[id] == 1 {
					return bus.After(nil, 300*time.Millisecond)
				}
			case "post/3":
				return bus.Permanent(errors.New("never"))
			case "post/4":
				return errors.New("not yet, and never")
			}
			return nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	letters, err := c.DeadLetters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(letters) != 2 || letters[0].Error != "never" || letters[1].Error != "not yet, and never" || letters[1].Attempts != 2 {
		t.Fatalf("dead letters %+v", letters)
	}
	if one, two := letters[0].Cause(), letters[1].Cause(); one != bus.CauseRefused || two != bus.CauseFailing {
		t.Errorf("causes %s, %s", one, two)
	}
	if err := c.RetryDead(t.Context(), letters[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := c.DropDead(t.Context(), letters[1].ID); err != nil {
		t.Fatal(err)
	}
	if letters, _ = c.DeadLetters(t.Context()); len(letters) != 0 {
		t.Errorf("letters left: %+v", letters)
	}
	again, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	var came atomic.Value
	_ = bus.Mentions.Consume(again, c, bus.Consumer{Durable: "test-v1", Filter: bus.LiveMentions},
		bus.Each(func(_ context.Context, m *bus.Msg[mention.Mention]) error {
			came.Store(m.Value)
			stop()
			return nil
		}))
	if m, _ := came.Load().(mention.Mention); m.NativeID != "post/3" || *m.Metrics.Likes != 3 {
		t.Errorf("the retried letter came as %+v", m)
	}
}

type note struct {
	ID, Text string
	Seq      uint64
}

var notes = bus.NewJournal(bus.Cases, bus.Codec[note]{
	Encode: func(dst []byte, v *note) ([]byte, error) {
		b, err := json.Marshal(v)
		return append(dst, b...), err
	},
	Decode: func(b []byte, v *note) error { return json.Unmarshal(b, v) },
}, func(n *note) (string, *uint64) { return n.ID, &n.Seq })

func TestJournal(t *testing.T) {
	t.Parallel()
	c := setup(t, nil)
	ctx := t.Context()
	if events, last, err := notes.Read(ctx, c, "a"); err != nil || len(events) != 0 || last != 0 {
		t.Fatalf("empty journal: %v %d %v", events, last, err)
	}
	var last uint64
	for n := range 1300 { // more than two batches
		seq, err := notes.Append(ctx, c, "a", last, &note{ID: fmt.Sprint(n)})
		if err != nil {
			t.Fatal(err)
		}
		last = seq
	}
	events, got, err := notes.Read(ctx, c, "a")
	if err != nil || len(events) != 1300 || got != last || events[1299].Seq != last {
		t.Fatalf("%d events, last %d, %v; want 1300, %d", len(events), got, err, last)
	}
	if _, err := notes.Append(ctx, c, "a", last-1, &note{ID: "late"}); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("a late append gives %v, want ErrConflict", err)
	}
	// The answer to an append was lost and the caller tries again.
	if seq, err := notes.Append(ctx, c, "a", last-1, &note{ID: "1299"}); err != nil || seq != last {
		t.Errorf("append that has won already: %d %v, want %d", seq, err, last)
	}
	other := &note{ID: "b1"}
	if err := notes.AppendAll(ctx, c, bus.Keyed[note]{"a", last, &note{ID: "m1"}}, bus.Keyed[note]{"b", 0, other}); err != nil {
		t.Fatal(err)
	}
	if err := notes.AppendAll(ctx, c, bus.Keyed[note]{"a", last, &note{ID: "m2"}}, bus.Keyed[note]{"b", other.Seq, &note{ID: "b2"}}); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("a batch with one late append gives %v, want ErrConflict", err)
	}
	if events, _, _ := notes.Read(ctx, c, "b"); len(events) != 1 || events[0].Seq != other.Seq {
		t.Errorf("events of b: %+v", events)
	}
	var old []uint64
	events, _, _ = notes.Read(ctx, c, "a")
	for _, e := range events[:len(events)-2] {
		old = append(old, e.Seq)
	}
	if err := notes.Erase(ctx, c, old...); err != nil {
		t.Fatal(err)
	}
	if events, _, _ := notes.Read(ctx, c, "a"); len(events) != 2 {
		t.Errorf("%d events after the erasure, want the last two", len(events))
	}
	var followed []string
	err = notes.Replay(ctx, c, 1, 10, func(_ context.Context, batch []bus.Entry[note]) error {
		for _, e := range batch {
			followed = append(followed, e.Key+e.Value.ID)
		}
		return nil
	})
	if err != nil || fmt.Sprint(followed) != "[a1299 am1 bb1]" {
		t.Errorf("replay: %v %v", followed, err)
	}
}

func TestTailGoesOnAfterAnInterruption(t *testing.T) {
	t.Parallel()
	c := setup(t, nil)
	ctx := t.Context()
	if _, err := notes.Append(ctx, c, "a", 0, &note{ID: "1"}); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 10)
	failed := false
	err := notes.Tail(ctx, c, 10, func(_ context.Context, batch []bus.Entry[note]) error {
		for _, e := range batch {
			if e.Value.ID == "2" && !failed {
				failed = true
				return errors.New("not now")
			}
			got <- e.Value.ID
		}
		return nil
	})
	if err != nil || len(got) != 1 {
		t.Fatalf("Tail returned with %d of 1 entries, %v", len(got), err)
	}
	for n := range 2 {
		if _, err := notes.Append(ctx, c, fmt.Sprint("b", n), 0, &note{ID: fmt.Sprint(n + 2)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"1", "2", "3"} {
		select {
		case id := <-got:
			if id != want {
				t.Errorf("got %s, want %s", id, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s never came", want)
		}
	}
}

func TestRunOnceRunsInOneProcess(t *testing.T) {
	t.Parallel()
	c := setup(t, nil)
	var running, most atomic.Int32
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for n := range 3 {
		wg.Go(func() {
			_ = c.RunOnce(ctx, "indexer", fmt.Sprint(n), func(ctx context.Context) error {
				most.Store(max(most.Load(), running.Add(1)))
				<-ctx.Done()
				running.Add(-1)
				return nil
			})
		})
	}
	wg.Wait()
	if most.Load() != 1 {
		t.Errorf("%d ran at once, want 1", most.Load())
	}
}

func TestASecondServerOnTheFolderIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv, err := embedded.Start(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Stop()
	if _, err := embedded.Start(dir, slog.New(slog.DiscardHandler)); !errors.Is(err, embedded.ErrInUse) {
		t.Errorf("error %v, want ErrInUse", err)
	}
	c, err := bus.Connect(t.Context(), bus.Options{Dialer: embedded.Dialer(dir), Name: "cli"})
	if err != nil {
		t.Fatalf("through the socket: %v", err)
	}
	defer c.Close()
	if err := c.Declare(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFilesAreErasedFromTheDisk(t *testing.T) {
	t.Parallel()
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	srv, err := embedded.Start(dir, log)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Stop()
	c, err := bus.Connect(t.Context(), bus.Options{InProcess: srv, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Declare(t.Context()); err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("お客様の写真 "), 20_000) // several chunks
	address, err := c.PutFile(t.Context(), content)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.File(t.Context(), address); err != nil || !bytes.Equal(got, content) {
		t.Fatalf("read back %d bytes, %v", len(got), err)
	}
	for range 2 { // the second time there is nothing left to do
		if err := c.EraseFile(t.Context(), address); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.File(t.Context(), address); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("after the erasure: %v, want ErrNotFound", err)
	}
	srv.Stop()
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(name)
		if bytes.Contains(raw, []byte("お客様の写真")) {
			t.Errorf("%s still has it", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
