package source

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
)

type appStoreConfig struct {
	App       string        `yaml:"app" required:"true" doc:"Number of the app, from its address in the store (id123456789)."`
	Name      string        `yaml:"name" doc:"Name of the app, shown as the place of its reviews."`
	Countries []string      `yaml:"countries" doc:"Stores to read, two letters each; all for every store there is. Each is one request per fetch and more."`
	Backfill  time.Duration `yaml:"backfill" doc:"How old reviews may be when they are first seen, at most 365d."`
	Server    string        `yaml:"server" doc:"Address of the review feeds."`
	Poll      time.Duration `yaml:"poll" doc:"Pause between two fetches, at least 5m."`
}

var digits = regexp.MustCompile(`^\d{1,15}$`)

// storefronts are the countries and regions that have an App Store: the 175
// territories of App Store Connect, as two letters.
var storefronts = strings.Fields(`
	ae af ag ai al am ao ar at au az ba bb be bf bg bh bj bm bn bo br bs bt bw by bz ca cd cg ch ci cl cm cn co cr cv cy cz
	de dk dm do dz ec ee eg es fi fj fm fr ga gb gd ge gh gm gr gt gw gy hk hn hr hu id ie il in iq is it jm jo jp ke kg kh
	kn kr kw ky kz la lb lc lk lr lt lu lv ly ma md me mg mk ml mm mn mo mr ms mt mu mv mw mx my mz na ne ng ni nl no np nr
	nz om pa pe pg ph pk pl pt pw py qa ro rs ru rw sa sb sc se sg si sk sl sn sr st sv sz tc td th tj tm tn to tr tt tw tz
	ua ug us uy uz vc ve vg vn vu xk ye za zm zw`)

func (c *appStoreConfig) stores() []string {
	if len(c.Countries) == 1 && c.Countries[0] == "all" {
		return storefronts
	}
	return c.Countries
}

func (c *appStoreConfig) Validate() error {
	var errs []error
	if !digits.MatchString(c.App) {
		errs = append(errs, config.Invalid("app", "must be the app's number, without id"))
	}
	if len(c.Countries) == 0 {
		errs = append(errs, config.Invalid("countries", "required"))
	}
	for i, cc := range c.Countries {
		switch {
		case cc == "all" && len(c.Countries) > 1:
			errs = append(errs, config.Invalid(fmt.Sprintf("countries[%d]", i), "all stands alone"))
		case cc == "all":
		case !slices.Contains(storefronts, cc):
			errs = append(errs, config.Invalid(fmt.Sprintf("countries[%d]", i), "%q is not the code of a store, like jp", cc))
		}
	}
	if webURL(c.Server) == "" {
		errs = append(errs, config.Invalid("server", "must start with http:// or https://"))
	}
	return errors.Join(append(errs, backfill(c.Backfill), atLeast("poll", c.Poll, 5*time.Minute))...)
}

// backfill checks how far a first fetch may reach.
func backfill(d time.Duration) error {
	if d < time.Hour || d > 365*24*time.Hour {
		return config.Invalid("backfill", "must be at least 1h, at most 365d")
	}
	return nil
}

func appStoreKind() Kind {
	return Kind{
		Kind: config.NewKind("appstore", "Reviews in Apple's App Store, from the public feed: of any app, the newest 500 of each country, without answers.",
			appStoreConfig{Countries: []string{"jp", "us"}, Backfill: 30 * 24 * time.Hour, Server: "https://itunes.apple.com", Poll: 15 * time.Minute},
			func(c appStoreConfig, d Deps) (Source, error) {
				c.Server = strings.TrimSuffix(c.Server, "/")
				return &appStore{c, d}, nil
			}),
		Platform: "appstore",
		Duties:   Duties{MayTrain: false, MayLeave: true, Deletions: "The feed does not tell; a review that leaves it was not withdrawn, and the feed is empty at times. Erased on request."},
	}
}

type appStore struct {
	cfg  appStoreConfig
	deps Deps
}

// appStorePages is how deep the feed goes; page 11 is an error.
const appStorePages = 10

func (a *appStore) Poll() time.Duration { return a.cfg.Poll }

func (a *appStore) Fetch(ctx context.Context, cursor string) iter.Seq2[Item, error] {
	r := reviewReader{kind: "appstore", of: a.cfg.App, deps: a.deps, back: a.cfg.Backfill, lists: func(context.Context) ([]reviewList, error) {
		var out []reviewList
		for _, cc := range a.cfg.stores() {
			out = append(out, reviewList{name: cc, pages: appStorePages, page: func(ctx context.Context, token string) ([]mention.Post, string, error) {
				return a.posts(ctx, cc, token)
			}})
		}
		return out, nil
	}}
	return r.fetch(ctx, cursor)
}

