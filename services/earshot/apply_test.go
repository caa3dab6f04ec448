package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/services/indexer"
)

// TestApplyKeepsWhatIsInUse: a file takes nothing out of use that paging rules, stops
// or open cases count on, unless it sees to those too; and it says where paging gets
// a hole.
func TestApplyKeepsWhatIsInUse(t *testing.T) {
	t.Parallel()
	a, cfg, must := begin(t, []app.Service{indexer.Service}, nil, "kumo")
	env, ctx := a.Env("test"), t.Context()
	index, err := env.Index(ctx)
	must(err)
	apply := func(yaml string) (int, string) {
		t.Helper()
		var out, errs bytes.Buffer
		status := run(ctx, []string{"apply", "-", "--data", cfg.Data}, strings.NewReader(yaml), &out, &errs)
		return status, out.String() + errs.String()
	}
	want := func(yaml string, status int, words ...string) {
		t.Helper()
		got, said := apply(yaml)
		if got != status {
			t.Errorf("status %d, want %d\n%s\n%s", got, status, yaml, said)
		}
		for _, w := range words {
			if no, ok := strings.CutPrefix(w, "!"); strings.Contains(said, no) == ok {
				t.Errorf("%q in\n%s", w, said)
			}
		}
	}
	const (
		ladders  = "policy:\n  default: {rules: [], hours: [], limits: [], ladders: [{rungs: [{who: ['staff:aya', 'role:pr_lead']%s}]}]}\n"
		notifier = "notifier:\n  drill: {id: drill, name: Drill, kind: sandbox, off: %s}\n"
		aya      = "staff:\n  aya: {id: aya, name: Aya, email: aya@kumo.example, disabled: %s, grants: [{role: admin, brands: ['*']}, {role: pr_lead, brands: ['*']}, {role: approver, brands: ['*']}]}\n"
		ken      = "staff:\n  ken: {id: ken, name: Ken, email: ken@kumo.example, grants: [{role: pr_lead, brands: ['%s']}, {role: agent, brands: ['*']}]}\n"
		source   = "source:\n  masto: {id: masto, name: '@kumo', kind: mastodon, off: %s, config: {server: 'https://social.example', token: 'env:EARSHOT_SECRET_X'}}\n"
		template = "template:\n  hold: {id: hold, name: Hold, lang: en, versions: [{n: 1, body: We look into it., apology: none, status: %s}]}\n"
	)
	fill := func(yaml, with string) string { return strings.Replace(yaml, "%s", with, 1) }
	for _, yaml := range []string{fill(notifier, "false"), fill(aya, "false"), fill(ken, "*"), fill(source, "false"), fill(template, "approved"), fill(ladders, ", channels: [drill]")} {
		want(yaml, 0)
	}

	// What the paging rules name, unless the same file has them name it no more.
	want(fill(notifier, "true"), 1, "nothing was set", "notifier.drill.off: it is still in use: policy.default.ladders[0].rungs[0].channels names it")
	want(fill(aya, "true"), 1, "staff.aya.disabled: it is still in use: policy.default.ladders[0].rungs[0].who names it")
	if n, _ := settings.Notifiers.Get(env.Settings(), "drill"); n.Off {
		t.Error("the notifier is off")
	}
	want(fill(notifier, "true")+fill(ladders, ""), 0, "changed notifier drill", "warning: no notifier that is on can wake anybody")
	want(fill(notifier, "false"), 0, "!warning")

	// A reply that waits for approval, then to leave.
	writer, _ := settings.Staff.Get(env.Settings(), "ken")
	approver, _ := settings.Staff.Get(env.Settings(), "aya")
	post := mention.Post{Platform: "mastodon", NativeID: "1", Source: "masto", URL: "https://social.example/1", Text: "Kumo, when do you open?", PublishedAt: time.Now().UTC(), Author: mention.Author{ID: "1", Handle: "ravi"}}
	post.SeenAt, post.Intake = post.PublishedAt, mention.Live
	m := mention.Of("kumo", post)
	must(bus.Tagged.Publish(ctx, env.Bus(), &mention.Tagged{Mention: m, Verdict: mention.Verdict{Lang: "en", Intent: mention.Question, Disposition: mention.Answer, Model: "test"}}))
	seq, err := bus.Tagged.Last(ctx, env.Bus())
	must(err)
	must(index.Wait(ctx, bus.Tagged.Stream(), seq))
	cases := env.Cases(index)
	do := func(v identity.Viewer, cmd casework.Command) casework.State {
		t.Helper()
		s, err := cases.Do(ctx, v, m.ID, cmd)
		must(err)
		must(index.Wait(ctx, casework.Events().Stream(), s.Last))
		return s
	}
	do(writer.Viewer(), casework.Write{Text: "We look into it.", Template: "hold", Account: "masto", Lang: "en"})
	s := do(writer.Viewer(), casework.Submit{})
	want(fill(template, "retired"), 1, "template.hold.versions: it is still in use: replies made from it", ": 1;")
	want(fill(source, "true"), 0)
	want(fill(source, "false"), 0)
	do(approver.Viewer(), casework.Approve{Hash: s.Submitted})
	do(writer.Viewer(), casework.Send{Hash: s.Submitted})
	want(fill(source, "true"), 1, "source.masto.off: it is still in use: replies that are about to leave by it: 1;")
	want(fill(template, "retired"), 1, "template.hold.versions")
	do(writer.Viewer(), casework.StopSend{})
	want(fill(source, "true")+fill(template, "retired"), 0)

	// Who is disabled is signed out, and their cases are anybody's.
	do(writer.Viewer(), casework.Claim{})
	gone := strings.Replace(fill(ken, "*"), "grants:", "disabled: true, grants:", 1)
	want(gone, 0, "changed staff ken", "handed back 1 cases of staff ken")
	if s, err := cases.Get(ctx, approver.Viewer(), m.ID); err != nil || s.Owner() != "" {
		t.Errorf("the case is of %q: %v", s.Owner(), err)
	}
	eventually(t, "sessions of before are over", func() bool {
		c, _ := (settings.Directory{Store: env.Settings()}).Credential("ken")
		return !c.Since.IsZero()
	})
	want(gone, 0, "nothing to change", "!handed back")
	want(fill(ken, "*"), 0)

	// Whom the paging rules call on.
	want("staff:\n  aya: {id: aya, name: Aya, email: aya@kumo.example, grants: [{role: admin, brands: ['*']}]}\n", 0, "!warning")
	want(fill(ken, "hoshi"), 0, "warning: nobody has the role pr_lead for kumo")
}
