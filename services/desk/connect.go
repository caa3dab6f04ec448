package desk

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/notify"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

// connected is a source or a notifier as its form sees it: what it is called,
// what kind it is, and that kind's own configuration.
type connected struct {
	id, name, kind, brand string
	off                   bool
	hold                  int // seconds a reply through a source can be taken back
	config                json.RawMessage
}

// family is what sources and notifiers have apart: their kinds and their set.
type family struct {
	name, path, title string // "sources", "/sources", the key of the list's title
	kind              string // of the settings
	brand             bool   // can be bound to a brand
	kinds             []kindView
	get               func(*settings.Store, string) (connected, bool)
	put               func(c *call, v connected, version uint64) error
	version           func(*settings.Store, string) uint64
}

// kindView is a kind that can be chosen.
type kindView struct {
	Name, Label, Doc, Href string
	consents               bool // a person may have to let its sources in
	fields                 []config.Field
}

// called returns s with its kinds named and explained in the words of l.
func (s family) called(l *locale) family {
	s.kinds = slices.Clone(s.kinds)
	for i := range s.kinds {
		k := &s.kinds[i]
		key := s.name + "." + k.Name
		k.Label, k.Doc = l.say("kind."+key), l.instead("kind."+key+".doc", k.Doc)
		k.fields = slices.Clone(k.fields)
		for j := range k.fields {
			k.fields[j].Doc = l.instead("key."+key+"."+k.fields[j].Key+".hint", k.fields[j].Doc)
		}
	}
	return s
}

// instead is the text for key, or what the program says itself, in English.
func (w *words) instead(key, english string) string {
	if w.has(key) {
		return w.say(key)
	}
	return english
}

func sourceFamily() family {
	s := family{name: "sources", path: "/sources", title: "nav.sources", kind: settings.Sources.Kind(), brand: true}
	for _, k := range source.Kinds {
		s.kinds = append(s.kinds, kindView{Name: k.Name, Doc: k.Doc, Href: "/sources/new?kind=" + k.Name, consents: k.Consents, fields: k.Fields()})
	}
	s.get = func(store *settings.Store, id string) (connected, bool) {
		v, ok := settings.Sources.Get(store, id)
		return connected{v.ID, v.Name, v.Kind, v.Brand, v.Off, v.HoldSeconds, v.Config}, ok
	}
	s.version = settings.Sources.Version
	s.put = func(c *call, v connected, version uint64) error {
		return settings.Sources.Put(c.ctx, c.Settings, c.viewer.Actor(), v.id, version,
			settings.Source{ID: v.id, Name: v.name, Kind: v.kind, Brand: v.brand, Off: v.off, HoldSeconds: v.hold, Config: v.config})
	}
	return s
}

func notifierFamily() family {
	s := family{name: "notifiers", path: "/notifiers", title: "nav.notifiers", kind: settings.Notifiers.Kind()}
	for _, k := range notify.Kinds {
		s.kinds = append(s.kinds, kindView{Name: k.Name, Doc: k.Doc, Href: "/notifiers/new?kind=" + k.Name, fields: k.Fields()})
	}
	s.get = func(store *settings.Store, id string) (connected, bool) {
		v, ok := settings.Notifiers.Get(store, id)
		return connected{id: v.ID, name: v.Name, kind: v.Kind, off: v.Off, config: v.Config}, ok
	}
	s.version = settings.Notifiers.Version
	s.put = func(c *call, v connected, version uint64) error {
		return settings.Notifiers.Put(c.ctx, c.Settings, c.viewer.Actor(), v.id, version,
			settings.Notifier{ID: v.id, Name: v.name, Kind: v.kind, Off: v.off, Config: v.config})
	}
	return s
}

func (c *call) configures() error { return c.may(identity.Configure, identity.AllBrands) }

func (c *call) sourceForm() error   { return c.connection(sourceFamily().called(c.l)) }
func (c *call) saveSource() error   { return c.saveConnection(sourceFamily().called(c.l)) }
func (c *call) notifierForm() error { return c.connection(notifierFamily().called(c.l)) }
func (c *call) saveNotifier() error { return c.saveConnection(notifierFamily().called(c.l)) }

