package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"pgregory.net/rapid"
)

// fakeReddit is Reddit's API as its documents have it: things newest first.
type fakeReddit struct {
	things []map[string]any
	me     string
	refuse string // an error code of the API
	status int
	header map[string]string
	agents map[string]bool
}

func redditPost(kind, name, author, text, parent string, at time.Time) map[string]any {
	d := map[string]any{"name": name, "author": author, "subreddit": "acme", "permalink": "/r/acme/" + name + "/", "created_utc": float64(at.Unix()), "edited": false, "link_id": "t3_1", "parent_id": parent}
	if kind == "t1" {
		d["body"] = text
	} else {
		d["title"], d["selftext"] = "title", text
	}
	return map[string]any{"kind": kind, "data": d}
}

func (f *fakeReddit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.agents[r.UserAgent()] = true
	for k, v := range f.header {
		w.Header().Set(k, v)
	}
	if f.status != 0 {
		w.WriteHeader(f.status)
		return
	}
	q := r.URL.Query()
	list := func(keep func(map[string]any) bool) {
		children := []any{}
		for _, t := range f.things {
			if keep(t["data"].(map[string]any)) {
				children = append(children, t)
			}
		}
		json.NewEncoder(w).Encode(map[string]any{"kind": "Listing", "data": map[string]any{"after": nil, "children": children}})
	}
	switch {
	case r.Header.Get("Authorization") != "Bearer hunter2-consented" || q.Get("raw_json") != "1" && r.Method == "GET":
		w.WriteHeader(401)
	case r.URL.Path == "/api/v1/me":
		fmt.Fprintf(w, `{"name": %q}`, f.me)
	case r.URL.Path == "/r/acme/comments":
		list(func(d map[string]any) bool { return d["body"] != nil })
	case r.URL.Path == "/r/acme/new":
		list(func(d map[string]any) bool { return d["body"] == nil })
	case r.URL.Path == "/user/care/comments":
		list(func(d map[string]any) bool { return d["author"] == "care" && d["body"] != nil })
	case r.URL.Path == "/api/info":
		list(func(d map[string]any) bool {
			return slices.Contains(strings.Split(q.Get("id"), ","), d["name"].(string))
		})
	case r.Method == "POST" && r.URL.Path == "/api/comment" && f.refuse != "":
		fmt.Fprintf(w, `{"json": {"errors": [[%q, "that is why", "field"]]}}`, f.refuse)
	case r.Method == "POST" && r.URL.Path == "/api/comment" && r.FormValue("api_type") == "json":
		t := redditPost("t1", fmt.Sprint("t1_ours", len(f.things)), "care", r.FormValue("text"), r.FormValue("thing_id"), testNow)
		f.things = append([]map[string]any{t}, f.things...)
		json.NewEncoder(w).Encode(map[string]any{"json": map[string]any{"errors": []any{}, "data": map[string]any{"things": []any{t}}}})
	default:
		w.WriteHeader(404)
	}
}

func openReddit(t *testing.T) (*fakeReddit, *reddit) {
	t.Helper()
	f := &fakeReddit{me: "Care", agents: map[string]bool{}}
	f.things = []map[string]any{
		redditPost("t1", "t1_b", "bo", "Mine too.", "t3_1", testNow.Add(-time.Minute)), redditPost("t1", "t1_a", "ann", "It leaks.", "t3_1", testNow.Add(-2*time.Minute)),
		redditPost("t3", "t3_1", "cid", "Who has one?", "", testNow.Add(-time.Hour)),
	}
	d := testDeps(t)
	d.Keep = Memory()
	base := serve(t, f.ServeHTTP)
	s := openKind(t, "reddit", fmt.Sprintf("client_id: c\nclient_secret: s\naccount: care\nsubreddits: [acme]\nserver: %s\nlogin: %s", base, base), d).Source.(*reddit)
	letIn(t, s, d)
	return f, s
}

