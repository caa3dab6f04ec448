package classify

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/text"
)

// model weighs what the rules and lexicons found together with the words
// themselves into the probabilities of intents, sentiments and dispositions. It is linear:
// each run of letters or words and each signal speaks for or against a class.
type model struct {
	header
	grams [1 << gramBits][classes]int8
}

// header is the fixed beginning of a model's file.
type header struct {
	Magic   [8]byte
	Scale   float32 // what one step of grams is worth
	Bias    [classes]float32
	Signals [signalCount][classes]float32
}

const (
	gramBits  = 14
	intents   = 6
	tempers   = intents + 3 // the end of the sentiments
	classes   = tempers + 3 // and of the dispositions
	maxGrams  = 4096        // of one text
	longWord  = 20          // letters of a word that count
	stemStart = 5           // letters that stand for a longer word
)

var modelMagic = [8]byte{'e', 's', 'm', 'o', 'd', 'e', 'l', '1'}

//go:embed model.bin
var embeddedModel []byte

func readModel(data []byte) (*model, error) {
	m := &model{}
	r := bytes.NewReader(data)
	if err := binary.Read(r, binary.LittleEndian, &m.header); err != nil || m.Magic != modelMagic {
		return nil, errors.New("model: not of this version")
	}
	if r.Len() != len(m.grams)*classes {
		return nil, fmt.Errorf("model: %d bytes of weights, want %d", r.Len(), len(m.grams)*classes)
	}
	rest := data[len(data)-r.Len():]
	for i := range m.grams {
		for k := range classes {
			m.grams[i][k] = int8(rest[i*classes+k])
		}
	}
	return m, nil
}

// Signals are what the rules, the lexicons and the mention itself say.
const (
	sMood      = iota // the sum of the lexicon, from -1 to 1
	sFeeling          // how much of it, either way
	sIntents          // the rules' scores of the intents
	sNotForUs  = sIntents + intents
	sAsks      = sNotForUs + iota - 3 // a sentence is a question
	sStars                            // the rating from -1 to 1
	sRated                            // there is one
	sInquiry                          // of the press or an authority
	sAtRisk                           // a person
	sRisk                             // any other
	sNote                             // a contact note
	sArticle                          // news
	sLength                           // logarithm
	sIrony                            // words that irony likes
	sRequest                          // words of asking
	sGrievance                        // words of a grievance
	sJapanese                         // the language
	sMoodInJa                         // the mood in Japanese
	signalCount
)

// signalWeight is how fast signals learn, against words.
const signalWeight = 0.7

func (c *Classifier) signals(d *document, m *mention.Mention, mood int32, v *mention.Verdict) *[signalCount]float64 {
	f := &d.signals
	clear(f[:])
	x := float64(mood) / 100
	f[sMood] = x / math.Sqrt(x*x+6)
	f[sFeeling] = math.Abs(f[sMood])
	for i := range intents {
		f[sIntents+i] = min(d.sums[int(firstIntent)+i], 1.5)
	}
	f[sNotForUs] = min(d.sums[int(firstDisposition)+2], 1.2)
	for i := range d.sents {
		if d.sents[i].question {
			f[sAsks] = 1
		}
	}
	if m.Rating > 0 {
		f[sStars], f[sRated] = float64(m.Rating-3)/2, 1
	}
	for i := range v.Risks {
		switch v.Risks[i].Category {
		case mention.MediaInquiry, mention.AuthorityInquiry:
			f[sInquiry] = 1
		case mention.PersonAtRisk:
			f[sAtRisk] = 1
		default:
			f[sRisk] = 1
		}
	}
	set := func(i int, is bool) {
		if is {
			f[i] = 1
		}
	}
	set(sNote, m.Kind == mention.KindNote)
	set(sArticle, m.Kind == mention.KindArticle)
	set(sIrony, d.has(c.cues.irony))
	set(sRequest, d.has(c.cues.request))
	set(sGrievance, d.has(c.cues.grievance))
	if set(sJapanese, v.Lang == japanese); v.Lang == japanese {
		f[sMoodInJa] = f[sMood]
	}
	f[sLength] = math.Log(float64(len(d.runes)+1)) / 4
	for i := range f {
		f[i] *= signalWeight
	}
	return f
}

// judge returns the probabilities of mention.Intents, of mention.Sentiments and
// of mention.Dispositions, one after the other.
func (m *model) judge(d *document, signals *[signalCount]float64) (p [classes]float64) {
	var sum [classes]int32
	for _, g := range d.readGrams() {
		w := &m.grams[g]
		for k := range classes {
			sum[k] += int32(w[k])
		}
	}
	scale := float64(m.Scale) * gramNorm(len(d.grams))
	for k := range classes {
		p[k] = float64(m.Bias[k]) + float64(sum[k])*scale
	}
	for i, x := range signals {
		if x == 0 {
			continue
		}
		for k := range classes {
			p[k] += float64(m.Signals[i][k]) * x
		}
	}
	softmax(p[:intents])
	softmax(p[intents:tempers])
	softmax(p[tempers:])
	return p
}

// gramNorm keeps long texts from drowning the signals.
func gramNorm(n int) float64 { return 1 / math.Sqrt(float64(n)+4) }

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

// readGrams returns the hashed runs of the text: of Japanese every one to three
// letters, of other scripts words, pairs of words and beginnings of words, and
// marks.
func (d *document) readGrams() []uint16 {
	d.grams = d.grams[:0]
	var before uint32 // the word before
	for i := 0; i < len(d.runes) && len(d.grams) < maxGrams; {
		r := d.runes[i]
		switch {
		case isWord(r):
			before = d.wordGrams(&i, before)
			continue
		case text.IsCJK(r):
			h := uint32(1)
			for n := 0; n < 3 && i+n < len(d.runes) && text.IsCJK(d.runes[i+n]); n++ {
				h = gramHash(h, d.runes[i+n])
				d.gram(h)
			}
			before = 0
		case r != ' ':
			d.gram(gramHash(2, r))
			before = 0
		}
		i++
	}
	return d.grams
}

// wordGrams takes in the word at *i and moves behind it. All digits are alike.
func (d *document) wordGrams(i *int, before uint32) uint32 {
	h, n := uint32(3), 0
	for ; *i < len(d.runes) && (isWord(d.runes[*i]) || d.runes[*i] == '\''); *i++ {
		r := d.runes[*i]
		if '0' <= r && r <= '9' {
			r = '0'
		}
		if n++; n <= longWord {
			h = gramHash(h, r)
		}
		if n == stemStart {
			d.gram(h ^ 0x55555555)
		}
	}
	d.gram(h)
	if before != 0 {
		d.gram(before*31 + h)
	}
	return h
}

func gramHash(h uint32, r rune) uint32 { return (h ^ uint32(r)) * 16777619 }

func (d *document) gram(h uint32) {
	h ^= h >> 15
	h *= 0x85ebca6b
	h ^= h >> 13
	d.grams = append(d.grams, uint16(h&(1<<gramBits-1)))
}
