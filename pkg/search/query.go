package search

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/mention"
)

// Harsh asks for the mentions with risks that wear people down which somebody had,
// of those seen since a moment.
func Harsh(v Viewer, staff string, since time.Time) Query {
	risks := make([]string, len(mention.Harsh))
	for i, c := range mention.Harsh {
		risks[i] = string(c)
	}
	return Query{Viewer: v, Seen: Period{From: since}, Where: map[Field][]string{FieldWorker: {staff}, FieldRisk: risks}}
}

// shape says how a field is stored and counted.
type shape uint8

const (
	single    shape = iota // one of a few strings
	set                    // any number of a few strings
	flag                   // yes or no
	small                  // a small number
	number                 // a number with too many values to count
	hashed                 // a string with too many values to count
	hashedSet              // any number of those; SQLite has a table of its own for it
)

// fields lists what can be filtered by, in the order in which it is stored.
// Counted fields are kept in the table of counts; keep their number and the
// number of their combinations low.
var fields = []struct {
	name    Field
	shape   shape
	counted bool
}{
	{FieldBrand, single, true},
	{FieldOpen, flag, true},
	{FieldStatus, single, true},
	{FieldDisposition, single, true},
	{FieldSentiment, single, true},
	{FieldIntent, single, true},
	{FieldRisk, set, true},
	{FieldPage, flag, true},
	{FieldPlatform, single, true},
	{FieldSource, single, true},
	{FieldKind, single, true},
	{FieldLang, single, true},
	{FieldHolder, single, true},
	{FieldTeam, single, true},
	{FieldIntake, single, false},
	{FieldPlace, single, false},
	{FieldWorker, single, false},
	{FieldRating, small, false},
	{FieldRung, single, false},
	{FieldTag, set, true},
	{FieldMedia, flag, false},
	{FieldTemplate, single, false},
	{FieldOwner, single, false},
	{FieldNumber, number, false},
	{FieldStory, hashed, false},
	{FieldAuthor, hashed, false},
	{FieldParent, hashed, false},
	{FieldSent, hashedSet, false},
}

func fieldAt(f Field) int {
	for i := range fields {
		if fields[i].name == f {
			return i
		}
	}
	return -1
}

// plan is a query that has been found sound.
type plan struct {
	Query
	phrases []phrase
	brands  []string // nil for all
	after   *position
	offset  int // of a page by relevance
}

// position is a document's place in an order.
type position struct{ key, seq int64 }

// check refuses what is not a sound query and works out the rest.
func (q Query) check() (*plan, error) {
	p := &plan{Query: q}
	if !q.Viewer.all && len(q.Viewer.brands) == 0 {
		return nil, ErrNoViewer
	}
	switch {
	case !q.Viewer.all:
		p.brands = q.Viewer.brands
	case q.Viewer.person:
		p.Except = maps.Clone(q.Except)
		if p.Except == nil {
			p.Except = map[Field][]string{}
		}
		p.Except[FieldBrand] = append(slices.Clone(p.Except[FieldBrand]), mention.CanaryBrand)
	}
	if !utf8.ValidString(q.Text) {
		return nil, bad("text", "is not valid UTF-8")
	}
	if n := utf8.RuneCountInString(q.Text); n > MaxText {
		return nil, bad("text", "has %d characters, more than %d", n, MaxText)
	}
	p.phrases = parse(q.Text)
	if err := checkValues(q.Where); err != nil {
		return nil, err
	}
	if err := checkValues(q.Except); err != nil {
		return nil, err
	}
	switch {
	case q.Limit < 0 || q.Limit > MaxLimit:
		return nil, bad("limit", "is %d; it must lie between 1 and %d", q.Limit, MaxLimit)
	case q.Limit == 0:
		p.Limit = DefaultLimit
	}
	switch q.Sort {
	case "":
		p.Sort = Queue
	case Queue, Newest, Oldest:
	case Soonest:
		if p.Due.From.IsZero() {
			p.Due.From = fromMilli(1)
		}
	case Relevance:
		if len(p.phrases) == 0 {
			p.Sort = Newest
		}
	default:
		return nil, bad("sort", "%q is none of queue, newest, oldest, relevance", q.Sort)
	}
	return p, p.readCursor()
}

