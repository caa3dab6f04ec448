package desk

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

var templateTabs = []casework.TemplateStatus{casework.TemplateApproved, casework.TemplateSubmitted, casework.TemplateDraft, casework.TemplateRetired}

// shownVersion is the version of a template that a tab is about, or nil.
func shownVersion(t *casework.Template, status casework.TemplateStatus) *casework.TemplateVersion {
	if status == casework.TemplateApproved {
		return t.InForce()
	}
	last := &t.Versions[len(t.Versions)-1]
	if last.Status != status || status == casework.TemplateRetired && t.InForce() != nil {
		return nil
	}
	return last
}

// mayWord tells whether the caller may edit t.
func (c *call) mayWord(t *casework.Template) bool {
	if len(t.Brands) == 0 {
		return c.viewer.CanSomewhere(identity.Word)
	}
	return slices.ContainsFunc(t.Brands, func(b string) bool { return c.viewer.Can(identity.Word, b) })
}

func (c *call) templates() error {
	say := c.l.say
	q := c.r.URL.Query()
	status := casework.TemplateStatus(q.Get("state"))
	if !slices.Contains(templateTabs, status) {
		status = casework.TemplateApproved
	}
	v := &templatesView{frame: c.frame(say("nav.templates"), "/templates"), Query: strings.TrimSpace(q.Get("q")), May: c.viewer.CanSomewhere(identity.Word)}
	counts := map[casework.TemplateStatus]int{}
	needle, lang := strings.ToLower(v.Query), q.Get("lang")
	if !slices.Contains(langs, lang) {
		lang = ""
	}
	v.Keep = []pair{{"state", string(status)}, {"lang", lang}}
	by := map[string]int{}
	due := q.Get("due") == "yes"
	dueCount := 0
	for _, t := range settings.Templates.List(c.Settings) {
		soon, past := c.due(&t)
		if soon {
			dueCount++
		}
		if due && !soon {
			continue
		}
		for _, s := range templateTabs {
			ver := shownVersion(&t, s)
			if ver == nil || needle != "" && !strings.Contains(strings.ToLower(t.Name+" "+t.When+" "+ver.Body), needle) {
				continue
			}
			if s == status {
				by[t.Lang]++
			}
			if lang != "" && t.Lang != lang {
				continue
			}
			counts[s]++
			if s == status {
				_, at := settings.Templates.Changed(c.Settings, t.ID)
				used, _ := c.used(t.ID)
				v.Rows = append(v.Rows, templateRow{
					Used: used, Review: t.ReviewBy, Past: past,
					Href: "/templates/" + t.ID, Name: t.Name, Lang: t.Lang, When: t.When, Apology: say("apology." + string(ver.Apology)),
					State: string(s), StateName: say("tmpl.state_" + string(s)), Version: ver.N, By: c.writers(ver), Changed: c.l.at(at),
				})
			}
		}
	}
	for _, s := range templateTabs {
		v.Tabs = append(v.Tabs, chip{Label: say("tmpl.state_" + string(s)), Href: withQuery(c.r.URL, map[string]string{"state": string(s)}), Count: counts[s], On: s == status})
	}
	if len(by) > 1 {
		f := facet{Name: "lang", Label: say("tmpl.lang")}
		for _, l := range langs {
			to := l
			if l == lang {
				to = ""
			}
			f.Chips = append(f.Chips, chip{Label: say("lang." + l), Href: withQuery(c.r.URL, map[string]string{"lang": to}), Count: by[l], On: l == lang})
		}
		v.Facets = []facet{f}
	}
	to := "yes"
	if due {
		to = ""
	}
	v.Tabs = append(v.Tabs, chip{Label: say("tmpl.review_due"), Href: withQuery(c.r.URL, map[string]string{"due": to}), Count: dueCount, On: due, Urgent: true})
	if c.viewer.CanSomewhere(identity.Export) {
		v.Export = "/templates.yaml"
	}
	if len(v.Rows) == 0 {
		v.Notice = &notice{Kind: "empty", Title: say("tmpl.none"), Text: say("tmpl.none_text")}
	}
	return c.show(http.StatusOK, "templates", "page", v)
}

func (c *call) nameOr(actor string) string {
	if actor == "" {
		return ""
	}
	return c.who(actor)
}

// wanted is the template of the address; a new one for "new".
func (c *call) wanted() (t casework.Template, version uint64, err error) {
	id := c.r.PathValue("id")
	if id == "new" {
		return casework.Template{Lang: c.l.lang, Versions: []casework.TemplateVersion{{N: 1, Status: casework.TemplateDraft, Apology: casework.NoApology}}}, 0, nil
	}
	t, ok := settings.Templates.Get(c.Settings, id)
	if !ok {
		return t, 0, errNotFound
	}
	t.Versions = slices.Clone(t.Versions)
	return t, settings.Templates.Version(c.Settings, id), nil
}

