package source

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dghubble/oauth1"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/outbound"
)

// xAnswer is an answer of API v2 that lists something.
type xAnswer struct {
	Data     []json.RawMessage  `json:"data"`
	Includes xIncludes          `json:"includes"`
	Errors   readable[xProblem] `json:"errors"`
	Meta     struct {
		Next  string `json:"next_token"`
		Count *int   `json:"result_count"`
	} `json:"meta"`
}

// xProblem is what X says of a request, or of a part of one.
type xProblem struct {
	Type       string `json:"type"`
	Title      string `json:"title"`
	Detail     string `json:"detail"`
	Message    string `json:"message"`
	ResourceID string `json:"resource_id"`
	Value      string `json:"value"`
}

// is tells whether p is of the kind that X calls name.
func (p xProblem) is(name string) bool { return strings.HasSuffix(p.Type, "/problems/"+name) }

// xList is a list of posts, newest first.
type xList struct {
	path  string
	query url.Values
	next  string // parameter for the next page
	as    xIdentity
	owned bool
	cap   int // the most posts X lists; 0 for no such bound
}

// xPages is how many pages are read at once. What holds more is read in parts.
const xPages = 10

// xPagesRead is what pages gives.
type xPagesRead struct {
	found   []xFound
	oldest  uint64
	more    bool // there are more pages than are read at once
	missing bool // X lists no more, though there was more
}

// lists returns what has to be read: the brands' words, in as many queries as X
// takes them in, and the account's mentions.
func (x *xSource) lists(ctx context.Context) ([]xList, error) {
	var out []xList
	self, err := x.account(ctx)
	if err != nil {
		return nil, err
	}
	if self.ID != "" {
		out = append(out, xList{path: "/2/users/" + self.ID + "/mentions", next: "pagination_token", as: asAccount, owned: x.cfg.Owner, cap: 800})
	}
	if x.cfg.Listen == "mentions" {
		if self.ID == "" {
			return nil, refuse("x: X knows no account @%s", x.cfg.Account)
		}
		return out, nil
	}
	most := 512
	if x.cfg.Enterprise {
		most = 4096
	}
	for _, q := range x.queries(most, self.ID == "", "") {
		out = append(out, xList{path: "/2/tweets/search/recent", query: url.Values{"query": {q}}, next: "next_token"})
	}
	return out, nil
}

// queries returns the brands' words as queries of at most that many characters.
func (x *xSource) queries(most int, mentions bool, suffix string) []string {
	terms := x.deps.Terms()
	var ops []string
	for _, h := range terms.Hashtags {
		ops = append(ops, xHashtag(h))
	}
	for _, w := range terms.Words {
		ops = append(ops, xPhrase(w))
	}
	if x.cfg.Account != "" {
		suffix += " -from:" + x.cfg.Account
		if mentions {
			ops = append(ops, "@"+x.cfg.Account)
		}
	}
	slices.Sort(ops)
	ops = slices.DeleteFunc(slices.Compact(ops), func(op string) bool {
		return op == "" || utf8.RuneCountInString(op)+2+len(suffix) > most
	})
	var out []string
	for len(ops) > 0 {
		n, size := 0, len("()")+len(suffix)
		for n < len(ops) && size+utf8.RuneCountInString(ops[n]) <= most {
			size += utf8.RuneCountInString(ops[n]) + len(" OR ")
			n++
		}
		q := strings.Join(ops[:n], " OR ")
		if n > 1 {
			q = "(" + q + ")"
		}
		out = append(out, q+suffix)
		ops = ops[n:]
	}
	return out
}

var xTag = regexp.MustCompile(`^[\p{L}\p{N}\p{M}_]+$`)

// xHashtag is the operator for a hashtag.
func xHashtag(tag string) string {
	tag = strings.ToLower(strings.TrimLeft(tag, "#＃"))
	if !xTag.MatchString(tag) {
		return xPhrase(tag)
	}
	return "#" + tag
}

