package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// pds is a personal data server of one account, after the lexicons of
// com.atproto and app.bsky.
type pds struct {
	mu       sync.Mutex
	sessions int             // opened by password
	renewed  int             // opened by refresh token
	valid    string          // access token that is taken
	records  map[string]any  // by record key
	gone     map[string]bool // posts that the AppView doesn't show
	gated    map[string]bool
	notes    func(cursor string) any
	refuse   string // error of createSession
}

func (s *pds) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fail := func(status int, name string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":%q,"message":"no"}`, name)
	}
	give := func(v any) { json.NewEncoder(w).Encode(v) }
	open := func(n int) {
		s.valid = fmt.Sprintf("access-%d", n)
		give(map[string]any{"accessJwt": s.valid, "refreshJwt": fmt.Sprintf("refresh-%d", n), "did": "did:plc:ours", "handle": "acme.example"})
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	nsid := strings.TrimPrefix(r.URL.Path, "/xrpc/")
	q := r.URL.Query()
	switch nsid {
	case "com.atproto.server.createSession":
		if s.refuse != "" {
			fail(http.StatusUnauthorized, s.refuse)
			return
		}
		s.sessions++
		open(100 * s.sessions)
		return
	case "com.atproto.server.refreshSession":
		if !strings.HasPrefix(token, "refresh-") {
			fail(http.StatusBadRequest, "ExpiredToken")
			return
		}
		s.renewed++
		open(s.renewed)
		return
	}
	if token != s.valid {
		fail(http.StatusBadRequest, "ExpiredToken")
		return
	}
	switch nsid {
	case "com.atproto.repo.putRecord":
		var in map[string]any
		json.NewDecoder(r.Body).Decode(&in)
		swap, asked := in["swapRecord"]
		if _, there := s.records[in["rkey"].(string)]; there && asked && swap == nil {
			fail(http.StatusBadRequest, "InvalidSwap")
			return
		}
		s.records[in["rkey"].(string)] = in["record"]
		give(map[string]string{"uri": "at://did:plc:ours/app.bsky.feed.post/" + in["rkey"].(string), "cid": "bafy"})
	case "com.atproto.repo.getRecord":
		v, ok := s.records[q.Get("rkey")]
		if !ok {
			fail(http.StatusBadRequest, "RecordNotFound")
			return
		}
		give(map[string]any{"uri": "at://x", "value": v})
	case "com.atproto.repo.listRecords":
		var out []any
		for k, v := range s.records {
			out = append(out, map[string]any{"uri": "at://did:plc:ours/app.bsky.feed.post/" + k, "cid": "bafy", "value": v})
		}
		give(map[string]any{"records": out})
	case "com.atproto.identity.resolveHandle":
		if q.Get("handle") != "hana.example" {
			fail(http.StatusBadRequest, "HandleNotFound")
			return
		}
		give(map[string]string{"did": "did:plc:hana"})
	case "app.bsky.feed.getPosts":
		if len(q["uris"]) > 25 {
			fail(http.StatusBadRequest, "InvalidRequest")
			return
		}
		posts := []any{}
		for _, uri := range q["uris"] {
			if !s.gone[uri] {
				posts = append(posts, map[string]any{
					"uri": uri, "cid": "bafy", "indexedAt": "2026-11-20T11:00:00Z", "likeCount": 2, "viewer": map[string]bool{"replyDisabled": s.gated[uri]},
					"author": map[string]string{"did": "did:plc:hana", "handle": "hana.example"}, "record": map[string]string{"text": "hello", "createdAt": "2026-11-20T11:00:00Z"},
				})
			}
		}
		give(map[string]any{"posts": posts})
	case "app.bsky.notification.listNotifications":
		give(s.notes(q.Get("cursor")))
	default:
		fail(http.StatusNotImplemented, "MethodNotImplemented")
	}
}

