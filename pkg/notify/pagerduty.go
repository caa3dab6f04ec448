package notify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/outbound"
)

type pagerDutyConfig struct {
	RoutingKey config.Secret `yaml:"routing_key" doc:"Integration key of an Events API v2 integration." required:"true"`
	Region     string        `yaml:"region" doc:"Where the account is." enum:"us,eu"`
	URL        config.Secret `yaml:"url" doc:"Another receiver of the Events API v2, instead of PagerDuty."`
	Quote      bool          `yaml:"quote" doc:"Quote the post and name its author."`
}

var pagerDutyDefaults = pagerDutyConfig{Region: "us", Quote: true}

// pagerDuty keeps one incident per escalation: its key is the escalation, not
// the page. Further rungs and rounds add to the open incident, and waking the
// next person in PagerDuty is its own escalation policy's work; two ladders
// would ring against each other.
type pagerDuty struct {
	cfg    pagerDutyConfig
	client *outbound.Client
}

func openPagerDuty(c pagerDutyConfig, d Deps) (Notifier, error) {
	if c.URL.IsZero() {
		// By support.pagerduty.com, docs/service-regions and docs/safelist-ips.
		host := map[string]string{"us": "events.pagerduty.com", "eu": "events.eu.pagerduty.com"}[cmp.Or(c.Region, "us")]
		c.URL = config.NewSecret("https://" + host + "/v2/enqueue")
	}
	return &pagerDuty{c, d.Client}, nil
}

func (*pagerDuty) lasting() {}

// pagerDutyEvent is a request of the Events API v2.
type pagerDutyEvent struct {
	RoutingKey string            `json:"routing_key"`
	Action     escalation.Action `json:"event_action"`
	Key        string            `json:"dedup_key"`
	Client     string            `json:"client,omitempty"`
	ClientURL  string            `json:"client_url,omitempty"`
	Links      []pagerDutyLink   `json:"links,omitempty"`
	Payload    *pagerDutyPayload `json:"payload,omitempty"`
}

type pagerDutyLink struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

type pagerDutyPayload struct {
	Summary   string         `json:"summary"` // at most pagerDutySummary
	Source    string         `json:"source"`
	Severity  string         `json:"severity"`
	Timestamp string         `json:"timestamp,omitempty"`
	Component string         `json:"component,omitempty"`
	Group     string         `json:"group,omitempty"`
	Class     string         `json:"class,omitempty"`
	Details   map[string]any `json:"custom_details,omitempty"`
}

func (n *pagerDuty) Notify(ctx context.Context, p Page) (Receipt, error) {
	key, err := n.cfg.RoutingKey.Reveal()
	if err != nil {
		return Receipt{}, refusal{err}
	}
	e := pagerDutyEvent{RoutingKey: key, Action: p.Action, Key: incidentKey(p.Escalation)}
	if p.Action == escalation.Trigger {
		m := compose(p, n.cfg.Quote)
		e.Client, e.ClientURL = "Earshot", p.URL
		for _, l := range m.Links {
			e.Links = append(e.Links, pagerDutyLink{Href: l.URL, Text: l.Label})
		}
		e.Payload = &pagerDutyPayload{
			Summary: cutRunes(m.Subject, pagerDutySummary), Source: cmp.Or(clean(p.Brand), "Earshot"), Severity: severity(p),
			Timestamp: stamp(p.At), Component: clean(p.Platform), Group: clean(p.Brand), Class: string(p.Category),
			Details: map[string]any{"text": m.plain()},
		}
	}
	body, err := json.Marshal(e)
	if err != nil {
		return Receipt{}, refuse("encode event: %w", err)
	}
	if err := post(ctx, n.client, n.cfg.URL, nil, body); err != nil {
		return Receipt{}, fmt.Errorf("pagerduty: %s: %w", p.Action, err)
	}
	return Receipt{}, nil
}

// Limits of the Events API v2, in characters: payload.summary and dedup_key
// (PagerDuty/developer-docs, docs/events-API-v2/02-Trigger-Events.md).
const (
	pagerDutySummary = 1024
	pagerDutyKey     = 255
)

// incidentKey names an escalation among the incidents of another pager, within
// what PagerDuty allows.
func incidentKey(escalation string) string {
	key := "earshot-" + escalation
	if len(key) > pagerDutyKey {
		sum := sha256.Sum256([]byte(escalation))
		key = "earshot-" + hex.EncodeToString(sum[:])
	}
	return key
}

func severity(p Page) string {
	switch p.Urgency {
	case escalation.Wake:
		return "critical"
	case escalation.Opening:
		return "warning"
	}
	return "info"
}
