package identity

import (
	"maps"
	"slices"
)

// AllBrands in a grant stands for every brand, also those to come. As the brand
// asked for it stands for the installation as a whole.
const AllBrands = "*"

// Actors that are no member of staff, as events name them. A token's actor is
// "token:" and its id.
const (
	ActorSystem  = "system" // a service by itself
	ActorConsole = "cli"    // whoever can reach the data folder or the bus
)

// Viewer is whoever looks or acts. The zero Viewer may do nothing.
type Viewer struct {
	actor  string
	name   string
	all    bool // every action on every brand
	grants []grant
	// trained tells that they may answer freely where that is asked for.
	trained bool
}

// grant is a role or scope with the brands it is for.
type grant struct {
	role   Role // empty for scopes and deputies
	can    func(Action) bool
	brands []string
}

// System is the viewer as which a service acts by itself. It may do everything.
func System() Viewer { return Viewer{actor: ActorSystem, name: ActorSystem, all: true} }

// Console is the viewer behind the command line. It may do everything.
func Console() Viewer { return Viewer{actor: ActorConsole, name: ActorConsole, all: true} }

// Viewer is s as far as s may act: someone disabled may do nothing.
func (s *Staff) Viewer() Viewer {
	v := Viewer{actor: s.ID, name: s.Name, trained: s.Trained}
	if s.Disabled {
		return v
	}
	for _, g := range s.Grants {
		v.grants = append(v.grants, grant{g.Role, g.Role.Can, g.Brands})
	}
	return v
}

// Actor identifies v in events: the id of a member of staff, "token:" and the
// id of a token, [ActorSystem] or [ActorConsole]. It is empty for the zero
// Viewer.
func (v Viewer) Actor() string { return v.actor }

// Name is what people call v.
func (v Viewer) Name() string { return v.name }

// Person tells whether v is a member of staff.
func (v Viewer) Person() bool {
	return v.actor != "" && !v.all && !isTokenActor(v.actor)
}

// Can tells whether v may do a for brand, or with [AllBrands] for the whole
// installation.
func (v Viewer) Can(a Action, brand string) bool {
	if v.all {
		return true
	}
	for _, g := range v.grants {
		if g.can(a) && (slices.Contains(g.brands, AllBrands) || slices.Contains(g.brands, brand)) {
			return brand != ""
		}
	}
	return false
}

// Is tells whether v has a role for brand.
func (v Viewer) Is(r Role, brand string) bool {
	return slices.ContainsFunc(v.grants, func(g grant) bool {
		return g.role == r && (slices.Contains(g.brands, AllBrands) || slices.Contains(g.brands, brand))
	})
}

// Trained tells whether v was trained to answer in words of their own.
func (v Viewer) Trained() bool { return v.trained }

// Deputising returns v with the right of somebody absent to approve.
func (v Viewer) Deputising(absent *Staff) Viewer {
	if absent.Disabled {
		return v
	}
	v.grants = slices.Clone(v.grants)
	for _, g := range absent.Grants {
		if g.Role.Can(Approve) {
			v.grants = append(v.grants, grant{"", func(a Action) bool { return a == Approve || a == View }, g.Brands})
		}
	}
	return v
}

// CanSomewhere tells whether v may do a for at least one brand: what menus need.
func (v Viewer) CanSomewhere(a Action) bool {
	ids, all := v.Brands(a)
	return all || len(ids) > 0
}

// Brands returns the brands for which v may do a, sorted. With all they are all
// brands, also those to come, and ids is nil.
func (v Viewer) Brands(a Action) (ids []string, all bool) {
	if v.all {
		return nil, true
	}
	set := map[string]bool{}
	for _, g := range v.grants {
		if !g.can(a) {
			continue
		}
		for _, b := range g.brands {
			if b == AllBrands {
				return nil, true
			}
			set[b] = true
		}
	}
	return slices.Sorted(maps.Keys(set)), false
}
