package indexer

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/source"
)

// strict is a platform whose terms bound how long its posts are kept.
const strict = "strict"

func TestMain(m *testing.M) {
	kind := source.Kind{Platform: strict, Duties: source.Duties{Expire: 30 * 24 * time.Hour, Retention: 60 * 24 * time.Hour}}
	kind.Name = strict
	source.Kinds = append(slices.Clone(source.Kinds), kind)
	os.Exit(m.Run())
}

// A platform that bounds how long its posts are kept: what nobody touched goes
// first, later the texts of cases. Nothing of it lies on the disk.
func TestPostsExpireAsTheirPlatformWants(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	cleared := b.cleared()
	b.run()
	untouched := b.tagFrom("ほうっておかれた", "s", strict)
	touched := b.tagFrom("手をつけた", "s", strict)
	free := b.tagFrom("自由な", "s", "web")
	b.indexed()
	b.do(touched, casework.Claim{}, casework.AddNote{Text: "秘密 手をつけた と言う"}, casework.Close{Outcome: "ended"})
	b.indexed()
	have := func() string {
		t.Helper()
		docs, err := b.documents(t.Context(), ids(untouched, touched, free))
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for i, id := range ids(untouched, touched, free) {
			if d := docs[id]; d != nil && d.Text != "" {
				out += string("utf"[i])
			}
		}
		return out
	}
	sweep := func(d time.Duration) {
		t.Helper()
		b.clock.Pass(d)
		if err := b.expire(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.indexed()
	}
	sweep(29 * 24 * time.Hour)
	if got := have(); got != "utf" {
		t.Errorf("too early: %s", got)
	}
	sweep(2 * 24 * time.Hour)
	if got := have(); got != "tf" {
		t.Errorf("after a month: %s", got)
	}
	// An index that is filled anew doesn't bring it back.
	b.again <- struct{}{}
	<-cleared
	b.indexed()
	if got := have(); got != "tf" {
		t.Errorf("filled anew: %s", got)
	}
	sweep(30 * 24 * time.Hour)
	if got := have(); got != "f" {
		t.Errorf("after two months: %s", got)
	}
	s, _, err := b.cases.Touched(t.Context(), touched)
	if err != nil || !s.Redacted || len(s.History) < 3 || s.History[1].Actor != "ann" {
		t.Errorf("who did what is gone as well: %+v, %v", s.History, err)
	}
	if err := b.index.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.stop()
	for _, dir := range []string{b.dir, b.files} {
		for _, found := range bustest.Lying(t, dir, "秘密 ほうっておかれた", "秘密 手をつけた", "ref ほうって") {
			t.Error(found)
		}
	}
	if len(bustest.Lying(t, b.dir, "秘密 自由な")) == 0 {
		t.Error("what may stay is gone too")
	}
}

func ids(list ...mention.ID) []mention.ID { return list }