func (c *call) template() error {
	t, _, err := c.wanted()
	if err != nil {
		return err
	}
	return c.showTemplate(http.StatusOK, &t, nil)
}

// templateInputs are the inputs of the form by the keys of a template's values.
var templateInputs = map[string]string{"review_by": "review", "when_to_use": "when"}

// templateInput is the input by which a template's value is put in: its name, by
// the value's key; the key where there is none.
func templateInput(last *casework.TemplateVersion, key string) string {
	if m := slotKey.FindStringSubmatch(key); m != nil {
		if i := atoi(m[1]); i < len(last.Slots) {
			return map[string]string{"name": "label", "type": "type", "choices": "choices"}[m[2]] + "." + last.Slots[i].Name
		}
	}
	key = index.ReplaceAllString(key, "")
	return cmp.Or(templateInputs[key], key)
}

var slotKey = regexp.MustCompile(`^slots\[(\d+)\]\.(name|type|choices)$`)

// templateWrong says what is wrong with t, by the names of the inputs.
func (c *call) templateWrong(t *casework.Template) map[string]string {
	last := &t.Versions[len(t.Versions)-1]
	return c.l.mistaken(t.Validate(), func(key string) string { return templateInput(last, key) })
}

// showTemplate shows the form, with what is wrong at its inputs.
func (c *call) showTemplate(status int, t *casework.Template, wrong map[string]string) error {
	say, last := c.l.say, &t.Versions[len(t.Versions)-1]
	title := t.Name
	if t.ID == "" {
		title = say("tmpl.new")
	}
	may := c.mayWord(t)
	v := &templateView{
		frame: c.frame(title, "/templates"), ID: t.ID, Name: t.Name, State: string(last.Status), StateName: say("tmpl.state_" + string(last.Status)),
		Version: last.N, Action: "/templates/" + t.ID, Fixed: !may || last.Status == casework.TemplateSubmitted,
	}
	if t.ID == "" {
		v.Action, v.State, v.StateName, v.Version = "/templates/new", "draft", say("tmpl.state_draft"), 0
	}
	v.Fields = c.templateFields(t, last)
	v.Fields, v.Text = v.Fields[:len(v.Fields)-1], v.Fields[len(v.Fields)-1]
	mark(wrong, v.Fields)
	v.Text.Error = wrong["body"]
	v.Preview, v.Lengths = c.templatePreview(t, last)
	if len(wrong) > 0 {
		v.Notice = &notice{Kind: "error", Title: say("error.input"), Text: c.wrongParts(t, wrong), Kept: say("form.kept")}
	} else if last.Note != "" {
		v.Notice = &notice{Kind: "stale", Title: say("tmpl.sent_back"), Text: last.Note}
	} else if _, past := c.due(t); past {
		v.Notice = &notice{Kind: "stale", Title: say("tmpl.review_past", t.ReviewBy), Text: say("tmpl.review_text")}
	}
	if status == http.StatusConflict {
		v.Notice = c.overtakenNotice()
	}
	if t.ID != "" {
		v.Based = itoa(c.based(settings.Templates.Version(c.Settings, t.ID)))
		if c.viewer.CanSomewhere(identity.Export) {
			v.Export = "/templates.yaml?id=" + t.ID
		}
		if all, edited := c.used(t.ID); all > 0 {
			v.Used = say("tmpl.used", all, edited)
		}
	}
	if t.ID != "" && may {
		v.Actions = c.templateActions(t, last, v)
	}
	for _, ver := range slices.Backward(t.Versions) {
		v.Versions = append(v.Versions, versionView{
			Version: ver.N, State: say("tmpl.state_" + string(ver.Status)), By: c.writers(&ver), Note: ver.Note, Text: ver.Body,
			Lang: t.Lang, On: ver.N == last.N,
		})
	}
	v.History = c.templateHistory(t.ID)
	// Beside the one in force; of the one in force, beside the one before it.
	before := t.InForce()
	if before != nil && before.N == last.N && len(t.Versions) > 1 {
		before = &t.Versions[len(t.Versions)-2]
	}
	if before != nil && before.N != last.N {
		v.Diff, v.DiffOf = diff(before.Body, last.Body), say("tmpl.diff_of", before.N, last.N)
	}
	return c.show(status, "template", "page", v)
}

