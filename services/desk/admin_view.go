package desk

// escalationsView lists the pages, open ones first.
type escalationsView struct {
	frame
	Tabs   []chip
	Rows   []escalationRow
	Notice *notice
	More   string
}

type escalationRow struct {
	ID, Href    string
	Step        int
	Title       string // the cause in words
	Text        []span
	Lang        string
	Brand       string
	State       string
	StateName   string // open, acknowledged, closed
	Holder      string
	At          moment
	Count       int
	Next        moment
	Policy      string // wake, first at opening, notify
	AckAction   string
	Acknowledge bool
}

// escalationView is one page with all that happened to it.
type escalationView struct {
	frame
	ID          string
	Step        int
	State       string
	StateName   string
	Cause       string
	Reason      string
	Trouble     *troubleView // what stops a silent source
	Policy      string
	Subject     string // what it is about, where that is no post
	Brand       string
	At          moment
	AckedBy     string
	AckedAt     moment
	Next        moment
	NextWho     string
	Posts       []postView
	Others      []rowView // that joined
	All         link      // to everything of the kind; empty if nothing joined
	Count       int
	Case        link
	History     []eventView
	Acknowledge string // where to post; empty when not possible
	Close       string
	Wrong       string // "should not have woken me"
	WrongSaid   bool
	Labels      string // where to say what it is instead
	Note        *notice
}

// acknowledgeView is the phone-sized page behind the link in a page.
type acknowledgeView struct {
	frame
	Token     string
	Step      int
	State     string
	StateName string
	Cause     string
	Brand     string
	Post      postView
	Count     int
	Growth    int
	At        moment
	Next      moment
	NextWho   string
	AckedBy   string
	AckedAt   moment
	Who       string // whom the link was sent to
	WrongSaid bool
	Done      string // what was just done
	Full      string // the page in the desk
	Notice    *notice
}

// templatesView lists reply templates.
type templatesView struct {
	frame
	Query  string
	Keep   []pair // filters that a search keeps
	Tabs   []chip
	Facets []facet
	Rows   []templateRow
	Notice *notice
	May    bool
	Export string
}

type templateRow struct {
	Href, Name, Lang, When, Apology string
	State, StateName                string
	Version                         int
	Used                            int
	Review                          string // until when it is to be reviewed
	Past                            bool   // it should have been
	Changed                         moment
	By                              string
}

// templateView is one template: its text, its state, its versions.
type templateView struct {
	frame
	ID, Name  string
	State     string
	StateName string
	Version   int
	Action    string
	Fields    []field
	Text      field
	Fixed     bool // not to be edited now
	Preview   *previewView
	Lengths   []lengthView
	Actions   []actionView
	Versions  []versionView
	History   []eventView
	Diff      []diffLine
	DiffOf    string
	Used      string // how often, and how often edited
	Export    string
	Back      string // where a sending back is posted
	Notice    *notice
	Based     string // the version of the setting that the form shows
}

type lengthView struct {
	Platform     string
	Count, Limit int
}

// Over tells whether the text is too long for the platform.
func (l lengthView) Over() bool { return l.Limit > 0 && l.Count > l.Limit }

type versionView struct {
	Version int
	State   string
	By      string // who worded it
	Note    string
	Text    string
	Lang    string
	On      bool
}

// diffLine is a line of two texts side by side; a side that is empty has no such
// line.
type diffLine struct {
	Old, New string
	Changed  bool
}

// brandsView lists the brands that are listened for.
type brandsView struct {
	frame
	Rows   []brandRow
	Notice *notice
	May    bool
}

type brandRow struct {
	Href, ID, Name, Query, Error string
	Today, Open                  int
	Sources                      []string
	On                           bool
}

// brandView edits a brand and its query, with what the query would find.
type brandView struct {
	frame
	ID, Name string
	New      bool
	Action   string
	Fields   []field
	Query    field
	More     []field
	Mistake  *mistakeView
	Preview  *queryPreview
	History  []eventView
	May      bool
	Notice   *notice
	Version  string // of the brand that the form shows
	// Proposals are what staff would have the query leave out.
	Proposals []proposalView
}

// mistakeView points at the place of a mistake in a query.
type mistakeView struct {
	Before, At, After string
	Text              string
}

type queryPreview struct {
	Stored  int // matches among the stored
	Of      int
	Rows    []rowView
	Sources []sourcePreview
}

type sourcePreview struct {
	Name    string
	Trouble *troubleView
	Found   int
	Rows    []rowView
}

// sourcesView shows whether each source still hears anything.
type sourcesView struct {
	frame
	May    bool
	Rows   []sourceRow // the last one may be that of second opinions
	Notice *notice

	Tabs     []chip // times to show coverage for
	Coverage []coverageRow
	Duties   []dutiesRow
	Line     *lineView // nil when no canaries are sent
}

// lineView is whether mentions get through, by the canaries.
type lineView struct {
	State, StateName string // ok, waiting, failing
	Back             moment
	Every            string
	Took, Half, Most string // empty before one has come through
	Of, Lost         int    // in the last 24 hours
}

// coverageRow is how a source was heard over the last days.
type coverageRow struct {
	Name, Href string
	Strip      []stripPart
	Share      string // heard, of the time in which it was to be
	Missed     string // how long it was not; empty for never
	Text       string // all of that in words
}

// stripPart is a stretch on the strip, in the strip's units.
type stripPart struct{ Way, X, W string }

type outageView struct {
	From, To         moment
	Span             string
	Cause            string
	Trouble          *troubleView
	State, StateName string
}

