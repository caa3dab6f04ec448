package outbound

import (
	"bytes"
	"cmp"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// Reason is what kind of trouble there is with the far side. People are told
// each in their language, with what to do next.
type Reason string

const (
	Unreachable  Reason = "unreachable"  // no connection came about, or it broke
	NameNotFound Reason = "name"         // there is no host of that name
	TimedOut     Reason = "timeout"      // no answer in time
	Credentials  Reason = "credentials"  // it does not take who we say we are
	Forbidden    Reason = "forbidden"    // it knows us, and we may not
	NotFound     Reason = "not_found"    // nothing is at that address, or no more
	Limited      Reason = "limited"      // too many requests, by its count or a limit of ours
	ServerError  Reason = "server_error" // it has trouble of its own
	Unreadable   Reason = "unreadable"   // its answer is not what it should be
	TooLarge     Reason = "too_large"    // its answer is longer than is read
	Redirected   Reason = "redirected"   // it sends us elsewhere
	Blocked      Reason = "blocked"      // a private address, see [ErrPrivate]
	Certificate  Reason = "certificate"  // no secure connection can be trusted
	Settings     Reason = "settings"     // what is set here can't work
	Absent       Reason = "absent"       // what is set here for it was removed
	Interrupted  Reason = "interrupted"  // we were stopped, or lost touch, while at it
	Recent       Reason = "recent"       // it gives only what is recent, and what is missing was older
	Overflow     Reason = "overflow"     // there was more than it lists, or than is read at once
	Spent        Reason = "spent"        // a budget of ours is used up
	Other        Reason = "other"
)

// Reasons lists all reasons.
var Reasons = []Reason{
	Unreachable, NameNotFound, TimedOut, Credentials, Forbidden, NotFound, Limited, ServerError, Unreadable, TooLarge,
	Redirected, Blocked, Certificate, Settings, Absent, Interrupted, Recent, Overflow, Spent, Other,
}

// Of is err, which must not be nil, with r as its reason for [Explain].
func (r Reason) Of(err error) error { return reasoned{err, Trouble{Reason: r}} }

// At is like Of, of trouble with host.
func (r Reason) At(host string, err error) error {
	return reasoned{err, Trouble{Reason: r, Host: host}}
}

type reasoned struct {
	error
	trouble Trouble
}

func (e reasoned) Unwrap() error    { return e.error }
func (e reasoned) Trouble() Trouble { return e.trouble }

// Trouble is a failure at the far side as data, for people of any language. The
// zero Trouble is none.
type Trouble struct {
	Reason Reason    `json:"reason"`
	Host   string    `json:"host,omitempty"`
	Status int       `json:"status,omitempty"` // of HTTP; 0 when no answer came
	Until  time.Time `json:"until,omitzero"`   // until when it asked for a pause
	// Said is what the far side said of it, in its own words: hostile, one
	// line of at most 300 characters without what looks like a secret. Without
	// such words it is our own error, English, where the reason alone tells too
	// little: of Other, Settings, and a limit of ours.
	Said string `json:"said,omitempty"`
}

// maxSaid bounds [Trouble.Said], in runes.
const maxSaid = 300

// Explain derives from err what went wrong at now. An error with a method
// Trouble() Trouble knows itself what it returns there; what is zero in that is
// derived. It returns the zero Trouble for nil.
func Explain(err error, now time.Time) Trouble {
	if err == nil {
		return Trouble{}
	}
	t := Trouble{Host: hostOf(err)}
	if e, ok := errors.AsType[*Error](err); ok {
		t.Status, t.Said = e.Status, saidIn(e.Body)
	}
	after, pausing := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err)
	pausing = pausing && after.RetryAfter() > 0
	if pausing {
		t.Until = now.Add(after.RetryAfter()).UTC()
	}
	knows, ok := errors.AsType[interface {
		error
		Trouble() Trouble
	}](err)
	var known Trouble
	if ok {
		known = knows.Trouble()
	}
	t.Host, t.Status, t.Said = cmp.Or(known.Host, t.Host), cmp.Or(known.Status, t.Status), cmp.Or(known.Said, t.Said)
	if t.Reason = known.Reason; t.Reason == "" {
		t.Reason = reasonOf(err, t.Status, pausing)
	}
	if t.Said == "" && (t.Reason == Other || t.Reason == Settings || t.Reason == Limited && t.Status == 0) {
		t.Said = err.Error()
	}
	t.Said = masked(t.Said)
	return t
}

