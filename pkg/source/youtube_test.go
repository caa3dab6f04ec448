package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

// fakeYouTube is the Data API as its reference has it: comments, whose ids tell
// their thread ("t1" is a thread's first, "t1.x" a reply), newest first.
type fakeYouTube struct {
	comments []fakeYouTubeComment
	units    int
	fault    string // body of a 403
	denied   bool
	mine     string // id of the channel of who consented; empty for none
}

type fakeYouTubeComment struct {
	id, author, text string
	at               time.Time
}

const ownChannel = "UCacmeacmeacmeacmeacme12"

func (c fakeYouTubeComment) doc() map[string]any {
	parent, _, reply := strings.Cut(c.id, ".")
	snippet := map[string]any{
		"authorDisplayName": "@" + c.author, "authorChannelId": map[string]string{"value": c.author}, "videoId": "AAAAAAAAAAA", "textDisplay": c.text,
		"likeCount": 1, "publishedAt": c.at.Format(time.RFC3339), "updatedAt": c.at.Format(time.RFC3339),
	}
	if reply {
		snippet["parentId"] = parent
	}
	return map[string]any{"id": c.id, "snippet": snippet}
}

func (f *fakeYouTube) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if f.denied {
		w.WriteHeader(401)
		return
	}
	if f.fault != "" {
		w.WriteHeader(403)
		fmt.Fprint(w, f.fault)
		return
	}
	items := []any{}
	switch {
	case r.Method == "GET" && r.URL.Path == "/youtube/youtube/v3/channels" && q.Get("mine") == "true" && q.Get("part") == "snippet":
		f.units++
		if f.mine != "" {
			items = append(items, map[string]any{"kind": "youtube#channel", "id": f.mine, "snippet": map[string]any{"title": "Acme", "customUrl": "@acme"}})
		}
	case r.Method == "GET" && r.URL.Path == "/youtube/youtube/v3/commentThreads" && q.Get("allThreadsRelatedToChannelId") == ownChannel && q.Get("textFormat") == "plainText":
		f.units++
		for _, c := range f.comments {
			if strings.Contains(c.id, ".") {
				continue
			}
			replies := []any{}
			for _, a := range f.comments {
				if strings.HasPrefix(a.id, c.id+".") {
					replies = append(replies, a.doc())
				}
			}
			items = append(items, map[string]any{"id": c.id, "snippet": map[string]any{"videoId": "AAAAAAAAAAA", "canReply": true, "totalReplyCount": len(replies), "topLevelComment": c.doc()}, "replies": map[string]any{"comments": replies}})
		}
	case r.Method == "GET" && r.URL.Path == "/youtube/youtube/v3/comments":
		f.units++
		ids := strings.Split(q.Get("id"), ",")
		for _, c := range f.comments {
			if p := q.Get("parentId"); p != "" && strings.HasPrefix(c.id, p+".") || p == "" && slices.Contains(ids, c.id) {
				items = append(items, c.doc())
			}
		}
	case r.Method == "POST" && r.URL.Path == "/youtube/youtube/v3/comments" && q.Get("part") == "snippet":
		f.units += 50
		var in struct {
			Snippet struct{ ParentID, TextOriginal string }
		}
		json.NewDecoder(r.Body).Decode(&in)
		if strings.Contains(in.Snippet.ParentID, ".") || in.Snippet.TextOriginal == "" {
			w.WriteHeader(400) // only a thread's first comment is a parent
			return
		}
		c := fakeYouTubeComment{fmt.Sprint(in.Snippet.ParentID, ".ours", len(f.comments)), ownChannel, in.Snippet.TextOriginal, testNow}
		f.comments = append(f.comments, c)
		json.NewEncoder(w).Encode(c.doc())
		return
	default:
		w.WriteHeader(404)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"items": items})
}

func openYouTube(t *testing.T) (*fakeYouTube, *youTube) {
	t.Helper()
	f := &fakeYouTube{comments: []fakeYouTubeComment{
		{"t2", "UCann", "It broke.", testNow.Add(-time.Minute)}, {"t1.a", "UCbo", "Mine too.", testNow.Add(-2 * time.Minute)}, {"t1", "UCcid", "How does it open?", testNow.Add(-time.Hour)},
		{"t0", ownChannel, "Watch our new film.", testNow.Add(-2 * time.Hour)},
	}}
	d := testDeps(t)
	d.Keep = Memory()
	s := openKind(t, "youtube", fmt.Sprintf("channel: %s\nclient_id: c\nclient_secret: s\nserver: %s/{api}", ownChannel, serve(t, f.ServeHTTP)), d).Source.(*youTube)
	letIn(t, s, d)
	return f, s
}

