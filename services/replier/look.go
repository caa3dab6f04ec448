package replier

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/source"
)

// How long a platform that doesn't answer is asked again how a reply fares, and
// how often.
const (
	lookFor   = 24 * time.Hour
	lookAgain = 15 * time.Minute
)

// follows tells whether a connector can say how what it published fares.
func follows(conn any) bool {
	_, rereads := conn.(source.Rereader)
	_, lists := conn.(source.Timeliner)
	return rereads || lists
}

// look acts on the event that it is time to see how a case's replies fare: what
// has changed, of them or of the post they answer, is written down. All others
// are done.
func (r *replier) look(ctx context.Context, m *bus.Msg[casework.Event]) error {
	if m.Value.Kind != casework.LookDue || r.now().Sub(m.Value.At) > lookFor {
		return nil
	}
	s, ok, err := r.cases.Touched(ctx, mention.ID(m.Key))
	if err != nil || !ok || s.Redacted || s.ReadOnly != "" {
		return err
	}
	if slices.ContainsFunc(s.History, func(e casework.Event) bool { return e.Kind == casework.LookDue && e.At.After(m.Value.At) }) {
		return nil // it is time again, and that comes by itself
	}
	var failed error
	for by, replies := range byAccount(&s) {
		facing, err := r.cases.Toward(ctx, &s, by.to)
		if _, ok := errors.AsType[*casework.Refused](err); ok {
			continue // the post goes on elsewhere, or was erased
		}
		if err == nil {
			err = r.lookThrough(ctx, by.account, &facing, replies)
		}
		if err != nil {
			failed = errors.Join(failed, err)
		}
	}
	if failed == nil {
		return nil
	}
	if _, refused := source.Refused(failed, r.now()); refused && bus.IsPermanent(failed) {
		r.log.Warn("how a reply fares can't be seen", "case", s.ID, "error", failed)
		return nil
	}
	wait, _ := bus.RetryAfter(failed)
	return bus.After(failed, max(wait, lookAgain))
}

// leftBy is the source that replies left by, and the joined post that they answer.
type leftBy struct {
	account string
	to      mention.ID
}

// byAccount are the replies that can be followed, by how they left.
func byAccount(s *casework.State) map[leftBy][]casework.Reply {
	out := map[leftBy][]casework.Reply{}
	for _, rep := range s.Replies {
		if rep.Follow {
			by := leftBy{rep.Draft.Account, rep.Draft.To}
			out[by] = append(out[by], rep)
		}
	}
	return out
}

// lookThrough asks the platform for replies that left by account, and for the
// post, and writes down what is new.
func (r *replier) lookThrough(ctx context.Context, account string, s *casework.State, replies []casework.Reply) error {
	conn, err := r.connOf(account)
	if err != nil {
		r.log.Warn("how a reply fares can't be seen", "case", s.ID, "error", err)
		return nil // the source is gone, or can't be opened
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var now []mention.Post
	switch conn := conn.(type) {
	case source.Rereader:
		now, err = conn.Reread(ctx, append(ourPosts(s, replies), s.Mention.Post))
	case source.Timeliner:
		now, err = listed(ctx, conn, replies)
	}
	if err != nil {
		return err
	}
	for i := range now {
		p := &now[i]
		if p.NativeID == s.Mention.NativeID {
			if err := r.revise(ctx, s, p); err != nil {
				return err
			}
			continue
		}
		if _, err := r.cases.Record(ctx, s.ID, func(s *casework.State) (casework.Event, bool) { return s.Seeing(p.NativeID, p) }); err != nil {
			return err
		}
	}
	return nil
}

// lookAtPost reads the post of a refused reply again, if the reason may lie in
// it: whoever sends another one has then seen what stands there.
func (r *replier) lookAtPost(ctx context.Context, s *casework.State, conn any, why source.Reason) {
	rereads, ok := conn.(source.Rereader)
	ours := []source.Reason{
		source.TooLong, source.Duplicate, source.Unfit, source.Locked, source.Revoked, source.WrongAccount, source.Limited, source.Unreachable,
	}
	if !ok || slices.Contains(ours, why) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	now, err := rereads.Reread(ctx, []mention.Post{s.Mention.Post})
	for i := range now {
		if now[i].NativeID == s.Mention.NativeID && err == nil {
			err = r.revise(ctx, s, &now[i])
		}
	}
	if err != nil {
		r.log.Warn("the post of a refused reply is not read again", "case", s.ID, "error", err)
	}
}

// ourPosts are replies as posts.
func ourPosts(s *casework.State, replies []casework.Reply) []mention.Post {
	var out []mention.Post
	for _, rep := range replies {
		out = append(out, mention.Post{
			Platform: s.Mention.Platform, NativeID: rep.Native, URL: rep.URL, Text: rep.Draft.Text,
			Thread: mention.Thread{ID: s.Mention.Thread.ID, Parent: s.Mention.NativeID},
		})
	}
	return out
}

// listed looks for replies on our own timeline. One that isn't there is gone
// only where the list reaches back beyond it.
func listed(ctx context.Context, conn source.Timeliner, replies []casework.Reply) ([]mention.Post, error) {
	oldest := slices.MinFunc(replies, func(a, b casework.Reply) int { return a.At.Compare(b.At) })
	posts, err := conn.Timeline(ctx, oldest.At.Add(-24*time.Hour))
	if err != nil {
		return nil, err
	}
	var out []mention.Post
	for _, rep := range replies {
		i := slices.IndexFunc(posts, func(p mention.Post) bool { return p.NativeID == rep.Native })
		switch {
		case i >= 0:
			out = append(out, posts[i])
		case slices.ContainsFunc(posts, func(p mention.Post) bool { return p.PublishedAt.Before(rep.At.Add(-time.Minute)) }):
			out = append(out, mention.Post{NativeID: rep.Native, Deleted: true})
		}
	}
	return out, nil
}

// revise takes the post that was answered as it is now. What it says goes the
// way of every post; a deletion erases it there.
func (r *replier) revise(ctx context.Context, s *casework.State, now *mention.Post) error {
	again := mention.Of(s.Mention.Brand, s.Mention.Again(now, r.now()))
	if again.Revision.Hash != s.Mention.Revision.Hash {
		return bus.Mentions.Publish(ctx, r.bus, &again)
	}
	_, err := r.cases.Record(ctx, s.Mention.ID, func(s *casework.State) (casework.Event, bool) { return s.SeeingPost(now) })
	return err
}
