package source

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/text/language"
)

type connectConfig struct {
	App      string        `yaml:"app" required:"true" doc:"Number of the app, from its address in the store (id123456789)."`
	Name     string        `yaml:"name" doc:"Name of the app, shown as the place of its reviews."`
	Issuer   string        `yaml:"issuer" doc:"Issuer ID of the team's API keys. Empty for a person's own key."`
	KeyID    string        `yaml:"key_id" required:"true" doc:"Key ID of the API key."`
	Key      config.Secret `yaml:"key" required:"true" doc:"The private key: the content of the .p8 file. Reading needs the role App Manager or Customer Support, answering Admin or Customer Support."`
	Backfill time.Duration `yaml:"backfill" doc:"How old reviews may be when they are first seen, at most 365d."`
	Server   string        `yaml:"server" doc:"Address of the API."`
	Poll     time.Duration `yaml:"poll" doc:"Pause between two fetches, at least 1m. One that finds nothing new is one request of about 3500 an hour."`
}

func (c *connectConfig) Validate() error {
	var errs []error
	if !digits.MatchString(c.App) {
		errs = append(errs, config.Invalid("app", "must be the app's number, without id"))
	}
	if webURL(c.Server) == "" {
		errs = append(errs, config.Invalid("server", "must start with http:// or https://"))
	}
	return errors.Join(append(errs, backfill(c.Backfill), atLeast("poll", c.Poll, time.Minute))...)
}

// connectLimit is not documented: the API's CustomerReviewResponseV1 names no
// length, nor does any other page of Apple's that was found. 5,970 was seen on App
// Store Connect's own page and stands in other clients of the API.
var connectLimit = Limit{Max: 5970, Unit: Characters}

func appStoreConnectKind() Kind {
	return Kind{
		Kind: config.NewKind("appstoreconnect", "Reviews of your own app in Apple's App Store, all countries, through App Store Connect, with answers.",
			connectConfig{Backfill: 30 * 24 * time.Hour, Server: "https://api.appstoreconnect.apple.com", Poll: 10 * time.Minute},
			func(c connectConfig, d Deps) (Source, error) {
				c.Server = strings.TrimSuffix(c.Server, "/")
				s := &appStoreConnect{cfg: c, api: api{deps: d, reason: connectReason}}
				s.token = (&connectSigner{cfg: c, now: d.Now}).token
				return s, nil
			}),
		Platform: "appstore",
		Duties: Duties{
			MayLeave: true, Reread: 7 * 24 * time.Hour,
			Deletions: "Nothing tells: reviews are asked for again once a week, one request each, of about 3500 an hour.",
		},
		Limit: connectLimit, OneAnswer: true,
	}
}

type appStoreConnect struct {
	cfg connectConfig
	api
}

const (
	connectPage  = 200 // the most the API gives at once
	connectPages = 25  // read per fetch
)

func (s *appStoreConnect) Poll() time.Duration { return s.cfg.Poll }

func (s *appStoreConnect) Fetch(ctx context.Context, cursor string) iter.Seq2[Item, error] {
	r := reviewReader{
		kind: "appstoreconnect", of: s.cfg.App, deps: s.deps, back: s.cfg.Backfill,
		still: true, // createdDate is when the review was created
		lists: func(context.Context) ([]reviewList, error) {
			return []reviewList{{name: "app " + s.cfg.App, pages: connectPages, page: s.page}}, nil
		},
	}
	return r.fetch(ctx, cursor)
}

type connectReview struct {
	ID         string `json:"id"`
	Attributes struct {
		Rating    int       `json:"rating"`
		Title     string    `json:"title"`
		Body      string    `json:"body"`
		Nickname  string    `json:"reviewerNickname"`
		Created   time.Time `json:"createdDate"`
		Territory string    `json:"territory"` // three letters
	} `json:"attributes"`
	Relationships struct {
		Response struct {
			Data *struct {
				ID string `json:"id"`
			} `json:"data"`
		} `json:"response"`
	} `json:"relationships"`
}

type connectResponse struct {
	Type       string `json:"type"`
	ID         string `json:"id"`
	Attributes struct {
		Body     string    `json:"responseBody"`
		Modified time.Time `json:"lastModifiedDate"`
		State    string    `json:"state"` // PUBLISHED or PENDING_PUBLISH
	} `json:"attributes"`
}

func (s *appStoreConnect) page(ctx context.Context, token string) (posts []mention.Post, next string, err error) {
	address := token
	if address == "" {
		address = fmt.Sprintf("%s/v1/apps/%s/customerReviews?sort=-createdDate&include=response&limit=%d", s.cfg.Server, s.cfg.App, connectPage)
	}
	var answer struct {
		Data     []json.RawMessage `json:"data"`
		Included []json.RawMessage `json:"included"`
		Links    struct {
			Next string `json:"next"`
		} `json:"links"`
	}
	if err := s.get(ctx, address, &answer); err != nil {
		return nil, "", err
	}
	if answer.Data == nil {
		return nil, "", without("data")
	}
	if next, err = s.ours(answer.Links.Next); err != nil {
		return nil, "", err
	}
	responses := connectResponses(answer.Included)
	post := func(r connectReview) (mention.Post, error) { return s.post(r, responses) }
	return readPosts(s.deps, "appstoreconnect", answer.Data, post, func(r connectReview) string { return r.ID }), next, nil
}

