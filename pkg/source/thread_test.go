package source

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

func TestOfTooManyAnswersTheLatestAndOursStay(t *testing.T) {
	var below []mention.Post
	for i := range maxComments + 10 {
		below = append(below, mention.Post{
			NativeID: fmt.Sprint(i), Text: "a", Author: mention.Author{ID: fmt.Sprint(i), Name: "n"}, PublishedAt: testNow.Add(-time.Duration(i) * time.Minute),
		})
	}
	below = append(below, mention.Post{NativeID: "empty"})
	below[0].Text = strings.Repeat("長", maxComment)
	first := fmt.Sprint(maxComments + 9)
	got := commentsOf(below, func(p *mention.Post) bool { return p.Author.ID == first })
	if len(got) != maxComments || got[0].NativeID != first || !got[0].Ours || got[1].NativeID != fmt.Sprint(maxComments-2) || got[maxComments-1].NativeID != "0" || got[1].Ours {
		t.Errorf("%d answers: %+v", len(got), got)
	}
	if last := got[len(got)-1].Text; len(last) > maxComment+len("…") || !strings.HasSuffix(last, "長…") {
		t.Errorf("a text of %d bytes", len(last))
	}
}
