package app

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/earshot/earshot/pkg/config"
)

// TestWhoeverComesTooEarlyIsToldSo starts a process whose desk takes its time: until
// it is up, a browser gets a page that asks again by itself, a program a plain 503.
func TestWhoeverComesTooEarlyIsToldSo(t *testing.T) {
	t.Parallel()
	begin, up := make(chan struct{}), make(chan struct{})
	slow := Service{Name: "desk", Run: func(ctx context.Context, env *Env) error {
		<-begin
		env.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the queue") }))
		env.Ready()
		close(up)
		<-ctx.Done()
		return nil
	}}
	quick := Service{Name: "pager", Run: func(ctx context.Context, env *Env) error {
		env.Ready()
		<-ctx.Done()
		return nil
	}}
	a := begun(t, quick, slow)
	const page, plain = "text/html; charset=utf-8", "text/plain; charset=utf-8"
	for _, tt := range []struct {
		method, path, accept string
		status               int
		kind, says           string
	}{
		{http.MethodGet, "/queue?view=mine", "text/html,*/*;q=0.8", 503, page, `<meta http-equiv="refresh" content="2">`},
		{http.MethodGet, "/queue", "text/html", 503, page, "Earshotを起動しています。"},
		{http.MethodGet, "/queue", "text/html", 503, page, `<p lang="en">Earshot is starting.`},
		{http.MethodHead, "/queue", "text/html", 503, page, ""},
		{http.MethodPost, "/cases/x/send", "text/html", 503, plain, "try again in a moment"}, // asking again would lose what was sent
		{http.MethodGet, "/api/v1/mentions", "application/json", 503, plain, "try again in a moment"},
		{http.MethodGet, "/queue", "", 503, plain, "起動中です。"},
		{http.MethodGet, "/readyz", "", 503, "", "desk"},
		{http.MethodGet, "/healthz", "", 200, "", "ok"},
	} {
		resp, body := ask(t, a, tt.method, tt.path, tt.accept)
		if resp.StatusCode != tt.status || tt.kind != "" && resp.Header.Get("Content-Type") != tt.kind || !strings.Contains(body, tt.says) {
			t.Errorf("%s %s for %q: %d, %s\n%s", tt.method, tt.path, tt.accept, resp.StatusCode, resp.Header.Get("Content-Type"), body)
		}
		if retry := resp.Header.Get("Retry-After"); tt.kind != "" && (retry != "2" || resp.Header.Get("Cache-Control") != "no-store") {
			t.Errorf("%s %s: Retry-After %q, %q", tt.method, tt.path, retry, resp.Header.Get("Cache-Control"))
		}
	}
	close(begin)
	<-up
	for path, says := range map[string]string{"/queue?view=mine": "the queue", "/readyz": "ok"} {
		if resp, body := ask(t, a, http.MethodGet, path, "text/html"); resp.StatusCode != http.StatusOK || !strings.Contains(body, says) {
			t.Errorf("%s once it is up: %d, %s", path, resp.StatusCode, body)
		}
	}
}

// TestAProcessWithoutADeskHasNoPages: what is up and has nothing to show says that.
func TestAProcessWithoutADeskHasNoPages(t *testing.T) {
	t.Parallel()
	up := make(chan struct{})
	a := begun(t, Service{Name: "pager", Run: func(ctx context.Context, env *Env) error {
		env.Ready()
		close(up)
		<-ctx.Done()
		return nil
	}})
	<-up
	if resp, _ := ask(t, a, http.MethodGet, "/queue", "text/html"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func begun(t *testing.T, services ...Service) *App {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	a, err := Start(t.Context(), Options{Config: cfg, Services: services, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop() })
	return a
}

func ask(t *testing.T, a *App, method, path, accept string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+a.Addr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}
