package source

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

type blueskyAccountConfig struct {
	Server   string        `yaml:"server" doc:"The account's own server (PDS); https://bsky.social finds it for accounts that live there."`
	Handle   string        `yaml:"handle" required:"true" doc:"Handle of the account, as acme.bsky.social."`
	Password config.Secret `yaml:"password" required:"true" doc:"An app password, made under Settings, Privacy and security, App passwords. Not the account's own."`
	Search   time.Duration `yaml:"search" doc:"Pause between two searches for the brands' words, which find what the public stream has missed; at least 5m. 0: no search."`
	Poll     time.Duration `yaml:"poll" doc:"Pause between two looks at the notifications, at least 20s. A server allows 3000 requests in 5m."`
}

func (c *blueskyAccountConfig) Validate() error {
	var errs []error
	if u, err := url.Parse(c.Server); err != nil || webURL(c.Server) == "" || strings.Trim(u.Path, "/") != "" {
		errs = append(errs, config.Invalid("server", "must be like https://bsky.social"))
	}
	if name := strings.TrimPrefix(c.Handle, "@"); !strings.Contains(name, ".") || strings.ContainsAny(name, "/: \t") {
		errs = append(errs, config.Invalid("handle", "%q is not like acme.bsky.social", c.Handle))
	}
	if c.Search != 0 {
		errs = append(errs, atLeast("search", c.Search, 5*time.Minute))
	}
	return errors.Join(append(errs, atLeast("poll", c.Poll, 20*time.Second))...)
}

// blueskyLimit is app.bsky.feed.post's: maxGraphemes and maxLength.
var blueskyLimit = Limit{Max: 300, Unit: Graphemes, Bytes: 3000}

func blueskyAccountKind() Kind {
	return Kind{
		Kind: config.NewKind("blueskyaccount", "Mentions, replies and quotes of a Bluesky account, a search, and replies.",
			blueskyAccountConfig{Server: "https://bsky.social", Search: 15 * time.Minute, Poll: time.Minute},
			func(c blueskyAccountConfig, d Deps) (Source, error) {
				c.Server, c.Handle = strings.TrimSuffix(c.Server, "/"), strings.TrimPrefix(c.Handle, "@")
				b := &blueskyAccount{cfg: c, deps: d}
				b.view = &blueskyAppView{get: b.get, now: d.Now, ours: b.did}
				return b, nil
			}),
		Platform: "bluesky",
		Duties:   blueskyDuties,
		Threads:  true,
		Limit:    blueskyLimit,
	}
}

// blueskyAccount reads what concerns an account and answers as it.
type blueskyAccount struct {
	cfg  blueskyAccountConfig
	deps Deps
	view *blueskyAppView

	mu       sync.Mutex
	session  blueskySession
	quota    outbound.Quota
	hasQuota bool
}

func (b *blueskyAccount) Poll() time.Duration { return b.cfg.Poll }

func (b *blueskyAccount) Quota() (outbound.Quota, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.quota, b.hasQuota
}

// blueskySession is kept between runs: a server lets an account sign in 300
// times a day, and renew a session as often as it likes.
type blueskySession struct {
	Access  string `json:"accessJwt"`
	Refresh string `json:"refreshJwt"`
	DID     string `json:"did"`
	Handle  string `json:"handle"`
	// For names whom the session was opened for: other settings want another.
	For string `json:"for"`
}

// signedIn returns the session; of a stale one whose access token was used, it
// returns the next.
func (b *blueskyAccount) signedIn(ctx context.Context, stale string) (blueskySession, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fresh := func(s blueskySession) bool { return s.Access != "" && s.Access != stale && s.For == b.whom() }
	if fresh(b.session) {
		return b.session, nil
	}
	kept := b.session
	err := b.keep(ctx, &kept, func() (bool, error) {
		if fresh(kept) { // another process was faster
			return false, nil
		}
		next, err := b.open(ctx, kept)
		kept = next
		return err == nil, err
	})
	if err == nil {
		b.session = kept
	}
	return kept, err
}

// did is the account's id, once it has signed in.
func (b *blueskyAccount) did() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.session.DID
}

func (b *blueskyAccount) whom() string { return b.cfg.Handle + " " + b.cfg.Server }

