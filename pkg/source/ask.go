package source

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

// Only the fetcher opens connectors with their secrets. The desk asks it, by
// requests on ctl.fetcher.<verb>; these are their forms.

// Pushing asks the fetcher to take what a platform pushed to a source: verb
// "push".
type Pushing struct {
	Source string `json:"source"`
	Push   Push   `json:"push"`
}

// Answer is what the platform is to be told.
type Answer struct {
	Status int         `json:"status"`
	Header http.Header `json:"header,omitempty"`
	Body   []byte      `json:"body,omitempty"`
}

// Abilities are what a source can do beside fetching: verb "abilities".
type Abilities struct {
	Receives bool             `json:"receives"` // is a [Receiver]
	Consents bool             `json:"consents"` // is a [Consenter], and configured to be
	Since    time.Time        `json:"since,omitzero"`
	By       string           `json:"by,omitempty"` // staff id of who connected it
	Account  string           `json:"account,omitempty"`
	Error    string           `json:"error,omitempty"`
	Trouble  outbound.Trouble `json:"trouble,omitzero"` // Error as data
}

// AbilitiesOf finds out what s can do, and whether somebody has let it in.
func AbilitiesOf(ctx context.Context, s Source, d Deps) Abilities {
	var a Abilities
	_, a.Receives = s.(Receiver)
	cfg, consents := consentOf(s)
	if !consents {
		return a
	}
	a.Consents = true
	g, ok, err := d.Consent(ctx, cfg)
	switch {
	case err != nil:
		a.Error, a.Trouble = err.Error(), outbound.Explain(err, d.Now())
	case ok:
		a.Since, a.By, a.Account = g.Since, g.By, g.Account
	}
	return a
}

// Below asks the fetcher what stands below a post now: verb "below". By is the
// staff id of who looks; everybody has a pace.
type Below struct {
	Source string       `json:"source"`
	Post   mention.Post `json:"post"`
	By     string       `json:"by"`
}

// Shown is what stands there, or stood a moment ago. Nothing of it may be kept,
// see [Threader].
type Shown struct {
	Comments []mention.Comment `json:"comments,omitempty"`
	// Paced tells that the platform was not asked: so many were looked at that
	// the next look has to wait until Trouble.Until.
	Paced   bool             `json:"paced,omitempty"`
	Error   string           `json:"error,omitempty"`
	Trouble outbound.Trouble `json:"trouble,omitzero"` // Error as data
}

// Consenting asks the fetcher for the address of the platform's page, with
// Redirect, State and Verifier (verb "consent"), and then for the grant that
// Code is worth (verb "consented").
type Consenting struct {
	Source   string `json:"source"`
	Version  uint64 `json:"version"` // of the source's settings, which the fetcher waits for
	Redirect string `json:"redirect"`
	State    string `json:"state,omitempty"`
	Verifier string `json:"verifier"`
	Code     string `json:"code,omitempty"`
	By       string `json:"by,omitempty"`
}

// ErrNoConsent says that the connector needs nobody's consent.
var ErrNoConsent = errors.New("this source is not connected by a person's consent")

// consentOf is how s is let in by a person; ok is false where nobody needs to,
// as by its configuration.
func consentOf(s Source) (cfg oauth2.Config, ok bool) {
	c, ok := s.(Consenter)
	if ok {
		cfg = c.Consent()
	}
	return cfg, cfg.ClientID != ""
}

// Page is the address of the platform's page that asks for consent.
func (c Consenting) Page(s Source) (string, error) {
	cfg, ok := consentOf(s)
	if !ok {
		return "", ErrNoConsent
	}
	cfg.RedirectURL = c.Redirect
	return cfg.AuthCodeURL(c.State, oauth2.S256ChallengeOption(c.Verifier)), nil
}

// Granted is what came of a consent.
type Granted struct {
	Account string `json:"account,omitempty"` // empty where the platform doesn't tell
	// Other tells that Account isn't the one of the settings: nothing was kept.
	Other   bool             `json:"other,omitempty"`
	Error   string           `json:"error,omitempty"`  // why nothing was kept, English
	Trouble outbound.Trouble `json:"trouble,omitzero"` // Error as data
}

// Grant trades the code and keeps what it is worth. Open opens the source anew
// with other dependencies, to ask whose consent it is.
func (c Consenting) Grant(ctx context.Context, s Source, d Deps, open func(Deps) (Source, error)) Granted {
	cfg, ok := consentOf(s)
	if !ok {
		return Granted{Error: ErrNoConsent.Error()}
	}
	cfg.RedirectURL = c.Redirect
	g, err := d.Consented(ctx, cfg, c.Code, c.Verifier, c.By, func(ctx context.Context, k Keeper) (string, error) {
		d := d
		d.Keep = k
		fresh, err := open(d)
		if err != nil {
			return "", err
		}
		return AccountOf(ctx, fresh)
	})
	out := Granted{Account: g.Account}
	if err != nil {
		r, ok := errors.AsType[*Refusal](err)
		out.Error, out.Trouble = err.Error(), outbound.Explain(err, d.Now())
		out.Other = ok && r.Reason == WrongAccount
	}
	return out
}

// accountTime bounds a question whose account it is.
const accountTime = 15 * time.Second

// AccountOf is the name of the account that s acts for, empty where s can't
// tell. See [Accounter].
func AccountOf(ctx context.Context, s Source) (string, error) {
	a, ok := s.(Accounter)
	if !ok {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, accountTime)
	defer cancel()
	name, err := a.Account(ctx)
	return clip(line(name), 100), err
}

// Trying asks the fetcher what a configuration would bring: verb "try". Source
// is the id of the source that has it, empty for a new one. Secrets are sealed.
type Trying struct {
	Source string          `json:"source,omitempty"`
	Kind   string          `json:"kind"`
	Brand  string          `json:"brand,omitempty"`
	Config json.RawMessage `json:"config"`
}

// Tried is what it would bring.
type Tried struct {
	Read    int     `json:"read"`    // posts that were looked at
	Matched int     `json:"matched"` // of them about a brand
	Posts   []Found `json:"posts,omitempty"`
	// Cut tells that time ended the look, not the platform.
	Cut     bool             `json:"cut,omitempty"`
	Error   string           `json:"error,omitempty"`
	Trouble outbound.Trouble `json:"trouble,omitzero"` // Error as data
}

// Found is a post with the brands that it is about.
type Found struct {
	Post   mention.Post `json:"post"`
	Brands []string     `json:"brands,omitempty"`
}
