package desk

import (
	"cmp"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/text"
)

// slotName is a place in a template, as it stands in a text that lacks it.
var slotName = regexp.MustCompile(`\{\{\s*([a-z][a-z0-9_]*)\s*\}\}`)

// reply is what stands in the composer: what was typed, or the stored draft.
type reply struct {
	version  int        // of the draft it is based on
	to       mention.ID // the post it answers, of those that joined the case; empty for the case's own
	account  string     // source by which it leaves; empty for the usual one
	template string
	kind     casework.ReplyKind
	text     string
	rendered string // the template's text as it was last filled in
	slots    map[string]string
	promise  string // local time by which we report
	every    int    // and again after so many days; 0 for once
}

// stored is the composer's content for a case that is only looked at.
func (c *call) stored(s *casework.State) *reply {
	d := s.Draft
	if d == nil {
		return &reply{kind: c.usualKind(s), to: c.usualPost(s)}
	}
	r := &reply{to: d.To, version: d.Version, account: d.Account, template: d.Template, kind: d.Kind, text: d.Text, slots: d.Slots}
	if !d.Edited {
		r.rendered = d.Text
	}
	return r
}

// loses tells that r, which somebody chose or typed for s, is neither stored nor
// what comes by itself: it goes with the page that shows it.
func (c *call) loses(s *casework.State, r *reply) bool {
	was := c.stored(s)
	mine, theirs := c.facing(s, r), c.facing(s, was)
	if s.Draft == nil {
		c.shipped(theirs, was)
	}
	if s.Promise != nil {
		was.every = int(s.Promise.Every / day)
	}
	chosen, _, _ := c.account(mine, r.account)
	usual, _, _ := c.account(theirs, was.account)
	return chosen != usual || r.to != was.to || r.template != was.template || r.kind != was.kind || r.text != was.text ||
		r.kind == casework.Interim && (cmp.Or(r.promise, c.usualPromise()) != c.usualPromise() || r.every != was.every) ||
		!slices.EqualFunc(c.slots(mine, r), c.slots(theirs, was), func(a, b field) bool { return a.Value == b.Value })
}

// usualKind is the kind of reply that comes next.
func (c *call) usualKind(s *casework.State) casework.ReplyKind {
	if len(s.Replies) > 0 {
		return casework.Final
	}
	return casework.First
}

// typed reads the composer's form.
func (c *call) typed() *reply {
	r := &reply{
		to: mention.ID(c.form("to")), account: c.form("account"), template: c.form("template"), kind: casework.ReplyKind(c.form("kind")), text: c.form("text"), rendered: c.form("rendered"),
		slots: map[string]string{}, promise: c.form("promise"), every: atoi(c.form("every")),
	}
	if pick := c.form("pick"); pick != "" {
		r.template = pick
	}
	if answer := c.form("answer"); answer != "" {
		r.text = strings.TrimSpace(r.text + "\n" + answer)
	}
	r.version, _ = strconv.Atoi(c.form("version"))
	for name, values := range c.r.PostForm {
		if slot, ok := strings.CutPrefix(name, "slot."); ok && len(values) > 0 {
			r.slots[slot] = strings.TrimSpace(values[0])
		}
	}
	return r
}

// automatic are the slots of templates that fill themselves.
func (c *call) automatic(s *casework.State) map[string]string {
	m := &s.Mention
	brand, _ := settings.Brands.Get(c.Settings, m.Brand)
	staff := c.viewer.Name()
	if c.staff != nil {
		staff = cmp.Or(c.staff.PublicName, c.staff.Name)
	}
	number := ""
	if s.Number > 0 {
		number = itoa(s.Number)
	}
	today := c.l.now.In(c.l.zone).Format("2 January")
	if s.Verdict.Lang == "ja" {
		today = c.l.now.In(c.l.zone).Format("1月2日")
	}
	return map[string]string{"author": cmp.Or(m.Author.Name, m.Author.Handle), "brand": brand.Called(s.Verdict.Lang), "staff": staff, "case": number, "date": today}
}

// values are the slots of r with those that fill themselves. In a holding reply
// the date is the one by which we report, so that text and promise agree; a
// template that describes its date means another one, which a person fills in.
func (c *call) values(s *casework.State, r *reply) map[string]string {
	all := c.automatic(s)
	if t, ok := settings.Templates.Get(c.Settings, r.template); ok && t.InForce() != nil {
		if slices.ContainsFunc(t.InForce().Slots, func(slot casework.Slot) bool { return slot.Name == "date" }) {
			delete(all, "date")
		}
	}
	for k, v := range r.slots {
		if v != "" {
			all[k] = v
		}
	}
	if r.kind == casework.Interim {
		all["date"] = c.promised(s, r)
	}
	return all
}

