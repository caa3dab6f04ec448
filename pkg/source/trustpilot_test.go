package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
)

// fakeTrustpilot is Trustpilot's private API as its documents have it.
type fakeTrustpilot struct {
	reviews []fakeTrustpilotReview // newest first
	tokens  int
	access  string
	code    string // that a business user's consent gave; good once
	refresh string
	posts   int
	refuse  int // status of answers
	gone    bool
}

type fakeTrustpilotReview struct {
	id, text, answer string
	created, updated time.Time
}

const trustpilotUnit, trustpilotUser = "507f191e810c19729de860ea", "507f191e810c19729de860eb"

func (f *fakeTrustpilot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v1/oauth/oauth-business-users-for-applications/accesstoken" {
		w.Header().Set("Content-Type", "application/json")
		if id, secret, _ := r.BasicAuth(); id != "key" || secret != "secret" {
			w.WriteHeader(401)
			fmt.Fprint(w, `{"error": "invalid_client"}`)
			return
		}
		f.tokens++
		f.access = fmt.Sprint("tpa-", f.tokens)
		switch grant := r.PostFormValue("grant_type"); {
		case grant == "client_credentials":
			fmt.Fprintf(w, `{"access_token": %q, "expires_in": "360000", "token_type": "BearerToken"}`, f.access)
		case grant == "authorization_code" && r.PostFormValue("code") == f.code && r.PostFormValue("redirect_uri") == "https://desk.example/sources/consent/callback",
			grant == "refresh_token" && r.PostFormValue("refresh_token") == f.refresh:
			f.code, f.refresh = "", fmt.Sprint("tpr-", f.tokens)
			fmt.Fprintf(w, `{"access_token": %q, "refresh_token": %q, "expires_in": "359999"}`, f.access, f.refresh)
		default:
			w.WriteHeader(400)
			fmt.Fprint(w, `{"error": "invalid_grant"}`)
		}
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+f.access {
		w.WriteHeader(401)
		fmt.Fprint(w, `{"fault": {"faultstring": "Invalid Access Token", "detail": {"errorcode": "keymanagement.service.invalid_access_token"}}}`)
		return
	}
	if r.URL.Path == "/v1/private/business-units/"+trustpilotUnit+"/reviews" && !f.gone {
		q := r.URL.Query()
		page, _ := strconv.Atoi(q.Get("page"))
		size, _ := strconv.Atoi(q.Get("perPage"))
		if q.Get("orderBy") != "createdat.desc" || page < 1 || size > 100 {
			w.WriteHeader(400)
			return
		}
		list := []any{}
		for _, v := range f.reviews[min((page-1)*size, len(f.reviews)):min(page*size, len(f.reviews))] {
			list = append(list, v.doc())
		}
		json.NewEncoder(w).Encode(map[string]any{"links": []any{}, "reviews": list})
		return
	}
	id, reply := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/v1/private/reviews/"), "/reply")
	i := slices.IndexFunc(f.reviews, func(v fakeTrustpilotReview) bool { return v.id == id })
	switch {
	case i < 0:
		w.WriteHeader(404)
		fmt.Fprint(w, `{"message": "The review was not found", "errorCode": 1001}`)
	case r.Method == "GET" && !reply:
		json.NewEncoder(w).Encode(f.reviews[i].doc())
	case r.Method == "POST" && reply && f.refuse > 0:
		w.WriteHeader(f.refuse)
		fmt.Fprint(w, `{"message": "This user has no access to the business unit"}`)
	case r.Method == "POST" && reply:
		var in struct{ AuthorBusinessUserID, Message string }
		json.NewDecoder(r.Body).Decode(&in)
		if in.AuthorBusinessUserID != trustpilotUser || in.Message == "" {
			w.WriteHeader(400)
			return
		}
		f.posts++
		f.reviews[i].answer = in.Message
		w.WriteHeader(201)
	default:
		w.WriteHeader(405)
	}
}

