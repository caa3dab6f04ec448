package search

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/pkg/mention"
)

// meiliServer returns the address and key of a real server, if there is one:
// EARSHOT_TEST_MEILI_URL and EARSHOT_TEST_MEILI_KEY.
func meiliServer(t *testing.T) (address, key string) {
	t.Helper()
	address = os.Getenv("EARSHOT_TEST_MEILI_URL")
	if address == "" {
		// A server can't be installed by a package manager; what was recorded
		// of one is replayed by the tests below, here and everywhere.
		t.Skip("EARSHOT_TEST_MEILI_URL is not set: recorded exchanges stand in for the server")
	}
	return address, os.Getenv("EARSHOT_TEST_MEILI_KEY")
}

func openTestMeili(t *testing.T, c MeiliConfig) *Meili {
	t.Helper()
	e, err := OpenMeili(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func TestMeiliConforms(t *testing.T) {
	address, key := meiliServer(t)
	var n atomic.Int32
	conform(t, func(t *testing.T) Engine {
		e := openTestMeili(t, MeiliConfig{URL: address, Key: key, Index: fmt.Sprintf("earshot-test-%d-%d", time.Now().UnixNano(), n.Add(1))})
		t.Cleanup(func() { e.server.DeleteIndex(e.name) })
		if fresh, err := e.Ensure(t.Context()); err != nil || !fresh {
			t.Fatal(fresh, err)
		}
		return e
	})
}

// exchange is one request to a real server and its answer.
type exchange struct {
	Method   string          `json:"method"`
	Path     string          `json:"path"`
	Request  json.RawMessage `json:"request,omitempty"`
	Status   int             `json:"status"`
	Response json.RawMessage `json:"response"`
}

const recorded = "testdata/meili/line.json"

// recorder keeps what passes through it.
type recorder struct{ exchanges []exchange }

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	r.exchanges = append(r.exchanges, exchange{req.Method, req.URL.RequestURI(), body, resp.StatusCode, answer})
	return resp, nil
}

// replay answers as recorded, and fails the test when something else is asked.
func replay(t *testing.T, exchanges []exchange) *httptest.Server {
	t.Helper()
	next := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if next == len(exchanges) {
			t.Errorf("one request too many: %s %s", r.Method, r.URL)
			http.Error(w, "{}", http.StatusTeapot)
			return
		}
		x := exchanges[next]
		next++
		if r.Method != x.Method || r.URL.RequestURI() != x.Path {
			t.Errorf("request %d is %s %s, recorded was %s %s", next, r.Method, r.URL, x.Method, x.Path)
		}
		var got, want any
		json.Unmarshal(body, &got)
		json.Unmarshal(x.Request, &want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("request %d, %s %s (-recorded +sent):\n%s", next, x.Method, x.Path, diff)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(x.Status)
		w.Write(x.Response)
	}))
	t.Cleanup(func() {
		server.Close()
		if next < len(exchanges) && !t.Failed() {
			t.Errorf("%d of %d recorded requests were made", next, len(exchanges))
		}
	})
	return server
}

