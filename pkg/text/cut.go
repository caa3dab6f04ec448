package text

import (
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Graphemes counts the characters of s as a reader sees them: an emoji with its
// modifiers or a letter with its accents is one.
func Graphemes(s string) int {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf || s[i] == '\r' {
			return uniseg.GraphemeClusterCount(s)
		}
	}
	return len(s)
}

// Cut returns s on one line, each run of white space one space, cut to at most n
// characters as [Graphemes] counts them, "…" included. It cuts between words
// where they are spaced, unless that would lose more than half; in Japanese it
// parts no character from a mark that may not begin a line (、。」ー and small
// kana) and leaves no opening bracket at the end.
func Cut(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if n <= 0 {
		return ""
	}
	if len(s) <= n {
		return s
	}
	// ends[i] is where the i-th character ends.
	ends := make([]int, 0, n+1)
	rest, state, pos := s, -1, 0
	for len(rest) > 0 && len(ends) <= n {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		pos += len(cluster)
		ends = append(ends, pos)
	}
	if len(ends) <= n {
		return s
	}
	if n == 1 {
		return "…"
	}
	cut := ends[n-2]
	for i := n - 2; i >= n/2; i-- {
		if mayCut(s, ends[i]) {
			cut = ends[i]
			break
		}
	}
	return strings.TrimRight(s[:cut], " 、，,") + "…"
}

// mayCut tells whether s may be cut before byte i.
func mayCut(s string, i int) bool {
	after, _ := utf8.DecodeRuneInString(s[i:])
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	return IsBoundary(s, i) && !strings.ContainsRune(notFirst, after) && !strings.ContainsRune(notLast, before)
}

const (
	notFirst = "、。，．,.!?:;)]}・：；？！゛゜ヽヾゝゞ々ー～〜…‥’”'\")）〕］｝〉》」』】" +
		"ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶｧｨｩｪｫｬｭｮｯｰﾞﾟ｡､｣･"
	notLast = "([{‘“（〔［｛〈《「『【｢#＃@＠$＄¥￥"
)