// ours refuses an address on another server: the token goes there.
func (s *appStoreConnect) ours(next string) (string, error) {
	if next != "" && !strings.HasPrefix(next, s.cfg.Server+"/") {
		return "", refuse("the next page is on another server: %s", clip(next, 100))
	}
	return next, nil
}

func connectResponses(included []json.RawMessage) map[string]connectResponse {
	out := map[string]connectResponse{}
	for _, raw := range included {
		var r connectResponse
		if json.Unmarshal(raw, &r) == nil && r.Type == "customerReviewResponses" {
			out[r.ID] = r
		}
	}
	return out
}

func (s *appStoreConnect) post(r connectReview, responses map[string]connectResponse) (mention.Post, error) {
	a := r.Attributes
	p := mention.Post{
		Platform: "appstore", NativeID: r.ID, Kind: mention.KindReview, Intake: mention.Live,
		Author: mention.Author{Name: line(a.Nickname)}, Title: line(a.Title), Text: clean(a.Body), Rating: a.Rating,
		Place: mention.Place{ID: s.cfg.App, Name: cmp.Or(s.cfg.Name, "id"+s.cfg.App)}, ReplyRef: r.ID,
		PublishedAt: a.Created.UTC(), SeenAt: s.deps.Now(),
	}
	if r.ID == "" || a.Created.IsZero() || a.Rating < 1 || a.Rating > 5 {
		return p, fmt.Errorf("id %q, rating %d, created %s", clip(r.ID, 60), a.Rating, a.Created)
	}
	cc := storefront(a.Territory)
	p.URL, p.Lang = storeURL(cc, s.cfg.App), storeLang(cc)
	if d := r.Relationships.Response.Data; d != nil {
		if c, ok := responses[d.ID]; ok {
			p.Comments = []mention.Comment{s.comment(c, p.URL)}
		}
	}
	return p, nil
}

func (s *appStoreConnect) comment(r connectResponse, address string) mention.Comment {
	c := mention.Comment{NativeID: r.ID, URL: address, Author: s.cfg.Name, Text: clean(r.Attributes.Body), At: r.Attributes.Modified.UTC(), Ours: true}
	if r.Attributes.State != "PUBLISHED" {
		c.State = mention.Pending
	}
	return c
}

// storefront returns the two letters of a store that App Store Connect calls by
// three, or "".
func storefront(territory string) string {
	if territory == "XKS" { // Kosovo, which ISO has no code for
		return "xk"
	}
	region, err := language.ParseRegion(territory)
	if err != nil || !region.IsCountry() {
		return ""
	}
	return strings.ToLower(region.String())
}

func storeURL(cc, app string) string {
	if cc == "" {
		return "https://apps.apple.com/app/id" + app + "?see-all=reviews"
	}
	return "https://apps.apple.com/" + cc + "/app/id" + app + "?see-all=reviews"
}

// storeLang is the language most people of a store write, as a claim: it decides
// where a text says too little.
func storeLang(cc string) string {
	region, err := language.ParseRegion(strings.ToUpper(cc))
	if err != nil {
		return ""
	}
	tag, _ := language.Compose(region)
	base, sure := tag.Base()
	if sure == language.No {
		return ""
	}
	return base.String() + "-" + region.String()
}

// Reply answers a review. Apple publishes it some time later.
func (s *appStoreConnect) Reply(ctx context.Context, r Reply) (Sent, error) {
	id, err := s.ref(r.To)
	if err != nil {
		return Sent{}, err
	}
	type link struct {
		Type string `json:"type"`
		ID   string `json:"id"`
	}
	var in struct {
		Data struct {
			Type       string `json:"type"`
			Attributes struct {
				Body string `json:"responseBody"`
			} `json:"attributes"`
			Relationships struct {
				Review struct {
					Data link `json:"data"`
				} `json:"review"`
			} `json:"relationships"`
		} `json:"data"`
	}
	in.Data.Type, in.Data.Attributes.Body = "customerReviewResponses", r.Text
	in.Data.Relationships.Review.Data = link{"customerReviews", id}
	sent, err := oneAnswer(ctx, r, connectLimit, s.deps.Now(), s.standing(id, r.To.URL), func(ctx context.Context) (Sent, error) {
		var out struct {
			Data connectResponse `json:"data"`
		}
		if err := s.do(ctx, http.MethodPost, s.cfg.Server+"/v1/customerReviewResponses", in, &out); err != nil {
			if status(err) == http.StatusForbidden {
				return Sent{}, NotGranted.refuse("the key may not answer: it needs the role Admin or Customer Support: %w", err)
			}
			return Sent{}, err
		}
		return sentComment(s.comment(out.Data, r.To.URL)), nil
	})
	if err != nil {
		return Sent{}, fmt.Errorf("appstoreconnect: %w", err)
	}
	return sent, nil
}

