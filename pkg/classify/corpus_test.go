package classify

import (
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/earshot/earshot/pkg/mention"
)

var parts = map[Part]func() ([]Labelled, error){
	TrainPart: sync.OnceValues(func() ([]Labelled, error) { return Corpus(TrainPart) }),
	TestPart:  sync.OnceValues(func() ([]Labelled, error) { return Corpus(TestPart) }),
}

func corpusOf(tb testing.TB, part Part, lang string) []Labelled {
	tb.Helper()
	all, err := parts[part]()
	if err != nil {
		tb.Fatal(err)
	}
	return Filter(all, func(l *Labelled) bool { return l.Lang == lang })
}

// TestCorpusIsWhatItSays counts: of each language enough texts, with enough of
// them to test by, and for every risk enough that carry it and as many that use its
// words harmlessly.
func TestCorpusIsWhatItSays(t *testing.T) {
	t.Parallel()
	for _, lang := range languages {
		train, test := corpusOf(t, TrainPart, lang), corpusOf(t, TestPart, lang)
		all := slices.Concat(train, test)
		if len(all) < 5000 {
			t.Errorf("%s: %d texts, want 5,000", lang, len(all))
		}
		// How sure a figure is hangs on how many texts are behind it, not on
		// their share.
		if len(test) < 2000 {
			t.Errorf("%s: %d texts are to test by, want 2,000", lang, len(test))
		}
		for i := range test {
			if l := &test[i]; l.Intent == "" || l.Sentiment == "" || l.Disposition == "" || l.Risk == nil {
				t.Errorf("%s: %s lacks a label", lang, l.ID)
			}
		}
		plain := 0
		carry, play := map[mention.Category]int{}, map[mention.Category]int{}
		ids := map[string]bool{}
		for i := range all {
			l := &all[i]
			if ids[l.ID] {
				t.Errorf("%s: there are two %s", lang, l.ID)
			}
			ids[l.ID] = true
			if len(l.Risk) == 0 && len(l.Not) == 0 {
				plain++
			}
			for _, c := range mention.Categories {
				if l.Has(c) {
					carry[c]++
				}
				if slices.Contains(l.Not, c) {
					play[c]++
				}
			}
		}
		if plain < 1000 {
			t.Errorf("%s: %d ordinary texts, want 1,000", lang, plain)
		}
		for _, c := range mention.Categories {
			if carry[c] < 250 || play[c] < 250 {
				t.Errorf("%s %s: %d texts carry it and %d use its words harmlessly, want 250 of each", lang, c, carry[c], play[c])
			}
		}
	}
}

// TestLabelsAreConsistent holds the labels to what follows from their meaning.
func TestLabelsAreConsistent(t *testing.T) {
	t.Parallel()
	for _, part := range []Part{TrainPart, TestPart} {
		for _, lang := range languages {
			for _, l := range corpusOf(t, part, lang) {
				always, may := false, false
				for _, s := range l.Risk {
					switch s.Category {
					case mention.ViolentThreat, mention.PrivacyBreach, mention.MediaInquiry, mention.AuthorityInquiry, mention.PersonAtRisk:
						always = true
					}
					may = may || slices.Contains(Pageable[:], s.Category)
					if (s.Category == mention.PublicityThreat) != (s.Rung != "") && s.End > 0 {
						t.Errorf("%s: a rung belongs to publicity threats, and to them alone", l.ID)
					}
				}
				if always && !l.Page || l.Page && !always && !may {
					t.Errorf("%s: page is %v, with %v", l.ID, l.Page, l.Risk)
				}
			}
		}
	}
}

// TestNoTextIsWrittenTwice looks for texts that share most of their letters:
// within a part they teach nothing, between the parts they tell lies.
func TestNoTextIsWrittenTwice(t *testing.T) {
	dear(t)
	t.Parallel()
	for _, lang := range languages {
		all := slices.Concat(corpusOf(t, TrainPart, lang), corpusOf(t, TestPart, lang))
		for _, pair := range alike(all) {
			t.Errorf("%s is nearly %s: %s", all[pair[0]].ID, all[pair[1]].ID, shorten(all[pair[1]].Text, 80))
		}
	}
}

// alike returns the pairs of texts of which at least six tenths of the runs of
// five letters are the same.
func alike(all []Labelled) (pairs [][2]int) {
	const run = 5
	in := map[uint32][]int32{} // texts by run
	sizes := make([]int, len(all))
	for i := range all {
		letters := []rune(strings.ToLower(strings.Join(strings.Fields(all[i].Text), "")))
		runs := map[uint32]bool{}
		for k := 0; k+run <= len(letters); k++ {
			h := fnv.New32a()
			h.Write([]byte(string(letters[k : k+run])))
			runs[h.Sum32()] = true
		}
		sizes[i] = len(runs)
		shared := map[int32]int{}
		for r := range runs {
			for _, other := range in[r] {
				shared[other]++
			}
		}
		for other, n := range shared {
			if n*10 > 6*(len(runs)+sizes[other]-n) && len(runs) > run {
				pairs = append(pairs, [2]int{int(other), i})
			}
		}
		for r := range runs {
			if len(in[r]) < 200 { // runs that are in many texts say nothing
				in[r] = append(in[r], int32(i))
			}
		}
	}
	return pairs
}
