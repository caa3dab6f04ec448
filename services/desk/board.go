package desk

import (
	"net/http"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

const (
	// soon is how far ahead the board looks for what is about to break.
	soon = 2 * time.Hour
	// boardRows is how many lines each part of the board has.
	boardRows = 12
	// heavy is how many harsh mentions in a week are much for one person.
	heavy = 5
	// calendarWarning is how long before its end a calendar of holidays is warned
	// of: the law for the year after is known by then.
	calendarWarning = 90 * 24 * time.Hour
)

// boardView is what waits, what is about to break, and who has what, now.
type boardView struct {
	frame
	Breaking, Longest []rowView
	People            []loadView
	Lead              bool
	Warnings          []notice
}

// loadView is what somebody carries.
type loadView struct {
	Name, Href   string
	Me, Away     bool
	Open         int
	Harsh        int
	Heavy        bool
	On           []presentOnView
	HarshHref    string
	OldestOfOpen moment
}

// presentOnView is a case that somebody is on.
type presentOnView struct{ Href, Label, Doing string }

// board is the live board.
func (c *call) board() error {
	v := &boardView{frame: c.frame(c.l.say("nav.board"), "/board"), Lead: c.viewer.CanSomewhere(identity.Lead)}
	open := func() map[search.Field][]string { return map[search.Field][]string{search.FieldOpen: {search.Yes}} }
	breaking, err := c.Index.Search(c.ctx, search.Query{Viewer: c.sees(), Where: open(), Due: search.Period{To: c.l.now.Add(soon)}, Sort: search.Soonest, Limit: boardRows, Uncounted: true})
	if err != nil {
		return err
	}
	v.Breaking = c.rowsOf(breaking.Hits)
	longest, err := c.Index.Search(c.ctx, search.Query{Viewer: c.sees(), Where: open(), Sort: search.Oldest, Collapse: true, Limit: boardRows, Uncounted: true})
	if err != nil {
		return err
	}
	v.Longest = c.rowsOf(longest.Hits)
	v.People = c.carried(v.Lead)
	v.Warnings = c.warnings(v.People)
	if c.part() == "board" {
		return c.show(http.StatusOK, "board", "part-board", v)
	}
	return c.show(http.StatusOK, "board", "page", v)
}

func (c *call) rowsOf(hits []search.Hit) []rowView {
	var out []rowView
	for i := range hits {
		r := c.row(&hits[i], "/queue?view=all&case="+string(hits[i].ID))
		r.Due = c.l.at(hits[i].DueAt) // a report is owed also while we wait for the customer
		out = append(out, r)
	}
	return out
}

// carried is what people have, of those the caller works with; others than leads
// see what they have themselves.
func (c *call) carried(lead bool) []loadView {
	open, harsh := c.loads("")
	on := c.live.present.cases(c.l.now)
	var out []loadView
	for _, p := range settings.Staff.List(c.Settings) {
		me := p.ID == c.viewer.Actor()
		if v := p.Viewer(); !v.CanSomewhere(identity.Handle) || !lead && !me || !c.shares(&v) {
			continue
		}
		l := loadView{
			Name: p.Name, Me: me, Away: p.Away, Open: open[p.ID], Harsh: harsh[p.ID], Heavy: harsh[p.ID] >= heavy,
			Href: "/queue?view=all&holder=" + p.ID, HarshHref: "/queue?view=all&worker=" + p.ID + "&risk=violent_threat&risk=staff_abuse",
		}
		for _, x := range on[p.ID] {
			docs, err := c.Index.Get(c.ctx, c.sees(), x.id)
			if err == nil && len(docs) > 0 {
				l.On = append(l.On, presentOnView{"/queue?view=all&case=" + string(x.id), authorOf(docs[0].AuthorHandle, docs[0].AuthorName), x.doing})
			}
		}
		out = append(out, l)
	}
	slices.SortStableFunc(out, func(a, b loadView) int { return b.Open - a.Open })
	return out
}

// shares tells whether the caller sees a brand that v works for.
func (c *call) shares(v *identity.Viewer) bool {
	brands, all := v.Brands(identity.Handle)
	return all || slices.ContainsFunc(brands, func(b string) bool { return c.viewer.Can(identity.View, b) })
}

// warnings are what a lead should see to.
func (c *call) warnings(people []loadView) []notice {
	var out []notice
	for _, p := range people {
		if p.Heavy && !p.Me {
			out = append(out, notice{Kind: "stale", Title: c.l.say("board.heavy", p.Name, p.Harsh), Text: c.l.say("board.heavy_text"), Links: []link{{c.l.say("board.heavy_see"), p.HarshHref}}})
		}
	}
	if n := c.calendarNotice(); n != nil {
		out = append(out, *n)
	}
	return out
}

// calendarNotice warns that a calendar of holidays ends, or is nil.
func (c *call) calendarNotice() *notice {
	policy := c.Settings.Policy()
	for _, b := range settings.Brands.List(c.Settings) {
		end := policy.CalendarEnds(b.ID)
		if end.IsZero() || c.l.now.Before(time.Date(end.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC).Add(-calendarWarning)) {
			continue
		}
		n := &notice{Kind: "stale", Title: c.l.say("board.calendar", end.Year()), Text: c.l.say("board.calendar_text")}
		if c.viewer.Can(identity.Configure, identity.AllBrands) || c.viewer.Can(identity.Page, identity.AllBrands) {
			n.Links = []link{{c.l.say("rules.policy"), "/rules/policy/default"}}
		}
		return n
	}
	return nil
}

// shiftView is what one shift hands to the next.
type shiftView struct {
	frame
	Promises, Watched, NoAnswer []rowView
	Open                        *shiftNote  // not confirmed yet
	Past                        []shiftNote // newest first
	Text                        string
	May                         bool
}

type shiftNote struct {
	ID, Text, By, Confirmed string
	At, Taken               moment
	Own                     bool
}

// shift is the page on which one shift hands over to the next.
func (c *call) shift() error {
	v := &shiftView{frame: c.frame(c.l.say("nav.shift"), "/shift"), May: c.staff != nil && c.viewer.CanSomewhere(identity.Comment)}
	list := func(sort search.Sort, where map[search.Field][]string) ([]rowView, error) {
		found, err := c.Index.Search(c.ctx, search.Query{Viewer: c.sees(), Where: where, Sort: sort, Collapse: true, Limit: 30, Uncounted: true})
		return c.rowsOf(found.Hits), err
	}
	var err error
	for _, x := range []struct {
		to    *[]rowView
		sort  search.Sort
		where map[search.Field][]string
	}{
		{&v.Promises, search.Queue, map[search.Field][]string{search.FieldTag: {casework.TagPromised}}},
		{&v.Watched, search.Newest, map[search.Field][]string{search.FieldStatus: {string(casework.Watching)}, search.FieldOwner: {string(search.OwnerCase)}}},
		{&v.NoAnswer, search.Newest, map[search.Field][]string{search.FieldTag: {casework.TagPrefix + casework.NoAnswer}}},
	} {
		if *x.to, err = list(x.sort, x.where); err != nil {
			return err
		}
	}
	slices.SortStableFunc(v.Promises, func(a, b rowView) int { return a.Due.at.Compare(b.Due.at) })
	notes := settings.Shifts.List(c.Settings)
	slices.SortFunc(notes, func(a, b settings.Shift) int { return b.At.Compare(a.At) })
	for _, n := range notes[:min(len(notes), 15)] {
		x := shiftNote{ID: n.ID, Text: n.Text, By: c.who(n.By), At: c.l.at(n.At), Taken: c.l.at(n.Taken), Own: n.By == c.viewer.Actor()}
		if n.Confirmed != "" {
			x.Confirmed = c.who(n.Confirmed)
		} else if v.Open == nil {
			v.Open = &x
			continue
		}
		v.Past = append(v.Past, x)
	}
	return c.show(http.StatusOK, "shift", "page", v)
}

// saveShift writes down what the next shift should know.
func (c *call) saveShift() error {
	if c.staff == nil {
		return errForbidden
	}
	s := settings.Shift{ID: "s-" + newID()[:14], Text: c.form("text"), By: c.staff.ID, At: c.l.now.UTC()}
	if err := s.Validate(); err != nil {
		return &inputError{c.l.say("shift.long")}
	}
	if err := settings.Shifts.Put(c.ctx, c.Settings, c.staff.ID, s.ID, 0, s); err != nil {
		return err
	}
	c.flash(&flash{Text: c.l.say("done.shift")})
	return c.back("/shift")
}

// takeShift says that somebody of the next shift has read it.
func (c *call) takeShift() error {
	if c.staff == nil {
		return errForbidden
	}
	s, ok := settings.Shifts.Get(c.Settings, c.r.PathValue("id"))
	if !ok {
		return errNotFound
	}
	if s.Confirmed == "" && s.By != c.staff.ID {
		s.Confirmed, s.Taken = c.staff.ID, c.l.now.UTC()
		if err := settings.Shifts.Put(c.ctx, c.Settings, c.staff.ID, s.ID, settings.Shifts.Version(c.Settings, s.ID), s); err != nil {
			return err
		}
		c.flash(&flash{Text: c.l.say("done.shift_taken")})
	}
	return c.back("/shift")
}
