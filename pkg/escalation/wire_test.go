package escalation

import (
	"flag"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/mention"
)

var update = flag.Bool("update", false, "write the golden files that are missing")

var codec = bus.ProtoCodec(toWire, fromWire)

func TestEveryFieldTravels(t *testing.T) {
	t.Parallel()
	bustest.Travels(t, codec, func(e *Event) { e.Seq = 0 })
}

// golden is an event of kind k with what it uses. It is never changed.
func golden(k Kind) Event {
	at := func(minutes int) time.Time {
		return time.UnixMilli(1_790_000_000_000).Add(time.Duration(minutes) * time.Minute).UTC()
	}
	e := Event{ID: "EVENT" + string(k), Escalation: "one", At: at(1), Actor: "lea", Kind: k}
	switch k {
	case Opened:
		e.Brand, e.Mention, e.Subjects = "kumo", mention.NewID("kumo", "x", "1"), []string{"story:1", "author:0123456789abcdef"}
		e.Category, e.Rule, e.Urgency, e.Origin = mention.SafetyHazard, "fire", Wake, ByVerdict
		e.Title, e.Excerpt, e.Author, e.Platform, e.Lang = "題", "火が出た", "hanako", "x", "ja"
		e.URL, e.Reach, e.Count, e.NextAt = "/cases/1", 1234, 1, at(2)
	case Joined:
		e.Mention, e.Subjects, e.Category, e.Rule = mention.NewID("kumo", "x", "2"), []string{"story:2"}, mention.SafetyHazard, "smoke"
		e.Urgency, e.Reach, e.Count = Wake, 5678, 4
	case Paged, PageFailed:
		e.Page, e.Action, e.Channel, e.Target, e.Round, e.Rung, e.Attempt = "one.0123", Trigger, "mail", "lea", 1, 2, 3
		e.Outcome, e.NextAt = Sent, at(3)
		if k == PageFailed {
			e.Outcome, e.Error, e.RetryAt = Failed, "503", at(2)
		}
	case Acknowledged, FalseAlarm:
		e.Via, e.Text = "link", "訓練"
	case Noted, Resolved:
		e.Text = "済み"
	case Reassigned:
		e.Target, e.Text = "pia", "頼む"
	case Reopened:
		e.Category, e.Rule, e.Urgency, e.NextAt = mention.ViolentThreat, "kill", Wake, at(2)
	case Redacted:
		old := Event{ID: "OLD", Escalation: "one", Seq: 17, At: at(0), Actor: System, Kind: Opened, Brand: "kumo", Origin: ByVerdict, Urgency: Notify}
		e.History = []Event{old}
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
			if s := Fold([]Event{opened, got}); s.ReadOnly || s.Seq != 18 || s.Key != "one" || s.Brand != "kumo" {
				t.Errorf("folds to %+v", s)
			}
		})
	}
}

// FuzzFold reads hostile bytes as an event that comes after an ordinary one,
// and plans what to do about it.
func FuzzFold(f *testing.F) {
	for _, k := range Kinds {
		e := golden(k)
		b, err := codec.Encode(nil, &e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	policy := DefaultPolicy()
	policy.Roster = Roster{Groups: map[string][]string{"role:pr_lead": {"lea"}}, Channels: []Channel{{ID: "mail"}}}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Event
		if codec.Decode(b, &e) != nil {
			return
		}
		s := Fold([]Event{golden(Opened), e, Redact([]Event{golden(Opened), e}), e})
		for range 4 {
			now := s.Since.Add(time.Hour)
			for _, send := range Plan(s, policy, now).Send {
				sent := send.Event(Sent)
				sent.At = now
				s.Apply(&sent)
			}
		}
	})
}
