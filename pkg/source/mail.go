package source

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"mime"
	netmail "net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-message"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/japanese"

	"github.com/earshot/earshot/pkg/mention"
)

const (
	// maxMailText bounds what is kept of each text in a mail.
	maxMailText = 1 << 20
	// maxMailParts bounds the parts looked at, and maxMailDepth how deep they
	// lie within each other.
	maxMailParts = 200
	maxMailDepth = 10
	maxMailHead  = 256 << 10
	// maxMailRaw is how much is shown of parts that can't be told from each other.
	maxMailRaw = 64 << 10
)

// letter is a mail as it was read.
type letter struct {
	post mention.Post // without PublishedAt, SeenAt and Intake
	date time.Time    // zero where the mail gives none that can be read
	// skip says why nobody is to be bothered with it; empty for a letter that
	// somebody wrote.
	skip string
	many bool // it was sent to many: a list, a newsletter, an alert
}

// readMail reads a mail. It takes what can be read of a broken or cut one; an
// error means that it is none.
func readMail(r io.Reader) (*letter, error) {
	e, err := message.ReadWithOptions(withoutNoise(r), &message.ReadOptions{MaxHeaderBytes: maxMailHead})
	if e == nil || err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
		return nil, fmt.Errorf("not a mail: %w", cmp.Or(err, io.ErrUnexpectedEOF))
	}
	h := &e.Header
	if h.Get("From") == "" && h.Get("Subject") == "" && h.Get("Message-Id") == "" {
		return nil, errors.New("not a mail: neither sender nor subject nor id")
	}
	l := &letter{date: mailDate(h)}
	l.skip, l.many = automatic(h)
	p := &l.post
	p.Platform, p.Kind, p.Title = "email", mention.KindPost, clip(line(headerText(h, "Subject")), 4096)
	p.Author = sender(h)
	var b mailBody
	b.read(e, 0)
	text := b.plain.String()
	if strings.TrimSpace(text) == "" {
		text, _ = htmlText(b.html.String())
	}
	var quoted string
	p.Text, quoted = splitQuoted(clean(text))
	p.Media = b.media
	refs := messageIDs(headerText(h, "References"))
	answers := messageIDs(headerText(h, "In-Reply-To"))
	if p.Thread.Parent = first(answers); p.Thread.Parent == "" && len(refs) > 0 {
		p.Thread.Parent = refs[len(refs)-1]
	}
	p.Thread.ID = cmp.Or(first(refs), p.Thread.Parent)
	p.Thread.ParentText = clip(quoted, 64<<10)
	p.NativeID = first(messageIDs(h.Get("Message-Id")))
	if p.NativeID == "" {
		p.NativeID = "#" + hash(h.Get("Date"), h.Get("From"), h.Get("Subject"), text)
	}
	if p.Thread.ID == "" {
		p.Thread.ID = p.NativeID // answers will name it
	}
	if p.Content() == "" && len(p.Media) == 0 {
		return nil, errors.New("the mail is empty")
	}
	return l, nil
}

