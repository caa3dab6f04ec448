package casework

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/text"
)

// CheckRule is something that a public reply should not say, or not like that.
// The notation of its phrases is described in checks/README.md.
type CheckRule struct {
	ID   string `json:"id"`
	Lang string `json:"lang,omitempty"` // of replies it reads: ja or en; empty for all
	// Pack makes it one of those that a brand chooses, see [Packs]. Empty: it
	// reads the replies of all brands.
	Pack string `json:"pack,omitempty"`
	Off  bool   `json:"off,omitempty"`
	// Block keeps the reply from being sent. Else the writer is only told.
	Block bool              `json:"block,omitempty"`
	Name  map[string]string `json:"name"` // by language of the desk
	Why   map[string]string `json:"why"`  // by language of the desk
	// Turn is how it could be said instead, by language of the reply.
	Turn    map[string]string `json:"turn,omitempty"`
	Phrases []string          `json:"phrases"`
	// Unless are phrases in the same sentence, UnlessText anywhere in the reply,
	// with which it is well said.
	Unless     []string `json:"unless,omitempty"`
	UnlessText []string `json:"unless_text,omitempty"`
	// MoreThan is how often it may be said; only what comes after is found.
	MoreThan int `json:"more_than,omitempty"`
	// Personal says that it finds personal data. What the brand itself gives
	// out as its contacts is none.
	Personal bool     `json:"personal,omitempty"`
	Examples []string `json:"examples"` // replies in which it must be found
	Counter  []string `json:"counter_examples"`
}

// Packs are the sets of rules that a brand can choose. They only warn: what they
// know of the law and of platforms is no legal advice.
var Packs = []string{"pharma", "claims", "keigo", "platform"}

// Voice is what a brand adds to the rules.
type Voice struct {
	ID    string    `json:"id"`              // the brand's
	Packs []string  `json:"packs,omitempty"` // of [Packs]
	Words []Wording `json:"words,omitempty"`
	// Contacts are telephone numbers and addresses that the brand gives out in
	// public.
	Contacts []string `json:"contacts,omitempty"`
}

// Validate reports everything that is wrong with v.
func (v *Voice) Validate() error {
	errs := []error{known("packs", v.Packs, Packs)}
	for i, w := range v.Words {
		at := fmt.Sprintf("words[%d].avoid", i)
		if strings.TrimSpace(w.Avoid) == "" {
			errs = append(errs, config.Invalid(at, "required"))
		} else if _, err := compilePhrase(w.Avoid, replyLang("", w.Avoid)); err != nil {
			errs = append(errs, config.At(at, err))
		}
	}
	return errors.Join(errs...)
}

// Wording is a word that a brand does not use, and the one it does.
type Wording struct {
	Avoid  string `json:"avoid"`
	Prefer string `json:"prefer,omitempty"`
}

// Finding is what a [Checker] says about some words of a reply. Start and End
// count Unicode code points of the reply.
type Finding struct {
	Rule       string // its id; [VoiceRule] for a brand's words
	Start, End int
	Words      string
	Block      bool
	Name, Why  map[string]string // by language of the desk; nil for [VoiceRule]
	Turn       string            // how it could be said instead; may be empty
}

// VoiceRule is the rule of findings about a brand's own words.
const VoiceRule = "voice"

// Checker reads replies. It is safe for concurrent use.
type Checker struct{ rules []checker }

type checker struct {
	CheckRule
	phrases, unless, unlessText []*phrase
}

