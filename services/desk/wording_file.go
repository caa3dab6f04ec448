package desk

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// templateFile is templates in a file, by id, as `earshot apply` reads it too.
type templateFile struct {
	Template map[string]casework.Template `json:"template"`
}

// exportTemplates hands out all templates, or the one of the address, as a file.
func (c *call) exportTemplates() error {
	f, name := templateFile{Template: map[string]casework.Template{}}, "templates"
	one := c.r.URL.Query().Get("id")
	for _, t := range settings.Templates.List(c.Settings) {
		if one == "" || t.ID == one {
			f.Template[t.ID] = t
		}
	}
	if one != "" {
		if len(f.Template) == 0 {
			return errNotFound
		}
		name = "template-" + one
	}
	raw, err := json.Marshal(f)
	if err != nil {
		return err
	}
	body, err := yaml.JSONToYAML(raw)
	if err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("Content-Type", "application/yaml; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+name+`.yaml"`)
	return c.send(http.StatusOK, body)
}

// importTemplates takes templates from a file, each as a draft: what was approved
// elsewhere is approved here by a person of this house.
func (c *call) importTemplates() error {
	if !c.viewer.CanSomewhere(identity.Word) {
		return errForbidden
	}
	n, same, err := c.bringIn(c.form("yaml"), c.based(c.lastWorded()))
	if c.overtaken(err) {
		return c.showImport(http.StatusConflict, "")
	}
	if err != nil {
		if input, ok := errors.AsType[*inputError](err); ok {
			return c.showImport(http.StatusUnprocessableEntity, input.text)
		}
		return err
	}
	switch {
	case n == 0:
		c.flash(&flash{Text: c.l.say("done.imported_none", same)})
		return c.back("/templates")
	case same == 0:
		c.flash(&flash{Text: c.l.say("done.imported", n)})
	default:
		c.flash(&flash{Text: c.l.say("done.imported", n) + " " + c.l.say("done.imported_same", same)})
	}
	return c.back("/templates?state=draft")
}

func (c *call) importForm() error { return c.showImport(http.StatusOK, "") }

func (c *call) showImport(status int, wrong string) error {
	say := c.l.say
	v := &formView{
		frame: c.frame(say("tmpl.import"), "/templates"), Hidden: []pair{{"version", itoa(c.based(c.lastWorded()))}}, Lead: say("tmpl.import_text"), Action: "/templates/import", Button: say("tmpl.import"),
		Back: link{say("nav.templates"), "/templates"}, Example: say("tmpl.import_example"),
		Groups: []fieldGroup{{Fields: []field{
			{Name: "yaml", Label: say("tmpl.import_yaml"), Type: "textarea", Rows: 16, Mono: true, Required: true, Value: c.form("yaml"), Error: wrong},
		}}},
	}
	if status == http.StatusConflict {
		v.Notice = c.overtakenNotice()
	}
	return c.show(status, "form", "page", v)
}

// lastWorded is the version of the template that was changed last.
func (c *call) lastWorded() uint64 {
	var last uint64
	for id := range settings.Templates.All(c.Settings) {
		last = max(last, settings.Templates.Version(c.Settings, id))
	}
	return last
}

// inFile are the templates of a file.
func (c *call) inFile(text string) (map[string]casework.Template, error) {
	say := func(key string, args ...any) error { return &inputError{c.l.say(key, args...)} }
	// A few lines that repeat each other by aliases can stand for gigabytes.
	for _, t := range lexer.Tokenize(text) {
		if t.Type == token.AliasType {
			return nil, say("tmpl.import_alias", strconv.Itoa(t.Position.Line))
		}
	}
	raw, err := yaml.YAMLToJSON([]byte(text))
	if line := yamlLine.FindStringSubmatch(fmt.Sprint(err)); err != nil && line != nil {
		return nil, say("tmpl.import_line", line[1])
	} else if err != nil {
		return nil, say("tmpl.import_no_yaml")
	}
	var f templateFile
	if bytes.Equal(bytes.TrimSpace(raw), []byte("null")) || len(bytes.TrimSpace(raw)) == 0 {
		return nil, say("tmpl.import_none")
	}
	if err := config.DecodeJSON(raw, &f); err != nil {
		return nil, &inputError{c.l.why(err)}
	}
	if len(f.Template) == 0 {
		return nil, say("tmpl.import_none")
	}
	for id, in := range f.Template {
		switch {
		case !shortName.MatchString(id):
			return nil, say("tmpl.import_name", id)
		case in.ID != "" && in.ID != id:
			return nil, say("tmpl.import_id", id, in.ID)
		case len(in.Versions) == 0:
			return nil, say("tmpl.import_versions", id)
		}
	}
	return f.Template, nil
}

// yamlLine is where a file can't be read.
var yamlLine = regexp.MustCompile(`^\[(\d+):\d+\]`)

// bringIn stores the templates of a file as drafts, and returns how many differ
// from what is there, and how many don't. Nothing is stored if one of them is wrong,
// or has changed since the version of templates that the form was based on.
func (c *call) bringIn(text string, based uint64) (drafts, same int, err error) {
	file, err := c.inFile(text)
	if err != nil {
		return 0, 0, err
	}
	var all []casework.Template
	versions := map[string]uint64{}
	for id, in := range file {
		in.ID = id
		v := in.Versions[len(in.Versions)-1]
		if x := in.InForce(); x != nil {
			v = *x
		}
		v.Status, v.By, v.With, v.SubmittedBy, v.ApprovedBy, v.Note = casework.TemplateDraft, c.viewer.Actor(), nil, "", "", ""
		t := in
		t.Versions = nil
		versions[id] = settings.Templates.Version(c.Settings, id)
		if versions[id] > based {
			return 0, 0, settings.ErrStale
		}
		if have, ok := settings.Templates.Get(c.Settings, id); ok {
			if x := have.InForce(); x != nil && x.Body == v.Body {
				same++
				continue
			}
			t.Versions = slices.Clone(have.Versions)
			if last := &t.Versions[len(t.Versions)-1]; last.Status == casework.TemplateDraft || last.Status == casework.TemplateSubmitted {
				t.Versions = t.Versions[:len(t.Versions)-1]
			}
		}
		v.N = 1
		if n := len(t.Versions); n > 0 {
			v.N = t.Versions[n-1].N + 1
		}
		t.Versions = append(t.Versions, v)
		if wrong := c.templateWrong(&t); wrong != nil {
			return 0, 0, &inputError{c.l.say("tmpl.import_wrong", t.ID, c.wrongParts(&t, wrong))}
		}
		if have, ok := settings.Templates.Get(c.Settings, id); !c.mayWord(&t) || ok && !c.mayWord(&have) {
			return 0, 0, errForbidden
		}
		all = append(all, t)
	}
	for _, t := range all {
		if err := settings.Templates.Put(c.ctx, c.Settings, c.viewer.Actor(), t.ID, versions[t.ID], t); err != nil {
			return 0, 0, err
		}
	}
	return len(all), same, nil
}

// wrongParts says what is wrong with a template, each by what the form calls it, or
// the file where that has no input for it.
func (c *call) wrongParts(t *casework.Template, wrong map[string]string) string {
	var all []string
	fields := c.templateFields(t, &t.Versions[len(t.Versions)-1])
	for _, f := range fields {
		if wrong[f.Name] != "" {
			all = append(all, f.Label+c.l.say("form.of")+wrong[f.Name])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(wrong)) {
		if !slices.ContainsFunc(fields, func(f field) bool { return f.Name == key }) {
			all = append(all, key+c.l.say("form.of")+wrong[key])
		}
	}
	return strings.Join(all, " ")
}

// used tells how often the last reply of a case was made from a template, and
// how often its words were changed.
func (c *call) used(id string) (all, edited int) {
	where := func(tags ...string) search.Query {
		q := search.Query{Viewer: c.sees(), Where: map[search.Field][]string{search.FieldTemplate: {id}}}
		if len(tags) > 0 {
			q.Where[search.FieldTag] = tags
		}
		return q
	}
	n, err := c.Index.Counts(c.ctx, where(), where(casework.TagEdited))
	if err != nil {
		return 0, 0
	}
	return int(n[0]), int(n[1])
}

// reviewSoon is how long before its review a template is on the list.
const reviewSoon = 30 * 24 * time.Hour

// due tells whether t is to be reviewed soon, or should have been.
func (c *call) due(t *casework.Template) (soon, past bool) {
	if t.ReviewBy == "" || t.InForce() == nil {
		return false, false
	}
	return t.ReviewBy <= c.l.now.In(c.l.zone).Add(reviewSoon).Format(time.DateOnly), t.ReviewBy < c.l.today()
}

// slotFields are the inputs that describe a slot.
func (c *call) slotFields(s *casework.Slot) []field {
	say := c.l.say
	kind := field{Name: "type." + s.Name, Label: say("tmpl.slot_type", s.Name), Type: "select", Plain: true}
	for _, x := range casework.SlotTypes {
		kind.Options = append(kind.Options, option{Value: x, Label: say("slot." + x), On: x == cmp.Or(s.Type, "text")})
	}
	return []field{
		{Name: "label." + s.Name, Label: say("tmpl.slot", s.Name), Value: s.Label}, kind,
		{Name: "default." + s.Name, Label: say("tmpl.slot_default", s.Name), Value: s.Default, Plain: true},
		{Name: "choices." + s.Name, Label: say("tmpl.slot_choices", s.Name), Hint: say("tmpl.slot_choices_hint"), Value: strings.Join(s.Choices, " / "), Plain: true},
		{Name: "must." + s.Name, Label: say("tmpl.slot_must", s.Name), Type: "check", Options: []option{{Value: "on", Label: say("tmpl.slot_must_on"), On: s.Required}}},
	}
}

// typedSlot takes what was typed about a slot over into s.
func (c *call) typedSlot(s *casework.Slot) {
	kind, ok := c.r.PostForm["type."+s.Name]
	if !ok {
		return // it has just been written into the text
	}
	s.Type, s.Default, s.Required, s.Choices = kind[0], c.form("default."+s.Name), c.form("must."+s.Name) == "on", nil
	for x := range strings.SplitSeq(c.form("choices."+s.Name), "/") {
		if x = strings.TrimSpace(x); x != "" {
			s.Choices = append(s.Choices, x)
		}
	}
}

// diff puts two texts side by side, line by line.
func diff(from, to string) []diffLine {
	a, b := strings.Split(from, "\n"), strings.Split(to, "\n")
	common := sharedBy(a, b)
	var out, gone []diffLine
	i, j := 0, 0
	flush := func() { out, gone = append(out, gone...), nil }
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			flush()
			out = append(out, diffLine{Old: a[i], New: b[j]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common.gone(i, j):
			gone = append(gone, diffLine{Old: a[i], Changed: true})
			i++
		default:
			// A line that came goes beside one that went.
			if len(gone) > 0 {
				gone[0].New = b[j]
				out, gone = append(out, gone[0]), gone[1:]
			} else {
				out = append(out, diffLine{New: b[j], Changed: true})
			}
			j++
		}
	}
	flush()
	return out
}
