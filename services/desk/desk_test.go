package desk

import (
	"bytes"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/classify"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
)

func TestTheFirstAdministratorIsMadeByAOneTimeLink(t *testing.T) {
	b := newBench(t)
	b.Sandbox = false
	var out bytes.Buffer
	b.put(b.Welcome(t.Context(), &out))
	link := regexp.MustCompile(`/setup/\S+`).FindString(out.String())
	v := b.visitor()
	v.want(v.get(link), 200, "Set up Earshot")
	v.want(v.post(link, "name", "Aya", "email", "aya@kumo.example", "password", "short"), 422, "at least 12")
	a := v.want(v.post(link, "name", "Aya", "email", "aya@kumo.example", "password", "a long enough sentence"), 303)
	if got := a.Header.Get("Location"); got != "/queue" {
		t.Errorf("leads to %q", got)
	}
	v.want(v.get("/queue"), 200, "Aya", "No mentions yet")
	v.want(b.visitor().post(link, "name", "Eve", "email", "eve@kumo.example", "password", "a long enough sentence"), 410, "used already")
	out.Reset()
	b.put(b.Welcome(t.Context(), &out))
	if out.Len() > 0 {
		t.Errorf("a second start offers a link: %s", out.String())
	}
	other := b.visitor()
	other.want(other.post("/sign-in", "email", "aya@kumo.example", "password", "wrong wrong wrong"), 422, "do not match")
	a = other.want(other.post("/sign-in", "email", "aya@kumo.example", "password", "a long enough sentence", "next", "//evil.example/x", "zone", "Asia/Kathmandu"), 303)
	if got := a.Header.Get("Location"); got != "/queue" {
		t.Errorf("sign-in leads to %q", got)
	}
	other.want(other.get("/me"), 200, `<option value="Asia/Kathmandu" selected>`)
	other.want(other.post("/sign-out"), 303)
	other.want(other.get("/queue"), 303)
}

func TestHostileTextStaysText(t *testing.T) {
	b := newBench(t)
	m := b.angry()
	v := b.as("aya", everywhere, identity.Agent)
	for _, path := range []string{"/queue", "/queue?case=" + string(m.ID), "/cases/" + string(m.ID), "/queue?q=" + url.QueryEscape(`"><script>`)} {
		a := v.want(v.get(path), 200, "!<script>alert", "!Mika <b>", "!onmouseover=x\"", `!"><script>`)
		if !strings.Contains(a.Header.Get("Content-Security-Policy"), "script-src 'self'") {
			t.Errorf("%s: policy %q", path, a.Header.Get("Content-Security-Policy"))
		}
	}
	v.want(v.get("/cases/"+string(m.ID)), 200, `<mark class="why step-2"`, "I will post the recording", "en.will_post", "Threat to publish", "announced")
}

// TestALongPostIsFolded: what is marked far down is in sight, the rest one press away.
func TestALongPostIsFolded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	text := strings.Repeat("It is late again and nobody calls. ", 300)
	start := len(text)
	text += "I will post it all. " + strings.Repeat("It is late again and nobody calls. ", 300)
	m := b.mention(mention.Post{Platform: "mastodon", NativeID: "1", Source: "masto", Text: text, Author: mention.Author{ID: "7", Handle: "mika"}},
		mention.Verdict{Lang: "en", Intent: mention.Complaint, Risks: []mention.Risk{{Category: mention.PublicityThreat, Score: .9, Start: start, End: start + 19}}})
	w := b.window(t, b.as("aya", everywhere, identity.Agent))
	w.run(chromedp.Navigate(b.server.URL + "/cases/" + string(m.ID)))
	w.until(`document.querySelectorAll(".said .rest-of").length === 2 && [...document.querySelectorAll(".said .rest-of")].every((d) => !d.open)`)
	w.until(`document.querySelector(".said mark.why").checkVisibility() && document.querySelector(".said mark.why").textContent.endsWith("I will post it all.")`)
	w.eval(`document.querySelector(".said .rest-of > summary").focus()`)
	w.run(chromedp.KeyEvent("\r"))
	w.until(`document.querySelector(".said .rest-of").open && document.querySelector(".said .body").innerText.length > 10000`)
}

