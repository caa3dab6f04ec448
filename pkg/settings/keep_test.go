package settings_test

import (
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

// TestWhatConnectorsKeep: fetcher and replier share it, nobody's change is
// lost, and on the bus it can't be read.
func TestWhatConnectorsKeep(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c, _ := bustest.Open(t)
	s, err := settings.Open(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var keepers []source.Keeper
	for _, service := range []string{"fetcher", "replier"} {
		o, err := s.OpenKey(ctx, filepath.Join(dir, "keys"), service)
		if err != nil {
			t.Fatal(err)
		}
		keepers = append(keepers, o.Keeper(s, "acme-x"))
	}
	type budget struct {
		Spent int
		Token string `json:",omitempty"`
		By    map[string]int
	}
	var wg sync.WaitGroup
	for _, k := range keepers {
		for range 10 {
			wg.Go(func() {
				b := budget{By: map[string]int{"start": 1}}
				if err := k.Update(ctx, "budget", &b, func() (bool, error) {
					b.Spent++
					b.By["start"]++
					b.Token = "hunter2-token"
					return true, nil
				}); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	for i, k := range keepers {
		var b budget
		if err := k.Update(ctx, "budget", &b, func() (bool, error) { return false, nil }); err != nil {
			t.Fatal(err)
		}
		if b.Spent != 20 || b.By["start"] != 21 || b.Token != "hunter2-token" {
			t.Errorf("keeper %d has %+v, want what 20 changes give", i, b)
		}
	}
	var raw string
	if _, err := bus.Kept.Get(ctx, c, "acme-x.budget", &raw); err != nil || !strings.HasPrefix(raw, "sealed:") || strings.Contains(raw, "Spent") {
		t.Errorf("on the bus: %q, %v", raw, err)
	}
	// A service whose key was lost begins anew.
	o, err := s.OpenKey(ctx, filepath.Join(dir, "new"), "fetcher")
	if err != nil {
		t.Fatal(err)
	}
	b := budget{Spent: 3}
	if err := o.Keeper(s, "acme-x").Update(ctx, "budget", &b, func() (bool, error) { return b.Spent == 3, nil }); err != nil || b.Spent != 3 {
		t.Errorf("after the key was lost: %+v, %v", b, err)
	}
	if err := keepers[0].Update(ctx, "no.such name", &b, nil); err == nil {
		t.Error("a name that is no key was taken")
	}
}
