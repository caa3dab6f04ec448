package classifier

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// redacted is a text without what tells who people are, as far as rules know it
// when they see it, and the way back to the text itself.
type redacted struct {
	text     string
	from, to []int // by rune of text: where it begins in the original, in runes, and where it ends
}

// redact replaces links, addresses, numbers that can name somebody, accounts and
// names by what they are. Known are names that are known from elsewhere, as the
// author's; kept are the brand's own, which stay. At most limit runes come out.
func redact(text string, known, kept []string, limit int) redacted {
	var cuts []cut
	for _, name := range known {
		cuts = addNames(cuts, text, name)
	}
	for i := range redactions {
		r := &redactions[i]
		for _, m := range r.find.FindAllStringSubmatchIndex(text, -1) {
			c := cut{m[2*r.group], m[2*r.group+1], r.as}
			if r.narrow != nil {
				if c.start, c.end = r.narrow(text, c.start, c.end); c.start == c.end {
					continue
				}
			}
			if r.as == "name" && slices.ContainsFunc(kept, func(k string) bool { return strings.Contains(k, text[c.start:c.end]) }) {
				continue
			}
			cuts = add(cuts, c)
		}
	}
	return carry(text, cuts, limit)
}

// cut is a part of a text, in bytes, and what it is.
type cut struct {
	start, end int
	as         string
}

// add adds c unless part of it is cut out already.
func add(cuts []cut, c cut) []cut {
	i, _ := slices.BinarySearchFunc(cuts, c.start, func(have cut, start int) int { return have.end - start })
	for i < len(cuts) && cuts[i].end <= c.start {
		i++
	}
	if i < len(cuts) && cuts[i].start < c.end {
		return cuts
	}
	return slices.Insert(cuts, i, c)
}

func carry(text string, cuts []cut, limit int) redacted {
	var (
		out  redacted
		b    strings.Builder
		rune int
	)
	for at := 0; at < len(text) && len(out.from) < limit; {
		if len(cuts) > 0 && cuts[0].start == at {
			c := cuts[0]
			n := utf8.RuneCountInString(text[c.start:c.end])
			mark := "[" + c.as + "]"
			b.WriteString(mark)
			for range mark {
				out.from, out.to = append(out.from, rune), append(out.to, rune+n)
			}
			rune, at, cuts = rune+n, c.end, cuts[1:]
			continue
		}
		_, size := utf8.DecodeRuneInString(text[at:])
		b.WriteString(text[at : at+size])
		out.from, out.to = append(out.from, rune), append(out.to, rune+1)
		rune, at = rune+1, at+size
	}
	out.text = b.String()
	return out
}

// find returns where words stand first, in runes of r.text.
func (r *redacted) find(words string) (start, end int, ok bool) {
	at := strings.Index(r.text, words)
	if at < 0 || words == "" {
		return 0, 0, false
	}
	start = utf8.RuneCountInString(r.text[:at])
	return start, start + utf8.RuneCountInString(words), true
}

// back returns the runes of the original that stand at start to end of r.text; ok
// is false if there is nothing there.
func (r *redacted) back(start, end int) (from, to int, ok bool) {
	if start < 0 || start >= end || end > len(r.from) {
		return 0, 0, false
	}
	return r.from[start], r.to[end-1], true
}

// addNames cuts out name wherever it stands as a word. Short ones could be any
// word.
func addNames(cuts []cut, text, name string) []cut {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n < 2 || n == len(name) && n < 3 {
		return cuts
	}
	for at := 0; ; {
		i := strings.Index(text[at:], name)
		if i < 0 {
			return cuts
		}
		start, end := at+i, at+i+len(name)
		before, _ := utf8.DecodeLastRuneInString(text[:start])
		after, _ := utf8.DecodeRuneInString(text[end:])
		if !latin(before) && !latin(after) || name[0] >= utf8.RuneSelf {
			cuts = add(cuts, cut{start, end, "name"})
		}
		at = end
	}
}

func latin(r rune) bool { return unicode.Is(unicode.Latin, r) || unicode.IsDigit(r) }

// redaction is one sort of what is cut out. Those that come first win.
type redaction struct {
	as    string
	find  *regexp.Regexp
	group int // of find, that is cut out
	// narrow returns which part of a find to cut out; none if start is end.
	narrow func(text string, start, end int) (int, int)
}

