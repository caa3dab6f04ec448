package casework

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

// Levels of events that have several.
const (
	OnPost    = "post"    // snoozed, woke: by a new post of the author
	ToResolve = "resolve" // deadline_warned: of the end, not of the first answer
)

// Tags by which the index finds cases again. What people tag has TagPrefix
// before it there, so that the two are never taken for each other.
const (
	TagPrefix   = "#"
	TagWakes    = "wakes"    // snoozed until the author writes again
	TagLinked   = "linked"   // its author is known from elsewhere
	TagPromised = "promised" // a report is owed
)

// NoAnswer is the tag of what must not be answered: nothing leaves, and what waits
// is taken back, until somebody who runs escalations takes it off. It holds for the
// case, and for those of the posts that follow in its thread. It is shown in the
// words of each language.
const NoAnswer = "no-answer"

// Muted is who said that the case must not be answered; empty when it may.
func (s *State) Muted() string {
	if !hasTag(s.Tags, NoAnswer) {
		return ""
	}
	for _, e := range slices.Backward(s.History) {
		if e.Kind == Retagged && hasTag(e.Tags, NoAnswer) {
			return e.Actor
		}
	}
	return identity.ActorSystem
}

// Link says that the author of another case is the same person. People make
// links; none is inferred.
type Link struct {
	Case  mention.ID
	By    string
	At    time.Time
	Basis string // how that is known
}

// work are the kinds of event by which a person has worked on a case.
var work = []Kind{Claimed, Drafted, Submitted, SendAsked, Posted, HandedOver, Watched, Excluded, Closed}

// Worker is who has the case or, where nobody does, who worked on it last.
func (s *State) Worker() string {
	if o := s.Owner(); o != "" {
		return o
	}
	for _, e := range slices.Backward(s.History) {
		if person(e.Actor) && slices.Contains(work, e.Kind) {
			return e.Actor
		}
	}
	return ""
}

// leave takes the case from whoever had it. Somebody whose claim only ran out
// still has it.
func (s *State) leave(e *Event) {
	if e.Kind == ClaimLapsed {
		s.lapse()
	} else {
		s.free()
	}
	if e.Kind == PassedOn && !slices.Contains(s.Passed, e.Actor) {
		s.Passed = append(slices.Clip(s.Passed), e.Actor)
	}
	if s.Status == InHand && s.Draft == nil && len(s.Replies) == 0 {
		s.Status = s.untouched()
	}
}

// remark takes in what changes nothing of where the case stands.
func (s *State) remark(e *Event) {
	switch e.Kind {
	case Retagged:
		s.Tags = slices.DeleteFunc(slices.Clone(s.Tags), func(t string) bool { return hasTag(e.Untags, t) })
		for _, t := range e.Tags {
			if !hasTag(s.Tags, t) {
				s.Tags = append(s.Tags, t)
			}
		}
		if e.Level == NoAnswer {
			s.unapprove()
			s.ByHand = nil
			if s.Outgoing != nil && !s.Outgoing.Calling && !s.Outgoing.Unsure {
				s.Outgoing = nil
			}
		}
	case Linked:
		s.Links = append(slices.Clip(s.Links), Link{Case: mention.ID(e.To), By: e.Actor, At: e.At, Basis: e.Text})
	case Unlinked:
		s.Links = slices.DeleteFunc(slices.Clone(s.Links), func(l Link) bool { return l.Case == mention.ID(e.To) })
	}
}

// resumed is by when the case is to be done if our clock goes on at now, after we
// waited for the customer; zero where it doesn't stand.
func (s *State) resumed(c WorkingTime, now time.Time) time.Time {
	if s.Status != WaitingCustomer || s.ResolveAt.IsZero() || s.PausedAt.IsZero() {
		return time.Time{}
	}
	return c.After(now, c.Between(s.PausedAt, s.ResolveAt))
}

// Took is how long the author waited for our first reply, and how long it took to
// the end, as the deadlines count: from when the mention was seen, on the clock of
// the brand or, for what PR must see, around the clock; to the end less what we
// waited for the customer. Both are zero where there is none yet.
func (s *State) Took(c WorkingTime) (reply, done time.Duration) {
	if v := s.InForce(); v.Page {
		c = always{}
	}
	if len(s.Replies) > 0 {
		reply = c.Between(s.Mention.SeenAt, s.Replies[0].At)
	}
	if !s.DoneAt.IsZero() {
		done = c.Between(s.Mention.SeenAt, s.DoneAt)
		for _, p := range s.Pauses {
			done -= c.Between(p.From, p.To)
		}
	}
	return reply, max(done, 0)
}

