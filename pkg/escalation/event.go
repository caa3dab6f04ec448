package escalation

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/text"
)

// Kind is what an event says happened.
type Kind string

const (
	Opened       Kind = "opened"
	Joined       Kind = "joined"       // another mention of the same subject; written at 1, 2, 4, 8 …
	Paged        Kind = "paged"        // a page is being sent (Sending), or was taken by the channel (Sent, Delivered)
	PageFailed   Kind = "page_failed"  // a page could not be delivered
	Acknowledged Kind = "acknowledged" // the actor has it; all paging stops
	Noted        Kind = "note"
	FalseAlarm   Kind = "false_alarm" // "should not have woken me"; acknowledges as well
	Reassigned   Kind = "reassigned"  // Target has it from now on, and is paged until acknowledging
	Resolved     Kind = "resolved"
	Reopened     Kind = "reopened" // paging starts afresh
	Redacted     Kind = "redacted" // replaces everything before it; see [Redact]
)

// Kinds lists all kinds of event.
var Kinds = []Kind{
	Opened, Joined, Paged, PageFailed, Acknowledged, Noted, FalseAlarm, Reassigned, Resolved, Reopened, Redacted,
}

// Action is what a page asks of its channel.
type Action string

const (
	Trigger     Action = "trigger"
	Acknowledge Action = "acknowledge" // somebody has it: stop ringing
	Resolve     Action = "resolve"     // it is over
	Update      Action = "update"      // it has grown; nothing new is asked of anybody
)

// Outcome is how far an attempt to page has come.
type Outcome string

const (
	Sending   Outcome = "sending"   // written before the call; no word since
	Sent      Outcome = "sent"      // the channel took it over and may still be at work
	Delivered Outcome = "delivered" // the channel says that it is there to be read
	Failed    Outcome = "failed"    // not delivered; may work later
	Refused   Outcome = "refused"   // not delivered and never will be like this
)

// Through tells that the channel has the page, so that no further attempt is
// made.
func (o Outcome) Through() bool { return o == Sent || o == Delivered }

// Event is one thing that happened to an escalation. ID, At, Actor and Kind
// are always set; the comment of a field names the kinds that use it.
type Event struct {
	ID         string // random; finds one's own event again after a time-out
	Escalation string // the escalation's id; known from the bus subject when read
	Seq        uint64 // stream sequence; set when read, orders events
	At         time.Time
	Actor      string // staff id, or System
	Kind       Kind

	Brand    string           // opened
	Mention  mention.ID       // opened, joined: the mention; empty for a volume
	Subjects []string         // opened, joined: see [Subjects]
	Category mention.Category // opened, joined, reopened; empty where no risk was found
	Rule     string           // opened, joined, reopened: the rule or figure that did it, English; by hand, the actor's note
	Ground   Ground           // opened: the figures in Rule, where it is no rule
	Urgency  Urgency          // opened; joined, reopened: raises the urgency if stronger
	Origin   Origin           // opened
	Title    string           // opened: headline, if the post has one
	Excerpt  string           // opened: the telling part of the post, at most MaxExcerpt characters
	Author   string           // opened: handle or display name
	Platform string           // opened
	Lang     string           // opened: "ja", "en", "other"
	URL      string           // opened: path of the case in the desk, beginning with "/"
	Reach    int64            // opened, joined: people reached, as far as known
	Count    int              // joined: mentions that joined so far

	Page    string           // paged, page_failed: the de-duplication key
	Action  Action           // paged, page_failed
	Channel string           // paged, page_failed: notifier id
	Target  string           // paged, page_failed: staff id, empty for a room; reassigned: the new owner
	Round   int              // paged, page_failed: times the ladder had been climbed before
	Rung    int              // paged, page_failed
	Attempt int              // paged, page_failed: from 1
	Outcome Outcome          // paged: Sending, Sent, Delivered; page_failed: Failed, Refused
	Error   string           // page_failed
	Trouble outbound.Trouble // page_failed: Error as data; opened: what stops a silent source
	Ref     string           // paged: what the channel calls the message it took, if it can be added to
	// RetryAt is the earliest next attempt the far side asked for; page_failed.
	RetryAt time.Time
	// NextAt is when the ladder is looked at again, as planned when the event
	// was written: for people to read. Opened, paged, page_failed, reopened.
	NextAt time.Time

	Via  string // acknowledged, false_alarm: "desk", "link" or a notifier id
	Text string // note, false_alarm, resolved, reopened, reassigned: what the actor wrote

	History []Event // redacted: what happened before, without outsiders' words
}

