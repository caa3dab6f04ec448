package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/classify"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

// sources shows whether each source still hears anything, and when it did not.
func (c *call) sources() error {
	say := c.l.say
	v := &sourcesView{frame: c.frame(say("nav.sources"), "/sources"), May: c.viewer.Can(identity.Configure, identity.AllBrands), Tabs: c.coverageTabs("/sources", c.days())}
	kinds := sourceFamily().called(c.l).kinds
	for _, s := range c.visibleSources() {
		p, cov, err := c.heardOf(s)
		if err != nil {
			c.Log.Warn("progress not read", "source", s.ID, "error", err)
			v.Notice = &notice{Kind: "stale", Title: say("source.unread"), Text: say("source.unread_text")}
		}
		row := c.sourceRow(s, p)
		if v.May {
			row.Href = "/sources/" + s.ID
		}
		v.Rows = append(v.Rows, row)
		heard := c.l.strip(cov, c.days())
		heard.Name, heard.Href = row.Name, row.Href
		v.Coverage = append(v.Coverage, heard)
		i := slices.IndexFunc(kinds, func(k kindView) bool { return k.Name == s.Kind })
		if k, ok := source.Named(s.Kind); ok && i >= 0 && !slices.ContainsFunc(v.Duties, func(d dutiesRow) bool { return d.Kind == kinds[i].Label }) {
			v.Duties = append(v.Duties, dutiesRow{kinds[i].Label, c.duties(&kinds[i], k.Duties)})
		}
	}
	if len(v.Rows) == 0 {
		v.Notice = &notice{Kind: "empty", Title: say("source.none"), Text: say("source.none_text")}
	}
	if row, ok := c.opinionRow(); ok {
		v.Rows = append(v.Rows, row)
	}
	v.Line = c.line()
	return c.show(http.StatusOK, "sources", "page", v)
}

// opinionRow shows how asking for second opinions fares, if somebody is asked.
func (c *call) opinionRow() (sourceRow, bool) {
	var a classify.Asked
	if _, err := bus.Cursors.Get(c.ctx, c.Bus, classify.AskedKey, &a); err != nil {
		if !errors.Is(err, bus.ErrNotFound) {
			c.Log.Warn("how asking for opinions fares is not read", "error", err)
		}
		return sourceRow{}, false
	}
	l := c.l
	a.Turn(l.now)
	r := sourceRow{
		ID: classify.AskedKey, Name: l.say("source.opinion"), Kind: a.Model, Detail: l.say("source.opinion_tokens", number(a.Tokens), number(a.PerDay)),
		State: "ok", Success: l.at(a.Success), Item: l.at(a.Success), Next: l.at(a.Next), Trouble: l.trouble(a.Trouble, a.Error, a.Next),
		Quota: number(max(0, a.PerHour-a.Questions)) + " / " + number(a.PerHour),
	}
	switch {
	case a.Error != "":
		r.State = "failing"
	case a.Success.IsZero():
		r.State = "waiting"
	}
	r.StateName = l.say("source.state_" + r.State)
	return r, true
}

func (c *call) sourceRow(s settings.Source, p source.Progress) sourceRow {
	l := c.l
	r := sourceRow{ID: s.ID, Name: s.Name, Kind: l.instead("kind.sources."+s.Kind, s.Kind), Success: l.at(p.Success), Item: l.at(p.Item), Next: l.at(p.Next), Trouble: l.trouble(p.Trouble, p.Error, p.Next)}
	if r.Name == "" {
		r.Name = s.ID
	}
	if r.Account = p.Account; r.Account == r.Name {
		r.Account = ""
	}
	if r.Kind == r.Name {
		r.Kind = ""
	}
	if s.Brand != "" {
		r.Detail = c.brandName(s.Brand)
	}
	if lag := p.Lag(); lag > 0 {
		r.Lag, r.LagLate = l.span(lag), lag > time.Hour
	}
	if p.Quota > 0 {
		r.Quota = fmt.Sprintf("%s / %s", number(p.Left), number(p.Quota))
	}
	if p.Spending != nil {
		r.Spent = []string{c.spent("source.today", p.Spending.Day), c.spent("source.month", p.Spending.Month)}
	}
	switch r.State = stateOf(s, p, l.now); {
	case s.Off:
		r.Next = moment{}
	case r.State == "away":
		r.Next = moment{}
	case r.State == "silent":
		r.Silent = l.say("source.silent", l.span(l.now.Sub(p.Taken)), l.span(p.Gap))
	}
	r.StateName = l.say("source.state_" + r.State)
	return r
}

