package casework

import (
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// Status is where a case stands.
type Status string

const (
	New              Status = "new"               // 未対応
	InHand           Status = "in_hand"           // 対応中
	AwaitingApproval Status = "awaiting_approval" // 承認待ち
	StatusSentBack   Status = "sent_back"         // 差戻し
	WaitingCustomer  Status = "waiting_customer"  // お客様返答待ち: our clock stops
	OtherDepartment  Status = "other_department"  // 二次対応中
	Watching         Status = "watching"          // 静観
	Done             Status = "done"              // 完了
)

// Statuses lists all states in the order of work.
var Statuses = []Status{New, InHand, AwaitingApproval, StatusSentBack, WaitingCustomer, OtherDepartment, Watching, Done}

// How long things hold.
const (
	ClaimTerm    = 30 * time.Minute // without any event of its holder
	ApprovalTerm = 24 * time.Hour
	// SendingTerm bounds a call of a platform. Before it ends nobody else
	// calls; after it the platform is asked whether the reply is there.
	SendingTerm = 2 * time.Minute
)

// State is a case as it stands after its events.
type State struct {
	ID     mention.ID
	Number uint64 // the sequence of the first event: short enough to read out
	Last   uint64 // sequence of the last event: what the next append expects

	Mention mention.Mention
	Verdict mention.Verdict
	Tagged  []uint64 // sequences in TAGGED that hold this mention's texts
	Triage  Triage

	Status     Status
	Holder     string
	ClaimUntil time.Time
	Team       string // the other department
	Draft      *Draft
	Submitted  string // hash that asks for approval; empty when none does
	Approval   *Approval
	Outgoing   *Outgoing // the reply on its way; nil when none is
	Replies    []Reply
	Notes      []Note
	Promise    *Promise
	Snoozed    time.Time
	Outcome    string // how it was closed
	Merged     mention.ID
	Absorbed   []mention.ID
	Escalated  bool // by hand
	Warned     bool // of the deadline
	Redacted   bool
	// ReadOnly names a kind of event that this program doesn't know: the case
	// is shown, and no command is taken.
	ReadOnly Kind

	History []Event
}

// Approval binds a yes to one text, target and account.
type Approval struct {
	By    string
	Hash  string
	At    time.Time
	Until time.Time
}

// Outgoing is a reply that a person sent and the platform has not confirmed.
type Outgoing struct {
	Attempt string
	Draft   Draft
	By      string
	AskedAt time.Time
	NotTill time.Time // may be stopped until then
	// Calling is set while the platform is called, until CallUntil.
	Calling    bool
	CallingSeq uint64
	CallSince  time.Time
	CallUntil  time.Time
	// Unsure tells that nobody knows whether it is out, and Why.
	Unsure bool
	Why    string
}

// Reply is an answer that is out.
type Reply struct {
	Draft  Draft
	By     string
	At     time.Time
	URL    string
	Native string
	ByHand bool
}

// Note is a remark among staff.
type Note struct {
	By    string
	At    time.Time
	Text  string
	Files []File
}

// Promise is a date by which we report.
type Promise struct {
	By       string
	Made     time.Time
	Due      time.Time
	Every    time.Duration
	HalfTold bool
	DueTold  bool
}

// Fold returns the state after events, which are in order and of one case. It
// is total: what it does not understand makes the state read-only.
func Fold(id mention.ID, events []Event) State {
	s := State{ID: id, Status: New}
	for i := range events {
		s.apply(&events[i])
	}
	return s
}

func (s *State) apply(e *Event) {
	if e.Kind == Redacted || e.Kind == Archived {
		id, number := s.ID, e.Number
		*s = State{ID: id, Status: New}
		for i := range e.History {
			s.apply(&e.History[i])
		}
		s.Number, s.Redacted = number, e.Kind == Redacted
		if e.Mention != nil {
			s.Mention = *e.Mention
		}
	}
	if s.Number == 0 {
		s.Number = e.Seq
	}
	s.Last = max(s.Last, e.Seq)
	s.History = append(s.History, *e)
	s.renew(e)
	s.happen(e)
}

// renew keeps the claim of whoever acts, and gives it to whoever acts on a case
// that nobody holds.
func (s *State) renew(e *Event) {
	if !person(e.Actor) {
		return
	}
	switch e.Kind {
	case Claimed, Drafted, Submitted, SendAsked, SendStopped:
		s.Holder, s.ClaimUntil = e.Actor, e.At.Add(ClaimTerm)
	default:
		if s.Holder == e.Actor {
			s.ClaimUntil = e.At.Add(ClaimTerm)
		}
	}
}

func person(actor string) bool { return actor != "" && actor != "system" }

func (s *State) free() { s.Holder, s.ClaimUntil = "", time.Time{} }

func (s *State) happen(e *Event) {
	switch e.Kind {
	case Opened, Revised:
		s.revise(e)
	case Claimed:
		if s.Status == New || s.Status == Watching || s.Status == Done {
			s.Status = InHand
		}
	case Released, ClaimLapsed:
		s.free()
		if s.Status == InHand && s.Draft == nil && len(s.Replies) == 0 {
			s.Status = New
		}
	case Drafted:
		s.Draft, s.Submitted, s.Approval = e.Draft, "", nil
		s.Status = InHand
	case Submitted:
		s.Submitted, s.Status = e.Hash, AwaitingApproval
	case Approved:
		s.Approval = &Approval{By: e.Actor, Hash: e.Hash, At: e.At, Until: e.Until}
		s.Submitted, s.Status = "", InHand
	case SentBack:
		s.Submitted, s.Approval, s.Status = "", nil, StatusSentBack
	case ApprovalLost:
		s.Submitted, s.Approval = "", nil
		if s.Status == AwaitingApproval {
			s.Status = InHand
		}
	case SendAsked, SendStopped, Sending, Sent, SendFailed, SendUnsure, Posted:
		s.send(e)
	case Noted:
		s.Notes = append(s.Notes, Note{By: e.Actor, At: e.At, Text: e.Text, Files: e.Files})
	case HandedOver:
		s.free()
		s.Team, s.Status = e.To, OtherDepartment
	case Returned:
		s.Team, s.Status = "", New
	case Snoozed:
		s.Snoozed = e.Until
	case Woke:
		s.Snoozed = time.Time{}
	case Watched:
		s.free()
		s.Status, s.Triage.Disposition = Watching, mention.Watch
	case Excluded:
		s.close("not_for_us")
		s.Triage.Disposition = mention.NotForUs
	case Closed:
		s.close(e.Outcome)
	case Reopened:
		s.Status, s.Outcome, s.Merged, s.Snoozed = New, "", "", time.Time{}
		s.Triage.Disposition = mention.Answer
	case MergedInto:
		s.close("merged")
		s.Merged = mention.ID(e.To)
	case Absorbed:
		s.Absorbed = append(s.Absorbed, mention.ID(e.To))
	case Escalated:
		s.Escalated = true
	case Promised:
		s.Promise = &Promise{By: e.Actor, Made: e.At, Due: e.Until, Every: e.Every}
	case PromiseDue:
		s.promiseTold(e)
	case DeadlineNear:
		s.Warned = true
	case Redacted, Archived:
	default:
		if s.ReadOnly == "" {
			s.ReadOnly = e.Kind
		}
	}
}

func (s *State) close(outcome string) {
	s.free()
	s.Status, s.Outcome, s.Promise, s.Snoozed = Done, outcome, nil, time.Time{}
	s.Submitted, s.Approval = "", nil
}

// revise takes a new state of the post or of its verdict. What was approved for
// another text of the post is approved no longer; a page is never withdrawn.
func (s *State) revise(e *Event) {
	paged := s.Verdict.Page
	if e.Mention != nil {
		if e.Kind == Revised && e.Mention.Revision.Hash != s.Mention.Revision.Hash {
			s.Approval, s.Submitted = nil, ""
			if s.Status == AwaitingApproval {
				s.Status = InHand
			}
		}
		s.Mention = *e.Mention
	}
	if e.Verdict != nil {
		s.Verdict = *e.Verdict
		if paged && !s.Verdict.Page {
			s.Verdict.Page = true
		}
	}
	disposition := s.Triage.Disposition
	s.Triage = e.Triage
	if e.Kind == Revised && disposition != "" {
		s.Triage.Disposition = disposition // people's word stands
	}
	if e.Tagged > 0 && !slices.Contains(s.Tagged, e.Tagged) {
		s.Tagged = append(s.Tagged, e.Tagged)
	}
	if e.Kind == Opened && s.Triage.Disposition == mention.Watch {
		s.Status = Watching
	}
}

func (s *State) send(e *Event) {
	switch e.Kind {
	case SendAsked:
		s.Outgoing = &Outgoing{Attempt: e.Attempt, Draft: *e.Draft, By: e.Actor, AskedAt: e.At, NotTill: e.Until}
		s.Status = InHand
	case SendStopped:
		s.Outgoing = nil
	case Sending:
		if s.Outgoing != nil {
			s.Outgoing.Calling, s.Outgoing.CallSince, s.Outgoing.CallUntil = true, e.At, e.Until
			s.Outgoing.CallingSeq, s.Outgoing.Unsure = e.Seq, false
		}
	case SendUnsure:
		if s.Outgoing != nil {
			s.Outgoing.Calling, s.Outgoing.Unsure, s.Outgoing.Why = false, true, e.Text
		}
	case SendFailed:
		s.Outgoing = nil
		if s.Status == Done {
			s.Status = InHand
		}
	case Sent:
		if s.Outgoing != nil {
			s.replied(Reply{Draft: s.Outgoing.Draft, By: s.Outgoing.By, At: e.At, URL: e.URL, Native: e.Native})
		}
	case Posted:
		if e.Draft != nil {
			s.replied(Reply{Draft: *e.Draft, By: e.Actor, At: e.At, URL: e.URL, Native: e.Native, ByHand: true})
		}
	}
}

func (s *State) replied(r Reply) {
	s.Replies = append(s.Replies, r)
	s.Outgoing, s.Draft, s.Submitted, s.Approval, s.Warned = nil, nil, "", nil, true
	switch r.Draft.Kind {
	case Final:
		s.close("solved")
	case Interim:
		s.Status = InHand
	default:
		s.free()
		s.Status = WaitingCustomer
	}
}

func (s *State) promiseTold(e *Event) {
	if s.Promise == nil {
		return
	}
	p := *s.Promise
	p.HalfTold = true
	if e.Level == "due" {
		p.DueTold = true
		if p.Every > 0 {
			p = Promise{By: p.By, Made: p.Due, Due: p.Due.Add(p.Every), Every: p.Every}
		}
	}
	s.Promise = &p
}

// At returns s with what time alone decides at now: a claim that has run out
// holds nobody, a snooze that is over hides nothing.
func (s State) At(now time.Time) State {
	if s.Holder != "" && !now.Before(s.ClaimUntil) {
		s.Holder, s.ClaimUntil = "", time.Time{}
	}
	if s.Approval != nil && !now.Before(s.Approval.Until) {
		s.Approval = nil
	}
	if !now.Before(s.Snoozed) {
		s.Snoozed = time.Time{}
	}
	return s
}

// Open tells whether the case waits for somebody of ours at now.
func (s *State) Open(now time.Time) bool {
	switch s.Status {
	case New:
		return s.Triage.Disposition == mention.Answer && !now.Before(s.Snoozed)
	case InHand, AwaitingApproval, StatusSentBack, OtherDepartment:
		return !now.Before(s.Snoozed)
	}
	return s.Outgoing != nil && s.Outgoing.Unsure
}

// DueAt is the deadline of the first answer, or zero when none runs: it was
// given, isn't wanted, or waits for the customer.
func (s *State) DueAt() time.Time {
	if p := s.Promise; p != nil {
		return p.Due
	}
	if len(s.Replies) > 0 || s.Triage.Disposition != mention.Answer {
		return time.Time{}
	}
	switch s.Status {
	case Done, Watching, WaitingCustomer:
		return time.Time{}
	}
	return s.Triage.DueAt
}
