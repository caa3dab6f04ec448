package desk

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/text"
)

// undo takes back the last thing that the caller did to the case.
func (c *call) undo() error { return c.do(casework.Undo{}, c.l.say("done.undo"), "") }

// passOn gives the case back for a colleague; nobody asks why.
func (c *call) passOn() error { return c.do(casework.PassOn{}, c.l.say("done.pass"), "undo") }

// assign gives the case to somebody.
func (c *call) assign() error {
	to := c.form("to")
	s, err := c.assignTo(mention.ID(c.r.PathValue("id")), to)
	done := c.l.say("done.unassign")
	if to != "" {
		done = c.l.say("done.assign", c.who(to))
	}
	return c.done(s, err, done, "undo")
}

// assignTo gives a case to somebody who can have it, and who is told.
func (c *call) assignTo(id mention.ID, to string) (casework.State, error) {
	was, err := c.Cases.Get(c.ctx, c.viewer, id)
	if err != nil {
		return was, err
	}
	if err := c.canHave(to, was.Mention.Brand); err != nil {
		return was, err
	}
	s, err := c.Cases.Do(c.ctx, c.viewer, id, casework.Assign{To: to})
	if err == nil {
		c.tellAssigned(&was, to)
	}
	return s, err
}

// canHave refuses somebody who can't work for a brand.
func (c *call) canHave(to, brand string) error {
	if to == "" {
		return nil
	}
	p, ok := settings.Staff.Get(c.Settings, to)
	if v := p.Viewer(); !ok || !v.Can(identity.Handle, brand) {
		return &casework.Refused{Code: casework.CodeInput, Text: c.l.say("ask.assign_nobody")}
	}
	return nil
}

// tellAssigned tells whom a case was given, and from whom it was taken.
func (c *call) tellAssigned(was *casework.State, to string) {
	me := c.viewer.Actor()
	if to != "" && to != me {
		c.tell("assigned", was.ID, to)
	}
	if had := was.Owner(); had != "" && had != me && had != to {
		c.tell("taken", was.ID, had)
	}
}

// retag puts tags on the case and takes others off.
func (c *call) retag() error {
	cmd := casework.Retag{Add: tagsIn(c.form("tags")), Remove: c.r.PostForm["off"]}
	for i, t := range cmd.Add {
		if t == c.l.say("tag."+casework.NoAnswer) {
			cmd.Add[i] = casework.NoAnswer
		}
	}
	return c.do(cmd, c.l.say("done.tag"), "undo")
}

// tagsIn are the tags that somebody typed, with commas between them.
func tagsIn(typed string) []string {
	var out []string
	for _, t := range strings.FieldsFunc(typed, func(r rune) bool { return strings.ContainsRune(",、，\n", r) }) {
		if t = strings.TrimSpace(t); t != "" {
			out = append(out, t)
		}
	}
	return out
}

func (c *call) tagsOf(s *casework.State) []chip {
	var out []chip
	for _, t := range s.Tags {
		out = append(out, chip{Label: c.valueName("tag", t), Href: c.toggle("tag", t)})
	}
	return out
}

// knownTags are the tags in use, the most frequent first.
func (c *call) knownTags() []string {
	counts, err := c.Index.Facets(c.ctx, search.Query{Viewer: c.sees(), Where: map[search.Field][]string{search.FieldOwner: {string(search.OwnerCase)}}}, search.FieldTag)
	if err != nil {
		c.Log.Warn("tags not counted", "error", err)
		return nil
	}
	var out []string
	for _, b := range counts[search.FieldTag] {
		if t, ok := strings.CutPrefix(b.Value, casework.TagPrefix); ok && len(out) < 12 {
			out = append(out, t)
		}
	}
	return out
}

// promiseByHand records a report that was promised, as on the phone.
func (c *call) promiseByHand() error {
	due, err := c.moment(c.form("due"))
	if err != nil {
		return c.refused(&casework.Refused{Code: casework.CodeInput, Text: err.Error()}, caseOptions{})
	}
	every := time.Duration(atoi(c.form("every"))) * day
	return c.do(casework.MakePromise{Due: due, Every: every}, c.l.say("done.promise", c.l.at(due).Clock()), "")
}

// keepPromise says that we reported otherwise than by a reply.
func (c *call) keepPromise() error {
	return c.do(casework.KeepPromise{How: c.form("why")}, c.l.say("done.kept"), "undo")
}

// endPromise says that no report is owed any more.
func (c *call) endPromise() error {
	return c.do(casework.EndPromise{Why: c.form("why")}, c.l.say("done.unpromise"), "undo")
}

