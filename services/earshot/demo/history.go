package demo

import "time"

// Deed is what a member of staff did to a case, named after the command.
type Deed string

const (
	Claim    Deed = "claim"
	Draft    Deed = "draft" // Template and Slots
	Submit   Deed = "submit"
	Approve  Deed = "approve"
	SendBack Deed = "send_back" // Text says why
	Send     Deed = "send"
	Note     Deed = "note"       // Text
	Watch    Deed = "watch"      // better not answered
	NotForUs Deed = "not_for_us" // Text says why
	HandOver Deed = "hand_over"  // To a team; Text is the message
	Promise  Deed = "promise"    // Due
	Escalate Deed = "escalate"   // Text says why
	Facts    Deed = "facts"      // Text says which are confirmed
	Close    Deed = "close"      // Outcome; Text is what was done; Cause and Measure where it is weighty
)

// Case is what was done with one post of the day.
type Case struct {
	Post struct {
		Platform string `yaml:"platform"`
		NativeID string `yaml:"native_id"`
	} `yaml:"post"`
	Brand   string   `yaml:"brand"`
	Actions []Action `yaml:"actions"` // oldest first
}

// Action is one step in a case.
type Action struct {
	OffsetS  int64             `yaml:"offset_s"` // seconds before now
	By       string            `yaml:"by"`       // id of [Staff]
	Do       Deed              `yaml:"do"`
	Template string            `yaml:"template"`
	Slots    map[string]string `yaml:"slots"` // but author, brand, staff and case, which the case fills
	Text     string            `yaml:"text"`
	To       string            `yaml:"to"` // id of [Teams]
	Outcome  string            `yaml:"outcome"`
	Cause    string            `yaml:"cause"`
	Measure  string            `yaml:"measure"` // what keeps it from coming back; it is due at Due and owned by who acts
	DueS     int64             `yaml:"due_s"`   // seconds before now; negative lies ahead
}

// At is when the action was done.
func (a Action) At(now time.Time) time.Time { return now.Add(-time.Duration(a.OffsetS) * time.Second) }

// Due is the time promised by a [Promise].
func (a Action) Due(now time.Time) time.Time { return now.Add(-time.Duration(a.DueS) * time.Second) }

// History returns the answered backlog.
func History() ([]Case, error) {
	f, err := decode[struct {
		Cases []Case `yaml:"cases"`
	}]("history.yaml")
	return f.Cases, err
}
