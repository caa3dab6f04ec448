package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

func jetstreamPost(at int64, rkey, text string) string {
	return fmt.Sprintf(`{"did":"did:plc:a","time_us":%d,"kind":"commit","commit":{"operation":"create","collection":"app.bsky.feed.post","rkey":"%s","cid":"c","record":{"text":"%s"}}}`, at, rkey, text)
}

// jetstream sends events from the asked time on, then waits.
func jetstream(t *testing.T, asked *[]string, events ...string) string {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		cursor := r.URL.Query().Get("cursor")
		*asked = append(*asked, cursor)
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		var since int64
		fmt.Sscan(cursor, &since)
		for _, e := range events {
			if parsed, _ := parseJetstream([]byte(e)); parsed.TimeUS >= since {
				conn.Write(r.Context(), websocket.MessageText, []byte(e))
			}
		}
		conn.Read(r.Context())
	})
	return strings.Replace(base, "http", "ws", 1)
}

// take reads n items of a stream.
func take(t *testing.T, src Source, cursor string, n int) []Item {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var out []Item
	for it, err := range src.Fetch(ctx, cursor) {
		if err != nil {
			t.Fatal(err)
		}
		if out = append(out, it); len(out) == n {
			break
		}
	}
	return out
}

func TestBlueskyRewindsALittleAndSkipsWhatItHas(t *testing.T) {
	var asked []string
	events := []string{
		jetstreamPost(10_000_000, "a", "1"),
		jetstreamPost(11_000_000, "b", "2"), jetstreamPost(11_000_000, "c", "3"), // of one commit
		jetstreamPost(10_999_990, "d", "4"), // out of order
		jetstreamPost(12_000_000, "e", "5"),
	}
	one, two := jetstream(t, &asked, events...), jetstream(t, &asked, events...)
	src := openKind(t, "bluesky", "servers: ["+one+"]", testDeps(t))
	first := take(t, src, "", 2)
	rest := take(t, src, first[1].Cursor, 3)
	if rest[0].Post.Text != "3" || rest[1].Post.Text != "4" || rest[2].Post.Text != "5" || asked[0] != "" || asked[1] != "9000000" {
		t.Errorf("%+v, asked %q", rest, asked)
	}
	// Another server has another clock: what is not known by itself comes again.
	other := take(t, openKind(t, "bluesky", "servers: ["+two+"]", testDeps(t)), first[1].Cursor, 2)
	if other[0].Post.Text != "1" || other[1].Post.Text != "3" || asked[2] != "1000000" {
		t.Errorf("%+v, asked %q", other, asked)
	}
}

// TestBlueskyIsNotLedIntoTheFuture: an event with a time to come hides none of
// those after it, neither now nor later.
func TestBlueskyIsNotLedIntoTheFuture(t *testing.T) {
	var asked []string
	future := testNow.AddDate(900, 0, 0).UnixMicro()
	server := jetstream(t, &asked, jetstreamPost(10_000_000, "a", "1"), jetstreamPost(future, "b", "2"), jetstreamPost(11_000_000, "c", "3"))
	src := openKind(t, "bluesky", "servers: ["+server+"]", testDeps(t))
	got := take(t, src, "", 3)
	if got[2].Post.Text != "3" {
		t.Errorf("%+v", got)
	}
	if take(t, src, got[1].Cursor, 1); asked[1] != "8000000" {
		t.Errorf("asked from %q", asked)
	}
}

