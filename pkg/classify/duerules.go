package classify

import (
	"regexp"
	"strings"
	"time"
)

// japaneseDue and englishDue are tried in order; text is folded, so katakana is
// hiragana.
var japaneseDue = []dueRule{
	{regexp.MustCompile(`(\d{1,3}|[一二三四五六七八九十])(時間|分|営業日|週間|日|か月|ヶ月|ヵ月|箇月)(?:以内|いない|いか|待|だけ|の猶予|あげ|与え)`), counted(japaneseUnits)},
	{regexp.MustCompile(`(\d{1,2})月(\d{1,2})日(?:\(.\))?(?:.{0,6})(?:まで|迄|中に)`), func(now time.Time, p []string) time.Time {
		return nextDate(now, number(p[1]), number(p[2]))
	}},
	{regexp.MustCompile(`(\d{1,2})/(\d{1,2})(?:\(.\))?(?:まで|迄|中に)`), func(now time.Time, p []string) time.Time {
		return nextDate(now, number(p[1]), number(p[2]))
	}},
	{regexp.MustCompile(`(?:明後日|あさって)(?:.{0,8})(?:まで|迄|中)`), inDays(2)},
	{regexp.MustCompile(`明日の?(正午|昼|夕方|朝)(?:まで|迄)`), func(now time.Time, p []string) time.Time {
		return time.Date(now.Year(), now.Month(), now.Day()+1, partOfDay[p[1]], 0, 0, 0, now.Location())
	}},
	{regexp.MustCompile(`(?:明日|あした|あす)の?(\d{1,2})時(?:まで|迄)`), func(now time.Time, p []string) time.Time {
		return time.Date(now.Year(), now.Month(), now.Day()+1, min(number(p[1]), 24), 0, 0, 0, now.Location())
	}},
	{regexp.MustCompile(`(?:明日|あした|あす|翌日)(?:.{0,8})(?:まで|迄|中)`), inDays(1)},
	{regexp.MustCompile(`(?:今日|本日|きょう)(?:.{0,4})(?:まで|迄|中)|(?:今晩|今夜)(?:中|まで)`), inDays(0)},
	{regexp.MustCompile(`(来週|再来週)?の?(月|火|水|木|金|土|日)曜日?(?:.{0,6})(?:まで|迄|中)`), func(now time.Time, p []string) time.Time {
		day := time.Weekday(strings.Index("日月火水木金土", p[2]) / 3)
		if p[1] == "" {
			return nextWeekday(now, day, 0)
		}
		monday := now.AddDate(0, 0, 7-(int(now.Weekday())+6)%7)
		if p[1] == "再来週" {
			monday = monday.AddDate(0, 0, 7)
		}
		return endOfDay(monday.AddDate(0, 0, (int(day)+6)%7))
	}},
	{regexp.MustCompile(`今週(?:中|いっぱい|末まで|まで)`), endOfWeek(0)},
	{regexp.MustCompile(`週末まで`), endOfWeek(0)},
	{regexp.MustCompile(`来週(?:中|いっぱい|末まで|まで)`), endOfWeek(1)},
	{regexp.MustCompile(`今月(?:中|末|いっぱい|まで)|月末まで`), endOfMonth(0)},
	{regexp.MustCompile(`来月(?:中|末|いっぱい|まで)`), endOfMonth(1)},
	{regexp.MustCompile(`(\d{1,2})日(?:まで|迄)`), func(now time.Time, p []string) time.Time {
		return nextDate(now, 0, number(p[1]))
	}},
	{regexp.MustCompile(`(?:今日の?)?(\d{1,2})時(?:まで|迄)`), func(now time.Time, p []string) time.Time {
		return atClock(now, number(p[1]))
	}},
}

var japaneseUnits = map[string]string{
	"時間": "h", "分": "m", "日": "d", "週間": "w", "か月": "M", "ヶ月": "M", "ヵ月": "M", "箇月": "M", "営業日": "b",
}

var partOfDay = map[string]int{"朝": 9, "正午": 12, "昼": 12, "夕方": 18, "noon": 12, "midday": 12, "morning": 9}

