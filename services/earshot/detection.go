package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/classify"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/services/classifier"
)

// judgeFlags name a classifier: rule files, a model, thresholds.
type judgeFlags struct {
	rules, tell, page list
	model             string
}

func (j *judgeFlags) bind(c *call) {
	c.fs.Var(&j.rules, "rules", "rule `FILE` of your own, besides the embedded ones; repeatable")
	c.fs.StringVar(&j.model, "model", "", "model `FILE`, as earshot train writes it; default the embedded one")
	c.fs.Var(&j.tell, "tell", "`CATEGORY=PROBABILITY` from which a risk is told; repeatable")
	c.fs.Var(&j.page, "page-from", "`CATEGORY=PROBABILITY` from which a hazard or a threat pages; repeatable")
}

func (j *judgeFlags) open() (*classify.Classifier, error) {
	return classifier.Open(config.Classifier{Rules: j.rules, Model: j.model, Tell: j.tell, Page: j.page})
}

type classifyOptions struct {
	text bool
	judgeFlags
}

var classifyCommand = command{
	name: "classify", alone: true,
	short: "Read posts on standard input, write their verdicts on standard output",
	long: `Input is one JSON object a line with text and optionally id, lang, channel, author,
rating, title and published_at; with --text every line is a text. Output is one JSON
object a line, in the same order. A line that can't be read gives an object with
"error". Nothing is stored, no instance is needed.

  echo '{"text":"ボタンを押したら火花が出ました"}' | earshot classify`,
	flags: func(c *call) {
		o := &classifyOptions{}
		c.opts = o
		c.fs.BoolVar(&o.text, "text", false, "every line is a text, not JSON")
		o.bind(c)
	},
	run: func(ctx context.Context, c *call) error {
		opts := c.opts.(*classifyOptions)
		judge, err := opts.open()
		if err != nil {
			return err
		}
		o := classify.StreamOptions{Text: opts.text}
		if terminal(c.err) && !terminal(c.out) {
			o.Progress = func(p classify.Progress) {
				fmt.Fprintf(c.err, "\r\033[K%d lines, %d unreadable", p.Lines, p.Errors)
			}
		}
		done, err := judge.Stream(ctx, c.in, c.out, o)
		if o.Progress != nil {
			fmt.Fprintf(c.err, "\r\033[K%d lines, %d unreadable\n", done.Lines, done.Errors)
		}
		return err
	},
}

type trainOptions struct {
	own    list
	out    string
	prior  string
	corpus bool
}

var trainCommand = command{
	name: "train", alone: true,
	short: "Teach the classifier your own corrections",
	long: `Learns from the corpus that comes with Earshot and, where given, from labelled texts
of your own: files as earshot corrections writes them, which leave out what a platform
forbids to train on. What you say counts three times as much as the corpus. Takes a
minute or two; the same input gives the same model, bit for bit.

  earshot corrections > own.jsonl
  earshot train --own own.jsonl --out model.bin
  earshot quality --model model.bin own.jsonl

Put its path under classifier.model in the configuration, and look with earshot backtest
at what would change.`,
	flags: func(c *call) {
		o := &trainOptions{}
		c.opts = o
		c.fs.Var(&o.own, "own", "`FILE` of labelled texts of your own; repeatable")
		c.fs.StringVar(&o.out, "out", "model.bin", "`FILE` to write the model to")
		c.fs.StringVar(&o.prior, "prior", "", "model `FILE` to start from; default an embedded one that knows how English words feel")
		c.fs.BoolVar(&o.corpus, "corpus", true, "learn from the embedded corpus too")
	},
	run: train,
}

// ownWeight is how much a company's own label counts beside one of the corpus:
// it is about the texts that will come.
const ownWeight = 3

