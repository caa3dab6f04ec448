package source

import (
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/outbound"
)

// CoverageKey is where the fetcher keeps the coverage of a source, among the
// cursors.
func CoverageKey(id string) string { return "coverage." + id }

// Cause is why a source was not heard.
type Cause string

const (
	Failing  Cause = "failing"  // its fetches failed
	Stopped  Cause = "stopped"  // no fetcher ran
	Off      Cause = "off"      // people switched it off
	Platform Cause = "platform" // the platform gives no more than it gave; see [Gap]
)

// Outage is a stretch of time in which a source was not heard, or not wholly.
type Outage struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to,omitzero"` // zero while it lasts
	Cause Cause     `json:"cause"`
	Why   string    `json:"why,omitempty"` // English
	// Trouble is Why as data, for people.
	Trouble outbound.Trouble `json:"trouble,omitzero"`
	// Lost tells that posts of it were or may have been missed for good.
	Lost bool `json:"lost,omitempty"`
	// Caught tells that everything of it was heard after all.
	Caught bool `json:"caught,omitempty"`
}

// State of an outage.
type OutageState string

const (
	Lasting    OutageState = "lasting"
	CatchingUp OutageState = "catching_up" // it is over, and its posts are being fetched
	CaughtUp   OutageState = "caught_up"
	Lost       OutageState = "lost"
)

// State tells what became of it.
func (o Outage) State() OutageState {
	switch {
	case o.To.IsZero():
		return Lasting
	case o.Lost:
		return Lost
	case o.Caught:
		return CaughtUp
	}
	return CatchingUp
}

// Coverage is the ledger of a source: when it was not heard. It is bounded to
// the last hundred outages of the last year.
type Coverage struct {
	// Since is from when on the ledger is complete: when the source was first
	// run, or later when older outages were forgotten.
	Since   time.Time `json:"since"`
	Outages []Outage  `json:"outages,omitempty"` // in the order they were noticed
}

const (
	maxOutages = 100
	maxLedger  = 365 * 24 * time.Hour
	// shortOutage is what is not worth a line once it was caught up with.
	shortOutage = 5 * time.Minute
	// restart is how long the fetcher may be away without a line: with a
	// cursor, and without one.
	restart, restartLossy = 2 * time.Minute, 5 * time.Second
)

// last returns the latest outage that ok holds of, or nil.
func (c *Coverage) last(ok func(*Outage) bool) *Outage {
	for i := range slices.Backward(c.Outages) {
		if ok(&c.Outages[i]) {
			return &c.Outages[i]
		}
	}
	return nil
}

func (c *Coverage) lasting(cause Cause) *Outage {
	return c.last(func(o *Outage) bool { return o.To.IsZero() && o.Cause == cause })
}

func (c *Coverage) add(o Outage, now time.Time) {
	c.Outages = append(c.Outages, o)
	for len(c.Outages) > 0 {
		first := c.Outages[0]
		old := !first.To.IsZero() && now.Sub(first.To) > maxLedger
		if len(c.Outages) <= maxOutages && !old {
			return
		}
		c.Outages = c.Outages[1:]
		if first.To.After(c.Since) {
			c.Since = first.To
		}
	}
}

// Began notes that the source is run from now on; alive is until when it was
// run before, and replays tells that it goes on from a cursor.
func (c *Coverage) Began(alive, now time.Time, replays bool) {
	if c.Since.IsZero() {
		c.Since = now
		return
	}
	if o := c.lasting(Off); o != nil {
		o.To, o.Lost = now, !replays
		return
	}
	most := restart
	if !replays {
		most = restartLossy
	}
	if !alive.IsZero() && now.Sub(alive) > most && c.lasting(Failing) == nil {
		c.add(Outage{From: alive, To: now, Cause: Stopped, Lost: !replays}, now)
	}
}

// SwitchedOff notes that people have switched the source off. It returns
// whether that is new.
func (c *Coverage) SwitchedOff(now time.Time) bool {
	if c.Since.IsZero() || c.lasting(Off) != nil {
		return false
	}
	if o := c.lasting(Failing); o != nil {
		o.To = now
	}
	c.add(Outage{From: now, Cause: Off}, now)
	return true
}

// Failed notes that the source can't be heard, and not since from. It returns
// whether the ledger has changed.
func (c *Coverage) Failed(from, now time.Time, why string, trouble outbound.Trouble) bool {
	if o := c.lasting(Failing); o != nil {
		changed := o.Why != why
		o.Why, o.Trouble = why, trouble
		return changed
	}
	c.add(Outage{From: from, Cause: Failing, Why: why, Trouble: trouble}, now)
	return true
}

