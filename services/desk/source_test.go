package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"golang.org/x/oauth2"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/classify"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
	"github.com/earshot/earshot/services/fetcher"
)

// parlour is a platform that pushes, and that a person lets us into.
type parlour struct {
	cfg  parlourConfig
	deps source.Deps
}

type parlourConfig struct {
	Server string        `yaml:"server" required:"true" doc:"Its address."`
	Secret config.Secret `yaml:"secret" required:"true" doc:"What it signs with."`
	Open   bool          `yaml:"open" doc:"Nobody has to let anybody in."`
}

// withParlour adds the kind while the test runs.
func withParlour(t *testing.T) {
	was := source.Kinds
	source.Kinds = append(was[:len(was):len(was)], source.Kind{
		Kind: config.NewKind("parlour", "A parlour.", parlourConfig{}, func(c parlourConfig, d source.Deps) (source.Source, error) {
			return &parlour{c, d}, nil
		}),
		Platform: "parlour", Consents: true,
	})
	t.Cleanup(func() { source.Kinds = was })
}

func (p *parlour) Poll() time.Duration { return time.Hour }

func (p *parlour) Fetch(_ context.Context, cursor string) iter.Seq2[source.Item, error] {
	return func(yield func(source.Item, error) bool) {
		secret, err := p.cfg.Secret.Reveal()
		if err == nil && secret == "wrong" {
			err = errors.New("the parlour is shut")
		}
		if err != nil {
			yield(source.Item{}, err)
			return
		}
		for _, text := range []string{"kumo <b>tea</b>", "rain"} {
			if !yield(source.Item{Cursor: "1", Post: mention.Post{Platform: "parlour", NativeID: text, Kind: mention.KindPost, Text: text, PublishedAt: p.deps.Now()}}, nil) {
				return
			}
		}
	}
}

func (p *parlour) Receive(_ context.Context, push source.Push) (source.Pushed, error) {
	u, err := url.Parse(push.URL)
	if err != nil || push.Header.Get("Cookie") != "" {
		return source.Pushed{}, bus.Permanent(fmt.Errorf("%v, cookie %q", err, push.Header.Get("Cookie")))
	}
	if c := u.Query().Get("challenge"); push.Method == http.MethodGet {
		return source.Pushed{Body: []byte(u.Host + u.Path + " " + c)}, nil
	}
	if secret, _ := p.cfg.Secret.Reveal(); push.Header.Get("X-Secret") != secret {
		return source.Pushed{}, bus.Permanent(errors.New("forged"))
	}
	return source.Pushed{Items: []source.Item{{Post: mention.Post{Platform: "parlour", NativeID: "pushed", Kind: mention.KindPost, Text: string(push.Body), PublishedAt: p.deps.Now()}}}, Status: http.StatusAccepted}, nil
}

func (p *parlour) Consent() oauth2.Config {
	if p.cfg.Open {
		return oauth2.Config{}
	}
	return oauth2.Config{ClientID: "earshot", ClientSecret: "s", Scopes: []string{"read"}, Endpoint: oauth2.Endpoint{
		AuthURL: p.cfg.Server + "/authorize", TokenURL: p.cfg.Server + "/token", AuthStyle: oauth2.AuthStyleInParams,
	}}
}

// Account is whose token it is.
func (p *parlour) Account(ctx context.Context) (string, error) {
	g, ok, err := p.deps.Consent(ctx, p.Consent())
	if err != nil || !ok {
		return "", err
	}
	resp, err := p.deps.HTTP.Get(ctx, p.cfg.Server+"/me", http.Header{"Authorization": {"Bearer " + g.Token.AccessToken}})
	if err != nil {
		return "", err
	}
	name := string(resp.Body)
	if name != "@kumo" {
		err = &source.Refusal{Reason: source.WrongAccount, Err: fmt.Errorf("the parlour is %s's", name)}
	}
	return name, err
}

// page fetches the page until it says all that is wanted: services start beside
// it.
func (v *visitor) soon(path string, want ...string) answer {
	v.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		a := v.get(path)
		missing := ""
		for _, w := range want {
			if !strings.Contains(a.body, w) {
				missing = w
			}
		}
		if missing == "" {
			return a
		}
		if time.Now().After(end) {
			v.t.Fatalf("%s: no %q in\n%s", path, missing, a.body)
		}
	}
}

