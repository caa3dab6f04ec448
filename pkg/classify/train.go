package classify

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/earshot/earshot/pkg/mention"
)

// An Example is a mention with what people say of it. What is left out teaches
// nothing.
type Example struct {
	Mention mention.Mention
	// Set is hand/thing: texts of one hand are alike, and are never divided
	// between learning and judging what was learned. Texts without a set are
	// each by a hand of their own.
	Set         string
	Intent      mention.Intent
	Sentiment   mention.Sentiment
	Disposition mention.Disposition
	// Risks are the categories that hold, with their span in Content and, for
	// publicity threats, their rung. A span that ends at 0 is unknown.
	Risks []mention.Risk
	// Judged: Risks are all there are, and Page says whether it pages.
	// Otherwise only Risks and Not are known.
	Judged bool
	Page   bool
	Not    []mention.Category
	// Weight is how much the example counts; 0 counts as 1.
	Weight float64
}

// How the first step learns.
const (
	enough  = 3    // texts that a feature must be in
	folds   = 5    // see [training.judgeUnseen]
	cost    = 15.0 // of an error, against large weights
	passes  = 12   // over all texts
	hasty   = 8    // passes of first steps that only judge what is unseen
	faint   = 0.02 // rows without a weight of this size, by what a feature counts, are left out
	maxSkew = 30.0 // how much more the rarer side of an output may count
)

// Train returns a model for [Options.Model] that has learned examples, with the
// embedded rules and lists as part of what it goes by. It takes over what prior,
// another model, knows of how English sounds; without one it learns that from
// the examples. The same examples give the same bytes on machines of one
// architecture. Ten thousand examples take some seconds.
//
// What the first step says of a text it has learned says nothing of others; so
// the second step learns from what first steps that had not seen the text say.
func Train(examples []Example, prior []byte) ([]byte, error) {
	c, _, err := untrained(nil)
	if err != nil {
		return nil, err
	}
	var before *model
	if prior != nil {
		if before, err = readModel(prior); err != nil {
			return nil, fmt.Errorf("prior: %w", err)
		}
	}
	t := c.prepare(examples, before)
	if err := t.judgeUnseen(); err != nil {
		return nil, err
	}
	m, rows := t.learn(passes, func(*lesson) bool { return true })
	m.Judge = t.decide()
	return m.bytes(rows)
}

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
	slices.Sort(t.hashes)
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

// point is a text or a window with which side of an output it is on.
type point struct {
	vector
	right bool
	cost  float64
}

// points are those that output k learns from: windows for risks and rungs, whole
// texts for the others.
func (t *training) points(k int, take func(*lesson) bool) (all []point) {
	group, first := 0, intents
	switch {
	case k >= tones:
		group, first = 1, tones
	case k >= wishes && k < rungs:
		group, first = 2, wishes
	case k >= tempers && k < wishes:
		group, first = 1, tempers
	}
	for i := range t.lessons {
		l := &t.lessons[i]
		if !take(l) {
			continue
		}
		switch {
		case k < docOutputs:
			// Of a long text, in which nearly all windows say nothing, each counts less.
			share := l.weight / math.Sqrt(float64(len(l.windows)))
			for i := range l.windows {
				switch w := &l.windows[i]; w.right[k] {
				case 1:
					all = append(all, point{w.vector, true, l.weight})
				case 0:
					all = append(all, point{w.vector, false, share})
				}
			}
		case k >= rungs && k < tones:
			for i := range l.windows {
				if w := &l.windows[i]; w.rung >= 0 {
					all = append(all, point{w.vector, w.rung == k-rungs, l.weight})
				}
			}
		case l.class[group] >= 0:
			all = append(all, point{l.whole, l.class[group] == k-first, l.weight})
		}
	}
	return all
}

// balance makes both sides of an output count alike, within bounds.
func balance(all []point) {
	var sides [2]float64
	side := func(right bool) int {
		if right {
			return 1
		}
		return 0
	}
	for i := range all {
		sides[side(all[i].right)] += all[i].cost
	}
	total := sides[0] + sides[1]
	for i := range all {
		all[i].cost *= cost * min(total/(2*sides[side(all[i].right)]), maxSkew)
	}
}

// learn teaches a first step those lessons that take holds for, and returns it
// as a model without a second step.
func (t *training) learn(passes int, take func(*lesson) bool) (*modelHeader, []byte) {
	m := &modelHeader{}
	var w [outputs][]float64
	var wg sync.WaitGroup
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	for k := range outputs {
		if k >= tones && t.prior != nil {
			w[k] = t.toneOf(k)
			m.Bias[k] = t.prior.Bias[k]
			continue
		}
		free <- struct{}{}
		wg.Go(func() {
			all := t.points(k, take)
			balance(all)
			var bias float64
			w[k], bias = regress(all, len(t.hashes), passes)
			m.Bias[k] = float32(bias)
			for i := range w[k] {
				w[k][i] *= t.counts[i]
			}
			<-free
		})
	}
	wg.Wait()
	return m, t.rows(m, &w)
}

