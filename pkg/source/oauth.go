package source

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/jwt"

	"github.com/earshot/earshot/pkg/outbound"
)

const (
	// tokenName is what a person's consent is kept as.
	tokenName = "token"
	// tokenMargin is how long before its end a token is renewed.
	tokenMargin = 2 * time.Minute
	// tokenTime bounds one request for a token. Whoever renews one may be
	// thought dead after twice as long.
	tokenTime = 30 * time.Second
	// tokenLook is how long a token is used without looking whether a person
	// has connected anew.
	tokenLook = time.Minute
)

// Grant is what a platform gave us when a person let us in.
type Grant struct {
	Client string       `json:"client"` // id of the client it was given to
	Token  oauth2.Token `json:"token"`
	Since  time.Time    `json:"since"`        // when the person consented
	By     string       `json:"by,omitempty"` // staff id of who did
	// Account is the platform's name of the account, empty while it isn't known.
	Account string `json:"account,omitempty"`
	// Renewing is until when a process has the renewal to itself.
	Renewing time.Time `json:"renewing,omitzero"`
}

// lasts tells whether t needs no renewal yet.
func lasts(t *oauth2.Token, now time.Time) bool {
	return t.AccessToken != "" && (t.Expiry.IsZero() || now.Add(tokenMargin).Before(t.Expiry))
}

// Consented trades the code that the platform's page gave for a grant, and keeps
// it once whose says whose account it is. The verifier is that of the request's
// challenge (PKCE); by is the id of who consented. If it is another account than
// is wanted nothing is kept, what was kept before stays, and the grant that comes
// with the [WrongAccount] refusal has only the Account.
func (d Deps) Consented(ctx context.Context, cfg oauth2.Config, code, verifier, by string, whose func(context.Context, Keeper) (string, error)) (Grant, error) {
	asking, cancel := d.asking(ctx)
	defer cancel()
	t, err := cfg.Exchange(asking, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return Grant{}, tokenError(err, "the platform did not take the consent", "connect again in the desk")
	}
	d.date(t)
	given := Grant{Client: cfg.ClientID, Token: *t, Since: d.Now().UTC(), By: by}
	given.Account, err = whose(ctx, &lent{Keeper: d.Keep, grant: given})
	if r, ok := errors.AsType[*Refusal](err); ok && r.Reason == WrongAccount {
		return Grant{Account: given.Account}, err
	}
	if err != nil { // the consent is good all the same
		d.Log.Warn("whose consent it is is not known yet", "error", err)
	}
	var g Grant
	err = d.Keep.Update(ctx, tokenName, &g, func() (bool, error) {
		g = given
		return true, nil
	})
	return given, err
}

// lent is a keeper in which a grant stands that isn't kept yet.
type lent struct {
	Keeper
	mu    sync.Mutex
	grant Grant
}

