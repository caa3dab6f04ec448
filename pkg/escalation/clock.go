package escalation

import (
	_ "embed"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
)

// Calendar is a list of public holidays.
type Calendar struct {
	Name string   `json:"name" yaml:"name" doc:"what hours name; one called like a calendar of Earshot's stands in its place"`
	Days []string `json:"days" yaml:"days" doc:"days like 2027-01-01, with a name after them if you like"`
}

//go:embed calendars/jp.txt
var jp string

// builtIn are the calendars that come with Earshot.
var builtIn = sync.OnceValue(func() map[string]map[string]bool {
	return map[string]map[string]bool{"jp": dates(slices.Collect(strings.Lines(jp)))}
})

// dates are the days that lines begin with; others are remarks.
func dates(lines []string) map[string]bool {
	days := map[string]bool{}
	for _, l := range lines {
		if day, _, _ := strings.Cut(strings.TrimSpace(l), " "); isDate(day) {
			days[day] = true
		}
	}
	return days
}

func isDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// Clock counts the time in which people work. The zero Clock never closes.
type Clock struct {
	hours    *Hours
	calendar *Calendar // of the policy; nil for the one of that name that comes with Earshot
}

// Clock returns the business hours of brand.
func (p *Policy) Clock(brand string) Clock {
	for i := range p.Hours {
		h := &p.Hours[i]
		if !covers(h.Brands, brand) {
			continue
		}
		c := Clock{hours: h}
		if i := slices.IndexFunc(p.Calendars, func(c Calendar) bool { return c.Name == h.Calendar }); i >= 0 {
			c.calendar = &p.Calendars[i]
		}
		return c
	}
	return Clock{}
}

// CalendarEnds is the last holiday of the calendar that the hours of brand go
// by: from the year after it on, holidays count as working days. It is zero
// where no calendar is asked for.
func (p *Policy) CalendarEnds(brand string) time.Time {
	c := p.Clock(brand)
	if c.hours == nil || c.hours.Calendar == "" {
		return time.Time{}
	}
	days := builtIn()[c.hours.Calendar]
	if c.calendar != nil {
		days = dates(c.calendar.Days)
	}
	last := ""
	for d := range days {
		last = max(last, d)
	}
	t, _ := time.Parse(time.DateOnly, last)
	return t
}

// IsOpen tells whether brand is in business hours at now.
func (p *Policy) IsOpen(brand string, now time.Time) bool {
	return p.NextOpening(brand, now).Equal(now)
}

// NextOpening returns now if brand is in business hours, else when they begin
// next.
func (p *Policy) NextOpening(brand string, now time.Time) time.Time { return p.Clock(brand).next(now) }

// closed tells whether day is a holiday.
func (c Clock) closed(day string) bool {
	if slices.Contains(c.hours.Holidays, day) {
		return true
	}
	if c.calendar != nil {
		return slices.ContainsFunc(c.calendar.Days, func(d string) bool { return strings.HasPrefix(d, day) })
	}
	return c.hours.Calendar != "" && builtIn()[c.hours.Calendar][day]
}

// always tells that c never closes: better paged at night than never.
func (c Clock) always() bool { return c.hours == nil || len(c.hours.Week) == 0 }

// open yields the spans in which c is open that end after from, in order. It
// ends when a year goes by without one.
func (c Clock) open(from time.Time) iter.Seq2[time.Time, time.Time] {
	return func(yield func(begin, end time.Time) bool) {
		local := from.In(c.hours.Zone.location())
		for day, idle := 0, 0; idle < 366; day, idle = day+1, idle+1 {
			date := time.Date(local.Year(), local.Month(), local.Day()+day, 12, 0, 0, 0, local.Location())
			texts := c.hours.Week[weekdays[date.Weekday()]]
			if len(texts) == 0 || c.closed(date.Format(time.DateOnly)) {
				continue
			}
			for _, s := range spansOf(texts) {
				begin, end := onDay(date, s.from), onDay(date, s.to)
				if !end.After(from) {
					continue
				}
				idle = 0
				if !yield(begin, end) {
					return
				}
			}
		}
	}
}

// stretch is a part of a day, in minutes.
type stretch struct{ from, to int }

// spansOf reads the spans of a day, in order; those that overlap become one.
func spansOf(texts []string) []stretch {
	out := make([]stretch, 0, len(texts))
	for _, t := range texts {
		if from, to, ok := parseSpan(t); ok {
			out = append(out, stretch{from, to})
		}
	}
	slices.SortFunc(out, func(a, b stretch) int { return a.from - b.from })
	n := 0
	for _, s := range out {
		if n > 0 && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out[n] = s
		n++
	}
	return out[:n]
}

// next returns now if c is open, else the next opening. If it never opens again
// it is now.
func (c Clock) next(now time.Time) time.Time {
	if c.always() {
		return now
	}
	for begin := range c.open(now) {
		if begin.After(now) {
			return begin
		}
		return now
	}
	return now
}

// After is the moment when d of working time has passed since from. Where c
// doesn't open any more it is what is left of d after the last closing.
func (c Clock) After(from time.Time, d time.Duration) time.Time {
	if c.always() || d <= 0 {
		return from.Add(d)
	}
	at := from
	for begin, end := range c.open(from) {
		if begin.Before(from) {
			begin = from
		}
		if left := end.Sub(begin); left < d {
			d, at = d-left, end
			continue
		}
		return begin.Add(d).UTC()
	}
	return at.Add(d).UTC()
}

// Between is the working time from one moment to another.
func (c Clock) Between(from, to time.Time) time.Duration {
	if c.always() {
		return max(to.Sub(from), 0)
	}
	var sum time.Duration
	for begin, end := range c.open(from) {
		if !begin.Before(to) {
			break
		}
		if begin.Before(from) {
			begin = from
		}
		if end.After(to) {
			end = to
		}
		sum += end.Sub(begin)
	}
	return sum
}
