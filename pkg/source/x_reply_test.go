package source

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// heard returns the post with id as the connector brings it.
func (x *xServer) heard(src *xSource, id string) mention.Post {
	x.t.Helper()
	items, _, err := collectX(x.t.Context(), src, "")
	if err != nil {
		x.t.Fatal(err)
	}
	i := slices.IndexFunc(items, func(it Item) bool { return it.Post.NativeID == id })
	if i < 0 {
		x.t.Fatalf("%s is not among %q", id, nativeIDs(items))
	}
	return items[i].Post
}

func TestXRepliesAndFindsTheReply(t *testing.T) {
	x := newXServer(t)
	src := x.open(xTestKeys, x.deps("kettle"))
	to := x.heard(src, x.say("2", "@acme_jp my kettle leaks", time.Minute))
	r := Reply{To: to, Text: "Sorry to hear that! See https://example.com/help, and send us the number.", Account: "@Acme_JP", Key: "k"}
	if _, err := src.Find(t.Context(), r); !errors.Is(err, ErrNotFound) {
		t.Errorf("found before it is there: %v", err)
	}
	sent, err := src.Reply(t.Context(), r)
	if err != nil || sent.NativeID == "" || sent.URL != "https://x.com/acme_jp/status/"+sent.NativeID || sent.At.IsZero() {
		t.Fatalf("%+v, %v", sent, err)
	}
	found, err := x.open(xTestKeys, x.deps("kettle")).Find(t.Context(), r)
	if err != nil || found != sent {
		t.Errorf("%+v, want %+v: %v", found, sent, err)
	}
	// The same text again is refused by X, and found.
	again, err := src.Reply(t.Context(), r)
	if err != nil || again != sent {
		t.Errorf("%+v, %v", again, err)
	}
	// Another text, or another post, is not this reply.
	for _, o := range []Reply{{To: to, Text: "Another text"}, {To: mention.Post{Platform: "x", NativeID: "5"}, Text: r.Text}} {
		if _, err := src.Find(t.Context(), o); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", o.Text, err)
		}
	}
	own, err := src.Timeline(t.Context(), testNow.Add(-time.Hour))
	if err != nil || len(own) != 1 || own[0].NativeID != sent.NativeID || own[0].Thread.Parent != to.NativeID {
		t.Errorf("%+v, %v", own, err)
	}
	if own, err := src.Timeline(t.Context(), x.clock().Add(time.Minute)); err != nil || len(own) != 0 {
		t.Errorf("%+v, %v", own, err)
	}
}

func TestXReplyWithoutAnAnswerIsFound(t *testing.T) {
	x := newXServer(t)
	src := x.open(xTestKeys, x.deps("kettle"))
	r := Reply{To: x.heard(src, x.say("2", "@acme_jp my kettle leaks", time.Minute)), Text: "いつもありがとうございます。"}
	x.slack = true
	_, err := src.Reply(t.Context(), r)
	if err == nil {
		t.Fatal("no error")
	}
	if _, certain := Refused(err, testNow); certain {
		t.Errorf("%v is taken for a refusal", err)
	}
	if n := x.count("POST /2/tweets"); n != 1 {
		t.Errorf("sent %d times", n)
	}
	if sent, err := src.Find(t.Context(), r); err != nil || sent.NativeID == "" {
		t.Errorf("%+v, %v", sent, err)
	}
}

func TestXReplyIsToTheLastEdit(t *testing.T) {
	x := newXServer(t)
	src := x.open(xTestKeys, x.deps("kettle"))
	first := x.say("2", "@acme_jp my kettel leaks", 20*time.Minute)
	x.mu.Lock()
	x.posts = nil
	x.mu.Unlock()
	second := x.say("2", "@acme_jp my kettle leaks", 10*time.Minute, func(p *xPosted) { p.history = []string{first, strconv.FormatUint(p.id, 10)} })
	to := x.heard(src, first)
	if to.ReplyRef != second || to.EditedAt.IsZero() || !to.PublishedAt.Before(to.EditedAt) || !strings.HasSuffix(to.URL, second) {
		t.Errorf("%+v", to)
	}
	if _, err := src.Reply(t.Context(), Reply{To: to, Text: "Sorry!"}); err != nil {
		t.Error(err)
	}
	if _, err := src.Find(t.Context(), Reply{To: to, Text: "Sorry!"}); err != nil {
		t.Error(err)
	}
}

