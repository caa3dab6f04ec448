package source

import (
	"bytes"
	"fmt"
	"io"
	"regexp"

	"golang.org/x/net/html/charset"
)

// Bounds of a feed's markup, far beyond what feeds have. What a parser does for
// an element grows with how deep it lies, and with the attributes and namespaces
// around it: within the bounds, its work is a fixed multiple of the feed's size.
const (
	maxDepth  = 256 // elements within each other
	maxAttrs  = 256 // of one element
	maxSpaces = 256 // namespaces declared around one element
)

var declaredEncoding = regexp.MustCompile(`^[^>]{0,200}encoding=["']([A-Za-z0-9._:-]+)["']`)

// checkMarkup refuses XML that is out of bounds. It looks at each byte once,
// and leaves every other mistake to the parser.
func checkMarkup(body []byte) error {
	if m := declaredEncoding.FindSubmatch(body); m != nil {
		// In some encodings half of a letter looks like markup.
		if r, err := charset.NewReaderLabel(string(m[1]), bytes.NewReader(body)); err == nil {
			if decoded, err := io.ReadAll(r); err == nil {
				body = decoded
			}
		}
	}
	type element struct {
		name   string
		spaces int // declared by it
	}
	var (
		open   []element
		spaces int
	)
	for {
		i := bytes.IndexByte(body, '<')
		if i < 0 {
			return nil
		}
		body = body[i:]
		switch {
		case bytes.HasPrefix(body, []byte("<!--")):
			body = after(body, "-->")
		case bytes.HasPrefix(body, []byte("<![CDATA[")):
			body = after(body, "]]>")
		case bytes.HasPrefix(body, []byte("<?")):
			body = after(body, "?>")
		case bytes.HasPrefix(body, []byte("<!")):
			body = after(body, ">")
		case bytes.HasPrefix(body, []byte("</")):
			name := string(nameOf(body[2:]))
			// Broken feeds leave elements open; the parser closes them too.
			for n := len(open) - 1; n >= 0; n-- {
				if open[n].name == name {
					for _, e := range open[n:] {
						spaces -= e.spaces
					}
					open = open[:n]
					break
				}
			}
			body = after(body, ">")
		default:
			t := readTag(body[1:])
			body = t.rest
			switch {
			case t.attrs > maxAttrs:
				return fmt.Errorf("an element has %d attributes, more than %d; no feed needs that", t.attrs, maxAttrs)
			case len(open) >= maxDepth:
				return fmt.Errorf("elements lie more than %d deep within each other; no feed needs that", maxDepth)
			case spaces+t.spaces > maxSpaces:
				return fmt.Errorf("more than %d namespaces are declared around one element; no feed needs that", maxSpaces)
			}
			if !t.closed {
				open = append(open, element{string(t.name), t.spaces})
				spaces += t.spaces
			}
		}
	}
}

// after returns what follows the first end in b, or nothing.
func after(b []byte, end string) []byte {
	_, rest, _ := bytes.Cut(b, []byte(end))
	return rest
}

func nameOf(b []byte) []byte {
	if i := bytes.IndexAny(b, " \t\r\n/>"); i >= 0 {
		return b[:i]
	}
	return nil
}

// tag is a start tag.
type tag struct {
	name          []byte
	attrs, spaces int
	closed        bool   // it has no content
	rest          []byte // what follows
}

// readTag reads a start tag from behind its "<".
func readTag(b []byte) tag {
	t := tag{name: nameOf(b)}
	word := len(t.name) // where the name of an attribute began
	for i := len(t.name); i < len(b); i++ {
		switch b[i] {
		case '>':
			t.closed, t.rest = b[max(i-1, 0)] == '/', b[i+1:]
			return t
		case '=':
			t.attrs++
			if bytes.HasPrefix(b[word:i], []byte("xmlns")) {
				t.spaces++
			}
		case '"', '\'':
			end := bytes.IndexByte(b[i+1:], b[i])
			if end < 0 {
				return t
			}
			i += end + 1
			word = i + 1
		case ' ', '\t', '\r', '\n':
			word = i + 1
		}
	}
	return t
}
