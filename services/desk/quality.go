package desk

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/classify"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
)

// qualityView shows what people's judgements say of the verdicts.
type qualityView struct {
	frame
	Notice *notice
	Tabs   []chip  // periods
	Facets []facet // brand, language
	Judged int
	Same   int // of them, right as they were
	Small  bool
	Alarms *countLink // "should not have woken me"
	Rows   []qualityRow
	Labels []qualityRow
	Sample *qualitySample
}

// qualitySample are the figures of the weekly sample.
type qualitySample struct {
	Weeks, Judged, Any int
	Rows               []qualityRow
	Labels             []qualityRow
}

// qualityRow is one label with its figures.
type qualityRow struct {
	Label  string
	Page   bool
	Share  share // of what was told, how much was right
	Wrong  countLink
	Missed countLink
	Moved  countLink // right, by other words
	Rate   share     // of what was drawn at random, how much was missed
	Langs  []share
}

// countLink is a figure with the way to the cases behind it.
type countLink struct {
	N    int
	Href string
}

// few is how many cases a percentage wants.
const few = 10

// share is a part of something, with its 95 % interval.
type share struct{ N, Of int }

func (s share) Few() bool { return s.Of < few }

// P is the share; Low and High are the ends of its interval.
func (s share) P() float64    { return float64(s.N) / float64(max(s.Of, 1)) }
func (s share) Low() float64  { low, _ := classify.Interval(s.N, s.Of); return low }
func (s share) High() float64 { _, high := classify.Interval(s.N, s.Of); return high }

// From, To and At are the interval and the share on a line of 100.
func (s share) From() string { return place(s.Low()) }
func (s share) To() string   { return place(s.High()) }
func (s share) At() string   { return place(s.P()) }

func place(p float64) string { return strconv.FormatFloat(p*100, 'f', 1, 64) }

func (s *share) add(right bool) {
	s.Of++
	if right {
		s.N++
	}
}

// judgedCache keeps the judgements of cases as their events had them when the
// index last named them, so that a page needs to read only what is new.
type judgedCache struct {
	mu sync.Mutex
	of map[mention.ID]judgedCase
}

type judgedCase struct {
	id         mention.ID
	at         [2]uint64 // last event and snapshot that were read
	brand      string
	judgements []casework.Judgement
}

