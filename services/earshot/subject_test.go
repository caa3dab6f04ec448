package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
)

// TestAPersonAsksWhatIsHeldAboutThem, and then for its erasure.
func TestAPersonAsksWhatIsHeldAboutThem(t *testing.T) {
	a, cfg, must := begin(t, services, nil, "acme")
	ctx, env := t.Context(), a.Env("test")
	post := func(native, id, handle, text string, with ...func(*mention.Post)) *mention.Mention {
		p := mention.Post{
			Platform: "mastodon", NativeID: native, Source: "fedi", Kind: mention.KindPost, Intake: mention.Live, Text: text,
			Author: mention.Author{ID: id, Handle: handle, Name: "名前 " + id}, SeenAt: time.Now().UTC(), PublishedAt: time.Now().UTC(),
		}
		for _, f := range with {
			f(&p)
		}
		m := mention.Of("acme", p)
		return &m
	}
	old := post("2", "7", "hana@a.example", "acme 前の名のひみつ")
	edited := *old
	edited.Text, edited.EditedAt = "acme 直したひみつ", time.Now().UTC().Add(time.Second)
	second := mention.Of("acme", edited.Post)
	all := []*mention.Mention{
		post("1", "7", "hanako@b.example", "acme 今の名のひみつ"), old,
		post("3", "8", "jiro@a.example", "acme 他の人の残る言葉", func(p *mention.Post) {
			p.Comments = []mention.Comment{{NativeID: "c1", Author: "hanako@b.example", Text: "下に書いたひみつ"}, {NativeID: "c2", Author: "saburo", Text: "別の人"}}
		}),
	}
	must(bus.Mentions.Publish(ctx, env.Bus(), append(all, &second)...))
	index, err := env.Index(ctx)
	must(err)
	for _, m := range all {
		eventually(t, "mention "+m.NativeID, func() bool {
			docs, err := index.Get(ctx, search.SeesAll(), m.ID)
			return err == nil && len(docs) == 1 && (m != old || len(docs[0].Tagged) == 2)
		})
	}
	person := identity.Staff{ID: "aoi", Email: "aoi@example.com", Name: "葵", Grants: []identity.Grant{{Role: identity.Agent, Brands: []string{"*"}}}}
	for _, cmd := range []casework.Command{casework.Claim{}, casework.AddNote{Text: "折り返し済み"}, casework.Write{Text: "返答の下書き"}} {
		_, err := env.Cases(index).Do(ctx, person.Viewer(), all[0].ID, cmd)
		must(err)
	}
	command := func(code int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if got := run(ctx, append([]string{"subject", "--data", cfg.Data}, args...), strings.NewReader(""), &out, &errs); got != code {
			t.Fatalf("earshot subject %v: %d, %s%s", args, got, out.String(), errs.String())
		}
		return out.String() + errs.String()
	}
	// By the handle, by the id, by a mention: it is the same person.
	for _, who := range [][]string{{"--author", "mastodon:@hanako@b.example"}, {"--author", "mastodon:7"}, {"--mention", string(old.ID)}} {
		var got subjectExport
		must(json.Unmarshal([]byte(command(0, append([]string{"export"}, who...)...)), &got))
		raw, _ := json.Marshal(got)
		for _, want := range []string{"今の名のひみつ", "前の名のひみつ", "直したひみつ", "下に書いたひみつ", "折り返し済み", "返答の下書き", "hana@a.example", "名前 7"} {
			if !strings.Contains(string(raw), want) {
				t.Errorf("%v: %s is missing", who, want)
			}
		}
		if len(got.Mentions) != 2 || len(got.Comments) != 1 || len(got.IDs) != 1 || strings.Contains(string(raw), "残る言葉") || strings.Contains(string(raw), "別の人") {
			t.Errorf("%v: %d mentions, %d comments, %v", who, len(got.Mentions), len(got.Comments), got.IDs)
		}
	}
	command(1, "export", "--author", "mastodon:nobody")
	command(2, "erase", "--author", "mastodon:7")
	if out := command(0, "erase", "--author", "mastodon:@hanako@b.example", "--why", "asked by mail", "--yes"); !strings.Contains(out, "erased 2 mentions") || !strings.Contains(out, string(all[2].ID)) {
		t.Errorf("erase says %q", out)
	}
	must(a.Stop())
	for _, found := range bustest.Lying(t, cfg.Data, "今の名のひみつ", "前の名のひみつ", "直したひみつ", "hana@a.example", "名前 7") {
		t.Error(found)
	}
	if len(bustest.Lying(t, cfg.Data, "残る言葉")) == 0 {
		t.Error("what others said is gone too")
	}
}
