package escalation

import (
	"fmt"
	"maps"
	"slices"
	"time"
	_ "time/tzdata" // business hours must not depend on the zone files of an image

	"github.com/earshot/earshot/pkg/mention"
)

// Hours are the business hours of brands.
type Hours struct {
	Brands []string `json:"brands,omitempty" yaml:"brands,omitempty" doc:"brand ids; empty for all"`
	Zone   Zone     `json:"zone" yaml:"zone" doc:"IANA name, such as Asia/Tokyo"`
	// Week maps mon, tue, wed, thu, fri, sat and sun to any number of spans
	// like "09:00-12:30", the end exclusive and at most 24:00. A day that is
	// missing is closed.
	Week map[string][]string `json:"week" yaml:"week" doc:"spans like 09:00-18:00 for mon, tue, wed, thu, fri, sat, sun"`
	// Holidays are closed days like "2026-12-31".
	Holidays []string `json:"holidays,omitempty" yaml:"holidays,omitempty" doc:"closed days like 2026-12-31"`
	// Calendar names the public holidays on which it is closed as well: one of
	// the policy's calendars, or one that comes with Earshot ("jp").
	Calendar string `json:"calendar,omitempty" yaml:"calendar,omitempty" doc:"public holidays: jp, or the name of a calendar of the policy"`
}

// Quiet is a planned time in which nobody is paged. Pages of categories or
// brands it does not name go on.
type Quiet struct {
	Brands     []string           `json:"brands,omitempty" yaml:"brands,omitempty" doc:"brand ids; empty for all"`
	Categories []mention.Category `json:"categories,omitempty" yaml:"categories,omitempty" doc:"risk categories; empty for any"`
	From       time.Time          `json:"from" yaml:"from" doc:"beginning, like 2026-12-30T18:00:00+09:00"`
	To         time.Time          `json:"to" yaml:"to" doc:"end, exclusive"`
	Reason     string             `json:"reason,omitempty" yaml:"reason,omitempty" doc:"why, for the history"`
}

// Rota is a list of people who are on call in turn.
type Rota struct {
	Name    string   `json:"name" yaml:"name" doc:"what oncall:ROTA names"`
	Members []string `json:"members" yaml:"members" doc:"staff ids, in turn"`
	Zone    Zone     `json:"zone" yaml:"zone" doc:"IANA name, such as Asia/Tokyo"`
	// Start is the first hand-over in local time, like "2026-01-05T09:00":
	// the first member begins, and every hand-over is at that time of day.
	Start string `json:"start" yaml:"start" doc:"first hand-over in local time, like 2026-01-05T09:00"`
	// Days is the length of a turn in calendar days.
	Days      int        `json:"days" yaml:"days" doc:"length of a turn in days"`
	Overrides []Override `json:"overrides,omitempty" yaml:"overrides,omitempty" doc:"who is on call instead, and when"`
}

// Override puts somebody else on call for a while. The last one that applies
// wins.
type Override struct {
	From time.Time `json:"from" yaml:"from" doc:"beginning, like 2026-12-30T18:00:00+09:00"`
	To   time.Time `json:"to" yaml:"to" doc:"end, exclusive"`
	Who  string    `json:"who" yaml:"who" doc:"staff id"`
}

// Zone is a time zone by its IANA name. The zero Zone is UTC.
type Zone struct {
	name string
	loc  *time.Location
}

// NewZone returns the zone of that name. An unknown one is refused by
// [Policy.Validate] and is UTC until then.
func NewZone(name string) Zone {
	loc, err := time.LoadLocation(name)
	// "Local" would mean something else on every machine.
	if err != nil || name == "Local" {
		loc = nil
	}
	return Zone{name: name, loc: loc}
}

// MarshalText returns the name.
func (z Zone) MarshalText() ([]byte, error) { return []byte(z.name), nil }

// UnmarshalText never fails: what is wrong is told by [Policy.Validate], with
// the field's name.
func (z *Zone) UnmarshalText(text []byte) error {
	*z = NewZone(string(text))
	return nil
}

// String returns the name.
func (z Zone) String() string { return z.name }

func (z Zone) location() *time.Location {
	if z.loc == nil {
		return time.UTC
	}
	return z.loc
}

func (z Zone) validate(v *mistakes, field string) {
	if z.loc == nil && z.name != "" {
		v.add(field, "%q is no time zone; use a name like Asia/Tokyo", z.name)
	}
}

var weekdays = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// onDay returns the time of day, in minutes, on date's day in its zone.
func onDay(date time.Time, minutes int) time.Time {
	return time.Date(date.Year(), date.Month(), date.Day(), 0, minutes, 0, 0, date.Location())
}

