package desk

import (
	"cmp"
	"maps"
	"slices"

	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

// several are the accounts by which brand b could answer, by platform, where
// there are several.
func (c *call) several(b *settings.Brand) map[string][]settings.Source {
	out := map[string][]settings.Source{}
	for _, s := range settings.Sources.List(c.Settings) {
		if kind, ok := source.Named(s.Kind); ok && !s.Off && s.Writes() && (s.Brand == "" || s.Brand == b.ID) {
			out[kind.Platform] = append(out[kind.Platform], s)
		}
	}
	maps.DeleteFunc(out, func(_ string, list []settings.Source) bool { return len(list) < 2 })
	return out
}

// usualAccounts are the choices of the account by which b answers on a platform,
// unless the one that found the post can.
func (c *call) usualAccounts(b *settings.Brand) []field {
	var out []field
	all := c.several(b)
	for _, platform := range slices.Sorted(maps.Keys(all)) {
		f := field{
			Name: "account." + platform, Label: c.l.say("brand.account", c.platform(platform)), Type: "select", Hint: c.l.say("brand.account_hint"), Plain: true,
			Options: []option{{Label: c.l.say("brand.account_any")}},
		}
		usual := slices.IndexFunc(b.Accounts, func(id string) bool {
			return slices.ContainsFunc(all[platform], func(s settings.Source) bool { return s.ID == id })
		})
		for _, s := range all[platform] {
			f.Options = append(f.Options, option{Value: s.ID, Label: cmp.Or(s.Name, s.ID), On: usual >= 0 && b.Accounts[usual] == s.ID})
		}
		out = append(out, f)
	}
	return out
}

// typedAccounts are the brand's accounts with the choices that were made; nil
// when there was nothing to choose.
func (c *call) typedAccounts(b *settings.Brand) []string {
	all := c.several(b)
	if len(all) == 0 {
		return nil
	}
	out := []string{}
	for _, platform := range slices.Sorted(maps.Keys(all)) {
		if id := c.form("account." + platform); slices.ContainsFunc(all[platform], func(s settings.Source) bool { return s.ID == id }) {
			out = append(out, id)
		}
	}
	for _, id := range b.Accounts {
		chosen := func(list []settings.Source) bool {
			return slices.ContainsFunc(list, func(s settings.Source) bool { return s.ID == id })
		}
		if !slices.ContainsFunc(slices.Collect(maps.Values(all)), chosen) {
			out = append(out, id) // of a platform that offers no choice just now
		}
	}
	return out
}
