package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/japanese"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/embedded"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

// What is wrong from outside must be answered with what to mend, and must cost
// nothing else anything.

// says fails unless text has every part.
func says(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in: %s", p, text)
		}
	}
}

// cli runs the program in this process.
func cli(t *testing.T, in string, args ...string) (status int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	status = run(ctx, args, strings.NewReader(in), &o, &e)
	return status, o.String(), e.String()
}

func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHostileConfiguration(t *testing.T) {
	for _, tt := range []struct {
		name, yaml string
		want       []string
	}{
		{"broken YAML", "data: x\nbus: [\n", []string{"line 2", "not found"}},
		{"an unknown key", "listen: 127.0.0.1:0\nserach:\n  engine: embedded\n", []string{"line 2: serach: unknown key; did you mean search?"}},
		{"an unknown key in a section", "search:\n  engin: embedded\n", []string{"line 2: search.engin: unknown key; did you mean engine?"}},
		{"several mistakes", "search:\n  engine: elastic\nlog:\n  level: loud\nlimits:\n  retention: forever\n", []string{
			"line 2: search.engine", "embedded, meilisearch", `line 4: log.level: "loud" is not one of debug, info, warn, error`, "line 6: limits.retention", "write it like",
		}},
		{"not a file of keys", "- a\n", []string{"line 1: must be keys with values"}},
		{"bytes", "\xff\xfe\x00", []string{"line 1"}},
		{"an address that is none", "listen: nowhere\n", []string{"line 1: listen", "write it like 127.0.0.1:8080"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := file(t, "earshot.yaml", tt.yaml)
			status, out, errs := cli(t, "", "check", path)
			if status != 1 || out != "" {
				t.Errorf("status %d, output %q", status, out)
			}
			says(t, errs, append(tt.want, path)...)
			// The service refuses the same file before it touches anything.
			data := filepath.Join(t.TempDir(), "data")
			if status, _, errs := cli(t, "", "serve", "--config", path, "--data", data); status != 1 || !strings.Contains(errs, tt.want[0]) {
				t.Errorf("serve: status %d, %s", status, errs)
			}
			if _, err := os.Stat(data); err == nil {
				t.Error("serve has made a data folder")
			}
		})
	}
}

