package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	cdp "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/services/earshot/demo"
)

var (
	pictures     = flag.String("pictures", "", "folder to write pictures of the demo's desk to")
	picturesOnly = flag.String("pictures-only", "", "pattern of the pictures to take, by names such as queue-ja-1440-dark")
	picturesDocs = flag.Bool("pictures-docs", false, "write those that the documentation shows to docs/images as well")
)

// A picture shows a page of the demo to one of its staff.
type picture struct {
	name, who, path string
	do, until       string // JavaScript: what is done on the page, in steps by ";;", and what is true after each
	docs            int64  // its width in the documentation, 0: it isn't there
}

const (
	caseIsOpen = `!!document.querySelector("#case .said")`
	claim      = `document.querySelector("#case .face.mine") || document.querySelector('#case [data-key="c"]').click()`
	isMine     = `!!document.querySelector("#case .face.mine")`
	pickFirst  = `(s => { s.focus(); s.selectedIndex = 1; s.dispatchEvent(new Event("change", {bubbles: true})) })(document.querySelector("#c-template"))`
	isChosen   = `!!document.querySelector(".slots input") && document.querySelector("#c-text").value.length > 20`
	press      = `document.querySelector('#case [data-key=%q]').click()`
)

var gallery = []picture{
	{name: "queue", who: "sakuma", path: "/queue?case={threat}", until: caseIsOpen, docs: 1440},
	{name: "reply", who: "sakuma", path: "/queue?case={threat}", do: claim + ";;" + pickFirst, until: isMine + ";;" + isChosen, docs: 1440},
	{name: "close", who: "sakuma", path: "/queue?case={threat}", do: claim + ";;" + fmt.Sprintf(press, "e"), until: isMine + `;;!!document.querySelector("#ask-title")`},
	{name: "labels", who: "sakuma", path: "/queue?case={threat}", do: fmt.Sprintf(press, "l"), until: `!!document.querySelector(".labels")`},
	{name: "case", who: "sakuma", path: "/cases/{threat}", until: caseIsOpen, docs: 390},
	{name: "menu", who: "sakuma", path: "/escalations", do: `document.querySelector(".rest summary").click()`, until: `document.querySelector(".rest").open`},
	{name: "approve", who: "kurose", path: "/queue?view=approve", do: `document.querySelector("#rows .row a").click()`, until: `location.pathname !== "/queue" || !!document.querySelector("#composer .final")`, docs: 1440},
	{name: "board", who: "kurose", path: "/board", docs: 1440},
	{name: "shift", who: "sakuma", path: "/shift"},
	{name: "outbox", who: "kurose", path: "/outbox"},
	{name: "note", who: "sakuma", path: "/note"},
	{name: "escalations", who: "kurose", path: "/escalations", docs: 1440},
	{name: "escalation", who: "kurose", path: "/escalations", do: `location.href = document.querySelector(".escalations a").href`, until: `location.pathname.length > 20 && document.readyState === "complete"`},
	{name: "rules", who: "kurose", path: "/rules"},
	{name: "policy", who: "kurose", path: "/rules/policy/default"},
	{name: "wishes", who: "miyoshi", path: "/wishes"},
	{name: "wish", who: "miyoshi", path: "/wishes", do: `location.href = [...document.querySelectorAll("main a")].find((a) => a.innerText.includes({wish})).href`, until: `location.pathname.length > 8 && document.readyState === "complete"`, docs: 1440},
	{name: "count", who: "miyoshi", path: "/queue?case={asks}", do: fmt.Sprintf(press, "i"), until: `!!document.querySelector("#ask-title")`, docs: 1440},
	{name: "quality", who: "miyoshi", path: "/quality"},
	{name: "templates", who: "kurose", path: "/templates"},
	{name: "brands", who: "nolan", path: "/brands"},
	{name: "brand", who: "nolan", path: "/brands/pellwick"},
	{name: "sources", who: "nolan", path: "/sources"},
	{name: "source", who: "nolan", path: "/sources/new?kind=bluesky"},
	{name: "notifiers", who: "nolan", path: "/notifiers"},
	{name: "dead", who: "nolan", path: "/dead"},
	{name: "staff", who: "nolan", path: "/staff"},
	{name: "views", who: "sakuma", path: "/views"},
	{name: "me", who: "sakuma", path: "/me"},
}

// standIn is who shows the pages of somebody in a language other than their own.
var standIn = map[string]map[string]string{"en": {"sakuma": "elena"}}

// shown are the posts that pictures open, by language.
var shown = map[string]map[string]string{
	"ja": {"threat": "1990049145516810120", "asks": "1990210689202400442", "wish": "焼き上がり"},
	"en": {"threat": "1990071580339640503", "asks": "at://did:plc:e4skogjygljnkbjxwtjo3jew/app.bsky.feed.post/3miybrszsvgi3", "wish": "Offline mode"},
}

