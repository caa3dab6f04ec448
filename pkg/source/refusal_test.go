package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/outbound"
)

func TestRefused(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	client, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	answer := func(status int, header ...string) error {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if len(header) > 0 {
				w.Header().Set(header[0], header[1])
			}
			w.WriteHeader(status)
		}))
		defer srv.Close()
		_, err := client.Get(t.Context(), srv.URL, nil)
		return fmt.Errorf("reply: %w", err)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	_, unreachable := client.Get(t.Context(), gone.URL, nil)
	for _, c := range []struct {
		name    string
		err     error
		refused bool
		reason  Reason
		until   time.Time
	}{
		{"published", nil, false, "", time.Time{}},
		{"the connector knows", fmt.Errorf("x: %w", NotSummoned.refuse("told %d", 403)), true, NotSummoned, time.Time{}},
		{"in its own words", refuse("no"), true, "", time.Time{}},
		{"401", answer(401), true, Revoked, time.Time{}},
		{"403", answer(403), true, "", time.Time{}},
		{"404", answer(404), true, PostGone, time.Time{}},
		{"408 may have taken effect", answer(408), false, "", time.Time{}},
		{"429", answer(429, "Retry-After", "900"), true, Limited, now.Add(15 * time.Minute)},
		{"429 that names no time", answer(429), true, Limited, time.Time{}},
		{"500 may have taken effect", answer(500), false, "", time.Time{}},
		{"no connection", unreachable, true, Unreachable, time.Time{}},
		{"given up", context.DeadlineExceeded, false, "", time.Time{}},
		{"not understood", errors.New("the answer is not what it should be"), false, "", time.Time{}},
	} {
		r, ok := Refused(c.err, now)
		if ok != c.refused || ok && (r.Reason != c.reason || !r.Until.Equal(c.until) || r.Err == nil) {
			t.Errorf("%s: %+v, %v; want %v %q until %v", c.name, r, ok, c.refused, c.reason, c.until)
		}
	}
}
