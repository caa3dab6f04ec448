package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/outbound"
)

// post sends a JSON body to the address in secret, of which nothing but the
// host ever shows: whoever knows a webhook's address may write to it.
func post(ctx context.Context, client *outbound.Client, secret config.Secret, header http.Header, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	address, err := secret.Reveal()
	if err != nil {
		return refusal{err}
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return refuse("the configured address is not an http address")
	}
	shown := u.Scheme + "://" + u.Host + "/…"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return refuse("the configured address at %s is not valid", shown)
	}
	req.Header = header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set("Content-Type", "application/json")
	_, err = client.Do(ctx, req)
	if err == nil || errors.Is(err, outbound.ErrTooLarge) { // taken, whatever it had to say
		return nil
	}
	if e, ok := errors.AsType[*outbound.Error](err); ok {
		e.URL = shown
		return e
	}
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("POST %s: %w", shown, cause)
	}
	return fmt.Errorf("POST %s failed", shown)
}
