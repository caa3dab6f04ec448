package identity

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// issuer is an OpenID provider as OpenID Connect Core 1.0 and Discovery 1.0 have
// it: discovery, keys, an authorization endpoint that asks nobody, and a token
// endpoint that checks the client, the redirect and the PKCE verifier.
type issuer struct {
	*httptest.Server
	mu     sync.Mutex
	key    *rsa.PrivateKey
	kid    string
	claims map[string]any // over those of a good token
	info   map[string]any // of the userinfo endpoint
	codes  map[string]url.Values
	keys   int // how often they were asked for
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{codes: map[string]url.Values{}}
	i.rotate(t, "one")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		i.json(w, map[string]any{
			"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
			"userinfo_endpoint": i.URL + "/userinfo", "end_session_endpoint": i.URL + "/bye",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		i.keys++
		key := map[string]string{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": i.kid,
			"n": base64.RawURLEncoding.EncodeToString(i.key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(i.key.E)).Bytes()),
		}
		i.mu.Unlock()
		i.json(w, map[string]any{"keys": []any{key}})
	})
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("response_type") != "code" || q.Get("client_id") != "earshot" || !slices.Contains(strings.Fields(q.Get("scope")), "openid") || q.Get("code_challenge_method") != "S256" {
			http.Error(w, "invalid_request", http.StatusBadRequest)
			return
		}
		code := rand.Text()
		i.mu.Lock()
		i.codes[code] = q
		i.mu.Unlock()
		back, _ := url.Parse(q.Get("redirect_uri"))
		back.RawQuery = url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {i.URL}}.Encode()
		http.Redirect(w, r, back.String(), http.StatusFound)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		code := r.FormValue("code")
		i.mu.Lock()
		asked, ok := i.codes[code]
		delete(i.codes, code)
		i.mu.Unlock()
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		if id != "earshot" || secret != "s3cret" || r.FormValue("grant_type") != "authorization_code" || !ok ||
			asked.Get("redirect_uri") != r.FormValue("redirect_uri") || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
			return
		}
		i.json(w, map[string]any{"access_token": "access", "token_type": "Bearer", "expires_in": 60, "id_token": i.token(t, asked.Get("nonce"))})
	})
	mux.HandleFunc("GET /userinfo", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer access" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		i.json(w, i.info)
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) json(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// issuerKeys are made once: that takes a while.
var issuerKeys = sync.OnceValue(func() map[string]*rsa.PrivateKey {
	keys := map[string]*rsa.PrivateKey{}
	for _, kid := range []string{"one", "two"} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[kid] = key
	}
	return keys
})

func (i *issuer) rotate(t *testing.T, kid string) {
	t.Helper()
	i.mu.Lock()
	i.key, i.kid = issuerKeys()[kid], kid
	i.mu.Unlock()
}

// token is an ID token signed with RS256.
func (i *issuer) token(t *testing.T, nonce string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := time.Now()
	claims := map[string]any{
		"iss": i.URL, "aud": "earshot", "sub": "248289761001", "nonce": nonce, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		"email": "Hana.Sato@example.com", "email_verified": true, "name": "佐藤花",
	}
	maps.Copy(claims, i.claims)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	part := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	body := part(map[string]string{"alg": "RS256", "kid": i.kid}) + "." + part(claims)
	sum := sha256.Sum256([]byte(body))
	sig, err := rsa.SignPKCS1v15(nil, i.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Error(err)
	}
	return body + "." + base64.RawURLEncoding.EncodeToString(sig)
}

const redirect = "https://desk.example/sign-in/openid/callback"

func (i *issuer) openID(set ...func(*OpenIDOptions)) *OpenID {
	o := OpenIDOptions{
		Issuer: i.URL, Client: "earshot", Secret: func() (string, error) { return "s3cret", nil }, Scopes: []string{"email", "profile"},
		Groups: "groups", HTTP: i.Client(), Now: time.Now,
	}
	for _, f := range set {
		f(&o)
	}
	return NewOpenID(o)
}

// visit goes to the provider's page and returns what it sends back.
func (i *issuer) visit(t *testing.T, page string) url.Values {
	t.Helper()
	c := *i.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := c.Get(page)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		t.Fatalf("the provider answers %s: %v", resp.Status, err)
	}
	return to.Query()
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
			i := newIssuer(t)
			i.claims, i.info = tt.claims, tt.info
			o := i.openID()
			if tt.set != nil {
				o = i.openID(tt.set)
			}
			page, f, err := o.Start(t.Context(), redirect)
			if err != nil {
				t.Fatal(err)
			}
			back := i.visit(t, page)
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
	i := newIssuer(t)
	o := i.openID()
	in := func() error {
		page, f, err := o.Start(t.Context(), redirect)
		if err != nil {
			return err
		}
		_, err = o.Finish(t.Context(), f, redirect, i.visit(t, page))
		return err
	}
	for range 2 {
		if err := in(); err != nil {
			t.Fatal(err)
		}
	}
	if i.keys != 1 {
		t.Errorf("keys were fetched %d times", i.keys)
	}
	i.rotate(t, "two")
	if err := in(); err != nil {
		t.Errorf("after a rotation: %v", err)
	}
	if to := o.SignOutPage(); to != i.URL+"/bye?client_id=earshot" {
		t.Errorf("sign-out leads to %q", to)
	}
}

func TestAProviderMayBeAwayAtFirst(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	away := true
	c := *i.Client()
	next := c.Transport
	c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if away {
			return nil, errors.New("no route")
		}
		return next.RoundTrip(r)
	})
	o := i.openID(func(o *OpenIDOptions) { o.HTTP = &c })
	if _, _, err := o.Start(t.Context(), redirect); err == nil {
		t.Error("a provider that is away was asked")
	}
	away = false
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
