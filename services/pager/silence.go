package pager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

// listenEvery is how often the sources' progress is looked at. A silence is an
// hour long before it is one.
const listenEvery = time.Minute

// listen tells of sources that have fallen silent, and of those that are heard
// again.
func (p *pager) listen(ctx context.Context) error {
	tick := time.NewTicker(listenEvery)
	defer tick.Stop()
	var counted time.Time
	begun := p.now()
	for {
		if now := p.now(); now.Sub(counted) >= countEvery {
			counted = now
			if err := p.quotas(ctx); err != nil && ctx.Err() == nil {
				p.log.Warn("messages left not known; asking again", "error", err)
			}
		}
		if err := p.silences(ctx); err != nil && ctx.Err() == nil {
			p.log.Error("sources not looked at; trying again", "error", err)
		}
		if err := p.canaries(ctx, begun); err != nil && ctx.Err() == nil {
			p.log.Error("canaries not looked for; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// silences holds the escalations about sources to how the sources fare now.
func (p *pager) silences(ctx context.Context) error {
	silent := map[string]bool{} // by subject
	var errs []error
	for _, src := range settings.Sources.List(p.settings) {
		if src.Off {
			continue
		}
		var progress source.Progress
		if _, err := bus.Cursors.Get(ctx, p.bus, source.ProgressKey(src.ID), &progress); errors.Is(err, bus.ErrNotFound) {
			continue
		} else if err != nil {
			// Not known is not heard again.
			silent[escalation.SourceSubject(src.ID)] = true
			errs = append(errs, err)
			continue
		}
		if progress.Silent {
			silent[escalation.SourceSubject(src.ID)] = true
			errs = append(errs, p.silence(ctx, &src, &progress))
		}
	}
	over := p.board.All(func(s *escalation.State) bool {
		return s.Open() && s.Origin == escalation.BySilence && !slices.ContainsFunc(s.Subjects, func(x string) bool { return silent[x] })
	})
	for _, s := range over {
		errs = append(errs, p.passed(ctx, s.Key))
	}
	return errors.Join(errs...)
}

// silence opens an escalation about a silent source, once in a silence: its id
// is made of the last item's arrival, so that whoever closes it is not told of
// the same silence again.
func (p *pager) silence(ctx context.Context, src *settings.Source, progress *source.Progress) error {
	brand := cmp.Or(src.Brand, identity.AllBrands)
	subject := escalation.SourceSubject(src.ID)
	policy := p.settings.Policy()
	urgency := policy.Urgency(escalation.Reason{Brand: brand, Origin: escalation.BySilence}, p.now())
	id := escalation.ID(brand, subject, uint64(progress.Taken.UnixMilli()))
	if _, told := p.board.Get(id); told || urgency == escalation.Ignore {
		return nil
	}
	if _, open := p.about(brand, []string{subject}); open {
		return nil
	}
	rule := fmt.Sprintf("last post %s, usually every %s", progress.Taken.UTC().Format("2006-01-02 15:04 UTC"), progress.Gap.Round(time.Second))
	if progress.Error != "" {
		rule += "; " + progress.Error
	}
	return p.open(ctx, id, escalation.Event{
		Kind: escalation.Opened, Brand: brand, Subjects: []string{subject}, Urgency: urgency, Origin: escalation.BySilence,
		Rule: rule, Ground: escalation.Ground{Last: progress.Taken, Usual: progress.Gap.Seconds()}, Trouble: progress.Trouble,
		Title: cmp.Or(src.Name, src.ID), URL: "/sources",
	})
}
