package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// figuresView is a table of figures, and the ways to take it out.
type figuresView struct {
	frame
	Lead    string
	Fields  []field // what is asked for
	Keep    []pair  // the same, for downloads
	Notice  *notice
	Heads   []string // of the groups
	Waits   []string // heads of two columns of waits each
	Rows    []figuresRow
	Sum     figuresRow
	History *historyForm // nil for whom it is not
	Taken   []takenView
	Codes   []option // encodings; none for whom files are not
}

type figuresRow struct {
	Names  []string
	Counts []countView
	Rate   share // answered in time, of those answered or overdue
	Waits  []waitView
}

// countView is one figure with what it counts.
type countView struct {
	Label string
	N     int
}

// waitView is how long it took. Text is empty where nothing has an end.
type waitView struct{ Label, Text string }

// historyForm is the way to the handling history.
type historyForm struct{ Unmask bool }

// takenView is what somebody took out.
type takenView struct {
	By, What, Note string
	At             moment
}

// shownGroups bounds the lines on a page; files have all.
const shownGroups = 500

// figuresAsked reads what is asked for, and of which brand, from a form or an
// address, and says what is wrong with it, by input.
func (c *call) figuresAsked(get func(string) string) (*Export, string, map[string]string) {
	wrong := map[string]string{}
	today := c.l.now.In(c.l.zone)
	day := func(name string, usual time.Time) time.Time {
		t := time.Date(usual.Year(), usual.Month(), usual.Day(), 0, 0, 0, 0, c.l.zone)
		if text := get(name); text != "" {
			typed, err := time.ParseInLocation(time.DateOnly, text, c.l.zone)
			if err != nil {
				wrong[name] = c.l.say("form.time")
				return t
			}
			t = typed
		}
		return t
	}
	from, to := day("from", today.AddDate(0, 0, -29)), day("to", today)
	x := &Export{
		Settings: c.Settings, Lang: c.l.lang, Encoding: get("encoding"), URL: c.URL, Now: c.l.now,
		Period: search.Period{From: from, To: to.AddDate(0, 0, 1)},
		By:     search.Grouping{Time: search.Grain(cmp.Or(get("by"), string(search.ByDay))), Of: search.Field(get("of")), Zone: c.l.zone},
	}
	if err := x.Check(); err != nil && len(wrong) == 0 {
		if q, ok := errors.AsType[*search.QueryError](err); ok {
			wrong[q.Part] = c.l.say("form.unknown")
		} else {
			wrong["to"] = c.l.say("figures.wrong", int(longestExport/(24*time.Hour))-1)
		}
	}
	return x, get("brand"), wrong
}

// figuresForFile is figuresAsked of the form by which a file is asked for, which has
// no inputs to say it at.
func (c *call) figuresForFile() (*Export, string, error) {
	x, brand, wrong := c.figuresAsked(c.form)
	for _, text := range wrong {
		return nil, "", &inputError{text}
	}
	return x, brand, nil
}

// countedFor is a viewer of a brand, or of all for which the caller has the right a.
func (c *call) countedFor(a identity.Action, brand string) (search.Viewer, error) {
	brands, all := c.viewer.Brands(a)
	switch {
	case brand != "" && !c.viewer.Can(a, brand), !all && len(brands) == 0:
		return search.Viewer{}, errForbidden
	case brand != "":
		return search.Sees(brand), nil
	case all:
		return search.SeesAllBrands(), nil
	}
	return search.Sees(brands...), nil
}

// figuresOf counts what x asks for, with the right a.
func (c *call) figuresOf(x *Export, a identity.Action, brand string) ([]search.Group, error) {
	v, err := c.countedFor(a, brand)
	if err != nil {
		return nil, err
	}
	return c.Index.Figures(c.ctx, v, x.Period, x.By, x.Now)
}