func (v fakeTrustpilotReview) doc() map[string]any {
	doc := map[string]any{
		"id": v.id, "stars": 3, "title": "title", "text": v.text, "language": "en", "createdAt": v.created.Format(time.RFC3339),
		"consumer": map[string]any{"id": "6740bbbb0000000000000001", "displayName": "n"}, "businessUnit": map[string]any{"id": trustpilotUnit, "displayName": "Acme"},
		"referralEmail": "customer@mail.example", "referenceId": "ORDER-123",
	}
	if !v.updated.IsZero() {
		doc["updatedAt"] = v.updated.Format(time.RFC3339)
	}
	if v.answer != "" {
		doc["companyReply"] = map[string]any{"text": v.answer, "authorBusinessUserName": "Sora", "createdAt": testNow.Format(time.RFC3339)}
	}
	return doc
}

func trustpilotID(n int) string { return fmt.Sprintf("%024x", n+1) }

func openTrustpilot(t *testing.T, n int) (*fakeTrustpilot, *trustpilot) {
	t.Helper()
	f := &fakeTrustpilot{}
	for i := range n {
		f.reviews = append(f.reviews, fakeTrustpilotReview{id: trustpilotID(i), text: "text", created: testNow.Add(-time.Duration(i) * time.Minute)})
	}
	cfg := fmt.Sprintf("business_unit: %s\nkey: key\nsecret: secret\nuser: %s\npush: word\nserver: %s", trustpilotUnit, trustpilotUser, serve(t, f.ServeHTTP))
	return f, openKind(t, "trustpilot", cfg, testDeps(t)).Source.(*trustpilot)
}

func TestTrustpilotReadsAllPages(t *testing.T) {
	f, s := openTrustpilot(t, 200)
	items, err := bench{s, nil}.fetch(t.Context(), "")
	if posts := postsOf(items); err != nil || len(posts) != 200 || f.tokens != 1 {
		t.Fatalf("%d reviews with %d tokens, %v", len(posts), f.tokens, err)
	}
	f.access = "another" // the token ended before its time
	f.reviews[3].text, f.reviews[3].updated = "edited", testNow
	more, err := bench{s, nil}.fetch(t.Context(), last(items, ""))
	if got := postsOf(more); err != nil || len(got) != 1 || got[0].NativeID != trustpilotID(3) || got[0].EditedAt.IsZero() || f.tokens != 2 {
		t.Errorf("%+v with %d tokens, %v", got, f.tokens, err)
	}
}

// Nothing that a customer told the shop alone gets in.
// TestTrustpilotIsLetInByAPerson: the authorization code grant as Trustpilot's
// documents have it, whose tokens say their life in a string.
func TestTrustpilotIsLetInByAPerson(t *testing.T) {
	f := &fakeTrustpilot{code: "c0de", reviews: []fakeTrustpilotReview{{id: trustpilotID(0), text: "text", created: testNow.Add(-time.Minute)}}}
	cfg := fmt.Sprintf("business_unit: %s\nkey: key\nsecret: secret\nauth: consent\nserver: %s", trustpilotUnit, serve(t, f.ServeHTTP))
	d := testDeps(t)
	clock := &clock{at: testNow}
	d.Now, d.Keep = clock.Now, Memory()
	open := func(d Deps) (Source, error) { return openKind(t, "trustpilot", cfg, d).Source, nil }
	s, _ := open(d)
	if _, err := (bench{s, nil}).fetch(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "connect the source in the desk") {
		t.Errorf("without consent: %v", err)
	}
	c := Consenting{Redirect: "https://desk.example/sources/consent/callback", State: "st", Verifier: "v", Code: "wrong"}
	page, err := c.Page(s)
	u, _ := url.Parse(page)
	if q := u.Query(); err != nil || u.Host != "authenticate.trustpilot.com" || q.Get("client_id") != "key" || q.Get("response_type") != "code" || q.Get("redirect_uri") != c.Redirect || q.Get("state") != "st" {
		t.Errorf("%s, %v", page, err)
	}
	if g := c.Grant(t.Context(), s, d, open); !strings.Contains(g.Error, "invalid_grant") {
		t.Errorf("a wrong code: %+v", g)
	}
	c.Code = "c0de"
	if g := c.Grant(t.Context(), s, d, open); g.Error != "" {
		t.Errorf("the right one: %+v", g)
	}
	given := f.tokens
	for _, pass := range []time.Duration{0, 99 * time.Hour, 2 * time.Hour} {
		clock.pass(pass)
		if items, err := (bench{s, nil}).fetch(t.Context(), ""); err != nil || len(postsOf(items)) != 1 {
			t.Errorf("after %v: %+v, %v", pass, items, err)
		}
	}
	if f.tokens != given+1 {
		t.Errorf("%d tokens in 101 hours, want one renewal", f.tokens-given)
	}
	f.refresh = "taken back"
	clock.pass(200 * time.Hour)
	if _, err := (bench{s, nil}).fetch(t.Context(), ""); err == nil || !permanent(errors.Unwrap(err)) && !permanent(err) || !strings.Contains(err.Error(), "connect again") {
		t.Errorf("taken back: %v", err)
	}
	// With key and secret nobody is asked.
	_, byKey := openTrustpilot(t, 1)
	if _, err := c.Page(byKey); !errors.Is(err, ErrNoConsent) {
		t.Error(err)
	}
}

