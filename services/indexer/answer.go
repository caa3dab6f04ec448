package indexer

import (
	"context"
	"errors"
	"fmt"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// EraseRequest asks for the erasure of one mention, of all mentions of an
// author on a platform, or of all that came from a source.
type EraseRequest struct {
	Mention  mention.ID `json:"mention,omitempty"`
	Platform string     `json:"platform,omitempty"`
	Author   string     `json:"author,omitempty"` // the platform's id or the handle
	Source   string     `json:"source,omitempty"`
	Why      string     `json:"why,omitempty"`
	Actor    string     `json:"actor,omitempty"`
}

// UsesRequest asks which cases count on a setting; the answer is a list of
// [settings.Use].
type UsesRequest struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

// HandBackRequest asks that the cases of somebody who can no longer work on them are
// taken from them, as by [app.HandBack]; the answer is how many there were.
type HandBackRequest struct {
	Staff string `json:"staff"`
}

// Status tells where the index stands.
type Status struct {
	Documents int64             `json:"documents"`
	Positions map[string]uint64 `json:"positions"`
	Last      map[string]uint64 `json:"last"`
}

// answer serves what others ask of the indexer.
func (x *indexer) answer(ctx context.Context) error {
	known := func(ctx context.Context, ids []mention.ID) ([]bool, error) {
		docs, err := x.documents(ctx, ids)
		have := make([]bool, len(ids))
		for i, id := range ids {
			have[i] = docs[id] != nil
		}
		return have, err
	}
	erase := func(ctx context.Context, r EraseRequest) (int, error) { return x.erase(ctx, r) }
	reindex := func(context.Context, struct{}) (struct{}, error) {
		select {
		case x.again <- struct{}{}:
		default:
		}
		return struct{}{}, nil
	}
	return errors.Join(
		bus.Answer(ctx, x.bus, "indexer", "known", known),
		bus.Answer(ctx, x.bus, "indexer", "erase", erase),
		bus.Answer(ctx, x.bus, "indexer", "stored", x.stored),
		bus.Answer(ctx, x.bus, "indexer", "replied", x.replied),
		bus.Answer(ctx, x.bus, "indexer", "subject", x.subject),
		bus.Answer(ctx, x.bus, "indexer", "published", x.published),
		bus.Answer(ctx, x.bus, "indexer", "reindex", reindex),
		bus.Answer(ctx, x.bus, "indexer", "uses", func(ctx context.Context, r UsesRequest) ([]settings.Use, error) {
			return app.CaseUses(ctx, x.index, x.cases, r.Kind, r.ID)
		}),
		bus.Answer(ctx, x.bus, "indexer", "hand-back", func(ctx context.Context, r HandBackRequest) (int, error) {
			return app.HandBack(ctx, x.index, x.cases, r.Staff)
		}),
		bus.Answer(ctx, x.bus, "indexer", "status", func(ctx context.Context, _ struct{}) (Status, error) { return x.status(ctx) }),
		bus.AnswerRetries(ctx, x.bus, "indexer", x.retry),
		bus.AnswerRetries(ctx, x.bus, "indexer-cases", x.retryCase),
		bus.AnswerRetries(ctx, x.bus, "indexer-archive", x.retryArchive),
	)
}

func (x *indexer) status(ctx context.Context) (Status, error) {
	stats, err := x.index.Stats(ctx)
	if err != nil {
		return Status{}, err
	}
	tagged, err1 := bus.Tagged.Last(ctx, x.bus)
	cases, err2 := casework.Events().Last(ctx, x.bus)
	archive, err3 := casework.Snapshots().Last(ctx, x.bus)
	return Status{
		Documents: stats.Documents, Positions: stats.Positions,
		Last: map[string]uint64{
			bus.Tagged.Stream(): tagged, casework.Events().Stream(): cases, casework.Snapshots().Stream(): archive,
		},
	}, errors.Join(err1, err2, err3)
}

// retry indexes one message of TAGGED that was given up.
func (x *indexer) retry(ctx context.Context, seq uint64) error {
	e, err := bus.Tagged.Get(ctx, x.bus, seq)
	if errors.Is(err, bus.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return x.inOrder(ctx, func(ctx context.Context) error {
		docs, err := x.documents(ctx, []mention.ID{e.Value.Mention.ID})
		if err != nil {
			return err
		}
		waiting, err := x.heard(ctx, []*mention.Tagged{&e.Value})
		if err != nil {
			return err
		}
		d, gone, err := x.tagged(ctx, &e, docs[e.Value.Mention.ID], waiting)
		if err != nil || d == nil {
			return err
		}
		if err := x.index.Write(ctx, search.Batch{Upserts: []search.Document{*d}}); err != nil || !gone {
			return err
		}
		return x.eraseMention(ctx, identity.System(), d, "deleted on the platform")
	})
}

// retryCase writes the case anew that an event, which was given up, belongs to.
func (x *indexer) retryCase(ctx context.Context, seq uint64) error {
	e, err := casework.Events().Get(ctx, x.bus, seq)
	if errors.Is(err, bus.ErrNotFound) {
		return nil
	}
	if e.Key == "" {
		return err
	}
	return x.inOrder(ctx, func(ctx context.Context) error { return x.renew(ctx, mention.ID(e.Key)) })
}

// erase carries out a request and returns how many mentions it concerned. When
// it returns, nothing of them is left on the bus or in the index's files.
func (x *indexer) erase(ctx context.Context, r EraseRequest) (int, error) {
	by := identity.Console()
	where := map[search.Field][]string{}
	switch {
	case r.Mention != "":
		docs, err := x.documents(ctx, []mention.ID{r.Mention})
		if err != nil {
			return 0, err
		}
		if docs[r.Mention] == nil {
			return 0, fmt.Errorf("mention %s: %w", r.Mention, casework.ErrUnknown)
		}
		return 1, x.eraseAll(ctx, by, []*search.Document{docs[r.Mention]}, r.Why)
	case r.Author != "" && r.Platform != "":
		docs, err := x.ofAuthor(ctx, r.Platform, r.Author)
		if err != nil {
			return 0, err
		}
		return len(docs), x.eraseAll(ctx, by, docs, r.Why)
	case r.Source != "":
		where[search.FieldSource] = []string{r.Source}
	default:
		return 0, errors.New("say what to erase: a mention, an author with its platform, or a source")
	}
	docs, err := x.all(ctx, where)
	if err != nil {
		return 0, err
	}
	return len(docs), x.eraseAll(ctx, by, pointers(docs), r.Why)
}

func pointers(docs []search.Document) []*search.Document {
	out := make([]*search.Document, len(docs))
	for i := range docs {
		out[i] = &docs[i]
	}
	return out
}

func (x *indexer) eraseAll(ctx context.Context, by identity.Viewer, docs []*search.Document, why string) error {
	for _, d := range docs {
		if err := x.eraseMention(ctx, by, d, why); err != nil {
			return err
		}
	}
	// The rows lose their texts when the index has read the erasures, and a
	// snapshot that was stored just before goes when it is read.
	for _, t := range []bus.Topic[casework.Event]{casework.Events().Topic, casework.Snapshots()} {
		last, err := t.Last(ctx, x.bus)
		if err != nil {
			return err
		}
		if err := x.index.Wait(ctx, t.Stream(), last); err != nil {
			return err
		}
	}
	if err := x.index.Scrub(ctx); err != nil {
		return err
	}
	x.scrub.Store(false)
	return nil
}

// eraseMention takes one mention's texts off the bus. The index follows when it
// reads the event that this leaves.
func (x *indexer) eraseMention(ctx context.Context, by identity.Viewer, d *search.Document, why string) error {
	if err := x.cases.Erase(ctx, by, d.Brand, d.ID, d.Tagged, why); err != nil {
		return err
	}
	x.scrub.Store(true)
	return escalation.Erase(ctx, x.bus, by.Actor(), d.ID, x.now())
}
