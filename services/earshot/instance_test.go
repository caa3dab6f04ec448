package main

import (
	"testing"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/settings"
)

// begin starts services in a folder of their own until the test ends, with brands
// whose names and queries are their ids. configure, where it isn't nil, changes the
// defaults. must ends the test at an error.
func begin(t *testing.T, services []app.Service, configure func(*config.File), brands ...string) (a *app.App, cfg config.File, must func(error)) {
	t.Helper()
	must = func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	cfg = config.Default()
	cfg.Data, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	if configure != nil {
		configure(&cfg)
	}
	a, err := app.Start(t.Context(), app.Options{Config: cfg, Services: services, Version: "test", Log: bustest.Log(t)})
	must(err)
	t.Cleanup(func() { _ = a.Stop() })
	for _, id := range brands {
		must(settings.Brands.Put(t.Context(), a.Env("test").Settings(), "cli", id, 0, settings.Brand{ID: id, Name: id, Query: id}))
	}
	return a, cfg, must
}
