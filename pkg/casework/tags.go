package casework

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/earshot/earshot/pkg/text"
)

// Tags are what the index keeps of a case besides where it stands, so that lists
// across cases are found again.
func (s *State) Tags() []string {
	var tags []string
	if len(s.Judgements) > 0 {
		tags = append(tags, TagJudged)
	}
	for _, j := range s.Judgements {
		if j.Sample != "" {
			tags = append(tags, j.Sample.Tag())
		}
	}
	if n := len(s.Replies); n > 0 {
		tags = append(tags, s.Replies[n-1].Draft.SaidTag())
	}
	return tags
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
