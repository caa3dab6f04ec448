package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"time"

	"github.com/mattn/go-mastodon"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

// mastodonAtOnce is how many statuses a server gives by their ids at once
// (Mastodon 4.3; others are asked for each).
const mastodonAtOnce = 20

// Reread asks for posts that were read through this server, and for replies.
func (m *mastodonSource) Reread(ctx context.Context, posts []mention.Post) ([]mention.Post, error) {
	ids := map[string]mention.Post{}
	for _, p := range posts {
		if id := m.localID(p); id != "" {
			ids[id] = p
		}
	}
	var out []mention.Post
	for some := range slices.Chunk(slices.Sorted(maps.Keys(ids)), mastodonAtOnce) {
		found, err := m.statuses(ctx, some)
		if err != nil {
			return out, fmt.Errorf("mastodon: read again: %w", err)
		}
		for _, id := range some {
			now := m.deps.Now()
			s, ok := found[id]
			if !ok {
				was := ids[id]
				out = append(out, mention.Post{Platform: "mastodon", NativeID: was.NativeID, URL: was.URL, Kind: mention.KindPost, Deleted: true, EditedAt: now, SeenAt: now})
				continue
			}
			p, err := m.post(mastodonStatus{s, id})
			if err != nil {
				m.deps.skip("mastodon", id, err)
				continue
			}
			if was := ids[id]; was.Thread.Parent != "" {
				p.Thread = was.Thread // which here has an id of this server
			}
			out = append(out, p)
		}
	}
	return out, nil
}

// localID is the server's id of p; empty if p was read through another.
func (m *mastodonSource) localID(p mention.Post) string {
	var ref mastodonRef
	if json.Unmarshal([]byte(p.ReplyRef), &ref) == nil && ref.ID != "" {
		if ref.Server == m.cfg.Server {
			return ref.ID
		}
		return ""
	}
	if host(p.NativeID) == host(m.cfg.Server) { // a reply of ours: its address ends in the id
		return path.Base(p.NativeID)
	}
	return ""
}

// statuses returns what there is of ids.
func (m *mastodonSource) statuses(ctx context.Context, ids []string) (map[string]mastodon.Status, error) {
	found := map[string]mastodon.Status{}
	var list []mastodon.Status
	err := m.get(ctx, "/api/v1/statuses?"+url.Values{"id[]": ids}.Encode(), &list)
	if err == nil {
		for _, s := range list {
			found[string(s.ID)] = s
		}
		return found, nil
	}
	if !missing(err) {
		return nil, err
	}
	for _, id := range ids {
		var s mastodon.Status
		if err := m.get(ctx, "/api/v1/statuses/"+url.PathEscape(id), &s); err == nil {
			found[id] = s
		} else if !missing(err) {
			return nil, err
		}
	}
	return found, nil
}

func missing(err error) bool {
	e, ok := errors.AsType[*outbound.Error](err)
	return ok && (e.Status == http.StatusNotFound || e.Status == http.StatusGone)
}

// Timeline lists what the account has published. A server names the post
// answered to by its own id; its address is asked for.
func (m *mastodonSource) Timeline(ctx context.Context, since time.Time) ([]mention.Post, error) {
	self, err := m.signedIn(ctx, "")
	if err != nil {
		return nil, err
	}
	var out []mention.Post
	q := url.Values{"limit": {fmt.Sprint(mastodonPage)}, "exclude_reblogs": {"true"}}
	for range mastodonPages {
		var list []mastodon.Status
		if err := m.get(ctx, "/api/v1/accounts/"+url.PathEscape(string(self.ID))+"/statuses?"+q.Encode(), &list); err != nil {
			return nil, fmt.Errorf("mastodon: timeline: %w", err)
		}
		for _, s := range list {
			if s.CreatedAt.Before(since) {
				return out, nil
			}
			p, err := m.post(mastodonStatus{s, string(s.ID)})
			if err != nil {
				m.deps.skip("mastodon", cmp.Or(s.URI, string(s.ID)), err)
				continue
			}
			if err := m.Complete(ctx, &p); err != nil && !missing(err) {
				return nil, err
			}
			out = append(out, p)
		}
		if len(list) == 0 {
			break
		}
		q.Set("max_id", string(list[len(list)-1].ID))
	}
	return out, nil
}
