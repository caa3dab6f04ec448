package settings

import (
	"testing"

	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/query"

	"time"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	c, _ := bustest.Open(t)
	s, err := Open(t.Context(), c, bustest.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	put := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"pr", "cafe", "english", "rest"} {
		put(Teams.Put(t.Context(), s, "cli", id, 0, Team{ID: id, Name: id}))
	}
	for _, r := range []Route{
		{ID: "a-rest", Name: "rest", Order: 9, Team: "rest"},
		{ID: "b-gone", Name: "gone", Order: 1, Team: "gone"},
		{ID: "c-risk", Name: "risk", Order: 1, Risks: []mention.Category{mention.LegalThreat, mention.SafetyHazard}, Team: "pr"},
		{ID: "d-cafe", Name: "cafe", Order: 2, Brands: []string{"kumo"}, Places: []string{"渋谷店"}, Intents: []mention.Intent{mention.Complaint}, Team: "cafe"},
		{ID: "e-en", Name: "english", Order: 2, Languages: []string{"en"}, Sources: []string{"masto"}, Team: "english"},
	} {
		put(Routes.Put(t.Context(), s, "cli", r.ID, 0, r))
	}
	for _, tt := range []struct {
		name string
		m    mention.Mention
		v    mention.Verdict
		want string
	}{
		{"a risk comes first", mention.Mention{Brand: "kumo"}, mention.Verdict{Lang: "en", Risks: []mention.Risk{{Category: mention.SafetyHazard}}}, "pr"},
		{"a place by its name", mention.Mention{Brand: "kumo", Post: mention.Post{Place: mention.Place{ID: "p9", Name: "渋谷店"}}}, mention.Verdict{Intent: mention.Complaint}, "cafe"},
		{"all of a route must hold", mention.Mention{Brand: "kumo", Post: mention.Post{Place: mention.Place{Name: "渋谷店"}}}, mention.Verdict{Intent: mention.Praise}, "rest"},
		{"no place is no place", mention.Mention{Brand: "kumo"}, mention.Verdict{Intent: mention.Complaint}, "rest"},
		{"language and source", mention.Mention{Brand: "hoshi", Post: mention.Post{Source: "masto"}}, mention.Verdict{Lang: "en"}, "english"},
	} {
		if got := s.Route(&tt.m, &tt.v); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestDeadlinesKeepBusinessHours(t *testing.T) {
	t.Parallel()
	c, _ := bustest.Open(t)
	s, err := Open(t.Context(), c, bustest.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	p := escalation.DefaultPolicy()
	shift := []string{"09:00-12:00", "13:00-18:00"}
	p.Hours = []escalation.Hours{{Zone: escalation.NewZone("Asia/Tokyo"), Calendar: "jp", Week: map[string][]string{"mon": shift, "tue": shift, "wed": shift, "thu": shift, "fri": shift}}}
	if err := Policies.Put(t.Context(), s, "cli", Default, 0, p); err != nil {
		t.Fatal(err)
	}
	if err := Brands.Put(t.Context(), s, "cli", "kumo", 0, Brand{ID: "kumo", Name: "Kumo", Query: "kumo", NormalMinutes: 120, ResolveNormalMinutes: 480}); err != nil {
		t.Fatal(err)
	}
	tokyo := time.FixedZone("", 9*3600)
	m := mention.Of("kumo", mention.Post{SeenAt: time.Date(2026, 5, 1, 17, 0, 0, 0, tokyo)}) // Friday, before the holidays
	got := s.Triage(&m, &mention.Verdict{Intent: mention.Complaint, Disposition: mention.Answer}, casework.Signals{})
	for _, x := range []struct{ got, want time.Time }{
		{got.DueAt, time.Date(2026, 5, 7, 10, 0, 0, 0, tokyo)}, {got.WarnAt, time.Date(2026, 5, 7, 9, 30, 0, 0, tokyo)}, {got.ResolveAt, time.Date(2026, 5, 7, 17, 0, 0, 0, tokyo)},
	} {
		if !x.got.Equal(x.want) {
			t.Errorf("%v, want %v", x.got, x.want)
		}
	}
}

func TestTermsAreSound(t *testing.T) {
	t.Parallel()
	for term, ok := range map[string]bool{
		"author:winbot": true, `"win a mug"`: true, "#win": true, "a b": true, "a OR b": true, "url:example.com": true, "lang:en": true,
		"": false, "x) OR (y": false, `"open`: false, "AND": false, "(a": false,
	} {
		if err := CheckTerm(term); (err == nil) != ok {
			t.Errorf("%q: %v", term, err)
		}
	}
	if got := Without("acme", "a OR b"); got != "acme NOT (a OR b)" {
		t.Error(got)
	}
}

func TestWithout(t *testing.T) {
	t.Parallel()
	kept := mention.Post{Text: "acme shoes"}
	for _, tt := range []struct{ q, want string }{
		{`acme`, `acme NOT "resale"`},
		{`acme OR kumo`, `(acme OR kumo) NOT "resale"`},
		{`acme ＯＲ kumo`, `(acme ＯＲ kumo) NOT "resale"`},
		{`(acme OR kumo) NOT x`, `(acme OR kumo) NOT x NOT "resale"`},
		{`acme "this OR that \" OR"`, `acme "this OR that \" OR" NOT "resale"`},
	} {
		got := Without(tt.q, `"resale"`)
		if got != tt.want {
			t.Errorf("%s becomes %s, want %s", tt.q, got, tt.want)
		}
		q, err := query.Parse(got)
		if err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		sold := kept
		sold.Text = "acme kumo this OR that \" OR resale"
		if _, found := q.Match(&sold); found {
			t.Errorf("%s still finds what it leaves out", got)
		}
	}
}
