package pager

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/earshot/earshot/pkg/notify"
)

// errNoMail says that there is no notifier that sends e-mail.
var errNoMail = errors.New("no notifier sends e-mail")

// mail sends a letter for the desk, which has no credentials of mail servers, by
// the first notifier that can: another is tried where one fails.
func (p *pager) mail(ctx context.Context, l notify.Letter) (struct{}, error) {
	channels, err := p.channels(), errNoMail
	for _, id := range slices.Sorted(maps.Keys(channels)) {
		m, ok := channels[id].(notify.Mailer)
		if !ok {
			continue
		}
		if err = m.Mail(ctx, l); err == nil {
			return struct{}{}, nil
		}
		p.log.Warn("letter not sent", "notifier", id, "error", err)
	}
	return struct{}{}, err
}
