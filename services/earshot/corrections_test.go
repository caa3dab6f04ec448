package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/classify"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/services/indexer"
)

// TestCorrectionsAreWhatTrainReads writes what people said, beside a running
// instance and from its folder, and reads it as earshot train does.
func TestCorrectionsAreWhatTrainReads(t *testing.T) {
	a, cfg, must := begin(t, []app.Service{indexer.Service}, nil, "acme", "zenith")
	ctx, env := t.Context(), a.Env("test")
	must(settings.Sources.Put(ctx, env.Settings(), "cli", "fedi", 0, settings.Source{ID: "fedi", Name: "fedi", Kind: "mastodon", Config: []byte(`{"server":"https://social.example"}`)}))
	index, err := env.Index(ctx)
	must(err)
	cases := env.Cases(index)
	tag := func(brand, platform, source, native, text string) mention.Mention {
		t.Helper()
		m := mention.Of(brand, mention.Post{
			Platform: platform, NativeID: native, Source: source, Kind: mention.KindReview, Intake: mention.Live, Title: "お店", Text: text, Rating: 2,
			Author: mention.Author{ID: "u", Handle: "hanako", Name: "花子"}, SeenAt: time.Now().UTC(), PublishedAt: time.Now().UTC().Truncate(time.Second),
		})
		must(bus.Tagged.Publish(ctx, env.Bus(), &mention.Tagged{Mention: m, Verdict: mention.Verdict{
			Lang: "ja", Sentiment: mention.Negative, Intent: mention.Complaint, Disposition: mention.Answer, Page: true, PageReason: "safety_hazard: x", Story: "s" + native,
			Risks: []mention.Risk{{Category: mention.SafetyHazard, Score: .9, Start: 3, End: 4, Rule: "x"}},
		}}))
		seq, err := bus.Tagged.Last(ctx, env.Bus())
		must(err)
		must(index.Wait(ctx, bus.Tagged.Stream(), seq))
		return m
	}
	person := identity.Staff{ID: "aoi", Name: "葵", Grants: []identity.Grant{{Role: identity.Agent, Brands: []string{"*"}}}}
	label := func(m mention.Mention, risks ...mention.Risk) {
		t.Helper()
		_, err := cases.Do(ctx, person.Viewer(), m.ID, casework.Label{
			Sentiment: mention.Negative, Intent: mention.Complaint, Disposition: mention.Watch, Risks: risks, Page: len(risks) > 0,
		})
		must(err)
	}
	board, err := escalation.OpenBoard(ctx, env.Bus(), bustest.Log(t))
	must(err)
	alarm := func(m mention.Mention) {
		t.Helper()
		tagged := mention.Tagged{Mention: m, Verdict: mention.Verdict{Lang: "ja", Page: true}}
		id := escalation.ID(m.Brand, "story:"+string(m.ID), 1)
		for _, e := range []escalation.Event{escalation.Open(&tagged, escalation.ByVerdict, escalation.Wake), {Kind: escalation.FalseAlarm, Via: "desk"}} {
			_, err := board.Record(ctx, id, "mio", time.Now(), func(*escalation.State) (escalation.Event, bool) { return e, true })
			must(err)
		}
	}

	burnt := tag("acme", "web", "feed", "1", "煙が出るほど <辛い>")
	label(burnt, mention.Risk{Category: mention.Churn, Start: 5, End: 7})
	right := tag("acme", "web", "feed", "2", "煙が出た")
	label(right, mention.Risk{Category: mention.SafetyHazard, Start: 3, End: 4})
	other := tag("zenith", "web", "feed", "3", "煙が出た")
	label(other)
	label(tag("acme", "x", "import", "4", "煙が出た"))
	label(tag("acme", "web", "fedi", "5", "煙が出た")) // of a source that forbids it
	gone := tag("acme", "web", "feed", "6", "ひみつの煙")
	label(gone)
	woken := tag("acme", "web", "feed", "7", "煙たい話") // nobody labels it
	alarm(woken)
	paged := tag("acme", "web", "feed", "8", "煙が出た?")
	label(paged, mention.Risk{Category: mention.SafetyHazard})
	alarm(paged)
	admin := identity.Staff{ID: "ada", Name: "ada", Grants: []identity.Grant{{Role: identity.Admin, Brands: []string{"*"}}}}
	docs, err := index.Get(ctx, search.SeesAll(), gone.ID)
	must(err)
	must(cases.Erase(ctx, admin.Viewer(), "acme", gone.ID, docs[0].Tagged, "asked"))

	write := func(args ...string) (map[string]classify.Labelled, string) {
		t.Helper()
		var out, said bytes.Buffer
		if code := run(ctx, append([]string{"corrections", "--data", cfg.Data}, args...), strings.NewReader(""), &out, &said); code != 0 {
			t.Fatalf("earshot corrections %v: %s", args, said.String())
		}
		if strings.Contains(out.String(), "hanako") || strings.Contains(out.String(), "花子") || strings.Contains(out.String(), "ひみつ") {
			t.Errorf("an author or an erased text is written:\n%s", out.String())
		}
		texts, err := classify.ReadLabelled(&out)
		must(err)
		byID := map[string]classify.Labelled{}
		for _, l := range texts {
			byID[l.ID] = l
		}
		return byID, said.String()
	}
	check := func(when string) {
		t.Helper()
		got, said := write()
		for _, want := range []string{"5 written", "1 left out: erased", "1 left out: web forbids training", "1 left out: x forbids training"} {
			if !strings.Contains(said, want) {
				t.Errorf("%s: lacks %q: %s", when, want, said)
			}
		}
		l := got[string(burnt.ID)]
		m := l.Mention()
		if l.Disposition != mention.Watch || len(l.Risk) != 1 || l.Risk[0].Category != mention.Churn || l.Set != "s1" || l.Rating != 2 ||
			len(l.Not) != 1 || l.Not[0] != mention.SafetyHazard || m.Content() != burnt.Content() || m.Kind != mention.KindReview || !m.PublishedAt.Equal(burnt.PublishedAt) {
			t.Errorf("%s: %+v", when, l)
		}
		if words := string([]rune(m.Content())[l.Risk[0].Start:l.Risk[0].End]); words != "出る" {
			t.Errorf("%s: shown by %q", when, words)
		}
		if l := got[string(right.ID)]; !l.Page || !l.Has(mention.SafetyHazard) || len(l.Not) > 0 {
			t.Errorf("%s: right as it was: %+v", when, l)
		}
		if l, ok := got[string(other.ID)]; !ok || l.Risk == nil || len(l.Risk) != 0 {
			t.Errorf("%s: without risks: %+v", when, l)
		}
		if l, ok := got[string(woken.ID)]; !ok || l.Risk != nil || l.Page || l.Sentiment != "" {
			t.Errorf("%s: only woken: %+v", when, l)
		}
		if l := got[string(paged.ID)]; l.Page || !l.Has(mention.SafetyHazard) {
			t.Errorf("%s: labelled, then woken: %+v", when, l)
		}
	}
	check("running")
	if got, _ := write("--brand", "zenith"); len(got) != 1 {
		t.Errorf("of one brand: %d", len(got))
	}
	if got, _ := write("--since", "1"); len(got) != 5 {
		t.Errorf("of today: %d", len(got))
	}
	var said bytes.Buffer
	for _, bad := range [][]string{{"--brand", "nix"}, {"--since", "-1"}, {"more"}} {
		if code := run(ctx, append([]string{"corrections", "--data", cfg.Data}, bad...), strings.NewReader(""), &said, &said); code != 2 {
			t.Errorf("%v: exit %d", bad, code)
		}
	}
	must(a.Stop())
	check("from the folder")
}
