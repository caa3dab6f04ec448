package search

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// A document is kept as one blob: a version byte and its fields in the order of
// coder.document, integers as varints, strings with their length before them.

const codecVersion = 5

var errBlob = errors.New("search: a stored document is damaged")

func encode(dst []byte, d *Document) []byte {
	c := coder{buf: append(dst, codecVersion)}
	c.document(d)
	return c.buf
}

func decode(blob []byte) (Document, error) {
	var d Document
	if len(blob) == 0 || blob[0] != codecVersion {
		return d, errBlob
	}
	c := coder{src: string(blob[1:]), reading: true}
	c.document(&d)
	if c.failed || c.src != "" {
		return Document{}, errBlob
	}
	return d, nil
}

// coder walks over the fields of a document and writes them to buf or, when
// reading, fills them from src. One walk for both keeps them in step.
type coder struct {
	buf     []byte
	src     string
	reading bool
	failed  bool
}

func (c *coder) document(d *Document) {
	str(c, &d.ID)
	c.uint(&d.Number)
	c.uint(&d.Seq)
	str(c, &d.Brand)
	str(c, &d.Platform)
	str(c, &d.Source)
	str(c, &d.Kind)
	str(c, &d.Intake)
	str(c, &d.Lang)
	str(c, &d.Title)
	str(c, &d.Text)
	str(c, &d.URL)
	str(c, &d.Place)
	num(c, &d.Rating)
	str(c, &d.Media)
	num(c, &d.MediaN)
	str(c, &d.AuthorID)
	str(c, &d.AuthorHandle)
	str(c, &d.AuthorName)
	c.reach(&d.Reach)
	str(c, &d.Status)
	str(c, &d.Disposition)
	str(c, &d.Sentiment)
	str(c, &d.Intent)
	list(c, &d.Risks, str[mention.Category])
	str(c, &d.Rung)
	c.flag(&d.Page)
	str(c, &d.Story)
	str(c, &d.Holder)
	str(c, &d.Team)
	str(c, &d.Worker)
	list(c, &d.Tags, str[string])
	str(c, &d.Template)
	c.flag(&d.Open)
	num(c, &d.Priority)
	c.time(&d.DueAt)
	c.time(&d.AnswerBy)
	c.time(&d.AnsweredAt)
	c.time(&d.PublishedAt)
	c.time(&d.SeenAt)
	c.time(&d.NextAt)
	str(c, &d.Owner)
	c.time(&d.Revision.Time)
	str(c, &d.Revision.Hash)
	num(c, &d.Pass)
	c.uint(&d.CaseSeq)
	c.uint(&d.Archived)
	list(c, &d.Tagged, (*coder).uint)
	str(c, &d.Parent)
	list(c, &d.Sent, str[string])
	c.time(&d.DoneAt)
	num(c, &d.RepliedIn)
	num(c, &d.ResolvedIn)
}

func (c *coder) uint(v *uint64) {
	if !c.reading {
		c.buf = binary.AppendUvarint(c.buf, *v)
		return
	}
	// binary.Uvarint wants bytes; ten of them at most.
	var head [binary.MaxVarintLen64]byte
	n := copy(head[:], c.src)
	u, used := binary.Uvarint(head[:n])
	if used <= 0 {
		c.failed, c.src = true, ""
		return
	}
	*v, c.src = u, c.src[used:]
}

func (c *coder) int(v *int64) {
	u := uint64(*v<<1) ^ uint64(*v>>63)
	c.uint(&u)
	*v = int64(u>>1) ^ -int64(u&1)
}

func num[T ~int | ~int64](c *coder, v *T) {
	n := int64(*v)
	c.int(&n)
	*v = T(n)
}

func (c *coder) flag(v *bool) {
	var u uint64
	if *v {
		u = 1
	}
	c.uint(&u)
	*v = u != 0
}

func (c *coder) time(t *time.Time) {
	ms := toMilli(*t)
	c.int(&ms)
	if c.reading {
		*t = fromMilli(ms)
	}
}

func (c *coder) reach(v **int64) {
	n := int64(math.MinInt64)
	if *v != nil {
		n = **v
	}
	c.int(&n)
	if c.reading && n != math.MinInt64 {
		*v = &n
	}
}

func str[T ~string](c *coder, s *T) {
	n := uint64(len(*s))
	c.uint(&n)
	if !c.reading {
		c.buf = append(c.buf, *s...)
		return
	}
	if n > uint64(len(c.src)) {
		c.failed, c.src = true, ""
		return
	}
	*s, c.src = T(c.src[:n]), c.src[n:]
}

func list[T any](c *coder, v *[]T, one func(*coder, *T)) {
	n := uint64(len(*v))
	c.uint(&n)
	if c.reading && n > 0 {
		if n > uint64(len(c.src)) { // each takes a byte or more
			c.failed, c.src = true, ""
			return
		}
		*v = make([]T, n)
	}
	for i := range *v {
		one(c, &(*v)[i])
	}
}