func TestTrustpilotLeavesOutEMailAndOrder(t *testing.T) {
	_, s := openTrustpilot(t, 3)
	items, err := bench{s, nil}.fetch(t.Context(), "")
	pushed, e := s.Receive(t.Context(), trustpilotPush("word", "service-review-created", `{"id": "`+trustpilotID(1)+`", "stars": 3, "referenceId": "ORDER-123", "createdAt": "2026-11-20T00:00:00Z"}`))
	if err != nil || e != nil || len(pushed.Items) != 1 {
		t.Fatal(err, e)
	}
	for _, it := range append(items, pushed.Items...) {
		if raw := fmt.Sprintf("%+v", it); strings.Contains(raw, "ORDER") || strings.Contains(raw, "mail.example") {
			t.Error(raw)
		}
	}
}

func TestTrustpilotAnswers(t *testing.T) {
	f, s := openTrustpilot(t, 2)
	items, _ := bench{s, nil}.fetch(t.Context(), "")
	review := items[1].Post
	r := Reply{To: review, Text: "ご不便をおかけしております。"}
	sent, err := s.Reply(t.Context(), r)
	if err != nil || sent.NativeID != trustpilotID(0)+"/reply" || sent.At.IsZero() || sent.URL != "https://www.trustpilot.com/reviews/"+trustpilotID(0) {
		t.Fatalf("%+v, %v", sent, err)
	}
	again, err := s.Reply(t.Context(), r)
	if found, e := s.Find(t.Context(), r); err != nil || e != nil || again.NativeID != sent.NativeID || found.NativeID != sent.NativeID || f.posts != 1 {
		t.Errorf("%+v, %v; %+v, %v; %d posts", again, err, found, e, f.posts)
	}
	r.Text = "担当者よりご説明します。"
	if refusal, ok := Refused(second(s.Reply(t.Context(), r)), testNow); !ok || refusal.Reason != Answered || f.posts != 1 {
		t.Errorf("%+v, %d posts", refusal, f.posts)
	}
	seen, err := s.Reread(t.Context(), []mention.Post{review})
	if err != nil || len(seen) != 1 {
		t.Fatal(err)
	}
	r.To = seen[0]
	if _, err := s.Reply(t.Context(), r); err != nil || f.posts != 2 {
		t.Errorf("%v, %d posts", err, f.posts)
	}
	for _, c := range []struct {
		name   string
		status int
		reason Reason
	}{{"not granted", 403, NotGranted}, {"not granted at all", 401, Revoked}, {"not as it should be", 400, ""}} {
		f.refuse = c.status
		r.Text = "another"
		f.reviews[0].answer = ""
		if refusal, ok := Refused(second(s.Reply(t.Context(), r)), testNow); !ok || refusal.Reason != c.reason {
			t.Errorf("%s: %+v", c.name, refusal)
		}
	}
	f.refuse = 502
	if _, ok := Refused(second(s.Reply(t.Context(), r)), testNow); ok {
		t.Error("nobody knows whether it was published")
	}
	s.cfg.User = ""
	if refusal, ok := Refused(second(s.Reply(t.Context(), r)), testNow); !ok || refusal.Reason != NotGranted {
		t.Errorf("%+v", refusal)
	}
}

