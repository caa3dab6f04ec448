package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxRefusal = 4 << 10        // bytes kept of the body of a refusal
	maxPause   = 24 * time.Hour // a longer wish is cut to this
)

// ErrTooLarge is in the error of an answer larger than [Options.MaxBody].
var ErrTooLarge = errors.New("answer too large")

// Error is a request that failed, judged:
//
//	a pause asked for (429, 503 …)   RetryAfter() > 0
//	408, 425, 429, 5xx, network      again: Permanent() is false
//	other 4xx, refused address, …    never: Permanent() is true
//
// Its text has the address without user, query and what looks like a token in
// the path.
type Error struct {
	Method string
	URL    string      // see [Redact]
	Status int         // 0 when no answer came
	Header http.Header // Retry-After and rate-limit headers of the answer
	// Body is the beginning of a refusal, up to 4 KiB, for connectors that
	// read reasons from it. Hostile; not part of the text.
	Body []byte
	// Reached tells that a connection to the platform was there, so the
	// request may have taken effect. When it is false, it has not.
	Reached bool

	after     time.Duration
	permanent bool
	err       error
}

func (e *Error) Error() string {
	s := e.Method + " " + e.URL + ": "
	switch {
	case e.err != nil:
		s += e.err.Error()
	case http.StatusText(e.Status) != "":
		s += strconv.Itoa(e.Status) + " " + http.StatusText(e.Status)
	default:
		s += "status " + strconv.Itoa(e.Status)
	}
	if e.after > 0 {
		s += ", again in " + e.after.Round(time.Second).String()
	}
	return s
}

func (e *Error) Unwrap() error { return e.err }

// RetryAfter is how long to wait before trying again; 0 when the platform did
// not say.
func (e *Error) RetryAfter() time.Duration { return e.after }

// Permanent tells that trying again is pointless.
func (e *Error) Permanent() bool { return e.permanent }

// pauseError keeps a request from a host that asked for a pause.
type pauseError struct{ left time.Duration }

func (e pauseError) Error() string { return "the host asked for a pause" }

// errTimeout is the cause of our own time limits.
type errTimeout struct {
	what string
	d    time.Duration
}

func (e errTimeout) Error() string { return e.what + " for " + e.d.String() }
func (e errTimeout) Timeout() bool { return true }

// failure judges a request that got no answer, or not all of it. ctx is the
// caller's, call the one with our limits.
func (c *Client) failure(ctx, call context.Context, req *http.Request, err error, reached bool) error {
	e := &Error{Method: req.Method, URL: Redact(req.URL), Reached: reached, err: err}
	if u, ok := errors.AsType[*url.Error](err); ok {
		e.err = u.Err // without the address, which may hold a secret
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s %s: %w", e.Method, e.URL, ctx.Err())
	}
	if cause, ok := errors.AsType[errTimeout](context.Cause(call)); ok {
		e.err = cause
		return e
	}
	if p, ok := errors.AsType[pauseError](err); ok {
		e.after = p.left
		return e
	}
	e.permanent = hopeless(err)
	return e
}

// hopeless tells of errors that no repetition mends.
func hopeless(err error) bool {
	_, ours := errors.AsType[errRequest](err)
	return ours || is[errRedirect](err) || errors.Is(err, ErrPrivate)
}

// errRequest is a mistake in the request itself.
type errRequest string

func (e errRequest) Error() string { return string(e) }

// errRedirect is a redirect that is not followed.
type errRedirect string

func (e errRedirect) Error() string { return string(e) }

// refusal judges an answer that is not a success.
func refusal(req *http.Request, resp *http.Response, body []byte) *Error {
	e := &Error{Method: req.Method, URL: Redact(req.URL), Status: resp.StatusCode, Header: limits(resp.Header), Body: body, Reached: true}
	switch s := resp.StatusCode; {
	case s == http.StatusTooManyRequests || s == http.StatusServiceUnavailable:
		e.after = pause(resp.Header, time.Now())
	case s >= 500, s == http.StatusRequestTimeout, s == http.StatusTooEarly:
	case s/100 == 3:
		e.permanent, e.err = true, fmt.Errorf("redirected (%d)", s)
	default:
		e.permanent = true
	}
	return e
}

// limits keeps the headers that speak of limits, and where a redirect that was
// not followed leads.
func limits(h http.Header) http.Header {
	out := maps.Clone(h)
	maps.DeleteFunc(out, func(k string, _ []string) bool {
		k = strings.ToLower(k)
		return k != "location" && k != "retry-after" && !strings.Contains(k, "ratelimit") && !strings.Contains(k, "rate-limit")
	})
	return out
}

