package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// meili stands for a Meilisearch server as far as the indexer and the desk's
// health need one: it keeps documents, and is away when told to be.
type meili struct {
	mu      sync.Mutex
	exists  bool
	docs    map[string]map[string]any
	task    int
	away    bool // answers 503
	refused int
}

func (m *meili) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	answer := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	missing := func(code string) {
		answer(http.StatusNotFound, map[string]string{"code": code, "type": "invalid_request", "message": code})
	}
	accepted := func() {
		m.task++
		answer(http.StatusAccepted, map[string]any{"taskUid": m.task, "indexUid": "earshot_mentions", "status": "enqueued", "type": "any"})
	}
	path, inIndex := strings.CutPrefix(r.URL.Path, "/indexes/earshot_mentions")
	document, isDocument := strings.CutPrefix(path, "/documents/")
	switch {
	case m.away:
		m.refused++
		w.WriteHeader(http.StatusServiceUnavailable)
	case strings.HasPrefix(r.URL.Path, "/tasks/"):
		answer(http.StatusOK, map[string]any{"uid": m.task, "status": "succeeded"})
	case r.URL.Path == "/indexes":
		m.exists, m.docs = true, map[string]map[string]any{}
		accepted()
	case r.URL.Path == "/multi-search" && m.exists:
		var q struct{ Queries []any }
		_ = json.NewDecoder(r.Body).Decode(&q)
		results := make([]any, len(q.Queries))
		for i := range results {
			results[i] = map[string]any{"hits": []any{}, "estimatedTotalHits": 0, "totalHits": 0, "facetDistribution": map[string]any{}}
		}
		answer(http.StatusOK, map[string]any{"results": results})
	case !m.exists:
		missing("index_not_found")
	case isDocument && r.Method == http.MethodGet:
		if d, ok := m.docs[document]; ok {
			answer(http.StatusOK, d)
			return
		}
		missing("document_not_found")
	case path == "/documents/fetch":
		var q struct{ Ids []string }
		_ = json.NewDecoder(r.Body).Decode(&q)
		found := []any{}
		for _, id := range q.Ids {
			if d, ok := m.docs[id]; ok {
				found = append(found, d)
			}
		}
		answer(http.StatusOK, map[string]any{"results": found, "total": len(found)})
	case path == "/documents" && r.Method == http.MethodPost:
		var docs []map[string]any
		_ = json.NewDecoder(r.Body).Decode(&docs)
		for _, d := range docs {
			m.docs[d["id"].(string)] = d
		}
		accepted()
	case path == "/documents" && r.Method == http.MethodDelete:
		m.docs = map[string]map[string]any{}
		accepted()
	case inIndex:
		accepted()
	default:
		missing("not_found")
	}
}

// mentions counts the documents that are mentions.
func (m *meili) mentions() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, d := range m.docs {
		if d["brand"] != nil {
			n++
		}
	}
	return n
}

func (m *meili) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// TestHostileSearchServer starts with a search server that can't be reached,
// lets it come, go, and come back without its disk.
func TestHostileSearchServer(t *testing.T) {
	m := &meili{}
	server := httptest.NewUnstartedServer(m)
	address := freeAddress(t)
	s := open(t, t.TempDir(), "search:\n  engine: meilisearch\n  url: http://"+address+"\n")
	s.must(acme, "apply", "-")
	intake, read := s.token("intake"), s.token("read")
	sent := 0
	send := func() {
		t.Helper()
		sent++
		if status, body := s.post(intake, fmt.Sprintf(`{"id":"%d","text":"acme"}`, sent)); status != http.StatusAccepted {
			t.Fatalf("intake: %d %s", status, body)
		}
	}
	refuses := func(when string) {
		t.Helper()
		status, body := s.get("/api/v1/mentions", read)
		if status != http.StatusServiceUnavailable {
			t.Errorf("%s: a search has status %d, %s", when, status, body)
		}
		says(t, body, "unavailable")
	}
	indexed := func(when string) {
		t.Helper()
		s.eventually(when+": all mentions are indexed", func() error {
			if n := m.mentions(); n != sent {
				return fmt.Errorf("%d of %d", n, sent)
			}
			return nil
		})
	}
	send()
	refuses("before it was ever there")

	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	defer server.Close()
	indexed("after it came")

	m.set(func() { m.away = true })
	send()
	refuses("while it is busy")
	s.eventually("the indexer tries again", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.refused < 3 {
			return errors.New("it does not")
		}
		return nil
	})
	m.set(func() { m.away = false })
	send()
	indexed("after it was busy")

	m.set(func() { m.exists, m.docs = false, nil })
	indexed("after it lost its disk")
	if status, body := s.get("/api/v1/mentions", read); status != http.StatusOK {
		t.Errorf("in the end a search has status %d, %s", status, body)
	}
}
