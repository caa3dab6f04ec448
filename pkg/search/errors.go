package search

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrNoViewer refuses a query that does not say who asks.
	ErrNoViewer = errors.New("search: the query has no viewer")
	// ErrUnavailable is an engine that cannot work now and may work later.
	ErrUnavailable = errors.New("search: the index is unavailable")
	// ErrTimeout is a query that took longer than the engine allows.
	ErrTimeout = errors.New("search: the query took too long")
)

// QueryError is a query that can never be answered.
type QueryError struct {
	Part   string // what of the query: "text", "sort", a field
	Reason string
	// Format and Args are what Reason was made of, as for [fmt.Sprintf], so that it
	// can be said in another language.
	Format string
	Args   []any
}

func bad(part, format string, args ...any) error {
	return &QueryError{part, fmt.Sprintf(format, args...), format, args}
}

func (e *QueryError) Error() string {
	return fmt.Sprintf("search: bad query: %s: %s", e.Part, e.Reason)
}

// UnavailableError is an [ErrUnavailable] with its cause: a server that is
// away, a full disk, a read-only file.
type UnavailableError struct {
	Engine string
	Reason string        // what is wrong and, where known, how to mend it
	After  time.Duration // when to try again; zero if the engine did not say
	Err    error
}

func (e *UnavailableError) Error() string {
	msg := "search: " + e.Engine + ": " + e.Reason
	if e.Err != nil {
		msg += ": " + e.Err.Error()
	}
	return msg
}

func (e *UnavailableError) Unwrap() error        { return e.Err }
func (e *UnavailableError) Is(target error) bool { return target == ErrUnavailable }

// RetryAfter tells the bus when to try again.
func (e *UnavailableError) RetryAfter() time.Duration { return e.After }

// RejectedError names the documents of a batch that the engine will never
// take. The caller puts them aside and writes the rest again.
type RejectedError struct {
	Engine string
	IDs    []mention.ID
	Reason string
}

func (e *RejectedError) Error() string {
	ids := make([]string, 0, 5)
	for _, id := range e.IDs[:min(len(e.IDs), 4)] {
		ids = append(ids, string(id))
	}
	if n := len(e.IDs) - len(ids); n > 0 {
		ids = append(ids, fmt.Sprintf("and %d more", n))
	}
	return fmt.Sprintf("search: %s refuses %s: %s", e.Engine, strings.Join(ids, ", "), e.Reason)
}

// Permanent tells the bus that trying again is useless.
func (e *RejectedError) Permanent() bool { return true }
