// Package indexer is the service that keeps the index: it follows TAGGED, CASES
// and ARCHIVE, writes a document for every mention together with its place in
// the streams, wakes cases when their time has come, and puts away those that
// were closed long ago. It also answers what only the index knows, and carries
// out erasures.
package indexer

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// Service is the indexer as a process runs it. Of several, one works.
var Service = app.Service{Name: "indexer", Run: run}

func run(ctx context.Context, env *app.Env) error {
	index, err := env.Index(ctx)
	if err != nil {
		return err
	}
	x := &indexer{
		bus: env.Bus(), index: index, cases: env.Cases(index), settings: env.Settings(), log: env.Log, now: env.Now,
		stories: &escalation.Stories{}, retention: env.Config().Limits.Retention,
		work: make(chan step), again: make(chan struct{}, 1),
	}
	env.Ready()
	return x.bus.RunOnce(ctx, "indexer", env.Instance(), x.lead)
}

type indexer struct {
	bus       *bus.Conn
	index     search.Engine
	cases     *casework.Store
	settings  *settings.Store
	log       *slog.Logger
	now       func() time.Time
	stories   *escalation.Stories
	retention time.Duration

	// work is what the one writer does, in order.
	work chan step
	// again asks for the index to be filled anew.
	again chan struct{}
	// scrub tells that erased texts may still lie in the index's files.
	scrub atomic.Bool
}

// lead is the work of the one indexer that holds the lease.
func (x *indexer) lead(ctx context.Context) error {
	if err := x.answer(ctx); err != nil {
		return err
	}
	first := func(ctx context.Context) error {
		_, err := x.index.Ensure(ctx)
		return err
	}
	for ctx.Err() == nil {
		if err := x.patiently(ctx, first); err != nil {
			return err
		}
		if err := x.round(ctx); err != nil && !errors.Is(err, errAgain) {
			return err
		}
		first = x.index.Clear
	}
	return nil
}

var errAgain = errors.New("the index is filled anew")

// round follows the streams from where the index stands until ctx ends or a
// rebuild is asked for. ARCHIVE comes first: a mention whose case was put away
// must never look as if nobody had touched it.
func (x *indexer) round(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-x.again:
			return errAgain
		}
	})
	g.Go(func() error { return x.write(ctx) })
	g.Go(func() error { return x.wake(ctx) })
	g.Go(func() error { return x.sweep(ctx) })
	g.Go(func() error { return x.forget(ctx) })
	g.Go(func() error { return x.share(ctx) })
	archived := make(chan struct{})
	g.Go(func() error {
		return follow(ctx, x, casework.Snapshots(), x.takeArchive, sync.OnceFunc(func() { close(archived) }))
	})
	then := func(follow func() error) func() error {
		return func() error {
			select {
			case <-archived:
				return follow()
			case <-ctx.Done():
				return nil
			}
		}
	}
	g.Go(then(func() error { return follow(ctx, x, bus.Tagged, x.takeTagged, func() {}) }))
	g.Go(then(func() error { return follow(ctx, x, casework.Events().Topic, x.takeCases, func() {}) }))
	return g.Wait()
}

