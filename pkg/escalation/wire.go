package escalation

import (
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/mention"
	pb "github.com/earshot/earshot/proto/earshot/v1"
)

var journal = bus.NewJournal(bus.Escalations,
	bus.ProtoCodec(toWire, fromWire),
	func(e *Event) (string, *uint64) { return e.ID, &e.Seq })

func toWire(e *Event) *pb.EscalationEvent {
	p := &pb.EscalationEvent{
		Id: e.ID, Escalation: e.Escalation, At: bus.Millis(e.At), Actor: e.Actor, Kind: string(e.Kind),
		Brand: e.Brand, Mention: string(e.Mention), Subjects: e.Subjects, Category: string(e.Category), Rule: e.Rule,
		Urgency: string(e.Urgency), Origin: string(e.Origin), Title: e.Title, Excerpt: e.Excerpt, Author: e.Author,
		Platform: e.Platform, Lang: e.Lang, Url: e.URL, Reach: e.Reach, Count: int32(e.Count),
		Page: e.Page, Action: string(e.Action), Channel: e.Channel, Target: e.Target, Round: int32(e.Round),
		Rung: int32(e.Rung), Attempt: int32(e.Attempt), Outcome: string(e.Outcome), Error: e.Error,
		RetryAt: bus.Millis(e.RetryAt), NextAt: bus.Millis(e.NextAt), Via: e.Via, Text: e.Text, Ref: e.Ref,
		Trouble: bus.TroubleToWire(e.Trouble),
	}
	if g := e.Ground; g != (Ground{}) {
		p.Ground = &pb.Ground{Last: bus.Millis(g.Last), Usual: g.Usual, Count: g.Count, Limit: g.Limit}
	}
	for i := range e.History {
		h := toWire(&e.History[i])
		h.Sequence = e.History[i].Seq
		p.History = append(p.History, h)
	}
	return p
}

func fromWire(p *pb.EscalationEvent) Event {
	e := Event{
		ID: p.Id, Escalation: p.Escalation, Seq: p.Sequence, At: bus.Time(p.At), Actor: p.Actor, Kind: Kind(p.Kind),
		Brand: p.Brand, Mention: mention.ID(p.Mention), Subjects: p.Subjects, Category: mention.Category(p.Category), Rule: p.Rule,
		Urgency: Urgency(p.Urgency), Origin: Origin(p.Origin), Title: p.Title, Excerpt: p.Excerpt, Author: p.Author,
		Platform: p.Platform, Lang: p.Lang, URL: p.Url, Reach: p.Reach, Count: int(p.Count),
		Page: p.Page, Action: Action(p.Action), Channel: p.Channel, Target: p.Target, Round: int(p.Round),
		Rung: int(p.Rung), Attempt: int(p.Attempt), Outcome: Outcome(p.Outcome), Error: p.Error,
		RetryAt: bus.Time(p.RetryAt), NextAt: bus.Time(p.NextAt), Via: p.Via, Text: p.Text, Ref: p.Ref,
		Trouble: bus.TroubleFromWire(p.Trouble),
	}
	if g := p.Ground; g != nil {
		e.Ground = Ground{Last: bus.Time(g.Last), Usual: g.Usual, Count: g.Count, Limit: g.Limit}
	}
	for _, h := range p.History {
		e.History = append(e.History, fromWire(h))
	}
	return e
}