func TestYouTubeReadsThreads(t *testing.T) {
	f, s := openYouTube(t)
	items, err := bench{s, nil}.fetch(t.Context(), "")
	posts := postsOf(items)
	if err != nil || len(posts) != 3 || posts[1].NativeID != "t1.a" || posts[1].Thread.ParentText != "How does it open?" || posts[1].ReplyRef != "t1" {
		t.Fatalf("%+v, %v", posts, err)
	}
	f.comments = append(f.comments, fakeYouTubeComment{"t1.b", "UCdee", "With a key.", testNow})
	items, err = bench{s, nil}.fetch(t.Context(), last(items, ""))
	if got := postsOf(items); err != nil || len(got) != 1 || got[0].NativeID != "t1.b" || f.units != 2 {
		t.Errorf("%+v, %v, %d units", got, err, f.units)
	}
}

func TestYouTubeReplies(t *testing.T) {
	f, s := openYouTube(t)
	items, _ := bench{s, nil}.fetch(t.Context(), "")
	answer := postsOf(items)[1] // a reply, which is answered in its thread
	r := Reply{To: answer, Text: "Please send us a message."}
	if _, err := s.Find(t.Context(), r); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	sent, err := s.Reply(t.Context(), r)
	if err != nil || sent.NativeID != "t1.ours4" || sent.URL != "https://www.youtube.com/watch?lc=t1.ours4&v=AAAAAAAAAAA" {
		t.Fatalf("%+v, %v", sent, err)
	}
	if found, err := s.Find(t.Context(), r); err != nil || found != sent {
		t.Errorf("%+v, %v", found, err)
	}
	for _, c := range []struct {
		name   string
		r      Reply
		fault  string
		reason Reason
	}{
		{"too long", Reply{To: answer, Text: strings.Repeat("あ", 10_001)}, "", TooLong},
		{"closed", Reply{To: mention.Post{ReplyRef: "t1", NoReply: mention.Closed}, Text: "a"}, "", Closed},
		{"no reference", Reply{Text: "a"}, "", ""},
		{"quota", r, `{"error": {"code": 403, "message": "The request cannot be completed because you have exceeded your quota.", "errors": [{"domain": "youtube.quota", "reason": "quotaExceeded"}]}}`, Limited},
		{"not allowed", r, `{"error": {"code": 403, "message": "forbidden", "errors": [{"reason": "forbidden"}]}}`, NotGranted},
	} {
		f.fault = c.fault
		if refusal, ok := Refused(second(s.Reply(t.Context(), c.r)), testNow); !ok || refusal.Reason != c.reason {
			t.Errorf("%s: %+v", c.name, refusal)
		}
	}
	f.fault, s.cfg.Units = "", 100
	if refusal, ok := Refused(second(s.Reply(t.Context(), r)), testNow); !ok || refusal.Reason != Limited || refusal.Until.IsZero() {
		t.Errorf("the day's units are spent: %+v", refusal)
	}
}

// TestYouTubeKeepsUnitsFromWhoOnlyLooks: the half of what may be spent at once
// is for fetching and replying.
func TestYouTubeKeepsUnitsFromWhoOnlyLooks(t *testing.T) {
	f, s := openYouTube(t)
	s.cfg.Units = 200 // 100 at once
	p := mention.Post{NativeID: "t1"}
	looks := 0
	for range 100 {
		below, err := s.Below(t.Context(), p)
		if err != nil {
			trouble := outbound.Explain(err, testNow)
			if trouble.Reason != outbound.Spent || !trouble.Until.After(testNow) {
				t.Errorf("%+v", trouble)
			}
			break
		}
		if looks++; len(below) != 1 {
			t.Fatalf("%+v", below)
		}
	}
	if looks != 50 || f.units != 50 {
		t.Errorf("%d looks for %d units, want 50", looks, f.units)
	}
	if _, err := (bench{s, nil}).fetch(t.Context(), ""); err != nil {
		t.Errorf("fetching: %v", err)
	}
}

func TestYouTubeLearnsOfDeletions(t *testing.T) {
	f, s := openYouTube(t)
	items, _ := bench{s, nil}.fetch(t.Context(), "")
	posts := postsOf(items)
	f.comments = f.comments[1:]
	f.comments[0].text = "edited"
	got, err := s.Reread(t.Context(), posts)
	if err != nil || len(got) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, p := range got {
		if p.Deleted != (p.NativeID == "t2") || p.NativeID == "t1.a" && (p.Text != "edited" || p.Thread.Parent != "t1") {
			t.Errorf("%+v", p)
		}
	}
	f.comments, f.denied = nil, true
	if got, err := s.Reread(t.Context(), posts); err == nil || len(got) > 0 {
		t.Errorf("without access: %+v, %v", got, err)
	}
}
