package escalation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
)

// Policy is what people decide about paging: what wakes whom, how long until
// the next person, what counts as a storm. Lists of brands and the like that
// are empty match everything, and in each list the first match wins, so the
// general case comes last.
type Policy struct {
	// Rules say how urgent a trigger is. What no rule matches is Notify.
	Rules   []Rule   `json:"rules" yaml:"rules" doc:"how urgent what is; the first match wins"`
	Ladders []Ladder `json:"ladders" yaml:"ladders" doc:"who is paged, in which order; the first match wins"`
	Rotas   []Rota   `json:"rotas,omitempty" yaml:"rotas,omitempty" doc:"who is on call when"`
	Hours   []Hours  `json:"hours" yaml:"hours" doc:"business hours; the first match wins; always open if none"`
	// Calendars are public holidays that hours name.
	Calendars []Calendar `json:"calendars,omitempty" yaml:"calendars,omitempty" doc:"public holidays that hours name; jp comes with Earshot and can be replaced here"`
	Quiet     []Quiet    `json:"quiet,omitempty" yaml:"quiet,omitempty" doc:"planned times without pages; climbing goes on afterwards"`
	Limits    []Limits   `json:"limits" yaml:"limits" doc:"what counts as a storm; the first match wins"`

	// Roster is today's staff and channels, set by the pager before it plans.
	// It is no part of what people edit here.
	Roster Roster `json:"-" yaml:"-"`
}

// Rule gives what it matches an urgency.
type Rule struct {
	Brands     []string           `json:"brands,omitempty" yaml:"brands,omitempty" doc:"brand ids; empty for all"`
	Categories []mention.Category `json:"categories,omitempty" yaml:"categories,omitempty" doc:"risk categories; empty for any"`
	Origins    []Origin           `json:"origins,omitempty" yaml:"origins,omitempty" doc:"verdict, reach, growth, volume, hand, promise, silence; empty for any"`
	During     During             `json:"during,omitempty" yaml:"during,omitempty" doc:"open, closed or empty for any hour"`
	MinReach   int64              `json:"min_reach,omitempty" yaml:"min_reach,omitempty" doc:"only from this many people reached"`
	Urgency    Urgency            `json:"urgency" yaml:"urgency" doc:"wake, opening, notify or ignore"`
}

// During narrows a rule to business hours or to the time outside them.
type During string

const (
	WhileOpen   During = "open"
	WhileClosed During = "closed"
)

// Ladder is who is paged until somebody acknowledges.
type Ladder struct {
	Brands    []string  `json:"brands,omitempty" yaml:"brands,omitempty" doc:"brand ids; empty for all"`
	Urgencies []Urgency `json:"urgencies,omitempty" yaml:"urgencies,omitempty" doc:"wake, opening, notify; empty for any"`
	Origins   []Origin  `json:"origins,omitempty" yaml:"origins,omitempty" doc:"verdict, reach, growth, volume, hand, promise, silence; empty for any"`
	Rungs     []Rung    `json:"rungs" yaml:"rungs" doc:"the steps, first to last"`
	// RepeatMinutes is the time from paging the last rung to starting again at
	// the first. Zero climbs once.
	RepeatMinutes int `json:"repeat_minutes,omitempty" yaml:"repeat_minutes,omitempty" doc:"minutes from the last rung to the first again; 0 climbs once"`
	// MaxRounds bounds how often the ladder is climbed. Zero is until
	// somebody acknowledges.
	MaxRounds int `json:"max_rounds,omitempty" yaml:"max_rounds,omitempty" doc:"most times it is climbed; 0 is until acknowledged"`
}

// Rung is one step of a ladder.
type Rung struct {
	// Who lists "staff:ID", "team:ID", "role:NAME" or "oncall:ROTA".
	Who []string `json:"who" yaml:"who" doc:"staff:ID, team:ID, role:NAME or oncall:ROTA"`
	// Channels lists notifier ids; empty means all there are.
	Channels []string `json:"channels,omitempty" yaml:"channels,omitempty" doc:"notifiers; empty for all"`
	// WaitMinutes is the time until the next rung. It is cut short when every
	// page of this rung was refused. The last rung has no use for it.
	WaitMinutes int `json:"wait_minutes,omitempty" yaml:"wait_minutes,omitempty" doc:"minutes until the next rung"`
}

