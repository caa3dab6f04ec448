// Package casework is what people do about mentions. A case is a mention that
// somebody touched; it is nothing but the fold of its events, which are only
// ever appended. The package holds the commands that people give, the events
// they become, the fold, the rules of triage, time, approval and templates.
//
// Everything but [Store] is pure: same events, same state.
package casework

import (
	"time"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

// Kind is what an event says happened.
type Kind string

const (
	Opened       Kind = "opened"       // somebody touched the mention; carries it and its verdict
	Claimed      Kind = "claimed"      // the actor works on it until Until
	Released     Kind = "released"     // the holder gave it back
	ClaimLapsed  Kind = "claim_lapsed" // the holder did nothing for too long
	Drafted      Kind = "drafted"      // a reply was written or changed
	Submitted    Kind = "submitted"    // the draft asks for approval
	Approved     Kind = "approved"     // bound to Hash, until Until
	SentBack     Kind = "sent_back"    // not approved; Text says why
	ApprovalLost Kind = "approval_lost"
	SendAsked    Kind = "send_asked"   // a person pressed send; the reply leaves at Until at the earliest
	SendStopped  Kind = "send_stopped" // a person took it back in time
	Sending      Kind = "sending"      // the platform is being called, until Until at the longest
	Sent         Kind = "sent"         // published at URL
	SendFailed   Kind = "send_failed"  // certainly not published; Text says why
	SendUnsure   Kind = "send_unsure"  // perhaps published: a person must look
	ByHand       Kind = "by_hand"      // the actor took the text to post it by hand; looked for until Until
	Posted       Kind = "posted"       // published by hand at URL
	LookDue      Kind = "look_due"     // it is time to see how what we published fares
	Looked       Kind = "looked"       // the platform shows our reply Native, or without it the post, as in Mention
	Answered     Kind = "answered"     // the mention To of somebody else answers our reply
	Noted        Kind = "noted"
	HandedOver   Kind = "handed_over" // To another person or department
	Returned     Kind = "returned"    // back from the other department
	Snoozed      Kind = "snoozed"     // until Until
	Woke         Kind = "woke"
	Watched      Kind = "watched"
	Excluded     Kind = "excluded" // not for us
	Closed       Kind = "closed"
	Reopened     Kind = "reopened"
	Revised      Kind = "revised" // the post was edited or deleted, or judged again
	MergedInto   Kind = "merged_into"
	Absorbed     Kind = "absorbed"
	Escalated    Kind = "escalated" // by hand
	Promised     Kind = "promised"  // we report by Until
	PromiseDue   Kind = "promise_due"
	PromiseKept  Kind = "promise_kept"  // reported otherwise than by a reply; a repeated one goes on
	PromiseEnded Kind = "promise_ended" // no report is owed any more; Text says why
	DeadlineNear Kind = "deadline_warned"
	Redacted     Kind = "redacted"  // replaces everything before it, without outsiders' words
	Judged       Kind = "judged"    // a person said what the labels are
	Unjudged     Kind = "unjudged"  // the last judgement was taken back
	Assigned     Kind = "assigned"  // To works on it next, given by hand or by a route; nobody if empty
	PassedOn     Kind = "passed_on" // whoever has it gives it to a colleague, and need not say why
	Retagged     Kind = "retagged"  // Tags put on, Untags taken off
	Linked       Kind = "linked"    // the author also wrote the post of case To; Text says how that is known
	Unlinked     Kind = "unlinked"  // that link was taken back
	Revealed     Kind = "revealed"  // somebody looked at personal data that is masked
	Undone       Kind = "undone"    // the event with id To was taken back
	// What is known, decided and done besides the reply.
	FactsConfirmed    Kind = "facts_confirmed"    // Text says which; a full apology wants it
	Measured          Kind = "measured"           // Measure keeps the cause from coming back
	MeasureDone       Kind = "measure_done"       // To names the measure, Text says how
	Ticked            Kind = "ticked"             // step Level of playbook To was done; Text is the step
	Unticked          Kind = "unticked"           // it was not
	HarassmentDecided Kind = "harassment_decided" // Outcome yes or no: customer harassment, Text says why
	ApprovalReviewed  Kind = "approval_reviewed"  // an emergency approval, afterwards; Outcome right or wrong
	SendHastened      Kind = "send_hastened"      // a person gave up the time to stop it
	AuthorWrote       Kind = "author_wrote"       // again, in mention To, which answers our reply Native if that is set; Level is how it sounds
	Wished            Kind = "wished"             // counts for wish To; Text is the wish in the author's words
	Unwished          Kind = "unwished"

	Archived Kind = "archived" // the case is put away as it stands; only restored or redacted comes after it
	Restored Kind = "restored" // the case as it was put away, before somebody works on it again
)

// Kinds lists all kinds of event.
var Kinds = []Kind{
	Opened, Claimed, Released, ClaimLapsed, Drafted, Submitted, Approved, SentBack, ApprovalLost,
	SendAsked, SendStopped, Sending, Sent, SendFailed, SendUnsure, ByHand, Posted, LookDue, Looked, Answered, Noted, HandedOver, Returned,
	Snoozed, Woke, Watched, Excluded, Closed, Reopened, Revised, MergedInto, Absorbed, Escalated,
	Promised, PromiseDue, PromiseKept, PromiseEnded, DeadlineNear, Assigned, PassedOn, Retagged, Linked, Unlinked, Revealed, Undone, Judged, Unjudged, FactsConfirmed, Measured, MeasureDone, Ticked, Unticked,
	HarassmentDecided, ApprovalReviewed, SendHastened, AuthorWrote, Wished, Unwished, Redacted, Archived, Restored,
}

// Event is one thing that happened to a mention. ID, At, Actor and Kind are
// always set; the comment of a field names the kinds that use it.
type Event struct {
	ID    string // random; a command finds its own event again after a time-out
	Seq   uint64 // in the stream CASES; orders events
	At    time.Time
	Actor string // staff id, "token:…", "cli" or "system"
	Kind  Kind

	Mention *mention.Mention // opened, revised; looked: what was looked at, as it is now
	Verdict *mention.Verdict // opened, revised; judged: what was told; author_wrote: of what they wrote, labels alone
	Tagged  uint64           // opened, revised: the sequence in TAGGED that they were read from
	Triage  Triage           // opened, revised, judged, unjudged; author_wrote: what an answer to our reply wants; drafted, reopened, answered, author_wrote: ResolveAt, where our clock goes on
	Labels  *mention.Verdict // judged: what a person says of it
	Sample  string           // judged: the [Sample] it was judged for, blind; else empty
	Draft   *Draft           // drafted, send_asked, by_hand, posted: the reply as it stood
	Hash    string           // submitted, approved, send_asked, by_hand: what the approval is bound to
	Attempt string           // send_asked, sending, sent, send_failed, send_unsure: the reply's key
	Until   time.Time        // claimed, approved, send_asked, sending, by_hand, snoozed, promised; send_failed: when the platform takes another
	Every   time.Duration    // promised: and again after this long, until reported
	URL     string           // sent, posted
	Native  string           // sent, posted, looked, answered, author_wrote: the platform's id of our reply
	Follow  bool             // sent, posted: the platform can be asked how Native fares
	To      string           // handed_over, merged_into, absorbed, answered, assigned, linked, unlinked, undone, measure_done, ticked, unticked, author_wrote, wished, unwished
	Tags    []string         // retagged
	Untags  []string         // retagged
	Text    string           // noted and every kind that gives a reason; posted: how it reads, if not like the draft
	Files   []File           // noted: attachments
	Outcome string           // closed: solved, no_answer_needed, ended, duplicate …; harassment_decided, approval_reviewed
	Level   string           // promise_due: half, near or due; deadline_warned: resolve; snoozed, woke: post; answered: [ByAuthor] or [ByOther]; approved: emergency; ticked, unticked; author_wrote; retagged: [NoAnswer] when that was put on
	Reason  string           // send_failed, send_unsure, send_stopped: why, as pkg/source or a [Code] names it; empty when Text and Trouble say all
	Trouble outbound.Trouble // send_failed, send_unsure: Text as data
	Measure *Measure         // measured, closed
	History []Event          // redacted, archived, restored
	Number  uint64           // redacted, archived, restored: the case's number
}

// File is an attachment of a note. Key is its address on the bus, see
// [bus.Conn.PutFile].
type File struct {
	Key, Name, Type string
	Size            int64
}

// ReplyKind says which reply in an exchange a draft is.
type ReplyKind string

const (
	First   ReplyKind = "first"   // we then wait for the customer
	Interim ReplyKind = "interim" // a holding reply; the answer is still owed
	Final   ReplyKind = "final"   // the case is done when it is out
)

// Draft is a reply being written. Version rises with every save.
type Draft struct {
	Version         int
	Text            string
	Lang            string
	Kind            ReplyKind
	Account         string // source whose credentials publish it
	Template        string // empty: written freely
	TemplateVersion int
	Slots           map[string]string
	// Edited tells that Text differs from the template with its slots filled.
	Edited bool
	Author string
	At     time.Time
	// Apology is the template's; empty for words of one's own.
	Apology Apology
	// To is the post that it answers, of those that joined the case; empty for the
	// case's own.
	To mention.ID
	// Stays says that the case stays open though the reply is final: what was
	// done about the cause is still to be told.
	Stays bool
}

// Measure is what keeps a cause from coming back, by whom and until when; or
// why nothing is needed.
type Measure struct {
	ID      string
	Cause   string
	Text    string
	NoneWhy string
	Owner   string // staff id or team
	Due     time.Time
}
