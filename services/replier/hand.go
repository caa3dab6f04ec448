package replier

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/source"
)

const (
	// handEvery is how often our timelines are read while somebody posts by
	// hand; one read serves all cases that wait.
	handEvery = 2 * time.Minute
	// handSlack is how far the platform's clock may be behind ours.
	handSlack = 2 * time.Minute
)

// lookForPosted acts on the event that somebody took a reply to post it by hand:
// it is looked for on our own timelines and linked when it is there. All others
// are done.
func (r *replier) lookForPosted(ctx context.Context, m *bus.Msg[casework.Event]) error {
	if m.Value.Kind != casework.ByHand {
		return nil
	}
	s, ok, err := r.cases.Touched(ctx, mention.ID(m.Key))
	if err != nil || !ok || s.ReadOnly != "" {
		return err
	}
	if !waits(&s, &m.Value, r.now()) {
		return nil
	}
	s, err = r.cases.Toward(ctx, &s, s.ByHand.Draft.To)
	if _, ok := errors.AsType[*casework.Refused](err); ok {
		return nil // whoever posts it says where it is
	}
	if err != nil {
		return err
	}
	var (
		failed error
		asked  bool
	)
	for _, account := range r.settings.Ours(&s.Mention) {
		conn, err := r.connOf(account.ID)
		lists, can := conn.(source.Timeliner)
		if err != nil || !can {
			continue
		}
		asked = true
		posts, err := r.timelines.read(ctx, account.ID, lists, s.ByHand.At.Add(-handSlack), r.now())
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		if p, ok := posted(&s, posts); ok {
			return r.link(ctx, &s, &m.Value, account.ID, &p)
		}
	}
	if !asked {
		return nil // nobody can be asked: the person says where it is
	}
	if failed != nil {
		r.log.Warn("our timeline is not read", "case", s.ID, "error", failed)
	}
	wait, _ := bus.RetryAfter(failed)
	return bus.After(errors.New("not on our timeline yet"), max(wait, handEvery))
}

// waits tells whether the text that event e took is still waited for at now.
func waits(s *casework.State, e *casework.Event, now time.Time) bool {
	return s.ByHand != nil && s.ByHand.At.Equal(e.At) && now.Before(s.ByHand.Until)
}

// posted is the one of posts that answers the case's post, and no reply that the
// case knows: the one that reads like the draft before others.
func posted(s *casework.State, posts []mention.Post) (mention.Post, bool) {
	var found []mention.Post
	for _, p := range posts {
		known := slices.ContainsFunc(s.Replies, func(rep casework.Reply) bool { return rep.Native == p.NativeID })
		if p.Thread.Parent == s.Mention.NativeID && !known && p.PublishedAt.After(s.ByHand.At.Add(-handSlack)) {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return mention.Post{}, false
	}
	i := slices.IndexFunc(found, func(p mention.Post) bool { return casework.SameText(p.Text, s.ByHand.Draft.Text) })
	return found[max(i, 0)], true
}

// link writes down that the reply is out as p.
func (r *replier) link(ctx context.Context, s *casework.State, taken *casework.Event, account string, p *mention.Post) error {
	_, err := r.cases.Record(ctx, s.ID, func(s *casework.State) (casework.Event, bool) {
		if !waits(s, taken, r.now()) {
			return casework.Event{}, false
		}
		draft := s.ByHand.Draft
		draft.Account = account
		e := casework.Event{Kind: casework.Posted, Draft: &draft, URL: p.URL, Native: p.NativeID, Follow: true}
		if !casework.SameText(p.Text, draft.Text) {
			e.Text = p.Text
		}
		return e, true
	})
	return err
}

// timelines are our own timelines as they were read last, for the cases that
// wait at the same time. The zero value is ready.
type timelines struct {
	mu   sync.Mutex
	last map[string]*timeline
}

type timeline struct {
	mu    sync.Mutex
	at    time.Time // when it was read
	since time.Time // back to when
	posts []mention.Post
}

// read returns what account has published since then, as of now or a moment ago.
func (t *timelines) read(ctx context.Context, account string, conn source.Timeliner, since, now time.Time) ([]mention.Post, error) {
	t.mu.Lock()
	if t.last == nil {
		t.last = map[string]*timeline{}
	}
	l := t.last[account]
	if l == nil {
		l = &timeline{}
		t.last[account] = l
	}
	t.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.at) < handEvery/2 && !since.Before(l.since) {
		return l.posts, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	posts, err := conn.Timeline(ctx, since)
	if err != nil {
		return nil, err
	}
	l.at, l.since, l.posts = now, since, posts
	return posts, nil
}