// writers are the names of who worded a version.
func (c *call) writers(v *casework.TemplateVersion) string {
	names := []string{c.nameOr(v.By)}
	for _, id := range v.With {
		names = append(names, c.who(id))
	}
	return strings.Join(names, c.l.say("rules.and"))
}

// templateHistory is who wrote, asked, approved and retired, the newest first.
func (c *call) templateHistory(id string) []eventView {
	revisions, err := settings.Templates.History(c.ctx, c.Settings, id)
	if err != nil {
		c.Log.Warn("history of a template not read", "id", id, "error", err)
	}
	var out []eventView
	var was casework.Template
	for _, r := range revisions {
		e := eventView{At: c.l.at(r.At), Who: c.named(r.Actor)}
		t := r.Value
		if r.Deleted || len(t.Versions) == 0 {
			continue
		}
		last, before := &t.Versions[len(t.Versions)-1], casework.TemplateStatus("")
		if v := was.Version(last.N); v != nil {
			before = v.Status
		}
		what := "saved"
		switch {
		case last.Status == casework.TemplateSubmitted && before != last.Status, last.Status == casework.TemplateApproved && before != last.Status:
			what = string(last.Status)
		case last.Status == casework.TemplateDraft && before == casework.TemplateSubmitted:
			what, e.Text, e.Lang = "sent_back", last.Note, ""
		case was.InForce() != nil && t.InForce() == nil:
			what = "retired"
		}
		e.What = c.l.say("tmpl.event_"+what, last.N)
		was = t
		out = append(out, e)
	}
	slices.Reverse(out)
	return out[:min(len(out), 20)]
}

func (c *call) templateActions(t *casework.Template, last *casework.TemplateVersion, v *templateView) []actionView {
	say, base := c.l.say, "/templates/"+t.ID
	var out []actionView
	switch last.Status {
	case casework.TemplateDraft:
		out = append(out, actionView{Label: say("tmpl.submit"), Action: base + "/submit", Primary: true})
	case casework.TemplateSubmitted:
		if last.Own(c.viewer.Actor()) {
			v.Notice = &notice{Kind: "info", Text: say("tmpl.own")}
		} else {
			out = append(out, actionView{Label: say("tmpl.approve"), Action: base + "/approve", Primary: true})
		}
		v.Back = base + "/send-back"
	}
	if t.InForce() != nil {
		out = append(out, actionView{Label: say("tmpl.retire"), Action: base + "/retire", Danger: true})
	}
	for i := range out {
		out[i].Fields = []pair{{"version", v.Based}}
	}
	return out
}

// mark puts what is wrong at the inputs that it is about.
func mark(wrong map[string]string, fields []field) {
	for i := range fields {
		fields[i].Error = wrong[fields[i].Name]
	}
}

// templateFields are the inputs of the form, the text as the last.
func (c *call) templateFields(t *casework.Template, last *casework.TemplateVersion) []field {
	say := c.l.say
	lang := field{Name: "lang", Label: say("tmpl.lang"), Type: "select", Required: true}
	for _, l := range []string{"ja", "en"} {
		lang.Options = append(lang.Options, option{Value: l, Label: say("lang." + l), On: l == t.Lang})
	}
	kind := field{Name: "kind", Label: say("composer.kind"), Type: "select", Required: true}
	for _, k := range []casework.ReplyKind{casework.First, casework.Interim, casework.Final} {
		kind.Options = append(kind.Options, option{Value: string(k), Label: say("composer.kind_" + string(k)), On: k == last.Kind})
	}
	apology := field{Name: "apology", Label: say("tmpl.apology"), Type: "select", Required: true}
	for _, a := range []casework.Apology{casework.NoApology, casework.LimitedApology, casework.FullApology} {
		apology.Options = append(apology.Options, option{Value: string(a), Label: say("apology." + string(a)), On: a == last.Apology})
	}
	intents := field{Name: "intents", Label: say("tmpl.intent"), Type: "check"}
	for _, i := range mention.Intents {
		intents.Options = append(intents.Options, option{Value: string(i), Label: say("intent." + string(i)), On: slices.Contains(t.Intents, i)})
	}
	brands := field{Name: "brands", Label: say("tmpl.brand"), Type: "check", Options: c.brandOptions(identity.Word, t.Brands...)}
	fields := []field{
		{Name: "name", Label: say("tmpl.title"), Value: t.Name, Required: true},
		{Name: "when", Label: say("tmpl.when"), Type: "textarea", Rows: 2, Value: t.When}, lang, kind, apology,
		{Name: "review", Label: say("tmpl.review_by"), Type: "date", Value: t.ReviewBy}, intents,
		{Name: "risks", Label: say("rules.key.risks"), Type: "check", Options: picked(riskPicks(c), texts(t.Risks))},
		{Name: "platforms", Label: say("tmpl.platforms"), Type: "check", Options: picked(c.platformOptions(t.Platforms), t.Platforms)},
	}
	if len(brands.Options) > 1 {
		fields = append(fields, brands)
	}
	for i := range last.Slots {
		fields = append(fields, c.slotFields(&last.Slots[i])...)
	}
	return append(fields, field{Name: "body", Label: say("tmpl.text"), Hint: say("tmpl.text_hint"), Type: "textarea", Rows: 9, Value: last.Body, Required: true})
}

