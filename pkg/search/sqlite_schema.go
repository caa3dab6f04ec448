package search

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// The tables:
//
//	doc       a row of small numbers per document: what is filtered and sorted by
//	body      the document itself
//	fts       its terms, without their text
//	sent      the replies of documents that have some
//	tally     how many documents have which combination of counted fields,
//	          kept by the writer batch by batch: a trigger costs more than the row
//	name      numbers for strings that occur often: brands, states, people, tags
//	position  how far the streams are contained
//
// doc has its columns again in two indexes, in the orders of the queue and of
// time, so that a list is found in one of them alone, in order: a filter that
// many documents pass fills a page soon, and for one that few pass the whole
// index is read, which takes 0.1 µs a document. All columns of doc but
// the id are numbers; a set such as the tags of a document is one name. That of
// None is negative, so that an index can leave out what has no value.

// column returns the column of doc that holds f.
func column(f Field) string { return "f_" + string(f) }

// columns returns the columns of fields, all or the counted ones, each with
// prefix before it.
func columns(prefix string, countedOnly bool) string {
	var cols []string
	for _, f := range fields {
		if f.shape != hashedSet && (f.counted || !countedOnly) {
			cols = append(cols, prefix+column(f.name))
		}
	}
	return strings.Join(cols, ", ")
}

func schema() []string {
	covered := columns("", false)
	covered = covered[:strings.Index(covered, ", f_number")] // what comes after has an index of its own
	tallied := columns("", true)
	return []string{
		`CREATE TABLE layout (print TEXT NOT NULL)`,
		`CREATE TABLE position (stream TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID`,
		`CREATE TABLE name (id INTEGER PRIMARY KEY, field TEXT NOT NULL, value TEXT NOT NULL)`,
		`CREATE TABLE doc (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, qkey INTEGER NOT NULL,
			published INTEGER NOT NULL, seen INTEGER NOT NULL, due INTEGER NOT NULL, next INTEGER NOT NULL,
			outcome INTEGER NOT NULL, until INTEGER NOT NULL, replied INTEGER NOT NULL, resolved INTEGER NOT NULL, ` + columns("", false) + `)`,
		`CREATE TABLE body (seq INTEGER PRIMARY KEY, doc BLOB NOT NULL)`,
		`CREATE VIRTUAL TABLE fts USING fts5(content, author, content='', tokenize="ascii tokenchars '_'")`,
		// Deleted terms leave the index at once instead of when it is merged.
		`INSERT INTO fts(fts, rank) VALUES ('secure-delete', 1)`,
		`CREATE VIRTUAL TABLE vocabulary USING fts5vocab(fts, row)`,
		`CREATE INDEX by_queue ON doc (qkey, seen, published, ` + covered + `)`,
		`CREATE INDEX by_time ON doc (published, seen, ` + covered + `)`,
		`CREATE INDEX by_next ON doc (next, id) WHERE next > 0`,
		`CREATE INDEX by_story ON doc (f_story, f_brand, published) WHERE f_story > 0`,
		`CREATE INDEX by_author ON doc (f_author, published) WHERE f_author > 0`,
		`CREATE INDEX by_parent ON doc (f_parent) WHERE f_parent > 0`,
		`CREATE INDEX by_due ON doc (due, f_brand, f_open) WHERE due > 0`,
		`CREATE INDEX by_worker ON doc (f_worker, seen, f_risk, f_brand) WHERE f_worker > 0`,
		`CREATE INDEX by_number ON doc (f_number) WHERE f_number > 0`,
		`CREATE TABLE sent (hash INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (hash, seq)) WITHOUT ROWID`,
		`CREATE TABLE tally (` + tallied + `, n INTEGER NOT NULL, PRIMARY KEY (` + tallied + `)) WITHOUT ROWID`,
	}
}

func drops() []string {
	var out []string
	for _, t := range []string{"layout", "position", "name", "doc", "body", "vocabulary", "fts", "sent", "tally"} {
		out = append(out, "DROP TABLE "+t)
	}
	return out
}

func sqliteLayout() string { return layout("sqlite", schema()...) }

// names gives numbers to strings, by field. It is not changed once published.
type names struct {
	id    map[Field]map[string]int64   // of a value as it is stored
	alike map[Field]map[string][]int64 // of the values, or sets, that have a member; by sameValue
	value map[int64]string
	last  int64
}

// sameValue gives values that filters do not tell apart one form. Meilisearch
// compares so.
func sameValue(s string) string { return strings.ToLower(norm.NFKD.String(strings.TrimSpace(s))) }

func readNames(ctx context.Context, db *sql.DB) (*names, error) {
	n := &names{id: map[Field]map[string]int64{}, alike: map[Field]map[string][]int64{}, value: map[int64]string{}}
	rows, err := db.QueryContext(ctx, `SELECT id, field, value FROM name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var field Field
		var value string
		if err := rows.Scan(&id, &field, &value); err != nil {
			return nil, err
		}
		n.add(id, field, value)
	}
	return n, rows.Err()
}

func (n *names) add(id int64, f Field, value string) {
	if n.id[f] == nil {
		n.id[f], n.alike[f] = map[string]int64{}, map[string][]int64{}
	}
	n.id[f][value] = id
	n.value[id] = value
	n.last = max(n.last, id, -id)
	for member := range strings.SplitSeq(value, setSep) {
		key := sameValue(member)
		n.alike[f][key] = append(slices.Clip(n.alike[f][key]), id)
	}
}

func (n *names) clone() *names {
	o := &names{id: maps.Clone(n.id), alike: maps.Clone(n.alike), value: maps.Clone(n.value), last: n.last}
	for f := range o.id {
		o.id[f], o.alike[f] = maps.Clone(o.id[f]), maps.Clone(o.alike[f])
	}
	return o
}
