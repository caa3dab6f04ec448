package desk

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/query"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/text"
)

// strays are words that posts have which are about a brand's name and not for
// the brand: giveaways, resale, jobs.
var strays = []string{
	"懸賞", "プレゼント企画", "フォロー&リポスト", "フォロー＆リポスト", "抽選で", "当選", "アフィリエイト", "メルカリ", "ラクマ", "フリマ", "出品", "転売", "中古", "求人", "採用", "募集", "株価", "決算",
	"giveaway", "sweepstakes", "retweet to win", "for sale", "resale", "second hand", "hiring", "job opening", "vacancy", "coupon code", "affiliate",
}

var hashtag = regexp.MustCompile(`[#＃][\p{L}\p{M}\p{Nd}_ー]+`)

// quoted is a phrase as the query language takes it.
func quoted(s string) string { return strconv.Quote(s) }

// strayTerms are terms that would keep a post like m out, the narrowest first.
func strayTerms(m *mention.Mention, q *query.Query) []string {
	var out []string
	add := func(term string) {
		if len(out) < 6 && !slices.Contains(out, term) {
			out = append(out, term)
		}
	}
	if h := cmp.Or(m.Author.Handle, m.Author.Name); h != "" && strings.ContainsAny(h, " \"") {
		add("author:" + quoted(h))
	} else if h != "" {
		add("author:" + h)
	}
	folded := text.Fold(m.Content())
	for _, w := range strays {
		if strings.Contains(folded, text.Fold(w)) {
			add(quoted(w))
		}
	}
	known := map[string]bool{}
	for _, t := range q.Terms() {
		known[text.Fold(strings.TrimLeft(t.Text, "#"))] = true
	}
	for _, tag := range hashtag.FindAllString(m.Content(), 8) {
		if tag = strings.TrimLeft(tag, "#＃"); !known[text.Fold(tag)] {
			add("#" + tag)
		}
	}
	for _, link := range address.FindAllString(m.Text, 3) {
		if u, err := url.Parse(link); err == nil && u.Host != "" {
			add("url:" + strings.TrimPrefix(u.Hostname(), "www."))
		}
	}
	return out
}

// leavesOut proposes terms for the query of the brand of s, and shows what the
// chosen one would drop of what is stored.
func (c *call) leavesOut(s *casework.State, chosen string) *leaveOutView {
	version := settings.Brands.Version(c.Settings, s.Mention.Brand) // before the query, so that it can't be newer
	b, ok := settings.Brands.Get(c.Settings, s.Mention.Brand)
	if !ok {
		return nil
	}
	old, err := query.Parse(b.Query)
	if err != nil {
		return nil
	}
	base := "/cases/" + string(s.ID)
	v := &leaveOutView{Action: base + "/leave-out", Version: itoa(version), Back: base, Brand: b.Name, May: c.viewer.Can(identity.Configure, b.ID)}
	for _, t := range strayTerms(&s.Mention, old) {
		v.Terms = append(v.Terms, leaveOutTerm{Term: t, Label: t, On: t == chosen})
	}
	if chosen == "" {
		return v
	}
	if !slices.ContainsFunc(v.Terms, func(t leaveOutTerm) bool { return t.On }) {
		v.Own = chosen
	}
	t, err := c.drops(&b, old, chosen, s.ID)
	if err != nil {
		v.Error = c.l.say("leave.mistake", c.l.queryTrouble(err))
		return v
	}
	v.Chosen = t
	return v
}

