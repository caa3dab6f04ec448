package classify

import (
	"math"
	"math/rand/v2"
)

// wide is how many outputs are learned side by side at most: what a row weighs
// for all of them is then one line of the processor's cache, and to fetch it is
// what learning spends its time on.
const wide = 16

// weightRow is what a row weighs, or counts, for each output.
type weightRow [wide]float32

// point is a text or a window with which side it is on of each of some outputs:
// 1, 0 or unknown.
type point struct {
	vector
	side [wide]int8
	cost [2]float64 // of an error on each side
}

// A regression is what some outputs are learned from.
type regression struct {
	points  []point
	outputs int
	rows    int
	dear    [wide][2]float64 // how much more an error costs on each side of an output
}

// balance makes both sides of each output count alike, within bounds.
func (r *regression) balance() {
	for k := range r.outputs {
		var sides [2]float64
		for i := range r.points {
			if side := r.points[i].side[k]; side != unknown {
				sides[side] += r.points[i].cost[side]
			}
		}
		for side, sum := range sides {
			r.dear[k][side] = cost * min((sides[0]+sides[1])/(2*sum), maxSkew)
		}
	}
}

// tellings are, by row, how well a feature alone tells the sides of balanced
// points apart: by how much more of it is on one side than on the other, as in
// Wang and Manning, "Baselines and Bigrams: Simple, Good Sentiment and Topic
// Classification" (2012).
func (r *regression) tellings() []weightRow {
	const (
		none   = 0.1 // is added to both sides, so that rare features tell little
		most   = 4.0 // logarithm of how much more
		factor = 0.7
	)
	var sides [2][][wide]float64
	var sums [2][wide]float64
	for side := range sides {
		sides[side] = make([][wide]float64, r.rows)
	}
	for i := range r.points {
		p := &r.points[i]
		for k := range r.outputs {
			side := p.side[k]
			if side == unknown {
				continue
			}
			c := p.cost[side] * r.dear[k][side] / cost
			for i, row := range p.rows {
				x := float64(p.values[i]) * c
				sides[side][row][k] += x
				sums[side][k] += x
			}
		}
	}
	scale := make([]weightRow, r.rows)
	for k := range r.outputs {
		if sums[0][k] == 0 || sums[1][k] == 0 {
			continue
		}
		for row := range scale {
			more := math.Log((sides[1][row][k] + none) / (sides[0][row][k] + none) * sums[0][k] / sums[1][k])
			scale[row][k] = float32(factor * min(math.Abs(more), most))
		}
	}
	return scale
}

// weights returns, by row and output, the weights and the biases of logistic
// regressions of the points, with half the square of the weights as the price of
// large ones. With a scale, the values of a row count that much more, and their
// weights with them.
//
// It is the dual coordinate descent of Yu, Huang and Lin, "Dual coordinate
// descent methods for logistic regression and maximum entropy models" (2011),
// for all outputs in one pass over the points.
func (r *regression) weights(scale []weightRow, passes int) (w []weightRow, bias [wide]float64) {
	w = make([]weightRow, r.rows)
	if scale != nil {
		scale = squares(scale)
	}
	duals := make([][wide][2]float64, len(r.points))
	norms := make([]weightRow, len(r.points))
	order := make([]int32, len(r.points))
	for i := range r.points {
		p := &r.points[i]
		order[i] = int32(i)
		norms[i] = p.norms(scale)
		for k := range r.outputs {
			if side := p.side[k]; side != unknown {
				c := p.cost[side] * r.dear[k][side]
				first := min(1e-3*c, 1e-8)
				duals[i][k] = [2]float64{first, c - first}
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range passes {
		rng.Shuffle(len(order), func(i, k int) { order[i], order[k] = order[k], order[i] })
		for _, i := range order {
			p := &r.points[i]
			says := p.times(w)
			for k := range r.outputs {
				if p.side[k] == unknown {
					continue
				}
				sign := float64(2*p.side[k] - 1)
				by := sign * descend(&duals[i][k], float64(norms[i][k]), sign*(float64(says[k])+bias[k]))
				if by != 0 {
					p.move(w, scale, k, float32(by))
					bias[k] += by
				}
			}
		}
	}
	return w, bias
}

// descend moves a pair of dual variables, whose sum is the cost of an error, to
// where the dual is least while all others stay, and returns by how much the
// first has grown. norm is the square of the point, margin how far it is on its
// side.
func descend(dual *[2]float64, norm, margin float64) float64 {
	const near = 1e-3
	c := dual[0] + dual[1]
	one, s := 0, 1.0
	if 0.5*norm*(dual[1]-dual[0])+margin < 0 {
		one, s = 1, -1
	}
	old := dual[one]
	z := old
	if c-z < 0.5*c {
		z *= 0.1
	}
	slope := func() float64 { return norm*(z-old) + s*margin + math.Log(z/(c-z)) }
	g := slope()
	if math.Abs(g) <= near {
		return 0
	}
	for n := 0; n < 20 && math.Abs(g) > near; n++ {
		if next := z - g/(norm+c/(c-z)/z); next <= 0 {
			z *= 0.1
		} else {
			z = next
		}
		g = slope()
	}
	dual[one], dual[1-one] = z, c-z
	return s * (z - old)
}

func squares(all []weightRow) []weightRow {
	out := make([]weightRow, len(all))
	for i := range all {
		for k, x := range all[i] {
			out[i][k] = x * x
		}
	}
	return out
}

// times is what weights say of the point.
func (p *point) times(w []weightRow) (sum weightRow) {
	for i, row := range p.rows {
		x := p.values[i]
		for k, weight := range &w[row] {
			sum[k] += x * weight
		}
	}
	return sum
}

// norms are the squares of the point, with that of the bias, where the square of
// a value counts so much more as scale says, if it isn't nil.
func (p *point) norms(scale []weightRow) (sum weightRow) {
	for k := range sum {
		sum[k] = 1
	}
	for i, row := range p.rows {
		x := p.values[i] * p.values[i]
		for k := range sum {
			if scale == nil {
				sum[k] += x
			} else {
				sum[k] += x * scale[row][k]
			}
		}
	}
	return sum
}

// move makes weights say by more of the point, for one output.
func (p *point) move(w, scale []weightRow, k int, by float32) {
	for i, row := range p.rows {
		x := by * p.values[i]
		if scale != nil {
			x *= scale[row][k]
		}
		w[row][k] += x
	}
}
