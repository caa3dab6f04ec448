package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/services/desk"
	"github.com/earshot/earshot/services/indexer"
)

type exportOptions struct {
	from, to, by, of, brand, zone, lang, encoding, out string
	unmasked                                           bool
}

var exportCommand = command{
	name: "export", usage: "figures | history",
	short: "Write figures, or what was done to cases, as CSV for spreadsheets",
	long: `figures counts what was published in a period: received, wanted an answer, answered in
time and late, open, and what is watched or not for us; median and 90th percentile of the
working time to the first reply and to the end; by day, month, hour of the day
or not at all, and by brand, place, source, platform or language. history has a line for
everything that was done to the cases of what was published then.

No cell is taken for a formula. Personal data is covered unless --unmasked is given;
that somebody took a history out is written down, with a count of lines. What a platform forbids
to let out leaves without the words and the name of its author.

  earshot export figures --from 2026-11-01 --to 2026-11-30 --by day --of place --out november.csv
  earshot export history --from 2026-11-01 --lang ja --encoding cp932 --out history.csv`,
	flags: func(c *call) {
		o := &exportOptions{}
		c.opts = o
		c.fs.StringVar(&o.from, "from", "", "first `DAY` of publishing, like 2026-11-01; default 30 days before --to")
		c.fs.StringVar(&o.to, "to", "", "last `DAY`; default today")
		c.fs.StringVar(&o.by, "by", "day", "day, month, hour or all")
		c.fs.StringVar(&o.of, "of", "", "brand, place, source, platform or lang besides")
		c.fs.StringVar(&o.brand, "brand", "", "`ID` of one brand")
		c.fs.StringVar(&o.zone, "zone", "", "time `ZONE` of days, hours and times; default the brand's, else UTC")
		c.fs.StringVar(&o.lang, "lang", "en", "`LANGUAGE` of headings and names: en or ja")
		c.fs.StringVar(&o.encoding, "encoding", "utf-8", "utf-8 (with a byte order mark) or cp932 (what Windows calls Shift_JIS)")
		c.fs.StringVar(&o.out, "out", "-", "`FILE` to write; - is standard output")
		c.fs.BoolVar(&o.unmasked, "unmasked", false, "with personal data (history)")
	},
	run: func(ctx context.Context, c *call) error { return export(ctx, c, c.opts.(*exportOptions)) },
}

