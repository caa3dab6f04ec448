package source

import (
	"testing"
	"time"
)

// habit is a source that brings an item every gap from the hour from to the
// hour to, for days.
func habit(days, from, to int, gap time.Duration) (*Progress, time.Time) {
	p, now := &Progress{}, time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	end := now.AddDate(0, 0, days)
	last := now
	for ; now.Before(end); now = now.Add(gap) {
		if h := now.Hour(); h >= from && h < to {
			p.Took(1, 0, now, now)
			last = now
		}
	}
	return p, last
}

func TestSilenceIsAgainstTheSourcesOwnHabit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		days, from, to int
		gap            time.Duration
		after          time.Duration // of the last item
		want           bool
	}{
		"a busy source, an hour":            {1, 0, 24, time.Second, time.Hour, false},
		"a busy source, a little more":      {1, 0, 24, time.Second, 61 * time.Minute, true},
		"a slow source, half a day":         {9, 0, 24, 3 * time.Hour, 12 * time.Hour, false},
		"a slow source, two days":           {9, 0, 24, 3 * time.Hour, 48 * time.Hour, true},
		"the first night of a day's source": {1, 8, 20, time.Minute, 12 * time.Hour, true},
		"its second week's nights":          {9, 8, 20, time.Minute, 12 * time.Hour, false},
		"its second week, a day":            {9, 8, 20, time.Minute, 30 * time.Hour, true},
		"too young to have a habit":         {1, 0, 1, 10 * time.Minute, 48 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, last := habit(c.days, c.from, c.to, c.gap)
			if got := p.Hush(last.Add(c.after)); got != c.want {
				t.Errorf("silent %v, want %v: usually every %s, pause %s", got, c.want, p.Gap, p.Pause)
			}
		})
	}
}

func TestASilenceIsToldOnceAndEndsWithAnItem(t *testing.T) {
	t.Parallel()
	p, now := habit(1, 0, 24, time.Minute)
	now = now.Add(2 * time.Hour)
	if !p.Hush(now) || p.Hush(now.Add(time.Hour)) || !p.Silent {
		t.Error("a silence is told once")
	}
	p.Began = now // the program was started again
	if p.Hush(now); !p.Silent {
		t.Error("a start ends no silence")
	}
	p.Took(1, 0, now, now)
	if p.Silent {
		t.Error("an item ends it")
	}
}

func TestWhileNobodyListensNothingIsSilent(t *testing.T) {
	t.Parallel()
	p, now := habit(1, 0, 24, time.Minute)
	pause := p.Pause
	now = now.Add(3 * 24 * time.Hour)
	p.Began = now
	if p.Hush(now.Add(time.Minute)) {
		t.Error("the program was off, and its sources are called silent")
	}
	p.Took(300, 0, now, now.Add(time.Minute))
	if p.Pause > pause+time.Minute {
		t.Errorf("the pause of the program has become the source's habit: %s", p.Pause)
	}
	if !p.Hush(now.Add(2 * time.Hour)) {
		t.Error("it is silent since")
	}
}
