package casework

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

// Write saves a reply in the making. Version is the draft's version the writer
// saw, 0 for none: of two writers the later one is refused, not overwritten. To is
// the post it answers, of those that joined the case; empty for the case's own.
type Write struct {
	Version  int
	Text     string
	Lang     string
	Kind     ReplyKind
	Account  string
	Template string
	Slots    map[string]string
	To       mention.ID
}

func (c Write) decide(d *decision) (Event, error) {
	if err := d.work(); err != nil {
		return Event{}, err
	}
	s := &d.state
	have := 0
	if s.Draft != nil {
		have = s.Draft.Version
	}
	if c.Version != have {
		return Event{}, refuse(CodeStale, "the draft was changed meanwhile: it is at version %d", have)
	}
	if strings.TrimSpace(c.Text) == "" {
		return Event{}, refuse(CodeInput, "the reply is empty")
	}
	if len(c.Text) > 20_000 {
		return Event{}, refuse(CodeInput, "the reply is longer than any platform takes")
	}
	switch c.Kind {
	case "":
		c.Kind = First
	case First, Interim, Final:
	default:
		return Event{}, refuse(CodeInput, "kind %q: want first, interim or final", c.Kind)
	}
	draft := &Draft{
		Version: have + 1, Text: c.Text, Lang: c.Lang, Kind: c.Kind, Account: c.Account,
		Slots: c.Slots, Author: d.by.Actor(), At: d.now, Edited: true,
	}
	facing, err := d.toward(s, c.To)
	if err != nil {
		return Event{}, err
	}
	if c.To != s.ID {
		draft.To = c.To
	}
	if draft.Account == "" {
		draft.Account = facing.Mention.Source
	}
	if c.Template != "" {
		t, ok := d.templates(c.Template)
		if !ok || t.InForce() == nil {
			return Event{}, refuse(CodeInput, "template %q is not approved", cmp.Or(t.Name, c.Template))
		}
		if !t.Serves(s.Mention.Brand, facing.Mention.Platform) {
			return Event{}, refuse(CodeInput, "template %q is not meant for this brand and platform", t.Name)
		}
		v := t.InForce()
		if err := v.choices(c.Slots); err != nil {
			return Event{}, err
		}
		text, _ := v.Render(c.Slots)
		draft.Template, draft.TemplateVersion, draft.Edited = t.ID, v.N, text != c.Text
		draft.Apology = v.Apology
	}
	return Event{Kind: Drafted, Draft: draft}, nil
}

// ready wants a draft that could leave: complete, of an allowed template, within
// the platform's rules, for a post that is still there. It returns the case with
// its face to that post.
func (d *decision) ready() (*State, error) {
	if d.state.Draft == nil {
		return nil, refuse(CodeState, "there is no reply to send")
	}
	facing, err := d.toward(&d.state, d.state.Draft.To)
	if err != nil {
		return nil, err
	}
	s := &facing
	if s.Mention.Deleted {
		return nil, refuse(CodeState, "the post was deleted; there is nothing to answer")
	}
	if m := openSlot.FindString(s.Draft.Text); m != "" {
		return nil, refuse(CodeInput, "fill in %s first", m)
	}
	if s.Draft.Template != "" {
		t, ok := d.templates(s.Draft.Template)
		if v := t.InForce(); !ok || v == nil || v.N != s.Draft.TemplateVersion {
			return nil, refuse(CodeState, "template %q was changed or retired since; choose it again, or another", cmp.Or(t.Name, s.Draft.Template))
		}
	}
	if err := d.check(s, s.Draft); err != nil {
		return nil, refuse(CodeInput, "%s", err)
	}
	switch {
	case s.Draft.Apology == FullApology && s.Care.Facts == nil:
		return nil, refuse(CodeFacts, "the template apologises for the fault itself: confirm the facts first")
	case s.Draft.Apology == LimitedApology && s.Draft.Kind == Final:
		return nil, refuse(CodeApology, "the template only regrets the trouble: it can't be the last word. Send it as a first or holding reply")
	}
	if found := d.read(s, s.Draft); slices.ContainsFunc(found, func(f Finding) bool { return f.Block }) {
		found = slices.DeleteFunc(found, func(f Finding) bool { return !f.Block })
		return nil, &Refused{Code: CodeCheck, Text: fmt.Sprintf("%q can't be said in public", found[0].Words), Findings: found}
	}
	return s, nil
}

// Submit asks a second person to approve the draft.
type Submit struct{}

