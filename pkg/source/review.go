package source

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

// reviewReader reads reviews from platforms that give them newest first, in
// pages. It remembers what it has given, so that neither the platform's order
// nor its clock has to be trusted: a review that turns up late comes, and one
// that was edited comes again as a revision.
type reviewReader struct {
	kind string
	of   string // whose reviews they are; a cursor for others is none
	deps Deps
	// back is how far the first fetch reaches, and how much older than the last
	// fetch a review may be that turns up late.
	back time.Duration
	// reach is how far back the platform gives reviews at all; 0 for all of them.
	reach time.Duration
	// still tells that the platform's time of a review stays when it is edited.
	still bool
	lists func(context.Context) ([]reviewList, error)
}

// reviewList is one of the platform's lists.
type reviewList struct {
	name  string // a country, a location; for errors
	pages int    // read per fetch at most
	// page returns the page at token, empty for the first, and the token of the
	// next one, empty after the last. Reviews that can't be read are left out.
	page func(ctx context.Context, token string) (posts []mention.Post, next string, err error)
}

type reviewCursor struct {
	Of   string    `json:"of"`
	Seen string    `json:"seen"`
	At   time.Time `json:"at,omitzero"`   // begin of the last fetch that read everything
	Last time.Time `json:"last,omitzero"` // begin of the last fetch that gave anything
}

func (c reviewCursor) String() string {
	b, _ := json.Marshal(c)
	return string(b)
}

func (r *reviewReader) fetch(ctx context.Context, cursor string) iter.Seq2[Item, error] {
	var cur reviewCursor
	if cursor != "" {
		if err := json.Unmarshal([]byte(cursor), &cur); err != nil {
			return failed(fmt.Errorf("%s: cursor: %w", r.kind, err))
		}
	}
	if cur.Of != r.of {
		cur = reviewCursor{Of: r.of}
	}
	return func(yield func(Item, error) bool) {
		now := r.deps.Now().UTC()
		lists, err := r.lists(ctx)
		if err != nil {
			yield(Item{}, fmt.Errorf("%s: %w", r.kind, err))
			return
		}
		run := reviewRun{reviewReader: r, seen: loadSeen(cur.Seen), at: cur.At, last: cur.Last, now: now}
		run.since = cmp.Or(cur.At, now).Add(-r.back)
		var failure error
		for _, l := range lists {
			if err := run.read(ctx, l); err != nil && failure == nil {
				failure = fmt.Errorf("%s: %s: %w", r.kind, l.name, err)
			}
		}
		gap := run.gap()
		cur.Last = now
		slices.SortStableFunc(run.news, byAge)
		step, owed := len(run.news)/reviewPlaces+1, false // a cursor
		for i, p := range run.news {
			if run.seen.look(p.NativeID, reviewState(p)) == known {
				continue // it moved from one page to the next while we read
			}
			run.seen.add(p.NativeID, reviewState(p))
			item := Item{Post: p, Gap: gap}
			if owed = i%step != 0; !owed {
				cur.Seen = run.seen.String()
				item.Cursor = cur.String()
			}
			if !yield(item, nil) {
				return
			}
			gap = nil
		}
		if failure != nil {
			if cur.Seen = run.seen.String(); owed && !yield(Item{Cursor: cur.String()}, nil) {
				return
			}
			yield(Item{}, failure)
			return
		}
		for _, p := range run.old {
			run.seen.add(p.NativeID, reviewState(p))
		}
		cur.Seen, cur.At = run.seen.shrunk(run.shown), now
		yield(Item{Cursor: cur.String(), Gap: gap}, nil)
	}
}

// reviewPlaces bounds how many reviews of one fetch carry a cursor, of which each
// is as long as all that was seen.
const reviewPlaces = 1000

// reviewState is what makes an edited review another one.
func reviewState(p mention.Post) string { return strconv.Itoa(p.Rating) + "\x00" + p.Content() }

// reviewLag is how much a platform's clock may be behind ours, or what it shows
// behind what was written, without a list being left too early.
const reviewLag = time.Minute

// reviewRun is one fetch.
type reviewRun struct {
	*reviewReader
	seen                 *seen
	at, last, since, now time.Time

	news  []mention.Post
	old   []mention.Post // too old to tell of, but to know when they are edited
	shown []string       // ids of all that were read and have to be remembered
	cut   []string       // lists that were longer than we may read
	cutTo time.Time      // the oldest that was read of them
}

// read reads a list until a page has nothing new and goes back to the last
// fetch. With an error nothing of it counts, or what is on the pages after it
// would be missed once the first is known.
func (r *reviewRun) read(ctx context.Context, l reviewList) error {
	var news, old []mention.Post
	var shown []string
	token, back := "", r.since
	if !r.at.IsZero() {
		back = r.at.Add(-reviewLag)
	}
	for n := 1; ; n++ {
		posts, next, err := l.page(ctx, token)
		if err != nil {
			return err
		}
		before := len(news)
		var written time.Time
		for _, p := range posts {
			if written = p.PublishedAt; p.EditedAt.After(written) {
				written = p.EditedAt
			}
			late := written.Before(r.since)
			if late && !r.still {
				continue
			}
			shown = append(shown, p.NativeID)
			switch r.seen.look(p.NativeID, reviewState(p)) {
			case fresh:
				if late {
					old = append(old, p)
				} else {
					news = append(news, p)
				}
			case edited:
				// It may have been seen unedited at r.last, and a revision has to be
				// later than the one before it.
				if p.EditedAt = written; r.still || !written.After(r.last) {
					p.EditedAt = r.now
				}
				news = append(news, p)
			}
		}
		if next == "" || len(news) == before && written.Before(back) {
			break
		}
		if n == l.pages || next == token { // or there is no end to it
			if len(news)-before == len(posts) { // nothing on it was known
				r.cut = append(r.cut, l.name)
				if written.After(r.cutTo) {
					r.cutTo = written
				}
			}
			break
		}
		token = next
	}
	r.news, r.old, r.shown = append(r.news, news...), append(r.old, old...), append(r.shown, shown...)
	return nil
}

