// Package source holds the connectors: each brings the public posts of one
// sort of platform, and some can answer them. [Kinds] lists them.
//
// A connector keeps no state between fetches that matters: everything it needs
// to go on is in the cursor of the last item that was safely handed over.
// Text is cleaned on the way in: plain, valid UTF-8, without control
// characters. A post that can't be read is logged and skipped; it never stops
// the ones after it.
package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/rivo/uniseg"
	"golang.org/x/oauth2"
)

// Item is a post, or a deletion, and the place to go on after it. An item
// whose post has no NativeID carries only a cursor: there was nothing to tell,
// but the place has moved.
type Item struct {
	Post mention.Post
	// Cursor is empty where the place is that of a later item: after a stop this
	// one comes again.
	Cursor string
	// Gap tells that posts before this item were or may have been missed.
	Gap *Gap
	// Brands are named by the platform itself: the post is about them whatever
	// their queries say. Empty: the queries decide.
	Brands []string
}

// Gap is a stretch of time of which not everything was heard.
type Gap struct {
	// From is zero for when the source was last read; To is zero while it lasts.
	From, To time.Time
	// Why is told staff by its [outbound.Explain]: [outbound.Recent],
	// [outbound.Overflow], [outbound.Spent] or what broke. It must not be nil.
	Why error
}

// Source brings posts. Its methods may be called concurrently, but only one
// Fetch runs at a time.
type Source interface {
	// Fetch yields posts newer than cursor, oldest first, each with the cursor
	// to resume after it. An empty cursor starts with what the platform calls
	// recent. It ends when there is nothing more for now; a streaming source
	// ends only with ctx. An error ends the sequence.
	Fetch(ctx context.Context, cursor string) iter.Seq2[Item, error]
	// Poll is the pause between two fetches; 0 for a streaming source.
	Poll() time.Duration
}

// Replier is the ability to answer a post.
type Replier interface {
	// Reply publishes r and returns where it is. It is called at most once for
	// a Key, except within Dedupes.
	Reply(ctx context.Context, r Reply) (Sent, error)
	// Find looks for r on the platform: has it been published? Its error is
	// ErrNotFound when the platform answered and r was not among what it gave,
	// which does not prove that it never will be.
	Find(ctx context.Context, r Reply) (Sent, error)
	// Dedupes is how long the platform itself drops a second reply with the
	// same Key; 0 for never.
	Dedupes() time.Duration
	// Limit is the longest text the platform takes, asked of the platform
	// where it tells.
	Limit(ctx context.Context) (Limit, error)
}

// Reply is an answer to a post.
type Reply struct {
	To   mention.Post // with the ReplyRef its connector gave it
	Text string
	Lang string // of Text, a BCP 47 tag; may be empty
	// Account is the handle that must be the author of the reply; a connector
	// that is signed in as another one refuses. Empty: whichever it is.
	Account string
	Key     string // the same for every attempt at this reply
}

// Sent is a published reply.
type Sent struct {
	URL, NativeID string
	At            time.Time
}

// ErrNotFound is the error of Find when the platform shows no such reply.
var ErrNotFound = errors.New("reply not found on the platform")

// Searcher is the ability to look for terms now, for the preview of a query.
// The result is newest first, at most limit posts.
type Searcher interface {
	Search(ctx context.Context, terms []string, limit int) ([]mention.Post, error)
}

// Completer is the ability to add to a post what is too dear to ask for every
// post: it is called once a brand has matched. On an error the post is as good
// as before.
type Completer interface {
	Complete(ctx context.Context, p *mention.Post) error
}

// Rereader is the ability to see posts again as they are now: ours and others'.
type Rereader interface {
	// Reread asks the platform for posts that were fetched or published before,
	// at most [RereadAtOnce]. What is gone, or is no longer public, comes back
	// with Deleted set and without text and author; what the platform does not
	// speak of is left out. Metrics and Comments are those of now. Of a reply of
	// ours the posts have Platform, NativeID, URL, Text and Thread only.
	Reread(ctx context.Context, posts []mention.Post) ([]mention.Post, error)
}

// RereadAtOnce bounds the posts in one [Rereader.Reread].
const RereadAtOnce = 100

// Threader is the ability to show what stands below a post now, by whomever, for
// people who read its case. Nothing of it is kept: what others said is theirs to
// delete, and nobody would tell of it.
type Threader interface {
	// Below returns the latest direct answers to p, oldest first, and ours. None is
	// an answer too: a source that can't tell returns an error.
	Below(ctx context.Context, p mention.Post) ([]mention.Comment, error)
}

// Auditor is the ability of a [Rereader] to hand in all that is stored at once:
// the platform goes through it in its own time and names what may be gone. It
// tells of no edits.
type Auditor interface {
	// Audits tells whether the configuration wants that.
	Audits() bool
	// Audit hands posts in and returns the name of the job.
	Audit(ctx context.Context, posts []mention.Post) (job string, err error)
	// Audited returns what tells the posts that the job has named from the
	// others; nil while it runs. A permanent error says that the job is lost.
	Audited(ctx context.Context, job string) (named func(*mention.Post) bool, err error)
}