// wantedConnection is the connection of the address and its kind; for "new"
// one of the kind that was chosen, or none yet.
func (c *call) wantedConnection(s family) (connected, *kindView, error) {
	if err := c.configures(); err != nil {
		return connected{}, nil, err
	}
	id := c.r.PathValue("id")
	v := connected{kind: c.r.FormValue("kind")}
	if id != "new" {
		var ok bool
		if v, ok = s.get(c.Settings, id); !ok {
			return v, nil, errNotFound
		}
	}
	i := slices.IndexFunc(s.kinds, func(k kindView) bool { return k.Name == v.kind })
	if i < 0 {
		return v, nil, nil
	}
	return v, &s.kinds[i], nil
}

func (c *call) connection(s family) error {
	v, kind, err := c.wantedConnection(s)
	if err != nil {
		return err
	}
	if kind == nil {
		say := c.l.say
		page := &connectionsView{frame: c.frame(say("connect.choose"), s.path), Lead: say("connect.choose_lead"), Back: link{say(s.title), s.path}, Kinds: s.kinds}
		return c.show(http.StatusOK, "connections", "page", page)
	}
	return c.showConnection(http.StatusOK, s, v, kind, nil)
}

func (c *call) showConnection(status int, s family, v connected, kind *kindView, wrong map[string]string) error {
	if s.brand {
		return c.showSource(status, v, kind, wrong, nil)
	}
	return c.showNotifier(status, s, v, kind, wrong, nil)
}

// connectionForm is the form of a source or notifier.
func (c *call) connectionForm(s family, v connected, kind *kindView, wrong map[string]string) *formView {
	say := c.l.say
	title := v.name
	if v.id == "" {
		title = kind.Label
	}
	general := []field{{Name: "name", Label: say("connect.name"), Value: v.name, Required: true, Error: wrong["name"]}}
	if s.brand {
		brand := field{Name: "brand", Label: say("connect.brand"), Type: "select", Hint: say("connect.brand_hint"), Plain: true, Error: wrong["brand"]}
		brand.Options = append(brand.Options, option{Value: "", Label: say("connect.any_brand"), On: v.brand == ""})
		brand.Options = append(brand.Options, c.brandOptions(identity.Configure, v.brand)...)
		general = append(general, brand)
	}
	if s.brand {
		hold := field{Name: "hold", Label: say("connect.hold"), Hint: say("connect.hold_hint"), Type: "number", Plain: true, Error: wrong["hold_seconds"]}
		if v.hold != 0 {
			hold.Value = itoa(v.hold)
		}
		general = append(general, hold)
	}
	off := field{Name: "off", Label: say("connect.state"), Type: "check", Error: wrong["off"], Options: []option{{Value: "on", Label: say("connect.off"), On: v.off}}}
	if n, ok := settings.Notifiers.Get(c.Settings, v.id); ok && s.kind == settings.Notifiers.Kind() {
		n.Off = true
		off.Hint = c.wouldTear(settings.Notifiers.If(c.Settings, n.ID, n))
	}
	general = append(general, off)
	page := &formView{
		frame: c.frame(title, s.path), Lead: kind.Doc, Action: s.path + "/" + c.r.PathValue("id"), Button: say("me.save"), Back: link{say(s.title), s.path},
		Groups: []fieldGroup{{Fields: append(general, c.l.configFields("key."+s.name+"."+kind.Name+".", kind.fields, v.config, wrong)...)}}, Hidden: []pair{{"kind", kind.Name}},
	}
	if v.id == "" && kind.consents {
		page.First = pair{"then", "consent"}
		page.FirstButton = say("consent.save")
	}
	if v.id != "" {
		page.Hidden = append(page.Hidden, pair{"version", itoa(c.based(s.version(c.Settings, v.id)))})
	}
	if text := wrong[""]; text != "" {
		page.Notice = &notice{Kind: "error", Title: say("error.input"), Text: text, Kept: say("form.kept")}
	}
	return page
}

