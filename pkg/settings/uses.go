package settings

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/notify"
)

// Use is something that counts on a setting, so that it can't go.
type Use struct {
	// What is rung, rota, route, template_stop, team_cases, source_replies or
	// template_replies, for translation with Args.
	What string
	Args []any
	// At is what names it, as a file for `earshot apply` calls it; empty for
	// cases, which are counted.
	At string
}

// Uses lists the settings that count on the setting id of a kind: paging rules,
// routes and stops, as they are at now. Cases count on settings too.
func (s *Store) Uses(kind, id string, now time.Time) []Use {
	switch kind {
	case Notifiers.kind:
		return s.paging("channels", func(r *escalation.Rung) bool { return slices.Contains(r.Channels, id) }, nil)
	case Staff.kind:
		return s.paging("who", func(r *escalation.Rung) bool { return slices.Contains(r.Who, "staff:"+id) },
			func(r *escalation.Rota) bool {
				return slices.Contains(r.Members, id) || slices.ContainsFunc(r.Overrides, func(o escalation.Override) bool { return o.Who == id && o.To.After(now) })
			})
	case Teams.kind:
		uses := s.paging("who", func(r *escalation.Rung) bool { return slices.Contains(r.Who, "team:"+id) }, nil)
		for _, r := range Routes.List(s) {
			if r.Team == id {
				uses = append(uses, Use{"route", []any{r.Name}, "route." + r.ID + ".team"})
			}
		}
		return uses
	case Templates.kind:
		var uses []Use
		for _, x := range Stops.List(s) {
			if x.Statement == id {
				uses = append(uses, Use{"template_stop", []any{x.Brand}, "stop." + x.ID + ".statement"})
			}
		}
		return uses
	}
	return nil
}

// paging says where the paging rules name what rung or rota look for.
func (s *Store) paging(field string, rung func(*escalation.Rung) bool, rota func(*escalation.Rota) bool) []Use {
	var out []Use
	p := s.Policy()
	for i := range p.Ladders {
		for j := range p.Ladders[i].Rungs {
			if rung(&p.Ladders[i].Rungs[j]) {
				out = append(out, Use{"rung", []any{i + 1, j + 1}, fmt.Sprintf("policy.default.ladders[%d].rungs[%d].%s", i, j, field)})
			}
		}
	}
	for i := range p.Rotas {
		if rota != nil && rota(&p.Rotas[i]) {
			out = append(out, Use{"rota", []any{p.Rotas[i].Name}, fmt.Sprintf("policy.default.rotas[%d]", i)})
		}
	}
	return out
}

// goneBy is the field by which a value is out of use; empty while it is in use.
func goneBy(v any) string {
	switch v := v.(type) {
	case *Source:
		if v.Off {
			return "off"
		}
	case *Notifier:
		if v.Off {
			return "off"
		}
	case *identity.Staff:
		if v.Disabled {
			return "disabled"
		}
	case *casework.Template:
		if v.InForce() == nil {
			return "versions"
		}
	}
	return ""
}

// If is s as it would be with v as the value of id, to look at: it follows nothing,
// and can't be written to.
func (k Set[T]) If(s *Store, id string, v T) *Store { return s.with(k.kind, id, &v) }

// If is s as it would be after changes, as [Set.If].
func (s *Store) If(changes ...Change) *Store {
	for _, c := range changes {
		s = s.with(c.Kind, c.ID, c.value)
	}
	return s
}

func (s *Store) with(kind, id string, v any) *Store {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := maps.Clone(s.values)
	all[kind] = maps.Clone(all[kind])
	if all[kind] == nil {
		all[kind] = map[string]value{}
	}
	all[kind][id] = value{seq: all[kind][id].seq, v: v}
	return &Store{log: s.log, values: all, changed: make(chan struct{})}
}

// Groups are the staff behind the roles and teams that paging rules name, as
// "role:NAME" and "team:ID": of roles those who have them for brand, nobody who is
// disabled.
func (s *Store) Groups(brand string) map[string][]string {
	out := map[string][]string{}
	for _, p := range Staff.List(s) {
		if p.Disabled {
			continue
		}
		for _, g := range p.Grants {
			key := "role:" + string(g.Role)
			if (slices.Contains(g.Brands, identity.AllBrands) || slices.Contains(g.Brands, brand)) && !slices.Contains(out[key], p.ID) {
				out[key] = append(out[key], p.ID)
			}
		}
	}
	for _, t := range Teams.List(s) {
		out["team:"+t.ID] = slices.DeleteFunc(slices.Clone(t.Members), func(id string) bool {
			p, ok := Staff.Get(s, id)
			return !ok || p.Disabled
		})
	}
	return out
}

// Gap is a hole in paging: somebody ought to be called, and nobody would be. The
// zero Gap is that no notifier which is on can wake anybody.
type Gap struct {
	Role  identity.Role // that the paging rules call on, and nobody has
	Brand string        // for which; [identity.AllBrands] for what is about Earshot itself
}

// Gaps lists the holes in paging, by brand.
func (s *Store) Gaps() []Gap {
	var out []Gap
	if !slices.ContainsFunc(Notifiers.List(s), func(n Notifier) bool { return !n.Off && notify.Wakes(n.Kind) }) {
		out = append(out, Gap{})
	}
	p := s.Policy()
	look := func(brand string, ours bool) {
		groups := s.Groups(brand)
		for _, role := range p.Roles(brand, ours) {
			if len(groups["role:"+role]) == 0 {
				out = append(out, Gap{identity.Role(role), brand})
			}
		}
	}
	for _, b := range Brands.List(s) {
		look(b.ID, false)
	}
	look(identity.AllBrands, true)
	return out
}

// Torn lists the gaps that after has and s has not.
func (s *Store) Torn(after *Store) []Gap {
	have := s.Gaps()
	return slices.DeleteFunc(after.Gaps(), func(g Gap) bool { return slices.Contains(have, g) })
}
