package desk

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// sampleNow is the moment all sample pages are made at.
var sampleNow = time.Now().UTC().Truncate(time.Minute)

func sampleLocale(w *words) *locale {
	return &locale{words: w, zone: time.FixedZone("JST", 9*3600), now: sampleNow}
}

func sampleFrame(l *locale, title, path string) frame {
	item := func(name, key string, count int, urgent bool) navItem {
		href := "/" + name
		return navItem{Name: name, Label: l.say("nav." + name), Href: href, Key: key, Count: count, Urgent: urgent, On: href == path, Bar: slices.Contains(barred, name)}
	}
	return frame{
		locale: l, Title: title, Path: path, Density: "comfortable", Keys: true, // not Live: without a server for it a page says after some seconds that it is cut off, and moves
		User: &userView{ID: "u1", Name: "佐藤 香織"},
		Nav: []navGroup{
			{l.say("nav.work"), []navItem{item("queue", "q", 23, false), item("escalations", "e", 2, true), item("board", "l", 0, false), item("shift", "h", 0, false), item("outbox", "u", 1, true), item("note", "n", 0, false)}},
			{l.say("nav.library"), []navItem{item("templates", "t", 0, false), item("wishes", "w", 3, false), item("brands", "b", 0, false)}},
			{l.say("nav.operate"), []navItem{item("sources", "s", 1, true), item("notifiers", "o", 0, false), item("dead", "d", 0, true), item("rules", "r", 0, false), item("quality", "f", 0, false), item("staff", "p", 0, false), item("sandbox", "x", 0, false)}},
		},
	}
}

func sampleRules(l *locale, f frame) *rulesView {
	v := &rulesView{frame: f}
	for i, r := range rulings() {
		s := rulesSection{Title: l.say("rules." + r.kind), Lead: l.say("rules." + r.kind + "_lead")}
		if r.one != nil {
			s.rulesRow = rulesRow{Href: "#", Name: s.Title, State: l.say("rules.default")}
		} else {
			s.New, s.NewLabel = "#", l.say("rules."+r.kind+"_new")
			s.Rows = []rulesRow{{Href: "#", Name: "品質保証", Parts: []string{l.say("risk.safety_hazard"), l.say("risk.churn")}, At: l.at(sampleNow.Add(-26 * time.Hour)), By: "M. Okada"}}
		}
		if i == 3 {
			s.Rows = nil
		}
		v.Sections = append(v.Sections, s)
	}
	return v
}

// sampleRuling is the default policy with a mistake in it.
func sampleRuling(l *locale, f frame) *ruleView {
	r := rulings()[0]
	raw, _ := json.Marshal(r.one())
	tree := map[string]any{}
	_ = json.Unmarshal(raw, &tree)
	form := &formed{call: &call{Desk: &Desk{Options: Options{Settings: &settings.Store{}}}, l: l}, kind: r.kind, wrong: map[string]string{
		"ladders.1.rungs.0.wait_minutes": l.say("form.number"), "ladders": l.say("form.required"),
	}}
	return &ruleView{
		frame: f, Lead: l.say("rules.policy_lead"), Action: "/rules/policy/default", Version: "12", May: true, Parts: form.parts("", r.parts, tree),
		Notice: &notice{Kind: "error", Title: l.say("error.input"), Text: l.say("rules.wrong"), Kept: l.say("form.kept")}, Back: link{l.say("nav.rules"), "/rules"},
		History: []eventView{{At: l.at(sampleNow.Add(-26 * time.Hour)), Who: l.say("history.person", "M. Okada"), What: l.say("rules.changed"), Text: l.say("rules.policy.ladders")}},
		Drop:    "#", DropLabel: l.say("rules.reset"), DropText: l.say("rules.reset_sure"),
	}
}

type sampleRow struct {
	step                              int
	risk, intent, sentiment, text, by string
	platform, lang                    string
	due, age                          time.Duration
	state, holder                     string
	story, growth, media              int
}

var sampleRows = []sampleRow{
	{3, "risk.publicity_threat", "", "negative", "三回電話しても折り返しがない。明日までに返金の連絡がなければ、録音も含めて全部公開します。", "@midori_k", "X", "ja", -12 * time.Minute, 72 * time.Minute, "state.in_hand", "佐藤 香織", 14, 9, 2},
	{3, "risk.safety_hazard", "", "negative", "The charger of my Kumo 3 started smoking on the kitchen table. My daughter burned two fingers. Who do I call?", "@harriet.bsky.social", "Bluesky", "en", 21 * time.Minute, 38 * time.Minute, "", "", 1, 0, 1},
	{2, "risk.legal_threat", "", "negative", "消費生活センターに相談済みです。これ以上放置するなら弁護士に任せます。", "@tanaka_h", "Mastodon", "ja", 48 * time.Minute, 2 * time.Hour, "state.awaiting_approval", "M. Okada", 1, 0, 0},
	{2, "risk.staff_abuse", "", "negative", "池袋店のレジの女、名札に山口って書いてあったけど態度が最悪。動画あるから見てくれ", "@nemui_07", "X", "ja", 65 * time.Minute, 55 * time.Minute, "", "", 3, 1, 1},
	{1, "risk.repeat_contact", "", "negative", "Fourth email and still nothing. What is happening with my order? I don't want a voucher, I want an answer.", "@jonas_w@mastodon.social", "Mastodon", "en", 95 * time.Minute, 3 * time.Hour, "", "", 1, 0, 0},
	{1, "risk.churn", "", "negative", "値上げは仕方ないけど説明がなさすぎる。十年使ったけど今月で解約します。", "@yuyu_dayo", "X", "ja", 2*time.Hour + 14*time.Minute, 4 * time.Hour, "", "", 1, 0, 0},
	{0, "", "intent.bug_report", "negative", "アプリを更新してからログインできません。パスワードの再設定メールも届かないです(iPhone 15、iOS 19)", "たかし1984", "App Store", "ja", 3 * time.Hour, 5 * time.Hour, "", "李 明", 6, 2, 0},
	{0, "", "intent.question", "neutral", "Does the Kumo 3 fit the older dock? The page only mentions the Kumo 2 dock and I can't find it anywhere.", "@ravi", "Bluesky", "en", 4*time.Hour + 30*time.Minute, 6 * time.Hour, "", "", 1, 0, 1},
	{0, "", "intent.feature_request", "neutral", "予約の変更がアプリからできたら最高なんだけどな〜電話は苦手", "@mikan_box", "X", "ja", 7 * time.Hour, 7 * time.Hour, "", "", 4, 0, 0},
	{0, "", "intent.praise", "positive", "雨の日に傘を貸してくれた渋谷店の店員さん、ありがとうございました。また行きます!", "@hanako_s", "Google", "ja", 26 * time.Hour, 9 * time.Hour, "", "", 1, 0, 0},
	{0, "", "intent.complaint", "negative", "セルフレジが三台とも止まっていて十五分待ち。人を増やしてほしい。", "@shibuya_lunch", "X", "ja", 27 * time.Hour, 10 * time.Hour, "state.sent_back", "佐藤 香織", 1, 0, 0},
	{0, "", "intent.praise", "positive", "Support called me back on a Sunday. Didn't expect that. Thank you, Kumo people.", "dieter_k", "Hacker News", "en", 75 * time.Hour, 26 * time.Hour, "", "", 1, 0, 0},
}

