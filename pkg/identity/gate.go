package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Directory finds staff and tokens among the settings.
type Directory interface {
	Staff(id string) (Staff, bool)
	// StaffByEmail compares by [FoldEmail]; email is folded already.
	StaffByEmail(email string) (Staff, bool)
	Credential(staff string) (Credential, bool)
	Credentials() []Credential
	Token(id string) (Token, bool)
	// SetCredential stores c on behalf of an actor.
	SetCredential(ctx context.Context, actor string, c Credential) error
}

// Store is a key-value bucket whose values are JSON. Keys are of [a-z0-9.-].
type Store interface {
	// Get reads the value into v and returns its revision, or 0 if there is none.
	Get(ctx context.Context, key string, v any) (revision uint64, err error)
	Put(ctx context.Context, key string, v any) error
	// Update stores v if the value still has this revision, where 0 means that
	// there must be none, and tells whether it did.
	Update(ctx context.Context, key string, v any, revision uint64) (ok bool, err error)
	Delete(ctx context.Context, key string) error
	Keys(ctx context.Context) ([]string, error)
}

// seenEvery bounds how often a session or token in use is written.
const seenEvery = 10 * time.Minute

var (
	// ErrRefused says that e-mail address, password and code don't go together,
	// and not which of them is wrong.
	ErrRefused = errors.New("e-mail address, password or code is wrong")
	// ErrNoSession says that nobody is signed in under that session.
	ErrNoSession = errors.New("not signed in")
	// ErrToken refuses an API token that is malformed, unknown, revoked or too old.
	ErrToken = errors.New("the token is not valid")
)

// Gate turns passwords, sessions and tokens into staff and viewers. It is safe
// for concurrent use.
type Gate struct {
	dir   Directory
	store Store
	now   func() time.Time
	log   *slog.Logger

	throttle throttle
	// hashing bounds how many passwords are hashed at once: each takes 19 MiB
	// and a core.
	hashing chan struct{}
	// decoy is hashed against for addresses nobody has, so that time doesn't
	// tell which accounts exist.
	decoy hash
	vault Vault
	// decoySecond is opened for those who have no second factor, likewise.
	decoySecond string

	mu   sync.Mutex
	used map[string]time.Time // when each token's use was last written
}

// NewGate makes a gate whose clock is now.
func NewGate(dir Directory, store Store, now func() time.Time, log *slog.Logger) *Gate {
	return &Gate{
		dir: dir, store: store, now: now, log: log,
		hashing: make(chan struct{}, runtime.GOMAXPROCS(0)),
		decoy:   hash{argon2Params, make([]byte, saltLen), make([]byte, keyLen)},
		used:    map[string]time.Time{},
	}
}

// SignIn takes an address and a password. If they are right and no second factor
// is set up, it begins a session and returns its secret, for a cookie. Else,
// where anybody here has a second factor, it returns who is to give a code to
// [Gate.SignInWithCode], whether address and password were right or not: who
// guesses learns nothing before the code. The error is [ErrRefused], a
// [*ThrottledError], or a failure of the store.
func (g *Gate) SignIn(ctx context.Context, email, password string, from netip.Addr, e Entry) (session string, next *Pending, err error) {
	email = FoldEmail(email)
	s, err := g.verify(ctx, email, password, from)
	c, _ := g.dir.Credential(s.ID)
	switch {
	case errors.Is(err, ErrRefused) && g.secondInUse():
		return "", &Pending{Account: email, At: g.now()}, nil
	case err != nil:
		return "", nil, err
	}
	g.throttle.succeeded(g.now(), email, from)
	if c.Second != nil {
		return "", &Pending{Account: email, Staff: s.ID, At: g.now()}, nil
	}
	session, err = g.Begin(ctx, s.ID, e)
	return session, nil, err
}

// ChangePassword sets a new password for whoever knows the old one. All other
// sessions of the person end; the caller begins a new one. The error may also
// be one of [CheckPassword].
func (g *Gate) ChangePassword(ctx context.Context, email, old, password string, from netip.Addr) error {
	s, err := g.Verify(ctx, email, old, from)
	if err != nil {
		return err
	}
	return g.SetPassword(ctx, s.ID, s, password)
}

// Verify asks somebody who is signed in already for their password again. The
// errors are those of [Gate.SignIn].
func (g *Gate) Verify(ctx context.Context, email, password string, from netip.Addr) (Staff, error) {
	s, err := g.verify(ctx, email, password, from)
	if err == nil {
		g.throttle.succeeded(g.now(), FoldEmail(email), from)
	}
	return s, err
}

