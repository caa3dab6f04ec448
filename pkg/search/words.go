package search

import (
	"slices"
	"strings"
	"sync"
)

// wordList knows the Latin words of an index, to find those that a misspelt
// word may mean. It lives in memory, is read from the index when first needed,
// and learns new words as they are written; a word whose last document is
// gone stays until the list is forgotten, and then finds nothing.
type wordList struct {
	loading sync.Mutex // held while the list is read
	mu      sync.RWMutex
	known   map[string]struct{} // nil while nobody has asked
	whole   bool                // known holds what was written before it was asked for
}

// Words of these lengths can be misspelt: in five letters one error is
// forgiven, in nine two, so candidates have at least four.
const (
	oneError  = 5
	twoErrors = 9
	minWord   = oneError - 1
	maxWord   = 32
	maxGuess  = 50 // words that a misspelt one is tried as
)

func (l *wordList) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known, l.whole = nil, false
}

// guessable tells whether w is a word of plain letters that the list keeps.
func guessable(w string) bool {
	if len(w) < minWord || len(w) > maxWord {
		return false
	}
	for i := range len(w) {
		if w[i] < 'a' || w[i] > 'z' {
			return false
		}
	}
	return true
}

func (l *wordList) learn(w string) {
	if !guessable(w) {
		return
	}
	l.mu.RLock()
	_, known := l.known[w]
	skip := known || l.known == nil
	l.mu.RUnlock()
	if skip {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known != nil {
		l.known[strings.Clone(w)] = struct{}{}
	}
}

// load fills the list from the index unless that has been done. Words written
// meanwhile are learnt as well.
func (l *wordList) load(read func(known func(string)) error) error {
	l.mu.RLock()
	whole := l.whole
	l.mu.RUnlock()
	if whole {
		return nil
	}
	l.loading.Lock()
	defer l.loading.Unlock()
	l.mu.Lock()
	if whole = l.whole; !whole && l.known == nil {
		l.known = map[string]struct{}{}
	}
	l.mu.Unlock()
	if whole {
		return nil
	}
	if err := read(l.learn); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.whole = l.known != nil
	return nil
}

// guesses returns words of the index that w may be a misspelling of, the
// nearest first, without w itself. With prefix, w may be the misspelt beginning
// of a word.
func (l *wordList) guesses(w string, prefix bool) []string {
	limit := forgiven(w)
	if limit == 0 {
		return nil
	}
	type guess struct {
		word string
		off  int
	}
	var found []guess
	var d distance
	l.mu.RLock()
	for k := range l.known {
		if off := d.between(w, k, limit, prefix); off > 0 && off <= limit {
			found = append(found, guess{k, off})
		}
	}
	l.mu.RUnlock()
	slices.SortFunc(found, func(a, b guess) int {
		if a.off != b.off {
			return a.off - b.off
		}
		return strings.Compare(a.word, b.word)
	})
	out := make([]string, 0, min(len(found), maxGuess))
	for _, g := range found[:min(len(found), maxGuess)] {
		out = append(out, g.word)
	}
	return out
}

// forgiven is how many errors may be in w.
func forgiven(w string) int {
	switch {
	case !guessable(w), len(w) < oneError:
		return 0
	case len(w) < twoErrors:
		return 1
	}
	return 2
}

// misspelt tells whether w may be a misspelling of k, or with prefix of the
// beginning of k.
func misspelt(w, k string, prefix bool) bool {
	limit := forgiven(w)
	if limit == 0 || !guessable(k) {
		return false
	}
	var d distance
	return d.between(w, k, limit, prefix) <= limit
}

// distance computes edit distances in rows it reuses.
type distance struct{ rows [3][maxWord + 1]int }

// between returns how many letters must be inserted, dropped, changed or
// swapped with their neighbour to make w of k, or of some beginning of k, where
// an error in the first letter counts twice. Above limit the result is only
// known to be above limit.
func (d *distance) between(w, k string, limit int, prefix bool) int {
	if len(k) < len(w)-limit || !prefix && len(k) > len(w)+limit || limit < 2 && k[0] != w[0] {
		return limit + 1
	}
	before, above, row := &d.rows[0], &d.rows[1], &d.rows[2]
	cost := func(i, j int) int { // of an error at letter i of w, j of k
		if i <= 1 && j <= 1 {
			return 2
		}
		return 1
	}
	for j := range len(k) + 1 {
		above[j] = 0
		if j > 0 {
			above[j] = j + 1 // the first letter of w is not k's
		}
	}
	for i := 1; i <= len(w); i++ {
		row[0] = i + 1
		best := row[0]
		for j := 1; j <= len(k); j++ {
			v := above[j-1]
			if w[i-1] != k[j-1] {
				v += cost(i, j)
			}
			v = min(v, above[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && w[i-1] == k[j-2] && w[i-2] == k[j-1] {
				v = min(v, before[j-2]+cost(i-1, j-1))
			}
			row[j] = v
			best = min(best, v)
		}
		if best > limit {
			return limit + 1
		}
		before, above, row = above, row, before
	}
	if !prefix {
		return above[len(k)]
	}
	return slices.Min(above[:len(k)+1])
}
