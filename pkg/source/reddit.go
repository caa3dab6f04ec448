package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"golang.org/x/oauth2"
)

type redditConfig struct {
	ClientID     string        `yaml:"client_id" required:"true" doc:"ID of a Reddit app of the type web app."`
	ClientSecret config.Secret `yaml:"client_secret" required:"true" doc:"Secret of that app."`
	Account      string        `yaml:"account" required:"true" doc:"Name of the account that lets Earshot in and answers, without u/."`
	Subreddits   []string      `yaml:"subreddits" doc:"Subreddits of which every post and comment is read, without r/. Elsewhere posts are searched for, comments can't be."`
	Backfill     time.Duration `yaml:"backfill" doc:"How old posts may be when they are first seen, at most 365d."`
	Server       string        `yaml:"server" doc:"Address of the API."`
	Login        string        `yaml:"login" doc:"Address at which the account lets Earshot in."`
	Poll         time.Duration `yaml:"poll" doc:"Pause between two fetches, at least 30s. Reddit allows 100 requests a minute; one takes a few."`
}

var (
	redditName = regexp.MustCompile(`^[A-Za-z0-9_-]{2,21}$`)
	redditID   = regexp.MustCompile(`^t[13]_[a-z0-9]{1,13}$`)
)

func (c *redditConfig) Validate() error {
	var errs []error
	if !redditName.MatchString(c.Account) {
		errs = append(errs, config.Invalid("account", "must be a name, without u/"))
	}
	for i, s := range c.Subreddits {
		if !redditName.MatchString(s) {
			errs = append(errs, config.Invalid(fmt.Sprintf("subreddits[%d]", i), "%q is not a name, without r/", s))
		}
	}
	for key, address := range map[string]string{"server": c.Server, "login": c.Login} {
		if webURL(address) == "" {
			errs = append(errs, config.Invalid(key, "must start with http:// or https://"))
		}
	}
	return errors.Join(append(errs, backfill(c.Backfill), atLeast("poll", c.Poll, 30*time.Second))...)
}

// redditLimit is not documented (reddit.com/dev/api, POST /api/comment, names
// none). It is that of a comment in Reddit's own code, as far as it was ever
// public: reddit-archive/reddit, POST_comment in r2/r2/controllers/api.py.
var redditLimit = Limit{Max: 10_000, Unit: Characters}

func redditKind() Kind {
	return Kind{
		Kind: config.NewKind("reddit", "Posts on Reddit about your brands, and all that is said in subreddits you name, with replies.",
			redditConfig{Backfill: 7 * 24 * time.Hour, Server: "https://oauth.reddit.com", Login: "https://www.reddit.com", Poll: 2 * time.Minute},
			func(c redditConfig, d Deps) (Source, error) {
				c.Server, c.Login = strings.TrimSuffix(c.Server, "/"), strings.TrimSuffix(c.Login, "/")
				s := &reddit{cfg: c, api: api{deps: d, agent: "server:earshot:v1 (by /u/" + c.Account + ")"}}
				s.token = d.token(s.Consent())
				return s, nil
			}),
		Platform: "reddit",
		// Reddit Data API terms: no training, and what was deleted there goes.
		Duties: Duties{
			Reread:    24 * time.Hour,
			Deletions: "Nothing tells: posts are asked for again once a day, 100 in one request, without cost.",
		},
		Consents: true, Threads: true, Limit: redditLimit, WriteKeys: []string{"client_secret"},
	}
}

type reddit struct {
	cfg redditConfig
	api
}

const (
	redditPage  = 100
	redditPages = 10  // Reddit's lists end near 1000
	redditQuery = 500 // characters of one search
)

func (s *reddit) Poll() time.Duration { return s.cfg.Poll }

// Consent lets us in as the account, until it takes that back.
func (s *reddit) Consent() oauth2.Config {
	secret, _ := s.cfg.ClientSecret.Reveal()
	return oauth2.Config{
		ClientID: s.cfg.ClientID, ClientSecret: secret, Scopes: []string{"identity", "read", "history", "submit"},
		Endpoint: oauth2.Endpoint{
			AuthURL: s.cfg.Login + "/api/v1/authorize?duration=permanent", TokenURL: s.cfg.Login + "/api/v1/access_token", AuthStyle: oauth2.AuthStyleInHeader,
		},
	}
}

