package casework

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

// refusedAs holds an error to a code of refusal; "" for none.
func refusedAs(t *testing.T, what string, err error, code string) {
	t.Helper()
	r, ok := errors.AsType[*Refused](err)
	switch {
	case code == "" && err != nil:
		t.Fatalf("%s: %v", what, err)
	case code != "" && (!ok || r.Code != code):
		t.Fatalf("%s: %v, want to be refused as %s", what, err, code)
	}
}

// dangerous is a complaint about what can hurt people.
func dangerous() *mention.Tagged {
	m := complaint("煙が出た")
	m.Verdict.Risks = []mention.Risk{{Category: mention.SafetyHazard, Score: .9}}
	return m
}

func (d *desk) write(t *testing.T, by identity.Viewer, w Write) {
	t.Helper()
	if s := d.fold(); s.Draft != nil {
		w.Version = s.Draft.Version
	}
	_, err := d.do(by, w)
	refusedAs(t, "write", err, "")
}

func sorry(id string, a Apology, k ReplyKind) Template {
	return Template{ID: id, Name: id, Lang: "ja", Versions: []TemplateVersion{{N: 1, Body: id + "。", Apology: a, Kind: k, Status: TemplateApproved}}}
}

func TestApologiesHaveDegrees(t *testing.T) {
	t.Parallel()
	d := newDesk(complaint("遅い"))
	d.rules = Rules{Rows: []Rule{{Needs: false}}}
	for _, x := range []Template{sorry("trouble", LimitedApology, First), sorry("fault", FullApology, Final)} {
		d.templates[x.ID] = x
	}
	d.write(t, ann, Write{Text: "trouble。", Template: "trouble", Kind: Final})
	_, err := d.do(ann, Send{d.hash()})
	refusedAs(t, "a limited apology as the last word", err, CodeApology)
	d.write(t, ann, Write{Text: "trouble。", Template: "trouble", Kind: First})
	_, err = d.do(ann, MarkPosted{d.hash(), "https://x.example/1"})
	refusedAs(t, "a limited apology as the first word", err, "")
	_, err = d.do(ann, Close{Outcome: "solved"})
	refusedAs(t, "closing as solved after it", err, CodeApology)
	d.write(t, ann, Write{Text: "fault。", Template: "fault", Kind: Final})
	_, err = d.do(ann, MarkPosted{d.hash(), "https://x.example/2"})
	refusedAs(t, "a full apology while nothing is confirmed", err, CodeFacts)
	_, err = d.do(ann, ConfirmFacts{" "})
	refusedAs(t, "facts that nobody names", err, CodeInput)
	_, err = d.do(ann, ConfirmFacts{"工場の記録"})
	refusedAs(t, "facts", err, "")
	_, err = d.do(ann, MarkPosted{d.hash(), "https://x.example/2"})
	refusedAs(t, "a full apology", err, "")
	if s := d.fold(); s.Status != Done || s.Outcome != "solved" || s.LimitedOnly() {
		t.Errorf("%s, %s", s.Status, s.Outcome)
	}
}

