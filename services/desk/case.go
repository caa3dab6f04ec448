package desk

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/text"
)

// caseOptions say what of a case is shown besides the case.
type caseOptions struct {
	mode     string    // of the composer: reply or note
	back     string    // the list it was opened from
	composer *reply    // what stands in the composer; nil for the stored draft
	template string    // to begin the reply with
	picking  *pickView // templates and answers to choose from
	confirm  *confirmView
	ask      *askView
	labels   *typedLabels    // the form of labels is open, as this fills it
	sample   casework.Sample // it is judged for, blind
	leaveOut *leaveOutView   // what the brand's query could leave out
}

// caseAlone is the page of one case.
func (c *call) caseAlone() error {
	id := mention.ID(c.r.PathValue("id"))
	switch c.part() {
	case "case":
		return c.casePart(http.StatusOK, id)
	case "row":
		return c.rowPart(id)
	}
	s, err := c.Cases.Get(c.ctx, c.viewer, id)
	if err != nil {
		return err
	}
	o, err := c.blind(&s, caseOptions{mode: c.r.URL.Query().Get("mode"), template: c.r.URL.Query().Get("template"), back: "/queue"})
	if err != nil {
		return err
	}
	v := &casePage{Case: c.caseOf(&s, o)}
	v.frame = c.frame(cmp.Or(v.Case.Number, c.l.say("case.untouched")), "/queue")
	v.Wide = true
	return c.show(http.StatusOK, "case", "page", v)
}

// casePart answers the script with the case alone.
func (c *call) casePart(status int, id mention.ID) error {
	s, err := c.Cases.Get(c.ctx, c.viewer, id)
	if err != nil {
		return err
	}
	q := c.r.URL.Query()
	o, err := c.blind(&s, caseOptions{mode: q.Get("mode"), template: q.Get("template"), back: withQuery(c.r.URL, map[string]string{"case": "", "mode": ""})})
	if err != nil {
		return err
	}
	return c.showCase(status, &s, o, nil)
}

func (c *call) rowPart(id mention.ID) error {
	docs, err := c.Index.Get(c.ctx, c.sees(), id)
	if err != nil {
		return err
	}
	if len(docs) == 0 {
		return errNotFound
	}
	row := c.row(&search.Hit{Document: docs[0]}, "/queue?case="+string(id))
	if c.fromSample() {
		row = c.sampleRow(&docs[0], false)
		row.Seen = true // its state comes with the list
		return c.show(http.StatusOK, "queue", "part-row", &queueView{frame: frame{locale: c.l}, Row: &row})
	}
	if s, err := c.Cases.Get(c.ctx, c.viewer, id); err == nil {
		if now, ok := c.overlay(&s); ok {
			row = now
		}
	}
	return c.show(http.StatusOK, "queue", "part-row", &queueView{frame: frame{locale: c.l}, Row: &row})
}

// showCase answers with a case: the part for the script, with a line for the
// list, or the page.
func (c *call) showCase(status int, s *casework.State, o caseOptions, f *flash) error {
	if c.part() == "" {
		v := &casePage{Case: c.caseOf(s, o)}
		v.frame = c.frame(cmp.Or(v.Case.Number, c.l.say("case.untouched")), "/queue")
		v.Wide, v.Flash = true, cmp.Or(f, v.Flash)
		return c.show(status, "case", "page", v)
	}
	v := &queueView{frame: frame{locale: c.l, Flash: f}, Case: c.caseOf(s, o)}
	if c.fromSample() {
		return c.showOfSample(status, s, v)
	}
	if row, ok := c.overlay(s); ok {
		v.Row = &row
	}
	return c.show(status, "queue", "part-case", v)
}

// showOfSample answers with a case of the sample, and how many are left in it.
func (c *call) showOfSample(status int, s *casework.State, v *queueView) error {
	items, left, err := c.sampleItems(c.ctx)
	if err != nil {
		return err
	}
	v.Left = c.l.say("sample.left", left, len(items))
	for i := range items {
		if items[i].ID == s.ID {
			row := c.sampleRow(&items[i].doc, items[i].done)
			v.Row = &row
		}
	}
	return c.show(status, "queue", "part-case", v)
}

// blinded is a case as whoever judges it for the sample sees it: what was said,
// and nothing that tells what we think of it.
func (c *call) blinded(s *casework.State, v *caseView) *caseView {
	bare := *s
	bare.Verdict, bare.Judgements = mention.Verdict{Lang: s.Verdict.Lang}, nil
	out := &caseView{
		ID: v.ID, Href: v.Href + "?view=" + viewSample, Back: v.Back, Revision: v.Revision, Brand: v.Brand, Place: v.Place,
		Parent: v.Parent, Post: c.post(&bare, nil), Labels: v.Labels, Blind: true, Present: c.presentOn(s.ID),
	}
	return out
}

// overlay is the list's line of a case as the case stands, which the index may
// not know yet.
func (c *call) overlay(s *casework.State) (rowView, bool) {
	if s.Number == 0 {
		return rowView{}, false
	}
	m, in := &s.Mention, s.InForce()
	v := &in
	h := search.Hit{Document: search.Document{
		ID: s.ID, Brand: m.Brand, Platform: m.Platform, Lang: v.Lang, Title: m.Title, Text: m.Text,
		AuthorHandle: m.Author.Handle, AuthorName: m.Author.Name, Status: string(s.Stands()), Disposition: s.Triage.Disposition,
		Sentiment: v.Sentiment, Intent: v.Intent, Page: v.Page, Holder: s.Owner(), Tags: s.IndexTags(), Open: s.Open(c.l.now), DueAt: s.DueAt(),
		PublishedAt: m.PublishedAt, MediaN: len(m.Media),
	}}
	for _, r := range v.Risks {
		h.Risks = append(h.Risks, r.Category)
	}
	row := c.row(&h, "/queue?case="+string(s.ID))
	row.Seen = true
	return row, true
}

// caseOf is a case with everything about it.
func (c *call) caseOf(s *casework.State, o caseOptions) *caseView {
	l, m := c.l, &s.Mention
	v := &caseView{
		ID: string(s.ID), Href: "/cases/" + string(s.ID), Back: o.back, Revision: s.Last,
		State: string(s.Stands()), StateName: c.stateName(string(s.Stands()), s.IndexTags()), Brand: c.brandName(m.Brand), Place: m.Place.Name,
		Due: l.at(s.DueAt()), DueWhat: l.say("case.due_first"),
		Confirm: o.confirm, Ask: o.ask,
	}
	v.Stuck = stuck(s.IndexTags())
	if s.Number > 0 {
		v.Number = "No. " + itoa(s.Number)
	}
	if s.Holder != "" {
		v.Holder, v.Mine = c.who(s.Holder), s.Holder == c.viewer.Actor()
	} else if s.Assignee != "" {
		v.Assignee = c.who(s.Assignee)
	}
	if len(s.Replies) > 0 {
		v.DueWhat = l.say("case.due_resolve")
	}
	if s.Asked != nil {
		v.DueWhat = l.say("case.due_again")
	}
	v.Tags = c.tagsOf(s)
	if p := s.Promise; p != nil {
		v.DueWhat = l.say("case.due_promise")
		v.Promise = &promiseView{By: l.at(p.Due)}
		if c.viewer.Can(identity.Handle, m.Brand) && s.ReadOnly == "" && !s.Redacted {
			v.Promise.Kept, v.Promise.End = v.Href+"/ask/kept", v.Href+"/ask/unpromise"
		}
		if p.Every > 0 {
			v.Promise.Every = l.say("case.every", int(p.Every/time.Hour))
			if p.Every%(24*time.Hour) == 0 {
				v.Promise.Every = l.say("case.every_days", int(p.Every/(24*time.Hour)))
			}
		}
	}
	v.Parent = c.parent(s)
	if o.labels != nil {
		v.Labels = c.labelsForm(s, o.labels, o.sample, o.back)
	}
	if o.sample != "" {
		return c.blinded(s, v)
	}
	v.Verdict = c.verdict(s)
	v.Post = c.post(s, v.Verdict.Risks)
	var live []mention.Comment
	if len(c.asksBelow(s)) > 0 && !s.Redacted && !m.Deleted {
		// A part is what the page asks for by itself, again and again.
		if v.Below = v.Href + "?below=now"; c.r.Method == http.MethodGet && c.part() == "" && c.r.URL.Query().Get("below") == "now" {
			if live, v.BelowTrouble = c.belowNow(s); v.BelowTrouble == nil {
				v.Below, v.BelowNone = "", len(live) == 0
			}
		}
	}
	v.After = c.below(s, live)
	v.Note, v.Present = c.caseNote(s), c.presentOn(s.ID)
	v.Steps, v.Book = c.playbook(s)
	v.Care = c.care(s)
	v.Private = c.private(s)
	v.Earlier, v.EarlierAll = c.earlier(s.ID, m)
	c.links(s, v)
	v.Story = c.story(s)
	v.Escalation = c.escalationOf(s)
	v.History = c.history(s)
	v.Actions = c.actions(s)
	v.LeaveOut = o.leaveOut
	if v.Confirm == nil && v.Ask == nil && v.Labels == nil && o.leaveOut == nil && o.mode == "" && o.composer == nil && s.ByHand != nil && c.may(identity.Send, m.Brand) == nil {
		if v.Confirm = c.taken(s); v.Confirm != nil {
			v.Confirm.Stored = true
		}
	}
	if v.Confirm == nil && o.ask == nil && o.labels == nil && o.leaveOut == nil {
		v.Composer = c.composer(s, o)
	}
	return v
}

