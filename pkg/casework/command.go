package casework

import (
	"crypto/rand"
	"fmt"
	"net/url"
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
	hold      time.Duration
}

// Refused says why a command was not taken. Code is stable, for translation.
type Refused struct {
	Code string
	Text string
	// Who holds what stands in the way, where somebody does.
	Who string
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
	CodeReadOnly  = "read_only"      // written by a newer Earshot
	CodeErased    = "erased"
)

func refuse(code, format string, args ...any) error {
	return &Refused{Code: code, Text: fmt.Sprintf(format, args...)}
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
	if h := d.state.Holder; h != "" && h != d.by.Actor() && !c.Take {
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
	if d.state.Holder != d.by.Actor() {
		return Event{}, refuse(CodeState, "you don't hold this case")
	}
	return Event{Kind: Released}, nil
}

// Write saves a reply in the making. Version is the draft's version the writer
// saw, 0 for none: of two writers the later one is refused, not overwritten.
type Write struct {
	Version  int
	Text     string
	Lang     string
	Kind     ReplyKind
	Account  string
	Template string
	Slots    map[string]string
}

func (c Write) decide(d *decision) (Event, error) {
	if err := d.work(); err != nil {
		return Event{}, err
	}
	s := &d.state
	have := 0
	if s.Draft != nil {
		have = s.Draft.Version
	}
	if c.Version != have {
		return Event{}, refuse(CodeStale, "the draft was changed meanwhile: it is at version %d", have)
	}
	if strings.TrimSpace(c.Text) == "" {
		return Event{}, refuse(CodeInput, "the reply is empty")
	}
	if len(c.Text) > 20_000 {
		return Event{}, refuse(CodeInput, "the reply is longer than any platform takes")
	}
	switch c.Kind {
	case "":
		c.Kind = First
	case First, Interim, Final:
	default:
		return Event{}, refuse(CodeInput, "kind %q: want first, interim or final", c.Kind)
	}
	draft := &Draft{
		Version: have + 1, Text: c.Text, Lang: c.Lang, Kind: c.Kind, Account: c.Account,
		Slots: c.Slots, Author: d.by.Actor(), At: d.now, Edited: true,
	}
	if draft.Account == "" {
		draft.Account = s.Mention.Source
	}
	if c.Template != "" {
		t, ok := d.templates(c.Template)
		if !ok || t.InForce() == nil {
			return Event{}, refuse(CodeInput, "template %q is not approved", c.Template)
		}
		if !t.Serves(s.Mention.Brand, s.Mention.Platform) {
			return Event{}, refuse(CodeInput, "template %q is not meant for this brand and platform", c.Template)
		}
		v := t.InForce()
		if err := v.choices(c.Slots); err != nil {
			return Event{}, refuse(CodeInput, "%s", err)
		}
		text, _ := v.Render(c.Slots)
		draft.Template, draft.TemplateVersion, draft.Edited = t.ID, v.N, text != c.Text
	}
	return Event{Kind: Drafted, Draft: draft}, nil
}

// ready wants a draft that could leave: complete, of an allowed template, within
// the platform's rules, for a post that is still there.
func (d *decision) ready() (*Draft, error) {
	s := &d.state
	if s.Draft == nil {
		return nil, refuse(CodeState, "there is no reply to send")
	}
	if s.Mention.Deleted {
		return nil, refuse(CodeState, "the post was deleted; there is nothing to answer")
	}
	if m := openSlot.FindString(s.Draft.Text); m != "" {
		return nil, refuse(CodeInput, "fill in %s first", m)
	}
	if s.Draft.Template != "" {
		t, ok := d.templates(s.Draft.Template)
		if v := t.InForce(); !ok || v == nil || v.N != s.Draft.TemplateVersion {
			return nil, refuse(CodeState, "template %q was changed or retired since; choose it again, or another", s.Draft.Template)
		}
	}
	if err := d.check(s, s.Draft); err != nil {
		return nil, refuse(CodeInput, "%s", err)
	}
	return s.Draft, nil
}

// Submit asks a second person to approve the draft.
type Submit struct{}

func (Submit) decide(d *decision) (Event, error) {
	if err := d.work(); err != nil {
		return Event{}, err
	}
	draft, err := d.ready()
	if err != nil {
		return Event{}, err
	}
	return Event{Kind: Submitted, Hash: d.state.Hash(draft)}, nil
}

// Approve says yes to the text with this hash: the one the approver read.
type Approve struct{ Hash string }

func (c Approve) decide(d *decision) (Event, error) {
	if err := d.approver(); err != nil {
		return Event{}, err
	}
	if c.Hash != d.state.Submitted || c.Hash != d.state.Hash(d.state.Draft) {
		return Event{}, refuse(CodeStale, "the reply or the post has changed since you read it; read it again")
	}
	return Event{Kind: Approved, Hash: c.Hash, Until: d.now.Add(ApprovalTerm)}, nil
}

// SendBack says no, and why.
type SendBack struct{ Why string }

func (c SendBack) decide(d *decision) (Event, error) {
	if err := d.approver(); err != nil {
		return Event{}, err
	}
	if strings.TrimSpace(c.Why) == "" {
		return Event{}, refuse(CodeInput, "say what should be different")
	}
	return Event{Kind: SentBack, Text: c.Why}, nil
}

func (d *decision) approver() error {
	if err := d.may(identity.Approve); err != nil {
		return err
	}
	if d.state.Submitted == "" || d.state.Draft == nil {
		return refuse(CodeState, "nothing waits for approval")
	}
	if d.state.Draft.Author == d.by.Actor() {
		return refuse(CodeForbidden, "somebody else has to approve what you wrote")
	}
	return nil
}

// Send publishes the draft with this hash: the text the person saw when they
// pressed send. Only a person can.
type Send struct{ Hash string }

func (c Send) decide(d *decision) (Event, error) {
	draft, err := d.leave()
	if err != nil {
		return Event{}, err
	}
	if c.Hash != d.state.Hash(draft) {
		return Event{}, refuse(CodeStale, "the reply or the post has changed since you read it; read it again")
	}
	return Event{
		Kind: SendAsked, Draft: draft, Hash: c.Hash, Attempt: rand.Text(), Until: d.now.Add(d.hold),
	}, nil
}

// leave wants a draft that may be published by the actor now.
func (d *decision) leave() (*Draft, error) {
	if err := d.work(); err != nil {
		return nil, err
	}
	if err := d.may(identity.Send); err != nil {
		return nil, err
	}
	if !d.by.Person() {
		return nil, refuse(CodeForbidden, "only a person can send a reply")
	}
	draft, err := d.ready()
	if err != nil {
		return nil, err
	}
	hash := d.state.Hash(draft)
	if a := d.state.Approval; a != nil && a.Hash == hash {
		return draft, nil
	}
	if needs, why := d.rules.Needs(&d.state, draft, d.by); needs {
		return nil, refuse(CodeApproval, "a second person has to approve this reply first (%s)", why)
	}
	return draft, nil
}

// StopSend takes a reply back that the replier has not begun to publish.
type StopSend struct{}

func (StopSend) decide(d *decision) (Event, error) {
	if err := d.may(identity.Send); err != nil {
		return Event{}, err
	}
	o := d.state.Outgoing
	switch {
	case o == nil:
		return Event{}, refuse(CodeState, "no reply is on its way")
	case o.Calling || o.Unsure:
		return Event{}, refuse(CodeState, "too late: the reply has left")
	}
	return Event{Kind: SendStopped, Attempt: o.Attempt}, nil
}

// MarkPosted records that the draft was published by hand at URL.
type MarkPosted struct{ Hash, URL string }

func (c MarkPosted) decide(d *decision) (Event, error) {
	if err := address(c.URL); err != nil {
		return Event{}, err
	}
	draft, err := d.leave()
	if err != nil {
		return Event{}, err
	}
	if c.Hash != d.state.Hash(draft) {
		return Event{}, refuse(CodeStale, "the reply or the post has changed since you read it; read it again")
	}
	return Event{Kind: Posted, Draft: draft, URL: c.URL}, nil
}

// address wants the link of a reply, one that people can follow.
func address(link string) error {
	if u, err := url.Parse(link); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return refuse(CodeInput, "url: want the address of the published reply, https://…")
	}
	return nil
}