func TestAWeightyCaseWantsItsCause(t *testing.T) {
	t.Parallel()
	d := newDesk(dangerous())
	d.rules = Rules{Rows: []Rule{{Needs: false}}}
	d.write(t, ann, Write{Text: "原因が分かりました。", Kind: Final})
	_, err := d.do(ann, MarkPosted{d.hash(), "https://x.example/1"})
	refusedAs(t, "the last word to the customer", err, "")
	if s := d.fold(); s.Status != InHand || !s.Replies[0].Draft.Stays {
		t.Fatalf("%s after the last word", s.Status)
	}
	due := d.now.AddDate(0, 0, 7)
	whole := Measure{Cause: "確認の手順がなかった", Text: "二人で確かめる", Owner: "factory", Due: due}
	for _, tt := range []struct {
		name string
		c    Close
		code string
	}{
		{"without a word", Close{}, CodeMeasure},
		{"what was done, and no cause", Close{Why: "交換した"}, CodeMeasure},
		{"a cause and no measure", Close{Why: "交換した", Measure: &Measure{Cause: "x"}}, CodeMeasure},
		{"a measure of nobody", Close{Why: "交換した", Measure: &Measure{Cause: "x", Text: "y", Due: due}}, CodeMeasure},
		{"a measure without a day", Close{Why: "交換した", Measure: &Measure{Cause: "x", Text: "y", Owner: "z"}}, CodeMeasure},
		{"not solved at all", Close{Outcome: "unreachable"}, ""},
	} {
		copied := *d
		copied.events = slices.Clone(d.events)
		_, err := copied.do(ann, tt.c)
		refusedAs(t, tt.name, err, tt.code)
	}
	_, err = d.do(ann, Close{Why: "交換した", Measure: &whole})
	refusedAs(t, "whole", err, "")
	s := d.fold()
	if s.Status != Done || len(s.Care.Measures) != 1 || !slices.Contains(s.IndexTags(), TagMeasure) {
		t.Fatalf("%s, %v, %v", s.Status, s.Care.Measures, s.IndexTags())
	}
	id := s.Care.Measures[0].ID
	_, err = d.do(pat, FinishMeasure{id, ""})
	refusedAs(t, "done without a word", err, CodeInput)
	_, err = d.do(pat, FinishMeasure{id, "手順書を替えた"})
	refusedAs(t, "done", err, "")
	_, err = d.do(pat, FinishMeasure{id, "again"})
	refusedAs(t, "done again", err, CodeState)
	if s := d.fold(); slices.Contains(s.IndexTags(), TagMeasure) || s.Care.Measures[0].Done.By != "pat" {
		t.Errorf("%+v", s.Care.Measures)
	}
}

func TestAnEmergencyIsReviewedByAnother(t *testing.T) {
	t.Parallel()
	d := newDesk(dangerous())
	d.rules = DefaultRules()
	d.write(t, lea, Write{Text: "すぐに使用をおやめください。"})
	_, err := d.do(lea, Submit{})
	refusedAs(t, "submit", err, "")
	alone := Approve{Hash: d.hash(), Note: "夜間で誰もいない", Emergency: true}
	for _, tt := range []struct {
		name string
		by   identity.Viewer
		c    Approve
		code string
	}{
		{"an approver alone", pia, alone, CodeForbidden},
		{"a PR lead's own without an emergency", lea, Approve{Hash: d.hash()}, CodeForbidden},
		{"without a reason", lea, Approve{Hash: d.hash(), Emergency: true}, CodeInput},
		{"an emergency", lea, alone, ""},
	} {
		_, err := d.do(tt.by, tt.c)
		refusedAs(t, tt.name, err, tt.code)
	}
	if s := d.fold(); !s.Approval.Emergency || !slices.Contains(s.IndexTags(), TagEmergency) {
		t.Fatal("nothing to review")
	}
	_, err = d.do(lea, Send{d.hash()})
	refusedAs(t, "send", err, "")
	_, err = d.do(lea, ReviewApproval{Right: true})
	refusedAs(t, "one's own review", err, CodeForbidden)
	_, err = d.do(pia, ReviewApproval{})
	refusedAs(t, "wrong without a word", err, CodeInput)
	_, err = d.do(pia, ReviewApproval{Right: true})
	refusedAs(t, "review", err, "")
	if s := d.fold(); s.Care.Unreviewed != nil {
		t.Error("still to be reviewed")
	}
}

func TestADrafterWritesAndNeverSends(t *testing.T) {
	t.Parallel()
	d := newDesk(complaint("遅い"))
	d.rules = Rules{Rows: []Rule{{Needs: false}}}
	d.write(t, dee, Write{Text: "お調べします。"})
	for _, c := range []Command{Send{d.hash()}, MarkPosted{d.hash(), "https://x.example/1"}, Approve{Hash: d.hash()}, StopSend{}, Hasten{}} {
		_, err := d.do(dee, c)
		refusedAs(t, "", err, CodeForbidden)
	}
	_, err := d.do(dee, Submit{})
	refusedAs(t, "submit", err, "")
}