func (s *reddit) Fetch(ctx context.Context, cursor string) iter.Seq2[Item, error] {
	r := reviewReader{kind: "reddit", of: s.cfg.Account, deps: s.deps, back: s.cfg.Backfill, lists: func(context.Context) ([]reviewList, error) {
		var out []reviewList
		list := func(name, path string, q url.Values) {
			out = append(out, reviewList{name: name, pages: redditPages, page: func(ctx context.Context, token string) ([]mention.Post, string, error) {
				return s.page(ctx, path, q, token)
			}})
		}
		for _, q := range redditQueries(s.deps.Terms().Words) {
			list("search", "/search", url.Values{"q": {q}, "sort": {"new"}, "type": {"link"}})
		}
		for _, sub := range s.cfg.Subreddits {
			list("r/"+sub, "/r/"+sub+"/new", url.Values{})
			list("comments of r/"+sub, "/r/"+sub+"/comments", url.Values{})
		}
		return out, nil
	}}
	return r.fetch(ctx, cursor)
}

// redditQueries joins words to searches that Reddit takes.
func redditQueries(words []string) []string {
	var out []string
	var q string
	words = slices.Clone(words)
	slices.Sort(words)
	for _, w := range slices.Compact(words) {
		w = strings.TrimSpace(strings.ReplaceAll(w, `"`, " "))
		if w == "" || len(w) > redditQuery-2 {
			continue
		}
		w = `"` + w + `"`
		switch {
		case q == "":
			q = w
		case len(q)+len(" OR ")+len(w) > redditQuery:
			out, q = append(out, q), w
		default:
			q += " OR " + w
		}
	}
	if q != "" {
		out = append(out, q)
	}
	return out
}

// redditThing is a post (t3) or a comment (t1).
type redditThing struct {
	Kind string `json:"kind"`
	Data struct {
		Name      string          `json:"name"` // t3_abc
		Title     string          `json:"title"`
		Self      string          `json:"selftext"`
		Body      string          `json:"body"`
		Author    string          `json:"author"`
		AuthorID  string          `json:"author_fullname"`
		Subreddit string          `json:"subreddit"`
		Link      string          `json:"permalink"`
		LinkID    string          `json:"link_id"`
		LinkTitle string          `json:"link_title"`
		ParentID  string          `json:"parent_id"`
		Created   float64         `json:"created_utc"`
		Edited    json.RawMessage `json:"edited"` // false, or when
		Score     *int64          `json:"score"`
		Comments  *int64          `json:"num_comments"`
		Crossed   *int64          `json:"num_crossposts"`
		Hidden    bool            `json:"score_hidden"` // the score is then a placeholder
		Locked    bool            `json:"locked"`
		Archived  bool            `json:"archived"`
		Replies   json.RawMessage `json:"replies"` // a listing, or ""
		redditMedia
	} `json:"data"`
}

// redditMedia is what a post shows or links to.
type redditMedia struct {
	IsSelf bool   `json:"is_self"`
	URL    string `json:"url"`
	Hint   string `json:"post_hint"`
	Video  struct {
		Reddit struct {
			URL string `json:"fallback_url"`
		} `json:"reddit_video"`
	} `json:"media"`
	Gallery struct {
		Items []struct {
			ID      string `json:"media_id"`
			Caption string `json:"caption"`
		} `json:"items"`
	} `json:"gallery_data"`
	Pictures map[string]struct {
		Full struct {
			URL string `json:"u"`
		} `json:"s"`
	} `json:"media_metadata"`
}

func (d redditMedia) list() (out []mention.Media) {
	add := func(kind mention.MediaType, address, alt string) {
		if u := webURL(address); u != "" && len(out) < maxMedia {
			out = append(out, mention.Media{Type: kind, URL: u, Alt: clip(line(alt), 2000)})
		}
	}
	for _, it := range d.Gallery.Items {
		add(mention.Image, d.Pictures[it.ID].Full.URL, it.Caption)
	}
	switch {
	case len(out) > 0 || d.IsSelf:
	case d.Video.Reddit.URL != "":
		add(mention.Video, d.Video.Reddit.URL, "")
	case d.Hint == "image":
		add(mention.Image, d.URL, "")
	default:
		add(mention.Other, d.URL, "")
	}
	return out
}