// resume sets our clock going again where we waited for the customer.
func (s *State) resume(e *Event) {
	if t := e.Triage.ResolveAt; !t.IsZero() && s.Status == WaitingCustomer {
		s.ResolveAt, s.WarnedDone = t, false
	}
}

// undoable are the kinds of event that can be taken back as if they had not
// been.
var undoable = []Kind{Watched, Excluded, Closed, Snoozed, Assigned, PassedOn, Released, Retagged, HandedOver, PromiseKept, PromiseEnded}

// undo sets back what the event with that id has set.
func (s *State) undo(id string) {
	i := slices.IndexFunc(s.History, func(e Event) bool { return e.ID == id && slices.Contains(undoable, e.Kind) })
	if i < 0 {
		return
	}
	was := Fold(s.ID, s.History[:i])
	s.Status, s.Outcome, s.Team = was.Status, was.Outcome, was.Team
	s.Holder, s.ClaimUntil, s.Assignee, s.Passed = was.Holder, was.ClaimUntil, was.Assignee, was.Passed
	s.Triage.Disposition, s.Decided = was.Triage.Disposition, was.Decided
	s.Promise, s.Snoozed, s.WakeOnPost = was.Promise, was.Snoozed, was.WakeOnPost
	s.Submitted, s.AskedBefore, s.Approval, s.Tags = was.Submitted, was.AskedBefore, was.Approval, was.Tags
}

// last returns the last event that a person may take back: nothing but remarks
// has happened since, or nil.
func (s *State) last() *Event {
	for i := range slices.Backward(s.History) {
		switch e := &s.History[i]; {
		case slices.Contains([]Kind{Noted, Revealed, DeadlineNear, PromiseDue, LookDue, Looked}, e.Kind):
		case slices.Contains(undoable, e.Kind):
			return e
		default:
			return nil
		}
	}
	return nil
}

// Undo takes back the last thing that the actor did to the case.
type Undo struct{}

func (Undo) decide(d *decision) (Event, error) {
	if err := d.may(identity.Handle); err != nil {
		return Event{}, err
	}
	e := d.fold.last()
	if e == nil || e.Actor != d.by.Actor() {
		return Event{}, refuse(CodeStale, "something else has happened to this case since")
	}
	return Event{Kind: Undone, To: e.ID}, nil
}

// Assign gives the case to somebody, or with an empty To to nobody. Whoever
// works on it is relieved of it, which only they and leads can do.
type Assign struct{ To string }

func (c Assign) decide(d *decision) (Event, error) {
	if err := d.may(identity.Handle); err != nil {
		return Event{}, err
	}
	s, me := &d.state, d.by.Actor()
	switch {
	case s.Holder != "" && s.Holder != me && !d.by.Can(identity.Lead, s.Mention.Brand):
		return Event{}, &Refused{Code: CodeHeld, Text: s.Holder + " works on this case", Who: s.Holder}
	case s.Outgoing != nil:
		return Event{}, refuse(CodeState, "a reply is on its way; wait until it is out, or stop it")
	case s.Status == Done:
		return Event{}, refuse(CodeState, "the case is closed; reopen it first")
	case c.To == s.Assignee && (s.Holder == "" || s.Holder == c.To):
		return Event{}, refuse(CodeState, "the case is there already")
	}
	return Event{Kind: Assigned, To: c.To}, nil
}

// PassOn gives the case back for a colleague to take. It asks for no reason.
type PassOn struct{}

func (PassOn) decide(d *decision) (Event, error) {
	if err := d.workOpen(); err != nil {
		return Event{}, err
	}
	if o := d.state.Owner(); o != "" && o != d.by.Actor() {
		return Event{}, &Refused{Code: CodeHeld, Text: o + " has this case", Who: o}
	}
	return Event{Kind: PassedOn}, nil
}

// Limits on tags.
const (
	MaxTag  = 40 // code points of one
	MaxTags = 20 // on one case
)

// Retag puts tags on a case and takes others off.
type Retag struct{ Add, Remove []string }

