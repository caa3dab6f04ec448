package indexer

import (
	"context"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// ofMention is the document of a mention that nobody has touched, with the team
// that it is for.
func (x *indexer) ofMention(t *mention.Tagged, triage casework.Triage, seq uint64) search.Document {
	d := ofMention(t, triage, seq)
	d.Team = x.settings.Route(&t.Mention, &t.Verdict)
	return d
}

// ofCase is the document of a case; one that is with no other department is with
// the team that it is for.
func (x *indexer) ofCase(s *casework.State) search.Document {
	d := ofCase(s, x.now())
	d.RepliedIn, d.ResolvedIn = s.Took(x.settings.Clock(s.Mention.Brand))
	if v := s.InForce(); d.Team == "" && !s.Redacted {
		d.Team = x.settings.Route(&s.Mention, &v)
	}
	return d
}

// writer is an author as one brand knows them.
type writer struct{ brand, platform, author string }

func writerOf(m *mention.Mention) writer { return writer{m.Brand, m.Platform, m.Author.ID} }

// heard is what else of their authors new mentions touch: cases that sleep until
// the author writes again are woken. It returns how many mentions of each author
// still wait for an answer, of those who want one now.
func (x *indexer) heard(ctx context.Context, news []*mention.Tagged) (map[writer]int64, error) {
	waiting, wrote := map[writer]int64{}, map[writer]bool{}
	var (
		writers []writer
		authors []string
		open    []search.Query
	)
	for _, t := range news {
		m := &t.Mention
		w := writerOf(m)
		if w.author == "" || m.Intake == mention.Bulked {
			continue
		}
		if !wrote[w] {
			wrote[w] = true
			authors = append(authors, w.author)
		}
		if _, have := waiting[w]; have || t.Verdict.Disposition != mention.Answer {
			continue
		}
		waiting[w] = 0
		writers = append(writers, w)
		open = append(open, search.Query{Viewer: search.SeesAll(), Where: map[search.Field][]string{
			search.FieldBrand: {w.brand}, search.FieldPlatform: {w.platform}, search.FieldAuthor: {w.author}, search.FieldOpen: {search.Yes},
		}})
	}
	if len(authors) == 0 {
		return waiting, nil
	}
	counts, err := x.index.Counts(ctx, open...)
	if err != nil {
		return nil, err
	}
	for i, w := range writers {
		waiting[w] = counts[i]
	}
	for some := range slices.Chunk(authors, search.MaxValues) {
		found, err := x.index.Search(ctx, search.Query{Viewer: search.SeesAll(), Limit: search.MaxLimit, Where: map[search.Field][]string{
			search.FieldAuthor: some, search.FieldTag: {casework.TagWakes},
		}})
		if err != nil {
			return nil, err
		}
		for i := range found.Hits {
			h := &found.Hits[i]
			if !wrote[writer{h.Brand, h.Platform, h.AuthorID}] {
				continue
			}
			s, err := x.cases.Record(ctx, h.ID, func(s *casework.State) (casework.Event, bool) {
				return casework.Event{Kind: casework.Woke, Level: casework.OnPost}, s.WakeOnPost && !s.Snoozed.IsZero()
			})
			if err != nil {
				return nil, err
			}
			x.tellStaff(ctx, "woke", &s, s.Owner())
		}
		if err := x.awaited(ctx, some, news); err != nil {
			return nil, err
		}
	}
	return waiting, nil
}

// awaited tells the cases that wait for one of authors what these wrote, wherever
// on the platform.
func (x *indexer) awaited(ctx context.Context, authors []string, news []*mention.Tagged) error {
	found, err := x.all(ctx, map[search.Field][]string{
		search.FieldAuthor: authors, search.FieldStatus: {string(casework.WaitingCustomer)}, search.FieldOwner: {string(search.OwnerCase)},
	})
	if err != nil {
		return err
	}
	for i := range found {
		d := &found[i]
		for _, t := range news {
			m := &t.Mention
			if writerOf(m) != (writer{d.Brand, d.Platform, d.AuthorID}) || m.Intake == mention.Bulked || x.now().Sub(m.SeenAt) > fresh {
				continue
			}
			if err := x.authorWrote(ctx, d.ID, t); err != nil {
				return err
			}
		}
	}
	return nil
}

const (
	// shareEvery is how often cases are given out.
	shareEvery = 5 * time.Second
	week       = 7 * 24 * time.Hour
)

// share gives the open cases of teams to their members, as far as these have
// room for more.
func (x *indexer) share(ctx context.Context) error {
	tick := time.NewTicker(shareEvery)
	defer tick.Stop()
	turn := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, t := range settings.Teams.List(x.settings) {
			if t.Capacity == 0 {
				continue
			}
			if err := x.shareOut(ctx, &t, &turn); err != nil && ctx.Err() == nil {
				x.log.Warn("cases not given out; trying again", "team", t.ID, "error", err)
			}
		}
	}
}

// member is somebody who can take cases of a team.
type member struct {
	id     string
	viewer identity.Viewer
	free   int   // how many more they have room for
	harsh  int64 // harsh mentions they had in the last week
	turn   int   // how long they have waited; of equals the longest goes first
}

