package classify

import (
	"strings"
	"testing"

	"github.com/earshot/earshot/pkg/mention"
)

func key(text, id string) string {
	v := shared.Verdict(&mention.Mention{Post: mention.Post{Platform: "x", NativeID: id, Text: text}})
	return v.Story
}

// copies are groups of texts that are one story each; no two groups are the
// same story.
var copies = [][]string{
	{
		"駅前の店で買った弁当に虫が入っていました。電話しても謝罪なし。みなさんも気をつけてください。写真を載せておきます。",
		"RT @taro: 駅前の店で買った弁当に虫が入っていました。電話しても謝罪なし。みなさんも気をつけてください。写真を載せておきます。",
		"駅前の店で買った弁当に虫が入っていました！！電話しても謝罪なし…みなさんも気をつけてください😱写真を載せておきます #拡散希望 https://t.co/abc123",
		"【拡散希望】駅前の店で買った弁当に虫が入っていました。電話しても謝罪なし。みなさんも気をつけてください。写真を載せておきます。",
		"駅前の店で買った弁当に虫が入っていました。 電話しても謝罪なし。 みなさんも気を付けてください。 写真を載せておきます。",
	},
	{
		"新作の抹茶ラテを飲みに行ってきました。濃厚で香りがよく、甘さも控えめでとても好みでした。また週末に行きます。",
		"新作の抹茶ラテを飲みに行ってきました♪ 濃厚で香りがよく、甘さも控えめでとても好みでした☕ また週末に行きます！ @cafe_jp",
	},
	{
		"新作の抹茶パフェを食べに行ってきました。量が多くて食べきれませんでした。次は友人と分け合いたいと思います。",
	},
	{
		"The charger I bought last week caught fire on my desk tonight and nobody in support picks up the phone. Please be careful with this model.",
		"RT @anna_b: The charger I bought last week caught fire on my desk tonight and nobody in support picks up the phone. Please be careful with this model. https://t.co/xyz",
		"the charger i bought last week CAUGHT FIRE on my desk tonight and nobody in support picks up the phone!!! please be careful with this model 🔥🔥 #recall #safety",
		"The charger I bought last week caught fire on my desk tonight, and no one in support picks up the phone. Please be careful with this model.",
	},
	{
		"The headphones I bought last week stopped working on my commute tonight but support sent me a new pair within the hour. Very happy with this brand.",
	},
	{
		"Retailer confirms data of two million customers was exposed in a breach that began in March, the company said on Tuesday.",
		"Retailer confirms data of two million customers was exposed in a breach that began in March, the company said on Tuesday. Read more: https://news.example/1",
	},
}

func TestCopiesShareAStory(t *testing.T) {
	t.Parallel()
	var pairs, missed int
	for g, group := range copies {
		for i, a := range group {
			for j, b := range group[:i] {
				pairs++
				if key(a, "1") != key(b, "2") {
					missed++
					t.Logf("not folded: group %d, texts %d and %d", g, i, j)
				}
			}
			for _, others := range copies[:g] {
				for _, b := range others {
					if key(a, "1") == key(b, "2") {
						t.Errorf("folded:\n%s\n%s", a, b)
					}
				}
			}
		}
	}
	t.Logf("missed %d of %d pairs of copies", missed, pairs)
	// A changed word moves the key about as often as it changes the shingles.
	if float64(missed) > 0.2*float64(pairs) {
		t.Errorf("missed %d of %d pairs of copies", missed, pairs)
	}
}

// TestSmallEditsMostlyKeepTheStory drops single letters all over long texts and
// adds words at their end.
func TestSmallEditsMostlyKeepTheStory(t *testing.T) {
	t.Parallel()
	edits, kept := 0, 0
	for _, group := range copies {
		whole := []rune(group[0])
		original := key(group[0], "1")
		for i := 3; i < len(whole)-1; i += 5 {
			edits++
			if key(string(whole[:i])+string(whole[i+1:]), "2") == original {
				kept++
			}
		}
		for _, tail := range []string{"これはひどい", "みんな見て", " omg", " this is bad"} {
			edits++
			if key(group[0]+tail, "2") == original {
				kept++
			}
		}
	}
	t.Logf("%d of %d edited texts kept their story", kept, edits)
	if kept*100 < edits*65 {
		t.Errorf("%d of %d edited texts kept their story, want 65 %%", kept, edits)
	}
}

// TestDifferentTextsOfTheCorpusAreDifferentStories: of 3.7 million pairs of texts
// one may share the run of letters that represents it. It is pairs that count: of
// twice as many texts four times as many do.
func TestDifferentTextsOfTheCorpusAreDifferentStories(t *testing.T) {
	dear(t)
	t.Parallel()
	seen := map[string]string{}
	texts, folded := 0, 0
	earlier := map[string]string{} // among these, which are few, none may
	for _, lang := range []string{"ja", "en"} {
		for _, item := range corpusOf(t, TrainPart, lang) {
			k := key(item.Text, item.ID)
			if before, ok := seen[k]; ok {
				folded++
				t.Logf("one story:\n%s\n%s", before, item.Text)
			}
			seen[k] = item.Text
			texts++
			if hand, _, _ := strings.Cut(item.Set, "/"); hand == lang {
				if before, ok := earlier[k]; ok {
					t.Errorf("one story:\n%s\n%s", before, item.Text)
				}
				earlier[k] = item.Text
			}
		}
	}
	if folded > texts*texts/2/3_700_000 {
		t.Errorf("%d of %d different texts fold", folded, texts)
	}
}

func TestShortCommonTextsAreNoStory(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"ありがとう", "ありがとうございます！", "最高でした", "thank you so much", "never again", "😂😂😂", ""} {
		if key(text, "1") == key(text, "2") {
			t.Errorf("%q of two people is one story", text)
		}
		if once, again := key(text, "1"), key(text, "1"); once != again {
			t.Errorf("%q has two keys", text)
		}
	}
}
