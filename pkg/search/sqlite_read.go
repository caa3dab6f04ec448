package search

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// order is how SQL reads the documents in a sort.
type order struct {
	key   string // column
	index string
	desc  bool
}

var orders = map[Sort]order{
	Queue:   {"qkey", "by_queue", false},
	Newest:  {"published", "by_time", true},
	Oldest:  {"published", "by_time", false},
	Soonest: {"due", "by_due", false},
}

func (o order) by() string {
	if o.desc {
		return o.key + " DESC, d.seq DESC"
	}
	return o.key + ", d.seq"
}

// past is the condition that a document comes after p, or before it.
func (o order) past(p position, before bool) string {
	op := ">"
	if o.desc != before {
		op = "<"
	}
	return fmt.Sprintf("(%s, d.seq) %s (%d, %d)", o.key, op, p.key, p.seq)
}

// snapshot is a read transaction with what a query needs beside it.
type snapshot struct {
	ctx   context.Context
	tx    *sql.Tx
	names *names
	plan  *plan
	match string // expression for the table of terms; empty without text
	cond  string // all other filters
}

// manyMatches is the number of found documents from which on a list is read in
// its order until it is full, instead of sorting what is found.
const manyMatches = 2000

// read runs f in a read transaction on q.
func (e *SQLite) read(ctx context.Context, q Query, f func(*snapshot) error) error {
	return e.readAll(ctx, []Query{q}, func(all []snapshot) error { return f(&all[0]) })
}

// readAll runs f on all queries in one read transaction.
func (e *SQLite) readAll(ctx context.Context, queries []Query, f func([]snapshot) error) error {
	all := make([]snapshot, len(queries))
	for i, q := range queries {
		p, err := q.check()
		if err != nil {
			return err
		}
		match, err := e.match(ctx, p.phrases)
		if err != nil {
			return err
		}
		all[i] = snapshot{ctx: ctx, plan: p, match: match}
	}
	return e.view(ctx, func(tx *sql.Tx, n *names) error {
		for i := range all {
			s := &all[i]
			s.tx, s.names = tx, n
			s.cond = s.where(s.plan)
		}
		return f(all)
	})
}

// view runs f in a read transaction.
func (e *SQLite) view(ctx context.Context, f func(*sql.Tx, *names) error) error {
	e.mu.RLock()
	ready, n := e.ready, e.names
	e.mu.RUnlock()
	if !ready {
		return errNotEnsured
	}
	tx, err := e.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return sqliteError(err)
	}
	defer tx.Rollback()
	return sqliteError(f(tx, n))
}

// where returns the filters of p as SQL. It holds numbers only.
func (s *snapshot) where(p *plan) string {
	var and []string
	if p.brands != nil {
		and = append(and, s.in(FieldBrand, p.brands, ""))
	}
	for _, f := range fields {
		if values := p.Where[f.name]; len(values) > 0 {
			and = append(and, s.in(f.name, values, ""))
		}
		if values := p.Except[f.name]; len(values) > 0 {
			and = append(and, s.in(f.name, values, "NOT "))
		}
	}
	for _, t := range []struct {
		column string
		Period
	}{{"published", p.Published}, {"seen", p.Seen}, {"due", p.Due}} {
		if !t.From.IsZero() {
			and = append(and, fmt.Sprintf("%s >= %d", t.column, t.From.UnixMilli()))
		}
		if !t.To.IsZero() {
			and = append(and, fmt.Sprintf("%s < %d", t.column, ceilMilli(t.To)))
		}
		if t.Period != (Period{}) {
			and = append(and, t.column+" > 0") // also so that SQLite sees that by_due serves
		}
	}
	switch {
	case slices.Contains(and, nothing):
		return nothing
	case len(and) == 0:
		return "1"
	}
	return strings.Join(and, " AND ")
}

// nothing is the condition that no document meets.
const nothing = "0"

