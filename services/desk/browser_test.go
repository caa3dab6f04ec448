package desk

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/services/indexer"
)

// window is a browser with somebody signed in.
type window struct {
	*bench
	ctx context.Context
}

func (b *bench) window(t *testing.T, v *visitor) *window {
	t.Helper()
	w := &window{b, browser(t)}
	for _, c := range v.client.Jar.Cookies(b.address()) {
		w.run(chromedp.EmulateViewport(1280, 900), chromedp.Navigate(b.server.URL+"/sign-in"))
		w.eval(fmt.Sprintf(`document.cookie = %q`, c.Name+"="+c.Value+"; path=/"))
	}
	return w
}

func (b *bench) address() *url.URL {
	u, err := url.Parse(b.server.URL)
	b.put(err)
	return u
}

func (w *window) run(actions ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *window) eval(js string) any {
	w.t.Helper()
	v, err := chromedp.Run(w.ctx, chromedp.Evaluate[any](js))
	if err != nil {
		w.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// replaced tells that another page came while one was asked.
func replaced(err error) bool {
	return strings.Contains(err.Error(), "Cannot find context") || strings.Contains(err.Error(), "Inspected target navigated")
}

// until waits for a JavaScript expression to become true.
func (w *window) until(js string) {
	w.t.Helper()
	patience := time.Now().Add(20 * time.Second)
	_, err := chromedp.Run(w.ctx, chromedp.Poll[any](js, chromedp.WithPollingTimeout(20*time.Second)))
	for err != nil && replaced(err) && time.Now().Before(patience) {
		time.Sleep(50 * time.Millisecond) // a page on its way has nothing to ask yet
		_, err = chromedp.Run(w.ctx, chromedp.Poll[any](js, chromedp.WithPollingTimeout(20*time.Second)))
	}
	if err != nil {
		shown, _ := chromedp.Run(w.ctx, chromedp.Evaluate[string](`document.body.innerText`))
		w.t.Fatalf("%s does not become true: %v\n%s", js, err, shown)
	}
}

// key presses keys as a keyboard does: one that the page takes as a command types
// nothing, wherever the command leads.
func (w *window) key(keys string) {
	w.t.Helper()
	for _, r := range keys {
		events := kb.Encode(r)
		if len(events) == 3 { // down, what it types, up
			events[0].Text, events[0].UnmodifiedText = events[1].Text, events[1].UnmodifiedText
			events = []*input.DispatchKeyEventParams{events[0], events[2]}
		}
		for _, e := range events {
			if _, err := chromedp.Call(w.ctx, input.DispatchKeyEvent, *e); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

func TestTheQueueIsWorkedByKeyboard(t *testing.T) {
	b := newBench(t)
	var ids []mention.ID
	for i := range 4 {
		ids = append(ids, b.mention(mention.Post{
			Platform: "x", NativeID: fmt.Sprint(i), Source: "feed", Text: fmt.Sprintf("Kumo question number %d", i), Author: mention.Author{Handle: fmt.Sprintf("p%d", i)},
		}, mention.Verdict{Lang: "en", Intent: mention.Question}).ID)
	}
	w := b.window(t, b.as("aya", everywhere, identity.Agent))
	w.run(chromedp.Navigate(b.server.URL + "/queue"))
	at := func(n int) string { return fmt.Sprintf(`document.querySelector("#case")?.dataset.id === %q`, ids[n]) }

	w.key("j")
	w.until(at(0))
	w.key("j")
	w.until(at(1))
	w.key("k")
	w.until(at(0))
	w.key("c")
	w.until(`document.querySelector("#flash").innerText.includes("Claimed") && document.querySelector("#row-` + string(ids[0]) + `").innerText.includes("In hand")`)
	w.key("z")
	w.until(`document.querySelector("#flash").innerText.includes("Released")`)

	// An internal note, with single keys typed into it.
	w.key("n")
	w.until(`document.activeElement.id === "note-text"`)
	w.key("jejune ccc")
	w.run(chromedp.KeyEvent("\r", chromedp.KeyModifiers(2)))
	w.until(`document.querySelector(".history .note")?.innerText.includes("jejune ccc")`)

	// Keys that an input method composes with do nothing.
	w.eval(`document.activeElement.blur(); document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "j", keyCode: 229, isComposing: true, bubbles: true}))`)
	w.eval(`document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "x", isComposing: true, bubbles: true}))`)

	// Done asks how it ended, and the next one opens.
	w.key("e")
	w.until(`document.querySelector("#ask-title")?.innerText === "Close this case"`)
	if now := w.eval(at(0)); now != true {
		t.Fatal("a composing key moved the list")
	}
	w.run(chromedp.KeyEvent("\r", chromedp.KeyModifiers(2)))
	w.until(at(1))
	w.until(`document.querySelector("#row-` + string(ids[0]) + `").classList.contains("gone")`)

	// Search as you type, then back by the key of the page.
	w.key("/")
	w.until(`document.activeElement.id === "q"`)
	w.key("number 3")
	w.until(`document.querySelectorAll("#rows > .row").length === 1`)
	w.run(chromedp.KeyEvent("\x1b"))
	w.eval(`document.activeElement.blur()`)
	w.key("g")
	w.key("t")
	w.run(chromedp.WaitVisible(`a[href="/templates"][aria-current="page"]`))
}

func TestNewMentionsWaitAboveTheList(t *testing.T) {
	b := newBench(t)
	first := b.angry()
	w := b.window(t, b.as("aya", everywhere, identity.Agent))
	w.run(chromedp.Navigate(b.server.URL + "/queue"))
	w.key("j")
	w.until(fmt.Sprintf(`document.querySelector("#case")?.dataset.id === %q`, first.ID))
	time.Sleep(20 * time.Millisecond) // so that it is seen after the list was made
	second := b.praise()
	b.put(b.Bus.Tell("indexed", map[string]any{"ids": []mention.ID{second.ID}}))
	w.until(`!document.querySelector("#fresh").hidden && document.querySelector("#fresh").innerText.includes("1 new")`)
	if n := w.eval(`document.querySelectorAll("#rows > .row").length`); fmt.Sprint(n) != "1" {
		t.Errorf("%v rows before the bar was pressed", n)
	}
	w.eval(`document.querySelector("#fresh a").click()`)
	w.until(`document.querySelectorAll("#rows > .row").length === 2 && document.querySelector("#fresh").hidden`)
}

func TestALostConnectionIsShownAndMended(t *testing.T) {
	b := newBench(t)
	b.angry()
	w := b.window(t, b.as("aya", everywhere, identity.Agent))
	w.run(chromedp.Navigate(b.server.URL + "/queue"))
	w.key("j")
	w.until(`document.querySelector("#case")?.dataset.id`)
	w.key("n")
	w.until(`document.activeElement.id === "note-text"`)
	w.key("half a thought")
	w.eval(`window.realFetch = fetch; fetch = () => Promise.reject(new Error("gone")); 1`)
	w.run(chromedp.KeyEvent("\r", chromedp.KeyModifiers(2)))
	w.until(`document.querySelector("#flash").innerText.includes("what you typed is still here")`)
	w.eval(`fetch = window.realFetch; 1`)
	if got := w.eval(`document.querySelector("#note-text").value`); got != "half a thought" {
		t.Errorf("typed text became %q", got)
	}
	w.eval(`document.querySelector("#note-text").defaultValue = document.querySelector("#note-text").value`) // or the browser asks
	w.run(chromedp.Navigate(b.server.URL + "/queue?mode=note&case=" + fmt.Sprint(w.eval(`document.querySelector("#case").dataset.id`))))
	w.until(`document.querySelector("#note-text")?.value === "half a thought"`)
}

func TestTypedTextWaitsWhereItWasTyped(t *testing.T) {
	b := newBench(t)
	first, second := b.angry(), b.praise()
	w := b.window(t, b.as("aya", everywhere, identity.Agent))
	w.run(chromedp.Navigate(b.server.URL + "/queue"))
	at := func(m mention.Mention) string {
		return fmt.Sprintf(`document.querySelector("#case")?.dataset.id === %q`, m.ID)
	}
	w.key("j")
	w.until(at(first))
	w.key("n")
	w.until(`document.activeElement.id === "note-text"`)
	w.key("call the shop")
	w.run(chromedp.KeyEvent("\x1b"))
	w.key("j")
	w.until(at(second))
	w.key("k")
	w.until(at(first))
	w.key("n")
	w.until(`document.querySelector("#note-text")?.value === "call the shop"`)
}

func TestTextsBeginWhereTheirScriptBegins(t *testing.T) {
	b := newBench(t)
	m := b.mention(mention.Post{
		Platform: "x", NativeID: "1", Source: "feed", Text: "هل يعمل Kumo؟", Author: mention.Author{Handle: "m", Name: "محمد (24)"},
	}, mention.Verdict{Lang: "ar", Intent: mention.Question})
	w := b.window(t, b.as("aya", everywhere, identity.Agent))
	w.run(chromedp.Navigate(b.server.URL + "/queue?case=" + string(m.ID)))
	w.until(`!!document.querySelector(".said .body")`)
	// The first and the last letter of an element, as seen.
	w.eval(`window.seen = (q, at) => {
		const texts = document.createTreeWalker(document.querySelector(q), NodeFilter.SHOW_TEXT), all = [];
		while (texts.nextNode()) all.push(texts.currentNode);
		const node = at ? all.at(-1) : all[0], range = document.createRange(), i = at ? node.length - 1 : 0;
		range.setStart(node, i); range.setEnd(node, i + 1);
		return range.getBoundingClientRect().left;
	}; 1`)
	for _, q := range []string{".said .body", "#rows .row-text", ".said .post-head > b"} {
		if w.eval(fmt.Sprintf(`seen(%q, 0) > seen(%q, 1)`, q, q)) != true {
			t.Errorf("%s runs from the left", q)
		}
	}
	w.eval(`{ const el = document.createElement("textarea"); el.id = "probe"; document.body.append(el); }; 1`)
	if got := w.eval(`getComputedStyle(document.getElementById("probe")).unicodeBidi`); got != "plaintext" {
		t.Errorf("a field has the direction of the page: %v", got)
	}
}

func TestFocusStaysWhereSomethingWasPressed(t *testing.T) {
	b := newBench(t)
	m := b.angry()
	w := b.window(t, b.as("aya", everywhere, identity.Agent))
	w.run(chromedp.Navigate(b.server.URL + "/queue?case=" + string(m.ID)))
	press := func(what string) {
		w.until(`!!document.querySelector('` + what + `')`)
		w.eval(`document.querySelector('` + what + `').focus(); 1`)
		w.run(chromedp.KeyEvent("\r"))
	}
	press(`#case [data-key="c"]`)
	w.until(`document.querySelector("#flash").innerText.includes("Claimed") && !!document.activeElement.closest("#case")`)
	press(`#flash [data-undo] button`)
	w.until(`document.querySelector("#flash").innerText.includes("Released") && document.activeElement.matches("#case .scroll")`)
	press(`#case [data-key="n"]`)
	w.until(`document.activeElement.id === "note-text"`)
	w.key("call the shop")
	press(`#composer [data-send]`)
	w.until(`document.querySelector(".history .note")?.innerText.includes("call the shop") && document.activeElement.matches("#case .scroll")`)
}

func TestTagsStayInTheirRow(t *testing.T) {
	b := newBench(t)
	tagged, plain := b.angry(), b.praise()
	v := b.as("aya", everywhere, identity.Agent)
	v.want(v.post("/cases/"+string(tagged.ID)+"/claim"), 303)
	v.want(v.post("/cases/"+string(tagged.ID)+"/tag", "tags", strings.Repeat("a", 40)+", "+strings.Repeat("b", 40)+", عربي 12"), 303)
	w := b.window(t, v)
	w.run(chromedp.Navigate(b.server.URL + "/queue?view=all"))
	w.until(`document.querySelectorAll("#rows .tag").length === 3`)
	for _, size := range []int64{1280, 390} {
		w.run(chromedp.EmulateViewport(size, 900))
		for _, density := range []string{"comfortable", "compact"} {
			w.eval(`document.documentElement.dataset.density = "` + density + `"`)
			out := w.eval(`[...document.querySelectorAll("#rows .row")].flatMap((row) => [...row.querySelectorAll(".row-text, .row-tags, .row-tail, .row-end")].map((el) => el.getBoundingClientRect())
				.filter((r) => r.width && (r.left < row.getBoundingClientRect().left || r.right > row.getBoundingClientRect().right))).length`)
			if fmt.Sprint(out) != "0" {
				t.Errorf("%d px, %s: %v parts stand out of their row", size, density, out)
			}
			height := func(id mention.ID) float64 {
				return w.eval(`document.getElementById("row-` + string(id) + `").offsetHeight`).(float64)
			}
			if has, one := height(tagged.ID), height(plain.ID); density == "compact" && size > 720 && has > 1.5*one {
				t.Errorf("a compact row is %v px high, with tags %v", one, has)
			}
		}
	}
}

func TestACaseStaysWhereItIsRead(t *testing.T) {
	b := newBench(t)
	book := casework.Playbook{
		ID: "threat", Name: map[string]string{"en": "A threat"}, Risks: []mention.Category{mention.PublicityThreat}, Offer: map[string]string{"en": "A new one"},
	}
	for i := range 20 {
		book.Steps = append(book.Steps, casework.Step{Phase: "hear", Who: "agent", Text: map[string]string{"en": fmt.Sprintf("Step %d, which takes a while to read", i)}})
	}
	b.put(settings.Playbooks.Put(t.Context(), b.Settings, "cli", "threat", 0, book))
	m := b.angry()
	w := b.window(t, b.as("aya", everywhere, identity.Agent))
	w.run(chromedp.EmulateViewport(1280, 600), chromedp.Navigate(b.server.URL+"/queue?case="+string(m.ID)))
	w.until(`document.querySelectorAll(".step-tick").length === 20`)
	w.eval(`document.querySelector(".context details").open = true; document.querySelector(".context").scrollTo(0, 300); document.querySelector("#tick-12").focus({ preventScroll: true }); 1`)
	w.run(chromedp.KeyEvent("\r"))
	w.until(`document.querySelector("#tick-12").ariaPressed === "true"`)
	w.until(`document.activeElement.id === "tick-12" && document.querySelector(".context").scrollTop === 300 && document.querySelector(".context details").open`)
}

func TestAllThatCanBeDoneIsInSight(t *testing.T) {
	b := newBench(t)
	m := b.angry()
	v := b.as("lea", everywhere, identity.PRLead)
	v.want(v.post("/cases/"+string(m.ID)+"/claim"), 303)
	w := b.window(t, v)
	inSight := func(size [2]int64, path, menu string) {
		w.run(chromedp.EmulateViewport(size[0], size[1]), chromedp.Navigate(b.server.URL+path))
		w.until(`!!document.querySelector("` + menu + `")`)
		w.eval(`document.querySelector("#rows .row-pick input")?.click(); document.querySelector("` + menu + `").open = true; 1`)
		hidden := w.eval(`[...document.querySelectorAll("` + menu + ` > div :is(.button, input:not([type=hidden]), select)")].filter((el) => {
			el.scrollIntoView({ block: "nearest" });
			const r = el.getBoundingClientRect(), at = document.elementFromPoint(r.left + r.width / 2, r.top + r.height / 2);
			return r.left < 0 || r.right > innerWidth || !at || !(el === at || el.contains(at));
		}).map((el) => el.innerText || el.name).join(", ")`)
		if hidden != "" {
			t.Errorf("%s at %v: not to be seen: %v", menu, size, hidden)
		}
	}
	for _, size := range [][2]int64{{1280, 600}, {390, 844}, {320, 568}} {
		inSight(size, "/cases/"+string(m.ID), ".case-bar .menu")
		inSight(size, "/queue?view=all", ".bulk .menu")
		inSight(size, "/queue?view=all&q=calls", ".menu.save")
	}
}

// TestNothingLiesOverTheList: what keeps a search stands above the rows, in both
// languages, at every width, with and without filters.
func TestNothingLiesOverTheList(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.angry()
	for _, lang := range langs {
		v := b.as("aya", everywhere, identity.Agent).in(lang)
		w := b.window(t, v)
		for _, width := range []int64{1440, 1000, 390, 320} {
			for _, path := range []string{"/queue?view=all&q=calls", "/queue?view=all&q=calls&facets=1", "/queue?view=all&platform=x", "/queue?view=done&q=calls"} {
				w.run(chromedp.EmulateViewport(width, 900), chromedp.Navigate(b.server.URL+path))
				over := w.eval(`(() => {
					const save = document.querySelector(".save > summary").getBoundingClientRect();
					const meets = (el) => { const r = el.getBoundingClientRect(); return r.width && r.left < save.right && r.right > save.left && r.top < save.bottom && r.bottom > save.top; };
					return [...document.querySelectorAll("#rows .row, #list .notice, .tabs a, .chosen .chip, .facets > summary")].filter(meets).map((el) => el.className).join("; ");
				})()`)
				if over != "" {
					t.Errorf("%s at %d px, %s: it lies over %v", lang, width, path, over)
				}
			}
		}
	}
}

// TestWhatIsApprovedIsNotExchangedUnderTheFinger: a reply that is rewritten while its
// approver reads it stays as it was read, and what is pressed then says yes to neither.
func TestWhatIsApprovedIsNotExchangedUnderTheFinger(t *testing.T) {
	b := newBench(t, indexer.Service)
	m := b.angry()
	path := "/cases/" + string(m.ID)
	writer, approver := b.as("aya", everywhere, identity.Agent), b.as("ken", everywhere, identity.Approver)
	writer.want(writer.post(path+"/check", "kind", "first", "version", "0", "text", "We are sorry for the wait."), 303)
	w := b.window(t, approver)
	w.run(chromedp.Navigate(b.server.URL + path))
	w.until(`document.querySelector("#case .final")?.textContent.includes("for the wait")`)
	eventually(t, "the page hears what changes", func() bool {
		b.live.mu.Lock()
		defer b.live.mu.Unlock()
		return len(b.live.clients) == 1
	})
	writer.want(writer.post(path+"/check", "kind", "first", "version", "1", "text", "You are to blame for the wait."), 303)
	w.until(`document.querySelector("#flash:not([hidden])")?.textContent.includes("Open the case again")`)
	if shown := w.eval(`document.querySelector("#case .final").textContent`); shown != "We are sorry for the wait." {
		t.Errorf("the approver reads %q", shown)
	}
	hash := fmt.Sprint(w.eval(`document.querySelector('#case form[action$="/approve"] [name="hash"]').value`))
	approver.want(approver.post(path+"/approve", "hash", hash), 409, "You are to blame for the wait.")
}

// TestWhatIsChosenStaysWhenOthersChangeTheCase: what is typed, chosen or opened in a
// part of a case stays where it is, wherever the focus is; the other parts follow.
func TestWhatIsChosenStaysWhenOthersChangeTheCase(t *testing.T) {
	t.Parallel()
	b := newBench(t, indexer.Service)
	b.template()
	m := b.question("1", "Does the Kumo dock fit the older stand?")
	path := "/cases/" + string(m.ID)
	v, other := b.as("aya", everywhere, identity.Agent), b.as("ken", everywhere, identity.Agent)
	w := b.window(t, v)
	w.run(chromedp.Navigate(b.server.URL + path))
	w.until(`!!document.querySelector("#c-template")`)
	eventually(t, "the page hears what changes", func() bool {
		b.live.mu.Lock()
		defer b.live.mu.Unlock()
		return len(b.live.clients) == 1
	})
	notes := 0
	changes := func() {
		t.Helper()
		notes++
		text := fmt.Sprintf("Note %d from beside", notes)
		w.eval(`document.activeElement.blur(); document.querySelector("#flash").hidden = true; 1`)
		other.want(other.post(path+"/note", "text", text), 303)
		w.until(`document.querySelector("#case .history")?.innerText.includes("` + text + `")`)
		w.until(`document.querySelector("#flash:not([hidden])")?.textContent.includes("Your text is kept")`)
	}
	change := func(what, value string) {
		w.eval(fmt.Sprintf(`{ const el = document.querySelector(%q); el.value = %q; for (const type of ["input", "change"]) el.dispatchEvent(new Event(type, { bubbles: true })); }; 1`, what, value))
	}
	is := func(when, what, value string) {
		t.Helper()
		if got := w.eval(fmt.Sprintf(`document.querySelector(%q)?.value ?? ""`, what)); got != value {
			t.Errorf("%s: %s is %q, want %q", when, what, got, value)
		}
	}
	id := fmt.Sprint(w.eval(`document.querySelector("#c-template option[value]:not([value=''])").value`))
	change("#c-template", id)
	w.until(`document.querySelector("#c-text")?.value !== ""`)
	filled := fmt.Sprint(w.eval(`document.querySelector("#c-text").value`))
	changes()
	is("a template is chosen", "#c-template", id)
	is("a template is chosen", "#c-text", filled)

	// What is done in another part of the page leaves it too.
	w.eval(`document.querySelector('#case [data-key="c"]').click()`)
	w.until(`document.querySelector("#flash").innerText.includes("Claimed") && document.querySelector(".case-bar .mine")`)
	is("the case is claimed", "#c-template", id)
	is("the case is claimed", "#c-text", filled)

	// A question that was opened, and what is ticked or chosen in it.
	w.eval(`document.querySelector('#case [data-key="e"]').click()`)
	w.until(`!!document.querySelector("#composer.ask select")`)
	value := fmt.Sprint(w.eval(`[...document.querySelector("#composer.ask select").options].at(-1).value`))
	name := fmt.Sprint(w.eval(`document.querySelector("#composer.ask select").name`))
	change("#composer.ask select", value)
	changes()
	is("a question is open", `#composer.ask [name="`+name+`"]`, value)
}

// TestLeavingThePageWarnsOfWhatGoesWithIt: of what is typed or chosen in a composer and
// stored nowhere, and of nothing else.
func TestLeavingThePageWarnsOfWhatGoesWithIt(t *testing.T) {
	t.Parallel()
	b := newBench(t, indexer.Service)
	b.template()
	m := b.question("1", "Does the Kumo dock fit the older stand?")
	v := b.as("aya", everywhere, identity.Agent)
	path := "/cases/" + string(m.ID)
	v.want(v.post(path+"/claim"), 303)
	w := b.window(t, v)
	w.run(chromedp.Navigate(b.server.URL + path))
	w.until(`!!document.querySelector("#c-template")`)
	leaving := func(when string, warns bool) {
		t.Helper()
		if got := w.eval(`!dispatchEvent(new Event("beforeunload", { cancelable: true }))`); got != warns {
			t.Errorf("%s: leaving warns: %v, want %v", when, got, warns)
		}
	}
	set := func(what, value string) {
		w.eval(fmt.Sprintf(`{ const el = document.querySelector(%q); el.value = %q; for (const type of ["input", "change"]) el.dispatchEvent(new Event(type, { bubbles: true })); }; 1`, what, value))
	}
	press := func(what string) { w.eval(fmt.Sprintf(`document.querySelector(%q).click()`, what)) }
	leaving("a case is read", false)
	press(`#case [data-key="n"]`)
	w.until(`!!document.querySelector("#note-text")`)
	leaving("a note is opened", false)
	press(`#case [data-key="r"]`)
	w.until(`!!document.querySelector("#c-template")`)

	usual := fmt.Sprint(w.eval(`document.querySelector("#c-kind").value`))
	set("#c-kind", "final")
	leaving("a kind is just chosen", true)
	w.until(`document.querySelector('#c-kind option[value="final"]').defaultSelected`)
	leaving("a kind is chosen", true)
	set("#c-kind", usual)
	w.until(`!document.querySelector("#composer[data-loses]")`)
	leaving("the kind is as it was", false)

	set("#c-template", fmt.Sprint(w.eval(`document.querySelector("#c-template option[value]:not([value=''])").value`)))
	w.until(`document.querySelector("#c-text").value !== ""`)
	leaving("a template is chosen", true)
	press(`#composer [formaction$="/draft"]`)
	w.until(`!document.querySelector("#composer[data-unsaved]")`)
	leaving("the draft is saved", false)
	set(".slots input", "the older stand")
	w.until(`document.querySelector("#c-text").value.includes("the older stand")`)
	leaving("a place of the template is filled in", true)
	set("#c-text", "It fits the older stand.")
	leaving("a text is typed", true)
	w.until(`document.querySelector("#c-text").defaultValue === "It fits the older stand."`)
	leaving("the text is stored by itself", false)

	press(`#case [data-key="e"]`)
	w.until(`!!document.querySelector("#composer.ask select")`)
	leaving("a question is opened", false)
	set("#composer.ask select", fmt.Sprint(w.eval(`[...document.querySelector("#composer.ask select").options].find((o) => !o.selected).value`)))
	leaving("something is chosen in it", true)
}

// TestPlacesAreFilledInOneAfterAnother: what is typed in the next place, also by an
// input method, stays while the one before goes into the text.
func TestPlacesAreFilledInOneAfterAnother(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.put(settings.Templates.Put(t.Context(), b.Settings, "cli", "two", 0, casework.Template{
		ID: "two", Name: "Two", Lang: "en",
		Versions: []casework.TemplateVersion{{N: 1, Status: casework.TemplateApproved, Apology: casework.NoApology, Body: "The {{one}} and the {{other}}.", Slots: []casework.Slot{{Name: "one", Type: "choice", Choices: []string{"shelf", "dock"}, Required: true}, {Name: "other"}}}},
	}))
	m := b.question("1", "Does the Kumo dock fit the older stand?")
	v := b.as("aya", everywhere, identity.Agent)
	v.want(v.post("/cases/"+string(m.ID)+"/claim"), 303)
	w := b.window(t, v)
	w.run(chromedp.Navigate(b.server.URL + "/cases/" + string(m.ID)))
	w.until(`!!document.querySelector("#c-template")`)
	w.eval(`document.querySelector("[data-pick]").click()`)
	w.until(`!!document.querySelector(".pick-one")`)
	w.eval(`document.querySelector(".pick-one").click()`)
	w.until(`document.activeElement.name === "slot.one"`) // the first that is open, also if it is chosen
	w.until(`document.querySelectorAll(".slots :is(input, select)").length === 2`)
	w.eval(`{ const [one, other] = document.querySelectorAll(".slots :is(input, select)"); one.value = "dock"; one.dispatchEvent(new Event("change", { bubbles: true }));
		other.focus(); other.dispatchEvent(new Event("compositionstart", { bubbles: true })); other.value = "す"; window.was = other; }; 1`)
	time.Sleep(time.Second)
	if !w.eval(`was.isConnected && was.value === "す"`).(bool) {
		t.Error("what is being composed is gone")
	}
	w.eval(`was.value = "stand"; was.dispatchEvent(new Event("compositionend", { bubbles: true })); 1`)
	w.until(`document.querySelector("#c-text").value === "The dock and the stand."`)
}

// TestThePickerOpensInSight on a phone, above the bar of pages, whose list it shows.
func TestThePickerOpensInSight(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.template()
	m := b.question("1", strings.Repeat("Does the Kumo dock fit the older stand? ", 60))
	v := b.as("aya", everywhere, identity.Agent)
	v.want(v.post("/cases/"+string(m.ID)+"/claim"), 303)
	w := b.window(t, v)
	w.run(chromedp.EmulateViewport(390, 844), chromedp.Navigate(b.server.URL+"/cases/"+string(m.ID)+"?mode=reply"))
	w.eval(`document.querySelector("[data-pick]").scrollIntoView({block: "end"}); document.querySelector("[data-pick]").click()`)
	w.until(`document.activeElement.id === "pick-q"`)
	w.until(`(() => {
		const inSight = (el, low) => { const box = el.getBoundingClientRect(); return box.top >= document.querySelector(".case-bar").getBoundingClientRect().bottom && box.bottom <= low; };
		return inSight(document.getElementById("pick-q"), innerHeight / 2) && inSight(document.querySelector("#picks .pick-one"), document.querySelector(".rail").getBoundingClientRect().top);
	})()`)
}
