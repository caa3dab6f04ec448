package escalation

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

const (
	// SendTimeout is how long an attempt may stay without an outcome before
	// it is made again with the same key. A notifier's call must end sooner.
	SendTimeout = 30 * time.Second
	// maxAttempts bounds the attempts at one page, about an hour of them. The
	// ladder climbs meanwhile.
	maxAttempts = 10
	firstRetry  = 10 * time.Second
	lastRetry   = 10 * time.Minute
	// recheck is how soon a ladder with nobody on it is looked at again.
	recheck = time.Minute
)

// Actions is what to do for an escalation at one moment.
type Actions struct {
	// Send lists the pages to send now. For each, append a [Paged] event with
	// outcome Sending, make the call, and append its outcome.
	Send []Send
	// Next is when to plan again if no event comes before; zero for never.
	Next time.Time
	// Nobody tells that somebody ought to be paged and the ladder leads to no
	// person or channel. An operator must know.
	Nobody bool
}

// Send is one attempt at one page.
type Send struct {
	Key     string // de-duplication key, the same for every attempt
	Action  Action
	Channel string // notifier id
	Target  string // staff id; empty for a shared channel
	Round   int
	Rung    int
	Attempt int
}

// Event returns the event that records s with outcome, ready but for ID,
// Escalation and At. Set Error, RetryAt and NextAt where they are known.
func (s Send) Event(outcome Outcome) Event {
	kind := Paged
	if outcome == Failed || outcome == Refused {
		kind = PageFailed
	}
	return Event{
		Actor: System, Kind: kind, Page: s.Key, Action: s.Action, Channel: s.Channel, Target: s.Target,
		Round: s.Round, Rung: s.Rung, Attempt: s.Attempt, Outcome: outcome,
	}
}

// Plan returns what to do for state at now. It is pure: called again with the
// same state after the outcomes were lost, it plans the same attempts with the
// same keys.
//
// Until somebody acknowledges, it climbs the ladder of the state's brand and
// urgency: a rung is due when the wait of the one before is over, or at once
// when all of that one's pages were refused. Opening climbs in business hours
// only; Notify sends its first rung once; Ignore sends nothing. Planned quiet
// holds triggers back and forgets none. Once acknowledged or resolved, no
// trigger is planned; instead every channel that was triggered is told once.
// Channels that gave their message a Ref are told, at any time, of what joined.
// ReadOnly forbids commands, not paging: a page too many is better than none.
func Plan(state State, policy Policy, now time.Time) Actions {
	p := planner{state: &state, policy: &policy, now: now}
	switch {
	case state.OpenedAt.IsZero():
	case state.Resolved != nil:
		p.tell(Resolve)
	case state.Acked != nil:
		p.tell(Acknowledge)
	default:
		p.climb()
	}
	p.follow()
	return p.out
}

type planner struct {
	state  *State
	policy *Policy
	now    time.Time
	out    Actions
}

// wake asks for another look at t.
func (p *planner) wake(t time.Time) {
	if p.out.Next.IsZero() || t.Before(p.out.Next) {
		p.out.Next = t
	}
}

// send plans s, and another look at when it must have had an outcome.
func (p *planner) send(s Send) {
	p.out.Send = append(p.out.Send, s)
	p.wake(p.now.Add(SendTimeout))
}

// climb plans triggers: what is unfinished on the rung reached, then the next
// rung if it is due.
func (p *planner) climb() {
	s := p.state
	if s.Urgency == Ignore {
		return
	}
	if t := p.policy.quietUntil(s, p.now); !t.IsZero() {
		p.wake(t)
		return
	}
	if s.Urgency == Opening {
		if t := p.policy.NextOpening(s.Brand, p.now); t.After(p.now) {
			p.wake(t)
			return
		}
	}
	ladder := p.policy.ladder(s)
	if len(ladder.Rungs) == 0 {
		p.nobody()
		return
	}
	p.retry()
	at := p.reached()
	if at.started {
		p.onRung(ladder, at.step, at.since)
		if s.Urgency == Notify {
			return
		}
		if due, ok := p.due(ladder, at); !ok {
			return
		} else if due.After(p.now) {
			p.wake(due)
			return
		}
	}
	p.start(ladder, at)
}

