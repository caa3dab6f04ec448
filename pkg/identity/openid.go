package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// OpenIDOptions are what sign-in by an OpenID provider stands on.
type OpenIDOptions struct {
	Issuer string
	Client string
	// Secret returns the client's secret when it is used; empty for a public
	// client, which PKCE protects.
	Secret func() (string, error)
	Scopes []string // beside openid
	// Groups is the claim that lists groups; empty for none.
	Groups string
	// TrustEmail takes addresses of the provider for verified though it doesn't
	// say so.
	TrustEmail bool
	HTTP       *http.Client
	Now        func() time.Time
}

// OpenID signs people in by OpenID Connect Core 1.0: the authorization code flow
// with PKCE, state and nonce. The provider is discovered when it is first used
// and may be away until then. It is safe for concurrent use.
type OpenID struct {
	o OpenIDOptions

	provider atomic.Pointer[oidc.Provider]

	mu     sync.Mutex // held while the provider is discovered
	failed error      // of the last attempt
	again  time.Time  // when the next may be made
}

// Bounds on a provider's answers.
const (
	openIDTime = 15 * time.Second
	openIDBody = 1 << 20
	// openIDPause is how long a provider that is away isn't asked again.
	openIDPause = 5 * time.Second
)

// NewOpenID asks nobody yet.
func NewOpenID(o OpenIDOptions) *OpenID {
	bounded := *o.HTTP
	bounded.Timeout, bounded.Transport = openIDTime, boundedBody{o.HTTP.Transport}
	o.HTTP = &bounded
	return &OpenID{o: o}
}

// boundedBody cuts what is too long, which then can't be read.
type boundedBody struct{ next http.RoundTripper }

func (b boundedBody) RoundTrip(r *http.Request) (*http.Response, error) {
	next := b.next
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, openIDBody), resp.Body}
	}
	return resp, err
}

// OpenIDError is why a provider's answer can't be used. Its text may be shown to
// strangers; its cause is for the log.
type OpenIDError struct {
	Text  string
	cause error
}

func (e *OpenIDError) Error() string {
	if e.cause != nil {
		return "sign-in by the provider: " + e.Text + ": " + cut(e.cause.Error(), 500)
	}
	return "sign-in by the provider: " + e.Text
}

func (e *OpenIDError) Unwrap() error { return e.cause }

func refuseOpenID(format string, args ...any) error {
	return &OpenIDError{Text: fmt.Sprintf(format, args...)}
}

// Flow is what a browser keeps, sealed by [Signer.Seal], while it is away at the
// provider.
type Flow struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	Next     string `json:"next,omitempty"` // where the browser wanted to go
	Invited  string `json:"invited,omitempty"`
}

// Claims are what a provider says of somebody.
type Claims struct {
	Issuer, Subject string
	Email           string
	Verified        bool // the provider vouches for Email
	Name            string
	Groups          []string
	HasGroups       bool // the claim was there, if empty
}

// discovered is the provider, with whatever it says of itself.
func (o *OpenID) discovered(ctx context.Context) (*oidc.Provider, error) {
	if p := o.provider.Load(); p != nil {
		return p, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if p := o.provider.Load(); p != nil {
		return p, nil
	}
	if o.o.Now().Before(o.again) { // or those who wait would ask one after the other
		return nil, o.failed
	}
	p, err := oidc.NewProvider(oidc.ClientContext(ctx, o.o.HTTP), o.o.Issuer)
	if err != nil {
		o.failed, o.again = &OpenIDError{"it can't be used just now", err}, o.o.Now().Add(openIDPause)
		return nil, o.failed
	}
	o.provider.Store(p)
	return p, nil
}

func (o *OpenID) client(p *oidc.Provider, redirect string) (*oauth2.Config, error) {
	secret, err := o.o.Secret()
	if err != nil {
		return nil, fmt.Errorf("secret of the OpenID client: %w", err)
	}
	return &oauth2.Config{
		ClientID: o.o.Client, ClientSecret: secret, Endpoint: p.Endpoint(), RedirectURL: redirect,
		Scopes: append([]string{oidc.ScopeOpenID}, o.o.Scopes...),
	}, nil
}

// Start returns the provider's page to send a browser to, which comes back to
// redirect, and what the browser has to keep.
func (o *OpenID) Start(ctx context.Context, redirect string) (page string, f Flow, err error) {
	p, err := o.discovered(ctx)
	if err != nil {
		return "", f, err
	}
	c, err := o.client(p, redirect)
	if err != nil {
		return "", f, err
	}
	f = Flow{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier()}
	return c.AuthCodeURL(f.State, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)), f, nil
}

