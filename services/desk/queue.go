package desk

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/text"
)

// standing are the views everybody has, in the order of the tabs.
var standing = []string{"answer", "mine", "approve", "waiting", "watch", "done", "all"}

// filters are the fields a list can be narrowed by, by their parameter.
var filters = []struct {
	param string
	field search.Field
	shown bool // as a facet
}{
	{"risk", search.FieldRisk, true}, {"brand", search.FieldBrand, true}, {"platform", search.FieldPlatform, true},
	{"intent", search.FieldIntent, true}, {"lang", search.FieldLang, true}, {"sentiment", search.FieldSentiment, true},
	{"tag", search.FieldTag, true}, {"team", search.FieldTeam, true},
	{"status", search.FieldStatus, false}, {"author", search.FieldAuthor, false}, {"story", search.FieldStory, false},
	{"source", search.FieldSource, false}, {"place", search.FieldPlace, false}, {"holder", search.FieldHolder, false}, {"worker", search.FieldWorker, false},
	{"mark", search.FieldTag, false},
}

var sorts = []struct{ name, label string }{{"queue", "list.sort_risk"}, {"newest", "list.sort_new"}, {"oldest", "list.sort_old"}, {"relevance", "list.sort_best"}}

// asked is a list as the address asks for it.
type asked struct {
	view   string
	values url.Values
	query  search.Query
}

// asked reads the list from the request's address.
func (c *call) asked() asked { return c.askedOf(c.r.URL.Query()) }

// askedOf reads a list from the part of its address after the question mark.
func (c *call) askedOf(q url.Values) asked {
	a := asked{view: q.Get("view"), values: q}
	if !slices.Contains(standing, a.view) && a.view != viewSample {
		a.view = "answer"
	}
	a.query = c.standing(a.view)
	a.query.Text, a.query.Cursor, a.query.Limit = strings.TrimSpace(q.Get("q")), q.Get("cursor"), 50
	if len([]rune(a.query.Text)) > search.MaxText {
		a.query.Text = string([]rune(a.query.Text)[:search.MaxText])
	}
	if number := c.caseNumber(a.query.Text); number != nil {
		a.query.Text, a.query.Where = "", number
	}
	for _, f := range filters {
		if values := slices.DeleteFunc(slices.Clone(q[f.param]), func(s string) bool { return s == "" }); len(values) > 0 {
			if f.param == "tag" {
				for i := range values {
					values[i] = casework.TagPrefix + values[i]
				}
			}
			a.query.Where[f.field] = values[:min(len(values), 50)]
		}
	}
	if len(q["story"]) > 0 {
		a.query.Collapse = false
	}
	for _, s := range sorts {
		if q.Get("sort") == s.name {
			a.query.Sort = search.Sort(s.name)
		}
	}
	return a
}

// caseNumber is the filter for a typed number that a case has, else nil: other
// numbers are words like any.
func (c *call) caseNumber(typed string) map[search.Field][]string {
	n, err := strconv.ParseUint(strings.TrimLeft(typed, "#No. "), 10, 48)
	if err != nil || n == 0 {
		return nil
	}
	where := map[search.Field][]string{search.FieldNumber: {strconv.FormatUint(n, 10)}}
	counts, err := c.Index.Counts(c.ctx, search.Query{Viewer: c.sees(), Where: where})
	if err != nil || counts[0] == 0 {
		return nil
	}
	return where
}

// standing is the query behind a standing view.
func (c *call) standing(view string) search.Query {
	q := search.Query{Viewer: c.sees(), Where: map[search.Field][]string{}, Sort: search.Queue, Collapse: true}
	status := func(s ...casework.Status) {
		for _, v := range s {
			q.Where[search.FieldStatus] = append(q.Where[search.FieldStatus], string(v))
		}
	}
	switch view {
	case "answer":
		q.Where[search.FieldOpen] = []string{search.Yes}
	case "mine":
		q.Where[search.FieldHolder], q.Collapse = []string{c.viewer.Actor()}, false
	case "approve":
		status(casework.AwaitingApproval)
		q.Collapse = false
	case "waiting":
		status(casework.WaitingCustomer, casework.OtherDepartment)
	case "watch":
		status(casework.Watching)
	case "done":
		status(casework.Done)
		q.Sort = search.Newest
	}
	return q
}