// step is a rung in a round.
type step struct{ round, rung int }

// position is how far the ladder has been climbed in this epoch.
type position struct {
	step
	started bool
	since   time.Time // first attempt on that step
	refused bool      // every page of the step was refused for good
}

// reached reads the position from the pages that were recorded.
func (p *planner) reached() position {
	var at position
	for i := range p.state.Pages {
		page := &p.state.Pages[i]
		if page.Epoch != p.state.Epoch || page.Action != Trigger {
			continue
		}
		here := step{page.Round, page.Rung}
		if !at.started || at.step != here {
			at = position{step: here, started: true, since: page.FirstAt, refused: true}
		}
		at.refused = at.refused && dead(page)
	}
	return at
}

// dead tells whether no attempt at page will follow and none got through.
func dead(page *Page) bool {
	return page.Outcome == Refused || page.Outcome == Failed && page.Attempt >= maxAttempts
}

// due returns when the step after at is due, and whether there is one.
func (p *planner) due(l *Ladder, at position) (time.Time, bool) {
	if at.rung+1 < len(l.Rungs) {
		if at.refused {
			return at.since, true
		}
		return at.since.Add(minutes(l.Rungs[at.rung].WaitMinutes)), true
	}
	// A new round always waits, or refusals would spin.
	if l.RepeatMinutes <= 0 || l.MaxRounds > 0 && at.round+1 >= l.MaxRounds {
		return time.Time{}, false
	}
	return at.since.Add(minutes(l.RepeatMinutes)), true
}

func minutes(n int) time.Duration { return time.Duration(n) * time.Minute }

// start plans the first attempts of the step after at, passing over rungs on
// which nobody stands.
func (p *planner) start(l *Ladder, at position) {
	next := step{}
	if at.started {
		next = step{at.round, at.rung + 1}
		if next.rung >= len(l.Rungs) {
			next = step{at.round + 1, 0}
		}
	}
	for ; next.rung < len(l.Rungs); next.rung++ {
		before := len(p.out.Send)
		if p.onRung(l, next, p.now); len(p.out.Send) > before {
			return
		}
	}
	if !at.started || next.round > at.round {
		p.nobody()
		return
	}
	// The rest of this round is empty: the next one comes in its time.
	at.rung = len(l.Rungs) - 1
	if due, ok := p.due(l, at); ok && due.After(p.now) {
		p.wake(due)
	} else if ok {
		p.start(l, at)
	}
}

// onRung plans what has not been attempted of the pages of a step that began
// at since.
func (p *planner) onRung(l *Ladder, st step, since time.Time) {
	// The ladder may have become shorter since.
	if st.rung >= len(l.Rungs) {
		return
	}
	rung := &l.Rungs[st.rung]
	who := p.policy.staff(rung.Who, since)
	if st.rung == 0 && p.state.Owner != "" {
		who = []string{p.state.Owner}
	}
	if len(who) == 0 {
		return
	}
	for _, c := range p.channels(rung) {
		if c.Shared {
			p.first(st, c.ID, "")
			continue
		}
		for _, id := range who {
			p.first(st, c.ID, id)
		}
	}
}

func (p *planner) channels(r *Rung) []Channel {
	if len(r.Channels) == 0 {
		return p.policy.Roster.Channels
	}
	out := make([]Channel, 0, len(r.Channels))
	for _, id := range r.Channels {
		c := Channel{ID: id} // one that is gone is tried, so that its refusal is on record
		for _, have := range p.policy.Roster.Channels {
			if have.ID == id {
				c = have
			}
		}
		out = append(out, c)
	}
	return out
}