// stateOf is how a source fares, in a word.
func stateOf(s settings.Source, p source.Progress, now time.Time) string {
	switch {
	case s.Off:
		return "off"
	case p.Away(now):
		return "away"
	case p.Error != "":
		return "failing"
	case p.Silent:
		return "silent"
	case p.Success.IsZero():
		return "waiting"
	}
	return "ok"
}

// spent is what was used in a period, with its limits.
func (c *call) spent(period string, s source.Spent) string {
	l := c.l
	if !s.Ends.After(l.now) {
		s.Posts, s.Writes, s.USD = 0, 0, 0 // another one has begun
	}
	money := fmt.Sprintf("$%.2f", s.USD)
	if s.MaxUSD > 0 {
		money += fmt.Sprintf(" / $%.2f", s.MaxUSD)
	}
	posts := number(s.Posts)
	if s.MaxPosts > 0 {
		posts += " / " + number(s.MaxPosts)
	}
	return l.say(period, money, l.say("source.posts_read", posts), l.say("source.replies_sent", number(s.Writes)))
}

// showSource shows the page of a source; change, which may be nil, has the last
// word.
func (c *call) showSource(status int, v connected, kind *kindView, wrong map[string]string, change func(*sourceView)) error {
	page := &sourceView{formView: *c.connectionForm(sourceFamily(), v, kind, wrong)}
	page.Try = page.Action + "/try"
	if k, ok := source.Named(kind.Name); ok {
		page.Duties = c.duties(kind, k.Duties)
	}
	switch {
	case v.id != "":
		c.faring(page, v)
		page.Duties = append(page.Duties, c.rereading(v)...)
	case kind.consents:
		page.Consent = c.consentFirst()
	}
	if c.r.URL.Query().Get("connected") == "yes" && page.Consent != nil && !page.Consent.Since.IsZero() {
		page.Notice = c.connectedNotice(page)
	}
	if change != nil {
		change(page)
	}
	block := "page"
	if c.part() == "preview" {
		block = "source-preview"
	}
	return c.show(status, "source", block, page)
}

// abilitiesTime bounds how long a page waits for the fetcher.
const abilitiesTime = 3 * time.Second

// faring adds how a source fares, and what it can do beside fetching.
func (c *call) faring(page *sourceView, v connected) {
	s, ok := settings.Sources.Get(c.Settings, v.id)
	if !ok {
		return
	}
	p, cov, err := c.heardOf(s)
	if err != nil {
		c.Log.Warn("progress not read", "source", v.id, "error", err)
		page.Notice = cmp.Or(page.Notice, &notice{Kind: "stale", Title: c.l.say("source.unread"), Text: c.l.say("source.unread_text")})
	}
	page.Tabs = c.coverageTabs("/sources/"+v.id, c.days())
	heard := c.l.strip(cov, c.days())
	page.Heard, page.Outages = &heard, c.l.outages(cov, c.days())
	row := c.sourceRow(s, p)
	page.State = &row
	ctx, cancel := c.within(abilitiesTime)
	defer cancel()
	a, err := bus.Ask[string, source.Abilities](ctx, c.Bus, "fetcher", "abilities", v.id)
	if err != nil {
		page.Notice = cmp.Or(page.Notice, c.askedInVain(err)) // what is wrong with the form goes first
		return
	}
	if a.Receives {
		page.Hook, page.Guessed = c.base(c.r)+"/hooks/"+v.id, c.Public == ""
	}
	page.Consent = c.consentOf(v.id, a)
}

// askedInVain says that the fetcher did not do what it was asked for.
func (c *call) askedInVain(err error) *notice {
	say := c.l.say
	if errors.Is(err, bus.ErrAbsent) || errors.Is(err, context.DeadlineExceeded) {
		return &notice{Kind: "stale", Title: say("source.no_fetcher"), Text: say("source.no_fetcher_text")}
	}
	return &notice{Kind: "error", Title: say("source.in_vain"), Trouble: c.l.trouble(outbound.Explain(err, c.l.now), err.Error(), time.Time{})}
}