// xPhrase is the operator for a word or phrase, quoted so that nothing in it is
// an operator itself; empty if there is nothing to look for.
func xPhrase(words string) string {
	words = strings.ToLower(strings.Join(strings.FieldsFunc(clean(words), func(r rune) bool {
		return unicode.IsSpace(r) || r == '"' || r == '\\' || r == '“' || r == '”'
	}), " "))
	if name, ok := strings.CutPrefix(words, "@"); ok && xHandle.MatchString(name) {
		return words
	}
	if !strings.ContainsFunc(words, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsSymbol(r) }) {
		return ""
	}
	return `"` + words + `"`
}

// fields asks for everything that is read of a post.
func (x *xSource) fields() url.Values {
	expand := "author_id,attachments.media_keys"
	if x.cfg.Threads {
		expand += ",referenced_tweets.id,referenced_tweets.id.author_id"
	}
	return url.Values{
		"tweet.fields": {"attachments,author_id,conversation_id,created_at,entities,in_reply_to_user_id,lang,note_tweet,public_metrics,referenced_tweets,reply_settings,withheld"},
		"user.fields":  {"name,profile_image_url,protected,public_metrics,username"},
		"media.fields": {"alt_text,media_key,preview_image_url,type,url"},
		"expansions":   {expand},
	}
}

// pages reads l after since, and before until unless that is 0.
func (x *xSource) pages(ctx context.Context, l xList, since, until uint64) (xPagesRead, error) {
	q := x.fields()
	maps.Copy(q, l.query)
	q.Set("since_id", strconv.FormatUint(since, 10))
	most := xPages
	if until > 0 {
		q.Set("until_id", strconv.FormatUint(until+1, 10)) // X's bound is exclusive
		if until-since < 10*xSecond {
			most = 1000 // less time is not to be had
		}
	}
	var p xPagesRead
	total := 0
	for range most {
		room, err := x.ledger.room(ctx)
		if err != nil {
			return p, err
		}
		q.Set("max_results", strconv.Itoa(min(max(room, 10), 100)))
		var a xAnswer
		if err := x.get(ctx, l.path, q, l.as, &a); err != nil {
			return p, err
		}
		if a.Data == nil && a.Meta.Count == nil && len(a.Errors) == 0 {
			return p, fmt.Errorf("x: %w", without("meta"))
		}
		found, err := x.take(ctx, &a, l.owned)
		if err != nil {
			return p, err
		}
		for _, f := range found {
			if f.id > since && (until == 0 || f.id <= until) {
				p.found = append(p.found, f)
			}
			if p.oldest == 0 || f.id < p.oldest {
				p.oldest = f.id
			}
		}
		if total += len(a.Data); a.Meta.Next == "" || len(a.Data) == 0 {
			p.missing = l.cap > 0 && total >= l.cap && p.oldest > since
			return p, nil
		}
		if a.Meta.Next == q.Get(l.next) { // every page is paid for
			return p, outbound.Unreadable.At(host(x.cfg.API), errors.New("x: a page leads to itself"))
		}
		q.Set(l.next, a.Meta.Next)
	}
	p.more = true
	return p, nil
}

// take reads the posts of an answer and counts what they cost.
func (x *xSource) take(ctx context.Context, a *xAnswer, owned bool) ([]xFound, error) {
	in := a.Includes.related()
	var out []xFound
	var ids []uint64
	for _, raw := range a.Data {
		t, err := parseXTweet(raw)
		if err != nil {
			x.deps.skip("x", t.ID, err)
			continue
		}
		ids = append(ids, xNumber(t.ID))
		if t.refers("retweeted") != "" && !x.cfg.Reposts {
			continue
		}
		p, err := x.post(&t, in)
		if err != nil {
			x.deps.skip("x", t.ID, err)
			continue
		}
		out = append(out, xFound{xNumber(t.ID), p})
	}
	x.charge(in, ids, owned)
	return out, x.ledger.keep(ctx)
}

// charge notes what an answer costs.
func (x *xSource) charge(in xRelated, ids []uint64, owned bool) int {
	c := xCharge{posts: ids, owned: owned}
	for id := range in.users {
		c.users = append(c.users, xNumber(id))
	}
	n := x.ledger.note(c)
	var others []uint64
	for id := range in.tweets {
		others = append(others, xNumber(id))
	}
	return max(n, x.ledger.note(xCharge{posts: others}))
}

