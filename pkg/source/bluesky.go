package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

type blueskyConfig struct {
	Servers []string      `yaml:"servers" doc:"Jetstream servers, wss://host. When one fails the next is used."`
	API     string        `yaml:"api" doc:"Public API, asked for the authors of posts that matched a brand. Empty: not asked."`
	Zstd    bool          `yaml:"zstd" doc:"Have the stream compressed. A server that refuses is read without."`
	Silence time.Duration `yaml:"silence" doc:"A stream without any event for this long is taken for dead, at least 5s."`
}

func (c *blueskyConfig) Validate() error {
	var errs []error
	if len(c.Servers) == 0 {
		errs = append(errs, config.Invalid("servers", "required"))
	}
	for i, s := range c.Servers {
		if u, err := url.Parse(s); err != nil || u.Scheme != "wss" && u.Scheme != "ws" || u.Host == "" {
			errs = append(errs, config.Invalid(fmt.Sprintf("servers[%d]", i), "must be like wss://jetstream2.us-east.bsky.network"))
		}
	}
	if c.API != "" && webURL(c.API) == "" {
		errs = append(errs, config.Invalid("api", "must start with http:// or https://"))
	}
	return errors.Join(append(errs, atLeast("silence", c.Silence, 5*time.Second))...)
}

func blueskyKind() Kind {
	return Kind{
		Kind: config.NewKind("bluesky", "All public posts of Bluesky, through Jetstream; no account needed.",
			blueskyConfig{
				Servers: []string{
					"wss://jetstream2.us-east.bsky.network", "wss://jetstream1.us-west.bsky.network",
					"wss://jetstream1.us-east.bsky.network", "wss://jetstream2.us-west.bsky.network",
				},
				API: "https://public.api.bsky.app", Zstd: true, Silence: time.Minute,
			},
			func(c blueskyConfig, d Deps) (Source, error) {
				c.API = strings.TrimSuffix(c.API, "/")
				b := &bluesky{cfg: c, deps: d, plain: map[string]bool{}}
				b.view = &blueskyAppView{get: b.get, now: d.Now, ours: func() string { return "" }}
				return b, nil
			}),
		Platform: "bluesky",
		Duties:   blueskyDuties,
		Threads:  true,
	}
}

var blueskyDuties = Duties{MayLeave: true, Deletions: "The stream tells at once, for every post; free."}

// bluesky reads the stream of all posts; matching is left to others.
type bluesky struct {
	cfg  blueskyConfig
	deps Deps
	view *blueskyAppView

	mu    sync.Mutex
	next  int             // server to use
	plain map[string]bool // servers that are read uncompressed
}

// Poll is 0: it streams.
func (b *bluesky) Poll() time.Duration { return 0 }

const (
	// blueskyRewind is asked for again at the same server, and at another one,
	// whose clock may differ.
	blueskyRewind      = 2 * time.Second
	blueskyOtherServer = 10 * time.Second
	// blueskyWindow is how far a server's times may be out of order. Events of
	// one commit have the same time.
	blueskyWindow = 200 * time.Millisecond
	// blueskyAhead is how far a server's clock may be ahead of ours. An event of
	// later than that comes, but the place stays: all others are before it.
	blueskyAhead      = time.Hour
	maxJetstreamEvent = 1 << 20
)

// jetstreamCursor is the latest time seen, the server it was seen at, and the
// events within the window before it: "<time_us>@<host>~<hash>.<hash>…".
type jetstreamCursor struct {
	at     int64
	server string
	recent []jetstreamSeen
}

type jetstreamSeen struct {
	at   int64
	hash string
}

func parseJetstreamCursor(cursor string) (c jetstreamCursor, err error) {
	if cursor == "" {
		return c, nil
	}
	text, hashes, _ := strings.Cut(cursor, "~")
	text, c.server, _ = strings.Cut(text, "@")
	if c.at, err = strconv.ParseInt(text, 10, 64); err != nil {
		return c, err
	}
	for h := range strings.SplitSeq(hashes, ".") {
		c.recent = append(c.recent, jetstreamSeen{c.at, h})
	}
	return c, nil
}

