package desk

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/services/classifier"
	"github.com/earshot/earshot/services/indexer"
)

// asked is a question of somebody, numbered.
func (b *bench) asked(n int, text, handle, platform string) mention.Mention {
	b.t.Helper()
	return b.mention(mention.Post{
		Platform: platform, NativeID: fmt.Sprint("q", n), Source: "feed", Kind: mention.KindPost, Text: text,
		Author: mention.Author{ID: "id-" + handle, Handle: handle, Name: handle},
	}, mention.Verdict{Lang: "en", Intent: mention.Question})
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, indexer.Service)
	var ids []string
	for i := range 4 {
		ids = append(ids, string(b.asked(i, fmt.Sprintf("Kumo question %d", i), fmt.Sprint("p", i), "mastodon").ID))
	}
	v, bob := b.as("aya", everywhere, identity.Agent), b.as("bob", everywhere, identity.Agent)
	v.want(v.get("/queue"), 200, `name="id" value="`+ids[0]+`" form="bulk"`, `action="/bulk"`, "all 4 found")
	bob.want(bob.post("/cases/"+ids[3]+"/claim"), 303)

	four := func(do string, more ...string) []string {
		form := append([]string{"do", do}, more...)
		for _, id := range ids {
			form = append(form, "id", id)
		}
		return form
	}
	done := v.want(v.post("/bulk", four("watch")...), 200, "3 watched from now on.", "1 could not be done", "Bob", "Undo", "!ZgotmplZ")
	if n := strings.Count(done.body, `name="id"`); n != 3 {
		t.Errorf("%d can be taken back, want 3", n)
	}
	for i, id := range ids {
		want := casework.Watching
		if i == 3 {
			want = casework.InHand
		}
		if s := b.now(mention.ID(id)); s.Status != want {
			t.Errorf("%d is %s", i, s.Status)
		}
	}
	v.want(v.post("/bulk", "do", "undo", "id", ids[0], "id", ids[1], "id", ids[2]), 200, "3 taken back.")
	if s := b.now(mention.ID(ids[0])); s.Status != casework.New || s.Triage.Disposition != mention.Answer {
		t.Errorf("taken back: %s, %s", s.Status, s.Triage.Disposition)
	}
	v.want(v.post("/bulk", "do", "tag", "tags", "返金, 店舗", "all", "yes", "query", "q=question"), 200, "4 tagged.")
	v.want(v.get("/queue?tag="+url.QueryEscape("返金")), 200, ids[0], ids[3])
	v.want(v.get("/queue?q="+url.QueryEscape("返金")), 200, ids[0])
	v.want(v.get("/queue"), 200, `<span class="facet-name">Tag</span>`, "店舗")
	v.want(v.post("/bulk", four("assign", "to", "bob")...), 200, "3 assigned.") // bob has one already
	v.want(v.post("/bulk", four("assign", "to", "nobody")...), 200, "0 assigned.", "4 could not be done")
	v.want(v.post("/bulk", four("snooze", "until", "soon")...), 200, "4 could not be done")
	for _, wrong := range [][]string{{"do", "burn", "id", ids[0]}, {"do", "watch"}, {"do", "tag", "id", ids[0]}} {
		v.want(v.post("/bulk", wrong...), 422)
	}
	reader := b.as("rea", everywhere, identity.Product)
	reader.want(reader.post("/bulk", four("watch")...), 403)
}

