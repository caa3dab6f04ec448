package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/mattn/go-mastodon"
)

type mastodonConfig struct {
	Server     string        `yaml:"server" required:"true" doc:"Address of the server whose view of the network is read, and on which the account lives."`
	Token      config.Secret `yaml:"token" doc:"Access token of the account: read:statuses read:notifications read:accounts, and write:statuses to reply. Without one, public hashtags are read where the server allows it."`
	Hashtags   []string      `yaml:"hashtags" doc:"Hashtags to read besides those in the brands' queries."`
	Direct     bool          `yaml:"direct" doc:"Also take messages to the account that are not public."`
	Visibility string        `yaml:"visibility" enum:"public,unlisted,private" doc:"Who sees replies; never more people than see the post answered."`
	Stream     bool          `yaml:"stream" doc:"Listen to the server's stream, so that posts arrive within seconds. Needs the token; where the server has no stream, it is polled."`
	Poll       time.Duration `yaml:"poll" doc:"Pause between two fetches without the stream, and the longest with it; at least 20s. A server allows 300 requests in 5m; each hashtag needs one."`
}

func (c *mastodonConfig) Validate() error {
	var errs []error
	if u, err := url.Parse(c.Server); err != nil || webURL(c.Server) == "" || strings.Trim(u.Path, "/") != "" {
		errs = append(errs, config.Invalid("server", "must be like https://mastodon.social"))
	}
	for i, t := range c.Hashtags {
		if hashtag(t) == "" {
			errs = append(errs, config.Invalid(fmt.Sprintf("hashtags[%d]", i), "%q is not a hashtag", t))
		}
	}
	return errors.Join(append(errs, atLeast("poll", c.Poll, 20*time.Second))...)
}

func mastodonKind() Kind {
	return Kind{
		Kind: config.NewKind("mastodon", "Hashtags and mentions on Mastodon and compatible servers, with replies.",
			mastodonConfig{Server: "https://mastodon.social", Visibility: "public", Stream: true, Poll: time.Minute},
			func(c mastodonConfig, d Deps) (Source, error) {
				c.Server = strings.TrimSuffix(c.Server, "/")
				return &mastodonSource{cfg: c, deps: d}, nil
			}),
		Platform: "mastodon",
		Duties:   Duties{MayLeave: true, Deletions: "The stream tells of what is fresh; every post is asked for again once a day, twenty at a time; free.", Reread: 24 * time.Hour},
		Threads:  true,
		Limit:    Limit{Max: 500, Unit: Characters, URL: 23},
	}
}

type mastodonSource struct {
	cfg  mastodonConfig
	deps Deps

	mu       sync.Mutex
	quota    outbound.Quota
	hasQuota bool
	self     *mastodon.Account
	instance *mastodonInstance
	deaf     time.Time            // until when the server's stream is not tried
	given    map[string]givenPost // by the server's id, of what the stream may delete
}

// Poll is 0 while the source listens to the server's stream.
func (m *mastodonSource) Poll() time.Duration {
	if m.streams() {
		return 0
	}
	return m.cfg.Poll
}

func (m *mastodonSource) Quota() (outbound.Quota, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.quota, m.hasQuota
}

// mastodonCursor is the newest status read of each hashtag, and the newest
// notification. Ids are the server's own.
type mastodonCursor struct {
	Server string            `json:"server"`
	Tags   map[string]string `json:"tags"`
	Notes  string            `json:"notes,omitempty"`
}

func (c mastodonCursor) String() string {
	b, _ := json.Marshal(c)
	return string(b)
}

const (
	mastodonPage  = 40 // the most a server gives at once
	mastodonPages = 10 // read of one list per fetch
)

func (m *mastodonSource) Fetch(ctx context.Context, cursor string) iter.Seq2[Item, error] {
	var cur mastodonCursor
	if cursor != "" {
		if err := json.Unmarshal([]byte(cursor), &cur); err != nil {
			return failed(fmt.Errorf("mastodon: cursor: %w", err))
		}
	}
	if cur.Server != m.cfg.Server || cur.Tags == nil {
		cur = mastodonCursor{Server: m.cfg.Server, Tags: map[string]string{}}
	}
	return func(yield func(Item, error) bool) {
		if m.streams() {
			m.follow(ctx, cur, yield)
		} else {
			m.catchUp(ctx, cur, yield)
		}
	}
}

