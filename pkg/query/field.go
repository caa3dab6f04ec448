package query

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/text"
)

// field is a condition on something other than the text.
type field struct {
	name   string
	value  string // as typed; for rating in canonical form
	folded string
	lo, hi int // rating
}

var fieldNames = []string{"author", "kind", "lang", "place", "platform", "rating", "source", "url"}

// fieldAliases are names that other tools use.
var fieldAliases = map[string]string{
	"from": "author", "user": "author", "by": "author", "language": "lang", "locale": "lang",
	"store": "place", "app": "place", "location": "place", "product": "place", "network": "platform",
	"stars": "rating", "star": "rating", "score": "rating", "type": "kind", "feed": "source",
	"site": "url", "domain": "url", "link": "url", "host": "url",
}

var kinds = []string{string(mention.KindPost), string(mention.KindReview), string(mention.KindArticle), string(mention.KindNote)}

// langAliases are what people write for a language's code.
var langAliases = map[string]string{
	"jp": "ja", "jpn": "ja", "japanese": "ja", "日本語": "ja", "にほんご": "ja", "eng": "en", "english": "en", "英語": "en",
	"kr": "ko", "korean": "ko", "cn": "zh", "chinese": "zh",
}

// isFieldName tells whether what stands before a colon is meant as a field.
func isFieldName(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return s != ""
}

// String returns the field as a query writes it.
func (f field) String() string {
	plain := f.value != ""
	for _, r := range f.value {
		n := narrow(r)
		plain = plain && !unicode.IsSpace(r) && !isQuote(n) && n != '(' && n != ')'
	}
	if plain {
		return f.name + ":" + f.value
	}
	return f.name + ":" + quote(f.value)
}

// readField reads the value of the field that begins at from.
func (p *parser) readField(from int, name string) *node {
	quoted := p.pos < len(p.src) && isQuote(narrow(p.src[p.pos]))
	var value string
	if quoted {
		value = p.phrase()
	} else {
		value = p.bare()
	}
	near := string(p.src[from:p.pos])
	f := field{name: strings.ToLower(name), value: value, folded: text.Fold(value)}
	if !slices.Contains(fieldNames, f.name) {
		hint := `put it in quotes to look for it as text; fields are ` + strings.Join(fieldNames, ", ")
		if f.name == "http" || f.name == "https" {
			hint = "write url: in front of it"
		} else if m := meant(f.name, fieldNames, fieldAliases); m != "" {
			hint = fmt.Sprintf("did you mean %s:%s? Otherwise put it in quotes", m, clip(value))
		}
		p.fail(from, "unknown-field", clip(near), fmt.Sprintf("there is no field %q", name), hint)
	}
	if f.folded == "" {
		p.fail(from, "empty-value", clip(near), fmt.Sprintf("%s: has no value", f.name), fmt.Sprintf("write it right after the colon, such as %s", fieldExample[f.name]))
	}
	if n := len([]rune(value)); n > maxTerm {
		p.fail(from, "long-term", clip(near), fmt.Sprintf("the value is longer than %d characters", maxTerm), "use a shorter part of it")
	}
	if message, hint := f.complete(); message != "" {
		p.fail(from, "bad-value", clip(near), message, hint)
	}
	return &node{op: opField, at: from, field: f}
}

var fieldExample = map[string]string{
	"author": "author:acme_jp", "kind": "kind:review", "lang": "lang:ja", "place": "place:shibuya",
	"platform": "platform:mastodon", "rating": "rating:<=2", "source": "source:news", "url": "url:acme.com",
}

// complete checks the value and brings it into the form that match needs. It
// returns what is wrong and what to do, or nothing.
func (f *field) complete() (message, hint string) {
	switch f.name {
	case "rating":
		return f.completeRating()
	case "kind":
		if !slices.Contains(kinds, f.folded) {
			hint = "kinds are " + strings.Join(kinds, ", ")
			if m := meant(f.folded, kinds, map[string]string{"news": "article", "blog": "article", "tweet": "post", "toot": "post", "call": "note"}); m != "" {
				hint = "did you mean kind:" + m + "?"
			}
			return fmt.Sprintf("there is no kind %q", clip(f.value)), hint
		}
	case "lang":
		if to, ok := langAliases[f.folded]; ok {
			return fmt.Sprintf("%q is not a language code", clip(f.value)), "did you mean lang:" + to + "?"
		}
		primary, _, _ := strings.Cut(f.folded, "-")
		if len(primary) < 2 || len(primary) > 3 || !isFieldName(primary) {
			return fmt.Sprintf("%q is not a language code", clip(f.value)), "use a code of two or three letters, such as ja or en"
		}
	case "author":
		f.folded = strings.TrimPrefix(f.folded, "@")
		if strings.Trim(f.folded, "*@") == "" || strings.Contains(strings.TrimSuffix(strings.TrimPrefix(f.folded, "*"), "*"), "*") {
			return "author: needs a handle or name, with * only at its ends", "write it such as author:acme_jp or author:*bot"
		}
	case "url":
		if _, rest, ok := strings.Cut(f.folded, "://"); ok {
			f.folded = rest
		}
		f.folded = strings.TrimSuffix(f.folded, "/")
		if f.folded == "" {
			return "url: has no domain", "write it such as url:acme.com"
		}
	}
	return "", ""
}

