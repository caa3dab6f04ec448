// Package settings is what people edit: brands, sources, templates, staff and
// the like. A setting's value is replaced as a whole, and every value it ever
// had is kept with who set it and when. A [Store] has all values in memory and
// follows changes made by other processes.
package settings

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/config"
)

// change is one value of a setting, as the journal holds it.
type change struct {
	ID      string // random, of the change
	Seq     uint64
	Kind    string
	Key     string // id of the setting within its kind
	Actor   string
	At      time.Time
	Deleted bool
	Value   []byte // JSON
}

// Store has the settings of an installation in memory. It is safe for
// concurrent use.
type Store struct {
	bus *bus.Conn
	log *slog.Logger

	mu      sync.RWMutex
	values  map[string]map[string]value // by kind and id
	changed chan struct{}               // closed and replaced at every change

	matcher matcher
	checker checker
}

type value struct {
	seq     uint64
	deleted bool
	actor   string
	at      time.Time
	v       any // pointer to the kind's type
}

// Open reads all settings and follows them until ctx ends.
func Open(ctx context.Context, c *bus.Conn, log *slog.Logger) (*Store, error) {
	s := &Store{bus: c, log: log, values: map[string]map[string]value{}, changed: make(chan struct{})}
	if err := journal.Tail(ctx, c, 512, s.take); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	return s, nil
}

func (s *Store) take(_ context.Context, batch []bus.Entry[change]) error {
	for _, e := range batch {
		if e.Err != nil {
			s.log.Error("a setting cannot be read; the one before it stays in force", "setting", e.Key, "error", e.Err)
		} else {
			s.apply(&e.Value)
		}
	}
	return nil
}

// apply puts a change in force, unless a later one is.
func (s *Store) apply(c *change) {
	k, ok := kinds[c.Kind]
	if !ok {
		s.log.Warn("unknown kind of setting; a newer Earshot wrote it", "kind", c.Kind)
		return
	}
	next := value{seq: c.Seq, deleted: c.Deleted, actor: c.Actor, at: c.At}
	if !c.Deleted {
		v, err := k.decode(c.Value)
		if err != nil {
			s.log.Error("a setting cannot be read; the one before it stays in force", "kind", c.Kind, "id", c.Key, "error", err)
			return
		}
		next.v = v
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values[c.Kind] == nil {
		s.values[c.Kind] = map[string]value{}
	}
	if s.values[c.Kind][c.Key].seq >= c.Seq {
		return
	}
	s.values[c.Kind][c.Key] = next
	close(s.changed)
	s.changed = make(chan struct{})
}

// Changed returns a channel that is closed at the next change of any setting.
func (s *Store) Changed() <-chan struct{} {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.changed
}

// Set is all settings of one kind.
type Set[T any] struct{ kind string }

// Kind returns the kind's name, as `earshot apply` reads it.
func (k Set[T]) Kind() string { return k.kind }

// Get returns the value of id in force. It must not be changed.
func (k Set[T]) Get(s *Store, id string) (T, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v, ok := s.values[k.kind][id]
	if !ok || v.deleted {
		var zero T
		return zero, false
	}
	return *v.v.(*T), true
}

// All returns the values in force by id. They must not be changed.
func (k Set[T]) All(s *Store) map[string]T {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make(map[string]T, len(s.values[k.kind]))
	for id, v := range s.values[k.kind] {
		if !v.deleted {
			all[id] = *v.v.(*T)
		}
	}
	return all
}

// List returns the values in force in the order of their ids.
func (k Set[T]) List(s *Store) []T {
	all := k.All(s)
	list := make([]T, 0, len(all))
	for _, id := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[id])
	}
	return list
}

// Version returns what an edit of id is based on; 0 when there is none yet.
func (k Set[T]) Version(s *Store, id string) uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.values[k.kind][id].seq
}

// Changed returns who set id last and when; nobody when it was never set.
func (k Set[T]) Changed(s *Store, id string) (actor string, at time.Time) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v := s.values[k.kind][id]
	return v.actor, v.at
}

