package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/classify"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
)

type backtestOptions struct {
	judgeFlags
	days  int
	brand string
	zone  string
	show  int
}

var backtestCommand = command{
	name:  "backtest",
	short: "Replay the archive through other rules, thresholds or another model, and print what would change",
	long: `Reads the mentions of the last days from the archive, judges each anew and compares with
the verdict that is stored. Printed are, for every risk, how often it was and would be
told, how many mentions would gain and lose it, and the pages per day and per night
(22:00 to 7:00), then and now. Nothing is stored, nobody is paged.

  earshot backtest --rules acme.yaml --days 30
  earshot backtest --model model.bin.gz --tell churn=0.7 --page-from publicity_threat=0.8

What is put under classifier in the configuration afterwards holds for new mentions.`,
	flags: func(c *call) {
		o := &backtestOptions{}
		c.opts = o
		o.bind(c)
		c.fs.IntVar(&o.days, "days", 30, "how many `DAYS` back")
		c.fs.StringVar(&o.brand, "brand", "", "`ID` of a brand; default all")
		c.fs.StringVar(&o.zone, "zone", "Local", "time `ZONE` in which days and nights are counted, as Asia/Tokyo")
		c.fs.IntVar(&o.show, "show", 5, "print up to `N` mentions of each kind of change")
	},
	run: backtest,
}

func backtest(ctx context.Context, c *call) error {
	o := c.opts.(*backtestOptions)
	zone, err := time.LoadLocation(o.zone)
	if err != nil {
		return usageError(fmt.Sprintf("--zone: there is no time zone %q; one is Asia/Tokyo", o.zone))
	}
	if o.days < 1 {
		return usageError("--days: want at least 1")
	}
	judge, err := o.open()
	if err != nil {
		return err
	}
	l, err := c.reach(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	if _, ok := settings.Brands.Get(l.settings, o.brand); o.brand != "" && !ok {
		return noBrand("--brand", o.brand)
	}
	r := &replayed{zone: zone, show: o.show, changes: map[string][]string{}}
	since := time.Now().AddDate(0, 0, -o.days)
	err = bus.Tagged.Since(ctx, l.bus, since, 500, func(_ context.Context, batch []bus.Entry[mention.Tagged]) error {
		for i := range batch {
			if batch[i].Err == nil && (o.brand == "" || batch[i].Value.Mention.Brand == o.brand) {
				r.take(judge, &batch[i].Value)
			}
		}
		if terminal(c.err) {
			fmt.Fprintf(c.err, "\r\033[K%d mentions", r.mentions)
		}
		return ctx.Err()
	})
	if terminal(c.err) {
		fmt.Fprint(c.err, "\r\033[K")
	}
	if err != nil {
		return err
	}
	r.print(c.out)
	return nil
}

// replayed counts verdicts as they were and as they would be.
type replayed struct {
	zone     *time.Location
	show     int
	mentions int
	first    time.Time
	last     time.Time
	risks    [12]change
	page     change
	day      change // pages by day, of page
	night    change
	changes  map[string][]string
}

type change struct{ was, is, gained, lost int }

func (ch *change) add(was, is bool) {
	if was {
		ch.was++
	}
	if is {
		ch.is++
	}
	if is && !was {
		ch.gained++
	}
	if was && !is {
		ch.lost++
	}
}

func (r *replayed) take(judge *classify.Classifier, t *mention.Tagged) {
	// What an opinion made of it is beside what the classifier said.
	if t.Mention.Deleted || t.Verdict.Pass > 0 {
		return
	}
	now := judge.Verdict(&t.Mention)
	at := t.Mention.SeenAt.In(r.zone)
	if r.mentions == 0 || at.Before(r.first) {
		r.first = at
	}
	if at.After(r.last) {
		r.last = at
	}
	r.mentions++
	for k, category := range mention.Categories {
		was, is := t.Verdict.Has(category), now.Has(category)
		r.risks[k].add(was, is)
		r.note(string(category), was, is, t)
	}
	r.page.add(t.Verdict.Page, now.Page)
	r.note("page", t.Verdict.Page, now.Page, t)
	if hour := at.Hour(); hour >= 22 || hour < 7 {
		r.night.add(t.Verdict.Page, now.Page)
	} else {
		r.day.add(t.Verdict.Page, now.Page)
	}
}

// note keeps some of the mentions for which label changes.
func (r *replayed) note(label string, was, is bool, t *mention.Tagged) {
	if was == is {
		return
	}
	sign := "+ "
	if was {
		sign = "− "
	}
	if key := sign + label; len(r.changes[key]) < r.show {
		text := strings.Join(strings.Fields(t.Mention.Content()), " ")
		if runes := []rune(text); len(runes) > 160 {
			text = string(runes[:160]) + " …"
		}
		r.changes[key] = append(r.changes[key], text)
	}
}

func (r *replayed) print(w io.Writer) {
	if r.mentions == 0 {
		fmt.Fprintln(w, "The archive holds no mentions of that time.")
		return
	}
	days := max(1, r.last.Sub(r.first).Hours()/24)
	fmt.Fprintf(w, "%d mentions in %.1f days\n\n", r.mentions, days)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\twas\twould be\tgained\tlost\t")
	row := func(name string, ch change) {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t\n", name, ch.was, ch.is, ch.gained, ch.lost)
	}
	for k, category := range mention.Categories {
		row(string(category), r.risks[k])
	}
	row("page", r.page)
	_ = table.Flush() // an error of w comes again
	rate := func(name string, ch change) {
		fmt.Fprintf(w, "pages per %s: were %.2f, would be %.2f\n", name, float64(ch.was)/days, float64(ch.is)/days)
	}
	fmt.Fprintln(w)
	rate("day (7:00 to 22:00)", r.day)
	rate("night", r.night)
	for _, label := range append([]mention.Category{"page"}, mention.Categories...) {
		for _, sign := range []string{"+ ", "− "} {
			for i, text := range r.changes[sign+string(label)] {
				if i == 0 {
					fmt.Fprintf(w, "\n%s%s\n", sign, label)
				}
				fmt.Fprintf(w, "    %s\n", text)
			}
		}
	}
}