// withoutNoise leaves lines out of a header that are none, for which nothing of
// the mail would be read.
func withoutNoise(r io.Reader) io.Reader {
	in := bufio.NewReaderSize(r, maxMailHead)
	var head bytes.Buffer
	for keep := false; head.Len() < maxMailHead; {
		row, err := in.ReadSlice('\n')
		if folded := len(row) > 0 && (row[0] == ' ' || row[0] == '\t'); !folded || len(bytes.TrimSpace(row)) == 0 {
			key, _, ok := bytes.Cut(row, []byte(":"))
			keep = ok && !bytes.ContainsFunc(bytes.TrimSpace(key), func(c rune) bool { return c <= ' ' || c > '~' })
		}
		end := err != nil || len(bytes.TrimRight(row, "\r\n")) == 0
		if keep || end {
			head.Write(row)
		}
		if end {
			break
		}
	}
	return io.MultiReader(&head, in)
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

var messageID = regexp.MustCompile(`<([^<>\s]+)>`)

func messageIDs(text string) []string {
	var out []string
	for _, m := range messageID.FindAllStringSubmatch(clip(text, 64<<10), 200) {
		if id := clean(m[1]); len(id) <= 500 {
			out = append(out, id)
		}
	}
	return out
}

// automatic tells of mails that no person wrote to us: answers of machines and
// bounces (RFC 3834, RFC 3464), and what was sent to many.
func automatic(h *message.Header) (skip string, many bool) {
	kind, _, _ := h.ContentType()
	from := strings.ToLower(h.Get("From"))
	precedence := strings.ToLower(strings.TrimSpace(h.Get("Precedence")))
	switch auto := strings.ToLower(strings.TrimSpace(h.Get("Auto-Submitted"))); {
	case auto != "" && auto != "no":
		return "answered or written by a machine (Auto-Submitted)", false
	case h.Has("X-Autoreply") || h.Has("X-Autorespond") || precedence == "auto_reply":
		return "an automatic reply", false
	case kind == "multipart/report" || h.Has("X-Failed-Recipients") || strings.TrimSpace(h.Get("Return-Path")) == "<>",
		strings.Contains(from, "mailer-daemon@"), strings.Contains(from, "postmaster@"):
		return "a report of the mail system", false
	}
	for _, k := range []string{"List-Id", "List-Unsubscribe", "List-Post"} {
		if h.Has(k) {
			return "", true
		}
	}
	return "", slices.Contains([]string{"bulk", "list", "junk"}, precedence)
}

func sender(h *message.Header) mention.Author {
	text := headerText(h, "From")
	parser := netmail.AddressParser{WordDecoder: words}
	if list, err := parser.ParseList(h.Get("From")); err == nil && len(list) > 0 {
		address := strings.ToLower(list[0].Address)
		return mention.Author{ID: clip(line(address), 320), Handle: clip(line(address), 320), Name: clip(line(list[0].Name), 512)}
	}
	name, rest, ok := strings.Cut(text, "<")
	if address, _, closed := strings.Cut(rest, ">"); ok && closed {
		address = clip(line(strings.ToLower(address)), 320)
		return mention.Author{ID: address, Handle: address, Name: clip(line(strings.Trim(name, ` "`)), 512)}
	}
	return mention.Author{ID: clip(line(text), 320), Name: clip(line(text), 512)}
}

func mailDate(h *message.Header) time.Time {
	t, err := netmail.ParseDate(h.Get("Date"))
	if err != nil || t.Before(epoch) {
		return time.Time{}
	}
	return t.UTC()
}

// words decodes RFC 2047 headers in any charset that is known here.
var words = &mime.WordDecoder{CharsetReader: func(charset string, r io.Reader) (io.Reader, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxMailText))
	if err != nil {
		return nil, err
	}
	return strings.NewReader(decodeText(charset, b)), nil
}}

func headerText(h *message.Header, key string) string { return decodeWords(h.Get(key)) }

func decodeWords(raw string) string {
	if out, err := words.DecodeHeader(raw); err == nil {
		return decodeText("", []byte(out)) // bytes that no word says the charset of
	}
	return decodeText("", []byte(raw))
}

// mailBody gathers what a mail holds.
type mailBody struct {
	plain, html strings.Builder
	media       []mention.Media
	parts       int
}

func (b *mailBody) read(e *message.Entity, depth int) {
	if b.parts++; b.parts > maxMailParts || depth > maxMailDepth {
		return
	}
	if depth == 0 {
		body := bufio.NewReaderSize(e.Body, maxMailRaw)
		e.Body = body
		begin, _ := body.Peek(maxMailRaw)
		begin = bytes.Clone(begin)
		defer func() {
			if b.parts == 1 && b.plain.Len()+b.html.Len()+len(b.media) == 0 { // it has parts, and none was found
				b.plain.WriteString(decodeText("", begin))
			}
		}()
	}
	if mr := e.MultipartReader(); mr != nil {
		for b.parts <= maxMailParts {
			part, err := mr.NextPart()
			if part == nil || err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
				return // also where the mail was cut
			}
			b.read(part, depth+1)
		}
		return
	}
	kind, params, err := e.Header.ContentType()
	if err != nil || kind == "" {
		kind = "text/plain"
	}
	how, _, _ := e.Header.ContentDisposition()
	name := fileName(&e.Header)
	into := map[string]*strings.Builder{"text/plain": &b.plain, "text/html": &b.html}[kind]
	if into == nil || how == "attachment" || name != "" && into == &b.plain {
		if kind == "message/rfc822" && name == "" {
			if inner, err := message.ReadWithOptions(e.Body, &message.ReadOptions{MaxHeaderBytes: 256 << 10}); inner != nil && (err == nil || message.IsUnknownCharset(err)) {
				name = headerText(&inner.Header, "Subject")
			}
		}
		if len(b.media) < maxMedia {
			b.media = append(b.media, mention.Media{Type: mailMedia(kind), Alt: clip(line(name), 512)})
		}
		return
	}
	raw, _ := io.ReadAll(io.LimitReader(e.Body, maxMailText-int64(into.Len()))) // of a cut mail what is there
	text := decodeText(params["charset"], raw)
	if strings.EqualFold(params["format"], "flowed") && into == &b.plain {
		text = unflow(text, strings.EqualFold(params["delsp"], "yes"))
	}
	if into.Len() > 0 {
		into.WriteString("\n")
	}
	into.WriteString(text)
}

