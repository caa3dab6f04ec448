package desk

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
)

// shownEscalations is how many escalations a page has; the rest is a page on.
const shownEscalations = 50

// escalations lists what PR was paged about, what wants somebody most first.
func (c *call) escalations() error {
	all := c.r.URL.Query().Get("view") == "all"
	after, _ := strconv.Atoi(c.r.URL.Query().Get("after"))
	visible := func(s *escalation.State) bool { return c.viewer.Can(identity.View, s.Brand) }
	open := c.Board.All(func(s *escalation.State) bool { return visible(s) && s.Open() })
	list := open
	if all {
		list = c.Board.All(visible)
	}
	say := c.l.say
	v := &escalationsView{frame: c.frame(say("nav.escalations"), "/escalations")}
	v.Tabs = []chip{
		{Label: say("esc.open_all"), Href: "/escalations", Count: len(open), On: !all, Urgent: true},
		{Label: say("view.all"), Href: "/escalations?view=all", On: all},
	}
	slices.SortStableFunc(list, func(a, b escalation.State) int {
		return cmp.Compare(waits(&b), waits(&a))
	})
	from := min(max(after, 0), len(list))
	to := min(from+shownEscalations, len(list))
	for i := range list[from:to] {
		v.Rows = append(v.Rows, c.escalationRow(&list[from+i]))
	}
	if to < len(list) {
		v.More = withQuery(c.r.URL, map[string]string{"after": strconv.Itoa(to)})
	}
	if len(v.Rows) == 0 {
		v.Notice = &notice{Kind: "empty", Title: say("esc.none"), Text: say("esc.none_text")}
	}
	return c.show(http.StatusOK, "escalations", "page", v)
}

// waits is how much an escalation wants somebody: what wakes people and nobody
// has comes first, then what waits for opening.
func waits(s *escalation.State) int {
	if s.Acked != nil || s.Resolved != nil {
		return 0
	}
	return escalationStep(s)
}

// nextPage is when somebody is called next, as far as that is planned.
func (c *call) nextPage(s *escalation.State) moment {
	switch {
	case s.Acked != nil || s.Resolved != nil || s.Urgency == escalation.Notify: // it expects nobody
		return moment{}
	case s.NextAt.IsZero() && s.Urgency == escalation.Opening:
		policy := c.Settings.Policy()
		return c.l.at(policy.NextOpening(s.Brand, c.l.now))
	}
	return c.l.at(s.NextAt)
}

// causeOf is what an escalation is about, in words.
func (c *call) causeOf(s *escalation.State) string {
	if s.Category != "" {
		return c.l.say("risk." + string(s.Category))
	}
	return c.l.say("origin." + string(s.Origin))
}

// escalationState is where an escalation stands, with its word.
func (c *call) escalationState(s *escalation.State) (name, word string) {
	switch {
	case s.Resolved != nil:
		name = "closed"
	case s.Acked != nil:
		name = "acknowledged"
	default:
		name = "open"
	}
	return name, c.l.say("esc." + name)
}

// escalatedBrand is the brand an escalation is about, in words.
func (c *call) escalatedBrand(s *escalation.State) string {
	if s.Brand == identity.AllBrands {
		return c.l.say("staff.all_brands")
	}
	return c.brandName(s.Brand)
}

func escalationStep(s *escalation.State) int {
	switch s.Urgency {
	case escalation.Wake:
		return 3
	case escalation.Opening:
		return 2
	}
	return 1
}

func (c *call) escalationRow(s *escalation.State) escalationRow {
	r := escalationRow{
		ID: s.Key, Href: "/escalations/" + s.Key, Step: escalationStep(s), Title: c.causeOf(s), Text: []span{{Text: cmp.Or(s.Excerpt, s.Title)}},
		Lang: langOf(s.Lang), Brand: c.escalatedBrand(s), At: c.l.at(s.OpenedAt), Count: s.Count, Next: c.nextPage(s),
		Policy: c.l.say("policy." + string(s.Urgency)),
	}
	r.State, r.StateName = c.escalationState(s)
	if s.Owner != "" {
		r.Holder = c.who(s.Owner)
	}
	r.Acknowledge, r.AckAction = s.Acked == nil && s.Resolved == nil && c.viewer.Can(identity.Comment, s.Brand), r.Href+"/acknowledge"
	return r
}

// one is the escalation of the address, if the caller may see it.
func (c *call) one() (escalation.State, error) {
	s, ok := c.Board.Get(c.r.PathValue("id"))
	if !ok || !c.viewer.Can(identity.View, s.Brand) {
		return s, errNotFound
	}
	return s, nil
}

