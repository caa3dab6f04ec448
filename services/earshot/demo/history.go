package demo

import (
	"fmt"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
)

// Deed is what a member of staff did to a case, named after the command.
type Deed string

const (
	Claim    Deed = "claim"
	Draft    Deed = "draft" // Template and Slots
	Submit   Deed = "submit"
	Approve  Deed = "approve"
	SendBack Deed = "send_back" // Text says why
	Send     Deed = "send"
	Note     Deed = "note"       // Text
	Watch    Deed = "watch"      // better not answered
	NotForUs Deed = "not_for_us" // Text says why
	HandOver Deed = "hand_over"  // To a team; Text is the message
	Promise  Deed = "promise"    // Due, and again EveryS later
	Measure  Deed = "measure"    // Cause and Measure, due at Due and owned by To
	Assign   Deed = "assign"     // To a member of staff, who is told
	Escalate Deed = "escalate"   // Text says why
	Facts    Deed = "facts"      // Text says which are confirmed
	Close    Deed = "close"      // Outcome; Text is what was done; Cause and Measure where it is weighty
)

// Case is what was done with one post of the day.
type Case struct {
	Post struct {
		Platform string `yaml:"platform"`
		NativeID string `yaml:"native_id"`
	} `yaml:"post"`
	Brand   string   `yaml:"brand"`
	Actions []Action `yaml:"actions"` // oldest first
}

// Action is one step in a case.
type Action struct {
	OffsetS  int64             `yaml:"offset_s"` // seconds before now
	By       string            `yaml:"by"`       // id of [Staff]
	Do       Deed              `yaml:"do"`
	Template string            `yaml:"template"`
	Slots    map[string]string `yaml:"slots"` // but author, brand, staff and case, which the case fills
	Text     string            `yaml:"text"`
	To       string            `yaml:"to"` // id of [Teams]
	Outcome  string            `yaml:"outcome"`
	Cause    string            `yaml:"cause"`
	Measure  string            `yaml:"measure"` // what keeps it from coming back; it is due at Due and owned by who acts
	DueS     int64             `yaml:"due_s"`   // seconds before now; negative lies ahead
	EveryS   int64             `yaml:"every_s"`
}

// At is when the action was done.
func (a Action) At(now time.Time) time.Time { return now.Add(-time.Duration(a.OffsetS) * time.Second) }

// Due is the time promised by a [Promise].
func (a Action) Due(now time.Time) time.Time { return now.Add(-time.Duration(a.DueS) * time.Second) }

// History returns the answered backlog.
func History() ([]Case, error) {
	f, err := decode[struct {
		Cases []Case `yaml:"cases"`
	}]("history.yaml")
	return f.Cases, err
}

// Wish is something that customers wish for, with the posts that ask for it.
type Wish struct {
	ID       string              `yaml:"id"`
	Title    string              `yaml:"title"`
	Brand    string              `yaml:"brand"`
	About    string              `yaml:"about"`
	Status   casework.WishStatus `yaml:"status"`
	Owner    string              `yaml:"owner"` // id of [Staff]
	Template string              `yaml:"template"`
	Search   string              `yaml:"search"`
	Posts    []struct {          // of the day
		Platform string `yaml:"platform"`
		NativeID string `yaml:"native_id"`
		Words    string `yaml:"words"`
	} `yaml:"posts"`
	Earlier []Earlier `yaml:"earlier"`
}

// Card is the wish as a setting.
func (w *Wish) Card() casework.WishCard {
	return casework.WishCard{
		ID: w.ID, Title: w.Title, Brand: w.Brand, About: w.About, Status: w.Status, Owner: w.Owner, Template: w.Template, Search: w.Search,
	}
}

// Earlier is a post from before the day, so that figures have a past.
type Earlier struct {
	Days     int    `yaml:"days"` // before now
	Platform string `yaml:"platform"`
	Author   string `yaml:"author"`
	Lang     string `yaml:"lang"`
	Text     string `yaml:"text"`
}

// Post is the post as it was published, the nth of the wish.
func (e *Earlier) Post(wish string, n int, now time.Time) mention.Post {
	id := fmt.Sprintf("%s-%d", wish, n)
	kind := mention.KindPost
	if e.Platform == "appstore" || e.Platform == "googleplay" {
		kind = mention.KindReview
	}
	return mention.Post{
		Platform: e.Platform, NativeID: id, Kind: kind, Intake: mention.Bulked, Lang: e.Lang, Text: e.Text,
		Author: mention.Author{ID: "earlier-" + id, Name: e.Author}, PublishedAt: now.AddDate(0, 0, -e.Days), SeenAt: now,
	}
}

// Wishes returns what customers wish for.
func Wishes() ([]Wish, error) {
	f, err := decode[struct {
		Wishes []Wish `yaml:"wishes"`
	}]("wishes.yaml")
	return f.Wishes, err
}