// parseSpan reads "09:00-18:30" into minutes of the day.
func parseSpan(s string) (from, to int, ok bool) {
	if len(s) != len("09:00-18:30") || s[5] != '-' {
		return 0, 0, false
	}
	from, ok1 := parseClock(s[:5])
	to, ok2 := parseClock(s[6:])
	return from, to, ok1 && ok2 && from < to
}

// parseClock reads "09:00" up to "24:00".
func parseClock(s string) (int, bool) {
	for _, i := range []int{0, 1, 3, 4} {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	h, m := int(s[0]-'0')*10+int(s[1]-'0'), int(s[3]-'0')*10+int(s[4]-'0')
	return h*60 + m, s[2] == ':' && m < 60 && h*60+m <= 24*60
}

func (h *Hours) validate(v *mistakes, at string) {
	h.Zone.validate(v, at+"zone")
	spans := 0
	for _, day := range slices.Sorted(maps.Keys(h.Week)) {
		if !slices.Contains(weekdays[:], day) {
			v.add(at+"week."+day, "is no day; use mon, tue, wed, thu, fri, sat, sun")
		}
		for i, text := range h.Week[day] {
			spans++
			if _, _, ok := parseSpan(text); !ok {
				v.add(fmt.Sprintf("%sweek.%s[%d]", at, day, i),
					"%q is not like 09:00-18:00; split what goes over midnight", text)
			}
		}
	}
	if spans == 0 {
		v.add(at+"week", "is never open; leave the entry out to be always open")
	}
	for i, d := range h.Holidays {
		if _, err := time.Parse(time.DateOnly, d); err != nil {
			v.add(fmt.Sprintf("%sholidays[%d]", at, i), "%q is not a date like 2026-12-31", d)
		}
	}
}

// quietUntil returns when pages for s may go on, the zero time if now. Windows
// that touch count as one.
func (p *Policy) quietUntil(s *State, now time.Time) time.Time {
	var until time.Time
	at := now
	for range p.Quiet { // each pass moves on by a window at least, or ends
		moved := false
		for i := range p.Quiet {
			q := &p.Quiet[i]
			if covers(q.Brands, s.Brand) && covers(q.Categories, s.Category) && !at.Before(q.From) && at.Before(q.To) {
				at, until, moved = q.To, q.To, true
			}
		}
		if !moved {
			break
		}
	}
	return until
}

const startForm = "2006-01-02T15:04"

// OnCall returns who is on call in the rota of that name at now: one staff id,
// or none if there is no such rota.
func (p *Policy) OnCall(rota string, now time.Time) []string {
	for i := range p.Rotas {
		if r := &p.Rotas[i]; r.Name == rota {
			if who := r.at(now); who != "" {
				return []string{who}
			}
		}
	}
	return nil
}

func (r *Rota) at(now time.Time) string {
	for _, o := range slices.Backward(r.Overrides) {
		if !now.Before(o.From) && now.Before(o.To) {
			return o.Who
		}
	}
	start, err := time.Parse(startForm, r.Start)
	if err != nil || len(r.Members) == 0 || r.Days < 1 {
		return ""
	}
	// Turns are counted in days of the calendar, on wall clocks set side by
	// side, so that a change to summer time moves no hand-over.
	l := now.In(r.Zone.location())
	wall := time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), l.Second(), l.Nanosecond(), time.UTC)
	turn := floorDiv(int64(wall.Sub(start)), int64(24*time.Hour)*int64(r.Days))
	n := int64(len(r.Members))
	return r.Members[((turn%n)+n)%n]
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func (p *Policy) validateRotas(v *mistakes) {
	for i, r := range p.Rotas {
		at := fmt.Sprintf("rotas[%d].", i)
		if r.Name == "" {
			v.add(at+"name", "is empty")
		}
		if slices.ContainsFunc(p.Rotas[:i], func(o Rota) bool { return o.Name == r.Name }) {
			v.add(at+"name", "%q is there twice", r.Name)
		}
		if len(r.Members) == 0 || slices.Contains(r.Members, "") {
			v.add(at+"members", "needs staff ids")
		}
		r.Zone.validate(v, at+"zone")
		if _, err := time.Parse(startForm, r.Start); err != nil {
			v.add(at+"start", "%q is not like 2026-01-05T09:00", r.Start)
		}
		if r.Days < 1 || r.Days > 366 {
			v.add(at+"days", "%d is not between 1 and 366", r.Days)
		}
		for j, o := range r.Overrides {
			if o.Who == "" || !o.To.After(o.From) {
				v.add(fmt.Sprintf("%soverrides[%d]", at, j), "needs who, and to after from")
			}
		}
	}
}