func (b *blueskyAccount) keep(ctx context.Context, v *blueskySession, change func() (bool, error)) error {
	if b.deps.Keep == nil {
		_, err := change()
		return err
	}
	return b.deps.Keep.Update(ctx, "session", v, change)
}

// open renews old, or signs in anew.
func (b *blueskyAccount) open(ctx context.Context, old blueskySession) (s blueskySession, err error) {
	if old.Refresh != "" && old.For == b.whom() {
		if err = b.post(ctx, "com.atproto.server.refreshSession", old.Refresh, nil, &s); err == nil && s.Access != "" {
			s.For = b.whom()
			return s, nil
		}
		if e, ok := errors.AsType[*outbound.Error](err); ok && !e.Permanent() {
			return s, err
		}
	}
	password, err := b.cfg.Password.Reveal()
	if err != nil {
		return s, err
	}
	err = b.post(ctx, "com.atproto.server.createSession", "", map[string]string{"identifier": b.cfg.Handle, "password": password}, &s)
	if err == nil && (s.Access == "" || !strings.HasPrefix(s.DID, "did:")) {
		err = outbound.Unreadable.At(host(b.cfg.Server), errors.New("the server opened a session without tokens or account"))
	}
	switch name := xrpcError(err); name {
	case "":
	case "AccountTakedown":
		return s, Locked.refuse("bluesky: the account %s is suspended", b.cfg.Handle)
	case "AuthenticationRequired":
		return s, Revoked.refuse("bluesky: the server refuses the app password of %s; make a new one", b.cfg.Handle)
	case "AuthFactorTokenRequired":
		return s, Revoked.refuse("bluesky: this is the account's own password, which asks for a code; make an app password")
	}
	s.For = b.whom()
	return s, err
}

// get asks the account's server, as the account.
func (b *blueskyAccount) get(ctx context.Context, nsid string, q url.Values, out any) error {
	return b.authed(ctx, func(token string) error {
		req, err := http.NewRequest(http.MethodGet, b.cfg.Server+"/xrpc/"+nsid+"?"+q.Encode(), nil)
		if err != nil {
			return err
		}
		return b.do(ctx, req, token, out)
	})
}

// authed calls with an access token, and once more with a new one if that has
// run out.
func (b *blueskyAccount) authed(ctx context.Context, call func(token string) error) error {
	s, err := b.signedIn(ctx, "")
	if err != nil {
		return err
	}
	if err = call(s.Access); xrpcError(err) != "ExpiredToken" && xrpcError(err) != "InvalidToken" {
		return err
	}
	if s, err = b.signedIn(ctx, s.Access); err != nil {
		return err
	}
	return call(s.Access)
}

func (b *blueskyAccount) post(ctx context.Context, nsid, token string, body, out any) error {
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(raw)
	}
	req, err := http.NewRequest(http.MethodPost, b.cfg.Server+"/xrpc/"+nsid, content)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return b.do(ctx, req, token, out)
}

func (b *blueskyAccount) do(ctx context.Context, req *http.Request, token string, out any) error {
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := b.deps.HTTP.Do(ctx, req)
	header := http.Header{}
	if e, ok := errors.AsType[*outbound.Error](err); ok {
		header = e.Header
	} else if resp != nil {
		header = resp.Header
	}
	if q, ok := outbound.QuotaOf(header, b.deps.Now()); ok && token != "" {
		b.mu.Lock()
		b.quota, b.hasQuota = q, true
		b.mu.Unlock()
	}
	if err != nil {
		return err
	}
	return readJSON(resp, out)
}

// xrpcError is the name of the error that an XRPC server gave, or empty.
func xrpcError(err error) string {
	e, ok := errors.AsType[*outbound.Error](err)
	if !ok {
		return ""
	}
	var body struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(e.Body, &body)
	return body.Error
}

// blueskyPlace is how far notifications and searches were read: the newest
// time, and what was read within the window before it.
type blueskyPlace struct {
	At     time.Time `json:"at,omitzero"`
	Recent []string  `json:"recent,omitempty"`
}

// blueskyAccountCursor is the cursor of an account.
type blueskyAccountCursor struct {
	Notes    blueskyPlace `json:"notes"`
	Search   blueskyPlace `json:"search"`
	Searched time.Time    `json:"searched,omitzero"` // when last searched
}

