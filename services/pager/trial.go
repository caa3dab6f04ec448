package pager

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/earshot/earshot/pkg/notify"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/settings"
)

// test sends a test by a notifier, opened anew from its settings.
func (p *pager) test(ctx context.Context, t notify.Trial) (notify.Tried, error) {
	s, ok := settings.Notifiers.Get(p.settings, t.Notifier)
	if !ok {
		return notify.Tried{}, fmt.Errorf("there is no notifier %q", t.Notifier)
	}
	n, err := p.connect(s)
	if err != nil {
		return notify.Tried{Error: err.Error(), Trouble: outbound.Explain(outbound.Settings.Of(err), p.now())}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, notify.Timeout)
	defer cancel()
	out := notify.Tried{Personal: notify.IsPersonal(n)}
	receipt, err := notify.Test(ctx, n, "test-"+rand.Text(), t.Lang, t.To, p.now())
	if err != nil {
		p.log.Warn("a test was not taken", "notifier", s.ID, "error", err)
		out.Error, out.Trouble = err.Error(), outbound.Explain(err, p.now())
	}
	out.Delivered = receipt.Delivered
	return out, nil
}
