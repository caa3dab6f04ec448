package text

import (
	"sort"
	"unsafe"
)

// Folded is a text in folded form that remembers where each part came from. A
// zero Folded is ready for Reset. It is not safe for concurrent use.
type Folded struct {
	// Text is the folded form. It is valid until the next Reset.
	Text string

	src    string
	buf    []byte // holds Text
	spare  []byte // for locate, which must leave buf alone
	mapper folder
	mapped bool
	points []int32 // for each of mapper.marks, the code point where it begins in src
}

// FoldMap folds s and remembers where each part of the result came from.
func FoldMap(s string) Folded {
	var f Folded
	f.Reset(s)
	return f
}

// Reset makes f the folding of s. It reuses f's memory, so that a loop over
// many texts does not allocate; the previous Text must not be used any more.
func (f *Folded) Reset(s string) {
	f.src, f.mapped = s, false
	n := folded(s)
	if n == len(s) {
		f.Text = s
		return
	}
	f.mapper.out, f.mapper.base, f.mapper.keep = f.buf[:0], 0, false
	f.mapper.fold(s, n)
	f.buf = f.mapper.out
	f.Text = unsafe.String(unsafe.SliceData(f.buf), len(f.buf))
}

// Span returns where bytes start to end of Text came from: positions in the
// source counted in Unicode code points, end exclusive. Positions out of range
// are brought within it; where one source character became several, any of them
// stands for the whole. A span that is not empty never becomes empty.
func (f *Folded) Span(start, end int) (int, int) {
	if !f.mapped {
		f.locate()
	}
	marks := f.mapper.marks
	start = min(max(start, 0), len(f.Text))
	end = min(max(end, start), len(f.Text))
	from := f.at(start)
	if end == start {
		return int(f.points[from]), int(f.points[from])
	}
	to := f.at(end - 1)
	src := marks[to].src
	for to < len(marks)-1 && marks[to].src == src {
		to++
	}
	return int(f.points[from]), int(f.points[to])
}

// at returns the segment that holds byte i of Text.
func (f *Folded) at(i int) int {
	marks := f.mapper.marks
	return max(sort.Search(len(marks), func(k int) bool { return int(marks[k].out) > i })-1, 0)
}

// locate folds once more, now noting where each segment begins. It is left
// until a span is wanted, which for most texts is never.
func (f *Folded) locate() {
	m := &f.mapper
	m.marks, m.keep, m.base, m.out = m.marks[:0], true, 0, f.spare[:0]
	m.fold(f.src, 0)
	f.spare = m.out
	m.marks = append(m.marks, mark{int32(len(m.out)), int32(m.end)})
	f.points = f.points[:0]
	point, k := int32(0), 0
	for i := range f.src {
		for ; k < len(m.marks) && int(m.marks[k].src) <= i; k++ {
			f.points = append(f.points, point)
		}
		point++
	}
	for ; k < len(m.marks); k++ {
		f.points = append(f.points, point)
	}
	f.mapped = true
}