// documentsFor yields what was published in x's period about a brand, or about all
// for which the caller has the right a.
func (c *call) documentsFor(x *Export, a identity.Action, brand string) error {
	v, err := c.countedFor(a, brand)
	if err != nil {
		return err
	}
	x.Documents = func(ctx context.Context) iter.Seq2[*search.Document, error] {
		return search.All(ctx, c.Index, search.Query{Viewer: v, Published: x.Period})
	}
	x.Case = func(ctx context.Context, d *search.Document) (casework.State, error) {
		return c.Cases.Get(ctx, c.viewer, d.ID)
	}
	return nil
}

// figuresPage shows figures as a table.
func (c *call) figuresPage() error {
	asked := c.r.URL.Query().Get
	x, brand, wrong := c.figuresAsked(asked)
	if len(wrong) > 0 {
		if _, err := c.countedFor(identity.View, brand); err != nil {
			return err
		}
		v := &figuresView{frame: c.frame(c.l.say("nav.figures"), "/figures"), Lead: c.l.say("figures.lead"), Fields: c.figuresFields(x, brand)}
		mark(wrong, v.Fields)
		for i := range v.Fields {
			if f := &v.Fields[i]; f.Error != "" && f.Type == "date" {
				f.Value = asked(f.Name)
			}
		}
		return c.show(http.StatusBadRequest, "figures", "page", v)
	}
	groups, err := c.figuresOf(x, identity.View, brand)
	if err != nil {
		return err
	}
	say := c.l.say
	v := &figuresView{frame: c.frame(say("nav.figures"), "/figures"), Lead: say("figures.lead"), Fields: c.figuresFields(x, brand)}
	for _, f := range v.Fields {
		kept := pair{f.Name, f.Value}
		for _, o := range f.Options {
			if o.On {
				kept.Value = o.Value
			}
		}
		v.Keep = append(v.Keep, kept)
	}
	for _, e := range encodings {
		if !c.viewer.CanSomewhere(identity.Export) {
			break
		}
		v.Codes = append(v.Codes, option{Value: e, Label: say("export.code_" + e)})
	}
	if len(v.Codes) > 0 && c.viewer.CanSomewhere(identity.Lead) && c.viewer.Person() {
		v.History = &historyForm{Unmask: true}
		v.Taken = c.takenOut()
	}
	for _, col := range waitColumns {
		v.Waits = append(v.Waits, say(col.key))
	}
	if x.By.Time != search.WholeTime {
		v.Heads = append(v.Heads, say("figures.by_"+string(x.By.Time)))
	}
	if x.By.Of != "" {
		v.Heads = append(v.Heads, say("figures.of_"+string(x.By.Of)))
	}
	if len(v.Heads) == 0 {
		v.Heads = []string{say("figures.by_all")}
	}
	if x.By.Time == search.ByDay || x.By.Time == search.ByMonth {
		slices.SortStableFunc(groups, func(a, b search.Group) int { return cmp.Compare(b.Time, a.Time) }) // today first
	}
	var sum search.Figures
	for i := range groups {
		g := &groups[i]
		sum.Add(g.Figures)
		if i >= shownGroups {
			continue
		}
		row := c.l.figuresRow(&g.Figures)
		if x.By.Time != search.WholeTime {
			row.Names = append(row.Names, g.Time)
		}
		if x.By.Of != "" {
			row.Names = append(row.Names, c.groupName(x.By.Of, g.Of))
		}
		if len(row.Names) > 0 {
			v.Rows = append(v.Rows, row)
		}
	}
	if sum.Received == 0 { // lines of noughts say nothing
		if v.Notice, err = c.noFigures(brand); err != nil {
			return err
		}
		return c.show(http.StatusOK, "figures", "page", v)
	}
	v.Sum = c.l.figuresRow(&sum)
	if len(groups) > shownGroups {
		v.Notice = &notice{Kind: "info", Text: say("figures.more", shownGroups, len(groups))}
	}
	return c.show(http.StatusOK, "figures", "page", v)
}

