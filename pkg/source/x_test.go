package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"pgregory.net/rapid"
)

func TestXGivesEveryPostOnce(t *testing.T) {
	x := newXServer(t)
	var want []string
	for i := range 250 { // three pages, found by two queries
		want = append(want, x.say("2", fmt.Sprintf("kettle and toaster %d", i), time.Duration(300-i)*time.Minute))
	}
	words := []string{"kettle", "toaster"}
	for i := range 60 {
		words = append(words, fmt.Sprintf("word number %d", i))
	}
	src := x.open("bearer: app-token\ndaily_usd: 0\n", x.deps(words...))
	items, cursor, err := collectX(t.Context(), src, "")
	if got := nativeIDs(items); err != nil || !slices.Equal(got, want) {
		t.Fatalf("%d posts, want %d: %v", len(got), len(want), err)
	}
	for _, q := range x.queries {
		if utf8.RuneCountInString(q) > 512 {
			t.Errorf("a query of %d characters", utf8.RuneCountInString(q))
		}
	}
	// A post that search knows late has a lower id than one that was given.
	slow := x.say("2", "my kettle leaks", 0, late(70*time.Second))
	x.pass(10 * time.Second)
	quick := x.say("3", "my kettle too", 0)
	x.pass(10 * time.Second)
	var got []string
	for range 6 {
		items, next, err := collectX(t.Context(), src, cursor)
		if err != nil {
			t.Fatal(err)
		}
		got, cursor = append(got, nativeIDs(items)...), next
		x.pass(30 * time.Second)
	}
	if !slices.Equal(got, []string{quick, slow}) {
		t.Errorf("given %q, want %q", got, []string{quick, slow})
	}
}

func TestXReadsALongBacklogInParts(t *testing.T) {
	x := newXServer(t)
	var want []string
	for i := range 3000 {
		want = append(want, x.say("2", "kettle", 20*time.Hour-time.Duration(i)*20*time.Second))
	}
	src := x.open("bearer: app-token\ndaily_usd: 0\nmonthly_usd: 0\n", x.deps("kettle"))
	items, _, err := collectX(t.Context(), src, "")
	if got := nativeIDs(items); err != nil || !slices.Equal(got, want) {
		t.Fatalf("%d posts, want %d in order: %v", len(got), len(want), err)
	}
	if n := x.count("GET /2/tweets/search/recent"); n > 100 {
		t.Errorf("%d requests for 30 pages", n)
	}
	// Every prefix can be gone on from.
	half := items[len(items)/2]
	items, _, err = collectX(t.Context(), src, half.Cursor)
	if got := nativeIDs(items); err != nil || len(got) != len(want)-len(want)/2-1 {
		t.Errorf("%d posts after the half: %v", len(got), err)
	}
}

func TestXTellsWhatIsTooLongAgo(t *testing.T) {
	x := newXServer(t)
	src := x.open("bearer: app-token\n", x.deps("kettle"))
	x.say("2", "kettle, long ago", 8*24*time.Hour)
	recent := x.say("2", "kettle", 6*24*time.Hour)
	since := xCursor{Since: xIDAt(testNow.Add(-9 * 24 * time.Hour))}
	items, cursor, err := collectX(t.Context(), src, since.String())
	gaps := gapsOf(items)
	if err != nil || len(gaps) != 1 || !slices.Equal(nativeIDs(items), []string{recent}) {
		t.Fatalf("%v %v %v", gaps, nativeIDs(items), err)
	}
	if g := gaps[0]; !g.From.Equal(testNow.Add(-9*24*time.Hour)) || g.To.Before(testNow.Add(-7*24*time.Hour)) || g.To.After(testNow.Add(-6*24*time.Hour)) {
		t.Errorf("%+v", g)
	}
	// A quiet source does not run into the bound.
	for range 10 {
		x.pass(24 * time.Hour)
		if items, cursor, err = collectX(t.Context(), src, cursor); err != nil || len(gapsOf(items)) > 0 {
			t.Fatalf("%v, %v", gapsOf(items), err)
		}
	}
}