// newParlour is a desk with a fetcher, and a source at the parlour whose token
// page is answered by platform.
func newParlour(t *testing.T) (*bench, string) {
	withParlour(t)
	b := newBench(t, fetcher.Service)
	b.indexed = false
	b.Public = "https://desk.example"
	var mu sync.Mutex
	challenge := ""
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path == "/me" {
			fmt.Fprint(w, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
			return
		}
		if r.URL.Path == "/authorize" { // a person presses yes
			challenge = r.FormValue("code_challenge")
			if r.FormValue("code_challenge_method") != "S256" || r.FormValue("redirect_uri") != "https://desk.example/sources/consent/callback" {
				fmt.Fprint(w, "this is not the desk that was registered")
				return
			}
			http.Redirect(w, r, r.FormValue("redirect_uri")+"?code=c0de&state="+url.QueryEscape(r.FormValue("state")), http.StatusFound)
			return
		}
		if r.URL.Path != "/token" { // browsers look for an icon
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		token, known := map[string]string{"c0de": "@kumo", "c0de-other": "@mallory"}[r.FormValue("code")]
		if !known || oauth2.S256ChallengeFromVerifier(r.FormValue("code_verifier")) != challenge {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_grant"}`)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": token, "token_type": "Bearer"})
	}))
	t.Cleanup(platform.Close)
	eventually(t, "both keys are there", func() bool {
		_, f := settings.SealKeys.Get(b.Settings, "fetcher")
		return f
	})
	b.put(settings.SealKeys.Put(t.Context(), b.Settings, "system", "replier", 0, mustKey(b)))
	b.put(settings.Sources.Put(t.Context(), b.Settings, "cli", "par", 0, settings.Source{
		ID: "par", Name: "Parlour", Kind: "parlour", Config: fmt.Appendf(nil, `{"server":%q,"secret":"hunter2"}`, platform.URL),
	}))
	return b, platform.URL
}

// mustKey is a key for a replier that does not run here.
func mustKey(b *bench) settings.SealKey {
	k, _ := settings.SealKeys.Get(b.Settings, "fetcher")
	return k
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: ", what)
		}
	}
}

// way is the way to the platform's page that an answer sends the browser.
func (v *visitor) way(a answer) string {
	v.t.Helper()
	to, ok := strings.CutPrefix(a.Header.Get("Refresh"), "0; url=")
	if !ok || !strings.Contains(a.body, strings.ReplaceAll(to, "&", "&amp;")) {
		v.t.Fatalf("no way to the platform: %q", to)
	}
	resp, err := v.client.Get(to)
	if err != nil {
		v.t.Fatal(err)
	}
	resp.Body.Close()
	u, err := resp.Location()
	if err != nil {
		v.t.Fatal(err)
	}
	return u.RequestURI()
}

func TestAPersonConnectsASource(t *testing.T) {
	b, _ := newParlour(t)
	v := b.as("aya", everywhere, identity.Admin)
	v.soon("/sources/par", "Not connected yet", "https://desk.example/sources/consent/callback", "https://desk.example/hooks/par")
	begin := func(v *visitor) string {
		t.Helper()
		return v.way(v.want(v.post("/sources/par/consent"), 200, "Go on to 127.0.0.1"))
	}
	back := begin(v)
	// Somebody else's browser, or another answer, gets nowhere.
	b.as("ken", everywhere, identity.Admin).want(b.as("ken", everywhere, identity.Admin).get(back), 400, "does not belong")
	v.want(v.get(back+"x"), 400, "does not belong")
	v.want(b.as("zoe", everywhere, identity.Agent).get(back), 403)
	a := v.want(v.get(back), 303)
	if got := a.Header.Get("Location"); got != "/sources/par?connected=yes" {
		t.Errorf("leads to %q", got)
	}
	v.want(v.get("/sources/par?connected=yes"), 200, "Connected since", "By Aya", "Connected: @kumo", "<b>@kumo</b>", "The source fetches with it", "Connect again")
	v.want(v.get(back), 400, "does not belong") // it is good once
	v.soon("/sources", "@kumo")
	v.soon("/api/v1/sources", `"account":"@kumo"`)
	// The person says no.
	back = begin(v)
	state := regexp.MustCompile(`state=[^&]+`).FindString(back)
	v.want(v.get("/sources/consent/callback?error=access_denied&"+state), 422, "did not let us in", "access_denied", "Nothing was changed", "Connected since")
	// A code that is not worth anything.
	back = begin(v)
	v.want(v.get(strings.Replace(back, "c0de", "forged", 1)), 422, "invalid_grant", "Connected since")
	// Another account: what there was stays.
	back = begin(v)
	v.want(v.get(strings.Replace(back, "c0de", "c0de-other", 1)), 422, "@mallory has consented, which is another account", "The consent was not kept", "<b>@kumo</b>")
}

