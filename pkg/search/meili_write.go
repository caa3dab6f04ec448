package search

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/text"
)

// The server gets the terms of a document, not its text to cut: its own
// analysis of Japanese depends on a dictionary, cuts queries unlike documents
// and takes kanji without kana for Chinese. Each character of Japanese is
// written as three runes, which the server takes for letters of a script of
// its own, and so for one word what it must not cut. A run of characters is
// then looked for as a phrase of its pairs.

// rune3 appends r, which is below 2^18, in three letters of 64.
func rune3(dst []byte, r rune) []byte {
	for shift := 12; shift >= 0; shift -= 6 {
		dst = utf8.AppendRune(dst, 0x16A0+r>>shift&63)
	}
	return dst
}

// spell appends a term as the server gets it.
func spell(dst []byte, term string) []byte {
	if text.IsWord(firstRune(term)) {
		return append(dst, term...)
	}
	for _, r := range term {
		dst = rune3(dst, r&(1<<18-1))
	}
	return dst
}

// spelt returns the terms of s with spaces between them, and its Japanese
// characters each once.
func spelt(s string) (all string, chars map[rune]bool) {
	s = bounded(s)
	var b []byte
	terms(s, func(term string) { b = append(spell(b, term), ' ') })
	chars = map[rune]bool{}
	for _, r := range s {
		if text.IsCJK(r) {
			chars[r] = true
		}
	}
	return string(b), chars
}

// meiliDocument is what the server gets of d: what it filters, sorts and
// searches by, and the document itself as one string it does not look into.
func meiliDocument(d *Document) map[string]any {
	if d.Seq == 0 {
		d.Seq = derivedSeq(d.ID)
	}
	content, chars := spelt(d.Content())
	author, more := spelt(d.author())
	maps.Copy(chars, more)
	var single []byte
	for _, r := range slices.Sorted(maps.Keys(chars)) {
		single = append(rune3(single, r), ' ')
	}
	m := map[string]any{
		"id": d.ID, "qkey": d.queueKey(), "seq": d.Seq,
		"published": toMilli(d.PublishedAt), "seen": toMilli(d.SeenAt), "due": toMilli(d.DueAt), "next": toMilli(d.NextAt),
		"terms": content, "author_terms": author, "chars": string(single),
		"doc": base64.RawStdEncoding.EncodeToString(encode(nil, d)),
	}
	if d.Story != "" {
		m["group"] = hashKey(d.Brand + "\x00" + d.Story)
	}
	yes := map[bool]string{true: Yes, false: No}
	for _, f := range fields {
		var v any
		switch f.name {
		case FieldOpen:
			v = yes[d.Open]
		case FieldPage:
			v = yes[d.Page]
		case FieldMedia:
			v = yes[d.Media != ""]
		case FieldRating:
			v = d.Rating
		case FieldNumber:
			v = d.Number
		case FieldStory:
			v = hashKey(d.Story)
		case FieldAuthor:
			v = hashKey(d.AuthorID)
		case FieldParent:
			v = hashKey(d.Parent)
		case FieldSent:
			v = d.sentKeys()
		case FieldRisk, FieldTag:
			v = strings.Split(d.value(f.name), setSep)
		default:
			v = d.value(f.name)
		}
		m[string(f.name)] = v
	}
	return m
}

// Write implements [Engine]: one task for what is deleted, one for documents
// and positions. It returns when they are visible.
func (e *Meili) Write(ctx context.Context, b Batch) error {
	docs, err := b.accept("meilisearch")
	if err != nil {
		return err
	}
	for stream := range b.Positions {
		if !validStream(stream) {
			return fmt.Errorf("search: meilisearch: %q cannot be the name of a stream", stream)
		}
	}
	e.writing.Lock()
	defer e.writing.Unlock()
	var gone []string
	for _, id := range b.Deletes {
		if id.Valid() {
			gone = append(gone, string(id))
		}
	}
	if len(gone) > 0 {
		if err := e.done(ctx)(e.index.DeleteDocumentsWithContext(ctx, gone, nil)); err != nil {
			return err
		}
	}
	payload := make([]any, 0, len(docs)+len(b.Positions))
	for i := range docs {
		payload = append(payload, meiliDocument(&docs[i]))
	}
	for _, stream := range slices.Sorted(maps.Keys(b.Positions)) {
		payload = append(payload, meiliNote{ID: positionID + stream, Seq: b.Positions[stream]})
	}
	if len(payload) == 0 {
		return nil
	}
	err = e.send(ctx, payload)
	if refused, ok := errors.AsType[*requestError](err); ok && len(docs) > 0 {
		var bad []mention.ID
		if bad, err = e.bisect(ctx, payload[:len(docs)], docs); err != nil {
			return err
		}
		if bad != nil {
			return &RejectedError{Engine: "meilisearch", IDs: bad, Reason: refused.Code}
		}
		// Cut smaller it went in; only the positions are left.
		err = e.send(ctx, payload[len(docs):])
	}
	if err != nil {
		return err
	}
	e.mu.Lock()
	maps.Copy(e.positions, b.Positions)
	e.mu.Unlock()
	return nil
}

// validStream tells whether a stream's position can have a document.
func validStream(name string) bool {
	return name != "" && len(name) < 256 && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

func (e *Meili) send(ctx context.Context, payload []any) error {
	if len(payload) == 0 {
		return nil
	}
	return e.done(ctx)(e.index.AddDocumentsWithContext(ctx, payload, nil))
}

// bisect writes the documents in ever smaller parts and returns those that are
// refused alone: one bad document fails the whole payload it is in.
func (e *Meili) bisect(ctx context.Context, payload []any, docs []Document) ([]mention.ID, error) {
	var bad []mention.ID
	if len(docs) == 1 {
		return []mention.ID{docs[0].ID}, nil
	}
	half := len(docs) / 2
	for _, part := range []struct {
		payload []any
		docs    []Document
	}{{payload[:half], docs[:half]}, {payload[half:], docs[half:]}} {
		err := e.send(ctx, part.payload)
		if err == nil {
			continue
		}
		if _, ok := errors.AsType[*requestError](err); !ok {
			return nil, err
		}
		found, err := e.bisect(ctx, part.payload, part.docs)
		if err != nil {
			return nil, err
		}
		bad = append(bad, found...)
	}
	return bad, nil
}