// judgedCases are all cases that somebody judged, of the brands whose quality
// the caller may see.
func (c *call) judgedCases() ([]judgedCase, error) {
	brands, all := c.viewer.Brands(identity.Quality)
	viewer := search.SeesAllBrands()
	if !all {
		viewer = search.Sees(brands...)
	}
	q := search.Query{Viewer: viewer, Where: map[search.Field][]string{search.FieldTag: {casework.TagJudged}}, Sort: search.Newest, Limit: search.MaxLimit}
	var found []search.Document
	for {
		res, err := c.Index.Search(c.ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range res.Hits {
			found = append(found, res.Hits[i].Document)
		}
		if q.Cursor = res.Next; q.Cursor == "" {
			break
		}
	}
	out := make([]judgedCase, len(found))
	g, ctx := errgroup.WithContext(c.ctx)
	g.SetLimit(8)
	for i := range found {
		g.Go(func() (err error) {
			out[i], err = c.figures.read(ctx, c.Cases, &found[i])
			return err
		})
	}
	return out, g.Wait()
}

func (k *judgedCache) read(ctx context.Context, cases *casework.Store, d *search.Document) (judgedCase, error) {
	at := [2]uint64{d.CaseSeq, d.Archived}
	k.mu.Lock()
	have, ok := k.of[d.ID]
	k.mu.Unlock()
	if ok && have.at == at {
		return have, nil
	}
	s, err := cases.Get(ctx, identity.System(), d.ID)
	if err != nil {
		return judgedCase{}, err
	}
	have = judgedCase{d.ID, at, s.Mention.Brand, s.Judgements}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of == nil {
		k.of = map[mention.ID]judgedCase{}
	}
	k.of[d.ID] = have
	return have, nil
}

// periods are the days that figures can be asked for.
var periods = []int{7, 30, 90, 365}

// scope is what figures are asked of.
type scope struct {
	days        int
	brand, lang string
}

func (c *call) scope() scope {
	q := c.r.URL.Query()
	s := scope{days: 30, brand: q.Get("brand"), lang: q.Get("lang")}
	if d, err := strconv.Atoi(q.Get("days")); err == nil && slices.Contains(periods, d) {
		s.days = d
	}
	return s
}

func (s scope) query() url.Values {
	q := url.Values{"days": {strconv.Itoa(s.days)}}
	if s.brand != "" {
		q.Set("brand", s.brand)
	}
	if s.lang != "" {
		q.Set("lang", s.lang)
	}
	return q
}

// verdictJudged is one judgement that counts.
type verdictJudged struct {
	casework.Judgement
	id    mention.ID
	brand string
	alarm bool // of the page alone: it should not have woken somebody
}

// gathered is what people said within the scope: the last word on each case, and
// beside it what was said blind for a sample.
type gathered struct {
	last, sampled []verdictJudged
	alarms        int
}

func (c *call) gather(s scope) (*gathered, error) {
	cases, err := c.judgedCases()
	if err != nil {
		return nil, err
	}
	since := c.l.now.AddDate(0, 0, -s.days)
	out := &gathered{}
	fits := func(v *verdictJudged) bool {
		return !v.At.Before(since) && (s.brand == "" || v.brand == s.brand) && (s.lang == "" || v.Told.Lang == s.lang)
	}
	alarms := map[mention.ID]*escalation.State{}
	for _, e := range c.Board.All(wrongPage) {
		if c.viewer.Can(identity.Quality, e.Brand) {
			alarms[e.Mention] = &e
		}
	}
	for _, k := range cases {
		for i, j := range k.judgements {
			v := verdictJudged{Judgement: j, id: k.id, brand: k.brand}
			if !fits(&v) {
				continue
			}
			if j.Sample != "" && !slices.ContainsFunc(k.judgements[i+1:], func(o casework.Judgement) bool { return o.Sample == j.Sample }) {
				out.sampled = append(out.sampled, v)
			}
			if i < len(k.judgements)-1 {
				continue
			}
			// Whoever was woken has the last word on that.
			if a := alarms[k.id]; a != nil && a.FalseAlarm.At.After(j.At) {
				v.Labels.Page = false
			}
			out.last = append(out.last, v)
		}
	}
	for id, e := range alarms {
		v := verdictJudged{id: id, brand: e.Brand, alarm: true}
		v.At, v.By = e.FalseAlarm.At, e.FalseAlarm.By
		v.Told = mention.Verdict{Lang: e.Lang, Page: true}
		if !fits(&v) {
			continue
		}
		out.alarms++
		if !slices.ContainsFunc(out.last, func(o verdictJudged) bool { return o.id == id }) {
			out.last = append(out.last, v)
		}
	}
	return out, nil
}

// pageLabel stands for whether PR must see it, beside the categories of risk.
const pageLabel = "page"

// on tells how the verdict did on a label.
func (v *verdictJudged) on(label string) casework.How {
	switch {
	case label == pageLabel:
		return v.OnPage()
	case v.alarm:
		return ""
	}
	return v.Judgement.On(mention.Category(label))
}

// is tells whether v is one of the cases behind a figure.
func (v *verdictJudged) is(label, what string) bool {
	switch what {
	case "moved":
		return !v.alarm && v.WordsMoved(mention.Category(label))
	case "told":
		h := v.on(label)
		return h == casework.Right || h == casework.Wrong
	case "sentiment":
		return !v.alarm && v.Told.Sentiment != v.Labels.Sentiment
	case "intent":
		return !v.alarm && v.Told.Intent != v.Labels.Intent
	case "disposition":
		return !v.alarm && v.Told.Disposition != v.Labels.Disposition
	}
	return string(v.on(label)) == what
}

// riskLabels are the labels that have figures of their own.
func riskLabels() []string {
	out := []string{pageLabel}
	for _, cat := range mention.Categories {
		out = append(out, string(cat))
	}
	return out
}

var figureLangs = []string{"ja", "en"}

// rows are the figures of every label over some judgements.
func (c *call) qualityRows(of []verdictJudged, s scope, sample bool) (rows, labels []qualityRow) {
	to := func(label, what string, n int) countLink {
		if n == 0 {
			return countLink{}
		}
		q := s.query()
		q.Set("label", label)
		q.Set("what", what)
		if sample {
			q.Set("sample", "yes")
		}
		return countLink{n, "/quality/cases?" + q.Encode()}
	}
	for _, label := range riskLabels() {
		r := qualityRow{Label: c.labelName(label), Page: label == pageLabel, Langs: make([]share, len(figureLangs))}
		wrong, missed, moved := 0, 0, 0
		for i := range of {
			v := &of[i]
			h := v.on(label)
			if h == casework.Right || h == casework.Wrong {
				r.Share.add(h == casework.Right)
				if l := slices.Index(figureLangs, v.Told.Lang); l >= 0 {
					r.Langs[l].add(h == casework.Right)
				}
			}
			if h == casework.Wrong {
				wrong++
			}
			if h == casework.Missed {
				missed++
			}
			if !r.Page && v.is(label, "moved") {
				moved++
			}
			if v.Sample.Part() == casework.SampleAny {
				r.Rate.add(h == casework.Missed)
			}
		}
		r.Wrong, r.Missed, r.Moved = to(label, "wrong", wrong), to(label, "missed", missed), to(label, "moved", moved)
		if r.Share.Of+missed > 0 || r.Page {
			rows = append(rows, r)
		}
	}
	for _, what := range []string{"sentiment", "intent", "disposition"} {
		r := qualityRow{Label: c.l.say("verdict." + what), Langs: make([]share, len(figureLangs))}
		for i := range of {
			v := &of[i]
			if v.alarm || sample && v.Sample.Part() != casework.SampleAny {
				continue
			}
			right := !v.is("", what)
			r.Share.add(right)
			if l := slices.Index(figureLangs, v.Told.Lang); l >= 0 {
				r.Langs[l].add(right)
			}
		}
		r.Wrong = to("", what, r.Share.Of-r.Share.N)
		labels = append(labels, r)
	}
	return rows, labels
}

func (c *call) labelName(label string) string {
	if label == pageLabel {
		return c.l.say("quality.page")
	}
	return c.l.say("risk." + label)
}

// quality is the page of figures.
func (c *call) quality() error {
	s, say := c.scope(), c.l.say
	g, err := c.gather(s)
	if err != nil {
		return err
	}
	v := &qualityView{frame: c.frame(say("nav.quality"), "/quality")}
	for _, d := range periods {
		v.Tabs = append(v.Tabs, chip{Label: say("quality.days", d), Href: withQuery(c.r.URL, map[string]string{"days": strconv.Itoa(d)}), On: d == s.days})
	}
	v.Facets = c.qualityFacets(s)
	for i := range g.last {
		if j := &g.last[i]; !j.alarm {
			v.Judged++
			if j.Same() {
				v.Same++
			}
		}
	}
	if len(g.last) == 0 {
		v.Notice = &notice{Kind: "empty", Title: say("quality.none"), Text: say("quality.none_text")}
		return c.show(http.StatusOK, "quality", "page", v)
	}
	v.Small = v.Judged < 100
	if g.alarms > 0 {
		q := s.query()
		q.Set("what", "alarm")
		v.Alarms = &countLink{g.alarms, "/quality/cases?" + q.Encode()}
	}
	v.Rows, v.Labels = c.qualityRows(g.last, s, false)
	if len(g.sampled) > 0 {
		v.Sample = &qualitySample{Judged: len(g.sampled)}
		weeks := map[string]bool{}
		for i := range g.sampled {
			weeks[g.sampled[i].Sample.Week()] = true
			if g.sampled[i].Sample.Part() == casework.SampleAny {
				v.Sample.Any++
			}
		}
		v.Sample.Weeks = len(weeks)
		v.Sample.Rows, v.Sample.Labels = c.qualityRows(g.sampled, s, true)
	}
	return c.show(http.StatusOK, "quality", "page", v)
}

// qualityFacets narrow the figures to a brand or a language.
func (c *call) qualityFacets(s scope) []facet {
	lang := facet{Name: "lang", Label: c.l.say("facet.lang")}
	one := func(f *facet, value, label, now string) {
		to := value
		if value == now {
			to = ""
		}
		f.Chips = append(f.Chips, chip{Label: label, Href: withQuery(c.r.URL, map[string]string{f.Name: to}), On: value == now})
	}
	for _, l := range figureLangs {
		one(&lang, l, c.l.say("lang."+l), s.lang)
	}
	brand := facet{Name: "brand", Label: c.l.say("facet.brand")}
	for _, b := range c.brandOptions(identity.Quality) {
		one(&brand, b.Value, b.Label, s.brand)
	}
	if len(brand.Chips) < 2 {
		return []facet{lang}
	}
	return []facet{brand, lang}
}

// qualityCasesView lists the cases behind a figure.
type qualityCasesView struct {
	frame
	Back  link
	Lead  string
	List  listView
	Erase int // of them, erased since
}

// maxBehind is how many cases behind a figure are listed, the latest first.
const maxBehind = 200

// qualityCases lists the cases behind a figure.
func (c *call) qualityCases() error {
	s, q, say := c.scope(), c.r.URL.Query(), c.l.say
	label, what := q.Get("label"), q.Get("what")
	if !slices.Contains([]string{"told", "wrong", "missed", "moved", "alarm", "sentiment", "intent", "disposition"}, what) ||
		label != "" && !slices.Contains(riskLabels(), label) {
		return errNotFound
	}
	g, err := c.gather(s)
	if err != nil {
		return err
	}
	of := g.last
	if q.Get("sample") != "" {
		of = g.sampled
	}
	of = slices.DeleteFunc(slices.Clone(of), func(v verdictJudged) bool {
		if what == "alarm" {
			return c.falseAlarm(v.id) == nil
		}
		return !v.is(label, what)
	})
	slices.SortFunc(of, func(a, b verdictJudged) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.id, b.id)) })
	var ids []mention.ID
	for i := range of[:min(len(of), maxBehind)] {
		ids = append(ids, of[i].id)
	}
	v := &qualityCasesView{Back: link{say("nav.quality"), "/quality?" + s.query().Encode()}}
	title := say("quality.what_" + what)
	if label != "" {
		title = c.labelName(label) + ": " + title
	}
	v.frame = c.frame(title, "/quality")
	v.Lead = say("quality.days", s.days)
	if len(ids) > 0 {
		docs, err := c.Index.Get(c.ctx, c.sees(), ids...)
		if err != nil {
			return err
		}
		for i := range docs {
			if docs[i].Content() == "" {
				v.Erase++
				continue
			}
			v.List.Rows = append(v.List.Rows, c.row(&search.Hit{Document: docs[i]}, "/cases/"+string(docs[i].ID)))
		}
	}
	if len(v.List.Rows) == 0 {
		v.List.Notice = &notice{Kind: "empty", Title: say("quality.no_cases")}
	}
	return c.show(http.StatusOK, "judged", "page", v)
}