func TestViewsAreKept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.angry()
	b.praise()
	v, lead := b.as("aya", everywhere, identity.Agent), b.as("lea", everywhere, identity.Approver)
	v.want(v.post("/views/new", "name", "Threats", "query", "view=all&risk=publicity_threat&cursor=x&case=y"), 303)
	var own settings.View
	for _, x := range settings.Views.List(b.Settings) {
		own = x
	}
	if own.Query != "risk=publicity_threat&view=all" || own.Owner != "aya" {
		t.Fatalf("kept %+v", own)
	}
	// A list does not wait long for the counts of views.
	v.soon("/queue", `href="/queue?risk=publicity_threat&amp;view=all&amp;saved=`+own.ID+`"`, `data-go="1"`, ">Threats <span>1</span>")
	lead.want(lead.get("/queue"), 200, "!Threats")
	lead.want(lead.post("/views/"+own.ID, "name", "mine"), 404)
	v.want(v.post("/views/new", "name", "All", "shared", "on", "query", "view=all"), 403)
	lead.want(lead.post("/views/new", "name", "Everybody", "shared", "on", "query", "view=all"), 303)
	v.want(v.get("/views"), 200, "Threats", "Everybody", "Threat to publish")
	lead.want(lead.post("/views/new", "name", strings.Repeat("x", 61), "query", ""), 422)
	v.want(v.post("/views/"+own.ID, "do", "remove"), 303)
	v.want(v.get("/queue"), 200, "!Threats", "Everybody")
}

func TestAssigningAndPassingOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, indexer.Service)
	m := b.angry()
	path := "/cases/" + string(m.ID)
	v, bob := b.as("aya", everywhere, identity.Agent), b.as("bob", everywhere, identity.Agent)
	v.want(v.get(path+"/ask/assign"), 200, "Bob · 0 open · 0 harsh this week")
	v.want(v.post(path+"/assign", "to", "bob"), 303)
	b.now(m.ID)
	bob.want(bob.get(path), 200, "For Bob", `data-key="b"`)
	bob.want(bob.get("/queue?view=mine"), 200, string(m.ID))
	v.want(v.post(path+"/claim"), 409) // it is Bob's
	v.want(v.post(path+"/claim", "take", "yes"), 303)
	v.want(v.get(path), 200, "took it over")
	v.want(v.post(path+"/pass"), 303)
	if s := b.now(m.ID); s.Owner() != "" || len(s.Passed) != 1 {
		t.Errorf("of %q, passed on by %v", s.Owner(), s.Passed)
	}
	v.want(v.post(path+"/undo"), 303)
	if s := b.now(m.ID); s.Holder != "aya" {
		t.Errorf("held by %q", s.Holder)
	}
	bob.want(bob.post(path+"/undo"), 409)
	v.want(v.post(path+"/tag", "tags", "返金、do not answer"), 303)
	if s := b.now(m.ID); fmt.Sprint(s.Tags) != "[返金 no-answer]" {
		t.Errorf("tags %v", s.Tags)
	}
	v.want(v.get("/shift"), 200, "do not answer", "@mika@social.example")
	v.want(v.post(path+"/tag", "off", "返金"), 303)
	v.want(v.get(path), 200, "− 返金", "&#43; 返金, &#43; do not answer")
	v.want(v.post(path+"/promise", "due", "72h", "every", "2"), 303)
	v.want(v.get(path), 200, "then every 2 days")
}

func TestPersonalDataIsCovered(t *testing.T) {
	t.Parallel()
	b := newBench(t, indexer.Service)
	m := b.asked(1, "Kumo owes me, call 090-1234-5678 or mail mika@private.example, order no. 48213", "mika", "mastodon")
	path := "/cases/" + string(m.ID)
	v, other := b.as("aya", everywhere, identity.Agent), b.as("bob", everywhere, identity.Agent)
	secret := []string{"!090-1234-5678", "!private.example", "!48213"}
	v.want(v.get("/queue"), 200, append(secret, "•••-••••-••••")...)
	v.want(v.get(path), 200, append(secret, "Personal data in this post is covered")...)
	v.want(v.post(path+"/reveal"), 303)
	v.want(v.get(path), 200, "090-1234-5678", "looked at covered personal data")
	v.want(v.get("/queue"), 200, secret...)
	other.want(other.get(path), 200, append(secret, "looked at covered personal data")...)
	reader := b.as("rea", everywhere, identity.Product)
	reader.want(reader.get(path), 200, append(secret, "!/reveal")...)
	reader.want(reader.post(path+"/reveal"), 403)
	api := b.as("api", everywhere, identity.Agent)
	api.want(api.get("/api/v1/mentions"), 200, secret...)
	api.want(api.get("/api/v1/cases/"+string(m.ID)), 200, secret...)
	m.Author.Handle = "mika"
	e := escalation.Open(&mention.Tagged{Mention: m}, escalation.ByVerdict, escalation.Wake)
	if strings.Contains(e.Excerpt, "5678") {
		t.Errorf("a page says %q", e.Excerpt)
	}
}

