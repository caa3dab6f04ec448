package desk

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/query"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

func (c *call) brands() error {
	say := c.l.say
	v := &brandsView{frame: c.frame(say("nav.brands"), "/brands"), May: c.viewer.Can(identity.Configure, identity.AllBrands)}
	var queries []search.Query
	midnight := c.midnight()
	for _, b := range settings.Brands.List(c.Settings) {
		if !c.viewer.Can(identity.View, b.ID) {
			continue
		}
		row := brandRow{Href: "/brands/" + b.ID, ID: b.ID, Name: b.Called(c.l.lang), Query: b.Query, On: true}
		if _, err := query.Parse(b.Query); err != nil {
			row.Error = c.l.queryTrouble(err)
		}
		v.Rows = append(v.Rows, row)
		where := map[search.Field][]string{search.FieldBrand: {b.ID}}
		open := map[search.Field][]string{search.FieldBrand: {b.ID}, search.FieldOpen: {search.Yes}}
		queries = append(queries, search.Query{Viewer: c.sees(), Where: where, Seen: search.Period{From: midnight}}, search.Query{Viewer: c.sees(), Where: open})
	}
	if counts, err := c.Index.Counts(c.ctx, queries...); err == nil {
		for i := range v.Rows {
			v.Rows[i].Today, v.Rows[i].Open = int(counts[2*i]), int(counts[2*i+1])
		}
	}
	if len(v.Rows) == 0 {
		v.Notice = &notice{Kind: "empty", Title: say("brand.none"), Text: say("brand.none_text")}
	}
	return c.show(http.StatusOK, "brands", "page", v)
}

// midnight is when the caller's day began.
func (c *call) midnight() time.Time {
	now := c.l.now.In(c.l.zone)
	return time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, c.l.zone)
}

// wantedBrand is the brand of the address; an empty one for "new".
func (c *call) wantedBrand() (settings.Brand, uint64, error) {
	id := c.r.PathValue("id")
	if id == "new" {
		return settings.Brand{}, 0, nil
	}
	b, ok := settings.Brands.Get(c.Settings, id)
	if !ok || !c.viewer.Can(identity.View, id) {
		return b, 0, errNotFound
	}
	return b, settings.Brands.Version(c.Settings, id), nil
}

func (c *call) brand() error {
	b, _, err := c.wantedBrand()
	if err != nil {
		return err
	}
	return c.showBrand(http.StatusOK, b, nil, false)
}

func (c *call) showBrand(status int, b settings.Brand, wrong map[string]string, try bool) error {
	say := c.l.say
	isNew := c.r.PathValue("id") == "new"
	v := &brandView{ID: b.ID, Name: b.Name, New: isNew, Action: "/brands/" + c.r.PathValue("id"), May: c.mayConfigure(b.ID, isNew)}
	title := b.Name
	if isNew {
		title = say("brand.new")
	}
	v.frame, v.Version = c.frame(title, "/brands"), itoa(c.based(settings.Brands.Version(c.Settings, b.ID)))
	if status == http.StatusConflict {
		v.Notice = c.overtakenNotice()
		v.Notice.Text = cmp.Or(wrong[""], v.Notice.Text)
	}
	v.Fields = []field{{Name: "name", Label: say("brand.name"), Value: b.Name, Required: true, Error: wrong["name"]}}
	if isNew {
		v.Fields = append(v.Fields, field{Name: "id", Label: say("brand.id"), Value: b.ID, Hint: say("brand.id_hint"), Mono: true, Error: wrong["id"]})
	}
	minutes := func(name, label string, n int) field {
		f := field{Name: name, Label: say(label), Type: "number", Error: wrong[name]}
		if usual := map[string]int{"urgent": 60, "normal": 480, "low": 1440}[name]; usual > 0 {
			f.Placeholder = itoa(usual)
		}
		if n > 0 {
			f.Value = itoa(n)
		}
		return f
	}
	v.Query = field{Name: "query", Label: say("brand.query"), Hint: say("brand.query_hint"), Type: "textarea", Rows: 4, Mono: true, Required: true, Value: b.Query}
	v.More = []field{minutes("urgent", "brand.urgent", b.UrgentMinutes), minutes("normal", "brand.normal", b.NormalMinutes), minutes("low", "brand.low", b.LowMinutes),
		minutes("resolve_urgent", "brand.resolve_urgent", b.ResolveUrgentMinutes), minutes("resolve_normal", "brand.resolve_normal", b.ResolveNormalMinutes), minutes("resolve_low", "brand.resolve_low", b.ResolveLowMinutes),
		{Name: "peer", Label: say("brand.peer_label"), Type: "check", Options: []option{{Value: "on", Label: say("brand.peer"), On: b.Peer}}}}
	v.More = append(v.More, c.usualAccounts(&b)...)
	v.Mistake, v.Preview = c.tryQuery(b.Query, try)
	if v.Mistake != nil && wrong != nil {
		v.Query.Error = v.Mistake.Text
	}
	if !isNew {
		v.History = c.brandHistory(b.ID)
		if v.May && c.part() == "" {
			v.Proposals = c.proposals(&b)
		}
	}
	if c.part() != "" {
		return c.show(status, "brand", "brand-preview", v)
	}
	return c.show(status, "brand", "page", v)
}

