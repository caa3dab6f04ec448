package desk

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/text"
)

// wishesView lists what customers wish for.
type wishesView struct {
	frame
	Tabs   []chip
	Rows   []wishRow
	Notice *notice
	New    string
}

type wishRow struct {
	Href, Title, Brand, State, StateName, Owner string
	Count                                       int
	Changed                                     moment
}

// wishView is one wish with its evidence.
type wishView struct {
	frame
	Action, ID, Version      string
	State, StateName         string
	May, New                 bool
	Fields                   []field
	Notice                   *notice
	Count, People            int
	More                     bool // there are more than were looked at
	Languages                []metric
	Months                   []monthView
	Evidence                 []evidenceView
	CSV, Queue, Search, Into string
	Merge                    *field
	History                  []eventView
}

type monthView struct {
	Month      string
	Count, Max int
}

type evidenceView struct {
	Href, Words, Text, Lang, Author, Platform string
	At                                        moment
}

func (c *call) mayWish(brand string) bool {
	return c.viewer.Can(identity.Wish, brand) || c.viewer.Can(identity.Word, brand)
}

func (c *call) wishes() error {
	say := c.l.say
	v := &wishesView{frame: c.frame(say("nav.wishes"), "/wishes")}
	state := casework.WishStatus(c.r.URL.Query().Get("state"))
	counts := map[casework.WishStatus]int{}
	for _, w := range settings.Wishes.List(c.Settings) {
		if !c.viewer.Can(identity.View, w.Brand) || w.Into != "" {
			continue
		}
		counts[w.Status]++
		if state != "" && w.Status != state || state == "" && w.Status == casework.WishDeclined {
			continue
		}
		_, at := settings.Wishes.Changed(c.Settings, w.ID)
		row := wishRow{Href: "/wishes/" + w.ID, Title: w.Title, Brand: c.brandName(w.Brand), State: string(w.Status), StateName: say("wish." + string(w.Status)), Owner: c.ownerName(w.Owner), Changed: c.l.at(at)}
		if n, err := c.Index.Counts(c.ctx, c.evidence(w.ID)); err == nil {
			row.Count = int(n[0])
		}
		v.Rows = append(v.Rows, row)
	}
	slices.SortStableFunc(v.Rows, func(a, b wishRow) int { return b.Count - a.Count })
	v.Tabs = []chip{{Label: say("wish.all"), Href: "/wishes", On: state == ""}}
	for _, s := range casework.WishStatuses {
		v.Tabs = append(v.Tabs, chip{Label: say("wish." + string(s)), Href: "/wishes?state=" + string(s), Count: counts[s], On: state == s})
	}
	if c.viewer.CanSomewhere(identity.Wish) || c.viewer.CanSomewhere(identity.Word) {
		v.New = "/wishes/new"
	}
	if len(v.Rows) == 0 {
		v.Notice = &notice{Kind: "empty", Title: say("wish.none"), Text: say("wish.none_text")}
		if !c.viewer.CanSomewhere(identity.Comment) {
			v.Notice.Text = ""
		}
	}
	return c.show(http.StatusOK, "wishes", "page", v)
}

// evidence finds the mentions that count for a wish.
func (c *call) evidence(id string) search.Query {
	return search.Query{Viewer: c.sees(), Sort: search.Newest, Limit: search.MaxLimit, Where: map[search.Field][]string{search.FieldTag: {casework.WishTag(id)}}}
}

func (c *call) wantedWish() (casework.WishCard, uint64, error) {
	id := c.r.PathValue("id")
	if id == "new" {
		w := casework.WishCard{Status: casework.WishOpen}
		if brands := settings.Brands.List(c.Settings); len(brands) > 0 {
			w.Brand = brands[0].ID
		}
		return w, 0, nil
	}
	w, ok := settings.Wishes.Get(c.Settings, id)
	if !ok || !c.viewer.Can(identity.View, w.Brand) {
		return w, 0, errNotFound
	}
	return w, settings.Wishes.Version(c.Settings, id), nil
}

func (c *call) wish() error {
	w, version, err := c.wantedWish()
	if err != nil {
		return err
	}
	return c.showWish(http.StatusOK, w, version, nil)
}

