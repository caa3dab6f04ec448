package desk

import (
	"fmt"
	"strconv"
	"time"
)

// locale is how one request shows times: the person's language and zone, and
// the moment the page was made.
type locale struct {
	*words
	zone *time.Location
	now  time.Time
}

// moment is a point in time on a page: relative in lists, exact on hover.
type moment struct {
	at time.Time
	l  *locale
}

func (l *locale) at(t time.Time) moment { return moment{t, l} }

// IsZero tells whether there is no time to show.
func (m moment) IsZero() bool { return m.at.IsZero() }

// ISO is the machine-readable form for the datetime attribute.
func (m moment) ISO() string { return m.at.UTC().Format(time.RFC3339) }

// Exact is the date, time and zone.
func (m moment) Exact() string {
	at := m.at.In(m.l.zone)
	if m.l.lang == "ja" {
		return at.Format("2006年1月2日 15:04:05 MST")
	}
	return at.Format("2 Jan 2006, 15:04:05 MST")
}

// Clock is the time of day, with the date when it isn't today's.
func (m moment) Clock() string {
	at, now := m.at.In(m.l.zone), m.l.now.In(m.l.zone)
	if at.YearDay() == now.YearDay() && at.Year() == now.Year() {
		return at.Format("15:04")
	}
	if m.l.lang == "ja" {
		return at.Format("1月2日 15:04")
	}
	return at.Format("2 Jan 15:04")
}

// Ago is the distance from now, in one unit; a date after a week.
func (m moment) Ago() string {
	if m.at.IsZero() {
		return m.l.say("time.never")
	}
	d, future := m.l.now.Sub(m.at), false
	if d < 0 {
		d, future = -d, true
	}
	key := "time.ago_"
	if future {
		key = "time.in_"
	}
	switch {
	case d < time.Minute && future && d >= time.Second:
		return m.l.say("time.in_s", int(d/time.Second))
	case d < time.Minute:
		return m.l.say("time.now")
	case d < time.Hour:
		return m.l.say(key+"min", int(d/time.Minute))
	case d < 24*time.Hour:
		return m.l.say(key+"h", int(d/time.Hour))
	case d < 7*24*time.Hour:
		return m.l.say(key+"d", int(d/(24*time.Hour)))
	}
	at := m.at.In(m.l.zone)
	if m.l.lang == "ja" {
		if at.Year() != m.l.now.In(m.l.zone).Year() {
			return at.Format("2006年1月2日")
		}
		return at.Format("1月2日")
	}
	if at.Year() != m.l.now.In(m.l.zone).Year() {
		return at.Format("2 Jan 2006")
	}
	return at.Format("2 Jan")
}

// Left is a countdown to the moment in tabular figures: hours and minutes,
// days from one day on; overdue is negative.
func (m moment) Left() string { return countdown(m.at.Sub(m.l.now), m.l.words) }

func countdown(d time.Duration, w *words) string {
	sign := ""
	if d < 0 {
		sign, d = "−", -d
	}
	if d >= 24*time.Hour {
		return sign + w.say("time.days", int(d/(24*time.Hour)))
	}
	return fmt.Sprintf("%s%d:%02d", sign, int(d/time.Hour), int(d/time.Minute)%60)
}

// Level says how near the moment is: "late", "soon" (within the hour) or "ok".
func (m moment) Level() string {
	switch d := m.at.Sub(m.l.now); {
	case d < 0:
		return "late"
	case d < time.Hour:
		return "soon"
	}
	return "ok"
}

// compact writes a count in little room: 8.4k, or 1.2万 in Japanese.
func (l *locale) compact(n int64) string {
	switch {
	case l.lang == "ja" && n >= 10_000:
		return trimZero(float64(n)/10_000) + "万"
	case l.lang != "ja" && n >= 1_000_000:
		return trimZero(float64(n)/1e6) + "M"
	case l.lang != "ja" && n >= 1_000:
		return trimZero(float64(n)/1e3) + "k"
	}
	return number(n)
}

func trimZero(f float64) string {
	if f >= 100 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	s := strconv.FormatFloat(f, 'f', 1, 64)
	if len(s) > 2 && s[len(s)-2:] == ".0" {
		s = s[:len(s)-2]
	}
	return s
}

// number writes an integer with separators.
func number(n any) string {
	s := fmt.Sprint(n)
	neg := ""
	if len(s) > 0 && s[0] == '-' {
		neg, s = "−", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return neg + s
}