// takeTagged writes the mentions of a batch, unless somebody has touched them:
// then the case hears of what is new.
func (x *indexer) takeTagged(ctx context.Context, batch []bus.Entry[mention.Tagged]) error {
	ids := make([]mention.ID, 0, len(batch))
	for i := range batch {
		ids = append(ids, batch[i].Value.Mention.ID)
	}
	docs, err := x.documents(ctx, ids)
	if err != nil {
		return err
	}
	var answers []*mention.Tagged
	var news []*mention.Tagged
	for i := range batch {
		t := &batch[i].Value
		if m := &t.Mention; batch[i].Err == nil && docs[m.ID] == nil && !m.Deleted && m.Brand != mention.CanaryBrand {
			news = append(news, t)
		}
	}
	waiting, err := x.heard(ctx, news)
	if err != nil {
		return err
	}
	for i := range batch {
		e := &batch[i]
		if e.Err != nil {
			if err := bus.Bury(ctx, x.bus, "indexer", bus.Tagged, e.Seq, e.Err); err != nil {
				return err
			}
			continue
		}
		d, gone, err := x.tagged(ctx, e, docs[e.Value.Mention.ID], waiting)
		if err != nil {
			return err
		}
		if d == nil {
			continue
		}
		// Its first message may come twice, when this process ended in between.
		if was := docs[d.ID]; e.Value.Mention.Thread.Parent != "" && (was == nil || was.Seq == e.Seq) {
			answers = append(answers, &e.Value)
		}
		docs[d.ID] = d
		if gone {
			if err := x.eraseMention(ctx, identity.System(), d, "deleted on the platform"); err != nil {
				return err
			}
		}
	}
	store := func(id mention.ID) error {
		return x.index.Write(ctx, search.Batch{Upserts: []search.Document{*docs[id]}})
	}
	if err := x.linkAnswers(ctx, answers, store); err != nil {
		return err
	}
	last := batch[len(batch)-1].Seq
	if err := x.store(ctx, docs, bus.Tagged.Stream(), last); err != nil {
		return err
	}
	x.canaries(ctx, batch)
	for i := range batch {
		if t := &batch[i].Value; t.Verdict.Pass == 0 { // one that is judged again is late for another reason
			x.bus.Age("indexed", t.Mention.SeenAt, x.now())
		}
	}
	return nil
}

// tagged returns the document of one mention after e, or nil when e changes
// nothing. Gone tells that its texts must not stay: the platform withdrew it, or
// it was erased before and has come again.
func (x *indexer) tagged(ctx context.Context, e *bus.Entry[mention.Tagged], have *search.Document, waiting map[writer]int64) (doc *search.Document, gone bool, err error) {
	t := &e.Value
	if have == nil {
		if t.Mention.Deleted {
			return nil, false, nil
		}
		if t.Mention.Brand == mention.CanaryBrand {
			d := ofMention(t, casework.Triage{Disposition: mention.NotForUs}, e.Seq)
			return &d, false, nil
		}
		if err := x.wroteAgain(ctx, t); err != nil {
			return nil, false, err
		}
		size := x.stories.Add(t, x.now())
		w := writerOf(&t.Mention)
		triage := x.settings.Triage(&t.Mention, &t.Verdict, casework.Signals{Story: int64(size.LastHour), Before: waiting[w]})
		if _, counted := waiting[w]; counted && triage.Disposition == mention.Answer {
			waiting[w]++ // for the next of this batch
		}
		d := x.ofMention(t, triage, e.Seq)
		return &d, false, nil
	}
	was := mention.Tagged{Mention: mention.Mention{Revision: have.Revision}, Verdict: mention.Verdict{Pass: have.Pass}}
	newer := t.Compare(&was) > 0
	d := *have
	gone = t.Mention.Deleted
	d.Tagged = union(have.Tagged, []uint64{e.Seq})
	owned := have.Owner != search.OwnerTagged
	if newer && !owned {
		// The index may be behind: somebody may just have touched it.
		if _, owned, err = x.cases.Touched(ctx, have.ID); err != nil {
			return nil, false, err
		}
	}
	switch {
	case owned:
		if newer {
			erased, err := x.revise(ctx, e)
			if err != nil {
				return nil, false, err
			}
			gone = gone || erased
		}
	case newer:
		seq := have.Seq
		d2 := x.ofMention(t, x.settings.Triage(&t.Mention, &t.Verdict, casework.Signals{}), e.Seq)
		d2.Tagged, d2.Seq, d2.SeenAt = d.Tagged, seq, have.SeenAt
		if have.DueAt.After(time.Time{}) && !d2.DueAt.IsZero() && have.DueAt.Before(d2.DueAt) {
			d2.DueAt, d2.AnswerBy = have.DueAt, have.DueAt // an edit doesn't put the deadline off
		}
		d = d2
	}
	return &d, gone, nil
}