func (c *call) queue() error {
	a := c.asked()
	title := c.l.say("nav.queue")
	if a.view == viewSample && c.part() != "case" {
		if c.part() == "fresh" {
			return c.show(http.StatusOK, "queue", "part-fresh", &queueView{frame: frame{locale: c.l, Path: "/queue"}})
		}
		return c.sampleView(a)
	}
	switch c.part() {
	case "case":
		return c.casePart(http.StatusOK, mention.ID(a.values.Get("case")))
	case "ids":
		ids, _, err := c.everyID(a)
		return c.showOr(err, "bulk", "part-ids", &bulkView{Done: ids})
	case "rows":
		v := &queueView{}
		list, err := c.list(a)
		v.List = list
		return c.showOr(err, "queue", "part-rows", v)
	case "fresh":
		return c.fresh(a)
	case "filters":
		v := &queueView{frame: frame{locale: c.l, Path: c.r.URL.RequestURI()}, Tabs: c.tabs(a), Saved: c.savedTabs(a), Facets: c.facets(a), SaveQuery: viewQuery(a.values), MayShare: c.mayShareViews()}
		return c.show(http.StatusOK, "queue", "filters", v)
	}
	v := &queueView{frame: c.frame(title, "/queue"), Query: a.values.Get("q")}
	v.Wide = true
	for _, s := range sorts {
		if s.name != "relevance" || a.query.Text != "" {
			v.Sorts = append(v.Sorts, option{Value: s.name, Label: c.l.say(s.label), On: string(a.query.Sort) == s.name})
		}
	}
	for name, values := range a.values {
		if !slices.Contains([]string{"q", "sort", "cursor", "case", "since"}, name) {
			for _, value := range values {
				v.Keep = append(v.Keep, pair{name, value})
			}
		}
	}
	slices.SortFunc(v.Keep, func(a, b pair) int { return strings.Compare(a.Name+a.Value, b.Name+b.Value) })
	v.Back = withQuery(c.r.URL, map[string]string{"case": ""})
	v.Path = v.Back
	v.List = c.listOrNotice(a)
	v.Tabs, v.Saved = c.tabs(a), c.savedTabs(a)
	v.Bulk, v.SaveQuery, v.MayShare = c.bulkBar(a, &v.List), viewQuery(a.values), c.mayShareViews()
	if v.Facets = c.chosen(a); c.countable(a, &v.List) {
		v.Facets = c.facets(a)
	} else {
		v.Later = withQuery(c.r.URL, map[string]string{"facets": "1", "cursor": ""})
	}
	if v.Flash != nil && v.Flash.Case != "" {
		c.catchUp(&v.List, v.Flash.Case)
	}
	if id := mention.ID(a.values.Get("case")); id != "" && c.part() == "" {
		s, err := c.Cases.Get(c.ctx, c.viewer, id)
		if err != nil {
			return err
		}
		v.Case = c.caseOf(&s, caseOptions{mode: a.values.Get("mode"), back: v.Back})
	}
	if c.part() == "list" {
		return c.show(http.StatusOK, "queue", "part-list", v)
	}
	return c.show(http.StatusOK, "queue", "page", v)
}

func (c *call) showOr(err error, view, block string, data any) error {
	if err != nil {
		return err
	}
	return c.show(http.StatusOK, view, block, data)
}

// catchUp shows the row of a case as the case stands: a command just given may
// not have reached the index.
func (c *call) catchUp(list *listView, id string) {
	i := slices.IndexFunc(list.Rows, func(r rowView) bool { return r.ID == id })
	if i < 0 {
		return
	}
	s, err := c.Cases.Get(c.ctx, c.viewer, mention.ID(id))
	if err != nil {
		return
	}
	if row, ok := c.overlay(&s); ok {
		old := list.Rows[i]
		row.Href, row.Open, row.Story, row.Growth = old.Href, old.Open, old.Story, old.Growth
		list.Rows[i] = row
	}
}

// fresh tells how many mentions came since the list was made.
func (c *call) fresh(a asked) error {
	v := &queueView{frame: frame{locale: c.l, Path: withQuery(c.r.URL, map[string]string{"since": "", "case": ""})}}
	if ms, err := strconv.ParseInt(a.values.Get("since"), 10, 64); err == nil {
		a.query.Seen.From = time.UnixMilli(ms)
		n, err := c.Index.Counts(c.ctx, a.query)
		if err != nil {
			return err
		}
		v.New = int(n[0])
	}
	return c.show(http.StatusOK, "queue", "part-fresh", v)
}

