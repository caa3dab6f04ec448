package source

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
)

// Import reads a file of posts.
type Import struct {
	// Format is "jsonl" (the form of the intake, one post a line), "csv" or
	// "x-v1" (Tweets of X's API v1.1, one a line).
	Format string
	// Platform is that of rows that name none; default "web".
	Platform string
	// Location is the zone of times that name none; default UTC.
	Location *time.Location
	// Columns are the fields of a CSV file's columns, one of [ColumnFields] or
	// empty for one that is left out. nil: they are guessed from the headings.
	Columns []string
	Now     time.Time
}

// Formats lists the formats.
var Formats = []string{"jsonl", "csv", "x-v1"}

// FormatOf guesses the format from a file's name; empty if it can't tell.
func FormatOf(name string) string {
	switch name = strings.ToLower(name); {
	case strings.HasSuffix(name, ".csv"), strings.HasSuffix(name, ".tsv"):
		return "csv"
	case strings.HasSuffix(name, ".jsonl"), strings.HasSuffix(name, ".ndjson"):
		return "jsonl"
	}
	return ""
}

// LineError is a line of a file that was not taken.
type LineError struct {
	Line int // 1-based
	Err  error
}

func (e *LineError) Error() string {
	return "line " + strconv.Itoa(e.Line) + ": " + strings.ReplaceAll(e.Err.Error(), "\n", "; ")
}

func (e *LineError) Unwrap() error { return e.Err }

// maxLine is the longest line, or record of a CSV file, that is read.
const maxLine = 1 << 20

// Read yields the posts of r in their order, and a [*LineError] for each line
// that can't be taken; it goes on after those. Any other error ends it: the
// file can't be read, or has not the columns it needs. It keeps one line in
// memory. Text is UTF-8, with or without byte order mark, UTF-16 with one, or
// Shift_JIS as Japanese Excel writes it.
func (im Import) Read(r io.Reader) iter.Seq2[Received, error] {
	if im.Location == nil {
		im.Location = time.UTC
	}
	if im.Platform == "" {
		im.Platform = "web"
	}
	br, dec := decoded(r)
	switch im.Format {
	case "csv":
		return im.csv(br, dec)
	case "jsonl":
		return im.lines(br, dec, func(raw []byte) Received {
			var in intakePost
			if err := decodeStrict(raw, &in); err != nil {
				return Received{Err: err}
			}
			return im.take(&in)
		})
	case "x-v1":
		return im.lines(br, dec, im.tweet)
	}
	return func(yield func(Received, error) bool) {
		yield(Received{}, config.Invalid("", "unknown format %q; one of %s", im.Format, strings.Join(Formats, ", ")))
	}
}

// decoded returns what reads r, and what turns its text into UTF-8.
func decoded(r io.Reader) (*bufio.Reader, *decoder) {
	br := bufio.NewReaderSize(r, 64<<10)
	if mark, _ := br.Peek(2); bytes.Equal(mark, []byte{0xff, 0xfe}) || bytes.Equal(mark, []byte{0xfe, 0xff}) {
		br = bufio.NewReaderSize(unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder().Reader(br), 64<<10)
	}
	if mark, _ := br.Peek(3); bytes.Equal(mark, []byte{0xef, 0xbb, 0xbf}) {
		br.Discard(3)
	}
	dec := &decoder{}
	head, _ := br.Peek(64 << 10)
	dec.look(head)
	return br, dec
}

func (im Import) take(in *intakePost) Received {
	if in.Platform == "" {
		in.Platform = im.Platform
	}
	if in.ID == "" {
		in.ID = in.contentID()
	}
	return in.receive(im.Now, mention.Bulked)
}

// decoder turns text into UTF-8. A file is either UTF-8 or Shift_JIS, whose
// bytes never look like a comma, quote or line break. Which of them is decided
// by the lines at its beginning that are not plain ASCII, else by the first
// such text after: a broken line in a file of the one is not taken for the
// other.
type decoder struct{ decided, shiftJIS bool }

// look judges the beginning of a file.
func (d *decoder) look(head []byte) {
	good, bad := 0, 0
	for line := range bytes.Lines(head) {
		if !bytes.HasSuffix(line, []byte("\n")) { // may end within a character
			for n := 1; n < utf8.UTFMax && !utf8.Valid(line); n++ {
				line = line[:len(line)-1]
			}
		}
		switch {
		case !utf8.Valid(line):
			bad++
		case !ascii(line):
			good++
		}
	}
	d.decided, d.shiftJIS = good+bad > 0, bad > good
}