const (
	englishNumber = `(\d{1,3}|an?|one|two|three|four|five|six|seven|ten|twelve|fourteen|twenty|thirty)`
	englishDays   = `(sun|mon|tues?|wed(?:nes)?|thurs?|fri|satur|sat)(?:day)?`
	englishMonths = `(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?`
	byWords       = `(?:by|before|until|till|no later than)(?: the)?`
)

var englishDue = []dueRule{
	{regexp.MustCompile(`(?:within|in|have|got|next|give (?:you|them)|you|after)(?: the| exactly| just| only| next| up to)* ` + englishNumber + `[ -](hours?|hrs?|minutes?|mins?|business days?|working days?|days?|weeks?|months?)\b`), counted(englishUnits)},
	{regexp.MustCompile(englishNumber + `[ -](hours?|hrs?|business days?|working days?|days?|weeks?)(?: to | deadline|,? or )`), counted(englishUnits)},
	{regexp.MustCompile(byWords + ` (\d{1,2})(?:st|nd|rd|th)? (?:of )?` + englishMonths), func(now time.Time, p []string) time.Time {
		return nextDate(now, monthNumber(p[2]), number(p[1]))
	}},
	{regexp.MustCompile(byWords + ` ` + englishMonths + ` (\d{1,2})`), func(now time.Time, p []string) time.Time {
		return nextDate(now, monthNumber(p[1]), number(p[2]))
	}},
	{regexp.MustCompile(byWords + ` (\d{1,2})(?:st|nd|rd|th)\b`), func(now time.Time, p []string) time.Time {
		return nextDate(now, 0, number(p[1]))
	}},
	{regexp.MustCompile(`(?:by|before|until) (noon|midday) tomorrow|by tomorrow (noon|midday|morning)`), func(now time.Time, p []string) time.Time {
		return time.Date(now.Year(), now.Month(), now.Day()+1, partOfDay[p[1]+p[2]], 0, 0, 0, now.Location())
	}},
	{regexp.MustCompile(byWords + `(?: end of(?: day)?| close of business)? tomorrow|tomorrow or `), inDays(1)},
	{regexp.MustCompile(byWords + ` (?:end of (?:the )?(?:business )?(?:day|today)|close of business|eod|cob|tonight|today|midnight|this evening)`), inDays(0)},
	{regexp.MustCompile(byWords + ` (?:this |end of |end of play )?(next )?` + englishDays + `\b`), func(now time.Time, p []string) time.Time {
		day := time.Weekday(strings.Index("sunmontuewedthufrisat", p[2][:3]) / 3)
		if p[1] == "" {
			return nextWeekday(now, day, 0)
		}
		return endOfDay(now.AddDate(0, 0, 7-(int(now.Weekday())+6)%7+(int(day)+6)%7))
	}},
	{regexp.MustCompile(byWords + ` (?:end of next week|next week)`), endOfWeek(1)},
	{regexp.MustCompile(byWords + ` (?:end of )?(?:this |the )?week(?:end)?`), endOfWeek(0)},
	{regexp.MustCompile(byWords + ` (?:end of )?(?:this |the )?month|by month end`), endOfMonth(0)},
	{regexp.MustCompile(byWords + ` (\d{1,2})(?::00)? ?(am|pm)\b`), func(now time.Time, p []string) time.Time {
		hour := number(p[1]) % 12
		if p[2] == "pm" {
			hour += 12
		}
		return atClock(now, hour)
	}},
	{regexp.MustCompile(`by (?:noon|midday)`), func(now time.Time, _ []string) time.Time { return atClock(now, 12) }},
}

var englishUnits = map[string]string{
	"hour": "h", "hours": "h", "hr": "h", "hrs": "h", "minute": "m", "minutes": "m", "min": "m", "mins": "m", "day": "d", "days": "d",
	"week": "w", "weeks": "w", "month": "M", "months": "M", "business day": "b", "business days": "b", "working day": "b", "working days": "b",
}

func monthNumber(s string) int {
	return strings.Index("janfebmaraprmayjunjulaugsepoctnovdec", s[:3])/3 + 1
}