// ErrStale says that somebody changed the setting since it was read.
var ErrStale = errors.New("somebody changed it meanwhile; look at the new version first")

// Put makes v the value of id, on behalf of actor, if the setting still has
// this version. The value must be valid.
func (k Set[T]) Put(ctx context.Context, s *Store, actor, id string, version uint64, v T) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%s %s: %w", k.kind, id, err)
	}
	return s.put(ctx, actor, k.kind, id, version, raw, false)
}

// Delete takes the setting out of force. Its history stays.
func (k Set[T]) Delete(ctx context.Context, s *Store, actor, id string, version uint64) error {
	return s.put(ctx, actor, k.kind, id, version, nil, true)
}

// Put sets kind's id to a value in JSON, as `earshot apply` reads it, if the
// setting still has this version. Like [Set.Put] it refuses what is not valid.
func Put(ctx context.Context, s *Store, actor, kind, id string, version uint64, raw json.RawMessage) error {
	return s.put(ctx, actor, kind, id, version, raw, false)
}

// JSON returns the value of id in force, as [Put] takes it, and its version; nil
// when there is none.
func (k Set[T]) JSON(s *Store, id string) (json.RawMessage, uint64, error) {
	v, ok := k.Get(s, id)
	if !ok {
		return nil, k.Version(s, id), nil
	}
	raw, err := json.Marshal(v)
	return raw, k.Version(s, id), err
}

// Revision is one value a setting had.
type Revision[T any] struct {
	Actor   string
	At      time.Time
	Deleted bool
	Value   T
}