func (f *field) completeRating() (message, hint string) {
	bad := func() (string, string) {
		return fmt.Sprintf("%q is not a rating", clip(f.value)), "ratings go from 1 to 5; write rating:1, rating:<=2 or rating:1..2"
	}
	s := strings.ReplaceAll(f.folded, " ", "")
	from, to, isRange := strings.Cut(s, "..")
	sign := strings.TrimRight(s, "0123456789")
	if !isRange {
		from, to = strings.TrimPrefix(s, sign), strings.TrimPrefix(s, sign)
		switch sign {
		case "", "=", "<", "<=", ">", ">=":
		default:
			return bad()
		}
	}
	lo, err := strconv.Atoi(from)
	if err != nil {
		return bad()
	}
	hi, err := strconv.Atoi(to)
	if err != nil {
		return bad()
	}
	if lo < 1 || hi > 5 || lo > hi {
		return bad()
	}
	if !isRange {
		switch sign {
		case "<":
			lo, hi = 1, hi-1
		case "<=":
			lo = 1
		case ">":
			lo, hi = lo+1, 5
		case ">=":
			hi = 5
		}
	}
	if lo > hi {
		return fmt.Sprintf("no rating is %s", s), "ratings go from 1 to 5"
	}
	f.lo, f.hi = lo, hi
	f.value = strconv.Itoa(lo)
	if hi > lo {
		f.value += ".." + strconv.Itoa(hi)
	}
	f.folded = f.value
	return "", ""
}

// match tells whether the field holds for p, whose folded content is content.
func (f *field) match(p *mention.Post, content string) bool {
	switch f.name {
	case "rating":
		return p.Rating >= f.lo && p.Rating <= f.hi
	case "kind":
		return string(p.Kind) == f.folded
	case "platform":
		return text.Fold(p.Platform) == f.folded
	case "source":
		return text.Fold(p.Source) == f.folded
	case "place":
		return text.Fold(p.Place.ID) == f.folded || text.Fold(p.Place.Name) == f.folded
	case "lang":
		return f.matchLang(p, content)
	case "author":
		handle := strings.TrimPrefix(text.Fold(p.Author.Handle), "@")
		local, _, _ := strings.Cut(handle, "@")
		return glob(f.folded, handle) || glob(f.folded, local) || glob(f.folded, text.Fold(p.Author.Name))
	}
	return f.matchURL(p, content)
}

// glob matches s against a pattern with "*" at its ends.
func glob(pattern, s string) bool {
	core, after := strings.CutSuffix(pattern, "*")
	core, before := strings.CutPrefix(core, "*")
	switch {
	case before && after:
		return strings.Contains(s, core)
	case before:
		return strings.HasSuffix(s, core)
	case after:
		return strings.HasPrefix(s, core)
	}
	return s == core
}

func (f *field) matchLang(p *mention.Post, content string) bool {
	claimed := strings.ReplaceAll(text.Fold(p.Lang), "_", "-")
	if claimed != "" && claimed != "und" {
		return claimed == f.folded || strings.HasPrefix(claimed, f.folded+"-")
	}
	var kana, han, hangul, other int
	for _, r := range content {
		switch {
		case text.IsKana(r):
			kana++
		case text.IsHan(r):
			han++
		case text.IsCJK(r):
			hangul++
		case unicode.IsLetter(r):
			other++
		}
	}
	primary, _, _ := strings.Cut(f.folded, "-")
	// A Japanese sentence may name several things in Latin letters, which take
	// more characters than kana do.
	dense := (kana+han+hangul)*3 >= other && kana+han+hangul > 0
	switch primary {
	case "ja":
		return dense && kana+han >= hangul
	case "zh":
		return dense && kana == 0 && han >= hangul
	case "ko":
		return dense && hangul >= kana+han
	}
	return !dense
}

func (f *field) matchURL(p *mention.Post, content string) bool {
	if p.URL != "" && f.matchLink(text.Fold(p.URL)) {
		return true
	}
	for rest := content; ; {
		i := strings.Index(rest, "://")
		if i < 0 {
			return false
		}
		rest = rest[i+3:]
		end := strings.IndexFunc(rest, func(r rune) bool { return r <= ' ' || r >= 0x80 || r == '"' || r == '<' || r == '>' })
		if end < 0 {
			end = len(rest)
		}
		if f.matchLink(rest[:end]) {
			return true
		}
		rest = rest[end:]
	}
}

// matchLink compares with one folded address.
func (f *field) matchLink(link string) bool {
	if _, rest, ok := strings.Cut(link, "://"); ok {
		link = rest
	}
	if !strings.Contains(f.folded, ".") || strings.Contains(f.folded, "/") {
		return strings.Contains(link, f.folded)
	}
	host := link
	if i := strings.IndexAny(host, "/?#"); i >= 0 {
		host = host[:i]
	}
	host = host[strings.LastIndexByte(host, '@')+1:]
	host, _, _ = strings.Cut(host, ":")
	host = strings.TrimRight(host, ".,;!)")
	return host == f.folded || strings.HasSuffix(host, "."+f.folded)
}
