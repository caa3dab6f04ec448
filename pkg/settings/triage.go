package settings

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/query"
)

// Route sends what it matches to a team. Lists that are empty match everything.
// Routes are tried by Order, then by id, and the first one wins.
type Route struct {
	ID        string             `json:"id"`
	Name      string             `json:"name"`
	Order     int                `json:"order,omitempty"`
	Brands    []string           `json:"brands,omitempty"`
	Places    []string           `json:"places,omitempty"`  // ids or names of places
	Sources   []string           `json:"sources,omitempty"` // ids
	Languages []string           `json:"languages,omitempty"`
	Intents   []mention.Intent   `json:"intents,omitempty"`
	Risks     []mention.Category `json:"risks,omitempty"` // any of them
	Team      string             `json:"team"`
}

// Validate reports everything that is wrong with r.
func (r *Route) Validate() error {
	var errs []error
	if !idPattern.MatchString(r.ID) {
		errs = append(errs, config.Invalid("id", "%q: want a-z, 0-9, - and _, up to 64", r.ID))
	}
	if strings.TrimSpace(r.Name) == "" {
		errs = append(errs, config.Invalid("name", "required"))
	}
	if r.Team == "" {
		errs = append(errs, config.Invalid("team", "required"))
	}
	for _, i := range r.Intents {
		if !slices.Contains(mention.Intents, i) {
			errs = append(errs, config.Invalid("intents", "there is no intent %q", i))
		}
	}
	for _, c := range r.Risks {
		if !slices.Contains(mention.Categories, c) {
			errs = append(errs, config.Invalid("risks", "there is no risk %q", c))
		}
	}
	return errors.Join(errs...)
}

func (r *Route) matches(m *mention.Mention, v *mention.Verdict) bool {
	in := func(list []string, values ...string) bool {
		return len(list) == 0 || slices.ContainsFunc(values, func(x string) bool { return x != "" && slices.Contains(list, x) })
	}
	return in(r.Brands, m.Brand) && in(r.Places, m.Place.ID, m.Place.Name) && in(r.Sources, m.Source) && in(r.Languages, v.Lang) &&
		(len(r.Intents) == 0 || slices.Contains(r.Intents, v.Intent)) && (len(r.Risks) == 0 || slices.ContainsFunc(r.Risks, v.Has))
}

// Route is the team that a mention is for, or empty. A team that is gone is
// nobody's.
func (s *Store) Route(m *mention.Mention, v *mention.Verdict) string {
	routes := Routes.List(s)
	slices.SortStableFunc(routes, func(a, b Route) int { return cmp.Compare(a.Order, b.Order) })
	for i := range routes {
		r := &routes[i]
		if _, ok := Teams.Get(s, r.Team); ok && r.matches(m, v) {
			return r.Team
		}
	}
	return ""
}

// View is a search that is kept under a name.
type View struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Owner is the staff id of whose view it is; empty: it is everybody's.
	Owner string `json:"owner,omitempty"`
	// Query is the address of the list, as in "risk=churn&sort=newest".
	Query string `json:"query"`
	Order int    `json:"order,omitempty"`
}

// maxViewQuery bounds the bytes of a view's address.
const maxViewQuery = 2000

// Validate reports everything that is wrong with v.
func (v *View) Validate() error {
	var errs []error
	if !idPattern.MatchString(v.ID) {
		errs = append(errs, config.Invalid("id", "%q: want a-z, 0-9, - and _, up to 64", v.ID))
	}
	if n := utf8.RuneCountInString(v.Name); strings.TrimSpace(v.Name) == "" || n > 60 {
		errs = append(errs, config.Invalid("name", "want 1 to 60 characters"))
	}
	if _, err := url.ParseQuery(v.Query); err != nil || len(v.Query) > maxViewQuery {
		errs = append(errs, config.Invalid("query", "want the part of the list's address after the question mark"))
	}
	return errors.Join(errs...)
}

