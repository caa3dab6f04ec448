package desk

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
)

// excerptRunes is how much of a text a row carries; the page cuts it at a word.
const excerptRunes = 160

// excerpt is the part of a text around the first mark, on one line, with the
// marks set.
func excerpt(content string, marks []search.Mark) []span {
	runes := []rune(content)
	from := 0
	if len(marks) > 0 && marks[0].Start > excerptRunes/2 {
		from = marks[0].Start - excerptRunes/4
	}
	to := min(len(runes), from+excerptRunes)
	line := func(r []rune) string {
		return strings.Map(func(c rune) rune {
			if c == '\n' || c == '\t' {
				return ' '
			}
			return c
		}, string(r))
	}
	var out []span
	add := func(a, b int, mark bool) {
		if a < b {
			out = append(out, span{Text: line(runes[a:b]), Mark: mark})
		}
	}
	at := from
	if from > 0 {
		out = append(out, span{Text: "…"})
	}
	for _, m := range marks {
		start, end := max(m.Start, at), min(m.End, to)
		if start >= end {
			continue
		}
		add(at, start, false)
		add(start, end, true)
		at = end
	}
	add(at, to, false)
	if to < len(runes) {
		out = append(out, span{Text: "…"})
	}
	return out
}

// found is a span of content that a risk points at.
type found struct {
	start, end int
	note       string
	step       int
	why        string
}

// explain cuts content into spans, those behind the risks marked with the
// number of the risk. Where risks overlap the first one, the gravest, has the
// words.
func explain(content []rune, marks []found) []span {
	owner := make([]int, len(content))
	for i := range owner {
		owner[i] = -1
	}
	for i, m := range slices.Backward(marks) {
		for p := max(m.start, 0); p < min(m.end, len(content)); p++ {
			owner[p] = i
		}
	}
	var out []span
	seen := map[int]bool{}
	for at := 0; at < len(content); {
		to := at
		for to < len(content) && owner[to] == owner[at] {
			to++
		}
		text := string(content[at:to])
		if i := owner[at]; i >= 0 {
			s := span{Text: text, Step: marks[i].step, Note: marks[i].note, Why: marks[i].why, Again: seen[i]}
			seen[i] = true
			out = append(out, s)
		} else {
			out = append(out, linked(text)...)
		}
		at = to
	}
	return out
}

var address = regexp.MustCompile(`https?://[^\s"<>\x{3000}-\x{9fff}\x{ff00}-\x{ffef}]+`)

// linked cuts text into spans so that addresses can be followed.
func linked(text string) []span {
	var out []span
	for {
		at := address.FindStringIndex(text)
		if at == nil {
			if text != "" {
				out = append(out, span{Text: text})
			}
			return out
		}
		to := strings.TrimRight(text[at[0]:at[1]], ".,;:!?)]'")
		if at[0] > 0 {
			out = append(out, span{Text: text[:at[0]]})
		}
		out = append(out, span{Text: to, Href: to})
		text = text[at[0]+len(to):]
	}
}

// xEntity finds what X links in a text: addresses, accounts, hashtags.
var xEntity = regexp.MustCompile(`https?://[^\s"<>\x{3000}-\x{9fff}\x{ff00}-\x{ffef}]+|(?:^|[^A-Za-z0-9_!#$%&*@＠/])([@＠][A-Za-z0-9_]{1,15})|(?:^|[^\pL\pN_&/])([#＃][\pL\pN\pM_]*[\pL_][\pL\pN\pM_]*)`)

// xLinks links accounts and hashtags as X does, within marks as well.
func xLinks(spans []span) []span {
	var out []span
	for _, s := range spans {
		if s.Href != "" {
			out = append(out, s)
			continue
		}
		add := func(text, href string) {
			if text != "" {
				s.Text, s.Href = text, href
				out = append(out, s)
				s.Again = true
			}
		}
		text, done := s.Text, 0
		for _, m := range xEntity.FindAllStringSubmatchIndex(text, -1) {
			from, to, href := m[0], m[1], ""
			switch {
			case m[2] >= 0:
				from, to = m[2], m[3]
				href = "https://x.com/" + strings.TrimLeft(text[from:to], "@＠")
			case m[4] >= 0:
				from, to = m[4], m[5]
				href = "https://x.com/hashtag/" + url.PathEscape(strings.TrimLeft(text[from:to], "#＃"))
			default:
				to = from + len(strings.TrimRight(text[from:to], ".,;:!?)]'"))
				href = text[from:to]
			}
			add(text[done:from], "")
			add(text[from:to], href)
			done = to
		}
		add(text[done:], "")
	}
	return out
}