func (Submit) decide(d *decision) (Event, error) {
	if err := d.work(); err != nil {
		return Event{}, err
	}
	s, err := d.ready()
	if err != nil {
		return Event{}, err
	}
	return Event{Kind: Submitted, Hash: s.Hash(s.Draft)}, nil
}

// Approve says yes to the text with this hash: the one the approver read. In an
// Emergency a PR lead may approve what they wrote themselves; somebody else
// reviews that the next day. Anew says that the approver has read the post as it
// was edited since the draft asked; without it an edit is refused, and with it the
// hash is that of the draft for the post as it is now.
type Approve struct {
	Hash, Note string
	Emergency  bool
	Anew       bool
}

func (c Approve) decide(d *decision) (Event, error) {
	level := ""
	if c.Emergency {
		level = EmergencyLevel
		if err := d.may(identity.Page); err != nil || !d.by.Person() {
			return Event{}, refuse(CodeForbidden, "only a PR lead can approve alone")
		}
		if strings.TrimSpace(c.Note) == "" {
			return Event{}, refuse(CodeInput, "say why it can't wait for a second person")
		}
	}
	if err := d.approver(c.Emergency); err != nil {
		return Event{}, err
	}
	facing, err := d.toward(&d.state, d.state.Draft.To)
	if err != nil {
		return Event{}, err
	}
	switch hash := facing.Hash(d.state.Draft); {
	case c.Hash == hash && hash != d.state.Asks() && !c.Anew:
		return Event{}, refuse(CodeState, "the post was edited after the reply asked for approval; read both and approve anew")
	case c.Hash != hash:
		return Event{}, refuse(CodeStale, "the reply or the post has changed since you read it; read it again")
	case facing.Mention.Deleted:
		return Event{}, refuse(CodeState, "the post was deleted; there is nothing to answer")
	}
	return Event{Kind: Approved, Hash: c.Hash, Until: d.now.Add(ApprovalTerm), Text: c.Note, Level: level}, nil
}

// SendBack says no, and why.
type SendBack struct{ Why string }

func (c SendBack) decide(d *decision) (Event, error) {
	if err := d.approver(false); err != nil {
		return Event{}, err
	}
	if strings.TrimSpace(c.Why) == "" {
		return Event{}, refuse(CodeInput, "say what should be different")
	}
	return Event{Kind: SentBack, Text: c.Why}, nil
}

func (d *decision) approver(own bool) error {
	if err := d.may(identity.Approve); err != nil {
		return err
	}
	if d.state.Asks() == "" || d.state.Draft == nil {
		return refuse(CodeState, "nothing waits for approval")
	}
	if d.state.Draft.Author == d.by.Actor() && !own {
		return refuse(CodeForbidden, "somebody else has to approve what you wrote")
	}
	return nil
}

// Send publishes the draft with this hash: the text the person saw when they
// pressed send. Only a person can.
type Send struct{ Hash string }

func (c Send) decide(d *decision) (Event, error) {
	draft, hash, err := d.leave()
	if err != nil {
		return Event{}, err
	}
	if c.Hash != hash {
		return Event{}, refuse(CodeStale, "the reply or the post has changed since you read it; read it again")
	}
	return Event{
		Kind: SendAsked, Draft: draft, Hash: c.Hash, Attempt: rand.Text(), Until: d.now.Add(d.hold(draft.Account)),
	}, nil
}

// leave wants a draft that may be published by the actor now, and returns it with
// its hash.
func (d *decision) leave() (*Draft, string, error) {
	if err := d.work(); err != nil {
		return nil, "", err
	}
	if err := d.may(identity.Send); err != nil {
		return nil, "", err
	}
	if !d.by.Person() {
		return nil, "", refuse(CodeForbidden, "only a person can send a reply")
	}
	facing, err := d.ready()
	if err != nil {
		return nil, "", err
	}
	faces := []*State{&d.state}
	if d.state.Draft.To != "" {
		faces = append(faces, facing) // what either post asks for holds
	}
	for _, s := range faces {
		if why, ok := d.stopped(s); ok {
			return nil, "", refuse(CodeStopped, "replies are stopped: %s", why)
		}
		who, err := d.muted(s)
		if err != nil {
			return nil, "", err
		}
		if who != "" {
			return nil, "", &Refused{Code: CodeNoAnswer, Text: "the thread is marked as not to be answered; a PR lead can lift that", Who: who}
		}
	}
	draft := d.state.Draft
	if draft.Kind == Final && d.state.owes() {
		stays := *draft
		stays.Stays = true
		draft = &stays
	}
	hash := facing.Hash(draft)
	if a := d.state.Approval; a != nil && a.Hash == hash {
		return draft, hash, nil
	}
	for _, s := range faces {
		if needs, why := d.rules.Needs(s, draft, d.by); needs {
			return nil, "", refuse(CodeApproval, "a second person has to approve this reply first (%s)", why)
		}
	}
	return draft, hash, nil
}

