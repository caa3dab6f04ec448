package source

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/earshot/earshot/pkg/mention"
)

// fediverse is a server after Mastodon's documentation: a hashtag's timeline,
// notifications, statuses by id, and the stream.
type fediverse struct {
	t         *testing.T
	url       string
	streaming string // what it calls its stream's address; empty for url
	noStream  bool
	noByIDs   bool
	mu        sync.Mutex
	next      int
	statuses  []map[string]any
	listeners []*websocket.Conn
	asked     []string
	wanted    []string
}

func newFediverse(t *testing.T) *fediverse {
	f := &fediverse{t: t, next: 100}
	f.url = serve(t, f.ServeHTTP)
	t.Cleanup(f.cut)
	return f
}

func (f *fediverse) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r.URL.Path)
	f.mu.Unlock()
	if r.URL.Path == "/api/v1/streaming" && !f.noStream {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		f.mu.Lock()
		f.listeners = append(f.listeners, conn)
		f.mu.Unlock()
		for {
			_, raw, err := conn.Read(context.Background())
			if err != nil {
				return
			}
			f.mu.Lock()
			f.wanted = append(f.wanted, string(raw))
			f.mu.Unlock()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var answer any = []any{}
	switch {
	case r.URL.Path == "/api/v2/instance":
		answer = map[string]any{"configuration": map[string]any{"urls": map[string]string{"streaming": cmp.Or(f.streaming, strings.Replace(f.url, "http", "ws", 1))}}}
	case r.URL.Path == "/api/v1/timelines/tag/acme":
		var list []any
		for i := len(f.statuses) - 1; i >= 0; i-- {
			if s := f.statuses[i]; s["id"].(string) > r.URL.Query().Get("min_id") {
				list = append(list, s)
			}
		}
		if list != nil {
			answer = list
		}
	case r.URL.Path == "/api/v1/statuses" && !f.noByIDs:
		var list []any
		for _, s := range f.statuses {
			for _, id := range r.URL.Query()["id[]"] {
				if s["id"] == id {
					list = append(list, s)
				}
			}
		}
		answer = list
	case strings.HasPrefix(r.URL.Path, "/api/v1/statuses/"):
		for _, s := range f.statuses {
			if s["id"] == strings.TrimPrefix(r.URL.Path, "/api/v1/statuses/") {
				json.NewEncoder(w).Encode(s)
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
		return
	case r.URL.Path != "/api/v1/notifications":
		w.WriteHeader(http.StatusNotFound)
		return
	}
	json.NewEncoder(w).Encode(answer)
}

// post publishes a status and tells the listeners.
func (f *fediverse) post(text string) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	s := map[string]any{
		"id": fmt.Sprint(f.next), "uri": fmt.Sprintf("https://far.example/s/%d", f.next), "created_at": "2026-11-20T11:00:00Z", "visibility": "public",
		"content": "<p>" + text + "</p>", "account": map[string]any{"id": "1", "acct": "ann@far.example", "url": "https://far.example/@ann"},
	}
	f.statuses = append(f.statuses, s)
	raw, _ := json.Marshal(s)
	f.tell("update", string(raw))
	return s
}

func (f *fediverse) tell(event, payload string) {
	raw, _ := json.Marshal(map[string]any{"stream": []string{"hashtag", "acme"}, "event": event, "payload": payload})
	for _, c := range f.listeners {
		c.Write(context.Background(), websocket.MessageText, raw)
	}
}

func (f *fediverse) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.listeners {
		c.CloseNow()
	}
	f.listeners = nil
}

func (f *fediverse) open() bench {
	return openKind(f.t, "mastodon", "{server: "+f.url+", token: hunter2, hashtags: [acme]}", testDeps(f.t))
}

// follow yields the posts of a source as they come.
func (b bench) follow(ctx context.Context, cursor string) (<-chan Item, <-chan error) {
	items, ended := make(chan Item), make(chan error, 1)
	go func() {
		for it, err := range b.Fetch(ctx, cursor) {
			if err != nil {
				ended <- err
				return
			}
			select {
			case items <- it:
			case <-ctx.Done():
			}
		}
		ended <- nil
	}()
	return items, ended
}

// arrival is the next post that has one, not only a cursor.
func arrival(t *testing.T, items <-chan Item) Item {
	t.Helper()
	patience := time.After(30 * time.Second)
	for {
		select {
		case it := <-items:
			if it.Post.NativeID != "" {
				return it
			}
		case <-patience:
			t.Fatal("nothing came")
		}
	}
}

func TestMastodonListensToTheStream(t *testing.T) {
	f := newFediverse(t)
	f.post("before")
	src := f.open()
	if src.Poll() != 0 {
		t.Error("polled", src.Poll())
	}
	items, ended := src.follow(t.Context(), "")
	if it := arrival(t, items); it.Post.Text != "before" {
		t.Errorf("%+v", it.Post)
	}
	s := f.post("アクメが動かない")
	it := arrival(t, items)
	if it.Post.Text != "アクメが動かない" || it.Post.NativeID != s["uri"] {
		t.Errorf("%+v", it.Post)
	}
	f.mu.Lock()
	edited := map[string]any{}
	for k, v := range s {
		edited[k] = v
	}
	edited["content"], edited["edited_at"] = "<p>動いた</p>", "2026-11-20T11:30:00Z"
	raw, _ := json.Marshal(edited)
	f.tell("status.update", string(raw))
	f.mu.Unlock()
	if it := arrival(t, items); it.Post.Text != "動いた" || it.Post.EditedAt.IsZero() || it.Post.NativeID != s["uri"] {
		t.Errorf("%+v", it.Post)
	}
	f.mu.Lock()
	f.tell("delete", "99999") // of a post that we never had
	f.tell("delete", s["id"].(string))
	wanted := strings.Join(f.wanted, " ")
	f.mu.Unlock()
	gone := arrival(t, items)
	if !gone.Post.Deleted || gone.Post.NativeID != s["uri"] || gone.Post.Text != "" {
		t.Errorf("%+v", gone.Post)
	}
	if !strings.Contains(wanted, `"user:notification"`) || !strings.Contains(wanted, `"acme"`) {
		t.Errorf("subscribed to %s", wanted)
	}
	f.cut()
	if err := <-ended; err == nil {
		t.Error("a cut stream is no error")
	}
	f.post("meanwhile")
	items, _ = f.open().follow(t.Context(), gone.Cursor)
	if it := arrival(t, items); it.Post.Text != "meanwhile" {
		t.Errorf("after the cut: %+v", it.Post)
	}
}

func TestMastodonPollsWhereThereIsNoStream(t *testing.T) {
	f := newFediverse(t)
	f.noStream = true
	f.post("hello")
	src := f.open()
	items, err := src.fetch(t.Context(), "")
	if err != nil || len(postsOf(items)) != 1 || src.Poll() != time.Minute {
		t.Errorf("%d items, poll %v, %v", len(items), src.Poll(), err)
	}
	if _, err := src.fetch(t.Context(), items[0].Cursor); err != nil {
		t.Error(err)
	}
	if n := strings.Count(strings.Join(f.asked, " "), "/api/v1/streaming"); n != 1 {
		t.Errorf("the stream was tried %d times", n)
	}
}

// TestMastodonPollsWhileTheStreamIsShut: a firewall that lets no stream through
// keeps no post away.
func TestMastodonPollsWhileTheStreamIsShut(t *testing.T) {
	f := newFediverse(t)
	closed := httptest.NewServer(nil)
	closed.Close()
	f.streaming = closed.URL
	f.post("hello")
	now, deps := time.Now(), testDeps(t)
	deps.Now = func() time.Time { return now }
	src := openKind(t, "mastodon", "{server: "+f.url+", token: hunter2, hashtags: [acme]}", deps)
	items, err := src.fetch(t.Context(), "")
	if err != nil || len(postsOf(items)) != 1 || src.Poll() != time.Minute {
		t.Fatalf("%d items, poll %v, %v", len(items), src.Poll(), err)
	}
	f.mu.Lock()
	f.streaming = ""
	f.mu.Unlock()
	if now = now.Add(mastodonShut); src.Poll() != 0 {
		t.Errorf("polled every %v once the stream may be there again", src.Poll())
	}
}

func TestMastodonRereads(t *testing.T) {
	for _, noByIDs := range []bool{false, true} {
		f := newFediverse(t)
		f.noByIDs, f.noStream = noByIDs, true
		for i := range 25 {
			f.post(fmt.Sprint("post ", i))
		}
		src := f.open()
		items, err := src.fetch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		posts := postsOf(items)
		elsewhere := posts[0]
		elsewhere.NativeID, elsewhere.ReplyRef = "https://far.example/s/1", strings.Replace(posts[0].ReplyRef, f.url, "https://other.example", 1)
		f.statuses = f.statuses[1:]
		got, err := src.Source.(Rereader).Reread(t.Context(), append(posts, elsewhere))
		if err != nil || len(got) != 25 {
			t.Fatal(len(got), err)
		}
		for _, p := range got {
			if p.Deleted != (p.NativeID == posts[0].NativeID) || p.Deleted && p.Text != "" {
				t.Errorf("%+v", p)
			}
		}
	}
}

func TestMastodonFindsItsTimeline(t *testing.T) {
	p, src, _ := openMastodon(t)
	got, err := src.Timeline(t.Context(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil || len(got) == 0 {
		t.Fatal(got, err, len(p.asked()))
	}
	i := 0
	for got[i].Thread.Parent == "" {
		i++
	}
	if !strings.HasPrefix(got[i].Thread.Parent, "https://") || got[i].Author.Handle == "" || got[i].Text == "" {
		t.Errorf("%+v", got[i])
	}
	var _ []mention.Post = got
}
