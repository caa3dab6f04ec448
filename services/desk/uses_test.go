package desk

import (
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/services/indexer"
)

// TestWhatIsInUseStays: an administrator is told what counts on a notifier, a team, a
// person, a template or a source, and nothing goes; what a person had goes back to all.
func TestWhatIsInUseStays(t *testing.T) {
	t.Parallel()
	b := newBench(t, indexer.Service)
	ctx := t.Context()
	b.accounts(settings.Source{ID: "masto", Name: "@kumo", Kind: "mastodon", Config: []byte(writes)})
	b.template()
	admin := b.as("ada", everywhere, identity.Admin, identity.Approver).in("ja")
	aya, ken := b.as("aya", everywhere, identity.Agent), b.as("ken", everywhere, identity.PRLead, identity.Agent, identity.Approver)
	b.put(settings.Notifiers.Put(ctx, b.Settings, "cli", "hook", 0, settings.Notifier{ID: "hook", Name: "Hook", Kind: "webhook", Config: []byte(`{"url":"env:EARSHOT_SECRET_U","secret":"env:EARSHOT_SECRET_H"}`)}))
	b.put(settings.Teams.Put(ctx, b.Settings, "cli", "care", 0, settings.Team{ID: "care", Name: "Care", Members: []string{"aya"}}))
	b.put(settings.Routes.Put(ctx, b.Settings, "cli", "all", 0, settings.Route{ID: "all", Name: "すべて", Team: "care"}))
	policy := func(edit func(*escalation.Policy)) {
		p := escalation.DefaultPolicy()
		edit(&p)
		b.put(settings.Policies.Put(ctx, b.Settings, "cli", settings.Default, settings.Policies.Version(b.Settings, settings.Default), p))
	}
	policy(func(p *escalation.Policy) {
		rung := escalation.Rung{Who: []string{"staff:aya", "team:care"}, Channels: []string{"hook"}, WaitMinutes: 5}
		p.Ladders[1].Rungs = append([]escalation.Rung{rung}, p.Ladders[1].Rungs...)
	})
	named := "呼び出しの段取り2の1段目で使われています。"

	// A notifier and a person that the paging rules name.
	off := []string{"name", "Hook", "off", "on"}
	admin.want(admin.post("/notifiers/hook", off...), 422, "使用中のため、変更していません。", named)
	person := []string{"name", "Aya", "email", "aya@kumo.example", "roles", "agent", "off", "on"}
	admin.want(admin.post("/staff/aya", person...), 422, "使用中のため、変更していません。", named)
	if n, _ := settings.Notifiers.Get(b.Settings, "hook"); n.Off {
		t.Error("the notifier is off")
	}

	// A team of a route, of the paging rules, with cases.
	refused := func(post, page string, words ...string) {
		t.Helper()
		a := admin.want(admin.post(post), 303)
		if got := a.Header.Get("Location"); got != page {
			t.Errorf("%s leads to %s", post, got)
		}
		admin.want(admin.get(page), 200, append(words, "使用中のため、変更していません。")...)
	}
	m := b.question("1", "Where is my order?")
	s, err := b.Cases.Do(ctx, b.staff("aya"), m.ID, casework.HandOver{To: "care", Why: "theirs"})
	b.put(err)
	b.put(b.Index.Wait(ctx, casework.Events().Stream(), s.Last))
	refused("/rules/team/care/remove", "/rules/team/care", named, "振り分け「すべて」の行き先になっています。", "引き渡し中の案件が1件あります。")

	policy(func(*escalation.Policy) {})
	b.put(settings.Routes.Delete(ctx, b.Settings, "cli", "all", settings.Routes.Version(b.Settings, "all")))
	s, err = b.Cases.Do(ctx, b.staff("aya"), m.ID, casework.Return{})
	b.put(err)
	b.put(b.Index.Wait(ctx, casework.Events().Stream(), s.Last))
	admin.want(admin.post("/rules/team/care/remove"), 303)
	if _, ok := settings.Teams.Get(b.Settings, "care"); ok {
		t.Error("nothing counts on the team, and it stays")
	}
	admin.want(admin.post("/notifiers/hook", off...), 303)

	// A template and a source of a reply that waits.
	grave := b.mention(mention.Post{Platform: "mastodon", NativeID: "9", Source: "masto", URL: "https://social.example/9", Text: "My lawyer will write.", Author: mention.Author{ID: "9", Handle: "lin"}},
		mention.Verdict{Lang: "en", Intent: mention.Complaint, Risks: []mention.Risk{{Category: mention.LegalThreat, Score: .9}}})
	path := "/cases/" + string(grave.ID)
	aya.want(aya.post(path+"/claim"), 303)
	aya.want(aya.post(path+"/check", "template", "hold", "was", "hold", "kind", "interim", "promise", time.Now().AddDate(0, 0, 1).Format(localTime), "version", "0", "slot.matter", "it", "text", "Dear lin, we are looking into it. Aya"), 303)
	b.now(grave.ID)
	refused("/templates/hold/retire", "/templates/hold", "このテンプレートによる返答が1件、承認または公開を待っています。")
	ken.want(ken.post(path+"/approve", "hash", b.hash(grave.ID)), 303)
	aya.want(aya.post(path+"/send", "hash", b.hash(grave.ID)), 303)
	b.now(grave.ID)
	refused("/templates/hold/retire", "/templates/hold", "このテンプレートによる返答が1件、")
	admin.want(admin.post("/sources/masto", "name", "@kumo", "off", "on", "config.server", "https://social.example"), 422, "ここから公開される直前の返答が1件あります。")
	aya.want(aya.post(path+"/stop"), 303)
	b.now(grave.ID)
	admin.want(admin.post("/templates/hold/retire"), 303)
	admin.want(admin.get("/templates/hold"), 200, "!使用中")

	// Somebody who has cases.
	admin.want(admin.post("/staff/aya", person...), 303)
	admin.want(admin.get("/staff"), 200, "担当中の案件1件を全員の対応一覧に戻しました。")
	if s := b.now(grave.ID); s.Owner() != "" || s.Draft == nil {
		t.Errorf("of %q, draft %v", s.Owner(), s.Draft)
	}
}

