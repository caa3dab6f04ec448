package classify

import (
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

func TestStatedDeadlines(t *testing.T) {
	t.Parallel()
	jst := func(month, day, hour, minute, sec int) time.Time {
		return time.Date(2026, time.Month(month), day, hour, minute, sec, 0, tokyo)
	}
	end := func(month, day int) time.Time { return jst(month, day, 23, 59, 59) }
	utc := func(month, day int) time.Time {
		return time.Date(2026, time.Month(month), day, 23, 59, 59, 0, time.UTC)
	}
	for _, c := range []struct {
		text string
		want time.Time
	}{
		{"明日までに返金しなければSNSに晒します", end(11, 19)},
		{"明後日までに返金しないならSNSに晒します", end(11, 20)},
		{"今日中に返金しないならSNSに晒します", end(11, 18)},
		{"今週中に返金がなければネットに公開します", end(11, 22)},
		{"金曜日までに返金がなければネットに公開します", end(11, 20)},
		{"来週の月曜までに返金がなければネットに公開します", end(11, 23)},
		{"3日以内に返金がなければネットに公開します", end(11, 21)},
		{"三日以内に返金がなければネットに公開します", end(11, 21)},
		{"２４時間以内に返金がなければネットに公開します", jst(11, 19, 12, 0, 0)},
		{"5営業日以内に返金がなければネットに公開します", end(11, 25)},
		{"今月末までに返金がなければネットに公開します", end(11, 30)},
		{"25日までに返金がなければネットに公開します", end(11, 25)},
		{"12月1日までに返金がなければネットに公開します", end(12, 1)},
		{"17時までに返金がなければネットに公開します", jst(11, 18, 17, 0, 0)},
		{"返金がなければネットに公開します。期限は明日の正午までです。", jst(11, 19, 12, 0, 0)},
		{"Refund me by tomorrow or I'm posting this everywhere on Twitter", utc(11, 19)},
		{"Refund me within 24 hours or I'll post this on Twitter", time.Date(2026, 11, 19, 3, 0, 0, 0, time.UTC)},
		{"You have two days to refund me or I'll post this on Twitter", utc(11, 20)},
		{"Refund me by Friday or I'll post this on Twitter", utc(11, 20)},
		{"Refund me by next Friday or I'll post this on Twitter", utc(11, 27)},
		{"Refund me by the end of the week or I'll post this on Twitter", utc(11, 22)},
		{"Refund me by the end of the month or I'll post this on Twitter", utc(11, 30)},
		{"Refund me by 25 November or I'll post this on Twitter", utc(11, 25)},
		{"Refund me by December 3 or I'll post this on Twitter", utc(12, 3)},
		{"Refund me by 5pm or I'll post this on Twitter", time.Date(2026, 11, 18, 17, 0, 0, 0, time.UTC)},
		{"Refund me or I'll post this on Twitter", time.Time{}},
		{"返金しないならSNSに晒すぞ", time.Time{}},
	} {
		v := verdict(c.text)
		i := 0
		for i < len(v.Risks) && v.Risks[i].Category != mention.PublicityThreat {
			i++
		}
		if i == len(v.Risks) {
			t.Errorf("%s: no publicity threat", c.text)
			continue
		}
		r := v.Risks[i]
		if !r.Deadline.Equal(c.want) {
			t.Errorf("%s: deadline %v, want %v", c.text, r.Deadline, c.want.UTC())
		}
		want := mention.Deadline
		if c.want.IsZero() {
			want = mention.Conditional
		}
		if r.Rung != want {
			t.Errorf("%s: rung %s, want %s", c.text, r.Rung, want)
		}
	}
}

func TestRungs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]mention.Rung{
		"口コミって怖いですよね。対応、考え直したほうがいいんじゃないですか": mention.Hint,
		"返金しないならSNSで晒すぞ":                                                      mention.Conditional,
		"この対応、全部ネットに晒します":                                                     mention.Announced,
		"SNSに投稿しました。すでに3万回再生。謝罪はまだですか":                                        mention.Posted,
		"gonna name and shame the branch manager who laughed at my complaint": mention.Announced,
		"Would be a pity if this ended up online.":                            mention.Hint,
	} {
		v := verdict(text)
		if len(v.Risks) == 0 || v.Risks[0].Rung != want {
			t.Errorf("%s: %+v, want %s", text, v.Risks, want)
		}
	}
}
