package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

// Reply publishes r.Text as an answer. X names the author in front of it by
// itself, which doesn't count towards the length.
func (x *xSource) Reply(ctx context.Context, r Reply) (Sent, error) {
	to, err := x.target(ctx, r)
	if err != nil {
		return Sent{}, err
	}
	limit, _ := x.Limit(ctx)
	if !limit.Fits(r.Text) {
		return Sent{}, TooLong.refuse("x: the reply counts %d, X takes %d", limit.Count(r.Text), limit.Max)
	}
	if why := Reason(r.To.NoReply); why == Gated || why == NotSummoned && !x.cfg.Enterprise {
		return Sent{}, why.refuse("x: its author has not asked us: X takes answers by program only to posts that mention or quote @%s", x.cfg.Account)
	}
	var answer struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	err = x.do(ctx, http.MethodPost, "/2/tweets", map[string]any{
		"text": r.Text, "reply": map[string]string{"in_reply_to_tweet_id": to},
	}, asSelf, &answer)
	if err != nil {
		return x.refusedReply(ctx, r, err)
	}
	x.charged(ctx, r)
	if xNumber(answer.Data.ID) == 0 {
		return Sent{}, errors.New("x: X took the reply but names no post")
	}
	return x.sent(answer.Data.ID), nil
}

// Account is that of the keys or of the consent.
func (x *xSource) Account(ctx context.Context) (string, error) {
	if !x.speaks() {
		return "", nil
	}
	u, err := xUser{}, error(nil)
	if x.cfg.Account != "" {
		u, err = x.account(ctx)
	} else {
		u, err = x.user(ctx, "/2/users/me", asSelf)
	}
	if u.Username == "" {
		return "", err
	}
	return "@" + u.Username, err
}

// target is the id of the post to answer, once it is known that we may.
func (x *xSource) target(ctx context.Context, r Reply) (string, error) {
	to := cmp.Or(r.To.ReplyRef, r.To.NativeID)
	switch {
	case r.To.Platform != "x" || xNumber(to) == 0:
		return "", refuse("x: the post does not say how to answer it")
	case x.cfg.Account == "" || !x.speaks():
		return "", NotGranted.refuse("x: answering needs the account, and its keys or its consent")
	case r.Account != "" && !strings.EqualFold(strings.TrimPrefix(r.Account, "@"), x.cfg.Account):
		return "", WrongAccount.refuse("x: the reply is for @%s, but the account is @%s", r.Account, x.cfg.Account)
	}
	self, err := x.account(ctx)
	if err == nil && self.ID == "" {
		err = errors.New("x: X does not say whose keys these are")
	}
	return to, err
}

func (x *xSource) sent(id string) Sent {
	return Sent{URL: "https://x.com/" + x.cfg.Account + "/status/" + id, NativeID: id, At: xTime(xNumber(id))}
}

// charged counts a reply. A person has pressed send: the budget does not hold
// it up, and that it can't be counted doesn't either.
func (x *xSource) charged(ctx context.Context, r Reply) {
	price := x.cfg.PriceReply
	if r.To.NoReply != "" || x.cfg.Enterprise {
		price = x.cfg.PriceCreate
		if len(tweetLinks(r.Text)) > 0 {
			price = x.cfg.PriceLink
		}
	}
	x.ledger.note(xCharge{writes: 1, price: price})
	if err := x.ledger.keep(ctx); err != nil {
		x.deps.Log.Warn("the price of a reply is not kept yet", "error", err)
	}
}

