package escalation

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/google/go-cmp/cmp"
)

func TestID(t *testing.T) {
	a := ID("kumo", "story:1", 7)
	if a != ID("kumo", "story:1", 7) || !mention.ID(a).Valid() {
		t.Errorf("%q is not a stable id", a)
	}
	seen := map[string]bool{a: true}
	for _, b := range []string{ID("kumo", "story:1", 8), ID("kumo", "story:2", 7), ID("kum", "ostory:1", 7), ID("kumo", "story:17", 0)} {
		if seen[b] {
			t.Errorf("%q twice", b)
		}
		seen[b] = true
	}
}

func TestAdmit(t *testing.T) {
	for _, tt := range []struct {
		name string
		with func(*mention.Tagged)
		want bool
	}{
		{"a live post", func(*mention.Tagged) {}, true},
		{"a note", func(m *mention.Tagged) { m.Mention.Intake = mention.Noted }, true},
		{"a note without a time counts from when it was taken down", func(m *mention.Tagged) {
			m.Mention.Intake, m.Mention.PublishedAt = mention.Noted, time.Time{}
		}, true},
		{"an import never", func(m *mention.Tagged) { m.Mention.Intake = mention.Bulked }, false},
		{"of unknown intake never", func(m *mention.Tagged) { m.Mention.Intake = "" }, false},
		{"just within a day", func(m *mention.Tagged) { m.Mention.PublishedAt = night.Add(-MaxAge) }, true},
		{"a day old", func(m *mention.Tagged) { m.Mention.PublishedAt = night.Add(-MaxAge - time.Second) }, false},
		{"from a clock ahead of ours", func(m *mention.Tagged) { m.Mention.PublishedAt = night.Add(90 * 24 * time.Hour) }, true},
		{"seen long ago whatever its clock says", func(m *mention.Tagged) {
			m.Mention.PublishedAt, m.Mention.SeenAt = night.Add(time.Hour), night.Add(-48*time.Hour)
		}, false},
		{"without any time", func(m *mention.Tagged) { m.Mention.PublishedAt, m.Mention.SeenAt = time.Time{}, time.Time{} }, false},
		{"a deletion", func(m *mention.Tagged) { m.Mention.Deleted = true }, false},
		{"a giveaway", func(m *mention.Tagged) { m.Verdict.Disposition = mention.NotForUs }, false},
		{"a threat within a giveaway", func(m *mention.Tagged) { m.Verdict.Disposition, m.Verdict.Page = mention.NotForUs, true }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := negative("1", night)
			tt.with(m)
			if got := Admit(m, night); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestCause(t *testing.T) {
	risks := []mention.Risk{{Category: mention.Churn, Rule: "leave"}, {Category: mention.SafetyHazard, Rule: "burn"}}
	for _, tt := range []struct {
		name, reason string
		cat          mention.Category
		rule         string
	}{
		{"as the verdict names it", "churn: leave", mention.Churn, "leave"},
		{"another separator", "publicity_threat/post_by_date", mention.PublicityThreat, "post_by_date"},
		{"the gravest risk where it names none", "", mention.SafetyHazard, "burn"},
		{"the gravest risk where it names nonsense", "??", mention.SafetyHazard, "burn"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cat, rule := Cause(&mention.Verdict{PageReason: tt.reason, Risks: risks})
			if cat != tt.cat || rule != tt.rule {
				t.Errorf("%q, %q, want %q, %q", cat, rule, tt.cat, tt.rule)
			}
		})
	}
}

func TestOpenShowsTheTellingWords(t *testing.T) {
	m := negative("1", night)
	m.Mention.Title = "レビュー"
	m.Mention.Text = strings.Repeat("前置き。", 100) + "やけどをしました。\n" + strings.Repeat("後書き。", 100)
	m.Mention.Author = mention.Author{ID: "9", Handle: "aoi", Followers: mention.Count(-5)}
	m.Verdict.Risks = []mention.Risk{{Category: mention.SafetyHazard, Rule: "burn", Start: 405, End: 408}}
	e := Open(m, ByVerdict, Wake)
	if !strings.Contains(e.Excerpt, "やけどをしました。") || utf8.RuneCountInString(e.Excerpt) > MaxExcerpt {
		t.Errorf("excerpt %q", e.Excerpt)
	}
	if !strings.HasPrefix(e.Excerpt, "…") || !strings.HasSuffix(e.Excerpt, "…") {
		t.Errorf("excerpt %q doesn't show that it is cut", e.Excerpt)
	}
	if e.Category != mention.SafetyHazard || e.Rule != "burn" || e.Author != "aoi" || e.Reach != 0 || e.Count != 1 {
		t.Errorf("%+v", e)
	}
	for _, s := range e.Subjects {
		if strings.Contains(s, "aoi") {
			t.Errorf("subject %q tells the author", s)
		}
	}
}

func FuzzClip(f *testing.F) {
	f.Add("short", 0)
	f.Add(strings.Repeat("あ", 500), 499)
	f.Add(strings.Repeat("a b\n", 300), 600)
	f.Fuzz(func(t *testing.T, s string, from int) {
		got := clip(s, from)
		if n := utf8.RuneCountInString(got); n > MaxExcerpt {
			t.Fatalf("%d characters", n)
		}
	})
}

func TestFold(t *testing.T) {
	d := newDesk(t, Wake)
	d.run(6 * time.Minute)
	d.add(Event{Kind: Joined, Actor: System, Mention: "m2", Subjects: []string{"story:2", "story:2"}, Count: 2, Reach: 90})
	d.add(Event{Kind: Noted, Actor: "aoi", Text: "called the shop"})
	d.add(Event{Kind: Acknowledged, Actor: "ben", Via: "link"})
	d.add(Event{Kind: Acknowledged, Actor: "aoi", Via: "desk"})
	s := Fold(d.events)

	t.Run("tells who has it and by which way", func(t *testing.T) {
		if diff := cmp.Diff(&Mark{By: "ben", At: d.now, Via: "link"}, s.Acked); diff != "" || s.Owner != "ben" || !s.NextAt.IsZero() {
			t.Errorf("owner %q, next %v, %s", s.Owner, s.NextAt, diff)
		}
	})
	t.Run("tells who was paged when and how", func(t *testing.T) {
		var got []string
		for _, p := range s.Pages {
			got = append(got, p.Channel+"/"+p.Target+" "+p.FirstAt.Sub(night).String()+" "+string(p.Outcome))
		}
		want := []string{"mail/aoi 0s sent", "room/ 0s sent", "mail/ben 5m0s sent", "mail/chika 5m0s sent", "room/ 5m0s sent"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("counts what joined", func(t *testing.T) {
		if s.Count != 2 || s.Reach != 90 || len(s.Subjects) != 1 || s.Key != "esc" || s.Seq != uint64(len(d.events)) {
			t.Errorf("%+v", s)
		}
	})
	t.Run("is the same event by event", func(t *testing.T) {
		var step State
		for i := range d.events {
			step.Apply(&d.events[i])
		}
		if diff := cmp.Diff(s, step); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("an unknown kind makes it read-only and nothing else", func(t *testing.T) {
		got := Fold(append(d.events[:len(d.events):len(d.events)], Event{Kind: "singed", Seq: 99}))
		want := s
		want.ReadOnly, want.Seq = true, 99
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("no event at all is not open", func(t *testing.T) {
		if s := Fold(nil); s.Open() || len(Plan(s, d.policy, d.now).Send) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestRedact(t *testing.T) {
	d := newDesk(t, Wake)
	d.events[0].Excerpt, d.events[0].Author, d.events[0].Title = "I burnt my hand", "aoi_x", "Burnt"
	d.events[0].Subjects = []string{"author:abc"}
	d.events[0].Origin, d.events[0].Rule = ByHand, "aoi_x is angry"
	d.state = Fold(d.events)
	d.run(6 * time.Minute)
	d.add(Event{Kind: Noted, Actor: "ben", Text: "aoi_x says it burnt"})
	d.add(Event{Kind: PageFailed, Page: "echo", Channel: "echo", Outcome: Refused, Error: "400", Trouble: outbound.Trouble{Reason: outbound.Other, Status: 400, Said: "can't post “I burnt my hand”"}})
	whole := Fold(d.events)
	pages := slices.Clone(whole.Pages)
	pages[len(pages)-1].Trouble.Said = "" // it may quote what it was sent

	r := Redact(d.events)
	r.ID, r.Escalation, r.Seq, r.At, r.Actor = "r", "esc", whole.Seq+1, d.now, "ben"
	check := func(name string, events []Event) {
		t.Run(name, func(t *testing.T) {
			s := Fold(events)
			if text := s.Excerpt + s.Author + s.Title + s.Rule + strings.Join(s.Subjects, "") + s.Notes[0].Text; text != "" {
				t.Errorf("kept %q", text)
			}
			want := whole
			want.Excerpt, want.Author, want.Title, want.Rule, want.Subjects, want.Redacted = "", "", "", "", nil, true
			want.Notes, want.Pages = []Mark{{By: "ben", At: d.now}}, pages
			want.Seq, want.GrewAt = s.Seq, d.now // messages that quoted it are to be changed
			if diff := cmp.Diff(want, s); diff != "" {
				t.Error(diff)
			}
		})
	}
	check("alone, after the purge", []Event{r})
	check("with what it replaces, before the purge", append(d.events[:len(d.events):len(d.events)], r))
	again := Redact([]Event{r})
	again.Escalation, again.Seq, again.At = "esc", r.Seq+1, d.now
	check("redacted twice", []Event{again})

	t.Run("paging goes on", func(t *testing.T) {
		at := night.Add(21 * time.Minute)
		if diff := cmp.Diff(Plan(whole, d.policy, at), Plan(Fold([]Event{r}), d.policy, at)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestMilestone(t *testing.T) {
	var got []int
	for n := range 70 {
		if Milestone(n) {
			got = append(got, n)
		}
	}
	if diff := cmp.Diff([]int{1, 2, 4, 8, 16, 32, 64}, got); diff != "" {
		t.Error(diff)
	}
}
