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

// A session ends when it was idle for SessionIdle, and in any case after
// SessionLife.
const (
	SessionIdle = 12 * time.Hour
	SessionLife = 7 * 24 * time.Hour
	// seenEvery bounds how often a session or token in use is written.
	seenEvery = 10 * time.Minute
)

var (
	// ErrRefused says that e-mail address and password don't go together, and
	// not which of the two is wrong.
	ErrRefused = errors.New("e-mail address or password is wrong")
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

// SignIn begins a session and returns its secret, for a cookie. The error is
// [ErrRefused], a [*ThrottledError], or a failure of the store.
func (g *Gate) SignIn(ctx context.Context, email, password string, from netip.Addr) (session string, err error) {
	s, err := g.verify(ctx, email, password, from)
	if err != nil {
		return "", err
	}
	return g.Begin(ctx, s.ID)
}

// ChangePassword sets a new password for whoever knows the old one. All other
// sessions of the person end; the caller begins a new one. The error may also
// be one of [CheckPassword].
func (g *Gate) ChangePassword(ctx context.Context, email, old, password string, from netip.Addr) error {
	s, err := g.verify(ctx, email, old, from)
	if err != nil {
		return err
	}
	return g.SetPassword(ctx, s.ID, s, password)
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
	had, _ := g.dir.Credential(s.ID)
	set := append(slices.Clone(had.Set[max(0, len(had.Set)-mostSet+1):]), PasswordSet{actor, g.now()})
	return g.dir.SetCredential(ctx, actor, Credential{Staff: s.ID, Password: text, Since: g.now(), Set: set})
}

// EndSessions signs a person out everywhere.
func (g *Gate) EndSessions(ctx context.Context, actor, staff string) error {
	c, _ := g.dir.Credential(staff)
	c.Staff, c.Since = staff, g.now()
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
	g.throttle.succeeded(g.now(), email, from)
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

// session is what the store keeps under the hash of a session's secret.
type session struct {
	Staff string    `json:"staff"`
	Began time.Time `json:"began"`
	Ends  time.Time `json:"ends"` // if it isn't used again
}

func (s *session) used(now time.Time) {
	s.Ends = now.Add(SessionIdle)
	if life := s.Began.Add(SessionLife); life.Before(s.Ends) {
		s.Ends = life
	}
}

// Begin begins a session without asking for a password, for somebody who has
// just proved to be staff, and returns its secret.
func (g *Gate) Begin(ctx context.Context, staff string) (secret string, err error) {
	secret = newSecret()
	s := session{Staff: staff, Began: g.now()}
	s.used(s.Began)
	return secret, g.store.Put(ctx, sessionKey(secret), s)
}

// Session returns who is signed in under secret, as they are now: a role taken
// away is gone at once. The error is [ErrNoSession] or a failure of the store.
func (g *Gate) Session(ctx context.Context, secret string) (Staff, error) {
	var s session
	key := sessionKey(secret)
	revision, err := g.store.Get(ctx, key, &s)
	if err != nil {
		return Staff{}, err
	}
	now := g.now()
	who, ok := g.dir.Staff(s.Staff)
	c, _ := g.dir.Credential(s.Staff)
	if revision == 0 || !ok || who.Disabled || !now.Before(s.Ends) || s.Began.Before(c.Since) {
		return Staff{}, ErrNoSession
	}
	if before := s.Ends; s.Ends.Sub(now) < SessionIdle-seenEvery {
		s.used(now)
		if s.Ends.After(before) {
			// A conflict is another request that did the same, or a sign-out,
			// which must not be undone.
			_, err = g.store.Update(ctx, key, s, revision)
		}
	}
	return who, err
}

// SignOut ends one session. Ending one that is not there is no error.
func (g *Gate) SignOut(ctx context.Context, secret string) error {
	return g.store.Delete(ctx, sessionKey(secret))
}

func sessionKey(secret string) string { return "session." + digest(secret) }

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
	case "session", "link", "taken":
		var r struct {
			Ends time.Time `json:"ends"`
		}
		revision, err := g.store.Get(ctx, key, &r)
		return revision != 0 && !g.now().Before(r.Ends), err
	}
	return false, nil
}
