package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"golang.org/x/oauth2"
)

type xConfig struct {
	Account string `yaml:"account" doc:"Handle of the account that is listened to and that answers, without @. Without one nothing is answered."`
	Listen  string `yaml:"listen" enum:"search,stream,mentions,push" doc:"search: the brands' words and the account's mentions, asked for at every poll; stream: the same as it happens, over one connection that an app may hold only once; mentions: the account's mentions alone; push: only what X sends to the source's own address."`
	Reposts bool   `yaml:"reposts" doc:"Also take reposts from the stream and from pushes; each is billed as a post."`
	Threads bool   `yaml:"threads" doc:"Also take the post that was answered or quoted; it is billed as another one."`

	Bearer         config.Secret `yaml:"bearer" doc:"Bearer token of the app, for searching, streaming and reading again."`
	ConsumerKey    string        `yaml:"consumer_key" doc:"API key of the app, for OAuth 1.0a."`
	ConsumerSecret config.Secret `yaml:"consumer_secret" doc:"API key secret of the app: signs for OAuth 1.0a, and proves that pushes come from X."`
	AccessToken    config.Secret `yaml:"access_token" doc:"Access token of the account, for OAuth 1.0a. It counts before a consent."`
	AccessSecret   config.Secret `yaml:"access_secret" doc:"Secret of the access token."`
	ClientID       string        `yaml:"client_id" doc:"OAuth 2.0 client id of the app; the account then consents on X's own page."`
	ClientSecret   config.Secret `yaml:"client_secret" doc:"OAuth 2.0 client secret; empty for a public client."`

	Enterprise bool          `yaml:"enterprise" doc:"The app has an enterprise contract: answers also to who did not mention or quote the account, longer queries and rules, and what a cut stream missed is sent again."`
	Owner      bool          `yaml:"owner" doc:"The account owns the app: reading its own mentions and posts costs less."`
	Premium    bool          `yaml:"premium" doc:"The account has X Premium: replies of up to 25,000 instead of 280."`
	Compliance bool          `yaml:"compliance" doc:"X lets the app use batch compliance jobs: stored posts are handed in once a day, and only those that X names are read again. Needs the bearer token."`
	Country    string        `yaml:"country" doc:"Country in which posts are read, like JP. What X withholds there is not taken, and goes when it is withheld later."`
	History    time.Duration `yaml:"history" doc:"How far back the first fetch reads, at most 7d."`
	Poll       time.Duration `yaml:"poll" doc:"Pause between two fetches, at least 15s."`
	Silence    time.Duration `yaml:"silence" doc:"A stream without a sign of life for this long is taken for dead, at least 20s: X sends one every 20s."`
	API        string        `yaml:"api" doc:"Address of the API."`

	DailyUSD     float64 `yaml:"daily_usd" doc:"US dollars to spend on reading and answering in a day (UTC); 0 for no limit. When it is used up, reading stops until the next day; answers don't."`
	MonthlyUSD   float64 `yaml:"monthly_usd" doc:"US dollars to spend in a month; 0 for no limit."`
	DailyPosts   int     `yaml:"daily_posts" doc:"Posts to read in a day (UTC); 0 for no limit."`
	MonthlyPosts int     `yaml:"monthly_posts" doc:"Posts to read in a month; 0 for no limit. Without an enterprise contract X itself stops at 3,000,000."`
	MonthBegins  int     `yaml:"month_begins" doc:"Day of the month on which X begins to bill, 1 to 28."`
	PricePost    float64 `yaml:"price_post" doc:"What X takes for a post that is read, in US dollars. All prices are those of August 2026."`
	PriceOwned   float64 `yaml:"price_owned" doc:"Of a post that is read from the account's own mentions or posts, if the account owns the app."`
	PriceUser    float64 `yaml:"price_user" doc:"Of an account that comes with posts. X's price list does not say whether those are billed; 0 if the bill shows that they are not."`
	PriceReply   float64 `yaml:"price_reply" doc:"Of a reply to somebody who mentioned or quoted the account."`
	PriceCreate  float64 `yaml:"price_create" doc:"Of another reply."`
	PriceLink    float64 `yaml:"price_link" doc:"Of another reply with a link in it: twenty times as dear as one that was asked for."`
}

const xReach = 7*24*time.Hour - 5*time.Minute // how far back X searches

