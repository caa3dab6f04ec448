package notify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/outbound"
)

type lineConfig struct {
	Token  config.Secret `yaml:"token" doc:"Channel access token of a Messaging API channel." required:"true"`
	To     string        `yaml:"to" doc:"Id of the group, room or user who gets the message, from the webhook of the channel: C…, R… or U…. A message to a group counts once for each of its members." required:"true"`
	Follow bool          `yaml:"follow" doc:"Also say who took it on and when it is over. Each of these counts as a message."`
	API    string        `yaml:"api" doc:"Address of the Messaging API."`
	Quote  bool          `yaml:"quote" doc:"Quote the post and name its author."`
}

var lineDefaults = lineConfig{Follow: true, API: "https://api.line.me", Quote: true}

// line pushes text to a group or person on LINE. LINE drops a second request
// with the same retry key for 24 hours, and answers it 409 (developers.line.biz,
// docs/messaging-api/retrying-api-request). It counts every message, and takes none
// once a month's number is used up: see [Metered].
type line struct {
	cfg  lineConfig
	deps Deps
}

func openLine(c lineConfig, d Deps) (Notifier, error) { return &line{c, d}, nil }

// lineText is the longest text of a message, in UTF-16 units (developers.line.biz,
// reference/messaging-api and docs/messaging-api/text-character-count).
const lineText = 5000

type lineMessage struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type linePush struct {
	To       string        `json:"to"`
	Messages []lineMessage `json:"messages"`
	Silent   bool          `json:"notificationDisabled,omitempty"`
}

func (n *line) Notify(ctx context.Context, p Page) (Receipt, error) {
	if p.Action != escalation.Trigger && !n.cfg.Follow {
		return Receipt{}, nil
	}
	m := compose(p, n.cfg.Quote)
	body, err := json.Marshal(linePush{
		To: n.cfg.To, Messages: []lineMessage{{"text", cutUTF16(m.Subject+"\n\n"+m.plain(), lineText)}},
		Silent: p.Action != escalation.Trigger,
	})
	if err != nil {
		return Receipt{}, refuse("encode message: %w", err)
	}
	header, err := bearer(n.cfg.Token, "application/json")
	if err != nil {
		return Receipt{}, err
	}
	header.Set("X-Line-Retry-Key", retryKey(p.Key))
	_, err = n.ask(ctx, http.MethodPost, "/v2/bot/message/push", header, body)
	if e, ok := errors.AsType[*outbound.Error](err); ok {
		switch {
		case e.Status == http.StatusConflict: // an earlier attempt was taken
			err = nil
		case e.Status == http.StatusTooManyRequests && bytes.Contains(e.Body, []byte("monthly limit")):
			err = refuse("the month's number of messages is used up")
		}
	}
	if err != nil {
		return Receipt{}, fmt.Errorf("line: %s: %w", p.Action, err)
	}
	return Receipt{}, nil
}

func (n *line) ask(ctx context.Context, method, path string, header http.Header, body []byte) ([]byte, error) {
	return ask(ctx, n.deps.Client, method, strings.TrimSuffix(n.cfg.API, "/")+path, header, body)
}

// Quota implements [Metered]. LINE counts by the months of Japan.
func (n *line) Quota(ctx context.Context) (Quota, error) {
	header, err := bearer(n.cfg.Token, "application/json")
	if err != nil {
		return Quota{}, err
	}
	var limit struct {
		Type  string `json:"type"` // "none" or "limited"
		Value int64  `json:"value"`
	}
	var used struct {
		Total int64 `json:"totalUsage"`
	}
	for path, into := range map[string]any{"/v2/bot/message/quota": &limit, "/v2/bot/message/quota/consumption": &used} {
		body, err := n.ask(ctx, http.MethodGet, path, header, nil)
		if err == nil {
			err = json.Unmarshal(body, into)
		}
		if err != nil {
			return Quota{}, fmt.Errorf("line: quota: %w", err)
		}
	}
	if limit.Type != "limited" {
		limit.Value = 0
	}
	now := n.deps.now().In(time.FixedZone("JST", 9*3600))
	return Quota{Used: used.Total, Limit: limit.Value, Since: time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, now.Location())}, nil
}

// retryKey makes a UUID of a page's key, the same for every attempt.
func retryKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	b := sum[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80 // version 8, made by our own rule
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// cutUTF16 returns at most n UTF-16 units of s, ending in "…" if it was cut.
func cutUTF16(s string, n int) string {
	used := 0
	last := 0 // where what leaves room for the mark ends
	for i, r := range s {
		if used < n {
			last = i
		}
		used += utf16.RuneLen(r)
	}
	if used <= n {
		return s
	}
	return s[:last] + "…"
}