// promised is the time by which we report, in the language of the reply.
func (c *call) promised(s *casework.State, r *reply) string {
	t, err := c.moment(cmp.Or(r.promise, c.usualPromise()))
	if err != nil {
		return ""
	}
	if t = t.In(c.l.zone); s.Verdict.Lang == "ja" {
		if t.Minute() == 0 {
			return t.Format("1月2日15時")
		}
		return t.Format("1月2日15時4分")
	}
	return t.Format("2 January, 15:04")
}

// fill puts the template's text into r, unless somebody has changed it by hand.
func (c *call) fill(s *casework.State, r *reply, fresh bool) {
	t, ok := settings.Templates.Get(c.Settings, r.template)
	if !ok || t.InForce() == nil {
		return
	}
	v := t.InForce()
	if fresh && v.Kind != "" {
		r.kind = v.Kind
	}
	text, _ := v.Render(c.values(s, r))
	if fresh || strings.TrimSpace(r.text) == "" || r.text == r.rendered {
		r.text = text
	}
	r.rendered = text
}

// composer is where a reply to s is made, or why it can't be.
func (c *call) composer(s *casework.State, o caseOptions) *composerView {
	l, brand := c.l, s.Mention.Brand
	if s.ReadOnly != "" || s.Redacted || !c.viewer.Can(identity.Comment, brand) {
		return nil
	}
	r := o.composer
	if r == nil {
		r = c.stored(s)
	}
	own := s
	s = c.facing(own, r)
	_, name, _ := c.account(s, r.account)
	v := &composerView{
		Action: "/cases/" + string(s.ID), Revision: s.Last, Mode: "reply", Account: name,
		Unsaved: o.composer != nil || o.template != "" || o.mode == "hold" || o.mode == "note",
		To:      authorOf(s.Mention.Author.Handle, s.Mention.Author.Name), Lang: langOf(s.Verdict.Lang),
	}
	mine := s.Holder == "" || s.Holder == c.viewer.Actor()
	if o.mode == "note" || !c.viewer.Can(identity.Handle, brand) || s.Outgoing != nil || s.Status == casework.Done || s.Mention.Deleted {
		v.Mode, v.NoteOnly = "note", o.mode != "note"
		if s.Asks() == "" {
			return v
		}
	}
	if s.Asks() != "" && s.Draft != nil && o.composer == nil && o.mode == "" {
		v.Mode, v.Pending = "reply", c.pending(own, s)
		return v
	}
	if v.Mode == "note" {
		return v
	}
	if !mine {
		v.Claim, v.Holder = true, c.who(s.Holder)
		return v
	}
	if o.composer == nil {
		switch {
		case o.mode == "hold":
			c.holding(s, r)
		case o.template != "":
			r.template = o.template
			c.fill(s, r, true)
		case s.Draft == nil:
			c.shipped(s, r)
		}
	}
	v.Loses = (o.composer != nil || o.template != "" && c.part() != "") && c.loses(own, r)
	c.answerable(s, r, v)
	v.Posts = c.postsField(own, r)
	v.Version, v.Text, v.Rendered = r.version, r.text, r.rendered
	for _, t := range casework.Ranked(settings.Templates.List(c.Settings), s) {
		o := c.templateOption(&t)
		o.On = t.ID == r.template
		v.Templates = append(v.Templates, o)
		if o.On && t.InForce().Apology == casework.FullApology {
			v.Facts = s.Care.Facts == nil
		}
	}
	v.Picks = o.picking
	if who := s.Muted(); who != "" {
		v.Stopped = l.say("refused.no_answer", c.who(who))
	}
	if stop, ok := c.Settings.StopOf(s.Mention.Brand, s.Verdict.Story); ok {
		v.Stopped = sentence(v.Stopped, l.say("stop.holds", stop.Why))
		if t, ok := settings.Templates.Get(c.Settings, stop.Statement); ok {
			v.Stopped += " " + l.say("stop.statement_is", t.Name)
		}
	}
	if i := slices.IndexFunc(v.Templates, func(t templateOption) bool { return t.On }); i >= 0 {
		v.Chosen = &v.Templates[i]
		v.Slots = c.slots(s, r)
	}
	for _, k := range []casework.ReplyKind{casework.First, casework.Interim, casework.Final} {
		v.Kinds = append(v.Kinds, option{Value: string(k), Label: l.say("composer.kind_" + string(k)), On: k == r.kind})
	}
	if r.kind == casework.Interim {
		v.Promise = field{Name: "promise", Label: l.say("composer.promise"), Type: "datetime-local", Required: true, Value: cmp.Or(r.promise, c.usualPromise())}
		if s.Promise != nil && !c.r.PostForm.Has("every") {
			r.every = int(s.Promise.Every / day)
		}
		v.Every = c.everyField(r.every)
	}
	v.Preview = c.preview(s, r)
	v.Waits = c.waits(own, r)
	if a := c.approval(c.facing(own, r), r); a != nil {
		v.Approved = l.say("composer.approved", c.who(a.By))
	}
	if a, ok := c.lapsed(own); ok && v.Waits != "" {
		v.Lapsed = l.say("composer.lapsed", c.who(a.Actor), int(casework.ApprovalTerm/time.Hour))
	}
	if d := s.Draft; d != nil {
		v.Draft = l.say("composer.draft", c.who(d.Author), l.at(d.At).Ago())
	}
	if s.Status == casework.StatusSentBack {
		if e, ok := lastKind(s, casework.SentBack); ok {
			v.SentBack = l.say("composer.sent_back", c.who(e.Actor), e.Text)
		}
	}
	return v
}