func TestXRefusalsAreToldApart(t *testing.T) {
	x := newXServer(t)
	keyword := x.say("2", "the kettle is loud", time.Minute)
	asked := x.say("2", "@acme_jp hello", time.Minute)
	gone := x.say("2", "@acme_jp gone", time.Minute, func(p *xPosted) { p.gone = "resource-not-found" })
	post := func(id string, no mention.NoReply) mention.Post {
		return mention.Post{Platform: "x", NativeID: id, NoReply: no}
	}
	for _, c := range []struct {
		name, cfg string
		r         Reply
		fault     http.HandlerFunc
		want      Reason
		sent      bool // X was asked
	}{
		{"known not to be summoned", xTestKeys, Reply{To: post(keyword, mention.NotSummoned), Text: "hi"}, nil, NotSummoned, false},
		{"X disagrees with us", xTestKeys, Reply{To: post(keyword, ""), Text: "hi"}, nil, NotSummoned, true},
		{"not for us", xTestKeys, Reply{To: post(asked, mention.Gated), Text: "hi"}, nil, Gated, false},
		{"the post is gone", xTestKeys, Reply{To: post(gone, ""), Text: "hi"}, nil, PostGone, true},
		{"too long", xTestKeys, Reply{To: post(asked, ""), Text: strings.Repeat("語", 141)}, nil, TooLong, false},
		{"another account", xTestKeys, Reply{To: post(asked, ""), Text: "hi", Account: "other"}, nil, WrongAccount, false},
		{"keys of another account", strings.Replace(xTestKeys, "acme_jp", "acme_us", 1), Reply{To: post(asked, ""), Text: "hi"}, nil, WrongAccount, false},
		{"no keys", "bearer: app-token\naccount: acme_jp\n", Reply{To: post(asked, ""), Text: "hi"}, nil, NotGranted, false},
		{"wrong keys", strings.Replace(xTestKeys, "as\n", "wrong\n", 1), Reply{To: post(asked, ""), Text: "hi"}, nil, Revoked, false},
		{"a foreign post", xTestKeys, Reply{To: mention.Post{Platform: "mastodon", NativeID: "https://x"}, Text: "hi"}, nil, "", false},
		{"too many", xTestKeys, Reply{To: post(asked, ""), Text: "hi"}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("x-rate-limit-remaining", "0")
			w.Header().Set("x-rate-limit-reset", strconv.FormatInt(time.Now().Add(5*time.Minute).Unix(), 10))
			problem(w, 429, "rate-limit-exceeded", "Too Many Requests")
		}, Limited, true},
		{"restricted by the author", xTestKeys, Reply{To: post(asked, ""), Text: "hi"}, func(w http.ResponseWriter, r *http.Request) {
			problem(w, 403, "about:blank", "The original Tweet author restricted who can reply to this Tweet.")
		}, Gated, true},
		{"read-only keys", xTestKeys, Reply{To: post(asked, ""), Text: "hi"}, func(w http.ResponseWriter, r *http.Request) {
			problem(w, 403, "oauth1-permissions", "Your client app is not configured with the appropriate oauth1 app permissions for this endpoint.")
		}, NotGranted, true},
		{"no credits", xTestKeys, Reply{To: post(asked, ""), Text: "hi"}, func(w http.ResponseWriter, r *http.Request) {
			problem(w, 402, "credits-depleted", "Your enrolled account does not have any credits to fulfill this request.")
		}, NotGranted, true},
		{"the account is locked", xTestKeys, Reply{To: post(asked, ""), Text: "hi"}, func(w http.ResponseWriter, r *http.Request) {
			problem(w, 403, "about:blank", "To protect our users from spam and other malicious activity, this account is temporarily locked.")
		}, Locked, true},
		{"something else", xTestKeys, Reply{To: post(asked, ""), Text: "hi"}, func(w http.ResponseWriter, r *http.Request) {
			problem(w, 403, "about:blank", "You are not permitted to perform this action.")
		}, "", true},
	} {
		before := x.count("POST /2/tweets")
		x.set(nil)
		if fault := c.fault; fault != nil {
			x.set(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "POST" {
					fault(w, r)
					return
				}
				x.answer(w, r, nil)
			})
		}
		_, err := x.open(c.cfg, x.deps()).Reply(t.Context(), c.r)
		got, refused := Refused(err, testNow)
		if !refused || got.Reason != c.want || (x.count("POST /2/tweets") > before) != c.sent {
			t.Errorf("%s: %q (%t), want %q: %v", c.name, got.Reason, refused, c.want, err)
		}
	}
	x.set(nil)
	if _, err := x.open(xTestKeys+"enterprise: true\n", x.deps()).Reply(t.Context(), Reply{To: post(asked, ""), Text: "hi"}); err != nil {
		t.Error(err)
	}
	if l, _ := x.open("premium: true\nbearer: x", x.deps()).Limit(t.Context()); l.Max != 25000 {
		t.Errorf("%+v", l)
	}
}

