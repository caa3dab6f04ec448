package desk

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

const (
	hookPattern = "POST /hooks/{source}"
	// maxPush bounds what a platform may push at once, in bytes.
	maxPush = 1 << 20
	// pushRate and pushBurst bound what is taken for one source, per second:
	// anybody can knock, and only the fetcher can tell who did.
	pushRate, pushBurst = 50, 200
	// pushTime is how long the fetcher is waited for. Platforms wait for ten
	// seconds.
	pushTime = 9 * time.Second
)

// hooks counts the knocks at each source's address.
type hooks struct {
	mu       sync.Mutex
	limiters map[string]*rate.Limiter
}

func (h *hooks) allow(source string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.limiters[source]
	if l == nil {
		if h.limiters == nil {
			h.limiters = map[string]*rate.Limiter{}
		}
		l = rate.NewLimiter(pushRate, pushBurst)
		h.limiters[source] = l
	}
	return l.Allow()
}

// hook takes what a platform pushes to a source. Nobody signs in here: the
// connector checks who sent it, and it alone has the secret to do so.
func (d *Desk) hook(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	id := r.PathValue("source")
	if s, ok := settings.Sources.Get(d.Settings, id); !ok || s.Off {
		http.NotFound(w, r)
		return
	}
	if !d.hooks.allow(id) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many at once; send it again", http.StatusTooManyRequests)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPush))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		http.Error(w, "more than 1 MiB", http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		return // the sender is gone
	}
	header := r.Header.Clone()
	header.Del("Cookie")
	ctx, cancel := context.WithTimeout(r.Context(), pushTime)
	defer cancel()
	a, err := bus.Ask[source.Pushing, source.Answer](ctx, d.Bus, "fetcher", "push", source.Pushing{
		Source: id, Push: source.Push{Method: r.Method, URL: d.base(r) + r.URL.RequestURI(), Header: header, Body: body},
	})
	if err != nil {
		d.Log.Warn("a push was not taken; the platform should send it again", "source", id, "error", err)
		a = source.Answer{Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"30"}}}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, k := range []string{"Content-Type", "Retry-After"} {
		if v := a.Header.Get(k); v != "" {
			w.Header().Set(k, v)
		}
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
}

// base is the address of the desk as the outside knows it: the one that is
// configured, or the one that r came to.
func (d *Desk) base(r *http.Request) string {
	if d.Public != "" {
		return d.Public
	}
	return "http://" + r.Host
}
