package text

import (
	"iter"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Kind says what a token is made of.
type Kind uint8

const (
	Word  Kind = iota // letters, digits and "_" of a script that spaces its words
	CJK               // a run of kanji, kana, hangul or bopomofo
	Emoji             // one emoji with its modifiers
)

// Token is a piece of text that can be looked for.
type Token struct {
	Kind       Kind
	Text       string
	Start, End int // bytes of the text it was found in, End exclusive
}

// Tokens yields the words, CJK runs and emoji of s in order, and nothing of
// what lies between them. Fold s first to get tokens that compare equal.
func Tokens(s string) iter.Seq[Token] {
	return func(yield func(Token) bool) {
		for i := 0; i < len(s); {
			r, size := utf8.DecodeRuneInString(s[i:])
			t := Token{Start: i}
			switch {
			case IsWord(r):
				t.Kind, t.End = Word, skip(s, i+size, IsWord)
			case IsCJK(r):
				t.Kind, t.End = CJK, skip(s, i+size, inRun)
			case isUnspaced(r):
				t.Kind, t.End = CJK, skip(s, i+size, isUnspaced)
			case isEmoji(r):
				cluster, _, _, _ := uniseg.FirstGraphemeClusterInString(s[i:], -1)
				t.Kind, t.End = Emoji, i+len(cluster)
			default:
				i += size
				continue
			}
			t.Text = s[t.Start:t.End]
			if !yield(t) {
				return
			}
			i = t.End
		}
	}
}

// inRun lets combining voiced marks that found no kana stay in their run.
func inRun(r rune) bool { return IsCJK(r) || r == 0x3099 || r == 0x309A }

func skip(s string, i int, in func(rune) bool) int {
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		if !in(r) {
			break
		}
		i += size
	}
	return i
}

// isEmoji tells whether r is or begins an emoji. Digits, "#" and "©" and their
// like, which are emoji only on request, are not.
func isEmoji(r rune) bool {
	switch {
	case r < 0x203C:
		return false
	case r >= 0x1F000:
		return r <= 0x1FAFF
	}
	return r >= 0x2600 && r <= 0x27BF || r == 0x203C || r == 0x2049 || r >= 0x231A && r <= 0x23FF && unicode.IsSymbol(r) ||
		r == 0x2B50 || r == 0x2B55 || r == 0x2B1B || r == 0x2B1C || r == 0x3030 || r == 0x303D || r == 0x3297 || r == 0x3299
}

// Bigrams yields the overlapping pairs of characters of a CJK run, each with
// the byte where it begins: "新製品" gives 新製 and 製品. A run of one character
// is yielded as it is.
func Bigrams(run string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		first := -1 // begin of the character before i
		for i, r := range run {
			if first >= 0 && !yield(first, run[first:i+utf8.RuneLen(r)]) {
				return
			}
			if first < 0 && i+utf8.RuneLen(r) == len(run) {
				yield(0, run)
				return
			}
			first = i
		}
	}
}
