package search

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/pkg/mention"
)

func TestFiguresAddUp(t *testing.T) {
	zone := time.FixedZone("JST", 9*3600)
	now := time.Date(2026, 11, 3, 12, 0, 0, 0, zone)
	at := func(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, zone) }
	docs := []Document{
		{Brand: "a", Disposition: mention.Answer, PublishedAt: at(1, 0), AnswerBy: at(1, 8), AnsweredAt: at(1, 8), RepliedIn: 8 * time.Hour, DoneAt: at(1, 9), ResolvedIn: 9 * time.Hour, Status: "done"},
		{Brand: "a", Disposition: mention.Answer, PublishedAt: at(1, 23), AnswerBy: at(2, 8), AnsweredAt: at(2, 9), RepliedIn: time.Hour, Status: "waiting_customer"},
		{Brand: "b", Disposition: mention.Answer, PublishedAt: at(1, 23), AnswerBy: at(3, 11), Status: "new"},
		{Brand: "b", Disposition: mention.Answer, PublishedAt: at(3, 1), AnswerBy: at(3, 13), Status: "in_hand"},
		{Brand: "b", Disposition: mention.Answer, PublishedAt: at(3, 1), AnswerBy: at(3, 13), DoneAt: at(3, 2), Status: "done"},
		{Brand: "a", Disposition: mention.NotForUs, PublishedAt: at(3, 2), AnsweredAt: at(3, 3), Status: "done"}, // answered all the same, outside working hours
		{Brand: "a", Disposition: mention.NotForUs, PublishedAt: at(3, 2), Status: "done"},
		{Brand: "a", Disposition: mention.Watch, PublishedAt: at(3, 2), Status: "watching"},
		{Brand: "a", Disposition: mention.Answer, PublishedAt: at(3, 2), AnswerBy: at(3, 3), Status: "done", Tags: []string{TagJoined}},
	}
	tally := func(by Grouping) []Group {
		t.Helper()
		by.Zone = zone
		x, err := NewTally(by, now)
		if err != nil {
			t.Fatal(err)
		}
		for i := range docs {
			x.Add(&docs[i])
		}
		x.Fill(Period{at(1, 0), at(4, 0)})
		return x.Groups()
	}
	days := []Group{
		{Time: "2026-11-01", Figures: Figures{Received: 3, Wanted: 3, InTime: 1, Late: 1, Open: 1, Overdue: 1, Replied: []time.Duration{8 * time.Hour, time.Hour}, Resolved: []time.Duration{9 * time.Hour}}},
		{Time: "2026-11-02"},
		{Time: "2026-11-03", Figures: Figures{Received: 6, Wanted: 3, InTime: 1, Open: 1, Unanswered: 1, NotForUs: 1, Watched: 1, Joined: 1, Replied: []time.Duration{0}}},
	}
	if diff := cmp.Diff(days, tally(Grouping{Time: ByDay})); diff != "" {
		t.Error(diff)
	}
	for _, g := range Grains {
		for _, of := range append(FigureFields, "") {
			var sum Figures
			for _, x := range tally(Grouping{Time: g, Of: of}) {
				f := x.Figures
				sum.Add(f)
				if f.Wanted != f.InTime+f.Late+f.Open+f.Unanswered || f.Received != f.Wanted+f.Watched+f.NotForUs+f.Joined || f.Overdue > f.Open {
					t.Errorf("%s by %s: %+v does not add up", g, of, x)
				}
			}
			if sum.Received != len(docs) {
				t.Errorf("%s by %s: %d of %d", g, of, sum.Received, len(docs))
			}
		}
	}
	if hours := tally(Grouping{Time: ByHour}); len(hours) != 24 || hours[23].Time != "23" || hours[23].Received != 2 {
		t.Errorf("hours %+v", hours)
	}
	if got := tally(Grouping{Time: WholeTime, Of: FieldBrand}); len(got) != 2 || got[0].Of != "a" || got[0].Received != 6 {
		t.Errorf("brands %+v", got)
	}
	for _, by := range []Grouping{{Time: "week"}, {Time: ByDay, Of: FieldTag}} {
		if _, err := NewTally(by, now); err == nil {
			t.Errorf("%+v is taken", by)
		}
	}
}

// Nearest rank gives one of the durations, exact to the nanosecond.
func TestSpreadsAreByNearestRank(t *testing.T) {
	upTo := func(n int) (all []time.Duration) {
		for i := n; i > 0; i-- {
			all = append(all, time.Duration(i))
		}
		return all
	}
	for _, c := range []struct {
		all  []time.Duration
		want Spread
	}{
		{nil, Spread{}},
		{upTo(1), Spread{1, 1, 1}},
		{upTo(2), Spread{2, 1, 2}},
		{upTo(3), Spread{3, 2, 3}},
		{upTo(10), Spread{10, 5, 9}},
		{upTo(11), Spread{11, 6, 10}},
		{upTo(100), Spread{100, 50, 90}},
		{upTo(101), Spread{101, 51, 91}},
		{[]time.Duration{3 * time.Hour, 0, time.Minute, time.Hour + 1}, Spread{4, time.Minute, 3 * time.Hour}},
	} {
		var f, sum Figures
		f.Replied = c.all
		if got := f.FirstReply(); got != c.want {
			t.Errorf("of %d: %+v, want %+v", len(c.all), got, c.want)
		}
		sum.Add(Figures{Resolved: c.all[:len(c.all)/2]})
		sum.Add(Figures{Resolved: c.all[len(c.all)/2:]})
		if got := sum.Resolution(); got != c.want {
			t.Errorf("of %d, added up: %+v, want %+v", len(c.all), got, c.want)
		}
	}
}

// conformFigures holds what an engine counts against its documents, one by one.
func conformFigures(t *testing.T, e Engine) {
	now := epoch.Add(25 * time.Hour)
	check := func(what string) {
		t.Helper()
		for _, v := range []Viewer{SeesAll(), SeesAllBrands(), Sees("beta"), Sees("acme", "none such")} {
			for _, p := range []Period{{}, {From: epoch, To: epoch.Add(5 * time.Hour)}, {From: epoch.Add(5*time.Hour + 1)}} {
				for _, by := range []Grouping{{Time: WholeTime, Of: FieldPlace}, {Time: ByHour, Zone: time.FixedZone("", 20700)}, {Time: ByDay, Of: FieldBrand}, {Time: ByMonth, Of: FieldLang}} {
					got, err := e.Figures(t.Context(), v, p, by, now)
					if err != nil {
						t.Fatal(err)
					}
					want, err := tallied(t.Context(), e, v, p, by, now)
					if err != nil {
						t.Fatal(err)
					}
					for _, groups := range [][]Group{got, want} {
						for i := range groups {
							groups[i].FirstReply() // sorts
							groups[i].Resolution()
						}
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Fatalf("%s, %+v by %+v in %+v (-want +got):\n%s", what, v, by, p, diff)
					}
				}
			}
		}
	}
	docs := goldenDocs()
	write := func(b Batch) {
		t.Helper()
		if err := e.Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	check("empty")
	write(Batch{Upserts: docs})
	check("as they are")
	canary := docs[0]
	canary.ID, canary.Seq, canary.Brand = goldenID("canary"), 0, mention.CanaryBrand
	answered, watched, closed := docs[1], docs[3], docs[6]
	answered.AnsweredAt, answered.AnswerBy, answered.RepliedIn = now, now.Add(-1), 90*time.Minute+1
	answered.DoneAt, answered.ResolvedIn, answered.Place = now, 3*time.Hour, "store"
	watched.Disposition, watched.Brand = mention.Watch, "beta"
	closed.Status = "done"
	first := docs[4]
	first.AnswerBy = now.Add(-time.Millisecond)
	write(Batch{Upserts: []Document{canary, answered, watched, closed, first}})
	check("changed")
	groups, err := e.Figures(t.Context(), Sees("acme"), Period{}, Grouping{Time: WholeTime, Of: FieldPlace}, now)
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(groups, func(g Group) bool { return g.Of == "store" }); i < 0 || groups[i].Late != 1 || groups[i].FirstReply() != (Spread{1, 90*time.Minute + 1, 90*time.Minute + 1}) || groups[i].Resolution().P90 != 3*time.Hour {
		t.Errorf("of the place: %+v", groups)
	}
	var ids []mention.ID
	for _, d := range docs[:len(docs)/2] {
		ids = append(ids, d.ID)
	}
	write(Batch{Deletes: append(ids, canary.ID), Upserts: docs[1:3]})
	check("half of them deleted")
	if _, err := e.Figures(t.Context(), Viewer{}, Period{}, Grouping{Time: ByDay}, now); err == nil {
		t.Error("nobody is shown figures")
	}
}

// TestWarm: who asks for figures first finds them read already, and what is written
// meanwhile in them.
func TestWarm(t *testing.T) {
	t.Parallel()
	e := openTestSQLite(t, filepath.Join(t.TempDir(), "index.db"))
	docs := goldenDocs()
	if err := e.Write(t.Context(), Batch{Upserts: docs[1:]}); err != nil {
		t.Fatal(err)
	}
	if err := Warm(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	warm := e.ledger
	if warm == nil || len(warm.rows) != len(docs)-1 {
		t.Fatalf("nothing is read: %v", warm)
	}
	if err := e.Write(t.Context(), Batch{Upserts: docs[:1]}); err != nil {
		t.Fatal(err)
	}
	groups, err := e.Figures(t.Context(), SeesAll(), Period{}, Grouping{Time: WholeTime}, epoch)
	if err != nil || len(groups) != 1 || groups[0].Received != len(docs) {
		t.Errorf("%+v, %v", groups, err)
	}
	if e.ledger != warm {
		t.Error("it was read once more")
	}
}
