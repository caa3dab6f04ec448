package settings

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/notify"
	"github.com/earshot/earshot/pkg/query"
	"github.com/earshot/earshot/pkg/source"
	"github.com/earshot/earshot/pkg/text"
)

// The sets of settings.
var (
	Brands      = Set[Brand]{"brand"}
	Sources     = Set[Source]{"source"}
	Notifiers   = Set[Notifier]{"notifier"}
	Templates   = Set[casework.Template]{"template"}
	Playbooks   = Set[casework.Playbook]{"playbook"}
	Rules       = Set[casework.Rules]{"rules"} // one, of id "default"
	Checks      = Set[casework.CheckRule]{"check"}
	Voices      = Set[casework.Voice]{"voice"} // by brand
	Answers     = Set[casework.AgreedAnswer]{"answer"}
	Wishes      = Set[casework.WishCard]{"wish"}
	Stops       = Set[Stop]{"stop"}
	Deputies    = Set[Deputy]{"deputy"}
	Staff       = Set[identity.Staff]{"staff"}
	Credentials = Set[identity.Credential]{"credential"}
	Invitations = Set[identity.Invitation]{"invitation"}
	Accesses    = Set[Access]{"access"} // one, of id "default"
	Tokens      = Set[identity.Token]{"token"}
	Teams       = Set[Team]{"team"}
	Policies    = Set[escalation.Policy]{"policy"} // one, of id "default"
	Routes      = Set[Route]{"route"}
	Views       = Set[View]{"view"}
	Shifts      = Set[Shift]{"shift"}
	Exclusions  = Set[Exclusion]{"exclusion"}
	Exports     = Set[Export]{"export"}
	SealKeys    = Set[SealKey]{"sealkey"} // by service
)

// Default is the id of settings of which there is one.
const Default = "default"

var kinds = map[string]kind{
	Brands.kind:      kindOf("what mentions are about, and the query that finds them", func(b *Brand) string { return b.ID }),
	Sources.kind:     kindOf("where mentions come from", func(s *Source) string { return s.ID }),
	Notifiers.kind:   kindOf("how people are paged", func(n *Notifier) string { return n.ID }),
	Templates.kind:   kindOf("replies that were thought over beforehand", func(t *casework.Template) string { return t.ID }),
	Playbooks.kind:   kindOf("what to do when something grave happens", func(p *casework.Playbook) string { return p.ID }),
	Rules.kind:       kindOf("which replies want a second person", func(*casework.Rules) string { return Default }),
	Checks.kind:      kindOf("what the reply check says of a reply, in place of a rule of the same id", func(r *casework.CheckRule) string { return r.ID }),
	Voices.kind:      kindOf("words a brand avoids, and the packs of the reply check it chose", func(v *casework.Voice) string { return v.ID }),
	Answers.kind:     kindOf("answers to questions that come again and again", func(a *casework.AgreedAnswer) string { return a.ID }),
	Wishes.kind:      kindOf("what customers wish for", func(w *casework.WishCard) string { return w.ID }),
	Stops.kind:       kindOf("brands and stories whose replies are stopped", func(x *Stop) string { return x.ID }),
	Deputies.kind:    kindOf("who approves while somebody is away", func(x *Deputy) string { return x.ID }),
	Staff.kind:       kindOf("who works with Earshot", func(s *identity.Staff) string { return s.ID }),
	Credentials.kind: kindOf("how staff prove who they are", func(c *identity.Credential) string { return c.Staff }),
	Invitations.kind: kindOf("who was invited and has not come yet", func(i *identity.Invitation) string { return i.ID }),
	Accesses.kind:    kindOf("what signing in asks for", func(*Access) string { return Default }),
	Tokens.kind:      kindOf("programs that may use the API", func(t *identity.Token) string { return t.ID }),
	Teams.kind:       kindOf("departments that cases are handed to", func(t *Team) string { return t.ID }),
	Policies.kind:    kindOf("what wakes whom", func(*escalation.Policy) string { return Default }),
	Routes.kind:      kindOf("which team a mention is for", func(r *Route) string { return r.ID }),
	Views.kind:       kindOf("searches that people keep", func(v *View) string { return v.ID }),
	Shifts.kind:      kindOf("what one shift hands to the next", func(s *Shift) string { return s.ID }),
	Exclusions.kind:  kindOf("what brands' queries should leave out; proposed by staff", func(e *Exclusion) string { return e.ID }),
	Exports.kind:     kindOf("what was taken out as a file, and by whom; written by Earshot", func(e *Export) string { return e.ID }),
	SealKeys.kind:    kindOf[SealKey]("what secrets are sealed with; written by the services", nil),
}

