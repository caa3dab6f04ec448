package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/outbound"
)

type slackConfig struct {
	URL     config.Secret `yaml:"url" doc:"The incoming webhook's address, https://hooks.slack.com/services/…; leave it empty to post as a bot."`
	Token   config.Secret `yaml:"token" doc:"A bot's token, xoxb-…, with the scope chat:write: one message for an escalation, kept up to date, and its course in the thread."`
	Channel string        `yaml:"channel" doc:"Id of the channel the bot posts to, like C0123456789; it must have been invited. Empty sends to the person on the ladder, whom it finds by e-mail address with the scope users:read.email."`
	API     string        `yaml:"api" doc:"Address of the Web API, for Slack's other clouds."`
	Quote   bool          `yaml:"quote" doc:"Quote the post and name its author."`
}

var slackDefaults = slackConfig{API: "https://slack.com/api", Quote: true}

// Validate wants one way to post.
func (c slackConfig) Validate() error {
	switch {
	case c.URL.IsZero() && c.Token.IsZero():
		return config.Invalid("url", "required, unless there is a bot's token")
	case !c.URL.IsZero() && !c.Token.IsZero():
		return config.Invalid("token", "give the address of an incoming webhook or a bot's token, not both")
	case c.Token.IsZero() && c.Channel != "":
		return config.Invalid("channel", "an incoming webhook has its own channel; a bot's token is needed to choose one")
	}
	return nil
}

// slack posts to the channel of an incoming webhook, or as a bot. A bot keeps
// one message for an escalation: it changes as the escalation moves, and what
// happened stands in its thread. Slack knows no de-duplication key: an attempt
// whose answer was lost may show twice.
type slack struct {
	cfg    slackConfig
	client *outbound.Client
}

func openSlack(c slackConfig, d Deps) (Notifier, error) { return &slack{c, d.Client}, nil }

func (n *slack) Personal() bool { return !n.cfg.Token.IsZero() && n.cfg.Channel == "" }

// Limits of Block Kit, in characters, by its reference (docs.slack.dev,
// reference/block-kit/blocks). A message has up to 50 blocks, and ours a few;
// beyond what is documented Slack refuses some 13,200 characters in all of them
// together (slackapi/bolt-js issue 2509), which ours don't come near. Slack
// takes about one message a second per channel, and answers 429 with
// Retry-After to more (apis/web-api/rate-limits).
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

func (n *slack) Notify(ctx context.Context, p Page) (Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout) // of all its requests
	defer cancel()
	receipt, err := n.notify(ctx, p)
	if err != nil {
		return receipt, fmt.Errorf("slack: %s: %w", p.Action, err)
	}
	return receipt, nil
}

func (n *slack) notify(ctx context.Context, p Page) (Receipt, error) {
	if !n.cfg.Token.IsZero() {
		return n.speak(ctx, p)
	}
	body, err := json.Marshal(slackSet(compose(p, n.cfg.Quote), p.Action))
	if err != nil {
		return Receipt{}, refuse("encode message: %w", err)
	}
	// The webhook says ok once the message is in the channel.
	return Receipt{Delivered: true}, post(ctx, n.client, n.cfg.URL, nil, body)
}

// speak posts as a bot: the message of the escalation, or a word in its thread.
func (n *slack) speak(ctx context.Context, p Page) (Receipt, error) {
	channel, root, ok := strings.Cut(p.Ref, "/")
	if !ok {
		channel, err := n.channel(ctx, p)
		if err != nil {
			return Receipt{}, err
		}
		at, err := n.call(ctx, "chat.postMessage", n.form(channel, compose(p, n.cfg.Quote), p.Action))
		return Receipt{Delivered: true, Ref: at.Channel + "/" + at.TS}, err
	}
	form := n.form(channel, standing(p, n.cfg.Quote), p.Stands)
	form.Set("ts", root)
	if _, err := n.call(ctx, "chat.update", form); err != nil && !errors.Is(err, errSlackGone) {
		return Receipt{}, err
	}
	if p.Erased && p.Action == escalation.Update {
		return Receipt{Delivered: true}, nil
	}
	form = n.form(channel, compose(p, false), p.Action)
	form.Set("thread_ts", root)
	if p.Action == escalation.Trigger { // the next round rings in the channel too
		form.Set("reply_broadcast", "true")
	}
	_, err := n.call(ctx, "chat.postMessage", form)
	if errors.Is(err, errSlackGone) { // somebody deleted the message: speak beside it
		form.Del("thread_ts")
		form.Del("reply_broadcast")
		_, err = n.call(ctx, "chat.postMessage", form)
	}
	return Receipt{Delivered: true}, err
}

