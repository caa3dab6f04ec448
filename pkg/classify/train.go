package classify

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/earshot/earshot/pkg/mention"
)

// An Example is a mention with what people say of it. An empty label teaches
// nothing.
type Example struct {
	Mention     mention.Mention
	Intent      mention.Intent
	Sentiment   mention.Sentiment
	Disposition mention.Disposition
	// Weight is how much the example counts; 0 counts as 1.
	Weight float64
}

// Train returns a model for [Options.Model] that has learned intents,
// sentiments and dispositions from examples, with c's rules as its signals. The same examples and
// rules give the same bytes on machines of one architecture. A thousand examples
// take about a second.
func (c *Classifier) Train(examples []Example) []byte {
	t := &training{}
	lessons := make([]lesson, len(examples))
	for i := range examples {
		lessons[i] = c.lesson(&examples[i])
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range epochs {
		for _, i := range rng.Perm(len(lessons)) {
			t.learn(&lessons[i])
		}
	}
	return t.bytes()
}

// How the weights move: AdaGrad with a little forgetting.
const (
	epochs       = 3 // more learns the texts by heart and claims too much
	gramRate     = 0.3
	signalRate   = 0.2
	gramForget   = 1e-5
	signalForget = 1e-4
)

// lesson is an example as the model sees it; an unknown class is -1.
type lesson struct {
	grams       []uint16
	signals     [signalCount]float64
	intent      int
	sentiment   int
	disposition int
	weight      float64
}

func (c *Classifier) lesson(e *Example) lesson {
	d := c.newDocument()
	v := mention.Verdict{}
	mood := c.findings(d, &e.Mention, &v)
	l := lesson{
		grams: d.readGrams(), signals: *c.signals(d, &e.Mention, mood, &v),
		intent: slices.Index(mention.Intents, e.Intent), sentiment: slices.Index(mention.Sentiments, e.Sentiment),
		disposition: slices.Index(mention.Dispositions, e.Disposition), weight: e.Weight,
	}
	if l.weight == 0 {
		l.weight = 1
	}
	return l
}

// weight is a parameter with the sum of its squared gradients.
type weight struct{ value, squares float64 }

func (w *weight) step(gradient, rate, forget float64) {
	gradient += forget * w.value
	w.squares += gradient * gradient
	w.value -= rate * gradient / math.Sqrt(w.squares+1e-2)
}

type training struct {
	grams   [1 << gramBits][classes]weight
	signals [signalCount][classes]weight
	bias    [classes]weight
}

func (t *training) learn(l *lesson) {
	norm := gramNorm(len(l.grams))
	var p [classes]float64
	for k := range p {
		for _, g := range l.grams {
			p[k] += t.grams[g][k].value
		}
		p[k] = p[k]*norm + t.bias[k].value
		for i, x := range l.signals {
			p[k] += t.signals[i][k].value * x
		}
	}
	t.adjust(l, p[:intents], 0, l.intent, norm)
	t.adjust(l, p[intents:tempers], intents, l.sentiment, norm)
	t.adjust(l, p[tempers:], tempers, l.disposition, norm)
}

// adjust moves the weights of the classes from first, whose scores are p.
func (t *training) adjust(l *lesson, p []float64, first, right int, norm float64) {
	if right < 0 {
		return
	}
	softmax(p)
	for i := range p {
		k := first + i
		miss := p[i]
		if i == right {
			miss--
		}
		miss *= l.weight
		for _, g := range l.grams {
			t.grams[g][k].step(miss*norm, gramRate, gramForget)
		}
		for s, x := range l.signals {
			if x != 0 {
				t.signals[s][k].step(miss*x, signalRate, signalForget)
			}
		}
		t.bias[k].step(miss, gramRate, gramForget)
	}
}

func (t *training) bytes() []byte {
	top := 1e-9
	for i := range t.grams {
		for k := range classes {
			top = max(top, math.Abs(t.grams[i][k].value))
		}
	}
	h := header{Magic: modelMagic, Scale: float32(top / 127)}
	for k := range classes {
		h.Bias[k] = float32(t.bias[k].value)
		for i := range h.Signals {
			h.Signals[i][k] = float32(t.signals[i][k].value)
		}
	}
	var out bytes.Buffer
	_ = binary.Write(&out, binary.LittleEndian, &h) // a buffer takes everything
	for i := range t.grams {
		for k := range classes {
			out.WriteByte(byte(int8(math.Round(t.grams[i][k].value / top * 127))))
		}
	}
	return out.Bytes()
}