// toneOf is what the prior says of output k, by row.
func (t *training) toneOf(k int) []float64 {
	w := make([]float64, len(t.hashes))
	for i, h := range t.hashes {
		if r := t.prior.table.find(h); r != nil {
			w[i] = float64(weightOf(r, k)) * float64(t.prior.Scale[k])
		}
	}
	return w
}

// regress returns the weights, by row, and the bias of a logistic regression of
// all points, with half the square of the weights as the price of large ones.
// It is the dual coordinate descent of Yu, Huang and Lin, "Dual coordinate
// descent methods for logistic regression and maximum entropy models" (2011).
func regress(all []point, rows, passes int) (w []float64, bias float64) {
	w = make([]float64, rows)
	alpha := make([][2]float64, len(all))
	move := func(p *point, by float64) {
		for i, r := range p.rows {
			w[r] += by * float64(p.values[i])
		}
		bias += by
	}
	sign := func(p *point) float64 {
		if p.right {
			return 1
		}
		return -1
	}
	order := make([]int32, len(all))
	squares := make([]float64, len(all))
	for i := range all {
		p := &all[i]
		order[i] = int32(i)
		first := min(1e-3*p.cost, 1e-8)
		alpha[i] = [2]float64{first, p.cost - first}
		squares[i] = 1 // of the bias
		for _, x := range p.values {
			squares[i] += float64(x) * float64(x)
		}
		move(p, first*sign(p))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range passes {
		rng.Shuffle(len(order), func(i, k int) { order[i], order[k] = order[k], order[i] })
		for _, i := range order {
			p, a, y := &all[i], squares[i], sign(&all[i])
			b := bias
			for k, r := range p.rows {
				b += w[r] * float64(p.values[k])
			}
			b *= y
			one, s := 0, 1.0
			if 0.5*a*(alpha[i][1]-alpha[i][0])+b < 0 {
				one, s = 1, -1
			}
			old := alpha[i][one]
			z := old
			if p.cost-z < 0.5*p.cost {
				z *= 0.1
			}
			g := a*(z-old) + s*b + math.Log(z/(p.cost-z))
			moved := false
			for n := 0; n < 20 && math.Abs(g) > 1e-3; n++ {
				moved = true
				if next := z - g/(a+p.cost/(p.cost-z)/z); next <= 0 {
					z *= 0.1
				} else {
					z = next
				}
				g = a*(z-old) + s*b + math.Log(z/(p.cost-z))
			}
			if moved {
				alpha[i][one], alpha[i][1-one] = z, p.cost-z
				move(p, s*(z-old)*y)
			}
		}
	}
	return w, bias
}

// rows are the weights in steps of m's scale, which it sets, of the rows that
// say something.
func (t *training) rows(m *modelHeader, w *[outputs][]float64) []byte {
	for k := range w {
		top := 1e-9
		for _, x := range w[k] {
			top = max(top, math.Abs(x))
		}
		m.Scale[k] = float32(top / 127)
	}
	var rows []byte
	for i, h := range t.hashes {
		var row [rowBytes]byte
		loudest := 0.0
		for k := range w {
			row[k] = byte(128 + int(math.Round(w[k][i]/float64(m.Scale[k]))))
			loudest = max(loudest, math.Abs(w[k][i]))
		}
		row[countByte] = byte(128 + int(math.Round(t.counts[i]*t.counts[i]*countSteps)))
		binary.LittleEndian.PutUint32(row[hashByte:], h)
		if loudest >= faint {
			rows = append(rows, row[:]...)
		}
	}
	m.About.Rows = len(rows) / rowBytes
	for i := range t.lessons {
		if t.lessons[i].lang == 0 {
			m.About.Japanese++
		} else {
			m.About.English++
		}
	}
	return rows
}

// judgeUnseen fills the inputs of each lesson with what a first step says that
// has not seen the lessons of its fold.
func (t *training) judgeUnseen() error {
	d := t.c.newDocument()
	var v mention.Verdict
	for fold := range folds {
		header, rows := t.learn(hasty, func(l *lesson) bool { return l.fold != fold })
		m := &model{modelHeader: *header}
		if err := m.table.fill(rows); err != nil {
			return err
		}
		for i := range t.lessons {
			if l := &t.lessons[i]; l.fold == fold {
				t.c.findings(d, &l.example.Mention, &v)
				m.read(d)
				l.inputs = *d.inputs()
			}
		}
	}
	return nil
}

// How the second step learns.
const (
	judgeEpochs = 12
	judgeRate   = 0.03
	judgeForget = 3e-4 // towards what the first step says
)

// evened is how far rare intents, sentiments and dispositions are brought up to
// common ones: 0 not at all, 1 wholly.
var evened = [3]float64{0, 0.8, 0.4}

// decide learns the second step of each language.
func (t *training) decide() (all [len(languages)]judgement) {
	for i := range languages {
		var lessons []*lesson
		for k := range t.lessons {
			if t.lessons[k].lang == i {
				lessons = append(lessons, &t.lessons[k])
			}
		}
		all[i] = decide(lessons)
	}
	return all
}

func decide(lessons []*lesson) (j judgement) {
	var w, squares [decisions][inputs + 1]float64
	for k := range decisions {
		w[k][k] = 1
	}
	rarer := rarities(lessons)
	rng := rand.New(rand.NewPCG(3, 4))
	for range judgeEpochs {
		rng.Shuffle(len(lessons), func(i, k int) { lessons[i], lessons[k] = lessons[k], lessons[i] })
		for _, l := range lessons {
			p := scores(&w, &l.inputs)
			var miss [decisions]float64
			for k := range docOutputs {
				if l.right[k] != unknown {
					miss[k] = sigmoid(p[k]) - float64(l.right[k])
				}
			}
			for i, group := range [3][2]int{{intents, tempers}, {tempers, wishes}, {wishes, rungs}} {
				if l.class[i] < 0 {
					continue
				}
				softmax(p[group[0]:group[1]])
				for k := group[0]; k < group[1]; k++ {
					miss[k] = p[k] * rarer[i][l.class[i]]
				}
				miss[group[0]+l.class[i]] -= rarer[i][l.class[i]]
			}
			for k := range decisions {
				if miss[k] == 0 {
					continue
				}
				for i := range inputs + 1 {
					x := 1.0
					if i < inputs {
						x = l.inputs[i]
					}
					if x == 0 {
						continue
					}
					start := 0.0
					if i == k {
						start = 1
					}
					g := miss[k]*l.weight*x + judgeForget*(w[k][i]-start)
					squares[k][i] += g * g
					w[k][i] -= judgeRate * g / math.Sqrt(squares[k][i]+1e-2)
				}
			}
		}
	}
	for k := range decisions {
		for i := range inputs + 1 {
			j.Weight[i][k] = float32(w[k][i])
		}
	}
	for k := range risks {
		j.Tell[k] = threshold(lessons, &w, k)
	}
	for i := range Pageable {
		j.Page[i] = threshold(lessons, &w, firstPage+i)
	}
	return j
}

// rarities is how much more a lesson counts whose intent, sentiment or
// disposition is rare: rare ones must be found too.
func rarities(lessons []*lesson) (all [3][6]float64) {
	var total [3]float64
	for _, l := range lessons {
		for i, class := range l.class {
			if class >= 0 {
				all[i][class]++
				total[i]++
			}
		}
	}
	for i, classes := range [3]int{len(mention.Intents), len(mention.Sentiments), len(mention.Dispositions)} {
		for k := range classes {
			if all[i][k] > 0 {
				all[i][k] = math.Pow(total[i]/float64(classes)/all[i][k], evened[i])
			}
		}
	}
	return all
}

func scores(w *[decisions][inputs + 1]float64, x *[inputs]float64) (p [decisions]float64) {
	for k := range p {
		p[k] = w[k][inputs]
		for i, v := range x {
			p[k] += w[k][i] * v
		}
	}
	return p
}

// common is how much more an ordinary text counts when thresholds are found: a
// brand's day is made of them.
const common = 12

// threshold returns the highest probability of output k from which telling it
// gives nearly the best F1: what wakes people errs on the side of sleep. 0.5
// where too few texts decide.
func threshold(lessons []*lesson, w *[decisions][inputs + 1]float64, k int) float32 {
	type judged struct {
		p      float64
		right  bool
		weight float64
	}
	var all []judged
	total := 0.0
	for _, l := range lessons {
		if l.right[k] == unknown {
			continue
		}
		j := judged{sigmoid(scores(w, &l.inputs)[k]), l.right[k] == 1, l.weight}
		if len(l.example.Risks) == 0 && len(l.example.Not) == 0 {
			j.weight *= common
		}
		if j.right {
			total += j.weight
		}
		all = append(all, j)
	}
	if total < 20 {
		return 0.5
	}
	f1 := func(t float64) float64 {
		hits, told := 0.0, 0.0
		for _, j := range all {
			if j.p >= t {
				if told += j.weight; j.right {
					hits += j.weight
				}
			}
		}
		return 2 * hits / (told + total)
	}
	const steps = 60
	best := 0.0
	var at [steps]float64
	for i := range at {
		at[i] = f1(0.1 + 0.8*float64(i)/steps)
		best = max(best, at[i])
	}
	high := 0
	for i, f := range at {
		if f >= best-0.01 {
			high = i
		}
	}
	return float32(0.1 + 0.8*float64(high)/steps)
}