func TestHostileArguments(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy := taken.Addr().String()
	away := freeAddress(t)
	notAFolder := file(t, "file", "")
	dir := t.TempDir()
	for _, tt := range []struct {
		name   string
		env    string // NAME=value
		args   []string
		status int
		want   []string
	}{
		{"an unknown command", "", []string{"servee"}, 2, []string{`"servee"`, "earshot --help"}},
		{"an unknown flag", "", []string{"serve", "--frob"}, 2, []string{"there is no flag --frob", "earshot serve --help"}},
		{"an unknown service", "", []string{"serve", "indexr"}, 2, []string{`"indexr"`, "classifier"}},
		{"a service alone without a bus", "", []string{"serve", "classifier"}, 1, []string{"bus.url"}},
		{"an embedded index in two processes", "EARSHOT_BUS_URL=nats://" + away, []string{"serve", "indexer"}, 1, []string{"indexer and desk together", "search.engine: meilisearch"}},
		{"a pager that does not know the desk", "EARSHOT_BUS_URL=nats://" + away, []string{"serve", "pager"}, 1, []string{"url:", "EARSHOT_URL"}},
		{"a bus that is away", "EARSHOT_BUS_URL=nats://" + away, []string{"serve", "classifier", "--listen", "127.0.0.1:0"}, 1, []string{away, "bus.url"}},
		{"a query without its brand", "", []string{"serve", "--query", "x"}, 2, []string{"--brand"}},
		{"a query that does not parse", "", []string{"serve", "--brand", "Acme", "--query", `("acme" OR`}, 2, []string{"--query", "at 9", "OR has nothing after it"}},
		{"a port in use", "", []string{"serve", "--listen", busy}, 1, []string{busy, "in use", "--listen"}},
		{"a data folder that is a file", "", []string{"serve", "--listen", "127.0.0.1:0", "--data", notAFolder}, 1, []string{notAFolder, "--data"}},
		{"a file to import that is not there", "", []string{"import", "nothere.csv"}, 1, []string{"nothere.csv", "no such file"}},
		{"a file of unknown format", "", []string{"import", "posts.xlsx"}, 2, []string{"--format jsonl|csv|x-v1"}},
		{"no installation", "", []string{"token", "list"}, 1, []string{"earshot serve", "--data"}},
		{"erasing without confirmation", "", []string{"erase", "--source", "x"}, 2, []string{"can't be undone", "--yes"}},
		{"erasing nothing", "", []string{"erase", "--yes"}, 2, []string{"--mention", "--author", "--source"}},
		{"erasing an author without platform", "", []string{"erase", "--author", "joe", "--yes"}, 2, []string{"PLATFORM:ID"}},
		{"a scope that is none", "", []string{"token", "create", "x", "--scope", "everything"}, 2, []string{"intake, read, desk or admin"}},
		{"arguments where none are taken", "", []string{"reindex", "now"}, 2, []string{`"now"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if name, value, ok := strings.Cut(tt.env, "="); ok {
				t.Setenv(name, value)
			}
			args := tt.args
			if !strings.Contains(strings.Join(args, " "), "--data") && args[0] != "servee" {
				args = append(args, "--data", filepath.Join(dir, "data"))
			}
			status, _, errs := cli(t, "", args...)
			if status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			says(t, errs, tt.want...)
		})
	}
	t.Run("a folder without permission", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "sealed")
		if err := os.Mkdir(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() == 0 {
			dir = "/sys" // where not even root makes folders
		}
		_, _, errs := cli(t, "", "serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"))
		says(t, errs, dir, "--data")
	})
}

const acme = "brand:\n  acme: {id: acme, name: Acme, query: acme}\n"

func TestHostileRequests(t *testing.T) {
	s := open(t, t.TempDir(), "")
	s.must(acme, "apply", "-")
	intake, read, work := s.token("intake"), s.token("read"), s.token("desk")
	if status, body := s.post(intake, `{"id":"1","text":"acme before"}`); status != http.StatusAccepted {
		t.Fatalf("%d %s", status, body)
	}
	s.total(read, "before", 1)

	t.Run("a body of 100 MB", func(t *testing.T) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		status, body := s.do("POST", "/api/v1/mentions", intake, io.LimitReader(endless{}, 100<<20), "Content-Type", "application/json")
		runtime.ReadMemStats(&after)
		if status != http.StatusRequestEntityTooLarge {
			t.Errorf("%d %s", status, body)
		}
		says(t, body, "too_large", "limits.intake_body")
		if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 {
			t.Errorf("%d MiB were allocated for it", got>>20)
		}
	})
	t.Run("a body that unfolds", func(t *testing.T) {
		status, body := s.post(intake, string(zipped([]byte(`{"id":"2","text":"acme `), 50<<20)), "Content-Encoding", "gzip")
		if status != http.StatusUnprocessableEntity {
			t.Errorf("status %d", status)
		}
		says(t, body, "Content-Encoding", "as it is")
	})
	t.Run("a body that is not JSON, of another kind, or empty", func(t *testing.T) {
		for body, want := range map[string]string{`{"id":`: "not valid JSON", "": "the body is empty", `"text"`: "must be an object"} {
			status, got := s.post(intake, body)
			if status != http.StatusUnprocessableEntity {
				t.Errorf("%q: status %d", body, status)
			}
			says(t, got, want)
		}
		status, got := s.post(intake, "id=1", "Content-Type", "application/x-www-form-urlencoded")
		if status != http.StatusUnprocessableEntity {
			t.Errorf("a form: status %d", status)
		}
		says(t, got, "application/json")
	})
	t.Run("bad posts among good ones", func(t *testing.T) {
		status, body := s.post(intake, `[{"id":"3","text":"acme good"},{"id":"4","text":"acme `+"\xff"+`"},{"id":"5","txt":"acme"},{"text":"acme"},{"id":"6","text":"acme","brands":["nope"]}]`)
		if status != http.StatusAccepted {
			t.Errorf("status %d", status)
		}
		says(t, body, `"index":0,"status":"accepted"`, "not UTF-8 at byte", "txt: unknown field", "id: required", `no brand \"nope\"`)
		s.total(read, "good", 1)
	})
	t.Run("parameters", func(t *testing.T) {
		for query, name := range map[string]string{
			"sort=best": "sort", "cursor=%21%21": "cursor", "cursor=AAAA": "cursor", "limit=0": "limit", "limit=x": "limit",
			"seen_from=yesterday": "seen_from", "colour=red": "colour", "risk=nonsense": "", "q=" + strings.Repeat("a", 60000): "",
		} {
			status, body := s.get("/api/v1/mentions?"+query, read)
			if name != "" && (status < 400 || status >= 500) || status >= 500 {
				t.Errorf("%.40s: status %d", query, status)
			}
			says(t, body, name)
		}
	})
	t.Run("paths", func(t *testing.T) {
		for _, path := range []string{"/api/v1/nothing", "/api/v1/cases/" + strings.Repeat("a", 26), "/api/v1/cases/..%2f..", "/api/v2/mentions"} {
			status, body := s.get(path, read)
			if status != http.StatusNotFound {
				t.Errorf("%s: status %d", path, status)
			}
			says(t, body, `"not_found"`)
		}
	})
	t.Run("tokens of too small a scope", func(t *testing.T) {
		id := strings.Repeat("a", 26)
		for _, tt := range []struct {
			method, path, token string
			status              int
			want                string
		}{
			{"GET", "/api/v1/mentions", intake, 403, "scope read or desk or admin"},
			{"GET", "/api/v1/counts", intake, 403, "scope read"},
			{"GET", "/api/v1/events", intake, 403, "scope read"},
			{"GET", "/api/v1/cases/" + id, intake, 403, "scope read"},
			{"POST", "/api/v1/mentions", read, 403, "scope intake"},
			{"POST", "/api/v1/mentions", work, 403, "scope intake"},
			{"POST", "/api/v1/cases/" + id + "/claim", read, 403, "scope desk"},
			{"POST", "/api/v1/cases/" + id + "/claim", intake, 403, "scope desk"},
			{"GET", "/api/v1/mentions", "", 401, "unauthorized"},
			{"GET", "/api/v1/mentions", "earshot_made_up", 401, "unauthorized"},
			{"POST", "/api/v1/mentions", intake + "x", 401, "unauthorized"},
		} {
			status, body := s.do(tt.method, tt.path, tt.token, strings.NewReader("{}"))
			if status != tt.status {
				t.Errorf("%s %s: status %d", tt.method, tt.path, status)
			}
			says(t, body, tt.want)
		}
	})
	t.Run("another site's form", func(t *testing.T) {
		for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
			status, _ := s.do("POST", "/sign-in", "", strings.NewReader("email=a&password=b"), append(header, "Content-Type", "application/x-www-form-urlencoded")...)
			if status != http.StatusForbidden {
				t.Errorf("%s: status %d", header, status)
			}
		}
	})
	t.Run("headers without end", func(t *testing.T) {
		if status, _ := s.do("GET", "/queue", "", nil, "X-Long", strings.Repeat("x", 100<<10)); status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("status %d", status)
		}
	})
	s.total(read, "before", 1)
}