// catchUp yields what the lists have beyond cur, and moves it. It returns false
// when it has yielded an error or the reader has stopped.
func (m *mastodonSource) catchUp(ctx context.Context, cur mastodonCursor, yield func(Item, error) bool) (mastodonCursor, bool) {
	before := cur.String()
	tags := m.tags()
	maps.DeleteFunc(cur.Tags, func(t string, _ string) bool { return !slices.Contains(tags, t) })
	found, err := m.tagged(ctx, tags, cur.Tags)
	done := map[string]bool{}
	for _, f := range found {
		for _, t := range f.tags {
			cur.Tags[t] = f.status.ID
		}
		done[f.status.URI] = true
		if !m.give(f.status, cur, yield) {
			return cur, false
		}
	}
	if err == nil && !m.cfg.Token.IsZero() {
		var notes []mastodonNote
		notes, err = m.notes(ctx, cur.Notes)
		for _, n := range notes {
			cur.Notes = n.id
			if !done[n.status.URI] && !m.give(n.status, cur, yield) {
				return cur, false
			}
			done[n.status.URI] = true
		}
	}
	if err != nil {
		yield(Item{}, fmt.Errorf("mastodon: %w", err))
		return cur, false
	}
	if next := cur.String(); next != before {
		return cur, yield(Item{Cursor: next}, nil)
	}
	return cur, true
}

// give yields a status, or says why not.
func (m *mastodonSource) give(s mastodonStatus, cur mastodonCursor, yield func(Item, error) bool) bool {
	p, err := m.post(s)
	if err != nil {
		m.deps.skip("mastodon", cmp.Or(s.URI, s.ID), err)
		return true
	}
	m.remember(s.ID, p)
	return yield(Item{Post: p, Cursor: cur.String()}, nil)
}

// tags returns the hashtags to read, sorted, each once.
func (m *mastodonSource) tags() []string {
	var out []string
	for _, t := range slices.Concat(m.cfg.Hashtags, m.deps.Terms().Hashtags) {
		if t = hashtag(t); t != "" {
			out = append(out, t)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// hashtag returns t as it is in addresses: without #, lower case; empty if it
// can't be one.
func hashtag(t string) string {
	t = strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(t), "#"), "＃"))
	if strings.ContainsAny(t, " \t\n#/?&.,:;!\"'") {
		return ""
	}
	return t
}

// mastodonStatus is a status with its id as the plain text we order by.
type mastodonStatus struct {
	mastodon.Status
	ID string
}

type mastodonFound struct {
	status mastodonStatus
	tags   []string // lists it was found in
}

// tagged returns the new statuses of all tags, each once, oldest first. With
// an error it returns those of the tags it could read.
func (m *mastodonSource) tagged(ctx context.Context, tags []string, since map[string]string) ([]mastodonFound, error) {
	byID := map[string]*mastodonFound{}
	var failure error
	for _, t := range tags {
		list, err := pages(ctx, m, "/api/v1/timelines/tag/"+url.PathEscape(t), nil, since[t], func(s mastodon.Status) string { return string(s.ID) })
		if err != nil {
			failure = err
			break
		}
		for _, s := range list {
			id := string(s.ID)
			if byID[id] == nil {
				byID[id] = &mastodonFound{status: mastodonStatus{s, id}}
			}
			byID[id].tags = append(byID[id].tags, t)
		}
	}
	out := make([]mastodonFound, 0, len(byID))
	for _, f := range byID {
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b mastodonFound) int { return compareIDs(a.status.ID, b.status.ID) })
	return out, failure
}

type mastodonNote struct {
	id     string
	status mastodonStatus
}

// notes returns the posts that mention the account, oldest first.
func (m *mastodonSource) notes(ctx context.Context, since string) ([]mastodonNote, error) {
	list, err := pages(ctx, m, "/api/v1/notifications", url.Values{"types[]": {"mention"}}, since, func(n mastodon.Notification) string { return string(n.ID) })
	out := make([]mastodonNote, 0, len(list))
	for _, n := range list {
		if n.Type != "mention" || n.Status == nil {
			continue
		}
		if m.hidden(n.Status.Visibility) {
			continue
		}
		out = append(out, mastodonNote{string(n.ID), mastodonStatus{*n.Status, string(n.Status.ID)}})
	}
	return out, err
}

