package source

import (
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/golang-jwt/jwt/v5"
)

// googleToken answers like Google's token server, which trades an assertion
// signed by a service account for an access token.
func googleToken(t *testing.T, w http.ResponseWriter, r *http.Request) {
	t.Helper()
	key, err := privateKey(testKeys().rsa)
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	_, err = jwt.ParseWithClaims(r.PostFormValue("assertion"), claims, func(*jwt.Token) (any, error) { return &key.(*rsa.PrivateKey).PublicKey, nil }, jwt.WithValidMethods([]string{"RS256"}))
	w.Header().Set("Content-Type", "application/json")
	if iss, _ := claims.GetIssuer(); err != nil || iss != "earshot@acme" || claims["scope"] != "https://www.googleapis.com/auth/androidpublisher" ||
		r.PostFormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"error": "invalid_grant", "error_description": "%v %v"}`, err, claims)
		return
	}
	fmt.Fprint(w, `{"access_token": "at", "expires_in": 3599, "token_type": "Bearer"}`)
}

// fakePlay is Google Play as the API's reference has it: reviews with text,
// newest first, each with one answer at most.
type fakePlay struct {
	t       *testing.T
	url     string
	reviews []fakePlayReview
	gets    int
	posts   int
	refuse  string // body of a 403 to answers
}

type fakePlayReview struct {
	id, text, answer string
	at               time.Time
}

func (f *fakePlay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		googleToken(f.t, w, r)
		return
	}
	id, found := strings.CutPrefix(r.URL.Path, "/androidpublisher/v3/applications/com.acme/reviews")
	if r.Header.Get("Authorization") != "Bearer at" || !found {
		w.WriteHeader(401)
		fmt.Fprint(w, `{"error": {"code": 401, "message": "Request had invalid authentication credentials.", "status": "UNAUTHENTICATED"}}`)
		return
	}
	id = strings.TrimPrefix(id, "/")
	if r.Method == "GET" {
		f.gets++
	}
	if r.Method == "GET" && id == "" {
		size, _ := strconv.Atoi(r.URL.Query().Get("maxResults"))
		from, _ := strconv.Atoi(r.URL.Query().Get("token"))
		to := min(from+size, len(f.reviews))
		answer := map[string]any{}
		var reviews []any
		for _, v := range f.reviews[from:to] {
			reviews = append(reviews, v.doc())
		}
		answer["reviews"] = reviews
		if to < len(f.reviews) {
			answer["tokenPagination"] = map[string]string{"nextPageToken": strconv.Itoa(to)}
		}
		json.NewEncoder(w).Encode(answer)
		return
	}
	id, reply := strings.CutSuffix(id, ":reply")
	i := slices.IndexFunc(f.reviews, func(v fakePlayReview) bool { return v.id == id })
	switch {
	case i < 0:
		w.WriteHeader(404)
		fmt.Fprint(w, `{"error": {"code": 404, "message": "The review was not found.", "status": "NOT_FOUND"}}`)
	case r.Method == "GET":
		json.NewEncoder(w).Encode(f.reviews[i].doc())
	case r.Method == "POST" && reply && f.refuse != "":
		w.WriteHeader(403)
		fmt.Fprint(w, f.refuse)
	case r.Method == "POST" && reply:
		var in struct{ ReplyText string }
		json.NewDecoder(r.Body).Decode(&in)
		if utf8.RuneCountInString(in.ReplyText) > 350 {
			w.WriteHeader(400)
			return
		}
		f.posts++
		f.reviews[i].answer = in.ReplyText
		fmt.Fprintf(w, `{"result": {"replyText": %q, "lastEdited": {"seconds": "%d"}}}`, in.ReplyText, testNow.Unix())
	default:
		w.WriteHeader(405)
	}
}

func (v fakePlayReview) doc() map[string]any {
	stamp := func(at time.Time) any { return map[string]string{"seconds": strconv.FormatInt(at.Unix(), 10)} }
	comments := []any{map[string]any{"userComment": map[string]any{"text": "\t" + v.text, "lastModified": stamp(v.at), "starRating": 3, "reviewerLanguage": "ja"}}}
	if v.answer != "" {
		comments = append(comments, map[string]any{"developerComment": map[string]any{"text": v.answer, "lastModified": stamp(testNow)}})
	}
	return map[string]any{"reviewId": v.id, "authorName": "n", "comments": comments}
}

func openPlay(t *testing.T, n int) (*fakePlay, *googlePlay, *time.Time) {
	t.Helper()
	f := &fakePlay{t: t}
	for i := range n {
		f.reviews = append(f.reviews, fakePlayReview{id: fmt.Sprint("r", i), text: "text", at: testNow.Add(-time.Duration(i) * time.Minute)})
	}
	f.url = serve(t, f.ServeHTTP)
	cfg := fmt.Sprintf(`{"package": "com.acme", "server": %q, "key": %q}`, f.url, fmt.Sprintf(`{"private_key": "%s", "client_email": "earshot@acme", "token_uri": "%s/token"}`, escaped(testKeys().rsa), f.url))
	d, now := testDeps(t), testNow
	d.Now, d.Keep = func() time.Time { return now }, Memory()
	return f, openKind(t, "googleplay", cfg, d).Source.(*googlePlay), &now
}

func TestGooglePlayReadsAWeek(t *testing.T) {
	f, s, now := openPlay(t, 250)
	items, err := bench{s, nil}.fetch(t.Context(), "")
	if posts := postsOf(items); err != nil || len(posts) != 250 || posts[249].NativeID != "r0" || f.gets != 3 {
		t.Fatalf("%d reviews in %d requests, %v", len(posts), f.gets, err)
	}
	*now = now.Add(time.Hour)
	edit := fakePlayReview{id: "r9", text: "now I like it", at: *now}
	f.reviews = slices.Insert(slices.Delete(f.reviews, 9, 10), 0, edit)
	more, err := bench{s, nil}.fetch(t.Context(), last(items, ""))
	if got := postsOf(more); err != nil || len(got) != 1 || got[0].NativeID != "r9" || !got[0].EditedAt.Equal(*now) || got[0].Text != "now I like it" || more[0].Gap != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	*now = now.Add(8 * 24 * time.Hour)
	f.reviews = nil
	if more, err = (bench{s, nil}).fetch(t.Context(), last(more, "")); err != nil || len(more) != 1 || more[0].Gap == nil {
		t.Errorf("away for longer than a week: %+v, %v", more, err)
	}
}

func TestGooglePlayKeepsItsAllowance(t *testing.T) {
	f, s, now := openPlay(t, 1)
	review := mention.Post{NativeID: "r0"}
	ask := func() (n int, wait time.Duration) {
		for ; n < 1000; n++ {
			if _, err := s.Reread(t.Context(), []mention.Post{review}); err != nil {
				refusal, ok := errors.AsType[*Refusal](err)
				after, told := errors.AsType[spentError](err)
				if !ok || refusal.Reason != Limited || !told {
					t.Fatal(err)
				}
				return n, after.RetryAfter()
			}
		}
		return n, 0
	}
	total := 0
	for range 4 { // quarters of an hour
		n, wait := ask()
		if total += n; wait <= 0 || wait > 36*time.Second {
			t.Errorf("%d, then wait %s", n, wait)
		}
		*now = now.Add(15 * time.Minute)
	}
	if total > 200 || total < 150 || f.gets != total {
		t.Errorf("%d requests in an hour", total)
	}
}

func TestGooglePlayAnswers(t *testing.T) {
	f, s, _ := openPlay(t, 2)
	items, _ := bench{s, nil}.fetch(t.Context(), "")
	review := items[1].Post
	r := Reply{To: review, Text: "ご不便をおかけしております。"}
	if _, err := s.Find(t.Context(), r); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	sent, err := s.Reply(t.Context(), r)
	if err != nil || sent.NativeID != "r0#reply" || !sent.At.Equal(testNow) || sent.URL != "https://play.google.com/store/apps/details?id=com.acme&reviewId=r0" {
		t.Fatalf("%+v, %v", sent, err)
	}
	again, err := s.Reply(t.Context(), r)
	if found, e := s.Find(t.Context(), r); err != nil || e != nil || again != sent || found != sent || f.posts != 1 {
		t.Errorf("%+v, %v; %+v, %v; %d posts", again, err, found, e, f.posts)
	}
	f.reviews[0].answer = "by hand, in the console"
	r.Text = "3.2.2で直しました。"
	if refusal, ok := Refused(second(s.Reply(t.Context(), r)), testNow); !ok || refusal.Reason != Answered || f.posts != 1 {
		t.Errorf("%+v, %d posts", refusal, f.posts)
	}
	seen, err := s.Reread(t.Context(), []mention.Post{review, {NativeID: "r99"}})
	if err != nil || len(seen) != 1 {
		t.Fatalf("%+v, %v", seen, err)
	}
	r.To = seen[0]
	if _, err := s.Reply(t.Context(), r); err != nil || f.posts != 2 || f.reviews[0].answer != r.Text {
		t.Errorf("%v, %d posts", err, f.posts)
	}
}

func TestGooglePlayRefusals(t *testing.T) {
	f, s, _ := openPlay(t, 1)
	items, _ := bench{s, nil}.fetch(t.Context(), "")
	review := items[0].Post
	gone := review
	gone.ReplyRef = "r99"
	for _, c := range []struct {
		name   string
		r      Reply
		body   string
		reason Reason
		want   string
	}{
		{"not granted", Reply{To: review, Text: "a"}, `{"error": {"code": 403, "message": "The caller does not have permission", "status": "PERMISSION_DENIED"}}`, NotGranted, "Reply to reviews"},
		{"over quota", Reply{To: review, Text: "a"}, `{"error": {"code": 403, "message": "Quota exceeded", "errors": [{"domain": "usageLimits", "reason": "quotaExceeded"}]}}`, Limited, "Quota exceeded"},
		{"too long", Reply{To: review, Text: strings.Repeat("あ", 351)}, "", TooLong, "351 characters, the platform takes 350"},
		{"with markup", Reply{To: review, Text: "see <a href='x'>here</a>"}, "", Unfit, "cuts <a"},
		{"the review is gone", Reply{To: gone, Text: "a"}, "", PostGone, "NOT_FOUND"},
		{"no reference", Reply{Text: "a"}, "", "", "does not say"},
	} {
		f.refuse = c.body
		_, err := s.Reply(t.Context(), c.r)
		if refusal, ok := Refused(err, testNow); !ok || refusal.Reason != c.reason || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v", c.name, refusal.Reason, err)
		}
	}
	if f.refuse = ""; f.posts > 0 {
		t.Error("something was written")
	}
	if _, err := s.Reply(t.Context(), Reply{To: review, Text: strings.Repeat("あ", 340) + " 3 < 4 > 2"}); err != nil {
		t.Errorf("as long as allowed, and no markup: %v", err)
	}
}

func TestGooglePlayWantsTheWholeFile(t *testing.T) {
	for _, c := range [][2]string{
		{"hunter2", "must be the JSON file"}, {`{"type": "authorized_user"}`, "client_email"},
		{`{"client_email": "a", "private_key": "hunter2", "token_uri": "https://x.example"}`, "private_key: must be the whole file"},
	} {
		cfg := fmt.Sprintf(`{"package": "com.acme", "server": "http://127.0.0.1:1", "key": %q}`, c[0])
		d := testDeps(t)
		d.Keep = Memory()
		_, err := openKind(t, "googleplay", cfg, d).fetch(t.Context(), "")
		if refusal, ok := Refused(err, testNow); !ok || refusal.Reason != Revoked || !strings.Contains(err.Error(), c[1]) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", c[0], err)
		}
	}
}