func (c *jetstreamCursor) String() string {
	b := strconv.AppendInt(make([]byte, 0, 64+len(c.recent)*9), c.at, 10)
	b = append(append(append(b, '@'), c.server...), '~')
	for i, r := range c.recent {
		if i > 0 {
			b = append(b, '.')
		}
		b = append(b, r.hash...)
	}
	return string(b)
}

// news tells whether e is new, at a server whose times compare with c's, and
// notes it.
func (c *jetstreamCursor) news(e jetstreamEvent, same bool) bool {
	h := e.hash()
	if same && e.TimeUS < c.at-blueskyWindow.Microseconds() || slices.ContainsFunc(c.recent, func(r jetstreamSeen) bool { return r.hash == h }) {
		return false
	}
	c.at = max(c.at, e.TimeUS)
	c.recent = slices.DeleteFunc(c.recent, func(r jetstreamSeen) bool { return r.at < c.at-blueskyWindow.Microseconds() })
	c.recent = append(c.recent, jetstreamSeen{e.TimeUS, h})
	return true
}

func (b *bluesky) Fetch(ctx context.Context, cursor string) iter.Seq2[Item, error] {
	cur, err := parseJetstreamCursor(cursor)
	if err != nil {
		return failed(fmt.Errorf("bluesky: cursor: %w", err))
	}
	return func(yield func(Item, error) bool) {
		b.mu.Lock()
		server := b.cfg.Servers[b.next%len(b.cfg.Servers)]
		b.mu.Unlock()
		broken := b.stream(ctx, server, cur, yield)
		if broken == nil {
			return
		}
		b.mu.Lock()
		b.next++
		b.mu.Unlock()
		yield(Item{}, fmt.Errorf("bluesky: %s: %w", host(server), ended(host(server), broken)))
	}
}

// stream yields events until the consumer stops, which gives nil, or the
// stream breaks.
func (b *bluesky) stream(ctx context.Context, server string, cur jetstreamCursor, yield func(Item, error) bool) error {
	q := url.Values{"wantedCollections": {"app.bsky.feed.post"}, "maxMessageSizeBytes": {strconv.Itoa(maxJetstreamEvent)}}
	same := cur.server == host(server)
	if cur.at > 0 {
		rewind := blueskyOtherServer
		if same {
			rewind = blueskyRewind
		}
		q.Set("cursor", strconv.FormatInt(max(cur.at-rewind.Microseconds(), 1), 10))
	}
	conn, err := b.dial(ctx, server, q)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxJetstreamEvent + 1)
	cur.server = host(server)
	for {
		raw, err := b.receive(ctx, conn)
		if errors.Is(err, errZstd) {
			b.readPlain(server)
		}
		if err != nil {
			return err
		}
		e, err := parseJetstream(raw)
		if err != nil {
			b.deps.skip("bluesky", e.DID, err)
			continue
		}
		p, err := e.post()
		if err != nil {
			b.deps.skip("bluesky", e.uri(), err)
			continue
		}
		now := b.deps.Now()
		if p.NativeID == "" || e.TimeUS <= now.Add(blueskyAhead).UnixMicro() && !cur.news(e, same) {
			continue
		}
		p.SeenAt = now
		if !yield(Item{Post: p, Cursor: cur.String()}, nil) {
			return nil
		}
	}
}

func (b *bluesky) receive(ctx context.Context, conn *websocket.Conn) ([]byte, error) {
	read, cancel := context.WithTimeout(ctx, b.cfg.Silence)
	defer cancel()
	kind, raw, err := conn.Read(read)
	switch {
	case err == nil && kind == websocket.MessageBinary:
		return inflate(raw)
	case err == nil:
		return raw, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case read.Err() != nil:
		return nil, outbound.TimedOut.Of(fmt.Errorf("no event for %s", b.cfg.Silence))
	}
	return nil, err
}