// listOrNotice is the list, or what to say in its place.
func (c *call) listOrNotice(a asked) listView {
	v, err := c.list(a)
	if err != nil {
		c.Log.Warn("list not read", "error", err)
		f := c.judge(err)
		if f.status != http.StatusBadRequest { // which the same address would get again
			f.links = []link{{c.l.say("list.failed_again"), c.r.URL.RequestURI()}}
		}
		return listView{Notice: &notice{Kind: "error", Title: f.title, Text: f.text, Links: f.links}}
	}
	if len(v.Rows) > 0 {
		return v
	}
	say := c.l.say
	narrowed := a.query.Text != ""
	for _, f := range filters {
		narrowed = narrowed || a.values.Get(f.param) != ""
	}
	v.Notice = &notice{Kind: "empty", Title: say("list.empty"), Text: say("list.empty_text")}
	switch {
	case len(settings.Brands.All(c.Settings)) == 0:
		v.Notice = c.nothingYet()
	case narrowed:
		v.Notice = &notice{Kind: "empty", Title: say("list.none_found"), Text: say("list.none_found_text"), Links: []link{{say("list.none_found_clear"), "/queue?view=" + a.view}}}
	case a.view == "answer":
		if n, err := c.Index.Counts(c.ctx, search.Query{Viewer: c.sees()}); err == nil && n[0] == 0 {
			v.Notice = c.nothingYet()
		}
	default:
		v.Notice.Text = ""
	}
	return v
}

// nothingYet says what an installation lacks to which nothing has come yet.
func (c *call) nothingYet() *notice {
	say := c.l.say
	if len(settings.Brands.All(c.Settings)) == 0 {
		return &notice{Kind: "empty", Title: say("brand.none"), Text: say("brand.none_text"), Links: []link{{say("brand.new"), "/brands/new"}}}
	}
	text := say("list.first_text")
	if c.deaf() {
		text = say("list.first_deaf")
	}
	return &notice{Kind: "empty", Title: say("list.first"), Text: text, Links: []link{{say("list.first_sources"), "/sources"}}}
}

// list reads one piece of the list.
func (c *call) list(a asked) (listView, error) {
	v := listView{Since: strconv.FormatInt(c.l.now.UnixMilli(), 10)}
	res, err := c.Index.Search(c.ctx, a.query)
	if err != nil {
		return v, err
	}
	v.many, v.total = res.TotalCapped, res.Total
	if res.Next != "" {
		v.More = withQuery(c.r.URL, map[string]string{"cursor": res.Next, "case": ""})
	}
	stories := c.stories(c.ctx, res.Hits)
	open := a.values.Get("case")
	for i := range res.Hits {
		h := &res.Hits[i]
		href := withQuery(c.r.URL, map[string]string{"case": string(h.ID), "cursor": "", "since": ""})
		row := c.row(h, href)
		if s, ok := stories[h.Brand+" "+h.Story]; ok && a.query.Collapse {
			row.Story, row.Growth = int(s.Count), int(s.Recent)
		}
		row.Open = row.ID == open
		v.Rows = append(v.Rows, row)
	}
	return v, nil
}

// stories counts the stories of the hits, by brand and key. Without them the
// list is as good.
func (c *call) stories(ctx context.Context, hits []search.Hit) map[string]search.Story {
	keys := map[string][]string{}
	for i := range hits {
		if h := &hits[i]; h.Story != "" {
			keys[h.Brand] = append(keys[h.Brand], h.Story)
		}
	}
	out := map[string]search.Story{}
	for brand, list := range keys {
		all, err := c.Index.Stories(ctx, brand, c.l.now.Add(-time.Hour), list...)
		if err != nil {
			c.Log.Warn("stories not counted", "error", err)
			return out
		}
		for key, s := range all {
			out[brand+" "+key] = s
		}
	}
	return out
}