func mailMedia(kind string) mention.MediaType {
	switch main, _, _ := strings.Cut(kind, "/"); main {
	case "image":
		return mention.Image
	case "video":
		return mention.Video
	case "audio":
		return mention.Audio
	}
	return mention.Other
}

// unflow joins the lines that a mail program broke (RFC 3676).
func unflow(text string, delsp bool) string {
	var b strings.Builder
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, l := range lines {
		soft := strings.HasSuffix(l, " ") && l != "-- " && i+1 < len(lines) && strings.HasPrefix(l, ">") == strings.HasPrefix(lines[i+1], ">")
		if soft && strings.HasPrefix(l, ">") {
			soft = false // quoted text is cut off anyway
		}
		if soft && delsp {
			l = l[:len(l)-1]
		}
		b.WriteString(strings.TrimPrefix(l, " "))
		if !soft && i+1 < len(lines) {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// parameter is one of RFC 2231: name*, name*0, name*0* and so on.
var parameter = regexp.MustCompile(`(?i)(?:file)?name(?:\*(\d{1,3}))?(\*)?\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s]*)`)

// fileName returns the name of an attachment, decoded as RFC 2231 has it, or as
// RFC 2047, which many use instead.
func fileName(h *message.Header) string {
	for _, key := range []string{"Content-Disposition", "Content-Type"} {
		pieces, charset := map[int]string{}, ""
		escaped := false
		for _, m := range parameter.FindAllStringSubmatch(clip(h.Get(key), 16<<10), 100) {
			n, _ := strconv.Atoi(m[1])
			v := m[3]
			if strings.HasPrefix(v, `"`) && len(v) > 1 {
				v = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(v[1 : len(v)-1])
			}
			if m[2] == "*" {
				if n == 0 {
					if set, rest, ok := strings.Cut(v, "'"); ok {
						charset = set
						_, v, _ = strings.Cut(rest, "'")
					}
				}
				escaped = true
				if u, err := url.PathUnescape(v); err == nil {
					v = u
				}
			} else if m[1] == "" && escaped {
				continue // the plain name for old programs
			}
			pieces[n] = v
		}
		var name strings.Builder
		for i := 0; pieces[i] != ""; i++ {
			name.WriteString(pieces[i])
		}
		if name.Len() == 0 {
			continue
		}
		if escaped {
			return decodeText(charset, []byte(name.String()))
		}
		return decodeWords(name.String())
	}
	return ""
}

// decodeText returns raw, which is said to be in charset, as UTF-8. What is not
// said, or not known, or not true, is guessed: mails of Japan are in UTF-8,
// ISO-2022-JP, Shift_JIS or EUC-JP.
func decodeText(charset string, raw []byte) string {
	charset = strings.ToLower(strings.Trim(strings.TrimSpace(charset), `"`))
	switch charset {
	case "cp932", "windows-932", "ms932", "sjis", "x-ms-cp932", "shift-jis":
		charset = "shift_jis"
	case "cp50220", "cp50221", "iso-2022-jp-ms", "iso-2022-jp-1", "iso-2022-jp-2", "jis":
		charset = "iso-2022-jp"
	case "cp51932", "eucjp", "x-euc", "eucjp-ms":
		charset = "euc-jp"
	}
	switch enc, err := htmlindex.Get(charset); {
	case charset == "utf-8" && utf8.Valid(raw), charset == "us-ascii" && ascii(raw) && !bytes.Contains(raw, []byte("\x1b$")):
		return string(raw)
	case err == nil && charset != "utf-8" && charset != "us-ascii" && charset != "":
		if out, err := enc.NewDecoder().Bytes(raw); err == nil && !bytes.Contains(out, []byte("\ufffd")) || !utf8.Valid(raw) {
			return string(out)
		}
	}
	if bytes.Contains(raw, []byte("\x1b$")) {
		if out, err := japanese.ISO2022JP.NewDecoder().Bytes(raw); err == nil {
			return string(out)
		}
	}
	if utf8.Valid(raw) {
		return string(raw)
	}
	for _, enc := range []encoding.Encoding{japanese.EUCJP, japanese.ShiftJIS} {
		if out, err := enc.NewDecoder().Bytes(raw); err == nil && !bytes.Contains(out, []byte("\ufffd")) {
			return string(out)
		}
	}
	return strings.ToValidUTF8(string(raw), "\ufffd")
}
