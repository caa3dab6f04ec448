package desk

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// settle is how long a request may wait for what was just done to reach this
// process or the index.
const settle = 300 * time.Millisecond

// do gives a command and shows the case after it. With an undo the person can
// take it back.
func (c *call) do(cmd casework.Command, done string, undoWith string) error {
	s, err := c.Cases.Do(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")), cmd)
	return c.done(s, err, done, undoWith)
}

// done shows a case after a command, or why the command was refused.
func (c *call) done(s casework.State, err error, text, undoWith string) error {
	id := c.r.PathValue("id")
	if err != nil {
		return c.refused(err, caseOptions{})
	}
	f := &flash{Text: text, Case: id}
	if undoWith != "" {
		f.Undo = &undo{Action: "/cases/" + id + "/" + undoWith, Fields: map[string]string{"back": c.form("back")}}
	}
	if c.part() == "" {
		c.waitFor(s.Last)
		c.flash(f)
		back := c.form("back")
		if back == "" {
			back = "/cases/" + id
		}
		return c.back(back)
	}
	return c.showCase(http.StatusOK, &s, caseOptions{back: "/queue"}, f)
}

// refused shows why a command was not taken, beside what was typed.
func (c *call) refused(err error, o caseOptions) error {
	r, ok := errors.AsType[*casework.Refused](err)
	if !ok {
		return err
	}
	s, getErr := c.Cases.Get(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")))
	if getErr != nil {
		return getErr
	}
	return c.showCase(refusalStatus(r.Code), &s, o, &flash{Text: c.refusal(r), Error: true})
}

// waitFor lets the index catch up with a command, for a short while.
func (c *call) waitFor(seq uint64) {
	ctx, cancel := context.WithTimeout(c.ctx, settle)
	defer cancel()
	if err := c.Index.Wait(ctx, casework.Events().Stream(), seq); err != nil && ctx.Err() == nil {
		c.Log.Debug("index not waited for", "error", err)
	}
}

// claim takes the case.
func (c *call) claim() error {
	s, err := c.claimCase(mention.ID(c.r.PathValue("id")), c.form("take") == "yes")
	return c.done(s, err, c.l.say("done.claim"), "release")
}

// claimCase takes a case for the caller. Whoever had it is told.
func (c *call) claimCase(id mention.ID, take bool) (casework.State, error) {
	was, err := c.Cases.Get(c.ctx, c.viewer, id)
	if err != nil {
		return was, err
	}
	s, err := c.Cases.Do(c.ctx, c.viewer, id, casework.Claim{Take: take})
	if had := was.Owner(); err == nil && had != "" && had != c.viewer.Actor() {
		c.tell("taken", id, had)
	}
	return s, err
}
func (c *call) release() error { return c.do(casework.Release{}, c.l.say("done.release"), "claim") }
func (c *call) watch() error   { return c.do(casework.LookOn{}, c.l.say("done.watch"), "undo") }
func (c *call) exclude() error {
	s, err := c.Cases.Do(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")), casework.Exclude{Why: c.form("why")})
	if err == nil && c.part() != "" {
		f := &flash{Text: c.l.say("done.exclude"), Case: string(s.ID), Undo: &undo{Action: "/cases/" + string(s.ID) + "/undo"}}
		return c.showCase(http.StatusOK, &s, caseOptions{back: "/queue", leaveOut: c.leavesOut(&s, "")}, f)
	}
	return c.done(s, err, c.l.say("done.exclude"), "undo")
}
func (c *call) reopen() error    { return c.do(casework.Reopen{}, c.l.say("done.reopen"), "") }
func (c *call) bringBack() error { return c.do(casework.Return{}, c.l.say("done.return"), "") }

// addNote keeps a remark for colleagues, with what is attached to it.
func (c *call) addNote() error {
	id := mention.ID(c.r.PathValue("id"))
	s, err := c.Cases.Get(c.ctx, c.viewer, id)
	if err != nil {
		return err
	}
	if err := c.may(identity.Comment, s.Mention.Brand); err != nil {
		return err
	}
	uploads, err := c.uploads("files")
	if input, ok := errors.AsType[*inputError](err); ok {
		return c.refused(&casework.Refused{Code: casework.CodeInput, Text: input.text}, caseOptions{mode: "note"})
	}
	if err != nil {
		return err
	}
	files, err := c.keep(uploads)
	if err != nil {
		return err
	}
	return c.do(casework.AddNote{Text: c.form("text"), Files: files}, c.l.say("done.note"), "")
}
func (c *call) escalate() error {
	return c.do(casework.Escalate{Why: c.form("why")}, c.l.say("done.escalate"), "")
}
func (c *call) closeCase() error {
	m, err := c.typedMeasure()
	if err != nil {
		return c.refused(err, caseOptions{})
	}
	return c.do(casework.Close{Outcome: c.form("outcome"), Why: c.form("why"), Measure: m}, c.l.say("done.close"), "undo")
}
func (c *call) handOver() error {
	to := c.form("to")
	return c.do(casework.HandOver{To: to, Why: c.form("why")}, c.l.say("done.hand", c.teamName(to)), "undo")
}

func (c *call) snooze() error {
	until, err := c.moment(c.form("until"))
	if err != nil {
		return c.refused(&casework.Refused{Code: casework.CodeInput, Text: err.Error()}, caseOptions{})
	}
	return c.do(casework.Snooze{Until: until, OnPost: c.form("post") == "on"}, c.l.say("done.snooze", c.l.at(until).Clock()), "undo")
}

// merge folds the case into another one, named by the number that people read
// out.
func (c *call) merge() error {
	unknown := func() error {
		return c.refused(&casework.Refused{Code: casework.CodeInput, Text: c.l.say("ask.merge_unknown")}, caseOptions{})
	}
	number, err := strconv.ParseUint(strings.TrimLeft(c.form("into"), "#No. "), 10, 48)
	if err != nil {
		return unknown()
	}
	res, err := c.Index.Search(c.ctx, search.Query{Viewer: c.sees(), Where: map[search.Field][]string{search.FieldNumber: {itoa(number)}}, Limit: 1})
	if err != nil {
		return err
	}
	if len(res.Hits) == 0 {
		return unknown()
	}
	into, err := c.Cases.Merge(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")), res.Hits[0].ID)
	if err != nil {
		return c.refused(err, caseOptions{})
	}
	c.waitFor(into.Last)
	s, err := c.Cases.Get(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")))
	return c.done(s, err, c.l.say("done.merge"), "reopen")
}

// moment reads a time from a form: local, or a distance such as "4h".
func (c *call) moment(text string) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return c.l.now.Add(d), nil
	}
	t, err := time.ParseInLocation(localTime, text, c.l.zone)
	if err != nil {
		return time.Time{}, &inputError{c.l.say("form.time")}
	}
	return t, nil
}

// saveDraft stores what stands in the composer.
func (c *call) saveDraft() error {
	s, r, err := c.store()
	if c.part() == "autosave" {
		return c.autosaved(&s, r, err)
	}
	if err != nil {
		return c.refused(err, caseOptions{mode: "reply", composer: r})
	}
	return c.done(s, nil, c.l.say("done.draft"), "")
}

// autosaved answers the script that stores what is typed by itself: with the
// version it has now, or why it could not be stored.
func (c *call) autosaved(s *casework.State, r *reply, err error) error {
	v := &savedView{}
	if refused, ok := errors.AsType[*casework.Refused](err); ok {
		v.Text = c.refusal(refused)
		return c.show(refusalStatus(refused.Code), "case", "autosaved", v)
	}
	if err != nil {
		return err
	}
	if d := s.Draft; d != nil {
		v.Version, v.Revision, v.Text = d.Version, s.Last, c.l.say("composer.draft", c.who(d.Author), c.l.at(d.At).Ago())
		v.Loses = c.loses(s, r)
	}
	return c.show(http.StatusOK, "case", "autosaved", v)
}

// savedView tells how a draft is stored.
type savedView struct {
	Version  int
	Revision uint64 // of the case with it
	Text     string
	Loses    bool // what a draft doesn't keep, such as the promise
}

// store writes the composer's content as the case's draft, unless the draft is
// that already.
func (c *call) store() (casework.State, *reply, error) {
	id := mention.ID(c.r.PathValue("id"))
	r := c.typed()
	s, err := c.Cases.Get(c.ctx, c.viewer, id)
	if err != nil {
		return s, r, err
	}
	facing := c.facing(&s, r)
	c.fill(facing, r, false)
	w := c.write(facing, r)
	if d := s.Draft; d != nil && d.Version == w.Version && d.Text == w.Text && d.Kind == w.Kind && d.Template == w.Template &&
		d.Account == cmp.Or(w.Account, facing.Mention.Source) && d.To == w.To {
		return s, r, nil
	}
	after, err := c.Cases.Do(c.ctx, c.viewer, id, w)
	if err != nil {
		return s, r, err
	}
	r.version = after.Draft.Version
	return after, r, nil
}

// checkReply stores the reply and leads on: to approval where a second person
// is wanted, else to the last look before it is public.
func (c *call) checkReply() error {
	s, r, err := c.store()
	if err != nil {
		return c.refused(err, caseOptions{mode: "reply", composer: r})
	}
	if found := c.Settings.CheckReply(s.Mention.Brand, s.Draft.Lang, s.Draft.Text); slices.ContainsFunc(found, func(f casework.Finding) bool { return f.Block }) {
		return c.refused(&casework.Refused{Code: casework.CodeCheck}, caseOptions{mode: "reply", composer: r})
	}
	if c.waits(&s, r) != "" {
		s, err = c.askApproval(s.ID)
		if err != nil {
			return c.refused(err, caseOptions{mode: "reply", composer: r})
		}
		return c.done(s, nil, c.l.say("done.submit"), "")
	}
	return c.showCase(http.StatusOK, &s, caseOptions{confirm: c.confirm(&s, r), back: "/queue"}, nil)
}

// submitReply asks for approval of the stored draft.
func (c *call) submitReply() error {
	s, err := c.askApproval(mention.ID(c.r.PathValue("id")))
	return c.done(s, err, c.l.say("done.submit"), "")
}

// askApproval asks for approval of the reply of a case, and tells who may give it.
func (c *call) askApproval(id mention.ID) (casework.State, error) {
	was, err := c.Cases.Get(c.ctx, c.viewer, id)
	if err != nil {
		return was, err
	}
	s, err := c.Cases.Do(c.ctx, c.viewer, id, casework.Submit{})
	if err == nil && s.Submitted != was.Submitted { // else they know
		c.tell(approvalAsked, id, c.Settings.WhoCan(identity.Approve, s.Mention.Brand, s.Draft.Author, c.Now())...)
	}
	return s, err
}

// confirm says what will happen, where and as whom.
func (c *call) confirm(s *casework.State, r *reply) *confirmView {
	say := c.l.say
	s = c.facing(s, r)
	_, name, can := c.account(s, s.Draft.Account)
	hash := s.Hash(s.Draft)
	base := "/cases/" + string(s.ID)
	v := &confirmView{
		Title: say("confirm.title"), Action: base + "/send", Text: s.Draft.Text, Lang: langOf(s.Draft.Lang),
		Button: say("confirm.publish", name), Back: base + "?mode=reply", Fields: []pair{{"hash", hash}, {"promise", r.promise}, {"every", itoa(r.every)}},
		Facts: []fact{
			{say("confirm.where"), c.platform(s.Mention.Platform), ""},
			{say("confirm.to"), authorOf(s.Mention.Author.Handle, s.Mention.Author.Name), s.Mention.URL},
			{say("confirm.as"), name, ""}, {say("confirm.by"), c.viewer.Name(), ""},
		},
	}
	if due, err := c.moment(r.promise); err == nil && s.Draft.Kind == casework.Interim {
		by := c.l.at(due).Clock()
		if r.every > 0 {
			by += " · " + say("case.every_days", r.every)
		}
		v.Facts = append(v.Facts, fact{say("composer.promise"), by, ""})
	}
	if old, ok := c.overwritten(s); ok {
		v.Facts = append(v.Facts, fact{say("confirm.overwrites"), shorten(old.Text, 200), ""})
	}
	if !can {
		v.Action, v.Title, v.Button, v.CopyOpen = base+"/by-hand", say("confirm.by_hand"), say("action.copy_open"), s.Mention.URL
		return v
	}
	v.ByHand = &confirmView{Action: base + "/by-hand", Button: say("action.copy_open"), CopyOpen: s.Mention.URL, Fields: v.Fields}
	when := say("confirm.now")
	if b, ok := settings.Brands.Get(c.Settings, s.Mention.Brand); ok && b.Hold() > 0 {
		when = say("confirm.hold", int(b.Hold()/time.Second))
	}
	v.Facts = append(v.Facts, fact{say("confirm.when"), when, ""})
	return v
}

// promise records by when we report, where the reply says that we do.
func (c *call) promise(id mention.ID) error {
	text := c.form("promise")
	if text == "" {
		return nil
	}
	due, err := c.moment(text)
	if err != nil {
		return &casework.Refused{Code: casework.CodeInput, Text: err.Error()}
	}
	_, err = c.Cases.Do(c.ctx, c.viewer, id, casework.MakePromise{Due: due, Every: time.Duration(atoi(c.form("every"))) * day})
	return err
}

func (c *call) sendReply() error {
	id := mention.ID(c.r.PathValue("id"))
	if err := c.promise(id); err != nil {
		return c.refused(err, caseOptions{})
	}
	return c.do(casework.Send{Hash: c.form("hash")}, c.l.say("done.send"), "stop")
}

func (c *call) stopReply() error { return c.do(casework.StopSend{}, c.l.say("done.stop"), "") }

// takeReply notes that the person posts the reply by hand now.
func (c *call) takeReply() error {
	if err := c.promise(mention.ID(c.r.PathValue("id"))); err != nil {
		return c.refused(err, caseOptions{})
	}
	return c.do(casework.TakeByHand{Hash: c.form("hash")}, c.l.say("done.by_hand"), "")
}

func (c *call) postedReply() error {
	return c.do(casework.MarkPosted{Hash: c.form("hash"), URL: c.form("url")}, c.l.say("done.posted"), "")
}

func (c *call) settleReply() error {
	s, err := c.Cases.Do(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")), casework.Settle{Outcome: c.form("outcome"), URL: c.form("url")})
	if isRefused(err, casework.CodeInput) {
		return c.refused(err, caseOptions{ask: c.askSettle()})
	}
	return c.done(s, err, c.l.say("done.settle"), "")
}

// askSettle asks what became of a reply in doubt, with what was typed. Neither
// answer is chosen beforehand.
func (c *call) askSettle() *askView {
	say, base := c.l.say, "/cases/"+c.r.PathValue("id")
	outcome := field{Name: "outcome", Label: say("ask.settle_outcome"), Type: "radio", Required: true}
	for _, o := range []string{casework.Published, casework.NotPublished} {
		outcome.Options = append(outcome.Options, option{Value: o, Label: say("ask.settle_" + o), On: c.form("outcome") == o})
	}
	return &askView{
		Title: say("ask.settle"), Text: say("ask.settle_text"), Action: base + "/settle", Back: base, Button: say("action.settle"),
		Fields: []field{outcome, {Name: "url", Label: say("ask.posted_link"), Hint: say("ask.settle_link"), Type: "url", Plain: true, Placeholder: "https://", Value: c.form("url")}},
	}
}

func (c *call) approveReply() error {
	id := mention.ID(c.r.PathValue("id"))
	s, err := c.decide("approved", id, casework.Approve{Hash: c.form("hash"), Note: c.form("note"), Emergency: c.form("alone") == "yes", Anew: c.form("anew") == "yes"})
	return c.done(s, err, c.l.say("done.approve"), "")
}

func (c *call) sendBack() error {
	s, err := c.decide("sent_back", mention.ID(c.r.PathValue("id")), casework.SendBack{Why: c.form("note")})
	return c.done(s, err, c.l.say("done.send_back"), "")
}

// decide says yes or no to the reply of a case, and tells whoever wrote it what
// became of it, if they are somebody else: they wait for it.
func (c *call) decide(what string, id mention.ID, cmd casework.Command) (casework.State, error) {
	s, err := c.Cases.Do(c.ctx, c.viewer, id, cmd)
	if err == nil && s.Draft != nil && s.Draft.Author != c.viewer.Actor() {
		c.tell(what, s.ID, s.Draft.Author)
	}
	return s, err
}

// ask shows the small form that a command needs.
func (c *call) ask() error {
	s, err := c.Cases.Get(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")))
	if err != nil {
		return err
	}
	say, what := c.l.say, c.r.PathValue("what")
	switch need := c.needs(what); {
	case need == "":
		return errNotFound
	case !c.viewer.Can(need, s.Mention.Brand):
		return errForbidden
	}
	base := "/cases/" + string(s.ID)
	a := &askView{Action: base + "/" + what, Back: base, Title: say("ask." + what)}
	why := field{Name: "why", Label: say("ask.why"), Type: "textarea", Rows: 2}
	switch what {
	case "close":
		a.Button, a.Next = say("action.done"), true
		outcome := field{Name: "outcome", Label: say("ask.outcome"), Type: "select", Required: true}
		usual := "no_answer_needed"
		if len(s.Replies) > 0 {
			usual = "solved"
		}
		for _, o := range casework.Outcomes {
			outcome.Options = append(outcome.Options, option{Value: o, Label: say("outcome." + o), On: o == usual})
		}
		why.Label = say("ask.what_done")
		a.Fields = []field{outcome, why}
		if s.LimitedOnly() {
			a.Text = say("ask.close_limited")
		}
		if s.Weighty() && len(s.Care.Measures) == 0 {
			a.Text = sentence(a.Text, say("ask.measure_text"))
			a.Fields = append(a.Fields, c.measureFields(&s, false)...)
		}
	case "hand-over":
		a.Button = say("action.hand")
		a.Fields = []field{c.whoTakes(&s), why}
	case "snooze":
		a.Button, a.Next = say("action.snooze"), true
		until := field{Name: "until", Label: say("ask.until"), Type: "radio"}
		for i, d := range []struct{ v, key string }{{"1h", "snooze.1h"}, {"4h", "snooze.4h"}, {c.morning(1), "snooze.tomorrow"}, {c.morning(7), "snooze.week"}} {
			until.Options = append(until.Options, option{Value: d.v, Label: say(d.key), On: i == 0})
		}
		until.Options = append(until.Options, option{Value: c.morning(30), Label: say("snooze.month")})
		a.Fields = []field{until}
		if s.Mention.Author.ID != "" {
			a.Fields = append(a.Fields, field{Name: "post", Label: say("snooze.or"), Type: "check", Options: []option{{Value: "on", Label: say("snooze.post"), On: true}}})
		}
	case "escalate":
		a.Button, a.Danger, a.Text = say("action.escalate"), true, say("ask.escalate_text")
		why.Required, why.Label = true, say("ask.escalate_why")
		a.Fields = []field{why}
	case "assign", "tag", "link", "promise", "kept", "unpromise":
		c.askTriage(what, &s, a)
	case "merge":
		a.Button, a.Text = say("action.merge"), say("ask.merge_text")
		a.Fields = []field{{Name: "into", Label: say("ask.merge_into"), Required: true}}
	case "settle":
		a = c.askSettle()
	default:
		if !c.askCare(&s, what, a) {
			return errNotFound
		}
	}
	return c.showCase(http.StatusOK, &s, caseOptions{ask: a, back: "/queue"}, nil)
}

// morning is nine o'clock in so many days.
func (c *call) morning(days int) string {
	t := c.l.now.In(c.l.zone).AddDate(0, 0, days)
	return time.Date(t.Year(), t.Month(), t.Day(), 9, 0, 0, 0, c.l.zone).Format(localTime)
}

// whoTakes is the choice of teams and people that a case can be handed to.
func (c *call) whoTakes(s *casework.State) field {
	f := field{Name: "to", Label: c.l.say("ask.to"), Type: "select", Required: true}
	for _, t := range settings.Teams.List(c.Settings) {
		f.Options = append(f.Options, option{Value: t.ID, Label: t.Name})
	}
	for _, p := range settings.Staff.List(c.Settings) {
		v := p.Viewer()
		if p.ID != c.viewer.Actor() && v.Can(identity.Handle, s.Mention.Brand) {
			f.Options = append(f.Options, option{Value: p.ID, Label: p.Name})
		}
	}
	if len(f.Options) == 0 {
		return field{Name: "to", Label: c.l.say("ask.to"), Required: true, Hint: c.l.say("ask.to_hint")}
	}
	return f
}
