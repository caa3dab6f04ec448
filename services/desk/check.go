package desk

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// checkRuling are the rules for replies: those that Earshot comes with, and a
// company's own.
func checkRuling() ruling {
	r := rulingOf(settings.Checks, identity.Playbook,
		ofSpoken("name", 1), ofChoice("lang", false, "", "ja", "en"), ofChoice("pack", false, append([]string{""}, casework.Packs...)...),
		ofCheck("block"), ofCheck("off"), ofSpoken("why", 2), ofSpoken("turn", 2), ofPhrases("phrases"), ofPhrases("unless"), ofPhrases("unless_text"),
		ofNumber("more_than"), ofCheck("personal"), ofPhrases("examples"), ofPhrases("counter_examples"))
	r.usual = func(_ *call, id string) (any, bool) { v, ok := settings.UsualCheck(id); return v, ok }
	r.list = func(c *call) []ruled {
		var out []ruled
		rules := c.Settings.CheckRules()
		// Those for the reader's language first, then those for all, then packs.
		slices.SortStableFunc(rules, func(a, b casework.CheckRule) int {
			rank := func(r *casework.CheckRule) int {
				n := 2
				switch r.Lang {
				case c.l.lang:
					n = 0
				case "":
					n = 1
				}
				if r.Pack != "" {
					n += 3
				}
				return n
			}
			return rank(&a) - rank(&b)
		})
		for _, x := range rules {
			row := ruled{id: x.ID, name: cmp.Or(c.l.inOwn(x.Name), x.ID)}
			switch {
			case x.Off:
				row.state = c.l.say("check.off")
			case x.Block:
				row.state = c.l.say("check.blocks")
			}
			if x.Pack != "" {
				row.parts = append(row.parts, c.l.say("rules.check.pack.is."+x.Pack))
			}
			row.parts = append(row.parts, c.l.say("rules.check.lang.is."+cmp.Or(x.Lang, "any")))
			out = append(out, row)
		}
		return out
	}
	return r
}

// voiceRuling is what brands add to the rules for replies.
func voiceRuling() ruling {
	r := rulingOf(settings.Voices, identity.Playbook,
		ofGroup("words", ofText("avoid"), ofText("prefer")), ofPicks("packs", named("rules.check.pack.is.", casework.Packs)), ofPhrases("contacts"))
	r.usual = func(c *call, id string) (any, bool) {
		_, ok := settings.Brands.Get(c.Settings, id)
		return casework.Voice{ID: id}, ok && c.viewer.Can(identity.View, id)
	}
	r.list = func(c *call) []ruled {
		var out []ruled
		for _, b := range settings.Brands.List(c.Settings) {
			if !c.viewer.Can(identity.View, b.ID) {
				continue
			}
			row := ruled{id: b.ID, name: b.Called(c.l.lang)}
			v, _ := settings.Voices.Get(c.Settings, b.ID)
			for _, p := range v.Packs {
				row.parts = append(row.parts, c.l.say("rules.check.pack.is."+p))
			}
			for _, w := range v.Words {
				row.parts = append(row.parts, w.Avoid)
			}
			out = append(out, row)
		}
		return out
	}
	return r
}

// inOwn is a text in the reader's language, or in another one.
func (l *locale) inOwn(texts map[string]string) string {
	return cmp.Or(texts[l.lang], texts[langs[0]], texts[langs[1]])
}

// findings are what the reply check says of r for s.
func (c *call) findings(s *casework.State, r *reply) []casework.Finding {
	out := c.Settings.CheckReply(s.Mention.Brand, s.Verdict.Lang, r.text)
	if f, ok := c.repeated(s, r); ok {
		out = append(out, f)
	}
	return out
}

// manyAlike is from how many replies of the same words within a day the writer
// is told.
const manyAlike = 3

// repeatedRule is the finding about the same words again and again.
const repeatedRule = "repeated"

// repeated tells when the same words went out often in the last 24 hours, and
// offers approved ones that differ.
func (c *call) repeated(s *casework.State, r *reply) (casework.Finding, bool) {
	d := casework.Draft{Text: r.text, Slots: c.values(s, r)}
	res, err := c.Index.Search(c.ctx, search.Query{
		Viewer: search.Sees(s.Mention.Brand), Sort: search.Newest, Limit: 30,
		Where: map[search.Field][]string{search.FieldTag: {d.SaidTag()}, search.FieldBrand: {s.Mention.Brand}},
	})
	if err != nil || len(res.Hits) < manyAlike {
		return casework.Finding{}, false
	}
	n := 0
	for i := range res.Hits {
		past, err := c.Cases.Get(c.ctx, c.viewer, res.Hits[i].ID)
		if err == nil && past.ID != s.ID && slices.ContainsFunc(past.Replies, func(p casework.Reply) bool {
			return c.l.now.Sub(p.At) < 24*time.Hour && p.Draft.SaidTag() == d.SaidTag()
		}) {
			n++
		}
	}
	if n < manyAlike {
		return casework.Finding{}, false
	}
	var others []string
	for _, t := range casework.Suggest(settings.Templates.List(c.Settings), s) {
		if t.ID != r.template && t.Lang == s.Verdict.Lang && len(others) < 3 && cmp.Or(t.InForce().Kind, r.kind) == r.kind {
			others = append(others, t.Name)
		}
	}
	why := c.l.say("check.repeated", n)
	return casework.Finding{Rule: repeatedRule, Why: map[string]string{c.l.lang: why}, Turn: strings.Join(others, c.l.say("rules.and"))}, true
}

// marked is a reply cut into spans at what was found, and the findings in words;
// those that say the same are numbered alike.
func (c *call) marked(text string, found []casework.Finding) (spans []span, list []findingView) {
	runes := []rune(text)
	at := 0
	numbers := map[string]string{}
	for _, f := range found {
		v := findingView{Words: f.Words, Why: c.l.inOwn(f.Why), Turn: f.Turn, Block: f.Block, Name: c.l.inOwn(f.Name)}
		if f.Rule == casework.VoiceRule {
			v.Why = c.l.say("check.voice")
		}
		key := f.Rule + " " + f.Words
		if numbers[key] == "" {
			numbers[key] = itoa(len(numbers) + 1)
			v.Note = numbers[key]
			list = append(list, v)
		}
		if f.Start < at || f.End <= f.Start || f.End > len(runes) {
			continue // another finding has these words
		}
		if f.Start > at {
			spans = append(spans, span{Text: string(runes[at:f.Start])})
		}
		step := 1
		if f.Block {
			step = 3
		}
		spans = append(spans, span{Text: string(runes[f.Start:f.End]), Note: numbers[key], Step: step, Why: cmp.Or(v.Name, v.Why)})
		at = f.End
	}
	if at < len(runes) {
		spans = append(spans, span{Text: string(runes[at:])})
	}
	return spans, list
}
