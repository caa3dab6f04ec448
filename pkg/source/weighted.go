package source

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
	"golang.org/x/text/unicode/norm"

	"github.com/earshot/earshot/pkg/text"
)

// weighted counts text as X does (twitter-text, configuration version 3): after
// NFC a link counts url, an emoji 2 however it is joined, Latin and the like 1
// and everything else, so Japanese, 2.
func weighted(text string, url int) int {
	text = norm.NFC.String(text)
	n, done := 0, 0
	if url > 0 {
		for _, l := range tweetLinks(text) {
			n += weigh(text[done:l[0]]) + url
			done = l[1]
		}
	}
	return n + weigh(text[done:])
}

// weigh is the weight of text without links.
func weigh(text string) int {
	n := 0
	for g := uniseg.NewGraphemes(text); g.Next(); {
		n += weight(g.Runes())
	}
	return n
}

// weight is what a grapheme counts on X: an emoji 2, with whatever does not
// belong to it by itself.
func weight(runes []rune) int {
	n, in := 0, emoji(runes)
	if in {
		n = 2
	}
	for i, r := range runes {
		switch {
		case in && (i == 0 || joins(r)):
		case r <= 0x10ff || r >= 0x2000 && r <= 0x200d || r >= 0x2010 && r <= 0x201f || r >= 0x2032 && r <= 0x2037:
			n++
		default:
			n += 2
		}
	}
	return n
}

const (
	emojiStyle = 0xfe0f // shows the character before it as an emoji
	joiner     = 0x200d
	keycap     = 0x20e3
)

// emoji tells whether a grapheme is one.
func emoji(runes []rune) bool {
	first, styled := runes[0], false
	for i, r := range runes {
		if i > 0 && r == keycap {
			return strings.ContainsRune("#*0123456789", first)
		}
		styled = styled || r == emojiStyle || picture(r)
	}
	// Some of the oldest emoji are punctuation: ‼ ⁉ 〰 〽.
	return styled && (unicode.Is(unicode.S, first) || picture(first) || strings.ContainsRune("‼⁉〰〽", first))
}

// joins tells of what can follow within an emoji.
func joins(r rune) bool {
	return r == emojiStyle || r == joiner || r == keycap || picture(r) || unicode.Is(unicode.So, r) || r >= 0xe0020 && r <= 0xe007f
}

func picture(r rune) bool { return r >= 0x1f000 && r <= 0x1faff }

// tweetLinks returns where X finds links in text, in order: with a scheme, or a
// bare domain of ASCII letters that ends in a known top-level domain.
func tweetLinks(text string) [][2]int {
	var out [][2]int
	for at := 0; at < len(text); {
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		if at == 0 || !noLinkAfter(before) {
			if found := tweetLink(text, at); found != nil {
				out = append(out, found...)
				at = out[len(out)-1][1]
				continue
			}
		}
		_, n := utf8.DecodeRuneInString(text[at:])
		at += n
	}
	return out
}

// noLinkAfter tells that no link begins after r.
func noLinkAfter(r rune) bool {
	return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.ContainsRune("@＠$#＃\ufffe\ufeff\uffff", r)
}

const (
	maxTweetLink = 4096
	maxDomain    = 512 // bytes looked at for a domain
	longestIDN   = 48  // bytes of a top-level domain that is not ASCII
)

// tweetLink returns the link whose scheme or domain begins at at. What looks
// like one domain may be several bare ones with Japanese between them.
func tweetLink(text string, at int) [][2]int {
	scheme := 0
	for _, s := range []string{"https://", "http://"} {
		if len(text)-at >= len(s) && strings.EqualFold(text[at:at+len(s)], s) {
			scheme = len(s)
		}
	}
	if scheme == 0 && at > 0 && strings.IndexByte("-_./", text[at-1]) >= 0 {
		return nil
	}
	domain := tweetDomain(text[at+scheme:])
	if domain == 0 {
		return nil
	}
	end := at + scheme + domain
	name, rest := text[at+scheme:end], text[end:]
	if !shortLabels(name) {
		return nil
	}
	found := [][2]int{{at, end}}
	if scheme == 0 {
		found = asciiDomains(name)
		if found == nil {
			return nil
		}
		for i := range found {
			found[i][0] += at
			found[i][1] += at
		}
	}
	last := &found[len(found)-1]
	if slug, ok := strings.CutPrefix(rest, "/"); ok && scheme > 0 && strings.EqualFold(name, "t.co") {
		// X's own short links end with their key.
		if n := strings.IndexFunc(slug+" ", func(r rune) bool { return !asciiAlnum(r) }); n > 40 {
			return nil
		} else if n > 0 {
			last[1] = end + 1 + n
			last[1] += tweetQuery(text[last[1]:])
			return found
		}
	}
	if port := strings.TrimLeft(strings.TrimPrefix(rest, ":"), "0123456789"); strings.HasPrefix(rest, ":") && len(port) < len(rest)-1 {
		end += len(rest) - len(port)
	}
	path := tweetPath(text[end:])
	end += path
	end += tweetQuery(text[end:])
	if scheme > 0 || path > 0 {
		last[1] = end
	}
	if last[1]-last[0] > maxTweetLink {
		return nil
	}
	return found
}

