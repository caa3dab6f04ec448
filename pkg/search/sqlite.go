package search

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// SQLite is the index within the process: one file and its write-ahead log.
// One process may have it open.
type SQLite struct {
	path   string
	writer *sql.DB // one connection
	reader *sql.DB // a few, read-only

	writing sync.Mutex // held by whoever writes
	stmts   statements

	words wordList

	ledgerMu sync.Mutex
	ledger   *ledger // nil while nobody asks for figures

	mu        sync.RWMutex
	ready     bool
	names     *names // replaced, never changed
	positions map[string]uint64
	moved     chan struct{} // closed when positions change
}

var _ Engine = (*SQLite)(nil)

// The connections' page caches, in KiB. Together they take 16 MiB at most. The
// writer gains most by its own: what a batch changes lies scattered over the
// indexes. Readers' caches are void after every write.
const (
	writerCache = 10 << 10
	readerCache = 2 << 10
	readers     = 3
)

// logSize is the size in pages, of 4 KiB, that the write-ahead log may grow to
// before it is brought into the file: most pages change many times until then,
// and are brought over once.
const logSize = 4000

// OpenSQLite opens the index in the file at path, whose folder is created if it
// is missing. [SQLite.Ensure] must be called before anything else.
func OpenSQLite(path string) (*SQLite, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	e := &SQLite{path: path, moved: make(chan struct{})}
	e.open()
	return e, nil
}

// open makes the handles. Connections are opened on first use.
func (e *SQLite) open() {
	dsn := func(cache int, more ...string) string {
		pragmas := append([]string{
			"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)", "secure_delete(ON)",
			"temp_store(MEMORY)", fmt.Sprintf("wal_autocheckpoint(%d)", logSize), fmt.Sprintf("journal_size_limit(%d)", logSize<<12),
			fmt.Sprintf("cache_size(-%d)", cache),
		}, more...)
		return "file:" + (&url.URL{Path: e.path}).EscapedPath() + "?" + url.Values{"_pragma": pragmas, "_txlock": {"immediate"}}.Encode()
	}
	// sql.Open fails only for an unknown driver, and this one is linked.
	e.writer, _ = sql.Open("sqlite", dsn(writerCache))
	e.writer.SetMaxOpenConns(1)
	e.reader, _ = sql.Open("sqlite", dsn(readerCache, "query_only(ON)"))
	e.reader.SetMaxOpenConns(readers)
	e.reader.SetMaxIdleConns(readers)
}

// Ensure implements [Engine]. A file that is damaged or of another layout is
// deleted: the index is derived, and is filled again from the streams.
func (e *SQLite) Ensure(ctx context.Context) (fresh bool, err error) {
	e.writing.Lock()
	defer e.writing.Unlock()
	have, err := e.readLayout(ctx)
	switch code := errorCode(err); {
	case err == nil && have == sqliteLayout():
		return false, e.load(ctx)
	case err == nil && have == "": // an empty file
	case err == nil, code == sqlite3.SQLITE_CORRUPT, code == sqlite3.SQLITE_NOTADB:
		if err := e.remove(); err != nil {
			return false, sqliteError(err)
		}
	default:
		return false, sqliteError(err)
	}
	if err := e.create(ctx); err != nil {
		return false, sqliteError(err)
	}
	return true, e.load(ctx)
}

func (e *SQLite) readLayout(ctx context.Context) (string, error) {
	var tables int
	if err := e.writer.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'layout'`).Scan(&tables); err != nil {
		return "", err
	}
	if tables == 0 {
		// A file that holds something else, or half of a schema, is not ours
		// to add to.
		if err := e.writer.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil || tables == 0 {
			return "", err
		}
		return "unknown", nil
	}
	var have string
	err := e.writer.QueryRowContext(ctx, `SELECT print FROM layout`).Scan(&have)
	if errors.Is(err, sql.ErrNoRows) {
		return "unknown", nil
	}
	return have, err
}

// create makes the tables, in one transaction.
func (e *SQLite) create(ctx context.Context) error {
	tx, err := e.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, s := range schema() {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%w in %s", err, s)
		}
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO layout VALUES (?)`, sqliteLayout()); err != nil {
		return err
	}
	return tx.Commit()
}

