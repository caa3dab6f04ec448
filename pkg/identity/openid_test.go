package identity

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/identity/identitytest"
)

const redirect = "https://desk.example/sign-in/openid/callback"

// openID is a client of i.
func openID(i *identitytest.Issuer, set ...func(*OpenIDOptions)) *OpenID {
	o := OpenIDOptions{
		Issuer: i.URL, Client: "earshot", Secret: func() (string, error) { return "s3cret", nil }, Scopes: []string{"email", "profile"},
		Groups: "groups", HTTP: i.Client(), Now: time.Now,
	}
	for _, f := range set {
		f(&o)
	}
	return NewOpenID(o)
}

func TestOpenIDSignIn(t *testing.T) {
	t.Parallel()
	now := time.Now()
	tests := []struct {
		name   string
		claims map[string]any
		info   map[string]any
		set    func(*OpenIDOptions)
		spoil  func(f *Flow, back url.Values)
		want   string // of the error; "" for none
		check  func(c Claims) bool
	}{
		{"a good token", nil, nil, nil, nil, "", func(c Claims) bool {
			return c.Subject == "248289761001" && c.Email == "Hana.Sato@example.com" && c.Verified && c.Name == "佐藤花" && !c.HasGroups
		}},
		{"groups", map[string]any{"groups": []string{"support", "pr"}}, nil, nil, nil, "", func(c Claims) bool { return c.HasGroups && slices.Equal(c.Groups, []string{"support", "pr"}) }},
		{"one group as text", map[string]any{"groups": "support"}, nil, nil, nil, "", func(c Claims) bool { return slices.Equal(c.Groups, []string{"support"}) }},
		{"mail that is not verified", map[string]any{"email_verified": false}, nil, nil, nil, "", func(c Claims) bool { return !c.Verified }},
		{"mail of which nothing is said", map[string]any{"email_verified": nil}, nil, nil, nil, "", func(c Claims) bool { return !c.Verified }},
		{"mail that is verified as text", map[string]any{"email_verified": "true"}, nil, nil, nil, "", func(c Claims) bool { return c.Verified }},
		{"mail of a provider that is trusted", map[string]any{"email_verified": nil}, nil, func(o *OpenIDOptions) { o.TrustEmail = true }, nil, "", func(c Claims) bool { return c.Verified }},
		{"mail that is none", map[string]any{"email": "hana"}, nil, nil, nil, "", func(c Claims) bool { return c.Email == "" && !c.Verified }},
		{"mail told by userinfo", map[string]any{"email": nil, "email_verified": nil}, map[string]any{"sub": "248289761001", "email": "h@example.com", "email_verified": true}, nil, nil, "", func(c Claims) bool { return c.Email == "h@example.com" && c.Verified }},
		{"userinfo of somebody else", map[string]any{"email": nil}, map[string]any{"sub": "666", "email": "h@example.com"}, nil, nil, "somebody else", nil},
		{"another nonce", map[string]any{"nonce": "another"}, nil, nil, nil, "another sign-in", nil},
		{"no nonce", map[string]any{"nonce": nil}, nil, nil, nil, "another sign-in", nil},
		{"another audience", map[string]any{"aud": "shop"}, nil, nil, nil, "does not hold", nil},
		{"two audiences, for another client", map[string]any{"aud": []string{"earshot", "shop"}, "azp": "shop"}, nil, nil, nil, "another client", nil},
		{"two audiences, for nobody in particular", map[string]any{"aud": []string{"earshot", "shop"}}, nil, nil, nil, "another client", nil},
		{"expired", map[string]any{"exp": now.Add(-time.Minute).Unix()}, nil, nil, nil, "does not hold", nil},
		{"another issuer", map[string]any{"iss": "https://evil.example"}, nil, nil, nil, "does not hold", nil},
		{"no subject", map[string]any{"sub": ""}, nil, nil, nil, "names nobody", nil},
		{"another state", nil, nil, nil, func(_ *Flow, back url.Values) { back.Set("state", "another") }, "belong to this browser", nil},
		{"no state", nil, nil, nil, func(f *Flow, back url.Values) { f.State = ""; back.Del("state") }, "belong to this browser", nil},
		{"another provider's answer", nil, nil, nil, func(_ *Flow, back url.Values) { back.Set("iss", "https://evil.example") }, "another provider", nil},
		{"another verifier", nil, nil, nil, func(f *Flow, _ url.Values) { f.Verifier = strings.Repeat("v", 43) }, "invalid_grant", nil},
		{"another code", nil, nil, nil, func(_ *Flow, back url.Values) { back.Set("code", "guessed") }, "invalid_grant", nil},
		{"somebody who says no", nil, nil, nil, func(_ *Flow, back url.Values) { back.Set("error", "access_denied") }, "access_denied", nil},
		{"a wrong secret", nil, nil, func(o *OpenIDOptions) { o.Secret = func() (string, error) { return "wrong", nil } }, nil, "not taken", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := identitytest.NewIssuer(t)
			i.Say(tt.claims, tt.info)
			o := openID(i)
			if tt.set != nil {
				o = openID(i, tt.set)
			}
			page, f, err := o.Start(t.Context(), redirect)
			if err != nil {
				t.Fatal(err)
			}
			back := i.Visit(t, page).Query()
			if tt.spoil != nil {
				tt.spoil(&f, back)
			}
			c, err := o.Finish(t.Context(), f, redirect, back)
			if tt.want == "" {
				if err != nil || !tt.check(c) {
					t.Errorf("Finish() = %+v, %v", c, err)
				}
				return
			}
			if _, told := errors.AsType[*OpenIDError](err); !told || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("Finish() = %v, want an *OpenIDError with %q", err, tt.want)
			}
		})
	}
}

