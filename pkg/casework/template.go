package casework

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
)

// TemplateStatus is where a version of a template stands.
type TemplateStatus string

const (
	TemplateDraft     TemplateStatus = "draft"
	TemplateSubmitted TemplateStatus = "submitted"
	TemplateApproved  TemplateStatus = "approved"
	TemplateRetired   TemplateStatus = "retired"
)

// Apology is how far a reply apologises. While the facts are unknown, only the
// trouble caused is regretted; a full apology wants confirmed facts.
type Apology string

const (
	NoApology      Apology = "none"
	LimitedApology Apology = "limited"
	FullApology    Apology = "full"
)

// Template is a reply that was thought over beforehand. One version at most is
// in force; only that one can be used.
type Template struct {
	ID        string             `json:"id"`
	Name      string             `json:"name"`
	Lang      string             `json:"lang"`                // "ja" or "en"
	Brands    []string           `json:"brands,omitempty"`    // empty: all
	Platforms []string           `json:"platforms,omitempty"` // empty: all
	Intents   []mention.Intent   `json:"intents,omitempty"`
	Risks     []mention.Category `json:"risks,omitempty"`
	When      string             `json:"when_to_use,omitempty"`
	ReviewBy  string             `json:"review_by,omitempty"` // date, 2006-01-02
	Versions  []TemplateVersion  `json:"versions"`
}

// TemplateVersion is one wording of a template.
type TemplateVersion struct {
	N       int            `json:"n"`
	Body    string         `json:"body"` // with {{slots}}
	Slots   []Slot         `json:"slots,omitempty"`
	Apology Apology        `json:"apology"`
	Kind    ReplyKind      `json:"kind,omitempty"`
	Status  TemplateStatus `json:"status"`
	By      string         `json:"by,omitempty"`   // who wrote it
	With    []string       `json:"with,omitempty"` // who else changed its wording
	Note    string         `json:"note,omitempty"` // why it was sent back
	// SubmittedBy is who asked for its approval.
	SubmittedBy string `json:"submitted_by,omitempty"`
	// ApprovedBy is somebody whose own work it is not, see [TemplateVersion.Own].
	ApprovedBy string `json:"approved_by,omitempty"`
}

// Own tells whether v is work of actor's: they wrote it or part of it, or asked for
// its approval. Somebody else has to approve it.
func (v *TemplateVersion) Own(actor string) bool {
	return actor != "" && (actor == v.By || actor == v.SubmittedBy || slices.Contains(v.With, actor))
}

// wording is what of v people read and fill in, for a comparison.
func (v *TemplateVersion) wording() string {
	raw, err := json.Marshal(TemplateVersion{Body: v.Body, Slots: v.Slots, Apology: v.Apology, Kind: v.Kind})
	if err != nil {
		panic(err) // of strings alone
	}
	return string(raw)
}

// Wrote notes that actor made v of was. Who only saved it has written nothing.
func (v *TemplateVersion) Wrote(actor string, was TemplateVersion) {
	switch {
	case v.By == "":
		v.By = actor
	case v.wording() != was.wording() && actor != v.By && !slices.Contains(v.With, actor):
		v.With = append(slices.Clone(v.With), actor)
	}
}

// Slot is a place in a template that is filled for each reply.
type Slot struct {
	Name     string   `json:"name"`
	Label    string   `json:"label,omitempty"`
	Type     string   `json:"type,omitempty"` // text, date, choice, staff, case
	Default  string   `json:"default,omitempty"`
	Choices  []string `json:"choices,omitempty"`
	Required bool     `json:"required,omitempty"`
}

// SlotTypes are what a slot can be.
var SlotTypes = []string{"text", "date", "choice", "staff", "case"}

