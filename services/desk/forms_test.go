package desk

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/services/indexer"
)

// in has the visitor read the desk in a language.
func (v *visitor) in(lang string) *visitor {
	v.client.Jar.SetCookies(v.address(), []*http.Cookie{{Name: lookCookie, Value: url.Values{"lang": {lang}}.Encode()}})
	return v
}

var formVersion = regexp.MustCompile(`name="version" value="(\d+)"`)

func TestTwoWhoEditTheSameSetting(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.template()
	b.put(settings.Sources.Put(t.Context(), b.Settings, "cli", "news", 0, settings.Source{ID: "news", Name: "News", Kind: "hackernews"}))
	b.put(settings.Notifiers.Put(t.Context(), b.Settings, "cli", "drill", 0, settings.Notifier{ID: "drill", Name: "Drill", Kind: "sandbox"}))
	b.as("ken", everywhere, identity.Agent)
	one, two := b.as("ada", everywhere, identity.Admin, identity.PRLead), b.as("ben", everywhere, identity.Admin, identity.PRLead)
	for path, form := range map[string][]string{
		"/brands/kumo":     {"query", "kumo"},
		"/sources/news":    nil,
		"/notifiers/drill": nil,
		"/staff/ken":       {"email", "ken@kumo.example", "roles", "agent"},
		"/templates/hold":  {"lang", "en", "kind", "first", "apology", "none", "body", "Hello."},
	} {
		opened := func(a answer) string {
			t.Helper()
			m := formVersion.FindStringSubmatch(a.body)
			if m == nil {
				t.Fatalf("%s carries no version", path)
			}
			return m[1]
		}
		first, second := opened(one.want(one.get(path), 200)), opened(two.want(two.get(path), 200))
		one.want(one.post(path, append([]string{"version", first, "name", "Theirs"}, form...)...), 303)
		stale := two.want(two.post(path, append([]string{"version", second, "name", "Mine"}, form...)...), 409, "Somebody changed this", `value="Mine"`)
		one.want(one.get(path), 200, "Theirs", `!value="Mine"`)
		two.want(two.post(path, append([]string{"version", opened(stale), "name", "Mine"}, form...)...), 303)
		one.want(one.get(path), 200, `value="Mine"`)
	}
}

