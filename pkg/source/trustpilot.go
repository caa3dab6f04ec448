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
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

type trustpilotConfig struct {
	BusinessUnit string        `yaml:"business_unit" required:"true" doc:"ID of the business unit, 24 letters and digits."`
	Name         string        `yaml:"name" doc:"Name of the business, shown as the place of its reviews; Trustpilot's own if empty."`
	Key          string        `yaml:"key" required:"true" doc:"API key of Trustpilot's API module."`
	Secret       config.Secret `yaml:"secret" required:"true" doc:"Secret of that key."`
	Auth         string        `yaml:"auth" enum:"key,consent" doc:"How Trustpilot lets Earshot in: by the key and its secret, or by the consent of a business user on Trustpilot's own page."`
	User         string        `yaml:"user" doc:"ID of the business user who answers, from the profile page in Trustpilot Business. Without one Earshot only listens."`
	Push         config.Secret `yaml:"push" doc:"A long random word. Webhooks to the source's address, with ?key= and this word at its end, bring reviews, edits and deletions at once."`
	Backfill     time.Duration `yaml:"backfill" doc:"How old reviews may be when they are first seen, at most 365d."`
	Server       string        `yaml:"server" doc:"Address of the API."`
	Poll         time.Duration `yaml:"poll" doc:"Pause between two fetches, at least 5m. One that finds nothing new is one call; the smallest plan has 200000 a year."`
}

var hexID = regexp.MustCompile(`^[0-9a-f]{24}$`)

func (c *trustpilotConfig) Validate() error {
	var errs []error
	if !hexID.MatchString(c.BusinessUnit) {
		errs = append(errs, config.Invalid("business_unit", "must be 24 letters a-f and digits"))
	}
	if c.User != "" && !hexID.MatchString(c.User) {
		errs = append(errs, config.Invalid("user", "must be 24 letters a-f and digits"))
	}
	if webURL(c.Server) == "" {
		errs = append(errs, config.Invalid("server", "must start with http:// or https://"))
	}
	return errors.Join(append(errs, backfill(c.Backfill), atLeast("poll", c.Poll, 5*time.Minute))...)
}

// trustpilotLimit is ours: Trustpilot names none.
var trustpilotLimit = Limit{Max: 10_000, Unit: Characters}

func trustpilotKind() Kind {
	return Kind{
		Kind: config.NewKind("trustpilot", "Reviews of your business on Trustpilot, with answers. Needs Trustpilot's API module.",
			trustpilotConfig{Auth: "key", Backfill: 30 * 24 * time.Hour, Server: "https://api.trustpilot.com", Poll: 15 * time.Minute},
			func(c trustpilotConfig, d Deps) (Source, error) {
				c.Server = strings.TrimSuffix(c.Server, "/")
				s := &trustpilot{cfg: c, api: api{deps: d, reason: trustpilotReason}}
				if c.Auth == "consent" {
					s.token = d.token(s.Consent())
					return s, nil
				}
				s.renew = func() func(context.Context) (string, error) { return d.trustpilotToken(c) }
				s.token = s.renew()
				return s, nil
			}),
		Platform: "trustpilot",
		Duties:   Duties{MayLeave: true, Deletions: "A webhook tells at once. Without one nothing does: erased on request."},
		Consents: true, Limit: trustpilotLimit, OneAnswer: true, WriteKeys: []string{"secret", "user"},
	}
}

// trustpilotToken is for the API's own users (client credentials).
func (d Deps) trustpilotToken(c trustpilotConfig) func(context.Context) (string, error) {
	secret, err := c.Secret.Reveal()
	if err != nil {
		return func(context.Context) (string, error) { return "", err }
	}
	return d.clientToken(clientcredentials.Config{
		ClientID: c.Key, ClientSecret: secret, AuthStyle: oauth2.AuthStyleInHeader,
		TokenURL: c.tokens(),
	})
}

// tokens is where tokens are given, and renewed.
func (c trustpilotConfig) tokens() string {
	return c.Server + "/v1/oauth/oauth-business-users-for-applications/accesstoken"
}

type trustpilot struct {
	cfg trustpilotConfig
	api
}

const (
	trustpilotPage  = 100 // the most the API gives at once
	trustpilotPages = 50  // read per fetch
)

func (s *trustpilot) Poll() time.Duration { return s.cfg.Poll }

// Consent lets us in as a business user. A token is good for 100 hours; what it
// is renewed with ends 30 days after the last renewal.
func (s *trustpilot) Consent() oauth2.Config {
	if s.cfg.Auth != "consent" {
		return oauth2.Config{}
	}
	secret, _ := s.cfg.Secret.Reveal()
	return oauth2.Config{
		ClientID: s.cfg.Key, ClientSecret: secret,
		Endpoint: oauth2.Endpoint{AuthURL: "https://authenticate.trustpilot.com", TokenURL: s.cfg.tokens(), AuthStyle: oauth2.AuthStyleInHeader},
	}
}