// TestMeiliAsRecorded leads the client through everything it says to a server,
// against answers recorded from a real one. EARSHOT_TEST_RECORD records anew.
func TestMeiliAsRecorded(t *testing.T) {
	const index = "earshot-recorded"
	if os.Getenv("EARSHOT_TEST_RECORD") != "" {
		address, key := meiliServer(t)
		before := openTestMeili(t, MeiliConfig{URL: address, Key: key, Index: index})
		if err := before.done(t.Context())(before.server.DeleteIndex(index)); err != nil && meiliCode(err) != "index_not_found" {
			t.Fatal(err)
		}
		r := &recorder{}
		line(t, openTestMeili(t, MeiliConfig{URL: address, Key: key, Index: index, Client: &http.Client{Transport: r}}))
		out, err := json.MarshalIndent(r.exchanges, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(recorded), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.FromSlash(recorded), append(out, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	raw, err := os.ReadFile(filepath.FromSlash(recorded))
	if err != nil {
		t.Fatal(err)
	}
	var exchanges []exchange
	if err := json.Unmarshal(raw, &exchanges); err != nil {
		t.Fatal(err)
	}
	line(t, openTestMeili(t, MeiliConfig{URL: replay(t, exchanges).URL, Key: "any", Index: index}))
}

func line(t *testing.T, e *Meili) {
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	same := func(what string, got, want any) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	for _, want := range []bool{true, false} {
		fresh, err := e.Ensure(ctx)
		must(err)
		same("a fresh index", fresh, want)
	}
	at, err := e.Position(ctx, "TAGGED")
	must(err)
	same("position before any", at, uint64(0))
	docs := goldenDocs()
	docs = []Document{docs[2], docs[12], docs[17], docs[18], docs[19]} // mixed, refund, story1 to 3
	must(e.Write(ctx, Batch{Upserts: docs, Positions: map[string]uint64{"TAGGED": 20, "CASES": 4}}))
	at, err = e.Position(ctx, "TAGGED")
	must(err)
	same("position", at, uint64(20))
	must(e.Wait(ctx, "TAGGED", 20))

	search := func(q Query) []string {
		t.Helper()
		q.Viewer = SeesAll()
		res, err := e.Search(ctx, q)
		must(err)
		return nameAll(res.Hits)
	}
	same("two characters", search(Query{Text: "新製"}), []string{"mixed"})
	same("one character", search(Query{Text: "虫", Sort: Oldest}), []string{"story1", "story2", "story3"})
	same("misspelt", search(Query{Text: "refudn parcel"}), []string(nil))
	same("misspelt and half typed", search(Query{Text: "refudn post"}), []string{"refund"})
	same("quoted across scripts", search(Query{Text: `"のacmeカ"`}), []string{"mixed"})
	same("filters", search(Query{Where: map[Field][]string{FieldStatus: {"new", `a "quoted\" one`}}, Except: map[Field][]string{FieldLang: {"en"}}}), []string{"story2"})
	same("in pages", walk(t, e, Query{Viewer: SeesAll(), Limit: 2}, nil), inOrder(docs, Queue))
	same("collapsed, in pages", len(walk(t, e, Query{Viewer: Sees("acme", "beta"), Sort: Newest, Collapse: true, Limit: 1}, nil)), 3)
	got, err := e.Get(ctx, Sees("acme"), docs[4].ID, goldenID("nobody"), docs[0].ID)
	must(err)
	same("documents got", len(got), 2)
	counts, err := e.Counts(ctx, Query{Viewer: SeesAll()}, Query{Viewer: SeesAll(), Text: "弁当"})
	must(err)
	same("counts", counts, []int64{5, 3})
	facets, err := e.Facets(ctx, Query{Viewer: SeesAll(), Where: map[Field][]string{FieldStatus: {"new"}}}, FieldStatus, FieldRisk)
	must(err)
	same("facets", facets, Facets{FieldStatus: {{"done", 2}, {"new", 2}, {"in_hand", 1}}, FieldRisk: {{None, 2}}})
	due, err := e.Due(ctx, epoch.Add(100*time.Hour), 10)
	must(err)
	same("due", due, []mention.ID{docs[2].ID})
	stories, err := e.Stories(ctx, "acme", epoch, "bento", "none")
	must(err)
	same("stories", stories["bento"].Count, int64(3))

	// A payload with a document that no server takes fails as a whole, in its
	// task. Halves find the document.
	good := meiliDocument(&docs[0])
	bad := meiliDocument(&docs[1])
	bad["id"] = "an id with spaces"
	_, refused := errors.AsType[*requestError](e.send(ctx, []any{good, bad}))
	same("a payload with a bad document is refused", refused, true)
	ids, err := e.bisect(ctx, []any{good, bad}, docs[:2])
	must(err)
	same("the bad document", ids, []mention.ID{docs[1].ID})

	must(e.Write(ctx, Batch{Deletes: []mention.ID{docs[0].ID}}))
	same("after a deletion", search(Query{Text: "新製"}), []string(nil))
	must(e.Scrub(ctx))
	s, err := e.Stats(ctx)
	must(err)
	same("documents", s.Documents, int64(4))
	must(e.Clear(ctx))
	at, err = e.Position(ctx, "TAGGED")
	must(err)
	same("position after Clear", at, uint64(0))
}

// What servers say that is hard to make a real one say.
func TestMeiliErrors(t *testing.T) {
	const secret = "sk-secret-key"
	task := `{"taskUid":1,"indexUid":"mentions","status":"enqueued","type":"documentAdditionOrUpdate","enqueuedAt":"2026-11-02T00:00:00Z"}`
	failed := func(code, kind string) string {
		return `{"uid":1,"indexUid":"mentions","status":"failed","type":"documentAdditionOrUpdate","enqueuedAt":"2026-11-02T00:00:00Z",
			"error":{"message":"something about 名無し","code":"` + code + `","type":"` + kind + `","link":""}}`
	}
	refuse := func(status int, code, kind string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"message":"no","code":%q,"type":%q,"link":""}`, code, kind)
		}
	}
	taskEnds := func(with string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/tasks/") {
				io.WriteString(w, with)
				return
			}
			w.WriteHeader(http.StatusAccepted)
			io.WriteString(w, task)
		}
	}
	for _, c := range []struct {
		what    string
		handler http.HandlerFunc
		want    error  // of Write
		text    string // part of it
	}{
		{"a full disk", taskEnds(failed("no_space_left_on_device", "system")), ErrUnavailable, "disk is full"},
		{"a crash in the server", taskEnds(failed("internal", "internal")), ErrUnavailable, "task 1 failed: internal"},
		{"a cancelled task", taskEnds(`{"uid":1,"status":"canceled","error":null}`), ErrUnavailable, "cancelled"},
		{"a wrong key", refuse(http.StatusForbidden, "invalid_api_key", "auth"), ErrUnavailable, "refuses the API key"},
		{"a server that is too full to answer", refuse(http.StatusServiceUnavailable, "too_many_search_requests", "system"), ErrUnavailable, "busy or away"},
		{"an index that has gone", refuse(http.StatusNotFound, "index_not_found", "invalid_request"), ErrUnavailable, "index is gone"},
		{"an unknown field", refuse(http.StatusBadRequest, "invalid_search_filter", "invalid_request"), nil, "invalid_search_filter"},
		{"no JSON", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") }, nil, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			server := httptest.NewServer(c.handler)
			defer server.Close()
			e := openTestMeili(t, MeiliConfig{URL: server.URL, Key: secret})
			err := e.Write(t.Context(), Batch{Upserts: goldenDocs()[:2], Positions: map[string]uint64{"TAGGED": 2}})
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v", err)
			}
			if e.positions["TAGGED"] != 0 {
				t.Error("the position moved")
			}
			_, query := e.Search(t.Context(), Query{Viewer: SeesAll(), Text: "名無し"})
			for _, err := range []error{err, query} {
				if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "接客") || strings.Contains(err.Error(), "名無し")) {
					t.Errorf("the error tells too much: %v", err)
				}
			}
		})
	}
}

func TestMeiliTriesAgainWithTheWholeBody(t *testing.T) {
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !json.Valid(body) {
			t.Errorf("the body is %q", body)
		}
		if calls.Add(1) < 3 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, `{"results":[{"hits":[],"facetDistribution":{"open":{"yes":3}}}]}`)
	}))
	defer server.Close()
	e := openTestMeili(t, MeiliConfig{URL: server.URL})
	n, err := e.Counts(t.Context(), Query{Viewer: SeesAll()})
	if err != nil || !slices.Equal(n, []int64{3}) || calls.Load() != 3 {
		t.Errorf("after %d calls: %v, %v", calls.Load(), n, err)
	}
}

func TestMeiliHandsOnRetryAfter(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "17")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	_, err := openTestMeili(t, MeiliConfig{URL: server.URL}).Counts(t.Context(), Query{Viewer: SeesAll()})
	if u, ok := errors.AsType[*UnavailableError](err); !ok || u.RetryAfter() != 17*time.Second {
		t.Errorf("got %v", err)
	}
}

func TestMeiliGivesUpInTime(t *testing.T) {
	hung := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-hung }))
	e := openTestMeili(t, MeiliConfig{URL: server.URL})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := e.Search(ctx, Query{Viewer: SeesAll()}); !errors.Is(err, ErrTimeout) {
		t.Errorf("a server that hangs: %v", err)
	}
	close(hung)
	server.Close()
	if _, err := e.Search(t.Context(), Query{Viewer: SeesAll()}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a server that is gone: %v", err)
	}
}

func TestMeiliCutsWhatTheServerFindsTooLarge(t *testing.T) {
	var parts []int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/tasks/") {
			io.WriteString(w, `{"uid":1,"status":"succeeded"}`)
			return
		}
		var docs []json.RawMessage
		if err := json.NewDecoder(r.Body).Decode(&docs); err != nil {
			t.Error(err)
		}
		if len(docs) > 3 {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			io.WriteString(w, `{"message":"too large","code":"payload_too_large","type":"invalid_request","link":""}`)
			return
		}
		parts = append(parts, len(docs))
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, `{"taskUid":1,"status":"enqueued"}`)
	}))
	defer server.Close()
	e := openTestMeili(t, MeiliConfig{URL: server.URL})
	if err := e.Write(t.Context(), Batch{Upserts: goldenDocs()[:8], Positions: map[string]uint64{"TAGGED": 8}}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(parts, []int{2, 2, 2, 2, 1}) {
		t.Errorf("written in parts of %v; the last must be the position alone", parts)
	}
}

func TestMeiliRefusesWhatIsNoAddress(t *testing.T) {
	for _, address := range []string{"", "localhost:7700", "ftp://x"} {
		if _, err := OpenMeili(MeiliConfig{URL: address}); err == nil {
			t.Errorf("%q is taken", address)
		}
	}
}

// TestMeiliCountsWhatItsFacetsLeaveOut: a server gives so many values of a facet
// and no more; who holds something is asked for until all have come.
func TestMeiliCountsWhatItsFacetsLeaveOut(t *testing.T) {
	const people = 2*meiliValues + 3
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		var body struct {
			Queries []struct {
				Filter []string
				Facets []string
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		q := body.Queries[0]
		counts := map[string]int{}
		for i := range people {
			if who := fmt.Sprintf("s-%03d", i); len(counts) < meiliValues && !strings.Contains(strings.Join(q.Filter, " "), meiliQuote(who)) {
				counts[who] = i + 1
			}
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"results": []any{map[string]any{"hits": []any{}, "facetDistribution": map[string]any{q.Facets[0]: counts}}}})
	}))
	t.Cleanup(server.Close)
	e := openTestMeili(t, MeiliConfig{URL: server.URL, Key: "any", Index: "any"})
	f, err := e.Facets(t.Context(), Query{Viewer: Sees("acme"), Where: map[Field][]string{FieldOpen: {Yes}}}, FieldHolder)
	if err != nil {
		t.Fatal(err)
	}
	if got := f[FieldHolder]; len(got) != people || got[0] != (Bucket{fmt.Sprintf("s-%03d", people-1), people}) || asked != 3 {
		t.Errorf("%d of %d people in %d requests, the first %v", len(got), people, asked, got[:1])
	}
	asked = 0
	if f, err = e.Facets(t.Context(), Query{Viewer: Sees("acme")}, FieldPlace); err != nil || len(f[FieldPlace]) != MaxFacet || asked != 1 {
		t.Errorf("%d places in %d requests, %v", len(f[FieldPlace]), asked, err)
	}
}
