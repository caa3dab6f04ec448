package classify

import (
	"flag"
	"strings"
	"testing"
)

var others = flag.Bool("folds", false, "judge the training part, each hand by what the other hands teach")

// TestQualityByOtherHands says how good verdicts are on the texts of hands that
// nothing was learned from, without a look at the test part. What is changed in
// how the model learns is judged by it.
//
//	go test -run OtherHands -v ./pkg/classify -folds
func TestQualityByOtherHands(t *testing.T) {
	if !*others {
		t.Skip("takes as long as a training; run make folds")
	}
	texts, err := parts[TrainPart]()
	if err != nil {
		t.Fatal(err)
	}
	before, err := readModel(Prior())
	if err != nil {
		t.Fatal(err)
	}
	bare, _, err := untrained(nil)
	if err != nil {
		t.Fatal(err)
	}
	training := bare.prepare(examples(t), before)
	models, err := training.judgeUnseen()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*Quality{japanese: newQuality(), english: newQuality()}
	for fold, m := range models {
		m.Judge = training.decide(func(l *lesson) bool { return l.fold != fold })
		c, _, err := untrained(nil)
		if err != nil {
			t.Fatal(err)
		}
		c.model = m
		for i := range texts {
			if training.lessons[i].fold == fold {
				all[texts[i].Lang].assess(c, texts[i:i+1])
			}
		}
	}
	for _, lang := range languages {
		q := all[lang]
		var table strings.Builder
		q.Print(&table)
		t.Logf("%s, %d texts\n%s", lang, q.Texts, table.String())
		if f := q.Page.F1(); f < 0.65 {
			t.Errorf("%s: F1 of page is %.3f", lang, f)
		}
	}
}
