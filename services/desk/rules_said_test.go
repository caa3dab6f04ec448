package desk

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
)

// summaries are what the members of a setting's lists say, those of inner lists
// after the one they are in.
func summaries(t *testing.T, lang, kind string, v any) []string {
	t.Helper()
	words, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	all := rulings()
	r := all[slices.IndexFunc(all, func(r ruling) bool { return r.kind == kind })]
	raw, err := json.Marshal(v)
	tree := map[string]any{}
	if err == nil {
		err = json.Unmarshal(raw, &tree)
	}
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	var collect func([]formPart)
	collect = func(parts []formPart) {
		for _, p := range parts {
			for _, m := range p.Members {
				out = append(out, m.Says)
				collect(m.Parts)
			}
		}
	}
	c := &call{Desk: &Desk{Options: Options{Settings: &settings.Store{}}}, l: sampleLocale(words[lang])}
	collect((&formed{call: c, kind: kind}).parts("", r.parts, tree))
	return out
}

// TestRulesAreSaidInSentences holds what ships, and what else can be set, to what
// somebody would say who leads the work.
func TestRulesAreSaidInSentences(t *testing.T) {
	t.Parallel()
	more := escalation.Policy{
		Rules: []escalation.Rule{{Urgency: escalation.Wake}, {Brands: []string{"kumo"}, During: escalation.WhileClosed, Categories: []mention.Category{mention.MediaInquiry}, Origins: []escalation.Origin{escalation.ByHand}, Urgency: escalation.Ignore}},
		Ladders: []escalation.Ladder{{Brands: []string{"kumo", "hoshi"}, Urgencies: []escalation.Urgency{escalation.Wake, escalation.Opening}, RepeatMinutes: 5, MaxRounds: 3,
			Rungs: []escalation.Rung{{Who: []string{"staff:mio", "oncall:press"}, Channels: []string{"slack"}, WaitMinutes: 1}, {Who: []string{"team:legal"}}}}},
		Rotas:  []escalation.Rota{{Name: "press", Members: []string{"mio", "arai"}, Start: "2026-01-05T09:00", Days: 7, Overrides: []escalation.Override{{From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Who: "ken"}}}},
		Hours:  []escalation.Hours{{Zone: escalation.NewZone("Asia/Tokyo"), Week: map[string][]string{"mon": {"09:00-12:00", "13:00-18:00"}, "sat": {"10:00-12:00"}, "sun": {"10:00-12:00"}}, Holidays: []string{"2026-12-31"}}},
		Quiet:  []escalation.Quiet{{From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC), Categories: []mention.Category{mention.Churn}, Reason: "Drill"}},
		Limits: []escalation.Limits{{Brands: []string{"kumo"}}},
	}
	rows := append(casework.DefaultRules().Rows, casework.Rule{Brands: []string{"kumo"}, Roles: []identity.Role{identity.Agent}, Trained: true, Edited: new(bool), Needs: true, Why: "Legal reads it"}, casework.Rule{})
	for _, tt := range []struct {
		name, kind string
		v          any
		ja, en     []string
	}{
		{"the policy that ships", "policy", escalation.DefaultPolicy(), []string{
			"暴力の示唆、本人の危険、安全上の問題、個人情報の問題のいずれかを含む投稿は、すぐに起こします。",
			"苦情が急に増えたとき、苦情が急に広がったとき、苦情の届いた人数が基準を超えたとき、または担当者から依頼があったときは、すぐに起こします。",
			"拡散の示唆、法的手段の示唆のいずれかを含み、10,000人以上に届く投稿は、すぐに起こします。",
			"拡散の示唆、法的手段の示唆、行政・警察、取材のいずれかを含む投稿は、朝一番に呼び出します。",
			"そのほかは、通知だけします。",
			"情報源が途絶えたとき、通知先の送信数が残りわずかのとき、または処理が止まったときは、管理者に知らせます。",
			"管理者に知らせます。",
			"通知だけのものは、PR責任者に知らせます。",
			"PR責任者に知らせます。",
			"そのほかは、PR責任者に知らせます。10分たっても誰も確認しなければ、PR責任者と管理者に知らせます。それでも確認されなければ、15分後に最初から繰り返します。",
			"PR責任者に知らせ、10分待ちます。",
			"PR責任者と管理者に知らせ、10分待ちます。",
			"月曜日〜金曜日は09:00-18:00が営業時間です(Asia/Tokyo)。日本の祝日は休みです。",
			"苦情の届いた人数が100,000人を超えたとき、同じ話題の投稿が1時間に30件を超えたとき、否定的な投稿が10分間に10件以上あり、普段の3倍以上になったときに、炎上とみなします。",
		}, []string{
			"Wake somebody at once for posts marked violence, person at risk, safety or privacy.",
			"Wake somebody at once when there are far more complaints than usual, a complaint spreads fast, a complaint reaches more people than the limit or a colleague asks for it.",
			"Wake somebody at once for posts marked threat to publish or legal threat that reach 10,000 people or more.",
			"Call somebody first thing at opening for posts marked threat to publish, legal threat, authority asks or press asks.",
			"Only send a notice for everything else.",
			"When a source falls silent, a notifier is running out of messages or mentions do not get through, tell the administrators.",
			"Tell the administrators.",
			"For what is only a notice, tell the PR leads.",
			"Tell the PR leads.",
			"For everything else, tell the PR leads. If nobody acknowledges within 10 minutes, tell the PR leads and the administrators. If still nobody does, start again 15 minutes later.",
			"Tell the PR leads and wait 10 minutes.",
			"Tell the PR leads and the administrators and wait 10 minutes.",
			"Open Monday to Friday 09:00-18:00 (Asia/Tokyo). Closed on the public holidays of Japan.",
			"It is a storm when a complaint reaches more than 100,000 people, or a story has more than 30 posts within an hour, or ten minutes bring 3 times the usual negative posts, and at least 10.",
		}},
		{"a policy", "policy", more, []string{
			"どの投稿も、すぐに起こします。",
			"kumoでは、営業時間外に、担当者から依頼があったとき、取材を含む投稿は、エスカレーションしません。",
			"kumoとhoshiでは、すぐに起こすもの、朝一番のものは、mioと当番(press)にslackで知らせます。1分たっても誰も確認しなければ、legalに知らせます。それでも確認されなければ、5分後に最初から繰り返します(全部で3回まで)。",
			"mioと当番(press)にslackで知らせ、1分待ちます。",
			"legalに知らせます。",
			"「press」は、mio、araiの順に、2026-01-05 09:00から7日ごとに交代します。",
			"2026-01-01 09:00から2026-01-02 09:00までは、kenが代わります。",
			"月曜日は09:00-12:00と13:00-18:00、土曜日〜日曜日は10:00-12:00が営業時間です(Asia/Tokyo)。ほかに1日が休みです。",
			"2026-01-01 09:00から2026-01-01 12:00まで、離反については、誰も呼び出しません。理由:Drill",
			"kumoでは、件数や広がりだけでは、炎上とみなしません。",
		}, []string{
			"Wake somebody at once for every post.",
			"Do not escalate for posts marked press asks when a colleague asks for it for kumo outside business hours.",
			"For kumo and hoshi, for what wakes somebody or what waits for opening, tell mio and whoever is on call (press) by slack. If nobody acknowledges within 1 minute, tell the team legal. If still nobody does, start again 5 minutes later, up to 3 times in all.",
			"Tell mio and whoever is on call (press) by slack and wait 1 minute.",
			"Tell the team legal.",
			"“press”: mio, arai take turns, 7 days each from 2026-01-05 09:00.",
			"From 2026-01-01 09:00 to 2026-01-02 09:00, ken stands in.",
			"Open Monday 09:00-12:00 and 13:00-18:00, Saturday to Sunday 10:00-12:00 (Asia/Tokyo). Closed on 1 more day.",
			"From 2026-01-01 09:00 to 2026-01-01 12:00, nobody is called about leaving. Reason: Drill",
			"For kumo, numbers alone make no storm.",
		}},
		{"approval", "rules", casework.Rules{Rows: rows}, []string{
			"暴力の示唆、本人の危険、安全上の問題、個人情報の問題、拡散の示唆、法的手段の示唆、行政・警察、取材、従業員への暴言、過大な要求のいずれかを含む投稿への返答は、公開の前にほかの人の承認が必要です(承認者が書いたものも)。",
			"フォロワー100,000人以上の人の投稿への返答は、公開の前にほかの人の承認が必要です(承認者が書いたものも)。",
			"研修を受けた人が書いた、お褒めか質問への返答は、承認なしで公開できます。",
			"テンプレートと異なる文面の返答は、公開の前にほかの人の承認が必要です(承認者が書いたものを除く)。",
			"kumoでは、研修を受けた担当者が書いた、テンプレートどおりの返答は、公開の前にほかの人の承認が必要です(承認者が書いたものを除く)。担当者には「Legal reads it」と表示されます。",
			"そのほかの返答は、承認なしで公開できます。",
		}, []string{
			"Replies to posts marked violence, person at risk, safety, privacy, threat to publish, legal threat, authority asks, press asks, abuse of staff or unreasonable demand want a second person, those of approvers too.",
			"Replies to posts from people with 100,000 followers or more want a second person, those of approvers too.",
			"Replies to praise or questions by trained staff go out without a second person.",
			"Replies that differ from their template want a second person, unless an approver wrote them.",
			"Replies for kumo by those of the agents who are trained that keep to their template want a second person, unless an approver wrote them. Staff read “Legal reads it”.",
			"All other replies go out without a second person.",
		}},
		{"a playbook", "playbook", casework.Playbook{Clocks: []casework.Clock{{Text: map[string]string{"ja": "委員会への報告", "en": "Tell the agency"}, Hours: 72}}}, []string{
			"委員会への報告(72時間以内)",
		}, []string{
			"Tell the agency, within 72 hours",
		}},
	} {
		for lang, want := range map[string][]string{"ja": tt.ja, "en": tt.en} {
			got := summaries(t, lang, tt.kind, tt.v)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (%s):\n%s", tt.name, lang, strings.Join(got, "\n"))
			}
		}
	}
}

