package notify

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/earshot/earshot/pkg/escalation"
)

// lineServer takes the part of the Messaging API, as its reference tells it.
type lineServer struct {
	t     *testing.T
	taken map[string]bool // retry keys
	texts []string
	limit string // the answer of /quota
	used  int
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

func (s *lineServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+theSecret {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /v2/bot/message/quota":
		io.WriteString(w, s.limit)
	case "GET /v2/bot/message/quota/consumption":
		json.NewEncoder(w).Encode(map[string]int{"totalUsage": s.used})
	case "POST /v2/bot/message/push":
		key := r.Header.Get("X-Line-Retry-Key")
		if !uuid.MatchString(key) {
			s.t.Errorf("retry key %q", key)
		}
		var body struct {
			To       string
			Messages []struct{ Type, Text string }
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Messages) != 1 || len(utf16.Encode([]rune(body.Messages[0].Text))) > 5000 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		switch {
		case s.taken[key]:
			w.WriteHeader(http.StatusConflict)
			io.WriteString(w, `{"message":"The retry key is already accepted","sentMessages":[{"id":"1"}]}`)
		case s.limit != `{"type":"none"}` && s.used >= 200:
			w.WriteHeader(http.StatusTooManyRequests)
			io.WriteString(w, `{"message":"You have reached your monthly limit."}`)
		default:
			s.taken[key] = true
			s.used++
			s.texts = append(s.texts, body.Messages[0].Text)
			io.WriteString(w, `{"sentMessages":[{"id":"461230966842064897"}]}`)
		}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func startLine(t *testing.T) (*lineServer, string) {
	s := &lineServer{t: t, taken: map[string]bool{}, limit: `{"type":"limited","value":200}`}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return s, strings.TrimPrefix(srv.URL, "http://")
}

func TestLineRetriesAndLimits(t *testing.T) {
	s, addr := startLine(t)
	n := open(t, "line", addr, nil)
	p := samplePage("ja")
	for range 2 { // the answer to the first was lost
		if err := tell(t.Context(), n, p); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.texts) != 1 {
		t.Errorf("%d messages of one page", len(s.texts))
	}
	p.Key, p.Excerpt, p.Reason = "another", strings.Repeat("熱い🔥", 3000), strings.Repeat("理由", 9000)
	if err := tell(t.Context(), n, p); err != nil {
		t.Fatal(err)
	}
	s.used = 200
	p.Key = "one too many"
	if err := tell(t.Context(), n, p); !permanent(err) || !strings.Contains(err.Error(), "used up") {
		t.Errorf("%v, want a refusal for good: waiting for next month is of no use", err)
	}
}

func TestLineQuota(t *testing.T) {
	s, addr := startLine(t)
	s.used = 159
	n := open(t, "line", addr, nil).(Metered)
	q, err := n.Quota(t.Context())
	if err != nil || q.Used != 159 || q.Limit != 200 || q.Short() || !q.Since.Equal(time.Date(2026, 9, 30, 15, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v, %v", q, err)
	}
	s.used = 160
	if q, err = n.Quota(t.Context()); err != nil || !q.Short() {
		t.Errorf("%+v, %v: a fifth is left", q, err)
	}
	s.limit, s.used = `{"type":"none"}`, 100000
	if q, err = n.Quota(t.Context()); err != nil || q.Short() {
		t.Errorf("%+v, %v: there is no limit", q, err)
	}
	s.limit = "<html>"
	if _, err = n.Quota(t.Context()); err == nil {
		t.Error("an answer that is none is taken")
	}
}

func TestLineSaysNoMoreThanWanted(t *testing.T) {
	s, addr := startLine(t)
	p := ended(samplePage("ja"), escalation.Acknowledge)
	if err := tell(t.Context(), open(t, "line", addr, map[string]any{"follow": false}), p); err != nil || len(s.texts) != 0 {
		t.Errorf("%v, %d messages", err, len(s.texts))
	}
	if err := tell(t.Context(), open(t, "line", addr, nil), p); err != nil || len(s.texts) != 1 {
		t.Errorf("%v, %d messages", err, len(s.texts))
	}
}
