package desk

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/notify"
	"github.com/earshot/earshot/pkg/settings"
)

// trialTime bounds what the pager does for a test.
const trialTime = notify.Timeout + 5*time.Second

// notifiers lists the ways to page people.
func (c *call) notifiers() error {
	if err := c.configures(); err != nil {
		return err
	}
	say := c.l.say
	v := &connectionsView{frame: c.frame(say("nav.notifiers"), "/notifiers"), Lead: say("notifier.lead"), New: "/notifiers/new"}
	for _, n := range settings.Notifiers.List(c.Settings) {
		v.Rows = append(v.Rows, connectionRow{Href: "/notifiers/" + n.ID, Name: n.Name, Kind: say("kind.notifiers." + n.Kind), Off: n.Off})
	}
	v.Notice = c.gapNotice(ofNotifiers)
	if len(v.Rows) == 0 {
		v.Notice = &notice{Kind: "empty", Title: say("notifier.none"), Text: say("notifier.none_text")}
	}
	return c.show(http.StatusOK, "connections", "page", v)
}

// showNotifier shows the form of a notifier, with a way to try what is stored.
func (c *call) showNotifier(status int, s family, v connected, kind *kindView, wrong map[string]string, n *notice) error {
	say := c.l.say
	page := c.connectionForm(s, v, kind, wrong)
	if n != nil {
		page.Notice = n
	}
	if v.id != "" {
		page.Second = &formView{
			Action: "/notifiers/" + v.id + "/test", Button: say("notifier.test_send"),
			Groups: []fieldGroup{{Label: say("notifier.test"), Hint: say("notifier.test_hint")}},
		}
	}
	return c.show(status, "form", "page", page)
}

// testNotifier sends a test to whoever asks, or to the notifier's room or pager.
func (c *call) testNotifier() error {
	s := notifierFamily().called(c.l)
	v, kind, err := c.wantedConnection(s)
	if err != nil {
		return err
	}
	if v.id == "" || kind == nil {
		return errNotFound
	}
	me, _ := settings.Staff.Get(c.Settings, c.viewer.Actor())
	ctx, cancel := c.within(trialTime)
	defer cancel()
	t, err := bus.Ask[notify.Trial, notify.Tried](ctx, c.Bus, "pager", "test", notify.Trial{
		Notifier: v.id, To: notify.Recipient{Name: me.Name, Email: me.Email}, Lang: c.l.lang,
	})
	say, status := c.l.say, http.StatusOK
	n := &notice{Kind: "info", Title: say("notifier.test_taken"), Text: say("notifier.test_taken_text")}
	switch {
	case errors.Is(err, bus.ErrAbsent) || errors.Is(err, context.DeadlineExceeded):
		status, n = http.StatusUnprocessableEntity, &notice{Kind: "stale", Title: say("notifier.no_pager"), Text: say("notifier.no_pager_text")}
	case err != nil:
		return err
	case t.Error != "":
		status, n = http.StatusUnprocessableEntity, &notice{Kind: "error", Title: say("notifier.test_refused"), Trouble: c.l.trouble(t.Trouble, t.Error, time.Time{}), Kept: say("notifier.test_refused_text")}
	case t.Personal:
		n.Text = say("notifier.test_yours", me.Email)
	case t.Delivered:
		n.Title, n.Text = say("notifier.test_delivered"), say("notifier.test_delivered_text")
	}
	return c.showNotifier(status, s, v, kind, nil, n)
}
