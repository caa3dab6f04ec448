package classify

import (
	"time"

	"github.com/earshot/earshot/pkg/outbound"
)

// AskedKey is where the classifier keeps [Asked], among the cursors.
const AskedKey = "opinion"

// Asked is how asking for second opinions fares, and what was spent. The
// classifier keeps it for all its processes, the desk shows it.
type Asked struct {
	Model string `json:"model"`
	// Success is when an answer last came that could be used. Error is why the
	// last question got none, empty when it did. Next is until when nobody is
	// asked.
	Success time.Time `json:"success,omitzero"`
	Error   string    `json:"error,omitempty"`
	// Trouble is Error as data, for people.
	Trouble outbound.Trouble `json:"trouble,omitzero"`
	Next    time.Time        `json:"next,omitzero"`
	// Questions were asked in Hour, of at most PerHour; Tokens were spent on
	// Day, of at most PerDay. Both are those of the last question.
	Hour      time.Time `json:"hour,omitzero"`
	Questions int       `json:"questions"`
	PerHour   int       `json:"per_hour"`
	Day       time.Time `json:"day,omitzero"`
	Tokens    int       `json:"tokens"`
	PerDay    int       `json:"per_day"`
}

// Turn begins the hour and the day of now, if they are others.
func (a *Asked) Turn(now time.Time) {
	now = now.UTC()
	if hour := now.Truncate(time.Hour); !a.Hour.Equal(hour) {
		a.Hour, a.Questions = hour, 0
	}
	if day := now.Truncate(24 * time.Hour); !a.Day.Equal(day) {
		a.Day, a.Tokens = day, 0
	}
}

// Spend notes a question that may cost so many tokens, if that is within the
// limits. What is not urgent leaves a quarter of each.
func (a *Asked) Spend(now time.Time, tokens int, urgent bool) bool {
	a.Turn(now)
	perHour, perDay := a.PerHour, a.PerDay
	if !urgent {
		perHour, perDay = perHour-perHour/4, perDay-perDay/4
	}
	if a.Questions+1 > perHour || a.Tokens+tokens > perDay {
		return false
	}
	a.Questions++
	a.Tokens += tokens
	return true
}
