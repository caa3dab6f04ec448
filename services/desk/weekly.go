package desk

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
)

// viewSample is the queue's view of the weekly sample.
const viewSample = "sample"

// weekly is the sample of last week, drawn at its first use in each week. It is
// kept nowhere: the week, the archive and the installation's key give it again.
type weekly struct {
	mu    sync.Mutex
	week  string
	drawn []casework.Drawn
	done  map[mention.ID]bool // judged through this process; the index may not know yet
	// drawing is closed when the draw that is under way has ended; nil when none
	// is.
	drawing chan struct{}
	failed  error // of the last draw
}

// drawTime bounds a draw: thousands of messages may have to be looked at.
const drawTime = time.Minute

func (w *weekly) mark(id mention.ID, done bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done == nil {
		w.done = map[mention.ID]bool{}
	}
	w.done[id] = done
}

// sample is the sample of the week before now. Its draw goes on when ctx ends.
func (d *Desk) sample(ctx context.Context, now time.Time) ([]casework.Drawn, error) {
	last := casework.Monday(now).AddDate(0, 0, -7)
	week := casework.SampleOf(last, casework.SampleAny).Week()
	w := &d.weekly
	w.mu.Lock()
	if w.week == week {
		defer w.mu.Unlock()
		return w.drawn, nil
	}
	if w.drawing == nil {
		w.drawing = make(chan struct{})
		go d.draw(context.WithoutCancel(ctx), last, week)
	}
	drawing := w.drawing
	w.mu.Unlock()
	select {
	case <-drawing:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.drawn, w.failed
}

func (d *Desk) draw(ctx context.Context, last time.Time, week string) {
	ctx, cancel := context.WithTimeout(ctx, drawTime)
	defer cancel()
	drawn, err := casework.DrawSample(ctx, d.Bus, d.Signer.Derive("weekly sample"), last)
	w := &d.weekly
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed = err; err == nil {
		w.week, w.drawn, w.done = week, drawn, nil
	}
	close(w.drawing)
	w.drawing = nil
}

// sampleItem is a mention of the sample.
type sampleItem struct {
	casework.Drawn
	doc  search.Document
	done bool
}

// sampleItems are the mentions of the sample that the caller may judge, and how
// many of them nobody has.
func (c *call) sampleItems(ctx context.Context) (items []sampleItem, left int, err error) {
	if !c.viewer.CanSomewhere(identity.Handle) || !c.viewer.Person() {
		return nil, 0, nil
	}
	drawn, err := c.sample(ctx, c.l.now)
	if err != nil {
		return nil, 0, err
	}
	mine := map[mention.ID]casework.Drawn{}
	var ids []mention.ID
	for _, d := range drawn {
		if c.viewer.Can(identity.Handle, d.Brand) {
			mine[d.ID], ids = d, append(ids, d.ID)
		}
	}
	if len(ids) == 0 {
		return nil, 0, nil
	}
	docs, err := c.Index.Get(ctx, c.sees(), ids...)
	if err != nil {
		return nil, 0, err
	}
	for i := range docs {
		it := sampleItem{Drawn: mine[docs[i].ID], doc: docs[i]}
		if it.doc.Content() == "" {
			continue // erased
		}
		it.done = c.sampleDone(&it)
		if !it.done {
			left++
		}
		items = append(items, it)
	}
	return items, left, nil
}

// sampleDone tells whether somebody has judged a mention for this sample.
func (c *call) sampleDone(it *sampleItem) bool {
	c.weekly.mu.Lock()
	defer c.weekly.mu.Unlock()
	if done, ok := c.weekly.done[it.ID]; ok {
		return done
	}
	for _, tag := range it.doc.Tags {
		if tag == it.Sample.Tag() {
			return true
		}
	}
	return false
}

// sampled is the place of a case in this week's sample, if it waits there to be
// judged by the caller; else it is empty.
func (c *call) sampled(s *casework.State) (casework.Sample, error) {
	if !c.viewer.Can(identity.Handle, s.Mention.Brand) || s.ReadOnly != "" || s.Redacted || s.Mention.Content() == "" {
		return "", nil
	}
	drawn, err := c.sample(c.ctx, c.l.now)
	if err != nil {
		return "", err
	}
	for _, d := range drawn {
		if d.ID != s.ID {
			continue
		}
		for _, j := range s.Judgements {
			if j.Sample.Week() == d.Sample.Week() {
				return "", nil
			}
		}
		return d.Sample, nil
	}
	return "", nil
}

// sampleView is the queue's view of the sample.
func (c *call) sampleView(a asked) error {
	say := c.l.say
	v := &queueView{frame: c.frame(say("nav.queue"), "/queue"), Sample: true}
	v.Wide = true
	v.Back = "/queue?view=" + viewSample
	v.Path = v.Back
	items, left, err := c.sampleItems(c.ctx)
	if err != nil {
		return err
	}
	v.Left = say("sample.left", left, len(items))
	v.Tabs = c.tabs(a)
	open := mention.ID(a.values.Get("case"))
	for i := range items {
		row := c.sampleRow(&items[i].doc, items[i].done)
		row.Open = items[i].ID == open
		v.List.Rows = append(v.List.Rows, row)
	}
	if len(items) == 0 {
		v.Left = ""
		v.List.Notice = &notice{Kind: "empty", Title: say("sample.none"), Text: say("sample.none_text")}
	}
	if open != "" && c.part() == "" {
		s, err := c.Cases.Get(c.ctx, c.viewer, open)
		if err != nil {
			return err
		}
		o, err := c.blind(&s, caseOptions{back: v.Back})
		if err != nil {
			return err
		}
		v.Case = c.caseOf(&s, o)
	}
	if c.part() == "list" {
		return c.show(http.StatusOK, "queue", "part-list", v)
	}
	return c.show(http.StatusOK, "queue", "page", v)
}

// blind makes o hide the verdict of a case that waits in the sample, where the
// address says that it was opened from there.
func (c *call) blind(s *casework.State, o caseOptions) (caseOptions, error) {
	if c.r.URL.Query().Get("view") != viewSample {
		return o, nil
	}
	o.back = "/queue?view=" + viewSample
	due, err := c.sampled(s)
	if err != nil || due == "" {
		return o, err
	}
	o.sample, o.labels = due, &typedLabels{}
	return o, nil
}

// sampleRow is a mention of the sample as a line that tells nothing of its
// verdict.
func (c *call) sampleRow(d *search.Document, done bool) rowView {
	r := rowView{
		ID: string(d.ID), Pick: c.viewer.Can(identity.Handle, d.Brand), Href: "/queue?view=" + viewSample + "&case=" + string(d.ID), Lang: langOf(d.Lang), Author: authorOf(d.AuthorHandle, d.AuthorName),
		Platform: d.Platform, PlatformName: c.platform(d.Platform), At: c.l.at(d.PublishedAt), Story: 1, Media: d.MediaN,
		Text: excerpt(d.Content(), nil), Intent: c.l.say("sample.open"), Seen: done, Waits: !done,
	}
	if done {
		r.Intent = c.l.say("sample.done")
	}
	if len(c.brandOptions(identity.View)) > 1 {
		r.Brand = c.brandName(d.Brand)
	}
	return r
}

// fromSample tells whether a request came from the view of the sample.
func (c *call) fromSample() bool {
	return c.r.URL.Query().Get("view") == viewSample || c.r.Method == http.MethodPost && strings.HasPrefix(c.form("back"), "/queue?view="+viewSample)
}