func sampleList(l *locale) listView {
	v := listView{More: "/queue?cursor=abc"}
	for i := range 24 {
		s := sampleRows[i%len(sampleRows)]
		what := ""
		if s.risk != "" {
			what = l.say(s.risk)
		}
		state := ""
		if s.state != "" {
			state = l.say(s.state)
		}
		intent := ""
		if s.intent != "" {
			intent = l.say(s.intent)
		}
		shift := time.Duration(i/len(sampleRows)) * 30 * time.Hour
		v.Rows = append(v.Rows, rowView{
			Pick: true,
			ID:   fmt.Sprintf("case%02d", i), Href: fmt.Sprintf("/queue?case=case%02d", i), Step: s.step, Risk: what, Intent: intent,
			Sentiment: s.sentiment, SentimentWord: l.say("sentiment." + s.sentiment), Lang: s.lang, Author: s.by, PlatformName: s.platform,
			Text: []span{{Text: s.text}}, At: l.at(sampleNow.Add(-s.age - shift)), Due: l.at(sampleNow.Add(s.due + shift)),
			StateName: state, Holder: s.holder, Mine: s.holder == "佐藤 香織", Story: s.story, Growth: s.growth, Media: s.media, Open: i == 0, Seen: i == 2 || i == 5,
		})
	}
	return v
}

func sampleQueue(l *locale) *queueView {
	v := &queueView{
		frame: sampleFrame(l, l.say("nav.queue"), "/queue"),
		Sorts: []option{{Value: "risk", Label: l.say("list.sort_risk"), On: true}, {Value: "due", Label: l.say("list.sort_new")}},
		Tabs: []chip{
			{Label: l.say("view.answer"), Href: "/queue", Count: 23, On: true}, {Label: l.say("view.mine"), Href: "/queue?view=mine", Count: 4},
			{Label: l.say("view.approve"), Href: "/queue?view=approve", Count: 2}, {Label: l.say("view.waiting"), Href: "/queue?view=waiting", Count: 7},
			{Label: l.say("view.watch"), Href: "/queue?view=watch"}, {Label: l.say("view.all"), Href: "/queue?view=all"},
		},
		Facets: []facet{
			{Name: "risk", Label: l.say("facet.risk"), Chips: []chip{{Label: l.say("risk.publicity_threat"), Href: "?", Count: 3, On: true}, {Label: l.say("risk.safety_hazard"), Href: "?", Count: 1}, {Label: l.say("risk.repeat_contact"), Href: "?", Count: 5}, {Label: l.say("risk.churn"), Href: "?", Count: 4}}},
			{Name: "platform", Label: l.say("facet.platform"), Chips: []chip{{Label: "X", Href: "?", Count: 12}, {Label: "Mastodon", Href: "?", Count: 5}, {Label: "Bluesky", Href: "?", Count: 4}, {Label: "App Store", Href: "?", Count: 2}}},
			{Name: "lang", Label: l.say("facet.lang"), Chips: []chip{{Label: l.say("lang.ja"), Href: "?", Count: 15}, {Label: l.say("lang.en"), Href: "?", Count: 8}}},
		},
		List: sampleList(l), Case: sampleCase(l), Back: "/queue",
	}
	v.Wide = true
	v.Case.Back = "/queue"
	return v
}

func samplePost(l *locale) postView {
	return postView{
		Author: "みどり", Handle: "midori_k", Profile: "https://example.com/midori_k", PlatformName: "X", Platform: "x", X: true, Avatar: "/static/sample.svg", Href: "https://example.com/midori_k/1", Lang: "ja",
		At: l.at(sampleNow.Add(-72 * time.Minute)), Followers: l.compact(8412),
		Body: []span{
			{Text: "Kumoカフェ渋谷店、"}, {Text: "三回電話しても折り返しがない", Note: "2", Step: 1, Why: "repeat_contact"}, {Text: "。店長が「社内で確認します」と言ってからもう一週間です。\n\n"},
			{Text: "明日までに返金の連絡がなければ、録音も含めて全部公開します", Note: "1", Step: 3, Why: "publicity_threat"}, {Text: "。ほかにも同じ目にあった人、いますよね? "}, {Text: "example.com/photo/1", Href: "https://example.com/photo/1"},
		},
		Media:   []mediaView{{Type: "image", Src: "/static/sample.svg", Alt: "", Href: "https://example.com/p"}, {Type: "video", Alt: "店内", Href: "https://example.com/v"}},
		Metrics: []metric{{l.say("post.likes"), "214"}, {l.say("post.reposts"), "96"}, {l.say("post.replies"), "31"}},
	}
}

func sampleCase(l *locale) *caseView {
	at := func(d time.Duration) moment { return l.at(sampleNow.Add(-d)) }
	history := []eventView{
		{At: at(72 * time.Minute), Who: "Earshot", What: "found it on X and tagged it", System: true},
		{At: at(71 * time.Minute), Who: "Earshot", What: "paged PR: publicity threat with a deadline", System: true},
		{At: at(54 * time.Minute), Who: "M. Okada", What: "acknowledged the page"},
		{At: at(31 * time.Minute), Who: "佐藤 香織", What: "claimed it"},
		{At: at(24 * time.Minute), Who: "佐藤 香織", What: "left a note", Kind: "note", Lang: "ja", Text: "渋谷店に確認。店長は本日休み、返金の可否は15時までに本部から連絡とのこと。"},
	}
	if l.lang == "ja" {
		for i, what := range []string{"がXで見つけ、判定しました", "がPRに通知しました: 期限つきの拡散の示唆", "が通知を確認しました", "が担当になりました", "がメモを残しました"} {
			if history[i].What = what; !history[i].System {
				history[i].Who = l.say("history.person", history[i].Who)
			}
		}
	}
	templates := []templateOption{{ID: "t1", Name: "まず一報(返金の確認中)", Lang: "ja", On: true, When: "事実の確認に時間がかかるとき。お詫びは「ご心配をおかけしていること」まで。"}, {ID: "t2", Name: "折り返しの遅れのお詫び", Lang: "ja"}}
	text := "みどり様\nご連絡が遅れ、ご心配をおかけしております。Kumoカフェの香織と申します。ご返金については本日15時までに、こちらからご報告いたします。"
	return &caseView{
		Below: "#",
		ID:    "mfrggzdfmztwq2lknnwg23tpoa", Number: "K-2417", Href: "/cases/x", Revision: 6, State: "in_hand", StateName: l.say("state.in_hand"),
		Brand: "Kumo Café", Place: "渋谷店", Holder: "佐藤 香織", Mine: true, Due: l.at(sampleNow.Add(-12 * time.Minute)), DueWhat: l.say("case.due_first"),
		Promise: &promiseView{By: l.at(sampleNow.Add(5 * time.Hour)), Every: l.say("case.every_days", 3), Kept: "#", End: "#"},
		Post:    samplePost(l),
		Parent:  &postView{Author: "Kumo Café 渋谷", Handle: "kumocafe_shibuya", PlatformName: "X", Lang: "ja", At: at(30 * time.Hour), Body: []span{{Text: "本日より秋のメニューが始まりました。皆さまのお越しをお待ちしております。"}}},
		Verdict: verdictView{
			Disposition: "answer", DispositionName: l.say("disposition.answer"), Intent: l.say("intent.complaint"), IntentP: .93, Sentiment: "negative", SentimentName: l.say("sentiment.negative"), SentimentP: .97,
			Page: true, PageReason: "publicity_threat · ja.expose.conditional", Model: "rules-2026.11 · pass 1",
			Risks: []riskView{
				{Note: "1", Name: "publicity_threat", Label: l.say("risk.publicity_threat"), Step: 3, Words: "明日までに返金の連絡がなければ、録音も含めて全部公開します", Rule: "ja.expose.conditional", P: .94, Rung: l.say("rung.deadline"), Deadline: l.at(sampleNow.Add(13*time.Hour + 46*time.Minute))},
				{Note: "2", Name: "repeat_contact", Label: l.say("risk.repeat_contact"), Step: 1, Words: "三回電話しても折り返しがない", Rule: "ja.repeat.count", P: .88},
			},
		},
		Steps:      []stepView{{Text: "気持ちを受け止め、待たせたことをお詫びする", Done: true}, {Text: "いつまでに報告するかを伝える"}, {Text: "店舗と本部で事実を確かめる", Who: "店舗運営"}, {Text: "報告し、必要ならお詫びする"}, {Text: "再発防止を関係部署に渡す"}},
		Earlier:    []earlierView{{Href: "/cases/a", Text: "Kumoカフェの期間限定、去年のほうが好きだったな", Lang: "ja", At: at(31 * 24 * time.Hour)}, {Href: "/cases/b", Text: "電話がつながらない…", Lang: "ja", At: at(80 * time.Hour), Reply: "お待たせしております。"}},
		EarlierAll: "/queue?author=x",
		Story:      &storyView{Count: 14, Growth: 9, First: at(72 * time.Minute), Href: "/queue?story=1", Items: []earlierView{{Href: "/cases/c", Text: "【拡散希望】渋谷のKumoカフェの対応がひどい件", Lang: "ja", At: at(20 * time.Minute)}}},
		Escalation: &link{l.say("case.see_page"), "/escalations/e1"},
		History:    history,
		Present:    []presentView{{"M. Okada", "viewing"}, {"李 明", "editing"}},
		Actions: []actionView{
			{Label: l.say("action.done"), Key: "e", Action: "/cases/x/close", Ask: true, Primary: false}, {Label: l.say("action.hand"), Key: "a", Action: "/cases/x/hand", Ask: true},
			{Label: l.say("action.snooze"), Key: "s", Action: "/cases/x/snooze", Ask: true, More: true}, {Label: l.say("action.watch"), Key: "w", Action: "/cases/x/watch", More: true},
			{Label: l.say("action.exclude"), Key: "x", Action: "/cases/x/exclude", More: true}, {Label: l.say("action.release"), Key: "c", Action: "/cases/x/release", More: true}, {Label: l.say("action.escalate"), Action: "/cases/x/escalate", Ask: true, More: true, Danger: true},
		},
		Composer: &composerView{
			Action: "/cases/x", Revision: 6, Mode: "reply", Templates: templates, Chosen: &templates[0], Kind: "interim",
			Kinds:   []option{{Value: "first", Label: l.say("composer.kind_first")}, {Value: "interim", Label: l.say("composer.kind_interim"), On: true}},
			Promise: field{Name: "promise", Label: l.say("composer.promise"), Type: "datetime-local", Value: "2026-11-20T15:00", Required: true},
			Every:   field{Name: "every", Label: l.say("ask.promise_every"), Type: "select", Plain: true, Options: []option{{Value: "0", Label: l.say("ask.promise_once")}, {Value: "3", Label: l.say("case.every_days", 3), On: true}}},
			Slots:   []field{{Name: "slot.name", Label: "お名前", Value: "みどり", Required: true}, {Name: "slot.when", Label: "報告の時刻", Value: "本日15時", Required: true}},
			Text:    text, Lang: "ja", Account: "@kumocafe", To: "@midori_k", Waits: l.say("composer.waits", l.say("risk.publicity_threat")),
			Preview: &previewView{Author: "Kumo Café", Handle: "kumocafe", PlatformName: "X", Platform: "x", Text: text, Lang: "ja", Count: 142, Limit: 280, Findings: []findingView{{Words: "確認します", Why: "いつまでにかが書かれていません。", Turn: "本日15時までにご報告します"}}},
		},
	}
}

