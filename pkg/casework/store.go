package casework

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

// Source is what a Store needs to know about mentions that nobody has touched
// yet, and about what people edit. The functions may be called concurrently.
type Source struct {
	// Tagged returns the sequences in TAGGED that hold texts of a mention, the
	// one in force last. It answers from the index, which may lag.
	Tagged func(context.Context, mention.ID) ([]uint64, error)
	// Archived returns the sequence in ARCHIVE of a case that has no events,
	// and 0 if there is none. It is [bus.ErrNotFound] when somebody has touched
	// the mention: then its events must be there after all. It answers from the
	// index; nil where there is none.
	Archived func(context.Context, mention.ID) (uint64, error)
	// Triage judges a mention as the indexer would.
	Triage func(*mention.Mention, *mention.Verdict) Triage
	// Template returns a template by its id.
	Template func(id string) (Template, bool)
	// Rules is the table of what needs approval.
	Rules func() Rules
	// Check tells why a draft can't leave by its platform's rules, or nil.
	Check func(*State, *Draft) error
	// Clock counts a brand's working time; nil where nobody ever closes.
	Clock func(brand string) WorkingTime
	// Read is what the reply check says of a draft.
	Read func(*State, *Draft) []Finding
	// Hold is how long a reply can still be stopped after a person pressed
	// send.
	Hold func(brand, account string) time.Duration
	// Stopped tells why no reply to a case may leave, if none may.
	Stopped func(*State) (why string, ok bool)
}

// Store takes commands. It keeps nothing: a case is read from the bus every
// time. It is safe for concurrent use.
type Store struct {
	bus *bus.Conn
	src Source
	now func() time.Time
	log *slog.Logger
}

// NewStore returns a store on c. Now is the clock; nil for the system's.
func NewStore(c *bus.Conn, src Source, now func() time.Time, log *slog.Logger) *Store {
	if now == nil {
		now = time.Now
	}
	if src.Archived == nil {
		src.Archived = func(context.Context, mention.ID) (uint64, error) { return 0, nil }
	}
	if src.Clock == nil {
		src.Clock = func(string) WorkingTime { return always{} }
	}
	if src.Read == nil {
		src.Read = func(*State, *Draft) []Finding { return nil }
	}
	if src.Stopped == nil {
		src.Stopped = func(*State) (string, bool) { return "", false }
	}
	return &Store{bus: c, src: src, now: func() time.Time { return now().UTC().Truncate(time.Millisecond) }, log: log}
}

// ErrUnknown says that there is no such mention.
var ErrUnknown = errors.New("no such mention")

// attempts bounds how often a command is decided anew because somebody else
// was first.
const attempts = 8

// Do decides cmd on the case id as it stands and appends what it becomes. It
// returns the case after it. Errors are a [*Refused], [ErrUnknown],
// [bus.ErrConflict] when others were faster again and again, or the bus's.
func (s *Store) Do(ctx context.Context, by identity.Viewer, id mention.ID, cmd Command) (State, error) {
	return s.do(ctx, by, id, func(d *decision) (Event, error) {
		if err := d.takes(); err != nil {
			return Event{}, err
		}
		e, err := cmd.decide(d)
		if err == nil && (utf8.RuneCountInString(e.Text) > maxText || len(e.To) > maxTo) {
			err = refuse(CodeInput, "the text is too long")
		}
		return e, err
	})
}

// Caps on what a person says with a command: a case is read as a whole, again
// and again.
const (
	maxText = 20_000 // code points of a note or reason
	maxTo   = 400    // bytes of a department's name
)

// takes tells whether the case takes commands at all, and shows itself to by.
func (d *decision) takes() error {
	switch {
	case !d.by.Can(identity.View, d.state.Mention.Brand):
		return ErrUnknown
	case d.state.ReadOnly != "":
		return refuse(CodeReadOnly, "a newer Earshot has worked on this case (%s); this one only shows it", d.state.ReadOnly)
	case d.state.Redacted:
		return refuse(CodeErased, "this mention was erased")
	}
	return nil
}

// Record appends what a service has to say. Decide sees the fold of the events,
// in which nothing has lapsed before that was recorded, and returns the event,
// or false when there is nothing to add (any more).
func (s *Store) Record(ctx context.Context, id mention.ID, decide func(*State) (Event, bool)) (State, error) {
	state, err := s.do(ctx, identity.System(), id, func(d *decision) (Event, error) {
		e, ok := decide(&d.fold)
		if !ok {
			return Event{}, errNothing
		}
		return e, nil
	})
	if errors.Is(err, errNothing) {
		return state, nil
	}
	return state, err
}

