package main

import (
	"fmt"
	"io"
	"time"
)

// progress counts what an import did, and shows it on a terminal.
type progress struct {
	w    io.Writer
	show bool
	size int64
	last time.Time

	accepted, duplicate, refused, unmatched int
	subtracted                              int
}

func (p *progress) print(read int64) {
	if !p.show || time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.last = time.Now()
	share := ""
	if p.size > 0 {
		share = fmt.Sprintf("%3d %%  ", min(100, 100*read/p.size))
	}
	fmt.Fprintf(p.w, "\r\033[K%s%d accepted, %d duplicate, %d about no brand, %d refused", share, p.accepted, p.duplicate, p.unmatched, p.refused)
}

// any tells whether there is anything to tell.
func (p *progress) any() bool { return p.accepted+p.duplicate+p.unmatched+p.refused > 0 }

// maxReasons bounds how many refused lines are named.
const maxReasons = 100

func (p *progress) line(w io.Writer, err error) {
	if p.show {
		fmt.Fprint(w, "\r\033[K")
	}
	switch {
	case p.refused <= maxReasons:
		fmt.Fprintln(w, err)
	case p.refused == maxReasons+1:
		fmt.Fprintln(w, "… further refused lines are only counted")
	}
}

func (p *progress) done(w io.Writer, dry bool) {
	if p.show {
		fmt.Fprint(p.w, "\r\033[K")
	}
	note := ""
	if dry {
		note = " (dry run: nothing was stored)"
	}
	fmt.Fprintf(w, "%d accepted, %d duplicate, %d about no brand, %d refused%s\n", p.accepted, p.duplicate, p.unmatched, p.refused, note)
}

// countingReader tells how much was read.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}
