package desk

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
)

// TestScreens writes a picture of every sample view in both languages and
// schemes and at three widths:
//
//	go test ./services/desk -run TestScreens -screens DIR [-only REGEXP]
//
// only matches names such as "queue-ja-1440-dark".
func TestScreens(t *testing.T) {
	if *screens == "" {
		t.Skip("no -screens folder given")
	}
	all, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	only := regexp.MustCompile(*screensOnly)
	server := sampleServer(t)
	ctx := browser(t)
	for _, lang := range langs {
		for _, width := range []int64{1440, 1000, 390} {
			for _, scheme := range []string{"light", "dark"} {
				for name := range samples(sampleLocale(all[lang])) {
					file := fmt.Sprintf("%s-%s-%d-%s", name, lang, width, scheme)
					if !only.MatchString(file) {
						continue
					}
					shot := capture(t, ctx, server.URL+"/sample/"+lang+"/"+name, width, scheme)
					if err := os.WriteFile(filepath.Join(*screens, file+".png"), shot, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

func sampleServer(t *testing.T) *httptest.Server {
	r, err := newRenderer("")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/static/", r.assets)
	mux.HandleFunc("/static/sample.svg", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/svg+xml")
		fmt.Fprint(w, `<svg xmlns="http://www.w3.org/2000/svg" width="400" height="280"><rect width="400" height="280" fill="#b9b2a3"/><circle cx="150" cy="160" r="70" fill="#6e675a"/><rect x="230" y="60" width="90" height="180" fill="#8d8474"/></svg>`)
	})
	mux.HandleFunc("/sample/{lang}/{name}", func(w http.ResponseWriter, req *http.Request) {
		lang, name := req.PathValue("lang"), req.PathValue("name")
		file, _, _ := strings.Cut(name, "-")
		body, err := r.render(lang, file, "page", samples(sampleLocale(r.words[lang]))[name])
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Security-Policy", contentPolicy)
		w.Write(body)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// chromium starts the one headless Chromium that all tests share: a start takes
// longer than most of them do. It lives until closeChromium.
var chromium = sync.OnceValues(func() (context.Context, error) {
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("font-render-hinting", "none"))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, leave := chromedp.NewContext(ctx)
	closeChromium = func() { leave(); stop() }
	return ctx, chromedp.Do(ctx)
})

var closeChromium = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	closeChromium()
	os.Exit(code)
}

// browser opens a window that shares no cookies and nothing stored with those of
// other tests; the test fails for every error that a page logs.
func browser(t *testing.T) context.Context {
	t.Helper()
	if testing.Short() {
		t.Skip("no browser in short tests")
	}
	if !slices.ContainsFunc([]string{"chromium", "chromium-browser", "google-chrome", "chrome"}, func(name string) bool {
		_, err := exec.LookPath(name)
		return err == nil
	}) {
		absent(t, "no Chromium on this machine")
	}
	ctx, err := chromium()
	if err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return tab(t, ctx, chromedp.WithNewBrowserContext())
}

// tab opens a tab of its own in a browser.
func tab(t *testing.T, ctx context.Context, as ...chromedp.ContextOption) context.Context {
	t.Helper()
	ctx, cancel := chromedp.NewContext(ctx, as...)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	err := chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*log.EventEntryAdded); ok && e.Entry.Level == log.EntryLevelError {
			t.Errorf("browser: %s %s", e.Entry.Text, e.Entry.URL)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

func capture(t *testing.T, ctx context.Context, url string, width int64, scheme string) []byte {
	t.Helper()
	show(t, ctx, width, scheme)
	if err := chromedp.Do(ctx, chromedp.Navigate(url), chromedp.Sleep(60*time.Millisecond)); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	return shot
}
