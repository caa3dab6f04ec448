package settings

import (
	"slices"
	"sync"

	"github.com/earshot/earshot/pkg/casework"
)

// checker holds the rules for replies, compiled, until one changes.
type checker struct {
	mu    sync.Mutex
	built uint64 // the sum of the rules' versions it was built from
	c     *casework.Checker
}

// CheckRules are the rules for replies in force: those that Earshot comes with,
// and a company's own, which take the place of one of the same id.
func (s *Store) CheckRules() []casework.CheckRule {
	own := Checks.All(s)
	rules := casework.Checks()
	for i := range rules {
		if r, ok := own[rules[i].ID]; ok {
			rules[i] = r
			delete(own, r.ID)
		}
	}
	for _, r := range Checks.List(s) {
		if _, ok := own[r.ID]; ok {
			rules = append(rules, r)
		}
	}
	return rules
}

// CheckReply is what the reply check says of a reply for brand.
func (s *Store) CheckReply(brand, lang, text string) []casework.Finding {
	v, _ := Voices.Get(s, brand)
	return s.replyChecker().Check(lang, text, v)
}

func (s *Store) replyChecker() *casework.Checker {
	s.mu.RLock()
	var version uint64
	for _, v := range s.values[Checks.kind] {
		version += v.seq
	}
	s.mu.RUnlock()
	s.checker.mu.Lock()
	defer s.checker.mu.Unlock()
	if s.checker.c == nil || s.checker.built != version {
		rules := s.CheckRules()
		c, err := casework.NewChecker(rules)
		if err != nil {
			// Written by another version, whose lists this one lacks: the rules
			// that can be read hold.
			s.log.Error("a rule for replies cannot be read; it finds nothing", "error", err)
		}
		s.checker.c, s.checker.built = c, version
	}
	return s.checker.c
}

// UsualCheck is the rule of id as Earshot comes with it.
func UsualCheck(id string) (casework.CheckRule, bool) {
	rules := casework.Checks()
	i := slices.IndexFunc(rules, func(r casework.CheckRule) bool { return r.ID == id })
	if i < 0 {
		return casework.CheckRule{}, false
	}
	return rules[i], true
}
