package desk

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/earshot/earshot/pkg/settings"
)

// The form of a setting is made from a description of its parts, in both
// directions: a tree of JSON values becomes inputs, and what is typed becomes a
// tree again, which the setting's own type then decodes and judges. The names
// of inputs are the paths of values, "ladders.0.rungs.1.who".

// part is a value within a setting: its key there, and how it is put in.
type part struct {
	key  string
	is   string // text, number, check, long, lines, phrases, picks, one, choice, spoken, week or group
	rows int    // of spoken: the height of its inputs
	must bool   // of choice: there is none left out
	// choices are the values of a choice; "" is for none.
	choices []string
	// picks are what can be picked.
	picks func(*call) []option
	parts []part // of each member of a group
}

func ofText(key string) part   { return part{key: key, is: "text"} }
func ofNumber(key string) part { return part{key: key, is: "number"} }
func ofCheck(key string) part  { return part{key: key, is: "check"} }
func ofLines(key string) part  { return part{key: key, is: "lines"} }
func ofPhrases(key string) part {
	return part{key: key, is: "phrases"}
}
func ofWeek(key string) part { return part{key: key, is: "week"} }

func ofPicks(key string, from func(*call) []option) part {
	return part{key: key, is: "picks", picks: from}
}

func ofPick(key string, from func(*call) []option) part {
	return part{key: key, is: "pick", picks: from}
}

func ofChoice(key string, must bool, values ...string) part {
	return part{key: key, is: "choice", must: must, choices: values}
}

// ofLong is a text of several lines, ofStaff one member of staff.
func ofLong(key string, rows int) part { return part{key: key, is: "long", rows: rows} }
func ofStaff(key string) part          { return part{key: key, is: "one", picks: staffPicks} }

func ofSpoken(key string, rows int) part     { return part{key: key, is: "spoken", rows: rows} }
func ofGroup(key string, parts ...part) part { return part{key: key, is: "group", parts: parts} }

func (p *part) within(path string) string { return strings.TrimPrefix(path+"."+p.key, ".") }
func member(path string, i int) string    { return path + "." + strconv.Itoa(i) }

var weekdays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// formPart is a part as the page shows it: one input, or a list of groups.
type formPart struct {
	Field *field
	// Of a group: what it is called, its members, and the buttons' values.
	Path, Label, Hint, Error string
	Members                  []formMember
	Add, AddLabel            string
}

// formMember is one of a list, with what it says in a line: closed, the page is
// for reading.
type formMember struct {
	Path, Label   string
	Says          string
	Open          bool
	Parts         []formPart
	Up, Down, Del string
}

// formed makes the inputs of one page, or reads them.
type formed struct {
	*call
	kind  string
	wrong map[string]string // by path; what a part has taken is gone from it
}

var indices = regexp.MustCompile(`\.\d+`)

// partLabel is what the value at path is called: by its path, or by its key
// alone where that says the same everywhere.
func (l *locale) partLabel(kind, path string) string {
	path = indices.ReplaceAllString(path, "")
	return l.instead("rules."+kind+"."+path, l.say("rules.key."+path[strings.LastIndex(path, ".")+1:]))
}

func (l *locale) partHint(kind, path string) string {
	path = indices.ReplaceAllString(path, "")
	return l.instead("rules."+kind+"."+path+"_hint", l.instead("rules.key."+path[strings.LastIndex(path, ".")+1:]+"_hint", ""))
}

var index = regexp.MustCompile(`\[(\d+)\]`)

// mistakenAt are the mistakes within err by the paths of their values.
func (l *locale) mistakenAt(err error) map[string]string {
	return l.mistaken(err, func(key string) string { return index.ReplaceAllString(key, ".$1") })
}

// take returns what is wrong with the value at path, and with what lies in it
// but has no input of its own.
func (f *formed) take(path string) string {
	var all []string
	for _, at := range slices.Sorted(maps.Keys(f.wrong)) {
		if at == path || path != "" && strings.HasPrefix(at, path+".") {
			all = append(all, f.wrong[at])
			delete(f.wrong, at)
		}
	}
	return strings.Join(all, " ")
}

// rest is what is wrong and has no place on the page, each with what the form
// calls it, or its path where it has no word for it.
func (f *formed) rest() string {
	var all []string
	for _, at := range slices.Sorted(maps.Keys(f.wrong)) {
		name := f.l.partLabel(f.kind, at)
		if strings.HasPrefix(name, "rules.key.") {
			name = at
		}
		if at != "" {
			name += f.l.say("form.of")
		}
		all = append(all, name+f.wrong[at])
	}
	return strings.Join(all, " ")
}

// parts are the inputs for the values of tree at path.
func (f *formed) parts(path string, parts []part, tree map[string]any) []formPart {
	var out []formPart
	for i := range parts {
		out = append(out, f.part(parts[i].within(path), &parts[i], tree[parts[i].key])...)
	}
	return out
}

func (f *formed) part(at string, p *part, value any) []formPart {
	in := field{Name: at, Label: f.l.partLabel(f.kind, at), Hint: f.l.partHint(f.kind, at), Plain: true}
	one := func() []formPart {
		in.Error = f.take(at)
		return []formPart{{Field: &in}}
	}
	switch p.is {
	case "group":
		return []formPart{f.group(at, p, value)}
	case "spoken":
		texts, _ := value.(map[string]any)
		var out []formPart
		for _, lang := range langs {
			text, _ := texts[lang].(string)
			v := field{Name: at + "." + lang, Label: in.Label + " (" + f.l.say("lang."+lang) + ")", Value: text, Error: f.take(at + "." + lang), Plain: true}
			if p.rows > 1 {
				v.Type, v.Rows = "textarea", p.rows
			}
			out = append(out, formPart{Field: &v})
		}
		out[0].Field.Hint, out[0].Field.Error = in.Hint, strings.TrimSpace(out[0].Field.Error+" "+f.take(at))
		return out
	case "week":
		days, _ := value.(map[string]any)
		var out []formPart
		for _, day := range weekdays {
			v := field{Name: at + "." + day, Label: f.l.say("rules.day." + day), Value: strings.Join(listOf(days[day]), ", "), Placeholder: f.l.say("rules.closed"), Mono: true, Plain: true, Error: f.take(at + "." + day)}
			out = append(out, formPart{Field: &v})
		}
		out[0].Field.Hint, out[0].Field.Error = in.Hint, strings.TrimSpace(out[0].Field.Error+" "+f.take(at))
		return out
	case "picks":
		in.Type = "check"
		on := listOf(value)
		for _, o := range p.picks(f.call) {
			o.On = slices.Contains(on, o.Value)
			in.Options = append(in.Options, o)
		}
		for _, v := range on { // what is gone elsewhere isn't lost here
			if !slices.ContainsFunc(in.Options, func(o option) bool { return o.Value == v }) {
				in.Options = append(in.Options, option{Value: v, Label: v, On: true})
			}
		}
		if len(in.Options) == 0 {
			return nil
		}
	case "pick":
		in.Type = "select"
		have, _ := value.(string)
		for _, o := range append([]option{{Label: f.l.say("rules.pick")}}, p.picks(f.call)...) {
			o.On = o.Value == have
			in.Options = append(in.Options, o)
		}
		if !slices.ContainsFunc(in.Options, func(o option) bool { return o.On }) {
			in.Options = append(in.Options, option{Value: have, Label: have, On: true})
		}
	case "choice":
		in.Type = "select"
		have := fmt.Sprint(cmp.Or(value, any("")))
		if p.must && !slices.Contains(p.choices, have) && have != "" {
			in.Options = append(in.Options, option{Value: have, Label: have, On: true})
		}
		for _, v := range p.choices {
			in.Options = append(in.Options, option{Value: v, Label: f.choiceLabel(at, v), On: v == have})
		}
	case "check":
		on, _ := value.(bool)
		in.Type, in.Options = "check", []option{{Value: "on", Label: cmp.Or(in.Hint, in.Label), On: on}}
		in.Hint = ""
	case "long":
		in.Type, in.Rows = "textarea", p.rows
		in.Value, _ = value.(string)
	case "one":
		in.Type, in.Options = "select", []option{{}}
		for _, o := range p.picks(f.call) {
			o.On = o.Value == value
			in.Options = append(in.Options, o)
		}
	case "lines", "phrases":
		in.Type, in.Mono, in.Value = "textarea", true, strings.Join(listOf(value), "\n")
		in.Rows = min(max(2, len(listOf(value))+1), 8)
	case "number":
		in.Auto = "off"
		switch n := value.(type) {
		case float64:
			in.Value = strconv.FormatFloat(n, 'f', -1, 64)
		case string: // as it was typed
			in.Value = n
		}
	default:
		in.Value, _ = value.(string)
	}
	return one()
}

func (f *formed) choiceLabel(at, value string) string {
	at = indices.ReplaceAllString(at, "")
	return f.l.say("rules." + f.kind + "." + at + ".is." + cmp.Or(value, "any"))
}

func listOf(value any) []string {
	var out []string
	list, _ := value.([]any)
	for _, x := range list {
		out = append(out, fmt.Sprint(x))
	}
	return out
}

func (f *formed) group(at string, p *part, value any) formPart {
	list, _ := value.([]any)
	g := formPart{Path: at, Label: f.l.partLabel(f.kind, at), Hint: f.l.partHint(f.kind, at), Add: "add:" + at}
	one := f.l.say("rules." + f.kind + "." + indices.ReplaceAllString(at, "") + "_one")
	g.AddLabel = f.l.say("rules.add", one)
	for i, x := range list {
		tree, _ := x.(map[string]any)
		path := member(at, i)
		wrong := len(f.wrong)
		m := formMember{Path: path, Label: one + " " + strconv.Itoa(i+1), Says: f.sentence(at, p.parts, tree, i), Parts: f.parts(path, p.parts, tree), Del: "del:" + path}
		m.Open = len(f.wrong) < wrong || m.Says == ""
		if i > 0 {
			m.Up = "up:" + path
		}
		if i < len(list)-1 {
			m.Down = "down:" + path
		}
		g.Members = append(g.Members, m)
	}
	g.Error = f.take(at)
	return g
}

// sentence is what member i of the list at says in one line: a sentence, where
// there is one for it, and what was typed can be read so.
func (f *formed) sentence(at string, parts []part, tree map[string]any, i int) string {
	if say := said[f.kind+"."+indices.ReplaceAllString(at, "")]; say != nil {
		if out, err := say(f.call, tree, i); err == nil {
			return out
		}
	}
	return f.says(member(at, i), parts, tree)
}

// says is what a member says in one line.
func (f *formed) says(path string, parts []part, tree map[string]any) string {
	var out []string
	for i := range parts {
		p := &parts[i]
		at, value := p.within(path), tree[p.key]
		switch p.is {
		case "group":
			var all []string
			list, _ := value.([]any)
			for j, x := range list {
				inner, _ := x.(map[string]any)
				all = append(all, f.says(member(at, j), p.parts, inner))
			}
			out = append(out, strings.Join(all, " → "))
		case "spoken":
			texts, _ := value.(map[string]any)
			text, _ := cmp.Or(texts[f.l.lang], texts[langs[0]], texts[langs[1]]).(string)
			out = append(out, shorten(text, 90))
		case "picks":
			var names []string
			options := p.picks(f.call)
			for _, v := range listOf(value) {
				if i := slices.IndexFunc(options, func(o option) bool { return o.Value == v }); i >= 0 {
					v = options[i].Label
				}
				names = append(names, v)
			}
			out = append(out, strings.Join(names, f.l.say("rules.and")))
		case "phrases":
			out = append(out, shorten(strings.Join(listOf(value), " / "), 90))
		case "lines":
			var names []string
			for _, v := range listOf(value) {
				names = append(names, f.called(v))
			}
			out = append(out, strings.Join(names, f.l.say("rules.and")))
		case "choice":
			if v := fmt.Sprint(cmp.Or(value, any(""))); slices.Contains(p.choices, v) && v != "" {
				out = append(out, f.choiceLabel(at, v))
			}
		case "check":
			on, _ := value.(bool)
			if no := "rules." + f.kind + "." + indices.ReplaceAllString(at, "") + "_no"; on {
				out = append(out, cmp.Or(f.l.partHint(f.kind, at), f.l.partLabel(f.kind, at)))
			} else if f.l.has(no) {
				out = append(out, f.l.say(no))
			}
		case "number":
			if value != nil {
				out = append(out, f.l.partLabel(f.kind, at)+f.l.say("rules.is")+fmt.Sprint(value))
			}
		case "week":
			days, _ := value.(map[string]any)
			for _, day := range weekdays {
				if spans := listOf(days[day]); len(spans) > 0 {
					out = append(out, f.l.say("rules.day."+day)+" "+strings.Join(spans, ", "))
				}
			}
		default:
			text, _ := value.(string)
			if key := "why." + text; p.key == "why" && f.l.has(key) {
				text = f.l.say(key)
			}
			out = append(out, f.called(text))
		}
	}
	return strings.Join(slices.DeleteFunc(out, func(s string) bool { return s == "" }), " · ")
}

// called is a person, role or team in words, where it is one.
func (f *formed) called(who string) string {
	kind, name, ok := strings.Cut(who, ":")
	if !ok {
		kind, name = "role", who
	}
	switch key := "role." + name; {
	case kind == "role" && f.l.has(key):
		return f.l.say(key)
	case kind == "staff":
		return f.who(name)
	case kind == "team":
		if t, ok := settings.Teams.Get(f.Settings, name); ok {
			return t.Name
		}
	}
	return who
}

// typed is the tree that was typed in. What was left empty is left out.
func (f *formed) typed(path string, parts []part) map[string]any {
	tree := map[string]any{}
	for i := range parts {
		p := &parts[i]
		at := p.within(path)
		if v := f.value(at, p); v != nil {
			tree[p.key] = v
		}
	}
	return tree
}

func (f *formed) value(at string, p *part) any {
	text := f.form(at)
	switch p.is {
	case "group":
		var list []any
		for i := range min(atoi(f.form(at+".#")), 200) {
			list = append(list, f.typed(member(at, i), p.parts))
		}
		return orNil(list)
	case "spoken":
		texts := map[string]any{}
		for _, lang := range langs {
			if t := f.form(at + "." + lang); t != "" {
				texts[lang] = t
			}
		}
		if len(texts) > 0 {
			return texts
		}
	case "week":
		days := map[string]any{}
		for _, day := range weekdays {
			if spans := pieces(f.form(at+"."+day), ",、 　"); len(spans) > 0 {
				days[day] = spans
			}
		}
		if len(days) > 0 {
			return days
		}
	case "picks":
		var list []any
		for _, v := range f.r.PostForm[at] {
			list = append(list, v)
		}
		return orNil(list)
	case "lines":
		return orNil(pieces(text, "\n,"))
	case "phrases":
		return orNil(pieces(text, "\n"))
	case "check":
		return text == "on"
	case "number":
		if text == "" {
			return nil
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			f.wrong[at] = f.l.say("form.number")
			return text
		}
		return n
	case "choice":
		switch {
		case text == "true" || text == "false":
			return text == "true"
		case text != "":
			return text
		}
	default:
		if text != "" {
			return text
		}
	}
	return nil
}

func orNil(list []any) any {
	if len(list) == 0 {
		return nil
	}
	return list
}

// pieces are the parts of text between any of the letters of at.
func pieces(text, at string) []any {
	var out []any
	for _, s := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(at, r) }) {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// rearrange does to tree what a button says: "add:rules", "up:rules.2",
// "down:rules.0", "del:ladders.0.rungs.1".
func rearrange(tree map[string]any, do string) {
	verb, path, _ := strings.Cut(do, ":")
	steps := strings.Split(path, ".")
	n := -1
	if verb != "add" {
		if len(steps) < 2 {
			return
		}
		n = atoi(steps[len(steps)-1])
		steps = steps[:len(steps)-1]
	}
	for len(steps) > 1 {
		list, _ := tree[steps[0]].([]any)
		i := 0
		if len(steps) > 2 {
			i = atoi(steps[1])
		}
		if i < 0 || i >= len(list) {
			return
		}
		next, ok := list[i].(map[string]any)
		if !ok {
			return
		}
		tree, steps = next, steps[2:]
	}
	key := steps[0]
	list, _ := tree[key].([]any)
	switch {
	case verb == "add":
		tree[key] = append(list, map[string]any{})
	case n < 0 || n >= len(list):
	case verb == "del":
		tree[key] = slices.Delete(list, n, n+1)
	case verb == "up" && n > 0:
		list[n-1], list[n] = list[n], list[n-1]
	case verb == "down" && n < len(list)-1:
		list[n+1], list[n] = list[n], list[n+1]
	}
}

// rulesView lists what people decide about the work.
type rulesView struct {
	frame
	Sections []rulesSection
}

type rulesSection struct {
	Title, Lead, New, NewLabel string
	rulesRow                   // of what there is one of
	Rows                       []rulesRow
}

// Long tells that the list is better opened on purpose.
func (s rulesSection) Long() bool { return len(s.Rows) > 16 }

type rulesRow struct {
	Href, Name, State string
	Parts             []string
	At                moment
	By                string
}

// ruleView edits one of them.
type ruleView struct {
	frame
	Lead, Action, Version     string
	May                       bool
	Parts                     []formPart
	Notice                    *notice
	Back                      link
	History                   []eventView
	Drop, DropLabel, DropText string
}
