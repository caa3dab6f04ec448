package pager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/notify"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/settings"
)

// recent is how long an escalation that is over is still looked at, for the
// channels that have to be told.
const recent = 24 * time.Hour

// rush is how long what happens is gathered before all is looked at again.
const rush = 100 * time.Millisecond

// linkLife is how long a link in a page acknowledges.
const linkLife = 72 * time.Hour

// climb looks at every live escalation each second, and soon when something
// happened to one.
func (p *pager) climb(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		changed := p.board.Changed()
		live := p.board.All(func(s *escalation.State) bool {
			return s.Open() || s.Resolved != nil && p.now().Sub(s.Resolved.At) < recent
		})
		for i := range live {
			if err := p.step(ctx, live[i].Key); err != nil && ctx.Err() == nil {
				p.log.Error("escalation stands still; trying again", "escalation", live[i].Key, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-changed:
			// What happens in a rush is looked at together. A page that opens
			// or joins something has been stepped already.
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(rush):
			}
		}
	}
}

// step sends what an escalation's ladder has due. An attempt is written down
// before it is made, by whoever is first.
func (p *pager) step(ctx context.Context, id string) error {
	s, ok := p.board.Get(id)
	if !ok {
		return nil
	}
	policy := p.settings.Policy()
	channels := p.channels()
	policy.Roster = p.roster(s.Brand, channels)
	actions := escalation.Plan(s, policy, p.now())
	p.nobody(id, s.Brand, actions.Nobody)
	for _, send := range actions.Send {
		won := false
		after, err := p.board.Record(ctx, id, escalation.System, p.now(), func(now *escalation.State) (escalation.Event, bool) {
			plan := escalation.Plan(*now, policy, p.now())
			won = slices.Contains(plan.Send, send)
			e := send.Event(escalation.Sending)
			e.NextAt = plan.Next
			return e, won
		})
		if err != nil {
			return err
		}
		if won {
			p.inTurn(id+" "+send.Channel+" "+send.Target, func() {
				p.send(context.WithoutCancel(ctx), after, policy, send, channels[send.Channel])
			})
		}
	}
	return nil
}

// inTurn runs send in the background, after what was sent along the same lane
// before: a channel that hears of an acknowledgement after the next trigger
// would fall silent.
func (p *pager) inTurn(lane string, send func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, done := p.lanes[lane], make(chan struct{})
	if p.lanes == nil {
		p.lanes = map[string]chan struct{}{}
	}
	p.lanes[lane] = done
	go func() {
		if before != nil {
			<-before
		}
		send()
		close(done)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.lanes[lane] == done {
			delete(p.lanes, lane)
		}
	}()
}

// nobody says once of an escalation that its ladder leads to no one, and again
// when that comes back.
func (p *pager) nobody(id, brand string, is bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if is && !p.silent[id] {
		p.log.Error("nobody can be paged: set up a notifier and a person with the role pr_lead", "escalation", id, "brand", brand)
	}
	if !is {
		delete(p.silent, id)
		return
	}
	if p.silent == nil {
		p.silent = map[string]bool{}
	}
	p.silent[id] = true
}

// send makes one attempt and writes down what became of it. If that can't be
// written, the attempt is made again with the same key.
func (p *pager) send(ctx context.Context, s escalation.State, policy escalation.Policy, send escalation.Send, n notify.Notifier) {
	ctx, cancel := context.WithTimeout(ctx, notify.Timeout)
	defer cancel()
	var receipt notify.Receipt
	err := bus.Permanent(outbound.Absent.Of(errors.New("the notifier is gone")))
	if n != nil {
		receipt, err = n.Notify(ctx, p.page(&s, send))
	}
	e := send.Event(escalation.Sent)
	if receipt.Delivered {
		e.Outcome = escalation.Delivered
	}
	e.Ref = receipt.Ref
	if err != nil {
		outcome := escalation.Failed
		if perm, ok := errors.AsType[interface {
			error
			Permanent() bool
		}](err); ok && perm.Permanent() {
			outcome = escalation.Refused
		}
		e = send.Event(outcome)
		e.Error, e.Trouble, e.Ref = err.Error(), outbound.Explain(err, p.now()), receipt.Ref
		if d, ok := bus.RetryAfter(err); ok {
			e.RetryAt = p.now().Add(d)
		}
		p.log.Warn("page not delivered", "escalation", s.Key, "channel", send.Channel, "attempt", send.Attempt, "error", err)
	}
	write, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	_, err = p.board.Record(write, s.Key, escalation.System, p.now(), func(now *escalation.State) (escalation.Event, bool) {
		after := *now
		after.Pages = slices.Clone(now.Pages)
		after.Apply(&e)
		e.NextAt = escalation.Plan(after, policy, p.now()).Next
		return e, true
	})
	if err != nil {
		p.log.Error("outcome of a page not written down; it will be sent again", "escalation", s.Key, "error", err)
	}
}

