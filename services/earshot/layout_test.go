package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/earshot/earshot/"

// mayImport is the table of docs/extend/layout.md: what each package may import
// of this module. A service may import every package, and no other service.
var mayImport = map[string][]string{
	"pkg/mention":               nil,
	"pkg/text":                  nil,
	"pkg/config":                nil,
	"pkg/outbound":              nil,
	"pkg/identity":              nil,
	"pkg/identity/identitytest": nil,
	"pkg/bus":                   {"pkg/mention", "pkg/outbound", "proto/earshot/v1"},
	"pkg/bus/embedded":          nil,
	"pkg/bus/bustest":           {"pkg/bus", "pkg/bus/embedded"},
	"pkg/query":                 {"pkg/mention", "pkg/text"},
	"pkg/classify":              {"pkg/mention", "pkg/text", "pkg/config", "pkg/outbound"},
	"pkg/search":                {"pkg/mention", "pkg/text"},
	"pkg/source":                {"pkg/mention", "pkg/text", "pkg/config", "pkg/outbound"},
	"pkg/escalation":            {"pkg/mention", "pkg/text", "pkg/config", "pkg/outbound", "pkg/bus", "proto/earshot/v1"},
	"pkg/notify":                {"pkg/mention", "pkg/text", "pkg/config", "pkg/outbound", "pkg/escalation"},
	"pkg/casework":              {"pkg/mention", "pkg/text", "pkg/config", "pkg/outbound", "pkg/identity", "pkg/bus", "proto/earshot/v1"},
	"pkg/settings": {
		"pkg/mention", "pkg/text", "pkg/config", "pkg/identity", "pkg/bus", "pkg/query", "pkg/source", "pkg/notify",
		"pkg/casework", "pkg/escalation", "proto/earshot/v1",
	},
	"pkg/app": {
		"pkg/mention", "pkg/config", "pkg/outbound", "pkg/identity", "pkg/bus", "pkg/bus/embedded", "pkg/casework",
		"pkg/search", "pkg/settings",
	},
}

// foreign names what only one package may import from outside.
var foreign = map[string][]string{
	"github.com/nats-io/nats-server/":    {"pkg/bus/embedded"},
	"github.com/nats-io/nats.go":         {"pkg/bus"},
	"modernc.org/sqlite":                 {"pkg/search"},
	"github.com/meilisearch/":            {"pkg/search"},
	"github.com/mmcdole/gofeed":          {"pkg/source"},
	"github.com/nicholas-fedor/shoutrrr": {"pkg/notify"},
	"github.com/coreos/go-oidc":          {"pkg/identity"},
	"github.com/dghubble/":               {"pkg/source"},
}

func TestTheTreeFollowsItsLayout(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		from := strings.TrimPrefix(fields[0], module)
		for _, to := range fields[1:] {
			checkImport(t, from, to)
		}
		for _, part := range strings.Split(from, "/") {
			if slices.Contains([]string{"util", "utils", "common", "helpers", "types", "models", "core", "shared", "base"}, part) {
				t.Errorf("package %s: the name says nothing", from)
			}
		}
	}
}

func checkImport(t *testing.T, from, to string) {
	t.Helper()
	for prefix, only := range foreign {
		if strings.HasPrefix(to, prefix) && !slices.Contains(only, from) {
			t.Errorf("%s imports %s: only %v may", from, to, only)
		}
	}
	if !strings.HasPrefix(to, module) {
		if from == "pkg/mention" && strings.Contains(to, ".") {
			t.Errorf("pkg/mention imports %s: it has the standard library alone", to)
		}
		return
	}
	to = strings.TrimPrefix(to, module)
	switch {
	case from == "services/earshot":
	case strings.HasPrefix(from, "services/earshot/"), strings.HasPrefix(from, "services/"):
		if strings.HasPrefix(to, "services/") {
			t.Errorf("%s imports %s: services meet on the bus", from, to)
		}
		if strings.HasPrefix(to, "proto/") {
			t.Errorf("%s imports %s: the wire form stays in wire.go files", from, to)
		}
	case strings.HasPrefix(from, "pkg/"):
		allowed, ok := mayImport[from]
		if !ok {
			t.Errorf("package %s is not in the table", from)
		} else if !slices.Contains(allowed, to) {
			t.Errorf("%s imports %s: the table does not allow it", from, to)
		}
	}
}

// TestProtoStaysInWireFiles: the generated types don't leak into the code.
func TestProtoStaysInWireFiles(t *testing.T) {
	for _, root := range []string{"../../pkg", ".."} {
		err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || path.Ext(name) != ".go" || filepath.Base(name) == "wire.go" || strings.HasSuffix(name, "_test.go") {
				return err
			}
			raw, err := os.ReadFile(name)
			if err == nil && bytes.Contains(raw, []byte(`"`+module+`proto/`)) {
				t.Errorf("%s imports the generated messages; only wire.go files may", name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheTopLevelIsComplete(t *testing.T) {
	allowed := []string{
		"services", "pkg", "deploy", "k8s", "proto", "docs", "go.mod", "go.sum", "Makefile", "README.md", "CHANGELOG.md", "LICENSE",
	}
	out, err := exec.CommandContext(t.Context(), "git", "-C", "../..", "ls-tree", "--name-only", "HEAD").Output()
	if err != nil {
		t.Skip("not a git checkout")
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		if name := lines.Text(); !strings.HasPrefix(name, ".") && !slices.Contains(allowed, name) {
			t.Errorf("%s does not belong at the top level", name)
		}
	}
}
