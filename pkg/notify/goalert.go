package notify

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/outbound"
)

type goAlertConfig struct {
	URL   config.Secret `yaml:"url" doc:"Address of a service's integration key of the type Generic API, https://goalert.example.com/api/v2/generic/incoming?token=…" required:"true"`
	Quote bool          `yaml:"quote" doc:"Quote the post and name its author."`
}

var goAlertDefaults = goAlertConfig{Quote: true}

// goAlert keeps one alert per escalation at GoAlert, which then climbs its own
// escalation policy. Its generic API can't acknowledge: whoever takes an
// escalation on in Earshot closes the alert there, so that it stops ringing.
type goAlert struct {
	cfg    goAlertConfig
	client *outbound.Client
}

func openGoAlert(c goAlertConfig, d Deps) (Notifier, error) { return &goAlert{c, d.Client}, nil }

func (*goAlert) lasting() {}

// GoAlert's limits, in characters: MaxSummaryLength and MaxDetailsLength of its
// alert package (target/goalert, August 2026; the summary had 118 once). It cuts
// what is longer. De-duplication keys have up to 512, more than [incidentKey] has.
const (
	goAlertSummary = 1024
	goAlertDetails = 6144
)

type goAlertRequest struct {
	Summary string `json:"summary"`
	Details string `json:"details,omitempty"`
	Action  string `json:"action,omitempty"`
	Dedup   string `json:"dedup"`
}

func (n *goAlert) Notify(ctx context.Context, p Page) (Receipt, error) {
	m := compose(p, n.cfg.Quote)
	r := goAlertRequest{Summary: cutRunes(m.Subject, goAlertSummary), Dedup: incidentKey(p.Escalation)}
	if p.Action == escalation.Trigger {
		r.Details = cutRunes(m.plain(), goAlertDetails)
	} else {
		r.Action = "close"
	}
	body, err := json.Marshal(r)
	if err != nil {
		return Receipt{}, refuse("encode alert: %w", err)
	}
	if err := post(ctx, n.client, n.cfg.URL, nil, body); err != nil {
		return Receipt{}, fmt.Errorf("goalert: %s: %w", p.Action, err)
	}
	return Receipt{}, nil
}
