package casework

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

// stands is where a case is, as people would say it.
func stands(s *State) string {
	out := string(s.Status)
	for _, x := range []struct {
		is   bool
		word string
	}{
		{s.Holder != "", "held by " + s.Holder}, {s.Assignee != "", "of " + s.Assignee}, {s.Team != "", "at " + s.Team}, {s.Draft != nil, "drafted"},
		{s.Submitted != "", "submitted"}, {s.Approval != nil, "approved"}, {s.Outgoing != nil, "outgoing"},
		{s.Outcome != "", s.Outcome}, {s.Merged != "", "merged"}, {s.Promise != nil, "promised"},
		{!s.Snoozed.IsZero(), "snoozed"}, {len(s.Replies) > 0, fmt.Sprint(len(s.Replies), " replies")},
	} {
		if x.is {
			out += ", " + x.word
		}
	}
	return out + "; " + string(s.Triage.Disposition)
}

func TestFold(t *testing.T) {
	t.Parallel()
	watch := func(_ *testing.T, d *desk) { *d = *newDesk(quiet()) }
	draft, sent := does(ann, fixed), []deed{does(ann, fixed), sends(ann), calls(Event{Kind: Sent, URL: "https://x.example/1"})}
	kind := func(k ReplyKind) deed { w := fixed; w.Kind = k; return does(ann, w) }
	out := []deed{sends(ann), calls(Event{Kind: Sent})}
	promise := does(ann, MakePromise{Due: noon.Add(4 * time.Hour)})
	with := func(all ...any) (flat []deed) {
		for _, x := range all {
			switch x := x.(type) {
			case deed:
				flat = append(flat, x)
			case []deed:
				flat = append(flat, x...)
			}
		}
		return flat
	}
	for _, tt := range []struct {
		name string
		when []deed
		want string
	}{
		{"nothing yet", nil, "new; answer"},
		{"a remark touches and takes nothing", with(does(ann, AddNote{Text: "a"})), "new; answer"},
		{"claimed", with(does(ann, Claim{})), "in_hand, held by ann; answer"},
		{"claimed and given back", with(does(ann, Claim{}), does(ann, Release{})), "new; answer"},
		{"a watched one claimed and given back is watched", with(deed(watch), does(ann, Claim{}), does(ann, Release{})), "watching; watch"},
		{"a draft given back stays in hand", with(draft, does(ann, Release{})), "in_hand, drafted; answer"},
		{"a watched one answered wants an answer", with(deed(watch), draft), "in_hand, held by ann, drafted; answer"},
		{"submitted", with(draft, does(ann, Submit{})), "awaiting_approval, held by ann, drafted, submitted; answer"},
		{"approved", with(draft, does(ann, Submit{}), approves(pia)), "in_hand, held by ann, drafted, approved; answer"},
		{"sent back", with(draft, does(ann, Submit{}), does(pia, SendBack{Why: "no"})), "sent_back, held by ann, drafted; answer"},
		{"written again", with(draft, does(ann, Submit{}), does(ann, Write{Version: 1, Text: "b"})), "in_hand, held by ann, drafted; answer"},
		{"on its way", with(draft, sends(ann)), "in_hand, held by ann, drafted, outgoing; answer"},
		{"a colleague's stop leaves the claim", with(draft, sends(ann), does(bob, StopSend{})), "in_hand, held by ann, drafted; answer"},
		{"sent, the customer's turn", sent, "waiting_customer, 1 replies; answer"},
		{"an interim one keeps the case", with(kind(Interim), out), "in_hand, held by ann, 1 replies; answer"},
		{"a final one ends it", with(kind(Final), out), "done, solved, 1 replies; answer"},
		{"failed", with(draft, sends(ann), calls(Event{Kind: SendFailed})), "in_hand, held by ann, drafted; answer"},
		{"unsure", with(draft, sends(ann), calls(Event{Kind: SendUnsure})), "in_hand, held by ann, drafted, outgoing; answer"},
		{"an edit holds a reply back that has not left", with(draft, sends(ann), edited("b")), "in_hand, held by ann, drafted; answer"},
		{"an edit is too late for one that is being sent", with(draft, sends(ann), calls(), edited("b")), "in_hand, held by ann, drafted, outgoing; answer"},
		{"the same words again change nothing", with(draft, does(ann, Submit{}), approves(pia), edited("返事がない")), "in_hand, held by ann, drafted, approved; answer"},
		{"an edit while waiting for approval", with(draft, does(ann, Submit{}), edited("b")), "in_hand, held by ann, drafted; answer"},
		{"handed over", with(draft, does(ann, Submit{}), does(ann, HandOver{To: "factory"})), "other_department, at factory, drafted; answer"},
		{"handed over and returned", with(does(ann, HandOver{To: "factory"}), does(bob, Return{})), "new; answer"},
		{"handed over and answered all the same", with(does(ann, HandOver{To: "factory"}), draft), "in_hand, held by ann, drafted; answer"},
		{"watched while waiting for approval", with(draft, does(ann, Submit{}), does(ann, LookOn{})), "watching, drafted; watch"},
		{"closed with a promise open", with(promise, does(ann, Close{})), "done, no_answer_needed; answer"},
		{"closed and reopened", with(does(ann, Close{}), does(ann, Reopen{})), "new; answer"},
		{"closed and claimed", with(does(ann, Close{}), does(ann, Claim{})), "in_hand, held by ann; answer"},
		{"excluded and claimed", with(does(ann, Exclude{}), does(ann, Claim{})), "in_hand, held by ann; not_for_us"},
		{"woken by hand while in hand", with(does(ann, Claim{}), does(ann, Snooze{Until: noon.Add(time.Hour)}), does(ann, Reopen{})), "in_hand, held by ann; answer"},
		{"merged", with(happens(Event{Kind: MergedInto, To: "x"})), "done, merged, merged; answer"},
		{"merged and reopened", with(happens(Event{Kind: MergedInto, To: "x"}), does(ann, Reopen{})), "new; answer"},
		{"a first reply keeps a promise made before", with(promise, draft, out), "waiting_customer, 1 replies; answer"},
		{"assigned", with(does(ann, Assign{To: "bob"})), "new, of bob; answer"},
		{"assigned to whoever works on it", with(does(ann, Claim{}), does(ann, Assign{To: "ann"})), "in_hand, held by ann, of ann; answer"},
		{"assigned away", with(does(ann, Claim{}), does(ann, Assign{To: "bob"})), "in_hand, of bob; answer"},
		{"an assigned one is claimed and lapses, and stays whose it is", with(does(ann, Assign{To: "bob"}), does(bob, Claim{}), happens(Event{Kind: ClaimLapsed})), "new, of bob; answer"},
		{"taken from whoever had it", with(does(ann, Assign{To: "bob"}), does(ann, Claim{Take: true})), "in_hand, held by ann; answer"},
		{"passed on", with(does(ann, Claim{}), does(ann, PassOn{})), "new; answer"},
		{"closed and taken back", with(does(ann, Claim{}), promise, does(ann, Close{}), does(ann, Undo{})), "in_hand, held by ann, promised; answer"},
		{"excluded and taken back", with(does(ann, Exclude{}), does(ann, AddNote{Text: "oh"}), does(ann, Undo{})), "new; answer"},
		{"a watched one excluded and taken back", with(deed(watch), does(ann, Exclude{}), does(ann, Undo{})), "watching; watch"},
		{"snoozed and taken back", with(does(ann, Snooze{Until: noon.Add(time.Hour)}), does(ann, Undo{})), "new; answer"},
		{"passed on and taken back", with(does(ann, Claim{}), does(ann, PassOn{}), does(ann, Undo{})), "in_hand, held by ann; answer"},
		{"a promise that the reply announces stays", with(kind(Interim), promise, out), "in_hand, held by ann, promised, 1 replies; answer"},
		{"and the next reply keeps it", with(kind(Interim), promise, out, kind(Interim), out), "in_hand, held by ann, 2 replies; answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(complaint("返事がない"))
			run(t, d, tt.when...)
			if s := d.fold(); stands(&s) != tt.want {
				t.Errorf("%s\nwant %s", stands(&s), tt.want)
			}
		})
	}
}

