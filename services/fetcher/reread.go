package fetcher

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

// rereader asks a platform again for what is stored of it, where that is how
// deletions are learned. A pass takes as long as the platform's terms give, a
// batch at a time, evenly.
type rereader struct {
	bus      *bus.Conn
	settings *settings.Store
	log      *slog.Logger
	now      func() time.Time
	id       string
	kind     source.Kind
	conn     source.Rereader
	state    source.Rereading
}

// How long a failed batch waits, and the least between two.
const (
	rereadFailed = 5 * time.Minute
	rereadLeast  = time.Second
)

// rereads returns what reads the posts of a source again, or nil where its kind
// doesn't ask for that.
func (f *fetcher) rereads(id string, of settings.Source, conn source.Source) *rereader {
	kind, _ := source.Named(of.Kind)
	again, ok := conn.(source.Rereader)
	if !ok || kind.Duties.Reread == 0 {
		return nil
	}
	return &rereader{bus: f.bus, settings: f.settings, log: f.log.With("source", id), now: f.now, id: id, kind: kind, conn: again}
}

// run reads again until ctx ends.
func (r *rereader) run(ctx context.Context) {
	if _, err := bus.Cursors.Get(ctx, r.bus, source.RereadKey(r.id), &r.state); err != nil && !errors.Is(err, bus.ErrNotFound) {
		r.log.Warn("how far posts were read again is not known; from the beginning", "error", err)
	}
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(r.state.Next.Sub(r.now()), time.Minute)): // a clock may jump
		}
		if ctx.Err() == nil && !r.now().Before(r.state.Next) {
			r.step(ctx)
		}
	}
}

// step reads one batch again and says when the next one is due.
func (r *rereader) step(ctx context.Context) {
	err := r.batch(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		if r.state.Error == "" {
			r.log.Warn("posts are not read again; trying later", "error", err)
		}
		wait, _ := bus.RetryAfter(err)
		r.state.Error, r.state.Trouble, r.state.Next = err.Error(), outbound.Explain(err, r.now()), r.now().Add(max(wait, rereadFailed))
	}
	if err := bus.Cursors.Put(ctx, r.bus, source.RereadKey(r.id), r.state); err != nil && ctx.Err() == nil {
		r.log.Warn("how far posts were read again is not kept", "error", err)
	}
}

func (r *rereader) batch(ctx context.Context) error {
	if a, ok := r.conn.(source.Auditor); ok && a.Audits() {
		return r.audit(ctx, a)
	}
	r.state.Job = ""
	asking, cancel := context.WithTimeout(ctx, 30*time.Second)
	page, err := bus.Ask[source.Stored, source.StoredPosts](asking, r.bus, "indexer", "stored", r.wanted())
	cancel()
	if err != nil {
		return err
	}
	if r.state.Cursor == "" {
		r.state = source.Rereading{Began: r.now(), Ended: r.state.Ended, Total: page.Total}
	}
	changed, err := r.again(ctx, page.Mentions)
	if err == nil {
		err = bus.Mentions.Publish(ctx, r.bus, changed...)
	}
	if err != nil {
		return err
	}
	r.state.Count(changed)
	r.state.Done += len(page.Mentions)
	r.state.Cursor, r.state.Error, r.state.Trouble = page.Next, "", outbound.Trouble{}
	end := r.state.Began.Add(r.kind.Duties.Reread)
	if page.Next == "" {
		r.state.Ended, r.state.Next = r.now(), end
		return nil
	}
	left := (max(r.state.Total-r.state.Done, 1) + source.RereadAtOnce - 1) / source.RereadAtOnce
	r.state.Next = r.now().Add(max(end.Sub(r.now())/time.Duration(left+1), rereadLeast))
	return nil
}

// auditPause is how often it is asked whether a job is done.
const auditPause = time.Minute

