package source

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// columns maps the headings of a CSV file to fields of the intake.
var columns = map[string]string{
	"id": "id", "platform": "platform", "kind": "kind", "brand": "brand", "url": "url", "link": "url",
	"author": "author.name", "author_name": "author.name", "author_id": "author.id", "author_handle": "author.handle", "handle": "author.handle", "author_url": "author.url", "followers": "followers",
	"title": "title", "subject": "title", "text": "text", "body": "text", "content": "text", "message": "text", "review": "text",
	"lang": "lang", "language": "lang", "rating": "rating", "stars": "rating",
	"place": "place.name", "place_name": "place.name", "place_id": "place.id", "store": "place.name",
	"published_at": "published_at", "date": "published_at", "created_at": "published_at", "time": "published_at",
	"投稿id": "id", "媒体": "platform", "ブランド": "brand", "投稿者": "author.name", "投稿者名": "author.name", "タイトル": "title", "件名": "title",
	"本文": "text", "内容": "text", "投稿内容": "text", "口コミ": "text", "言語": "lang", "評価": "rating", "星": "rating", "店舗": "place.name", "店舗名": "place.name",
	"投稿日時": "published_at", "投稿日": "published_at", "日時": "published_at", "日付": "published_at",
}

// ColumnFields are the fields that a column can be, in the order of a form.
var ColumnFields = []string{
	"text", "title", "published_at", "id", "platform", "kind", "brand", "url", "author.name", "author.handle", "author.id", "author.url", "followers",
	"rating", "lang", "place.name", "place.id",
}

// guessColumn returns the field that a column of this heading is, empty for one
// we don't know.
func guessColumn(heading string) string {
	return columns[strings.ReplaceAll(strings.ToLower(line(heading)), " ", "_")]
}

// Column is a column of a CSV file, for people to say what it is.
type Column struct {
	Heading string
	Field   string // as guessed from the heading
	Samples []string
}

// Columns reads the headings of a CSV file, and the first rows.
func Columns(r io.Reader) ([]Column, error) {
	br, dec := decoded(r)
	cr, _ := tableOf(br)
	cr.FieldsPerRecord = -1
	var out []Column
	for n := range 4 {
		row, err := cr.Read()
		if n > 0 && err != nil {
			break
		}
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the file is empty")
		} else if err != nil {
			return nil, fmt.Errorf("the first line must name the columns: %w", err)
		}
		for i, v := range row {
			text, err := dec.text(v)
			if err != nil {
				text = "?"
			}
			text = clip(line(text), 120)
			switch {
			case n == 0:
				c := Column{Heading: text}
				if f := guessColumn(text); !slices.ContainsFunc(out, func(o Column) bool { return f != "" && o.Field == f }) {
					c.Field = f
				}
				out = append(out, c)
			case i < len(out) && text != "":
				out[i].Samples = append(out[i].Samples, text)
			}
		}
	}
	return out, nil
}

// tableOf returns a reader of br's records, and what bounds each.
func tableOf(br *bufio.Reader) (*csv.Reader, *recordLimit) {
	bounded := &recordLimit{r: br, left: maxLine}
	cr := csv.NewReader(bounded)
	cr.ReuseRecord = true
	if head, _ := br.Peek(64 << 10); bytes.Count(firstLine(head), []byte("\t")) > bytes.Count(firstLine(head), []byte(",")) {
		cr.Comma = '\t'
	}
	return cr, bounded
}

func firstLine(head []byte) []byte {
	if i := bytes.IndexByte(head, '\n'); i >= 0 {
		return head[:i]
	}
	return head
}

// columnsOf returns the field of each column, empty for one we don't know, or
// says which are missing.
func (im Import) columnsOf(head []string, dec *decoder) ([]string, error) {
	if im.Columns != nil && len(im.Columns) != len(head) {
		return nil, fmt.Errorf("%d columns are given, but the file has %d", len(im.Columns), len(head))
	}
	fields := make([]string, len(head))
	for i, h := range head {
		name, err := dec.text(h)
		if err != nil {
			return nil, fmt.Errorf("heading of column %d: %w", i+1, err)
		}
		f := guessColumn(name)
		if im.Columns != nil {
			f = im.Columns[i]
		}
		if f != "" && slices.Contains(fields[:i], f) {
			return nil, fmt.Errorf("two columns for %s: %q is the second", f, line(name))
		}
		fields[i] = f
	}
	var missing []string
	if !slices.Contains(fields, "text") && !slices.Contains(fields, "title") {
		missing = append(missing, "text (or 本文)")
	}
	if !slices.Contains(fields, "published_at") {
		missing = append(missing, "published_at (or 投稿日時)")
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("missing column: %s; the first line must name the columns", strings.Join(missing, ", "))
	}
	return fields, nil
}