// quiet is a mention that the classifier would not answer.
func quiet() *mention.Tagged {
	t := complaint("ふーん")
	t.Verdict.Intent, t.Verdict.Sentiment, t.Verdict.Disposition = mention.OtherIntent, mention.Neutral, mention.Watch
	return t
}

func TestRevised(t *testing.T) {
	t.Parallel()
	grave := complaint("火が出た")
	grave.Mention.SeenAt = noon
	grave.Verdict.Risks = []mention.Risk{{Category: mention.SafetyHazard, Score: 1}}
	grave.Verdict.Page, grave.Verdict.PageReason = true, "safety_hazard: fire"
	became := func(to *mention.Tagged) deed {
		return happens(Event{
			Kind: Revised, Mention: &to.Mention, Verdict: &to.Verdict, Tagged: 8,
			Triage: Judge(Response{}, &to.Mention, &to.Verdict, Signals{}),
		})
	}
	for _, tt := range []struct {
		name  string
		first *mention.Tagged
		when  []deed
		check func(*State) bool
	}{
		{"what was only watched wants an answer now", quiet(), []deed{became(grave)}, func(s *State) bool {
			return s.Status == New && s.Triage.Disposition == mention.Answer && s.Open(noon) && s.DueAt().Equal(noon.Add(time.Hour))
		}},
		{"but not when a person has said to watch it", quiet(), []deed{does(ann, Reopen{}), does(ann, LookOn{}), became(grave)}, func(s *State) bool {
			return s.Status == Watching && s.Triage.Disposition == mention.Watch && s.Verdict.Page && s.Triage.Priority >= 850
		}},
		{"a page is not withdrawn, nor its reason", grave, []deed{became(complaint("直った"))}, func(s *State) bool {
			return s.Verdict.Page && s.Verdict.PageReason == "safety_hazard: fire" && len(s.Verdict.Risks) == 0
		}},
		{"an edit puts no deadline off", complaint("a"), []deed{edited("b")}, func(s *State) bool {
			return s.DueAt().Equal(noon.Add(-time.Hour).Add(8*time.Hour)) && s.Mention.SeenAt.Equal(noon.Add(-time.Hour))
		}},
		{"a graver verdict brings it forward", complaint("a"), []deed{became(grave)}, func(s *State) bool {
			return s.DueAt().Equal(noon.Add(time.Hour))
		}},
		{"both texts are known", complaint("a"), []deed{edited("b"), edited("b")}, func(s *State) bool {
			return slices.Equal(s.Tagged, []uint64{7, 8}) && s.Mention.Text == "b"
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(tt.first)
			run(t, d, tt.when...)
			if s := d.fold(); !tt.check(&s) {
				t.Errorf("%s, due %v, triage %+v, verdict %+v, tagged %v", stands(&s), s.DueAt(), s.Triage, s.Verdict, s.Tagged)
			}
		})
	}
}