// TestNothingIsOverwrittenUnseen: what two tabs or two people save is saved once, and
// the other is shown what there is now beside what was typed.
func TestNothingIsOverwrittenUnseen(t *testing.T) {
	t.Parallel()
	b := newBench(t, indexer.Service)
	b.template()
	opened := func(a answer) string {
		t.Helper()
		m := formVersion.FindStringSubmatch(a.body)
		if m == nil {
			t.Fatal("the form carries no version")
		}
		return m[1]
	}
	one := b.as("ada", everywhere, identity.Admin, identity.PRLead, identity.Approver)
	two := b.as("ben", everywhere, identity.Admin, identity.PRLead, identity.Approver)

	// One's own settings, in two tabs.
	me := []string{"lang", "en", "density", "compact", "keys", "on", "zone", "Asia/Tokyo"}
	tab := opened(one.want(one.get("/me"), 200))
	one.want(one.post("/me", append(me, "version", tab, "name", "Ada", "public", "Ada of Kumo")...), 303)
	stale := one.want(one.post("/me", append(me, "version", tab, "name", "Ada L.", "away", "on", "theme", "dark")...), 409, "Somebody changed this", `value="Ada L."`, `value="dark" checked`, `name="away" value="on" checked`)
	if s, _ := settings.Staff.Get(b.Settings, "ada"); s.Name != "Ada" || s.PublicName != "Ada of Kumo" || s.Away {
		t.Errorf("overwritten: %+v", s)
	}
	one.want(one.post("/me", append(me, "version", opened(stale), "name", "Ada L.", "public", "Ada of Kumo")...), 303)
	one.want(one.post("/me", append(me, "version", tab, "name", "Ada L.", "public", "Ada of Kumo", "theme", "light")...), 303) // the look alone

	// A rule that is taken out.
	two.want(two.post("/rules/access/default", "version", "0", "second_factor", "viewer"), 303)
	seen := opened(one.want(one.get("/rules/access/default"), 200))
	now := opened(two.want(two.get("/rules/access/default"), 200))
	two.want(two.post("/rules/access/default", "version", now, "second_factor", "agent"), 303)
	stale = one.want(one.post("/rules/access/default/remove", "version", seen), 409, "nothing was done yet", `value="agent" checked`, "!kept below")
	if _, ok := settings.Accesses.Get(b.Settings, settings.Default); !ok {
		t.Error("taken out unseen")
	}
	one.want(one.post("/rules/access/default/remove", "version", opened(stale)), 303)

	// A term for a query that has changed since what it drops was counted.
	m := b.mention(mention.Post{Platform: "x", NativeID: "7", Source: "feed", Text: "Kumo giveaway", Author: mention.Author{ID: "7", Handle: "winbot"}}, mention.Verdict{Lang: "en", Intent: mention.OtherIntent})
	path := "/cases/" + string(m.ID)
	one.want(one.post(path+"/claim"), 303)
	seen = opened(one.want(one.post(path+"/leave-out", "term", "author:winbot", "do", "preview"), 200))
	now = opened(two.want(two.get("/brands/kumo"), 200))
	two.want(two.post("/brands/kumo", "version", now, "name", "Kumo Café", "query", "kumo OR 雲"), 303)
	stale = one.want(one.post(path+"/leave-out", "version", seen, "term", "author:winbot", "do", "apply"), 409, "Somebody changed the query meanwhile", `value="author:winbot" checked`)
	if k, _ := settings.Brands.Get(b.Settings, "kumo"); k.Query != "kumo OR 雲" {
		t.Errorf("query %q", k.Query)
	}
	b.put(settings.Exclusions.Put(t.Context(), b.Settings, "aya", "x-1", 0, settings.Exclusion{ID: "x-1", Brand: "kumo", Term: `"giveaway"`, Case: string(m.ID), State: settings.Proposed}))
	read := opened(two.want(two.get("/brands/kumo"), 200, "/exclusions/x-1"))
	one.want(one.post(path+"/leave-out", "version", opened(stale), "term", "author:winbot", "do", "apply"), 303)
	two.want(two.post("/exclusions/x-1", "version", read, "do", "apply"), 409, "Somebody changed the query meanwhile", "/exclusions/x-1")
	two.want(two.post("/exclusions/x-1", "do", "decline"), 303)
	one.want(one.post("/exclusions/x-1", "do", "apply"), 409, "Somebody has decided on this proposal meanwhile.")
	if k, _ := settings.Brands.Get(b.Settings, "kumo"); strings.Contains(k.Query, "giveaway") || !strings.Contains(k.Query, "winbot") {
		t.Errorf("query %q", k.Query)
	}

	// Templates of a file.
	file := "template:\n  hold: {name: Mine, lang: en, versions: [{n: 1, body: Mine., apology: none, status: draft}]}\n"
	seen = opened(one.want(one.get("/templates/import"), 200))
	theirs := []string{"name", "Theirs", "lang", "en", "kind", "first", "apology", "none", "body", "Theirs."}
	two.want(two.post("/templates/hold", append(theirs, "version", opened(two.get("/templates/hold")))...), 303)
	stale = one.want(one.post("/templates/import", "version", seen, "yaml", file), 409, "Somebody changed this", "body: Mine.")
	if x, _ := settings.Templates.Get(b.Settings, "hold"); x.Name != "Theirs" {
		t.Errorf("template %+v", x)
	}
	one.want(one.post("/templates/import", "version", opened(stale), "yaml", file), 303)
}