// revise tells a case of a new state of its post or of its verdict, unless the
// case was erased.
func (x *indexer) revise(ctx context.Context, e *bus.Entry[mention.Tagged]) (erased bool, err error) {
	t := &e.Value
	var edited *casework.State // as it was before
	s, err := x.cases.Record(ctx, t.Mention.ID, func(s *casework.State) (casework.Event, bool) {
		edited = nil
		was := mention.Tagged{Mention: s.Mention, Verdict: s.Verdict}
		if s.Redacted || s.ReadOnly != "" || t.Compare(&was) <= 0 {
			return casework.Event{}, false
		}
		if !t.Mention.Deleted && t.Mention.Revision.Hash != s.Mention.Revision.Hash {
			before := *s
			edited = &before
		}
		v := s.Correct(&t.Mention, &t.Verdict)
		return casework.Event{
			Kind: casework.Revised, Mention: &t.Mention, Verdict: &t.Verdict, Tagged: e.Seq,
			Triage: x.settings.Triage(&t.Mention, &v, casework.Signals{}),
		}, true
	})
	if err == nil && edited != nil {
		x.tellEdited(ctx, edited)
	}
	return s.Redacted, err
}

// takeCases writes the cases that something happened to.
func (x *indexer) takeCases(ctx context.Context, batch []bus.Entry[casework.Event]) error {
	ids := make([]mention.ID, 0, len(batch))
	for _, e := range batch {
		if id := mention.ID(e.Key); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	docs, err := x.documents(ctx, ids)
	if err != nil {
		return err
	}
	for i := range batch {
		if e := &batch[i]; e.Err != nil {
			if err := bus.Bury(ctx, x.bus, "indexer-cases", casework.Events().Topic, e.Seq, e.Err); err != nil {
				return err
			}
		}
	}
	for _, id := range ids {
		d, err := x.fold(ctx, id, docs[id], archivedAt(docs[id]))
		if err != nil {
			x.log.Error("case cannot be read; its row is not updated", "case", id, "error", err)
			continue
		}
		if d != nil {
			if err := x.answersTo(ctx, d, docs[id]); err != nil {
				return err
			}
			docs[id] = d
		}
	}
	return x.store(ctx, docs, casework.Events().Stream(), batch[len(batch)-1].Seq)
}

// fold returns the document of a case as its events have it now or, when it has
// none, the snapshot with that sequence in ARCHIVE. It is nil if that is what
// the index has.
func (x *indexer) fold(ctx context.Context, id mention.ID, have *search.Document, archived uint64) (*search.Document, error) {
	s, touched, err := x.cases.Touched(ctx, id)
	if err != nil {
		return nil, err
	}
	if archived > 0 {
		if archived, err = x.settle(ctx, id, &s, touched, archived); err != nil {
			return nil, err
		}
	}
	if !touched && archived == 0 {
		return nil, nil
	}
	owner := search.OwnerCase
	if !touched {
		owner = search.OwnerArchive
	}
	if have != nil && have.CaseSeq == s.Last && have.Archived == archived && have.Owner == owner {
		return nil, nil
	}
	d := x.ofCase(&s)
	inherit(&d, have)
	d.Owner, d.Archived = owner, archived
	return &d, nil
}

func union(a, b []uint64) []uint64 {
	out := append([]uint64(nil), a...)
next:
	for _, n := range b {
		for _, m := range a {
			if n == m {
				continue next
			}
		}
		out = append(out, n)
	}
	return out
}

// documents returns what the index has of ids; absent ones are nil.
func (x *indexer) documents(ctx context.Context, ids []mention.ID) (map[mention.ID]*search.Document, error) {
	have, err := x.index.Get(ctx, search.SeesAll(), ids...)
	if err != nil {
		return nil, err
	}
	docs := make(map[mention.ID]*search.Document, len(ids))
	for i := range have {
		docs[have[i].ID] = &have[i]
	}
	return docs, nil
}

// store writes docs with the place in the stream that they bring the index to.
// Documents that the engine will never take are put aside.
func (x *indexer) store(ctx context.Context, docs map[mention.ID]*search.Document, stream string, last uint64) error {
	b := search.Batch{Positions: map[string]uint64{stream: last}, Upserts: make([]search.Document, 0, len(docs))}
	fill := func() {
		b.Upserts = b.Upserts[:0]
		for _, d := range docs {
			b.Upserts = append(b.Upserts, *d)
		}
		// In the order of the index's rows, which is cheapest.
		slices.SortFunc(b.Upserts, func(a, b search.Document) int { return cmp.Compare(a.Seq, b.Seq) })
	}
	for {
		fill()
		err := x.index.Write(ctx, b)
		rejected, ok := errors.AsType[*search.RejectedError](err)
		if !ok {
			if err != nil {
				return err
			}
			break
		}
		x.log.Error("the index refuses mentions", "mentions", rejected.IDs, "reason", rejected.Reason)
		for _, id := range rejected.IDs {
			if d := docs[id]; d != nil && len(d.Tagged) > 0 {
				if err := bus.Bury(ctx, x.bus, "indexer", bus.Tagged, d.Tagged[len(d.Tagged)-1], err); err != nil {
					return err
				}
			}
			delete(docs, id)
		}
	}
	x.tell(b.Upserts)
	return nil
}

// Indexed is told on the bus after every write, for the desk's live lists.
type Indexed struct {
	IDs    []mention.ID `json:"ids"`
	Brands []string     `json:"brands"`
}

// tellAtMost bounds how many ids one notice carries; a larger write only says
// which brands it touched.
const tellAtMost = 100

func (x *indexer) tell(docs []search.Document) {
	var n Indexed
	seen := map[string]bool{}
	for _, d := range docs {
		if d.Brand == mention.CanaryBrand {
			continue
		}
		if len(docs) <= tellAtMost {
			n.IDs = append(n.IDs, d.ID)
		}
		if !seen[d.Brand] {
			seen[d.Brand] = true
			n.Brands = append(n.Brands, d.Brand)
		}
	}
	if len(n.Brands) == 0 && len(docs) > 0 {
		return
	}
	if err := x.bus.Tell("indexed", n); err != nil {
		x.log.Debug("live notice not sent", "error", err)
	}
}

// wake asks every second which cases time has changed.
func (x *indexer) wake(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	away := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		due, err := x.index.Due(ctx, x.now(), 100)
		if err != nil {
			if ctx.Err() == nil && !away {
				away = true
				x.log.Warn("what is due is not known until the index is back", "error", err)
			}
			x.lookAfter(ctx, err)
			continue
		}
		away = false
		for _, id := range due {
			if err := x.tick(ctx, id); err != nil && ctx.Err() == nil {
				x.log.Warn("case not woken; trying again", "case", id, "error", err)
			}
		}
	}
}

