package notify

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/text"
)

// message is a page in words, for notifiers to set in their own type.
type message struct {
	Subject  string // one line
	Sections []section
	Links    []link
}

type section struct {
	Head  string
	Lines []string
}

type link struct{ Label, URL string }

// label is for a button, which needs no mark.
func (l link) label() string { return strings.TrimPrefix(l.Label, "▶ ") }

// standing puts into words what p is about and how it stands, for a message
// that is kept up to date.
func standing(p Page, quote bool) message {
	p.Action = escalation.Trigger
	m := compose(p, quote)
	if p.Stands == escalation.Trigger || p.Test {
		return m
	}
	p.Action = p.Stands
	now := compose(p, quote)
	m.Subject, m.Links = now.Subject, now.Links
	m.Sections[len(m.Sections)-1] = section{wordsOf(p.Lang).standing, now.Sections[0].Lines}
	return m
}

// compose puts p into words. Without quote, what the author wrote and who it
// was stay in the desk.
func compose(p Page, quote bool) message {
	w := wordsOf(p.Lang)
	p.Brand, p.By, p.Reason = clean(p.Brand), clean(p.By), clean(p.Reason)
	p.Title, p.Excerpt, p.Author = clean(p.Title), clean(p.Excerpt), clean(p.Author)
	if !quote {
		if p.Excerpt, p.Author = "", ""; !p.Origin.Ours() { // a source's or notifier's name is ours
			p.Title = ""
		}
		if p.Origin == escalation.ByHand { // a colleague's note may quote as well
			p.Reason = ""
		}
	}
	if p.Test {
		return message{
			Subject:  w.tag(w.test) + w.testSubject,
			Sections: []section{{w.happened, []string{w.testBody}}, {w.todo, []string{w.testTodo}}},
		}
	}
	m := message{Subject: w.subject(p)}
	switch p.Action {
	case escalation.Acknowledge:
		m.add(w.happened, fmt.Sprintf(w.acknowledged, w.person(p.By)))
		m.add(w.todo, w.nothingToDo)
	case escalation.Resolve:
		if again, ok := w.again[p.Origin]; ok && p.By == "" {
			m.add(w.happened, append(w.title(p), again)...)
		} else {
			m.add(w.happened, fmt.Sprintf(w.resolved, w.person(p.By)))
		}
		m.add(w.todo, w.nothingToDo)
	case escalation.Update:
		m.add(w.happened, w.spread(p)...)
		if p.Stands == escalation.Trigger {
			m.add(w.todo, w.steps(p)...)
		}
	default:
		m.add(w.happened, w.what(p)...)
		m.add(w.why, w.because(p)...)
		m.add(w.todo, w.steps(p)...)
	}
	if p.Urgency != escalation.Notify && (p.Action == escalation.Trigger || p.Action == escalation.Update && p.Stands == escalation.Trigger) {
		m.link(w.ackLink, p.AckURL)
	}
	if p.Origin.Ours() {
		m.link(w.detailLink, p.URL)
	} else {
		m.link(w.caseLink, p.URL)
	}
	return m
}

func (m *message) add(head string, lines ...string) {
	if len(lines) > 0 {
		m.Sections = append(m.Sections, section{head, lines})
	}
}

func (m *message) link(label, url string) {
	if url != "" {
		m.Links = append(m.Links, link{label, url})
	}
}

