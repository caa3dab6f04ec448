package search

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// Figures count what became of mentions. Wanted is the sum of InTime, Late, Open
// and Unanswered; Received that of Wanted, Watched, NotForUs and Joined.
type Figures struct {
	Received   int `json:"received"`
	Wanted     int `json:"wanted"`     // an answer
	InTime     int `json:"in_time"`    // first answer by its deadline, or without one
	Late       int `json:"late"`       // first answer after its deadline
	Open       int `json:"open"`       // no answer yet, and one is still wanted
	Overdue    int `json:"overdue"`    // of those open: the deadline has passed
	Unanswered int `json:"unanswered"` // closed without an answer
	Watched    int `json:"watched"`
	NotForUs   int `json:"not_for_us"`
	Joined     int `json:"joined"` // goes on in another case, and counts there
	// Replied is how long each first reply took, and Resolved the end of each that
	// was answered and is done; see [Document.RepliedIn].
	Replied  []time.Duration `json:"-"`
	Resolved []time.Duration `json:"-"`
}

// Add adds o to f.
func (f *Figures) Add(o Figures) {
	f.Received += o.Received
	f.Wanted += o.Wanted
	f.InTime += o.InTime
	f.Late += o.Late
	f.Open += o.Open
	f.Overdue += o.Overdue
	f.Unanswered += o.Unanswered
	f.Watched += o.Watched
	f.NotForUs += o.NotForUs
	f.Joined += o.Joined
	f.Replied = append(f.Replied, o.Replied...)
	f.Resolved = append(f.Resolved, o.Resolved...)
}

// Spread says how long it took in most cases. Both are by nearest rank: one of the
// durations themselves.
type Spread struct {
	Of     int           // durations; the others are zero without any
	Median time.Duration // half of them took no longer
	P90    time.Duration // nine of ten took no longer
}

// FirstReply is how long those waited whom we answered.
func (f *Figures) FirstReply() Spread { return spread(f.Replied) }

// Resolution is how long it took to the end, of what we answered and closed.
func (f *Figures) Resolution() Spread { return spread(f.Resolved) }

// spread sorts all.
func spread(all []time.Duration) Spread {
	if len(all) == 0 {
		return Spread{}
	}
	slices.Sort(all)
	rank := func(percent int) time.Duration { return all[(len(all)*percent+99)/100-1] }
	return Spread{len(all), rank(50), rank(90)}
}

// outcome is what became of a document, as far as time does not change it. Its
// numbers are stored.
type outcome uint8

const (
	joined outcome = iota + 1
	inTime
	late
	watched
	notForUs
	unanswered
	open
)

// standing is what figures count of a document.
type standing struct {
	outcome outcome
	until   int64 // deadline of what is open, in Unix milliseconds; 0 for none
	// How long the first reply and the end of what is answered took; resolved is
	// negative while it is not done.
	replied, resolved time.Duration
}

// standingOf judges a document. A mention that we answered has wanted an answer,
// whatever was thought of it later.
func standingOf(d *Document) standing {
	switch {
	case slices.Contains(d.Tags, TagJoined):
		return standing{outcome: joined}
	case !d.AnsweredAt.IsZero():
		s := standing{outcome: inTime, replied: d.RepliedIn, resolved: -1}
		if !d.AnswerBy.IsZero() && d.AnsweredAt.After(d.AnswerBy) {
			s.outcome = late
		}
		if !d.DoneAt.IsZero() {
			s.resolved = d.ResolvedIn
		}
		return s
	case d.Disposition == mention.Watch:
		return standing{outcome: watched}
	case d.Disposition != mention.Answer:
		return standing{outcome: notForUs}
	case d.Status == statusDone:
		return standing{outcome: unanswered}
	}
	return standing{outcome: open, until: toMilli(d.AnswerBy)}
}

// count counts one document at now.
func (f *Figures) count(s *standing, now time.Time) {
	f.Received++
	switch s.outcome {
	case joined:
		f.Joined++
		return
	case watched:
		f.Watched++
		return
	case notForUs:
		f.NotForUs++
		return
	case inTime:
		f.InTime++
	case late:
		f.Late++
	case unanswered:
		f.Unanswered++
	case open:
		f.Open++
		if s.until != 0 && now.After(time.UnixMilli(s.until)) {
			f.Overdue++
		}
	}
	f.Wanted++
	if s.outcome == inTime || s.outcome == late {
		f.Replied = append(f.Replied, s.replied)
		if s.resolved >= 0 {
			f.Resolved = append(f.Resolved, s.resolved)
		}
	}
}

// TagJoined is the tag of a document that goes on in another one.
const TagJoined = "merged"

// statusDone is the Status of what nobody works on any more.
const statusDone = "done"

// Grain is how finely figures are told apart by the time of publishing.
type Grain string

const (
	WholeTime Grain = "all"
	ByMonth   Grain = "month" // 2006-01
	ByDay     Grain = "day"   // 2006-01-02
	ByHour    Grain = "hour"  // of the day, 00 to 23
)

