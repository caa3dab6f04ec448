package source

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/outbound"
)

func TestCoverage(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	at := func(h, m int) time.Time { return day.Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute) }
	for _, c := range []struct {
		name  string
		steps func(c *Coverage)
		want  string // outages as "from-to cause state why"
		over  string // from 00:00 to 24:00
	}{
		{"a short failure that was caught up with is no line", func(c *Coverage) {
			c.Failed(at(9, 0), at(9, 1), "503", outbound.Trouble{})
			c.Heard(at(9, 4), true, true, false)
		}, "", "whole"},
		{"a poll catches up from its cursor", func(c *Coverage) {
			c.Failed(at(9, 0), at(9, 1), "503", outbound.Trouble{})
			c.Failed(at(9, 0), at(9, 30), "504", outbound.Trouble{})
			c.Heard(at(11, 0), true, true, false)
		}, "09:00-11:00 failing caught_up 504", "whole 9h, late 2h, whole 13h"},
		{"the platform's depth was exceeded", func(c *Coverage) {
			c.Failed(at(9, 0), at(9, 1), "503", outbound.Trouble{})
			c.Told(Gap{From: at(9, 0), To: at(10, 0), Why: errors.New("only a week")}, at(11, 0))
			c.Heard(at(11, 0), true, true, true)
		}, "09:00-11:00 failing lost 503; only a week", "whole 9h, missed 2h, whole 13h"},
		{"told after it was thought to be caught up with", func(c *Coverage) {
			c.Began(at(8, 0), at(12, 0), true)
			c.Heard(at(12, 0), true, true, false)
			c.Told(Gap{From: at(8, 30), To: at(9, 0), Why: errors.New("clamped")}, at(12, 1))
		}, "08:00-12:00 stopped lost clamped", "whole 8h, missed 4h, whole 12h"},
		{"a stream without a cursor loses what it does not hear", func(c *Coverage) {
			c.Failed(at(9, 0), at(9, 0), "EOF", outbound.Trouble{})
			c.Heard(at(9, 1), false, false, false)
		}, "09:00-09:01 failing lost EOF", "whole 9h, missed 1m, whole 14h59m"},
		{"a stream with a cursor replays", func(c *Coverage) {
			c.Failed(at(9, 0), at(9, 0), "EOF", outbound.Trouble{})
			c.Heard(at(10, 0), true, false, false)
			c.Reached(at(9, 30))
		}, "09:00-10:00 failing catching_up EOF", "whole 9h, missed 1h, whole 14h"},
		{"until it is at the present", func(c *Coverage) {
			c.Failed(at(9, 0), at(9, 0), "EOF", outbound.Trouble{})
			c.Heard(at(10, 0), true, false, false)
			c.Reached(at(9, 30))
			c.Reached(at(10, 0))
		}, "09:00-10:00 failing caught_up EOF", "whole 9h, late 1h, whole 14h"},
		{"no fetcher ran", func(c *Coverage) {
			c.Began(at(6, 0), at(9, 0), true)
			c.Heard(at(9, 1), true, true, false)
		}, "06:00-09:00 stopped caught_up", "whole 6h, late 3h, whole 15h"},
		{"a restart is no line", func(c *Coverage) { c.Began(at(6, 0), at(6, 1), true) }, "", "whole"},
		{"but for who can't replay", func(c *Coverage) { c.Began(at(6, 0), at(6, 1), false) }, "06:00-06:01 stopped lost", "whole 6h, missed 1m, whole 17h59m"},
		{"down while failing is one outage", func(c *Coverage) {
			c.Failed(at(6, 0), at(6, 0), "401", outbound.Trouble{})
			c.Began(at(7, 0), at(9, 0), true)
			c.Heard(at(10, 0), true, true, false)
		}, "06:00-10:00 failing caught_up 401", "whole 6h, late 4h, whole 14h"},
		{"switched off", func(c *Coverage) {
			c.SwitchedOff(at(6, 0))
			c.SwitchedOff(at(7, 0))
			c.Began(at(6, 0), at(9, 0), true)
		}, "06:00-09:00 off catching_up", "whole 6h, idle 3h, whole 15h"},
		{"a budget that is used up, and the next day's", func(c *Coverage) {
			c.Told(Gap{From: at(15, 0), Why: errors.New("spent")}, at(15, 0))
			c.Heard(at(15, 0), true, true, true)
			c.Told(Gap{From: at(15, 0), Why: errors.New("spent")}, at(16, 0))
			c.Heard(at(16, 0), true, true, true)
			c.Told(Gap{From: at(15, 0), To: at(18, 0), Why: errors.New("was spent")}, at(18, 0))
			c.Heard(at(18, 0), true, true, true)
		}, "15:00-18:00 platform lost was spent", "whole 15h, missed 3h, whole 6h"},
		{"a gap that is not told of again is over", func(c *Coverage) {
			c.Told(Gap{From: at(15, 0), Why: errors.New("spent")}, at(15, 0))
			c.Heard(at(15, 0), true, true, true)
			c.Heard(at(17, 0), true, true, false)
		}, "15:00-17:00 platform lost spent", "whole 15h, missed 2h, whole 7h"},
		{"it lasts", func(c *Coverage) { c.Failed(at(20, 0), at(20, 0), "down", outbound.Trouble{}) }, "20:00- failing lasting down", "whole 20h, missed 4h"},
	} {
		cov := Coverage{Since: day.Add(-48 * time.Hour)}
		c.steps(&cov)
		var lines, over []string
		for _, o := range cov.Outages {
			to := ""
			if !o.To.IsZero() {
				to = o.To.Format("15:04")
			}
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s-%s %s %s %s", o.From.Format("15:04"), to, o.Cause, o.State(), o.Why)))
		}
		stretches := cov.Over(day, at(24, 0))
		for _, s := range stretches {
			over = append(over, fmt.Sprintf("%s %s", s.Way, strings.TrimSuffix(strings.TrimSuffix(s.To.Sub(s.From).String(), "0s"), "0m")))
		}
		if len(stretches) == 1 {
			over = []string{string(stretches[0].Way)}
		}
		if got := strings.Join(lines, ", "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if got := strings.Join(over, ", "); got != c.over {
			t.Errorf("%s: over the day %q, want %q", c.name, got, c.over)
		}
	}
}

