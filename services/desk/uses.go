package desk

import (
	"slices"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// inUse says, in the caller's language, what still counts on a setting that is to go
// or to be switched off, and what to do first; empty if nothing does.
func (c *call) inUse(kind, id string) (string, error) {
	var uses []string
	switch kind {
	case settings.Notifiers.Kind():
		uses = c.paging(func(r *escalation.Rung) bool { return slices.Contains(r.Channels, id) }, nil)
	case settings.Staff.Kind():
		uses = c.paging(func(r *escalation.Rung) bool { return slices.Contains(r.Who, "staff:"+id) },
			func(r *escalation.Rota) bool {
				return slices.Contains(r.Members, id) || slices.ContainsFunc(r.Overrides, func(o escalation.Override) bool { return o.Who == id && o.To.After(c.l.now) })
			})
	case settings.Teams.Kind():
		uses = c.paging(func(r *escalation.Rung) bool { return slices.Contains(r.Who, "team:"+id) }, nil)
		for _, r := range settings.Routes.List(c.Settings) {
			if r.Team == id {
				uses = append(uses, c.l.say("uses.route", r.Name))
			}
		}
		n, err := c.Index.Counts(c.ctx, search.Query{Viewer: search.SeesAll(), Where: map[search.Field][]string{search.FieldTeam: {id}, search.FieldStatus: {string(casework.OtherDepartment)}}})
		if err != nil {
			return "", err
		}
		if n[0] > 0 {
			uses = append(uses, c.l.say("uses.team_cases", n[0]))
		}
	case settings.Sources.Kind():
		n, err := c.count(map[search.Field][]string{search.FieldTag: {casework.TagWaiting}}, func(s *casework.State) bool {
			return s.Outgoing != nil && s.Outgoing.Draft.Account == id
		})
		if err != nil {
			return "", err
		}
		if n > 0 {
			uses = append(uses, c.l.say("uses.source_replies", n))
		}
	case settings.Templates.Kind():
		n, err := c.count(map[search.Field][]string{search.FieldStatus: {string(casework.AwaitingApproval)}}, func(s *casework.State) bool {
			return s.Asks() != "" && s.Draft != nil && s.Draft.Template == id
		})
		if err != nil {
			return "", err
		}
		out, err := c.count(map[search.Field][]string{search.FieldTag: {casework.TagWaiting}}, func(s *casework.State) bool {
			return s.Outgoing != nil && s.Outgoing.Draft.Template == id
		})
		if err != nil {
			return "", err
		}
		if n += out; n > 0 {
			uses = append(uses, c.l.say("uses.template_replies", n))
		}
		for _, x := range settings.Stops.List(c.Settings) {
			if x.Statement == id {
				uses = append(uses, c.l.say("uses.template_stop", c.brandName(x.Brand)))
			}
		}
	}
	if len(uses) == 0 {
		return "", nil
	}
	return sentence(append([]string{c.l.say("uses.refused")}, uses...)...), nil
}

// paging says where the paging rules name what rung or rota look for.
func (c *call) paging(rung func(*escalation.Rung) bool, rota func(*escalation.Rota) bool) []string {
	var out []string
	p, _ := settings.Policies.Get(c.Settings, settings.Default)
	for i := range p.Ladders {
		for j := range p.Ladders[i].Rungs {
			if rung(&p.Ladders[i].Rungs[j]) {
				out = append(out, c.l.say("uses.rung", i+1, j+1))
			}
		}
	}
	for i := range p.Rotas {
		if rota != nil && rota(&p.Rotas[i]) {
			out = append(out, c.l.say("uses.rota", p.Rotas[i].Name))
		}
	}
	return out
}

// count is how many cases that the index finds where say yes as they stand.
func (c *call) count(where map[search.Field][]string, yes func(*casework.State) bool) (int, error) {
	n := 0
	for d, err := range search.All(c.ctx, c.Index, search.Query{Viewer: search.SeesAll(), Where: where}) {
		if err != nil {
			return 0, err
		}
		s, ok, err := c.Cases.Touched(c.ctx, d.ID)
		if err != nil {
			return 0, err
		}
		if ok && yes(&s) {
			n++
		}
	}
	return n, nil
}

// handBack takes the cases of somebody who can no longer work on them from
// them, so that others find them, and returns how many there were.
func (c *call) handBack(staff string) (int, error) {
	n := 0
	where := map[search.Field][]string{search.FieldHolder: {staff}}
	for d, err := range search.All(c.ctx, c.Index, search.Query{Viewer: search.SeesAll(), Where: where}) {
		if err != nil {
			return n, err
		}
		had := false
		if _, err := c.Cases.Record(c.ctx, d.ID, func(s *casework.State) (casework.Event, bool) {
			had = s.Owner() == staff && s.ReadOnly == ""
			return casework.Event{Kind: casework.Assigned}, had
		}); err != nil {
			return n, err
		}
		if had {
			n++
		}
	}
	return n, nil
}
