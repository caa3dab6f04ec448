package search

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// A document's place in the queue is one number, so that both engines sort by
// it and page by ranges of it:
//
//	(closed*1001 + 1000-priority) * 10^10 + deadline in Unix seconds
//
// It stays below 2^53, the largest whole number that Meilisearch keeps exact.
const (
	queueStep   = 10_000_000_000
	queueNoDue  = queueStep - 1
	queueClosed = 1001 * queueStep // all open documents are below
)

func (d *Document) queueKey() int64 {
	due := int64(queueNoDue)
	if !d.DueAt.IsZero() {
		due = min(max(d.DueAt.Unix(), 0), queueNoDue-1)
	}
	rank := int64(1000 - min(max(d.Priority, 0), 1000))
	if !d.Open {
		rank += 1001
	}
	return rank*queueStep + due
}

// derivedSeq is the Seq of a document that has none: above all sequences a
// stream will reach, and below 2^53.
func derivedSeq(id mention.ID) uint64 {
	sum := sha256.Sum256([]byte(id))
	return 1<<52 | binary.BigEndian.Uint64(sum[:8])>>12
}

// normal brings d into the form that is stored: sentinels for what is empty,
// sets sorted, times in UTC to the millisecond, text that is valid UTF-8.
func (d *Document) normal() {
	for _, s := range []*string{
		&d.Brand, &d.Platform, &d.Source, &d.Lang, &d.Title, &d.Text, &d.URL, &d.Place, &d.Media,
		&d.AuthorID, &d.AuthorHandle, &d.AuthorName, &d.Status, &d.Story, &d.Parent, &d.Holder, &d.Team, &d.Worker, &d.Template,
	} {
		*s = strings.ToValidUTF8(*s, "\uFFFD")
	}
	fill(&d.Platform)
	fill(&d.Source)
	fill(&d.Kind)
	fill(&d.Intake)
	fill(&d.Lang)
	fill(&d.Place)
	fill(&d.Status)
	fill(&d.Disposition)
	fill(&d.Sentiment)
	fill(&d.Intent)
	fill(&d.Rung)
	fill(&d.Team)
	fill(&d.Worker)
	fill(&d.Template)
	fill(&d.Owner)
	if d.Holder == "" {
		d.Holder = Unassigned
	}
	d.Risks = sorted(d.Risks)
	d.Tags = sorted(d.Tags)
	d.Sent = sorted(d.Sent)
	if d.PublishedAt.IsZero() {
		d.PublishedAt = d.SeenAt
	}
	for _, t := range []*time.Time{&d.DueAt, &d.AnswerBy, &d.AnsweredAt, &d.DoneAt, &d.PublishedAt, &d.SeenAt, &d.NextAt, &d.Revision.Time} {
		*t = fromMilli(toMilli(*t))
	}
}

func fill[T ~string](s *T) {
	if *s == "" {
		*s = None
	}
}

// sorted returns the values of set once each, in order, without empty ones. It
// does not touch set, which belongs to the caller.
func sorted[T ~string](set []T) []T {
	if len(set) == 0 {
		return nil
	}
	set = slices.Compact(slices.Sorted(slices.Values(set)))
	if set[0] == "" {
		set = set[1:]
	}
	return set
}

// toMilli gives zero for the zero time, and so does the first moment of 1970.
func toMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// hashKey identifies a story or an author within the index by a number: short,
// and without the platform's id in clear. It is zero for none, and below 2^53
// for Meilisearch.
func hashKey(s string) int64 {
	if s == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(s))
	return int64(binary.BigEndian.Uint64(sum[:8])>>12) | 1
}

// accept brings the documents of a batch into stored form: the last of each
// ID, in ascending Seq. It refuses what no engine can hold.
func (b *Batch) accept(engine string) ([]Document, error) {
	last := make(map[mention.ID]int, len(b.Upserts))
	docs := make([]Document, 0, len(b.Upserts))
	var bad []mention.ID
	for i := range b.Upserts {
		d := b.Upserts[i]
		if !d.ID.Valid() || d.Brand == "" {
			bad = append(bad, d.ID)
			continue
		}
		d.normal()
		if at, ok := last[d.ID]; ok {
			docs[at] = d
			continue
		}
		last[d.ID] = len(docs)
		docs = append(docs, d)
	}
	if bad != nil {
		return nil, &RejectedError{Engine: engine, IDs: bad, Reason: "a document needs a well-formed ID and a brand"}
	}
	return docs, nil
}

var idBits = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// packID gives the 16 whole bytes of the 130 bits of an ID, which are enough to
// tell mentions apart, and shorter.
func packID(id mention.ID) ([]byte, error) {
	buf := make([]byte, 0, 20)
	buf, err := idBits.AppendDecode(buf, []byte(id))
	if err != nil || len(buf) < 16 {
		return nil, fmt.Errorf("search: malformed id %q", id)
	}
	return buf[:16], nil
}

// sentKeys are the numbers that stand for d's replies.
func (d *Document) sentKeys() []int64 {
	out := make([]int64, len(d.Sent))
	for i, native := range d.Sent {
		out[i] = hashKey(native)
	}
	return out
}

// value returns the string that d has for a field of strings. The members of a
// set are joined.
func (d *Document) value(f Field) string {
	switch f {
	case FieldBrand:
		return d.Brand
	case FieldPlatform:
		return d.Platform
	case FieldSource:
		return d.Source
	case FieldKind:
		return string(d.Kind)
	case FieldIntake:
		return string(d.Intake)
	case FieldLang:
		return d.Lang
	case FieldPlace:
		return d.Place
	case FieldStatus:
		return d.Status
	case FieldDisposition:
		return string(d.Disposition)
	case FieldSentiment:
		return string(d.Sentiment)
	case FieldIntent:
		return string(d.Intent)
	case FieldRisk:
		return joinSet(d.Risks)
	case FieldRung:
		return string(d.Rung)
	case FieldHolder:
		return d.Holder
	case FieldTeam:
		return d.Team
	case FieldWorker:
		return d.Worker
	case FieldTag:
		return joinSet(d.Tags)
	case FieldTemplate:
		return d.Template
	case FieldOwner:
		return string(d.Owner)
	}
	panic("search: " + string(f) + " is not a field of strings")
}

// setSep parts the members of a set when they are one string.
const setSep = "\x1f"

func joinSet[T ~string](set []T) string {
	switch len(set) {
	case 0:
		return None
	case 1:
		return string(set[0])
	}
	var b strings.Builder
	for i, s := range set {
		if i > 0 {
			b.WriteString(setSep)
		}
		b.WriteString(string(s))
	}
	return b.String()
}