// Timeliner is the ability to list what our own account has published, newest
// first, back to since, each with Thread.Parent. So a reply that was posted by
// hand is found.
type Timeliner interface {
	Timeline(ctx context.Context, since time.Time) ([]mention.Post, error)
}

// Receiver is the ability to take what the platform pushes to the source's own
// address, /hooks/<source id>.
type Receiver interface {
	// Receive checks who sent p and reads it. What it yields is stored before
	// the answer is given. An error is answered with 4xx if it is permanent and
	// with 503 otherwise, so that the sender tries again.
	Receive(ctx context.Context, p Push) (Pushed, error)
}

// Push is a request that a platform made.
type Push struct {
	Method string
	URL    string // as the sender wrote it, with the query
	Header http.Header
	Body   []byte // at most 1 MiB
}

// Pushed is what a push brings, and its answer; the zero Status is 200.
type Pushed struct {
	Items  []Item
	Status int
	Header http.Header
	Body   []byte
}

// Consenter is the ability to be let in by a person on the platform's own page
// (OAuth 2.0 authorization code with PKCE). RedirectURL is set by the caller.
type Consenter interface {
	// Consent has no ClientID where the configuration wants no consent.
	Consent() oauth2.Config
}

// Accounter is the ability to say whose account a source acts for.
type Accounter interface {
	// Account asks the platform whose consent or key it is, and returns the name
	// that people know the account by, as @acme; empty where there is none, as
	// for an app that only listens. If that is another account than the
	// configuration names, it comes with a [WrongAccount] refusal.
	Account(ctx context.Context) (string, error)
}

// Keeper keeps small values of one source between runs, sealed: tokens that the
// platform renews, budgets that are spent. The processes that run the source
// share them.
type Keeper interface {
	// Update loads what is kept as name into v, leaving v alone when nothing
	// is, calls change, and keeps v if it says so. If another process was
	// faster it does all of that again.
	Update(ctx context.Context, name string, v any, change func() (keep bool, err error)) error
}

// Quoter is the ability to report the platform's rate limit. ok is false
// before it is known.
type Quoter interface {
	Quota() (q outbound.Quota, ok bool)
}

// Terms are the words of all current brands, for platforms that have to be
// asked for words.
type Terms struct {
	Words    []string // words and phrases
	Hashtags []string // without #
}

// Deps is what opening a connector needs.
type Deps struct {
	HTTP  *outbound.Client
	Log   *slog.Logger
	Now   func() time.Time
	Terms func() Terms // may change between fetches
	Data  string       // data folder of the process, for the sandbox
	Keep  Keeper
}

// Duties are what a platform's terms ask of whoever keeps its posts.
type Duties struct {
	// Retention is the longest time posts may be kept; 0 for no limit of the
	// platform's own.
	Retention time.Duration
	// MayTrain tells whether classifiers may be trained on the posts.
	MayTrain bool
	// MayLeave tells whether posts may leave the installation: second
	// opinions by other services, digests, chat, exports.
	MayLeave bool
	// Deletions says how deletions are learned, and what that costs.
	Deletions string
	// Reread is how often stored posts are asked for again, where that is how
	// deletions are learned; the kind is then a [Rereader]. 0 for never.
	Reread time.Duration
	// RereadAll tells that the platform shows any post to any of its sources, so
	// that posts are asked for whichever way they came: by import, by intake, by
	// a source that is gone.
	RereadAll bool
	// RereadPrice is what the platform takes for one post asked for again, in
	// US dollars.
	RereadPrice float64
	// Expire is when a post that nobody has touched is dropped, though its
	// platform would let it be kept longer; 0 for the installation's retention.
	Expire time.Duration
}

// Kind is a sort of connector.
type Kind struct {
	config.Kind[Deps, Source]
	Platform string // of the posts it brings; see [mention.Post]
	Duties   Duties
	// Limit is the usual limit of replies, for the composer; zero where the
	// kind can't reply.
	Limit Limit
	// OneAnswer tells that the platform holds one answer to a post: another one
	// overwrites it.
	OneAnswer bool
	// Consents tells that a source may be a [Consenter], as far as its
	// configuration wants it.
	Consents bool
	// Threads tells that its sources are [Threader]s.
	Threads bool
	// WriteKeys are the keys of the configuration without which a source only
	// listens; nil for all its secrets.
	WriteKeys []string
}

// Kinds lists the connectors.
var Kinds = []Kind{
	feedKind(),
	hackerNewsKind(),
	blueskyKind(),
	blueskyAccountKind(),
	mastodonKind(),
	appStoreKind(),
	emailKind(),
	appStoreConnectKind(),
	googleBusinessKind(),
	googlePlayKind(),
	redditKind(),
	trustpilotKind(),
	youTubeKind(),
	sandboxKind(),
	xKind(),
}