func (c *call) mayConfigure(id string, isNew bool) bool {
	if isNew {
		id = identity.AllBrands
	}
	return c.viewer.Can(identity.Configure, id)
}

func (c *call) brandHistory(id string) []eventView {
	revisions, err := settings.Brands.History(c.ctx, c.Settings, id)
	if err != nil {
		return nil
	}
	var out []eventView
	for i, r := range revisions {
		e := eventView{At: c.l.at(r.At), Who: c.named(r.Actor), What: c.l.say("brand.changed")}
		if i == 0 || revisions[i-1].Value.Query != r.Value.Query {
			e.What, e.Text = c.l.say("brand.query_set"), r.Value.Query
		}
		out = append(out, e)
	}
	return out[max(0, len(out)-8):]
}

func (c *call) typedBrand(b settings.Brand) (settings.Brand, map[string]string) {
	wrong := map[string]string{}
	b.Name, b.Query, b.Peer = c.form("name"), c.form("query"), c.form("peer") == "on"
	if b.Name == "" {
		wrong["name"] = c.l.say("form.required")
	}
	for name, n := range map[string]*int{
		"urgent": &b.UrgentMinutes, "normal": &b.NormalMinutes, "low": &b.LowMinutes,
		"resolve_urgent": &b.ResolveUrgentMinutes, "resolve_normal": &b.ResolveNormalMinutes, "resolve_low": &b.ResolveLowMinutes,
	} {
		*n = 0
		if text := c.form(name); text != "" {
			if *n = atoi(text); *n <= 0 || *n > 60*24*30 {
				wrong[name] = c.l.say("form.minutes")
			}
		}
	}
	if accounts := c.typedAccounts(&b); accounts != nil {
		b.Accounts = accounts
	}
	return b, wrong
}

func (c *call) saveBrand() error {
	b, version, err := c.wantedBrand()
	if err != nil {
		return err
	}
	isNew := c.r.PathValue("id") == "new"
	if !c.mayConfigure(b.ID, isNew) {
		return errForbidden
	}
	b, wrong := c.typedBrand(b)
	if isNew {
		b.ID = c.form("id")
		if b.ID == "" {
			b.ID = strings.Trim(notSlug.ReplaceAllString(strings.ToLower(b.Name), "-"), "-")
		}
		if b.ID == "" {
			b.ID = "brand-" + newID()[:6]
		}
		version = settings.Brands.Version(c.Settings, b.ID)
		if _, taken := settings.Brands.Get(c.Settings, b.ID); taken || b.ID == "new" {
			wrong["id"] = c.l.say("form.taken")
		} else if !shortName.MatchString(b.ID) {
			wrong["id"] = c.l.say("form.slug")
		}
	} else {
		version = c.based(version)
	}
	if _, err := query.Parse(b.Query); err != nil {
		wrong["query"] = c.l.queryTrouble(err)
	}
	if len(wrong) > 0 {
		return c.showBrand(http.StatusUnprocessableEntity, b, wrong, false)
	}
	err = settings.Brands.Put(c.ctx, c.Settings, c.viewer.Actor(), b.ID, version, b)
	if c.overtaken(err) {
		return c.showBrand(http.StatusConflict, b, wrong, false)
	}
	if wrong := c.l.mistaken(err, func(key string) string { return key }); wrong != nil {
		return c.showBrand(http.StatusUnprocessableEntity, b, wrong, false)
	}
	if err != nil {
		return err
	}
	c.flash(&flash{Text: c.l.say("done.saved")})
	return c.back("/brands/" + b.ID)
}

func (c *call) previewBrand() error {
	b, _, err := c.wantedBrand()
	if err != nil {
		return err
	}
	b, _ = c.typedBrand(b)
	return c.showBrand(http.StatusOK, b, nil, c.form("now") == "yes" || c.part() == "")
}

// tryQuery says where a query is wrong, or what it finds: among what is
// stored, and with now also on the sources that can be asked.
func (c *call) tryQuery(text string, now bool) (*mistakeView, *queryPreview) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	q, err := query.Parse(text)
	if wrong, ok := errors.AsType[*query.Error](err); ok {
		return c.mistake(text, wrong), nil
	}
	if err != nil {
		return &mistakeView{Before: text, Text: err.Error()}, nil
	}
	p := &queryPreview{}
	c.tryStored(q, p)
	if now {
		p.Sources = c.trySources(q)
	}
	return nil, p
}

func (c *call) mistake(text string, wrong *query.Error) *mistakeView {
	r := []rune(text)
	at := min(wrong.Offset, len(r))
	end := at
	switch near := len([]rune(wrong.Near)); {
	case near > 0 && at+near <= len(r):
		end = at + near
	case at < len(r):
		end = at + 1
	}
	return &mistakeView{Before: string(r[:at]), At: string(r[at:end]), After: string(r[end:]), Text: c.l.queryTrouble(wrong)}
}