// plain sets m as plain text.
func (m message) plain() string {
	var b strings.Builder
	for _, s := range m.Sections {
		b.WriteString(s.Head + "\n")
		for _, l := range s.Lines {
			b.WriteString("  " + l + "\n")
		}
		b.WriteByte('\n')
	}
	for _, l := range m.Links {
		b.WriteString(l.Label + "\n  " + l.URL + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func (w *words) subject(p Page) string {
	tag := map[escalation.Urgency]string{escalation.Wake: w.wake, escalation.Opening: w.opening}[p.Urgency]
	switch {
	case p.Action == escalation.Acknowledge:
		tag = w.inHand
	case p.Action == escalation.Resolve:
		tag = w.over
	case p.Action == escalation.Update:
		tag = w.grown
	case tag == "":
		tag = w.notice
	}
	return w.tag(tag) + p.Brand + w.colon + w.headline(p)
}

// headline is the matter in a few words.
func (w *words) headline(p Page) string {
	if p.Origin == escalation.ByVerdict || p.Origin == "" {
		if s, ok := w.categories[p.Category]; ok {
			return s
		}
	}
	if s, ok := w.origins[p.Origin]; ok {
		return s
	}
	return w.origins[escalation.ByVerdict]
}

// what tells what happened: who said what where, and how far it has spread.
func (w *words) what(p Page) []string {
	lines := []string{w.headline(p) + w.stop}
	if p.Platform != "" {
		lines = append(lines, w.source(p))
	}
	lines = append(lines, w.title(p)...)
	if p.Excerpt != "" {
		lines = append(lines, w.quote(p.Excerpt))
	}
	return append(lines, w.spread(p)...)
}

// spread tells how far it has spread.
func (w *words) spread(p Page) (lines []string) {
	switch {
	case p.Origin == escalation.ByVolume && p.Count > 0:
		lines = append(lines, fmt.Sprintf(w.volume, p.Count))
	case p.Count > 1:
		lines = append(lines, fmt.Sprintf(w.count, p.Count))
	}
	if p.Reach > 0 {
		lines = append(lines, fmt.Sprintf(w.reach, thousands(p.Reach)))
	}
	return lines
}

// title is a post's title, unless the excerpt begins with it, or a source's name.
func (w *words) title(p Page) []string {
	if p.Title == "" || strings.HasPrefix(p.Excerpt, p.Title) {
		return nil
	}
	return []string{w.quote(p.Title)}
}

func (w *words) source(p Page) string {
	platform, ok := w.platforms[p.Platform]
	if !ok {
		platform = clean(p.Platform)
	}
	when := ""
	if !p.At.IsZero() {
		when = p.At.Format(w.timeForm)
	}
	if p.Author == "" {
		return strings.TrimSpace(fmt.Sprintf(w.post, platform, when))
	}
	return strings.TrimSpace(fmt.Sprintf(w.postBy, platform, p.Author, when))
}

// because tells why this is a page.
func (w *words) because(p Page) []string {
	var lines []string
	if s, ok := w.reasons[p.Origin]; ok {
		lines = append(lines, s)
	}
	if s, ok := w.categories[p.Category]; ok && p.Origin != escalation.ByVerdict {
		lines = append(lines, fmt.Sprintf(w.alsoRisk, s))
	}
	switch {
	case p.Reason == "":
	case p.Origin == escalation.ByHand:
		lines = append(lines, fmt.Sprintf(w.handNote, p.Reason))
	default:
		lines = append(lines, fmt.Sprintf(w.ground, cmp.Or(w.figures(p), p.Reason)))
	}
	if t, ok := w.troubles[p.Trouble.Reason]; ok {
		lines = append(lines, fmt.Sprintf(w.trouble, t))
	}
	return lines
}

// figures are those behind a page that is not about a post; empty where there
// are none.
func (w *words) figures(p Page) string {
	g := p.Ground
	last := g.Last.In(p.At.Location()).Format(w.timeForm)
	switch {
	case g == escalation.Ground{}:
		return ""
	case p.Origin == escalation.BySilence:
		return fmt.Sprintf(w.lastPost, last, w.lasting(time.Duration(g.Usual*float64(time.Second))))
	case p.Origin == escalation.ByVolume:
		return fmt.Sprintf(w.spike, g.Count, strconv.FormatFloat(g.Usual, 'f', 1, 64))
	case p.Origin == escalation.ByQuota:
		return fmt.Sprintf(w.used, g.Count, g.Limit)
	case p.Origin == escalation.ByCanary && g.Last.IsZero():
		return w.noCanary
	case p.Origin == escalation.ByCanary:
		return fmt.Sprintf(w.lastCanary, last)
	}
	return ""
}

// lasting is a length of time, in the one unit that says most.
func (w *words) lasting(d time.Duration) string {
	unit, n := w.minutes, d.Round(time.Minute)/time.Minute
	switch {
	case d >= 48*time.Hour:
		unit, n = w.days, d.Round(24*time.Hour)/(24*time.Hour)
	case d >= 2*time.Hour:
		unit, n = w.hours, d.Round(time.Hour)/time.Hour
	}
	return fmt.Sprintf(unit, max(n, 1))
}

// steps tells what to do now.
func (w *words) steps(p Page) []string {
	var lines []string
	if s, ok := w.care[p.Category]; ok {
		lines = append(lines, s)
	}
	if p.Urgency == escalation.Notify {
		return append(lines, w.look)
	}
	return append(lines, w.take, w.falseAlarm)
}

// clean makes hostile text fit for one line: valid, without control characters
// and without those that turn the direction of writing.
func clean(s string) string { return strings.Join(strings.Fields(text.Valid(s)), " ") }

// cutRunes returns at most n code points of s, ending in "…" if it was cut.
func cutRunes(s string, n int) string {
	seen := 0
	last := 0 // where the n-1st code point ends
	for i := range s {
		if seen == n-1 {
			last = i
		}
		if seen == n {
			return s[:last] + "…"
		}
		seen++
	}
	return s
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// stamp is t for machines.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