// jetstreamEvent is the part we read of an event of Jetstream's v1 protocol.
type jetstreamEvent struct {
	DID    string           `json:"did"`
	TimeUS int64            `json:"time_us"`
	Kind   string           `json:"kind"`
	Commit *jetstreamCommit `json:"commit"`
}

type jetstreamCommit struct {
	Operation  string          `json:"operation"`
	Collection string          `json:"collection"`
	RKey       string          `json:"rkey"`
	CID        string          `json:"cid"`
	Record     json.RawMessage `json:"record"`
}

type blueskyLink struct {
	URI string `json:"uri"`
	CID string `json:"cid"`
}

type blueskyBlob struct {
	Ref struct {
		Link string `json:"$link"`
	} `json:"ref"`
}

type blueskyEmbed struct {
	Images []struct {
		Alt   string      `json:"alt"`
		Image blueskyBlob `json:"image"`
	} `json:"images"`
	Video    *blueskyBlob `json:"video"`
	Alt      string       `json:"alt"`
	External *struct {
		URI   string `json:"uri"`
		Title string `json:"title"`
	} `json:"external"`
	Media *blueskyEmbed `json:"media"` // of a post that quotes another
}

// looseTime is a time that is zero when it can't be read.
type looseTime struct{ time.Time }

func (t *looseTime) UnmarshalJSON(raw []byte) error {
	t.Time, _ = time.Parse(time.RFC3339, strings.Trim(string(raw), `"`))
	return nil
}

type blueskyRecord struct {
	Text  string   `json:"text"`
	Langs []string `json:"langs"`
	// CreatedAt is as the client says.
	CreatedAt looseTime `json:"createdAt"`
	Reply     *struct {
		Root   blueskyLink `json:"root"`
		Parent blueskyLink `json:"parent"`
	} `json:"reply"`
	Embed  *blueskyEmbed `json:"embed"`
	Facets []struct {
		Index struct {
			Start int `json:"byteStart"`
			End   int `json:"byteEnd"`
		} `json:"index"`
		Features []struct {
			URI string `json:"uri"`
		} `json:"features"`
	} `json:"facets"`
}

func parseJetstream(raw []byte) (jetstreamEvent, error) {
	var e jetstreamEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		return e, err
	}
	if e.TimeUS <= 0 || !strings.HasPrefix(e.DID, "did:") {
		return e, errors.New("no time or author")
	}
	return e, nil
}

func (e jetstreamEvent) uri() string {
	if e.Commit == nil {
		return ""
	}
	return "at://" + e.DID + "/" + e.Commit.Collection + "/" + e.Commit.RKey
}

func (e jetstreamEvent) hash() string {
	sum := sha256.Sum256([]byte(e.uri() + " " + e.Commit.Operation + " " + e.Commit.CID))
	return hex.EncodeToString(sum[:4])
}

// post returns the post or deletion in e; a zero one if e is of another kind.
func (e jetstreamEvent) post() (mention.Post, error) {
	if e.Kind != "commit" || e.Commit == nil || e.Commit.Collection != "app.bsky.feed.post" {
		return mention.Post{}, nil
	}
	if e.Commit.RKey == "" {
		return mention.Post{}, errors.New("no record key")
	}
	p := mention.Post{
		Platform: "bluesky", NativeID: e.uri(), Kind: mention.KindPost, Intake: mention.Live,
		URL:         "https://bsky.app/profile/" + e.DID + "/post/" + e.Commit.RKey,
		PublishedAt: time.UnixMicro(e.TimeUS).UTC(),
	}
	switch e.Commit.Operation {
	case "delete":
		p.Deleted, p.EditedAt = true, p.PublishedAt
		return p, nil
	case "update":
		p.EditedAt = p.PublishedAt
	case "create":
	default:
		return mention.Post{}, nil
	}
	var r blueskyRecord
	if err := json.Unmarshal(e.Commit.Record, &r); err != nil {
		return p, err
	}
	// Clients set createdAt as they please, and the stream brings old posts
	// again when it synchronises a repository. The earlier of the two is what
	// the network itself sorts by.
	if r.CreatedAt.After(epoch) && r.CreatedAt.Before(p.PublishedAt) {
		p.PublishedAt = r.CreatedAt.UTC()
	}
	p.Author = mention.Author{ID: e.DID, URL: "https://bsky.app/profile/" + e.DID}
	p.Text = clean(r.fullText())
	if len(r.Langs) > 0 {
		p.Lang = line(r.Langs[0])
	}
	if r.Embed != nil {
		p.Media = r.Embed.media(e.DID)
	}
	self := blueskyLink{e.uri(), e.Commit.CID}
	root := self
	if r.Reply != nil && r.Reply.Root.URI != "" {
		root = r.Reply.Root
		p.Thread = mention.Thread{ID: root.URI, Parent: r.Reply.Parent.URI}
	}
	ref, _ := json.Marshal(map[string]blueskyLink{"root": root, "parent": self})
	p.ReplyRef = string(ref)
	if p.Text == "" && len(p.Media) == 0 {
		return mention.Post{}, nil // a bare quote: nothing is said
	}
	return p, nil
}