// picked are options, those of on ticked.
func picked(all []option, on []string) []option {
	for i := range all {
		all[i].On = slices.Contains(on, all[i].Value)
	}
	return all
}

// platformOptions are the platforms of the sources, and those of have.
func (c *call) platformOptions(have []string) []option {
	names := slices.Clone(have)
	for _, k := range source.Kinds {
		names = append(names, k.Platform)
	}
	slices.Sort(names)
	var out []option
	for _, n := range slices.Compact(names) {
		if n != "" {
			out = append(out, option{Value: n, Label: c.platform(n)})
		}
	}
	return out
}

// templatePreview is a template as it would read, and its length where it may
// go.
func (c *call) templatePreview(t *casework.Template, v *casework.TemplateVersion) (*previewView, []lengthView) {
	now := c.l.now.In(c.l.zone)
	values := map[string]string{"author": c.l.say("tmpl.sample_author"), "brand": "Earshot", "staff": c.viewer.Name(), "case": "1204", "date": now.Format("2006-01-02")}
	if brands := settings.Brands.List(c.Settings); len(brands) > 0 {
		values["brand"] = brands[0].Name
	}
	for _, s := range v.Slots {
		if s.Default == "" && s.Label != "" {
			values[s.Name] = "[" + s.Label + "]"
		}
	}
	text, missing := v.Render(values)
	p := &previewView{Text: text, Lang: t.Lang}
	for _, m := range missing {
		p.Findings = append(p.Findings, findingView{Words: "{{" + m + "}}", Why: c.l.say("check.unnamed_slot")})
	}
	var lengths []lengthView
	for _, name := range []string{"x", "mastodon", "bluesky"} {
		l := source.LimitOf(name)
		lengths = append(lengths, lengthView{c.platform(name), l.Count(text), l.Max})
	}
	return p, lengths
}

// typedTemplate takes the form's values over into t: into its last version if
// that is a draft, else into a new one.
func (c *call) typedTemplate(t *casework.Template) {
	last := &t.Versions[len(t.Versions)-1]
	if last.Status != casework.TemplateDraft {
		t.Versions = append(t.Versions, casework.TemplateVersion{N: last.N + 1, Status: casework.TemplateDraft, Slots: slices.Clone(last.Slots)})
		last = &t.Versions[len(t.Versions)-1]
	}
	was := *last
	t.Name, t.When, t.Lang = c.form("name"), c.form("when"), c.form("lang")
	t.Brands, t.Platforms, t.ReviewBy, t.Intents, t.Risks = c.r.PostForm["brands"], c.r.PostForm["platforms"], c.form("review"), nil, nil
	for _, r := range c.r.PostForm["risks"] {
		t.Risks = append(t.Risks, mention.Category(r))
	}
	for _, i := range c.r.PostForm["intents"] {
		t.Intents = append(t.Intents, mention.Intent(i))
	}
	last.Body, last.Kind, last.Apology = c.form("body"), casework.ReplyKind(c.form("kind")), casework.Apology(c.form("apology"))
	last.Note = ""
	var slots []casework.Slot
	auto := c.automatic(&casework.State{})
	for _, m := range slotName.FindAllStringSubmatch(last.Body, -1) {
		name := m[1]
		_, fills := auto[name]
		described := slices.ContainsFunc(last.Slots, func(s casework.Slot) bool { return s.Name == name })
		if fills && !described || slices.ContainsFunc(slots, func(s casework.Slot) bool { return s.Name == name }) {
			continue
		}
		s := casework.Slot{Name: name, Label: name, Required: true}
		if i := slices.IndexFunc(last.Slots, func(s casework.Slot) bool { return s.Name == name }); i >= 0 {
			s = last.Slots[i]
		}
		if label := c.form("label." + name); label != "" {
			s.Label = label
		}
		c.typedSlot(&s)
		slots = append(slots, s)
	}
	last.Slots = slots
	last.Wrote(c.viewer.Actor(), was)
}

