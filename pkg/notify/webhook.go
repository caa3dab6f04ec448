package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/mention"
)

type webhookConfig struct {
	URL    config.Secret `yaml:"url" doc:"Address that takes the page as a JSON POST. Any 2xx answer means taken." required:"true"`
	Secret config.Secret `yaml:"secret" doc:"Key that signs every request, as text or in the form whsec_BASE64." required:"true"`
	// Both keys sign while receivers change from one to the other.
	NextSecret config.Secret `yaml:"next_secret" doc:"Second key, signing beside the first while receivers change over."`
	Quote      bool          `yaml:"quote" doc:"Quote the post and name its author."`
}

var webhookDefaults = webhookConfig{Quote: true}

// webhook posts a [webhookPage], signed by the Standard Webhooks scheme:
//
//	webhook-id         the page's key, the same for every attempt
//	webhook-timestamp  seconds since 1970, of this attempt
//	webhook-signature  "v1," and the base64 of HMAC-SHA256 over
//	                   id.timestamp.body; with two keys, two of them with a
//	                   space between
//
// A receiver takes a request when one signature matches in constant time and
// the timestamp is within five minutes of its clock, and drops an id it has
// seen.
type webhook struct {
	cfg  webhookConfig
	deps Deps
}

func openWebhook(c webhookConfig, d Deps) (Notifier, error) { return &webhook{c, d}, nil }

// webhookPage is the body. Fields are only ever added.
type webhookPage struct {
	Type       string             `json:"type"` // "page.trigger", "page.acknowledge", "page.resolve"
	Key        string             `json:"key"`
	Escalation string             `json:"escalation"`
	Test       bool               `json:"test"`
	Brand      string             `json:"brand"`
	Category   mention.Category   `json:"category,omitempty"`
	Origin     escalation.Origin  `json:"origin,omitempty"`
	Urgency    escalation.Urgency `json:"urgency"`
	Reason     string             `json:"reason,omitempty"`
	Title      string             `json:"title,omitempty"`
	Excerpt    string             `json:"excerpt,omitempty"`
	Author     string             `json:"author,omitempty"`
	Platform   string             `json:"platform,omitempty"`
	Count      int                `json:"count,omitempty"`
	Reach      int64              `json:"reach,omitempty"`
	URL        string             `json:"url,omitempty"`
	AckURL     string             `json:"ack_url,omitempty"`
	By         string             `json:"by,omitempty"`
	At         string             `json:"at,omitempty"` // RFC 3339, UTC
	Subject    string             `json:"subject"`      // for people, in their language
	Text       string             `json:"text"`
}

func (n *webhook) Notify(ctx context.Context, p Page) (Receipt, error) {
	m := compose(p, n.cfg.Quote)
	page := webhookPage{
		Type: "page." + string(p.Action), Key: p.Key, Escalation: p.Escalation, Test: p.Test,
		Brand: clean(p.Brand), Category: p.Category, Origin: p.Origin, Urgency: p.Urgency, Reason: clean(p.Reason),
		Platform: clean(p.Platform), Count: p.Count, Reach: p.Reach,
		URL: p.URL, AckURL: p.AckURL, By: clean(p.By), At: stamp(p.At), Subject: m.Subject, Text: m.plain(),
	}
	if n.cfg.Quote {
		page.Title, page.Excerpt, page.Author = clean(p.Title), clean(p.Excerpt), clean(p.Author)
	}
	body, err := json.Marshal(page)
	if err != nil {
		return Receipt{}, refuse("encode page: %w", err)
	}
	now := strconv.FormatInt(n.deps.now().Unix(), 10)
	var signatures []string
	for _, s := range []config.Secret{n.cfg.Secret, n.cfg.NextSecret} {
		if s.IsZero() {
			continue
		}
		key, err := signingKey(s)
		if err != nil {
			return Receipt{}, fmt.Errorf("webhook: %w", err)
		}
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", p.Key, now, body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	err = post(ctx, n.deps.Client, n.cfg.URL, http.Header{
		"Webhook-Id":        {p.Key},
		"Webhook-Timestamp": {now},
		"Webhook-Signature": {strings.Join(signatures, " ")},
	}, body)
	if err != nil {
		return Receipt{}, fmt.Errorf("webhook: %s: %w", p.Action, err)
	}
	return Receipt{}, nil
}

func signingKey(s config.Secret) ([]byte, error) {
	text, err := s.Reveal()
	if err != nil {
		return nil, refusal{err}
	}
	encoded, ok := strings.CutPrefix(text, "whsec_")
	if !ok {
		return []byte(text), nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) == 0 {
		return nil, refuse("the signing key is not base64 after whsec_")
	}
	return key, nil
}