// hidden tells of what is not for everybody, and not taken by the settings: the
// account sees it, and staff are more people than it was written to.
func (m *mastodonSource) hidden(visibility string) bool {
	return visibility != "public" && visibility != "unlisted" && !m.cfg.Direct
}

// pages reads a list from since on, oldest first; without since only its
// newest page. Entries that can't be read are skipped.
func pages[T any](ctx context.Context, m *mastodonSource, path string, q url.Values, since string, id func(T) string) ([]T, error) {
	q = maps.Clone(q)
	if q == nil {
		q = url.Values{}
	}
	q.Set("limit", fmt.Sprint(mastodonPage))
	var out []T
	for range mastodonPages {
		if since != "" {
			q.Set("min_id", since)
		}
		var raws []json.RawMessage
		if err := m.get(ctx, path+"?"+q.Encode(), &raws); err != nil {
			return nil, err
		}
		var page []T
		for _, raw := range raws {
			var one T
			if err := json.Unmarshal(raw, &one); err != nil || id(one) == "" {
				m.deps.skip("mastodon", id(one), cmp.Or(err, errors.New("no id")))
			} else if since == "" || compareIDs(id(one), since) > 0 {
				page = append(page, one)
			}
		}
		slices.SortFunc(page, func(a, b T) int { return compareIDs(id(a), id(b)) })
		out = append(out, page...)
		if since == "" || len(page) == 0 || len(raws) < mastodonPage {
			break
		}
		since = id(page[len(page)-1])
	}
	return out, nil
}