func (c *call) saveTemplate() error {
	t, version, err := c.wanted()
	if err != nil {
		return err
	}
	if !c.mayWord(&t) {
		return errForbidden
	}
	waits := t.Versions[len(t.Versions)-1].Status == casework.TemplateSubmitted
	if err := c.r.ParseForm(); err != nil {
		return err
	}
	c.typedTemplate(&t)
	if !c.mayWord(&t) {
		return errForbidden
	}
	if waits { // somebody asked for approval meanwhile
		return c.showTemplate(http.StatusConflict, &t, nil)
	}
	id := t.ID
	if wrong := c.templateWrong(&t); wrong != nil {
		return c.showTemplate(http.StatusUnprocessableEntity, &t, wrong)
	}
	if id == "" {
		t.ID = newID()
	}
	err = c.putTemplate(t, c.based(version), "done.saved")
	if c.overtaken(err) {
		return c.showTemplate(http.StatusConflict, &t, nil)
	}
	return err
}

// putTemplate stores t and returns to it.
func (c *call) putTemplate(t casework.Template, version uint64, done string) error {
	if err := settings.Templates.Put(c.ctx, c.Settings, c.viewer.Actor(), t.ID, version, t); err != nil {
		return err
	}
	c.flash(&flash{Text: c.l.say(done)})
	return c.back("/templates/" + t.ID)
}

func (c *call) previewTemplate() error {
	t, _, err := c.wanted()
	if err != nil {
		return err
	}
	if err := c.r.ParseForm(); err != nil {
		return err
	}
	c.typedTemplate(&t)
	if c.part() == "" {
		return c.showTemplate(http.StatusOK, &t, nil)
	}
	v := &templateView{frame: frame{locale: c.l}}
	v.Preview, v.Lengths = c.templatePreview(&t, &t.Versions[len(t.Versions)-1])
	return c.show(http.StatusOK, "template", "tmpl-preview", v)
}

// turn moves the last version of a template on, if it is still the one that was
// seen: a tab may be older than its being sent back and asked for again.
func (c *call) turn(done string, from casework.TemplateStatus, f func(*casework.Template, *casework.TemplateVersion) error) error {
	t, version, err := c.wanted()
	if err != nil {
		return err
	}
	if t.ID == "" || !c.mayWord(&t) {
		return errForbidden
	}
	last := &t.Versions[len(t.Versions)-1]
	if from != "" && last.Status != from {
		return settings.ErrStale
	}
	if err := f(&t, last); err != nil {
		return err
	}
	return c.putTemplate(t, c.based(version), done)
}

func (c *call) submitTemplate() error {
	return c.turn("done.submit", casework.TemplateDraft, func(_ *casework.Template, v *casework.TemplateVersion) error {
		v.Status, v.SubmittedBy = casework.TemplateSubmitted, c.viewer.Actor()
		return nil
	})
}

func (c *call) approveTemplate() error {
	return c.turn("done.approve", casework.TemplateSubmitted, func(t *casework.Template, v *casework.TemplateVersion) error {
		if v.Own(c.viewer.Actor()) || !c.viewer.Person() {
			return errForbidden
		}
		for i := range t.Versions {
			if t.Versions[i].Status == casework.TemplateApproved {
				t.Versions[i].Status = casework.TemplateRetired
			}
		}
		v.Status, v.ApprovedBy = casework.TemplateApproved, c.viewer.Actor()
		return nil
	})
}

func (c *call) sendBackTemplate() error {
	return c.turn("done.send_back", casework.TemplateSubmitted, func(_ *casework.Template, v *casework.TemplateVersion) error {
		v.Status, v.SubmittedBy, v.Note = casework.TemplateDraft, "", c.form("note")
		if v.Note == "" {
			return &inputError{c.l.say("tmpl.note_required")}
		}
		return nil
	})
}

func (c *call) retireTemplate() error {
	t, _, err := c.wanted()
	if err != nil {
		return err
	}
	why, err := c.inUse(settings.Templates.Kind(), t.ID)
	if err != nil {
		return err
	}
	if why != "" && c.mayWord(&t) {
		c.flash(&flash{Text: why, Error: true})
		return c.back("/templates/" + t.ID)
	}
	return c.turn("done.saved", "", func(t *casework.Template, _ *casework.TemplateVersion) error {
		in := t.InForce()
		if in == nil {
			return settings.ErrStale
		}
		in.Status = casework.TemplateRetired
		return nil
	})
}