func parseXTweet(raw []byte) (xTweet, error) {
	var t xTweet
	if err := json.Unmarshal(raw, &t); err != nil {
		return t, err
	}
	if xNumber(t.ID) == 0 {
		return t, errors.New("no id")
	}
	return t, nil
}

// xIdentity is as whom a request is made.
type xIdentity int

const (
	asApp     xIdentity = iota // with the bearer token, else as the account
	asAccount                  // as the account, else with the bearer token
	asSelf                     // as the account
)

// account is the configured account, empty without one; its ID is empty when X
// knows none of that name. Another one that the keys belong to comes with an
// error.
func (x *xSource) account(ctx context.Context) (xUser, error) {
	if x.cfg.Account == "" {
		return xUser{}, nil
	}
	x.mu.Lock()
	self := x.self
	x.mu.Unlock()
	if self != nil {
		return *self, nil
	}
	var u xUser
	var err error
	if x.speaks() {
		u, err = x.user(ctx, "/2/users/me", asSelf)
	} else {
		u, err = x.user(ctx, "/2/users/by/username/"+x.cfg.Account, asApp)
	}
	if err != nil || u.ID == "" {
		return xUser{}, err
	}
	if err := x.wanted(u); err != nil {
		return u, err
	}
	x.mu.Lock()
	x.self = &u
	x.mu.Unlock()
	return u, nil
}

// user reads an account; its ID is empty when X knows none.
func (x *xSource) user(ctx context.Context, path string, as xIdentity) (xUser, error) {
	var a struct {
		Data xUser `json:"data"`
	}
	if err := x.get(ctx, path, url.Values{}, as, &a); err != nil {
		return xUser{}, err
	}
	if xNumber(a.Data.ID) == 0 {
		return xUser{}, nil
	}
	x.ledger.note(xCharge{users: []uint64{xNumber(a.Data.ID)}})
	return a.Data, nil
}

// wanted refuses u unless it is the configured account.
func (x *xSource) wanted(u xUser) error {
	if x.cfg.Account != "" && !strings.EqualFold(u.Username, x.cfg.Account) {
		return WrongAccount.refuse("x: the token belongs to @%s, but the account is @%s", line(u.Username), x.cfg.Account)
	}
	return nil
}

// speaks tells whether there are credentials of an account.
func (x *xSource) speaks() bool { return !x.cfg.AccessToken.IsZero() || x.token != nil }

// get asks for path. Where X takes only the new names of fields, it asks again
// with those, and from then on.
func (x *xSource) get(ctx context.Context, path string, q url.Values, as xIdentity, out any) error {
	ask := func(q url.Values) error {
		if len(q) == 0 {
			return x.do(ctx, http.MethodGet, path, nil, as, out)
		}
		return x.do(ctx, http.MethodGet, path+"?"+q.Encode(), nil, as, out)
	}
	x.mu.Lock()
	renamed := x.renamed[path]
	x.mu.Unlock()
	if renamed {
		return ask(renameFields(q))
	}
	err := ask(q)
	if e, ok := errors.AsType[*outbound.Error](err); !ok || e.Status != http.StatusBadRequest || !xOldNames.Match(e.Body) || !q.Has("tweet.fields") {
		return err
	}
	if err := ask(renameFields(q)); err != nil {
		return err
	}
	x.mu.Lock()
	x.renamed[path] = true
	x.mu.Unlock()
	return nil
}

// xOldNames finds in a refusal that the names of fields are what X dislikes.
var xOldNames = regexp.MustCompile(`tweet\.fields|referenced_tweets|note_tweet`)

// renameFields is q with the names that X's definition of its API has for posts
// since 2026, where its documents still have the old ones.
func renameFields(q url.Values) url.Values {
	q = maps.Clone(q)
	q.Del("tweet.fields")
	q.Set("post.fields", "attachments,conversation_id,created_at,entities,lang,note_post,public_metrics,reply_settings,withheld")
	q.Set("expansions", "author_id,attachments.media_keys,referenced_posts")
	return q
}

