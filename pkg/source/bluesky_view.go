package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
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
	p.Metrics = mention.Metrics{Likes: v.Likes, Reposts: v.Reposts, Replies: v.Replies}
	if v.Viewer.ReplyDisabled {
		p.NoReply = mention.Gated
	}
	return p, nil
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

// blueskyGet asks an XRPC server.
type blueskyGet func(ctx context.Context, nsid string, q url.Values, out any) error

const blueskyAtOnce = 25 // posts in one getPosts

// blueskyPosts asks for posts by their addresses. What is not to be had is
// missing from the result.
func blueskyPosts(ctx context.Context, get blueskyGet, uris []string) (map[string]blueskyView, error) {
	views := make(map[string]blueskyView, len(uris))
	for some := range slices.Chunk(uris, blueskyAtOnce) {
		var answer struct{ Posts []blueskyView }
		if err := get(ctx, "app.bsky.feed.getPosts", url.Values{"uris": some}, &answer); err != nil {
			return nil, err
		}
		for _, v := range answer.Posts {
			views[v.URI] = v
		}
	}
	return views, nil
}

// blueskySettles is after what time a post that is not shown is gone: a fresh
// one may not have reached the AppView yet.
const blueskySettles = 10 * time.Minute

// blueskyReread returns posts as they are now.
func blueskyReread(ctx context.Context, get blueskyGet, now time.Time, posts []mention.Post) ([]mention.Post, error) {
	uris := make([]string, len(posts))
	for i, p := range posts {
		uris[i] = p.NativeID
	}
	views, err := blueskyPosts(ctx, get, uris)
	if err != nil {
		return nil, err
	}
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
