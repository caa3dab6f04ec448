package desk

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
)

// Whatever a setting holds has an input, or saving the page would lose it.
func TestEveryValueOfARuleHasAnInput(t *testing.T) {
	t.Parallel()
	types := map[string]reflect.Type{
		"policy": reflect.TypeFor[escalation.Policy](), "rules": reflect.TypeFor[casework.Rules](),
		"playbook": reflect.TypeFor[casework.Playbook](), "team": reflect.TypeFor[settings.Team](), "route": reflect.TypeFor[settings.Route](),
		"check": reflect.TypeFor[casework.CheckRule](), "voice": reflect.TypeFor[casework.Voice](),
		"answer": reflect.TypeFor[casework.AgreedAnswer](), "deputy": reflect.TypeFor[settings.Deputy](), "access": reflect.TypeFor[settings.Access](),
	}
	for _, r := range rulings() {
		var walk func(at string, parts []part, of reflect.Type)
		walk = func(at string, parts []part, of reflect.Type) {
			var want, got []string
			for i := range of.NumField() {
				key, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
				if key != "-" && !(at == r.kind && key == "id") {
					want = append(want, key)
				}
				for _, p := range parts {
					if p.key == key && p.is == "group" {
						walk(at+"."+key, p.parts, of.Field(i).Type.Elem())
					}
				}
			}
			for _, p := range parts {
				got = append(got, p.key)
			}
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-held +put in):\n%s", at, diff)
			}
		}
		walk(r.kind, r.parts, types[r.kind])
	}
}

// posted is what a browser sends of a page's inputs.
func posted(parts []formPart, into url.Values) url.Values {
	for _, p := range parts {
		if f := p.Field; f != nil {
			switch {
			case f.Type == "check" || f.Type == "select":
				for _, o := range f.Options {
					if o.On {
						into.Add(f.Name, o.Value)
					}
				}
			default:
				into.Set(f.Name, f.Value)
			}
			continue
		}
		into.Set(p.Path+".#", strconv.Itoa(len(p.Members)))
		for _, m := range p.Members {
			posted(m.Parts, into)
		}
	}
	return into
}

// What a page shows is what it stores.
func TestWhatIsShownIsWhatIsStored(t *testing.T) {
	t.Parallel()
	words, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	policy := escalation.DefaultPolicy()
	policy.Rotas = []escalation.Rota{{Name: "press", Members: []string{"kurose", "arai"}, Zone: escalation.NewZone("Asia/Tokyo"), Start: "2026-01-05T09:00", Days: 7}}
	policy.Rules[0].Brands, policy.Rules[1].During = []string{"gone"}, escalation.WhileClosed
	policy.Limits[0].VolumeFactor = 2.5
	rows := casework.DefaultRules().Rows
	for i := range rows { // what is ticked comes in the order of the page
		slices.SortFunc(rows[i].Intents, func(a, b mention.Intent) int {
			return slices.Index(mention.Intents, a) - slices.Index(mention.Intents, b)
		})
	}
	for i := range policy.Rules {
		slices.SortFunc(policy.Rules[i].Origins, func(a, b escalation.Origin) int {
			return slices.Index(escalation.Origins, a) - slices.Index(escalation.Origins, b)
		})
	}
	free := true
	for kind, v := range map[string]any{
		"policy":   policy,
		"rules":    casework.Rules{Rows: append(rows, casework.Rule{Edited: new(bool), Why: "x"}, casework.Rule{Edited: &free})},
		"playbook": casework.Playbook{Name: map[string]string{"ja": "火"}, Risks: []mention.Category{mention.SafetyHazard}, Steps: []casework.Step{{Phase: "hear", Text: map[string]string{"en": "Ask", "ja": "聞く\n二行"}}}, Law: map[string]string{"ja": "法"}},
		"team":     settings.Team{Name: "Press", Members: []string{"kurose"}},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			all := rulings()
			r := all[slices.IndexFunc(all, func(r ruling) bool { return r.kind == kind })]
			raw, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			tree := map[string]any{}
			if err := json.Unmarshal(raw, &tree); err != nil {
				t.Fatal(err)
			}
			c := &call{Desk: &Desk{Options: Options{Settings: &settings.Store{}}}, l: sampleLocale(words["ja"])}
			shown := (&formed{call: c, kind: kind}).parts("", r.parts, tree)
			c.r = httptest.NewRequest(http.MethodPost, "/", strings.NewReader(posted(shown, url.Values{}).Encode()))
			c.r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			f := &formed{call: c, kind: kind, wrong: map[string]string{}}
			again, err := json.Marshal(f.typed("", r.parts))
			if err != nil || len(f.wrong) > 0 {
				t.Fatal(err, f.wrong)
			}
			got := reflect.New(reflect.TypeOf(v))
			if err := json.Unmarshal(again, got.Interface()); err != nil {
				t.Fatal(err)
			}
			back, err := json.Marshal(got.Elem().Interface())
			if err != nil || string(back) != string(raw) {
				t.Errorf("%v\n%s\nwas\n%s", err, back, raw)
			}
		})
	}
}