// reasonOf reads the reason from the status, or from what stood in the way of one.
func reasonOf(err error, status int, pausing bool) Reason {
	switch {
	case is[errRedirect](err) || status/100 == 3:
		return Redirected
	case errors.Is(err, ErrTooLarge):
		return TooLarge
	case errors.Is(err, ErrPrivate):
		return Blocked
	case status == http.StatusUnauthorized:
		return Credentials
	case status == http.StatusForbidden:
		return Forbidden
	case status == http.StatusNotFound || status == http.StatusGone:
		return NotFound
	case status == http.StatusTooManyRequests:
		return Limited
	case status == http.StatusRequestTimeout || status == http.StatusGatewayTimeout:
		return TimedOut
	case status >= 500:
		return ServerError
	case pausing:
		return Limited
	case is[*json.SyntaxError](err) || is[*json.UnmarshalTypeError](err) || is[*xml.SyntaxError](err):
		return Unreadable
	case is[errRequest](err):
		return Settings
	case is[*tls.CertificateVerificationError](err) || is[x509.UnknownAuthorityError](err) || is[x509.HostnameError](err) ||
		is[x509.CertificateInvalidError](err) || is[tls.RecordHeaderError](err) || is[tls.AlertError](err) || errors.Is(err, http.ErrSchemeMismatch):
		return Certificate
	case errors.Is(err, context.DeadlineExceeded):
		return TimedOut
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return NameNotFound
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return TimedOut
	}
	if e, ok := errors.AsType[errTimeout](err); ok && e.Timeout() {
		return TimedOut
	}
	if is[net.Error](err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return Unreachable
	}
	if garbled(err) {
		return Unreadable
	}
	return Other
}

// garbled tells of answers that are no HTTP, or not compressed as they say. Most
// of what net/http finds wrong with one has no type.
func garbled(err error) bool {
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || is[flate.CorruptInputError](err) || is[textproto.ProtocolError](err) {
		return true
	}
	e, ok := errors.AsType[*Error](err)
	if !ok || e.err == nil {
		return false
	}
	text := e.err.Error()
	return strings.Contains(text, "malformed HTTP") || strings.Contains(text, "malformed chunked") || strings.Contains(text, "chunk length")
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// hostOf is the host that err is about, with its port if that is told.
func hostOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		if u, err := url.Parse(e.URL); err == nil && u.Host != "" {
			return u.Host
		}
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		if u, err := url.Parse(e.URL); err == nil && u.Host != "" {
			return u.Host
		}
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e.Name
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Addr != nil {
		return e.Addr.String()
	}
	return ""
}

// saidIn finds the words meant for people in the body of a refusal: of JSON the
// fields that are in use, of plain text the beginning, of markup nothing.
func saidIn(body []byte) string {
	body = bytes.TrimSpace(body)
	var v any
	switch {
	case len(body) == 0 || body[0] == '<':
		return ""
	case json.Unmarshal(body, &v) == nil:
		return saidBy(v)
	case body[0] == '{' || body[0] == '[': // cut off
		return ""
	}
	return string(body)
}

func saidBy(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		if len(v) > 0 {
			return saidBy(v[0])
		}
	case map[string]any:
		for _, key := range []string{"error_description", "message", "detail", "error", "errors", "reason", "title"} {
			if text := saidBy(v[key]); text != "" {
				return text
			}
		}
	}
	return ""
}

var (
	addresses = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>]*[^\s"'<>:.,;)]`)
	// named is a value by the name of a secret. After a colon and a space words
	// of people may follow ("api_key: required"), so that it must hold a digit.
	named = regexp.MustCompile(`(?i)\b([a-z_-]*(?:token|key|secret|password|passwd|signature)["']?(?:\s*=\s*["']?|:["']?|:\s*["'])|authorization["']?\s*[=:]\s*["']?(?:[a-z]+\s+)?|bearer\s+)[^\s"',;&]+` +
		`|\b([a-z_-]*(?:token|key|secret|password|passwd|signature)["']?:\s+)[^\s"',;&]*[0-9][^\s"',;&]*`)
	words = regexp.MustCompile(`[A-Za-z0-9_+=-]{16,}`)
)

// masked is text as one line, cut, and without what looks like a secret.
func masked(text string) string {
	text = strings.ToValidUTF8(text, "�")
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	text = addresses.ReplaceAllStringFunc(text, func(s string) string {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" {
			return "…"
		}
		return Redact(u)
	})
	text = named.ReplaceAllString(text, "${1}${2}…")
	text = words.ReplaceAllStringFunc(text, func(s string) string {
		upper, lower := s != strings.ToLower(s), s != strings.ToUpper(s)
		if strings.ContainsAny(s, "0123456789") && (upper || lower) || len(s) >= 20 && upper && lower && !strings.ContainsAny(s, "_-") {
			return s[:3] + "…"
		}
		return s
	})
	if r := []rune(text); len(r) > maxSaid {
		text = string(r[:maxSaid-1]) + "…"
	}
	return text
}
