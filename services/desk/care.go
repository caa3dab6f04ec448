package desk

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
)

// bookOf is the playbook for the gravest risk of s that has one.
func (c *call) bookOf(s *casework.State) (casework.Playbook, bool) {
	books := settings.Playbooks.List(c.Settings)
	v := s.InForce()
	for _, cat := range mention.Categories {
		if !v.Has(cat) {
			continue
		}
		for _, b := range books {
			if slices.Contains(b.Risks, cat) {
				return b, true
			}
		}
	}
	return casework.Playbook{}, false
}

// playbook are the steps for a case, with those that were ticked off, and what
// else its playbook says.
func (c *call) playbook(s *casework.State) ([]stepView, *bookView) {
	b, ok := c.bookOf(s)
	if !ok {
		return nil, nil
	}
	own := c.l.inOwn
	var steps []stepView
	may := c.viewer.Can(identity.Handle, s.Mention.Brand) && s.ReadOnly == "" && !s.Redacted
	for i := range b.Steps {
		st := &b.Steps[i]
		who := st.Who
		if key := "role." + who; c.l.has(key) {
			who = c.l.say(key)
		} else if t, ok := settings.Teams.Get(c.Settings, who); ok {
			who = t.Name
		}
		v := stepView{Text: own(st.Text), Who: who}
		for _, t := range s.Care.Ticks {
			if t.Playbook == b.ID && t.Step == st.Key() {
				v.Done, v.By, v.At = true, c.who(t.By), c.l.at(t.At)
			}
		}
		if may {
			v.Action, v.Fields = "/cases/"+string(s.ID)+"/tick", []pair{{"playbook", b.ID}, {"step", st.Key()}}
			if v.Done {
				v.Fields = append(v.Fields, pair{"undo", "yes"})
			}
		}
		steps = append(steps, v)
	}
	book := &bookView{Name: own(b.Name), Offer: own(b.Offer), Hints: own(b.Hints), Never: own(b.Never), Law: own(b.Law), Edit: "/rules/playbook/" + b.ID}
	for _, x := range b.Clocks {
		book.Clocks = append(book.Clocks, clockView{own(x.Text), c.l.at(s.Mention.SeenAt.Add(time.Duration(x.Hours) * time.Hour))})
	}
	for _, id := range b.Templates {
		if t, ok := settings.Templates.Get(c.Settings, id); ok && t.InForce() != nil && t.Lang == s.Verdict.Lang && t.Serves(s.Mention.Brand, s.Mention.Platform) {
			book.Templates = append(book.Templates, link{t.Name, "/cases/" + string(s.ID) + "?mode=reply&template=" + t.ID})
		}
	}
	return steps, book
}

// care is what is known, decided and done about s.
func (c *call) care(s *casework.State) *careView {
	say, k := c.l.say, &s.Care
	v := &careView{}
	base := "/cases/" + string(s.ID)
	if f := k.Facts; f != nil {
		v.Facts = say("care.facts", c.who(f.By), f.Text)
	}
	for i := range k.Measures {
		v.Measures = append(v.Measures, c.measureView(s, &k.Measures[i]))
	}
	if h := k.Harassment; h != nil {
		key := "care.harassment_no"
		if h.Is {
			key = "care.harassment_yes"
		}
		v.Harassment = say(key, c.who(h.By), h.Text)
	}
	switch {
	case k.Reaction != "":
		v.Reaction = say("reaction." + string(k.Reaction))
	case len(s.Replies) > 0 && c.l.now.Sub(s.Replies[len(s.Replies)-1].At) > 24*time.Hour:
		v.Reaction = say("reaction.silent")
	}
	for _, w := range k.Wishes {
		card, _ := settings.Wishes.Get(c.Settings, w.ID)
		v.Wishes = append(v.Wishes, wishLink{Href: "/wishes/" + w.ID, Title: cmp.Or(card.Title, w.ID), Words: w.Words, Drop: base + "/unwish"})
	}
	if k.Unreviewed != nil && c.viewer.Can(identity.Approve, s.Mention.Brand) && k.Unreviewed.By != c.viewer.Actor() {
		v.Links = append(v.Links, actionView{Label: say("ask.review"), Action: base + "/ask/review", Ask: true, Primary: true})
	}
	if v.Facts == "" && len(v.Measures) == 0 && v.Harassment == "" && v.Reaction == "" && len(v.Wishes) == 0 && len(v.Links) == 0 {
		return nil
	}
	return v
}

func (c *call) measureView(s *casework.State, m *casework.MeasureState) measureView {
	v := measureView{Text: cmp.Or(m.Text, c.l.say("measure.none", m.NoneWhy)), Cause: m.Cause, Owner: c.ownerName(m.Owner), Due: c.l.at(m.Due)}
	switch {
	case m.Done != nil:
		v.Done, v.State = true, c.l.say("measure.done", c.who(m.Done.By), m.Done.Text)
	case m.Open() && c.viewer.Can(identity.Comment, s.Mention.Brand):
		v.Finish = "/cases/" + string(s.ID) + "/ask/finish?measure=" + m.ID
	}
	return v
}

// ownerName is a person or a team in words.
func (c *call) ownerName(id string) string {
	if t, ok := settings.Teams.Get(c.Settings, id); ok {
		return t.Name
	}
	if id == "" {
		return ""
	}
	return c.who(id)
}