// channel is where a first message goes.
func (n *slack) channel(ctx context.Context, p Page) (string, error) {
	if n.cfg.Channel != "" {
		return n.cfg.Channel, nil
	}
	if p.To.Email == "" {
		return "", refuse("the recipient has no e-mail address to be found by")
	}
	found, err := n.call(ctx, "users.lookupByEmail", url.Values{"email": {p.To.Email}})
	if err == nil && found.User.ID == "" {
		err = refuse("Slack knows nobody by the recipient's e-mail address")
	}
	return found.User.ID, err
}

func (n *slack) form(channel string, m message, action escalation.Action) url.Values {
	set := slackSet(m, action)
	blocks, err := json.Marshal(set.Blocks)
	if err != nil {
		panic(err) // strings alone
	}
	return url.Values{
		"channel": {channel}, "text": {set.Text}, "blocks": {string(blocks)}, "unfurl_links": {"false"}, "unfurl_media": {"false"},
	}
}

// slackAnswer is what the Web API answers, always with status 200.
type slackAnswer struct {
	OK      bool   `json:"ok"`
	Error   string `json:"error"`
	Channel string `json:"channel"`
	TS      string `json:"ts"`
	User    struct {
		ID string `json:"id"`
	} `json:"user"`
}

// errSlackGone is when the message to change or to answer is no longer there.
var errSlackGone = errors.New("the message is gone")

// Errors of the Web API that are not for good, and those of a message that was
// deleted or is too old to be changed.
var (
	slackPasses = []string{"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}
	slackGone   = []string{"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found", "cannot_reply_to_message"}
)

func (n *slack) call(ctx context.Context, method string, form url.Values) (slackAnswer, error) {
	var answer slackAnswer
	header, err := bearer(n.cfg.Token, "application/x-www-form-urlencoded")
	if err != nil {
		return answer, err
	}
	body, err := ask(ctx, n.client, "POST", strings.TrimSuffix(n.cfg.API, "/")+"/"+method, header, []byte(form.Encode()))
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return answer, outbound.Unreadable.Of(fmt.Errorf("%s: the answer is not Slack's", method))
	}
	switch {
	case answer.OK:
		return answer, nil
	case slices.Contains(slackGone, answer.Error):
		return answer, refusal{fmt.Errorf("%s: %w", method, errSlackGone)}
	case slices.Contains(slackPasses, answer.Error):
		return answer, fmt.Errorf("%s: %s", method, answer.Error)
	}
	err = fmt.Errorf("%s: %s", method, cutRunes(clean(answer.Error), 60))
	if reason, ok := slackReasons[answer.Error]; ok {
		err = reason.Of(err)
	}
	return answer, refusal{err}
}

// slackReasons are what some of Slack's errors mean.
var slackReasons = map[string]outbound.Reason{
	"account_inactive": outbound.Credentials, "invalid_auth": outbound.Credentials, "not_authed": outbound.Credentials,
	"token_expired": outbound.Credentials, "token_revoked": outbound.Credentials,
	"access_denied": outbound.Forbidden, "missing_scope": outbound.Forbidden, "no_permission": outbound.Forbidden,
	"not_allowed_token_type": outbound.Forbidden, "not_in_channel": outbound.Forbidden,
	"channel_not_found": outbound.NotFound, "is_archived": outbound.NotFound,
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
			Text: slackText{Type: "plain_text", Text: cutRunes(l.label(), slackButton)},
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