func TestXRereadsWhatBecameOfPosts(t *testing.T) {
	x := newXServer(t)
	src := x.open("bearer: app-token\ncountry: JP\n", x.deps("kettle"))
	same := x.say("2", "kettle", time.Hour)
	gone := x.say("2", "kettle, deleted", time.Hour)
	hidden := x.say("2", "kettle, protected", time.Hour)
	edited := x.say("2", "kettle, as it was", time.Hour)
	barred := x.say("2", "kettle, withheld", time.Hour)
	odd := x.say("2", "kettle, out of order", time.Hour)
	items, _, err := collectX(t.Context(), src, "")
	if err != nil || len(nativeIDs(items)) != 6 {
		t.Fatal(items, err)
	}
	newer := x.say("2", "kettle, as it is", 50*time.Minute, func(p *xPosted) { p.history = []string{edited, strconv.FormatUint(p.id, 10)} })
	x.mu.Lock()
	x.find(gone).gone, x.find(hidden).gone, x.find(odd).gone = "resource-not-found", "not-authorized-for-resource", "internal-error"
	x.find(edited).history = []string{edited, newer}
	x.find(barred).extra["withheld"] = map[string]any{"country_codes": []string{"JP"}}
	x.find(same).extra["public_metrics"] = map[string]any{"like_count": 77}
	x.mu.Unlock()
	now, err := src.Reread(t.Context(), postsOf(items))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]mention.Post{}
	for _, p := range now {
		got[p.NativeID] = p
	}
	if len(now) != 5 || *got[same].Metrics.Likes != 77 || got[same].Deleted {
		t.Errorf("%d: %+v", len(now), got[same])
	}
	for _, id := range []string{gone, hidden, barred} {
		if p := got[id]; !p.Deleted || p.Text != "" || p.Author != (mention.Author{}) || !p.EditedAt.Equal(x.clock()) {
			t.Errorf("%+v", p)
		}
	}
	if p := got[edited]; p.Text != "kettle, as it is" || p.ReplyRef != newer || p.EditedAt.IsZero() {
		t.Errorf("%+v", p)
	}
	if _, there := got[odd]; there {
		t.Errorf("of %+v X did not speak", got[odd])
	}
	if none, err := src.Reread(t.Context(), []mention.Post{{Platform: "mastodon", NativeID: "https://a"}, {Platform: "x", NativeID: "text"}}); err != nil || none != nil {
		t.Errorf("%+v, %v", none, err)
	}
	var many []mention.Post
	for i := range 250 {
		many = append(many, mention.Post{Platform: "x", NativeID: fmt.Sprint(1000 + i)})
	}
	if now, err := src.Reread(t.Context(), many); err != nil || len(now) != 250 {
		t.Errorf("%d, %v", len(now), err)
	}
}