func (c *call) showWish(status int, w casework.WishCard, version uint64, wrong map[string]string) error {
	say := c.l.say
	v := &wishView{
		frame: c.frame(cmp.Or(w.Title, say("wish.new")), "/wishes"), Action: "/wishes/" + cmp.Or(w.ID, "new"), ID: w.ID, New: w.ID == "",
		Version: itoa(version), State: string(w.Status), StateName: say("wish." + string(w.Status)), May: c.mayWish(w.Brand),
	}
	states := field{Name: "status", Label: say("wish.status"), Type: "select", Required: true}
	for _, s := range casework.WishStatuses {
		states.Options = append(states.Options, option{Value: string(s), Label: say("wish." + string(s)), On: s == w.Status})
	}
	brand := field{Name: "brand", Label: say("case.brand"), Type: "select", Required: true, Error: wrong["brand"]}
	for _, b := range settings.Brands.List(c.Settings) {
		if c.mayWish(b.ID) || b.ID == w.Brand {
			brand.Options = append(brand.Options, option{Value: b.ID, Label: b.Called(c.l.lang), On: b.ID == w.Brand})
		}
	}
	owner := field{Name: "owner", Label: say("measure.owner"), Type: "select", Options: append([]option{{}}, staffPicks(c)...)}
	tell := field{Name: "template", Label: say("wish.template"), Hint: say("wish.template_hint"), Type: "select", Options: append([]option{{}}, templatePicks(c)...)}
	for _, f := range []struct {
		of *field
		is string
	}{{&owner, w.Owner}, {&tell, w.Template}} {
		for i := range f.of.Options {
			f.of.Options[i].On = f.of.Options[i].Value == f.is
		}
	}
	v.Fields = []field{
		{Name: "title", Label: say("wish.title"), Value: w.Title, Required: true, Error: wrong["title"]}, states, brand,
		{Name: "about", Label: say("wish.about"), Type: "textarea", Rows: 3, Value: w.About, Error: wrong["about"]}, owner, tell,
		{Name: "search", Label: say("wish.search"), Hint: say("wish.search_hint"), Value: w.Search},
	}
	if len(wrong) > 0 {
		v.Notice = &notice{Kind: "error", Title: say("error.input"), Text: wrong[""], Kept: say("form.kept")}
	}
	if w.ID == "" {
		return c.show(status, "wish", "page", v)
	}
	if w.Into != "" {
		into, _ := settings.Wishes.Get(c.Settings, w.Into)
		v.Into = "/wishes/" + w.Into
		v.Notice = &notice{Kind: "info", Text: say("wish.merged_into", cmp.Or(into.Title, w.Into)), Links: []link{{cmp.Or(into.Title, w.Into), v.Into}}}
	}
	if err := c.wishEvidence(v, w); err != nil {
		return err
	}
	tag := url.QueryEscape(casework.WishTag(w.ID))
	v.Queue = "/queue?view=all&mark=" + tag
	if c.viewer.Can(identity.Export, w.Brand) {
		v.CSV = "/wishes/" + w.ID + "/mentions.csv"
	}
	if w.Search != "" {
		v.Search = "/queue?view=all&q=" + url.QueryEscape(w.Search)
	}
	switch {
	case v.May && w.Into != "" && v.Count > 0:
		v.Merge = &field{Name: "into", Label: say("wish.merge_into"), Type: "select", Required: true, Options: []option{{Value: w.Into, Label: v.Notice.Links[0].Label}}}
	case v.May && w.Into == "":
		v.Merge = &field{Name: "into", Label: say("wish.merge_into"), Type: "select", Required: true}
		for _, x := range casework.NearWishes(settings.Wishes.List(c.Settings), w.Brand, w.Title+" "+w.Search, 20) {
			if x.ID != w.ID {
				v.Merge.Options = append(v.Merge.Options, option{Value: x.ID, Label: x.Title})
			}
		}
		for _, x := range settings.Wishes.List(c.Settings) {
			if x.ID != w.ID && x.Brand == w.Brand && x.Into == "" && !slices.ContainsFunc(v.Merge.Options, func(o option) bool { return o.Value == x.ID }) {
				v.Merge.Options = append(v.Merge.Options, option{Value: x.ID, Label: x.Title})
			}
		}
		if len(v.Merge.Options) == 0 {
			v.Merge = nil
		}
	}
	past, err := settings.Wishes.History(c.ctx, c.Settings, w.ID)
	if err != nil {
		return err
	}
	for i, r := range slices.Backward(past) {
		e := eventView{At: c.l.at(r.At), Who: c.named(r.Actor), What: say("rules.changed")}
		if i == 0 {
			e.What = say("rules.made")
		}
		if i == 0 || past[i-1].Value.Status != r.Value.Status {
			e.Text = say("wish." + string(r.Value.Status))
		}
		v.History = append(v.History, e)
	}
	return c.show(status, "wish", "page", v)
}