func checkValues(filters map[Field][]string) error {
	for f, values := range filters {
		at := fieldAt(f)
		if at < 0 {
			return bad(string(f), "is not a field")
		}
		if len(values) > MaxValues {
			return bad(string(f), "has %d values, more than %d", len(values), MaxValues)
		}
		for _, v := range values {
			switch fields[at].shape {
			case flag:
				if v != Yes && v != No {
					return bad(string(f), "is yes or no, not %q", v)
				}
			case small, number:
				if _, err := strconv.ParseUint(v, 10, 53); err != nil {
					return bad(string(f), "%q is not a number", v)
				}
			}
		}
	}
	return nil
}

// fingerprint tells queries apart whose cursors must not be mixed.
func (p *plan) fingerprint() uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q %q %v %v %v %v %v", p.Text, p.brands, p.Sort, p.Collapse, p.Published, p.Seen, p.Due)
	for _, filters := range []map[Field][]string{p.Where, p.Except} {
		for _, f := range slices.Sorted(maps.Keys(filters)) {
			fmt.Fprintf(h, "%s %q", f, filters[f])
		}
		h.Write([]byte{0})
	}
	return h.Sum64()
}

// A cursor is the fingerprint of its query and two numbers: the place of the
// last document in order, or of a page by relevance the documents before it.
const cursorSize = 3 * 8

func (p *plan) cursor(a, b int64) string {
	buf := make([]byte, 0, cursorSize)
	buf = binary.BigEndian.AppendUint64(buf, p.fingerprint())
	buf = binary.BigEndian.AppendUint64(buf, uint64(a))
	buf = binary.BigEndian.AppendUint64(buf, uint64(b))
	return base64.RawURLEncoding.EncodeToString(buf)
}

func (p *plan) readCursor() error {
	if p.Cursor == "" {
		return nil
	}
	buf, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err != nil || len(buf) != cursorSize {
		return bad("cursor", "is not one that this index gave")
	}
	if binary.BigEndian.Uint64(buf) != p.fingerprint() {
		return bad("cursor", "belongs to another query")
	}
	a, b := int64(binary.BigEndian.Uint64(buf[8:])), int64(binary.BigEndian.Uint64(buf[16:]))
	if p.Sort != Relevance {
		p.after = &position{a, b}
		return nil
	}
	if a < 0 || a >= MaxTotal {
		return bad("cursor", "is not one that this index gave")
	}
	p.offset = int(a)
	return nil
}

// without returns p without its filter on f.
func (p *plan) without(f Field) *plan {
	if len(p.Where[f]) == 0 {
		return p
	}
	o := *p
	o.Where = maps.Clone(p.Where)
	delete(o.Where, f)
	return &o
}

// checkFacets refuses fields that cannot be counted.
func checkFacets(list []Field) error {
	for _, f := range list {
		at := fieldAt(f)
		if at < 0 {
			return bad(string(f), "is not a field")
		}
		if s := fields[at].shape; s == number || s == hashed || s == hashedSet {
			return bad(string(f), "has too many values to count")
		}
	}
	return nil
}

// rank puts the buckets of f in order and cuts them.
func rank(f Field, counts map[string]int64) []Bucket {
	buckets := make([]Bucket, 0, len(counts))
	for v, n := range counts {
		if n > 0 {
			buckets = append(buckets, Bucket{v, n})
		}
	}
	slices.SortFunc(buckets, func(a, b Bucket) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
	})
	if whole(f) {
		return buckets
	}
	return buckets[:min(len(buckets), MaxFacet)]
}

// whole tells whether all values of f are counted, however many there are.
func whole(f Field) bool { return f == FieldHolder }

// layout identifies how documents are stored and folded. An index with another
// one is dropped and filled again.
func layout(engine string, parts ...string) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d %d %v %q", engine, codecVersion, foldVersion, fields, parts)
	return hex.EncodeToString(h.Sum(nil))
}

// foldVersion must rise whenever pkg/text or terms give other terms than
// before: what is deleted from an index is named by its terms.
const foldVersion = 2
