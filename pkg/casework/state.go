package casework

import (
	"cmp"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
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
	Last   uint64 // sequence of the last event: what the next append expects; 0 for an archived case

	Mention mention.Mention
	Verdict mention.Verdict
	Tagged  []uint64 // sequences in TAGGED that hold this mention's texts
	Triage  Triage
	// Judgements are what people said of the labels, the one in force last; see
	// [State.Judged] and [State.InForce].
	Judgements []Judgement
	// Decided tells that a person has set the disposition: verdicts that come
	// later leave it alone.
	Decided bool

	Status     Status
	Holder     string
	ClaimUntil time.Time
	// Assignee is whose case it is, also while they don't work on it. Whoever
	// claims it has it.
	Assignee  string
	Passed    []string // who passed it on; routes don't give it to them again
	Team      string   // the other department
	Tags      []string // in the order they were put on
	Links     []Link
	ResolveAt time.Time // by when it is to be done; moves on by the time we waited for the customer
	PausedAt  time.Time // since when we wait for the customer
	Pauses    []Pause   // when we waited before
	DoneAt    time.Time // since when it is closed
	Draft     *Draft
	Submitted string // hash that asks for approval; empty when none does
	// AskedBefore is the hash that asked for approval until the post of the case was
	// edited: whoever approves the draft now does so anew. Empty when none did.
	AskedBefore string
	Approval    *Approval
	Outgoing    *Outgoing // the reply on its way; nil when none is
	ByHand      *Taken    // the text that somebody is posting by hand; nil when nobody is
	Replies     []Reply
	Looked      time.Time // when it was last time to see how the replies fare
	Answers     []Answer  // to our replies
	// Asked is by when what the author wrote to our reply wants an answer; nil when
	// it has one or wants none.
	Asked   *Triage
	Notes   []Note
	Promise *Promise
	Snoozed time.Time
	// WakeOnPost tells that a new post of the author ends the snooze.
	WakeOnPost bool
	Outcome    string // how it was closed
	Merged     mention.ID
	Absorbed   []mention.ID
	Escalated  bool // by hand
	Care       Care // what is known, decided and done besides the reply
	Warned     bool // of the deadline of the first answer
	WarnedDone bool // of the one of the end
	Redacted   bool
	// ReadOnly names a kind of event that this program doesn't know: the case
	// is shown, and no command is taken.
	ReadOnly Kind

	History []Event
}

// Pause is a time in which we waited for the customer.
type Pause struct{ From, To time.Time }

// Approval binds a yes to one text, target and account.
type Approval struct {
	By    string
	Hash  string
	At    time.Time
	Until time.Time
	// Emergency tells that nobody else has looked at it.
	Emergency bool
}

// Outgoing is a reply that a person sent and the platform has not confirmed.
type Outgoing struct {
	Attempt string
	Draft   Draft
	Hash    string // of what was sent, as whoever sent it saw it
	By      string
	AskedAt time.Time
	NotTill time.Time // the replier leaves it until then, so that it can be stopped
	// Calling is set while the platform is called, until CallUntil.
	Calling    bool
	CallingSeq uint64
	CallSince  time.Time // the first call of this attempt
	CallUntil  time.Time
	// Unsure tells that nobody knows whether it is out; Reason, Why and Trouble
	// are those of the event that says so.
	Unsure      bool
	Reason, Why string
	Trouble     outbound.Trouble
}

// Reply is an answer that is out.
type Reply struct {
	Draft  Draft
	By     string
	At     time.Time
	URL    string
	Native string
	ByHand bool
	// Follow tells that the platform can be asked how it fares; the fields below
	// say what it answered last.
	Follow  bool
	Gone    bool   // no longer to be seen
	Reads   string // how it reads there, if not like the draft; see [SameText]
	Metrics mention.Metrics
}

// Taken is a text that a person took to post it by hand.
type Taken struct {
	Draft Draft
	By    string
	At    time.Time
	Until time.Time // it is looked for on the platform until then
}

