package app

import (
	"context"
	"fmt"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// Cases takes commands on cases. With index nil only cases that somebody has
// touched are known to it.
func (e *Env) Cases(index search.Engine) *casework.Store { return e.CasesAt(index, e.Now) }

// CasesAt is Cases with a clock of its own.
func (e *Env) CasesAt(index search.Engine, now func() time.Time) *casework.Store {
	s := e.app.settings
	row := func(ctx context.Context, id mention.ID) (search.Document, error) {
		if index == nil {
			return search.Document{}, nil
		}
		docs, err := index.Get(ctx, search.SeesAll(), id)
		if err != nil || len(docs) == 0 {
			return search.Document{}, err
		}
		return docs[0], nil
	}
	return casework.NewStore(e.app.bus, casework.Source{
		Tagged: func(ctx context.Context, id mention.ID) ([]uint64, error) {
			d, err := row(ctx, id)
			return d.Tagged, err
		},
		Archived: func(ctx context.Context, id mention.ID) (uint64, error) {
			d, err := row(ctx, id)
			if err == nil && d.Archived == 0 && d.Owner == search.OwnerCase {
				err = bus.ErrNotFound
			}
			return d.Archived, err
		},
		Triage: func(m *mention.Mention, v *mention.Verdict) casework.Triage {
			return s.Triage(m, v, casework.Signals{})
		},
		Template: func(id string) (casework.Template, bool) { return settings.Templates.Get(s, id) },
		Rules: func() casework.Rules {
			r, _ := settings.Rules.Get(s, settings.Default)
			return r
		},
		Check: func(st *casework.State, d *casework.Draft) error {
			if !s.MayAnswer(&st.Mention, d.Account) {
				return fmt.Errorf("account: %s does not answer for this brand on this platform; choose another", d.Account)
			}
			if l := s.LimitFor(&st.Mention, d.Account); !l.Fits(d.Text) {
				return fmt.Errorf("the reply is %d %s long, the platform takes %d", l.Count(d.Text), l.Unit, l.Max)
			}
			return nil
		},
		Clock: s.Clock,
		Read: func(st *casework.State, d *casework.Draft) []casework.Finding {
			return s.CheckReply(st.Mention.Brand, d.Lang, d.Text)
		},
		Hold:    s.HoldFor,
		Stopped: func(st *casework.State) (string, bool) { return s.StopFor(st.Mention.Brand, st.Verdict.Story) },
	}, now, e.Log)
}
