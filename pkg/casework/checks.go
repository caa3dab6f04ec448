package casework

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed checks/*.yaml
var checkFiles embed.FS

// checkFile is the form of a file of rules for replies.
type checkFile struct {
	Lang  string              `yaml:"lang"`
	Pack  string              `yaml:"pack"`
	Lists map[string][]string `yaml:"lists"`
	Rules []struct {
		ID         string            `yaml:"id"`
		Block      bool              `yaml:"block"`
		Name       map[string]string `yaml:"name"`
		Why        map[string]string `yaml:"why"`
		Turn       map[string]string `yaml:"turn"`
		Phrases    []string          `yaml:"phrases"`
		Unless     []string          `yaml:"unless"`
		UnlessText []string          `yaml:"unless_text"`
		MoreThan   int               `yaml:"more_than"`
		Personal   bool              `yaml:"personal"`
		Examples   []string          `yaml:"examples"`
		Counter    []string          `yaml:"counter_examples"`
	} `yaml:"rules"`
}

type shippedChecks struct {
	rules []CheckRule
	lists map[string][]string // for alternatives, by name
}

// shipped reads the rules that Earshot comes with. A file that can't be read is
// a mistake of the program, which its tests find.
var shipped = sync.OnceValue(func() shippedChecks {
	out := shippedChecks{lists: map[string][]string{}}
	names, err := fs.Glob(checkFiles, "checks/*.yaml")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		raw, err := checkFiles.ReadFile(name)
		if err != nil {
			panic(err)
		}
		var f checkFile
		if err := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict()).Decode(&f); err != nil {
			panic(fmt.Errorf("%s: %w", name, err))
		}
		for list, entries := range f.Lists {
			out.lists[list] = append(out.lists[list], entries...)
		}
		for _, r := range f.Rules {
			out.rules = append(out.rules, CheckRule{
				ID: r.ID, Lang: f.Lang, Pack: f.Pack, Block: r.Block, Name: r.Name, Why: r.Why, Turn: r.Turn,
				Phrases: r.Phrases, Unless: r.Unless, UnlessText: r.UnlessText, MoreThan: r.MoreThan, Personal: r.Personal,
				Examples: r.Examples, Counter: r.Counter,
			})
		}
	}
	return out
})

// Checks returns the rules that Earshot comes with. A company puts its own in
// the place of one by giving it the same id.
func Checks() []CheckRule { return slices.Clone(shipped().rules) }
