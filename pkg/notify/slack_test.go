package notify

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	slackgo "github.com/slack-go/slack"
	"github.com/slack-go/slack/slacktest"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/escalation"
)

// slackUpdate is a call of chat.update, which slacktest doesn't serve.
type slackUpdate struct {
	channel, ts, text string
	blocks            slackgo.Blocks
}

// startSlack starts slack-go's server with a client that listens, and returns
// where messages and updates arrive.
func startSlack(t *testing.T) (addr string, messages <-chan *slackgo.MessageEvent, updates <-chan slackUpdate) {
	changed := make(chan slackUpdate, 10)
	s := slacktest.NewTestServer(func(c slacktest.Customize) {
		c.Handle("/chat.update", func(w http.ResponseWriter, r *http.Request) {
			u := slackUpdate{channel: r.PostFormValue("channel"), ts: r.PostFormValue("ts"), text: r.PostFormValue("text")}
			if err := json.Unmarshal([]byte(r.PostFormValue("blocks")), &u.blocks); err != nil || u.ts == "" || r.Header.Get("Authorization") != "Bearer "+theSecret {
				t.Errorf("chat.update: %v, ts %q", err, u.ts)
			}
			changed <- u
			json.NewEncoder(w).Encode(map[string]any{"ok": true, "channel": u.channel, "ts": u.ts, "text": u.text})
		})
	})
	s.Start()
	t.Cleanup(s.Stop)
	rtm := s.GetTestRTMInstance()
	go rtm.ManageConnection()
	t.Cleanup(func() { rtm.Disconnect() })
	heard, connected := make(chan *slackgo.MessageEvent, 10), make(chan bool, 1)
	go func() {
		for e := range rtm.IncomingEvents {
			switch e := e.Data.(type) {
			case *slackgo.ConnectedEvent:
				connected <- true
			case *slackgo.MessageEvent:
				heard <- e
			case *slackgo.DisconnectedEvent:
				return
			}
		}
	}()
	within(t, connected)
	return strings.TrimSuffix(s.GetAPIURL(), "/"), heard, changed
}

func within[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing in 20 s")
		panic("unreachable")
	}
}

func bot(t *testing.T, api string, extra map[string]any) Notifier {
	conf := map[string]any{"url": "", "token": theSecret, "channel": "C0001", "api": api}
	for k, v := range extra {
		conf[k] = v
	}
	return open(t, "slack", "", conf)
}

