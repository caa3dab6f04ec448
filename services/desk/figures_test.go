package desk

import (
	"context"
	"encoding/csv"
	"html"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/japanese"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/services/indexer"
)

func TestASheetIsSafeAndReadable(t *testing.T) {
	var b strings.Builder
	s := newSheet(&b, "cp932", []string{"見出し"})
	for _, c := range []string{"=1+1", "＋81", "-", "@here", "\tx", "\r\ny", "髙い〜①\"," + "か\u3099", "絵文字🎉と한국", "\xff"} {
		if err := s.write([]string{c}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	plain, err := japanese.ShiftJIS.NewDecoder().String(b.String())
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(plain)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"見出し", "'=1+1", "'＋81", "'-", "'@here", "'\tx", "'\ny", "髙い～①\",が", "絵文字〓と〓〓", "〓"}
	for i := range want {
		if rows[i][0] != want[i] {
			t.Errorf("row %d is %q, want %q", i, rows[i][0], want[i])
		}
	}
	if s.lost != 4 || s.rows != 9 {
		t.Errorf("%d lost, %d rows", s.lost, s.rows)
	}
}

func TestWaitsAreToldByMedianAndPercentile(t *testing.T) {
	h := time.Hour
	groups := []search.Group{
		{Time: "2026-11-01", Figures: search.Figures{Received: 3, Wanted: 3, InTime: 2, Late: 1, Replied: []time.Duration{26*h + 5*time.Minute + 59*time.Second, 30 * time.Minute, 2 * h}, Resolved: []time.Duration{0}}},
		{Time: "2026-11-02", Figures: search.Figures{Received: 1, Watched: 1}},
	}
	for lang, head := range map[string]string{
		"en": ",First reply (working time): Median,First reply (working time): 90th percentile,Resolution (working time): Median,Resolution (working time): 90th percentile\r\n",
		"ja": ",初回返答まで(営業時間) 中央値,初回返答まで(営業時間) 90%点,完了まで(営業時間) 中央値,完了まで(営業時間) 90%点\r\n",
	} {
		var b strings.Builder
		x := &Export{Lang: lang, By: search.Grouping{Time: search.ByDay}, Now: time.Now()}
		if _, err := x.Figures(&b, groups); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{head, "2026-11-01,3,3,2,1,0,0,0,0,0,0,2:00:00,26:05:59,0:00:00,0:00:00\r\n", "2026-11-02,1,0,0,0,0,0,0,1,0,0,,,,\r\n"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: no %q in\n%s", lang, want, &b)
			}
		}
	}
	words, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	l := &locale{words: words["en"]}
	for i, want := range [][]string{{"2:00", "26:05", "0:00", "0:00"}, {"", "", "", ""}} {
		for j, w := range l.figuresRow(&groups[i].Figures).Waits {
			if w.Text != want[j] {
				t.Errorf("%s of %s is %q, want %q", w.Label, groups[i].Time, w.Text, want[j])
			}
		}
	}
}