// duties are what a platform asks of whoever keeps its posts, in words.
func (c *call) duties(kind *kindView, d source.Duties) []fact {
	say := c.l.say
	yes := func(ok bool, key string) string {
		if ok {
			return say(key + "_yes")
		}
		return say(key + "_no")
	}
	keep := say("duty.retention_ours")
	if d.Retention > 0 {
		keep = say("duty.retention_most", c.l.span(d.Retention))
	}
	out := []fact{
		{say("duty.retention"), keep, ""},
		{say("duty.deletions"), c.l.instead("kind.sources."+kind.Name+".deletions.doc", d.Deletions), ""},
	}
	if d.Reread > 0 {
		text := say("duty.reread_every", c.l.span(d.Reread))
		if d.RereadPrice > 0 {
			text += " " + say("duty.reread_price", fmt.Sprintf("%.2f", d.RereadPrice*1000))
		}
		out = append(out, fact{say("duty.reread"), text, ""})
	}
	return append(out, fact{say("duty.train"), yes(d.MayTrain, "duty.train"), ""}, fact{say("duty.leave"), yes(d.MayLeave, "duty.leave"), ""})
}

// tryTime is how long the fetcher may take to try a source.
const tryTime = 20 * time.Second

// trySourceNow shows what the source would bring with what is typed. Nothing of
// it is stored.
func (c *call) trySourceNow() error {
	v, kind, wrong, err := c.typedConnection(sourceFamily().called(c.l))
	if err != nil {
		return err
	}
	tried := &triedView{}
	if len(wrong) == 0 {
		tried, wrong = c.tried(v)
	}
	for _, f := range kind.fields {
		tried.Secrets = tried.Secrets || c.part() == "" && f.Secret && c.form("config."+f.Key) != ""
	}
	if len(wrong) > 0 && c.part() != "" {
		// Only the preview is exchanged: the mistakes are told there.
		for _, f := range kind.fields {
			if text := wrong[f.Key]; text != "" {
				tried.Error += c.l.say("key.sources."+kind.Name+"."+f.Key) + ": " + text + " "
			}
		}
		tried.Error = strings.TrimSpace(tried.Error + wrong[""])
	}
	status := http.StatusOK
	if len(wrong) > 0 && c.part() == "" {
		status, tried = http.StatusUnprocessableEntity, nil
	}
	return c.showSource(status, v, kind, wrong, func(p *sourceView) { p.Tried = tried })
}

// tried asks the fetcher, or says what is wrong with the configuration.
func (c *call) tried(v connected) (*triedView, map[string]string) {
	say := c.l.say
	id := v.id
	if id == "" {
		id = "new"
	}
	s, err := settings.Source{ID: id, Name: v.name, Kind: v.kind, Brand: v.brand, Config: v.config}.Seal(c.Settings)
	if err != nil {
		if wrong := c.l.mistakes(err); wrong != nil {
			return &triedView{}, wrong
		}
		return &triedView{Error: upperFirst(err.Error())}, nil
	}
	ctx, cancel := c.within(tryTime)
	defer cancel()
	t, err := bus.Ask[source.Trying, source.Tried](ctx, c.Bus, "fetcher", "try", source.Trying{Source: v.id, Kind: s.Kind, Brand: s.Brand, Config: s.Config})
	if err != nil {
		n := c.askedInVain(err)
		return &triedView{Error: strings.TrimSpace(n.Title + " " + n.Text), Trouble: n.Trouble}, nil
	}
	out := &triedView{Trouble: c.l.trouble(t.Trouble, t.Error, time.Time{}), Text: say("source.tried", t.Read, t.Matched)}
	switch {
	case t.Read == 0 && t.Cut:
		out.Text = say("source.tried_quiet", c.l.span(tryTime))
	case t.Read == 0:
		out.Text = say("source.tried_none")
	}
	if t.Error != "" && t.Read == 0 {
		out.Text = ""
	}
	for _, f := range t.Posts {
		m := mention.Of("preview", f.Post)
		r := triedRow{rowView: rowView{
			ID: string(m.ID), Author: authorOf(m.Author.Handle, m.Author.Name), PlatformName: c.platform(m.Platform),
			At: c.l.at(m.PublishedAt), Text: excerpt(m.Content(), nil), Lang: m.Lang,
		}}
		for _, b := range f.Brands {
			if c.viewer.Can(identity.View, b) {
				r.Brands = append(r.Brands, c.brandName(b))
			}
		}
		out.Rows = append(out.Rows, r)
	}
	return out, nil
}
