package desk

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

// coverageDays are the times that coverage is shown for.
var coverageDays = []int{7, 30}

// heardOf is how a source fares and when it was not heard.
func (c *call) heardOf(s settings.Source) (p source.Progress, cov source.Coverage, err error) {
	if _, err = bus.Cursors.Get(c.ctx, c.Bus, source.ProgressKey(s.ID), &p); err == nil || errors.Is(err, bus.ErrNotFound) {
		_, err = bus.Cursors.Get(c.ctx, c.Bus, source.CoverageKey(s.ID), &cov)
	}
	if errors.Is(err, bus.ErrNotFound) {
		err = nil
	}
	if !s.Off {
		cov = cov.At(&p, c.l.now)
	}
	return p, cov, err
}

// days is for how long coverage is asked for.
func (c *call) days() int {
	if n := atoi(c.r.URL.Query().Get("days")); slices.Contains(coverageDays, n) {
		return n
	}
	return coverageDays[0]
}

func (c *call) coverageTabs(path string, on int) []chip {
	var tabs []chip
	for _, n := range coverageDays {
		tabs = append(tabs, chip{Label: c.l.say("coverage.days", n), Href: path + "?days=" + strconv.Itoa(n) + "#coverage", On: n == on})
	}
	return tabs
}

// share is how much of the time in which a source was to be heard it was, at
// once or later, and how long it was missed. Ok is false when nothing is known.
func shareOf(stretches []source.Stretch) (heard float64, missed, late time.Duration, ok bool) {
	var of time.Duration
	for _, s := range stretches {
		d := s.To.Sub(s.From)
		switch s.Way {
		case source.Missed:
			missed += d
		case source.Late:
			late += d
		case source.Whole:
		default:
			continue
		}
		of += d
	}
	if of <= 0 {
		return 0, 0, 0, false
	}
	return 1 - missed.Seconds()/of.Seconds(), missed, late, true
}

// stripWidth is the strip's, in its own units; a stretch is at least as wide as
// can be seen.
const (
	stripWidth = 1000.0
	stripLeast = 3.0
)

// strip is the coverage of a source over the last days.
func (l *locale) strip(cov source.Coverage, days int) coverageRow {
	from := l.now.Add(-time.Duration(days) * 24 * time.Hour)
	stretches := cov.Over(from, l.now)
	var r coverageRow
	for _, s := range stretches {
		if s.Way == source.Whole {
			continue // the ground
		}
		scale := stripWidth / l.now.Sub(from).Seconds()
		x, w := s.From.Sub(from).Seconds()*scale, max(s.To.Sub(s.From).Seconds()*scale, stripLeast)
		x = min(x, stripWidth-w)
		r.Strip = append(r.Strip, stripPart{Way: string(s.Way), X: strconv.FormatFloat(x, 'f', 1, 64), W: strconv.FormatFloat(w, 'f', 1, 64)})
	}
	// What was missed lies above what was not, however narrow.
	slices.SortStableFunc(r.Strip, func(a, b stripPart) int { return stripOrder[a.Way] - stripOrder[b.Way] })
	heard, missed, late, ok := shareOf(stretches)
	if !ok {
		r.Share, r.Text = "–", l.say("coverage.unknown")
		return r
	}
	tenths := int(heard * 1000) // never rounded up to all
	r.Share = strconv.Itoa(tenths/10) + "." + strconv.Itoa(tenths%10) + "%"
	if tenths == 1000 {
		r.Share = "100%"
	}
	r.Text = l.say("coverage.heard", r.Share)
	if missed > 0 {
		r.Missed = l.span(missed)
		r.Text += " " + l.say("coverage.missed", r.Missed)
	}
	if late > 0 {
		r.Text += " " + l.say("coverage.late", l.span(late))
	}
	return r
}

var stripOrder = map[string]int{string(source.Unknown): 0, string(source.Idle): 1, string(source.Late): 2, string(source.Missed): 3}

// shownOutages is how many outages the page of a source lists.
const shownOutages = 20

// outages are those of the last days, newest first.
func (l *locale) outages(cov source.Coverage, days int) []outageView {
	from := l.now.Add(-time.Duration(days) * 24 * time.Hour)
	all := slices.Clone(cov.Outages)
	slices.SortStableFunc(all, func(a, b source.Outage) int { return b.From.Compare(a.From) })
	var out []outageView
	for _, o := range all {
		if !o.To.IsZero() && o.To.Before(from) || len(out) == shownOutages {
			continue
		}
		v := outageView{From: l.at(o.From), To: l.at(o.To), Cause: l.say("outage.cause_" + string(o.Cause)), Trouble: l.trouble(o.Trouble, o.Why, time.Time{}), State: string(o.State()), StateName: l.say("outage." + string(o.State()))}
		end := o.To
		if end.IsZero() {
			end = l.now
		}
		v.Span = l.span(end.Sub(o.From))
		out = append(out, v)
	}
	return out
}

// line is whether mentions get through, by the canaries; nil when none are sent.
func (c *call) line() *lineView {
	var y source.Canary
	if _, err := bus.Cursors.Get(c.ctx, c.Bus, source.CanaryKey, &y); err != nil {
		if !errors.Is(err, bus.ErrNotFound) {
			c.Log.Warn("how canaries fare is not read", "error", err)
		}
		return nil
	}
	return c.l.line(&y)
}