func TestRedditReplies(t *testing.T) {
	f, s := openReddit(t)
	items, err := bench{s, nil}.fetch(t.Context(), "")
	posts := postsOf(items)
	if err != nil || len(posts) != 3 || posts[1].NativeID != "t1_a" || posts[1].Place.ID != "r/acme" {
		t.Fatalf("%+v, %v", posts, err)
	}
	r := Reply{To: posts[1], Text: "Please send us a message.", Account: "u/care"}
	if _, err := s.Find(t.Context(), r); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	sent, err := s.Reply(t.Context(), r)
	if err != nil || sent.NativeID != "t1_ours3" || sent.URL != "https://www.reddit.com/r/acme/t1_ours3/" {
		t.Fatalf("%+v, %v", sent, err)
	}
	if found, err := s.Find(t.Context(), r); err != nil || found != sent {
		t.Errorf("%+v, %v", found, err)
	}
	if more, err := (bench{s, nil}).fetch(t.Context(), last(items, "")); err != nil || len(postsOf(more)) > 0 {
		t.Errorf("our own is no mention: %+v, %v", more, err)
	}
	if len(f.agents) != 1 || !f.agents["server:earshot:v1 (by /u/care)"] {
		t.Errorf("%v", f.agents)
	}
}

func TestRedditRefusals(t *testing.T) {
	f, s := openReddit(t)
	post := mention.Post{ReplyRef: "t1_a"}
	for _, c := range []struct {
		name   string
		r      Reply
		me     string
		refuse string
		reason Reason
	}{
		{"locked", Reply{To: mention.Post{ReplyRef: "t1_a", NoReply: mention.Closed}, Text: "a"}, "care", "", Closed},
		{"too long", Reply{To: post, Text: strings.Repeat("あ", 10_001)}, "care", "", TooLong},
		{"another account", Reply{To: post, Text: "a"}, "someone", "", WrongAccount},
		{"for another account", Reply{To: post, Text: "a", Account: "someone"}, "care", "", WrongAccount},
		{"no reference", Reply{To: mention.Post{ReplyRef: "x&y"}, Text: "a"}, "care", "", ""},
		{"too fast", Reply{To: post, Text: "a"}, "care", "RATELIMIT", Limited},
		{"locked meanwhile", Reply{To: post, Text: "a"}, "care", "THREAD_LOCKED", Closed},
		{"gone", Reply{To: post, Text: "a"}, "care", "DELETED_COMMENT", PostGone},
		{"something else", Reply{To: post, Text: "a"}, "care", "NO_TEXT", ""},
	} {
		f.me, f.refuse = c.me, c.refuse
		if refusal, ok := Refused(second(s.Reply(t.Context(), c.r)), testNow); !ok || refusal.Reason != c.reason {
			t.Errorf("%s: %+v", c.name, refusal)
		}
	}
	f.status = 500
	if refusal, ok := Refused(second(s.Reply(t.Context(), Reply{To: post, Text: "a"})), testNow); !ok || refusal.Reason != Unreachable {
		t.Errorf("before anything was sent: %+v", refusal)
	}
	f.status, f.header = 429, map[string]string{"X-Ratelimit-Remaining": "0.0", "X-Ratelimit-Used": "100", "X-Ratelimit-Reset": "90.5"}
	_, err := bench{s, nil}.fetch(t.Context(), "")
	if e, ok := errors.AsType[*outbound.Error](err); !ok || e.Permanent() || (e.RetryAfter()-90*time.Second).Abs() > 3*time.Second {
		t.Error(err)
	}
}

