package source

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/text"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// clean returns s without what a reader doesn't see or that would disturb
// the text around it: control characters, invalid UTF-8, direction overrides.
// Line breaks become \n, at most two in a row.
func clean(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	breaks := 0
	for _, r := range strings.ReplaceAll(s, "\r\n", "\n") {
		switch {
		case r == '\r' || r == '\u2028' || r == '\u2029' || r == '\v' || r == '\f' || r == '\u0085':
			r = '\n'
		case r == '\t':
			r = ' '
		case r == utf8.RuneError, unicode.IsControl(r) && r != '\n', text.TurnsDirection(r), r == '\ufeff':
			continue
		}
		if r == '\n' {
			if breaks++; breaks > 2 {
				continue
			}
		} else if r != ' ' {
			breaks = 0
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// plain tells quickly that clean would change nothing: most posts are one line
// of ordinary characters.
func plain(s string) bool {
	if s == "" {
		return true
	}
	for _, r := range s {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || r == '\ufeff' || r == '\u2028' || r == '\u2029' || text.TurnsDirection(r) {
			return false
		}
	}
	return strings.TrimSpace(s) == s
}

// line returns s cleaned, as one line; "" where nothing of it can be seen.
func line(s string) string {
	if s = strings.Join(strings.Fields(clean(s)), " "); !text.IsSeen(s) {
		return ""
	}
	return s
}

// clip cuts text to at most n bytes, at the border of a character.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// webURL returns address if it is an absolute http or https one, else "".
func webURL(address string) string {
	address = strings.TrimSpace(address)
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(address) > 4096 {
		return ""
	}
	return u.String()
}

// htmlText returns the text a reader of the HTML fragment sees, and the
// pictures and players in it. It reads tokens, not a tree: no nesting makes it
// slow.
func htmlText(fragment string) (string, []mention.Media) {
	if !strings.ContainsAny(fragment, "<&") {
		return clean(fragment), nil
	}
	var w htmlWriter
	z := html.NewTokenizer(strings.NewReader(fragment))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return clean(w.b.String()), w.media
		case html.TextToken:
			if w.hidden == 0 {
				w.text(string(z.Text()))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			w.start(z)
		case html.EndTagToken:
			name, _ := z.TagName()
			w.end(atom.Lookup(name))
		}
	}
}

type htmlWriter struct {
	b      strings.Builder
	media  []mention.Media
	hidden atom.Atom // the element whose content is not shown
	pre    int
	space  bool // a space is due before the next word
	breaks int  // line breaks due before the next word
}

func (w *htmlWriter) start(z *html.Tokenizer) {
	t := z.Token()
	if w.hidden != 0 {
		return
	}
	switch t.DataAtom {
	case atom.Script, atom.Style, atom.Template, atom.Noscript, atom.Head, atom.Title, atom.Textarea, atom.Select, atom.Svg, atom.Math, atom.Noembed, atom.Noframes, atom.Object:
		if t.Type == html.StartTagToken {
			w.hidden = t.DataAtom
		}
	case atom.Br:
		w.breaks = min(w.breaks+1, 2)
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Blockquote, atom.Table, atom.Ul, atom.Ol, atom.Pre, atom.Figure:
		w.breaks = 2
		if t.DataAtom == atom.Pre {
			w.pre++
		}
	case atom.Div, atom.Tr, atom.Dt, atom.Dd, atom.Section, atom.Article, atom.Header, atom.Footer, atom.Hr, atom.Figcaption:
		w.breaks = max(w.breaks, 1)
	case atom.Li:
		w.breaks = max(w.breaks, 1)
		w.word("・")
	case atom.Td, atom.Th:
		w.space = true
	case atom.Img:
		w.attach(mention.Image, attr(t, "src"), attr(t, "alt"))
	case atom.Video:
		w.attach(mention.Video, attr(t, "src"), "")
	case atom.Audio:
		w.attach(mention.Audio, attr(t, "src"), "")
	}
}

func (w *htmlWriter) end(a atom.Atom) {
	if w.hidden != 0 {
		if a == w.hidden {
			w.hidden = 0
		}
		return
	}
	switch a {
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Blockquote, atom.Table, atom.Ul, atom.Ol, atom.Pre, atom.Figure:
		w.breaks = 2
		if a == atom.Pre {
			w.pre = max(w.pre-1, 0)
		}
	case atom.Div, atom.Tr, atom.Li, atom.Dt, atom.Dd, atom.Section, atom.Article:
		w.breaks = max(w.breaks, 1)
	}
}

// text writes s with its white space folded as a browser folds it.
func (w *htmlWriter) text(s string) {
	if w.pre > 0 {
		w.word(s)
		return
	}
	for len(s) > 0 {
		i := strings.IndexAny(s, " \t\r\n\f")
		switch {
		case i < 0:
			w.word(s)
			return
		case i > 0:
			w.word(s[:i])
		}
		w.space = true
		s = s[i+1:]
	}
}

func (w *htmlWriter) word(s string) {
	if w.b.Len() > 0 {
		switch {
		case w.breaks > 0:
			w.b.WriteString("\n\n"[:w.breaks])
		case w.space:
			w.b.WriteByte(' ')
		}
	}
	w.breaks, w.space = 0, false
	w.b.WriteString(s)
}

const maxMedia = 20 // attachments kept of one post

func (w *htmlWriter) attach(kind mention.MediaType, address, alt string) {
	if u := webURL(address); u != "" && len(w.media) < maxMedia {
		w.media = append(w.media, mention.Media{Type: kind, URL: u, Alt: clip(line(alt), 2000)})
	}
}

func attr(t html.Token, key string) string {
	for _, a := range t.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