func (s *trustpilot) Fetch(ctx context.Context, cursor string) iter.Seq2[Item, error] {
	r := reviewReader{
		kind: "trustpilot", of: s.cfg.BusinessUnit, deps: s.deps, back: s.cfg.Backfill,
		lists: func(context.Context) ([]reviewList, error) {
			return []reviewList{{name: cmp.Or(s.cfg.Name, s.cfg.BusinessUnit), pages: trustpilotPages, page: s.page}}, nil
		},
	}
	return r.fetch(ctx, cursor)
}

// trustpilotReview is a review as the private API or a webhook gives it. The
// customer's e-mail address and order number, which are there too, are not read.
type trustpilotReview struct {
	ID       string     `json:"id"`
	Stars    int        `json:"stars"`
	Title    string     `json:"title"`
	Text     string     `json:"text"`
	Language string     `json:"language"`
	Created  time.Time  `json:"createdAt"`
	Updated  *time.Time `json:"updatedAt"`
	Likes    *int64     `json:"numberOfLikes"`
	Consumer struct {
		ID      string `json:"id"`
		Display string `json:"displayName"`
		Name    string `json:"name"` // in webhooks
	} `json:"consumer"`
	Unit struct {
		Name string `json:"displayName"`
	} `json:"businessUnit"`
	Location *struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"location"`
	Reply *struct {
		Text    string     `json:"text"`
		Author  string     `json:"authorBusinessUserName"`
		Created time.Time  `json:"createdAt"`
		Updated *time.Time `json:"updatedAt"`
	} `json:"companyReply"`
}

func (s *trustpilot) page(ctx context.Context, token string) (posts []mention.Post, next string, err error) {
	n := 1
	if token != "" {
		n, _ = strconv.Atoi(token)
	}
	var answer struct {
		Reviews []json.RawMessage `json:"reviews"`
	}
	address := fmt.Sprintf("%s/v1/private/business-units/%s/reviews?orderBy=createdat.desc&perPage=%d&page=%d", s.cfg.Server, s.cfg.BusinessUnit, trustpilotPage, n)
	if err := s.get(ctx, address, &answer); err != nil {
		return nil, "", err
	}
	if answer.Reviews == nil {
		return nil, "", without("reviews")
	}
	posts = readPosts(s.deps, "trustpilot", answer.Reviews, s.post, func(r trustpilotReview) string { return r.ID })
	if len(answer.Reviews) == trustpilotPage {
		next = strconv.Itoa(n + 1)
	}
	return posts, next, nil
}

func (s *trustpilot) post(r trustpilotReview) (mention.Post, error) {
	p := mention.Post{
		Platform: "trustpilot", NativeID: r.ID, Kind: mention.KindReview, Intake: mention.Live, ReplyRef: r.ID,
		URL:   "https://www.trustpilot.com/reviews/" + url.PathEscape(r.ID),
		Title: line(r.Title), Text: clean(r.Text), Rating: r.Stars, Lang: line(r.Language), Metrics: mention.Metrics{Likes: r.Likes},
		Place:       mention.Place{ID: s.cfg.BusinessUnit, Name: cmp.Or(s.cfg.Name, line(r.Unit.Name), s.cfg.BusinessUnit)},
		PublishedAt: r.Created.UTC(), SeenAt: s.deps.Now(),
	}
	if !hexID.MatchString(r.ID) || r.Created.IsZero() || r.Stars < 1 || r.Stars > 5 {
		return p, fmt.Errorf("id %q, stars %d, created %s", clip(r.ID, 60), r.Stars, r.Created)
	}
	if c := r.Consumer; hexID.MatchString(c.ID) {
		p.Author = mention.Author{ID: c.ID, URL: "https://www.trustpilot.com/users/" + c.ID}
	}
	p.Author.Name = line(cmp.Or(r.Consumer.Display, r.Consumer.Name))
	if r.Location != nil && r.Location.ID != "" {
		p.Place = mention.Place{ID: line(r.Location.ID), Name: cmp.Or(line(r.Location.Name), p.Place.Name)}
	}
	if r.Updated != nil && r.Updated.After(r.Created) {
		p.EditedAt = r.Updated.UTC()
	}
	if r.Reply != nil && strings.TrimSpace(r.Reply.Text) != "" {
		at := r.Reply.Created
		if r.Reply.Updated != nil {
			at = *r.Reply.Updated
		}
		p.Comments = []mention.Comment{{
			NativeID: r.ID + "/reply", URL: p.URL, Author: cmp.Or(line(r.Reply.Author), p.Place.Name), Text: clean(r.Reply.Text), At: at.UTC(), Ours: true,
		}}
	}
	return p, nil
}

// Reply answers a review, at once.
func (s *trustpilot) Reply(ctx context.Context, r Reply) (Sent, error) {
	id, err := s.ref(r)
	if err != nil {
		return Sent{}, err
	}
	if s.cfg.User == "" {
		return Sent{}, NotGranted.refuse("trustpilot: answering needs the ID of a business user")
	}
	sent, err := oneAnswer(ctx, r, trustpilotLimit, s.deps.Now(), s.standing(id), func(ctx context.Context) (Sent, error) {
		in := map[string]string{"authorBusinessUserId": s.cfg.User, "message": r.Text}
		if err := s.do(ctx, http.MethodPost, s.at(id)+"/reply", in, nil); err != nil {
			if status(err) == http.StatusForbidden {
				return Sent{}, NotGranted.refuse("the business user may not answer: %w", err)
			}
			return Sent{}, err
		}
		return Sent{URL: r.To.URL, NativeID: id + "/reply", At: s.deps.Now()}, nil
	})
	if err != nil {
		return Sent{}, fmt.Errorf("trustpilot: %w", err)
	}
	return sent, nil
}

// Find reads the review's answer.
func (s *trustpilot) Find(ctx context.Context, r Reply) (Sent, error) {
	id, err := s.ref(r)
	if err != nil {
		return Sent{}, err
	}
	sent, err := findAnswer(ctx, r, s.standing(id))
	if err != nil {
		return Sent{}, fmt.Errorf("trustpilot: find answer: %w", err)
	}
	return sent, nil
}

func (s *trustpilot) ref(r Reply) (string, error) {
	if !hexID.MatchString(r.To.ReplyRef) {
		return "", refuse("trustpilot: the post does not say how to answer it")
	}
	return r.To.ReplyRef, nil
}

func (s *trustpilot) at(id string) string {
	return s.cfg.Server + "/v1/private/reviews/" + url.PathEscape(id)
}

func (s *trustpilot) standing(id string) func(context.Context) (*mention.Comment, error) {
	return func(ctx context.Context) (*mention.Comment, error) {
		p, err := s.review(ctx, id)
		if err != nil {
			return nil, err
		}
		return ourAnswer(p.Comments), nil
	}
}

func (s *trustpilot) review(ctx context.Context, id string) (mention.Post, error) {
	var r trustpilotReview
	if err := s.get(ctx, s.at(id), &r); err != nil {
		return mention.Post{}, err
	}
	return s.post(r)
}

func (s *trustpilot) Dedupes() time.Duration { return 0 }

func (s *trustpilot) Limit(context.Context) (Limit, error) { return trustpilotLimit, nil }

// Reread asks for each review, with its answer.
func (s *trustpilot) Reread(ctx context.Context, posts []mention.Post) ([]mention.Post, error) {
	out, err := rereadReviews(ctx, posts, s.deps.Now(), s.review, func(ctx context.Context) error {
		_, _, err := s.page(ctx, "")
		return err
	})
	if err != nil {
		err = fmt.Errorf("trustpilot: %w", err)
	}
	return out, err
}

// Receive takes the events of Trustpilot's webhooks, which it does not sign.
func (s *trustpilot) Receive(_ context.Context, p Push) (Pushed, error) {
	if err := knows(s.cfg.Push, p); err != nil {
		return Pushed{}, err
	}
	var in struct {
		Events []struct {
			Name string          `json:"eventName"`
			Data json.RawMessage `json:"eventData"`
		} `json:"events"`
	}
	if err := json.Unmarshal(p.Body, &in); err != nil {
		return Pushed{}, refuse("not an event of Trustpilot: %w", err)
	}
	var out Pushed
	for _, e := range in.Events {
		var r trustpilotReview
		err := json.Unmarshal(e.Data, &r)
		var post mention.Post
		switch {
		case e.Name != "service-review-created" && e.Name != "service-review-updated" && e.Name != "service-review-deleted":
			continue
		case err != nil:
		case e.Name == "service-review-deleted":
			if !hexID.MatchString(r.ID) {
				err = errors.New("no id")
			}
			post = withdrawn(mention.Post{Platform: "trustpilot", NativeID: r.ID, Kind: mention.KindReview, PublishedAt: r.Created.UTC()}, s.deps.Now())
		default:
			if post, err = s.post(r); e.Name == "service-review-updated" && post.EditedAt.IsZero() {
				post.EditedAt = s.deps.Now()
			}
		}
		if err != nil {
			s.deps.skip("trustpilot", r.ID, err)
			continue
		}
		out.Items = append(out.Items, Item{Post: post})
	}
	return out, nil
}

// trustpilotReason reads Trustpilot's errors.
func trustpilotReason(body []byte) string {
	var e struct {
		Message string `json:"message"`
		Code    any    `json:"errorCode"`
		Fault   struct {
			Text string `json:"faultstring"` // of the gateway
		} `json:"fault"`
	}
	if json.Unmarshal(body, &e) != nil {
		return ""
	}
	return cmp.Or(e.Message, e.Fault.Text)
}
