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

// Levels of the event answered. An answer of the author has been the event
// author_wrote since that says what they wrote.
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

// AnsweredBy returns the event that says that m, of somebody else than whom we
// answered, answers our reply, or false when it doesn't, or the case knows that
// already.
func (s *State) AnsweredBy(m *mention.Mention) (Event, bool) {
	if s.Redacted || s.ReadOnly != "" || m.ID == s.ID || m.Deleted || s.Wrote(m) || !s.published(m.Thread.Parent) || s.published(m.NativeID) || s.answeredBy(m.ID) {
		return Event{}, false
	}
	return Event{Kind: Answered, To: string(m.ID), Native: m.Thread.Parent, Level: ByOther}, true
}

// Heard returns the event by which s heard of the answer id to our reply.
func (s *State) Heard(id mention.ID) (Event, bool) {
	for _, e := range slices.Backward(s.History) {
		if (e.Kind == Answered || e.Kind == AuthorWrote) && e.To == string(id) && e.Native != "" {
			return e, true
		}
	}
	return Event{}, false
}

// Hears is the event e, by which another case that was merged into this one heard
// of t, as this one hears it, or false when it knows that already. What somebody
// else wrote there is the author's here if they wrote this case's post.
func (s *State) Hears(e *Event, t *mention.Tagged) (Event, bool) {
	if s.Redacted || s.ReadOnly != "" || s.answeredBy(mention.ID(e.To)) {
		return Event{}, false
	}
	if s.Wrote(&t.Mention) && e.Kind == Answered {
		return wrote(t, e.Native), true
	}
	return Event{Kind: e.Kind, To: e.To, Native: e.Native, Level: e.Level, Verdict: e.Verdict, Triage: e.Triage}, true
}

func (s *State) answeredBy(id mention.ID) bool {
	return slices.ContainsFunc(s.Answers, func(a Answer) bool { return a.ID == id })
}

// WroteAgain returns the event that says that the author wrote once more: an
// answer to our reply; in the thread of the case, where something of ours hangs
// on it; or anywhere on the platform while we wait for them. It is false when t is
// none of that, or the case knows of it already. An approval or a reply on its way
// may not fit any longer, and after our reply it is their reaction.
func (s *State) WroteAgain(t *mention.Tagged) (Event, bool) {
	m := &t.Mention
	if s.Redacted || s.ReadOnly != "" || m.ID == s.ID || m.Deleted || !s.Wrote(m) || s.published(m.NativeID) {
		return Event{}, false
	}
	if s.published(m.Thread.Parent) {
		return wrote(t, m.Thread.Parent), !s.answeredBy(m.ID)
	}
	e := wrote(t, "")
	if slices.ContainsFunc(s.History, func(e Event) bool { return e.Kind == AuthorWrote && e.To == string(m.ID) }) {
		return Event{}, false
	}
	n := len(s.Replies)
	hangs := s.Asks() != "" || s.Approval != nil || s.Outgoing != nil || n > 0
	inThread := hangs && s.inThread(m) && m.PublishedAt.After(s.Mention.PublishedAt)
	awaited := s.Status == WaitingCustomer && n > 0 && m.Platform == s.Mention.Platform && m.PublishedAt.After(s.Replies[n-1].At)
	return e, inThread || awaited
}

// wrote says that the author wrote t, in answer to our reply native if there is one.
func wrote(t *mention.Tagged, native string) Event {
	return Event{Kind: AuthorWrote, To: string(t.Mention.ID), Native: native, Level: string(ReactionOf(&t.Verdict)), Verdict: told(&t.Verdict)}
}

// told is of v what a case needs of an author's further post: labels, no words.
func told(v *mention.Verdict) *mention.Verdict {
	out := &mention.Verdict{Lang: v.Lang, Sentiment: v.Sentiment, Intent: v.Intent, Disposition: v.Disposition, Page: v.Page, PageReason: v.PageReason}
	for _, r := range v.Risks {
		out.Risks = append(out.Risks, mention.Risk{Category: r.Category, Score: r.Score, Rung: r.Rung})
	}
	return out
}

// Joins returns the event by which the case, which nobody has worked on, goes on in
// the case into, whose reply it answers; false when it stands for itself.
func (s *State) Joins(into mention.ID) (Event, bool) {
	touched := slices.ContainsFunc(s.History, func(e Event) bool { return person(e.Actor) })
	if s.Redacted || s.ReadOnly != "" || touched || s.Status == Done || s.ID == into || len(s.Replies) > 0 {
		return Event{}, false
	}
	return Event{Kind: MergedInto, To: string(into)}, true
}

// Wrote tells whether m is by the author of the case's post, or of the one that
// the case faces.
func (s *State) Wrote(m *mention.Mention) bool {
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
	if e.Level == ByAuthor {
		s.heard(e, WaitingCustomer, Done)
	}
}

// heard opens the case again if it stands as one of these.
func (s *State) heard(e *Event, from ...Status) {
	if s.Merged != "" || !slices.Contains(from, s.Status) {
		return
	}
	s.resume(e)
	s.Snoozed, s.WakeOnPost, s.Status = time.Time{}, false, New
	if s.Holder != "" || s.Draft != nil {
		s.Status = InHand
	}
}

// authorWrote takes up that the author wrote again: what was to be said may not
// fit any more, so a person has to look at it again. An answer to our reply belongs
// to the case: what it carries and wants counts here. Events of before verdicts
// were told with them leave the case where it stands.
func (s *State) authorWrote(e *Event) {
	before := s.History[:len(s.History)-1]
	if !slices.ContainsFunc(before, func(b Event) bool { return b.Kind == AuthorWrote && b.To == e.To }) {
		s.unapprove()
		if s.Outgoing != nil && !s.Outgoing.Calling && !s.Outgoing.Unsure {
			s.Outgoing = nil
		}
	}
	if len(s.Replies) > 0 {
		s.Care.Reaction = Reaction(e.Level)
	}
	if e.Verdict == nil {
		return
	}
	if e.Native == "" {
		s.heard(e, WaitingCustomer)
		return
	}
	a := Answer{ID: mention.ID(e.To), To: e.Native, At: e.At, ByAuthor: true}
	for _, r := range e.Verdict.Risks {
		a.Risks = append(a.Risks, r.Category)
	}
	s.Answers = append(s.Answers, a)
	if e.Verdict.Page && !s.Verdict.Page {
		s.Verdict.Page, s.Verdict.PageReason = true, e.Verdict.PageReason
	}
	s.Triage.Priority = max(s.Triage.Priority, e.Triage.Priority)
	s.heard(e, WaitingCustomer, Done)
	if due := e.Triage.DueAt; !due.IsZero() && s.Merged == "" && (s.Asked == nil || due.Before(s.Asked.DueAt)) {
		s.Asked, s.Warned = &Triage{DueAt: due, WarnAt: e.Triage.WarnAt}, false
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
