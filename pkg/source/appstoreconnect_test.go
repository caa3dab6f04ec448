package source

import (
	"crypto/ecdsa"
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

	"github.com/earshot/earshot/pkg/mention"
	"github.com/golang-jwt/jwt/v5"
)

// fakeConnect is App Store Connect as Apple documents it: one app, its reviews,
// and at most one response to each.
type fakeConnect struct {
	t       *testing.T
	url     string
	reviews []fakeConnectReview // newest first
	posts   int
	reader  bool // the key's role may not answer
	limit   int  // page size in place of 200
}

type fakeConnectReview struct {
	id, text, territory string
	at                  time.Time
	response, state     string
}

func (f *fakeConnect) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Rate-Limit", "user-hour-lim:3500;user-hour-rem:3000;")
	refuse := func(status int, code, detail string) {
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]any{"status": strconv.Itoa(status), "code": code, "title": "t", "detail": detail}}})
	}
	if why := f.token(r); why != "" {
		refuse(401, "NOT_AUTHORIZED", why)
		return
	}
	q := r.URL.Query()
	switch id, isReview := strings.CutPrefix(r.URL.Path, "/v1/customerReviews/"); {
	case r.Method == "GET" && r.URL.Path == "/v1/apps/1/customerReviews":
		if q.Get("sort") != "-createdDate" || q.Get("include") != "response" || q.Get("limit") != "200" {
			refuse(400, "PARAMETER_ERROR.INVALID", r.URL.RawQuery)
			return
		}
		from, _ := strconv.Atoi(q.Get("cursor"))
		to := min(from+f.limit, len(f.reviews))
		data, included := f.docs(f.reviews[from:to])
		links := map[string]string{"self": f.url + r.URL.RequestURI()}
		if to < len(f.reviews) {
			q.Set("cursor", strconv.Itoa(to))
			links["next"] = f.url + r.URL.Path + "?" + q.Encode()
		}
		json.NewEncoder(w).Encode(map[string]any{"data": data, "included": included, "links": links})
	case r.Method == "GET" && isReview:
		i := slices.IndexFunc(f.reviews, func(v fakeConnectReview) bool { return v.id == id })
		if i < 0 {
			refuse(404, "NOT_FOUND", "There is no resource of type 'customerReviews' with id '"+id+"'")
			return
		}
		data, included := f.docs(f.reviews[i : i+1])
		json.NewEncoder(w).Encode(map[string]any{"data": data[0], "included": included})
	case r.Method == "POST" && r.URL.Path == "/v1/customerReviewResponses":
		var in struct {
			Data struct {
				Type       string
				Attributes struct{ ResponseBody string }
				// As the documents have it: relationships.review.data.{type,id}
				Relationships struct {
					Review struct{ Data struct{ Type, ID string } }
				}
			}
		}
		json.NewDecoder(r.Body).Decode(&in)
		to := in.Data.Relationships.Review.Data
		i := slices.IndexFunc(f.reviews, func(v fakeConnectReview) bool { return v.id == to.ID })
		switch {
		case f.reader:
			refuse(403, "FORBIDDEN_ERROR", "The API key in use does not allow this request")
		case in.Data.Type != "customerReviewResponses" || to.Type != "customerReviews" || in.Data.Attributes.ResponseBody == "" || i < 0:
			refuse(409, "ENTITY_ERROR", "not as it should be")
		default:
			f.posts++
			f.reviews[i].response, f.reviews[i].state = in.Data.Attributes.ResponseBody, "PENDING_PUBLISH"
			_, included := f.docs(f.reviews[i : i+1])
			w.WriteHeader(201)
			json.NewEncoder(w).Encode(map[string]any{"data": included[0]})
		}
	default:
		refuse(404, "NOT_FOUND", r.URL.Path)
	}
}

