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
	answer := func(native, author string) *mention.Tagged {
		return &mention.Tagged{
			Mention: mention.Mention{ID: mention.NewID("acme", "sandbox", native), Post: mention.Post{
				Platform: "sandbox", NativeID: native, Author: mention.Author{ID: author}, Thread: mention.Thread{Parent: "r1"}, PublishedAt: t0.Add(time.Minute),
			}},
			Verdict: mention.Verdict{Sentiment: mention.Negative, Disposition: mention.Answer, Risks: []mention.Risk{{Category: mention.LegalThreat, Start: 3, End: 9}}},
		}
	}
	hear := func(s *State, m *mention.Tagged) (Event, bool) {
		if e, ok := s.WroteAgain(m); ok {
			return e, true
		}
		return s.AnsweredBy(&m.Mention)
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
		e, ok := hear(&s, answer("p2", tt.by))
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
		if s.Has(mention.LegalThreat) != (tt.by == "u1") {
			t.Errorf("%s: what the author says counts for the case: %v", tt.name, s.Answers)
		}
		if _, again := hear(&s, answer("p2", tt.by)); again {
			t.Errorf("%s: the same answer twice", tt.name)
		}
	}
	// Our clock, which stood while we waited for the customer, goes on; and what
	// they wrote wants its answer by a deadline of its own, until it has one.
	s := published(t0, First)
	e, _ := s.WroteAgain(answer("p2", "u1"))
	e.Triage = Triage{Disposition: mention.Answer, Priority: 700, DueAt: t0.Add(time.Hour), WarnAt: t0.Add(45 * time.Minute), ResolveAt: t0.Add(5 * time.Hour)}
	s.apply(&e)
	if !s.ResolveAt.Equal(t0.Add(5*time.Hour)) || !s.PausedAt.IsZero() || s.Triage.Priority != 700 {
		t.Errorf("to be done by %v, paused at %v, priority %d", s.ResolveAt, s.PausedAt, s.Triage.Priority)
	}
	if !s.DueAt().Equal(t0.Add(time.Hour)) || !s.warnAt().Equal(t0.Add(45*time.Minute)) {
		t.Errorf("due at %v, warned at %v", s.DueAt(), s.warnAt())
	}
	s.Looked = t0.Add(30 * 24 * time.Hour)
	if near, ok := Tick(&s, t0.Add(50*time.Minute)); !ok || near.Kind != DeadlineNear || near.Level != "" {
		t.Errorf("time brings %+v", near)
	} else {
		s.apply(&near)
	}
	if _, again := Tick(&s, t0.Add(50*time.Minute)); again {
		t.Error("warned twice")
	}
	s.apply(&Event{Kind: Posted, Actor: "ann", At: t0.Add(time.Hour), Draft: &Draft{Text: "はい。", Kind: First}, URL: "https://s.example/r2", Native: "r2"})
	if s.Asked != nil || s.Status != WaitingCustomer {
		t.Errorf("answered: %+v, %s", s.Asked, s.Status)
	}
	s = published(t0, First)
	if _, ok := hear(&s, answer("r1", "us")); ok {
		t.Error("our reply answers itself")
	}
}

// While we wait for the customer, whatever they post on the platform after our
// reply opens the case again; an event from before that was known leaves it.
func TestWhoeverIsWaitedForIsHeardAnywhere(t *testing.T) {
	t.Parallel()
	t0 := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		kind  ReplyKind
		post  mention.Post
		heard bool
		want  Status
	}{
		{"a post of its own", First, mention.Post{Platform: "sandbox", Author: mention.Author{ID: "u1"}, PublishedAt: t0.Add(time.Minute)}, true, New},
		{"in the thread", First, mention.Post{Platform: "sandbox", Author: mention.Author{ID: "u1"}, Thread: mention.Thread{Parent: "p1"}, PublishedAt: t0.Add(time.Minute)}, true, New},
		{"before our reply", First, mention.Post{Platform: "sandbox", Author: mention.Author{ID: "u1"}, PublishedAt: t0.Add(-time.Minute)}, false, WaitingCustomer},
		{"somebody else", First, mention.Post{Platform: "sandbox", Author: mention.Author{ID: "u2"}, PublishedAt: t0.Add(time.Minute)}, false, WaitingCustomer},
		{"another platform", First, mention.Post{Platform: "x", Author: mention.Author{ID: "u1"}, PublishedAt: t0.Add(time.Minute)}, false, WaitingCustomer},
		{"a post of its own, when it is done", Final, mention.Post{Platform: "sandbox", Author: mention.Author{ID: "u1"}, PublishedAt: t0.Add(time.Minute)}, false, Done},
		{"in the thread, when it is done", Final, mention.Post{Platform: "sandbox", Author: mention.Author{ID: "u1"}, Thread: mention.Thread{Parent: "p1"}, PublishedAt: t0.Add(time.Minute)}, true, Done},
	} {
		s := published(t0, tt.kind)
		tt.post.NativeID = "p2"
		e, ok := s.WroteAgain(&mention.Tagged{Mention: mention.Mention{ID: mention.NewID("acme", "sandbox", "p2"), Post: tt.post}})
		if ok != tt.heard {
			t.Errorf("%s: heard %v", tt.name, ok)
		}
		if ok {
			s.apply(&e)
			if _, again := s.WroteAgain(&mention.Tagged{Mention: mention.Mention{ID: mention.NewID("acme", "sandbox", "p2"), Post: tt.post}}); again {
				t.Errorf("%s: heard twice", tt.name)
			}
		}
		if s.Status != tt.want || len(s.Answers) > 0 {
			t.Errorf("%s: %s, want %s; answers %+v", tt.name, s.Status, tt.want, s.Answers)
		}
	}
	s := published(t0, First, Event{Kind: AuthorWrote, At: t0, To: string(mention.NewID("acme", "sandbox", "p2")), Level: string(Thanked)})
	if s.Status != WaitingCustomer || s.Care.Reaction != Thanked {
		t.Errorf("an event of before: %s, %s", s.Status, s.Care.Reaction)
	}
	s = published(t0, First, Event{Kind: Answered, At: t0, To: string(mention.NewID("acme", "sandbox", "p2")), Native: "r1", Level: ByAuthor})
	if s.Status != New || len(s.Answers) != 1 || !s.Answers[0].ByAuthor {
		t.Errorf("an answer of before: %s, %+v", s.Status, s.Answers)
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
