package indexer

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/source"
)

// linkAnswers tells the cases whose replies these new mentions answer; those of
// the author go on there. Store writes the row of a mention, before its case does.
func (x *indexer) linkAnswers(ctx context.Context, mentions []*mention.Tagged, store func(mention.ID) error) error {
	for part := range slices.Chunk(mentions, search.MaxValues) {
		var parents []string
		for _, t := range part {
			parents = append(parents, t.Mention.Thread.Parent)
		}
		cases, err := x.all(ctx, map[search.Field][]string{search.FieldSent: parents})
		if err != nil {
			return err
		}
		for i := range cases {
			d := &cases[i]
			for _, t := range part {
				if m := &t.Mention; m.Brand == d.Brand && m.Platform == d.Platform && slices.Contains(d.Sent, m.Thread.Parent) {
					if err := store(m.ID); err != nil {
						return err
					}
					if err := x.answered(ctx, d.ID, t); err != nil {
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
		if err := x.answered(ctx, d.ID, taggedOf(&answers[i])); err != nil {
			return err
		}
	}
	return nil
}

// taggedOf is a mention as far as its row tells.
func taggedOf(d *search.Document) *mention.Tagged {
	t := &mention.Tagged{
		Mention: mention.Mention{ID: d.ID, Brand: d.Brand, Post: mention.Post{
			Platform: d.Platform, Author: mention.Author{ID: d.AuthorID, Handle: d.AuthorHandle}, Thread: mention.Thread{Parent: d.Parent}, SeenAt: d.SeenAt, PublishedAt: d.PublishedAt,
		}},
		Verdict: mention.Verdict{Lang: d.Lang, Sentiment: d.Sentiment, Intent: d.Intent, Disposition: d.Disposition, Page: d.Page},
	}
	for _, c := range d.Risks {
		t.Verdict.Risks = append(t.Verdict.Risks, mention.Risk{Category: c, Score: 1})
	}
	return t
}

// answered notes in case id that t answers our reply, and in the cases that it was
// merged into, if it was. An answer of whom we answered goes on in the last of them.
func (x *indexer) answered(ctx context.Context, id mention.ID, t *mention.Tagged) error {
	m := &t.Mention
	if err := x.authorWrote(ctx, id, t); err != nil {
		return unlessErased(err)
	}
	s, err := x.toward(ctx, id, m, func(s *casework.State) (casework.Event, bool) { return s.AnsweredBy(m) })
	heard, ok := s.Heard(m.ID)
	if err != nil || !ok {
		return unlessErased(err)
	}
	into := id
	for passed := []mention.ID{id}; s.Merged != "" && !slices.Contains(passed, s.Merged); passed = append(passed, into) {
		into = s.Merged
		s, err = x.cases.Record(ctx, into, func(s *casework.State) (casework.Event, bool) {
			e, ok := s.Hears(&heard, t)
			if ok && e.Kind != heard.Kind {
				e.Triage = x.settings.Triage(m, &t.Verdict, casework.Signals{})
			}
			return e, ok
		})
		if err != nil {
			return unlessErased(err)
		}
		if e, ok := s.Heard(m.ID); ok {
			heard = e
		}
	}
	if heard.Kind != casework.AuthorWrote {
		return nil
	}
	_, err = x.cases.Record(ctx, m.ID, func(s *casework.State) (casework.Event, bool) { return s.Joins(into) })
	return unlessErased(err)
}

// toward records in case id what decide says of it with its face to the post that
// our reply answered which m answers: that post's author is whom we answered, beside
// the author of the case itself, who answers for it wherever our reply stands.
func (x *indexer) toward(ctx context.Context, id mention.ID, m *mention.Mention, decide func(*casework.State) (casework.Event, bool)) (casework.State, error) {
	var failed error
	s, err := x.cases.Record(ctx, id, func(s *casework.State) (casework.Event, bool) {
		facing := *s
		if i := slices.IndexFunc(s.Replies, func(r casework.Reply) bool { return r.Native == m.Thread.Parent }); i >= 0 && !s.Wrote(m) {
			facing, failed = x.cases.Toward(ctx, s, s.Replies[i].Draft.To)
			if _, ok := errors.AsType[*casework.Refused](failed); ok {
				facing, failed = *s, nil // it stands for itself again
			}
		}
		if failed != nil {
			return casework.Event{}, false
		}
		return decide(&facing)
	})
	return s, cmp.Or(err, failed)
}

// unlessErased is err, unless it says that a mention was erased meanwhile.
func unlessErased(err error) error {
	if errors.Is(err, casework.ErrUnknown) {
		return nil
	}
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
