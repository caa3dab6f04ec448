package pager

import (
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

// listener is a bench with one source and somebody who runs it.
func listener(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	ctx := t.Context()
	must(t, settings.Staff.Put(ctx, b.settings, "ada", "ada", 0, identity.Staff{
		ID: "ada", Name: "Ada", Email: "ada@example.com", Grants: []identity.Grant{{Role: identity.Admin, Brands: []string{"*"}}},
	}))
	must(t, settings.Sources.Put(ctx, b.settings, "ada", "news", 0, settings.Source{
		ID: "news", Name: "News", Kind: "sandbox", Config: []byte(`{"dir":"news"}`),
	}))
	return b
}

// fares has the fetcher say how the source fares, and the pager look.
func (b *bench) fares(p source.Progress) {
	b.t.Helper()
	must(b.t, bus.Cursors.Put(b.t.Context(), b.bus, source.ProgressKey("news"), p))
	for range 2 {
		must(b.t, b.silences(b.t.Context()))
	}
	b.settled()
}

func TestASilentSourceIsToldOnce(t *testing.T) {
	t.Parallel()
	b := listener(t)
	must(t, b.silences(t.Context())) // nothing is known of it yet
	quiet := source.Progress{Taken: monday.Add(-2 * time.Hour), Gap: time.Minute, Silent: true, Error: "status 401"}
	b.fares(quiet)
	s := b.all()
	if got := b.got(); got != "trigger" || len(s) != 1 {
		t.Fatalf("pages %q, %d escalations", got, len(s))
	}
	if s[0].Urgency != escalation.Notify || s[0].Title != "News" || !strings.Contains(s[0].Rule, "usually every 1m0s; status 401") {
		t.Errorf("%+v", s[0])
	}
	b.pass(3 * time.Hour)
	b.fares(quiet)
	if got := b.got(); got != "trigger" {
		t.Errorf("it goes on: %q", got)
	}
	b.fares(source.Progress{Taken: b.clock.Now()})
	if got := b.got(); got != "trigger resolve" || b.all()[0].Open() {
		t.Errorf("it is heard again: %q", got)
	}
	b.pass(3 * time.Hour)
	b.fares(source.Progress{Taken: b.clock.Now().Add(-2 * time.Hour), Silent: true})
	if got := b.got(); got != "trigger resolve trigger" || len(b.all()) != 2 {
		t.Errorf("the next silence: %q", got)
	}
}

func TestWhoeverClosesASilenceHearsNoMoreOfIt(t *testing.T) {
	t.Parallel()
	b := listener(t)
	quiet := source.Progress{Taken: monday.Add(-2 * time.Hour), Silent: true}
	b.fares(quiet)
	b.says(escalation.Event{Kind: escalation.Resolved})
	b.pass(24 * time.Hour)
	b.fares(quiet)
	if got := b.got(); got != "trigger resolve" || len(b.all()) != 1 {
		t.Errorf("%q, %d escalations", got, len(b.all()))
	}
}

func TestASourceThatIsSwitchedOffIsNotSilent(t *testing.T) {
	t.Parallel()
	b := listener(t)
	b.fares(source.Progress{Taken: monday.Add(-2 * time.Hour), Silent: true})
	src, _ := settings.Sources.Get(b.settings, "news")
	src.Off = true
	must(t, settings.Sources.Put(t.Context(), b.settings, "ada", "news", settings.Sources.Version(b.settings, "news"), src))
	must(t, b.silences(t.Context()))
	if got := b.got(); got != "trigger resolve" {
		t.Errorf("%q", got)
	}
}

func TestTheSilenceOfASourceGoesByThePolicy(t *testing.T) {
	t.Parallel()
	b := listener(t)
	// A rule for everything wakes; a silence doesn't.
	policy := escalation.Policy{
		Rules:   []escalation.Rule{{Urgency: escalation.Wake}},
		Ladders: []escalation.Ladder{{Rungs: []escalation.Rung{{Who: []string{"role:admin"}}}}},
	}
	must(t, settings.Policies.Put(t.Context(), b.settings, "ada", settings.Default, 0, policy))
	b.fares(source.Progress{Taken: monday.Add(-2 * time.Hour), Silent: true})
	if s := b.all(); len(s) != 1 || s[0].Urgency != escalation.Notify {
		t.Fatalf("%+v", s)
	}
	policy.Rules = append([]escalation.Rule{{Origins: []escalation.Origin{escalation.BySilence}, Urgency: escalation.Ignore}}, policy.Rules...)
	must(t, settings.Policies.Put(t.Context(), b.settings, "ada", settings.Default, settings.Policies.Version(b.settings, settings.Default), policy))
	b.fares(source.Progress{Taken: monday.Add(-time.Hour)})
	b.fares(source.Progress{Taken: monday.Add(-time.Hour), Silent: true})
	if s := b.all(); len(s) != 1 || s[0].Open() {
		t.Errorf("ignored, and told: %+v", s)
	}
}
