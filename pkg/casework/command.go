package casework

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

// Command is something a person wants to do to a case. It either becomes one
// event or is refused.
type Command interface {
	decide(d *decision) (Event, error)
}

// decision is what a command looks at.
type decision struct {
	by        identity.Viewer
	now       time.Time
	state     State // as of now
	fold      State // as of the last event
	templates func(id string) (Template, bool)
	rules     Rules
	check     func(*State, *Draft) error
	read      func(*State, *Draft) []Finding
	triage    func(*mention.Mention, *mention.Verdict) Triage
	hold      func(account string) time.Duration
	stopped   func(*State) (string, bool)
	muted     func(*State) (who string, err error)
	toward    func(*State, mention.ID) (State, error)
}

// Refused says why a command was not taken. Code is stable, for translation.
type Refused struct {
	Code string
	Text string
	// Format and Args are what Text was made of, for translation; empty where it
	// was made otherwise.
	Format string
	Args   []any
	// Who holds what stands in the way, where somebody does.
	Who string
	// Findings are what the reply check says, of [CodeCheck].
	Findings []Finding
}

func (r *Refused) Error() string { return r.Text }

// Codes of refusals.
const (
	CodeForbidden = "forbidden"      // the role does not allow it
	CodeHeld      = "held"           // somebody else holds the case
	CodeState     = "state"          // it does not fit where the case stands
	CodeStale     = "stale"          // it was based on what has changed since
	CodeInput     = "input"          // something is missing or malformed
	CodeApproval  = "needs_approval" // a second person must approve first
	CodeCheck     = "check"          // the reply check found what must not be public
	CodeFacts     = "facts"          // a full apology wants confirmed facts
	CodeApology   = "apology"        // a limited apology is only a bridge
	CodeMeasure   = "measure"        // a weighty case wants its cause and what keeps it away
	CodeStopped   = "stopped"        // replies of the brand or story are stopped
	CodeNoAnswer  = "no_answer"      // the thread is marked as not to be answered
	CodePost      = "post"           // the post it answers is not part of the case
	CodeReadOnly  = "read_only"      // written by a newer Earshot
	CodeErased    = "erased"
)

func refuse(code, format string, args ...any) error {
	return &Refused{Code: code, Text: fmt.Sprintf(format, args...), Format: format, Args: args}
}

// may wants the right for the case's brand.
func (d *decision) may(a identity.Action) error {
	if !d.by.Can(a, d.state.Mention.Brand) {
		return refuse(CodeForbidden, "you may not %s for this brand", a)
	}
	return nil
}

// work wants the right to work on the case, and that nobody else holds it.
func (d *decision) work() error {
	if err := d.may(identity.Handle); err != nil {
		return err
	}
	if h := d.state.Holder; h != "" && h != d.by.Actor() {
		return &Refused{Code: CodeHeld, Text: h + " works on this case", Who: h}
	}
	if d.state.Outgoing != nil {
		return refuse(CodeState, "a reply is on its way; wait until it is out, or stop it")
	}
	return nil
}

// workOpen is work on a case that is not closed.
func (d *decision) workOpen() error {
	if err := d.work(); err != nil {
		return err
	}
	if d.state.Status == Done {
		return refuse(CodeState, "the case is closed; reopen it first")
	}
	return nil
}

// Claim takes the case for the actor. With Take it is taken from its holder, a
// visible act.
type Claim struct{ Take bool }

func (c Claim) decide(d *decision) (Event, error) {
	if err := d.may(identity.Handle); err != nil {
		return Event{}, err
	}
	if h := d.state.Owner(); h != "" && h != d.by.Actor() && !c.Take {
		return Event{}, &Refused{Code: CodeHeld, Text: h + " works on this case", Who: h}
	}
	return Event{Kind: Claimed, Until: d.now.Add(ClaimTerm)}, nil
}

// Release gives the case back.
type Release struct{}

func (Release) decide(d *decision) (Event, error) {
	if err := d.may(identity.Handle); err != nil {
		return Event{}, err
	}
	if d.state.Owner() != d.by.Actor() {
		return Event{}, refuse(CodeState, "you don't hold this case")
	}
	return Event{Kind: Released}, nil
}

// AddNote leaves a remark for colleagues.
type AddNote struct {
	Text  string
	Files []File
}

func (c AddNote) decide(d *decision) (Event, error) {
	if err := d.may(identity.Comment); err != nil {
		return Event{}, err
	}
	if strings.TrimSpace(c.Text) == "" && len(c.Files) == 0 {
		return Event{}, refuse(CodeInput, "the note is empty")
	}
	return Event{Kind: Noted, Text: c.Text, Files: c.Files}, nil
}

// HandOver gives the case to another department or person.
type HandOver struct{ To, Why string }

func (c HandOver) decide(d *decision) (Event, error) {
	if err := d.work(); err != nil {
		return Event{}, err
	}
	if strings.TrimSpace(c.To) == "" {
		return Event{}, refuse(CodeInput, "to: say who takes it")
	}
	return Event{Kind: HandedOver, To: c.To, Text: c.Why}, nil
}

// Return brings a case back from the other department.
type Return struct{ Why string }

func (c Return) decide(d *decision) (Event, error) {
	if err := d.may(identity.Handle); err != nil {
		return Event{}, err
	}
	if d.state.Status != OtherDepartment {
		return Event{}, refuse(CodeState, "the case is not with another department")
	}
	return Event{Kind: Returned, Text: c.Why}, nil
}