// caseNote is what stands in the way of working on a case.
func (c *call) caseNote(s *casework.State) *notice {
	say := c.l.say
	switch {
	case s.ReadOnly != "":
		return &notice{Kind: "stale", Title: say("case.unknown"), Text: say("case.unknown_text")}
	case s.Redacted:
		return &notice{Kind: "info", Title: say("case.erased"), Text: say("case.gone_text")}
	case s.Mention.Deleted:
		return &notice{Kind: "stale", Title: say("case.gone"), Text: say("case.gone_text")}
	}
	o := s.Outgoing
	switch {
	case o == nil:
	case o.Unsure:
		return &notice{Kind: "error", Title: say("out.unsure"), Text: say("out.unsure_text"), Trouble: c.doubt(s)}
	case o.Calling:
		return &notice{Kind: "info", Title: say("out.calling"), Text: say("out.calling_text")}
	case c.l.now.Before(o.NotTill):
		return &notice{Kind: "info", Title: say("out.held", c.l.at(o.NotTill).at.In(c.l.zone).Format("15:04:05")), Text: say("out.held_text"), Until: c.l.at(o.NotTill)}
	default:
		return &notice{Kind: "info", Title: say("out.waiting"), Text: say("out.waiting_text")}
	}
	if e, ok := lastOf(s, casework.SendFailed); ok && s.Outgoing == nil && s.Draft != nil {
		return c.notPublished(s, &e)
	}
	return nil
}

// lastOf returns the last event that says what became of a reply, if it is of
// kind k.
func lastOf(s *casework.State, k casework.Kind) (casework.Event, bool) {
	for _, e := range slices.Backward(s.History) {
		switch e.Kind {
		case casework.Sent, casework.SendFailed, casework.SendAsked, casework.Drafted, casework.Posted:
			return e, e.Kind == k
		}
	}
	return casework.Event{}, false
}