func TestCoverageIsBounded(t *testing.T) {
	t.Parallel()
	now := testNow
	c := Coverage{Since: now}
	for i := range 150 {
		now = now.Add(4 * time.Hour)
		c.Failed(now, now, fmt.Sprint(i), outbound.Trouble{})
		c.Heard(now.Add(time.Hour), false, true, false)
	}
	if len(c.Outages) != maxOutages || c.Outages[0].Why != "50" || !c.Since.Equal(c.Outages[0].From.Add(-3*time.Hour)) {
		t.Errorf("%d outages, first %+v, known since %v", len(c.Outages), c.Outages[0], c.Since)
	}
	now = now.Add(2 * maxLedger)
	c.Failed(now, now, "much later", outbound.Trouble{})
	if len(c.Outages) != 1 {
		t.Errorf("%d outages after a year", len(c.Outages))
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	c := Coverage{Since: testNow.Add(-24 * time.Hour)}
	if got := c.At(&Progress{Alive: testNow.Add(-time.Minute)}, testNow); len(got.Outages) != 0 {
		t.Errorf("a minute ago it was alive: %+v", got.Outages)
	}
	if got := c.At(&Progress{Alive: testNow.Add(-time.Hour)}, testNow); len(got.Outages) != 1 || got.Outages[0].Cause != Stopped || got.Outages[0].State() != Lasting || len(c.Outages) != 0 {
		t.Errorf("for an hour nobody has listened: %+v", got.Outages)
	}
	if got := (Coverage{}).Over(testNow.Add(-time.Hour), testNow); len(got) != 1 || got[0].Way != Unknown {
		t.Errorf("of what nobody wrote down: %+v", got)
	}
}

func TestAGapIsKeptAsData(t *testing.T) {
	at := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	begun := Coverage{Since: at}
	c := begun
	c.Told(Gap{From: at, To: at.Add(time.Hour), Why: cutLists{"Ginza", "Ueno"}}, at.Add(2*time.Hour))
	if o := c.Outages[0]; o.Why != "more new reviews than the platform lists: Ginza, Ueno" || o.Trouble != (outbound.Trouble{Reason: outbound.Overflow, Said: "Ginza, Ueno"}) {
		t.Errorf("%+v", o)
	}
	c = begun
	c.Failed(at, at, "503", outbound.Trouble{Reason: outbound.ServerError})
	c.Told(Gap{From: at, To: at, Why: outbound.Recent.Of(errors.New("seven days"))}, at)
	if o := c.Outages[0]; o.Trouble.Reason != outbound.ServerError || !o.Lost {
		t.Errorf("what broke is the cause, whatever was lost by it: %+v", o)
	}
	c = begun
	c.Began(at, at.Add(time.Hour), true)
	c.Told(Gap{From: at, To: at, Why: outbound.Recent.Of(errors.New("seven days"))}, at.Add(time.Hour))
	if o := c.Outages[0]; o.Cause != Stopped || o.Trouble != (outbound.Trouble{Reason: outbound.Recent}) {
		t.Errorf("%+v", o)
	}
}