func TestRedditReadsWhatStandsAround(t *testing.T) {
	thread := func(comment string) string {
		return `[{"kind": "Listing", "data": {"children": [{"kind": "t3", "data": {"name": "t3_1"}}]}}, {"kind": "Listing", "data": {"children": [` + comment + `, {"kind": "more", "data": {"name": "t1_more", "children": ["x"]}}]}}]`
	}
	comment := func(name, author, text, parent, replies string) string {
		return fmt.Sprintf(`{"kind": "t1", "data": {"name": %q, "author": %q, "body": %q, "subreddit": "acme", "permalink": "/r/acme/%s/", "link_id": "t3_1", "parent_id": %q, "created_utc": 1795160000, "score": 1, "score_hidden": true, "replies": %s}}`, name, author, text, name, parent, replies)
	}
	below := func(c ...string) string {
		return `{"kind": "Listing", "data": {"children": [` + strings.Join(c, ",") + `]}}`
	}
	asked := ""
	d := testDeps(t)
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path + " " + r.URL.Query().Get("comment")
		switch asked {
		case "/comments/1 ":
			fmt.Fprint(w, thread(comment("t1_a", "ann", "It leaks.", "t3_1", `""`)+","+comment("t1_c", "Care", "Write to us.", "t3_1", `""`)))
		case "/comments/1 b":
			fmt.Fprint(w, thread(comment("t1_a", "ann", "It leaks.", "t3_1", below(comment("t1_b", "bo", "Mine too.", "t1_a", below(comment("t1_d", "dan", "And mine.", "t1_b", `""`)))))))
		default:
			w.WriteHeader(404)
		}
	})
	s := openKind(t, "reddit", fmt.Sprintf("client_id: c\nclient_secret: s\naccount: care\nserver: %s\nlogin: %s", base, base), d).Source.(*reddit)
	letIn(t, s, d)
	post := mention.Post{NativeID: "t3_1", Metrics: mention.Metrics{Replies: mention.Count(2)}}
	if err := s.Complete(t.Context(), &post); err != nil || asked != "" || post.Comments != nil {
		t.Errorf("nothing of others is kept: asked for %q, %+v, %v", asked, post, err)
	}
	if c, err := s.Below(t.Context(), post); err != nil || len(c) != 2 || c[0].Author != "ann" || c[0].Ours || !c[1].Ours {
		t.Errorf("%+v, %v", c, err)
	}
	answer := mention.Post{NativeID: "t1_b", Thread: mention.Thread{ID: "t3_1", Parent: "t1_a"}}
	if err := s.Complete(t.Context(), &answer); err != nil || answer.Thread.ParentText != "It leaks." || answer.Thread.ParentAuthor != "ann" || answer.Comments != nil {
		t.Errorf("%+v, %v", answer, err)
	}
	if c, err := s.Below(t.Context(), answer); err != nil || len(c) != 1 || c[0].Text != "And mine." {
		t.Errorf("%+v, %v", c, err)
	}
	var hidden redditThing
	if err := json.Unmarshal([]byte(comment("t1_a", "ann", "It leaks.", "t3_1", `""`)), &hidden); err != nil {
		t.Fatal(err)
	}
	if p, err := s.post(hidden); err != nil || p.Metrics.Likes != nil {
		t.Errorf("a score that Reddit hides: %+v, %v", p.Metrics, err)
	}
}

func TestRedditLearnsOfDeletions(t *testing.T) {
	f, s := openReddit(t)
	items, _ := bench{s, nil}.fetch(t.Context(), "")
	f.things[0]["data"].(map[string]any)["body"] = "[removed]"
	f.things[1]["data"].(map[string]any)["author"] = "[deleted]"
	f.things[2]["data"].(map[string]any)["edited"] = float64(testNow.Unix())
	got, err := s.Reread(t.Context(), append(postsOf(items), mention.Post{NativeID: "t1_unknown"}))
	if err != nil || len(got) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, p := range got {
		if p.Deleted != (p.NativeID != "t3_1") || !p.Deleted && !p.EditedAt.Equal(testNow) {
			t.Errorf("%+v", p)
		}
	}
}

func TestRedditSearchesForEveryWordOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOf(rapid.StringMatching(`[a-zあ-ん" ]{0,40}`)).Draw(t, "words")
		all := " OR " + strings.Join(redditQueries(words), " OR ") + " OR "
		for _, q := range redditQueries(words) {
			if len(q) > redditQuery {
				t.Errorf("%d bytes", len(q))
			}
		}
		for _, w := range words {
			w = strings.TrimSpace(strings.ReplaceAll(w, `"`, " "))
			if w != "" && !strings.Contains(all, ` OR "`+w+`" OR `) {
				t.Errorf("%q is not in %s", w, all)
			}
		}
	})
}
