package desk

import (
	"bufio"
	"encoding/csv"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// encodings are those that sheets are written in: UTF-8 with a byte order mark,
// which spreadsheets know it by, and what Windows calls Shift_JIS (CP932).
var encodings = []string{"utf-8", "cp932"}

// sheet writes a table for spreadsheets, row by row: no cell is taken for a
// formula, and what the encoding can't write is shown as 〓 and counted.
type sheet struct {
	csv  *csv.Writer
	out  *bufio.Writer
	into *transform.Writer // nil for UTF-8
	has  func(rune) bool   // what into can write
	lost int
	rows int // without the heading
}

// newSheet begins a table on w with its heading.
func newSheet(w io.Writer, encoding string, heading []string) *sheet {
	s := &sheet{out: bufio.NewWriter(w)}
	to := io.Writer(s.out)
	if encoding == "cp932" {
		s.into, s.has = transform.NewWriter(s.out, japanese.ShiftJIS.NewEncoder()), cp932()
		to = s.into
	} else {
		_, _ = s.out.WriteString("\ufeff")
	}
	s.csv = csv.NewWriter(to)
	s.csv.UseCRLF = true
	_ = s.write(heading)
	s.rows = 0
	return s
}

func (s *sheet) write(cells []string) error {
	row := make([]string, len(cells))
	for i, c := range cells {
		c = strings.ReplaceAll(strings.ToValidUTF8(c, "\ufffd"), "\r\n", "\n")
		if s.into != nil {
			c = s.fit(c)
		}
		row[i] = plainCell(c)
	}
	s.rows++
	return s.csv.Write(row)
}

// end writes what is left.
func (s *sheet) end() error {
	s.csv.Flush()
	if err := s.csv.Error(); err != nil {
		return err
	}
	if s.into != nil {
		if err := s.into.Close(); err != nil {
			return err
		}
	}
	return s.out.Flush()
}

// twins are characters that Windows writes by another one that looks the same.
var twins = strings.NewReplacer("•", "●", "〜", "～", "‖", "∥", "−", "－", "—", "―", "¢", "￠", "£", "￡", "¬", "￢", "¥", "￥", "‾", "￣", "\u00a0", " ", "\u200d", "", "\ufe0e", "", "\ufe0f", "")

// fit writes c with characters that CP932 has.
func (s *sheet) fit(c string) string {
	c = twins.Replace(norm.NFC.String(c))
	var b strings.Builder
	for _, r := range c {
		if r < utf8.RuneSelf || s.has(r) {
			b.WriteRune(r)
			continue
		}
		s.lost++
		b.WriteRune('〓')
	}
	return b.String()
}

// cp932 tells which characters CP932 has.
func cp932() func(rune) bool {
	enc := japanese.ShiftJIS.NewEncoder()
	return func(r rune) bool {
		_, err := enc.String(string(r))
		return err == nil
	}
}

// formula are the characters with which a cell begins that spreadsheets compute,
// or that hide such a one from whoever looks for it.
const formula = "=+-@\t\r\n＝＋－＠"

// plainCell is text that a spreadsheet does not take for a formula.
func plainCell(s string) string {
	if first, _ := utf8.DecodeRuneInString(s); s != "" && strings.ContainsRune(formula, first) {
		return "'" + s
	}
	return s
}