// Answer is a mention that answers a reply of ours.
type Answer struct {
	ID       mention.ID
	To       string // the platform's id of our reply
	At       time.Time
	ByAuthor bool // by whom we answered
	// Risks that it carries, of an answer by the author.
	Risks []mention.Category
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
	NearTold bool
	DueTold  bool
	// Ahead tells that it was made with a reply that is still being written:
	// that reply announces it, the one after it keeps it.
	Ahead bool
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
	switch e.Kind {
	case Redacted, Archived, Restored:
		s.replace(e)
	}
	s.take(e)
}

// replace starts again with what e says happened before it.
func (s *State) replace(e *Event) {
	*s = State{ID: s.ID, Status: New, Number: e.Number}
	for i := range e.History {
		s.take(&e.History[i])
	}
	if s.Mention.ID == "" && e.Mention != nil {
		s.Mention = *e.Mention
	}
}

func (s *State) take(e *Event) {
	if s.Number == 0 {
		s.Number = e.Seq
	}
	s.Last = max(s.Last, e.Seq)
	if e.Kind != Archived && e.Kind != Restored { // where a case is kept is no part of it
		s.History = append(s.History, *e)
		s.History[len(s.History)-1].History = nil // it stands before e already
	}
	s.renew(e)
	s.happen(e)
	if s.Status != InHand || s.Draft == nil || s.Approval != nil || s.Outgoing != nil {
		s.AskedBefore = ""
	}
	if s.Status != Done {
		s.Outcome, s.Merged = "", ""
	}
	if s.Status != OtherDepartment {
		s.Team = ""
	}
	switch waits := s.Status == WaitingCustomer; {
	case waits && s.PausedAt.IsZero():
		s.PausedAt = e.At
	case !waits && !s.PausedAt.IsZero():
		s.Pauses = append(slices.Clip(s.Pauses), Pause{s.PausedAt, e.At})
		s.PausedAt = time.Time{}
	}
	if s.Status != Done {
		s.DoneAt = time.Time{}
	} else if s.DoneAt.IsZero() {
		s.DoneAt = e.At
	}
}

// renew keeps the claim of whoever acts, and gives it to whoever works on a
// case that nobody holds. Only a claim takes it from somebody.
func (s *State) renew(e *Event) {
	if !person(e.Actor) {
		return
	}
	held := s.Holder != "" && e.At.Before(s.ClaimUntil)
	works := slices.Contains([]Kind{Drafted, Submitted, SendAsked, SendStopped, ByHand}, e.Kind)
	if e.Kind == Claimed || s.Holder == e.Actor || works && !held {
		s.Holder, s.ClaimUntil = e.Actor, e.At.Add(ClaimTerm)
	}
}

func person(actor string) bool { return actor != "" && actor != "system" }

// free leaves the case to nobody.
func (s *State) free() { s.lapse(); s.Assignee = "" }

// lapse ends the claim; the case stays whose it is.
func (s *State) lapse() { s.Holder, s.ClaimUntil = "", time.Time{} }

