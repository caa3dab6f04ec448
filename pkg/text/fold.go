package text

import (
	"unicode"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/text/unicode/norm"
)

// Fold returns the form in which text is compared: compatibility forms resolved
// (NFKC), lower case, katakana and half-width kana as hiragana, Latin letters
// without accents, quotes, dashes and wave dashes in their ASCII form,
// invisible characters (zero-width, direction, variation selectors, soft hyphen,
// control) dropped, each run of white space one space and none at the ends.
// Voiced marks and the long-vowel mark ー stay. Invalid bytes become U+FFFD.
//
// Fold(Fold(s)) == Fold(s). Text that is folded already is returned as it is,
// without allocation.
func Fold(s string) string {
	n := folded(s)
	if n == len(s) {
		return s
	}
	f := folder{out: make([]byte, 0, len(s)+8)}
	f.fold(s, n)
	return unsafe.String(unsafe.SliceData(f.out), len(f.out))
}

// AppendFold appends the folded form of s to dst.
func AppendFold(dst []byte, s string) []byte {
	n := folded(s)
	if n == len(s) {
		return append(dst, s...)
	}
	f := folder{out: dst, base: len(dst)}
	f.fold(s, n)
	return f.out
}

// folded returns how much of s is certainly in folded form, ending where a
// folder may take up: before the last segment if what follows could change it.
func folded(s string) int {
	last := 0 // start of the segment before i
	space := true
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if foldByte[c] != c || c == 0 || c == ' ' && space {
				return last
			}
			space = c == ' '
			last = i
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if foldFast(r) != r || r == utf8.RuneError {
			return last
		}
		space = false
		last = i
		i += size
	}
	if space {
		return last
	}
	return len(s)
}

// folder holds one run of folding. A segment is a character with the marks
// that belong to it: what must be normalised as one.
type folder struct {
	out  []byte
	base int // where out began
	// marks, if kept, has for each segment where it begins in out and, in
	// bytes, in the source.
	marks []mark
	keep  bool
	// end is where the last segment that left output ends in the source.
	end int
	// space is where pending white space begins in the source, or -1.
	space int
	// segSrc and segOut are where the last segment begins, segSrc -1 if there
	// is none that a mark could join.
	segSrc, segOut int
	runes, comp    []byte
}

type mark struct{ out, src int32 }

// fold appends the folded form of s to f.out; the first n bytes of s are known
// to be folded and to end between segments.
func (f *folder) fold(s string, n int) {
	f.space, f.segSrc = -1, -1
	if f.keep {
		n = 0
	}
	f.out = append(f.out, s[:n]...)
	f.end = n
	for i := n; i < len(s); {
		r, size := rune(s[i]), 1
		var to rune
		if r < utf8.RuneSelf {
			to = rune(foldByte[r])
		} else if r, size = utf8.DecodeRuneInString(s[i:]); size > 1 {
			to = foldFast(r)
		}
		switch {
		case to == ' ':
			f.blank(i)
			i += size
		case to != 0:
			f.begin(i)
			if to < utf8.RuneSelf {
				f.out = append(f.out, byte(to))
			} else {
				f.out = utf8.AppendRune(f.out, to)
			}
			i += size
			f.end = i
		case dropped(r):
			i += size
			if f.space < 0 {
				f.end = i
			}
		default:
			i = f.segment(s, i, r)
		}
	}
}

// blank notes white space at src; it is written when something follows it.
func (f *folder) blank(src int) {
	if f.space < 0 {
		f.space = src
	}
	f.segSrc = -1
}

// begin starts a segment at src, after white space that is pending.
func (f *folder) begin(src int) {
	if f.space >= 0 {
		if len(f.out) > f.base {
			f.note(f.space)
			f.out = append(f.out, ' ')
		}
		f.space = -1
	}
	f.segSrc, f.segOut = src, len(f.out)
	f.note(src)
}

func (f *folder) note(src int) {
	if f.keep {
		f.marks = append(f.marks, mark{int32(len(f.out) - f.base), int32(src)})
	}
}

// maxMarks bounds the marks kept on one character, which keeps hostile text
// ("zalgo") linear and below the 30 at which package norm interferes.
const maxMarks = 10

