package classify

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// Record is one line of input of [Classifier.Stream]: a text and what is known
// of it. Only Text, or Title, is needed.
type Record struct {
	ID      string `json:"id,omitempty"`
	Text    string `json:"text"`
	Title   string `json:"title,omitempty"`
	Lang    string `json:"lang,omitempty"`
	Channel string `json:"channel,omitempty"` // post, review, article or note; a platform's name is a post
	Author  string `json:"author,omitempty"`
	Rating  int    `json:"rating,omitempty"` // 1 to 5, 0 for none
	// PublishedAt is RFC 3339; stated deadlines are reckoned from it.
	PublishedAt time.Time `json:"published_at,omitzero"`
}

// Result is one line of output. A line that could not be read has Error and
// Line and nothing else but, where known, its ID.
type Result struct {
	ID             string              `json:"id,omitempty"`
	Lang           string              `json:"lang"`
	Sentiment      mention.Sentiment   `json:"sentiment"`
	SentimentScore float64             `json:"sentiment_score"`
	Intent         mention.Intent      `json:"intent"`
	IntentScore    float64             `json:"intent_score"`
	Disposition    mention.Disposition `json:"disposition"`
	Risk           []ResultRisk        `json:"risk"`
	Page           bool                `json:"page"`
	PageReason     string              `json:"page_reason"`
	Story          string              `json:"story"`
	// Partly: the text is longer than [MaxRead], and its rest was not judged.
	Partly bool   `json:"partly,omitempty"`
	Model  string `json:"model"`
}

// ResultRisk is a risk in a [Result]. Start and End count code points in the
// text, after the title and a line end where there is a title.
type ResultRisk struct {
	Category mention.Category `json:"category"`
	Score    float64          `json:"score"`
	Start    int              `json:"start"`
	End      int              `json:"end"`
	Rule     string           `json:"rule"`
	Rung     mention.Rung     `json:"rung,omitempty"`
	Deadline time.Time        `json:"deadline,omitzero"`
}

type lineError struct {
	Line  int    `json:"line"`
	Error string `json:"error"`
}

// Mention returns r as a mention. Unknown channels are posts.
func (r *Record) Mention() mention.Mention {
	kind := mention.Kind(r.Channel)
	switch kind {
	case mention.KindReview, mention.KindArticle, mention.KindNote:
	case "news", "blog":
		kind = mention.KindArticle
	default:
		kind = mention.KindPost
	}
	return mention.Mention{Post: mention.Post{
		Platform: r.Channel, NativeID: r.ID, Kind: kind, Author: mention.Author{Handle: r.Author}, Title: r.Title, Text: r.Text,
		Lang: r.Lang, Rating: r.Rating, PublishedAt: r.PublishedAt,
	}}
}

// Result returns what the classifier says of r.
func (c *Classifier) Result(r *Record) Result {
	m := r.Mention()
	v := c.Verdict(&m)
	out := Result{
		ID: r.ID, Lang: v.Lang, Sentiment: v.Sentiment, SentimentScore: v.SentimentScore, Intent: v.Intent, IntentScore: v.IntentScore,
		Disposition: v.Disposition, Risk: make([]ResultRisk, len(v.Risks)), Page: v.Page, PageReason: v.PageReason, Story: v.Story, Partly: v.Partly, Model: v.Model,
	}
	for i, k := range v.Risks {
		out.Risk[i] = ResultRisk{k.Category, k.Score, k.Start, k.End, k.Rule, k.Rung, k.Deadline}
	}
	return out
}

// Progress tells how far a stream has come.
type Progress struct {
	Lines  int   // lines answered, blank ones left out
	Errors int   // of these, lines that could not be read
	Bytes  int64 // of input
}

// StreamOptions shape a stream.
type StreamOptions struct {
	// Text reads each line as a text rather than as JSON.
	Text bool
	// Workers is how many lines are classified at a time; 0 is one for each
	// processor.
	Workers int
	// Progress, if set, is called from one goroutine after each batch written.
	Progress func(Progress)
}

// MaxLine is the longest line in bytes that a stream reads; a longer one is an
// error record.
const MaxLine = 1 << 20

const batchLines = 128

// batch is some lines on their way through; done is closed once out is full.
type batch struct {
	lines  []inputLine
	bytes  int64
	out    bytes.Buffer
	errors int
	done   chan struct{}
}

