package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Programs may sign their requests instead of sending a token, as Standard
// Webhooks has it: the key never travels, and whoever reads a request can't
// make another. A sender is a token that has keys.

// signedFor is how far a signed request's time may be from ours.
const signedFor = 5 * time.Minute

// SigningKey is one of a token's keys, without the key itself.
type SigningKey struct {
	N    int       `json:"n"`
	Made time.Time `json:"made"`
}

// SenderKey returns the n-th signing key of a token, in the form whsec_BASE64.
// It is made of the installation's own key and stored nowhere.
func (s *Signer) SenderKey(token string, n int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(s.senderKey(token, n))
}

// senderKey has the 256 bits that the scheme asks for, of two halves.
func (s *Signer) senderKey(token string, n int) []byte {
	purpose := "sender " + token + " " + strconv.Itoa(n)
	return append(s.Derive(purpose), s.Derive(purpose+" more")...)
}

// Rotate gives t another key, and keeps the one before while senders change
// over; alone, that one ends at once. It returns the number of the new one.
func (t *Token) Rotate(now time.Time, alone bool) int {
	next := SigningKey{N: 1, Made: now.UTC().Truncate(time.Second)}
	if last := len(t.Keys) - 1; last >= 0 {
		next.N = t.Keys[last].N + 1
		t.Keys = []SigningKey{t.Keys[last]}
	}
	if alone {
		t.Keys = nil
	}
	t.Keys = append(t.Keys, next)
	return next.N
}

// SignatureError refuses a signed request. Its text names the header.
type SignatureError struct{ Text string }

func (e *SignatureError) Error() string { return e.Text }
func (e *SignatureError) Unwrap() error { return ErrToken }

// Signed is a request that its sender signed: the id of the token, and the
// headers webhook-id, webhook-timestamp and webhook-signature.
type Signed struct {
	Sender, ID, Timestamp, Signature string
}

// Sender finds out whom a signed request stands for. The body is read only for a
// sender and a time that can be right. The error is a [*SignatureError], or one
// of body or the store.
func (g *Gate) Sender(ctx context.Context, s *Signer, r Signed, body func() ([]byte, error)) (Viewer, error) {
	no := func(format string, args ...any) (Viewer, error) {
		return Viewer{}, &SignatureError{fmt.Sprintf(format, args...)}
	}
	now := g.now()
	seconds, err := strconv.ParseInt(r.Timestamp, 10, 64)
	switch at := time.Unix(seconds, 0); {
	case r.ID == "" || len(r.ID) > 200:
		return no("webhook-id: want an id of the request, up to 200 characters")
	case err != nil:
		return no("webhook-timestamp: want seconds since 1970")
	case now.Sub(at) > signedFor || at.Sub(now) > signedFor:
		return no("webhook-timestamp: %s is more than 5 minutes from our clock, %s", at.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	t, ok := g.dir.Token(r.Sender)
	if !ok || len(t.Keys) == 0 || !t.holds(now) {
		return no("sender: no token of this id signs its requests, or it has expired")
	}
	raw, err := body()
	if err != nil {
		return Viewer{}, err
	}
	matches := false
	for _, k := range t.Keys {
		mac := hmac.New(sha256.New, s.senderKey(t.ID, k.N))
		fmt.Fprintf(mac, "%s.%s.%s", r.ID, r.Timestamp, raw)
		want := mac.Sum(nil)
		for _, one := range strings.Fields(r.Signature) {
			version, text, _ := strings.Cut(one, ",")
			given, err := base64.StdEncoding.DecodeString(text)
			matches = hmac.Equal(given, want) && err == nil && version == "v1" || matches
		}
	}
	if !matches {
		return no("webhook-signature: none of the signatures is of this request with a key of this sender")
	}
	g.noteUse(ctx, t.ID, now)
	return t.Viewer(), nil
}
