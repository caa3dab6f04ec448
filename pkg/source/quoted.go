package source

import (
	"regexp"
	"strings"
)

var (
	quoteMark = regexp.MustCompile(`^\s{0,3}[>＞]`)
	// attribution is the line above a quote: "On … wrote:", "2026年11月20日(金)
	// 10:00 Acme <help@acme.example>:", "… さんは書きました:".
	attribution = regexp.MustCompile(`(?i)^\s*(?:` +
		`(?:on|am|le|el|il)\s.{5,200}\s(?:wrote|schrieb|a écrit|escribió|ha scritto)\s?[:：]` +
		`|\d{4}\s?[年/.-]\s?\d{1,2}\s?[月/.-]\s?\d{1,2}.{0,200}(?:<[^<>\s]+@[^<>\s]+>|wrote|書きました|書いた|のメール)\s?[:：]?` +
		`|.{1,120}(?:さん|様|氏)(?:は|が|wrote).{0,40}(?:書きました|書いた|のメール)\s?[:：]?` +
		`)\s*$`)
	// divider is a line that mail programs put above a whole former mail.
	divider = regexp.MustCompile(`(?i)^\s*[-_=*]{2,}\s*(?:original message|original appointment|reply message|元のメッセージ|オリジナルメッセージ|以前のメッセージ|転送メッセージ|forwarded message|begin forwarded message)\s*[-_=*]{2,}\s*$`)
	// Outlook writes the former mail's headers instead.
	blockStart = regexp.MustCompile(`(?i)^\s*\*?(?:from|差出人|送信者|発信者)\s*[:：]\*?`)
	blockLine  = regexp.MustCompile(`(?i)^\s*\*?(?:sent|date|to|cc|subject|送信日時|送信日|日時|日付|宛先|件名|宛て|受信者)\s*[:：]\*?`)
)

// attributes tells whether l is the line above a quote. It is never long.
func attributes(l string) bool { return len(l) <= 600 && attribution.MatchString(l) }

// splitQuoted parts what somebody wrote in a mail from the former mails below
// or between it. Nothing is lost: what is not in the one is in the other, and a
// mail of nothing but a quote is that person's text.
func splitQuoted(text string) (own, quoted string) {
	lines := strings.Split(text, "\n")
	at := historyStart(lines)
	tail := lines[at:]
	if at < len(lines) && answersBelow(tail) {
		at, tail = len(lines), nil
	}
	var ours, theirs []string
	for i := 0; i < at; i++ {
		switch {
		case quoteMark.MatchString(lines[i]):
			theirs = append(theirs, lines[i])
		case attributes(lines[i]) && quoteFollows(lines[i+1:at]):
			theirs = append(theirs, lines[i])
		default:
			ours = append(ours, lines[i])
		}
	}
	theirs = append(theirs, tail...)
	own, quoted = clean(strings.Join(ours, "\n")), clean(strings.Join(theirs, "\n"))
	if own == "" {
		return text, ""
	}
	return own, quoted
}

// historyStart returns the line where the former mails begin, or the number of
// lines.
func historyStart(lines []string) int {
	for i, l := range lines {
		switch {
		case len(l) <= 200 && divider.MatchString(l), attributes(l) && !quoteMark.MatchString(l):
			return i
		case i+1 < len(lines) && len(l) <= 300 && strings.HasPrefix(strings.ToLower(strings.TrimSpace(l)), "on ") &&
			attributes(l+" "+strings.TrimSpace(lines[i+1])): // broken in two
			return i
		case blockStart.MatchString(l):
			n := 0
			for _, next := range lines[i+1 : min(i+7, len(lines))] {
				if blockLine.MatchString(next) {
					n++
				}
			}
			if n >= 2 {
				if i > 0 && strings.Trim(lines[i-1], "_- ") == "" && strings.TrimSpace(lines[i-1]) != "" {
					return i - 1
				}
				return i
			}
		}
	}
	return len(lines)
}

// answersBelow tells whether somebody wrote below or between what is quoted
// with marks.
func answersBelow(tail []string) bool {
	marked := false
	for _, l := range tail[1:] {
		switch {
		case quoteMark.MatchString(l):
			marked = true
		case marked && strings.TrimSpace(l) != "":
			return true
		}
	}
	return false
}

func quoteFollows(rest []string) bool {
	for _, l := range rest {
		if strings.TrimSpace(l) != "" {
			return quoteMark.MatchString(l)
		}
	}
	return false
}
