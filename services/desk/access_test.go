package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// barrier is what axe finds wrong on a page.
type barrier struct{ Rule, Help, Where string }

// judge is run in the page once axe is there: the rules of WCAG 2.0 to 2.2, A
// and AA, and axe's best practices, every closed part opened; and whether the
// page wants scrolling sideways (1.4.10), which axe doesn't look at.
const judge = `(async () => {
	const found = [];
	const over = document.documentElement.scrollWidth - innerWidth;
	if (over > 0) {
		const wide = [...document.querySelectorAll("body *")].filter((el) => el.getBoundingClientRect().left + el.scrollWidth > innerWidth + 1 && !el.closest("svg, .quiet")).at(-1);
		found.push({Rule: "reflow", Help: over + " px too wide", Where: wide ? wide.outerHTML.slice(0, 200) : ""});
	}
	for (const el of document.querySelectorAll("body *")) {
		const over = el.scrollWidth - el.clientWidth;
		if (over > 1 && ["auto", "scroll"].includes(getComputedStyle(el).overflowX) && !el.matches(".tabs, .wide-table"))
			found.push({Rule: "reflow", Help: over + " px scroll sideways", Where: el.outerHTML.slice(0, 160)});
	}
	// The bar of a phone lies over what is scrolled under it, and over other rows each time.
	if (innerWidth <= 720) document.querySelector(".rail")?.style.setProperty("position", "static");
	for (const el of document.querySelectorAll("details")) if (!el.matches(innerWidth === 390 ? ".menu, [data-later]" : ".menu, .sure, .rest, [data-later]")) el.open = true;
	const got = await axe.run(document, {
		runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
		rules: {"target-size": {enabled: true}},
		resultTypes: ["violations", "incomplete"],
	});
	for (const v of got.violations) for (const n of v.nodes)
		found.push({Rule: v.id, Help: v.help + (n.any[0] ? ": " + n.any[0].message : ""), Where: n.target.flat().join(" ") + " " + n.html.slice(0, 160)});
	// What has the colour of its ground axe holds for hidden on purpose.
	for (const v of got.incomplete) for (const n of v.nodes) if (n.any[0]?.data?.messageKey === "equalRatio")
		found.push({Rule: v.id, Help: n.any[0].message, Where: n.target.flat().join(" ") + " " + n.html.slice(0, 160)});
	return found;
})()`

// TestNoViewKeepsAnybodyOut walks every sample view with axe-core, which
// .ci/run installs: in both languages and schemes, at a desk's and a phone's
// width, and at the 320 px a page has at 400 %; and one of each in the colours
// that a system forces on it.
func TestNoViewKeepsAnybodyOut(t *testing.T) {
	parent := browser(t)
	axe, err := os.ReadFile(filepath.Join(os.Getenv("EARSHOT_TEST_NODE"), "node_modules/axe-core/axe.min.js"))
	if err != nil {
		absent(t, "axe-core is not in the folder EARSHOT_TEST_NODE names")
	}
	words, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	server := sampleServer(t)
	for _, as := range []struct {
		lang, scheme string
		width        int64
	}{{"ja", "light", 1440}, {"en", "dark", 740}, {"ja", "dark", 390}, {"en", "light", 320}, {"ja", forced, 1440}} {
		t.Run(fmt.Sprintf("%s-%d-%s", as.lang, as.width, as.scheme), func(t *testing.T) {
			t.Parallel()
			ctx := tab(t, parent)
			// A content policy as strict as the desk's lets no page load it; the
			// protocol of the browser's tools does.
			if _, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: string(axe)}); err != nil {
				t.Fatal(err)
			}
			show(t, ctx, as.width, as.scheme)
			for _, name := range slices.Sorted(maps.Keys(samples(sampleLocale(words[as.lang])))) {
				if as.scheme == forced && strings.Contains(name, "-") {
					continue
				}
				for _, b := range judged(t, ctx, server.URL+"/sample/"+as.lang+"/"+name) {
					t.Errorf("%s: %s: %s\n\t%s", name, b.Rule, b.Help, b.Where)
				}
			}
		})
	}
}

// stop is where Tab has led to. Lost tells what can't be seen of it.
type stop struct {
	Where, Lost string
	Main, Skip  bool
	Back        bool // it stands before the stop before it
	Again       bool // it was there already
}