// Settle says what became of a reply of which nobody was sure: it is out at
// URL, or with an empty URL it is not.
type Settle struct{ URL string }

func (c Settle) decide(d *decision) (Event, error) {
	if err := d.may(identity.Send); err != nil {
		return Event{}, err
	}
	o := d.state.Outgoing
	if o == nil || !o.Unsure {
		return Event{}, refuse(CodeState, "there is no reply in doubt")
	}
	if c.URL == "" {
		return Event{Kind: SendFailed, Attempt: o.Attempt, Text: "looked for by hand: not published"}, nil
	}
	if err := address(c.URL); err != nil {
		return Event{}, err
	}
	return Event{Kind: Sent, Attempt: o.Attempt, URL: c.URL}, nil
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

// Snooze hides the case until a time.
type Snooze struct{ Until time.Time }

func (c Snooze) decide(d *decision) (Event, error) {
	if err := d.workOpen(); err != nil {
		return Event{}, err
	}
	if !c.Until.After(d.now) || c.Until.After(d.now.AddDate(0, 3, 0)) {
		return Event{}, refuse(CodeInput, "until: want a time within the next three months")
	}
	return Event{Kind: Snoozed, Until: c.Until.UTC().Truncate(time.Millisecond)}, nil
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

// Close ends the case.
type Close struct{ Outcome, Why string }

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
	e.Outcome, e.Text = c.Outcome, c.Why
	return e, err
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
