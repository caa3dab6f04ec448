package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/embedded"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
	"github.com/nats-io/nats.go"
)

// The main job, end to end, in a real browser, in both shapes: everything in
// one process, and services in processes of their own on a bus of their own.

func TestE2EAllInOne(t *testing.T) {
	s := newStage(t)
	s.start("serve", "--listen", "127.0.0.1:0")
	s.mainJob()
	// Killed and started again, it has forgotten nothing and repeats nothing.
	s.kill()
	s.start("serve", "--listen", "127.0.0.1:0")
	s.afterRestart()
}

func TestE2ESplit(t *testing.T) {
	s := newStage(t)
	address := freeAddress(t)
	s.env = append(s.env, "EARSHOT_BUS_URL="+natsServer(t), "EARSHOT_URL=http://"+address)
	for _, service := range []string{"fetcher", "classifier", "pager", "replier"} {
		s.spawn("serve", service, "--listen", "127.0.0.1:0")
	}
	s.start("serve", "indexer", "desk", "--listen", address)
	s.mainJob()
}

// freeAddress is where nobody listens right now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// natsServer is a server of its own, as a deployment has one.
func natsServer(t *testing.T) string {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	go srv.Start()
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS server not ready")
	}
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	return srv.ClientURL()
}

// stage is one run of the program with the world around it.
type stage struct {
	t      *testing.T
	binary string
	data   string
	env    []string
	procs  []*exec.Cmd
	base   string // address of the desk
	setup  string // link of the first administrator

	world *httptest.Server
	mu    sync.Mutex
	pages []map[string]any // that the webhook took
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, binary: filepath.Join(t.TempDir(), "earshot"), data: t.TempDir()}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", s.binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	s.world = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var page map[string]any
		_ = json.NewDecoder(r.Body).Decode(&page)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.pages = append(s.pages, page)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(s.world.Close)
	config := filepath.Join(t.TempDir(), "earshot.yaml")
	allow := fmt.Sprintf("limits:\n  allow_private: [%q]\n", strings.TrimPrefix(s.world.URL, "http://"))
	if err := os.WriteFile(config, []byte(allow), 0o600); err != nil {
		t.Fatal(err)
	}
	s.env = append(os.Environ(), "EARSHOT_CONFIG="+config)
	t.Cleanup(s.kill)
	return s
}

// spawn runs the program beside the others and returns what it prints.
func (s *stage) spawn(args ...string) io.Reader {
	s.t.Helper()
	cmd := exec.Command(s.binary, append(args, "--data", s.data)...)
	cmd.Env = s.env
	r, w, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	_ = w.Close()
	s.procs = append(s.procs, cmd)
	if args[1] != "indexer" && strings.HasPrefix(args[1], "-") == false {
		go s.log(r, nil)
	}
	return r
}

var deskLine, setupLine = regexp.MustCompile(`desk\s+(http://\S+)`), regexp.MustCompile(`(http://\S+)/setup/(\S+)`)

// start runs the part with the desk and waits until it answers.
func (s *stage) start(args ...string) {
	s.t.Helper()
	s.base = ""
	ready := make(chan struct{})
	go s.log(s.spawn(args...), ready)
	select {
	case <-ready:
	case <-time.After(30 * time.Second):
		s.t.Fatal("the desk did not say where it is")
	}
	s.eventually("the desk is ready", func() error {
		res, err := http.Get(s.base + "/readyz")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", res.StatusCode)
		}
		return nil
	})
}

func (s *stage) log(r io.Reader, ready chan struct{}) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if m := setupLine.FindStringSubmatch(line); m != nil {
			s.mu.Lock()
			s.setup = m[2]
			s.mu.Unlock()
		}
		if m := deskLine.FindStringSubmatch(line); m != nil && ready != nil {
			s.base = m[1]
			close(ready)
			ready = nil
		}
		if s.t.Context().Err() == nil {
			s.t.Log(line)
		}
	}
}

// kill ends every process at once, without a word.
func (s *stage) kill() {
	for _, p := range s.procs {
		_ = p.Process.Signal(syscall.SIGKILL)
		_ = p.Wait()
	}
	s.procs = nil
}

// command runs the program's command line and returns what it prints.
func (s *stage) command(in string, args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), s.binary, append(args, "--data", s.data)...)
	cmd.Env, cmd.Stdin = s.env, strings.NewReader(in)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("earshot %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String()
}

func (s *stage) eventually(what string, f func() error) {
	s.t.Helper()
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	s.t.Fatalf("%s: %v", what, err)
}

