package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// blueskyView is a post as the AppView shows it, or a notification of one.
type blueskyView struct {
	URI    string `json:"uri"`
	CID    string `json:"cid"`
	Author struct {
		DID       string `json:"did"`
		Handle    string `json:"handle"`
		Name      string `json:"displayName"`
		Avatar    string `json:"avatar"`
		Followers *int64 `json:"followersCount"`
	} `json:"author"`
	Reason    string          `json:"reason"`
	Record    json.RawMessage `json:"record"`
	IndexedAt looseTime       `json:"indexedAt"`
	Likes     *int64          `json:"likeCount"`
	Reposts   *int64          `json:"repostCount"`
	Replies   *int64          `json:"replyCount"`
	Viewer    struct {
		ReplyDisabled bool `json:"replyDisabled"`
	} `json:"viewer"`
}

// post returns v as the same post that the stream would bring.
func (v blueskyView) post() (mention.Post, error) {
	did, rest, _ := strings.Cut(strings.TrimPrefix(v.URI, "at://"), "/")
	collection, rkey, _ := strings.Cut(rest, "/")
	if !strings.HasPrefix(did, "did:") || v.IndexedAt.IsZero() {
		return mention.Post{}, errors.New("no author or time")
	}
	e := jetstreamEvent{DID: did, Kind: "commit", TimeUS: v.IndexedAt.UnixMicro()}
	e.Commit = &jetstreamCommit{Operation: "create", Collection: collection, RKey: rkey, CID: v.CID, Record: v.Record}
	p, err := e.post()
	if err != nil || p.NativeID == "" {
		return p, err
	}
	a := v.Author
	p.Author.Handle, p.Author.Name, p.Author.Avatar, p.Author.Followers = line(a.Handle), line(a.Name), webURL(a.Avatar), a.Followers
	p.Metrics = v.metrics()
	if v.Viewer.ReplyDisabled {
		p.NoReply = mention.Gated
	}
	return p, nil
}

func (v blueskyView) metrics() mention.Metrics {
	return mention.Metrics{Likes: v.Likes, Reposts: v.Reposts, Replies: v.Replies}
}

// short stands for v in a cursor.
func (v blueskyView) short() string {
	sum := sha256.Sum256([]byte(v.URI))
	return hex.EncodeToString(sum[:4])
}

// answered notes in p that it answers v, if v is known.
func (v blueskyView) answered(p *mention.Post) {
	var r blueskyRecord
	if v.URI != "" && json.Unmarshal(v.Record, &r) == nil {
		p.Thread.ParentAuthor, p.Thread.ParentText = line(v.Author.Handle), clean(r.Text)
	}
}

// blueskyAppView asks for what the network shows: through the public API, or as
// an account.
type blueskyAppView struct {
	get  func(ctx context.Context, nsid string, q url.Values, out any) error
	now  func() time.Time
	ours func() string // DID of the account that asks; empty for none

	mu       sync.Mutex
	profiles map[string]blueskyProfile
}

type blueskyProfile struct {
	Handle    string `json:"handle"`
	Name      string `json:"displayName"`
	Avatar    string `json:"avatar"`
	Followers *int64 `json:"followersCount"`
	at        time.Time
}

const maxProfiles = 2000 // remembered, each for an hour

