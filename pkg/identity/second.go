package identity

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"
)

// Codes are those of RFC 6238 with what every authenticator takes: SHA-1, six
// digits, steps of thirty seconds. The step before and the one after count too:
// clocks differ.
const (
	codeStep   = 30 * time.Second
	codeDigits = 6
	// recoveryCodes is how many there are; each has 80 bits.
	recoveryCodes = 10
	recoveryBytes = 10
	// PendingLife is how long somebody may look for their code.
	PendingLife = 10 * time.Minute
)

// ErrCode refuses a code that is wrong, past or used.
var ErrCode = errors.New("the code is wrong, has passed or was used before")

// Vault seals what a second factor's codes are made of, so that whoever reads
// the settings can't make them.
type Vault interface {
	Seal(plain string) (sealed string, err error)
	Open(sealed string) (plain string, err error)
}

// UseVault gives the gate what it needs for second factors. It is called before
// anybody signs in.
func (g *Gate) UseVault(v Vault) error {
	decoy, err := v.Seal(NewSecond())
	if err != nil {
		return fmt.Errorf("second factors: %w", err)
	}
	g.vault, g.decoySecond = v, decoy
	return nil
}

// Pending is somebody who gave address and password, and is to give a code. A
// browser keeps it, sealed by [Signer.Seal]. It doesn't tell those who hold it
// whether address and password were right.
type Pending struct {
	Account string    `json:"account"`
	Staff   string    `json:"staff"` // empty if address and password don't go together
	At      time.Time `json:"at"`
	Next    string    `json:"next,omitempty"` // where the browser wanted to go
}

func (g *Gate) secondInUse() bool {
	return slices.ContainsFunc(g.dir.Credentials(), func(c Credential) bool { return c.Second != nil })
}

// SignInWithCode ends what [Gate.SignIn] began, with the same errors.
func (g *Gate) SignInWithCode(ctx context.Context, p Pending, code string, from netip.Addr, e Entry) (session string, err error) {
	// Who guesses at codes without the password is held up alike, and holds
	// nobody up who has it.
	account := "code " + p.Account
	if p.Staff == "" {
		account = "decoy " + p.Account
	}
	if wait := g.throttle.begin(g.now(), account, from); wait > 0 {
		return "", &ThrottledError{wait}
	}
	s, known := g.dir.Staff(p.Staff)
	c, _ := g.dir.Credential(p.Staff)
	known = known && !s.Disabled && c.Second != nil && !c.Since.After(p.At)
	if !known {
		c.Second = &Second{Secret: g.decoySecond}
	}
	err = g.useCode(ctx, c, code, known)
	if errors.Is(err, ErrCode) || !known {
		return "", ErrRefused
	}
	if err != nil {
		return "", err
	}
	g.throttle.succeeded(g.now(), account, from)
	return g.Begin(ctx, s.ID, e)
}

// NewSecond makes the secret of a second factor, in base32 as authenticators
// take it.
func NewSecond() string {
	raw := make([]byte, 20)
	rand.Read(raw) // never fails
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw)
}

// SecondURI is what the picture says that an authenticator reads: a secret of
// [NewSecond], whose it is and for what.
func SecondURI(secret, email, issuer string) string {
	q := url.Values{"secret": {secret}, "issuer": {issuer}}
	return "otpauth://totp/" + url.PathEscape(issuer) + ":" + url.PathEscape(email) + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}

// SetSecond sets up the second factor of staff with a secret that a code shows to
// have arrived, and ends all sessions; the caller begins a new one. It returns
// the recovery codes, which are kept nowhere. The error may be [ErrCode].
func (g *Gate) SetSecond(ctx context.Context, staff, secret, code string) (recovery []string, err error) {
	if g.vault == nil {
		return nil, errNoVault
	}
	sealed, err := g.vault.Seal(secret)
	if err != nil {
		return nil, fmt.Errorf("second factor: %w", err)
	}
	c, _ := g.dir.Credential(staff)
	c.Staff, c.Second = staff, &Second{Secret: sealed, Since: g.now()}
	if err := g.useCode(ctx, c, code, true); err != nil {
		return nil, err
	}
	recovery = c.Second.renew()
	c.Since = g.now()
	return recovery, g.dir.SetCredential(ctx, staff, c)
}

// NewRecovery replaces the recovery codes of staff, for whoever gives a code.
func (g *Gate) NewRecovery(ctx context.Context, s Staff, code string, from netip.Addr) (recovery []string, err error) {
	if err := g.askCode(ctx, s, code, from); err != nil {
		return nil, err
	}
	c, _ := g.dir.Credential(s.ID)
	second := *c.Second
	c.Second = &second
	recovery = c.Second.renew()
	return recovery, g.dir.SetCredential(ctx, s.ID, c)
}

// DropSecond switches the second factor off for whoever gives password and code,
// and ends all sessions. Who has no password gives the code alone. The errors
// are those of [Gate.SignIn] and [ErrCode].
func (g *Gate) DropSecond(ctx context.Context, s Staff, password, code string, from netip.Addr) error {
	if c, _ := g.dir.Credential(s.ID); c.Password != "" {
		if _, err := g.Verify(ctx, s.Email, password, from); err != nil {
			return err
		}
	}
	if err := g.askCode(ctx, s, code, from); err != nil {
		return err
	}
	return g.ResetSecond(ctx, s.ID, s.ID)
}

