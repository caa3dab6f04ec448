package pager

import (
	"context"
	"errors"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/source"
)

// canarySubject is what an escalation about the line is about.
var canarySubject = escalation.SourceSubject("_canary")

// canaries tells once when no canary comes through any more, and that they do
// again. Begun is from when on we have watched.
func (p *pager) canaries(ctx context.Context, begun time.Time) error {
	var c source.Canary
	if _, err := bus.Cursors.Get(ctx, p.bus, source.CanaryKey, &c); err != nil {
		if errors.Is(err, bus.ErrNotFound) {
			return nil
		}
		return err
	}
	if c.Overdue(begun, p.now()) {
		return p.standstill(ctx, &c)
	}
	var errs []error
	for _, s := range p.board.All(func(s *escalation.State) bool { return s.Open() && s.Origin == escalation.ByCanary }) {
		errs = append(errs, p.passed(ctx, s.Key))
	}
	return errors.Join(errs...)
}

// standstill opens an escalation about the line: its id is made of the last
// canary that came, so that whoever closes it is not told again.
func (p *pager) standstill(ctx context.Context, c *source.Canary) error {
	policy := p.settings.Policy()
	urgency := policy.Urgency(escalation.Reason{Brand: identity.AllBrands, Origin: escalation.ByCanary}, p.now())
	id := escalation.ID(identity.AllBrands, canarySubject, uint64(max(c.Back.UnixMilli(), 0)))
	if _, told := p.board.Get(id); told || urgency == escalation.Ignore {
		return nil
	}
	rule := "none has come through yet"
	if !c.Back.IsZero() {
		rule = "the last one came " + c.Back.UTC().Format("2006-01-02 15:04 UTC")
	}
	return p.open(ctx, id, escalation.Event{
		Kind: escalation.Opened, Brand: identity.AllBrands, Subjects: []string{canarySubject}, Urgency: urgency,
		Origin: escalation.ByCanary, Rule: rule, Ground: escalation.Ground{Last: c.Back, Usual: c.Every.Seconds()}, Title: "Earshot", URL: "/sources",
	})
}