// TestAPostOfXIsShownAsXAsks: name, @handle and time lead to X, accounts and
// hashtags are links, X's mark is there, and our marks can be taken off.
func TestAPostOfXIsShownAsXAsks(t *testing.T) {
	b := newBench(t)
	m := b.mention(mention.Post{
		Platform: "x", NativeID: "9", URL: "https://x.com/ravi/status/9", Text: "@kumo #dock or I will post the recording, see https://ravi.example/a.",
		Author: mention.Author{Handle: "ravi", Name: "ravi", URL: "https://x.com/ravi"},
	}, mention.Verdict{Lang: "en", Intent: mention.Complaint, Sentiment: mention.Negative, Risks: []mention.Risk{{Category: mention.PublicityThreat, Score: .9, Start: 15, End: 42, Rung: mention.Announced}}})
	v := b.as("aya", everywhere, identity.Agent)
	path := "/cases/" + string(m.ID)
	v.want(v.get(path), 200, `<a href="https://x.com/ravi" rel="noopener noreferrer nofollow" target="_blank">ravi</a>`, "@ravi</a>",
		`<a href="https://x.com/ravi/status/9" rel="noopener noreferrer nofollow" target="_blank"><time`, "View on X", `class="x-mark"`,
		`<a href="https://x.com/kumo"`, `<a href="https://x.com/hashtag/dock"`, `<a href="https://ravi.example/a"`, `<mark class="why`, "Hide the marks")
	v.want(v.post(path+"/marks", "marks", "off", "back", path), 303)
	v.want(v.get(path), 200, `!<mark class="why`, "Show the marks", "I will post the recording", `<a href="https://x.com/kumo"`)
	v.want(v.post(path+"/marks"), 303)
	v.want(v.get(path), 200, `<mark class="why`)
}

// TestNothingIsChosenThatNobodyChose: a place with choices says nothing until one is made.
func TestNothingIsChosenThatNobodyChose(t *testing.T) {
	b := newBench(t)
	b.put(settings.Templates.Put(t.Context(), b.Settings, "cli", "stop", 0, casework.Template{
		ID: "stop", Name: "Stop", Lang: "en",
		Versions: []casework.TemplateVersion{{N: 1, Status: casework.TemplateApproved, Apology: casework.LimitedApology, Body: "{{stop}}.",
			Slots: []casework.Slot{{Name: "stop", Type: "choice", Choices: []string{"Please unplug it", "Please eat no more of it"}, Required: true}}}},
	}))
	m := b.question("1", "The dock smells of burning. What now?")
	v := b.as("aya", everywhere, identity.Agent)
	path := "/cases/" + string(m.ID)
	v.want(v.post(path+"/claim"), 303)
	v.want(v.get(path+"/pick"), 200, "Apology: limited")
	v.want(v.post(path+"/fill", "template", "stop", "kind", "first"), 200, `<option value="" selected>Choose one</option>`, ">{{stop}}.<")
	v.want(v.post(path+"/fill", "template", "stop", "was", "stop", "kind", "first", "slot.stop", "Please unplug it"), 200, "!Choose one", ">Please unplug it.<")
}

