package casework

import (
	"cmp"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

// Triage says what a mention wants of us, how much it matters and by when it
// wants an answer.
type Triage struct {
	Disposition mention.Disposition
	Priority    int       // 0 to 1000
	DueAt       time.Time // of the first answer; only for Answer
	WarnAt      time.Time // when it is warned of
	ResolveAt   time.Time // of the end; zero where the brand sets none
}

// WorkingTime counts the time in which people work. Both methods are pure.
type WorkingTime interface {
	// After is the moment when d of working time has passed since from.
	After(from time.Time, d time.Duration) time.Time
	// Between is the working time from one moment to another, not negative.
	Between(from, to time.Time) time.Duration
}

// always is the clock of who never closes.
type always struct{}

func (always) After(from time.Time, d time.Duration) time.Time { return from.Add(d) }
func (always) Between(from, to time.Time) time.Duration        { return max(to.Sub(from), 0) }

// Response is how fast a brand answers, in working time. The zero value has the
// defaults.
type Response struct {
	Urgent time.Duration // priority 700 and above; default 1 h
	Normal time.Duration // default 8 h
	Low    time.Duration // below 300; default 24 h
	// Until a case is to be done, by the same steps of priority; zero for no
	// deadline.
	ResolveUrgent, ResolveNormal, ResolveLow time.Duration
	// Clock counts the working time; nil never closes. Around the clock runs
	// what PR must see.
	Clock WorkingTime
}

// within is the time to the first answer, and to the end.
func (r Response) within(priority int) (first, done time.Duration) {
	switch {
	case priority >= 700:
		return cmp.Or(max(r.Urgent, 0), time.Hour), r.ResolveUrgent
	case priority >= 300:
		return cmp.Or(max(r.Normal, 0), 8*time.Hour), r.ResolveNormal
	}
	return cmp.Or(max(r.Low, 0), 24*time.Hour), r.ResolveLow
}

// Signals are what is known around a mention. They raise its priority and never
// touch its verdict.
type Signals struct {
	Reach  int64 // followers of the author
	Story  int64 // posts in its story
	Before int64 // earlier mentions by its author that nobody answered
}

// weights order the categories of risk within the queue: what can hurt people
// first, then what spreads, then what costs.
var weights = map[mention.Category]int{
	mention.PersonAtRisk:       950,
	mention.ViolentThreat:      930,
	mention.SafetyHazard:       880,
	mention.PrivacyBreach:      860,
	mention.AuthorityInquiry:   820,
	mention.MediaInquiry:       800,
	mention.PublicityThreat:    780,
	mention.LegalThreat:        760,
	mention.StaffAbuse:         600,
	mention.UnreasonableDemand: 580,
	mention.RepeatContact:      560,
	mention.Churn:              480,
}

var intentWeight = map[mention.Intent]int{
	mention.Complaint: 380, mention.BugReport: 340, mention.Question: 320,
	mention.FeatureRequest: 220, mention.Praise: 160, mention.OtherIntent: 120,
}

// Judge gives the triage of a mention. It is pure.
func Judge(r Response, m *mention.Mention, v *mention.Verdict, s Signals) Triage {
	t := Triage{Disposition: v.Disposition, Priority: intentWeight[v.Intent]}
	if v.Unread {
		t.Disposition, t.Priority = mention.Answer, 500
	}
	for _, risk := range v.Risks {
		t.Priority = max(t.Priority, int(float64(weights[risk.Category])*(0.6+0.4*risk.Score)))
	}
	if v.Sentiment == mention.Negative {
		t.Priority += int(40 * v.SentimentScore)
	}
	if v.Page {
		t.Priority = max(t.Priority, 850)
	}
	t.Priority += step(s.Reach, 1_000, 10_000, 100_000) + step(s.Story, 2, 8, 32) + step(s.Before, 1, 2, 4)
	t.Priority = min(t.Priority, 1000)
	if t.Disposition == mention.NotForUs {
		t.Priority = min(t.Priority, 50)
	}
	if t.Disposition == mention.Answer {
		clock := cmp.Or[WorkingTime](r.Clock, always{})
		if v.Page {
			clock = always{} // what wakes people doesn't wait for opening
		}
		first, done := r.within(t.Priority)
		t.DueAt, t.WarnAt = clock.After(m.SeenAt, first), clock.After(m.SeenAt, first*3/4)
		if done > 0 {
			t.ResolveAt = clock.After(m.SeenAt, done)
		}
	}
	return t
}

// step gives 15 points for each bound that n reaches.
func step(n int64, bounds ...int64) int {
	points := 0
	for _, b := range bounds {
		if n >= b {
			points += 15
		}
	}
	return points
}

// NextAt is the next moment at which time alone changes the case, or zero.
func (s *State) NextAt() time.Time {
	if s.ReadOnly != "" || s.Redacted {
		return time.Time{}
	}
	var next time.Time
	for _, t := range []time.Time{s.claimEnd(), s.approvalEnd(), s.Snoozed, s.warnAt(), s.promiseAt(), s.callEnd(), s.lookAt()} {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next
}

func (s *State) claimEnd() time.Time {
	if s.Holder == "" {
		return time.Time{}
	}
	return s.ClaimUntil
}

func (s *State) approvalEnd() time.Time {
	if s.Approval == nil || s.Outgoing != nil {
		return time.Time{}
	}
	return s.Approval.Until
}

// warnAt is when the deadline that runs is warned of: a quarter of its time
// before it.
func (s *State) warnAt() time.Time {
	due := s.DueAt()
	switch {
	case due.IsZero() || s.Promise != nil:
		return time.Time{}
	case s.toResolve() && s.WarnedDone, !s.toResolve() && s.Warned:
		return time.Time{}
	case s.Asked != nil && !s.Asked.WarnAt.IsZero():
		return s.Asked.WarnAt
	case len(s.Replies) == 0 && !s.Triage.WarnAt.IsZero():
		return s.Triage.WarnAt
	}
	return due.Add(-due.Sub(s.Mention.SeenAt) / 4)
}

// toResolve tells that the deadline that runs is the one of the end.
func (s *State) toResolve() bool { return len(s.Replies) > 0 && s.Asked == nil }

// promiseAt is half of the promised time, then shortly before its end, then its
// end.
func (s *State) promiseAt() time.Time {
	p := s.Promise
	switch {
	case p == nil || p.DueTold:
		return time.Time{}
	case !p.HalfTold:
		return p.Made.Add(p.Due.Sub(p.Made) / 2)
	case !p.NearTold:
		return p.Due.Add(-p.Due.Sub(p.Made) / 8)
	}
	return p.Due
}

// callEnd is when a reply that is being sent must be asked about.
func (s *State) callEnd() time.Time {
	if s.Outgoing == nil || !s.Outgoing.Calling {
		return time.Time{}
	}
	// The replier looks for it first.
	return s.Outgoing.CallUntil.Add(time.Minute)
}

// Tick returns the event that time has brought by now, or false. Whoever calls
// it appends the event and calls again, until there is none.
func Tick(s *State, now time.Time) (Event, bool) {
	due := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	switch {
	case s.ReadOnly != "" || s.Redacted:
	case due(s.claimEnd()):
		return Event{Kind: ClaimLapsed}, true
	case due(s.approvalEnd()):
		return Event{Kind: ApprovalLost, Text: "expired"}, true
	case due(s.Snoozed):
		return Event{Kind: Woke}, true
	case due(s.warnAt()):
		if s.toResolve() {
			return Event{Kind: DeadlineNear, Level: ToResolve}, true
		}
		return Event{Kind: DeadlineNear}, true
	case due(s.promiseAt()):
		switch {
		case !s.Promise.HalfTold:
			return Event{Kind: PromiseDue, Level: "half"}, true
		case !s.Promise.NearTold && now.Before(s.Promise.Due):
			return Event{Kind: PromiseDue, Level: "near"}, true
		}
		return Event{Kind: PromiseDue, Level: "due"}, true
	case due(s.callEnd()):
		return Event{Kind: SendUnsure, Attempt: s.Outgoing.Attempt, Text: "no word from the platform or the replier", Trouble: outbound.Trouble{Reason: outbound.Interrupted}}, true
	case due(s.lookAt()):
		return Event{Kind: LookDue}, true
	}
	return Event{}, false
}

// Has tells whether the mention, or what its author answered us, carries any of the
// categories, by its verdict or by what a person says of it: a correction must not loosen what a risk asks
// for.
func (s *State) Has(categories ...mention.Category) bool {
	v := s.InForce()
	return slices.ContainsFunc(categories, func(c mention.Category) bool {
		return s.Verdict.Has(c) || v.Has(c) || slices.ContainsFunc(s.Answers, func(a Answer) bool { return slices.Contains(a.Risks, c) })
	})
}