// token checks the request's JSON web token by Apple's rules.
func (f *fakeConnect) token(r *http.Request) string {
	raw, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	public, err := privateKey(testKeys().ec)
	if err != nil {
		f.t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	t, err := jwt.ParseWithClaims(raw, claims, func(*jwt.Token) (any, error) { return &public.(*ecdsa.PrivateKey).PublicKey, nil },
		jwt.WithValidMethods([]string{"ES256"}), jwt.WithAudience("appstoreconnect-v1"), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithTimeFunc(func() time.Time { return testNow }))
	if err != nil {
		return err.Error()
	}
	exp, _ := claims.GetExpirationTime()
	iat, _ := claims.GetIssuedAt()
	if exp.Sub(iat.Time) > 20*time.Minute {
		return "lives too long"
	}
	if iss, _ := claims.GetIssuer(); t.Header["kid"] != "K1" || iss != "issuer" && claims["sub"] != "user" {
		return fmt.Sprint("whose is it? ", t.Header, claims)
	}
	return ""
}

func (f *fakeConnect) docs(reviews []fakeConnectReview) (data, included []any) {
	for _, v := range reviews {
		doc := map[string]any{
			"type": "customerReviews", "id": v.id,
			"attributes": map[string]any{
				"rating": 3, "title": "title", "body": v.text, "reviewerNickname": "n", "createdDate": v.at.Format(time.RFC3339), "territory": v.territory,
			},
		}
		if v.response != "" {
			doc["relationships"] = map[string]any{"response": map[string]any{"data": map[string]string{"type": "customerReviewResponses", "id": "r" + v.id}}}
			included = append(included, map[string]any{
				"type": "customerReviewResponses", "id": "r" + v.id,
				"attributes": map[string]any{"responseBody": v.response, "lastModifiedDate": testNow.Format(time.RFC3339), "state": v.state},
			})
		}
		data = append(data, doc)
	}
	return data, included
}

func openConnect(t *testing.T, issuer string) (*fakeConnect, *appStoreConnect) {
	t.Helper()
	f := &fakeConnect{t: t, limit: 3}
	for i := range 8 {
		f.reviews = append(f.reviews, fakeConnectReview{id: fmt.Sprintf("0000-%d", i), text: "text", territory: "JPN", at: testNow.Add(-time.Duration(i) * time.Hour)})
	}
	f.url = serve(t, f.ServeHTTP)
	cfg := fmt.Sprintf("app: '1'\nissuer: '%s'\nkey_id: K1\nserver: %s\nkey: \"%s\"", issuer, f.url, escaped(testKeys().ec))
	return f, openKind(t, "appstoreconnect", cfg, testDeps(t)).Source.(*appStoreConnect)
}

func TestAppStoreConnectReadsAllPages(t *testing.T) {
	for _, issuer := range []string{"issuer", ""} { // a team's key, and a person's
		_, s := openConnect(t, issuer)
		items, err := bench{s, nil}.fetch(t.Context(), "")
		if posts := postsOf(items); err != nil || len(posts) != 8 || posts[0].NativeID != "0000-7" || posts[0].Lang != "ja-JP" {
			t.Fatalf("%d reviews, %v", len(posts), err)
		}
		if q, ok := s.Quota(); !ok || q.Limit != 3500 || q.Remaining != 3000 {
			t.Errorf("%+v", q)
		}
	}
}

func TestAppStoreConnectTellsOfEdits(t *testing.T) {
	f, s := openConnect(t, "issuer")
	items, _ := bench{s, nil}.fetch(t.Context(), "")
	f.reviews[1].text = "now I like it"
	items, err := bench{s, nil}.fetch(t.Context(), last(items, ""))
	if got := postsOf(items); err != nil || len(got) != 1 || got[0].NativeID != "0000-1" || got[0].EditedAt.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAppStoreConnectAnswers(t *testing.T) {
	f, s := openConnect(t, "issuer")
	items, _ := bench{s, nil}.fetch(t.Context(), "")
	review := items[7].Post // the newest
	r := Reply{To: review, Text: "ご不便をおかけしております。"}
	if _, err := s.Find(t.Context(), r); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	sent, err := s.Reply(t.Context(), r)
	if err != nil || sent.NativeID != "r0000-0" || sent.At.IsZero() || sent.URL != "https://apps.apple.com/jp/app/id1?see-all=reviews" {
		t.Fatalf("%+v, %v", sent, err)
	}
	again, err := s.Reply(t.Context(), r)
	if found, e := s.Find(t.Context(), r); err != nil || e != nil || again != sent || found != sent || f.posts != 1 {
		t.Errorf("%+v, %v; %+v, %v; %d posts", again, err, found, e, f.posts)
	}

	// A second answer overwrites the first, which whoever sends it has to have seen.
	r.Text = "3.2.2で直しました。"
	if refusal, ok := Refused(second(s.Reply(t.Context(), r)), testNow); !ok || refusal.Reason != Answered || f.posts != 1 {
		t.Errorf("%+v, %d posts", refusal, f.posts)
	}
	seen, err := s.Reread(t.Context(), []mention.Post{review})
	if err != nil || len(seen) != 1 || len(seen[0].Comments) != 1 || seen[0].Comments[0].State != mention.Pending {
		t.Fatalf("%+v, %v", seen, err)
	}
	r.To = seen[0]
	if _, err := s.Reply(t.Context(), r); err != nil || f.posts != 2 || f.reviews[0].response != r.Text {
		t.Errorf("%v, %d posts", err, f.posts)
	}
	f.reviews[0].state = "PUBLISHED"
	if seen, err := s.Reread(t.Context(), []mention.Post{review}); err != nil || seen[0].Comments[0].State != "" {
		t.Errorf("%+v, %v", seen, err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestAppStoreConnectRefusals(t *testing.T) {
	f, s := openConnect(t, "issuer")
	items, _ := bench{s, nil}.fetch(t.Context(), "")
	review := items[0].Post
	public := mention.Post{Platform: "appstore", NativeID: "12000000001"}
	gone := review
	gone.ReplyRef = "0000-99"
	outside := review
	outside.ReplyRef = "../apps/1"
	f.reader = true
	for _, c := range []struct {
		name   string
		r      Reply
		reason Reason
		want   string
	}{
		{"the key may only read", Reply{To: review, Text: "a"}, NotGranted, "Admin or Customer Support"},
		{"too long", Reply{To: review, Text: strings.Repeat("あ", 5971)}, TooLong, "5971 characters, the platform takes 5970"},
		{"of the public feed", Reply{To: public, Text: "a"}, "", "public feed"},
		{"the review is gone", Reply{To: gone, Text: "a"}, PostGone, "NOT_FOUND"},
		{"an id that is none", Reply{To: outside, Text: "a"}, "", "public feed"},
	} {
		_, err := s.Reply(t.Context(), c.r)
		if refusal, ok := Refused(err, testNow); !ok || refusal.Reason != c.reason || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v", c.name, refusal.Reason, err)
		}
	}
	if f.posts > 0 {
		t.Error("something was written")
	}
}

func TestAppStoreConnectLearnsOfDeletions(t *testing.T) {
	f, s := openConnect(t, "issuer")
	items, _ := bench{s, nil}.fetch(t.Context(), "")
	posts := postsOf(items)
	f.reviews = f.reviews[2:]
	f.reviews[0].response, f.reviews[0].state = "ours", "PUBLISHED"
	ours := mention.Post{Platform: "appstore", NativeID: "r0000-2", Text: "ours", Thread: mention.Thread{Parent: "0000-2"}}
	orphan := mention.Post{Platform: "appstore", NativeID: "r0000-3", Text: "ours", Thread: mention.Thread{Parent: "0000-3"}}
	got, err := s.Reread(t.Context(), append(posts, ours, orphan))
	if err != nil || len(got) != 10 {
		t.Fatalf("%d, %v", len(got), err)
	}
	for _, p := range got {
		want := slices.Contains([]string{"0000-0", "0000-1", "r0000-3"}, p.NativeID)
		if p.Deleted != want || p.Deleted && (p.Text != "" || p.Author != mention.Author{}) {
			t.Errorf("%s: %+v", p.NativeID, p)
		}
	}

	// An app that is ours no more has no reviews at all: that is no deletion.
	s.cfg.App = "2"
	if got, err := s.Reread(t.Context(), posts[6:]); err == nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAppStoreConnectKeepsItsTokenAtHome(t *testing.T) {
	elsewhere := 0
	other := serve(t, func(http.ResponseWriter, *http.Request) { elsewhere++ })
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"data": [{"id": "1", "attributes": {"rating": 3, "body": "b", "createdDate": "2026-11-20T00:00:00Z", "territory": "JPN"}}], "links": {"next": "%s/v1/apps/1/customerReviews"}}`, other)
	})
	cfg := fmt.Sprintf("app: '1'\nkey_id: K1\nserver: %s\nkey: \"%s\"", base, escaped(testKeys().ec))
	items, err := openKind(t, "appstoreconnect", cfg, testDeps(t)).fetch(t.Context(), "")
	if err == nil || len(items) > 0 || elsewhere > 0 {
		t.Errorf("%d items, %d requests elsewhere, %v", len(items), elsewhere, err)
	}
}

func TestPrivateKeysAreReadHoweverTheyWerePasted(t *testing.T) {
	file := testKeys().ec
	for _, text := range []string{
		file, "\n\n" + file + "\n", strings.ReplaceAll(file, "\n", ""), strings.ReplaceAll(file, "\n", " "), strings.ReplaceAll(file, "\n", `\n`),
		strings.ReplaceAll(file, "\n", "\r\n"),
	} {
		if _, err := privateKey(text); err != nil {
			t.Errorf("%q: %v", text[:40], err)
		}
	}
	for _, text := range []string{
		"", "hunter2", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----", file[:len(file)/2], "-----END PRIVATE KEY-----" + file[:20],
		"-----BEGIN PRIVATE KEY-----aGVsbG8=-----END PRIVATE KEY-----",
	} {
		if _, err := privateKey(text); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestStoresAreKnownByBothTheirNames(t *testing.T) {
	for territory, want := range map[string]string{"JPN": "jp", "USA": "us", "XKS": "xk", "GBR": "gb", "": "", "ZZZ": "", "<x>": ""} {
		if got := storefront(territory); got != want {
			t.Errorf("%s: %q", territory, got)
		}
	}
	for cc, want := range map[string]string{"jp": "ja-JP", "us": "en-US", "cn": "zh-CN", "kr": "ko-KR", "xk": "sq-XK", "": ""} {
		if got := storeLang(cc); got != want {
			t.Errorf("%s: %q", cc, got)
		}
	}
	for _, cc := range storefronts {
		if u, err := url.Parse(storeURL(cc, "1")); err != nil || storeLang(cc) == "" && cc != "" {
			t.Errorf("%s: %v", cc, u)
		}
	}
}

func FuzzPrivateKey(f *testing.F) {
	f.Add(testKeys().ec)
	f.Add("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----")
	f.Fuzz(func(t *testing.T, text string) {
		if key, err := privateKey(text); (key == nil) != (err != nil) {
			t.Errorf("%v, %v", key, err)
		}
	})
}