func TestXReadsMentionsOfTheAccount(t *testing.T) {
	x := newXServer(t)
	asked := x.say("2", "@acme_jp where is my parcel", time.Minute)
	heard := x.say("3", "the kettle is loud", time.Minute)
	x.say("1", "@hana our kettle is on sale", time.Minute)
	x.say("2", "nothing of ours", time.Minute)
	for cfg, want := range map[string][]string{
		xTestKeys:                                   {asked, heard},
		xTestKeys + "listen: mentions\n":            {asked},
		"account: acme_jp\nbearer: app-token\n":     {asked, heard}, // without the account's keys
		"account: '@Acme_JP'\nbearer: app-token\n":  {asked, heard},
		xTestKeys + "listen: push\n":                nil,
		"bearer: app-token\n":                       {heard, ""}, // our own post as well: nobody said which are ours
		"account: nobody_here\nbearer: app-token\n": {heard, ""},
		"account: acme_jp\nlisten: search\n" + "consumer_key: ck\nconsumer_secret: cs\naccess_token: at\naccess_secret: as\n": {asked, heard},
	} {
		items, _, err := collectX(t.Context(), x.open(cfg, x.deps("kettle")), "")
		got := nativeIDs(items)
		if err != nil || len(got) != len(want) || len(want) > 0 && want[len(want)-1] != "" && !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q: %v", cfg, got, want, err)
		}
		for _, it := range items {
			if it.Post.NativeID == heard && (it.Post.NoReply == mention.NotSummoned) != strings.Contains(cfg, "account:") {
				t.Errorf("%q: %s: no reply %q", cfg, it.Post.Text, it.Post.NoReply)
			}
			if it.Post.NativeID == asked && it.Post.NoReply != "" && !strings.Contains(cfg, "nobody") {
				t.Errorf("%q: %q is called not answerable", cfg, it.Post.Text)
			}
		}
	}
}

func TestXTellsThatItListsOnlyTheNewestMentions(t *testing.T) {
	x := newXServer(t)
	var ids []string
	for i := range 900 {
		ids = append(ids, x.say("2", "@acme_jp hello", 5*time.Hour-time.Duration(i)*time.Second))
	}
	src := x.open(xTestKeys+"listen: mentions\ndaily_usd: 0\n", x.deps())
	items, cursor, err := collectX(t.Context(), src, "")
	if got, gaps := nativeIDs(items), gapsOf(items); err != nil || !slices.Equal(got, ids[100:]) || len(gaps) != 1 || !gaps[0].To.Equal(xTime(xNumber(ids[100]))) {
		t.Errorf("%d posts, %+v: %v", len(got), gaps, err)
	}
	if items, _, err := collectX(t.Context(), src, cursor); err != nil || len(nativeIDs(items)) > 0 || len(gapsOf(items)) > 0 {
		t.Errorf("told again: %v %v", items, err)
	}
}

func TestXTellsWhoMayBeAnswered(t *testing.T) {
	x := newXServer(t)
	ours := x.say("1", "news", time.Hour)
	settings := func(s string) func(*xPosted) { return func(p *xPosted) { p.extra["reply_settings"] = s } }
	quote := func(p *xPosted) { p.refs = append(p.refs, map[string]string{"type": "quoted", "id": ours}) }
	for _, c := range []struct {
		text             string
		change           func(*xPosted)
		self, enterprise mention.NoReply
	}{
		{"kettle", settings("everyone"), mention.NotSummoned, ""},
		{"kettle @acme_jp", settings("everyone"), "", ""},
		{"kettle @ACME_JP_fans", settings("everyone"), mention.NotSummoned, ""},
		{"kettle", settings("mentionedUsers"), mention.Gated, mention.Gated},
		{"kettle @acme_jp", settings("mentionedUsers"), "", ""},
		{"kettle, says who", quote, "", ""},
	} {
		id := x.say("2", c.text, time.Minute, c.change)
		for cfg, want := range map[string]mention.NoReply{xTestKeys: c.self, xTestKeys + "enterprise: true\n": c.enterprise} {
			items, _, err := collectX(t.Context(), x.open(cfg, x.deps("kettle")), "")
			i := slices.IndexFunc(items, func(it Item) bool { return it.Post.NativeID == id })
			if err != nil || i < 0 || items[i].Post.NoReply != want {
				t.Errorf("%q, %q: %v, want %q", c.text, cfg, items, want)
			}
		}
	}
}