// Ground is what lies behind an escalation that is not about a post. Which
// fields are set follows from its [Origin].
type Ground struct {
	Last  time.Time // silence: of the last post; canary: when the last one came through, zero for never
	Usual float64   // silence, canary: seconds between two; volume: negative posts in ten minutes
	Count int64     // volume: negative posts in ten minutes; quota: messages sent
	Limit int64     // quota
}

// MaxExcerpt is the length of an excerpt in Unicode code points. Pages leave
// the house, so they carry little of what the author wrote.
const MaxExcerpt = 200

// Open returns the event that opens an escalation on t, ready but for ID,
// Escalation, At, Actor and URL. The excerpt shows the words that caused it.
func Open(t *mention.Tagged, origin Origin, urgency Urgency) Event {
	m := &t.Mention
	cat, rule := Cause(&t.Verdict)
	author := m.Author.Handle
	if author == "" {
		author = m.Author.Name
	}
	e := Event{
		Kind: Opened, Brand: m.Brand, Mention: m.ID, Subjects: Subjects(t), Category: cat, Rule: rule,
		Urgency: urgency, Origin: origin, Title: clip(text.Mask(m.Title), 0), Excerpt: clip(text.Mask(m.Content()), span(t, cat)),
		Author: clip(author, 0), Platform: m.Platform, Lang: t.Verdict.Lang, Count: 1,
	}
	if f := m.Author.Followers; f != nil {
		e.Reach = max(*f, 0)
	}
	return e
}

// span is where the words for category c begin, in code points.
func span(t *mention.Tagged, c mention.Category) int {
	for _, r := range t.Verdict.Risks {
		if r.Category == c && r.End > r.Start {
			return r.Start
		}
	}
	return 0
}

// clip returns at most MaxExcerpt code points of s on one line, chosen so that
// the code point at from is among them.
func clip(s string, from int) string {
	if utf8.RuneCountInString(s) > MaxExcerpt {
		r := []rune(s)
		lead := 0
		if from > MaxExcerpt*3/4 {
			lead = min(from-MaxExcerpt/4, len(r)-MaxExcerpt+1)
		}
		switch {
		case lead == 0:
			s = string(r[:MaxExcerpt-1]) + "…"
		case lead+MaxExcerpt-1 >= len(r):
			s = "…" + string(r[lead:])
		default:
			s = "…" + string(r[lead:lead+MaxExcerpt-2]) + "…"
		}
	}
	return strings.Join(strings.Fields(s), " ")
}

// Redact returns the event that takes the place of events when an outsider's
// words must go: it keeps actors, times, kinds and outcomes, and drops what was
// quoted or written about the author. Append it, then purge what is below it.
// The caller sets ID, Escalation, At and Actor.
func Redact(events []Event) Event {
	var kept []Event
	for _, e := range events {
		if e.Kind == Redacted {
			kept = nil // it replaced everything before it, here as in the fold
		}
		e.Title, e.Excerpt, e.Author, e.Text, e.Subjects = "", "", "", "", nil
		e.Trouble.Said = "" // the far side's words, which may quote what it was sent
		if e.Origin == ByHand || e.Origin == ByPromise {
			e.Rule = "" // a person's words, which may quote
		}
		kept = append(kept, e)
	}
	return Event{Kind: Redacted, History: kept}
}
