package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/mattn/go-mastodon"
)

func openMastodon(t *testing.T) (*platform, *mastodonSource, mention.Post) {
	t.Helper()
	k, _ := Named("mastodon")
	p := newPlatform(t, "mastodon")
	src := p.open(t, k)
	items, err := src.fetch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return p, src.Source.(*mastodonSource), items[0].Post
}

func TestMastodonReplies(t *testing.T) {
	p, src, post := openMastodon(t)
	if src.Dedupes() != 0 {
		t.Error("the server has not been asked yet")
	}
	r := Reply{To: post, Text: "We are sorry to hear that. Please see https://acme.example/help", Account: "@acme@social.example", Key: "key-1"}
	sent, err := src.Reply(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if sent.URL != "https://social.example/@acme/115580000000000050" || sent.NativeID != "https://social.example/users/acme/statuses/115580000000000050" || sent.At.IsZero() {
		t.Errorf("%+v", sent)
	}
	asked := p.asked()
	req := asked[len(asked)-1]
	if req.Method != "POST" || req.Header.Get("Idempotency-Key") != "key-1" || req.Header.Get("Authorization") != "Bearer hunter2-mastodon-token" ||
		req.Form.Get("status") != "@ann@far.example "+r.Text || req.Form.Get("in_reply_to_id") != "115580000000000010" || req.Form.Get("visibility") != "public" {
		t.Errorf("%s %v %v", req.Method, req.Header, req.Form)
	}
	if src.Dedupes() != time.Hour {
		t.Error("Mastodon drops repeats for an hour")
	}
	found, err := src.Find(t.Context(), r)
	if err != nil || found != sent {
		t.Errorf("%+v, %v", found, err)
	}
	r.Text = "Another text"
	if _, err := src.Find(t.Context(), r); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

func TestMastodonRefusesRepliesThatCantBe(t *testing.T) {
	p, src, post := openMastodon(t)
	elsewhere := post
	elsewhere.ReplyRef = strings.Replace(post.ReplyRef, p.server.URL, "https://other.example", 1)
	for _, c := range []struct {
		name, want string
		r          Reply
	}{
		{"too long", "301 characters, the server takes 300", Reply{To: post, Text: strings.Repeat("あ", 296)}},
		{"another account", "the token belongs to @acme", Reply{To: post, Text: "a", Account: "someone"}},
		{"no way to answer", "does not say how", Reply{To: mention.Post{}, Text: "a"}},
		{"read through another server", "was read through other.example", Reply{To: elsewhere, Text: "a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := src.Reply(t.Context(), c.r)
			never, ok := errors.AsType[interface {
				error
				Permanent() bool
			}](err)
			if !ok || !never.Permanent() || !strings.Contains(err.Error(), c.want) {
				t.Error(err)
			}
		})
	}
	for _, r := range p.asked() {
		if r.Method == "POST" {
			t.Error("something was posted")
		}
	}
	if _, err := src.Reply(t.Context(), Reply{To: post, Text: strings.Repeat("あ", 295)}); err != nil {
		t.Errorf("as long as allowed: %v", err)
	}
}

func TestMastodonRepliesNoWiderThanTheyAreAsked(t *testing.T) {
	for _, c := range [][3]string{
		{"public", "public", "public"}, {"public", "unlisted", "unlisted"}, {"unlisted", "public", "unlisted"},
		{"public", "private", "private"}, {"public", "direct", "direct"}, {"private", "unlisted", "private"}, {"public", "", "direct"},
	} {
		if got := narrower(c[0], c[1]); got != c[2] {
			t.Errorf("%s to %s: %s", c[0], c[1], got)
		}
	}
	for _, c := range []struct{ text, want string }{
		{"Hello", "@ann@far.example Hello"}, {"Hello @ann@far.example!", "Hello @ann@far.example!"},
		{"@Ann@Far.example、こんにちは", "@Ann@Far.example、こんにちは"}, {"@ann@far.example.org hi", "@ann@far.example @ann@far.example.org hi"},
	} {
		if got := addressed(c.text, "ann@far.example"); got != c.want {
			t.Errorf("%q: %q", c.text, got)
		}
	}
}

func TestMastodonAfterAFailureWeDontKnow(t *testing.T) {
	p, src, post := openMastodon(t)
	if _, err := src.Limit(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.set(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		p.set(nil)
		p.ServeHTTP(w, r)
		p.set(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	})
	_, err := src.Reply(t.Context(), Reply{To: post, Text: "a", Key: "k"})
	never, _ := errors.AsType[interface {
		error
		Permanent() bool
	}](err)
	if err == nil || never == nil || never.Permanent() {
		t.Error(err)
	}
	if _, err := src.Find(t.Context(), Reply{To: post, Text: "a", Key: "k"}); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("a platform that is down does not say no: %v", err)
	}
}

func TestMastodonKnowsItsQuotaAndTheThread(t *testing.T) {
	_, src, post := openMastodon(t)
	q, ok := src.Quota()
	if !ok || q.Limit != 300 || q.Remaining != 297 || !q.Reset.Equal(testNow.Add(5*time.Minute)) {
		t.Errorf("%+v", q)
	}
	if err := src.Complete(t.Context(), &post); err != nil {
		t.Fatal(err)
	}
	if th := post.Thread; th.ParentText != "Who else has a leaking kettle?" || th.ParentAuthor != "bo" || th.Parent != "https://social.example/users/bo/statuses/115580000000000001" {
		t.Errorf("%+v", th)
	}
}

func TestMastodonSearchReadsTermsAsHashtags(t *testing.T) {
	_, src, _ := openMastodon(t)
	posts, err := src.Search(t.Context(), []string{"two words", "#Acme", "アクメ"}, 1)
	if err != nil || len(posts) != 1 || posts[0].Author.Name != "ボブ" {
		t.Errorf("%+v, %v", posts, err)
	}
}

func TestMastodonPagesForwardsThroughABacklog(t *testing.T) {
	statuses := map[string][]int{"a": nil, "b": nil} // ids by tag, ascending
	fail := ""
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		tag := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		if tag == fail {
			w.WriteHeader(500)
			return
		}
		var min int
		fmt.Sscan(r.URL.Query().Get("min_id"), &min)
		var page []map[string]any
		ids := statuses[tag]
		if min == 0 {
			ids = ids[max(len(ids)-mastodonPage, 0):]
		}
		for _, id := range ids {
			if id > min && len(page) < mastodonPage {
				page = append(page, map[string]any{
					"id": fmt.Sprint(id), "uri": fmt.Sprintf("https://s.example/%d", id), "created_at": testNow.Format(time.RFC3339), "content": "<p>x</p>",
					"account": map[string]any{"acct": "u", "url": "https://s.example/@u"}, "visibility": "public",
				})
			}
		}
		slices.Reverse(page)
		json.NewEncoder(w).Encode(page)
	})
	cfg := "hashtags: [a, '#B']\nserver: " + base
	got := map[string]int{}
	cursor := ""
	fetch := func(wantErr bool) {
		t.Helper()
		items, err := openKind(t, "mastodon", cfg, testDeps(t)).fetch(t.Context(), cursor)
		if (err != nil) != wantErr {
			t.Fatal(err)
		}
		for _, it := range items {
			if it.Post.NativeID != "" {
				got[it.Post.NativeID]++
			}
			cursor = it.Cursor
		}
	}
	statuses["a"] = []int{101, 102}
	statuses["b"] = []int{102, 103}
	fetch(false)
	for i := 104; i < 700; i++ {
		statuses["a"] = append(statuses["a"], i)
		if i%3 == 0 {
			statuses["b"] = append(statuses["b"], i)
		}
	}
	fail = "b"
	fetch(true) // one tag of two is read
	fail = ""
	fetch(false)
	fetch(false)
	for i := 101; i < 700; i++ {
		if got[fmt.Sprintf("https://s.example/%d", i)] == 0 {
			t.Fatalf("%d never came", i)
		}
	}
	before := maps.Clone(got)
	fetch(false)
	if !maps.Equal(before, got) {
		t.Error("a fetch with nothing new gave something")
	}
}

