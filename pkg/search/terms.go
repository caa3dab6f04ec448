package search

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/text"
)

const (
	// maxWords is how many words of a query count; those after it are ignored.
	// Meilisearch sets the number.
	maxWords = 10
	// maxTerm bounds the bytes of an indexed word.
	maxTerm = 64
	// maxIndexed bounds the bytes of a document's text that can be found.
	maxIndexed = 32 << 10
)

// phrase is a part of a query's text: terms that must stand next to each other.
type phrase struct {
	tokens []text.Token
	exact  bool // as typed, without misspellings
	prefix bool // the last token is a word that may go on
}

// parse reads what a person typed. Each word, run of kanji and kana, and emoji
// is a phrase of its own; what stands in quotes is one phrase.
func parse(typed string) []phrase {
	folded := text.Fold(typed)
	var phrases []phrase
	for i, part := range strings.Split(folded, `"`) {
		quoted := i%2 == 1
		var tokens []text.Token
		for t := range text.Tokens(part) {
			t.Text = cutTerm(t.Text)
			if quoted {
				tokens = append(tokens, t)
				continue
			}
			phrases = append(phrases, phrase{
				tokens: []text.Token{t},
				exact:  t.Kind != text.Word,
				prefix: t.Kind == text.Word && t.End == len(part) && strings.HasSuffix(folded, part),
			})
		}
		if len(tokens) > 0 {
			phrases = append(phrases, phrase{tokens: tokens, exact: true})
		}
	}
	for i := range phrases[:max(len(phrases)-1, 0)] {
		phrases[i].prefix = false
	}
	return phrases[:min(len(phrases), maxWords)]
}

// cutTerm shortens a word as the index does.
func cutTerm(s string) string {
	if len(s) <= maxTerm || !text.IsWord(firstRune(s)) {
		return s
	}
	end := maxTerm
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

// terms yields what the index holds of s, which is folded: words, emoji, and
// of each run of kanji and kana its pairs of characters and the last character
// alone. A run of two or more characters is found as the sequence of its
// pairs, a single character as the beginning of a term.
func terms(s string, yield func(term string)) {
	for t := range text.Tokens(s) {
		if t.Kind != text.CJK {
			yield(cutTerm(t.Text))
			continue
		}
		runTerms(t.Text, true, yield)
	}
}

// runTerms yields the terms of a CJK run, with the last character alone if
// closed is set: where the run does not go on in what it is compared with.
func runTerms(run string, closed bool, yield func(term string)) {
	single := true
	for _, pair := range text.Bigrams(run) {
		single = utf8.RuneCountInString(pair) == 1
		yield(pair)
	}
	if !single && closed {
		_, size := utf8.DecodeLastRuneInString(run)
		yield(run[len(run)-size:])
	}
}

// terms yields the sequence of index terms that p stands for, and reports
// whether the last of them is only the beginning of one.
func (p *phrase) terms(yield func(term string)) (open bool) {
	last := len(p.tokens) - 1
	for i, t := range p.tokens {
		if t.Kind == text.CJK {
			runTerms(t.Text, i < last, yield)
			continue
		}
		yield(t.Text)
	}
	end := p.tokens[last]
	return p.prefix || end.Kind == text.CJK && utf8.RuneCountInString(end.Text) == 1
}

// bounded folds s for the index, of which only the beginning is indexed.
func bounded(s string) string {
	if len(s) > maxIndexed {
		end := maxIndexed
		for !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end]
	}
	return text.Fold(s)
}

// author returns what can be found of a document's author, and of what people
// tagged.
func (d *Document) author() string {
	s := d.AuthorName + " " + d.AuthorHandle
	for _, t := range d.Tags {
		if strings.HasPrefix(t, "#") {
			s += " " + t[1:]
		}
	}
	return s
}

// sameText tells whether the two documents are found by the same words.
func (d *Document) sameText(o *Document) bool {
	return d.Title == o.Title && d.Text == o.Text && d.AuthorName == o.AuthorName && d.AuthorHandle == o.AuthorHandle && slices.Equal(d.Tags, o.Tags)
}
