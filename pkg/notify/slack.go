package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/outbound"
)

type slackConfig struct {
	URL   config.Secret `yaml:"url" doc:"The incoming webhook's address, https://hooks.slack.com/services/…" required:"true"`
	Quote bool          `yaml:"quote" doc:"Quote the post and name its author."`
}

var slackDefaults = slackConfig{Quote: true}

// slack posts to the channel of an incoming webhook. Slack knows no
// de-duplication key: an attempt whose answer was lost may show twice.
type slack struct {
	cfg    slackConfig
	client *outbound.Client
}

func openSlack(c slackConfig, d Deps) (Notifier, error) { return &slack{c, d.Client}, nil }

// Limits of Block Kit, in characters.
const (
	slackHeader  = 150
	slackSection = 3000
	slackButton  = 75
)

type slackText struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim,omitempty"` // no names or channels become links
}

type slackBlock struct {
	Type     string         `json:"type"`
	Text     *slackText     `json:"text,omitempty"`
	Elements []slackElement `json:"elements,omitempty"`
}

type slackElement struct {
	Type     string    `json:"type"`
	Text     slackText `json:"text"`
	URL      string    `json:"url"`
	Style    string    `json:"style,omitempty"`
	ActionID string    `json:"action_id"`
}

type slackMessage struct {
	Text        string       `json:"text"` // for notifications and screen readers
	Blocks      []slackBlock `json:"blocks"`
	UnfurlLinks bool         `json:"unfurl_links"`
	UnfurlMedia bool         `json:"unfurl_media"`
}

func (n *slack) Notify(ctx context.Context, p Page) error {
	body, err := json.Marshal(slackSet(compose(p, n.cfg.Quote), p.Action))
	if err != nil {
		return refuse("encode message: %w", err)
	}
	if err := post(ctx, n.client, n.cfg.URL, nil, body); err != nil {
		return fmt.Errorf("slack: %s: %w", p.Action, err)
	}
	return nil
}

func slackSet(m message, action escalation.Action) slackMessage {
	out := slackMessage{Text: slackEscape(m.Subject, slackSection)}
	// Only mrkdwn wants escaping; in plain text it would be seen.
	out.Blocks = append(out.Blocks, slackBlock{Type: "header", Text: &slackText{Type: "plain_text", Text: cutRunes(m.Subject, slackHeader)}})
	for _, s := range m.Sections {
		const room = 200 // for the heading and its marks
		text := "*" + slackEscape(s.Head, room-10) + "*\n" + slackEscape(strings.Join(s.Lines, "\n"), slackSection-room)
		out.Blocks = append(out.Blocks, slackBlock{Type: "section", Text: &slackText{Type: "mrkdwn", Text: text, Verbatim: true}})
	}
	var buttons []slackElement
	for i, l := range m.Links {
		b := slackElement{
			Type: "button", URL: l.URL, ActionID: fmt.Sprintf("open_%d", i),
			Text: slackText{Type: "plain_text", Text: cutRunes(strings.TrimPrefix(l.Label, "▶ "), slackButton)},
		}
		if i == 0 && action == escalation.Trigger {
			b.Style = "primary"
		}
		buttons = append(buttons, b)
	}
	if len(buttons) > 0 {
		out.Blocks = append(out.Blocks, slackBlock{Type: "actions", Elements: buttons})
	}
	return out
}

// slackEscape returns s as mrkdwn of at most n characters, cut between
// characters, never within an escape.
func slackEscape(s string, n int) string {
	var b strings.Builder
	used := 0
	for _, r := range s {
		piece := string(r)
		switch r {
		case '&':
			piece = "&amp;"
		case '<':
			piece = "&lt;"
		case '>':
			piece = "&gt;"
		}
		width := 1
		if len(piece) > 3 && r < 0x80 {
			width = len(piece)
		}
		if r > 0xffff {
			width = 2 // Slack counts UTF-16 units
		}
		if used+width > n-1 {
			b.WriteString("…")
			break
		}
		used += width
		b.WriteString(piece)
	}
	return b.String()
}
