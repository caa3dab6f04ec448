package notify

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/outbound"
)

type teamsConfig struct {
	URL   config.Secret `yaml:"url" doc:"Address of a flow made with the Workflows app from \"Post to a channel when a webhook request is received\", https://….logic.azure.com/… or https://….api.powerplatform.com/…. Whoever knows it may post." required:"true"`
	Quote bool          `yaml:"quote" doc:"Quote the post and name its author."`
}

var teamsDefaults = teamsConfig{Quote: true}

// teams hands an Adaptive Card to a flow of Power Automate, which posts it to a
// chat or channel of Microsoft Teams. The flow answers before it has posted,
// and knows no de-duplication key: an attempt whose answer was lost may show
// twice.
type teams struct {
	cfg    teamsConfig
	client *outbound.Client
}

func openTeams(c teamsConfig, d Deps) (Notifier, error) { return &teams{c, d.Client}, nil }

// teamsRoom is how many characters of text a card carries. By the reference of
// the Teams connector, which posts it for the flow, a message has about 28 KB
// (learn.microsoft.com/connectors/teams, known issues and limitations; the same
// for incoming webhooks in MicrosoftDocs/msteams-docs, add-incoming-webhook.md);
// a character of Japanese is three bytes of it.
const teamsRoom = 6000

type teamsMessage struct {
	Type        string            `json:"type"`
	Attachments []teamsAttachment `json:"attachments"`
}

type teamsAttachment struct {
	ContentType string    `json:"contentType"`
	ContentURL  *string   `json:"contentUrl"` // null
	Content     teamsCard `json:"content"`
}

type teamsCard struct {
	Schema   string         `json:"$schema"`
	Type     string         `json:"type"`
	Version  string         `json:"version"`
	Fallback string         `json:"fallbackText"`
	Body     []teamsElement `json:"body"`
	Actions  []teamsAction  `json:"actions,omitempty"`
	Teams    map[string]any `json:"msteams"`
}

// teamsElement is a RichTextBlock: unlike a TextBlock it reads no Markdown, so
// that nobody outside can put links or names into it.
type teamsElement struct {
	Type    string     `json:"type"`
	Spacing string     `json:"spacing,omitempty"`
	Inlines []teamsRun `json:"inlines"`
}

type teamsRun struct {
	Type   string `json:"type"`
	Text   string `json:"text"`
	Size   string `json:"size,omitempty"`
	Weight string `json:"weight,omitempty"`
	Color  string `json:"color,omitempty"`
}

type teamsAction struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
	Style string `json:"style,omitempty"`
}

func (n *teams) Notify(ctx context.Context, p Page) (Receipt, error) {
	body, err := json.Marshal(teamsSet(compose(p, n.cfg.Quote), p))
	if err != nil {
		return Receipt{}, refuse("encode card: %w", err)
	}
	if err := post(ctx, n.client, n.cfg.URL, nil, body); err != nil {
		return Receipt{}, fmt.Errorf("teams: %s: %w", p.Action, err)
	}
	return Receipt{}, nil
}

func teamsSet(m message, p Page) teamsMessage {
	color := "default"
	if p.Action == escalation.Trigger && p.Urgency == escalation.Wake {
		color = "attention"
	}
	line := func(spacing string, run teamsRun) teamsElement {
		run.Type = "TextRun"
		return teamsElement{"RichTextBlock", spacing, []teamsRun{run}}
	}
	room := teamsRoom
	text := func(s string) string {
		s = cutRunes(s, max(room, 1))
		room -= len([]rune(s))
		return s
	}
	card := teamsCard{
		Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4", Fallback: cutRunes(m.Subject, 200),
		Teams: map[string]any{"width": "Full"},
		Body:  []teamsElement{line("", teamsRun{Text: text(m.Subject), Size: "large", Weight: "bolder", Color: color})},
	}
	for _, s := range m.Sections {
		card.Body = append(card.Body, line("medium", teamsRun{Text: text(s.Head), Weight: "bolder"}))
		for _, l := range s.Lines {
			card.Body = append(card.Body, line("small", teamsRun{Text: text(l)}))
		}
	}
	for i, l := range m.Links {
		a := teamsAction{Type: "Action.OpenUrl", Title: l.label(), URL: l.URL}
		if i == 0 && p.Action == escalation.Trigger {
			a.Style = "positive"
		}
		card.Actions = append(card.Actions, a)
	}
	return teamsMessage{"message", []teamsAttachment{{ContentType: "application/vnd.microsoft.card.adaptive", Content: card}}}
}
