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
	Countries []string      `yaml:"countries" doc:"Stores to read, two letters each."`
	Server    string        `yaml:"server" doc:"Address of the review feeds."`
	Poll      time.Duration `yaml:"poll" doc:"Pause between two fetches, at least 5m."`
}

var (
	digits  = regexp.MustCompile(`^\d{1,15}$`)
	country = regexp.MustCompile(`^[a-z]{2}$`)
)

func (c *appStoreConfig) Validate() error {
	var errs []error
	if !digits.MatchString(c.App) {
		errs = append(errs, config.Invalid("app", "must be the app's number, without id"))
	}
	if len(c.Countries) == 0 {
		errs = append(errs, config.Invalid("countries", "required"))
	}
	for i, cc := range c.Countries {
		if !country.MatchString(cc) {
			errs = append(errs, config.Invalid(fmt.Sprintf("countries[%d]", i), "%q is not like jp", cc))
		}
	}
	if webURL(c.Server) == "" {
		errs = append(errs, config.Invalid("server", "must start with http:// or https://"))
	}
	return errors.Join(append(errs, atLeast("poll", c.Poll, 5*time.Minute))...)
}

func appStoreKind() Kind {
	return Kind{
		Kind: config.NewKind("appstore", "Reviews in Apple's App Store, from the public feed: the newest 500 of each country. Answers are written in App Store Connect.",
			appStoreConfig{Countries: []string{"jp", "us"}, Server: "https://itunes.apple.com", Poll: 15 * time.Minute},
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

type appStoreCursor struct {
	App  string `json:"app"`
	Seen string `json:"seen"`
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
	Author  struct {
		Name appStoreLabel `json:"name"`
		URI  appStoreLabel `json:"uri"`
	} `json:"author"`
}

func (a *appStore) Fetch(ctx context.Context, cursor string) iter.Seq2[Item, error] {
	var cur appStoreCursor
	if cursor != "" {
		if err := json.Unmarshal([]byte(cursor), &cur); err != nil {
			return failed(fmt.Errorf("appstore: cursor: %w", err))
		}
	}
	if cur.App != a.cfg.App {
		cur = appStoreCursor{App: a.cfg.App}
	}
	return func(yield func(Item, error) bool) {
		s := loadSeen(cur.Seen)
		var news []mention.Post
		var shown []string
		var failure error
		for _, cc := range a.cfg.Countries {
			more, all, err := a.country(ctx, cc, s)
			if err != nil {
				failure = fmt.Errorf("appstore: %s: %w", cc, err)
				continue
			}
			news, shown = append(news, more...), append(shown, all...)
		}
		slices.SortStableFunc(news, byAge)
		for i, p := range news {
			if s.look(p.NativeID, reviewState(p)) == known {
				continue
			}
			s.add(p.NativeID, reviewState(p))
			cur.Seen = s.String()
			if i == len(news)-1 && failure == nil {
				cur.Seen = s.shrunk(shown)
			}
			next, _ := json.Marshal(cur)
			if !yield(Item{Post: p, Cursor: string(next)}, nil) {
				return
			}
		}
		if failure != nil {
			yield(Item{}, failure)
		}
	}
}

// reviewState is what makes an edited review another one.
func reviewState(p mention.Post) string { return strconv.Itoa(p.Rating) + "\x00" + p.Content() }

// country reads a store's pages, newest first, until one has nothing new. It
// returns what is new, and the ids of all it read; with an error neither, or
// what is on the pages after it would be missed once the first is known.
func (a *appStore) country(ctx context.Context, cc string, s *seen) (news []mention.Post, shown []string, err error) {
	for page := 1; page <= appStorePages; page++ {
		reviews, err := a.page(ctx, cc, page)
		if err != nil {
			return nil, nil, err
		}
		before := len(news)
		for _, r := range reviews {
			p, err := a.post(cc, r)
			if err != nil {
				a.deps.skip("appstore", r.ID.Label, err)
				continue
			}
			shown = append(shown, p.NativeID)
			switch s.look(p.NativeID, reviewState(p)) {
			case edited:
				p.EditedAt = p.PublishedAt
				fallthrough
			case fresh:
				news = append(news, p)
			}
		}
		if len(news) == before {
			break
		}
	}
	return news, shown, nil
}

func (a *appStore) page(ctx context.Context, cc string, page int) ([]appStoreReview, error) {
	var answer struct {
		Feed struct {
			Entry json.RawMessage `json:"entry"`
		} `json:"feed"`
	}
	address := fmt.Sprintf("%s/%s/rss/customerreviews/page=%d/id=%s/sortby=mostrecent/json", a.cfg.Server, cc, page, a.cfg.App)
	if err := getJSON(ctx, a.deps.HTTP, address, nil, &answer); err != nil {
		return nil, err
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
	author := r.Author.URI.Label
	if i := strings.LastIndex(author, "/id"); i >= 0 {
		author = author[i+3:]
	}
	return mention.Post{
		Platform: "appstore", NativeID: r.ID.Label, Kind: mention.KindReview, Intake: mention.Live,
		URL:    "https://apps.apple.com/" + cc + "/app/id" + a.cfg.App + "?see-all=reviews",
		Author: mention.Author{ID: line(cmp.Or(author, r.Author.Name.Label)), Name: line(r.Author.Name.Label)},
		Title:  line(r.Title.Label), Text: clean(r.Content.Label), Rating: rating,
		Place:       mention.Place{ID: a.cfg.App, Name: cmp.Or(a.cfg.Name, "id"+a.cfg.App)},
		PublishedAt: at.UTC(), SeenAt: a.deps.Now(),
	}, nil
}
