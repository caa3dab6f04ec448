package source

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

const blueskyCollection = "app.bsky.feed.post"

// blueskyPost is a record of app.bsky.feed.post as we write it.
type blueskyPost struct {
	Type      string                 `json:"$type"`
	Text      string                 `json:"text"`
	Langs     []string               `json:"langs,omitempty"`
	Facets    []blueskyFacet         `json:"facets,omitempty"`
	Reply     map[string]blueskyLink `json:"reply"`
	CreatedAt string                 `json:"createdAt"`
}

type blueskyFacet struct {
	Index    blueskySpan         `json:"index"`
	Features []map[string]string `json:"features"`
}

// blueskySpan counts bytes of UTF-8.
type blueskySpan struct {
	Start int `json:"byteStart"`
	End   int `json:"byteEnd"`
}

// Reply writes a record under a key that follows from r.Key, and only if there
// is none: the same reply can't be published twice.
func (b *blueskyAccount) Reply(ctx context.Context, r Reply) (Sent, error) {
	var ref struct{ Root, Parent blueskyLink }
	if err := json.Unmarshal([]byte(r.To.ReplyRef), &ref); err != nil || ref.Root.URI == "" || ref.Parent.URI == "" || ref.Parent.CID == "" {
		return Sent{}, refuse("bluesky: the post does not say how to answer it")
	}
	if !blueskyLimit.Fits(r.Text) {
		return Sent{}, TooLong.refuse("bluesky: the reply has %d characters and %d bytes, Bluesky takes %d and %d", blueskyLimit.Count(r.Text), len(r.Text), blueskyLimit.Max, blueskyLimit.Bytes)
	}
	s, err := b.answersAs(ctx, r.Account)
	if err != nil {
		return Sent{}, err
	}
	if err := b.answerable(ctx, ref.Parent.URI); err != nil {
		return Sent{}, err
	}
	rkey := blueskyKey(r)
	body := map[string]any{
		"repo": s.DID, "collection": blueskyCollection, "rkey": rkey, "validate": true,
		"swapRecord": nil, // only if there is none
		"record": blueskyPost{
			Type: blueskyCollection, Text: r.Text, Langs: blueskyLangs(r.Lang), Facets: b.facets(ctx, r.Text),
			Reply: map[string]blueskyLink{"root": ref.Root, "parent": ref.Parent}, CreatedAt: b.deps.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		},
	}
	err = b.authed(ctx, func(token string) error {
		var answer blueskyLink
		return b.post(ctx, "com.atproto.repo.putRecord", token, body, &answer)
	})
	switch xrpcError(err) {
	case "InvalidSwap":
		return b.Find(ctx, r) // an earlier attempt was here
	case "AccountTakedown", "AccountDeactivated":
		return Sent{}, Locked.refuse("bluesky: the account %s is suspended", s.Handle)
	}
	if err != nil {
		return Sent{}, fmt.Errorf("bluesky: reply: %w", err)
	}
	return blueskySent(s.DID, rkey, b.deps.Now()), nil
}

// answersAs returns the session if it is that of the account called handle.
func (b *blueskyAccount) answersAs(ctx context.Context, handle string) (blueskySession, error) {
	s, err := b.signedIn(ctx, "")
	if err != nil {
		return s, fmt.Errorf("bluesky: sign in: %w", err)
	}
	if name := strings.TrimPrefix(handle, "@"); name != "" && !strings.EqualFold(name, s.Handle) && name != s.DID {
		return s, WrongAccount.refuse("bluesky: the reply is for @%s, but the app password belongs to @%s", name, s.Handle)
	}
	return s, nil
}

// answerable asks whether the post is there and its author lets us answer. A
// server takes the record all the same, but nobody would see it.
func (b *blueskyAccount) answerable(ctx context.Context, uri string) error {
	views, err := b.view.posts(ctx, []string{uri})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if e, ok := errors.AsType[*outbound.Error](err); ok && e.RetryAfter() > 0 {
			return fmt.Errorf("bluesky: %w", err)
		}
		return nil // the AppView is away, the account's own server is not
	}
	v, ok := views[uri]
	if !ok {
		return PostGone.refuse("bluesky: the post is no longer there, or its author has blocked the account")
	}
	if v.Viewer.ReplyDisabled {
		return Gated.refuse("bluesky: the author has limited who may answer this post")
	}
	return nil
}

// Find looks for the record of r.
func (b *blueskyAccount) Find(ctx context.Context, r Reply) (Sent, error) {
	s, err := b.answersAs(ctx, r.Account)
	if err != nil {
		return Sent{}, err
	}
	var answer struct {
		URI   string
		Value struct{ CreatedAt looseTime }
	}
	rkey := blueskyKey(r)
	err = b.get(ctx, "com.atproto.repo.getRecord", url.Values{"repo": {s.DID}, "collection": {blueskyCollection}, "rkey": {rkey}}, &answer)
	if xrpcError(err) == "RecordNotFound" {
		return Sent{}, ErrNotFound
	}
	if err != nil {
		return Sent{}, fmt.Errorf("bluesky: find reply: %w", err)
	}
	return blueskySent(s.DID, rkey, answer.Value.CreatedAt.Time), nil
}

func blueskySent(did, rkey string, at time.Time) Sent {
	return Sent{
		URL:      "https://bsky.app/profile/" + did + "/post/" + rkey,
		NativeID: "at://" + did + "/" + blueskyCollection + "/" + rkey, At: at.UTC(),
	}
}

// Account is that of the session.
func (b *blueskyAccount) Account(ctx context.Context) (string, error) {
	s, err := b.signedIn(ctx, "")
	if err != nil || s.Handle == "" {
		return "", err
	}
	return "@" + s.Handle, nil
}

