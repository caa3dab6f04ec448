package settings

import (
	"sync"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/query"
)

// matcher holds all brands' queries, compiled, until a brand changes.
type matcher struct {
	mu    sync.Mutex
	built uint64 // the sum of the brands' versions it was built from
	m     *query.Matcher
}

// Mentions returns p as a mention of every brand whose query matches it, or of
// the named brands, unasked; those that don't exist are left out. A deletion matches
// nothing by itself: it becomes a mention of every brand, for those that know
// the post to erase it.
func (s *Store) Mentions(p *mention.Post, named ...string) []*mention.Mention {
	var out []*mention.Mention
	add := func(brand string) {
		m := mention.Of(brand, *p)
		out = append(out, &m)
	}
	switch {
	case len(named) > 0:
		for _, id := range named {
			if _, ok := Brands.Get(s, id); ok {
				add(id)
			}
		}
	case p.Deleted:
		for id := range Brands.All(s) {
			add(id)
		}
	default:
		for _, hit := range s.queries().Match(p, nil) {
			add(hit.Brand)
		}
	}
	return out
}

// queries returns the matcher of the brands in force.
func (s *Store) queries() *query.Matcher {
	s.mu.RLock()
	var version uint64
	for _, v := range s.values[Brands.kind] {
		version += v.seq
	}
	s.mu.RUnlock()
	s.matcher.mu.Lock()
	defer s.matcher.mu.Unlock()
	if s.matcher.m == nil || s.matcher.built != version {
		all := map[string]*query.Query{}
		for id, b := range Brands.All(s) {
			q, err := query.Parse(b.Query)
			if err != nil {
				s.log.Error("a brand's query cannot be read; it finds nothing", "brand", id, "error", err)
				continue
			}
			all[id] = q
		}
		s.matcher.m, s.matcher.built = query.NewMatcher(all), version
	}
	return s.matcher.m
}

// Words are the positive terms of all brands' queries, for platforms that have
// to be asked for words.
func (s *Store) Words() (words, hashtags []string) {
	for _, b := range Brands.List(s) {
		q, err := query.Parse(b.Query)
		if err != nil {
			continue
		}
		for _, t := range q.Terms() {
			switch t.Kind {
			case query.Hashtag:
				hashtags = append(hashtags, t.Text)
			case query.Words:
				words = append(words, t.Text)
			}
		}
	}
	return words, hashtags
}