// Named returns the kind called name.
func Named(name string) (Kind, bool) {
	i := slices.IndexFunc(Kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return Kinds[i], true
}

// DutiesOf returns the duties for posts of platform, whichever way they came.
// Of an unknown platform nothing may be trained on and nothing may leave.
func DutiesOf(platform string) Duties {
	if platform == "note" {
		return Duties{MayTrain: true, Deletions: "Written by staff; erased on request."}
	}
	i := slices.IndexFunc(Kinds, func(k Kind) bool { return k.Platform == platform })
	if i < 0 {
		return Duties{Deletions: "Unknown platform: erase on request."}
	}
	return Kinds[i].Duties
}

// Limit is the longest text a platform takes. The zero Limit allows anything.
type Limit struct {
	Max  int
	Unit Unit
	// URL is what any link counts as, in units; 0 for its own length.
	URL int
	// Bytes is the most bytes of UTF-8 that Text may have besides; 0 for any.
	Bytes int
}

// byHand are the usual limits of platforms where no kind can reply. Whence that of
// the App Store is: see connectLimit.
var byHand = map[string]Limit{
	"x": {Max: 280, Unit: Weighted, URL: 23}, "bluesky": {Max: 300, Unit: Graphemes}, "appstore": connectLimit,
}

// LimitOf is the usual limit of replies on platform, also of those that are
// posted by hand.
func LimitOf(platform string) Limit {
	for _, k := range Kinds {
		if k.Platform == platform && k.Limit.Max > 0 {
			return k.Limit
		}
	}
	return byHand[platform]
}

// Unit is how a platform counts text.
type Unit string

const (
	Characters Unit = "characters" // Unicode code points
	Graphemes  Unit = "graphemes"  // what a reader calls characters
	UTF8Bytes  Unit = "bytes"
	// Weighted is X's count after NFC: Latin and the like 1, everything else,
	// so Japanese and emoji, 2 (twitter-text configuration v3).
	Weighted Unit = "weighted"
)

// Count returns the length of text in l's units.
func (l Limit) Count(text string) int {
	if l.Unit == Weighted {
		return weighted(text, l.URL)
	}
	n := 0
	if l.URL > 0 {
		text, n = withoutLinks(text)
		n *= l.URL
	}
	switch l.Unit {
	case Graphemes:
		return n + uniseg.GraphemeClusterCount(text)
	case UTF8Bytes:
		return n + len(text)
	}
	return n + utf8.RuneCountInString(text)
}

// Fits tells whether text is within the limit.
func (l Limit) Fits(text string) bool {
	return (l.Max == 0 || l.Count(text) <= l.Max) && (l.Bytes == 0 || len(text) <= l.Bytes)
}

// withoutLinks returns text without its http links, and their number.
func withoutLinks(text string) (string, int) {
	spans, done := links(text), 0
	var b strings.Builder
	for _, span := range spans {
		b.WriteString(text[done:span[0]])
		done = span[1]
	}
	b.WriteString(text[done:])
	return b.String(), len(spans)
}

// links finds the http links in text, as offsets in bytes. A link ends at white
// space, at a character that isn't ASCII, or at closing punctuation.
func links(text string) (spans [][2]int) {
	for at := 0; ; {
		i := strings.Index(text[at:], "http")
		if i < 0 {
			return spans
		}
		start := at + i
		rest := text[start:]
		if !strings.HasPrefix(rest, "http://") && !strings.HasPrefix(rest, "https://") {
			at = start + len("http")
			continue
		}
		end := strings.IndexFunc(rest, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '<' || r == '>' })
		if end < 0 {
			end = len(rest)
		}
		at = start + len(strings.TrimRight(rest[:end], ".,;:!?)'"))
		spans = append(spans, [2]int{start, at})
	}
}

// failed is a sequence of nothing but an error.
func failed(err error) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) { yield(Item{}, err) }
}

// skip logs an item that can't be read. The text of the item is not logged.
func (d Deps) skip(kind, id string, why error) {
	d.Log.Warn("item skipped", "kind", kind, "item", clip(id, 200), "error", why)
}

// readPosts reads raws into posts, each by itself: one that can't be read is
// skipped, by its id.
func readPosts[T any](d Deps, kind string, raws []json.RawMessage, post func(T) (mention.Post, error), id func(T) string) (posts []mention.Post) {
	for _, raw := range raws {
		var t T
		var p mention.Post
		err := json.Unmarshal(raw, &t)
		if err == nil {
			p, err = post(t)
		}
		if err != nil {
			d.skip(kind, id(t), err)
			continue
		}
		posts = append(posts, p)
	}
	return posts
}

// byAge orders posts oldest first.
func byAge(a, b mention.Post) int {
	return cmp.Or(a.PublishedAt.Compare(b.PublishedAt), cmp.Compare(a.NativeID, b.NativeID))
}

// errStopped tells, within a connector, that whoever takes its items wants no
// more.
var errStopped = errors.New("stopped")
