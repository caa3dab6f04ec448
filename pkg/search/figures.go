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
}

// FiguresOf counts one document at now. A mention that we answered has wanted an
// answer, whatever was thought of it later.
func FiguresOf(d *Document, now time.Time) Figures {
	f := Figures{Received: 1}
	switch {
	case slices.Contains(d.Tags, TagJoined):
		f.Joined = 1
	case !d.AnsweredAt.IsZero():
		f.Wanted = 1
		if d.AnswerBy.IsZero() || !d.AnsweredAt.After(d.AnswerBy) {
			f.InTime = 1
		} else {
			f.Late = 1
		}
	case d.Disposition == mention.Watch:
		f.Watched = 1
	case d.Disposition != mention.Answer:
		f.NotForUs = 1
	case d.Status == statusDone:
		f.Wanted, f.Unanswered = 1, 1
	default:
		f.Wanted, f.Open = 1, 1
		if !d.AnswerBy.IsZero() && now.After(d.AnswerBy) {
			f.Overdue = 1
		}
	}
	return f
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

// Tally gathers figures by group. Its memory grows with the groups, not with the
// documents. It is not safe for concurrent use.
type Tally struct {
	by     Grouping
	now    time.Time
	groups map[[2]string]*Figures
}

// NewTally returns an empty tally of how things stand at now.
func NewTally(by Grouping, now time.Time) (*Tally, error) {
	if !slices.Contains(Grains, by.Time) {
		return nil, &QueryError{"by", fmt.Sprintf("%q is none of %v", by.Time, Grains)}
	}
	if by.Of != "" && !slices.Contains(FigureFields, by.Of) {
		return nil, &QueryError{"of", fmt.Sprintf("%q is none of %v", by.Of, FigureFields)}
	}
	by.Zone = cmp.Or(by.Zone, time.UTC)
	return &Tally{by, now, map[[2]string]*Figures{}}, nil
}

var layouts = map[Grain]string{ByMonth: "2006-01", ByDay: time.DateOnly, ByHour: "15"}

// Add counts a document.
func (t *Tally) Add(d *Document) {
	key := [2]string{d.PublishedAt.In(t.by.Zone).Format(layouts[t.by.Time])}
	if t.by.Of != "" {
		key[1] = cmp.Or(d.value(t.by.Of), None)
	}
	t.group(key).Add(FiguresOf(d, t.now))
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
