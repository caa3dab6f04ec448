package casework

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/earshot/earshot/pkg/text"
)

// IndexTags are what the index keeps of a case besides where it stands, so that
// lists across cases are found again: what people tagged, and Earshot's own marks.
func (s *State) IndexTags() []string {
	var tags []string
	for _, t := range s.Tags {
		tags = append(tags, TagPrefix+t)
	}
	if s.WakeOnPost && !s.Snoozed.IsZero() {
		tags = append(tags, TagWakes)
	}
	if len(s.Links) > 0 {
		tags = append(tags, TagLinked)
	}
	if s.Promise != nil {
		tags = append(tags, TagPromised)
	}
	if len(s.Judgements) > 0 {
		tags = append(tags, TagJudged)
	}
	for _, j := range s.Judgements {
		if j.Sample != "" {
			tags = append(tags, j.Sample.Tag())
		}
	}
	if n := len(s.Replies); n > 0 {
		last := &s.Replies[n-1].Draft
		tags = append(tags, last.SaidTag())
		if last.Edited || last.Template == "" {
			tags = append(tags, TagEdited)
		}
		if last.Kind == Interim && s.Care.Reaction == "" && s.Status != Done {
			tags = append(tags, TagSilent)
		}
	}
	switch o := s.Outgoing; {
	case o != nil && o.Unsure:
		tags = append(tags, TagUnsure)
	case o != nil:
		tags = append(tags, TagWaiting)
	case s.failed():
		tags = append(tags, TagFailed)
	}
	for i := range s.Care.Measures {
		if s.Care.Measures[i].Open() {
			tags = append(tags, TagMeasure)
			break
		}
	}
	if s.Care.Unreviewed != nil {
		tags = append(tags, TagEmergency)
	}
	if s.Care.Reaction != "" {
		tags = append(tags, "reaction."+string(s.Care.Reaction))
	}
	for _, w := range s.Care.Wishes {
		tags = append(tags, WishTag(w.ID))
	}
	return tags
}

// Tags of cases.
const (
	TagWaiting   = "out.waiting" // a reply was sent and has not left
	TagUnsure    = "out.unsure"  // nobody knows whether a reply is out
	TagFailed    = "out.failed"  // a reply could not be published, and nobody has gone on since
	TagSilent    = "silent"      // no word from the author since a holding reply
	TagMeasure   = "measure"     // a countermeasure is open
	TagEmergency = "emergency"   // an approval in an emergency waits for its review
	TagEdited    = "edited"      // the last reply differed from its template
	TagMerged    = "merged"      // it goes on in another case
)

// WishTag marks the mentions that count for a wish.
func WishTag(wish string) string { return "wish." + wish }

// failed tells that the last attempt to publish failed and the reply lies there.
func (s *State) failed() bool {
	if s.Draft == nil || s.Status == Done {
		return false
	}
	for i := len(s.History) - 1; i >= 0; i-- {
		switch s.History[i].Kind {
		case SendFailed:
			return true
		case SendAsked, Sent, Posted, Drafted, SendStopped:
			return false
		}
	}
	return false
}

// SaidTag marks in the index what the last reply said, apart from what differs
// for each customer: two replies of the same words have the same tag.
func (d *Draft) SaidTag() string {
	said := text.Fold(d.Text)
	for _, name := range []string{"author", "case", "date"} {
		if v := text.Fold(d.Slots[name]); len(v) > 1 {
			said = strings.ReplaceAll(said, v, "")
		}
	}
	sum := sha256.Sum256([]byte(said))
	return "said." + hex.EncodeToString(sum[:6])
}
