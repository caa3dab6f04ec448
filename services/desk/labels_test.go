package desk

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/services/indexer"
)

// now is a case as its events have it, once the index has them too.
func (b *bench) now(id mention.ID) casework.State {
	b.t.Helper()
	s, ok, err := b.Cases.Touched(b.t.Context(), id)
	b.put(err)
	if !ok {
		b.t.Fatalf("%s is untouched", id)
	}
	if b.indexed {
		b.put(b.Index.Wait(b.t.Context(), casework.Events().Stream(), s.Last))
	}
	return s
}

var textHash = regexp.MustCompile(`name="text" value="([0-9a-f]+)"`)

// label fills the form as somebody without JavaScript does.
func (v *visitor) label(m *mention.Mention, pairs ...string) answer {
	v.t.Helper()
	return v.post("/cases/"+string(m.ID)+"/judge", append([]string{"text", m.Revision.Hash}, pairs...)...)
}

func TestLabelsAreCorrectedWithoutJavaScript(t *testing.T) {
	t.Parallel()
	b := newBench(t, indexer.Service)
	m := b.angry()
	path := "/cases/" + string(m.ID)
	v := b.as("aya", everywhere, identity.Agent)
	v.want(v.get(path), 200, path+`/labels"`, `data-key="l"`, "Threat to publish", "!Judged by a person")
	form := v.want(v.get(path+"/labels"), 200, `<option value="announced" selected>`, `value="I will post the recording t"`, `name="intent" value="complaint" checked`,
		`name="page" value="no" checked`, "!<script>alert")
	if h := textHash.FindStringSubmatch(form.body); h == nil || h[1] != m.Revision.Hash {
		t.Fatal("the form does not say which text it is of")
	}
	rest := []string{"sentiment", "negative", "intent", "complaint", "disposition", "answer", "page", "yes"}
	with := func(more ...string) []string { return append(more, rest...) }

	v.want(v.label(&m, with("risk", "churn", "words.churn", "never again")...), 422, "do not stand in the post", `value="never again"`, `id="risk-churn" checked`)
	v.want(v.label(&m, "sentiment", "negative", "intent", "complaint", "disposition", "answer"), 422, "choose in every row")
	v.want(v.post(path+"/judge", with("text", "0000")...), 422, "has changed since")
	v.want(v.label(&m, with("risk", "doom")...), 303) // what there isn't is not taken
	v.want(v.post(path+"/unjudge"), 303)
	v.want(v.label(&m, with("risk", "repeat_contact", "words.repeat_contact", "NEVER  calls back")...), 303)
	s := b.now(m.ID)
	l := s.Judged().Labels
	if !s.Verdict.Has(mention.PublicityThreat) || len(l.Risks) != 1 || between(m.Content(), l.Risks[0].Start, l.Risks[0].End) != "never calls back" || !l.Page {
		t.Fatalf("labels %+v", l)
	}
	v.want(v.get(path), 200, "Judged by a person", "Aya", "Threat to publish, and it is not", "nothing of: Asked again", "PR need not see it", "never calls back</mark>", path+"/unjudge", "said what the labels are")
	v.want(v.get("/queue?view=all&risk=repeat_contact"), 200, string(m.ID), "Asked again")
	v.want(v.get("/api/v1"+path), 200, `"judged":{"by":"aya"`, `"page":true,"risks":["repeat_contact"]`, `"category":"publicity_threat"`)
	v.want(v.get("/queue?view=all&risk=publicity_threat"), 200, "!"+string(m.ID))

	v.want(v.post(path+"/unjudge"), 303)
	b.now(m.ID)
	v.want(v.get("/queue?view=all&risk=publicity_threat"), 200, string(m.ID))
	v.want(v.post(path+"/unjudge"), 409)

	for who, c := range map[string]struct {
		role   identity.Role
		brands []string
		status int
	}{"pat": {identity.Product, everywhere, 403}, "zoe": {identity.Agent, []string{"hoshi"}, 404}} {
		o := b.as(who, c.brands, c.role)
		o.want(o.get(path+"/labels"), c.status)
		o.want(o.label(&m, rest...), c.status)
	}
}