// TestPictures writes a picture of every page of the running demo, in both
// languages and schemes, for a desk and a phone; `make screens` runs it.
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("no -pictures folder given")
	}
	only := regexp.MustCompile(*picturesOnly)
	base, ids := demoDesk(t), map[string]string{}
	for p, err := range demo.Posts() {
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Expect.Brands) > 0 {
			ids[p.Post.NativeID] = string(mention.NewID(cmp.Or(p.Brand, p.Expect.Brands[0]), p.Post.Platform, p.Post.NativeID))
		}
	}
	people := map[string]*tab{}
	person := func(who string) *tab {
		if people[who] == nil {
			people[who] = demoVisitor(t, base, who)
		}
		return people[who]
	}
	for _, lang := range []string{"ja", "en"} {
		words := []string{"{wish}", fmt.Sprintf("%q", shown[lang]["wish"])}
		for _, name := range []string{"threat", "asks"} {
			words = append(words, "{"+name+"}", ids[shown[lang][name]])
		}
		fill := strings.NewReplacer(words...).Replace
		for _, p := range gallery {
			b := person(cmp.Or(standIn[lang][p.who], p.who))
			b.look(lang)
			for _, width := range []int64{1440, 390} {
				for _, scheme := range []string{"light", "dark"} {
					name := fmt.Sprintf("%s-%s-%d-%s", p.name, lang, width, scheme)
					if !only.MatchString(name) {
						continue
					}
					shot := b.picture(p, fill, width, scheme)
					put := func(path string) {
						if err := cmp.Or(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, shot, 0o644)); err != nil {
							t.Fatal(err)
						}
					}
					put(filepath.Join(*pictures, name+".webp"))
					if *picturesDocs && p.docs == width && scheme == "light" {
						put(filepath.Join("../../docs/images", lang, p.name+".webp"))
					}
				}
			}
		}
	}
}

// demoDesk starts the demo, and returns its address once its history is told.
func demoDesk(t *testing.T) (base string) {
	ctx, stop := context.WithCancel(t.Context())
	var out, logged syncBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "--demo", "--data", t.TempDir(), "--listen", "127.0.0.1:0"}, nil, &out, &logged)
	}()
	t.Cleanup(func() { stop(); <-ended })
	for patience := time.Now().Add(4 * time.Minute); !strings.Contains(logged.String(), "the demo's history is told"); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(patience) {
			t.Fatalf("the history was not told in time\n%s", logged.String())
		}
	}
	return regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(out.String())
}

func demoVisitor(t *testing.T, base, who string) *tab {
	s := &stage{t: t, base: base}
	b := s.browser()
	b.do(chromedp.Navigate(base+"/sign-in"), chromedp.SendKeys("[name=email]", who+"@earshot-demo.example"),
		chromedp.SendKeys("[name=password]", demoPassword), chromedp.Click("main button"))
	b.wait("nav")
	return b
}

// look sets the language, and Tokyo's time.
func (b *tab) look(lang string) {
	u, err := url.Parse(b.s.base)
	if err == nil {
		_, err = chromedp.Call(b.ctx, network.SetCookie, network.SetCookieParams{
			Name: "earshot-look", Value: url.Values{"lang": {lang}, "zone": {"Asia/Tokyo"}}.Encode(), Domain: u.Hostname(), Path: "/",
		})
	}
	if err != nil {
		b.fail(err)
	}
}

// picture shows a page, does what is to be done there, and returns what is seen.
func (b *tab) picture(p picture, fill func(string) string, width int64, scheme string) []byte {
	b.s.t.Helper()
	height := int64(900)
	if width < 500 {
		height = 844
	}
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		b.fail(err)
	}
	b.do(chromedp.EmulateViewport(width, height))
	b.goTo(fill(p.path))
	if p.do == "" && p.until != "" {
		b.holds(p.until)
	} else if p.do != "" {
		until := strings.Split(p.until, ";;")
		for i, step := range strings.Split(fill(p.do), ";;") {
			b.do(chromedp.Evaluate[chromedp.Void](step))
			b.holds(until[i])
		}
	}
	// What has just been done is told over the page, and then no more.
	b.do(chromedp.Evaluate[chromedp.Void](`document.fonts.ready.then(() => { const el = document.getElementById("flash"); if (el) el.hidden = true; })`, chromedp.EvalAwaitPromise))
	quality := int64(82)
	shot, err := chromedp.Call(b.ctx, cdp.CaptureScreenshot, cdp.CaptureScreenshotParams{Format: cdp.CaptureScreenshotFormatWebp, Quality: &quality})
	if err != nil {
		b.fail(err)
	}
	return shot.Data
}

// holds waits until a JavaScript expression is true.
func (b *tab) holds(js string) {
	b.s.t.Helper()
	for patience := time.Now().Add(30 * time.Second); b.eval("String("+js+")") != "true"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(patience) {
			b.fail(fmt.Errorf("%s does not become true", js))
		}
	}
}