func TestAReplyIsHeldStoppedAndHastened(t *testing.T) {
	t.Parallel()
	d := newDesk(complaint("遅い"))
	d.rules = Rules{Rows: []Rule{{Needs: false}}}
	d.write(t, ann, Write{Text: "お調べします。"})
	d.stopped = "嵐のため"
	_, err := d.do(ann, Send{d.hash()})
	refusedAs(t, "while replies are stopped", err, CodeStopped)
	_, err = d.do(ann, MarkPosted{d.hash(), "https://x.example/1"})
	refusedAs(t, "by hand while replies are stopped", err, CodeStopped)
	d.stopped = ""
	_, err = d.do(ann, Send{d.hash()})
	refusedAs(t, "send", err, "")
	if s := d.fold(); !slices.Contains(s.IndexTags(), TagWaiting) || !s.Outgoing.NotTill.Equal(d.now.Add(10*time.Second)) {
		t.Fatalf("%v, not till %v", s.IndexTags(), s.Outgoing.NotTill)
	}
	_, err = d.do(program, Hasten{})
	refusedAs(t, "a program sends now", err, CodeForbidden)
	d.now = d.now.Add(2 * time.Second)
	_, err = d.do(ann, Hasten{})
	refusedAs(t, "send now", err, "")
	if s := d.fold(); !s.Outgoing.NotTill.Equal(d.now) {
		t.Errorf("not till %v at %v", s.Outgoing.NotTill, d.now)
	}
	_, err = d.do(ann, Hasten{})
	refusedAs(t, "send now again", err, CodeState)
	d.add("system", Event{Kind: Sending, Attempt: d.fold().Outgoing.Attempt, Until: d.now.Add(time.Minute)})
	d.add("system", Event{Kind: SendFailed, Text: "blocked"})
	if s := d.fold(); !slices.Contains(s.IndexTags(), TagFailed) {
		t.Errorf("a failed reply: %v", s.IndexTags())
	}
	d.write(t, ann, Write{Text: "お調べしています。"})
	if s := d.fold(); slices.Contains(s.IndexTags(), TagFailed) {
		t.Errorf("gone on with: %v", s.IndexTags())
	}
}

func TestTheAuthorWritesAgain(t *testing.T) {
	t.Parallel()
	again := Event{Kind: AuthorWrote, To: string(mention.NewID("acme", "sandbox", "p2")), Level: string(Angrier)}
	d := newDesk(complaint("遅い"))
	d.write(t, ann, Write{Text: "お調べします。"})
	_, err := d.do(ann, Submit{})
	refusedAs(t, "submit", err, "")
	_, err = d.do(pia, Approve{Hash: d.hash(), Note: "よし"})
	refusedAs(t, "approve", err, "")
	_, err = d.do(ann, Send{d.hash()})
	refusedAs(t, "send", err, "")
	d.add("system", again)
	if s := d.fold(); s.Outgoing != nil || s.Approval != nil || s.Draft == nil || s.Care.Reaction != "" {
		t.Errorf("after another post before our reply: %+v", s)
	}
	d.write(t, ann, Write{Text: "お調べしています。", Kind: Interim})
	_, err = d.do(ann, Submit{})
	refusedAs(t, "submit", err, "")
	_, err = d.do(pia, Approve{Hash: d.hash()})
	refusedAs(t, "approve", err, "")
	_, err = d.do(ann, MarkPosted{d.hash(), "https://x.example/1"})
	refusedAs(t, "post", err, "")
	if s := d.fold(); !slices.Contains(s.IndexTags(), TagSilent) {
		t.Errorf("silent after a holding reply: %v", s.IndexTags())
	}
	d.add("system", again)
	if s := d.fold(); s.Care.Reaction != Angrier || slices.Contains(s.IndexTags(), TagSilent) {
		t.Errorf("%s, %v", s.Care.Reaction, s.IndexTags())
	}
	for v, want := range map[*mention.Verdict]Reaction{
		{Intent: mention.Praise}: Thanked, {Sentiment: mention.Negative}: Angrier, {Intent: mention.Question, Sentiment: mention.Neutral}: Calmed,
	} {
		if got := ReactionOf(v); got != want {
			t.Errorf("%+v is %s, want %s", v, got, want)
		}
	}
}

