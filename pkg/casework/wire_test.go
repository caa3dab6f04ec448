package casework

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/mention"
)

var update = flag.Bool("update", false, "write the golden files that are missing")

var codec = bus.ProtoCodec(toWire, fromWire)

func TestEveryFieldTravels(t *testing.T) {
	t.Parallel()
	bustest.Travels(t, codec, func(*Event) {})
}

func TestKindsIsComplete(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		if v, ok := node.(*ast.ValueSpec); ok {
			if typ, ok := v.Type.(*ast.Ident); ok && typ.Name == "Kind" {
				n += len(v.Names)
			}
		}
		return true
	})
	if n != len(Kinds) {
		t.Errorf("%d kinds are declared, Kinds has %d", n, len(Kinds))
	}
}

// golden is an event of kind k with what it uses. It is never changed: the
// bytes under testdata/golden were once written, and lie on people's disks.
func golden(k Kind) Event {
	at := func(minutes int) time.Time {
		return time.UnixMilli(1_790_000_000_000).Add(time.Duration(minutes) * time.Minute).UTC()
	}
	e := Event{ID: "EVENT" + string(k), At: at(1), Actor: "ann", Kind: k}
	m := &mention.Mention{
		ID: mention.NewID("acme", "sandbox", "p1"), Brand: "acme", Revision: mention.Revision{Time: at(0), Hash: "0123456789abcdef"},
		Post: mention.Post{
			Platform: "sandbox", NativeID: "p1", Source: "box", Kind: mention.KindPost, Intake: mention.Live, URL: "https://s.example/p1",
			Text: "ケトルから煙が出た", Author: mention.Author{ID: "u1", Handle: "hanako", Name: "花子", Followers: mention.Count(12)},
			PublishedAt: at(-2), SeenAt: at(-1),
		},
	}
	v := &mention.Verdict{
		Model: "m1", Pass: 1, Lang: "ja", Sentiment: mention.Negative, SentimentScore: 0.75, Intent: mention.Complaint, IntentScore: 0.5,
		Disposition: mention.Answer, Risks: []mention.Risk{{Category: mention.SafetyHazard, Score: 0.875, Start: 5, End: 6, Rule: "smoke"}},
		Page: true, PageReason: "safety_hazard: smoke", Story: "s1",
	}
	draft := &Draft{
		Version: 2, Text: "ご心配をおかけしました。", Lang: "ja", Kind: Interim, Account: "box", Template: "smoke", TemplateVersion: 3,
		Slots: map[string]string{"author": "花子"}, Edited: true, Author: "ann", At: at(0),
	}
	switch k {
	case Opened, Revised:
		e.Mention, e.Verdict, e.Tagged, e.Actor = m, v, 41, "system"
		e.Triage = Triage{Disposition: mention.Answer, Priority: 880, DueAt: at(59)}
	case Claimed, Snoozed:
		e.Until = at(31)
	case Drafted:
		e.Draft = draft
	case Submitted:
		e.Hash = "h1"
	case Approved:
		e.Hash, e.Until = "h1", at(60)
	case SentBack, ApprovalLost, SendFailed, SendUnsure, Excluded, Escalated, Returned:
		e.Text, e.Attempt = "なぜなら", "a1"
	case SendAsked:
		e.Draft, e.Hash, e.Attempt, e.Until = draft, "h1", "a1", at(2)
	case SendStopped:
		e.Attempt = "a1"
	case Sending:
		e.Attempt, e.Until = "a1", at(3)
	case Sent:
		e.Attempt, e.URL, e.Native = "a1", "https://s.example/r1", "r1"
	case Posted:
		e.Draft, e.URL, e.Native = draft, "https://s.example/r1", "r1"
	case ByHand:
		e.Draft, e.Hash, e.Until = draft, "h1", at(24*60)
	case Looked:
		e.Native, e.Actor = "r1", "system"
		e.Mention = &mention.Mention{ID: m.ID, Brand: "acme", Post: mention.Post{
			Platform: "sandbox", NativeID: "r1", Text: "直しました", Metrics: mention.Metrics{Likes: mention.Count(3)},
		}}
	case Answered:
		e.To, e.Native, e.Level, e.Actor = string(mention.NewID("acme", "sandbox", "p3")), "r1", ByAuthor, "system"
	case Noted:
		e.Text, e.Files = "電話あり", []File{{Key: "f1", Name: "煙.jpg", Type: "image/jpeg", Size: 1234}}
	case HandedOver:
		e.To, e.Text = "factory", "調べて"
	case Closed:
		e.Outcome, e.Text = "ended", "もうよい"
	case MergedInto, Absorbed:
		e.To = string(mention.NewID("acme", "sandbox", "p2"))
	case Promised:
		e.Until, e.Every = at(3*24*60), 72*time.Hour
	case Judged:
		e.Verdict, e.Sample, e.Triage = v, "2026-w47 told", Triage{Disposition: mention.Watch, Priority: 420}
		e.Labels = &mention.Verdict{
			Sentiment: mention.Negative, Intent: mention.BugReport, Disposition: mention.Watch,
			Risks: []mention.Risk{{Category: mention.PublicityThreat, Start: 0, End: 4, Rung: mention.Hint}},
		}
	case Unjudged:
		e.Triage = Triage{Disposition: mention.Answer, Priority: 880, DueAt: at(59)}
	case FactsConfirmed:
		e.Text = "工場の記録で確かめた"
	case Measured:
		e.Measure = &Measure{ID: "m1", Cause: "確認の手順がなかった", Text: "二人で確かめる", Owner: "factory", Due: at(7 * 24 * 60)}
	case MeasureDone:
		e.To, e.Text = "m1", "手順書を替えた"
	case Ticked, Unticked:
		e.To, e.Level, e.Text = "safety-hazard", "0a1b2c3d4e", "お怪我はありませんか"
	case HarassmentDecided, ApprovalReviewed:
		e.Outcome, e.Text = "yes", "三度の恫喝"
	case SendHastened:
		e.Attempt = "a1"
	case AuthorWrote:
		e.To, e.Level, e.Actor = string(mention.NewID("acme", "sandbox", "p2")), "thanked", "system"
	case Wished, Unwished:
		e.To, e.Text = "mute", "通知を夜だけ止めたい"
	case PromiseKept, PromiseEnded:
		e.Text = "電話で伝えた"
	case PromiseDue:
		e.Level = "half"
	case Assigned:
		e.Actor, e.To, e.Text = "system", "ann", "coffee"
	case Retagged:
		e.Tags, e.Untags = []string{"返金", "store 12"}, []string{"later"}
	case Linked, Unlinked:
		e.To, e.Text = string(mention.NewID("acme", "sandbox", "p2")), "電話で本人が話した"
	case Undone:
		e.To = "OLD"
	case Redacted, Archived, Restored:
		e.Number, e.Text = 17, "お申し出により"
		e.History = []Event{{ID: "OLD", Seq: 17, At: at(0), Actor: "bob", Kind: Claimed, Until: at(30)}}
		e.Mention = &mention.Mention{ID: m.ID, Brand: "acme"}
	}
	return e
}

