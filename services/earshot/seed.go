package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/text"
	"github.com/earshot/earshot/services/earshot/demo"
)

// seed gives a new installation the starter templates and playbooks. One that
// has any is left alone, also where people deleted them.
func seed(ctx context.Context, s *settings.Store) error {
	templates, err := demo.Templates()
	if err != nil {
		return err
	}
	playbooks, err := demo.Playbooks()
	if err != nil {
		return err
	}
	if len(settings.Templates.All(s)) == 0 {
		// What fits today is read again in a year.
		review := time.Now().AddDate(1, 0, 0).Format(time.DateOnly)
		for _, t := range templates {
			t.ReviewBy = review
			if err := create(ctx, s, settings.Templates, t.ID, t); err != nil {
				return err
			}
		}
	}
	if len(settings.Playbooks.All(s)) == 0 {
		for _, p := range playbooks {
			if err := create(ctx, s, settings.Playbooks, p.ID, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// create puts a setting that is not there yet.
func create[T any](ctx context.Context, s *settings.Store, set settings.Set[T], id string, v T) error {
	if set.Version(s, id) > 0 {
		return nil
	}
	if err := set.Put(ctx, s, "cli", id, 0, v); err != nil && !errors.Is(err, settings.ErrStale) {
		return err
	}
	return nil
}

// addBrands sets up the brands of the command line, and every source that needs
// no credentials. What is there already stays as people made it.
func addBrands(ctx context.Context, s *settings.Store, o *serveOptions) error {
	if len(o.brands) == 0 {
		return nil
	}
	for _, b := range o.brands {
		q := b.query
		if q == "" {
			q = strconv.Quote(b.name)
			if tag := strings.Join(strings.Fields(b.name), ""); tag != b.name || !strings.ContainsAny(tag, " .-") {
				q += " OR #" + tag
			}
		}
		if err := create(ctx, s, settings.Brands, slug(b.name), settings.Brand{ID: slug(b.name), Name: b.name, Query: q}); err != nil {
			return fmt.Errorf("brand %s: %w", b.name, err)
		}
	}
	sources := []settings.Source{
		{ID: "google-news", Name: "Google News", Kind: "feed", Config: json.RawMessage(`{"search":"google-news"}`)},
		{ID: "hacker-news", Name: "Hacker News", Kind: "hackernews"},
		{ID: "bluesky", Name: "Bluesky", Kind: "bluesky"},
		{ID: "mastodon-social", Name: "mastodon.social", Kind: "mastodon", Config: json.RawMessage(`{"server":"https://mastodon.social"}`)},
	}
	for _, n := range o.appStore {
		sources = append(sources, settings.Source{
			ID: "app-store-" + n, Name: "App Store " + n, Kind: "appstore", Brand: slug(o.brands[0].name),
			Config: json.RawMessage(fmt.Sprintf(`{"app":%q}`, n)),
		})
	}
	for _, src := range sources {
		if err := create(ctx, s, settings.Sources, src.ID, src); err != nil {
			return err
		}
	}
	return nil
}

// slug makes a brand's id from its name. Names without Latin letters get a
// digest: an id never changes, so it must not depend on a romanisation.
func slug(name string) string {
	var b strings.Builder
	for _, r := range text.Fold(name) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	s := strings.Trim(b.String(), "-")
	if len(s) > 48 {
		s = strings.Trim(s[:48], "-")
	}
	if s == "" {
		sum := sha256.Sum256([]byte(text.Fold(name)))
		s = "brand-" + hex.EncodeToString(sum[:4])
	}
	return s
}
