package classify

import (
	"bytes"
	"compress/gzip"
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
	rowBytes   = (countByte + 8) / 8 * 8
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
// as gob, and the rows: all hashes, then each row's bytes. The rows are read in
// place, so that a model costs no time to load and little memory.
const modelMagic = "earshot model 4\n"

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
	m := &model{}
	if err := gob.NewDecoder(bytes.NewReader(data[4 : 4+size])).Decode(&m.modelHeader); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	rows := data[4+size:]
	if len(rows) != m.About.Rows*(4+rowBytes) {
		return nil, fmt.Errorf("model: %d bytes of rows, want %d", len(rows), m.About.Rows*(4+rowBytes))
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

// row holds the weights of a feature for every output, a byte each, with 128
// for none.
type row *[rowBytes]byte

// table finds the row of a feature.
type table struct {
	// may has a bit for every hash that has a row: most features have none,
	// and these bits stay near the processor.
	may   [1 << (mayBits - 6)]uint64
	slots []slot // a power of two, at most half full
	rows  []byte
}

const mayBits = 20

type slot struct{ hash, row uint32 } // hash 0 for none

func (t *table) fill(data []byte) error {
	n := len(data) / (4 + rowBytes)
	size := 1
	for size < 2*n {
		size *= 2
	}
	t.slots, t.rows = make([]slot, size), data[4*n:]
	for i := range n {
		hash := binary.LittleEndian.Uint32(data[4*i:])
		s := hash & uint32(size-1)
		for t.slots[s].hash != 0 {
			if t.slots[s].hash == hash {
				return fmt.Errorf("model: two rows of hash %d", hash)
			}
			s = (s + 1) & uint32(size-1)
		}
		t.slots[s] = slot{hash, uint32(i)}
		t.may[hash>>(38-mayBits)] |= 1 << (hash >> (32 - mayBits) & 63)
	}
	return nil
}

// find returns the row of hash, nil if it has none.
func (t *table) find(hash uint32) row {
	if t.may[hash>>(38-mayBits)]>>(hash>>(32-mayBits)&63)&1 == 0 {
		return nil
	}
	mask := uint32(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		switch t.slots[i].hash {
		case hash:
			return row(t.rows[int(t.slots[i].row)*rowBytes:])
		case 0:
			return nil
		}
	}
}

// sums are the rows of a sentence, added up.
type sums [rowBytes]int32

// counts is the sum of the squares of what the features count.
func (s *sums) counts() float64 { return float64(s[countByte]) / countSteps }

func (s *sums) add(o *sums) {
	for k := range s {
		s[k] += o[k]
	}
}

func (s *sums) sub(o *sums) {
	for k := range s {
		s[k] -= o[k]
	}
}

// lanes is how many rows can be added before a lane of 16 bits is full.
const lanes = 256

// sum adds up the rows of features, four bytes at a time.
func (t *table) sum(features []feature) sums {
	var s sums
	const low = 0x00ff00ff00ff00ff
	for part := range slices.Chunk(features, lanes) {
		var a, b, c, d, e, f, g, h, i, j uint64 // stay in registers, as an array would not
		n := 0
		for k := range part {
			r := t.find(part[k].hash)
			if r == nil {
				continue
			}
			n++
			x := binary.LittleEndian.Uint64(r[0:8])
			a, b = a+x&low, b+x>>8&low
			x = binary.LittleEndian.Uint64(r[8:16])
			c, d = c+x&low, d+x>>8&low
			x = binary.LittleEndian.Uint64(r[16:24])
			e, f = e+x&low, f+x>>8&low
			x = binary.LittleEndian.Uint64(r[24:32])
			g, h = g+x&low, h+x>>8&low
			x = binary.LittleEndian.Uint64(r[32:40])
			i, j = i+x&low, j+x>>8&low
		}
		s.take(&[rowBytes / 4]uint64{a, b, c, d, e, f, g, h, i, j}, n)
	}
	return s
}

func (s *sums) take(acc *[rowBytes / 4]uint64, n int) {
	for k := range s {
		s[k] += int32(acc[k/8*2+k%2]>>(k%8/2*16)&0xffff) - int32(n*128)
	}
}

// weightOf is what a row says of output k.
func weightOf(r row, k int) int32 { return int32(r[k]) - 128 }

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