// sampleQuality are figures of some weeks.
func sampleQuality(l *locale, f frame) *qualityView {
	v := &qualityView{
		frame: f, Judged: 87, Same: 61, Small: true, Alarms: &countLink{3, "#"}, Sample: &qualitySample{Weeks: 3, Judged: 88, Any: 44},
		Tabs:   []chip{{Label: l.say("quality.days", 7), Href: "#"}, {Label: l.say("quality.days", 30), Href: "#", On: true}, {Label: l.say("quality.days", 90), Href: "#"}},
		Facets: []facet{{Name: "lang", Label: l.say("facet.lang"), Chips: []chip{{Label: l.say("lang.ja"), Href: "#"}, {Label: l.say("lang.en"), Href: "#"}}}},
	}
	for i, x := range []struct {
		key                          string
		right, of, ja, wrong, missed int
	}{{"quality.page", 11, 15, 9, 4, 1}, {"risk.safety_hazard", 9, 10, 6, 1, 0}, {"risk.publicity_threat", 14, 17, 11, 3, 2}, {"risk.churn", 3, 5, 2, 2, 4}, {"risk.media_inquiry", 0, 0, 0, 0, 1}} {
		href := func(n int) countLink {
			if n == 0 {
				return countLink{}
			}
			return countLink{n, "#"}
		}
		r := qualityRow{Label: l.say(x.key), Page: i == 0, Share: share{x.right, x.of}, Wrong: href(x.wrong), Missed: href(x.missed), Moved: href(i % 2), Rate: share{x.missed / 2, 44}, Langs: []share{{x.ja, min(x.ja+1, x.of)}, {x.right - x.ja, x.of - min(x.ja+1, x.of)}}}
		v.Rows, v.Sample.Rows = append(v.Rows, r), append(v.Sample.Rows, r)
	}
	for _, what := range []string{"sentiment", "intent", "disposition"} {
		v.Labels = append(v.Labels, qualityRow{Label: l.say("verdict." + what), Share: share{80, 87}, Wrong: countLink{7, "#"}, Langs: []share{{50, 54}, {30, 33}}})
	}
	v.Sample.Labels = v.Labels
	return v
}

// sampleFigures are the figures of some days.
func sampleFigures(l *locale, f frame) *figuresView {
	v := &figuresView{frame: f, Lead: l.say("figures.lead"), Heads: []string{l.say("figures.by_day"), l.say("figures.of_brand")}, Waits: []string{l.say("figures.first_reply"), l.say("figures.resolution")}, History: &historyForm{true},
		Fields: []field{{Name: "from", Label: l.say("figures.from"), Type: "date", Value: "2026-11-01", Required: true}, {Name: "to", Label: l.say("figures.to"), Type: "date", Value: "2026-11-30", Required: true}, {Name: "by", Label: l.say("figures.by"), Type: "select", Plain: true, Options: []option{{Value: "day", Label: l.say("figures.by_day")}}}},
		Codes:  []option{{Value: "utf-8", Label: l.say("export.code_utf-8")}, {Value: "cp932", Label: l.say("export.code_cp932")}},
		Taken:  []takenView{{By: "佐藤 香織", What: l.say("export.taken", "2026-10-01", "2026-10-31", "1,204"), Note: l.say("export.was_withheld", 7) + " " + l.say("export.was_replaced", 12), At: l.at(sampleNow.Add(-26 * time.Hour))}},
	}
	var sum search.Figures
	for day := range 9 {
		for i, brand := range []string{"Kumo Café", "Ryoppi"} {
			x := search.Figures{Received: 1240 - 60*day, Wanted: 300 - 20*day, InTime: 260 - 18*day, Late: 12, Open: 28 - 2*day, Overdue: day % 3, Watched: 500 - 40*day, NotForUs: 440 - i, Joined: i}
			if day != 5 {
				x.Replied = []time.Duration{time.Duration(35+7*day+i) * time.Minute, time.Duration(6+day) * time.Hour}
				x.Resolved = []time.Duration{time.Duration(3+day) * time.Hour, 31*time.Hour + 5*time.Minute}[:2-i]
			}
			sum.Add(x)
			row := l.figuresRow(&x)
			row.Names = []string{fmt.Sprintf("2026-11-%02d", day+1), brand}
			v.Rows = append(v.Rows, row)
		}
	}
	v.Sum = l.figuresRow(&sum)
	return v
}

