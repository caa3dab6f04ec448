package desk

import "strings"

// frame is what every view shares.
type frame struct {
	*locale
	Title   string
	Path    string // of the request, for links that come back here
	Theme   string // "", "light" or "dark"; empty follows the system
	Density string // "comfortable" or "compact"
	Keys    bool   // single-key shortcuts are on
	User    *userView
	Nav     []navGroup
	Flash   *flash
	Live    bool // the page follows the live events
	Wide    bool // the view fills the window and scrolls inside its panes
}

// userView is the signed-in person, as shown to themselves.
type userView struct {
	ID, Name string
}

// Initials are one or two letters that stand for a person in a list.
func (u *userView) Initials() string { return initials(u.Name) }

func initials(name string) string {
	fields := strings.Fields(name)
	var out []rune
	for _, f := range fields {
		out = append(out, []rune(f)[0])
		if len(out) == 2 {
			break
		}
	}
	if len(fields) == 1 {
		if r := []rune(fields[0]); len(r) > 1 && r[0] > 0x2e80 {
			out = r[:2]
		}
	}
	return strings.ToUpper(string(out))
}

// navGroup is a part of the rail.
type navGroup struct {
	Label string
	Items []navItem
}

// navItem is one page in the rail. Key is the letter after g.
type navItem struct {
	Name, Label, Href, Key string
	Count                  int
	Urgent                 bool
	On                     bool
	Bar                    bool // in sight on a phone, where the others are behind the menu
}

// barred are the pages in sight on a phone: more than four and the menu have
// no room for their names.
var barred = []string{"queue", "escalations", "outbox", "note"}

// flash is what the last action did, with the way back where there is one.
type flash struct {
	Text  string
	Error bool
	Undo  *undo
	Case  string // the case it is about: its row is shown as it stands now
}

// undo is a compensating command.
type undo struct {
	Action string // where to post
	Fields map[string]string
}

// field is an input of a form, with what was typed and what was wrong with it.
type field struct {
	Name, Label, Hint, Value, Error string
	Key                             string // what it is called in files and mistakes
	Type                            string // text, password, email, url, number, date, textarea, select, check
	Options                         []option
	Required, Wide, Mono            bool
	Digits                          bool // brings up the keys for figures
	Plain                           bool // neither asked for nor called optional
	Rows                            int
	Auto                            string // autocomplete
	Placeholder                     string
}

// option is one choice of a select, radio or check list.
type option struct {
	Value, Label, Hint string
	On                 bool
}

// chip is a filter with its count.
type chip struct {
	Label, Href string
	Key         string // after g
	Count       int
	On, Urgent  bool
}

// facet is a set of chips.
type facet struct {
	Name, Label string
	Chips       []chip
}

// notice is a designed state: empty, stale, failed, forbidden.
type notice struct {
	Kind    string // empty, stale, error, forbidden
	Title   string
	Text    string
	Kept    string // what was kept
	Trouble *troubleView
	Links   []link
	Until   moment // counted down to, second by second
}

type link struct{ Label, Href string }