func (c *call) escalation() error {
	s, err := c.one()
	if err != nil {
		return err
	}
	l, href := c.l, "/escalations/"+s.Key
	v := &escalationView{
		frame: c.frame(c.causeOf(&s), "/escalations"), ID: s.Key, Step: escalationStep(&s), Cause: c.causeOf(&s),
		Reason: c.reasonOf(&s), Trouble: l.trouble(s.Trouble, string(s.Trouble.Reason), time.Time{}), Policy: l.say("policy." + string(s.Urgency)), Brand: c.escalatedBrand(&s), At: l.at(s.OpenedAt),
		Next: c.nextPage(&s), Count: s.Count, Subject: s.Title, History: c.escalationHistory(&s), WrongSaid: s.FalseAlarm != nil,
	}
	v.State, v.StateName = c.escalationState(&s)
	if s.Acked != nil {
		v.AckedBy, v.AckedAt = c.who(s.Acked.By), l.at(s.Acked.At)
	}
	touches := c.staff != nil && c.viewer.Can(identity.Comment, s.Brand)
	if s.Acked == nil && s.Resolved == nil && touches {
		v.Acknowledge = href + "/acknowledge"
	}
	if s.Resolved == nil && c.viewer.Can(identity.Page, s.Brand) {
		v.Close = href + "/resolve"
	}
	if touches {
		v.Wrong = href + "/wrong"
	}
	if wrongPage(&s) && c.viewer.Can(identity.Handle, s.Brand) {
		v.Labels = "/cases/" + string(s.Mention) + "/labels"
	}
	if v.Posts, v.Case = c.escalationPost(c.viewer, &s); len(v.Posts) > 0 {
		v.Subject = "" // the post shows its title
	}
	v.Others, v.All = c.joined(&s)
	if s.Redacted {
		v.Note = &notice{Kind: "info", Title: l.say("case.erased"), Text: l.say("case.gone_text")}
	}
	return c.show(http.StatusOK, "escalation", "page", v)
}

// reasonOf is what did it: a rule, or a figure over its limit.
func (c *call) reasonOf(s *escalation.State) string {
	reason := c.l.say("origin." + string(s.Origin))
	if why := cmp.Or(c.ground(s), c.ruleName(s.Rule)); why != "" {
		reason += " · " + why
	}
	return reason
}

// ground is the figures behind an escalation that is not about a post; empty where
// there are none.
func (c *call) ground(s *escalation.State) string {
	g := s.Ground
	if g == (escalation.Ground{}) {
		return ""
	}
	switch s.Origin {
	case escalation.BySilence:
		return c.l.say("ground.silence", c.l.at(g.Last).Clock(), c.l.span(time.Duration(g.Usual*float64(time.Second))))
	case escalation.ByVolume:
		return c.l.say("ground.volume", g.Count, strconv.FormatFloat(g.Usual, 'f', 1, 64))
	case escalation.ByQuota:
		return c.l.say("ground.quota", g.Count, g.Limit)
	case escalation.ByCanary:
		if g.Last.IsZero() {
			return c.l.say("ground.canary_never")
		}
		return c.l.say("ground.canary", c.l.at(g.Last).Clock())
	}
	return ""
}

// escalationPost is the post an escalation was opened on, with the way to its
// case; the excerpt where the post can't be had.
func (c *call) escalationPost(v identity.Viewer, s *escalation.State) ([]postView, link) {
	to := link{c.l.say("esc.case"), "/cases/" + string(s.Mention)}
	switch s.Origin {
	case escalation.BySilence, escalation.ByCanary:
		return nil, link{c.l.say("nav.sources"), "/sources"}
	case escalation.ByQuota:
		return nil, link{c.l.say("nav.notifiers"), "/notifiers"}
	}
	if s.Mention == "" {
		return nil, link{c.l.say("nav.queue"), "/queue?view=all&sentiment=negative&brand=" + s.Brand}
	}
	state, err := c.Cases.Get(c.ctx, v, s.Mention)
	if err != nil {
		return []postView{{Author: s.Author, PlatformName: c.platform(s.Platform), Lang: langOf(s.Lang), Body: linked(s.Excerpt), At: c.l.at(s.OpenedAt)}}, to
	}
	if state.Number > 0 {
		to.Label = c.l.say("esc.case") + " " + itoa(state.Number)
	}
	p := c.post(&state, c.verdict(&state).Risks)
	p.Folded = ""
	return []postView{p}, to
}

// maxJoined is how many of the mentions in an escalation its page lists.
const maxJoined = 20

// joined are the mentions that joined an escalation, the latest first, as far
// as their joining was recorded, and the way to all there are.
func (c *call) joined(s *escalation.State) ([]rowView, link) {
	if s.Count < 2 || s.Mention == "" {
		return nil, link{}
	}
	ids := slices.DeleteFunc(slices.Clone(s.Mentions), func(id mention.ID) bool { return id == s.Mention })
	slices.Reverse(ids)
	docs, err := c.Index.Get(c.ctx, c.sees(), ids[:min(len(ids), maxJoined)]...)
	if err != nil {
		c.Log.Warn("mentions of an escalation not read", "escalation", s.Key, "error", err)
	}
	slices.SortFunc(docs, func(a, b search.Document) int { return b.SeenAt.Compare(a.SeenAt) })
	var rows []rowView
	for i := range docs {
		rows = append(rows, c.row(&search.Hit{Document: docs[i]}, "/cases/"+string(docs[i].ID)))
	}
	q := url.Values{"view": {"all"}, "brand": {s.Brand}, "sort": {"newest"}}
	if s.Category != "" {
		q.Set("risk", string(s.Category))
	}
	return rows, link{c.l.say("esc.all"), "/queue?" + q.Encode()}
}