// samples returns one or more of every view, by a name for its picture.
func samples(l *locale) map[string]any {
	at := func(d time.Duration) moment { return l.at(sampleNow.Add(-d)) }
	sheet := func(title, path string) frame { return sampleFrame(l, title, path) }
	text := []span{{Text: sampleRows[0].text}}
	queue := sampleQueue(l)
	compact := sampleQueue(l)
	compact.Density = "compact"
	compact.Case = nil
	for i := range compact.List.Rows {
		compact.List.Rows[i].Open = false
	}
	empty := sampleQueue(l)
	empty.Case, empty.List = nil, listView{Notice: &notice{Kind: "empty", Title: l.say("list.empty"), Text: l.say("list.empty_text")}}
	failed := sampleQueue(l)
	failed.Case, failed.List = nil, listView{Notice: &notice{Kind: "error", Title: l.say("list.failed"), Text: l.say("list.failed_text"), Links: []link{{l.say("list.failed_again"), "/queue"}}}}
	flashed := sampleQueue(l)
	flashed.Flash = &flash{Text: l.say("done.claim"), Undo: &undo{Action: "/cases/x/release", Fields: map[string]string{"back": "/queue"}}}

	alone := &casePage{frame: sheet("K-2417", "/cases/x"), Case: sampleCase(l)}
	alone.Wide = true
	confirm := sampleQueue(l)
	confirm.Case.Confirm = &confirmView{Title: l.say("confirm.title"), Action: "/cases/x/send", Facts: []fact{{l.say("confirm.where"), "Mastodon · mastodon.example", ""}, {l.say("confirm.to"), "@midori_k", "https://example.com/1"}, {l.say("confirm.as"), "@kumocafe", ""}, {l.say("confirm.by"), "佐藤 香織", ""}, {l.say("confirm.when"), l.say("confirm.now"), ""}}, Text: confirm.Case.Composer.Text, Lang: "ja", Button: l.say("confirm.publish", "@kumocafe"), Back: "/cases/x"}
	ask := sampleQueue(l)
	ask.Case.Ask = &askView{Title: l.say("ask.close"), Action: "/cases/x/close", Button: l.say("action.done"), Back: "/cases/x", Fields: []field{{Name: "outcome", Label: l.say("ask.what_done"), Type: "textarea", Rows: 3, Required: true}, {Name: "cause", Label: l.say("ask.cause")}}}
	note := sampleQueue(l)
	note.Case.Composer.Mode = "note"
	pending := sampleQueue(l)
	pending.Case.Composer.Pending = &pendingView{By: "M. Okada", At: at(4 * time.Minute), Changes: []span{{Text: "みどり", Mark: true}, {Text: "様\nご連絡が遅れ、ご心配をおかけしております。Kumoカフェの香織と申します。ご返金については"}, {Text: "本日15時", Mark: true}, {Text: "までに、こちらからご報告いたします。"}}, May: true, Hash: "abc"}

	ack := &acknowledgeView{frame: frame{locale: l, Title: l.say("nav.escalations"), Path: "/ack/x"}, Token: "x", Step: 3, Cause: l.say("risk.publicity_threat") + " · " + l.say("rung.deadline"), Brand: "Kumo Café", Post: samplePost(l), Count: 14, Growth: 9, At: at(3 * time.Minute), Next: l.at(sampleNow.Add(7 * time.Minute)), NextWho: "M. Okada", Who: "佐藤 香織", Full: "/escalations/e1"}
	acked := *ack
	acked.AckedBy, acked.AckedAt, acked.WrongSaid = "佐藤 香織", at(time.Minute), true

	labelled, blind := sampleQueue(l), sampleQueue(l)
	c := &call{l: l}
	s := &casework.State{ID: "mfrggzdfmztwq2lknnwg23tpoa", Verdict: mention.Verdict{Risks: []mention.Risk{{Category: mention.PublicityThreat}, {Category: mention.RepeatContact}}}}
	labelled.Case.Labels = c.labelsForm(s, &typedLabels{
		sentiment: "negative", intent: "complaint", disposition: "answer", page: "yes", rung: "deadline",
		words: map[mention.Category]string{mention.PublicityThreat: "明日までに返金の連絡がなければ、録音も含めて全部公開します", mention.RepeatContact: "四回電話しても"},
		wrong: map[mention.Category]string{mention.RepeatContact: l.say("label.not_found")},
	}, "", "/queue")
	blind.Sample, blind.Left, blind.Facets, blind.Tabs = true, l.say("sample.left", 12, 30), nil, []chip{{Label: l.say("view.answer"), Href: "/queue", Count: 23}, {Label: l.say("view.all"), Href: "/queue?view=all"}, {Label: l.say("view.sample"), Href: "?", On: true, Count: 12}}
	for i := range blind.List.Rows {
		r := &blind.List.Rows[i]
		*r = rowView{ID: r.ID, Href: r.Href, Text: r.Text, Lang: r.Lang, Author: r.Author, PlatformName: r.PlatformName, At: r.At, Open: r.Open, Intent: l.say("sample.open"), Story: 1, Waits: true}
	}
	bare := samplePost(l)
	bare.Body = []span{{Text: joined(bare.Body)}}
	blind.Case = &caseView{ID: "x", Href: "/cases/x", Back: "/queue?view=sample", Brand: "Kumo Café", Post: bare, Blind: true, Labels: c.labelsForm(s, &typedLabels{}, "2026-w47 any", "/queue?view=sample")}
	judged := &casePage{frame: sheet("K-2417", "/cases/x"), Case: sampleCase(l)}
	judged.Wide = true
	judged.Case.Verdict.Judged = &judgedView{By: "佐藤 香織", At: at(3 * time.Minute), Was: []string{l.say("label.was", l.say("verdict.disposition"), l.say("disposition.watch")), l.say("label.was_missed", l.say("risk.repeat_contact")), l.say("label.was_page_no")}}
	judged.Case.Verdict.IntentP, judged.Case.Verdict.SentimentP = 0, 0

	return map[string]any{
		"queue": queue, "queue-compact": compact, "queue-empty": empty, "queue-failed": failed, "queue-flash": flashed,
		"queue-confirm": confirm, "queue-ask": ask, "queue-note": note, "queue-pending": pending, "case": alone,
		"escalations": &escalationsView{frame: sheet(l.say("nav.escalations"), "/escalations"), Tabs: []chip{{Label: l.say("esc.open"), Href: "?", Count: 2, On: true, Urgent: true}, {Label: l.say("view.all"), Href: "?"}}, Rows: []escalationRow{
			{ID: "1", Href: "/escalations/1", Step: 3, Title: l.say("risk.publicity_threat"), Text: text, Lang: "ja", Brand: "Kumo Café", State: "open", StateName: l.say("esc.open"), At: at(71 * time.Minute), Count: 14, Next: l.at(sampleNow.Add(6 * time.Minute)), Policy: l.say("policy.wake"), Acknowledge: true, AckAction: "/escalations/1/ack"},
			{ID: "2", Href: "/escalations/2", Step: 2, Title: l.say("risk.media_inquiry"), Text: []span{{Text: "Hello Kumo press team, I write for the Evening Ledger and am working on a piece about repair times."}}, Lang: "en", Brand: "Kumo", State: "acknowledged", StateName: l.say("esc.acknowledged"), Holder: "M. Okada", At: at(5 * time.Hour), Count: 1, Policy: l.say("policy.opening")},
		}},
		"escalations-empty": &escalationsView{frame: sheet(l.say("nav.escalations"), "/escalations"), Notice: &notice{Kind: "empty", Title: l.say("esc.none"), Text: l.say("esc.none_text")}},
		"escalation":        &escalationView{frame: sheet(l.say("risk.publicity_threat"), "/escalations/1"), ID: "1", Step: 3, State: "open", StateName: l.say("esc.open"), Cause: l.say("risk.publicity_threat"), Reason: "ja.expose.conditional", Policy: l.say("policy.wake"), Brand: "Kumo Café", At: at(71 * time.Minute), Next: l.at(sampleNow.Add(6 * time.Minute)), NextWho: "M. Okada", Posts: []postView{samplePost(l)}, Count: 14, Case: link{"K-2417", "/cases/x"}, History: sampleCase(l).History, Acknowledge: "/escalations/1/ack", Wrong: "/escalations/1/wrong"},
		"acknowledge":       ack, "acknowledge-done": &acked,
		"templates": &templatesView{frame: sheet(l.say("nav.templates"), "/templates"), May: true, Tabs: []chip{{Label: l.say("tmpl.state_approved"), Href: "?", Count: 20, On: true}, {Label: l.say("tmpl.state_draft"), Href: "?", Count: 2}}, Rows: []templateRow{
			{Href: "/templates/1", Name: "まず一報(返金の確認中)", Lang: "ja", When: "事実の確認に時間がかかるとき", Apology: l.say("apology.limited"), State: "approved", StateName: l.say("tmpl.state_approved"), Version: 3, Changed: at(9 * 24 * time.Hour), By: "M. Okada"},
			{Href: "/templates/2", Name: "Thanks for praise of a colleague", Lang: "en", When: "Someone names a person who helped", Apology: l.say("apology.none"), State: "submitted", StateName: l.say("tmpl.state_submitted"), Version: 1, Changed: at(4 * time.Hour), By: "李 明"},
		}},
		"views": &viewsView{frame: sheet(l.say("views.title"), "/views"), Rows: []viewRow{
			{ID: "v1", Name: "配送の苦情", Href: "#", Query: "要対応 · 苦情 · 日本語", Key: "1", Shared: true, Order: 1}, {ID: "v2", Name: "Mine, English", Href: "#", Query: "Mine · English", Key: "2", May: true},
		}},
		"bulk": &bulkView{frame: sheet(l.say("bulk.title"), "/queue"), Do: "watch", Text: l.say("bulk.done_watch", 12), Back: "#", Done: []string{"a", "b"}, Failed: []failedView{
			{ID: "c", Href: "#", Why: l.say("refused.held", "M. Okada"), Author: "@mika", Text: []span{{Text: "届いた椅子の脚が折れました"}}, Lang: "ja"},
		}},
		"board": &boardView{
			frame: sheet(l.say("nav.board"), "/board"), Lead: true, Breaking: queue.List.Rows[:min(3, len(queue.List.Rows))], Longest: queue.List.Rows,
			People: []loadView{
				{Name: "佐藤 香織", Href: "#", HarshHref: "#", Me: true, Open: 14, Harsh: 2, On: []presentOnView{{"#", "@mika", "editing"}}},
				{Name: "M. Okada", Href: "#", HarshHref: "#", Open: 9, Harsh: 7, Heavy: true, Away: true},
			},
			Warnings: []notice{{Kind: "stale", Title: l.say("board.heavy", "M. Okada", 7), Text: l.say("board.heavy_text"), Links: []link{{l.say("board.heavy_see"), "#"}}}},
		},
		"shift": &shiftView{
			frame: sheet(l.say("nav.shift"), "/shift"), May: true, Promises: queue.List.Rows[:min(2, len(queue.List.Rows))], Watched: queue.List.Rows[:min(1, len(queue.List.Rows))],
			Open: &shiftNote{ID: "s1", Text: "梅田店の件は店長が18時に折り返します。", By: "M. Okada", At: at(3 * time.Hour)},
			Past: []shiftNote{{ID: "s0", Text: "Quiet night.", By: "佐藤 香織", At: at(20 * time.Hour), Confirmed: "M. Okada", Taken: at(12 * time.Hour)}},
		},
		"template": &templateView{frame: sheet("まず一報(返金の確認中)", "/templates/1"), State: "draft", StateName: l.say("tmpl.state_draft"), Version: 4, Action: "/templates/1", Fields: []field{{Name: "name", Label: l.say("tmpl.title"), Value: "まず一報(返金の確認中)", Required: true}, {Name: "lang", Label: l.say("tmpl.lang"), Type: "select", Required: true, Options: []option{{Value: "ja", Label: l.say("lang.ja"), On: true}, {Value: "en", Label: l.say("lang.en")}}}, {Name: "when", Label: l.say("tmpl.when"), Value: "事実の確認に時間がかかるとき。"}}, Text: field{Name: "text", Label: l.say("tmpl.text"), Hint: l.say("tmpl.text_hint"), Type: "textarea", Rows: 8, Required: true, Value: "{{お名前}}様\nご連絡が遅れ、ご心配をおかけしております。"}, Actions: []actionView{{Label: l.say("tmpl.submit"), Action: "/templates/1/submit", Primary: true}}, Preview: &previewView{Text: "みどり様\nご連絡が遅れ、ご心配をおかけしております。", Lang: "ja"}, Lengths: []lengthView{{"X", 92, 280}, {"Mastodon", 46, 500}, {"Bluesky", 46, 300}}, Versions: []versionView{{Version: 4, State: l.say("tmpl.state_draft"), By: "佐藤 香織", Text: "…", Lang: "ja", On: true}, {Version: 3, State: l.say("tmpl.state_approved"), By: "M. Okada", Text: "…", Lang: "ja"}}, History: []eventView{{At: at(time.Hour), Who: l.say("history.person", "佐藤 香織"), What: l.say("tmpl.event_saved", 4)}}, DiffOf: l.say("tmpl.diff_of", 3, 4), Used: l.say("tmpl.used", 12, 3), Diff: []diffLine{{Old: "{{お名前}}様", New: "{{お名前}}様"}, {Old: "ご連絡が遅れております。", New: "ご連絡が遅れ、ご心配をおかけしております。", Changed: true}}},
		"brands":   &brandsView{frame: sheet(l.say("nav.brands"), "/brands"), May: true, Rows: []brandRow{{Href: "/brands/kumo-cafe", ID: "kumo-cafe", Name: "Kumo Café", Query: `("kumo café" OR kumoカフェ OR #kumocafe) AND NOT author:kumocafe`, Today: 214, Open: 23, On: true}, {Href: "/brands/kumo", ID: "kumo", Name: "Kumo", Query: `kumo AND (charger OR dock OR "kumo 3")`, Today: 1208, Open: 61, On: true}}},
		"brand":    &brandView{frame: sheet("Kumo Café", "/brands/kumo-cafe"), ID: "kumo-cafe", May: true, Action: "/brands/kumo-cafe", Fields: []field{{Name: "name", Label: l.say("brand.name"), Value: "Kumo Café", Required: true}}, Query: field{Name: "query", Label: l.say("brand.query"), Hint: l.say("brand.query_hint"), Type: "textarea", Rows: 4, Mono: true, Required: true, Value: `("kumo café" OR kumoカフェ OR #kumocafe) AND NOT (author:kumocafe`}, Mistake: &mistakeView{`("kumo café" OR kumoカフェ OR #kumocafe) AND NOT `, "(", "author:kumocafe", "this bracket is not closed"}, Preview: &queryPreview{Stored: 1204, Of: 48211, Rows: sampleList(l).Rows[:3], Sources: []sourcePreview{{Name: "Google News", Found: 12, Rows: sampleList(l).Rows[1:2]}, {Name: "Hacker News", Trouble: l.trouble(outbound.Trouble{Reason: outbound.Limited, Host: "hn.algolia.com", Status: 429}, "429", time.Time{})}}}},
		"source":   sampleSource(l, sheet("@kumo", "/sources")),
		"import":   sampleImport(l, "", nil),
		"import-ready": sampleImport(l, "ready", &importJob{Name: "口コミ_2026年10月.csv", importFound: importFound{Accepted: 1284, Duplicate: 37, Unmatched: 12, Refused: 2, Problems: []importProblem{
			{41, "published_at: \"あさって\" is not a time; write it as 2026-01-31T09:30:00+09:00"}, {873, "text: required, unless there is a title"},
		}}}),
		"import-running":    sampleImport(l, "running", &importJob{Name: "reviews.jsonl", Status: "running", importFound: importFound{Accepted: 640, Duplicate: 12}}),
		"import-failed":     sampleImport(l, "failed", &importJob{Name: "reviews.jsonl", Status: "failed", importFound: importFound{Accepted: 40, Error: "after line 41: a record is longer than 1048576 bytes; is a quote not closed?"}}),
		"sources":           &sourcesView{frame: sheet(l.say("nav.sources"), "/sources"), Tabs: sampleTabs(l), Coverage: sampleHeard(l), Line: sampleLine(l), Duties: sampleDuties(l), Rows: []sourceRow{{ID: "bluesky", Name: "Bluesky", Kind: "bluesky", State: "ok", StateName: l.say("source.state_ok"), Success: at(4 * time.Second), Item: at(40 * time.Second), Lag: "0.8 s", Quota: ""}, {ID: "news", Name: "Google News", Kind: "feed", Detail: "kumo café", State: "failing", StateName: l.say("source.state_failing"), Success: at(3 * time.Hour), Item: at(5 * time.Hour), Lag: "–", Next: l.at(sampleNow.Add(12 * time.Minute)), Trouble: l.trouble(outbound.Trouble{Reason: outbound.NameNotFound, Host: "news.google.com"}, "no such host", sampleNow.Add(12*time.Minute))}, {ID: "mastodon", Name: "Mastodon", Kind: "mastodon", Detail: "Kumo Café", Account: "@kumocafe@mastodon.social", State: "silent", StateName: l.say("source.state_silent"), Success: at(20 * time.Second), Item: at(26 * time.Hour), Lag: "12 s", Next: l.at(sampleNow.Add(40 * time.Second)), Quota: "287 / 300", Silent: l.say("source.silent", "26 h", "2 h")}, {ID: "x", Name: "Kumo on X", Kind: "X", Account: "@kumocafe", State: "failing", StateName: l.say("source.state_failing"), Success: at(41 * time.Minute), Item: at(42 * time.Minute), Lag: "9 s", Next: l.at(sampleNow.Add(3 * time.Hour)), Quota: "297 / 300", Trouble: l.trouble(outbound.Trouble{Reason: outbound.Spent}, "spent", sampleNow.Add(3*time.Hour)), Spent: []string{l.say("source.today", "$10.01 / $10.00", l.say("source.posts_read", "612"), l.say("source.replies_sent", "14")), l.say("source.month", "$122.40 / $200.00", l.say("source.posts_read", "7,804"), l.say("source.replies_sent", "231"))}}, {ID: "opinion", Name: l.say("source.opinion"), Kind: "small-model", Detail: l.say("source.opinion_tokens", "31,400", "500,000"), State: "failing", StateName: l.say("source.state_failing"), Success: at(3 * time.Minute), Item: at(3 * time.Minute), Next: l.at(sampleNow.Add(12 * time.Minute)), Quota: "48 / 60", Trouble: l.trouble(outbound.Trouble{Reason: outbound.Limited, Host: "api.example.com", Status: 429}, "429", sampleNow.Add(12*time.Minute))}}},
		"connections":       &connectionsView{frame: sheet(l.say("nav.notifiers"), "/notifiers"), Lead: l.say("notifier.lead"), New: "/notifiers/new", Rows: []connectionRow{{Href: "/notifiers/1", Name: "PR on call", Kind: "pagerduty"}, {Href: "/notifiers/2", Name: "#pr", Kind: "slack", Off: true}}},
		"rules":             sampleRules(l, sheet(l.say("nav.rules"), "/rules")),
		"rule":              sampleRuling(l, sheet(l.say("rules.policy"), "/rules")),
		"connections-kinds": &connectionsView{frame: sheet(l.say("connect.choose"), "/sources"), Lead: l.say("connect.choose_lead"), Back: link{l.say("nav.sources"), "/sources"}, Kinds: sourceFamily().kinds},
		"dead":              &deadView{frame: sheet(l.say("nav.dead"), "/dead"), Rows: []deadRow{{ID: "12", Service: "classifier", Subject: "mention.live.web", Why: l.say("dead.why_refused"), Next: l.say("dead.next_refused"), Error: "text of 3 MB holds no word", Text: "{ … }", At: at(2 * time.Hour), Tries: 5}}},
		"staff":             &staffView{frame: sheet(l.say("nav.staff"), "/staff"), May: true, Rows: []staffRow{{Href: "/staff/sato", Login: "sato", Name: "佐藤 香織", Public: "香織", Roles: []string{"agent", "approver"}, Brands: []string{"Kumo Café"}}, {Href: "/staff/okada", Login: "okada", Name: "M. Okada", Public: "Mika", Roles: []string{"pr_lead", "admin"}}}, Tokens: []tokenRow{{ID: "1", Name: "shop system", Scopes: []string{"intake"}, Created: at(40 * 24 * time.Hour), Used: at(9 * time.Minute), Expires: l.at(sampleNow.Add(90 * 24 * time.Hour)), Action: "/tokens/1/revoke"}}, Open: []invitedRow{{Name: "李 明", Email: "li@kumo.example", By: "M. Okada", Roles: []string{"agent"}, At: at(26 * time.Hour), Ends: l.at(sampleNow.Add(6 * 24 * time.Hour)), Sent: true, Resend: "#", Revoke: "#"}, {Name: "Rin", Email: "rin@kumo.example", By: "M. Okada", Roles: []string{"viewer"}, At: at(9 * 24 * time.Hour), Late: true, Resend: "#", Revoke: "#"}}, Invited: &secretView{l.say("token.once"), l.say("token.once_text"), "esh_9f2kq7w1v8"}},
		"form-note": &formView{frame: sheet(l.say("note.title"), "/note"), Lead: l.say("note.lead"), Action: "/note", Button: l.say("note.save"), Upload: true, Groups: []fieldGroup{{Fields: []field{
			{Name: "how", Label: l.say("note.how"), Type: "radio", Options: []option{{Value: "phone", Label: l.say("note.phone"), On: true}, {Value: "visit", Label: l.say("note.visit")}}}, {Name: "who", Label: l.say("note.who"), Hint: l.say("note.who_hint")}, {Name: "text", Label: l.say("note.text"), Hint: l.say("note.text_hint"), Type: "textarea", Rows: 6, Required: true, Error: l.say("form.required")}, {Name: "files", Label: l.say("note.files"), Hint: l.say("note.files_hint"), Type: "file"}}}}},
		"form-person": &formView{frame: sheet("M. Okada", "/staff"), Lead: l.say("staff.second", "2026"), Action: "#", Button: l.say("me.save"), Back: link{l.say("nav.staff"), "/staff"}, Danger: &actionView{Label: l.say("staff.new_link"), Action: "#"}, Sure: []sureView{{l.say("second.reset"), "#", l.say("second.reset_sure", "M. Okada")}, {l.say("openid.unlink", "Example ID"), "#", l.say("openid.unlink_sure")}}},
		"form-notifier": &formView{frame: sheet("Call tree", "/notifiers"), Action: "#", Button: l.say("me.save"), Back: link{l.say("nav.notifiers"), "/notifiers"}, Groups: []fieldGroup{{Fields: []field{{Name: "name", Label: l.say("connect.name"), Value: "Call tree", Required: true}}}},
			Notice: &notice{Kind: "error", Title: l.say("notifier.test_refused"), Trouble: l.trouble(outbound.Trouble{Reason: outbound.Credentials, Host: "hooks.example.com", Status: 401, Said: "unknown key"}, "401", time.Time{}), Kept: l.say("notifier.test_refused_text")},
			Second: &formView{Action: "#", Button: l.say("notifier.test_send"), Groups: []fieldGroup{{Label: l.say("notifier.test"), Hint: l.say("notifier.test_hint")}}}},
		"form-me":      &formView{frame: sheet(l.say("me.title"), "/me"), Action: "/me", Button: l.say("me.save"), Groups: []fieldGroup{{Fields: []field{{Name: "name", Label: l.say("me.name"), Value: "佐藤 香織", Required: true}, {Name: "lang", Label: l.say("me.lang"), Type: "select", Required: true, Options: []option{{Value: "ja", Label: "日本語", On: true}, {Value: "en", Label: "English"}}}}}, {Label: l.say("me.look"), Fields: []field{{Name: "theme", Label: l.say("me.theme"), Type: "radio", Options: []option{{Value: "", Label: l.say("me.theme_system"), On: true}, {Value: "light", Label: l.say("me.theme_light")}, {Value: "dark", Label: l.say("me.theme_dark")}}}, {Name: "keys", Label: l.say("me.keys"), Type: "check", Options: []option{{Value: "on", Label: l.say("me.keys_on"), On: true}}}}}}},
		"queue-labels": labelled, "queue-sample": blind, "case-judged": judged,
		"notices": &noticesView{frame: sheet(l.say("nav.notices"), "/notices"), Unread: 1, Rows: []noticeRow{
			{Href: "#", What: l.say("told.promise_near", ""), About: "@midori_k: 三回電話しても折り返しがない。", At: at(9 * time.Minute), Unread: true},
			{Href: "#", What: l.say("told.assigned", "M. Okada"), About: "@ravi: Does the Kumo 3 fit the older dock?", At: at(5 * time.Hour)},
			{What: l.say("told.deadline", ""), About: l.say("notices.gone"), At: at(30 * time.Hour)},
		}},
		"notices-empty": &noticesView{frame: sheet(l.say("nav.notices"), "/notices"), Notice: &notice{Kind: "empty", Title: l.say("notices.none"), Text: l.say("notices.none_text")}},
		"figures":       sampleFigures(l, sheet(l.say("nav.figures"), "/figures")), "figures-empty": &figuresView{frame: sheet(l.say("nav.figures"), "/figures"), Lead: l.say("figures.lead"), Notice: &notice{Kind: "empty", Title: l.say("figures.empty"), Text: l.say("figures.last", "2026-10-02"), Links: []link{{l.say("figures.to_last"), "#"}}}},
		"quality": sampleQuality(l, sheet(l.say("nav.quality"), "/quality")), "quality-empty": &qualityView{frame: sheet(l.say("nav.quality"), "/quality"), Notice: &notice{Kind: "empty", Title: l.say("quality.none"), Text: l.say("quality.none_text")}},
		"outbox": &outboxView{frame: sheet(l.say("nav.outbox"), "/outbox"), Which: "measures", Lead: l.say("outbox.measures_lead"),
			Tabs:  []chip{{Label: l.say("outbox.waiting"), Href: "?", Count: 1}, {Label: l.say("outbox.measures"), Href: "?", Count: 2, On: true}},
			Stops: []stopView{{What: "Pellwick", Why: "煙の件の見解がまとまるまで", By: "白石", At: at(time.Hour), Statement: "広がっている件への共通の一文", Release: "/stops/pellwick/release"}},
			Rows: []outboxRow{
				{Href: "/cases/x", Number: "No. 12", Brand: "Pellwick", To: "@hana · X", At: at(20 * time.Hour), By: "佐久間", Measure: &measureView{Text: "検品を二人で行う", Cause: "一人で確かめていた", Owner: "工場", Due: l.at(sampleNow.Add(72 * time.Hour)), Finish: "/cases/x/ask/finish"}},
				{Href: "/cases/y", Number: "No. 13", Brand: "Pellwick", To: "@ken · X", At: at(time.Minute), Due: l.at(sampleNow.Add(8 * time.Second)), Text: "お調べします。", Lang: "ja", Why: "403", Actions: []actionView{{Label: l.say("action.stop"), Action: "/cases/y/stop"}, {Label: l.say("outbox.again"), Action: "/cases/y", Ask: true}}},
			},
			Stop: &askView{Action: "/stops", Button: l.say("action.halt"), Text: l.say("ask.halt_text"), Fields: []field{{Name: "why", Label: l.say("ask.why"), Type: "textarea", Rows: 2, Required: true}}}},
		"outbox-stuck": &outboxView{frame: sheet(l.say("nav.outbox"), "/outbox"), Which: "unsure", Lead: l.say("outbox.unsure_lead"),
			Tabs: []chip{{Label: l.say("outbox.waiting"), Href: "?", Count: 1}, {Label: l.say("outbox.failed"), Href: "?", Count: 1, Urgent: true}, {Label: l.say("outbox.unsure"), Href: "?", Count: 1, On: true, Urgent: true}, {Label: l.say("outbox.silent"), Href: "?"}, {Label: l.say("outbox.measures"), Href: "?", Count: 1204}, {Label: l.say("outbox.reviews"), Href: "?"}},
			Rows: []outboxRow{
				{Href: "/cases/x", Number: "No. 14", Brand: "Kumo Café", To: "@midori_k · X", At: at(41 * time.Minute), By: "佐藤 香織", Text: "お調べして、本日15時までにご報告いたします。", Lang: "ja", Post: link{l.say("post.open_x"), "#"}, Actions: []actionView{{Label: l.say("action.settle"), Action: "#", Ask: true}},
					Fate: &fateView{What: l.say("out.unsure"), Trouble: &troubleView{What: l.trouble(outbound.Trouble{Reason: outbound.TimedOut, Host: "api.x.com"}, "no answer", time.Time{}).What}, Since: at(40 * time.Minute), Owner: "佐藤 香織", Next: l.say("outbox.unsure_next", l.say("action.settle"))}},
				{Href: "/cases/y", Number: "No. 1015", Brand: "Donaudampfschifffahrtsgesellschaft", To: "@jonas_w@mastodon.social · Mastodon", At: at(3 * time.Hour), By: "M. Okada", Text: "We look into it today.", Lang: "en", Actions: []actionView{{Label: l.say("outbox.again"), Action: "#", Ask: true}, {Label: l.say("outbox.ask"), Action: "#", Ask: true}, {Label: l.say("outbox.give_up"), Action: "#", Ask: true}},
					Fate: &fateView{What: l.say("out.failed"), Trouble: l.trouble(outbound.Trouble{Reason: outbound.ServerError, Host: "mastodon.social", Status: 503, Said: "maintenance"}, "503", time.Time{}), Since: at(3 * time.Hour), Next: l.say("outbox.failed_next")}},
			}},
		"wishes": &wishesView{frame: sheet(l.say("nav.wishes"), "/wishes"), New: "/wishes/new", Tabs: []chip{{Label: l.say("wish.all"), Href: "?", On: true}, {Label: l.say("wish.open"), Href: "?", Count: 3}},
			Rows: []wishRow{{Href: "/wishes/x", Title: "夜だけ通知を止める", Brand: "Ryoppi", State: "open", StateName: l.say("wish.open"), Owner: "高梨", Count: 41, Changed: at(26 * time.Hour)}}},
		"wish": &wishView{frame: sheet("夜だけ通知を止める", "/wishes"), Action: "/wishes/x", ID: "x", State: "planned", StateName: l.say("wish.planned"), May: true, Count: 41, People: 37,
			Languages: []metric{{l.say("lang.ja"), "30"}, {l.say("lang.en"), "11"}}, Months: []monthView{{"2026-09", 4, 20}, {"2026-10", 20, 20}, {"2026-11", 17, 20}},
			Evidence: []evidenceView{{Href: "/cases/x", Words: "夜中の通知を止めたい", Lang: "ja", Author: "@hana", Platform: "X", At: at(time.Hour)}, {Href: "/cases/y", Text: "Please let me mute it at night", Lang: "en", Author: "@jo", Platform: "App Store", At: at(30 * time.Hour)}},
			Fields:   []field{{Name: "title", Label: l.say("wish.title"), Value: "夜だけ通知を止める", Required: true}}, CSV: "/wishes/x/mentions.csv", Queue: "/queue", Search: "/queue",
			Merge: &field{Name: "into", Label: l.say("wish.merge_into"), Type: "select", Options: []option{{Value: "y", Label: "通知の時間帯"}}}},
		"judged":           &qualityCasesView{frame: sheet(l.say("risk.churn")+": "+l.say("quality.what_wrong"), "/quality"), Back: link{l.say("nav.quality"), "/quality"}, Lead: l.say("quality.days", 30), List: listView{Rows: sampleList(l).Rows[:4]}, Erase: 1},
		"sandbox":          &sandboxView{frame: sheet(l.say("sandbox.title"), "/sandbox"), Posts: []postView{samplePost(l), {Author: "Kumo Café", Handle: "kumocafe", PlatformName: "Sandbox", Lang: "ja", At: at(3 * time.Minute), Ours: true, Body: []span{{Text: "みどり様\nご連絡が遅れ、ご心配をおかけしております。"}}}}},
		"signin":           &signInView{frame: frame{locale: l, Title: l.say("signin.title"), Path: "/sign-in"}, Action: "/sign-in", Button: l.say("signin.button"), Error: l.say("signin.wrong"), Fields: []field{{Name: "login", Label: l.say("signin.email"), Required: true, Auto: "username"}, {Name: "password", Label: l.say("signin.password"), Type: "password", Required: true, Auto: "current-password"}}},
		"signin-openid":    &signInView{frame: frame{locale: l, Title: l.say("signin.title"), Path: "/sign-in"}, Action: "/sign-in", Button: l.say("signin.button"), Provider: &link{l.say("signin.by", "Example ID"), "#"}, Fields: []field{{Name: "email", Label: l.say("signin.email"), Required: true, Auto: "username"}, {Name: "password", Label: l.say("signin.password"), Type: "password", Required: true, Auto: "current-password"}}},
		"signin-emergency": &signInView{frame: frame{locale: l, Title: l.say("signin.title"), Path: "/sign-in"}, Lead: l.say("signin.out"), Links: []link{{l.say("signin.out_too", "Example ID"), "#"}}, Action: "/sign-in", Button: l.say("signin.button"), Provider: &link{l.say("signin.by", "Example ID"), "#"}, Folded: true, Fields: []field{{Name: "email", Label: l.say("signin.email"), Required: true, Auto: "username"}}},
		"signin-code":      &signInView{frame: frame{locale: l, Title: l.say("code.title"), Path: "/sign-in"}, Lead: l.say("code.lead"), Error: l.say("code.wrong"), Action: "/sign-in/code", Button: l.say("signin.button"), Hidden: []pair{{"pending", "x"}}, Fields: []field{{Name: "code", Label: l.say("code.code"), Hint: l.say("code.hint"), Required: true, Auto: "one-time-code", Mono: true, Digits: true}}, Links: []link{{l.say("code.again"), "#"}}},
		"second":           sampleSecond(l, false),
		"second-recovery":  sampleSecond(l, true),
		"places": &placesView{frame: sheet(l.say("places.title"), "/me"), Lead: l.say("places.lead"), Back: link{l.say("me.title"), "/me"}, Rows: []placeRow{
			{Name: l.say("places.on", "Firefox", "macOS"), Began: at(26 * time.Hour), Seen: at(time.Minute), This: true, End: "#"}, {Name: l.say("places.on", "Chrome", "Android"), Way: "Example ID", Began: at(3 * time.Hour), Seen: at(2 * time.Hour), End: "#"},
		}},
		"signin-setup":  &signInView{frame: frame{locale: l, Title: l.say("setup.title"), Path: "/setup"}, Lead: l.say("setup.lead"), Action: "/setup/x", Button: l.say("setup.button"), Fields: []field{{Name: "name", Label: l.say("me.name"), Required: true}, {Name: "login", Label: l.say("signin.email"), Required: true}, {Name: "password", Label: l.say("me.password_new"), Hint: l.say("me.password_hint"), Type: "password", Required: true}}},
		"error":         &errorView{frame: sheet("403", "/staff"), Code: 403, Notice: notice{Title: l.say("error.forbidden"), Text: l.say("error.forbidden_text"), Links: []link{{l.say("error.queue"), "/queue"}}}},
		"error-outside": &errorView{frame: frame{locale: l, Title: "500", Path: "/"}, Code: 500, Notice: notice{Title: l.say("error.title"), Text: l.say("error.text"), Kept: l.say("error.kept"), Links: []link{{l.say("error.again"), "/"}}}},
	}
}

