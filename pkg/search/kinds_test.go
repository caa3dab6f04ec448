package search

import (
	"path/filepath"
	"testing"
)

func TestKindsOpenWhatTheyDescribe(t *testing.T) {
	good := map[string]string{"sqlite": "{}", "meilisearch": "{url: 'http://127.0.0.1:7700', key: k}"}
	bad := map[string]string{"sqlite": "{path: x}", "meilisearch": "{key: k}"}
	dir := t.TempDir()
	for _, k := range Kinds {
		e, err := k.Open([]byte(good[k.Name]), Deps{Data: dir})
		if err != nil {
			t.Fatalf("%s: %v", k.Name, err)
		}
		if k.Name == "sqlite" {
			if fresh, err := e.Ensure(t.Context()); !fresh || err != nil {
				t.Errorf("sqlite: %t, %v", fresh, err)
			}
			if found, _ := filepath.Glob(filepath.Join(dir, "index.db")); len(found) != 1 {
				t.Error("the file is not in the data folder")
			}
		}
		if err := e.Close(); err != nil {
			t.Errorf("%s: %v", k.Name, err)
		}
		if err := k.Check([]byte(bad[k.Name])); err == nil {
			t.Errorf("%s takes %s", k.Name, bad[k.Name])
		}
	}
}
