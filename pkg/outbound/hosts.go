package outbound

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxHosts is the number of hosts remembered before idle ones are dropped.
const maxHosts = 4096

// hosts spreads requests out per host and remembers who asked for a pause.
type hosts struct {
	rate        rate.Limit
	burst       int
	concurrency int

	mu sync.Mutex
	m  map[string]*host
}

type host struct {
	limiter *rate.Limiter
	slots   chan struct{}

	mu     sync.Mutex
	pauses map[string]time.Time // by scope, see scopeOf
	used   time.Time
}

func newHosts(o Options) *hosts {
	return &hosts{rate: rate.Limit(o.Rate), burst: o.Burst, concurrency: o.Concurrency, m: map[string]*host{}}
}

// enter waits for req's turn at its host and returns the host with the
// function that ends the turn.
func (hs *hosts) enter(ctx context.Context, req *http.Request) (*host, func(), error) {
	h := hs.of(strings.ToLower(req.URL.Host))
	if d := h.paused(req); d > 0 {
		return nil, nil, pauseError{d}
	}
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	if err := h.limiter.Wait(ctx); err != nil {
		<-h.slots
		return nil, nil, fmt.Errorf("waiting for a turn: %w", err)
	}
	return h, func() { <-h.slots }, nil
}

func (hs *hosts) of(name string) *host {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	now := time.Now()
	h := hs.m[name]
	if h == nil {
		if len(hs.m) >= maxHosts {
			for n, old := range hs.m {
				if old.idle(now) {
					delete(hs.m, n)
				}
			}
		}
		h = &host{limiter: rate.NewLimiter(hs.rate, hs.burst), slots: make(chan struct{}, hs.concurrency), pauses: map[string]time.Time{}}
		hs.m[name] = h
	}
	h.mu.Lock()
	h.used = now
	h.mu.Unlock()
	return h
}

func (h *host) idle(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, until := range h.pauses {
		if until.After(now) {
			return false
		}
	}
	return len(h.slots) == 0 && now.Sub(h.used) > time.Minute
}

// scopeOf says whom a request for a pause concerns. Readers share a limit per
// host and token; a refused write to one target says nothing about another
// behind the same host, such as another channel's webhook.
func scopeOf(req *http.Request) string {
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		return "read " + req.Header.Get("Authorization")
	}
	return "write " + req.URL.EscapedPath() + " " + req.Header.Get("Authorization")
}

func (h *host) hold(req *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for scope, until := range h.pauses {
		if !until.After(now) {
			delete(h.pauses, scope)
		}
	}
	h.pauses[scopeOf(req)] = now.Add(d)
}

func (h *host) paused(req *http.Request) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Until(h.pauses[scopeOf(req)])
}
