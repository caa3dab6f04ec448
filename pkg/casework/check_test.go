package casework

import (
	"os"
	"slices"
	"testing"

	"github.com/goccy/go-yaml"
)

func TestShippedChecksHoldTheirExamples(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range Checks() {
		if seen[r.ID] {
			t.Errorf("%s: twice", r.ID)
		}
		seen[r.ID] = true
		if r.Name["ja"] == "" || r.Name["en"] == "" || r.Why["ja"] == "" || r.Why["en"] == "" {
			t.Errorf("%s: want its name and why in Japanese and English", r.ID)
		}
		if err := r.Validate(); err != nil {
			t.Errorf("%s: %v", r.ID, err)
		}
	}
}

// TestCheckFindsWhatAnEditorWouldMark holds the shipped rules to labelled
// replies, and prints how each rule does (-v).
func TestCheckFindsWhatAnEditorWouldMark(t *testing.T) {
	t.Parallel()
	c, err := NewChecker(Checks())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		lang              string
		precision, recall float64
	}{{"ja", 0.95, 0.9}, {"en", 0.95, 0.9}} {
		raw, err := os.ReadFile("testdata/check/" + tt.lang + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		var file map[string][]string
		if err := yaml.Unmarshal(raw, &file); err != nil {
			t.Fatal(err)
		}
		labels := map[string][]string{}
		for rule, texts := range file {
			if rule != "clean" && !slices.ContainsFunc(c.rules, func(r checker) bool { return r.ID == rule }) {
				t.Errorf("%s: there is no rule %s", tt.lang, rule)
			}
			for _, text := range texts {
				if labels[text] == nil {
					labels[text] = []string{}
				}
				if rule != "clean" {
					labels[text] = append(labels[text], rule)
				}
			}
		}
		if len(labels) < 200 {
			t.Errorf("%s: %d labelled replies, want 200", tt.lang, len(labels))
		}
		hits, wrong, missed := map[string]int{}, map[string]int{}, map[string]int{}
		var h, w, m int
		for text, want := range labels {
			var got []string
			for _, f := range c.Check(tt.lang, text, Manner{Packs: Packs}) {
				if !slices.Contains(got, f.Rule) {
					got = append(got, f.Rule)
				}
			}
			for _, rule := range got {
				if slices.Contains(want, rule) {
					hits[rule]++
					h++
				} else {
					wrong[rule]++
					w++
					t.Logf("%s: %s found in %q", tt.lang, rule, text)
				}
			}
			for _, rule := range want {
				if !slices.Contains(got, rule) {
					missed[rule]++
					m++
					t.Logf("%s: %s missed in %q", tt.lang, rule, text)
				}
			}
		}
		for _, r := range c.rules {
			if n := hits[r.ID] + wrong[r.ID] + missed[r.ID]; n > 0 {
				t.Logf("%s %-28s right %2d, wrong %d, missed %d", tt.lang, r.ID, hits[r.ID], wrong[r.ID], missed[r.ID])
			}
		}
		precision, recall := float64(h)/float64(h+w), float64(h)/float64(h+m)
		t.Logf("%s: %d replies, precision %.3f, recall %.3f", tt.lang, len(labels), precision, recall)
		if precision < tt.precision || recall < tt.recall {
			t.Errorf("%s: precision %.3f, recall %.3f; want %.2f and %.2f", tt.lang, precision, recall, tt.precision, tt.recall)
		}
	}
}