// What an approval is bound to: any of it changed is another hash.
func TestHash(t *testing.T) {
	t.Parallel()
	base := newDesk(complaint("a")).fold()
	draft := Draft{Version: 1, Text: "t", Account: "box", Author: "ann"}
	want := base.Hash(&draft)
	for name, change := range map[string]func(*State, *Draft){
		"text": func(_ *State, d *Draft) { d.Text = "u" }, "account": func(_ *State, d *Draft) { d.Account = "x" },
		"platform": func(s *State, _ *Draft) { s.Mention.Platform = "x" }, "post": func(s *State, _ *Draft) { s.Mention.NativeID = "p2" },
		"words of the post": func(s *State, _ *Draft) { s.Mention.Revision.Hash = "x" },
		"a border moved":    func(_ *State, d *Draft) { d.Text, d.Account = "tb", "ox" },
	} {
		s, d := base, draft
		change(&s, &d)
		if s.Hash(&d) == want {
			t.Errorf("another %s, the same hash", name)
		}
	}
	same := draft
	same.Version, same.Author, same.At, same.Kind = 5, "bob", noon, Final
	if base.Hash(&same) != want {
		t.Error("who wrote it and when is part of the hash")
	}
}

func TestAClaimIsRenewedByItsHolderAlone(t *testing.T) {
	t.Parallel()
	d := newDesk(complaint("a"))
	run(t, d, does(ann, Claim{}), after(20*time.Minute), does(bob, AddNote{Text: "b"}), after(5*time.Minute))
	if s := d.fold(); !s.ClaimUntil.Equal(noon.Add(ClaimTerm)) {
		t.Errorf("until %v after somebody else's note", s.ClaimUntil)
	}
	run(t, d, does(ann, AddNote{Text: "a"}))
	s := d.fold()
	if want := noon.Add(25 * time.Minute).Add(ClaimTerm); !s.ClaimUntil.Equal(want) {
		t.Errorf("until %v, want %v", s.ClaimUntil, want)
	}
	if s.At(s.ClaimUntil).Holder != "" || s.At(s.ClaimUntil.Add(-1)).Holder != "ann" {
		t.Error("the claim does not end at its end")
	}
	// Nobody wrote down that it lapsed: whoever works on it next has it.
	run(t, d, after(2*ClaimTerm), does(bob, fixed))
	if s := d.fold(); s.Holder != "bob" {
		t.Errorf("held by %q, want bob", s.Holder)
	}
}