func (s *State) happen(e *Event) {
	switch e.Kind {
	case Opened, Revised:
		s.revise(e)
	case Claimed:
		if s.Status == New || s.Status == Watching || s.Status == Done {
			s.Status = InHand
		}
		if s.Assignee != e.Actor {
			s.Assignee = ""
		}
	case Released, ClaimLapsed, PassedOn:
		s.leave(e)
	case Assigned:
		if s.Holder != e.To {
			s.lapse()
		}
		s.Assignee = e.To
	case Retagged, Linked, Unlinked, Revealed:
		s.remark(e)
	case Undone:
		s.undo(e.To)
	case Drafted:
		s.resume(e)
		s.Draft, s.Submitted, s.AskedBefore, s.Approval, s.ByHand = e.Draft, "", "", nil, nil
		s.Status = InHand
		s.decide(mention.Answer)
	case Submitted:
		s.Submitted, s.Status = e.Hash, AwaitingApproval
	case Approved:
		s.Approval = &Approval{By: e.Actor, Hash: e.Hash, At: e.At, Until: e.Until, Emergency: e.Level == EmergencyLevel}
		if s.Approval.Emergency {
			s.Care.Unreviewed = &Emergency{By: e.Actor, At: e.At, Why: e.Text}
		}
		s.Submitted, s.Status = "", InHand
	case SentBack:
		s.Submitted, s.Approval, s.Status = "", nil, StatusSentBack
	case ApprovalLost:
		s.unapprove()
	case SendAsked, SendStopped, SendHastened, Sending, Sent, SendFailed, SendUnsure, ByHand, Posted:
		s.send(e)
	case LookDue:
		s.Looked = e.At
	case Looked:
		s.look(e)
	case Answered:
		s.answered(e)
	case Noted:
		s.Notes = append(s.Notes, Note{By: e.Actor, At: e.At, Text: e.Text, Files: e.Files})
	case HandedOver:
		s.free()
		s.Team, s.Status, s.Submitted = e.To, OtherDepartment, ""
	case Returned:
		s.Team, s.Status = "", New
	case Snoozed:
		s.Snoozed, s.WakeOnPost = e.Until, e.Level == OnPost
	case Woke:
		s.Snoozed, s.WakeOnPost = time.Time{}, false
	case Watched:
		s.free()
		s.Status, s.Submitted = Watching, ""
		s.decide(mention.Watch)
	case Excluded:
		s.close("not_for_us")
		s.decide(mention.NotForUs)
	case Closed:
		s.Care.measure(e)
		s.close(e.Outcome)
	case FactsConfirmed, Measured, MeasureDone, Ticked, Unticked, HarassmentDecided, ApprovalReviewed, Wished, Unwished:
		s.Care.take(e)
	case AuthorWrote:
		s.authorWrote(e)
	case Reopened:
		s.resume(e)
		s.Snoozed, s.WakeOnPost = time.Time{}, false
		s.decide(mention.Answer)
		switch s.Status {
		case Done, Watching, WaitingCustomer:
			s.Status = New
			if s.Holder != "" || s.Draft != nil {
				s.Status = InHand
			}
		}
	case MergedInto:
		s.close("merged")
		s.Merged = mention.ID(e.To)
	case Judged, Unjudged:
		s.judge(e)
	case Absorbed:
		s.Absorbed = append(s.Absorbed, mention.ID(e.To))
	case Escalated:
		s.Escalated = true
	case Promised:
		s.Promise = &Promise{By: e.Actor, Made: e.At, Due: e.Until, Every: e.Every, Ahead: s.Draft != nil}
	case PromiseDue:
		s.promiseTold(e)
	case PromiseKept:
		if p := s.Promise; p != nil && p.Every > 0 {
			next := p.next(e.At)
			s.Promise = &next
		} else {
			s.Promise = nil
		}
	case PromiseEnded:
		s.Promise = nil
	case DeadlineNear:
		if e.Level == ToResolve {
			s.WarnedDone = true
		} else {
			s.Warned = true
		}
	case Redacted:
		s.Redacted, s.Outgoing, s.ByHand = true, nil, nil // there is nothing left to send or to look for
	case Archived, Restored:
	default:
		if s.ReadOnly == "" {
			s.ReadOnly = e.Kind
		}
	}
}

// decide notes a person's word on what the mention wants of us.
func (s *State) decide(d mention.Disposition) { s.Triage.Disposition, s.Decided = d, true }

// untouched is where a case stands on which nobody works.
func (s *State) untouched() Status {
	if s.Triage.Disposition == mention.Watch {
		return Watching
	}
	return New
}

func (s *State) close(outcome string) {
	s.free()
	s.Status, s.Outcome, s.Promise, s.Snoozed, s.WakeOnPost = Done, outcome, nil, time.Time{}, false
	s.Submitted, s.Approval, s.ByHand, s.Asked = "", nil, nil, nil
}

