package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
	"github.com/earshot/earshot/services/indexer"
)

// asks is a question on a platform, found by a source.
func (b *bench) asks(native, source string, with ...func(*mention.Post)) mention.Mention {
	p := mention.Post{
		Platform: "mastodon", NativeID: native, Source: source, Kind: mention.KindPost, URL: "https://social.example/" + native,
		Text: "Does the Kumo dock fit?", Author: mention.Author{ID: "u1", Handle: "ravi", Name: "Ravi"},
	}
	for _, f := range with {
		f(&p)
	}
	return b.mention(p, mention.Verdict{Lang: "en", Intent: mention.Question, Sentiment: mention.Neutral})
}

func (b *bench) accounts(sources ...settings.Source) {
	b.t.Helper()
	for _, s := range sources {
		b.put(settings.Sources.Put(b.t.Context(), b.Settings, "cli", s.ID, 0, s))
	}
}

const (
	listens = `{"server":"https://social.example"}`
	writes  = `{"server":"https://social.example","token":"env:EARSHOT_SECRET_X"}`
)

func TestWhyAPostCannotBeAnsweredInPlace(t *testing.T) {
	b := newBench(t)
	b.accounts(
		settings.Source{ID: "deaf", Name: "Listens only", Kind: "mastodon", Brand: "kumo", Config: []byte(listens)},
		settings.Source{ID: "hn", Name: "Hacker News", Kind: "hackernews"},
	)
	v, api := b.as("aya", everywhere, identity.Agent), b.token(identity.ScopeRead, "kumo")
	for _, tt := range []struct {
		native string
		with   func(*mention.Post)
		why    source.Reason
		words  string
	}{
		{"a", func(p *mention.Post) { p.Source = "deaf" }, source.NoCredentials, "only listens"},
		{"b", func(p *mention.Post) { p.Platform, p.Source = "hackernews", "hn" }, source.NoReplier, "Earshot can&#39;t answer on"},
		{"c", func(p *mention.Post) { p.NoReply = mention.NotSummoned }, source.NotSummoned, "only when the author has mentioned or quoted us"},
		{"d", func(p *mention.Post) { p.NoReply = mention.Gated }, source.Gated, "limited who may answer"},
		{"e", func(p *mention.Post) { p.NoReply = mention.Closed }, source.Closed, "takes no more answers"},
	} {
		m := b.asks(tt.native, "deaf", tt.with)
		path := "/cases/" + string(m.ID)
		v.want(v.get(path+"?mode=reply"), 200, tt.words)
		var got struct{ Answering apiAnswering }
		a := api.want(api.get("/api/v1"+path), 200)
		b.put(json.Unmarshal([]byte(a.body), &got))
		if got.Answering.Why != tt.why || len(got.Answering.Accounts) != 0 {
			t.Errorf("%s: %+v", tt.why, got.Answering)
		}
	}
	// What holds for the account that found it holds for no other.
	b.accounts(settings.Source{ID: "ours", Name: "@kumo", Kind: "mastodon", Config: []byte(writes)})
	m := b.asks("f", "deaf", func(p *mention.Post) { p.NoReply = mention.NotGranted })
	v.want(v.get("/cases/"+string(m.ID)+"?mode=reply"), 200, "Public, as @kumo", "!does not include answering")
}

