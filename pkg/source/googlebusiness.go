package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"golang.org/x/oauth2"
)

type businessConfig struct {
	ClientID     string        `yaml:"client_id" required:"true" doc:"OAuth client ID of a Google Cloud project that Google has let use the Business Profile APIs."`
	ClientSecret config.Secret `yaml:"client_secret" required:"true" doc:"Secret of that client."`
	Locations    []string      `yaml:"locations" doc:"Only these locations: numbers, store codes or titles. All that the account manages if empty."`
	Push         config.Secret `yaml:"push" doc:"A long random word. A Pub/Sub push subscription to the source's address, with ?key= and this word at its end, then brings reviews at once."`
	Backfill     time.Duration `yaml:"backfill" doc:"How old reviews may be when they are first seen, at most 365d."`
	Server       string        `yaml:"server" doc:"Address of Google's APIs; {api} stands for the name of each."`
	Poll         time.Duration `yaml:"poll" doc:"Pause between two fetches, at least 1m. Each location is one request; a project has 300 a minute."`
}

func (c *businessConfig) Validate() error {
	var errs []error
	if webURL(strings.Replace(c.Server, "{api}", "api", 1)) == "" || !strings.Contains(c.Server, "{api}") {
		errs = append(errs, config.Invalid("server", "must be like https://{api}.googleapis.com"))
	}
	return errors.Join(append(errs, backfill(c.Backfill), atLeast("poll", c.Poll, time.Minute))...)
}

// businessLimit is that of the API's reference, in bytes.
var businessLimit = Limit{Max: 4096, Unit: UTF8Bytes}

func googleBusinessKind() Kind {
	return Kind{
		Kind: config.NewKind("googlebusiness", "Reviews of your places on Google Maps and Search, through Google Business Profile, with answers.",
			businessConfig{Backfill: 30 * 24 * time.Hour, Server: "https://{api}.googleapis.com", Poll: 10 * time.Minute},
			func(c businessConfig, d Deps) (Source, error) {
				c.Server = strings.TrimSuffix(c.Server, "/")
				s := &googleBusiness{cfg: c, api: api{deps: d, reason: googleReason}}
				s.token = d.token(s.Consent())
				return s, nil
			}),
		Platform: "gbp",
		// Business Profile APIs policies, "Content storage".
		Duties: Duties{
			Retention: 30 * 24 * time.Hour,
			Deletions: "Google does not tell, and a review that is missing may be back later. Google allows content to be kept for 30 days.",
		},
		Consents: true, Limit: businessLimit, OneAnswer: true, WriteKeys: []string{"client_secret"},
	}
}

type googleBusiness struct {
	cfg businessConfig
	api

	mu     sync.Mutex
	places []businessPlace
	listed time.Time
}

const (
	businessPage  = 50        // the most that accounts.locations.reviews.list gives at once, by its reference
	businessPages = 40        // read of a location per fetch
	placesFor     = time.Hour // how long a list of locations is good
)

// businessPlace is a location that an account manages.
type businessPlace struct {
	account  string // accounts/1
	Name     string `json:"name"` // locations/2
	Title    string `json:"title"`
	Code     string `json:"storeCode"`
	Metadata struct {
		Maps string `json:"mapsUri"`
		// Voice tells that the location is verified and in the account's hands.
		Voice *bool `json:"hasVoiceOfMerchant"`
	} `json:"metadata"`
}

func (p businessPlace) number() string { return strings.TrimPrefix(p.Name, "locations/") }

func (p businessPlace) unverified() bool { return p.Metadata.Voice != nil && !*p.Metadata.Voice }

func (s *googleBusiness) Poll() time.Duration { return s.cfg.Poll }

// Consent lets us in for as long as nobody takes it back.
func (s *googleBusiness) Consent() oauth2.Config {
	secret, _ := s.cfg.ClientSecret.Reveal()
	return oauth2.Config{
		ClientID: s.cfg.ClientID, ClientSecret: secret, Scopes: []string{"https://www.googleapis.com/auth/business.manage"},
		Endpoint: oauth2.Endpoint{AuthURL: "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent", TokenURL: s.at("oauth2") + "/token"},
	}
}

func (s *googleBusiness) at(api string) string { return strings.Replace(s.cfg.Server, "{api}", api, 1) }

func (s *googleBusiness) reviews() string { return s.at("mybusiness") + "/v4/" }

func (s *googleBusiness) Fetch(ctx context.Context, cursor string) iter.Seq2[Item, error] {
	r := reviewReader{kind: "googlebusiness", of: s.cfg.ClientID, deps: s.deps, back: s.cfg.Backfill, lists: func(ctx context.Context) ([]reviewList, error) {
		places, err := s.managed(ctx)
		if err != nil {
			return nil, err
		}
		var out []reviewList
		for _, p := range places {
			out = append(out, reviewList{name: p.Title, pages: businessPages, page: func(ctx context.Context, token string) ([]mention.Post, string, error) {
				return s.page(ctx, p, token)
			}})
		}
		return out, nil
	}}
	return r.fetch(ctx, cursor)
}