// revise takes a new state of the post or of its verdict. What was approved, or
// was about to leave, for another text of the post waits for a person again; a
// page is never withdrawn, and the clock runs from the first sight.
func (s *State) revise(e *Event) {
	was := *s
	if e.Mention != nil {
		s.Mention = *e.Mention
		if !was.Mention.SeenAt.IsZero() {
			s.Mention.SeenAt = was.Mention.SeenAt
		}
		if e.Kind == Revised && s.Mention.Revision.Hash != was.Mention.Revision.Hash {
			asked := s.Asks()
			s.unapprove()
			if !s.Mention.Deleted {
				s.AskedBefore = asked
			}
			s.ByHand = nil
			if s.Outgoing != nil && !s.Outgoing.Calling && !s.Outgoing.Unsure {
				s.Outgoing = nil
			}
		}
	}
	if e.Verdict != nil {
		s.Verdict = *e.Verdict
		if was.Verdict.Page && !s.Verdict.Page {
			s.Verdict.Page, s.Verdict.PageReason = true, was.Verdict.PageReason
		}
	}
	s.Triage = e.Triage
	if s.Decided {
		s.Triage.Disposition = was.Triage.Disposition
	}
	if old := was.Triage.DueAt; !old.IsZero() && (s.Triage.DueAt.IsZero() || old.Before(s.Triage.DueAt)) {
		s.Triage.DueAt, s.Triage.WarnAt = old, was.Triage.WarnAt
	}
	if t := s.Triage.ResolveAt; !t.IsZero() && (was.ResolveAt.IsZero() || t.Before(was.ResolveAt)) {
		s.ResolveAt = t
	}
	if e.Tagged > 0 && !slices.Contains(s.Tagged, e.Tagged) {
		s.Tagged = append(s.Tagged, e.Tagged)
	}
	if s.Status == New || s.Status == Watching {
		s.Status = s.untouched()
	}
}

// unapprove withdraws an approval, and the wish for one.
func (s *State) unapprove() {
	s.Submitted, s.AskedBefore, s.Approval = "", "", nil
	if s.Status == AwaitingApproval {
		s.Status = InHand
	}
}

func (s *State) send(e *Event) {
	switch e.Kind {
	case SendAsked:
		if e.Draft != nil {
			s.Outgoing = &Outgoing{Attempt: e.Attempt, Draft: *e.Draft, Hash: e.Hash, By: e.Actor, AskedAt: e.At, NotTill: e.Until}
			s.Status, s.Submitted, s.ByHand = InHand, "", nil
		}
	case SendStopped:
		s.Outgoing = nil
	case SendHastened:
		if s.Outgoing != nil {
			s.Outgoing.NotTill = e.At
		}
	case Sending:
		if s.Outgoing != nil {
			s.Outgoing.Calling, s.Outgoing.CallUntil = true, e.Until
			s.Outgoing.CallingSeq, s.Outgoing.Unsure = e.Seq, false
			if s.Outgoing.CallSince.IsZero() {
				s.Outgoing.CallSince = e.At
			}
		}
	case SendUnsure:
		if s.Outgoing != nil {
			s.Outgoing.Calling, s.Outgoing.Unsure = false, true
			s.Outgoing.Reason, s.Outgoing.Why, s.Outgoing.Trouble = e.Reason, e.Text, e.Trouble
		}
	case SendFailed:
		s.Outgoing = nil
	case Sent:
		if s.Outgoing != nil {
			s.replied(Reply{Draft: s.Outgoing.Draft, By: s.Outgoing.By, At: e.At, URL: e.URL, Native: e.Native, Follow: e.Follow})
		}
	case ByHand:
		if e.Draft != nil {
			s.ByHand = &Taken{Draft: *e.Draft, By: e.Actor, At: e.At, Until: e.Until}
			s.Status = InHand
		}
	case Posted:
		if e.Draft != nil {
			by := e.Actor
			if s.ByHand != nil && !person(by) {
				by = s.ByHand.By
			}
			s.replied(Reply{Draft: *e.Draft, By: by, At: e.At, URL: e.URL, Native: e.Native, ByHand: true, Follow: e.Follow, Reads: e.Text})
		}
	}
}

