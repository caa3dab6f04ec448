package desk

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/text"
)

// outboxView shows what waits to be published, what failed, and what is owed
// after a reply.
type outboxView struct {
	frame
	Tabs   []chip
	Which  string
	Lead   string
	Rows   []outboxRow
	Notice *notice
	Stops  []stopView
	Stop   *askView // the form that stops a brand; nil where one may not
}

type outboxRow struct {
	Href, Number, Brand, To, Text, Lang, Why, By string
	Fate                                         *fateView // instead of Why
	Post                                         link      // it answers
	At                                           moment
	Due                                          moment
	Actions                                      []actionView
	Measure                                      *measureView
}

// fateView says of a reply that is not out, or perhaps is, what happened and what
// is to be done by whom.
type fateView struct {
	What    string // happened
	Trouble *troubleView
	Since   moment
	Owner   string // of the case; empty for nobody
	Next    string // to do
}

type stopView struct {
	What, Why, By, Statement, Release string
	At                                moment
}

// outboxTabs are the lists, by the tag in the index that finds them.
var outboxTabs = []struct{ name, tag string }{
	{"waiting", casework.TagWaiting}, {"failed", casework.TagFailed}, {"unsure", casework.TagUnsure},
	{"silent", casework.TagSilent}, {"measures", casework.TagMeasure}, {"reviews", casework.TagEmergency},
}

func (c *call) outbox() error {
	say := c.l.say
	which := c.r.URL.Query().Get("list")
	i := max(0, slices.IndexFunc(outboxTabs, func(t struct{ name, tag string }) bool { return t.name == which }))
	which = outboxTabs[i].name
	v := &outboxView{frame: c.frame(say("nav.outbox"), "/outbox"), Which: which, Lead: say("outbox." + which + "_lead")}
	var queries []search.Query
	for _, t := range outboxTabs {
		queries = append(queries, search.Query{Viewer: c.sees(), Where: map[search.Field][]string{search.FieldTag: {t.tag}}, Sort: search.Newest, Limit: 50})
	}
	counts, err := c.Index.Counts(c.ctx, queries...)
	if err != nil {
		return err
	}
	for j, t := range outboxTabs {
		v.Tabs = append(v.Tabs, chip{Label: say("outbox." + t.name), Href: "/outbox?list=" + t.name, Count: int(counts[j]), On: j == i, Urgent: (t.name == "failed" || t.name == "unsure") && counts[j] > 0})
	}
	res, err := c.Index.Search(c.ctx, queries[i])
	if err != nil {
		return err
	}
	for j := range res.Hits {
		s, err := c.Cases.Get(c.ctx, c.viewer, res.Hits[j].ID)
		if err != nil {
			return err
		}
		if slices.Contains(s.IndexTags(), outboxTabs[i].tag) { // the index may be behind
			v.Rows = append(v.Rows, c.outboxRows(&s, which)...)
		}
	}
	if len(v.Rows) == 0 {
		v.Notice = &notice{Kind: "empty", Title: say("outbox." + which + "_none")}
	}
	c.stopsOf(v)
	return c.show(http.StatusOK, "outbox", "page", v)
}

