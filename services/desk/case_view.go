package desk

import "slices"

// casePage shows one case alone.
type casePage struct {
	frame
	Case *caseView
}

// caseView is one mention with everything about it: what was said, what we
// think of it, what we did, and what can be done now.
type caseView struct {
	ID, Number   string
	Href         string // of the case alone
	Back         string // where actions return to
	Revision     uint64 // the history's length that actions build on
	State        string
	StateName    string
	Stuck        bool // a reply is not out, or perhaps is
	Brand        string
	Place        string
	Holder       string
	Mine         bool
	Due          moment
	DueWhat      string // what the deadline is for
	Promise      *promiseView
	Post         postView
	Parent       *postView
	Before       []postView
	After        []postView
	Below        string // where all answers are asked for; empty where nobody can be asked, or was
	BelowNone    bool
	BelowTrouble *troubleView
	Verdict      verdictView
	Steps        []stepView
	Tags         []chip
	Assignee     string      // whose it is, when they don't work on it now
	Private      *actionView // what is masked can be shown
	Links        []linkedView
	LinkForm     *actionView
	LeaveOut     *leaveOutView
	Book         *bookView
	Care         *careView
	Earlier      []earlierView
	EarlierAll   string
	Story        *storyView
	Escalation   *link
	Note         *notice // read-only, lost claim, deleted at the platform
	History      []eventView
	Present      []presentView
	Actions      []actionView
	Composer     *composerView
	Confirm      *confirmView
	Ask          *askView
	Labels       *labelsView
	Blind        bool // what we think of it is not shown
}

// Initials stand for the holder.
func (v *caseView) Initials() string { return initials(v.Holder) }

// postView is one public post.
type postView struct {
	ID                      string // to be linked to
	Author, Handle, Profile string
	Avatar                  string
	X                       bool // shown as X asks for it: its mark, links as there, the way to the post
	Platform, PlatformName  string
	Href                    string
	Title                   []span
	Body                    []span
	Lang                    string
	At                      moment
	Followers               string
	Rating                  int
	Media                   []mediaView
	Metrics                 []metric
	Ours                    bool   // written by us
	By                      string // public name of the person behind a reply of ours
	Note                    string // what it is in the thread
	Case                    string // of a post that is a case of its own
	Flag                    string // what became of a reply of ours
	Reads                   string // how it reads there, if otherwise
	Deleted, Edited, Cut    bool
	// Folded hides a harsh post behind a summary line until it is opened.
	Folded string
	// FoldMedia hides pictures until they are opened.
	FoldMedia bool
}

// Passages are the pieces of the body, the long ones folded.
func (p postView) Passages() []passage { return passages(p.Body) }

// Stars draws a rating with its words beside it.
func (p postView) Stars() []bool {
	stars := make([]bool, 5)
	for i := range stars {
		stars[i] = i < p.Rating
	}
	return stars
}

type mediaView struct {
	Type, Src, Alt, Href string
}

type metric struct{ Label, Value string }

// verdictView is what the classifier says, with its reasons.
type verdictView struct {
	Disposition     string
	DispositionName string
	Intent          string
	IntentP         float64
	Sentiment       string
	SentimentName   string
	SentimentP      float64
	Risks           []riskView
	Page            bool
	PageReason      string
	Model           string
	Unread          bool
	Partly          bool
	Judged          *judgedView // a person's word; nil where there is none
}

// riskView is one risk found, with the words that show it.
type riskView struct {
	Note     string // number that ties it to the marked words
	Name     string
	Label    string
	Step     int
	Words    string
	Rule     string
	P        float64
	Rung     string
	Deadline moment

	start, end int // of the words, in code points
}

// promiseView is a report promised to the author.
type promiseView struct {
	By    moment
	Every string
	// Kept and End are where it is said that we reported, and that none is owed.
	Kept, End string
}

// stepView is one step of a playbook.
type stepView struct {
	Text, Who string
	Done      bool
	By        string
	At        moment
	Action    string // ticks it, or unticks it
	Fields    []pair
}

// careView is what is known, decided and done about a case besides its replies.
type careView struct {
	Facts      string
	Measures   []measureView
	Harassment string
	Reaction   string
	Wishes     []wishLink
	Links      []actionView // what can be added
}

type measureView struct {
	Text, Cause, Owner, State string
	Due                       moment
	Done                      bool
	Finish                    string // leads to the form that says it is done
}

type wishLink struct {
	Href, Title, Words string
	Drop               string
}

// bookView is what a playbook says besides its steps.
type bookView struct {
	Name, Offer, Hints, Never, Law string
	Clocks                         []clockView
	Templates                      []link
	Edit                           string
}

type clockView struct {
	Text string
	Due  moment
}

// earlierView is something this author said before, and our answer.
type earlierView struct {
	Href, Text, Reply string
	At                moment
	Lang              string
}

// linkedView is an author that a person says is the same.
type linkedView struct {
	Href, Author, Platform, Basis, By string
	At                                moment
	Undo                              *actionView
	Earlier                           []earlierView
}

