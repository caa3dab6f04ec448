package settings_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/embedded"
	"github.com/earshot/earshot/pkg/settings"
)

// TestSecretsReachTheBusSealed: only the services they are for can read them.
func TestSecretsReachTheBusSealed(t *testing.T) {
	t.Parallel()
	ctx, dir, log := t.Context(), t.TempDir(), slog.New(slog.NewTextHandler(t.Output(), nil))
	srv, err := embedded.Start(filepath.Join(dir, "bus"), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	c, err := bus.Connect(ctx, bus.Options{InProcess: srv, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Declare(ctx); err != nil {
		t.Fatal(err)
	}
	s, err := settings.Open(ctx, c, log)
	if err != nil {
		t.Fatal(err)
	}
	const secret = "token-of-the-brand-account"
	src := settings.Source{
		ID: "fedi", Name: "Fediverse", Kind: "mastodon",
		Config: json.RawMessage(`{"server":"https://fedi.example","token":"` + secret + `"}`),
	}
	if err := settings.Sources.Put(ctx, s, "cli", "fedi", 0, src); err == nil || !strings.Contains(err.Error(), "token") {
		t.Errorf("without any key: error %v, want one that names token", err)
	}
	openers := map[string]*settings.Opener{}
	for _, service := range []string{"fetcher", "replier", "pager"} {
		o, err := s.OpenKey(ctx, filepath.Join(dir, "keys"), service)
		if err != nil {
			t.Fatal(err)
		}
		openers[service] = o
	}
	if err := settings.Sources.Put(ctx, s, "cli", "fedi", 0, src); err != nil {
		t.Fatal(err)
	}
	stored, _ := settings.Sources.Get(s, "fedi")
	if strings.Contains(string(stored.Config), secret) {
		t.Error("the secret is kept as it was typed")
	}
	for service, want := range map[string]bool{"fetcher": true, "replier": true, "pager": false} {
		plain, err := openers[service].Open(stored.Config)
		if got := err == nil && strings.Contains(string(plain), secret); got != want {
			t.Errorf("%s reads the secret: %v, want %v (%v)", service, got, want, err)
		}
	}
	again, err := s.OpenKey(ctx, filepath.Join(dir, "keys"), "replier")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Open(stored.Config); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	srv.Stop()
	err = filepath.WalkDir(filepath.Join(dir, "bus"), func(name string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(name)
		if strings.Contains(string(raw), secret) {
			t.Errorf("%s has the secret in the clear", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
