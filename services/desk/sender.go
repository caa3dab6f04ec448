package desk

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/source"
)

// intakePattern is the route that also takes signed requests.
const intakePattern = "POST /api/v1/mentions"

// sender finds out who signed the request, as Standard Webhooks has it. That has
// no header for whose key it is, so the token's id stands in the address.
func (c *call) sender() (identity.Viewer, error) {
	h := c.r.Header
	return c.Gate.Sender(c.ctx, c.Signer, identity.Signed{
		Sender: c.r.URL.Query().Get("sender"), ID: h.Get("Webhook-Id"), Timestamp: h.Get("Webhook-Timestamp"), Signature: h.Get("Webhook-Signature"),
	}, func() ([]byte, error) {
		body, err := io.ReadAll(c.r.Body)
		c.r.Body = io.NopCloser(bytes.NewReader(body))
		return body, err
	})
}

// senders keep each token of the intake to its pace. The zero value is ready.
type senders struct {
	mu sync.Mutex
	m  map[string]*rate.Limiter // by actor
}

// paceError refuses posts of a sender that sends more than it may.
type paceError struct {
	perMinute int
	wait      time.Duration
}

func (e *paceError) Error() string {
	return fmt.Sprintf("more than %d posts a minute from this token; none of the request was taken: send it again after %s, as Retry-After says", e.perMinute, e.wait.Round(time.Second))
}

// pace takes n posts of actor at now, or none of them.
func (s *senders) pace(actor string, n, perMinute int, now time.Time) error {
	if perMinute <= 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[string]*rate.Limiter{}
	}
	l := s.m[actor]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(float64(perMinute)/60), max(perMinute, source.MaxBatch))
		s.m[actor] = l
	}
	r := l.ReserveN(now, n)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return &paceError{perMinute, wait}
	}
	return nil
}

// requestID is the sender's own id of the request: a post that has none is
// known by it.
func requestID(h http.Header) string {
	if h.Get("Webhook-Signature") == "" {
		return ""
	}
	return h.Get("Webhook-Id")
}
