package identity

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// A session ends when it was idle for SessionIdle, and in any case after
// SessionLife.
const (
	SessionIdle = 12 * time.Hour
	SessionLife = 7 * 24 * time.Hour
)

// Entry is how and with what somebody came in.
type Entry struct {
	Agent string // the browser, as it calls itself; cut at 200 bytes
	Via   Via
}

// Via is the way somebody came in.
type Via string

const (
	ByPassword Via = ""       // with the second factor, where there is one
	ByOpenID   Via = "openid" // the provider answers for the second factor
)

// session is what the store keeps under the hash of a session's secret.
type session struct {
	Staff string    `json:"staff"`
	Began time.Time `json:"began"`
	Ends  time.Time `json:"ends"` // if it isn't used again
	Seen  time.Time `json:"seen,omitzero"`
	Agent string    `json:"agent,omitempty"`
	Via   Via       `json:"via,omitempty"`
}

func (s *session) used(now time.Time) {
	s.Ends, s.Seen = now.Add(SessionIdle), now
	if life := s.Began.Add(SessionLife); life.Before(s.Ends) {
		s.Ends = life
	}
}

// holds tells whether the session is of somebody who may still use it.
func (g *Gate) holds(s *session) (Staff, bool) {
	who, ok := g.dir.Staff(s.Staff)
	c, _ := g.dir.Credential(s.Staff)
	return who, ok && !who.Disabled && g.now().Before(s.Ends) && !s.Began.Before(c.Since)
}

// Session is one place where somebody is signed in.
type Session struct {
	ID    string // names it without opening it
	Agent string
	Via   Via
	Began time.Time
	Seen  time.Time // last use, to ten minutes
}

func (s *session) shown(key string) Session {
	return Session{ID: strings.TrimPrefix(key, sessionPrefix), Agent: s.Agent, Via: s.Via, Began: s.Began, Seen: s.Seen}
}

// Begin begins a session without asking for a password, for somebody who has
// just proved to be staff, and returns its secret.
func (g *Gate) Begin(ctx context.Context, staff string, e Entry) (secret string, err error) {
	secret = newSecret()
	s := session{Staff: staff, Began: g.now(), Agent: strings.ToValidUTF8(e.Agent[:min(len(e.Agent), 200)], ""), Via: e.Via}
	s.used(s.Began)
	return secret, g.store.Put(ctx, sessionKey(secret), s)
}

// Session returns who is signed in under secret, as they are now: a role taken
// away is gone at once. The error is [ErrNoSession] or a failure of the store.
func (g *Gate) Session(ctx context.Context, secret string) (Staff, Session, error) {
	var s session
	key := sessionKey(secret)
	revision, err := g.store.Get(ctx, key, &s)
	if err != nil {
		return Staff{}, Session{}, err
	}
	who, ok := g.holds(&s)
	if revision == 0 || !ok {
		return Staff{}, Session{}, ErrNoSession
	}
	if now := g.now(); now.Sub(s.Seen) >= seenEvery {
		s.used(now)
		// A conflict is another request that did the same, or a sign-out,
		// which must not be undone.
		_, err = g.store.Update(ctx, key, s, revision)
	}
	return who, s.shown(key), err
}

// Sessions are the places where a person is signed in, the latest used first.
func (g *Gate) Sessions(ctx context.Context, staff string) ([]Session, error) {
	keys, err := g.store.Keys(ctx)
	if err != nil {
		return nil, err
	}
	var out []Session
	for _, k := range keys {
		if !strings.HasPrefix(k, sessionPrefix) {
			continue
		}
		var s session
		revision, err := g.store.Get(ctx, k, &s)
		if err != nil {
			return nil, err
		}
		if s.Staff != staff || revision == 0 {
			continue
		}
		if _, ok := g.holds(&s); ok {
			out = append(out, s.shown(k))
		}
	}
	slices.SortFunc(out, func(a, b Session) int { return b.Seen.Compare(a.Seen) })
	return out, nil
}

// EndSession ends one of a person's sessions, named by its id. One that isn't
// theirs is [ErrNoSession].
func (g *Gate) EndSession(ctx context.Context, staff, id string) error {
	all, err := g.Sessions(ctx, staff)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(s Session) bool { return s.ID == id }) {
		return ErrNoSession
	}
	return g.store.Delete(ctx, sessionPrefix+id)
}

// SignOut ends one session. Ending one that is not there is no error.
func (g *Gate) SignOut(ctx context.Context, secret string) error {
	return g.store.Delete(ctx, sessionKey(secret))
}

// EndSessions signs a person out everywhere.
func (g *Gate) EndSessions(ctx context.Context, actor, staff string) error {
	c, _ := g.dir.Credential(staff)
	c.Staff, c.Since = staff, g.now()
	return g.dir.SetCredential(ctx, actor, c)
}

const sessionPrefix = "session."

func sessionKey(secret string) string { return sessionPrefix + digest(secret) }

// errNoVault says that this process was not given what opens second factors.
var errNoVault = errors.New("second factors can't be opened by this process")
