package desk

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
)

// ruling is a kind of setting that has pages here: who may edit it, what it is
// made of, and how it is read.
type ruling struct {
	kind  string
	right identity.Action // for all brands
	parts []part
	// one is what there is one of: its value while nobody has set any.
	one func() any
	// usual is the value of id while nobody has set any, of what there is more
	// than one of; nil where all values are people's.
	usual func(c *call, id string) (any, bool)
	list  func(*call) []ruled
	last  func(*settings.Store, string) (actor string, at time.Time)
	json  func(*settings.Store, string) (json.RawMessage, uint64, error)
	past  func(context.Context, *settings.Store, string) ([]revised, error)
	drop  func(c *call, id string, version uint64) error
}

// ruled is one setting in a list.
type ruled struct {
	id, name string
	parts    []string // what it is about, in words
	state    string   // a word on it; may be empty
}

// revised is who set something when, and to what; nil for nothing any more.
type revised struct {
	by  string
	at  time.Time
	raw map[string]json.RawMessage
}

func rulingOf[T any](set settings.Set[T], right identity.Action, parts ...part) ruling {
	return ruling{
		kind: set.Kind(), right: right, parts: parts, json: set.JSON, last: set.Changed,
		past: func(ctx context.Context, s *settings.Store, id string) ([]revised, error) {
			all, err := set.History(ctx, s, id)
			if err != nil {
				return nil, err
			}
			out := make([]revised, len(all))
			for i, r := range all {
				out[i] = revised{by: r.Actor, at: r.At}
				if r.Deleted {
					continue
				}
				raw, err := json.Marshal(r.Value)
				if err == nil {
					err = json.Unmarshal(raw, &out[i].raw)
				}
				if err != nil {
					return nil, err
				}
			}
			return out, nil
		},
		drop: func(c *call, id string, version uint64) error {
			return set.Delete(c.ctx, c.Settings, c.viewer.Actor(), id, version)
		},
	}
}

// rulings are the kinds, in the order of their list.
func rulings() []ruling {
	approval := rulingOf(settings.Rules, identity.Rule,
		ofGroup("rows", ofPicks("brands", brandPicks), ofPicks("risks", riskPicks), ofPicks("intents", intentPicks), ofChoice("edited", false, "", "true", "false"),
			ofPicks("roles", named("role.", identity.Roles)), ofCheck("trained"), ofNumber("reach"), ofCheck("needs_approval"), ofCheck("approvers"), ofText("why")))
	approval.one = func() any { return casework.DefaultRules() }

	policy := rulingOf(settings.Policies, identity.Rule,
		ofGroup("rules", ofPicks("brands", brandPicks), ofPicks("categories", riskPicks), ofPicks("origins", originPicks), ofChoice("during", false, "", "open", "closed"),
			ofNumber("min_reach"), ofChoice("urgency", true, texts(escalation.Urgencies)...)),
		ofGroup("ladders", ofPicks("brands", brandPicks), ofPicks("urgencies", urgencyPicks), ofPicks("origins", originPicks),
			ofGroup("rungs", ofLines("who"), ofPicks("channels", channelPicks), ofNumber("wait_minutes")), ofNumber("repeat_minutes"), ofNumber("max_rounds")),
		ofGroup("rotas", ofText("name"), ofLines("members"), ofText("zone"), ofText("start"), ofNumber("days"),
			ofGroup("overrides", ofText("from"), ofText("to"), ofText("who"))),
		ofGroup("hours", ofPicks("brands", brandPicks), ofText("zone"), ofWeek("week"), ofText("calendar"), ofLines("holidays")),
		ofGroup("calendars", ofText("name"), ofLines("days")),
		ofGroup("quiet", ofPicks("brands", brandPicks), ofPicks("categories", riskPicks), ofText("from"), ofText("to"), ofText("reason")),
		ofGroup("limits", ofPicks("brands", brandPicks), ofNumber("reach"), ofNumber("growth"), ofNumber("volume_factor"), ofNumber("volume_min")))
	policy.one = func() any { return escalation.DefaultPolicy() }

	playbook := rulingOf(settings.Playbooks, identity.Playbook,
		ofSpoken("name", 1), ofPicks("risks", riskPicks), ofGroup("steps", ofChoice("phase", true, casework.Phases...), ofText("who"), ofSpoken("text", 3)),
		ofSpoken("offer", 3), ofSpoken("hints", 3), ofPicks("templates", templatePicks), ofGroup("clocks", ofSpoken("text", 2), ofNumber("hours")),
		ofSpoken("never", 3), ofSpoken("law", 3))
	playbook.list = func(c *call) []ruled {
		var out []ruled
		for _, p := range settings.Playbooks.List(c.Settings) {
			r := ruled{id: p.ID, name: cmp.Or(p.Name[c.l.lang], p.Name["en"], p.Name["ja"], p.ID)}
			for _, x := range p.Risks {
				r.parts = append(r.parts, c.l.say("risk."+string(x)))
			}
			out = append(out, r)
		}
		return out
	}

	team := rulingOf(settings.Teams, identity.Rule, ofText("name"), ofPicks("members", staffPicks), ofNumber("capacity"))
	team.list = func(c *call) []ruled {
		var out []ruled
		for _, t := range settings.Teams.List(c.Settings) {
			r := ruled{id: t.ID, name: t.Name}
			for _, m := range t.Members {
				r.parts = append(r.parts, c.who(m))
			}
			out = append(out, r)
		}
		return out
	}
	route := rulingOf(settings.Routes, identity.Rule, ofText("name"), ofNumber("order"), ofPick("team", teamPicks), ofPicks("brands", brandPicks), ofPicks("risks", riskPicks),
		ofPicks("intents", intentPicks), ofPicks("languages", langPicks), ofPicks("sources", sourcePicks), ofLines("places"))
	route.list = func(c *call) []ruled {
		routes := settings.Routes.List(c.Settings)
		slices.SortStableFunc(routes, func(a, b settings.Route) int { return cmp.Compare(a.Order, b.Order) })
		var out []ruled
		for i := range routes {
			x := &routes[i]
			out = append(out, ruled{id: x.ID, name: x.Name, parts: []string{c.saidRoute(x, i)}})
		}
		return out
	}
	access := rulingOf(settings.Accesses, identity.Manage, ofPicks("second_factor", named("role.", identity.Roles)))
	access.one = func() any { return settings.Access{} }
	return []ruling{policy, approval, checkRuling(), voiceRuling(), answerRuling(), playbook, team, route, deputyRuling(), access}
}