// verdict is what the classifier says of a case, the gravest risk first.
func (c *call) verdict(s *casework.State) verdictView {
	l, in := c.l, s.InForce()
	v := &in
	v.Risks = slices.Clone(v.Risks)
	out := verdictView{
		Disposition: string(s.Triage.Disposition), DispositionName: l.say("disposition." + string(cmp.Or(s.Triage.Disposition, mention.Answer))),
		Intent: l.say("intent." + string(cmp.Or(v.Intent, mention.OtherIntent))), IntentP: v.IntentScore,
		Sentiment: string(cmp.Or(v.Sentiment, mention.Neutral)), SentimentP: v.SentimentScore, Page: v.Page, Model: v.Model, Unread: v.Unread, Partly: v.Partly,
	}
	out.SentimentName = l.say("sentiment." + out.Sentiment)
	if out.Judged = c.judged(s); out.Judged != nil {
		out.IntentP, out.SentimentP = 0, 0 // a person's word has no probability
	}
	cause, rule := escalation.Cause(v)
	if v.Page && cause != "" {
		out.PageReason = l.say("risk."+string(cause)) + " · " + c.ruleName(rule)
	}
	slices.SortStableFunc(v.Risks, func(a, b mention.Risk) int {
		return slices.Index(mention.Categories, a.Category) - slices.Index(mention.Categories, b.Category)
	})
	content := s.Mention.Content()
	for i, r := range v.Risks {
		risk := riskView{
			Note: itoa(i + 1), Name: string(r.Category), Label: l.say("risk." + string(r.Category)), Step: stepOf(v.Page && r.Category == cause, r.Category),
			Words: shorten(between(text.Mask(content), r.Start, r.End), 120), Rule: c.ruleName(r.Rule), P: r.Score, Deadline: l.at(r.Deadline),
			start: r.Start, end: r.End,
		}
		if out.Judged != nil {
			risk.P = 0
		}
		if r.Rule == casework.PersonRule {
			risk.Rule = ""
		}
		if r.Rung != "" {
			risk.Rung = l.say("rung." + string(r.Rung))
		}
		out.Risks = append(out.Risks, risk)
	}
	return out
}

// ruleName is the name of a rule of the classifier; what has none is told in words.
func (c *call) ruleName(name string) string {
	if c.l.has("rule." + name) {
		return c.l.say("rule." + name)
	}
	return name
}

