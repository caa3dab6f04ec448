package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

type importOptions struct {
	format, platform, zone, brand string
	dry                           bool
}

var importCommand = command{
	name: "import", usage: "FILE",
	short: "Bring in posts from a file; they are tagged and found, and never page",
	long: `Formats: jsonl (one post a line, as the HTTP intake takes it), csv (with a header
line; UTF-8 or Shift_JIS) and x-v1 (Tweets of X's API v1.1, one a line). Lines that
can't be taken are named with their reason, the others are taken; the exit status is
then 1. A post that is there already is counted as a duplicate, so that a file can be
imported again. - reads standard input.

csv needs the columns text (or title) and published_at, and knows id, platform, kind,
brand, url, author, author_id, author_handle, followers, title, lang, rating, place;
Japanese headings too (本文, 投稿日時, 投稿者, 評価, 店舗 …). Others are passed over.

  earshot import reviews.csv --zone Asia/Tokyo --platform shop --dry-run
  {"id":"17","platform":"shop","text":"…","published_at":"2026-01-31T09:30:00+09:00"}`,
	flags: func(c *call) {
		o := &importOptions{}
		c.opts = o
		c.fs.StringVar(&o.format, "format", "", "`FORMAT` of the file; default by its name")
		c.fs.StringVar(&o.platform, "platform", "", "`PLATFORM` of lines that name none; default web")
		c.fs.StringVar(&o.zone, "zone", "UTC", "time `ZONE` of times that name none")
		c.fs.StringVar(&o.brand, "brand", "", "`ID` of the brand all posts are about; default: the brands' queries decide")
		c.fs.BoolVar(&o.dry, "dry-run", false, "only say what would be taken")
	},
	run: func(ctx context.Context, c *call) error { return importFile(ctx, c, c.opts.(*importOptions)) },
}

func importFile(ctx context.Context, c *call, o *importOptions) error {
	if len(c.args) != 1 {
		return usageError("want one file")
	}
	name := c.args[0]
	if o.format == "" {
		if o.format = source.FormatOf(name); o.format == "" {
			return usageError("the format can't be told from the name; give --format " + strings.Join(source.Formats, "|"))
		}
	}
	zone, err := time.LoadLocation(o.zone)
	if err != nil {
		return usageError(fmt.Sprintf("--zone %q: write it like Asia/Tokyo", o.zone))
	}
	in, size := c.in, int64(0)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		if st, err := f.Stat(); err == nil {
			size = st.Size()
		}
		in = f
	}
	l, err := c.reach(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	if _, ok := settings.Brands.Get(l.settings, o.brand); o.brand != "" && !ok {
		return noBrand("--brand", o.brand)
	}
	p := &progress{w: c.err, show: terminal(c.err), size: size}
	counted := &countingReader{r: in}
	im := source.Import{Format: o.format, Platform: o.platform, Location: zone, Now: time.Now().UTC()}
	var batch []*mention.Mention
	flush := func() error {
		if !o.dry && len(batch) > 0 {
			fresh, err := publish(ctx, l.bus, batch, func(err error) {
				fmt.Fprintf(c.err, "waiting: %v\n", err)
			})
			if err != nil {
				return err
			}
			for _, f := range fresh {
				if !f {
					p.duplicate++
				}
			}
			p.accepted -= p.duplicate - p.subtracted
			p.subtracted = p.duplicate
		}
		batch = batch[:0]
		p.print(counted.n)
		return nil
	}
	for got, err := range im.Read(counted) {
		if err == nil {
			err = got.Err
		}
		if err != nil {
			if _, ok := errors.AsType[*source.LineError](err); !ok {
				// What came before is taken, and told.
				if flushed := flush(); flushed != nil {
					return flushed
				}
				if p.any() {
					p.done(c.out, o.dry)
				}
				return fmt.Errorf("%s: %w", name, err)
			}
			p.refused++
			p.line(c.err, err)
			continue
		}
		found := aboutBrands(l.settings, &got, o.brand)
		if len(found) == 0 {
			p.unmatched++
		} else {
			p.accepted++
		}
		if batch = append(batch, found...); len(batch) >= 500 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	p.done(c.out, o.dry)
	if p.refused > 0 {
		return fmt.Errorf("%s refused", count(int(p.refused), "line"))
	}
	return nil
}

// aboutBrands returns the mentions in a post: of the brand given, of those that
// the sender names, or of those whose queries match.
func aboutBrands(s *settings.Store, got *source.Received, brand string) []*mention.Mention {
	brands := got.Brands
	if brand != "" {
		brands = []string{brand}
	}
	return s.Mentions(&got.Post, brands...)
}

// publish waits while the bus is full, and tells so at first: an import is
// never faster than the classifier.
func publish(ctx context.Context, c *bus.Conn, batch []*mention.Mention, waiting func(error)) ([]bool, error) {
	for n := 0; ; n++ {
		fresh, err := bus.Mentions.PublishNew(ctx, c, batch...)
		if !errors.Is(err, bus.ErrFull) {
			return fresh, err
		}
		if n == 10 { // a backlog is worked off in less
			waiting(err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}