// first plans the first attempt at a page, unless there was one.
func (p *planner) first(st step, channel, target string) {
	key := p.key(Trigger, st, channel, target)
	if p.state.find(key) != nil {
		return
	}
	p.send(Send{Key: key, Action: Trigger, Channel: channel, Target: target, Round: st.round, Rung: st.rung, Attempt: 1})
}

// retry plans further attempts at triggers whose outcome is unknown or bad,
// except where the same target was paged by the same channel since.
func (p *planner) retry() {
	type lane struct{ channel, target string }
	later := map[lane]bool{}
	for i := len(p.state.Pages) - 1; i >= 0; i-- {
		page := &p.state.Pages[i]
		if page.Epoch != p.state.Epoch || page.Action != Trigger {
			continue
		}
		at := lane{page.Channel, page.Target}
		if !later[at] {
			p.again(page)
		}
		later[at] = true
	}
}

// again plans another attempt at page, now or when its time comes.
func (p *planner) again(page *Page) {
	if page.Outcome.Through() || page.Attempt >= maxAttempts && page.Outcome != Sending || page.Outcome == Refused {
		return
	}
	due := page.LastAt.Add(SendTimeout)
	if page.Outcome == Failed {
		due = page.LastAt.Add(min(firstRetry<<min(max(page.Attempt-1, 0), 16), lastRetry))
		if page.RetryAt.After(due) {
			due = page.RetryAt
		}
	}
	if due.After(p.now) {
		p.wake(due)
		return
	}
	p.send(Send{
		Key: page.Key, Action: page.Action, Channel: page.Channel, Target: page.Target,
		Round: page.Round, Rung: page.Rung, Attempt: page.Attempt + 1,
	})
}

// tell plans one acknowledge or resolve for every channel and person that may
// have been triggered, in whatever epoch.
func (p *planner) tell(action Action) {
	told := map[string]bool{}
	for i := range p.state.Pages {
		page := &p.state.Pages[i]
		if page.Action != Trigger || page.Outcome == Refused {
			continue
		}
		key := p.key(action, step{}, page.Channel, page.Target)
		if told[key] {
			continue
		}
		told[key] = true
		if have := p.state.find(key); have != nil {
			p.again(have)
			continue
		}
		p.send(Send{Key: key, Action: action, Channel: page.Channel, Target: page.Target, Attempt: 1})
	}
}

// follow plans one update of every message that can be added to, for each time
// the escalation has grown since the message told of it.
func (p *planner) follow() {
	grew := p.state.GrewAt
	if grew.IsZero() {
		return
	}
	type lane struct{ channel, target string }
	told := map[lane]time.Time{}
	// What is sent anyway tells of it too.
	busy := map[lane]bool{}
	for _, s := range p.out.Send {
		busy[lane{s.Channel, s.Target}] = true
	}
	for i := range p.state.Pages {
		page := &p.state.Pages[i]
		at := lane{page.Channel, page.Target}
		if _, known := told[at]; page.Ref != "" || known {
			told[at] = page.FirstAt
		}
	}
	for i := range p.state.Pages {
		page := &p.state.Pages[i]
		at := lane{page.Channel, page.Target}
		last, ok := told[at]
		if !ok || busy[at] {
			continue
		}
		delete(told, at)
		key := p.key(Update, step{round: int(grew.UnixMilli())}, page.Channel, page.Target)
		if have := p.state.find(key); have != nil {
			p.again(have)
		} else if grew.After(last) {
			p.send(Send{Key: key, Action: Update, Channel: page.Channel, Target: page.Target, Attempt: 1})
		}
	}
}

// key names one page of the escalation: fixed length, and the same whenever it
// is planned.
func (p *planner) key(a Action, st step, channel, target string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d\x00%d\x00%s\x00%s", a, p.state.Epoch, st.round, st.rung, channel, target))
	return p.state.Key + "." + hex.EncodeToString(sum[:8])
}

func (p *planner) nobody() {
	p.out.Nobody = true
	p.wake(p.now.Add(recheck))
}