func TestBlueskyPostsAreAsOldAsTheySay(t *testing.T) {
	for _, c := range []struct{ name, created, want string }{
		{"a moment before", "2026-11-20T11:59:59Z", "2026-11-20T11:59:59Z"},
		{"an old post synchronised again", "2024-01-02T03:04:05.678Z", "2024-01-02T03:04:05.678Z"},
		{"from the future", "2031-01-01T00:00:00Z", "2026-11-20T12:00:00Z"},
		{"absurd", "1971-01-01T00:00:00Z", "2026-11-20T12:00:00Z"},
		{"nonsense", "today", "2026-11-20T12:00:00Z"},
	} {
		e, err := parseJetstream([]byte(strings.Replace(jetstreamPost(testNow.UnixMicro(), "a", "x"), `{"text"`, `{"createdAt":"`+c.created+`","text"`, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if p, err := e.post(); err != nil || p.PublishedAt.Format(time.RFC3339Nano) != c.want {
			t.Errorf("%s: %v, %v", c.name, p.PublishedAt, err)
		}
	}
}

func TestBlueskyGoesOnAtTheNextServer(t *testing.T) {
	var asked []string
	down := strings.Replace(serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusServiceUnavailable)
	}), "http", "ws", 1)
	up := jetstream(t, &asked, jetstreamPost(10_000_000, "a", "1"))
	src := openKind(t, "bluesky", "servers: ["+down+", "+up+"]", testDeps(t))
	_, err := src.fetch(t.Context(), "")
	if e, ok := errors.AsType[*outbound.Error](err); !ok || e.RetryAfter() != 30*time.Second {
		t.Fatal(err)
	}
	if items := take(t, src, "", 1); items[0].Post.Text != "1" {
		t.Errorf("%+v", items)
	}
}

func TestBlueskyTakesASilentStreamForDead(t *testing.T) {
	var asked []string
	src := openKind(t, "bluesky", "servers: ["+jetstream(t, &asked)+"]", testDeps(t))
	src.Source.(*bluesky).cfg.Silence = 50 * time.Millisecond
	if _, err := src.fetch(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "no event for 50ms") {
		t.Error(err)
	}
}

func TestBlueskyRefusesPrivateServers(t *testing.T) {
	_, err := openKind(t, "bluesky", `servers: ["ws://[::ffff:10.0.0.1]:1"]`, testDeps(t)).fetch(t.Context(), "")
	if e, ok := errors.AsType[*outbound.Error](err); !ok || !e.Permanent() || !errors.Is(err, outbound.ErrPrivate) {
		t.Error(err)
	}
}

func TestBlueskyCompletesAMatchedPost(t *testing.T) {
	k, _ := Named("bluesky")
	p := newPlatform(t, "bluesky")
	src := p.open(t, k)
	posts := take(t, src.Source, "", 2)
	for range 2 { // the second time from memory
		got := posts[1].Post
		if err := src.Source.(Completer).Complete(t.Context(), &got); err != nil {
			t.Fatal(err)
		}
		if a := got.Author; a.Handle != "hanako.example.social" || a.Name != "花子" || *a.Followers != 321 || a.Avatar == "" {
			t.Errorf("%+v", a)
		}
		if got.Thread.ParentAuthor != "jiro.example.social" || got.Thread.ParentText != "アクメの炊飯器どう？" {
			t.Errorf("%+v", got.Thread)
		}
	}
	profiles := 0
	for _, r := range p.asked() {
		if strings.HasSuffix(r.URL.Path, "getProfile") {
			profiles++
		}
	}
	if profiles != 1 {
		t.Errorf("asked for the profile %d times", profiles)
	}
	p.set(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) })
	other := mention.Post{Author: mention.Author{ID: "did:plc:other"}}
	if err := src.Source.(Completer).Complete(t.Context(), &other); err == nil || other.Author.Handle != "" {
		t.Errorf("%v %+v", err, other)
	}
}

func FuzzJetstream(f *testing.F) {
	raw, err := os.ReadFile("testdata/bluesky/events.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for row := range bytes.Lines(raw) {
		f.Add(bytes.TrimSpace(row))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := parseJetstream(raw)
		if err != nil {
			return
		}
		if p, err := e.post(); err == nil && p.NativeID != "" {
			wellFormed(t, p)
		}
	})
}

func BenchmarkJetstreamEvent(b *testing.B) {
	raw, err := os.ReadFile("testdata/bluesky/events.jsonl")
	if err != nil {
		b.Fatal(err)
	}
	first, _, _ := bytes.Cut(raw, []byte("\n"))
	b.SetBytes(int64(len(first)))
	b.ReportAllocs()
	for b.Loop() {
		e, err := parseJetstream(first)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := e.post(); err != nil {
			b.Fatal(err)
		}
	}
}
