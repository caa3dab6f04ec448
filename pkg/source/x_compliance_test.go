package source

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// xJobs is X's batch compliance as its documents have it: one job at a time, the
// lists at signed addresses that take no token, an answer that names only what
// has to go.
type xJobs struct {
	mu      sync.Mutex
	n       int
	status  string
	list    []string
	events  map[string]string // reason by id
	refused bool              // the app has no access
	expired bool              // the result's address is
}

func (j *xJobs) serve(base, who string, w http.ResponseWriter, r *http.Request, body []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if who != "app" || j.refused {
		problem(w, 403, "client-forbidden", "Your client app is not enrolled for batch compliance")
		return
	}
	id := fmt.Sprint(1372966999991541760 + j.n)
	switch {
	case r.Method == "POST":
		var in struct{ Type, Name string }
		if json.Unmarshal(body, &in) != nil || in.Type != "tweets" || len(in.Name) > 64 {
			problem(w, 400, "invalid-request", "type")
			return
		}
		if j.status == "created" || j.status == "in_progress" {
			problem(w, 409, "conflict", "One job at a time")
			return
		}
		j.n++
		id = fmt.Sprint(1372966999991541760 + j.n)
		j.status, j.list = "created", nil
	case r.URL.Path != "/2/compliance/jobs/"+id || j.status == "":
		problem(w, 404, "resource-not-found", "no job")
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{
		"id": id, "type": "tweets", "name": "earshot", "status": j.status, "resumable": false,
		"upload_url": base + "/storage/submission?X-Goog-Signature=s1", "download_url": base + "/storage/delivery?X-Goog-Signature=s2",
	}})
}

func (j *xJobs) storage(w http.ResponseWriter, r *http.Request, body []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case r.Header.Get("Authorization") != "" || !strings.HasPrefix(r.URL.Query().Get("X-Goog-Signature"), "s"):
		w.WriteHeader(400)
	case r.Method == "PUT" && r.URL.Path == "/storage/submission" && r.Header.Get("Content-Type") == "text/plain" && j.status == "created":
		j.list, j.status = strings.Fields(string(body)), "in_progress"
	case r.Method == "GET" && r.URL.Path == "/storage/delivery" && j.status == "complete" && !j.expired:
		for _, id := range j.list {
			if why := j.events[id]; why != "" {
				fmt.Fprintf(w, `{"id": %q, "action": "delete", "created_at": "2026-11-10T12:00:00.000Z", "redacted_at": "2026-11-12T08:30:00.000Z", "reason": %q}`+"\n", id, why)
			}
		}
	default:
		w.WriteHeader(404)
	}
}

func (j *xJobs) set(status string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.status = status
}

func TestXGoesThroughWhatIsStored(t *testing.T) {
	x := newXServer(t)
	src := x.open("bearer: app-token\ncompliance: true", x.deps("kettle"))
	if !src.Audits() || x.open("bearer: app-token", x.deps()).Audits() {
		t.Error("who wants it is not known")
	}
	posts := []mention.Post{
		{Platform: "x", NativeID: "101"}, {Platform: "x", NativeID: "102", ReplyRef: "112"}, {Platform: "x", NativeID: "103"},
		{Platform: "x", NativeID: "104"}, {Platform: "x", NativeID: "101"}, {Platform: "bluesky", NativeID: "at://a"},
	}
	x.jobs.events = map[string]string{"101": "deleted", "112": "suspended", "103": "scrub_geo"}
	job, err := src.Audit(t.Context(), posts)
	if err != nil || strings.Join(x.jobs.list, " ") != "101 112 103 104" {
		t.Fatalf("%q, %v; handed in %q", job, err, x.jobs.list)
	}
	if _, err := src.Audit(t.Context(), posts); err == nil || permanent(err) {
		t.Errorf("a second job beside it: %v", err)
	}
	if named, err := src.Audited(t.Context(), job); named != nil || err != nil {
		t.Errorf("while it runs: %v", err)
	}
	x.jobs.set("complete")
	named, err := src.Audited(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range posts[:4] {
		if named(&p) {
			got = append(got, p.NativeID)
		}
	}
	if strings.Join(got, " ") != "101 102" {
		t.Errorf("named %q", got)
	}
	for status, lost := range map[string]bool{"failed": true, "expired": true, "created": false} {
		x.jobs.set(status)
		if named, err := src.Audited(t.Context(), job); named != nil || (err != nil) != lost || lost && !permanent(err) {
			t.Errorf("%s: %v", status, err)
		}
	}
	if _, err := src.Audited(t.Context(), "1"); err == nil || !permanent(err) {
		t.Errorf("a job that X doesn't know: %v", err)
	}
	if _, err := src.Audited(t.Context(), "../../users/me"); err == nil || !permanent(err) {
		t.Errorf("no job at all: %v", err)
	}
	// Trouble is not the end of a job.
	x.jobs.set("complete")
	x.set(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) })
	if _, err := src.Audited(t.Context(), job); err == nil || permanent(err) {
		t.Errorf("during trouble: %v", err)
	}
	x.set(nil)
	x.jobs.refused = true
	if _, err := src.Audit(t.Context(), posts); err == nil || !strings.Contains(err.Error(), "switch compliance off") || strings.Contains(err.Error(), "app-token") {
		t.Errorf("without access: %v", err)
	}
	if _, err := src.Audited(t.Context(), job); err == nil || permanent(err) {
		t.Errorf("a job whose state is refused: %v", err)
	}
	x.pass(time.Minute)
}

func FuzzXRedacted(f *testing.F) {
	f.Add([]byte(`{"id": "1", "action": "delete", "reason": "deleted"}` + "\n"))
	f.Add([]byte("\n{}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		gone, err := xRedacted(raw)
		for id := range gone {
			if err == nil && xNumber(id) == 0 {
				t.Errorf("%q", id)
			}
		}
	})
}
