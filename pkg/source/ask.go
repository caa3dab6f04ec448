package source

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/earshot/earshot/pkg/mention"
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
	Receives bool      `json:"receives"` // is a [Receiver]
	Consents bool      `json:"consents"` // is a [Consenter], and configured to be
	Since    time.Time `json:"since,omitzero"`
	By       string    `json:"by,omitempty"` // staff id of who connected it
	Error    string    `json:"error,omitempty"`
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
		a.Error = err.Error()
	case ok:
		a.Since, a.By = g.Since, g.By
	}
	return a
}

// Consenting asks the fetcher for the address of the platform's page, with
// Redirect, State and Verifier (verb "consent"), and then for the grant that
// Code is worth (verb "consented").
type Consenting struct {
	Source   string `json:"source"`
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

// Grant trades the code and keeps what it is worth.
func (c Consenting) Grant(ctx context.Context, s Source, d Deps) error {
	cfg, ok := consentOf(s)
	if !ok {
		return ErrNoConsent
	}
	cfg.RedirectURL = c.Redirect
	return d.Consented(ctx, cfg, c.Code, c.Verifier, c.By)
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
	Cut   bool   `json:"cut,omitempty"`
	Error string `json:"error,omitempty"`
}

// Found is a post with the brands that it is about.
type Found struct {
	Post   mention.Post `json:"post"`
	Brands []string     `json:"brands,omitempty"`
}
