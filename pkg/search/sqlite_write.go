package search

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/earshot/earshot/pkg/mention"
)

// statements are the writer's, prepared once.
type statements struct {
	find, add, change, drop                    *sql.Stmt
	addBody, changeBody, dropBody              *sql.Stmt
	addTerms, dropTerms, name, position, tally *sql.Stmt
	addSent, dropSent                          *sql.Stmt
}

// each calls f with all of them.
func (s *statements) each(f func(**sql.Stmt)) {
	for _, stmt := range []**sql.Stmt{
		&s.find, &s.add, &s.change, &s.drop, &s.addBody, &s.changeBody, &s.dropBody,
		&s.addTerms, &s.dropTerms, &s.name, &s.position, &s.tally,
		&s.addSent, &s.dropSent,
	} {
		f(stmt)
	}
}

func (s *statements) prepare(ctx context.Context, db *sql.DB) error {
	s.close()
	cols := "id, qkey, published, seen, due, next, outcome, until, replied, resolved, " + columns("", false)
	n := strings.Count(cols, ",") + 1
	marks := strings.Repeat(", ?", n)
	for _, p := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&s.find, `SELECT d.seq, b.doc FROM doc d JOIN body b USING (seq) WHERE d.id = ?`},
		{&s.add, `INSERT INTO doc (` + cols + `, seq) VALUES (` + marks[2:] + `, ?) ON CONFLICT DO NOTHING`},
		{&s.change, `UPDATE doc SET (` + cols + `) = (` + marks[2:] + `) WHERE seq = ?`},
		{&s.drop, `DELETE FROM doc WHERE seq = ?`},
		{&s.addBody, `INSERT INTO body (doc, seq) VALUES (?, ?)`},
		{&s.changeBody, `UPDATE body SET doc = ? WHERE seq = ?`},
		{&s.dropBody, `DELETE FROM body WHERE seq = ?`},
		{&s.addTerms, `INSERT INTO fts (rowid, content, author) VALUES (?, ?, ?)`},
		{&s.dropTerms, `INSERT INTO fts (fts, rowid, content, author) VALUES ('delete', ?, ?, ?)`},
		{&s.addSent, `INSERT INTO sent (hash, seq) VALUES (?, ?) ON CONFLICT DO NOTHING`},
		{&s.dropSent, `DELETE FROM sent WHERE hash = ? AND seq = ?`},
		{&s.name, `INSERT INTO name (id, field, value) VALUES (?, ?, ?)`},
		{&s.position, `INSERT INTO position VALUES (?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq`},
		{&s.tally, `INSERT INTO tally VALUES (` + strings.Repeat("?, ", strings.Count(columns("", true), ",")+1) + `?) ON CONFLICT DO UPDATE SET n = n + excluded.n`},
	} {
		stmt, err := db.PrepareContext(ctx, p.text)
		if err != nil {
			return err
		}
		*p.stmt = stmt
	}
	return nil
}

func (s *statements) close() {
	s.each(func(stmt **sql.Stmt) {
		if *stmt != nil {
			(*stmt).Close()
		}
	})
	*s = statements{}
}

// in returns the statements as part of tx, with which they end.
func (s statements) in(ctx context.Context, tx *sql.Tx) *statements {
	s.each(func(stmt **sql.Stmt) { *stmt = tx.StmtContext(ctx, *stmt) })
	return &s
}