func (p *pager) page(s *escalation.State, send escalation.Send) notify.Page {
	page := notify.Page{
		Key: send.Key, Action: send.Action, Escalation: s.Key, Brand: s.Brand, Category: s.Category, Origin: s.Origin,
		Urgency: s.Urgency, Reason: s.Rule, Title: s.Title, Excerpt: s.Excerpt, Author: s.Author, Platform: s.Platform,
		Ground: s.Ground, Trouble: s.Trouble, Count: s.Count, Reach: s.Reach, URL: strings.TrimSuffix(p.url, "/") + "/escalations/" + s.Key, At: s.OpenedAt, Lang: s.Lang,
		Stands: stands(s), Ref: ref(s, send), Erased: s.Redacted,
	}
	if s.Brand == identity.AllBrands {
		page.Brand = "Earshot"
	}
	if b, ok := settings.Brands.Get(p.settings, s.Brand); ok {
		page.Brand = b.Name
		if b.Lang != "" {
			page.Lang = b.Lang
		}
		if z, err := time.LoadLocation(b.TimeZone); err == nil && b.TimeZone != "" {
			page.At = page.At.In(z)
		}
	}
	if who, ok := settings.Staff.Get(p.settings, send.Target); ok && !who.Disabled {
		page.To = notify.Recipient{Name: who.Name, Email: who.Email}
		if who.Lang != "" {
			page.Lang = who.Lang
		}
	}
	if send.Action == escalation.Trigger || stands(s) == escalation.Trigger {
		page.AckURL = strings.TrimSuffix(p.url, "/") + "/ack/" + p.signer.Sign(identity.Paged{
			Escalation: s.Key, Recipient: send.Target, Expires: p.now().Add(linkLife),
		})
	} else if m := cmp.Or(s.Resolved, s.Acked); m != nil {
		if page.By = m.By; page.By == escalation.System {
			page.By = ""
		}
		if who, ok := settings.Staff.Get(p.settings, m.By); ok {
			page.By = who.Name
		}
	}
	return page
}

func stands(s *escalation.State) escalation.Action {
	switch {
	case s.Resolved != nil:
		return escalation.Resolve
	case s.Acked != nil:
		return escalation.Acknowledge
	}
	return escalation.Trigger
}

// ref is what the channel calls the first message about s that it took for the
// same target: those that follow belong to it.
func ref(s *escalation.State, send escalation.Send) string {
	for i := range s.Pages {
		if page := &s.Pages[i]; page.Channel == send.Channel && page.Target == send.Target && page.Ref != "" {
			return page.Ref
		}
	}
	return ""
}

// opened is a notifier as its settings had it.
type opened struct {
	of settings.Notifier
	notify.Notifier
}

// channels are the notifiers that are switched on. They stay open until their
// settings change.
func (p *pager) channels() map[string]notify.Notifier {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]notify.Notifier{}
	for id, n := range settings.Notifiers.All(p.settings) {
		if n.Off {
			continue
		}
		o, ok := p.notifiers[id]
		if !ok || !reflect.DeepEqual(o.of, n) {
			conn, err := p.connect(n)
			if err != nil {
				p.log.Error("notifier can't be used", "notifier", id, "error", err)
			}
			// Also a failure is kept, so that it is told once.
			o = opened{n, conn}
			p.notifiers[id] = o
		}
		if o.Notifier != nil {
			out[id] = o.Notifier
		}
	}
	return out
}

// connect opens a notifier.
func (p *pager) connect(n settings.Notifier) (notify.Notifier, error) {
	i := slices.IndexFunc(notify.Kinds, func(k notify.Kind) bool { return k.Name == n.Kind })
	if i < 0 {
		return nil, fmt.Errorf("there is no kind %q", n.Kind)
	}
	cfg, err := p.opener.Open(n.Config)
	if err != nil {
		return nil, err
	}
	return notify.Kinds[i].Open(cfg, notify.Deps{Client: p.http, Now: p.now, Data: p.data})
}

// roster is today's staff and channels for a brand.
func (p *pager) roster(brand string, channels map[string]notify.Notifier) escalation.Roster {
	r := escalation.Roster{Groups: p.settings.Groups(brand)}
	for id, n := range channels {
		r.Channels = append(r.Channels, escalation.Channel{ID: id, Shared: !notify.IsPersonal(n)})
	}
	slices.SortFunc(r.Channels, func(a, b escalation.Channel) int { return strings.Compare(a.ID, b.ID) })
	return r
}
