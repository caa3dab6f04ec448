package source

import (
	"math"
	"time"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

// ProgressKey is where the fetcher keeps the progress of a source, among the
// cursors.
func ProgressKey(id string) string { return "source." + id }

// Progress is how far a source has come and how it fares. The fetcher keeps
// it, the desk shows it.
type Progress struct {
	Cursor string `json:"cursor"`
	// Success is the end of the last fetch without an error; for a streaming
	// source the last item.
	Success time.Time `json:"success"`
	// Item is when the newest item was published, and Taken when the last one
	// arrived.
	Item  time.Time `json:"item"`
	Taken time.Time `json:"taken"`
	// Items counts what was read, Mentions what matched a brand.
	Items    uint64 `json:"items"`
	Mentions uint64 `json:"mentions"`
	// Error is why the last fetch failed, empty when it did not. Since is when
	// it began to fail, and Next when it is tried again.
	Error string `json:"error,omitempty"`
	// Trouble is the same as data, for people.
	Trouble outbound.Trouble `json:"trouble,omitzero"`
	Since   time.Time        `json:"since,omitzero"`
	Next    time.Time        `json:"next,omitzero"`
	// Gap is the usual time between items and Pause its usual longest, as over
	// a night or a weekend. Silent tells that the present silence is longer
	// than both explain.
	Gap    time.Duration `json:"gap"`
	Pause  time.Duration `json:"pause,omitzero"`
	Silent bool          `json:"silent"`
	// Began is since when this process listens: what came while nobody did is
	// no silence. The fetcher sets it.
	Began time.Time `json:"-"`
	// Account is whom the source acts for, by the platform's name; empty where
	// it acts for nobody or that isn't known.
	Account string `json:"account,omitempty"`
	// Alive is until when the source has been run for sure.
	Alive time.Time `json:"alive,omitzero"`
	// Left of Quota requests until Reset, where the platform tells.
	Quota int       `json:"quota,omitempty"`
	Left  int       `json:"left,omitempty"`
	Reset time.Time `json:"reset,omitzero"`
	// Spending is what a platform that takes money has cost.
	Spending *Spending `json:"spending,omitempty"`
}

// Took notes items that arrived at now.
func (p *Progress) Took(items, mentions int, newest, now time.Time) {
	if items == 0 {
		return
	}
	if !p.Taken.IsZero() {
		quiet := p.quiet(now)
		// A moving average over about the last ten arrivals.
		p.Gap += (quiet/time.Duration(items) - p.Gap) / 10
		// Half of what is not heard again is forgotten in four weeks. A longer
		// pause counts by a third: what happens again and again becomes a
		// habit, and one failure doesn't.
		p.Pause = time.Duration(float64(p.Pause) * math.Exp2(-quiet.Hours()/(28*24)))
		if quiet > p.Pause {
			p.Pause += (quiet - p.Pause) / 3
		}
	}
	p.Taken, p.Silent = now, false
	p.Items += uint64(items)
	p.Mentions += uint64(mentions)
	if newest.After(p.Item) {
		p.Item = newest
	}
}

// Hush notes at now whether the source is silent against its own habit: for
// ten times its usual gap, half as long again as its usual pause, and at least
// an hour. It returns true when that has just become so. Only an item ends a
// silence.
func (p *Progress) Hush(now time.Time) bool {
	if p.Silent || p.Items < 20 || p.quiet(now) <= max(10*p.Gap, p.Pause*3/2, time.Hour) {
		return false
	}
	p.Silent = true
	return true
}

// quiet is for how long nothing came, as far as somebody listened.
func (p *Progress) quiet(now time.Time) time.Duration {
	if p.Began.After(p.Taken) {
		return now.Sub(p.Began)
	}
	return now.Sub(p.Taken)
}

// Away tells whether nobody seems to run the source: it is written down every
// minute that somebody does.
func (p *Progress) Away(now time.Time) bool {
	return !p.Alive.IsZero() && now.Sub(p.Alive) > 3*time.Minute
}

// Lag is how late the newest item arrived, or zero.
func (p *Progress) Lag() time.Duration {
	if p.Item.IsZero() || p.Taken.Before(p.Item) {
		return 0
	}
	return p.Taken.Sub(p.Item)
}

// RereadKey is where the fetcher keeps how far the reading again of a source's
// posts has come, among the cursors.
func RereadKey(id string) string { return "source." + id + "=again" }

// Rereading is a pass over the stored posts of a source, in which its platform
// is asked what became of them; see [Duties.Reread].
type Rereading struct {
	Cursor string    `json:"cursor"` // in the index; empty between two passes
	Began  time.Time `json:"began,omitzero"`
	Ended  time.Time `json:"ended,omitzero"` // the pass before
	Next   time.Time `json:"next,omitzero"`  // when it goes on
	// Of this pass, or of the last one that has ended.
	Total  int    `json:"total"` // posts there are
	Done   int    `json:"done"`
	Gone   int    `json:"gone"` // withdrawn, or not public any more
	Edited int    `json:"edited"`
	Error  string `json:"error,omitempty"` // why it doesn't go on
	// Trouble is Error as data, for people.
	Trouble outbound.Trouble `json:"trouble,omitzero"`
	// Job is what the platform goes through the posts as; see [Auditor].
	Job string `json:"job,omitempty"`
}

// Count notes posts that have changed.
func (r *Rereading) Count(changed []*mention.Mention) {
	for _, m := range changed {
		if m.Deleted {
			r.Gone++
		} else {
			r.Edited++
		}
	}
}

// ParentPost names a post that others answer. Of a list of them the indexer says
// whose reply each is: the brands that published it, or none.
type ParentPost struct {
	Platform string `json:"platform"`
	NativeID string `json:"native"`
}

// Stored asks the indexer for mentions to be read again: those of a source, and
// with AllOf also those of that platform which none of the Sources brought.
type Stored struct {
	Source  string   `json:"source"`
	AllOf   string   `json:"all_of,omitempty"`
	Sources []string `json:"sources,omitempty"`
	Cursor  string   `json:"cursor,omitempty"`
}

// StoredPosts are mentions as far as they are needed to read them again, oldest
// first, at most [RereadAtOnce].
type StoredPosts struct {
	Mentions []StoredPost `json:"mentions"`
	Total    int          `json:"total"`
	Next     string       `json:"next,omitempty"` // empty at the end
}

// StoredPost is a mention without what it says.
type StoredPost struct {
	Brand string       `json:"brand"`
	Hash  string       `json:"hash"` // of its revision
	Post  mention.Post `json:"post"`
}