// Write implements [Engine]: one transaction.
func (e *SQLite) Write(ctx context.Context, b Batch) error {
	docs, err := b.accept("sqlite")
	if err != nil {
		return err
	}
	e.writing.Lock()
	defer e.writing.Unlock()
	e.mu.RLock()
	ready, names, positions := e.ready, e.names, e.positions
	e.mu.RUnlock()
	if !ready {
		return errNotEnsured
	}
	tx, err := e.writer.BeginTx(ctx, nil)
	if err != nil {
		return sqliteError(err)
	}
	defer tx.Rollback()
	// The driver starts a goroutine for each statement that may be cancelled;
	// here the context is asked between documents.
	whole := context.WithoutCancel(ctx)
	w := writer{ctx: whole, stmts: e.stmts.in(whole, tx), names: names, words: &e.words, tally: map[string]int64{}}
	for _, id := range b.Deletes {
		if err := w.remove(id); err != nil {
			return sqliteError(err)
		}
	}
	for i := range docs {
		if err := ctx.Err(); err != nil {
			return sqliteError(err)
		}
		if err := w.put(&docs[i]); err != nil {
			return sqliteError(err)
		}
	}
	if err := w.putTally(); err != nil {
		return sqliteError(err)
	}
	if err := w.putTerms(); err != nil {
		return sqliteError(err)
	}
	if len(b.Positions) > 0 {
		positions = maps.Clone(positions)
		maps.Copy(positions, b.Positions)
		for stream, seq := range b.Positions {
			if _, err := w.exec(w.stmts.position, stream, int64(seq)); err != nil {
				return sqliteError(err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		return sqliteError(err)
	}
	e.followWrite(w.changes)
	e.publish(w.names, positions)
	return nil
}

// writer applies one batch within a transaction.
type writer struct {
	ctx    context.Context
	stmts  *statements // of the transaction
	names  *names
	copied bool // names is ours and may be added to
	words  *wordList

	// Changes to the table of terms wait until all else is written: every
	// statement that could fail halfway makes that table flush what it holds.
	gone, come []termed
	// tally is how many documents more have a combination of counted values,
	// which is the key as varints.
	tally map[string]int64

	changes   []change
	blob, key []byte // reused
	args      []any
}

// termed is what can be found of a document.
type termed struct {
	seq             int64
	content, author string
}

func textOf(seq int64, d *Document) termed { return termed{seq, d.Content(), d.author()} }

func (w *writer) exec(stmt *sql.Stmt, args ...any) (sql.Result, error) {
	return stmt.ExecContext(w.ctx, args...)
}

// stored returns the document with the given id, or zero.
func (w *writer) stored(id []byte) (seq int64, d Document, err error) {
	var blob sql.RawBytes
	rows, err := w.stmts.find.QueryContext(w.ctx, id)
	if err != nil {
		return 0, d, err
	}
	defer rows.Close()
	if !rows.Next() {
		return 0, d, rows.Err()
	}
	if err := rows.Scan(&seq, &blob); err != nil {
		return 0, d, err
	}
	d, err = decode(blob)
	return seq, d, err
}

func (w *writer) remove(id mention.ID) error {
	key, err := packID(id)
	if err != nil {
		return nil // never stored
	}
	seq, old, err := w.stored(key)
	if err != nil || seq == 0 {
		return err
	}
	return w.drop(seq, &old)
}

func (w *writer) drop(seq int64, old *Document) error {
	if err := w.count(old, -1); err != nil {
		return err
	}
	w.gone = append(w.gone, textOf(seq, old))
	if err := w.each(w.stmts.dropSent, old, seq); err != nil {
		return err
	}
	if _, err := w.exec(w.stmts.dropBody, seq); err != nil {
		return err
	}
	w.changes = append(w.changes, change{seq: seq})
	_, err := w.exec(w.stmts.drop, seq)
	return err
}

// put adds d, as most documents are new, and looks what is there only if that
// doesn't do.
func (w *writer) put(d *Document) error {
	key, err := packID(d.ID)
	if err != nil {
		return err
	}
	wanted := d.Seq
	if d.Seq == 0 {
		d.Seq = derivedSeq(d.ID)
	}
	added, err := w.add(d, key)
	if added || err != nil {
		return err
	}
	seq, old, err := w.stored(key)
	if err != nil {
		return err
	}
	switch {
	case seq == 0:
		// Another document has this Seq. Order suffers, nothing is lost.
	case wanted == 0 || int64(wanted) == seq:
		d.Seq = uint64(seq)
		return w.change(d, &old, key)
	default:
		if err := w.drop(seq, &old); err != nil {
			return err
		}
		if added, err = w.add(d, key); added || err != nil {
			return err
		}
	}
	d.Seq = derivedSeq(d.ID)
	if added, err = w.add(d, key); err == nil && !added {
		err = fmt.Errorf("no place for document %s", d.ID)
	}
	return err
}

// add writes d unless its ID or its Seq is taken.
func (w *writer) add(d *Document, key []byte) (added bool, err error) {
	args, err := w.row(d, key)
	if err != nil {
		return false, err
	}
	res, err := w.exec(w.stmts.add, args...)
	if err != nil {
		return false, err
	}
	if n, err := res.RowsAffected(); n == 0 || err != nil {
		return false, err
	}
	if err := w.count(d, 1); err != nil {
		return false, err
	}
	w.changes = append(w.changes, change{int64(d.Seq), d})
	w.blob = encode(w.blob[:0], d)
	w.come = append(w.come, textOf(int64(d.Seq), d))
	if err := w.each(w.stmts.addSent, d, int64(d.Seq)); err != nil {
		return true, err
	}
	_, err = w.exec(w.stmts.addBody, w.blob, int64(d.Seq))
	return true, err
}

func (w *writer) change(d, old *Document, key []byte) error {
	args, err := w.row(d, key)
	if err != nil {
		return err
	}
	if _, err := w.exec(w.stmts.change, args...); err != nil {
		return err
	}
	if err := w.count(old, -1); err != nil {
		return err
	}
	if err := w.count(d, 1); err != nil {
		return err
	}
	w.changes = append(w.changes, change{int64(d.Seq), d})
	w.blob = encode(w.blob[:0], d)
	if !d.sameText(old) {
		w.gone = append(w.gone, textOf(int64(d.Seq), old))
		w.come = append(w.come, textOf(int64(d.Seq), d))
	}
	if !slices.Equal(d.Sent, old.Sent) {
		err := w.each(w.stmts.dropSent, old, int64(d.Seq))
		if err == nil {
			err = w.each(w.stmts.addSent, d, int64(d.Seq))
		}
		if err != nil {
			return err
		}
	}
	_, err = w.exec(w.stmts.changeBody, w.blob, int64(d.Seq))
	return err
}

// each runs stmt for every reply of d.
func (w *writer) each(stmt *sql.Stmt, d *Document, seq int64) error {
	for _, key := range d.sentKeys() {
		if _, err := w.exec(stmt, key, seq); err != nil {
			return err
		}
	}
	return nil
}

// count notes n documents more with the counted values of d.
func (w *writer) count(d *Document, n int64) error {
	w.key = w.key[:0]
	for _, f := range fields {
		if !f.counted {
			continue
		}
		v, err := w.cell(d, f.name)
		if err != nil {
			return err
		}
		w.key = binary.AppendVarint(w.key, v)
	}
	w.tally[string(w.key)] += n
	return nil
}

// putTally brings the table of counts up to date: once for each combination,
// of which a batch has few.
func (w *writer) putTally() error {
	for key, n := range w.tally {
		if n == 0 {
			continue
		}
		w.args = w.args[:0]
		for rest := []byte(key); len(rest) > 0; {
			v, size := binary.Varint(rest)
			w.args, rest = append(w.args, v), rest[size:]
		}
		if _, err := w.exec(w.stmts.tally, append(w.args, n)...); err != nil {
			return err
		}
	}
	return nil
}

// putTerms takes old texts out of the table of terms and puts new ones in, in
// ascending order, which is cheapest.
func (w *writer) putTerms() error {
	for _, change := range []struct {
		stmt  *sql.Stmt
		texts []termed
		words *wordList
	}{{w.stmts.dropTerms, w.gone, nil}, {w.stmts.addTerms, w.come, w.words}} {
		slices.SortFunc(change.texts, func(a, b termed) int { return cmp.Compare(a.seq, b.seq) })
		var content, author []byte
		for _, t := range change.texts {
			content, author = termText(content[:0], t.content, change.words), termText(author[:0], t.author, change.words)
			if _, err := w.exec(change.stmt, t.seq, string(content), string(author)); err != nil {
				return err
			}
		}
	}
	return nil
}

// termText appends the terms of s with spaces between them, and tells words of
// those that are words.
func termText(dst []byte, s string, words *wordList) []byte {
	terms(bounded(s), func(term string) {
		dst = append(append(dst, term...), ' ')
		if words != nil {
			words.learn(term)
		}
	})
	return dst
}

// row returns the values of d for the columns of doc, seq last.
func (w *writer) row(d *Document, key []byte) ([]any, error) {
	s := standingOf(d)
	w.args = append(w.args[:0], key, d.queueKey(), toMilli(d.PublishedAt), toMilli(d.SeenAt), toMilli(d.DueAt), toMilli(d.NextAt),
		int64(s.outcome), s.until, int64(s.replied), int64(s.resolved))
	for _, f := range fields {
		if f.shape == hashedSet {
			continue
		}
		v, err := w.cell(d, f.name)
		if err != nil {
			return nil, err
		}
		w.args = append(w.args, v)
	}
	w.args = append(w.args, int64(d.Seq))
	return w.args, nil
}

// cell returns the number that stands for d's value of f.
func (w *writer) cell(d *Document, f Field) (int64, error) {
	switch f {
	case FieldOpen:
		return bit(d.Open), nil
	case FieldPage:
		return bit(d.Page), nil
	case FieldMedia:
		return bit(d.Media != ""), nil
	case FieldRating:
		return int64(d.Rating), nil
	case FieldNumber:
		return int64(d.Number), nil
	case FieldStory:
		return hashKey(d.Story), nil
	case FieldAuthor:
		return hashKey(d.AuthorID), nil
	case FieldParent:
		return hashKey(d.Parent), nil
	}
	return w.number(f, d.value(f))
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// number returns the number of value, which is new to the index if it must.
func (w *writer) number(f Field, value string) (int64, error) {
	if id, ok := w.names.id[f][value]; ok {
		return id, nil
	}
	if !w.copied {
		w.names, w.copied = w.names.clone(), true
	}
	id := w.names.last + 1
	if value == None {
		id = -id
	}
	if _, err := w.exec(w.stmts.name, id, string(f), value); err != nil {
		return 0, err
	}
	w.names.add(id, f, value)
	return id, nil
}