// Brand is what mentions are about.
type Brand struct {
	ID   string `json:"id"` // immutable
	Name string `json:"name"`
	// Names are what the brand is called in replies, by language, where that
	// is not Name.
	Names map[string]string `json:"names,omitempty"`
	Query string            `json:"query"` // see pkg/query
	// Lang is the language replies are usually in; TimeZone is an IANA name.
	Lang     string `json:"lang,omitempty"`
	TimeZone string `json:"time_zone,omitempty"`
	Voice    string `json:"voice,omitempty"` // a note on tone, shown in the composer
	// Response is how fast mentions are to be answered, by priority.
	UrgentMinutes int `json:"urgent_minutes,omitempty"` // default 60
	NormalMinutes int `json:"normal_minutes,omitempty"` // default 480
	LowMinutes    int `json:"low_minutes,omitempty"`    // default 1440
	// Until a case is done, by priority; 0 for no deadline.
	ResolveUrgentMinutes int `json:"resolve_urgent_minutes,omitempty"`
	ResolveNormalMinutes int `json:"resolve_normal_minutes,omitempty"`
	ResolveLowMinutes    int `json:"resolve_low_minutes,omitempty"`
	// HoldSeconds is how long a reply can be taken back after it was sent;
	// default 10, -1 for not at all.
	HoldSeconds int `json:"hold_seconds,omitempty"`
	// Accounts are sources by which the brand answers where several could, the
	// preferred one first; see [Store.Answering].
	Accounts []string `json:"accounts,omitempty"`
	// Peer marks a brand that is listened to for comparison and never queued.
	Peer bool `json:"peer,omitempty"`
}

// checkName wants a name that people can read in a list.
func checkName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return config.Invalid("name", "required")
	case !text.IsSeen(name) || text.Valid(name) != name || strings.ContainsAny(name, "\n\t") || utf8.RuneCountInString(name) > 100:
		return config.Invalid("name", "want 1 to 100 characters on one line")
	}
	return nil
}

// Validate reports everything that is wrong with b.
func (b *Brand) Validate() error {
	var errs []error
	if !idPattern.MatchString(b.ID) || strings.Contains(b.ID, "_") {
		errs = append(errs, config.Invalid("id", "%q: want a-z, 0-9 and -, up to 64", b.ID))
	}
	errs = append(errs, checkName(b.Name))
	if !slices.Contains([]string{"", "ja", "en"}, b.Lang) {
		errs = append(errs, config.Invalid("lang", "%q: want ja, en or nothing", b.Lang))
	}
	for field, n := range map[string]int{
		"urgent_minutes": b.UrgentMinutes, "normal_minutes": b.NormalMinutes, "low_minutes": b.LowMinutes,
		"resolve_urgent_minutes": b.ResolveUrgentMinutes, "resolve_normal_minutes": b.ResolveNormalMinutes, "resolve_low_minutes": b.ResolveLowMinutes,
	} {
		if n < 0 || n > 60*24*365 {
			errs = append(errs, config.Invalid(field, "%d: want minutes up to a year, or 0 for the default", n))
		}
	}
	if b.HoldSeconds < -1 || b.HoldSeconds > 3600 {
		errs = append(errs, config.Invalid("hold_seconds", "%d: want up to 3600, 0 for the default or -1 for none", b.HoldSeconds))
	}
	if _, err := query.Parse(b.Query); err != nil {
		errs = append(errs, config.Invalid("query", "%s", strings.TrimPrefix(err.Error(), "query: ")))
	}
	if b.TimeZone != "" {
		if _, err := time.LoadLocation(b.TimeZone); err != nil {
			errs = append(errs, config.Invalid("time_zone", "%q is not a time zone; write it like Asia/Tokyo", b.TimeZone))
		}
	}
	return errors.Join(errs...)
}

