package desk

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
)

// A member of a list is said in a sentence, as somebody would who leads the work.
// The parts of a sentence stand in the order of its language, "said." in the
// texts; a part that nothing is known of is left out.

// said are the sentences by the kind of the setting and the list's path.
var said = map[string]func(c *call, tree map[string]any, i int) (string, error){
	"policy.rules":           saying((*call).saidUrgency),
	"policy.ladders":         saying((*call).saidLadder),
	"policy.ladders.rungs":   saying((*call).saidRung),
	"policy.rotas":           saying((*call).saidRota),
	"policy.rotas.overrides": saying((*call).saidOverride),
	"policy.hours":           saying((*call).saidHours),
	"policy.calendars":       saying((*call).saidCalendar),
	"policy.quiet":           saying((*call).saidQuiet),
	"policy.limits":          saying((*call).saidLimits),
	"rules.rows":             saying((*call).saidApproval),
	"playbook.clocks":        saying((*call).saidClock),
}

// saying says a tree as the T that it is; it fails while the tree is none.
func saying[T any](say func(c *call, x *T, i int) string) func(*call, map[string]any, int) (string, error) {
	return func(c *call, tree map[string]any, i int) (string, error) {
		x := new(T)
		raw, err := json.Marshal(tree)
		if err == nil {
			err = json.Unmarshal(raw, x)
		}
		if err != nil || len(tree) == 0 {
			return "", err
		}
		return c.l.begun(say(c, x, i)), nil
	}
}

// begun is a sentence as it begins: in English with a capital.
func (l *locale) begun(s string) string {
	if l.lang == "en" {
		return upperFirst(s)
	}
	return s
}

// joined are words in a row, the last one after last.
func (l *locale) joined(words []string, last string) string {
	if n := len(words) - 1; n > 0 {
		return strings.Join(words[:n], l.say("rules.and")) + l.say(last) + words[n]
	}
	return strings.Join(words, "")
}

// part is a part of a sentence about words; nothing without any.
func (l *locale) part(key, words string, more ...any) string {
	if words == "" {
		return ""
	}
	return l.say(key, append([]any{words}, more...)...)
}

// names are values in words: each the text of prefix and value, in small letters
// as within a sentence.
func names[S ~string](l *locale, prefix string, values []S) []string {
	var out []string
	for _, v := range values {
		name := string(v)
		if l.has(prefix + name) {
			name = l.say(prefix + name)
		}
		if l.lang == "en" {
			name = strings.ToLower(name[:min(1, len(name))]) + name[min(1, len(name)):]
		}
		out = append(out, name)
	}
	return out
}

// marked are the risks of a post, any of which will do.
func (l *locale) marked(risks []mention.Category) string {
	words := l.joined(names(l, "risk.", risks), "said.or")
	if len(risks) > 1 {
		words = l.say("said.any_of", words)
	}
	return words
}

func (c *call) ofBrands(key string, brands []string) string {
	var called []string
	for _, b := range brands {
		called = append(called, c.brandName(b))
	}
	return c.l.part(key, c.l.joined(called, "said.and"))
}

// origins are what can have set something off.
func (l *locale) origins(list []escalation.Origin) string {
	return l.joined(names(l, "said.origin.", list), "said.or_when")
}

func (c *call) saidUrgency(r *escalation.Rule, i int) string {
	l := c.l
	brands, during := c.ofBrands("said.brands", r.Brands), ""
	if r.During != "" {
		during = l.say("said.during." + string(r.During))
	}
	what, when, marked, reach := "", l.origins(r.Origins), l.marked(r.Categories), number(r.MinReach)
	switch {
	case marked != "" && r.MinReach > 0:
		what = l.say("said.marked_reach", marked, reach)
	case marked != "":
		what = l.say("said.marked", marked)
	case r.MinReach > 0:
		what = l.say("said.reach", reach)
	}
	switch {
	case what != "" && when != "":
		what = l.say("said.when_posts", when, what)
	case when != "":
		what = l.say("said.when", when)
	case what == "" && i > 0:
		what = l.say("said.rest")
	case what == "":
		what = l.say("said.all")
	}
	return l.say("said.urgency", brands, during, what, l.say("said.does."+string(r.Urgency)))
}

