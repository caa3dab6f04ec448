package classify

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"

	"github.com/earshot/earshot/pkg/mention"
)

// model weighs features into the probabilities of everything a verdict says.
// It is linear, in two steps. First each feature speaks for or against each
// output: risks, and whether they page, are read in windows of a few sentences,
// of which the loudest counts, so that a threat is not drowned by the rest of a
// long text; intents, sentiments and dispositions are read over the whole text.
// Then, for each language, the outputs are weighed against each other and
// against what is known of the whole text, which also makes them probabilities.
type model struct {
	modelHeader
	id    [sha256.Size]byte // of the header, and so of the rows' sum
	table table
}

// The outputs of the first step. Windows have outputs below docOutputs and
// rungs, texts those between.
const (
	risks      = 12
	firstPage  = risks         // Pageable, in its order
	docOutputs = firstPage + 3 //
	intents    = docOutputs    // mention.Intents
	tempers    = intents + 6   // mention.Sentiments
	wishes     = tempers + 3   // mention.Dispositions
	rungs      = wishes + 3    // mention.Rungs
	tones      = rungs + 5     // mention.Sentiments again, of English at large: the prior's
	outputs    = tones + 3
	decisions  = rungs   // outputs of the second step: all but rungs and tones
	countByte  = outputs // of a row: the square of what its feature counts
	rowBytes   = (countByte + 1 + 4 + 7) / 8 * 8
	hashByte   = rowBytes - 4 // where the hash of its feature begins
)

// Pageable are the risks that page only if more holds than that they are there:
// injury or fire, a threat that is stated by somebody with a grievance.
var Pageable = [...]mention.Category{mention.SafetyHazard, mention.PublicityThreat, mention.LegalThreat}

// languages that the second step tells apart; texts in others go by the last.
var languages = [...]string{japanese, english}

// modelHeader is a model but for its rows. It is stored as gob.
type modelHeader struct {
	Scale [outputs]float32 // what one step of a row's byte is worth
	Bias  [outputs]float32
	Judge [len(languages)]judgement
	Sum   uint32 // of the rows
	// About is the model card: see [ModelCard].
	About ModelCard
}

// judgement is the second step for one language: weights of the inputs, of which
// the last is constant, and from which probability a risk is told, and pages.
type judgement struct {
	Weight [inputs + 1][decisions]float32
	Tell   [risks]float32
	Page   [len(Pageable)]float32
}

// The inputs of the second step.
const (
	inTones   = rungs // after the outputs of the first
	inSignals = inTones + 3
	inRules   = inSignals + signalCount // what the rules say of the risks
	inputs    = inRules + risks
)

// ModelCard says what a model was made from.
type ModelCard struct {
	// Japanese and English are how many texts it learned from.
	Japanese, English int
	// Rows is how many features have a weight.
	Rows int
}

//go:embed model.bin
var embeddedModel []byte

//go:embed prior.bin.gz
var prior []byte

// Prior is the model that the embedded one started from: it knows only how
// English words feel. See corpus/README.md for where it is from.
func Prior() []byte { return prior }

// What a feature counts: the rarer it is, the more, up to maxCount. Its square is
// kept in steps.
const (
	maxCount   = 9.2
	countSteps = 1.5
)

// A model is a line that names the format, the length of the header, the header
// as gob, and the rows, by ascending hash. The rows are read in place, so that a
// model costs little time to load and little memory.
const modelMagic = "earshot model 5\n"

// readModel reads a model, which must not change afterwards; it may be
// compressed with gzip.
func readModel(data []byte) (*model, error) {
	if z, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
		if data, err = io.ReadAll(io.LimitReader(z, maxModel)); err != nil {
			return nil, fmt.Errorf("model: %w", err)
		}
	}
	if len(data) < len(modelMagic)+4 || string(data[:len(modelMagic)]) != modelMagic {
		return nil, errors.New("model: not one of this version; train it anew with earshot train")
	}
	data = data[len(modelMagic):]
	size := binary.LittleEndian.Uint32(data)
	if uint64(size) > uint64(len(data)-4) {
		return nil, errors.New("model: cut off")
	}
	m := &model{id: sha256.Sum256(data[4 : 4+size])}
	if err := gob.NewDecoder(bytes.NewReader(data[4 : 4+size])).Decode(&m.modelHeader); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	rows := data[4+size:]
	if len(rows) != m.About.Rows*rowBytes {
		return nil, fmt.Errorf("model: %d bytes of rows, want %d", len(rows), m.About.Rows*rowBytes)
	}
	if crc32.ChecksumIEEE(rows) != m.Sum {
		return nil, errors.New("model: damaged")
	}
	return m, m.table.fill(rows)
}

// maxModel bounds what a compressed model may become.
const maxModel = 256 << 20

// set puts the thresholds of o in force.
func (m *model) set(o *Options) error {
	put := func(what string, all map[mention.Category]float64, of []mention.Category, to func(*judgement, int) *float32) error {
		for category, p := range all {
			k := slices.Index(of, category)
			switch {
			case k < 0:
				return fmt.Errorf("%s: there is no %q; there are %v", what, category, of)
			case !(p > 0 && p <= 1): // NaN too
				return fmt.Errorf("%s: %s: %v is not above 0 and at most 1", what, category, p)
			}
			for i := range m.Judge {
				*to(&m.Judge[i], k) = float32(p)
			}
		}
		return nil
	}
	return errors.Join(
		put("tell", o.Tell, mention.Categories, func(j *judgement, k int) *float32 { return &j.Tell[k] }),
		put("page", o.Page, Pageable[:], func(j *judgement, k int) *float32 { return &j.Page[k] }),
	)
}

