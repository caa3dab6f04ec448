package search

import (
	"cmp"
	"slices"
	"strings"

	"github.com/earshot/earshot/pkg/text"
)

// marker finds the words of a query in the texts of its hits. Both engines use
// it, so that they mark alike.
type marker struct {
	phrases []phrase
	folded  text.Folded
}

func newMarker(phrases []phrase) *marker { return &marker{phrases: phrases} }

// marks returns the spans of content that the query's phrases cover, in order
// and without overlaps.
func (m *marker) marks(content string) []Mark {
	if len(m.phrases) == 0 {
		return nil
	}
	m.folded.Reset(content)
	var spans []Mark
	var words []text.Token
	for t := range text.Tokens(m.folded.Text) {
		words = append(words, t)
	}
	for i := range m.phrases {
		m.find(i, words, func(start, end int) {
			s, e := m.folded.Span(start, end)
			spans = append(spans, Mark{s, e})
		})
	}
	slices.SortFunc(spans, func(a, b Mark) int { return cmp.Or(a.Start-b.Start, b.End-a.End) })
	out := spans[:0]
	for _, s := range spans {
		if n := len(out); n > 0 && s.Start <= out[n-1].End {
			out[n-1].End = max(out[n-1].End, s.End)
			continue
		}
		out = append(out, s)
	}
	return out
}

// find reports where phrase i stands among the tokens of a folded text.
func (m *marker) find(i int, words []text.Token, found func(start, end int)) {
	p := &m.phrases[i]
	for at := range words {
		if len(p.tokens) == 1 {
			m.findOne(i, words[at], found)
			continue
		}
		if start, end, ok := p.stands(words[at:]); ok {
			found(start, end)
		}
	}
}

func (m *marker) findOne(i int, in text.Token, found func(start, end int)) {
	p := &m.phrases[i]
	want := p.tokens[0].Text
	switch {
	case in.Kind != p.tokens[0].Kind:
	case in.Kind == text.CJK:
		for from := 0; ; {
			at := strings.Index(in.Text[from:], want)
			if at < 0 {
				return
			}
			found(in.Start+from+at, in.Start+from+at+len(want))
			from += at + len(want)
		}
	case in.Text == want, cutTerm(in.Text) == want:
		found(in.Start, in.End)
	case p.prefix && strings.HasPrefix(in.Text, want):
		found(in.Start, in.Start+len(want))
	case !p.exact && misspelt(want, in.Text, p.prefix):
		found(in.Start, in.End)
	}
}

// stands tells whether the tokens of a quoted phrase begin words: the first run
// of kanji and kana may end there, the last may begin there.
func (p *phrase) stands(words []text.Token) (start, end int, ok bool) {
	last := len(p.tokens) - 1
	if len(words) <= last {
		return 0, 0, false
	}
	for i, want := range p.tokens {
		in := words[i]
		s, e := in.Start, in.End
		switch {
		case in.Kind != want.Kind:
			return 0, 0, false
		case in.Text == want.Text:
		case in.Kind == text.CJK && i == 0 && strings.HasSuffix(in.Text, want.Text):
			s = in.End - len(want.Text)
		case in.Kind == text.CJK && i == last && strings.HasPrefix(in.Text, want.Text):
			e = in.Start + len(want.Text)
		default:
			return 0, 0, false
		}
		if i == 0 {
			start = s
		}
		end = e
	}
	return start, end, true
}