func TestAnAgentAnswersFromATemplate(t *testing.T) {
	b := newBench(t)
	b.template()
	m := b.mention(mention.Post{Platform: "mastodon", NativeID: "9", Source: "masto", URL: "https://social.example/9", Text: "Does the Kumo dock fit?", Author: mention.Author{Handle: "ravi", Name: "Ravi"}},
		mention.Verdict{Lang: "en", Intent: mention.Question, Sentiment: mention.Neutral})
	b.put(settings.Sources.Put(t.Context(), b.Settings, "cli", "masto", 0, settings.Source{ID: "masto", Name: "@kumo", Kind: "mastodon", Config: []byte(`{"server":"https://social.example","token":"env:EARSHOT_SECRET_X"}`)}))
	v := b.as("aya", everywhere, identity.Agent)
	path := "/cases/" + string(m.ID)
	v.want(v.post(path+"/claim", "back", "/queue"), 303)
	v.want(v.get("/queue"), 200, "Claimed.", "In hand")
	v.want(v.get(path+"?mode=hold"), 200, "We report by", `<option value="interim" selected>`)
	v.header.Set("Earshot-Part", "composer")
	v.want(v.post(path+"/fill", "template", "hold", "kind", "first"), 200, "Dear Ravi, we are looking into {{matter}}", `name="slot.matter"`, "!<html")
	v.header.Del("Earshot-Part")
	v.want(v.post(path+"/check", "template", "hold", "kind", "first", "version", "0", "text", "Dear Ravi, we are looking into {{matter}}."), 200, "This will be public")
	v.want(v.post(path+"/send", "hash", "wrong"), 422, "matter")
	a := v.want(v.post(path+"/check", "template", "hold", "was", "hold", "kind", "first", "version", "1", "slot.matter", "the dock", "text", "Dear Ravi, we are looking into the dock. Aya"), 200,
		"This will be public", "Publish as @kumo", "https://social.example/9", "In 10 seconds")
	hash := regexp.MustCompile(`name="hash" value="([0-9a-f]+)"`).FindStringSubmatch(a.body)
	if hash == nil {
		t.Fatal("no hash to send")
	}
	v.want(v.post(path+"/send", "hash", hash[1]), 303)
	s, _, err := b.Cases.Touched(t.Context(), m.ID)
	b.put(err)
	if s.Outgoing == nil || s.Outgoing.Draft.Text != "Dear Ravi, we are looking into the dock. Aya" || s.Outgoing.By != "aya" || s.Outgoing.Draft.Account != "masto" {
		t.Fatalf("on its way: %+v", s.Outgoing)
	}
	v.want(v.get(path), 200, "The reply leaves at", path+"/stop")
	v.want(v.post(path+"/stop"), 303)
}

func TestAGraveReplyWaitsForASecondPerson(t *testing.T) {
	b := newBench(t)
	m := b.angry()
	writer, approver := b.as("aya", everywhere, identity.Approver), b.as("ken", everywhere, identity.Approver)
	path := "/cases/" + string(m.ID)
	writer.want(writer.post(path+"/check", "kind", "first", "version", "0", "text", "We are sorry for the wait."), 303)
	writer.want(writer.get(path), 200, "Awaiting approval", "somebody else approves", "!"+path+"/approve\"")
	a := approver.want(approver.get(path), 200, "asks for approval", "We are sorry for the wait.", path+"/approve")
	hash := regexp.MustCompile(`name="hash" value="([0-9a-f]+)"`).FindStringSubmatch(a.body)
	writer.want(writer.post(path+"/approve", "hash", hash[1]), 403)
	approver.want(approver.post(path+"/send-back", "note", "Say by when."), 303)
	writer.want(writer.get(path), 200, "Sent back by Ken: Say by when.", "!approved this text")
	writer.want(writer.get("/notices"), 200, "Ken sent your reply back.")
	writer.want(writer.post(path+"/check", "kind", "first", "version", "1", "text", "We call you today before 17:00."), 303)
	a = approver.get(path)
	hash = regexp.MustCompile(`name="hash" value="([0-9a-f]+)"`).FindStringSubmatch(a.body)
	approver.want(approver.post(path+"/approve", "hash", hash[1]), 303)
	writer.want(writer.get("/notices"), 200, "Ken approved your reply.")
	approver.want(approver.get("/notices"), 200, "Nothing was told")
	writer.want(writer.get(path), 200, "Ken approved this text.")
	writer.header.Set("Earshot-Part", "preview")
	writer.want(writer.post(path+"/preview", "kind", "first", "text", "We call you tomorrow before 17:00."), 200, "!approved this text", "A second person approves this")
	writer.header.Del("Earshot-Part")
	a = writer.want(writer.post(path+"/check", "kind", "first", "version", "2", "text", "We call you today before 17:00."), 200, "Publish it by hand")
	hash = regexp.MustCompile(`name="hash" value="([0-9a-f]+)"`).FindStringSubmatch(a.body)
	writer.want(writer.post(path+"/by-hand", "hash", "wrong"), 409)
	writer.want(writer.post(path+"/by-hand", "hash", hash[1]), 303)
	a = writer.want(writer.get(path), 200, "Aya is posting this by hand", "We call you today before 17:00.", `data-copy-from="final"`, path+"/posted")
	hash = regexp.MustCompile(`name="hash" value="([0-9a-f]+)"`).FindStringSubmatch(a.body)
	writer.want(writer.post(path+"/posted", "hash", hash[1], "url", "https://social.example/@kumo/2"), 303)
	writer.want(writer.get(path), 200, "Waiting for the customer", "https://social.example/@kumo/2", "posted the reply by hand")
}