const stopped = `(() => {
	const el = document.activeElement, style = getComputedStyle(el), box = el.getBoundingClientRect();
	if (el === document.body) return {Where: "", Again: true};
	const at = [[.5, .5], [.1, .2], [.9, .2], [.1, .8], [.9, .8]].map(([x, y]) => document.elementFromPoint(box.left + box.width * x, box.top + box.height * y));
	const found = {Where: el.outerHTML.slice(0, 160), Main: !!el.closest("main"), Skip: el.matches(".skip"), Again: !!el.stop && el !== window.last, // a date has a stop for each of its parts
		 Lost: ""};
	found.Back = !!window.last && !!(window.last.compareDocumentPosition(el) & Node.DOCUMENT_POSITION_PRECEDING);
	if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) found.Lost = "no ring";
	else if (!box.width || !box.height) found.Lost = "no size";
	else if (!at.some((x) => x && (el.contains(x) || x.contains(el) && x.matches("label, summary, a")))) found.Lost = "covered or out of sight";
	el.stop = true; window.last = el;
	return found;
})()`

// unvisited are the elements that Tab should have led to.
const unvisited = `[...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")].filter((el) =>
	el.tabIndex >= 0 && !el.disabled && !el.stop && el.type !== "hidden" && el.checkVisibility({visibilityProperty: true})
	&& !(el.type === "radio" && [...el.closest("form").querySelectorAll("[type=radio]")].some((x) => x.name === el.name && x.stop))).map((el) => el.outerHTML.slice(0, 160))`

// TestTabLeadsThroughEveryPage presses Tab from the top of a page to its end:
// whatever can be worked is reached, in the order of the page, with a ring
// that can be seen, and the first stop leads past the rail.
func TestTabLeadsThroughEveryPage(t *testing.T) {
	server := sampleServer(t)
	parent := browser(t)
	for _, as := range []struct {
		name  string
		width int64
	}{
		{"queue", 1440}, {"queue", 720}, {"queue-pending", 1440}, {"queue-labels", 1440}, {"case", 390}, {"templates", 1440}, {"template", 1440},
		{"source", 1440}, {"escalations", 1440}, {"escalations", 390}, {"rule", 1440}, {"outbox", 1000},
	} {
		t.Run(fmt.Sprintf("%s-%d", as.name, as.width), func(t *testing.T) {
			ctx := tab(t, parent)
			show(t, ctx, as.width, "light")
			do := func(actions ...chromedp.Action[chromedp.Void]) {
				if err := chromedp.Do(ctx, actions...); err != nil {
					t.Fatal(err)
				}
			}
			tabbed := func() (s stop) {
				do(chromedp.KeyEvent("\t"))
				raw, err := chromedp.Run(ctx, chromedp.Evaluate[[]byte](stopped))
				if err == nil {
					err = json.Unmarshal(raw, &s)
				}
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			url := server.URL + "/sample/en/" + as.name
			do(chromedp.Navigate(url))
			s := tabbed()
			if !s.Skip || s.Lost != "" {
				t.Fatalf("the first stop is %+v, not the link past the rail", s)
			}
			n := 1
			for ; ; n++ {
				if s = tabbed(); s.Again || n > 500 {
					break
				}
				if s.Lost != "" || s.Back {
					t.Errorf("stop %d (before the last one: %v): %s: %s", n, s.Back, s.Lost, s.Where)
				}
			}
			left, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](unvisited))
			if err != nil {
				t.Fatal(err)
			}
			if n < 10 || n > 500 || len(left) > 0 {
				t.Errorf("Tab ends after %d stops at %s; it does not lead to\n%s", n, s.Where, strings.Join(left, "\n"))
			}

			do(chromedp.Navigate(url), chromedp.KeyEvent("\t"), chromedp.KeyEvent("\r"))
			if _, err := chromedp.Run(ctx, chromedp.Poll[bool](`location.hash === "#main"`, chromedp.WithPollingTimeout(20*time.Second))); err != nil {
				t.Fatal(err)
			}
			if s = tabbed(); !s.Main {
				t.Errorf("the link past the rail leads to %s", s.Where)
			}
		})
	}
}

func judged(t *testing.T, ctx context.Context, url string) (found []barrier) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	raw, err := chromedp.Run(ctx, chromedp.Evaluate[[]byte](judge, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	if err := json.Unmarshal(raw, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

// forced is the scheme of a system that puts its own few colours in the place
// of the page's.
const forced = "forced"

// show sets the window's width and the scheme that its system prefers.
func show(t *testing.T, ctx context.Context, width int64, scheme string) {
	t.Helper()
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "forced-colors", Value: "none"}}
	if scheme == forced {
		features = []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "light"}, {Name: "forced-colors", Value: "active"}}
	}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		t.Fatal(err)
	}
	height := int64(900)
	if width < 500 {
		height = 844
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height)); err != nil {
		t.Fatal(err)
	}
}

// absent fails a test that lacks something where CI demands it, and skips it
// elsewhere.
func absent(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("EARSHOT_TEST_REQUIRE") != "" {
		t.Fatalf("%s; .ci/run installs it", what)
	}
	t.Skipf("%s; EARSHOT_TEST_REQUIRE=1 makes this a failure", what)
}