// Dedupes is without end: a record key is taken once.
func (b *blueskyAccount) Dedupes() time.Duration { return 100 * 365 * 24 * time.Hour }

// Limit is the same everywhere.
func (b *blueskyAccount) Limit(context.Context) (Limit, error) { return blueskyLimit, nil }

// Reread asks through the account's server.
func (b *blueskyAccount) Reread(ctx context.Context, posts []mention.Post) ([]mention.Post, error) {
	return b.view.reread(ctx, posts)
}

// Timeline lists the records of the account's own repository.
func (b *blueskyAccount) Timeline(ctx context.Context, since time.Time) ([]mention.Post, error) {
	s, err := b.signedIn(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("bluesky: sign in: %w", err)
	}
	var out []mention.Post
	q := url.Values{"repo": {s.DID}, "collection": {blueskyCollection}, "limit": {strconv.Itoa(blueskyPage)}}
	for range blueskyPages {
		var page struct {
			Cursor  string
			Records []struct {
				URI, CID string
				Value    json.RawMessage
			}
		}
		if err := b.get(ctx, "com.atproto.repo.listRecords", q, &page); err != nil {
			return nil, fmt.Errorf("bluesky: timeline: %w", err)
		}
		old := false
		for _, r := range page.Records {
			var rec blueskyRecord
			if json.Unmarshal(r.Value, &rec) != nil || rec.CreatedAt.IsZero() {
				continue
			}
			if rec.CreatedAt.Before(since) {
				old = true
				continue
			}
			v := blueskyView{URI: r.URI, CID: r.CID, Record: r.Value, IndexedAt: rec.CreatedAt}
			v.Author.Handle = s.Handle
			if p, err := v.post(); err == nil && p.NativeID != "" {
				out = append(out, p)
			}
		}
		if page.Cursor == "" || len(page.Records) == 0 || old {
			break
		}
		q.Set("cursor", page.Cursor)
	}
	slices.SortStableFunc(out, func(x, y mention.Post) int { return byAge(y, x) })
	return out, nil
}

// blueskyKey is the record key of r: a TID (13 letters: microseconds, then ten
// bits of whoever writes) that follows from r alone. It lies within the second
// in which the post answered was published.
func blueskyKey(r Reply) string {
	sum := sha256.Sum256([]byte("earshot reply\x00" + r.Key))
	micros := max(r.To.PublishedAt.Unix(), epoch.Unix())*1e6 + int64(binary.BigEndian.Uint32(sum[:4])%1e6)
	return tid(micros, int(binary.BigEndian.Uint16(sum[4:6]))&0x3ff)
}

// tidLetters are the digits of a TID, in their order.
const tidLetters = "234567abcdefghijklmnopqrstuvwxyz"

func tid(micros int64, clock int) string {
	n := uint64(micros)<<10 | uint64(clock)
	var out [13]byte
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = tidLetters[n&31]
		n >>= 5
	}
	return string(out[:])
}

// tidTime is the time in a TID; zero if s is none.
func tidTime(s string) time.Time {
	if len(s) != 13 {
		return time.Time{}
	}
	var n uint64
	for i := range len(s) {
		d := strings.IndexByte(tidLetters, s[i])
		if d < 0 {
			return time.Time{}
		}
		n = n<<5 | uint64(d)
	}
	return time.UnixMicro(int64(n >> 10)).UTC()
}

func blueskyLangs(lang string) []string {
	if lang == "" {
		return nil
	}
	return []string{lang}
}

var (
	blueskyHandle  = regexp.MustCompile(`(^|[^\w.@/])@((?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)`)
	blueskyTag     = regexp.MustCompile(`(^|[\s　、。!！?？「（(])[#＃]([^\s　#＃、。!！?？「」（）()]+)`)
	blueskyTagTail = regexp.MustCompile(`[\pP\pS]+$`)
)

// facets are the links, mentions and hashtags in text. What can't be resolved
// stays text.
func (b *blueskyAccount) facets(ctx context.Context, text string) []blueskyFacet {
	var out []blueskyFacet
	add := func(start, end int, feature map[string]string) {
		free := !slices.ContainsFunc(out, func(f blueskyFacet) bool { return start < f.Index.End && end > f.Index.Start })
		if free {
			out = append(out, blueskyFacet{Index: blueskySpan{start, end}, Features: []map[string]string{feature}})
		}
	}
	for _, span := range links(text) {
		add(span[0], span[1], map[string]string{"$type": "app.bsky.richtext.facet#link", "uri": text[span[0]:span[1]]})
	}
	for _, m := range blueskyHandle.FindAllStringSubmatchIndex(text, -1) {
		var answer struct{ DID string }
		err := b.get(ctx, "com.atproto.identity.resolveHandle", url.Values{"handle": {strings.ToLower(text[m[4]:m[5]])}}, &answer)
		if err == nil && strings.HasPrefix(answer.DID, "did:") {
			add(m[4]-1, m[5], map[string]string{"$type": "app.bsky.richtext.facet#mention", "did": answer.DID})
		}
	}
	for _, m := range blueskyTag.FindAllStringSubmatchIndex(text, -1) {
		tag := blueskyTagTail.ReplaceAllString(text[m[4]:m[5]], "")
		_, isNumber := strconv.Atoi(tag)
		if tag == "" || isNumber == nil || len(tag) > 640 || (Limit{Unit: Graphemes}).Count(tag) > 64 {
			continue
		}
		start := strings.LastIndexAny(text[:m[4]], "#＃")
		add(start, m[4]+len(tag), map[string]string{"$type": "app.bsky.richtext.facet#tag", "tag": tag})
	}
	slices.SortFunc(out, func(x, y blueskyFacet) int { return x.Index.Start - y.Index.Start })
	return out
}
