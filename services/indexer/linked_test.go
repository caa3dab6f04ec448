package indexer

import (
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/source"
)

// publish publishes a reply to case id, as native.
func (b *bench) publish(id mention.ID, native string) {
	b.t.Helper()
	_, err := b.cases.Record(b.t.Context(), id, func(s *casework.State) (casework.Event, bool) {
		return casework.Event{Kind: casework.Posted, Draft: &casework.Draft{Text: "ごめんなさい", Account: "box"}, Native: native, URL: "https://s.example/" + native}, true
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// answer tags a post that answers parent.
func (b *bench) answer(native, parent, author string) mention.ID {
	b.t.Helper()
	m := mention.Of("acme", mention.Post{
		Platform: "sandbox", NativeID: native, Source: "other", Kind: mention.KindPost, Intake: mention.Live, Text: "まだです " + native,
		SeenAt: b.clock.Now(), PublishedAt: b.clock.Now(), Author: mention.Author{ID: author}, Thread: mention.Thread{Parent: parent},
	})
	if err := bus.Tagged.Publish(b.t.Context(), b.bus, &mention.Tagged{Mention: m, Verdict: mention.Verdict{Model: "test", Disposition: mention.Answer}}); err != nil {
		b.t.Fatal(err)
	}
	return m.ID
}

// becomes waits until ok holds of case id.
func (b *bench) becomes(id mention.ID, what string, ok func(*casework.State) bool) casework.State {
	b.t.Helper()
	limit := time.Now().Add(20 * time.Second)
	for {
		s, _, err := b.cases.Touched(b.t.Context(), id)
		if err != nil {
			b.t.Fatal(err)
		}
		if ok(&s) {
			return s
		}
		if time.Now().After(limit) {
			b.t.Fatalf("%s: never; %s, answers %+v", what, s.Status, s.Answers)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestAnswersToOurReplies(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run()
	id := b.tag(1, "返事がない")
	b.indexed()
	b.do(id, casework.Claim{})
	b.publish(id, "r1")
	b.indexed()

	got, err := b.indexer.replied(t.Context(), []source.ParentPost{{Platform: "sandbox", NativeID: "r1"}, {Platform: "x", NativeID: "r1"}, {Platform: "sandbox", NativeID: "p1"}})
	if err != nil || len(got) != 3 || len(got[0]) != 1 || got[0][0] != "acme" || len(got[1])+len(got[2]) > 0 {
		t.Errorf("ours: %v, %v", got, err)
	}

	// Somebody else answers, then the author, by whatever source.
	other := b.answer("a1", "r1", "u9")
	s := b.becomes(id, "somebody else answers", func(s *casework.State) bool { return len(s.Answers) == 1 })
	if s.Answers[0].ID != other || s.Answers[0].ByAuthor || s.Status != casework.WaitingCustomer {
		t.Errorf("%+v, %s", s.Answers, s.Status)
	}
	author := b.answer("a2", "r1", "u1")
	s = b.becomes(id, "the author answers", func(s *casework.State) bool { return len(s.Answers) == 2 })
	if s.Answers[1].ID != author || !s.Answers[1].ByAuthor || s.Status != casework.New {
		t.Errorf("%+v, %s", s.Answers, s.Status)
	}
	if s.DueAt().IsZero() {
		t.Error("the author's answer has no deadline")
	}
	// It goes on there, and can be taken out again.
	joined := b.becomes(author, "the answer goes on in the case", func(s *casework.State) bool { return s.Merged == id })
	if joined.Status != casework.Done || joined.Outcome != "merged" {
		t.Errorf("%s, %s", joined.Status, joined.Outcome)
	}
	b.indexed()
	if docs, err := b.index.Get(t.Context(), search.SeesAll(), author, id); err != nil || len(docs) != 2 || docs[0].Open || !docs[1].Open {
		t.Errorf("the rows: %+v, %v", docs, err)
	}
	b.do(author, casework.Reopen{})
	b.answer("a3", "p1", "u1")
	b.stop()
	cleared := b.cleared()
	b.run()
	b.indexed()

	// A reply that was posted by hand is known only after it was answered.
	early := b.answer("a4", "r2", "u1")
	b.indexed()
	b.do(id, casework.Claim{})
	b.publish(id, "r2")
	s = b.becomes(id, "answered before it was known", func(s *casework.State) bool { return len(s.Answers) == 3 })
	if s.Answers[2].ID != early || s.Status != casework.New {
		t.Errorf("%+v, %s", s.Answers, s.Status)
	}

	// A lost index is filled anew, and nothing is told twice.
	before := s.Last
	b.again <- struct{}{}
	<-cleared
	b.indexed()
	b.answer("a5", "r2", "u9")
	s = b.becomes(id, "one more", func(s *casework.State) bool { return len(s.Answers) == 4 })
	told := 0
	for _, e := range s.History {
		if e.Kind == casework.Answered || e.Kind == casework.AuthorWrote && e.Native != "" {
			told++
		}
	}
	if told != 4 || s.Last <= before {
		t.Errorf("told %d times", told)
	}
}

func TestAnswersToAMergedCase(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run()
	from, into := b.tag(1, "返事がない"), b.tag(2, "返事がない!")
	b.indexed()
	b.publish(from, "r1")
	b.do(into, casework.Claim{}, casework.Close{})
	b.indexed()
	if _, err := b.cases.Merge(t.Context(), ann, from, into); err != nil {
		t.Fatal(err)
	}
	b.indexed()
	id := b.answer("a1", "r1", "u1")
	s := b.becomes(into, "the case it was merged into hears it", func(s *casework.State) bool { return len(s.Answers) == 1 })
	if s.Answers[0].ID != id || s.Status != casework.New {
		t.Errorf("%+v, %s", s.Answers, s.Status)
	}
	if s, _, _ := b.cases.Touched(t.Context(), from); s.Status != casework.Done || len(s.Answers) != 1 {
		t.Errorf("the one that was merged: %s, %+v", s.Status, s.Answers)
	}
}

// TestTheAuthorAnswersAtAPostThatJoined: our reply stands below the post of another
// customer that joined the case. Whoever wrote the case's post and whoever wrote that
// one are whom we answered; anybody else is not.
func TestTheAuthorAnswersAtAPostThatJoined(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		by     string
		author bool
	}{{"u1", true}, {"u2", true}, {"u9", false}} {
		t.Run(tt.by, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.run()
			own, second := b.tag(1, "返事がない"), b.tag(2, "私も返事がない")
			b.indexed()
			if _, err := b.cases.Merge(t.Context(), ann, second, own); err != nil {
				t.Fatal(err)
			}
			_, err := b.cases.Record(t.Context(), own, func(*casework.State) (casework.Event, bool) {
				return casework.Event{Kind: casework.Posted, Draft: &casework.Draft{Text: "ごめんなさい", Account: "box", To: second}, Native: "r1", URL: "https://s.example/r1"}, true
			})
			if err != nil {
				t.Fatal(err)
			}
			b.indexed()
			b.clock.Pass(time.Minute)
			id := b.answer("a1", "r1", tt.by)
			s := b.becomes(own, "the answer is heard", func(s *casework.State) bool { return len(s.Answers) > 0 })
			b.indexed()
			if s = b.get(own); len(s.Answers) != 1 || s.Answers[0].ID != id || s.Answers[0].ByAuthor != tt.author {
				t.Errorf("answers %+v", s.Answers)
			}
			want, reaction := casework.WaitingCustomer, casework.Reaction("")
			if tt.author {
				want, reaction = casework.New, s.Care.Reaction
				if reaction == "" {
					t.Error("nothing is known of how the author took our reply")
				}
			}
			if s.Status != want || s.Care.Reaction != reaction || s.DueAt().IsZero() == tt.author {
				t.Errorf("%s, reaction %q, due %v", s.Status, s.Care.Reaction, s.DueAt())
			}
			if joined, _, _ := b.cases.Touched(t.Context(), id); (joined.Merged == own) != tt.author {
				t.Errorf("the answer goes on in %q", joined.Merged)
			}
		})
	}
}

// TestTheAuthorAnswersWhereWeAnsweredAnother: we answered one customer, whose case
// then went on in another's, and that in a third's. What the third one says to that
// reply is an answer of their author where it ends.
func TestTheAuthorAnswersWhereWeAnsweredAnother(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run()
	first, second, last := b.tag(1, "返事がない"), b.tag(2, "私も"), b.tag(3, "こちらも")
	b.indexed()
	b.publish(first, "r1")
	b.do(last, casework.Claim{}, casework.Close{})
	for _, m := range [][2]mention.ID{{first, second}, {second, last}} {
		if _, err := b.cases.Merge(t.Context(), ann, m[0], m[1]); err != nil {
			t.Fatal(err)
		}
	}
	b.indexed()
	b.clock.Pass(time.Minute)
	other := b.answer("a1", "r1", "u9")
	s := b.becomes(last, "somebody else is heard", func(s *casework.State) bool { return len(s.Answers) == 1 })
	if s.Answers[0].ID != other || s.Answers[0].ByAuthor || s.Status != casework.Done {
		t.Errorf("%s, answers %+v", s.Status, s.Answers)
	}
	id := b.answer("a2", "r1", "u3")
	s = b.becomes(last, "its author is heard", func(s *casework.State) bool { return len(s.Answers) == 2 })
	if s.Answers[1].ID != id || !s.Answers[1].ByAuthor || s.Status != casework.New || s.DueAt().IsZero() {
		t.Errorf("%s, due %v, answers %+v", s.Status, s.DueAt(), s.Answers)
	}
	b.becomes(id, "the answer goes on there", func(s *casework.State) bool { return s.Merged == last })
	if s := b.get(first); len(s.Answers) != 2 || s.Answers[1].ByAuthor {
		t.Errorf("where we answered: %+v", s.Answers)
	}
}