func TestRulesAreEditedByThoseWhoAnswerForThem(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	lead, admin := b.as("mio", everywhere, identity.PRLead), b.as("ada", everywhere, identity.Admin)
	agent, approver, part := b.as("aya", everywhere, identity.Agent), b.as("ken", everywhere, identity.Approver), b.as("rin", []string{"kumo"}, identity.PRLead)
	lead.want(lead.get("/rules"), 200, "Paging", "Playbooks", "Defaults", "New team", `href="/rules"`)
	agent.want(agent.get("/rules/policy/default"), 200, "<fieldset disabled>", "!New team")
	agent.want(agent.get("/queue"), 200, `!href="/rules"`)
	approver.want(approver.get("/rules"), 200, "New playbook", "!New team")
	for path, may := range map[string][]*visitor{"/rules/team/new": {lead, admin}, "/rules/playbook/new": {lead, admin, approver}, "/rules/policy/default": {lead, admin}} {
		for _, v := range []*visitor{lead, admin, agent, approver, part} {
			want := 403
			if slices.Contains(may, v) {
				want = 422
			}
			v.want(v.post(path, "version", "0", "name", "", "rules.#", "1"), want)
		}
	}
	lead.want(lead.get("/rules/nothing/x"), 404)
	lead.want(lead.get("/rules/policy/other"), 404)
	lead.want(lead.get("/rules/team/none"), 404)
	admin.want(admin.post("/rules/team/new", "id", "press", "name", "Press office", "members", "mio", "version", "0"), 303)
	if got, _ := settings.Teams.Get(b.Settings, "press"); !cmp.Equal(got, settings.Team{ID: "press", Name: "Press office", Members: []string{"mio"}}) {
		t.Errorf("stored %+v", got)
	}
	admin.want(admin.post("/rules/team/new", "id", "press", "name", "Again", "version", "0"), 422, "This is taken already")
	admin.want(admin.post("/rules/team/new", "id", "Presse!", "name", "Again", "version", "0"), 422, "lower-case letters")
}

func TestTheFormOfARuleNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	lead := b.as("mio", everywhere, identity.PRLead)
	a := lead.post("/rules/policy/default", "version", "0", "rules.#", "1", "rules.0.urgency", "wake", "rules.0.min_reach", "many",
		"ladders.#", "1", "ladders.0.rungs.#", "1", "ladders.0.rungs.0.who", "role:pr_lead\neverybody")
	lead.want(a, 422, `value="many"`, "Please give a number", "What you typed is kept below", "everybody")
	a = lead.post("/rules/policy/default", "version", "0",
		"rules.#", "1", "rules.0.urgency", "wake", "ladders.#", "1", "ladders.0.rungs.#", "1", "ladders.0.rungs.0.who", "everybody",
		"hours.#", "1", "hours.0.zone", "Mars/Base", "hours.0.week.mon", "9-18")
	lead.want(a, 422, "is not staff:ID", "Mars/Base", `id="f-hours.0.week.mon"`, "9-18", `aria-invalid="true"`)
	// Rows are added, moved and taken out before anything is stored.
	lead.want(lead.post("/rules/rules/default", "version", "0", "do", "add:rows", "rows.#", "1", "rows.0.why", "first"), 200, `name="rows.#" value="2"`, `id="g-rows.1"`)
	if _, ok := settings.Rules.Get(b.Settings, settings.Default); ok {
		t.Error("adding a row has stored something")
	}
	lead.want(lead.post("/rules/rules/default", "version", "0", "do", "del:rows.0", "rows.#", "2", "rows.0.why", "first", "rows.1.why", "second"), 200, `value="second"`, `!value="first"`)
	for _, do := range []string{"up:rows.9", "down:x.y.z", "del:", "add:", "dance:rows.0", "up:rows.0.why.1"} {
		lead.want(lead.post("/rules/rules/default", "version", "0", "do", do, "rows.#", "1", "rows.0.why", "first"), 200, `value="first"`)
	}
}

func TestTwoWhoEditTheSameRule(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one, two := b.as("mio", everywhere, identity.PRLead), b.as("ada", everywhere, identity.Admin)
	one.want(one.post("/rules/rules/default", "version", "0", "rows.#", "1", "rows.0.needs_approval", "on", "rows.0.why", "everything"), 303)
	two.want(two.post("/rules/rules/default", "version", "0", "rows.#", "1", "rows.0.why", "mine"), 409, "Somebody changed this", `value="mine"`)
	version := settings.Rules.Version(b.Settings, settings.Default)
	two.want(two.post("/rules/rules/default", "version", strconv.FormatUint(version, 10), "rows.#", "1", "rows.0.why", "mine"), 303)
	two.want(two.get("/rules/rules/default"), 200, "<b>Mio</b> set it up", "<b>Ada</b> changed", "<blockquote", "Rows")
	two.want(two.post("/rules/rules/default/remove"), 303)
	if _, ok := settings.Rules.Get(b.Settings, settings.Default); ok {
		t.Error("the defaults are not in force")
	}
	two.want(two.get("/rules/rules/default"), 200, "took it out", "These are the defaults")
}
