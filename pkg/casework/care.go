package casework

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

// Care is what is known, decided and done about a case besides its replies.
type Care struct {
	Facts      *Remark // which facts are confirmed
	Measures   []MeasureState
	Ticks      []StepDone
	Harassment *Harassment
	Unreviewed *Emergency // an approval in an emergency that nobody has reviewed
	// Reaction is how the author took our last reply; empty while silent.
	Reaction Reaction
	Wishes   []Wish
}

// Remark is something that a person said at a time.
type Remark struct {
	By   string
	At   time.Time
	Text string
}

// MeasureState is a countermeasure and what became of it.
type MeasureState struct {
	Measure
	By   string
	At   time.Time
	Done *Remark // nil until it is
}

// Open tells that something is still to be done.
func (m *MeasureState) Open() bool { return m.Text != "" && m.Done == nil }

// StepDone says that a step of a playbook was done.
type StepDone struct {
	Playbook, Step string
	By             string
	At             time.Time
}

// Harassment is a person's decision whether the case is customer harassment.
type Harassment struct {
	Is bool
	Remark
}

// Emergency is an approval that one person gave alone.
type Emergency struct {
	By  string
	At  time.Time
	Why string
}

// EmergencyLevel marks the approval of one person alone.
const EmergencyLevel = "emergency"

// Reaction is how an author took our reply.
type Reaction string

const (
	Thanked Reaction = "thanked"
	Calmed  Reaction = "calmed"
	Angrier Reaction = "angrier"
)

// ReactionOf is how what an author writes after our reply sounds.
func ReactionOf(v *mention.Verdict) Reaction {
	switch {
	case v.Intent == mention.Praise || v.Sentiment == mention.Positive:
		return Thanked
	case v.Sentiment == mention.Negative || len(v.Risks) > 0:
		return Angrier
	}
	return Calmed
}

// Wish is a wish that the mention counts for, in its author's words.
type Wish struct{ ID, Words string }

func (c *Care) take(e *Event) {
	remark := &Remark{By: e.Actor, At: e.At, Text: e.Text}
	switch e.Kind {
	case FactsConfirmed:
		c.Facts = remark
	case Measured:
		c.measure(e)
	case MeasureDone:
		c.Measures = slices.Clone(c.Measures)
		for i := range c.Measures {
			if c.Measures[i].ID == e.To {
				c.Measures[i].Done = remark
			}
		}
	case Ticked, Unticked:
		c.Ticks = slices.DeleteFunc(slices.Clone(c.Ticks), func(t StepDone) bool { return t.Playbook == e.To && t.Step == e.Level })
		if e.Kind == Ticked {
			c.Ticks = append(c.Ticks, StepDone{Playbook: e.To, Step: e.Level, By: e.Actor, At: e.At})
		}
	case HarassmentDecided:
		c.Harassment = &Harassment{Is: e.Outcome == "yes", Remark: *remark}
	case ApprovalReviewed:
		c.Unreviewed = nil
	case Wished, Unwished:
		c.Wishes = slices.DeleteFunc(slices.Clone(c.Wishes), func(w Wish) bool { return w.ID == e.To })
		if e.Kind == Wished {
			c.Wishes = append(c.Wishes, Wish{e.To, e.Text})
		}
	}
}

// measure adds e's countermeasure, or puts it in the place of the one it
// changes.
func (c *Care) measure(e *Event) {
	if e.Measure == nil {
		return
	}
	m := MeasureState{Measure: *e.Measure, By: e.Actor, At: e.At}
	c.Measures = slices.DeleteFunc(slices.Clone(c.Measures), func(x MeasureState) bool { return x.ID == m.ID })
	c.Measures = append(c.Measures, m)
}

// LimitedOnly tells that we apologised for the trouble only, and that no
// explanation or full apology has followed.
func (s *State) LimitedOnly() bool {
	n := len(s.Replies)
	return n > 0 && s.Replies[n-1].Draft.Apology == LimitedApology
}

// Weighty tells whether a complaint wants more than an answer: what was its
// cause, and what keeps it from coming back.
func (s *State) Weighty() bool {
	v := s.InForce()
	return v.Intent == mention.Complaint && (s.Verdict.Page || v.Page || s.Escalated || s.Has(grave...))
}

// owes tells that a weighty case has no word yet on its cause.
func (s *State) owes() bool { return s.Weighty() && len(s.Care.Measures) == 0 }

// check wants a whole measure of m.
func (m *Measure) check() error {
	m.Cause, m.Text, m.NoneWhy, m.Owner = strings.TrimSpace(m.Cause), strings.TrimSpace(m.Text), strings.TrimSpace(m.NoneWhy), strings.TrimSpace(m.Owner)
	switch {
	case m.Cause == "":
		return refuse(CodeMeasure, "cause: say what led to it; look for it in the way things are done, not in a person")
	case m.Text == "" && m.NoneWhy == "":
		return refuse(CodeMeasure, "measure: say what keeps it from coming back, or why nothing is needed")
	case m.Text != "" && m.Owner == "":
		return refuse(CodeMeasure, "owner: say who sees to it")
	case m.Text != "" && m.Due.IsZero():
		return refuse(CodeMeasure, "due: say until when")
	}
	m.Due = m.Due.UTC().Truncate(time.Millisecond)
	return nil
}

// ConfirmFacts records which facts are confirmed. A full apology wants it.
type ConfirmFacts struct{ Text string }