// bytes returns the model of m with rows, as table.fill takes them.
func (m *modelHeader) bytes(rows []byte) ([]byte, error) {
	m.Sum = crc32.ChecksumIEEE(rows)
	var header bytes.Buffer
	if err := gob.NewEncoder(&header).Encode(m); err != nil {
		return nil, err
	}
	out := binary.LittleEndian.AppendUint32([]byte(modelMagic), uint32(header.Len()))
	return append(append(out, header.Bytes()...), rows...), nil
}

// norm makes all texts speak equally loud, given the sum of the squares of what
// their features count.
func norm(squares float64) float64 { return 1 / math.Sqrt(squares+1) }

// reading is what the first step says of a text.
type reading struct {
	outputs [outputs]float64
	window  [docOutputs]window // where each window output is loudest
}

// window is some sentences, from first up to end.
type window struct{ first, end int32 }

// A window holds at least one sentence and goes on while it is not longer than
// this, in code points.
const (
	windowJapanese = 70
	windowLatin    = 180
)

// windows calls yield with every window of d: for each sentence the one that
// begins there, up to the one that reaches the end.
func (d *document) windows(yield func(w window) bool) {
	for i := range d.sents {
		w := window{int32(i), int32(i) + 1}
		room := int32(windowJapanese)
		if at := d.sents[i].start; at < int32(len(d.runes)) && isWord(d.runes[at]) {
			room = windowLatin
		}
		for int(w.end) < len(d.sents) && d.sents[w.end].end-d.sents[i].start <= room {
			w.end++
		}
		if !yield(w) || int(w.end) == len(d.sents) {
			return
		}
	}
}

// sentenceFeatures returns the features of sentence i.
func (d *document) sentenceFeatures(i int32) []feature {
	if int(i)+1 < len(d.sents) {
		return d.features[d.sents[i].features:d.sents[i+1].features]
	}
	return d.features[d.sents[i].features:]
}

// read is the first step, for the features of d.
func (m *model) read(d *document) *reading {
	r := &d.reading
	d.sums = d.sums[:0]
	var whole sums
	for i := range d.sents {
		s := m.table.sum(d.sentenceFeatures(int32(i)))
		whole.add(&s)
		d.sums = append(d.sums, s)
	}
	for k := range docOutputs {
		r.outputs[k] = math.Inf(-1)
	}
	var in sums
	held := window{}
	for w := range d.windows {
		for ; held.end < w.end; held.end++ {
			in.add(&d.sums[held.end])
		}
		for ; held.first < w.first; held.first++ {
			in.sub(&d.sums[held.first])
		}
		n := norm(in.counts())
		for k := range docOutputs {
			if x := float64(in[k])*float64(m.Scale[k])*n + float64(m.Bias[k]); x > r.outputs[k] {
				r.outputs[k], r.window[k] = x, w
			}
		}
		if r.window[publicity] == w {
			for k := rungs; k < tones; k++ {
				r.outputs[k] = float64(in[k])*float64(m.Scale[k])*n + float64(m.Bias[k])
			}
		}
	}
	n := norm(whole.counts())
	for k := docOutputs; k < outputs; k++ {
		if k < rungs || k >= tones {
			r.outputs[k] = float64(whole[k])*float64(m.Scale[k])*n + float64(m.Bias[k])
		}
	}
	return r
}

// judge returns the second step for texts in lang.
func (m *model) judge(lang string) *judgement {
	if i := slices.Index(languages[:], lang); i >= 0 {
		return &m.Judge[i]
	}
	return &m.Judge[len(languages)-1]
}

// probabilities is the second step: of each risk, of each Pageable risk that it
// pages, of the intents, sentiments and dispositions.
func (j *judgement) probabilities(d *document) (p [decisions]float64) {
	sum := j.Weight[inputs]
	for i, x := range d.inputs() {
		if x == 0 {
			continue
		}
		x := float32(x)
		for k, w := range &j.Weight[i] {
			sum[k] += w * x
		}
	}
	for k := range p {
		p[k] = float64(sum[k])
	}
	for k := range docOutputs {
		p[k] = sigmoid(p[k])
	}
	softmax(p[intents:tempers])
	softmax(p[tempers:wishes])
	softmax(p[wishes:rungs])
	return p
}

// inputs are the inputs of the second step.
func (d *document) inputs() *[inputs]float64 {
	x := &d.inputsOf
	for k := range rungs {
		x[k] = max(-loudest, min(loudest, d.reading.outputs[k]))
	}
	for k := range 3 {
		x[inTones+k] = d.reading.outputs[tones+k]
	}
	for i, s := range d.signals {
		x[inSignals+i] = s
	}
	for k := range risks {
		x[inRules+k] = d.ruled[k]
	}
	return x
}

// loudest bounds what the first step may say to the second.
const loudest = 12

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func softmax(p []float64) {
	top, total := p[0], 0.0
	for _, x := range p {
		top = max(top, x)
	}
	for i, x := range p {
		p[i] = math.Exp(x - top)
		total += p[i]
	}
	for i := range p {
		p[i] /= total
	}
}