func signedPush(body string) Push {
	mac := hmac.New(sha256.New, []byte("cs"))
	mac.Write([]byte(body))
	return Push{Method: "POST", URL: "https://desk.example/hooks/x", Body: []byte(body), Header: http.Header{
		"X-Twitter-Webhooks-Signature": {"sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))},
	}}
}

func TestXChallengesAreAnswered(t *testing.T) {
	src := newXServer(t).open(xTestKeys, testDeps(t))
	got, err := src.Receive(t.Context(), Push{Method: "GET", URL: "https://desk.example/hooks/x?crc_token=a%2Bb&nonce=1"})
	mac := hmac.New(sha256.New, []byte("cs"))
	mac.Write([]byte("a+b"))
	want := `{"response_token":"sha256=` + base64.StdEncoding.EncodeToString(mac.Sum(nil)) + `"}`
	if err != nil || string(got.Body) != want || got.Header.Get("Content-Type") != "application/json" || got.Status != 0 {
		t.Errorf("%s, want %s: %v", got.Body, want, err)
	}
	var permanent interface{ Permanent() bool }
	for name, p := range map[string]Push{"no token": {Method: "GET", URL: "https://desk.example/hooks/x"}, "not an address": {Method: "GET", URL: "::"}} {
		if _, err := src.Receive(t.Context(), p); !errors.As(err, &permanent) || !permanent.Permanent() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestXPushesAreCheckedAndRead(t *testing.T) {
	x := newXServer(t)
	d := x.deps()
	src := x.open(xTestKeys, d)
	users := `"includes":{"users":[{"id":"2","username":"hana","name":"花"},{"data":{"id":"1","username":"acme_jp"}}]}`
	tweet := func(author, text, more string) string {
		return `{"id":"2080765813578191303","author_id":"` + author + `","text":"` + text + `","created_at":"2026-07-24T21:23:23.000Z","entities":{"mentions":[{"username":"acme_jp","id":"1"}]}` + more + `}`
	}
	event := func(kind, payload string) string {
		return `{"data":{"event_uuid":"1","filter":{"user_id":"1"},"event_type":"` + kind + `","payload":` + payload + `,` + users + `}}`
	}
	v1 := func(user, more string) string {
		return `{"created_at":"Fri Jul 24 21:23:23 +0000 2026","id_str":"2080765813578191303","text":"hey @acme_jp","user":{"id_str":"` + user + `","screen_name":"hana"},"entities":{"user_mentions":[{"screen_name":"acme_jp"}]}` + more + `}`
	}
	for _, c := range []struct {
		name, body string
		want       string // native id, with ! for a deletion; empty for nothing
		noReply    mention.NoReply
	}{
		{"a mention", event("post.mention.create", tweet("2", "hey @acme_jp", "")), "2080765813578191303", ""},
		{"a reply", event("post.reply.create", tweet("2", "@acme_jp hey", `,"in_reply_to_user_id":"1"`)), "2080765813578191303", ""},
		{"our own post", event("post.create", tweet("1", "news", "")), "", ""},
		{"a repost", event("post.repost.create", tweet("2", "RT", `,"referenced_tweets":[{"type":"retweeted","id":"5"}]`)), "", ""},
		{"a deletion", event("post.delete", `{"id":"2080761269309813134","author_id":"1"}`), "!2080761269309813134", ""},
		{"a like", event("like.create", `{"id":"3"}`), "", ""},
		{"a revocation", event("oauth.revoke", `{"user_id":"1"}`), "", ""},
		{"of the filtered stream", `{"data":` + tweet("2", "hey", "") + `,` + users + `,"matching_rules":[{"id":"1","tag":"a"}]}`, "2080765813578191303", ""},
		{"account activity", `{"for_user_id":"1","user_has_blocked":"false","tweet_create_events":[` + v1("2", "") + `]}`, "2080765813578191303", ""},
		{"account activity, our own", `{"for_user_id":"1","tweet_create_events":[` + v1("1", "") + `]}`, "", ""},
		{"account activity, a repost", `{"for_user_id":"1","tweet_create_events":[` + v1("2", `,"retweeted_status":`+v1("1", "")) + `]}`, "", ""},
		{"account activity, withheld", `{"for_user_id":"1","tweet_create_events":[` + v1("2", `,"withheld_in_countries":["XX"]`) + `]}`, "", ""},
		{"account activity, a deletion", `{"for_user_id":"1","tweet_delete_events":[{"status":{"id":"1045405559317569537","user_id":"1"},"timestamp_ms":"1432228155593"}]}`, "!1045405559317569537", ""},
		{"account activity, a revocation", `{"user_event":{"revoke":{"date_time":"2018-05-24T09:48:12+00:00"}}}`, "", ""},
		{"a broken post", event("post.mention.create", `{"id":7}`), "", ""},
		{"nothing we know", `{"data":{"event_type":"dm.received","payload":{}}}`, "", ""},
		{"a list", `[]`, "error", ""},
	} {
		got, err := src.Receive(t.Context(), signedPush(c.body))
		have := ""
		if err != nil {
			have = "error"
		}
		for _, it := range got.Items {
			if it.Post.Deleted {
				have += "!"
			}
			have += it.Post.NativeID
			if it.Post.NoReply != c.noReply || it.Post.SeenAt.IsZero() || it.Post.Intake != mention.Live {
				t.Errorf("%s: %+v", c.name, it.Post)
			}
		}
		if have != c.want {
			t.Errorf("%s: %q, want %q: %v", c.name, have, c.want, err)
		}
	}
	forged := signedPush(event("post.mention.create", tweet("2", "hey", "")))
	forged.Body = []byte(strings.Replace(string(forged.Body), "hey", "boo", 1))
	for name, p := range map[string]Push{"a changed body": forged, "no signature": {Method: "POST", Body: forged.Body, Header: http.Header{}}} {
		if got, err := src.Receive(t.Context(), p); err == nil || len(got.Items) > 0 {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := x.open("bearer: x\n", d).Receive(t.Context(), signedPush("{}")); err == nil {
		t.Error("taken without a secret to check with")
	}
	if s, err := src.Spent(t.Context()); err != nil || s.Day.Posts == 0 {
		t.Errorf("pushes are not counted: %+v, %v", s, err)
	}
}

func FuzzXPush(f *testing.F) {
	f.Add(`{"data":{"event_type":"post.mention.create","payload":{"id":"1","text":"a"},"includes":{"users":[{"data":{"id":"1"}}]}}}`)
	f.Add(`{"for_user_id":"1","tweet_create_events":[{"id_str":"1","created_at":"Fri Jul 24 21:23:23 +0000 2026","full_text":"a https://t.co/a","user":{"id_str":"2"},"entities":{"urls":[{"url":"https://t.co/a","expanded_url":"https://a.example"}]}}]}`)
	f.Add(`{"data":{"id":"9","text":"&lt;","edit_history_tweet_ids":["x"],"referenced_tweets":[{"type":"retweeted","id":"8"}],"note_tweet":{"text":"b"}},"includes":{"tweets":[{"id":"8","text":"c"}],"media":[{"media_key":"1"}]}}`)
	src := openKind(f, "x", "consumer_secret: cs\naccount: acme\nreposts: true\n", func() Deps { d := testDeps(f); d.Keep = Memory(); return d }()).Source.(*xSource)
	f.Fuzz(func(t *testing.T, body string) {
		got, _ := src.Receive(t.Context(), signedPush(body))
		for _, it := range got.Items {
			if it.Post.Deleted {
				continue
			}
			wellFormed(t, it.Post)
			if _, err := json.Marshal(it.Post); err != nil {
				t.Error(err)
			}
		}
	})
}