// wishEvidence counts who asks for w, and shows it in their words.
func (c *call) wishEvidence(v *wishView, w casework.WishCard) error {
	res, err := c.Index.Search(c.ctx, c.evidence(w.ID))
	if err != nil {
		return err
	}
	v.Count, v.More = res.Total, res.Total > len(res.Hits)
	people, langsOf, months := map[string]bool{}, map[string]int{}, map[string]int{}
	for i := range res.Hits {
		h := &res.Hits[i]
		people[h.Platform+" "+cmp.Or(h.AuthorID, h.AuthorHandle, string(h.ID))] = true
		langsOf[h.Lang]++
		months[h.PublishedAt.In(c.l.zone).Format("2006-01")]++
		if len(v.Evidence) < 40 {
			v.Evidence = append(v.Evidence, evidenceView{
				Href: "/cases/" + string(h.ID), Words: c.wishWords(h.ID, w.ID), Text: shorten(text.Mask(h.Content()), 160), Lang: langOf(h.Lang), Author: authorOf(h.AuthorHandle, h.AuthorName),
				Platform: c.platform(h.Platform), At: c.l.at(h.PublishedAt),
			})
		}
	}
	v.People = len(people)
	for _, l := range langs {
		if langsOf[l] > 0 {
			v.Languages = append(v.Languages, metric{c.l.say("lang." + l), itoa(langsOf[l])})
		}
	}
	most := 0
	for _, n := range months {
		most = max(most, n)
	}
	for i := 11; i >= 0; i-- {
		m := c.l.now.In(c.l.zone).AddDate(0, 0, 1-c.l.now.In(c.l.zone).Day()).AddDate(0, -i, 0).Format("2006-01")
		v.Months = append(v.Months, monthView{m, months[m], max(most, 1)})
	}
	return nil
}

// wishWords are an author's own words for a wish, where somebody took them down.
func (c *call) wishWords(id mention.ID, wish string) string {
	s, err := c.Cases.Get(c.ctx, c.viewer, id)
	if err != nil {
		return ""
	}
	for _, w := range s.Care.Wishes {
		if w.ID == wish {
			return w.Words
		}
	}
	return ""
}

func (c *call) saveWish() error {
	w, version, err := c.wantedWish()
	if err != nil {
		return err
	}
	if w.ID != "" && !c.mayWish(w.Brand) {
		return errForbidden
	}
	w.Title, w.About, w.Owner, w.Search, w.Template = c.form("title"), c.form("about"), c.form("owner"), c.form("search"), c.form("template")
	w.Status = casework.WishStatus(c.form("status"))
	w.Brand = cmp.Or(c.form("brand"), w.Brand)
	if !c.mayWish(w.Brand) {
		return errForbidden
	}
	if w.ID == "" {
		w.ID = newID()
	} else {
		version = c.based(version)
	}
	err = settings.Wishes.Put(c.ctx, c.Settings, c.viewer.Actor(), w.ID, version, w)
	if c.overtaken(err) {
		return c.showWish(http.StatusConflict, w, settings.Wishes.Version(c.Settings, w.ID), map[string]string{"": c.l.say("rules.stale")})
	}
	if wrong := c.l.mistakenAt(err); err != nil && wrong != nil {
		if c.r.PathValue("id") == "new" {
			w.ID = ""
		}
		return c.showWish(http.StatusUnprocessableEntity, w, version, wrong)
	}
	if err != nil {
		return err
	}
	c.flash(&flash{Text: c.l.say("done.saved")})
	return c.back("/wishes/" + w.ID)
}

// mergeWish moves the evidence of a wish to another one.
func (c *call) mergeWish() error {
	w, version, err := c.wantedWish()
	if err != nil {
		return err
	}
	into, ok := settings.Wishes.Get(c.Settings, c.form("into"))
	if !ok || into.ID == w.ID || into.Brand != w.Brand || into.Into != "" || w.ID == "" || w.Into != "" && w.Into != into.ID {
		return errNotFound
	}
	if !c.mayWish(w.Brand) {
		return errForbidden
	}
	// First the wish, so that nothing is added to it any more. If moving its
	// evidence is interrupted, the same form goes on with what is left.
	if w.Into == "" {
		w.Into = into.ID
		if err := settings.Wishes.Put(c.ctx, c.Settings, c.viewer.Actor(), w.ID, version, w); err != nil {
			return err
		}
	}
	last, err := casework.Events().Last(c.ctx, c.Bus)
	if err != nil {
		return err
	}
	c.waitFor(last)
	q := c.evidence(w.ID)
	for {
		res, err := c.Index.Search(c.ctx, q)
		if err != nil {
			return err
		}
		for i := range res.Hits {
			id := res.Hits[i].ID
			words := c.wishWords(id, w.ID)
			for _, cmd := range []casework.Command{casework.AddWish{Wish: into.ID, Words: words, From: w.ID}, casework.DropWish{Wish: w.ID}} {
				if _, err := c.Cases.Do(c.ctx, c.viewer, id, cmd); err != nil && !isRefused(err, casework.CodeState) {
					return err
				}
			}
		}
		if q.Cursor = res.Next; q.Cursor == "" {
			break
		}
	}
	c.flash(&flash{Text: c.l.say("done.merge")})
	return c.back("/wishes/" + into.ID)
}