// Limits is what counts as a storm for a brand. A zero switches a limit off.
type Limits struct {
	Brands []string `json:"brands,omitempty" yaml:"brands,omitempty" doc:"brand ids; empty for all"`
	// Reach is the number of followers of a complaint's authors, those of its
	// reposts included.
	Reach int64 `json:"reach" yaml:"reach" doc:"most followers a complaint may reach; 0 for no limit"`
	// Growth is the number of posts of one story within an hour.
	Growth int `json:"growth" yaml:"growth" doc:"most posts of a complaint's story in an hour; 0 for no limit"`
	// VolumeFactor is how many times the usual number of negative mentions
	// within ten minutes is too many, VolumeMin how many they must be at least.
	VolumeFactor float64 `json:"volume_factor" yaml:"volume_factor" doc:"times the usual negative mentions in ten minutes; 0 for no limit"`
	VolumeMin    int     `json:"volume_min" yaml:"volume_min" doc:"negative mentions in ten minutes below which nothing is a storm"`
}

// Roster is what planning needs to know of staff and channels, for the brand
// of the escalation that is planned.
type Roster struct {
	// Groups maps "team:ID" and "role:NAME" to staff ids.
	Groups map[string][]string
	// Channels are the notifiers that exist and are switched on.
	Channels []Channel
}

// Channel is a notifier as planning sees it.
type Channel struct {
	ID string
	// Shared marks one that reaches a room or another pager, not a person: it
	// gets one page for a rung, whoever stands on it.
	Shared bool
}

// Reason is a reason to page, before anybody decided how urgent it is.
type Reason struct {
	Brand    string
	Category mention.Category
	Origin   Origin
	Reach    int64
}

// Urgency returns what p makes of r at now. What is about Earshot itself is told
// or ignored: it wakes nobody, whatever a rule for everything says.
func (p *Policy) Urgency(r Reason, now time.Time) Urgency {
	open := p.IsOpen(r.Brand, now)
	for i := range p.Rules {
		rule := &p.Rules[i]
		if rule.During == WhileOpen && !open || rule.During == WhileClosed && open || r.Reach < rule.MinReach {
			continue
		}
		if covers(rule.Brands, r.Brand) && covers(rule.Categories, r.Category) && covers(rule.Origins, r.Origin) {
			if r.Origin.Ours() && rule.Urgency.Stronger(Notify) {
				return Notify
			}
			return rule.Urgency
		}
	}
	return Notify
}

// LimitsOf returns the limits of brand; none are set if no entry matches.
func (p *Policy) LimitsOf(brand string) Limits {
	for _, l := range p.Limits {
		if covers(l.Brands, brand) {
			return l
		}
	}
	return Limits{}
}

func (p *Policy) ladder(s *State) *Ladder {
	for i := range p.Ladders {
		if l := &p.Ladders[i]; covers(l.Brands, s.Brand) && covers(l.Urgencies, s.Urgency) && covers(l.Origins, s.Origin) {
			return l
		}
	}
	return &Ladder{}
}

// Roles returns the roles that the ladders of brand name, whatever the urgency of
// what happened to its posts or, with ours, to Earshot itself.
func (p *Policy) Roles(brand string, ours bool) []string {
	var out []string
	for _, u := range []Urgency{Wake, Opening, Notify} {
		for _, o := range Origins {
			if o.Ours() != ours {
				continue
			}
			for _, r := range p.ladder(&State{Brand: brand, Urgency: u, Origin: o}).Rungs {
				for _, who := range r.Who {
					if role, ok := strings.CutPrefix(who, "role:"); ok && !slices.Contains(out, role) {
						out = append(out, role)
					}
				}
			}
		}
	}
	return out
}