func TestStepsWishesAndDecisions(t *testing.T) {
	t.Parallel()
	d := newDesk(complaint("遅い"))
	do := func(by identity.Viewer, c Command, code string) {
		t.Helper()
		_, err := d.do(by, c)
		refusedAs(t, "", err, code)
	}
	step := Step{Phase: "hear", Text: map[string]string{"en": "Listen"}}
	do(ann, TickStep{Playbook: "p", Step: step.Key(), Undo: true}, CodeState)
	do(ann, TickStep{Playbook: "p", Step: step.Key(), Text: "Listen"}, "")
	do(ann, TickStep{Playbook: "p", Step: step.Key()}, CodeState)
	do(pat, TickStep{Playbook: "p", Step: "x"}, CodeForbidden)
	do(ann, DecideHarassment{true, "w"}, CodeForbidden)
	do(pia, DecideHarassment{true, ""}, CodeInput)
	do(pia, DecideHarassment{true, "三度の恫喝"}, "")
	do(pat, AddWish{Wish: "mute", Words: "夜だけ止めたい"}, "")
	do(ann, AddWish{Wish: "mute"}, CodeState)
	do(ann, AddWish{Wish: "quiet", From: "other"}, CodeState)
	do(ann, DropWish{"other"}, CodeState)
	s := d.fold()
	if len(s.Care.Ticks) != 1 || s.Care.Harassment == nil || !s.Care.Harassment.Is || !slices.Contains(s.IndexTags(), "wish.mute") {
		t.Errorf("%+v, %v", s.Care, s.IndexTags())
	}
	do(ann, TickStep{Playbook: "p", Step: step.Key(), Undo: true}, "")
	do(ann, DropWish{"mute"}, "")
	if s := d.fold(); len(s.Care.Ticks) != 0 || len(s.Care.Wishes) != 0 {
		t.Errorf("%+v", s.Care)
	}
}

func TestSaidTagIsOfWhatWasSaid(t *testing.T) {
	t.Parallel()
	a := Draft{Text: "花子様、確かめています。", Slots: map[string]string{"author": "花子"}}
	b := Draft{Text: "太郎様、確かめています。", Slots: map[string]string{"author": "太郎"}}
	c := Draft{Text: "太郎様、直しました。", Slots: map[string]string{"author": "太郎"}}
	if a.SaidTag() != b.SaidTag() || a.SaidTag() == c.SaidTag() {
		t.Errorf("%s, %s, %s", a.SaidTag(), b.SaidTag(), c.SaidTag())
	}
}

func TestAnswersAndWishesAreFound(t *testing.T) {
	t.Parallel()
	answers := []AgreedAnswer{
		{ID: "hours", Lang: "ja", Questions: []string{"営業時間は何時までですか"}, Text: "朝7時から夜8時までです。"},
		{ID: "return", Lang: "ja", Questions: []string{"返品はできますか", "交換してもらえますか"}, Text: "30日まで承ります。"},
		{ID: "return-en", Lang: "en", Questions: []string{"Can I return it?"}, Text: "Within 30 days, in any shop."},
		{ID: "other", Lang: "ja", Brands: []string{"zenith"}, Questions: []string{"返品はできますか"}, Text: "できます。"},
	}
	ids := func(found []AgreedAnswer) string {
		var out []string
		for _, a := range found {
			out = append(out, a.ID)
		}
		return strings.Join(out, " ")
	}
	for query, want := range map[string]string{"昨日買った服の返品をしたいです": "return", "営業時間": "hours", "天気がいい": ""} {
		if got := ids(FindAnswers(answers, "acme", "ja", query, 3)); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	if got := ids(FindAnswers(answers, "acme", "en", "may I return my jacket", 3)); got != "return-en" {
		t.Errorf("in English: %q", got)
	}
	wishes := []WishCard{{ID: "mute", Brand: "acme", Title: "夜だけ通知を止める", Search: "通知 夜 mute notifications at night"}, {ID: "dark", Brand: "acme", Title: "暗い画面"}}
	for _, text := range []string{"夜中の通知を止められるようにしてほしい", "Please let me mute notifications at night"} {
		if got := NearWishes(wishes, "acme", text, 3); len(got) != 1 || got[0].ID != "mute" {
			t.Errorf("%s: %v", text, got)
		}
	}
}