func TestOnlyOwnBrandsAreSeen(t *testing.T) {
	b := newBench(t)
	m := b.angry()
	v := b.as("rin", []string{"hoshi"}, identity.PRLead)
	v.want(v.get("/queue?view=all"), 200, "!never calls back")
	v.want(v.get("/cases/"+string(m.ID)), 404)
	v.want(v.post("/cases/"+string(m.ID)+"/claim"), 404)
	v.want(v.get("/brands"), 200, "Hoshi", "!Kumo Café")
	v.want(v.get("/brands/kumo"), 404)
	v.want(v.post("/note", "brand", "kumo", "text", "x", "when", "2026-01-01T10:00"), 403)
}

func TestTheAcknowledgeLinkNeedsNoSignIn(t *testing.T) {
	b := newBench(t)
	b.as("ken", everywhere, identity.PRLead)
	m := b.angry()
	tagged := mention.Tagged{Mention: m, Verdict: mention.Verdict{Lang: "en", Page: true, PageReason: "publicity_threat"}}
	id := escalation.ID("kumo", "story", 1)
	_, err := b.Board.Record(t.Context(), id, escalation.System, time.Now(), func(s *escalation.State) (escalation.Event, bool) {
		return escalation.Open(&tagged, escalation.ByVerdict, escalation.Wake), true
	})
	b.put(err)
	token := b.Signer.Sign(identity.Paged{Escalation: id, Recipient: "ken", Expires: time.Now().Add(time.Hour)})
	v := b.visitor()
	v.want(v.get("/ack/"+token), 200, "Threat to publish", "Acknowledge", "never calls back", "!<script>alert")
	if s, _ := b.Board.Get(id); s.Acked != nil {
		t.Fatal("looking acknowledged it")
	}
	v.want(v.post("/ack/"+token), 303)
	v.want(v.get("/ack/"+token), 200, "Ken acknowledged this", "The calls have stopped")
	v.want(v.post("/ack/"+token+"/wrong"), 303)
	if s, _ := b.Board.Get(id); s.Acked == nil || s.Acked.By != "ken" || s.Acked.Via != "link" || s.FalseAlarm == nil {
		t.Errorf("state %+v", s)
	}
	v.want(v.get("/ack/"+token+"x"), 410, "no longer valid")
	lead := b.as("mio", everywhere, identity.PRLead)
	lead.want(lead.get("/escalations"), 200, "Threat to publish", "Acknowledged")
	lead.want(lead.get("/escalations/"+id), 200, "should not have woken", "Kumo Café")
	lead.want(lead.post("/escalations/"+id+"/resolve"), 303)
	lead.want(lead.get("/escalations"), 200, "No escalations")
}

func TestAnotherSiteCanDoNothing(t *testing.T) {
	b := newBench(t)
	v := b.as("aya", everywhere, identity.PRLead, identity.Admin)
	v.header.Set("Sec-Fetch-Site", "cross-site")
	for _, r := range b.routes() {
		method, path, _ := strings.Cut(r.pattern, " ")
		if method != http.MethodPost {
			continue
		}
		if a := v.do(method, path, nil); a.StatusCode != 403 {
			t.Errorf("%s from another site: %d", r.pattern, a.StatusCode)
		}
	}
}

func TestChangesReachThoseWhoMaySeeThem(t *testing.T) {
	b := newBench(t)
	m := b.angry()
	mine, other := b.as("aya", []string{"kumo"}, identity.Agent), b.as("rin", []string{"hoshi"}, identity.Agent)
	read := func(v *visitor) *bytes.Buffer {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.server.URL+"/events", nil)
		b.put(err)
		resp, err := v.client.Do(req)
		b.put(err)
		var got bytes.Buffer
		timer := time.AfterFunc(2500*time.Millisecond, func() { resp.Body.Close() })
		defer timer.Stop()
		buf := make([]byte, 4096)
		for !strings.Contains(got.String(), "event: new") {
			n, err := resp.Body.Read(buf)
			got.Write(buf[:n])
			if err != nil {
				break
			}
			if strings.Contains(got.String(), "event: counts") {
				b.put(b.Bus.Tell("indexed", map[string]any{"ids": []mention.ID{m.ID}}))
			}
		}
		resp.Body.Close()
		return &got
	}
	if got := read(mine).String(); !strings.Contains(got, string(m.ID)) {
		t.Errorf("stream of the brand's agent: %s", got)
	}
	if got := read(other).String(); strings.Contains(got, string(m.ID)) {
		t.Errorf("stream of another brand's agent: %s", got)
	}
}