// load prepares the writer's statements and reads what is kept in memory.
func (e *SQLite) load(ctx context.Context) error {
	if err := e.stmts.prepare(ctx, e.writer); err != nil {
		return sqliteError(err)
	}
	names, err := readNames(ctx, e.writer)
	if err != nil {
		return sqliteError(err)
	}
	positions := map[string]uint64{}
	rows, err := e.writer.QueryContext(ctx, `SELECT stream, seq FROM position`)
	if err != nil {
		return sqliteError(err)
	}
	defer rows.Close()
	for rows.Next() {
		var stream string
		var seq uint64
		if err := rows.Scan(&stream, &seq); err != nil {
			return sqliteError(err)
		}
		positions[stream] = seq
	}
	if err := rows.Err(); err != nil {
		return sqliteError(err)
	}
	e.words.forget()
	e.forgetLedger(nil)
	e.publish(names, positions)
	return nil
}

// publish makes what a transaction changed known to readers.
func (e *SQLite) publish(n *names, positions map[string]uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ready, e.names, e.positions = true, n, positions
	close(e.moved)
	e.moved = make(chan struct{})
}

// remove deletes the files and opens anew.
func (e *SQLite) remove() error {
	e.stmts.close()
	if err := errors.Join(e.reader.Close(), e.writer.Close()); err != nil {
		return err
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(e.path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	e.open()
	return nil
}

// Position implements [Engine].
func (e *SQLite) Position(_ context.Context, stream string) (uint64, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if !e.ready {
		return 0, errNotEnsured
	}
	return e.positions[stream], nil
}

// Wait implements [Engine].
func (e *SQLite) Wait(ctx context.Context, stream string, seq uint64) error {
	for {
		e.mu.RLock()
		at, moved := e.positions[stream], e.moved
		e.mu.RUnlock()
		if at >= seq {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Clear implements [Engine].
func (e *SQLite) Clear(ctx context.Context) error {
	e.writing.Lock()
	defer e.writing.Unlock()
	tx, err := e.writer.BeginTx(ctx, nil)
	if err != nil {
		return sqliteError(err)
	}
	defer tx.Rollback()
	for _, s := range append(drops(), schema()...) {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return sqliteError(err)
		}
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO layout VALUES (?)`, sqliteLayout()); err != nil {
		return sqliteError(err)
	}
	e.stmts.close()
	if err := tx.Commit(); err != nil {
		return sqliteError(err)
	}
	return e.load(ctx)
}

// Scrub implements [Engine]. What is deleted is overwritten at once; what is
// left to do is to empty the write-ahead log, for which readers must pause.
func (e *SQLite) Scrub(ctx context.Context) error {
	e.writing.Lock()
	defer e.writing.Unlock()
	e.words.forget()
	for {
		var busy, frames, moved int
		err := e.writer.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &moved)
		if err != nil {
			return sqliteError(err)
		}
		if busy == 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// Stats implements [Engine].
func (e *SQLite) Stats(ctx context.Context) (Stats, error) {
	s := Stats{Engine: "sqlite"}
	var version string
	err := e.reader.QueryRowContext(ctx, `SELECT sqlite_version(), coalesce((SELECT sum(n) FROM tally), 0)`).Scan(&version, &s.Documents)
	if err != nil {
		return Stats{}, sqliteError(err)
	}
	s.Engine += " " + version
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(e.path + suffix); err == nil {
			s.Bytes += info.Size()
		}
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	s.Positions = maps.Clone(e.positions)
	return s, nil
}

// Close implements [Engine]. It waits for a write under way.
func (e *SQLite) Close() error {
	e.writing.Lock()
	defer e.writing.Unlock()
	e.stmts.close()
	return errors.Join(e.reader.Close(), e.writer.Close())
}

var errNotEnsured = &UnavailableError{Engine: "sqlite", Reason: "the index is not open yet"}

func errorCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// sqliteError tells what an error means to callers.
func sqliteError(err error) error {
	if err == nil {
		return nil
	}
	var reason string
	switch errorCode(err) {
	case sqlite3.SQLITE_FULL:
		reason = "the disk is full; writing goes on once there is room"
	case sqlite3.SQLITE_READONLY:
		reason = "the index file cannot be written; check its owner and mode"
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		reason = "the index file cannot be opened; check its folder, owner and mode"
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		reason = "the index file is damaged; a restart builds it anew"
	case sqlite3.SQLITE_IOERR:
		reason = "the disk fails"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		reason = "the index file is in use by another program"
	case sqlite3.SQLITE_INTERRUPT:
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	default:
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%w: %w", ErrTimeout, err)
		}
		return fmt.Errorf("search: sqlite: %w", err)
	}
	return &UnavailableError{Engine: "sqlite", Reason: reason, Err: err}
}