const (
	e2ePassword = "correct-horse-battery-7"
	e2eSettings = `
brand:
  milfarne: {id: milfarne, name: Milfarne, query: milfarne OR ミルファーネ, lang: ja, time_zone: Asia/Tokyo, hold_seconds: -1}
source:
  sandbox: {id: sandbox, name: Sandbox, kind: sandbox, config: {dir: sandbox}}
notifier:
  hook: {id: hook, name: Hook, kind: webhook, config: {url: %q, secret: an-e2e-secret-of-some-length}}
staff:
  aoi: {id: aoi, email: aoi@example.com, name: 葵, public_name: 葵, lang: ja, grants: [{role: agent, brands: [milfarne]}]}
  ren: {id: ren, email: ren@example.com, name: 蓮, lang: ja, grants: [{role: pr_lead, brands: ["*"]}]}
  eve: {id: eve, email: eve@example.com, name: Eve, lang: en, grants: [{role: agent, brands: [other]}]}
policy:
  default: %s
`
)

// prepare makes the administrator in the browser, then everything else.
func (s *stage) prepare() {
	s.t.Helper()
	s.mu.Lock()
	setup := s.setup
	s.mu.Unlock()
	if setup == "" {
		s.t.Fatal("no link for the first administrator")
	}
	admin := s.browser()
	admin.do(chromedp.Navigate(s.base+"/setup/"+setup),
		chromedp.SendKeys("[name=name]", "Nolan"), chromedp.SendKeys("[name=email]", "nolan@example.com"),
		chromedp.SendKeys("[name=password]", e2ePassword))
	if admin.has("[name=again]") {
		admin.do(chromedp.SendKeys("[name=again]", e2ePassword))
	}
	admin.do(chromedp.Click("main button"))
	admin.wait("nav")
	policy := escalation.DefaultPolicy()
	policy.Hours = nil // always open: the test has no clock of its own
	raw, err := json.Marshal(policy)
	if err != nil {
		s.t.Fatal(err)
	}
	s.command(fmt.Sprintf(e2eSettings, s.world.URL, raw), "apply", "-")
	// Passwords are set as their links would.
	c := s.reach()
	defer c.Close()
	ctx := s.t.Context()
	store, err := settings.Open(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	gate := identity.NewGate(settings.Directory{Store: store}, nil, time.Now, slog.New(slog.DiscardHandler))
	for _, id := range []string{"aoi", "ren", "eve"} {
		who, ok := settings.Staff.Get(store, id)
		if !ok {
			s.t.Fatalf("%s was not applied", id)
		}
		if err := gate.SetPassword(ctx, identity.ActorConsole, who, e2ePassword); err != nil {
			s.t.Fatal(err)
		}
	}
}

// reach connects to the bus as the command line does.
func (s *stage) reach() *bus.Conn {
	s.t.Helper()
	o := bus.Options{Dialer: nats.CustomDialer(embedded.Dialer(filepath.Join(s.data, "bus"))), Name: "e2e"}
	for _, e := range s.env {
		if url, ok := strings.CutPrefix(e, "EARSHOT_BUS_URL="); ok {
			o = bus.Options{URL: url, Name: "e2e"}
		}
	}
	c, err := bus.Connect(s.t.Context(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// mainJob is what Earshot is for: a mention comes in, is tagged and ranked,
// answered from an approved template, and PR is paged about another.
func (s *stage) mainJob() {
	t := s.t
	s.prepare()
	token := strings.TrimSpace(s.command("", "token", "create", "e2e", "--scope", "intake"))
	for range 2 { // the same twice: a sender may try again
		s.intake(token, `[
		  {"id":"p1","platform":"sandbox","text":"ミルファーネのメロンパン、ほんとうに美味しかったです！また買いに行きます。","author":{"id":"u1","handle":"hana","name":"花"}},
		  {"id":"p2","platform":"sandbox","text":"ミルファーネで買ったパンに金属片が入っていて口を切りました。明日までに返事がなければ写真をSNSに晒して拡散します。","author":{"id":"u2","handle":"okoru","name":"怒る人","followers":5200}},
		  {"id":"p3","platform":"sandbox","text":"今日は天気がいい","author":{"id":"u3","handle":"tenki"}}]`)
	}
	s.eventually("the threat is paged", func() error {
		if page := s.page("trigger"); page == nil {
			return fmt.Errorf("no page yet")
		}
		return nil
	})

	agent := s.signIn("aoi")
	agent.goTo("/queue")
	agent.waitText("#rows", "メロンパン")
	rows := agent.eval(`[...document.querySelectorAll('#rows .row-text')].map(e => e.textContent).join('|')`)
	if i, j := strings.Index(rows, "金属片"), strings.Index(rows, "メロンパン"); i < 0 || j < i {
		t.Errorf("the queue is not sorted by risk: %s", rows)
	}
	if n := strings.Count(rows, "|") + 1; n != 2 {
		t.Errorf("%d rows, want 2: %s", n, rows)
	}
	agent.goTo("/queue?q=" + "メロンパン")
	agent.waitText("#rows", "メロンパン")
	agent.answer("praise-ja")
	s.replies(1)
	agent.goTo("/queue")

	// The threat wants a second person.
	s.acknowledge()
	agent.goTo("/queue?q=" + "金属片")
	agent.answer("safety-ja")
	s.replies(1)
	lead := s.signIn("ren")
	lead.goTo("/queue?q=" + "金属片" + "&view=all")
	lead.click("#rows .row a")
	lead.click(`form[action$="/approve"] button[data-send]`)
	agent.goTo("/queue?q=" + "金属片")
	agent.click("#rows .row a")
	agent.click(`[data-composer] button[data-send]`)
	agent.click(`.confirm button[data-send]`)
	s.replies(2)

	s.incident(token, lead)

	// Who may not see the brand sees nothing of it.
	other := s.signIn("eve")
	other.goTo("/queue")
	if body := other.eval(`document.body.innerText`); strings.Contains(body, "メロンパン") || strings.Contains(body, "金属片") {
		t.Error("somebody without the brand sees its mentions")
	}
}

// incident is one that people tell of who know nothing of each other: it rings
// once, and its page has them all.
func (s *stage) incident(token string, lead *tab) {
	s.t.Helper()
	s.intake(token, `[
	  {"id":"v1","platform":"sandbox","text":"駅前のミルファーネ、クロワッサンに針金が入ってて子どもが口の中を切って血が出た。病院に行ってきます。","author":{"id":"v1","handle":"mama"}},
	  {"id":"v2","platform":"sandbox","text":"うちもミルファーネの食パンから釘みたいなのが出てきて歯が欠けた。怪我したし本当に怖い。","author":{"id":"v2","handle":"kowai"}},
	  {"id":"v3","platform":"sandbox","text":"ミルファーネのカレーパンで舌をざっくり切った。出血が止まらない。中に金属が入ってた。","author":{"id":"v3","handle":"itai"}}]`)
	var path string
	s.eventually("the incident is escalated once, with all who told of it", func() error {
		c := s.reach()
		defer c.Close()
		board, err := escalation.OpenBoard(s.t.Context(), c, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		open := board.All(nil)
		if len(open) != 2 || open[0].Count < 2 {
			return fmt.Errorf("%d escalations: %+v", len(open), open)
		}
		path = "/escalations/" + open[0].Key
		return nil
	})
	lead.goTo(path)
	lead.wait(".joined li a")
	s.triggers(2)
}

// triggers holds how often somebody was rung.
func (s *stage) triggers(want int) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, p := range s.pages {
		if p["type"] == "page.trigger" {
			n++
		}
	}
	if n != want {
		s.t.Errorf("%d pages, want %d", n, want)
	}
}

func (s *stage) afterRestart() {
	s.t.Helper()
	agent := s.signIn("aoi")
	agent.goTo("/queue?view=all&q=" + "メロンパン")
	agent.waitText("body", "メロンパン")
	time.Sleep(3 * time.Second) // whatever would be done again has been by now
	s.replies(2)
	s.triggers(2)
}

func (s *stage) intake(token, body string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.base+"/api/v1/mentions", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusAccepted {
		s.t.Fatalf("intake: %d %s", res.StatusCode, raw)
	}
}

// page returns the first page with the action that the webhook took.
func (s *stage) page(action string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pages {
		if p["type"] == "page."+action {
			return p
		}
	}
	return nil
}

// acknowledge opens the link in the page, as a phone would, and presses the
// button. Opening alone, as mail scanners do, acknowledges nothing.
func (s *stage) acknowledge() {
	s.t.Helper()
	link, _ := s.page("trigger")["ack_url"].(string)
	if link == "" {
		s.t.Fatalf("the page has no link: %v", s.page("trigger"))
	}
	phone := s.browser()
	phone.do(chromedp.EmulateViewport(390, 844), chromedp.Navigate(link))
	phone.wait(`form[action^="/ack/"] button`)
	if s.page("acknowledge") != nil {
		s.t.Error("opening the link has acknowledged")
	}
	phone.do(chromedp.Click(`form[action^="/ack/"] button`))
	phone.wait(".acked")
}

// replies waits until the sandbox shows n replies, and fails if it shows more.
func (s *stage) replies(n int) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("%d replies are out", n), func() error {
		got, err := source.Timeline(filepath.Join(s.data, "sandbox"))
		if err == nil && len(got) != n {
			err = fmt.Errorf("there are %d", len(got))
		}
		return err
	})
}

// tab is a browser of one person.
type tab struct {
	s   *stage
	ctx context.Context
}

func (s *stage) browser() *tab {
	s.t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-background-networking", true))
	ctx, cancel := chromedp.NewExecAllocator(s.t.Context(), opts...)
	s.t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	s.t.Cleanup(cancel)
	b := &tab{s, ctx}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1440, 900)); err != nil {
		if os.Getenv("EARSHOT_TEST_REQUIRE") == "" && strings.Contains(err.Error(), "executable file not found") {
			s.t.Skip("no Chromium here; EARSHOT_TEST_REQUIRE=1 makes this a failure")
		}
		s.t.Fatalf("start Chromium: %v", err)
	}
	return b
}