func TestABrandIsEditedWithAPreview(t *testing.T) {
	b := newBench(t)
	b.angry()
	v := b.as("aya", everywhere, identity.Admin)
	v.want(v.post("/brands/kumo", "name", "Kumo", "query", "kumo AND (x"), 422, "never closed", "kumo AND (x")
	v.header.Set("Earshot-Part", "preview")
	v.want(v.post("/brands/kumo/preview", "name", "Kumo", "query", "kumo AND recording"), 200, "<b>1</b>", "never calls back", "!<html")
	v.header.Del("Earshot-Part")
	v.want(v.post("/brands/kumo", "name", "Kumo!", "query", "kumo", "urgent", "30"), 303)
	if got, _ := settings.Brands.Get(b.Settings, "kumo"); got.Name != "Kumo!" || got.UrgentMinutes != 30 {
		t.Errorf("stored %+v", got)
	}
	v.want(v.post("/brands/new", "name", "雲", "query", "雲"), 303)
}

func TestATemplateIsApprovedBySomebodyElse(t *testing.T) {
	b := newBench(t)
	a, k := b.as("aya", everywhere, identity.Approver), b.as("ken", everywhere, identity.Approver)
	a.want(a.post("/templates/new", "name", "Thanks", "lang", "en", "kind", "final", "apology", "none", "body", ""), 422, "kept below")
	loc := a.want(a.post("/templates/new", "name", "Thanks", "lang", "en", "kind", "final", "apology", "none", "body", "Thank you, {{author}}, for {{what}}.", "intents", "praise"), 303).Header.Get("Location")
	a.want(a.get(loc), 200, "Draft", "Thank you, Hana, for", "Name of the place what")
	a.want(a.post(loc+"/submit"), 303)
	k.want(k.post(loc, "name", "Thanks", "lang", "en", "kind", "final", "apology", "none", "body", "Typed meanwhile."), 409, "Somebody changed this", "Typed meanwhile.")
	a.want(a.post(loc+"/approve"), 403)
	// What is approved is what was read, not what was asked for since.
	version := func() string {
		seen := regexp.MustCompile(`/approve".*?name="version" value="(\d+)"`).FindStringSubmatch(k.get(loc).body)
		if seen == nil {
			t.Fatal("the approval is not bound to what is shown")
		}
		return seen[1]
	}
	read := version()
	k.want(k.post(loc+"/send-back", "note", "By name, please.", "version", read), 303)
	a.want(a.post(loc, "name", "Thanks", "lang", "en", "kind", "final", "apology", "none", "body", "We are to blame, {{author}}, for {{what}}.", "intents", "praise"), 303)
	a.want(a.post(loc+"/submit"), 303)
	k.want(k.post(loc+"/approve", "version", read), 409)
	k.want(k.post(loc+"/approve", "version", version()), 303)
	k.want(k.get("/templates"), 200, "Thanks")
	a.want(a.post(loc, "name", "Thanks", "lang", "en", "kind", "final", "apology", "none", "body", "Thanks a lot, {{author}}!"), 303)
	a.want(a.get(loc), 200, `class="del"`, `class="add"`, "v2")
	got, _ := settings.Templates.Get(b.Settings, strings.TrimPrefix(loc, "/templates/"))
	if in := got.InForce(); in == nil || in.N != 1 || in.ApprovedBy != "ken" || len(in.Slots) != 1 {
		t.Errorf("in force: %+v", in)
	}
}