// do makes a request and reads the answer into out.
func (x *xSource) do(ctx context.Context, method, path string, body any, as xIdentity, out any) error {
	req, err := x.request(ctx, method, path, body, as)
	if err != nil {
		return err
	}
	resp, err := x.deps.HTTP.Do(ctx, req)
	header := http.Header{}
	if e, ok := errors.AsType[*outbound.Error](err); ok {
		header = e.Header
	} else if resp != nil {
		header = resp.Header
	}
	if q, ok := outbound.QuotaOf(header, x.deps.Now()); ok {
		x.mu.Lock()
		x.quota, x.hasQuota = q, true
		x.mu.Unlock()
	}
	if err != nil {
		return x.explain(err)
	}
	if err := readJSON(resp, out); err != nil {
		return fmt.Errorf("x: %w", err)
	}
	return nil
}

func (x *xSource) request(ctx context.Context, method, path string, body any, as xIdentity) (*http.Request, error) {
	var raw []byte
	if body != nil {
		raw, _ = json.Marshal(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, x.cfg.API+path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	if body == nil {
		req.Body, req.GetBody = nil, nil
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	if as == asApp && x.cfg.Bearer.IsZero() {
		as = asAccount
	}
	switch {
	case as == asApp || as == asAccount && !x.speaks():
		bearer, err := x.cfg.Bearer.Reveal()
		if err != nil || bearer == "" {
			return nil, cmp.Or(err, NotGranted.refuse("x: no token: set bearer, or the keys of an account"))
		}
		req.Header.Set("Authorization", "Bearer "+bearer)
	case !x.cfg.AccessToken.IsZero():
		return req, x.sign(req)
	case x.token != nil:
		token, err := x.token(ctx)
		if err != nil {
			return nil, fmt.Errorf("x: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
	default:
		return nil, NotGranted.refuse("x: answering needs the keys of the account, or its consent")
	}
	return req, nil
}

// sign signs req as the account (OAuth 1.0a).
func (x *xSource) sign(req *http.Request) error {
	var values [3]string
	for i, s := range []config.Secret{x.cfg.ConsumerSecret, x.cfg.AccessToken, x.cfg.AccessSecret} {
		var err error
		if values[i], err = s.Reveal(); err != nil {
			return err
		}
	}
	// The library signs only what it sends; here it sends nothing.
	ctx := context.WithValue(req.Context(), oauth1.HTTPClient, &http.Client{Transport: keepSignature{req}})
	client := oauth1.NewConfig(x.cfg.ConsumerKey, values[0]).Client(ctx, oauth1.NewToken(values[1], values[2]))
	_, err := client.Transport.RoundTrip(req)
	return err
}

// keepSignature copies the signature of a request to another one.
type keepSignature struct{ to *http.Request }

func (k keepSignature) RoundTrip(signed *http.Request) (*http.Response, error) {
	k.to.Header.Set("Authorization", signed.Header.Get("Authorization"))
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

// xProblemOf is what X said with err.
func xProblemOf(err error) xProblem {
	var p struct {
		xProblem
		Errors []xProblem `json:"errors"`
	}
	e, ok := errors.AsType[*outbound.Error](err)
	if !ok || json.Unmarshal(e.Body, &p) != nil {
		return xProblem{}
	}
	if len(p.Errors) > 0 {
		p.Detail = cmp.Or(p.Errors[0].Detail, p.Errors[0].Message, p.Detail)
		p.Type = cmp.Or(p.Type, p.Errors[0].Type)
	}
	return p.xProblem
}

// explain adds what X says to an error, without our secrets should they be
// quoted there.
func (x *xSource) explain(err error) error {
	p := xProblemOf(err)
	why := line(cmp.Or(p.Detail, p.Title, p.Message))
	for _, s := range []config.Secret{x.cfg.Bearer, x.cfg.ConsumerSecret, x.cfg.AccessToken, x.cfg.AccessSecret, x.cfg.ClientSecret} {
		if v, _ := s.Reveal(); v != "" {
			why = strings.ReplaceAll(why, v, "…")
		}
	}
	if why == "" {
		return fmt.Errorf("x: %w", err)
	}
	return fmt.Errorf("x: %w: %q", err, clip(why, 200))
}
