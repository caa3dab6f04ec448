package desk

import (
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/settings"
)

// history is what happened to a case, oldest first.
func (c *call) history(s *casework.State) []eventView {
	var out []eventView
	owner, asked := "", ""
	var walk func([]casework.Event)
	walk = func(events []casework.Event) {
		for i := range events {
			e := &events[i]
			if e.Kind == casework.Redacted || e.Kind == casework.Archived {
				walk(e.History)
			}
			v := c.event(s, e)
			if e.Kind == casework.Claimed && owner != "" && owner != e.Actor {
				v.What = c.l.say("event.taken")
			}
			if e.Kind == casework.Approved && asked != "" && e.Hash != asked {
				v.What = c.l.say("event.approved_anew")
				if e.Level == casework.EmergencyLevel {
					v.What = c.l.say("event.approved_anew_emergency")
				}
			}
			if e.Kind == casework.Submitted {
				asked = e.Hash
			}
			owner = ownerAfter(owner, e)
			if e.Kind != casework.LookDue { // what was seen is said when it is new
				out = append(out, v)
			}
		}
	}
	walk(s.History)
	return out
}

// ownerAfter is whose a case is after e, as its history tells it.
func ownerAfter(owner string, e *casework.Event) string {
	switch e.Kind {
	case casework.Claimed:
		return e.Actor
	case casework.Assigned:
		return e.To
	case casework.Released, casework.PassedOn, casework.ClaimLapsed, casework.HandedOver, casework.Watched, casework.Excluded, casework.Closed, casework.MergedInto:
		return ""
	}
	return owner
}

// event is one line of a case's history.
func (c *call) event(s *casework.State, e *casework.Event) eventView {
	key := "event." + string(e.Kind)
	v := eventView{At: c.l.at(e.At), Who: c.named(e.Actor), System: e.Actor == "system" || e.Actor == "", Lang: "", Text: e.Text}
	arg := ""
	if !c.l.has(key) {
		key, arg = "event.unknown", string(e.Kind)
	}
	switch e.Kind {
	case casework.Snoozed, casework.Promised:
		arg = c.l.at(e.Until).Clock()
		if e.Level == casework.OnPost {
			key += "_post"
		}
	case casework.Woke:
		if e.Level == casework.OnPost {
			key += "_post"
		}
	case casework.Assigned:
		if arg = c.named(e.To); e.To == "" {
			key = "event.unassigned"
		}
	case casework.Retagged:
		var all []string
		for _, t := range e.Tags {
			all = append(all, "+ "+c.valueName("tag", t))
		}
		for _, t := range e.Untags {
			all = append(all, "− "+c.valueName("tag", t))
		}
		arg = strings.Join(all, ", ")
	case casework.DeadlineNear:
		if e.Level == casework.ToResolve {
			key = "event.resolve_warned"
		}
	case casework.HandedOver:
		arg = c.teamName(e.To)
	case casework.MergedInto, casework.Absorbed, casework.Linked, casework.Unlinked:
		v.Href = "/cases/" + e.To
	case casework.Closed:
		arg = c.l.say("outcome." + e.Outcome)
	case casework.Sent, casework.Posted:
		v.Href = e.URL
		if v.System && e.Kind == casework.Posted {
			key = "event.posted_found"
		}
	case casework.Answered:
		v.Href = "/cases/" + e.To
		if e.Level != casework.ByAuthor {
			key = "event.answered_other"
		}
	case casework.Looked:
		switch {
		case e.Mention == nil || e.Native == "":
		case e.Mention.Deleted:
			key = "event.looked_gone"
		case e.Mention.Text != "":
			key, v.Text = "event.looked_edited", e.Mention.Text
		}
	case casework.Noted:
		v.Kind = "note"
		for _, f := range e.Files {
			v.Files = append(v.Files, link{f.Name, filePath(s.ID, f.Key)})
		}
	case casework.Drafted, casework.ApprovalLost:
		v.Text = ""
	case casework.SendStopped:
		if e.Reason != "" {
			key, v.Text = "event.send_stopped_changed", ""
		}
	case casework.SendFailed, casework.SendUnsure:
		v.Text = c.l.inLine(c.setback(s, e.Reason, e.Text, e.Trouble))
	case casework.SendAsked:
		v.Kind = "reply"
		if e.Draft != nil {
			v.Text, v.Lang = e.Draft.Text, langOf(e.Draft.Lang)
		}
	case casework.Approved:
		if e.Level == casework.EmergencyLevel {
			key = "event.approved_emergency"
		}
	case casework.HarassmentDecided:
		key += "_" + e.Outcome
	case casework.AuthorWrote:
		if v.Href = "/cases/" + e.To; e.Native != "" {
			key = "event.answered"
		}
	case casework.Measured:
		if e.Measure != nil {
			v.Text = e.Measure.Cause + " → " + e.Measure.Text + e.Measure.NoneWhy
		}
	case casework.PromiseDue:
		if e.Level != "due" {
			key = "event.promise_" + e.Level
		}
	}
	v.What = c.l.say(key, arg)
	return v
}

// teamName is what a team or a person is called.
func (c *call) teamName(id string) string {
	if t, ok := settings.Teams.Get(c.Settings, id); ok {
		return t.Name
	}
	return c.who(id)
}

// named is who did something as a sentence names them: people as the language
// addresses them, Earshot, programs and the console plainly.
func (c *call) named(actor string) string {
	if s, ok := settings.Staff.Get(c.Settings, actor); ok {
		return c.l.say("history.person", s.Name)
	}
	return c.who(actor)
}

// escalationHistory is what happened to an escalation, as its state tells.
func (c *call) escalationHistory(s *escalation.State) []eventView {
	l := c.l
	out := []eventView{{At: l.at(s.OpenedAt), Who: "Earshot", What: l.say("esc_event.opened", l.say("origin."+string(s.Origin))), System: true}}
	for _, p := range s.Pages {
		if p.Action != escalation.Trigger {
			continue
		}
		to := p.Channel
		if n, ok := settings.Notifiers.Get(c.Settings, p.Channel); ok && n.Name != "" {
			to = n.Name
		}
		if p.Target != "" {
			to = c.who(p.Target) + " · " + to
		}
		v := eventView{At: l.at(p.LastAt), Who: "Earshot", System: true, What: l.say("esc_event."+string(p.Outcome), to), Text: l.inLine(l.trouble(p.Trouble, p.Error, time.Time{}))}
		out = append(out, v)
	}
	mark := func(m *escalation.Mark, key, kind string) {
		if m == nil {
			return
		}
		if m.By == escalation.System && key == "resolved" {
			what := "heard"
			if s.Origin == escalation.ByQuota {
				what = "filled"
			}
			out = append(out, eventView{At: l.at(m.At), Who: "Earshot", What: l.say("esc_event." + what), System: true})
			return
		}
		what := l.say("esc_event." + key)
		if m.Via == "link" {
			what += " " + l.say("esc_event.by_link")
		}
		out = append(out, eventView{At: l.at(m.At), Who: c.named(m.By), What: what, Text: m.Text, Kind: kind})
	}
	mark(s.Acked, "acknowledged", "")
	mark(s.FalseAlarm, "false_alarm", "")
	for i := range s.Notes {
		mark(&s.Notes[i], "note", "note")
	}
	mark(s.Resolved, "resolved", "")
	sortByTime(out)
	return out
}

func sortByTime(events []eventView) {
	slices.SortStableFunc(events, func(a, b eventView) int {
		return a.At.at.Truncate(time.Millisecond).Compare(b.At.at.Truncate(time.Millisecond))
	})
}