// dutiesRow is what the platform of one kind of sources asks.
type dutiesRow struct {
	Kind  string
	Facts []fact
}

type sourceRow struct {
	ID, Name, Kind, Detail string
	Account                string // whom it acts for, by the platform's name
	Href                   string
	State                  string // ok, waiting, silent, failing, away, off
	StateName              string
	Success, Item, Next    moment
	Lag                    string
	LagLate                bool
	Trouble                *troubleView
	Quota                  string
	Spent                  []string // of today and this month
	Silent                 string
}

// deadView lists what could not be handled.
type deadView struct {
	frame
	Tabs   []chip
	Rows   []deadRow
	Notice *notice
	More   string
}

type deadRow struct {
	ID, Service, Subject, Text string
	Why, Next                  string // in the viewer's language
	Error                      string // the program's own words
	At                         moment
	Tries                      int
}

// staffView lists people and API tokens.
type staffView struct {
	frame
	Rows    []staffRow
	Tokens  []tokenRow
	Invited *secretView
	Open    []invitedRow // invitations
	May     bool
	Action  string
	Notice  *notice
}

type staffRow struct {
	Href, Login, Name, Public string
	Roles                     []string
	Brands                    []string
	Off                       bool
}

// Initials stand for the person.
func (r staffRow) Initials() string { return initials(r.Name) }

// sureView is an action that is asked about before it is done.
type sureView struct{ Label, Action, Text string }

// invitedRow is somebody who was invited and has not come yet.
type invitedRow struct {
	Name, Email, By string
	Roles           []string
	At, Ends        moment
	Sent, Late      bool
	Resend, Revoke  string
}

type tokenRow struct {
	ID, Name      string
	Scopes        []string
	Brands        []string
	Created, Used moment
	Expires       moment
	Action        string
	Key           string // makes another signing key; empty where none is of use
	Signs         bool   // has one already
}

// importView is a file to bring in: the form to upload one, or what is in it.
type importView struct {
	frame
	Back          link
	Form          formView // to upload, or to say what the file doesn't
	Past          []link
	Job           *importJob // nil before there is one
	Status        string     // ready, running, dead, done, failed
	Share         int        // of the file that is read, in percent
	Preview       []importPreview
	Run, RunLabel string // begins it, or goes on
	Drop          string
}

// Tense tells whether the figures are of what would happen.
func (v *importView) Tense() string {
	if v.Status == "ready" {
		return "would"
	}
	return "is"
}

type importPreview struct {
	At                            moment
	Platform, Brand, Author, Text string
}

// secretView shows something once: a link or token that can't be shown again.
type secretView struct{ Title, Text, Value string }

// formView is a plain form: a person, a token, a contact note, one's settings.
type formView struct {
	frame
	Check  string // where what is typed is looked at
	Hidden []pair
	Lead   string
	Action string
	Button string
	Upload bool
	Groups []fieldGroup
	Notice *notice
	Secret *secretView
	Danger *actionView
	Sure   []sureView // beside Danger, asked about first
	Links  []link     // to what belongs to it
	Back   link
	// Example is what a file can look like.
	Example string
	Second  *formView // another form below, with its own button
	Try     string    // where what is typed can be tried; empty for not at all
	// First is what the button before Button sends, FirstButton what it says;
	// empty for no such button.
	First       pair
	FirstButton string
}

// sourceView is one source: its settings, how it fares, and what its platform
// asks of us.
type sourceView struct {
	formView
	State   *sourceRow // nil for a new one
	Hook    string     // where its platform can push; empty for nowhere
	Guessed bool       // Hook is made of the request, not configured
	Consent *consentView
	Tried   *triedView
	Duties  []fact

	Tabs    []chip
	Heard   *coverageRow
	Outages []outageView
}

// consentView is whether a person has let a source in on the platform's page.
type consentView struct {
	Action   string // asks for the way there; empty before the source is saved
	Go, Host string // the platform's page; empty before it is asked for
	Redirect string // what the platform must know of us
	Guessed  bool   // Redirect is made of the request, not configured
	On       bool   // the source is switched on once it is let in
	Since    moment
	By       string
	Account  string // by the platform's name; empty where it doesn't tell
	Trouble  *troubleView
}

// triedView is what a configuration would bring.
type triedView struct {
	Error   string // what is wrong with what was typed
	Trouble *troubleView
	Text    string // in one sentence
	Secrets bool   // those that were typed have to be typed again
	Rows    []triedRow
}

type triedRow struct {
	rowView
	Brands []string // that it is about
}

type fieldGroup struct {
	Label, Hint string
	Fields      []field
}

// signInView asks who somebody is.
type signInView struct {
	frame
	Lead   string
	Action string
	Fields []field
	Button string
	Error  string
	Next   string
	Hidden []pair
	Links  []link

	// Provider is the way in by an OpenID provider; nil without one.
	Provider *link
	// Folded keeps the form closed: it is for emergencies.
	Folded bool
}

// sandboxView is the timeline of the built-in platform, as a stranger would
// see it.
type sandboxView struct {
	frame
	Posts  []postView
	Notice *notice
}

// errorView is a page that says what happened, what was kept and what to do.
type errorView struct {
	frame
	Code   int
	Notice notice
}

// connectionsView lists notifiers, or the kinds there are to choose from.
type connectionsView struct {
	frame
	Lead   string
	New    string
	Back   link
	Kinds  []kindView
	Rows   []connectionRow
	Notice *notice
}

type connectionRow struct {
	Href, Name, Kind string
	Off              bool
}
