package bus

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	pb "github.com/earshot/earshot/proto/earshot/v1"
)

// ProtoCodec makes a codec from the two directions of a mapping to a protobuf
// message. It is for the wire.go files of packages that own events.
func ProtoCodec[T any, P any, M interface {
	*P
	proto.Message
}](to func(*T) M, from func(M) T) Codec[T] {
	return Codec[T]{
		Encode: func(dst []byte, v *T) ([]byte, error) {
			return proto.MarshalOptions{}.MarshalAppend(dst, to(v))
		},
		Decode: func(data []byte, v *T) error {
			m := M(new(P))
			if err := proto.Unmarshal(data, m); err != nil {
				return err
			}
			*v = from(m)
			return nil
		},
	}
}

var (
	mentionCodec = ProtoCodec(MentionToWire, MentionFromWire)
	taggedCodec  = ProtoCodec(
		func(t *mention.Tagged) *pb.Tagged {
			return &pb.Tagged{Mention: MentionToWire(&t.Mention), Verdict: VerdictToWire(&t.Verdict)}
		},
		func(p *pb.Tagged) mention.Tagged {
			return mention.Tagged{Mention: MentionFromWire(p.GetMention()), Verdict: VerdictFromWire(p.GetVerdict())}
		})
	deadCodec = ProtoCodec(
		func(d *Dead) *pb.DeadLetter {
			return &pb.DeadLetter{
				Service: d.Service, Stream: d.Stream, Subject: d.Subject, Sequence: d.Sequence,
				Error: d.Error, At: Millis(d.At), Attempts: d.Attempts, Body: d.Body, Headers: d.Headers,
			}
		},
		func(p *pb.DeadLetter) Dead {
			return Dead{
				Service: p.Service, Stream: p.Stream, Subject: p.Subject, Sequence: p.Sequence,
				Error: p.Error, At: Time(p.At), Attempts: p.Attempts, Body: p.Body, Headers: p.Headers,
			}
		})
)

// TroubleToWire maps a trouble to its message; nil if there is none.
func TroubleToWire(t outbound.Trouble) *pb.Trouble {
	if t == (outbound.Trouble{}) {
		return nil
	}
	return &pb.Trouble{Reason: string(t.Reason), Host: t.Host, Status: int32(t.Status), Until: Millis(t.Until), Said: t.Said}
}

// TroubleFromWire maps it back.
func TroubleFromWire(p *pb.Trouble) outbound.Trouble {
	return outbound.Trouble{Reason: outbound.Reason(p.GetReason()), Host: p.GetHost(), Status: int(p.GetStatus()), Until: Time(p.GetUntil()), Said: p.GetSaid()}
}

// MentionToWire maps a mention to its message.
func MentionToWire(m *mention.Mention) *pb.Mention {
	p := &pb.Mention{
		Id: string(m.ID), Brand: m.Brand, Platform: m.Platform, NativeId: m.NativeID, Source: m.Source,
		Kind: string(m.Kind), Intake: string(m.Intake), Url: m.URL, Title: m.Title, Text: m.Text,
		Lang: m.Lang, Rating: int32(m.Rating), PlaceId: m.Place.ID, PlaceName: m.Place.Name,
		Likes: m.Metrics.Likes, Reposts: m.Metrics.Reposts, Replies: m.Metrics.Replies,
		ReplyRef: m.ReplyRef, PublishedAt: Millis(m.PublishedAt), EditedAt: Millis(m.EditedAt),
		SeenAt: Millis(m.SeenAt), Deleted: m.Deleted, Truncated: m.Truncated,
		RevisionTime: Millis(m.Revision.Time), RevisionHash: m.Revision.Hash, NoReply: string(m.NoReply),
	}
	if a := m.Author; a != (mention.Author{}) {
		p.Author = &pb.Author{Id: a.ID, Handle: a.Handle, Name: a.Name, Url: a.URL, Avatar: a.Avatar, Followers: a.Followers}
	}
	if t := m.Thread; t != (mention.Thread{}) {
		p.Thread = &pb.Thread{Id: t.ID, Parent: t.Parent, ParentAuthor: t.ParentAuthor, ParentText: t.ParentText}
	}
	for _, x := range m.Media {
		p.Media = append(p.Media, &pb.Media{Type: string(x.Type), Url: x.URL, Alt: x.Alt})
	}
	for _, a := range m.Comments {
		p.Comments = append(p.Comments, &pb.Comment{NativeId: a.NativeID, Url: a.URL, Author: a.Author, Text: a.Text, At: Millis(a.At), Ours: a.Ours, State: string(a.State)})
	}
	return p
}

