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

// post sends a JSON body to the address in secret; see [ask].
func post(ctx context.Context, client *outbound.Client, secret config.Secret, header http.Header, body []byte) error {
	address, err := secret.Reveal()
	if err != nil {
		return refusal{err}
	}
	header = header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Type", "application/json")
	_, err = ask(ctx, client, http.MethodPost, address, header, body)
	return err
}

// ask makes one request to an address, of which nothing but the host ever
// shows: whoever knows a webhook's address may write to it. An answer that
// is too large to read is none: the request was taken.
func ask(ctx context.Context, client *outbound.Client, method, address string, header http.Header, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, refuse("the configured address is not an http address")
	}
	shown := u.Scheme + "://" + u.Host + "/…"
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, refuse("the configured address at %s is not valid", shown)
	}
	req.Header = header.Clone()
	answer, err := client.Do(ctx, req)
	switch {
	case err == nil:
		return answer.Body, nil
	case errors.Is(err, outbound.ErrTooLarge):
		return nil, nil
	}
	if e, ok := errors.AsType[*outbound.Error](err); ok {
		e.URL = shown
		return nil, e
	}
	if cause := context.Cause(ctx); cause != nil {
		return nil, fmt.Errorf("%s %s: %w", method, shown, cause)
	}
	return nil, fmt.Errorf("%s %s failed", method, shown)
}

// bearer is a header with a token, for a body of the given type.
func bearer(token config.Secret, contentType string) (http.Header, error) {
	key, err := token.Reveal()
	if err != nil {
		return nil, refusal{err}
	}
	return http.Header{"Authorization": {"Bearer " + key}, "Content-Type": {contentType}}, nil
}
