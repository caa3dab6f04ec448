package casework

import (
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/mention"
	pb "github.com/earshot/earshot/proto/earshot/v1"
)

var journal = bus.NewJournal(bus.Cases,
	bus.ProtoCodec(toWire, fromWire),
	func(e *Event) (string, *uint64) { return e.ID, &e.Seq })

func toWire(e *Event) *pb.CaseEvent {
	p := &pb.CaseEvent{
		Id: e.ID, Sequence: e.Seq, At: bus.Millis(e.At), Actor: e.Actor, Kind: string(e.Kind), Tagged: e.Tagged,
		Disposition: string(e.Triage.Disposition), Priority: int32(e.Triage.Priority), DueAt: bus.Millis(e.Triage.DueAt),
		Hash: e.Hash, Attempt: e.Attempt, Until: bus.Millis(e.Until), EveryMs: e.Every.Milliseconds(),
		Url: e.URL, Native: e.Native, To: e.To, Text: e.Text, Outcome: e.Outcome, Level: e.Level, Number: e.Number,
		Sample: e.Sample, Reason: e.Reason, Follow: e.Follow, Tags: e.Tags, Untags: e.Untags, WarnAt: bus.Millis(e.Triage.WarnAt), ResolveAt: bus.Millis(e.Triage.ResolveAt),
		Trouble: bus.TroubleToWire(e.Trouble),
	}
	if e.Mention != nil {
		p.Mention = bus.MentionToWire(e.Mention)
	}
	if e.Verdict != nil {
		p.Verdict = bus.VerdictToWire(e.Verdict)
	}
	if e.Labels != nil {
		p.Labels = bus.VerdictToWire(e.Labels)
	}
	if d := e.Draft; d != nil {
		p.Draft = &pb.Draft{
			Version: int32(d.Version), Text: d.Text, Lang: d.Lang, Kind: string(d.Kind), Account: d.Account,
			Template: d.Template, TemplateVersion: int32(d.TemplateVersion), Slots: d.Slots, Edited: d.Edited,
			Author: d.Author, At: bus.Millis(d.At), Apology: string(d.Apology), Stays: d.Stays, To: string(d.To),
		}
	}
	if m := e.Measure; m != nil {
		p.Measure = &pb.Measure{Id: m.ID, Cause: m.Cause, Text: m.Text, NoneWhy: m.NoneWhy, Owner: m.Owner, Due: bus.Millis(m.Due)}
	}
	for _, f := range e.Files {
		p.Files = append(p.Files, &pb.File{Key: f.Key, Name: f.Name, Type: f.Type, Size: f.Size})
	}
	for i := range e.History {
		p.History = append(p.History, toWire(&e.History[i]))
	}
	return p
}

func fromWire(p *pb.CaseEvent) Event {
	e := Event{
		ID: p.Id, Seq: p.Sequence, At: bus.Time(p.At), Actor: p.Actor, Kind: Kind(p.Kind), Tagged: p.Tagged,
		Triage: Triage{
			Disposition: mention.Disposition(p.Disposition), Priority: int(p.Priority), DueAt: bus.Time(p.DueAt),
			WarnAt: bus.Time(p.WarnAt), ResolveAt: bus.Time(p.ResolveAt),
		},
		Hash: p.Hash, Attempt: p.Attempt, Until: bus.Time(p.Until), Every: time.Duration(p.EveryMs) * time.Millisecond,
		URL: p.Url, Native: p.Native, To: p.To, Text: p.Text, Outcome: p.Outcome, Level: p.Level, Number: p.Number,
		Sample: p.Sample, Reason: p.Reason, Follow: p.Follow, Tags: p.Tags, Untags: p.Untags, Trouble: bus.TroubleFromWire(p.Trouble),
	}
	if p.Mention != nil {
		m := bus.MentionFromWire(p.Mention)
		e.Mention = &m
	}
	if p.Verdict != nil {
		v := bus.VerdictFromWire(p.Verdict)
		e.Verdict = &v
	}
	if p.Labels != nil {
		l := bus.VerdictFromWire(p.Labels)
		e.Labels = &l
	}
	if d := p.Draft; d != nil {
		e.Draft = &Draft{
			Version: int(d.Version), Text: d.Text, Lang: d.Lang, Kind: ReplyKind(d.Kind), Account: d.Account,
			Template: d.Template, TemplateVersion: int(d.TemplateVersion), Slots: d.Slots, Edited: d.Edited,
			Author: d.Author, At: bus.Time(d.At), Apology: Apology(d.Apology), Stays: d.Stays, To: mention.ID(d.To),
		}
	}
	if m := p.Measure; m != nil {
		e.Measure = &Measure{ID: m.Id, Cause: m.Cause, Text: m.Text, NoneWhy: m.NoneWhy, Owner: m.Owner, Due: bus.Time(m.Due)}
	}
	for _, f := range p.Files {
		e.Files = append(e.Files, File{Key: f.Key, Name: f.Name, Type: f.Type, Size: f.Size})
	}
	for _, h := range p.History {
		e.History = append(e.History, fromWire(h))
	}
	return e
}