// outboxRows are the lines of a case in a list, with what to do next.
func (c *call) outboxRows(s *casework.State, which string) []outboxRow {
	say, base := c.l.say, "/cases/"+string(s.ID)
	m := &s.Mention
	to := mention.ID("")
	switch {
	case s.Outgoing != nil:
		to = s.Outgoing.Draft.To
	case s.Draft != nil:
		to = s.Draft.To
	}
	row := outboxRow{Href: base, Number: "No. " + itoa(s.Number), Brand: c.brandName(m.Brand), To: isolated(authorOf(m.Author.Handle, m.Author.Name)) + " · " + c.platform(m.Platform)}
	if answers := c.facing(s, &reply{to: to}); answers.Mention.URL != "" {
		row.Post = link{say("post.open"), answers.Mention.URL}
		if answers.Mention.Platform == "x" {
			row.Post.Label = say("post.open_x")
		}
	}
	act := func(label, path string, ask bool) {
		row.Actions = append(row.Actions, actionView{Label: say(label), Action: base + path, Ask: ask, Fields: []pair{{"back", "/outbox?list=" + which}}})
	}
	may := func(a identity.Action) bool { return c.viewer.Can(a, m.Brand) }
	switch which {
	case "waiting", "unsure":
		o := s.Outgoing
		row.Text, row.Lang, row.By, row.At = o.Draft.Text, langOf(o.Draft.Lang), c.who(o.By), c.l.at(o.AskedAt)
		if which == "unsure" {
			row.Fate = &fateView{What: say("out.unsure"), Trouble: c.doubt(s), Since: row.At, Owner: c.ownerOf(s), Next: say("outbox.unsure_next", say("action.settle"))}
			if e, ok := lastKind(s, casework.SendUnsure); ok {
				row.Fate.Since = c.l.at(e.At)
			}
			if may(identity.Send) {
				act("action.settle", "/ask/settle", true)
			}
			break
		}
		if c.l.now.Before(o.NotTill) {
			row.Due = c.l.at(o.NotTill)
		}
		if may(identity.Send) && !o.Calling {
			act("action.stop", "/stop", false)
			if c.l.now.Before(o.NotTill) {
				act("action.hasten", "/hasten", false)
			}
		}
	case "failed":
		d := s.Draft
		row.Text, row.Lang, row.By = d.Text, langOf(d.Lang), c.who(d.Author)
		row.At = c.l.at(d.At)
		row.Fate = &fateView{What: say("out.failed"), Since: row.At, Owner: c.ownerOf(s), Next: say("outbox.failed_next")}
		if e, ok := lastKind(s, casework.SendFailed); ok {
			row.Fate.Since, row.Fate.Trouble = c.l.at(e.At), c.setback(s, e.Reason, e.Text, e.Trouble)
			if t := row.Fate.Trouble; t != nil && t.Next != "" {
				row.Fate.Next, t.Next = t.Next, ""
			}
			if !e.Until.IsZero() {
				row.Fate.Next = say("out.until", c.l.at(e.Until).Clock()) + " " + row.Fate.Next
			}
		}
		if may(identity.Handle) {
			act("outbox.again", "?mode=reply", true)
			act("outbox.ask", "/ask/hand-over", true)
			act("outbox.give_up", "/ask/close", true)
		}
	case "silent":
		r := &s.Replies[len(s.Replies)-1]
		row.Text, row.Lang, row.By, row.At = r.Draft.Text, langOf(r.Draft.Lang), c.who(r.By), c.l.at(r.At)
		if s.Promise != nil {
			row.Due = c.l.at(s.Promise.Due)
		}
		if may(identity.Handle) {
			act("outbox.report", "?mode=reply", true)
		}
	case "measures":
		var rows []outboxRow
		for i := range s.Care.Measures {
			if x := &s.Care.Measures[i]; x.Open() {
				r := row
				mv := c.measureView(s, x)
				r.Measure, r.At, r.By, r.Due = &mv, c.l.at(x.At), c.who(x.By), mv.Due
				rows = append(rows, r)
			}
		}
		return rows
	case "reviews":
		u := s.Care.Unreviewed
		row.By, row.At, row.Why = c.who(u.By), c.l.at(u.At), u.Why
		if n := len(s.Replies); n > 0 {
			row.Text, row.Lang = s.Replies[n-1].Draft.Text, langOf(s.Replies[n-1].Draft.Lang)
		}
		row.Due = c.l.at(u.At.AddDate(0, 0, 1))
		if may(identity.Approve) && u.By != c.viewer.Actor() {
			act("ask.review", "/ask/review", true)
		}
	}
	return []outboxRow{row}
}

// ownerOf is who has a case, by name; empty for nobody.
func (c *call) ownerOf(s *casework.State) string {
	if s.Owner() == "" {
		return ""
	}
	return c.who(s.Owner())
}

// stopsOf are the stops in force, and the form for another one.
func (c *call) stopsOf(v *outboxView) {
	for _, x := range settings.Stops.List(c.Settings) {
		if !c.viewer.Can(identity.View, x.Brand) {
			continue
		}
		by, at := settings.Stops.Changed(c.Settings, x.ID)
		s := stopView{What: c.brandName(x.Brand), Why: x.Why, By: c.who(by), At: c.l.at(at)}
		if x.Story != "" {
			s.What += " · " + c.l.say("stop.story")
		}
		if t, ok := settings.Templates.Get(c.Settings, x.Statement); ok {
			s.Statement = t.Name
		}
		if c.viewer.Can(identity.Page, x.Brand) {
			s.Release = "/stops/" + x.ID + "/release"
		}
		v.Stops = append(v.Stops, s)
	}
	brand := field{Name: "brand", Label: c.l.say("case.brand"), Type: "select", Required: true}
	for _, b := range settings.Brands.List(c.Settings) {
		if c.viewer.Can(identity.Page, b.ID) {
			brand.Options = append(brand.Options, option{Value: b.ID, Label: b.Called(c.l.lang)})
		}
	}
	if len(brand.Options) > 0 {
		v.Stop = &askView{Action: "/stops", Button: c.l.say("action.halt"), Danger: true, Text: c.l.say("ask.halt_text"), Fields: append([]field{brand}, c.stopFields("", "")...)}
	}
}

