package source

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/jwt"

	"github.com/earshot/earshot/pkg/outbound"
)

// authority gives tokens as RFC 6749 and RFC 7636 have it. It rotates refresh
// tokens, and whoever shows a spent one loses the consent (RFC 9700, 4.14.2).
type authority struct {
	*httptest.Server
	mu        sync.Mutex
	life      time.Duration
	code      string // that a person's consent gave
	challenge string
	refresh   string
	given     int
	refused   bool // the person has taken the consent back
	down      int  // answers 503 so often
}

func newAuthority(t *testing.T) *authority {
	a := &authority{life: time.Hour}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	refuse := func(code string) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":%q,"error_description":"said the authority"}`, code)
	}
	if a.down > 0 {
		a.down--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	rotates := true
	switch r.FormValue("grant_type") {
	case "authorization_code":
		if r.FormValue("code") != a.code || oauth2.S256ChallengeFromVerifier(r.FormValue("code_verifier")) != a.challenge {
			refuse("invalid_grant")
			return
		}
	case "refresh_token":
		if a.refused || r.FormValue("refresh_token") != a.refresh {
			a.refused = true
			refuse("invalid_grant")
			return
		}
	case "client_credentials":
		if id, secret, _ := r.BasicAuth(); id != "client" || secret != "hunter2" {
			refuse("invalid_client")
			return
		}
		rotates = false
	case "urn:ietf:params:oauth:grant-type:jwt-bearer":
		if strings.Count(r.FormValue("assertion"), ".") != 2 {
			refuse("invalid_grant")
			return
		}
		rotates = false
	default:
		refuse("unsupported_grant_type")
		return
	}
	a.given++
	answer := map[string]any{"access_token": fmt.Sprint("access-", a.given), "token_type": "Bearer", "expires_in": int(a.life.Seconds())}
	if rotates {
		a.refresh = fmt.Sprint("refresh-", a.given)
		answer["refresh_token"] = a.refresh
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (a *authority) tokens() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.given
}

func (a *authority) config() oauth2.Config {
	return oauth2.Config{
		ClientID: "client", ClientSecret: "hunter2",
		Endpoint: oauth2.Endpoint{TokenURL: a.URL + "/token", AuthURL: a.URL + "/authorize", AuthStyle: oauth2.AuthStyleInHeader},
	}
}

// consent lets d in, as a person would on the platform's page.
func (a *authority) consent(t *testing.T, d Deps) {
	t.Helper()
	verifier := oauth2.GenerateVerifier()
	a.mu.Lock()
	a.code, a.challenge, a.refused = "code-"+verifier, oauth2.S256ChallengeFromVerifier(verifier), false
	code := a.code
	a.mu.Unlock()
	if _, err := d.Consented(t.Context(), a.config(), code, verifier, "hanako", nobody); err != nil {
		t.Fatal(err)
	}
}

// nobody doesn't say whose consent it is.
func nobody(context.Context, Keeper) (string, error) { return "", nil }

// clock can be moved on.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }
func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func tokenDeps(t *testing.T, keep Keeper) (Deps, *clock) {
	t.Helper()
	client, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{at: testNow}
	return Deps{HTTP: client, Log: slog.New(slog.DiscardHandler), Now: c.Now, Keep: keep}, c
}

func permanent(err error) bool {
	p, ok := err.(interface{ Permanent() bool })
	return ok && p.Permanent()
}

func TestConsentIsUsedAndRenewed(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	d, clock := tokenDeps(t, Memory())
	token := d.token(a.config())
	if _, err := token(t.Context()); err == nil || !permanent(err) || !strings.Contains(err.Error(), "connect the source in the desk") {
		t.Errorf("without consent: %v", err)
	}
	if _, err := d.Consented(t.Context(), a.config(), "wrong", oauth2.GenerateVerifier(), "hanako", nobody); err == nil || !strings.Contains(err.Error(), "said the authority") {
		t.Errorf("a wrong code: %v", err)
	}
	a.consent(t, d)
	g, ok, err := d.Consent(t.Context(), a.config())
	if err != nil || !ok || g.By != "hanako" || !g.Since.Equal(testNow) {
		t.Errorf("%+v, %v, %v", g, ok, err)
	}
	other := a.config()
	other.ClientID = "another"
	if _, ok, _ := d.Consent(t.Context(), other); ok {
		t.Error("the consent holds for another client")
	}
	for _, step := range []struct {
		pass time.Duration
		want string
	}{{0, "access-1"}, {57 * time.Minute, "access-1"}, {2 * time.Minute, "access-2"}, {30 * time.Second, "access-2"}, {24 * time.Hour, "access-3"}} {
		clock.pass(step.pass)
		if got, err := token(t.Context()); err != nil || got != step.want {
			t.Errorf("after %v: %q, %v; want %s", step.pass, got, err, step.want)
		}
	}
}

// TestWhoseConsentItIs: it is asked with the new token before anything is kept,
// and another account's consent replaces nothing.
func TestWhoseConsentItIs(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	d, _ := tokenDeps(t, Memory())
	give := func(name string, err error) (Grant, error) {
		verifier := oauth2.GenerateVerifier()
		a.mu.Lock()
		a.code, a.challenge = "code-"+verifier, oauth2.S256ChallengeFromVerifier(verifier)
		code := a.code
		a.mu.Unlock()
		return d.Consented(t.Context(), a.config(), code, verifier, "hanako", func(ctx context.Context, k Keeper) (string, error) {
			with := d
			with.Keep = k
			got, lost := with.token(a.config())(ctx)
			if want := fmt.Sprint("access-", a.tokens()); lost != nil || got != want {
				t.Errorf("asked with %q, %v; want %s", got, lost, want)
			}
			return name, err
		})
	}
	kept := func() Grant {
		t.Helper()
		g, _, err := d.Consent(t.Context(), a.config())
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	if g, err := give("@other", WrongAccount.refuse("not us")); err == nil || g.Account != "@other" || g.Token.AccessToken != "" || kept().Account != "" {
		t.Errorf("another account: %+v, %v; kept %+v", g, err, kept())
	}
	if g, err := give("@acme", nil); err != nil || g.Account != "@acme" || kept().Account != "@acme" || kept().Token.AccessToken != "access-2" {
		t.Errorf("ours: %+v, %v; kept %+v", g, err, kept())
	}
	if _, err := give("@other", WrongAccount.refuse("not us")); err == nil || kept().Account != "@acme" || kept().Token.AccessToken != "access-2" {
		t.Errorf("another one after ours: %v; kept %+v", err, kept())
	}
	if _, err := give("", Unreachable.refuse("busy")); err != nil || kept().Account != "" || kept().Token.AccessToken != "access-4" {
		t.Errorf("the platform doesn't say: %v; kept %+v", err, kept())
	}
}

// TestOneProcessRenews: many processes share a consent whose refresh tokens can
// be shown but once.
func TestOneProcessRenews(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	d, clock := tokenDeps(t, Memory())
	a.consent(t, d)
	var tokens []func(context.Context) (string, error)
	for range 8 {
		tokens = append(tokens, d.token(a.config()))
	}
	for round := range 5 {
		clock.pass(2 * time.Hour)
		var wg sync.WaitGroup
		for _, token := range tokens {
			wg.Go(func() {
				if got, err := token(t.Context()); err != nil || got != fmt.Sprint("access-", round+2) {
					t.Errorf("round %d: %q, %v", round, got, err)
				}
			})
		}
		wg.Wait()
	}
	if n := a.tokens(); n != 6 {
		t.Errorf("%d tokens given, want one per round and the first", n)
	}
}

func TestTroubleIsNotTheEndOfAConsent(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	d, clock := tokenDeps(t, Memory())
	a.consent(t, d)
	clock.pass(2 * time.Hour)
	a.mu.Lock()
	a.down = 1
	a.mu.Unlock()
	token := d.token(a.config())
	if _, err := token(t.Context()); err == nil || permanent(err) {
		t.Errorf("during trouble: %v", err)
	}
	if got, err := token(t.Context()); err != nil || got != "access-2" {
		t.Errorf("after it: %q, %v", got, err)
	}
}

func TestConsentTakenBack(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	d, clock := tokenDeps(t, Memory())
	a.consent(t, d)
	token := d.token(a.config())
	if _, err := token(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock.pass(2 * time.Hour)
	a.mu.Lock()
	a.refused = true
	a.mu.Unlock()
	if _, err := token(t.Context()); err == nil || !permanent(err) || !strings.Contains(err.Error(), "connect again in the desk") {
		t.Errorf("taken back: %v", err)
	}
	a.consent(t, d)
	if got, err := token(t.Context()); err != nil || got != "access-2" {
		t.Errorf("connected again: %q, %v", got, err)
	}
}

// TestTokenTrouble tells apart what a token endpoint answers, in its own words.
func TestTokenTrouble(t *testing.T) {
	t.Parallel()
	d, _ := tokenDeps(t, nil)
	now := d.Now()
	for _, c := range []struct {
		status    int
		body      string
		permanent bool
		refusal   Reason
		want      outbound.Trouble
	}{
		{400, `{"error":"invalid_grant","error_description":"Token has been revoked."}`, true, Revoked, outbound.Trouble{Reason: outbound.Credentials, Status: 400, Said: "Token has been revoked."}},
		{401, `{"error":"invalid_client","error_description":"Wrong client_secret=hunter2."}`, true, Revoked, outbound.Trouble{Reason: outbound.Credentials, Status: 401, Said: "Wrong client_secret=…"}},
		{200, `{"error":"invalid_grant","error_description":"Consent withdrawn."}`, true, Revoked, outbound.Trouble{Reason: outbound.Credentials, Said: "Consent withdrawn."}},
		{404, `<html>`, true, "", outbound.Trouble{Reason: outbound.NotFound, Status: 404}},
		{429, `{"error_description":"Slow down."}`, false, Limited, outbound.Trouble{Reason: outbound.Limited, Status: 429, Said: "Slow down.", Until: now.Add(time.Minute).UTC()}},
		{503, `{"message":"Maintenance."}`, false, Unreachable, outbound.Trouble{Reason: outbound.ServerError, Status: 503, Said: "Maintenance.", Until: now.Add(time.Minute).UTC()}},
		{500, ``, false, Unreachable, outbound.Trouble{Reason: outbound.ServerError, Status: 500}},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
		}))
		t.Cleanup(s.Close)
		_, err := d.clientToken(clientcredentials.Config{ClientID: "client", ClientSecret: "hunter2", TokenURL: s.URL, AuthStyle: oauth2.AuthStyleInHeader})(t.Context())
		r, refused := Refused(err, now)
		if !refused || r.Reason != c.refusal || permanent(err) != c.permanent || c.refusal == Limited && !r.Until.Equal(c.want.Until) {
			t.Errorf("%d: %v: %+v, permanent %v", c.status, err, r, permanent(err))
		}
		if c.permanent && status(err) != 0 {
			t.Errorf("%d passes for the status of a post", c.status)
		}
		got := outbound.Explain(err, now)
		if c.status != 200 && got.Host != strings.TrimPrefix(s.URL, "http://") {
			t.Errorf("%d: host %q", c.status, got.Host)
		}
		got.Host = ""
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%d: %v\n%s", c.status, err, d)
		}
	}
}

