package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/escalation"
)

type alertmanagerConfig struct {
	URL      string            `yaml:"url" doc:"Where Alertmanager is, like https://alertmanager.example.com:9093; one in a private network must be among the addresses that may be reached." required:"true"`
	Username string            `yaml:"username" doc:"Account, where it asks for one."`
	Password config.Secret     `yaml:"password" doc:"Its password."`
	Token    config.Secret     `yaml:"token" doc:"Bearer token, where it asks for one."`
	Labels   map[string]string `yaml:"labels" doc:"Further labels of every alert, to route by. Beside them are alertname (EarshotEscalation), escalation, brand, and severity (critical, warning, info)."`
	Hold     time.Duration     `yaml:"hold" doc:"How long an alert that nobody takes on stays after the last page about it."`
	Quote    bool              `yaml:"quote" doc:"Quote the post and name its author."`
}

var alertmanagerDefaults = alertmanagerConfig{Hold: 24 * time.Hour, Quote: true}

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// Validate checks what the tags can't say.
func (c alertmanagerConfig) Validate() error {
	var errs []error
	if !strings.HasPrefix(c.URL, "http://") && !strings.HasPrefix(c.URL, "https://") {
		errs = append(errs, config.Invalid("url", "must start with http:// or https://"))
	}
	if c.Username != "" && !c.Token.IsZero() {
		errs = append(errs, config.Invalid("token", "give a username and a password or a token, not both"))
	}
	for name := range c.Labels {
		if !labelName.MatchString(name) || slices.Contains([]string{"alertname", "escalation", "brand", "severity"}, name) {
			errs = append(errs, config.Invalid("labels."+name, "must be letters, digits and _, and not alertname, escalation, brand or severity"))
		}
	}
	if c.Hold < time.Minute {
		errs = append(errs, config.Invalid("hold", "must be at least %s", "1m"))
	}
	return errors.Join(errs...)
}

// alertmanager keeps one alert per escalation at Prometheus Alertmanager, which
// routes and repeats it by its own rules. Alertmanager knows no
// acknowledgement: whoever takes an escalation on ends the alert there.
//
// An alert is known by its labels. One whose urgency has risen is another
// alert, so each request ends those of the other severities.
type alertmanager struct {
	cfg  alertmanagerConfig
	deps Deps
}

func openAlertmanager(c alertmanagerConfig, d Deps) (Notifier, error) {
	return &alertmanager{c, d}, nil
}

func (*alertmanager) lasting() {}

// alertmanagerAlert is a postableAlert of the API v2.
type alertmanagerAlert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	StartsAt    string            `json:"startsAt"`
	EndsAt      string            `json:"endsAt"`
	URL         string            `json:"generatorURL,omitempty"`
}

func (n *alertmanager) Notify(ctx context.Context, p Page) (Receipt, error) {
	body, err := json.Marshal(n.alerts(p))
	if err != nil {
		return Receipt{}, refuse("encode alerts: %w", err)
	}
	header := http.Header{}
	switch {
	case n.cfg.Username != "":
		password, err := n.cfg.Password.Reveal()
		if err != nil {
			return Receipt{}, refusal{err}
		}
		r := http.Request{Header: header}
		r.SetBasicAuth(n.cfg.Username, password)
	case !n.cfg.Token.IsZero():
		token, err := n.cfg.Token.Reveal()
		if err != nil {
			return Receipt{}, refusal{err}
		}
		header.Set("Authorization", "Bearer "+token)
	}
	header.Set("Content-Type", "application/json")
	address := strings.TrimSuffix(n.cfg.URL, "/") + "/api/v2/alerts"
	if _, err := ask(ctx, n.deps.Client, http.MethodPost, address, header, body); err != nil {
		return Receipt{}, fmt.Errorf("alertmanager: %s: %w", p.Action, err)
	}
	return Receipt{}, nil
}

func (n *alertmanager) alerts(p Page) []alertmanagerAlert {
	m := compose(p, n.cfg.Quote)
	now := n.deps.now()
	began := p.At
	if began.IsZero() || began.After(now) {
		began = now
	}
	var out []alertmanagerAlert
	for _, s := range []string{severity(p), "critical", "warning", "info"} {
		if len(out) > 0 && s == severity(p) {
			continue
		}
		a := alertmanagerAlert{Labels: maps.Clone(n.cfg.Labels), StartsAt: stamp(began), EndsAt: stamp(now), URL: p.URL}
		if a.Labels == nil {
			a.Labels = map[string]string{}
		}
		maps.Copy(a.Labels, map[string]string{
			"alertname": "EarshotEscalation", "escalation": p.Escalation, "brand": cmp.Or(clean(p.Brand), "Earshot"), "severity": s,
		})
		if len(out) == 0 {
			a.Annotations = map[string]string{"summary": m.Subject, "description": m.plain()}
			if p.Action == escalation.Trigger {
				a.EndsAt = stamp(now.Add(n.cfg.Hold))
			}
		}
		out = append(out, a)
	}
	return out
}
