package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
	"github.com/earshot/earshot/pkg/text"
)

// Export is what is wanted as a file, and where it comes from. It is for the desk
// and the command line alike.
type Export struct {
	// Documents yields what was published in the period, of the brands that the
	// caller may take out.
	Documents func(context.Context) iter.Seq2[*search.Document, error]
	// Case returns a case as it stands.
	Case     func(context.Context, *search.Document) (casework.State, error)
	Settings *settings.Store
	Period   search.Period // of publishing
	By       search.Grouping
	Lang     string // of headings and names: "en" or "ja"
	Encoding string // one of encodings; empty for the first
	Unmasked bool   // with personal data
	URL      string // of the desk, for links; may be empty
	Now      time.Time
	// Progress is told after every document, if it is set.
	Progress func(documents, rows int)
}

// Exported says what left.
type Exported struct {
	Documents int
	Rows      int // without the heading
	Replaced  int // characters that the encoding lacks
	Withheld  int // cases whose platform forbids that their words leave
}

// Check returns what is wrong with x, naming the flag or field.
func (x *Export) Check() error {
	switch {
	case x.Period.From.IsZero() || !x.Period.To.After(x.Period.From):
		return errors.New("from, to: want a day and the same or a later one")
	case x.Period.To.Sub(x.Period.From) > longestExport:
		return errors.New("from, to: want at most 400 days")
	case x.Encoding != "" && !slices.Contains(encodings, x.Encoding):
		return errors.New("encoding: want one of " + strings.Join(encodings, ", "))
	case !slices.Contains(langs, x.Lang):
		return errors.New("lang: want one of " + strings.Join(langs, ", "))
	}
	_, err := search.NewTally(x.By, x.Now)
	return err
}

// longestExport bounds a period; the index keeps no more by default.
const longestExport = 401 * 24 * time.Hour

// call is what names and texts of x are made with.
func (x *Export) call() (*call, error) {
	words, err := loadWords()
	if err != nil {
		return nil, err
	}
	d := &Desk{Options: Options{Settings: x.Settings, URL: x.URL}}
	return &call{Desk: d, l: &locale{words: words[x.Lang], zone: cmp.Or(x.By.Zone, time.UTC), now: x.Now}}, nil
}

// Tally counts what was published.
func (x *Export) Tally(ctx context.Context) ([]search.Group, error) {
	t, err := search.NewTally(x.By, x.Now)
	if err != nil {
		return nil, err
	}
	n := 0
	for d, err := range x.Documents(ctx) {
		if err != nil {
			return nil, err
		}
		t.Add(d)
		if n++; x.Progress != nil {
			x.Progress(n, 0)
		}
	}
	t.Fill(x.Period)
	return t.Groups(), nil
}

// figureColumns are the figures of a table, by the keys of their texts.
var figureColumns = []struct {
	key string
	of  func(*search.Figures) int
}{
	{"figures.received", func(f *search.Figures) int { return f.Received }},
	{"figures.wanted", func(f *search.Figures) int { return f.Wanted }},
	{"figures.in_time", func(f *search.Figures) int { return f.InTime }},
	{"figures.late", func(f *search.Figures) int { return f.Late }},
	{"figures.open", func(f *search.Figures) int { return f.Open }},
	{"figures.overdue", func(f *search.Figures) int { return f.Overdue }},
	{"figures.unanswered", func(f *search.Figures) int { return f.Unanswered }},
	{"figures.watched", func(f *search.Figures) int { return f.Watched }},
	{"figures.not_for_us", func(f *search.Figures) int { return f.NotForUs }},
	{"figures.joined", func(f *search.Figures) int { return f.Joined }},
}

// waitColumns are the waits of a table, by the keys of their texts.
var waitColumns = []struct {
	key string
	of  func(*search.Figures) search.Spread
}{
	{"figures.first_reply", (*search.Figures).FirstReply},
	{"figures.resolution", (*search.Figures).Resolution},
}

// wait is how long it took, in one way of telling; of so many.
type wait struct {
	label string
	of    int
	took  time.Duration
}

// waits are the median and the 90th percentile of each of waitColumns.
func (l *locale) waits(f *search.Figures) (all []wait) {
	for _, col := range waitColumns {
		s := col.of(f)
		all = append(all,
			wait{l.say("figures.wait", l.say(col.key), l.say("figures.median")), s.Of, s.Median},
			wait{l.say("figures.wait", l.say(col.key), l.say("figures.p90")), s.Of, s.P90})
	}
	return all
}

// Figures writes groups as a table.
func (x *Export) Figures(w io.Writer, groups []search.Group) (Exported, error) {
	c, err := x.call()
	if err != nil {
		return Exported{}, err
	}
	var head []string
	if x.By.Time != search.WholeTime {
		head = append(head, c.l.say("figures.by_"+string(x.By.Time)))
	}
	if x.By.Of != "" {
		head = append(head, c.l.say("figures.of_"+string(x.By.Of)))
	}
	for _, col := range figureColumns {
		head = append(head, c.l.say(col.key))
	}
	for _, w := range c.l.waits(&search.Figures{}) {
		head = append(head, w.label)
	}
	out := newSheet(w, x.Encoding, head)
	for i := range groups {
		g := &groups[i]
		var row []string
		if x.By.Time != search.WholeTime {
			row = append(row, g.Time)
		}
		if x.By.Of != "" {
			row = append(row, c.groupName(x.By.Of, g.Of))
		}
		for _, col := range figureColumns {
			row = append(row, itoa(col.of(&g.Figures)))
		}
		for _, w := range c.l.waits(&g.Figures) {
			cell := ""
			if w.of > 0 {
				cell = fmt.Sprintf("%d:%02d:%02d", w.took/time.Hour, w.took/time.Minute%60, w.took/time.Second%60)
			}
			row = append(row, cell)
		}
		if err := out.write(row); err != nil {
			return Exported{}, err
		}
	}
	err = out.end()
	return Exported{Rows: out.rows, Replaced: out.lost}, err
}