// segment folds, in the general way, the segment that r at i begins or goes on
// with, and returns where the next one begins.
func (f *folder) segment(s string, i int, r rune) int {
	if joins(r) && f.segSrc >= 0 {
		i = f.segSrc
		f.out = f.out[:f.segOut]
		for n := len(f.marks); n > 0 && int(f.marks[n-1].out) >= f.segOut-f.base; n-- {
			f.marks = f.marks[:n-1]
		}
	}
	start, n, marks := i, 0, 0
	f.runes = f.runes[:0]
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		if i > start && !joins(r) && !dropped(r) {
			break
		}
		i += size
		if r = foldRune(r); r < 0 {
			continue
		}
		if marks++; !isMark(r) {
			marks = 0
		}
		if marks <= maxMarks+2 {
			f.runes = utf8.AppendRune(f.runes, r)
			n++
		}
	}
	f.normalise(n)

	begun := false
	for rest := f.comp; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == ' ':
			f.blank(start)
		case !begun || f.space >= 0:
			f.begin(start)
			begun = true
			fallthrough
		default:
			f.out = append(f.out, rest[:size]...)
		}
		rest = rest[size:]
	}
	if begun {
		f.end = i
		if f.space < 0 {
			f.segSrc = start
		}
	}
	return i
}

// normalise sets comp to the folded form of the n runes of a segment. The
// common short cases do without package norm.
func (f *folder) normalise(n int) {
	first, size := utf8.DecodeRune(f.runes)
	switch n {
	case 1:
		if _, ok := plainLatin[first]; !ok && norm.NFKD.Properties(f.runes).Decomposition() == nil {
			f.comp = append(f.comp[:0], f.runes...)
			return
		}
	case 2:
		second, _ := utf8.DecodeRune(f.runes[size:])
		if r := voiced(first, second); r != 0 {
			f.comp = utf8.AppendRune(f.comp[:0], r)
			return
		}
	}
	f.comp = norm.NFKD.Append(f.comp[:0], f.runes...)
	f.runes = foldDecomposed(f.runes[:0], f.comp)
	f.comp = norm.NFC.Append(f.comp[:0], f.runes...)
}

// voiced returns hiragana kana with the combining mark, or 0 if there is no
// such character.
func voiced(kana, mark rune) rune {
	switch {
	case mark != 0x3099 && mark != 0x309A:
		return 0
	case kana >= 'は' && kana <= 'ほ' && kana%3 == 0:
		return kana + 1 + mark - 0x3099
	case mark == 0x309A:
		return 0
	case kana >= 'か' && kana <= 'ち' && kana%2 == 1, kana == 'つ', kana == 'て', kana == 'と', kana == 'ゝ':
		return kana + 1
	case kana == 'う':
		return 'ゔ'
	}
	return 0
}

// halfKana holds the hiragana for U+FF66 to U+FF9D.
var halfKana = []rune("をぁぃぅぇぉゃゅょっーあいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわん")

