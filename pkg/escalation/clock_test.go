package escalation

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

var updateCalendars = flag.Bool("update-calendars", false, "write the calendars anew")

func date(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

// japanese are the holidays of a year as the law on national holidays makes
// them, as it stands since 2022. The equinoxes are those of the usual formula,
// which holds from 1980 to 2099; the government gazettes them a year ahead.
func japanese(year int) map[time.Time]string {
	monday := func(m time.Month, nth int) time.Time {
		first := date(year, m, 1)
		return first.AddDate(0, 0, (8-int(first.Weekday()))%7+7*(nth-1))
	}
	equinox := func(at float64) int {
		n := float64(year - 1980)
		return int(math.Floor(at+0.242194*n) - math.Floor(n/4))
	}
	named := map[time.Time]string{
		date(year, 1, 1): "元日", monday(1, 2): "成人の日", date(year, 2, 11): "建国記念の日", date(year, 2, 23): "天皇誕生日",
		date(year, 3, equinox(20.8431)): "春分の日", date(year, 4, 29): "昭和の日", date(year, 5, 3): "憲法記念日", date(year, 5, 4): "みどりの日",
		date(year, 5, 5): "こどもの日", monday(7, 3): "海の日", date(year, 8, 11): "山の日", monday(9, 3): "敬老の日",
		date(year, 9, equinox(23.2488)): "秋分の日", monday(10, 2): "スポーツの日", date(year, 11, 3): "文化の日", date(year, 11, 23): "勤労感謝の日",
	}
	all := map[time.Time]string{}
	for d, name := range named {
		all[d] = name
	}
	for d := range named { // article 3, paragraph 2: the next day that is none
		if d.Weekday() == time.Sunday {
			for named[d] != "" {
				d = d.AddDate(0, 0, 1)
			}
			all[d] = "休日 (振替)"
		}
	}
	for d := range named { // paragraph 3: a day between two of them
		between := d.AddDate(0, 0, 1)
		if all[between] == "" && named[d.AddDate(0, 0, 2)] != "" {
			all[between] = "休日"
		}
	}
	return all
}

const jpFrom, jpTo = 2024, 2035

func TestTheJapaneseCalendarIsTheLaws(t *testing.T) {
	t.Parallel()
	var want bytes.Buffer
	fmt.Fprintf(&want, "# National holidays of Japan from %d to %d, by the law on national holidays (国民の祝日に関する法律).\n", jpFrom, jpTo)
	fmt.Fprintf(&want, "# Equinoxes are gazetted each February for the year after; those of later years are calculated.\n")
	for y := jpFrom; y <= jpTo; y++ {
		all := japanese(y)
		days := make([]time.Time, 0, len(all))
		for d := range all {
			days = append(days, d)
		}
		slices.SortFunc(days, time.Time.Compare)
		for _, d := range days {
			fmt.Fprintf(&want, "%s %s\n", d.Format(time.DateOnly), all[d])
		}
	}
	if *updateCalendars {
		if err := os.WriteFile("calendars/jp.txt", want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want.String() != jp {
		t.Error("calendars/jp.txt is not what the law makes; run go test ./pkg/escalation -run Calendar -update-calendars")
	}
	// What the Cabinet Office lists, where a rule other than the plain day counts.
	for _, d := range []string{
		"2024-01-08", "2024-02-12", "2024-03-20", "2024-05-06", "2024-08-12", "2024-09-16", "2024-09-22", "2024-09-23", "2024-11-04",
		"2025-02-24", "2025-03-20", "2025-05-06", "2025-09-23", "2025-11-24",
		"2026-03-20", "2026-05-06", "2026-09-21", "2026-09-22", "2026-09-23", "2027-03-21", "2027-03-22", "2027-09-23",
	} {
		if !strings.Contains(want.String(), d) {
			t.Errorf("%s is a holiday", d)
		}
	}
	for _, d := range []string{"2024-05-07", "2025-05-07", "2026-05-07", "2025-09-22", "2027-09-22", "2026-12-31"} {
		if strings.Contains(want.String(), d) {
			t.Errorf("%s is none", d)
		}
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	tokyo := NewZone("Asia/Tokyo")
	shift := []string{"09:00-12:00", "13:00-18:00"}
	week := map[string][]string{"mon": shift, "tue": shift, "wed": shift, "thu": shift, "fri": shift}
	p := Policy{Hours: []Hours{
		{Brands: []string{"kumo"}, Zone: tokyo, Week: week, Calendar: "jp", Holidays: []string{"2026-09-24"}},
		{Brands: []string{"hoshi"}, Zone: NewZone("America/New_York"), Week: map[string][]string{"sun": {"00:00-24:00"}, "mon": {"00:00-24:00"}}},
		{Brands: []string{"tsuki"}, Zone: tokyo, Week: week, Calendar: "own"},
		{Brands: []string{"mado"}, Zone: tokyo, Week: map[string][]string{"mon": {"10:00-14:00", "09:00-11:00"}}},
	}, Calendars: []Calendar{{Name: "own", Days: []string{"2026-09-25 founding day"}}}}
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, tt := range []struct {
		name, brand, from string
		d                 time.Duration
		want              string
	}{
		{"within a morning", "kumo", "2026-09-28T09:30:00+09:00", time.Hour, "2026-09-28T10:30:00+09:00"},
		{"over lunch", "kumo", "2026-09-28T11:30:00+09:00", time.Hour, "2026-09-28T13:30:00+09:00"},
		{"during lunch", "kumo", "2026-09-28T12:20:00+09:00", time.Hour, "2026-09-28T14:00:00+09:00"},
		{"to the last minute", "kumo", "2026-09-28T17:00:00+09:00", time.Hour, "2026-09-28T18:00:00+09:00"},
		{"over a night", "kumo", "2026-09-28T17:30:00+09:00", time.Hour, "2026-09-29T09:30:00+09:00"},
		// Silver week: Saturday to Wednesday, and a day of the company's own.
		{"over holidays", "kumo", "2026-09-18T17:30:00+09:00", time.Hour, "2026-09-25T09:30:00+09:00"},
		{"one's own calendar in the place of Earshot's", "tsuki", "2026-09-24T17:30:00+09:00", time.Hour, "2026-09-28T09:30:00+09:00"},
		{"the day that clocks go back has 25 hours", "hoshi", "2026-11-01T04:00:00Z", 25 * time.Hour, "2026-11-02T05:00:00Z"},
		{"spans that overlap count once", "mado", "2026-09-28T09:00:00+09:00", 5 * time.Hour, "2026-09-28T14:00:00+09:00"},
		{"a brand without hours never closes", "other", "2026-09-18T17:30:00Z", 100 * time.Hour, "2026-09-22T21:30:00Z"},
		{"nothing to wait for", "kumo", "2026-09-19T03:00:00+09:00", 0, "2026-09-19T03:00:00+09:00"},
	} {
		c := p.Clock(tt.brand)
		if got := c.After(at(tt.from), tt.d); !got.Equal(at(tt.want)) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if got := c.Between(at(tt.from), at(tt.want)); got != tt.d {
			t.Errorf("%s: %v between, want %v", tt.name, got, tt.d)
		}
	}
	if got := p.Clock("kumo").Between(at("2026-09-29T00:00:00+09:00"), at("2026-09-28T00:00:00+09:00")); got != 0 {
		t.Errorf("%v between a moment and one before it", got)
	}
	if end := p.CalendarEnds("kumo"); end.Year() != jpTo {
		t.Errorf("the calendar ends on %v", end)
	}
	if end := p.CalendarEnds("tsuki"); !end.Equal(date(2026, 9, 25)) {
		t.Errorf("one's own ends on %v", end)
	}
	if end := p.CalendarEnds("other"); !end.IsZero() {
		t.Errorf("none ends on %v", end)
	}
}
