package desk

import (
	"time"

	"github.com/earshot/earshot/pkg/source"
)

// sampleSource is a source that is pushed to and connected by consent, after a
// look at what it would bring.
func sampleSource(l *locale, f frame) *sourceView {
	call := &call{l: l}
	kind := sourceFamily().called(l).kinds[1]
	k, _ := source.Named(kind.Name)
	at := func(d time.Duration) moment { return l.at(sampleNow.Add(-d)) }
	return &sourceView{
		formView: formView{
			frame: f, Lead: kind.Doc, Action: "/sources/x", Button: l.say("me.save"), Back: link{l.say("nav.sources"), "/sources"}, Try: "/sources/x/try",
			Groups: []fieldGroup{{Fields: l.configFields("key.sources."+kind.Name+".", kind.fields, nil, nil)}},
			Notice: &notice{Kind: "info", Title: l.say("consent.done"), Text: l.say("consent.done_text")},
		},
		State: &sourceRow{State: "failing", StateName: l.say("source.state_failing"), Success: at(3 * time.Hour), Item: at(5 * time.Hour), Lag: "12 s",
			Next: l.at(sampleNow.Add(12 * time.Minute)), Quota: "287 / 300", Error: "the platform does not renew the consent: invalid_grant (400): connect again in the desk"},
		Hook: "https://earshot.example.com/hooks/x-7fq2ab", Guessed: true,
		Consent: &consentView{Action: "/sources/x/consent", Redirect: "https://earshot.example.com/sources/consent/callback", Since: at(40 * 24 * time.Hour), By: "佐藤 香織", Go: "https://x.com/i/oauth2/authorize?client_id=a", Host: "x.com"},
		Tried: &triedView{Text: l.say("source.tried", 28, 2), Secrets: true, Rows: []triedRow{
			{rowView{Author: "@midori_k", PlatformName: "X", At: at(4 * time.Minute), Text: []span{{Text: "三回電話しても折り返しがない。明日までに返金の連絡がなければ、録音も含めて全部公開します。"}}, Lang: "ja"}, []string{"Kumo Café", "Hoshi"}},
			{rowView{Author: "@ravi", PlatformName: "X", At: at(9 * time.Minute), Text: []span{{Text: "A lovely morning in Ueno."}}, Lang: "en"}, nil},
		}},
		Duties: call.duties(&kind, k.Duties),
	}
}