// TestOwnWorkIsApprovedBySomebodyElse: who wrote a version stays who wrote it, whoever
// asks for its approval; neither they nor who changed it or asked approves it.
func TestOwnWorkIsApprovedBySomebodyElse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	aya, ben := b.as("aya", everywhere, identity.Approver), b.as("ben", everywhere, identity.Approver)
	ken, mio := b.as("ken", everywhere, identity.Approver).in("ja"), b.as("mio", everywhere, identity.Approver)
	form := func(body string) []string {
		return []string{"name", "Thanks", "lang", "en", "kind", "final", "apology", "none", "body", body}
	}
	loc := aya.want(aya.post("/templates/new", form("Thank you for {{what}}.")...), 303).Header.Get("Location")
	last := func() casework.TemplateVersion {
		got, _ := settings.Templates.Get(b.Settings, strings.TrimPrefix(loc, "/templates/"))
		return got.Versions[len(got.Versions)-1]
	}
	mio.want(mio.post(loc, form("Thank you for {{what}}.")...), 303) // saved, and nothing changed
	ben.want(ben.post(loc, form("Thank you so much for {{what}}.")...), 303)
	ken.want(ken.post(loc+"/submit"), 303)
	if v := last(); v.By != "aya" || len(v.With) != 1 || v.With[0] != "ben" || v.SubmittedBy != "ken" {
		t.Fatalf("%+v", v)
	}
	for _, v := range []*visitor{aya, ben, ken} {
		v.want(v.post(loc+"/approve"), 403)
		v.want(v.get(loc), 200, "!"+loc+"/approve")
	}
	ken.want(ken.get(loc), 200, "<b>Kenさん</b>が第1版の承認を依頼しました", "<b>Ayaさん</b>が第1版を保存しました", "ほかの人が承認します")
	mio.want(mio.get(loc), 200, loc+"/approve", "<b>Ken</b> asked for approval of version 1")
	mio.want(mio.post(loc+"/send-back", "note", "Shorter."), 303)
	mio.want(mio.get(loc), 200, "<b>Mio</b> sent version 1 back")
	aya.want(aya.post(loc+"/submit"), 303)
	ken.want(ken.post(loc+"/approve"), 303) // asked once, has no part in this one
	if v := last(); v.By != "aya" || v.SubmittedBy != "aya" || v.ApprovedBy != "ken" {
		t.Errorf("%+v", v)
	}
	mio.want(mio.get(loc), 200, "<b>Ken</b> approved version 1")
	aya.want(aya.post(loc+"/retire"), 303)
	mio.want(mio.get(loc), 200, "<b>Aya</b> retired it")
}

func TestPeopleAreInvited(t *testing.T) {
	b := newBench(t)
	v := b.as("aya", everywhere, identity.Admin)
	a := v.want(v.post("/staff/new", "name", "Ken", "email", "ken@kumo.example", "roles", "agent", "brands", "kumo"), 200, "Invitation for Ken")
	link := regexp.MustCompile(`http://desk\.test(/invitation/[^<"]+)`).FindStringSubmatch(a.body)[1]
	k := b.visitor()
	k.want(k.get(link), 200, "Welcome to Earshot")
	k.want(k.post(link, "password", "a long enough sentence"), 303)
	k.want(k.get("/queue"), 200, "Ken", "!/staff\"")
	k.want(k.get("/staff"), 403, "not yours to open")
	k.want(b.visitor().get(link), 410)
	v.want(v.post("/staff/aya", "name", "Aya", "email", "aya@kumo.example", "roles", "agent"), 422, "can not take the administrator away")
	a = v.want(v.post("/tokens/new", "name", "shop", "scope", "intake", "brands", "kumo"), 200, "Your new token")
	secret := regexp.MustCompile(`<code id="secret">([^<]+)`).FindStringSubmatch(a.body)[1]
	api := b.visitor()
	api.header.Set("Authorization", "Bearer "+secret)
	api.want(api.get("/api/v1/mentions"), 403, "forbidden")
}

