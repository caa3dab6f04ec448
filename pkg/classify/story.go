package classify

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/text"
)

// Lengths in code points of what is left of a text once links, handles and
// marks are gone; a kanji or kana counts three, as it says about as much as
// three Latin letters.
const (
	storyShort = 45  // below: common words that anybody says
	storyExact = 110 // below: only the same words are the same story
)

type storyScratch struct {
	runes []rune
}

// storyKey returns the key under which reposts and near-copies fold. Short
// texts have one of their own: two people who say thanks tell no story. A long
// text is represented by its shingle with the least hash, so that two texts
// share a key about as often as they share shingles.
func (d *document) storyKey(m *mention.Mention) string {
	letters, cjk := d.story.reduce(d.fold.Text)
	weight := len(letters) + 2*cjk
	if weight < storyShort {
		h := newHash()
		for _, part := range []string{m.Platform, m.NativeID, string(m.ID)} {
			h.text(part)
		}
		return h.key("u")
	}
	if weight < storyExact {
		h := newHash()
		for _, r := range letters {
			h.rune(r)
		}
		return h.key("s")
	}
	return hash(leastShingle(letters, cjk*3 > len(letters))).key("s")
}

// leastShingle returns the least hash over all runs of a few letters. The less
// kanji a Japanese run has, the less often it is drawn: runs of kana are endings
// that all texts share.
func leastShingle(letters []rune, japanese bool) uint64 {
	size := 13
	if japanese {
		size = 6
	}
	const base = 0x100000001b3
	first := uint64(1) // what the letter that leaves a run counted for
	for range size {
		first *= base
	}
	least, run, han := ^uint64(0), uint64(0), 0
	for i, r := range letters {
		run = run*base + uint64(r) + 1
		if japanese && text.IsHan(r) {
			han++
		}
		if i >= size {
			run -= first * (uint64(letters[i-size]) + 1)
			if japanese && text.IsHan(letters[i-size]) {
				han--
			}
		}
		if i >= size-1 {
			least = min(least, hash(run).mixed()>>(2*min(han, 2)))
		}
	}
	return least
}

// reduce keeps the letters and digits of folded text without links, handles,
// the mark of a repost and the hashtags at both ends. It also tells how many of
// them are Chinese or Japanese.
func (s *storyScratch) reduce(folded string) (letters []rune, cjk int) {
	letters = s.runes[:0]
	if after, ok := strings.CutPrefix(folded, "rt @"); ok {
		_, folded, _ = strings.Cut(after, " ")
	}
	rest := trimTags(folded)
	for i := 0; i < len(rest); {
		switch rest[i] {
		case '@', 'h', 'w':
			if skip := linkOrHandle(rest[i:]); skip > 0 {
				i += skip
				continue
			}
		}
		r, size := rune(rest[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(rest[i:])
		}
		i += size
		switch {
		case isWord(r):
			letters = append(letters, r)
		case r >= utf8.RuneSelf && text.IsCJK(r):
			letters = append(letters, r)
			cjk++
		}
	}
	s.runes = letters
	return letters, cjk
}

// linkOrHandle returns how many bytes at the start of s are a link or a handle.
func linkOrHandle(s string) int {
	switch {
	case strings.HasPrefix(s, "http://"), strings.HasPrefix(s, "https://"), strings.HasPrefix(s, "www."):
	case len(s) > 1 && s[0] == '@' && isWord(rune(s[1])):
	default:
		return 0
	}
	i := 1
	for i < len(s) && s[i] > ' ' && s[i] < 0x80 && s[i] != '"' {
		i++
	}
	return i
}

// trimTags drops hashtags and marks such as 【拡散希望】 from both ends.
func trimTags(s string) string {
	for {
		s = strings.TrimSpace(s)
		if strings.HasPrefix(s, "#") {
			_, after, ok := strings.Cut(s, " ")
			if !ok {
				break
			}
			s = after
			continue
		}
		if strings.HasPrefix(s, "【") {
			if i := strings.Index(s, "】"); i > 0 && i < 40 {
				s = s[i+len("】"):]
				continue
			}
		}
		break
	}
	for {
		s = strings.TrimSpace(s)
		i := strings.LastIndexByte(s, ' ')
		if i < 0 {
			return s
		}
		last := s[i+1:]
		if !strings.HasPrefix(last, "#") && !strings.HasPrefix(last, "http") && !strings.HasPrefix(last, "@") {
			return s
		}
		s = s[:i]
	}
}

// hash is FNV-1a over code points.
type hash uint64

func newHash() hash { return 14695981039346656037 }

func (h *hash) rune(r rune) { *h = (*h ^ hash(r)) * 1099511628211 }

func (h *hash) text(s string) {
	for _, r := range s {
		h.rune(r)
	}
	h.rune(0)
}

// mixed spreads h, so that the least of several is drawn evenly.
func (h hash) mixed() uint64 {
	x := uint64(h)
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

func (h hash) key(kind string) string { return kind + strconv.FormatUint(h.mixed(), 36) }
