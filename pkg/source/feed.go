package source

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/mmcdole/gofeed"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
)

type feedConfig struct {
	URL     string        `yaml:"url" doc:"Address of an RSS, Atom or JSON feed."`
	Search  string        `yaml:"search" enum:"google-news" doc:"Instead of url: a news search for the words of the brands."`
	Locales []string      `yaml:"locales" doc:"Editions of the news search, as language-country."`
	Server  string        `yaml:"server" doc:"Address of the news search."`
	Kind    string        `yaml:"kind" enum:"article,review,post" doc:"What the items are."`
	Poll    time.Duration `yaml:"poll" doc:"Pause between two fetches, at least 1m."`
	Hook    string        `yaml:"hook" doc:"This source's own address, as its page shows it. With it, a feed that offers WebSub pushes its items at once. Empty: it is polled."`
}

func (c *feedConfig) Validate() error {
	var errs []error
	switch {
	case c.URL == "" && c.Search == "":
		errs = append(errs, config.Invalid("url", "required, unless search is set"))
	case c.URL != "" && c.Search != "":
		errs = append(errs, config.Invalid("search", "can't be set together with url"))
	case c.URL != "" && webURL(c.URL) == "":
		errs = append(errs, config.Invalid("url", "must start with http:// or https://"))
	}
	for i, l := range c.Locales {
		if lang, country, ok := strings.Cut(l, "-"); !ok || len(lang) != 2 || len(country) != 2 {
			errs = append(errs, config.Invalid(fmt.Sprintf("locales[%d]", i), "%q is not like ja-JP", l))
		}
	}
	if c.Search != "" && len(c.Locales) == 0 {
		errs = append(errs, config.Invalid("locales", "required with search"))
	}
	if webURL(c.Server) == "" {
		errs = append(errs, config.Invalid("server", "must start with http:// or https://"))
	}
	if c.Hook != "" && (webURL(c.Hook) == "" || !strings.Contains(c.Hook, "/hooks/")) {
		errs = append(errs, config.Invalid("hook", "must be the address on the source's page, as https://earshot.example/hooks/…"))
	}
	return errors.Join(append(errs, atLeast("poll", c.Poll, time.Minute))...)
}

func atLeast(key string, d, least time.Duration) error {
	if d < least {
		return config.Invalid(key, "must be at least %s", least)
	}
	return nil
}

func feedKind() Kind {
	return Kind{
		Kind: config.NewKind("feed", "RSS, Atom and JSON feeds, and a news search through one.",
			feedConfig{Locales: []string{"ja-JP", "en-US"}, Server: "https://news.google.com", Kind: "article", Poll: 5 * time.Minute},
			func(c feedConfig, d Deps) (Source, error) {
				return &feed{cfg: c, deps: d, hub: websub{deps: d, callback: c.Hook}}, nil
			}),
		Platform: "web",
		Duties:   Duties{MayTrain: true, MayLeave: true, Deletions: "Feeds don't tell; an item that leaves a feed was not withdrawn. Erased on request."},
	}
}

type feed struct {
	cfg  feedConfig
	deps Deps
	hub  websub
}

func (f *feed) Poll() time.Duration { return f.hub.poll(f.cfg.Poll) }

// feedCursor is the state of a feed between fetches. Seen comes last: the
// cursors of a batch differ only in it.
type feedCursor struct {
	For      string `json:"for,omitempty"`      // the configured address it belongs to
	Moved    string `json:"moved,omitempty"`    // where that has moved for good
	ETag     string `json:"etag,omitempty"`     // verbatim
	Modified string `json:"modified,omitempty"` // Last-Modified, verbatim
	Seen     string `json:"seen"`
}

func (c feedCursor) String() string {
	b, _ := json.Marshal(c)
	return string(b)
}

func (f *feed) Fetch(ctx context.Context, cursor string) iter.Seq2[Item, error] {
	var cur feedCursor
	if cursor != "" {
		if err := json.Unmarshal([]byte(cursor), &cur); err != nil {
			return failed(fmt.Errorf("feed: cursor: %w", err))
		}
	}
	other := cur.For != f.cfg.URL
	if other {
		cur = feedCursor{For: f.cfg.URL, Seen: cur.Seen}
	}
	return func(yield func(Item, error) bool) {
		posts, next, err := f.read(ctx, cur)
		if err != nil && len(posts) == 0 {
			yield(Item{}, err)
			return
		}
		if gap := turnedOver(posts, cur.Seen); gap != nil && !other && !yield(Item{Cursor: cursor, Gap: gap}, nil) {
			return
		}
		if !f.hand(posts, cur, next, yield) {
			return
		}
		if err != nil {
			yield(Item{}, err)
		}
	}
}