const (
	kata   = `[\p{Katakana}ー]`
	dash   = `[-‐‑–—−ー－]`
	digit  = `\p{Nd}`
	count  = `(?:` + digit + `+|[一二三四五六七八九十]+)`
	person = `[A-Z][\p{L}'’-]+(?: [A-Z][\p{L}'’-]+){0,2}`
	name   = `(?:\p{Han}{1,5}|` + kata + `{2,12}(?:[・＝]` + kata + `{2,12})?)`
	town   = `(?:[\p{Han}\p{Katakana}ケヶー々]{1,8}|さいたま|つくば|つくばみらい|いわき|うるま|ひたちなか|みどり|あきる野|かすみがうら|ふじみ野|いすみ|いなべ|にかほ|むつ|えびの|まんのう)[市区町村郡]`
)

var redactions = []redaction{
	{as: "link", find: regexp.MustCompile(`(?i)(?:https?://|www\.)[^\s<>"「」『』、。（）]+`)},
	{as: "account", find: regexp.MustCompile(`[@＠][A-Za-z0-9_]+[@＠][A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+`)},
	{as: "email", find: regexp.MustCompile(`[A-Za-z0-9._%+\-Ａ-Ｚａ-ｚ０-９．＿－]+[@＠][A-Za-z0-9\-Ａ-Ｚａ-ｚ０-９－]+(?:[.．][A-Za-z0-9\-Ａ-Ｚａ-ｚ０-９－]+)+`)},
	{as: "account", find: regexp.MustCompile(`(?:^|[^A-Za-z0-9_.])([@＠][A-Za-z0-9_]{2,}(?:[@.][A-Za-z0-9_-]+)*)`), group: 1},
	{as: "account", find: regexp.MustCompile(`(?:^|[^A-Za-z0-9_/])(/?u/[A-Za-z0-9_-]{3,})`), group: 1},
	{as: "account", find: regexp.MustCompile(`(?i)(?:line|ライン|インスタ|instagram|insta|discord|telegram|skype|whatsapp)(?:の)?\s?(?:id|アカウント|account|handle)\s?(?:[:：はが]|is)\s?([A-Za-z0-9_.\-]{3,})`), group: 1},
	{as: "link", find: regexp.MustCompile(`(?i)\b[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*\.(?:com|net|org|jp|me|io|co|uk|info|biz|shop|app|dev)\b(?:/[^\s<>"「」『』、。（）]*)?`)},
	{as: "address", find: regexp.MustCompile(
		`(?:(?:東京都|北海道|京都府|大阪府|\p{Han}{2,3}県)\s?)?(?:` + town + `){1,3}[\p{Han}\p{Katakana}ケヶー々]{0,12}?` +
			count + `(?:丁目|番地|番|号|` + dash + `\s?` + count + `)(?:の?` + count + `?(?:丁目|番地|番|号|` + dash + count + `))*(?:` + count + `号?)?` +
			`(?:[\s　]?[\p{Han}\p{Katakana}ー]{0,15}?[\s　]?` + digit + `{1,4}号室)?`)},
	{as: "address", find: regexp.MustCompile(
		`\b\d{1,5}[A-Za-z]?,?\s+(?:[A-Z][A-Za-z'’-]*\.?\s+){1,4}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Place|Pl|Way|Terrace|Close|Crescent|Square|Sq)\b\.?(?:,?\s+(?:Apt|Apartment|Unit|Suite|Flat|No)\.?\s?#?\w+)?`)},
	{as: "address", find: regexp.MustCompile(`\b[A-Z]{1,2}\d[A-Z\d]?\s\d[A-Z]{2}\b`)},
	{as: "number", find: regexp.MustCompile(`[+＋]?[(（]?` + digit + `(?:(?:` + dash + `|[\s　.．()（）]){0,2}` + digit + `){4,}`), narrow: notMoney},
	{as: "number", find: regexp.MustCompile(`[A-Za-z0-9]{8,}`), narrow: mixed},
	{as: "name", find: regexp.MustCompile(`\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Sir|Madam|Mister)\b\.?\s+(` + person + `)`), group: 1},
	{as: "name", find: regexp.MustCompile(`(?i:my name(?:['’]s| is)|named|name was|name is|(?:name ?tag|badge) (?:said|says|read)|by the name of)\s+(` + person + `)`), group: 1},
	{as: "name", find: regexp.MustCompile(
		`(?i:\b(?:manager|employee|cashier|agent|rep|representative|waiter|waitress|driver|assistant|associate|doctor|nurse|clerk|supervisor|barista|technician|salesman|receptionist|teller))\s+(` + person + `)`), group: 1, narrow: notSentence},
	{as: "name", find: regexp.MustCompile(`(?m)^\s*[-–—~〜]\s*(` + person + `)\s*$`), group: 1},
	{as: "name", find: regexp.MustCompile(`(` + name + `|\b[A-Z][a-z]+)\s?(?:さん|様|さま|ちゃん|くん|君|氏|先生|店長|部長|課長|係長|主任|社長|専務|マネージャー|マネジャー)`), group: 1, narrow: notRole},
	{as: "name", find: regexp.MustCompile(`(` + name + `)(?:という|っていう|って名前の)(?:名前の)?(?:店員|社員|担当|スタッフ|男|女|人|者|オペレーター|販売員|配達員|ドライバー|バイト)`), group: 1, narrow: notRole},
	{as: "name", find: regexp.MustCompile(`(?:名前|氏名|担当者?名?|店員名)(?:は|：|:)\s?(` + name + `(?:[\s　]\p{Han}{1,4})?)(?:です|でした|と|、|。|\s|$)`), group: 1, narrow: notRole},
	{as: "name", find: regexp.MustCompile(`(` + name + `(?:[\s　]\p{Han}{1,4})?)と(?:申し|名乗)`), group: 1, narrow: notRole},
}

