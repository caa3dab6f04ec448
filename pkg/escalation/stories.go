package escalation

import (
	"container/list"
	"hash/maphash"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

const (
	// MaxGrowth is where counting a story's posts of an hour ends; a limit
	// must lie below.
	MaxGrowth = 4096
	// maxEntries bounds posts and authors over all stories: about 25 MB. The
	// stories that were quiet longest go first.
	maxEntries = 1 << 17
	// storyLife is how long a story is followed after its last post.
	storyLife = 24 * time.Hour
)

// Stories follows how fast stories (a post with its reposts and near-copies)
// grow and how many people they reach. A mention counts once, however often it
// is added. It is rebuilt by adding the last day's mentions. Not safe for
// concurrent use. The zero Stories is ready.
type Stories struct {
	seed    maphash.Seed
	byKey   map[storyKey]*list.Element
	recent  list.List // of *story, least recently added to first
	entries int
}

// Size is how large a story has become.
type Size struct {
	LastHour int   // posts published in the hour before, at most MaxGrowth
	Reach    int64 // followers of its authors together, as far as known
}

type storyKey struct{ brand, story string }

type story struct {
	key     storyKey
	last    time.Time
	posts   []post // of the last hour at least
	authors []author
	reach   int64
}

// A story has few of each as a rule and MaxGrowth at most, so they are looked
// through rather than looked up.
type (
	post struct {
		mention uint64
		at      time.Time
	}
	author struct {
		id        uint64
		followers int64
	}
)

// Add counts t in its story and returns the story's size at now. When
// rebuilding, now is the time t was seen.
func (s *Stories) Add(t *mention.Tagged, now time.Time) Size {
	if s.byKey == nil {
		s.seed, s.byKey = maphash.MakeSeed(), map[storyKey]*list.Element{}
	}
	m := &t.Mention
	key := storyKey{m.Brand, t.Verdict.Story}
	if key.story == "" {
		key.story = string(m.ID)
	}
	el, before := s.byKey[key], 0
	if el == nil {
		el = s.recent.PushBack(&story{key: key})
		s.byKey[key] = el
	} else {
		s.recent.MoveToBack(el)
		before = el.Value.(*story).entries()
	}
	st := el.Value.(*story)
	st.last = now
	st.post(maphash.String(s.seed, string(m.ID)), publishedAt(m), now)
	if f := m.Author.Followers; f != nil {
		st.author(maphash.String(s.seed, m.Platform+"\x00"+m.Author.ID+"\x00"+m.Author.Handle), *f)
	}
	s.entries += st.entries() - before
	s.evict(now)
	return st.size(now)
}

func (st *story) entries() int { return len(st.posts) + len(st.authors) + 1 }

func (st *story) post(id uint64, at, now time.Time) {
	if i := slices.IndexFunc(st.posts, func(p post) bool { return p.mention == id }); i >= 0 {
		st.posts[i].at = at
		return
	}
	if len(st.posts) >= MaxGrowth {
		st.posts = slices.DeleteFunc(st.posts, func(p post) bool { return now.Sub(p.at) > time.Hour })
	}
	if len(st.posts) < MaxGrowth {
		st.posts = append(st.posts, post{id, at})
	}
}

func (st *story) author(id uint64, followers int64) {
	i := slices.IndexFunc(st.authors, func(a author) bool { return a.id == id })
	if i < 0 {
		if len(st.authors) >= MaxGrowth || followers <= 0 {
			return
		}
		i = len(st.authors)
		st.authors = append(st.authors, author{id: id})
	}
	a := &st.authors[i]
	if followers <= a.followers {
		return
	}
	st.reach += followers - a.followers
	a.followers = followers
	if st.reach < 0 { // a platform's nonsense added up beyond int64
		st.reach = 1<<63 - 1
	}
}

func (st *story) size(now time.Time) Size {
	size := Size{Reach: st.reach}
	for i := range st.posts {
		if age := now.Sub(st.posts[i].at); age <= time.Hour && age >= -time.Hour {
			size.LastHour++
		}
	}
	return size
}

// evict drops stories without posts for a day, and the quietest while there is
// too much in all; never the newest.
func (s *Stories) evict(now time.Time) {
	for s.recent.Len() > 1 {
		el := s.recent.Front()
		st := el.Value.(*story)
		if s.entries <= maxEntries && now.Sub(st.last) <= storyLife {
			return
		}
		s.entries -= st.entries()
		delete(s.byKey, st.key)
		s.recent.Remove(el)
	}
}

// Exceeds tells whether t, whose story has grown to size, is a complaint
// beyond l, and by what. Praise may spread as it likes.
func (l Limits) Exceeds(t *mention.Tagged, size Size) (Origin, bool) {
	v := &t.Verdict
	if v.Disposition == mention.NotForUs || v.Sentiment != mention.Negative && v.Intent != mention.Complaint {
		return "", false
	}
	switch {
	case l.Growth > 0 && size.LastHour > l.Growth:
		return ByGrowth, true
	case l.Reach > 0 && size.Reach > l.Reach:
		return ByReach, true
	}
	return "", false
}