var (
	slotPattern = regexp.MustCompile(`\{\{\s*([a-z][a-z0-9_]*)\s*\}\}`)
	// openSlot is anything a reader would take for a slot nobody filled.
	openSlot = regexp.MustCompile(`\{\{[^{}]*\}\}`)
	slotName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// Automatic slots are filled from the case, the brand and the person replying.
var automatic = []string{"author", "brand", "staff", "case", "date"}

// Validate reports everything that is wrong with t.
func (t *Template) Validate() error {
	var errs []error
	if t.Name == "" {
		errs = append(errs, config.Invalid("name", "required"))
	}
	if t.Lang != "ja" && t.Lang != "en" {
		errs = append(errs, config.Invalid("lang", "%q: want ja or en", t.Lang))
	}
	errs = append(errs, known("intents", t.Intents, mention.Intents), known("risks", t.Risks, mention.Categories))
	if _, err := time.Parse(time.DateOnly, t.ReviewBy); t.ReviewBy != "" && err != nil {
		errs = append(errs, config.Invalid("review_by", "%q: want a day like 2027-03-31", t.ReviewBy))
	}
	if len(t.Versions) == 0 {
		errs = append(errs, config.Invalid("versions", "want at least one"))
	}
	for i := range t.Versions {
		for _, err := range t.Versions[i].mistakes() {
			errs = append(errs, fmt.Errorf("versions[%d]: %w", i, err))
		}
		if i > 0 && t.Versions[i].N <= t.Versions[i-1].N {
			errs = append(errs, config.Invalid(fmt.Sprintf("versions[%d]", i), "n must rise"))
		}
	}
	return errors.Join(errs...)
}

func (v *TemplateVersion) mistakes() (errs []error) {
	if strings.TrimSpace(v.Body) == "" {
		errs = append(errs, config.Invalid("body", "required"))
	}
	if !slices.Contains([]TemplateStatus{TemplateDraft, TemplateSubmitted, TemplateApproved, TemplateRetired}, v.Status) {
		errs = append(errs, config.Invalid("status", "%q: want draft, submitted, approved or retired", v.Status))
	}
	if !slices.Contains([]Apology{NoApology, LimitedApology, FullApology}, v.Apology) {
		errs = append(errs, config.Invalid("apology", "%q: want none, limited or full", v.Apology))
	}
	if !slices.Contains([]ReplyKind{"", First, Interim, Final}, v.Kind) {
		errs = append(errs, config.Invalid("kind", "%q: want first, interim or final", v.Kind))
	}
	if v.Status == TemplateApproved && v.Own(v.ApprovedBy) {
		errs = append(errs, config.Invalid("approved_by", "want somebody else than who wrote it or asked for its approval"))
	}
	for _, m := range openSlot.FindAllString(v.Body, -1) {
		if name := slotPattern.FindStringSubmatch(m); name == nil {
			errs = append(errs, config.Invalid("body", "slot %s: want a name of a-z, 0-9 and _", m))
		} else if !slices.Contains(automatic, name[1]) && v.slot(name[1]) == nil {
			errs = append(errs, config.Invalid("body", "slot %s is not described under slots", m))
		}
	}
	for i, s := range v.Slots {
		at := fmt.Sprintf("slots[%d]", i)
		switch {
		case !slotName.MatchString(s.Name):
			errs = append(errs, config.Invalid(at+".name", "%q: want a-z, 0-9 and _", s.Name))
		case v.slot(s.Name) != &v.Slots[i]:
			errs = append(errs, config.Invalid(at+".name", "%q: there are two of it", s.Name))
		}
		if s.Type != "" && !slices.Contains(SlotTypes, s.Type) {
			errs = append(errs, config.Invalid(at+".type", "%q: want text, date, choice, staff or case", s.Type))
		}
		if s.Type == "choice" && (len(s.Choices) == 0 || s.Default != "" && !slices.Contains(s.Choices, s.Default)) {
			errs = append(errs, config.Invalid(at+".choices", "want at least one, and the default among them"))
		}
	}
	return errs
}

// slot returns the description of a slot, or nil.
func (v *TemplateVersion) slot(name string) *Slot {
	if i := slices.IndexFunc(v.Slots, func(s Slot) bool { return s.Name == name }); i >= 0 {
		return &v.Slots[i]
	}
	return nil
}

// choices wants of each slot that offers a choice one of its choices.
func (v *TemplateVersion) choices(values map[string]string) error {
	for _, s := range v.Slots {
		x := strings.TrimSpace(values[s.Name])
		if s.Type == "choice" && x != "" && !slices.Contains(s.Choices, x) {
			return refuse(CodeInput, "slot %s: want one of %s", cmp.Or(s.Label, s.Name), strings.Join(s.Choices, ", "))
		}
	}
	return nil
}

// InForce returns the version that may be used, or nil.
func (t *Template) InForce() *TemplateVersion {
	for i := len(t.Versions) - 1; i >= 0; i-- {
		if t.Versions[i].Status == TemplateApproved {
			return &t.Versions[i]
		}
	}
	return nil
}

// Version returns version n, or nil.
func (t *Template) Version(n int) *TemplateVersion {
	for i := range t.Versions {
		if t.Versions[i].N == n {
			return &t.Versions[i]
		}
	}
	return nil
}

// Serves tells whether t is meant for brand and platform.
func (t *Template) Serves(brand, platform string) bool {
	return (len(t.Brands) == 0 || slices.Contains(t.Brands, brand)) &&
		(len(t.Platforms) == 0 || slices.Contains(t.Platforms, platform))
}

// Render fills the slots. A slot without a value has its default. One without
// either is left out if it isn't required; if it is, or nobody describes it, it
// keeps its name in braces and is reported as missing.
func (v *TemplateVersion) Render(values map[string]string) (text string, missing []string) {
	text = slotPattern.ReplaceAllStringFunc(v.Body, func(m string) string {
		name := slotPattern.FindStringSubmatch(m)[1]
		if x := strings.TrimSpace(values[name]); x != "" {
			return x
		}
		if s := v.slot(name); s != nil && (s.Default != "" || !s.Required) {
			return s.Default
		}
		if !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
		return m
	})
	return text, missing
}

// RankedTemplate is a template offered for a case, and why.
type RankedTemplate struct {
	Template
	Reasons []Reason
	points  int
}

// Reason is something that a template and a case have in common: What is lang,
// risk, intent, platform or next, the kind of reply that comes next.
type Reason struct{ What, Name string }

// Ranked orders the templates that may be used for a case, the most fitting
// first, those in the post's language before the others. It leaves out what is
// meant for another brand or platform.
func Ranked(templates []Template, s *State) []RankedTemplate {
	var fit []RankedTemplate
	v := s.InForce()
	for _, t := range templates {
		if t.InForce() == nil || !t.Serves(s.Mention.Brand, s.Mention.Platform) {
			continue
		}
		r := RankedTemplate{Template: t}
		because := func(points int, what, name string) {
			r.points += points
			r.Reasons = append(r.Reasons, Reason{what, name})
		}
		gravest := slices.IndexFunc(mention.Categories, func(c mention.Category) bool { return v.Has(c) && slices.Contains(t.Risks, c) })
		if gravest >= 0 {
			because(6+(len(mention.Categories)-gravest)/2, "risk", string(mention.Categories[gravest]))
		} else if len(t.Risks) > 0 {
			r.points -= 4
		}
		if slices.Contains(t.Intents, v.Intent) {
			because(3, "intent", string(v.Intent))
		}
		if len(t.Platforms) > 0 {
			because(1, "platform", s.Mention.Platform)
		}
		if s.LimitedOnly() && t.InForce().Kind == Final {
			because(2, "next", string(Final))
		}
		if t.Lang == s.Verdict.Lang {
			because(20, "lang", t.Lang)
		}
		fit = append(fit, r)
	}
	slices.SortStableFunc(fit, func(a, b RankedTemplate) int { return b.points - a.points })
	return fit
}

// Suggest is [Ranked] without the reasons.
func Suggest(templates []Template, s *State) []Template {
	fit := Ranked(templates, s)
	out := make([]Template, len(fit))
	for i := range fit {
		out[i] = fit[i].Template
	}
	return out
}

// Playbook is what to do when something grave happens, step by step.
type Playbook struct {
	ID    string             `json:"id"`
	Name  map[string]string  `json:"name"` // by language
	Risks []mention.Category `json:"risks"`
	Steps []Step             `json:"steps"`
	// Offer is what an agent may decide and offer alone; Hints help with the
	// wording.
	Offer map[string]string `json:"offer,omitempty"`
	Hints map[string]string `json:"hints,omitempty"`
	// Templates are the ids of templates made for it.
	Templates []string `json:"templates,omitempty"`
	// Clocks are what the law or a contract sets a time for; no legal advice.
	Clocks []Clock           `json:"clocks,omitempty"`
	Never  map[string]string `json:"never,omitempty"`
	// Law is static text for staff, by language: no legal advice, and never
	// part of a reply.
	Law map[string]string `json:"law,omitempty"`
}

// Clock is a time that runs from when we first saw a matter.
type Clock struct {
	Text  map[string]string `json:"text"` // what is due, to whom, and by which rule
	Hours int               `json:"hours"`
}

// Phases are what a step of a playbook can be for, in the order they come in.
var Phases = []string{"hear", "empathise", "apologise", "resolve", "diagnose"}

// Step is one step of a playbook.
type Step struct {
	Phase string            `json:"phase"` // one of [Phases]
	Who   string            `json:"who,omitempty"`
	Text  map[string]string `json:"text"`
}

// Validate reports what is wrong with p.
func (p *Playbook) Validate() error {
	var errs []error
	if !said(p.Name) {
		errs = append(errs, config.Invalid("name", "required, in one language at least"))
	}
	if len(p.Steps) == 0 {
		errs = append(errs, config.Invalid("steps", "want at least one"))
	}
	for i, s := range p.Steps {
		at := fmt.Sprintf("steps[%d].", i)
		if !slices.Contains(Phases, s.Phase) {
			errs = append(errs, config.Invalid(at+"phase", "%q: want one of %v", s.Phase, Phases))
		}
		if !said(s.Text) {
			errs = append(errs, config.Invalid(at+"text", "required, in one language at least"))
		}
	}
	for i, c := range p.Clocks {
		if !said(c.Text) {
			errs = append(errs, config.Invalid(fmt.Sprintf("clocks[%d].text", i), "required, in one language at least"))
		}
		if c.Hours < 1 || c.Hours > 24*365 {
			errs = append(errs, config.Invalid(fmt.Sprintf("clocks[%d].hours", i), "%d: want hours from 1 to a year", c.Hours))
		}
	}
	return errors.Join(append(errs, known("risks", p.Risks, mention.Categories))...)
}

// said tells whether a text is there in any language.
func said(texts map[string]string) bool {
	for _, t := range texts {
		if strings.TrimSpace(t) != "" {
			return true
		}
	}
	return false
}

// known wants labels that exist: one that is misspelt would never match.
func known[T ~string](field string, labels, all []T) error {
	for i, l := range labels {
		if !slices.Contains(all, l) {
			return config.Invalid(fmt.Sprintf("%s[%d]", field, i), "%q: want one of %v", l, all)
		}
	}
	return nil
}