func TestTheAccountIsChosen(t *testing.T) {
	b := newBench(t)
	b.accounts(
		settings.Source{ID: "found", Name: "@kumo_news", Kind: "mastodon", Config: []byte(listens)},
		settings.Source{ID: "second", Name: "@kumo_support", Kind: "mastodon", Config: []byte(writes)},
		settings.Source{ID: "first", Name: "@kumo", Kind: "mastodon", Config: []byte(writes)},
		settings.Source{ID: "theirs", Name: "@hoshi", Kind: "mastodon", Brand: "hoshi", Config: []byte(writes)},
		settings.Source{ID: "off", Name: "@old", Kind: "mastodon", Off: true, Config: []byte(writes)},
	)
	boss := b.as("mio", everywhere, identity.Admin)
	boss.want(boss.get("/brands/kumo"), 200, `name="account.mastodon"`, "@kumo_support", "!@hoshi", "!@old", "!kumo_news")
	boss.want(boss.post("/brands/kumo", "name", "Kumo Café", "query", "kumo", "account.mastodon", "second"), 303)
	boss.want(boss.get("/brands/kumo"), 200, `<option value="second" selected>`)
	v := b.as("aya", everywhere, identity.Agent)
	m := b.mention(mention.Post{Platform: "mastodon", NativeID: "1", Source: "found", Text: "Kumo is always late"}, mention.Verdict{Lang: "en", Intent: mention.Complaint})
	path := "/cases/" + string(m.ID)
	v.want(v.get(path+"?mode=reply"), 200, `<option value="second" selected>@kumo_support</option>`, `<option value="first">@kumo</option>`, "!@hoshi", "!@old", "!kumo_news")
	v.want(v.post(path+"/check", "kind", "first", "version", "0", "account", "first", "text", "It does."), 303) // free wording: somebody approves it
	ken := b.as("ken", everywhere, identity.Approver)
	a := ken.want(ken.get(path), 200, "Public, as @kumo to", path+"/approve")
	hash := regexp.MustCompile(`name="hash" value="([0-9a-f]+)"`).FindStringSubmatch(a.body)[1]
	ken.want(ken.post(path+"/approve", "hash", hash), 303)
	// By another account it is another reply, which nobody has approved.
	v.want(v.post(path+"/check", "kind", "first", "version", "1", "account", "second", "text", "It does."), 303)
	ken.want(ken.get(path), 200, "Public, as @kumo_support to", path+"/approve")
	// Nobody speaks by an account of another brand.
	_, err := b.Cases.Do(t.Context(), b.staff("aya"), m.ID, casework.Write{Version: 2, Text: "It does.", Account: "theirs"})
	b.put(err)
	_, err = b.Cases.Do(t.Context(), b.staff("aya"), m.ID, casework.Submit{})
	if r, ok := errors.AsType[*casework.Refused](err); !ok || r.Code != casework.CodeInput {
		t.Errorf("by another brand's account: %v", err)
	}
}

func (b *bench) staff(id string) identity.Viewer {
	s, _ := settings.Staff.Get(b.Settings, id)
	return s.Viewer()
}

// sent is a case whose reply is out as native.
func (b *bench) sent(m *mention.Mention, native string) casework.State {
	b.t.Helper()
	ctx := b.t.Context()
	ken := b.staff("ken")
	_, err := b.Cases.Do(ctx, ken, m.ID, casework.Write{Text: "It does fit.", Account: m.Source})
	b.put(err)
	_, err = b.Cases.Do(ctx, ken, m.ID, casework.TakeByHand{Hash: b.hash(m.ID)})
	b.put(err)
	s, err := b.Cases.Record(ctx, m.ID, func(s *casework.State) (casework.Event, bool) {
		return casework.Event{Kind: casework.Posted, Draft: &s.ByHand.Draft, URL: "https://social.example/" + native, Native: native, Follow: true}, true
	})
	b.put(err)
	docs, err := b.Index.Get(ctx, search.SeesAll(), m.ID)
	b.put(err)
	docs[0].Sent, docs[0].Owner = []string{native}, search.OwnerCase
	b.put(b.Index.Write(ctx, search.Batch{Upserts: docs}))
	return s
}

func (b *bench) hash(id mention.ID) string {
	s, _, err := b.Cases.Touched(b.t.Context(), id)
	b.put(err)
	return s.Hash(s.Draft)
}

func TestTheThreadOfACase(t *testing.T) {
	b := newBench(t)
	v, api := b.as("ken", everywhere, identity.Agent, identity.PRLead), b.token(identity.ScopeRead, "kumo")
	m := b.asks("1", "masto", func(p *mention.Post) {
		p.Comments = []mention.Comment{{NativeID: "c1", Author: "taro", Text: "Mine <b>did</b> not."}, {NativeID: "r1", Text: "It does fit.", Ours: true}, {NativeID: "c2", Text: "Old answer of ours", Ours: true}}
	})
	b.sent(&m, "r1")
	path := "/cases/" + string(m.ID)
	v.want(v.get(path), 200, "Mine &lt;b&gt;did&lt;/b&gt; not.", "below the post", "Old answer of ours", "our answer on the platform", "found the reply that was posted by hand")
	record := func(f func(s *casework.State) (casework.Event, bool)) {
		t.Helper()
		_, err := b.Cases.Record(t.Context(), m.ID, f)
		b.put(err)
	}
	record(func(s *casework.State) (casework.Event, bool) {
		return s.Seeing("r1", &mention.Post{Text: "It never fits.", Metrics: mention.Metrics{Likes: mention.Count(4)}})
	})
	v.want(v.get(path), 200, "Our reply reads differently", "It never fits.", "<b>4</b> likes")
	record(func(s *casework.State) (casework.Event, bool) { return s.Seeing("r1", &mention.Post{Deleted: true}) })
	v.want(v.get(path), 200, "Our reply is no longer there", "saw that our reply is no longer there")
	// An answer to our reply is a mention of its own, and stands in both.
	answer := b.asks("2", "masto", func(p *mention.Post) { p.Text, p.Thread.Parent = "Kumo it does not fit at all", "r1" })
	record(func(s *casework.State) (casework.Event, bool) {
		return s.WroteAgain(&mention.Tagged{Mention: answer, Verdict: mention.Verdict{Disposition: mention.Answer}})
	})
	v.want(v.get(path), 200, "Kumo it does not fit at all", "answers us", "/cases/"+string(answer.ID), "heard an answer to our reply")
	v.want(v.get("/cases/"+string(answer.ID)), 200, "In answer to our reply", "It does fit.", path)
	var got struct {
		Status   casework.Status
		Replies  []apiReply
		Answers  []apiAnswer
		Comments []apiComment
	}
	b.put(json.Unmarshal([]byte(api.want(api.get("/api/v1"+path), 200).body), &got))
	if got.Status != casework.New || len(got.Replies) != 1 || !got.Replies[0].Gone || got.Replies[0].Native != "r1" || len(got.Answers) != 1 || !got.Answers[0].ByAuthor || len(got.Comments) != 3 {
		t.Errorf("%+v", got)
	}
}

