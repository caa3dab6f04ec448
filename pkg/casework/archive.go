package casework

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

// An archived case is one snapshot in ARCHIVE and has no events. Two rules keep
// it whole, whoever dies or comes in between:
//
//   - What is left of a case's events always folds by itself. The last one says
//     that the case is put away, and holds all of it; who works on the case then
//     has to append a restored event first, so that nothing ever stands behind
//     events that are about to go.
//   - Events go only when the index names a stored snapshot that has them.

var snapshots = bus.NewArchive(bus.ProtoCodec(toWire, fromWire), func(e *Event) bus.Filing {
	return bus.Filing{
		Brand: e.Mention.Brand, Month: e.closed(), ID: string(e.Mention.ID) + "." + strconv.FormatUint(e.Seq, 10),
	}
})

// Snapshots is the topic of all archived cases, for services that follow it. A
// snapshot is the event Archived of a case: its Mention names the case, its Seq
// is that event's sequence in CASES.
func Snapshots() bus.Topic[Event] { return snapshots }

// whole is the case in one event.
func (s *State) whole(k Kind) Event {
	return Event{
		Actor: identity.ActorSystem, Kind: k, Number: s.Number, History: s.History,
		Mention: &mention.Mention{ID: s.ID, Brand: s.Mention.Brand},
	}
}

// closed is when the case was closed that e is a snapshot of.
func (e *Event) closed() time.Time {
	for _, h := range slices.Backward(e.History) {
		switch h.Kind {
		case Closed, Excluded, MergedInto, Sent, Posted:
			return h.At
		}
	}
	return e.At
}

// settled tells that the case is done, and that nothing has happened to it since
// before or will by itself. An erased case is small and stays.
func (s *State) settled(before time.Time) bool {
	n := len(s.History)
	return s.Status == Done && s.Outgoing == nil && !s.Redacted && s.ReadOnly == "" && s.NextAt().IsZero() &&
		n > 0 && s.History[n-1].At.Before(before)
}

// Kept is where a case was written that is put away.
type Kept struct {
	Snapshot uint64 // sequence in ARCHIVE; 0 if the case stays
	Event    uint64 // sequence in CASES of the event Archived
}

// PutAway stores a snapshot of case id, if it is done and nothing has happened
// to it since before. Its events go with [Store.Forget], once the index has
// both. It may be called again after a failure.
func (s *Store) PutAway(ctx context.Context, id mention.ID, before time.Time) (Kept, error) {
	events, last, err := journal.Read(ctx, s.bus, string(id))
	if err != nil || len(events) == 0 {
		return Kept{}, err
	}
	e := events[len(events)-1]
	if e.Kind != Archived {
		state := Fold(id, events)
		if !state.settled(before) {
			return Kept{}, nil
		}
		e = state.whole(Archived)
		e.ID, e.At = rand.Text(), s.now()
		_, err := journal.Append(ctx, s.bus, string(id), last, &e)
		if errors.Is(err, bus.ErrConflict) {
			return Kept{}, nil
		}
		if err != nil {
			return Kept{}, fmt.Errorf("archive case %s: %w", id, err)
		}
	}
	seq, err := snapshots.PublishOne(ctx, s.bus, &e)
	if err != nil {
		return Kept{}, fmt.Errorf("archive case %s: %w", id, err)
	}
	return Kept{Snapshot: seq, Event: e.Seq}, nil
}

// Forget erases the events of case id that the snapshot with sequence seq of
// ARCHIVE has, the one that the index names. Their bytes go as well: an erasure
// of the case could not reach them any more.
func (s *Store) Forget(ctx context.Context, id mention.ID, seq uint64) error {
	snap, err := snapshots.Get(ctx, s.bus, seq)
	if errors.Is(err, bus.ErrNotFound) {
		return nil // replaced meanwhile
	}
	if err != nil {
		return err
	}
	if m := snap.Value.Mention; m == nil || m.ID != id {
		return fmt.Errorf("snapshot %d is not one of case %s", seq, id)
	}
	events, _, err := journal.Read(ctx, s.bus, string(id))
	if err != nil {
		return err
	}
	var old []uint64
	for _, e := range events {
		if e.Seq <= snap.Value.Seq {
			old = append(old, e.Seq)
		}
	}
	// In order: what is left after a crash still ends with the whole case.
	return journal.Erase(ctx, s.bus, old...)
}

// archived returns case id as it was put away, or nil. It is [bus.ErrNotFound]
// when the case must have events.
func (s *Store) archived(ctx context.Context, id mention.ID) (*State, error) {
	seq, err := s.src.Archived(ctx, id)
	if err != nil || seq == 0 {
		return nil, err
	}
	snap, err := snapshots.Get(ctx, s.bus, seq)
	if err != nil {
		return nil, err
	}
	state := Fold(id, []Event{snap.Value})
	state.Last = 0
	return &state, nil
}