func (c blueskyAccountCursor) String() string {
	raw, _ := json.Marshal(c)
	return string(raw)
}

const (
	blueskyPage  = 100
	blueskyPages = 10
	// blueskyLate is how much later than its time a post may be found.
	blueskyLate = 2 * time.Minute
)

// unread returns the views that place has not seen, oldest first, and moves it
// past them.
func (b *blueskyAccount) unread(views []blueskyView, place *blueskyPlace) []blueskyView {
	slices.SortStableFunc(views, func(x, y blueskyView) int {
		return cmp.Or(x.IndexedAt.Compare(y.IndexedAt.Time), cmp.Compare(x.URI, y.URI))
	})
	seen := map[string]bool{}
	for _, h := range place.Recent {
		seen[h] = true
	}
	edge := place.At.Add(-blueskyLate)
	fresh := views[:0]
	for _, v := range views {
		if h := v.short(); !seen[h] && !v.IndexedAt.Before(edge) {
			seen[h] = true
			fresh = append(fresh, v)
		}
	}
	return fresh
}

// pass notes that v was read at now. A time to come moves nothing: all that is
// older than it would be missed.
func (p *blueskyPlace) pass(v blueskyView, recent map[string]time.Time, now time.Time) {
	if v.IndexedAt.After(p.At) && !v.IndexedAt.After(now.Add(blueskyLate)) {
		p.At = v.IndexedAt.Time
	}
	recent[v.short()] = v.IndexedAt.Time
	p.Recent = p.Recent[:0:0]
	for h, at := range recent {
		if at.Before(p.At.Add(-blueskyLate)) {
			delete(recent, h)
			continue
		}
		p.Recent = append(p.Recent, h)
	}
	slices.Sort(p.Recent)
}

// recent is what p remembers, with the latest time it can be of.
func (p *blueskyPlace) recent() map[string]time.Time {
	m := make(map[string]time.Time, len(p.Recent))
	for _, h := range p.Recent {
		m[h] = p.At
	}
	return m
}

func (b *blueskyAccount) Fetch(ctx context.Context, cursor string) iter.Seq2[Item, error] {
	var cur blueskyAccountCursor
	if cursor != "" {
		if err := json.Unmarshal([]byte(cursor), &cur); err != nil {
			return failed(fmt.Errorf("blueskyaccount: cursor: %w", err))
		}
	}
	return func(yield func(Item, error) bool) {
		gap, views, err := b.notifications(ctx, cur.Notes)
		if err != nil {
			yield(Item{}, fmt.Errorf("blueskyaccount: notifications: %w", err))
			return
		}
		if !b.hand(views, &cur, &cur.Notes, gap, yield) {
			return
		}
		now := b.deps.Now()
		if b.cfg.Search == 0 || now.Sub(cur.Searched) < b.cfg.Search {
			return
		}
		if views, err = b.search(ctx, cur.Search); err != nil {
			yield(Item{}, fmt.Errorf("blueskyaccount: search: %w", err))
			return
		}
		if !b.hand(views, &cur, &cur.Search, nil, yield) {
			return
		}
		cur.Searched = now
		yield(Item{Cursor: cur.String()}, nil)
	}
}

// hand yields what place, a part of cur, has not seen of views.
func (b *blueskyAccount) hand(views []blueskyView, cur *blueskyAccountCursor, place *blueskyPlace, gap *Gap, yield func(Item, error) bool) bool {
	recent := place.recent()
	for _, v := range b.unread(views, place) {
		p, err := v.post()
		if err != nil {
			b.deps.skip("blueskyaccount", v.URI, err)
			continue
		}
		place.pass(v, recent, b.deps.Now())
		if p.NativeID == "" || p.Author.ID == b.did() {
			continue
		}
		p.SeenAt = b.deps.Now()
		if !yield(Item{Post: p, Cursor: cur.String(), Gap: gap}, nil) {
			return false
		}
		gap = nil
	}
	return true
}