// Shift is what the people of one shift tell those of the next. What is open
// then is read from the cases; here is what only people know.
type Shift struct {
	ID        string    `json:"id"`
	Text      string    `json:"text"`
	By        string    `json:"by"`
	At        time.Time `json:"at"`
	Confirmed string    `json:"confirmed,omitempty"` // staff id of who took it over
	Taken     time.Time `json:"taken,omitzero"`
}

// Validate reports everything that is wrong with s.
func (s *Shift) Validate() error {
	var errs []error
	if !idPattern.MatchString(s.ID) {
		errs = append(errs, config.Invalid("id", "%q: want a-z, 0-9, - and _, up to 64", s.ID))
	}
	if utf8.RuneCountInString(s.Text) > 10_000 {
		errs = append(errs, config.Invalid("text", "has more than 10000 characters"))
	}
	return errors.Join(errs...)
}

// Exclusion is a proposal to leave something out of a brand's query.
type Exclusion struct {
	ID    string `json:"id"`
	Brand string `json:"brand"`
	Term  string `json:"term"` // of the query language
	Case  string `json:"case,omitempty"`
	State string `json:"state"` // proposed, applied or declined
}

// States of an exclusion.
const (
	Proposed = "proposed"
	Applied  = "applied"
	Declined = "declined"
)

// Validate reports everything that is wrong with e.
func (e *Exclusion) Validate() error {
	var errs []error
	if !idPattern.MatchString(e.ID) {
		errs = append(errs, config.Invalid("id", "%q: want a-z, 0-9, - and _, up to 64", e.ID))
	}
	if err := CheckTerm(e.Term); err != nil {
		errs = append(errs, config.Invalid("term", "%s", strings.TrimPrefix(err.Error(), "query: ")))
	}
	if !slices.Contains([]string{Proposed, Applied, Declined}, e.State) {
		errs = append(errs, config.Invalid("state", "%q: want proposed, applied or declined", e.State))
	}
	return errors.Join(errs...)
}

// Without is query q leaving out term, which must be sound; see [CheckTerm].
func Without(q, term string) string {
	if q = strings.TrimSpace(q); slices.Contains(outside(q), "OR") {
		q = "(" + q + ")"
	}
	if term = strings.TrimSpace(term); len(outside(term)) > 1 {
		term = "(" + term + ")"
	}
	return q + " NOT " + term
}

// CheckTerm tells why term can't be left out of a query, or nil.
func CheckTerm(term string) error {
	depth := 0
	scan(term, func(r rune, in int) { depth = min(depth, in) })
	if depth < 0 || strings.TrimSpace(term) == "" {
		return &query.Error{Code: "stray-paren", Message: "a parenthesis is closed that was not opened"}
	}
	_, err := query.Parse("x NOT (" + term + ")")
	return err
}

// scan calls f for everything of q that stands outside of quotes, with the depth
// of parentheses it stands in, which sinks below zero where too many are closed.
func scan(q string, f func(r rune, depth int)) {
	depth, quoted, escaped := 0, false, false
	for _, r := range q {
		switch {
		case escaped:
			escaped = false
		case quoted && r == '\\':
			escaped = true
		case strings.ContainsRune("\"“”＂", r):
			quoted = !quoted
			f('"', depth)
		case quoted:
		case r == '(' || r == '（':
			depth++
			f(' ', depth)
		case r == ')' || r == '）':
			depth--
			f(' ', depth)
		default:
			f(r, depth)
		}
	}
}

// outside are the words of q that stand outside of all parentheses, a phrase as
// one; of an OR only there a NOT after it belongs to the right side alone.
func outside(q string) []string {
	var b strings.Builder
	scan(q, func(r rune, depth int) {
		if depth > 0 {
			r = ' '
		}
		b.WriteRune(r)
	})
	return strings.Fields(strings.ReplaceAll(b.String(), "ＯＲ", "OR"))
}
