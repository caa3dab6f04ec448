package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/earshot/earshot/pkg/outbound"
)

// api asks a platform's JSON API with a bearer token, and notes what it says of
// its rate limit.
type api struct {
	deps  Deps
	token func(context.Context) (string, error)
	// renew makes a token function that holds no token yet, for when one is
	// refused before its time; nil where that can't mend anything.
	renew func() func(context.Context) (string, error)
	agent string // User-Agent, where a platform wants its own
	// reason reads why from the body of a refusal; empty when it doesn't say.
	reason func(body []byte) string

	mu       sync.Mutex
	quota    outbound.Quota
	hasQuota bool
}

func (a *api) Quota() (outbound.Quota, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.quota, a.hasQuota
}

// get decodes the answer to a GET of address into out.
func (a *api) get(ctx context.Context, address string, out any) error {
	return a.do(ctx, http.MethodGet, address, nil, out)
}

// do sends in as JSON, or as a form if it is one, unless it is nil, and decodes the answer into out, unless
// that is nil. A token that is refused is asked for anew once: nothing has
// happened then.
func (a *api) do(ctx context.Context, method, address string, in, out any) error {
	err := a.try(ctx, method, address, in, out)
	if status(err) == http.StatusUnauthorized && a.renew != nil {
		a.mu.Lock()
		a.token = a.renew()
		a.mu.Unlock()
		err = a.try(ctx, method, address, in, out)
	}
	return err
}

func (a *api) try(ctx context.Context, method, address string, in, out any) error {
	var body io.Reader
	kind := "application/json"
	if form, ok := in.(url.Values); ok {
		body, kind = strings.NewReader(form.Encode()), "application/x-www-form-urlencoded"
	} else if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequest(method, address, body)
	if err != nil {
		return refuse("not a valid address: %s", clip(address, 200))
	}
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", kind)
	}
	if a.agent != "" {
		req.Header.Set("User-Agent", a.agent)
	}
	a.mu.Lock()
	ask := a.token
	a.mu.Unlock()
	token, err := ask(ctx)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := a.deps.HTTP.Do(ctx, req)
	said := http.Header{}
	if e, ok := errors.AsType[*outbound.Error](err); ok {
		said = e.Header
	} else if resp != nil {
		said = resp.Header
	}
	if q, ok := outbound.QuotaOf(said, a.deps.Now()); ok {
		a.mu.Lock()
		a.quota, a.hasQuota = q, true
		a.mu.Unlock()
	}
	if err != nil {
		return a.because(err, token)
	}
	if out == nil {
		return nil
	}
	return readJSON(resp, out)
}

// because adds the platform's reason to a refusal, without the token should it
// be quoted there.
func (a *api) because(err error, token string) error {
	e, ok := errors.AsType[*outbound.Error](err)
	if !ok || a.reason == nil {
		return err
	}
	why := line(a.reason(e.Body))
	if why == "" {
		return err
	}
	if token != "" {
		why = strings.ReplaceAll(why, token, "…")
	}
	return fmt.Errorf("%w: %q", err, clip(why, 300))
}

// readable is a list in which an entry that can't be read is the zero value, and
// no hindrance to the others.
type readable[T any] []T

func (r *readable[T]) UnmarshalJSON(b []byte) error {
	var raws []json.RawMessage
	if err := json.Unmarshal(b, &raws); err != nil {
		return err
	}
	*r = make(readable[T], len(raws))
	for i, raw := range raws {
		var t T
		if json.Unmarshal(raw, &t) == nil {
			(*r)[i] = t
		}
	}
	return nil
}

// status is the status of the platform's refusal, or 0.
func status(err error) int {
	if e, ok := errors.AsType[*outbound.Error](err); ok {
		return e.Status
	}
	return 0
}

// refusalBody is the beginning of the body of the platform's refusal.
func refusalBody(err error) []byte {
	if e, ok := errors.AsType[*outbound.Error](err); ok {
		return e.Body
	}
	return nil
}