var errNothing = errors.New("nothing to record")

func (s *Store) do(ctx context.Context, by identity.Viewer, id mention.ID, decide func(*decision) (Event, error)) (State, error) {
	eventID := rand.Text()
	for n := range attempts {
		state, first, err := s.read(ctx, id)
		if err != nil {
			return State{}, err
		}
		now := s.now()
		d := &decision{
			by: by, now: now, fold: state, state: state.At(now), templates: s.src.Template,
			rules: s.src.Rules(), check: s.src.Check, read: s.src.Read, triage: s.src.Triage, stopped: s.src.Stopped,
			muted:  func(state *State) (string, error) { return s.muted(ctx, state) },
			toward: func(state *State, to mention.ID) (State, error) { return s.Toward(ctx, state, to) },
			hold:   func(account string) time.Duration { return s.src.Hold(state.Mention.Brand, account) },
		}
		e, err := decide(d)
		if errors.Is(err, ErrUnknown) {
			return State{}, err
		}
		if err != nil {
			return d.state, err
		}
		if first != nil {
			state, err = s.open(ctx, id, &state, first)
			if errors.Is(err, bus.ErrConflict) {
				continue
			}
			if err != nil {
				return state, err
			}
		}
		if e.Kind == Drafted || e.Kind == Reopened || e.Kind == Answered || e.Kind == AuthorWrote {
			e.Triage.ResolveAt = state.resumed(s.src.Clock(state.Mention.Brand), now)
		}
		e.ID, e.At, e.Actor = eventID, now, by.Actor()
		_, err = journal.Append(ctx, s.bus, string(id), state.Last, &e)
		if errors.Is(err, bus.ErrConflict) && n < attempts-1 {
			continue
		}
		if err != nil {
			return state, fmt.Errorf("case %s: %w", id, err)
		}
		state.apply(&e)
		return state.At(now), nil
	}
	return State{}, fmt.Errorf("case %s: %w", id, bus.ErrConflict)
}

// muted is who said that the thread of a case must not be answered: its own tags,
// those of the post it answers or those of the first one.
func (s *Store) muted(ctx context.Context, state *State) (string, error) {
	if who := state.Muted(); who != "" {
		return who, nil
	}
	m := &state.Mention
	for _, native := range []string{m.Thread.Parent, m.Thread.ID} {
		id := mention.NewID(m.Brand, m.Platform, native)
		if native == "" || id == state.ID {
			continue
		}
		above, ok, err := s.Touched(ctx, id)
		if who := above.Muted(); err != nil || ok && who != "" {
			return who, err
		}
	}
	return "", nil
}

// open appends first, the event that state begins with.
func (s *Store) open(ctx context.Context, id mention.ID, state *State, first *Event) (State, error) {
	e := *first
	e.ID, e.At = rand.Text(), s.now()
	if _, err := journal.Append(ctx, s.bus, string(id), state.Last, &e); err != nil {
		return *state, fmt.Errorf("case %s: %w", id, err)
	}
	return Fold(id, []Event{e}), nil
}

// Get returns the case id as it stands now, an archived one as it was put away.
// A mention that nobody has touched is returned as the case it would be; its
// Number is 0.
func (s *Store) Get(ctx context.Context, by identity.Viewer, id mention.ID) (State, error) {
	state, _, err := s.read(ctx, id)
	if err != nil {
		return State{}, err
	}
	if !by.Can(identity.View, state.Mention.Brand) {
		return State{}, ErrUnknown
	}
	if state.Number == 0 {
		state.History = nil
	}
	return state.At(s.now()), nil
}

// Touched returns the fold of the events of id, or false when there are none:
// nobody has touched it, or it is archived.
func (s *Store) Touched(ctx context.Context, id mention.ID) (State, bool, error) {
	events, _, err := journal.Read(ctx, s.bus, string(id))
	if err != nil || len(events) == 0 {
		return State{}, false, err
	}
	return Fold(id, events), true, nil
}

