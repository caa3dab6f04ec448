package source

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/earshot/earshot/pkg/outbound"
)

// getJSON gets address and decodes the answer into out.
func getJSON(ctx context.Context, client *outbound.Client, address string, header http.Header, out any) error {
	resp, err := client.Get(ctx, address, header)
	if err != nil {
		return err
	}
	return readJSON(resp, out)
}

// readJSON decodes an answer into out. Some servers put a byte order mark before
// it, which is not JSON and does no harm.
func readJSON(resp *outbound.Response, out any) error {
	if err := json.Unmarshal(bytes.TrimPrefix(resp.Body, []byte("\ufeff")), out); err != nil {
		return resp.Unreadable(fmt.Errorf("the answer is not what it should be: %w", err))
	}
	return nil
}

// without is the error of an answer that lacks what the platform always gives,
// also where it lists nothing: it isn't known that there is nothing.
func without(key string) error {
	return outbound.Unreadable.Of(fmt.Errorf("the answer is not what it should be: it has no %q", key))
}

// ended is why a stream of host ended, with the reason that staff are told: most
// errors of its libraries have none.
func ended(host string, err error) error {
	t := outbound.Explain(err, time.Time{})
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig) || errors.Is(err, bufio.ErrTooLong):
		return outbound.TooLarge.At(host, err)
	case t.Reason == outbound.Other:
		return outbound.Unreachable.At(host, err)
	case t.Host == "":
		return t.Reason.At(host, err)
	}
	return err
}

// compareIDs orders ids that are numbers of any length, or words of one.
func compareIDs(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }
