package desk

import (
	"strings"
	"time"
	"unicode"

	"github.com/earshot/earshot/pkg/outbound"
)

// troubleView is what went wrong at the far side, in the viewer's language.
type troubleView struct {
	What, Next string // what happened, and what to do
	Again      moment // when it is tried again; zero where nobody knows
	Said, Lang string // the far side's own words
}

// inLine is v in one line: what happened, and the far side's words; empty for nil.
func (l *locale) inLine(v *troubleView) string {
	switch {
	case v == nil:
		return ""
	case v.Said == "":
		return v.What
	}
	return v.What + l.say("trouble.quoted", v.Said)
}

// trouble says what t is and what to do; nil without an error. The English error
// stands for what was kept before it was explained. Next is when it is tried
// again, if that is known.
func (l *locale) trouble(t outbound.Trouble, english string, next time.Time) *troubleView {
	if english == "" {
		return nil
	}
	if !l.has("trouble." + string(t.Reason)) {
		t = outbound.Trouble{Reason: outbound.Other, Said: english}
	}
	host := t.Host
	if host == "" {
		host = l.say("trouble.there")
	}
	key := "trouble." + string(t.Reason)
	v := &troubleView{What: l.say(key, host), Next: l.say(key + ".next"), Said: t.Said, Lang: "en"}
	if t.Status >= 400 {
		v.What += l.say("trouble.status", t.Status)
	}
	if strings.ContainsFunc(t.Said, func(r rune) bool { return unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han) }) {
		v.Lang = "ja"
	}
	if t.Until.After(next) {
		next = t.Until
	}
	if next.After(l.now) {
		v.Again = l.at(next)
	}
	return v
}