// onRung are those whom a page goes to, and how.
func (c *call) onRung(r *escalation.Rung) (who, by string) {
	var all, channels []string
	for _, w := range r.Who {
		kind, name, _ := strings.Cut(w, ":")
		switch key := "said.role." + name; {
		case kind == "role" && c.l.has(key):
			all = append(all, c.l.say(key))
		case kind == "oncall":
			all = append(all, c.l.say("said.oncall", name))
		case kind == "team":
			all = append(all, c.l.say("said.team", c.teamName(name)))
		case kind == "staff":
			all = append(all, c.who(name))
		default:
			all = append(all, w)
		}
	}
	options := channelPicks(c)
	for _, id := range r.Channels {
		if i := slices.IndexFunc(options, func(o option) bool { return o.Value == id }); i >= 0 {
			id = options[i].Label
		}
		channels = append(channels, id)
	}
	return c.l.joined(all, "said.and"), c.l.part("said.by", c.l.joined(channels, "said.and"))
}

func (c *call) saidLadder(x *escalation.Ladder, i int) string {
	l := c.l
	out := c.ofBrands("said.ladder_brands", x.Brands) +
		l.part("said.ladder_for", l.joined(names(l, "said.urgent.", x.Urgencies), "said.or")) +
		l.part("said.ladder_when", l.origins(x.Origins))
	if out == "" && i > 0 {
		out = l.say("said.ladder_rest")
	}
	gap := ""
	if l.lang == "en" {
		gap = " "
	}
	for j := range x.Rungs {
		who, by := c.onRung(&x.Rungs[j])
		if j == 0 {
			out += l.say("said.tell", who, by)
		} else {
			out += gap + l.say("said.then", x.Rungs[j-1].WaitMinutes, who, by)
		}
	}
	switch {
	case x.RepeatMinutes > 0 && x.MaxRounds > 0:
		out += gap + l.say("said.repeat_up_to", x.RepeatMinutes, x.MaxRounds)
	case x.RepeatMinutes > 0:
		out += gap + l.say("said.repeat", x.RepeatMinutes)
	}
	return out
}

func (c *call) saidRung(r *escalation.Rung, _ int) string {
	who, by := c.onRung(r)
	if r.WaitMinutes > 0 {
		return c.l.say("said.tell_wait", r.WaitMinutes, who, by)
	}
	return c.l.say("said.tell", who, by)
}

func (c *call) saidRota(r *escalation.Rota, _ int) string {
	var who []string
	for _, m := range r.Members {
		who = append(who, c.who(m))
	}
	return c.l.say("said.rota", r.Days, r.Name, strings.Join(who, c.l.say("rules.and")), strings.Replace(r.Start, "T", " ", 1))
}

// minute is a time that was set, with its date.
func (l *locale) minute(t time.Time) string { return t.In(l.zone).Format("2006-01-02 15:04") }

func (c *call) saidOverride(o *escalation.Override, _ int) string {
	return c.l.say("said.override", c.l.minute(o.From), c.l.minute(o.To), c.who(o.Who))
}

func (c *call) saidHours(h *escalation.Hours, _ int) string {
	l := c.l
	var open []string
	for i := 0; i < len(weekdays); {
		spans, j := h.Week[weekdays[i]], i+1
		for j < len(weekdays) && slices.Equal(h.Week[weekdays[j]], spans) {
			j++
		}
		if len(spans) > 0 {
			day := l.say("rules.day." + weekdays[i])
			if j > i+1 {
				day = l.say("said.days", day, l.say("rules.day."+weekdays[j-1]))
			}
			open = append(open, l.say("said.open", day, l.joined(spans, "said.and")))
		}
		i = j
	}
	closed := ""
	if h.Calendar != "" {
		closed = l.say("said.calendar", l.instead("said.calendar."+h.Calendar, h.Calendar))
	}
	if n := len(h.Holidays); n > 0 {
		closed += l.say("said.holidays", n)
	}
	return l.say("said.hours", c.ofBrands("said.ladder_brands", h.Brands), strings.Join(open, l.say("rules.and")), h.Zone.String(), closed)
}

func (c *call) saidCalendar(x *escalation.Calendar, _ int) string {
	return c.l.say("said.calendar_days", len(x.Days), x.Name)
}

func (c *call) saidQuiet(q *escalation.Quiet, _ int) string {
	return c.l.say("said.quiet", c.l.minute(q.From), c.l.minute(q.To), c.ofBrands("said.brands", q.Brands), c.l.part("said.about", c.l.joined(names(c.l, "risk.", q.Categories), "said.and")), c.l.part("said.reason", q.Reason))
}

func (c *call) saidLimits(x *escalation.Limits, _ int) string {
	l := c.l
	var any []string
	if x.Reach > 0 {
		any = append(any, l.say("said.storm_reach", number(x.Reach)))
	}
	if x.Growth > 0 {
		any = append(any, l.say("said.storm_growth", number(x.Growth)))
	}
	if x.VolumeFactor > 0 {
		any = append(any, l.say("said.storm_volume", strconv.FormatFloat(x.VolumeFactor, 'f', -1, 64), number(x.VolumeMin)))
	}
	brands := c.ofBrands("said.ladder_brands", x.Brands)
	if len(any) == 0 {
		return l.say("said.no_storm", brands)
	}
	return l.say("said.storm", brands, strings.Join(any, l.say("said.storm_or")))
}

// toPosts is what replies of a row answer; nothing if they answer anything.
func (l *locale) toPosts(r *casework.Rule) string {
	if len(r.Intents)+len(r.Risks) == 0 && r.Reach == 0 {
		return ""
	}
	posts, from := l.say("said.posts"), ""
	if len(r.Intents) > 0 {
		posts = l.joined(names(l, "said.intent.", r.Intents), "said.or_kind")
	}
	if r.Reach > 0 {
		from = l.say("said.from", number(r.Reach))
	}
	return l.say("said.to", posts, l.part("said.has", l.marked(r.Risks)), from)
}

func (c *call) saidApproval(r *casework.Rule, i int) string {
	l := c.l
	to, by, text := l.toPosts(r), "", ""
	switch who := l.joined(names(l, "said.role.", r.Roles), "said.or"); {
	case who != "" && r.Trained:
		by = l.say("said.by_trained", who)
	case who != "":
		by = l.say("said.by_role", who)
	case r.Trained:
		by = l.say("said.by_anybody_trained")
	}
	if r.Edited != nil {
		text = l.say("said.edited." + strconv.FormatBool(*r.Edited))
	}
	subject := "said.replies"
	if to+by+text == "" {
		subject = "said.replies_all"
		if i > 0 {
			subject = "said.replies_rest"
		}
	}
	out := l.say(subject, c.ofBrands("said.brands", r.Brands), to, by, text)
	switch {
	case !r.Needs:
		return out + l.say("said.free")
	case r.Approvers:
		out += l.say("said.second_all")
	default:
		out += l.say("said.second")
	}
	if r.Why != "" && !l.has("why."+r.Why) {
		out += l.say("said.why", r.Why)
	}
	return out
}

func (c *call) saidClock(x *casework.Clock, _ int) string {
	return c.l.say("said.clock", shorten(c.l.inOwn(x.Text), 90), number(x.Hours))
}

// saidRoute is where a route sends which posts.
func (c *call) saidRoute(r *settings.Route, i int) string {
	l := c.l
	posts := l.say("said.posts")
	if len(r.Intents) > 0 {
		posts = l.joined(names(l, "said.intent.", r.Intents), "said.or_kind")
	}
	var langs, sources []string
	for _, x := range r.Languages {
		langs = append(langs, c.valueName("lang", x))
	}
	for _, id := range r.Sources {
		name := id
		if s, ok := settings.Sources.Get(c.Settings, id); ok && s.Name != "" {
			name = s.Name
		}
		sources = append(sources, name)
	}
	of := c.ofBrands("said.of_brands", r.Brands) + l.part("said.of_places", l.joined(r.Places, "said.or")) + l.part("said.of_langs", l.joined(langs, "said.or")) +
		l.part("said.of_sources", l.joined(sources, "said.or")) + l.part("said.has", l.marked(r.Risks))
	switch {
	case of != "" || len(r.Intents) > 0:
	case i > 0:
		posts = l.say("said.posts_rest")
	default:
		posts = l.say("said.posts_all")
	}
	return l.begun(l.say("said.route", posts, of, c.teamName(r.Team)))
}