// TestLabelsByKeyboard is the journey in a browser: a key, words selected in the
// post, saving, undoing.
func TestLabelsByKeyboard(t *testing.T) {
	b := newBench(t, indexer.Service)
	m := b.angry()
	w := b.window(t, b.as("aya", everywhere, identity.Agent))
	w.run(chromedp.Navigate(b.server.URL + "/queue"))
	w.key("j")
	w.until(fmt.Sprintf(`document.querySelector("#case")?.dataset.id === %q`, m.ID))
	w.key("l")
	w.until(`document.querySelector("#labels-title")?.innerText === "What is it?" && !document.querySelector("[data-take]").hidden`)
	// The words that the verdict shows, and some before them: the number between
	// is not part of them.
	w.eval(`(() => {
		document.querySelector("#labels-title").closest("form").querySelector("details").open = true;
		document.querySelector("#risk-churn").click();
		const body = document.querySelector(".said .body"), mark = body.querySelector("mark");
		const range = document.createRange();
		range.setStart(mark.previousSibling, mark.previousSibling.length - 4);
		range.setEnd(mark.lastChild, 7); // with the joiner behind the number
		getSelection().removeAllRanges(); getSelection().addRange(range);
	})()`)
	w.until(`document.querySelector("[data-take=words-churn]").classList.contains("primary")`)
	w.eval(`document.querySelector("[data-take=words-churn]").click()`)
	w.until(`document.querySelector("#words-churn").value === "and I will"`)
	w.run(chromedp.KeyEvent("\r", chromedp.KeyModifiers(2)))
	w.until(`document.querySelector(".judged")?.innerText.includes("nothing of: Leaving")`)
	s := b.now(m.ID)
	if r := s.Judged().Labels.Risks; len(r) != 2 || r[1].Category != mention.Churn || between(m.Content(), r[1].Start, r[1].End) != "and I will" || r[0].Rung != mention.Announced {
		t.Errorf("labels %+v", r)
	}
	w.until(`document.querySelector("#flash").innerText.includes("Labels saved")`)
	w.key("z")
	w.until(`!document.querySelector(".judged") && document.querySelector("#flash").innerText.includes("Taken back")`)
	if s = b.now(m.ID); s.Judged() != nil {
		t.Error("undo undid nothing")
	}
}

// lastWeek makes the desk believe that it is a week later.
func (b *bench) lastWeek() {
	b.Now = func() time.Time { return time.Now().AddDate(0, 0, 7) }
	_, err := b.sample(b.t.Context(), b.Now()) // a list waits for it no longer than it may
	b.put(err)
}

func TestTheWeeklySampleIsJudgedBlind(t *testing.T) {
	b := newBench(t, indexer.Service)
	m := b.angry()
	for i := range 60 {
		b.mention(mention.Post{Platform: "mastodon", NativeID: fmt.Sprint("n", i), Source: "masto", Text: fmt.Sprintf("Kumo again, plain talk %d", i), Author: mention.Author{Handle: "p"}},
			mention.Verdict{Lang: "en", Intent: mention.OtherIntent, Sentiment: mention.Neutral, Disposition: mention.NotForUs})
	}
	v := b.as("aya", everywhere, identity.Agent)
	v.want(v.get("/queue"), 200, "!view=sample")
	b.lastWeek()
	v.want(v.get("/queue"), 200, "view=sample", `Weekly sample <span class="count">30</span>`)
	path := "/cases/" + string(m.ID)
	secrets := []string{"!en.will_post", "!Threat to publish</b>", "!<mark", "!<p class=\"rule\"", "!Complaint</dd>", "!Escalate"}
	list := v.want(v.get("/queue?view=sample"), 200, "30 of 30 left", "to judge", string(m.ID), "!step-2", "!Threat to publish")
	if n := strings.Count(list.body, `<li id="row-`); n != 30 {
		t.Errorf("%d rows", n)
	}
	open := v.want(v.get("/queue?view=sample&case="+string(m.ID)), 200, append(secrets, "Judge by the post alone", `name="sample"`)...)
	v.want(v.get(path+"?view=sample"), 200, append(secrets, "Judge by the post alone")...)
	if strings.Contains(open.body, " checked") || strings.Contains(open.body, " selected") {
		t.Error("the blind form is filled already")
	}
	v.header.Set("Earshot-Part", "case")
	v.want(v.get(path+"?view=sample&case="+string(m.ID)), 200, append(secrets, "Judge by the post alone")...)
	v.header.Del("Earshot-Part")
	hit := regexp.MustCompile(`name="sample" value="([^"]+)"`).FindStringSubmatch(open.body)
	if hit == nil {
		t.Fatal("no place in the sample")
	}
	fields := []string{"sentiment", "negative", "intent", "complaint", "disposition", "answer", "page", "yes", "risk", "publicity_threat", "back", "/queue?view=sample&case=" + string(m.ID)}
	v.want(v.label(&m, append(fields, "sample", "2020-w01 any")...), 422, "the week is over")
	a := v.want(v.label(&m, append(fields, "sample", hit[1])...), 303)
	if to := a.Header.Get("Location"); to != "/queue?view=sample&case="+string(m.ID) {
		t.Errorf("leads to %s", to)
	}
	s := b.now(m.ID)
	if j := s.Judged(); string(j.Sample) != hit[1] || j.OnPage() != casework.Missed || j.On(mention.PublicityThreat) != casework.Right {
		t.Errorf("judgement %+v", j)
	}
	v.want(v.get("/queue?view=sample&case="+string(m.ID)), 200, "29 of 30 left", "Judged by a person", "PR need not see it", "en.will_post")
	v.want(v.label(&m, append(fields, "sample", hit[1])...), 422, "Somebody else has just judged")
	// Another process knows by the index, and another brand's staff see none.
	b.weekly.done = nil
	v.want(v.get("/queue?view=sample"), 200, "29 of 30 left")
	zoe := b.as("zoe", []string{"hoshi"}, identity.Agent)
	zoe.want(zoe.get("/queue?view=sample"), 200, "No sample this week", "!plain talk")
	pat := b.as("pat", everywhere, identity.Product)
	pat.want(pat.get("/queue"), 200, "!view=sample")
}