// shareOut gives out what waits for team t.
func (x *indexer) shareOut(ctx context.Context, t *settings.Team, turn *int) error {
	members, err := x.members(ctx, t, *turn)
	if err != nil || len(members) == 0 {
		return err
	}
	waiting, err := x.index.Search(ctx, search.Query{Viewer: search.SeesAll(), Sort: search.Queue, Collapse: true, Limit: 50, Where: map[search.Field][]string{
		search.FieldOpen: {search.Yes}, search.FieldStatus: {string(casework.New)}, search.FieldHolder: {search.Unassigned}, search.FieldTeam: {t.ID},
	}})
	if err != nil {
		return err
	}
	for i := range waiting.Hits {
		h := &waiting.Hits[i]
		harsh := slices.ContainsFunc(h.Risks, func(c mention.Category) bool { return slices.Contains(mention.Harsh, c) })
		var who *member
		s, err := x.cases.Record(ctx, h.ID, func(s *casework.State) (casework.Event, bool) {
			now := x.now()
			if s.Owner() != "" || s.Status != casework.New || !s.Open(now) {
				return casework.Event{}, false
			}
			who = next(members, harsh, func(m *member) bool {
				return !slices.Contains(s.Passed, m.id) && m.viewer.Can(identity.Handle, s.Mention.Brand)
			})
			if who == nil {
				return casework.Event{}, false
			}
			return casework.Event{Kind: casework.Assigned, To: who.id, Text: t.Name}, true
		})
		if err != nil {
			return err
		}
		if who == nil || s.Assignee != who.id {
			continue
		}
		*turn++
		who.free, who.turn = who.free-1, *turn
		if harsh {
			who.harsh++
		}
		x.tellStaff(ctx, "assigned", &s, who.id)
	}
	return nil
}

// next is whose turn it is: of those with room whoever has most of it or, for
// what is harsh, had least of that.
func next(members []member, harsh bool, may func(*member) bool) *member {
	var best *member
	for i := range members {
		m := &members[i]
		if m.free <= 0 || !may(m) {
			continue
		}
		switch {
		case best == nil:
			best = m
		case harsh && m.harsh != best.harsh:
			if m.harsh < best.harsh {
				best = m
			}
		case m.free != best.free:
			if m.free > best.free {
				best = m
			}
		case m.turn < best.turn:
			best = m
		}
	}
	return best
}

// members are those of team t who are at work, with what they have.
func (x *indexer) members(ctx context.Context, t *settings.Team, turn int) ([]member, error) {
	var out []member
	var queries []search.Query
	for i, id := range t.Members {
		s, ok := settings.Staff.Get(x.settings, id)
		if !ok || s.Disabled || s.Away {
			continue
		}
		out = append(out, member{id: id, viewer: s.Viewer(), turn: (i + len(t.Members) - turn%len(t.Members)) % len(t.Members)})
		queries = append(queries,
			search.Query{Viewer: search.SeesAll(), Where: map[search.Field][]string{search.FieldOpen: {search.Yes}, search.FieldHolder: {id}}},
			search.Harsh(search.SeesAll(), id, x.now().Add(-week)))
	}
	if len(out) == 0 {
		return nil, nil
	}
	counts, err := x.index.Counts(ctx, queries...)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].free, out[i].harsh = t.Capacity-int(counts[2*i]), counts[2*i+1]
	}
	return out, nil
}

// tellStaff keeps a notice about a case for people, and tells those who have the
// desk open.
func (x *indexer) tellStaff(ctx context.Context, what string, s *casework.State, staff ...string) {
	if err := casework.Notify(ctx, x.bus, casework.Notice{Staff: staff, Case: s.ID, What: what}, x.now()); err != nil {
		x.log.Warn("a notice is not kept", "case", s.ID, "error", err)
	}
}

// tellDue tells whoever has a case what time has brought since the event after,
// and its leads where it comes to a head or nobody has it.
func (x *indexer) tellDue(ctx context.Context, s *casework.State, after uint64) {
	for i := range s.History {
		e := &s.History[i]
		if e.Seq <= after {
			continue
		}
		what, leads := "", s.Owner() == ""
		to := []string{s.Owner()}
		switch {
		case e.Kind == casework.DeadlineNear:
			if what = "deadline"; !e.At.Before(s.DueAt()) { // nobody had the case before
				what = "deadline_over"
			}
		case e.Kind == casework.PromiseDue && e.Level == "half":
			what = "promise_half"
		case e.Kind == casework.PromiseDue && e.Level == "near":
			what, leads = "promise_near", true
		case e.Kind == casework.Woke:
			what = "woke"
			leads = false
		case e.Kind == casework.ApprovalLost && s.Draft != nil:
			what, leads = "approval_lapsed", false
			to = []string{s.Draft.Author}
		default:
			continue
		}
		if leads {
			to = append(to, x.settings.WhoCan(identity.Lead, s.Mention.Brand, s.Owner(), x.now())...)
		}
		x.tellStaff(ctx, what, s, to...)
	}
}

// tellEdited tells whoever wrote the reply to the post of s, and as long as it waits
// for approval whoever approves for the brand, that the post was edited. The reply is
// that of s or of the case it joined; s is as it was before the edit.
func (x *indexer) tellEdited(ctx context.Context, s *casework.State) {
	if s.Merged != "" {
		into, ok, err := x.cases.Touched(ctx, s.Merged)
		if err != nil || !ok || into.Draft == nil || into.Draft.To != s.ID {
			return
		}
		s = &into
	}
	switch {
	case s.Draft == nil:
	case s.Asks() != "":
		x.tellStaff(ctx, "edited", s, append(x.settings.WhoCan(identity.Approve, s.Mention.Brand, s.Draft.Author, x.now()), s.Draft.Author)...)
	case s.Approval != nil:
		x.tellStaff(ctx, "edited_approved", s, s.Draft.Author)
	}
}
