package source

import (
	"testing"
	"time"
)

func TestCanary(t *testing.T) {
	t.Parallel()
	begun := testNow
	c := Canary{Every: 5 * time.Minute, Late: 15 * time.Minute, Since: begun}
	if _, ok := c.Quantile(.5); ok {
		t.Error("none has come, and there is a time")
	}
	now := begun
	for i := range 400 { // more than a day
		now = now.Add(c.Every)
		c.Sends(now)
		if i%100 != 99 {
			c.Arrives(now, now.Add(time.Duration(i%100)*time.Millisecond+time.Millisecond))
		}
	}
	if n := len(c.Runs); n < 288 || n > 290 {
		t.Errorf("%d are remembered", n)
	}
	half, _ := c.Quantile(.5)
	most, _ := c.Quantile(.99)
	if half < 45*time.Millisecond || half > 55*time.Millisecond || most < 97*time.Millisecond || most > 99*time.Millisecond {
		t.Errorf("half within %v, 99%% within %v", half, most)
	}
	if n := c.Lost(now); n != 2 {
		t.Errorf("%d lost; the last one may still come", n)
	}
	if n := c.Lost(now.Add(16 * time.Minute)); n != 3 {
		t.Errorf("%d lost after a quarter of an hour", n)
	}
	sent := now.Add(-5 * time.Minute)
	for _, o := range []struct {
		after time.Duration
		begun time.Time
		want  bool
	}{{9 * time.Minute, begun, false}, {11 * time.Minute, begun, true}, {11 * time.Minute, now, false}, {16 * time.Minute, now, true}} {
		if got := c.Overdue(o.begun, now.Add(o.after)); got != o.want {
			t.Errorf("%v after the last was sent at %v, watched since %v: overdue %v", o.after, sent, o.begun, got)
		}
	}
	// One that comes very late shows that the line moves, and is lost all the same.
	c.Arrives(now, now.Add(20*time.Minute))
	if c.Overdue(begun, now.Add(21*time.Minute)) || c.Took != 20*time.Minute || c.Lost(now.Add(21*time.Minute)) != 3 {
		t.Errorf("%+v", c.Took)
	}
	c.Every = 0
	if c.Overdue(begun, now.Add(time.Hour)) {
		t.Error("none are sent")
	}
}