// row is a document as a line of a list.
func (c *call) row(h *search.Hit, href string) rowView {
	l := c.l
	r := rowView{
		ID: string(h.ID), Href: href, Pick: c.viewer.Can(identity.Handle, h.Brand), Step: stepOf(h.Page, h.Risks...), Intent: l.say("intent." + string(h.Intent)),
		Sentiment: string(h.Sentiment), Lang: langOf(h.Lang), Author: authorOf(h.AuthorHandle, h.AuthorName),
		Platform: h.Platform, PlatformName: c.platform(h.Platform), At: l.at(h.PublishedAt), Due: l.at(h.DueAt),
		Mine: h.Holder == c.viewer.Actor(), Story: 1, Media: h.MediaN, Waits: h.Open, Text: excerpt(text.Mask(h.Content()), h.Marks), Present: c.presentOn(h.ID),
	}
	if r.Sentiment == "" || r.Sentiment == search.None {
		r.Sentiment = string(mention.Neutral)
	}
	r.SentimentWord = l.say("sentiment." + r.Sentiment)
	if cat := gravest(h.Risks); cat != "" {
		r.Risk = l.say("risk." + string(cat))
	}
	if h.Holder != "" && h.Holder != search.Unassigned {
		r.Holder = c.who(h.Holder)
	}
	r.Stuck = stuck(h.Tags)
	if r.Stuck || h.Status != string(casework.New) && h.Status != string(casework.Watching) && l.has("state."+h.Status) {
		r.StateName = c.stateName(h.Status, h.Tags)
	}
	if h.DueAt.IsZero() || !h.Open {
		r.Due = moment{}
		r.Disposition = l.say("disposition_short." + dispositionOf(h))
	}
	for _, t := range h.Tags {
		if tag, ok := strings.CutPrefix(t, casework.TagPrefix); ok {
			r.Tags = append(r.Tags, c.valueName("tag", tag))
		}
	}
	if len(c.brandOptions(identity.View)) > 1 {
		r.Brand = c.brandName(h.Brand)
	}
	return r
}

// stuck tells by the tags of a case that a reply is not out, or perhaps is.
func stuck(tags []string) bool {
	return slices.Contains(tags, casework.TagFailed) || slices.Contains(tags, casework.TagUnsure)
}

// stateName is where a case stands. What became of its reply goes before who works
// on it.
func (c *call) stateName(status string, tags []string) string {
	switch {
	case slices.Contains(tags, casework.TagFailed):
		return c.l.say("state.failed")
	case slices.Contains(tags, casework.TagUnsure):
		return c.l.say("state.unsure")
	}
	return c.l.say("state." + status)
}

func dispositionOf(h *search.Hit) string {
	if h.Disposition == mention.Answer && h.Status == string(casework.Done) {
		return "done"
	}
	return string(h.Disposition)
}

// stepOf is how grave risks are, from 0 to 3; what PR must see is gravest.
func stepOf(page bool, risks ...mention.Category) int {
	step := 0
	for _, r := range risks {
		s := 2
		if r == mention.Churn || r == mention.RepeatContact {
			s = 1
		}
		step = max(step, s)
	}
	if page {
		step = 3
	}
	return step
}

// gravest is the first of the risks in the domain's order.
func gravest(risks []mention.Category) mention.Category {
	for _, c := range mention.Categories {
		if slices.Contains(risks, c) {
			return c
		}
	}
	return ""
}

// langOf is the language of a text for the lang attribute.
func langOf(lang string) string {
	if lang == "other" || lang == search.None {
		return ""
	}
	return lang
}

func authorOf(handle, name string) string {
	switch {
	case handle != "":
		return "@" + handle
	case name != "":
		return name
	}
	return "–"
}

var platformNames = map[string]string{
	"x": "X", "bluesky": "Bluesky", "mastodon": "Mastodon", "appstore": "App Store", "hackernews": "Hacker News",
	"reddit": "Reddit", "youtube": "YouTube", "google": "Google", "gbp": "Google Maps", "googleplay": "Google Play", "trustpilot": "Trustpilot",
	"instagram": "Instagram", "facebook": "Facebook", "threads": "Threads", "tiktok": "TikTok", "tripadvisor": "Tripadvisor", "news": "News",
}

// platform is the name of a platform.
func (c *call) platform(p string) string {
	if n, ok := platformNames[p]; ok {
		return n
	}
	if c.l.has("platform." + p) {
		return c.l.say("platform." + p)
	}
	return upperFirst(p)
}

// tabs are the standing views with their counts.
func (c *call) tabs(a asked) []chip {
	var shown []string
	var queries []search.Query
	for _, view := range standing {
		if view == "approve" && !c.viewer.CanSomewhere(identity.Approve) && !c.viewer.CanSomewhere(identity.Handle) {
			continue
		}
		shown = append(shown, view)
		if view != "done" && view != "all" && view != "watch" {
			queries = append(queries, c.standing(view))
		}
	}
	counts, err := c.Index.Counts(c.ctx, queries...)
	if err != nil {
		counts = make([]int64, len(queries))
	}
	var out []chip
	for i, view := range shown {
		t := chip{Label: c.l.say("view." + view), Href: "/queue?view=" + view, On: view == a.view && a.values.Get("saved") == ""}
		if view == "answer" {
			t.Href = "/queue"
		}
		if i < len(counts) {
			t.Count = int(counts[i])
		}
		out = append(out, t)
	}
	ctx, cancel := c.within(settle)
	defer cancel()
	items, left, err := c.sampleItems(ctx)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) { // it may take long, once a week
		c.Log.Warn("weekly sample not drawn", "error", err)
	}
	if len(items) > 0 || a.view == viewSample {
		out = append(out, chip{Label: c.l.say("view.sample"), Href: "/queue?view=" + viewSample, On: a.view == viewSample, Count: left})
	}
	return out
}

