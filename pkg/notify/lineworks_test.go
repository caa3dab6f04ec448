package notify

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// serviceKey is a service account's private key, as the Developer Console gives
// it.
var serviceKey, servicePublic = func() (string, *rsa.PublicKey) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), &key.PublicKey
}()

// worksServer takes the part of LINE WORKS, as its documentation tells it.
type worksServer struct {
	t      *testing.T
	tokens atomic.Int32 // given out
	valid  atomic.Int32 // the token that is accepted, of those given out
	got    []string
}

func (s *worksServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/oauth2/v2.0/token" {
		s.token(w, r)
		return
	}
	if r.Header.Get("Authorization") != "Bearer kumo"+string(rune('0'+s.valid.Load())) {
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"code":"UNAUTHORIZED","description":"Authentication failed"}`)
		return
	}
	var body struct {
		Content struct{ Type, Text string }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Content.Type != "text" || len([]rune(body.Content.Text)) > 2000 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.got = append(s.got, r.Method+" "+r.URL.Path)
	w.WriteHeader(http.StatusCreated)
}

func (s *worksServer) token(w http.ResponseWriter, r *http.Request) {
	claims := jwt.RegisteredClaims{}
	_, err := jwt.ParseWithClaims(r.PostFormValue("assertion"), &claims, func(*jwt.Token) (any, error) { return servicePublic, nil },
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(func() time.Time { return noon }), jwt.WithIssuedAt(), jwt.WithExpirationRequired())
	if err != nil || claims.Issuer != "client" || claims.Subject != "a.serviceaccount@kumo" || claims.ExpiresAt.Sub(noon) > time.Hour {
		s.t.Errorf("assertion: %v, %+v", err, claims)
	}
	if r.PostFormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || r.PostFormValue("client_id") != "client" ||
		r.PostFormValue("client_secret") != theSecret || r.PostFormValue("scope") != "bot" {
		s.t.Errorf("form: %v", r.PostForm)
	}
	json.NewEncoder(w).Encode(map[string]string{
		"access_token": "kumo" + string(rune('0'+s.tokens.Add(1))), "token_type": "Bearer", "expires_in": "86400", "scope": "bot",
	})
}

func startWorks(t *testing.T) (*worksServer, string) {
	s := &worksServer{t: t}
	s.valid.Store(1)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return s, strings.TrimPrefix(srv.URL, "http://")
}

func TestLineWorksToken(t *testing.T) {
	s, addr := startWorks(t)
	n := open(t, "lineworks", addr, nil)
	for range 3 {
		if err := tell(t.Context(), n, samplePage("ja")); err != nil {
			t.Fatal(err)
		}
	}
	if s.tokens.Load() != 1 || len(s.got) != 3 {
		t.Errorf("%d tokens for %d messages", s.tokens.Load(), len(s.got))
	}
	s.valid.Store(2) // the first is withdrawn before its time
	if err := tell(t.Context(), n, samplePage("ja")); err != nil {
		t.Fatal(err)
	}
	s.valid.Store(9) // and now none is good
	if err := tell(t.Context(), n, samplePage("ja")); !permanent(err) {
		t.Errorf("%v, want a refusal for good", err)
	}
	if s.tokens.Load() != 3 {
		t.Errorf("%d tokens, want one more for each refusal", s.tokens.Load())
	}
}

func TestLineWorksRecipients(t *testing.T) {
	s, addr := startWorks(t)
	if err := tell(t.Context(), open(t, "lineworks", addr, nil), samplePage("ja")); err != nil {
		t.Fatal(err)
	}
	n := open(t, "lineworks", addr, map[string]any{"channel_id": ""})
	if !IsPersonal(n) {
		t.Error("not personal")
	}
	s.valid.Store(2)
	long := samplePage("ja")
	long.Excerpt, long.Reason = strings.Repeat("熱い🔥", 400), strings.Repeat("理由", 900)
	if err := tell(t.Context(), n, long); err != nil {
		t.Fatal(err)
	}
	nobody := samplePage("ja")
	nobody.To.Email = ""
	if err := tell(t.Context(), n, nobody); !permanent(err) {
		t.Errorf("%v", err)
	}
	if got := strings.Join(s.got, "\n"); got != "POST /v1.0/bots/2000001/channels/room-1/messages\nPOST /v1.0/bots/2000001/users/ben@kumo.example/messages" {
		t.Error(got)
	}
}

func TestKeysWithoutLineBreaks(t *testing.T) {
	want, err := rsaKey(serviceKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"spaces":           strings.ReplaceAll(serviceKey, "\n", " "),
		"nothing":          strings.ReplaceAll(serviceKey, "\n", ""),
		"escapes":          strings.ReplaceAll(serviceKey, "\n", `\n`),
		"of another age":   string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(want)})),
		"carriage returns": strings.ReplaceAll(serviceKey, "\n", "\r\n"),
	} {
		if got, err := rsaKey(text); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", theSecret} {
		if _, err := rsaKey(text); err == nil || strings.Contains(err.Error(), theSecret) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