func TestNotesTakePicturesDocumentsAndRecordings(t *testing.T) {
	b := newBench(t)
	v := b.as("aya", everywhere, identity.Agent)
	v.want(v.get("/note"), 200, "On the phone")
	v.want(v.post("/note", "brand", "kumo", "how", "phone", "text", "", "when", "2026-01-02T10:00"), 422, "Please fill this in")
	html := []byte("<html><script>alert(1)</script></html>")
	png := append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 64)...)
	v.want(v.upload("/note", map[string]string{"brand": "kumo", "text": "x", "when": "2026-01-02T10:00"}, "evil.png", html), 422, "evil.png is no picture")
	v.want(v.upload("/note", map[string]string{"brand": "kumo", "text": "with a receipt", "when": "2026-01-02T10:00"}, "領収書.png", png), 303)
	seq, err := bus.Mentions.Last(t.Context(), b.Bus)
	b.put(err)
	kept, err := bus.Mentions.Get(t.Context(), b.Bus, seq)
	b.put(err)
	if len(kept.Value.Media) != 1 || kept.Value.Media[0].Type != mention.Image || kept.Value.Media[0].Alt != "領収書.png" {
		t.Errorf("media %+v", kept.Value.Media)
	}
	m := b.angry()
	path := "/cases/" + string(m.ID)
	v.want(v.upload(path+"/note", map[string]string{"text": "the recording"}, "call.pdf", []byte("%PDF-1.7 x")), 303)
	file := regexp.MustCompile(path + `/files/[a-z0-9]+`).FindString(v.want(v.get(path), 200, "the recording", "call.pdf").body)
	a := v.want(v.get(file), 200, "%PDF-1.7")
	if a.Header.Get("Content-Type") != "application/octet-stream" || !strings.Contains(a.Header.Get("Content-Disposition"), "call.pdf") {
		t.Errorf("headers %v", a.Header)
	}
	v.want(v.get(path+"/files/nothing"), 404)
	outsider := b.as("rin", []string{"hoshi"}, identity.Agent)
	outsider.want(outsider.get(file), 404)
}

func TestAContactNoteComesInLikeAMention(t *testing.T) {
	b := newBench(t)
	v := b.as("aya", everywhere, identity.Agent)
	v.want(v.post("/note", "brand", "kumo", "how", "visit", "text", "I will put this online", "when", "2026-01-02T10:00", "who", "Sato"), 303)
	last, err := bus.Mentions.Last(t.Context(), b.Bus)
	b.put(err)
	e, err := bus.Mentions.Get(t.Context(), b.Bus, last)
	b.put(err)
	if e.Value.Intake != mention.Noted || e.Value.Kind != mention.KindNote || e.Value.Brand != "kumo" || e.Value.Text != "I will put this online" {
		t.Errorf("published %+v", e.Value)
	}
}

func TestEveryPageOpens(t *testing.T) {
	b := newBench(t)
	m := b.angry()
	b.praise()
	b.template()
	for _, lang := range langs {
		v := b.as("aya", everywhere, identity.PRLead, identity.Admin)
		v.want(v.post("/me", "name", "Aya", "lang", lang, "theme", "dark", "density", "compact", "keys", "on", "zone", "Asia/Tokyo"), 303)
		for _, path := range []string{
			"/queue", "/queue?view=mine", "/queue?view=done&facets=1", "/queue?q=傘", "/queue?risk=publicity_threat&sort=oldest", "/queue?case=" + string(m.ID) + "&mode=note",
			"/cases/" + string(m.ID), "/cases/" + string(m.ID) + "/ask/close", "/cases/" + string(m.ID) + "/ask/snooze", "/cases/" + string(m.ID) + "/ask/hand-over", "/cases/" + string(m.ID) + "/ask/escalate",
			"/escalations", "/templates", "/templates/new", "/templates/hold", "/brands", "/brands/new", "/brands/kumo", "/sources", "/sources/new", "/sources/new?kind=feed", "/notifiers", "/notifiers/new?kind=email", "/dead", "/staff", "/staff/new", "/staff/aya", "/tokens/new", "/note", "/me", "/sandbox", "/rules", "/rules/policy/default", "/rules/rules/default", "/rules/team/new", "/rules/playbook/new",
		} {
			a := v.want(v.get(path), 200, `<html lang="`+lang+`" data-theme="dark" data-density="compact"`, "!ZgotmplZ")
			if n := len(a.body); n > 100_000 {
				t.Errorf("%s weighs %d bytes", path, n)
			}
		}
	}
	v := b.as("aya", everywhere, identity.PRLead, identity.Admin)
	v.want(v.get("/nowhere"), 404, "There is nothing here")
	v.want(v.get("/cases/x/ask/nothing"), 404)
	v.want(v.post("/note", "brand", "kumo", "text", strings.Repeat("x", 2<<20)), 413)
}

