package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/classify"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
	"github.com/earshot/earshot/pkg/text"
)

type correctionsOptions struct {
	brand string
	days  int
}

var correctionsCommand = command{
	name:  "corrections",
	short: "Write what people said of the labels of mentions, for earshot train",
	long: `One JSON object a line for each mention whose labels somebody judged in the desk: its
text, and sentiment, intent, disposition, risks with their words and whether it pages, as
people say. Mentions found right as they were are among them: they teach as well. Of one
of which somebody only said that it should not have woken them, the risks are unknown
(null). Authors are not written.

Left out, and counted on standard error, is what a platform forbids to train on, what was
erased, and what has another text by now.

  earshot corrections > own.jsonl
  earshot train --own own.jsonl`,
	flags: func(c *call) {
		o := &correctionsOptions{}
		c.opts = o
		c.fs.StringVar(&o.brand, "brand", "", "`ID` of a brand; default all")
		c.fs.IntVar(&o.days, "since", 0, "only what was said in the last `DAYS`; default all")
	},
	run: corrections,
}

func corrections(ctx context.Context, c *call) error {
	o := c.opts.(*correctionsOptions)
	if o.days < 0 {
		return usageError("--since: want a number of days")
	}
	l, err := c.reach(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	if _, ok := settings.Brands.Get(l.settings, o.brand); o.brand != "" && !ok {
		return noBrand("--brand", o.brand)
	}
	x := &correcting{out: json.NewEncoder(c.out), brand: o.brand, left: map[string]int{}, settings: l.settings, alarms: map[mention.ID]alarm{}}
	x.out.SetEscapeHTML(false)
	if o.days > 0 {
		x.since = time.Now().AddDate(0, 0, -o.days)
	}
	if err := x.readAlarms(ctx, l); err != nil {
		return err
	}
	if err := casework.EachJudged(ctx, l.bus, x.judged); err != nil {
		return err
	}
	if err := x.onlyAlarms(ctx, l); err != nil {
		return err
	}
	x.report(c.err)
	return nil
}

// correcting writes corrections, and counts what it leaves out and why.
type correcting struct {
	out      *json.Encoder
	brand    string
	since    time.Time
	settings *settings.Store
	alarms   map[mention.ID]alarm
	written  int
	left     map[string]int
}

// alarm is the word of whoever said that a mention should not have woken them.
type alarm struct {
	opened, said time.Time
	brand        string
}

// readAlarms finds the mentions of which somebody said that the page, which a
// verdict caused, should not have woken them.
func (x *correcting) readAlarms(ctx context.Context, l *link) error {
	follow, stop := context.WithCancel(ctx)
	defer stop()
	board, err := escalation.OpenBoard(follow, l.bus, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	for _, e := range board.All(nil) {
		if e.FalseAlarm != nil && e.Origin == escalation.ByVerdict && e.Mention != "" {
			x.alarms[e.Mention] = alarm{e.OpenedAt, e.FalseAlarm.At, e.Brand}
		}
	}
	return nil
}

// judged writes a case that somebody judged, if that is wanted and allowed.
func (x *correcting) judged(s *casework.State) error {
	last := &s.Judgements[len(s.Judgements)-1]
	a, alarmed := x.alarms[s.ID]
	delete(x.alarms, s.ID)
	if x.brand != "" && s.Mention.Brand != x.brand || last.At.Before(x.since) && a.said.Before(x.since) {
		return nil
	}
	j := s.Judged()
	switch {
	case s.Redacted:
		x.left["erased"]++
		return nil
	case j == nil:
		x.left["another text by now"]++
		return nil
	}
	out := labelledOf(&s.Mention, &s.Verdict)
	out.Sentiment, out.Intent, out.Disposition = j.Labels.Sentiment, j.Labels.Intent, j.Labels.Disposition
	out.Page = j.Labels.Page && (!alarmed || j.At.After(a.said))
	out.Risk = []classify.Span{}
	for _, r := range j.Labels.Risks {
		out.Risk = append(out.Risk, classify.Span{Category: r.Category, Rung: r.Rung, Start: r.Start, End: r.End})
	}
	for _, r := range s.Verdict.Risks {
		if !j.Labels.Has(r.Category) && !slices.Contains(out.Not, r.Category) {
			out.Not = append(out.Not, r.Category)
		}
	}
	return x.write(&s.Mention, &out)
}

// onlyAlarms writes the mentions of which nobody said more than that they should
// not have woken them.
func (x *correcting) onlyAlarms(ctx context.Context, l *link) error {
	untouched := map[mention.ID]mention.Tagged{}
	var from time.Time
	for _, id := range slices.Sorted(maps.Keys(x.alarms)) {
		a := x.alarms[id]
		if a.said.Before(x.since) || x.brand != "" && a.brand != x.brand {
			continue
		}
		events, _, err := casework.Events().Read(ctx, l.bus, string(id))
		if err != nil {
			return err
		}
		if len(events) == 0 {
			untouched[id] = mention.Tagged{}
			if from.IsZero() || a.opened.Before(from) {
				from = a.opened
			}
			continue
		}
		s := casework.Fold(id, events)
		out := labelledOf(&s.Mention, &s.Verdict)
		if err := x.write(&s.Mention, &out); err != nil {
			return err
		}
	}
	if len(untouched) == 0 {
		return nil
	}
	// They were archived before they paged, and not long before.
	err := bus.Tagged.Since(ctx, l.bus, from.Add(-escalation.MaxAge), 500, func(_ context.Context, batch []bus.Entry[mention.Tagged]) error {
		for i := range batch {
			t := &batch[i].Value
			if was, ok := untouched[t.Mention.ID]; ok && batch[i].Err == nil && (was.Mention.ID == "" || t.Compare(&was) > 0) {
				untouched[t.Mention.ID] = *t
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(untouched)) {
		t := untouched[id]
		out := labelledOf(&t.Mention, &t.Verdict)
		if err := x.write(&t.Mention, &out); err != nil {
			return err
		}
	}
	return nil
}

// labelledOf is a mention without labels, and without its author.
func labelledOf(m *mention.Mention, v *mention.Verdict) classify.Labelled {
	return classify.Labelled{
		Record: classify.Record{
			ID: string(m.ID), Title: text.Mask(m.Title), Text: text.Mask(m.Text), Lang: m.Lang, Channel: string(cmp.Or(m.Kind, mention.KindPost)), Rating: m.Rating, PublishedAt: m.PublishedAt,
		},
		Set: v.Story,
	}
}

func (x *correcting) write(m *mention.Mention, l *classify.Labelled) error {
	switch {
	case m.Deleted || m.Content() == "":
		x.left["erased"]++
		return nil
	case !x.mayTrain(m):
		x.left[m.Platform+" forbids training"]++
		return nil
	}
	x.written++
	return x.out.Encode(l)
}

// mayTrain tells whether both the platform and the source that brought m allow
// training.
func (x *correcting) mayTrain(m *mention.Mention) bool {
	if !source.DutiesOf(m.Platform).MayTrain {
		return false
	}
	if s, ok := settings.Sources.Get(x.settings, m.Source); ok {
		k, ok := source.Named(s.Kind)
		return ok && k.Duties.MayTrain
	}
	return true
}

func (x *correcting) report(w io.Writer) {
	fmt.Fprintf(w, "%d written\n", x.written)
	for _, why := range slices.Sorted(maps.Keys(x.left)) {
		fmt.Fprintf(w, "%d left out: %s\n", x.left[why], why)
	}
}
