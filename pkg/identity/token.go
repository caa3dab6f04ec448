package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// tokenPrefix marks API tokens, for people and for scanners of leaked secrets.
const tokenPrefix = "earshot_"

// actorPrefix marks tokens among actors; no id of staff contains a colon.
const actorPrefix = "token:"

// Token is an API token without its secret, as the setting "token" holds it.
type Token struct {
	ID      string    `json:"id"` // 10 of a-z, 2-7
	Name    string    `json:"name"`
	Scope   Scope     `json:"scope"`
	Brands  []string  `json:"brands"` // or [AllBrands]
	Hash    string    `json:"hash"`   // hex SHA-256 of the whole token
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
	// Keys are those by which its bearer signs requests instead; the newest is
	// the last, and there are two while senders change over.
	Keys []SigningKey `json:"keys,omitempty"`
}

// NewToken makes a token. The secret is returned once and kept nowhere.
// A zero expires means that it never expires.
func NewToken(name string, scope Scope, brands []string, now, expires time.Time) (t Token, secret string, err error) {
	raw := make([]byte, 38) // 6 bytes and a bit are the id
	rand.Read(raw)
	text := tokenBase32.EncodeToString(raw)
	t = Token{
		ID: text[:tokenIDLen], Name: name, Scope: scope, Brands: slices.Clone(brands),
		Created: now.UTC().Truncate(time.Second),
	}
	if !expires.IsZero() {
		t.Expires = expires.UTC().Truncate(time.Second)
	}
	secret = tokenPrefix + t.ID + "_" + text[tokenIDLen:tokenIDLen+tokenSecretLen]
	t.Hash = digest(secret)
	return t, secret, t.Validate()
}

const (
	tokenIDLen     = 10 // 50 bits: enough to never meet twice
	tokenSecretLen = 50 // 250 bits
)

var tokenBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Validate reports everything that is wrong with t.
func (t *Token) Validate() error {
	var errs []error
	if len(t.ID) != tokenIDLen || !isBase32(t.ID) {
		errs = append(errs, fmt.Errorf("id %q: want %d of a-z and 2-7", t.ID, tokenIDLen))
	}
	if err := checkName(t.Name); err != nil {
		errs = append(errs, fmt.Errorf("name: %w", err))
	}
	if !slices.Contains(Scopes, t.Scope) {
		errs = append(errs, fmt.Errorf("scope %q: want one of %v", t.Scope, Scopes))
	}
	if err := checkBrands(t.Brands); err != nil {
		errs = append(errs, err)
	}
	if b, err := hex.DecodeString(t.Hash); err != nil || len(b) != sha256.Size {
		errs = append(errs, errors.New("hash: want a SHA-256 in hexadecimal"))
	}
	if !t.Expires.IsZero() && !t.Expires.After(t.Created) {
		errs = append(errs, errors.New("expires: is not after created"))
	}
	return errors.Join(errs...)
}

// Viewer is what a bearer of t may do.
func (t *Token) Viewer() Viewer {
	return Viewer{actor: actorPrefix + t.ID, name: t.Name, grants: []grant{{"", t.Scope.Can, t.Brands}}}
}

// opens tells in constant time whether secret is t's, and whether t still holds.
func (t *Token) opens(secret string, now time.Time) bool {
	same := subtle.ConstantTimeCompare([]byte(digest(secret)), []byte(t.Hash)) == 1
	return same && t.holds(now)
}

func (t *Token) holds(now time.Time) bool { return t.Expires.IsZero() || now.Before(t.Expires) }

// parseToken returns the id within secret, if secret has the form of a token.
func parseToken(secret string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(secret, tokenPrefix)
	if !ok || len(rest) != tokenIDLen+1+tokenSecretLen {
		return "", false
	}
	id, key, ok := strings.Cut(rest, "_")
	return id, ok && len(id) == tokenIDLen && isBase32(id) && isBase32(key)
}

func isTokenActor(actor string) bool { return strings.HasPrefix(actor, actorPrefix) }

func isBase32(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// digest is the form in which random secrets are stored. They have 250 bits or
// more, so that one SHA-256 without salt is enough.
func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