func sampleSecond(l *locale, recovery bool) *secondView {
	v := &secondView{frame: sampleFrame(l, l.say("second.title"), "/me"), Back: link{l.say("me.title"), "/me"}}
	if recovery {
		v.Lead, v.Recovery = l.say("second.recovery_lead"), []string{"abcd-efgh-ijkl-mnop", "qrst-uvwx-yz23-4567", "2345-6abc-defg-hijk"}
		return v
	}
	secret := "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	v.Lead, v.Key = l.say("second.off"), spaced(secret)
	v.Notice = &notice{Kind: "stale", Title: l.say("second.must"), Text: l.say("second.must_text")}
	v.Picture, _ = picture("otpauth://totp/Earshot:sato@kumo.example?secret=" + secret + "&issuer=Earshot")
	v.Forms = []*formView{{frame: v.frame, Action: "/me/second", Button: l.say("second.set_up"), Groups: []fieldGroup{{Fields: []field{{Name: "code", Label: l.say("code.code"), Required: true, Mono: true, Digits: true, Error: l.say("second.wrong")}}}}}}
	return v
}

func sampleImport(l *locale, status string, j *importJob) *importView {
	choose := func(name, label, hint string, on int, labels ...string) field {
		f := field{Name: name, Label: label, Hint: hint, Type: "select"}
		for i, x := range labels {
			f.Options = append(f.Options, option{Value: x, Label: x, On: i == on})
		}
		return f
	}
	v := &importView{frame: sampleFrame(l, l.say("import.title"), "/import"), Status: status, Job: j}
	v.Form = formView{frame: v.frame, Action: "/import", Button: l.say("import.look"), Upload: true}
	fields := []field{
		choose("brand", l.say("import.brand"), l.say("import.brand_hint"), 0, l.say("import.by_query"), "Kumo Café"),
		{Name: "platform", Label: l.say("import.platform"), Hint: l.say("import.platform_hint"), Value: "shop"},
		{Name: "zone", Label: l.say("import.zone"), Hint: l.say("import.zone_hint"), Value: "Asia/Tokyo", Required: true},
	}
	switch status {
	case "":
		fields = append([]field{{Name: "file", Label: l.say("import.file"), Hint: l.say("import.file_hint"), Type: "file", Required: true}}, fields...)
		v.Form.Groups = []fieldGroup{{Fields: fields}}
		v.Past = []link{{"口コミ_2026年9月.csv · " + l.say("import.state_done"), "/import/x"}}
	case "ready":
		v.Back, v.Run, v.RunLabel, v.Drop = link{l.say("import.title"), "/import"}, "/import/x/run", l.say("import.run", 1284), "/import/x/drop"
		v.Form.Upload, v.Form.Button = false, l.say("import.again")
		all := []string{l.say("import.column_none"), l.say("import.column_text"), l.say("import.column_published_at"), l.say("import.column_rating")}
		v.Form.Groups = []fieldGroup{{Fields: fields}, {Label: l.say("import.columns"), Hint: l.say("import.columns_hint"), Fields: []field{
			choose("column.0", "投稿日時", "2026/10/03 18:20 / 2026/10/04 9:05", 2, all...), choose("column.1", "評価", "★★ / 5", 3, all...), choose("column.2", "ひとこと", "レジで長く待たされました / 朝の焼きたてがおいしい", 1, all...),
		}}}
		v.Preview = []importPreview{{l.at(sampleNow.Add(-40 * 24 * time.Hour)), "shop", "Kumo Café", "匿名", "レジで長く待たされました"}, {l.at(sampleNow.Add(-39 * 24 * time.Hour)), "shop", "Kumo Café", "K", "朝の焼きたてがおいしい"}}
	case "running":
		v.Back, v.Share = link{l.say("import.title"), "/import"}, 48
	default:
		v.Back, v.Drop = link{l.say("import.title"), "/import"}, "/import/x/drop"
	}
	return v
}