func asciiAlnum(r rune) bool {
	return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// domainChar tells what may stand in a label of a domain, - and _ aside.
func domainChar(r rune) bool {
	if r < utf8.RuneSelf {
		return asciiAlnum(r)
	}
	return !unicode.IsSpace(r) && !unicode.IsControl(r) && !strings.ContainsRune("\ufffe\ufeff\uffff", r) && !text.TurnsDirection(r) && r != 0x200e && r != 0x200f && r != 0x61c
}

// tweetDomain is the length of the longest domain at the beginning of text.
func tweetDomain(text string) int {
	best, labels := 0, 0
	for at := 0; at <= maxDomain; {
		label := text[at:]
		if n := strings.IndexFunc(label, func(r rune) bool { return !domainChar(r) && r != '-' && r != '_' }); n >= 0 {
			label = label[:n]
		}
		if n := topLevel(label, text[at+len(label):]); n > 0 && labels > 0 {
			best = at + n
		}
		// The label before the last may have no underscore, but which is the
		// last shows only later.
		if label == "" || strings.Trim(label, "-_") != label || !strings.HasPrefix(text[at+len(label):], ".") {
			return best
		}
		labels++
		if strings.Contains(label, "_") {
			labels = 0
		}
		at += len(label) + 1
	}
	return best
}

// topLevel is the length of the top-level domain at the beginning of label, 0 if
// there is none. After it stands rest.
func topLevel(label, rest string) int {
	known := func(tld string) bool {
		ascii, err := idna.ToASCII(strings.ToLower(tld))
		if err != nil || ascii == "" {
			return false
		}
		suffix, icann := publicsuffix.PublicSuffix("a." + ascii)
		return icann && strings.HasSuffix("."+suffix, "."+ascii) || ascii == "onion" || strings.HasPrefix(tld, "xn--")
	}
	n := strings.IndexFunc(label, func(r rune) bool { return r >= utf8.RuneSelf || !unicode.IsLetter(r) })
	if n < 0 {
		n = len(label)
	}
	// In "example.comです" the Japanese is no part of the link.
	next, _ := utf8.DecodeRuneInString(label[n:] + rest + " ")
	if n > 0 && !asciiAlnum(next) && !strings.ContainsRune("@+-", next) && known(label[:n]) {
		return n
	}
	// Of top-level domains in other scripts the longest counts.
	found := 0
	for i, r := range label + rest {
		if i > longestIDN || i > len(label) {
			break
		}
		if i > 0 && !asciiAlnum(r) && !strings.ContainsRune("@+-", r) && !ascii(label[:i]) && known(label[:i]) {
			found = i
		}
	}
	if label != "" && rest == "" && !ascii(label) && len(label) <= longestIDN && known(label) {
		found = len(label)
	}
	return found
}

// shortLabels tells whether every label of domain fits the domain name system.
func shortLabels(domain string) bool {
	for l := range strings.SplitSeq(domain, ".") {
		if ascii, err := idna.Punycode.ToASCII(l); err != nil || len(ascii) > 63 {
			return false
		}
	}
	return true
}

// asciiDomains returns the domains of ASCII and accented letters within domain.
func asciiDomains(domain string) [][2]int {
	var out [][2]int
	for at := 0; at < len(domain); {
		end, next := 0, at
		for {
			n := strings.IndexFunc(domain[next:]+" ", func(r rune) bool { return !asciiAlnum(r) && r != '-' && !accented(r) })
			if n == 0 || !strings.HasPrefix(domain[next+n:], ".") {
				break
			}
			next += n + 1
			label, _, _ := strings.Cut(domain[next:], ".")
			if n := topLevel(label, domain[next+len(label):]); n > 0 {
				end = next + n
			}
		}
		if end > 0 {
			out = append(out, [2]int{at, end})
			at = end
			continue
		}
		_, n := utf8.DecodeRuneInString(domain[next:])
		at = next + max(n, 1)
	}
	return out
}

// accented tells of Latin letters with accents.
func accented(r rune) bool {
	return r >= 0xc0 && r <= 0x24f && r != 0xd7 && r != 0xf7 || r >= 0x1e00 && r <= 0x1eff
}

// pathChar tells what may stand in a path; pathEnd, what may end it.
func pathChar(r rune) bool {
	return asciiAlnum(r) || strings.ContainsRune("!*';:=+,.$/%#[]-–_~@|&", r) || r >= 0x400 && r <= 0x4ff || accented(r)
}

func pathEnd(r rune) bool {
	return asciiAlnum(r) || strings.ContainsRune("+-=_#/", r) || r >= 0x400 && r <= 0x4ff || accented(r)
}

// tweetPath is the length of the path at the beginning of text. Parentheses
// belong to it in pairs, one pair within another at most.
func tweetPath(text string) int {
	if !strings.HasPrefix(text, "/") {
		return 0
	}
	end, at := 1, 1
	for at < len(text) {
		r, n := utf8.DecodeRuneInString(text[at:])
		switch {
		case r == '(':
			n = parens(text[at:], 2)
			if n == 0 {
				return end
			}
			end = at + n
		case !pathChar(r):
			return end
		case pathEnd(r):
			end = at + n
		}
		at += n
	}
	return end
}

// parens is the length of a pair of parentheses with something in it.
func parens(text string, depth int) int {
	for at := 1; at < len(text); {
		r, n := utf8.DecodeRuneInString(text[at:])
		switch {
		case r == ')':
			if at == 1 {
				return 0
			}
			return at + n
		case r == '(' && depth > 1:
			if n = parens(text[at:], depth-1); n == 0 {
				return 0
			}
		case !pathChar(r):
			return 0
		}
		at += n
	}
	return 0
}

// tweetQuery is the length of the query at the beginning of text.
func tweetQuery(text string) int {
	if !strings.HasPrefix(text, "?") {
		return 0
	}
	end := 0
	for i, r := range text {
		if !asciiAlnum(r) && !strings.ContainsRune("!?*'@();:&=+$/%#[]-_.,~|", r) {
			break
		}
		if i > 0 && (asciiAlnum(r) || strings.ContainsRune("-_&=#/", r)) {
			end = i + 1
		}
	}
	return end
}