// Validate reports everything that is wrong with r, down to its examples.
func (r *CheckRule) Validate() error {
	var errs []error
	if !slices.Contains([]string{"", "ja", "en"}, r.Lang) {
		errs = append(errs, config.Invalid("lang", "%q: want ja, en or nothing", r.Lang))
	}
	if r.Pack != "" && !slices.Contains(Packs, r.Pack) {
		errs = append(errs, config.Invalid("pack", "%q: want one of %v, or nothing", r.Pack, Packs))
	}
	if r.Pack != "" && r.Block {
		errs = append(errs, config.Invalid("block", "a rule of a pack only warns"))
	}
	if !said(r.Name) {
		errs = append(errs, config.Invalid("name", "required, in one language at least"))
	}
	if !said(r.Why) {
		errs = append(errs, config.Invalid("why", "say why, in one language at least: who writes will read it"))
	}
	if r.MoreThan < 0 || r.MoreThan > 20 {
		errs = append(errs, config.Invalid("more_than", "%d: want 0 to 20", r.MoreThan))
	}
	for _, list := range []struct {
		field string
		of    []string
		must  bool
	}{{"phrases", r.Phrases, true}, {"examples", r.Examples, true}, {"counter_examples", r.Counter, true}, {"unless", r.Unless, false}, {"unless_text", r.UnlessText, false}} {
		if list.must && len(list.of) == 0 {
			errs = append(errs, config.Invalid(list.field, "want at least one"))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	c, err := r.compile()
	if err != nil {
		return err
	}
	for i, x := range r.Examples {
		if len(c.find(cmp.Or(r.Lang, replyLang("", x)), newReading(x), nil)) == 0 {
			errs = append(errs, config.Invalid(fmt.Sprintf("examples[%d]", i), "the rule does not find anything in it"))
		}
	}
	for i, x := range r.Counter {
		if f := c.find(cmp.Or(r.Lang, replyLang("", x)), newReading(x), nil); len(f) > 0 {
			errs = append(errs, config.Invalid(fmt.Sprintf("counter_examples[%d]", i), "the rule finds %q in it", f[0].Words))
		}
	}
	return errors.Join(errs...)
}

func (r *CheckRule) compile() (checker, error) {
	c := checker{CheckRule: *r}
	var errs []error
	for _, list := range []struct {
		field string
		from  []string
		to    *[]*phrase
	}{{"phrases", r.Phrases, &c.phrases}, {"unless", r.Unless, &c.unless}, {"unless_text", r.UnlessText, &c.unlessText}} {
		for i, s := range list.from {
			p, err := compilePhrase(s, r.Lang)
			if err != nil {
				errs = append(errs, config.At(fmt.Sprintf("%s[%d]", list.field, i), err))
				continue
			}
			*list.to = append(*list.to, p)
		}
	}
	return c, errors.Join(errs...)
}

// NewChecker returns a checker of rules, which are valid.
func NewChecker(rules []CheckRule) (*Checker, error) {
	c := &Checker{}
	var errs []error
	for i := range rules {
		if rules[i].Off {
			continue
		}
		r, err := rules[i].compile()
		if err != nil {
			errs = append(errs, fmt.Errorf("check %s: %w", rules[i].ID, err))
			continue
		}
		c.rules = append(c.rules, r)
	}
	return c, errors.Join(errs...)
}

// Check reads a reply in lang and returns what it finds, in the order of the
// words.
func (c *Checker) Check(lang, reply string, v Voice) []Finding {
	lang = replyLang(lang, reply)
	r := newReading(reply)
	var out []Finding
	for i := range c.rules {
		rule := &c.rules[i]
		if rule.Pack == "" || slices.Contains(v.Packs, rule.Pack) {
			out = append(out, rule.find(lang, r, v.Contacts)...)
		}
	}
	out = append(out, r.voice(v.Words)...)
	slices.SortStableFunc(out, func(a, b Finding) int { return cmp.Or(a.Start-b.Start, b.End-a.End) })
	return out
}

// find returns where a reply breaks the rule.
func (c *checker) find(lang string, r *reading, contacts []string) []Finding {
	if c.Lang != "" && c.Lang != lang {
		return nil
	}
	var out []Finding
	for i := range r.sentences {
		s := &r.sentences[i]
		if slices.ContainsFunc(c.unless, s.has) {
			continue
		}
		var spans [][2]int
		for _, p := range c.phrases {
			spans = append(spans, s.find(p)...)
		}
		slices.SortFunc(spans, func(a, b [2]int) int { return cmp.Or(a[0]-b[0], b[1]-a[1]) })
		end := -1
		for _, span := range spans {
			if span[0] < end {
				continue // another phrase has it
			}
			end = span[1]
			f := Finding{Rule: c.ID, Block: c.Block, Name: c.Name, Why: c.Why, Turn: c.Turn[lang]}
			f.Start, f.End, f.Words = r.at(s, span)
			if !c.Personal || !given(contacts, f.Words) {
				out = append(out, f)
			}
		}
	}
	if len(out) <= c.MoreThan {
		return nil
	}
	out = out[c.MoreThan:]
	if len(c.unlessText) > 0 && slices.ContainsFunc(r.sentences, func(s sentence) bool { return slices.ContainsFunc(c.unlessText, s.has) }) {
		return nil
	}
	return out
}

// given tells whether words are a contact that the brand gives out.
func given(contacts []string, words string) bool {
	plain := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r == '-' || r == ' ' || r == '(' || r == ')' {
				return -1
			}
			return r
		}, text.Fold(s))
	}
	w := plain(words)
	return slices.ContainsFunc(contacts, func(c string) bool {
		p := plain(c)
		return p != "" && (strings.Contains(p, w) || strings.Contains(w, p))
	})
}

