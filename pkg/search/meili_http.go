package search

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// patient sends a request again when the server is busy or away. All requests
// of the index may be repeated: writes replace whole documents by id. It holds
// the body itself, for the client gives a body that can be read only once.
type patient struct{ next http.RoundTripper }

const (
	tries       = 3
	longestWait = 2 * time.Second
	maxAnswer   = 64 << 20
)

func (p *patient) RoundTrip(r *http.Request) (*http.Response, error) {
	next := p.next
	if next == nil {
		next = http.DefaultTransport
	}
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	away := &UnavailableError{Engine: "meilisearch"}
	for try := 1; ; try++ {
		again := r.Clone(r.Context())
		again.Body, again.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		resp, err := next.RoundTrip(again)
		wait := time.Duration(try*try) * 50 * time.Millisecond
		switch {
		case err != nil && r.Context().Err() != nil:
			return nil, context.Cause(r.Context())
		case err != nil:
			away.Reason, away.Err = "the server cannot be reached", err
		case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable ||
			resp.StatusCode == http.StatusBadGateway || resp.StatusCode == http.StatusGatewayTimeout:
			away.Reason = fmt.Sprintf("the server is busy or away (status %d)", resp.StatusCode)
			if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s >= 0 {
				away.After = time.Duration(s) * time.Second
				wait = away.After
			}
			io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
			resp.Body.Close()
		default:
			resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
			return resp, nil
		}
		if try == tries || wait > longestWait {
			return nil, away
		}
		select {
		case <-time.After(wait):
		case <-r.Context().Done():
			return nil, context.Cause(r.Context())
		}
	}
}
