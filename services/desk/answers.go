package desk

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
)

// answerRuling are the agreed answers.
func answerRuling() ruling {
	r := rulingOf(settings.Answers, identity.Playbook,
		ofChoice("lang", true, "ja", "en"), ofPicks("brands", brandPicks), ofPhrases("questions"), ofLong("answer", 4), ofLong("internal", 2),
		ofText("owner"), ofText("review_by"))
	r.list = func(c *call) []ruled {
		var out []ruled
		for _, a := range settings.Answers.List(c.Settings) {
			row := ruled{id: a.ID, name: shorten(a.Questions[0], 60), parts: []string{c.l.say("lang." + a.Lang), shorten(a.Text, 60)}}
			if a.ReviewBy != "" && a.ReviewBy < c.l.today() {
				row.state = c.l.say("tmpl.review_past", a.ReviewBy)
			}
			out = append(out, row)
		}
		return out
	}
	return r
}

// deputyRuling is who approves while somebody is away.
func deputyRuling() ruling {
	r := rulingOf(settings.Deputies, identity.Rule, ofStaff("absent"), ofStaff("deputy"), ofText("from"), ofText("to"))
	r.list = func(c *call) []ruled {
		var out []ruled
		for _, x := range settings.Deputies.List(c.Settings) {
			row := ruled{id: x.ID, name: c.l.say("deputy.for", c.who(x.Deputy), c.who(x.Absent)), parts: []string{x.From + " – " + x.To}}
			if today := c.l.today(); today >= x.From && today <= x.To {
				row.state = c.l.say("deputy.now")
			}
			out = append(out, row)
		}
		return out
	}
	return r
}

// today is the reader's day.
func (l *locale) today() string { return l.now.In(l.zone).Format("2006-01-02") }

func templatePicks(c *call) []option {
	var out []option
	for _, t := range settings.Templates.List(c.Settings) {
		if t.InForce() != nil {
			out = append(out, option{Value: t.ID, Label: t.Name})
		}
	}
	return out
}

// pickView is what can be put into a reply: templates with why they fit, and
// agreed answers.
type pickView struct {
	Action    string
	Query     string
	Templates []templateOption
	Answers   []answerView
}

type answerView struct {
	Question, Text, Internal, Lang, Past string
}

// mostPicks is how many of each the picker shows.
const mostPicks = 8

// pick lists templates and agreed answers for what was typed.
func (c *call) pick() error {
	s, err := c.Cases.Get(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")))
	if err != nil {
		return err
	}
	if err := c.may(identity.Handle, s.Mention.Brand); err != nil {
		return err
	}
	v := c.picks(&s, strings.TrimSpace(c.r.URL.Query().Get("q")))
	if c.part() == "" {
		return c.showCase(http.StatusOK, &s, caseOptions{mode: "reply", picking: v, back: "/queue"}, nil)
	}
	return c.show(http.StatusOK, "case", "picks", v)
}

func (c *call) picks(s *casework.State, query string) *pickView {
	v := &pickView{Action: "/cases/" + string(s.ID), Query: query}
	needles := strings.Fields(strings.ToLower(query))
	for _, x := range casework.Ranked(settings.Templates.List(c.Settings), s) {
		hay := strings.ToLower(x.Name + " " + x.When + " " + x.InForce().Body)
		fits := true
		for _, n := range needles {
			fits = fits && strings.Contains(hay, n)
		}
		if !fits || len(v.Templates) == mostPicks {
			continue
		}
		v.Templates = append(v.Templates, c.templateOption(&x))
	}
	about := query
	if about == "" {
		about = s.Mention.Content()
	}
	for _, a := range casework.FindAnswers(settings.Answers.List(c.Settings), s.Mention.Brand, s.Verdict.Lang, about, mostPicks) {
		w := answerView{Question: a.Questions[0], Text: a.Text, Internal: a.Internal, Lang: a.Lang}
		if a.ReviewBy != "" && a.ReviewBy < c.l.today() {
			w.Past = c.l.say("tmpl.review_past", a.ReviewBy)
		}
		v.Answers = append(v.Answers, w)
	}
	return v
}

// templateOption is a template offered for a case, with the reasons in words.
func (c *call) templateOption(x *casework.RankedTemplate) templateOption {
	ver := x.InForce()
	o := templateOption{ID: x.ID, Name: x.Name, Lang: x.Lang, When: x.When, Version: ver.N, Text: ver.Body, Apology: c.l.say("apology." + string(ver.Apology))}
	var why []string
	for _, r := range x.Reasons {
		label := ""
		switch r.What {
		case "risk":
			label = c.l.say("risk." + r.Name)
		case "intent":
			label = c.l.say("intent." + r.Name)
		case "lang":
			label = c.l.say("lang." + r.Name)
		case "platform":
			label = c.platform(r.Name)
		case "next":
			label = c.l.say("composer.kind_" + r.Name)
		}
		why = append(why, label)
	}
	o.Why = strings.Join(why, c.l.say("rules.and"))
	if x.ReviewBy != "" && x.ReviewBy < c.l.today() {
		o.Past = c.l.say("tmpl.review_past", x.ReviewBy)
	}
	o.Name = cmp.Or(o.Name, o.ID)
	return o
}