func (c *xConfig) Validate() error {
	var errs []error
	if c.Account != "" && !xHandle.MatchString(strings.TrimPrefix(c.Account, "@")) {
		errs = append(errs, config.Invalid("account", "%q is not a handle on X", c.Account))
	}
	if c.Listen == "mentions" && c.Account == "" {
		errs = append(errs, config.Invalid("account", "required to read mentions"))
	}
	if c.Country != "" && (len(c.Country) != 2 || strings.ToUpper(c.Country) != c.Country) {
		errs = append(errs, config.Invalid("country", "%q is not like JP", c.Country))
	}
	if c.History < 0 || c.History > 7*24*time.Hour {
		errs = append(errs, config.Invalid("history", "must be at most 7d"))
	}
	if webURL(c.API) == "" {
		errs = append(errs, config.Invalid("api", "must start with http:// or https://"))
	}
	errs = append(errs, atLeast("poll", c.Poll, 15*time.Second), atLeast("silence", c.Silence, 20*time.Second))
	return errors.Join(append(errs, c.money()...)...)
}

// money checks the limits and prices.
func (c *xConfig) money() []error {
	var errs []error
	for _, f := range []struct {
		key  string
		v    float64
		most float64
	}{
		{"daily_usd", c.DailyUSD, 1e7}, {"monthly_usd", c.MonthlyUSD, 1e7}, {"daily_posts", float64(c.DailyPosts), 1e9}, {"monthly_posts", float64(c.MonthlyPosts), 1e9},
		{"price_post", c.PricePost, 100}, {"price_owned", c.PriceOwned, 100}, {"price_user", c.PriceUser, 100},
		{"price_reply", c.PriceReply, 100}, {"price_create", c.PriceCreate, 100}, {"price_link", c.PriceLink, 100},
	} {
		if !(f.v >= 0 && f.v <= f.most) { // or it is no number
			errs = append(errs, config.Invalid(f.key, "must be between 0 and %.0f", f.most))
		}
	}
	if c.MonthBegins < 1 || c.MonthBegins > 28 {
		errs = append(errs, config.Invalid("month_begins", "must be between 1 and 28"))
	}
	return errs

}

func xKind() Kind {
	defaults := xConfig{
		Listen: "search", Threads: true, History: 24 * time.Hour, Poll: time.Minute, Silence: 30 * time.Second, API: "https://api.x.com",
		DailyUSD: 10, MonthlyUSD: 200, MonthBegins: 1,
		PricePost: 0.005, PriceOwned: 0.001, PriceUser: 0.01, PriceReply: 0.01, PriceCreate: 0.015, PriceLink: 0.2,
	}
	return Kind{
		Kind:     config.NewKind("x", "Posts on X (Twitter) through its API v2, with replies. Every company needs its own access, and each post costs.", defaults, openX),
		Platform: "x",
		// X developer agreement: no training on content, deletions honoured
		// within 24 hours of a request.
		Duties: Duties{
			Deletions:   "Pushes tell of the account's own posts. Of others X tells only who asks again: $0.005 a post. 10,000 posts asked for once a day cost $1,500 a month. With batch compliance jobs, where X grants them, only what such a job names is asked for.",
			Reread:      24 * time.Hour,
			RereadPrice: defaults.PricePost,
			RereadAll:   true,
			// What nobody touched is not worth its price for longer.
			Expire: 30 * 24 * time.Hour,
		},
		Limit:     Limit{Max: 280, Unit: Weighted, URL: 23},
		Consents:  true,
		WriteKeys: []string{"account"},
	}
}

func openX(c xConfig, d Deps) (Source, error) {
	c.Account = strings.TrimPrefix(c.Account, "@")
	c.API = strings.TrimSuffix(c.API, "/")
	x := &xSource{cfg: c, deps: d, look: xLook, renamed: map[string]bool{}}
	x.ledger = &xLedger{cfg: &x.cfg, deps: d}
	if c.ClientID != "" {
		x.token = d.token(x.Consent())
	}
	return x, nil
}

// xSource is an account on X, or an app that only listens.
type xSource struct {
	cfg    xConfig
	deps   Deps
	ledger *xLedger
	token  func(context.Context) (string, error) // of a consent; nil without a client
	look   time.Duration                         // how often a stream looks around; see tick

	mu       sync.Mutex
	quota    outbound.Quota
	hasQuota bool
	self     *xUser
	rules    string          // in force, as far as we know
	renamed  map[string]bool // paths that take only the new names of fields
	failures xFailures
}

