package classify

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/earshot/earshot/pkg/mention"
)

var update = flag.Bool("update", false, "train the embedded model anew and write it")

// raced tells that the race detector is on.
var raced bool

// dear marks a test that the race detector makes take minutes, and that starts
// no goroutine or whose like a smaller test starts: make verify runs it without.
func dear(t *testing.T) {
	if raced {
		t.Skip("runs without the race detector only")
	}
}

func examples(tb testing.TB) []Example {
	tb.Helper()
	texts, err := parts[TrainPart]()
	if err != nil {
		tb.Fatal(err)
	}
	var all []Example
	for i := range texts {
		all = append(all, texts[i].Example())
	}
	return all
}

func trained(tb testing.TB, all []Example) []byte {
	tb.Helper()
	model, err := Train(all, Prior())
	if err != nil {
		tb.Fatal(err)
	}
	return model
}

// TestEmbeddedModelIsWhatTheCorpusTeaches trains anew: with -update it writes
// the model, else it compares.
//
//	go test -run EmbeddedModel ./pkg/classify -update
func TestEmbeddedModelIsWhatTheCorpusTeaches(t *testing.T) {
	dear(t)
	model := trained(t, examples(t))
	if *update {
		if err := os.WriteFile("model.bin", model, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(model, embeddedModel) {
		t.Error("model.bin is not what the corpus and the rules teach; run make model")
	}
}

func TestTrainingIsReproducible(t *testing.T) {
	t.Parallel()
	few := examples(t)[:200]
	if !bytes.Equal(trained(t, few), trained(t, few)) {
		t.Error("the same examples give two models")
	}
}

func TestModelLearnsWhatItIsTold(t *testing.T) {
	t.Parallel()
	told := func(text string, intent mention.Intent, sentiment mention.Sentiment) Example {
		return Example{Mention: mention.Mention{Post: mention.Post{Text: text}}, Intent: intent, Sentiment: sentiment, Weight: 5}
	}
	all := append(examples(t)[:600],
		told("the wug is glorp", mention.Praise, mention.Positive), told("what a glorp wug", mention.Praise, mention.Positive),
		told("my blicket went florp", mention.BugReport, mention.Negative), told("florp blicket again", mention.BugReport, mention.Negative))
	c, err := New(Options{Model: trained(t, all)})
	if err != nil {
		t.Fatal(err)
	}
	if c.Version() == shared.Version() {
		t.Error("another model, same version")
	}
	for text, want := range map[string]mention.Intent{"glorp wug today": mention.Praise, "florp blicket today": mention.BugReport} {
		v := c.Verdict(&mention.Mention{Post: mention.Post{Text: text}})
		if v.Intent != want {
			t.Errorf("%q is %s, want %s", text, v.Intent, want)
		}
	}
}

func TestDamagedModelsAreRefused(t *testing.T) {
	t.Parallel()
	damaged := bytes.Clone(embeddedModel)
	damaged[len(damaged)/2] ^= 0x55
	for name, data := range map[string][]byte{
		"empty": {}, "cut off": embeddedModel[:len(embeddedModel)-1], "damaged": damaged, "something else": []byte("something else"),
	} {
		if _, err := New(Options{Model: data}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestThresholdsAreChecked(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"no such risk":      {Tell: map[mention.Category]float64{"boredom": 0.5}},
		"never pages alone": {Page: map[mention.Category]float64{mention.Churn: 0.5}},
		"no probability":    {Tell: map[mention.Category]float64{mention.Churn: 1.5}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	never, err := New(Options{Tell: map[mention.Category]float64{mention.ViolentThreat: 1}})
	if err != nil {
		t.Fatal(err)
	}
	text := "お前んとこの店、火つけたろか"
	m := mention.Mention{Post: mention.Post{Text: text}}
	if before, after := verdict(text), never.Verdict(&m); !before.Has(mention.ViolentThreat) || after.Has(mention.ViolentThreat) {
		t.Errorf("told %v before and %v after the threshold was raised", before.Risks, after.Risks)
	}
}