// reading is a reply cut into sentences, each folded.
type reading struct {
	runes     []rune
	sentences []sentence
}

type sentence struct {
	from   int // code points before it
	folded *text.Folded
}

func newReading(reply string) *reading {
	r := &reading{runes: []rune(reply)}
	from := 0
	for i := range r.runes {
		if i+1 < len(r.runes) && !ends(r.runes, i) {
			continue
		}
		if part := string(r.runes[from : i+1]); strings.TrimSpace(part) != "" {
			f := text.FoldMap(part)
			r.sentences = append(r.sentences, sentence{from, &f})
		}
		from = i + 1
	}
	return r
}

// ends tells whether a sentence ends with the character at i. A full stop needs
// a space after it and no number ("No. 12", "3.5").
func ends(r []rune, i int) bool {
	switch r[i] {
	case '。', '！', '？', '!', '?', '\n':
		return true
	case '.':
		if i+1 < len(r) && !unicode.IsSpace(r[i+1]) {
			return false
		}
		for _, next := range r[i+1:] {
			if !unicode.IsSpace(next) {
				return !unicode.IsDigit(next)
			}
		}
		return true
	}
	return false
}

func (s sentence) has(p *phrase) bool { return p.re.MatchString(s.folded.Text) }

// find returns where p stands in the folded sentence, in bytes.
func (s sentence) find(p *phrase) [][2]int {
	var out [][2]int
	for _, m := range p.re.FindAllStringSubmatchIndex(s.folded.Text, 20) {
		out = append(out, [2]int{m[2], m[3]})
	}
	return out
}

// at returns a part of a sentence in code points of the reply, and its words.
func (r *reading) at(s *sentence, span [2]int) (start, end int, words string) {
	a, b := s.folded.Span(span[0], span[1])
	start, end = min(s.from+a, len(r.runes)), min(s.from+b, len(r.runes))
	return start, end, string(r.runes[start:end])
}

// voice finds the words that a brand does not use.
func (r *reading) voice(words []Wording) []Finding {
	var out []Finding
	for _, w := range words {
		p, err := compilePhrase(strings.TrimSpace(w.Avoid), replyLang("", w.Avoid))
		if err != nil {
			continue // refused when the brand was saved
		}
		for i := range r.sentences {
			s := &r.sentences[i]
			for _, span := range s.find(p) {
				f := Finding{Rule: VoiceRule, Turn: w.Prefer}
				f.Start, f.End, f.Words = r.at(s, span)
				out = append(out, f)
			}
		}
	}
	return out
}

// replyLang is the language that a reply is read in: kana make it Japanese, and
// letters alone make English of what was to be Japanese.
func replyLang(lang, reply string) string {
	latin := false
	for _, r := range reply {
		switch {
		case text.IsKana(r):
			return "ja"
		case text.IsHan(r) && lang != "en":
			return cmp.Or(lang, "ja")
		case r < utf8.RuneSelf && unicode.IsLetter(r):
			latin = true
		}
	}
	if latin && (lang == "ja" || lang == "") {
		return "en"
	}
	return lang
}

// phrase is a compiled phrase; its first group is what it marks.
type phrase struct{ re *regexp.Regexp }

// maxPhrase bounds one phrase, in bytes.
const maxPhrase = 2000

