package source

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/earshot/earshot/pkg/outbound"
)

// getJSON gets address and decodes the answer into out.
func getJSON(ctx context.Context, client *outbound.Client, address string, header http.Header, out any) error {
	resp, err := client.Get(ctx, address, header)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(resp.Body, out); err != nil {
		return fmt.Errorf("%s: the answer is not what it should be: %w", outbound.Redact(resp.URL), err)
	}
	return nil
}

// compareIDs orders ids that are numbers of any length, or words of one.
func compareIDs(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }
