package search

import (
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
		{Brand: "a", Disposition: mention.Answer, PublishedAt: at(1, 0), AnswerBy: at(1, 8), AnsweredAt: at(1, 8), Status: "done"},
		{Brand: "a", Disposition: mention.Answer, PublishedAt: at(1, 23), AnswerBy: at(2, 8), AnsweredAt: at(2, 9), Status: "waiting_customer"},
		{Brand: "b", Disposition: mention.Answer, PublishedAt: at(1, 23), AnswerBy: at(3, 11), Status: "new"},
		{Brand: "b", Disposition: mention.Answer, PublishedAt: at(3, 1), AnswerBy: at(3, 13), Status: "in_hand"},
		{Brand: "b", Disposition: mention.Answer, PublishedAt: at(3, 1), AnswerBy: at(3, 13), Status: "done"},
		{Brand: "a", Disposition: mention.NotForUs, PublishedAt: at(3, 2), AnsweredAt: at(3, 3), Status: "done"}, // answered all the same
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
		{Time: "2026-11-01", Figures: Figures{Received: 3, Wanted: 3, InTime: 1, Late: 1, Open: 1, Overdue: 1}},
		{Time: "2026-11-02"},
		{Time: "2026-11-03", Figures: Figures{Received: 6, Wanted: 3, InTime: 1, Open: 1, Unanswered: 1, NotForUs: 1, Watched: 1, Joined: 1}},
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
