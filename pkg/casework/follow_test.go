package casework

import (
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// published is a case whose reply r1 is out since t0.
func published(t0 time.Time, kind ReplyKind, more ...Event) State {
	m := mention.Mention{ID: mention.NewID("acme", "sandbox", "p1"), Brand: "acme", Post: mention.Post{
		Platform: "sandbox", NativeID: "p1", Author: mention.Author{ID: "u1", Handle: "hanako"}, Text: "返事がない", SeenAt: t0,
	}}
	draft := &Draft{Version: 1, Text: "申し訳ございません。 https://acme.example/help", Kind: kind, Account: "box"}
	events := []Event{
		{Kind: Opened, At: t0, Mention: &m, Verdict: &mention.Verdict{}, Triage: Triage{Disposition: mention.Answer}},
		{Kind: Drafted, Actor: "ann", At: t0, Draft: draft},
		{Kind: SendAsked, Actor: "ann", At: t0, Draft: draft, Attempt: "a1"},
		{Kind: Sending, At: t0, Attempt: "a1"},
		{Kind: Sent, At: t0, Attempt: "a1", Native: "r1", Follow: true},
		{Kind: ClaimLapsed, At: t0},
	}
	events = append(events, more...)
	for i := range events {
		events[i].Seq = uint64(i + 1)
	}
	return Fold(m.ID, events)
}

func TestAReplyIsLookedAtSixTimes(t *testing.T) {
	t.Parallel()
	t0 := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	s := published(t0, First)
	var got []time.Duration
	for now := t0; now.Before(t0.Add(9 * 24 * time.Hour)); now = now.Add(time.Minute) {
		if e, ok := Tick(&s, now); ok {
			if e.Kind != LookDue {
				t.Fatalf("time brought %s", e.Kind)
			}
			got = append(got, now.Sub(t0))
			e.At = now
			s.apply(&e)
		}
	}
	if len(got) != len(lookAfter) {
		t.Fatalf("looked after %v", got)
	}
	for i := range got {
		if got[i] != lookAfter[i] {
			t.Errorf("looked after %v, want %v", got, lookAfter)
			break
		}
	}
	// What was missed while nothing ran is made up for once.
	s = published(t0, First)
	late := Event{Kind: LookDue, At: t0.Add(30 * time.Hour)}
	s.apply(&late)
	if want := t0.Add(3 * 24 * time.Hour); !s.NextAt().Equal(want) {
		t.Errorf("next at %v, want %v", s.NextAt(), want)
	}
}

func TestWhatBecameOfAReply(t *testing.T) {
	t.Parallel()
	t0 := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	s := published(t0, First)
	see := func(now mention.Post) bool {
		e, ok := s.Seeing("r1", &now)
		if ok {
			s.apply(&e)
		}
		return ok
	}
	for _, step := range []struct {
		name  string
		now   mention.Post
		news  bool
		gone  bool
		reads string
	}{
		{"as we wrote it, but for what platforms change", mention.Post{Text: "@hanako 申し訳ございません。\nhttps://t.co/x1"}, false, false, ""},
		{"liked", mention.Post{Text: "申し訳ございません。", Metrics: mention.Metrics{Likes: mention.Count(2)}}, true, false, ""},
		{"not liked any more than that", mention.Post{Text: "申し訳ございません。", Metrics: mention.Metrics{Likes: mention.Count(2)}}, false, false, ""},
		{"edited", mention.Post{Text: "知りません", Metrics: mention.Metrics{Likes: mention.Count(2)}}, true, false, "知りません"},
		{"gone", mention.Post{Deleted: true}, true, true, ""},
		{"still gone", mention.Post{Deleted: true}, false, true, ""},
		{"back again", mention.Post{Text: "申し訳ございません。", Metrics: mention.Metrics{Likes: mention.Count(2)}}, true, false, ""},
	} {
		if news := see(step.now); news != step.news {
			t.Errorf("%s: news %v", step.name, news)
		}
		if r := s.Replies[0]; r.Gone != step.gone || r.Reads != step.reads {
			t.Errorf("%s: gone %v, reads %q", step.name, r.Gone, r.Reads)
		}
	}
	if l := s.Replies[0].Metrics.Likes; l == nil || *l != 2 {
		t.Error("the likes are lost")
	}
	if e, ok := s.Seeing("r2", &mention.Post{Deleted: true}); ok {
		t.Errorf("somebody else's reply became %+v", e)
	}
	now := mention.Post{Metrics: mention.Metrics{Replies: mention.Count(1)}, Comments: []mention.Comment{{NativeID: "c1", Author: "taro", Text: "私も"}}}
	e, ok := s.SeeingPost(&now)
	if !ok {
		t.Fatal("a comment is no news")
	}
	s.apply(&e)
	if _, again := s.SeeingPost(&now); again || len(s.Mention.Comments) != 1 || s.Mention.Text != "返事がない" {
		t.Errorf("news again %v, comments %+v, text %q", again, s.Mention.Comments, s.Mention.Text)
	}
}

func TestAnAnswerReopens(t *testing.T) {
	t.Parallel()
	t0 := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	answer := func(native, author string) *mention.Mention {
		return &mention.Mention{ID: mention.NewID("acme", "sandbox", native), Post: mention.Post{
			NativeID: native, Author: mention.Author{ID: author}, Thread: mention.Thread{Parent: "r1"},
		}}
	}
	for _, tt := range []struct {
		name string
		kind ReplyKind
		more []Event
		by   string
		want Status
	}{
		{"waiting for the customer", First, nil, "u1", New},
		{"done", Final, nil, "u1", New},
		{"done, and somebody holds it", Final, []Event{{Kind: Claimed, Actor: "bob", At: t0}, {Kind: Closed, Actor: "bob", Outcome: "solved", At: t0}, {Kind: Claimed, Actor: "ann", At: t0}}, "u1", InHand},
		{"with another department", First, []Event{{Kind: HandedOver, Actor: "ann", To: "factory", At: t0}}, "u1", OtherDepartment},
		{"somebody else answers", First, nil, "u2", WaitingCustomer},
		{"somebody else answers when it is done", Final, nil, "u2", Done},
	} {
		s := published(t0, tt.kind, tt.more...)
		e, ok := s.AnsweredBy(answer("p2", tt.by))
		if !ok {
			t.Errorf("%s: no answer", tt.name)
			continue
		}
		s.apply(&e)
		if s.Status != tt.want || len(s.Answers) != 1 || s.Answers[0].ByAuthor != (tt.by == "u1") {
			t.Errorf("%s: %s, want %s; answers %+v", tt.name, s.Status, tt.want, s.Answers)
		}
		if tt.want == New && !s.Open(t0.Add(time.Hour)) {
			t.Errorf("%s: nobody sees it", tt.name)
		}
		if _, again := s.AnsweredBy(answer("p2", tt.by)); again {
			t.Errorf("%s: the same answer twice", tt.name)
		}
	}
	// Our clock, which stood while we waited for the customer, goes on.
	s := published(t0, First)
	e, _ := s.AnsweredBy(answer("p2", "u1"))
	e.Triage.ResolveAt = t0.Add(5 * time.Hour)
	s.apply(&e)
	if !s.ResolveAt.Equal(t0.Add(5*time.Hour)) || !s.PausedAt.IsZero() {
		t.Errorf("to be done by %v, paused at %v", s.ResolveAt, s.PausedAt)
	}
	s = published(t0, First)
	stranger := answer("p2", "u1")
	stranger.Thread.Parent = "p1"
	if _, ok := s.AnsweredBy(stranger); ok {
		t.Error("an answer to the post is none to our reply")
	}
	if _, ok := s.AnsweredBy(answer("r1", "us")); ok {
		t.Error("our reply answers itself")
	}
}

func TestSameText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"ありがとうございます。", "@hanako ありがとう ございます。", true},
		{"@a@social.example Thanks!", "thanks!", true},
		{"See https://acme.example/a?b=1.", "See https://t.co/abc123.", true},
		{"See acme.example/help now", "See https://t.co/abc now", true},
		{"確認は https://acme.example/助けて まで", "確認は https://t.co/x助けて まで", true},
		{"返金します", "返金しません", false},
		{"Thanks!", "Thanks?", false},
		{"", "@hanako", true},
	} {
		if got := SameText(tt.a, tt.b); got != tt.want {
			t.Errorf("%q and %q: %v", tt.a, tt.b, got)
		}
	}
}
