package desk

import (
	"unicode"
	"unicode/utf8"
)

// maxEdits bounds what the comparison of two texts takes: parts of the one times
// parts of the other.
const maxEdits = 1 << 20

// shared is the length of the longest common part of what is left of two texts, by
// where in each; nil where they are too long to tell.
type shared [][]int32

func sharedBy(a, b []string) shared {
	if len(a)*len(b) > maxEdits {
		return nil
	}
	s := make(shared, len(a)+1)
	for i := range s {
		s[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				s[i][j] = s[i+1][j+1] + 1
			} else {
				s[i][j] = max(s[i+1][j], s[i][j+1])
			}
		}
	}
	return s
}

// gone tells whether of two parts that differ the one at i is gone before the one
// at j came.
func (s shared) gone(i, j int) bool { return s == nil || s[i+1][j] >= s[i][j+1] }

// edits are two texts, in each marked what the other does not have.
func edits(old, now string) (was, is []span) {
	a, b := wordsOf(old), wordsOf(now)
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	left, right := marker{of: old}, marker{of: now}
	left.take(false, a[:head]...)
	right.take(false, b[:head]...)
	compare(&left, &right, a[head:len(a)-tail], b[head:len(b)-tail])
	left.take(false, a[len(a)-tail:]...)
	right.take(false, b[len(b)-tail:]...)
	return left.spans, right.spans
}

// compare marks in a what is not in b, and the other way round.
func compare(left, right *marker, a, b []string) {
	common := sharedBy(a, b)
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			left.take(false, a[i])
			right.take(false, b[j])
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common.gone(i, j):
			left.take(true, a[i])
			i++
		default:
			right.take(true, b[j])
			j++
		}
	}
}

// marker cuts a text, read word by word, into what is marked and what is not.
type marker struct {
	of    string
	from  int // where the last span begins
	to    int
	spans []span
}

func (m *marker) take(mark bool, words ...string) {
	for _, w := range words {
		n := len(m.spans)
		if n == 0 || m.spans[n-1].Mark != mark {
			m.from, m.spans = m.to, append(m.spans, span{Mark: mark})
			n++
		}
		m.to += len(w)
		m.spans[n-1].Text = m.of[m.from:m.to]
	}
}

// wordsOf cuts a text where a reader sees a change: into words and what stands
// between them, and Japanese into characters.
func wordsOf(s string) []string {
	var out []string
	for len(s) > 0 {
		n := 0
		for n < len(s) {
			r, size := utf8.DecodeRuneInString(s[n:])
			latin := (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)) && !unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana)
			if !latin && n > 0 {
				break
			}
			if n += size; !latin {
				break
			}
		}
		out, s = append(out, s[:n]), s[n:]
	}
	return out
}
