package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
)

type googlePlayConfig struct {
	Package string        `yaml:"package" required:"true" doc:"Package name of the app, like com.example.app."`
	Name    string        `yaml:"name" doc:"Name of the app, shown as the place of its reviews."`
	Key     config.Secret `yaml:"key" required:"true" doc:"Key of a service account, the content of its JSON file. The account needs \"View app information\" and, to answer, \"Reply to reviews\" in the Play Console."`
	Server  string        `yaml:"server" doc:"Address of the API."`
	Poll    time.Duration `yaml:"poll" doc:"Pause between two fetches, 2m to 24h. The platform gives reviews of the last week, and 200 requests an hour."`
}

var packageName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+$`)

func (c *googlePlayConfig) Validate() error {
	var errs []error
	if !packageName.MatchString(c.Package) {
		errs = append(errs, config.Invalid("package", "must be like com.example.app"))
	}
	if webURL(c.Server) == "" {
		errs = append(errs, config.Invalid("server", "must start with http:// or https://"))
	}
	if c.Poll < 2*time.Minute || c.Poll > 24*time.Hour {
		errs = append(errs, config.Invalid("poll", "must be at least 2m, at most 24h"))
	}
	return errors.Join(errs...)
}

// playLimit is what the API's reference calls approximately 350.
var playLimit = Limit{Max: 350, Unit: Characters}

func googlePlayKind() Kind {
	return Kind{
		Kind: config.NewKind("googleplay", "Reviews with text of your own app in Google Play, with answers.",
			googlePlayConfig{Server: "https://androidpublisher.googleapis.com", Poll: 10 * time.Minute},
			func(c googlePlayConfig, d Deps) (Source, error) {
				c.Server = strings.TrimSuffix(c.Server, "/")
				renew := func() func(context.Context) (string, error) {
					return d.serviceAccount(c.Key, "https://www.googleapis.com/auth/androidpublisher")
				}
				return &googlePlay{cfg: c, api: api{deps: d, reason: googleReason, token: renew(), renew: renew}}, nil
			}),
		Platform: "googleplay",
		Duties:   Duties{MayLeave: true, Deletions: "Google does not tell, and gives reviews of the last week only. Erased on request."},
		Limit:    playLimit, OneAnswer: true,
	}
}

type googlePlay struct {
	cfg googlePlayConfig
	api
}

const (
	playPage  = 100                // the most the API gives at once
	playPages = 60                 // read per fetch, well within an hour's allowance
	playReach = 7 * 24 * time.Hour // how far back the API gives reviews
)

func (g *googlePlay) Poll() time.Duration { return g.cfg.Poll }

func (g *googlePlay) Fetch(ctx context.Context, cursor string) iter.Seq2[Item, error] {
	r := reviewReader{
		kind: "googleplay", of: g.cfg.Package, deps: g.deps, back: playReach, reach: playReach,
		lists: func(context.Context) ([]reviewList, error) {
			return []reviewList{{name: g.cfg.Package, pages: playPages, page: g.page}}, nil
		},
	}
	return r.fetch(ctx, cursor)
}

// playTime is a time as Google's older APIs write it.
type playTime struct {
	Seconds json.Number `json:"seconds"`
	Nanos   int64       `json:"nanos"`
}

func (t playTime) time() time.Time {
	s, err := t.Seconds.Int64()
	if err != nil || s <= 0 {
		return time.Time{}
	}
	return time.Unix(s, t.Nanos).UTC()
}

type playReview struct {
	ID       string `json:"reviewId"`
	Author   string `json:"authorName"`
	Comments []struct {
		User *struct {
			Text     string   `json:"text"`
			Original string   `json:"originalText"` // set when Text is a translation
			Modified playTime `json:"lastModified"`
			Rating   int      `json:"starRating"`
			Lang     string   `json:"reviewerLanguage"`
			Up       *int64   `json:"thumbsUpCount"`
		} `json:"userComment"`
		Developer *struct {
			Text     string   `json:"text"`
			Modified playTime `json:"lastModified"`
		} `json:"developerComment"`
	} `json:"comments"`
}

func (g *googlePlay) page(ctx context.Context, token string) (posts []mention.Post, next string, err error) {
	q := url.Values{"maxResults": {fmt.Sprint(playPage)}}
	if token != "" {
		q.Set("token", token)
	}
	var answer struct {
		Reviews []json.RawMessage `json:"reviews"`
		Tokens  struct {
			Next string `json:"nextPageToken"`
		} `json:"tokenPagination"`
	}
	if err := g.read(ctx, "?"+q.Encode(), &answer); err != nil {
		return nil, "", err
	}
	return readPosts(g.deps, "googleplay", answer.Reviews, g.post, func(r playReview) string { return r.ID }), answer.Tokens.Next, nil
}

func (g *googlePlay) address() string {
	return g.cfg.Server + "/androidpublisher/v3/applications/" + url.PathEscape(g.cfg.Package) + "/reviews"
}

// read gets what is at path below the app's reviews, within what the platform
// allows an app in an hour.
func (g *googlePlay) read(ctx context.Context, path string, out any) error {
	if err := g.deps.spend(ctx, budget{"reads", "reads", 200, time.Hour, 0}, 1); err != nil {
		return err
	}
	return g.get(ctx, g.address()+path, out)
}

func (g *googlePlay) post(r playReview) (mention.Post, error) {
	p := mention.Post{
		Platform: "googleplay", NativeID: r.ID, Kind: mention.KindReview, Intake: mention.Live, ReplyRef: r.ID,
		URL:    "https://play.google.com/store/apps/details?" + url.Values{"id": {g.cfg.Package}, "reviewId": {r.ID}}.Encode(),
		Author: mention.Author{Name: line(r.Author)},
		Place:  mention.Place{ID: g.cfg.Package, Name: cmp.Or(g.cfg.Name, g.cfg.Package)}, SeenAt: g.deps.Now(),
	}
	for _, c := range r.Comments {
		if u := c.User; u != nil {
			// A title comes before the text, with a tab between.
			title, text, both := strings.Cut(cmp.Or(u.Original, u.Text), "\t")
			if !both {
				title, text = "", title
			}
			p.Title, p.Text, p.Rating, p.PublishedAt = line(title), clean(text), u.Rating, u.Modified.time()
			p.Lang, p.Metrics.Likes = line(strings.ReplaceAll(u.Lang, "_", "-")), u.Up
		}
		if d := c.Developer; d != nil {
			p.Comments = append(p.Comments, mention.Comment{
				NativeID: r.ID + "#reply", URL: p.URL, Author: g.cfg.Name, Text: clean(d.Text), At: d.Modified.time(), Ours: true,
			})
		}
	}
	if r.ID == "" || p.PublishedAt.IsZero() || p.Rating < 1 || p.Rating > 5 {
		return p, fmt.Errorf("id %q, rating %d, modified %s", clip(r.ID, 60), p.Rating, p.PublishedAt)
	}
	return p, nil
}

// htmlTag is what the platform cuts out of answers.
var htmlTag = regexp.MustCompile(`<[A-Za-z/!][^<>]*>`)

// Reply answers a review, at once.
func (g *googlePlay) Reply(ctx context.Context, r Reply) (Sent, error) {
	id := r.To.ReplyRef
	if id == "" {
		return Sent{}, refuse("googleplay: the post does not say how to answer it")
	}
	if tag := htmlTag.FindString(r.Text); tag != "" {
		return Sent{}, Unfit.refuse("googleplay: Google cuts %s out of the text", clip(tag, 40))
	}
	sent, err := oneAnswer(ctx, r, playLimit, g.deps.Now(), g.standing(id), func(ctx context.Context) (Sent, error) {
		if err := g.deps.spend(ctx, budget{"writes", "answers", 2000, 24 * time.Hour, 0}, 1); err != nil {
			return Sent{}, err
		}
		var out struct {
			Result struct {
				Edited playTime `json:"lastEdited"`
			} `json:"result"`
		}
		in := map[string]string{"replyText": r.Text}
		if err := g.do(ctx, http.MethodPost, g.address()+"/"+url.PathEscape(id)+":reply", in, &out); err != nil {
			return Sent{}, googleRefused(err, `the service account may not answer: it needs "Reply to reviews" in the Play Console`)
		}
		return Sent{URL: r.To.URL, NativeID: id + "#reply", At: out.Result.Edited.time()}, nil
	})
	if err != nil {
		return Sent{}, fmt.Errorf("googleplay: %w", err)
	}
	return sent, nil
}

// Find reads the review's answer.
func (g *googlePlay) Find(ctx context.Context, r Reply) (Sent, error) {
	sent, err := findAnswer(ctx, r, g.standing(r.To.ReplyRef))
	if err != nil {
		return Sent{}, fmt.Errorf("googleplay: find answer: %w", err)
	}
	return sent, nil
}

func (g *googlePlay) standing(id string) func(context.Context) (*mention.Comment, error) {
	return func(ctx context.Context) (*mention.Comment, error) {
		p, err := g.review(ctx, id)
		if err != nil {
			return nil, err
		}
		return ourAnswer(p.Comments), nil
	}
}

func (g *googlePlay) review(ctx context.Context, id string) (mention.Post, error) {
	var r playReview
	if err := g.read(ctx, "/"+url.PathEscape(id), &r); err != nil {
		return mention.Post{}, err
	}
	return g.post(r)
}

func (g *googlePlay) Dedupes() time.Duration { return 0 }

func (g *googlePlay) Limit(context.Context) (Limit, error) { return playLimit, nil }

// Reread asks for each review, with its answer. Of one that is missing it says
// nothing: it may be gone, or too old for the API.
func (g *googlePlay) Reread(ctx context.Context, posts []mention.Post) ([]mention.Post, error) {
	out, err := rereadReviews(ctx, posts, g.deps.Now(), g.review, nil)
	if err != nil {
		err = fmt.Errorf("googleplay: %w", err)
	}
	return out, err
}
