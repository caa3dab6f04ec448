// Package identitytest is for tests: an OpenID provider, written from the
// standards and not from our client.
package identitytest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
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

// Issuer is an OpenID provider as OpenID Connect Core 1.0 and Discovery 1.0 have
// it: discovery, keys, an authorization endpoint that asks nobody, and a token
// endpoint that checks the client, the redirect and the PKCE verifier.
type Issuer struct {
	*httptest.Server
	mu     sync.Mutex
	key    *rsa.PrivateKey
	kid    string
	claims map[string]any
	info   map[string]any
	codes  map[string]url.Values
	keys   int
}

// NewIssuer starts an issuer. Its client is "earshot" with the secret "s3cret"; who
// signs in there is Hana Sato unless claims say otherwise.
func NewIssuer(t *testing.T) *Issuer {
	t.Helper()
	i := &Issuer{codes: map[string]url.Values{}}
	i.Rotate("one")
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

func (i *Issuer) json(w http.ResponseWriter, v any) {
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

// Rotate signs with another key from here on: "one" or "two".
func (i *Issuer) Rotate(kid string) {
	i.mu.Lock()
	i.key, i.kid = issuerKeys()[kid], kid
	i.mu.Unlock()
}

// token is an ID token signed with RS256.
func (i *Issuer) token(t *testing.T, nonce string) string {
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

// Say has the issuer say claims in its tokens, over those of a good one, and info
// at its userinfo endpoint. A claim that is nil is left out.
func (i *Issuer) Say(claims, info map[string]any) {
	i.mu.Lock()
	i.claims, i.info = claims, info
	i.mu.Unlock()
}

// KeysAsked tells how often the keys were asked for.
func (i *Issuer) KeysAsked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys
}

// Visit goes to the page that a browser is sent to and returns where it is sent
// back to.
func (i *Issuer) Visit(t *testing.T, page string) *url.URL {
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
	return to
}
