package escalation

import (
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

func TestTakes(t *testing.T) {
	t.Parallel()
	const fire = mention.SafetyHazard
	acknowledged := func(d *desk) { d.add(Event{Kind: Acknowledged, Actor: "aoi", Via: "link"}) }
	for name, c := range map[string]struct {
		urgency  Urgency
		category mention.Category // of both; of the escalation that desk opens if empty
		of       mention.Category // of the further mention
		before   func(*desk)
		after    time.Duration
		want     bool
	}{
		"another victim":                        {urgency: Wake, of: fire, after: time.Minute, want: true},
		"another matter":                        {urgency: Wake, of: mention.PrivacyBreach, after: time.Minute},
		"no category":                           {urgency: Wake, after: time.Minute},
		"somebody has it":                       {urgency: Wake, of: fire, before: acknowledged, after: time.Minute, want: true},
		"somebody has had it for an hour":       {urgency: Wake, of: fire, before: acknowledged, after: time.Hour},
		"nobody has it, and people are rung":    {urgency: Wake, of: fire, after: 5 * time.Hour, want: true},
		"it waits for opening":                  {urgency: Opening, of: fire, after: 6 * time.Hour, want: true},
		"a notice expects nobody":               {urgency: Notify, of: fire, after: time.Minute, want: true},
		"a notice of an hour ago was read":      {urgency: Notify, of: fire, after: time.Hour},
		"it is over":                            {urgency: Wake, of: fire, before: func(d *desk) { d.add(Event{Kind: Resolved}) }, after: time.Minute},
		"a threat of violence is its own":       {urgency: Wake, category: mention.ViolentThreat, of: mention.ViolentThreat, after: time.Minute},
		"so is a person at risk":                {urgency: Wake, category: mention.PersonAtRisk, of: mention.PersonAtRisk, after: time.Minute},
		"the ladder was climbed and has an end": {urgency: Wake, of: fire, before: func(d *desk) { d.policy.Ladders[0].RepeatMinutes = 0 }, after: 5 * time.Hour},
		"it became graver and was rung again": {urgency: Opening, of: fire, before: func(d *desk) {
			acknowledged(d)
			d.run(50 * time.Minute)
			d.add(Event{Kind: Reopened, Category: fire, Urgency: Wake})
			acknowledged(d)
		}, after: 100 * time.Minute, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, c.urgency)
			if c.category != "" {
				d.state.Category = c.category
			}
			d.act()
			if c.before != nil {
				c.before(d)
			}
			d.run(c.after)
			if got := d.state.Takes(c.of, d.policy, d.now); got != c.want {
				t.Errorf("takes %v, want %v", got, c.want)
			}
		})
	}
}
