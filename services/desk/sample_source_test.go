package desk

import (
	"errors"
	"time"

	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/source"
)

// sampleSource is a source that is pushed to and connected by consent, after a
// look at what it would bring.
func sampleSource(l *locale, f frame) *sourceView {
	call := &call{l: l}
	kind := sourceFamily().called(l).kinds[1]
	k, _ := source.Named(kind.Name)
	heard := l.strip(sampleCoverage(), 7)
	at := func(d time.Duration) moment { return l.at(sampleNow.Add(-d)) }
	return &sourceView{
		formView: formView{
			frame: f, Lead: kind.Doc, Action: "/sources/x", Button: l.say("me.save"), Back: link{l.say("nav.sources"), "/sources"}, Try: "/sources/x/try",
			Groups: []fieldGroup{{Fields: l.configFields("key.sources."+kind.Name+".", kind.fields, nil, nil)}},
			Notice: &notice{Kind: "info", Title: l.say("consent.done"), Text: l.say("consent.done_text")},
		},
		State: &sourceRow{State: "failing", Account: "@kumo_cafe", StateName: l.say("source.state_failing"), Success: at(3 * time.Hour), Item: at(5 * time.Hour), Lag: "12 s",
			Next: l.at(sampleNow.Add(12 * time.Minute)), Quota: "287 / 300", Trouble: l.trouble(outbound.Trouble{Reason: outbound.Credentials, Host: "api.x.com", Status: 400, Said: "Value passed for the token was invalid."}, "400", sampleNow.Add(12*time.Minute))},
		Hook: "https://earshot.example.com/hooks/x-7fq2ab", Guessed: true,
		Consent: &consentView{Action: "/sources/x/consent", Redirect: "https://earshot.example.com/sources/consent/callback", Since: at(40 * 24 * time.Hour), By: "佐藤 香織", Account: "@kumo_cafe", Go: "https://x.com/i/oauth2/authorize?client_id=a", Host: "x.com"},
		Tried: &triedView{Text: l.say("source.tried", 28, 2), Secrets: true, Rows: []triedRow{
			{rowView{Author: "@midori_k", PlatformName: "X", At: at(4 * time.Minute), Text: []span{{Text: "三回電話しても折り返しがない。明日までに返金の連絡がなければ、録音も含めて全部公開します。"}}, Lang: "ja"}, []string{"Kumo Café", "Hoshi"}},
			{rowView{Author: "@ravi", PlatformName: "X", At: at(9 * time.Minute), Text: []span{{Text: "A lovely morning in Ueno."}}, Lang: "en"}, nil},
		}},
		Duties: call.duties(&kind, k.Duties),
		Tabs:   sampleTabs(l), Heard: &heard, Outages: l.outages(sampleCoverage(), 7),
	}
}

func sampleTabs(l *locale) []chip {
	return []chip{{Label: l.say("coverage.days", 7), Href: "?days=7", On: true}, {Label: l.say("coverage.days", 30), Href: "?days=30"}}
}

// sampleCoverage has an outage of every sort.
func sampleCoverage() source.Coverage {
	ago := func(d time.Duration) time.Time { return sampleNow.Add(-d) }
	c := source.Coverage{Since: ago(150 * time.Hour)}
	c.Began(ago(140*time.Hour), ago(130*time.Hour), true)
	c.Heard(ago(130*time.Hour), true, true, false)
	c.Told(source.Gap{From: ago(100 * time.Hour), To: ago(96 * time.Hour), Why: outbound.Spent.Of(errors.New("the budget was used up"))}, ago(96*time.Hour))
	c.SwitchedOff(ago(70 * time.Hour))
	c.Began(time.Time{}, ago(50*time.Hour), true)
	c.Heard(ago(50*time.Hour), true, true, false)
	c.Failed(ago(3*time.Hour), ago(3*time.Hour), "GET https://api.x.com/2/tweets: 503 Service Unavailable", outbound.Trouble{Reason: outbound.ServerError, Host: "api.x.com", Status: 503})
	return c
}

// sampleHeard are the strips of a sound source, of one that is not, and of one
// that nothing is known of.
func sampleHeard(l *locale) []coverageRow {
	sound, unsound, fresh := l.strip(source.Coverage{Since: sampleNow.Add(-400 * time.Hour)}, 7), l.strip(sampleCoverage(), 7), l.strip(source.Coverage{}, 7)
	sound.Name, unsound.Name, fresh.Name, unsound.Href = "Bluesky", "@kumo", "Google News", "#"
	return []coverageRow{sound, unsound, fresh}
}

// sampleLine has had canaries for a day, of which one was lost.
func sampleLine(l *locale) *lineView {
	c := source.Canary{Every: 5 * time.Minute, Late: 15 * time.Minute, Since: sampleNow.Add(-30 * time.Hour)}
	for i := 288; i > 0; i-- {
		at := sampleNow.Add(-time.Duration(i) * c.Every)
		c.Sends(at)
		if i != 100 {
			c.Arrives(at, at.Add(time.Duration(200+i)*time.Millisecond))
		}
	}
	return l.line(&c)
}

func sampleDuties(l *locale) (out []dutiesRow) {
	call := &call{l: l}
	for _, k := range sourceFamily().called(l).kinds {
		kind, _ := source.Named(k.Name)
		out = append(out, dutiesRow{k.Label, call.duties(&k, kind.Duties)})
	}
	return out
}
