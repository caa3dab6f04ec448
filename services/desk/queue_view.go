package desk

// queueView is the list of mentions, with one of them open beside it.
type queueView struct {
	frame
	Query string // what was typed into the search
	Sorts []option
	Tabs  []chip // the standing views, with counts
	Saved []chip // the views that people keep
	// SaveQuery is what saving a view would keep.
	SaveQuery string
	MayShare  bool
	Bulk      *bulkBar // what can be done to many
	Facets    []facet
	Later     string // where facets are counted, when they aren't yet
	Keep      []pair // filters that a search keeps
	List      listView
	Case      *caseView
	Back      string   // the list without an open case
	Row       *rowView // with a part: the line of the open case
	New       int      // how many came since the list was made
	Sample    bool     // it is the weekly sample
	Left      string   // how many of the sample wait
}

// pair is a name and value carried through a form.
type pair struct{ Name, Value string }

// listView is one piece of the list.
type listView struct {
	Rows   []rowView
	More   string // address of the next piece; empty at the end
	Notice *notice
	many   bool // more than are worth counting
	total  int
	// Since marks what the list has seen; newer ones wait above it.
	Since string
}

// rowView is one line of the list: a mention, or a story of several.
type rowView struct {
	ID, Href      string
	Pick          bool   // can be chosen for what is done to many
	Step          int    // of risk, 0 to 3
	Risk          string // the gravest category in words
	Intent        string
	Sentiment     string // negative, neutral, positive
	SentimentWord string
	Disposition   string
	Text          []span
	Lang          string // of the text
	Author        string
	Platform      string
	PlatformName  string
	Brand         string
	At            moment
	Due           moment
	State         string // in words
	StateName     string
	Stuck         bool // a reply is not out, or perhaps is
	Holder        string
	Mine          bool
	Story         int // posts in the story, 0 or 1 if alone
	Growth        int // of them within the last hour
	Media         int
	Open          bool // beside the list
	Seen          bool
	Waits         bool // for somebody of ours
	Snoozed       moment
	Tags          []string
	Present       []presentView
}

// span is a piece of text; marked ones are search hits or the words behind a
// verdict.
type span struct {
	Text string
	Mark bool
	Step int    // of the risk that marks it
	Note string // number of the finding it belongs to
	Why  string
	// Again tells that an earlier span has the number already.
	Again bool
	Href  string // set for links in the text
}

// Initials stand for the holder in the list.
func (r rowView) Initials() string { return initials(r.Holder) }

// Chosen are the filters that are set.
func (v *queueView) Chosen() (on []chip) {
	for _, f := range v.Facets {
		for _, c := range f.Chips {
			if c.On {
				on = append(on, c)
			}
		}
	}
	return on
}