// read returns the case, and the event that must be appended before any other:
// nil, unless the case is archived or nobody has touched the mention.
func (s *Store) read(ctx context.Context, id mention.ID) (State, *Event, error) {
	if !id.Valid() {
		return State{}, nil, ErrUnknown
	}
	for range attempts {
		events, _, err := journal.Read(ctx, s.bus, string(id))
		if err != nil {
			return State{}, nil, fmt.Errorf("case %s: %w", id, err)
		}
		if n := len(events); n > 0 {
			state := Fold(id, events)
			if events[n-1].Kind != Archived {
				return state, nil, nil
			}
			back := state.whole(Restored)
			return state, &back, nil
		}
		// In this order: while the index fills, a row comes with its snapshot.
		seqs, err := s.src.Tagged(ctx, id)
		if err != nil {
			return State{}, nil, err
		}
		state, err := s.archived(ctx, id)
		switch {
		case err == nil && state != nil:
			back := state.whole(Restored)
			return *state, &back, nil
		case err == nil:
			return s.untouched(ctx, id, seqs)
		case !errors.Is(err, bus.ErrNotFound):
			return State{}, nil, fmt.Errorf("case %s: %w", id, err)
		}
		// It was written back a moment ago.
		select {
		case <-ctx.Done():
			return State{}, nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return State{}, nil, fmt.Errorf("case %s: neither its events nor its snapshot is there", id)
}

// untouched returns the case that a mention would be, and its opening event.
func (s *Store) untouched(ctx context.Context, id mention.ID, seqs []uint64) (State, *Event, error) {
	if len(seqs) == 0 {
		return State{}, nil, ErrUnknown
	}
	t, err := bus.Tagged.Get(ctx, s.bus, seqs[len(seqs)-1])
	if errors.Is(err, bus.ErrNotFound) {
		return State{}, nil, ErrUnknown
	}
	if err != nil {
		return State{}, nil, err
	}
	m, v := &t.Value.Mention, &t.Value.Verdict
	opened := Event{Actor: identity.ActorSystem, Kind: Opened, Mention: m, Verdict: v, Tagged: t.Seq, Triage: s.src.Triage(m, v)}
	state := Fold(id, []Event{opened})
	state.Tagged = seqs
	return state, &opened, nil
}

// Tick appends what time alone has brought to case id, and returns the case
// after it.
func (s *Store) Tick(ctx context.Context, id mention.ID) (State, error) {
	for {
		ticked := false
		state, err := s.Record(ctx, id, func(st *State) (Event, bool) {
			e, ok := Tick(st, s.now())
			ticked = ok
			return e, ok
		})
		if err != nil || !ticked {
			return state, err
		}
	}
}

// Merge folds the case from into the case into: one atomic step.
func (s *Store) Merge(ctx context.Context, by identity.Viewer, from, into mention.ID) (State, error) {
	if from == into {
		return State{}, refuse(CodeInput, "a case can't be merged into itself")
	}
	a := Event{ID: rand.Text(), At: s.now(), Actor: by.Actor(), Kind: MergedInto, To: string(into)}
	b := Event{ID: rand.Text(), At: a.At, Actor: by.Actor(), Kind: Absorbed, To: string(from)}
	var err error
	for range attempts {
		var (
			states [2]State
			first  [2]*Event
		)
		for i, id := range []mention.ID{from, into} {
			if states[i], first[i], err = s.mergeable(ctx, by, id, a.At); err != nil {
				return State{}, err
			}
		}
		switch {
		case slices.ContainsFunc(states[0].History, func(e Event) bool { return e.ID == a.ID }):
			return states[1].At(a.At), nil // the answer was lost on the way
		case states[0].Mention.Brand != states[1].Mention.Brand:
			return State{}, refuse(CodeInput, "the cases are about different brands")
		case states[0].Merged != "" || states[1].Merged != "":
			return State{}, refuse(CodeState, "the case is merged already")
		}
		for i, id := range []mention.ID{from, into} {
			if first[i] != nil && err == nil {
				states[i], err = s.open(ctx, id, &states[i], first[i])
			}
		}
		if err != nil {
			continue // somebody else was first, or it isn't known who
		}
		err = journal.AppendAll(ctx, s.bus,
			bus.Keyed[Event]{Key: string(from), After: states[0].Last, Event: &a},
			bus.Keyed[Event]{Key: string(into), After: states[1].Last, Event: &b})
		if err == nil {
			states[1].apply(&b)
			return states[1].At(a.At), nil
		}
	}
	return State{}, fmt.Errorf("merge %s into %s: %w", from, into, err)
}

// mergeable is a case that by may work on at now.
func (s *Store) mergeable(ctx context.Context, by identity.Viewer, id mention.ID, now time.Time) (State, *Event, error) {
	st, first, err := s.read(ctx, id)
	if err != nil {
		return State{}, nil, err
	}
	d := &decision{by: by, now: now, state: st.At(now)}
	return st, first, cmp.Or(d.takes(), d.work())
}

// Events is the journal of all cases, for services that follow it.
func Events() bus.Journal[Event] { return journal }