// TestRenewalOfADeadProcess: who died while renewing is not waited for without
// end.
func TestRenewalOfADeadProcess(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	d, clock := tokenDeps(t, Memory())
	a.consent(t, d)
	clock.pass(2 * time.Hour)
	var g Grant
	if err := d.Keep.Update(t.Context(), tokenName, &g, func() (bool, error) {
		g.Renewing = d.Now().Add(2 * tokenTime)
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	token := d.token(a.config())
	if got, err := token(ctx); err == nil {
		t.Errorf("while another renews: %q", got)
	}
	clock.pass(2*tokenTime + time.Second)
	if got, err := token(t.Context()); err != nil || got != "access-2" {
		t.Errorf("after its time: %q, %v", got, err)
	}
}

func TestProgramsLetThemselvesIn(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	d, clock := tokenDeps(t, nil)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	client := clientcredentials.Config{ClientID: "client", ClientSecret: "hunter2", TokenURL: a.URL, AuthStyle: oauth2.AuthStyleInHeader}
	service := jwt.Config{Email: "bot@project.example", PrivateKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), TokenURL: a.URL}
	for n, token := range []func(context.Context) (string, error){d.clientToken(client), d.serviceToken(service)} {
		for i, pass := range []time.Duration{0, 50 * time.Minute, 9 * time.Minute} {
			clock.pass(pass)
			want := fmt.Sprint("access-", 2*n+i/2+1)
			if got, err := token(t.Context()); err != nil || got != want {
				t.Errorf("after %v: %q, %v; want %s", pass, got, err, want)
			}
		}
	}
	client.ClientSecret = "wrong"
	if _, err := d.clientToken(client)(t.Context()); err == nil || !permanent(err) || !strings.Contains(err.Error(), "secret right?") {
		t.Errorf("wrong secret: %v", err)
	}
}