func TestFiguresAndHistoryAreTakenOut(t *testing.T) {
	b := newBench(t, indexer.Service)
	b.put(settings.Sources.Put(t.Context(), b.Settings, "cli", "blog", 0, settings.Source{ID: "blog", Name: "=Blog", Kind: "feed", Config: []byte(`{"url":"https://blog.example/feed"}`)}))
	post := func(native, platform, source, text string, v mention.Verdict) mention.Mention {
		v.Lang = "ja"
		return b.mention(mention.Post{Platform: platform, NativeID: native, Source: source, URL: "https://" + platform + ".example/" + native, Text: text, Author: mention.Author{ID: native, Handle: "hana" + native, Name: "はな" + native}}, v)
	}
	open := post("1", "web", "blog", "電話 090-1234-5678 に返事がない🎉", mention.Verdict{Intent: mention.Complaint})
	forbidden := post("2", "x", "x", "外に出せない言葉", mention.Verdict{Intent: mention.Question})
	post("3", "web", "hoshi", "別のブランド", mention.Verdict{Intent: mention.Question})
	post("4", "web", "blog", "ありがとう", mention.Verdict{Intent: mention.Praise, Disposition: mention.Watch})
	lead, agent, rin := b.as("ken", []string{"kumo"}, identity.Approver), b.as("aya", []string{"kumo"}, identity.Agent), b.as("rin", []string{"hoshi"}, identity.Approver)
	for id, handle := range map[mention.ID]string{open.ID: "hana1", forbidden.ID: "hana2"} {
		path := "/cases/" + string(id)
		lead.want(lead.post(path+"/note", "text", "=cmd|calc 電話 090-1234-5678"), 303)
		lead.want(lead.post(path+"/check", "kind", "first", "text", "@"+handle+" 様、お調べします。"), 200)
		s, _, err := b.Cases.Touched(t.Context(), id)
		b.put(err)
		lead.want(lead.post(path+"/by-hand", "hash", s.Hash(s.Draft)), 303)
	}
	s, _, err := b.Cases.Touched(t.Context(), open.ID)
	b.put(err)
	lead.want(lead.post("/cases/"+string(open.ID)+"/posted", "hash", s.Hash(s.Draft), "url", "https://web.example/our/1"), 303)
	s, _, err = b.Cases.Touched(t.Context(), open.ID)
	b.put(err)
	b.put(b.Index.Wait(t.Context(), casework.Events().Stream(), s.Last))

	// Nothing but the answered one has a wait, and it is not done.
	agent.want(agent.get("/figures?by=all"), 200, `First reply (working time)`, `data-label="First reply (working time): Median">0:0`, `data-label="Resolution (working time): 90th percentile">–`)

	// On screen first: 3 received, 2 wanted an answer, 1 has one.
	page := agent.want(agent.get("/figures?by=all&of=source"), 200, "=Blog", "100%", "!別のブランド", "!/figures/history")
	if !strings.Contains(page.body, `"Received"><b>3</b></td><td class="n" data-label="Wanted an answer"><b>2</b></td><td class="n" data-label="Answered in time"><b>1</b></td>`) {
		t.Errorf("sums: %s", short(page.body))
	}
	lead.want(lead.get("/figures"), 200, "/figures/history", time.Now().UTC().Format("2006-01"))
	lead.want(lead.get("/figures?by=week"), 400)
	lead.want(lead.get("/figures?from=2020-01-01"), 400)
	lead.want(lead.get("/figures?brand=hoshi"), 403)

	a := agent.want(agent.post("/figures/export", "by", "all", "of", "source"), 200, "\ufeff", "\r\n'=Blog,2,1,1,0,0,", "!hoshi")
	if a.Header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.Contains(a.Header.Get("Content-Disposition"), "earshot-figures-") {
		t.Errorf("headers %v", a.Header)
	}
	agent.want(agent.post("/figures/history"), 403)
	lead.want(lead.post("/figures/history", "brand", "hoshi"), 403)
	a = lead.want(lead.post("/figures/history"), 200, "left a note", "'=cmd|calc", "https://web.example/our/1", "返事がない🎉", "does not let posts out",
		"!090-1234-5678", "!外に出せない言葉", "!はな2", "!hana2", "@… 様", "!x.example/2", "!別のブランド")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(a.body, "\ufeff"))).ReadAll()
	if err != nil || len(rows) < 8 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	lead.want(lead.post("/figures/history", "unmasked", "yes"), 200, "090-1234-5678", "!外に出せない言葉")
	a = lead.want(lead.post("/figures/history", "encoding", "cp932"), 200)
	plain, err := japanese.ShiftJIS.NewDecoder().String(a.body)
	if err != nil || !strings.Contains(plain, "返事がない〓") {
		t.Errorf("in CP932: %v %s", err, plain)
	}
	lead.want(lead.get("/figures"), 200, "Ken", "With personal data.", "characters became 〓.", "1 case without its words", "!Broken off")
	agent.want(agent.get("/figures"), 200, "!With personal data.")
	rin.want(rin.post("/figures/history"), 200, "!090-1234-5678", "!お調べします")
	if all := settings.Exports.List(b.Settings); len(all) != 4 {
		t.Errorf("%d exports are written down", len(all))
	}
}

// toldOf sends what a process logs under a message.
type toldOf struct {
	slog.Handler
	message string
	told    chan slog.Record
}

func (h toldOf) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == h.message {
		h.told <- r
	}
	return nil
}
func (h toldOf) WithAttrs([]slog.Attr) slog.Handler { return h }

// TestFiguresAreReadWhenTheDeskStarts: nobody waits for the first page of them.
func TestFiguresAreReadWhenTheDeskStarts(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Data, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	log := toldOf{slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}), "figures are ready", make(chan slog.Record, 1)}
	a, err := app.Start(t.Context(), app.Options{Config: cfg, Services: []app.Service{Service, indexer.Service}, Log: slog.New(log), Sandbox: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop() })
	select {
	case <-log.told:
	case <-time.After(time.Minute):
		t.Fatal("the desk is up, and figures are not read")
	}
}

// TestNoFiguresSaysWhatToDo: lines of noughts are no answer; a new installation is
// led to its brand and its sources, and a time without posts to the last that came.
func TestNoFiguresSaysWhatToDo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v := b.as("lea", everywhere, identity.Approver, identity.Admin)
	v.want(v.get("/figures"), 200, "No mentions yet", `href="/sources"`, "!<table", "!Total")
	v.want(v.get("/figures?brand=hoshi"), 200, "Nothing has been heard of Hoshi yet", `href="/figures"`, "!<table")
	at := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	m := mention.Of("kumo", mention.Post{Platform: "mastodon", NativeID: "1"})
	b.put(b.Index.Write(t.Context(), search.Batch{Upserts: []search.Document{{ID: m.ID, Seq: 1, Brand: "kumo", Platform: "mastodon", Disposition: mention.Watch, PublishedAt: at, SeenAt: at}}}))
	day := at.In(time.Local)
	link := "/figures?from=" + day.AddDate(0, 0, -29).Format(time.DateOnly) + "&amp;to=" + day.Format(time.DateOnly)
	v.want(v.get("/figures?from=2025-01-01&to=2025-01-31"), 200, "Nothing was published in these days", "The last post was published on "+day.Format(time.DateOnly), `href="`+link+`"`, "!<table")
	v.want(v.get("/figures?from=2025-01-01&to=2025-01-31&brand=kumo"), 200, "&amp;to="+day.Format(time.DateOnly), "brand=kumo", "!<table")
	v.want(v.get(html.UnescapeString(link)), 200, "<table", "<b>1</b>")
	for _, id := range []string{"kumo", "hoshi"} {
		b.put(settings.Brands.Delete(t.Context(), b.Settings, "cli", id, settings.Brands.Version(b.Settings, id)))
	}
	b.put(b.Index.Clear(t.Context()))
	v.want(v.get("/figures"), 200, `href="/brands/new"`, "!<table")
}