// endless is a body of spaces.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// zipped is head and n spaces, compressed.
func zipped(head []byte, n int64) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(head)
	_, _ = io.CopyN(z, endless{}, n)
	_ = z.Close()
	return b.Bytes()
}

func TestHostileFiles(t *testing.T) {
	s := open(t, t.TempDir(), "")
	s.must(acme, "apply", "-")
	read := s.token("read")

	t.Run("a second instance on the folder", func(t *testing.T) {
		status, _, errs := s.command("", "serve", "--listen", "127.0.0.1:0")
		if status != 1 {
			t.Errorf("status %d", status)
		}
		says(t, errs, "another Earshot", s.data, "--data")
	})
	t.Run("settings", func(t *testing.T) {
		for _, tt := range []struct {
			name, yaml string
			want       []string
		}{
			{"broken YAML", "brand: [\n", []string{"[1:8]"}},
			{"text", "brand\n", []string{"1:1"}},
			{"nothing", "", []string{"there is nothing in it", "--help"}},
			{"one bad query among good", acme + "  bad: {id: bad, name: Bad, query: '(\"a\" OR'}\n  fine: {id: fine, name: Fine, query: fine}\n",
				[]string{"nothing was set", "brand.bad: query: at 6: OR has nothing after it"}},
			{"an unknown kind", "brnad:\n  x: {id: x}\n", []string{"brnad: unknown kind", "brand"}},
			{"an unknown key", "brand:\n  fine: {id: fine, name: F, querry: x}\n", []string{"brand.fine: querry: unknown key; did you mean query?"}},
			{"a value of another type", "brand:\n  fine: {id: fine, name: [1], query: x}\n", []string{"brand.fine: name: must be a text"}},
			{"a value that is none", "brand:\n  fine: x\n", []string{"brand.fine: must be keys with values"}},
			{"an unknown connector", "source:\n  fine: {id: fine, kind: feeed}\n", []string{"source.fine: kind", `"feeed"`}},
			{"a connector's mistakes", "source:\n  fine: {id: fine, kind: feed, config: {ulr: x}}\n", []string{
				"source.fine: config.url: required", "source.fine: config.ulr: unknown key; did you mean url?"}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				status, out, errs := s.command(tt.yaml, "apply", "-")
				if status != 1 || out != "" {
					t.Errorf("status %d, output %q", status, out)
				}
				says(t, errs, tt.want...)
			})
		}
		if out := s.must("brand:\n  fine: {id: fine, name: Fine, query: fine}\n", "apply", "-"); out != "created brand fine" {
			t.Errorf("the good ones of bad files are set: %s", out)
		}
		if status, _, errs := s.command("", "token", "create", "x", "--scope", "read", "--brand", "nope"); status != 2 || !strings.Contains(errs, "no such brand") {
			t.Errorf("a token for a brand that is not there: %s", errs)
		}
	})
	sjis, err := japanese.ShiftJIS.NewEncoder().String("投稿日時,本文,評価\n2026-01-31 09:30,acme 日本語の口コミ,4\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, format, content string
		status                int
		out                   string
		want                  []string
		find                  string
	}{
		{"no columns", "csv", "a,b\n1,2\n", 1, "", []string{"text (or 本文)", "published_at (or 投稿日時)"}, ""},
		{"no heading for the time", "csv", "text,b\nacme,2\n", 1, "", []string{"published_at"}, ""},
		{"CP932", "csv", sjis, 0, "1 accepted", nil, "日本語の口コミ"},
		{"rows that do not fit", "csv", "text,published_at\nacme eins,2026-01-31\nacme zwei\nacme drei,soon\nacme vier,2026-01-31\n", 1, "2 accepted, 0 duplicate, 0 about no brand, 2 refused",
			[]string{"line 3: 1 columns, but the first line names 2", `line 4: published_at: "soon" is not a time`}, "vier"},
		{"a quote that is never closed", "csv", "text,published_at\nacme offen,2026-01-31\n\"acme " + strings.Repeat("x", 2<<20), 1, "1 accepted",
			[]string{"after line 2", "is a quote not closed?"}, "offen"},
		{"a line without end", "jsonl", `{"text":"acme lang` + strings.Repeat("x", 2<<20) + "\"}\n" + `{"text":"acme danach","published_at":"2026-01-31"}`, 1, "1 accepted, 0 duplicate, 0 about no brand, 1 refused",
			[]string{"line 1: longer than"}, "danach"},
		{"broken bytes among UTF-8", "jsonl", `{"text":"acme 壊れる前","published_at":"2026-01-31"}` + "\n{\"text\":\"acme caf\xe9s\",\"published_at\":\"2026-01-31\"}\n" + `{"text":"acme 壊れた後","published_at":"2026-01-31"}`, 1, "2 accepted, 0 duplicate, 0 about no brand, 1 refused",
			[]string{"line 2: not UTF-8"}, "壊れた後"},
		{"broken JSON", "jsonl", "{\n", 1, "0 accepted", []string{"line 1: not valid JSON"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, out, errs := s.command(tt.content, "import", "-", "--format", tt.format)
			if status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			says(t, out, tt.out)
			says(t, errs, tt.want...)
			if tt.find != "" {
				s.total(read, tt.find, 1)
			}
		})
	}
}