// gap is what was missed since the last fetch, or nil.
func (r *reviewRun) gap() *Gap {
	switch {
	case r.at.IsZero():
	case r.reach > 0 && r.now.Sub(r.at) > r.reach:
		return &Gap{From: r.at, To: r.now.Add(-r.reach), Why: outbound.Recent.Of(fmt.Errorf("the platform gives reviews of the last %d days only", r.reach/(24*time.Hour)))}
	case len(r.cut) > 0:
		return &Gap{From: r.at, To: r.cutTo, Why: cutLists(r.cut)}
	}
	return nil
}

// cutLists is why reviews are missing: these lists held more new ones than the
// platform gives of each.
type cutLists []string

func (c cutLists) Error() string {
	return "more new reviews than the platform lists: " + strings.Join(c, ", ")
}

func (c cutLists) Trouble() outbound.Trouble {
	return outbound.Trouble{Reason: outbound.Overflow, Said: strings.Join(c, ", ")}
}

// oneAnswer publishes r on a platform that holds one answer per review, where
// another one silently takes its place. It reads the answer that stands, which
// standing returns or nil, and writes only if that is the one whoever sent r has
// seen, or one that no reader ever saw. If r stands already it is not written
// again.
func oneAnswer(ctx context.Context, r Reply, limit Limit, now time.Time, standing func(context.Context) (*mention.Comment, error), write func(context.Context) (Sent, error)) (Sent, error) {
	switch text := strings.TrimSpace(r.Text); {
	case text == "":
		return Sent{}, refuse("the reply is empty")
	case !limit.Fits(r.Text):
		return Sent{}, TooLong.refuse("the reply has %d %s, the platform takes %d", limit.Count(r.Text), limit.Unit, limit.Max)
	}
	has, err := standing(ctx)
	if err != nil {
		// Nothing was written yet, whatever went wrong.
		if known, ok := Refused(err, now); ok {
			return Sent{}, &known
		}
		return Sent{}, &Refusal{Reason: Unreachable, Err: fmt.Errorf("the answer that stands could not be read, so nothing was sent: %w", err)}
	}
	if has != nil && has.State != mention.Rejected {
		if sameText(has.Text, r.Text) {
			return sentComment(*has), nil
		}
		if !slices.ContainsFunc(r.To.Comments, func(c mention.Comment) bool { return c.Ours && sameText(c.Text, has.Text) }) {
			return Sent{}, Answered.refuse("another answer stands below the review, of %s: %q; look at it, and send again to overwrite it", has.At.UTC().Format(time.DateTime), clip(line(has.Text), 200))
		}
	}
	return write(ctx)
}

// findAnswer is Find for a platform that holds one answer per review.
func findAnswer(ctx context.Context, r Reply, standing func(context.Context) (*mention.Comment, error)) (Sent, error) {
	has, err := standing(ctx)
	if err != nil {
		return Sent{}, err
	}
	if has == nil || has.State == mention.Rejected || !sameText(has.Text, r.Text) {
		return Sent{}, ErrNotFound
	}
	return sentComment(*has), nil
}

func sentComment(c mention.Comment) Sent { return Sent{URL: c.URL, NativeID: c.NativeID, At: c.At} }

// ourAnswer is the newest comment of ours, or nil.
func ourAnswer(comments []mention.Comment) *mention.Comment {
	for i := len(comments) - 1; i >= 0; i-- {
		if comments[i].Ours {
			return &comments[i]
		}
	}
	return nil
}

// sameText compares texts of which a platform may have changed white space.
func sameText(a, b string) bool { return line(a) == line(b) }

// withdrawn is what is left of p after its platform withdrew it.
func withdrawn(p mention.Post, now time.Time) mention.Post {
	return mention.Post{
		Platform: p.Platform, NativeID: p.NativeID, Kind: p.Kind, Intake: mention.Live,
		PublishedAt: p.PublishedAt, EditedAt: now, SeenAt: now, Deleted: true,
	}
}

// rereadReviews asks for reviews by one, which returns a review by its id. What
// is missing is withdrawn only if there proves that we still see others: an
// access that has ended must not erase anything. Without there nothing is said
// of what is missing. Of a reply of ours, whose parent is the review, it tells
// what stands in its place.
func rereadReviews(ctx context.Context, posts []mention.Post, now time.Time, one func(context.Context, string) (mention.Post, error), there func(context.Context) error) ([]mention.Post, error) {
	var out []mention.Post
	proven := false
	for _, p := range posts {
		is, err := one(ctx, cmp.Or(p.Thread.Parent, p.NativeID))
		switch code := status(err); {
		case code == http.StatusNotFound || code == http.StatusGone:
			if there == nil {
				continue
			}
			if !proven {
				if err := there(ctx); err != nil {
					return out, fmt.Errorf("a review is missing, but so may be our access: %w", err)
				}
				proven = true
			}
			out = append(out, withdrawn(p, now))
		case err != nil:
			return out, err
		case p.Thread.Parent == "":
			out = append(out, is)
		default:
			c := ourAnswer(is.Comments)
			if c == nil {
				out = append(out, withdrawn(p, now))
				continue
			}
			if !sameText(p.Text, c.Text) {
				p.Text, p.EditedAt = c.Text, c.At
			}
			p.SeenAt = now
			out = append(out, p)
		}
	}
	return out, nil
}
