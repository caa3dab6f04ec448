package search

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// counted tells whether the table of counts can answer how many documents p
// has.
func (s *snapshot) counted(p *plan) bool {
	if len(p.phrases) > 0 || p.Published != (Period{}) || p.Seen != (Period{}) || p.Due != (Period{}) {
		return false
	}
	for _, f := range fields {
		if !f.counted && len(p.Where[f.name])+len(p.Except[f.name]) > 0 {
			return false
		}
	}
	return true
}

// count returns how many documents the plan has.
func (s *snapshot) count() (n int64, err error) {
	if s.cond == nothing {
		return 0, nil
	}
	if s.counted(s.plan) {
		err = s.tx.QueryRowContext(s.ctx, "SELECT coalesce(sum(n), 0) FROM tally WHERE "+s.cond).Scan(&n)
		return n, err
	}
	from, args := s.from(s.cond, "by_queue")
	err = s.tx.QueryRowContext(s.ctx, "SELECT count(*)"+from, args...).Scan(&n)
	return n, err
}

// total returns how many documents the plan has, up to one above MaxTotal,
// where a page of it has given rows and perhaps has a next.
func (s *snapshot) total(rows int, next bool) (n int64, err error) {
	p := s.plan
	switch {
	case p.Uncounted:
		return 0, nil
	case !next && p.Cursor == "" && !p.Collapse:
		return int64(rows), nil
	case s.counted(p) && (p.brands != nil || len(p.Where[FieldBrand]) > 0):
		return s.count() // the table of counts begins with the brand
	}
	from, args := s.from(s.cond, "by_queue")
	err = s.tx.QueryRowContext(s.ctx, fmt.Sprintf("SELECT count(*) FROM (SELECT 1%s LIMIT %d)", from, MaxTotal+1), args...).Scan(&n)
	return n, err
}

// Counts implements [Engine]. Queries that differ by their author alone are one
// statement: a batch of new mentions asks of each of its authors.
func (e *SQLite) Counts(ctx context.Context, queries ...Query) ([]int64, error) {
	counts := make([]int64, len(queries))
	err := e.readAll(ctx, queries, func(all []snapshot) (err error) {
		authors := map[string]map[int64][]int{} // by other conditions and author, which queries
		for i := range all {
			rest, author, ok := all[i].oneAuthor()
			switch {
			case !ok:
				if counts[i], err = all[i].count(); err != nil {
					return err
				}
			case authors[rest] == nil:
				authors[rest] = map[int64][]int{author: {i}}
			default:
				authors[rest][author] = append(authors[rest][author], i)
			}
		}
		for rest, by := range authors {
			if err := all[0].countAuthors(rest, by, counts); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return counts, nil
}

// oneAuthor returns the author that the plan asks for, and its other conditions,
// if it has one and no text.
func (s *snapshot) oneAuthor() (rest string, author int64, ok bool) {
	values := s.plan.Where[FieldAuthor]
	if len(values) != 1 || s.match != "" {
		return "", 0, false
	}
	ids := s.names.alike[FieldAuthor][sameValue(values[0])]
	if len(ids) != 1 || ids[0] <= 0 {
		return "", 0, false
	}
	return s.where(s.plan.without(FieldAuthor)), ids[0], true
}

// countAuthors adds to counts how many documents that meet cond each author has.
func (s *snapshot) countAuthors(cond string, by map[int64][]int, counts []int64) error {
	ids := make([]string, 0, len(by))
	for id := range by {
		ids = append(ids, strconv.FormatInt(id, 10))
	}
	rows, err := s.tx.QueryContext(s.ctx, "SELECT f_author, count(*) FROM doc WHERE f_author > 0 AND f_author IN ("+strings.Join(ids, ",")+") AND "+cond+" GROUP BY 1")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, n int64
		if err := rows.Scan(&id, &n); err != nil {
			return err
		}
		for _, i := range by[id] {
			counts[i] = n
		}
	}
	return rows.Err()
}

// Facets implements [Engine].
func (e *SQLite) Facets(ctx context.Context, q Query, list ...Field) (Facets, error) {
	if err := checkFacets(list); err != nil {
		return nil, err
	}
	out := make(Facets, len(list))
	err := e.read(ctx, q, func(s *snapshot) error {
		for _, f := range list {
			counts, err := s.facet(f)
			if err != nil {
				return err
			}
			out[f] = rank(f, counts)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// facet counts the values of f.
func (s *snapshot) facet(f Field) (map[string]int64, error) {
	p := s.plan.without(f)
	at := fieldAt(f)
	var from, n string
	var args []any
	if s.counted(p) && fields[at].counted {
		from, n = " FROM tally WHERE "+s.where(p), "sum(n)"
	} else {
		cond := s.where(p)
		if open := p.Where[FieldOpen]; len(open) == 1 && open[0] == Yes {
			cond += fmt.Sprintf(" AND qkey < %d", int64(queueClosed)) // a range of the index, of what is mostly closed
		}
		from, args = s.from(cond, "by_queue")
		n = "count(*)"
	}
	rows, err := s.tx.QueryContext(s.ctx, "SELECT "+column(f)+", "+n+from+" GROUP BY 1", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	counts := map[string]int64{}
	for rows.Next() {
		var id, n int64
		if err := rows.Scan(&id, &n); err != nil {
			return nil, err
		}
		switch fields[at].shape {
		case single:
			counts[s.names.value[id]] += n
		case set:
			for v := range strings.SplitSeq(s.names.value[id], setSep) {
				counts[v] += n
			}
		case flag:
			counts[map[int64]string{0: No, 1: Yes}[id]] += n
		default:
			counts[strconv.FormatInt(id, 10)] += n
		}
	}
	return counts, rows.Err()
}

// Stories implements [Engine].
func (e *SQLite) Stories(ctx context.Context, brand string, since time.Time, keys ...string) (map[string]Story, error) {
	stories := map[string]Story{}
	err := e.view(ctx, func(tx *sql.Tx, n *names) error {
		id, ok := n.id[FieldBrand][brand]
		if !ok || len(keys) == 0 {
			return nil
		}
		of := make(map[int64]string, len(keys))
		for _, key := range keys {
			if key != "" {
				of[hashKey(key)] = key
			}
		}
		for part := range slices.Chunk(slices.Sorted(maps.Keys(of)), getAtOnce) {
			if err := readStories(ctx, tx, id, since, part, func(story int64, s Story) { stories[of[story]] = s }); err != nil {
				return err
			}
		}
		return nil
	})
	return stories, err
}

// readStories counts the documents of a brand under each of the numbers of stories.
func readStories(ctx context.Context, tx *sql.Tx, brand int64, since time.Time, of []int64, each func(int64, Story)) error {
	list := make([]string, len(of))
	for i, story := range of {
		list[i] = strconv.FormatInt(story, 10)
	}
	rows, err := tx.QueryContext(ctx, `SELECT f_story, count(*), sum(published >= ?), min(published) FROM doc
		WHERE f_story IN (`+strings.Join(list, ",")+`) AND f_story > 0 AND f_brand = ? GROUP BY f_story`, since.UnixMilli(), brand)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var story, first int64
		var s Story
		if err := rows.Scan(&story, &s.Count, &s.Recent, &first); err != nil {
			return err
		}
		s.First = fromMilli(first)
		each(story, s)
	}
	return rows.Err()
}
