package casework

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

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
	By      string         `json:"by,omitempty"`
	Note    string         `json:"note,omitempty"` // why it was sent back
	// ApprovedBy is another person than By.
	ApprovedBy string `json:"approved_by,omitempty"`
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

var slotPattern = regexp.MustCompile(`\{\{\s*([a-z][a-z0-9_]*)\s*\}\}`)

// Automatic slots are filled from the case, the brand and the person replying.
var automatic = []string{"author", "brand", "staff", "case", "date"}

// Validate reports everything that is wrong with t.
func (t *Template) Validate() error {
	var errs []error
	if t.Name == "" {
		errs = append(errs, errors.New("name: missing"))
	}
	if t.Lang != "ja" && t.Lang != "en" {
		errs = append(errs, fmt.Errorf("lang %q: want ja or en", t.Lang))
	}
	if len(t.Versions) == 0 {
		errs = append(errs, errors.New("versions: want at least one"))
	}
	for i := range t.Versions {
		if err := t.Versions[i].validate(); err != nil {
			errs = append(errs, fmt.Errorf("versions[%d]: %w", i, err))
		}
		if i > 0 && t.Versions[i].N <= t.Versions[i-1].N {
			errs = append(errs, fmt.Errorf("versions[%d]: n must rise", i))
		}
	}
	return errors.Join(errs...)
}

func (v *TemplateVersion) validate() error {
	var errs []error
	if strings.TrimSpace(v.Body) == "" {
		errs = append(errs, errors.New("body: empty"))
	}
	if !slices.Contains([]TemplateStatus{TemplateDraft, TemplateSubmitted, TemplateApproved, TemplateRetired}, v.Status) {
		errs = append(errs, fmt.Errorf("status %q: want draft, submitted, approved or retired", v.Status))
	}
	if !slices.Contains([]Apology{NoApology, LimitedApology, FullApology}, v.Apology) {
		errs = append(errs, fmt.Errorf("apology %q: want none, limited or full", v.Apology))
	}
	for _, m := range slotPattern.FindAllStringSubmatch(v.Body, -1) {
		known := slices.Contains(automatic, m[1]) ||
			slices.ContainsFunc(v.Slots, func(s Slot) bool { return s.Name == m[1] })
		if !known {
			errs = append(errs, fmt.Errorf("body: slot {{%s}} is not described under slots", m[1]))
		}
	}
	return errors.Join(errs...)
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

// Render fills the slots. A slot without a value keeps its default, and one
// without a default its name in braces, and is reported as missing.
func (v *TemplateVersion) Render(values map[string]string) (text string, missing []string) {
	text = slotPattern.ReplaceAllStringFunc(v.Body, func(m string) string {
		name := slotPattern.FindStringSubmatch(m)[1]
		if x := strings.TrimSpace(values[name]); x != "" {
			return x
		}
		for _, s := range v.Slots {
			if s.Name == name && s.Default != "" {
				return s.Default
			}
		}
		if !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
		return m
	})
	return text, missing
}

// Suggest orders the templates that may be used for a case, the most fitting
// first, and leaves out those of another language, brand or platform.
func Suggest(templates []Template, s *State) []Template {
	type scored struct {
		Template
		points int
	}
	var fit []scored
	for _, t := range templates {
		if t.InForce() == nil || !t.Serves(s.Mention.Brand, s.Mention.Platform) {
			continue
		}
		points := 0
		if t.Lang == s.Verdict.Lang {
			points += 8
		}
		if slices.ContainsFunc(t.Risks, s.Verdict.Has) {
			points += 6
		} else if len(t.Risks) > 0 {
			points -= 4
		}
		if slices.Contains(t.Intents, s.Verdict.Intent) {
			points += 3
		}
		if len(t.Platforms) > 0 {
			points++
		}
		fit = append(fit, scored{t, points})
	}
	slices.SortStableFunc(fit, func(a, b scored) int { return b.points - a.points })
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
	Never map[string]string  `json:"never,omitempty"`
	// Law is static text for staff, by language: no legal advice, and never
	// part of a reply.
	Law map[string]string `json:"law,omitempty"`
}

// Step is one step of a playbook.
type Step struct {
	Phase string            `json:"phase"` // hear, empathise, apologise, resolve, diagnose
	Who   string            `json:"who,omitempty"`
	Text  map[string]string `json:"text"`
}

// Validate reports what is wrong with p.
func (p *Playbook) Validate() error {
	if len(p.Name) == 0 || len(p.Steps) == 0 {
		return errors.New("want a name and at least one step")
	}
	return nil
}