// drops is what the query of b would not find any more of what is stored, beside
// the mention but, if it left term out.
func (c *call) drops(b *settings.Brand, old *query.Query, term string, but mention.ID) (*leaveOutTerm, error) {
	if err := settings.CheckTerm(term); err != nil {
		return nil, err
	}
	t := &leaveOutTerm{Term: term, Query: settings.Without(b.Query, term)}
	fresh, err := query.Parse(t.Query)
	if err != nil {
		return nil, err
	}
	q := search.Query{Viewer: c.sees(), Sort: search.Newest, Limit: search.MaxLimit, Where: map[search.Field][]string{search.FieldBrand: {b.ID}}}
	switch name, value, ok := strings.Cut(term, ":"); {
	case ok && name == "author":
		q.Text = value
	case ok && name == "url":
		q.Text = "" // addresses are not searched for: the newest are looked through
	default:
		q.Text = strings.Trim(strings.TrimLeft(term, "#"), `"`)
	}
	const pages = 5
	for range pages {
		found, err := c.Index.Search(c.ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range found.Hits {
			h := &found.Hits[i]
			post := postOf(h)
			if _, was := old.Match(post); !was || h.ID == but {
				continue
			}
			if _, is := fresh.Match(post); is {
				continue
			}
			t.Dropped++
			if h.Disposition == mention.Answer {
				t.Wanted++
			}
			if len(t.Rows) < 8 {
				t.Rows = append(t.Rows, earlierView{
					Href: "/cases/" + string(h.ID), Text: shorten(text.Mask(h.Content()), 90), Lang: langOf(h.Lang), At: c.l.at(h.PublishedAt),
					Reply: map[bool]string{true: c.l.say("disposition." + string(mention.Answer))}[h.Disposition == mention.Answer],
				})
			}
		}
		if q.Cursor = found.Next; q.Cursor == "" {
			return t, nil
		}
	}
	t.Capped = true
	return t, nil
}

// leaveOut shows what a term would drop, changes the query when that was
// confirmed, or keeps the term for somebody who may.
func (c *call) leaveOut() error {
	s, err := c.Cases.Get(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")))
	if err != nil {
		return err
	}
	if err := c.may(identity.Handle, s.Mention.Brand); err != nil {
		return err
	}
	term := cmp.Or(c.form("own"), c.form("term"))
	do := c.form("do")
	v := c.leavesOut(&s, term)
	show := func(status int) error {
		return c.showCase(status, &s, caseOptions{back: "/queue", leaveOut: v}, nil)
	}
	switch {
	case v == nil:
		return errNotFound
	case v.Error != "":
		return show(http.StatusUnprocessableEntity)
	case v.Chosen == nil || do != "apply" && do != "propose":
		return show(http.StatusOK)
	}
	done := c.l.say("done.proposed")
	if do == "apply" {
		err := c.applyExclusion(s.Mention.Brand, term)
		if c.overtaken(err) {
			if v = c.leavesOut(&s, term); v == nil {
				return errNotFound
			}
			v.Error = c.l.say("leave.stale")
			return show(http.StatusConflict)
		}
		if err != nil {
			return err
		}
		done = c.l.say("done.left_out", term)
	}
	x := settings.Exclusion{ID: "x-" + newID()[:12], Brand: s.Mention.Brand, Term: term, Case: string(s.ID), State: map[bool]string{true: settings.Applied, false: settings.Proposed}[do == "apply"]}
	if err := settings.Exclusions.Put(c.ctx, c.Settings, c.viewer.Actor(), x.ID, 0, x); err != nil {
		return err
	}
	return c.done(s, nil, done, "")
}

// applyExclusion leaves term out of the query of a brand, if that is still the one
// of which was shown what term drops.
func (c *call) applyExclusion(brand, term string) error {
	if err := c.may(identity.Configure, brand); err != nil {
		return err
	}
	version := c.based(settings.Brands.Version(c.Settings, brand))
	b, ok := settings.Brands.Get(c.Settings, brand)
	if !ok {
		return errNotFound
	}
	b.Query = settings.Without(b.Query, term)
	return settings.Brands.Put(c.ctx, c.Settings, c.viewer.Actor(), b.ID, version, b)
}

// decideExclusion applies or declines what somebody proposed.
func (c *call) decideExclusion() error {
	version := settings.Exclusions.Version(c.Settings, c.r.PathValue("id"))
	x, ok := settings.Exclusions.Get(c.Settings, c.r.PathValue("id"))
	if !ok {
		return errNotFound
	}
	if err := c.may(identity.Configure, x.Brand); err != nil {
		return err
	}
	faster := func(why string) error {
		b, ok := settings.Brands.Get(c.Settings, x.Brand)
		if !ok {
			return errNotFound
		}
		c.r.SetPathValue("id", b.ID)
		return c.showBrand(http.StatusConflict, b, map[string]string{"": c.l.say(why)}, false)
	}
	if x.State != settings.Proposed {
		c.r.PostForm.Del("version")
		return faster("leave.decided")
	}
	x.State = settings.Declined
	if c.form("do") == "apply" {
		err := c.applyExclusion(x.Brand, x.Term)
		if c.overtaken(err) {
			return faster("leave.stale")
		}
		if err != nil {
			return err
		}
		x.State = settings.Applied
	}
	err := settings.Exclusions.Put(c.ctx, c.Settings, c.viewer.Actor(), x.ID, version, x)
	if c.overtaken(err) {
		return faster("leave.decided")
	}
	if err != nil {
		return err
	}
	c.flash(&flash{Text: c.l.say("done.saved")})
	return c.back("/brands/" + x.Brand)
}

// proposals are what staff would have a brand's query leave out, with what that
// would drop.
func (c *call) proposals(b *settings.Brand) []proposalView {
	var out []proposalView
	old, err := query.Parse(b.Query)
	if err != nil {
		return nil
	}
	for _, x := range settings.Exclusions.List(c.Settings) {
		if x.Brand != b.ID || x.State != settings.Proposed {
			continue
		}
		by, at := settings.Exclusions.Changed(c.Settings, x.ID)
		p := proposalView{Action: "/exclusions/" + x.ID, Term: x.Term, By: c.who(by), At: c.l.at(at), Case: "/cases/" + x.Case}
		if t, err := c.drops(b, old, x.Term, mention.ID(x.Case)); err == nil {
			p.leaveOutTerm = *t
		}
		out = append(out, p)
		if len(out) == 20 {
			break
		}
	}
	return out
}

// proposalView is an exclusion that waits for somebody who may change the query.
type proposalView struct {
	leaveOutTerm
	Action, Term, By, Case string
	At                     moment
}