// TestSlackBot follows an escalation from its first page to its end, as people
// in the channel see it.
func TestSlackBot(t *testing.T) {
	api, messages, updates := startSlack(t)
	n := bot(t, api, nil)
	p := samplePage("ja")
	first, err := n.Notify(t.Context(), p)
	if err != nil || !first.Delivered || !strings.HasPrefix(first.Ref, "C0001/") {
		t.Fatalf("%+v, %v", first, err)
	}
	root := within(t, messages)
	if root.ThreadTimestamp != "" || root.Channel != "C0001" || !strings.Contains(root.Text, "至急") || len(root.Blocks.BlockSet) < 4 {
		t.Errorf("first message: %+v", root.Msg)
	}
	p.Ref = first.Ref
	for _, step := range []struct {
		name    string
		page    Page
		standat string // the message's tag afterwards
		says    string // in the thread
	}{
		{"it grows", with(p, escalation.Update, escalation.Trigger, func(p *Page) { p.Count = 8 }), "至急", "8件"},
		{"the ladder climbs", with(p, escalation.Trigger, escalation.Trigger, nil), "至急", "対応します"},
		{"somebody has it", with(p, escalation.Acknowledge, escalation.Acknowledge, nil), "対応中", "田中さんが対応を引き受けました"},
		{"it grows on", with(p, escalation.Update, escalation.Acknowledge, func(p *Page) { p.Count = 16 }), "対応中", "16件"},
		{"it is over", with(p, escalation.Resolve, escalation.Resolve, nil), "解決", "解決済み"},
	} {
		t.Run(step.name, func(t *testing.T) {
			got, err := n.Notify(t.Context(), step.page)
			if err != nil || !got.Delivered || got.Ref != "" {
				t.Fatalf("%+v, %v", got, err)
			}
			u, m := within(t, updates), within(t, messages)
			if "C0001/"+u.ts != first.Ref || !strings.Contains(u.text, step.standat) || !strings.Contains(blocksText(t, u.blocks), "ふたが外れて") {
				t.Errorf("message is now %q: %s", u.text, blocksText(t, u.blocks))
			}
			if "C0001/"+m.ThreadTimestamp != first.Ref || !strings.Contains(blocksText(t, m.Blocks), step.says) {
				t.Errorf("thread says, at %q: %s", m.ThreadTimestamp, blocksText(t, m.Blocks))
			}
			if strings.Contains(blocksText(t, m.Blocks), "ふたが外れて") {
				t.Error("the thread quotes the post again")
			}
		})
	}
	t.Run("what was written is erased from the message", func(t *testing.T) {
		erased := with(p, escalation.Update, escalation.Acknowledge, func(p *Page) { p.Excerpt, p.Author, p.Title, p.Erased = "", "", "", true })
		if _, err := n.Notify(t.Context(), erased); err != nil {
			t.Fatal(err)
		}
		if text := blocksText(t, within(t, updates).blocks); strings.Contains(text, "ふた") || strings.Contains(text, "aoi_x") {
			t.Error(text)
		}
		if len(messages) > 0 {
			t.Error("the thread tells of it")
		}
	})
}

func with(p Page, a, stands escalation.Action, change func(*Page)) Page {
	p.Action, p.Stands = a, stands
	if stands != escalation.Trigger {
		p.By, p.AckURL = "田中", ""
	}
	if change != nil {
		change(&p)
	}
	return p
}

func blocksText(t *testing.T, b slackgo.Blocks) string {
	raw, err := json.MarshalIndent(b, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.Encode(json.RawMessage(raw))
	return out.String()
}

func TestSlackDirectMessages(t *testing.T) {
	api, messages, _ := startSlack(t)
	n := bot(t, api, map[string]any{"channel": ""})
	if !IsPersonal(n) {
		t.Error("not personal")
	}
	if err := tell(t.Context(), n, samplePage("en")); err != nil {
		t.Fatal(err)
	}
	if m := within(t, messages); !strings.HasPrefix(m.Channel, "W") && !strings.HasPrefix(m.Channel, "U") {
		t.Errorf("sent to %q, want the id of the person found", m.Channel)
	}
	p := samplePage("en")
	p.To.Email = ""
	if err := tell(t.Context(), n, p); !permanent(err) {
		t.Errorf("%v", err)
	}
}

// slackSays answers each method as told, and notes what was asked.
type slackSays struct {
	mu      sync.Mutex
	answers map[string]string
	asked   []string
}

func (s *slackSays) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	method := strings.TrimPrefix(r.URL.Path, "/api/")
	s.asked = append(s.asked, method+" "+r.PostFormValue("thread_ts"))
	a := s.answers[method]
	if a == "429" {
		w.Header().Set("Retry-After", "9")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	if strings.Contains(a, " ") {
		io.WriteString(w, a)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"ok": a == "", "error": a, "channel": "C0001", "ts": "1700.1"})
}