func TestAnAnswerThatReadersDoNotSee(t *testing.T) {
	b := newBench(t)
	v, api := b.as("ken", everywhere, identity.Agent), b.token(identity.ScopeRead, "kumo")
	m := b.asks("1", "masto", func(p *mention.Post) {
		p.Comments = []mention.Comment{{NativeID: "r1", Text: "It does fit.", Ours: true, State: mention.Pending}, {NativeID: "r2", Text: "Call us.", Ours: true, State: mention.Rejected}}
	})
	path := "/cases/" + string(m.ID)
	v.want(v.get(path), 200, "It does fit.", "not shown to readers yet", "Call us.", "it breaks its rules")
	b.sent(&m, "r1") // it was ours: it waits all the same
	v.want(v.get(path), 200, "It does fit.", "not shown to readers yet", "it breaks its rules")
	var got struct{ Comments []apiComment }
	b.put(json.Unmarshal([]byte(api.want(api.get("/api/v1"+path), 200).body), &got))
	if len(got.Comments) != 2 || got.Comments[0].State != "pending" || got.Comments[1].State != "rejected" {
		t.Errorf("%+v", got)
	}
}

// On a platform that holds one answer, the one shown before it is overwritten is
// what stands there now, whoever wrote it last.
func TestTheAnswerThatIsOverwritten(t *testing.T) {
	b := newBench(t)
	b.accounts(settings.Source{ID: "play", Kind: "googleplay", Config: []byte(`{"package":"com.acme","key":"env:EARSHOT_SECRET_X"}`)})
	v := b.as("ken", everywhere, identity.PRLead)
	m := b.asks("1", "play", func(p *mention.Post) { p.Platform, p.ReplyRef = "googleplay", "1" })
	b.sent(&m, "1#reply")
	path := "/cases/" + string(m.ID)
	v.want(v.get(path+"?mode=reply"), 200, "Sending overwrites our answer that is there")
	changed := []mention.Comment{{NativeID: "1#reply", Text: "Changed in the console.", Ours: true, At: time.Now().Add(time.Hour)}}
	_, err := b.Cases.Record(t.Context(), m.ID, func(s *casework.State) (casework.Event, bool) {
		now := s.Mention.Post
		now.Comments = changed
		return s.SeeingPost(&now)
	})
	b.put(err)
	page := v.want(v.get(path+"?mode=reply"), 200, "Our reply reads differently").body
	if strings.Count(string(page), "Changed in the console.") != 2 {
		t.Errorf("in the thread and above the text: %d", strings.Count(string(page), "Changed in the console."))
	}
}

func TestWhyAReplyWasNotPublished(t *testing.T) {
	b := newBench(t)
	b.accounts(settings.Source{ID: "masto", Name: "@kumo", Kind: "mastodon", Config: []byte(writes)})
	v := b.as("ken", everywhere, identity.PRLead)
	m := b.asks("1", "masto")
	path := "/cases/" + string(m.ID)
	for _, tt := range []struct {
		reason source.Reason
		words  []string
	}{
		{source.Duplicate, []string{"has this very text from us already", "in other words"}},
		{source.Limited, []string{"takes no more replies from us for now", "takes another from"}},
		{source.Revoked, []string{"no longer lets us in", "connect the account again"}},
		{"", []string{"could not be published", "no way, said the platform"}},
	} {
		s, err := b.Cases.Get(t.Context(), b.staff("ken"), m.ID)
		b.put(err)
		version := 0
		if s.Draft != nil {
			version = s.Draft.Version
		}
		_, err = b.Cases.Do(t.Context(), b.staff("ken"), m.ID, casework.Write{Version: version, Text: "It does.", Account: "masto"})
		b.put(err)
		s, err = b.Cases.Do(t.Context(), b.staff("ken"), m.ID, casework.Send{Hash: b.hash(m.ID)})
		b.put(err)
		e := casework.Event{Kind: casework.SendFailed, Attempt: s.Outgoing.Attempt, Text: "no way, said the platform", Reason: string(tt.reason)}
		if tt.reason == source.Limited {
			e.Until = time.Now().Add(time.Hour)
		}
		_, err = b.Cases.Record(t.Context(), m.ID, func(*casework.State) (casework.Event, bool) { return e, true })
		b.put(err)
		v.want(v.get(path), 200, tt.words...)
	}
	for _, lang := range []string{"en", "ja"} {
		for _, r := range source.Reasons {
			if !b.pages.words[lang].has("reason."+string(r)) || !b.pages.words[lang].has("reason."+string(r)+".then") {
				t.Errorf("%s: no words for %s", lang, r)
			}
		}
	}
}