func newPDS(t *testing.T) (*pds, *blueskyAccount) {
	s := &pds{records: map[string]any{}, gone: map[string]bool{}, gated: map[string]bool{}}
	src := openKind(t, "blueskyaccount", "{server: "+serve(t, s.ServeHTTP)+", handle: acme.example, password: hunter2, search: 0}", testDeps(t))
	return s, src.Source.(*blueskyAccount)
}

const hanasPost = "at://did:plc:hana/app.bsky.feed.post/3m5nnnnnnnn2a"

func toHana(text string) Reply {
	return Reply{
		To:   mention.Post{NativeID: hanasPost, PublishedAt: testNow.Add(-time.Hour), ReplyRef: `{"root":{"uri":"` + hanasPost + `","cid":"bafy"},"parent":{"uri":"` + hanasPost + `","cid":"bafy"}}`},
		Text: text, Lang: "ja", Account: "@acme.example", Key: "attempt-1",
	}
}

func TestBlueskyRepliesOnce(t *testing.T) {
	s, src := newPDS(t)
	r := toHana("ご不便をおかけしました。https://acme.example/ヘルプ をご覧ください @hana.example #アクメ")
	if _, err := src.Find(t.Context(), r); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	first, err := src.Reply(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	again, err := src.Reply(t.Context(), r)
	if err != nil || again.NativeID != first.NativeID || len(s.records) != 1 {
		t.Fatalf("%+v and %+v, %d records, %v", first, again, len(s.records), err)
	}
	found, err := src.Find(t.Context(), r)
	if err != nil || found.NativeID != first.NativeID || found.URL != first.URL || !found.At.Equal(testNow) {
		t.Errorf("%+v, %v", found, err)
	}
	other := r
	other.Key = "attempt-2"
	if _, err := src.Reply(t.Context(), other); err != nil || len(s.records) != 2 {
		t.Errorf("another reply: %d records, %v", len(s.records), err)
	}
	raw, _ := json.Marshal(s.records)
	for _, want := range []string{
		`"langs":["ja"]`, `"parent":{"cid":"bafy","uri":"` + hanasPost + `"}`,
		`"uri":"https://acme.example/"`, `"did":"did:plc:hana"`, `"tag":"アクメ"`,
	} {
		if !bytes.Contains(raw, []byte(want)) {
			t.Errorf("no %s in %s", want, raw)
		}
	}
}

func TestBlueskyFacetsCountBytes(t *testing.T) {
	_, src := newPDS(t)
	for _, c := range []struct {
		text string
		want []string
	}{
		{"困った😢 https://acme.example/a?b=1。ほか", []string{"https://acme.example/a?b=1"}},
		{"@hana.example さん、a@hana.example と @nobody.example は別です", []string{"@hana.example"}},
		{"#新製品 と #1 と ＃アクメ、 です(#tag)", []string{"#新製品", "＃アクメ", "#tag"}},
		{"nothing at all", nil},
	} {
		var got []string
		for _, f := range src.facets(t.Context(), c.text) {
			got = append(got, c.text[f.Index.Start:f.Index.End])
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

func TestBlueskyRefusesWhatCantBe(t *testing.T) {
	s, src := newPDS(t)
	long, wide := toHana(strings.Repeat("あ", 301)), toHana(strings.Repeat("👨‍👩‍👧‍👦", 290))
	wrong := toHana("a")
	wrong.Account = "other.example"
	for _, c := range []struct {
		name   string
		r      Reply
		before func()
		want   Reason
	}{
		{"301 characters", long, nil, TooLong},
		{"over 3000 bytes", wide, nil, TooLong},
		{"another account", wrong, nil, WrongAccount},
		{"gated", toHana("a"), func() { s.gated[hanasPost] = true }, Gated},
		{"deleted", toHana("a"), func() { s.gone[hanasPost] = true }, PostGone},
	} {
		if c.before != nil {
			c.before()
		}
		_, err := src.Reply(t.Context(), c.r)
		if r, ok := Refused(err, testNow); !ok || r.Reason != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if len(s.records) > 0 {
		t.Errorf("written: %v", s.records)
	}
	s.refuse = "AuthenticationRequired"
	_, fresh := newPDS(t)
	fresh.cfg.Server = src.cfg.Server
	if _, err := fresh.Reply(t.Context(), toHana("a")); err == nil || !strings.Contains(err.Error(), "app password") {
		t.Error(err)
	} else if r, ok := Refused(err, testNow); !ok || r.Reason != Revoked || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

func TestBlueskyRenewsItsSession(t *testing.T) {
	s, src := newPDS(t)
	for range 3 {
		if _, err := src.Timeline(t.Context(), time.Time{}); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		s.valid = "" // the access token has run out
		s.mu.Unlock()
	}
	if s.sessions != 1 || s.renewed != 2 {
		t.Errorf("signed in %d times, renewed %d times", s.sessions, s.renewed)
	}
}

func TestBlueskyTellsOfNotificationsItCouldNotRead(t *testing.T) {
	s, src := newPDS(t)
	at := testNow
	s.notes = func(string) any {
		var list []any
		for range 100 {
			at = at.Add(-time.Second)
			list = append(list, map[string]any{
				"uri": fmt.Sprintf("at://did:plc:hana/app.bsky.feed.post/%d", at.Unix()), "cid": "b", "reason": "mention", "indexedAt": at.Format(time.RFC3339),
				"author": map[string]string{"did": "did:plc:hana"}, "record": map[string]string{"text": "hello", "createdAt": at.Format(time.RFC3339)},
			})
		}
		return map[string]any{"cursor": "more", "notifications": list}
	}
	cur := blueskyAccountCursor{Notes: blueskyPlace{At: testNow.Add(-24 * time.Hour)}}
	var items []Item
	for it, err := range src.Fetch(t.Context(), cur.String()) {
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, it)
	}
	if len(items) != 1000 || items[0].Gap == nil || items[1].Gap != nil || !items[0].Gap.To.Equal(items[0].Post.PublishedAt) {
		t.Errorf("%d items, the first with gap %+v", len(items), items[0].Gap)
	}
}

func TestBlueskyRereads(t *testing.T) {
	s, src := newPDS(t)
	s.gone["at://did:plc:hana/app.bsky.feed.post/7"] = true
	s.gone["at://did:plc:hana/app.bsky.feed.post/8"] = true
	var posts []mention.Post
	for i := range 40 {
		posts = append(posts, mention.Post{NativeID: fmt.Sprintf("at://did:plc:hana/app.bsky.feed.post/%d", i), PublishedAt: testNow.Add(-time.Hour)})
	}
	posts[8].PublishedAt = testNow.Add(-time.Minute) // may not be shown yet
	got, err := src.Reread(t.Context(), posts)
	if err != nil || len(got) != 39 {
		t.Fatal(len(got), err)
	}
	for _, p := range got {
		if gone := p.NativeID == posts[7].NativeID; p.Deleted != gone || !gone && (p.Text != "hello" || *p.Metrics.Likes != 2) {
			t.Errorf("%+v", p)
		}
	}
}

func TestTIDsSortByTime(t *testing.T) {
	early, late := tid(testNow.UnixMicro(), 1023), tid(testNow.UnixMicro()+1, 0)
	if early >= late || !tidTime(early).Equal(testNow) || !tidTime("3jzfcijpj2z2a").Equal(time.UnixMicro(1688137381887007)) || !tidTime("x").IsZero() {
		t.Error(early, late, tidTime(early), tidTime("3jzfcijpj2z2a"))
	}
	a, b := toHana("a"), toHana("a")
	b.Key = "other"
	if blueskyKey(a) != blueskyKey(toHana("b")) || blueskyKey(a) == blueskyKey(b) || tidTime(blueskyKey(a)).Sub(a.To.PublishedAt) >= time.Second {
		t.Error(blueskyKey(a), blueskyKey(b), tidTime(blueskyKey(a)))
	}
}