// storyView is the post with its reposts and near-copies.
type storyView struct {
	Key    string
	Count  int
	Growth int // in the last hour
	First  moment
	Href   string
	Items  []earlierView
}

// eventView is one line of the history.
type eventView struct {
	At     moment
	Who    string
	What   string
	Kind   string // note, reply, page, or plain
	Text   string // a note or a reply in full
	Lang   string
	Href   string
	Files  []link
	System bool
}

// presentView is somebody else on this case.
type presentView struct {
	Name  string
	Doing string // viewing, editing, idle
}

// Initials stand for the person.
func (p presentView) Initials() string { return initials(p.Name) }

// actionView is one thing that can be done now.
type actionView struct {
	Name, Label, Key string
	Action           string // where to post
	Then             string // the state the row shows until the answer comes
	Primary, Danger  bool
	More             bool // kept in the menu
	Ask              bool // asks for more first: GET Action
	Fields           []pair
}

// composerView is where a reply is made.
type composerView struct {
	Action    string // of the case, without the verb
	Revision  uint64
	Unsaved   bool   // it shows what somebody chose, typed or opened, not what is stored
	Loses     bool   // it shows what somebody chose or typed, which goes with the page
	Mode      string // reply or note
	Templates []templateOption
	Chosen    *templateOption
	Kind      string // first, interim, final
	Kinds     []option
	Promise   field
	Every     field // how often, of a promise
	Slots     []field
	Text      string
	Lang      string
	Preview   *previewView
	Account   string
	Accounts  field // where several could
	Posts     field // which it answers, where several joined
	To        string
	Hand      *notice // why no reply can leave from here: it is copied, then marked as posted
	// Overwrites is our answer that the platform replaces by another one.
	Overwrites *notice
	// Waits tells that a second person has to approve, and why.
	Waits string
	// Approved tells who approved the reply as it stands; empty for nobody.
	Approved string
	// Lapsed tells whose approval of the reply is over; empty for none.
	Lapsed  string
	Claim   bool // must be claimed before anything can be written
	Holder  string
	Draft   string // who wrote the draft, and when
	Pending *pendingView
	// Version is the draft's that the text is based on, Rendered the
	// template's text as it was last filled in.
	Version  int
	Rendered string
	NoteOnly bool // no reply can be written now
	Picks    *pickView
	Facts    bool   // the template wants confirmed facts, and there are none
	Stopped  string // why no reply may leave now
	SentBack string // why it came back
}

// pendingView is a reply waiting for approval, as the approver sees it.
type pendingView struct {
	By       string
	At       moment
	Text     string
	Changes  []span // marked: what differs from the template
	Own      bool   // one's own work can't be approved
	May      bool
	Hash     string
	Template string
	Alone    bool // a PR lead may approve it alone, in an emergency
	Findings []findingView
	Edited   *editView // the post was edited since; nil if not
}

// editView is a text beside what it was before, what differs marked in each. Both
// are empty where nobody knows any more what it was.
type editView struct {
	Lang     string
	Old, New []span
	// Besides says what the marks do not show, a sentence each.
	Besides []string
}

// Marked tells that something in the text is.
func (v editView) Marked() bool {
	marked := func(s span) bool { return s.Mark }
	return slices.ContainsFunc(v.Old, marked) || slices.ContainsFunc(v.New, marked)
}

// templateOption is a template offered for the case.
type templateOption struct {
	ID, Name, Lang, When, Why, Apology string
	Version                            int
	Text                               string
	Past                               string // its review is overdue
	On                                 bool
}

// previewView is the reply as the platform will show it.
type previewView struct {
	Author, Handle string
	PlatformName   string
	Platform       string
	Text           string
	Spans          []span // of Text, with what was found marked
	Lang           string
	Count, Limit   int
	Findings       []findingView
}

// Blocked tells that the reply can't go out as it is.
func (p previewView) Blocked() bool {
	return slices.ContainsFunc(p.Findings, func(f findingView) bool { return f.Block })
}

// Over is how far the text is over the platform's limit.
func (p previewView) Over() int {
	if p.Limit == 0 {
		return 0
	}
	return max(0, p.Count-p.Limit)
}

// findingView is something the reply check says.
type findingView struct {
	Note, Name, Words, Why, Turn string
	Block                        bool
}

// confirmView says exactly what will happen before it can't be undone.
type confirmView struct {
	Stored bool // it is there by the state of the case: nobody opened it
	Title  string
	Action string
	Facts  []fact
	Text   string
	Lang   string
	Button string
	Danger bool
	Fields []pair
	Inputs []field
	Lead   string
	Copy   bool   // the text is to be copied by hand
	Open   string // where it is to be pasted
	// CopyOpen copies the text and opens this address with the button.
	CopyOpen string
	ByHand   *confirmView // posting it by hand instead
	Back     string
}

// fact is a line of a definition list.
type fact struct{ Label, Value, Href string }

// askView is a small form a command needs: until when, to whom, why.
type askView struct {
	Title, Text, Action, Button, Back string
	Fields                            []field
	Hidden                            []pair
	Danger                            bool
	Next                              bool // the next mention opens when done
}