// TestWhoWouldNotBeCalledIsSaid: switching off the last notifier that wakes somebody,
// and letting the only one go who has a role that the paging rules call on, is not
// refused, but said before and after.
func TestWhoWouldNotBeCalledIsSaid(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	admin, en := b.as("ada", everywhere, identity.Admin).in("ja"), b.as("ben", everywhere, identity.Admin)
	b.as("ken", everywhere, identity.PRLead, identity.Agent)
	for id, n := range map[string]settings.Notifier{
		"drill": {Name: "Drill", Kind: "sandbox"}, "hook": {Name: "Hook", Kind: "webhook", Config: []byte(`{"url":"env:EARSHOT_SECRET_U","secret":"env:EARSHOT_SECRET_H"}`)},
		"ntfy": {Name: "Notices", Kind: "shoutrrr", Config: []byte(`{"url":"env:EARSHOT_SECRET_N"}`)},
	} {
		n.ID = id
		b.put(settings.Notifiers.Put(ctx, b.Settings, "cli", id, 0, n))
	}
	const called, calledJa = "No notifier that is on can wake anybody", "人を起こせる通知先が1つも有効になっていません。"
	en.want(en.get("/notifiers/hook"), 200, "!"+called) // there is another one
	en.want(en.post("/notifiers/hook", "name", "Hook", "off", "on"), 303)
	en.want(en.get("/notifiers"), 200, "!"+called)
	en.want(en.get("/notifiers/drill"), 200, "Careful", called, `aria-describedby="f-off-hint"`)
	admin.want(admin.get("/notifiers/drill"), 200, "この操作をすると次の状態になります。 "+calledJa)
	en.want(en.get("/notifiers/ntfy"), 200, "!"+called) // it wakes nobody anyway
	en.want(en.post("/notifiers/drill", "name", "Drill", "off", "on"), 303)
	en.want(en.get("/notifiers"), 200, "Paging has a gap", called)
	admin.want(admin.get("/notifiers"), 200, "呼び出しに抜けがあります", calledJa)
	en.want(en.post("/notifiers/hook", "name", "Hook"), 303)
	en.want(en.get("/notifiers"), 200, "!Paging has a gap")

	lead := func(brands string) string {
		return "Nobody has the role “PR lead” for " + brands + ", and the paging rules call on it."
	}
	all := lead("Hoshi, Kumo Café")
	en.want(en.get("/staff"), 200, "!Paging has a gap")
	en.want(en.get("/staff/ada"), 200, "!Careful") // there are two
	a := en.want(en.get("/staff/ken"), 200, "Careful, then this is so: "+all, "Careful, without a brand this is so for it: "+all)
	if n := strings.Count(a.body, "then this is so: "+all); n != 2 { // at the role and at the account
		t.Errorf("%d warnings", n)
	}
	ken := []string{"name", "Ken", "email", "ken@kumo.example"}
	en.want(en.post("/staff/ken", append(ken, "roles", "pr_lead", "brands", "kumo")...), 303)
	en.want(en.get("/staff"), 200, "Paging has a gap", lead("Hoshi"))
	en.want(en.post("/staff/ken", append(ken, "roles", "agent")...), 303)
	en.want(en.get("/staff"), 200, all)
	en.want(en.post("/staff/ken", append(ken, "roles", "pr_lead")...), 303)
	en.want(en.get("/staff"), 200, "!Paging has a gap")
	en.want(en.post("/staff/ken", append(ken, "roles", "pr_lead", "off", "on")...), 303)
	admin.want(admin.get("/staff"), 200, "呼び出しに抜けがあります", "Hoshi、Kumo Caféについて「")
	// For what is about Earshot itself, administrators.
	en.want(en.post("/staff/ada", "name", "Ada", "email", "ada@kumo.example", "roles", "viewer"), 303)
	en.want(en.get("/staff/ben"), 200, "what is about Earshot itself")
}
