package identity

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// Purpose is what a one-time link is good for.
type Purpose string

const (
	// Setup creates the first administrator; its subject is [SetupSubject].
	Setup Purpose = "setup"
	// Reset sets a password of those who forgot; its subject is the id of the
	// person.
	Reset Purpose = "reset"
	// Invite makes the account of an [Invitation], whose id is its subject.
	Invite Purpose = "invite"
)

// SetupSubject is the subject of the only [Setup] link there is.
const SetupSubject = "first"

// ErrLink refuses a link that is unknown, used or too old.
var ErrLink = errors.New("the link is not valid: it was used, has expired or was replaced by a newer one")

// oneTime is a one-time link in the store.
type oneTime struct {
	Hash string    `json:"hash"`
	Ends time.Time `json:"ends"`
}

// IssueLink makes the secret of a one-time link that is good for life. It
// replaces an earlier link for the same purpose and subject.
func (g *Gate) IssueLink(ctx context.Context, p Purpose, subject string, life time.Duration) (secret string, err error) {
	secret = newSecret()
	return secret, g.store.Put(ctx, linkKey(p, subject), oneTime{digest(secret), g.now().Add(life)})
}

// CheckLink returns nil while a link can be redeemed, else [ErrLink].
func (g *Gate) CheckLink(ctx context.Context, p Purpose, subject, secret string) error {
	if !isSlug(subject) {
		return ErrLink
	}
	var l oneTime
	revision, err := g.store.Get(ctx, linkKey(p, subject), &l)
	if err != nil {
		return err
	}
	same := subtle.ConstantTimeCompare([]byte(digest(secret)), []byte(l.Hash)) == 1
	if revision == 0 || !same || !g.now().Before(l.Ends) {
		return ErrLink
	}
	return nil
}

// Redeem uses a link up by calling f, once even when many try at the same time.
// If f returns an error the link stays good, and Redeem returns that error.
func (g *Gate) Redeem(ctx context.Context, p Purpose, subject, secret string, f func(context.Context) error) error {
	if err := g.CheckLink(ctx, p, subject, secret); err != nil {
		return err
	}
	// The mark outlives the link: who has read the link before it was deleted
	// still finds the mark.
	mark := "taken." + digest(secret)
	first, err := g.store.Update(ctx, mark, oneTime{Ends: g.now().Add(24 * time.Hour)}, 0)
	if err != nil {
		return err
	}
	if !first {
		return ErrLink
	}
	if err := f(ctx); err != nil {
		return errors.Join(err, g.store.Delete(context.WithoutCancel(ctx), mark))
	}
	return g.store.Delete(context.WithoutCancel(ctx), linkKey(p, subject))
}

// Revoke ends a link. Ending one that is not there is no error.
func (g *Gate) Revoke(ctx context.Context, p Purpose, subject string) error {
	return g.store.Delete(ctx, linkKey(p, subject))
}

func linkKey(p Purpose, subject string) string { return "link." + string(p) + "." + subject }

// newSecret has 256 bits.
func newSecret() string {
	raw := make([]byte, 32)
	rand.Read(raw) // never fails
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Signer signs the links in pages, by which somebody acknowledges from a phone
// without signing in. Nothing is stored; pager and desk share the key. It is
// safe for concurrent use.
type Signer struct{ key []byte }

// NewSigner takes a secret key of at least 32 bytes.
func NewSigner(key []byte) (*Signer, error) {
	if len(key) < 32 {
		return nil, errors.New("signing key is too short: want at least 32 bytes")
	}
	return &Signer{append([]byte(nil), key...)}, nil
}

// Paged is what an acknowledge link stands for: this person was paged about this
// escalation.
type Paged struct {
	Escalation string
	Recipient  string // id of a member of staff
	Expires    time.Time
}

// Sign returns p as a token for an address, [A-Za-z0-9_.-] only. Expires counts
// to the second.
func (s *Signer) Sign(p Paged) string {
	b64 := base64.RawURLEncoding.EncodeToString
	body := b64([]byte(p.Escalation)) + "." + b64([]byte(p.Recipient)) + "." + strconv.FormatInt(p.Expires.Unix(), 36)
	return body + "." + b64(s.mac(body))
}

// Derive returns bytes that only this key and purpose give.
func (s *Signer) Derive(purpose string) []byte { return s.mac("derive " + purpose) }

// box is what [Signer.Seal] seals.
type box struct {
	Ends time.Time       `json:"e"`
	What json.RawMessage `json:"w"`
}

// Seal returns v for a browser to keep and bring back: it can neither be read
// nor changed there, and is good for this purpose until ends. Bringing it back
// twice is possible.
func (s *Signer) Seal(purpose string, v any, ends time.Time) (string, error) {
	what, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	raw, err := json.Marshal(box{ends, what})
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.boxes(purpose).Seal(nil, nil, raw, []byte(purpose))), nil
}

// Unseal reads into v what [Signer.Seal] returned, or returns [ErrLink].
func (s *Signer) Unseal(purpose, text string, now time.Time, v any) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return ErrLink
	}
	plain, err := s.boxes(purpose).Open(nil, nil, raw, []byte(purpose))
	if err != nil {
		return ErrLink
	}
	var b box
	if err := json.Unmarshal(plain, &b); err != nil || !now.Before(b.Ends) {
		return ErrLink
	}
	return json.Unmarshal(b.What, v)
}

// boxes takes its nonces by itself; the key has both halves of a derivation.
func (s *Signer) boxes(purpose string) cipher.AEAD {
	block, err := aes.NewCipher(append(s.Derive("box "+purpose), s.Derive("box "+purpose+" more")...))
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return gcm
}

// Open returns what [Signer.Sign] was given, or [ErrLink] if the token was not
// made with this key or has expired at now.
func (s *Signer) Open(token string, now time.Time) (Paged, error) {
	end := strings.LastIndexByte(token, '.')
	if end < 0 {
		return Paged{}, ErrLink
	}
	body := token[:end]
	mac, err := base64.RawURLEncoding.Strict().DecodeString(token[end+1:])
	if err != nil || !hmac.Equal(mac, s.mac(body)) {
		return Paged{}, ErrLink
	}
	// From here on the token is our own work.
	parts := strings.Split(body, ".")
	if len(parts) != 3 {
		return Paged{}, ErrLink
	}
	escalation, err1 := base64.RawURLEncoding.DecodeString(parts[0])
	recipient, err2 := base64.RawURLEncoding.DecodeString(parts[1])
	unix, err3 := strconv.ParseInt(parts[2], 36, 64)
	p := Paged{string(escalation), string(recipient), time.Unix(unix, 0).UTC()}
	if errors.Join(err1, err2, err3) != nil || !now.Before(p.Expires) {
		return Paged{}, ErrLink
	}
	return p, nil
}

// mac is cut to 128 bits, which keeps links short enough for a text message.
func (s *Signer) mac(body string) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte("earshot acknowledge 1\x00"))
	h.Write([]byte(body))
	return h.Sum(nil)[:16]
}