// askTriage fills the form of a command of triage in.
func (c *call) askTriage(what string, s *casework.State, a *askView) {
	say := c.l.say
	switch what {
	case "assign":
		a.Button = say("action.assign")
		to := field{Name: "to", Label: say("ask.assign_to"), Type: "select", Plain: true}
		to.Options = append(to.Options, option{Value: "", Label: say("ask.assign_none"), On: s.Owner() == ""})
		open, harsh := c.loads(s.Mention.Brand)
		for _, p := range settings.Staff.List(c.Settings) {
			if v := p.Viewer(); v.Can(identity.Handle, s.Mention.Brand) {
				label := say("ask.assign_load", p.Name, open[p.ID], harsh[p.ID])
				if p.Away {
					label += " · " + say("me.away_short")
				}
				to.Options = append(to.Options, option{Value: p.ID, Label: label, On: p.ID == s.Owner()})
			}
		}
		a.Fields = []field{to}
	case "tag":
		a.Button = say("ask.tag_save")
		on := field{Name: "off", Label: say("ask.tag_off"), Type: "check"}
		for _, t := range s.Tags {
			if t != casework.NoAnswer || c.viewer.Can(identity.Page, s.Mention.Brand) {
				on.Options = append(on.Options, option{Value: t, Label: c.valueName("tag", t)})
			}
		}
		add := field{Name: "tags", Label: say("ask.tag_add"), Hint: say("ask.tag_hint"), Plain: true}
		var known []string
		for _, t := range append(c.knownTags(), casework.NoAnswer) {
			if t = c.valueName("tag", t); !slices.Contains(known, t) {
				known = append(known, t)
			}
		}
		add.Hint += " " + say("ask.tag_known", strings.Join(known, ", "))
		a.Fields = []field{add}
		if len(on.Options) > 0 {
			a.Fields = append(a.Fields, on)
		}
	case "promise":
		a.Button, a.Text = say("action.promise"), say("ask.promise_text")
		a.Fields = []field{{Name: "due", Label: say("composer.promise"), Type: "datetime-local", Required: true, Value: c.usualPromise()}, c.everyField(0)}
	case "kept", "unpromise":
		a.Button = say("me.save")
		why := field{Name: "why", Label: say("ask." + what + "_why"), Required: true}
		if p := s.Promise; what == "kept" && p != nil && p.Every > 0 {
			a.Text = say("ask.kept_again", int(p.Every/day))
		}
		a.Fields = []field{why}
	case "link":
		a.Button, a.Text = say("action.link"), say("ask.link_text")
		a.Fields = []field{
			{Name: "case", Label: say("ask.link_case"), Required: true},
			{Name: "basis", Label: say("ask.link_basis"), Hint: say("ask.link_hint"), Type: "textarea", Rows: 2, Required: true},
		}
	}
}

// loads are how many open cases and how many harsh mentions of this week people
// have, of those the caller sees.
func (c *call) loads(brand string) (open, harsh map[string]int) {
	open, harsh = map[string]int{}, map[string]int{}
	where := map[search.Field][]string{search.FieldOpen: {search.Yes}}
	counts, err := c.Index.Facets(c.ctx, search.Query{Viewer: c.sees(), Where: where}, search.FieldHolder)
	if err != nil {
		c.Log.Warn("loads not counted", "error", err)
		return open, harsh
	}
	for _, b := range counts[search.FieldHolder] {
		open[b.Value] = int(b.Count)
	}
	var who []string
	var queries []search.Query
	for _, p := range settings.Staff.List(c.Settings) {
		if v := p.Viewer(); brand == "" && v.CanSomewhere(identity.Handle) || v.Can(identity.Handle, brand) {
			who = append(who, p.ID)
			queries = append(queries, search.Harsh(c.sees(), p.ID, c.l.now.AddDate(0, 0, -7)))
		}
	}
	n, err := c.Index.Counts(c.ctx, queries...)
	if err != nil {
		c.Log.Warn("loads not counted", "error", err)
		return open, harsh
	}
	for i, id := range who {
		harsh[id] = int(n[i])
	}
	return open, harsh
}

// revealFor is how long somebody sees what they asked to see.
const revealFor = 30 * time.Minute

// masked is a text of s as the caller sees it.
func (c *call) masked(s *casework.State, t string) string {
	if c.revealed(s) {
		return t
	}
	return text.Mask(t)
}

// revealed tells whether the caller has asked to see what is masked, which is
// written down.
func (c *call) revealed(s *casework.State) bool {
	return slices.ContainsFunc(s.History, func(e casework.Event) bool {
		return e.Kind == casework.Revealed && e.Actor == c.viewer.Actor() && c.l.now.Sub(e.At) < revealFor
	})
}

// private is the way to see what is masked, where anything is.
func (c *call) private(s *casework.State) *actionView {
	m := &s.Mention
	if !c.viewer.Can(identity.Reveal, m.Brand) || c.revealed(s) || len(text.Private(m.Content())) == 0 && len(text.Private(m.Thread.ParentText)) == 0 {
		return nil
	}
	return &actionView{Name: "reveal", Label: c.l.say("action.reveal"), Key: "v", Action: "/cases/" + string(s.ID) + "/reveal"}
}