func (l *lent) Update(ctx context.Context, name string, v any, change func() (bool, error)) error {
	g, ok := v.(*Grant)
	if !ok || name != tokenName {
		return l.Keeper.Update(ctx, name, v, change)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	*g = l.grant
	keep, err := change()
	if err == nil && keep {
		l.grant = *g
	}
	return err
}

// Consent returns the grant that is kept for cfg's client; ok is false when
// there is none.
func (d Deps) Consent(ctx context.Context, cfg oauth2.Config) (g Grant, ok bool, err error) {
	err = d.Keep.Update(ctx, tokenName, &g, func() (bool, error) { return false, nil })
	return g, err == nil && g.Client == cfg.ClientID && g.Token.AccessToken != "", err
}

// token returns a function that gives a valid access token out of a person's
// consent, renewed before it ends. Refresh tokens that the platform rotates are
// kept, and of all processes only one renews at a time. When the consent is no
// longer worth anything the error is permanent and says to connect again.
func (d Deps) token(cfg oauth2.Config) func(context.Context) (string, error) {
	t := &consent{Deps: d, cfg: cfg}
	return t.token
}

type consent struct {
	Deps
	cfg oauth2.Config

	mu     sync.Mutex
	have   oauth2.Token
	looked time.Time
}

func (c *consent) token(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.Now(); lasts(&c.have, now) && now.Sub(c.looked) < tokenLook {
		return c.have.AccessToken, nil
	}
	for {
		g, mine, err := c.load(ctx)
		if err != nil {
			return "", err
		}
		now := c.Now()
		usable := g.Token.Expiry.IsZero() || now.Add(10*time.Second).Before(g.Token.Expiry)
		switch {
		case mine:
			t, err := c.renew(ctx, g.Token)
			if err != nil {
				return "", err
			}
			if t == nil {
				continue // somebody has connected anew
			}
			c.have, c.looked = *t, now
			return t.AccessToken, nil
		case usable: // fresh, or being renewed elsewhere
			c.have, c.looked = g.Token, now
			return g.Token.AccessToken, nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// load reads what is kept; mine tells that it has to be renewed, and that we
// are the one to do it.
func (c *consent) load(ctx context.Context) (g Grant, mine bool, err error) {
	err = c.Keep.Update(ctx, tokenName, &g, func() (bool, error) {
		now := c.Now()
		mine = false
		switch {
		case g.Client != c.cfg.ClientID || g.Token.AccessToken == "":
			return false, NotGranted.refuse("nobody has let us in yet: connect the source in the desk")
		case lasts(&g.Token, now) || now.Before(g.Renewing):
			return false, nil
		case g.Token.RefreshToken == "":
			if now.Before(g.Token.Expiry) {
				return false, nil
			}
			return false, Revoked.refuse("the consent has ended on %s: connect again in the desk", g.Token.Expiry.Format(time.DateOnly))
		}
		g.Renewing = now.Add(2 * tokenTime)
		mine = true
		return true, nil
	})
	return g, mine, err
}

// renew asks for a new token and keeps it. It returns nil when meanwhile
// another one is kept than the one it set out from.
func (c *consent) renew(ctx context.Context, from oauth2.Token) (*oauth2.Token, error) {
	asking, cancel := c.asking(ctx)
	defer cancel()
	got, failed := c.cfg.TokenSource(asking, &oauth2.Token{RefreshToken: from.RefreshToken}).Token()

	if failed == nil {
		c.date(got)
	}

	// The old refresh token may be spent: the new one is too dear to lose to a
	// caller that gives up.
	keeping, done := context.WithTimeout(context.WithoutCancel(ctx), tokenTime)
	defer done()
	var other bool
	keep := func() error {
		var g Grant
		return c.Keep.Update(keeping, tokenName, &g, func() (bool, error) {
			if other = g.Token.RefreshToken != from.RefreshToken; other {
				return false, nil
			}
			if failed == nil {
				g.Token = *got
			}
			g.Renewing = time.Time{}
			return true, nil
		})
	}
	err := keep()
	for err != nil && failed == nil && keeping.Err() == nil {
		select {
		case <-keeping.Done():
		case <-time.After(250 * time.Millisecond):
		}
		err = keep()
	}
	switch {
	case failed != nil && other, failed == nil && err == nil && other:
		return nil, nil
	case failed != nil:
		return nil, tokenError(failed, "the platform does not renew the consent", "connect again in the desk")
	case err != nil:
		c.Log.Error("a renewed token is not kept; if the old one is spent, somebody has to connect again", "error", err)
	}
	return got, nil
}

// asking makes the oauth2 library use our client, for a limited time.
func (d Deps) asking(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, tokenTime)
	return context.WithValue(ctx, oauth2.HTTPClient, d.HTTP.HTTPClient()), cancel
}

// date puts the end of a token that has just been given on our own clock.
func (d Deps) date(t *oauth2.Token) {
	if !t.Expiry.IsZero() {
		t.Expiry = d.Now().Add(time.Until(t.Expiry)).UTC()
	}
}

// tokenError judges why there is no token: what says so, and mend what to do
// when trying again won't help. What the platform refuses stays refused, unless
// it has trouble of its own or wants a pause. A status that refuses is of the
// token endpoint, and must not pass for one of a post: it isn't in the chain.
func tokenError(err error, what, mend string) error {
	e, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok || e.Response == nil {
		if noToken(err) {
			err = outbound.Unreadable.Of(err)
		}
		return Unreachable.refuse("%s: %w", what, err)
	}
	var told struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(e.Body, &told)
	resp := *e.Response
	resp.Body = io.NopCloser(bytes.NewReader(e.Body))
	judged := outbound.Judge(&resp, nil) // nil for a refusal that comes as a success
	status := resp.StatusCode
	why := clip(line(cmp.Or(told.Description, told.Code, http.StatusText(status))), 200)
	r := &Refusal{Reason: Revoked, trouble: outbound.Explain(judged, time.Time{})}
	j, _ := errors.AsType[*outbound.Error](judged)
	switch {
	case j != nil && !j.Permanent():
		if r.Reason = Unreachable; status == http.StatusTooManyRequests {
			r.Reason = Limited
		}
		r.Err = fmt.Errorf("%s for now: %s: %w", what, why, judged)
		return r
	case status == http.StatusNotFound || status == http.StatusGone || status/100 == 3:
		r.Reason, mend = "", "is the address of the token endpoint right?"
	case told.Code == "invalid_client" || told.Code == "unauthorized_client":
		mend = "are the client's id and secret right?"
	}
	r.trouble.Said = cmp.Or(r.trouble.Said, told.Description, told.Code)
	r.Err = fmt.Errorf("%s: %s (%d): %s", what, why, status, mend)
	return r
}

// noToken tells that there was an answer, and no token in it. The oauth2 library
// gives no type to that.
func noToken(err error) bool {
	return slices.ContainsFunc([]string{"invalid character", "JSON input", "cannot unmarshal", "cannot parse", "missing access_token"}, func(part string) bool {
		return strings.Contains(err.Error(), part)
	})
}

// clientToken is like token for platforms that let a program in by itself
// (OAuth 2.0 client credentials).
func (d Deps) clientToken(cfg clientcredentials.Config) func(context.Context) (string, error) {
	return d.granted(cfg.Token)
}

// serviceToken is like token for service accounts (JWT bearer, RFC 7523), as
// Google has them.
func (d Deps) serviceToken(cfg jwt.Config) func(context.Context) (string, error) {
	return d.granted(func(ctx context.Context) (*oauth2.Token, error) { return cfg.TokenSource(ctx).Token() })
}

// granted keeps in memory what ask gives, until shortly before it ends.
func (d Deps) granted(ask func(context.Context) (*oauth2.Token, error)) func(context.Context) (string, error) {
	var (
		mu   sync.Mutex
		have oauth2.Token
	)
	return func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if lasts(&have, d.Now()) {
			return have.AccessToken, nil
		}
		ctx, cancel := d.asking(ctx)
		defer cancel()
		t, err := ask(ctx)
		if err != nil {
			return "", tokenError(err, "the platform does not let us in", "is the key still valid, and may it do this?")
		}
		d.date(t)
		have = *t
		return have.AccessToken, nil
	}
}