func export(ctx context.Context, c *call, o *exportOptions) (err error) {
	if len(c.args) != 1 || c.args[0] != "figures" && c.args[0] != "history" {
		return usageError("want figures or history")
	}
	l, err := c.reach(ctx, indexer.Service)
	if err != nil {
		return err
	}
	defer l.close()
	x, err := o.asked(l, time.Now())
	if err != nil {
		return err
	}
	x.Progress = exporting(c, c.args[0] == "history")
	held := map[mention.ID]*search.Document{}
	x.Documents = func(ctx context.Context) iter.Seq2[*search.Document, error] {
		return published(ctx, l.bus, x.Period, o.brand, held)
	}
	cases := casesOf(l.bus, held)
	x.Case = func(ctx context.Context, d *search.Document) (casework.State, error) {
		return cases.Get(ctx, identity.Console(), d.ID)
	}
	// Counted first, so that nothing is left of a file if that fails.
	take := func(w io.Writer) (desk.Exported, error) { return takeHistory(ctx, l, x, o.brand, w) }
	if c.args[0] == "figures" {
		groups, err := x.Tally(ctx)
		if err != nil {
			return err
		}
		take = func(w io.Writer) (desk.Exported, error) { return x.Figures(w, groups) }
	}
	w := c.out
	if o.out != "-" {
		f, err := os.OpenFile(o.out, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		defer func() {
			if e := f.Close(); err == nil {
				err = e
			}
		}()
		w = f
	}
	done, err := take(w)
	if terminal(c.err) {
		fmt.Fprint(c.err, "\r\033[K")
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.err, "%s written\n", count(done.Rows, "line"))
	if done.Withheld > 0 {
		fmt.Fprintf(c.err, "%s without the words: the platform forbids that they leave\n", count(done.Withheld, "case"))
	}
	if done.Replaced > 0 {
		fmt.Fprintf(c.err, "%s that %s lacks became 〓\n", count(done.Replaced, "character"), o.encoding)
	}
	return nil
}

// takeHistory writes the handling history, and a record of that.
func takeHistory(ctx context.Context, l *link, x *desk.Export, brand string, w io.Writer) (desk.Exported, error) {
	record, err := desk.NewExportRecord(ctx, l.settings, identity.ActorConsole, brand, x)
	if err != nil {
		return desk.Exported{}, err
	}
	done, err := x.History(ctx, w)
	if err != nil {
		return done, err
	}
	return done, record.Finish(ctx, done)
}

// asked is what the flags ask for.
func (o *exportOptions) asked(l *link, now time.Time) (*desk.Export, error) {
	b, ok := settings.Brands.Get(l.settings, o.brand)
	if o.brand != "" && !ok {
		return nil, noBrand("--brand", o.brand)
	}
	if o.zone == "" {
		o.zone = "UTC"
		if b.TimeZone != "" {
			o.zone = b.TimeZone
		}
	}
	zone, err := time.LoadLocation(o.zone)
	if err != nil {
		return nil, usageError(fmt.Sprintf("--zone %q: write it like Asia/Tokyo", o.zone))
	}
	day := func(flag, text string, usual time.Time) (time.Time, error) {
		if text == "" {
			return time.Date(usual.Year(), usual.Month(), usual.Day(), 0, 0, 0, 0, zone), nil
		}
		t, err := time.ParseInLocation(time.DateOnly, text, zone)
		if err != nil {
			return t, usageError(fmt.Sprintf("%s %q: write it like 2026-11-30", flag, text))
		}
		return t, nil
	}
	to, err := day("--to", o.to, now.In(zone))
	if err != nil {
		return nil, err
	}
	from, err := day("--from", o.from, to.AddDate(0, 0, -29))
	if err != nil {
		return nil, err
	}
	x := &desk.Export{
		Settings: l.settings, Period: search.Period{From: from, To: to.AddDate(0, 0, 1)}, Lang: o.lang, Encoding: o.encoding, Unmasked: o.unmasked, Now: now,
		By: search.Grouping{Time: search.Grain(o.by), Of: search.Field(o.of), Zone: zone},
	}
	if err := x.Check(); err != nil {
		return nil, usageError(err.Error())
	}
	return x, nil
}

// exporting shows on a terminal how far an export is.
func exporting(c *call, lines bool) func(documents, rows int) {
	if !terminal(c.err) {
		return nil
	}
	last := time.Time{}
	return func(documents, rows int) {
		if time.Since(last) < 100*time.Millisecond {
			return
		}
		last = time.Now()
		fmt.Fprintf(c.err, "\r\033[K%s", count(documents, "mention"))
		if lines {
			fmt.Fprintf(c.err, ", %s", count(rows, "line"))
		}
	}
}

// published yields what was published in a period, as the indexer has it. Held
// has the documents of the page that is read.
func published(ctx context.Context, c *bus.Conn, p search.Period, brand string, held map[mention.ID]*search.Document) iter.Seq2[*search.Document, error] {
	return func(yield func(*search.Document, error) bool) {
		r := indexer.PublishedRequest{From: p.From, To: p.To, Brand: brand}
		for {
			page, err := askIndexer[indexer.PublishedRequest, indexer.PublishedPage](ctx, c, "published", r)
			if err != nil {
				yield(nil, err)
				return
			}
			clear(held)
			for i := range page.Documents {
				held[page.Documents[i].ID] = &page.Documents[i]
			}
			for i := range page.Documents {
				if !yield(&page.Documents[i], nil) {
					return
				}
			}
			if r.Cursor = page.Next; r.Cursor == "" {
				return
			}
		}
	}
}

// casesOf reads cases whose places are known from their documents.
func casesOf(c *bus.Conn, held map[mention.ID]*search.Document) *casework.Store {
	return casework.NewStore(c, casework.Source{
		Tagged: func(_ context.Context, id mention.ID) ([]uint64, error) {
			if d := held[id]; d != nil {
				return d.Tagged, nil
			}
			return nil, nil
		},
		Archived: func(_ context.Context, id mention.ID) (uint64, error) {
			switch d := held[id]; {
			case d == nil:
				return 0, nil
			case d.Archived == 0 && d.Owner == search.OwnerCase:
				return 0, bus.ErrNotFound
			default:
				return d.Archived, nil
			}
		},
		Triage: func(*mention.Mention, *mention.Verdict) casework.Triage { return casework.Triage{} },
	}, nil, slog.New(slog.DiscardHandler))
}