func (c Retag) decide(d *decision) (Event, error) {
	if err := d.may(identity.Handle); err != nil {
		return Event{}, err
	}
	e := Event{Kind: Retagged}
	for _, t := range c.Add {
		t, err := cleanTag(t)
		if err != nil {
			return Event{}, err
		}
		if !hasTag(d.state.Tags, t) && !hasTag(e.Tags, t) {
			e.Tags = append(e.Tags, t)
		}
	}
	for _, t := range c.Remove {
		if t = strings.TrimSpace(t); hasTag(d.state.Tags, t) && !hasTag(e.Untags, t) {
			e.Untags = append(e.Untags, t)
		}
	}
	if hasTag(e.Tags, NoAnswer) {
		e.Level = NoAnswer
	}
	switch {
	case hasTag(e.Untags, NoAnswer) && !d.by.Can(identity.Page, d.state.Mention.Brand):
		return Event{}, &Refused{Code: CodeNoAnswer, Text: "only a PR lead can lift that a thread must not be answered", Who: d.state.Muted()}
	case len(e.Tags)+len(e.Untags) == 0:
		return Event{}, refuse(CodeState, "the case is there already")
	case len(d.state.Tags)+len(e.Tags)-len(e.Untags) > MaxTags:
		return Event{}, refuse(CodeInput, "tags: a case has at most %d", MaxTags)
	}
	return e, nil
}

// cleanTag is t as it is kept, or what is wrong with it.
func cleanTag(t string) (string, error) {
	t = strings.Join(strings.Fields(strings.TrimLeft(strings.TrimSpace(t), "#＃")), " ")
	switch {
	case t == "":
		return "", refuse(CodeInput, "tags: a tag is empty")
	case !utf8.ValidString(t) || strings.ContainsFunc(t, unicode.IsControl):
		return "", refuse(CodeInput, "tags: %q has characters that cannot be shown", t)
	case strings.ContainsAny(t, ",、"):
		return "", refuse(CodeInput, "tags: %q: commas part tags", t)
	case utf8.RuneCountInString(t) > MaxTag:
		return "", refuse(CodeInput, "tags: a tag has at most %d characters", MaxTag)
	}
	return t, nil
}

func hasTag(tags []string, t string) bool {
	return slices.ContainsFunc(tags, func(o string) bool { return strings.EqualFold(o, t) })
}

// Reveal records that somebody looked at personal data which is masked.
type Reveal struct{}

func (Reveal) decide(d *decision) (Event, error) {
	if err := d.may(identity.Reveal); err != nil {
		return Event{}, err
	}
	if !d.by.Person() {
		return Event{}, refuse(CodeForbidden, "masked data is shown to people; sign in to the desk")
	}
	return Event{Kind: Revealed}, nil
}

// LinkAuthor says that the author of the case Case is the same person, and how
// that is known.
type LinkAuthor struct {
	Case  mention.ID
	Basis string
}

func (c LinkAuthor) decide(d *decision) (Event, error) {
	if err := d.may(identity.Handle); err != nil {
		return Event{}, err
	}
	switch {
	case !d.by.Person():
		return Event{}, refuse(CodeForbidden, "authors are linked by people; sign in to the desk")
	case !c.Case.Valid() || c.Case == d.state.ID:
		return Event{}, refuse(CodeInput, "case: want another case")
	case strings.TrimSpace(c.Basis) == "":
		return Event{}, refuse(CodeInput, "basis: say how you know")
	case slices.ContainsFunc(d.state.Links, func(l Link) bool { return l.Case == c.Case }):
		return Event{}, refuse(CodeState, "the case is there already")
	case len(d.state.Links) >= MaxTags:
		return Event{}, refuse(CodeInput, "case: at most %d links", MaxTags)
	}
	return Event{Kind: Linked, To: string(c.Case), Text: strings.TrimSpace(c.Basis)}, nil
}

// UnlinkAuthor takes a link back.
type UnlinkAuthor struct{ Case mention.ID }

func (c UnlinkAuthor) decide(d *decision) (Event, error) {
	if err := d.may(identity.Handle); err != nil {
		return Event{}, err
	}
	if !slices.ContainsFunc(d.state.Links, func(l Link) bool { return l.Case == c.Case }) {
		return Event{}, refuse(CodeState, "there is no such link")
	}
	return Event{Kind: Unlinked, To: string(c.Case)}, nil
}