// acknowledgement is the event by which by has it.
func acknowledgement(via string) func(*escalation.State) (escalation.Event, bool) {
	return func(s *escalation.State) (escalation.Event, bool) {
		return escalation.Event{Kind: escalation.Acknowledged, Via: via}, s.Open() && s.Acked == nil && !s.ReadOnly
	}
}

func falseAlarm(via string) func(*escalation.State) (escalation.Event, bool) {
	return func(s *escalation.State) (escalation.Event, bool) {
		return escalation.Event{Kind: escalation.FalseAlarm, Via: via}, !s.OpenedAt.IsZero() && s.FalseAlarm == nil && !s.ReadOnly
	}
}

// mark appends what decide says to the escalation of the address.
func (c *call) mark(done string, decide func(*escalation.State) (escalation.Event, bool)) error {
	s, err := c.one()
	if err != nil {
		return err
	}
	if c.staff == nil || !c.viewer.Can(identity.Comment, s.Brand) {
		return errForbidden
	}
	if _, err := c.Board.Record(c.ctx, s.Key, c.viewer.Actor(), c.l.now, decide); err != nil {
		return err
	}
	c.flash(&flash{Text: c.l.say(done)})
	return c.back("/escalations/" + s.Key)
}

func (c *call) acknowledgeHere() error { return c.mark("done.ack", acknowledgement("desk")) }
func (c *call) wrongHere() error       { return c.mark("esc.wrong_said", falseAlarm("desk")) }
func (c *call) resolveEscalation() error {
	s, err := c.one()
	if err != nil {
		return err
	}
	if err := c.may(identity.Page, s.Brand); err != nil {
		return err
	}
	return c.mark("done.resolve", func(s *escalation.State) (escalation.Event, bool) {
		return escalation.Event{Kind: escalation.Resolved, Text: c.form("why")}, s.Open() && !s.ReadOnly
	})
}

// paged reads the link of a page. The person need not be signed in: the link
// was sent to them.
func (c *call) paged() (identity.Paged, escalation.State, error) {
	p, err := c.Signer.Open(c.r.PathValue("token"), c.l.now)
	if err != nil {
		return p, escalation.State{}, err
	}
	s, ok := c.Board.Get(p.Escalation)
	if !ok {
		return p, s, identity.ErrLink
	}
	return p, s, nil
}

// acknowledge is the phone-sized page behind the link in a page. Looking at it
// does nothing: mail scanners follow links.
func (c *call) acknowledge() error {
	p, s, err := c.paged()
	if errors.Is(err, identity.ErrLink) {
		v := &acknowledgeView{frame: c.frame(c.l.say("ack.gone"), "/ack")}
		v.User = nil
		v.Notice = &notice{Kind: "stale", Text: c.l.say("ack.gone_text"), Links: []link{{c.l.say("signin.title"), "/sign-in?next=/escalations"}}}
		return c.show(http.StatusGone, "acknowledge", "page", v)
	}
	if err != nil {
		return err
	}
	l := c.l
	v := &acknowledgeView{
		frame: c.frame(c.causeOf(&s), "/ack"), Token: c.r.PathValue("token"), Step: escalationStep(&s), Cause: c.causeOf(&s),
		Brand: c.escalatedBrand(&s), Count: s.Count, At: l.at(s.OpenedAt), Next: c.nextPage(&s), Who: c.who(p.Recipient),
		WrongSaid: s.FalseAlarm != nil, Full: "/escalations/" + s.Key,
		Post: postView{Author: s.Author, PlatformName: c.platform(s.Platform), Lang: langOf(s.Lang), Body: linked(s.Excerpt)},
	}
	v.User = nil
	if s.Title != "" {
		v.Post.Title = []span{{Text: s.Title}}
	}
	if s.Acked != nil {
		v.AckedBy, v.AckedAt = c.who(s.Acked.By), l.at(s.Acked.At)
	} else if s.Resolved != nil {
		v.AckedBy, v.AckedAt = c.who(s.Resolved.By), l.at(s.Resolved.At)
	}
	return c.show(http.StatusOK, "acknowledge", "page", v)
}

func (c *call) doAcknowledge() error { return c.markByLink(acknowledgement("link")) }
func (c *call) doWrong() error       { return c.markByLink(falseAlarm("link")) }

func (c *call) markByLink(decide func(*escalation.State) (escalation.Event, bool)) error {
	p, s, err := c.paged()
	if errors.Is(err, identity.ErrLink) {
		return c.acknowledge()
	}
	if err != nil {
		return err
	}
	if _, err := c.Board.Record(c.ctx, s.Key, p.Recipient, c.l.now, decide); err != nil {
		return err
	}
	return c.back("/ack/" + c.r.PathValue("token"))
}