// get asks the server and notes its quota.
func (m *mastodonSource) get(ctx context.Context, path string, out any) error {
	req, err := m.request(http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	return m.do(ctx, req, out)
}

func (m *mastodonSource) request(method, path string, form url.Values) (*http.Request, error) {
	req, err := http.NewRequest(method, m.cfg.Server+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		req.Body, req.GetBody, req.ContentLength = nil, nil, 0
	}
	token, err := m.cfg.Token.Reveal()
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

func (m *mastodonSource) do(ctx context.Context, req *http.Request, out any) error {
	resp, err := m.deps.HTTP.Do(ctx, req)
	header := http.Header{}
	if e, ok := errors.AsType[*outbound.Error](err); ok {
		header = e.Header
	} else if resp != nil {
		header = resp.Header
	}
	if q, ok := outbound.QuotaOf(header, m.deps.Now()); ok {
		m.mu.Lock()
		m.quota, m.hasQuota = q, true
		m.mu.Unlock()
	}
	if err != nil {
		return withReason(err, strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "))
	}
	return readJSON(resp, out)
}

// withReason adds the reason the server gives for a refusal, without the token
// should it be quoted there.
func withReason(err error, token string) error {
	e, ok := errors.AsType[*outbound.Error](err)
	if !ok {
		return err
	}
	var body struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(e.Body, &body) != nil || body.Error == "" {
		return err
	}
	reason := line(body.Error)
	if token != "" {
		reason = strings.ReplaceAll(reason, token, "…")
	}
	return fmt.Errorf("%w: %q", err, clip(reason, 200))
}

// mastodonRef is what a reply needs to know of a post.
type mastodonRef struct {
	Server     string `json:"server"`
	ID         string `json:"id"`
	Acct       string `json:"acct"`
	Visibility string `json:"visibility"`
}

func (m *mastodonSource) post(s mastodonStatus) (mention.Post, error) {
	if s.Reblog != nil {
		s = mastodonStatus{*s.Reblog, string(s.Reblog.ID)}
	}
	if s.URI == "" || s.CreatedAt.IsZero() || s.Account.Acct == "" {
		return mention.Post{}, errors.New("no uri, time or author")
	}
	handle := s.Account.Acct
	if !strings.Contains(handle, "@") {
		handle += "@" + host(cmp.Or(s.Account.URL, m.cfg.Server))
	}
	ref, _ := json.Marshal(mastodonRef{m.cfg.Server, s.ID, s.Account.Acct, s.Visibility})
	var followers *int64
	if n := s.Account.FollowersCount; n >= 0 { // some servers say -1 of accounts that hide it
		followers = &n
	}
	p := mention.Post{
		Platform: "mastodon", NativeID: s.URI, Kind: mention.KindPost, Intake: mention.Live, URL: webURL(cmp.Or(s.URL, s.URI)),
		Author: mention.Author{
			ID: cmp.Or(s.Account.URI, s.Account.URL, handle), Handle: line(handle), Name: line(s.Account.DisplayName),
			URL: webURL(s.Account.URL), Avatar: webURL(s.Account.AvatarStatic), Followers: followers,
		},
		Title: line(s.SpoilerText), Lang: line(s.Language),
		Metrics:     mention.Metrics{Likes: mention.Count(s.FavouritesCount), Reposts: mention.Count(s.ReblogsCount), Replies: mention.Count(s.RepliesCount)},
		ReplyRef:    string(ref),
		PublishedAt: s.CreatedAt.UTC(), SeenAt: m.deps.Now(),
	}
	if !s.EditedAt.IsZero() {
		p.EditedAt = s.EditedAt.UTC()
	}
	p.Text, _ = htmlText(s.Content)
	for _, a := range s.MediaAttachments[:min(len(s.MediaAttachments), maxMedia)] {
		if u := webURL(cmp.Or(a.URL, a.RemoteURL)); u != "" {
			p.Media = append(p.Media, mention.Media{Type: mediaType(strings.Replace(a.Type, "gifv", "video", 1)), URL: u, Alt: clip(line(a.Description), 2000)})
		}
	}
	if id, ok := s.InReplyToID.(string); ok {
		p.Thread.Parent = id
	}
	if p.Content() == "" && len(p.Media) == 0 {
		return p, errors.New("empty")
	}
	return p, nil
}

func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// Below asks for the answers that the server knows of.
func (m *mastodonSource) Below(ctx context.Context, p mention.Post) ([]mention.Comment, error) {
	id := m.localID(p)
	if id == "" {
		return nil, outbound.Absent.Of(errors.New("mastodon: answers: the post was read through another server"))
	}
	var around struct {
		Descendants []mastodon.Status `json:"descendants"`
	}
	if err := m.get(ctx, "/api/v1/statuses/"+url.PathEscape(id)+"/context", &around); err != nil {
		return nil, fmt.Errorf("mastodon: answers: %w", err)
	}
	self := &mastodon.Account{}
	if !m.cfg.Token.IsZero() {
		var err error
		if self, err = m.signedIn(ctx, ""); err != nil {
			return nil, err
		}
	}
	var below []mention.Post
	ours := map[string]bool{}
	for _, s := range around.Descendants {
		if to, _ := s.InReplyToID.(string); to != id || m.hidden(s.Visibility) {
			continue
		}
		if a, err := m.post(mastodonStatus{s, string(s.ID)}); err == nil {
			below = append(below, a)
			ours[a.NativeID] = self.ID != "" && s.Account.ID == self.ID
		}
	}
	return commentsOf(below, func(a *mention.Post) bool { return ours[a.NativeID] }), nil
}

// Complete fetches the post answered to.
func (m *mastodonSource) Complete(ctx context.Context, p *mention.Post) error {
	id := p.Thread.Parent
	if id == "" || strings.Contains(id, "/") || p.Thread.ParentText != "" {
		return nil
	}
	var s mastodon.Status
	if err := m.get(ctx, "/api/v1/statuses/"+url.PathEscape(id), &s); err != nil {
		return fmt.Errorf("mastodon: post answered to: %w", err)
	}
	p.Thread.Parent = cmp.Or(s.URI, id)
	p.Thread.ParentAuthor = line(s.Account.Acct)
	p.Thread.ParentText, _ = htmlText(s.Content)
	return nil
}

// Search reads the newest posts under each term as a hashtag: few servers
// search texts.
func (m *mastodonSource) Search(ctx context.Context, terms []string, limit int) ([]mention.Post, error) {
	var out []mention.Post
	for _, t := range terms {
		if t = hashtag(t); t == "" {
			continue
		}
		found, err := m.tagged(ctx, []string{t}, nil)
		if err != nil {
			return nil, fmt.Errorf("mastodon: %w", err)
		}
		for _, f := range found {
			if p, err := m.post(f.status); err == nil {
				out = append(out, p)
			}
		}
	}
	return newest(out, limit), nil
}
