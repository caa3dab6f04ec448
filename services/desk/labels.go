package desk

import (
	"cmp"
	"errors"
	"net/http"
	"slices"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

// labelsView is the form in which staff say what the labels of a mention are.
type labelsView struct {
	Title, Lead                          string
	Action, Back                         string
	Fields                               []pair
	Sentiment, Intent, Disposition, Page field
	// Risks are those that were told, with More besides; blind, all are More.
	Risks, More []riskField
	Blind       bool
}

// riskField is a risk that can be ticked, with the words that show it.
type riskField struct {
	Name, Label, Hint string
	Words, Error      string
	On                bool
	Rungs             []option // only of a threat to publish
}

// typedLabels is what stands in the form.
type typedLabels struct {
	sentiment, intent, disposition, page string
	rung                                 string
	words                                map[mention.Category]string // of the risks that are ticked
	wrong                                map[mention.Category]string
}

// judgedView says who corrected a verdict, and what it had said.
type judgedView struct {
	By  string
	At  moment
	Was []string // what the verdict has otherwise
}

// labels shows the form, filled with what is in force.
func (c *call) labels() error {
	s, err := c.Cases.Get(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")))
	if err != nil {
		return err
	}
	if err := c.may(identity.Handle, s.Mention.Brand); err != nil {
		return err
	}
	return c.showCase(http.StatusOK, &s, caseOptions{labels: c.inForce(&s), back: "/queue"}, nil)
}

// inForce is the form as the labels in force fill it.
func (c *call) inForce(s *casework.State) *typedLabels {
	v := s.InForce()
	t := &typedLabels{sentiment: string(v.Sentiment), intent: string(v.Intent), disposition: string(v.Disposition), page: yesNo(v.Page), words: map[mention.Category]string{}}
	if s.Decided { // a person has said so already, by another key
		t.disposition = string(s.Triage.Disposition)
	}
	if alarm := c.falseAlarm(s.ID); alarm != nil && (s.Judged() == nil || alarm.At.After(s.Judged().At)) {
		t.page = "no"
	}
	for _, r := range v.Risks {
		t.words[r.Category] = between(s.Mention.Content(), r.Start, r.End)
		t.rung = cmp.Or(t.rung, string(r.Rung))
	}
	return t
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// falseAlarm is the word of whoever said that the page about a mention should
// not have woken them, or nil. It is of a verdict's own pages only.
func (c *call) falseAlarm(id mention.ID) *escalation.Mark {
	for _, e := range c.Board.All(func(e *escalation.State) bool { return e.Mention == id && wrongPage(e) }) {
		return e.FalseAlarm
	}
	return nil
}

// wrongPage tells whether somebody said of an escalation that a verdict opened
// that it should not have woken them.
func wrongPage(e *escalation.State) bool {
	return e.FalseAlarm != nil && e.Origin == escalation.ByVerdict && e.Mention != ""
}

// labelsForm is the form for a case; for a sample without what was told.
func (c *call) labelsForm(s *casework.State, t *typedLabels, sample casework.Sample, back string) *labelsView {
	say := c.l.say
	base := "/cases/" + string(s.ID)
	v := &labelsView{
		Title: say("label.title"), Lead: say("label.lead"), Action: base + "/judge", Back: base, Blind: sample != "",
		Fields: []pair{{"text", s.Mention.Revision.Hash}, {"back", base}},
	}
	if v.Blind {
		v.Title, v.Lead, v.Back = say("sample.title"), say("sample.judge"), back
		v.Fields = []pair{v.Fields[0], {"back", back + "&case=" + string(s.ID)}, {"sample", string(sample)}}
	}
	v.Sentiment = field{Name: "sentiment", Label: say("verdict.sentiment"), Type: "radio", Required: true, Options: choices(c, "sentiment.", t.sentiment, mention.Sentiments)}
	v.Disposition = field{Name: "disposition", Label: say("verdict.disposition"), Type: "radio", Required: true, Options: choices(c, "disposition.", t.disposition, mention.Dispositions)}
	v.Intent = field{Name: "intent", Label: say("verdict.intent"), Type: "radio", Required: true, Options: choices(c, "intent.", t.intent, mention.Intents)}
	v.Page = field{Name: "page", Label: say("label.page"), Type: "radio", Required: true, Options: choices(c, "label.page_", t.page, []string{"yes", "no"})}
	for _, cat := range mention.Categories {
		words, on := t.words[cat]
		r := riskField{Name: string(cat), Label: say("risk." + string(cat)), Hint: say("label.is." + string(cat)), Words: words, On: on, Error: t.wrong[cat]}
		if cat == mention.PublicityThreat {
			r.Rungs = append([]option{{Label: say("label.rung")}}, choices(c, "rung.", t.rung, mention.Rungs)...)
		}
		if v.Blind || !on && !s.Verdict.Has(cat) {
			v.More = append(v.More, r)
		} else {
			v.Risks = append(v.Risks, r)
		}
	}
	return v
}

func choices[T ~string](c *call, prefix, on string, values []T) []option {
	var out []option
	for _, v := range values {
		out = append(out, option{Value: string(v), Label: c.l.say(prefix + string(v)), On: on == string(v)})
	}
	return out
}

// typedLabels reads the form.
func (c *call) typedLabels() *typedLabels {
	t := &typedLabels{
		sentiment: c.form("sentiment"), intent: c.form("intent"), disposition: c.form("disposition"), page: c.form("page"), rung: c.form("rung"),
		words: map[mention.Category]string{}, wrong: map[mention.Category]string{},
	}
	for _, name := range c.r.PostForm["risk"] {
		t.words[mention.Category(name)] = c.form("words." + name)
	}
	return t
}

// command is what the form says of s; words that aren't in its text are noted in
// t.wrong.
func (t *typedLabels) command(s *casework.State, notFound string) casework.Label {
	cmd := casework.Label{
		Sentiment: mention.Sentiment(t.sentiment), Intent: mention.Intent(t.intent), Disposition: mention.Disposition(t.disposition), Page: t.page == "yes",
	}
	content, v := s.Mention.Content(), s.InForce()
	for _, cat := range mention.Categories {
		words, on := t.words[cat]
		if !on {
			continue
		}
		r := mention.Risk{Category: cat}
		if cat == mention.PublicityThreat {
			r.Rung = mention.Rung(t.rung)
		}
		if words != "" {
			from := 0
			if i := slices.IndexFunc(v.Risks, func(o mention.Risk) bool { return o.Category == cat }); i >= 0 {
				from = v.Risks[i].Start
			}
			var ok bool
			if r.Start, r.End, ok = casework.Find(content, words, from); !ok {
				t.wrong[cat] = notFound
			}
		}
		cmd.Risks = append(cmd.Risks, r)
	}
	return cmd
}

// saveLabels stores what the form says.
func (c *call) saveLabels() error {
	id := mention.ID(c.r.PathValue("id"))
	s, err := c.Cases.Get(c.ctx, c.viewer, id)
	if err != nil {
		return err
	}
	if err := c.may(identity.Handle, s.Mention.Brand); err != nil {
		return err
	}
	t := c.typedLabels()
	o := caseOptions{labels: t, back: "/queue"}
	cmd := t.command(&s, c.l.say("label.not_found"))
	if cmd.Sample = casework.Sample(c.form("sample")); cmd.Sample != "" {
		o.sample, o.back = cmd.Sample, "/queue?view="+viewSample
		if due, err := c.sampled(&s); err != nil {
			return err
		} else if due != cmd.Sample {
			return c.refusedLabels(c.l.say("sample.gone"), caseOptions{back: o.back})
		}
	}
	switch {
	case c.form("text") != s.Mention.Revision.Hash:
		return c.refusedLabels(c.l.say("label.stale"), o)
	case t.page != "yes" && t.page != "no":
		return c.refusedLabels(c.l.say("label.incomplete"), o)
	case len(t.wrong) > 0:
		return c.refusedLabels(c.l.say("label.not_found_text"), o)
	}
	s, err = c.Cases.Do(c.ctx, c.viewer, id, cmd)
	if refused, ok := errors.AsType[*casework.Refused](err); ok {
		if refused.Code == casework.CodeInput {
			return c.refusedLabels(c.l.say("label.incomplete"), o)
		}
		return c.refused(err, o)
	}
	if err == nil && cmd.Sample != "" {
		c.weekly.mark(id, true)
	}
	return c.done(s, err, c.l.say("done.judge"), "unjudge")
}

func (c *call) refusedLabels(text string, o caseOptions) error {
	return c.refused(&casework.Refused{Code: "labels", Text: text}, o)
}

// unjudge takes the last judgement back.
func (c *call) unjudge() error {
	c.weekly.mark(mention.ID(c.r.PathValue("id")), false)
	return c.do(casework.Unlabel{}, c.l.say("done.unjudge"), "")
}

// judged says who corrected a verdict, and how it was; nil where nobody did.
func (c *call) judged(s *casework.State) *judgedView {
	j := s.Judged()
	if j == nil {
		return nil
	}
	say, told := c.l.say, &s.Verdict
	v := &judgedView{By: c.who(j.By), At: c.l.at(j.At)}
	was := func(label, prefix, told, is string) {
		if told != is && told != "" {
			v.Was = append(v.Was, say("label.was", say(label), say(prefix+told)))
		}
	}
	was("verdict.disposition", "disposition.", string(told.Disposition), string(j.Labels.Disposition))
	was("verdict.intent", "intent.", string(told.Intent), string(j.Labels.Intent))
	was("verdict.sentiment", "sentiment.", string(told.Sentiment), string(j.Labels.Sentiment))
	for _, cat := range mention.Categories {
		switch is := j.Labels.Has(cat); {
		case told.Has(cat) && !is:
			v.Was = append(v.Was, say("label.was_risk", say("risk."+string(cat))))
		case is && !told.Has(cat):
			v.Was = append(v.Was, say("label.was_missed", say("risk."+string(cat))))
		}
	}
	if told.Page != j.Labels.Page {
		v.Was = append(v.Was, say("label.was_page_"+yesNo(told.Page)))
	}
	return v
}