// ceilMilli is the first millisecond not before t.
func ceilMilli(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

func (s *snapshot) in(f Field, values []string, not string) string {
	at := fieldAt(f)
	ids := make([]string, 0, len(values))
	add := func(id int64) { ids = append(ids, strconv.FormatInt(id, 10)) }
	for _, v := range values {
		switch fields[at].shape {
		case single, set:
			for _, id := range s.names.alike[f][sameValue(v)] {
				add(id)
			}
		case flag:
			add(bit(v == Yes))
		case small, number:
			n, _ := strconv.ParseInt(v, 10, 64)
			add(n)
		case hashed, hashedSet:
			add(hashKey(v))
		}
	}
	if fields[at].shape == hashedSet {
		return "seq " + not + "IN (SELECT seq FROM sent WHERE hash IN (" + strings.Join(ids, ",") + "))"
	}
	if len(ids) == 0 && not == "" {
		return nothing // SQLite would ask every row
	}
	cond := column(f) + " " + not + "IN (" + strings.Join(ids, ",") + ")"
	if len(ids) == 1 {
		op := " = "
		if not != "" {
			op = " <> "
		}
		cond = column(f) + op + ids[0]
	}
	if not == "" && slices.Contains(ownIndex, f) {
		if !slices.Contains(values, None) {
			cond += " AND " + column(f) + " > 0" // else SQLite does not see that its index serves
		}
	}
	return cond
}

// ownIndex are the fields that have an index of their own, of those documents
// that have the field.
var ownIndex = []Field{FieldStory, FieldAuthor, FieldParent, FieldNumber, FieldWorker}

// from returns the FROM and WHERE of the documents of the plan, led by its
// text if it has one, else read from index.
func (s *snapshot) from(cond, index string) (string, []any) {
	switch {
	case s.match != "":
		return " FROM fts CROSS JOIN doc d ON d.seq = fts.rowid WHERE fts MATCH ? AND " + cond, []any{s.match}
	case slices.ContainsFunc(ownIndex, func(f Field) bool { return strings.Contains(cond, column(f)+" > 0") }), strings.Contains(cond, "FROM sent"):
		return " FROM doc d WHERE " + cond, nil
	}
	return " FROM doc d INDEXED BY " + index + " WHERE " + cond, nil
}

// row is a line of a list before its document is read.
type row struct {
	position
	story, brand int64
}

// list yields the rows of the plan in order, up to limit.
func (s *snapshot) list(limit int, more string, yield func(row) bool) error {
	cond := s.cond
	if more != "" {
		cond += " AND " + more
	}
	if open := s.plan.Where[FieldOpen]; len(open) == 1 && s.plan.Sort == Queue {
		// Open documents are a range of the queue.
		cond += fmt.Sprintf(" AND qkey %s %d", map[string]string{Yes: "<", No: ">="}[open[0]], int64(queueClosed))
	}
	key, tail := "0", ""
	from, args := s.from(cond, orders[s.plan.Sort].index)
	if s.plan.Sort == Relevance {
		tail = fmt.Sprintf(" ORDER BY fts.rank, published DESC, d.seq DESC LIMIT %d", limit)
	} else {
		o := orders[s.plan.Sort]
		key, tail = o.key, fmt.Sprintf(" ORDER BY %s LIMIT %d", o.by(), limit)
		if s.match != "" {
			many, err := s.many()
			if err != nil {
				return err
			}
			if many {
				from = " FROM doc d INDEXED BY " + o.index + " WHERE +d.seq IN (SELECT rowid FROM fts WHERE fts MATCH ?) AND " + cond
			}
		}
	}
	story := "0, 0"
	if s.plan.Collapse {
		story = "f_story, f_brand"
	}
	rows, err := s.tx.QueryContext(s.ctx, "SELECT "+key+", d.seq, "+story+from+tail, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.key, &r.seq, &r.story, &r.brand); err != nil {
			return err
		}
		if !yield(r) {
			break
		}
	}
	return rows.Err()
}

// many tells whether the text of the plan matches many documents.
func (s *snapshot) many() (bool, error) {
	var n int
	err := s.tx.QueryRowContext(s.ctx, fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM fts WHERE fts MATCH ? LIMIT %d)", manyMatches), s.match).Scan(&n)
	return n == manyMatches, err
}

// page returns up to n rows after the cursor. With Collapse it drops those
// whose story has shown up before, on this page or an earlier one.
func (s *snapshot) page(n int) ([]row, error) {
	p := s.plan
	more, limit, skip := "", n, 0
	if p.after != nil {
		more = orders[p.Sort].past(*p.after, false)
	}
	if p.Sort == Relevance {
		limit, skip = min(p.offset+n, MaxTotal), p.offset
	}
	if p.Collapse {
		limit = math.MaxInt32
	}
	var rows []row
	var failed error
	type story struct{ brand, story int64 }
	shown := map[story]bool{}
	err := s.list(limit, more, func(r row) bool {
		if key := (story{r.brand, r.story}); r.story != 0 {
			if shown[key] {
				return true
			}
			shown[key] = true
			var before bool
			if before, failed = s.shownBefore(r); before || failed != nil {
				return failed == nil
			}
		}
		if skip > 0 {
			skip--
			return true
		}
		rows = append(rows, r)
		return len(rows) < n
	})
	if failed != nil {
		return nil, failed
	}
	return rows, err
}

// shownBefore tells whether the story of r has a document on an earlier page.
func (s *snapshot) shownBefore(r row) (found bool, err error) {
	p := s.plan
	if p.after == nil {
		return false, nil
	}
	cond := fmt.Sprintf("%s AND f_story = %d AND f_brand = %d AND (%s OR (%s, d.seq) = (%d, %d))", s.cond, r.story, r.brand,
		orders[p.Sort].past(*p.after, true), orders[p.Sort].key, p.after.key, p.after.seq)
	query, args := "SELECT EXISTS (SELECT 1 FROM doc d WHERE "+cond, []any(nil)
	if s.match != "" {
		query, args = query+" AND d.seq IN (SELECT rowid FROM fts WHERE fts MATCH ?)", []any{s.match}
	}
	err = s.tx.QueryRowContext(s.ctx, query+")", args...).Scan(&found)
	return found, err
}

