package search

import (
	"cmp"
	"context"
	"database/sql"
	"math"
	"slices"
	"sync"
	"time"
)

// ledger is what figures count, of every document, in memory: a table of figures
// counts all documents of its period, and reading their rows takes a hundred
// times as long. It takes 60 bytes a document, is read from the index when figures
// are asked for, follows every write, and is let go when nobody has asked for long.
type ledger struct {
	loaded chan struct{} // closed when it is, or has failed with err
	err    error

	mu     sync.RWMutex
	asked  time.Time
	behind []entry // writes that came while it was read; nil once it is loaded
	rows   []entry // by seq
	gone   int     // of them, without a document
	kinds  []kind
	at     map[kind]uint32
}

// entry is a document. Without an outcome it is gone.
type entry struct {
	seq, published int64
	kind           uint32 // its place in ledger.kinds
	standing
}

// kind is what documents are told apart by, in the order of [FigureFields].
type kind [5]string

func kindOf(d *Document) (k kind) {
	for i, f := range FigureFields {
		k[i] = cmp.Or(d.value(f), None)
	}
	return k
}

// ledgerLife is how long a ledger is kept that nobody asks for.
const ledgerLife = time.Hour

// change is one document's part of a write, for the ledger.
type change struct {
	seq int64
	of  *Document // nil if it is deleted
}

// Figures implements [Engine].
func (e *SQLite) Figures(ctx context.Context, v Viewer, p Period, by Grouping, now time.Time) ([]Group, error) {
	t, err := NewTally(by, now)
	if err != nil {
		return nil, err
	}
	if _, err := (Query{Viewer: v}).check(); err != nil {
		return nil, err
	}
	l, err := e.standings(ctx)
	if err != nil {
		return nil, err
	}
	l.count(t, v, p)
	t.Fill(p)
	return t.Groups(), nil
}

// Warm makes e ready to count figures, so that the first who asks does not wait
// for it. An engine that needs no preparation returns at once.
func Warm(ctx context.Context, e Engine) error {
	if s, ok := e.(*SQLite); ok {
		_, err := s.standings(ctx)
		return err
	}
	return nil
}

// standings returns the ledger, which the first who asks reads from the index.
func (e *SQLite) standings(ctx context.Context) (*ledger, error) {
	e.ledgerMu.Lock()
	l := e.ledger
	if l != nil {
		e.ledgerMu.Unlock()
		select {
		case <-l.loaded:
			return l, l.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	l = &ledger{loaded: make(chan struct{}), behind: []entry{}, at: map[kind]uint32{}}
	e.ledger = l // from here on writes are noted, and only then the index is read
	e.ledgerMu.Unlock()
	// For all who wait, also if the one who asked goes away.
	if l.err = e.view(context.WithoutCancel(ctx), l.load); l.err != nil {
		e.forgetLedger(l)
	}
	close(l.loaded)
	return l, l.err
}

// forgetLedger lets l go, or with nil whichever there is.
func (e *SQLite) forgetLedger(l *ledger) {
	e.ledgerMu.Lock()
	defer e.ledgerMu.Unlock()
	if l == nil || e.ledger == l {
		e.ledger = nil
	}
}

// followWrite brings the ledger up to date with a write that was committed.
func (e *SQLite) followWrite(changes []change) {
	e.ledgerMu.Lock()
	l := e.ledger
	e.ledgerMu.Unlock()
	if l != nil && !l.follow(changes) {
		e.forgetLedger(l)
	}
}

// load reads all documents.
func (l *ledger) load(tx *sql.Tx, n *names) error {
	rows, err := tx.Query(`SELECT seq, published, outcome, until, replied, resolved, f_brand, f_place, f_source, f_platform, f_lang FROM doc ORDER BY seq`)
	if err != nil {
		return err
	}
	defer rows.Close()
	known := map[[len(kind{})]int64]uint32{}
	var all []entry
	for rows.Next() {
		var r entry
		var of [len(kind{})]int64
		if err := rows.Scan(&r.seq, &r.published, &r.outcome, &r.until, &r.replied, &r.resolved, &of[0], &of[1], &of[2], &of[3], &of[4]); err != nil {
			return err
		}
		id, ok := known[of]
		if !ok {
			var k kind
			for i := range of {
				k[i] = n.value[of[i]]
			}
			id = l.kindAt(k)
			known[of] = id
		}
		r.kind = id
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = time.Now()
	l.rows = all
	// What was written meanwhile may be in what was read; it is the same then.
	for _, r := range l.behind {
		l.put(r)
	}
	l.behind = nil
	return nil
}

func (l *ledger) kindAt(k kind) uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kindLocked(k)
}

func (l *ledger) kindLocked(k kind) uint32 {
	id, ok := l.at[k]
	if !ok {
		id = uint32(len(l.kinds))
		l.kinds = append(l.kinds, k)
		l.at[k] = id
	}
	return id
}

// follow takes in a write, and reports whether somebody has asked of late.
func (l *ledger) follow(changes []change) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.behind == nil && time.Since(l.asked) > ledgerLife {
		return false
	}
	for _, c := range changes {
		r := entry{seq: c.seq}
		if c.of != nil {
			r.published, r.kind, r.standing = toMilli(c.of.PublishedAt), l.kindLocked(kindOf(c.of)), standingOf(c.of)
		}
		if l.behind != nil {
			l.behind = append(l.behind, r)
		} else {
			l.put(r)
		}
	}
	return true
}

// put sets the entry of a document. Most are new, and stand at the end.
func (l *ledger) put(r entry) {
	i, found := slices.BinarySearchFunc(l.rows, r.seq, func(e entry, seq int64) int { return cmp.Compare(e.seq, seq) })
	switch {
	case !found && r.outcome == 0:
		return
	case !found:
		l.rows = slices.Insert(l.rows, i, r)
		return
	case l.rows[i].outcome == 0:
		l.gone--
	}
	if l.rows[i] = r; r.outcome == 0 {
		if l.gone++; l.gone > len(l.rows)/4 {
			l.rows = slices.DeleteFunc(l.rows, func(e entry) bool { return e.outcome == 0 })
			l.gone = 0
		}
	}
}

// count adds to t what v sees of what was published in p.
func (l *ledger) count(t *Tally, v Viewer, p Period) {
	l.mu.Lock()
	l.asked = time.Now()
	l.mu.Unlock()
	l.mu.RLock()
	defer l.mu.RUnlock()
	sees, of := make([]bool, len(l.kinds)), make([]string, len(l.kinds))
	at := slices.Index(FigureFields, t.by.Of)
	for i, k := range l.kinds {
		if sees[i] = v.Sees(k[slices.Index(FigureFields, FieldBrand)]); at >= 0 {
			of[i] = k[at]
		}
	}
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if !p.From.IsZero() {
		from = p.From.UnixMilli()
	}
	if !p.To.IsZero() {
		to = ceilMilli(p.To)
	}
	for i := range l.rows {
		if r := &l.rows[i]; r.outcome != 0 && r.published >= from && r.published < to && sees[r.kind] {
			t.at(r.published, of[r.kind]).count(&r.standing, t.now)
		}
	}
}