func TestWhatNoFormSends(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v := b.as("ada", everywhere, identity.Admin, identity.PRLead).in("ja")
	long := strings.Repeat("x", 101)
	for _, c := range []struct {
		name, path string
		form       []string
		want       string
	}{
		{"an id that begins with a hyphen", "/brands/new", []string{"name", "Acme", "id", "-1", "query", "acme"}, "英小文字・数字・ハイフン"},
		{"the id of the form", "/brands/new", []string{"name", "Acme", "id", "new", "query", "acme"}, "すでに使われています"},
		{"a long name", "/brands/new", []string{"name", long, "id", "acme", "query", "acme"}, "1〜100文字"},
		{"a name that nobody sees", "/brands/new", []string{"name", "\u200b\u3164", "id", "acme", "query", "acme"}, "1〜100文字"},
		{"a long name of a source", "/sources/new", []string{"kind", "hackernews", "name", long}, "1〜100文字"},
		{"a long name of a notifier", "/notifiers/new", []string{"kind", "sandbox", "name", long}, "1〜100文字"},
		{"seconds that are no number", "/sources/new", []string{"kind", "hackernews", "name", "News", "hold", "soon"}, "数字を入力"},
		{"a brand that is none", "/sources/new", []string{"kind", "hackernews", "name", "News", "brand", "nowhere"}, "選び直してください"},
		{"rights for a brand that is none", "/staff/new", []string{"name", "Ken", "email", "ken@kumo.example", "roles", "agent", "brands", "nowhere"}, "選び直してください"},
		{"a token for a brand that is none", "/tokens/new", []string{"name", "x", "scope", "read", "brands", "nowhere"}, "選び直してください"},
		{"a long title of a wish", "/wishes/new", []string{"brand", "kumo", "status", "open", "title", long + long}, "1〜200文字"},
		{"a scope that is none", "/tokens/new", []string{"name", "x", "scope", "root"}, "選び直してください"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := v.post(c.path, c.form...)
			if a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, c.want) {
				t.Errorf("status %d, wanted %q\n%s", a.StatusCode, c.want, short(a.body))
			}
		})
	}
	if n := len(settings.Brands.List(b.Settings)) + len(settings.Sources.List(b.Settings)) + len(settings.Notifiers.List(b.Settings)) + len(settings.Tokens.List(b.Settings)); n != 2 {
		t.Errorf("%d settings, two brands were there", n)
	}
}

func TestWhatIsNoFormIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := b.angry()
	v := b.as("aya", everywhere, identity.Agent).in("ja")
	path := "/cases/" + string(m.ID)
	for kind, body := range map[string]string{
		"application/x-www-form-urlencoded": "text=%zz",
		"multipart/form-data; boundary=x":   "--x\r\nbroken",
		"multipart/form-data":               "text=a",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.server.URL+path+"/note", strings.NewReader(body))
		b.put(err)
		req.Header.Set("Content-Type", kind)
		resp, err := v.client.Do(req)
		b.put(err)
		said, err := io.ReadAll(resp.Body)
		b.put(err)
		b.put(resp.Body.Close())
		v.want(answer{resp, string(said)}, 422, "読み取れませんでした")
	}
	v.want(v.post(path+"/claim"), 303)
	for _, into := range []string{"", "abc", "-1", "999999999999999999999", "4711"} {
		v.want(v.post(path+"/merge", "into", into), 422, "その番号の案件が見つかりません。")
	}
	v.want(v.get("/figures?from=2026-01-01&to=2020-01-01"), 400, "400日以内", `name="from" type="date" value="2026-01-01"`, `name="to" type="date" value="2020-01-01"`, `aria-invalid="true"`, "!<table")
	v.want(v.get("/figures?from=2026-13-01"), 400, "<strong>正しい日時を入力してください。</strong>", `name="to" type="date"`)
	v.want(v.get("/figures?by=century"), 400, `<select id="f-by"`, "<strong>選んだものはなくなっています。選び直してください。</strong>")
	v.want(v.post("/figures/export", "from", "2026-13-01"), 422, "正しい日時を入力してください。")
	v.want(v.get("/queue?cursor=abc"), 200, "このアドレスでは検索できません(cursor: 続きの位置が読み取れません。)")
}

func TestALookHasAnEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v := b.as("aya", everywhere, identity.Agent)
	huge := strings.Repeat("x", 50_000)
	a := v.want(v.post("/me", "name", "Aya", "lang", huge, "theme", huge, "density", huge, "zone", huge), 303)
	if n := len(strings.Join(a.Header.Values("Set-Cookie"), "")); n > 4096 {
		t.Errorf("cookies of %d bytes", n)
	}
	a = v.want(v.post("/me", "name", "Aya", "theme", "dark", "density", "compact", "zone", "Asia/Tokyo"), 303)
	if c := strings.Join(a.Header.Values("Set-Cookie"), ""); !strings.Contains(c, "theme=dark") || !strings.Contains(c, "density=compact") || !strings.Contains(c, "Tokyo") {
		t.Errorf("the look is lost: %s", c)
	}
}
