package source

import (
	"cmp"
	"slices"

	"github.com/earshot/earshot/pkg/mention"
)

// maxComments bounds the answers shown below a post.
const maxComments = 30

// maxComment is where the text of one is cut, in bytes: as many as are shown go
// over the bus in one message, and a server of its author's own may send any.
const maxComment = 32 << 10

// commentsOf returns posts, the answers to one, oldest first. Of too many the
// latest stay, and ours.
func commentsOf(posts []mention.Post, ours func(*mention.Post) bool) []mention.Comment {
	var out []mention.Comment
	for i := range posts {
		if p := &posts[i]; p.Text != "" {
			text := clip(p.Text, maxComment)
			if len(text) < len(p.Text) {
				text += "…"
			}
			out = append(out, mention.Comment{
				NativeID: p.NativeID, URL: p.URL, Author: cmp.Or(p.Author.Handle, p.Author.Name), Text: text, At: p.PublishedAt, Ours: ours(p),
			})
		}
	}
	slices.SortStableFunc(out, func(a, b mention.Comment) int { return a.At.Compare(b.At) })
	over := len(out) - maxComments
	return slices.DeleteFunc(out, func(c mention.Comment) bool {
		if over > 0 && !c.Ours {
			over--
			return true
		}
		return false
	})
}