// History returns the values id had, oldest first.
func (k Set[T]) History(ctx context.Context, s *Store, id string) ([]Revision[T], error) {
	if !idPattern.MatchString(id) {
		return nil, nil
	}
	changes, _, err := journal.Read(ctx, s.bus, k.kind+"."+id)
	if err != nil {
		return nil, fmt.Errorf("history of %s %s: %w", k.kind, id, err)
	}
	out := make([]Revision[T], 0, len(changes))
	for _, c := range changes {
		r := Revision[T]{Actor: c.Actor, At: c.At, Deleted: c.Deleted}
		if !c.Deleted {
			if err := json.Unmarshal(c.Value, &r.Value); err != nil {
				return nil, fmt.Errorf("history of %s %s: %w", k.kind, id, err)
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// Forget erases, also from the disk, what credentials were before: the hash of
// a former password is of use to nobody but a thief. It takes the right to
// delete from the stream.
func (s *Store) Forget(ctx context.Context) error {
	keys, err := journal.Keys(ctx, s.bus, Credentials.kind+".*")
	if err != nil {
		return fmt.Errorf("former credentials: %w", err)
	}
	var errs []error
	for key, n := range keys {
		if n < 2 {
			continue
		}
		changes, _, err := journal.Read(ctx, s.bus, key)
		if err == nil {
			var old []uint64
			for _, c := range changes[:len(changes)-1] {
				old = append(old, c.Seq)
			}
			err = journal.Erase(ctx, s.bus, old...)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("former %s: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

var idPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

func (s *Store) put(ctx context.Context, actor, kind, id string, version uint64, raw []byte, deleted bool) error {
	if !idPattern.MatchString(id) {
		return fmt.Errorf("%s: id %q: want 1 to 64 of a-z, 0-9, - and _", kind, id)
	}
	k, ok := kinds[kind]
	if !ok {
		return fmt.Errorf("unknown kind of setting %q: want one of %s", kind, strings.Join(Kinds(), ", "))
	}
	if !deleted {
		v, err := k.check(id, raw)
		if secret, ok := v.(interface{ sealed(*Store) (any, error) }); ok && err == nil {
			if v, err = secret.sealed(s); err == nil {
				raw, err = json.Marshal(v)
			}
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", kind, id, err)
		}
	}
	c := &change{ID: rand.Text(), Kind: kind, Key: id, Actor: actor, At: time.Now().UTC(), Deleted: deleted, Value: raw}
	if _, err := journal.Append(ctx, s.bus, kind+"."+id, version, c); err != nil {
		if errors.Is(err, bus.ErrConflict) {
			return fmt.Errorf("%s %s: %w", kind, id, ErrStale)
		}
		return err
	}
	s.apply(c)
	return nil
}

// kind is how values of one kind are read.
type kind struct {
	doc string
	// decode reads a value that was stored, in whichever version.
	decode func(raw []byte) (any, error)
	// check reads a value that is to be stored as id: it refuses unknown keys,
	// invalid values, and a value that names itself otherwise.
	check func(id string, raw []byte) (any, error)
}

// kindOf describes the kind of T. Named returns the id a value has in itself;
// of a kind of which there is one it returns [Default]. It is nil for values
// without one.
func kindOf[T any](doc string, named func(*T) string) kind {
	return kind{
		doc: doc,
		decode: func(raw []byte) (any, error) {
			v := new(T)
			return v, json.Unmarshal(raw, v)
		},
		check: func(id string, raw []byte) (any, error) {
			v := new(T)
			if err := config.DecodeJSON(raw, v); err != nil {
				return nil, err
			}
			var errs []error
			if named != nil && named(v) != id {
				errs = append(errs, config.Invalid("id", "the value is called %q, the setting %q", named(v), id))
			}
			if c, ok := any(v).(interface{ Validate() error }); ok {
				errs = append(errs, c.Validate())
			}
			return v, errors.Join(errs...)
		},
	}
}

// Kinds lists the names of all kinds.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// Change is one step of a [Store.Plan].
type Change struct {
	What string // "created" or "changed"
	Kind string
	ID   string
	// GoneBy is the field by which it takes out of use what was in use; empty if
	// it doesn't.
	GoneBy string

	version uint64
	raw     []byte
	value   any
}

// Plan checks a file of settings, by kind and id, and returns what setting it
// would change, in the order of kinds and ids. Its error names everything that
// is wrong.
func (s *Store) Plan(file map[string]map[string]any) ([]Change, error) {
	var (
		out  []Change
		errs []error
	)
	for _, kindName := range slices.Sorted(maps.Keys(file)) {
		k, ok := kinds[kindName]
		if !ok {
			errs = append(errs, fmt.Errorf("%s: unknown kind of setting; want one of %s", kindName, strings.Join(Kinds(), ", ")))
			continue
		}
		for _, id := range slices.Sorted(maps.Keys(file[kindName])) {
			raw, err := json.Marshal(file[kindName][id])
			if err == nil && !idPattern.MatchString(id) {
				err = errors.New("want an id of 1 to 64 of a-z, 0-9, - and _")
			}
			var v any
			if err == nil {
				v, err = k.check(id, raw)
			}
			if err != nil {
				at := kindName + "." + id + ": "
				errs = append(errs, errors.New(at+strings.ReplaceAll(err.Error(), "\n", "\n"+at)))
				continue
			}
			// In the form the type writes, so that equal is equal.
			if raw, err = json.Marshal(v); err != nil {
				errs = append(errs, err)
				continue
			}
			s.mu.RLock()
			have := s.values[kindName][id]
			s.mu.RUnlock()
			c := Change{What: "created", Kind: kindName, ID: id, version: have.seq, raw: raw, value: v}
			if have.seq > 0 && !have.deleted {
				if old, err := json.Marshal(have.v); err == nil && bytes.Equal(old, raw) {
					continue
				}
				c.What = "changed"
				if goneBy(have.v) == "" {
					c.GoneBy = goneBy(v)
				}
			}
			out = append(out, c)
		}
	}
	return out, errors.Join(errs...)
}

// Apply puts a planned change in force, on behalf of actor.
func (s *Store) Apply(ctx context.Context, actor string, c Change) error {
	return s.put(ctx, actor, c.Kind, c.ID, c.version, c.raw, false)
}
