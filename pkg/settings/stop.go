package settings

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/identity"
)

// Stop keeps all replies of a brand, or of one story within it, from leaving
// until a person releases them (返信停止). It is lifted by deleting it.
type Stop struct {
	ID    string `json:"id"` // the brand's, or [StoryStop]
	Brand string `json:"brand"`
	Story string `json:"story,omitempty"` // empty: the whole brand
	Why   string `json:"why"`
	// Statement is the template that may be said meanwhile, once replies are
	// released; staff see it in the composer first.
	Statement string `json:"statement,omitempty"`
}

// Validate reports everything that is wrong with x.
func (x *Stop) Validate() error {
	var errs []error
	if x.Brand == "" {
		errs = append(errs, config.Invalid("brand", "required"))
	}
	if strings.TrimSpace(x.Why) == "" {
		errs = append(errs, config.Invalid("why", "say why, staff will read it"))
	}
	return errors.Join(errs...)
}

// StopID is the id of the stop of a brand, or of a story.
func StopID(brand, story string) string {
	if story == "" {
		return brand
	}
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(story))
	return (brand + "_" + id)[:min(64, len(brand)+1+len(id))]
}

// StopOf returns the stop that holds for a story of a brand.
func (s *Store) StopOf(brand, story string) (Stop, bool) {
	if x, ok := Stops.Get(s, StopID(brand, "")); ok && x.Story == "" {
		return x, true
	}
	if story == "" {
		return Stop{}, false
	}
	x, ok := Stops.Get(s, StopID(brand, story))
	return x, ok && x.Brand == brand && x.Story == story
}

// StopFor tells why replies of a story of a brand are stopped, if they are.
func (s *Store) StopFor(brand, story string) (why string, ok bool) {
	x, ok := s.StopOf(brand, story)
	return x.Why, ok
}

// HoldFor is how long a reply for brand through the source account can be taken
// back.
func (s *Store) HoldFor(brand, account string) time.Duration {
	if src, ok := Sources.Get(s, account); ok && src.HoldSeconds != 0 {
		return time.Duration(max(0, src.HoldSeconds)) * time.Second
	}
	b, _ := Brands.Get(s, brand)
	return b.Hold()
}

// Deputy approves in the place of somebody who is away.
type Deputy struct {
	ID     string `json:"id"`
	Absent string `json:"absent"` // staff id
	Deputy string `json:"deputy"` // staff id
	From   string `json:"from"`   // first day, 2006-01-02
	To     string `json:"to"`     // last day
}

// Validate reports everything that is wrong with x.
func (x *Deputy) Validate() error {
	var errs []error
	if x.Absent == "" {
		errs = append(errs, config.Invalid("absent", "required"))
	}
	if x.Deputy == "" || x.Deputy == x.Absent {
		errs = append(errs, config.Invalid("deputy", "want somebody else"))
	}
	from, err := time.Parse(time.DateOnly, x.From)
	if err != nil {
		errs = append(errs, config.Invalid("from", "%q: want a day like 2026-12-30", x.From))
	}
	to, err := time.Parse(time.DateOnly, x.To)
	if err != nil {
		errs = append(errs, config.Invalid("to", "%q: want a day like 2026-12-30", x.To))
	} else if to.Before(from) || to.Sub(from) > 366*24*time.Hour {
		errs = append(errs, config.Invalid("to", "%s: want a day from %s on, within a year", x.To, x.From))
	}
	return errors.Join(errs...)
}

// ViewerOf is what p may do on the day of now: what their grants say, and what
// they do for those who are away.
func (s *Store) ViewerOf(p *identity.Staff, now time.Time) identity.Viewer {
	v := p.Viewer()
	if p.Disabled {
		return v
	}
	day := now.Format(time.DateOnly)
	for _, x := range Deputies.List(s) {
		if x.Deputy != p.ID || day < x.From || day > x.To {
			continue
		}
		if absent, ok := Staff.Get(s, x.Absent); ok && !slices.ContainsFunc(Deputies.List(s), func(y Deputy) bool { return y.Deputy == x.Absent && y.Absent == p.ID }) {
			v = v.Deputising(&absent)
		}
	}
	return v
}

// WhoCan returns the ids of the staff who may do a for brand on the day of now, for
// themselves or for somebody who is away, without those of one id.
func (s *Store) WhoCan(a identity.Action, brand, without string, now time.Time) []string {
	var out []string
	for _, p := range Staff.List(s) {
		if p.ID != without && s.ViewerOf(&p, now).Can(a, brand) {
			out = append(out, p.ID)
		}
	}
	return out
}