// Told notes a gap that the connector told of.
func (c *Coverage) Told(g Gap, now time.Time) {
	why, trouble := g.Why.Error(), outbound.Explain(g.Why, now)
	if g.From.IsZero() || g.From.Before(c.Since) {
		g.From = c.Since
	}
	if g.To.After(now) {
		g.To = now
	}
	if !g.To.IsZero() && g.To.Before(g.From) {
		g.To = g.From
	}
	if o := c.last(func(o *Outage) bool { return o.Cause == Platform && o.To.IsZero() && o.From.Equal(g.From) }); o != nil {
		o.To, o.Why, o.Trouble, o.Lost = g.To, why, trouble, !g.To.IsZero()
		return
	}
	// Where we were away ourselves, that is the gap, and its posts are lost.
	within := func(o *Outage) bool {
		return o.Cause != Platform && !o.From.After(g.From) && (o.To.IsZero() || !g.To.IsZero() && !g.To.After(o.To))
	}
	if o := c.last(within); o != nil {
		o.Lost, o.Caught = true, false
		if o.Why == "" {
			o.Why, o.Trouble = why, trouble
		} else {
			o.Why += "; " + why
		}
		return
	}
	c.add(Outage{From: g.From, To: g.To, Cause: Platform, Why: why, Trouble: trouble, Lost: !g.To.IsZero()}, now)
}

// Heard notes that the source is heard again at now. Replays tells that it goes
// on from a cursor; whole that everything up to now was fetched, as at the end
// of a poll; told that the connector spoke of a gap meanwhile. It returns
// whether the ledger has changed.
func (c *Coverage) Heard(now time.Time, replays, whole, told bool) bool {
	changed := false
	for i := range c.Outages {
		o := &c.Outages[i]
		switch {
		case o.To.IsZero() && o.Cause == Failing:
			o.To, changed = now, true
			o.Lost = o.Lost || !replays
		case o.To.IsZero() && o.Cause == Platform && whole && !told:
			o.To, o.Lost, changed = now, true, true
		}
		if whole && o.State() == CatchingUp {
			o.Caught, changed = true, true
		}
	}
	c.forgetShort()
	return changed
}

// Reached notes that a stream has come to posts of the time newest: of what was
// before it nothing more is to come.
func (c *Coverage) Reached(newest time.Time) bool {
	changed := false
	for i := range c.Outages {
		if o := &c.Outages[i]; o.State() == CatchingUp && !newest.Before(o.To.Add(-time.Minute)) {
			o.Caught, changed = true, true
		}
	}
	c.forgetShort()
	return changed
}

func (c *Coverage) forgetShort() {
	c.Outages = slices.DeleteFunc(c.Outages, func(o Outage) bool {
		return o.State() == CaughtUp && o.To.Sub(o.From) < shortOutage
	})
}

// At is the ledger as it stands at now, with what nobody wrote down: that the
// source has not been run since p was kept.
func (c Coverage) At(p *Progress, now time.Time) Coverage {
	c.Outages = slices.Clone(c.Outages)
	lasts := slices.ContainsFunc(c.Outages, func(o Outage) bool { return o.To.IsZero() && o.Cause != Platform })
	if !c.Since.IsZero() && !lasts && p.Away(now) {
		c.Outages = append(c.Outages, Outage{From: p.Alive, Cause: Stopped})
	}
	return c
}

// Stretch is a piece of time in which a source was heard in one way.
type Stretch struct {
	From, To time.Time
	Way      Way
}

// Way is how well a source was heard.
type Way string

const (
	Whole   Way = "whole"   // at once
	Late    Way = "late"    // after an outage, but all of it
	Missed  Way = "missed"  // not, or not wholly
	Idle    Way = "idle"    // switched off by people
	Unknown Way = "unknown" // before anything was written down
)

// Over cuts the time between from and to into stretches, without gaps. Where
// outages overlap the worse one counts.
func (c Coverage) Over(from, to time.Time) []Stretch {
	cuts := []time.Time{from, to}
	cut := func(t time.Time) {
		if t.After(from) && t.Before(to) {
			cuts = append(cuts, t)
		}
	}
	cut(c.Since)
	for _, o := range c.Outages {
		cut(o.From)
		cut(o.To)
	}
	slices.SortFunc(cuts, time.Time.Compare)
	var out []Stretch
	for i := range len(cuts) - 1 {
		s := Stretch{cuts[i], cuts[i+1], c.way(cuts[i])}
		if !s.From.Before(s.To) {
			continue
		}
		if n := len(out) - 1; n >= 0 && out[n].Way == s.Way {
			out[n].To = s.To
			continue
		}
		out = append(out, s)
	}
	return out
}

// way is how the source was heard from t on.
func (c Coverage) way(t time.Time) Way {
	if c.Since.IsZero() || t.Before(c.Since) {
		return Unknown
	}
	way := Whole
	for _, o := range c.Outages {
		if t.Before(o.From) || !o.To.IsZero() && !t.Before(o.To) {
			continue
		}
		switch {
		case o.State() == CaughtUp:
			if way == Whole {
				way = Late
			}
		case o.Cause == Off && !(o.Lost && o.Why != ""):
			if way != Missed {
				way = Idle
			}
		default:
			way = Missed
		}
	}
	return way
}
