package source

import (
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

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"golang.org/x/oauth2"
)

// fakeBusiness is Google Business Profile as its references have it: one
// account, its locations, and their reviews with one answer each at most.
type fakeBusiness struct {
	t         *testing.T
	locations []string // numbers; a ! marks one that is not verified
	reviews   []fakeBusinessReview
	access    string // token that is let in
	refreshes int
	revoked   bool
	puts      int
	state     string // of answers that are given
	fault     http.HandlerFunc
}

type fakeBusinessReview struct {
	location, id, text, answer, state string
	created, updated                  time.Time
}

func (f *fakeBusiness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, code, message string) {
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": status, "message": message, "status": code}})
	}
	if r.URL.Path == "/oauth2/token" {
		w.Header().Set("Content-Type", "application/json")
		if f.revoked || r.PostFormValue("refresh_token") != "refresh" {
			w.WriteHeader(400)
			fmt.Fprint(w, `{"error": "invalid_grant", "error_description": "Token has been expired or revoked."}`)
			return
		}
		f.refreshes++
		f.access = fmt.Sprint("at", f.refreshes)
		fmt.Fprintf(w, `{"access_token": %q, "expires_in": 3599, "token_type": "Bearer"}`, f.access)
		return
	}
	if f.fault != nil {
		f.fault(w, r)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+f.access {
		fail(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
		return
	}
	path := r.URL.Path
	switch {
	case path == "/mybusinessaccountmanagement/v1/accounts":
		fmt.Fprint(w, `{"accounts": [{"name": "accounts/1", "accountName": "Cafés", "type": "LOCATION_GROUP"}, {"name": "accounts/9", "accountName": "Hana Sato", "type": "PERSONAL"}]}`)
		return
	case path == "/mybusinessbusinessinformation/v1/accounts/9/locations":
		fmt.Fprint(w, `{}`)
		return
	case path == "/mybusinessbusinessinformation/v1/accounts/1/locations":
		var list []any
		for _, n := range f.locations {
			number, unverified := strings.CutPrefix(n, "!")
			list = append(list, map[string]any{"name": "locations/" + number, "title": "Store " + number, "metadata": map[string]any{"hasVoiceOfMerchant": !unverified, "mapsUri": "https://maps.example/" + number}})
		}
		json.NewEncoder(w).Encode(map[string]any{"locations": list})
		return
	}
	location, rest, ok := strings.Cut(strings.TrimPrefix(path, "/mybusiness/v4/accounts/1/locations/"), "/reviews")
	if !ok {
		fail(404, "NOT_FOUND", path)
		return
	}
	if slices.Contains(f.locations, "!"+location) {
		fail(403, "PERMISSION_DENIED", "The location is not verified.")
		return
	}
	if rest == "" {
		var of []fakeBusinessReview
		for _, v := range f.reviews {
			if v.location == location {
				of = append(of, v)
			}
		}
		slices.SortStableFunc(of, func(a, b fakeBusinessReview) int { return b.updated.Compare(a.updated) })
		from, _ := strconv.Atoi(r.URL.Query().Get("pageToken"))
		size, _ := strconv.Atoi(r.URL.Query().Get("pageSize"))
		to := min(from+size, len(of))
		var list []any
		for _, v := range of[from:to] {
			list = append(list, v.doc())
		}
		answer := map[string]any{"reviews": list}
		if to < len(of) {
			answer["nextPageToken"] = strconv.Itoa(to)
		}
		json.NewEncoder(w).Encode(answer)
		return
	}
	id, reply := strings.CutSuffix(strings.TrimPrefix(rest, "/"), "/reply")
	i := slices.IndexFunc(f.reviews, func(v fakeBusinessReview) bool { return v.location == location && v.id == id })
	switch {
	case i < 0:
		fail(404, "NOT_FOUND", "Requested entity was not found.")
	case r.Method == "GET" && !reply:
		json.NewEncoder(w).Encode(f.reviews[i].doc())
	case r.Method == "PUT" && reply:
		var in struct{ Comment string }
		json.NewDecoder(r.Body).Decode(&in)
		if len(in.Comment) > 4096 {
			fail(400, "INVALID_ARGUMENT", "too long")
			return
		}
		f.puts++
		f.reviews[i].answer, f.reviews[i].state = in.Comment, f.state
		json.NewEncoder(w).Encode(f.reviews[i].doc()["reviewReply"])
	default:
		fail(405, "UNIMPLEMENTED", r.Method)
	}
}

func (v fakeBusinessReview) doc() map[string]any {
	doc := map[string]any{
		"name": "accounts/1/locations/" + v.location + "/reviews/" + v.id, "reviewId": v.id, "starRating": "THREE", "comment": v.text,
		"reviewer": map[string]any{"displayName": "n"}, "createTime": v.created.Format(time.RFC3339Nano), "updateTime": v.updated.Format(time.RFC3339Nano),
	}
	if v.answer != "" {
		reply := map[string]any{"comment": v.answer, "updateTime": testNow.Format(time.RFC3339Nano)}
		if v.state != "" {
			reply["reviewReplyState"] = v.state
		}
		if v.state == "REJECTED" {
			reply["policyViolation"] = "OFF_TOPIC"
		}
		doc["reviewReply"] = reply
	}
	return doc
}

func openBusiness(t *testing.T, expiry time.Time) (*fakeBusiness, *googleBusiness, *time.Time) {
	t.Helper()
	f := &fakeBusiness{t: t, locations: []string{"2", "!3", "4"}, access: "at0"}
	for i := range 120 {
		at := testNow.Add(-time.Duration(i) * time.Minute)
		f.reviews = append(f.reviews, fakeBusinessReview{location: []string{"2", "4"}[i%2], id: fmt.Sprint("r", i), text: "text", created: at, updated: at})
	}
	d, now := testDeps(t), testNow
	d.Now, d.Keep = func() time.Time { return now }, Memory()
	s := openKind(t, "googlebusiness", "client_id: c\nclient_secret: s\npush: word\nserver: "+serve(t, f.ServeHTTP)+"/{api}", d).Source.(*googleBusiness)
	var g Grant
	if err := d.Keep.Update(t.Context(), tokenName, &g, func() (bool, error) {
		g = Grant{Client: "c", Token: oauth2.Token{AccessToken: "at0", RefreshToken: "refresh", Expiry: expiry}}
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	return f, s, &now
}

func TestGoogleBusinessReadsEveryLocation(t *testing.T) {
	f, s, now := openBusiness(t, testNow.Add(time.Hour))
	items, err := bench{s, nil}.fetch(t.Context(), "")
	if posts := postsOf(items); err != nil || len(posts) != 120 || posts[119].NativeID != "locations/2/reviews/r0" {
		t.Fatalf("%d reviews, %v", len(posts), err)
	}
	*now = now.Add(10 * time.Minute)
	f.reviews[7].text, f.reviews[7].updated = "edited", *now
	f.locations = append(f.locations, "5")
	f.reviews = append(f.reviews, fakeBusinessReview{location: "5", id: "r", text: "text", created: *now, updated: *now})
	more, err := bench{s, nil}.fetch(t.Context(), last(items, ""))
	if got := postsOf(more); err != nil || len(got) != 1 || got[0].NativeID != "locations/4/reviews/r7" || !got[0].EditedAt.Equal(*now) {
		t.Fatalf("%+v, %v", got, err)
	}
	*now = now.Add(55 * time.Minute) // beyond the token's life, and the list's
	if more, err = (bench{s, nil}).fetch(t.Context(), last(more, "")); err != nil || len(postsOf(more)) != 1 || f.refreshes != 1 {
		t.Errorf("%+v, %v, %d refreshes", more, err, f.refreshes)
	}
}

func TestGoogleBusinessWhenConsentIsTakenBack(t *testing.T) {
	f, s, _ := openBusiness(t, testNow.Add(-time.Hour))
	f.revoked = true
	_, err := bench{s, nil}.fetch(t.Context(), "")
	if refusal, ok := Refused(err, testNow); !ok || refusal.Reason != Revoked || !strings.Contains(err.Error(), "connect") {
		t.Errorf("%+v, %v", refusal, err)
	}
	review := mention.Post{ReplyRef: "accounts/1/locations/2/reviews/r0"}
	if refusal, ok := Refused(second(s.Reply(t.Context(), Reply{To: review, Text: "a"})), testNow); !ok || refusal.Reason != Revoked || f.puts > 0 {
		t.Errorf("%+v", refusal)
	}
}

func TestGoogleBusinessWaitsAsItIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		header map[string]string
		after  time.Duration
	}{
		"in seconds": {map[string]string{"Retry-After": "90"}, 90 * time.Second},
		"by a date":  {map[string]string{"Retry-After": time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)}, 90 * time.Second},
		"not at all": {nil, 0},
	} {
		f, s, _ := openBusiness(t, testNow.Add(time.Hour))
		f.fault = func(w http.ResponseWriter, r *http.Request) {
			for k, v := range c.header {
				w.Header().Set(k, v)
			}
			w.WriteHeader(429)
			fmt.Fprint(w, `{"error": {"code": 429, "message": "Quota exceeded for quota metric 'Requests'", "status": "RESOURCE_EXHAUSTED"}}`)
		}
		_, err := bench{s, nil}.fetch(t.Context(), "")
		e, ok := errors.AsType[*outbound.Error](err)
		if !ok || e.Permanent() || (e.RetryAfter()-c.after).Abs() > 2*time.Second || !strings.Contains(err.Error(), "Quota exceeded") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGoogleBusinessAnswers(t *testing.T) {
	f, s, _ := openBusiness(t, testNow.Add(time.Hour))
	items, _ := bench{s, nil}.fetch(t.Context(), "")
	review := items[119].Post
	r := Reply{To: review, Text: "ご来店ありがとうございました。"}
	f.state = "PENDING"
	sent, err := s.Reply(t.Context(), r)
	if err != nil || sent.NativeID != "locations/2/reviews/r0/reply" || sent.At.IsZero() || sent.URL != "https://maps.example/2" {
		t.Fatalf("%+v, %v", sent, err)
	}
	again, err := s.Reply(t.Context(), r)
	if found, e := s.Find(t.Context(), r); err != nil || e != nil || again != sent || found != sent || f.puts != 1 {
		t.Errorf("%+v, %v; %+v, %v; %d puts", again, err, found, e, f.puts)
	}
	r.Text = "担当者よりご説明します。"
	if refusal, ok := Refused(second(s.Reply(t.Context(), r)), testNow); !ok || refusal.Reason != Answered || f.puts != 1 {
		t.Errorf("%+v, %d puts", refusal, f.puts)
	}
	gone := mention.Post{NativeID: "locations/2/reviews/r99", ReplyRef: "accounts/1/locations/2/reviews/r99"}
	seen, err := s.Reread(t.Context(), []mention.Post{review, gone})
	if err != nil || len(seen) != 1 || seen[0].Comments[0].State != mention.Pending {
		t.Fatalf("%+v, %v", seen, err)
	}

	// Google has rejected it: nobody sees it, and another may take its place.
	f.reviews[0].state = "REJECTED"
	if _, err := s.Find(t.Context(), Reply{To: review, Text: f.reviews[0].answer}); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	f.state = "APPROVED"
	if _, err := s.Reply(t.Context(), r); err != nil || f.puts != 2 || f.reviews[0].answer != r.Text {
		t.Errorf("%v, %d puts", err, f.puts)
	}
	ours := mention.Post{Platform: "gbp", NativeID: sent.NativeID, Text: r.Text, Thread: mention.Thread{Parent: review.NativeID}}
	if seen, err := s.Reread(t.Context(), []mention.Post{ours}); err != nil || len(seen) != 1 || seen[0].Deleted || seen[0].Text != r.Text {
		t.Errorf("%+v, %v", seen, err)
	}
	f.reviews[0].answer = ""
	if seen, err := s.Reread(t.Context(), []mention.Post{ours}); err != nil || len(seen) != 1 || !seen[0].Deleted {
		t.Errorf("%+v, %v", seen, err)
	}
}

func TestGoogleBusinessRefusals(t *testing.T) {
	f, s, _ := openBusiness(t, testNow.Add(time.Hour))
	items, _ := bench{s, nil}.fetch(t.Context(), "")
	review := items[0].Post
	at := func(ref string) mention.Post { p := review; p.ReplyRef = ref; return p }
	unverified := review
	unverified.NoReply = mention.Unverified
	f.state = "REJECTED"
	for _, c := range []struct {
		name   string
		r      Reply
		reason Reason
		want   string
	}{
		{"not verified", Reply{To: unverified, Text: "a"}, Unverified, "verified locations only"},
		{"too long", Reply{To: review, Text: strings.Repeat("あ", 1366)}, TooLong, "4098 bytes, the platform takes 4096"},
		{"the review is gone", Reply{To: at("accounts/1/locations/2/reviews/r99"), Text: "a"}, PostGone, "not found"},
		{"the location is gone", Reply{To: at("accounts/1/locations/9/reviews/r1"), Text: "a"}, NotGranted, "does not manage"},
		{"no reference", Reply{To: at("../x"), Text: "a"}, "", "does not say"},
		{"against the rules", Reply{To: review, Text: "a"}, Unfit, "OFF_TOPIC"},
	} {
		_, err := s.Reply(t.Context(), c.r)
		if refusal, ok := Refused(err, testNow); !ok || refusal.Reason != c.reason || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v", c.name, refusal.Reason, err)
		}
	}
	f.state = "APPROVED"
	if _, err := s.Reply(t.Context(), Reply{To: review, Text: strings.Repeat("あ", 1365)}); err != nil {
		t.Errorf("as long as allowed: %v", err)
	}
}

func TestGoogleBusinessTakesPushes(t *testing.T) {
	_, s, _ := openBusiness(t, testNow.Add(time.Hour))
	push := func(key, data string) (Pushed, error) {
		body := fmt.Sprintf(`{"message": {"data": %q, "messageId": "1", "publishTime": "2026-11-20T12:00:00Z"}, "subscription": "projects/p/subscriptions/s"}`, base64.StdEncoding.EncodeToString([]byte(data)))
		return s.Receive(t.Context(), Push{Method: "POST", URL: "https://desk.example/hooks/maps?key=" + key, Body: []byte(body)})
	}
	for _, data := range []string{
		`{"name": "accounts/1/notificationSetting", "type": "NEW_REVIEW", "reviewName": "accounts/1/locations/2/reviews/r0", "locationName": "accounts/1/locations/2"}`,
		`{"review": "accounts/1/locations/2/reviews/r0", "location": "accounts/1/locations/2"}`,
	} {
		got, err := push("word", data)
		if err != nil || len(got.Items) != 1 || got.Items[0].Post.NativeID != "locations/2/reviews/r0" || got.Items[0].Post.Text != "text" || got.Status != 0 {
			t.Errorf("%+v, %v", got, err)
		}
	}
	for name, data := range map[string]string{
		"of something else": `{"type": "NEW_QUESTION", "questionName": "accounts/1/locations/2/questions/q"}`, "of a review that is gone": `accounts/1/locations/2/reviews/r99`,
		"of a location that isn't ours": `accounts/1/locations/9/reviews/r1`, "of nothing": "",
	} {
		if got, err := push("word", data); err != nil || len(got.Items) > 0 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, key := range []string{"", "wor", "word2"} {
		_, err := push(key, "accounts/1/locations/2/reviews/r0")
		if refusal, ok := Refused(err, testNow); !ok || !refusal.Permanent() {
			t.Errorf("%q is let in: %v", key, err)
		}
	}
	if _, err := s.Receive(t.Context(), Push{Method: "POST", URL: "/hooks/maps?key=word", Body: []byte("<nonsense>")}); err == nil {
		t.Error("nonsense is taken")
	}
	s.cfg.Push = config.Secret{}
	if _, err := push("", "accounts/1/locations/2/reviews/r0"); err == nil {
		t.Error("without a key anybody is let in")
	}
}

func TestGoogleTranslationsAreLeftOut(t *testing.T) {
	for comment, want := range map[string]string{
		"plain": "plain", "": "",
		"(Translated by Google) Good\n\n(Original)\n良い\n二行目": "良い\n二行目",
		"良い\n\n(Translated by Google)\nGood":                 "良い",
		"(Translated by Google) cut short":                   "cut short",
		"It said (Translated by Google) on the sign":         "It said (Translated by Google) on the sign",
		"(Original) recipe":                                  "(Original) recipe",
	} {
		if got := clean(googleOriginal(comment)); got != want {
			t.Errorf("%q: %q", comment, got)
		}
	}
}

func FuzzGoogleOriginal(f *testing.F) {
	f.Add("(Translated by Google) Good\n\n(Original)\n良い")
	f.Add("良い\n\n(Translated by Google)\nGood")
	f.Fuzz(func(t *testing.T, comment string) {
		if got := googleOriginal(comment); !strings.Contains(comment, got) {
			t.Errorf("%q is not in %q", got, comment)
		}
	})
}
