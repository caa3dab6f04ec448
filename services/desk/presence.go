package desk

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/mention"
)

// presenceLife is how long somebody is there without a sign of life. Pages
// give one every fifteen seconds.
const presenceLife = 40 * time.Second

// doings are what somebody may be doing on a case.
var doings = []string{"viewing", "editing", "idle"}

// sign is a sign of life, told on the bus and stored nowhere.
type sign struct {
	Case  mention.ID `json:"case"`
	Staff string     `json:"staff"`
	Doing string     `json:"doing"` // one of doings; empty when they left
}

// presence knows who is on which case. It is safe for concurrent use.
type presence struct {
	mu sync.Mutex
	on map[mention.ID]map[string]lately
}

type lately struct {
	doing string
	at    time.Time
}

// note takes in a sign and tells whether anything is different for those who
// look on.
func (p *presence) note(s sign, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	people := p.on[s.Case]
	was, known := people[s.Staff]
	if s.Doing == "" {
		delete(people, s.Staff)
		return known
	}
	if people == nil {
		if p.on == nil {
			p.on = map[mention.ID]map[string]lately{}
		}
		p.sweep(now)
		people = map[string]lately{}
		p.on[s.Case] = people
	}
	people[s.Staff] = lately{s.Doing, now}
	return was.doing != s.Doing || now.Sub(was.at) > presenceLife
}

// sweep forgets people who have given no sign for long, and returns the cases
// that they were on.
func (p *presence) sweep(now time.Time) (left []mention.ID) {
	for id, people := range p.on {
		n := len(people)
		for staff, l := range people {
			if now.Sub(l.at) > presenceLife {
				delete(people, staff)
			}
		}
		if len(people) < n {
			left = append(left, id)
		}
		if len(people) == 0 {
			delete(p.on, id)
		}
	}
	return left
}

// ageOut tells of people who went without a word, until ctx ends.
func (h *hub) ageOut(ctx context.Context) {
	tick := time.NewTicker(presenceLife / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		h.present.mu.Lock()
		left := h.present.sweep(h.desk.Now())
		h.present.mu.Unlock()
		for _, id := range left {
			h.tellPresent(ctx, id)
		}
	}
}

// others are the people on a case but me, by their ids.
func (p *presence) others(id mention.ID, me string, now time.Time) map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]string{}
	for staff, l := range p.on[id] {
		if staff != me && now.Sub(l.at) <= presenceLife {
			out[staff] = l.doing
		}
	}
	return out
}

// at is a case that somebody is on.
type at struct {
	id    mention.ID
	doing string
}

// cases are the cases that people are on, by their ids.
func (p *presence) cases(now time.Time) map[string][]at {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string][]at{}
	for id, people := range p.on {
		for staff, l := range people {
			if now.Sub(l.at) <= presenceLife {
				out[staff] = append(out[staff], at{id, l.doing})
			}
		}
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b at) int { return strings.Compare(string(a.id), string(b.id)) })
	}
	return out
}

// hearSigns follows the signs of all desks until ctx ends.
func (h *hub) hearSigns(ctx context.Context) error {
	err := bus.Hear(ctx, h.desk.Bus, "present", func(_ string, s sign) {
		if h.present.note(s, h.desk.Now()) {
			h.tellPresent(ctx, s.Case)
		}
	})
	if err != nil {
		return fmt.Errorf("live: %w", err)
	}
	go h.ageOut(ctx)
	return nil
}

// presentOn are the others on a case, by name.
func (c *call) presentOn(id mention.ID) []presentView {
	var out []presentView
	for staff, doing := range c.live.present.others(id, c.viewer.Actor(), c.l.now) {
		out = append(out, presentView{c.who(staff), doing})
	}
	slices.SortFunc(out, func(a, b presentView) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// signOfLife notes that the caller is on a case, and answers with the others.
func (c *call) signOfLife() error {
	s, err := c.Cases.Get(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")))
	if err != nil {
		return err
	}
	doing := c.form("doing")
	if doing != "" && !slices.Contains(doings, doing) || c.staff == nil {
		return &inputError{"doing: want viewing, editing, idle or nothing"}
	}
	if err := c.Bus.Tell("present", sign{s.ID, c.staff.ID, doing}); err != nil {
		return err
	}
	return c.show(http.StatusOK, "case", "present", c.presentOn(s.ID))
}