func TestMastodonReadsTheAnswers(t *testing.T) {
	p, src, post := openMastodon(t)
	status := func(id, acct, account, to, text string) string {
		return fmt.Sprintf(`{"id": %q, "uri": "https://social.example/s/%s", "created_at": "2026-11-20T11:%s:00.000Z", "account": {"id": %q, "acct": %q, "url": "https://social.example/@%s", "followers_count": -1}, "in_reply_to_id": %q, "content": "<p>%s</p>", "visibility": "public"}`, id, id, id, account, acct, acct, to, text)
	}
	if _, err := src.signedIn(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	p.set(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"ancestors": [], "descendants": [%s]}`, strings.Join([]string{
			status("12", "cy", "8", "115580000000000010", "Mine too."), status("11", "acme", "77", "115580000000000010", "Write to us."), status("13", "di", "9", "12", "And mine."),
			strings.Replace(status("14", "ed", "10", "115580000000000010", "For your eyes only."), `"public"`, `"direct"`, 1),
			strings.Replace(status("15", "fi", "11", "115580000000000010", "For my followers."), `"public"`, `"private"`, 1),
		}, ","))
	})
	c, err := src.Below(t.Context(), post)
	if err != nil || len(c) != 2 {
		t.Fatalf("%+v, %v", c, err)
	}
	if c[0].Text != "Write to us." || !c[0].Ours || c[1].Text != "Mine too." || c[1].Ours || c[1].Author != "cy@social.example" {
		t.Errorf("%+v", c)
	}
	src.cfg.Direct = true
	if c, err := src.Below(t.Context(), post); err != nil || len(c) != 4 {
		t.Errorf("not public ones too: %+v, %v", c, err)
	}
	src.cfg.Server = "https://elsewhere.example"
	if c, err := src.Below(t.Context(), post); outbound.Explain(err, testNow).Reason != outbound.Absent {
		t.Errorf("through another server: %+v, %v", c, err)
	}
	if hidden, err := src.post(mastodonStatus{mastodon.Status{ID: "1", URI: "u", CreatedAt: testNow, Content: "x", Account: mastodon.Account{Acct: "a", URL: "https://s.example/@a", FollowersCount: -1}}, "1"}); err != nil || hidden.Author.Followers != nil {
		t.Errorf("a reach that is hidden: %+v, %v", hidden.Author, err)
	}
}
