package classify

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/earshot/earshot/pkg/mention"
)

// Tally counts how often a label was told, and rightly.
type Tally struct {
	Label                string
	Right, Wrong, Missed int
	// Errors are texts that were told wrongly or missed, with which it was.
	Errors []string
}

func (t *Tally) add(want, got bool, text string) {
	switch {
	case want && got:
		t.Right++
	case got:
		t.Wrong++
		t.Errors = append(t.Errors, "wrong   "+text)
	case want:
		t.Missed++
		t.Errors = append(t.Errors, "missed  "+text)
	}
}

// Texts is how many texts have the label.
func (t *Tally) Texts() int { return t.Right + t.Missed }

// Precision is the share of what was told that was right, 1 if nothing was.
func (t *Tally) Precision() float64 { return ratio(t.Right, t.Right+t.Wrong) }

// Recall is the share of what there is that was told, 1 if there is nothing.
func (t *Tally) Recall() float64 { return ratio(t.Right, t.Right+t.Missed) }

// F1 is the harmonic mean of precision and recall.
func (t *Tally) F1() float64 { return ratio(2*t.Right, 2*t.Right+t.Wrong+t.Missed) }

func ratio(n, of int) float64 {
	if of == 0 {
		return 1
	}
	return float64(n) / float64(of)
}

// Quality is what verdicts are worth on texts whose labels are known.
type Quality struct {
	Texts                          int
	Risks                          []Tally // by mention.Categories
	Page                           Tally
	Intents, Sentiments, Disposals []Tally
	// Plain is how many texts carry no risk and do not play with one;
	// PlainPages is how many of these paged.
	Plain, PlainPages int
}

// Assess compares the verdicts of c with the labels of texts.
func (c *Classifier) Assess(texts []Labelled) *Quality {
	q := newQuality()
	q.assess(c, texts)
	return q
}

func newQuality() *Quality {
	q := &Quality{Page: Tally{Label: "page"}}
	q.Risks = talliesOf(mention.Categories)
	q.Intents, q.Sentiments, q.Disposals = talliesOf(mention.Intents), talliesOf(mention.Sentiments), talliesOf(mention.Dispositions)
	return q
}

func (q *Quality) assess(c *Classifier, texts []Labelled) {
	for i := range texts {
		l := &texts[i]
		m := l.Mention()
		v := c.Verdict(&m)
		q.Texts++
		text := strings.ReplaceAll(m.Content(), "\n", " ")
		if l.Risk != nil {
			for k, category := range mention.Categories {
				q.Risks[k].add(l.Has(category), v.Has(category), text)
			}
			q.Page.add(l.Page, v.Page, text+" ["+v.PageReason+"]")
			if len(l.Risk) == 0 && len(l.Not) == 0 {
				q.Plain++
				if v.Page {
					q.PlainPages++
				}
			}
		}
		compare(q.Intents, mention.Intents, l.Intent, v.Intent, text)
		compare(q.Sentiments, mention.Sentiments, l.Sentiment, v.Sentiment, text)
		compare(q.Disposals, mention.Dispositions, l.Disposition, v.Disposition, text)
	}
}

func talliesOf[T ~string](labels []T) []Tally {
	all := make([]Tally, len(labels))
	for i, l := range labels {
		all[i].Label = string(l)
	}
	return all
}

func compare[T ~string](tallies []Tally, labels []T, want, got T, text string) {
	if want == "" {
		return
	}
	for i, l := range labels {
		tallies[i].add(want == l, got == l, "("+string(want)+" as "+string(got)+") "+text)
	}
}

// MeanF1 is the mean of the F1 of tallies, and MeanRecall that of the recall.
func MeanF1(tallies []Tally) float64     { return mean(tallies, (*Tally).F1) }
func MeanRecall(tallies []Tally) float64 { return mean(tallies, (*Tally).Recall) }

func mean(tallies []Tally, of func(*Tally) float64) float64 {
	sum, n := 0.0, 0
	for i := range tallies {
		if tallies[i].Texts() > 0 {
			sum += of(&tallies[i])
			n++
		}
	}
	return sum / float64(max(n, 1))
}

// Print writes the table of q.
func (q *Quality) Print(w io.Writer) {
	fmt.Fprintf(w, "  %-22s %5s  %-20s %-20s %5s\n", "", "texts", "precision (95 %)", "recall (95 %)", "F1")
	line := func(t *Tally) {
		fmt.Fprintf(w, "  %-22s %5d  %-20s %-20s %5.2f\n",
			t.Label, t.Texts(), withInterval(t.Right, t.Right+t.Wrong), withInterval(t.Right, t.Right+t.Missed), t.F1())
	}
	for _, group := range [][]Tally{q.Risks, {q.Page}, q.Intents, q.Sentiments, q.Disposals} {
		for i := range group {
			line(&group[i])
		}
	}
	fmt.Fprintf(w, "  intent macro-F1 %.3f · sentiment macro-recall %.3f · disposition macro-F1 %.3f · mean F1 of risks %.3f\n",
		MeanF1(q.Intents), MeanRecall(q.Sentiments), MeanF1(q.Disposals), MeanF1(q.Risks))
	low, high := Interval(q.PlainPages, q.Plain)
	fmt.Fprintf(w, "  false pages among %d ordinary texts: %d, that is %.1f of 10,000 (%.1f to %.1f)\n",
		q.Plain, q.PlainPages, 1e4*ratio(q.PlainPages, max(q.Plain, 1)), 1e4*low, 1e4*high)
}

// PrintErrors writes up to n texts of each label that were told wrongly, and n
// that were missed.
func (q *Quality) PrintErrors(w io.Writer, n int) {
	for _, group := range [][]Tally{{q.Page}, q.Risks, q.Intents, q.Sentiments, q.Disposals} {
		for i := range group {
			count := map[string]int{}
			for _, e := range group[i].Errors {
				kind := e[:8]
				if count[kind]++; count[kind] <= n {
					fmt.Fprintf(w, "  %s: %s\n", group[i].Label, shorten(e, 220))
				}
			}
		}
	}
}

func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + " …"
	}
	return s
}

func withInterval(n, of int) string {
	low, high := Interval(n, of)
	return fmt.Sprintf("%.2f (%.2f to %.2f)", ratio(n, of), low, high)
}

// Interval is the 95 % interval of a share n of m, by Wilson's score: 0 to 1 where
// m is 0.
func Interval(n, of int) (low, high float64) {
	if of == 0 {
		return 0, 1
	}
	const z = 1.96
	p, m := float64(n)/float64(of), float64(of)
	mid := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return max(0, mid-half), min(1, mid+half)
}

// Filter returns the texts for which keep holds.
func Filter(texts []Labelled, keep func(*Labelled) bool) []Labelled {
	return slices.DeleteFunc(slices.Clone(texts), func(l Labelled) bool { return !keep(&l) })
}
