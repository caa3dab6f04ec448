package escalation

import (
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// Gathering is how long after paging began an escalation takes in what others
// say of the same kind, whether somebody has it or not.
const Gathering = time.Hour

// alone are the risks of one person or one place: a second threat is a second
// danger, and must not hide behind the first.
var alone = []mention.Category{mention.ViolentThreat, mention.PersonAtRisk}

// Takes tells whether s takes in a further mention of its brand for which the
// verdict wants a page because of category, so that people are rung once for
// one incident that many tell of. It does so for [Gathering] after paging
// began, and for as long as people are still being paged for it: whoever comes
// sees all of it. Once somebody has it, or nobody is called any more, what
// comes later opens its own. The policy's Roster is today's.
func (s *State) Takes(category mention.Category, policy Policy, now time.Time) bool {
	if !s.Open() || category == "" || s.Category != category || slices.Contains(alone, category) {
		return false
	}
	if now.Sub(s.Since) < Gathering {
		return true
	}
	if s.Acked != nil {
		return false
	}
	plan := Plan(*s, policy, now)
	return len(plan.Send) > 0 || !plan.Next.IsZero()
}