// fullText is the text with the links whose ends the author's client cut off.
func (r blueskyRecord) fullText() string {
	text, done := "", 0
	for _, f := range r.Facets {
		i, j := f.Index.Start, f.Index.End
		if len(f.Features) == 0 || f.Features[0].URI == "" || i < done || j < i || j > len(r.Text) {
			continue
		}
		if shown := r.Text[i:j]; strings.HasSuffix(shown, "...") || strings.HasSuffix(shown, "…") {
			text += r.Text[done:i] + clip(f.Features[0].URI, 2000)
			done = j
		}
	}
	return text + r.Text[done:]
}

func (e *blueskyEmbed) media(did string) []mention.Media {
	var out []mention.Media
	for _, im := range e.Images[:min(len(e.Images), maxMedia)] {
		if cid := im.Image.Ref.Link; cid != "" {
			out = append(out, mention.Media{Type: mention.Image, URL: "https://cdn.bsky.app/img/feed_fullsize/plain/" + did + "/" + cid, Alt: clip(clean(im.Alt), 2000)})
		}
	}
	if e.Video != nil && e.Video.Ref.Link != "" {
		out = append(out, mention.Media{Type: mention.Video, URL: "https://video.bsky.app/watch/" + url.PathEscape(did) + "/" + e.Video.Ref.Link + "/playlist.m3u8", Alt: clip(clean(e.Alt), 2000)})
	}
	if e.External != nil {
		if u := webURL(e.External.URI); u != "" {
			out = append(out, mention.Media{Type: mention.Other, URL: u, Alt: clip(line(e.External.Title), 500)})
		}
	}
	if e.Media != nil && e.Media.Media == nil {
		out = append(out, e.Media.media(did)...)
	}
	return out
}

// Complete fetches the author's profile, the counts and the post answered to:
// the stream has only ids.
func (b *bluesky) Complete(ctx context.Context, p *mention.Post) error {
	if b.cfg.API == "" {
		return nil
	}
	if err := b.view.complete(ctx, p); err != nil {
		return fmt.Errorf("bluesky: %w", err)
	}
	return nil
}

// get asks the public API.
func (b *bluesky) get(ctx context.Context, nsid string, q url.Values, out any) error {
	return getJSON(ctx, b.deps.HTTP, b.cfg.API+"/xrpc/"+nsid+"?"+q.Encode(), http.Header{"Accept": {"application/json"}}, out)
}

func (b *bluesky) Reread(ctx context.Context, posts []mention.Post) ([]mention.Post, error) {
	if b.cfg.API == "" {
		return nil, nil
	}
	return b.view.reread(ctx, posts)
}

// Below asks the public API.
func (b *bluesky) Below(ctx context.Context, p mention.Post) ([]mention.Comment, error) {
	if b.cfg.API == "" {
		return nil, outbound.Settings.Of(errors.New("bluesky: answers: no API is set to ask for them"))
	}
	return b.view.below(ctx, p)
}
