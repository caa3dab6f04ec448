package casework

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/earshot/earshot/pkg/mention"
)

// A reply in a case can answer any post that goes on in it: the case's own, and
// those that were joined to it, by hand or because their author answered us.

// joined are the mentions that may go on in the case besides its own: those that
// were merged into it, and what the author answered to our replies.
func (s *State) joined() []mention.ID {
	out := slices.Clone(s.Absorbed)
	for _, a := range s.Answers {
		if a.ByAuthor {
			out = append(out, a.ID)
		}
	}
	return out
}

// Facing is the case with its face to the post of another that joined it: with
// that post, its verdict and what people said of that in the place of its own. It
// says what a reply to that post needs, where it may go, and what its hash is.
func (s *State) Facing(post *State) State {
	out := *s
	out.Mention, out.Verdict, out.Judgements = post.Mention, post.Verdict, post.Judgements
	return out
}

// RepliesHere are our replies to the post that the case faces.
func (s *State) RepliesHere() []Reply {
	var out []Reply
	for _, r := range s.Replies {
		if cmp.Or(r.Draft.To, s.ID) == cmp.Or(s.Mention.ID, s.ID) {
			out = append(out, r)
		}
	}
	return out
}

// maxJoined is how many posts that go on in a case are read.
const maxJoined = 50

// Joined are the cases whose posts go on in the case state, and were not erased.
func (s *Store) Joined(ctx context.Context, state *State) ([]State, error) {
	var out []State
	seen := []mention.ID{state.ID}
	for from := []*State{state}; len(from) > 0; from = from[1:] {
		for _, id := range from[0].joined() {
			if slices.Contains(seen, id) || len(seen) > maxJoined {
				continue
			}
			seen = append(seen, id)
			post, _, err := s.read(ctx, id)
			switch {
			case errors.Is(err, ErrUnknown):
			case err != nil:
				return nil, err
			case post.Merged == from[0].ID && !post.Redacted:
				out = append(out, post)
				from = append(from, &post)
			}
		}
	}
	return out, nil
}

// Toward returns the case state with its face to the post to, which must go on
// in it; to the case's own, if to is empty.
func (s *Store) Toward(ctx context.Context, state *State, to mention.ID) (State, error) {
	if to == "" || to == state.ID {
		return *state, nil
	}
	post, _, err := s.read(ctx, to)
	if err != nil {
		return State{}, err
	}
	if post.Redacted {
		return State{}, refuse(CodeErased, "the post that it answers was erased")
	}
	into := post.Merged
	for hops := 0; into != "" && into != state.ID && hops < maxJoined; hops++ {
		between, _, err := s.read(ctx, into)
		if err != nil {
			return State{}, err
		}
		into = between.Merged
	}
	if into != state.ID {
		return State{}, refuse(CodePost, "the post that it answers is no longer part of this case")
	}
	return state.Facing(&post), nil
}