func TestXPassesItsPausesOn(t *testing.T) {
	x := newXServer(t)
	src := x.open("bearer: app-token\n", x.deps("kettle"))
	x.set(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-rate-limit-limit", "450")
		w.Header().Set("x-rate-limit-remaining", "0")
		w.Header().Set("x-rate-limit-reset", strconv.FormatInt(time.Now().Add(7*time.Minute).Unix(), 10))
		problem(w, 429, "rate-limit-exceeded", "Too Many Requests")
	})
	_, _, err := collectX(t.Context(), src, "")
	e, ok := errors.AsType[*outbound.Error](err)
	if !ok || e.RetryAfter() < 6*time.Minute || e.RetryAfter() > 8*time.Minute {
		t.Errorf("%v", err)
	}
	if q, ok := src.Quota(); !ok || q.Limit != 450 || q.Remaining != 0 {
		t.Errorf("quota %+v", q)
	}
}

func TestXSaysWhatIsWrong(t *testing.T) {
	x := newXServer(t)
	for _, c := range []struct {
		name  string
		fault http.HandlerFunc
		want  string
	}{
		{"a token withdrawn", func(w http.ResponseWriter, r *http.Request) { problem(w, 401, "unauthorized", "Unauthorized") }, `"Unauthorized"`},
		{"no credits", func(w http.ResponseWriter, r *http.Request) {
			problem(w, 402, "credits-depleted", "Your enrolled account does not have any credits to fulfill this request.")
		}, "does not have any credits"},
		{"wrong JSON", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"data": {"not":"a list"}}`) }, "not what it should be"},
		{"a cut answer", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"da`)
		}, "unexpected EOF"},
		{"a login page", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") }, "not what it should be"},
	} {
		x.set(c.fault)
		items, _, err := collectX(t.Context(), x.open("bearer: app-token\n", x.deps("kettle")), "")
		if err == nil || !strings.Contains(err.Error(), c.want) || len(nativeIDs(items)) > 0 {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestAWordXDoesNotTakeLeavesTheOthers(t *testing.T) {
	x := newXServer(t)
	x.badQuery = "strange"
	id := x.say("2", "kettle", time.Minute)
	words := []string{"kettle", "strange"}
	for i := range 50 {
		words = append(words, fmt.Sprintf("m word number %d", i)) // so that there are two queries
	}
	items, cursor, err := collectX(t.Context(), x.open("bearer: app-token\n", x.deps(words...)), "")
	if err == nil || !strings.Contains(err.Error(), "errors processing") || !slices.Equal(nativeIDs(items), []string{id}) {
		t.Errorf("%q, %v", nativeIDs(items), err)
	}
	if items, _, _ := collectX(t.Context(), x.open("bearer: app-token\n", x.deps(words...)), cursor); len(nativeIDs(items)) > 0 {
		t.Errorf("given again: %q", nativeIDs(items))
	}
}

func TestXQueriesFitAndHideNothing(t *testing.T) {
	quoted := regexp.MustCompile(`"[^"]*"`)
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOf(rapid.String()).Draw(t, "words")
		tags := rapid.SliceOf(rapid.String()).Draw(t, "tags")
		most := rapid.SampledFrom([]int{512, 1024}).Draw(t, "most")
		x := &xSource{cfg: xConfig{Account: "acme_jp"}, deps: Deps{Terms: func() Terms { return Terms{Words: words, Hashtags: tags} }}}
		all := " "
		for _, q := range x.queries(most, true, "") {
			if n := utf8.RuneCountInString(q); n > most {
				t.Errorf("%d characters: %q", n, q)
			}
			if strings.Count(q, `"`)%2 != 0 || strings.Contains(q, `\`) || !strings.HasSuffix(q, " -from:acme_jp") || strings.Contains(quoted.ReplaceAllString(q, "x"), "()") {
				t.Errorf("%q", q)
			}
			all += strings.Trim(strings.TrimSuffix(q, " -from:acme_jp"), "()") + " "
		}
		if !strings.Contains(all, "@acme_jp") {
			t.Errorf("the account is missing in %q", all)
		}
		for _, w := range words {
			if op := xPhrase(w); op != "" && utf8.RuneCountInString(op) < 400 && !strings.Contains(all, op) {
				t.Errorf("%q is missing in %q", op, all)
			}
		}
	})
}

func TestXCursorForgetsNothingNew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c xCursor
		given := map[uint64]bool{}
		floor := uint64(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			id := rapid.Uint64Range(1, 100).Draw(t, "id")
			if rapid.Bool().Draw(t, "done") {
				c.done(id)
				floor = max(floor, id)
				continue
			}
			if want := !given[id] && id > floor; c.news(id) != want {
				t.Errorf("%d is new: %t", id, !want)
			}
			given[id] = true
			var again xCursor
			if err := json.Unmarshal([]byte(c.String()), &again); err != nil || again.String() != c.String() {
				t.Errorf("%s: %v", c.String(), err)
			}
		}
	})
}

// TestXv1AndV2Meet reads the same posts in both shapes.
func TestXv1AndV2Meet(t *testing.T) {
	src := newXServer(t).open("bearer: app-token\n", testDeps(t))
	user1 := `"user":{"id_str":"2","screen_name":"hana","name":"花","profile_image_url_https":"https://pbs.twimg.com/a.jpg","followers_count":12}`
	user2 := `{"users":[{"id":"2","username":"hana","name":"花","profile_image_url":"https://pbs.twimg.com/a.jpg","public_metrics":{"followers_count":12}}],`
	id := func(at string) string {
		when, _ := time.Parse(time.RFC3339, at)
		return strconv.FormatUint(xIDAt(when)|9, 10)
	}
	plain, first, second := id("2026-11-20T01:02:03Z"), id("2026-11-20T02:00:00Z"), id("2026-11-20T02:10:00Z")
	for _, c := range []struct{ name, v1, v2, includes string }{
		{
			"links and a picture",
			`{"created_at":"Fri Nov 20 01:02:03 +0000 2026","id_str":"` + plain + `","full_text":"a &amp; b https://t.co/l1 https://t.co/p1","lang":"und",` + user1 + `,
			 "entities":{"urls":[{"url":"https://t.co/l1","expanded_url":"https://example.com/x"}],"media":[{"url":"https://t.co/p1","media_url_https":"https://pbs.twimg.com/media/A.jpg","type":"photo"}]},
			 "extended_entities":{"media":[{"url":"https://t.co/p1","media_url_https":"https://pbs.twimg.com/media/A.jpg","type":"photo"},{"media_url_https":"https://pbs.twimg.com/v/B.jpg","type":"video"}]}}`,
			`{"id":"` + plain + `","text":"a &amp; b https://t.co/l1 https://t.co/p1","author_id":"2","created_at":"2026-11-20T01:02:03.000Z","lang":"und","edit_history_tweet_ids":["` + plain + `"],
			 "attachments":{"media_keys":["3_1","7_1"]},"entities":{"urls":[{"url":"https://t.co/l1","expanded_url":"https://example.com/x"},{"url":"https://t.co/p1","expanded_url":"https://x.com/hana/status/` + plain + `/photo/1","media_key":"3_1"}]}}`,
			user2 + `"media":[{"media_key":"3_1","type":"photo","url":"https://pbs.twimg.com/media/A.jpg"},{"media_key":"7_1","type":"video","preview_image_url":"https://pbs.twimg.com/v/B.jpg"}]}`,
		},
		{
			"a long post",
			`{"created_at":"Fri Nov 20 01:02:03 +0000 2026","id_str":"` + plain + `","text":"short…","truncated":true,` + user1 + `,"extended_tweet":{"full_text":"the whole https://t.co/l2","entities":{"urls":[{"url":"https://t.co/l2","expanded_url":"https://example.com/y"}]}}}`,
			`{"id":"` + plain + `","text":"short…","author_id":"2","created_at":"2026-11-20T01:02:03.000Z","note_tweet":{"text":"the whole https://t.co/l2","entities":{"urls":[{"url":"https://t.co/l2","expanded_url":"https://example.com/y"}]}}}`,
			user2 + `"media":[]}`,
		},
		{
			"an edit",
			`{"created_at":"Fri Nov 20 02:10:00 +0000 2026","id_str":"` + second + `","full_text":"better",` + user1 + `,"edit_history":{"initial_tweet_id":"` + first + `","edit_tweet_ids":["` + first + `","` + second + `"]}}`,
			`{"id":"` + second + `","text":"better","author_id":"2","created_at":"2026-11-20T02:10:00.000Z","edit_history_tweet_ids":["` + first + `","` + second + `"]}`,
			user2 + `"media":[]}`,
		},
		{
			"a repost",
			`{"created_at":"Fri Nov 20 02:10:00 +0000 2026","id_str":"` + second + `","full_text":"RT @bo: cut…",` + user1 + `,"retweeted_status":{"created_at":"Fri Nov 20 01:02:03 +0000 2026","id_str":"` + plain + `","full_text":"cut short it was not","user":{"id_str":"3","screen_name":"bo"}}}`,
			`{"id":"` + second + `","text":"RT @bo: cut…","author_id":"2","created_at":"2026-11-20T02:10:00.000Z","referenced_tweets":[{"type":"retweeted","id":"` + plain + `"}]}`,
			user2 + `"tweets":[{"id":"` + plain + `","text":"cut short it was not","author_id":"3"}]}`,
		},
		{
			"X's new names",
			`{"created_at":"Fri Nov 20 02:10:00 +0000 2026","id_str":"` + second + `","text":"s","extended_tweet":{"full_text":"long"},"in_reply_to_status_id_str":"` + plain + `",` + user1 + `,"edit_history":{"edit_tweet_ids":["` + first + `","` + second + `"]}}`,
			`{"id":"` + second + `","text":"s","note_post":{"text":"long"},"author_id":"2","created_at":"2026-11-20T02:10:00.000Z","edit_history_post_ids":["` + first + `","` + second + `"],"referenced_posts":[{"type":"replied_to","id":"` + plain + `"}]}`,
			user2 + `"posts":[]}`,
		},
	} {
		var in xIncludes
		if err := json.Unmarshal([]byte(c.includes), &in); err != nil {
			t.Fatal(err)
		}
		tweet, err := parseXTweet([]byte(c.v2))
		if err != nil {
			t.Fatal(err)
		}
		v2, err := src.post(&tweet, in.related())
		if err != nil {
			t.Fatal(err)
		}
		r := Import{Now: testNow}.tweet([]byte(c.v1))
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		v1 := r.Post
		a, b := mention.Of("b", v1), mention.Of("b", v2)
		if a.ID != b.ID || a.MessageID() != b.MessageID() || v1.URL != v2.URL || v1.Author.ID != v2.Author.ID || v1.Author.Handle != v2.Author.Handle ||
			v1.Thread.Parent != v2.Thread.Parent || v1.Lang != v2.Lang || !v1.PublishedAt.Equal(v2.PublishedAt) || v1.ReplyRef != v2.ReplyRef {
			t.Errorf("%s:\nv1.1 %+v\nv2   %+v", c.name, v1, v2)
		}
	}
}

func TestXIsAskedByItsNewNamesWhereItHasThem(t *testing.T) {
	x := newXServer(t)
	id := x.say("2", "kettle", time.Minute)
	refused := 0
	x.set(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Has("tweet.fields") || strings.Contains(q.Get("expansions"), "tweets") {
			refused++
			problem(w, 400, "invalid-request", "The `expansions` query parameter value [referenced_tweets.id] is not one of [author_id,referenced_posts]")
			return
		}
		if !strings.Contains(q.Get("post.fields"), "note_post") || !strings.Contains(q.Get("expansions"), "referenced_posts") {
			problem(w, 400, "invalid-request", "post.fields")
			return
		}
		x.answer(w, r, nil)
	})
	src := x.open("bearer: app-token\n", x.deps("kettle"))
	for range 2 {
		items, _, err := collectX(t.Context(), src, "")
		if err != nil || !slices.Equal(nativeIDs(items), []string{id}) {
			t.Errorf("%q, %v", nativeIDs(items), err)
		}
	}
	if refused != 1 {
		t.Errorf("asked by the old names %d times", refused)
	}
}

func TestXLeavesOutWhatItMayNotShow(t *testing.T) {
	x := newXServer(t)
	x.users["4"] = map[string]any{"id": "4", "username": "quiet", "protected": true}
	withheld := func(countries ...string) func(*xPosted) {
		return func(p *xPosted) { p.extra["withheld"] = map[string]any{"copyright": false, "country_codes": countries} }
	}
	x.say("4", "kettle, for my friends", time.Minute)
	x.say("2", "kettle, not in Japan", time.Minute, withheld("DE", "JP"))
	x.say("2", "kettle, nowhere", time.Minute, withheld("XX"))
	want := x.say("2", "kettle, not in Germany", time.Minute, withheld("DE"))
	items, _, err := collectX(t.Context(), x.open("bearer: app-token\ncountry: JP\n", x.deps("kettle")), "")
	if got := nativeIDs(items); err != nil || !slices.Equal(got, []string{want}) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestXConsentIsRenewedAndLost(t *testing.T) {
	x := newXServer(t)
	d := x.deps("kettle")
	cfg := "account: acme_jp\nclient_id: client\nclient_secret: client-secret\n"
	src := x.open(cfg, d)
	if _, _, err := collectX(t.Context(), src, ""); err == nil || !strings.Contains(err.Error(), "connect") {
		t.Errorf("nobody has consented, but %v", err)
	}
	var g Grant
	if err := d.Keep.Update(context.Background(), tokenName, &g, func() (bool, error) {
		g.Client, g.Token.AccessToken, g.Token.RefreshToken, g.Token.Expiry = "client", "access-1", "refresh-1", testNow.Add(time.Minute)
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	id := x.say("2", "@acme_jp hello", time.Minute)
	items, cursor, err := collectX(t.Context(), x.open(cfg, d), "")
	if err != nil || !slices.Equal(nativeIDs(items), []string{id}) || x.access == "access-1" {
		t.Fatalf("%q, %v", nativeIDs(items), err)
	}
	if c := src.Consent(); !slices.Contains(c.Scopes, "offline.access") || !strings.HasPrefix(c.Endpoint.AuthURL, "https://x.com/") {
		t.Errorf("%+v", c)
	}
	for cfg, want := range map[string]bool{cfg: true, xTestKeys: false} {
		if a := AbilitiesOf(t.Context(), x.open(cfg, d), d); a.Consents != want || !a.Receives {
			t.Errorf("%q: %+v", cfg, a)
		}
	}
	// The person withdraws it.
	x.mu.Lock()
	x.refresh, x.access = "gone", "gone"
	x.mu.Unlock()
	x.pass(3 * time.Hour)
	if _, _, err := collectX(t.Context(), x.open(cfg, d), cursor); err == nil || !strings.Contains(err.Error(), "connect again") {
		t.Errorf("%v", err)
	}
}
