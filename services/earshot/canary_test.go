package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/source"
	"github.com/earshot/earshot/services/classifier"
	"github.com/earshot/earshot/services/fetcher"
	"github.com/earshot/earshot/services/indexer"
	"github.com/earshot/earshot/services/pager"
)

// TestCanariesComeThroughAndLeaveNothing has them go the whole way, and looks
// for what they leave.
func TestCanariesComeThroughAndLeaveNothing(t *testing.T) {
	t.Parallel()
	envs := make(chan *app.Env, 1)
	probe := app.Service{Name: "probe", Run: func(ctx context.Context, env *app.Env) error {
		envs <- env
		<-ctx.Done()
		return nil
	}}
	services := []app.Service{fetcher.Service, classifier.Service, indexer.Service, pager.Service, probe}
	begin(t, services, func(cfg *config.File) { cfg.Canary.Every = 200 * time.Millisecond })
	env := <-envs
	index, err := env.Index(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Whoever sees everything sees none of them, at no moment.
	seen := func() int64 {
		t.Helper()
		n, err := index.Counts(t.Context(), search.Query{Viewer: search.SeesAllBrands()}, search.Query{Viewer: search.SeesAllBrands(), Text: "canary"})
		if err != nil {
			t.Fatal(err)
		}
		f, err := index.Facets(t.Context(), search.Query{Viewer: search.SeesAllBrands()}, search.FieldBrand)
		if err != nil {
			t.Fatal(err)
		}
		return n[0] + n[1] + int64(len(f[search.FieldBrand]))
	}
	var c source.Canary
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if n := seen(); n != 0 {
			t.Fatalf("staff would see %d", n)
		}
		if _, err := bus.Cursors.Get(t.Context(), env.Bus(), source.CanaryKey, &c); err != nil && !errors.Is(err, bus.ErrNotFound) {
			t.Fatal(err)
		}
		came := 0
		for _, r := range c.Runs {
			if r.Took > 0 {
				came++
			}
		}
		if came >= 5 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("they don't come through: %+v", c)
		}
	}
	if d, ok := c.Quantile(.5); !ok || d <= 0 || d > 30*time.Second || c.Back.IsZero() || c.Overdue(c.Since, time.Now()) {
		t.Errorf("%+v", c)
	}
	left := func() (n int) {
		err := bus.Tagged.Since(t.Context(), env.Bus(), time.Now().Add(-time.Hour), 100, func(_ context.Context, batch []bus.Entry[mention.Tagged]) error {
			n += len(batch)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	// One may be on its way just now.
	for end := time.Now().Add(time.Minute); left() > 1; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d are left on the bus", left())
		}
	}
	if last, err := casework.Events().Last(t.Context(), env.Bus()); err != nil || last != 0 {
		t.Errorf("they have left %d events of cases, %v", last, err)
	}
}
