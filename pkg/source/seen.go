package source

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// seen remembers items by a hash of their id and a hash of their content, so
// that a platform that gives no order (feeds, review pages) is read without
// loss or repeat and an edited item is told from a known one. It is written
// into the cursor: 12 characters per item, oldest first.
type seen struct {
	content map[[5]byte][4]byte
	// encoded is the cursor's form. An edited item is in it twice; the later
	// entry counts.
	encoded strings.Builder
}

const (
	seenEntry = 9    // bytes of one entry
	seenText  = 12   // characters of one entry
	maxSeen   = 5000 // entries kept beside those the platform still shows
	// maxEncoded is the longest form, in characters: half of what a value on the
	// bus may have.
	maxEncoded = 40_000 * seenText
)

// loadSeen reads the cursor's form; what can't be read is forgotten.
func loadSeen(text string) *seen {
	s := &seen{content: make(map[[5]byte][4]byte, len(text)/seenText)}
	for ; len(text) >= seenText; text = text[seenText:] {
		raw, err := base64.RawURLEncoding.DecodeString(text[:seenText])
		if err != nil {
			continue
		}
		s.content[[5]byte(raw)] = [4]byte(raw[5:])
		s.encoded.WriteString(text[:seenText])
	}
	return s
}

// state of an item with respect to what was seen.
type state int

const (
	known state = iota
	fresh
	edited
)

func (s *seen) look(id, content string) state {
	i, c := hashes(id, content)
	switch was, ok := s.content[i]; {
	case !ok:
		return fresh
	case was != c:
		return edited
	}
	return known
}

func (s *seen) add(id, content string) {
	i, c := hashes(id, content)
	s.content[i] = c
	s.encoded.WriteString(base64.RawURLEncoding.EncodeToString(append(i[:], c[:]...)))
}

// String returns the cursor's form, without the oldest entries if it would be
// too long.
func (s *seen) String() string {
	text := s.encoded.String()
	return text[max(len(text)-maxEncoded, 0):]
}

// shrunk returns the cursor's form with each item once, forgetting the oldest
// items that are not in shown when there are more than maxSeen others.
func (s *seen) shrunk(shown []string) string {
	keep := make(map[[5]byte]bool, len(shown))
	for _, id := range shown {
		i, _ := hashes(id, "")
		keep[i] = true
	}
	text := s.String()
	done := make(map[[5]byte]bool, len(s.content))
	var parts []string // newest first
	others := 0
	for end := len(text); end >= seenText; end -= seenText {
		raw, err := base64.RawURLEncoding.DecodeString(text[end-seenText : end])
		if err != nil || done[[5]byte(raw)] {
			continue
		}
		id := [5]byte(raw)
		done[id] = true
		if !keep[id] {
			if others++; others > maxSeen {
				continue
			}
		}
		parts = append(parts, text[end-seenText:end])
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteString(parts[i])
	}
	return b.String()
}

func hashes(id, content string) (i [5]byte, c [4]byte) {
	a, b := sha256.Sum256([]byte(id)), sha256.Sum256([]byte(content))
	return [5]byte(a[:5]), [4]byte(b[:4])
}