// Snooze hides the case until a time, or with OnPost until the author writes
// again if that is sooner.
type Snooze struct {
	Until  time.Time
	OnPost bool
}

func (c Snooze) decide(d *decision) (Event, error) {
	if err := d.workOpen(); err != nil {
		return Event{}, err
	}
	if !c.Until.After(d.now) || c.Until.After(d.now.AddDate(0, 3, 0)) {
		return Event{}, refuse(CodeInput, "until: want a time within the next three months")
	}
	e := Event{Kind: Snoozed, Until: c.Until.UTC().Truncate(time.Millisecond)}
	if c.OnPost {
		e.Level = OnPost
	}
	return e, nil
}

// LookOn says that the mention is worth seeing but better not answered.
type LookOn struct{}

func (LookOn) decide(d *decision) (Event, error) {
	return d.change(Watched, d.state.Status == Watching)
}

// Exclude says that the mention is not for us.
type Exclude struct{ Why string }

func (c Exclude) decide(d *decision) (Event, error) {
	e, err := d.change(Excluded, d.state.Triage.Disposition == mention.NotForUs && d.state.Status == Done)
	e.Text = c.Why
	return e, err
}

// Outcomes of a case that a person closes.
var Outcomes = []string{"solved", "no_answer_needed", "ended", "unreachable"}

// Close ends the case. A weighty one that was solved wants Why, what was done,
// and a Measure.
type Close struct {
	Outcome, Why string
	Measure      *Measure
}

func (c Close) decide(d *decision) (Event, error) {
	if c.Outcome == "" {
		c.Outcome = "no_answer_needed"
		if len(d.state.Replies) > 0 {
			c.Outcome = "solved"
		}
	}
	if !slices.Contains(Outcomes, c.Outcome) {
		return Event{}, refuse(CodeInput, "outcome %q: want one of %s", c.Outcome, strings.Join(Outcomes, ", "))
	}
	e, err := d.change(Closed, d.state.Status == Done)
	if err != nil {
		return e, err
	}
	e.Outcome, e.Text = c.Outcome, c.Why
	if c.Measure != nil {
		m := *c.Measure
		if err := m.check(); err != nil {
			return Event{}, err
		}
		m.ID = rand.Text()
		e.Measure = &m
	}
	if c.Outcome != "solved" {
		return e, nil
	}
	switch {
	case d.state.LimitedOnly():
		return Event{}, refuse(CodeApology, "only the trouble was regretted so far: the explanation, or the apology for the fault, has to follow")
	case d.state.Weighty() && strings.TrimSpace(c.Why) == "":
		return Event{}, refuse(CodeMeasure, "say what was done for the customer")
	case d.state.owes() && e.Measure == nil:
		return Event{}, refuse(CodeMeasure, "say what led to it, and what keeps it from coming back")
	}
	return e, nil
}

// Reopen undoes watch, exclude, close, merge and snooze.
type Reopen struct{}

func (Reopen) decide(d *decision) (Event, error) {
	return d.change(Reopened, d.state.Status != Done && d.state.Status != Watching && d.state.Status != WaitingCustomer && d.state.Snoozed.IsZero())
}

func (d *decision) change(k Kind, already bool) (Event, error) {
	if err := d.work(); err != nil {
		return Event{}, err
	}
	if already {
		return Event{}, refuse(CodeState, "the case is there already")
	}
	return Event{Kind: k}, nil
}

// Escalate calls PR by hand.
type Escalate struct{ Why string }

func (c Escalate) decide(d *decision) (Event, error) {
	if err := d.may(identity.Comment); err != nil {
		return Event{}, err
	}
	if strings.TrimSpace(c.Why) == "" {
		return Event{}, refuse(CodeInput, "say what PR should know")
	}
	return Event{Kind: Escalated, Text: c.Why}, nil
}

// KeepPromise says that we have reported, otherwise than by a reply. A promise that
// repeats begins anew.
type KeepPromise struct{ How string }

func (c KeepPromise) decide(d *decision) (Event, error) { return d.promised(PromiseKept, c.How) }

// EndPromise says that no report is owed any more, and why.
type EndPromise struct{ Why string }

func (c EndPromise) decide(d *decision) (Event, error) { return d.promised(PromiseEnded, c.Why) }

// promised is an event about the promise that runs.
func (d *decision) promised(k Kind, text string) (Event, error) {
	if err := d.may(identity.Handle); err != nil {
		return Event{}, err
	}
	switch {
	case d.state.Promise == nil:
		return Event{}, refuse(CodeState, "no report is owed")
	case strings.TrimSpace(text) == "":
		return Event{}, refuse(CodeInput, "say how it was reported, or why no report is owed any more")
	}
	return Event{Kind: k, Text: strings.TrimSpace(text)}, nil
}

// MakePromise records by when we report, once or again and again.
type MakePromise struct {
	Due   time.Time
	Every time.Duration
}

func (c MakePromise) decide(d *decision) (Event, error) {
	if err := d.workOpen(); err != nil {
		return Event{}, err
	}
	if !c.Due.After(d.now) || c.Due.After(d.now.AddDate(1, 0, 0)) {
		return Event{}, refuse(CodeInput, "due: want a time within the next year")
	}
	if c.Every != 0 && c.Every < time.Hour {
		return Event{}, refuse(CodeInput, "every: want at least an hour")
	}
	return Event{Kind: Promised, Until: c.Due.UTC().Truncate(time.Millisecond), Every: c.Every.Truncate(time.Millisecond)}, nil
}