// noFigures says why there is nothing to count, and leads to where there is.
func (c *call) noFigures(brand string) (*notice, error) {
	sees, err := c.countedFor(identity.View, brand)
	if err != nil {
		return nil, err
	}
	last, err := c.Index.Search(c.ctx, search.Query{Viewer: sees, Sort: search.Newest, Limit: 1, Uncounted: true})
	switch {
	case err != nil:
		return nil, err
	case len(last.Hits) > 0:
		day := last.Hits[0].PublishedAt.In(c.l.zone)
		q := url.Values{"from": {day.AddDate(0, 0, -29).Format(time.DateOnly)}, "to": {day.Format(time.DateOnly)}}
		if brand != "" {
			q.Set("brand", brand)
		}
		text := c.l.say("figures.last", day.Format(time.DateOnly))
		return &notice{Kind: "empty", Title: c.l.say("figures.empty"), Text: text, Links: []link{{c.l.say("figures.to_last"), "/figures?" + q.Encode()}}}, nil
	case brand != "":
		return &notice{Kind: "empty", Title: c.l.say("figures.none_of", c.brandName(brand)), Links: []link{{c.l.say("figures.of_all"), "/figures"}, {c.l.say("list.first_sources"), "/sources"}}}, nil
	}
	return c.nothingYet(), nil
}

func (l *locale) figuresRow(f *search.Figures) figuresRow {
	r := figuresRow{Rate: share{f.InTime, f.InTime + f.Late + f.Overdue}}
	for _, col := range figureColumns {
		r.Counts = append(r.Counts, countView{l.say(col.key), col.of(f)})
	}
	for _, w := range l.waits(f) {
		v := waitView{Label: w.label}
		if w.of > 0 {
			v.Text = fmt.Sprintf("%d:%02d", w.took/time.Hour, w.took/time.Minute%60)
		}
		r.Waits = append(r.Waits, v)
	}
	return r
}

func (c *call) figuresFields(x *Export, brand string) []field {
	say := c.l.say
	pick := func(name, label, on string, values []string, word func(string) string) field {
		f := field{Name: name, Label: say(label), Type: "select", Plain: true}
		for _, v := range values {
			f.Options = append(f.Options, option{Value: v, Label: word(v), On: v == on})
		}
		return f
	}
	grains, fields, brands := []string{}, []string{""}, []string{""}
	for _, g := range search.Grains {
		grains = append(grains, string(g))
	}
	for _, f := range search.FigureFields {
		fields = append(fields, string(f))
	}
	for _, b := range c.brandOptions(identity.View) {
		brands = append(brands, b.Value)
	}
	out := []field{
		{Name: "from", Label: say("figures.from"), Type: "date", Value: x.Period.From.Format(time.DateOnly), Required: true},
		{Name: "to", Label: say("figures.to"), Type: "date", Value: x.Period.To.AddDate(0, 0, -1).Format(time.DateOnly), Required: true},
		pick("by", "figures.by", string(x.By.Time), grains, func(v string) string { return say("figures.by_" + v) }),
		pick("of", "figures.of", string(x.By.Of), fields, func(v string) string { return say("figures.of_" + v) }),
	}
	if len(brands) > 2 {
		out = append(out, pick("brand", "facet.brand", brand, brands, func(v string) string {
			if v == "" {
				return say("figures.all_brands")
			}
			return c.brandName(v)
		}))
	}
	return out
}