// posts reads the page called token of a store. The feed doesn't tell which
// page is the last; an empty one is.
func (a *appStore) posts(ctx context.Context, cc, token string) (posts []mention.Post, next string, err error) {
	n := 1
	if token != "" {
		n, _ = strconv.Atoi(token)
	}
	reviews, err := a.page(ctx, cc, n)
	if err != nil {
		return nil, "", err
	}
	for _, r := range reviews {
		p, err := a.post(cc, r)
		if err != nil {
			a.deps.skip("appstore", r.ID.Label, err)
			continue
		}
		posts = append(posts, p)
	}
	if len(posts) > 0 {
		next = strconv.Itoa(n + 1)
	}
	return posts, next, nil
}

// appStoreLabel is how the feed writes every value.
type appStoreLabel struct {
	Label string `json:"label"`
}

type appStoreReview struct {
	ID      appStoreLabel `json:"id"`
	Title   appStoreLabel `json:"title"`
	Content appStoreLabel `json:"content"`
	Rating  appStoreLabel `json:"im:rating"`
	Version appStoreLabel `json:"im:version"`
	Updated appStoreLabel `json:"updated"`
	// Votes is not documented, as nothing of this feed is. Of it and im:voteCount,
	// sum and number, this is taken for those who found the review helpful.
	Votes  appStoreLabel `json:"im:voteSum"`
	Author struct {
		Name appStoreLabel `json:"name"`
		URI  appStoreLabel `json:"uri"`
	} `json:"author"`
}

func (a *appStore) page(ctx context.Context, cc string, page int) ([]appStoreReview, error) {
	var answer struct {
		Feed *struct {
			Entry json.RawMessage `json:"entry"`
		} `json:"feed"`
	}
	address := fmt.Sprintf("%s/%s/rss/customerreviews/page=%d/id=%s/sortby=mostrecent/json", a.cfg.Server, cc, page, a.cfg.App)
	if err := getJSON(ctx, a.deps.HTTP, address, nil, &answer); err != nil {
		return nil, err
	}
	if answer.Feed == nil {
		return nil, without("feed")
	}
	raw := bytes.TrimSpace(answer.Feed.Entry)
	if len(raw) == 0 {
		return nil, nil
	}
	if raw[0] == '{' { // a single review comes without brackets
		raw = slices.Concat([]byte("["), raw, []byte("]"))
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(raw, &entries); err != nil {
		return nil, fmt.Errorf("the feed is not what it should be: %w", err)
	}
	out := make([]appStoreReview, 0, len(entries))
	for _, e := range entries {
		var r appStoreReview
		if err := json.Unmarshal(e, &r); err != nil {
			a.deps.skip("appstore", r.ID.Label, err)
			continue
		}
		if r.Rating.Label == "" && r.Content.Label == "" {
			continue // older feeds begin with an entry about the app itself
		}
		out = append(out, r)
	}
	return out, nil
}

func (a *appStore) post(cc string, r appStoreReview) (mention.Post, error) {
	rating, err := strconv.Atoi(r.Rating.Label)
	if err != nil || rating < 1 || rating > 5 {
		return mention.Post{}, fmt.Errorf("rating %q", clip(r.Rating.Label, 20))
	}
	at, err := time.Parse(time.RFC3339, r.Updated.Label)
	if err != nil {
		return mention.Post{}, fmt.Errorf("time %q", clip(r.Updated.Label, 40))
	}
	if r.ID.Label == "" {
		return mention.Post{}, errors.New("no id")
	}
	var likes *int64
	if n, err := strconv.ParseInt(r.Votes.Label, 10, 64); err == nil && n >= 0 {
		likes = &n
	}
	author := r.Author.URI.Label
	if i := strings.LastIndex(author, "/id"); i >= 0 {
		author = author[i+3:]
	}
	return mention.Post{
		Platform: "appstore", NativeID: r.ID.Label, Kind: mention.KindReview, Intake: mention.Live,
		URL: storeURL(cc, a.cfg.App), Lang: storeLang(cc),
		Author: mention.Author{ID: line(cmp.Or(author, r.Author.Name.Label)), Name: line(r.Author.Name.Label)},
		Title:  line(r.Title.Label), Text: clean(r.Content.Label), Rating: rating, Metrics: mention.Metrics{Likes: likes},
		Place:       mention.Place{ID: a.cfg.App, Name: cmp.Or(a.cfg.Name, "id"+a.cfg.App)},
		PublishedAt: at.UTC(), SeenAt: a.deps.Now(),
	}, nil
}
