package classifier

import (
	"strings"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/text"
)

// redacted is a text without what tells who people are, as far as rules know it
// when they see it, and the way back to the text itself.
type redacted struct {
	text     string
	from, to []int // by rune of text: where it begins in the original, in runes, and where it ends
}

// redact replaces links, addresses, numbers that can name somebody, accounts and
// names by what they are. Known are names that are known from elsewhere, as the
// author's; kept are the brand's own, which stay. At most limit runes come out.
func redact(s string, known, kept []string, limit int) redacted {
	return carry(s, text.Personal(s, known, kept), limit)
}

func carry(s string, cuts []text.Piece, limit int) redacted {
	var (
		out  redacted
		b    strings.Builder
		rune int
	)
	for at := 0; at < len(s) && len(out.from) < limit; {
		if len(cuts) > 0 && cuts[0].Start == at {
			c := cuts[0]
			n := utf8.RuneCountInString(s[c.Start:c.End])
			mark := "[" + c.As + "]"
			b.WriteString(mark)
			for range mark {
				out.from, out.to = append(out.from, rune), append(out.to, rune+n)
			}
			rune, at, cuts = rune+n, c.End, cuts[1:]
			continue
		}
		_, size := utf8.DecodeRuneInString(s[at:])
		b.WriteString(s[at : at+size])
		out.from, out.to = append(out.from, rune), append(out.to, rune+1)
		rune, at = rune+1, at+size
	}
	out.text = b.String()
	return out
}

// find returns where words stand first, in runes of r.text.
func (r *redacted) find(words string) (start, end int, ok bool) {
	at := strings.Index(r.text, words)
	if at < 0 || words == "" {
		return 0, 0, false
	}
	start = utf8.RuneCountInString(r.text[:at])
	return start, start + utf8.RuneCountInString(words), true
}

// back returns the runes of the original that stand at start to end of r.text; ok
// is false if there is nothing there.
func (r *redacted) back(start, end int) (from, to int, ok bool) {
	if start < 0 || start >= end || end > len(r.from) {
		return 0, 0, false
	}
	return r.from[start], r.to[end-1], true
}