// notifications are those since place; of the first fetch, one page. A gap
// tells that there were more than are read at once.
func (b *blueskyAccount) notifications(ctx context.Context, place blueskyPlace) (*Gap, []blueskyView, error) {
	var all []blueskyView
	q := url.Values{"limit": {strconv.Itoa(blueskyPage)}, "reasons": {"mention", "reply", "quote"}}
	for range blueskyPages {
		var page struct {
			Cursor        string
			Notifications readable[blueskyView]
		}
		if err := b.get(ctx, "app.bsky.notification.listNotifications", q, &page); err != nil {
			return nil, nil, err
		}
		if page.Notifications == nil {
			return nil, nil, without("notifications")
		}
		views := b.readable(page.Notifications)
		for _, v := range views {
			if slices.Contains([]string{"mention", "reply", "quote"}, v.Reason) {
				all = append(all, v)
			}
		}
		if page.Cursor == "" || len(page.Notifications) == 0 || place.At.IsZero() ||
			len(views) > 0 && views[len(views)-1].IndexedAt.Before(place.At.Add(-blueskyLate)) {
			return nil, all, nil
		}
		q.Set("cursor", page.Cursor)
	}
	gap := &Gap{From: place.At, Why: outbound.Overflow.Of(errors.New("more notifications than are read at once"))}
	if len(all) > 0 {
		gap.To = all[len(all)-1].IndexedAt.Time
	}
	return gap, all, nil
}

// readable are the views that could be read.
func (b *blueskyAccount) readable(views readable[blueskyView]) []blueskyView {
	return slices.DeleteFunc(views, func(v blueskyView) bool {
		if v.URI != "" && !v.IndexedAt.IsZero() {
			return false
		}
		b.deps.skip("blueskyaccount", v.URI, errors.New("no address or time"))
		return true
	})
}

// search looks for the brands' words since place.
func (b *blueskyAccount) search(ctx context.Context, place blueskyPlace) ([]blueskyView, error) {
	since := place.At.Add(-blueskyLate)
	if place.At.IsZero() {
		since = b.deps.Now().Add(-24 * time.Hour)
	}
	terms := b.deps.Terms()
	words := slices.Clone(terms.Words)
	for _, t := range terms.Hashtags {
		words = append(words, "#"+t)
	}
	var all []blueskyView
	for _, w := range words {
		found, err := b.find(ctx, w, url.Values{"since": {since.UTC().Format(time.RFC3339)}}, blueskyPages)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// find looks for a phrase, or for a hashtag with its #.
func (b *blueskyAccount) find(ctx context.Context, term string, q url.Values, pages int) ([]blueskyView, error) {
	var all []blueskyView
	if !strings.HasPrefix(term, "#") {
		term = strconv.Quote(term)
	}
	q.Set("q", term)
	q.Set("sort", "latest")
	q.Set("limit", strconv.Itoa(blueskyPage))
	for range pages {
		var page struct {
			Cursor string
			Posts  readable[blueskyView]
		}
		if err := b.get(ctx, "app.bsky.feed.searchPosts", q, &page); err != nil {
			return nil, err
		}
		if page.Posts == nil {
			return nil, without("posts")
		}
		all = append(all, b.readable(page.Posts)...)
		if page.Cursor == "" || len(page.Posts) == 0 {
			break
		}
		q.Set("cursor", page.Cursor)
	}
	return all, nil
}

// Search looks for terms now, for the preview of a query.
func (b *blueskyAccount) Search(ctx context.Context, terms []string, limit int) ([]mention.Post, error) {
	var out []mention.Post
	seen := map[string]bool{}
	for _, t := range terms {
		views, err := b.find(ctx, t, url.Values{}, 1)
		if err != nil {
			return nil, fmt.Errorf("blueskyaccount: search: %w", err)
		}
		for _, v := range views {
			if p, err := v.post(); err == nil && p.NativeID != "" && !seen[p.NativeID] {
				seen[p.NativeID] = true
				out = append(out, p)
			}
		}
	}
	slices.SortFunc(out, func(x, y mention.Post) int { return byAge(y, x) })
	return out[:min(len(out), limit)], nil
}

// Complete adds the author's reach, counts, the post answered to, and whether we
// may answer.
func (b *blueskyAccount) Complete(ctx context.Context, p *mention.Post) error {
	if err := b.view.complete(ctx, p); err != nil {
		return fmt.Errorf("blueskyaccount: %w", err)
	}
	return nil
}

// Below asks through the account's server.
func (b *blueskyAccount) Below(ctx context.Context, p mention.Post) ([]mention.Comment, error) {
	return b.view.below(ctx, p)
}
