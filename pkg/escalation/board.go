package escalation

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/mention"
)

// Board is all escalations in memory, kept up to date with the bus. It is safe
// for concurrent use; the states it returns must not be changed.
type Board struct {
	bus *bus.Conn
	log *slog.Logger

	mu      sync.RWMutex
	states  map[string]*State
	about   map[subjectKey][]string // ids of the escalations about it, open or not
	open    map[string][]string     // ids of the open escalations of a brand
	changed chan struct{}           // closed and replaced at every event
}

// OpenBoard reads all escalations and follows them until ctx ends.
func OpenBoard(ctx context.Context, c *bus.Conn, log *slog.Logger) (*Board, error) {
	b := &Board{bus: c, log: log, states: map[string]*State{}, about: map[subjectKey][]string{}, open: map[string][]string{}, changed: make(chan struct{})}
	if err := journal.Tail(ctx, c, 512, b.take); err != nil {
		return nil, fmt.Errorf("escalations: %w", err)
	}
	return b, nil
}

func (b *Board) take(_ context.Context, batch []bus.Entry[Event]) error {
	for i := range batch {
		e := &batch[i]
		if e.Err != nil {
			b.log.Error("an event of an escalation cannot be read", "escalation", e.Key, "seq", e.Seq, "error", e.Err)
		} else {
			e.Value.Escalation = e.Key
			b.apply(&e.Value)
		}
	}
	return nil
}

// apply advances a state by an event, unless it has been.
func (b *Board) apply(e *Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := State{}
	if s := b.states[e.Escalation]; s != nil {
		if s.Seq >= e.Seq {
			return
		}
		next = *s
		// Apply changes what its lists hold; those who read keep the old ones.
		next.Pages, next.Notes = slices.Clone(s.Pages), slices.Clone(s.Notes)
		next.Subjects, next.Mentions = slices.Clone(s.Subjects), slices.Clone(s.Mentions)
	}
	next.Apply(e)
	b.set(&next)
}

// set puts a state on the board; the lock is held.
func (b *Board) set(s *State) {
	b.states[s.Key] = s
	for _, subject := range s.Subjects {
		k := subjectKey{s.Brand, subject}
		if !slices.Contains(b.about[k], s.Key) {
			b.about[k] = append(b.about[k], s.Key)
		}
	}
	open := slices.DeleteFunc(b.open[s.Brand], func(id string) bool { return id == s.Key })
	if s.Open() {
		open = append(open, s.Key)
	}
	b.open[s.Brand] = open
	close(b.changed)
	b.changed = make(chan struct{})
}

// bring puts a state on the board that was folded from all its events. Others'
// events may be among them that the board has yet to read.
func (b *Board) bring(s State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if have := b.states[s.Key]; have == nil || have.Seq < s.Seq {
		b.set(&s)
	}
}

// Changed returns a channel that is closed at the next event.
func (b *Board) Changed() <-chan struct{} {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.changed
}

// Get returns an escalation by its id.
func (b *Board) Get(id string) (State, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	s, ok := b.states[id]
	if !ok {
		return State{}, false
	}
	return *s, true
}

// All returns the escalations that keep wants, the newest first.
func (b *Board) All(keep func(*State) bool) []State {
	b.mu.RLock()
	var out []State
	for _, s := range b.states {
		if keep == nil || keep(s) {
			out = append(out, *s)
		}
	}
	b.mu.RUnlock()
	slices.SortFunc(out, newestFirst)
	return out
}

func newestFirst(a, c State) int {
	return cmp.Or(c.OpenedAt.Compare(a.OpenedAt), cmp.Compare(a.Key, c.Key))
}

type subjectKey struct{ brand, subject string }

