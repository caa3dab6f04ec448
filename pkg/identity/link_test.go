package identity

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func newSigner(t testing.TB, fill byte) *Signer {
	t.Helper()
	s, err := NewSigner(bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSigner(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	s := newSigner(t, 1)
	p := Paged{Escalation: "acme-7k2m", Recipient: "hana", Expires: now.Add(time.Hour)}
	token := s.Sign(p)

	if got, err := s.Open(token, now); err != nil || got != p {
		t.Errorf("Open() = %+v, %v, want %+v", got, err, p)
	}
	if len(token) > 80 {
		t.Errorf("%d characters are long for a text message", len(token))
	}
	if _, err := s.Open(token, p.Expires); !errors.Is(err, ErrLink) {
		t.Errorf("at its end: %v", err)
	}
	if _, err := newSigner(t, 2).Open(token, now); !errors.Is(err, ErrLink) {
		t.Errorf("with another key: %v", err)
	}
	for i := range len(token) {
		flipped := []byte(token)
		flipped[i] ^= 1
		if got, err := s.Open(string(flipped), now); err == nil {
			t.Errorf("with byte %d changed it opens as %+v", i, got)
		}
	}
	// Moving the border between two fields must not give a valid token.
	moved := s.Sign(Paged{Escalation: "acme-7k2mh", Recipient: "ana", Expires: p.Expires})
	if moved == token {
		t.Error("two different pages have one token")
	}
	if _, err := NewSigner(make([]byte, 31)); err == nil {
		t.Error("a short key was taken")
	}
}

func FuzzOpen(f *testing.F) {
	now := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	s := newSigner(f, 1)
	f.Add(newSigner(f, 2).Sign(Paged{"e", "hana", now.Add(time.Hour)}))
	f.Add("...")
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		if p, err := s.Open(token, now); err == nil && s.Sign(p) != token {
			t.Errorf("Open(%q) = %+v, which signs as %q", token, p, s.Sign(p))
		}
	})
}

func TestToken(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	tok, secret, err := NewToken("店舗システム", ScopeIntake, []string{"acme"}, now, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := parseToken(secret); !ok || id != tok.ID {
		t.Errorf("parseToken(secret) = %q, %v", id, ok)
	}
	if strings.Contains(secret, tok.Hash) || strings.Contains(tok.Hash, secret) {
		t.Error("the hash holds the secret")
	}
	_, again, err := NewToken("店舗システム", ScopeIntake, []string{"acme"}, now, time.Time{})
	if err != nil || again == secret {
		t.Errorf("a second token is the first: %v", err)
	}
	for name, bad := range map[string]func() (Token, string, error){
		"without a name":  func() (Token, string, error) { return NewToken("", ScopeRead, []string{"acme"}, now, time.Time{}) },
		"of no scope":     func() (Token, string, error) { return NewToken("x", "all", []string{"acme"}, now, time.Time{}) },
		"for no brand":    func() (Token, string, error) { return NewToken("x", ScopeRead, nil, now, time.Time{}) },
		"already expired": func() (Token, string, error) { return NewToken("x", ScopeRead, []string{"acme"}, now, now) },
	} {
		if _, _, err := bad(); err == nil {
			t.Errorf("a token %s was made", name)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	_, secret, err := NewToken("x", ScopeRead, []string{"acme"}, time.Unix(1, 0), time.Time{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(secret)
	f.Add("earshot_")
	f.Add("earshot_aaaaaaaaaa_" + strings.Repeat("_", tokenSecretLen))
	f.Fuzz(func(t *testing.T, secret string) {
		id, ok := parseToken(secret)
		if ok && (len(id) != tokenIDLen || !isBase32(id) || !strings.HasPrefix(secret, tokenPrefix+id+"_")) {
			t.Errorf("parseToken(%q) = %q", secret, id)
		}
	})
}