func TestColleaguesSeeWhoIsOnACase(t *testing.T) {
	b := newBench(t)
	m := b.angry()
	path := "/cases/" + string(m.ID)
	aya, ken := b.as("aya", everywhere, identity.Agent), b.as("ken", everywhere, identity.Agent)
	aya.header.Set("Earshot-Part", "present")
	aya.want(aya.post(path+"/present", "doing", "dancing"), 422)
	aya.want(aya.post(path+"/present", "doing", "editing"), 200, "!Aya")
	for range 50 {
		if len(b.live.present.others(m.ID, "ken", time.Now())) > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	ken.want(ken.get(path), 200, "Aya: writing")
	if got := b.live.present.others(m.ID, "ken", time.Now().Add(time.Minute)); len(got) > 0 {
		t.Errorf("after a minute without a sign: %v", got)
	}
	rin := b.as("rin", []string{"hoshi"}, identity.Agent)
	rin.want(rin.post(path+"/present", "doing", "viewing"), 404)
}

func TestSourcesTellHowAskingForOpinionsFares(t *testing.T) {
	b := newBench(t)
	v := b.as("aya", everywhere, identity.Admin)
	v.want(v.get("/sources"), 200, "!Second opinion")
	a := classify.Asked{Model: "small-<model>", PerHour: 60, PerDay: 500_000}
	a.Turn(time.Now())
	a.Questions, a.Tokens, a.Success = 12, 31_400, time.Now()
	b.put(bus.Cursors.Put(t.Context(), b.Bus, classify.AskedKey, a))
	v.want(v.get("/sources"), 200, "Second opinion", "small-&lt;model&gt;", "48 / 60", "31,400 of 500,000 tokens", "Listening", "!Failing")
	a.Error, a.Next = "POST https://api.example.com: 429", time.Now().Add(time.Hour)
	b.put(bus.Cursors.Put(t.Context(), b.Bus, classify.AskedKey, a))
	v.want(v.get("/sources"), 200, "Failing", "https://api.example.com: 429")
}

func TestASourceIsSetUpFromItsKindsForm(t *testing.T) {
	b := newBench(t)
	v := b.as("aya", everywhere, identity.Admin)
	for _, service := range []string{"fetcher", "replier", "pager"} {
		_, err := b.Settings.OpenKey(t.Context(), t.TempDir(), service)
		b.put(err)
	}
	v.want(v.get("/sources/new"), 200, "mastodon", "bluesky")
	v.want(v.get("/sources/new?kind=mastodon"), 200, `name="config.server"`, `name="config.token" type="password"`, "Access token")
	v.want(v.post("/sources/new", "kind", "mastodon", "name", "Kumo", "config.server", "nonsense", "config.poll", "1s"), 422, "Must be like https://mastodon.social", "20s", "nonsense")
	v.want(v.post("/sources/new", "kind", "mastodon", "name", "Kumo", "brand", "", "config.server", "https://social.example", "config.token", "very-secret-token", "config.hashtags", "kumo cafe", "config.visibility", "public"), 303)
	list := settings.Sources.List(b.Settings)
	if len(list) != 1 {
		t.Fatalf("sources: %+v", list)
	}
	src := list[0]
	if strings.Contains(string(src.Config), "very-secret") || !src.Writes() {
		t.Errorf("stored %s", src.Config)
	}
	a := v.want(v.get("/sources/"+src.ID), 200, "https://social.example", "kept as it is", "!very-secret", "!sealed:")
	v.want(v.post("/sources/"+src.ID, "name", "Kumo", "off", "on", "config.server", "https://social.example", "config.token", "", "config.visibility", "unlisted"), 303)
	after, _ := settings.Sources.Get(b.Settings, src.ID)
	if !after.Off || !strings.Contains(string(after.Config), "sealed:") {
		t.Errorf("after a change: %+v %s", after, a.Status)
	}
	v.want(v.post("/notifiers/new", "kind", "slack", "name", "#pr", "config.url", "https://hooks.example/T/B/secret"), 303)
	v.want(v.get("/notifiers"), 200, "#pr", "slack", "!secret")
	agent := b.as("ken", everywhere, identity.Agent)
	agent.want(agent.get("/sources/"+src.ID), 403)
	agent.want(agent.get("/sources"), 200, "!/sources/new")
}