func TestRoutesAreSaidInSentences(t *testing.T) {
	t.Parallel()
	words, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	for i, tt := range []struct {
		route  settings.Route
		ja, en string
	}{
		{settings.Route{Team: "press"}, "すべての投稿をpressに振り分けます。", "All posts go to press."},
		{settings.Route{Team: "press", Brands: []string{"kumo"}, Languages: []string{"en"}, Risks: []mention.Category{mention.PublicityThreat, mention.LegalThreat}},
			"kumoについての、英語の、拡散の示唆、法的手段の示唆のいずれかを含む投稿をpressに振り分けます。", "Posts about kumo in English marked threat to publish or legal threat go to press."},
		{settings.Route{Team: "shop", Intents: []mention.Intent{mention.Question, mention.Praise}, Sources: []string{"maps"}, Places: []string{"Ginza"}},
			"Ginzaに関する、mapsから届いた、質問かお褒めをshopに振り分けます。", "Questions or praise on Ginza that came by maps go to shop."},
		{settings.Route{Team: "desk"}, "そのほかの投稿をdeskに振り分けます。", "All other posts go to desk."},
	} {
		for lang, want := range map[string]string{"ja": tt.ja, "en": tt.en} {
			c := &call{Desk: &Desk{Options: Options{Settings: &settings.Store{}}}, l: sampleLocale(words[lang])}
			if got := c.saidRoute(&tt.route, i); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	}
}