type redditListing struct {
	Data struct {
		After    string            `json:"after"`
		Children []json.RawMessage `json:"children"`
	} `json:"data"`
}

func (s *reddit) page(ctx context.Context, path string, q url.Values, token string) (posts []mention.Post, next string, err error) {
	ask := url.Values{"limit": {fmt.Sprint(redditPage)}, "raw_json": {"1"}}
	for k, v := range q {
		ask[k] = v
	}
	if token != "" {
		ask.Set("after", token)
	}
	var answer redditListing
	if err := s.get(ctx, s.cfg.Server+path+"?"+ask.Encode(), &answer); err != nil {
		return nil, "", err
	}
	if answer.Data.Children == nil {
		return nil, "", without("children")
	}
	posts = readPosts(s.deps, "reddit", answer.Data.Children, s.post, func(t redditThing) string { return t.Data.Name })
	ours := func(p mention.Post) bool { return strings.EqualFold(p.Author.Handle, s.cfg.Account) }
	return slices.DeleteFunc(posts, ours), answer.Data.After, nil
}

// gone tells that nothing is left of t but its place.
func (t redditThing) gone() bool {
	hidden := func(text string) bool { return text == "[deleted]" || text == "[removed]" }
	return hidden(t.Data.Author) || hidden(t.Data.Self) || hidden(t.Data.Body)
}

func redditTime(seconds float64) time.Time {
	if seconds <= 0 || seconds > math.MaxUint32 || math.IsNaN(seconds) {
		return time.Time{}
	}
	return time.UnixMilli(int64(seconds * 1000)).UTC()
}

func (s *reddit) post(t redditThing) (mention.Post, error) {
	d := t.Data
	p := mention.Post{
		Platform: "reddit", NativeID: d.Name, Kind: mention.KindPost, Intake: mention.Live, ReplyRef: d.Name,
		Author: mention.Author{ID: cmp.Or(d.AuthorID, d.Author), Handle: line(d.Author), URL: webURL("https://www.reddit.com/user/" + url.PathEscape(d.Author))},
		Title:  line(d.Title), Text: clean(cmp.Or(d.Body, d.Self)), Place: mention.Place{ID: "r/" + strings.ToLower(line(d.Subreddit)), Name: "r/" + line(d.Subreddit)},
		Metrics: mention.Metrics{Likes: d.Score, Reposts: d.Crossed, Replies: d.Comments}, Media: d.list(), PublishedAt: redditTime(d.Created), SeenAt: s.deps.Now(),
	}
	if d.Hidden {
		p.Metrics.Likes = nil
	}
	if strings.HasPrefix(d.Link, "/") {
		p.URL = webURL("https://www.reddit.com" + d.Link)
	}
	var edited float64
	if json.Unmarshal(d.Edited, &edited) == nil {
		p.EditedAt = redditTime(edited)
	}
	if t.Kind == "t1" {
		p.Thread = mention.Thread{ID: d.LinkID, Parent: d.ParentID}
		if d.ParentID == d.LinkID {
			p.Thread.ParentText = line(d.LinkTitle)
		}
	}
	if d.Locked || d.Archived {
		p.NoReply = mention.Closed
	}
	switch {
	case !redditID.MatchString(d.Name) || p.PublishedAt.IsZero() || d.Author == "":
		return p, fmt.Errorf("name %q, created %v", clip(d.Name, 40), d.Created)
	case t.gone():
		return p, errors.New("deleted")
	case p.Content() == "":
		return p, errors.New("empty")
	}
	return p, nil
}

// Complete fetches the comment that a comment answers.
func (s *reddit) Complete(ctx context.Context, p *mention.Post) error {
	if p.Thread.Parent == "" || p.Thread.ParentText != "" {
		return nil
	}
	_, err := s.around(ctx, p)
	return err
}

// Below reads what stands below p.
func (s *reddit) Below(ctx context.Context, p mention.Post) ([]mention.Comment, error) {
	return s.around(ctx, &p)
}