func TestTheSampleIsWorkedByKeyboard(t *testing.T) {
	b := newBench(t, indexer.Service)
	m := b.angry()
	b.lastWeek()
	w := b.window(t, b.as("aya", everywhere, identity.Agent))
	w.run(chromedp.Navigate(b.server.URL + "/queue?view=sample"))
	w.key("j")
	w.until(fmt.Sprintf(`document.querySelector("#case")?.dataset.id === %q && document.querySelector("#labels-title")?.innerText === "Weekly sample"`, m.ID))
	if got := w.eval(`document.querySelectorAll("mark, .verdict, .history, .actions form").length`); fmt.Sprint(got) != "0" {
		t.Errorf("%v elements tell of the verdict", got)
	}
	w.eval(`for (const [n, v] of [["sentiment", "negative"], ["intent", "complaint"], ["disposition", "answer"], ["page", "no"]]) document.querySelector("input[name=" + n + "][value=" + v + "]").click()`)
	w.run(chromedp.KeyEvent("\r", chromedp.KeyModifiers(2)))
	w.until(`document.querySelector(".judged")?.innerText.includes("Threat to publish, and it is not") && document.querySelector("#sample-left").innerText.startsWith("0 of 1 left")`)
	w.until(fmt.Sprintf(`document.querySelector("#row-%s").innerText.includes("judged")`, m.ID))
}

// A row of the cases behind a figure leads to its case: there is no pane for it.
func TestACaseBehindAFigureOpens(t *testing.T) {
	b := newBench(t, indexer.Service)
	m := b.angry()
	_, err := b.Cases.Do(t.Context(), b.person("aya"), m.ID, casework.Label{Sentiment: mention.Negative, Intent: mention.Complaint, Disposition: mention.Answer})
	b.put(err)
	b.now(m.ID)
	w := b.window(t, b.as("mio", everywhere, identity.PRLead))
	w.run(chromedp.Navigate(b.server.URL + "/quality"))
	w.run(chromedp.Click(`a[href*="label=publicity_threat"][href*="what=wrong"]`))
	w.until(fmt.Sprintf(`document.querySelector("#row-%s a")`, m.ID))
	w.run(chromedp.Click("#row-" + string(m.ID) + " a"))
	w.until(fmt.Sprintf(`location.pathname === "/cases/%s" && document.querySelector(".judged")?.innerText.includes("Threat to publish, and it is not")`, m.ID))
}

// person is an agent as the store of cases knows them.
func (b *bench) person(id string) identity.Viewer {
	s := identity.Staff{ID: id, Name: id, Grants: []identity.Grant{{Role: identity.Agent, Brands: everywhere}}}
	return s.Viewer()
}