// refusedReply tells X's refusals apart.
func (x *xSource) refusedReply(ctx context.Context, r Reply, err error) (Sent, error) {
	e, ok := errors.AsType[*outbound.Error](err)
	if !ok || e.Status != http.StatusForbidden && e.Status != http.StatusBadRequest && e.Status != http.StatusPaymentRequired {
		return Sent{}, fmt.Errorf("reply: %w", err)
	}
	why := strings.ToLower(xProblemOf(err).Detail)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(why, w) })
	}
	switch {
	case has("duplicate content"):
		if sent, missing := x.Find(ctx, r); missing == nil {
			return sent, nil
		}
		return Sent{}, Duplicate.refuse("reply: %w", err)
	case has("not been mentioned", "otherwise engaged by the author", "summoned"):
		return Sent{}, NotSummoned.refuse("reply: %w", err)
	case has("who can reply", "restricted who", "reply to this conversation"):
		return Sent{}, Gated.refuse("reply: %w", err)
	case has("deleted or not visible", "not visible to you", "could not find", "reply tweet id is invalid"):
		return Sent{}, PostGone.refuse("reply: %w", err)
	case has("suspended", "locked", "temporarily"):
		return Sent{}, Locked.refuse("reply: %w", err)
	case has("too long", "exceeds"):
		return Sent{}, TooLong.refuse("reply: %w", err)
	case has("oauth1 app permissions", "unsupported authentication", "not permitted to access", "access to a subset", "not enrolled", "credits"):
		return Sent{}, NotGranted.refuse("reply: %w", err)
	}
	return Sent{}, fmt.Errorf("reply: %w", err)
}

// Dedupes is never: X has no key for it. It refuses the same text twice in a
// row, but says so only for a while.
func (x *xSource) Dedupes() time.Duration { return 0 }

// Limit is 280, or 25,000 with X Premium.
func (x *xSource) Limit(context.Context) (Limit, error) {
	l := Limit{Max: 280, Unit: Weighted, URL: 23}
	if x.cfg.Premium {
		l.Max = 25_000
	}
	return l, nil
}

// Find looks for r among the account's own posts since the one it answers.
func (x *xSource) Find(ctx context.Context, r Reply) (Sent, error) {
	to, err := x.target(ctx, r)
	if err != nil {
		return Sent{}, err
	}
	targets := []string{to, r.To.NativeID}
	var found Sent
	err = x.own(ctx, r.To.PublishedAt, func(t *xTweet, _ xRelated) bool {
		parent := t.refers("replied_to")
		if slices.Contains(targets, parent) && sameReply(t.content(), r.Text) {
			found = x.sent(t.first())
		}
		return found.NativeID == ""
	})
	if err == nil && found.NativeID == "" {
		err = ErrNotFound
	}
	return found, err
}

// sameReply compares what X shows with what was sent: names and links are
// written differently.
func sameReply(shown, sent string) bool {
	plain := func(text string) string {
		var b strings.Builder
		done := 0
		for _, l := range tweetLinks(text) {
			b.WriteString(text[done:l[0]])
			done = l[1]
		}
		return bare(b.String() + text[done:])
	}
	return plain(shown) == plain(sent)
}

// own reads the account's posts, newest first, back to since, until take wants
// no more.
func (x *xSource) own(ctx context.Context, since time.Time, take func(*xTweet, xRelated) bool) error {
	self, err := x.account(ctx)
	if err != nil {
		return err
	}
	if self.ID == "" {
		return refuse("x: X knows no account @%s", x.cfg.Account)
	}
	q := x.fields()
	q.Set("max_results", "100")
	if since = since.UTC().Truncate(time.Second); !since.Before(epoch) {
		q.Set("start_time", since.Format(time.RFC3339))
	}
	for range 32 { // X lists the newest 3,200
		var a xAnswer
		if err := x.get(ctx, "/2/users/"+self.ID+"/tweets", q, asAccount, &a); err != nil {
			return err
		}
		in := a.Includes.related()
		var ids []uint64
		more := true
		for _, raw := range a.Data {
			t, err := parseXTweet(raw)
			if err != nil {
				x.deps.skip("x", t.ID, err)
				continue
			}
			ids = append(ids, xNumber(t.ID))
			more = more && take(&t, in)
		}
		x.charge(in, ids, x.cfg.Owner)
		if err := x.ledger.keep(ctx); err != nil {
			return err
		}
		if !more || a.Meta.Next == "" || len(a.Data) == 0 {
			return nil
		}
		q.Set("pagination_token", a.Meta.Next)
	}
	return nil
}