// What stands in the way is told in the viewer's language, with the far side's
// words as a quotation; what was kept before it was told so stands as it was.
func TestSetbacksAreToldInTheViewersLanguage(t *testing.T) {
	b := newBench(t, indexer.Service)
	b.accounts(settings.Source{ID: "masto", Name: "@kumo", Kind: "mastodon", Config: []byte(writes)})
	viewers := map[string]*visitor{"en": b.as("ken", everywhere, identity.PRLead), "ja": b.as("rin", everywhere, identity.PRLead)}
	viewers["ja"].want(viewers["ja"].post("/me", "name", "Rin", "lang", "ja", "theme", "dark", "density", "compact", "keys", "on", "zone", "Asia/Tokyo"), 303)
	said := func(t outbound.Trouble, text string) casework.Event {
		return casework.Event{Text: text, Trouble: t}
	}
	// What an outbox says besides: what happened, whose it is, what to do next.
	fate := map[string][]string{
		"en unsure": {"Nobody knows whether the reply is out", "<dt>Since</dt>", "<dt>Whose it is</dt><dd>Ken</dd>", "<dt>Next</dt><dd>Open the post and look"},
		"ja unsure": {"返答が公開されたか確認できません", "<dt>発生</dt>", "<dt>担当</dt><dd>Ken</dd>", "<dt>次にすること</dt><dd>投稿を開き"},
		"en failed": {"The reply could not be published", "<dt>Since</dt>", "<dt>Whose it is</dt><dd>Ken</dd>", "<dt>Next</dt><dd>"},
		"ja failed": {"返答を公開できませんでした", "<dt>発生</dt>", "<dt>担当</dt><dd>Ken</dd>", "<dt>次にすること</dt><dd>"},
	}
	state := map[string]string{"en unsure": "Reply in doubt", "ja unsure": "公開を要確認", "en failed": "Reply not published", "ja failed": "公開できず"}
	gone := casework.Event{Text: "the post that it answers was erased", Reason: string(source.PostGone)}
	for i, c := range []struct {
		kind   casework.Kind
		e      casework.Event
		en, ja []string
	}{
		{casework.SendUnsure, said(outbound.Trouble{Reason: outbound.TimedOut, Host: "fedi.example"}, "POST https://fedi.example/api: no answer"),
			[]string{"fedi.example did not answer in time.", "!no answer", "!This mostly passes"}, []string{"fedi.exampleから時間内に応答がありませんでした", "!no answer"}},
		{casework.SendUnsure, said(outbound.Trouble{Reason: outbound.Interrupted}, "the call was cut short"),
			[]string{"The service and Earshot lost touch", "!cut short"}, []string{"処理の途中でEarshotが停止した", "!cut short"}},
		{casework.SendUnsure, gone, []string{"The post is no longer there"}, []string{"投稿が見当たりません。削除されたか、", "!was erased"}},
		{casework.SendUnsure, said(outbound.Trouble{}, "502 from long ago"), []string{"502 from long ago"}, []string{"接続先とのやり取りで問題が発生しました", "502 from long ago"}},
		{casework.SendFailed, said(outbound.Trouble{Reason: outbound.ServerError, Host: "fedi.example", Status: 503, Said: "maintenance"}, "POST: 503"),
			[]string{"fedi.example has trouble of its own. (HTTP 503)", `<q lang="en">maintenance</q>`, "!POST: 503"}, []string{"maintenance", "!POST: 503", "!trouble of its own"}},
		{casework.SendFailed, casework.Event{Text: "looked for by hand: not published", Reason: string(source.NotThere)},
			[]string{"A colleague looked"}, []string{"返答は公開されていませんでした", "!by hand"}},
	} {
		m := b.asks(fmt.Sprint("s", i), "masto")
		_, err := b.Cases.Do(t.Context(), b.staff("ken"), m.ID, casework.Write{Text: "It does.", Account: "masto"})
		b.put(err)
		s, err := b.Cases.Do(t.Context(), b.staff("ken"), m.ID, casework.Send{Hash: b.hash(m.ID)})
		b.put(err)
		c.e.Kind, c.e.Attempt = c.kind, s.Outgoing.Attempt
		s, err = b.Cases.Record(t.Context(), m.ID, func(*casework.State) (casework.Event, bool) { return c.e, true })
		b.put(err)
		b.put(b.Index.Wait(t.Context(), casework.Events().Stream(), s.Last))
		for lang, want := range map[string][]string{"en": c.en, "ja": c.ja} {
			viewers[lang].want(viewers[lang].get("/cases/"+string(m.ID)), 200, want...)
			list := map[casework.Kind]string{casework.SendUnsure: "unsure", casework.SendFailed: "failed"}[c.kind]
			viewers[lang].want(viewers[lang].get("/outbox?list="+list), 200, append([]string{want[0], `class="out" href="` + m.URL + `"`}, fate[lang+" "+list]...)...)
			viewers[lang].want(viewers[lang].get("/queue?view=all&case="+string(m.ID)), 200, "failing\">"+state[lang+" "+list]+"<", "!>"+map[string]string{"en": "In hand", "ja": "対応中"}[lang]+"<")
		}
	}
}