func (l *locale) line(y *source.Canary) *lineView {
	if y.Every <= 0 {
		return nil
	}
	v := &lineView{State: "ok", Back: l.at(y.Back), Every: l.span(y.Every)}
	half, ok := y.Quantile(.5)
	most, _ := y.Quantile(.99)
	if ok {
		v.Took, v.Half, v.Most = l.span(y.Took), l.span(half), l.span(most)
	}
	v.Of, v.Lost = len(y.Runs), y.Lost(l.now)
	switch {
	case y.Overdue(time.Time{}, l.now):
		v.State = "failing"
	case !ok:
		v.State = "waiting"
	}
	v.StateName = l.say("line." + v.State)
	return v
}

// apiLine is how the canaries fare, in answers of the API.
type apiLine struct {
	LastArrival *time.Time `json:"last_arrival,omitempty"`
	LastSeconds float64    `json:"last_seconds"`
	P50Seconds  float64    `json:"p50_seconds"`
	P99Seconds  float64    `json:"p99_seconds"`
	Sent        int        `json:"sent"` // in the last 24 hours
	Lost        int        `json:"lost"`
	Stands      bool       `json:"stands_still"`
}

func (c *call) apiLine() *apiLine {
	var y source.Canary
	if _, err := bus.Cursors.Get(c.ctx, c.Bus, source.CanaryKey, &y); err != nil || y.Every <= 0 {
		return nil
	}
	half, _ := y.Quantile(.5)
	most, _ := y.Quantile(.99)
	return &apiLine{timeOrNil(y.Back), y.Took.Seconds(), half.Seconds(), most.Seconds(), len(y.Runs), y.Lost(c.l.now), y.Overdue(time.Time{}, c.l.now)}
}

// apiSource is a source in answers of the API.
type apiSource struct {
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	Kind        string      `json:"kind"`
	Brand       string      `json:"brand,omitempty"`
	Account     string      `json:"account,omitempty"` // by the platform's name
	State       string      `json:"state"`
	LastSuccess *time.Time  `json:"last_success,omitempty"`
	LastItem    *time.Time  `json:"last_item,omitempty"`
	LagSeconds  float64     `json:"lag_seconds"`
	NextTry     *time.Time  `json:"next_try,omitempty"`
	Error       string      `json:"error,omitempty"`
	Quota       *apiQuota   `json:"quota,omitempty"`
	Heard       *float64    `json:"heard,omitempty"` // share of the last days
	KnownSince  *time.Time  `json:"known_since,omitempty"`
	Outages     []apiOutage `json:"outages"`
	Duties      apiDuties   `json:"duties"`
}

type apiQuota struct {
	Limit     int        `json:"limit"`
	Remaining int        `json:"remaining"`
	Reset     *time.Time `json:"reset,omitempty"`
}

type apiOutage struct {
	From  time.Time          `json:"from"`
	To    *time.Time         `json:"to,omitempty"`
	Cause source.Cause       `json:"cause"`
	Why   string             `json:"why,omitempty"`
	State source.OutageState `json:"state"`
}

type apiDuties struct {
	RetentionSeconds int64  `json:"retention_seconds,omitempty"`
	Deletions        string `json:"deletions"`
	MayTrain         bool   `json:"may_train"`
	MayLeave         bool   `json:"may_leave"`
}

// apiSources tells how the sources fare and when they were not heard.
func (c *call) apiSources() error {
	out := []apiSource{}
	for _, s := range c.visibleSources() {
		p, cov, err := c.heardOf(s)
		if err != nil {
			return err
		}
		kind, _ := source.Named(s.Kind)
		a := apiSource{
			ID: s.ID, Name: s.Name, Kind: s.Kind, Brand: s.Brand, Account: p.Account, State: stateOf(s, p, c.l.now), LastSuccess: timeOrNil(p.Success), LastItem: timeOrNil(p.Item),
			LagSeconds: p.Lag().Seconds(), NextTry: timeOrNil(p.Next), Error: p.Error, KnownSince: timeOrNil(cov.Since), Outages: []apiOutage{},
			Duties: apiDuties{int64(kind.Duties.Retention.Seconds()), kind.Duties.Deletions, kind.Duties.MayTrain, kind.Duties.MayLeave},
		}
		if p.Quota > 0 {
			a.Quota = &apiQuota{p.Quota, p.Left, timeOrNil(p.Reset)}
		}
		from := c.l.now.Add(-time.Duration(c.days()) * 24 * time.Hour)
		if heard, _, _, ok := shareOf(cov.Over(from, c.l.now)); ok {
			a.Heard = &heard
		}
		for _, o := range cov.Outages {
			if o.To.IsZero() || o.To.After(from) {
				a.Outages = append(a.Outages, apiOutage{o.From, timeOrNil(o.To), o.Cause, o.Why, o.State()})
			}
		}
		out = append(out, a)
	}
	return c.json(http.StatusOK, map[string]any{"sources": out, "days": c.days(), "line": c.apiLine()})
}

// visibleSources are those that the caller may know of.
func (c *call) visibleSources() []settings.Source {
	return slices.DeleteFunc(settings.Sources.List(c.Settings), func(s settings.Source) bool {
		return s.Brand != "" && !c.viewer.Can(identity.View, s.Brand)
	})
}