// SetPassword sets the password of s on behalf of actor and ends all sessions
// of s. The error may be one of [CheckPassword].
func (g *Gate) SetPassword(ctx context.Context, actor string, s Staff, password string) error {
	if err := CheckPassword(password, s.Email); err != nil {
		return err
	}
	var text string
	if err := g.hash(ctx, func() { text = hashPassword(password, argon2Params) }); err != nil {
		return err
	}
	c, _ := g.dir.Credential(s.ID)
	c.Staff, c.Password, c.Since = s.ID, text, g.now()
	c.Set = append(slices.Clone(c.Set[max(0, len(c.Set)-mostSet+1):]), PasswordSet{actor, g.now()})
	return g.dir.SetCredential(ctx, actor, c)
}

func (g *Gate) verify(ctx context.Context, email, password string, from netip.Addr) (Staff, error) {
	email = FoldEmail(email)
	if wait := g.throttle.begin(g.now(), email, from); wait > 0 {
		return Staff{}, &ThrottledError{wait}
	}
	s, known := g.dir.StaffByEmail(email)
	c, _ := g.dir.Credential(s.ID)
	want, err := parseHash(c.Password)
	known = known && !s.Disabled && err == nil
	if !known {
		want = g.decoy
	}
	if len(password) > maxPassword {
		return Staff{}, ErrRefused
	}
	var same bool
	if err := g.hash(ctx, func() { same = want.matches(password) }); err != nil {
		return Staff{}, err
	}
	if !known || !same {
		return Staff{}, ErrRefused
	}
	if want.params != argon2Params {
		g.upgrade(ctx, c, password)
	}
	return s, nil
}

// upgrade replaces a hash made at other costs. Signing in does not hang on it.
func (g *Gate) upgrade(ctx context.Context, c Credential, password string) {
	err := g.hash(ctx, func() { c.Password = hashPassword(password, argon2Params) })
	if err == nil {
		err = g.dir.SetCredential(ctx, ActorSystem, c)
	}
	if err != nil {
		g.log.Warn("password hash not upgraded", "staff", c.Staff, "error", err)
	}
}

// hash runs f when there is room for it.
func (g *Gate) hash(ctx context.Context, f func()) error {
	select {
	case g.hashing <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-g.hashing }()
	f()
	return nil
}

// use is when a token was last used, give or take seenEvery.
type use struct {
	At time.Time `json:"at"`
}

// Bearer returns the viewer that an API token stands for, or [ErrToken].
func (g *Gate) Bearer(ctx context.Context, secret string) (Viewer, error) {
	id, ok := parseToken(secret)
	if !ok {
		return Viewer{}, ErrToken
	}
	t, ok := g.dir.Token(id)
	now := g.now()
	if !ok || !t.opens(secret, now) {
		return Viewer{}, ErrToken
	}
	g.noteUse(ctx, id, now)
	return t.Viewer(), nil
}

// noteUse writes down that a token was used, now and then.
func (g *Gate) noteUse(ctx context.Context, id string, now time.Time) {
	g.mu.Lock()
	write := now.Sub(g.used[id]) >= seenEvery
	if write {
		g.used[id] = now
	}
	g.mu.Unlock()
	if !write {
		return
	}
	if err := g.store.Put(ctx, "used."+id, use{now}); err != nil {
		g.log.Warn("use of token not written down", "token", id, "error", err)
	}
}

// LastUsed tells when a token was last used, to ten minutes; zero means never.
func (g *Gate) LastUsed(ctx context.Context, token string) (time.Time, error) {
	var u use
	_, err := g.store.Get(ctx, "used."+token, &u)
	return u.At, err
}

// Sweep deletes what has expired from the store, and nothing that isn't the
// gate's. Nothing hangs on it but space; calling it once an hour is enough.
func (g *Gate) Sweep(ctx context.Context) error {
	keys, err := g.store.Keys(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, k := range keys {
		stale, err := g.stale(ctx, k)
		if err == nil && stale {
			err = g.store.Delete(ctx, k)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("sweep %s: %w", k, err))
		}
	}
	return errors.Join(errs...)
}

func (g *Gate) stale(ctx context.Context, key string) (bool, error) {
	kind, rest, _ := strings.Cut(key, ".")
	switch kind {
	case "used":
		_, ok := g.dir.Token(rest)
		return !ok, nil
	case "code":
		_, ok := g.dir.Staff(rest)
		return !ok, nil
	case "session", "link", "taken":
		var r struct {
			Ends time.Time `json:"ends"`
		}
		revision, err := g.store.Get(ctx, key, &r)
		return revision != 0 && !g.now().Before(r.Ends), err
	}
	return false, nil
}