func TestAuthorsAreLinkedByHand(t *testing.T) {
	t.Parallel()
	b := newBench(t, indexer.Service)
	here, there, onX := b.asked(1, "Kumo, where is it", "mika", "mastodon"), b.asked(2, "Kumo is late again", "mika_b", "bluesky"), b.asked(3, "Kumo!", "mika_x", "x")
	again := b.asked(4, "Kumo, again I ask", "mika", "mastodon")
	v := b.as("aya", everywhere, identity.Agent)
	for _, m := range []mention.Mention{here, there, onX} {
		v.want(v.post("/cases/"+string(m.ID)+"/claim"), 303)
	}
	number := func(m mention.Mention) string { return fmt.Sprint(b.now(m.ID).Number) }
	path := "/cases/" + string(here.ID)
	v.want(v.post(path+"/link", "case", number(there), "basis", ""), 422)
	v.want(v.post(path+"/link", "case", "999999", "basis", "b"), 422)
	v.want(v.post(path+"/link", "case", number(onX), "basis", "same name"), 422, "forbids to match")
	v.want(v.post(path+"/link", "case", number(there), "basis", "Said so on the phone"), 303)
	b.now(here.ID)
	v.want(v.get(path), 200, "Known from elsewhere", "Said so on the phone", "Kumo is late again")
	v.want(v.get("/cases/"+string(again.ID)), 200, "Said so on the phone") // by the same author, it holds for all
	v.want(v.post(path+"/unlink", "case", string(there.ID)), 303)
	b.now(here.ID)
	v.want(v.get(path), 200, "!Said so on the phone</p>", "took a link of the author back")
}

func TestNotForUsProposesAnExclusion(t *testing.T) {
	t.Parallel()
	b := newBench(t, indexer.Service)
	spam := b.asked(1, "Win a Kumo mug! giveaway #kumowin", "winbot", "mastodon")
	b.asked(2, "Another Kumo giveaway, follow and repost", "someone", "mastodon")
	b.asked(3, "Kumo, where is my order?", "mika", "mastodon")
	agent, admin := b.as("aya", everywhere, identity.Agent), b.as("ada", everywhere, identity.Agent, identity.Admin)
	path := "/cases/" + string(spam.ID)
	agent.header.Set("Earshot-Part", "case")
	agent.want(agent.post(path+"/exclude"), 200, "Leave posts like this out of Kumo Café?", "NOT author:winbot", `NOT &#34;giveaway&#34;`, "NOT #kumowin")
	agent.want(agent.post(path+"/leave-out", "term", `"giveaway"`, "do", "preview"), 200, "drop 1 stored mention.", "1 of them wanted an answer", "Another Kumo giveaway", `value="propose"`, `!value="apply"`)
	agent.want(agent.post(path+"/leave-out", "own", `((`, "do", "preview"), 422, "This is no term")
	if q, _ := settings.Brands.Get(b.Settings, "kumo"); q.Query != "kumo" {
		t.Fatalf("a preview changed the query to %s", q.Query)
	}
	agent.want(agent.post(path+"/leave-out", "term", "author:winbot", "do", "apply"), 403)
	agent.want(agent.post(path+"/leave-out", "term", `"giveaway"`, "do", "propose"), 200, "Proposed.")
	page := admin.want(admin.get("/brands/kumo"), 200, "Proposed exclusions", "drop 1 stored mention.", "Aya")
	id := between2(page.body, `action="/exclusions/`, `"`)
	agent.want(agent.post("/exclusions/"+id, "do", "apply"), 403)
	admin.want(admin.post("/exclusions/"+id, "do", "apply"), 303)
	if q, _ := settings.Brands.Get(b.Settings, "kumo"); q.Query != `kumo NOT "giveaway"` {
		t.Errorf("the query is %s", q.Query)
	}
	admin.want(admin.get("/brands/kumo"), 200, "!Proposed exclusions")
	admin.want(admin.post("/exclusions/"+id, "do", "apply"), 409, "Somebody has decided on this proposal meanwhile.")
	if s := b.now(spam.ID); s.Status != casework.Done || s.Triage.Disposition != mention.NotForUs {
		t.Errorf("%s, %s", s.Status, s.Triage.Disposition)
	}
}

