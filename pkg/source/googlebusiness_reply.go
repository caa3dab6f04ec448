package source

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
)

// Reply answers a review. Google looks at it first, which may take a while.
func (s *googleBusiness) Reply(ctx context.Context, r Reply) (Sent, error) {
	if r.To.NoReply == mention.Unverified {
		return Sent{}, Unverified.refuse("googlebusiness: Google takes answers for verified locations only")
	}
	name, err := s.name(ctx, r.To.ReplyRef)
	if err != nil {
		return Sent{}, err
	}
	sent, err := oneAnswer(ctx, r, businessLimit, s.deps.Now(), s.standing(name), func(ctx context.Context) (Sent, error) {
		var out businessReply
		in := map[string]string{"comment": r.Text}
		if err := s.do(ctx, http.MethodPut, s.reviews()+name+"/reply", in, &out); err != nil {
			return Sent{}, googleRefused(err, "the account may not answer for this location")
		}
		if out.State == "REJECTED" {
			return Sent{}, Unfit.refuse("Google's rules don't allow the text: %s", clip(line(strings.Trim(string(out.Policy), `"{}`)), 200))
		}
		return sentComment(out.comment(r.To)), nil
	})
	if err != nil {
		return Sent{}, fmt.Errorf("googlebusiness: %w", err)
	}
	return sent, nil
}

// Find reads the review's answer.
func (s *googleBusiness) Find(ctx context.Context, r Reply) (Sent, error) {
	name, err := s.name(ctx, r.To.ReplyRef)
	if err != nil {
		return Sent{}, err
	}
	sent, err := findAnswer(ctx, r, s.standing(name))
	if err != nil {
		return Sent{}, fmt.Errorf("googlebusiness: find answer: %w", err)
	}
	return sent, nil
}

func (s *googleBusiness) standing(name string) func(context.Context) (*mention.Comment, error) {
	return func(ctx context.Context) (*mention.Comment, error) {
		p, err := s.review(ctx, name)
		if err != nil {
			return nil, err
		}
		return ourAnswer(p.Comments), nil
	}
}

func (s *googleBusiness) Dedupes() time.Duration { return 0 }

func (s *googleBusiness) Limit(context.Context) (Limit, error) { return businessLimit, nil }

// name returns the review's name with the account that manages its location now.
func (s *googleBusiness) name(ctx context.Context, ref string) (string, error) {
	id := businessID(ref)
	if id == "" {
		return "", refuse("googlebusiness: the post does not say how to answer it")
	}
	p, err := s.place(ctx, id)
	if err != nil {
		return "", err
	}
	return p.account + "/" + id, nil
}

// place returns the location of a review.
func (s *googleBusiness) place(ctx context.Context, id string) (businessPlace, error) {
	places, err := s.managed(ctx)
	if err != nil {
		return businessPlace{}, fmt.Errorf("googlebusiness: %w", err)
	}
	i := slices.IndexFunc(places, func(p businessPlace) bool { return strings.HasPrefix(id, p.Name+"/") })
	if i < 0 {
		return businessPlace{}, NotGranted.refuse("googlebusiness: the account does not manage the location of this review any more")
	}
	return places[i], nil
}

func (s *googleBusiness) review(ctx context.Context, name string) (mention.Post, error) {
	place, err := s.place(ctx, businessID(name))
	if err != nil {
		return mention.Post{}, err
	}
	var r businessReview
	if err := s.get(ctx, s.reviews()+place.account+"/"+businessID(name), &r); err != nil {
		return mention.Post{}, err
	}
	return s.post(place, r)
}

// Reread asks for each review, with its answer. Of one that is missing it says
// nothing: reviews on Google vanish and come back.
func (s *googleBusiness) Reread(ctx context.Context, posts []mention.Post) ([]mention.Post, error) {
	out, err := rereadReviews(ctx, posts, s.deps.Now(), s.review, nil)
	if err != nil {
		err = fmt.Errorf("googlebusiness: %w", err)
	}
	return out, err
}

// Receive takes a message of a Pub/Sub push subscription, which names a review
// that is new or was changed.
func (s *googleBusiness) Receive(ctx context.Context, p Push) (Pushed, error) {
	if err := knows(s.cfg.Push, p); err != nil {
		return Pushed{}, err
	}
	var in struct {
		Message struct {
			Data []byte `json:"data"`
		} `json:"message"`
	}
	if err := json.Unmarshal(p.Body, &in); err != nil {
		return Pushed{}, refuse("not a message of Pub/Sub: %w", err)
	}
	name := reviewName.FindString(string(in.Message.Data))
	if name == "" {
		return Pushed{}, nil // of something else than a review
	}
	places, err := s.managed(ctx)
	if err != nil {
		return Pushed{}, err
	}
	if !slices.ContainsFunc(places, func(p businessPlace) bool { return strings.HasPrefix(businessID(name), p.Name+"/") }) {
		return Pushed{}, nil // of a location that isn't wanted
	}
	switch post, err := s.review(ctx, name); {
	case status(err) == http.StatusNotFound:
		return Pushed{}, nil
	case err != nil:
		return Pushed{}, err
	default:
		return Pushed{Items: []Item{{Post: post}}}, nil
	}
}

// knows refuses a push whose address does not end with ?key= and secret.
func knows(secret config.Secret, p Push) error {
	want, err := secret.Reveal()
	if err != nil {
		return err
	}
	u, err := url.Parse(p.URL)
	if err != nil || p.Method != http.MethodPost || want == "" || subtle.ConstantTimeCompare([]byte(u.Query().Get("key")), []byte(want)) != 1 {
		return refuse("this address takes nothing from whoever doesn't know its key")
	}
	return nil
}