// audit hands in all that is stored, or looks what has come of it. What the
// platform names is read again, and only what that shows counts.
func (r *rereader) audit(ctx context.Context, a source.Auditor) error {
	r.state.Cursor = ""
	if r.state.Job == "" {
		began, total := r.now(), 0
		var posts []mention.Post
		if err := r.each(ctx, func(page source.StoredPosts) error {
			total = page.Total
			for _, s := range page.Mentions {
				posts = append(posts, mention.Post{Platform: s.Post.Platform, NativeID: s.Post.NativeID, ReplyRef: s.Post.ReplyRef})
			}
			return nil
		}); err != nil {
			return err
		}
		if len(posts) == 0 {
			r.state = source.Rereading{Began: began, Ended: began, Next: began.Add(r.kind.Duties.Reread)}
			return nil
		}
		job, err := a.Audit(ctx, posts)
		if err != nil {
			return err
		}
		r.state = source.Rereading{Began: began, Ended: r.state.Ended, Total: total, Job: job, Next: r.now().Add(auditPause)}
		return nil
	}
	named, err := a.Audited(ctx, r.state.Job)
	if err != nil {
		if bus.IsPermanent(err) {
			r.state.Job = ""
		}
		return err
	}
	if named == nil {
		r.state.Error, r.state.Trouble, r.state.Next = "", outbound.Trouble{}, r.now().Add(auditPause)
		return nil
	}
	next := r.state
	next.Done, next.Gone, next.Edited = 0, 0, 0
	if err := r.each(ctx, func(page source.StoredPosts) error {
		next.Done += len(page.Mentions)
		changed, err := r.again(ctx, slices.DeleteFunc(page.Mentions, func(s source.StoredPost) bool { return !named(&s.Post) }))
		if err == nil {
			err = bus.Mentions.Publish(ctx, r.bus, changed...)
		}
		next.Count(changed)
		return err
	}); err != nil {
		return err
	}
	next.Job, next.Error, next.Trouble, next.Ended, next.Next = "", "", outbound.Trouble{}, r.now(), next.Began.Add(r.kind.Duties.Reread)
	r.state = next
	return nil
}

// each reads all that is stored, a page at a time.
func (r *rereader) each(ctx context.Context, do func(source.StoredPosts) error) error {
	for q := r.wanted(); ; {
		asking, cancel := context.WithTimeout(ctx, 30*time.Second)
		page, err := bus.Ask[source.Stored, source.StoredPosts](asking, r.bus, "indexer", "stored", q)
		cancel()
		if err == nil {
			err = do(page)
		}
		if err != nil || page.Next == "" {
			return err
		}
		q.Cursor = page.Next
	}
}

// wanted says which mentions come next.
func (r *rereader) wanted() source.Stored {
	q := source.Stored{Source: r.id, Cursor: r.state.Cursor}
	if !r.kind.Duties.RereadAll {
		return q
	}
	// Of several sources the first takes what came in other ways.
	for _, s := range settings.Sources.List(r.settings) {
		if kind, ok := source.Named(s.Kind); ok && !s.Off && kind.Platform == r.kind.Platform && kind.Duties.RereadAll {
			q.Sources = append(q.Sources, s.ID)
		}
	}
	slices.Sort(q.Sources)
	if len(q.Sources) > 0 && q.Sources[0] == r.id {
		q.AllOf = r.kind.Platform
	}
	return q
}

// again asks for posts and returns those that have changed as they are now.
func (r *rereader) again(ctx context.Context, stored []source.StoredPost) ([]*mention.Mention, error) {
	if len(stored) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	var posts []mention.Post
	for _, s := range stored {
		if !slices.ContainsFunc(posts, func(p mention.Post) bool { return p.NativeID == s.Post.NativeID }) {
			posts = append(posts, s.Post) // one for all its brands
		}
	}
	fresh, err := r.conn.Reread(ctx, posts)
	if err != nil {
		return nil, err
	}
	now := r.now()
	var changed []*mention.Mention
	for _, s := range stored {
		i := slices.IndexFunc(fresh, func(p mention.Post) bool { return p.NativeID == s.Post.NativeID })
		if i < 0 {
			continue
		}
		m := mention.Of(s.Brand, s.Post.Again(&fresh[i], now))
		m.Source = cmp.Or(m.Source, r.id)
		if m.Revision.Hash != s.Hash {
			changed = append(changed, &m)
		}
	}
	return changed, nil
}