// covers tells whether list, where empty means everything, has v.
func covers[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

// staff returns the staff ids behind who at now, without repeats.
func (p *Policy) staff(who []string, now time.Time) []string {
	var out []string
	for _, w := range who {
		kind, name, _ := strings.Cut(w, ":")
		var ids []string
		switch kind {
		case "staff":
			ids = []string{name}
		case "oncall":
			ids = p.OnCall(name, now)
		default:
			ids = p.Roster.Groups[w]
		}
		for _, id := range ids {
			if id != "" && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}

// DefaultPolicy pages the people with the role pr_lead by every channel there
// is: danger, leaks and storms at any hour, threats and inquiries in business
// hours (Tokyo), the rest as a note. Of silent sources, and of messages that run out, it tells the admins.
func DefaultPolicy() Policy {
	leads := []string{"role:pr_lead"}
	return Policy{
		Rules: []Rule{
			{Categories: []mention.Category{mention.ViolentThreat, mention.PersonAtRisk, mention.SafetyHazard, mention.PrivacyBreach}, Urgency: Wake},
			{Origins: []Origin{ByVolume, ByGrowth, ByReach, ByHand}, Urgency: Wake},
			{Categories: []mention.Category{mention.PublicityThreat, mention.LegalThreat}, MinReach: 10_000, Urgency: Wake},
			{Categories: []mention.Category{mention.PublicityThreat, mention.LegalThreat, mention.AuthorityInquiry, mention.MediaInquiry}, Urgency: Opening},
			{Urgency: Notify},
		},
		Ladders: []Ladder{
			{Origins: []Origin{BySilence, ByQuota, ByCanary}, Rungs: []Rung{{Who: []string{"role:admin"}}}},
			{Urgencies: []Urgency{Notify}, Rungs: []Rung{{Who: leads}}},
			{
				Rungs: []Rung{
					{Who: leads, WaitMinutes: 10},
					{Who: []string{"role:pr_lead", "role:admin"}, WaitMinutes: 10},
				},
				RepeatMinutes: 15,
			},
		},
		Hours: []Hours{{
			Zone: NewZone("Asia/Tokyo"), Calendar: "jp",
			Week: map[string][]string{
				"mon": {"09:00-18:00"}, "tue": {"09:00-18:00"}, "wed": {"09:00-18:00"},
				"thu": {"09:00-18:00"}, "fri": {"09:00-18:00"},
			},
		}},
		Limits: []Limits{{Reach: 100_000, Growth: 30, VolumeFactor: 3, VolumeMin: 10}},
	}
}

// Validate returns every mistake in p, joined, each a [config.FieldError].
func (p *Policy) Validate() error {
	var v mistakes
	for i, r := range p.Rules {
		at := fmt.Sprintf("rules[%d].", i)
		oneOf(&v, at+"urgency", r.Urgency, Urgencies...)
		oneOf(&v, at+"during", r.During, "", WhileOpen, WhileClosed)
		for j, c := range r.Categories {
			oneOf(&v, fmt.Sprintf("%scategories[%d]", at, j), c, mention.Categories...)
		}
		for j, o := range r.Origins {
			oneOf(&v, fmt.Sprintf("%sorigins[%d]", at, j), o, Origins...)
		}
		if len(r.Origins) > 0 && !slices.ContainsFunc(r.Origins, func(o Origin) bool { return !o.Ours() }) && r.Urgency.Stronger(Notify) {
			v.add(at+"urgency", "%q is not for what is about Earshot itself, which wakes nobody; want notify or ignore", r.Urgency)
		}
		v.atLeast(at+"min_reach", r.MinReach, 0)
	}
	p.validateLadders(&v)
	p.validateRotas(&v)
	for i := range p.Hours {
		at := fmt.Sprintf("hours[%d].", i)
		p.Hours[i].validate(&v, at)
		name := p.Hours[i].Calendar
		known := name == "" || builtIn()[name] != nil || slices.ContainsFunc(p.Calendars, func(c Calendar) bool { return c.Name == name })
		if !known {
			v.add(at+"calendar", "there is no calendar %q; use jp, or add it to calendars", name)
		}
	}
	for i, c := range p.Calendars {
		at := fmt.Sprintf("calendars[%d].", i)
		if c.Name == "" {
			v.add(at+"name", "is empty")
		}
		for j, d := range c.Days {
			if day, _, _ := strings.Cut(d, " "); !isDate(day) {
				v.add(fmt.Sprintf("%sdays[%d]", at, j), "%q does not begin with a date like 2027-01-01", d)
			}
		}
	}
	for i, q := range p.Quiet {
		if !q.To.After(q.From) {
			v.add(fmt.Sprintf("quiet[%d].to", i), "must be after from")
		}
	}
	for i, l := range p.Limits {
		at := fmt.Sprintf("limits[%d].", i)
		v.atLeast(at+"reach", l.Reach, 0)
		v.atLeast(at+"growth", int64(l.Growth), 0)
		if l.Growth >= MaxGrowth {
			v.add(at+"growth", "%d is not below %d", l.Growth, MaxGrowth)
		}
		v.atLeast(at+"volume_min", int64(l.VolumeMin), 0)
		// Not "< 1 and not 0": that would let NaN through.
		if l.VolumeFactor != 0 && !(l.VolumeFactor >= 1 && l.VolumeFactor <= 1e6) {
			v.add(at+"volume_factor", "must be 1 or more, or 0 to switch it off")
		}
	}
	return errors.Join(v...)
}

func (p *Policy) validateLadders(v *mistakes) {
	for _, u := range []Urgency{Wake, Opening, Notify} {
		last := slices.ContainsFunc(p.Ladders, func(l Ladder) bool { return len(l.Brands) == 0 && len(l.Origins) == 0 && covers(l.Urgencies, u) })
		if !last {
			v.add("ladders", "none is for every brand at urgency %q; add one without brands and origins", u)
		}
	}
	for i, l := range p.Ladders {
		at := fmt.Sprintf("ladders[%d].", i)
		for j, u := range l.Urgencies {
			oneOf(v, fmt.Sprintf("%surgencies[%d]", at, j), u, Wake, Opening, Notify)
		}
		for j, o := range l.Origins {
			oneOf(v, fmt.Sprintf("%sorigins[%d]", at, j), o, Origins...)
		}
		v.minutes(at+"repeat_minutes", l.RepeatMinutes, 0)
		v.atLeast(at+"max_rounds", int64(l.MaxRounds), 0)
		if len(l.Rungs) == 0 {
			v.add(at+"rungs", "needs at least one rung")
		}
		for j, r := range l.Rungs {
			rung := fmt.Sprintf("%srungs[%d].", at, j)
			if len(r.Who) == 0 {
				v.add(rung+"who", "is empty: name staff, a team, a role or a rota")
			}
			for k, w := range r.Who {
				p.validateWho(v, fmt.Sprintf("%swho[%d]", rung, k), w)
			}
			least := 1
			if j == len(l.Rungs)-1 {
				least = 0
			}
			v.minutes(rung+"wait_minutes", r.WaitMinutes, least)
		}
	}
}

func (p *Policy) validateWho(v *mistakes, field, who string) {
	kind, name, _ := strings.Cut(who, ":")
	switch {
	case name == "" || !slices.Contains([]string{"staff", "team", "role", "oncall"}, kind):
		v.add(field, "%q is not staff:ID, team:ID, role:NAME or oncall:ROTA", who)
	case kind == "oncall" && !slices.ContainsFunc(p.Rotas, func(r Rota) bool { return r.Name == name }):
		v.add(field, "there is no rota %q", name)
	}
}

// mistakes collects what is wrong, by field.
type mistakes []error

func (v *mistakes) add(field, format string, args ...any) {
	*v = append(*v, config.Invalid(field, format, args...))
}

func (v *mistakes) atLeast(field string, n, least int64) {
	if n < least {
		v.add(field, "%d is less than %d", n, least)
	}
}

// minutes checks a wait: at most a week, so that no arithmetic overflows.
func (v *mistakes) minutes(field string, n, least int) {
	if n < least || n > 7*24*60 {
		v.add(field, "%d is not between %d and %d minutes", n, least, 7*24*60)
	}
}

func oneOf[T ~string](v *mistakes, field string, got T, want ...T) {
	if !slices.Contains(want, got) {
		v.add(field, "%q is none of %q", got, want)
	}
}