// foldDecomposed appends to dst the folded runes of src, which is in NFKD.
func foldDecomposed(dst, src []byte) []byte {
	latin, marks := false, 0
	for len(src) > 0 {
		r, size := utf8.DecodeRune(src)
		src = src[size:]
		if r = foldRune(r); r < 0 {
			continue
		}
		if isMark(r) {
			if marks++; marks > maxMarks || latin && r != 0x3099 && r != 0x309A {
				continue
			}
			dst = utf8.AppendRune(dst, r)
			continue
		}
		latin, marks = unicode.Is(unicode.Latin, r), 0
		if plain, ok := plainLatin[r]; ok {
			dst = append(dst, plain...)
			continue
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// plainLatin holds the letters that Unicode does not decompose though readers
// do.
var plainLatin = map[rune]string{
	'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'đ': "d", 'ħ': "h", 'ı': "i", 'ł': "l", 'ŧ': "t",
}

// joins tells whether r belongs to the segment before it.
func joins(r rune) bool {
	switch {
	case r < 0x300 || r >= 0x3400 && r < 0xA000:
		return false
	case r == 0x309B, r == 0x309C:
		return true
	}
	p := properties(r)
	if !p.BoundaryBefore() {
		return true
	}
	// Some hangul letters become, decomposed, ones that join.
	d := p.Decomposition()
	return d != nil && !norm.NFKC.Properties(d).BoundaryBefore()
}

// isMark tells whether r is a combining mark that normalisation may move.
func isMark(r rune) bool { return r >= 0x300 && properties(r).CCC() != 0 }

func properties(r rune) norm.Properties {
	var b [utf8.UTFMax]byte
	return norm.NFKC.Properties(b[:utf8.EncodeRune(b[:], r)])
}

// dropped tells whether r is one of the invisible characters.
func dropped(r rune) bool {
	switch {
	case r < 0xA0:
		return foldByteOf(r) == 0
	case r < 0x200B:
		return r == 0xAD || r == 0x34F || r == 0x61C || r == 0x115F || r == 0x1160 || r == 0x17B4 || r == 0x17B5 || r >= 0x180B && r <= 0x180F
	case r <= 0x206F:
		return r <= 0x200F || r >= 0x202A && r <= 0x202E || r >= 0x2060
	case r < 0xFE00:
		return r == 0x3164
	case r < 0xE0000:
		return r <= 0xFE0F || r == 0xFEFF || r == 0xFFA0 || r >= 0xFFF9 && r <= 0xFFFB
	}
	return r <= 0xE0FFF
}

func foldByteOf(r rune) byte {
	if r < utf8.RuneSelf {
		return foldByte[r]
	}
	if r == 0x85 {
		return ' '
	}
	return 0
}

// foldRune folds one rune apart from normalisation; -1 drops it. It holds for
// composed and decomposed text alike.
func foldRune(r rune) rune {
	switch {
	case r < 0x80:
		if c := foldByte[r]; c != 0 {
			return rune(c)
		}
		return -1
	case dropped(r):
		return -1
	case r >= 0x30A1 && r <= 0x30F6, r == 0x30FD, r == 0x30FE:
		return r - 0x60
	case r == 0x309B || r == 0x309C:
		return r - 2 // the spacing voiced marks, typed after a kana, voice it
	case r >= 0xFF66 && r <= 0xFF9D:
		return halfKana[r-0xFF66]
	case r == 0xFF9E || r == 0xFF9F:
		return r - 0xFF9E + 0x3099
	case unicode.IsSpace(r):
		return ' '
	}
	switch r {
	case '‘', '’', '‚', '‛', '′', 'ʼ', '´', '＇':
		return '\''
	case '“', '”', '„', '‟', '″', '〝', '〞', '〟':
		return '"'
	case '‐', '‑', '‒', '–', '—', '―', '−', '﹘', '﹣', '－':
		return '-'
	case '〜', '～', '∼', '〰', '˜':
		return '~'
	case 'ς':
		return 'σ'
	}
	return unicode.ToLower(r)
}

// foldByte is the fold of ASCII: 0 drops.
var foldByte = func() (t [utf8.RuneSelf]byte) {
	for c := range t {
		switch {
		case c >= 'A' && c <= 'Z':
			t[c] = byte(c) + 'a' - 'A'
		case c >= '\t' && c <= '\r':
			t[c] = ' '
		case c >= ' ' && c < 0x7F:
			t[c] = byte(c)
		}
	}
	return t
}()

// foldFast is the fold of a character on which no mark follows, for the common
// ranges; 0 says to take the general way.
func foldFast(r rune) rune {
	switch {
	case r < rune(len(foldLow)):
		return rune(foldLow[r])
	case r < 0x3000:
		return 0
	case r >= 0x4E00 && r <= 0x9FFF, r >= 0x3041 && r <= 0x3096, r == 'ー', r == '・',
		r >= 0xAC00 && r <= 0xD7A3, r >= 0x1F300 && r <= 0x1FAFF:
		return r
	case r >= 0x30A1 && r <= 0x30F6:
		return r - 0x60
	case r >= 0x3001 && r <= 0x3020:
		if r == '〜' || r == '〝' || r == '〞' || r == '〟' {
			return foldRune(r)
		}
		return r
	case r == 0x3000:
		return ' '
	case r >= 0xFF01 && r <= 0xFF5E:
		return rune(foldByte[r-0xFEE0])
	case r >= 0xFF66 && r <= 0xFF9D:
		return halfKana[r-0xFF66]
	}
	return 0
}

// foldLow is foldFast up to Cyrillic, for the characters that fold to one.
var foldLow = func() (t [0x530]uint16) {
	f := folder{}
	for r := rune(0); r < rune(len(t)); r++ {
		if r < utf8.RuneSelf {
			t[r] = uint16(foldByte[r])
			continue
		}
		if joins(r) || dropped(r) {
			continue
		}
		f.out, f.space, f.segSrc = append(f.out[:0], 'x'), -1, -1
		f.segment(string(r), 0, r)
		out := f.out[1:]
		if to, size := utf8.DecodeRune(out); size == len(out) && size > 0 && f.space < 0 {
			t[r] = uint16(to)
		} else if size == 0 && f.space >= 0 {
			t[r] = ' '
		}
	}
	return t
}()
