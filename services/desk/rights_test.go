package desk

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/settings"
)

// TestEveryRouteHoldsItsRight really calls every route that is registered, as
// each role, each scope, somebody without a role and a stranger, and holds the
// answer to the table of rights.
func TestEveryRouteHoldsItsRight(t *testing.T) {
	b := newBench(t)
	m := b.angry()
	fill := strings.NewReplacer("{$}", "", "/cases/{id}", "/cases/"+string(m.ID), "/brands/{id}", "/brands/kumo", "{secret}", "s", "{staff}", "x", "{n}", "0",
		"{what}", "nothing", "{token}", "t", "{kind}", "team", "{source}", "x", "{id}", "nothing")
	type caller struct {
		name  string
		may   func(identity.Action) bool
		enter func(*http.Request)
	}
	cookie := func(id string, roles ...identity.Role) func(*http.Request) {
		b.as(id, everywhere, roles...)
		return func(r *http.Request) {
			secret, err := b.Gate.Begin(t.Context(), id, identity.Entry{}) // one each: some routes end it
			b.put(err)
			r.AddCookie(&http.Cookie{Name: sessionCookie, Value: secret})
		}
	}
	callers := []caller{
		{"a stranger", func(a identity.Action) bool { return a == identity.Anyone }, nil},
		{"somebody without a role", func(a identity.Action) bool { return a == identity.Anyone || a == identity.Self }, cookie("nobody")},
	}
	for _, r := range identity.Roles {
		may := func(a identity.Action) bool { return a == identity.Anyone || a == identity.Self || r.Can(a) }
		callers = append(callers, caller{string(r), may, cookie("is-"+strings.ReplaceAll(string(r), "_", "-"), r)})
	}
	for _, s := range identity.Scopes {
		token, secret, err := identity.NewToken(string(s), s, everywhere, time.Now(), time.Time{})
		b.put(err)
		b.put(settings.Tokens.Put(t.Context(), b.Settings, "cli", token.ID, 0, token))
		may := func(a identity.Action) bool { return a == identity.Anyone || s.Can(a) }
		callers = append(callers, caller{"a token of scope " + string(s), may, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+secret) }})
	}
	known := []identity.Action{identity.Anyone, identity.Self}
	for _, r := range identity.Rights {
		known = append(known, r.Action)
	}
	ask := func(method, path string, as caller) *http.Response {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var body io.Reader
		if method == http.MethodPost && !strings.HasPrefix(path, "/api/") {
			body = strings.NewReader("brand=kumo")
		}
		req, err := http.NewRequestWithContext(ctx, method, b.server.URL+path, body)
		b.put(err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if as.enter != nil {
			as.enter(req)
		}
		client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("%s %s as %s: %v", method, path, as.name, err)
		}
		if !strings.HasSuffix(path, "/events") { // which does not end by itself
			_, _ = io.Copy(io.Discard, resp.Body)
		}
		resp.Body.Close()
		return resp
	}
	for _, r := range b.table {
		if !slices.Contains(known, r.need) {
			t.Errorf("%s names the right %q, which is not in the table", r.pattern, r.need)
			continue
		}
		method, path, ok := strings.Cut(r.pattern, " ")
		if !ok {
			method, path = http.MethodGet, r.pattern+"nowhere"
		}
		for _, as := range callers {
			if !r.api() && strings.HasPrefix(as.name, "a token") {
				continue // tokens count for the API alone; there they are strangers
			}
			a := ask(method, fill.Replace(path), as)
			refused := a.StatusCode == http.StatusForbidden || a.StatusCode == http.StatusUnauthorized ||
				as.enter == nil && strings.HasPrefix(a.Header.Get("Location"), "/sign-in?")
			if refused == as.may(r.need) {
				t.Errorf("%s gets %d from %s, which needs %s", as.name, a.StatusCode, r.pattern, r.need)
			}
		}
	}
	// Which question about a case may be asked follows from its answer.
	for _, r := range b.table {
		what, ok := strings.CutPrefix(r.pattern, "POST /cases/{id}/")
		if !ok {
			continue
		}
		for _, as := range callers[2:] {
			if a := ask(http.MethodGet, "/cases/"+string(m.ID)+"/ask/"+what, as); as.may(identity.View) && !strings.HasPrefix(as.name, "a token") && (a.StatusCode == 403) == as.may(r.need) {
				t.Errorf("%s gets %d when asked %s, which needs %s", as.name, a.StatusCode, what, r.need)
			}
		}
	}
}

// TestRoutesAreRegisteredInOnePlace: what isn't in the table isn't served.
func TestRoutesAreRegisteredInOnePlace(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(raw), "mux.Handle"); n > 0 && !strings.HasSuffix(f, "_test.go") {
			found = append(found, fmt.Sprint(f, " ", n))
		}
	}
	if !slices.Equal(found, []string{"desk.go 2"}) {
		t.Errorf("routes are registered in %v; they belong into the table of routes.go", found)
	}
}

// TestAViewerTouchesNothing: who only looks on is offered nothing to press.
func TestAViewerTouchesNothing(t *testing.T) {
	b := newBench(t)
	m := b.angry()
	v := b.as("vera", everywhere, identity.Reader)
	v.want(v.get("/queue"), 200, "never calls back", "!action=\"/bulk\"", "!/claim", "!type=\"checkbox\" name=\"id\"")
	v.want(v.get("/cases/"+string(m.ID)), 200, "never calls back", "!/claim", "!/note\"", "!/escalate", "!/reveal")
	v.want(v.get("/board"), 200)
	v.want(v.get("/quality"), 200)
	v.want(v.get("/figures"), 200, "!/figures/export", "!/figures/history")
	v.want(v.get("/wishes"), 200)
	v.want(v.get("/templates"), 200, "!/templates.yaml")
	v.want(v.get("/brands"), 200, "!/brands/new")
	v.want(v.get("/cases/"+string(m.ID)+"/ask/close"), 403)
	v.want(v.get("/api/v1/cases/"+string(m.ID)), 200)
	v.want(v.post("/api/v1/cases/"+string(m.ID)+"/claim"), 403)
}