// queryTrouble is what is wrong with a query, without its place.
func (l *locale) queryTrouble(err error) string {
	wrong, ok := errors.AsType[*query.Error](err)
	switch {
	case !ok:
		return err.Error()
	case l.has("query." + wrong.Code):
		return l.say("query." + wrong.Code)
	case wrong.Hint != "":
		return upperFirst(wrong.Message) + ". " + upperFirst(wrong.Hint)
	}
	return upperFirst(wrong.Message)
}

// candidates is how many stored mentions a preview looks at for each term.
const candidates = 200

// tryStored holds the query against stored mentions that have its words.
func (c *call) tryStored(q *query.Query, p *queryPreview) {
	ctx, cancel := c.within(3 * time.Second)
	defer cancel()
	seen := map[string]bool{}
	terms := q.Terms()
	texts := []string{""}
	if len(terms) > 0 {
		texts = nil
		for _, t := range terms[:min(len(terms), 8)] {
			texts = append(texts, `"`+strings.ReplaceAll(t.Text, `"`, "")+`"`)
		}
	}
	for _, text := range texts {
		res, err := c.Index.Search(ctx, search.Query{Viewer: c.sees(), Text: text, Sort: search.Newest, Limit: candidates})
		if err != nil {
			c.Log.Debug("preview not searched", "error", err)
			continue
		}
		for i := range res.Hits {
			h := &res.Hits[i]
			// A post can be stored as a mention of several brands.
			key := h.Platform + " " + h.URL + " " + h.AuthorID + " " + h.Content()
			if seen[key] {
				continue
			}
			seen[key] = true
			p.Of++
			spans, ok := q.Match(postOf(h))
			if !ok {
				continue
			}
			p.Stored++
			if len(p.Rows) < 6 {
				h.Marks = marksOf(spans)
				p.Rows = append(p.Rows, c.row(h, "/cases/"+string(h.ID)))
			}
		}
	}
}

// postOf is what a query looks at in a document.
func postOf(h *search.Hit) *mention.Post {
	return &mention.Post{
		Platform: h.Platform, Source: h.Source, Kind: h.Kind, URL: h.URL, Title: h.Title, Text: h.Text, Lang: h.Lang, Rating: h.Rating,
		Author: mention.Author{ID: h.AuthorID, Handle: h.AuthorHandle, Name: h.AuthorName}, Place: mention.Place{ID: h.Place}, PublishedAt: h.PublishedAt,
	}
}

func marksOf(spans []query.Span) []search.Mark {
	marks := make([]search.Mark, len(spans))
	for i, s := range spans {
		marks[i] = search.Mark{Start: s.Start, End: s.End}
	}
	slices.SortFunc(marks, func(a, b search.Mark) int { return a.Start - b.Start })
	return marks
}

// trySources asks the sources that can be searched, side by side.
func (c *call) trySources(q *query.Query) []sourcePreview {
	ctx, cancel := c.within(8 * time.Second)
	defer cancel()
	var terms []string
	for _, t := range q.Terms() {
		terms = append(terms, t.Text)
	}
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		out  []sourcePreview
		done = map[string]bool{}
	)
	for _, src := range settings.Sources.List(c.Settings) {
		kind, ok := source.Named(src.Kind)
		if !ok || src.Off || done[src.Kind] {
			continue
		}
		conn, err := kind.Open(withoutSecrets(kind.Fields(), src.Config), source.Deps{
			HTTP: c.HTTP, Log: c.Log, Now: c.Now, Data: c.Data, Keep: source.Memory(),
			Terms: func() source.Terms { return source.Terms{Words: terms} },
		})
		s, can := conn.(source.Searcher)
		if err != nil || !can {
			continue
		}
		done[src.Kind] = true
		wg.Go(func() {
			p := c.trySource(ctx, s, q, terms)
			p.Name = src.Name
			if p.Name == "" {
				p.Name = src.ID
			}
			mu.Lock()
			out = append(out, p)
			mu.Unlock()
		})
	}
	wg.Wait()
	slices.SortFunc(out, func(a, b sourcePreview) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (c *call) trySource(ctx context.Context, s source.Searcher, q *query.Query, terms []string) sourcePreview {
	posts, err := s.Search(ctx, terms, 20)
	if err != nil {
		return sourcePreview{Trouble: c.l.trouble(outbound.Explain(err, c.l.now), err.Error(), time.Time{})}
	}
	var p sourcePreview
	for i := range posts {
		spans, ok := q.Match(&posts[i])
		if !ok {
			continue
		}
		p.Found++
		if len(p.Rows) < 4 {
			m := mention.Of("preview", posts[i])
			p.Rows = append(p.Rows, rowView{
				ID: string(m.ID), Author: authorOf(m.Author.Handle, m.Author.Name), PlatformName: c.platform(m.Platform),
				At: c.l.at(m.PublishedAt), Text: excerpt(m.Content(), marksOf(spans)), Lang: m.Lang,
			})
		}
	}
	return p
}