func (s *State) replied(r Reply) {
	s.Replies = append(s.Replies, r)
	s.Outgoing, s.ByHand, s.Draft, s.Submitted, s.Approval, s.Asked = nil, nil, nil, "", nil, nil
	s.report(&r)
	s.Care.Reaction = ""
	switch {
	case r.Draft.Kind == Final && !r.Draft.Stays:
		s.close("solved")
	case r.Draft.Kind == Final || r.Draft.Kind == Interim:
		s.Status = InHand
	default:
		s.free()
		s.Status = WaitingCustomer
	}
}

// report keeps the promise that a reply was owed by, unless the reply is the
// one that announced it.
func (s *State) report(r *Reply) {
	if s.Promise == nil {
		return
	}
	p := *s.Promise
	switch {
	case p.Ahead:
		p.Ahead = false
	case p.Every > 0 && r.Draft.Kind == Interim:
		p = p.next(r.At)
	default:
		s.Promise = nil
		return
	}
	s.Promise = &p
}

func (s *State) promiseTold(e *Event) {
	if s.Promise == nil {
		return
	}
	p := *s.Promise
	p.HalfTold = true
	if e.Level != "half" {
		p.NearTold = true
	}
	if e.Level == "due" {
		p.DueTold = true
		if p.Every > 0 {
			// Of periods that passed unseen, only the last one counts.
			p = p.next(p.Due.Add(max(e.At.Sub(p.Due), 0) / p.Every * p.Every))
		}
	}
	s.Promise = &p
}

// next is a repeated promise from its next beginning on.
func (p Promise) next(made time.Time) Promise {
	return Promise{By: p.By, Made: made, Due: made.Add(p.Every), Every: p.Every}
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
	if s.ByHand != nil && !now.Before(s.ByHand.Until) {
		s.ByHand = nil
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

// DueAt is the deadline that runs: of a report we promised, of the first answer
// or, once that was given, of the next one that the author asked for or of the end. It is zero when none does: nothing is
// wanted any more, or we wait for the customer.
func (s *State) DueAt() time.Time {
	if p := s.Promise; p != nil {
		return p.Due
	}
	if s.Triage.Disposition != mention.Answer {
		return time.Time{}
	}
	switch s.Status {
	case Done, Watching, WaitingCustomer:
		return time.Time{}
	}
	if s.Asked != nil {
		return s.Asked.DueAt
	}
	if len(s.Replies) > 0 {
		return s.ResolveAt
	}
	return s.Triage.DueAt
}

// Asks is the hash with which the draft asked for approval and waits for it, also
// if its post was edited since; empty when it does not. It is the draft's hash now
// unless that happened.
func (s *State) Asks() string { return cmp.Or(s.Submitted, s.AskedBefore) }

// Stands is where the case stands for people: a draft that asked for approval waits
// for it also when its post was edited since.
func (s *State) Stands() Status {
	if s.AskedBefore != "" {
		return AwaitingApproval
	}
	return s.Status
}

// PostAt is the case's post as it was at the event seq of the stream, which may be
// another case's; false if nobody knows any more.
func (s *State) PostAt(seq uint64) (mention.Mention, bool) {
	var was *mention.Mention
	for i := range s.History {
		if e := &s.History[i]; e.Mention != nil && e.Seq < seq && (e.Kind == Opened || e.Kind == Revised) {
			was = e.Mention
		}
	}
	if was == nil || s.Redacted {
		return mention.Mention{}, false
	}
	return *was, true
}

// AskedAt is the event by which the draft asked last for approval.
func (s *State) AskedAt() (Event, bool) {
	for _, e := range slices.Backward(s.History) {
		if e.Kind == Submitted {
			return e, true
		}
	}
	return Event{}, false
}

// Owner is who works on the case or, when nobody does, whose it is.
func (s *State) Owner() string { return cmp.Or(s.Holder, s.Assignee) }