// measureFields are the inputs of a cause and what keeps it away.
func (c *call) measureFields(s *casework.State, must bool) []field {
	say := c.l.say
	owner := c.whoTakes(s)
	owner.Name, owner.Label, owner.Required = "owner", say("measure.owner"), false
	if owner.Type == "select" {
		owner.Options = append([]option{{Value: "", Label: say("measure.nobody")}, {Value: c.viewer.Actor(), Label: c.viewer.Name()}}, owner.Options...)
	}
	return []field{
		{Name: "cause", Label: say("measure.cause"), Hint: say("measure.cause_hint"), Type: "textarea", Rows: 2, Required: must},
		{Name: "measure", Label: say("measure.text"), Type: "textarea", Rows: 2, Plain: true},
		owner,
		{Name: "due", Label: say("measure.due"), Type: "date", Plain: true},
		{Name: "none", Label: say("measure.none_why"), Plain: true},
	}
}

// typedMeasure is the measure of a form; nil when nothing was typed.
func (c *call) typedMeasure() (*casework.Measure, error) {
	m := &casework.Measure{Cause: c.form("cause"), Text: c.form("measure"), NoneWhy: c.form("none"), Owner: c.form("owner")}
	if m.Cause == "" && m.Text == "" && m.NoneWhy == "" {
		return nil, nil
	}
	if due := c.form("due"); due != "" {
		t, err := time.ParseInLocation(time.DateOnly, due, c.l.zone)
		if err != nil {
			return nil, &casework.Refused{Code: casework.CodeInput, Text: c.l.say("form.time")}
		}
		m.Due = t.Add(17 * time.Hour)
	}
	if m.Text == "" {
		m.Owner = ""
	}
	return m, nil
}

func (c *call) tick() error {
	undo := c.form("undo") == "yes"
	cmd := casework.TickStep{Playbook: c.form("playbook"), Step: c.form("step"), Undo: undo}
	b, _ := settings.Playbooks.Get(c.Settings, cmd.Playbook)
	at := slices.IndexFunc(b.Steps, func(s casework.Step) bool { return s.Key() == cmd.Step })
	if at >= 0 {
		cmd.Text = c.l.inOwn(b.Steps[at].Text)
	}
	if undo {
		return c.do(cmd, c.l.say("done.untick"), "")
	}
	if at < 0 { // taken out, or worded otherwise, since the page was opened
		return &inputError{c.l.say("form.unknown")}
	}
	return c.do(cmd, c.l.say("done.tick"), "")
}

func (c *call) facts() error {
	return c.do(casework.ConfirmFacts{Text: c.form("why")}, c.l.say("done.facts"), "")
}

func (c *call) measure() error {
	m, err := c.typedMeasure()
	if err == nil && m == nil {
		err = &casework.Refused{Code: casework.CodeMeasure}
	}
	if err != nil {
		return c.refused(err, caseOptions{})
	}
	return c.do(casework.TakeMeasure{Measure: *m}, c.l.say("done.measure"), "")
}

func (c *call) finish() error {
	return c.do(casework.FinishMeasure{ID: c.form("measure"), How: c.form("why")}, c.l.say("done.finish"), "")
}

func (c *call) harassment() error {
	return c.do(casework.DecideHarassment{Is: c.form("is") == "yes", Why: c.form("why")}, c.l.say("done.harassment"), "")
}

func (c *call) review() error {
	return c.do(casework.ReviewApproval{Right: c.form("right") == "yes", Text: c.form("why")}, c.l.say("done.review"), "")
}

func (c *call) hasten() error { return c.do(casework.Hasten{}, c.l.say("done.hasten"), "") }

// askCare are the forms of what this file keeps.
func (c *call) askCare(s *casework.State, what string, a *askView) bool {
	say := c.l.say
	why := field{Name: "why", Label: say("ask.why"), Type: "textarea", Rows: 2, Required: true}
	yesNo := func(name, label string) field {
		return field{Name: name, Label: say(label), Type: "radio", Required: true, Options: []option{{Value: "yes", Label: say(label + "_yes")}, {Value: "no", Label: say(label + "_no")}}}
	}
	a.Button = say("me.save")
	switch what {
	case "facts":
		why.Label = say("ask.facts_which")
		a.Text, a.Fields = say("ask.facts_text"), []field{why}
	case "measure":
		a.Text, a.Fields = say("ask.measure_text"), c.measureFields(s, true)
	case "finish":
		why.Label = say("ask.what_done")
		a.Hidden, a.Fields = []pair{{"measure", c.r.URL.Query().Get("measure")}}, []field{why}
	case "harassment":
		why.Label = say("ask.harassment_why")
		a.Text, a.Fields = say("ask.harassment_text"), []field{yesNo("is", "ask.harassment_is"), why}
	case "review":
		if u := s.Care.Unreviewed; u != nil {
			a.Text = say("ask.review_text", c.who(u.By), u.Why)
		}
		why.Required = false
		a.Fields = []field{yesNo("right", "ask.review_is"), why}
	case "wish":
		c.askWish(s, a)
	case "halt":
		c.askHalt(s, a)
	default:
		return false
	}
	return true
}

// sentence joins texts that are there.
func sentence(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(t string) bool { return t == "" }), " ")
}