// MentionFromWire is the inverse of MentionToWire. A nil message is the zero
// mention.
func MentionFromWire(p *pb.Mention) mention.Mention {
	if p == nil {
		return mention.Mention{}
	}
	m := mention.Mention{
		ID: mention.ID(p.Id), Brand: p.Brand,
		Post: mention.Post{
			Platform: p.Platform, NativeID: p.NativeId, Source: p.Source, Kind: mention.Kind(p.Kind),
			Intake: mention.Intake(p.Intake), URL: p.Url, Title: p.Title, Text: p.Text, Lang: p.Lang,
			Rating: int(p.Rating), Place: mention.Place{ID: p.PlaceId, Name: p.PlaceName},
			Metrics:  mention.Metrics{Likes: p.Likes, Reposts: p.Reposts, Replies: p.Replies},
			ReplyRef: p.ReplyRef, PublishedAt: Time(p.PublishedAt), EditedAt: Time(p.EditedAt),
			SeenAt: Time(p.SeenAt), Deleted: p.Deleted, Truncated: p.Truncated, NoReply: mention.NoReply(p.NoReply),
		},
		Revision: mention.Revision{Time: Time(p.RevisionTime), Hash: p.RevisionHash},
	}
	if a := p.Author; a != nil {
		m.Author = mention.Author{ID: a.Id, Handle: a.Handle, Name: a.Name, URL: a.Url, Avatar: a.Avatar, Followers: a.Followers}
	}
	if t := p.Thread; t != nil {
		m.Thread = mention.Thread{ID: t.Id, Parent: t.Parent, ParentAuthor: t.ParentAuthor, ParentText: t.ParentText}
	}
	for _, x := range p.Media {
		m.Media = append(m.Media, mention.Media{Type: mention.MediaType(x.Type), URL: x.Url, Alt: x.Alt})
	}
	for _, a := range p.Comments {
		m.Comments = append(m.Comments, mention.Comment{NativeID: a.NativeId, URL: a.Url, Author: a.Author, Text: a.Text, At: Time(a.At), Ours: a.Ours, State: mention.CommentState(a.State)})
	}
	return m
}

// VerdictToWire maps a verdict to its message.
func VerdictToWire(v *mention.Verdict) *pb.Verdict {
	p := &pb.Verdict{
		Model: v.Model, Pass: int32(v.Pass), Lang: v.Lang, Sentiment: string(v.Sentiment),
		SentimentScore: v.SentimentScore, Intent: string(v.Intent), IntentScore: v.IntentScore,
		Disposition: string(v.Disposition), Page: v.Page, PageReason: v.PageReason, Story: v.Story, Unread: v.Unread, Partly: v.Partly,
	}
	for _, r := range v.Risks {
		p.Risks = append(p.Risks, &pb.Risk{
			Category: string(r.Category), Score: r.Score, Start: int32(r.Start), End: int32(r.End),
			Rule: r.Rule, Rung: string(r.Rung), Deadline: Millis(r.Deadline),
		})
	}
	return p
}

// VerdictFromWire is the inverse of VerdictToWire. A nil message is the zero
// verdict.
func VerdictFromWire(p *pb.Verdict) mention.Verdict {
	if p == nil {
		return mention.Verdict{}
	}
	v := mention.Verdict{
		Model: p.Model, Pass: int(p.Pass), Lang: p.Lang, Sentiment: mention.Sentiment(p.Sentiment),
		SentimentScore: p.SentimentScore, Intent: mention.Intent(p.Intent), IntentScore: p.IntentScore,
		Disposition: mention.Disposition(p.Disposition), Page: p.Page, PageReason: p.PageReason,
		Story: p.Story, Unread: p.Unread, Partly: p.Partly,
	}
	for _, r := range p.Risks {
		v.Risks = append(v.Risks, mention.Risk{
			Category: mention.Category(r.Category), Score: r.Score, Start: int(r.Start), End: int(r.End),
			Rule: r.Rule, Rung: mention.Rung(r.Rung), Deadline: Time(r.Deadline),
		})
	}
	return v
}

// Millis is a time as messages carry it; 0 for the zero time.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Time is the inverse of Millis.
func Time(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
