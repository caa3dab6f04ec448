package settings

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/source"
)

// Answering is how a mention can be answered.
type Answering struct {
	// Accounts are the sources by which a reply can leave, the usual one first.
	Accounts []Source
	// Why says why there is none; empty when there are some.
	Why source.Reason
	// OneAnswer tells that another answer overwrites the one that is there.
	OneAnswer bool
}

// Account is the account called id, or the usual one when there is no such. It
// is false when a reply can't leave by itself.
func (a Answering) Account(id string) (Source, bool) {
	if i := slices.IndexFunc(a.Accounts, func(s Source) bool { return s.ID == id }); i >= 0 {
		return a.Accounts[i], true
	}
	if len(a.Accounts) == 0 {
		return Source{}, false
	}
	return a.Accounts[0], true
}

// Answering tells by which accounts m can be answered where it was said, as far
// as that is known beforehand.
func (s *Store) Answering(m *mention.Mention) Answering {
	a := Answering{Why: source.NoReplier}
	switch m.NoReply {
	case mention.NotSummoned, mention.Gated, mention.Closed:
		a.Why = source.Reason(m.NoReply)
		return a
	}
	for _, src := range s.Ours(m) {
		kind, _ := source.Named(src.Kind)
		switch {
		case kind.Limit.Max == 0:
		case src.ID == m.Source && m.NoReply != "":
			a.Why = source.Reason(m.NoReply) // holds for the account that found it
		case !src.Writes():
			if a.Why == source.NoReplier {
				a.Why = source.NoCredentials
			}
		default:
			a.Accounts = append(a.Accounts, src)
			a.OneAnswer = a.OneAnswer || kind.OneAnswer
		}
	}
	if len(a.Accounts) > 0 {
		a.Why = ""
	}
	return a
}

// Ours are the sources that can speak for m's brand where m was said: first the
// one that found it, then the brand's own in their order, then by name.
func (s *Store) Ours(m *mention.Mention) []Source {
	brand, _ := Brands.Get(s, m.Brand)
	rank := func(src Source) int {
		if src.ID == m.Source {
			return -1
		}
		if i := slices.Index(brand.Accounts, src.ID); i >= 0 {
			return i
		}
		return len(brand.Accounts)
	}
	var out []Source
	for _, src := range Sources.List(s) {
		if !src.Off && src.speaksFor(m) {
			out = append(out, src)
		}
	}
	slices.SortFunc(out, func(a, b Source) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// speaksFor tells whether s is an account of m's brand on m's platform; the
// source that found m is, whatever platform it stands for.
func (s *Source) speaksFor(m *mention.Mention) bool {
	kind, ok := source.Named(s.Kind)
	return ok && (s.Brand == "" || s.Brand == m.Brand) && (s.ID == m.Source || kind.Platform == m.Platform)
}

// MayAnswer tells whether a reply to m may leave by the source called account: it
// is one of the brand's. One that is gone may, and fails by itself.
func (s *Store) MayAnswer(m *mention.Mention, account string) bool {
	src, ok := Sources.Get(s, account)
	return !ok || src.speaksFor(m)
}

// Writes tells whether s is set up to publish: what its kind needs for that is
// there.
func (s *Source) Writes() bool {
	kind, ok := source.Named(s.Kind)
	if !ok || kind.Limit.Max == 0 {
		return false
	}
	var set map[string]any
	if len(s.Config) > 0 && json.Unmarshal(s.Config, &set) != nil {
		return false
	}
	for _, f := range kind.Fields() {
		needed := f.Secret
		if kind.WriteKeys != nil {
			needed = slices.Contains(kind.WriteKeys, f.Key)
		}
		if v, _ := set[f.Key].(string); needed && v == "" {
			return false
		}
	}
	return true
}

// LimitFor is the length rule for replies to m through the source called
// account.
func (s *Store) LimitFor(m *mention.Mention, account string) source.Limit {
	src, _ := Sources.Get(s, account)
	if kind, ok := source.Named(src.Kind); ok && kind.Limit.Max > 0 {
		return kind.Limit
	}
	return source.LimitOf(m.Platform)
}