// managed returns the locations of all accounts, as far as they are wanted.
func (s *googleBusiness) managed(ctx context.Context) ([]businessPlace, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.deps.Now(); !s.listed.IsZero() && now.Sub(s.listed) < placesFor {
		return s.places, nil
	}
	accounts, err := s.accounts(ctx)
	if err != nil {
		return nil, err
	}
	var places []businessPlace
	for _, a := range accounts {
		if !accountName.MatchString(a.Name) {
			continue
		}
		// The most of accounts.locations.list of the Business Information API.
		q := url.Values{"pageSize": {"100"}, "readMask": {"name,title,storeCode,metadata"}}
		list, err := googlePages[businessPlace](ctx, s, s.at("mybusinessbusinessinformation")+"/v1/"+a.Name+"/locations", q, "locations")
		if err != nil {
			return nil, fmt.Errorf("locations of %s: %w", a.Name, err)
		}
		for _, p := range list {
			if !locationName.MatchString(p.Name) {
				s.deps.skip("googlebusiness", p.Name, errors.New("no location"))
				continue
			}
			p.account, p.Title = a.Name, line(p.Title)
			twice := slices.ContainsFunc(places, func(o businessPlace) bool { return o.Name == p.Name })
			if !twice && s.wanted(p) {
				places = append(places, p)
			}
		}
	}
	s.places, s.listed = places, s.deps.Now()
	return places, nil
}

// businessAccount is an account that who consented owns or manages.
type businessAccount struct {
	Name  string `json:"name"`        // accounts/1
	Title string `json:"accountName"` // of a person, a group or an organisation
	Type  string `json:"type"`        // PERSONAL, LOCATION_GROUP …
}

func (s *googleBusiness) accounts(ctx context.Context) ([]businessAccount, error) {
	// 20 is the most of accounts.list of the Account Management API.
	out, err := googlePages[businessAccount](ctx, s, s.at("mybusinessaccountmanagement")+"/v1/accounts", url.Values{"pageSize": {"20"}}, "accounts")
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	return out, nil
}

// Account is the person who consented, and whom else they manage.
func (s *googleBusiness) Account(ctx context.Context) (string, error) {
	accounts, err := s.accounts(ctx)
	if err != nil {
		return "", fmt.Errorf("googlebusiness: whose consent is it: %w", err)
	}
	slices.SortStableFunc(accounts, func(a, b businessAccount) int {
		rank := map[string]int{"PERSONAL": -1}
		return rank[a.Type] - rank[b.Type]
	})
	var names []string
	for _, a := range accounts {
		if t := line(a.Title); t != "" && !slices.Contains(names, t) {
			names = append(names, t)
		}
	}
	if more := len(names) - 3; more > 0 {
		names = append(names[:3], fmt.Sprintf("+%d", more))
	}
	return strings.Join(names, ", "), nil
}

var (
	accountName  = regexp.MustCompile(`^accounts/[A-Za-z0-9_-]+$`)
	locationName = regexp.MustCompile(`^locations/[A-Za-z0-9_-]+$`)
	reviewName   = regexp.MustCompile(`(?:accounts/[A-Za-z0-9_-]+/)?(locations/[A-Za-z0-9_-]+)/reviews/([A-Za-z0-9_=-]+)`)
)

func (s *googleBusiness) wanted(p businessPlace) bool {
	return len(s.cfg.Locations) == 0 || slices.ContainsFunc(s.cfg.Locations, func(w string) bool {
		w = strings.TrimSpace(w)
		return w == p.Name || w == p.number() || w != "" && (w == p.Code || strings.EqualFold(w, p.Title))
	})
}

// googlePages reads all pages of the list that answers have under key.
func googlePages[T any](ctx context.Context, s *googleBusiness, address string, q url.Values, key string) ([]T, error) {
	var out []T
	for range 100 {
		var answer map[string]json.RawMessage
		if err := s.get(ctx, address+"?"+q.Encode(), &answer); err != nil {
			return nil, googleRefused(err, "Google does not let this client or account use the Business Profile APIs")
		}
		var page readable[T]
		var next string
		if raw, ok := answer[key]; ok {
			if err := json.Unmarshal(raw, &page); err != nil {
				return nil, fmt.Errorf("%s are not what they should be: %w", key, err)
			}
		}
		out = append(out, page...)
		if json.Unmarshal(answer["nextPageToken"], &next) != nil || next == "" || next == q.Get("pageToken") {
			break
		}
		q.Set("pageToken", next)
	}
	return out, nil
}