// postSpans are title and text of a post with the words behind its risks.
func postSpans(p *mention.Post, risks []riskView) (title, body []span) {
	var marks []found
	for _, r := range risks {
		if r.end > r.start {
			marks = append(marks, found{r.start, r.end, r.Note, r.Step, r.Label})
		}
	}
	content := []rune(p.Content())
	head := len([]rune(p.Title))
	if p.Title == "" {
		return nil, explain(content, marks)
	}
	title = explain(content[:head], marks)
	if head < len(content) {
		for i := range marks {
			marks[i].start -= head + 1
			marks[i].end -= head + 1
		}
		body = explain(content[head+1:], marks)
	}
	return title, body
}

const (
	// longPost is how many letters are shown unfolded: browsers take a second to lay
	// out a post of 200,000.
	longPost = 5000
	// shownOfLong is how much of the beginning of a longer one is shown, aroundMark
	// how much on each side of words that are marked further down.
	shownOfLong, aroundMark = 3000, 200
	// leastFold is too little to be folded.
	leastFold = 500
)

// passage is a piece of a post. Folded is how many letters it has, if it is shown only
// to who asks for it; else 0.
type passage struct {
	Spans  []span
	Folded int
}

// passages cuts a post into what is shown, its beginning and what is marked with what
// stands around it, and the folded pieces between. Short ones are one passage.
func passages(spans []span) []passage {
	starts := make([]int, len(spans)+1)
	for i, s := range spans {
		starts[i+1] = starts[i] + utf8.RuneCountInString(s.Text)
	}
	length := starts[len(spans)]
	if length <= longPost {
		return []passage{{Spans: spans}}
	}
	var all []rune
	for _, s := range spans {
		all = append(all, []rune(s.Text)...)
	}
	var out []passage
	at, to := 0, shownOfLong // shown, and not yet in out
	show := func(from int) {
		from, to = seam(all, spans, starts, from), seam(all, spans, starts, to)
		if from >= to+leastFold {
			out = append(out, passage{Spans: slice(spans, starts, at, to)}, passage{Spans: slice(spans, starts, to, from), Folded: from - to})
			at = from
		}
	}
	for i, s := range spans {
		if s.Note != "" && starts[i+1] > to {
			show(max(to, starts[i]-aroundMark))
			to = min(length, max(to, min(starts[i+1], starts[i]+longPost)+aroundMark))
		}
	}
	show(length)
	if at < length {
		out = append(out, passage{Spans: slice(spans, starts, at, length)})
	}
	return out
}

// seam is where near at a text is best cut: behind a sentence or a word, and never
// within a link or a letter.
func seam(all []rune, spans []span, starts []int, at int) int {
	if at <= 0 || at >= len(all) {
		return at
	}
	ends := func(i int) bool {
		return unicode.IsSpace(all[i-1]) || strings.ContainsRune("。！？.!?、", all[i-1])
	}
	for i := at; i < min(at+100, len(all)); i++ {
		if ends(i) && !unicode.IsSpace(all[i]) {
			at = i
			break
		}
	}
	for at < len(all) && (unicode.Is(unicode.M, all[at]) || unicode.Is(unicode.Cf, all[at]) || unicode.Is(unicode.Cf, all[at-1]) || unicode.Is(unicode.Sk, all[at])) {
		at++
	}
	if i, in := slices.BinarySearch(starts, at); !in && spans[i-1].Href != "" {
		at = starts[i]
	}
	return at
}

// slice is what lies between two letters of spans, which begin at starts.
func slice(spans []span, starts []int, from, to int) []span {
	var out []span
	for i, s := range spans {
		a, b := max(from, starts[i])-starts[i], min(to, starts[i+1])-starts[i]
		if a >= b {
			continue
		}
		if a > 0 || b < starts[i+1]-starts[i] {
			s.Text = string([]rune(s.Text)[a:b])
			s.Again = s.Again || a > 0
		}
		out = append(out, s)
	}
	return out
}

// between returns the words of content that a risk points at.
func between(content string, start, end int) string {
	r := []rune(content)
	if start < 0 || end > len(r) || start >= end {
		return ""
	}
	return string(r[start:end])
}

// shorten cuts text to n code points.
func shorten(text string, n int) string {
	r := []rune(strings.Join(strings.Fields(text), " "))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n-1]) + "…"
}

func itoa[N ~int | ~int64 | ~uint64](n N) string { return strconv.FormatInt(int64(n), 10) }