// configFields are the inputs for the fields of a kind, with what is set, under
// the labels that begin with prefix. A secret that is set is not shown; left
// empty it stays.
func (l *locale) configFields(prefix string, fields []config.Field, raw json.RawMessage, wrong map[string]string) []field {
	var set map[string]any
	if len(raw) > 0 && json.Unmarshal(raw, &set) != nil {
		set = nil
	}
	var out []field
	for _, f := range fields {
		v := field{Name: "config." + f.Key, Label: l.say(prefix + f.Key), Key: f.Key, Hint: f.Doc, Required: f.Required, Error: wrong[f.Key], Placeholder: f.Default, Mono: true}
		value, has := set[f.Key]
		switch {
		case f.Secret:
			v.Type, v.Auto, v.Placeholder = "password", "off", ""
			if text, _ := value.(string); text != "" {
				v.Placeholder, v.Required = l.say("connect.kept"), false
				if strings.HasPrefix(text, "env:") || strings.HasPrefix(text, "file:") {
					v.Type, v.Value = "text", text // a reference is no secret
				}
			}
		case f.Type == config.Bool:
			on := f.Default == "true"
			if has {
				on, _ = value.(bool)
			}
			v.Type, v.Hint, v.Options = "check", "", []option{{Value: "on", Label: f.Doc, On: on}}
		case len(f.Enum) > 0:
			v.Type = "select"
			text, _ := value.(string)
			if text == "" {
				text = f.Default
			}
			for _, e := range f.Enum {
				v.Options = append(v.Options, option{Value: e, Label: l.say(prefix + f.Key + ".is." + e), On: e == text})
			}
			if !f.Required && !slices.Contains(f.Enum, text) {
				v.Options = append([]option{{On: true}}, v.Options...)
			}
		case f.Type == config.List:
			v.Type, v.Rows, v.Placeholder = "textarea", 3, strings.ReplaceAll(f.Default, ", ", "\n")
			list, _ := value.([]any)
			for _, x := range list {
				if text, ok := x.(string); ok {
					v.Value += text + "\n"
				}
			}
		default:
			switch x := value.(type) {
			case string:
				v.Value = x
			case float64:
				v.Value = strconv.FormatFloat(x, 'f', -1, 64)
			}
		}
		out = append(out, v)
	}
	return out
}

// typedConfig is the configuration as the form has it. What is left empty has
// its default, and a secret left empty stays as it was.
func (c *call) typedConfig(fields []config.Field, old json.RawMessage) (json.RawMessage, map[string]string, error) {
	var had map[string]any
	if len(old) > 0 {
		if err := json.Unmarshal(old, &had); err != nil {
			return nil, nil, err
		}
	}
	wrong, set := map[string]string{}, map[string]any{}
	for _, f := range fields {
		text := c.form("config." + f.Key)
		switch {
		case f.Type == config.Bool:
			set[f.Key] = text == "on"
		case text == "" && f.Secret && had[f.Key] != nil:
			set[f.Key] = had[f.Key]
		case text == "":
		case f.Type == config.List:
			set[f.Key] = strings.Fields(text)
			if strings.Contains(text, "\n") {
				set[f.Key] = slices.DeleteFunc(strings.Split(text, "\n"), func(s string) bool { return strings.TrimSpace(s) == "" })
			}
		case f.Type == config.Int || f.Type == config.Float:
			n, err := strconv.ParseFloat(text, 64)
			if err != nil {
				wrong[f.Key] = c.l.say("form.number")
				set[f.Key] = text
				continue
			}
			set[f.Key] = n
		default:
			set[f.Key] = text
		}
	}
	raw, err := json.Marshal(set)
	return raw, wrong, err
}