func train(_ context.Context, c *call) error {
	o := c.opts.(*trainOptions)
	var examples []classify.Example
	if o.corpus {
		texts, err := classify.Corpus(classify.TrainPart)
		if err != nil {
			return err
		}
		for i := range texts {
			examples = append(examples, texts[i].Example())
		}
	}
	for _, name := range o.own {
		texts, err := labelled(c, name)
		if err != nil {
			return err
		}
		for i := range texts {
			e := texts[i].Example()
			e.Weight = ownWeight
			examples = append(examples, e)
		}
		fmt.Fprintf(c.out, "%s: %d texts\n", name, len(texts))
	}
	if len(examples) == 0 {
		return usageError("there is nothing to learn from: name a file with --own, or leave --corpus on")
	}
	prior := classify.Prior()
	switch o.prior {
	case "":
	case "none":
		prior = nil
	default:
		var err error
		if prior, err = os.ReadFile(o.prior); err != nil {
			return err
		}
	}
	at := time.Now()
	model, err := classify.Train(examples, prior)
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.out, model, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s: learned from %d texts in %.1f s, %d kB\n", o.out, len(examples), time.Since(at).Seconds(), len(model)/1000)
	return nil
}

func labelled(c *call, name string) ([]classify.Labelled, error) {
	raw, err := read(c, name)
	if err != nil {
		return nil, err
	}
	texts, err := classify.ReadLabelled(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return texts, nil
}

type qualityOptions struct {
	judgeFlags
	errors   int
	channels bool
}

var qualityCommand = command{
	name: "quality", alone: true, usage: "[FILE]",
	short: "Print how good the classifier is, on the corpus or on labelled texts of your own",
	long: `Without a file it reads the test part of the embedded corpus, from which nothing was
learned. A file has one JSON object a line, as earshot corrections writes it: what
earshot classify takes, and the labels sentiment, intent, disposition, risk (a list of
objects with category, start and end) and page.

Printed are precision, recall (each with its 95 % interval) and F1 for every label, by
language, and how often ordinary texts page.`,
	flags: func(c *call) {
		o := &qualityOptions{}
		c.opts = o
		o.bind(c)
		c.fs.IntVar(&o.errors, "errors", 0, "print up to `N` texts of each label that were told wrongly, and missed")
		c.fs.BoolVar(&o.channels, "channels", false, "a table for each channel, too")
	},
	run: quality,
}

func quality(_ context.Context, c *call) error {
	o := c.opts.(*qualityOptions)
	judge, err := o.open()
	if err != nil {
		return err
	}
	var texts []classify.Labelled
	switch len(c.args) {
	case 0:
		texts, err = classify.Corpus(classify.TestPart)
	case 1:
		texts, err = labelled(c, c.args[0])
	default:
		return usageError("want one file, or none")
	}
	if err != nil {
		return err
	}
	groups := map[string][]classify.Labelled{}
	var names []string
	put := func(name string, l classify.Labelled) {
		if groups[name] == nil {
			names = append(names, name)
		}
		groups[name] = append(groups[name], l)
	}
	for _, l := range texts {
		m := l.Mention()
		lang := judge.Verdict(&m).Lang
		put(lang, l)
	}
	if o.channels {
		for _, l := range texts {
			m := l.Mention()
			lang := judge.Verdict(&m).Lang
			put(lang+", "+strings.ToLower(l.Channel), l)
		}
	}
	pages := &classify.Quality{}
	for _, name := range names {
		q := judge.Assess(groups[name])
		fmt.Fprintf(c.out, "%s, %d texts\n", name, q.Texts)
		q.Print(c.out)
		if o.errors > 0 {
			q.PrintErrors(c.out, o.errors)
		}
		fmt.Fprintln(c.out)
		if !strings.Contains(name, ",") {
			pages.Plain, pages.PlainPages = pages.Plain+q.Plain, pages.PlainPages+q.PlainPages
		}
	}
	night(c.out, pages)
	return nil
}

// night says what false pages mean for who sleeps.
func night(w io.Writer, q *classify.Quality) {
	if q.Plain == 0 {
		return
	}
	const mentions = 300 // between 22:00 and 7:00, of a brand with 1,000 a day
	share := float64(q.PlainPages) / float64(q.Plain)
	fmt.Fprintf(w, "At %d ordinary mentions a night that is %.2f false pages a night.\n", mentions, share*mentions)
}