func between2(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

func TestBoardAndShift(t *testing.T) {
	t.Parallel()
	b := newBench(t, indexer.Service)
	for i := range heavy {
		m := b.mention(mention.Post{Platform: "mastodon", NativeID: fmt.Sprint("h", i), Source: "feed", Text: "Kumo staff are idiots", Author: mention.Author{ID: "x", Handle: "x"}},
			mention.Verdict{Lang: "en", Intent: mention.Complaint, Risks: []mention.Risk{{Category: mention.StaffAbuse, Score: .9}}})
		v := b.as("bob", everywhere, identity.Agent)
		v.want(v.post("/cases/"+string(m.ID)+"/claim"), 303)
		v.want(v.post("/cases/"+string(m.ID)+"/close"), 303)
		b.now(m.ID)
	}
	late := b.mention(mention.Post{Platform: "mastodon", NativeID: "late", Source: "feed", Text: "Kumo, still waiting", SeenAt: time.Now().AddDate(0, 0, -10), Author: mention.Author{ID: "y", Handle: "waiting"}},
		mention.Verdict{Lang: "en", Intent: mention.Complaint})
	agent, lead := b.as("aya", everywhere, identity.Agent), b.as("lea", everywhere, identity.Approver)
	lead.want(lead.get("/board"), 200, "@waiting", "Bob had 5 harsh mentions in seven days", "Who has what", `href="/queue?view=all&amp;case=`+string(late.ID))
	agent.want(agent.get("/board"), 200, "@waiting", "What you have", "!Bob")

	agent.want(agent.post("/shift", "text", "The shop calls back at 18:00"), 303)
	agent.want(agent.get("/shift"), 200, "calls back at 18:00", "Somebody of the next shift confirms this", "!/confirm")
	id := settings.Shifts.List(b.Settings)[0].ID
	agent.want(agent.post("/shift/"+id+"/confirm"), 303)
	if s, _ := settings.Shifts.Get(b.Settings, id); s.Confirmed != "" {
		t.Error("confirmed by whoever wrote it")
	}
	lead.want(lead.post("/shift/"+id+"/confirm"), 303)
	lead.want(lead.get("/shift"), 200, "confirmed by Lea")
}

// TestTheBoardCountsEverybody: however many people hold something, each has their
// number.
func TestTheBoardCountsEverybody(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const people = search.MaxFacet + 12
	var docs []search.Document
	for i := range people {
		id := fmt.Sprintf("p%02d", i)
		b.hire(identity.Staff{ID: id, Email: id + "@kumo.example", Name: "Nr " + id, Grants: []identity.Grant{{Role: identity.Agent, Brands: everywhere}}})
		held := 2
		if i == 7 { // the fewest, and so the last in a list by number
			held = 1
		}
		for n := range held {
			m := mention.Of("kumo", mention.Post{Platform: "mastodon", NativeID: fmt.Sprint(id, n), Text: "Kumo"})
			docs = append(docs, search.Document{ID: m.ID, Seq: uint64(len(docs) + 1), Brand: "kumo", Platform: "mastodon", Open: true, Status: string(casework.InHand), Holder: id, Owner: search.OwnerCase, PublishedAt: time.Now(), SeenAt: time.Now()})
		}
	}
	b.put(b.Index.Write(t.Context(), search.Batch{Upserts: docs}))
	lead := b.as("lea", everywhere, identity.Approver)
	page := lead.want(lead.get("/board"), 200).body
	for i := range people {
		id := fmt.Sprintf("p%02d", i)
		row := between2(page, "<b>Nr "+id+"</b>", "</tr>")
		want := "2"
		if i == 7 {
			want = "1"
		}
		if got := between2(row, `href="/queue?view=all&amp;holder=`+id+`">`, "</a>"); got != want {
			t.Errorf("%s holds %q, want %s", id, got, want)
		}
	}
}

func TestACalendarThatEndsIsWarnedOf(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Now = func() time.Time { return time.Date(2035, 11, 1, 0, 0, 0, 0, time.UTC) }
	lead := b.as("lea", everywhere, identity.Approver)
	lead.want(lead.get("/board"), 200, "The holidays known end with 2035")
	b.Now = time.Now
	lead.want(lead.get("/board"), 200, "!The holidays known end")
}

// TestTriageByKeyboard leads through a morning's triage without a mouse: choosing
// many, an act on them and its undo, tags, a saved view by its key.
func TestTriageByKeyboard(t *testing.T) {
	b := newBench(t, indexer.Service)
	var ids []string
	for i := range 5 {
		ids = append(ids, string(b.asked(i, fmt.Sprintf("Kumo question number %d", i), fmt.Sprint("p", i), "mastodon").ID))
	}
	b.put(settings.Views.Put(t.Context(), b.Settings, "cli", "late", 0, settings.View{ID: "late", Name: "Watched ones", Query: "view=watch"}))
	w := b.window(t, b.as("aya", everywhere, identity.Agent))
	w.run(chromedp.Navigate(b.server.URL + "/queue"))
	at := func(n int) string { return fmt.Sprintf(`document.querySelector("#case")?.dataset.id === %q`, ids[n]) }
	count := func(n int) string {
		return fmt.Sprintf(`document.querySelector("#bulk [data-count]")?.textContent === "%d" && document.querySelectorAll("#rows .row-pick input:checked").length === %[1]d`, n)
	}

	w.key("j")
	w.until(at(0))
	w.key("x")
	w.until(count(1))
	w.key("j")
	w.until(at(1))
	w.key("j")
	w.until(at(2))
	w.key("X")
	w.until(count(3))
	w.run(chromedp.KeyEvent("\x1b"))
	w.until(count(0))
	w.key("*")
	w.until(count(5) + ` && document.querySelector('#bulk [name="all"]').checked`)
	w.eval(`document.querySelector('#bulk [value="watch"]').click()`)
	w.until(`!document.querySelector("#bulk-result").hidden && document.querySelector("#bulk-result").innerText.includes("5 watched from now on.")`)
	for _, id := range ids {
		if s := b.now(mention.ID(id)); s.Status != casework.Watching {
			t.Errorf("%s is %s", id, s.Status)
		}
	}
	w.key("z")
	w.until(`document.querySelector("#bulk-result").innerText.includes("5 taken back.")`)
	if s := b.now(mention.ID(ids[4])); s.Status != casework.New {
		t.Errorf("taken back: %s", s.Status)
	}

	w.key("t")
	w.until(`document.activeElement?.name === "tags"`)
	w.key("refund xji")
	w.run(chromedp.KeyEvent("\r", chromedp.KeyModifiers(2)))
	w.until(`document.querySelector(".case-bar .tag")?.innerText === "refund xji"`)
	w.eval(`document.activeElement.blur()`)
	w.key("w")
	w.until(`document.querySelector("#flash").innerText.includes("Watched")`)
	b.now(mention.ID(ids[2]))
	w.key("g")
	w.key("1")
	w.until(`location.search.includes("saved=late") && document.querySelectorAll("#rows > .row").length === 1`)

	// Panes keep the width they were given, over a reload too.
	w.key("j")
	w.until(`!!document.querySelector('[data-split="context"]') && !document.querySelector('[data-split="context"]').hidden`)
	w.eval(`{ const s = document.querySelector('[data-split="context"]'); s.focus(); for (let i = 0; i < 3; i++) s.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowLeft", bubbles: true})); 1 }`)
	wide := fmt.Sprint(w.eval(`document.querySelector("aside.context").offsetWidth`))
	w.run(chromedp.Navigate(b.server.URL + "/queue?view=watch&case=" + ids[2]))
	w.until(`document.querySelector("aside.context").offsetWidth == ` + wide)
}

func TestWhoHadItIsTold(t *testing.T) {
	b := newBench(t, indexer.Service)
	m := b.angry()
	bob := b.as("bob", everywhere, identity.Agent)
	bob.want(bob.post("/cases/"+string(m.ID)+"/claim"), 303)
	w := b.window(t, bob)
	w.run(chromedp.Navigate(b.server.URL + "/queue?case=" + string(m.ID) + "&mode=note"))
	w.until(`!!document.querySelector("#note-text")`)
	w.eval(`{ const el = document.querySelector("#note-text"); el.focus(); el.value = "half a thought"; el.dispatchEvent(new Event("input", {bubbles: true})); 1 }`)
	time.Sleep(50 * time.Millisecond) // the stream of events is joined
	v := b.as("aya", everywhere, identity.Agent)
	v.want(v.post("/cases/"+string(m.ID)+"/claim", "take", "yes"), 303)
	w.until(`document.querySelector("#flash").innerText.includes("Aya") || document.querySelector("#flash").innerText.includes("changed")`)
	if got := w.eval(`document.querySelector("#note-text").value`); got != "half a thought" {
		t.Errorf("what was typed became %q", got)
	}
	w.eval(`document.querySelector("#note-text").defaultValue = document.querySelector("#note-text").value`)
	if d, err := b.Index.Get(t.Context(), search.SeesAll(), m.ID); err != nil || len(d) != 1 {
		t.Fatal(d, err)
	}
}

func TestAContactNoteIsHeardWhileItIsWritten(t *testing.T) {
	t.Parallel()
	b := newBench(t, classifier.Service)
	v := b.as("aya", everywhere, identity.Agent)
	v.want(v.get("/note"), 200, `data-composer="/note/check"`)
	v.header.Set("Earshot-Part", "preview")
	threat := func() answer {
		return v.post("/note/check", "brand", "kumo", "text", "返金してくれないなら、この会話を録音したものを全部SNSに上げて拡散します。")
	}
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(threat().body, "This sounds like") && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond) // the classifier is still starting
	}
	v.want(threat(), 200, "This sounds like", "Threat to publish")
	v.want(v.post("/note/check", "brand", "kumo", "text", "営業時間を聞かれた"), 200, "!This sounds like")
	hoshi := b.as("hana", []string{"hoshi"}, identity.Agent)
	hoshi.want(hoshi.post("/note/check", "brand", "kumo", "text", "x"), 403)
}

