package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// signs takes the sender's part, as Standard Webhooks tells it to.
func signs(t *testing.T, key, id, at, body string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(key, "whsec_"))
	if err != nil || len(raw) < 24 {
		t.Fatalf("key %q: %v", key, err)
	}
	mac := hmac.New(sha256.New, raw)
	mac.Write([]byte(id + "." + at + "." + body))
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func TestSignedRequests(t *testing.T) {
	w := setup(t)
	signer, err := NewSigner(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	now := w.clock
	token, _, err := NewToken("form", ScopeIntake, []string{"acme"}, now, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	first := signer.SenderKey(token.ID, token.Rotate(now, false))
	second := signer.SenderKey(token.ID, token.Rotate(now, false))
	w.dir.tokens[token.ID] = token
	plain, _, _ := NewToken("without keys", ScopeIntake, []string{"acme"}, now, time.Time{})
	w.dir.tokens[plain.ID] = plain
	stamp := func(d time.Duration) string { return fmt.Sprint(now.Add(d).Unix()) }
	const body = `{"text":"x"}`
	for _, tt := range []struct {
		name string
		r    Signed
		says string // what is wrong; empty for nothing
	}{
		{"the first key", Signed{token.ID, "e1", stamp(0), signs(t, first, "e1", stamp(0), body)}, ""},
		{"the second key", Signed{token.ID, "e1", stamp(0), signs(t, second, "e1", stamp(0), body)}, ""},
		{"one of several signatures", Signed{token.ID, "e1", stamp(0), "v1a,zzz v1,AAAA " + signs(t, second, "e1", stamp(0), body)}, ""},
		{"almost five minutes late", Signed{token.ID, "e1", stamp(-299 * time.Second), signs(t, first, "e1", stamp(-299*time.Second), body)}, ""},
		{"too late", Signed{token.ID, "e1", stamp(-301 * time.Second), signs(t, first, "e1", stamp(-301*time.Second), body)}, "webhook-timestamp"},
		{"too early", Signed{token.ID, "e1", stamp(301 * time.Second), signs(t, first, "e1", stamp(301*time.Second), body)}, "webhook-timestamp"},
		{"no time", Signed{token.ID, "e1", "soon", "v1,AAAA"}, "webhook-timestamp"},
		{"no id", Signed{token.ID, "", stamp(0), "v1,AAAA"}, "webhook-id"},
		{"an id too long", Signed{token.ID, strings.Repeat("e", 201), stamp(0), "v1,AAAA"}, "webhook-id"},
		{"an id with a dot, as our own webhooks have", Signed{token.ID, "e.1", stamp(0), signs(t, first, "e.1", stamp(0), body)}, ""},
		{"a border that was moved", Signed{token.ID, "e", "1", signs(t, first, "e.1", stamp(0), body)}, "webhook-timestamp"},
		{"another request's signature", Signed{token.ID, "e1", stamp(0), signs(t, first, "e2", stamp(0), body)}, "webhook-signature"},
		{"another body's signature", Signed{token.ID, "e1", stamp(0), signs(t, first, "e1", stamp(0), body+" ")}, "webhook-signature"},
		{"another version", Signed{token.ID, "e1", stamp(0), strings.Replace(signs(t, first, "e1", stamp(0), body), "v1", "v2", 1)}, "webhook-signature"},
		{"another sender's key", Signed{token.ID, "e1", stamp(0), signs(t, signer.SenderKey(plain.ID, 1), "e1", stamp(0), body)}, "webhook-signature"},
		{"a token without keys", Signed{plain.ID, "e1", stamp(0), signs(t, signer.SenderKey(plain.ID, 1), "e1", stamp(0), body)}, "sender"},
		{"nobody", Signed{"aaaaaaaaaa", "e1", stamp(0), "v1,AAAA"}, "sender"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := w.Sender(t.Context(), signer, tt.r, func() ([]byte, error) { return []byte(body), nil })
			if tt.says == "" {
				if err != nil || !v.Can(Intake, "acme") || v.Can(View, "acme") || v.Actor() != "token:"+token.ID {
					t.Errorf("%v, %v", v, err)
				}
				return
			}
			e, ok := errors.AsType[*SignatureError](err)
			if !ok || !strings.HasPrefix(e.Text, tt.says) || !errors.Is(err, ErrToken) || v.Actor() != "" {
				t.Errorf("%v, want a mistake in %s", err, tt.says)
			}
		})
	}
	t.Run("a third key ends the first", func(t *testing.T) {
		token.Keys = append([]SigningKey(nil), token.Keys...)
		token.Rotate(now, false)
		w.dir.tokens[token.ID] = token
		ask := func(key string) error {
			_, err := w.Sender(context.Background(), signer, Signed{token.ID, "e1", stamp(0), signs(t, key, "e1", stamp(0), body)}, func() ([]byte, error) { return []byte(body), nil })
			return err
		}
		if err := ask(first); err == nil {
			t.Error("the first is still good")
		}
		if err := ask(second); err != nil {
			t.Error(err)
		}
		if token.Rotate(now, true); len(token.Keys) != 1 || token.Keys[0].N != 4 {
			t.Errorf("%+v", token.Keys)
		}
	})
	t.Run("what can't be right is not read", func(t *testing.T) {
		read := false
		w.Sender(t.Context(), signer, Signed{"aaaaaaaaaa", "e1", stamp(0), "v1,AAAA"}, func() ([]byte, error) { read = true; return nil, nil })
		if read {
			t.Error("the body was read")
		}
	})
}
