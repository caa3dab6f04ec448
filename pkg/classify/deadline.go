package classify

import (
	"regexp"
	"strconv"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

type deadlineTime = time.Time

// tokyo is the zone of Japanese texts; a fixed one, as Japan has no summer time.
var tokyo = time.FixedZone("Asia/Tokyo", 9*60*60)

// dueRule finds one way of stating a deadline in folded text.
type dueRule struct {
	re  *regexp.Regexp
	due func(now time.Time, part []string) time.Time
}

// deadline returns the time stated in the sentence of the threat or next to it,
// zero if there is none.
func (c *Classifier) deadline(d *document, m *mention.Mention, lang string, sent int32) time.Time {
	now := m.PublishedAt
	if now.IsZero() {
		now = m.SeenAt
	}
	if now.IsZero() {
		return time.Time{}
	}
	rules, zone := englishDue, time.UTC
	if lang == japanese {
		rules, zone = japaneseDue, tokyo
	}
	now = now.In(zone)
	last := int32(len(d.sents) - 1)
	for _, s := range []int32{sent, sent - 1, sent + 1, sent - 2} {
		if s < 0 || s > last {
			continue
		}
		in := d.slice(d.sents[s].start, min(d.sents[s].end, d.sents[s].start+400))
		for i := range rules {
			part := rules[i].re.FindStringSubmatch(in)
			if part == nil {
				continue
			}
			if at := rules[i].due(now, part); !at.IsZero() {
				return at.UTC()
			}
		}
	}
	return time.Time{}
}

func endOfDay(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 23, 59, 59, 0, t.Location())
}

func inDays(n int) func(time.Time, []string) time.Time {
	return func(now time.Time, _ []string) time.Time { return endOfDay(now.AddDate(0, 0, n)) }
}

// endOfWeek is Sunday's end, n weeks on.
func endOfWeek(n int) func(time.Time, []string) time.Time {
	return func(now time.Time, _ []string) time.Time {
		return endOfDay(now.AddDate(0, 0, (7-int(now.Weekday()))%7+7*n))
	}
}

func endOfMonth(n int) func(time.Time, []string) time.Time {
	return func(now time.Time, _ []string) time.Time {
		return time.Date(now.Year(), now.Month()+time.Month(n)+1, 0, 23, 59, 59, 0, now.Location())
	}
}

// after adds a number of units: hours are exact, others last to a day's end.
func after(now time.Time, n int, unit string) time.Time {
	switch unit {
	case "h":
		return now.Add(time.Duration(n) * time.Hour)
	case "m":
		return now.Add(time.Duration(n) * time.Minute)
	case "d":
		return endOfDay(now.AddDate(0, 0, n))
	case "w":
		return endOfDay(now.AddDate(0, 0, 7*n))
	case "M":
		return endOfDay(now.AddDate(0, n, 0))
	}
	for n > 0 { // business days
		now = now.AddDate(0, 0, 1)
		if now.Weekday() != time.Saturday && now.Weekday() != time.Sunday {
			n--
		}
	}
	return endOfDay(now)
}

// nextDate is the next time the calendar shows day of month; month 0 is any.
func nextDate(now time.Time, month, day int) time.Time {
	if month > 12 || day < 1 || day > 31 {
		return time.Time{}
	}
	for i := range 24 {
		t := time.Date(now.Year(), now.Month()+time.Month(i), day, 23, 59, 59, 0, now.Location())
		if t.Day() == day && (month == 0 || int(t.Month()) == month) && !t.Before(now) {
			return t
		}
	}
	return time.Time{}
}

func nextWeekday(now time.Time, day time.Weekday, skip int) time.Time {
	ahead := (int(day) - int(now.Weekday()) + 7) % 7
	return endOfDay(now.AddDate(0, 0, ahead+skip*7))
}

// atClock is the next time the clock shows hour.
func atClock(now time.Time, hour int) time.Time {
	if hour > 24 {
		return time.Time{}
	}
	t := time.Date(now.Year(), now.Month(), now.Day(), hour, 0, 0, 0, now.Location())
	if !t.After(now) {
		t = t.AddDate(0, 0, 1)
	}
	return t
}

var numbers = map[string]int{
	"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "ten": 10, "twelve": 12,
	"fourteen": 14, "twenty": 20, "thirty": 30, "一": 1, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "十": 10,
}

func number(s string) int {
	if n, ok := numbers[s]; ok {
		return n
	}
	n, err := strconv.Atoi(s)
	if err != nil || n > 999 {
		return 0
	}
	return n
}

func counted(units map[string]string) func(time.Time, []string) time.Time {
	return func(now time.Time, part []string) time.Time {
		n := number(part[1])
		if n == 0 {
			return time.Time{}
		}
		return after(now, n, units[part[2]])
	}
}