func TestAReplyIsStoredWhileItIsWritten(t *testing.T) {
	b := newBench(t, indexer.Service)
	m := b.angry()
	w := b.window(t, b.as("aya", everywhere, identity.Agent))
	w.run(chromedp.Navigate(b.server.URL + "/queue?mode=reply&case=" + string(m.ID)))
	w.until(`!!document.querySelector("#c-text")`)
	w.run(chromedp.Focus("#c-text"))
	w.key("We are sorry to hear this")
	w.until(`document.querySelector("#autosaved").innerText.includes("Draft by Aya")`)
	s := b.now(m.ID)
	if s.Draft == nil || s.Draft.Text != "We are sorry to hear this" || s.Draft.Author != "aya" || s.Draft.Version != 1 {
		t.Fatalf("stored %+v", s.Draft)
	}
	w.key(", and look into it")
	w.until(`document.querySelector('#c-form [name="version"]').value === "2"`)
	// What one has stored oneself is no change that somebody must be told of.
	w.eval(`window.told = ""; new MutationObserver(() => { window.told += document.querySelector("#flash").textContent; }).observe(document.querySelector("#flash"), { childList: true, characterData: true, subtree: true, attributes: true }); 1`)
	w.key(" now")
	w.until(`document.querySelector('#c-form [name="version"]').value === "3"`)
	w.key(" and")
	w.until(`document.querySelector('#c-form [name="version"]').value === "4"`)
	if got := w.eval(`window.told`); got != "" {
		t.Errorf("was told of one's own draft: %q", got)
	}
	if s = b.now(m.ID); s.Draft.Text != "We are sorry to hear this, and look into it now and" {
		t.Errorf("stored %q", s.Draft.Text)
	}
	// Somebody takes the case over: what is typed then is refused, and stays.
	bob := b.as("bob", everywhere, identity.Agent)
	bob.want(bob.post("/cases/"+string(m.ID)+"/claim", "take", "yes"), 303)
	w.key(" then")
	w.until(`document.querySelector("#autosaved")?.classList.contains("warn") || document.querySelector("#flash").innerText.includes("Bob")`)
	if got := fmt.Sprint(w.eval(`document.querySelector("#c-text")?.value ?? sessionStorage.getItem("earshot:` + string(m.ID) + `:reply")`)); !strings.HasSuffix(got, "now and then") {
		t.Errorf("what was typed became %q", got)
	}
	w.eval(`{ const el = document.querySelector("#c-text"); if (el) el.defaultValue = el.value; 1 }`) // or the browser asks
}

