package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// TestErasureLeavesNothingOnDisk erases a mention, an author and a source by
// the command line, and then reads every file of the installation.
func TestErasureLeavesNothingOnDisk(t *testing.T) {
	a, cfg, must := begin(t, services, nil, "acme")
	ctx, env := t.Context(), a.Env("test")
	photo, err := env.Bus().PutFile(ctx, bytes.Repeat([]byte("領収書の写真 "), 5000))
	must(err)

	post := func(n int, author, source, text string) *mention.Mention {
		m := mention.Of("acme", mention.Post{
			Platform: "mastodon", NativeID: fmt.Sprint(n), Source: source, Kind: mention.KindPost, Intake: mention.Live, Text: text,
			Author: mention.Author{ID: author, Handle: author + "-handle", Name: author + "の名前"}, SeenAt: time.Now().UTC(), PublishedAt: time.Now().UTC(),
		})
		return &m
	}
	all := []*mention.Mention{
		post(1, "hanako", "fedi", "acme 煙が出て手をやけどしました。秘密の言葉いち"), // erased alone, after work on it
		post(2, "taro", "fedi", "acme 秘密の言葉に"),                  // by its author
		post(3, "taro", "other", "acme 秘密の言葉さん"),                // by its author, untouched
		post(4, "jiro", "feed", "acme 秘密の言葉よん"),                 // with its source
		post(5, "saburo", "fedi", "acme 残る言葉"),                  // stays
	}
	all[0].Media = []mention.Media{{Type: mention.Other, URL: photo, Alt: "receipt"}}
	edited := *all[1]
	edited.Text += " 直した秘密"
	second := mention.Of("acme", edited.Post)
	must(bus.Mentions.Publish(ctx, env.Bus(), append(all, &second)...))

	index, err := env.Index(ctx)
	must(err)
	for _, m := range all {
		eventually(t, "mention "+m.NativeID+" is found", func() bool {
			docs, err := index.Get(ctx, search.SeesAll(), m.ID)
			return err == nil && len(docs) == 1
		})
	}
	// Work leaves the outsider's words in drafts, notes and an escalation.
	person := identity.Staff{ID: "aoi", Email: "aoi@example.com", Name: "葵", Grants: []identity.Grant{{Role: identity.Agent, Brands: []string{"*"}}}}
	cases := env.Cases(index)
	for _, cmd := range []casework.Command{
		casework.Claim{}, casework.AddNote{Text: "秘密の言葉いち と言っている"}, casework.Write{Text: "秘密の言葉いち の件、承知しました"}, casework.Escalate{Why: "秘密の言葉いち"},
	} {
		_, err := cases.Do(ctx, person.Viewer(), all[0].ID, cmd)
		must(err)
	}
	eventually(t, "PR was told", func() bool {
		n, err := bus.Tagged.Last(ctx, env.Bus())
		docs, _ := index.Get(ctx, search.SeesAll(), all[0].ID)
		return err == nil && n >= 6 && len(docs) == 1 && docs[0].Number > 0
	})

	erase := func(args ...string) {
		t.Helper()
		var out bytes.Buffer
		if code := run(ctx, append([]string{"erase", "--yes", "--data", cfg.Data, "--why", "asked for"}, args...), strings.NewReader(""), &out, &out); code != 0 {
			t.Fatalf("earshot erase %v: %s", args, out.String())
		}
	}
	erase("--mention", string(all[0].ID))
	erase("--author", "mastodon:taro")
	erase("--source", "feed")

	for _, m := range all[:4] {
		docs, err := index.Get(ctx, search.SeesAll(), m.ID)
		must(err)
		if len(docs) != 1 || docs[0].Content() != "" || docs[0].AuthorID != "" {
			t.Errorf("the row of %s still says %+v", m.ID, docs)
		}
	}
	s, ok, err := cases.Touched(ctx, all[0].ID)
	must(err)
	if !ok || !s.Redacted || len(s.History) < 5 || s.History[1].Actor != "aoi" {
		t.Errorf("who did what is gone as well: %+v", s.History)
	}
	// What comes again is erased again.
	again := *all[1]
	again.SeenAt = again.SeenAt.Add(time.Minute)
	again.Text += " また来た秘密"
	third := mention.Of("acme", again.Post)
	must(bus.Mentions.Publish(ctx, env.Bus(), &third))
	eventually(t, "what came again was read", func() bool {
		n, err := index.Position(ctx, bus.Tagged.Stream())
		return err == nil && n >= 7
	})
	must(a.Stop())

	words := []string{"秘密の言葉", "直した秘密", "また来た秘密", "hanako-handle", "taro-handle", "jiro-handle", "hanakoの名前", "領収書の写真"}
	for _, found := range bustest.Lying(t, cfg.Data, words...) {
		t.Error(found)
	}
	if len(bustest.Lying(t, cfg.Data, "残る言葉")) == 0 {
		t.Error("what nobody asked to erase is gone too")
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: ", what)
		}
	}
}

