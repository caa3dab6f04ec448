package identity

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// directory and store are settings and bucket in memory.
type directory struct {
	mu     sync.Mutex
	staff  map[string]Staff
	creds  map[string]Credential
	tokens map[string]Token
}

func (d *directory) Staff(id string) (Staff, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, ok := d.staff[id]
	return s, ok
}

func (d *directory) StaffByEmail(email string) (Staff, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.staff {
		if FoldEmail(s.Email) == email {
			return s, true
		}
	}
	return Staff{}, false
}

func (d *directory) Credential(id string) (Credential, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, ok := d.creds[id]
	return c, ok
}

func (d *directory) Credentials() []Credential {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Values(d.creds))
}

func (d *directory) Token(id string) (Token, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t, ok := d.tokens[id]
	return t, ok
}

func (d *directory) SetCredential(_ context.Context, _ string, c Credential) error {
	if err := c.Validate(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.creds[c.Staff] = c
	return nil
}

type store struct {
	mu     sync.Mutex
	values map[string]entry
	last   uint64
	// beforeUpdate runs ahead of the next Update, as somebody else would.
	beforeUpdate func()
}

type entry struct {
	data     []byte
	revision uint64
}

func (s *store) Get(_ context.Context, key string, v any) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.values[key]
	if !ok {
		return 0, nil
	}
	return e.revision, json.Unmarshal(e.data, v)
}

func (s *store) Put(_ context.Context, key string, v any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(key, v)
}

func (s *store) put(key string, v any) error {
	data, err := json.Marshal(v)
	s.last++
	s.values[key] = entry{data, s.last}
	return err
}

func (s *store) Update(_ context.Context, key string, v any, revision uint64) (bool, error) {
	if f := s.beforeUpdate; f != nil {
		s.beforeUpdate = nil
		f()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values[key].revision != revision {
		return false, nil
	}
	return true, s.put(key, v)
}

func (s *store) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.values, key)
	return nil
}

func (s *store) Keys(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	for k := range s.values {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys, nil
}

const goodPassword = "correct horse battery"

// bench is a gate with one person, Hana, who has goodPassword.
type bench struct {
	*Gate
	dir   *directory
	store *store
	clock time.Time
}

var hana = Staff{
	ID: "hana", Email: "Hana.Sato@example.com", Name: "佐藤花",
	Grants: []Grant{{Agent, []string{"acme"}}},
}

func setup(t *testing.T) *bench {
	t.Helper()
	b := &bench{
		dir:   &directory{staff: map[string]Staff{"hana": hana}, creds: map[string]Credential{}, tokens: map[string]Token{}},
		store: &store{values: map[string]entry{}},
		clock: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC),
	}
	b.Gate = NewGate(b.dir, b.store, func() time.Time { return b.clock }, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err := b.SetPassword(t.Context(), "test", hana, goodPassword); err != nil {
		t.Fatal(err)
	}
	return b
}

// signIn signs somebody in who has no second factor.
func (b *bench) signIn(ctx context.Context, email, password string, from netip.Addr) (string, error) {
	session, _, err := b.SignIn(ctx, email, password, from, Entry{})
	return session, err
}

func TestNoSecretReachesTheStore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	session, err := b.signIn(t.Context(), hana.Email, goodPassword, office)
	if err != nil {
		t.Fatal(err)
	}
	link, err := b.IssueLink(t.Context(), Reset, "hana", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for key, e := range b.store.values {
		for _, secret := range []string{session, link, goodPassword} {
			if strings.Contains(key, secret) || strings.Contains(string(e.data), secret) {
				t.Errorf("%s = %s holds a secret", key, e.data)
			}
		}
	}
	if strings.Contains(b.dir.creds["hana"].Password, goodPassword) {
		t.Error("the credential holds the password")
	}
}