func lastKind(s *casework.State, k casework.Kind) (casework.Event, bool) {
	for _, e := range slices.Backward(s.History) {
		if e.Kind == k {
			return e, true
		}
	}
	return casework.Event{}, false
}

// holding makes r the holding reply that fits best: one key says by when we
// report.
func (c *call) holding(s *casework.State, r *reply) {
	r.kind = casework.Interim
	for _, t := range casework.Suggest(settings.Templates.List(c.Settings), s) {
		if v := t.InForce(); v.Kind == casework.Interim && t.Lang == s.Verdict.Lang {
			r.template = t.ID
			c.fill(s, r, true)
			return
		}
	}
}

// shipped makes r the news that a wish came true, for those who asked.
func (c *call) shipped(s *casework.State, r *reply) {
	for _, w := range s.Care.Wishes {
		card, _ := settings.Wishes.Get(c.Settings, w.ID)
		for card.Into != "" {
			card, _ = settings.Wishes.Get(c.Settings, card.Into)
		}
		t, ok := settings.Templates.Get(c.Settings, card.Template)
		if card.Status == casework.WishShipped && ok && t.InForce() != nil && t.Serves(s.Mention.Brand, s.Mention.Platform) {
			r.template = t.ID
			c.fill(s, r, true)
			return
		}
	}
}

// slots are the inputs for the places of the chosen template.
func (c *call) slots(s *casework.State, r *reply) []field {
	t, _ := settings.Templates.Get(c.Settings, r.template)
	v := t.InForce()
	if v == nil {
		return nil
	}
	var out []field
	values := c.values(s, r)
	for _, slot := range v.Slots {
		if slot.Name == "date" && r.kind == casework.Interim {
			continue // the promise
		}
		f := field{Name: "slot." + slot.Name, Label: cmp.Or(slot.Label, slot.Name), Value: cmp.Or(values[slot.Name], slot.Default), Required: slot.Required}
		if slot.Type == "choice" && len(slot.Choices) > 0 {
			f.Type = "select"
			if f.Value == "" { // else the first is said that nobody chose
				f.Options = []option{{Label: c.l.say("composer.slot"), On: true}}
			}
			for _, choice := range slot.Choices {
				f.Options = append(f.Options, option{Value: choice, Label: choice, On: choice == f.Value})
			}
		}
		out = append(out, f)
	}
	return out
}

// localTime is how browsers write a time in a form.
const localTime = "2006-01-02T15:04"

const day = 24 * time.Hour

// everyField asks whether a report is promised again and again.
func (c *call) everyField(on int) field {
	f := field{Name: "every", Label: c.l.say("ask.promise_every"), Type: "select", Plain: true}
	choices := []int{0, 1, 2, 3, 7, 14}
	if !slices.Contains(choices, on) {
		choices = append(choices, on)
	}
	for _, n := range choices {
		label := c.l.say("ask.promise_once")
		if n > 0 {
			label = c.l.say("case.every_days", n)
		}
		f.Options = append(f.Options, option{Value: itoa(n), Label: label, On: n == on})
	}
	return f
}

// usualPromise is the end of the next working day.
func (c *call) usualPromise() string {
	t := c.l.now.In(c.l.zone).AddDate(0, 0, 1)
	for t.Weekday() == time.Saturday || t.Weekday() == time.Sunday {
		t = t.AddDate(0, 0, 1)
	}
	return time.Date(t.Year(), t.Month(), t.Day(), 17, 0, 0, 0, c.l.zone).Format(localTime)
}