func TestAProvidersNewKeyIsFetched(t *testing.T) {
	t.Parallel()
	i := identitytest.NewIssuer(t)
	o := openID(i)
	in := func() error {
		page, f, err := o.Start(t.Context(), redirect)
		if err != nil {
			return err
		}
		_, err = o.Finish(t.Context(), f, redirect, i.Visit(t, page).Query())
		return err
	}
	for range 2 {
		if err := in(); err != nil {
			t.Fatal(err)
		}
	}
	if n := i.KeysAsked(); n != 1 {
		t.Errorf("keys were fetched %d times", n)
	}
	i.Rotate("two")
	if err := in(); err != nil {
		t.Errorf("after a rotation: %v", err)
	}
	if to := o.SignOutPage(); to != i.URL+"/bye?client_id=earshot" {
		t.Errorf("sign-out leads to %q", to)
	}
}

func TestAProviderMayBeAwayAtFirst(t *testing.T) {
	t.Parallel()
	i := identitytest.NewIssuer(t)
	away := true
	c := *i.Client()
	next := c.Transport
	c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if away {
			return nil, errors.New("no route")
		}
		return next.RoundTrip(r)
	})
	now := time.Now()
	o := openID(i, func(o *OpenIDOptions) { o.HTTP, o.Now = &c, func() time.Time { return now } })
	if _, _, err := o.Start(t.Context(), redirect); err == nil {
		t.Error("a provider that is away was asked")
	}
	away = false
	if _, _, err := o.Start(t.Context(), redirect); err == nil {
		t.Error("a provider that was away a moment ago was asked again")
	}
	now = now.Add(openIDPause)
	if _, _, err := o.Start(t.Context(), redirect); err != nil {
		t.Errorf("once it is back: %v", err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestGroupsGiveRoles(t *testing.T) {
	t.Parallel()
	g, err := ParseGrants([]string{"support=agent@kumo", "support-hoshi=agent@hoshi", "cn=pr,dc=example=pr_lead", "it=admin"})
	if err != nil {
		t.Fatal(err)
	}
	got := g.Of([]string{"cn=pr,dc=example", "support", "support-hoshi", "else"})
	if len(got) != 2 || got[0].Role != Agent || !slices.Equal(got[0].Brands, []string{"kumo", "hoshi"}) || got[1].Role != PRLead || !slices.Equal(got[1].Brands, []string{AllBrands}) {
		t.Errorf("grants %+v", got)
	}
	if len(g.Of(nil)) != 0 {
		t.Error("nobody's groups give something")
	}
	for _, bad := range []string{"support", "=agent", "support=boss", "support=agent@", "support=agent@Kumo Café"} {
		if _, err := ParseGrants([]string{bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestAnAccountIsLinkedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := Claims{Issuer: "https://id.example", Subject: "1"}
	if _, ok := b.BySubject(c.Issuer, c.Subject); ok {
		t.Error("nobody is linked yet")
	}
	if err := b.Link(t.Context(), "hana", "hana", c); err != nil {
		t.Fatal(err)
	}
	if s, ok := b.BySubject(c.Issuer, c.Subject); !ok || s.ID != "hana" {
		t.Errorf("BySubject() = %+v, %v", s, ok)
	}
	if _, ok := b.BySubject("https://other.example", "1"); ok {
		t.Error("the same subject at another issuer is somebody else")
	}
	if err := b.Link(t.Context(), "hana", "hana", Claims{Issuer: c.Issuer, Subject: "2"}); !errors.Is(err, ErrLinked) {
		t.Errorf("a second account at the provider: %v", err)
	}
	if _, err := b.signIn(t.Context(), hana.Email, goodPassword, office); err != nil {
		t.Errorf("the password is gone: %v", err)
	}
}