// read gets every address and returns all posts, with the cursor to be used
// once all of them are handed over. With an error it returns the posts it got.
func (f *feed) read(ctx context.Context, cur feedCursor) (posts []mention.Post, next feedCursor, err error) {
	next = feedCursor{For: cur.For, Moved: cur.Moved}
	if f.cfg.Search != "" {
		for _, address := range newsSearches(f.cfg.Server, f.deps.Terms().Words, f.cfg.Locales) {
			resp, e := f.deps.HTTP.Get(ctx, address, feedHeader("", ""))
			if e == nil {
				var more []mention.Post
				more, e = f.parse(resp)
				posts = append(posts, more...)
			}
			if e != nil {
				return posts, next, fmt.Errorf("feed: %w", e)
			}
		}
		return posts, next, nil
	}
	resp, err := f.deps.HTTP.Get(ctx, cmp.Or(cur.Moved, f.cfg.URL), feedHeader(cur.ETag, cur.Modified))
	if e, ok := errors.AsType[*outbound.Error](err); ok && e.Status == http.StatusGone {
		return nil, next, fmt.Errorf("feed: the feed is gone for good: %w", err)
	} else if err != nil {
		return nil, next, fmt.Errorf("feed: %w", err)
	}
	next.Moved = cmp.Or(resp.Moved, cur.Moved)
	if resp.Status == http.StatusNotModified {
		next.ETag, next.Modified = cur.ETag, cur.Modified
		f.hub.offered(ctx, "", "")
		return nil, next, nil
	}
	next.ETag, next.Modified = resp.Header.Get("Etag"), resp.Header.Get("Last-Modified")
	if posts, err = f.parse(resp); err != nil {
		return nil, next, fmt.Errorf("feed: %w", err)
	}
	hub, topic := hubOf(resp)
	f.hub.offered(ctx, hub, topic)
	return posts, next, nil
}

func feedHeader(etag, modified string) http.Header {
	h := http.Header{"Accept": {"application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5"}}
	if etag != "" {
		h.Set("If-None-Match", etag)
	}
	if modified != "" {
		h.Set("If-Modified-Since", modified)
	}
	return h
}

// fullFeed is how many items a feed has that may have dropped others.
const fullFeed = 10

// turnedOver tells of a gap when nothing of a full feed has been seen before:
// then items may have come and gone since. When it was read last the fetcher
// knows.
func turnedOver(posts []mention.Post, before string) *Gap {
	if before == "" || len(posts) < fullFeed {
		return nil
	}
	s := loadSeen(before)
	oldest := posts[0].PublishedAt
	for _, p := range posts {
		if s.look(p.NativeID, p.Content()) != fresh {
			return nil
		}
		if p.PublishedAt.Before(oldest) {
			oldest = p.PublishedAt
		}
	}
	return &Gap{To: oldest, Why: outbound.Overflow.Of(errors.New("everything in the feed was new: older items may have left it before it was read again"))}
}

// hand yields what is new among posts, oldest first. Until the last one is
// handed over, cursors keep the old validators: resuming reads the feed again.
func (f *feed) hand(posts []mention.Post, cur, next feedCursor, yield func(Item, error) bool) bool {
	s := loadSeen(cur.Seen)
	slices.SortStableFunc(posts, byAge)
	shown := make([]string, len(posts))
	twice := map[string]bool{}
	var news []mention.Post
	for i, p := range posts {
		shown[i] = p.NativeID
		if s.look(p.NativeID, p.Content()) != known && !twice[p.NativeID] {
			news = append(news, p)
		}
		twice[p.NativeID] = true
	}
	cur.Seen, next.Seen = "", cur.Seen
	prefix := strings.TrimSuffix(cur.String(), `"}`) // Seen needs no escaping
	for i, p := range news {
		s.add(p.NativeID, p.Content())
		at := prefix + s.String() + `"}`
		if i == len(news)-1 {
			next.Seen = s.shrunk(shown)
			at = next.String()
		}
		if !yield(Item{Post: p, Cursor: at}, nil) {
			return false
		}
	}
	if cur.Seen = next.Seen; len(news) == 0 && next != cur {
		return yield(Item{Cursor: next.String()}, nil)
	}
	return true
}