func isRefused(err error, code string) bool {
	r, ok := errors.AsType[*casework.Refused](err)
	return ok && r.Code == code
}

// wishCSV hands out the evidence of a wish as a table.
func (c *call) wishCSV() error {
	w, _, err := c.wantedWish()
	if err != nil || w.ID == "" {
		return cmp.Or(err, errNotFound)
	}
	encoding := c.r.URL.Query().Get("encoding")
	if encoding != "" && !slices.Contains(encodings, encoding) {
		return &inputError{"encoding: want one of " + strings.Join(encodings, ", ")}
	}
	c.download("wish-"+w.ID+".csv", encoding)
	out := newSheet(c.w, encoding, []string{"published_at", "platform", "author", "lang", "words", "text", "url", "case"})
	for d, err := range search.All(c.ctx, c.Index, c.evidence(w.ID)) {
		if err != nil {
			return c.broken(err)
		}
		author, words, said, url := authorOf(d.AuthorHandle, d.AuthorName), text.Mask(c.wishWords(d.ID, w.ID)), text.Mask(d.Content()), d.URL
		if !mayLeave(c.Settings, d.Platform, d.Source) {
			author, words, said, url = "", "", "", ""
		}
		if err := out.write([]string{d.PublishedAt.Format("2006-01-02T15:04:05Z07:00"), d.Platform, author, d.Lang, words, said, url, c.URL + "/cases/" + string(d.ID)}); err != nil {
			return c.broken(err)
		}
	}
	return c.broken(out.end())
}

// askWish is the form that counts a mention for a wish: near ones first.
func (c *call) askWish(s *casework.State, a *askView) {
	say := c.l.say
	all := settings.Wishes.List(c.Settings)
	f := field{Name: "wish", Label: say("ask.wish_which"), Type: "radio", Required: true}
	add := func(w casework.WishCard, on bool) {
		if w.Brand == s.Mention.Brand && w.Into == "" && w.Status != casework.WishDeclined && !slices.ContainsFunc(f.Options, func(o option) bool { return o.Value == w.ID }) && len(f.Options) < 12 {
			f.Options = append(f.Options, option{Value: w.ID, Label: w.Title, Hint: say("wish." + string(w.Status)), On: on})
		}
	}
	for i, w := range casework.NearWishes(all, s.Mention.Brand, s.Mention.Content(), 4) {
		add(w, i == 0)
	}
	for _, w := range all {
		add(w, false)
	}
	f.Options = append(f.Options, option{Value: "new", Label: say("ask.wish_new"), On: len(f.Options) == 0})
	a.Text, a.Button = say("ask.wish_text"), say("ask.wish")
	a.Fields = []field{f, {Name: "title", Label: say("ask.wish_title"), Plain: true}, {Name: "words", Label: say("ask.wish_words"), Type: "textarea", Rows: 2, Value: shorten(text.Mask(s.Mention.Content()), 200), Plain: true}}
}

func (c *call) addWish() error {
	id := mention.ID(c.r.PathValue("id"))
	s, err := c.Cases.Get(c.ctx, c.viewer, id)
	if err != nil {
		return err
	}
	wish := c.form("wish")
	if wish == "new" {
		if err := c.may(identity.Comment, s.Mention.Brand); err != nil {
			return err
		}
		w := casework.WishCard{ID: newID(), Title: c.form("title"), Brand: s.Mention.Brand, Status: casework.WishOpen}
		err := settings.Wishes.Put(c.ctx, c.Settings, c.viewer.Actor(), w.ID, 0, w)
		if _, ok := errors.AsType[*config.FieldError](err); ok {
			return c.refused(&casework.Refused{Code: casework.CodeInput, Text: c.l.say("ask.wish_title")}, caseOptions{})
		}
		if err != nil {
			return err
		}
		wish = w.ID
	}
	after, err := c.countForWish(id, wish, c.form("words"))
	return c.done(after, err, c.l.say("done.wish"), "")
}

// countForWish counts a case for a wish of its brand.
func (c *call) countForWish(id mention.ID, wish, words string) (casework.State, error) {
	s, err := c.Cases.Get(c.ctx, c.viewer, id)
	if err != nil {
		return s, err
	}
	if w, ok := settings.Wishes.Get(c.Settings, wish); !ok || w.Brand != s.Mention.Brand || w.Into != "" {
		return s, &casework.Refused{Code: casework.CodeInput, Text: c.l.say("ask.wish_which")}
	}
	return c.Cases.Do(c.ctx, c.viewer, id, casework.AddWish{Wish: wish, Words: words})
}

func (c *call) dropWish() error {
	return c.do(casework.DropWish{Wish: c.form("wish")}, c.l.say("done.unwish"), "")
}
