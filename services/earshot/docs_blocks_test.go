package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/earshot/earshot/pkg/classify"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/query"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

// TestSettingsInDocumentsAreValid: blocks marked "yaml settings" are files for
// `earshot apply`.
func TestSettingsInDocumentsAreValid(t *testing.T) {
	n := 0
	for _, d := range documents(t) {
		for at, block := range d.blocks("yaml settings") {
			n++
			var file map[string]map[string]any
			err := yaml.UnmarshalWithOptions([]byte(block), &file, yaml.UseJSONUnmarshaler())
			if err == nil {
				_, err = new(settings.Store).Plan(file)
			}
			if err != nil {
				t.Errorf("%s:%d: %v", d.name, at, err)
			}
		}
	}
	if n == 0 {
		t.Error("no block is marked: yaml settings")
	}
}

// TestPostsInDocumentsAreTaken: blocks marked "json intake" are bodies for the
// HTTP intake, "csv import" and "jsonl import" files for `earshot import`.
func TestPostsInDocumentsAreTaken(t *testing.T) {
	now := time.Now().UTC()
	n := 0
	take := func(at string, r source.Received, err error) {
		if n++; errors.Join(err, r.Err) != nil {
			t.Errorf("%s: %v", at, errors.Join(err, r.Err))
		}
	}
	for _, d := range documents(t) {
		for line, block := range d.blocks("json intake") {
			at := fmt.Sprintf("%s:%d", d.name, line)
			all, err := source.Intake([]byte(block), now, "")
			if err != nil {
				t.Errorf("%s: %v", at, err)
			}
			for _, r := range all {
				take(at, r, nil)
			}
		}
		for _, format := range source.Formats {
			for line, block := range d.blocks(format + " import") {
				for r, err := range (source.Import{Format: format, Now: now}).Read(strings.NewReader(block)) {
					take(fmt.Sprintf("%s:%d", d.name, line), r, err)
				}
			}
		}
	}
	if n < 4 {
		t.Errorf("only %d posts were found", n)
	}
}

// TestQueriesInDocumentsAreRight: every line of a block marked "query" parses,
// and the table of mistakes says what Parse says.
func TestQueriesInDocumentsAreRight(t *testing.T) {
	d := documents(t)["docs/use/queries.md"]
	for at, block := range d.blocks("query") {
		for line := range strings.Lines(block) {
			if _, err := query.Parse(strings.TrimSpace(line)); err != nil {
				t.Errorf("%s:%d: %s: %v", d.name, at, strings.TrimSpace(line), err)
			}
		}
	}
	codes := map[string]bool{}
	for _, cells := range d.rows() {
		if len(cells) != 3 || len(spans(cells[0])) != 1 {
			continue
		}
		_, err := query.Parse(spans(cells[0])[0])
		e, ok := errors.AsType[*query.Error](err)
		if !ok {
			continue // a row of the syntax
		}
		codes[e.Code] = true
		if got := cells[1] + " / " + cells[2]; got != e.Message+" / "+e.Hint {
			t.Errorf("%s: %s\ngot  %s\nwant %s / %s", d.name, cells[0], got, e.Message, e.Hint)
		}
	}
	if len(codes) < 18 {
		t.Errorf("%s shows only %d mistakes: %v", d.name, len(codes), slices.Sorted(maps.Keys(codes)))
	}
}

// TestRulesInDocumentsHold: blocks marked "yaml rules" are rule files, and hold
// for their own examples only.
func TestRulesInDocumentsHold(t *testing.T) {
	n := 0
	for _, d := range documents(t) {
		for at, block := range d.blocks("yaml rules") {
			c, err := classify.New(classify.Options{Rules: []classify.RuleFile{{Name: d.name, Data: []byte(block)}}})
			if err != nil {
				t.Errorf("%s:%d: %v", d.name, at, err)
				continue
			}
			var file struct {
				Rules []struct {
					Name     string   `yaml:"name"`
					Examples []string `yaml:"examples"`
					Counter  []string `yaml:"counter_examples"`
				} `yaml:"rules"`
			}
			if err := yaml.Unmarshal([]byte(block), &file); err != nil {
				t.Fatal(err)
			}
			for _, r := range file.Rules {
				for text, want := range examples(r.Examples, r.Counter) {
					n++
					v := c.Verdict(&mention.Mention{Post: mention.Post{Text: text}})
					if got := slices.ContainsFunc(v.Risks, func(x mention.Risk) bool { return x.Rule == r.Name }); got != want {
						t.Errorf("%s:%d: %s holds for %q: %t", d.name, at, r.Name, text, got)
					}
				}
			}
		}
	}
	if n == 0 {
		t.Error("no block is marked: yaml rules")
	}
}

func examples(yes, no []string) map[string]bool {
	all := map[string]bool{}
	for _, text := range yes {
		all[text] = true
	}
	for _, text := range no {
		all[text] = false
	}
	return all
}

// TestTheExampleConnectorPasses builds the connector of docs/extend/source.md
// into pkg/source and holds it to the conformance suite, with the recordings
// that the page shows.
func TestTheExampleConnectorPasses(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a package")
	}
	d := documents(t)["docs/extend/source.md"]
	dir := t.TempDir()
	pkg, err := filepath.Abs(filepath.Join(repository, "pkg/source"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "testdata"), os.DirFS(filepath.Join(pkg, "testdata"))); err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{}
	for _, l := range d.lines {
		_, file, ok := strings.Cut(l.info, "file=")
		if !ok || !l.code {
			continue
		}
		name := filepath.Join(dir, filepath.FromSlash(strings.TrimPrefix(file, "pkg/source/")))
		if path.Ext(file) == ".go" {
			replace[filepath.Join(pkg, path.Base(file))] = name
		}
		appendLine(t, name, l.text)
	}
	list, err := os.ReadFile(filepath.Join(pkg, "source.go"))
	if err != nil {
		t.Fatal(err)
	}
	with := bytes.Replace(list, []byte("\tsandboxKind(),\n"), []byte("\tsandboxKind(),\n\tguestbookKind(),\n"), 1)
	if bytes.Equal(with, list) || len(replace) != 1 {
		t.Fatalf("the list was not found, or not one Go file: %v", replace)
	}
	replace[filepath.Join(pkg, "source.go")] = filepath.Join(dir, "source.go")
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"source.go": with, "overlay.json": overlay} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", filepath.Join(dir, "source.test"), "-overlay", filepath.Join(dir, "overlay.json"), "./pkg/source")
	build.Dir = repository
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	suite := exec.CommandContext(ctx, filepath.Join(dir, "source.test"), "-test.v", "-test.run", "^(TestSources.*|TestEveryKind.*)$/^guestbook$", "-update")
	suite.Dir = dir
	out, err := suite.CombinedOutput()
	if err != nil || strings.Count(string(out), "PASS: TestSourcesResumeWithoutLossOrRepeat/guestbook") != 1 {
		t.Fatalf("%v\n%s", err, out)
	}
	posts, err := os.ReadFile(filepath.Join(dir, "testdata/guestbook/want.json"))
	if err != nil || strings.Count(string(posts), `"NativeID"`) != 2 {
		t.Errorf("%v, want two posts:\n%s", err, posts)
	}
}

func appendLine(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, text); err != nil {
		t.Fatal(err)
	}
}
