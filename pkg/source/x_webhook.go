package source

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	//lint:ignore SA1019 dead as a client, but its types are the shape of Account Activity
	"github.com/dghubble/go-twitter/twitter"
	"github.com/earshot/earshot/pkg/mention"
)

// xPush is what X pushes: an event of the X Activity API or a post of the
// filtered stream, in the shape of API v2, or events of Account Activity, in
// that of v1.1.
type xPush struct {
	Data *struct {
		xTweet
		Event    string          `json:"event_type"`
		Payload  json.RawMessage `json:"payload"`
		Includes *xIncludes      `json:"includes"`
	} `json:"data"`
	Includes xIncludes `json:"includes"`

	ForUser string            `json:"for_user_id"`
	Created []json.RawMessage `json:"tweet_create_events"`
	Deleted []struct {
		Status struct {
			ID string `json:"id"`
		} `json:"status"`
	} `json:"tweet_delete_events"`
	UserEvent json.RawMessage `json:"user_event"`
}

// Receive answers X's challenge, and reads what X pushes after checking that it
// comes from there.
func (x *xSource) Receive(ctx context.Context, p Push) (Pushed, error) {
	secret, err := x.cfg.ConsumerSecret.Reveal()
	if err != nil || secret == "" {
		return Pushed{}, refuse("x: pushes need consumer_secret")
	}
	if p.Method == http.MethodGet {
		u, err := url.Parse(p.URL)
		if err != nil || u.Query().Get("crc_token") == "" {
			return Pushed{}, refuse("x: crc_token: required")
		}
		body, _ := json.Marshal(map[string]string{"response_token": xSignature(secret, []byte(u.Query().Get("crc_token")))})
		return Pushed{Header: http.Header{"Content-Type": {"application/json"}}, Body: body}, nil
	}
	if got := p.Header.Get("X-Twitter-Webhooks-Signature"); !hmac.Equal([]byte(got), []byte(xSignature(secret, p.Body))) {
		return Pushed{}, refuse("x: the signature is not X's")
	}
	var push xPush
	if err := json.Unmarshal(p.Body, &push); err != nil {
		return Pushed{}, refuse("x: not an event: %w", err)
	}
	items, err := x.pushed(ctx, &push)
	return Pushed{Items: items}, err
}

func xSignature(secret string, of []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(of)
	return "sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func (x *xSource) pushed(ctx context.Context, push *xPush) (items []Item, err error) {
	give := func(p mention.Post, err error) {
		if err != nil {
			x.deps.skip("x", p.NativeID, err)
		} else if p.NativeID != "" {
			items = append(items, Item{Post: p})
		}
	}
	switch d := push.Data; {
	case d != nil && d.Event == "post.delete":
		var gone struct {
			ID string `json:"id"`
		}
		if json.Unmarshal(d.Payload, &gone) == nil && xNumber(gone.ID) > 0 {
			give(x.gone(gone.ID), nil)
		}
	case d != nil && strings.HasPrefix(d.Event, "post."):
		t, err := parseXTweet(d.Payload)
		if err != nil {
			give(mention.Post{NativeID: t.ID}, err)
			break
		}
		if d.Includes == nil {
			d.Includes = &push.Includes
		}
		give(x.pushedPost(&t, *d.Includes))
	case d != nil && d.Event == "oauth.revoke" || len(push.UserEvent) > 0:
		x.deps.Log.Warn("the account has withdrawn its consent; X pushes nothing more")
	case d != nil && d.Event == "" && d.ID != "":
		give(x.pushedPost(&d.xTweet, push.Includes))
	}
	for _, raw := range push.Created {
		give(x.activity(raw, push.ForUser))
	}
	for _, gone := range push.Deleted {
		if xNumber(gone.Status.ID) > 0 {
			give(x.gone(gone.Status.ID), nil)
		}
	}
	return items, x.ledger.keep(ctx)
}

// pushedPost is a post in the shape of API v2, none if it is not wanted.
func (x *xSource) pushedPost(t *xTweet, includes xIncludes) (mention.Post, error) {
	in := includes.related()
	x.ledger.note(xCharge{posts: []uint64{xNumber(t.ID)}})
	own := x.cfg.Account != "" && strings.EqualFold(in.users[t.AuthorID].Username, x.cfg.Account)
	if own || t.refers("retweeted") != "" && !x.cfg.Reposts {
		return mention.Post{}, nil
	}
	return x.post(t, in)
}

// activity is a post in the shape of API v1.1, none if it is not wanted.
func (x *xSource) activity(raw []byte, user string) (mention.Post, error) {
	var t xTweetV1
	if err := json.Unmarshal(raw, &t); err != nil {
		return mention.Post{}, fmt.Errorf("not a Tweet: %w", err)
	}
	x.ledger.note(xCharge{posts: []uint64{xNumber(t.IDStr)}})
	if t.User == nil || t.User.IDStr == user || t.RetweetedStatus != nil && !x.cfg.Reposts {
		return mention.Post{}, nil
	}
	switch {
	case t.User.Protected:
		return mention.Post{NativeID: t.IDStr}, errProtected
	case t.WithheldCopyright || withheldIn(t.WithheldInCountries, x.cfg.Country):
		return mention.Post{NativeID: t.IDStr}, errWithheld
	}
	p, err := t.post()
	if err != nil {
		return mention.Post{NativeID: t.IDStr}, err
	}
	p.SeenAt, p.Intake = x.deps.Now(), mention.Live
	p.NoReply = x.noReply("", t.names())
	return p, nil
}

// names are the accounts that t mentions or quotes.
func (t *xTweetV1) names() []string {
	var out []string
	entities := []*twitter.Entities{t.Entities}
	if t.ExtendedTweet != nil {
		entities = append(entities, t.ExtendedTweet.Entities)
	}
	for _, e := range entities {
		for i := 0; e != nil && i < len(e.UserMentions); i++ {
			out = append(out, e.UserMentions[i].ScreenName)
		}
	}
	if q := t.QuotedStatus; q != nil && q.User != nil {
		out = append(out, q.User.ScreenName)
	}
	return out
}
