package classify

import (
	"bufio"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/earshot/earshot/pkg/mention"
)

//go:embed corpus/*.jsonl
var corpusFS embed.FS

// Labelled is a text with what people say of it, as the corpus and a company's
// exported corrections hold it: one JSON object a line. A label that is missing
// is unknown.
type Labelled struct {
	Record
	// Set is hand/thing; see [Example.Set].
	Set         string              `json:"set,omitempty"`
	Sentiment   mention.Sentiment   `json:"sentiment,omitempty"`
	Intent      mention.Intent      `json:"intent,omitempty"`
	Disposition mention.Disposition `json:"disposition,omitempty"`
	// Risk is null where nobody has judged the risks, and empty where there
	// are none.
	Risk []Span `json:"risk"`
	// Not are categories of which a text uses the words without carrying the
	// risk; where Risk is null, those that somebody said it doesn't carry.
	Not []mention.Category `json:"not,omitempty"`
	// Page tells whether it pages; it counts where Risk is given.
	Page bool `json:"page"`
}

// Span is a risk in a text, with where it shows, in code points. End is 0 where
// that is unknown.
type Span struct {
	Category mention.Category `json:"category"`
	Rung     mention.Rung     `json:"rung,omitempty"`
	Start    int              `json:"start,omitempty"`
	End      int              `json:"end,omitempty"`
}

// Has tells whether the text carries category.
func (l *Labelled) Has(category mention.Category) bool {
	return slices.ContainsFunc(l.Risk, func(s Span) bool { return s.Category == category })
}

// Example returns l for training.
func (l *Labelled) Example() Example {
	e := Example{
		Mention: l.Mention(), Set: l.Set, Intent: l.Intent, Sentiment: l.Sentiment, Disposition: l.Disposition,
		Judged: l.Risk != nil, Page: l.Page, Not: l.Not,
	}
	for _, s := range l.Risk {
		e.Risks = append(e.Risks, mention.Risk{Category: s.Category, Rung: s.Rung, Start: s.Start, End: s.End})
	}
	return e
}

// check says what is wrong with the labels.
func (l *Labelled) check() error {
	known := func(what, label string, ok bool) error {
		if ok || label == "" {
			return nil
		}
		return fmt.Errorf("%s: there is no %q", what, label)
	}
	if err := known("sentiment", string(l.Sentiment), slices.Contains(mention.Sentiments, l.Sentiment)); err != nil {
		return err
	}
	if err := known("intent", string(l.Intent), slices.Contains(mention.Intents, l.Intent)); err != nil {
		return err
	}
	if err := known("disposition", string(l.Disposition), slices.Contains(mention.Dispositions, l.Disposition)); err != nil {
		return err
	}
	m := l.Mention()
	n := len([]rune(m.Content()))
	for _, s := range l.Risk {
		if !slices.Contains(mention.Categories, s.Category) {
			return fmt.Errorf("risk: there is no category %q", s.Category)
		}
		if err := known("rung", string(s.Rung), slices.Contains(mention.Rungs, s.Rung)); err != nil {
			return err
		}
		if s.Start < 0 || s.End < 0 || s.End > n || s.End > 0 && s.Start >= s.End {
			return fmt.Errorf("risk %s: %d to %d is no span of a text of %d code points", s.Category, s.Start, s.End, n)
		}
	}
	for _, c := range l.Not {
		if !slices.Contains(mention.Categories, c) {
			return fmt.Errorf("not: there is no category %q", c)
		}
	}
	return nil
}

// ReadLabelled reads labelled texts, one JSON object a line. The error names the
// line.
func ReadLabelled(r io.Reader) ([]Labelled, error) {
	var all []Labelled
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, MaxLine)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var l Labelled
		err := json.Unmarshal(lines.Bytes(), &l)
		if err == nil {
			err = l.check()
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		all = append(all, l)
	}
	return all, lines.Err()
}

// A Part of the corpus is to learn from or to be judged by.
type Part string

const (
	TrainPart Part = "train"
	TestPart  Part = "test" // nothing is learned from it, nor tuned to it
)

// Corpus returns the texts of a part of the embedded corpus.
func Corpus(part Part) ([]Labelled, error) {
	var all []Labelled
	for _, lang := range languages {
		f, err := corpusFS.Open("corpus/" + string(part) + "." + lang + ".jsonl")
		if err != nil {
			return nil, err
		}
		some, err := ReadLabelled(f)
		if err != nil {
			return nil, fmt.Errorf("corpus %s.%s: %w", part, lang, err)
		}
		for i := range some {
			some[i].Lang = lang
		}
		all = append(all, some...)
	}
	return all, nil
}