// Find reads the review's response.
func (s *appStoreConnect) Find(ctx context.Context, r Reply) (Sent, error) {
	id, err := s.ref(r.To)
	if err != nil {
		return Sent{}, err
	}
	sent, err := findAnswer(ctx, r, s.standing(id, r.To.URL))
	if err != nil {
		return Sent{}, fmt.Errorf("appstoreconnect: find answer: %w", err)
	}
	return sent, nil
}

// standing reads the response of a review, which is missing as long as there is
// none, and when the review itself is.
func (s *appStoreConnect) standing(id, address string) func(context.Context) (*mention.Comment, error) {
	return func(ctx context.Context) (*mention.Comment, error) {
		p, err := s.review(ctx, id)
		if err != nil {
			return nil, err
		}
		c := ourAnswer(p.Comments)
		if c != nil {
			c.URL = address
		}
		return c, nil
	}
}

func (s *appStoreConnect) Dedupes() time.Duration { return 0 }

func (s *appStoreConnect) Limit(context.Context) (Limit, error) { return connectLimit, nil }

// ref is the id of the review to answer.
func (s *appStoreConnect) ref(p mention.Post) (string, error) {
	if p.ReplyRef == "" || p.ReplyRef != url.PathEscape(p.ReplyRef) {
		return "", refuse("appstoreconnect: the review came through the public feed, whose ids App Store Connect does not know: answer it there")
	}
	return p.ReplyRef, nil
}

// Reread asks for each review, with its response.
func (s *appStoreConnect) Reread(ctx context.Context, posts []mention.Post) ([]mention.Post, error) {
	out, err := rereadReviews(ctx, posts, s.deps.Now(), s.review, func(ctx context.Context) error {
		_, _, err := s.page(ctx, "")
		return err
	})
	if err != nil {
		err = fmt.Errorf("appstoreconnect: %w", err)
	}
	return out, err
}

func (s *appStoreConnect) review(ctx context.Context, id string) (mention.Post, error) {
	var answer struct {
		Data     connectReview     `json:"data"`
		Included []json.RawMessage `json:"included"`
	}
	if err := s.get(ctx, s.cfg.Server+"/v1/customerReviews/"+url.PathEscape(id)+"?include=response", &answer); err != nil {
		return mention.Post{}, err
	}
	return s.post(answer.Data, connectResponses(answer.Included))
}

// connectReason reads the details of Apple's errors.
func connectReason(body []byte) string {
	var answer struct {
		Errors []struct {
			Code   string `json:"code"`
			Title  string `json:"title"`
			Detail string `json:"detail"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Errors) == 0 {
		return ""
	}
	e := answer.Errors[0]
	return strings.TrimSpace(e.Code + " " + cmp.Or(e.Detail, e.Title))
}

// connectSigner makes the tokens that Apple wants: signed by ourselves, of at
// most 20 minutes.
type connectSigner struct {
	cfg connectConfig
	now func() time.Time
}

const connectLife = 10 * time.Minute

func (c *connectSigner) token(context.Context) (string, error) {
	text, err := c.cfg.Key.Reveal()
	if err != nil {
		return "", err
	}
	key, err := privateKey(text)
	if err != nil {
		return "", refuse("key: %w", err)
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return "", refuse("key: is not the kind of key that App Store Connect gives (a .p8 file)")
	}
	now := c.now()
	claims := jwt.MapClaims{"aud": "appstoreconnect-v1", "iat": now.Unix(), "exp": now.Add(connectLife).Unix()}
	if c.cfg.Issuer != "" {
		claims["iss"] = c.cfg.Issuer
	} else {
		claims["sub"] = "user"
	}
	t := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	t.Header["kid"] = c.cfg.KeyID
	signed, err := t.SignedString(ec)
	if err != nil {
		return "", refuse("key: %w", err)
	}
	return signed, nil
}

// privateKey reads a PEM file of a PKCS #8 key. Line breaks may be lost or
// written as \n: that is what becomes of files that are pasted into forms and
// variables.
func privateKey(text string) (any, error) {
	_, text, ok := strings.Cut(text, "-----BEGIN PRIVATE KEY-----")
	text, _, end := strings.Cut(text, "-----END PRIVATE KEY-----")
	if !ok || !end {
		return nil, errors.New("must be the whole file, from -----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----")
	}
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, `\n`, "\n")), "")
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("what stands between BEGIN and END is not whole")
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("holds no private key (PKCS #8)")
	}
	return key, nil
}