// TestASessionEndsWhileSomebodyWrites keeps the page: signed in again beside, one
// goes on where one was.
func TestASessionEndsWhileSomebodyWrites(t *testing.T) {
	b := newBench(t, indexer.Service)
	m := b.angry()
	v := b.as("aya", everywhere, identity.Agent)
	w := b.window(t, v)
	w.run(chromedp.Navigate(b.server.URL + "/queue?mode=reply&case=" + string(m.ID)))
	w.until(`!!document.querySelector("#c-text")`)
	cookie := v.client.Jar.Cookies(b.address())[0]
	w.eval(fmt.Sprintf(`document.cookie = %q`, cookie.Name+"=gone; path=/"))
	w.run(chromedp.Focus("#c-text"))
	w.key("We are sorry")
	w.until(`document.querySelector("#flash").innerText.includes("You are signed out") && document.querySelectorAll("#flash a[target]").length === 1`)
	if got := w.eval(`location.pathname + " " + document.querySelector("#c-text").value`); got != "/queue We are sorry" {
		t.Errorf("is at %q", got)
	}
	w.eval(fmt.Sprintf(`document.cookie = %q`, cookie.Name+"="+cookie.Value+"; path=/"))
	w.key(" to hear this")
	w.until(`document.querySelector('#c-form [name="version"]').value === "1"`)
	if s := b.now(m.ID); s.Draft.Text != "We are sorry to hear this" {
		t.Errorf("stored %q", s.Draft.Text)
	}
	w.until(`document.querySelector("#flash").hidden`)
}