func (s *stage) signIn(id string) *tab {
	s.t.Helper()
	b := s.browser()
	b.do(chromedp.Navigate(s.base+"/sign-in"), chromedp.SendKeys("[name=email]", id+"@example.com"),
		chromedp.SendKeys("[name=password]", e2ePassword), chromedp.Click("main button"))
	b.wait("nav")
	return b
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.s.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.fail(err)
	}
}

// fail leaves a picture where EARSHOT_TEST_SHOTS names a folder.
func (b *tab) fail(err error) {
	b.s.t.Helper()
	if dir := os.Getenv("EARSHOT_TEST_SHOTS"); dir != "" {
		if png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot()); err == nil {
			_ = os.WriteFile(filepath.Join(dir, b.s.t.Name()+".png"), png, 0o600)
		}
	}
	b.s.t.Fatalf("browser: %v\n%s", err, b.eval(`location.href + "\n" + document.body.innerText.slice(0, 2000)`))
}

func (b *tab) goTo(path string) { b.s.t.Helper(); b.do(chromedp.Navigate(b.s.base + path)) }

func (b *tab) eval(js string) string {
	out, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](js))
	if err != nil {
		return err.Error()
	}
	return out
}

func (b *tab) has(sel string) bool {
	return b.eval(fmt.Sprintf(`String(!!document.querySelector(%q))`, sel)) == "true"
}