// SignOutPage is the provider's page that ends its own session, or empty.
func (o *OpenID) SignOutPage() string {
	p := o.provider.Load()
	var doc struct {
		End string `json:"end_session_endpoint"`
	}
	if p == nil || p.Claims(&doc) != nil {
		return ""
	}
	u, err := url.Parse(doc.End)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return ""
	}
	q := u.Query()
	q.Set("client_id", o.o.Client)
	u.RawQuery = q.Encode()
	return u.String()
}

// Finish reads what a browser brought back to redirect. The error is an
// [*OpenIDError], or one of ours.
func (o *OpenID) Finish(ctx context.Context, f Flow, redirect string, back url.Values) (Claims, error) {
	if f.State == "" || subtle.ConstantTimeCompare([]byte(f.State), []byte(back.Get("state"))) != 1 {
		return Claims{}, refuseOpenID("the answer does not belong to this browser, or came too late")
	}
	if iss := back.Get("iss"); iss != "" && iss != o.o.Issuer { // RFC 9207
		return Claims{}, refuseOpenID("the answer is another provider's")
	}
	if e := back.Get("error"); e != "" {
		if d := back.Get("error_description"); d != "" {
			e += ": " + d
		}
		return Claims{}, refuseOpenID("%s", cut(e, 300))
	}
	if back.Get("code") == "" {
		return Claims{}, refuseOpenID("the answer has no code")
	}
	p, err := o.discovered(ctx)
	if err != nil {
		return Claims{}, err
	}
	c, err := o.client(p, redirect)
	if err != nil {
		return Claims{}, err
	}
	ctx = oidc.ClientContext(ctx, o.o.HTTP)
	token, err := c.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(f.Verifier))
	if err != nil {
		if r, ok := errors.AsType[*oauth2.RetrieveError](err); ok && r.ErrorCode != "" {
			return Claims{}, refuseOpenID("the code was not taken (%s)", cut(r.ErrorCode, 100))
		}
		return Claims{}, &OpenIDError{"the code was not taken", err}
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return Claims{}, refuseOpenID("the answer has no ID token")
	}
	id, err := p.Verifier(&oidc.Config{ClientID: o.o.Client, Now: o.o.Now}).Verify(ctx, raw)
	if err != nil {
		return Claims{}, &OpenIDError{"the ID token does not hold", err}
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(f.Nonce)) != 1 {
		return Claims{}, refuseOpenID("the ID token is of another sign-in")
	}
	said := map[string]json.RawMessage{}
	if err := id.Claims(&said); err != nil {
		return Claims{}, refuseOpenID("the ID token can't be read")
	}
	if azp := textOf(said["azp"]); azp != "" && azp != o.o.Client || azp == "" && len(id.Audience) > 1 {
		return Claims{}, refuseOpenID("the ID token was made for another client")
	}
	// What the ID token leaves out, the provider may tell when asked.
	if said["email"] == nil && p.UserInfoEndpoint() != "" {
		info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
		if err != nil {
			return Claims{}, refuseOpenID("who signed in was not told")
		}
		more := map[string]json.RawMessage{}
		if err := info.Claims(&more); err != nil || info.Subject != id.Subject {
			return Claims{}, refuseOpenID("who signed in was told of somebody else")
		}
		for k, v := range more {
			if said[k] == nil {
				said[k] = v
			}
		}
	}
	return o.claims(id, said)
}

