// Package search is the index of mentions: what the queue, the search field
// and the figures of the desk read.
//
// The index is derived. The streams TAGGED and CASES hold the truth, and the
// index can be dropped and filled again at any time. It says which mentions to
// show; it is never asked whether something may be done to one.
//
// Two engines stand behind [Engine]: SQLite within the process ([OpenSQLite])
// and a Meilisearch server ([OpenMeili]). Both fold text with pkg/text and
// agree on everything the conformance suite lists; they may differ in the
// order of relevance, in synonyms and in how soon a write is seen.
package search

import (
	"context"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// Engine is an index. Its methods may be called from many goroutines at once,
// but documents of one mention must be written by one of them, in order: the
// index keeps what it is given last.
type Engine interface {
	// Ensure creates what is missing and returns when the index can be read
	// and written. It reports whether the index starts empty because there was
	// none or because its layout has changed: then all positions are zero and
	// the caller writes everything again.
	Ensure(ctx context.Context) (fresh bool, err error)
	// Write applies b as a whole. After an error nothing is promised but that
	// no position has moved; writing the same batch again is always right. A
	// [*RejectedError] names documents that this engine will never take.
	Write(ctx context.Context, b Batch) error
	// Position returns the last sequence of stream that the index contains,
	// or zero.
	Position(ctx context.Context, stream string) (uint64, error)
	// Wait blocks until the index contains sequence seq of stream. It returns
	// the error of ctx if that ends first.
	Wait(ctx context.Context, stream string, seq uint64) error
	// Get returns the documents of ids that exist and that v may see, in the
	// order of ids.
	Get(ctx context.Context, v Viewer, ids ...mention.ID) ([]Document, error)
	// Search returns one page of q.
	Search(ctx context.Context, q Query) (Result, error)
	// Counts returns exactly how many documents match each query. Sort, Limit,
	// Cursor and Collapse do not matter to it.
	Counts(ctx context.Context, queries ...Query) ([]int64, error)
	// Facets counts the values of fields among the documents that match q. A
	// field's own filter is left out of its counts, so that they say what
	// choosing another value would give. See [Facets].
	Facets(ctx context.Context, q Query, fields ...Field) (Facets, error)
	// Figures counts what was published in p and what has become of it by now, of
	// what v sees; see [Tally].
	Figures(ctx context.Context, v Viewer, p Period, by Grouping, now time.Time) ([]Group, error)
	// Due returns up to limit mentions whose NextAt is not after now, the
	// longest due first.
	Due(ctx context.Context, now time.Time, limit int) ([]mention.ID, error)
	// Stories counts the documents of a brand under each story key: all, and
	// those published at or after since. Keys without documents are absent.
	Stories(ctx context.Context, brand string, since time.Time, keys ...string) (map[string]Story, error)
	// Scrub sees to it that nothing of deleted or replaced documents remains
	// in the engine's files. It may take long; erasure calls it, nothing else.
	Scrub(ctx context.Context) error
	// Clear drops all documents and positions.
	Clear(ctx context.Context) error
	Stats(ctx context.Context) (Stats, error)
	Close() error
}

// Batch is a step of the index: documents, and the place in the streams that
// they come from.
type Batch struct {
	// Upserts are whole documents; each replaces the one with its ID. If an ID
	// comes twice, the last one counts.
	Upserts []Document
	// Deletes are applied before Upserts.
	Deletes []mention.ID
	// Positions gives, by the name of a stream, the last sequence the index
	// contains once this batch is applied.
	Positions map[string]uint64
}

// Values that stand where a document has none, so that filters can name it.
const (
	None       = "none"       // of any field but those below
	Unassigned = "unassigned" // of [FieldHolder]
	Yes        = "yes"        // of [FieldOpen], [FieldPage] and [FieldMedia]
	No         = "no"
)

// Owner tells which stream the state of a document is folded from.
type Owner string

const (
	OwnerTagged  Owner = "tagged" // nobody has touched the mention
	OwnerCase    Owner = "case"
	OwnerArchive Owner = "archive" // a case that was put away
)

// Document is a mention as lists show it. Empty values of filter fields are
// read back as [None] or [Unassigned]; times are in UTC to the millisecond.
type Document struct {
	ID     mention.ID
	Number uint64 // of the case; 0 for an untouched mention
	// Seq breaks ties and must be unique: the sequence of the mention's first
	// message in TAGGED. Zero has one derived from ID, which sorts last.
	Seq uint64

	Brand    string
	Platform string
	Source   string
	Kind     mention.Kind
	Intake   mention.Intake
	Lang     string
	Title    string
	Text     string
	URL      string
	Place    string // id of the place
	Rating   int    // 1 to 5, 0 for none
	Media    string // address of the first picture or video; empty for none
	MediaN   int    // number of attachments

	AuthorID     string
	AuthorHandle string
	AuthorName   string
	Reach        *int64

	Status      string
	Disposition mention.Disposition
	Sentiment   mention.Sentiment
	Intent      mention.Intent
	Risks       []mention.Category
	Rung        mention.Rung
	Page        bool
	Story       string // key under which reposts and near-copies fold; may be empty
	Holder      string // staff id
	Team        string
	Worker      string // staff id of who worked on it last, also when nobody holds it
	Tags        []string
	Template    string   // id of the template of the last reply
	Parent      string   // the platform's id of the post it answers
	Sent        []string // the platform's ids of our replies

	// Open tells that the mention waits for somebody. The queue has all open
	// mentions before all others.
	Open       bool
	Priority   int // 0 to 1000; higher is earlier in the queue
	DueAt      time.Time
	AnswerBy   time.Time // deadline of the first answer, whatever became of it; zero for none
	AnsweredAt time.Time // when our first reply was out; zero while there is none
	DoneAt     time.Time // when it was closed; zero while it is not
	// RepliedIn and ResolvedIn are the time from SeenAt to AnsweredAt and to DoneAt,
	// by the clock of the deadline: working time, less what we waited for the author.
	RepliedIn, ResolvedIn time.Duration
	PublishedAt           time.Time
	SeenAt                time.Time
	// NextAt is the next moment at which time alone changes the document; zero
	// means never.
	NextAt time.Time

	Owner    Owner
	Revision mention.Revision
	Pass     int
	CaseSeq  uint64 // last sequence of CASES folded in
	Archived uint64 // sequence in ARCHIVE that holds a snapshot of the case; 0 for none
	// Tagged are the sequences in TAGGED that hold texts of this mention.
	// Erasure deletes them.
	Tagged []uint64
}

// Content returns title and text as one; spans in a [Hit] refer to it.
func (d *Document) Content() string {
	p := mention.Post{Title: d.Title, Text: d.Text}
	return p.Content()
}

// Field is something documents can be filtered by and counted by.
type Field string

const (
	FieldBrand       Field = "brand"
	FieldPlatform    Field = "platform"
	FieldSource      Field = "source"
	FieldKind        Field = "kind"
	FieldIntake      Field = "intake"
	FieldLang        Field = "lang"
	FieldPlace       Field = "place"
	FieldRating      Field = "rating" // "0" to "5"
	FieldStatus      Field = "status"
	FieldOpen        Field = "open"
	FieldDisposition Field = "disposition"
	FieldSentiment   Field = "sentiment"
	FieldIntent      Field = "intent"
	FieldRisk        Field = "risk" // a document may have many
	FieldRung        Field = "rung"
	FieldPage        Field = "page"
	FieldHolder      Field = "holder"
	FieldTeam        Field = "team"
	FieldWorker      Field = "worker"
	FieldTag         Field = "tag" // a document may have many
	FieldMedia       Field = "media"
	FieldTemplate    Field = "template"
	FieldOwner       Field = "owner"
	FieldAuthor      Field = "author" // the platform's id; filter by platform as well
	FieldStory       Field = "story"
	FieldParent      Field = "parent" // the platform's id; filter by platform as well
	FieldSent        Field = "sent"   // the platform's id of a reply of ours; filter by platform as well
	FieldNumber      Field = "number"
)

// Viewer says whose eyes a query sees with. The zero Viewer is refused.
type Viewer struct {
	brands []string
	all    bool
	person bool
}

// Sees is a viewer of the given brands. Without any it is refused like the
// zero Viewer.
func Sees(brands ...string) Viewer { return Viewer{brands: brands} }

// SeesAll is a viewer of everything: a service.
func SeesAll() Viewer { return Viewer{all: true} }

// SeesAllBrands is a viewer of every brand: a person. That there are canaries
// (see [mention.CanaryBrand]) is not shown to people.
func SeesAllBrands() Viewer { return Viewer{all: true, person: true} }

// Sees tells whether v sees what is about a brand.
func (v Viewer) Sees(brand string) bool {
	if v.all {
		return !v.person || brand != mention.CanaryBrand
	}
	return slices.Contains(v.brands, brand)
}

// Sort is an order of documents.
type Sort string

const (
	// Queue puts open documents first, then the highest priority, then the
	// earliest deadline (to the second, none last), then the lowest Seq. It is
	// the default.
	Queue     Sort = "queue"
	Newest    Sort = "newest" // by PublishedAt
	Oldest    Sort = "oldest"
	Soonest   Sort = "soonest"   // by DueAt; it finds only what has one
	Relevance Sort = "relevance" // without Text it is Newest
)

// Limits on a query.
const (
	MaxLimit     = 200  // documents on a page
	DefaultLimit = 50   // if Limit is zero
	MaxTotal     = 1000 // up to here Result.Total is exact
	MaxText      = 512  // code points of Query.Text
	MaxValues    = 500  // values of one filter
	MaxFacet     = 50   // values of one facet, but of [FieldHolder]
)

// Period is a half-open interval of time. A zero end is open.
type Period struct{ From, To time.Time }

// Query says which documents, and in which order.
type Query struct {
	Viewer Viewer
	// Text is what a person typed. All words must be found in title, text,
	// author or what people tagged (tags that begin with "#"); the last word may be unfinished; longer Latin words may be
	// misspelt; "quoted words" stand as they are.
	Text string
	// Where keeps documents that have one of the values, for every field.
	Where map[Field][]string
	// Except drops documents that have one of the values, for every field.
	Except map[Field][]string

	Published, Seen, Due Period

	Sort Sort
	// Collapse shows of each story only the document first in order.
	Collapse bool
	Limit    int
	// Cursor is the Next of the page before, of the same query.
	Cursor string
	// Uncounted leaves Total at 0: to count what few documents pass takes as long as
	// to find it.
	Uncounted bool
}

// Result is one page.
type Result struct {
	Hits []Hit
	// Total is the number of documents, before Collapse, or MaxTotal if
	// TotalCapped is set: there are more then.
	Total       int
	TotalCapped bool
	Next        string // cursor of the next page; empty on the last
	Took        time.Duration
}

// Hit is a found document.
type Hit struct {
	Document
	// Marks are where the words of the query stand in Content.
	Marks []Mark
}

// Mark is a span of Content in Unicode code points, End exclusive.
type Mark struct{ Start, End int }

// Facets are counts by field, the most frequent value first, then by name, at
// most MaxFacet of each; of [FieldHolder] all, of whom there are no more than
// people. A value that is absent has no documents, unless the list is full.
type Facets map[Field][]Bucket

// Bucket is a value and the number of documents that have it.
type Bucket struct {
	Value string
	Count int64
}

// Story is the size of a story.
type Story struct {
	Count  int64
	Recent int64     // published since the moment asked for
	First  time.Time // PublishedAt of the earliest
}

// Stats describe an index.
type Stats struct {
	Engine    string // name and version
	Documents int64
	Bytes     int64 // on disk
	// Backlog is the number of writes that are accepted but not yet visible.
	Backlog   int64
	Positions map[string]uint64
}