// TestAPostThatIsGoneOnItsPlatformIsGoneHere: nothing tells of the deletion, the
// platform is asked. Then every file of the installation is read.
func TestAPostThatIsGoneOnItsPlatformIsGoneHere(t *testing.T) {
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/api/v1/statuses" { // of what is asked for only one is left
			fmt.Fprint(w, `[{"id":"2","uri":"https://social.example/2","url":"https://social.example/2","visibility":"public",
				"created_at":"2026-11-20T09:00:00Z","content":"<p>acme 残る言葉</p>","account":{"id":"8","acct":"jiro","username":"jiro"}}]`)
			return
		}
		fmt.Fprint(w, "[]")
	}))
	t.Cleanup(platform.Close)
	a, cfg, must := begin(t, services, func(cfg *config.File) { cfg.Limits.AllowPrivate = []string{"127.0.0.1"} }, "acme")
	ctx, env := t.Context(), a.Env("test")
	var all []*mention.Mention
	for id, text := range map[string]string{"1": "acme 消えた言葉", "2": "acme 残る言葉"} {
		m := mention.Of("acme", mention.Post{
			Platform: "mastodon", NativeID: "https://social.example/" + id, Source: "fedi", Kind: mention.KindPost, Intake: mention.Live, Text: text,
			Author: mention.Author{ID: "u" + id, Handle: "handle-of-" + id}, SeenAt: time.Now().UTC(), PublishedAt: time.Now().UTC(),
			ReplyRef: fmt.Sprintf(`{"server":%q,"id":%q,"acct":"a%s"}`, platform.URL, id, id),
		})
		all = append(all, &m)
	}
	must(bus.Mentions.Publish(ctx, env.Bus(), all...))
	index, err := env.Index(ctx)
	must(err)
	text := func(native string) string {
		docs, err := index.Get(ctx, search.SeesAll(), mention.NewID("acme", "mastodon", "https://social.example/"+native))
		if err != nil || len(docs) == 0 {
			return "not there"
		}
		return docs[0].Content()
	}
	eventually(t, "both are found", func() bool { return text("1") == "acme 消えた言葉" && text("2") == "acme 残る言葉" })
	must(settings.Sources.Put(ctx, env.Settings(), "cli", "fedi", 0, settings.Source{
		ID: "fedi", Name: "Fedi", Kind: "mastodon", Config: []byte(fmt.Sprintf(`{"server":%q,"hashtags":["acme"]}`, platform.URL)),
	}))
	eventually(t, "what is gone there is gone here", func() bool { return text("1") == "" })
	if got := text("2"); got != "acme 残る言葉" {
		t.Errorf("what is still there: %q", got)
	}
	must(index.Scrub(ctx)) // the indexer does so every hour
	must(a.Stop())
	for _, found := range bustest.Lying(t, cfg.Data, "消えた言葉", "handle-of-1") {
		t.Error(found)
	}
	if len(bustest.Lying(t, cfg.Data, "残る言葉")) == 0 {
		t.Error("what is still there is gone too")
	}
}