func TestQualitySaysWhatPeopleSaid(t *testing.T) {
	t.Parallel()
	b := newBench(t, indexer.Service)
	lead := b.as("mio", everywhere, identity.PRLead)
	lead.want(lead.get("/quality"), 200, "Nothing judged in this time", "press l", "!table figures")
	agent, part := b.as("aya", everywhere, identity.Agent), b.as("rin", []string{"hoshi"}, identity.Product)
	agent.want(agent.get("/quality"), 403)
	agent.want(agent.get("/queue"), 200, `!href="/quality"`)
	for _, role := range []identity.Role{identity.Product, identity.Admin} {
		o := b.as(string(role), everywhere, role)
		o.want(o.get("/quality"), 200, `href="/quality"`)
	}

	hazard := func(n int, lang string) mention.Mention {
		return b.mention(mention.Post{Platform: "web", NativeID: fmt.Sprint("h", n), Source: "feed", Text: fmt.Sprintf("Kumo kettle smokes %d", n), Author: mention.Author{Handle: "p"}},
			mention.Verdict{Lang: lang, Sentiment: mention.Negative, Intent: mention.Complaint, Page: true, PageReason: "safety_hazard: x", Risks: []mention.Risk{{Category: mention.SafetyHazard, Score: .9, Start: 12, End: 18, Rule: "x"}}})
	}
	same := []string{"sentiment", "negative", "intent", "complaint", "disposition", "answer", "page", "yes", "risk", "safety_hazard", "words.safety_hazard", "smokes"}
	var all []mention.Mention
	for n := range 12 {
		lang := "en"
		if n < 4 {
			lang = "ja"
		}
		m := hazard(n, lang)
		all = append(all, m)
		fields := same
		switch n {
		case 0: // wrong, and something else missed
			fields = []string{"sentiment", "neutral", "intent", "question", "disposition", "answer", "page", "no", "risk", "churn"}
		case 5: // right, by other words
			fields = []string{"sentiment", "negative", "intent", "complaint", "disposition", "answer", "page", "yes", "risk", "safety_hazard", "words.safety_hazard", "Kumo"}
		case 11: // nobody judges it, and somebody was woken
			continue
		}
		agent.want(agent.label(&m, fields...), 303)
		b.now(m.ID)
	}
	woken := all[11]
	tagged := mention.Tagged{Mention: woken, Verdict: mention.Verdict{Lang: "en", Page: true, PageReason: "safety_hazard: x"}}
	id := escalation.ID("kumo", "story:x", 1)
	b.record(id, escalation.Open(&tagged, escalation.ByVerdict, escalation.Wake))
	lead.want(lead.post("/escalations/"+id+"/wrong"), 303)
	lead.want(lead.get("/escalations/"+id), 200, "Say what it is instead", "/cases/"+string(woken.ID)+"/labels")
	lead.want(lead.get("/cases/"+string(woken.ID)+"/labels"), 200, `name="page" value="no" checked`)

	page := lead.want(lead.get("/quality"), 200, "<b>11</b> mentions judged", "<b>9</b> right as they were", "<b>1</b> times", "few cases", "None of it was judged")
	row := func(body, label string) string {
		i := strings.Index(body, `<th scope="row">`+label+"</th>")
		if i < 0 {
			t.Fatalf("no row %s\n%s", label, short(body))
		}
		return body[i : i+strings.Index(body[i:], "</tr>")]
	}
	for label, want := range map[string][]string{
		"PR must see it": {"10 of 12", "83%", "3 of 4", "7 of 8", "55%"},
		"Safety":         {"10 of 11", "91%", "3 of 4", "7 of 7", "what=wrong", "what=moved"},
		"Leaving":        {"–", "what=missed"},
		"Kind":           {"10 of 11", "3 of 4", "what=intent"},
	} {
		for _, w := range want {
			if r := row(page.body, label); !strings.Contains(r, w) {
				t.Errorf("%s lacks %q: %s", label, w, r)
			}
		}
	}
	ja := lead.want(lead.get("/quality?lang=ja"), 200, "<b>4</b> mentions judged")
	if r := row(ja.body, "Safety"); !strings.Contains(r, "3 of 4") || !strings.Contains(r, "too few") || strings.Contains(r, "<b>75%") {
		t.Errorf("few cases get a percentage: %s", r)
	}
	lead.want(lead.get("/quality/cases?days=30&label=safety_hazard&what=wrong"), 200, string(all[0].ID), "!"+string(all[1].ID))
	lead.want(lead.get("/quality/cases?days=30&label=safety_hazard&what=moved"), 200, string(all[5].ID), "!"+string(all[0].ID))
	lead.want(lead.get("/quality/cases?days=30&label=churn&what=missed"), 200, string(all[0].ID))
	lead.want(lead.get("/quality/cases?days=30&label=page&what=wrong"), 200, string(all[0].ID), string(woken.ID), "!"+string(all[2].ID))
	lead.want(lead.get("/quality/cases?days=30&what=alarm"), 200, string(woken.ID), "!"+string(all[0].ID))
	lead.want(lead.get("/quality/cases?days=30&what=nonsense"), 404)
	part.want(part.get("/quality"), 200, "Nothing judged")
	part.want(part.get("/quality/cases?days=30&label=page&what=wrong"), 200, "No cases to show")

	// Whoever was woken has the last word, until somebody judges the whole.
	agent.want(agent.label(&woken, same...), 303)
	b.now(woken.ID)
	again := lead.get("/quality")
	if r := row(again.body, "PR must see it"); !strings.Contains(r, "11 of 12") {
		t.Errorf("after it was judged: %s", r)
	}
	b.Now = func() time.Time { return time.Now().AddDate(0, 0, 60) }
	lead.want(lead.get("/quality?days=30"), 200, "Nothing judged in this time")
	lead.want(lead.get("/quality?days=90"), 200, "<b>12</b> mentions judged")
}
