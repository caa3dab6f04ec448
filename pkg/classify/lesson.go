package classify

import (
	"cmp"
	"hash/fnv"
	"math"
	"slices"
	"strings"

	"github.com/earshot/earshot/pkg/mention"
)

// lesson is an example as the first step sees it.
type lesson struct {
	example *Example
	lang    int // in languages
	fold    int
	whole   vector
	windows []windowLesson
	class   [3]int // intent, sentiment, disposition; -1 for unknown
	weight  float64

	// What first steps that have not seen it say, and what is right.
	inputs [inputs]float64
	right  [docOutputs]int8
}

// windowLesson is a window as the first step learns it.
type windowLesson struct {
	vector
	right [docOutputs]int8 // 1, 0 or unknown
	rung  int              // -1 for none
}

const unknown = -1

// vector is the rows of a text with how much each counts, of length 1.
type vector struct {
	rows   []int32
	values []float32
}

// training is examples ready to be learned.
type training struct {
	c       *Classifier
	lessons []lesson
	hashes  []uint32  // of each row
	counts  []float64 // what each row's feature counts: the rarer, the more
	prior   *model    // nil for none
	hands   []string  // in order
}

// prepare reads the examples and gives each feature that is in enough of them a
// row, and each that the prior has.
func (c *Classifier) prepare(examples []Example, prior *model) *training {
	t := &training{c: c, lessons: make([]lesson, len(examples)), prior: prior}
	type seen struct {
		texts int32
		last  int32 // the last text, counted from 1
	}
	known := map[uint32]seen{}
	d := c.newDocument()
	var v mention.Verdict
	for i := range examples {
		c.findings(d, &examples[i].Mention, &v)
		for _, f := range d.features {
			if s := known[f.hash]; s.last != int32(i+1) {
				known[f.hash] = seen{s.texts + 1, int32(i + 1)}
			}
		}
	}
	for i := range examples {
		if hand, _, ok := strings.Cut(examples[i].Set, "/"); ok {
			t.hands = append(t.hands, hand)
		}
	}
	slices.Sort(t.hands)
	t.hands = slices.Compact(t.hands)
	for h, s := range known {
		if s.texts >= enough || prior != nil && prior.table.find(h) != nil {
			t.hashes = append(t.hashes, h)
		}
	}
	// Those of most texts stand together, where the processor has them at hand.
	slices.SortFunc(t.hashes, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(known[b].texts, known[a].texts), cmp.Compare(a, b))
	})
	rows := make(map[uint32]int32, len(t.hashes))
	t.counts = make([]float64, len(t.hashes))
	for i, h := range t.hashes {
		rows[h] = int32(i)
		t.counts[i] = min(math.Log(float64(1+len(examples))/float64(1+known[h].texts))+1, maxCount)
	}
	for i := range examples {
		t.lessons[i] = t.lesson(d, &examples[i], rows)
	}
	return t
}

func (t *training) lesson(d *document, e *Example, rows map[uint32]int32) lesson {
	var v mention.Verdict
	t.c.findings(d, &e.Mention, &v)
	l := lesson{
		example: e, fold: t.fold(e), weight: cmp.Or(e.Weight, 1),
		class: [3]int{
			slices.Index(mention.Intents, e.Intent), slices.Index(mention.Sentiments, e.Sentiment), slices.Index(mention.Dispositions, e.Disposition),
		},
		lang: slices.Index(languages[:], v.Lang),
	}
	if l.lang < 0 {
		l.lang = len(languages) - 1
	}
	sentences := make([][]int32, len(d.sents))
	for i := range d.sents {
		for _, f := range d.sentenceFeatures(int32(i)) {
			if r, ok := rows[f.hash]; ok {
				sentences[i] = append(sentences[i], r)
			}
		}
	}
	l.whole = t.vector(sentences)
	for w := range d.windows {
		lw := windowLesson{vector: l.whole, rung: -1}
		if int(w.end-w.first) < len(sentences) {
			lw.vector = t.vector(sentences[w.first:w.end])
		}
		start, end := d.span(d.sents[w.first].start, d.sents[w.end-1].end)
		e.mark(&lw, start, end)
		l.windows = append(l.windows, lw)
	}
	for k := range docOutputs {
		l.right[k] = unknown
		for i := range l.windows {
			l.right[k] = max(l.right[k], l.windows[i].right[k])
		}
		if l.right[k] == 0 && slices.ContainsFunc(l.windows, func(w windowLesson) bool { return w.right[k] == unknown }) {
			l.right[k] = unknown
		}
	}
	for k := range mention.Categories {
		if slices.ContainsFunc(e.Risks, func(r mention.Risk) bool { return r.Category == mention.Categories[k] }) {
			l.right[k] = 1
		}
	}
	// Whether a risk pages is asked only where it is there.
	for i, category := range Pageable {
		if l.right[slices.Index(mention.Categories, category)] != 1 {
			l.right[firstPage+i] = unknown
		}
	}
	return l
}

// fold is the part of the examples that e is in: hands are dealt out in order.
func (t *training) fold(e *Example) int {
	if e.Set == "" {
		h := fnv.New32a()
		h.Write([]byte(e.Mention.Content()))
		return int(h.Sum32() % folds)
	}
	hand, _, _ := strings.Cut(e.Set, "/")
	i, _ := slices.BinarySearch(t.hands, hand)
	return i % folds
}

// vector adds up the rows of sentences.
func (t *training) vector(sentences [][]int32) (v vector) {
	all := slices.Sorted(slices.Values(slices.Concat(sentences...)))
	sum := 0.0
	for i, r := range all {
		x := t.counts[r]
		sum += x * x
		if i > 0 && r == all[i-1] {
			v.values[len(v.values)-1] += float32(x)
			continue
		}
		v.rows, v.values = append(v.rows, r), append(v.values, float32(x))
	}
	n := float32(norm(sum))
	for i := range v.values {
		v.values[i] *= n
	}
	return v
}

// mark says what is right of the window that is code points start to end of the
// text: a risk holds where most of its words are.
func (e *Example) mark(w *windowLesson, start, end int) {
	for k, category := range mention.Categories {
		w.right[k] = unknown
		if e.Judged || slices.Contains(e.Not, category) {
			w.right[k] = 0
		}
		for _, r := range e.Risks {
			if r.Category != category {
				continue
			}
			inside := min(end, r.End) - max(start, r.Start)
			switch {
			case r.End == 0 || inside*5 >= (r.End-r.Start)*3:
				w.right[k] = 1
				if r.Rung != "" {
					w.rung = slices.Index(mention.Rungs, r.Rung)
				}
			case inside > 0 && w.right[k] == 0:
				w.right[k] = unknown
			}
		}
	}
	others := 0 // risks for which it may page
	for _, r := range e.Risks {
		switch {
		case slices.Contains(alwaysPage, r.Category):
			others += 2
		case slices.Contains(Pageable[:], r.Category):
			others++
		}
	}
	for i, category := range Pageable {
		switch right := w.right[slices.Index(mention.Categories, category)]; {
		case right != 1:
			w.right[firstPage+i] = right
		case !e.Judged || e.Page && others > 1:
			w.right[firstPage+i] = unknown
		case e.Page:
			w.right[firstPage+i] = 1
		}
	}
}
