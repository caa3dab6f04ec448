package casework

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// viewer is a member of staff with one role for one brand.
func viewer(id string, r identity.Role, brand string) identity.Viewer {
	s := identity.Staff{ID: id, Name: id, Grants: []identity.Grant{{Role: r, Brands: []string{brand}}}}
	return s.Viewer()
}

var (
	ann     = viewer("ann", identity.Agent, "acme")
	bob     = viewer("bob", identity.Agent, "acme")
	pia     = viewer("pia", identity.Approver, "acme")
	lea     = viewer("lea", identity.PRLead, identity.AllBrands)
	pat     = viewer("pat", identity.Product, "acme")
	ada     = viewer("ada", identity.Admin, identity.AllBrands)
	zoe     = viewer("zoe", identity.Agent, "zenith") // of another brand
	program = (&identity.Token{ID: "crm", Scope: identity.ScopeDesk, Brands: []string{"acme"}}).Viewer()
)

// trained is an agent who may answer praise and plain questions freely.
var trained = (&identity.Staff{ID: "tom", Name: "tom", Trained: true, Grants: []identity.Grant{{Role: identity.Agent, Brands: []string{"acme"}}}}).Viewer()

// dee writes and never sends.
var dee = viewer("dee", identity.Drafter, "acme")

// thanks is a template that may be sent as it is.
var thanks = Template{
	ID: "thanks", Name: "お礼", Lang: "ja", Versions: []TemplateVersion{{
		N: 1, Body: "{{author}}様、ありがとうございます。{{next}}", Apology: NoApology, Status: TemplateApproved,
		Slots: []Slot{{Name: "next", Type: "choice", Choices: []string{"またどうぞ。", "お待ちしています。"}, Default: "またどうぞ。"}},
	}},
}

func complaint(text string) *mention.Tagged {
	m := mention.Of("acme", mention.Post{
		Platform: "sandbox", NativeID: "p1", Source: "box", Kind: mention.KindPost, Intake: mention.Live,
		URL: "https://sandbox.example/p1", Text: text, SeenAt: noon.Add(-time.Hour), PublishedAt: noon.Add(-61 * time.Minute),
		Author: mention.Author{ID: "u1", Handle: "hanako", Name: "花子"},
	})
	return &mention.Tagged{Mention: m, Verdict: mention.Verdict{
		Model: "test", Lang: "ja", Sentiment: mention.Negative, Intent: mention.Complaint, Disposition: mention.Answer,
	}}
}

// desk decides commands on one case without a bus, as a Store does with one.
type desk struct {
	id        mention.ID
	now       time.Time
	events    []Event
	templates map[string]Template
	rules     Rules
	tooLong   bool // by the platform's rules
	checker   *Checker
	stopped   string // why
}

// newDesk has a case that was opened on t.
func newDesk(t *mention.Tagged) *desk {
	d := &desk{
		id: t.Mention.ID, now: noon, templates: map[string]Template{thanks.ID: thanks},
		rules: Rules{Rows: []Rule{{Edited: yes(), Needs: true, Why: "edited"}}},
	}
	d.add("system", Event{
		Kind: Opened, Mention: &t.Mention, Verdict: &t.Verdict, Tagged: 7,
		Triage: Judge(Response{}, &t.Mention, &t.Verdict, Signals{}),
	})
	return d
}

func (d *desk) fold() State { return Fold(d.id, d.events) }

func (d *desk) add(actor string, e Event) {
	e.ID, e.Seq, e.At, e.Actor = fmt.Sprint("e", len(d.events)+1), uint64(len(d.events)+1), d.now, actor
	d.events = append(d.events, e)
}

func (d *desk) do(by identity.Viewer, c Command) (Kind, error) {
	fold := d.fold()
	dec := &decision{
		by: by, now: d.now, fold: fold, state: fold.At(d.now), hold: func(string) time.Duration { return 10 * time.Second }, rules: d.rules,
		templates: func(id string) (Template, bool) { t, ok := d.templates[id]; return t, ok },
		triage:    func(m *mention.Mention, v *mention.Verdict) Triage { return Judge(Response{}, m, v, Signals{}) },
		stopped:   func(*State) (string, bool) { return d.stopped, d.stopped != "" },
		toward:    func(s *State, _ mention.ID) (State, error) { return *s, nil },
		muted:     func(s *State) (string, error) { return s.Muted(), nil },
		read: func(_ *State, dr *Draft) []Finding {
			if d.checker == nil {
				return nil
			}
			return d.checker.Check(dr.Lang, dr.Text, Voice{})
		},
		check: func(*State, *Draft) error {
			if d.tooLong {
				return errors.New("too long")
			}
			return nil
		},
	}
	err := dec.takes()
	var e Event
	if err == nil {
		e, err = c.decide(dec)
	}
	if err != nil {
		return "", err
	}
	d.add(by.Actor(), e)
	return e.Kind, nil
}

// hash is what a person who presses a button now has read.
func (d *desk) hash() string {
	s := d.fold()
	if s.Draft == nil {
		return ""
	}
	return s.Hash(s.Draft)
}

// deed is something that happens in a test: a command of somebody's, made of
// the state as it is, time that passes, or an event of a service.
type deed func(*testing.T, *desk)

func does(by identity.Viewer, c Command) deed {
	return func(t *testing.T, d *desk) {
		t.Helper()
		if _, err := d.do(by, c); err != nil {
			t.Fatalf("%s: %T: %v", by.Actor(), c, err)
		}
	}
}

func after(pause time.Duration) deed { return func(_ *testing.T, d *desk) { d.now = d.now.Add(pause) } }

func happens(e Event) deed { return func(_ *testing.T, d *desk) { d.add("system", e) } }

func approves(by identity.Viewer) deed {
	return func(t *testing.T, d *desk) { t.Helper(); does(by, Approve{Hash: d.hash()})(t, d) }
}

func sends(by identity.Viewer) deed {
	return func(t *testing.T, d *desk) { t.Helper(); does(by, Send{Hash: d.hash()})(t, d) }
}

// calls is the replier's word that it calls the platform, and the word after.
func calls(result ...Event) deed {
	return func(t *testing.T, d *desk) {
		s := d.fold()
		if s.Outgoing == nil {
			t.Fatal("there is nothing to send")
		}
		attempt := s.Outgoing.Attempt
		d.add("system", Event{Kind: Sending, Attempt: attempt, Until: d.now.Add(SendingTerm)})
		for _, e := range result {
			e.Attempt = attempt
			d.add("system", e)
		}
	}
}

// edited is the post as its author changed it.
func edited(text string) deed {
	return func(_ *testing.T, d *desk) {
		t := complaint(text)
		t.Mention.SeenAt = d.now
		d.add("system", Event{
			Kind: Revised, Mention: &t.Mention, Verdict: &t.Verdict, Tagged: 8,
			Triage: Judge(Response{}, &t.Mention, &t.Verdict, Signals{}),
		})
	}
}

func run(t *testing.T, d *desk, steps ...deed) {
	t.Helper()
	for _, s := range steps {
		s(t, d)
	}
}

func codeOf(err error) string {
	if r, ok := errors.AsType[*Refused](err); ok {
		return r.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

var (
	free  = Write{Text: "ご不便をおかけしました。"}
	fixed = Write{Text: "花子様、ありがとうございます。またどうぞ。", Template: "thanks", Slots: map[string]string{"author": "花子"}}
)