// around reads what stands below p, and sets in p what stands above it.
func (s *reddit) around(ctx context.Context, p *mention.Post) ([]mention.Comment, error) {
	q := url.Values{"raw_json": {"1"}, "sort": {"new"}, "limit": {fmt.Sprint(maxComments)}, "depth": {"1"}}
	of := p.NativeID
	if p.Thread.Parent != "" {
		of = p.Thread.ID
		q.Set("comment", strings.TrimPrefix(p.NativeID, "t1_"))
		q.Set("context", "1")
		q.Set("depth", "3")
	}
	var page []redditListing
	if err := s.get(ctx, s.cfg.Server+"/comments/"+url.PathEscape(strings.TrimPrefix(of, "t3_"))+"?"+q.Encode(), &page); err != nil {
		return nil, fmt.Errorf("reddit: comments: %w", err)
	}
	if len(page) < 2 {
		return nil, errors.New("reddit: comments: the answer is not what it should be")
	}
	var below []mention.Post
	var walk func(l redditListing, of string)
	walk = func(l redditListing, of string) {
		for _, raw := range l.Data.Children {
			var t redditThing
			if json.Unmarshal(raw, &t) != nil || t.Kind != "t1" {
				continue // "more"
			}
			if a, err := s.post(t); err == nil {
				if of == p.NativeID {
					below = append(below, a)
				}
				if a.NativeID == p.Thread.Parent {
					p.Thread.ParentAuthor, p.Thread.ParentText = a.Author.Handle, a.Text
				}
			}
			var replies redditListing
			if json.Unmarshal(t.Data.Replies, &replies) == nil {
				walk(replies, t.Data.Name)
			}
		}
	}
	walk(page[1], cmp.Or(p.Thread.ID, p.NativeID))
	return commentsOf(below, func(a *mention.Post) bool { return strings.EqualFold(a.Author.Handle, s.cfg.Account) }), nil
}

// Reply answers a post or a comment.
func (s *reddit) Reply(ctx context.Context, r Reply) (Sent, error) {
	if !redditLimit.Fits(r.Text) {
		return Sent{}, TooLong.refuse("reddit: the reply has %d characters, Reddit takes %d", redditLimit.Count(r.Text), redditLimit.Max)
	}
	if err := s.signedIn(ctx, r); err != nil {
		return Sent{}, err
	}
	in := url.Values{"api_type": {"json"}, "raw_json": {"1"}, "thing_id": {r.To.ReplyRef}, "text": {r.Text}}
	var out struct {
		JSON struct {
			Errors [][]any `json:"errors"`
			Data   struct {
				Things []redditThing `json:"things"`
			} `json:"data"`
		} `json:"json"`
	}
	if err := s.do(ctx, http.MethodPost, s.cfg.Server+"/api/comment", in, &out); err != nil {
		if status(err) == http.StatusForbidden {
			return Sent{}, NotGranted.refuse("reddit: the account may not answer there: %w", err)
		}
		return Sent{}, fmt.Errorf("reddit: reply: %w", err)
	}
	if len(out.JSON.Errors) > 0 {
		return Sent{}, redditRefusal(out.JSON.Errors[0])
	}
	if len(out.JSON.Data.Things) == 0 || out.JSON.Data.Things[0].Data.Name == "" {
		return Sent{}, errors.New("reddit: reply: Reddit took it but names no comment")
	}
	return sentThing(out.JSON.Data.Things[0]), nil
}

func sentThing(t redditThing) Sent {
	return Sent{URL: webURL("https://www.reddit.com" + t.Data.Link), NativeID: t.Data.Name, At: redditTime(t.Data.Created)}
}

// redditRefusal reads an error of Reddit's: its code, a sentence, a field.
func redditRefusal(e []any) error {
	code, why := "", ""
	if len(e) > 0 {
		code = fmt.Sprint(e[0])
	}
	if len(e) > 1 {
		why = line(fmt.Sprint(e[1]))
	}
	reason := map[string]Reason{
		"RATELIMIT": Limited, "THREAD_LOCKED": Closed, "TOO_OLD": Closed, "DELETED_COMMENT": PostGone, "DELETED_LINK": PostGone,
		"TOO_LONG": TooLong, "SUBREDDIT_NOTALLOWED": NotGranted, "USER_BLOCKED": Gated, "BANNED_FROM_SUBREDDIT": Locked,
	}[code]
	return reason.refuse("reddit: %s: %s", clip(code, 60), clip(why, 200))
}

