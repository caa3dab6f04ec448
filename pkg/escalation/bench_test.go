package escalation

import (
	"fmt"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// BenchmarkWatching is what every tagged mention costs the pager.
func BenchmarkWatching(b *testing.B) {
	var v Volume
	var s Stories
	week(&v, 4)
	l := Limits{VolumeFactor: 3, VolumeMin: 10}
	all := make([]*mention.Tagged, 10_000)
	for i := range all {
		all[i] = negative(fmt.Sprint("n", i), night.Add(time.Duration(i)*time.Second))
		all[i].Verdict.Story = fmt.Sprint(i % 500)
	}
	i := 0
	for b.Loop() {
		m := all[i%len(all)]
		i++
		v.Add(m)
		s.Add(m, m.Mention.SeenAt)
		v.Spike("kumo", m.Mention.SeenAt, l)
	}
}

// BenchmarkPlan plans an escalation that nobody answered for a day.
func BenchmarkPlan(b *testing.B) {
	d := &desk{t: b, policy: testPolicy(), now: night}
	d.add(Event{Kind: Opened, Actor: System, Brand: "kumo", Urgency: Wake})
	d.run(24 * time.Hour)
	for b.Loop() {
		d.plan()
	}
	b.ReportMetric(float64(len(d.state.Pages)), "pages")
}
