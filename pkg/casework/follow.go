package casework

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/earshot/earshot/pkg/mention"
)

// Levels of the event answered.
const (
	ByAuthor = "author" // by whom we answered
	ByOther  = "other"
)

// lookAfter is when a published reply is looked at again.
var lookAfter = []time.Duration{10 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour, 3 * 24 * time.Hour, 7 * 24 * time.Hour}

// lookAt is when it is time to see how the replies fare, or zero.
func (s *State) lookAt() time.Time {
	var next time.Time
	for i := range s.Replies {
		r := &s.Replies[i]
		if !r.Follow {
			continue
		}
		for _, after := range lookAfter {
			if t := r.At.Add(after); t.After(s.Looked) {
				if next.IsZero() || t.Before(next) {
					next = t
				}
				break
			}
		}
	}
	return next
}

// look notes how the platform shows our reply, or the post.
func (s *State) look(e *Event) {
	if e.Mention == nil {
		return
	}
	now := &e.Mention.Post
	if e.Native == "" {
		s.Mention.Metrics, s.Mention.Comments = now.Metrics, now.Comments
		return
	}
	i := slices.IndexFunc(s.Replies, func(r Reply) bool { return r.Native == e.Native })
	if i < 0 {
		return
	}
	s.Replies = slices.Clone(s.Replies)
	s.Replies[i].see(now)
}

// see notes how the platform shows r now.
func (r *Reply) see(now *mention.Post) {
	r.Gone, r.Reads = now.Deleted, ""
	if now.Deleted {
		return
	}
	r.Metrics = now.Metrics
	if !SameText(now.Text, r.Draft.Text) {
		r.Reads = now.Text
	}
}

// Seeing returns the event that says how the platform shows the reply native
// now, or false when the case knows that already.
func (s *State) Seeing(native string, now *mention.Post) (Event, bool) {
	i := slices.IndexFunc(s.Replies, func(r Reply) bool { return r.Native == native })
	if i < 0 || native == "" {
		return Event{}, false
	}
	was, is := s.Replies[i], s.Replies[i]
	is.see(now)
	if was.Gone == is.Gone && was.Reads == is.Reads && sameMetrics(was.Metrics, is.Metrics) {
		return Event{}, false
	}
	return Event{Kind: Looked, Native: native, Mention: &mention.Mention{ID: s.ID, Brand: s.Mention.Brand, Post: mention.Post{
		Platform: s.Mention.Platform, NativeID: native, URL: now.URL, Text: is.Reads, Metrics: is.Metrics, Deleted: is.Gone,
	}}}, true
}

// SeeingPost returns the event that says what the platform counts and shows
// below the post now, or false when the case knows that already. What the post
// says is not part of it: that is a revision.
func (s *State) SeeingPost(now *mention.Post) (Event, bool) {
	if now.Deleted || sameMetrics(s.Mention.Metrics, now.Metrics) && slices.Equal(s.Mention.Comments, now.Comments) {
		return Event{}, false
	}
	return Event{Kind: Looked, Mention: &mention.Mention{ID: s.ID, Brand: s.Mention.Brand, Post: mention.Post{
		Platform: s.Mention.Platform, NativeID: s.Mention.NativeID, Metrics: now.Metrics, Comments: now.Comments,
	}}}, true
}

func sameMetrics(a, b mention.Metrics) bool {
	same := func(a, b *int64) bool { return a == b || a != nil && b != nil && *a == *b }
	return same(a.Likes, b.Likes) && same(a.Reposts, b.Reposts) && same(a.Replies, b.Replies)
}

// AnsweredBy returns the event that says that m answers our reply, or false
// when it doesn't, or the case knows that already.
func (s *State) AnsweredBy(m *mention.Mention) (Event, bool) {
	if s.Redacted || s.ReadOnly != "" || m.ID == s.ID || m.Deleted || !s.published(m.Thread.Parent) || s.published(m.NativeID) ||
		slices.ContainsFunc(s.Answers, func(a Answer) bool { return a.ID == m.ID }) {
		return Event{}, false
	}
	level := ByOther
	if s.byAuthor(m) {
		level = ByAuthor
	}
	return Event{Kind: Answered, To: string(m.ID), Native: m.Thread.Parent, Level: level}, true
}

