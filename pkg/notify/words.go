package notify

import (
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

// words is a language. Formats take what their names say.
type words struct {
	wake, opening, notice, inHand, over, grown, test string // tags of the subject
	tagOpen, tagClose, colon, stop                   string
	quoteOpen, quoteClose                            string
	timeForm                                         string

	happened, why, todo string // headings
	standing            string
	ackLink, caseLink   string
	detailLink          string // where there is no post

	post     string // platform, time
	postBy   string // platform, author, time
	count    string // mentions
	volume   string // negative mentions
	reach    string // people
	ground   string // rule
	handNote string // what the colleague wrote
	trouble  string // one of troubles

	lastPost             string // time, a length of time
	spike                string // negative posts, the usual number
	used                 string // messages, limit
	lastCanary           string // time
	noCanary             string
	minutes, hours, days string // number
	alsoRisk             string // category

	acknowledged, resolved string                       // person
	again                  map[escalation.Origin]string // how it ended by itself
	someone, personForm    string
	nothingToDo            string
	take, falseAlarm, look string

	testSubject, testBody, testTodo string

	categories map[mention.Category]string
	care       map[mention.Category]string // what to mind, where haste does harm
	origins    map[escalation.Origin]string
	reasons    map[escalation.Origin]string
	troubles   map[outbound.Reason]string // what stops a silent source
	platforms  map[string]string
}

func (w *words) tag(s string) string   { return w.tagOpen + s + w.tagClose }
func (w *words) quote(s string) string { return w.quoteOpen + s + w.quoteClose }

func (w *words) person(name string) string {
	if name == "" {
		return w.someone
	}
	return name + w.personForm
}

func wordsOf(lang string) *words {
	if lang == "ja" {
		return &japanese
	}
	return &english
}

var japanese = words{
	wake: "至急", opening: "要確認", notice: "お知らせ", inHand: "対応中", over: "解決", grown: "続報", test: "テスト",
	tagOpen: "【", tagClose: "】", colon: "：", stop: "があります。",
	quoteOpen: "「", quoteClose: "」",
	timeForm: "2006年1月2日 15:04",

	happened: "■ 何が起きたか", why: "■ なぜお知らせしたか", todo: "■ お願いしたいこと", standing: "■ 現在の状況",
	ackLink: "▶ 対応を引き受ける（開いた画面のボタンで確定します）", caseLink: "▶ 投稿と経緯を見る", detailLink: "▶ 詳しく見る",

	post: "%s への投稿　%s", postBy: "%s への %s さんの投稿　%s",
	count: "同じ話題の投稿：%d件", volume: "10分間の否定的な投稿：%d件", reach: "届いている人数：およそ%s人",
	ground: "判定の根拠：%s", handNote: "担当者から：%s", alsoRisk: "あわせて「%s」と判定されています。",
	trouble:  "取得の状況：%s",
	lastPost: "最後の投稿は%s（普段は約%sごと）", spike: "10分間に%d件（普段は約%s件）", used: "今月%d通を送信（上限%d通）",
	lastCanary: "最後に届いたのは%s", noCanary: "まだ一度も届いていません",
	minutes: "%d分", hours: "%d時間", days: "%d日",

	acknowledged: "%sが対応を引き受けました。呼び出しは止まりました。",
	resolved:     "%sがこの件を解決済みにしました。",
	again: map[escalation.Origin]string{
		escalation.BySilence: "この情報源から、また投稿が届いています。または、情報源が停止されました。",
		escalation.ByQuota:   "この通知先で、また送れるようになりました。または、通知先が停止されました。",
		escalation.ByCanary:  "確認用の投稿が、また最後まで届いています。",
	},
	someone: "担当者", personForm: "さん",
	nothingToDo: "特にありません。経緯は下のリンクからご覧いただけます。",
	take:        "下のリンクを開き、「対応します」を押してください。どなたかが押すまで、次の担当者にも順にお知らせします。",
	falseAlarm:  "お知らせが要らなかったときは、同じ画面の「起こさなくてよかった」を押してください。次からの判断に生かします。",
	look:        "お手すきのときにご確認ください。この件で繰り返しの呼び出しはありません。",

	testSubject: "呼び出しの試し送り",
	testBody:    "これは Earshot からの試し送りです。実際の投稿はありません。",
	testTodo:    "何もする必要はありません。届いていれば、この通知先は使えます。",

	categories: map[mention.Category]string{
		mention.PublicityThreat:    "公表や拡散をほのめかす投稿",
		mention.LegalThreat:        "法的な手段や公的機関に触れる投稿",
		mention.SafetyHazard:       "けがや安全に関わる投稿",
		mention.ViolentThreat:      "店舗や従業員への危害を予告する投稿",
		mention.UnreasonableDemand: "行き過ぎた要求の投稿",
		mention.StaffAbuse:         "従業員を傷つける投稿",
		mention.PrivacyBreach:      "個人情報の漏えいに関わる投稿",
		mention.MediaInquiry:       "報道機関からの問い合わせ",
		mention.AuthorityInquiry:   "公的機関からの問い合わせ",
		mention.PersonAtRisk:       "人の命に関わるおそれのある投稿",
		mention.Churn:              "解約や離脱の投稿",
		mention.RepeatContact:      "何度も問い合わせている方の投稿",
	},
	care: map[mention.Category]string{
		mention.ViolentThreat: "まず、名指しされた店舗や従業員の安全を確かめてください。差し迫っているときは警察（110）へ。",
		mention.PersonAtRisk:  "ご本人の安全が第一です。差し迫っているときは警察（110）や救急（119）へ。責めたり、問い詰めたりする返信はしないでください。",
		mention.SafetyHazard:  "お客様のお体を気づかうことが先です。原因は、事実を確かめるまで書かないでください。",
		mention.PrivacyBreach: "漏れた情報を引用したり、転送したりしないでください。",
		mention.MediaInquiry:  "その場で答えず、広報の窓口から回答してください。",
	},
	origins: map[escalation.Origin]string{
		escalation.ByVerdict: "広報の確認が要る投稿",
		escalation.ByReach:   "多くの人に届いている苦情",
		escalation.ByGrowth:  "急に広がっている苦情",
		escalation.ByVolume:  "否定的な投稿の急増",
		escalation.ByHand:    "担当者からのエスカレーション",
		escalation.ByPromise: "期限が迫っているお客様との約束",
		escalation.BySilence: "投稿が届かなくなった情報源",
		escalation.ByQuota:   "残りの送信数が少なくなった通知先",
		escalation.ByCanary:  "処理の停止",
	},
	reasons: map[escalation.Origin]string{
		escalation.ByVerdict: "投稿の内容が、広報による確認の対象と判定されました。",
		escalation.ByReach:   "投稿の届く人数が、ブランドに設定された上限を超えました。",
		escalation.ByGrowth:  "同じ話題の1時間あたりの投稿数が、ブランドに設定された上限を超えました。",
		escalation.ByVolume:  "10分間の否定的な投稿が、この時間帯の普段の件数を大きく上回りました。",
		escalation.ByHand:    "担当者が広報の判断を求めています。",
		escalation.ByPromise: "お客様にお約束した連絡の期限が近づいています。",
		escalation.BySilence: "この情報源から、普段の間隔を大きく超えて投稿が届いていません。認証の期限切れや、媒体側の変更がよくある原因です。",
		escalation.ByQuota:   "この通知先で今月送れるメッセージが、残り2割を切りました。使い切ると、翌月まで呼び出しが届きません。プランの変更か、ほかの通知先の追加をご検討ください。",
		escalation.ByCanary:  "取得から一覧までを通る確認用の投稿が、届かなくなりました。この間の投稿は一覧に現れず、呼び出しも遅れているおそれがあります。停止しているサービスがないかをご確認ください。",
	},
	troubles: map[outbound.Reason]string{
		outbound.Unreachable:  "接続できません",
		outbound.NameNotFound: "接続先のホスト名が見つかりません",
		outbound.TimedOut:     "時間内に応答がありません",
		outbound.Credentials:  "認証が通りません",
		outbound.Forbidden:    "権限がありません",
		outbound.NotFound:     "接続先に何もありません",
		outbound.Limited:      "利用回数の上限に達しています",
		outbound.ServerError:  "接続先で障害が起きています",
		outbound.Unreadable:   "応答を読み取れません",
		outbound.TooLarge:     "応答が大きすぎます",
		outbound.Redirected:   "別のアドレスに転送されています",
		outbound.Blocked:      "内部のアドレスのため接続していません",
		outbound.Certificate:  "証明書を確認できず、安全に接続できません",
		outbound.Settings:     "設定に問題があります",
		outbound.Absent:       "設定が削除されています",
		outbound.Interrupted:  "処理が中断されました",
		outbound.Recent:       "新しい投稿しか提供されません",
		outbound.Overflow:     "一度に読み取れる件数を超えています",
		outbound.Spent:        "予算を使い切っています",
		outbound.Other:        "原因は情報源の画面でご確認ください",
	},
	platforms: map[string]string{
		"x": "X", "bluesky": "Bluesky", "mastodon": "Mastodon", "appstore": "App Store", "hackernews": "Hacker News",
		"email": "メール", "web": "ウェブ", "note": "応対の記録",
	},
}

var english = words{
	wake: "Urgent", opening: "Please check", notice: "For information", inHand: "In hand", over: "Resolved", grown: "More of it", test: "Test",
	tagOpen: "[", tagClose: "] ", colon: ": ", stop: ".",
	quoteOpen: "“", quoteClose: "”",
	timeForm: "2 January 2006 15:04 MST",

	happened: "What happened", why: "Why you are told", todo: "What to do", standing: "How it stands",
	ackLink: "Take it on (a button on that page confirms)", caseLink: "See the post and its history", detailLink: "See the details",

	post: "Posted on %s, %s", postBy: "Posted on %s by %s, %s",
	count: "Posts about the same matter: %d", volume: "Negative posts within ten minutes: %d", reach: "People reached: about %s",
	ground: "Found by: %s", handNote: "Their note: %s", alsoRisk: "It is also tagged: %s.",
	trouble:  "What stops it: %s",
	lastPost: "the last post is of %s; usually one comes about every %s", spike: "%d within ten minutes; usually about %s", used: "%d of %d messages sent this month",
	lastCanary: "the last one came on %s", noCanary: "none has come through yet",
	minutes: "%d min", hours: "%d h", days: "%d days",

	acknowledged: "%s has taken this on. Paging has stopped.",
	resolved:     "%s has marked this as resolved.",
	again: map[escalation.Origin]string{
		escalation.BySilence: "Posts come from it again, or it was switched off.",
		escalation.ByQuota:   "It takes messages again, or it was switched off.",
		escalation.ByCanary:  "Canaries come through again.",
	},
	someone:     "A colleague",
	nothingToDo: "Nothing. The history is behind the link below.",
	take:        "Open the link below and press “I have it”. Until somebody does, the next people are told in turn.",
	falseAlarm:  "If this should not have reached you, press “Should not have woken me” on the same page; it helps next time.",
	look:        "Have a look when you can. You will not be called again about this.",

	testSubject: "trial page",
	testBody:    "This is a trial from Earshot. There is no post behind it.",
	testTodo:    "Nothing. If you can read this, pages reach you here.",

	categories: map[mention.Category]string{
		mention.PublicityThreat:    "A threat to go public",
		mention.LegalThreat:        "A threat of legal or official steps",
		mention.SafetyHazard:       "A report of injury or danger",
		mention.ViolentThreat:      "A threat of violence against staff or premises",
		mention.UnreasonableDemand: "An unreasonable demand",
		mention.StaffAbuse:         "Abuse of staff",
		mention.PrivacyBreach:      "A report of leaked personal data",
		mention.MediaInquiry:       "An inquiry from the press",
		mention.AuthorityInquiry:   "An inquiry from an authority",
		mention.PersonAtRisk:       "A person may be in danger",
		mention.Churn:              "A customer leaving",
		mention.RepeatContact:      "A customer who has asked several times",
	},
	care: map[mention.Category]string{
		mention.ViolentThreat: "First make sure that the people and places named are safe. If it is imminent, call the police.",
		mention.PersonAtRisk:  "The person's safety comes first. If it is imminent, call the emergency services. Do not reproach or question them in a reply.",
		mention.SafetyHazard:  "Ask after the customer's health first. Write nothing about causes before the facts are known.",
		mention.PrivacyBreach: "Do not quote or forward what has leaked.",
		mention.MediaInquiry:  "Do not answer on the spot; the press office replies.",
	},
	origins: map[escalation.Origin]string{
		escalation.ByVerdict: "A post that PR should see",
		escalation.ByReach:   "A complaint that reaches many people",
		escalation.ByGrowth:  "A complaint that spreads fast",
		escalation.ByVolume:  "A surge of negative posts",
		escalation.ByHand:    "A colleague asks for PR",
		escalation.ByPromise: "A promise to a customer is about to break",
		escalation.BySilence: "A source has fallen silent",
		escalation.ByQuota:   "A notifier is running out of messages",
		escalation.ByCanary:  "Mentions do not get through",
	},
	reasons: map[escalation.Origin]string{
		escalation.ByVerdict: "By what it says, the post is one that PR must see.",
		escalation.ByReach:   "It reaches more people than the limit set for the brand.",
		escalation.ByGrowth:  "Posts about it within an hour exceed the limit set for the brand.",
		escalation.ByVolume:  "Negative posts within ten minutes are far above the usual for this time of day.",
		escalation.ByHand:    "A colleague wants PR to decide.",
		escalation.ByPromise: "The time by which the customer was promised word is near.",
		escalation.BySilence: "Nothing has come from this source for far longer than usual. Often a credential has expired, or the platform has changed.",
		escalation.ByCanary:  "No canary, a mention that only tries the way, has come from the fetcher into the index lately. What is said meanwhile may reach nobody, and pages may be late. See whether a service stands still.",
		escalation.ByQuota:   "A fifth or less of this month's messages is left. Once they are used up, nobody is reached this way until next month: take a larger plan, or add another way.",
	},
	troubles: map[outbound.Reason]string{
		outbound.Unreachable:  "it cannot be reached",
		outbound.NameNotFound: "there is no host of that name",
		outbound.TimedOut:     "it does not answer in time",
		outbound.Credentials:  "it does not let us in",
		outbound.Forbidden:    "it does not permit this",
		outbound.NotFound:     "nothing is at that address",
		outbound.Limited:      "its limit of requests is reached",
		outbound.ServerError:  "it has trouble of its own",
		outbound.Unreadable:   "its answer cannot be read",
		outbound.TooLarge:     "its answer is too large",
		outbound.Redirected:   "it sends to another address",
		outbound.Blocked:      "it is a private address and not contacted",
		outbound.Certificate:  "its certificate is not trusted",
		outbound.Settings:     "it cannot work as it is set up",
		outbound.Absent:       "its settings were removed",
		outbound.Interrupted:  "it was interrupted",
		outbound.Recent:       "it gives only what is recent",
		outbound.Overflow:     "there is more than is read at once",
		outbound.Spent:        "its budget is used up",
		outbound.Other:        "see the page of the source",
	},
	platforms: map[string]string{
		"x": "X", "bluesky": "Bluesky", "mastodon": "Mastodon", "appstore": "the App Store", "hackernews": "Hacker News",
		"email": "e-mail", "web": "the web", "note": "the contact log",
	},
}
