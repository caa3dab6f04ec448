package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/earshot/earshot/pkg/config"
	"golang.org/x/oauth2/jwt"
)

// serviceAccount returns a token function for a Google service account, whose
// key is the JSON file that Google gives.
func (d Deps) serviceAccount(key config.Secret, scope string) func(context.Context) (string, error) {
	var (
		mu    sync.Mutex
		token func(context.Context) (string, error)
	)
	return func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if token == nil {
			text, err := key.Reveal()
			if err != nil {
				return "", err
			}
			cfg, err := accountFile(text)
			if err != nil {
				return "", Revoked.refuse("key: %w", err)
			}
			cfg.Scopes = []string{scope}
			token = d.serviceToken(cfg)
		}
		return token(ctx)
	}
}

// accountFile reads the JSON file of a service account.
func accountFile(text string) (jwt.Config, error) {
	var f struct {
		Email string `json:"client_email"`
		Key   string `json:"private_key"`
		KeyID string `json:"private_key_id"`
		URL   string `json:"token_uri"`
	}
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		return jwt.Config{}, errors.New("must be the JSON file of a service account, whole")
	}
	if f.Email == "" || f.Key == "" || webURL(f.URL) == "" {
		return jwt.Config{}, errors.New("must be the JSON file of a service account: client_email, private_key or token_uri is missing")
	}
	if _, err := privateKey(f.Key); err != nil {
		return jwt.Config{}, fmt.Errorf("private_key: %w", err)
	}
	return jwt.Config{Email: f.Email, PrivateKey: []byte(f.Key), PrivateKeyID: f.KeyID, TokenURL: f.URL}, nil
}

// googleError is the form of errors of Google's APIs.
type googleError struct {
	Error struct {
		Message string `json:"message"`
		Status  string `json:"status"`
		Errors  []struct {
			Reason string `json:"reason"`
		} `json:"errors"`
		Details []struct {
			Reason string `json:"reason"`
		} `json:"details"`
	} `json:"error"`
}

func googleReason(body []byte) string {
	var e googleError
	if json.Unmarshal(body, &e) != nil {
		return ""
	}
	return strings.TrimSpace(e.Error.Status + " " + e.Error.Message)
}

// googleRefused tells refusals apart that Google answers alike, with 403: that
// it is too much for now, and that it isn't allowed; grant says what is needed.
func googleRefused(err error, grant string) error {
	if status(err) != http.StatusForbidden {
		return err
	}
	var e googleError
	json.Unmarshal(refusalBody(err), &e)
	reasons := []string{e.Error.Status}
	for _, r := range e.Error.Errors {
		reasons = append(reasons, r.Reason)
	}
	for _, r := range e.Error.Details {
		reasons = append(reasons, r.Reason)
	}
	if slices.ContainsFunc(reasons, func(r string) bool {
		return slices.Contains([]string{"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded", "RATE_LIMIT_EXCEEDED"}, r)
	}) {
		return &Refusal{Reason: Limited, Err: err}
	}
	return NotGranted.refuse("%s: %w", grant, err)
}