// typedConnection is the connection as the form has it, and what is wrong with
// it.
func (c *call) typedConnection(s family) (connected, *kindView, map[string]string, error) {
	v, kind, err := c.wantedConnection(s)
	if err == nil && kind == nil {
		err = errNotFound
	}
	if err != nil {
		return v, nil, nil, err
	}
	v.name, v.brand, v.off, v.kind = c.form("name"), c.form("brand"), c.form("off") == "on", kind.Name
	raw, wrong, err := c.typedConfig(kind.fields, v.config)
	v.config = raw
	if s.brand {
		v.hold = 0
		if text := c.form("hold"); text != "" {
			n, err := strconv.ParseInt(text, 10, 32)
			if v.hold = int(n); err != nil {
				wrong["hold_seconds"] = c.l.say("form.number")
			}
		}
		if v.brand != "" && !slices.ContainsFunc(c.brandOptions(identity.Configure), func(o option) bool { return o.Value == v.brand }) {
			wrong["brand"] = c.l.say("form.unknown")
		}
	}
	return v, kind, wrong, err
}

func (c *call) saveConnection(s family) error {
	v, kind, wrong, err := c.typedConnection(s)
	if err != nil {
		return err
	}
	if v.name == "" {
		wrong["name"] = c.l.say("form.required")
	}
	if had, ok := s.get(c.Settings, v.id); ok && v.off && !had.off {
		why, err := c.inUse(s.kind, v.id)
		if err != nil {
			return err
		}
		if why != "" {
			wrong["off"] = why
		}
	}
	if len(wrong) > 0 {
		return c.showConnection(http.StatusUnprocessableEntity, s, v, kind, wrong)
	}
	isNew := v.id == ""
	asks := isNew && kind.consents && c.form("then") == "consent"
	on := !v.off
	if isNew {
		v.id = kind.Name + "-" + newID()[:6]
		v.off = v.off || asks
	}
	if err := s.put(c, v, c.based(s.version(c.Settings, v.id))); err != nil {
		if c.overtaken(err) {
			return c.showConnection(http.StatusConflict, s, v, kind, map[string]string{"": c.l.say("rules.stale")})
		}
		wrong := c.l.mistakes(err)
		if wrong == nil {
			return err
		}
		if isNew {
			v.id, v.off = "", !on
		}
		return c.showConnection(http.StatusUnprocessableEntity, s, v, kind, wrong)
	}
	if asks {
		c.r.SetPathValue("id", v.id)
		return c.goToPlatform(v, kind, on)
	}
	c.flash(&flash{Text: c.l.say("done.saved")})
	if isNew && s.brand {
		return c.back(s.path + "/" + v.id) // where it is connected, and its hook's address is
	}
	return c.back(s.path)
}

// mistakes are what is wrong with a configuration, by key; nil if err is about
// something else.
func (l *locale) mistakes(err error) map[string]string {
	return l.mistaken(err, func(key string) string {
		key, _, _ = strings.Cut(strings.TrimPrefix(key, "config."), "[")
		return key
	})
}

// mistaken are the mistakes within err by what named makes of their keys; nil if
// err is about something else.
func (l *locale) mistaken(err error, named func(key string) string) map[string]string {
	var out map[string]string
	for _, f := range fieldErrors(err) {
		if out == nil {
			out = map[string]string{}
		}
		key := named(f.Key)
		out[key] = strings.TrimSpace(out[key] + " " + l.problem(f))
	}
	return out
}

// fieldErrors are the mistakes within err.
func fieldErrors(err error) []*config.FieldError {
	if f, ok := err.(*config.FieldError); ok {
		return []*config.FieldError{f}
	}
	switch u := err.(type) {
	case interface{ Unwrap() []error }:
		var out []*config.FieldError
		for _, e := range u.Unwrap() {
			out = append(out, fieldErrors(e)...)
		}
		return out
	case interface{ Unwrap() error }:
		return fieldErrors(u.Unwrap())
	}
	return nil
}

// withoutSecrets is a configuration that can be opened for a look: nothing
// sealed is sent anywhere.
func withoutSecrets(fields []config.Field, raw json.RawMessage) json.RawMessage {
	var set map[string]any
	if len(raw) == 0 || json.Unmarshal(raw, &set) != nil {
		return raw
	}
	for _, f := range fields {
		if f.Secret {
			delete(set, f.Key)
		}
	}
	out, err := json.Marshal(set)
	if err != nil {
		return raw
	}
	return out
}
