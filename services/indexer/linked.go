package indexer

import (
	"context"
	"errors"
	"slices"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/source"
)

// linkAnswers tells the cases whose replies these new mentions answer.
func (x *indexer) linkAnswers(ctx context.Context, mentions []*mention.Mention) error {
	for part := range slices.Chunk(mentions, search.MaxValues) {
		var parents []string
		for _, m := range part {
			parents = append(parents, m.Thread.Parent)
		}
		cases, err := x.all(ctx, map[search.Field][]string{search.FieldSent: parents})
		if err != nil {
			return err
		}
		for i := range cases {
			d := &cases[i]
			for _, m := range part {
				if m.Brand == d.Brand && m.Platform == d.Platform && slices.Contains(d.Sent, m.Thread.Parent) {
					if err := x.answered(ctx, d.ID, m); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// replied says of each post which brands published it as a reply.
func (x *indexer) replied(ctx context.Context, posts []source.ParentPost) ([][]string, error) {
	brands := make([][]string, len(posts))
	for part := range slices.Chunk(posts, search.MaxValues) {
		var natives []string
		for _, p := range part {
			natives = append(natives, p.NativeID)
		}
		cases, err := x.all(ctx, map[search.Field][]string{search.FieldSent: natives})
		if err != nil {
			return nil, err
		}
		for i := range cases {
			d := &cases[i]
			for j, p := range posts {
				if p.Platform == d.Platform && slices.Contains(d.Sent, p.NativeID) && !slices.Contains(brands[j], d.Brand) {
					brands[j] = append(brands[j], d.Brand)
				}
			}
		}
	}
	return brands, nil
}

// answersTo tells a case, whose replies in d are more than in have, of the
// mentions that answer them and came before it was known that they are ours.
func (x *indexer) answersTo(ctx context.Context, d, have *search.Document) error {
	sent := slices.DeleteFunc(slices.Clone(d.Sent), func(native string) bool { return have != nil && slices.Contains(have.Sent, native) })
	if len(sent) == 0 {
		return nil
	}
	answers, err := x.all(ctx, map[search.Field][]string{search.FieldParent: sent, search.FieldPlatform: {d.Platform}, search.FieldBrand: {d.Brand}})
	if err != nil {
		return err
	}
	for i := range answers {
		a := &answers[i]
		m := mention.Mention{ID: a.ID, Brand: a.Brand, Post: mention.Post{
			Platform: a.Platform, Author: mention.Author{ID: a.AuthorID, Handle: a.AuthorHandle}, Thread: mention.Thread{Parent: a.Parent},
		}}
		if err := x.answered(ctx, d.ID, &m); err != nil {
			return err
		}
	}
	return nil
}

// answered notes in case id that m answers our reply, and in the case that it
// was merged into, if it was.
func (x *indexer) answered(ctx context.Context, id mention.ID, m *mention.Mention) error {
	s, err := x.cases.Record(ctx, id, func(s *casework.State) (casework.Event, bool) { return s.AnsweredBy(m) })
	if errors.Is(err, casework.ErrUnknown) {
		return nil // erased meanwhile
	}
	i := slices.IndexFunc(s.Answers, func(a casework.Answer) bool { return a.ID == m.ID })
	if err != nil || s.Merged == "" || i < 0 {
		return err
	}
	_, err = x.cases.Record(ctx, s.Merged, func(into *casework.State) (casework.Event, bool) { return into.AnsweredIn(s.Answers[i]) })
	return err
}

// all returns the documents that have one of the values for every field.
func (x *indexer) all(ctx context.Context, where map[search.Field][]string) ([]search.Document, error) {
	q := search.Query{Viewer: search.SeesAll(), Sort: search.Oldest, Limit: search.MaxLimit, Where: where}
	var all []search.Document
	for {
		page, err := x.index.Search(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range page.Hits {
			all = append(all, page.Hits[i].Document)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return all, nil
		}
	}
}
