package text

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Piece is a part of a text, in bytes, and what it is.
type Piece struct {
	Start, End int
	As         string // link, account, email, address, number or name
}

// Personal finds what tells who people are, as far as rules know it when they
// see it: links, addresses, numbers that can name somebody, accounts and names.
// Known are names that are known from elsewhere, as the author's, in UTF-8; kept are those
// that stay, as the brand's own. The pieces are in order and don't overlap.
func Personal(s string, known, kept []string) []Piece {
	var found []Piece
	for _, name := range known {
		found = addNames(found, s, name)
	}
	return personal(found, s, kept)
}

func personal(found []Piece, s string, kept []string, only ...string) []Piece {
	for i := range redactions {
		r := &redactions[i]
		if len(only) > 0 && !slices.Contains(only, r.as) || r.has != "" && !strings.ContainsAny(s, r.has) {
			continue
		}
		for _, m := range r.find.FindAllStringSubmatchIndex(s, -1) {
			c := Piece{m[2*r.group], m[2*r.group+1], r.as}
			if r.narrow != nil {
				if c.Start, c.End = r.narrow(s, c.Start, c.End); c.Start == c.End {
					continue
				}
			}
			if r.as == "name" && slices.ContainsFunc(kept, func(k string) bool { return strings.Contains(k, s[c.Start:c.End]) }) {
				continue
			}
			found = add(found, c)
		}
	}
	return found
}

// add adds c unless part of it is found already.
func add(found []Piece, c Piece) []Piece {
	i, _ := slices.BinarySearchFunc(found, c.Start, func(have Piece, start int) int { return have.End - start })
	for i < len(found) && found[i].End <= c.Start {
		i++
	}
	if i < len(found) && found[i].Start < c.End {
		return found
	}
	return slices.Insert(found, i, c)
}

// Private finds what readers of a post need not see to answer it: telephone
// numbers, mail and postal addresses, numbers of orders and customers. Dates,
// times, sums and the accounts by which people are known in public stay.
func Private(s string) []Piece {
	if !strings.ContainsFunc(s, unicode.IsDigit) && !strings.ContainsAny(s, "@＠番") {
		return nil
	}
	var found []Piece
	for _, p := range personal(nil, s, nil, "link", "account", "email", "address", "number") {
		switch p.As {
		case "email", "address":
		case "number":
			if !names(s, p) {
				continue
			}
		default:
			continue // found so that no number within it is taken for one
		}
		found = append(found, p)
	}
	return found
}

// Mask is s with a dot in the place of every letter and digit of what is
// [Private]. It has as many code points as s.
func Mask(s string) string {
	found := Private(s)
	if len(found) == 0 {
		return s
	}
	var b strings.Builder
	at := 0
	for _, p := range found {
		b.WriteString(s[at:p.Start])
		for _, r := range s[p.Start:p.End] {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				r = '•'
			}
			b.WriteRune(r)
		}
		at = p.End
	}
	b.WriteString(s[at:])
	return b.String()
}

var (
	aDate  = regexp.MustCompile(`^(?:19|20)\d{2}[-‐–−.．/]?(?:0?[1-9]|1[0-2])[-‐–−.．/]?(?:0?[1-9]|[12]\d|3[01])(?:\D*\d{1,2})?$`)
	called = regexp.MustCompile(`(?i)(?:注文|受注|予約|会員|顧客|お客様|問い?合わせ|受付|伝票|追跡|シリアル|契約|口座|カード|電話|携帯|tel|phone|order|booking|reservation|account|customer|member(?:ship)?|tracking|ticket|case|ref(?:erence)?|invoice|card)\s*(?:(?:no|number|num|id|番号|nr)\b?)?[\s.:：#＃はが=]*(?:is\s+)?$`)
)

// names tells whether a number can name somebody or what they bought: it is long
// enough for a telephone, or is called so.
func names(s string, p Piece) bool {
	n := 0
	for _, r := range s[p.Start:p.End] {
		if unicode.IsDigit(r) {
			n++
		}
	}
	if aDate.MatchString(strings.TrimSpace(s[p.Start:p.End])) {
		return false
	}
	return n >= 9 || n >= 7 && strings.ContainsAny(s[p.Start:p.End], "-‐‑–—−ー－") || called.MatchString(s[max(0, p.Start-60):p.Start]) ||
		strings.HasSuffix(strings.TrimRight(s[:p.Start], " 　"), "〒")
}

// addNames found out name wherever it stands as a word. Short ones could be any
// word.
func addNames(found []Piece, text, name string) []Piece {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n < 2 || n == len(name) && n < 3 || !utf8.ValidString(name) {
		return found // what is no UTF-8 would be found in the midst of letters
	}
	for at := 0; ; {
		i := strings.Index(text[at:], name)
		if i < 0 {
			return found
		}
		start, end := at+i, at+i+len(name)
		before, _ := utf8.DecodeLastRuneInString(text[:start])
		after, _ := utf8.DecodeRuneInString(text[end:])
		if !latin(before) && !latin(after) || name[0] >= utf8.RuneSelf {
			found = add(found, Piece{start, end, "name"})
		}
		at = end
	}
}

func latin(r rune) bool { return unicode.Is(unicode.Latin, r) || unicode.IsDigit(r) }

// redaction is one sort of what is cut out. Those that come first win.
type redaction struct {
	as    string
	has   string // characters of which every find has one: without them it is not looked for
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
	{as: "link", has: "/.", find: regexp.MustCompile(`(?i)(?:https?://|www\.)[^\s<>"「」『』、。（）]+`)},
	{as: "account", has: "@＠", find: regexp.MustCompile(`[@＠][A-Za-z0-9_]+[@＠][A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+`)},
	{as: "email", has: "@＠", find: regexp.MustCompile(`[A-Za-z0-9._%+\-Ａ-Ｚａ-ｚ０-９．＿－]+[@＠][A-Za-z0-9\-Ａ-Ｚａ-ｚ０-９－]+(?:[.．][A-Za-z0-9\-Ａ-Ｚａ-ｚ０-９－]+)+`)},
	{as: "account", has: "@＠", find: regexp.MustCompile(`(?:^|[^A-Za-z0-9_.])([@＠][A-Za-z0-9_]{2,}(?:[@.][A-Za-z0-9_-]+)*)`), group: 1},
	{as: "account", has: "/", find: regexp.MustCompile(`(?:^|[^A-Za-z0-9_/])(/?u/[A-Za-z0-9_-]{3,})`), group: 1},
	{as: "account", find: regexp.MustCompile(`(?i)(?:line|ライン|インスタ|instagram|insta|discord|telegram|skype|whatsapp)(?:の)?\s?(?:id|アカウント|account|handle)\s?(?:[:：はが]|is)\s?([A-Za-z0-9_.\-]{3,})`), group: 1},
	{as: "link", has: ".", find: regexp.MustCompile(`(?i)\b[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*\.(?:com|net|org|jp|me|io|co|uk|info|biz|shop|app|dev)\b(?:/[^\s<>"「」『』、。（）]*)?`)},
	{as: "address", has: "市区町村郡", find: regexp.MustCompile(
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
