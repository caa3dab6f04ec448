package casework

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

// Erase removes what outsiders said and who they are from the bus: the case's
// events and its snapshot, the messages of TAGGED with these sequences, and dead
// letters. A snapshot that the index does not name yet is left to the indexer. What
// stays is one event with actors, times, kinds and hashes. It may be called
// again after a failure, and again for texts that arrived since.
func (s *Store) Erase(ctx context.Context, by identity.Viewer, brand string, id mention.ID, tagged []uint64, why string) error {
	if !by.Can(identity.Erase, brand) {
		return refuse(CodeForbidden, "you may not erase for this brand")
	}
	archived, err := s.src.Archived(ctx, id)
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return fmt.Errorf("erase %s: %w", id, err)
	}
	events, err := s.redact(ctx, by, brand, id, why)
	if err != nil {
		return fmt.Errorf("erase %s: %w", id, err)
	}
	// The event in force is the last one; everything below it goes, at the end:
	// it tells whoever has to begin again what is left to do.
	var (
		old []uint64
		all []Event
	)
	for _, e := range events {
		old = append(old, e.Seq)
		all = append(append(all, e.History...), e)
	}
	for _, e := range all {
		if e.Tagged > 0 {
			tagged = append(tagged, e.Tagged)
		}
	}
	if err := s.eraseFiles(ctx, all, tagged); err != nil {
		return fmt.Errorf("erase %s: %w", id, err)
	}
	if err := bus.Tagged.Erase(ctx, s.bus, tagged...); err != nil {
		return fmt.Errorf("erase %s: %w", id, err)
	}
	if err := s.eraseDead(ctx, id); err != nil {
		return fmt.Errorf("erase %s: %w", id, err)
	}
	if archived > 0 {
		if err := snapshots.Erase(ctx, s.bus, archived); err != nil {
			return fmt.Errorf("erase %s: %w", id, err)
		}
	}
	if err := journal.Erase(ctx, s.bus, old...); err != nil {
		return fmt.Errorf("erase %s: %w", id, err)
	}
	return nil
}

// Expire removes a mention that nobody has touched, with these sequences in
// TAGGED, from the bus. Nothing stays of it. A case that somebody has just begun
// keeps its text.
func (s *Store) Expire(ctx context.Context, id mention.ID, tagged []uint64) error {
	events, _, err := journal.Read(ctx, s.bus, string(id))
	if err != nil || len(events) > 0 {
		return err
	}
	if err := s.eraseFiles(ctx, nil, tagged); err != nil {
		return fmt.Errorf("expire %s: %w", id, err)
	}
	if err := bus.Tagged.Erase(ctx, s.bus, tagged...); err != nil {
		return fmt.Errorf("expire %s: %w", id, err)
	}
	return s.eraseDead(ctx, id)
}

// eraseFiles removes the attachments that events and stored mentions name.
func (s *Store) eraseFiles(ctx context.Context, events []Event, tagged []uint64) error {
	var media []mention.Media
	for _, e := range events {
		if e.Mention != nil {
			media = append(media, e.Mention.Media...)
		}
		for _, f := range e.Files {
			media = append(media, mention.Media{URL: f.Key})
		}
	}
	for _, seq := range tagged {
		t, err := bus.Tagged.Get(ctx, s.bus, seq)
		if errors.Is(err, bus.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		media = append(media, t.Value.Mention.Media...)
	}
	for _, m := range media {
		if err := s.bus.EraseFile(ctx, m.URL); err != nil {
			return err
		}
	}
	return nil
}

// redact appends the event that replaces all others, unless it is there and
// the last one already, and returns the events it replaces.
func (s *Store) redact(ctx context.Context, by identity.Viewer, brand string, id mention.ID, why string) ([]Event, error) {
	eventID := rand.Text()
	for {
		events, last, err := journal.Read(ctx, s.bus, string(id))
		if err != nil {
			return nil, err
		}
		if n := len(events); n > 0 && events[n-1].Kind == Redacted {
			return events[:n-1], nil
		}
		if len(events) == 0 {
			// An archived case is written back first: its events tell whoever has
			// to begin again what there is to erase.
			state, err := s.archived(ctx, id)
			if err == nil && state != nil {
				back := state.whole(Restored)
				_, err = s.open(ctx, id, state, &back)
				if err == nil || errors.Is(err, bus.ErrConflict) {
					continue
				}
			}
			if err != nil && !errors.Is(err, bus.ErrNotFound) {
				return nil, err
			}
		}
		e := Event{ID: eventID, At: s.now(), Actor: by.Actor(), Kind: Redacted, Text: why}
		if len(events) > 0 {
			state := Fold(id, events)
			e.Number = state.Number
			for _, h := range state.History {
				e.History = append(e.History, bare(h))
			}
		}
		e.Mention = &mention.Mention{ID: id, Brand: brand}
		if _, err = journal.Append(ctx, s.bus, string(id), last, &e); err == nil {
			return events, nil
		}
		if !errors.Is(err, bus.ErrConflict) {
			return nil, err
		}
	}
}

// bare keeps of an event who did what when, and what binds it to others; of a
// judgement the labels, on which figures rest.
func bare(e Event) Event {
	b := Event{
		ID: e.ID, Seq: e.Seq, At: e.At, Actor: e.Actor, Kind: e.Kind, Hash: e.Hash, Attempt: e.Attempt,
		Until: e.Until, Every: e.Every, Outcome: e.Outcome, Level: e.Level, Reason: e.Reason, Triage: e.Triage,
	}
	switch e.Kind {
	case HandedOver, MergedInto, Absorbed:
		b.To = e.To
	case Redacted:
		b.Text = e.Text
	case Judged:
		b.Verdict, b.Labels, b.Sample = labelsOf(e.Verdict), labelsOf(e.Labels), e.Sample
	}
	if d := e.Draft; d != nil {
		b.Draft = &Draft{
			Version: d.Version, Lang: d.Lang, Kind: d.Kind, Account: d.Account, Template: d.Template,
			TemplateVersion: d.TemplateVersion, Edited: d.Edited, Author: d.Author, At: d.At, To: d.To,
		}
	}
	return b
}

// eraseDead drops the dead letters that carry texts of the mention.
func (s *Store) eraseDead(ctx context.Context, id mention.ID) error {
	letters, err := s.bus.DeadLetters(ctx)
	if err != nil {
		return err
	}
	for _, d := range letters {
		if d.Subject != "case."+string(id) && !strings.HasPrefix(d.Headers["Nats-Msg-Id"], string(id)+".") {
			continue
		}
		if err := s.bus.DropDead(ctx, d.ID); err != nil && !errors.Is(err, bus.ErrNotFound) {
			return err
		}
	}
	return nil
}
