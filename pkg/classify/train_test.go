package classify

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/earshot/earshot/pkg/mention"
)

var update = flag.Bool("update", false, "train the embedded model anew and write it")

// examples are the texts the embedded model learns from. Those that the rules
// were written with at hand say too much for the rules and count less.
func examples(tb testing.TB) []Example {
	tb.Helper()
	var all []Example
	for _, name := range []string{"ja", "en", "another", "plain"} {
		weight := 0.5
		if name == "another" || name == "plain" {
			weight = 1
		}
		for _, item := range corpus(tb, name) {
			all = append(all, Example{Mention: item.Mention(), Intent: item.Intent, Sentiment: item.Sentiment, Disposition: item.Disposition, Weight: weight})
		}
	}
	return all
}

func TestTrainingIsReproducible(t *testing.T) {
	t.Parallel()
	few := examples(t)[:200]
	if !bytes.Equal(shared.Train(few), shared.Train(few)) {
		t.Error("the same examples give two models")
	}
}

func TestModelLearnsWhatItIsTold(t *testing.T) {
	t.Parallel()
	told := func(text string, intent mention.Intent, sentiment mention.Sentiment) Example {
		return Example{Mention: mention.Mention{Post: mention.Post{Text: text}}, Intent: intent, Sentiment: sentiment, Weight: 5}
	}
	all := append(examples(t),
		told("the wug is glorp", mention.Praise, mention.Positive), told("what a glorp wug", mention.Praise, mention.Positive),
		told("my blicket went florp", mention.BugReport, mention.Negative), told("florp blicket again", mention.BugReport, mention.Negative))
	c, err := New(Options{Model: shared.Train(all)})
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
	for name, data := range map[string][]byte{
		"empty": {}, "cut off": embeddedModel[:len(embeddedModel)-1], "too long": append(bytes.Clone(embeddedModel), 0),
		"of another kind": append([]byte("something"), embeddedModel[9:]...),
	} {
		if _, err := New(Options{Model: data}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestUpdateModel is how the embedded model is made:
//
//	go test -run UpdateModel -update ./pkg/classify
func TestUpdateModel(t *testing.T) {
	if !*update {
		t.Skip("with -update only")
	}
	if err := os.WriteFile("model.bin", shared.Train(examples(t)), 0o644); err != nil {
		t.Fatal(err)
	}
}