// compilePhrase reads the notation of checks/README.md.
func compilePhrase(s, lang string) (*phrase, error) {
	if len(s) > maxPhrase {
		return nil, config.Invalid("", "longer than %d bytes; cut it in two", maxPhrase)
	}
	expr, err := phraseExpr(s, lang, 0)
	if err != nil {
		return nil, err
	}
	re, err := regexp.Compile("(" + expr + ")")
	if err != nil {
		return nil, config.Invalid("", "%q cannot be read: %v", s, err)
	}
	if slices.ContainsFunc(re.FindAllStringIndex("x あ", -1), func(m []int) bool { return m[0] == m[1] }) {
		return nil, config.Invalid("", "%q would be found everywhere", s)
	}
	return &phrase{re}, nil
}

// gaps are how many characters ~ stands for.
var gaps = map[string]string{"ja": `.{0,12}?`, "en": `.{0,28}?`, "": `.{0,12}?`}

// phraseExpr is the regular expression of a phrase.
func phraseExpr(s, lang string, depth int) (string, error) {
	if inner, ok := strings.CutPrefix(s, "/"); ok && strings.HasSuffix(inner, "/") && len(inner) > 1 {
		inner = strings.TrimSuffix(inner, "/")
		re, err := regexp.Compile(inner)
		if err != nil {
			return "", config.Invalid("", "%q cannot be read: %v", s, err)
		}
		if re.NumSubexp() > 0 {
			return "", config.Invalid("", "%q: write groups as (?:…)", s)
		}
		return "(?:" + inner + ")", nil
	}
	var parts []string
	for seg := range strings.SplitSeq(strings.ReplaceAll(s, "~~", "\x00"), "~") {
		for i, piece := range strings.Split(seg, "\x00") {
			expr, err := segmentExpr(strings.TrimSpace(piece), lang, depth)
			if err != nil {
				return "", err
			}
			switch {
			case len(parts) == 0:
			case i > 0:
				parts = append(parts, `.*?`)
			default:
				parts = append(parts, gaps[lang])
			}
			parts = append(parts, expr)
		}
	}
	return strings.Join(parts, ""), nil
}

// segmentExpr is the regular expression of what stands between two gaps.
func segmentExpr(s, lang string, depth int) (string, error) {
	var b, plain strings.Builder
	open := 0
	flush := func() {
		b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(text.Fold(plain.String())), " ", `\s+`))
		plain.Reset()
	}
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		switch r {
		case '(':
			flush()
			b.WriteString("(?:")
			open++
		case ')':
			flush()
			if open--; open < 0 {
				return "", config.Invalid("", "%q: a bracket is closed that was not opened", s)
			}
			b.WriteString(")")
			if i < len(s) && (s[i] == '?' || s[i] == '*') {
				b.WriteByte(s[i])
				i++
			}
		case '|':
			flush()
			b.WriteString("|")
		case '*':
			flush()
			b.WriteString(`[a-z']*`)
		case '#':
			flush()
			b.WriteString(`[0-9]+`)
		case '?':
			last, n := utf8.DecodeLastRuneInString(plain.String())
			if n == 0 {
				return "", config.Invalid("", "%q: a question mark stands after what may be left out", s)
			}
			before := strings.TrimSuffix(plain.String(), string(last))
			plain.Reset()
			plain.WriteString(before)
			flush()
			b.WriteString("(?:" + regexp.QuoteMeta(text.Fold(string(last))) + ")?")
		case '<':
			flush()
			name, rest, ok := strings.Cut(s[i:], ">")
			list, known := shipped().lists[name]
			if !ok || !known || depth > 3 {
				return "", config.Invalid("", "%q: there is no list <%s>", s, name)
			}
			var all []string
			for _, entry := range list {
				expr, err := phraseExpr(entry, lang, depth+1)
				if err != nil {
					return "", err
				}
				all = append(all, expr)
			}
			b.WriteString("(?:" + strings.Join(all, "|") + ")")
			i = len(s) - len(rest)
		case ' ':
			// Folding takes a space at the end away.
			flush()
			if b.Len() > 0 && i < len(s) {
				b.WriteString(`\s+`)
			}
		default:
			plain.WriteRune(r)
		}
	}
	flush()
	if open > 0 {
		return "", config.Invalid("", "%q: a bracket is not closed", s)
	}
	if lang == "en" && b.Len() > 0 && depth == 0 {
		return `\b(?:` + b.String() + `)\b`, nil
	}
	return "(?:" + b.String() + ")", nil
}
