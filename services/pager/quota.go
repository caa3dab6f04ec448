package pager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/notify"
	"github.com/earshot/earshot/pkg/settings"
)

// countEvery is how often notifiers that count messages are asked how many are
// left. With 200 in a month, a fifth is not sent within an hour.
const countEvery = time.Hour

// quotas tells of notifiers that will soon take no more messages, once in each
// of their periods, and that they do again.
func (p *pager) quotas(ctx context.Context) error {
	short := map[string]bool{} // by subject
	var errs []error
	for id, n := range p.channels() {
		metered, ok := n.(notify.Metered)
		if !ok {
			continue
		}
		subject := escalation.NotifierSubject(id)
		asking, cancel := context.WithTimeout(ctx, notify.Timeout)
		q, err := metered.Quota(asking)
		cancel()
		if err != nil {
			short[subject] = true // not known is not filled up
			errs = append(errs, fmt.Errorf("notifier %s: %w", id, err))
			continue
		}
		if q.Short() {
			short[subject] = true
			errs = append(errs, p.short(ctx, id, q))
		}
	}
	over := p.board.All(func(s *escalation.State) bool {
		return s.Open() && s.Origin == escalation.ByQuota && !slices.ContainsFunc(s.Subjects, func(x string) bool { return short[x] })
	})
	for _, s := range over {
		errs = append(errs, p.passed(ctx, s.Key))
	}
	return errors.Join(errs...)
}

// passed resolves an escalation that has ended by itself.
func (p *pager) passed(ctx context.Context, id string) error {
	_, err := p.board.Record(ctx, id, escalation.System, p.now(), func(s *escalation.State) (escalation.Event, bool) {
		return escalation.Event{Kind: escalation.Resolved}, s.Open()
	})
	return cmp.Or(err, p.step(ctx, id))
}

// short opens an escalation about a notifier with few messages left: its id is
// made of the period, so that whoever closes it is not told again.
func (p *pager) short(ctx context.Context, notifier string, q notify.Quota) error {
	subject := escalation.NotifierSubject(notifier)
	policy := p.settings.Policy()
	urgency := policy.Urgency(escalation.Reason{Brand: identity.AllBrands, Origin: escalation.ByQuota}, p.now())
	id := escalation.ID(identity.AllBrands, subject, uint64(q.Since.UnixMilli()))
	if _, told := p.board.Get(id); told || urgency == escalation.Ignore {
		return nil
	}
	have, _ := settings.Notifiers.Get(p.settings, notifier)
	return p.open(ctx, id, escalation.Event{
		Kind: escalation.Opened, Brand: identity.AllBrands, Subjects: []string{subject}, Urgency: urgency, Origin: escalation.ByQuota,
		Rule: fmt.Sprintf("%d of %d messages used", q.Used, q.Limit), Ground: escalation.Ground{Count: q.Used, Limit: q.Limit}, Title: cmp.Or(have.Name, notifier), URL: "/notifiers",
	})
}
