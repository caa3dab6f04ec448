package source

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

// Reason is why a reply was not published. Staff are told each in words, with
// what to do instead. The empty Reason is one that the platform or connector
// tells only in its own words.
type Reason string

const (
	// These may stand on the post before anybody answers; see
	// [mention.Post.NoReply].
	NotSummoned = Reason(mention.NotSummoned)
	Gated       = Reason(mention.Gated)
	Closed      = Reason(mention.Closed)
	Unverified  = Reason(mention.Unverified)
	NotGranted  = Reason(mention.NotGranted)

	// These are known before anything is sent, too.
	NoReplier     Reason = "no_replier"     // nothing in Earshot can answer there
	NoCredentials Reason = "no_credentials" // the source only listens: it lacks what is needed to write

	PostGone     Reason = "post_gone"     // the post was deleted, or we may not see it any more
	TooLong      Reason = "too_long"      // for the platform
	Duplicate    Reason = "duplicate"     // the platform has this text from us already
	Unfit        Reason = "unfit"         // its rules don't allow what the text says or links to
	Locked       Reason = "locked"        // our account is suspended, locked or restricted
	Revoked      Reason = "revoked"       // it lets us in no more: consent withdrawn, token expired for good
	WrongAccount Reason = "wrong_account" // the credentials are of another account than the reply is for
	Limited      Reason = "limited"       // too many for now, until Until
	Unreachable  Reason = "unreachable"   // no connection to the platform came about
	NotThere     Reason = "not_there"     // somebody looked for it after a call without an answer
	Answered     Reason = "answered"      // another answer than whoever sent it has seen stands there, and would be overwritten
)

// Reasons lists all reasons.
var Reasons = []Reason{
	NotSummoned, Gated, Closed, Unverified, NotGranted, NoReplier, NoCredentials, PostGone, TooLong, Duplicate, Unfit,
	Locked, Revoked, WrongAccount, Limited, Unreachable, NotThere, Answered,
}

// Refusal is the error of a reply that is certainly not published. A connector
// returns it where it knows more than the status of the answer tells.
type Refusal struct {
	Reason Reason
	Until  time.Time // of Limited: when the platform takes another; zero when not told
	Err    error     // in words, English; must not be nil

	trouble outbound.Trouble // what is known of it beside Err
}

func (r *Refusal) Error() string { return r.Err.Error() }
func (r *Refusal) Unwrap() error { return r.Err }

// Permanent tells that trying again won't mend it.
func (r *Refusal) Permanent() bool { return r.Reason != Limited && r.Reason != Unreachable }

// Trouble is what [outbound.Explain] is told of r.
func (r *Refusal) Trouble() outbound.Trouble {
	t := r.trouble
	switch r.Reason {
	case Revoked, WrongAccount, NotGranted, NoCredentials:
		t.Reason = outbound.Credentials
	case Locked:
		t.Reason = outbound.Forbidden
	case PostGone:
		t.Reason = outbound.NotFound
	case Limited:
		t.Reason = cmp.Or(t.Reason, outbound.Limited)
	case Unreachable:
		if t.Reason == "" {
			t.Reason = outbound.Explain(r.Err, time.Time{}).Reason
		}
		if t.Reason == outbound.Other {
			t.Reason = outbound.Unreachable
		}
	}
	return t
}

// refuse is a [Refusal] for a reason of its own.
func refuse(format string, args ...any) error { return Reason("").refuse(format, args...) }

// refuse is a [Refusal] for reason r.
func (r Reason) refuse(format string, args ...any) error {
	return &Refusal{Reason: r, Err: fmt.Errorf(format, args...)}
}

// Refused returns the refusal that err, the error of a reply, amounts to at now.
// It is false when the reply may be published all the same. What a connector
// doesn't tell apart is read from the status of the answer.
func Refused(err error, now time.Time) (Refusal, bool) {
	if r, ok := errors.AsType[*Refusal](err); ok {
		r := *r
		if e, ok := errors.AsType[*outbound.Error](err); ok && r.Reason == Limited && r.Until.IsZero() && e.RetryAfter() > 0 {
			r.Until = now.Add(e.RetryAfter())
		}
		return r, true
	}
	r := Refusal{Err: err}
	if e, ok := errors.AsType[*outbound.Error](err); ok {
		switch s := e.Status; {
		case !e.Reached:
			r.Reason = Unreachable
		case s == http.StatusUnauthorized:
			r.Reason = Revoked
		case s == http.StatusNotFound || s == http.StatusGone:
			r.Reason = PostGone
		case s == http.StatusTooManyRequests:
			r.Reason = Limited
			if after := e.RetryAfter(); after > 0 {
				r.Until = now.Add(after)
			}
		case s < 400 || s >= 500 || s == http.StatusRequestTimeout:
			return Refusal{}, false
		}
		return r, true
	}
	p, ok := errors.AsType[interface {
		error
		Permanent() bool
	}](err)
	return r, ok && p.Permanent()
}
