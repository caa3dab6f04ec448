package desk

import (
	"slices"
	"strings"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/settings"
)

// inUse says, in the caller's language, what still counts on a setting that is to go
// or to be switched off, and what to do first; empty if nothing does.
func (c *call) inUse(kind, id string) (string, error) {
	cases, err := app.CaseUses(c.ctx, c.Index, c.Cases, kind, id)
	if err != nil {
		return "", err
	}
	all := []string{c.l.say("uses.refused")}
	for _, u := range append(c.Settings.Uses(kind, id, c.l.now), cases...) {
		if u.What == "template_stop" {
			u.Args = []any{c.brandName(u.Args[0].(string))}
		}
		all = append(all, c.l.say("uses."+u.What, u.Args...))
	}
	if len(all) == 1 {
		return "", nil
	}
	return sentence(all...), nil
}

// gapTexts say what holes in paging there are, in the caller's language: each role
// once, with the brands that lack it.
func (c *call) gapTexts(gaps []settings.Gap) []string {
	var out []string
	var roles []identity.Role
	brands := map[identity.Role][]string{}
	for _, g := range gaps {
		if g.Role == "" {
			out = append(out, c.l.say("gap.notifier"))
			continue
		}
		if !slices.Contains(roles, g.Role) {
			roles = append(roles, g.Role)
		}
		name := c.l.say("gap.earshot")
		if g.Brand != identity.AllBrands {
			name = c.brandName(g.Brand)
		}
		brands[g.Role] = append(brands[g.Role], name)
	}
	for _, r := range roles {
		out = append(out, c.l.say("gap.role", c.l.say("role."+string(r)), strings.Join(brands[r], c.l.say("rules.and"))))
	}
	return out
}

// gapNotice says so on a page about what could fill them; nil where there are none.
func (c *call) gapNotice(about func(settings.Gap) bool) *notice {
	texts := c.gapTexts(slices.DeleteFunc(c.Settings.Gaps(), func(g settings.Gap) bool { return !about(g) }))
	if len(texts) == 0 {
		return nil
	}
	return &notice{Kind: "stale", Title: c.l.say("gap.title"), Text: sentence(texts...)}
}

func ofNotifiers(g settings.Gap) bool { return g.Role == "" }
func ofPeople(g settings.Gap) bool    { return g.Role != "" }

// wouldTear warns of the holes that paging would get if the settings were as in
// after; empty if none.
func (c *call) wouldTear(after *settings.Store) string {
	texts := c.gapTexts(c.Settings.Torn(after))
	if len(texts) == 0 {
		return ""
	}
	return sentence(append([]string{c.l.say("gap.then")}, texts...)...)
}