// notMoney leaves out sums of money, which tell nobody who it is and say much of
// a demand.
func notMoney(text string, start, end int) (int, int) {
	before := strings.TrimRight(text[:start], " ")
	after := strings.TrimLeft(text[end:], " ")
	for _, sign := range []string{"¥", "￥", "$", "€", "£"} {
		if strings.HasSuffix(before, sign) {
			return start, start
		}
	}
	for _, unit := range []string{"円", "ドル", "万", "千", "億", "yen", "dollar", "JPY", "USD", "euro", "bucks", "pounds"} {
		if strings.HasPrefix(after, unit) {
			return start, start
		}
	}
	return start, end
}

// mixed leaves words in peace: a reference has letters and at least three digits.
func mixed(text string, start, end int) (int, int) {
	digits := 0
	for i := start; i < end; i++ {
		if '0' <= text[i] && text[i] <= '9' {
			digits++
		}
	}
	if digits < 3 || digits == end-start {
		return start, start
	}
	return start, end
}

// notSentence leaves out words that begin a sentence.
func notSentence(text string, start, end int) (int, int) {
	first, _, _ := strings.Cut(text[start:end], " ")
	if slices.Contains([]string{
		"I", "The", "It", "He", "She", "They", "We", "You", "And", "But", "This", "That", "My", "Your", "So", "No", "Not", "Then", "When", "If", "At",
		"In", "On", "For", "With", "To", "Was", "Is", "Are", "Who", "Why", "What", "Now", "Never", "Just", "Please", "Your", "Our", "There",
	}, first) || strings.HasPrefix(first, "I'") || strings.HasPrefix(first, "I’") {
		return start, start
	}
	return start, end
}

// notRole leaves out what people are called for what they do or are to us.
func notRole(text string, start, end int) (int, int) {
	who := text[start:end]
	if r, _ := utf8.DecodeRuneInString(strings.TrimPrefix(text[end:], "様")); strings.HasPrefix(text[end:], "様") && strings.ContainsRune("子々式相", r) {
		return start, start
	}
	for _, title := range []string{"店長", "部長", "課長", "係長", "主任", "社長", "専務", "先生"} {
		who = strings.TrimSuffix(who, title)
	}
	last, _ := utf8.DecodeLastRuneInString(who)
	if who == "" || strings.ContainsRune("店社者員客屋師士係方部課局手人女男達家署々", last) || slices.Contains(roles, who) {
		return start, start
	}
	return start, start + len(who)
}

// roles are words before さん and the like that are no names, beside those that
// end as words for trades do.
var roles = strings.Fields(`
	皆 何 神 王 俺 誰 奥 父 母 兄 姉 弟 妹 娘 息子 嫁 旦那 孫 子 赤 爺 婆 叔父 叔母 同 模 仕 多 一 異 有 左 各 両 殿 女王 仏 生徒 学生 大 副 元 前 現 新
	隣 友 彼 外 坊 編集 統括 取締役 代表取締役 営業 技術 支 本 総務 人事 広報 諸 主 貴 夫 妻 客 担当 受付 店 宛名 相手 本 当 御 上 下 今 昔 別 保護 警察 消防
	スタッフ オーナー メーカー ドライバー マスター ママ パパ バイト アルバイト パート オペレーター オペレータ レジ ファン ユーザー モデル サポート カスタマーサポート
	コンビニ タクシー ガス スーパー ショップ エンジニア レビュアー フォロワー リーダー チーフ カスタマーセンター コールセンター クリーニング ホテル エリア フロア ゼネラル`)
