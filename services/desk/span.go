package desk

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

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