// TestHostileFeeds gives one feed that works three neighbours that don't.
func TestHostileFeeds(t *testing.T) {
	const rss = `<rss version="2.0"><channel><title>Good</title><item><guid>%d</guid><title>acme from a good feed</title><pubDate>Sat, 31 Jan 2026 09:30:00 GMT</pubDate></item></channel></rss>`
	bomb := zipped([]byte("<rss><channel><title>"), 50<<20)
	feeds := map[string]func(w http.ResponseWriter){
		"page": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<!doctype html><title>Hello</title><p>no feed") },
		"gzip": func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb)
		},
		"xml": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "acme acme acme acme"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;"><!ENTITY f "&e;&e;&e;&e;&e;&e;&e;&e;">]><rss version="2.0"><channel><title>&f;</title><item><title>&f;</title></item></channel></rss>`)
		},
		"good": func(w http.ResponseWriter) { fmt.Fprintf(w, rss, 1) },
	}
	world := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		feeds[strings.Trim(r.URL.Path, "/")](w)
	}))
	defer world.Close()
	s := open(t, t.TempDir(), fmt.Sprintf("limits:\n  allow_private: [%q]\n", strings.TrimPrefix(world.URL, "http://")))
	yaml := acme + "source:\n"
	for id := range feeds {
		yaml += fmt.Sprintf("  %s: {id: %s, name: %s, kind: feed, config: {url: '%s/%s'}}\n", id, id, id, world.URL, id)
	}
	s.must(yaml, "apply", "-")
	s.total(s.token("read"), "good", 1)

	conn, err := bus.Connect(t.Context(), bus.Options{Dialer: embedded.Dialer(filepath.Join(s.data, "bus")), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := settings.Open(t.Context(), conn, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{"page": "not a feed", "gzip": "too large", "xml": "declares XML entities"} {
		s.eventually(id+" tells what is wrong", func() error {
			var p source.Progress
			if _, err := bus.Cursors.Get(t.Context(), conn, "source."+id, &p); err != nil {
				return err
			}
			if p.Error == "" || !strings.Contains(p.Error, want) || !p.Next.After(time.Now()) {
				return fmt.Errorf("%q, again at %v", p.Error, p.Next)
			}
			t.Logf("%s: %s", id, p.Error)
			return nil
		})
	}
}
