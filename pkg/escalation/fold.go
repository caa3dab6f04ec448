package escalation

import (
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

// State is an escalation as its events left it. The zero State is one that has
// not been opened.
type State struct {
	Key      string // the escalation's id
	Seq      uint64 // sequence of the last event: what the next append expects
	ReadOnly bool   // holds an event of a kind this version doesn't know
	Redacted bool

	Brand    string
	Mention  mention.ID   // that opened it; empty for a volume
	Mentions []mention.ID // that one first, and those whose joining was recorded
	Subjects []string
	Category mention.Category
	Rule     string
	Ground   Ground
	Trouble  outbound.Trouble // what stops a silent source
	Urgency  Urgency
	Origin   Origin
	Title    string
	Excerpt  string
	Author   string
	Platform string
	Lang     string
	URL      string
	Reach    int64
	Count    int // mentions in it, the opening one included
	// GrewAt is when a joining, or an erasure, last changed what pages told.
	GrewAt time.Time

	OpenedAt time.Time
	// Since is when paging began: the opening, or the last event that raised
	// the urgency, reassigned or reopened it.
	Since time.Time
	// Epoch counts these beginnings. Pages of former epochs are history.
	Epoch int
	// Owner is who it was reassigned to, or else who acknowledged.
	Owner      string
	Pages      []Page
	Acked      *Mark // nil until acknowledged; nil again when reopened or reassigned
	FalseAlarm *Mark
	Resolved   *Mark
	Notes      []Mark
	// NextAt is when somebody is paged next, as last planned; zero once
	// acknowledged or resolved. [Plan] decides, this is for reading.
	NextAt time.Time
}

// Mark is who did something, when, by which way and with which words.
type Mark struct {
	By   string
	At   time.Time
	Via  string
	Text string
}

// Page is one page with all its attempts.
type Page struct {
	Key     string // de-duplication key, the same for every attempt
	Action  Action
	Epoch   int
	Round   int
	Rung    int
	Channel string
	Target  string // staff id; empty for a channel that reaches a room
	Attempt int    // the latest
	Outcome Outcome
	Error   string
	Trouble outbound.Trouble // Error as data
	Ref     string           // what the channel calls the message; empty if it can't be added to
	RetryAt time.Time
	FirstAt time.Time // of the first attempt
	LastAt  time.Time // of the latest event about it
}

// Open tells whether the escalation was opened and is not resolved.
func (s *State) Open() bool { return !s.OpenedAt.IsZero() && s.Resolved == nil }

// Fold returns the state that events, in order of sequence, lead to. It is
// deterministic and never fails: an unknown kind marks the state ReadOnly.
func Fold(events []Event) State {
	var s State
	for i := range events {
		s.Apply(&events[i])
	}
	return s
}

// Apply advances s by one event. It may be called for each event as it
// arrives; s must then not be shared.
func (s *State) Apply(e *Event) {
	if e.Escalation != "" {
		s.Key = e.Escalation
	}
	s.Seq = max(s.Seq, e.Seq)
	if !e.NextAt.IsZero() && s.Acked == nil {
		s.NextAt = e.NextAt
	}
	switch e.Kind {
	case Opened:
		s.open(e)
	case Joined:
		if e.Count > s.Count {
			s.GrewAt = e.At
		}
		s.Count = max(s.Count, e.Count)
		s.Reach = max(s.Reach, e.Reach)
		s.addMention(e.Mention)
		for _, subject := range e.Subjects {
			s.addSubject(subject)
		}
		if s.raise(e) && s.Acked == nil && s.Resolved == nil {
			s.begin(e)
		}
	case Paged, PageFailed:
		s.page(e)
	case Acknowledged:
		s.acknowledge(e)
	case FalseAlarm:
		s.FalseAlarm = mark(e)
		s.acknowledge(e)
	case Noted:
		s.Notes = append(s.Notes, *mark(e))
	case Reassigned:
		s.begin(e)
		s.Owner = e.Target
		if e.Target == e.Actor {
			s.acknowledge(e)
		}
	case Resolved:
		s.Resolved, s.NextAt = mark(e), time.Time{}
	case Reopened:
		s.begin(e)
		s.Owner = ""
		s.raise(e)
	case Redacted:
		*s = Fold(e.History)
		s.Key, s.Seq, s.Redacted, s.GrewAt = e.Escalation, e.Seq, true, e.At
	default:
		s.ReadOnly = true
	}
}

func (s *State) open(e *Event) {
	if !s.OpenedAt.IsZero() {
		return // opened once; whatever comes later joins
	}
	s.Brand, s.Mention, s.Category, s.Rule = e.Brand, e.Mention, e.Category, e.Rule
	s.Urgency, s.Origin, s.Title, s.Excerpt = e.Urgency, e.Origin, e.Title, e.Excerpt
	s.Author, s.Platform, s.Lang, s.URL = e.Author, e.Platform, e.Lang, e.URL
	s.Reach, s.Count = e.Reach, max(e.Count, 1)
	s.Ground, s.Trouble = e.Ground, e.Trouble
	s.OpenedAt, s.Since = e.At, e.At
	s.addMention(e.Mention)
	for _, subject := range e.Subjects {
		s.addSubject(subject)
	}
}

// addSubject keeps what a later mention may share with s, up to a bound: a
// storm has any number of authors.
func (s *State) addSubject(subject string) {
	const most = 64
	for _, have := range s.Subjects {
		if have == subject {
			return
		}
	}
	if len(s.Subjects) < most {
		s.Subjects = append(s.Subjects, subject)
	}
}

func (s *State) addMention(id mention.ID) {
	if id != "" && !slices.Contains(s.Mentions, id) {
		s.Mentions = append(s.Mentions, id)
	}
}

// raise takes over a stronger urgency and what caused it. Somebody who has it
// already is not paged by that; a reopening is.
func (s *State) raise(e *Event) bool {
	if e.Urgency == "" || !e.Urgency.Stronger(s.Urgency) {
		return false
	}
	s.Urgency = e.Urgency
	if e.Category != "" {
		s.Category, s.Rule = e.Category, e.Rule
	}
	return true
}

// begin starts the ladder afresh.
func (s *State) begin(e *Event) {
	s.Since, s.Acked, s.Resolved = e.At, nil, nil
	s.NextAt = e.NextAt
	s.Epoch++
}

func (s *State) acknowledge(e *Event) {
	s.NextAt = time.Time{}
	if s.Acked != nil {
		return
	}
	s.Acked = mark(e)
	s.Owner = e.Actor
}

func (s *State) page(e *Event) {
	p := s.find(e.Page)
	if p == nil {
		s.Pages = append(s.Pages, Page{
			Key: e.Page, Action: e.Action, Epoch: s.Epoch, Round: e.Round, Rung: e.Rung,
			Channel: e.Channel, Target: e.Target, FirstAt: e.At,
		})
		p = &s.Pages[len(s.Pages)-1]
	}
	p.LastAt, p.Error, p.Trouble, p.RetryAt = e.At, e.Error, e.Trouble, e.RetryAt
	if e.Ref != "" {
		p.Ref = e.Ref
	}
	p.Attempt = max(p.Attempt, e.Attempt)
	// A late word of an earlier attempt can't undo a delivery.
	if !p.Outcome.Through() || e.Outcome == Delivered {
		p.Outcome = e.Outcome
	}
}

// find returns the page with key; the newest are looked at first.
func (s *State) find(key string) *Page {
	for i := len(s.Pages) - 1; i >= 0; i-- {
		if s.Pages[i].Key == key {
			return &s.Pages[i]
		}
	}
	return nil
}

func mark(e *Event) *Mark { return &Mark{By: e.Actor, At: e.At, Via: e.Via, Text: e.Text} }
