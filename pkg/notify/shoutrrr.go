package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/discord"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/mattermost"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/rocketchat"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/gotify"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/ntfy"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/pushover"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/outbound"
)

type shoutrrrConfig struct {
	URL   config.Secret `yaml:"url" doc:"Address in the form of Shoutrrr: discord://TOKEN@ID, gotify://HOST/TOKEN, mattermost://HOST/TOKEN, ntfy://HOST/TOPIC, pushover://shoutrrr:TOKEN@USER or rocketchat://HOST/TOKEN." required:"true"`
	Quote bool          `yaml:"quote" doc:"Quote the post and name its author."`
}

var shoutrrrDefaults = shoutrrrConfig{Quote: true}

// shoutrrr sends notices to what the Shoutrrr library speaks to. It tells
// little of what became of a message, and nothing can be acknowledged there:
// pages that wake somebody, or wait for somebody, are refused.
//
// Only those of its services are here that take an HTTP client, so that theirs
// is ours, with its guard and limits: of the others none is even linked.
type shoutrrr struct {
	cfg    shoutrrrConfig
	client *outbound.Client
}

func openShoutrrr(c shoutrrrConfig, d Deps) (Notifier, error) { return &shoutrrr{c, d.Client}, nil }

// shoutrrrText is the longest text sent, in characters: what Discord takes in
// one message, with room for the title.
const shoutrrrText = 1700

// shoutrrrServices makes a service of the library that uses client.
var shoutrrrServices = map[string]func(at *url.URL, client *http.Client) (types.Sender, error){
	"discord": func(at *url.URL, client *http.Client) (types.Sender, error) {
		s := &discord.Service{}
		err := s.Initialize(at, nil)
		s.HTTPClient, s.Sleeper = client, awake{}
		return s, err
	},
	"gotify": func(at *url.URL, client *http.Client) (types.Sender, error) {
		s := &gotify.Service{}
		if err := s.Initialize(at, nil); err != nil {
			return nil, err
		}
		*s.GetHTTPClient() = *client
		return s, nil
	},
	"mattermost": func(at *url.URL, client *http.Client) (types.Sender, error) {
		s := &mattermost.Service{}
		if err := s.Initialize(at, nil); err != nil {
			return nil, err
		}
		*s.GetHTTPClient() = *client
		return s, nil
	},
	"ntfy": func(at *url.URL, client *http.Client) (types.Sender, error) {
		s := &ntfy.Service{}
		err := s.Initialize(at, nil)
		s.SetHTTPClient(client)
		return s, err
	},
	"pushover": func(at *url.URL, client *http.Client) (types.Sender, error) {
		s := &pushover.Service{}
		err := s.Initialize(at, nil)
		s.Client = client
		return s, err
	},
	"rocketchat": func(at *url.URL, client *http.Client) (types.Sender, error) {
		s := &rocketchat.Service{Client: client}
		return s, s.Initialize(at, nil)
	},
}

// awake keeps the library from waiting within an attempt.
type awake struct{}

func (awake) Sleep(time.Duration) {}

func (n *shoutrrr) Notify(ctx context.Context, p Page) (Receipt, error) {
	if err := n.notify(ctx, p); err != nil {
		return Receipt{}, fmt.Errorf("shoutrrr: %s: %w", p.Action, err)
	}
	return Receipt{}, nil
}

func (n *shoutrrr) notify(ctx context.Context, p Page) (err error) {
	if p.Action == escalation.Trigger && p.Urgency != escalation.Notify {
		return refuse("it is for notices alone; page people by another notifier")
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	address, err := n.cfg.URL.Reveal()
	if err != nil {
		return refusal{err}
	}
	at, err := url.Parse(address)
	if err != nil {
		return refuse("the configured address is none")
	}
	open, ok := shoutrrrServices[at.Scheme]
	if !ok {
		return refuse("the configured address begins with none of %s", strings.Join(slices.Sorted(maps.Keys(shoutrrrServices)), "://, ")+"://")
	}
	turn := &oneTurn{ctx: ctx, client: n.client}
	service, err := open(at, &http.Client{Transport: turn})
	if err != nil {
		return refuse("the configured address is not right for %s", at.Scheme)
	}
	m := compose(p, n.cfg.Quote)
	// What the library says may hold the address, so only what was seen of the
	// exchange is told.
	switch err := service.Send(cutRunes(m.plain(), shoutrrrText), &types.Params{"title": cutRunes(m.Subject, 200)}); {
	case turn.err != nil:
		return fmt.Errorf("%s: %w", at.Scheme, turn.err)
	case err != nil && !turn.asked: // what was answered with a success is taken
		return refuse("the configured address is not right for %s", at.Scheme)
	}
	return nil
}

// oneTurn carries the library's requests through the outbound client, until one
// of them fails: whether and when to try again is not for the library to say.
type oneTurn struct {
	ctx    context.Context
	client *outbound.Client
	asked  bool
	err    error
}

var errOneTurn = errors.New("no further attempt")

func (t *oneTurn) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.err != nil {
		return nil, errOneTurn
	}
	t.asked = true
	answer, err := t.client.Do(t.ctx, req.WithContext(t.ctx))
	if errors.Is(err, outbound.ErrTooLarge) {
		answer, err = &outbound.Response{Status: http.StatusOK, Header: http.Header{}}, nil
	}
	if err == nil {
		return respond(req, answer.Status, answer.Header, answer.Body), nil
	}
	t.err = err
	e, ok := errors.AsType[*outbound.Error](err)
	if !ok {
		t.err = fmt.Errorf("%s://%s/…: %w", req.URL.Scheme, req.URL.Host, context.Cause(t.ctx))
		return nil, errOneTurn
	}
	e.URL = req.URL.Scheme + "://" + req.URL.Host + "/…"
	if e.Status == 0 {
		return nil, errOneTurn
	}
	return respond(req, e.Status, e.Header, e.Body), nil
}

func respond(req *http.Request, status int, header http.Header, body []byte) *http.Response {
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
}