// groupName is what the value of a field is called in tables.
func (c *call) groupName(f search.Field, value string) string {
	switch {
	case value == search.None:
		return c.l.say("figures.none")
	case f == search.FieldSource:
		if s, ok := settings.Sources.Get(c.Settings, value); ok {
			return cmp.Or(s.Name, value)
		}
	}
	return c.valueName(string(f), value)
}

// historyColumns are the columns of the handling history, by the keys of their
// texts.
var historyColumns = []string{
	"export.number", "case.brand", "facet.platform", "figures.of_source", "figures.of_place", "facet.lang", "export.published", "export.author", "export.post",
	"export.url", "verdict.disposition", "verdict.intent", "verdict.risks", "export.status", "export.outcome", "export.answer_by", "export.answered_at",
	"export.at", "export.who", "export.what", "export.text", "export.link", "export.desk", "export.note",
}

// History writes what was done to the cases of what was published, a line for
// every event. What stands in no case has no history.
func (x *Export) History(ctx context.Context, w io.Writer) (done Exported, err error) {
	c, err := x.call()
	if err != nil {
		return done, err
	}
	head := make([]string, len(historyColumns))
	for i, key := range historyColumns {
		head[i] = c.l.say(key)
	}
	out := newSheet(w, x.Encoding, head)
	defer func() { done.Rows, done.Replaced = out.rows, out.lost }()
	for d, err := range x.Documents(ctx) {
		if err != nil {
			return done, err
		}
		done.Documents++
		if d.Owner != search.OwnerTagged {
			s, err := x.Case(ctx, d)
			if errors.Is(err, casework.ErrUnknown) {
				continue // erased meanwhile
			}
			if err != nil {
				return done, err
			}
			if s.Number == 0 {
				continue
			}
			withheld, err := x.caseRows(c, out, d, &s)
			if err != nil {
				return done, err
			}
			if withheld {
				done.Withheld++
			}
		}
		if x.Progress != nil {
			x.Progress(done.Documents, out.rows)
		}
	}
	return done, out.end()
}

// caseRows writes one case. Withheld tells that its platform forbids that what
// was said there leaves.
func (x *Export) caseRows(c *call, out *sheet, d *search.Document, s *casework.State) (withheld bool, err error) {
	m := &s.Mention
	withheld = !mayLeave(c.Settings, m.Platform, m.Source)
	mask := text.Mask
	if x.Unmasked {
		mask = func(t string) string { return t }
	}
	ours := func(t string) string { return mask(t) }
	if withheld {
		var names []string
		for _, n := range []string{m.Author.Handle, m.Author.Name} {
			if len(n) > 1 {
				names = append(names, n, "…")
			}
		}
		hide := strings.NewReplacer(names...)
		ours = func(t string) string { return hide.Replace(mask(t)) }
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.In(c.l.zone).Format("2006-01-02 15:04:05")
	}
	v := s.InForce()
	var risks []string
	for _, r := range v.Risks {
		risks = append(risks, c.l.say("risk."+string(r.Category)))
	}
	outcome := ""
	if s.Outcome != "" {
		outcome = c.valueName("outcome", s.Outcome)
	}
	post, author, url, note := mask(m.Content()), authorOf(m.Author.Handle, m.Author.Name), m.URL, ""
	switch {
	case s.Redacted:
		post, author, url, note = "", "", "", c.l.say("export.erased")
	case withheld:
		post, author, url, note = "", "", "", c.l.say("export.withheld", c.platform(m.Platform))
	}
	row := []string{
		itoa(s.Number), c.brandName(d.Brand), c.platform(d.Platform), c.groupName(search.FieldSource, cmp.Or(d.Source, search.None)), cmp.Or(m.Place.Name, known(d.Place)),
		c.valueName("lang", d.Lang), at(d.PublishedAt), author, post, url, c.valueName("disposition", string(s.Triage.Disposition)), c.valueName("intent", string(v.Intent)),
		strings.Join(risks, ", "), c.l.say("state." + string(s.Status)), outcome, at(d.AnswerBy), at(d.AnsweredAt),
	}
	for i := range s.History {
		e := &s.History[i]
		if e.Kind == casework.LookDue || e.Kind == casework.Redacted {
			continue
		}
		view := c.event(s, e)
		said := ours(view.Text)
		if (e.Kind == casework.Posted || e.Kind == casework.ByHand) && e.Draft != nil {
			said = ours(e.Draft.Text)
		}
		if theirs(e.Kind) {
			said = mask(view.Text)
			if withheld || s.Redacted {
				said = ""
			}
		}
		link := ""
		if e.URL != "" {
			link = e.URL
		}
		desk := ""
		if x.URL != "" {
			desk = x.URL + "/cases/" + string(s.ID)
		}
		if err := out.write(append(slices.Clone(row), at(e.At), view.Who, view.What, said, link, desk, note)); err != nil {
			return withheld, err
		}
		row[8], note = "", "" // once is enough
	}
	return withheld, nil
}

// theirs tells whether the text of such an event is in the author's words.
func theirs(k casework.Kind) bool { return k == casework.Wished || k == casework.Looked }

// mayLeave tells whether both the platform and the source that brought a post
// allow that what was said leaves the installation.
func mayLeave(s *settings.Store, platform, from string) bool {
	if !source.DutiesOf(platform).MayLeave {
		return false
	}
	src, ok := settings.Sources.Get(s, from)
	if !ok {
		return true
	}
	k, ok := source.Named(src.Kind)
	return ok && k.Duties.MayLeave
}