// setMarks shows or hides our marks in posts, on this device.
func (c *call) setMarks() error {
	s, err := c.Cases.Get(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")))
	if err != nil {
		return err
	}
	c.look.Plain = c.form("marks") == "off"
	c.look.write(c.w, c.secure())
	if c.part() == "" {
		return c.back(cmp.Or(c.form("back"), "/cases/"+string(s.ID)))
	}
	return c.showCase(http.StatusOK, &s, caseOptions{back: "/queue"}, nil)
}

// post is the post of a case.
func (c *call) post(s *casework.State, risks []riskView) postView {
	l, m := c.l, &s.Mention
	p := postView{
		Author: cmp.Or(m.Author.Name, m.Author.Handle, "–"), Handle: m.Author.Handle, Profile: m.Author.URL, Platform: m.Platform,
		PlatformName: c.platform(m.Platform), Href: m.URL, Lang: langOf(s.Verdict.Lang), At: l.at(m.PublishedAt), Rating: m.Rating,
		Deleted: m.Deleted || s.Redacted, Edited: !m.EditedAt.IsZero(), Cut: m.Truncated,
	}
	if m.Author.Name != "" && m.Author.Name == m.Author.Handle && m.Platform != "x" {
		p.Handle = ""
	}
	shown := m.Post
	shown.Title, shown.Text = c.masked(s, m.Title), c.masked(s, m.Text)
	if c.look.Plain {
		risks = nil // what its author wrote, and nothing else
	}
	p.Title, p.Body = postSpans(&shown, risks)
	if p.X = m.Platform == "x"; p.X {
		p.Body = xLinks(p.Body)
	}
	if f := m.Author.Followers; f != nil {
		p.Followers = l.compact(*f)
	}
	p.Metrics = c.metrics(m.Metrics)
	for i, x := range m.Media {
		mv := mediaView{Type: string(x.Type), Alt: x.Alt, Href: x.URL}
		through := cmp.Or(filePath(s.ID, x.URL), "/cases/"+string(s.ID)+"/media/"+itoa(i))
		if x.Type == mention.Image {
			mv.Src = through
		}
		switch {
		case x.URL == "": // an attachment that is not kept
			mv.Src = ""
		case !strings.HasPrefix(x.URL, "http"):
			mv.Href = through // an attachment or a picture of the sandbox: no address of its own
		}
		p.Media = append(p.Media, mv)
	}
	if m.Author.Avatar != "" {
		p.Avatar = "/cases/" + string(s.ID) + "/avatar"
	}
	if v := s.InForce(); !c.look.Open && slices.ContainsFunc(mention.Harsh, v.Has) {
		p.Folded = l.say("post.harsh")
		for _, r := range mention.Harsh {
			if v.Has(r) {
				p.Folded = l.say("post.harsh_of", l.say("risk."+string(r)), len([]rune(m.Content())))
				break
			}
		}
	}
	p.FoldMedia = c.look.FoldPictures
	return p
}

// ourReply is a reply of ours, as the public sees it.
func (c *call) ourReply(s *casework.State, r *casework.Reply) postView {
	author := c.who(r.By)
	if st, ok := settings.Staff.Get(c.Settings, r.By); ok && st.PublicName != "" {
		author = st.PublicName
	}
	p := postView{
		Author: c.brandName(s.Mention.Brand), Handle: "", Platform: s.Mention.Platform, PlatformName: c.platform(s.Mention.Platform),
		Href: r.URL, Lang: langOf(r.Draft.Lang), At: c.l.at(r.At), Ours: true, Body: linked(r.Draft.Text), Followers: "", By: author,
		Metrics: c.metrics(r.Metrics),
	}
	switch {
	case r.Gone:
		p.Flag = c.l.say("post.reply_gone")
	case r.Reads != "":
		p.Flag, p.Reads = c.l.say("post.reply_edited"), r.Reads
	}
	return p
}

// metrics are the counts that the platform gives.
func (c *call) metrics(m mention.Metrics) []metric {
	var out []metric
	for _, x := range []struct {
		n     *int64
		label string
	}{{m.Likes, "post.likes"}, {m.Reposts, "post.reposts"}, {m.Replies, "post.replies"}} {
		if x.n != nil {
			out = append(out, metric{c.l.say(x.label, *x.n), c.l.compact(*x.n)})
		}
	}
	return out
}

// earlier is what the author said before on the same platform.
func (c *call) earlier(but mention.ID, m *mention.Mention) ([]earlierView, string) {
	id := m.Author.ID
	if id == "" {
		return nil, ""
	}
	where := map[search.Field][]string{search.FieldAuthor: {id}, search.FieldPlatform: {m.Platform}}
	res, err := c.Index.Search(c.ctx, search.Query{Viewer: c.sees(), Where: where, Sort: search.Newest, Limit: 6})
	if err != nil {
		return nil, ""
	}
	var out []earlierView
	for i := range res.Hits {
		h := &res.Hits[i]
		if h.ID == but || len(out) == 5 {
			continue
		}
		e := earlierView{Href: "/cases/" + string(h.ID), Text: shorten(text.Mask(h.Content()), 90), Lang: langOf(h.Lang), At: c.l.at(h.PublishedAt)}
		if h.Template != "" && h.Template != search.None {
			if past, err := c.Cases.Get(c.ctx, c.viewer, h.ID); err == nil && len(past.Replies) > 0 {
				e.Reply = shorten(past.Replies[len(past.Replies)-1].Draft.Text, 90)
			}
		}
		out = append(out, e)
	}
	if len(out) == 0 {
		return nil, ""
	}
	return out, "/queue?view=all&author=" + url.QueryEscape(id) + "&platform=" + url.QueryEscape(m.Platform)
}

// story is the post with its reposts and near-copies.
func (c *call) story(s *casework.State) *storyView {
	key := s.Verdict.Story
	if key == "" {
		return nil
	}
	sizes, err := c.Index.Stories(c.ctx, s.Mention.Brand, c.l.now.Add(-time.Hour), key)
	size, ok := sizes[key]
	if err != nil || !ok || size.Count < 2 {
		return nil
	}
	v := &storyView{Key: key, Count: int(size.Count), Growth: int(size.Recent), First: c.l.at(size.First), Href: "/queue?view=all&story=" + url.QueryEscape(key)}
	res, err := c.Index.Search(c.ctx, search.Query{
		Viewer: c.sees(), Sort: search.Newest, Limit: 4,
		Where: map[search.Field][]string{search.FieldStory: {key}, search.FieldBrand: {s.Mention.Brand}},
	})
	if err == nil {
		for i := range res.Hits {
			if h := &res.Hits[i]; h.ID != s.ID && len(v.Items) < 3 {
				v.Items = append(v.Items, earlierView{Href: "/cases/" + string(h.ID), Text: shorten(text.Mask(h.Content()), 90), Lang: langOf(h.Lang), At: c.l.at(h.PublishedAt)})
			}
		}
	}
	return v
}

// escalationOf is the escalation that a case is part of.
func (c *call) escalationOf(s *casework.State) *link {
	subjects := escalation.Subjects(&mention.Tagged{Mention: s.Mention, Verdict: s.Verdict})
	found := c.Board.All(func(e *escalation.State) bool {
		return e.Brand == s.Mention.Brand && (slices.Contains(e.Mentions, s.ID) || e.Open() && slices.ContainsFunc(e.Subjects, func(x string) bool { return slices.Contains(subjects, x) }))
	})
	if len(found) == 0 {
		return nil
	}
	return &link{c.l.say("case.see_page"), "/escalations/" + found[0].Key}
}

// actions are what can be done to a case now, by this viewer.
func (c *call) actions(s *casework.State) []actionView {
	if s.ReadOnly != "" || s.Redacted {
		return nil
	}
	may := func(a identity.Action) bool { return c.viewer.Can(a, s.Mention.Brand) }
	base := "/cases/" + string(s.ID)
	var out []actionView
	add := func(ok bool, name, key string, set ...func(*actionView)) {
		if !ok {
			return
		}
		a := actionView{Name: name, Label: c.l.say("action." + name), Key: key, Action: base + "/" + name}
		for _, f := range set {
			f(&a)
		}
		out = append(out, a)
	}
	path := func(p string) func(*actionView) { return func(a *actionView) { a.Action = base + "/" + p } }
	asks := func(a *actionView) { a.Ask = true }
	more := func(a *actionView) { a.More = true }
	then := func(text string) func(*actionView) { return func(a *actionView) { a.Then = text } }
	primary := func(a *actionView) { a.Primary = true }
	take := func(a *actionView) { a.Fields = []pair{{"take", "yes"}} }

	me := c.viewer.Actor()
	mine, free := s.Owner() == me, s.Owner() == ""
	work := may(identity.Handle) && (s.Holder == "" || s.Holder == me) && s.Outgoing == nil
	closed := s.Status == casework.Done
	if o := s.Outgoing; o != nil && may(identity.Send) {
		held := !o.Calling && !o.Unsure && c.l.now.Before(o.NotTill)
		add(held, "stop", "z", primary)
		add(held, "hasten", "")
		add(o.Unsure, "settle", "", path("ask/settle"), asks, primary)
	}
	add(work && closed, "reopen", "c")
	add(may(identity.Handle) && (free || mine && s.Holder == "") && !closed, "claim", "c", then(c.l.say("state.in_hand")))
	add(may(identity.Handle) && !mine && !free && !closed, "take", "c", path("claim"), take)
	add(work && !closed, "done", "e", path("ask/close"), asks)
	add(work && s.Status == casework.OtherDepartment, "return", "f", path("return"))
	add((work || may(identity.Lead)) && may(identity.Handle) && s.Outgoing == nil && !closed, "assign", "a", path("ask/assign"), asks)
	add(work && !closed && s.Status != casework.OtherDepartment, "hand", "f", path("ask/hand-over"), asks, more)
	add(work && !closed && s.Snoozed.IsZero(), "snooze", "s", path("ask/snooze"), asks, more)
	add(work && !s.Snoozed.IsZero(), "wake", "s", path("reopen"), more)
	add(work && !closed && s.Status != casework.Watching, "watch", "w", more)
	add(work && s.Status == casework.Watching, "answer", "w", path("reopen"), more)
	add(work && !closed, "exclude", "-", more)
	add(may(identity.Handle), "tag", "t", path("ask/tag"), asks, more)
	add(may(identity.Handle) && s.Muted() == "" && !closed, "mute", "q", path("tag"), more, func(a *actionView) { a.Fields = []pair{{"tags", casework.NoAnswer}} })
	add(may(identity.Page) && s.Muted() != "", "unmute", "q", path("tag"), more, func(a *actionView) { a.Fields = []pair{{"off", casework.NoAnswer}} })
	add(work && !closed && s.Promise == nil, "promise", "d", path("ask/promise"), asks, more)
	add(may(identity.Handle) && s.Promise != nil, "kept", "d", path("ask/kept"), asks, more)
	add(may(identity.Handle) && s.Promise != nil, "unpromise", "", path("ask/unpromise"), asks, more)
	add(work && !closed, "merge", "m", path("ask/merge"), asks, more)
	add(work && !closed && mine, "pass", "b", path("pass"), more)
	add(mine && s.Holder == me, "release", "c", more)
	add(may(identity.Handle) && c.viewer.Person() && s.Number > 0 && s.Mention.Author.ID != "", "link", "", path("ask/link"), asks, more)
	marked := slices.ContainsFunc(s.InForce().Risks, func(r mention.Risk) bool { return r.End > r.Start })
	add(marked && !c.look.Plain, "marks", ".", more, func(a *actionView) { a.Fields = []pair{{"marks", "off"}} })
	add(marked && c.look.Plain, "unmarked", ".", path("marks"), more)
	add(may(identity.Handle) && c.viewer.Person() && s.Mention.Content() != "", "labels", "l", path("labels"), asks, more)
	add(may(identity.Comment), "wish", "i", path("ask/wish"), asks, more)
	add(may(identity.Handle), "facts", "", path("ask/facts"), asks, more)
	add(may(identity.Handle), "measure", "", path("ask/measure"), asks, more)
	add(may(identity.Lead), "harassment", "", path("ask/harassment"), asks, more)
	add(may(identity.Page), "halt", "!", path("ask/halt"), asks, more, func(a *actionView) { a.Danger = true })
	add(may(identity.Comment), "escalate", "", path("ask/escalate"), asks, more, func(a *actionView) { a.Danger = true })
	return out
}

// media hands a picture of a post on, so that no browser of ours talks to a
// platform.
func (c *call) media() error {
	s, err := c.Cases.Get(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")))
	if err != nil {
		return err
	}
	for i, m := range s.Mention.Media {
		switch {
		case itoa(i) != c.r.PathValue("n"):
		case c.Sandbox && strings.HasPrefix(m.URL, sandboxMedia):
			return c.sandboxPicture(strings.TrimPrefix(m.URL, sandboxMedia))
		case m.Type == mention.Image:
			return c.picture(m.URL)
		}
	}
	return errNotFound
}

func (c *call) avatar() error {
	s, err := c.Cases.Get(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")))
	if err != nil {
		return err
	}
	if s.Mention.Author.Avatar == "" {
		return errNotFound
	}
	return c.picture(s.Mention.Author.Avatar)
}

// picture fetches a picture from a platform and hands it on.
func (c *call) picture(address string) error {
	ctx, cancel := c.within(10 * time.Second)
	defer cancel()
	resp, err := c.HTTP.Get(ctx, address, nil)
	if err != nil {
		c.Log.Debug("picture not fetched", "error", err)
		return errNotFound
	}
	if !slices.Contains(pictures, typeOf(resp.Body)) || len(resp.Body) > maxFile {
		return errNotFound
	}
	return c.hand(resp.Body, "picture")
}