func (a *blueskyAppView) profile(ctx context.Context, did string) (blueskyProfile, error) {
	now := a.now()
	a.mu.Lock()
	prof, ok := a.profiles[did]
	a.mu.Unlock()
	if ok && now.Sub(prof.at) < time.Hour {
		return prof, nil
	}
	prof = blueskyProfile{at: now}
	err := a.get(ctx, "app.bsky.actor.getProfile", url.Values{"actor": {did}}, &prof)
	if err != nil {
		return prof, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.profiles == nil || len(a.profiles) >= maxProfiles {
		a.profiles = map[string]blueskyProfile{}
	}
	a.profiles[did] = prof
	return prof, nil
}

const blueskyAtOnce = 25 // posts in one getPosts: its lexicon's maxLength of uris

// posts asks for posts by their addresses. What is not to be had is missing
// from the result.
func (a *blueskyAppView) posts(ctx context.Context, uris []string) (map[string]blueskyView, error) {
	views := make(map[string]blueskyView, len(uris))
	for some := range slices.Chunk(uris, blueskyAtOnce) {
		var answer struct{ Posts []blueskyView }
		if err := a.get(ctx, "app.bsky.feed.getPosts", url.Values{"uris": some}, &answer); err != nil {
			return nil, err
		}
		for _, v := range answer.Posts {
			views[v.URI] = v
		}
	}
	return views, nil
}

// below implements [Threader].
func (a *blueskyAppView) below(ctx context.Context, p mention.Post) ([]mention.Comment, error) {
	var answer struct {
		Thread struct {
			Replies []struct{ Post blueskyView } // no Post where it is blocked or gone
		}
	}
	q := url.Values{"uri": {p.NativeID}, "depth": {"1"}, "parentHeight": {"0"}}
	if err := a.get(ctx, "app.bsky.feed.getPostThread", q, &answer); err != nil {
		return nil, fmt.Errorf("bluesky: answers: %w", err)
	}
	var below []mention.Post
	for _, r := range answer.Thread.Replies {
		if p, err := r.Post.post(); err == nil {
			below = append(below, p)
		}
	}
	return commentsOf(below, func(p *mention.Post) bool { return p.Author.ID == a.ours() }), nil
}

// complete adds to p what its record doesn't hold: who its author is, the
// counts, the post answered to, and whether we may answer.
func (a *blueskyAppView) complete(ctx context.Context, p *mention.Post) error {
	if p.Deleted {
		return nil
	}
	uris := []string{p.NativeID}
	if p.Thread.Parent != "" {
		uris = append(uris, p.Thread.Parent)
	}
	views, err := a.posts(ctx, uris)
	if err != nil {
		return fmt.Errorf("post, and the one answered to: %w", err)
	}
	views[p.Thread.Parent].answered(p)
	if v, ok := views[p.NativeID]; ok { // the AppView may not have it yet
		p.Metrics = v.metrics()
		if v.Viewer.ReplyDisabled {
			p.NoReply = mention.Gated
		}
	}
	prof, err := a.profile(ctx, p.Author.ID)
	if err != nil {
		return fmt.Errorf("author: %w", err)
	}
	p.Author.Handle, p.Author.Name = line(prof.Handle), line(prof.Name)
	p.Author.Avatar, p.Author.Followers = webURL(prof.Avatar), prof.Followers
	return nil
}

// blueskySettles is after what time a post that is not shown is gone: a fresh
// one may not have reached the AppView yet.
const blueskySettles = 10 * time.Minute

// reread returns posts as they are now.
func (a *blueskyAppView) reread(ctx context.Context, posts []mention.Post) ([]mention.Post, error) {
	uris := make([]string, len(posts))
	for i, p := range posts {
		uris[i] = p.NativeID
	}
	views, err := a.posts(ctx, uris)
	if err != nil {
		return nil, err
	}
	now := a.now()
	var out []mention.Post
	for _, was := range posts {
		v, ok := views[was.NativeID]
		if !ok {
			if now.Sub(blueskyWritten(was)) > blueskySettles {
				out = append(out, mention.Post{Platform: "bluesky", NativeID: was.NativeID, URL: was.URL, Kind: mention.KindPost, Deleted: true, EditedAt: now})
			}
			continue
		}
		if p, err := v.post(); err == nil && p.NativeID != "" {
			p.SeenAt = now
			out = append(out, p)
		}
	}
	return out, nil
}

// blueskyWritten is when p was written, which its key tells where p doesn't.
func blueskyWritten(p mention.Post) time.Time {
	if p.PublishedAt.IsZero() {
		return tidTime(p.NativeID[strings.LastIndexByte(p.NativeID, '/')+1:])
	}
	return p.PublishedAt
}