// TestSwitchingOnLosesNothing: what somebody else saves while the platform is asked
// for the grant stays.
func TestSwitchingOnLosesNothing(t *testing.T) {
	b, server := newParlour(t)
	at, err := url.Parse(server)
	b.put(err)
	pass := httputil.NewSingleHostReverseProxy(at)
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			s, _ := settings.Sources.Get(b.Settings, "two")
			s.Name = "Renamed"
			if err := settings.Sources.Put(r.Context(), b.Settings, "ken", "two", settings.Sources.Version(b.Settings, "two"), s); err != nil {
				t.Error(err)
			}
		}
		pass.ServeHTTP(w, r)
	}))
	defer slow.Close()
	b.put(settings.Sources.Put(t.Context(), b.Settings, "cli", "two", 0, settings.Source{
		ID: "two", Name: "Second", Kind: "parlour", Off: true, Config: fmt.Appendf(nil, `{"server":%q,"secret":"hunter2"}`, slow.URL),
	}))
	v := b.as("aya", everywhere, identity.Admin)
	v.soon("/sources/two", "Ask for consent and switch on")
	back := v.way(v.want(v.post("/sources/two/consent", "on", "yes"), 200))
	v.want(v.get(back), 303)
	if s, _ := settings.Sources.Get(b.Settings, "two"); s.Off || s.Name != "Renamed" {
		t.Errorf("stored %q, off: %v", s.Name, s.Off)
	}
}

// TestASourceIsSavedAndLetIn: a new source is stored switched off, and runs once
// the right account has let it in.
func TestASourceIsSavedAndLetIn(t *testing.T) {
	b, server := newParlour(t)
	v := b.as("aya", everywhere, identity.Admin)
	v.soon("/sources/par", "Not connected yet")
	v.want(v.get("/sources/new?kind=parlour"), 200, `name="then" value="consent"`, "Save and ask for consent", "https://desk.example/sources/consent/callback")
	v.want(v.get("/sources/new?kind=hackernews"), 200, "!Save and ask for consent")
	v.want(v.get("/sources/par"), 200, "!Save and ask for consent")
	form := []string{"kind", "parlour", "name", "Second", "config.server", server, "config.secret", "hunter2", "then", "consent"}
	v.want(v.post("/sources/new", form[2:]...), 404)
	v.want(v.post("/sources/new", append(form[:6:6], form[8:]...)...), 422, "Save and ask for consent") // without a secret nothing is stored
	second := func() (settings.Source, bool) {
		for _, s := range settings.Sources.List(b.Settings) {
			if s.Name == "Second" {
				return s, true
			}
		}
		return settings.Source{}, false
	}
	if s, ok := second(); ok {
		t.Fatalf("stored %+v", s)
	}
	back := v.way(v.want(v.post("/sources/new", form...), 200, "Go on to 127.0.0.1"))
	s, ok := second()
	if !ok || !s.Off {
		t.Fatalf("stored %+v, %v", s, ok)
	}
	page := "/sources/" + s.ID
	state := regexp.MustCompile(`state=[^&]+`).FindString(back)
	v.want(v.get("/sources/consent/callback?error=access_denied&"+state), 422, "access_denied", "stays switched off", "Ask for consent and switch on")
	back = v.way(v.want(v.post(page+"/consent", "on", "yes"), 200))
	v.want(v.get(strings.Replace(back, "c0de", "c0de-other", 1)), 422, "@mallory", "stays switched off", "Ask for consent and switch on")
	if s, _ = second(); !s.Off {
		t.Error("another account has switched it on")
	}
	back = v.way(v.want(v.post(page+"/consent", "on", "yes"), 200))
	v.want(v.get(back), 303)
	if s, _ = second(); s.Off {
		t.Error("it is not switched on")
	}
	v.want(v.get(page+"?connected=yes"), 200, "Connected: @kumo", "The source fetches with it", "!Ask for consent and switch on")
	v.soon(page, `<span class="state ok">`, "<dd><b>@kumo</b></dd>")
	// Who wants it off finds it off.
	back = v.way(v.want(v.post("/sources/new", append(form, "off", "on", "name", "Second")...), 200))
	at := v.want(v.get(back), 303).Header.Get("Location")
	v.want(v.get(at), 200, "Connected: @kumo", "still switched off")
	// Where the settings want no consent it runs at once.
	open := v.want(v.post("/sources/new", append(form, "config.open", "on")...), 303).Header.Get("Location")
	v.want(v.get(open), 200, "nobody has to consent", "!Ask for consent", `!<span class="state off">`)
	if s, _ := settings.Sources.Get(b.Settings, strings.TrimPrefix(open, "/sources/")); s.ID == "" || s.Off {
		t.Errorf("%q: %+v", open, s)
	}
	e := b.as("eve", everywhere, identity.Agent)
	e.want(e.post("/sources/new", form...), 403)
}