// Poll is 0 for a stream.
func (x *xSource) Poll() time.Duration {
	if x.cfg.Listen == "stream" {
		return 0
	}
	return x.cfg.Poll
}

func (x *xSource) Quota() (outbound.Quota, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.quota, x.hasQuota
}

// Consent is how the account lets us in on X's own page.
func (x *xSource) Consent() oauth2.Config {
	secret, _ := x.cfg.ClientSecret.Reveal()
	c := oauth2.Config{
		ClientID: x.cfg.ClientID, ClientSecret: secret,
		Endpoint: oauth2.Endpoint{AuthURL: "https://x.com/i/oauth2/authorize", TokenURL: x.cfg.API + "/2/oauth2/token", AuthStyle: oauth2.AuthStyleInHeader},
		Scopes:   []string{"tweet.read", "tweet.write", "users.read", "offline.access"},
	}
	if secret == "" {
		c.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return c
}

// xCursor is how far X was read.
type xCursor struct {
	// Since is the id up to which everything has been given. It follows the
	// clock, a little behind: a post may turn up later than its id.
	Since uint64 `json:"since"`
	// Seen are the ids given after Since, ascending.
	Seen []uint64 `json:"seen,omitempty"`
	// Spent is since when nothing was read because a budget is used up.
	Spent time.Time `json:"spent,omitzero"`
}

func (c *xCursor) String() string {
	b, _ := json.Marshal(c)
	return string(b)
}

const (
	// xLate is how much later than its id a post may turn up in a list.
	xLate    = 2 * time.Minute
	xMaxSeen = 5000 // ids in a cursor
)

// news notes id and tells whether it is new.
func (c *xCursor) news(id uint64) bool {
	at, known := slices.BinarySearch(c.Seen, id)
	if known || id <= c.Since {
		return false
	}
	c.Seen = slices.Insert(c.Seen, at, id)
	if len(c.Seen) > xMaxSeen {
		c.done(c.Seen[len(c.Seen)-xMaxSeen])
	}
	return true
}

// done notes that everything up to id has been given.
func (c *xCursor) done(id uint64) {
	c.Since = max(c.Since, id)
	n, known := slices.BinarySearch(c.Seen, c.Since)
	if known {
		n++
	}
	c.Seen = slices.Clone(c.Seen[n:])
}

func (x *xSource) Fetch(ctx context.Context, cursor string) iter.Seq2[Item, error] {
	var cur xCursor
	if cursor != "" {
		if err := json.Unmarshal([]byte(cursor), &cur); err != nil {
			return failed(fmt.Errorf("x: cursor: %w", err))
		}
	}
	return func(yield func(Item, error) bool) {
		err := x.afford(ctx, &cur, yield)
		switch {
		case err != nil:
		case x.cfg.Listen == "push":
			return
		case x.cfg.Listen == "stream":
			err = x.follow(ctx, &cur, yield)
		default:
			err = x.catchUp(ctx, &cur, yield)
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(Item{}, err)
		}
	}
}

// afford fails while a budget is used up, and tells what was missed once it no
// longer is: reading goes on with what is new, or yesterday's posts would take
// today's budget.
func (x *xSource) afford(ctx context.Context, cur *xCursor, yield func(Item, error) bool) error {
	err := x.ledger.allow(ctx)
	if over, ok := errors.AsType[*budgetError](err); ok {
		return x.overspent(cur, over, yield)
	}
	if err == nil && !cur.Spent.IsZero() {
		now := x.deps.Now()
		gap := &Gap{From: cur.Spent, To: now.UTC(), Why: outbound.Spent.Of(errors.New("the budget was used up"))}
		*cur = xCursor{Since: xIDAt(now)}
		if !yield(Item{Cursor: cur.String(), Gap: gap}, nil) {
			return errStopped
		}
	}
	return err
}

// overspent tells once since when nothing is read, and returns over.
func (x *xSource) overspent(cur *xCursor, over *budgetError, yield func(Item, error) bool) error {
	if cur.Spent.IsZero() {
		cur.Spent = x.deps.Now().UTC()
		if cur.Since > 0 {
			cur.Spent = xTime(cur.Since)
		}
		if !yield(Item{Cursor: cur.String(), Gap: &Gap{From: cur.Spent, Why: over}}, nil) {
			return errStopped
		}
	}
	return over
}

// catchUp gives what was posted up to now.
func (x *xSource) catchUp(ctx context.Context, cur *xCursor, yield func(Item, error) bool) error {
	now := x.deps.Now()
	if cur.Since == 0 {
		cur.Since = xIDAt(now.Add(-min(x.cfg.History, xReach)))
	}
	if oldest := xIDAt(now.Add(-xReach)); cur.Since < oldest {
		gap := &Gap{From: xTime(cur.Since), To: xTime(oldest), Why: outbound.Recent.Of(errors.New("the search reaches back seven days only"))}
		cur.done(oldest)
		if !yield(Item{Cursor: cur.String(), Gap: gap}, nil) {
			return errStopped
		}
	}
	lists, err := x.lists(ctx)
	if err != nil {
		return err
	}
	before := cur.String()
	settled := xIDAt(now.Add(-xLate))
	var refused error
	for {
		until := uint64(0)
		if part := cur.Since + xPart; part < xIDAt(now) {
			until = part // whoever wants no more has not paid for the rest
		}
		w, err := x.window(ctx, lists, cur.Since, until)
		over, spent := errors.AsType[*budgetError](err)
		switch {
		case spent: // what was read is paid for
			if err := x.overspent(cur, over, yield); errors.Is(err, errStopped) {
				return err
			}
		case err != nil:
			return err
		}
		refused = cmp.Or(refused, w.refused)
		for _, f := range w.found {
			if !cur.news(f.id) {
				continue
			}
			if f.id <= settled { // and so are all before it
				cur.done(f.id)
			}
			if !yield(Item{Post: f.post, Cursor: cur.String()}, nil) {
				return errStopped
			}
		}
		if spent {
			return over
		}
		for _, g := range w.gaps {
			if !yield(Item{Cursor: cur.String(), Gap: &g}, nil) {
				return errStopped
			}
		}
		if w.until == 0 {
			break
		}
		cur.done(w.until)
	}
	cur.done(settled)
	if next := cur.String(); next != before && !yield(Item{Cursor: next}, nil) {
		return errStopped
	}
	return refused
}

const (
	xSecond = 1000 << 22         // the distance of ids made one second apart
	xPart   = 6 * 3600 * xSecond // at most read at once
)

// xFound is a post in a list.
type xFound struct {
	id   uint64
	post mention.Post
}

// xWindow is what lists hold between two ids.
type xWindow struct {
	found   []xFound // oldest first
	until   uint64   // the window ends here, not at the present; 0: the present
	gaps    []Gap
	refused error // a list X does not give; the others are whole
}

// window reads all lists after since, and to until unless that is 0. If that is
// too much at once it reads less. With a [*budgetError] it has what was read.
func (x *xSource) window(ctx context.Context, lists []xList, since, until uint64) (xWindow, error) {
narrower:
	for {
		w, over := xWindow{until: until}, error(nil)
		byID := map[uint64]xFound{}
		for _, l := range lists {
			p, err := x.pages(ctx, l, since, until)
			if e, ok := errors.AsType[*outbound.Error](err); ok && e.Status == 400 && len(lists) > 1 {
				w.refused = cmp.Or(w.refused, err)
				continue
			}
			_, spent := errors.AsType[*budgetError](err)
			switch {
			case err != nil && !spent:
				return w, err
			case p.more:
				end := cmp.Or(until, xIDAt(x.deps.Now()))
				until = since + max(min(end-min(p.oldest, end), (end-min(since, end))/2), xSecond)
				continue narrower
			case p.missing:
				w.gaps = append(w.gaps, Gap{From: xTime(since), To: xTime(p.oldest), Why: outbound.Overflow.Of(errors.New("only the newest mentions are listed"))})
			}
			for _, f := range p.found {
				byID[f.id] = f
			}
			if over = err; spent {
				break
			}
		}
		for _, f := range byID {
			w.found = append(w.found, f)
		}
		slices.SortFunc(w.found, func(a, b xFound) int { return cmp.Compare(a.id, b.id) })
		return w, over
	}
}