// Called is what b is called in lang.
func (b *Brand) Called(lang string) string {
	if n := b.Names[lang]; n != "" {
		return n
	}
	return b.Name
}

// Response is b's times to answer, in the working time of clock.
func (b *Brand) Response(clock casework.WorkingTime) casework.Response {
	m := func(n int) time.Duration { return time.Duration(n) * time.Minute }
	return casework.Response{
		Urgent: m(b.UrgentMinutes), Normal: m(b.NormalMinutes), Low: m(b.LowMinutes), Clock: clock,
		ResolveUrgent: m(b.ResolveUrgentMinutes), ResolveNormal: m(b.ResolveNormalMinutes), ResolveLow: m(b.ResolveLowMinutes),
	}
}

// Hold is how long a reply can be taken back.
func (b *Brand) Hold() time.Duration {
	switch {
	case b.HoldSeconds < 0:
		return 0
	case b.HoldSeconds == 0:
		return 10 * time.Second
	}
	return time.Duration(b.HoldSeconds) * time.Second
}

// inConfig says of each mistake that it is in the value's config, whose lines
// nobody has counted.
func inConfig(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range many.Unwrap() {
			errs = append(errs, inConfig(e))
		}
		return errors.Join(errs...)
	}
	if e, ok := errors.AsType[*config.FieldError](err); ok {
		within := *e
		within.Key, within.Line = strings.TrimSuffix("config."+e.Key, "."), 0
		return &within
	}
	return err
}

// Source is a configured connector.
type Source struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Kind string `json:"kind"` // name in source.Kinds
	// Brand binds everything the source brings to one brand, without its
	// query: the reviews of its app. Empty: the brands' queries decide.
	Brand string `json:"brand,omitempty"`
	Off   bool   `json:"off,omitempty"`
	// HoldSeconds is how long a reply through it can be taken back; 0 for the
	// brand's time, -1 for not at all.
	HoldSeconds int             `json:"hold_seconds,omitempty"`
	Config      json.RawMessage `json:"config,omitempty"`
}

// Validate reports everything that is wrong with s, down to its connector's
// fields.
func (s *Source) Validate() error {
	k, ok := source.Named(s.Kind)
	if !ok {
		return config.Invalid("kind", "there is no connector %q", s.Kind)
	}
	if s.HoldSeconds < -1 || s.HoldSeconds > 3600 {
		return config.Invalid("hold_seconds", "%d: want up to 3600, 0 for the brand's time or -1 for none", s.HoldSeconds)
	}
	return errors.Join(checkName(cmp.Or(s.Name, s.ID)), inConfig(k.Check(s.Config)))
}

// Seal returns s, which must be valid, with its secrets sealed, for a look at
// what it would bring before it is set.
func (s Source) Seal(store *Store) (Source, error) {
	if err := s.Validate(); err != nil {
		return s, err
	}
	sealed, err := s.sealed(store)
	if err != nil {
		return s, err
	}
	return sealed.(Source), nil
}

// sealed is s with its secrets sealed.
func (s Source) sealed(store *Store) (any, error) {
	k, _ := source.Named(s.Kind)
	var err error
	s.Config, err = store.seal(Sources.kind, s.Config, k.Fields())
	return s, err
}