// takenOut is what was taken out last, newest first.
func (c *call) takenOut() []takenView {
	all := slices.DeleteFunc(settings.Exports.List(c.Settings), func(e settings.Export) bool {
		return e.Brand != "" && !c.viewer.Can(identity.Lead, e.Brand)
	})
	slices.SortFunc(all, func(a, b settings.Export) int { return b.At.Compare(a.At) })
	var out []takenView
	for _, e := range all[:min(len(all), 10)] {
		last := e.To.In(c.l.zone).Add(-time.Second)
		v := takenView{By: c.who(e.By), At: c.l.at(e.At), What: c.l.say("export.taken", e.From.In(c.l.zone).Format(time.DateOnly), last.Format(time.DateOnly), number(e.Rows))}
		if e.Brand != "" {
			v.What = c.brandName(e.Brand) + " · " + v.What
		}
		notes := []string{}
		if e.Unmasked {
			notes = append(notes, c.l.say("export.was_unmasked"))
		}
		if e.Withheld > 0 {
			notes = append(notes, c.l.say("export.was_withheld", e.Withheld))
		}
		if e.Replaced > 0 {
			notes = append(notes, c.l.say("export.was_replaced", e.Replaced))
		}
		if !e.Done {
			notes = append(notes, c.l.say("export.was_broken"))
		}
		v.Note = sentence(notes...)
		out = append(out, v)
	}
	return out
}

// exportFigures hands figures out as a file.
func (c *call) exportFigures() error {
	x, brand, err := c.figuresForFile()
	if err != nil {
		return err
	}
	groups, err := c.figuresOf(x, identity.Export, brand)
	if err != nil {
		return err
	}
	c.download(x.file("figures"), x.Encoding)
	_, err = x.Figures(c.w, groups)
	return c.broken(err)
}

// exportHistory hands the handling history out as a file. Who took what is
// written down before the first line leaves.
func (c *call) exportHistory() error {
	if !c.viewer.Person() {
		return errForbidden
	}
	x, brand, err := c.figuresForFile()
	if err != nil {
		return err
	}
	if err := c.documentsFor(x, identity.Lead, brand); err != nil {
		return err
	}
	x.Unmasked = c.form("unmasked") == "yes"
	taken, err := NewExportRecord(c.ctx, c.Settings, c.viewer.Actor(), brand, x)
	if err != nil {
		return err
	}
	c.download(x.file("history"), x.Encoding)
	done, err := x.History(c.ctx, c.w)
	if err != nil {
		return c.broken(err)
	}
	return c.broken(taken.Finish(c.ctx, done))
}

// ExportRecord is the note that is kept of an export.
type ExportRecord struct {
	settings *settings.Store
	of       settings.Export
}

// NewExportRecord writes down that by is about to take out a history.
func NewExportRecord(ctx context.Context, s *settings.Store, by, brand string, x *Export) (*ExportRecord, error) {
	r := &ExportRecord{settings: s, of: settings.Export{
		ID: "e-" + newID()[:14], What: "history", By: by, At: x.Now.UTC(), From: x.Period.From.UTC(), To: x.Period.To.UTC(), Brand: brand, Unmasked: x.Unmasked,
	}}
	return r, settings.Exports.Put(ctx, s, by, r.of.ID, 0, r.of)
}

// Finish adds to the record what left.
func (r *ExportRecord) Finish(ctx context.Context, done Exported) error {
	r.of.Rows, r.of.Replaced, r.of.Withheld, r.of.Done = done.Rows, done.Replaced, done.Withheld, true
	return settings.Exports.Put(ctx, r.settings, r.of.By, r.of.ID, settings.Exports.Version(r.settings, r.of.ID), r.of)
}

// file is what an export is called.
func (x *Export) file(what string) string {
	return fmt.Sprintf("earshot-%s-%s-%s.csv", what, x.Period.From.Format("20060102"), x.Period.To.Add(-time.Second).Format("20060102"))
}

// download announces a sheet.
func (c *call) download(name, encoding string) {
	h := c.w.Header()
	kind := "text/csv; charset=utf-8"
	if encoding == "cp932" {
		kind = "text/csv; charset=windows-31j"
	}
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
}

// broken ends a download that failed under way: the browser must not take what
// came for the whole.
func (c *call) broken(err error) error {
	if err != nil {
		if c.ctx.Err() == nil {
			c.Log.Error("download broken off", "path", c.r.URL.Path, "error", err)
		}
		panic(http.ErrAbortHandler)
	}
	return nil
}
