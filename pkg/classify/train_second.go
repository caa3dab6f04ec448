package classify

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/earshot/earshot/pkg/mention"
)

// How the second step learns.
const (
	judgeEpochs = 12
	judgeRate   = 0.03
	judgeForget = 3e-4 // towards what the first step says
)

// evened is how far rare intents, sentiments and dispositions are brought up to
// common ones: 0 not at all, 1 wholly.
var evened = [3]float64{0, 0.8, 0.6}

// decide learns the second step of each language from those lessons that take
// holds for.
func (t *training) decide(take func(*lesson) bool) (all [len(languages)]judgement) {
	var wg sync.WaitGroup
	for i := range languages {
		wg.Go(func() {
			var lessons []*lesson
			for k := range t.lessons {
				if l := &t.lessons[k]; l.lang == i && take(l) {
					lessons = append(lessons, l)
				}
			}
			all[i] = decide(lessons)
		})
	}
	wg.Wait()
	all[slices.Index(languages[:], english)].hearAtLarge()
	return all
}

// hearAtLarge makes sentiments also go by how English words sound to anybody. The
// corpus teaches sentiment towards a brand, and that most other feeling is
// neutral; on posts unlike it, words that are plainly glad or sore are right more
// often than what was learned. On TweetEval's tweets, from which nothing is
// learned, it lifts macro-recall by 0.1, and costs 0.01 on the corpus.
func (j *judgement) hearAtLarge() {
	const (
		sound = 2.0 // of the lexicon's words
		tone  = 0.1 // of the prior's
		plain = 0.3 // against neutral
	)
	for k, s := range mention.Sentiments {
		switch s {
		case mention.Negative:
			j.Weight[inSignals+sSore][tempers+k] += sound
		case mention.Positive:
			j.Weight[inSignals+sGlad][tempers+k] += sound
		case mention.Neutral:
			j.Weight[inputs][tempers+k] -= plain
		}
		j.Weight[inTones+k][tempers+k] += tone
	}
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