func TestTrustpilotLearnsOfDeletions(t *testing.T) {
	f, s := openTrustpilot(t, 3)
	items, _ := bench{s, nil}.fetch(t.Context(), "")
	f.reviews = f.reviews[1:]
	got, err := s.Reread(t.Context(), postsOf(items))
	if err != nil || len(got) != 3 || !got[2].Deleted || got[2].NativeID != trustpilotID(0) || got[0].Deleted || got[1].Deleted {
		t.Errorf("%+v, %v", got, err)
	}
	f.reviews, f.gone = nil, true // the business unit is ours no more
	if got, err := s.Reread(t.Context(), postsOf(items)); err == nil || len(got) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func trustpilotPush(key, event, data string) Push {
	return Push{Method: "POST", URL: "https://desk.example/hooks/tp?key=" + key, Body: []byte(`{"events": [{"eventName": "` + event + `", "version": "1", "eventData": ` + data + `}]}`)}
}

func TestTrustpilotTakesPushes(t *testing.T) {
	_, s := openTrustpilot(t, 0)
	review := `{"id": "53bffd360000640002975387", "language": "en", "title": "Great service", "text": "Nothing other than excellent.", "referenceId": "ABC", "stars": 5,
		"createdAt": "2026-11-19T09:34:44.000Z", "isVerified": true, "link": "https://api.trustpilot.com/v1/reviews/53bffd360000640002975387",
		"consumer": {"id": "53bffc3900006400017e5db8", "name": "Customer", "link": "https://api.trustpilot.com/v1/consumers/1"}, "tags": []}`
	for _, c := range []struct {
		event, data string
		check       func(mention.Post) bool
	}{
		{"service-review-created", review, func(p mention.Post) bool {
			return p.Text == "Nothing other than excellent." && p.Rating == 5 && p.Author.Name == "Customer" && p.EditedAt.IsZero() && p.ReplyRef == p.NativeID
		}},
		{"service-review-updated", review, func(p mention.Post) bool { return p.EditedAt.Equal(testNow) }},
		{"service-review-deleted", `{"id": "53bffd360000640002975387"}`, func(p mention.Post) bool { return p.Deleted && p.Text == "" && p.Author == mention.Author{} }},
	} {
		got, err := s.Receive(t.Context(), trustpilotPush("word", c.event, c.data))
		if err != nil || len(got.Items) != 1 || got.Items[0].Post.NativeID != "53bffd360000640002975387" || !c.check(got.Items[0].Post) {
			t.Errorf("%s: %+v, %v", c.event, got, err)
		}
	}
	for event, data := range map[string]string{"product-review-created": review, "service-review-created": `{"id": "x"}`, "service-review-deleted": `{}`, "service-review-updated": `[]`} {
		if got, err := s.Receive(t.Context(), trustpilotPush("word", event, data)); err != nil || len(got.Items) > 0 {
			t.Errorf("%s: %+v, %v", event, got, err)
		}
	}
	for _, p := range []Push{trustpilotPush("wrong", "service-review-deleted", review), trustpilotPush("", "service-review-deleted", review), {Method: "GET", URL: "/?key=word"}, {Method: "POST", URL: "/?key=word", Body: []byte("<")}} {
		got, err := s.Receive(t.Context(), p)
		if refusal, ok := errors.AsType[*Refusal](err); !ok || !refusal.Permanent() || len(got.Items) > 0 {
			t.Errorf("%s %s: %+v, %v", p.Method, p.URL, got, err)
		}
	}
	s.cfg.Push = config.Secret{}
	if _, err := s.Receive(t.Context(), trustpilotPush("", "service-review-deleted", review)); err == nil {
		t.Error("without a key anybody is let in")
	}
}

func FuzzTrustpilotReceive(f *testing.F) {
	f.Add([]byte(`{"events": [{"eventName": "service-review-created", "eventData": {"id": "53bffd360000640002975387", "stars": 5, "createdAt": "2026-11-19T09:34:44Z"}}]}`))
	f.Add([]byte(`{"events": [{"eventName": "service-review-deleted", "eventData": {"id": "53bffd360000640002975387"}}]}`))
	k, _ := Named("trustpilot")
	d := testDeps(f)
	src, err := k.Open([]byte("business_unit: "+trustpilotUnit+"\nkey: k\nsecret: s\npush: word"), d)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := src.(Receiver).Receive(t.Context(), Push{Method: "POST", URL: "/hooks/tp?key=word", Body: body})
		for _, it := range got.Items {
			if err != nil || it.Post.NativeID == "" || it.Post.Platform != "trustpilot" {
				t.Errorf("%+v, %v", it, err)
			}
		}
	})
}