// Search implements [Engine].
func (e *SQLite) Search(ctx context.Context, q Query) (Result, error) {
	start := time.Now()
	var res Result
	err := e.read(ctx, q, func(s *snapshot) error {
		p := s.plan
		rows, err := s.page(p.Limit + 1)
		if err != nil {
			return err
		}
		if len(rows) > p.Limit {
			rows = rows[:p.Limit]
			last := rows[p.Limit-1]
			if p.Sort != Relevance {
				res.Next = p.cursor(last.key, last.seq)
			} else if at := p.offset + p.Limit; at < MaxTotal {
				res.Next = p.cursor(int64(at), 0)
			}
		}
		total, err := s.total(len(rows), res.Next != "")
		if err != nil {
			return err
		}
		res.Total, res.TotalCapped = int(min(total, MaxTotal)), total > MaxTotal
		seqs := make([]int64, len(rows))
		for i, r := range rows {
			seqs[i] = r.seq
		}
		docs, err := bodies(ctx, s.tx, seqs)
		m := newMarker(p.phrases)
		for _, d := range docs {
			res.Hits = append(res.Hits, Hit{Document: d, Marks: m.marks(d.Content())})
		}
		return err
	})
	if err != nil {
		return Result{}, err
	}
	res.Took = time.Since(start)
	return res, nil
}

// bodies returns the documents with the given numbers, in that order.
func bodies(ctx context.Context, tx *sql.Tx, seqs []int64) ([]Document, error) {
	if len(seqs) == 0 {
		return nil, nil
	}
	list := make([]byte, 0, 10*len(seqs))
	at := make(map[int64]int, len(seqs))
	for i, seq := range seqs {
		if i > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendInt(list, seq, 10)
		at[seq] = i
	}
	rows, err := tx.QueryContext(ctx, "SELECT seq, doc FROM body WHERE seq IN ("+string(list)+")")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	docs := make([]Document, len(seqs))
	for rows.Next() {
		var seq int64
		var blob sql.RawBytes
		if err := rows.Scan(&seq, &blob); err != nil {
			return nil, err
		}
		if docs[at[seq]], err = decode(blob); err != nil {
			return nil, err
		}
	}
	return docs, rows.Err()
}

// numbers reads rows of one number each.
func numbers(rows *sql.Rows) ([]int64, error) {
	defer rows.Close()
	var out []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, rows.Err()
}

// getAtOnce bounds the documents that one statement looks for.
const getAtOnce = 500

// Get implements [Engine].
func (e *SQLite) Get(ctx context.Context, v Viewer, ids ...mention.ID) ([]Document, error) {
	p, err := Query{Viewer: v}.check()
	if err != nil {
		return nil, err
	}
	found := make(map[mention.ID]Document, len(ids))
	err = e.view(ctx, func(tx *sql.Tx, n *names) error {
		s := &snapshot{names: n}
		cond := s.where(p)
		for part := range slices.Chunk(ids, getAtOnce) {
			keys := make([]any, 0, len(part))
			for _, id := range part {
				if key, err := packID(id); err == nil { // else it was never stored
					keys = append(keys, key)
				}
			}
			marks := strings.TrimPrefix(strings.Repeat(",?", len(keys)), ",")
			rows, err := tx.QueryContext(ctx, "SELECT seq FROM doc WHERE id IN ("+marks+") AND "+cond, keys...)
			if err != nil {
				return err
			}
			seqs, err := numbers(rows)
			if err != nil {
				return err
			}
			docs, err := bodies(ctx, tx, seqs)
			if err != nil {
				return err
			}
			for _, d := range docs {
				found[d.ID] = d
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	docs := make([]Document, 0, len(found))
	for _, id := range ids {
		if d, ok := found[id]; ok {
			docs = append(docs, d)
		}
	}
	return docs, nil
}

// Due implements [Engine].
func (e *SQLite) Due(ctx context.Context, now time.Time, limit int) ([]mention.ID, error) {
	var ids []mention.ID
	err := e.view(ctx, func(tx *sql.Tx, _ *names) error {
		rows, err := tx.QueryContext(ctx, "SELECT seq FROM doc WHERE next > 0 AND next <= ? ORDER BY next, id LIMIT ?", now.UnixMilli(), limit)
		if err != nil {
			return err
		}
		seqs, err := numbers(rows)
		if err != nil {
			return err
		}
		docs, err := bodies(ctx, tx, seqs)
		for i := range docs {
			ids = append(ids, docs[i].ID)
		}
		return err
	})
	return ids, err
}
