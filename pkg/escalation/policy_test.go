package escalation

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestDefaultPolicy(t *testing.T) {
	p := DefaultPolicy()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		r    Reason
		want Urgency
	}{
		{"an injury wakes", Reason{Category: mention.SafetyHazard, Origin: ByVerdict}, Wake},
		{"a storm wakes", Reason{Origin: ByVolume}, Wake},
		{"a person who calls for PR wakes", Reason{Category: mention.Churn, Origin: ByHand}, Wake},
		{"a threat to few readers waits for opening", Reason{Category: mention.PublicityThreat, Origin: ByVerdict, Reach: 300}, Opening},
		{"a threat to many wakes", Reason{Category: mention.PublicityThreat, Origin: ByVerdict, Reach: 10_000}, Wake},
		{"the press waits for opening", Reason{Category: mention.MediaInquiry, Origin: ByVerdict}, Opening},
		{"a promise at risk is a note", Reason{Origin: ByPromise}, Notify},
		{"so is a silent source", Reason{Brand: "*", Origin: BySilence}, Notify},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := p.Urgency(tt.r, night); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestRulesAreReadInOrder(t *testing.T) {
	p := Policy{
		Hours: DefaultPolicy().Hours,
		Rules: []Rule{
			{Brands: []string{"peer"}, Urgency: Ignore},
			{Brands: []string{"all"}, Urgency: Wake},
			{Categories: []mention.Category{mention.MediaInquiry}, During: WhileOpen, Urgency: Wake},
			{Categories: []mention.Category{mention.MediaInquiry}, During: WhileClosed, Urgency: Opening},
		},
	}
	day := at("2026-10-06T10:00:00+09:00")
	for _, tt := range []struct {
		name string
		r    Reason
		now  time.Time
		want Urgency
	}{
		{"the brand's own rule first", Reason{Brand: "peer", Category: mention.MediaInquiry}, day, Ignore},
		{"in business hours", Reason{Category: mention.MediaInquiry}, day, Wake},
		{"outside them", Reason{Category: mention.MediaInquiry}, night, Opening},
		{"what no rule matches is told", Reason{Category: mention.Churn}, day, Notify},
		{"a rule for everything doesn't wake for a silent source", Reason{Brand: "all", Origin: BySilence}, day, Notify},
		{"but it can be ignored", Reason{Brand: "peer", Origin: BySilence}, day, Ignore},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := p.Urgency(tt.r, tt.now); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestNextOpening(t *testing.T) {
	p := Policy{Hours: []Hours{
		{Brands: []string{"us"}, Zone: NewZone("America/New_York"), Week: map[string][]string{"sun": {"02:30-04:00"}}},
		{Zone: NewZone("Asia/Tokyo"), Week: map[string][]string{
			"mon": {"13:00-18:00", "09:00-12:00"}, "fri": {"09:00-24:00"}, "sat": {"00:00-02:00"},
		}, Holidays: []string{"2026-10-12"}},
	}}
	tests := []struct{ name, brand, now, want string }{
		{"open", "", "2026-10-05T10:00:00+09:00", "2026-10-05T10:00:00+09:00"},
		{"the first minute is open", "", "2026-10-05T09:00:00+09:00", "2026-10-05T09:00:00+09:00"},
		{"before the day", "", "2026-10-05T08:59:59+09:00", "2026-10-05T09:00:00+09:00"},
		{"at noon", "", "2026-10-05T12:00:00+09:00", "2026-10-05T13:00:00+09:00"},
		{"after the day", "", "2026-10-05T18:00:00+09:00", "2026-10-09T09:00:00+09:00"},
		{"over midnight in two spans", "", "2026-10-10T00:00:00+09:00", "2026-10-10T00:00:00+09:00"},
		{"a holiday is passed over", "", "2026-10-10T02:00:00+09:00", "2026-10-16T09:00:00+09:00"},
		{"an opening in the hour that summer time skips is an hour early", "us", "2026-03-08T00:00:00-05:00", "2026-03-08T01:30:00-05:00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := p.NextOpening(tt.brand, at(tt.now)); !got.Equal(at(tt.want)) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
	t.Run("without hours it is always open", func(t *testing.T) {
		var p Policy
		if !p.IsOpen("any", night) {
			t.Error("closed")
		}
	})
}

func TestOnCall(t *testing.T) {
	p := Policy{Rotas: []Rota{{
		Name: "pr", Members: []string{"aoi", "ben", "chika"}, Zone: NewZone("Europe/Berlin"), Start: "2026-03-23T09:00", Days: 7,
		Overrides: []Override{{From: at("2026-04-01T00:00:00+02:00"), To: at("2026-04-02T00:00:00+02:00"), Who: "dai"}},
	}}}
	tests := []struct{ name, now, want string }{
		{"the first turn", "2026-03-23T09:00:00+01:00", "aoi"},
		{"before the first turn the order runs backwards", "2026-03-23T08:59:00+01:00", "chika"},
		{"summer time moves no hand-over: before", "2026-03-30T08:59:00+02:00", "aoi"},
		{"summer time moves no hand-over: after", "2026-03-30T09:00:00+02:00", "ben"},
		{"a swap", "2026-04-01T12:00:00+02:00", "dai"},
		{"after the swap", "2026-04-02T00:00:00+02:00", "ben"},
		{"round again", "2026-04-13T09:00:00+02:00", "aoi"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := p.OnCall("pr", at(tt.now)); len(got) != 1 || got[0] != tt.want {
				t.Errorf("%v, want %s", got, tt.want)
			}
		})
	}
	if got := p.OnCall("none", night); got != nil {
		t.Errorf("a rota that isn't there: %v", got)
	}
}

func TestValidateNamesEveryField(t *testing.T) {
	const bad = `{
		"rules": [{"urgency": "panic", "during": "lunch", "categories": ["rain"], "origins": ["moon"], "min_reach": -1},
			{"origins": ["silence"], "urgency": "wake"}],
		"ladders": [{"urgencies": ["wake"], "origins": ["sun"], "repeat_minutes": -5, "max_rounds": -1, "rungs": [
			{"who": ["everyone", "oncall:none"], "wait_minutes": 0}, {"who": []}]},
			{"brands": ["kumo"], "rungs": []}],
		"rotas": [{"name": "", "members": [], "zone": "Mars/Base", "start": "monday", "days": 0, "overrides": [{"who": ""}]}],
		"hours": [{"zone": "Local", "week": {"mon": ["9-18"], "tag": ["22:00-06:00"]}, "holidays": ["31.12."]}, {"week": {}}],
		"quiet": [{"from": "2026-10-05T10:00:00Z", "to": "2026-10-05T10:00:00Z"}],
		"limits": [{"reach": -1, "growth": 5000, "volume_factor": 0.5, "volume_min": -1}]
	}`
	var p Policy
	if err := json.Unmarshal([]byte(bad), &p); err != nil {
		t.Fatal(err)
	}
	err := p.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, field := range []string{
		"rules[0].urgency", "rules[0].during", "rules[0].categories[0]", "rules[0].origins[0]", "rules[0].min_reach",
		"rules[1].urgency", "ladders[0].origins[0]",
		"ladders: none is for every brand at urgency \"opening\"", "ladders: none is for every brand at urgency \"notify\"",
		"ladders[0].repeat_minutes", "ladders[0].max_rounds", "ladders[0].rungs[0].who[0]", "ladders[0].rungs[0].who[1]",
		"ladders[0].rungs[0].wait_minutes", "ladders[0].rungs[1].who", "ladders[1].rungs",
		"rotas[0].name", "rotas[0].members", "rotas[0].zone", "rotas[0].start", "rotas[0].days", "rotas[0].overrides[0]",
		"hours[0].zone", "hours[0].week.mon[0]", "hours[0].week.tag", "hours[0].holidays[0]", "hours[1].week",
		"quiet[0].to", "limits[0].reach", "limits[0].growth", "limits[0].volume_factor", "limits[0].volume_min",
	} {
		if !strings.Contains("\n"+err.Error(), "\n"+field) {
			t.Errorf("nothing said about %s", field)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
}

func TestPolicyKeepsItsFormInJSONAndYAML(t *testing.T) {
	want := DefaultPolicy()
	want.Quiet = []Quiet{{From: at("2026-10-05T10:00:00Z"), To: at("2026-10-05T11:00:00Z"), Reason: "drill"}}
	want.Rotas = []Rota{{Name: "pr", Members: []string{"aoi"}, Zone: NewZone("Asia/Tokyo"), Start: "2026-01-05T09:00", Days: 7}}
	same := cmp.Comparer(func(a, b Zone) bool {
		return a.String() == b.String() && a.location().String() == b.location().String()
	})
	t.Run("JSON", func(t *testing.T) {
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Policy
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, same); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("YAML", func(t *testing.T) {
		b, err := yaml.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Policy
		if err := yaml.UnmarshalWithOptions(b, &got, yaml.Strict()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, same); diff != "" {
			t.Errorf("%s\n%s", diff, b)
		}
	})
}

// The settings form and strict decoding come from the struct alone.
func TestPolicyIsAConfiguration(t *testing.T) {
	k := config.NewKind("policy", "what wakes whom", DefaultPolicy(), func(p Policy, _ struct{}) (Policy, error) { return p, nil })
	want := DefaultPolicy()
	raw, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.Open(raw, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b Zone) bool { return a.String() == b.String() })); diff != "" {
		t.Error(diff)
	}
	err = k.Check([]byte(`{"limits": [{"reach": -1}]}`))
	if e, ok := errors.AsType[*config.FieldError](err); !ok || e.Key != "limits[0].reach" {
		t.Errorf("%v, want a mistake in limits[0].reach", err)
	}
}

func FuzzHours(f *testing.F) {
	f.Add("09:00-18:00", "Asia/Tokyo", int64(1_790_000_000))
	f.Add("00:00-24:00", "America/New_York", int64(1_772_953_200))
	f.Add("23:59-24:00", "Pacific/Apia", int64(1_325_200_000))
	f.Fuzz(func(t *testing.T, span, zone string, unix int64) {
		h := Hours{Zone: NewZone(zone), Week: map[string][]string{}}
		for _, d := range weekdays {
			h.Week[d] = []string{span}
		}
		now := time.Unix(unix%(1<<33), 0)
		clock := Clock{hours: &h}
		next := clock.next(now)
		if next.Before(now) {
			t.Fatalf("opens at %v, before %v", next, now)
		}
		if _, _, ok := parseSpan(span); ok && next.Sub(now) > 72*time.Hour {
			t.Fatalf("open daily, but not before %v at %v", next, now)
		}
		if until := clock.After(now, time.Hour); until.Before(now.Add(time.Hour)) {
			t.Fatalf("an hour after %v is %v", now, until)
		} else if worked := clock.Between(now, until); next.After(now.AddDate(1, 0, 0)) && worked != time.Hour {
			t.Fatalf("%v from %v to %v, want an hour", worked, now, until)
		}
	})
}
