package search

import (
	"context"
	"strings"
)

// match returns the expression that finds the phrases in the table of terms:
// all of them, each in its sequence, and for a word also its likely spellings.
func (e *SQLite) match(ctx context.Context, phrases []phrase) (string, error) {
	var b strings.Builder
	for i := range phrases {
		p := &phrases[i]
		if i > 0 {
			b.WriteString(" AND ")
		}
		var seq []string
		open := p.terms(func(term string) { seq = append(seq, term) })
		b.WriteString(`("` + strings.Join(seq, " ") + `"`)
		if open {
			b.WriteString("*")
		}
		if !p.exact && guessable(seq[0]) && len(seq[0]) >= oneError {
			if err := e.learnWords(ctx); err != nil {
				return "", err
			}
			for _, g := range e.words.guesses(seq[0], p.prefix) {
				b.WriteString(` OR "` + g + `"`)
			}
		}
		b.WriteString(")")
	}
	return b.String(), nil
}

// learnWords reads the list of words from the index if it is not known yet.
func (e *SQLite) learnWords(ctx context.Context) error {
	return e.words.load(func(known func(string)) error {
		rows, err := e.reader.QueryContext(ctx, `SELECT term FROM vocabulary WHERE term >= 'a' AND term < '{'`)
		if err != nil {
			return sqliteError(err)
		}
		defer rows.Close()
		for rows.Next() {
			var w string
			if err := rows.Scan(&w); err != nil {
				return sqliteError(err)
			}
			known(w)
		}
		return sqliteError(rows.Err())
	})
}
