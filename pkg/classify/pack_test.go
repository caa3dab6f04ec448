package classify

import (
	"bytes"
	"os"
	"testing"
)

// TestEmbeddedRulesArePacked compiles the embedded rules anew: with -update it
// writes them, else it compares.
//
//	go test -run EmbeddedRules ./pkg/classify -update
func TestEmbeddedRulesArePacked(t *testing.T) {
	files, lexicons := embedded(ruleFS, "rules"), embedded(lexiconFS, "lexicon")
	rs, err := compile(files, lexicons)
	if err != nil {
		t.Fatal(err)
	}
	want := append(sumOf(files, lexicons), rs.pack()...)
	if *update {
		if err := os.WriteFile("rules.bin", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(packed, want) {
		t.Error("rules.bin is not what the rules say; run make model")
	}
}
