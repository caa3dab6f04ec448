package indexer

import (
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
)

// ofMention is the document of a mention that nobody has touched.
func ofMention(t *mention.Tagged, triage casework.Triage, seq uint64) search.Document {
	d := base(&t.Mention, &t.Verdict, triage)
	d.Seq, d.Owner, d.Tagged = seq, search.OwnerTagged, []uint64{seq}
	d.Status = string(casework.New)
	if triage.Disposition == mention.Watch {
		d.Status = string(casework.Watching)
	}
	d.Open, d.DueAt, d.AnswerBy = triage.Disposition == mention.Answer, triage.DueAt, triage.DueAt
	return d
}

// ofCase is the document of a case.
func ofCase(s *casework.State, now time.Time) search.Document {
	v := s.InForce()
	d := base(&s.Mention, &v, s.Triage)
	d.ID, d.Number, d.Owner, d.CaseSeq = s.ID, s.Number, search.OwnerCase, s.Last
	at := s.At(now)
	d.Status, d.Holder, d.Team, d.Worker = string(at.Stands()), at.Owner(), at.Team, s.Worker()
	d.Open, d.DueAt, d.NextAt = at.Open(now), at.DueAt(), s.NextAt()
	d.Disposition, d.AnswerBy = at.Triage.Disposition, at.Triage.DueAt
	if len(s.Replies) > 0 {
		d.AnsweredAt = s.Replies[0].At
	}
	d.DoneAt = s.DoneAt
	d.Tagged = s.Tagged
	if len(s.Tagged) > 0 {
		d.Seq = s.Tagged[0]
	}
	if n := len(s.Replies); n > 0 {
		d.Template = s.Replies[n-1].Draft.Template
	}
	for _, r := range s.Replies {
		if r.Native != "" {
			d.Sent = append(d.Sent, r.Native)
		}
	}
	for _, a := range s.Answers {
		d.Risks = append(d.Risks, a.Risks...)
	}
	d.Tags = s.IndexTags()
	if s.Merged != "" {
		d.Story = "merged " + string(s.Merged)
		d.Tags = append(d.Tags, search.TagJoined)
	}
	if s.Redacted {
		d.Open, d.Status, d.Priority, d.NextAt = false, string(casework.Done), 0, time.Time{}
	}
	return d
}

// inherit takes from the row before what a case doesn't tell; have may be nil.
func inherit(d, have *search.Document) {
	if have != nil {
		d.Tagged, d.Seq, d.SeenAt, d.Archived = union(have.Tagged, d.Tagged), have.Seq, have.SeenAt, have.Archived
	}
}

func base(m *mention.Mention, v *mention.Verdict, t casework.Triage) search.Document {
	d := search.Document{
		ID: m.ID, Brand: m.Brand, Platform: m.Platform, Source: m.Source, Kind: m.Kind, Intake: m.Intake,
		Lang: v.Lang, Title: m.Title, Text: m.Text, URL: m.URL, Place: m.Place.ID, Rating: m.Rating,
		AuthorID: m.Author.ID, AuthorHandle: m.Author.Handle, AuthorName: m.Author.Name, Reach: m.Author.Followers,
		Disposition: t.Disposition, Sentiment: v.Sentiment, Intent: v.Intent, Page: v.Page, Story: v.Story,
		Priority: t.Priority, PublishedAt: published(m), SeenAt: m.SeenAt, Revision: m.Revision, Pass: v.Pass,
		MediaN: len(m.Media), Parent: m.Thread.Parent,
	}
	for _, r := range v.Risks {
		d.Risks = append(d.Risks, r.Category)
		if r.Rung != "" {
			d.Rung = r.Rung
		}
	}
	for _, x := range m.Media {
		if x.Type == mention.Image || x.Type == mention.Video {
			d.Media = x.URL
			break
		}
	}
	return d
}

// published is the platform's time, clamped to what can be: a clock ahead of
// ours would lead the list for ever.
func published(m *mention.Mention) time.Time {
	if m.PublishedAt.IsZero() || m.PublishedAt.After(m.SeenAt) {
		return m.SeenAt
	}
	return m.PublishedAt
}
