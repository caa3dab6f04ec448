package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/klauspost/compress/zstd"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
	"github.com/earshot/earshot/services/fetcher"
)

// The stream that is listened to: Bluesky's has some hundreds of posts a second
// at its busiest.
const (
	listenRate   = 2000 // posts a second
	listenBrands = 1000
	listenWords  = 10 // of each brand
	aimListen    = 1.0 / 3
)

// stream is a server of Jetstream's protocol that sends posts at a steady pace,
// of which one in a hundred names a brand, and hangs up once on the way.
type stream struct {
	events [][]byte // compressed as Bluesky's servers do
	bytes  int      // of all events before that
	first  int64    // time of the first event, microseconds
	hungUp atomic.Bool
	sent   atomic.Int64 // events that were sent for the first time
}

// made is when event i happened.
func (s *stream) made(i int) int64 { return s.first + int64(i)*1_000_000/listenRate }

func newStream(c *corpus, n int) (*stream, error) {
	s := &stream{first: time.Now().UnixMicro()}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderDict(source.JetstreamDictionary), zstd.WithWindowSize(1<<17), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	for i := range n {
		p := c.posts[i%len(c.posts)]
		text := p.Text
		if i%100 == 0 {
			text += " " + listenWord(i/100%listenBrands, i%listenWords)
		}
		record, _ := json.Marshal(map[string]any{
			"$type": "app.bsky.feed.post", "text": text, "langs": []string{p.Lang},
			"createdAt": time.UnixMicro(s.made(i)).UTC().Format(time.RFC3339Nano),
		})
		event, _ := json.Marshal(map[string]any{
			"did": fmt.Sprintf("did:plc:%024d", i%5000), "time_us": s.made(i), "kind": "commit",
			"commit": map[string]any{
				"operation": "create", "collection": "app.bsky.feed.post", "rkey": fmt.Sprintf("3m%011d", i), "cid": fmt.Sprint("bafy", i),
				"record": json.RawMessage(record),
			},
		})
		s.events = append(s.events, z.EncodeAll(event, nil))
		s.bytes += len(event)
	}
	return s, nil
}

// packed is the share of its bytes that the stream takes.
func (s *stream) packed() float64 {
	n := 0
	for _, e := range s.events {
		n += len(e)
	}
	return float64(n) / float64(s.bytes)
}

func listenWord(brand, word int) string { return fmt.Sprintf("brandword%04dx%d", brand, word) }

func (s *stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("compress") != "true" {
		http.Error(w, "only compressed", http.StatusNotImplemented)
		return
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	from := 0
	if cursor, err := strconv.ParseInt(r.URL.Query().Get("cursor"), 10, 64); err == nil {
		from = max(0, int((cursor-s.first)*listenRate/1_000_000))
	}
	began, behind := time.Now(), int(s.sent.Load())
	for i := from; i < len(s.events); i++ {
		if i == len(s.events)/2 && s.hungUp.CompareAndSwap(false, true) {
			return
		}
		if i >= behind { // what was sent before comes again at full speed
			s.sent.Store(int64(i + 1))
			if at := began.Add(time.Duration(i-behind) * time.Second / listenRate); time.Until(at) > time.Millisecond {
				time.Sleep(time.Until(at))
			}
		}
		if conn.Write(r.Context(), websocket.MessageBinary, s.events[i]) != nil {
			return
		}
	}
	conn.Read(r.Context())
}

// benchListen lets a process that only fetches follow such a stream, and takes
// how much of a processor it needs, the server's part included.
func (b *bench) benchListen(ctx context.Context) (err error) {
	n := 20 * listenRate
	if b.o.quick {
		n = 4 * listenRate
	}
	s, err := newStream(b.corpus, n)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go server.Serve(l) //nolint:errcheck // it ends with the bench
	defer server.Close()

	cfg := b.config("listen")
	cfg.Limits.AllowPrivate = []string{"127.0.0.1/32"}
	a, err := app.Start(ctx, app.Options{Config: cfg, Services: []app.Service{fetcher.Service}, Version: version, Log: b.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Stop()) }()
	env := a.Env("bench")
	for i := range listenBrands {
		words := make([]string, listenWords)
		for j := range words {
			words[j] = listenWord(i, j)
		}
		id := fmt.Sprintf("brand-%d", i)
		brand := settings.Brand{ID: id, Name: id, Query: strings.Join(words, " OR ")}
		if err := create(ctx, env.Settings(), settings.Brands, id, brand); err != nil {
			return err
		}
	}
	before := b.processor()
	began := time.Now()
	follow := settings.Source{ID: "stream", Name: "Stream", Kind: "bluesky", Config: json.RawMessage(fmt.Sprintf(`{"servers":["ws://%s"],"api":""}`, l.Addr()))}
	if err := create(ctx, env.Settings(), settings.Sources, follow.ID, follow); err != nil {
		return err
	}
	var p source.Progress
	for p.Items < uint64(n) {
		if wait := time.Since(began); wait > time.Duration(n)*time.Second/listenRate+time.Minute {
			return fmt.Errorf("%d of %d posts were read in %v; the source says %q", p.Items, n, wait.Round(time.Second), p.Error)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		if _, err := bus.Cursors.Get(ctx, env.Bus(), source.ProgressKey(follow.ID), &p); err != nil && !errors.Is(err, bus.ErrNotFound) {
			return err
		}
	}
	share := (b.processor() - before) / time.Since(began).Seconds()
	b.row(fmt.Sprintf("listening to %d /s for %d words", listenRate, listenBrands*listenWords),
		fmt.Sprintf("%.0f %% of a processor", share*100), share < aimListen, fmt.Sprintf("< %.0f %%", aimListen*100))
	b.row("that stream, compressed", fmt.Sprintf("%.0f %% of %d bytes a post", s.packed()*100, s.bytes/n), true, "")
	b.row("posts lost and read twice over a cut", fmt.Sprintf("%d  %d", n-int(p.Items), max(0, int(p.Items)-n)), p.Items == uint64(n) && p.Mentions == uint64((n+99)/100), "0  0")
	return nil
}