func (o *OpenID) claims(id *oidc.IDToken, said map[string]json.RawMessage) (Claims, error) {
	if id.Subject == "" || len(id.Subject) > 255 {
		return Claims{}, refuseOpenID("the ID token names nobody")
	}
	out := Claims{Issuer: id.Issuer, Subject: id.Subject, Email: textOf(said["email"]), Name: strings.TrimSpace(textOf(said["name"]))}
	// Some send the flag as text.
	out.Verified = out.Email != "" && (o.o.TrustEmail || string(said["email_verified"]) == "true" || textOf(said["email_verified"]) == "true")
	if out.Email != "" && !IsEmail(out.Email) {
		out.Email, out.Verified = "", false
	}
	if !IsName(out.Name) {
		out.Name, _, _ = strings.Cut(out.Email, "@")
	}
	if list := said[o.o.Groups]; o.o.Groups != "" && list != nil {
		out.HasGroups = true
		if json.Unmarshal(list, &out.Groups) != nil {
			out.Groups = strings.Fields(textOf(list)) // one, or several in one text
		}
	}
	return out, nil
}

func textOf(raw json.RawMessage) (s string) {
	_ = json.Unmarshal(raw, &s)
	return s
}

// cut bounds what somebody else wrote.
func cut(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// Grants are what a provider's groups give, by the name of the group.
type Grants map[string][]Grant

// ParseGrants reads rules like "support=agent" and "kumo-pr=pr_lead@kumo,hoshi".
func ParseGrants(rules []string) (Grants, error) {
	out := Grants{}
	var errs []error
	for _, rule := range rules {
		i := strings.LastIndexByte(rule, '=')
		if i <= 0 {
			errs = append(errs, fmt.Errorf("%q: want GROUP=ROLE or GROUP=ROLE@BRAND,BRAND", rule))
			continue
		}
		g, err := ParseGrant(rule[i+1:])
		if err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", rule, err))
			continue
		}
		group := strings.TrimSpace(rule[:i])
		out[group] = append(out[group], g)
	}
	return out, errors.Join(errs...)
}

// ParseGrant reads a role, for all brands or, behind an @, for some.
func ParseGrant(text string) (Grant, error) {
	role, list, some := strings.Cut(strings.TrimSpace(text), "@")
	g := Grant{Role: Role(role), Brands: []string{AllBrands}}
	if some {
		g.Brands = strings.Split(list, ",")
	}
	if !slices.Contains(Roles, g.Role) {
		return g, fmt.Errorf("role %q: want one of %v", role, Roles)
	}
	return g, checkBrands(g.Brands)
}

// Of are the grants of somebody in groups, each role once.
func (g Grants) Of(groups []string) []Grant {
	var out []Grant
	for _, group := range groups {
		for _, grant := range g[group] {
			i := slices.IndexFunc(out, func(o Grant) bool { return o.Role == grant.Role })
			if i < 0 {
				out = append(out, Grant{grant.Role, slices.Clone(grant.Brands)})
				continue
			}
			for _, b := range grant.Brands {
				if !slices.Contains(out[i].Brands, b) {
					out[i].Brands = append(out[i].Brands, b)
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b Grant) int { return slices.Index(Roles, a.Role) - slices.Index(Roles, b.Role) })
	return out
}

// BySubject finds whose account at a provider it is.
func (g *Gate) BySubject(issuer, subject string) (Staff, bool) {
	for _, c := range g.dir.Credentials() {
		if slices.ContainsFunc(c.Subjects, func(s Subject) bool { return s.Issuer == issuer && s.Subject == subject }) {
			return g.dir.Staff(c.Staff)
		}
	}
	return Staff{}, false
}

// ErrLinked refuses to link an account to a second account at one provider.
var ErrLinked = errors.New("the account belongs to somebody else at the provider")

// Link makes an account at a provider that of staff.
func (g *Gate) Link(ctx context.Context, actor, staff string, claims Claims) error {
	c, _ := g.dir.Credential(staff)
	if slices.ContainsFunc(c.Subjects, func(s Subject) bool { return s.Issuer == claims.Issuer }) {
		return ErrLinked
	}
	c.Staff = staff
	c.Subjects = append(slices.Clone(c.Subjects), Subject{claims.Issuer, claims.Subject, g.now()})
	return g.dir.SetCredential(ctx, actor, c)
}

// Unlink takes the accounts at providers away from staff on behalf of actor, and
// ends all sessions.
func (g *Gate) Unlink(ctx context.Context, actor, staff string) error {
	c, _ := g.dir.Credential(staff)
	c.Staff, c.Subjects, c.Since = staff, nil, g.now()
	return g.dir.SetCredential(ctx, actor, c)
}
