// Package mention holds the words of the domain: posts, mentions, verdicts and
// their labels. It imports only the standard library, and every other package
// may import it.
//
// A [Post] is what a platform published. A [Mention] is a post seen as being
// about one brand: a post that names two brands is two mentions. A [Verdict]
// is what the classifier says of a mention.
package mention

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxText is the size in bytes at which the text of a post is cut. The post is
// then marked [Post.Truncated].
const MaxText = 256 << 10

// CanaryBrand is the brand of mentions that only show that the line works: they
// go the whole way, and nobody sees them. No real brand can be called so.
const CanaryBrand = "_canary"

// Kind says what sort of utterance a post is.
type Kind string

const (
	KindPost    Kind = "post"    // a message on a social network or forum
	KindReview  Kind = "review"  // a review with or without a rating
	KindArticle Kind = "article" // news, blogs, anything with a headline
	KindNote    Kind = "note"    // what was said by phone or on a visit, logged by staff
)

// Intake says how a mention reached Earshot. Only live posts and notes page.
type Intake string

const (
	Live   Intake = "live"   // fetched or received as it was published
	Noted  Intake = "note"   // written down by staff in the desk
	Bulked Intake = "import" // an import, a backfill or an archive
)

// Post is one public utterance as its platform gave it, before any brand was
// found in it. Counts that the platform does not give are nil, not zero.
type Post struct {
	// Platform names the network, not the connector: "x", "bluesky",
	// "mastodon", "appstore", "hackernews", "email", "web", "note". Lower-case ASCII.
	Platform string
	// NativeID is the platform's own identifier, unique within Platform and
	// the same whichever connector brought the post.
	NativeID string
	// Source is the id of the configured source that brought the post.
	Source string
	Kind   Kind
	Intake Intake
	URL    string // permalink; empty where the platform has none
	Author Author
	Title  string
	Text   string // plain text, cleaned of markup, valid UTF-8
	// Lang is the language the platform or author claims, a BCP 47 tag, or
	// empty. The classifier decides for itself.
	Lang    string
	Rating  int // 1 to 5; 0 where there is none
	Place   Place
	Media   []Media
	Thread  Thread
	Metrics Metrics
	// ReplyRef is what the connector needs to answer this post. Opaque to
	// everyone else.
	ReplyRef string
	// NoReply says why the platform takes no answer to this post from a
	// program, though it takes such answers otherwise. A person may still be
	// able to answer by hand.
	NoReply NoReply
	// Comments are what stood below the post when it was fetched, oldest first,
	// as far as the platform hands them along. They are no part of the
	// revision.
	Comments []Comment

	// PublishedAt is when the platform says it was published. It may be wrong.
	PublishedAt time.Time
	// EditedAt is the platform's time of the last edit; zero if never edited
	// or not told.
	EditedAt time.Time
	// SeenAt is when Earshot first took the post in. Deadlines run from it.
	SeenAt time.Time
	// Deleted marks the revision by which the platform withdrew the post; Text
	// and Author are then empty.
	Deleted bool
	// Truncated tells that Text was cut at MaxText.
	Truncated bool
}

// Author is who wrote a post, as far as the platform tells.
type Author struct {
	ID     string // the platform's stable id of the account
	Handle string // "@name" without the @; "name@server" on Mastodon
	Name   string // display name
	URL    string
	Avatar string // picture address; only ever shown through the desk's proxy
	// Followers is the reach of the account.
	Followers *int64
}

// Place is the store, app, product or location within a brand that a post is
// about.
type Place struct {
	ID   string
	Name string
}

// MediaType is the sort of an attachment.
type MediaType string

const (
	Image MediaType = "image"
	Video MediaType = "video"
	Audio MediaType = "audio"
	Other MediaType = "other"
)

// NoReply is a reason why a post can't be answered through the platform's API.
type NoReply string

const (
	NotSummoned NoReply = "not_summoned" // only who is mentioned or quoted by the author may answer
	Gated       NoReply = "gated"        // the author has limited who may answer
	Closed      NoReply = "closed"       // locked, archived or too old
	Unverified  NoReply = "unverified"   // the platform wants the place or account verified first
	NotGranted  NoReply = "not_granted"  // our access doesn't include answering
)

// Comment is one answer to a post, by whomever.
type Comment struct {
	NativeID string
	URL      string
	Author   string // handle or name
	Text     string
	At       time.Time
	// Ours tells that the brand's own account wrote it. Where a platform allows
	// one answer, another one overwrites it.
	Ours bool
	// State tells that readers don't see it; empty when they do.
	State CommentState
}

// CommentState is why readers don't see a comment of ours.
type CommentState string

const (
	Pending  CommentState = "pending"  // the platform will publish it
	Rejected CommentState = "rejected" // the platform's rules don't allow it
)

// Media is one attachment of a post.
type Media struct {
	Type MediaType
	URL  string
	Alt  string // the author's description
}

// Thread places a post within a conversation.
type Thread struct {
	ID     string // the platform's id of the conversation's root; empty if none
	Parent string // the platform's id of the post answered to; empty if none
	// ParentAuthor and ParentText are the post answered to, where the
	// platform hands it along.
	ParentAuthor string
	ParentText   string
}