func TestAThreadThatMustNotBeAnswered(t *testing.T) {
	b := newBench(t)
	b.account()
	m := b.question("1", "When do you open?")
	agent, lead := b.as("aya", everywhere, identity.Agent), b.as("ken", everywhere, identity.PRLead)
	path := "/cases/" + string(m.ID)
	agent.want(agent.get(path), 200, "Do not answer")
	agent.want(agent.post(path+"/tag", "tags", casework.NoAnswer), 303)
	agent.want(agent.get(path+"?mode=reply"), 200, "Aya marked this thread as not to be answered", "!Let it be answered")
	agent.want(agent.get(path+"/ask/tag"), 200, `!name="off"`)
	agent.want(agent.post(path+"/check", "kind", "first", "version", "0", "text", "We open at 8."), 200)
	s, _, err := b.Cases.Touched(t.Context(), m.ID)
	b.put(err)
	agent.want(agent.post(path+"/send", "hash", s.Hash(s.Draft)), 409, "not to be answered", "We open at 8.")
	agent.want(agent.post(path+"/tag", "off", casework.NoAnswer), 409)
	lead.want(lead.get(path), 200, "Let it be answered")
	lead.want(lead.post(path+"/tag", "off", casework.NoAnswer), 303)
	agent.want(agent.post(path+"/send", "hash", s.Hash(s.Draft)), 303)
}