type businessReview struct {
	Name     string `json:"name"` // accounts/1/locations/2/reviews/3
	Reviewer struct {
		Name      string `json:"displayName"`
		Photo     string `json:"profilePhotoUrl"`
		Anonymous bool   `json:"isAnonymous"`
	} `json:"reviewer"`
	Stars   string         `json:"starRating"` // in words
	Comment string         `json:"comment"`
	Created time.Time      `json:"createTime"`
	Updated time.Time      `json:"updateTime"`
	Reply   *businessReply `json:"reviewReply"`
	// ReviewMediaItem of accounts.locations.reviews, developers.google.com/my-business/reference/rest/v4.
	Media []struct {
		Thumbnail string `json:"thumbnailUrl"` // of a photo, and of a video too
		Video     string `json:"videoUrl"`
	} `json:"reviewMediaItems"`
}

type businessReply struct {
	Comment string    `json:"comment"`
	Updated time.Time `json:"updateTime"`
	// State is APPROVED, PENDING or REJECTED; empty where Google does not say.
	State  string          `json:"reviewReplyState"`
	Policy json.RawMessage `json:"policyViolation"`
}

var starWords = map[string]int{"ONE": 1, "TWO": 2, "THREE": 3, "FOUR": 4, "FIVE": 5}

// page reads the reviews of a place. A place that is not verified may have none
// for us.
func (s *googleBusiness) page(ctx context.Context, p businessPlace, token string) (posts []mention.Post, next string, err error) {
	q := url.Values{"pageSize": {fmt.Sprint(businessPage)}, "orderBy": {"updateTime desc"}}
	if token != "" {
		q.Set("pageToken", token)
	}
	var answer struct {
		Reviews []json.RawMessage `json:"reviews"`
		Next    string            `json:"nextPageToken"`
	}
	if err := s.get(ctx, s.reviews()+p.account+"/"+p.Name+"/reviews?"+q.Encode(), &answer); err != nil {
		if code := status(err); p.unverified() && (code == http.StatusBadRequest || code == http.StatusForbidden || code == http.StatusNotFound) {
			s.deps.Log.Warn("a location's reviews can't be read before it is verified", "location", p.Name, "title", p.Title)
			return nil, "", nil
		}
		return nil, "", err
	}
	post := func(r businessReview) (mention.Post, error) { return s.post(p, r) }
	return readPosts(s.deps, "googlebusiness", answer.Reviews, post, func(r businessReview) string { return r.Name }), answer.Next, nil
}

func (s *googleBusiness) post(place businessPlace, r businessReview) (mention.Post, error) {
	p := mention.Post{
		Platform: "gbp", NativeID: businessID(r.Name), Kind: mention.KindReview, Intake: mention.Live, ReplyRef: r.Name,
		URL: webURL(place.Metadata.Maps), Text: clean(googleOriginal(r.Comment)), Rating: starWords[r.Stars],
		Place:       mention.Place{ID: place.number(), Name: place.Title},
		PublishedAt: r.Created.UTC(), SeenAt: s.deps.Now(),
	}
	if !r.Reviewer.Anonymous {
		p.Author = mention.Author{Name: line(r.Reviewer.Name), Avatar: webURL(r.Reviewer.Photo)}
	}
	for _, m := range r.Media[:min(len(r.Media), maxMedia)] {
		if u := webURL(m.Video); u != "" {
			p.Media = append(p.Media, mention.Media{Type: mention.Video, URL: u})
		} else if u := webURL(m.Thumbnail); u != "" {
			p.Media = append(p.Media, mention.Media{Type: mention.Image, URL: u})
		}
	}
	if r.Updated.After(r.Created) {
		p.EditedAt = r.Updated.UTC()
	}
	if place.unverified() {
		p.NoReply = mention.Unverified
	}
	if r.Reply != nil && strings.TrimSpace(r.Reply.Comment) != "" {
		p.Comments = []mention.Comment{r.Reply.comment(p)}
	}
	if p.NativeID == "" || p.PublishedAt.IsZero() || p.Rating == 0 {
		return p, fmt.Errorf("name %q, created %s, rating %q", clip(r.Name, 100), p.PublishedAt, clip(r.Stars, 20))
	}
	return p, nil
}

func (r businessReply) comment(p mention.Post) mention.Comment {
	c := mention.Comment{NativeID: p.NativeID + "/reply", URL: p.URL, Author: p.Place.Name, Text: clean(r.Comment), At: r.Updated.UTC(), Ours: true}
	switch r.State {
	case "PENDING":
		c.State = mention.Pending
	case "REJECTED":
		c.State = mention.Rejected
	}
	return c
}

// businessID is a review's name without its account: a location may move from
// one account to another.
func businessID(name string) string {
	m := reviewName.FindStringSubmatch(name)
	if m == nil || m[0] != name {
		return ""
	}
	return m[1] + "/reviews/" + m[2]
}

// googleOriginal returns what the author wrote of a comment to which Google has
// added its translation, before or after.
func googleOriginal(comment string) string {
	const translated, original = "(Translated by Google)", "(Original)"
	if rest, ok := strings.CutPrefix(strings.TrimSpace(comment), translated); ok {
		if _, after, ok := strings.Cut(rest, "\n"+original+"\n"); ok {
			return after
		}
		return rest
	}
	if before, _, ok := strings.Cut(comment, "\n"+translated+"\n"); ok {
		return before
	}
	return comment
}
