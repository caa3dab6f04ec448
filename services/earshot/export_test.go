package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// TestFiguresAndHistoryAreExported from a running instance, and from its folder
// when nothing runs, alike.
func TestFiguresAndHistoryAreExported(t *testing.T) {
	cfg := config.Default()
	cfg.Data, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	a, err := app.Start(t.Context(), app.Options{Config: cfg, Services: services, Version: "test", Log: bustest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop() })
	ctx, env := t.Context(), a.Env("test")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(settings.Brands.Put(ctx, env.Settings(), "cli", "acme", 0, settings.Brand{ID: "acme", Name: "アクメ", Query: "acme", TimeZone: "Asia/Tokyo"}))
	const n = 230 // more than a page
	first := time.Now().UTC().AddDate(0, 0, -3)
	var all []*mention.Mention
	for i := range n {
		m := mention.Of("acme", mention.Post{
			Platform: "web", NativeID: fmt.Sprint(i), Source: "fedi", Kind: mention.KindPost, Intake: mention.Live, Text: fmt.Sprintf("When does acme open? %d", i),
			Author: mention.Author{ID: "7", Handle: "hana"}, SeenAt: time.Now().UTC(), PublishedAt: first.Add(time.Duration(i) * time.Minute),
		})
		all = append(all, &m)
	}
	must(bus.Mentions.Publish(ctx, env.Bus(), all...))
	index, err := env.Index(ctx)
	must(err)
	eventually(t, "all mentions", func() bool {
		s, err := index.Stats(ctx)
		return err == nil && s.Documents >= n
	})
	person := identity.Staff{ID: "aoi", Email: "aoi@example.com", Name: "葵", Grants: []identity.Grant{{Role: identity.Agent, Brands: []string{"*"}}}}
	must(settings.Staff.Put(ctx, env.Settings(), "cli", "aoi", 0, person))
	s, err := env.Cases(index).Do(ctx, person.Viewer(), all[n-1].ID, casework.AddNote{Text: "折り返し先 090-1234-5678"})
	must(err)
	must(index.Wait(ctx, casework.Events().Stream(), s.Last))
	command := func(code int, args ...string) (out, said string) {
		t.Helper()
		var o, e bytes.Buffer
		if got := run(ctx, append([]string{"export", "--data", cfg.Data}, args...), strings.NewReader(""), &o, &e); got != code {
			t.Fatalf("earshot export %v: %d, %s%s", args, got, o.String(), e.String())
		}
		return o.String(), e.String()
	}
	check := func() (figures, history string) {
		t.Helper()
		figures, _ = command(0, "figures", "--by", "all", "--of", "brand", "--lang", "ja")
		if !strings.HasPrefix(figures, "\ufeffブランド,受信") || !strings.Contains(figures, fmt.Sprintf("アクメ,%d,", n)) {
			t.Errorf("figures: %s", figures)
		}
		history, said := command(0, "history", "--lang", "ja", "--brand", "acme")
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(history, "\ufeff"))).ReadAll()
		if err != nil || len(rows) != 3 || !strings.Contains(history, "葵") || strings.Contains(history, "090-1234-5678") || said != "2 lines written\n" {
			t.Errorf("history: %v, %q %s", err, said, history)
		}
		return figures, history
	}
	figures, history := check()
	command(2, "figures", "--by", "week")
	command(2, "history", "--encoding", "latin1")
	command(2, "history", "--from", "2026-13-01")
	command(2, "history", "--brand", "nobody")
	file := filepath.Join(t.TempDir(), "h.csv")
	command(0, "history", "--unmasked", "--out", file)
	if raw, err := os.ReadFile(file); err != nil || !bytes.Contains(raw, []byte("090-1234-5678")) {
		t.Errorf("unmasked: %v %s", err, raw)
	}
	if docs, err := index.Search(ctx, search.Query{Viewer: search.SeesAll(), Limit: 1}); err != nil || docs.Total < n {
		t.Fatal(err)
	}
	eventually(t, "the record of two histories", func() bool { return len(settings.Exports.List(env.Settings())) == 2 })
	must(a.Stop())
	if f, h := check(); f != figures || h != history {
		t.Errorf("from the folder it is\n%s%s, from the running instance\n%s%s", f, h, figures, history)
	}
}