// StopSend takes a reply back that the replier has not begun to publish.
type StopSend struct{ Why string }

func (c StopSend) decide(d *decision) (Event, error) {
	if err := d.may(identity.Send); err != nil {
		return Event{}, err
	}
	o := d.state.Outgoing
	switch {
	case o == nil:
		return Event{}, refuse(CodeState, "no reply is on its way")
	case o.Calling || o.Unsure:
		return Event{}, refuse(CodeState, "too late: the reply has left")
	}
	return Event{Kind: SendStopped, Attempt: o.Attempt, Text: c.Why}, nil
}

// Hasten sends a reply at once that could still be stopped.
type Hasten struct{}

func (Hasten) decide(d *decision) (Event, error) {
	if err := d.may(identity.Send); err != nil {
		return Event{}, err
	}
	o := d.state.Outgoing
	switch {
	case !d.by.Person():
		return Event{}, refuse(CodeForbidden, "only a person can send a reply")
	case o == nil || o.Calling || o.Unsure || !d.now.Before(o.NotTill):
		return Event{}, refuse(CodeState, "no reply waits")
	}
	return Event{Kind: SendHastened, Attempt: o.Attempt}, nil
}

// handTerm is how long a text that was taken to be posted by hand is looked for.
const handTerm = 24 * time.Hour

// TakeByHand says that the actor posts the draft with this hash by hand now.
// Where the platform shows what our account publishes, it is found by itself.
type TakeByHand struct{ Hash string }

func (c TakeByHand) decide(d *decision) (Event, error) {
	draft, hash, err := d.leave()
	if err != nil {
		return Event{}, err
	}
	if c.Hash != hash {
		return Event{}, refuse(CodeStale, "the reply or the post has changed since you read it; read it again")
	}
	return Event{Kind: ByHand, Draft: draft, Hash: c.Hash, Until: d.now.Add(handTerm)}, nil
}

// MarkPosted records that the draft was published by hand at URL.
type MarkPosted struct{ Hash, URL string }

func (c MarkPosted) decide(d *decision) (Event, error) {
	if err := address(c.URL); err != nil {
		return Event{}, err
	}
	draft, hash, err := d.leave()
	if err != nil {
		return Event{}, err
	}
	if c.Hash != hash {
		return Event{}, refuse(CodeStale, "the reply or the post has changed since you read it; read it again")
	}
	return Event{Kind: Posted, Draft: draft, URL: c.URL}, nil
}

// address wants the link of a reply, one that people can follow.
func address(link string) error {
	if u, err := url.Parse(link); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return refuse(CodeInput, "url: want the address of the published reply, https://…")
	}
	return nil
}

// What can have become of a reply of which nobody was sure.
const (
	Published    = "published"
	NotPublished = "not_published"
)

// Settle says what became of a reply of which nobody was sure: Outcome is
// [Published], at URL, or [NotPublished], without one. Neither is assumed: by the
// wrong one a reply is published twice, or never.
type Settle struct{ Outcome, URL string }

func (c Settle) decide(d *decision) (Event, error) {
	if err := d.may(identity.Send); err != nil {
		return Event{}, err
	}
	o := d.state.Outgoing
	if o == nil || !o.Unsure {
		return Event{}, refuse(CodeState, "there is no reply in doubt")
	}
	switch {
	case c.Outcome == NotPublished && c.URL == "":
		return Event{Kind: SendFailed, Attempt: o.Attempt, Text: "looked for by hand: not published", Reason: "not_there"}, nil
	case c.Outcome == NotPublished:
		return Event{}, refuse(CodeInput, "a reply that was not published has no link: take it out, or say that it was published")
	case c.Outcome != Published:
		return Event{}, refuse(CodeInput, "say whether the reply was published")
	}
	if err := address(c.URL); err != nil {
		return Event{}, err
	}
	return Event{Kind: Sent, Attempt: o.Attempt, URL: c.URL}, nil
}