func TestPlatformsPush(t *testing.T) {
	b, _ := newParlour(t)
	v := b.as("aya", everywhere, identity.Admin)
	v.soon("/sources/par", "/hooks/par")
	stranger := b.visitor()
	stranger.want(stranger.get("/hooks/par?challenge=xyz"), 200, "desk.example/hooks/par xyz")
	stranger.want(stranger.get("/hooks/nobody"), 404)
	stranger.want(stranger.do("DELETE", "/hooks/par", nil), 404)
	push := func(secret, body string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), "POST", b.server.URL+"/hooks/par", strings.NewReader(body))
		b.put(err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X-Secret", secret)
		req.Header.Set("Origin", "https://platform.example")
		req.AddCookie(&http.Cookie{Name: sessionCookie, Value: "not for connectors"})
		resp, err := http.DefaultClient.Do(req)
		b.put(err)
		resp.Body.Close()
		return resp
	}
	if got := push("hunter2", "kumo=pushed").StatusCode; got != 202 {
		t.Errorf("a push is answered with %d", got)
	}
	if got := push("forged", "kumo").StatusCode; got != 400 {
		t.Errorf("a forged push is answered with %d", got)
	}
	if got := push("hunter2", strings.Repeat("x", maxPush+1)).StatusCode; got != 413 {
		t.Errorf("too large a push is answered with %d", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	texts := map[string]bool{}
	b.put(bus.Mentions.Consume(ctx, b.Bus, bus.Consumer{Durable: "test-v1", Filter: bus.LiveMentions, Workers: 1}, bus.Each(func(_ context.Context, m *bus.Msg[mention.Mention]) error {
		if texts[m.Value.Text] = true; texts["kumo=pushed"] {
			cancel()
		}
		return nil
	})))
	if !texts["kumo=pushed"] || texts["rain"] {
		t.Errorf("stored %v", texts)
	}
	slow := 0
	for range 2 * pushBurst {
		if stranger.get("/hooks/par").StatusCode == http.StatusTooManyRequests {
			slow++
		}
	}
	if slow == 0 {
		t.Error("nobody is slowed down")
	}
}

func TestASourceIsTried(t *testing.T) {
	b, server := newParlour(t)
	v := b.as("aya", everywhere, identity.Admin)
	v.soon("/sources/par", "/hooks/par")
	stored, _ := settings.Sources.Get(b.Settings, "par")
	form := []string{"kind", "parlour", "name", "Parlour", "config.server", server}
	a := v.want(v.post("/sources/par/try", form...), 200, "2 posts read, 1 about a brand", "kumo &lt;b&gt;tea", "Kumo Café", "No brand&#39;s query matches", "!have to be typed again")
	if !strings.Contains(a.body, "<h1>") {
		t.Error("without the script there is no page")
	}
	v.want(v.post("/sources/new/try", append(form, "config.secret", "hunter2")...), 200, "2 posts read", "have to be typed again", "!hunter2")
	v.want(v.post("/sources/new/try", append(form, "config.secret", "wrong")...), 200, "the parlour is shut")
	v.want(v.post("/sources/new/try", form...), 422, "secret")
	v.header.Set("Earshot-Part", "preview")
	a = v.want(v.post("/sources/new/try", append(form, "config.secret", "hunter2")...), 200, "2 posts read", "!<h1>", "!typed again")
	if a.Header.Get("Earshot-Part") == "" {
		t.Error("the part is not named")
	}
	v.header.Del("Earshot-Part")
	if after, _ := settings.Sources.Get(b.Settings, "par"); string(after.Config) != string(stored.Config) || len(settings.Sources.All(b.Settings)) != 1 {
		t.Error("trying has changed the settings")
	}
	e := b.as("eve", everywhere, identity.Agent)
	e.want(e.post("/sources/par/try", form...), 403)
}

func TestWhatWasMissedIsTold(t *testing.T) {
	b := newBench(t)
	for id, brand := range map[string]string{"news": "", "theirs": "hoshi"} {
		b.put(settings.Sources.Put(t.Context(), b.Settings, "cli", id, 0, settings.Source{ID: id, Name: "The " + id, Kind: "hackernews", Brand: brand, Config: []byte(`{}`)}))
	}
	now := time.Now().UTC()
	c := source.Coverage{Since: now.Add(-100 * time.Hour)}
	c.Failed(now.Add(-30*time.Hour), now.Add(-30*time.Hour), "503 <b>", outbound.Trouble{Reason: outbound.ServerError, Host: "hn.example", Status: 503, Said: "503 <b>"})
	c.Heard(now.Add(-20*time.Hour), false, true, false)
	b.put(bus.Cursors.Put(t.Context(), b.Bus, source.CoverageKey("news"), c))
	b.put(bus.Cursors.Put(t.Context(), b.Bus, source.ProgressKey("news"), source.Progress{Success: now, Item: now, Taken: now, Alive: now, Quota: 100, Left: 42}))
	v := b.as("aya", []string{"kumo"}, identity.Agent)
	v.want(v.get("/sources"), 200, `aria-label="90.0% heard. 10 h missed."`, `class="missed"`, "The news", "!The theirs", "Deleted items lose", "What the platform asks", "42 / 100")
	v.want(v.get("/sources/news"), 403)
	admin := b.as("ada", everywhere, identity.Admin)
	admin.want(admin.get("/sources/news?days=30"), 200, "hn.example has trouble of its own. (HTTP 503)", "The fetcher does not answer", "Fetching failed", "503 &lt;b&gt;", "10 h")
	var got struct {
		Days    int
		Sources []apiSource
	}
	a := v.want(v.get("/api/v1/sources?days=7"), 200)
	b.put(json.Unmarshal([]byte(a.body), &got))
	if len(got.Sources) != 1 || got.Days != 7 {
		t.Fatalf("%s", a.body)
	}
	s := got.Sources[0]
	if s.State != "ok" || s.Heard == nil || *s.Heard < .89 || *s.Heard > .91 || len(s.Outages) != 1 || s.Outages[0].State != source.Lost || s.Quota.Remaining != 42 || s.Duties.Deletions == "" {
		t.Errorf("%s", a.body)
	}
	// Nobody has run it for an hour.
	b.put(bus.Cursors.Put(t.Context(), b.Bus, source.ProgressKey("news"), source.Progress{Success: now.Add(-time.Hour), Alive: now.Add(-time.Hour)}))
	v.want(v.get("/sources"), 200, "Nobody listens")
	v.want(v.get("/api/v1/sources"), 200, `"state":"away"`, `"cause":"stopped"`)
	b.visitor().want(b.visitor().get("/api/v1/sources"), 401)
}

// TestTryingKeepsWhatIsTyped: in the browser only the preview is exchanged, and
// the way to the platform is one that the page's policy lets go.
// TestTroubleIsToldInTheViewersLanguage: what happened, what to do, when it is
// tried again, and the platform's own words as a quotation.
func TestTroubleIsToldInTheViewersLanguage(t *testing.T) {
	b := newBench(t)
	b.put(settings.Sources.Put(t.Context(), b.Settings, "cli", "news", 0, settings.Source{ID: "news", Name: "The news", Kind: "hackernews", Config: []byte(`{}`)}))
	now := time.Now().UTC().Truncate(time.Second)
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error_description":"<i>The token=hunter2hunter2 has expired</i>, see https://u:hunter2@help.example/t?key=hunter2"}`)
	}))
	defer platform.Close()
	client, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.1"}})
	b.put(err)
	_, err = client.Get(t.Context(), platform.URL+"/feed?key=hunter2", nil)
	trouble := outbound.Explain(err, now)
	next := now.Add(40 * time.Minute)
	b.put(bus.Cursors.Put(t.Context(), b.Bus, source.ProgressKey("news"), source.Progress{Success: now, Alive: now, Error: err.Error(), Trouble: trouble, Since: now, Next: next}))
	b.put(bus.Cursors.Put(t.Context(), b.Bus, classify.AskedKey, classify.Asked{Model: "m", Error: "POST https://ai.example: 503", Trouble: outbound.Trouble{Reason: outbound.ServerError, Host: "ai.example", Status: 503}, Next: next}))
	b.put(bus.Cursors.Put(t.Context(), b.Bus, source.RereadKey("news"), source.Rereading{Error: "older: kept without an explanation"}))
	v := b.as("aya", everywhere, identity.Admin)
	quoted := `<q lang="en">&lt;i&gt;The token=… has expired&lt;/i&gt;, see https://help.example/t?…</q>`
	for lang, want := range map[string][]string{
		"en": {"does not let us in. (HTTP 401)", "Check the key or password and enter it anew.", "ai.example has trouble of its own. (HTTP 503)", "Next try: ", "!接続"},
		"ja": {"に接続するための認証ができていません。(HTTP 401)", "キーやパスワードを確認し、入力し直してください。", "ai.example側で障害が発生しています。(HTTP 503)", "次回の試行:", "!Check the key", "!Unauthorized"},
	} {
		v.want(v.post("/me", "name", "Aya", "lang", lang, "theme", "light", "density", "compact", "keys", "on", "zone", "Asia/Tokyo"), 303)
		a := v.want(v.get("/sources"), 200, append(want, quoted, "!hunter2")...)
		tokyo := time.FixedZone("JST", 9*60*60)
		if clock := next.In(tokyo).Format("15:04") + "</time>"; !strings.Contains(a.body, clock) {
			t.Errorf("%s: when it is tried again (%s) is not told in the viewer's zone", lang, clock)
		}
		v.want(v.get("/sources/news"), 200, want[0], want[1], quoted, "!hunter2")
	}
	v.want(v.get("/api/v1/sources"), 200, "401 Unauthorized", "!hunter2")

	words, err := loadWords()
	b.put(err)
	for _, lang := range langs {
		for _, r := range outbound.Reasons {
			if key := "trouble." + string(r); !words[lang].has(key) || !words[lang].has(key+".next") {
				t.Errorf("%s is missing in %s", key, lang)
			}
		}
		l := &locale{words: words[lang], now: now}
		if got := l.trouble(outbound.Trouble{}, "as it was kept before", time.Time{}); got == nil || got.Said != "as it was kept before" || got.What != l.say("trouble.other") {
			t.Errorf("without an explanation: %+v", got)
		}
	}
}

func TestTryingKeepsWhatIsTyped(t *testing.T) {
	b, server := newParlour(t)
	b.Public = "" // the browser comes to the test's own server
	v := b.as("aya", everywhere, identity.Admin)
	v.soon("/sources/par", "/hooks/par")
	w := b.window(t, v)
	w.run(chromedp.Navigate(b.server.URL + "/sources/new?kind=parlour"))
	w.run(chromedp.SendKeys(`[name="name"]`, "Try"), chromedp.SendKeys(`[name="config.server"]`, server), chromedp.SendKeys(`[name="config.secret"]`, "hunter2"))
	w.eval(`window.same = true; document.querySelector("[data-preview]").click()`)
	w.until(`document.querySelector("#preview").innerText.includes("2 posts read") && window.same && document.querySelector('[name="config.secret"]').value === "hunter2"`)
	w.run(chromedp.Navigate(b.server.URL + "/sources/par"))
	w.eval(`document.querySelector("#consent form button").click()`)
	// The platform knows the desk under another address and says no; that the
	// browser is there at all is what counts.
	w.until(`document.body.innerText.includes("not the desk that was registered")`)
}
