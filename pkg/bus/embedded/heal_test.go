package embedded

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheServerStillTellsOfWriteErrors reads the source of the nats-server that
// is built in: what heal waits for must be what a file store says when it closes
// itself to writing. The full disk itself is filled by the end-to-end tests,
// where one can be mounted.
func TestTheServerStillTellsOfWriteErrors(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/nats-io/nats-server/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "server", "filestore.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, body, ok := strings.Cut(string(source), "\nfunc (fs *fileStore) setWriteErr(err error) {\n")
	body, _, _ = strings.Cut(body, "\n}\n")
	if !ok || !strings.Contains(body, `fs.error("`+writeError+`: %v", err)`) || !strings.Contains(body, "fs.werr = err") {
		t.Errorf("the server says something else now, and a full disk would stay full after it was freed:\n%s", body)
	}
}