func (c ConfirmFacts) decide(d *decision) (Event, error) {
	if err := d.may(identity.Handle); err != nil {
		return Event{}, err
	}
	if strings.TrimSpace(c.Text) == "" {
		return Event{}, refuse(CodeInput, "say which facts are confirmed, and by whom")
	}
	return Event{Kind: FactsConfirmed, Text: c.Text}, nil
}

// TakeMeasure records the cause and what keeps it from coming back. With an ID
// it changes one that is there.
type TakeMeasure struct{ Measure }

func (c TakeMeasure) decide(d *decision) (Event, error) {
	if err := d.may(identity.Handle); err != nil {
		return Event{}, err
	}
	if err := c.check(); err != nil {
		return Event{}, err
	}
	if c.ID == "" {
		c.ID = rand.Text()
	}
	return Event{Kind: Measured, Measure: &c.Measure}, nil
}

// FinishMeasure says that a countermeasure is in place, and how.
type FinishMeasure struct{ ID, How string }

func (c FinishMeasure) decide(d *decision) (Event, error) {
	if err := d.may(identity.Comment); err != nil {
		return Event{}, err
	}
	if !slices.ContainsFunc(d.state.Care.Measures, func(m MeasureState) bool { return m.ID == c.ID && m.Open() }) {
		return Event{}, refuse(CodeState, "there is no open countermeasure of that name")
	}
	if strings.TrimSpace(c.How) == "" {
		return Event{}, refuse(CodeInput, "say what was done")
	}
	return Event{Kind: MeasureDone, To: c.ID, Text: c.How}, nil
}

// TickStep says that a step of a playbook was done, or with Undo that it was
// not.
type TickStep struct {
	Playbook, Step, Text string
	Undo                 bool
}

func (c TickStep) decide(d *decision) (Event, error) {
	if err := d.may(identity.Handle); err != nil {
		return Event{}, err
	}
	if c.Playbook == "" || c.Step == "" {
		return Event{}, refuse(CodeInput, "name the playbook and its step")
	}
	ticked := slices.ContainsFunc(d.state.Care.Ticks, func(t StepDone) bool { return t.Playbook == c.Playbook && t.Step == c.Step })
	if ticked != c.Undo {
		return Event{}, refuse(CodeState, "the step stands like that already")
	}
	e := Event{Kind: Ticked, To: c.Playbook, Level: c.Step, Text: c.Text}
	if c.Undo {
		e.Kind = Unticked
	}
	return e, nil
}

// DecideHarassment records whether the case is customer harassment. That is a
// person's decision; nothing follows from it by itself.
type DecideHarassment struct {
	Is  bool
	Why string
}

func (c DecideHarassment) decide(d *decision) (Event, error) {
	if err := d.may(identity.Lead); err != nil {
		return Event{}, err
	}
	if strings.TrimSpace(c.Why) == "" {
		return Event{}, refuse(CodeInput, "say on what the decision rests")
	}
	e := Event{Kind: HarassmentDecided, Outcome: "no", Text: c.Why}
	if c.Is {
		e.Outcome = "yes"
	}
	return e, nil
}

// ReviewApproval is a second person's word on an approval in an emergency,
// afterwards.
type ReviewApproval struct {
	Right bool
	Text  string
}

func (c ReviewApproval) decide(d *decision) (Event, error) {
	if err := d.may(identity.Approve); err != nil {
		return Event{}, err
	}
	switch u := d.state.Care.Unreviewed; {
	case u == nil:
		return Event{}, refuse(CodeState, "there is no approval to review")
	case u.By == d.by.Actor():
		return Event{}, refuse(CodeForbidden, "somebody else has to review your approval")
	case !c.Right && strings.TrimSpace(c.Text) == "":
		return Event{}, refuse(CodeInput, "say what should have been different")
	}
	e := Event{Kind: ApprovalReviewed, Outcome: "wrong", Text: c.Text}
	if c.Right {
		e.Outcome = "right"
	}
	return e, nil
}

// AddWish counts the mention for a wish, in its author's words.
type AddWish struct {
	Wish, Words string
	// From, if set, is a wish that the mention has to count for already: it is
	// moved from there, with a [DropWish] to follow.
	From string
}

func (c AddWish) decide(d *decision) (Event, error) {
	if err := d.may(identity.Comment); err != nil {
		return Event{}, err
	}
	if c.Wish == "" {
		return Event{}, refuse(CodeInput, "name the wish")
	}
	if d.countsFor(c.Wish) {
		return Event{}, refuse(CodeState, "the mention counts for this wish already")
	}
	if c.From != "" && !d.countsFor(c.From) {
		return Event{}, refuse(CodeState, "the mention does not count for the other wish any more")
	}
	return Event{Kind: Wished, To: c.Wish, Text: c.Words}, nil
}

// DropWish takes the mention out of a wish.
type DropWish struct{ Wish string }

func (c DropWish) decide(d *decision) (Event, error) {
	if err := d.may(identity.Comment); err != nil {
		return Event{}, err
	}
	if !d.countsFor(c.Wish) {
		return Event{}, refuse(CodeState, "the mention does not count for this wish")
	}
	return Event{Kind: Unwished, To: c.Wish}, nil
}

func (d *decision) countsFor(wish string) bool {
	return slices.ContainsFunc(d.state.Care.Wishes, func(w Wish) bool { return w.ID == wish })
}

// Key tells a step from the others of its playbook; it changes with its words.
func (s *Step) Key() string {
	sum := sha256.Sum256([]byte(s.Phase + "\x00" + s.Text["ja"] + "\x00" + s.Text["en"]))
	return hex.EncodeToString(sum[:5])
}