func texts[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}

func brandPicks(c *call) []option {
	var out []option
	for _, b := range settings.Brands.List(c.Settings) {
		out = append(out, option{Value: b.ID, Label: b.Name})
	}
	return out
}

func teamPicks(c *call) []option {
	var out []option
	for _, t := range settings.Teams.List(c.Settings) {
		out = append(out, option{Value: t.ID, Label: t.Name})
	}
	return out
}

func sourcePicks(c *call) []option {
	var out []option
	for _, s := range settings.Sources.List(c.Settings) {
		out = append(out, option{Value: s.ID, Label: cmp.Or(s.Name, s.ID)})
	}
	return out
}

func langPicks(c *call) []option {
	var out []option
	for _, l := range []string{"ja", "en", "other"} {
		out = append(out, option{Value: l, Label: c.valueName("lang", l)})
	}
	return out
}

func staffPicks(c *call) []option {
	var out []option
	for _, s := range settings.Staff.List(c.Settings) {
		if !s.Disabled {
			out = append(out, option{Value: s.ID, Label: s.Name})
		}
	}
	return out
}

func channelPicks(c *call) []option {
	var out []option
	for _, n := range settings.Notifiers.List(c.Settings) {
		out = append(out, option{Value: n.ID, Label: cmp.Or(n.Name, n.ID)})
	}
	return out
}

func named[S ~string](prefix string, values []S) func(*call) []option {
	return func(c *call) []option {
		var out []option
		for _, v := range values {
			out = append(out, option{Value: string(v), Label: c.l.say(prefix + string(v))})
		}
		return out
	}
}

var (
	riskPicks    = named("risk.", mention.Categories)
	intentPicks  = named("intent.", mention.Intents)
	originPicks  = named("origin.", escalation.Origins)
	urgencyPicks = named("policy.", escalation.Urgencies[:3])
)

// shortName is what a new setting can be called.
var shortName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// mayEdit tells whether the caller may edit settings of r.
func (c *call) mayEdit(r *ruling) bool {
	return c.viewer.Can(r.right, identity.AllBrands)
}

// ruled lists everything there is.
func (c *call) rules() error {
	say := c.l.say
	v := &rulesView{frame: c.frame(say("nav.rules"), "/rules")}
	for _, r := range rulings() {
		s := rulesSection{Title: say("rules." + r.kind), Lead: say("rules." + r.kind + "_lead")}
		path := "/rules/" + r.kind + "/"
		if r.one != nil {
			row := rulesRow{Href: path + settings.Default, Name: say("rules." + r.kind)}
			if raw, _, err := r.json(c.Settings, settings.Default); err != nil {
				return err
			} else if raw == nil {
				row.State = say("rules.default")
			}
			s.rulesRow = c.dated(&r, settings.Default, row)
		} else {
			for _, x := range r.list(c) {
				s.Rows = append(s.Rows, c.dated(&r, x.id, rulesRow{Href: path + x.id, Name: x.name, Parts: x.parts, State: x.state}))
			}
			if c.mayEdit(&r) && r.kind != settings.Voices.Kind() { // every brand has its own already
				s.New, s.NewLabel = path+"new", say("rules."+r.kind+"_new")
			}
		}
		v.Sections = append(v.Sections, s)
	}
	return c.show(http.StatusOK, "rules", "page", v)
}