// ResetSecond takes the second factor of staff away on behalf of actor, and ends
// all sessions.
func (g *Gate) ResetSecond(ctx context.Context, actor, staff string) error {
	c, _ := g.dir.Credential(staff)
	c.Staff, c.Second, c.Since = staff, nil, g.now()
	return g.dir.SetCredential(ctx, actor, c)
}

// askCode asks somebody who is signed in for a code.
func (g *Gate) askCode(ctx context.Context, s Staff, code string, from netip.Addr) error {
	account := "code " + FoldEmail(s.Email)
	if wait := g.throttle.begin(g.now(), account, from); wait > 0 {
		return &ThrottledError{wait}
	}
	c, _ := g.dir.Credential(s.ID)
	if c.Second == nil {
		return ErrCode
	}
	err := g.useCode(ctx, c, code, true)
	if err == nil {
		g.throttle.succeeded(g.now(), account, from)
	}
	return err
}

// useCode uses a code of c up, or returns [ErrCode]. Without real it only takes
// as long.
func (g *Gate) useCode(ctx context.Context, c Credential, code string, real bool) error {
	if g.vault == nil {
		return errNoVault
	}
	secret, shut := g.vault.Open(c.Second.Secret)
	code = foldCode(code)
	step, right := matchCode(secret, code, g.now())
	hash := digest(code)
	at := slices.IndexFunc(c.Second.Recovery, func(h string) bool { return subtle.ConstantTimeCompare([]byte(h), []byte(hash)) == 1 })
	switch {
	case !real:
		return ErrCode
	case right:
		return g.useStep(ctx, c.Staff, step)
	case at >= 0:
		return g.useRecovery(ctx, c, at)
	case shut != nil:
		return fmt.Errorf("second factor of %s: %w", c.Staff, shut)
	}
	return ErrCode
}

// lastCode is the step of the last code that a person used.
type lastCode struct {
	Step int64 `json:"step"`
}

// useStep refuses a step that isn't later than the last one, once even when many
// try at the same time.
func (g *Gate) useStep(ctx context.Context, staff string, step int64) error {
	var last lastCode
	key := "code." + staff
	revision, err := g.store.Get(ctx, key, &last)
	if err != nil {
		return err
	}
	if step <= last.Step {
		return ErrCode
	}
	first, err := g.store.Update(ctx, key, lastCode{step}, revision)
	if err == nil && !first {
		err = ErrCode
	}
	return err
}

// useRecovery takes a recovery code away. The mark keeps those away who have read
// the credential before.
func (g *Gate) useRecovery(ctx context.Context, c Credential, at int) error {
	mark := "taken." + c.Second.Recovery[at]
	first, err := g.store.Update(ctx, mark, oneTime{Ends: g.now().Add(24 * time.Hour)}, 0)
	if err != nil {
		return err
	}
	if !first {
		return ErrCode
	}
	second := *c.Second
	second.Recovery = slices.Delete(slices.Clone(second.Recovery), at, at+1)
	c.Second = &second
	if err := g.dir.SetCredential(ctx, c.Staff, c); err != nil {
		return errors.Join(err, g.store.Delete(context.WithoutCancel(ctx), mark))
	}
	return nil
}

// renew makes new recovery codes and keeps their hashes.
func (s *Second) renew() []string {
	out := make([]string, recoveryCodes)
	s.Recovery = make([]string, recoveryCodes)
	for i := range out {
		raw := make([]byte, recoveryBytes)
		rand.Read(raw)
		text := tokenBase32.EncodeToString(raw)
		s.Recovery[i] = digest(text)
		out[i] = text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:]
	}
	return out
}

// foldCode takes codes as people type them: in full width, with spaces or dashes.
func foldCode(code string) string {
	code = strings.ToLower(norm.NFKC.String(code[:min(len(code), 200)]))
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, code)
}

// matchCode tells whether code is that of now or of a step beside it, and of
// which.
func matchCode(secret, code string, now time.Time) (step int64, ok bool) {
	at := now.Unix() / int64(codeStep/time.Second)
	for s := at - 1; s <= at+1; s++ {
		if want := codeOf(secret, s); want != "" && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = s, true
		}
	}
	return step, ok
}

// CodeAt is the code that an authenticator with a secret of [NewSecond] shows at a
// time: for tools and tests.
func CodeAt(secret string, at time.Time) string {
	return codeOf(secret, at.Unix()/int64(codeStep/time.Second))
}

// codeOf is the code of a step (RFC 4226, section 5.3). A secret that can't be
// read has none.
func codeOf(secret string, step int64) string {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		return ""
	}
	h := hmac.New(sha1.New, key)
	_ = binary.Write(h, binary.BigEndian, step)
	sum := h.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%0*d", codeDigits, binary.BigEndian.Uint32(sum[at:])&0x7fffffff%1_000_000)
}