func (b *tab) wait(sel string) {
	b.s.t.Helper()
	b.until(sel, func() bool { return b.has(sel) })
}

func (b *tab) waitText(sel, text string) {
	b.s.t.Helper()
	b.until(text, func() bool {
		return strings.Contains(b.eval(fmt.Sprintf(`(document.querySelector(%q) || {innerText: ""}).innerText`, sel)), text)
	})
}

func (b *tab) until(what string, ok func() bool) {
	b.s.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			b.fail(fmt.Errorf("no %s", what))
		}
	}
}

func (b *tab) click(sel string) {
	b.s.t.Helper()
	b.wait(sel)
	b.do(chromedp.Click(sel))
}

// answer opens the first row, claims it by its key, fills a template in and
// sends it, or asks for approval where the rules want it.
func (b *tab) answer(template string) {
	b.s.t.Helper()
	b.click("#rows .row a")
	b.wait(".case-bar")
	b.wait("#c-template")
	b.do(chromedp.KeyEvent("c"))
	b.wait(".case-bar .face.mine")
	b.eval(fmt.Sprintf(`(() => { const s = document.querySelector("#c-template"); s.value = %q; s.dispatchEvent(new Event("change", {bubbles: true})); return "" })()`, template))
	b.until("the template's text", func() bool { return b.eval(`(document.querySelector("#c-text") || {value: ""}).value`) != "" })
	b.eval(`(() => { for (const e of document.querySelectorAll(".slots input, .slots select, .slots textarea")) {
		if (!e.value) { e.value = e.options ? e.options[e.options.length - 1].value : e.type === "date" ? "2030-01-31" : "確認中の件"; e.dispatchEvent(new Event("input", {bubbles: true})); e.dispatchEvent(new Event("change", {bubbles: true})); } } return "" })()`)
	b.until("all slots filled", func() bool { return !strings.Contains(b.eval(`document.querySelector("#c-text").value`), "{{") })
	b.click(`[data-composer] button[data-send]`)
	// What needs a second person waits for it now; the rest asks once more.
	b.until("what comes next", func() bool { return !b.has("[data-composer]") })
	if b.has(".confirm") {
		b.click(`.confirm button[data-send]`)
		b.until("the answer left", func() bool { return !b.has(".confirm") })
	}
}