func (c *call) reveal() error { return c.do(casework.Reveal{}, c.l.say("done.reveal"), "") }

// offPlatform tells whether a platform forbids to match its people with others.
func offPlatform(p string) bool { return p == "x" }

// link says that the author of another case is the same person.
func (c *call) link() error {
	id := mention.ID(c.r.PathValue("id"))
	number := c.caseNumber(c.form("case"))
	if number == nil {
		return c.refused(&casework.Refused{Code: casework.CodeInput, Text: c.l.say("ask.merge_unknown")}, caseOptions{})
	}
	found, err := c.Index.Search(c.ctx, search.Query{Viewer: c.sees(), Where: number, Limit: 1})
	if err != nil || len(found.Hits) == 0 {
		return cmp.Or(err, errNotFound)
	}
	s, err := c.linkAuthor(id, found.Hits[0].ID, c.form("basis"))
	return c.done(s, err, c.l.say("done.link"), "")
}

// linkAuthor says that the authors of two cases are the same person, where the
// platforms allow that it is known.
func (c *call) linkAuthor(id, other mention.ID, basis string) (casework.State, error) {
	s, err := c.Cases.Get(c.ctx, c.viewer, id)
	if err != nil {
		return s, err
	}
	o, err := c.Cases.Get(c.ctx, c.viewer, other)
	if err != nil {
		return o, err
	}
	mine, theirs := s.Mention.Platform, o.Mention.Platform
	if mine != theirs && (offPlatform(mine) || offPlatform(theirs)) {
		return s, &casework.Refused{Code: casework.CodeInput, Text: c.l.say("ask.link_forbidden", c.platform("x"))}
	}
	return c.Cases.Do(c.ctx, c.viewer, id, casework.LinkAuthor{Case: other, Basis: basis})
}

func (c *call) unlink() error {
	return c.do(casework.UnlinkAuthor{Case: mention.ID(c.form("case"))}, c.l.say("done.unlink"), "")
}

// links are the authors that a person says are the same as that of s: by this
// case, and by others of the same author.
func (c *call) links(s *casework.State, v *caseView) {
	all := map[mention.ID][]casework.Link{s.ID: s.Links}
	if id := s.Mention.Author.ID; id != "" {
		found, err := c.Index.Search(c.ctx, search.Query{Viewer: c.sees(), Limit: 10, Sort: search.Newest, Where: map[search.Field][]string{
			search.FieldAuthor: {id}, search.FieldPlatform: {s.Mention.Platform}, search.FieldTag: {casework.TagLinked},
		}})
		if err != nil {
			c.Log.Warn("links not read", "error", err)
		}
		for _, h := range found.Hits {
			if h.ID == s.ID {
				continue
			}
			if other, err := c.Cases.Get(c.ctx, c.viewer, h.ID); err == nil {
				all[h.ID] = other.Links
			}
		}
	}
	for from, links := range all {
		for _, k := range links {
			other, err := c.Cases.Get(c.ctx, c.viewer, k.Case)
			if err != nil {
				continue // gone, or not for these eyes
			}
			m := &other.Mention
			x := linkedView{
				Href: "/cases/" + string(k.Case), Author: authorOf(m.Author.Handle, m.Author.Name), Platform: c.platform(m.Platform),
				Basis: k.Basis, By: c.who(k.By), At: c.l.at(k.At),
				Undo: &actionView{Label: c.l.say("action.unlink"), Action: fmt.Sprintf("/cases/%s/unlink", from), Fields: []pair{{"case", string(k.Case)}}},
			}
			if !c.viewer.Can(identity.Handle, s.Mention.Brand) {
				x.Undo = nil
			}
			x.Earlier, _ = c.earlier("", m)
			v.Links = append(v.Links, x)
		}
	}
	slices.SortFunc(v.Links, func(a, b linkedView) int { return a.At.at.Compare(b.At.at) })
}

// leaveOutView proposes what the brand's query could leave out.
type leaveOutView struct {
	Action  string
	Version string // of the query that it is about
	Terms   []leaveOutTerm
	Own     string
	May     bool // the caller may change the query
	Back    string
	Brand   string
	Error   string
	Chosen  *leaveOutTerm // with what else it would drop
}

// leaveOutTerm is a term, and what leaving it out would drop of what is stored.
type leaveOutTerm struct {
	Term    string
	Label   string
	Dropped int
	Capped  bool
	Wanted  int // of those, that were to be answered
	Query   string
	Rows    []earlierView
	On      bool
}

// proposeLeaveOut shows the form, with the preview of a term if one is chosen.
func (c *call) proposeLeaveOut() error {
	s, err := c.Cases.Get(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")))
	if err != nil {
		return err
	}
	return c.showCase(http.StatusOK, &s, caseOptions{back: "/queue", leaveOut: c.leavesOut(&s, c.r.URL.Query().Get("term"))}, nil)
}
