package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestWebhookSignature takes the receiver's part, as the documentation tells
// it to.
func TestWebhookSignature(t *testing.T) {
	old, next := "old key", base64.StdEncoding.EncodeToString([]byte("next key"))
	var verified []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		for name, key := range map[string]string{"old": old, "next": "next key", "other": "another key"} {
			mac := hmac.New(sha256.New, []byte(key))
			mac.Write([]byte(r.Header.Get("webhook-id") + "." + r.Header.Get("webhook-timestamp") + "." + string(body)))
			for _, s := range strings.Split(r.Header.Get("webhook-signature"), " ") {
				version, sum, _ := strings.Cut(s, ",")
				given, err := base64.StdEncoding.DecodeString(sum)
				if err == nil && version == "v1" && hmac.Equal(given, mac.Sum(nil)) {
					verified = append(verified, name)
				}
			}
		}
	}))
	defer srv.Close()
	addr := strings.TrimPrefix(srv.URL, "http://")
	for _, tt := range []struct {
		name string
		conf map[string]any
		want string
	}{
		{"with one key", map[string]any{"secret": old, "next_secret": ""}, "old"},
		{"with two keys while they change", map[string]any{"secret": old, "next_secret": "whsec_" + next}, "next old"},
		{"with the next key alone", map[string]any{"secret": "whsec_" + next, "next_secret": ""}, "next"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			verified = nil
			if err := tell(t.Context(), open(t, "webhook", addr, tt.conf), samplePage("ja")); err != nil {
				t.Fatal(err)
			}
			got := map[string]bool{}
			for _, v := range verified {
				got[v] = true
			}
			for _, w := range strings.Fields(tt.want) {
				if !got[w] {
					t.Errorf("no signature by the %s key", w)
				}
				delete(got, w)
			}
			if len(got) > 0 {
				t.Errorf("signed by %v as well", got)
			}
		})
	}
	t.Run("a key that isn't base64 is refused, not shown", func(t *testing.T) {
		err := tell(t.Context(), open(t, "webhook", addr, map[string]any{"secret": "whsec_!" + theSecret}), samplePage("ja"))
		if !permanent(err) {
			t.Errorf("%v", err)
		}
		holdsNoSecret(t, err)
	})
}

func TestAnAddressThatIsNoneIsNotShown(t *testing.T) {
	for _, address := range []string{theSecret, "ftp://" + theSecret, "http://[" + theSecret, "mailto:" + theSecret + "@x", "http://a b/" + theSecret} {
		err := tell(t.Context(), open(t, "slack", "", map[string]any{"url": address}), samplePage("ja"))
		if !permanent(err) {
			t.Errorf("%s: %v", address, err)
		}
		if address != "ftp://"+theSecret { // there it is the host, which is shown
			holdsNoSecret(t, err)
		}
	}
}