// preview is r as the platform will show it.
func (c *call) preview(s *casework.State, r *reply) *previewView {
	if strings.TrimSpace(r.text) == "" {
		return nil
	}
	id, name, _ := c.account(s, r.account)
	limit := c.Settings.LimitFor(&s.Mention, id)
	p := &previewView{
		Author: c.brandName(s.Mention.Brand), Handle: name, Platform: s.Mention.Platform, PlatformName: c.platform(s.Mention.Platform),
		Text: r.text, Lang: langOf(s.Verdict.Lang), Count: limit.Count(r.text), Limit: limit.Max,
	}
	for _, m := range slotName.FindAllStringSubmatch(r.text, -1) {
		p.Findings = append(p.Findings, findingView{Words: m[0], Why: c.l.say("check.slot"), Block: true})
	}
	spans, found := c.marked(r.text, c.findings(s, r))
	p.Spans, p.Findings = spans, append(p.Findings, found...)
	return p
}

// approval is the one that holds for r as it stands; nil for none.
func (c *call) approval(s *casework.State, r *reply) *casework.Approval {
	id, _, _ := c.account(s, r.account)
	if a := s.Approval; a != nil && s.Draft != nil && a.Hash == s.Hash(&casework.Draft{Text: r.text, Account: cmp.Or(id, s.Mention.Source)}) {
		return a
	}
	return nil
}

// lapsed is the approval of the draft in s whose time is over, unless something was
// done about it since.
func (c *call) lapsed(s *casework.State) (casework.Event, bool) {
	for _, e := range slices.Backward(s.History) {
		switch e.Kind {
		case casework.Drafted, casework.Submitted, casework.SentBack:
			return casework.Event{}, false
		case casework.Approved:
			return e, s.Draft != nil && !c.l.now.Before(e.Until)
		}
	}
	return casework.Event{}, false
}

// waits tells whether a second person has to approve r, and why.
func (c *call) waits(own *casework.State, r *reply) string {
	s := c.facing(own, r)
	rules, _ := settings.Rules.Get(c.Settings, settings.Default)
	d := &casework.Draft{Text: r.text, Template: r.template, Edited: r.text != r.rendered}
	if c.approval(s, r) != nil {
		return ""
	}
	needs, why := rules.Needs(own, d, c.viewer)
	if !needs && s != own {
		needs, why = rules.Needs(s, d, c.viewer)
	}
	if !needs {
		return ""
	}
	if c.l.has("why." + why) {
		why = c.l.say("why." + why)
	}
	return c.l.say("composer.waits", why)
}

// pending is a reply in the case own that waits for approval, with what differs from
// its template marked, and what differs in the post that it answers, which s faces,
// from when it asked.
func (c *call) pending(own, s *casework.State) *pendingView {
	d := s.Draft
	v := &pendingView{By: c.who(d.Author), At: c.l.at(d.At), Hash: s.Hash(d), Own: d.Author == c.viewer.Actor()}
	if v.Hash != own.Asks() {
		v.Edited = c.editedPost(own, s)
	}
	v.May = !v.Own && c.viewer.Can(identity.Approve, s.Mention.Brand)
	v.Alone = v.Own && c.viewer.Can(identity.Page, s.Mention.Brand)
	_, v.Findings = c.marked(d.Text, c.Settings.CheckReply(s.Mention.Brand, d.Lang, d.Text))
	v.Changes = []span{{Text: d.Text}}
	if t, ok := settings.Templates.Get(c.Settings, d.Template); ok {
		if tv := t.Version(d.TemplateVersion); tv != nil {
			v.Changes = changed(tv.Body, d.Text)
			v.Template = t.Name
		}
	}
	return v
}

// editedPost is the post that s faces beside what it was when the draft in the case
// own asked for approval.
func (c *call) editedPost(own, s *casework.State) *editView {
	v := &editView{Lang: langOf(s.Verdict.Lang)}
	asked, _ := own.AskedAt()
	of := *own
	if s.Mention.ID != own.Mention.ID {
		var err error
		if of, err = c.Cases.Get(c.ctx, c.viewer, s.Mention.ID); err != nil {
			return v
		}
	}
	was, ok := of.PostAt(asked.Seq)
	if !ok {
		v.Besides = []string{c.l.say("pending.post_unknown")}
		return v
	}
	v.Old, v.New = edits(c.masked(&of, was.Content()), c.masked(&of, s.Mention.Content()))
	if v.Besides = c.besides(&of, &was.Post, &s.Mention.Post); len(v.Besides) == 0 && !v.Marked() {
		v.Besides = []string{c.l.say("pending.post_same")}
	}
	return v
}