// dated is row with who changed it last.
func (c *call) dated(r *ruling, id string, row rulesRow) rulesRow {
	if by, at := r.last(c.Settings, id); by != "" {
		row.At, row.By = c.l.at(at), c.who(by)
	}
	return row
}

// wantedRule is the setting of the address: its kind, its value as a tree, and
// its version. Of "new" there is no value yet.
func (c *call) wantedRule() (*ruling, map[string]any, uint64, error) {
	all := rulings()
	i := slices.IndexFunc(all, func(r ruling) bool { return r.kind == c.r.PathValue("kind") })
	if i < 0 {
		return nil, nil, 0, errNotFound
	}
	r, id := &all[i], c.r.PathValue("id")
	if r.one != nil && id != settings.Default {
		return nil, nil, 0, errNotFound
	}
	raw, version, err := r.json(c.Settings, id)
	switch {
	case err != nil:
		return nil, nil, 0, err
	case raw != nil:
	case r.one != nil:
		if raw, err = json.Marshal(r.one()); err != nil {
			return nil, nil, 0, err
		}
	case id == "new":
		return r, map[string]any{}, 0, nil
	default:
		v, ok := any(nil), false
		if r.usual != nil {
			v, ok = r.usual(c, id)
		}
		if !ok {
			return nil, nil, 0, errNotFound
		}
		if raw, err = json.Marshal(v); err != nil {
			return nil, nil, 0, err
		}
	}
	tree := map[string]any{}
	return r, tree, version, json.Unmarshal(raw, &tree)
}

// hasUsual tells whether something holds for id while nobody has set anything.
func (r *ruling) hasUsual(c *call, id string) bool {
	if r.usual != nil {
		_, ok := r.usual(c, id)
		return ok
	}
	return r.one != nil
}

// isSet tells whether the setting of the address has a value of its own.
func (c *call) isSet(r *ruling) bool {
	raw, _, err := r.json(c.Settings, c.r.PathValue("id"))
	return err == nil && raw != nil
}

func (c *call) rule() error {
	r, tree, version, err := c.wantedRule()
	if err != nil {
		return err
	}
	if c.r.PathValue("id") == "new" && !c.mayEdit(r) {
		return errForbidden
	}
	return c.showRule(http.StatusOK, r, tree, version, nil)
}

func (c *call) showRule(status int, r *ruling, tree map[string]any, version uint64, wrong map[string]string) error {
	say, id := c.l.say, c.r.PathValue("id")
	title := say("rules." + r.kind)
	if r.one == nil {
		title = say("rules." + r.kind + "_new")
		for _, x := range r.list(c) {
			if x.id == id {
				title = x.name
			}
		}
	}
	mistaken := len(wrong) > 0
	f := &formed{call: c, kind: r.kind, wrong: wrong} // takes the mistakes to their places
	parts := f.parts("", r.parts, tree)
	if r.one == nil && id == "new" {
		parts = append([]formPart{{Field: &field{Name: "id", Plain: true, Label: say("rules.id"), Hint: say("rules.id_hint"), Mono: true, Value: c.form("id"), Error: f.take("id")}}}, parts...)
	}
	v := &ruleView{
		frame: c.frame(title, "/rules"), Lead: say("rules." + r.kind + "_lead"), Action: "/rules/" + r.kind + "/" + id, May: c.mayEdit(r),
		Version: itoa(version), Parts: parts, Back: link{say("nav.rules"), "/rules"},
	}
	if text := f.rest(); status == http.StatusConflict {
		v.Notice = &notice{Kind: "error", Title: say("error.conflict"), Text: text}
	} else if text != "" {
		v.Notice = &notice{Kind: "error", Title: say("error.input"), Text: text, Kept: say("form.kept")}
	} else if mistaken {
		v.Notice = &notice{Kind: "error", Title: say("error.input"), Text: say("rules.wrong"), Kept: say("form.kept")}
	} else if !c.isSet(r) && r.hasUsual(c, id) {
		v.Notice = &notice{Kind: "info", Text: say("rules.default_text")}
	}
	if id != "new" {
		v.History = c.ruleHistory(r, id)
	}
	if v.May && c.isSet(r) {
		v.Drop, v.DropLabel, v.DropText = v.Action+"/remove", say("rules.remove"), say("rules.remove_sure")
		if key := "rules." + r.kind + ".remove_sure"; c.l.has(key) {
			v.DropText = say(key)
		}
		if r.hasUsual(c, id) {
			v.DropLabel, v.DropText = say("rules.reset"), say("rules.reset_sure")
		}
	}
	return c.show(status, "rule", "page", v)
}