// Metrics are the platform's public counts at the time of fetching.
type Metrics struct {
	Likes, Reposts, Replies *int64
}

// Count returns a pointer to n, for counts that are known.
func Count(n int64) *int64 { return &n }

// Revision identifies one state of a post and orders states.
type Revision struct {
	// Time is the platform's edit time. Where it gives none, it is the time of
	// fetching, or for an import, which may hold old states, of publication.
	Time time.Time
	// Hash is the first 16 hex digits of the SHA-256 over what a reader sees.
	Hash string
}

// Compare orders revisions by time. The same content is the same revision,
// whenever it was fetched. It returns -1, 0 or +1.
func (r Revision) Compare(o Revision) int {
	if r.Hash == o.Hash {
		return 0
	}
	if c := r.Time.Compare(o.Time); c != 0 {
		return c
	}
	return strings.Compare(r.Hash, o.Hash)
}

// ID identifies a mention and the case that may grow from it.
type ID string

// NewID returns the identity of the mention of brand in the post native of
// platform: the first 26 characters of the lower-case base32 of SHA-256 over
// the three, separated by zero bytes.
func NewID(brand, platform, native string) ID {
	buf := make([]byte, 0, 256)
	buf = append(append(buf, brand...), 0)
	buf = append(append(buf, platform...), 0)
	buf = append(buf, native...)
	sum := sha256.Sum256(buf)
	var out [56]byte
	base32Lower.Encode(out[:], sum[:])
	return ID(out[:26])
}

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Valid tells whether id has the form that NewID gives.
func (id ID) Valid() bool {
	if len(id) != 26 {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// Mention is a post seen as being about one brand.
type Mention struct {
	ID    ID
	Brand string // immutable slug of the brand, [a-z0-9-]
	Post
	Revision Revision
}

// Of returns the mention of brand in p, cut to MaxText, with its identity and
// revision. It expects SeenAt to be set.
func Of(brand string, p Post) Mention {
	if len(p.Text) > MaxText {
		cut := MaxText
		for cut > 0 && !utf8.RuneStart(p.Text[cut]) {
			cut--
		}
		p.Text, p.Truncated = p.Text[:cut], true
	}
	at := p.EditedAt
	if at.IsZero() {
		at = p.SeenAt
		if p.Intake == Bulked && !p.PublishedAt.IsZero() {
			at = p.PublishedAt
		}
	}
	return Mention{
		ID:       NewID(brand, p.Platform, p.NativeID),
		Brand:    brand,
		Post:     p,
		Revision: Revision{Time: at.UTC().Truncate(time.Millisecond), Hash: p.hash()},
	}
}

// hash covers what a reader sees, not counts or fetch times.
func (p *Post) hash() string {
	buf := make([]byte, 0, len(p.Title)+len(p.Text)+64)
	buf = append(append(buf, p.Title...), 0)
	buf = append(append(buf, p.Text...), 0)
	buf = strconv.AppendInt(buf, int64(p.Rating), 10)
	buf = strconv.AppendBool(append(buf, 0), p.Deleted)
	for _, m := range p.Media {
		buf = append(append(buf, 0), m.URL...)
	}
	sum := sha256.Sum256(buf)
	return hex.EncodeToString(sum[:8])
}

// MessageID is the id under which m is published: a retry has the same one, an
// edit has another.
func (m *Mention) MessageID() string {
	id := string(m.ID) + "." + m.Revision.Hash
	if !m.EditedAt.IsZero() {
		id += "." + strconv.FormatInt(m.EditedAt.UnixMilli(), 36)
	}
	return id
}

// Again returns p as its platform shows it now, read again at. What says where
// p came from stays as it was; of a post that is gone nothing else does.
func (p *Post) Again(now *Post, at time.Time) Post {
	out := Post{
		Platform: p.Platform, NativeID: p.NativeID, Source: p.Source, Kind: p.Kind, Intake: p.Intake, URL: p.URL,
		PublishedAt: p.PublishedAt, EditedAt: now.EditedAt, SeenAt: at, Deleted: now.Deleted,
	}
	if out.EditedAt.IsZero() && (now.Deleted || p.Intake == Bulked) {
		out.EditedAt = at // an import's state is as old as the post; what it is now comes after it
	}
	if now.Deleted {
		return out
	}
	out.Author, out.Lang, out.Place, out.Thread, out.ReplyRef = now.Author, p.Lang, p.Place, p.Thread, cmp.Or(p.ReplyRef, now.ReplyRef)
	if out.Author == (Author{}) {
		out.Author = p.Author
	}
	out.Author.Followers = cmp.Or(out.Author.Followers, p.Author.Followers)
	out.Title, out.Text, out.Rating, out.Media = now.Title, now.Text, now.Rating, now.Media
	out.Metrics, out.Comments, out.NoReply = now.Metrics, now.Comments, now.NoReply
	return out
}

// Content returns title and text as one, the form that queries, classifier and
// index read.
func (p *Post) Content() string {
	switch {
	case p.Title == "":
		return p.Text
	case p.Text == "":
		return p.Title
	}
	return p.Title + "\n" + p.Text
}