// parse reads the posts of a feed.
func (f *feed) parse(resp *outbound.Response) ([]mention.Post, error) {
	body, err := feedBytes(resp)
	if err != nil {
		return nil, resp.Unreadable(err)
	}
	if k := gofeed.DetectFeedType(bytes.NewReader(body)); k == gofeed.FeedTypeRSS || k == gofeed.FeedTypeAtom {
		if err := checkMarkup(body); err != nil {
			return nil, resp.Unreadable(err)
		}
	}
	parsed, err := gofeed.NewParser().Parse(bytes.NewReader(body))
	if err != nil {
		return nil, resp.Unreadable(notAFeed(body, resp.URL, err))
	}
	if parsed.FeedType == "json" && !strings.Contains(parsed.FeedVersion, "jsonfeed") { // any object is taken for one
		return nil, resp.Unreadable(notAFeed(body, resp.URL, gofeed.ErrFeedTypeNotDetected))
	}
	now := f.deps.Now()
	links := map[string]int{}
	for _, it := range parsed.Items {
		links[it.Link]++
	}
	posts := make([]mention.Post, 0, len(parsed.Items))
	for i, it := range slices.Backward(parsed.Items) { // feeds are newest first
		p := f.post(parsed, it, resp.URL, links[it.Link] == 1)
		if p.Title == "" && p.Text == "" {
			f.deps.skip("feed", cmp.Or(it.GUID, it.Link, fmt.Sprintf("number %d", i+1)), errors.New("neither title nor text"))
			continue
		}
		if p.SeenAt = now; p.PublishedAt.IsZero() {
			p.PublishedAt = now
		}
		posts = append(posts, p)
	}
	return posts, nil
}

func (f *feed) post(parsed *gofeed.Feed, it *gofeed.Item, from *url.URL, ownLink bool) mention.Post {
	title, _ := htmlText(it.Title)
	p := mention.Post{
		Platform: "web", Kind: mention.Kind(f.cfg.Kind), Intake: mention.Live,
		URL: resolve(from, it.Link), Title: line(title), Lang: line(parsed.Language),
	}
	p.Text, p.Media = htmlText(it.Content)
	if text, media := htmlText(it.Description); len(text) > len(p.Text) {
		p.Text, p.Media = text, media
	}
	for _, e := range it.Enclosures {
		if u := webURL(e.URL); u != "" && len(p.Media) < maxMedia {
			p.Media = append(p.Media, mention.Media{Type: mediaType(e.Type), URL: u})
		}
	}
	if len(it.Authors) > 0 && it.Authors[0] != nil {
		p.Author.Name = line(it.Authors[0].Name)
	}
	p.Metrics.Replies = feedReplies(it)
	if dc := it.DublinCoreExt; dc != nil {
		if len(dc.Language) > 0 {
			p.Lang = line(dc.Language[0])
		}
		if p.Author.Name == "" && len(dc.Creator) > 0 {
			p.Author.Name = line(dc.Creator[0])
		}
	}
	if f.cfg.Search != "" {
		// A news search gives "Headline - Publisher" and repeats it as a link.
		if i := strings.LastIndex(p.Title, " - "); i > 0 {
			p.Title, p.Author.Name = p.Title[:i], p.Title[i+3:]
		}
		p.Text, p.Media = "", nil
	}
	if p.Author.Name != "" {
		p.Author.ID = from.Hostname() + "/" + p.Author.Name
	} else {
		p.Author.Name = line(parsed.Title)
		p.Author.ID = from.Hostname()
	}
	if t := it.PublishedParsed; t != nil {
		p.PublishedAt = t.UTC()
	}
	if t := it.UpdatedParsed; t != nil {
		if p.PublishedAt.IsZero() {
			p.PublishedAt = t.UTC()
		} else if t.After(p.PublishedAt) {
			p.EditedAt = t.UTC()
		}
	}
	p.NativeID = feedID(it, p, from, ownLink)
	return p
}

// feedID is the item's identity: its GUID, with the host where that is not
// unique in the world; else its link, unless items share it; else a hash of
// what it says. Long ones are hashed.
func feedID(it *gofeed.Item, p mention.Post, from *url.URL, ownLink bool) string {
	id := strings.TrimSpace(it.GUID)
	switch {
	case strings.Contains(id, "://") || strings.HasPrefix(id, "tag:") || strings.HasPrefix(id, "urn:"):
	case id != "":
		id = from.Hostname() + "/" + id
	case p.URL != "" && ownLink:
		id = p.URL
	default:
		id = from.Hostname() + "/#" + hash(p.Title, p.Text, it.Published)
	}
	if len(id) > 300 || clean(id) != id {
		return "#" + hash(id)
	}
	return id
}

func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

func resolve(base *url.URL, link string) string {
	u, err := base.Parse(strings.TrimSpace(link))
	if err != nil || link == "" {
		return ""
	}
	return webURL(u.String())
}

// feedReplies is how many comments the feed counts below an item, by RSS's slash
// module or Atom's threading extension; nil where it doesn't.
func feedReplies(it *gofeed.Item) *int64 {
	for _, at := range [][2]string{{"slash", "comments"}, {"thr", "total"}} {
		for _, e := range it.Extensions[at[0]][at[1]] {
			if n, err := strconv.ParseInt(strings.TrimSpace(e.Value), 10, 64); err == nil && n >= 0 {
				return &n
			}
		}
	}
	return nil
}

