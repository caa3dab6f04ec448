package query

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/text"
)

// literal is a term as it is found in folded text.
type literal struct {
	kind TermKind
	text string // folded, with "#" or "@"
}

func newLiteral(kind TermKind, folded string) literal {
	switch kind {
	case Hashtag:
		folded = "#" + folded
	case Handle:
		folded = "@" + folded
	}
	return literal{kind, folded}
}

// next returns where l occurs in folded text s at or after byte from, or -1.
func (l literal) next(s string, from int) int {
	for from <= len(s) {
		i := strings.Index(s[from:], l.text)
		if i < 0 {
			return -1
		}
		if i += from; l.fits(s, i) {
			return i
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		from = i + size
	}
	return -1
}

// fits tells whether the neighbours of l at byte i of s let it stand there.
func (l literal) fits(s string, i int) bool {
	end := i + len(l.text)
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	after, size := utf8.DecodeRuneInString(s[end:])
	switch l.kind {
	case Hashtag:
		// "/" and "&" come before the "#" of an address or a character code.
		return (i == 0 || !text.IsWord(before) && before != '/' && before != '&') && (size == 0 || !isTag(after))
	case Handle:
		if i > 0 && text.IsWord(before) || size > 0 && text.IsWord(after) {
			return false
		}
		// "@acme.example.com" and "@acme@example.com" are somebody else.
		if after == '.' || after == '-' || after == '@' {
			next, n := utf8.DecodeRuneInString(s[end+1:])
			return n == 0 || !text.IsWord(next)
		}
		return true
	}
	return text.IsBoundary(s, i) && text.IsBoundary(s, end)
}

// isTag tells whether a hashtag goes on with r.
func isTag(r rune) bool { return text.IsWord(r) || unicode.IsLetter(r) || unicode.IsMark(r) }

// The text of a post is probed at two sorts of places: at the beginning of each
// word, with the whole word, and at each character that is neither ASCII nor
// part of a word (kana, kanji, emoji …: dense), with it and up to two more.
// Each literal is filed under one such key within it.

// key is something by which a literal can be found in a text.
type key struct {
	hash uint64
	off  int // where in the literal, in bytes
	// size tells how telling the key is: bytes of a word, or three for each
	// dense character.
	size int
}

const (
	hashSeed  = 14695981039346656037
	hashPrime = 1099511628211
)

// isWordByte is text.IsWord for bytes of ASCII.
var isWordByte = func() (t [utf8.RuneSelf]bool) {
	for c := range t {
		t[c] = text.IsWord(rune(c))
	}
	return t
}()

// mix spreads a hash over all its bits.
func mix(h uint64) uint64 {
	h ^= h >> 32
	h *= 0x9E3779B97F4A7C15
	return h ^ h>>29
}

// denseKey hashes the last n characters of window, which holds 21 bits each.
func denseKey(window uint64, n int) uint64 {
	return mix((window & (1<<(21*n) - 1)) * 0xD6E8FEB86659FD93)
}

// keys returns all keys of l: its words, and each three dense characters in a
// row, or as many as there are.
func (l literal) keys() []key {
	var out []key
	var window uint64
	var run []int // where the characters of the dense run begin
	flush := func(end int) {
		if n := len(run); n == 1 || n == 2 {
			out = append(out, key{denseKey(window, n), run[0], 3 * n})
		}
		run, window = run[:0], 0
	}
	for i := 0; i < len(l.text); {
		r, size := utf8.DecodeRuneInString(l.text[i:])
		switch {
		case text.IsWord(r):
			flush(i)
			hash, end := hashWord(l.text, i)
			out = append(out, key{hash, i, end - i})
			i = end
			continue
		case r < utf8.RuneSelf:
			flush(i)
		default:
			run = append(run, i)
			window = window<<21 | uint64(r)
			if len(run) >= 3 {
				out = append(out, key{denseKey(window, 3), run[len(run)-3], 9})
			}
		}
		i += size
	}
	flush(len(l.text))
	return out
}

// hashWord hashes the word that begins at byte i of s and returns its end.
func hashWord(s string, i int) (uint64, int) {
	h := uint64(hashSeed)
	for i < len(s) {
		c := s[i]
		if c < utf8.RuneSelf {
			if !isWordByte[c] {
				break
			}
			h = (h ^ uint64(c)) * hashPrime
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if !text.IsWord(r) {
			break
		}
		h = (h ^ uint64(r)) * hashPrime
		i += size
	}
	return mix(h), i
}

// cost tells roughly how many posts contain l: rare words cost little.
func (l literal) cost() int {
	size := 0
	for _, k := range l.keys() {
		size += k.size
	}
	if l.kind != Words {
		size += 3
	}
	switch {
	case size >= 9:
		return 1
	case size >= 6:
		return 4
	case size >= 4:
		return 20
	}
	return 200
}