// About returns the escalations of brand about any of subjects that keep wants,
// the newest first. It doesn't grow with the number of escalations.
func (b *Board) About(brand string, subjects []string, keep func(*State) bool) []State {
	b.mu.RLock()
	var out []State
	for _, subject := range subjects {
		for _, id := range b.about[subjectKey{brand, subject}] {
			s := b.states[id]
			known := slices.ContainsFunc(out, func(o State) bool { return o.Key == id })
			// A redacted escalation is about nothing any more.
			if !known && slices.Contains(s.Subjects, subject) && keep(s) {
				out = append(out, *s)
			}
		}
	}
	b.mu.RUnlock()
	slices.SortFunc(out, newestFirst)
	return out
}

// Open returns the open escalations of brand that keep wants, the newest first.
// It doesn't grow with those that are over.
func (b *Board) Open(brand string, keep func(*State) bool) []State {
	b.mu.RLock()
	var out []State
	for _, id := range b.open[brand] {
		if s := b.states[id]; keep(s) {
			out = append(out, *s)
		}
	}
	b.mu.RUnlock()
	slices.SortFunc(out, newestFirst)
	return out
}

// ErrUnknown says that there is no such escalation.
var ErrUnknown = errors.New("no such escalation")

// Record appends what decide makes of the escalation id as it stands. Decide
// returns false when there is nothing (more) to add. Of two who decide at once
// the later one decides anew. The board has the event when Record returns.
func (b *Board) Record(ctx context.Context, id, actor string, now time.Time, decide func(*State) (Event, bool)) (State, error) {
	eventID := rand.Text()
	for {
		events, last, err := read(ctx, b.bus, id)
		if err != nil {
			return State{}, err
		}
		s := Fold(events)
		e, ok := decide(&s)
		if !ok {
			return s, nil
		}
		if len(events) == 0 && e.Kind != Opened {
			return s, ErrUnknown
		}
		e.ID, e.Escalation, e.At, e.Actor = eventID, id, now, actor
		if _, err = journal.Append(ctx, b.bus, id, last, &e); errors.Is(err, bus.ErrConflict) {
			continue
		}
		if err != nil {
			return s, err
		}
		e.Escalation = id
		s.Apply(&e)
		b.bring(s)
		return s, nil
	}
}

func read(ctx context.Context, c *bus.Conn, id string) ([]Event, uint64, error) {
	events, last, err := journal.Read(ctx, c, id)
	for i := range events {
		events[i].Escalation = id
	}
	return events, last, err
}

// Erase removes what outsiders said from every escalation that a mention is
// part of, and leaves who was paged when.
func Erase(ctx context.Context, c *bus.Conn, actor string, id mention.ID, now time.Time) error {
	found := map[string]bool{}
	err := journal.Replay(ctx, c, 1, 512, func(_ context.Context, batch []bus.Entry[Event]) error {
		for i := range batch {
			e := &batch[i].Value
			if e.Mention == id || slices.ContainsFunc(e.History, func(h Event) bool { return h.Mention == id }) {
				found[batch[i].Key] = true
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("escalations of %s: %w", id, err)
	}
	for key := range found {
		if err := redact(ctx, c, actor, key, now); err != nil {
			return fmt.Errorf("escalation %s: %w", key, err)
		}
	}
	return nil
}

func redact(ctx context.Context, c *bus.Conn, actor, key string, now time.Time) error {
	eventID := rand.Text()
	for {
		events, last, err := read(ctx, c, key)
		if err != nil || len(events) == 0 {
			return err
		}
		old := events
		if events[len(events)-1].Kind == Redacted {
			old = events[:len(events)-1]
		} else {
			e := Redact(events)
			e.ID, e.Escalation, e.At, e.Actor = eventID, key, now, actor
			if _, err := journal.Append(ctx, c, key, last, &e); errors.Is(err, bus.ErrConflict) {
				continue
			} else if err != nil {
				return err
			}
		}
		seqs := make([]uint64, len(old))
		for i := range old {
			seqs[i] = old[i].Seq
		}
		return journal.Erase(ctx, c, seqs...)
	}
}