// Notifier is a configured way to page people.
type Notifier struct {
	ID     string          `json:"id"`
	Name   string          `json:"name"`
	Kind   string          `json:"kind"` // name in notify.Kinds
	Off    bool            `json:"off,omitempty"`
	Config json.RawMessage `json:"config,omitempty"`
}

// Validate reports everything that is wrong with n, down to its fields.
func (n *Notifier) Validate() error {
	i := n.index()
	if i < 0 {
		return config.Invalid("kind", "there is no notifier %q", n.Kind)
	}
	return errors.Join(checkName(cmp.Or(n.Name, n.ID)), inConfig(notify.Kinds[i].Check(n.Config)))
}

func (n *Notifier) index() int {
	return slices.IndexFunc(notify.Kinds, func(k notify.Kind) bool { return k.Name == n.Kind })
}

// sealed is n with its secrets sealed.
func (n Notifier) sealed(store *Store) (any, error) {
	var err error
	n.Config, err = store.seal(Notifiers.kind, n.Config, notify.Kinds[n.index()].Fields())
	return n, err
}

// Access says what signing in asks for.
type Access struct {
	// SecondFactor are the roles that have to set up a second factor.
	SecondFactor []identity.Role `json:"second_factor,omitempty"`
}

// Validate reports everything that is wrong with a.
func (a *Access) Validate() error {
	var errs []error
	for i, r := range a.SecondFactor {
		if !slices.Contains(identity.Roles, r) {
			errs = append(errs, config.Invalid(fmt.Sprintf("second_factor[%d]", i), "%q: want one of %v", r, identity.Roles))
		}
	}
	return errors.Join(errs...)
}

// NeedsSecond tells whether one of the roles of p has to have a second factor.
func (s *Store) NeedsSecond(p *identity.Staff) bool {
	a, _ := Accesses.Get(s, Default)
	return slices.ContainsFunc(p.Grants, func(g identity.Grant) bool { return slices.Contains(a.SecondFactor, g.Role) })
}

// Team is a department that cases can be handed to.
type Team struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Members []string `json:"members,omitempty"` // staff ids
	// Capacity is how many open cases a member has at most before no more are
	// given to them; 0: cases of the team are not given to anybody.
	Capacity int `json:"capacity,omitempty"`
}

// Validate reports everything that is wrong with t.
func (t *Team) Validate() error {
	var errs []error
	if !idPattern.MatchString(t.ID) {
		errs = append(errs, config.Invalid("id", "%q: want a-z, 0-9, - and _, up to 64", t.ID))
	}
	errs = append(errs, checkName(t.Name))
	if t.Capacity < 0 || t.Capacity > 1000 {
		errs = append(errs, config.Invalid("capacity", "%d: want up to 1000, or 0 to give out nothing", t.Capacity))
	}
	return errors.Join(errs...)
}

// Clock counts the working time of a brand: the business hours of the paging
// policy.
func (s *Store) Clock(brand string) casework.WorkingTime {
	p := s.Policy()
	return p.Clock(brand)
}

// Triage judges a mention by its brand's rules.
func (s *Store) Triage(m *mention.Mention, v *mention.Verdict, sig casework.Signals) casework.Triage {
	b, _ := Brands.Get(s, m.Brand)
	if f := m.Author.Followers; f != nil {
		sig.Reach = max(sig.Reach, *f)
	}
	t := casework.Judge(b.Response(s.Clock(m.Brand)), m, v, sig)
	if b.Peer && t.Disposition == mention.Answer {
		t.Disposition, t.DueAt = mention.Watch, time.Time{}
	}
	return t
}

// Policy is the paging policy in force. It is shared and must not be changed.
func (s *Store) Policy() escalation.Policy {
	if p, ok := Policies.Get(s, Default); ok {
		return p
	}
	return defaultPolicy()
}

// defaultPolicy is made once: its time zone is read from a file.
var defaultPolicy = sync.OnceValue(escalation.DefaultPolicy)