// TestWhatBecameOfAReplyIsChosen: neither answer is there beforehand, Enter alone
// decides nothing, and what was typed stays beside a refusal.
func TestWhatBecameOfAReplyIsChosen(t *testing.T) {
	t.Parallel()
	b := newBench(t, indexer.Service)
	b.accounts(settings.Source{ID: "masto", Name: "@kumo", Kind: "mastodon", Config: []byte(writes)})
	lead := b.as("ken", everywhere, identity.PRLead)
	unsure := func(id string) string {
		m := b.asks(id, "masto")
		_, err := b.Cases.Do(t.Context(), b.staff("ken"), m.ID, casework.Write{Text: "It does.", Account: "masto"})
		b.put(err)
		s, err := b.Cases.Do(t.Context(), b.staff("ken"), m.ID, casework.Send{Hash: b.hash(m.ID)})
		b.put(err)
		_, err = b.Cases.Record(t.Context(), m.ID, func(*casework.State) (casework.Event, bool) {
			return casework.Event{Kind: casework.SendUnsure, Attempt: s.Outgoing.Attempt}, true
		})
		b.put(err)
		return "/cases/" + string(m.ID)
	}
	path := unsure("1")
	lead.want(lead.get(path+"/ask/settle"), 200, `name="outcome" value="published" required`, `name="outcome" value="not_published" required`)
	lead.want(lead.post(path+"/settle", "url", ""), 422, "Say whether the reply was published", `name="url"`)
	lead.want(lead.post(path+"/settle", "url", "https://social.example/9"), 422, "Say whether", `value="https://social.example/9"`)
	lead.want(lead.post(path+"/settle", "outcome", "not_published", "url", "https://social.example/9"), 422, "has no link", `value="https://social.example/9"`, `value="not_published" checked`)
	lead.want(lead.post(path+"/settle", "outcome", "published"), 422, "address of the published reply", `value="published" checked`)
	if s := b.now(mention.ID(path[len("/cases/"):])); s.Outgoing == nil || !s.Outgoing.Unsure {
		t.Fatal("decided without a word")
	}
	lead.want(lead.in("ja").post(path+"/settle", "url", ""), 422, "返答が公開されたかどうかを選んでください。")
	lead.want(lead.post(path+"/settle", "outcome", "published", "url", "https://social.example/9"), 303)
	if s := b.now(mention.ID(path[len("/cases/"):])); len(s.Replies) != 1 {
		t.Errorf("%d replies", len(s.Replies))
	}

	path = unsure("2")
	w := b.window(t, lead)
	w.run(chromedp.Navigate(b.server.URL + path + "/ask/settle"))
	w.until(`document.querySelector('[name="url"]')`)
	w.eval(`document.querySelector('[name="url"]').focus()`)
	w.key("\r")
	w.until(`document.activeElement.name === "outcome" && !document.querySelector('[name="outcome"]:checked')`) // the browser asks for it
	if s := b.now(mention.ID(path[len("/cases/"):])); s.Outgoing == nil {
		t.Fatal("Enter decided")
	}
	w.key(kb.ArrowDown)
	w.until(`document.querySelector('[name="outcome"]:checked').value === "not_published"`)
	w.key("\r")
	w.until(`!document.querySelector('[name="outcome"]')`)
	if s := b.now(mention.ID(path[len("/cases/"):])); s.Outgoing != nil || s.Draft == nil {
		t.Error("not settled by the keyboard")
	}
}

// TestALapsedApprovalIsSaid: whoever wrote the reply is told, and sees whose approval
// it was and that another one is needed.
func TestALapsedApprovalIsSaid(t *testing.T) {
	t.Parallel()
	b := newBench(t, indexer.Service)
	b.accounts(settings.Source{ID: "masto", Name: "@kumo", Kind: "mastodon", Config: []byte(writes)})
	writer, approver := b.as("aya", everywhere, identity.Agent), b.as("ken", everywhere, identity.Approver)
	m := b.mention(mention.Post{Platform: "mastodon", NativeID: "1", Source: "masto", URL: "https://social.example/1", Text: "My lawyer will write.", Author: mention.Author{ID: "1", Handle: "ravi"}},
		mention.Verdict{Lang: "en", Intent: mention.Complaint, Risks: []mention.Risk{{Category: mention.LegalThreat, Score: .9}}})
	path := "/cases/" + string(m.ID)
	writer.want(writer.post(path+"/check", "kind", "first", "version", "0", "text", "We look into it today."), 303)
	hash := approvedHash.FindStringSubmatch(approver.get(path).body)[1]
	_, err := b.Cases.Record(t.Context(), m.ID, func(*casework.State) (casework.Event, bool) {
		return casework.Event{Kind: casework.Approved, Hash: hash, Until: time.Now().Add(-time.Second)}, true
	})
	b.put(err)
	lapsed := "approved this text, but an approval holds for 24 hours and they are over."
	writer.want(writer.get(path+"?mode=reply"), 200, lapsed, "A second person approves this before it is published.")
	writer.soon("/notices", "The approval of your reply has lapsed.")
	writer.want(writer.get(path+"?mode=reply"), 200, lapsed, "withdrew the approval", "!<blockquote lang=\"\">expired")
	approver.want(approver.get("/notices"), 200, "!has lapsed")
	writer.want(writer.post(path+"/check", "kind", "first", "version", "1", "text", "We look into it tomorrow."), 303)
	approver.want(approver.get(path), 200, "Aya asks for approval", "!"+lapsed)
}

func TestWhatReadingAgainCosts(t *testing.T) {
	b := newBench(t)
	b.accounts(settings.Source{ID: "acme-x", Name: "X", Kind: "x", Config: []byte(`{"bearer":"env:EARSHOT_SECRET_X"}`)})
	for _, native := range []string{"1", "2", "3"} {
		b.asks(native, "acme-x", func(p *mention.Post) { p.Platform = "x" })
	}
	b.asks("4", "import", func(p *mention.Post) { p.Platform = "x" }) // X shows any post to any source
	b.asks("5", "fedi")
	v := b.as("ken", everywhere, identity.Admin)
	v.want(v.get("/sources/acme-x"), 200, "4 posts in each pass.", "About $0.60 a month.")
	b.put(bus.Cursors.Put(t.Context(), b.Bus, source.RereadKey("acme-x"), source.Rereading{Ended: time.Now(), Done: 4, Total: 4, Gone: 2, Edited: 1}))
	v.want(v.get("/sources/acme-x"), 200, "4 posts, 2 gone, 1 edited")
	b.put(bus.Cursors.Put(t.Context(), b.Bus, source.RereadKey("acme-x"), source.Rereading{Error: "the month's budget is spent", Next: time.Now()}))
	v.want(v.get("/sources/acme-x"), 200, "It stands still. Something went wrong", "the month&#39;s budget is spent")
}

// One key copies the approved text and opens the post.
func TestCopyAndOpenByKey(t *testing.T) {
	b := newBench(t)
	m := b.asks("1", "deaf", func(p *mention.Post) { p.NoReply = mention.NotSummoned })
	path := "/cases/" + string(m.ID)
	w := b.window(t, b.as("aya", everywhere, identity.Agent))
	w.run(chromedp.Navigate(b.server.URL + path + "?mode=reply"))
	w.until(`document.querySelector("#composer .notice")?.textContent.includes("only when the author has mentioned")`)
	w.eval(`document.getElementById("c-text").value = "It does fit, Ravi."; document.querySelector("#composer [data-send]").click()`)
	w.until(`document.querySelector("#composer [data-copy-open]")`)
	w.eval(`window.open = (url) => { window.opened = url; }; navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }; document.activeElement.blur()`)
	w.key("y")
	w.until(`window.opened === "https://social.example/1" && window.copied === "It does fit, Ravi."`)
	w.until(`document.getElementById("composer").textContent.includes("Aya is posting this by hand")`)
	s, _, err := b.Cases.Touched(t.Context(), m.ID)
	b.put(err)
	if s.ByHand == nil || s.ByHand.By != "aya" || s.ByHand.Draft.Text != "It does fit, Ravi." {
		t.Errorf("%+v", s.ByHand)
	}
}

// TestAReplyAnswersWhatJoined offers the posts of a joined case to a reply, the
// newest that has no answer first.
func TestAReplyAnswersWhatJoined(t *testing.T) {
	b := newBench(t)
	b.accounts(settings.Source{ID: "masto", Name: "@kumo", Kind: "mastodon", Config: []byte(writes)})
	v := b.as("ken", everywhere, identity.Agent, identity.PRLead)
	hour := func(n int) func(*mention.Post) {
		return func(p *mention.Post) { p.PublishedAt = time.Now().Add(time.Duration(n-5) * time.Hour) }
	}
	own := b.asks("1", "masto", hour(0))
	second := b.asks("2", "masto", hour(1), func(p *mention.Post) {
		p.Text, p.Author = "Mine <b>did</b> not fit.", mention.Author{ID: "u2", Handle: "lin", Name: "Lin"}
	})
	path := "/cases/" + string(own.ID)
	v.want(v.get(path+"?mode=reply"), 200, `!name="to"`)
	_, err := b.Cases.Merge(t.Context(), b.staff("ken"), second.ID, own.ID)
	b.put(err)
	v.want(v.get(path+"?mode=reply"), 200, `name="to"`, `<option value="`+string(second.ID)+`" selected>@lin`, `<option value="`+string(own.ID)+`">@ravi`, "to @lin", "Joined this case", "!<b>did")
	// Another choice fills the template again, for whom it answers.
	a := v.want(v.post(path+"/check", "kind", "first", "version", "0", "to", string(second.ID), "text", "It fits with the adapter."), 200, `href="https://social.example/2"`, path+"/send")
	hash := regexp.MustCompile(`name="hash" value="([0-9a-f]+)"`).FindStringSubmatch(a.body)[1]
	if hash == b.hash(own.ID) {
		t.Error("the hash is that of an answer to the case's own post")
	}
	v.want(v.post(path+"/send", "hash", b.hash(own.ID)), 409)
	// Unchanged, it is the draft that is there already.
	v.want(v.post(path+"/check", "kind", "first", "version", "1", "to", string(second.ID), "text", "It fits with the adapter."), 200)
	if s, _, err := b.Cases.Touched(t.Context(), own.ID); err != nil || s.Draft.Version != 1 || s.Draft.To != second.ID {
		t.Fatalf("%+v, %v", s.Draft, err)
	}
	v.want(v.post(path+"/posted", "hash", hash, "url", "https://social.example/our/1"), 303)
	// That one has its answer: the next is for the other.
	v.want(v.post(path+"/reopen"), 303)
	v.want(v.get(path+"?mode=reply"), 200, `<option value="`+string(own.ID)+`" selected>@ravi`, "Answered: @lin")
	// What no longer belongs to it can't be answered from here.
	v.want(v.post(path+"/check", "kind", "first", "version", "0", "to", string(b.asks("3", "masto").ID), "text", "It fits."), 409, "It fits.", "no longer part of this case")
}

// A case shows the answers that others gave and that were heard, and, to whoever
// asks, all that the platform shows now.
func TestAnswersByOthersStandBelowThePost(t *testing.T) {
	b := newBench(t, indexer.Service)
	b.accounts(settings.Source{ID: "masto", Name: "@kumo", Kind: "mastodon", Config: []byte(writes)})
	m := b.asks("1", "masto")
	b.asks("2", "masto", func(p *mention.Post) {
		p.Text, p.Thread.Parent = "Mine does not fit either, call 03-1234-5678.", "1"
		p.Author = mention.Author{ID: "u2", Handle: "midori", Name: "Midori"}
	})
	b.asks("3", "masto", func(p *mention.Post) {
		p.Text, p.Thread.Parent, p.Author = "About something else.", "9", mention.Author{ID: "u3", Handle: "dan"}
	})
	v := b.as("ken", everywhere, identity.PRLead)
	path := "/cases/" + string(m.ID)
	v.want(v.get(path), 200, "Mine does not fit either", "Midori", "!03-1234-5678", "!About something else", `href="`+path+`?below=now">See all answers on Mastodon now`)

	var (
		mu    sync.Mutex
		asked source.Below
		shown source.Shown
	)
	shows := func(x source.Shown) {
		mu.Lock()
		defer mu.Unlock()
		shown = x
	}
	shows(source.Shown{Comments: []mention.Comment{
		{NativeID: "2", URL: "https://social.example/2", Author: "midori", Text: "Mine does not fit either.", At: time.Now()},
		{NativeID: "4", URL: "https://social.example/4", Author: "dan", Text: "It fits mine.", At: time.Now()},
		{NativeID: "5", URL: "https://social.example/5", Author: "kumo", Text: "We look into it.", At: time.Now(), Ours: true},
	}})
	ctx, stop := context.WithCancel(t.Context())
	answered := make(chan error, 1)
	go func() {
		answered <- bus.Answer(ctx, b.Bus, "fetcher", "below", func(_ context.Context, q source.Below) (source.Shown, error) {
			mu.Lock()
			defer mu.Unlock()
			asked = q
			return shown, nil
		})
	}()
	defer func() { stop(); <-answered }()
	page := string(v.soon(path+"?below=now", "It fits mine.").body)
	mu.Lock()
	q := asked
	mu.Unlock()
	if q.Source != "masto" || q.Post.NativeID != "1" || strings.Count(page, "Mine does not fit either") != 1 || !strings.Contains(page, "We look into it.") || strings.Contains(page, "?below=now") {
		t.Errorf("asked %q about %q: %s", q.Source, q.Post.NativeID, page)
	}
	v.want(v.get(path), 200, "!It fits mine.") // nothing of it was kept
	shows(source.Shown{})
	v.want(v.get(path+"?below=now"), 200, "Nobody has answered it on Mastodon.")
	shows(source.Shown{Error: "503", Trouble: outbound.Trouble{Reason: outbound.ServerError, Host: "social.example"}})
	v.want(v.get(path+"?below=now"), 200, "social.example has trouble of its own.", "Mine does not fit either")

	// A pace of ours is told as such, with when to look again; the link stays.
	for says, x := range map[string]source.Shown{
		"Mastodon was not asked.":         {Paced: true, Error: "too many looks", Trouble: outbound.Trouble{Reason: outbound.Limited, Until: time.Now().Add(5 * time.Second)}},
		"kept for fetching and replying.": {Error: "spent", Trouble: outbound.Trouble{Reason: outbound.Spent, Until: time.Now().Add(5 * time.Second)}},
	} {
		shows(x)
		v.want(v.get(path+"?below=now"), 200, says, "Look again in ", "Mine does not fit either", `href="`+path+`?below=now"`, "!Next try", "!too many looks")
	}
	mu.Lock()
	if asked.By != "ken" {
		t.Errorf("asked for %q", asked.By)
	}
	mu.Unlock()

	feed := b.asks("6", "news", func(p *mention.Post) { p.Platform = "web" })
	v.want(v.get("/cases/"+string(feed.ID)), 200, "!?below=now")

	// Whoever follows the page by itself asks nobody: only a person does.
	mu.Lock()
	asked = source.Below{}
	mu.Unlock()
	v.header.Set("Earshot-Part", "case")
	v.want(v.get(path+"?below=now"), 200, "Mine does not fit either", `href="`+path+`?below=now"`)
	v.header.Del("Earshot-Part")
	mu.Lock()
	defer mu.Unlock()
	if asked.Source != "" {
		t.Error("the platform was asked by a page that follows its case")
	}
}

// What has no address of its own stands there all the same, and our reply once, also
// where it was heard as a mention.
func TestEachAnswerStandsBelowThePostOnce(t *testing.T) {
	b := newBench(t, indexer.Service)
	v := b.as("ken", everywhere, identity.Agent, identity.PRLead)
	m := b.asks("1", "masto", func(p *mention.Post) {
		p.Comments = []mention.Comment{{NativeID: "c1", Author: "taro", Text: "First of all."}}
	})
	for native, text := range map[string]string{"2": "Mine neither.", "3": "Nor mine."} {
		b.asks(native, "masto", func(p *mention.Post) {
			p.Text, p.Thread.Parent, p.URL, p.Author = text, "1", "", mention.Author{ID: native, Handle: "h" + native}
		})
	}
	b.sent(&m, "r1")
	b.asks("r1", "masto", func(p *mention.Post) {
		p.Text, p.Thread.Parent, p.Author = "It does fit.", "1", mention.Author{ID: "us", Handle: "kumo"}
	})
	page := v.want(v.get("/cases/"+string(m.ID)), 200, "First of all.", "Mine neither.", "Nor mine.")
	if strings.Contains(page.body, "@kumo") || strings.Contains(page.body, "/cases/"+string(mention.NewID("kumo", "mastodon", "r1"))) {
		t.Error("our own reply stands there as somebody else's")
	}
}