// Every event ever written must be read as what it was.
func TestGolden(t *testing.T) {
	t.Parallel()
	opened := golden(Opened)
	opened.Seq = 17
	for _, k := range Kinds {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			got := bustest.Golden(t, codec, string(k), golden(k), *update)
			got.Seq = 18
			s := Fold(opened.Mention.ID, []Event{opened, got})
			events := 2
			if k == Archived || k == Restored {
				events = 1 // of what they hold; they are none themselves
			}
			if s.ReadOnly != "" || s.Last != 18 || s.Number != 17 || s.Mention.Brand != "acme" || len(s.History) != events {
				t.Errorf("folds to read-only %q, %d after %d, %d events", s.ReadOnly, s.Last, s.Number, len(s.History))
			}
		})
	}
}

// A kind or a field that a newer program wrote.
func TestTheUnknownIsShownAndLeftAlone(t *testing.T) {
	t.Parallel()
	e := golden(Claimed)
	e.Kind = "translated"
	b, err := codec.Encode(nil, &e)
	if err != nil {
		t.Fatal(err)
	}
	b = protowire.AppendString(protowire.AppendTag(b, 4000, protowire.BytesType), "new")
	var got Event
	if err := codec.Decode(b, &got); err != nil {
		t.Fatal(err)
	}
	opened := golden(Opened)
	s := Fold(opened.Mention.ID, []Event{opened, got})
	if s.ReadOnly != "translated" || s.Status != New || !s.NextAt().IsZero() {
		t.Errorf("read-only %q, %s, next at %v", s.ReadOnly, s.Status, s.NextAt())
	}
	if e, ok := Tick(&s, s.Triage.DueAt.AddDate(1, 0, 0)); ok {
		t.Errorf("time wrote %s", e.Kind)
	}
}

// FuzzFold reads hostile bytes as an event that comes after an ordinary one, and
// once more within a history.
func FuzzFold(f *testing.F) {
	for _, k := range Kinds {
		e := golden(k)
		b, err := codec.Encode(nil, &e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Event
		if codec.Decode(b, &e) != nil {
			return
		}
		opened := golden(Opened)
		for _, events := range [][]Event{
			{e}, {opened, e, e}, {opened, golden(Drafted), golden(SendAsked), e}, {{Kind: Redacted, History: []Event{opened, e}}},
		} {
			s := Fold(opened.Mention.ID, events)
			if !slices.Contains(Statuses, s.Status) {
				t.Fatalf("status %q", s.Status)
			}
			now := s.NextAt()
			for n := 0; ; n++ {
				tick, ok := Tick(&s, now)
				if !ok {
					break
				}
				if n > 8 {
					t.Fatalf("time does not end: %s again", tick.Kind)
				}
				tick.At = now
				s.apply(&tick)
			}
		}
	})
}