// pause reads Retry-After, seconds or date, else the reset of a rate limit.
func pause(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	d := seconds(v)
	if t, err := http.ParseTime(v); err == nil {
		d = t.Sub(now)
	}
	if v == "" {
		if q, ok := QuotaOf(h, now); ok && !q.Reset.IsZero() {
			d = q.Reset.Sub(now)
		}
	}
	return min(max(d, 0), maxPause)
}

func seconds(v string) time.Duration {
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || f < 0 || math.IsNaN(f) {
		return 0
	}
	return time.Duration(min(f, maxPause.Seconds()) * float64(time.Second))
}

// Quota is what a platform says of its rate limit.
type Quota struct {
	Limit, Remaining int
	Reset            time.Time // zero when not told
}

// QuotaOf reads the rate-limit headers in use: X-RateLimit-*, RateLimit-* and
// X-Rate-Limit-*, with a reset as a time (Mastodon), as epoch seconds (X,
// Bluesky) or as seconds left (Reddit), and App Store Connect's X-Rate-Limit,
// which counts a rolling hour. ok is false without them.
func QuotaOf(h http.Header, now time.Time) (q Quota, ok bool) {
	if v := h.Get("X-Rate-Limit"); v != "" {
		for part := range strings.SplitSeq(v, ";") {
			name, n, _ := strings.Cut(part, ":")
			switch v, err := strconv.Atoi(strings.TrimSpace(n)); {
			case err != nil:
			case strings.TrimSpace(name) == "user-hour-lim":
				q.Limit = v
			case strings.TrimSpace(name) == "user-hour-rem":
				q.Remaining, ok = v, true
			}
		}
		if ok {
			return q, true
		}
	}
	for _, p := range []string{"X-Ratelimit-", "Ratelimit-", "X-Rate-Limit-"} {
		rem, err := strconv.ParseFloat(h.Get(p+"Remaining"), 64)
		if err != nil {
			continue
		}
		q.Remaining = int(rem)
		q.Limit, _ = strconv.Atoi(h.Get(p + "Limit"))
		v := h.Get(p + "Reset")
		if t, err := time.Parse(time.RFC3339, v); err == nil {
			q.Reset = t
		} else if n, err := strconv.ParseFloat(v, 64); err == nil && n >= 0 {
			if n > 1e9 && n < 1e11 {
				q.Reset = time.Unix(int64(n), 0)
			} else {
				q.Reset = now.Add(seconds(v))
			}
		}
		return q, true
	}
	return Quota{}, false
}

// Redact returns u for logs and errors: without user and query, and with long
// path segments that look like tokens (webhook addresses) cut short.
func Redact(u *url.URL) string {
	if u == nil {
		return ""
	}
	parts := strings.Split(u.EscapedPath(), "/")
	for i, p := range parts {
		if len(p) >= 16 && strings.ContainsAny(p, "0123456789") && strings.ContainsFunc(p, letter) && !slices.ContainsFunc([]byte(p), notToken) {
			parts[i] = p[:3] + "…"
		}
	}
	s := u.Scheme + "://" + u.Host + strings.Join(parts, "/")
	if u.RawQuery != "" {
		s += "?…"
	}
	return s
}

func letter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

func notToken(c byte) bool {
	return !letter(rune(c)) && (c < '0' || c > '9') && c != '-' && c != '_' && c != ':'
}

// Judge returns the [*Error] of a request sent through [Client.HTTPClient]
// that failed with err or was answered with other than a success, else nil.
// It reads the beginning of the body but doesn't close it.
func Judge(resp *http.Response, err error) error {
	if resp != nil && resp.StatusCode >= 300 {
		var body []byte
		if resp.Body != nil {
			body, _ = io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
		}
		return refusal(resp.Request, resp, body)
	}
	if err == nil {
		return nil
	}
	e := &Error{Method: http.MethodGet, err: err, Reached: resp != nil}
	if resp != nil { // a success, of which the library can make nothing
		e.Status, e.err = resp.StatusCode, Unreadable.Of(err)
		if resp.Request != nil {
			e.Method, e.URL = resp.Request.Method, Redact(resp.Request.URL)
		}
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		e.Method, e.err = strings.ToUpper(u.Op), u.Err
		if address, err := url.Parse(u.URL); err == nil {
			e.URL = Redact(address)
		}
	}
	e.permanent = hopeless(err)
	return e
}
