package bus

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// A handler returns nil when a message is done, [Permanent] when it can never
// be, [After] when it wants it again at a given time, and any other error when
// it wants it again with growing delays.

type permanentError struct{ error }

func (permanentError) Permanent() bool { return true }
func (e permanentError) Unwrap() error { return e.error }

// Permanent marks err as one that no retry mends: the message goes to DEAD.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanentError{err}
}

type afterError struct {
	error
	d time.Duration
}

func (e afterError) RetryAfter() time.Duration { return e.d }
func (e afterError) Unwrap() error             { return e.error }

// After marks err as one to be tried again in d. Such a delivery doesn't count
// towards giving up.
func After(err error, d time.Duration) error {
	if err == nil {
		err = fmt.Errorf("again in %s", d)
	}
	return afterError{err, d}
}

// IsPermanent tells whether no retry mends err. Like RetryAfter it finds the marks
// of this package and those of other packages that carry the same methods, such
// as outbound's.
func IsPermanent(err error) bool {
	p, ok := errors.AsType[interface {
		error
		Permanent() bool
	}](err)
	return ok && p.Permanent()
}

// RetryAfter tells how long the error asks to wait, if it does.
func RetryAfter(err error) (time.Duration, bool) {
	r, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err)
	if !ok || r.RetryAfter() <= 0 {
		return 0, false
	}
	return r.RetryAfter(), true
}

// backoff is the wait before delivery n+1, when delivery n (from 1) failed.
func backoff(n uint64) time.Duration {
	d := 250 * time.Millisecond
	for range min(n-1, 10) {
		d *= 2
	}
	return min(d, 2*time.Minute)
}

func redactURL(s string) string {
	parts := strings.Split(s, ",")
	for i, p := range parts {
		if u, err := url.Parse(p); err == nil {
			parts[i] = u.Redacted()
		}
	}
	return strings.Join(parts, ",")
}