// besides says what an edit of the post of s changed that no mark in its text shows:
// what is masked, stars, pictures and files.
func (c *call) besides(s *casework.State, was, is *mention.Post) []string {
	var out []string
	if !c.revealed(s) && !slices.Equal(hiddenIn(was.Content()), hiddenIn(is.Content())) {
		out = append(out, c.l.say("pending.post_hidden"))
	}
	if was.Rating != is.Rating {
		out = append(out, c.l.say("pending.post_rating", was.Rating, is.Rating))
	}
	gone, came := lacking(was.Media, is.Media), lacking(is.Media, was.Media)
	exchanged := min(gone, came)
	for _, x := range []struct {
		key string
		n   int
	}{{"exchanged", exchanged}, {"added", came - exchanged}, {"removed", gone - exchanged}} {
		if x.n > 0 {
			out = append(out, c.l.say("pending.media_"+x.key, x.n))
		}
	}
	sameFile := func(a, b mention.Media) bool { return a.URL == b.URL }
	if gone+came == 0 && !slices.EqualFunc(was.Media, is.Media, sameFile) {
		out = append(out, c.l.say("pending.media_moved"))
	}
	return out
}

// hiddenIn are the pieces of content that are masked.
func hiddenIn(content string) []string {
	var out []string
	for _, p := range text.Private(content) {
		out = append(out, content[p.Start:p.End])
	}
	return out
}

// lacking counts what of a is not in b.
func lacking(a, b []mention.Media) int {
	n := 0
	for _, x := range a {
		if !slices.ContainsFunc(b, func(y mention.Media) bool { return x.URL == y.URL }) {
			n++
		}
	}
	return n
}

// changed cuts text into spans, those marked that do not stand in the fixed
// parts of body in its order.
func changed(body, text string) []span {
	var out []span
	rest := text
	for _, fixed := range slotName.Split(body, -1) {
		if strings.TrimSpace(fixed) == "" {
			continue
		}
		i := strings.Index(rest, fixed)
		if i < 0 {
			continue
		}
		if i > 0 {
			out = append(out, span{Text: rest[:i], Mark: true})
		}
		out = append(out, span{Text: fixed})
		rest = rest[i+len(fixed):]
	}
	if rest != "" {
		out = append(out, span{Text: rest, Mark: len(out) > 0 || body != ""})
	}
	return out
}

// write is the command that stores r.
func (c *call) write(s *casework.State, r *reply) casework.Write {
	id, _, _ := c.account(s, r.account)
	slots := maps.Clone(r.slots)
	if r.template != "" {
		slots = c.values(s, r)
	}
	return casework.Write{
		Version: r.version, Text: r.text, Lang: s.Verdict.Lang, Kind: r.kind, Account: id, Template: r.template, Slots: slots, To: r.to,
	}
}

// fillReply puts the chosen template into the composer.
func (c *call) fillReply() error {
	s, err := c.Cases.Get(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")))
	if err != nil {
		return err
	}
	r := c.typed()
	if t, ok := settings.Templates.Get(c.Settings, r.template); ok && s.Number == 0 && t.InForce() != nil && strings.Contains(t.InForce().Body, "{{case}}") {
		// A number that can be read out is there once somebody works on it.
		if s, err = c.Cases.Do(c.ctx, c.viewer, s.ID, casework.Claim{}); err != nil {
			return c.refused(err, caseOptions{mode: "reply", composer: r})
		}
	}
	fresh := r.template != c.form("was") || c.form("pick") != ""
	c.fill(c.facing(&s, r), r, fresh && c.form("answer") == "")
	o := caseOptions{mode: "reply", composer: r}
	if c.part() != "" {
		return c.show(http.StatusOK, "case", "composer", c.composer(&s, o))
	}
	return c.showCase(http.StatusOK, &s, o, nil)
}

// previewReply shows what was typed as the platform will.
func (c *call) previewReply() error {
	s, err := c.Cases.Get(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")))
	if err != nil {
		return err
	}
	r := c.typed()
	c.fill(c.facing(&s, r), r, false)
	v := c.composer(&s, caseOptions{mode: "reply", composer: r})
	if c.part() == "" {
		return c.showCase(http.StatusOK, &s, caseOptions{mode: "reply", composer: r}, nil)
	}
	return c.show(http.StatusOK, "case", "check", v)
}