// countable tells whether facets are counted with the list. Over very many
// hits of a search that would take longer than the list itself: they are
// counted when somebody opens them.
func (c *call) countable(a asked, list *listView) bool {
	return !list.many || a.query.Text == "" || a.values.Get("facets") != ""
}

// chosen are the filters that are set, without counts.
func (c *call) chosen(a asked) []facet {
	var out []facet
	for _, f := range filters {
		if !f.shown {
			continue
		}
		v := facet{Name: f.param, Label: c.l.say("facet." + f.param)}
		for _, value := range a.values[f.param] {
			v.Chips = append(v.Chips, chip{Label: c.valueName(f.param, value), Href: c.toggle(f.param, value), On: true})
		}
		if len(v.Chips) > 0 {
			out = append(out, v)
		}
	}
	return out
}

// facets count what the list could be narrowed to.
func (c *call) facets(a asked) []facet {
	var fields []search.Field
	for _, f := range filters {
		if f.shown {
			fields = append(fields, f.field)
		}
	}
	q := a.query
	q.Cursor = ""
	counts, err := c.Index.Facets(c.ctx, q, fields...)
	if err != nil {
		c.Log.Warn("facets not counted", "error", err)
		return nil
	}
	var out []facet
	for _, f := range filters {
		if !f.shown {
			continue
		}
		v := facet{Name: f.param, Label: c.l.say("facet." + f.param)}
		buckets := counts[f.field]
		if f.param == "tag" { // what people put on, not Earshot's own marks
			buckets = slices.DeleteFunc(buckets, func(b search.Bucket) bool { return !strings.HasPrefix(b.Value, casework.TagPrefix) })
			for i := range buckets {
				buckets[i].Value = buckets[i].Value[len(casework.TagPrefix):]
			}
		}
		on := a.values[f.param]
		for _, b := range buckets[:min(len(buckets), 8)] {
			if b.Value == search.None && !slices.Contains(on, b.Value) {
				continue
			}
			v.Chips = append(v.Chips, chip{Label: c.valueName(f.param, b.Value), Href: c.toggle(f.param, b.Value), Count: int(b.Count), On: slices.Contains(on, b.Value)})
		}
		for _, value := range on {
			if !slices.ContainsFunc(buckets, func(b search.Bucket) bool { return b.Value == value }) {
				v.Chips = append(v.Chips, chip{Label: c.valueName(f.param, value), Href: c.toggle(f.param, value), On: true})
			}
		}
		if len(v.Chips) > 1 || len(v.Chips) > 0 && f.param == "tag" || len(on) > 0 {
			out = append(out, v)
		}
	}
	return out
}

// toggle is the list's address with one value of a filter switched.
func (c *call) toggle(param, value string) string {
	q := url.Values{}
	for k, v := range c.r.URL.Query() {
		if k != "cursor" && k != "case" && k != "since" {
			q[k] = slices.Clone(v)
		}
	}
	if i := slices.Index(q[param], value); i >= 0 {
		q[param] = slices.Delete(q[param], i, i+1)
	} else {
		q.Add(param, value)
	}
	if len(q) == 0 {
		return "/queue"
	}
	return "/queue?" + q.Encode()
}

func (c *call) valueName(param, value string) string {
	switch param {
	case "brand":
		return c.brandName(value)
	case "platform":
		return c.platform(value)
	case "team":
		return c.teamName(value)
	}
	if key := param + "." + value; c.l.has(key) {
		return c.l.say(key)
	}
	return value
}

// deaf tells whether every source that is switched on fails or is silent.
func (c *call) deaf() bool {
	on := 0
	for _, s := range settings.Sources.List(c.Settings) {
		if !s.Off {
			on++
		}
	}
	return on > 0 && c.Desk.live.counts(c.ctx, c.viewer)["sources"] == on
}
