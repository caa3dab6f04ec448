package classify

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"runtime"
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

// tellings are, by row, how well a feature alone tells the sides of balanced
// points apart: by how much more of it is on one side than on the other, as in
// Wang and Manning, "Baselines and Bigrams: Simple, Good Sentiment and Topic
// Classification" (2012).
func tellings(all []point, rows int) []float64 {
	const (
		none   = 0.1 // is added to both sides, so that rare features tell little
		most   = 4.0 // logarithm of how much more
		factor = 0.7
	)
	right, wrong := make([]float64, rows), make([]float64, rows)
	var sumRight, sumWrong float64
	for i := range all {
		p := &all[i]
		side, sum := wrong, &sumWrong
		if p.right {
			side, sum = right, &sumRight
		}
		for k, r := range p.rows {
			x := float64(p.values[k]) * p.cost / cost
			side[r] += x
			*sum += x
		}
	}
	scale := make([]float64, rows)
	if sumRight == 0 || sumWrong == 0 {
		return scale
	}
	for r := range scale {
		more := math.Log((right[r] + none) / (wrong[r] + none) * sumWrong / sumRight)
		scale[r] = factor * min(math.Abs(more), most)
	}
	return scale
}

// scaled is all with the values of each row times its scale.
func scaled(all []point, scale []float64) []point {
	out := slices.Clone(all)
	for i := range out {
		p := &out[i]
		values := make([]float32, len(p.values))
		for k, r := range p.rows {
			values[k] = p.values[k] * float32(scale[r])
		}
		p.values = values
	}
	return out
}

// learn teaches a first step those lessons that take holds for, and returns it
// as a model without a second step. Its weights are the mean of two trainings',
// which err in different texts: in one all features may weigh alike, in the other
// those that tell much alone may weigh more.
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
			even, bias := regress(all, len(t.hashes), passes)
			telling := tellings(all, len(t.hashes))
			uneven, unevenBias := regress(scaled(all, telling), len(t.hashes), passes)
			w[k] = even
			m.Bias[k] = float32((bias + unevenBias) / 2)
			for i := range even {
				even[i] = (even[i] + uneven[i]*telling[i]) / 2 * t.counts[i]
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