// TestAnySequence has people, services and time do anything at all, and holds
// every state on the way to what must always be so.
func TestAnySequence(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		d := newDesk([]*mention.Tagged{complaint("a"), quiet()}[seed%2])
		var trail []string
		for range 60 {
			before := d.fold()
			what := anything(r, d)
			trail = append(trail, what)
			after := d.fold()
			if why := wrong(&before, &after, d.now); why != "" {
				t.Fatalf("seed %d: %s after %v", seed, why, trail)
			}
		}
	}
}

// anything does one thing at random and says what.
func anything(r *rand.Rand, d *desk) string {
	by := []identity.Viewer{ann, bob, pia, lea, pat, program, identity.System()}[r.IntN(7)]
	s := d.fold()
	hash, version := d.hash(), 0
	if s.Draft != nil {
		version = s.Draft.Version
	}
	soon := d.now.Add(time.Duration(r.IntN(300)) * time.Minute)
	cmds := []Command{
		Hasten{}, ConfirmFacts{"f"}, TakeMeasure{Measure{Cause: "c", Text: "t", Owner: "o", Due: soon}}, TickStep{Playbook: "p", Step: "s"},
		TickStep{Playbook: "p", Step: "s", Undo: true}, DecideHarassment{true, "w"}, AddWish{Wish: "w", Words: "words"}, DropWish{"w"}, Approve{Hash: hash, Note: "now", Emergency: true},
		ReviewApproval{Right: true}, Close{Outcome: "solved", Why: "done", Measure: &Measure{Cause: "c", NoneWhy: "n"}},
		Claim{}, Claim{Take: true}, Release{}, Submit{}, Approve{Hash: hash}, SendBack{"no"}, Send{hash}, StopSend{}, AddNote{Text: "n"},
		MarkPosted{hash, "https://x.example/1"}, Settle{Outcome: NotPublished}, Settle{Published, "https://x.example/1"}, HandOver{To: "factory"}, Return{}, Snooze{soon, r.IntN(2) == 0}, Assign{To: "bob"}, Assign{}, PassOn{}, Undo{}, Retag{Add: []string{"a"}}, Retag{Remove: []string{"a"}},
		LookOn{}, Exclude{}, Close{}, Reopen{}, Escalate{"e"}, MakePromise{Due: soon}, MakePromise{soon, time.Duration(1+r.IntN(30)) * time.Hour},
		Write{Version: version, Text: "free", Kind: []ReplyKind{First, Interim, Final}[r.IntN(3)]},
		Write{Version: version, Text: fixed.Text, Template: fixed.Template, Slots: fixed.Slots},
	}
	switch n := r.IntN(40); {
	case n < 30:
		c := cmds[r.IntN(len(cmds))]
		kind, err := d.do(by, c)
		return fmt.Sprintf("%s %T: %s%s", by.Actor(), c, kind, codeOf(err))
	case n < 33:
		d.now = d.now.Add(time.Duration(r.IntN(3000)) * time.Minute)
		return "time"
	case n < 36:
		for s := d.fold(); ; s = d.fold() {
			e, ok := Tick(&s, d.now)
			if !ok {
				return "tick"
			}
			d.add("system", e)
		}
	case n < 37:
		edited([]string{"b", "c", "d"}[r.IntN(3)])(nil, d)
		return "edit"
	case s.Outgoing == nil:
		return "nothing"
	case s.Outgoing.Calling:
		k := []Kind{Sent, SendFailed, SendUnsure}[r.IntN(3)]
		d.add("system", Event{Kind: k, Attempt: s.Outgoing.Attempt})
		return string(k)
	}
	d.add("system", Event{Kind: Sending, Attempt: s.Outgoing.Attempt, Until: d.now.Add(SendingTerm)})
	return "sending"
}

