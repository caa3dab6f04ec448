package source

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

func openBox(t *testing.T, d Deps, posts string) (Source, string) {
	t.Helper()
	dir := filepath.Join(d.Data, "box")
	src := openKind(t, "sandbox", "dir: box\nspeed: 60", d).Source
	if err := os.WriteFile(filepath.Join(dir, sandboxPosts), []byte(posts), 0o600); err != nil {
		t.Fatal(err)
	}
	return src, dir
}

func TestTheSandboxTakesAReplyOnce(t *testing.T) {
	d := testDeps(t)
	src, dir := openBox(t, d, "")
	box := src.(Replier)
	r := Reply{To: mention.Post{NativeID: "7", Author: mention.Author{Handle: "hana"}, Text: "音がうるさい"}, Text: "申し訳ございません。\n確認します。", Account: "acme", Key: "k1"}
	if _, err := box.Find(t.Context(), r); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	sent, err := box.Reply(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	again, err := box.Reply(t.Context(), r)
	if err != nil || again != sent {
		t.Errorf("%+v, %v", again, err)
	}
	// Another process, after a restart.
	reopened := openKind(t, "sandbox", "dir: box", d).Source.(Replier)
	if found, err := reopened.Find(t.Context(), r); err != nil || found != sent {
		t.Errorf("%+v, %v", found, err)
	}
	entries, err := Timeline(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%+v, %v", entries, err)
	}
	if e := entries[0]; e.Text != r.Text || e.Account != "acme" || e.To != "7" || e.ToAuthor != "hana" || e.ToText != "音がうるさい" || !e.At.Equal(testNow) {
		t.Errorf("%+v", e)
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			r := r
			r.Key = fmt.Sprint("parallel", i%5)
			if _, err := box.Reply(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if entries, _ := Timeline(dir); len(entries) != 6 {
		t.Errorf("%d entries", len(entries))
	}
}

func TestTheSandboxSurvivesALineCutShort(t *testing.T) {
	src, dir := openBox(t, testDeps(t), "")
	r := Reply{To: mention.Post{NativeID: "7"}, Text: "a", Key: "k1"}
	if _, err := src.(Replier).Reply(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, sandboxTimeline), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"id":"x","key":"k2","te`)
	f.Close()
	r.Key = "k2"
	if _, err := src.(Replier).Find(t.Context(), r); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if _, err := src.(Replier).Reply(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if entries, err := Timeline(dir); err != nil || len(entries) != 2 || entries[1].Key != "k2" {
		t.Errorf("%+v, %v", entries, err)
	}
}

func TestTheSandboxRefusesWhatCantBePosted(t *testing.T) {
	src, _ := openBox(t, testDeps(t), "")
	for _, r := range []Reply{
		{To: mention.Post{NativeID: "7"}, Text: strings.Repeat("あ", 501), Key: "k"},
		{To: mention.Post{NativeID: "7"}, Text: " ", Key: "k"},
		{To: mention.Post{NativeID: "7"}, Text: "a"},
		{Text: "a", Key: "k"},
	} {
		if _, err := src.(Replier).Reply(t.Context(), r); err == nil {
			t.Errorf("took %+v", r)
		}
	}
	if limit, _ := src.(Replier).Limit(t.Context()); limit.Max != 500 {
		t.Errorf("%+v", limit)
	}
}

func TestTheSandboxReplaysAtItsSpeed(t *testing.T) {
	now := testNow
	d := testDeps(t)
	d.Now = func() time.Time { return now }
	src, _ := openBox(t, d, `{"id":"a","offset_s":3600,"text":"an hour ago"}
{"id":"b","offset_s":-600,"text":"ten minutes on, ten seconds at this speed"}
{"id":"a","offset_s":-1200,"deleted":true}
`)
	items, err := bench{src, nil}.fetch(t.Context(), "")
	if err != nil || len(items) != 1 || !items[0].Post.PublishedAt.Equal(now.Add(-time.Hour)) {
		t.Fatal(items, err)
	}
	now = now.Add(9 * time.Second)
	if none, err := (bench{src, nil}).fetch(t.Context(), items[0].Cursor); err != nil || len(none) != 0 {
		t.Fatal(none, err)
	}
	now = now.Add(time.Second)
	next, err := bench{src, nil}.fetch(t.Context(), items[0].Cursor)
	if err != nil || len(next) != 1 || next[0].Post.NativeID != "b" || !next[0].Post.PublishedAt.Equal(now) {
		t.Fatal(next, err)
	}
	now = now.Add(time.Hour)
	end, err := bench{src, nil}.fetch(t.Context(), next[0].Cursor)
	if err != nil || len(end) != 1 || !end[0].Post.Deleted || end[0].Post.NativeID != "a" {
		t.Fatal(end, err)
	}
}
