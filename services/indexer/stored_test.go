package indexer

import (
	"fmt"
	"testing"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/source"
)

func (b *bench) tagFrom(native, src, platform string) mention.ID {
	b.t.Helper()
	m := mention.Of("acme", mention.Post{
		Platform: platform, NativeID: native, Source: src, Kind: mention.KindPost, Intake: mention.Live, Text: "秘密 " + native, ReplyRef: "ref " + native,
		SeenAt: b.clock.Now(), PublishedAt: b.clock.Now(), Thread: mention.Thread{Parent: "q" + native, ParentText: "何?"},
	})
	if err := bus.Tagged.Publish(b.t.Context(), b.bus, &mention.Tagged{Mention: m, Verdict: mention.Verdict{Model: "test", Disposition: mention.Watch}}); err != nil {
		b.t.Fatal(err)
	}
	return m.ID
}

func TestWhatIsToBeReadAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run()
	first := b.tagFrom("1", "fedi", "mastodon")
	b.tagFrom("2", "fedi", "mastodon")
	erased := b.tagFrom("3", "fedi", "mastodon")
	b.tagFrom("4", "other", "mastodon")
	b.tagFrom("5", "import", "mastodon")
	b.tagFrom("6", "x", "x")
	b.indexed()
	b.do(first, casework.Claim{})
	b.indexed()
	if _, err := b.erase(t.Context(), EraseRequest{Mention: erased}); err != nil {
		t.Fatal(err)
	}
	natives := func(q source.Stored) string {
		t.Helper()
		got, err := b.stored(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for _, s := range got.Mentions {
			if s.Post.Text != "" || s.Hash == "" || s.Brand != "acme" || s.Post.ReplyRef != "ref "+s.Post.NativeID || s.Post.Thread.ParentText != "何?" {
				t.Errorf("%+v", s)
			}
			out += s.Post.NativeID
		}
		return out
	}
	for _, tt := range []struct {
		q    source.Stored
		want string
	}{
		{source.Stored{Source: "fedi"}, "12"},
		{source.Stored{Source: "fedi", AllOf: "mastodon", Sources: []string{"fedi", "other"}}, "125"},
		{source.Stored{Source: "other"}, "4"},
		{source.Stored{Source: "nobody"}, ""},
	} {
		if got := natives(tt.q); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.q, got, tt.want)
		}
	}
	if _, err := b.stored(t.Context(), source.Stored{}); err == nil {
		t.Error("everything there is was given")
	}
	for i := range source.RereadAtOnce + 20 {
		b.tagFrom(fmt.Sprint("p", i), "many", "mastodon")
	}
	b.indexed()
	page, err := b.stored(t.Context(), source.Stored{Source: "many"})
	if err != nil || len(page.Mentions) != source.RereadAtOnce || page.Total != source.RereadAtOnce+20 || page.Next == "" {
		t.Fatalf("%d of %d, %v", len(page.Mentions), page.Total, err)
	}
	if page, err = b.stored(t.Context(), source.Stored{Source: "many", Cursor: page.Next}); err != nil || len(page.Mentions) != 20 || page.Next != "" {
		t.Errorf("then %d, next %q, %v", len(page.Mentions), page.Next, err)
	}
}