// tick wakes one case. When its events say that nothing is due, the row was
// behind and is written anew.
func (x *indexer) tick(ctx context.Context, id mention.ID) error {
	before, ok, err := x.cases.Touched(ctx, id)
	if err != nil {
		return err
	}
	if ok {
		after, err := x.cases.Tick(ctx, id)
		if err != nil {
			return err
		}
		if after.Last != before.Last {
			x.tellDue(ctx, &after, before.Last)
			return nil
		}
	}
	return x.inOrder(ctx, func(ctx context.Context) error {
		docs, err := x.documents(ctx, []mention.ID{id})
		if err != nil || docs[id] == nil {
			return err
		}
		d := docs[id]
		d.NextAt = time.Time{}
		if ok {
			fresh := x.ofCase(&before)
			inherit(&fresh, d)
			if !fresh.NextAt.IsZero() && !fresh.NextAt.After(x.now()) {
				fresh.NextAt = x.now().Add(time.Minute)
			}
			d = &fresh
		}
		return x.index.Write(ctx, search.Batch{Upserts: []search.Document{*d}})
	})
}

// sweep drops every hour what is older than the retention, and archives what is
// done.
func (x *indexer) sweep(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if x.scrub.Swap(false) {
			if err := x.index.Scrub(ctx); err != nil && ctx.Err() == nil {
				x.scrub.Store(true)
				x.log.Warn("erased texts may still lie in the index's files; trying again in an hour", "error", err)
			}
		}
		if err := x.expire(ctx); err != nil && ctx.Err() == nil {
			x.log.Warn("old mentions not dropped; trying again in an hour", "error", err)
		}
		if err := x.archive(ctx); err != nil && ctx.Err() == nil {
			x.log.Warn("old cases not archived; trying again in an hour", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