func (c *call) ruleHistory(r *ruling, id string) []eventView {
	all, err := r.past(c.ctx, c.Settings, id)
	if err != nil {
		c.Log.Warn("history of a setting not read", "kind", r.kind, "id", id, "error", err)
	}
	var out []eventView
	var before map[string]json.RawMessage
	for _, x := range all {
		e := eventView{At: c.l.at(x.at), Who: c.named(x.by)}
		switch {
		case x.raw == nil:
			e.What = c.l.say("rules.removed")
		case before == nil:
			e.What = c.l.say("rules.made")
		default:
			e.What = c.l.say("rules.changed")
			var names []string
			for _, p := range r.parts {
				if !bytes.Equal(x.raw[p.key], before[p.key]) {
					names = append(names, c.l.partLabel(r.kind, p.key))
				}
			}
			e.Text = strings.Join(names, c.l.say("rules.and"))
		}
		before = x.raw
		out = append(out, e)
	}
	slices.Reverse(out)
	return out[:min(len(out), 20)]
}

// saveRule stores what was typed, or, when a button of a list was pressed,
// shows the form with that row added, moved or taken out.
func (c *call) saveRule(kind string) error {
	c.r.SetPathValue("kind", kind)
	r, _, version, err := c.wantedRule()
	if err != nil {
		return err
	}
	if !c.mayEdit(r) {
		return errForbidden
	}
	f := &formed{call: c, kind: r.kind, wrong: map[string]string{}}
	tree := f.typed("", r.parts)
	based := uint64(atoi(c.form("version")))
	if do := c.form("do"); do != "" {
		rearrange(tree, do)
		return c.showRule(http.StatusOK, r, tree, based, nil)
	}
	id := c.r.PathValue("id")
	if id == "new" {
		if id = c.form("id"); id == "" {
			id = r.kind + "-" + newID()[:6]
		}
		if !shortName.MatchString(id) {
			f.wrong["id"] = c.l.say("form.slug")
		} else if raw, _, err := r.json(c.Settings, id); err != nil {
			return err
		} else if raw != nil || id == "new" {
			f.wrong["id"] = c.l.say("form.taken")
		}
	}
	if r.one == nil {
		tree["id"] = id
	}
	raw, err := json.Marshal(tree)
	if err != nil {
		return err
	}
	if len(f.wrong) == 0 {
		err = settings.Put(c.ctx, c.Settings, c.viewer.Actor(), r.kind, id, based, raw)
		if errors.Is(err, settings.ErrStale) {
			// What was typed is kept, and saving again is on purpose.
			f.wrong[""] = c.l.say("rules.stale")
			return c.showRule(http.StatusConflict, r, tree, version, f.wrong)
		}
		if f.wrong = c.l.mistakenAt(err); err != nil && f.wrong == nil {
			return err
		}
	}
	if len(f.wrong) > 0 {
		return c.showRule(http.StatusUnprocessableEntity, r, tree, based, f.wrong)
	}
	c.flash(&flash{Text: c.l.say("done.saved")})
	return c.back("/rules/" + r.kind + "/" + id)
}

// removeRule takes a setting out of force; of what there is one, the defaults
// hold again. Its history stays.
func (c *call) removeRule(kind string) error {
	c.r.SetPathValue("kind", kind)
	r, tree, version, err := c.wantedRule()
	if err != nil {
		return err
	}
	if !c.mayEdit(r) {
		return errForbidden
	}
	if c.isSet(r) {
		why, err := c.inUse(r.kind, c.r.PathValue("id"))
		if err != nil {
			return err
		}
		if why != "" {
			c.flash(&flash{Text: why, Error: true})
			return c.back("/rules/" + r.kind + "/" + c.r.PathValue("id"))
		}
		err = r.drop(c, c.r.PathValue("id"), c.based(version))
		if errors.Is(err, settings.ErrStale) { // what goes has to be seen first
			return c.showRule(http.StatusConflict, r, tree, version, map[string]string{"": c.l.say("rules.stale_drop")})
		}
		if err != nil {
			return err
		}
	}
	c.flash(&flash{Text: c.l.say("rules.gone")})
	return c.back("/rules")
}