func TestSlackErrors(t *testing.T) {
	for _, tt := range []struct {
		name, ref string
		answers   map[string]string
		fails     bool
		permanent bool
		after     time.Duration
		asked     string
	}{
		{"not invited", "", map[string]string{"chat.postMessage": "not_in_channel"}, true, true, 0, "chat.postMessage "},
		{"token withdrawn", "", map[string]string{"chat.postMessage": "token_revoked"}, true, true, 0, "chat.postMessage "},
		{"Slack is ill", "", map[string]string{"chat.postMessage": "internal_error"}, true, false, 0, "chat.postMessage "},
		{"too fast", "", map[string]string{"chat.postMessage": "429"}, true, false, 9 * time.Second, "chat.postMessage "},
		{"not Slack at all", "", map[string]string{"chat.postMessage": "<html> sign in </html>"}, true, false, 0, "chat.postMessage "},
		{"the message was deleted", "C0001/1699.1", map[string]string{"chat.update": "message_not_found"}, false, false, 0, "chat.update , chat.postMessage 1699.1"},
		{"too old to change", "C0001/1699.1", map[string]string{"chat.update": "edit_window_closed"}, false, false, 0, "chat.update , chat.postMessage 1699.1"},
		{"the thread is gone", "C0001/1699.1", map[string]string{"chat.update": "message_not_found", "chat.postMessage": "thread_not_found"}, true, true, 0, "chat.update , chat.postMessage 1699.1, chat.postMessage "},
		{"not allowed to change", "C0001/1699.1", map[string]string{"chat.update": "not_authed"}, true, true, 0, "chat.update "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &slackSays{answers: tt.answers}
			srv := httptest.NewServer(s)
			defer srv.Close()
			p := samplePage("en")
			if p.Ref = tt.ref; p.Ref != "" {
				p = ended(p, escalation.Acknowledge)
			}
			err := tell(t.Context(), bot(t, srv.URL+"/api", nil), p)
			if (err != nil) != tt.fails || permanent(err) != tt.permanent || retryAfter(err).Round(time.Second) != tt.after {
				t.Errorf("%v, permanent %v, after %v", err, permanent(err), retryAfter(err))
			}
			if got := strings.Join(s.asked, ", "); got != tt.asked {
				t.Errorf("asked %q, want %q", got, tt.asked)
			}
			holdsNoSecret(t, err)
		})
	}
}

func TestSlackConfig(t *testing.T) {
	for conf, key := range map[string]string{
		`{}`: "url", `{url: "https://hooks.slack.com/x", token: xoxb-1}`: "token", `{url: "https://hooks.slack.com/x", channel: C1}`: "channel",
		`{token: xoxb-1}`: "", `{token: xoxb-1, channel: C1}`: "", `{url: "https://hooks.slack.com/x"}`: "",
	} {
		for _, k := range Kinds {
			if k.Name != "slack" {
				continue
			}
			err := k.Check([]byte(conf))
			e, _ := errors.AsType[*config.FieldError](err)
			if (key == "") != (err == nil) || e != nil && e.Key != key {
				t.Errorf("%s: %v, want a mistake in %q", conf, err, key)
			}
		}
	}
}

// TestSlackBlocks holds what a bot sends to the limits of Block Kit, however
// long and hostile the post.
func TestSlackBlocks(t *testing.T) {
	p := samplePage("ja")
	p.Brand, p.Excerpt, p.Reason = strings.Repeat("く<&>も", 100), strings.Repeat("<!channel> & 🔥", 900), strings.Repeat("理由", 2000)
	form := (&slack{}).form("C0001", compose(p, true), escalation.Trigger)
	var blocks slackgo.Blocks
	if err := json.Unmarshal([]byte(form.Get("blocks")), &blocks); err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks.BlockSet {
		switch b := b.(type) {
		case *slackgo.HeaderBlock:
			if n := len([]rune(b.Text.Text)); n > 150 {
				t.Errorf("a header of %d", n)
			}
		case *slackgo.SectionBlock:
			if n := len([]rune(b.Text.Text)); n > 3000 || strings.Contains(b.Text.Text, "<!channel>") {
				t.Errorf("a section of %d: %.80s", n, b.Text.Text)
			}
		}
	}
	if _, err := url.ParseQuery(form.Encode()); err != nil {
		t.Error(err)
	}
}