func TestOneKeyKeepsAThreadFromBeingAnswered(t *testing.T) {
	b := newBench(t, indexer.Service)
	b.account()
	m := b.question("1", "When do you open?")
	w := b.window(t, b.as("ken", everywhere, identity.PRLead))
	w.run(chromedp.Navigate(b.server.URL + "/queue?view=all&case=" + string(m.ID)))
	w.until(`!!document.querySelector('#case [data-key="q"]')`)
	muted := func() bool { s := b.now(m.ID); return s.Muted() != "" }
	press := func(key string, want bool) {
		t.Helper()
		was := w.eval(`+document.querySelector("#case").dataset.revision`)
		w.key(key)
		w.until(fmt.Sprintf(`+document.querySelector("#case")?.dataset.revision > %v`, was))
		if muted() != want {
			t.Errorf("after %s the thread is muted: %v", key, !want)
		}
	}
	press("q", true)
	press("z", false)
	press("q", true)
	press("q", false)
	w.key("?")
	w.until(`document.querySelector("#sheet").open && document.querySelector("#sheet").innerText.includes("Do not answer")`)
}

func TestNoticesAreFoundAgain(t *testing.T) {
	b := newBench(t)
	m := b.question("1", "When do you open?")
	lead, aya := b.as("ken", everywhere, identity.Approver), b.as("aya", everywhere, identity.Agent)
	rin := b.as("rin", []string{"hoshi"}, identity.Agent)
	path := "/cases/" + string(m.ID)
	aya.want(aya.get("/notices"), 200, "Nothing was told", `id="count-notices" hidden`)
	lead.want(lead.post(path+"/assign", "to", "aya"), 303)
	a := aya.want(aya.get("/notices"), 200, "Assigned to you Ken", "When do you open?", `class="unread"`, `id="count-notices">1<`)
	aya.want(aya.get("/notices"), 200, `class="unread"`) // looking at the list is not reading
	lead.want(lead.get("/notices"), 200, "!Assigned to you")
	to := regexp.MustCompile(`/notices/[A-Z0-9]+`).FindString(a.body)
	if a := aya.want(aya.get(to), 303); a.Header.Get("Location") != "/queue?view=all&case="+string(m.ID) {
		t.Errorf("leads to %s", a.Header.Get("Location"))
	}
	aya.want(aya.get("/notices"), 200, "Assigned to you Ken", `!class="unread"`)
	aya.want(aya.post(path+"/claim"), 303)
	lead.want(lead.post(path+"/claim", "take", "yes"), 303)
	aya.want(aya.get("/queue"), 200, `id="count-notices">1<`)
	aya.want(aya.post("/notices/read"), 303)
	aya.want(aya.get("/notices"), 200, "Taken over by Ken", `!class="unread"`, `!id="count-notices">`)
	rin.want(rin.get(to), 303)
	b.put(casework.Notify(t.Context(), b.Bus, casework.Notice{Staff: []string{"rin"}, Case: m.ID, What: "deadline"}, time.Now()))
	rin.want(rin.get("/notices"), 200, "The deadline is near", "may not see any more", "!When do you open?")
}
