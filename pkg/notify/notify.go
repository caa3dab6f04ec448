// Package notify carries pages to people and to other pagers: one file for
// each notifier, and [Kinds], their list.
//
// A notifier makes one attempt. Whether to try again is told by its error (see
// [Notifier]); when, and whom to try next, is the ladder's business. Messages
// say calmly what happened, why it pages and what to do, and carry little of
// what the author wrote: chat rooms and mailboxes outlive an erasure.
package notify

import (
	"context"
	"fmt"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

// Timeout bounds one call of [Notifier.Notify]. It is shorter than
// [escalation.SendTimeout], so that an attempt has ended before the next.
const Timeout = 20 * time.Second

// Notifier sends pages. It is safe for concurrent use.
type Notifier interface {
	// Notify makes one attempt at p, within [Timeout]. Without an error the
	// far side took it over, and the receipt tells how far it has come. An
	// error with Permanent() true is pointless to retry, one with
	// RetryAfter() asks for a pause, any other may pass. A retry with the
	// same Key is recognised by the far side, as far as it can. No error
	// holds a secret.
	Notify(ctx context.Context, p Page) (Receipt, error)
}

// Receipt is what the far side said of a page that it took.
type Receipt struct {
	// Delivered tells that the message is where it is read. Otherwise it was
	// accepted: pagers, mail servers and flows may still be at work.
	Delivered bool
	// Ref is what the far side calls the message, from those that can be added
	// to: later pages of the escalation bring it back in [Page.Ref], and
	// whoever gives one is also sent [escalation.Update].
	Ref string
}

// Metered is an ability of notifiers whose far side counts messages and takes
// no more after a number of them.
type Metered interface {
	// Quota asks for what was used of this month's messages.
	Quota(ctx context.Context) (Quota, error)
}

// Quota is how many messages the far side takes in a period, and took.
type Quota struct {
	Used  int64
	Limit int64     // 0 for none
	Since time.Time // when the period began
}

// Short tells that a fifth or less is left.
func (q Quota) Short() bool { return q.Limit > 0 && (q.Limit-q.Used)*5 <= q.Limit }

// Personal is an ability of notifiers that may reach the one person in
// [Page.To]. Others reach a room or another pager, and so do these while
// Personal reports false: one page is enough then, whomever it is for.
type Personal interface {
	Personal() bool
}

// Letter is a message to one person that is no page, as an invitation is.
type Letter struct {
	Key     string // de-duplication key, as of a [Page]
	To      Recipient
	Subject string
	Text    string
}

// Mailer is an ability of notifiers that send e-mail. Mail makes one attempt,
// within [Timeout], with the errors of [Notifier.Notify].
type Mailer interface {
	Mail(ctx context.Context, l Letter) error
}

// IsPersonal tells whether n needs a page for each person.
func IsPersonal(n Notifier) bool {
	p, ok := n.(Personal)
	return ok && p.Personal()
}

// lasting marks notifiers whose far side keeps an incident open until it is
// resolved.
type lasting interface{ lasting() }

// Page is one page. Text in it may be hostile; notifiers clean and escape it.
type Page struct {
	Key        string // de-duplication key: the same for every attempt at this page
	Action     escalation.Action
	Stands     escalation.Action // Trigger until somebody has it, then Acknowledge, then Resolve
	Escalation string            // ties the pages of an escalation together
	Test       bool              // marked as a test for its reader
	Ref        string            // of the first message about the escalation, from its [Receipt]
	Erased     bool              // what an outsider wrote is erased, and is to go from the message too

	Brand    string // as people call it
	Category mention.Category
	Origin   escalation.Origin
	Urgency  escalation.Urgency
	Reason   string            // the rule behind it; by hand, the colleague's note; English for figures
	Ground   escalation.Ground // the figures, said instead of Reason
	Trouble  outbound.Trouble  // what stops a silent source
	Title    string
	Excerpt  string
	Author   string
	Platform string
	Count    int   // mentions in it; for a volume, negative ones in ten minutes
	Reach    int64 // people reached; 0 where unknown

	URL    string // the case in the desk
	AckURL string // opens a page whose button acknowledges
	To     Recipient
	By     string // who acknowledged or resolved it, as colleagues call them
	// At is when the thing happened. It is shown in its own location.
	At   time.Time
	Lang string // "ja" or "en": what To reads; anything else is English
}

// Recipient is who a page is for, as far as the notifier needs to know.
type Recipient struct {
	Name  string
	Email string
}

// Deps is what notifiers need besides their configuration.
type Deps struct {
	Client *outbound.Client
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	// Data is the data folder; only the sandbox writes there.
	Data string
}

func (d Deps) now() time.Time {
	if d.Now == nil {
		return time.Now()
	}
	return d.Now()
}

// Kind is one sort of notifier.
type Kind = config.Kind[Deps, Notifier]

// Kinds are all notifiers.
var Kinds = []Kind{
	config.NewKind("pagerduty", "PagerDuty and others that take its Events API v2: one incident per escalation.", pagerDutyDefaults, openPagerDuty),
	config.NewKind("webhook", "A JSON request to an address of yours, signed as Standard Webhooks (HMAC-SHA256).", webhookDefaults, openWebhook),
	config.NewKind("email", "E-mail to the person on the ladder, or to fixed addresses.", emailDefaults, openEmail),
	config.NewKind("slack", "Slack: a channel by its incoming webhook, or a bot that keeps one message for an escalation and tells its course in the thread.", slackDefaults, openSlack),
	config.NewKind("teams", "Microsoft Teams: a chat or channel, by a flow of the Workflows app.", teamsDefaults, openTeams),
	config.NewKind("lineworks", "LINE WORKS: a bot writes to a message room, or to the person on the ladder.", lineWorksDefaults, openLineWorks),
	config.NewKind("line", "LINE: a group or person, by the Messaging API. Its messages are counted, and few are free: for small teams, beside another way.", lineDefaults, openLine),
	config.NewKind("goalert", "GoAlert, by the Generic API key of a service: one alert per escalation.", goAlertDefaults, openGoAlert),
	config.NewKind("alertmanager", "Prometheus Alertmanager: one alert per escalation, routed by its labels.", alertmanagerDefaults, openAlertmanager),
	config.NewKind("shoutrrr", "Notices by Shoutrrr: Discord, Gotify, Mattermost, ntfy, Pushover, Rocket.Chat. Not for waking: pages that wait for somebody are refused.", shoutrrrDefaults, openShoutrrr),
	config.NewKind("sandbox", "A file in the data folder, for demonstrations and drills: nobody is called.", sandboxDefaults, openSandbox),
}

// Wakes tells whether notifiers of a kind take pages that wait for somebody; the
// others take notices alone.
func Wakes(kind string) bool { return kind != "shoutrrr" }

// Trial asks the pager for a [Test]: verb "test".
type Trial struct {
	Notifier string    `json:"notifier"` // id; one that is switched off can be tried too
	To       Recipient `json:"to"`
	Lang     string    `json:"lang"`
}

// Tried is what came of a trial.
type Tried struct {
	Delivered bool `json:"delivered"` // see [Receipt]
	// Personal tells that it went to whom the trial named, not to a room or
	// another pager.
	Personal bool             `json:"personal"`
	Error    string           `json:"error,omitempty"`  // why it was not taken, English
	Trouble  outbound.Trouble `json:"trouble,omitzero"` // Error as data
}

// Test sends a page marked as a test, in lang, so that people can see that a
// notifier works before they depend on it. key must be new each time. The
// test is ended at once where the far side keeps incidents open.
func Test(ctx context.Context, n Notifier, key, lang string, to Recipient, now time.Time) (Receipt, error) {
	p := Page{
		Key: key, Action: escalation.Trigger, Stands: escalation.Trigger, Escalation: key, Test: true, Brand: "Earshot",
		Urgency: escalation.Notify, To: to, At: now, Lang: lang,
	}
	receipt, err := n.Notify(ctx, p)
	if _, ok := n.(lasting); err != nil || !ok {
		return receipt, err
	}
	p.Action, p.Stands, p.Ref = escalation.Resolve, escalation.Resolve, receipt.Ref
	_, err = n.Notify(ctx, p)
	return receipt, err
}

// refusal is a failure that no retry mends.
type refusal struct{ error }

func (refusal) Permanent() bool { return true }
func (r refusal) Unwrap() error { return r.error }

// Trouble is that of the error within. What nobody knows a reason for was
// refused by us, for how the notifier or the recipient is set up.
func (r refusal) Trouble() outbound.Trouble {
	t := outbound.Explain(r.error, time.Time{})
	if t.Reason == outbound.Other {
		t.Reason = outbound.Settings
	}
	return t
}

func refuse(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }
