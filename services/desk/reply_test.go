package desk

import (
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/services/indexer"
)

// question is a mention that anybody may answer.
func (b *bench) question(id, text string) mention.Mention {
	return b.mention(mention.Post{Platform: "mastodon", NativeID: id, Source: "masto", URL: "https://social.example/" + id, Text: text, Author: mention.Author{ID: id, Handle: "ravi" + id, Name: "Ravi"}},
		mention.Verdict{Lang: "en", Intent: mention.Question, Sentiment: mention.Neutral})
}

func (b *bench) account() {
	b.put(settings.Sources.Put(b.t.Context(), b.Settings, "cli", "masto", 0, settings.Source{ID: "masto", Name: "@kumo", Kind: "mastodon", Config: []byte(`{"server":"https://social.example","token":"env:EARSHOT_SECRET_X"}`)}))
}

func TestAReplyIsCheckedByTheServer(t *testing.T) {
	b := newBench(t)
	b.account()
	m := b.question("1", "When do you open?")
	v := b.as("aya", everywhere, identity.Agent)
	path := "/cases/" + string(m.ID)
	v.header.Set("Earshot-Part", "preview")
	v.want(v.post(path+"/preview", "kind", "first", "text", "It's company policy. Our lawyers know."), 200, "<q>lawyers</q>", "Not in public", "&#34;Company policy says&#34;", `<mark class="why step-3"`, `<mark class="why step-1"`)
	v.want(v.post(path+"/preview", "kind", "first", "text", "We open at 8 tomorrow."), 200, "!Not in public", "!<q>")
	v.header.Del("Earshot-Part")
	v.want(v.post(path+"/check", "kind", "first", "text", "Our lawyers know."), 422, "go out like this", "<q>lawyers</q>", "Our lawyers know.")
	s, _, err := b.Cases.Touched(t.Context(), m.ID)
	b.put(err)
	v.want(v.post(path+"/send", "hash", s.Hash(s.Draft)), 422, "go out like this")
	v.want(v.post(path+"/check", "kind", "first", "version", "1", "text", "It's company policy."), 200, "This will be public")
}

func TestRulesForRepliesAreEdited(t *testing.T) {
	b := newBench(t)
	v := b.as("wren", everywhere, identity.Approver)
	v.want(v.get("/rules"), 200, "What replies shouldn&#39;t say", "Legal wording", "Blocks", "The brands&#39; words")
	v.want(v.get("/rules/check/en-legal"), 200, "lawyer*", "These are the defaults")
	v.want(v.post("/rules/check/en-legal", "version", "0", "name.en", "Law", "lang", "en", "block", "on", "why.en", "No.", "phrases", "lawyer*\ncourts, all", "examples", "our lawyers", "counter_examples", "ask a lawyer"), 422, "finds")
	v.want(v.post("/rules/check/en-legal", "version", "0", "name.en", "Law", "lang", "en", "block", "on", "why.en", "No.", "phrases", "lawyer*\ncourts, all", "examples", "our lawyers", "counter_examples", "the tennis court"), 303)
	if r, _ := settings.Checks.Get(b.Settings, "en-legal"); len(r.Phrases) != 2 || !r.Block {
		t.Errorf("stored %+v", r)
	}
	if f := b.Settings.CheckReply("kumo", "en", "We will take legal action."); len(f) != 0 {
		t.Errorf("the rule before still finds %v", f)
	}
	v.want(v.post("/rules/check/en-legal/remove"), 303)
	if f := b.Settings.CheckReply("kumo", "en", "We will take legal action."); len(f) != 1 {
		t.Errorf("the rule as shipped finds %v", f)
	}
	v.want(v.post("/rules/voice/kumo", "version", "0", "words.#", "1", "words.0.avoid", "cheap", "words.0.prefer", "good value", "packs", "platform"), 303)
	f := b.Settings.CheckReply("kumo", "en", "It is cheap. Please follow us!")
	if len(f) != 2 || f[0].Turn != "good value" {
		t.Errorf("with the brand's words: %+v", f)
	}
	if f := b.Settings.CheckReply("hoshi", "en", "It is cheap."); len(f) != 0 {
		t.Errorf("another brand's: %+v", f)
	}
	v.want(v.get("/rules/voice/nobody"), 404)
	a := b.as("aya", everywhere, identity.Agent)
	a.want(a.post("/rules/check/en-legal", "version", "0"), 403)
}

func TestAWeightyCaseIsClosedWithItsCause(t *testing.T) {
	b := newBench(t, indexer.Service)
	m := b.angry()
	v := b.as("aya", everywhere, identity.Approver)
	path := "/cases/" + string(m.ID)
	v.want(v.post(path+"/claim"), 303)
	v.want(v.get(path+"/ask/close"), 200, `name="cause"`, "coming back")
	v.want(v.post(path+"/close", "outcome", "solved", "why", "replaced it"), 422, "This case is weighty")
	v.want(v.post(path+"/close", "outcome", "solved", "why", "replaced it", "cause", "nobody checked", "measure", "two people check", "owner", "aya", "due", "2030-01-31"), 303)
	s, _, err := b.Cases.Touched(t.Context(), m.ID)
	b.put(err)
	b.put(b.Index.Wait(t.Context(), casework.Events().Stream(), s.Last))
	v.want(v.get("/outbox?list=measures"), 200, "nobody checked", "two people check", "It is done")
	v.want(v.get(path), 200, "nobody checked")
	v.want(v.post(path+"/finish", "measure", s.Care.Measures[0].ID, "why", "in the handbook"), 303)
	s, _, err = b.Cases.Touched(t.Context(), m.ID)
	b.put(err)
	b.put(b.Index.Wait(t.Context(), casework.Events().Stream(), s.Last))
	v.want(v.get("/outbox?list=measures"), 200, "!two people check", "All countermeasures are in place")
}

func TestRepliesAreStopped(t *testing.T) {
	b := newBench(t, indexer.Service)
	b.account()
	b.template()
	m := b.question("1", "When do you open?")
	v, lead := b.as("aya", everywhere, identity.Agent), b.as("lea", everywhere, identity.PRLead)
	path := "/cases/" + string(m.ID)
	v.want(v.post(path+"/draft", "kind", "first", "text", "We open at 8 tomorrow."), 303)
	send := func() {
		s, _, err := b.Cases.Touched(t.Context(), m.ID)
		b.put(err)
		v.want(v.post(path+"/send", "hash", s.Hash(s.Draft)), 303)
		s, _, err = b.Cases.Touched(t.Context(), m.ID)
		b.put(err)
		b.put(b.Index.Wait(t.Context(), casework.Events().Stream(), s.Last))
	}
	send()
	v.want(v.get("/outbox"), 200, "We open at 8 tomorrow.", "Send now", path+"/stop")
	v.want(v.post("/stops", "brand", "kumo", "why", "a storm"), 403)
	lead.want(lead.get(path+"/ask/halt"), 200, "All replies of Kumo Café", "Holding reply")
	lead.want(lead.post("/stops", "brand", "kumo", "why", "a storm", "statement", "hold"), 303)
	s, _, err := b.Cases.Touched(t.Context(), m.ID)
	b.put(err)
	if s.Outgoing != nil || s.Draft == nil {
		t.Fatalf("taken back: %+v", s.Outgoing)
	}
	v.want(v.get(path), 200, "Replies are stopped: a storm", "Agreed statement: Holding reply")
	v.want(v.post(path+"/send", "hash", s.Hash(s.Draft)), 409, "Replies are stopped", "a storm")
	v.want(v.get("/outbox"), 200, "a storm", "!/stops/kumo/release")
	lead.want(lead.get("/outbox"), 200, "/stops/kumo/release")
	v.want(v.post("/stops/kumo/release"), 403)
	lead.want(lead.post("/stops/kumo/release"), 303)
	lead.want(lead.post("/stops", "brand", "kumo", "why", strings.Repeat("a storm ", 5000), "statement", "none such"), 303)
	if x, ok := settings.Stops.Get(b.Settings, "kumo"); !ok || len(x.Why) > 1010 || x.Statement != "" {
		t.Errorf("a brake with too much beside it: %v, %d bytes, %q", ok, len(x.Why), x.Statement)
	}
	lead.want(lead.post("/stops/kumo/release"), 303)
	send()
	v.want(v.post(path+"/hasten"), 303)
}

func TestAWishGathersItsEvidence(t *testing.T) {
	b := newBench(t, indexer.Service)
	v, other := b.as("pat", everywhere, identity.Product), b.as("rin", []string{"hoshi"}, identity.Product)
	ja := b.mention(mention.Post{Platform: "bluesky", NativeID: "1", Source: "feed", Text: "Kumoの夜の通知を止めたい", Author: mention.Author{ID: "1", Handle: "hana"}}, mention.Verdict{Lang: "ja", Intent: mention.FeatureRequest})
	en := b.mention(mention.Post{Platform: "bluesky", NativeID: "2", Source: "feed", Text: "=Let me mute Kumo at night", Author: mention.Author{ID: "2", Handle: "jo"}}, mention.Verdict{Lang: "en", Intent: mention.FeatureRequest})
	v.want(v.get("/cases/"+string(ja.ID)+"/ask/wish"), 200, "A new one", "夜の通知")
	v.want(v.post("/cases/"+string(ja.ID)+"/wish", "wish", "new", "title", "Mute at night 夜の通知", "words", "夜の通知を止めたい"), 303)
	var w casework.WishCard
	for _, x := range settings.Wishes.List(b.Settings) {
		w = x
	}
	v.want(v.get("/cases/"+string(en.ID)+"/ask/wish"), 200, "Mute at night", `checked`)
	v.want(v.post("/cases/"+string(en.ID)+"/wish", "wish", w.ID, "words", ""), 303)
	wait := func() {
		for _, id := range []mention.ID{ja.ID, en.ID} {
			s, _, err := b.Cases.Touched(t.Context(), id)
			b.put(err)
			b.put(b.Index.Wait(t.Context(), casework.Events().Stream(), s.Last))
		}
	}
	wait()
	page := v.want(v.get("/wishes/"+w.ID), 200, "<b>2</b> posts", "<b>2</b> people", "夜の通知を止めたい", "Japanese 1", "English 1", time.Now().Format("2006-01"))
	if !strings.Contains(page.body, "mark=wish."+w.ID) {
		t.Error("no queue of the posts")
	}
	v.want(v.get("/queue?view=all&mark=wish."+w.ID), 200, "@hana", "@jo")
	csv := v.want(v.get("/wishes/"+w.ID+"/mentions.csv"), 200, "夜の通知を止めたい", "'=Let me mute")
	forbidden := b.mention(mention.Post{Platform: "x", NativeID: "3", Source: "feed", Text: "Mute Kumo on X", Author: mention.Author{ID: "3", Handle: "ex"}}, mention.Verdict{Lang: "en", Intent: mention.FeatureRequest})
	v.want(v.post("/cases/"+string(forbidden.ID)+"/wish", "wish", w.ID, "words", "mute on X"), 303)
	s, _, err := b.Cases.Touched(t.Context(), forbidden.ID)
	b.put(err)
	b.put(b.Index.Wait(t.Context(), casework.Events().Stream(), s.Last))
	v.want(v.get("/wishes/"+w.ID+"/mentions.csv"), 200, "/cases/"+string(forbidden.ID), "!Mute Kumo on X", "!mute on X", "!@ex")
	_, err = b.Cases.Do(t.Context(), b.staff("pat"), forbidden.ID, casework.DropWish{Wish: w.ID})
	b.put(err)
	wait()
	if !strings.HasPrefix(csv.body, "\ufeff") {
		t.Error("a spreadsheet would not take it for UTF-8")
	}
	other.want(other.get("/wishes/"+w.ID), 404)
	other.want(other.get("/wishes"), 200, "!Mute at night")

	b.template()
	b.put(settings.Wishes.Put(t.Context(), b.Settings, "pat", "quiet", 0, casework.WishCard{ID: "quiet", Title: "Quiet hours", Brand: "kumo", Status: casework.WishShipped, Template: "hold"}))
	v.want(v.post("/wishes/"+w.ID+"/merge", "into", "quiet"), 303)
	wait()
	v.want(v.get("/wishes/quiet"), 200, "<b>2</b> posts", "夜の通知を止めたい")
	v.want(v.get("/wishes/"+w.ID), 200, "Merged into Quiet hours", "!/merge")
	_, err = b.Cases.Do(t.Context(), b.staff("pat"), en.ID, casework.AddWish{Wish: w.ID}) // as if the move had been interrupted
	b.put(err)
	wait()
	v.want(v.get("/wishes/"+w.ID), 200, "/merge", "Quiet hours")
	v.want(v.post("/wishes/"+w.ID+"/merge", "into", "quiet"), 303)
	wait()
	v.want(v.get("/wishes/"+w.ID), 200, "<b>0</b> posts", "!/merge")
	v.want(v.get("/wishes/quiet"), 200, "<b>2</b> posts")
	a := b.as("aya", everywhere, identity.Agent)
	a.want(a.get("/cases/"+string(en.ID)), 200, "Dear jo, we are looking into") // the template that tells them
}

func TestTemplatesAreReviewedAndCarried(t *testing.T) {
	b := newBench(t)
	b.template()
	v, k := b.as("aya", everywhere, identity.Approver), b.as("ken", everywhere, identity.Approver)
	v.want(v.post("/templates/hold", "name", "Holding reply", "lang", "en", "kind", "first", "apology", "limited", "body", "Dear {{author}}, we look into {{matter}}.", "review", "2026-01-31",
		"risks", "churn", "platforms", "x", "label.matter", "Matter", "type.matter", "choice", "choices.matter", "the dock / the lid", "default.matter", "the lid", "must.matter", "on"), 303)
	got, _ := settings.Templates.Get(b.Settings, "hold")
	if s := got.Versions[1].Slots; got.ReviewBy != "2026-01-31" || len(got.Risks) != 1 || len(got.Platforms) != 1 || len(s) != 1 || len(s[0].Choices) != 2 || s[0].Default != "the lid" {
		t.Fatalf("stored %+v", got)
	}
	v.want(v.get("/templates?due=yes"), 200, "2026-01-31", "Holding reply")
	v.want(v.get("/templates/hold"), 200, "Review was due on 2026-01-31", "Version 1 beside 2")
	v.want(v.post("/templates/hold/submit"), 303)
	k.want(k.post("/templates/hold/send-back"), 422, "Say what should be different")
	k.want(k.post("/templates/hold/send-back", "note", "shorter"), 303)
	v.want(v.get("/templates/hold"), 200, "shorter")
	file := v.want(v.get("/templates.yaml?id=hold"), 200, "template:", "review_by: ")
	v.want(v.post("/templates/import", "yaml", "template: [1]"), 422)
	v.want(v.post("/templates/import", "yaml", "a: &a [x, x]\nb: &b [*a, *a]\ntemplate: {t: [*b, *b]}\n"), 422, "Line 2 refers to another place")
	v.want(v.post("/templates/import", "yaml", "template:\n  new-one:\n    id: new-one\n    colour: red\n"), 422, "colour")
	text := strings.ReplaceAll(strings.ReplaceAll(file.body, "hold:", "hold-2:"), "id: hold", "id: hold-2")
	v.want(v.post("/templates/import", "yaml", text), 303)
	in, ok := settings.Templates.Get(b.Settings, "hold-2")
	if !ok || in.InForce() != nil || in.Versions[0].By != "aya" || in.Versions[0].Status != casework.TemplateDraft {
		t.Errorf("imported %+v", in)
	}
	a := b.as("ann", everywhere, identity.Agent)
	a.want(a.post("/templates/import", "yaml", text), 403)
}

var approvedHash = regexp.MustCompile(`name="hash" value="([0-9a-f]+)"`)

// TestAPostThatIsEditedWhileItsReplyWaits: the approver sees what changed and says yes
// to the post as it is now, or sends the reply back; the trail tells which.
func TestAPostThatIsEditedWhileItsReplyWaits(t *testing.T) {
	t.Parallel()
	for _, joined := range []bool{false, true} {
		t.Run(fmt.Sprintf("joined %v", joined), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, indexer.Service)
			b.account()
			writer, approver, bystander := b.as("aya", everywhere, identity.Agent), b.as("ken", everywhere, identity.Approver), b.as("bo", everywhere, identity.Agent)
			post := mention.Post{Platform: "mastodon", NativeID: "1", Source: "masto", URL: "https://social.example/1", Text: "My order of Monday is late & wet.", Author: mention.Author{ID: "1", Handle: "ravi"}, SeenAt: time.Now().Add(-time.Hour)}
			verdict := mention.Verdict{Lang: "en", Intent: mention.Complaint, Risks: []mention.Risk{{Category: mention.LegalThreat, Score: .9}}}
			m := b.mention(post, verdict)
			into, to := m, ""
			if joined {
				into, to = b.asked(2, "Kumo is late again", "mika", "mastodon"), string(m.ID)
				_, err := b.Cases.Merge(t.Context(), b.staff("ken"), m.ID, into.ID)
				b.put(err)
			}
			path := "/cases/" + string(into.ID)
			writer.want(writer.post(path+"/claim"), 303)
			writer.want(writer.post(path+"/check", "kind", "first", "version", "0", "to", to, "text", "We look into your order today."), 303)
			first := approvedHash.FindStringSubmatch(approver.want(approver.get(path), 200, "Aya asks for approval", "!was edited after", `!name="anew"`).body)[1]

			post.Text, post.EditedAt = "My order of Tuesday is late & wet!", time.Now()
			b.mention(post, verdict)
			b.now(m.ID)
			b.now(into.ID)
			for _, who := range []*visitor{writer, approver} {
				who.want(who.get("/notices"), 200, "The post was edited while a reply to it waits for approval.")
			}
			bystander.want(bystander.get("/notices"), 200, "Nothing was told")
			approver.want(approver.get("/queue?view=approve"), 200, path[len("/cases/"):], "Awaiting approval")
			page := approver.want(approver.get(path), 200, "Aya asks for approval", "The post was edited after approval was asked for",
				"My order of <del>Monday</del> is late &amp; wet<del>.</del>", "My order of <ins>Tuesday</ins> is late &amp; wet<ins>!</ins>", "Approve for the post as it is now")
			hash := approvedHash.FindStringSubmatch(page.body)[1]
			if hash == first {
				t.Fatal("the hash does not tell which text of the post is answered")
			}
			writer.want(writer.get(path), 200, "An approver decides anew", "!Approve for the post")
			// Neither what was read before nor somebody who was not shown the edit.
			approver.want(approver.post(path+"/approve", "hash", first, "anew", "yes"), 409)
			approver.want(approver.post(path+"/approve", "hash", hash), 409, "read both and approve anew")
			writer.want(writer.post(path+"/approve", "hash", hash, "anew", "yes"), 403)
			approver.want(approver.post(path+"/approve", "hash", hash, "anew", "yes"), 303)
			s := b.now(into.ID)
			if s.Approval == nil || s.Approval.Hash != hash || s.Stands() != casework.InHand {
				t.Fatalf("%s, approval %+v", s.Stands(), s.Approval)
			}
			approver.want(approver.get(path), 200, "approved the reply for the post as edited")
			approver.want(approver.get("/queue?view=approve"), 200, "!"+path[len("/cases/"):])
			// It is what leaves.
			sent := writer.want(writer.post(path+"/check", "kind", "first", "version", "1", "to", to, "text", "We look into your order today."), 200, "We look into your order today.")
			send := approvedHash.FindStringSubmatch(sent.body)[1]
			writer.want(writer.post(path+"/send", "hash", send), 303)
			if s = b.now(into.ID); s.Outgoing == nil || s.Outgoing.Hash != hash {
				t.Errorf("on its way: %+v", s.Outgoing)
			}
		})
	}
}

// TestAnEditThatNoMarkShowsIsSaid: what changed in pictures, stars or under the mask
// stands in words beside the text, and identical texts are not shown twice.
func TestAnEditThatNoMarkShowsIsSaid(t *testing.T) {
	t.Parallel()
	pic := func(names ...string) (all []mention.Media) {
		for _, n := range names {
			all = append(all, mention.Media{Type: mention.Image, URL: "https://social.example/" + n})
		}
		return all
	}
	const phone = "Call me at 090-1234-5678."
	for name, tt := range map[string]struct {
		edit func(*mention.Post)
		want []string
	}{
		"pictures added":     {func(p *mention.Post) { p.Media = pic("a", "b", "c", "d") }, []string{"2 pictures or files were added.", "!<del>", "!diff2"}},
		"a picture removed":  {func(p *mention.Post) { p.Media = pic("b") }, []string{"1 picture or file was removed.", "!diff2"}},
		"pictures exchanged": {func(p *mention.Post) { p.Media = pic("x", "y", "z") }, []string{"2 pictures or files were exchanged.", "1 picture or file was added.", "!diff2"}},
		"pictures moved":     {func(p *mention.Post) { p.Media = pic("b", "a") }, []string{"another order", "!diff2"}},
		"masked":             {func(p *mention.Post) { p.Text = "Call me at 090-8765-4321." }, []string{"masked as personal data has changed", "!4321", "!diff2"}},
		"masked and seen":    {func(p *mention.Post) { p.Text = "Ring me at 090-8765-4321." }, []string{"masked as personal data has changed", "!4321", "<ins>Ring</ins>"}},
		"stars":              {func(p *mention.Post) { p.Rating = 1 }, []string{"from 4 to 1 stars", "!diff2"}},
		"title and text":     {func(p *mention.Post) { p.Title, p.Text = "", p.Title+"\n"+p.Text }, []string{"reads as before", "!diff2"}},
		"all of the text":    {func(p *mention.Post) { p.Title, p.Text = "", "" }, []string{"diff2", "<del>", "!pictures or files", "masked as"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, indexer.Service)
			b.account()
			writer, approver := b.as("aya", everywhere, identity.Agent), b.as("ken", everywhere, identity.Approver)
			post := mention.Post{Platform: "mastodon", NativeID: "1", Source: "masto", URL: "https://social.example/1", Title: "Late", Text: phone, Rating: 4, Media: pic("a", "b"), Author: mention.Author{ID: "1", Handle: "ravi"}, SeenAt: time.Now().Add(-time.Hour)}
			verdict := mention.Verdict{Lang: "en", Intent: mention.Complaint, Risks: []mention.Risk{{Category: mention.LegalThreat, Score: .9}}}
			path := "/cases/" + string(b.mention(post, verdict).ID)
			writer.want(writer.post(path+"/claim"), 303)
			writer.want(writer.post(path+"/check", "kind", "first", "version", "0", "text", "We look into your order today."), 303)
			post.EditedAt = time.Now()
			tt.edit(&post)
			m := b.mention(post, verdict)
			b.now(m.ID)
			approver.want(approver.get(path), 200, append(tt.want, "The post was edited after approval was asked for")...)
		})
	}
}

// TestWhatDiffersIsMarked holds each text to what it was, whatever is marked in it.
func TestWhatDiffersIsMarked(t *testing.T) {
	t.Parallel()
	show := func(spans []span) string {
		var b strings.Builder
		for _, s := range spans {
			if s.Mark {
				b.WriteString("[" + s.Text + "]")
			} else {
				b.WriteString(s.Text)
			}
		}
		return b.String()
	}
	long := strings.Repeat("長い投稿です。", 20_000)
	for _, tt := range []struct{ old, now, was, is string }{
		{"same", "same", "same", "same"},
		{"", "new", "", "[new]"},
		{"gone", "", "[gone]", ""},
		{"月曜に届く", "火曜に届く予定", "[月]曜に届く", "[火]曜に届く[予定]"},
		{"I was charged twice", "I was charged three times", "I was charged [twice]", "I was charged [three times]"},
		{"\xffé", "\xffe", "\xff[é]", "\xff[e]"},
	} {
		was, is := edits(tt.old, tt.now)
		if show(was) != tt.was || show(is) != tt.is {
			t.Errorf("%q to %q: %q and %q", tt.old, tt.now, show(was), show(is))
		}
	}
	for _, other := range []string{"別の" + long, strings.ReplaceAll(long, "長", "短"), long[:len(long)/2] + "!" + long[len(long)/2:]} {
		was, is := edits(long, other)
		if strings.NewReplacer("[", "", "]", "").Replace(show(was)) != long || strings.NewReplacer("[", "", "]", "").Replace(show(is)) != other {
			t.Error("a long text does not come back as it was")
		}
	}
}

// TestLongTemplatesAreCompared: two texts of many lines take no table of lines times
// lines.
func TestLongTemplatesAreCompared(t *testing.T) {
	was, is := strings.Repeat("a\n", 4000)+"same", strings.Repeat("b\n", 4000)+"same"
	var lines []diffLine
	if n := testing.AllocsPerRun(1, func() { lines = diff(was, is) }); n > 1000 {
		t.Errorf("%.0f allocations", n)
	}
	var old, now []string
	for i, l := range lines {
		if i < 4000 == (l.Old == l.New) {
			t.Fatalf("line %d: %+v", i, l)
		}
		old, now = append(old, l.Old), append(now, l.New)
	}
	if strings.Join(old, "\n") != was || strings.Join(now, "\n") != is {
		t.Error("a text does not come back as it was")
	}
}

// TestWhatIsWrongWithATemplateIsToldInTheReadersLanguage: at the input that it is
// about, by the words of the form.
func TestWhatIsWrongWithATemplateIsToldInTheReadersLanguage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ja, en := b.as("hana", everywhere, identity.Approver, identity.Admin), b.as("ken", everywhere, identity.Approver, identity.Admin)
	p, _ := settings.Staff.Get(b.Settings, "hana")
	p.Lang = "ja"
	b.hire(p)
	at := func(v *visitor, a answer, input, want string) {
		t.Helper()
		v.want(a, 422)
		if got := between2(between2(a.body, `name="`+input+`"`, "</div>"), "<strong>", "</strong>"); got != want {
			t.Errorf("at %s: %q, want %q", input, got, want)
		}
		if strings.HasPrefix(a.Request.URL.Path, "/templates/") {
			v.want(a, 422, map[*visitor]string{ja: ":", en: ": "}[v]+want+"</p>") // at the top, after the name of the input
		}
		for _, machine := range []string{"versions[", "slots[", "want ", "body:"} {
			if v == ja && strings.Contains(a.body, machine) {
				t.Errorf("at %s: the page says %q", input, machine)
			}
		}
	}
	base := []string{"lang", "ja", "kind", "final", "apology", "none"}
	form := func(pairs ...string) []string { return append(slices.Clone(base), pairs...) }
	at(ja, ja.post("/templates/new", form("name", "お礼", "body", " ")...), "body", "入力してください。")
	at(ja, ja.post("/templates/new", form("name", "", "body", "はい")...), "name", "入力してください。")
	at(ja, ja.post("/templates/new", form("name", "お礼", "body", "{{お名前}}様")...), "body", "空欄 {{お名前}} の名前は使えません。{{order_no}} のように、英小文字・数字・_ で書いてください。")
	at(ja, ja.post("/templates/new", form("name", "お礼", "body", "はい", "review", "いつか")...), "review", "「いつか」は日付として読み取れません。2027-03-31 のように書いてください。")
	at(en, en.post("/templates/new", form("name", "Thanks", "body", "{{お名前}}")...), "body", "Slot {{お名前}}: want a name of a-z, 0-9 and _.")
	loc := ja.want(ja.post("/templates/new", form("name", "お礼", "body", "{{what}}")...), 303).Header.Get("Location")
	at(ja, ja.post(loc, form("name", "お礼", "body", "{{what}}", "type.what", "choice", "choices.what", "")...), "choices.what", "選択肢をひとつ以上書いてください。初期値を決めるなら、その中から選びます。")
	// From a file: by the words of the form too.
	bring := func(v *visitor, yaml string, want ...string) {
		t.Helper()
		v.want(v.post("/templates/import", "yaml", yaml), 422, want...)
	}
	bring(ja, "template:\n  a:\n    name: お礼\n    lang: ja\n    versions:\n      - {n: 1, apology: none, body: '{{x}}'}\n", "テンプレート「a」:本文:空欄 {{x}} の説明が、slots の下にありません。", "!versions[")
	bring(ja, "template:\n  a:\n    name: お礼\n    lang: fr\n    versions:\n      - {n: 1, apology: none, body: はい}\n", "言語:「fr」は使えません。ja か en にしてください。")
	bring(ja, "template:\n  a:\n    id: b\n", "テンプレート「a」の id が「b」になっています")
	bring(ja, "template:\n  a:\n    name: x\n", "テンプレート「a」に文面がありません")
	bring(ja, "template:\n  A b:\n    name: x\n", "「A b」はテンプレートのIDに使えません")
	bring(ja, "template:\n  a: [\n", "行目を読み取れません")
	// Names of people, in both languages; what was typed stands there again.
	long := strings.Repeat("長", 101)
	at(ja, ja.post("/me", "name", "花", "public", long), "public", "改行なしの1〜100文字で入力してください。")
	ja.want(ja.post("/me", "name", "花", "public", long), 422, long)
	at(ja, ja.post("/staff/ken", "name", long, "email", "ken@kumo.example", "roles", "admin"), "name", "改行なしの1〜100文字で入力してください。")
	at(ja, ja.post("/staff/ken", "name", "Ken", "email", "ken@", "roles", "admin"), "email", "メールアドレスを入力してください。")
	at(ja, ja.post("/tokens/new", "name", long, "scope", "read", "brands", "kumo"), "name", "改行なしの1〜100文字で入力してください。")
}

// TestAFileWithoutTemplatesSaysWhatOneLooksLike: nothing is not brought in as nought
// drafts; the example that is shown can be brought in as it stands.
func TestAFileWithoutTemplatesSaysWhatOneLooksLike(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, ja := b.as("aya", everywhere, identity.Approver), b.as("hana", everywhere, identity.Approver)
	p, _ := settings.Staff.Get(b.Settings, "hana")
	p.Lang = "ja"
	b.hire(p)
	for _, empty := range []string{"", " \n", "# nothing yet\n", "{}", "template:\n", "template: {}\n"} {
		v.want(v.post("/templates/import", "yaml", empty), 422, "This file holds no templates", "<pre")
		ja.want(ja.post("/templates/import", "yaml", empty), 422, "このファイルにはテンプレートがありません", "<pre")
	}
	for _, x := range []*visitor{v, ja} {
		page := x.want(x.get("/templates/import"), 200).body
		example := html.UnescapeString(between2(page, `<pre>`, "</pre>"))
		x.want(x.post("/templates/import", "yaml", example), 303)
		got, ok := settings.Templates.Get(b.Settings, "delivery-late")
		if !ok || len(got.Versions) != 1 || got.Versions[0].Status != casework.TemplateDraft || len(got.Versions[0].Slots) != 1 {
			t.Fatalf("from %q came %+v", example, got)
		}
	}
	// What is approved already makes no draft, and that is said.
	v.want(v.post("/templates/delivery-late/submit"), 303)
	k := b.as("ken", everywhere, identity.Approver)
	if got, _ := settings.Templates.Get(b.Settings, "delivery-late"); got.Versions[0].By == "ken" {
		t.Fatal("its author approves it")
	}
	k.want(k.post("/templates/delivery-late/approve"), 303)
	file := v.want(v.get("/templates.yaml?id=delivery-late"), 200).body
	v.want(v.post("/templates/import", "yaml", file), 303)
	v.want(v.get("/templates"), 200, "No draft was made")
}

func TestStepsOfAPlaybookAreTickedOff(t *testing.T) {
	b := newBench(t)
	b.put(settings.Playbooks.Put(t.Context(), b.Settings, "cli", "threat", 0, casework.Playbook{
		ID: "threat", Name: map[string]string{"en": "A threat"}, Risks: []mention.Category{mention.PublicityThreat},
		Steps: []casework.Step{{Phase: "hear", Who: "agent", Text: map[string]string{"en": "Listen first"}}}, Offer: map[string]string{"en": "A new one, up to 5,000 yen"},
		Clocks: []casework.Clock{{Text: map[string]string{"en": "Tell the agency"}, Hours: 72}},
	}))
	m := b.angry()
	v := b.as("aya", everywhere, identity.Agent)
	path := "/cases/" + string(m.ID)
	v.want(v.get(path), 200, "Listen first", "A new one, up to 5,000 yen", "Tell the agency", "not legal advice", `aria-pressed="false"`)
	book, _ := settings.Playbooks.Get(b.Settings, "threat")
	v.want(v.post(path+"/tick", "playbook", "threat", "step", book.Steps[0].Key()), 303)
	v.want(v.get(path), 200, `aria-pressed="true"`, "ticked off a step", "Aya")
	v.want(v.post(path+"/tick", "playbook", "threat", "step", book.Steps[0].Key(), "undo", "yes"), 303)
	v.want(v.post(path+"/harassment", "is", "yes", "why", "x"), 403)
	lead := b.as("lea", everywhere, identity.PRLead)
	lead.want(lead.post(path+"/harassment", "is", "yes", "why", "three threats"), 303)
	v.want(v.get(path), 200, `aria-pressed="false"`, "Customer harassment, as decided by Lea: three threats")

	// A playbook that goes takes its steps from the case, and nothing from its history.
	v.want(v.post(path+"/tick", "playbook", "threat", "step", book.Steps[0].Key()), 303)
	ada := b.as("ada", everywhere, identity.Admin, identity.PRLead)
	ada.want(ada.get("/rules/playbook/threat"), 200, "What was ticked off stays in their histories.")
	ada.want(ada.post("/rules/playbook/threat/remove"), 303)
	v.want(v.get(path), 200, "ticked off a step", "Listen first", `!id="steps"`)
	v.want(v.post(path+"/tick", "playbook", "threat", "step", "0123456789"), 422, "not there any more")
}

func TestADeputyApproves(t *testing.T) {
	b := newBench(t)
	m := b.angry()
	v, d := b.as("aya", everywhere, identity.Agent), b.as("dan", everywhere, identity.Agent)
	b.as("ken", everywhere, identity.Approver)
	path := "/cases/" + string(m.ID)
	v.want(v.post(path+"/check", "kind", "first", "text", "We read it, and ring you today."), 303)
	s, _, err := b.Cases.Touched(t.Context(), m.ID)
	b.put(err)
	d.want(d.post(path+"/approve", "hash", s.Submitted), 403)
	today := time.Now().Format(time.DateOnly)
	lead := b.as("lea", everywhere, identity.PRLead)
	lead.want(lead.post("/rules/deputy/new", "version", "0", "absent", "ken", "deputy", "dan", "from", today, "to", "1999-01-01"), 422)
	lead.want(lead.post("/rules/deputy/new", "version", "0", "id", "winter", "absent", "ken", "deputy", "dan", "from", today, "to", today), 303)
	lead.want(lead.get("/rules"), 200, "Dan for Ken")
	d.want(d.post(path+"/approve", "hash", s.Submitted, "note", "good"), 303)
	s, _, err = b.Cases.Touched(t.Context(), m.ID)
	b.put(err)
	if s.Approval == nil || s.Approval.By != "dan" || s.History[len(s.History)-1].Text != "good" {
		t.Errorf("approval %+v", s.Approval)
	}
}

// The journey of a reply: the picker by /, a slot, what the check says, and what
// is public in the end.
func TestAReplyIsMadeByKeyboard(t *testing.T) {
	b := newBench(t)
	b.account()
	b.template()
	b.put(settings.Answers.Put(t.Context(), b.Settings, "cli", "hours", 0, casework.AgreedAnswer{ID: "hours", Lang: "en", Questions: []string{"When do you open?"}, Text: "We open at 8 every day.", Internal: "9 in January"}))
	m := b.question("1", "When do you open the Kumo café?")
	w := b.window(t, b.as("aya", everywhere, identity.Agent))
	w.run(chromedp.Navigate(b.server.URL + "/cases/" + string(m.ID)))
	w.key("r")
	w.until(`document.activeElement.id === "c-text"`)
	w.eval(`document.querySelector("#c-text").value = ""`) // the test's browser types the key as well
	w.key("/")
	w.until(`document.activeElement?.id === "pick-q" && document.querySelectorAll("#picks .pick-one").length === 2`)
	w.until(`document.querySelector("#picks").innerText.includes("9 in January")`)
	w.key("hold")
	w.until(`document.querySelectorAll("#picks .pick-one").length === 1`)
	w.key("\r")
	w.until(`document.activeElement?.name === "slot.matter"`)
	w.key("the door")
	w.key("\t")
	w.until(`document.querySelector("#c-text").value.includes("looking into the door")`)
	w.eval(`document.querySelector("#c-text").focus(); document.querySelector("#c-text").setSelectionRange(999, 999)`)
	w.key(" Our lawyers know.")
	w.until(`document.querySelector(".findings .block")?.innerText.includes("lawyers") && document.querySelector("#preview mark.step-3")?.innerText.includes("lawyers")`)
	w.eval(`(() => { const t = document.querySelector("#c-text"); t.value = t.value.replace(" Our lawyers know.", ""); t.dispatchEvent(new InputEvent("input", { bubbles: true })); })()`)
	w.until(`!document.querySelector(".findings .block")`)
	w.run(chromedp.KeyEvent("\r", chromedp.KeyModifiers(2)))
	w.until(`document.querySelector("#confirm-title") && document.querySelector("#final").innerText.includes("the door")`)
}

// TestAReportIsPromisedAgainAndAgain until it is reported otherwise or owed no more.
func TestAReportIsPromisedAgainAndAgain(t *testing.T) {
	b := newBench(t)
	b.account()
	m := b.question("1", "When is it repaired?")
	v := b.as("aya", everywhere, identity.Agent)
	path := "/cases/" + string(m.ID)
	v.want(v.get(path+"?mode=hold"), 200, `name="every"`, "then every 3 days", "!We have reported")
	due := time.Now().UTC().Add(48 * time.Hour).Format(localTime)
	v.want(v.post(path+"/check", "kind", "interim", "version", "0", "text", "We look into it and report by Friday.", "promise", due, "every", "3"), 200, "We report by", "then every 3 days", `name="every" value="3"`)
	state := func() *casework.State {
		s, _, err := b.Cases.Touched(t.Context(), m.ID)
		b.put(err)
		return &s
	}
	v.want(v.post(path+"/by-hand", "hash", state().Hash(state().Draft), "promise", due, "every", "3"), 303)
	v.want(v.post(path+"/posted", "hash", state().Hash(state().Draft), "url", "https://social.example/our/1"), 303)
	if p := state().Promise; p == nil || p.Every != 3*day || p.Ahead {
		t.Fatalf("promise %+v", p)
	}
	v.want(v.get(path), 200, "then every 3 days", path+"/ask/kept", path+"/ask/unpromise")
	v.want(v.get(path+"/ask/kept"), 200, "due in 3 days")
	v.want(v.post(path+"/kept", "why", ""), 422)
	v.want(v.post(path+"/kept", "why", "by phone"), 303)
	if p := state().Promise; p == nil || p.Every != 3*day || p.Due.Sub(p.Made) != 3*day {
		t.Errorf("after a report: %+v", p)
	}
	v.want(v.get(path+"?mode=hold"), 200, `<option value="3" selected>`)
	v.want(v.post(path+"/unpromise", "why", "they found it themselves"), 303)
	v.want(v.get(path), 200, "no report is owed any more", "they found it themselves", "!"+path+"/ask/kept")
	v.want(v.post(path+"/undo"), 303)
	if p := state().Promise; p == nil || p.Every != 3*day {
		t.Errorf("after undo: %+v", p)
	}
	v.want(v.post(path+"/unpromise", "why", "they found it themselves"), 303)
	v.want(v.post(path+"/kept", "why", "by phone"), 409)
	rin := b.as("rin", []string{"hoshi"}, identity.Agent)
	rin.want(rin.post(path+"/kept", "why", "x"), 404)
}

// TestATemplateIsCalledByItsName, not by an id that nobody has seen.
func TestATemplateIsCalledByItsName(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.template()
	m := b.angry()
	path := "/cases/" + string(m.ID)
	v := b.as("aya", everywhere, identity.Agent).in("ja")
	reply := []string{"template", "hold", "was", "hold", "kind", "first", "slot.matter", "it", "text", "Dear Mika, we are looking into it. Aya"}
	v.want(v.post(path+"/draft", append(reply, "version", "0")...), 303)
	tmpl, _ := settings.Templates.Get(b.Settings, "hold")
	tmpl.Versions = slices.Clone(tmpl.Versions)
	tmpl.Versions[0].Status = casework.TemplateRetired
	b.put(settings.Templates.Put(t.Context(), b.Settings, "cli", "hold", settings.Templates.Version(b.Settings, "hold"), tmpl))
	v.want(v.post(path+"/submit"), 409, "テンプレート「"+tmpl.Name+"」は、その後変更されたか廃止されました。")
}

// TestApproversAreToldOfWhatWaits, once and in their language: those who may approve
// it, also in the place of somebody who is away, and as long as it waits.
func TestApproversAreToldOfWhatWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t, indexer.Service)
	b.account()
	aya := b.as("aya", everywhere, identity.Agent, identity.Approver)
	ken, rin := b.as("ken", everywhere, identity.Approver), b.as("rin", []string{"kumo"}, identity.PRLead).in("ja")
	sub, other, bo := b.as("sub", everywhere, identity.Agent), b.as("other", []string{"hoshi"}, identity.Approver), b.as("bo", everywhere, identity.Agent)
	today := time.Now().Format(time.DateOnly)
	b.put(settings.Deputies.Put(t.Context(), b.Settings, "cli", "d", 0, settings.Deputy{ID: "d", Absent: "ken", Deputy: "sub", From: today, To: time.Now().AddDate(0, 0, 1).Format(time.DateOnly)}))
	m := b.mention(mention.Post{Platform: "mastodon", NativeID: "1", Source: "masto", URL: "https://social.example/1", Text: "My lawyer will write.", Author: mention.Author{ID: "1", Handle: "ravi"}},
		mention.Verdict{Lang: "en", Intent: mention.Complaint, Risks: []mention.Risk{{Category: mention.LegalThreat, Score: .9}}})
	path := "/cases/" + string(m.ID)
	const said, gesagt = "Aya asks for approval of a reply.", "Ayaさんが返答の承認を依頼しました。"
	told := func(v *visitor, words string, times int) {
		t.Helper()
		b.now(m.ID)
		if a := v.want(v.get("/notices"), 200); strings.Count(a.body, words) != times {
			t.Errorf("%q %d times, want %d", words, strings.Count(a.body, words), times)
		}
	}
	aya.want(aya.post(path+"/check", "kind", "first", "version", "0", "text", "We look into it today."), 303)
	told(ken, said, 1)
	told(rin, gesagt, 1)
	told(sub, said, 1)
	ken.want(ken.get("/queue"), 200, `id="count-notices">1<`)
	for _, v := range []*visitor{aya, other, bo} {
		told(v, said, 0)
	}
	// Asked again of the same text, nobody is told again; of another one, once.
	aya.want(aya.post(path+"/submit"), 303)
	told(ken, said, 1)
	ken.want(ken.post("/notices/read"), 303)
	ken.want(ken.get("/queue"), 200, `!id="count-notices">1<`)
	aya.want(aya.post(path+"/check", "kind", "first", "version", "1", "text", "We look into it tomorrow."), 303)
	told(ken, said, 1)
	ken.want(ken.get("/queue"), 200, `id="count-notices">1<`)
	// Nothing waits any more, whoever made it so.
	aya.want(aya.post(path+"/draft", "kind", "first", "version", "2", "text", "We look into it soon."), 303)
	told(ken, said, 0)
	told(rin, gesagt, 0)
	aya.want(aya.post(path+"/submit"), 303)
	told(ken, said, 1)
	rin.want(rin.post(path+"/approve", "hash", b.hash(m.ID)), 303)
	told(ken, said, 0)
	told(rin, gesagt, 0)
	told(sub, said, 0)
}

// TestOnlyPeopleAreAddressedAsPeople: a notice calls Earshot and programs plainly.
func TestOnlyPeopleAreAddressedAsPeople(t *testing.T) {
	b := newBench(t)
	m := b.angry()
	v := b.as("aya", everywhere, identity.Agent).in("ja")
	b.as("ken", everywhere, identity.Agent)
	ken, _ := settings.Staff.Get(b.Settings, "ken")
	for _, tt := range []struct{ what, by, words string }{
		{"taken", "ken", ">" + ken.Name + "さんが引き継ぎました"},
		{"approved", "token:robot", ">robotが返答を承認しました"},
		{"sent_back", identity.ActorSystem, ">Earshotが返答を差し戻しました"},
	} {
		b.put(casework.Notify(t.Context(), b.Bus, casework.Notice{Staff: []string{"aya"}, Case: m.ID, What: tt.what, By: tt.by}, b.Now()))
		v.want(v.get("/notices"), 200, tt.words)
	}
}
