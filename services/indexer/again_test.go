package indexer

import (
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
)

// What waits for approval is looked at again when its author writes more in the
// thread, and only then.
func TestAnAuthorWhoWritesAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run()
	id := b.tag(1, "返事がない")
	b.indexed()
	b.do(id, casework.Write{Text: "お調べします。"}, casework.Submit{})
	b.indexed()
	b.clock.Pass(time.Minute)
	post := func(n, author, parent string, intake mention.Intake) {
		m := mention.Of("acme", mention.Post{
			Platform: "sandbox", NativeID: n, Source: "box", Kind: mention.KindPost, Intake: intake, Text: "もういい",
			SeenAt: b.clock.Now(), PublishedAt: b.clock.Now(), Author: mention.Author{ID: author}, Thread: mention.Thread{Parent: parent},
		})
		v := mention.Verdict{Model: "test", Lang: "ja", Sentiment: mention.Negative, Intent: mention.Complaint, Disposition: mention.Answer}
		if err := bus.Tagged.Publish(t.Context(), b.bus, &mention.Tagged{Mention: m, Verdict: v}); err != nil {
			t.Fatal(err)
		}
		b.indexed()
	}
	post("q1", "somebody else", "p1", mention.Live)
	post("q2", "u1", "", mention.Live)
	post("q3", "u1", "p1", mention.Bulked)
	post("q5", "u1", "a post of another thread", mention.Live)
	if s := b.get(id); s.Status != casework.AwaitingApproval {
		t.Fatalf("%s though its author wrote nothing in the thread", s.Status)
	}
	post("q4", "u1", "p1", mention.Live)
	s := b.get(id)
	if s.Status != casework.InHand {
		t.Fatalf("%s, want it looked at again", s.Status)
	}
	if e := s.History[len(s.History)-1]; e.Kind != casework.AuthorWrote || e.Level != "angrier" {
		t.Errorf("%s %s", e.Kind, e.Level)
	}
}

// Whoever we wait for is heard wherever on the platform they write, and what they
// wrote elsewhere stands for itself.
func TestWhoeverIsWaitedForIsHeard(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run()
	id := b.tag(1, "返事がない")
	b.indexed()
	b.do(id, casework.Claim{})
	b.publish(id, "r1")
	b.indexed()
	b.clock.Pass(time.Minute)
	if s := b.get(id); s.Status != casework.WaitingCustomer {
		t.Fatalf("%s", s.Status)
	}
	elsewhere := b.answer("e1", "", "u9")
	b.indexed()
	own := b.answer("e2", "", "u1")
	s := b.becomes(id, "heard", func(s *casework.State) bool { return s.Status == casework.New })
	if n := len(s.Answers); n > 0 || s.History[len(s.History)-1].To != string(own) {
		t.Errorf("%d answers, %+v", n, s.History[len(s.History)-1])
	}
	b.indexed()
	for _, id := range []mention.ID{elsewhere, own} {
		if _, touched, err := b.cases.Touched(t.Context(), id); touched || err != nil {
			t.Errorf("%s was touched: %v", id, err)
		}
	}
}