type inputLine struct {
	number int
	data   []byte
	long   bool
}

// Stream reads records from in, one JSON object a line, and writes a [Result]
// for each to out, one a line, in the same order. Blank lines are passed over. A
// line that cannot be read becomes {"line":n,"error":"…"} and does not stop the
// stream. Memory does not grow with the input. Stream returns what it has
// answered, and the error of reading, writing or ctx that stopped it.
func (c *Classifier) Stream(ctx context.Context, in io.Reader, out io.Writer, o StreamOptions) (Progress, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	work := make(chan *batch)
	ordered := make(chan *batch, 2*workers)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for b := range work {
				c.answer(b, o.Text)
				close(b.done)
			}
		})
	}
	var readErr error
	wg.Go(func() {
		defer close(ordered)
		defer close(work)
		readErr = readBatches(in, func(b *batch) bool {
			select {
			case ordered <- b:
			case <-ctx.Done():
				return false
			}
			work <- b // a worker is always coming
			return true
		})
	})
	p, writeErr := writeBatches(ctx, ordered, out, o.Progress)
	cancel(writeErr)
	for range ordered { // let the reader end
	}
	wg.Wait()
	return p, errors.Join(writeErr, readErr)
}

func writeBatches(ctx context.Context, ordered <-chan *batch, out io.Writer, report func(Progress)) (Progress, error) {
	var p Progress
	for b := range ordered {
		<-b.done
		if err := context.Cause(ctx); err != nil {
			return p, err
		}
		if _, err := out.Write(b.out.Bytes()); err != nil {
			return p, fmt.Errorf("write results: %w", err)
		}
		p.Lines += len(b.lines)
		p.Errors += b.errors
		p.Bytes += b.bytes
		if report != nil {
			report(p)
		}
	}
	return p, context.Cause(ctx)
}

// readBatches hands over batches until the input ends or yield says no.
func readBatches(in io.Reader, yield func(*batch) bool) error {
	r := bufio.NewReaderSize(in, 64<<10)
	b := &batch{done: make(chan struct{})}
	for number := 1; ; number++ {
		line, size, err := readLine(r)
		b.bytes += int64(size)
		if text := bytes.TrimSpace(line); len(text) > 0 || size > MaxLine {
			b.lines = append(b.lines, inputLine{number, bytes.Clone(text), size > MaxLine})
		}
		last := err != nil
		if len(b.lines) == batchLines || b.bytes > MaxLine || last {
			if len(b.lines) > 0 && !yield(b) {
				return nil
			}
			b = &batch{done: make(chan struct{})}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read line %d: %w", number, err)
		}
	}
}

// readLine reads up to a line end. Of a line longer than MaxLine it returns
// nothing but the size.
func readLine(r *bufio.Reader) (line []byte, size int, err error) {
	for {
		part, err := r.ReadSlice('\n')
		size += len(part)
		if size <= MaxLine {
			line = append(line, part...)
		} else {
			line = nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, size, err
		}
	}
}

func (c *Classifier) answer(b *batch, plain bool) {
	enc := json.NewEncoder(&b.out)
	enc.SetEscapeHTML(false)
	for _, l := range b.lines {
		rec, err := l.record(plain)
		var line any
		if err != nil {
			b.errors++
			line = lineError{l.number, err.Error()}
		} else {
			line = c.Result(&rec)
		}
		if err := enc.Encode(line); err != nil { // a buffer takes everything; only a value can fail
			b.errors++
			fmt.Fprintf(&b.out, "{\"line\":%d,\"error\":%q}\n", l.number, err.Error())
		}
	}
}

func (l *inputLine) record(plain bool) (Record, error) {
	var rec Record
	switch {
	case l.long:
		return rec, fmt.Errorf("longer than %d bytes", MaxLine)
	case plain:
		rec.Text = string(l.data)
		return rec, nil
	}
	if err := json.Unmarshal(l.data, &rec); err != nil {
		return rec, fmt.Errorf("not a record: %w", err)
	}
	switch {
	case rec.Text == "" && rec.Title == "":
		return rec, errors.New("has no text")
	case rec.Rating < 0 || rec.Rating > 5:
		return rec, fmt.Errorf("rating %d is not from 1 to 5", rec.Rating)
	}
	return rec, nil
}