// signedIn refuses unless the token is the account's.
func (s *reddit) signedIn(ctx context.Context, r Reply) error {
	if !redditID.MatchString(r.To.ReplyRef) {
		return refuse("reddit: the post does not say how to answer it")
	}
	if r.To.NoReply != "" {
		return Reason(r.To.NoReply).refuse("reddit: the post is locked or archived")
	}
	me, err := s.me(ctx)
	if err != nil {
		if known, ok := Refused(err, s.deps.Now()); ok {
			return &known
		}
		return &Refusal{Reason: Unreachable, Err: err}
	}
	for _, want := range []string{s.cfg.Account, cmp.Or(r.Account, s.cfg.Account)} {
		if want = strings.TrimPrefix(strings.TrimPrefix(want, "@"), "u/"); !strings.EqualFold(me, want) {
			return WrongAccount.refuse("reddit: the reply is for u/%s, but the consent is u/%s's", want, me)
		}
	}
	return nil
}

// me is the name of the account that consented.
func (s *reddit) me(ctx context.Context) (string, error) {
	var me struct {
		Name string `json:"name"`
	}
	if err := s.get(ctx, s.cfg.Server+"/api/v1/me?raw_json=1", &me); err != nil {
		return "", fmt.Errorf("reddit: whose consent is it: %w", err)
	}
	return line(me.Name), nil
}

// Account is that of the consent.
func (s *reddit) Account(ctx context.Context) (string, error) {
	me, err := s.me(ctx)
	if err != nil || me == "" {
		return "", err
	}
	if !strings.EqualFold(me, s.cfg.Account) {
		err = WrongAccount.refuse("reddit: the consent is u/%s's, but the account is u/%s", me, s.cfg.Account)
	}
	return "u/" + me, err
}

// Find looks for r among the newest comments of the account.
func (s *reddit) Find(ctx context.Context, r Reply) (Sent, error) {
	q := url.Values{"limit": {fmt.Sprint(redditPage)}, "raw_json": {"1"}, "sort": {"new"}}
	for range redditPages {
		var answer redditListing
		if err := s.get(ctx, s.cfg.Server+"/user/"+s.cfg.Account+"/comments?"+q.Encode(), &answer); err != nil {
			return Sent{}, fmt.Errorf("reddit: find reply: %w", err)
		}
		for _, raw := range answer.Data.Children {
			var t redditThing
			if json.Unmarshal(raw, &t) != nil {
				continue
			}
			if t.Data.ParentID == r.To.ReplyRef && sameText(t.Data.Body, r.Text) {
				return sentThing(t), nil
			}
			if at := redditTime(t.Data.Created); !at.IsZero() && at.Before(r.To.PublishedAt) {
				return Sent{}, ErrNotFound
			}
		}
		if answer.Data.After == "" {
			return Sent{}, ErrNotFound
		}
		q.Set("after", answer.Data.After)
	}
	return Sent{}, errors.New("reddit: find reply: too many newer comments to tell")
}

func (s *reddit) Dedupes() time.Duration { return 0 }

func (s *reddit) Limit(context.Context) (Limit, error) { return redditLimit, nil }

// Reread asks for posts by their ids. Reddit keeps the place of what was
// deleted; what it leaves out altogether is in a subreddit that has closed.
func (s *reddit) Reread(ctx context.Context, posts []mention.Post) ([]mention.Post, error) {
	var out []mention.Post
	for len(posts) > 0 {
		some := posts[:min(len(posts), redditPage)]
		posts = posts[len(some):]
		ids := make([]string, len(some))
		for i, p := range some {
			ids[i] = p.NativeID
		}
		var answer redditListing
		if err := s.get(ctx, s.cfg.Server+"/api/info?"+url.Values{"id": {strings.Join(ids, ",")}, "raw_json": {"1"}}.Encode(), &answer); err != nil {
			return out, fmt.Errorf("reddit: %w", err)
		}
		now := map[string]redditThing{}
		for _, raw := range answer.Data.Children {
			var t redditThing
			if json.Unmarshal(raw, &t) == nil {
				now[t.Data.Name] = t
			}
		}
		for _, p := range some {
			t, ok := now[p.NativeID]
			if !ok {
				continue
			}
			if t.gone() {
				out = append(out, withdrawn(p, s.deps.Now()))
			} else if again, err := s.post(t); err == nil {
				out = append(out, again)
			}
		}
	}
	return out, nil
}