func mediaType(mimeType string) mention.MediaType {
	switch major, _, _ := strings.Cut(mimeType, "/"); major {
	case "image":
		return mention.Image
	case "video":
		return mention.Video
	case "audio":
		return mention.Audio
	}
	return mention.Other
}

var inUTF8 = regexp.MustCompile(`(?i)encoding=["']utf-?8["']`)

// feedBytes returns the body in a form the parser reads: an XML prolog decides
// about the encoding, then the Content-Type. Entity declarations are refused;
// feeds have no use for them but to grow.
func feedBytes(resp *outbound.Response) ([]byte, error) {
	body := resp.Body
	head := body[:min(len(body), 4096)]
	if bytes.Contains(bytes.ToUpper(head), []byte("<!ENTITY")) {
		return nil, errors.New("the feed declares XML entities, which is refused")
	}
	if utf8.Valid(body) {
		return body, nil
	}
	said, utf := bytes.Contains(head, []byte("encoding=")), inUTF8.Match(head)
	_, params, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	enc, _ := charset.Lookup(params["charset"])
	switch {
	case utf || !said && (enc == nil || enc == encoding.Nop): // some bytes are wrong, and the parser refuses all for them
		return bytes.ToValidUTF8(body, []byte("\ufffd")), nil
	case said:
		return body, nil
	}
	decoded, err := enc.NewDecoder().Bytes(body)
	if err != nil {
		return nil, fmt.Errorf("not readable as %s: %w", clip(params["charset"], 40), err)
	}
	return decoded, nil
}

// notAFeed says what body is instead of a feed, and where the feed may be.
func notAFeed(body []byte, from *url.URL, err error) error {
	if !errors.Is(err, gofeed.ErrFeedTypeNotDetected) {
		return fmt.Errorf("broken feed: %s", clip(line(err.Error()), 200))
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return errors.New("the answer is empty, not a feed")
	}
	if !strings.HasPrefix(http.DetectContentType(body), "text/html") {
		return errors.New("not an RSS, Atom or JSON feed")
	}
	z := html.NewTokenizer(bytes.NewReader(body[:min(len(body), 256<<10)]))
	for z.Next() != html.ErrorToken {
		t := z.Token()
		if kind := attr(t, "type"); t.DataAtom == atom.Link && (strings.HasSuffix(kind, "rss+xml") || strings.HasSuffix(kind, "atom+xml") || strings.HasSuffix(kind, "feed+json")) {
			if u := resolve(from, attr(t, "href")); u != "" {
				return fmt.Errorf("a web page, not a feed; its feed is %s", u)
			}
		}
	}
	return errors.New("a web page, not a feed")
}

// newsSearches returns the addresses of news searches for words. One query
// takes only so many words.
func newsSearches(server string, words, locales []string) []string {
	var out []string
	for group := range slices.Chunk(words, 10) {
		quoted := make([]string, len(group))
		for i, w := range group {
			quoted[i] = `"` + strings.ReplaceAll(w, `"`, "") + `"`
		}
		for _, l := range locales {
			lang, country, _ := strings.Cut(l, "-")
			hl := lang
			if lang == "en" {
				hl = l
			}
			q := url.Values{"q": {strings.Join(quoted, " OR ")}, "hl": {hl}, "gl": {country}, "ceid": {country + ":" + lang}}
			out = append(out, strings.TrimSuffix(server, "/")+"/rss/search?"+q.Encode())
		}
	}
	return out
}

// Search looks for terms in the news, whatever the feed itself is.
func (f *feed) Search(ctx context.Context, terms []string, limit int) ([]mention.Post, error) {
	if f.cfg.Search == "" {
		return nil, nil
	}
	var out []mention.Post
	for _, address := range newsSearches(f.cfg.Server, terms, f.cfg.Locales) {
		resp, err := f.deps.HTTP.Get(ctx, address, feedHeader("", ""))
		if err != nil {
			return nil, fmt.Errorf("feed: %w", err)
		}
		posts, err := f.parse(resp)
		if err != nil {
			return nil, fmt.Errorf("feed: %w", err)
		}
		out = append(out, posts...)
	}
	return newest(out, limit), nil
}

// newest returns the newest limit posts, each once, newest first.
func newest(posts []mention.Post, limit int) []mention.Post {
	slices.SortStableFunc(posts, func(a, b mention.Post) int { return byAge(b, a) })
	have := map[string]bool{}
	posts = slices.DeleteFunc(posts, func(p mention.Post) bool {
		dup := have[p.NativeID]
		have[p.NativeID] = true
		return dup
	})
	return posts[:min(len(posts), limit)]
}
