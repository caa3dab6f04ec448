package desk

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// bench is a desk on a real bus and a real index.
type bench struct {
	*Desk
	t       *testing.T
	server  *httptest.Server
	indexed bool // an indexer runs
}

// newBench starts a desk. The index is filled by hand, unless an indexer is
// among the services that run beside it.
func newBench(t *testing.T, beside ...app.Service) *bench {
	t.Helper()
	return newBenchOf(t, nil, beside...)
}

// newBenchOf is newBench with another way to sign in.
func newBenchOf(t *testing.T, edit func(*config.SignIn), beside ...app.Service) *bench {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	cfg.Limits.AllowPrivate = []string{"127.0.0.1"}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	envs := make(chan *app.Env, 1)
	probe := app.Service{Name: "probe", Run: func(ctx context.Context, env *app.Env) error {
		envs <- env
		<-ctx.Done()
		return nil
	}}
	a, err := app.Start(t.Context(), app.Options{Config: cfg, Services: append(beside, probe), Log: log, Sandbox: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop() })
	env := <-envs
	index, err := env.Index(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := env.Signer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	board, err := escalation.OpenBoard(t.Context(), env.Bus(), log)
	if err != nil {
		t.Fatal(err)
	}
	client, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	vault, err := settings.OpenVault(t.TempDir(), "desk")
	if err != nil {
		t.Fatal(err)
	}
	if err := env.Gate().UseVault(vault); err != nil {
		t.Fatal(err)
	}
	signIn := cfg.SignIn
	if edit != nil {
		edit(&signIn)
	}
	d, err := New(Options{
		Bus: env.Bus(), Index: index, Cases: env.Cases(index), Board: board, Settings: env.Settings(), Gate: env.Gate(), Signer: signer,
		HTTP: client, Log: log, Now: time.Now, URL: "http://desk.test", Data: cfg.Data, Sandbox: true, MaxBody: 1 << 20, SignIn: signIn,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := &bench{Desk: d, t: t, server: httptest.NewServer(d.Handler()), indexed: len(beside) > 0}
	t.Cleanup(b.server.Close)
	b.put(settings.Brands.Put(t.Context(), d.Settings, "cli", "kumo", 0, settings.Brand{ID: "kumo", Name: "Kumo Café", Query: "kumo"}))
	b.put(settings.Brands.Put(t.Context(), d.Settings, "cli", "hoshi", 0, settings.Brand{ID: "hoshi", Name: "Hoshi", Query: "hoshi"}))
	return b
}

func (b *bench) put(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// visitor is somebody with a browser that keeps cookies and follows no
// redirects.
type visitor struct {
	*bench
	client *http.Client
	header http.Header
}

func (b *bench) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	b.put(err)
	return &visitor{b, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, http.Header{}}
}

// as signs somebody in with roles for brands.
func (b *bench) as(id string, brands []string, roles ...identity.Role) *visitor {
	b.t.Helper()
	s := identity.Staff{ID: id, Email: id + "@kumo.example", Name: strings.ToUpper(id[:1]) + id[1:], Lang: "en", Trained: true}
	for _, r := range roles {
		s.Grants = append(s.Grants, identity.Grant{Role: r, Brands: brands})
	}
	b.put(settings.Staff.Put(b.t.Context(), b.Settings, "cli", id, settings.Staff.Version(b.Settings, id), s))
	secret, err := b.Gate.Begin(b.t.Context(), id, identity.Entry{})
	b.put(err)
	v := b.visitor()
	u, err := url.Parse(b.server.URL)
	b.put(err)
	v.client.Jar.SetCookies(u, []*http.Cookie{{Name: sessionCookie, Value: secret}})
	return v
}

type answer struct {
	*http.Response
	body string
}

func (v *visitor) do(method, path string, form url.Values) answer {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.server.URL+path, strings.NewReader(form.Encode()))
	v.put(err)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, values := range v.header {
		req.Header[k] = values
	}
	resp, err := v.client.Do(req)
	v.put(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	v.put(err)
	return answer{resp, string(body)}
}

func (v *visitor) get(path string) answer { v.t.Helper(); return v.do(http.MethodGet, path, nil) }
func (v *visitor) post(path string, pairs ...string) answer {
	v.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return v.do(http.MethodPost, path, form)
}

// want holds an answer to a status and to what its body must and, after "!",
// must not contain.
func (v *visitor) want(a answer, status int, contains ...string) answer {
	v.t.Helper()
	if a.StatusCode != status {
		v.t.Fatalf("%s %s: status %d, want %d\n%s", a.Request.Method, a.Request.URL.Path, a.StatusCode, status, short(a.body))
	}
	for _, c := range contains {
		if not, ok := strings.CutPrefix(c, "!"); ok {
			if strings.Contains(a.body, not) {
				v.t.Errorf("%s %s: contains %q", a.Request.Method, a.Request.URL.Path, not)
			}
		} else if !strings.Contains(a.body, c) {
			v.t.Errorf("%s %s: lacks %q\n%s", a.Request.Method, a.Request.URL.Path, c, short(a.body))
		}
	}
	return a
}

func short(s string) string {
	if i := strings.Index(s, "<main"); i >= 0 {
		s = s[i:]
	}
	return s[:min(len(s), 3000)]
}

// mention stores a mention as the classifier and the indexer would.
func (b *bench) mention(p mention.Post, verdict mention.Verdict) mention.Mention {
	b.t.Helper()
	if p.SeenAt.IsZero() {
		p.SeenAt = time.Now().UTC()
	}
	if p.PublishedAt.IsZero() {
		p.PublishedAt = p.SeenAt
	}
	if p.Intake == "" {
		p.Intake = mention.Live
	}
	brand := "kumo"
	if p.Source == "hoshi" {
		brand = "hoshi"
	}
	m := mention.Of(brand, p)
	if verdict.Disposition == "" {
		verdict.Disposition = mention.Answer
	}
	verdict.Model = "test"
	tagged := mention.Tagged{Mention: m, Verdict: verdict}
	b.put(bus.Tagged.Publish(b.t.Context(), b.Bus, &tagged))
	seq, err := bus.Tagged.Last(b.t.Context(), b.Bus)
	b.put(err)
	if b.indexed {
		b.put(b.Index.Wait(b.t.Context(), bus.Tagged.Stream(), seq))
		return m
	}
	triage := b.Settings.Triage(&m, &verdict, casework.Signals{})
	doc := search.Document{
		ID: m.ID, Seq: seq, Brand: m.Brand, Platform: m.Platform, Source: m.Source, Kind: m.Kind, Intake: m.Intake, Lang: verdict.Lang,
		Title: m.Title, Text: m.Text, URL: m.URL, AuthorID: m.Author.ID, AuthorHandle: m.Author.Handle, AuthorName: m.Author.Name,
		Status: "new", Disposition: triage.Disposition, Sentiment: verdict.Sentiment, Intent: verdict.Intent, Page: verdict.Page,
		Story: verdict.Story, Open: triage.Disposition == mention.Answer, Priority: triage.Priority, DueAt: triage.DueAt,
		PublishedAt: m.PublishedAt, SeenAt: m.SeenAt, Owner: search.OwnerTagged, Revision: m.Revision, Tagged: []uint64{seq}, MediaN: len(m.Media),
	}
	for _, r := range verdict.Risks {
		doc.Risks = append(doc.Risks, r.Category)
	}
	b.put(b.Index.Write(b.t.Context(), search.Batch{Upserts: []search.Document{doc}, Positions: map[string]uint64{bus.Tagged.Stream(): seq}}))
	return m
}

// angry is a mention with a risk and hostile text.
func (b *bench) angry() mention.Mention {
	text := `Kumo never calls back <script>alert(1)</script> and I will post the recording tomorrow https://evil.example/"onmouseover=x`
	start := len([]rune(text[:strings.Index(text, "I will")]))
	return b.mention(mention.Post{
		Platform: "mastodon", NativeID: "1", Kind: mention.KindPost, URL: "https://social.example/@mika/1", Source: "masto", Text: text,
		Author: mention.Author{ID: "7", Handle: "mika@social.example", Name: "Mika <b>"},
	}, mention.Verdict{
		Lang: "en", Sentiment: mention.Negative, SentimentScore: .9, Intent: mention.Complaint, IntentScore: .8,
		Risks: []mention.Risk{{Category: mention.PublicityThreat, Score: .9, Start: start, End: start + 27, Rule: "en.will_post", Rung: mention.Announced}},
	})
}

func (b *bench) praise() mention.Mention {
	return b.mention(mention.Post{Platform: "x", NativeID: "2", Kind: mention.KindPost, URL: "https://x.example/2", Source: "feed", Text: "雨の日に傘を貸してくれたKumoの店員さん、ありがとう", Author: mention.Author{Handle: "hana", Name: "はな"}},
		mention.Verdict{Lang: "ja", Sentiment: mention.Positive, Intent: mention.Praise})
}

func (b *bench) template() {
	b.put(settings.Templates.Put(b.t.Context(), b.Settings, "cli", "hold", 0, casework.Template{
		ID: "hold", Name: "Holding reply", Lang: "en", When: "While facts are unknown",
		Versions: []casework.TemplateVersion{{N: 1, Status: casework.TemplateApproved, Apology: casework.LimitedApology, Kind: casework.First,
			Body:  "Dear {{author}}, we are looking into {{matter}}. {{staff}}",
			Slots: []casework.Slot{{Name: "matter", Label: "Matter", Required: true}}}},
	}))
}

var everywhere = []string{identity.AllBrands}

func (v *visitor) upload(path string, form map[string]string, name string, content []byte) answer {
	v.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for k, value := range form {
		v.put(w.WriteField(k, value))
	}
	f, err := w.CreateFormFile("files", name)
	v.put(err)
	_, err = f.Write(content)
	v.put(err)
	v.put(w.Close())
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.server.URL+path, &body)
	v.put(err)
	req.Header.Set("Content-Type", w.FormDataContentType())
	resp, err := v.client.Do(req)
	v.put(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	v.put(err)
	return answer{resp, string(text)}
}
