// Package text says how text is compared, cut and counted, Japanese and Latin
// alike. Queries, classifier and index all compare in the one form that [Fold]
// gives, so that what one of them finds the others find too.
//
// All functions are safe for concurrent use; a [Folded] is not.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// IsHan tells whether r is a kanji, among them the marks 々, 〆 and 〇.
func IsHan(r rune) bool {
	switch {
	case r < 0x3005:
		return r >= 0x2E80 && r <= 0x2FDF
	case r <= 0x3007, r >= 0x3400 && r <= 0x4DBF, r >= 0x4E00 && r <= 0x9FFF:
		return true
	}
	return r >= 0xF900 && r <= 0xFAFF || r >= 0x20000 && r <= 0x3FFFD
}

// IsKana tells whether r is hiragana or katakana of either width, among them
// the long-vowel mark ー, voiced marks and iteration marks; not the dot ・.
func IsKana(r rune) bool {
	switch {
	case r < 0x3041 || r == 0x30FB:
		return false
	case r <= 0x30FF:
		return r != 0x3097 && r != 0x3098 && r != 0x30A0
	case r >= 0x31F0 && r <= 0x31FF, r >= 0xFF66 && r <= 0xFF9F:
		return true
	}
	return r >= 0x1B000 && r <= 0x1B16F
}

// IsCJK tells whether r belongs to a script in which words are found as
// substrings, because no space sets them apart: kanji, kana, hangul (whose
// particles join the noun) and bopomofo.
func IsCJK(r rune) bool {
	if r < 0x1100 {
		return false
	}
	return IsKana(r) || IsHan(r) || isHangul(r) ||
		r >= 0x3105 && r <= 0x312F || r >= 0x31A0 && r <= 0x31BF
}

func isHangul(r rune) bool {
	return r <= 0x11FF || r >= 0xAC00 && r <= 0xD7FF ||
		r >= 0x3131 && r <= 0x318E || r >= 0xA960 && r <= 0xA97F
}

// isUnspaced covers the south-east Asian scripts, whose words are substrings
// too: Thai, Lao, Myanmar, Khmer.
func isUnspaced(r rune) bool {
	return r >= 0x0E00 && (r <= 0x0EFF || r >= 0x1000 && r <= 0x109F || r >= 0x1780 && r <= 0x17FF)
}

// IsWord tells whether r is part of a word set apart by its neighbours: a
// letter, digit, combining mark or "_" of any script that IsCJK does not name.
func IsWord(r rune) bool {
	if r < utf8.RuneSelf {
		return wordByte[r]
	}
	if IsCJK(r) || isUnspaced(r) {
		return false
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

// wordByte is IsWord for ASCII.
var wordByte = func() (t [utf8.RuneSelf]bool) {
	for c := range t {
		t[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
	}
	return t
}()

// IsBoundary tells whether a word may begin or end at byte i of s. Letters,
// digits and "_" join; everything else parts them, and so does the change
// between Latin and Japanese: "Acmeの" has a boundary after the e. Both ends of
// s are boundaries.
func IsBoundary(s string, i int) bool {
	if i <= 0 || i >= len(s) {
		return true
	}
	after, before := rune(s[i]), rune(s[i-1])
	if after >= utf8.RuneSelf {
		after, _ = utf8.DecodeRuneInString(s[i:])
	}
	if !IsWord(after) {
		return true
	}
	if before >= utf8.RuneSelf {
		before, _ = utf8.DecodeLastRuneInString(s[:i])
	}
	return !IsWord(before)
}

// Valid returns s as clean text: bytes that are not UTF-8 become U+FFFD, line
// ends become "\n", and control characters other than newline and tab, characters
// that turn the direction ([TurnsDirection]) and noncharacters are dropped. It
// returns s itself where there is nothing to mend.
func Valid(s string) string {
	for i, r := range s {
		if r == utf8.RuneError || mended(r) != r {
			return mend(s, i)
		}
	}
	return s
}

func mend(s string, from int) string {
	var b strings.Builder
	b.Grow(len(s))
	b.WriteString(s[:from])
	rest := s[from:]
	for i, r := range rest {
		if r == '\r' && i+1 < len(rest) && rest[i+1] == '\n' {
			continue
		}
		if r = mended(r); r >= 0 {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// TurnsDirection tells whether r embeds, overrides or isolates a direction of
// writing, up to a character that may never come: what stands beside the text
// would be turned with it.
func TurnsDirection(r rune) bool { return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 }

// IsSeen tells whether anything of s can be seen: spaces, fillers and characters
// that only join or vary others can't.
func IsSeen(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		switch r {
		case 0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0: // fillers, and the empty braille pattern
			return false
		}
		return unicode.IsGraphic(r) && !unicode.In(r, unicode.White_Space, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
	})
}

// mended returns what Valid puts in place of r, or -1 for nothing.
func mended(r rune) rune {
	switch {
	case r >= ' ' && r < 0x7F, r == '\n', r == '\t':
		return r
	case r == '\r', r == 0x85, r == 0x2028, r == 0x2029:
		return '\n'
	case r < 0xA0, TurnsDirection(r), r&0xFFFE == 0xFFFE, r >= 0xFDD0 && r <= 0xFDEF:
		return -1
	}
	return r
}