// Grains lists all grains.
var Grains = []Grain{ByDay, ByMonth, ByHour, WholeTime}

// FigureFields are what figures can be told apart by besides time.
var FigureFields = []Field{FieldBrand, FieldPlace, FieldSource, FieldPlatform, FieldLang}

// Grouping says into which groups figures are put.
type Grouping struct {
	Time Grain
	Of   Field // one of [FigureFields]; empty for none
	Zone *time.Location
}

// Group is one group and its figures. Of is a value of Grouping.Of, [None] where
// documents have none.
type Group struct {
	Time string `json:"time,omitempty"`
	Of   string `json:"of,omitempty"`
	Figures
}

// Tally gathers figures by group. Its memory grows with the groups and with what
// is answered, not with the documents. It is not safe for concurrent use.
type Tally struct {
	by     Grouping
	now    time.Time
	groups map[[2]string]*Figures
	cells  map[cell]*Figures
}

// cell is a piece of a group: a quarter of an hour. No zone has changed what it is
// ahead of UTC by less since there is anything to count.
type cell struct {
	quarter int64
	of      string
}

// NewTally returns an empty tally of how things stand at now.
func NewTally(by Grouping, now time.Time) (*Tally, error) {
	if !slices.Contains(Grains, by.Time) {
		return nil, bad("by", "%q is none of %v", by.Time, Grains)
	}
	if by.Of != "" && !slices.Contains(FigureFields, by.Of) {
		return nil, bad("of", "%q is none of %v", by.Of, FigureFields)
	}
	by.Zone = cmp.Or(by.Zone, time.UTC)
	return &Tally{by, now, map[[2]string]*Figures{}, map[cell]*Figures{}}, nil
}

var layouts = map[Grain]string{ByMonth: "2006-01", ByDay: time.DateOnly, ByHour: "15"}

// Add counts a document.
func (t *Tally) Add(d *Document) {
	of := ""
	if t.by.Of != "" {
		of = cmp.Or(d.value(t.by.Of), None)
	}
	s := standingOf(d)
	t.at(d.PublishedAt.UnixMilli(), of).count(&s, t.now)
}

// at returns the group of what was published at ms and has the value of.
func (t *Tally) at(ms int64, of string) *Figures {
	const quarter = int64(15 * time.Minute / time.Millisecond)
	c := cell{ms / quarter, of}
	if ms%quarter < 0 {
		c.quarter--
	}
	f := t.cells[c]
	if f == nil {
		f = t.group([2]string{time.UnixMilli(ms).In(t.by.Zone).Format(layouts[t.by.Time]), of})
		t.cells[c] = f
	}
	return f
}

func (t *Tally) group(key [2]string) *Figures {
	f := t.groups[key]
	if f == nil {
		f = &Figures{}
		t.groups[key] = f
	}
	return f
}

// Fill adds the groups of a period in which nothing was published, where groups
// are told apart by time alone.
func (t *Tally) Fill(p Period) {
	if t.by.Of != "" {
		return
	}
	switch t.by.Time {
	case ByHour:
		for h := range 24 {
			t.group([2]string{fmt.Sprintf("%02d", h)})
		}
	case ByDay, ByMonth:
		from := p.From.In(t.by.Zone)
		for day := time.Date(from.Year(), from.Month(), from.Day(), 12, 0, 0, 0, t.by.Zone); day.Add(-12 * time.Hour).Before(p.To); day = day.AddDate(0, 0, 1) {
			t.group([2]string{day.Format(layouts[t.by.Time])})
		}
	}
}

// Groups returns the groups by time, then by the most received.
func (t *Tally) Groups() []Group {
	var out []Group
	for _, key := range slices.SortedFunc(maps.Keys(t.groups), func(a, b [2]string) int {
		return cmp.Or(strings.Compare(a[0], b[0]), t.groups[b].Received-t.groups[a].Received, strings.Compare(a[1], b[1]))
	}) {
		out = append(out, Group{key[0], key[1], *t.groups[key]})
	}
	return out
}

// tallied counts what e has, document by document.
func tallied(ctx context.Context, e Engine, v Viewer, p Period, by Grouping, now time.Time) ([]Group, error) {
	t, err := NewTally(by, now)
	if err != nil {
		return nil, err
	}
	for d, err := range All(ctx, e, Query{Viewer: v, Published: p, Uncounted: true}) {
		if err != nil {
			return nil, err
		}
		t.Add(d)
	}
	t.Fill(p)
	return t.Groups(), nil
}

// All yields every document that q finds, a page at a time in the order of
// publishing. What is written meanwhile may be seen or not.
func All(ctx context.Context, e Engine, q Query) iter.Seq2[*Document, error] {
	q.Sort, q.Limit, q.Collapse = Oldest, MaxLimit, false
	return func(yield func(*Document, error) bool) {
		for {
			page, err := e.Search(ctx, q)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page.Hits {
				if !yield(&page.Hits[i].Document, nil) {
					return
				}
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				return
			}
		}
	}
}