func ascii[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

var (
	errEncoding = config.Invalid("", "neither UTF-8 nor Shift_JIS")
	errNotUTF8  = config.Invalid("", "not UTF-8, as the lines before are")
)

func (d *decoder) text(raw string) (string, error) {
	if !d.shiftJIS && utf8.ValidString(raw) {
		d.decided = d.decided || !ascii(raw)
		return raw, nil
	}
	if d.decided && !d.shiftJIS {
		return "", errNotUTF8
	}
	out, err := japanese.ShiftJIS.NewDecoder().String(raw)
	if err != nil || strings.ContainsRune(out, utf8.RuneError) {
		return "", errEncoding
	}
	d.decided, d.shiftJIS = true, true
	return out, nil
}

// lines reads a file of one object a line.
func (im Import) lines(br *bufio.Reader, dec *decoder, read func([]byte) Received) iter.Seq2[Received, error] {
	return func(yield func(Received, error) bool) {
		for n := 1; ; n++ {
			raw, err := readLine(br)
			if err == io.EOF {
				return
			}
			rec := Received{Err: err}
			if err == nil {
				if len(bytes.TrimSpace(raw)) == 0 {
					continue
				}
				text, err := dec.text(string(raw))
				if rec.Err = err; err == nil {
					rec = read([]byte(text))
				}
			} else if !errors.Is(err, errLongLine) {
				yield(Received{}, fmt.Errorf("line %d: %w", n, err))
				return
			}
			if !give(rec, n, yield) {
				return
			}
		}
	}
}

func give(rec Received, n int, yield func(Received, error) bool) bool {
	if rec.Err != nil {
		return yield(Received{}, &LineError{n, rec.Err})
	}
	return yield(rec, nil)
}

var errLongLine = config.Invalid("", "longer than %d bytes; is a quote not closed?", maxLine)

// readLine returns the next line; of one that is too long it reads all but
// keeps nothing.
func readLine(br *bufio.Reader) ([]byte, error) {
	var out []byte
	long := false
	for {
		part, err := br.ReadSlice('\n')
		if long = long || len(out)+len(part) > maxLine; !long {
			out = append(out, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err != nil && (err != io.EOF || len(part) == 0 && len(out) == 0 && !long):
			return nil, err
		case long:
			return nil, errLongLine
		}
		return out, nil
	}
}

func (im Import) csv(br *bufio.Reader, dec *decoder) iter.Seq2[Received, error] {
	return func(yield func(Received, error) bool) {
		cr, bounded := tableOf(br)
		head, err := cr.Read()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = config.Invalid("", "the first line must name the columns: the file is empty")
			} else {
				err = fmt.Errorf("the first line must name the columns: %w", err)
			}
			yield(Received{}, err)
			return
		}
		fields, err := im.columnsOf(head, dec)
		if err != nil {
			yield(Received{}, err)
			return
		}
		for at := 1; ; {
			bounded.left = maxLine
			row, err := cr.Read()
			if err == io.EOF {
				return
			}
			n, rec := 0, Received{}
			if pe, ok := errors.AsType[*csv.ParseError](err); ok {
				n, rec.Err = pe.StartLine, pe.Err
				if errors.Is(err, csv.ErrFieldCount) {
					rec.Err = config.Invalid("", "%d columns, but the first line names %d; put text with commas in double quotes", len(row), len(head))
				}
			} else if err != nil {
				yield(Received{}, fmt.Errorf("after line %d: %w", at, err))
				return
			} else {
				n, _ = cr.FieldPos(0)
				rec = im.row(fields, row, dec)
			}
			at = n
			if !give(rec, n, yield) {
				return
			}
		}
	}
}

// row reads a record.
func (im Import) row(fields, row []string, dec *decoder) Received {
	var in intakePost
	for i, f := range fields {
		v, err := dec.text(row[i])
		if err != nil {
			return Received{Err: config.At(fmt.Sprintf("column %d", i+1), err)}
		}
		if err := in.set(f, strings.TrimSpace(v), im.Location); err != nil {
			return Received{Err: config.At(f, err)}
		}
	}
	return im.take(&in)
}

func (in *intakePost) set(field, v string, loc *time.Location) (err error) {
	if v == "" {
		return nil
	}
	texts := map[string]*string{
		"id": &in.ID, "platform": &in.Platform, "kind": &in.Kind, "url": &in.URL, "author.name": &in.Author.Name, "author.id": &in.Author.ID,
		"author.handle": &in.Author.Handle, "author.url": &in.Author.URL, "title": &in.Title, "text": &in.Text, "lang": &in.Lang,
		"place.name": &in.Place.Name, "place.id": &in.Place.ID,
	}
	if t := texts[field]; t != nil {
		*t = v
		return nil
	}
	switch field {
	case "brand":
		in.Brands = strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' || r == ';' })
	case "published_at":
		in.PublishedAt.Time, err = parseTime(v, loc)
	case "followers":
		n, e := strconv.ParseInt(v, 10, 64)
		in.Author.Followers = &n
		if e != nil {
			err = config.Invalid("", "%q is not a whole number", clip(v, 40))
		}
	case "rating":
		if stars := strings.Count(v, "★"); stars > 0 {
			in.Rating = stars
		} else if f, e := strconv.ParseFloat(v, 64); e == nil && f >= 0 && f <= 5 {
			in.Rating = int(f + 0.5)
		} else {
			err = config.Invalid("", "%q is not a rating from 1 to 5", clip(v, 40))
		}
	}
	return err
}

// recordLimit stops a CSV file whose quote never ends from filling the memory.
type recordLimit struct {
	r    io.Reader
	left int
}

func (l *recordLimit) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errLongLine
	}
	n, err := l.r.Read(p[:min(len(p), 32<<10)])
	l.left -= n
	return n, err
}