// wrong says what of s can't be, given what it was.
func wrong(was, s *State, now time.Time) string {
	at := s.At(now)
	switch {
	case !slices.Contains(Statuses, s.Status):
		return "no such status: " + string(s.Status)
	case !slices.Contains(mention.Dispositions, s.Triage.Disposition):
		return "no such disposition: " + string(s.Triage.Disposition)
	case (s.Holder == "") != s.ClaimUntil.IsZero():
		return "a holder without a claim, or the other way round"
	case s.Holder == "system":
		return "held by no person"
	case s.Submitted != "" && (s.Status != AwaitingApproval || s.Draft == nil):
		return "submitted but " + string(s.Status)
	case s.Status == AwaitingApproval && s.Submitted == "":
		return "awaits an approval nobody asked for"
	case (s.Status == Done) != (s.Outcome != ""):
		return "an outcome that does not fit " + string(s.Status)
	case (s.Status == OtherDepartment) != (s.Team != ""):
		return "a team that does not fit " + string(s.Status)
	case s.Approval != nil && s.Draft == nil:
		return "approved nothing"
	case s.Outgoing != nil && (s.Status == Done || s.Draft == nil):
		return "on its way but " + string(s.Status)
	case s.Outgoing != nil && s.Outgoing.Calling && s.Outgoing.Unsure:
		return "calling and unsure at once"
	case s.Outgoing == nil && was.Outgoing != nil && was.Outgoing.Calling && len(s.Replies) == len(was.Replies) && lastOf(s).Kind != SendFailed:
		return "a reply that was being sent is forgotten"
	case s.Status == Done && (s.Promise != nil || s.Holder != "" || !s.Snoozed.IsZero()):
		return "closed, and still to be done"
	case len(s.Replies) < len(was.Replies), len(s.Notes) < len(was.Notes), s.Number != was.Number, s.Last < was.Last:
		return "history was lost"
	case s.NextAt().IsZero() && at.Holder != "":
		return "a claim that never ends"
	}
	if e, ok := Tick(s, now); ok != (!s.NextAt().IsZero() && !now.Before(s.NextAt())) {
		return fmt.Sprintf("next at %v, but at %v there is %v", s.NextAt(), now, e.Kind)
	}
	return ""
}

func lastOf(s *State) Event { return s.History[len(s.History)-1] }
