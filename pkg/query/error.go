package query

import (
	"fmt"
	"strings"
)

// Error tells what is wrong with a query, where, and what to do about it.
type Error struct {
	Offset  int    // where, in Unicode code points from the beginning, from 0
	Line    int    // the line of Offset, from 1
	Code    string // stable name of the problem, such as "unclosed-quote", for translation
	Near    string // the part of the query concerned; may be empty
	Message string
	Hint    string // what to do; may be empty
}

// Error returns place, message and hint on one line.
func (e *Error) Error() string {
	s := fmt.Sprintf("query: at %d: %s", e.Offset+1, e.Message)
	if e.Line > 1 {
		s = fmt.Sprintf("query: line %d, at %d: %s", e.Line, e.Offset+1, e.Message)
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// meant returns which of the known names somebody meant by name, or "".
func meant(name string, known []string, aliases map[string]string) string {
	if to, ok := aliases[name]; ok {
		return to
	}
	best, least := "", 3
	if len(name) <= 3 {
		least = 2
	}
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// clip shortens what an error repeats.
func clip(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 40 {
		return string(r[:39]) + "…"
	}
	return s
}