// AnsweredIn is AnsweredBy for the case that the one with the reply was merged
// into.
func (s *State) AnsweredIn(a Answer) (Event, bool) {
	if s.Redacted || s.ReadOnly != "" || slices.ContainsFunc(s.Answers, func(b Answer) bool { return b.ID == a.ID }) {
		return Event{}, false
	}
	level := ByOther
	if a.ByAuthor {
		level = ByAuthor
	}
	return Event{Kind: Answered, To: string(a.ID), Native: a.To, Level: level}, true
}

// WroteAgain returns the event that says that the author wrote once more in the
// thread of the case, or false when t is by somebody else or elsewhere, when
// nothing of ours hangs on it, or the case knows that already. An approval or a
// reply on its way may not fit any longer, and after our reply it is their
// reaction.
func (s *State) WroteAgain(t *mention.Tagged) (Event, bool) {
	m := &t.Mention
	waits := s.Submitted != "" || s.Approval != nil || s.Outgoing != nil || len(s.Replies) > 0
	if s.Redacted || s.ReadOnly != "" || m.ID == s.ID || !waits || !s.byAuthor(m) || !s.inThread(m) || !m.PublishedAt.After(s.Mention.PublishedAt) ||
		slices.ContainsFunc(s.History, func(e Event) bool { return e.Kind == AuthorWrote && e.To == string(m.ID) }) {
		return Event{}, false
	}
	return Event{Kind: AuthorWrote, To: string(m.ID), Level: string(ReactionOf(&t.Verdict))}, true
}

// byAuthor tells whether m is by the author of the case's post.
func (s *State) byAuthor(m *mention.Mention) bool {
	a, b := s.Mention.Author, m.Author
	return a.ID != "" && a.ID == b.ID || a.ID == "" && a.Handle != "" && strings.EqualFold(a.Handle, b.Handle)
}

// inThread tells whether m answers the case's post, a reply of ours, or another
// post of the same conversation.
func (s *State) inThread(m *mention.Mention) bool {
	root := func(p *mention.Post) string { return cmp.Or(p.Thread.ID, p.NativeID) }
	return m.Thread.Parent != "" && (m.Thread.Parent == s.Mention.NativeID || s.published(m.Thread.Parent) || root(&m.Post) == root(&s.Mention.Post))
}

// published tells whether native is a reply of ours.
func (s *State) published(native string) bool {
	return native != "" && slices.ContainsFunc(s.Replies, func(r Reply) bool { return r.Native == native })
}

// answered notes an answer to our reply. Whoever we answered is heard again:
// the case waits for us.
func (s *State) answered(e *Event) {
	s.Answers = append(s.Answers, Answer{ID: mention.ID(e.To), To: e.Native, At: e.At, ByAuthor: e.Level == ByAuthor})
	if e.Level != ByAuthor || s.Merged != "" || s.Status != WaitingCustomer && s.Status != Done {
		return
	}
	s.resume(e)
	s.Snoozed, s.WakeOnPost, s.Status = time.Time{}, false, New
	if s.Holder != "" || s.Draft != nil {
		s.Status = InHand
	}
}

// changed is what platforms change in a text by themselves: links, and the
// handles before an answer.
var changed = regexp.MustCompile(`(?i)https?://[!-~]+|[@＠][a-z0-9_][a-z0-9_.@-]*|(?:[a-z0-9-]+\.)+[a-z]{2,}(?:/[!-~]*)?`)

// SameText tells whether two texts say the same, but for what platforms change
// by themselves, white space and case.
func SameText(a, b string) bool { return unchanged(a) == unchanged(b) }

func unchanged(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '…' {
			return -1
		}
		return unicode.ToLower(r)
	}, changed.ReplaceAllString(text, ""))
}
