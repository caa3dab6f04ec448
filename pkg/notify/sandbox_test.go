package notify

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/earshot/earshot/pkg/config"
)

func TestSandbox(t *testing.T) {
	t.Run("a page is a line", func(t *testing.T) {
		dir := t.TempDir()
		n := open(t, "sandbox", dir, nil)
		for range 3 {
			if err := tell(t.Context(), n, samplePage("ja")); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(filepath.Join(dir, "pages.jsonl"))
		if err != nil || strings.Count(string(b), "\n") != 3 {
			t.Errorf("%v\n%s", err, b)
		}
	})
	t.Run("the file is set aside when it is large", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "pages.jsonl"), make([]byte, sandboxSize+1), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := tell(t.Context(), open(t, "sandbox", dir, nil), samplePage("ja")); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, "pages.jsonl"))
		old, errOld := os.Stat(filepath.Join(dir, "pages.jsonl.old"))
		if err != nil || errOld != nil || info.Size() > 10_000 || old.Size() <= sandboxSize {
			t.Errorf("%v, %v", err, errOld)
		}
	})
	t.Run("without its folder it fails and may pass", func(t *testing.T) {
		err := tell(t.Context(), open(t, "sandbox", filepath.Join(t.TempDir(), "gone"), nil), samplePage("ja"))
		if err == nil || permanent(err) {
			t.Errorf("%v", err)
		}
	})
	t.Run("a file elsewhere is refused", func(t *testing.T) {
		k := Kinds[slices.IndexFunc(Kinds, func(k Kind) bool { return k.Name == "sandbox" })]
		for _, name := range []string{"../x", "/etc/x", "a/b", ".", ".."} {
			if e, ok := errors.AsType[*config.FieldError](k.Check([]byte(`{"file":"` + name + `"}`))); !ok || e.Key != "file" {
				t.Errorf("%s: %v", name, e)
			}
		}
	})
}