// stopFields are why, and what may be said meanwhile.
func (c *call) stopFields(brand, platform string) []field {
	statement := field{Name: "statement", Label: c.l.say("stop.statement"), Hint: c.l.say("stop.statement_hint"), Type: "select", Options: []option{{}}, Plain: true}
	for _, t := range settings.Templates.List(c.Settings) {
		if t.InForce() != nil && (brand == "" || t.Serves(brand, platform)) {
			statement.Options = append(statement.Options, option{Value: t.ID, Label: t.Name})
		}
	}
	return []field{{Name: "why", Label: c.l.say("ask.why"), Type: "textarea", Rows: 2, Required: true}, statement}
}

// askHalt is the form that stops replies from a case: of its story or its brand.
func (c *call) askHalt(s *casework.State, a *askView) {
	a.Action, a.Button, a.Danger, a.Text = "/stops", c.l.say("action.halt"), true, c.l.say("ask.halt_text")
	a.Hidden = []pair{{"brand", s.Mention.Brand}, {"case", string(s.ID)}}
	reach := field{Name: "story", Label: c.l.say("stop.reach"), Type: "radio", Options: []option{{Value: "", Label: c.l.say("stop.brand", c.brandName(s.Mention.Brand)), On: true}}}
	if s.Verdict.Story != "" {
		reach.Options = append(reach.Options, option{Value: s.Verdict.Story, Label: c.l.say("stop.story")})
	}
	a.Fields = append([]field{reach}, c.stopFields(s.Mention.Brand, s.Mention.Platform)...)
}

// stopReplies keeps all replies of a brand or story from leaving, and takes back
// what waits.
func (c *call) stopReplies() error {
	x := settings.Stop{Brand: c.form("brand"), Story: c.form("story"), Why: c.form("why"), Statement: c.form("statement")}
	if _, ok := settings.Brands.Get(c.Settings, x.Brand); !ok {
		return errNotFound
	}
	if err := c.may(identity.Page, x.Brand); err != nil {
		return err
	}
	x.ID = settings.StopID(x.Brand, x.Story)
	// A brake is not refused for what is beside it.
	x.Why = cmp.Or(text.Cut(x.Why, 1000), c.l.say("stop.no_why"))
	if _, ok := settings.Templates.Get(c.Settings, x.Statement); !ok {
		x.Statement = ""
	}
	if err := settings.Stops.Put(c.ctx, c.Settings, c.viewer.Actor(), x.ID, settings.Stops.Version(c.Settings, x.ID), x); err != nil {
		return err
	}
	n := 0
	q := search.Query{Viewer: c.sees(), Limit: search.MaxLimit, Sort: search.Newest, Where: map[search.Field][]string{search.FieldTag: {casework.TagWaiting}, search.FieldBrand: {x.Brand}}}
	if x.Story != "" {
		q.Where[search.FieldStory] = []string{x.Story}
	}
	res, err := c.Index.Search(c.ctx, q)
	if err != nil {
		return err // the stop holds; the replier takes the rest back
	}
	for i := range res.Hits {
		_, err := c.Cases.Do(c.ctx, c.viewer, res.Hits[i].ID, casework.StopSend{Why: x.Why})
		if err == nil {
			n++
		} else if !isRefused(err, casework.CodeState) {
			return err
		}
	}
	c.flash(&flash{Text: c.l.say("done.halt", n)})
	if id := c.form("case"); mention.ID(id).Valid() {
		return c.back("/cases/" + id)
	}
	return c.back("/outbox")
}

// release lets replies leave again. What was stopped stays with its people.
func (c *call) releaseReplies() error {
	x, ok := settings.Stops.Get(c.Settings, c.r.PathValue("id"))
	if !ok {
		return c.back("/outbox")
	}
	if err := c.may(identity.Page, x.Brand); err != nil {
		return err
	}
	if err := settings.Stops.Delete(c.ctx, c.Settings, c.viewer.Actor(), x.ID, settings.Stops.Version(c.Settings, x.ID)); err != nil {
		return err
	}
	c.flash(&flash{Text: c.l.say("done.release_stop")})
	return c.back("/outbox")
}
