package classify

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"sync"

	"github.com/earshot/earshot/pkg/mention"
)

// How the first step learns.
const (
	enough  = 3     // texts that a feature must be in
	folds   = 5     // see [training.judgeUnseen]
	cost    = 120.0 // of an error, against large weights
	passes  = 8     // over all texts
	hasty   = 6     // passes of first steps that only judge what is unseen
	faint   = 12.0  // rows without a weight of this size, by what a feature counts, are left out: half, which verdicts don't miss
	maxSkew = 30.0  // how much more the rarer side of an output may count
)

// groups are outputs that are learned from the same points: those of windows, of
// windows in which something is threatened, and of whole texts. The tones are the
// prior's; what makes a prior learns them too.
var groups = [...]struct{ first, end int }{{0, docOutputs}, {rungs, tones}, {intents, rungs}, {tones, outputs}}

// regression is what the group of outputs from first to end is learned from.
func (t *training) regression(first, end int, take func(*lesson) bool) *regression {
	r := &regression{outputs: end - first, rows: len(t.hashes)}
	for i := range t.lessons {
		l := &t.lessons[i]
		if !take(l) {
			continue
		}
		// Of a long text, in which nearly all windows say nothing, each counts less.
		share := l.weight / math.Sqrt(float64(len(l.windows)))
		switch first {
		case 0:
			for i := range l.windows {
				w := &l.windows[i]
				p := point{vector: w.vector, cost: [2]float64{share, l.weight}}
				copy(p.side[:], w.right[:])
				r.points = append(r.points, p)
			}
		case rungs:
			for i := range l.windows {
				if w := &l.windows[i]; w.rung >= 0 {
					p := point{vector: w.vector, cost: [2]float64{l.weight, l.weight}}
					p.side[w.rung] = 1
					r.points = append(r.points, p)
				}
			}
		case intents:
			p := point{vector: l.whole, cost: [2]float64{l.weight, l.weight}}
			p.classes(0, tempers-first, l.class[0])
			p.classes(tempers-first, wishes-first, l.class[1])
			p.classes(wishes-first, rungs-first, l.class[2])
			r.points = append(r.points, p)
		case tones:
			p := point{vector: l.whole, cost: [2]float64{l.weight, l.weight}}
			p.classes(0, outputs-first, l.class[1])
			r.points = append(r.points, p)
		}
	}
	r.balance()
	return r
}

// classes says which of the outputs from first to end, of which at most one is
// right, is.
func (p *point) classes(first, end, class int) {
	for k := first; k < end; k++ {
		p.side[k] = 0
		if class < 0 {
			p.side[k] = unknown
		}
	}
	if class >= 0 {
		p.side[first+class] = 1
	}
}

// learn teaches a first step those lessons that take holds for, and returns it
// as a model without a second step. Its weights are the mean of two trainings',
// which err in different texts: in one all features may weigh alike, in the other
// those that tell much alone may weigh more.
func (t *training) learn(passes int, take func(*lesson) bool) (*modelHeader, []byte) {
	m := &modelHeader{}
	var w [outputs][]float64
	var wg sync.WaitGroup
	for _, g := range groups {
		if g.first == tones && t.prior != nil {
			for k := g.first; k < g.end; k++ {
				w[k] = t.toneOf(k)
				m.Bias[k] = t.prior.Bias[k]
			}
			continue
		}
		wg.Go(func() {
			r := t.regression(g.first, g.end, take)
			var even, uneven []weightRow
			var bias, unevenBias [wide]float64
			var both sync.WaitGroup
			both.Go(func() { even, bias = r.weights(nil, passes) })
			both.Go(func() { uneven, unevenBias = r.weights(r.tellings(), passes) })
			both.Wait()
			for k := range r.outputs {
				m.Bias[g.first+k] = float32((bias[k] + unevenBias[k]) / 2)
				w[g.first+k] = make([]float64, len(t.hashes))
				for i, count := range t.counts {
					w[g.first+k][i] = float64(even[i][k]+uneven[i][k]) / 2 * count
				}
			}
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
	order := make([]int, len(t.hashes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(t.hashes[a], t.hashes[b]) })
	var rows []byte
	for _, i := range order {
		var row [rowBytes]byte
		loudest := 0.0
		for k := range w {
			row[k] = byte(128 + int(math.Round(w[k][i]/float64(m.Scale[k]))))
			loudest = max(loudest, math.Abs(w[k][i]))
		}
		row[countByte] = byte(128 + int(math.Round(t.counts[i]*t.counts[i]*countSteps)))
		binary.LittleEndian.PutUint32(row[hashByte:], t.hashes[i])
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
// has not seen the lessons of its fold. It returns these, by fold.
func (t *training) judgeUnseen() (all [folds]*model, err error) {
	d := t.c.newDocument()
	var v mention.Verdict
	for fold := range folds {
		header, rows := t.learn(hasty, func(l *lesson) bool { return l.fold != fold })
		m := &model{modelHeader: *header}
		if err := m.table.fill(rows); err != nil {
			return all, err
		}
		all[fold] = m
		for i := range t.lessons {
			if l := &t.lessons[i]; l.fold == fold {
				t.c.findings(d, &l.example.Mention, &v)
				m.read(d)
				l.inputs = *d.inputs()
			}
		}
	}
	return all, nil
}