// Timeline lists what the account has published.
func (x *xSource) Timeline(ctx context.Context, since time.Time) ([]mention.Post, error) {
	if err := x.ledger.allow(ctx); err != nil {
		return nil, err
	}
	var out []mention.Post
	err := x.own(ctx, since, func(t *xTweet, in xRelated) bool {
		if t.refers("retweeted") != "" {
			return true
		}
		if p, err := x.post(t, in); err == nil {
			out = append(out, p)
		}
		return true
	})
	return out, err
}

// Reread looks posts up as they are now. What is deleted, protected or
// suspended comes back as deleted, and so does what X withholds.
func (x *xSource) Reread(ctx context.Context, posts []mention.Post) ([]mention.Post, error) {
	byID := map[string]string{} // the newest id we know, to the identity
	var ids []string
	for _, p := range posts {
		id := cmp.Or(p.ReplyRef, p.NativeID)
		if p.Platform != "x" || xNumber(id) == 0 || byID[id] != "" {
			continue
		}
		byID[id] = p.NativeID
		ids = append(ids, id)
	}
	out, newer, err := x.lookup(ctx, ids, byID)
	if err != nil || len(newer) == 0 {
		return out, err
	}
	edited, _, err := x.lookup(ctx, newer, byID)
	return append(out, edited...), err
}

// lookup asks for ids. newer are the ids of edits that have come since, to ask
// for instead.
func (x *xSource) lookup(ctx context.Context, ids []string, byID map[string]string) (out []mention.Post, newer []string, err error) {
	for part := range slices.Chunk(ids, 100) {
		if err := x.ledger.allow(ctx); err != nil {
			return out, nil, err
		}
		q := x.fields()
		q.Set("expansions", "author_id,attachments.media_keys")
		q.Set("ids", strings.Join(part, ","))
		var a struct {
			xAnswer
			Data json.RawMessage `json:"data"`
		}
		if err := x.get(ctx, "/2/tweets", q, asApp, &a); err != nil {
			return out, nil, err
		}
		if len(a.Data) > 0 {
			if err := json.Unmarshal(a.Data, &a.xAnswer.Data); err != nil {
				return out, nil, fmt.Errorf("x: lookup: the answer is not what it should be: %w", err)
			}
		}
		in := a.Includes.related()
		var read []uint64
		for _, raw := range a.xAnswer.Data {
			t, err := parseXTweet(raw)
			if err != nil {
				x.deps.skip("x", t.ID, err)
				continue
			}
			read = append(read, xNumber(t.ID))
			if last := t.last(); last != t.ID && byID[last] == "" {
				byID[last] = t.first()
				newer = append(newer, last)
				continue
			}
			p, err := x.post(&t, in)
			switch {
			case errors.Is(err, errWithheld) || errors.Is(err, errProtected):
				out = append(out, x.gone(t.first()))
			case err != nil:
				x.deps.skip("x", t.ID, err)
			default:
				out = append(out, p)
			}
		}
		for _, e := range a.Errors {
			id := byID[cmp.Or(e.ResourceID, e.Value)]
			if id != "" && (e.is("resource-not-found") || e.is("not-authorized-for-resource")) {
				out = append(out, x.gone(id))
			}
		}
		x.charge(in, read, false)
		if err := x.ledger.keep(ctx); err != nil {
			return out, nil, err
		}
	}
	return out, newer, nil
}

// gone is the revision by which X withdrew a post.
func (x *xSource) gone(id string) mention.Post {
	now := x.deps.Now().UTC()
	return mention.Post{
		Platform: "x", NativeID: id, Kind: mention.KindPost, Intake: mention.Live, Deleted: true,
		PublishedAt: xTime(xNumber(id)), EditedAt: now, SeenAt: now,
	}
}
